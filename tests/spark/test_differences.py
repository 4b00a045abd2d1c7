"""What MLflow's spark_udf makes of a model directory, and what sparksig's makes of the same one."""

from __future__ import annotations

import logging

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

import sparksig
from sparksig import Code, Map, Schema, TensorSpec
from tests.differences import differs
from tests.spark import models

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore")]  # MLflow's own, of every kind

ROW = "select 5D as a, 3D as b, 0.5D as c, 7D as n, timestamp_seconds(1604208600) as t"
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1,))])
MODELS = {
    "optional": (
        lambda data, params: data["a"] - data["b"] + data.get("c", 0.0),
        {"a": "double", "b": "double", "c": "double?"},
        {"y": "double"},
    ),
    "named": (
        lambda data, params: pd.DataFrame({"z": data["a"], "p": data["a"] + 1}),
        {"a": "double"},
        {"p": "double"},
    ),
    "converted": (
        lambda data, params: pd.DataFrame({"i": [2**40 + 5], "b": ["false"], "d": [1.9]}),
        {"a": "double"},
        {"i": "integer", "b": "boolean", "d": "long"},
    ),
    "tensor": (lambda data, params: data["a"].to_numpy(), {"a": "double"}, TENSOR),
    "time": (lambda data, params: data["t"], {"t": "datetime"}, {"y": "datetime"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The model directories, by their names; and the file that tells loads."""
    home = tmp_path_factory.mktemp("differences")
    for name, (function, inputs, outputs) in MODELS.items():
        models.save_python(home / name, models.Returning(function), inputs, outputs)
    counting = models.Counting(str(home / "loads"))
    models.save_python(home / "counting", counting, {"x": "double"}, {"y": "double"})
    return home


@pytest.fixture(scope="module")
def theirs(spark, home):
    """The results of MLflow, of one query: its import takes a worker seconds, and an error ends a worker."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    made = {
        path.name: mlflow.pyfunc.spark_udf(spark, str(path), env_manager="local")
        for path in home.iterdir()
        if path.is_dir()
    }
    instant = F.unix_timestamp(made["time"]("t"))
    df = spark.sql(ROW).coalesce(1)
    values = {
        "more": value(df, made["optional"]("a", "b", "c", "n")),
        "fewer": value(df, made["optional"]("a", "b")),
        "named": value(df, made["named"]("a")),
        "converted": value(df, made["converted"]("a")),
        "tensor": value(df, made["tensor"]("a")),
        "time": value(df, instant),
    }
    values["loads"] = loads(spark, made["counting"], home)
    text = df.select(made["optional"](F.lit("x"), "b", "c"))  # nothing is said yet
    with pytest.raises(PySparkException) as error:
        text.collect()
    return values | {"text": str(error.value)}


def value(df, column):
    return df.select(column.alias("y")).collect()[0].y


def loads(spark, made, home):
    """The processes that have loaded the model, once for each time: of four tasks."""
    spark.range(0, 4, 1, 4).select(made(F.col("id").cast("double"))).collect()
    text = (home / "loads").read_text()
    (home / "loads").unlink()
    return text.splitlines()


def ours(spark, home, name):
    return sparksig.spark_udf(spark, home / name, allow_pickle=True)


@differs(
    "Spark",
    "a table that does not fit the model",
    mlflow="fails the job at its first batch",
    sparksig="`score` tells all that does not fit, before a job starts",
)
def test_mismatches_are_reported_before_a_job_starts(spark, home, theirs, jobs_started):
    assert "Incompatible input types for column a" in theirs["text"]
    with pytest.raises(sparksig.ContractError) as error:
        sparksig.score(spark.sql("select 'x' as a, 1D as other"), home / "optional", allow_pickle=True)
    findings = [(finding.path, finding.code) for finding in error.value.findings]
    assert findings == [("a", Code.TYPE_MISMATCH), ("b", Code.MISSING_COLUMN)]
    assert jobs_started() == 0


@differs(
    "Spark",
    "a call with more or fewer columns than the model has",
    mlflow="drops what is too much, makes up NaN for what is not given",
    sparksig="an error before the query runs; by name, optional columns may be left out",
)
def test_a_call_has_as_many_columns_as_the_model(spark, home, theirs):
    assert theirs["more"] == 2.5
    assert theirs["fewer"] is None
    udf = ours(spark, home, "optional")
    for columns in (("a", "b", "c", "n"), ("a", "b")):
        with pytest.raises(sparksig.ContractError) as error:
            udf(*columns)
        assert [finding.code for finding in error.value.findings] == [Code.COLUMN_COUNT]
    assert value(spark.sql(ROW), udf(a="a", b="b")) == 2.0


@differs(
    "Spark",
    "predictions declared as a tensor of shape (-1,)",
    mlflow="an array of one element in each row",
    sparksig="a scalar in each row; (-1, k) is an array, and so on",
)
def test_a_tensor_of_one_dimension_is_scalars(spark, home, theirs):
    assert theirs["tensor"] == [5.0]
    assert value(spark.sql(ROW), ours(spark, home, "tensor")("a")) == 5.0


@differs(
    "Spark",
    "how often a local session loads a model",
    mlflow="once for each task",
    sparksig="once for each Python worker",
)
def test_how_often_a_model_is_loaded(spark, home, theirs):
    assert len(theirs["loads"]) == 4
    mine = loads(spark, ours(spark, home, "counting"), home)
    assert 0 < len(mine) == len(set(mine)) < 4


@differs(
    "Spark",
    "predictions of the columns `z` and `p` where the signature declares `p`",
    mlflow="the values of `z`, the leftmost that fits",
    sparksig="an error: outputs are enforced as inputs are",
)
def test_a_named_output_is_not_the_leftmost_column(spark, home, theirs):
    assert theirs["named"] == 5.0
    with pytest.raises(PySparkException, match="z: expected only declared columns, got an undeclared column"):
        value(spark.sql(ROW), ours(spark, home, "named")("a"))


@differs(
    "Spark",
    'predictions 2^40 + 5, `"false"`, 1.9 declared integer, boolean, long',
    mlflow="become 5, true, 1",
    sparksig="an error",
)
def test_predictions_are_not_converted(spark, home, theirs):
    assert theirs["converted"].asDict() == {"i": 5, "b": True, "d": 1}
    with pytest.raises(PySparkException, match=r"breaks the model's output schema: 3 findings") as error:
        value(spark.sql(ROW), ours(spark, home, "converted")("a"))
    for text in ("i: expected integer", "b: expected boolean", "d: expected long"):
        assert text in str(error.value)


@differs(
    "Spark",
    "a timestamp in the hour that the zone of the session has twice, handed back by a model",
    mlflow="comes back as another instant",
    sparksig="an error, not a guess",
)
def test_an_hour_that_there_is_twice(spark, home, theirs):
    """05:30 UTC is the first 01:30 of that night in New York."""
    assert theirs["time"] == 1604208600 + 3600
    with pytest.raises(PySparkException, match="exactly once"):
        value(spark.sql(ROW), ours(spark, home, "time")("t"))


@differs(
    "Inferring",
    "map columns of a Spark DataFrame",
    mlflow="an Object of all keys that a job finds, each required: rows that lack one are refused",
    sparksig="a Map, by the schema, without a job",
)
def test_maps_are_maps_and_no_job_is_started(spark, jobs_started):
    df = spark.sql("select * from values (map('a', 1L)), (map('b', 2L)) as t(m)")
    [theirs] = mlflow.models.infer_signature(df).inputs.inputs
    assert {prop.name: prop.required for prop in theirs.type.properties} == {"a": True, "b": True}
    before = jobs_started()
    [mine] = sparksig.infer_signature(df).inputs.inputs
    assert (mine.type, jobs_started()) == (Map("long"), before)
