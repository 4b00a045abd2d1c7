"""Conversion of predicted local times to timestamps, in the time zone of a Spark session."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import convert_leaves
from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.zones import is_known_zone, to_zoned_times
from sparksig.errors import Code, Finding, PredictionError


def place_times(array: pa.Array, zone: str, skip: pa.DataType | None = None) -> pa.Array:
    """Convert predicted local times of a zone to timestamps in microseconds.

    Times of the type ``skip`` remain local times.

    Raises:
        PredictionError: a local time is ambiguous or does not exist in the zone (daylight saving), or finer
            than a microsecond, the unit of Spark.

    Example:
        >>> place_times(pa.array([0], pa.timestamp("ns")), "UTC").type
        TimestampType(timestamp[us, tz=UTC])
    """
    findings: list[Finding] = []
    placed = convert_leaves(
        array, lambda leaf, path: leaf if leaf.type == skip else _place(leaf, path, zone, findings)
    )
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return placed


def _place(array: pa.Array, path: str, zone: str, findings: list[Finding]) -> pa.Array:
    if not pa.types.is_timestamp(array.type):
        return array
    if not is_known_zone(zone):
        hint = "set spark.sql.session.timeZone to an IANA name, such as America/New_York"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a known time zone", zone, hint))
        return array
    try:
        micros = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        expected, hint = "times in microseconds", "round them explicitly"
        findings.append(Finding(Code.OUT_OF_RANGE, path, expected, "times in nanoseconds", hint))
        return array
    timestamps, not_unique = to_zoned_times(micros, zone)
    if not_unique.any():
        hint = "predict unambiguous local times, or set spark.sql.session.timeZone to UTC"
        expected = f"local times that exist exactly once in {zone}"
        actual = "ambiguous or nonexistent times"
        count, rows = int(not_unique.sum()), tuple(map(int, np.flatnonzero(not_unique)[:FIRST_ROWS]))
        findings.append(Finding(Code.OUT_OF_RANGE, path, expected, actual, hint, count, rows))
    return timestamps
