"""Predicted local times -> timestamps, in the time zone of a Spark session."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.nested import lists, mapped
from sparksig.engine.zones import instants, is_known
from sparksig.errors import Code, Finding, PredictionError, below

__all__ = ["place_times"]


def place_times(array: pa.Array, zone: str) -> pa.Array:
    """Convert predicted local times to timestamps: the time that a clock in ``zone`` showed, in microseconds.

    Args:
        array: of :func:`result_type`; other than timestamps pass as they are.
        zone: an IANA zone, as Spark's ``spark.sql.session.timeZone``.

    Raises:
        PredictionError: a wall time that the zone cannot place (it never was, or was twice), or one finer
            than a microsecond, which Spark cannot hold.

    Example:
        >>> place_times(pa.array([0], pa.timestamp("ns")), "UTC").type
        TimestampType(timestamp[us, tz=UTC])
    """
    findings: list[Finding] = []
    found = _place(array, zone, "", findings)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return found


def _place(array: pa.Array, zone: str, path: str, findings: list[Finding]) -> pa.Array:
    if pa.types.is_struct(array.type):
        names = [field.name for field in array.type]
        parts = [
            _place(part, zone, below(path, name), findings) for part, name in zip(array.flatten(), names)
        ]
        fields = [pa.field(name, part.type) for name, part in zip(names, parts)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(parts, fields=fields, mask=mask)
    if pa.types.is_list(array.type):
        before = array.flatten()
        values = _place(before, zone, f"{path}[]", findings)
        return array if values is before else lists(array, values)
    if pa.types.is_map(array.type):
        return mapped(array, lambda items: _place(items, zone, f"{path}[]", findings))
    if not pa.types.is_timestamp(array.type):
        return array
    if not is_known(zone):
        hint = "set spark.sql.session.timeZone to a name of the IANA database, as America/New_York"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a time zone that is known here", zone, hint))
        return array
    try:
        micros = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        findings.append(
            Finding(
                Code.OUT_OF_RANGE, path, "instants in microseconds", "finer ones", "round them on purpose"
            )
        )
        return array
    found, unplaced = instants(micros, zone)
    if unplaced.any():
        hint = "predict wall times that the session's zone has once, or set spark.sql.session.timeZone to UTC"
        expected = f"wall times that {zone} has just once"
        count, rows = int(unplaced.sum()), tuple(map(int, np.flatnonzero(unplaced)[:FIRST_ROWS]))
        findings.append(Finding(Code.OUT_OF_RANGE, path, expected, "others", hint, count, rows))
    return found
