"""Kernels that convert entire scalar Arrow columns, with Arrow or with NumPy on Arrow's buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.arrays import Mask, get_null_mask, take
from sparksig.engine.zones import PER_SECOND, to_local_times

Kernel = Callable[[pa.Array], pa.Array]
Values = np.ndarray[Any, Any]


def choose_kernel(arrow_type: pa.DataType, target: pa.DataType) -> Kernel | None:
    """Return the kernel that converts arrays of ``arrow_type`` to ``target``; None if they are equal.

    The casting table must allow the conversion. Dictionaries are decoded before. Timestamps are converted by
    :func:`to_local_nanoseconds` instead.
    """
    while pa.types.is_dictionary(arrow_type):
        arrow_type = _replace_view(arrow_type.value_type)
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
    except pa.ArrowNotImplementedError:  # raised for views before pyarrow 18
        return pa.array(array.to_pylist(), target)


def _replace_view(dtype: pa.DataType) -> pa.DataType:
    """Replace a view type by the plain type that all Arrow kernels accept; return other types unchanged."""
    views = {"string_view": pa.string(), "binary_view": pa.binary()}
    return views.get(str(dtype), dtype)


def decode_dictionary(array: pa.DictionaryArray) -> pa.Array:
    """Return the values that a dictionary array encodes."""
    values = array.dictionary
    if pa.types.is_dictionary(values.type):
        values = decode_dictionary(values)
    return take(_cast(values, _replace_view(values.type)), array.indices)


# Two days on either side of the range: the offset of every zone from UTC is smaller.
_MARGIN_SECONDS = 2 * 86_400
_INT64 = np.iinfo(np.int64)


def to_local_nanoseconds(array: pa.Array) -> tuple[pa.Array, Mask]:
    """Convert timestamps or dates to local times in nanoseconds; mask those that are out of range.

    The smallest 64-bit integer is out of range, too: pandas uses it for NaT.
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
    if span["min"] is None or (span["min"] >= low + margin and span["max"] <= high - margin):
        naive = array if zone is None else to_local_times(array)
        return naive.cast(pa.timestamp("ns")), np.zeros(len(array), dtype=bool)
    ticks = raw.fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array), dtype=np.int64)
    if zone is not None:  # near the limits, use the offset of two days inside the range
        inner = np.clip(ticks, low + margin, high - margin)
        offsets = to_local_times(pa.array(inner, array.type)).cast(pa.int64()).to_numpy() - inner
    outside = np.where(offsets >= 0, ticks > high - offsets, ticks < low - offsets)  # this does not overflow
    local_ticks = np.where(outside, 0, ticks + offsets)
    outside |= (local_ticks < low) | (local_ticks > high)
    outside &= array.is_valid().to_numpy(zero_copy_only=False)
    nanoseconds = np.where(outside, 0, local_ticks) * factor
    return pa.array(nanoseconds, pa.int64(), mask=_mask(array)).cast(pa.timestamp("ns")), outside


def _from_float16(array: pa.Array, target: pa.DataType) -> pa.Array:
    # pyarrow before 21 cannot cast float16, but NumPy can read its buffer
    values = _read_values(array, np.dtype("float16")).astype(target.to_pandas_dtype())
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _from_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert decimals of at most 18 digits exactly, by their unscaled 64-bit integers.

    For a double, both the integer (15 digits) and the power of ten (up to 22) are exact, so the division
    rounds once and correctly, while Arrow's own cast does not. For larger scales the text is parsed.
    """
    scale, unscaled = array.type.scale, _read_unscaled(array)
    if not pa.types.is_floating(target):
        values = (unscaled * 10**-scale).astype(target.to_pandas_dtype())
    elif abs(scale) <= 22:
        values = unscaled / 10.0**scale if scale >= 0 else unscaled * 10.0**-scale
    else:
        text = pc.binary_join_element_wise(pa.array(unscaled).cast(pa.string()), f"e{-scale}", "")
        values = text.cast(target).to_numpy(zero_copy_only=False)
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _read_unscaled(array: pa.Array) -> Values:
    """Return the unscaled integers, 0 for null; the low 64-bit word holds up to 18 digits."""
    width = array.type.bit_width // 8
    if width < 8:
        values = _read_values(array, np.dtype("<i4")).astype(np.int64)
    else:
        words = width // 8
        values = _read_values(array, np.dtype("<i8"), words)[::words]
    mask = _mask(array)
    return values if mask is None else np.where(mask, 0, values)


def _read_values(array: pa.Array, dtype: np.dtype[Any], words: int = 1) -> Values:
    buffer = array.buffers()[1]
    if buffer is None:  # an array without rows may have no buffer
        return np.zeros(0, dtype=dtype)
    # the buffer of an empty array may contain a stray byte
    values: Values = np.frombuffer(buffer, dtype=dtype, count=buffer.size // dtype.itemsize)
    return values[array.offset * words : (array.offset + len(array)) * words]


def _mask(array: pa.Array) -> Mask | None:
    return get_null_mask(array) if array.null_count else None
