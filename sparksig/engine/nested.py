"""Composite columns in Arrow kernels: lists by their offsets, structs and maps by their parts.

A column is compiled into a tree of nodes, one for each type in it. A node hands an array on as it is, without
a copy, where there is nothing to convert below it; no value ever becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    list_lengths,
    null_mask,
    take,
)
from sparksig.engine.findings import RANGE_HINT, Location, format_null_hint
from sparksig.engine.kernels import choose_kernel, decode_dictionary, to_local_nanoseconds
from sparksig.engine.vectors import convert_vectors
from sparksig.errors import Code, ConversionError, below
from sparksig.lattice import NEVER_NULL
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe

__all__ = ["Node", "Rules", "compile_node"]


class Rules(NamedTuple):
    """How strictly a schema is taken.

    Attributes:
        strict_nulls: whether required columns and properties of every type refuse nulls.
        forbid: whether keys that an object does not declare are refused.
    """

    strict_nulls: bool = False
    forbid: bool = False


Step = Callable[[pa.Array, Location], pa.Array]


@dataclass(frozen=True)
class Node:
    """What becomes of the values at one path.

    Attributes:
        path: where they stand.
        dtype: what the contract declares there.
        target: the Arrow type in which the model receives them.
        step: converts them; None where they have their type already.
        no_nulls: whether nulls are refused.
        encoded: whether they come as a dictionary.
    """

    path: str
    dtype: Type
    target: pa.DataType
    step: Step | None
    no_nulls: bool
    encoded: bool

    @property
    def trivial(self) -> bool:
        """Whether there is nothing to convert and nothing to check."""
        return self.step is None and not self.no_nulls and not self.encoded

    def apply(self, array: pa.Array, place: Location) -> pa.Array:
        """The values as the contract declares them; the array itself where nothing is to be done."""
        if self.encoded and pa.types.is_dictionary(array.type):
            array = decode_dictionary(array)
        if self.no_nulls and array.null_count:
            nulls = array.is_null().to_numpy(zero_copy_only=False)
            place.report(
                nulls,
                Code.NULL_IN_REQUIRED,
                self.path,
                f"{describe(self.dtype)} without nulls",
                "nulls",
                format_null_hint(self.dtype),
            )
        return array if self.step is None else self.step(array, place)


def compile_node(arrow_type: pa.DataType, dtype: Type, path: str, *, required: bool, rules: Rules) -> Node:
    """The node for values of ``arrow_type``, which the casting table has let through to ``dtype``."""
    encoded = pa.types.is_dictionary(arrow_type)
    held = arrow_type.value_type if encoded else arrow_type
    target, step = _compile(held, dtype, path, rules)
    no_nulls = required and (rules.strict_nulls or dtype in NEVER_NULL)
    return Node(path, dtype, target, step, no_nulls, encoded)


def _compile(held: pa.DataType, dtype: Type, path: str, rules: Rules) -> tuple[pa.DataType, Step | None]:
    if isinstance(dtype, AnyType):
        return held, None
    if pa.types.is_null(held):
        target = _arrow_type(dtype)
        return (held, None) if target is None else (target, lambda array, place: pa.nulls(len(array), target))
    if dtype is DataType.datetime:
        return to_arrow(dtype), _times(path)
    if isinstance(dtype, DataType):
        target = to_arrow(dtype)
        kernel = choose_kernel(held, target)
        return target, None if kernel is None else lambda array, place: kernel(array)
    if isinstance(dtype, SparkMLVector) and pa.types.is_struct(held):
        return to_arrow(dtype), lambda array, place: convert_vectors(array, place, path)
    if isinstance(dtype, Array):
        return _compile_list(held, dtype, path, rules)
    if isinstance(dtype, Map):
        if pa.types.is_struct(held):
            return _compile_struct_as_map(held, dtype, path, rules)
        return _compile_map(held, dtype, path, rules)
    assert isinstance(dtype, Object)
    if pa.types.is_map(held):
        return _compile_map_as_struct(held, dtype, path, rules)
    return _compile_struct(held, dtype, path, rules)


def _arrow_type(dtype: Type) -> pa.DataType | None:
    """The Arrow type of a signature type; None where Any is in it, for which there is none."""
    try:
        return to_arrow(dtype)
    except ConversionError:
        return None


def _times(path: str) -> Step:
    def step(array: pa.Array, place: Location) -> pa.Array:
        walls, outside = to_local_nanoseconds(array)
        walls = array if walls.type == array.type and array.type.tz is None else walls
        if outside.any():
            place.report(
                outside,
                Code.OUT_OF_RANGE,
                path,
                "instants that nanoseconds can hold",
                "others",
                RANGE_HINT,
                array,
            )
        return walls

    return step


# --- lists --------------------------------------------------------------------------------------------


def _compile_list(
    held: pa.DataType, dtype: Array, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    item = compile_node(held.value_type, dtype.dtype, f"{path}[]", required=False, rules=rules)
    target = pa.list_(item.target)
    plain = pa.types.is_list(held)
    if item.trivial and plain:
        return held, None

    def step(array: pa.Array, place: Location) -> pa.Array:
        values = flatten_lists(array)
        lengths = list_lengths(array)
        converted = values if item.trivial else item.apply(values, place.inside(lengths))
        if plain and converted is values:
            return array
        return build_lists(lengths, converted, array)

    return target, step


# --- structs ------------------------------------------------------------------------------------------


def _compile_struct(
    held: pa.StructType, dtype: Object, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    indices, nodes, names = [], [], []
    for prop in dtype.properties:
        index = held.get_field_index(prop.name)
        if index < 0:  # optional, or the casting table would have refused it
            continue
        where = below(path, prop.name)
        node = compile_node(held.field(index).type, prop.dtype, where, required=prop.required, rules=rules)
        indices.append(index)
        nodes.append(node)
        names.append(prop.name)
    same = indices == list(range(held.num_fields))
    if same and all(node.trivial for node in nodes):
        return held, None
    target = pa.struct([pa.field(name, node.target) for name, node in zip(names, nodes)])

    def step(array: pa.Array, place: Location) -> pa.Array:
        # flatten takes the struct's own nulls over into the parts, field does not
        parts = array.flatten() if array.null_count else [array.field(i) for i in range(held.num_fields)]
        chosen = [parts[index] for index in indices]
        within = _present(array, place)
        converted = [_apply_present(node, part, within) for node, part in zip(nodes, chosen)]
        if same and all(new is old for new, old in zip(converted, chosen)):
            return array
        return build_structs(converted, names, array)

    return target, step


@dataclass(frozen=True)
class _Within:
    """A place inside a struct: what is null because the struct is does not count."""

    place: Location
    absent: Mask | None


def _present(array: pa.Array, place: Location) -> _Within:
    return _Within(place, null_mask(array) if array.null_count else None)


def _apply_present(node: Node, part: pa.Array, within: _Within) -> pa.Array:
    if node.trivial:
        return part
    if within.absent is None or not node.no_nulls:
        return node.apply(part, within.place)
    part = decode_dictionary(part) if pa.types.is_dictionary(part.type) else part
    nulls = null_mask(part) & ~within.absent
    quiet = Node(node.path, node.dtype, node.target, node.step, False, False)
    converted = quiet.apply(part, within.place)
    if nulls.any():
        expected = f"{describe(node.dtype)} without nulls"
        within.place.report(
            nulls, Code.NULL_IN_REQUIRED, node.path, expected, "nulls", format_null_hint(node.dtype)
        )
    return converted


# --- maps ---------------------------------------------------------------------------------------------


def _compile_map(held: pa.MapType, dtype: Map, path: str, rules: Rules) -> tuple[pa.DataType, Step | None]:
    key = compile_node(held.key_type, DataType.string, path, required=False, rules=rules)
    item = compile_node(held.item_type, dtype.value_type, f"{path}[]", required=False, rules=rules)
    target = held if key.trivial and item.trivial else pa.map_(key.target, item.target)

    def step(array: pa.Array, place: Location) -> pa.Array:
        keys, items, lengths = flatten_maps(array)
        inner = place.inside(lengths)
        converted, plain = item.apply(items, inner), key.apply(keys, inner)
        _check_twins(plain, lengths, path, inner)
        if key.trivial and converted is items:
            return array
        return build_maps(lengths, plain, converted, array)

    return target, step


def _check_twins(keys: pa.Array, lengths: np.ndarray[Any, Any], path: str, place: Location) -> None:
    """A key that stands twice in one map would lose a value."""
    if not len(keys):
        return
    known = pc.dictionary_encode(keys).indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((known, owners))
    twins = np.zeros(len(keys), dtype=bool)
    twins[order[1:]] = (np.diff(known[order]) == 0) & (np.diff(owners[order]) == 0)
    if twins.any():
        place.report(twins, Code.DUPLICATE_NAME, path, "keys that differ", "keys that stand twice", "")


def _compile_map_as_struct(
    held: pa.MapType, dtype: Object, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    key = compile_node(held.key_type, DataType.string, path, required=False, rules=rules)
    nodes = [
        compile_node(held.item_type, prop.dtype, below(path, prop.name), required=prop.required, rules=rules)
        for prop in dtype.properties
    ]
    names = [prop.name for prop in dtype.properties]
    target = pa.struct([pa.field(name, node.target) for name, node in zip(names, nodes)])

    def step(array: pa.Array, place: Location) -> pa.Array:
        keys, items, lengths = flatten_maps(array)
        plain = key.apply(keys, place)
        owners = np.repeat(np.arange(len(array)), lengths)
        if rules.forbid:
            strange = ~pc.is_in(plain, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
            rows = np.zeros(len(array), dtype=bool)
            rows[owners[strange]] = True
            if rows.any():
                expected = "no key beside the declared ones"
                place.report(rows, Code.UNKNOWN_KEY, path, expected, "keys more", "")
        absent = null_mask(array)
        within = _present(array, place)
        parts = []
        _check_twins(plain, lengths, path, place.inside(lengths))
        known = pc.index_in(plain, pa.array(names, pa.string())).fill_null(-1)
        number = known.to_numpy(zero_copy_only=False)
        order = np.argsort(number, kind="stable")
        bounds = np.searchsorted(number[order], np.arange(len(names) + 1))
        for index, (prop, node) in enumerate(zip(dtype.properties, nodes)):
            hits = order[bounds[index] : bounds[index + 1]]
            where = np.full(len(array), -1, dtype=np.int64)
            where[owners[hits]] = hits  # of a key that stands twice, the last
            missing = (where < 0) & ~absent
            if prop.required and missing.any():
                place.report(
                    missing, Code.MISSING_FIELD, node.path, describe(prop.dtype), "maps without that key", ""
                )
            taken = take(items, pa.array(where, mask=where < 0))
            blank = None if within.absent is None and not missing.any() else absent | missing
            parts.append(_apply_present(node, taken, _Within(place, blank)))
        return build_structs(parts, names, array)

    return target, step


def _compile_struct_as_map(
    held: pa.StructType, dtype: Map, path: str, rules: Rules
) -> tuple[pa.DataType, Step | None]:
    parts = [held.field(index) for index in range(held.num_fields)]
    nodes = [
        compile_node(part.type, dtype.value_type, below(path, part.name), required=False, rules=rules)
        for part in parts
    ]
    value = _arrow_type(dtype.value_type)
    if value is None and len({node.target for node in nodes}) == 1:
        value = nodes[0].target
    if value is None:  # fields of several types, as Any lets them be: no map holds them
        return held, None if all(node.trivial for node in nodes) else _parts_of_struct(held, nodes)
    value = transform_arrow(value, lambda leaf: leaf)  # nullable, for some parts may have nulls
    target = pa.map_(pa.string(), value)
    names = np.array([part.name for part in parts], dtype=object)

    def step(array: pa.Array, place: Location) -> pa.Array:
        chosen = array.flatten()
        converted = [conform(node.apply(part, place), value, _pad) for node, part in zip(nodes, chosen)]
        rows, width = np.flatnonzero(~null_mask(array)), len(parts)
        order = (np.arange(width) * len(array) + rows[:, None]).ravel()  # row by row, each field in turn
        items = pa.concat_arrays(converted).take(pa.array(order)) if converted else pa.nulls(0, value)
        keys = pa.array(np.tile(names, len(rows)), pa.string())
        lengths = np.where(null_mask(array), 0, width)
        return build_maps(lengths, keys, items, array)

    return target, step


def _parts_of_struct(held: pa.StructType, nodes: list[Node]) -> Step:
    """Checks and converts the fields, each by itself, and leaves them a struct."""

    def step(array: pa.Array, place: Location) -> pa.Array:
        converted = [node.apply(part, place) for node, part in zip(nodes, array.flatten())]
        return build_structs(converted, [field.name for field in held], array)

    return step


def _pad(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return an array that has its type already, or nulls for one that is all null."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    return array if array.type == target else None
