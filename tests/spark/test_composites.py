"""Every type of a signature on Spark, in and out, bit for bit, its nulls kept; real Spark."""

from __future__ import annotations

import datetime
import datetime as dt
import re
import sys
from decimal import Decimal

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql import types as T

import sparksig
from sparksig import (
    AnyType,
    Array,
    ColSpec,
    ContractError,
    Map,
    ModelSignature,
    Object,
    Property,
    Schema,
    SparkMLVector,
    TensorSpec,
    UnsupportedError,
)
from tests.spark import models

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ARROW = hasattr(F, "arrow_udf")
"""Spark >= 4.1, where column functions take composites."""

BIG = 2**53 + 1
NAN, INF = float("nan"), float("inf")
ZONE = "America/New_York"  # the session's
INSTANT = datetime.datetime(2024, 7, 1, 12, 30, 15, 123456, datetime.timezone.utc)
WALL = datetime.datetime(2024, 7, 1, 8, 30, 15, 123456)
"""What clocks in the session's zone showed at that instant."""


def format_value(value):
    """A value as text that tells all apart: None from NaN, 1 from 1.0 and True, -0.0 from 0.0."""
    if value is None or value is pd.NA or value is pd.NaT:
        return "null"
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {format_value(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value))
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, (datetime.datetime, np.datetime64)):
        return pd.Timestamp(value).isoformat()
    return repr(value)


class Seeing(sparksig.PythonModel):
    """A model that returns columns, and its input of each row as text."""

    def __init__(self, back):
        self.back = back

    def predict(self, model_input, params=None):
        columns = [model_input[name].tolist() for name in model_input]
        seen = ["; ".join(format_value(value) for value in row) for row in zip(*columns)]
        return model_input[self.back].assign(seen=seen)


class Whole(sparksig.PythonModel):
    """A model that returns its input, a tensor or a dictionary of tensors."""

    def predict(self, model_input, params=None):
        return model_input


class Telling(sparksig.PythonModel):
    """A model that returns its input of each row as text."""

    def predict(self, model_input, params=None):
        if isinstance(model_input, np.ndarray):
            return [f"{model_input.dtype} {format_value(row)}" for row in model_input]
        if isinstance(model_input, dict):
            parts = [
                [f"{name} {a.dtype} {format_value(row)}" for row in a] for name, a in model_input.items()
            ]
        else:
            parts = [[format_value(value) for value in model_input[name].tolist()] for name in model_input]
        return ["; ".join(row) for row in zip(*parts)]


TEXT = Schema([ColSpec("string")])


def save(path, model, inputs, outputs):
    sparksig.save_model(path, model, ModelSignature(inputs, outputs))
    return str(path)


def save_seeing(path, types, back=None):
    """Save a model of optional columns that returns them, or those in ``back``, and its input as text.

    If it returns no columns, it returns only the text.
    """
    inputs = Schema([ColSpec(dtype, name, required=False) for name, dtype in types.items()])
    returned = [spec for spec in inputs if back is None or spec.name in back]
    return save(
        path, Seeing([spec.name for spec in returned]), inputs, Schema([*returned, ColSpec("string", "seen")])
    )


def texts(df, column="prediction"):
    return [row[column] for row in df.collect()]


def assert_same(scored, names):
    """Each row of the prediction has what its columns have."""
    rows = scored.collect()
    for row in rows:
        for name in names:
            assert format_value(row["prediction"][name]) == format_value(row[name]), name
    return rows


def obj(**properties):
    """An Object; a type that ends in "?" is optional."""
    return Object(
        [
            Property(name, dtype.rstrip("?") if isinstance(dtype, str) else dtype,
                     not (isinstance(dtype, str) and dtype.endswith("?")))
            for name, dtype in properties.items()
        ]
    )  # fmt: skip


# --- composites, in and out -------------------------------------------------------------------------------

NESTED = {
    "ab": (Array("boolean"), pa.list_(pa.bool_()), [[True, None, False], []]),
    "ai": (Array("integer"), pa.list_(pa.int32()), [[-(2**31), None], []]),
    "al": (Array("long"), pa.list_(pa.int64()), [[BIG, None, -BIG], []]),
    "af": (Array("float"), pa.list_(pa.float32()), [[0.5, NAN, INF], []]),
    "ad": (Array("double"), pa.list_(pa.float64()), [[-0.0, NAN, -INF, 5e-324], []]),
    "as": (Array("string"), pa.list_(pa.string()), [["a", None, "n\x00", "", "None", "nan"], []]),
    "ay": (Array("binary"), pa.list_(pa.binary()), [[b"a\x00", None, b""], []]),
    "at": (Array("datetime"), pa.list_(pa.timestamp("us", ZONE)), [[INSTANT, None], []]),
    "aa": (Array(Array("long")), pa.list_(pa.list_(pa.int64())), [[[BIG, None], [], None], []]),
    "a3": (
        Array(Array(Array("double"))),
        pa.list_(pa.list_(pa.list_(pa.float64()))),
        [[[[1.0], [], None], None, []], [[[NAN]]]],
    ),
    "ml": (Map("long"), pa.map_(pa.string(), pa.int64()), [[("a", BIG), ("", None)], []]),
    "mt": (
        Map(Array("datetime")),
        pa.map_(pa.string(), pa.list_(pa.timestamp("us", ZONE))),
        [[("a", [INSTANT, None]), ("b", None)], []],
    ),
    "mo": (
        Map(obj(x="long?", y="string?")),
        pa.map_(pa.string(), pa.struct([("x", pa.int64()), ("y", pa.string())])),
        [[("a", {"x": BIG, "y": None}), ("b", None)], [("c", {"x": None, "y": "z"})]],
    ),
    "o": (
        obj(i="integer", l="long?", d="double?", s="string?", t="datetime?", y="binary?", b="boolean?"),
        pa.struct(
            [("i", pa.int32()), ("l", pa.int64()), ("d", pa.float64()), ("s", pa.string()),
             ("t", pa.timestamp("us", ZONE)), ("y", pa.binary()), ("b", pa.bool_())]
        ),
        [
            {"i": 1, "l": BIG, "d": NAN, "s": "", "t": INSTANT, "y": b"\x00", "b": False},
            {"i": -1, "l": None, "d": None, "s": None, "t": None, "y": None, "b": None},
        ],
    ),
    "oo": (
        obj(items=Array(obj(n="long?", tags=Array("string"))), at=Map("datetime")),
        pa.struct(
            [
                ("items", pa.list_(pa.struct([("n", pa.int64()), ("tags", pa.list_(pa.string()))]))),
                ("at", pa.map_(pa.string(), pa.timestamp("us", ZONE))),
            ]
        ),
        [
            {"items": [{"n": BIG, "tags": ["x", None]}, {"n": None, "tags": []}], "at": [("k", INSTANT)]},
            {"items": [], "at": []},
        ],
    ),
}  # fmt: skip
"""Of each type: the signature's, Arrow's, two rows; a third is null."""

BACK = [name for name in NESTED if ARROW or name not in ("at", "mt")]
"""Before Spark 4.1 arrays of times go in only."""


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "nested"
    return save_seeing(path, {name: dtype for name, (dtype, _, _) in NESTED.items()}, BACK)


@pytest.fixture
def nested_table(frame_of):
    table = pa.table({n: pa.array([*rows, None], dtype) for n, (_, dtype, rows) in NESTED.items()})
    return frame_of(table.append_column("id", pa.array([0, 1, 2]))).coalesce(1)


def as_seen(name, row):
    """Return a value of the table as the model receives it."""
    value = NESTED[name][2][row]
    if pa.types.is_map(NESTED[name][1]):
        value = dict(value)
    if name == "oo":
        value = value | {"at": dict(value["at"])}

    def walled(value):
        if isinstance(value, dict):
            return {key: walled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [walled(each) for each in value]
        if isinstance(value, datetime.datetime):
            return WALL
        return value

    return format_value(walled(value))


def simple(dtype):
    """A Spark type's name, the fields of structs in the order of their names, as a signature has them."""
    if isinstance(dtype, T.StructType):
        fields = sorted(dtype.fields, key=lambda field: field.name)
        return f"struct<{','.join(f'{field.name}:{simple(field.dataType)}' for field in fields)}>"
    if isinstance(dtype, T.ArrayType):
        return f"array<{simple(dtype.elementType)}>"
    if isinstance(dtype, T.MapType):
        return f"map<string,{simple(dtype.valueType)}>"
    return dtype.simpleString()


def test_every_composite_arrives_and_comes_back_bit_for_bit_with_its_nulls(nested, nested_table):
    scored = sparksig.score(nested_table, nested, allow_pickle=True).orderBy("id")
    rows = assert_same(scored, BACK)
    names = list(NESTED)
    for row in (0, 1):
        actual = rows[row]["prediction"]["seen"].split("; ")
        assert actual == [as_seen(name, row) for name in names]
    assert rows[2]["prediction"]["seen"] == "; ".join(["null"] * len(names))
    back = scored.schema["prediction"].dataType
    assert [simple(back[name].dataType) for name in BACK] == [
        simple(nested_table.schema[name].dataType) for name in BACK
    ]


def test_column_functions_take_and_give_the_same_composites(spark, nested, nested_table):
    udf = sparksig.spark_udf(spark, nested, allow_pickle=True)
    named = {name: name for name in NESTED}
    if not ARROW:
        text = (
            r"Spark before 4\.1 cannot pass composite columns and tensors to a column function: "
            r"ab, ai, .*, oo\. Use sparksig\.score\(df, model\) instead"
        )
        with pytest.raises(UnsupportedError, match=text):
            udf(**named)
        with pytest.raises(
            UnsupportedError, match=r"Spark before 4\.1 cannot pass tensors or a single struct"
        ):
            udf(F.struct("*"))
        return
    scored = nested_table.select(
        "id", *NESTED, udf(**named).alias("prediction"), udf(F.struct("*")).alias("again")
    )
    for row in assert_same(scored, BACK):
        assert format_value(row["again"]) == format_value(row["prediction"])
        if row["id"] < 2:
            assert row["prediction"]["seen"].split("; ") == [as_seen(name, row["id"]) for name in NESTED]


def test_a_null_among_floats_is_a_nan_as_in_a_column_of_them(frame_of, tmp_path):
    """... while integers, and floats in structs and maps, keep theirs."""
    types = {"a": Array("double"), "f": Array("float"), "m": Map("double"), "d": "double"}
    path = save_seeing(tmp_path / "m", types)
    table = pa.table({
        "a": pa.array([[1.0, None]]), "f": pa.array([[None, 0.5]], pa.list_(pa.float32())),
        "m": pa.array([[("x", None), ("y", NAN)]], pa.map_(pa.string(), pa.float64())),
        "d": pa.array([None], pa.float64()),
    })  # fmt: skip
    [row] = texts(sparksig.score(frame_of(table), path, allow_pickle=True))
    assert row["seen"] == "[1.0, nan]; [nan, 0.5]; {x: null, y: nan}; nan"
    assert (
        format_value([row["a"], row["f"], row["m"], row["d"]])
        == "[[1.0, nan], [nan, 0.5], {x: null, y: nan}, nan]"
    )


# --- what widens inside ----------------------------------------------------------------------------------

INSIDE = {
    "ad": (Array("double"), "array(cast(1.1 as decimal(5,2)), null)", "[1.1, nan]"),
    "an": (
        Array("datetime"),
        "array(timestamp_ntz'2020-03-08 02:30:00', null)",  # which no clock in the zone has shown
        "[2020-03-08T02:30:00, null]",
    ),
    "at": (Array("datetime"), "array(date'2020-02-29', null)", "[2020-02-29T00:00:00, null]"),
    "ai": (Array("long"), "array(tinyint(1), null)", "[1, null]"),
    "af": (Array("double"), "array(1, 2)", "[1.0, 2.0]"),
    "e": (Array("long"), "array()", "[]"),
    "mi": (Map("integer"), "map('k', cast(7 as decimal(9,0)), 'n', null)", "{k: 7, n: null}"),
    "md": (Map("datetime"), "map('k', timestamp'2020-07-01T12:00:00Z')", "{k: 2020-07-01T08:00:00}"),
    "mo": (obj(x="long", y="long?"), f"map('other', 3L, 'x', {BIG}L)", f"{{x: {BIG}, y: null}}"),
    "o": (
        obj(a="datetime", b="long", c="double"),
        "named_struct('z', 'extra', 'c', 0.5F, 'b', smallint(2), 'a', date'2020-02-29')",
        "{a: 2020-02-29T00:00:00, b: 2, c: 0.5}",
    ),
    "oa": (
        Array(obj(t="datetime", n=obj(v="long?"))),
        "array(named_struct('n', named_struct('z', 1, 'v', int(null)), 'z', 1, 't', "
        "timestamp'2020-07-01T12:00:00Z'), null)",
        "[{n: {v: null}, t: 2020-07-01T08:00:00}, null]",
    ),
    "sm": (
        Map("long"),
        "named_struct('x', 1, 'y', bigint(null), 'a b', tinyint(2))",
        "{a b: 2, x: 1, y: null}",
    ),
    "st": (
        Map("datetime"),
        "named_struct('d', date'2020-02-29', 't', timestamp'2020-07-01T12:00:00Z')",
        "{d: 2020-02-29T00:00:00, t: 2020-07-01T08:00:00}",
    ),
    "q": (
        Object([Property("a.b", "long"), Property("c`d", "string"), Property("cls", "long")]),
        "named_struct('cls', 3, 'x y', 0, 'c`d', 'k', 'a.b', 1)",
        "{a.b: 1, c`d: 'k', cls: 3}",
    ),
}  # fmt: skip
"""The signature's type, a value in SQL that widens to it, and what the model sees."""


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_values_are_widened_in_composites_at_each_depth(spark, tmp_path, ansi):
    path = save_seeing(tmp_path / "m", {name: dtype for name, (dtype, _, _) in INSIDE.items()}, [])
    df = spark.sql("select " + ", ".join(f"{text} as {name}" for name, (_, text, _) in INSIDE.items()))
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        expected = [text for _, _, text in INSIDE.values()]
        [scored] = texts(sparksig.score(df, path, allow_pickle=True))
        assert scored.split("; ") == expected
        if ARROW:
            udf = sparksig.spark_udf(spark, path, allow_pickle=True)
            [scored] = texts(df.select(udf(*INSIDE).alias("prediction")))
            assert scored.split("; ") == expected
    finally:
        spark.conf.unset("spark.sql.ansi.enabled")


def test_a_struct_without_any_of_the_optional_properties_is_an_object_without_them(spark, tmp_path):
    path = save_seeing(tmp_path / "m", {"o": obj(a="long?", b="string?")}, [])
    df = spark.sql("select if(id = 1, null, named_struct('z', 1)) as o from range(2)").coalesce(1)
    assert texts(sparksig.score(df, path, allow_pickle=True)) == [
        "{}", "null"
    ]  # fmt: skip


REFUSED = {
    "ai": (Array("integer"), "array(1L)", r"ai\[\]: expected integer, got bigint"),
    "ad": (Array("double"), "array(cast(1 as decimal(16,1)))", r"ad\[\]: expected double, got dec"),
    "m": (Map("long"), "map(1, 1L)", r"m: expected .*, got .*map<int"),
    "mv": (Map("long"), "map('a', 'b')", r"mv\[\]: expected long, got string"),
    "o": (obj(a="long"), "named_struct('a', 1.5D)", r"o\.a: expected long, got double"),
    "om": (obj(a="long", b="long?"), "named_struct('A', 1)", r"om\.a: expected .*long.*, got no such "),
    "oa": (Array(obj(t="datetime")), "array(named_struct('t', 'x'))", r"oa\[\]\.t: expected datetime, "),
    "s": (Array("long"), "1L", r"s: expected Array\(long\), got bigint"),
    "v": (SparkMLVector(), "array('x')", r"v(\[\])?: expected .*, got .*string"),
}  # fmt: skip


def test_what_does_not_widen_inside_is_found_at_plan_time_each_with_its_path(spark, tmp_path, jobs_started):
    inputs = Schema([ColSpec(dtype, name) for name, (dtype, _, _) in REFUSED.items()])
    path = save(tmp_path / "m", Telling(), inputs, TEXT)
    df = spark.sql("select " + ", ".join(f"{text} as {name}" for name, (_, text, _) in REFUSED.items()))
    with pytest.raises(ContractError, match="does not fit the model's input schema: 9 findings") as error:
        sparksig.score(df, path, allow_pickle=True)
    for _, _, text in REFUSED.values():
        assert error.match(text)
    assert jobs_started() == 0


@pytest.mark.parametrize("text", ["make_ym_interval(1, 2)", "array(make_ym_interval(1, 2))",
                                  "named_struct('x', make_interval(1))"])  # fmt: skip
def test_types_that_cannot_reach_python_are_refused_by_name_also_as_any(spark, tmp_path, text):
    if "make_interval" in text and not ARROW:
        pytest.skip("PySpark 3.5 cannot even name that type")
    path = save(tmp_path / "m", Telling(), Schema([ColSpec(AnyType(), "i")]), TEXT)
    with pytest.raises(ContractError, match=r"i(\[\]|\.x)?: expected .*, got interval"):
        sparksig.score(spark.sql(f"select {text} as i"), path, allow_pickle=True)


# --- vectors, variants -----------------------------------------------------------------------------------


def test_vectors_dense_and_sparse_go_in_and_come_back_as_arrays(spark, tmp_path):
    vectors = [
        Vectors.dense([1.5, -0.0, NAN]),
        Vectors.sparse(3, [1], [INF]),
        Vectors.sparse(0, [], []),
    ]
    struct_type = T.StructType([T.StructField("v", VectorUDT()), T.StructField("n", T.LongType())])
    table = T.StructType([
        T.StructField("v", VectorUDT()), T.StructField("a", T.ArrayType(VectorUDT())),
        T.StructField("o", struct_type), T.StructField("l", T.ArrayType(T.FloatType())),
        T.StructField("x", VectorUDT()),
    ])  # fmt: skip
    rows = [
        (vector, [vector, vector], (vector, BIG), None if len(vector) == 0 else [0.5], vector)
        for vector in vectors
    ]
    df = spark.createDataFrame(rows, table).coalesce(1)
    types = {"v": SparkMLVector(), "a": Array(SparkMLVector()), "o": obj(v=SparkMLVector(), n="long"),
             "l": SparkMLVector()}  # fmt: skip
    path = save_seeing(tmp_path / "m", types)
    scored = sparksig.score(df, path, keep=[], allow_pickle=True)
    assert scored.schema["prediction"].dataType["v"].dataType.simpleString() == "array<double>"
    expected = ["[1.5, -0.0, nan]", "[0.0, inf, 0.0]", "[]"]
    actual = texts(scored)
    if ARROW:
        udf = sparksig.spark_udf(spark, path, allow_pickle=True)
        actual += texts(df.select(udf("v", "a", "o", "l").alias("prediction")))
        expected = expected * 2
    for row, value in zip(actual, expected):
        assert format_value(row["v"]) == value
        assert format_value(row["a"]) == f"[{value}, {value}]"
        assert format_value(row["o"]) == f"{{n: {BIG}, v: {value}}}"
        assert format_value(row["l"]) == ("null" if value == "[]" else "[0.5]")


def test_null_vectors_are_nulls_at_any_depth(spark, tmp_path):
    struct_type = T.StructType([T.StructField("v", VectorUDT()), T.StructField("n", T.LongType())])
    table = T.StructType([
        T.StructField("v", VectorUDT()), T.StructField("a", T.ArrayType(VectorUDT())),
        T.StructField("o", struct_type),
    ])  # fmt: skip
    df = spark.createDataFrame([(None, [None, Vectors.dense([0.5])], (None, 1)), (None, None, None)], table)
    vector = SparkMLVector()
    types = {
        "v": vector,
        "a": Array(vector),
        "o": Object([Property("v", vector, False), Property("n", "long")]),
    }
    path = save_seeing(tmp_path / "m", types, [])
    assert texts(sparksig.score(df.coalesce(1), path, allow_pickle=True)) == [
        "null; [null, [0.5]]; {n: 1, v: null}", "null; null; null"
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(T, "VariantType"), reason="Spark 4 has variants")
def test_variants_are_the_values_that_they_hold(spark, tmp_path):
    df = spark.sql(
        "select parse_json(t) as v, "
        "named_struct('x', 1, 't', timestamp'2020-07-01T12:00:00Z') as s, 1 as i "
        "from values ('{\"k\": [1, null, 9007199254740993, \"x\"]}'), ('2.5'), ('null'), (null) as r(t)"
    ).coalesce(1)
    path = save_seeing(tmp_path / "m", {"v": AnyType(), "s": AnyType(), "i": AnyType()}, [])
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    scored = sparksig.score(df, path, allow_pickle=True).withColumn("again", udf("v", "s", "i"))
    rows = [(row["prediction"], row["again"]) for row in scored.collect()]
    struct = "{t: 2020-07-01T08:00:00, x: 1}"
    values = [f"{{k: [1, null, {BIG}, 'x']}}", "Decimal('2.5')", "null", "null"]
    assert [text for text, _ in rows] == [f"{value}; {struct}; 1" for value in values]
    assert [two for _, two in rows] == [text for text, _ in rows]


@pytest.mark.skipif(not hasattr(T, "VariantType"), reason="Spark 4 has variants")
@pytest.mark.skipif(not hasattr(F, "arrow_udf"), reason="Spark 4.1 hands variants over")
def test_variants_inside_composites_are_the_values_that_they_hold(spark, tmp_path):
    types = {"a": Array(AnyType()), "o": obj(v=AnyType(), n="long"), "m": Map(AnyType()), "s": AnyType()}
    path = save_seeing(tmp_path / "m", types, [])
    df = spark.sql("select array(v, null) as a, named_struct('v', v, 'n', 1) as o, map('k', v) as m, "
                   "named_struct('v', v) as s from (select parse_json('[1, \"x\"]') as v)")  # fmt: skip
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    [row] = sparksig.score(df, path, allow_pickle=True).withColumn("again", udf("a", "o", "m", "s")).collect()
    assert row["prediction"] == "[[1, 'x'], null]; {n: 1, v: [1, 'x']}; {k: [1, 'x']}; {v: [1, 'x']}"
    assert row["again"] == row["prediction"]


ANYTHING = [
    {"a": [1, None, BIG], "s": "x" * 70}, "x", BIG, None, 0.1, -0.0, float("nan"), True, b"\x00\xff",
    Decimal("12.340"), dt.date(1960, 2, 29), dt.datetime(2024, 3, 31, 2, 30, 0, 1),
    dt.datetime(2024, 7, 1, 12, tzinfo=dt.timezone.utc), np.float32(0.1), np.arange(300), [],
    {str(index): {"é": index} for index in range(300)},
]  # fmt: skip


@pytest.mark.skipif(not hasattr(F, "arrow_udf"), reason="Spark 4.1 takes variants back")
def test_predictions_of_any_come_back_as_variants(spark, tmp_path):
    values = models.Returning(lambda data, params: [ANYTHING[int(index)] for index in data["x"]])
    path = save(
        tmp_path / "m", values, Schema([ColSpec("double", "x")]), Schema([ColSpec(AnyType(), "y", False)])
    )
    df = spark.range(0, len(ANYTHING), 1, 1).selectExpr("double(id) as x")
    scored = sparksig.score(df, path, keep=[], allow_pickle=True)
    assert scored.schema["prediction"].dataType == T.VariantType()
    rows = [row["prediction"] for row in scored.collect()]
    back = [None if row is None else row.toPython() for row in rows]
    assert repr(back[:7]) == repr(ANYTHING[:7])
    assert back[7:12] == ANYTHING[7:12]
    assert back[12] == ANYTHING[12]
    assert back[13] == np.float32(0.1)
    assert back[14] == list(range(300))
    assert back[15:] == ANYTHING[15:]
    read = scored.selectExpr(
        "variant_get(prediction, '$.a[2]', 'bigint') as big",
        "variant_get(prediction, '$.299.é', 'int') as last",
        "schema_of_variant(prediction) as type",
    ).collect()
    assert (read[0]["big"], read[16]["last"]) == (BIG, 299)
    types = "STRING,BIGINT,VOID,DOUBLE,DOUBLE,DOUBLE,BOOLEAN,BINARY,DECIMAL(5,3),DATE,TIMESTAMP_NTZ,TIMESTAMP"
    assert [row["type"] for row in read[1:13]] == [
        None if name == "VOID" else "DECIMAL(4,2)" if name.startswith("DECIMAL") else name
        for name in re.split(r",(?!\d)", types)
    ]


@pytest.mark.skipif(not hasattr(F, "arrow_udf"), reason="Spark 4.1 takes variants back")
def test_any_inside_predictions_comes_back_as_variants(spark, tmp_path):
    outputs = Schema(
        [
            ColSpec(Array(AnyType()), "a"),
            ColSpec(Map(AnyType()), "m"),
            ColSpec(obj(v=AnyType(), n="long"), "o"),
            ColSpec(AnyType(), "y"),
            ColSpec("long", "i"),
        ]
    )

    def predict(data, params):
        count = len(data)
        return {
            "a": [[1, "x", None]] * count,
            "m": [{"k": [1.5]}] * count,
            "o": [{"v": {"x": BIG}, "n": 1}] * count,
            "y": [None] * count,
            "i": [7] * count,
        }

    path = save(tmp_path / "m", models.Returning(predict), Schema([ColSpec("double", "x")]), outputs)
    df = spark.range(0, 2, 1, 1).selectExpr("double(id) as x")
    [row, _] = sparksig.score(df, path, allow_pickle=True, on_error="null").select("prediction.*").collect()
    assert [None if value is None else value.toPython() for value in row["a"]] == [1, "x", None]
    assert row["m"]["k"].toPython() == [1.5]
    assert (row["o"]["v"].toPython(), row["o"]["n"]) == ({"x": BIG}, 1)
    assert (row["y"], row["i"]) == (None, 7)


@pytest.mark.skipif(not hasattr(F, "arrow_udf"), reason="Spark 4.1 takes variants back")
def test_what_no_variant_holds_is_a_finding_of_its_row(spark, tmp_path):
    values_ = [{"a": [1, {2}]}, 10**38, "fine"]
    values = models.Returning(lambda data, params: [values_[int(index)] for index in data["x"]])
    inputs = Schema([ColSpec("double", "x")])
    path = save(tmp_path / "m", values, inputs, Schema([ColSpec("double", "y")]))
    df = spark.range(0, 3, 1, 1).selectExpr("double(id) as x")
    scored = sparksig.score(df, path, result_type="variant", allow_pickle=True, on_error="null")
    rows = scored.selectExpr("findings[0].detail as d", "to_json(prediction) as p").collect()
    assert [row["p"] for row in rows] == [None, None, '"fine"']
    assert "prediction.a[]: expected a value that a variant holds, got a value of type set" in rows[0]["d"]
    assert "prediction: expected a number of up to 38 digits" in rows[1]["d"]


@pytest.mark.skipif(hasattr(T, "VariantType"), reason="Spark 4 has variants")
def test_any_takes_every_type_before_there_are_variants(spark, tmp_path):
    path = save_seeing(tmp_path / "m", {"a": AnyType(), "i": AnyType(), "s": AnyType()}, [])
    df = spark.sql(f"select array({BIG}L, null) as a, {BIG}L as i, named_struct('x', 'y') as s")
    [row] = texts(sparksig.score(df, path, allow_pickle=True))
    assert row == f"[{BIG}, null]; {BIG}; {{x: 'y'}}"


@pytest.mark.skipif(not ARROW, reason="Spark 4.1 takes structs back as Arrow")
def test_fields_of_result_types_are_found_by_name(spark, tmp_path):
    def predict(data, params):
        rows = [{"z": 26, "a": 1}] * len(data)
        return pd.DataFrame({"p": [0.5] * len(data), "s": rows, "l": [rows] * len(data)})

    path = save(tmp_path / "m", models.Returning(predict), Schema([ColSpec("double", "x")]), TEXT)
    df = spark.range(0, 2, 1, 1).selectExpr("double(id) as x")
    ddl = "s struct<z: bigint, a: bigint>, l array<struct<z: bigint, a: bigint>>, p double"
    [row, _] = sparksig.score(df, path, result_type=ddl, allow_pickle=True).select("prediction.*").collect()
    assert row["s"].asDict() == {"z": 26, "a": 1}
    assert row["l"][0].asDict() == {"z": 26, "a": 1}
    assert list(row["s"].asDict()) == ["z", "a"]
    times = models.Returning(lambda data, params: [[INSTANT.replace(tzinfo=None)]] * len(data))
    other = save(tmp_path / "t", times, Schema([ColSpec("double", "x")]), TEXT)
    days = sparksig.score(df, other, result_type="array<date>", allow_pickle=True)
    with pytest.raises(PySparkException, match=r"does not fit result_type"):
        days.collect()


@pytest.mark.skipif(not ARROW, reason="Spark 4.1 takes variants back")
def test_variants_inside_a_result_type(spark, tmp_path):
    def predict(data, params):
        return pd.DataFrame({"b": [0.5] * len(data), "a": [{"k": [1]}] * len(data)})

    path = save(tmp_path / "m", models.Returning(predict), Schema([ColSpec("double", "x")]), TEXT)
    df = spark.range(0, 2, 1, 1).selectExpr("double(id) as x")
    scored = sparksig.score(df, path, result_type="a variant, b double", allow_pickle=True)
    [row, _] = scored.select("prediction.*").collect()
    assert (row["a"].toPython(), row["b"]) == ({"k": [1]}, 0.5)


# --- tensors ---------------------------------------------------------------------------------------------

TENSORS = {
    "r1": (np.dtype("int64"), (-1,), "bigint(id) + 9007199254740992", "9007199254740993"),
    "r2": (np.dtype("float64"), (-1, 2), "array(double(id), double('nan'))", "[1.0, nan]"),
    "r3": (np.dtype("float32"), (-1, 2, 1), "array(array(float(id)), array(float('inf')))", "[[1.0], [inf]]"),
    "b": (np.dtype("bool"), (-1, -1), "array(id = 1, false)", "[True, False]"),
    "i": (np.dtype("int32"), (-1, 1), "array(smallint(id))", "[1]"),
    "s": (np.dtype("U"), (-1,), "string(id)", "'1'"),
}  # fmt: skip


def test_named_tensors_of_every_rank_go_in_and_come_back(spark, tmp_path):
    specs = [TensorSpec(dtype, shape, name) for name, (dtype, shape, _, _) in TENSORS.items()]
    path = save(tmp_path / "m", Whole(), Schema(specs), Schema(specs))
    told = save(tmp_path / "t", Telling(), Schema(specs), TEXT)
    df = spark.range(0, 3, 1, 1).selectExpr(
        *(f"{text} as {name}" for name, (_, _, text, _) in TENSORS.items())
    )
    scored = sparksig.score(
        sparksig.score(df, path, allow_pickle=True), told, column="told", allow_pickle=True
    )
    rows = [assert_same(scored, TENSORS)]
    if ARROW:
        udf = sparksig.spark_udf(spark, path, allow_pickle=True)
        telling = sparksig.spark_udf(spark, told, allow_pickle=True)
        columns = [*TENSORS, udf().alias("prediction"), telling(F.struct("*")).alias("told")]
        rows.append(assert_same(df.select(*columns), TENSORS))
    else:
        with pytest.raises(
            UnsupportedError, match=r"Spark before 4\.1 cannot pass tensors or a single struct"
        ):
            sparksig.spark_udf(spark, path, allow_pickle=True)()
    for row in rows:
        assert len(row) == 3
        told = dict(part.split(" ", 1) for part in row[1]["told"].split("; "))
        assert {name: text.split(" ", 1)[1] for name, text in told.items()} == {
            name: text for name, (_, _, _, text) in TENSORS.items()
        }
        dtypes = {name: np.dtype(text.split(" ", 1)[0]).kind for name, text in told.items()}
        assert dtypes == {name: dtype.kind for name, (dtype, _, _, _) in TENSORS.items()}


def test_a_tensor_of_times_is_what_the_zone_reads(spark, tmp_path):
    specs = Schema([TensorSpec(np.dtype("datetime64[ns]"), (-1,), "t"),
                    TensorSpec(np.dtype("datetime64[ns]"), (-1, 1), "d")])  # fmt: skip
    path = save(tmp_path / "m", Telling(), specs, TEXT)
    df = spark.sql("select timestamp'2020-07-01T12:00:00Z' as t, array(date'2020-02-29') as d")
    [text] = texts(sparksig.score(df, path, allow_pickle=True))
    assert text == "t datetime64[ns] 2020-07-01T08:00:00; d datetime64[ns] [2020-02-29T00:00:00]"


def test_an_unnamed_tensor_comes_of_one_column_of_arrays_or_of_as_many_columns(spark, tmp_path):
    spec = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
    path = save(tmp_path / "m", Whole(), spec, spec)
    df = spark.range(0, 4, 1, 2).selectExpr(
        "double(id) as a", "int(id) as b", "float(0.5) as c", "array(double(id), double(id), 0.5D) as v", "id"
    )
    scored = sparksig.score(df, path, column="p", columns=["a", "b", "c"], allow_pickle=True)
    scored = sparksig.score(scored, path, column="q", columns=["v"], allow_pickle=True)
    assert scored.schema["p"].dataType.simpleString() == "array<double>"
    if ARROW:
        udf = sparksig.spark_udf(spark, path, allow_pickle=True)
        scored = scored.select("*", udf("a", "b", "c").alias("r"), udf("v").alias("s"),
                               udf(F.struct("a", "b", "c")).alias("t"))  # fmt: skip
    rows = scored.collect()
    assert len(rows) == 4
    for row in rows:
        assert all(row[name] == row["v"] for name in scored.columns[scored.columns.index("p") :])
    with pytest.raises(ContractError, match="the table does not fit the model's input schema"):
        sparksig.score(df, path, columns=["a", "b"], allow_pickle=True)
    with pytest.raises(ContractError, match=r"nope: expected a column of the table, got no such column"):
        sparksig.score(df, path, columns=["a", "b", "nope"], allow_pickle=True)
    with pytest.raises(ContractError, match="columns: expected a list of names, got a value of type str"):
        sparksig.score(df, path, columns="abc", allow_pickle=True)
    with pytest.raises(ContractError, match="the table does not fit the model's input schema"):
        sparksig.score(df, path, allow_pickle=True)  # all five columns
    if ARROW:
        text = r"expected one column of arrays, or 3 columns, got 2 columns \[COLUMN_COUNT\]"
        with pytest.raises(ContractError, match=text):
            udf("a", "b")


def test_findings_of_columns_that_make_up_a_tensor_call_them_by_the_tables_names(spark, tmp_path):
    spec = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    path = save(tmp_path / "m", Telling(), spec, TEXT)
    df = spark.sql("select 1.5D as a, 1L as id")
    with pytest.raises(ContractError, match=r"- id: expected float64, got (bigint|int64) "):
        sparksig.score(df, path, allow_pickle=True)


def test_rows_that_make_no_tensor_are_reported_one_by_one(spark, tmp_path):
    """Arrays too short or too long, null, and with a null in them."""
    spec = Schema([TensorSpec(np.dtype("int64"), (-1, 2), "v")])
    path = save(tmp_path / "m", Whole(), spec, spec)
    df = spark.sql(
        f"select * from values (1, array({BIG}L, 0L)), (2, array(1L)), (3, null), (4, array(1L, null)), "
        "(5, array(1L, 2L, 3L)), (6, array(7L, 8L)) as r(id, v)"
    ).coalesce(1)
    scored = sparksig.score(df, path, on_error="null", allow_pickle=True)
    results = {row["id"]: (row["prediction"], row["findings"]) for row in scored.collect()}
    assert [results[1], results[6]] == [([BIG, 0], None), ([7, 8], None)]
    assert [results[key][0] for key in (2, 3, 4, 5)] == [None] * 4
    assert [[value["path"] for value in results[key][1]] for key in (2, 3, 4, 5)] == [
        ["v"],
        ["v"],
        ["v[]"],
        ["v"],
    ]
    with pytest.raises(
        PySparkException, match="v: expected int64 without nulls, got nulls, once, first in row 2"
    ):
        sparksig.score(df, path, allow_pickle=True).collect()


RANKS = {
    "p0": ((), "int8", "tinyint", [0, 1]),
    "p1": ((2,), "float32", "array<float>", [[0.0, 1.0], [2.0, 3.0]]),
    "p2": ((2, 1), "int64", "array<array<bigint>>", [[[0], [1]], [[2], [3]]]),
    "p3": ((1, 1, 2), "float64", "array<array<array<double>>>", [[[[0.0, 1.0]]], [[[2.0, 3.0]]]]),
    "p4": ((0,), "float64", "array<double>", [[], []]),
    "p5": ((2,), "uint16", "array<int>", [[0, 1], [2, 3]]),
    "p6": ((2,), "float16", "array<float>", [[0.0, 1.0], [2.0, 3.0]]),
    "p7": (
        (2,),
        "datetime64[us]",
        "array<timestamp>",
        [[f"00:00:00.00000{i}" for i in pair] for pair in ((0, 1), (2, 3))],
    ),
}
"""Of each prediction: the shape of one row, the dtype, the Spark type, both rows."""


def counting_up(shape, dtype):
    def predict(data, params):
        return np.arange(len(data) * int(np.prod(shape))).reshape(len(data), *shape).astype(dtype)

    return models.Returning(predict)


@pytest.mark.parametrize("names", [["p0", "p1", "p2", "p3", "p4"], ["p5"], ["p6"], ["p7"]], ids=str)
def test_tensor_predictions_of_every_rank_and_dtype_come_back(spark, tmp_path, names):
    df = spark.range(0, 2, 1, 1).selectExpr("double(id) as x")
    x = Schema([ColSpec("double", "x")])
    for name in names:
        shape, dtype, spark_type, _ = RANKS[name]
        outputs = Schema([TensorSpec(np.dtype(dtype), (-1, *shape))])
        path = save(tmp_path / name, counting_up(shape, dtype), x, outputs)
        if name == "p7" and not ARROW:
            with pytest.raises(UnsupportedError, match=r"that are arrays of times need Spark 4\.1"):
                sparksig.score(df, path, column=name, allow_pickle=True)
            return
        df = sparksig.score(df, path, column=name, allow_pickle=True)
        assert df.schema[name].dataType.simpleString() == spark_type
    if "p7" in names:
        df = df.withColumn("p7", F.expr("transform(p7, t -> date_format(t, 'HH:mm:ss.SSSSSS'))"))
    rows = df.collect()
    for name in names:
        assert [row[name] for row in rows] == RANKS[name][3], name


# --- columns without names --------------------------------------------------------------------------------


def test_columns_without_names_are_taken_by_position(spark, tmp_path):
    inputs = Schema([ColSpec("long"), ColSpec(Array("double"))])
    path = save(tmp_path / "m", Telling(), inputs, TEXT)
    df = spark.sql(f"select {BIG}L as a, array(0.5D) as b, 'x' as c")
    [row] = sparksig.score(df, path, columns=["a", "b"], allow_pickle=True).collect()
    assert row["prediction"] == f"{BIG}; [0.5]"
    [row] = sparksig.score(df.drop("c"), path, allow_pickle=True).collect()
    assert row["prediction"] == f"{BIG}; [0.5]"
    text = r"expected 2 columns, without names, got 3 columns \(choose them by columns=\[\.\.\.\]\)"
    with pytest.raises(ContractError, match=text):
        sparksig.score(df, path, allow_pickle=True)
    with pytest.raises(ContractError, match=r"b: expected long, got array<double>"):
        sparksig.score(df, path, columns=["b", "a"], allow_pickle=True)
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    with pytest.raises(
        ContractError, match=r"the model's inputs have no names .*: pass the columns by position"
    ):
        udf()
    if ARROW:
        [row] = df.select(udf("a", "b").alias("p"), udf(F.struct("a", "b")).alias("q")).collect()
        assert row["p"] == row["q"] == f"{BIG}; [0.5]"
    named = models.save_python(tmp_path / "n", Telling(), {"a": "long"}, TEXT)
    with pytest.raises(ContractError, match="columns= applies to a model whose columns have no names"):
        sparksig.score(df, named, columns=["a"], allow_pickle=True)


# --- times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC"])
def test_times_inside_composites_are_read_and_placed_in_the_zone_of_the_query(spark, tmp_path, zone):
    """The function is made in the session's zone, and used in another one."""
    types = {"a": Array("datetime"), "m": Map("datetime"), "o": obj(t="datetime", n="datetime?")}
    path = save_seeing(tmp_path / "m", types, None if ARROW else ["m", "o"])
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        df = spark.sql(
            "select array(t) as a, map('k', t) as m, named_struct('t', t, 'n', null) as o "
            "from (select timestamp'2024-07-01T12:30:15.123456Z' as t)"
        )
        columns = [sparksig.score(df, udf).schema["prediction"].name]
        scored = sparksig.score(df, udf)
        if ARROW:
            scored = scored.withColumn("again", udf(F.struct("a", "m", "o")))
            columns.append("again")
        rows = scored.collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    wall = pd.Timestamp(INSTANT).tz_convert(zone).tz_localize(None).isoformat()
    for row in rows:
        for column in columns:
            seen = f"[{wall}]; {{k: {wall}}}; {{n: null, t: {wall}}}"
            assert row[column]["seen"] == seen
            for name in ("a", "m", "o") if ARROW else ("m", "o"):
                assert format_value(row[column][name]) == format_value(row[name])


def test_a_wall_time_that_the_zone_cannot_place_is_found_at_any_depth(spark, tmp_path):
    """05:30Z, which MLflow gives back as 06:30Z, reads as an hour that New York had twice."""
    types = {"m": Map("datetime"), "o": obj(t="datetime")}
    path = save_seeing(tmp_path / "m", types)
    df = spark.sql("select map('k', t) as m, named_struct('t', t) as o from (select explode(array("
                   "timestamp'2020-11-01T05:30:00Z', timestamp'2020-11-01T07:30:00Z')) as t)")  # fmt: skip
    bad, good = sparksig.score(df.coalesce(1), path, on_error="null", allow_pickle=True).collect()
    assert good["findings"] is None
    assert (format_value(good["prediction"]["m"]), format_value(good["prediction"]["o"])) == (
        format_value(good["m"]),
        format_value(good["o"]),
    )
    assert bad["prediction"] is None
    assert [(finding["code"], finding["path"]) for finding in bad["findings"]] == [
        ("OUT_OF_RANGE", "m[]"),
        ("OUT_OF_RANGE", "o.t"),
    ]
    assert (
        "expected local times that exist exactly once in America/New_York, got ambiguous or nonexistent times"
        in bad["findings"][0]["detail"]
    )


def test_decimals_reach_a_long_and_a_double_inside(spark, tmp_path):
    path = save_seeing(tmp_path / "m", {"l": Array("long"), "o": obj(d="double?")}, [])
    table = T.StructType([
        T.StructField("l", T.ArrayType(T.DecimalType(18, 0))),
        T.StructField("o", T.StructType([T.StructField("d", T.DecimalType(15, 2))])),
    ])  # fmt: skip
    df = spark.createDataFrame(
        [([Decimal(10**18 - 1), None], (Decimal("-9999999999999.99"),)), (None, (None,))], table
    )
    scored = sparksig.score(df.coalesce(1), path, allow_pickle=True)
    assert texts(scored) == [
        f"[{10**18 - 1}, null]; {{d: -9999999999999.99}}",
        "null; {d: null}",
    ]
