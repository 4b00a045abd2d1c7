"""The forms of a call, result types, batches, rows that cannot be scored; real Spark."""

from __future__ import annotations

import importlib
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Observation
from pyspark.sql import functions as F
from pyspark.sql import types as T

import sparksig
from sparksig import (
    Array,
    Code,
    ColSpec,
    ContractError,
    Map,
    ModelError,
    ModelSignature,
    Object,
    Property,
    Schema,
    TensorSpec,
    UnsupportedError,
)
from tests.spark import models

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ARROW = hasattr(F, "arrow_udf")
"""Spark >= 4.1, where column functions take structs and models are registered for SQL."""

arrow_only = pytest.mark.skipif(not ARROW, reason="before Spark 4.1 structs go by score only")
BIG = 2**53 + 1


def save(path, function, inputs, outputs, params=None):
    return models.save_python(path, models.Returning(function), inputs, outputs, params)


def texts(frame):
    """One text a row: the frame's values beside their names."""
    return [repr(dict(zip(frame, row))) for row in zip(*(frame[name].tolist() for name in frame))]


def describe(data, params):
    return texts(data)


@pytest.fixture(scope="module")
def teller(tmp_path_factory):
    """A model that returns its input as text: ``a``, an integer, and ``b c.d``, a string."""
    path = tmp_path_factory.mktemp("models") / "teller"
    return save(path, describe, {"a": "long", "b c.d": "string"}, {"y": "string"})


@pytest.fixture(scope="module")
def doubler(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "doubler"
    return save(path, lambda data, params: data["x"] * 2, {"x": "double"}, {"y": "double"})


def numbers(spark, rows, partitions=1):
    return spark.range(0, rows, 1, partitions).selectExpr("id", "double(id) as x")


# --- forms of a call -------------------------------------------------------------------------------------


def test_every_form_of_a_call_hands_over_the_same(spark, teller):
    udf = sparksig.spark_udf(spark, teller, allow_pickle=True)
    df = spark.sql(f"select 'x' as `b c.d`, {BIG}L as a, 1.5D as extra")
    forms = {
        "none": udf(),
        "positions": udf("a", "b c.d"),
        "columns": udf(F.col("a"), F.col("`b c.d`")),
        "keywords": udf(**{"b c.d": "b c.d", "a": F.col("a")}),
        "cast": udf(F.col("a"), F.concat(F.lit("x"), F.lit(""))),
    }
    if ARROW:
        forms |= {
            "star": udf(F.struct("*")),
            "struct": udf(F.struct("extra", F.col("a"), "`b c.d`")),
            "named": udf(F.expr("named_struct('a', a, 'b c.d', 'x')")),
        }
    else:
        with pytest.raises(
            UnsupportedError, match=r"Spark before 4\.1 cannot pass tensors or a single struct"
        ):
            udf(F.struct("*"))
    [row] = df.select(*(column.alias(name) for name, column in forms.items())).collect()
    assert row.asDict() == dict.fromkeys(forms, repr({"a": BIG, "b c.d": "x"}))


@arrow_only
@pytest.mark.parametrize(("column", "text"), [
    ("struct(a)", r"`b c\.d`: expected string, got no such column"),
    ("struct(a as A, `b c.d`)", r"a: expected long, got no such column"),
    ("struct(`b c.d` as a, `b c.d`)", r"a: expected long, got string"),
    ("a", "expected 2 columns, got 1 columns?"),
], ids=["too few", "another case", "another type", "no struct"])  # fmt: skip
def test_a_struct_that_does_not_fit_fails_the_query(spark, teller, column, text):
    udf = sparksig.spark_udf(spark, teller, allow_pickle=True)
    df = spark.sql("select 'x' as `b c.d`, 1L as a")
    with pytest.raises(PySparkException, match=text):
        df.select(udf(F.expr(column))).collect()


@pytest.mark.parametrize(("columns", "named", "text"), [
    (("a", "a", "a"), {}, r"expected 2 columns, got 3 columns \(in this order: a, `b c\.d`; to leave out"),
    (("a",), {"a": "a"}, "pass the model's columns either by position or by name, not both"),
    ((), {"a": "a"}, r"`b c\.d`: expected string, got no such argument"),
    ((), {"a": "a", "b c.d": "a", "A": "a"},
     r"A: expected a column of the signature, got another \(did you mean 'a'\?"),
], ids=["too many", "mixed", "too few", "unknown"])  # fmt: skip
def test_calls_that_do_not_fit_fail_at_once(spark, teller, jobs_started, columns, named, text):
    udf = sparksig.spark_udf(spark, teller, allow_pickle=True)
    with pytest.raises(ContractError, match=text):
        udf(*columns, **named)
    assert jobs_started() == 0


@arrow_only
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_the_models_one_column_may_itself_be_an_object(spark, tmp_path, required):
    """By its value, or in a struct of all columns; a struct's field of the column's name comes first."""
    inputs = Schema([ColSpec(Object([Property("x", "long", required)]), "o")])
    path = save(tmp_path / "m", describe, inputs, {"y": "string"})
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    df = spark.sql(f"select named_struct('x', {BIG}L, 'z', 0) as o")
    calls = {"value": udf("o"), "none": udf(), "star": udf(F.struct("*")), "keyword": udf(o="o"),
             "made": udf(F.expr(f"named_struct('x', {BIG}L)"))}  # fmt: skip
    [row] = df.select(*(column.alias(name) for name, column in calls.items())).collect()
    assert row.asDict() == dict.fromkeys(calls, repr({"o": {"x": BIG}}))


@arrow_only
def test_a_struct_beside_other_columns_keeps_its_integers(spark, tmp_path):
    """MLflow makes them floats, and a null struct a dictionary of NaN."""
    inputs = Schema(
        [
            ColSpec(Object([Property("d", "double"), Property("i", "long")]), "o", False),
            ColSpec("double", "x"),
        ]
    )
    udf = sparksig.spark_udf(
        spark, save(tmp_path / "m", describe, inputs, {"y": "string"}), allow_pickle=True
    )
    df = spark.sql(f"select if(id = 0, named_struct('i', {BIG}L, 'd', 0.5D), null) as o, double(id) as x "
                   "from range(0, 2, 1, 1)")  # fmt: skip
    rows = [row.y for row in df.select(udf("o", "x").alias("y")).collect()]
    assert rows == [repr({"o": {"d": 0.5, "i": BIG}, "x": 0.0}), repr({"o": None, "x": 1.0})]


@arrow_only
def test_a_model_is_a_function_of_sql(spark, teller, tmp_path):
    udf = sparksig.spark_udf(spark, teller, allow_pickle=True)
    spark.udf.register("told", udf)
    many = save(tmp_path / "m", lambda data, params: data.rename(columns={"x": "p"}).assign(q=1),
                {"x": "double"}, {"p": "double", "q": "long"})  # fmt: skip
    spark.udf.register("many", sparksig.spark_udf(spark, many, allow_pickle=True))
    [row] = spark.sql(
        f"select told(a, t) as y, told(struct(a, t as `b c.d`)) as z, many(0.5D).p as p, "
        f"many(double(a)).q as q from (select {BIG}L as a, 'x' as t)"
    ).collect()
    assert row.asDict() == {
        "y": repr({"a": BIG, "b c.d": "x"}), "z": repr({"a": BIG, "b c.d": "x"}), "p": 0.5, "q": 1,
    }  # fmt: skip
    with pytest.raises(PySparkException, match="expected 2 columns, got 3 columns"):
        spark.sql("select told(1L, 'x', 'y')").collect()


@arrow_only
def test_times_of_a_function_of_sql_are_placed_in_the_zone_of_the_query(spark, tmp_path):
    path = save(tmp_path / "m", lambda data, params: data["t"], {"t": "datetime"}, {"t": "datetime"})
    spark.udf.register("same_time", sparksig.spark_udf(spark, path, allow_pickle=True))
    before = spark.conf.get("spark.sql.session.timeZone")
    results = {}
    try:
        for zone in (before, "Asia/Tokyo"):
            spark.conf.set("spark.sql.session.timeZone", zone)
            query = "select same_time(t) = t as same from (select timestamp'2050-06-15T12:00:00Z' as t)"
            results[zone] = spark.sql(query).collect()[0].same
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    assert results == {before: True, "Asia/Tokyo": True}


def test_a_model_is_registered_on_a_newer_spark_only(spark, teller):
    udf = sparksig.spark_udf(spark, teller, allow_pickle=True)
    assert not hasattr(udf, "no_such_attribute")
    if not ARROW:
        with pytest.raises(UnsupportedError, match=r"registering a model for SQL needs Spark 4\.1 or newer"):
            spark.udf.register("told", udf)


# --- result types ----------------------------------------------------------------------------------------

RESULTS = {
    "double": ("double", lambda n: np.array([0.5, np.nan])[:n], [0.5, float("nan")]),
    "float": ("float", lambda n: np.array([0.5, 1], "float32")[:n], [0.5, 1.0]),
    "short": ("smallint", lambda n: np.array([-(2**15), 2**15 - 1], "int32")[:n], [-(2**15), 2**15 - 1]),
    "byte": ("tinyint", lambda n: np.array([-128, 127], "int16")[:n], [-128, 127]),
    "int": ("int", lambda n: [7, -(2**31)][:n], [7, -(2**31)]),
    "bigint": ("bigint", lambda n: [BIG, None][:n], [BIG, None]),
    "boolean": ("boolean", lambda n: [True, None][:n], [True, None]),
    "string": ("string", lambda n: ["a\x00", None][:n], ["a\x00", None]),
    "binary": ("binary", lambda n: [b"a\x00", None][:n], [b"a\x00", None]),
    "date": ("date", lambda n: pd.to_datetime(["2020-02-29", None])[:n].to_series(), ["2020-02-29", None]),
    "timestamp_ntz": (
        "timestamp_ntz",
        lambda n: pd.to_datetime(["2020-03-08 02:30:00", None])[:n].to_series(),  # no such hour in New York
        ["2020-03-08 02:30:00", None],
    ),
    "timestamp": (
        "timestamp",
        lambda n: pd.to_datetime(["2020-07-01 08:00:00", None])[:n].to_series(),
        ["2020-07-01 08:00:00", None],
    ),
    "array<float>": ("array<float>", lambda n: [[0.5, float("inf")], None][:n], [[0.5, float("inf")], None]),
    "array<short>": ("array<smallint>", lambda n: [[1, None], []][:n], [[1, None], []]),
    "array<array<bigint>>": ("array<array<bigint>>", lambda n: [[[BIG], None], []][:n], [[[BIG], None], []]),
    "value double": (
        "struct<value:double>",
        lambda n: pd.DataFrame({"value": [0.5, 1.5]})[:n],
        [{"value": 0.5}, {"value": 1.5}],
    ),
    "array<double>": ("array<double>", lambda n: np.array([[0.5], [-0.0]])[:n], [[0.5], [-0.0]]),
}  # fmt: skip
"""Of each result type: Spark's name of it, two predictions, and the values that come back (times as text)."""


@pytest.mark.parametrize(
    "name", [n for n in RESULTS if n not in ("map<string,bigint>", "a int, b array<string>")]
)
def test_a_result_type_says_what_comes_back(spark, tmp_path, name):
    spark_name, function, expected = RESULTS[name]
    path = save(tmp_path / "m", lambda data, params: function(len(data)), {"x": "double"}, None)
    df = numbers(spark, 2).coalesce(1)
    scored = sparksig.score(df, path, keep=[], result_type=name, allow_pickle=True)
    assert scored.schema["prediction"].dataType.simpleString() == spark_name
    if name in ("date", "timestamp_ntz", "timestamp"):
        scored = scored.select(F.col("prediction").cast("string").alias("prediction"))
    actual = [row.prediction for row in scored.collect()]
    actual = [value.asDict() if isinstance(value, T.Row) else value for value in actual]
    actual = [bytes(value) if isinstance(value, bytearray) else value for value in actual]
    assert repr(actual) == repr(expected)


def test_a_result_type_of_maps_and_of_several_outputs(spark, tmp_path):
    rows = [{"a": BIG, "b": None}, {}]
    path = save(tmp_path / "m", lambda data, params: rows, {"x": "double"}, None)
    scored = sparksig.score(
        numbers(spark, 2), path, keep=[], result_type="map<string, bigint>", allow_pickle=True
    )
    assert [row.prediction for row in scored.collect()] == rows
    several = pd.DataFrame({"b": [["x", None], None], "a": pd.array([1, None], "Int32")})
    path = save(tmp_path / "s", lambda data, params: several, {"x": "double"}, None)
    struct_type = T.StructType().add("a", T.IntegerType()).add("b", T.ArrayType(T.StringType()))
    for result_type in ("a int, b array<string>", "struct<a: int, b: array<string>>", struct_type):
        scored = sparksig.score(numbers(spark, 2), path, column="p", keep=[], result_type=result_type,
                                flatten=True, allow_pickle=True)  # fmt: skip
        assert scored.schema.simpleString() == "struct<p_a:int,p_b:array<string>>"
    assert [tuple(row) for row in scored.collect()] == [(1, ["x", None]), (None, None)]


LOSSY = {
    "fraction": ("bigint", lambda: np.array([1.9, 2.0]), "expected long, got double"),
    "wide": ("int", lambda: np.array([2**40 + 5, 1]), "expected integer, got int64"),
    "beyond a short": ("short", lambda: [2**15, 1], "values out of its range or precision"),
    "beyond a byte": ("byte", lambda: [128, 1], "values out of its range or precision"),
    "text as a number": ("double", lambda: ["7", "8"], "expected double, got"),
    "text as a boolean": ("boolean", lambda: ["false", "true"], "expected boolean, got"),
    "None as text": ("boolean", lambda: np.array([0, 1]), "expected boolean, got int64"),
    "complex": ("double", lambda: np.array([1 + 2j, 0]), "complex128"),
    "a time of day": ("date", lambda: pd.Series(pd.to_datetime(["2020-02-29 08:00", "2020-01-01 00:00"])),
                      "values out of its range or precision"),
    "ragged": ("array<double>", lambda: np.zeros((2, 2, 2)), "expected"),
    "too many columns": ("double", lambda: np.zeros((2, 2)), "expected 1 column, got 2 columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOSSY)
def test_a_prediction_that_the_result_type_does_not_hold_exactly_is_refused(spark, tmp_path, case):
    """Where MLflow makes 1.9 to 1, 2**40 + 5 to 5, "false" to True, and drops all but the first column."""
    result_type, function, text = LOSSY[case]
    path = save(tmp_path / "m", lambda data, params: function(), {"x": "double"}, None)
    scored = sparksig.score(numbers(spark, 2), path, result_type=result_type, allow_pickle=True)
    with pytest.raises(PySparkException, match=f"PredictionError: (.|\n)*{text}"):
        scored.collect()


@pytest.mark.parametrize(("result_type", "error", "text"), [
    ("decimal(10,2)", UnsupportedError, "cannot be decimals. Use double or bigint as result_type, and cast"),
    ("array<decimal(5,1)>", UnsupportedError, "predictions cannot be decimals"),
    ("interval year to month", ContractError, "result_type .* has no signature"),
    ("map<int, double>", ContractError, "result_type .* has no signature"),
    ("array<", ContractError, "result_type 'array<' is not a Spark type"),
    ("doubel", ContractError, "result_type 'doubel' is not a Spark type"),
    ("", ContractError, "result_type .* has no signature"),
    (float, ContractError, "result_type: expected a DataType or DDL, got "),
    ("a int, a int", ContractError, "result_type .*a"),
], ids=str)  # fmt: skip
def test_result_types_that_nothing_can_be_are_refused(spark, doubler, jobs_started, result_type, error, text):
    with pytest.raises(error, match=text):
        sparksig.spark_udf(spark, doubler, result_type=result_type, allow_pickle=True)
    assert jobs_started() == 0


def test_without_outputs_and_without_a_result_type_there_is_no_guess(spark, tmp_path):
    path = save(tmp_path / "m", lambda data, params: data["x"], {"x": "double"}, None)
    with pytest.raises(ModelError, match=r"the model's signature has no outputs: .* Or pass result_type\."):
        sparksig.spark_udf(spark, path, allow_pickle=True)
    assert (
        repr(sparksig.spark_udf(spark, path, result_type="float", allow_pickle=True))
        == "ModelUDF(x) -> float"
    )


def test_the_named_output_is_what_comes_back_not_the_first(spark, tmp_path):
    """MLflow returns z where the signature says p; a column more is an error here."""
    path = save(tmp_path / "m", lambda data, params: pd.DataFrame({"z": data["x"], "p": data["x"] + 1}),
                {"x": "double"}, {"p": "double"})  # fmt: skip
    with pytest.raises(PySparkException, match="z: expected only declared columns, got an undeclared column"):
        sparksig.score(numbers(spark, 1), path, allow_pickle=True).collect()
    path = save(tmp_path / "two", lambda data, params: pd.DataFrame({"z": data["x"], "p": data["x"] + 1}),
                {"x": "double"}, {"p": "double", "z": "double"})  # fmt: skip
    [row] = sparksig.score(numbers(spark, 1), path, allow_pickle=True).collect()
    assert row.prediction.asDict() == {"p": 1.0, "z": 0.0}


INNER = Object([Property("n", "long")])


def test_default_result_types_that_mlflow_cannot_return(spark, tmp_path):
    """A map for many rows, Python integers, binary in a struct, a nested null, an absent optional column."""
    outputs = Schema([
        ColSpec(Map("long"), "m", False), ColSpec("integer", "i"), ColSpec("binary", "y", False),
        ColSpec(Object([Property("t", "string"), Property("o", INNER, False)]), "o", False),
        ColSpec(Array("long"), "absent", False), ColSpec(Array(Array("double")), "r"),
    ])  # fmt: skip

    def predict(data, params):
        n = len(data)
        return {
            "m": [{"k": BIG}] * n, "i": list(range(n)), "y": [b"\x00", None][:n],
            "o": [{"t": "x", "o": None}, None][:n], "r": [[[0.5], []], []][:n],
        }  # fmt: skip

    path = save(tmp_path / "m", predict, {"x": "double"}, outputs)
    rows = [
        row.prediction.asDict(True)
        for row in sparksig.score(numbers(spark, 2), path, allow_pickle=True).collect()
    ]
    assert rows == [
        {"m": {"k": BIG}, "i": 0, "y": b"\x00", "o": {"t": "x", "o": None}, "absent": None, "r": [[0.5], []]},
        {"m": {"k": BIG}, "i": 1, "y": None, "o": None, "absent": None, "r": []},
    ]


# --- method, configuration, params -----------------------------------------------------------------------


def test_another_method_needs_a_result_type(spark, frame_of, tmp_path):
    model, frame = models.classifier()
    trust = models.save_sklearn(tmp_path / "m", model, frame)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    text = "the outputs of the method 'predict', not of 'predict_proba'. Pass the type of the predictions as"
    with pytest.raises(ModelError, match=text):
        sparksig.score(df, tmp_path / "m", method="predict_proba", **trust)
    scored = sparksig.score(
        df, tmp_path / "m", keep=[], method="predict_proba", result_type="array<double>", **trust
    )
    scored = scored.withColumn("same", F.lit(1))
    actual = np.array([row.prediction for row in scored.collect()])
    assert actual.tobytes() == model.predict_proba(frame).tobytes()
    with pytest.raises(UnsupportedError, match=r"method: expected one of predict, .*, got 'guess'"):
        sparksig.score(df, tmp_path / "m", method="guess", result_type="double", **trust)


class Scaled(sparksig.PythonModel):
    """Multiplies by the factor of its configuration."""

    def load_context(self, context):
        self.factor = context.model_config["factor"]

    def predict(self, context, model_input, params=None):
        return model_input["x"] * self.factor + params["offset"]


def test_configuration_and_params_of_two_functions_of_one_model_do_not_mix(spark, tmp_path):
    declared = sparksig.ParamSchema([sparksig.ParamSpec("offset", "double", 0.0)])
    x = Schema([ColSpec("double", "x")])
    sparksig.save_model(tmp_path / "m", Scaled(), ModelSignature(x, x, declared), model_config={"factor": 2})

    def udf(**options):
        return sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True, **options)("x")

    df = numbers(spark, 4, 2).filter("id = 3")
    [row] = df.select(
        udf().alias("a"), udf(model_config={"factor": 10}).alias("b"), udf(params={"offset": 0.5}).alias("c"),
        udf(params={"offset": 1}, model_config={"factor": -1}).alias("d"),
    ).collect()  # fmt: skip
    assert list(row) == [6.0, 30.0, 6.5, -2.0]
    with pytest.raises(ContractError, match="offset: expected double"):
        udf(params={"offset": "1"})
    predict = sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
    text = r"params and batch_rows and digest cannot be combined with a ModelUDF: pass them to spark_udf"
    with pytest.raises(ContractError, match=text):
        sparksig.score(df, predict, params={"offset": 1}, batch_rows=3, digest="0")


# --- batches ---------------------------------------------------------------------------------------------


def sizes(data, params):
    return [len(data)] * len(data)


@pytest.mark.parametrize(("rows", "expected"), [
    (1, [1] * 7), (3, [3, 3, 3, 3, 3, 3, 1]), (4, [4] * 4 + [3] * 3), (7, [7] * 7), (8, [7] * 7),
    (10**6, [7] * 7),
])  # fmt: skip
def test_the_model_is_given_batches_of_exactly_so_many_rows(spark, tmp_path, rows, expected):
    """Batches of each partition do not depend on Arrow's batches; partitions may be empty, integers null."""
    path = save(tmp_path / "m", lambda data, params: pd.DataFrame({"n": sizes(data, params), "x": data["x"]}),
                {"x": "long?"}, {"n": "long", "x": "long?"})  # fmt: skip
    df = (
        spark.range(0, 21, 1, 3)
        .selectExpr("id", f"if(id % 3 = 0, null, id + {BIG - 2}) as x")
        .filter("id < 14")
    )
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "2")
    try:
        scored = sparksig.score(df, path, batch_rows=rows, allow_pickle=True)
        found = [(row.id, row.x, row.prediction.x, row.prediction.n) for row in scored.collect()]
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", before)
    assert [row[0] for row in found] == list(range(14))
    assert all(x == scored_x for _, x, scored_x, _ in found)
    assert [row[3] for row in found] == expected * 2


@pytest.mark.parametrize("rows", [0, -1, True, 1.5, "3"], ids=repr)
def test_batch_rows_is_a_number_of_rows(spark, doubler, rows):
    with pytest.raises(ContractError, match="batch_rows: expected an integer of 1 or more, or None"):
        sparksig.spark_udf(spark, doubler, batch_rows=rows, allow_pickle=True)


# --- rows that cannot be scored ---------------------------------------------------------------------------


def picky(data, params):
    """Raises for 7 and 13; returns a text for 5."""
    values = data["x"].tolist()
    if 13 in values:
        raise ValueError("thirteen is no number")
    if 7 in values:
        raise LookupError("seven is unknown")
    return pd.Series(["five" if value == 5 else value / 2 for value in values], dtype=object)


@pytest.fixture(scope="module")
def fussy(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "fussy"
    return save(path, picky, {"x": "long", "z": "integer"}, {"y": "double"})


def fussy_rows(spark, rows=20, partitions=2):
    return spark.range(0, rows, 1, partitions).selectExpr(
        "id", "if(id in (2, 17), null, id) as x", "if(id = 2, null, 1) as z"
    )


def test_rows_that_cannot_be_scored_are_null_and_reported_and_the_others_are_scored(
    spark, fussy, jobs_started
):
    started = jobs_started()
    scored = sparksig.score(
        fussy_rows(spark),
        fussy,
        column="p",
        keep=["id"],
        on_error="null",
        findings_column="why",
        allow_pickle=True,
    )
    assert jobs_started() == started
    assert (
        scored.schema["why"].dataType.simpleString() == "array<struct<code:string,path:string,detail:string>>"
    )
    rows = {row.id: row for row in scored.collect()}
    bad = {2, 5, 7, 13, 17}
    assert list(rows) == list(range(20))
    assert {key: row.p for key, row in rows.items()} == {
        key: None if key in bad else key / 2 for key in range(20)
    }
    assert {key for key, row in rows.items() if row.why is not None} == bad
    codes = {key: [(finding.code, finding.path) for finding in rows[key].why] for key in bad}
    assert codes == {
        2: [("NULL_IN_REQUIRED", "x"), ("NULL_IN_REQUIRED", "z")],
        5: [("TYPE_MISMATCH", "y")],
        7: [("PREDICTION_FAILED", "")],
        13: [("PREDICTION_FAILED", "")],
        17: [("NULL_IN_REQUIRED", "x")],
    }
    details = {key: [value.detail for value in rows[key].why] for key in bad}
    assert details[2][0].startswith("x: expected long without nulls, got a null (")
    assert details[2][0].endswith("[NULL_IN_REQUIRED]")
    assert details[5][0].startswith("y: expected double, got ")
    assert details[7] == ["expected a prediction, got LookupError: seven is unknown [PREDICTION_FAILED]"]
    assert details[13] == ["expected a prediction, got ValueError: thirteen is no number [PREDICTION_FAILED]"]


@pytest.mark.parametrize(
    ("where", "rows"), [("x is null", 2), ("id = 13", 1), ("false", 0), ("id in (5, 7)", 2)]
)
def test_all_rows_bad_or_none_there(spark, fussy, where, rows):
    scored = sparksig.score(fussy_rows(spark).filter(where), fussy, on_error="null", allow_pickle=True)
    found = scored.collect()
    assert [row.prediction for row in found] == [None] * rows
    assert all(row.findings for row in found)


@pytest.mark.parametrize("on_error", ["fail", "null"])
def test_a_wrong_number_of_predictions_fails_the_query(spark, tmp_path, on_error):
    path = save(tmp_path / "m", lambda data, params: [0.5] * (len(data) - 1), {"x": "long"}, {"y": "double"})
    scored = sparksig.score(spark.range(3).toDF("x"), path, on_error=on_error, allow_pickle=True)
    with pytest.raises(PySparkException, match=r"expected one prediction for .*, got "):
        scored.collect()


def test_rows_are_distinguished_in_batches_and_structs_and_flattened(spark, tmp_path):
    def predict(data, params):
        return pd.DataFrame({"a b": 1 / data["x"].map({0: 0, 1: 1, 2: 4}.__getitem__), "c": data["x"]})

    path = save(tmp_path / "m", predict, {"x": "long"}, {"a b": "double", "c": "long"})
    df = spark.range(0, 9, 1, 2).selectExpr("id", "if(id = 8, null, id % 4) as x")
    scored = sparksig.score(df, path, column="p.q", keep=["id"], on_error="null", findings_column="why `not`",
                            flatten=True, batch_rows=4, allow_pickle=True)  # fmt: skip
    assert scored.columns == ["id", "p.q_a b", "p.q_c", "why `not`"]
    rows = scored.collect()
    assert [row[1] for row in rows] == [float("inf"), 1.0, 0.25, None] * 2 + [None]
    assert [row[2] for row in rows] == [0, 1, 2, None] * 2 + [None]
    assert [None if row[3] is None else row[3][0].code for row in rows] == [
        *[None, None, None, "PREDICTION_FAILED"] * 2, "NULL_IN_REQUIRED"
    ]  # fmt: skip


def test_types_that_do_not_widen_fail_at_plan_time_also_where_rows_may_be_bad(spark, fussy, jobs_started):
    df = spark.sql("select 'a' as x, 1 as z")
    with pytest.raises(ContractError, match="x: expected long, got string"):
        sparksig.score(df, fussy, on_error="null", allow_pickle=True)
    with pytest.raises(ContractError, match="on_error: expected 'fail' or 'null', got 'skip'"):
        sparksig.score(df, fussy, on_error="skip", allow_pickle=True)
    assert jobs_started() == 0


def test_without_on_error_the_models_error_fails_the_query(spark, fussy):
    with pytest.raises(PySparkException, match="ValueError: thirteen is no number"):
        sparksig.score(fussy_rows(spark).filter("id = 13"), fussy, allow_pickle=True).collect()


@pytest.mark.parametrize(("names", "text"), [
    ({"column": "FINDINGS"}, "FINDINGS|findings"),
    ({"findings_column": "Prediction"}, "Prediction: expected no kept column"),
    ({"findings_column": "X"}, "X: expected no kept column of the output's name, got one"),
    ({"findings_column": 1}, "names of columns, as strings"),
])  # fmt: skip
def test_the_names_of_what_is_made_are_checked(spark, fussy, names, text):
    with pytest.raises(ContractError, match=text):
        sparksig.score(fussy_rows(spark), fussy, on_error="null", allow_pickle=True, **names)


def test_flatten_takes_several_outputs(spark, doubler):
    with pytest.raises(
        ContractError,
        match="flatten=True needs a model with several outputs; the predictions of this model are double",
    ):
        sparksig.score(numbers(spark, 1), doubler, flatten=True, allow_pickle=True)


# --- counts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["fail", "null"])
def test_an_observation_has_the_counts_of_the_same_pass(spark, tmp_path, on_error, jobs_started):
    path = save(tmp_path / "m", picky, {"x": "long"}, {"y": "double"})
    df = fussy_rows(spark, 20, 4)
    if on_error == "fail":
        df = df.filter("x not in (5, 7, 13)")
    observed = Observation("scoring")
    started = jobs_started()
    scored = sparksig.score(df, path, on_error=on_error, observation=observed, allow_pickle=True)
    assert jobs_started() == started
    assert "loads" not in scored.columns
    scored.collect()
    counts = observed.get
    rejected = 0 if on_error == "fail" else 5
    assert (counts["rows"], counts["scored"], counts["rejected"]) == (15 + rejected, 15, rejected)
    assert 1 <= counts["model_loads"] <= 4
    assert counts["model_load_seconds"] > 0
    again = Observation()
    sparksig.score(df, path, on_error=on_error, observation=again, allow_pickle=True).collect()
    assert again.get["rows"] == 15 + rejected


def test_an_observation_of_no_rows(spark, doubler):
    observed = Observation()
    sparksig.score(
        numbers(spark, 3).filter("false"), doubler, observation=observed, allow_pickle=True
    ).collect()
    assert observed.get["rows"] == observed.get["scored"] == observed.get["rejected"] == 0


# --- streams ---------------------------------------------------------------------------------------------


def test_a_stream_is_scored_as_any_table(spark, fussy, tmp_path):
    fussy_rows(spark).write.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema("id bigint, x bigint, z int").parquet(str(tmp_path / "in"))
    scored = sparksig.score(stream, fussy, on_error="null", allow_pickle=True)
    assert scored.isStreaming
    name = "scored_stream"
    query = scored.writeStream.format("memory").queryName(name).trigger(availableNow=True).start()
    try:
        assert query.awaitTermination(120)
    finally:
        query.stop()
    rows = {row.id: row for row in spark.table(name).collect()}
    spark.catalog.dropTempView(name)
    assert {key for key, row in rows.items() if row.findings} == {2, 5, 7, 13, 17}
    assert [rows[key].prediction for key in (0, 1, 19)] == [0.0, 0.5, 9.5]
    assert len(rows) == 20
    with pytest.raises(ContractError, match="x: expected long, got no such column"):
        sparksig.score(stream.drop("x"), fussy, allow_pickle=True)


# --- models with type hints -------------------------------------------------------------------------------


HINTED = """
from pydantic import BaseModel
from sparksig import PythonModel

class Order(BaseModel):
    n: int
    tags: list[str]
    price: float = 0.5

class Orders(PythonModel):
    def predict(self, model_input: list[Order]) -> list[str]:
        return [f"{type(one).__name__} {one.n} {one.tags} {one.price}" for one in model_input]

class Integers(PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:
        return [one + 1 for one in model_input]
"""


def test_hinted_models_take_rows(spark, tmp_path, monkeypatch):
    (tmp_path / "hinted_orders.py").write_text(HINTED)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("hinted_orders")
    code = [tmp_path / "hinted_orders.py"]
    sparksig.save_model(tmp_path / "m", module.Orders(), code_paths=code)
    sparksig.save_model(tmp_path / "i", module.Integers(), code_paths=code)
    df = spark.sql(f"select named_struct('n', {BIG}L, 'tags', array('x'), 'price', 2.5D) as o, {BIG}L as i")
    scored = sparksig.score(df, tmp_path / "m", columns=["o"], allow_pickle=True)
    scored = sparksig.score(scored, tmp_path / "i", column="q", columns=["i"], allow_pickle=True)
    expected = [f"Order {BIG} ['x'] 2.5", BIG + 1]
    columns = ["prediction", "q"]
    if ARROW:
        orders = sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
        integers = sparksig.spark_udf(spark, tmp_path / "i", allow_pickle=True)
        columns, expected = [*columns, orders("o"), integers("i")], expected * 2
    [row] = scored.select(*columns).collect()
    assert list(row) == expected


RECORDS = """
import dataclasses
import enum
import uuid
from decimal import Decimal
from typing import Annotated, NamedTuple

import pydantic
from sparksig import PythonModel
from typing_extensions import NotRequired, TypedDict

class Kind(enum.Enum):
    BUS = "bus"

class Stop(NamedTuple):
    name: str
    seats: int | None

class Options(TypedDict):
    window: NotRequired[bool]

@dataclasses.dataclass
class Trip:
    id: uuid.UUID
    kind: Kind
    price: Annotated[Decimal, pydantic.Field(max_digits=9, decimal_places=2)]
    pair: tuple[int, int]
    stops: list[Stop]
    options: Options
    note: str | None = None

class Trips(PythonModel):
    def predict(self, model_input: list[Trip]) -> list[Trip]:
        return [dataclasses.replace(trip, note=repr(trip)) for trip in model_input]
"""


def test_models_whose_rows_are_records_take_tables(spark, tmp_path, monkeypatch):
    (tmp_path / "hinted_trips.py").write_text(RECORDS)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("hinted_trips")
    sparksig.save_model(tmp_path / "m", module.Trips(), code_paths=[tmp_path / "hinted_trips.py"])
    table = spark.sql(
        "select '123e4567-e89b-12d3-a456-426614174000' as id, 'bus' as kind, "
        "cast(2.5 as decimal(9, 2)) as price, array(1L, 2L) as pair, "
        "array(named_struct('name', 'a', 'seats', cast(null as bigint))) as stops, "
        "named_struct('window', cast(null as boolean)) as options"
    )
    trip = module.Trip(
        module.uuid.UUID("123e4567-e89b-12d3-a456-426614174000"),
        module.Kind.BUS,
        module.Decimal("2.50"),
        (1, 2),
        [module.Stop("a", None)],
        {},
    )
    scored = sparksig.score(table, tmp_path / "m", allow_pickle=True)
    columns = ["prediction"]
    if ARROW:
        predict = sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
        scored = scored.select("prediction", predict(F.struct(*table.columns)).alias("by_udf"))
        columns.append("by_udf")
    [row] = scored.select(*columns).collect()
    for column in columns:
        prediction = row[column].asDict(recursive=True)
        assert prediction.pop("note") == repr(trip)
        assert prediction == {
            "id": str(trip.id), "kind": "bus", "price": 2.5, "pair": [1, 2],
            "stops": [{"name": "a", "seats": None}], "options": {"window": None},
        }  # fmt: skip


# --- what MLflow accepts by the values -------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "declared"), [
    ("boolean", "binary"), ("bigint", "double"), ("bigint", "float"), ("decimal(20,2)", "double"),
    ("decimal(5,1)", "string"), ("decimal(5,1)", "boolean"), ("string", "binary"), ("binary", "string"),
    ("binary", "boolean"), ("date", "string"), ("date", "boolean"), ("double", "float"),
])  # fmt: skip
def test_what_mlflow_accepts_unconverted_is_refused_by_its_type(spark, tmp_path, dtype, declared):
    path = save(tmp_path / "m", describe, {"x": declared}, {"y": "string"})
    df = spark.sql(f"select cast(null as {dtype}) as x")
    with pytest.raises(ContractError, match=rf"x: expected {declared}, got .* \[{Code.TYPE_MISMATCH}\]"):
        sparksig.score(df, path, allow_pickle=True)


@arrow_only
def test_a_tensor_does_not_take_another_dtype_unconverted(spark, tmp_path):
    spec = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    path = save(
        tmp_path / "m",
        lambda data, params: data.sum(axis=1),
        spec,
        Schema([TensorSpec(np.dtype("float32"), (-1,))]),
    )
    df = spark.sql("select array(1.5D, 2D) as v, array(1.5F, 2F) as w")
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    assert df.select(udf("w").alias("y")).collect()[0].y == 3.5
    with pytest.raises(PySparkException, match=r"expected float32, got (float64|double)"):
        df.select(udf("v")).collect()
