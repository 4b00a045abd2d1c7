"""score(df, model): checked at plan time, cast in the JVM, the kept columns beside; real Spark."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

import sparksig
from sparksig import Code, ContractError
from tests.spark import models

# many tests score a single column of a model that has one of each type
pytestmark = pytest.mark.filterwarnings("ignore::sparksig.AbsentColumnWarning")


@pytest.fixture(scope="module")
def breast_cancer(tmp_path_factory):
    model, frame = models.classifier()
    path = tmp_path_factory.mktemp("models") / "classifier"
    trust = models.save_sklearn(path, model, frame)
    return path, trust, model, frame


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """A model of every scalar type, all optional, that returns its columns."""
    inputs = {
        "b": "boolean?", "i": "integer?", "l": "long?", "f": "float?", "d": "double?", "s": "string?",
        "y": "binary?", "t": "datetime?",
    }  # fmt: skip
    path = tmp_path_factory.mktemp("models") / "echo"
    return models.save_python(path, models.Echo(), inputs, inputs | {"seen": "string"})


def rows(df, column="prediction"):
    return [row[column] for row in df.collect()]


def test_predictions_are_the_bare_models_to_the_bit(frame_of, spark, breast_cancer):
    path, trust, model, frame = breast_cancer
    df = frame_of(pa.table({"id": range(len(frame)), **{n: frame[n] for n in frame}}))
    scored = sparksig.score(df.repartition(3), path, keep=["id"], **trust).orderBy("id")
    assert scored.columns == ["id", "prediction"]
    assert scored.schema["prediction"].dataType.simpleString() == "bigint"
    assert rows(scored) == model.predict(frame).tolist()


def test_double_predictions_are_equal_bit_for_bit(frame_of, spark, tmp_path):
    model, frame = models.regression()
    trust = models.save_sklearn(tmp_path / "m", model, frame)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    scored = sparksig.score(df, tmp_path / "m", keep=[], **trust)
    assert np.array(rows(scored)).tobytes() == model.predict(frame).tobytes()


def test_probabilities_are_an_array_per_row(frame_of, spark, tmp_path):
    model, frame = models.classifier()
    expected = model.predict_proba(frame)
    function = models.Returning(lambda data, params, model=model: model.predict_proba(data))
    signature = sparksig.infer_signature(frame, expected)
    sparksig.save_model(tmp_path / "m", function, signature)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    scored = sparksig.score(df, tmp_path / "m", keep=[], allow_pickle=True)
    assert scored.schema["prediction"].dataType.simpleString() == "array<double>"
    assert np.array(rows(scored)).tobytes() == expected.tobytes()


def test_every_scalar_type_arrives_and_comes_back_with_its_nulls(frame_of, spark, echo):
    instant = datetime.datetime(2024, 7, 1, 12, 30, 15, 123456)
    values = {
        "b": True, "i": -(2**31), "l": 2**53 + 1, "f": 0.5, "d": -0.0, "s": "a\x00", "y": b"b\x00",
        "t": instant,
    }  # fmt: skip
    types = {"b": pa.bool_(), "i": pa.int32(), "l": pa.int64(), "f": pa.float32(), "d": pa.float64(),
             "s": pa.string(), "y": pa.binary(), "t": pa.timestamp("us", "America/New_York")}  # fmt: skip
    table = pa.table({name: pa.array([value, None], types[name]) for name, value in values.items()})
    df = frame_of(table).coalesce(1)
    scored = sparksig.score(df, echo, allow_pickle=True).select(
        "prediction.*", (F.col("prediction.t") == F.col("t")).alias("same_instant")
    )
    full, empty = scored.collect()
    assert {name: full[name] for name in values if name != "t"} == {
        n: v for n, v in values.items() if n != "t"
    }
    assert full["same_instant"]
    assert str(full["d"]) == "-0.0"
    assert full["seen"] == "b:boolean,i:Int32,l:Int64,f:float32,d:float64,s:object,y:object,t:datetime64[ns]"
    # what pandas has no null for comes back as NaN, as the model saw it
    assert [empty[name] for name in "bilsyt"] == [None] * 6
    assert np.isnan([empty["f"], empty["d"]]).all()


def test_the_dtypes_do_not_depend_on_the_batch(frame_of, spark, echo):
    table = pa.table({"id": range(6), "l": pa.array([1, 2, 3, None, 5, 2**53 + 1], pa.int64())})
    df = frame_of(table).repartition(6, "id")
    scored = sparksig.score(df, echo, allow_pickle=True)
    assert {row["seen"] for row in rows(scored)} == {"l:Int64"}
    assert {row["l"] for row in rows(scored)} == {1, 2, 3, None, 5, 2**53 + 1}


def test_columns_are_widened_in_the_jvm(spark, tmp_path):
    path = models.save_python(
        tmp_path / "m",
        models.Echo(),
        {"a": "double", "b": "long", "c": "integer", "d": "double", "e": "datetime", "f": "double?"},
        {"a": "double", "b": "long", "c": "integer", "d": "double", "e": "datetime", "f": "double?"}
        | {"seen": "string"},
    )
    df = spark.sql(
        "select 1 as a, smallint(2) as b, tinyint(3) as c, cast(1.1 as decimal(15,2)) as d, "
        "date'2020-02-29' as e, null as f"
    )
    [row] = rows(sparksig.score(df, path, allow_pickle=True))
    assert (row.a, row.b, row.c, row.d) == (1.0, 2, 3, 1.1)
    assert sparksig.score(df, path, allow_pickle=True).filter("prediction.e != date'2020-02-29'").count() == 0
    assert np.isnan(row.f)
    assert row.seen == "a:float64,b:int64,c:int32,d:float64,e:datetime64[ns],f:float64"


def test_an_instant_reads_in_the_sessions_zone_and_comes_back_as_it_was(spark, echo):
    """One instant on each side of the change from daylight saving time, an hour before it is doubled."""
    df = spark.sql(
        "select timestamp'2020-03-08T06:59:59Z' as t union all select timestamp'2020-03-08T07:00:00Z'"
    )
    scored = sparksig.score(df.coalesce(1), echo, allow_pickle=True)
    equal = scored.select((F.col("prediction.t") == F.col("t")).alias("same"))
    assert rows(equal, "same") == [True, True]


def test_a_doubled_hour_is_refused_not_guessed(spark, echo):
    df = spark.sql("select timestamp'2020-11-01T05:30:00Z' as t")
    text = r"PredictionError: (.|\n)*local times that exist exactly once in America/New_York"
    with pytest.raises(PySparkException, match=text):
        sparksig.score(df, echo, allow_pickle=True).collect()


def test_an_instant_beyond_nanoseconds_is_a_finding_not_wrapped(spark, echo):
    df = spark.sql("select timestamp_ntz'9999-12-31 00:00:00' as t")
    with pytest.raises(PySparkException):
        sparksig.score(df, echo, allow_pickle=True).collect()


def test_all_findings_before_any_task(frame_of, spark, breast_cancer, jobs_started):
    path, trust, _, frame = breast_cancer
    table = pa.Table.from_pandas(frame).drop_columns(["mean area"])
    df = frame_of(table)
    df = df.withColumn("mean texture", F.lit("17")).withColumnRenamed("mean radius", "Mean Radius")
    before = jobs_started()
    with pytest.raises(ContractError, match="does not fit the model's input schema: 3 findings") as error:
        sparksig.score(df, path, **trust)
    assert [(f.code, f.path, f.expected, f.actual) for f in error.value.findings] == [
        (Code.MISSING_COLUMN, "mean radius", "double", "no such column"),
        (Code.TYPE_MISMATCH, "mean texture", "double", "string"),
        (Code.MISSING_COLUMN, "mean area", "double", "no such column"),
    ]
    assert error.value.findings[0].hint == "did you mean 'Mean Radius'? Names are case sensitive"
    assert jobs_started() == before


def test_scoring_starts_no_job_itself(frame_of, spark, breast_cancer, jobs_started):
    path, trust, _, frame = breast_cancer
    df = frame_of(pa.Table.from_pandas(frame))
    before = jobs_started()
    sparksig.score(df, path, **trust)
    assert jobs_started() == before


@pytest.mark.parametrize(
    "dtype", ["bigint", "decimal(16,2)", "string", "boolean", "array<double>", "timestamp"]
)
@pytest.mark.parametrize("where", ["true", "false"], ids=["one row", "no rows"])
def test_types_decide_never_the_values(spark, tmp_path, dtype, where):
    path = models.save_python(tmp_path / "m", models.Counting("/dev/null"), {"x": "double"}, {"y": "double"})
    df = spark.sql(f"select cast(null as {dtype}) as x where {where}")
    with pytest.raises(ContractError, match=r"x: expected double, got .* \[TYPE_MISMATCH\]"):
        sparksig.score(df, path, allow_pickle=True)


def test_nulls_in_a_required_integer_are_counted(frame_of, spark, tmp_path):
    path = models.save_python(tmp_path / "m", models.Echo(), {"x": "long"}, {"x": "long", "seen": "string"})
    df = frame_of(pa.table({"x": pa.array([1, None, 3, None], pa.int64())})).coalesce(1)
    with pytest.raises(PySparkException, match=r"x: expected long without nulls, got nulls, 2 times, "
                                               r"first in rows 1, 3 .*NULL_IN_REQUIRED"):  # fmt: skip
        sparksig.score(df, path, allow_pickle=True).collect()


def test_names_of_every_kind(frame_of, spark, tmp_path):
    names = ["mean radius", "a.b", "`tick`", "ä", "日本", "Ab", 'quo"te', "class"]
    model = models.Returning(lambda data, params: data.sum(axis=1))
    path = models.save_python(tmp_path / "m", model, dict.fromkeys(names, "double"), {"y": "double"})
    df = frame_of(pa.table({name: [float(i)] for i, name in enumerate(names)}))
    scored = sparksig.score(df, path, column="out.put", keep=names[:3], allow_pickle=True)
    assert scored.columns == [*names[:3], "out.put"]
    assert [row[-1] for row in scored.collect()] == [28.0]


def test_columns_with_equal_names_for_spark_are_refused(spark, tmp_path):
    path = models.save_python(tmp_path / "m", models.Counting("/dev/null"), {"x": "double"}, {"y": "double"})
    twins = spark.range(1).select(F.lit(1.0).alias("x"), F.lit(2.0).alias("X"))
    with pytest.raises(ContractError, match="x: expected one column of that name, got x, X"):
        sparksig.score(twins, path, allow_pickle=True)


def test_empty_tables_and_empty_partitions(frame_of, spark, breast_cancer):
    path, trust, model, frame = breast_cancer
    df = frame_of(pa.Table.from_pandas(frame.head(3)))
    assert rows(sparksig.score(df.filter("false"), path, **trust)) == []
    spread = sparksig.score(df.repartition(8), path, keep=[], **trust)
    assert sorted(rows(spread)) == sorted(model.predict(frame.head(3)).tolist())


def test_a_worker_loads_a_model_once_for_all_partitions_and_call_sites(spark, tmp_path):
    log = tmp_path / "loads"
    path = models.save_python(tmp_path / "m", models.Counting(str(log)), {"x": "double"}, {"y": "double"})
    df = spark.range(0, 200, 1, 20).select(F.col("id").cast("double").alias("x"))
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    scored = df.select(udf().alias("p"), udf("x").alias("q"))
    assert sorted(rows(scored, "p")) == [2.0 * i for i in range(200)]
    assert scored.filter("p != q").count() == 0
    loads = log.read_text().split()
    # tasks take turns among all idle workers of earlier tests: each worker loads the model once
    assert 1 <= len(loads) == len(set(loads))


def test_a_model_changed_after_the_check_is_not_loaded(frame_of, spark, tmp_path):
    path = models.save_python(
        tmp_path / "m", models.Counting(str(tmp_path / "l")), {"x": "double"}, {"y": "double"}
    )
    scored = sparksig.score(frame_of(pa.Table.from_pandas(models.numbers())), path, allow_pickle=True)
    with open(f"{path}/python_model.pkl", "ab") as file:
        file.write(b" ")
    with pytest.raises(PySparkException, match="the content differs from the pinned digest"):
        scored.collect()
    assert not (tmp_path / "l").exists()


def test_params_are_handed_on(frame_of, spark, tmp_path):
    declared = sparksig.ParamSchema([sparksig.ParamSpec("factor", "double", 3.0)])
    model = models.Returning(lambda data, params: data["x"] * params["factor"])
    path = models.save_python(tmp_path / "m", model, {"x": "double"}, {"y": "double"}, declared)
    df = frame_of(pa.table({"x": [2.0]}))
    assert rows(sparksig.score(df, path, allow_pickle=True)) == [6.0]
    assert rows(sparksig.score(df, path, params={"factor": 5}, allow_pickle=True)) == [10.0]
    with pytest.raises(ContractError, match="invalid params: 1 finding\n  - factor: expected double"):
        sparksig.score(df, path, params={"factor": "5"}, allow_pickle=True)


@pytest.mark.parametrize(("function", "text"), [
    (lambda data, params: data["x"].to_numpy()[:-1], "expected one prediction for each of 10 rows, got 9"),
    (lambda data, params: 7, "expected one prediction for each of 10 rows, got 1"),
    (lambda data, params: data["x"].astype(str), "y: expected double, got"),
    (lambda data, params: data["x"].astype("int64"), "y: expected double, got int64"),
    (lambda data, params: data.assign(y=1.0), "x: expected only declared columns, got an undeclared column"),
], ids=["too few", "scalar", "text", "int64", "extra column"])  # fmt: skip
def test_a_prediction_that_breaks_the_output_schema_fails(frame_of, spark, tmp_path, function, text):
    path = models.save_python(tmp_path / "m", models.Returning(function), {"x": "double"}, {"y": "double"})
    df = frame_of(pa.Table.from_pandas(models.numbers())).coalesce(1)
    with pytest.raises(PySparkException, match=f"PredictionError: (.|\n)*{text}"):
        sparksig.score(df, path, allow_pickle=True).collect()


def test_a_narrower_prediction_is_widened(frame_of, spark, tmp_path):
    model = models.Returning(lambda data, params: data["x"].astype("float32"))
    path = models.save_python(tmp_path / "m", model, {"x": "double"}, {"y": "double"})
    df = frame_of(pa.Table.from_pandas(models.numbers(3))).coalesce(1)
    scored = sparksig.score(df, path, allow_pickle=True)
    assert scored.schema["prediction"].dataType.simpleString() == "double"
    assert rows(scored) == [0.0, 1.0, 2.0]


def test_what_an_error_of_the_model_itself_looks_like(frame_of, spark, tmp_path):
    def failing(data, params):
        raise ZeroDivisionError("the model's own")

    path = models.save_python(tmp_path / "m", models.Returning(failing), {"x": "double"}, {"y": "double"})
    with pytest.raises(PySparkException, match="ZeroDivisionError: the model's own"):
        sparksig.score(frame_of(pa.table({"x": [1.0]})), path, allow_pickle=True).collect()


@pytest.mark.parametrize(("arguments", "text"), [
    ({"keep": ["nope"]}, r"nope: expected a column to keep, got no such column"),
    ({"keep": "id"}, r'keep: expected a list of names, or "\*", got a single string \(keep=\[\'id\'\]\)'),
    ({"column": "X"}, r"X: expected no kept column of the output's name, got one"),
], ids=["no such column", "a string", "the output's name"])  # fmt: skip
def test_kept_columns_and_the_output_are_checked(frame_of, spark, tmp_path, arguments, text):
    path = models.save_python(tmp_path / "m", models.Counting("/dev/null"), {"x": "double"}, {"y": "double"})
    df = frame_of(pa.Table.from_pandas(models.numbers()))
    with pytest.raises(ContractError, match=text):
        sparksig.score(df, path, allow_pickle=True, **arguments)


def test_findings_of_table_and_names_come_together(spark, tmp_path):
    path = models.save_python(tmp_path / "m", models.Counting("/dev/null"), {"x": "double"}, {"y": "double"})
    df = spark.range(1)
    with pytest.raises(ContractError, match="the table cannot be scored: 2 findings") as error:
        sparksig.score(df, path, keep=["nope"], allow_pickle=True)
    assert [f.path for f in error.value.findings] == ["x", "nope"]


def test_decimals_reach_a_double_exactly(frame_of, spark, echo):
    values = [Decimal("0.1"), Decimal("-99999999999.99"), Decimal("1234567.89"), None]
    table = pa.table({"d": pa.array(values, pa.decimal128(13, 2))})
    scored = sparksig.score(frame_of(table).coalesce(1), echo, allow_pickle=True)
    assert [row["d"] for row in rows(scored)][:3] == [0.1, -99999999999.99, 1234567.89]
