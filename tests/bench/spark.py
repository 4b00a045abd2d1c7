"""Scoring on Spark: local[2], a noop sink; against MLflow, a pandas_udf written by hand, and the limit
inside Spark.

The limit is an arrow_udf that checks nothing: the columns as one array, the model's predict, the result as
it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import Array, ColSpec, ModelSignature, Object, Property, Schema, TensorSpec
from tests.bench.harness import Case, Result

cloudpickle.register_pickle_by_value(sys.modules[__name__])

DOUBLE = Schema([ColSpec("double")])
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1,))])


class Embedding(sparksig.PythonModel):
    """A linear model of a column of lists."""

    def predict(self, model_input):
        return np.stack(model_input["v"].to_numpy()).sum(axis=1)


class Mixed(sparksig.PythonModel):
    """A little arithmetic on columns of several types."""

    def predict(self, model_input):
        return model_input["x"].to_numpy() * 2 + model_input["i"].to_numpy()


class Nested(sparksig.PythonModel):
    """A field of an object."""

    def predict(self, model_input):
        return np.array([order["price"] for order in model_input["o"]])


class Large(sparksig.PythonModel):
    """A model of 50 MB."""

    def __init__(self, size):
        self.weights = np.random.default_rng(0).random(size // 8)

    def predict(self, model_input):
        return model_input["x"].to_numpy() * self.weights[0]


def session() -> SparkSession:
    """Two cores, and nothing that shows progress."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "OFF",
        "spark.driver.memory": "4g",
        "spark.executorEnv.PYTHONWARNINGS": "ignore",
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def cases(scale: float = 1.0) -> list[Case]:
    """The comparisons, from a table of doubles to a model of 50 MB in 200 partitions."""
    warnings.simplefilter("ignore")
    spark, home = session(), Path(tempfile.mkdtemp(prefix="bench-spark-"))
    wide = _doubles(spark, home, int(4_000_000 * scale), 10)
    wider = _doubles(spark, home, int(500_000 * scale), 100)
    vectors = _kept(spark, home, wide.limit(int(200_000 * scale)).select(_array(128).alias("v")), "vectors")
    mixed = _kept(spark, home, _mixed(spark, int(1_000_000 * scale)), "mixed")
    orders = _kept(spark, home, _orders(spark, int(50_000 * scale)), "orders")
    ten, hundred, lists = _linear(10), _linear(100), _linear(128)
    embedding = ModelSignature(Schema([ColSpec(Array("double"), "v")]), DOUBLE)
    tensor = ModelSignature(Schema([TensorSpec(np.dtype("float64"), (-1, 128), "v")]), TENSOR)
    return [
        _case("10 doubles -> double", wide, ten, _columns(10, DOUBLE), home / "a", spark),
        _case("100 doubles -> double", wider, hundred, _columns(100, DOUBLE), home / "b", spark),
        _case(
            "10 doubles -> tensor (-1,)", wide, ten, _columns(10, TENSOR), home / "c", spark, by_hand=False
        ),
        _case("128 doubles in a list", vectors, Embedding(), embedding, home / "d", spark, by_hand=False),
        _case("the same as a tensor", vectors, _Named(lists), tensor, home / "e", spark, by_hand=False),
        _case("strings, ints, bool, timestamp", mixed, Mixed(), MIXED, home / "f", spark, by_hand=False),
        _case("nested object", orders, Nested(), ORDERS, home / "g", spark, by_hand=False, theirs=False),
        _parts(spark, home, scale),
    ]


class _Named(sparksig.PythonModel):
    """A linear model of a named tensor."""

    def __init__(self, model):
        self.model = model

    def predict(self, model_input):
        return self.model.predict(model_input["v"])


MIXED = ModelSignature(
    Schema(
        [
            ColSpec("double", "x"),
            ColSpec("long", "i"),
            ColSpec("boolean", "b"),
            ColSpec("string", "s"),
            ColSpec("datetime", "t"),
        ]
    ),
    DOUBLE,
)
ORDERS = ModelSignature(
    Schema([ColSpec(Object([Property("price", "double"), Property("note", "string")]), "o")]), DOUBLE
)


def _columns(count, outputs):
    return ModelSignature(Schema([ColSpec("double", f"c{index}") for index in range(count)]), outputs)


def _linear(count):
    random = np.random.default_rng(0)
    data = random.random((200, count))
    return LinearRegression().fit(data, data.sum(axis=1))


def _kept(spark, home, frame, name):
    """The table in a file, so that what makes it is not measured."""
    frame.write.parquet(str(home / f"{name}.parquet"))
    return spark.read.parquet(str(home / f"{name}.parquet"))


def _doubles(spark, home, rows, count):
    columns = [(F.rand(index)).alias(f"c{index}") for index in range(count)]
    return _kept(spark, home, spark.range(0, max(rows, 10), 1, 4).select(*columns), f"doubles{count}")


def _array(count):
    return F.array(*(F.rand(index) for index in range(count)))


def _mixed(spark, rows):
    return spark.range(0, max(rows, 10), 1, 4).select(
        F.rand(0).alias("x"),
        F.col("id").alias("i"),
        (F.col("id") % 2 == 0).alias("b"),
        F.concat(F.lit("text "), F.col("id").cast("string")).alias("s"),
        F.timestamp_seconds(F.col("id")).alias("t"),
    )


def _orders(spark, rows):
    order = F.struct(F.rand(0).alias("price"), F.lit("a note").alias("note"))
    return spark.range(0, max(rows, 10), 1, 4).select(order.alias("o"))


def _case(name, frame, model, signature, path, spark, by_hand=True, theirs=True):
    sparksig.save_model(path, model, signature)
    names = [str(spec.name) for spec in signature.inputs]
    contenders = {"sparksig": _run(sparksig.score(frame, path, keep=[], allow_pickle=True))}
    if theirs:
        udf = mlflow.pyfunc.spark_udf(spark, str(path), env_manager="local")
        contenders["MLflow"] = _run(frame.select(udf(*names)))
    if by_hand:
        contenders["pandas_udf by hand"] = _run(frame.select(_pandas(model, names)(*names)))
    if hasattr(F, "arrow_udf"):
        contenders["the limit"] = _run(frame.select(_limit(model, signature)(*names)))
    return Case(name, contenders)


def _run(frame):
    return lambda: frame.write.format("noop").mode("overwrite").save()


def _pandas(model, names):
    def predict(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        for columns in batches:
            yield pd.Series(model.predict(pd.concat(columns, axis=1).set_axis(names, axis=1).to_numpy()))

    return F.pandas_udf(predict, "double")


def _limit(model, signature):
    """The same predict, fed as quickly as may be, with nothing checked."""
    first = signature.inputs.inputs[0]
    names = [str(spec.name) for spec in signature.inputs]
    is_table = len(names) > 2 and not isinstance(model, sparksig.PythonModel)

    def fed(arrays):
        if is_table:
            block = np.empty((len(arrays[0]), len(arrays)), order="F")
            for index, array in enumerate(arrays):
                block[:, index] = array.to_numpy()
            return block
        if isinstance(first, TensorSpec):
            return {first.name: arrays[0].values.to_numpy().reshape(len(arrays[0]), -1)}
        if isinstance(model, Embedding):
            lists = arrays[0].values.to_numpy().reshape(len(arrays[0]), -1)
            return pd.DataFrame({"v": pd.Series(list(lists), dtype=object)})
        return pd.DataFrame({name: array.to_pandas() for name, array in zip(names, arrays)})

    def predict(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        for given in batches:
            arrays = list(given) if isinstance(given, tuple) else [given]
            yield pa.array(model.predict(fed(arrays)), pa.float64())

    return F.arrow_udf(predict, "double")


def _parts(spark, home, scale):
    """A large model, and many tasks: what counts is how often it is loaded."""
    parts = max(int(200 * scale), 2)
    model = Large(max(int(50_000_000 * scale), 8))
    signature = ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE)
    sparksig.save_model(home / "large", model, signature)
    frame = spark.range(0, parts * 10, 1, parts).select(F.col("id").cast("double").alias("x"))
    udf = mlflow.pyfunc.spark_udf(spark, str(home / "large"), env_manager="local")
    return Case(
        f"{parts} partitions, a model of {len(model.weights) * 8 // 10**6} MB",
        {
            "sparksig": _run(sparksig.score(frame, home / "large", keep=[], allow_pickle=True)),
            "MLflow": _run(frame.select(udf("x"))),
        },
    )


# --- a new application --------------------------------------------------------------------------------------

COLD = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {root!r})
from tests.bench.spark import session
spark = session()
frame = spark.range(1).selectExpr("cast(id as double) as x")
frame.collect()
if {ours}:
    import sparksig
    started = time.perf_counter()
    frame.select(sparksig.spark_udf(spark, {path!r})("x")).collect()
else:
    import mlflow.pyfunc
    started = time.perf_counter()
    frame.select(mlflow.pyfunc.spark_udf(spark, {path!r}, env_manager="local")("x")).collect()
print(json.dumps(time.perf_counter() - started))
"""


def cold(rounds: int = 3) -> Result:
    """Seconds to the first prediction of one row in a new application, the best of some."""
    home = Path(tempfile.mkdtemp(prefix="bench-cold-"))
    data = pd.DataFrame({"x": [1.0, 2.0]})
    signature = ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE)
    sparksig.save_model(home / "m", LinearRegression().fit(data, data["x"]), signature)
    best: dict[str, float] = {}
    root = str(Path(__file__).parents[2])
    for _ in range(rounds):
        for name in ("sparksig", "MLflow"):
            code = COLD.format(root=root, ours=name == "sparksig", path=str(home / "m"))
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            best[name] = min(best.get(name, np.inf), float(done.stdout.strip().splitlines()[-1]))
    return Result(Case("the first row of a new application", {}), best)


def more() -> list[Result]:
    """What needs an application of its own."""
    return [cold()]
