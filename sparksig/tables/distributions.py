"""The distributions of the values in a sample: numbers, times, booleans, and texts by their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.kernels import decode_dictionary
from sparksig.engine.zones import to_local_times
from sparksig.tables.sample import Sample

BINS = 10
Bins = tuple[tuple[str, int], ...]


def measure_distributions(sample: Sample, names: Sequence[str]) -> dict[str, Bins]:
    """Count the values of some columns in ranges of equal width.

    Example:
        >>> from sparksig.tables.arrow import Part
        >>> batch = pa.record_batch([pa.array([True, None, True])], ["x"])
        >>> measure_distributions(Sample((Part(batch),), batch.schema, "uniform"), ["x"])
        {'x': (('false', 0), ('true', 2))}
    """
    distributions = {}
    for name in names:
        arrays = [part.batch.column(part.batch.schema.get_field_index(name)) for part in sample.parts]
        if arrays and len({array.type for array in arrays}) == 1:
            bins = _measure_values(pa.concat_arrays([_plain(array).drop_null() for array in arrays]))
            if bins is not None:
                distributions[name] = bins
    return distributions


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return decode_dictionary(array)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return to_local_times(array)
    if pa.types.is_date(array.type):
        return array.cast(pa.timestamp("s" if pa.types.is_date32(array.type) else "ms"))
    return array


def _measure_values(values: pa.Array) -> Bins | None:
    dtype = values.type
    if pa.types.is_boolean(dtype):
        count = pc.sum(values).as_py() or 0
        return ("false", len(values) - count), ("true", count)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return _bin_values(pc.utf8_length(values).to_numpy(zero_copy_only=False), "{:.0f} characters")
    if pa.types.is_timestamp(dtype):
        return _bin_values(values.cast(pa.int64()).to_numpy(zero_copy_only=False), "", dtype.unit)
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return _bin_values(values.to_numpy(zero_copy_only=False), "{:.4g}")
    return None


def _bin_values(values: Any, form: str, unit: str = "") -> Bins:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return ()
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return ((_format_edge(low, form, unit), len(finite)),)
    if not np.isfinite(high - low):
        return ()
    try:
        counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    except ValueError:  # closer to each other than doubles can be divided
        return ((f"{_format_edge(low, form, unit)} to {_format_edge(high, form, unit)}", len(finite)),)
    ends = [_format_edge(float(edge), form, unit) for edge in edges]
    return tuple((f"{a} to {b}", int(count)) for a, b, count in zip(ends, ends[1:], counts))


def _format_edge(value: float, form: str, unit: str) -> str:
    if not unit:
        return form.format(value)
    return str(np.array(int(value), f"datetime64[{unit}]").astype("datetime64[s]"))
