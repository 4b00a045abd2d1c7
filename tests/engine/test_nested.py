"""Composite columns through the engine, against a slow reference that knows Python values only."""

from __future__ import annotations

import datetime
import decimal
import random
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.convert.arrow import VECTOR_TYPE, to_arrow
from sparksig.engine.frames import enforce
from sparksig.engine.plan import compile
from sparksig.errors import Code, ContractError, below
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector, describe
from tests.cases import describe_case
from tests.strategies import names, types

NEVER_NULL = (DataType.boolean, DataType.integer, DataType.long)
LAST = 2**63 - 1  # in nanoseconds
EPOCH = datetime.datetime(1970, 1, 1)


def newer(name, *args):
    """A type that the installed pyarrow may not have yet."""
    return [getattr(pa, name)(*args)] if hasattr(pa, name) else []


def obj(**types_):
    """An object; a name that ends with _ is optional."""
    return Object([Property(name.rstrip("_"), t, not name.endswith("_")) for name, t in types_.items()])


def fields(**types):
    return pa.struct(list(types.items()))


def texts_to(item, key=None):
    return pa.map_(pa.string() if key is None else key, item)


# --- the engine and the reference -----------------------------------------------------------------------


def plan_of(actual_type, dtype, required=True, **options):
    return compile(Schema([ColSpec(dtype, "a", required)]), pa.schema([("a", actual_type)]), **options)


def apply(array, dtype, required=True, show_values=False, **options):
    """One column through a plan; what arrives is sound."""
    batch = pa.record_batch([array], ["a"])
    arrived = plan_of(array.type, dtype, required, **options).apply(batch, show_values=show_values).column(0)
    arrived.validate(full=True)
    assert len(arrived) == len(array)
    return arrived


def lines(call):
    with pytest.raises(ContractError) as error:
        call()
    return [str(finding) for finding in error.value.findings]


def reference(value, actual_type, dtype):
    """Return a value of ``to_pylist()`` as a model receives it."""
    if pa.types.is_dictionary(actual_type):
        actual_type = actual_type.value_type
    if value is None or isinstance(dtype, AnyType):
        return value
    if isinstance(dtype, DataType):
        return scalar(value, dtype)
    if pa.types.is_struct(actual_type) and isinstance(dtype, SparkMLVector):
        return dense(value)
    if isinstance(dtype, Array):
        return [reference(item, actual_type.value_type, dtype.dtype) for item in value]
    if pa.types.is_map(actual_type):
        pairs = [(key, item, actual_type.item_type) for key, item in value]
    else:
        pairs = [(part.name, value[part.name], part.type) for part in actual_type]
    if isinstance(dtype, Map):
        return [(key, reference(item, of, dtype.value_type)) for key, item, of in pairs]
    last = {key: (item, of) for key, item, of in pairs}
    selected = [prop for prop in dtype.properties if prop.name in last]
    return {prop.name: reference(*last[prop.name], prop.dtype) for prop in selected}


def scalar(value, dtype):
    if dtype in (DataType.integer, DataType.long):
        return int(value)
    if dtype in (DataType.float, DataType.double):
        return float(value)
    if dtype is not DataType.datetime:
        return value
    return wall(value)


def wall(value):
    """Return the local time in nanoseconds, for any zone."""
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None).value
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    return (value.replace(tzinfo=None) - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def dense(vector):
    if vector["type"] == 1:
        return list(vector["values"])
    filled = [0.0] * vector["size"]
    for index, value in zip(vector["indices"], vector["values"]):
        filled[index] = value
    return filled


def bits(value):
    """A value as it compares: floats by their bits, all NaNs alike; absent and null properties alike."""
    if isinstance(value, (float, np.floating)):
        return "nan" if value != value else struct.pack("<d", float(value))
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return wall(value) if isinstance(value, datetime.date) else value


def assert_is(array, dtype, arrived):
    """Assert that the result equals the reference, value by value, and has the declared type."""
    expected = [reference(value, array.type, dtype) for value in array.to_pylist()]
    assert bits(arrived.to_pylist()) == bits(expected)
    assert is_declared(arrived.type, dtype), f"{arrived.type} is not {dtype}"


def is_declared(actual_type, dtype):
    """Return whether a type is ``to_arrow(dtype)``, up to nullability, item names and absent fields."""
    if isinstance(dtype, AnyType):
        return True
    if isinstance(dtype, DataType):
        return actual_type == to_arrow(dtype)
    if isinstance(dtype, Array):
        return pa.types.is_list(actual_type) and is_declared(actual_type.value_type, dtype.dtype)
    if isinstance(dtype, Map):
        plain = pa.types.is_map(actual_type) and actual_type.key_type == pa.string()
        return plain and is_declared(actual_type.item_type, dtype.value_type)
    actual_fields = {part.name: part.type for part in actual_type} if pa.types.is_struct(actual_type) else {}
    declared = [prop for prop in dtype.properties if prop.required or prop.name in actual_fields]
    return list(actual_fields) == [prop.name for prop in declared] and all(
        is_declared(actual_fields[prop.name], prop.dtype) for prop in declared
    )


def problems(value, actual_type, dtype, path, required, strict=False):
    """Return the problems of one row's value, as codes and paths."""
    if pa.types.is_dictionary(actual_type):
        actual_type = actual_type.value_type
    if value is None:
        if required and (strict or dtype in NEVER_NULL):
            yield Code.NULL_IN_REQUIRED, path
    elif dtype is DataType.datetime:
        if not -LAST <= wall(value) <= LAST:
            yield Code.OUT_OF_RANGE, path
    elif isinstance(dtype, Array):
        for item in value if pa.types.is_nested(actual_type) and not pa.types.is_struct(actual_type) else ():
            yield from problems(item, actual_type.value_type, dtype.dtype, f"{path}[]", False, strict)
    elif isinstance(dtype, Map):
        for key, item in value if pa.types.is_map(actual_type) else value.items():
            of = actual_type.item_type if pa.types.is_map(actual_type) else actual_type.field(key).type
            where = f"{path}[]" if pa.types.is_map(actual_type) else below(path, key)
            yield from problems(item, of, dtype.value_type, where, False, strict)
    elif isinstance(dtype, Object):
        actual_values = dict(value)
        for prop in dtype.properties:
            where = below(path, prop.name)
            if prop.name in actual_values:
                of = (
                    actual_type.item_type
                    if pa.types.is_map(actual_type)
                    else actual_type.field(prop.name).type
                )
                yield from problems(actual_values[prop.name], of, prop.dtype, where, prop.required, strict)
            elif prop.required:
                yield Code.MISSING_FIELD, where


def expected_findings(array, dtype, required=True, strict=False):
    """For each code and path, the rows that have it."""
    rows = {}
    for row, value in enumerate(array.to_pylist()):
        for problem in set(problems(value, array.type, dtype, "a", required, strict)):
            rows.setdefault(problem, []).append(row)
    return {problem: (len(positions), tuple(positions[:5])) for problem, positions in rows.items()}


def find_problems(array, dtype, required=True, **options):
    """The same from the engine."""
    try:
        apply(array, dtype, required, **options)
        findings = ()
    except ContractError as error:
        findings = error.findings
    counts = {(finding.code, finding.path): (finding.count, finding.rows) for finding in findings}
    assert len(counts) == len(findings)
    return counts


def windows(array):
    """Return the column, slices, an empty slice, and a column of nulls."""
    size = len(array)
    yield from (
        array,
        array.slice(1),
        array.slice(0, max(size - 1, 0)),
        array.slice(size // 2, 1),
        array.slice(size),
    )
    yield from (pa.nulls(3, array.type), pa.nulls(0, array.type))
    yield pa.concat_arrays([array, array]).slice(max(size - 1, 0), 3)


# --- each conversion ------------------------------------------------------------------------------------

NAIVE = [datetime.datetime(2020, 1, 2, 3), datetime.datetime(1999, 12, 31)]
DENSE = {"type": 1, "size": None, "indices": None, "values": [1.5, -0.0]}
SPARSE = {"type": 0, "size": 4, "indices": [1, 3], "values": [2.5, float("nan")]}
EMPTY_VECTORS = [
    {"type": 1, "size": None, "indices": None, "values": []},
    {"type": 0, "size": 3, "indices": [], "values": []},
]
BERLIN = pa.timestamp("us", "Europe/Berlin")
LISTS = [[1, 2], None, [], [None, 3], [4]]
PAIRS = [[("k", 1), ("l", None)], None, [], [("l", 2), ("k", 3)], [("m", 5)]]
FLAT = obj(k_="long", l_="double")

CASES = {
    "list as is": (LISTS, pa.list_(pa.int64()), Array("long")),
    "list": (LISTS, pa.list_(pa.int8()), Array("double")),
    "large list": (LISTS, pa.large_list(pa.uint32()), Array("long")),
    "large list as is": (LISTS, pa.large_list(pa.int64()), Array("long")),
    "list of fixed size": ([[1, None], None, [3, 4]], pa.list_(pa.int16(), 2), Array("integer")),
    "list of fixed size as is": ([[1, None], None, [3, 4]], pa.list_(pa.int32(), 2), Array("integer")),
    **{
        f"{name} {item}": (LISTS, getattr(pa, name)(item), Array("long"))
        for name in ("list_view", "large_list_view")
        if hasattr(pa, name)
        for item in (pa.int64(), pa.int8())
    },
    "lists in lists": (
        [[[1], None, []], None, [], [[None, 2]], [[3, 4]]],
        pa.large_list(pa.list_(pa.int8())),
        Array(Array("long")),
    ),
    "lists of nothing": ([[None], None, []], pa.list_(pa.null()), Array("double")),
    "list of dictionaries": (
        [["x", None], None, ["y", "x"]],
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
        Array("string"),
    ),
    "texts": ([["x", None], None, ["y"]], pa.list_(pa.large_string()), Array("string")),
    "bytes": ([[b"xy", None], None, [b"zz"]], pa.list_(pa.binary(2)), Array("binary")),
    "small floats": (
        [[np.float16(0.1), None], None, [np.float16("nan"), np.float16("-0.0")]],
        pa.list_(pa.float16()),
        Array("double"),
    ),
    "small floats in a struct": (
        [{"k": np.float16(65504)}, None, {"k": None}],
        fields(k=pa.float16()),
        obj(k="float"),
    ),
    "decimals": (
        [[decimal.Decimal("0.10"), None], None, [decimal.Decimal("-12345.67")]],
        pa.list_(pa.decimal128(15, 2)),
        Array("double"),
    ),
    "whole decimals": (
        [{"k": decimal.Decimal(10**18 - 1)}, {"k": decimal.Decimal(-1)}],
        fields(k=pa.decimal128(18, 0)),
        obj(k="long"),
    ),
    "decimals in maps": (
        [[("k", decimal.Decimal(7))], None, [("l", None)]],
        texts_to(pa.decimal256(9, 0)),
        Map("integer"),
    ),
    "days": ([[NAIVE[0].date(), None], None, []], pa.list_(pa.date32()), Array("datetime")),
    "instants of a zone": ([[NAIVE[0], None], None, NAIVE], pa.list_(BERLIN), Array("datetime")),
    "instants in structs": ([{"t": NAIVE[0]}, None, {"t": None}], fields(t=BERLIN), obj(t="datetime")),
    "instants in maps": ([[("t", NAIVE[0])], None, []], texts_to(pa.timestamp("s")), Map("datetime")),
    "instants as they are": ([NAIVE, None, [None]], pa.list_(pa.timestamp("ns")), Array("datetime")),
    "struct in another order": (
        [{"x": 1, "y": "s"}, None, {"x": None, "y": None}],
        fields(x=pa.int8(), y=pa.string()),
        obj(y="string", x_="double"),
    ),
    "struct with more": (
        [{"z": [1], "x": 1}, {"z": None, "x": 2}, None],
        fields(z=pa.list_(pa.int8()), x=pa.int64()),
        obj(x="long"),
    ),
    "struct with less": ([{"x": 1}, None, {"x": 2}], fields(x=pa.int64()), obj(x="long", y_="string")),
    "struct of none of them": ([{"z": 1}, None], fields(z=pa.int64()), obj(x_="long")),
    "struct as it is": ([{"x": 1}, None, {"x": 2}], fields(x=pa.int64()), obj(x="long")),
    "structs in structs": (
        [{"o": {"x": 1, "e": 0}}, {"o": None}, None],
        fields(o=fields(x=pa.int8(), e=pa.int8())),
        obj(o=obj(x="long")),
    ),
    "structs in lists": (
        [[{"x": 1}, None], None, [], [{"x": 3}]],
        pa.large_list(fields(x=pa.int32())),
        Array(obj(x="double")),
    ),
    "struct of odd names": (
        [{"a.b": 1, "": 2, "`x`": 3}],
        pa.struct([("a.b", pa.int8()), ("", pa.int64()), ("`x`", pa.int8())]),
        Object([Property("", "long"), Property("`x`", "integer"), Property("a.b", "double")]),
    ),
    "map": (PAIRS, texts_to(pa.int8()), Map("long")),
    "map as it is": (PAIRS, texts_to(pa.int64()), Map("long")),
    "map of large keys": (PAIRS, texts_to(pa.int64(), pa.large_string()), Map("long")),
    "map of lists": (
        [[("k", [1]), ("l", None)], None, [], [("k", []), ("m", [None, 2])]],
        texts_to(pa.large_list(pa.int8())),
        Map(Array("long")),
    ),
    "maps in lists": (
        [[PAIRS[0], None], None, [], PAIRS[3:]],
        pa.list_(texts_to(pa.int8())),
        Array(Map("long")),
    ),
    "maps in maps": ([[("o", PAIRS[0]), ("p", None)], None], texts_to(texts_to(pa.int8())), Map(Map("long"))),
    "map as object": (PAIRS, texts_to(pa.int16()), FLAT),
    "map of large keys as object": (PAIRS, texts_to(pa.int16(), pa.large_string()), FLAT),
    "map of lists as object": (
        [[("k", [1])], None, [("l", [2]), ("k", None)], []],
        texts_to(pa.list_(pa.int8())),
        obj(k_=Array("long"), l_=Array("double")),
    ),
    "maps in lists as objects": (
        [[PAIRS[0], None], None, [], PAIRS[3:]],
        pa.list_(texts_to(pa.int8())),
        Array(FLAT),
    ),
    "struct as map": (
        [{"y": 1, "x": None}, None, {"y": 3, "x": 4}],
        fields(y=pa.int8(), x=pa.int32()),
        Map("long"),
    ),
    "struct of texts as map": (
        [{"y": "1", "x": "2"}, None, {"y": None, "x": None}],
        fields(y=pa.large_string(), x=pa.dictionary(pa.int8(), pa.string())),
        Map("string"),
    ),
    "struct of lists as map": (
        [{"y": [1], "x": None}, None, {"y": [], "x": [2, 3]}],
        fields(y=pa.large_list(pa.int8()), x=pa.list_(pa.int64())),
        Map(Array("long")),
    ),
    "structs as maps in lists": (
        [[{"x": 1}, None], None, []],
        pa.list_(fields(x=pa.int8())),
        Array(Map("long")),
    ),
    "dense vectors": ([DENSE, DENSE], VECTOR_TYPE, SparkMLVector()),
    "dense vectors and nulls": ([DENSE, None, DENSE], VECTOR_TYPE, SparkMLVector()),
    "sparse vectors": ([SPARSE, SPARSE], VECTOR_TYPE, SparkMLVector()),
    "vectors of all kinds": (
        [DENSE, None, SPARSE, *EMPTY_VECTORS, SPARSE],
        VECTOR_TYPE,
        SparkMLVector(),
    ),
    "vectors in structs": (
        [{"v": SPARSE}, None, {"v": None}],
        fields(v=VECTOR_TYPE),
        obj(v=SparkMLVector()),
    ),
    "vectors in lists": ([[DENSE, None, SPARSE], None], pa.list_(VECTOR_TYPE), Array(SparkMLVector())),
    "vectors from lists": ([[1, None], None, [3]], pa.large_list(pa.int8()), SparkMLVector()),
    "any of anything": ([{"x": [1]}, None], fields(x=pa.large_list(pa.uint64())), AnyType()),
    "any of vectors": ([DENSE, None], VECTOR_TYPE, AnyType()),
    "any inside": ([{"x": [(1)]}, None], fields(x=pa.list_(pa.uint64())), obj(x=AnyType())),
    "lists of any": ([[1], None, []], pa.list_(pa.uint64()), Array(AnyType())),
    "fixed lists of any": ([[1], None], pa.list_(pa.duration("s"), 1), Array(AnyType())),
    "maps of any": ([[("k", 1)], None, []], texts_to(pa.uint64()), Map(AnyType())),
    "struct of one kind as a map of any": (
        [{"x": 1, "y": 2}, None],
        fields(x=pa.int8(), y=pa.int8()),
        Map(AnyType()),
    ),
}


@pytest.mark.parametrize(("values", "actual_type", "dtype"), CASES.values(), ids=CASES)
def test_every_conversion_gives_what_the_reference_says(values, actual_type, dtype):
    for array in windows(pa.array(values, actual_type)):
        assert_is(array, dtype, apply(array, dtype, required=False))
        assert apply(array, dtype, required=False).is_null().equals(array.is_null())


@pytest.mark.parametrize(("values", "actual_type", "dtype"), CASES.values(), ids=CASES)
def test_every_conversion_works_inside_lists_structs_and_dictionaries(values, actual_type, dtype):
    array = pa.array(values, actual_type)
    size = len(array)
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 1, size], pa.int32()), array)
    structs = pa.StructArray.from_arrays([array], ["x"], mask=pa.array([row == 1 for row in range(size)]))
    maps = pa.MapArray.from_arrays(
        pa.array([0, 0, size], pa.int32()), [f"x{row}" for row in range(size)], array
    )
    for outer, wrapped in ((lists, Array(dtype)), (structs, obj(x_=dtype)), (maps, Map(dtype))):
        for part in (outer, outer.slice(1)):
            assert_is(part, wrapped, apply(part, wrapped, required=False))
    places = pa.array([size - 1, None, *range(size), 0], pa.int8())
    encoded = pa.DictionaryArray.from_arrays(places, array)
    for part in (encoded, encoded.slice(1, 3)):
        assert_is(part, dtype, apply(part, dtype, required=False))


VIEWS = [(view, item) for view, item in (("string_view", "x"), ("binary_view", b"x")) if hasattr(pa, view)]


@pytest.mark.parametrize(("view", "item"), VIEWS, ids=describe_case)
def test_views_arrive_from_any_depth(view, item):
    actual_type, target = getattr(pa, view)(), DataType[view.removesuffix("_view")]
    for values, of, dtype in (
        ([[item, None], None, []], pa.list_(actual_type), Array(target)),
        ([[item], None], pa.list_(actual_type, 1), Array(target)),
        ([{"k": item}, None, {"k": None}], fields(k=actual_type), obj(k=target)),
        ([{"k": item}, None, {"k": None}], fields(k=actual_type), Map(target)),
        ([[("k", item)], None, []], texts_to(actual_type), Map(target)),
    ):
        array = pa.array(values, of)
        assert_is(array, dtype, apply(array, dtype))


@pytest.mark.parametrize(("view", "item"), VIEWS, ids=describe_case)
def test_a_map_of_views_arrives_as_an_object(view, item):
    target = DataType[view.removesuffix("_view")]
    array = pa.array([[("k", item)], None, []], texts_to(getattr(pa, view)()))
    assert_is(array, obj(k_=target), apply(array, obj(k_=target)))


def test_views_in_maps_that_are_null_do_not_count():
    for actual_type in newer("string_view"):
        array = with_hidden_entry(texts_to(actual_type), pa.array(["x", "y", "z"], actual_type))
        assert_is(array, Map("string"), apply(array, Map("string")))


def with_hidden_entry(actual_type, items):
    """Three maps of one key each; that of the second, a null, is hidden."""
    keys = pa.array(["k"] * 3)
    entries = pa.StructArray.from_arrays(
        [keys, items], fields=[actual_type.key_field, actual_type.item_field]
    )
    buffers = [pa.py_buffer(b"\x05"), pa.array(range(4), pa.int32()).buffers()[1]]
    return pa.Array.from_buffers(actual_type, 3, buffers, children=[entries])


def test_keys_of_maps_may_be_views_or_dictionaries():
    items = pa.array([1, 2, 3], pa.int8())
    keys = [pa.array(["k", "l", "k"]).dictionary_encode()]
    keys += [pa.array(["k", "l", "k"], key) for key in newer("string_view")]
    for one in keys:
        array = pa.MapArray.from_arrays(pa.array([0, 1, 3], pa.int32()), one, items)
        for part in (array, array.slice(1)):
            for dtype in (Map("long"), obj(k="long")):
                assert_is(part, dtype, apply(part, dtype))


# Structs as maps: what their fields become may differ, and the map has one type for all.
UNEVEN = {
    "one null": ([{"x": 1, "y": None}, None], fields(x=pa.int64(), y=pa.null()), Map("long")),
    "one null, of times": (
        [{"x": NAIVE[0], "y": None}],
        fields(x=pa.timestamp("s"), y=pa.null()),
        Map("datetime"),
    ),
    "one null, of lists": (
        [{"x": [1], "y": None}],
        fields(x=pa.list_(pa.int64()), y=pa.null()),
        Map(Array("long")),
    ),
    "optional properties": (
        [{"x": {"p": 1}, "y": {"p": 2, "q": 3}}, None],
        fields(x=fields(p=pa.int64()), y=fields(p=pa.int64(), q=pa.int64())),
        Map(obj(p="long", q_="long")),
    ),
    "lists of nothing": (
        [{"x": [[1]], "y": [None]}],
        fields(x=pa.list_(pa.list_(pa.int64())), y=pa.list_(pa.null())),
        Map(Array(Array("long"))),
    ),
}


@pytest.mark.parametrize(("values", "actual_type", "dtype"), UNEVEN.values(), ids=UNEVEN)
def test_a_struct_as_a_map_has_one_type_for_all_its_fields(values, actual_type, dtype):
    array = pa.array(values, actual_type)
    arrived = apply(array, dtype, required=False)
    expected = [reference(value, actual_type, dtype) for value in values]
    assert bits(arrived.to_pylist()) == bits(expected)


def test_struct_of_several_types_is_accepted_as_a_map_of_any():
    array = pa.array([{"x": 1, "y": "s"}, None])
    assert apply(array, Map(AnyType())).equals(array)  # a dictionary to the model, as a map is


NOTHING = {
    "double": (pa.nulls(2), DataType.double),
    "datetime": (pa.nulls(2), DataType.datetime),
    "texts in a list": (pa.array([[None], []], pa.list_(pa.null())), Array("string")),
    "times in a list": (pa.array([[None], []], pa.list_(pa.null())), Array("datetime")),
    "times in a struct": (pa.array([{"t": None}], fields(t=pa.null())), obj(t_="datetime")),
    "no field as a map": (pa.array([{}, None], pa.struct([])), Map("long")),
    "times in a map": (pa.array([[("t", None)]], texts_to(pa.null())), Map("datetime")),
}


@pytest.mark.parametrize(("array", "dtype"), NOTHING.values(), ids=NOTHING)
def test_nothing_but_nulls_has_the_declared_type(array, dtype):
    assert_is(array, dtype, apply(array, dtype, required=False))


# --- values under nulls ---------------------------------------------------------------------------------


def hidden(*rows):
    return pa.array([row == "null" for row in rows])


def test_fields_of_a_null_struct_are_ignored():
    ints, times = pa.array([1, None, 3], pa.int8()), pa.array([0, 2**62, 1], pa.timestamp("s"))
    array = pa.StructArray.from_arrays([ints, times], ["n", "t"], mask=hidden("", "null", ""))
    dtype = obj(n="long", t="datetime")
    assert apply(array, dtype).to_pylist()[1] is None
    assert find_problems(array, dtype) == {}
    for outer in (
        pa.StructArray.from_arrays([array], ["o"]),
        pa.StructArray.from_arrays([array], ["o"], mask=hidden("", "", "null")),
    ):
        assert_is(outer, obj(o_=dtype), apply(outer, obj(o_=dtype)))
    full = pa.StructArray.from_arrays([ints, times], ["n", "t"])
    masked = pa.StructArray.from_arrays([full], ["o"], mask=hidden("", "null", ""))
    assert_is(masked, obj(o=dtype), apply(masked, obj(o=dtype), strict_nulls=False))
    assert [list(rows) for rows in find_problems(full, dtype)] == [
        [Code.NULL_IN_REQUIRED, "a.n"],
        [Code.OUT_OF_RANGE, "a.t"],
    ]


def test_elements_of_a_null_list_or_map_are_ignored():
    structs = pa.array([{"n": 1}, {"n": None}, {"n": None}, {"n": 4}], fields(n=pa.int8()))
    offsets, mask = pa.array([0, 1, 3, 4], pa.int32()), hidden("", "null", "")
    dtype = obj(n="long")
    lists = pa.ListArray.from_arrays(offsets, structs, mask=mask)
    large = pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), structs, mask=mask)
    fixed = pa.FixedSizeListArray.from_arrays(structs, 2, mask=hidden("null", "null"))
    keys = pa.array(["n"] * 4)
    actual_type = pa.map_(pa.string(), pa.int8())
    entries = pa.StructArray.from_arrays(
        [keys, structs.field(0)], fields=[actual_type.key_field, actual_type.item_field]
    )
    valid = pa.py_buffer(b"\x05")
    maps = pa.Array.from_buffers(actual_type, 3, [valid, offsets.buffers()[1]], children=[entries])
    for array, declared in (
        (lists, Array(dtype)),
        (large, Array(dtype)),
        (fixed, Array(dtype)),
        (maps, dtype),
        (maps, Map("long")),
    ):
        for part in (array, array.slice(1)):
            assert_is(part, declared, apply(part, declared))


@pytest.mark.parametrize(
    ("mask", "rows"),
    [
        (None, (1, 3)),
        (hidden("", "", "null", ""), (1, 3)),
        (hidden("", "null", "", ""), (3,)),
    ],
    ids=describe_case,
)
def test_a_null_among_the_values_of_a_dictionary_is_a_null_in_a_struct_too(mask, rows):
    values = pa.array([1, None])
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, None], pa.int8()), values)
    array = pa.StructArray.from_arrays([codes], ["n"], mask=mask)
    expected = {(Code.NULL_IN_REQUIRED, "a.n"): (len(rows), rows)}
    assert find_problems(array, obj(n="long")) == expected


@pytest.mark.parametrize(
    ("actual_type", "dtype", "rows"),
    [
        (pa.list_(pa.decimal128(9, 2)), Array("double"), 0),
        (pa.list_(pa.decimal128(9, 2)), Array("double"), 3),
        (fields(k=pa.list_(pa.decimal128(9, 2))), obj(k=Array("double")), 1),
    ],
    ids=["no rows", "nulls", "null objects"],
)
def test_columns_of_decimals_without_values_are_accepted(actual_type, dtype, rows):
    array = pa.nulls(rows, actual_type)
    assert apply(array, dtype).to_pylist() == array.to_pylist()


# --- nulls and instants at depth ------------------------------------------------------------------------

FAR = datetime.datetime(2900, 1, 1)
RANGE = (
    "expected timestamps from 1677-09-21 to 2262-04-11, got timestamps outside this range",
    "(replace them or filter the rows: models receive timestamps in nanoseconds) [OUT_OF_RANGE]",
)
NULL = "(declare it optional) [NULL_IN_REQUIRED]"
NULL_NUMBER = "(declare it optional, or double) [NULL_IN_REQUIRED]"


def test_nulls_in_required_properties_are_refused_with_their_rows():
    actual_type = fields(n=pa.int8(), f=pa.bool_(), i=pa.int32(), x=pa.float64())
    dtype = obj(n="long", f="boolean", i="integer", x="double")
    full = {"n": 1, "f": True, "i": 2, "x": None}
    rows = [full, {**full, "n": None}, None, {**full, "f": None, "i": None}, {**full, "n": None}]
    assert lines(lambda: apply(pa.array(rows, actual_type), dtype)) == [
        f"a.f: expected boolean without nulls, got nulls, once, first in row 3 {NULL}",
        f"a.i: expected integer without nulls, got nulls, once, first in row 3 {NULL_NUMBER}",
        f"a.n: expected long without nulls, got nulls, 2 times, first in rows 1, 4 {NULL_NUMBER}",
    ]


ROW_TYPE, ROW_OBJECT = fields(n=pa.int64(), t=pa.timestamp("us")), obj(n="long", t="datetime")
ROW_PATHS = {
    "list": (lambda row: row, pa.list_(ROW_TYPE), Array(ROW_OBJECT), "a[]"),
    "large list": (lambda row: row, pa.large_list(ROW_TYPE), Array(ROW_OBJECT), "a[]"),
    "list in a list": (
        lambda row: [[], row, []],
        pa.list_(pa.list_(ROW_TYPE)),
        Array(Array(ROW_OBJECT)),
        "a[][]",
    ),
    "map": (lambda row: [("k", row)], texts_to(pa.list_(ROW_TYPE)), Map(Array(ROW_OBJECT)), "a[][]"),
    "struct": (lambda row: {"o": row}, fields(o=pa.list_(ROW_TYPE)), obj(o=Array(ROW_OBJECT)), "a.o[]"),
    "map as an object": (
        lambda row: [("o", row)],
        texts_to(pa.list_(ROW_TYPE)),
        obj(o_=Array(ROW_OBJECT)),
        "a.o[]",
    ),
    "struct as a map": (
        lambda row: {"o": row},
        fields(o=pa.list_(ROW_TYPE)),
        Map(Array(ROW_OBJECT)),
        "a.o[]",
    ),
}


@pytest.mark.parametrize(("wrap", "actual_type", "declared", "path"), ROW_PATHS.values(), ids=ROW_PATHS)
def test_rows_of_findings_are_those_of_the_batch(wrap, actual_type, declared, path):
    bad, good = {"n": None, "t": FAR}, {"n": 1, "t": None}
    rows = [[], [good], None, [good, bad, bad], [None], [bad], []]
    array = pa.array([None if row is None else wrap(row) for row in rows], actual_type)
    expected = {
        (Code.NULL_IN_REQUIRED, f"{path}.n"): (2, (3, 5)),
        (Code.OUT_OF_RANGE, f"{path}.t"): (2, (3, 5)),
    }
    assert find_problems(array, declared) == expected == expected_findings(array, declared)
    tail = dict.fromkeys(expected, (1, (1,)))
    assert find_problems(array.slice(4), declared) == tail


def test_only_the_first_rows_are_named_and_all_counted():
    array = pa.array([[{"n": None}] * 3] * 9, pa.list_(fields(n=pa.int64())))
    assert lines(lambda: apply(array, Array(obj(n="long")))) == [
        f"a[].n: expected long without nulls, got nulls, 9 times, first in rows 0, 1, 2, 3, 4 {NULL_NUMBER}"
    ]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("values", "actual_type", "dtype"),
    [
        ([[None, 1]], pa.list_(pa.int64()), Array("long")),
        ([[("k", None)]], texts_to(pa.bool_()), Map("boolean")),
        ([[("k", None)]], texts_to(pa.int8()), Map("integer")),
        ([{"k": None}], fields(k=pa.int64()), Map("long")),
        ([[None, [None]]], pa.list_(pa.list_(pa.int8())), Array(Array("long"))),
    ],
    ids=describe_case,
)
def test_elements_and_items_may_be_null(values, actual_type, dtype, strict):
    assert find_problems(pa.array(values, actual_type), dtype, strict_nulls=strict) == {}


def test_strict_nulls_reach_every_required_property_and_no_element():
    actual_type = fields(
        s=pa.string(), x=pa.float64(), l=pa.list_(pa.int8()), o=fields(m=texts_to(pa.int8())), e=pa.string()
    )
    dtype = obj(s="string", x="double", l=Array("long"), o=obj(m=Map("long")), e_="string")
    row = {"s": "", "x": 0.0, "l": [None], "o": {"m": [("k", None)]}, "e": None}
    blank = dict.fromkeys(row)
    array = pa.array([row, blank, {**row, "o": {"m": None}}, None], actual_type)
    assert find_problems(array, dtype) == {}
    assert sorted(lines(lambda: apply(array, dtype, strict_nulls=True))) == [
        f"a.l: expected Array(long) without nulls, got nulls, once, first in row 1 {NULL}",
        f"a.o.m: expected {describe(Map('long'))} without nulls, got nulls, once, first in row 2 {NULL}",
        f"a.o: expected {describe(obj(m=Map('long')))} without nulls, got nulls, once, first in row 1 {NULL}",
        f"a.s: expected string without nulls, got nulls, once, first in row 1 {NULL}",
        f"a.x: expected double without nulls, got nulls, once, first in row 1 {NULL}",
        f"a: expected {describe(dtype)} without nulls, got nulls, once, first in row 3 {NULL}",
    ]
    assert find_problems(array, dtype, strict_nulls=True) == expected_findings(array, dtype, strict=True)
    assert (Code.NULL_IN_REQUIRED, "a") not in find_problems(array, dtype, required=False, strict_nulls=True)


def test_keys_that_a_map_lacks_are_counted():
    rows = [[("k", 1), ("l", 2)], [("l", 1)], None, [], [("k", 5)], [("k", None)]]
    array = pa.array(rows, texts_to(pa.int8()))
    dtype = obj(k="long", l="double")
    assert lines(lambda: apply(array, dtype)) == [
        "a.k: expected long, got maps without that key, 2 times, first in rows 1, 3 [MISSING_FIELD]",
        f"a.k: expected long without nulls, got nulls, once, first in row 5 {NULL_NUMBER}",
        "a.l: expected double, got maps without that key, 3 times, first in rows 3, 4, 5 [MISSING_FIELD]",
    ]
    for part in windows(array):
        assert find_problems(part, dtype) == expected_findings(part, dtype)
    lists = pa.array([[rows[0]], [], None, [rows[0], rows[3]]], pa.list_(texts_to(pa.int8())))
    assert find_problems(lists, Array(dtype)) == expected_findings(lists, Array(dtype))
    assert find_problems(lists, Array(dtype))[Code.MISSING_FIELD, "a[].k"] == (1, (3,))


def test_timestamps_out_of_range_are_found_at_any_depth():
    actual_type = fields(t=pa.timestamp("s", "Europe/Berlin"), d=pa.list_(pa.date32()))
    near = {"t": NAIVE[0], "d": [NAIVE[0].date(), None]}
    rows = [near, {"t": FAR, "d": [FAR.date()]}, None, {"t": None, "d": [None, NAIVE[0].date(), FAR.date()]}]
    dtype = obj(t="datetime", d=Array("datetime"))
    expected, hint = RANGE
    assert lines(lambda: apply(pa.array(rows, actual_type), dtype)) == [
        f"a.d[]: {expected}, 2 times, first in rows 1, 3 {hint}",
        f"a.t: {expected}, once, first in row 1 {hint}",
    ]
    maps = pa.array([[("k", near)], [], [("k", rows[1]), ("l", rows[1])]], texts_to(actual_type))
    assert find_problems(maps, Map(dtype)) == expected_findings(maps, Map(dtype))


def test_findings_of_all_columns_and_depths_come_at_once():
    batch = pa.record_batch(
        {
            "o": pa.array([{"n": None}, {"n": 1}], fields(n=pa.int64())),
            "l": pa.array([[FAR], []], pa.list_(pa.timestamp("us"))),
            "n": pa.array([1, None]),
        }
    )
    schema = Schema(
        [
            ColSpec(obj(n="long"), "o"),
            ColSpec(Array("datetime"), "l"),
            ColSpec("long", "n"),
            ColSpec(Map("long"), "m", False),
        ]
    )
    with pytest.raises(ContractError) as error:
        compile(schema, batch.schema).apply(batch)
    assert str(error.value).splitlines()[0] == "a batch of 2 rows breaks the contract: 3 findings"
    assert [(finding.path, finding.rows) for finding in error.value.findings] == [
        ("o.n", (0,)),
        ("l[]", (0,)),
        ("n", (1,)),
    ]


# --- values in findings ---------------------------------------------------------------------------------


def test_values_are_shown_when_asked_for_and_only_then():
    array = pa.array([[], [NAIVE[0], FAR], [FAR] * 9], pa.list_(pa.timestamp("s")))
    expected, hint = RANGE
    assert lines(lambda: apply(array, Array("datetime"))) == [
        f"a[]: {expected}, 2 times, first in rows 1, 2 {hint}"
    ]
    text = ", ".join(["2900-01-01 00:00:00"] * 3)
    assert lines(lambda: apply(array, Array("datetime"), show_values=True)) == [
        f"a[]: {expected}: {text}, 2 times, first in rows 1, 2 {hint}"
    ]


@given(types, st.integers(0, 2**32), st.booleans())
def test_no_error_shows_a_value_unasked(dtype, seed, required):
    rng = random.Random(seed)
    source_type = source_of(rng, dtype)
    for target in (dtype, types_other(rng), Array(dtype)):
        try:
            apply(build(rng, source_type, 6, marked=True), target, required, strict_nulls=rng.random() < 0.5)
        except ContractError as error:
            text = f"{error} {error!r} {[finding.to_dict() for finding in error.findings]}"
            assert "4711" not in text
            assert "2911" not in text


def types_other(rng):
    return rng.choice([DataType.long, DataType.datetime, DataType.string, obj(zz="long"), Map("string")])


# --- columns of any type --------------------------------------------------------------------------------

SOURCES = {
    DataType.boolean: [pa.bool_()],
    DataType.integer: [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.decimal128(9, 0)],
    DataType.long: [pa.int8(), pa.int32(), pa.int64(), pa.uint32(), pa.decimal128(18, 0)],
    DataType.float: [pa.float16(), pa.float32()],
    DataType.double: [
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.int8(),
        pa.int32(),
        pa.uint32(),
        pa.decimal128(15, 3),
        pa.decimal128(9, 0),
        pa.decimal256(15, 15),
    ],
    DataType.string: [pa.string(), pa.large_string()],
    DataType.binary: [pa.binary(), pa.large_binary(), pa.binary(2)],
    DataType.datetime: [
        pa.date32(),
        pa.date64(),
        pa.timestamp("s"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("ms", "UTC"),
        BERLIN,
        pa.timestamp("us", "-09:30"),
    ],
}
ANYTHING = [pa.int64(), pa.uint64(), pa.string(), pa.list_(pa.int8()), fields(x=pa.duration("s"))]
VIEW = {DataType.string: newer("string_view"), DataType.binary: newer("binary_view")}
LIST_TYPES = [pa.list_, pa.large_list, lambda item: pa.list_(item, 2)]
LIST_TYPES += [getattr(pa, name) for name in ("list_view", "large_list_view") if hasattr(pa, name)]


def source_of(rng, dtype, uneven=True):
    """An Arrow type that widens to ``dtype``."""
    source_type = _source_of(rng, dtype, uneven)
    # pyarrow cannot join dictionaries of nested values, and joins those of float16 wrongly
    plain = not pa.types.is_nested(source_type) and not pa.types.is_float16(source_type)
    return pa.dictionary(pa.int16(), source_type) if plain and rng.random() < 0.15 else source_type


def _source_of(rng, dtype, uneven):
    if isinstance(dtype, AnyType):
        return rng.choice(ANYTHING)
    if isinstance(dtype, DataType):
        return rng.choice(SOURCES[dtype] + VIEW.get(dtype, []))
    if isinstance(dtype, SparkMLVector) and rng.random() < 0.6:
        return VECTOR_TYPE
    if isinstance(dtype, Array):
        empty = isinstance(dtype.dtype, DataType) and rng.random() < 0.1
        return rng.choice(LIST_TYPES)(pa.null() if empty else source_of(rng, dtype.dtype))
    if isinstance(dtype, Map):
        if rng.random() < 0.6:
            key = rng.choice([pa.string(), pa.large_string(), *newer("string_view")])
            return pa.map_(key, source_of(rng, dtype.value_type))
        labels = rng.sample(["x", "a.b", "", "y"], rng.randint(1, 3))
        item_type = source_of(rng, dtype.value_type)
        alike = has_any(dtype.value_type)
        return pa.struct(
            [(label, item_type if alike else source_of(rng, dtype.value_type)) for label in labels]
        )
    properties = dtype.properties
    if len({prop.dtype for prop in properties}) == 1 and rng.random() < 0.4:
        return texts_to(source_of(rng, properties[0].dtype))
    selected = [prop for prop in properties if prop.required or rng.random() < 0.7]
    parts = [pa.field(prop.name, source_of(rng, prop.dtype), rng.random() < 0.8) for prop in selected]
    parts += [pa.field(f"+{index}", rng.choice(ANYTHING)) for index in range(rng.choice([0, 0, 1]))]
    rng.shuffle(parts)
    return pa.struct([part.with_nullable(True) for part in parts])


def has_any(dtype):
    if isinstance(dtype, (Array, Map)):
        return has_any(dtype.dtype if isinstance(dtype, Array) else dtype.value_type)
    if isinstance(dtype, Object):
        return any(has_any(prop.dtype) for prop in dtype.properties)
    return isinstance(dtype, AnyType)


def build(rng, actual_type, size, marked=False, far=False):
    """A column at random: slices at every depth, garbage under the nulls of structs, lists and maps."""
    more = rng.choice([0, 0, 2])
    return _build(rng, actual_type, size + more, marked, far).slice(more)


def _build(rng, actual_type, size, marked, far):
    inner = {"marked": marked, "far": far}
    null = rng.choice([0, 0.3])
    mask = np.array([rng.random() < null for _ in range(size)], dtype=bool)
    if pa.types.is_null(actual_type):
        return pa.nulls(size)
    if pa.types.is_dictionary(actual_type):
        values = pa.array(
            [value_of(rng, actual_type.value_type, **inner) for _ in range(4)], actual_type.value_type
        )
        places = pa.array([rng.randrange(4) for _ in range(size)], pa.int16(), mask=mask)
        return pa.DictionaryArray.from_arrays(places, values)
    if actual_type == VECTOR_TYPE:
        return pa.array([None if blank else vector(rng) for blank in mask], actual_type)
    if pa.types.is_struct(actual_type):
        if not actual_type.num_fields:
            return pa.array([None if blank else {} for blank in mask], actual_type)
        parts = [build(rng, part.type, size, **inner) for part in actual_type]
        return pa.StructArray.from_arrays(parts, fields=list(actual_type), mask=pa.array(mask))
    if pa.types.is_fixed_size_list(actual_type):
        values = build(rng, actual_type.value_type, size * actual_type.list_size, **inner)
        return pa.FixedSizeListArray.from_arrays(values, type=actual_type, mask=pa.array(mask))
    if pa.types.is_nested(actual_type):
        return _build_lists(rng, actual_type, mask, inner)
    return pa.array([None if blank else value_of(rng, actual_type, **inner) for blank in mask], actual_type)


def _build_lists(rng, actual_type, mask, inner):
    size = len(mask)
    lengths = [rng.randint(0, 2) for _ in range(size)]
    offsets = np.cumsum([0, *lengths])
    if pa.types.is_map(actual_type):
        chosen = [key for length in lengths for key in rng.sample(["x", "y", "", "k"], length)]
        keys = pa.array(chosen, actual_type.key_type)
        items = _build(rng, actual_type.item_type, int(offsets[-1]), **inner)
        entries = pa.StructArray.from_arrays(
            [keys, items], fields=[actual_type.key_field, actual_type.item_field]
        )
        valid = pa.py_buffer(np.packbits(~mask, bitorder="little").tobytes())
        return pa.Array.from_buffers(
            actual_type, size, [valid, pa.py_buffer(offsets.astype("int32").tobytes())], children=[entries]
        )
    values = build(rng, actual_type.value_type, int(offsets[-1]), **inner)
    if pa.types.is_list(actual_type) or pa.types.is_large_list(actual_type):
        form, wide = (
            (pa.ListArray, "int32") if pa.types.is_list(actual_type) else (pa.LargeListArray, "int64")
        )
        return form.from_arrays(offsets.astype(wide), values, mask=pa.array(mask))
    large = actual_type == pa.large_list_view(actual_type.value_type)
    form, wide = (pa.LargeListViewArray, "int64") if large else (pa.ListViewArray, "int32")
    order = list(range(size))
    rng.shuffle(order)  # views may come in any order
    starts, sizes = offsets[:-1][order].astype(wide), np.array(lengths, wide)[order]
    return form.from_arrays(starts, sizes, values, mask=pa.array(mask))


def vector(rng):
    if rng.random() < 0.5:
        return {"type": 1, "size": None, "indices": None, "values": [rng.gauss(0, 1)] * rng.randint(0, 3)}
    places = sorted(rng.sample(range(4), rng.randint(0, 3)))
    return {"type": 0, "size": 4, "indices": places, "values": [rng.choice([-0.0, 2.5])] * len(places)}


def value_of(rng, actual_type, marked, far):
    """A value of a scalar type: edges, and what chance gives."""
    if pa.types.is_boolean(actual_type):
        return rng.random() < 0.5
    if pa.types.is_integer(actual_type):
        low, high = (0, 1) if not pa.types.is_signed_integer(actual_type) else (-1, 1)
        bits_ = actual_type.bit_width - (low < 0)
        edges = [high * 2**bits_ - 1, low * 2**bits_, 0]
        if marked:
            return 4711 if actual_type.bit_width > 8 else 11
        return rng.choice([*edges, rng.randint(*edges[1::-1])])
    if pa.types.is_floating(actual_type):
        value = (
            4711.0
            if marked
            else rng.choice([0.1, -0.0, float("nan"), float("-inf"), rng.gauss(0, 1e4), 2**-24])
        )
        return np.dtype(f"float{actual_type.bit_width}").type(value) if actual_type.bit_width < 64 else value
    if pa.types.is_decimal(actual_type):
        digits = (
            4711
            if marked
            else rng.choice([10**actual_type.precision - 1, rng.randrange(10**actual_type.precision), -1, 0])
        )
        return decimal.Decimal(digits).scaleb(-actual_type.scale)
    if pa.types.is_temporal(actual_type):
        return time_of(rng, actual_type, marked, far)
    text = "4711" if marked else rng.choice(["", "ä\0", "NaN", "x" * 20])
    if str(actual_type) in ("string", "large_string", "string_view"):
        return text
    return (
        (text.encode() + b"  ")[: actual_type.byte_width]
        if pa.types.is_fixed_size_binary(actual_type)
        else text.encode()
    )


def time_of(rng, actual_type, marked, far):
    if pa.types.is_duration(actual_type):
        return datetime.timedelta(seconds=4711)
    if far and rng.random() < 0.3 and str(actual_type) != "timestamp[ns]":
        time = FAR
    else:
        time = datetime.datetime(1970, 2, 1) + datetime.timedelta(seconds=rng.randrange(66 * 365 * 86_400))
    if marked:
        time = datetime.datetime(2911, 4, 7) if far else datetime.datetime(2029, 11, 4)
    return time.date() if pa.types.is_date(actual_type) else time


def relaxed(dtype):
    """The type with nothing required in it."""
    if isinstance(dtype, SparkMLVector) or not isinstance(dtype, (Array, Map, Object)):
        return dtype
    if isinstance(dtype, Array):
        return Array(relaxed(dtype.dtype))
    if isinstance(dtype, Map):
        return Map(relaxed(dtype.value_type))
    return Object([Property(prop.name, relaxed(prop.dtype), False) for prop in dtype.properties])


@given(types, st.integers(0, 2**32))
def test_any_column_that_widens_arrives_value_by_value(dtype, seed):
    rng = random.Random(seed)
    source_type, lenient = source_of(rng, dtype), relaxed(dtype)
    array = build(rng, source_type, rng.choice([0, 1, 5]))
    arrived = apply(array, lenient, required=False)
    assert bits(arrived.to_pylist()) == bits(
        [reference(value, source_type, lenient) for value in array.to_pylist()]
    )
    assert is_declared(arrived.type, lenient), f"{arrived.type} of {source_type} is not {lenient}"
    for part in windows(array):
        assert_is(part, lenient, apply(part, lenient, required=False))


@given(types, st.integers(0, 2**32), st.booleans(), st.booleans())
def test_any_columns_findings_are_the_references(dtype, seed, required, strict):
    rng = random.Random(seed)
    array = build(rng, source_of(rng, dtype), 6, far=rng.random() < 0.3)
    expected = expected_findings(array, dtype, required, strict)
    assert find_problems(array, dtype, required, strict_nulls=strict) == expected
    cut = rng.randint(0, 6)
    for part in (array.slice(0, cut), array.slice(cut)):
        assert find_problems(part, dtype, required, strict_nulls=strict) == expected_findings(
            part, dtype, required, strict
        )
    if not expected:
        assert_is(array, dtype, apply(array, dtype, required, strict_nulls=strict))


@given(names, st.sampled_from(DataType), st.integers(0, 2**32))
def test_any_map_arrives_as_an_object(name, target, seed):
    rng = random.Random(seed)
    labels = dict.fromkeys(["k", "x", name])
    dtype = Object([Property(label, target, rng.random() < 0.3) for label in labels])
    array = build(rng, texts_to(rng.choice(SOURCES[target])), 5)
    assert find_problems(array, dtype) == expected_findings(array, dtype)
    assert_is(array, relaxed(dtype), apply(array, relaxed(dtype)))


@given(types, st.integers(0, 2**32))
def test_cuts_change_neither_verdict_nor_values(dtype, seed):
    rng = random.Random(seed)
    array = build(rng, source_of(rng, dtype), 7)
    cuts = sorted(rng.choices(range(8), k=2))
    parts = [array.slice(start, stop - start) for start, stop in zip([0, *cuts], [*cuts, 7])]
    schema = Schema([ColSpec(dtype, "a")])
    outcomes = []
    for column in (array, pa.chunked_array(parts, array.type)):
        try:
            outcomes.append(bits(enforce(pa.table({"a": column}), schema)["a"].to_pylist()))
        except ContractError as error:
            outcomes.append(sorted(error.findings, key=str))  # a batch's come before the next one's
    assert outcomes[0] == outcomes[1]


# --- refusals -------------------------------------------------------------------------------------------


def test_duplicate_names_are_refused():
    twins = pa.struct([("x", pa.int64()), ("x", pa.int64()), ("y", pa.int64())])
    text = "expected one field of that name, got"
    assert lines(lambda: plan_of(twins, obj(x="long"))) == [f"a.x: {text} 2 [DUPLICATE_NAME]"]
    assert lines(lambda: plan_of(pa.list_(twins), Array(Map("long")))) == [
        f"a[].x: {text} several [DUPLICATE_NAME]"
    ]
    parts = [pa.array([1]), pa.array([2]), pa.array([3])]
    array = pa.StructArray.from_arrays(parts, fields=list(twins))
    assert apply(array, obj(y="long")).to_pylist() == [{"y": 3}]


def test_type_findings_of_every_depth_come_at_once():
    actual_type = pa.list_(
        fields(x=pa.int64(), o=fields(amuont=pa.string(), t=pa.float64()), m=texts_to(pa.string()))
    )
    dtype = Array(obj(x="double", o=obj(amount="string", t="float"), m=Map("long"), q="long"))
    assert [line.partition(" (")[0] for line in lines(lambda: plan_of(actual_type, dtype))] == [
        "a[].m[]: expected long, got string",
        "a[].o.amount: expected string, got no such field",
        "a[].o.t: expected float, got double",
        "a[].q: expected long, got no such field [MISSING_FIELD]",
        "a[].x: expected double, got int64",
    ]


MARS = pa.timestamp("us", "Mars/Olympus")


@pytest.mark.parametrize(
    ("actual_type", "dtype", "path"),
    [
        (pa.list_(MARS), Array("datetime"), "a[]"),
        (fields(t=MARS), obj(t="datetime"), "a.t"),
        (texts_to(pa.list_(MARS)), Map(Array("datetime")), "a[][]"),
        (pa.list_(pa.dictionary(pa.int8(), MARS)), Array("datetime"), "a[]"),
    ],
    ids=["list", "struct", "map", "dictionary"],
)
def test_unknown_zone_of_a_declared_datetime_is_named(actual_type, dtype, path):
    assert lines(lambda: plan_of(actual_type, dtype)) == [
        f"{path}: expected a known time zone, got Mars/Olympus "
        "(install the time zone database (tzdata), or convert the column to UTC) [UNSUPPORTED_TYPE]"
    ]


def test_unknown_zone_outside_of_datetimes_is_accepted():
    mars = pa.timestamp("us", "Mars/Olympus")
    plan_of(mars, AnyType())
    plan_of(fields(x=pa.int64(), t=mars), obj(x="long"))
    plan_of(pa.list_(mars), Array(AnyType()))


# --- costs ----------------------------------------------------------------------------------------------


def addresses(array):
    return [buffer.address if buffer is not None else 0 for buffer in array.buffers()]


def is_plain(dtype):
    """Return whether values of a type need no inspection: no timestamps, no vectors, no Any."""
    if isinstance(dtype, (Array, Map)):
        return is_plain(dtype.dtype if isinstance(dtype, Array) else dtype.value_type)
    if isinstance(dtype, Object):
        return all(is_plain(prop.dtype) for prop in dtype.properties)
    return isinstance(dtype, DataType) and dtype is not DataType.datetime


@given(types.filter(is_plain), st.integers(0, 2**32))
def test_a_column_of_its_type_is_handed_on_as_it_is(dtype, seed):
    dtype = relaxed(dtype)
    array = build(random.Random(seed), to_arrow(dtype), 5)
    batch = pa.record_batch([array], ["a"])
    assert plan_of(array.type, dtype).in_place or isinstance(dtype, DataType)
    if array.null_count and dtype in NEVER_NULL:
        return
    assert plan_of(array.type, dtype).apply(batch) is batch
    two = pa.record_batch([array, array], ["b", "a"])
    [arrived] = compile(Schema([ColSpec(dtype, "a")]), two.schema).apply(two).columns
    assert addresses(arrived) == addresses(array)
    assert (arrived.offset, arrived.type) == (array.offset, array.type)


def test_required_numbers_in_structs_are_checked_without_a_copy():
    dtype = obj(n="long", o=obj(f="boolean"), l=Array(obj(i="integer")))
    array = pa.array([{"n": 1, "o": {"f": True}, "l": [{"i": 1}]}], to_arrow(dtype)).slice(0)
    batch = pa.record_batch([array, array], ["b", "a"])
    [arrived] = compile(Schema([ColSpec(dtype, "a")]), batch.schema).apply(batch).columns
    assert addresses(arrived) == addresses(array)


def test_timestamps_of_the_declared_type_are_not_copied():
    array = pa.array([NAIVE, None], pa.list_(pa.timestamp("ns")))
    assert addresses(apply(array, Array("datetime")).values) == addresses(array.values)
    structs = pa.array([{"t": NAIVE[0]}], fields(t=pa.timestamp("ns")))
    assert addresses(apply(structs, obj(t="datetime"))) == addresses(structs)


ROWS = 200_000
NUMBERS = np.arange(4 * ROWS)


@pytest.fixture(scope="module")
def large_arrays():
    """Arrays of lists, structs, lists of structs, and maps, by name."""
    values = pa.array(NUMBERS)
    offsets = pa.array(np.arange(0, 4 * ROWS + 1, 4, dtype="int32"))
    keys = pa.array(np.resize(["a", "b", "c", "d"], 4 * ROWS))
    structs = pa.StructArray.from_arrays([values, values], ["x", "y"])
    return {
        "lists": pa.ListArray.from_arrays(offsets, values),
        "structs": structs,
        "lists of structs": pa.ListArray.from_arrays(offsets, structs),
        "maps": pa.MapArray.from_arrays(offsets, keys, values),
    }


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("lists", Array("long")),
        ("structs", obj(x_="long", y_="long")),
        ("structs", obj(x="long", y="long")),
        ("structs", obj(y="long")),
        ("lists of structs", Array(obj(x="long", y_="long"))),
        ("maps", Map("long")),
    ],
    ids=["lists", "optional fields", "required fields", "fewer fields", "lists of structs", "maps"],
)
def test_large_columns_are_not_copied(large_arrays, name, dtype):
    array = large_arrays[name]
    batch = pa.record_batch([array, array], ["b", "a"])
    plan = compile(Schema([ColSpec(dtype, "a")]), batch.schema)
    before = pa.total_allocated_bytes()
    enforced = plan.apply(batch)
    assert pa.total_allocated_bytes() - before < ROWS
    assert enforced.num_rows == len(array)


@pytest.mark.parametrize(("values", "actual_type", "dtype"), CASES.values(), ids=CASES)
def test_conversion_does_not_change_the_data(values, actual_type, dtype):
    array = pa.array(values, actual_type)
    before = array.to_pylist()
    apply(array, dtype, required=False)
    array.validate(full=True)
    assert bits(array.to_pylist()) == bits(before)


# --- structs that only look like vectors ----------------------------------------------------------------


def vectors(*rows):
    names = ("type", "size", "indices", "values")
    return pa.array([row and dict(zip(names, row)) for row in rows], VECTOR_TYPE)


WRONG = {
    "index beyond the size": (0, 2, [5], [9.0]),
    "index below zero": (0, 4, [-1], [3.0]),
    "index twice": (0, 4, [1, 1], [3.0, 4.0]),
    "index out of order": (0, 4, [2, 1], [3.0, 4.0]),
    "index null": (0, 4, [None], [3.0]),
    "no indices": (0, 4, None, [3.0]),
    "more indices than values": (0, 4, [0, 1], [3.0]),
    "no values": (1, None, None, None),
    "size below zero": (0, -2, [], []),
    "no size": (0, None, [], []),
    "another kind": (7, None, None, [1.0]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_malformed_vector_is_a_finding_and_leaves_other_rows_alone(wrong):
    array = vectors((0, 3, [0], [1.0]), None, wrong, (1, None, None, [2.0]))
    [line] = lines(lambda: apply(array, SparkMLVector()))
    assert line.startswith("a: expected dense vectors, or sparse ones")
    assert line.endswith("got malformed vectors, once, first in row 2 [INVALID_VALUE]")


def test_vectors_of_a_huge_declared_size_are_refused_before_they_take_memory():
    huge = (0, 2**31 - 1, [0], [1.0])
    [line] = lines(lambda: apply(vectors(huge, huge), SparkMLVector()))
    assert line == (
        "a: expected 2^31 values in a batch, got more, 2 times, first in rows 0, 1 (use smaller batches) "
        "[OUT_OF_RANGE]"
    )


def test_fields_of_a_struct_that_is_a_map_may_differ_in_what_may_be_null():
    inner = Object([Property("a", Object([Property("x", "integer")]))])
    strict = pa.struct([pa.field("x", pa.int32(), nullable=False)])
    parts = [("k", pa.struct([("a", strict)])), ("l", pa.struct([("a", pa.struct([("x", pa.int32())]))]))]
    value = {"k": {"a": {"x": 1}}, "l": {"a": {"x": 2}}}
    table = pa.table({"m": pa.array([value], pa.struct(parts))})
    assert enforce(table, Schema([ColSpec(Map(inner), "m")]))["m"].to_pylist() == [list(value.items())]
