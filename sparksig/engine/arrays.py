"""Nested Arrow arrays: taken apart, put together, and walked with one function each.

No value becomes a Python object, but for the few types that pyarrow's kernels lack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.errors import below

__all__ = [
    "Mask",
    "build_lists",
    "build_maps",
    "build_structs",
    "conform",
    "convert_leaves",
    "entries",
    "flatten_lists",
    "list_lengths",
    "null_mask",
    "nulls_of",
    "take",
]

Mask = np.ndarray[Any, np.dtype[np.bool_]]

# --- walks --------------------------------------------------------------------------------------------


def convert_leaves(array: pa.Array, convert: Callable[[pa.Array, str], pa.Array], path: str = "") -> pa.Array:
    """Convert the arrays without parts inside a nested array; keys of maps stay as they are.

    Args:
        array: of any type.
        convert: gets each array without parts, and its path; it returns the array itself to leave it.
        path: the path of ``array``.

    Returns:
        The array itself where ``convert`` changed nothing.

    Example:
        >>> lists = pa.array([[1], [2, 3]])
        >>> convert_leaves(lists, lambda leaf, path: leaf.cast(pa.float64())).type
        ListType(list<item: double>)
    """
    dtype = array.type
    if pa.types.is_struct(dtype):
        parts, names = array.flatten(), [field.name for field in dtype]
        converted = [convert_leaves(part, convert, below(path, name)) for part, name in zip(parts, names)]
        unchanged = all(new is old for new, old in zip(converted, parts))
        return array if unchanged else build_structs(converted, names, array)
    if pa.types.is_map(dtype):
        keys, items, lengths = entries(array)
        values = convert_leaves(items, convert, f"{path}[]")
        return array if values is items else build_maps(lengths, keys, values, array)
    if pa.types.is_nested(dtype) and hasattr(dtype, "value_type"):
        items = flatten_lists(array)
        values = convert_leaves(items, convert, f"{path}[]")
        return array if values is items else build_lists(list_lengths(array), values, array)
    return convert(array, path)


def conform(
    array: pa.Array, target: pa.DataType, convert: Callable[[pa.Array, pa.DataType], pa.Array | None]
) -> pa.Array:
    """Rebuild a nested array in another nested type, with fields of structs by name.

    Args:
        array: of any type.
        target: a type of the same nesting. Fields that the array lacks are null.
        convert: gets an array and its target, from the outside to the inside; None means that the
            parts are converted instead.

    Example:
        >>> records = pa.array([{"b": 1}])
        >>> target = pa.struct([("a", pa.string()), ("b", pa.int64())])
        >>> conform(records, target, lambda part, dtype: part if part.type == dtype else None).to_pylist()
        [{'a': None, 'b': 1}]
    """
    converted = convert(array, target)
    if converted is not None:
        return converted
    if pa.types.is_struct(target):
        parts = dict(zip((field.name for field in array.type), array.flatten()))
        fields = [
            conform(parts[field.name], field.type, convert)
            if field.name in parts
            else pa.nulls(len(array), field.type)
            for field in target
        ]
        return build_structs(fields, [field.name for field in target], array)
    if pa.types.is_map(target):
        keys, items, lengths = entries(array)
        return build_maps(lengths, keys, conform(items, target.item_type, convert), array)
    return build_lists(list_lengths(array), conform(array.flatten(), target.value_type, convert), array)


# --- parts --------------------------------------------------------------------------------------------


def build_structs(parts: Sequence[pa.Array], names: Sequence[str], like: pa.Array) -> pa.StructArray:
    """Build structs of these parts, null where ``like`` is."""
    if not parts:
        return pa.array([None if null else {} for null in null_mask(like)], pa.struct([]))
    fields = [pa.field(name, part.type) for name, part in zip(names, parts)]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=nulls_of(like))


def nulls_of(array: pa.Array) -> pa.Array | None:
    """Return where an array is null, as pyarrow takes a mask; None if it has no nulls."""
    return array.is_null() if array.null_count else None


def null_mask(array: pa.Array) -> Mask:
    """Return where an array is null."""
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def list_lengths(array: pa.Array) -> np.ndarray[Any, Any]:
    """Return how many elements each list has; a null has none."""
    lengths: np.ndarray[Any, Any] = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def build_lists(lengths: np.ndarray[Any, Any], values: pa.Array, like: pa.Array) -> pa.ListArray:
    """Build lists of these lengths, null where ``like`` is."""
    return pa.ListArray.from_arrays(_offsets(lengths), values, mask=nulls_of(like))


def flatten_lists(array: pa.Array) -> pa.Array:
    """Return the elements of all lists that are not null."""
    is_plain = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
    try:
        if not is_plain and pa.types.is_dictionary(array.type.value_type):
            array = _decode_items(array)  # pyarrow would mix up the values of its other lists
        return array.flatten()
    except pa.ArrowException:  # dictionaries of nested values, or of views
        pass
    values = [item for items in array.to_pylist() if items is not None for item in items]
    return pa.array(values, _value_type(array.type.value_type))


def _decode_items(array: pa.Array) -> pa.Array:
    """Return an array of fixed-size lists, or of list views, whose items are plain and not a dictionary's."""
    items = array.values.dictionary_decode()
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        items = items.slice(array.offset * size, len(array) * size)
        return pa.FixedSizeListArray.from_arrays(items, size, mask=nulls_of(array))
    is_large = pa.types.is_large_list_view(array.type)
    views = pa.LargeListViewArray if is_large else pa.ListViewArray
    return views.from_arrays(array.offsets, array.sizes, items, mask=nulls_of(array))


def _value_type(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def take(array: pa.Array, places: pa.Array) -> pa.Array:
    """Return the values at some places; null where a place is null."""
    try:
        return array.take(places)
    except pa.ArrowNotImplementedError:  # of views, and of dictionaries of them
        values = array.to_pylist()
        taken = [None if place is None else values[place] for place in places.to_pylist()]
        return pa.array(taken, _value_type(array.type))


def entries(array: pa.MapArray) -> tuple[pa.Array, pa.Array, np.ndarray[Any, Any]]:
    """Return the keys and items of all maps that are not null, and how many each map has."""
    keys, items = array.keys, array.items
    if not len(array):  # an array without rows that was read from a stream may have no valid offsets
        return keys.slice(0, 0), items.slice(0, 0), np.zeros(0, dtype=np.int64)
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    lengths = np.diff(offsets)
    if array.null_count and (lengths[null_mask(array)] > 0).any():  # a null may have entries all the same
        keep = int(offsets[0]) + np.flatnonzero(np.repeat(~null_mask(array), lengths))
        chosen = pa.array(keep)
        return take(keys, chosen), take(items, chosen), np.where(null_mask(array), 0, lengths)
    first, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    return keys.slice(first, count), items.slice(first, count), lengths


def build_maps(lengths: np.ndarray[Any, Any], keys: pa.Array, items: pa.Array, like: pa.Array) -> pa.MapArray:
    """Build maps of these lengths, null where ``like`` is."""
    offsets = _offsets(lengths)
    if like.null_count:  # a map is null where its offset is
        mask = np.append(null_mask(like), False)
        offsets = pa.array(offsets.to_numpy(), pa.int32(), mask=mask)
    return pa.MapArray.from_arrays(offsets, keys, items)


def _offsets(lengths: np.ndarray[Any, Any]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets, pa.int32())
