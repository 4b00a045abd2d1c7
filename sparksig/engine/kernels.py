"""Kernels for scalar columns: what Arrow, or NumPy on Arrow's buffers, does with a whole column at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.arrays import take
from sparksig.engine.zones import PER_SECOND, to_local_times

__all__ = ["Kernel", "Mask", "Values", "choose_kernel", "decode_dictionary", "to_local_nanoseconds"]

Kernel = Callable[[pa.Array], pa.Array]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Values = np.ndarray[Any, Any]


def choose_kernel(arrow_type: pa.DataType, target: pa.DataType) -> Kernel | None:
    """What turns an array of ``arrow_type`` into ``target``; the casting table has allowed it.

    Dictionaries are decoded before, instants have a way of their own.
    """
    while pa.types.is_dictionary(arrow_type):
        arrow_type = _plain(arrow_type.value_type)
    if arrow_type == target:
        return None
    if pa.types.is_decimal(arrow_type):
        return lambda array: _from_decimal(array, target)
    if pa.types.is_float16(arrow_type):
        return lambda array: _from_float16(array, target)
    return lambda array: _cast(array, target)


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return array.cast(target)
    except pa.ArrowNotImplementedError:  # a view, in pyarrow before 18
        return pa.array(array.to_pylist(), target)


def _plain(dtype: pa.DataType) -> pa.DataType:
    """A view's plain twin, which all of Arrow's kernels take; other types as they are."""
    views = {"string_view": pa.string(), "binary_view": pa.binary()}
    return views.get(str(dtype), dtype)


def decode_dictionary(array: pa.DictionaryArray) -> pa.Array:
    """The values that a dictionary array stands for."""
    values = array.dictionary
    if pa.types.is_dictionary(values.type):
        values = decode_dictionary(values)
    return take(_cast(values, _plain(values.type)), array.indices)


# A day and more on either side: no zone is further from UTC.
_MARGIN_SECONDS = 2 * 86_400
_INT64 = np.iinfo(np.int64)


def to_local_nanoseconds(array: pa.Array) -> tuple[pa.Array, Mask]:
    """Naive timestamps in nanoseconds, and which of the instants do not fit in them.

    The smallest 64-bit integer is pandas' NaT, so that it does not fit either. Where one does not fit, the
    array is only good for reporting.
    """
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s" if pa.types.is_date32(array.type) else "ms"))
    unit, zone = array.type.unit, array.type.tz
    per_second = PER_SECOND[unit]
    factor = 10**9 // per_second
    low, high = -(-(_INT64.min + 1) // factor), _INT64.max // factor
    margin = min(_MARGIN_SECONDS * per_second, high // 2)
    raw = array.cast(pa.int64())
    span = pc.min_max(raw).as_py()
    none = np.zeros(len(array), dtype=bool)
    if span["min"] is None or (span["min"] >= low + margin and span["max"] <= high - margin):
        naive = array if zone is None else to_local_times(array)
        return naive.cast(pa.timestamp("ns")), none
    ticks = raw.fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array), dtype=np.int64)
    if zone is not None:  # at the edges, the offset of two days further in
        inner = np.clip(ticks, low + margin, high - margin)
        offsets = to_local_times(pa.array(inner, array.type)).cast(pa.int64()).to_numpy() - inner
    outside = np.where(offsets >= 0, ticks > high - offsets, ticks < low - offsets)  # neither side overflows
    walls = np.where(outside, 0, ticks + offsets)
    outside |= (walls < low) | (walls > high)
    outside &= array.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(np.where(outside, 0, walls) * factor, pa.int64(), mask=_mask(array)).cast(
        pa.timestamp("ns")
    ), outside


def _from_float16(array: pa.Array, target: pa.DataType) -> pa.Array:
    # Arrow cannot cast float16 before 21; its buffer is NumPy's
    values = _values(array, np.dtype("float16")).astype(target.to_pandas_dtype())
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _from_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Decimals of at most 18 digits: their unscaled integers are exact, and so is what comes of them.

    For a double, both the integer (15 digits) and the power of ten (up to 22) are exact, so that one
    division rounds once and correctly (Arrow's own cast does not). Beyond that, their text is parsed.
    """
    scale, unscaled = array.type.scale, _unscaled(array)
    if not pa.types.is_floating(target):
        values = (unscaled * 10**-scale).astype(target.to_pandas_dtype())
    elif abs(scale) <= 22:
        values = unscaled / 10.0**scale if scale >= 0 else unscaled * 10.0**-scale
    else:
        text = pc.binary_join_element_wise(pa.array(unscaled).cast(pa.string()), f"e{-scale}", "")
        values = text.cast(target).to_numpy(zero_copy_only=False)
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _unscaled(array: pa.Array) -> Values:
    """The unscaled integers, 0 for null; the little-endian low word has all of 18 digits."""
    width = array.type.bit_width // 8
    if width < 8:
        values = _values(array, np.dtype("<i4")).astype(np.int64)
    else:
        words = width // 8
        values = _values(array, np.dtype("<i8"), words)[::words]
    mask = _mask(array)
    return values if mask is None else np.where(mask, 0, values)


def _values(array: pa.Array, dtype: np.dtype[Any], words: int = 1) -> Values:
    buffer = array.buffers()[1]
    if buffer is None:  # an array without rows may have none
        return np.zeros(0, dtype=dtype)
    # a buffer of no rows may hold a stray byte
    values: Values = np.frombuffer(buffer, dtype=dtype, count=buffer.size // dtype.itemsize)
    return values[array.offset * words : (array.offset + len(array)) * words]


def _mask(array: pa.Array) -> Mask | None:
    if not array.null_count:
        return None
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask
