"""Arrow <-> signatures: the casting table as Arrow types, both round-trip laws, every loss that is listed."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.convert.arrow import (
    LOST_FROM_ARROW,
    LOST_TO_ARROW,
    TENSOR_KEY,
    VECTOR_TYPE,
    from_arrow,
    to_arrow,
    to_source,
)
from sparksig.errors import Code, ConversionError, SignatureError
from sparksig.lattice import find_mismatches, widens
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.convert.helpers import (
    HOPELESS_DTYPES,
    MISFITS,
    RENAMED,
    TAMPERED,
    after_the_loss,
    codes,
    named_columns,
    schema_after_the_loss,
    tensor_json,
)
from tests.strategies import ODD_NAMES, composite_types, names, schemas, tensor_schemas, types


def make(name, *args):
    """An Arrow type by its factory's name, or None where the installed pyarrow is too old for it."""
    return getattr(pa, name)(*args) if hasattr(pa, name) else None


def column(dtype, nullable=True, name="a", **more):
    """A table of one column."""
    return pa.schema([pa.field(name, dtype, nullable=nullable, **more)])


# --- the casting table ----------------------------------------------------------------------------------

UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "America/New_York", "+02:00")

# Each source with the scalar types it widens to, the narrowest first; "" for none.
TABLE = [
    (pa.bool_(), "boolean"),
    (pa.int8(), "integer long double"),
    (pa.int16(), "integer long double"),
    (pa.int32(), "integer long double"),
    (pa.int64(), "long"),
    (pa.uint8(), "integer long double"),
    (pa.uint16(), "integer long double"),
    (pa.uint32(), "long double"),
    (pa.uint64(), ""),
    (pa.float16(), "float double"),
    (pa.float32(), "float double"),
    (pa.float64(), "double"),
    (pa.decimal128(1, 0), "integer long double"),
    (pa.decimal128(9, 0), "integer long double"),
    (pa.decimal128(10, 0), "long double"),
    (pa.decimal128(15, 0), "long double"),
    (pa.decimal128(16, 0), "long"),
    (pa.decimal128(18, 0), "long"),
    (pa.decimal128(19, 0), ""),
    (pa.decimal128(38, 0), ""),
    (pa.decimal128(9, 2), "double"),
    (pa.decimal128(15, 2), "double"),
    (pa.decimal128(15, 15), "double"),
    (pa.decimal128(16, 2), ""),
    (pa.decimal128(18, 2), ""),
    (pa.decimal128(5, -4), "integer long double"),
    (pa.decimal128(5, -5), "long double"),
    (pa.decimal128(15, -3), "long double"),
    (pa.decimal128(15, -4), "double"),
    (make("decimal32", 9, 0), "integer long double"),
    (make("decimal64", 18, 0), "long"),
    (pa.decimal256(18, 0), "long"),
    (pa.decimal256(76, 0), ""),
    (pa.string(), "string"),
    (pa.large_string(), "string"),
    (make("string_view"), "string"),
    (pa.dictionary(pa.int8(), pa.string()), "string"),
    (pa.dictionary(pa.int32(), pa.large_string(), ordered=True), "string"),
    (pa.dictionary(pa.int8(), pa.int64()), "long"),
    (pa.dictionary(pa.int8(), pa.uint64()), ""),
    (pa.binary(), "binary"),
    (pa.large_binary(), "binary"),
    (make("binary_view"), "binary"),
    (pa.binary(16), "binary"),
    *((pa.timestamp(unit, zone), "datetime") for unit in UNITS for zone in ZONES),
    (pa.date32(), "datetime"),
    (pa.date64(), "datetime"),
    (pa.time32("s"), ""),
    (pa.time32("ms"), ""),
    (pa.time64("us"), ""),
    (pa.time64("ns"), ""),
    *((pa.duration(unit), "") for unit in UNITS),
    (pa.month_day_nano_interval(), ""),
    (pa.run_end_encoded(pa.int32(), pa.int64()), ""),
    (pa.dense_union([pa.field("x", pa.int8()), pa.field("y", pa.string())]), ""),
    (make("uuid"), ""),
]
TABLE = [(dtype, [DataType[name] for name in wide.split()]) for dtype, wide in TABLE if dtype is not None]
table = pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=lambda value: str(value).replace(" ", ""))

LISTS = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "fixed_size_list": lambda dtype: pa.list_(dtype, 3),
    "list_view": getattr(pa, "list_view", None),
    "large_list_view": getattr(pa, "large_list_view", None),
}
LISTS = {name: wrap for name, wrap in LISTS.items() if wrap is not None}
lists = pytest.mark.parametrize("wrap", LISTS.values(), ids=LISTS)


@table
def test_a_scalar_widens_to_exactly_what_the_table_says(dtype, wide):
    assert [target for target in DataType if widens(to_source(dtype), target)] == wide


@table
def test_a_scalar_becomes_the_narrowest_type_that_holds_it(dtype, wide):
    if wide:
        assert from_arrow(dtype) == wide[0]
        assert from_arrow(column(dtype, nullable=False)) == Schema([ColSpec(wide[0], "a")])
    else:
        with pytest.raises(ConversionError, match=r"^no signature for this Arrow schema: 1 finding"):
            from_arrow(dtype)


@pytest.mark.parametrize(
    ("dtype", "target"),
    [(dtype, target) for dtype, wide in TABLE for target in DataType if target not in wide],
    ids=lambda value: value.name if isinstance(value, DataType) else str(value).replace(" ", ""),
)
def test_each_refusal_has_a_hint_and_names_the_type(dtype, target):
    [finding] = find_mismatches(to_source(dtype), target, "a.b")
    assert (finding.code, finding.path, finding.expected) == (Code.TYPE_MISMATCH, "a.b", target.name)
    assert finding.hint
    assert finding.actual


@pytest.mark.parametrize(
    "wrap",
    [
        lambda dtype: dtype,
        pa.list_,
        lambda dtype: pa.map_(pa.string(), dtype),
        lambda dtype: pa.struct([("f", dtype)]),
    ],
    ids=["itself", "list", "map", "struct"],
)
@pytest.mark.parametrize(
    "dtype", [dtype for dtype, _ in TABLE], ids=lambda dtype: str(dtype).replace(" ", "")
)
def test_any_accepts_every_type(dtype, wrap):
    assert widens(to_source(wrap(dtype)), AnyType())


@pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=[str(dtype) for dtype, _ in TABLE])
@lists
def test_every_list_widens_as_its_items_do(wrap, dtype, wide):
    source_type = to_source(wrap(dtype))
    assert [target for target in DataType if widens(source_type, Array(target))] == wide, dtype
    assert not any(widens(source_type, target) for target in DataType), dtype
    twice = to_source(wrap(pa.list_(dtype)))
    assert [target for target in DataType if widens(twice, Array(Array(target)))] == wide, dtype
    if wide:
        assert from_arrow(wrap(dtype)) == Array(wide[0])


@pytest.mark.parametrize(
    "wrap",
    [lambda dtype: pa.map_(pa.string(), dtype), lambda dtype: pa.struct([("f", dtype), ("g", dtype)])],
    ids=["map", "struct"],
)
@pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=describe_case)
def test_maps_and_structs_widen_as_their_parts_do(dtype, wide, wrap):
    source_type = to_source(wrap(dtype))
    assert [target for target in DataType if widens(source_type, Map(target))] == wide
    assert [target for target in DataType if widens(source_type, Object([Property("f", target)]))] == wide
    assert not any(widens(source_type, target) for target in (*DataType, Array("long")))


@pytest.mark.parametrize(
    "key",
    [pa.string(), pa.large_string(), make("string_view"), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
def test_map_keys_are_strings_of_any_kind(key):
    if key is None:
        pytest.skip("this pyarrow has no such strings")
    assert from_arrow(pa.map_(key, pa.int8())) == Map("integer")
    assert widens(to_source(pa.map_(key, pa.int8())), Map("double"))
    assert widens(to_source(pa.map_(key, pa.int8())), Object([Property("a", "long")]))


@pytest.mark.parametrize(
    "target", [Map("integer"), Object([Property("a", "integer")])], ids=["map", "object"]
)
@pytest.mark.parametrize("key", [pa.int32(), pa.binary(), pa.date32(), pa.bool_()], ids=str)
def test_other_map_keys_are_refused(key, target):
    actual_type = pa.map_(key, pa.int8())
    [finding] = find_mismatches(to_source(actual_type), target, "m")
    assert (finding.path, finding.hint) == ("m", "the keys of a map must be strings")
    with pytest.raises(ConversionError, match=r"m: expected map<string, \.\.\.>, got map<.*must be strings"):
        from_arrow(column(actual_type, name="m"))


def test_a_struct_is_an_object_by_name():
    source_type = to_source(pa.struct([("extra", pa.time32("s")), ("b", pa.int8()), ("a", pa.string())]))
    assert widens(source_type, Object([Property("a", "string"), Property("b", "long")]))
    assert widens(source_type, Object([Property("a", "string"), Property("z", "long", required=False)]))
    assert not widens(source_type, Map("string"))
    findings = find_mismatches(source_type, Object([Property("a", "long"), Property("B", "long")]), "o")
    assert [(f.path, f.code, f.hint) for f in findings] == [
        ("o.B", Code.MISSING_FIELD, "did you mean 'b'? Names are case sensitive"),
        ("o.a", Code.TYPE_MISMATCH, TEXT),
    ]


def test_two_fields_of_one_name_are_no_object():
    source_type = to_source(pa.struct([("a", pa.int8()), ("a", pa.int8())]))
    [finding] = find_mismatches(source_type, Object([Property("a", "long")]), "o")
    assert (finding.path, finding.code) == ("o.a", Code.DUPLICATE_NAME)


def test_nulls_widen_to_what_is_optional():
    assert widens(to_source(pa.null()), AnyType())
    assert widens(to_source(pa.list_(pa.null())), Array("long"))
    empty = to_source(pa.struct([("a", pa.null())]))
    assert widens(empty, Object([Property("a", "long", required=False)]))
    assert not widens(empty, Object([Property("a", "long")]))


@pytest.mark.parametrize(
    "target",
    [*DataType, Array("long"), Map("long"), Object([Property("a", "long")]), SparkMLVector()],
    ids=describe_case,
)
def test_nulls_widen_to_every_optional_type(target):
    assert widens(to_source(pa.null()), target, required=False)
    [finding] = find_mismatches(to_source(pa.null()), target, "a")
    assert finding.hint == "it holds only nulls: declare it optional, or cast the column to its type"


# As Spark's Arrow writer spells a vector: it marks what VectorUDT says is never null.
SPARK_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)


@pytest.mark.parametrize("dtype", [VECTOR_TYPE, SPARK_VECTOR], ids=["plain", "as Spark sends it"])
def test_the_vector_struct_is_a_vector(dtype):
    assert to_source(dtype).kind == "vector"
    assert widens(to_source(dtype), SparkMLVector())
    assert not any(widens(to_source(dtype), target) for target in (*DataType, Array("double"), Map("double")))
    assert from_arrow(dtype) == SparkMLVector()
    assert from_arrow(pa.list_(dtype)) == Array(SparkMLVector())


@pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=describe_case)
def test_a_vector_takes_lists_of_what_widens_to_double(dtype, wide):
    source_type = to_source(pa.list_(dtype))
    assert widens(source_type, SparkMLVector()) == (DataType.double in wide), dtype


@pytest.mark.parametrize(
    "dtype", [pa.float64(), pa.struct([("values", pa.list_(pa.float64()))]), pa.string()], ids=describe_case
)
def test_a_vector_takes_no_scalars_or_structs(dtype):
    assert not widens(to_source(dtype), SparkMLVector()), dtype


def test_a_struct_that_only_looks_like_a_vector_is_an_object():
    parts = list(VECTOR_TYPE)
    assert isinstance(from_arrow(pa.struct(parts[::-1])), Object)
    assert isinstance(from_arrow(pa.struct([*parts, ("more", pa.int8())])), Object)
    assert isinstance(from_arrow(pa.struct([("type", pa.int16()), *parts[1:]])), Object)


ON_PURPOSE = "cast it explicitly, or"
TEXT = "strings are not converted to or from other types: cast it explicitly"
NO_COUNTERPART = "has no counterpart in a signature: cast it explicitly, or drop it"
HINTS = [
    (pa.int64(), "double", f"beyond 2^53 a double loses digits: {ON_PURPOSE} declare it long"),
    (pa.int64(), "integer", f"it would be narrowed: {ON_PURPOSE} declare it long"),
    (pa.uint32(), "integer", f"it would be narrowed: {ON_PURPOSE} declare it long"),
    (pa.int8(), "float", f"a float holds 24 bits: {ON_PURPOSE} declare it double"),
    (pa.float64(), "float", f"it would be narrowed: {ON_PURPOSE} declare it double"),
    (pa.float32(), "integer", f"{ON_PURPOSE} declare it float"),
    (pa.float64(), "long", f"{ON_PURPOSE} declare it double"),
    (pa.string(), "long", TEXT),
    (pa.date32(), "string", TEXT),
    (pa.binary(), "string", TEXT),
    (pa.bool_(), "double", f"{ON_PURPOSE} declare it boolean"),
    (pa.int32(), "boolean", f"{ON_PURPOSE} declare it integer"),
    (pa.uint64(), "long", "values beyond 2^63 fit no signature type: cast it explicitly"),
    (pa.time64("us"), "datetime", f"time64[us] {NO_COUNTERPART}"),
    (pa.duration("ns"), "long", f"duration[ns] {NO_COUNTERPART}"),
    (pa.decimal128(16, 2), "double", f"double holds 15 digits exactly: {ON_PURPOSE} reduce the precision"),
    (pa.decimal128(19, 0), "long", f"long holds 18 digits exactly: {ON_PURPOSE} reduce the precision"),
    (pa.decimal128(9, 2), "long", f"it has a fraction: {ON_PURPOSE} declare it double (up to 15 digits)"),
    (pa.decimal128(9, 2), "string", f"{ON_PURPOSE} declare it double"),
]


@pytest.mark.parametrize(("dtype", "target", "hint"), HINTS, ids=lambda value: str(value)[:30])
def test_the_hint_of_a_refusal(dtype, target, hint):
    [finding] = find_mismatches(to_source(dtype), DataType[target], "a")
    assert finding.hint == hint


# --- signature types and Arrow's, both ways ---------------------------------------------------------------

PAIRS = [
    (DataType.boolean, pa.bool_()),
    (DataType.integer, pa.int32()),
    (DataType.long, pa.int64()),
    (DataType.float, pa.float32()),
    (DataType.double, pa.float64()),
    (DataType.string, pa.string()),
    (DataType.binary, pa.binary()),
    (DataType.datetime, pa.timestamp("ns")),
    (Array("long"), pa.list_(pa.int64())),
    (Map("double"), pa.map_(pa.string(), pa.float64())),
    (
        Object([Property("b", "string", required=False), Property("a", "long")]),
        pa.struct([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.string())]),
    ),
]
NESTED = {
    "top": (lambda t: t, lambda a: a),
    "array": (Array, pa.list_),
    "map": (Map, lambda a: pa.map_(pa.string(), a)),
    "required field": (
        lambda t: Object([Property("f", t)]),
        lambda a: pa.struct([pa.field("f", a, nullable=False)]),
    ),
    "optional field": (
        lambda t: Object([Property("f", t, required=False)]),
        lambda a: pa.struct([pa.field("f", a)]),
    ),
}


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize(("ours", "arrow"), PAIRS, ids=lambda value: str(value).replace(" ", ""))
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_a_type_and_its_arrow_type_are_converted_to_each_other(required, ours, arrow, nest):
    ours, arrow = nest[0](ours), nest[1](arrow)
    assert to_arrow(ours) == arrow
    assert from_arrow(arrow) == ours
    schema = Schema([ColSpec(ours, "a", required)])
    assert to_arrow(schema).equals(column(arrow, nullable=not required), check_metadata=True)
    assert from_arrow(column(arrow, nullable=not required)) == schema


# --- the laws ---------------------------------------------------------------------------------------------

lossless_types = composite_types(any_type=False, vectors=False)
KEPT_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "str", "bytes", "datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]",
    "datetime64[D]", "timedelta64[s]", "timedelta64[ms]", "timedelta64[us]", "timedelta64[ns]",
]  # fmt: skip
kept_dtypes = st.sampled_from(KEPT_DTYPES).map(np.dtype)


@given(lossless_types)
def test_types_come_back(dtype):
    assert from_arrow(to_arrow(dtype)) == dtype


@given(named_columns(lossless_types))
def test_schemas_of_columns_come_back(schema):
    assert from_arrow(to_arrow(schema)) == schema


@given(tensor_schemas(kept_dtypes).filter(Schema.has_input_names))
def test_schemas_of_tensors_come_back(schema):
    assert from_arrow(to_arrow(schema)) == schema


@given(types)
def test_of_types_nothing_is_lost_but_what_is_listed(dtype):
    try:
        expected = after_the_loss(dtype, any_type=False)
    except ConversionError:
        with pytest.raises(ConversionError, match=r"^no Arrow type: "):
            to_arrow(dtype)
    else:
        assert from_arrow(to_arrow(dtype)) == expected


@given(schemas)
def test_of_schemas_nothing_is_lost_but_what_is_listed(schema):
    try:
        expected = schema_after_the_loss(schema, any_type=False, refused_kinds="Oc")
    except ConversionError:
        with pytest.raises(ConversionError, match=r"^no Arrow schema: "):
            to_arrow(schema)
    else:
        assert from_arrow(to_arrow(schema)) == expected


def _fields(inner, max_size):
    return st.dictionaries(names, st.tuples(inner, st.booleans()), min_size=1, max_size=max_size)


def _struct(fields):
    return pa.struct([pa.field(name, *fields[name]) for name in sorted(fields)])


arrow_types = st.recursive(
    st.sampled_from([arrow for ours, arrow in PAIRS if isinstance(ours, DataType)]),
    lambda inner: st.one_of(
        inner.map(pa.list_), inner.map(lambda t: pa.map_(pa.string(), t)), _fields(inner, 3).map(_struct)
    ),
    max_leaves=6,
)
arrow_schemas = _fields(arrow_types, 4).map(
    lambda fields: pa.schema([pa.field(name, *arguments) for name, arguments in fields.items()])
)


@given(arrow_types)
def test_arrow_types_come_back(dtype):
    assert to_arrow(from_arrow(dtype)).equals(dtype, check_metadata=True)


@given(arrow_schemas)
def test_arrow_schemas_come_back(schema):
    assert to_arrow(from_arrow(schema)).equals(schema, check_metadata=True)


@given(tensor_schemas(kept_dtypes).map(to_arrow))
def test_arrow_schemas_of_tensors_come_back(schema):
    assert to_arrow(from_arrow(schema)).equals(schema, check_metadata=True)


@given(schema=arrow_schemas)
def test_what_comes_from_arrow_takes_that_arrow(schema):
    for field, spec in zip(schema, from_arrow(schema)):
        assert not find_mismatches(to_source(field.type), spec.type, field.name, spec.required)


# --- losses on the way to Arrow -----------------------------------------------------------------------------


def _returns(ours, expected):
    for wrap, _ in NESTED.values():
        for required in (True, False):
            back = from_arrow(to_arrow(Schema([ColSpec(wrap(ours), "a", required)])))
            assert back == Schema([ColSpec(wrap(expected), "a", required)])


def _any_is_refused():
    for wrap, _ in NESTED.values():
        for required in (True, False):
            with pytest.raises(ConversionError, match=r"got Any \(Arrow has no type for any value: declare"):
                to_arrow(Schema([ColSpec(wrap(AnyType()), "a", required)]))


def _names_become_numbers():
    assert from_arrow(to_arrow(Schema([ColSpec("long"), ColSpec("string")]))) == Schema(
        [ColSpec("long", "0"), ColSpec("string", "1")]
    )
    tensor = TensorSpec(np.dtype("int8"), (-1, 2))
    assert from_arrow(to_arrow(Schema([tensor]))) == Schema([TensorSpec(tensor.type, tensor.shape, "0")])


def _integer_names_become_strings():
    schema = Schema([ColSpec("long", 7, required=False), ColSpec("long", "x")])
    assert from_arrow(to_arrow(schema)) == Schema(
        [ColSpec("long", "7", required=False), ColSpec("long", "x")]
    )
    tensor = Schema([TensorSpec(np.dtype("int8"), (-1,), 7)])
    assert from_arrow(to_arrow(tensor)) == Schema([TensorSpec(np.dtype("int8"), (-1,), "7")])


def _some_tensors_are_refused():
    for dtype in map(np.dtype, HOPELESS_DTYPES):
        if dtype == np.float64:
            continue  # where the C compiler has no long double
        expected = f"x.y`: expected a dtype that Arrow has a type for, got {dtype.name} "
        with pytest.raises(ConversionError, match=expected):
            to_arrow(Schema([TensorSpec(dtype, (-1, 2), "x.y")]))


def _units(kind, preserved):
    for unit in ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "25s"):
        assert _tensor_comes_back(f"{kind}[{unit}]") == (unit in preserved.split()), unit


LOST_TO = {
    "Any": _any_is_refused,
    "SparkML vector": lambda: _returns(SparkMLVector(), Array("double")),
    "a column without a name": _names_become_numbers,
    "an integer name": _integer_names_become_strings,
    "tensor of object, complex or long double": _some_tensors_are_refused,
    "tensor of datetime64 in units other than D, s, ms, us, ns": lambda: _units("datetime64", "D s ms us ns"),
    "tensor of timedelta64 in units other than s, ms, us, ns": lambda: _units("timedelta64", "s ms us ns"),
}


@pytest.mark.parametrize("check", LOST_TO.values(), ids=LOST_TO)
def test_lost_to_arrow(check):
    check()


# --- losses on the way from Arrow -------------------------------------------------------------------------


def _comes_back(arrow, expected):
    for _, wrap in NESTED.values():
        for nullable in (True, False):
            back = to_arrow(from_arrow(column(wrap(arrow), nullable)))
            assert back.equals(column(wrap(expected), nullable), check_metadata=True), arrow


def _all_come_back(expected, *arrows):
    for arrow in arrows:
        if arrow is not None:
            _comes_back(arrow, expected)


def _decimals():
    borders = [((9, 0), pa.int32()), ((10, 0), pa.int64()), ((18, 0), pa.int64()), ((15, 3), pa.float64())]
    for digits, expected in borders:
        _all_come_back(expected, pa.decimal128(*digits), pa.decimal256(*digits))


def _plain_kinds():
    _all_come_back(pa.string(), pa.large_string(), make("string_view"))
    _all_come_back(pa.binary(), pa.large_binary(), make("binary_view"), pa.binary(4))
    _all_come_back(pa.list_(pa.int64()), *(wrap(pa.int64()) for wrap in LISTS.values()))


def _times():
    zoned = [pa.timestamp(unit, zone) for unit in UNITS for zone in ZONES]
    _all_come_back(pa.timestamp("ns"), *zoned, pa.date32(), pa.date64())


def _null_is_refused():
    assert from_arrow(column(pa.null())) == Schema([ColSpec(AnyType(), "a", required=False)])
    assert from_arrow(pa.list_(pa.null())) == Array(AnyType())
    with pytest.raises(ConversionError, match="got Any"):
        to_arrow(from_arrow(column(pa.null())))


def _nullability_of_items():
    for kind in LISTS.values():
        strict = kind(pa.field("item", pa.int64(), nullable=False))
        _comes_back(strict, pa.list_(pa.int64()))
    strict = pa.map_(pa.string(), pa.field("value", pa.int64(), nullable=False))
    _comes_back(strict, pa.map_(pa.string(), pa.int64()))


def _order_of_fields():
    mixed = [("b", pa.int64()), ("a", pa.string()), ("B", pa.bool_())]
    _comes_back(pa.struct(mixed), pa.struct(sorted(mixed, key=lambda part: part[0])))


def _metadata():
    held = column(pa.int64(), metadata={"comment": "in euros"}).with_metadata({"pandas": "{}"})
    assert to_arrow(from_arrow(held)).equals(column(pa.int64()), check_metadata=True)


def _nullable_tensor():
    actual_type = pa.schema([TENSOR_FIELD.with_nullable(True)])
    assert to_arrow(from_arrow(actual_type)).equals(pa.schema([TENSOR_FIELD]), check_metadata=True)


LOST_FROM = {
    "int8, int16, uint8, uint16": lambda: _all_come_back(
        pa.int32(), pa.int8(), pa.int16(), pa.uint8(), pa.uint16()
    ),
    "uint32": lambda: _comes_back(pa.uint32(), pa.int64()),
    "float16": lambda: _comes_back(pa.float16(), pa.float32()),
    "decimal": _decimals,
    "large_, _view and fixed size strings, binaries and lists": _plain_kinds,
    "dictionary": lambda: _comes_back(pa.dictionary(pa.int8(), pa.string(), ordered=True), pa.string()),
    "timestamp of any unit and zone, date32, date64": _times,
    "null": _null_is_refused,
    "nullability of list items and map values": _nullability_of_items,
    "order of struct fields": _order_of_fields,
    "the vector struct of Spark ML": lambda: _comes_back(VECTOR_TYPE, pa.list_(pa.float64())),
    "metadata of fields and of the schema": _metadata,
    "sorted keys of a map": lambda: _comes_back(
        pa.map_(pa.string(), pa.int64(), keys_sorted=True), pa.map_(pa.string(), pa.int64())
    ),
    "a nullable tensor": _nullable_tensor,
}


@pytest.mark.parametrize("check", LOST_FROM.values(), ids=LOST_FROM)
def test_lost_from_arrow(check):
    check()


def test_every_listed_loss_has_its_test():
    assert LOST_TO.keys() == LOST_TO_ARROW.keys()
    assert LOST_FROM.keys() == LOST_FROM_ARROW.keys()


TENSOR_FIELD = to_arrow(Schema([TensorSpec(np.dtype("int8"), (-1, 2), "a")])).field(0)

# Each is either kept, or a line of the table has the word.
KEPT_OR_LISTED = {
    "the vector struct": (column(VECTOR_TYPE), "vector"),
    "metadata of a field": (column(pa.int64(), metadata={"comment": "in euros"}), "metadata"),
    "metadata of a schema": (column(pa.int64()).with_metadata({"pandas": "{}"}), "metadata"),
    "a map with sorted keys": (column(pa.map_(pa.string(), pa.int64(), keys_sorted=True)), "sorted keys"),
    "a tensor that may be null": (pa.schema([TENSOR_FIELD.with_nullable(True)]), "tensor"),
}


@pytest.mark.parametrize(("schema", "word"), KEPT_OR_LISTED.values(), ids=KEPT_OR_LISTED)
def test_what_does_not_come_back_is_listed(schema, word):
    preserved = to_arrow(from_arrow(schema)).equals(schema, check_metadata=True)
    assert preserved or any(word in line for line in LOST_FROM_ARROW)


def _tensor_comes_back(dtype):
    schema = Schema([TensorSpec(np.dtype(dtype), (-1, 2), "a")])
    try:
        return from_arrow(to_arrow(schema)) == schema
    except ConversionError:
        return False


@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_tensors_of_units_that_arrow_lacks_come_back_or_are_listed_as_refused(kind):
    preserved = [
        _tensor_comes_back(f"{kind}[{unit}]") for unit in ("Y", "M", "W", "h", "m", "ps", "fs", "as")
    ]
    assert all(preserved) or any(kind in line for line in LOST_TO_ARROW)


# --- tensors ----------------------------------------------------------------------------------------------

ELEMENTS = {
    **{name: pa.from_numpy_dtype(name) for name in KEPT_DTYPES[:12]},
    "str": pa.string(),
    "bytes": pa.binary(),
    "datetime64[s]": pa.timestamp("s"),
    "datetime64[ns]": pa.timestamp("ns"),
    "datetime64[D]": pa.date32(),
    "timedelta64[us]": pa.duration("us"),
}


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ELEMENTS, ids=describe_case)
def test_a_tensor_of_rank_r_is_lists_in_lists_and_comes_back(name, rank):
    spec = TensorSpec(np.dtype(name), (-1, 3, -1, 5)[:rank], "t.x")
    arrow = to_arrow(Schema([spec]))
    expected = ELEMENTS[name]
    for _ in range(rank - 1):
        expected = pa.list_(expected)
    [field] = arrow
    assert (field.name, field.type, field.nullable) == ("t.x", expected, False)
    body = json.loads(field.metadata[TENSOR_KEY.encode()])
    assert body == {"type": "tensor", "tensor-spec": {"dtype": name, "shape": list(spec.shape)}}
    assert from_arrow(pa.ipc.read_schema(arrow.serialize())) == Schema([spec])


def test_a_big_endian_tensor_is_its_native_twin():
    schema = Schema([TensorSpec(np.dtype(">f4"), (-1, 2), "t")])
    assert to_arrow(schema).field(0).type == pa.list_(pa.float32())


def tensor_field(text, name="t.x", dtype=None):
    """A field that says of itself that it is a tensor."""
    dtype = pa.list_(pa.float64()) if dtype is None else dtype
    return pa.field(name, dtype, nullable=False, metadata={TENSOR_KEY: text})


TEXT_OF_A_MISFIT = r"`t\.x`: expected 't\.x': Tensor\(.*\), got .* \(the metadata sparksig.tensor and the"


@pytest.mark.parametrize("text", MISFITS.values(), ids=MISFITS)
def test_metadata_that_does_not_fit_the_field_is_refused(text):
    with pytest.raises(ConversionError, match=TEXT_OF_A_MISFIT) as error:
        from_arrow(pa.schema([tensor_field(text)]))
    assert codes(error) == [("`t.x`", Code.TYPE_MISMATCH)]


@pytest.mark.parametrize("text", [*TAMPERED.values(), b"\xff\xfe\x00"], ids=[*TAMPERED, "no text"])
def test_tampered_metadata_is_refused_as_ours(text):
    with pytest.raises((ConversionError, SignatureError)):
        from_arrow(pa.schema([tensor_field(text)]))


def test_tampered_metadata_is_reported_for_all_fields():
    fields = [
        tensor_field("{}", "a.b"),
        tensor_field(tensor_json("complex128"), "c.d"),
        tensor_field(tensor_json("int8"), "e.f"),
        tensor_field(tensor_json(), "fine"),
    ]
    with pytest.raises((ConversionError, SignatureError)) as error:
        from_arrow(pa.schema(fields))
    assert [finding.path for finding in error.value.findings] == ["`a.b`", "`c.d`", "`e.f`"]


def test_a_tensor_is_called_as_its_field_is():
    renamed = tensor_field(tensor_json()).with_name("u")
    assert from_arrow(pa.schema([renamed])) == Schema([TensorSpec(np.dtype("float64"), (-1, 2), "u")])


def test_a_name_in_the_metadata_is_ignored_or_refused_as_ours():
    try:
        schema = from_arrow(pa.schema([tensor_field(RENAMED)]))
    except (ConversionError, SignatureError):
        return
    assert schema.input_names() == ["t.x"]


def test_items_that_cannot_be_null_are_still_a_tensor():
    field = tensor_field(tensor_json(), dtype=pa.list_(pa.field("item", pa.float64(), nullable=False)))
    assert from_arrow(pa.schema([field])) == Schema([TensorSpec(np.dtype("float64"), (-1, 2), "t.x")])


def test_tensors_beside_columns_are_refused():
    with pytest.raises(SignatureError, match="a Schema has columns or tensors, not both"):
        from_arrow(pa.schema([tensor_field(tensor_json()), pa.field("a", pa.int8())]))


# --- names ------------------------------------------------------------------------------------------------


def test_odd_names_and_case_twins_come_back():
    schema = Schema(
        [ColSpec(Object([Property(name, "long") for name in ODD_NAMES]), name) for name in ODD_NAMES]
    )
    assert to_arrow(schema).names == ODD_NAMES
    assert from_arrow(to_arrow(schema)) == schema


def test_two_columns_of_one_name_are_refused():
    schema = pa.schema([("a.b", pa.int8()), ("a.b", pa.int8()), ("c", pa.int8())])
    with pytest.raises(ConversionError, match="expected one column of that name, got several") as error:
        from_arrow(schema)
    assert codes(error) == [("`a.b`", Code.DUPLICATE_NAME)]


def test_a_number_and_its_text_cannot_both_be_names():
    text = "^no Arrow schema: 1 finding\n  - 0: expected one column of that name as text, got several "
    with pytest.raises(ConversionError, match=text):
        to_arrow(Schema([ColSpec("long", 0), ColSpec("long", "0")]))


@pytest.mark.parametrize(
    "schema",
    [
        Schema([ColSpec("long", "\ud800")]),
        Schema([ColSpec(Object([Property("\ud800", "long")]), "a")]),
        Schema([TensorSpec(np.dtype("int8"), (-1,), "\ud800")]),
    ],
    ids=["column", "property", "tensor"],
)
def test_a_name_that_is_no_unicode_is_refused(schema):
    with pytest.raises(ConversionError):
        to_arrow(schema)


# --- all findings at once ---------------------------------------------------------------------------------

TIMES_BY_NUMBER = pa.map_(pa.int32(), pa.duration("s"))
HOPELESS = pa.schema(
    [
        pa.field("fine", pa.int8()),
        pa.field("top", pa.uint64()),
        pa.field("a.b", pa.list_(pa.struct([("x", pa.time32("s")), ("y", TIMES_BY_NUMBER)]))),
        pa.field("twins", pa.struct([("t", pa.int8()), ("t", pa.uint64())]), nullable=False),
        pa.field("deep", pa.map_(pa.string(), pa.list_(pa.list_(pa.decimal128(38, 10))))),
        pa.field("none", pa.struct([("s", pa.struct([]))])),
        pa.field("ree", pa.run_end_encoded(pa.int32(), pa.int64())),
    ]
)  # fmt: skip


def test_from_arrow_reports_every_place():
    with pytest.raises(ConversionError, match=r"^no signature for this Arrow schema: 9 findings\n") as error:
        from_arrow(HOPELESS)
    assert codes(error) == [
        ("top", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].x", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].y[]", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].y", Code.UNSUPPORTED_TYPE),
        ("twins.t", Code.DUPLICATE_NAME),
        ("twins.t", Code.UNSUPPORTED_TYPE),
        ("deep[][][]", Code.UNSUPPORTED_TYPE),
        ("none.s", Code.UNSUPPORTED_TYPE),
        ("ree", Code.UNSUPPORTED_TYPE),
    ]


def test_duplicate_columns_are_reported_with_the_rest():
    schema = pa.schema([("a", pa.int8()), ("a", pa.int8()), ("b", pa.uint64())])
    with pytest.raises((ConversionError, SignatureError)) as error:
        from_arrow(schema)
    assert sorted(codes(error)) == [("a", Code.DUPLICATE_NAME), ("b", Code.UNSUPPORTED_TYPE)]


def test_to_arrow_reports_every_place():
    hopeless = Object(
        [Property("x.y", Map(Array(AnyType())), required=False), Property("z", AnyType(), False)]
    )
    schema = Schema(
        [
            ColSpec(AnyType(), "top", required=False),
            ColSpec(Array(hopeless), "a.b"),
            ColSpec("long", 0),
            ColSpec("long", "0"),
        ]
    )
    with pytest.raises(ConversionError, match=r"^no Arrow schema: 4 findings\n") as error:
        to_arrow(schema)
    assert codes(error) == [
        ("0", Code.DUPLICATE_NAME),
        ("top", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].`x.y`[][]", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].z", Code.UNSUPPORTED_TYPE),
    ]


def test_to_arrow_reports_every_place_of_a_type():
    with pytest.raises(ConversionError, match=r"^no Arrow type: 2 findings\n") as error:
        to_arrow(Object([Property("a", AnyType(), False), Property("b", Map(AnyType()))]))
    assert codes(error) == [("a", Code.UNSUPPORTED_TYPE), ("b[]", Code.UNSUPPORTED_TYPE)]


def test_to_arrow_reports_every_tensor():
    dtypes = {"a.b": "object", "fine": "int8", "c": "complex64"}
    with pytest.raises(ConversionError, match=r"^no Arrow schema: 2 findings\n") as error:
        to_arrow(Schema([TensorSpec(np.dtype(dtype), (-1, 2), name) for name, dtype in dtypes.items()]))
    assert codes(error) == [("`a.b`", Code.UNSUPPORTED_TYPE), ("c", Code.UNSUPPORTED_TYPE)]


TEXTS = [
    (pa.uint64(), "got uint64 (values beyond 2^63 fit no signature type: cast it explicitly) ["),
    (pa.time32("ms"), f"got time32[ms] (time32[ms] {NO_COUNTERPART}) ["),
    (
        pa.decimal128(38, 10),
        "got decimal(38,10) (signatures support 18 digits without a fraction, or 15 with one: "
        "reduce the precision, or cast it to double explicitly) [",
    ),
    (TIMES_BY_NUMBER, "got map<int32, duration[s]> (the keys of a map must be strings) ["),
    (pa.struct([]), "expected a struct with fields, got no field ["),
    (pa.struct([("b", pa.int8())] * 2), "- a.b: expected one field of that name, got several ["),
]


@pytest.mark.parametrize(("dtype", "text"), TEXTS, ids=lambda value: str(value)[:30])
def test_the_text_of_a_refusal(dtype, text):
    with pytest.raises(ConversionError, match=re.escape(text)):
        from_arrow(column(dtype))


def test_a_schema_without_fields_is_refused():
    with pytest.raises(SignatureError, match="a Schema needs at least one column or tensor"):
        from_arrow(pa.schema([]))


def test_types_too_deep_for_a_signature_are_refused():
    dtype = pa.int8()
    for _ in range(150):
        dtype = pa.list_(dtype)
    with pytest.raises(ConversionError) as error:
        from_arrow(column(dtype))
    [finding] = error.value.findings
    assert finding.path.startswith("a")
    assert str(finding).endswith("expected at most 100 levels of nesting, got more [UNSUPPORTED_TYPE]")
