"""Conversion of Arrow arrays between timestamps with a time zone and local times of that zone.

Arrow's kernels know only the transitions that a zone's file lists, for most zones up to 2037. After that they
keep the last offset and ignore daylight saving time. From 2037 on, the offsets are therefore taken from
``zoneinfo``, which evaluates the zone's rule: once per zone, day by day, up to the last 64-bit nanosecond.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UTC = ("UTC", "Etc/UTC", "Z", "GMT", "+00:00")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_DAY = 86_400
_RULES_FROM = 2_114_380_800  # 2037-01-01 in seconds
_RULES_TO = 9_223_459_200  # 2262-04-12, beyond the last nanosecond


def to_local_times(array: pa.Array) -> pa.Array:
    """Convert timestamps with a time zone to local times of that zone: naive timestamps of the same unit.

    Example:
        >>> noon = pa.array([2_540_462_400], pa.timestamp("s", "America/New_York"))  # 2050-07-03 12:00Z
        >>> to_local_times(noon)[0].as_py().hour
        8
    """
    unit, zone = array.type.unit, array.type.tz
    naive = pa.timestamp(unit)
    if zone in _UTC:
        return array.cast(naive)
    ticks = _to_ticks(array)
    fixed = _parse_fixed_offset(zone)
    if fixed is not None:
        shifted = ticks + fixed * PER_SECOND[unit]
        return pa.array(shifted, pa.int64(), mask=~_find_valid(array)).cast(naive)
    late = ticks >= _RULES_FROM * PER_SECOND[unit]
    if not late.any():
        return pc.local_timestamp(array)
    seconds = ticks // PER_SECOND[unit]
    shifted = ticks + _find_late_offsets(zone, seconds) * PER_SECOND[unit]
    early = pc.local_timestamp(_set_null(array, late))
    return _merge_late(early, late, shifted, naive, array)


def to_zoned_times(array: pa.Array, zone: str) -> tuple[pa.Array, Array]:
    """Convert local times to timestamps of a zone; mask those that are ambiguous, or do not exist there."""
    zoned_type = pa.timestamp(array.type.unit, zone)
    if zone in _UTC:
        return array.cast(zoned_type), np.zeros(len(array), dtype=bool)
    ticks = _to_ticks(array)
    fixed = _parse_fixed_offset(zone)
    if fixed is not None:
        shifted = ticks - fixed * PER_SECOND[array.type.unit]
        utc_ticks = pa.array(shifted, pa.int64(), mask=~_find_valid(array))
        arrow_zone = zone if re.fullmatch(r"[+-]\d\d:\d\d", zone) else "UTC"  # Arrow accepts only this format
        return utc_ticks.cast(pa.timestamp(array.type.unit, arrow_zone)), np.zeros(len(array), dtype=bool)
    late = ticks >= _RULES_FROM * PER_SECOND[array.type.unit]
    early = _set_null(array, late) if late.any() else array
    first, last = (
        pc.assume_timezone(early, zone, ambiguous=which, nonexistent=which)
        for which in ("earliest", "latest")
    )
    not_unique = _to_ticks(first) != _to_ticks(last)
    if not late.any():
        return first, not_unique
    late_ticks, is_unique = _to_late_utc_ticks(ticks, array.type.unit, zone)
    zoned = _merge_late(first, late, late_ticks, zoned_type, array)
    return zoned, np.where(late, ~is_unique, not_unique) & _find_valid(array)


def _to_late_utc_ticks(ticks: Array, unit: str, zone: str) -> tuple[Array, Array]:
    """Convert local times from 2037 on to UTC, and find those that exist exactly once.

    The offset of each time is that of the day before or that of the day after.
    """
    per_second = PER_SECOND[unit]
    seconds = ticks // per_second
    before, after = (_find_late_offsets(zone, seconds + step) for step in (-_DAY, _DAY))
    fits_before = _find_late_offsets(zone, seconds - before) == before
    fits_after = _find_late_offsets(zone, seconds - after) == after
    offset = np.where(fits_before, before, after)
    is_unique = np.where(before == after, fits_before, fits_before != fits_after)
    return ticks - offset * per_second, is_unique


def _find_late_offsets(zone: str, seconds: Array) -> Array:
    starts, offsets = _compute_rules(zone)
    index = np.searchsorted(starts, seconds, side="right") - 1
    late_offsets: Array = offsets[np.clip(index, 0, None)]
    return late_offsets


@lru_cache(maxsize=32)
def _compute_rules(zone: str) -> tuple[Array, Array]:
    """Return the start of each offset from UTC, from 2036 on, and the offsets, both in seconds."""
    zone_info = ZoneInfo(zone)

    def find_offset(second: int) -> int:
        shift = (_EPOCH + datetime.timedelta(seconds=second)).astimezone(zone_info).utcoffset()
        assert shift is not None
        return int(shift.total_seconds())

    begin = _RULES_FROM - 366 * _DAY
    starts, offsets = [begin], [find_offset(begin)]
    for day in range(begin + _DAY, _RULES_TO + 2 * _DAY, _DAY):
        day_offset = find_offset(day)
        if day_offset != offsets[-1]:
            low, high = day - _DAY, day  # bisect for the second of the change, in (low, high]
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if find_offset(middle) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(day_offset)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def is_known_zone(zone: str) -> bool:
    """Return whether a name is a time zone that this machine knows, or a fixed offset.

    Example:
        >>> is_known_zone("Europe/Berlin"), is_known_zone("GMT+2"), is_known_zone("Mars/Olympus")
        (True, True, False)
    """
    if zone in _UTC or _parse_fixed_offset(zone) is not None:
        return True
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_FIXED = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?")


def _parse_fixed_offset(zone: str) -> int | None:
    """Return the seconds of a fixed offset such as +02:00 or Spark's GMT+2; None for a named zone."""
    match = _FIXED.fullmatch(zone)
    if match is None:
        return None
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    return -seconds if match[1] == "-" else seconds


def _to_ticks(array: pa.Array) -> Array:
    ticks: Array = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return ticks


def _find_valid(array: pa.Array) -> Array:
    valid: Array = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _set_null(array: pa.Array, mask: Array) -> pa.Array:
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def _merge_late(early: pa.Array, late: Array, ticks: Array, dtype: pa.DataType, array: pa.Array) -> pa.Array:
    values = np.where(late, ticks, _to_ticks(early))
    return pa.array(values, pa.int64(), mask=~_find_valid(array)).cast(dtype)
