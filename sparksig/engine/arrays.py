"""Functions that walk nested Arrow arrays, flatten them, and build them from their parts.

Values stay in Arrow buffers. Only a few types that pyarrow's kernels do not support become Python objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import transform_arrow
from sparksig.errors import below

Mask = np.ndarray[Any, np.dtype[np.bool_]]

# --- walks --------------------------------------------------------------------------------------------


def convert_leaves(array: pa.Array, convert: Callable[[pa.Array, str], pa.Array], path: str = "") -> pa.Array:
    """Convert the leaf arrays of a nested array; keys of maps are not converted.

    Return the array itself if nothing changed.

    ``convert`` receives each leaf array and its path.

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
        keys, items, lengths = flatten_maps(array)
        values = convert_leaves(items, convert, f"{path}[]")
        return array if values is items else build_maps(lengths, keys, values, array)
    if pa.types.is_nested(dtype) and hasattr(dtype, "value_type"):
        items = flatten_lists(array)
        values = convert_leaves(items, convert, f"{path}[]")
        return array if values is items else build_lists(measure_lists(array), values, array)
    return convert(array, path)


def conform(
    array: pa.Array, target: pa.DataType, convert: Callable[[pa.Array, pa.DataType], pa.Array | None]
) -> pa.Array:
    """Convert a nested array to another nested type, matching the fields of structs by name.

    Fields that the array lacks are filled with nulls. ``convert`` receives an array and its target type,
    outer arrays first; it returns None to have the parts converted instead.

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
        keys, items, lengths = flatten_maps(array)
        return build_maps(lengths, keys, conform(items, target.item_type, convert), array)
    return build_lists(measure_lists(array), conform(array.flatten(), target.value_type, convert), array)


# --- parts --------------------------------------------------------------------------------------------


def build_structs(parts: Sequence[pa.Array], names: Sequence[str], like: pa.Array) -> pa.StructArray:
    """Build structs from their parts; a struct is null where ``like`` is null."""
    if not parts:
        return pa.array([None if null else {} for null in get_null_mask(like)], pa.struct([]))
    fields = [pa.field(name, part.type) for name, part in zip(names, parts)]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=build_null_mask(like))


def build_null_mask(array: pa.Array) -> pa.Array | None:
    """Return the null mask of an array as pyarrow's constructors accept it: None if nothing is null."""
    return array.is_null() if array.null_count else None


def get_null_mask(array: pa.Array) -> Mask:
    """Return a boolean mask that is True where an array is null."""
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def measure_lists(array: pa.Array) -> np.ndarray[Any, Any]:
    """Return the number of elements of each list, 0 for a null."""
    lengths: np.ndarray[Any, Any] = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def build_lists(lengths: np.ndarray[Any, Any], values: pa.Array, like: pa.Array) -> pa.ListArray:
    """Build lists of the given lengths; a list is null where ``like`` is null."""
    return pa.ListArray.from_arrays(_build_offsets(lengths), values, mask=build_null_mask(like))


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
    return pa.array(values, decode_type(array.type.value_type))


def _decode_items(array: pa.Array) -> pa.Array:
    """Return an array of fixed-size lists, or of list views, whose items are plain and not a dictionary's."""
    items = array.values.dictionary_decode()
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        items = items.slice(array.offset * size, len(array) * size)
        return pa.FixedSizeListArray.from_arrays(items, size, mask=build_null_mask(array))
    is_large = pa.types.is_large_list_view(array.type)
    views = pa.LargeListViewArray if is_large else pa.ListViewArray
    return views.from_arrays(array.offsets, array.sizes, items, mask=build_null_mask(array))


def decode_type(dtype: pa.DataType) -> pa.DataType:
    """Replace dictionary types, at every depth, by the types of their values."""
    return transform_arrow(
        dtype, lambda leaf: decode_type(leaf.value_type) if pa.types.is_dictionary(leaf) else leaf
    )


def take(array: pa.Array, positions: pa.Array) -> pa.Array:
    """Return the values at some positions; a null position gives a null."""
    try:
        return array.take(positions)
    except pa.ArrowNotImplementedError:  # raised for views and for dictionaries of views
        values = array.to_pylist()
        chosen = [None if position is None else values[position] for position in positions.to_pylist()]
        return pa.array(chosen, decode_type(array.type))


def flatten_maps(array: pa.MapArray) -> tuple[pa.Array, pa.Array, np.ndarray[Any, Any]]:
    """Return the keys and the items of all maps that are not null, and the number of entries of each map."""
    keys, items = array.keys, array.items
    if not len(array):  # an array without rows that was read from a stream may have no valid offsets
        return keys.slice(0, 0), items.slice(0, 0), np.zeros(0, dtype=np.int64)
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    lengths = np.diff(offsets)
    if array.null_count and (lengths[get_null_mask(array)] > 0).any():  # Arrow allows entries behind a null
        entries = int(offsets[0]) + np.flatnonzero(np.repeat(~get_null_mask(array), lengths))
        positions = pa.array(entries)
        return take(keys, positions), take(items, positions), np.where(get_null_mask(array), 0, lengths)
    first, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    return keys.slice(first, count), items.slice(first, count), lengths


def build_maps(lengths: np.ndarray[Any, Any], keys: pa.Array, items: pa.Array, like: pa.Array) -> pa.MapArray:
    """Build maps of the given lengths; a map is null where ``like`` is null."""
    offsets = _build_offsets(lengths)
    if like.null_count:  # Arrow builds a null map where an offset is null
        mask = np.append(get_null_mask(like), False)
        offsets = pa.array(offsets.to_numpy(), pa.int32(), mask=mask)
    return pa.MapArray.from_arrays(offsets, keys, items)


def _build_offsets(lengths: np.ndarray[Any, Any]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets, pa.int32())
