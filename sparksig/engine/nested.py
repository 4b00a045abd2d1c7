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

from sparksig.convert.arrow import to_arrow
from sparksig.engine.findings import FIRST_ROWS, RANGE_HINT, SHOWN, null_hint
from sparksig.engine.kernels import decoded, nanosecond_wall_times, scalar_kernel
from sparksig.errors import Code, ConversionError, Finding, below
from sparksig.lattice import NEVER_NULL
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe

__all__ = ["Node", "Place", "Rows", "Rules", "compile_node", "entries", "lists", "mapped"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Rules(NamedTuple):
    """How strictly a schema is taken.

    Attributes:
        strict_nulls: whether required columns and properties of every type refuse nulls.
        forbid: whether keys that an object does not declare are refused.
    """

    strict_nulls: bool = False
    forbid: bool = False


class Rows:
    """From the places of values inside lists to the rows that they belong to; worked out when asked for."""

    def __init__(
        self, outer: Rows | None = None, lengths: np.ndarray[Any, Any] | None = None, first: int = 0
    ) -> None:
        self._outer, self._lengths, self._first = outer, lengths, first

    def of(self, mask: Mask) -> np.ndarray[Any, Any]:
        """The rows, in order and each once, of the places where ``mask`` is True."""
        return np.unique(self._resolve(np.flatnonzero(mask)))

    def _resolve(self, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._outer is None or self._lengths is None:
            return places + self._first
        return self._outer._resolve(np.searchsorted(np.cumsum(self._lengths), places, side="right"))


@dataclass(frozen=True)
class Place:
    """Where values stand, and where to report what is wrong with them."""

    rows: Rows
    findings: list[Finding]
    show_values: bool = False
    first_rows: int | None = FIRST_ROWS  # how many a finding names; None for all

    def inside(self, lengths: np.ndarray[Any, Any]) -> Place:
        """The place of the values in lists of these lengths."""
        return Place(Rows(self.rows, lengths), self.findings, self.show_values, self.first_rows)

    def report(
        self, mask: Mask, code: Code, path: str, expected: str, found: str, hint: str, held: Any = None
    ) -> None:
        """Add the finding that values are wrong where ``mask`` is True, of the array ``held``."""
        rows = self.rows.of(mask)
        if self.show_values and held is not None:
            shown = held.filter(pa.array(mask))[:SHOWN].cast(pa.string()).to_pylist()
            found = f"{found}: {', '.join(map(str, shown))}"
        first = tuple(int(row) for row in rows[: self.first_rows])
        self.findings.append(Finding(code, path, expected, found, hint, len(rows), first))


Step = Callable[[pa.Array, Place], pa.Array]


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

    def apply(self, array: pa.Array, place: Place) -> pa.Array:
        """The values as the contract declares them; the array itself where nothing is to be done."""
        if self.encoded and pa.types.is_dictionary(array.type):
            array = decoded(array)
        if self.no_nulls and array.null_count:
            nulls = array.is_null().to_numpy(zero_copy_only=False)
            place.report(
                nulls,
                Code.NULL_IN_REQUIRED,
                self.path,
                f"{describe(self.dtype)} without nulls",
                "nulls",
                null_hint(self.dtype),
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
        kernel = scalar_kernel(held, target)
        return target, None if kernel is None else lambda array, place: kernel(array)
    if isinstance(dtype, SparkMLVector) and pa.types.is_struct(held):
        return to_arrow(dtype), _vectors(path)
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
    def step(array: pa.Array, place: Place) -> pa.Array:
        walls, outside = nanosecond_wall_times(array)
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

    def step(array: pa.Array, place: Place) -> pa.Array:
        values = _flattened(array)
        lengths = _lengths(array)
        converted = values if item.trivial else item.apply(values, place.inside(lengths))
        if plain and converted is values:
            return array
        return _lists(lengths, converted, array)

    return target, step


def _flattened(array: pa.Array) -> pa.Array:
    """The elements of all lists that are there."""
    item = array.type.value_type
    views = not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)) and array.type.num_fields
    if not (views and pa.types.is_dictionary(item)):  # which pyarrow's views of lists mix up
        try:
            return array.flatten()
        except pa.ArrowException:  # dictionaries of nested values
            pass
    values = [one for held in array.to_pylist() if held is not None for one in held]
    return pa.array(values, _plain_type(item))


def _plain_type(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def _taken(array: pa.Array, places: pa.Array) -> pa.Array:
    try:
        return array.take(places)
    except pa.ArrowNotImplementedError:  # of views, and of dictionaries of them
        held = array.to_pylist()
        return pa.array(
            [None if at is None else held[at] for at in places.to_pylist()], _plain_type(array.type)
        )


def _lengths(array: pa.Array) -> np.ndarray[Any, Any]:
    lengths: np.ndarray[Any, Any] = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def _lists(lengths: np.ndarray[Any, Any], values: pa.Array, like: pa.Array) -> pa.ListArray:
    """Lists of these lengths, null where ``like`` is."""
    return pa.ListArray.from_arrays(_offsets(lengths), values, mask=_nulls(like))


def lists(like: pa.ListArray, values: pa.Array) -> pa.ListArray:
    """Lists as those of ``like``, null where they are, of other values: as many as it has."""
    return _lists(_lengths(like), values, like)


def mapped(array: pa.MapArray, convert: Callable[[pa.Array], pa.Array]) -> pa.MapArray:
    """Maps with their items converted."""
    keys, items, lengths = entries(array)
    converted = convert(items)
    return array if converted is items else _maps(lengths, keys, converted, array)


def _offsets(lengths: np.ndarray[Any, Any]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets, pa.int32())


def _nulls(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


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

    def step(array: pa.Array, place: Place) -> pa.Array:
        # flatten takes the struct's own nulls over into the parts, field does not
        parts = array.flatten() if array.null_count else [array.field(i) for i in range(held.num_fields)]
        chosen = [parts[index] for index in indices]
        within = _present(array, place)
        converted = [_apply_present(node, part, within) for node, part in zip(nodes, chosen)]
        if same and all(new is old for new, old in zip(converted, chosen)):
            return array
        return _struct(converted, target, array)

    return target, step


@dataclass(frozen=True)
class _Within:
    """A place inside a struct: what is null because the struct is does not count."""

    place: Place
    absent: Mask | None


def _present(array: pa.Array, place: Place) -> _Within:
    return _Within(place, array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None)


def _apply_present(node: Node, part: pa.Array, within: _Within) -> pa.Array:
    if node.trivial:
        return part
    if within.absent is None or not node.no_nulls:
        return node.apply(part, within.place)
    part = decoded(part) if pa.types.is_dictionary(part.type) else part
    nulls = part.is_null().to_numpy(zero_copy_only=False) & ~within.absent
    quiet = Node(node.path, node.dtype, node.target, node.step, False, False)
    converted = quiet.apply(part, within.place)
    if nulls.any():
        expected = f"{describe(node.dtype)} without nulls"
        within.place.report(nulls, Code.NULL_IN_REQUIRED, node.path, expected, "nulls", null_hint(node.dtype))
    return converted


def _struct(parts: list[pa.Array], target: pa.StructType, like: pa.Array) -> pa.StructArray:
    fields = [target.field(index).with_type(part.type) for index, part in enumerate(parts)]
    if not fields:  # an object of which the data has no property
        return pa.array([None if null else {} for null in like.is_null().to_pylist()], pa.struct([]))
    return pa.StructArray.from_arrays(parts, fields=fields, mask=_nulls(like))


# --- maps ---------------------------------------------------------------------------------------------


def _compile_map(held: pa.MapType, dtype: Map, path: str, rules: Rules) -> tuple[pa.DataType, Step | None]:
    key = compile_node(held.key_type, DataType.string, path, required=False, rules=rules)
    item = compile_node(held.item_type, dtype.value_type, f"{path}[]", required=False, rules=rules)
    target = held if key.trivial and item.trivial else pa.map_(key.target, item.target)

    def step(array: pa.Array, place: Place) -> pa.Array:
        keys, items, lengths = entries(array)
        inner = place.inside(lengths)
        converted, plain = item.apply(items, inner), key.apply(keys, inner)
        _check_twins(plain, lengths, path, inner)
        if key.trivial and converted is items:
            return array
        return _maps(lengths, plain, converted, array)

    return target, step


def _check_twins(keys: pa.Array, lengths: np.ndarray[Any, Any], path: str, place: Place) -> None:
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


def entries(array: pa.MapArray) -> tuple[pa.Array, pa.Array, np.ndarray[Any, Any]]:
    """The keys and items of all maps that are there, and how many each has."""
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    lengths = np.diff(offsets)
    keys, items = array.keys, array.items
    if array.null_count and (lengths[_mask(array)] > 0).any():  # a null may have entries all the same
        keep = int(offsets[0]) + np.flatnonzero(np.repeat(~_mask(array), lengths))
        chosen = pa.array(keep)
        return _taken(keys, chosen), _taken(items, chosen), np.where(_mask(array), 0, lengths)
    first, count = (int(offsets[0]), int(offsets[-1] - offsets[0])) if len(offsets) else (0, 0)
    return keys.slice(first, count), items.slice(first, count), lengths


def _mask(array: pa.Array) -> Mask:
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def _maps(lengths: np.ndarray[Any, Any], keys: pa.Array, items: pa.Array, like: pa.Array) -> pa.MapArray:
    offsets = _offsets(lengths)
    if like.null_count:  # a map is null where its offset is
        mask = np.append(_mask(like), False)
        offsets = pa.array(offsets.to_numpy(), pa.int32(), mask=mask)
    return pa.MapArray.from_arrays(offsets, keys, items)


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

    def step(array: pa.Array, place: Place) -> pa.Array:
        keys, items, lengths = entries(array)
        plain = key.apply(keys, place)
        owners = np.repeat(np.arange(len(array)), lengths)
        if rules.forbid:
            strange = ~pc.is_in(plain, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
            rows = np.zeros(len(array), dtype=bool)
            rows[owners[strange]] = True
            if rows.any():
                expected = "no key beside the declared ones"
                place.report(rows, Code.UNKNOWN_KEY, path, expected, "keys more", "")
        absent = _mask(array)
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
            taken = _taken(items, pa.array(where, mask=where < 0))
            blank = None if within.absent is None and not missing.any() else absent | missing
            parts.append(_apply_present(node, taken, _Within(place, blank)))
        return _struct(parts, target, array)

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
    value = _nullable(value)  # what is null in none of some parts may be in others
    target = pa.map_(pa.string(), value)
    names = np.array([part.name for part in parts], dtype=object)

    def step(array: pa.Array, place: Place) -> pa.Array:
        chosen = array.flatten()
        converted = [_padded(node.apply(part, place), value) for node, part in zip(nodes, chosen)]
        rows, width = np.flatnonzero(~_mask(array)), len(parts)
        order = (np.arange(width) * len(array) + rows[:, None]).ravel()  # row by row, each field in turn
        items = pa.concat_arrays(converted).take(pa.array(order)) if converted else pa.nulls(0, value)
        keys = pa.array(np.tile(names, len(rows)), pa.string())
        lengths = np.where(_mask(array), 0, width)
        return _maps(lengths, keys, items, array)

    return target, step


def _parts_of_struct(held: pa.StructType, nodes: list[Node]) -> Step:
    """Checks and converts the fields, each by itself, and leaves them a struct."""

    def step(array: pa.Array, place: Place) -> pa.Array:
        converted = [node.apply(part, place) for node, part in zip(nodes, array.flatten())]
        fields = [pa.field(held.field(i).name, part.type) for i, part in enumerate(converted)]
        return _struct(converted, pa.struct(fields), array)

    return step


def _nullable(dtype: pa.DataType) -> pa.DataType:
    """A type in which every field may be null, at every depth."""
    if pa.types.is_struct(dtype):
        fields = [dtype.field(index) for index in range(dtype.num_fields)]
        return pa.struct([pa.field(one.name, _nullable(one.type)) for one in fields])
    if pa.types.is_map(dtype):
        return pa.map_(dtype.key_type, _nullable(dtype.item_type))
    return pa.list_(_nullable(dtype.value_type)) if pa.types.is_list(dtype) else dtype


def _padded(array: pa.Array, target: pa.DataType) -> pa.Array:
    """An array in a type that may have more: fields that it lacks, or types where it is all null."""
    if array.type == target:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    if pa.types.is_struct(target):
        held = {array.type.field(i).name: part for i, part in enumerate(array.flatten())}
        fields = [target.field(i) for i in range(target.num_fields)]
        parts = [
            _padded(held[one.name], one.type) if one.name in held else pa.nulls(len(array), one.type)
            for one in fields
        ]
        plain = [pa.field(one.name, one.type) for one in fields]
        return pa.StructArray.from_arrays(parts, fields=plain, mask=_nulls(array))
    if pa.types.is_map(target):
        keys, items, lengths = entries(array)
        return _maps(lengths, keys, _padded(items, target.item_type), array)
    return _lists(_lengths(array), _padded(array.flatten(), target.value_type), array)


# --- vectors ------------------------------------------------------------------------------------------


def _vectors(path: str) -> Step:
    """Vectors of Spark ML as lists: dense ones as they are, the zeros of sparse ones filled in."""

    def step(array: pa.Array, place: Place) -> pa.Array:
        forms, sizes, indices, values = (array.flatten()[index] for index in range(4))
        sparse = pc.equal(forms, 0).fill_null(False).to_numpy(zero_copy_only=False)
        held = _lengths(values)
        declared = sizes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        lengths = np.where(sparse & ~_mask(array), declared, held)
        wrong = _wrong_vectors(array, forms, indices, values, sparse, declared) & ~_mask(array)
        if wrong.any():
            expected = "a vector: its values, or its size with as many values as indices within it, in order"
            place.report(wrong, Code.INVALID_VALUE, path, expected, "others", "")
        elif int(lengths.sum()) >= 2**31:
            hint = "use smaller batches"
            place.report(lengths > 0, Code.OUT_OF_RANGE, path, "2^31 values in a batch", "more", hint)
        elif not sparse.any():
            return values if not array.null_count else _lists(held, values.flatten(), array)
        else:
            return _filled(array, lengths, held, sparse, indices, values)
        return pa.nulls(len(array), pa.list_(pa.float64()))

    return step


def _wrong_vectors(
    array: pa.Array, forms: pa.Array, indices: pa.Array, values: pa.Array, sparse: Mask, sizes: Any
) -> Mask:
    dense = pc.equal(forms, 1).fill_null(False).to_numpy(zero_copy_only=False)
    wrong: Mask = ~(sparse | dense) | _mask(values) | (sparse & ((sizes < 0) | _mask(indices)))
    held, at = _lengths(values), _lengths(indices)
    wrong |= sparse & (held != at)
    owners = np.repeat(np.arange(len(array)), at)
    flat = indices.flatten()
    places = flat.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    outside = (places < 0) | (places >= sizes[owners])
    outside[1:] |= (owners[1:] == owners[:-1]) & (places[1:] <= places[:-1])
    wrong[owners[outside & sparse[owners]]] = True
    return wrong


def _filled(
    array: pa.Array, lengths: Any, held: Any, sparse: Mask, indices: pa.Array, values: pa.Array
) -> pa.ListArray:
    starts = np.cumsum(lengths) - lengths
    inner = np.arange(int(held.sum())) - np.repeat(np.cumsum(held) - held, held)
    inner[np.repeat(sparse, held)] = indices.filter(pa.array(sparse)).flatten().to_numpy(zero_copy_only=False)
    filled = np.zeros(int(lengths.sum()))
    filled[np.repeat(starts, held) + inner] = values.flatten().to_numpy(zero_copy_only=False)
    return _lists(lengths, pa.array(filled), array)
