"""The distributions of the values of columns, counted batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.histograms import (
    Histogram,
    Number,
    build_histogram,
    label_bins,
    measure_lengths,
    merge_histograms,
)
from sparksig.engine.kernels import decode_dictionary
from sparksig.engine.zones import is_known_zone, to_local_times
from sparksig.tables.arrow import Part

Bins = tuple[tuple[str, int], ...]

_COUNTED_ROWS = 2**17
"""The minimum number of rows that are counted in a large table."""

_MULTIPLIER = 2_654_435_769
"""2**32 divided by the golden ratio, whose multiples spread the counted rows without a period."""


class Distributions:
    """Counts of values in ranges, by column: numbers, times, booleans, and the lengths of texts and lists.

    Args:
        names: the columns.
        rows: the number of rows of the table. A table of more than 262,143 rows is divided into equal blocks,
            at least 131,072, and one row of each block is counted.

    Example:
        >>> distributions = Distributions(["x"])
        >>> distributions.add(pa.record_batch([pa.array([True, None, True])], ["x"]))
        >>> distributions.list_bins()
        {'x': (('false', 0), ('true', 2))}
    """

    def __init__(self, names: Sequence[str], rows: int = 0) -> None:
        self._columns = {name: _Column() for name in names}
        self._block_rows = max(rows // _COUNTED_ROWS, 1)
        self._rows = 0

    def observe(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Count the rows of parts while they pass."""
        for part in parts:
            self.add(part.batch)
            yield part

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch, which has all of the columns."""
        positions = None if self._block_rows == 1 else self._choose_rows(batch.num_rows)
        self._rows += batch.num_rows
        for name, column in self._columns.items():
            array = batch.column(batch.schema.get_field_index(name))
            column.add(array if positions is None else array.take(positions))

    def _choose_rows(self, count: int) -> pa.Array:
        """Return the positions of the rows to count among the next ``count`` rows."""
        size, start = self._block_rows, self._rows
        blocks = np.arange(start // size, (start + count - 1) // size + 1)
        chosen = blocks * size + (blocks * _MULTIPLIER % 2**32 * size >> 32) - start
        return pa.array(chosen[(chosen >= 0) & (chosen < count)])

    def list_bins(self) -> dict[str, Bins]:
        """Return the ranges and counts of each column whose type has a distribution."""
        bins = ((name, column.list_bins()) for name, column in self._columns.items())
        return {name: pairs for name, pairs in bins if pairs is not None}


class _Column:
    """The distribution of one column; a column with several types has none."""

    def __init__(self) -> None:
        self._types: set[pa.DataType] = set()
        self._counts = {"false": 0, "true": 0}
        self._histogram: Histogram | None = None

    def add(self, array: pa.Array) -> None:
        self._types.add(array.type)
        if len(self._types) > 1:
            return
        values = _simplify(array).drop_null()
        if pa.types.is_boolean(values.type):
            self._counts["false"] += values.false_count
            self._counts["true"] += values.true_count
            return
        numbers = _to_numbers(values)
        if numbers is None or not len(numbers):
            return
        histogram = build_histogram(numbers)
        self._histogram = (
            histogram if self._histogram is None else merge_histograms(self._histogram, histogram)
        )

    def list_bins(self) -> Bins | None:
        if len(self._types) != 1:
            return None
        [dtype] = self._types
        plain = _simplify(pa.nulls(0, dtype)).type
        if pa.types.is_boolean(plain):
            return tuple(self._counts.items())
        if _to_numbers(pa.nulls(0, plain)) is None:
            return None
        if self._histogram is None:
            return ()
        if pa.types.is_timestamp(plain):
            return label_bins(self._histogram, partial(_format_time, plain.unit))
        is_text = pa.types.is_string(plain) or pa.types.is_large_string(plain)
        return label_bins(
            self._histogram, unit="character" if is_text else "item" if pa.types.is_nested(plain) else ""
        )


def _simplify(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = decode_dictionary(array)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return to_local_times(array) if is_known_zone(array.type.tz) else pa.nulls(len(array))
    if pa.types.is_date(array.type):
        return array.cast(pa.timestamp("s" if pa.types.is_date32(array.type) else "ms"))
    return array


def _to_numbers(values: pa.Array) -> np.ndarray[Any, Any] | None:
    """Return the finite numbers by which values are counted; None for types without a distribution."""
    dtype = values.type
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        values = pc.utf8_length(values)
    elif pa.types.is_floating(dtype) or pa.types.is_decimal(dtype) or pa.types.is_uint64(dtype):
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        return np.asarray(numbers[np.isfinite(numbers)])
    elif not (pa.types.is_timestamp(dtype) or pa.types.is_integer(dtype)):
        return measure_lengths(values)
    return np.asarray(values.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _format_time(unit: str, value: Number) -> str:
    return str(np.array(int(value), f"datetime64[{unit}]").astype("datetime64[s]"))
