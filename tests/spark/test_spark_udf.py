"""spark_udf: the forms of a call, its errors, and models that MLflow wrote; real Spark, real MLflow."""

from __future__ import annotations

import re

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

import sparksig
from sparksig import (
    Code,
    ContractError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    ModelNotTrustedError,
    SparksigError,
    UnsupportedError,
)
from tests.spark import models

pytestmark = [
    # MLflow's and scikit-learn's own, while a model is saved
    pytest.mark.filterwarnings("ignore:.*Add type hints to the:UserWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def difference(tmp_path_factory):
    """a - b, and an optional c that is added where it is there."""
    path = tmp_path_factory.mktemp("models") / "difference"
    model = models.Returning(lambda data, params: data["a"] - data["b"] + data.get("c", 0.0))
    return models.save_python(path, model, {"a": "double", "b": "double", "c": "double?"}, {"y": "double"})


@pytest.fixture
def table(frame_of, spark):
    return frame_of(pa.table({"a": [5.0], "b": [3.0], "c": [0.5], "n": pa.array([7], pa.int64())}))


def value(df, column):
    return df.select(column.alias("y")).collect()[0].y


def test_by_position_by_name_and_as_columns(difference, spark, table):
    udf = sparksig.spark_udf(spark, difference, allow_pickle=True)
    assert value(table, udf("a", "b", "c")) == 2.5
    assert value(table, udf("b", "a", "c")) == -1.5
    assert value(table, udf(F.col("a") * 2, F.lit(1), F.lit(None))) != value(table, udf("a", "b", "c"))
    assert value(table, udf(b="b", a=F.col("a"))) == 2.0
    assert value(table, udf(c="c", b="b", a="a")) == 2.5
    assert repr(udf) == "ModelUDF(a, b, c) -> double"


def test_without_arguments_the_columns_are_the_signatures(spark, tmp_path, table):
    model = models.Returning(lambda data, params: data["a"] - data["b"])
    path = models.save_python(tmp_path / "m", model, {"a": "double", "b": "double"}, {"y": "double"})
    assert value(table, sparksig.spark_udf(spark, path, allow_pickle=True)()) == 2.0
    assert value(table, sparksig.spark_udf(path, allow_pickle=True)()) == 2.0  # the active session


UNKNOWN = [(Code.UNKNOWN_KEY, "B", "another"), (Code.MISSING_COLUMN, "b", "no such argument")]


@pytest.mark.parametrize(("columns", "named", "findings"), [
    (("a", "b"), {}, [(Code.COLUMN_COUNT, "", "2 columns")]),
    (("a", "b", "c", "n"), {}, [(Code.COLUMN_COUNT, "", "4 columns")]),
    ((), {"a": "a", "B": "b"}, UNKNOWN),
], ids=["too few", "too many", "unknown"])  # fmt: skip
def test_a_call_that_does_not_fit_fails_at_once(spark, difference, columns, named, findings):
    udf = sparksig.spark_udf(spark, difference, allow_pickle=True)
    with pytest.raises(ContractError, match="the call does not fit the model's input schema") as error:
        udf(*columns, **named)
    assert [(f.code, f.path, f.actual) for f in error.value.findings] == findings


def test_mixed_forms_and_optional_columns_are_refused_with_the_way_out(spark, difference):
    udf = sparksig.spark_udf(spark, difference, allow_pickle=True)
    with pytest.raises(ContractError, match="either by position or by name, not both"):
        udf("a", b="b")
    with pytest.raises(
        ContractError, match=r"optional columns \(c\) is not known here: pass the columns by name"
    ):
        udf()


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_types_are_checked_without_a_table_and_nothing_is_cast_silently(difference, spark, table, ansi):
    udf = sparksig.spark_udf(spark, difference, allow_pickle=True)
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        with pytest.raises(Exception, match="fit the") as error:
            table.select(udf("n", F.lit("abc"), "c")).collect()
    finally:
        spark.conf.unset("spark.sql.ansi.enabled")
    assert re.search(r"- a: expected double, got (bigint|int64)", str(error.value))
    assert re.search(r"- b: expected double, got string", str(error.value))
    assert value(table, udf(F.col("n").cast("int"), F.lit(3), F.lit(1).cast("decimal(3,1)"))) == 5.0


def test_names_that_spark_takes_for_one_are_refused(spark, tmp_path, table):
    model = models.Returning(lambda data, params: data["a"] - data["A"])
    path = models.save_python(tmp_path / "m", model, {"a": "double", "A": "double"}, {"y": "double"})
    udf = sparksig.spark_udf(spark, path, allow_pickle=True)
    with pytest.raises(ContractError, match="Spark does not distinguish these names: a, A"):
        udf()
    assert value(table, udf("a", "b")) == 2.0


def test_times_are_placed_in_the_zone_of_the_query(spark, tmp_path):
    """... not of the moment when the function was made; inside arrays as well."""
    columns = sparksig.Schema([sparksig.ColSpec("datetime", "t")])
    pair = sparksig.Schema([sparksig.TensorSpec(np.dtype("datetime64[ns]"), (-1, 2))])
    twice = models.Returning(lambda data, params: np.column_stack([data["t"], data["t"]]))
    sparksig.save_model(tmp_path / "m", twice, sparksig.ModelSignature(columns, pair))
    path = models.save_python(
        tmp_path / "one", models.Returning(lambda d, p: d["t"]), {"t": "datetime"}, {"t": "datetime"}
    )
    predict = sparksig.spark_udf(spark, path, allow_pickle=True)
    pairs = None
    if spark.version >= "4.1":
        pairs = sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
    else:
        with pytest.raises(UnsupportedError, match=r"that are arrays of times need Spark 4\.1"):
            sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
    before = spark.conf.get("spark.sql.session.timeZone")
    try:
        for zone in ("Asia/Tokyo", "UTC", "America/New_York"):
            spark.conf.set("spark.sql.session.timeZone", zone)
            df = spark.sql("select timestamp'2050-06-15T12:00:00Z' as t")
            assert df.select("t", predict().alias("p")).filter("p = t").count() == 1, zone
            if pairs is not None:
                for scored in (df.select("t", pairs().alias("p")), sparksig.score(df, pairs, column="p")):
                    assert scored.filter("p[0] = t and p[1] = t").count() == 1, zone
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def test_params_are_new_for_every_batch(spark, tmp_path):
    def grows(data, params):
        params["l"].append(9)
        return pd.Series([float(len(params["l"]))] * len(data))

    declared = sparksig.ParamSchema([sparksig.ParamSpec("l", "long", [1], (-1,))])
    path = models.save_python(
        tmp_path / "m", models.Returning(grows), {"x": "double"}, {"y": "double"}, declared
    )
    df = spark.range(0, 30, 1, 6).select(F.col("id").cast("double").alias("x"))
    scored = sparksig.score(df, path, keep=[], allow_pickle=True)
    assert {row.prediction for row in scored.collect()} == {2.0}


def test_arguments_of_the_wrong_kind(spark, difference, tmp_path):
    with pytest.raises(SparksigError, match="spark_udf takes a Spark session first, not a value of type str"):
        sparksig.spark_udf("x", difference)
    with pytest.raises(
        ModelError,
        match=r"trusted_types: expected a list of names, got one value\. Pass trusted_types=\['abc'\]",
    ):
        sparksig.spark_udf(spark, difference, trusted_types="abc")
    with pytest.raises(ContractError, match="expected a Spark DataFrame, got None"):
        sparksig.score(None, difference)
    with pytest.raises(ContractError, match="names of columns, as strings"):
        sparksig.score(spark.range(1), difference, keep=[1], allow_pickle=True)


def test_sessions_and_paths(spark, difference, tmp_path):
    with pytest.raises(SparksigError, match="spark_udf needs a model directory"):
        sparksig.spark_udf(spark)
    with pytest.raises(ModelNotFoundError, match="there is no model directory at"):
        sparksig.spark_udf(spark, tmp_path / "nope")
    with pytest.raises(ModelNotFoundError, match="is not a model directory: it has no file MLmodel"):
        sparksig.spark_udf(spark, tmp_path)


def test_trust_is_asked_for_before_anything_is_sent(spark, difference, jobs_started):
    with pytest.raises(ModelNotTrustedError, match="loading a pickled PythonModel can run any code"):
        sparksig.spark_udf(spark, difference)
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        sparksig.spark_udf(spark, difference, digest="0" * 64)
    udf = sparksig.spark_udf(spark, difference, allow_pickle=True)
    assert sparksig.spark_udf(spark, difference, digest=udf.digest).digest == udf.digest
    assert jobs_started() == 0


def test_a_model_without_a_signature_says_how_to_give_it_one(spark, tmp_path):
    sparksig.save_model(tmp_path / "m", models.Counting("/dev/null"))
    with pytest.raises(
        ModelError,
        match=r"the model has no signature: .* sparksig\.infer_signature\(data, prediction\)\); or save it",
    ):
        sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)


def test_a_failing_worker_names_the_finding(frame_of, spark, tmp_path):
    path = models.save_python(
        tmp_path / "m", models.Echo(), {"x": "integer"}, {"x": "integer", "seen": "string"}
    )
    df = frame_of(pa.table({"x": pa.array([None, 1], pa.int32())})).coalesce(1)
    with pytest.raises(
        PySparkException, match="x: expected integer without nulls, got nulls, once, first in row 0"
    ):
        df.select(sparksig.spark_udf(spark, path, allow_pickle=True)()).collect()


# --- directories that MLflow wrote -----------------------------------------------------------------------


def test_a_scikit_learn_model_of_mlflow_is_scored_the_same(frame_of, spark, tmp_path):
    model, frame = models.classifier()
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    trust = models.trusted(model)
    options = {"serialization_format": "skops", "skops_trusted_types": trust, "pip_requirements": []}
    mlflow.sklearn.save_model(model, tmp_path / "m", signature=signature, **options)
    expected = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(frame)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    udf = sparksig.spark_udf(spark, tmp_path / "m", trusted_types=trust)
    scored = df.select(udf().alias("y")).toPandas()
    assert scored.y.tolist() == expected.tolist() == model.predict(frame).tolist()


def test_a_python_model_of_mlflow_is_scored_the_same(frame_of, spark, tmp_path):
    class Ratio(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.scale = context.model_config["scale"]

        def predict(self, context, model_input, params=None):
            return model_input["a"] / model_input["b c"] * self.scale * params["factor"]

    frame = models.numbers(5).rename(columns={"x": "a"}).assign(**{"b c": 3.0})
    signature = mlflow.models.infer_signature(frame, np.array([1.5]), {"factor": 2.0})
    options = {"model_config": {"scale": 10}, "pip_requirements": []}
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Ratio(), signature=signature, **options)
    expected = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(frame)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    scored = sparksig.score(df, tmp_path / "m", keep=[], allow_pickle=True).toPandas()
    assert scored.prediction.to_numpy().tobytes() == np.asarray(expected).tobytes()


def test_mlflow_scores_a_directory_of_ours_on_spark_the_same(frame_of, spark, tmp_path):
    """MLflow's own spark_udf, on a model that sparksig saved."""
    model, frame = models.regression()
    models.save_sklearn(tmp_path / "m", model, frame)
    df = frame_of(pa.Table.from_pandas(frame)).coalesce(1)
    theirs = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "m"), result_type="double", env_manager="local")
    ours = sparksig.spark_udf(spark, tmp_path / "m")
    both = df.select(theirs(*frame.columns).alias("t"), ours().alias("o")).toPandas()
    assert np.array_equal(both.t.to_numpy(), both.o.to_numpy())
    assert np.allclose(both.o, model.predict(frame), rtol=1e-12)
