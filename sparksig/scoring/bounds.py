"""Bounds for the values of a column: a constant, or the statistics of a Parquet row group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Bounds:
    """Bounds for the values that some rows can have in a column.

    Attributes:
        low: the lower bound; None if it is unknown.
        high: the upper bound; None if it is unknown. A column of floating-point numbers may also contain NaN.
        may_be_null: whether a row can have a null.
        may_be_valid: whether a row can have a value that is not null.
    """

    low: pa.Scalar | None = None
    high: pa.Scalar | None = None
    may_be_null: bool = True
    may_be_valid: bool = True

    @classmethod
    def constant(cls, value: pa.Scalar) -> Bounds:
        """Return the bounds of a column that has the same value in every row; the value may be null."""
        return cls(value, value, not value.is_valid, value.is_valid)

    @property
    def is_constant(self) -> bool:
        """True if all rows have the same value, which may be null."""
        return self.low is not None and self.low is self.high

    def cast(self, dtype: pa.DataType) -> Bounds:
        """Return the bounds in another type; the cast must preserve the order of values."""
        if self.low is None or self.high is None or self.low.type == dtype:
            return self
        low = self.low.cast(dtype)
        high = low if self.is_constant else self.high.cast(dtype)
        return Bounds(low, high, self.may_be_null, self.may_be_valid)

    def list_ends(self) -> pa.Array | None:
        """Return the lower and the upper bound as an array; None if they are unknown.

        Unless the column is constant, the upper bound of floating-point numbers is NaN, the greatest number.
        """
        if self.low is None or self.high is None:
            return None
        high = self.high
        if pa.types.is_floating(high.type) and not self.is_constant:
            high = pa.scalar(float("nan"), high.type)
        return pa.concat_arrays([pa.repeat(self.low, 1), pa.repeat(high, 1)])


def read_bounds(
    metadata: pq.FileMetaData, group: int, leaves: Mapping[str, int], schema: pa.Schema
) -> dict[str, Bounds]:
    """Read the bounds of columns from the statistics of a row group.

    Args:
        metadata: the footer of the file.
        group: the row group.
        leaves: the positions of columns in the file, by their names.
        schema: the types of the columns in the file.
    """
    chunks = metadata.row_group(group)
    return {
        name: _convert_statistics(chunks.column(index).statistics, schema.field(name).type)
        for name, index in leaves.items()
    }


def _convert_statistics(statistics: Any, dtype: pa.DataType) -> Bounds:
    """Return the bounds of a column; unknown if the statistics are missing or contradict themselves."""
    if statistics is None:
        return Bounds()
    may_be_null = not statistics.has_null_count or statistics.null_count > 0
    may_be_valid = not statistics.has_null_count or statistics.num_values > 0
    low = high = None
    if may_be_valid and statistics.has_min_max:
        unit = str(statistics.logical_type.to_json()).lower()
        low, high = (_convert_end(end, dtype, unit) for end in (statistics.min_raw, statistics.max_raw))
    if low is None or high is None or pc.greater(low, high).as_py():
        low = high = None
    return Bounds(low, high, may_be_null, may_be_valid)


_UNITS = {"ms": "milliseconds", "us": "microseconds"}


def _convert_end(value: Any, dtype: pa.DataType, logical_type: str) -> pa.Scalar | None:
    """Return a minimum or maximum as a value of the column; None for types whose order may differ."""
    try:
        if pa.types.is_string(dtype) and isinstance(value, bytes):
            return pa.scalar(value.decode(), dtype)
        if dtype in (pa.float32(), pa.float64()):
            return pa.scalar(value, dtype) if value == value else None
        if pa.types.is_boolean(dtype) or pa.types.is_signed_integer(dtype):
            return pa.scalar(value, dtype)
        if dtype == pa.date32():
            return pa.scalar(value, pa.int32()).cast(dtype)
        if pa.types.is_timestamp(dtype) and _UNITS.get(dtype.unit, "nothing") in logical_type:
            return pa.scalar(value, pa.int64()).cast(dtype)
    except (UnicodeDecodeError, OverflowError, pa.ArrowInvalid):  # cut in the middle of a character; damaged
        return None
    return None
