"""Walks over nested Arrow arrays: nothing changes unless the function changes it, and nulls stay nulls."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.convert.arrow import transform_arrow
from sparksig.engine.arrays import conform, convert_leaves, take

LONG, TEXT = pa.int64(), pa.string()
WIDER = {TEXT: pa.large_string()}
ARROW_TYPES = st.recursive(
    st.sampled_from([LONG, TEXT]),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda value: pa.map_(TEXT, value)),
        st.tuples(inner, inner).map(lambda pair: pa.struct(list(zip("ab", pair)))),
    ),
    max_leaves=4,
)


def draw_value(data, dtype):
    """Draw a value of an Arrow type, or None."""
    if data.draw(st.integers(0, 4)) == 0:
        return None
    if pa.types.is_struct(dtype):
        return {field.name: draw_value(data, field.type) for field in dtype}
    if pa.types.is_map(dtype):
        return [(key, draw_value(data, dtype.item_type)) for key in "xy"[: data.draw(st.integers(0, 2))]]
    if pa.types.is_nested(dtype):
        return [draw_value(data, dtype.value_type) for _ in range(data.draw(st.integers(0, 2)))]
    return data.draw(st.integers(-5, 5)) if dtype == LONG else data.draw(st.text(max_size=2))


def draw_array(data):
    """Draw an array of any nesting, sometimes a slice."""
    dtype = data.draw(ARROW_TYPES)
    values = pa.array([draw_value(data, dtype) for _ in range(data.draw(st.integers(0, 4)))], dtype)
    return values.slice(data.draw(st.integers(0, len(values))))


@given(st.data())
def test_an_array_of_unchanged_leaves_is_returned_as_it_is(data):
    array = draw_array(data)
    assert convert_leaves(array, lambda leaf, path: leaf) is array


@given(st.data())
def test_values_and_nulls_survive_a_conversion_of_all_leaves(data):
    array = draw_array(data)
    converted = convert_leaves(array, lambda leaf, path: leaf.cast(WIDER.get(leaf.type, leaf.type)))
    converted.validate(full=True)
    assert converted.to_pylist() == array.to_pylist()


@given(st.data())
def test_conform_gives_the_target_type_and_the_same_values(data):
    array = draw_array(data)
    target = transform_arrow(array.type, lambda leaf: leaf)

    def keep(part, dtype):
        return None if pa.types.is_nested(dtype) else part

    conformed = conform(array, target, keep)
    conformed.validate(full=True)
    assert conformed.to_pylist() == array.to_pylist()


def test_paths_of_leaves():
    dtype = pa.struct([("a.b", pa.list_(LONG)), ("c", pa.map_(TEXT, pa.struct([("d", LONG)])))])
    paths = []
    convert_leaves(pa.array([], dtype), lambda leaf, path: paths.append(path) or leaf, "root")
    assert paths == ["root.`a.b`[]", "root.c[].d"]


def test_conform_reorders_fields_and_fills_those_that_the_array_lacks():
    array = pa.array([{"a": 1, "b": "x"}, None])
    target = pa.struct([("b", TEXT), ("z", pa.list_(LONG)), ("a", LONG)])
    conformed = conform(array, target, lambda part, dtype: part if part.type == dtype else None)
    assert conformed.type == target
    assert conformed.to_pylist() == [{"b": "x", "z": None, "a": 1}, None]


@pytest.mark.parametrize(
    ("dtype", "plain"),
    [
        (pa.large_list(LONG), pa.list_(TEXT)),
        (pa.list_(LONG, 2), pa.list_(TEXT)),
        (pa.struct([pa.field("a", LONG, nullable=False)]), pa.struct([("a", TEXT)])),
        (pa.map_(LONG, pa.list_(LONG)), pa.map_(TEXT, pa.list_(TEXT))),
        (LONG, TEXT),
    ],
    ids=str,
)
def test_transform_arrow_rebuilds_types_with_plain_lists_and_nullable_fields(dtype, plain):
    assert transform_arrow(dtype, lambda leaf: TEXT) == plain


DECIMALS = pa.dictionary(pa.int16(), pa.decimal128(15, 3))


@pytest.mark.parametrize("dtype", [pa.string_view(), pa.list_(pa.string_view())], ids=str)
def test_structs_of_types_without_kernels_are_taken(dtype):
    value = ["a"] if pa.types.is_list(dtype) else "a"
    texts = pa.array([value, None], dtype)
    numbers = pa.array([None, None], pa.decimal128(15, 3)).dictionary_encode().cast(DECIMALS)
    structs = pa.StructArray.from_arrays([texts, numbers], ["text", "number"])
    taken = take(structs, pa.array([1, None, 0]))
    assert taken.to_pylist() == [{"text": None, "number": None}, None, {"text": value, "number": None}]
