"""Spark types <-> signatures, without a JVM: the design's tables, both round-trip laws, every loss listed."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml import linalg as ml
from pyspark.mllib import linalg as mllib
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_type

from sparksig.convert import arrow
from sparksig.convert.spark import (
    LOST_FROM_SPARK,
    LOST_TO_SPARK,
    TENSOR_KEY,
    from_spark,
    to_source,
    to_spark,
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
from tests.strategies import (
    ODD_NAMES,
    TENSOR_DTYPES,
    column_schemas,
    composite_types,
    names,
    scalar_types,
    schemas,
    tensor_schemas,
    types,
)

SPARK_4 = hasattr(T, "VariantType")
needs_spark_4 = pytest.mark.skipif(not SPARK_4, reason="this Spark has no VariantType")


def make(name, *args):
    """A Spark type by its name, or None where the installed Spark is too old for it."""
    return getattr(T, name)(*args) if hasattr(T, name) else None


def table(dtype, nullable=True, name="a", metadata=None):
    """A table of one column."""
    return T.StructType([T.StructField(name, dtype, nullable, metadata)])


class PointUDT(T.UserDefinedType):
    """A type of somebody's own."""

    @classmethod
    def sqlType(cls):
        return T.ArrayType(T.DoubleType(), False)


# --- the tables of the design -------------------------------------------------------------------------------

RECORD = Object([Property("b", "string", required=False), Property("a", "long")])
RECORD_TYPE = T.StructType().add("a", "long", False).add("b", "string")
COLLATED = T.StringType("UTF8_LCASE") if SPARK_4 else None
# A signature's type, its Spark type, and what comes back as that signature's type.
ROWS = [
    (DataType.boolean, T.BooleanType(), [T.BooleanType()]),
    (DataType.integer, T.IntegerType(), [T.IntegerType(), T.ByteType(), T.ShortType(), T.DecimalType(9, 0)]),
    (DataType.long, T.LongType(), [T.LongType(), T.DecimalType(10, 0), T.DecimalType(18, 0)]),
    (DataType.float, T.FloatType(), [T.FloatType()]),
    (DataType.double, T.DoubleType(), [T.DoubleType(), T.DecimalType(9, 2), T.DecimalType(15, 15)]),
    (DataType.string, T.StringType(), [T.StringType(), T.CharType(3), T.VarcharType(3), COLLATED]),
    (DataType.binary, T.BinaryType(), [T.BinaryType()]),
    (DataType.datetime, T.TimestampType(), [T.TimestampType(), T.TimestampNTZType(), T.DateType()]),
    (
        Array("long"),
        T.ArrayType(T.LongType()),
        [T.ArrayType(T.LongType()), T.ArrayType(T.LongType(), containsNull=False)],
    ),
    (
        Map("double"),
        T.MapType(T.StringType(), T.DoubleType()),
        [
            T.MapType(T.StringType(), T.DoubleType()),
            T.MapType(T.StringType(), T.DoubleType(), valueContainsNull=False),
            T.MapType(T.VarcharType(9), T.DoubleType()),
        ],
    ),
    (RECORD, RECORD_TYPE, [RECORD_TYPE, T.StructType(RECORD_TYPE.fields[::-1])]),
    (SparkMLVector(), T.ArrayType(T.DoubleType()), [ml.VectorUDT(), mllib.VectorUDT()]),
]
if SPARK_4:
    ROWS.append((AnyType(), T.VariantType(), [T.VariantType()]))

NESTED = {
    "top": (lambda t: t, lambda s: s),
    "array": (Array, T.ArrayType),
    "map": (Map, lambda s: T.MapType(T.StringType(), s)),
    "required field": (lambda t: Object([Property("f", t)]), lambda s: T.StructType().add("f", s, False)),
    "optional field": (
        lambda t: Object([Property("f", t, required=False)]),
        lambda s: T.StructType().add("f", s),
    ),
}


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize(("ours", "spark", "back"), ROWS, ids=[repr(row[0]) for row in ROWS])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_a_row_of_the_table_both_ways(required, ours, spark, back, nest):
    ours, wrap = nest[0](ours), nest[1]
    assert to_spark(ours) == wrap(spark)
    schema = Schema([ColSpec(ours, "a", required)])
    assert to_spark(schema) == table(wrap(spark), nullable=not required)
    for actual_type in back:
        if actual_type is not None:
            assert from_spark(table(wrap(actual_type), nullable=not required)) == schema


# Each source with the scalar types it widens to, the narrowest first; "" for none.
WIDENS = [
    (T.BooleanType(), "boolean"),
    (T.ByteType(), "integer long double"),
    (T.ShortType(), "integer long double"),
    (T.IntegerType(), "integer long double"),
    (T.LongType(), "long"),
    (T.FloatType(), "float double"),
    (T.DoubleType(), "double"),
    (T.StringType(), "string"),
    (T.CharType(5), "string"),
    (T.VarcharType(5), "string"),
    (COLLATED, "string"),
    (T.BinaryType(), "binary"),
    (T.DateType(), "datetime"),
    (T.TimestampType(), "datetime"),
    (T.TimestampNTZType(), "datetime"),
    (T.DecimalType(1, 0), "integer long double"),
    (T.DecimalType(9, 0), "integer long double"),
    (T.DecimalType(10, 0), "long double"),
    (T.DecimalType(15, 0), "long double"),
    (T.DecimalType(16, 0), "long"),
    (T.DecimalType(18, 0), "long"),
    (T.DecimalType(19, 0), ""),
    (T.DecimalType(38, 0), ""),
    (T.DecimalType(9, 2), "double"),
    (T.DecimalType(10, 2), "double"),
    (T.DecimalType(15, 2), "double"),
    (T.DecimalType(16, 2), ""),
    (T.DecimalType(18, 2), ""),
    (T.DecimalType(19, 2), ""),
    (T.DecimalType(38, 38), ""),
    (T.DayTimeIntervalType(), ""),
    (T.DayTimeIntervalType(1, 1), ""),
    (T.YearMonthIntervalType(), ""),
    (make("CalendarIntervalType"), ""),
    (make("TimeType", 6), ""),
    (make("GeometryType", 4326), ""),
    (make("GeographyType", 4326), ""),
    (ml.MatrixUDT(), ""),
    (mllib.MatrixUDT(), ""),
    (PointUDT(), ""),
]
WIDENS = [(dtype, [DataType[name] for name in wide.split()]) for dtype, wide in WIDENS if dtype is not None]
widening = pytest.mark.parametrize(
    ("dtype", "wide"), WIDENS, ids=[f"{type(d).__module__}.{d!r}".removeprefix("pyspark.") for d, _ in WIDENS]
)


@widening
def test_a_scalar_widens_to_exactly_what_the_table_says(dtype, wide):
    assert [target for target in DataType if widens(to_source(dtype), target)] == wide
    assert [t for t in DataType if widens(to_source(T.ArrayType(dtype)), Array(t))] == wide
    assert [t for t in DataType if widens(to_source(T.MapType(T.StringType(), dtype)), Map(t))] == wide
    record = to_source(T.StructType().add("f", dtype))
    assert [t for t in DataType if widens(record, Object([Property("f", t)]))] == wide
    assert widens(to_source(T.ArrayType(dtype)), SparkMLVector()) == (DataType.double in wide)
    assert widens(to_source(dtype), AnyType())


@widening
def test_a_scalar_becomes_the_narrowest_type_that_holds_it(dtype, wide):
    if wide:
        assert from_spark(dtype) == wide[0]
        assert from_spark(T.ArrayType(dtype)) == Array(wide[0])
        return
    text = f"expected a supported type, got {to_source(dtype)} ({to_source(dtype)} has no counterpart"
    if isinstance(dtype, T.DecimalType):
        text = (
            text.split(f" ({to_source(dtype)}")[0]
            + " (signatures support 18 digits without a fraction, or 15"
        )
    with pytest.raises(ConversionError, match=re.escape(text)) as error:
        from_spark(table(T.ArrayType(dtype), name="a.b"))
    assert codes(error) == [("`a.b`[]", Code.UNSUPPORTED_TYPE)]


@pytest.mark.parametrize(
    ("dtype", "target"),
    [
        pytest.param(dtype, target, id=f"{type(dtype).__module__}.{dtype!r}-{target.name}")
        for dtype, wide in WIDENS
        for target in DataType
        if target not in wide
    ],
)
def test_each_refusal_has_a_hint_and_the_name_that_spark_users_know(dtype, target):
    [finding] = find_mismatches(to_source(dtype), target, "a")
    assert finding.hint
    user_defined = isinstance(dtype, T.UserDefinedType)
    name = f"user defined type {type(dtype).__name__}" if user_defined else dtype.simpleString()
    assert (finding.code, finding.expected, finding.actual) == (Code.TYPE_MISMATCH, target.name, name)


ONE_VERDICT = [
    T.BooleanType(),
    T.ByteType(),
    T.ShortType(),
    T.IntegerType(),
    T.LongType(),
    T.FloatType(),
    T.DoubleType(),
    T.StringType(),
    COLLATED,
    T.BinaryType(),
    T.DateType(),
    T.TimestampNTZType(),
    T.NullType(),
    T.DecimalType(9, 0),
    T.DecimalType(18, 0),
    T.DecimalType(15, 2),
    T.DecimalType(16, 2),
    T.DayTimeIntervalType(),
    make("TimeType", 6),
    T.ArrayType(T.LongType(), containsNull=False),
    T.ArrayType(T.ShortType()),
    T.MapType(T.StringType(), T.LongType(), valueContainsNull=False),
    T.StructType().add("a", "short", False).add("b", T.ArrayType(T.StructType().add("c", "string"))),
    ml.VectorUDT(),
    T.ArrayType(ml.VectorUDT()),
]


@pytest.mark.filterwarnings("ignore:distutils Version classes are deprecated")  # in Spark 3.5
@pytest.mark.parametrize("dtype", [dtype for dtype in ONE_VERDICT if dtype is not None], ids=describe_case)
@pytest.mark.parametrize(
    "target",
    [
        *DataType,
        Array("long"),
        Map("long"),
        Array("double"),
        SparkMLVector(),
        Array(SparkMLVector()),
        Object([Property("a", "long")]),
    ],
    ids=describe_case,
)
def test_a_spark_type_and_its_arrow_type_get_the_same_verdict(target, dtype):
    arrow_source = arrow.to_source(to_arrow_type(dtype))
    assert widens(to_source(dtype), target, True) == widens(arrow_source, target, True)
    assert widens(to_source(dtype), target, False) == widens(arrow_source, target, False)


def test_the_time_zone_of_a_timestamp_changes_no_verdict():
    assert widens(to_source(T.TimestampType()), DataType.datetime)
    assert to_source(T.TimestampType()) != to_source(T.TimestampNTZType())


@pytest.mark.parametrize("vector", [ml.VectorUDT(), mllib.VectorUDT()], ids=["ml", "mllib"])
def test_vectors_are_taken_by_vectors_only(vector):
    assert widens(to_source(vector), SparkMLVector())
    assert widens(to_source(T.ArrayType(vector)), Array(SparkMLVector()))
    assert not any(
        widens(to_source(vector), target) for target in (*DataType, Array("double"), Map("double"))
    )


def test_a_foreign_type_that_is_called_vector_is_refused():
    foreign = type("VectorUDT", (PointUDT,), {})
    with pytest.raises(ConversionError, match="got user defined type VectorUDT"):
        from_spark(table(foreign()))


def test_void_is_refused_in_a_required_column_by_name():
    assert widens(to_source(T.ArrayType(T.NullType())), Array("long"))


@pytest.mark.parametrize(
    "target", [*DataType, Array("long"), Map("long"), RECORD, SparkMLVector()], ids=describe_case
)
def test_void_widens_to_optional_columns_of_every_type(target):
    assert widens(to_source(T.NullType()), target, required=False)
    [finding] = find_mismatches(to_source(T.NullType()), target, "a")
    assert finding.actual == "void"
    assert finding.hint.startswith("it holds only nulls: declare it optional, or cast")


@needs_spark_4
def test_a_variant_widens_to_any():
    assert widens(to_source(T.VariantType()), AnyType())


@needs_spark_4
@pytest.mark.parametrize(
    "target",
    [*DataType, Array("long"), Map("long"), SparkMLVector(), Object([Property("value", "binary")])],
    ids=describe_case,
)
def test_a_variant_widens_to_no_other_type(target):
    [finding] = find_mismatches(to_source(T.VariantType()), target, "a")
    assert (finding.code, finding.actual) == (Code.TYPE_MISMATCH, "variant")


@pytest.mark.parametrize("key", [T.StringType(), T.CharType(2), T.VarcharType(2), COLLATED], ids=repr)
def test_map_keys_are_strings_of_any_kind(key):
    if key is None:
        pytest.skip("this Spark has no collations")
    assert from_spark(T.MapType(key, T.ShortType())) == Map("integer")


@pytest.mark.parametrize("target", [Map("long"), Object([Property("a", "long")])], ids=["map", "object"])
@pytest.mark.parametrize("key", [T.IntegerType(), T.BinaryType(), T.DateType(), T.NullType()], ids=repr)
def test_other_map_keys_are_refused(key, target):
    actual_type = T.MapType(key, T.LongType())
    text = rf"m: expected map<string, \.\.\.>, got map<{key.simpleString()}, bigint> .the keys of a map must"
    with pytest.raises(ConversionError, match=text) as error:
        from_spark(table(actual_type, name="m"))
    assert codes(error) == [("m", Code.UNSUPPORTED_TYPE)]
    [finding] = find_mismatches(to_source(actual_type), target, "m")
    assert (finding.path, finding.hint) == ("m", "the keys of a map must be strings")


# --- the laws -----------------------------------------------------------------------------------------------

lossless_types = composite_types(any_type=SPARK_4, vectors=False)
# timedelta64 has a separate test
tensor_dtypes = st.sampled_from([name for name in TENSOR_DTYPES if name != "timedelta64[ns]"]).map(np.dtype)
kept_dtypes = tensor_dtypes.filter(lambda dtype: dtype.kind not in "Oc")


@given(lossless_types.filter(lambda dtype: not isinstance(dtype, Object)))
def test_types_come_back(dtype):
    assert from_spark(to_spark(dtype)) == dtype


@given(named_columns(lossless_types))
def test_schemas_of_columns_come_back(schema):
    assert from_spark(to_spark(schema)) == schema


@given(tensor_schemas(kept_dtypes).filter(Schema.has_input_names))
def test_schemas_of_tensors_come_back(schema):
    assert from_spark(to_spark(schema)) == schema


@given(types.filter(lambda dtype: not isinstance(dtype, Object)))  # a struct comes back as a schema
def test_of_types_nothing_is_lost_but_what_is_listed(dtype):
    try:
        expected = after_the_loss(dtype, any_type=SPARK_4)
    except ConversionError:
        with pytest.raises(ConversionError, match="no Spark schema: "):
            to_spark(dtype)
    else:
        assert from_spark(to_spark(dtype)) == expected


@given(st.one_of(column_schemas(), tensor_schemas(tensor_dtypes)))
def test_of_schemas_nothing_is_lost_but_what_is_listed(schema):
    try:
        expected = schema_after_the_loss(schema, any_type=SPARK_4, refused_kinds="Oc")
    except ConversionError:
        with pytest.raises(ConversionError, match="no Spark schema: "):
            to_spark(schema)
    else:
        assert from_spark(to_spark(schema)) == expected


def _fields(inner, max_size):
    return st.dictionaries(names, st.tuples(inner, st.booleans()), min_size=1, max_size=max_size)


def _struct(fields):
    return T.StructType([T.StructField(name, *arguments) for name, arguments in fields])


spark_types = st.recursive(
    st.sampled_from([to_spark(dtype) for dtype in DataType] + ([T.VariantType()] if SPARK_4 else [])),
    lambda inner: st.one_of(
        inner.map(T.ArrayType),
        inner.map(lambda t: T.MapType(T.StringType(), t)),
        _fields(inner, 3).map(lambda fields: _struct(sorted(fields.items(), key=lambda part: part[0]))),
    ),
    max_leaves=6,
)
spark_schemas = _fields(spark_types, 4).map(lambda fields: _struct(fields.items()))


@given(spark_types)
def test_spark_types_come_back(dtype):
    assert to_spark(from_spark(dtype)) == dtype


@given(spark_schemas)
def test_spark_schemas_come_back(schema):
    assert to_spark(from_spark(schema)) == schema
    assert from_spark(T.StructType.fromJson(json.loads(schema.json()))) == from_spark(schema)


@given(tensor_schemas(kept_dtypes).map(to_spark))
def test_spark_schemas_of_tensors_come_back(schema):
    assert to_spark(from_spark(schema)) == schema


@given(spark_schemas)
def test_what_comes_from_spark_takes_that_table(schema):
    for field, spec in zip(schema.fields, from_spark(schema)):
        assert not find_mismatches(to_source(field.dataType), spec.type, field.name, spec.required)


# --- losses on the way to Spark -----------------------------------------------------------------------------


@pytest.fixture
def before_spark_4(monkeypatch):
    """The types of Spark 3.5, as far as sparksig can see."""
    monkeypatch.delattr(T, "VariantType", raising=False)


def _returns(ours, expected):
    for wrap, _ in NESTED.values():
        for required in (True, False):
            back = from_spark(to_spark(Schema([ColSpec(wrap(ours), "a", required)])))
            assert back == Schema([ColSpec(wrap(expected), "a", required)])


def _names_become_numbers():
    schema = Schema([ColSpec("long"), ColSpec("string")])
    assert from_spark(to_spark(schema)) == Schema([ColSpec("long", "0"), ColSpec("string", "1")])
    tensor = TensorSpec(np.dtype("int8"), (-1, 2))
    assert from_spark(to_spark(Schema([tensor]))) == Schema([TensorSpec(tensor.type, tensor.shape, "0")])


def _integer_names_become_strings():
    schema = Schema([ColSpec("long", 7, required=False), ColSpec("long", "x")])
    assert from_spark(to_spark(schema)) == Schema(
        [ColSpec("long", "7", required=False), ColSpec("long", "x")]
    )
    tensor = Schema([TensorSpec(np.dtype("int8"), (-1,), 7)])
    assert from_spark(to_spark(tensor)) == Schema([TensorSpec(np.dtype("int8"), (-1,), "7")])


def _any_is_refused_before_spark_4():
    text = r"expected VariantType for Any, got a Spark before 4\.0 \(use Spark 4\.0 or newer, or declare"
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(T, "VariantType", raising=False)
        for wrap, _ in NESTED.values():
            for required in (True, False):
                with pytest.raises(ConversionError, match=text):
                    to_spark(Schema([ColSpec(wrap(AnyType()), "a", required)]))


def _required_any():
    if not SPARK_4:
        pytest.skip("this Spark has no VariantType")
    assert to_spark(Schema([ColSpec(AnyType(), "a")])) == table(T.VariantType(), nullable=False)
    _returns(AnyType(), AnyType())


def _some_tensors_are_refused():
    for dtype in map(np.dtype, HOPELESS_DTYPES):
        if dtype == np.float64:
            continue  # where the C compiler has no long double
        expected = f"`x.y`: expected a dtype that Spark has a type for, got {dtype.name} "
        with pytest.raises(ConversionError, match=expected):
            to_spark(Schema([TensorSpec(dtype, (-1, 2), "x.y")]))


LOST_TO = {
    "SparkML vector": lambda: _returns(SparkMLVector(), Array("double")),
    "a column without a name": _names_become_numbers,
    "an integer name": _integer_names_become_strings,
    "Any before Spark 4.0": _any_is_refused_before_spark_4,
    "required Any": _required_any,
    "tensor of object, complex, long double or timedelta": _some_tensors_are_refused,
}


@pytest.mark.parametrize("check", LOST_TO.values(), ids=LOST_TO)
def test_lost_to_spark(check):
    check()


# --- losses on the way from Spark ---------------------------------------------------------------------------


def _all_come_back(expected, *actual_types):
    for dtype in actual_types:
        for _, wrap in NESTED.values() if dtype is not None else ():
            for nullable in (True, False):
                back = to_spark(from_spark(table(wrap(dtype), nullable)))
                assert back == table(wrap(expected), nullable), dtype


def _decimals():
    borders = [
        ((9, 0), "integer"),
        ((10, 0), "long"),
        ((18, 0), "long"),
        ((9, 2), "double"),
        ((15, 3), "double"),
    ]
    for digits, expected in borders:
        _all_come_back(to_spark(DataType[expected]), T.DecimalType(*digits))


def _nulls():
    assert from_spark(table(T.NullType())) == Schema([ColSpec(AnyType(), "a", required=False)])
    assert from_spark(T.ArrayType(T.NullType())) == Array(AnyType())
    if SPARK_4:
        assert to_spark(from_spark(table(T.NullType()))) == table(T.VariantType())


def _nullability_of_elements():
    _all_come_back(T.ArrayType(T.LongType()), T.ArrayType(T.LongType(), containsNull=False))
    strict = T.MapType(T.StringType(), T.LongType(), valueContainsNull=False)
    _all_come_back(T.MapType(T.StringType(), T.LongType()), strict)


def _order_of_fields():
    mixed = T.StructType().add("b", "long", False).add("a", "string").add("B", "double")
    _all_come_back(T.StructType().add("B", "double").add("a", "string").add("b", "long", False), mixed)


def _metadata():
    actual_type = T.StructType().add("f", "long", True, {"comment": "inside"})
    back = to_spark(from_spark(table(actual_type, metadata={"comment": "in euros", "id": 7})))
    assert back == table(T.StructType().add("f", "long"))
    tensor = to_spark(Schema([TensorSpec(np.dtype("int8"), (-1, 2), "a")]))
    commented = T.StructField(
        "a", tensor[0].dataType, nullable=False, metadata={**tensor[0].metadata, "comment": "pixels"}
    )
    assert to_spark(from_spark(T.StructType([commented]))) == tensor


def _nullable_tensor():
    strict = to_spark(Schema([TensorSpec(np.dtype("int8"), (-1, 2), "a")]))
    actual_type = T.StructType(
        [T.StructField("a", strict[0].dataType, nullable=True, metadata=strict[0].metadata)]
    )
    assert to_spark(from_spark(actual_type)) == strict


LOST_FROM = {
    "ByteType, ShortType": lambda: _all_come_back(T.IntegerType(), T.ByteType(), T.ShortType()),
    "CharType, VarcharType, collated strings": lambda: _all_come_back(
        T.StringType(), T.CharType(2), T.VarcharType(2), COLLATED
    ),
    "DateType, TimestampNTZType": lambda: _all_come_back(
        T.TimestampType(), T.DateType(), T.TimestampNTZType()
    ),
    "DecimalType": _decimals,
    "VectorUDT": lambda: _all_come_back(T.ArrayType(T.DoubleType()), ml.VectorUDT(), mllib.VectorUDT()),
    "NullType": _nulls,
    "containsNull and valueContainsNull": _nullability_of_elements,
    "order of struct fields": _order_of_fields,
    "field metadata and comments": _metadata,
    "a nullable tensor": _nullable_tensor,
}


@pytest.mark.parametrize("check", LOST_FROM.values(), ids=LOST_FROM)
def test_lost_from_spark(check):
    check()


def test_every_listed_loss_has_its_test():
    assert LOST_TO.keys() == LOST_TO_SPARK.keys()
    assert LOST_FROM.keys() == LOST_FROM_SPARK.keys()


def _tensor_comes_back(dtype):
    schema = Schema([TensorSpec(np.dtype(dtype), (-1, 2), "a")])
    try:
        return from_spark(to_spark(schema)) == schema
    except ConversionError:
        return False


def test_tensors_of_timedelta_come_back_or_are_listed_as_refused():
    preserved = [_tensor_comes_back(f"timedelta64[{unit}]") for unit in ("s", "ms", "us", "ns", "D")]
    assert all(preserved) or any("timedelta" in line for line in LOST_TO_SPARK)


def test_a_tensor_that_may_be_null_comes_back_or_is_listed():
    field = to_spark(Schema([TensorSpec(np.dtype("int8"), (-1, 2), "a")]))[0]
    schema = T.StructType([T.StructField("a", field.dataType, nullable=True, metadata=field.metadata)])
    assert to_spark(from_spark(schema)) == schema or any("tensor" in line for line in LOST_FROM_SPARK)


# --- tensors ------------------------------------------------------------------------------------------------

ELEMENTS = {
    "bool": T.BooleanType(),
    "int8": T.ByteType(),
    "int16": T.ShortType(),
    "int32": T.IntegerType(),
    "int64": T.LongType(),
    "uint8": T.ShortType(),
    "uint16": T.IntegerType(),
    "uint32": T.LongType(),
    "uint64": T.DecimalType(20, 0),
    "float16": T.FloatType(),
    "float32": T.FloatType(),
    "float64": T.DoubleType(),
    "str": T.StringType(),
    "bytes": T.BinaryType(),
    "datetime64[ns]": T.TimestampType(),
    "datetime64[D]": T.TimestampType(),
    "datetime64[h]": T.TimestampType(),
}


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ELEMENTS, ids=describe_case)
def test_a_tensor_of_rank_r_is_arrays_in_arrays_and_comes_back(name, rank):
    spec = TensorSpec(np.dtype(name), (-1, 3, -1, 5)[:rank], "t.x")
    spark = to_spark(Schema([spec]))
    expected = ELEMENTS[name]
    for _ in range(rank - 1):
        expected = T.ArrayType(expected)
    [field] = spark.fields
    assert (field.name, field.dataType, field.nullable) == ("t.x", expected, False)
    body = json.loads(field.metadata[TENSOR_KEY])
    assert body == {"type": "tensor", "tensor-spec": {"dtype": name, "shape": list(spec.shape)}}
    assert from_spark(T.StructType.fromJson(json.loads(spark.json()))) == Schema([spec])


def tensor_table(body, name="t.x", dtype=None):
    """A table whose one field says of itself that it is a tensor."""
    dtype = T.ArrayType(T.DoubleType()) if dtype is None else dtype
    return table(dtype, nullable=False, name=name, metadata={TENSOR_KEY: body})


TEXT_OF_A_MISFIT = r"`t\.x`: expected 't\.x': Tensor\(.*\), got .* \(the metadata sparksig.tensor and the"


@pytest.mark.parametrize("body", MISFITS.values(), ids=MISFITS)
def test_metadata_that_does_not_fit_the_field_is_refused(body):
    with pytest.raises(ConversionError, match=TEXT_OF_A_MISFIT) as error:
        from_spark(tensor_table(body))
    assert codes(error) == [("`t.x`", Code.TYPE_MISMATCH)]


NO_TEXT = {"JSON null": None, "a JSON number": 5, "a JSON object": {"type": "tensor"}, "a JSON list": [1]}


@pytest.mark.parametrize("body", [*TAMPERED.values(), *NO_TEXT.values()], ids=[*TAMPERED, *NO_TEXT])
def test_tampered_metadata_is_refused_as_ours(body):
    with pytest.raises((ConversionError, SignatureError)):
        from_spark(tensor_table(body))


def test_tampered_metadata_is_reported_for_all_fields():
    bodies = {
        "a.b": "{}",
        "c.d": tensor_json("complex128"),
        "e.f": tensor_json("int8"),
        "fine": tensor_json(),
    }
    fields = [tensor_table(body, name)[0] for name, body in bodies.items()]
    with pytest.raises((ConversionError, SignatureError)) as error:
        from_spark(T.StructType(fields))
    assert [finding.path for finding in error.value.findings] == ["`a.b`", "`c.d`", "`e.f`"]


def test_a_tensor_is_called_as_its_field_is():
    renamed = tensor_table(tensor_json(), name="u")
    assert from_spark(renamed) == Schema([TensorSpec(np.dtype("float64"), (-1, 2), "u")])


def test_a_name_in_the_metadata_is_ignored_or_refused_as_ours():
    try:
        schema = from_spark(tensor_table(RENAMED))
    except (ConversionError, SignatureError):
        return
    assert schema.input_names() == ["t.x"]


def test_items_that_cannot_be_null_are_still_a_tensor():
    schema = tensor_table(tensor_json(), dtype=T.ArrayType(T.DoubleType(), containsNull=False))
    assert from_spark(schema) == Schema([TensorSpec(np.dtype("float64"), (-1, 2), "t.x")])


def test_tensors_beside_columns_are_refused():
    with pytest.raises(SignatureError, match="a Schema has columns or tensors, not both"):
        from_spark(tensor_table(tensor_json()).add("a", "long"))


# --- names --------------------------------------------------------------------------------------------------


def test_odd_names_and_case_twins_come_back():
    schema = Schema(
        [ColSpec(Object([Property(name, "long") for name in ODD_NAMES]), name) for name in ODD_NAMES]
    )
    assert to_spark(schema).names == ODD_NAMES
    assert from_spark(to_spark(schema)) == schema


def test_two_columns_of_one_name_are_refused():
    schema = T.StructType().add("a.b", "long").add("a.b", "long").add("c", "long")
    with pytest.raises(ConversionError, match="expected one column of that name, got several") as error:
        from_spark(schema)
    assert codes(error) == [("`a.b`", Code.DUPLICATE_NAME)]


def test_a_number_and_its_text_cannot_both_be_names():
    text = r"^no Spark schema: 1 finding\n  - 0: expected one column of that name as text, got several "
    with pytest.raises(ConversionError, match=text):
        to_spark(Schema([ColSpec("long", 0), ColSpec("long", "0")]))


@pytest.mark.parametrize(
    "nest",
    [T.StructType().add("v", "void", False), T.StructType().add("o", T.StructType().add("v", "void", False))],
    ids=["column", "field"],
)
def test_void_that_is_never_null_is_refused(nest):
    with pytest.raises(ConversionError, match="got the null type, not nullable"):
        from_spark(nest)


def test_a_struct_without_fields_is_refused():
    with pytest.raises(SignatureError, match="a Schema needs at least one column or tensor"):
        from_spark(T.StructType())
    with pytest.raises(ConversionError, match=r"a\[\]: expected a struct with fields, got no field") as error:
        from_spark(table(T.ArrayType(T.StructType())))
    assert codes(error) == [("a[]", Code.UNSUPPORTED_TYPE)]


def test_types_too_deep_for_a_signature_are_refused():
    dtype = T.LongType()
    for _ in range(150):
        dtype = T.ArrayType(dtype)
    with pytest.raises(ConversionError) as error:
        from_spark(table(dtype))
    [finding] = error.value.findings
    assert finding.path.startswith("a")
    assert str(finding).endswith("expected at most 100 levels of nesting, got more [UNSUPPORTED_TYPE]")


# --- all findings at once -----------------------------------------------------------------------------------

HOPELESS = (
    T.StructType()
    .add("fine", "long")
    .add("top", T.DecimalType(38, 10))
    .add(
        "a.b",
        T.ArrayType(
            T.StructType()
            .add("x", T.YearMonthIntervalType())
            .add("y", T.MapType(T.IntegerType(), ml.MatrixUDT()))
        ),
    )
    .add("twins", T.StructType().add("t", "long").add("t", T.DecimalType(19, 0)), False)
    .add("deep", T.MapType(T.StringType(), T.ArrayType(T.ArrayType(PointUDT()))))
    .add("none", T.StructType().add("s", T.StructType()))
)


def test_from_spark_reports_every_place():
    with pytest.raises(ConversionError, match=r"^no signature for this Spark schema: 8 findings\n") as error:
        from_spark(HOPELESS)
    assert codes(error) == [
        ("top", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].x", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].y[]", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].y", Code.UNSUPPORTED_TYPE),
        ("twins.t", Code.DUPLICATE_NAME),
        ("twins.t", Code.UNSUPPORTED_TYPE),
        ("deep[][][]", Code.UNSUPPORTED_TYPE),
        ("none.s", Code.UNSUPPORTED_TYPE),
    ]
    assert "got user defined type PointUDT (user defined type PointUDT has no" in str(error.value)
    assert "got interval year to month (interval year to month has no" in str(error.value)


def test_duplicate_columns_are_reported_with_the_rest():
    with pytest.raises((ConversionError, SignatureError)) as error:
        from_spark(T.StructType().add("a", "long").add("a", "long").add("b", T.DecimalType(19, 0)))
    assert sorted(codes(error)) == [("a", Code.DUPLICATE_NAME), ("b", Code.UNSUPPORTED_TYPE)]


@pytest.mark.usefixtures("before_spark_4")
def test_to_spark_reports_every_place():
    hopeless = Object([Property("x.y", Map(Array(AnyType())), required=False), Property("z", AnyType())])
    columns = [ColSpec(AnyType(), "top"), ColSpec(Array(hopeless), "a.b")]
    schema = Schema([*columns, ColSpec("long", 0), ColSpec("long", "0")])
    with pytest.raises(ConversionError, match=r"^no Spark schema: 4 findings\n") as error:
        to_spark(schema)
    assert codes(error) == [
        ("0", Code.DUPLICATE_NAME),
        ("top", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].`x.y`[][]", Code.UNSUPPORTED_TYPE),
        ("`a.b`[].z", Code.UNSUPPORTED_TYPE),
    ]


def test_to_spark_reports_every_tensor():
    dtypes = {"a.b": "object", "fine": "int8", "c": "complex64"}
    with pytest.raises(ConversionError, match=r"^no Spark schema: 2 findings\n") as error:
        to_spark(Schema([TensorSpec(np.dtype(dtype), (-1, 2), name) for name, dtype in dtypes.items()]))
    assert codes(error) == [("`a.b`", Code.UNSUPPORTED_TYPE), ("c", Code.UNSUPPORTED_TYPE)]


# --- Schema.as_spark_schema ---------------------------------------------------------------------------------


def test_the_spark_schema_of_a_single_unnamed_column_is_its_type():
    assert Schema([ColSpec("long")]).as_spark_schema() == T.LongType()
    assert Schema([ColSpec(RECORD)]).as_spark_schema() == RECORD_TYPE
    tensor = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    assert tensor.as_spark_schema() == T.ArrayType(T.FloatType())


def test_the_spark_schema_of_anything_else_is_a_struct():
    assert Schema([ColSpec("long", "")]).as_spark_schema() == table(T.LongType(), nullable=False, name="")
    unnamed = Schema([ColSpec("long"), ColSpec(Array("string"))])
    assert unnamed.as_spark_schema() == T.StructType().add("0", "long", False).add(
        "1", T.ArrayType(T.StringType()), False
    )
    numbered = Schema([ColSpec("long", 1, required=False), ColSpec("long", 0)])
    assert numbered.as_spark_schema() == T.StructType().add("1", "long").add("0", "long", False)
    tensor = Schema([TensorSpec(np.dtype("float32"), (-1, 2), "t")])
    assert tensor.as_spark_schema() == to_spark(tensor)


@given(schemas)
def test_the_spark_schema_is_to_sparks(schema):
    if len(schema) == 1 and not schema.has_input_names():
        return
    try:
        expected = to_spark(schema)
    except ConversionError:
        with pytest.raises(ConversionError):
            schema.as_spark_schema()
    else:
        assert schema.as_spark_schema() == expected


@pytest.fixture(scope="module")
def mlflow_schema():
    """The schema class of the MLflow that is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("mlflow.types.schema").Schema


unnamed_columns = st.lists(st.builds(ColSpec, scalar_types), min_size=1).map(Schema)


# MLflow fails with integers as names, and takes a number for an empty name.
@given(named_columns(scalar_types, names.filter(bool)) | unnamed_columns)
def test_the_spark_schema_is_mlflows(mlflow_schema, schema):
    assert schema.as_spark_schema() == mlflow_schema.from_json(schema.to_json()).as_spark_schema()
