"""Predicted local times -> timestamps, in the time zone of a Spark session."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import convert_leaves
from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.zones import is_known_zone, to_zoned_times
from sparksig.errors import Code, Finding, PredictionError

__all__ = ["place_times"]


def place_times(array: pa.Array, zone: str, skip: pa.DataType | None = None) -> pa.Array:
    """Convert predicted local times to timestamps: the time that a clock in ``zone`` showed, in microseconds.

    Args:
        array: of :func:`result_type`; other than timestamps pass as they are.
        zone: an IANA zone, as Spark's ``spark.sql.session.timeZone``.
        skip: the type of times that stay local times.

    Raises:
        PredictionError: a wall time that the zone cannot place (it never was, or was twice), or one finer
            than a microsecond, which Spark cannot hold.

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
        hint = "set spark.sql.session.timeZone to a name of the IANA database, as America/New_York"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a time zone that is known here", zone, hint))
        return array
    try:
        micros = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        findings.append(
            Finding(
                Code.OUT_OF_RANGE, path, "instants in microseconds", "finer ones", "round them explicitly"
            )
        )
        return array
    found, unplaced = to_zoned_times(micros, zone)
    if unplaced.any():
        hint = "predict wall times that the session's zone has once, or set spark.sql.session.timeZone to UTC"
        expected = f"wall times that {zone} has just once"
        count, rows = int(unplaced.sum()), tuple(map(int, np.flatnonzero(unplaced)[:FIRST_ROWS]))
        findings.append(Finding(Code.OUT_OF_RANGE, path, expected, "others", hint, count, rows))
    return found
