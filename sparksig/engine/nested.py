"""Conversion of composite columns in Arrow kernels: lists by their offsets, structs and maps by their parts.

A column is compiled to a tree of nodes, one for each nested type. A node returns its array without a copy if
nothing inside needs conversion. No value becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import to_arrow, transform_arrow
from sparksig.engine.arrays import (
    Mask,
    build_lists,
    build_maps,
    build_structs,
    conform,
    flatten_lists,
    flatten_maps,
    get_null_mask,
    measure_lists,
    take,
)
from sparksig.engine.findings import IN_RANGE, OUT_OF_RANGE, RANGE_HINT, Location, format_null_hint
from sparksig.engine.kernels import choose_kernel, decode_dictionary, to_local_nanoseconds
from sparksig.engine.vectors import convert_vectors
from sparksig.errors import Code, ConversionError, below
from sparksig.lattice import NEVER_NULL
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe


class Rules(NamedTuple):
    """Options of enforcement: refuse nulls in required columns of every type, or undeclared keys."""

    strict_nulls: bool = False
    forbid: bool = False


Step = Callable[[pa.Array, Location], pa.Array]


@dataclass(frozen=True)
class Node:
    """The check and the conversion of the values at one path."""

    path: str
    dtype: Type
    target: pa.DataType  # the Arrow type that the model receives
    step: Step | None  # the conversion; None if the values already have the target type
    no_nulls: bool  # whether nulls are refused
    encoded: bool  # whether the values are dictionary-encoded

    @property
    def is_trivial(self) -> bool:
        """Return whether the node neither checks nor converts anything."""
        return self.step is None and not self.no_nulls and not self.encoded

    def apply(self, array: pa.Array, location: Location) -> pa.Array:
        """Check and convert an array; return the array itself if nothing had to be converted."""
        if self.encoded and pa.types.is_dictionary(array.type):
            array = decode_dictionary(array)
        if self.no_nulls and array.null_count:
            self.report_nulls(get_null_mask(array), location)
        return array if self.step is None else self.step(array, location)

    def report_nulls(self, nulls: Mask, location: Location) -> None:
        """Report nulls of values that are required."""
        expected, hint = f"{describe(self.dtype)} without nulls", format_null_hint(self.dtype)
        location.report(nulls, Code.NULL_IN_REQUIRED, self.path, expected, "nulls", hint)


def compile_node(arrow_type: pa.DataType, dtype: Type, path: str, *, required: bool, rules: Rules) -> Node:
    """Compile the node for values of ``arrow_type`` that the casting table widens to ``dtype``."""
    encoded = pa.types.is_dictionary(arrow_type)
    value_type = arrow_type.value_type if encoded else arrow_type
    target, step = _compile(value_type, dtype, path, rules)
    no_nulls = required and (rules.strict_nulls or dtype in NEVER_NULL)
    return Node(path, dtype, target, step, no_nulls, encoded)


def _compile(
    arrow_type: pa.DataType, dtype: Type, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    if isinstance(dtype, AnyType):
        return arrow_type, None
    if pa.types.is_null(arrow_type):
        target = _find_arrow_type(dtype)
        return (
            (arrow_type, None)
            if target is None
            else (target, lambda array, location: pa.nulls(len(array), target))
        )
    if dtype is DataType.datetime:
        return to_arrow(dtype), _compile_times(path)
    if isinstance(dtype, DataType):
        target = to_arrow(dtype)
        kernel = choose_kernel(arrow_type, target)
        return target, None if kernel is None else lambda array, location: kernel(array)
    if isinstance(dtype, SparkMLVector) and pa.types.is_struct(arrow_type):
        return to_arrow(dtype), lambda array, location: convert_vectors(array, location, path)
    if isinstance(dtype, Array):
        return _compile_list(arrow_type, dtype, path, rules)
    if isinstance(dtype, Map):
        if pa.types.is_struct(arrow_type):
            return _compile_struct_as_map(arrow_type, dtype, path, rules)
        return _compile_map(arrow_type, dtype, path, rules)
    assert isinstance(dtype, Object)
    if pa.types.is_map(arrow_type):
        return _compile_map_as_struct(arrow_type, dtype, path, rules)
    return _compile_struct(arrow_type, dtype, path, rules)


def _find_arrow_type(dtype: Type) -> pa.DataType | None:
    """Return the Arrow type of a signature type; None if it contains Any, which has no Arrow type."""
    try:
        return to_arrow(dtype)
    except ConversionError:
        return None


def _compile_times(path: str) -> Step:
    def step(array: pa.Array, location: Location) -> pa.Array:
        local_times, outside = to_local_nanoseconds(array)
        is_unchanged = local_times.type == array.type and array.type.tz is None
        if outside.any():
            location.report(outside, Code.OUT_OF_RANGE, path, IN_RANGE, OUT_OF_RANGE, RANGE_HINT, array)
        return array if is_unchanged else local_times

    return step


# --- lists --------------------------------------------------------------------------------------------


def _compile_list(
    arrow_type: pa.DataType, dtype: Array, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    item = compile_node(arrow_type.value_type, dtype.dtype, f"{path}[]", required=False, rules=rules)
    target = pa.list_(item.target)
    is_list = pa.types.is_list(arrow_type)
    if item.is_trivial and is_list:
        return arrow_type, None

    def step(array: pa.Array, location: Location) -> pa.Array:
        values = flatten_lists(array)
        lengths = measure_lists(array)
        converted = values if item.is_trivial else item.apply(values, location.enter_lists(lengths))
        if is_list and converted is values:
            return array
        return build_lists(lengths, converted, array)

    return target, step


# --- structs ------------------------------------------------------------------------------------------


def _compile_struct(
    arrow_type: pa.StructType, dtype: Object, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    indices, nodes, names = [], [], []
    for prop in dtype.properties:
        index = arrow_type.get_field_index(prop.name)
        if index < 0:  # an absent optional property; the casting table refuses other missing fields
            continue
        part, part_path = arrow_type.field(index), below(path, prop.name)
        node = compile_node(part.type, prop.dtype, part_path, required=prop.required, rules=rules)
        indices.append(index)
        nodes.append(node)
        names.append(prop.name)
    same_order = indices == list(range(arrow_type.num_fields))
    if same_order and all(node.is_trivial for node in nodes):
        return arrow_type, None
    target = pa.struct([pa.field(name, node.target) for name, node in zip(names, nodes)])

    def step(array: pa.Array, location: Location) -> pa.Array:
        # flatten() makes a field null where the struct is null, field() does not
        parts = (
            array.flatten() if array.null_count else [array.field(i) for i in range(arrow_type.num_fields)]
        )
        chosen = [parts[index] for index in indices]
        within = _Within(location, get_null_mask(array) if array.null_count else None)
        converted = [_apply_inside(node, part, within) for node, part in zip(nodes, chosen)]
        if same_order and all(new is old for new, old in zip(converted, chosen)):
            return array
        return build_structs(converted, names, array)

    return target, step


@dataclass(frozen=True)
class _Within:
    """A location inside a struct; fields of null structs are null themselves and are not reported."""

    location: Location
    absent: Mask | None  # the null structs; None if there are none


def _apply_inside(node: Node, part: pa.Array, within: _Within) -> pa.Array:
    if node.is_trivial:
        return part
    if within.absent is None or not node.no_nulls:
        return node.apply(part, within.location)
    part = decode_dictionary(part) if pa.types.is_dictionary(part.type) else part
    nulls = get_null_mask(part) & ~within.absent
    unchecked = replace(node, no_nulls=False, encoded=False)
    converted = unchecked.apply(part, within.location)
    if nulls.any():
        node.report_nulls(nulls, within.location)
    return converted


# --- maps ---------------------------------------------------------------------------------------------


def _compile_map(
    arrow_type: pa.MapType, dtype: Map, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    key = compile_node(arrow_type.key_type, DataType.string, path, required=False, rules=rules)
    item = compile_node(arrow_type.item_type, dtype.value_type, f"{path}[]", required=False, rules=rules)
    target = arrow_type if key.is_trivial and item.is_trivial else pa.map_(key.target, item.target)

    def step(array: pa.Array, location: Location) -> pa.Array:
        keys, items, lengths = flatten_maps(array)
        inner = location.enter_lists(lengths)
        converted_items, converted_keys = item.apply(items, inner), key.apply(keys, inner)
        _check_duplicate_keys(converted_keys, lengths, path, inner)
        if key.is_trivial and converted_items is items:
            return array
        return build_maps(lengths, converted_keys, converted_items, array)

    return target, step


def _check_duplicate_keys(
    keys: pa.Array, lengths: np.ndarray[Any, Any], path: str, location: Location
) -> None:
    """Report duplicate keys within a map: a dictionary would lose a value."""
    if not len(keys):
        return
    codes = pc.dictionary_encode(keys).indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((codes, owners))
    duplicates = np.zeros(len(keys), dtype=bool)
    duplicates[order[1:]] = (np.diff(codes[order]) == 0) & (np.diff(owners[order]) == 0)
    if duplicates.any():
        location.report(duplicates, Code.DUPLICATE_NAME, path, "unique keys", "duplicate keys", "")


def _compile_map_as_struct(
    arrow_type: pa.MapType, dtype: Object, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    key = compile_node(arrow_type.key_type, DataType.string, path, required=False, rules=rules)
    nodes = [
        compile_node(
            arrow_type.item_type, prop.dtype, below(path, prop.name), required=prop.required, rules=rules
        )
        for prop in dtype.properties
    ]
    names = [prop.name for prop in dtype.properties]
    target = pa.struct([pa.field(name, node.target) for name, node in zip(names, nodes)])

    def step(array: pa.Array, location: Location) -> pa.Array:
        keys, items, lengths = flatten_maps(array)
        keys = key.apply(keys, location)
        owners = np.repeat(np.arange(len(array)), lengths)
        indices = pc.index_in(keys, pa.array(names, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
        if rules.forbid and (indices < 0).any():
            rows = np.zeros(len(array), dtype=bool)
            rows[owners[indices < 0]] = True
            location.report(rows, Code.UNKNOWN_KEY, path, "only declared keys", "undeclared keys", "")
        _check_duplicate_keys(keys, lengths, path, location.enter_lists(lengths))
        null_maps = get_null_mask(array)
        order = np.argsort(indices, kind="stable")
        bounds = np.searchsorted(indices[order], np.arange(len(names) + 1))
        parts = []
        for index, (prop, node) in enumerate(zip(dtype.properties, nodes)):
            entries = order[bounds[index] : bounds[index + 1]]
            positions = np.full(len(array), -1, dtype=np.int64)
            positions[owners[entries]] = entries  # the last entry of a duplicate key
            missing = (positions < 0) & ~null_maps
            if prop.required and missing.any():
                expected = describe(prop.dtype)
                location.report(missing, Code.MISSING_FIELD, node.path, expected, "maps without that key", "")
            values = take(items, pa.array(positions, mask=positions < 0))
            absent = null_maps | missing if array.null_count or missing.any() else None
            parts.append(_apply_inside(node, values, _Within(location, absent)))
        return build_structs(parts, names, array)

    return target, step


def _compile_struct_as_map(
    arrow_type: pa.StructType, dtype: Map, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    parts = [arrow_type.field(index) for index in range(arrow_type.num_fields)]
    nodes = [
        compile_node(part.type, dtype.value_type, below(path, part.name), required=False, rules=rules)
        for part in parts
    ]
    value_type = _find_arrow_type(dtype.value_type)
    if value_type is None and len({node.target for node in nodes}) == 1:
        value_type = nodes[0].target
    if value_type is None:  # Any allows fields of several types, which a map cannot contain
        is_trivial = all(node.is_trivial for node in nodes)
        return arrow_type, None if is_trivial else _convert_fields(arrow_type, nodes)
    value_type = transform_arrow(value_type, lambda leaf: leaf)  # makes all parts nullable
    target = pa.map_(pa.string(), value_type)
    names = np.array([part.name for part in parts], dtype=object)

    def step(array: pa.Array, location: Location) -> pa.Array:
        chosen = array.flatten()
        converted = [
            conform(node.apply(part, location), value_type, _pad) for node, part in zip(nodes, chosen)
        ]
        rows, width = np.flatnonzero(~get_null_mask(array)), len(parts)
        # row by row, all fields of a row in order
        order = (np.arange(width) * len(array) + rows[:, None]).ravel()
        items = pa.concat_arrays(converted).take(pa.array(order)) if converted else pa.nulls(0, value_type)
        keys = pa.array(np.tile(names, len(rows)), pa.string())
        lengths = np.where(get_null_mask(array), 0, width)
        return build_maps(lengths, keys, items, array)

    return target, step


def _convert_fields(arrow_type: pa.StructType, nodes: list[Node]) -> Step:
    """Return a step that checks and converts each field of a struct, without building a map."""

    def step(array: pa.Array, location: Location) -> pa.Array:
        converted = [node.apply(part, location) for node, part in zip(nodes, array.flatten())]
        return build_structs(converted, [field.name for field in arrow_type], array)

    return step


def _pad(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return an array of the target type unchanged, or nulls of this type for an array of the null type."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    return array if array.type == target else None
