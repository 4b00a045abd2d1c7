"""Scoring on Spark: local[2], a noop sink; against MLflow, a pandas_udf written by hand, and the limit
inside Spark.

The limit is an arrow_udf that checks nothing: the columns as what the model was fitted on, the model's
predict, the result as it is. Where what counts is the life of a worker, each contender has an application
of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import partial
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
    """The comparisons in one application, from a table of doubles to one of objects."""
    warnings.simplefilter("ignore")
    spark, home = session(), Path(tempfile.mkdtemp(prefix="bench-spark-"))
    wide = _doubles(spark, home, int(4_000_000 * scale), 10)
    wider = _doubles(spark, home, int(500_000 * scale), 100)
    vectors = _kept(spark, home, wide.limit(int(200_000 * scale)).select(_array(128).alias("v")), "vectors")
    mixed = _kept(spark, home, _mixed(spark, int(1_000_000 * scale)), "mixed")
    orders = _kept(spark, home, _orders(spark, int(50_000 * scale)), "orders")
    lists = _linear(128)
    make = partial(_case, home, spark)
    embedding = ModelSignature(Schema([ColSpec(Array("double"), "v")]), DOUBLE)
    tensor = ModelSignature(Schema([TensorSpec(np.dtype("float64"), (-1, 128), "v")]), TENSOR)
    return [
        make("10 doubles -> double", wide, _linear(10, named=True), _columns(10, DOUBLE), (1.5, 1.1, 0.9)),
        make(
            "100 doubles -> double", wider, _linear(100, named=True), _columns(100, DOUBLE), (1.5, 1.1, 0.9)
        ),
        make("10 doubles -> tensor (-1,)", wide, _linear(10), _columns(10, TENSOR), (4, None, 0.9)),
        make("128 doubles in a list", vectors, Embedding(), embedding, (3, None, 0.8)),
        make("the same as a tensor", vectors, _Named(lists), tensor, (1.3, None, 0.8)),
        make("strings, ints, bool, timestamp", mixed, Mixed(), MIXED, (1.1, None, 0.8)),
        make("nested object", orders, Nested(), ORDERS, (None, None, 0.5)),
        _check(wide),
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


def _linear(count, named=False):
    random = np.random.default_rng(0)
    data = random.random((200, count))
    fitted_on = pd.DataFrame(data, columns=[f"c{index}" for index in range(count)]) if named else data
    return LinearRegression().fit(fitted_on, data.sum(axis=1))


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


def _case(home, spark, name, frame, model, signature, targets):
    path = home / name.replace(" ", "-").replace(">", "").replace(",", "")
    sparksig.save_model(path, model, signature)
    theirs, by_hand, _ = (target is not None for target in targets)
    names = [str(spec.name) for spec in signature.inputs]

    def mlflows():
        return mlflow.pyfunc.spark_udf(spark, str(path), env_manager="local")(*names)

    def sparksigs():
        udf = sparksig.spark_udf(spark, path, allow_pickle=True)
        return udf.predict_column(udf.bind(frame.schema))

    ways = {"sparksig": sparksigs}
    if theirs:
        ways["MLflow"] = mlflows
    if by_hand:
        ways["pandas_udf by hand"] = lambda: _pandas(model, names)(*names)
    if hasattr(F, "arrow_udf"):
        ways["the limit"] = lambda: _limit(model, signature)(*names)
    contenders = {}
    for way, make in ways.items():
        # workers of another environment are other workers: what one contender does to them is its own
        spark.sparkContext.environment["CONTENDER"] = way
        contenders[way] = _run(frame.select(make()))
    goals = dict(zip(("MLflow", "pandas_udf by hand", "the limit"), targets))
    return Case(name, contenders, {name: goal for name, goal in goals.items() if goal is not None})


def _check(frame):
    """All rules of all rows, against what it takes to read them."""
    contract = Schema([ColSpec("double", name) for name in frame.columns])
    contenders = {
        "sparksig": lambda: sparksig.check(frame, contract, mode="full", refuse_nan=True),
        "the plain scan": _run(frame),
    }
    return Case("a full check of 10 doubles: nulls, NaN", contenders, {"the plain scan": 0.5})


def _run(frame):
    return lambda: frame.write.format("noop").mode("overwrite").save()


def _pandas(model, names):
    def predict(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        for columns in batches:
            yield pd.Series(model.predict(pd.concat(columns, axis=1).set_axis(names, axis=1)))

    return F.pandas_udf(predict, "double")


def _limit(model, signature):
    """The same predict, fed as quickly as may be, with nothing checked."""
    first = signature.inputs.inputs[0]
    names = [str(spec.name) for spec in signature.inputs]
    is_named = hasattr(model, "feature_names_in_")
    is_table = len(names) > 2 and not isinstance(model, sparksig.PythonModel)

    def fed(arrays):
        if is_table:
            block = np.empty((len(arrays[0]), len(arrays)), order="F")
            for index, array in enumerate(arrays):
                block[:, index] = array.to_numpy()
            return pd.DataFrame(block, columns=names, copy=False) if is_named else block
        if isinstance(first, TensorSpec):
            return {first.name: arrays[0].values.to_numpy().reshape(len(arrays[0]), -1)}
        if isinstance(model, Embedding):
            lists = arrays[0].values.to_numpy().reshape(len(arrays[0]), -1)
            return pd.DataFrame({"v": pd.Series(list(lists), dtype=object)})
        return pd.DataFrame({name: array.to_pandas() for name, array in zip(names, arrays)})

    def predict(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        for data in batches:
            arrays = list(data) if isinstance(data, tuple) else [data]
            yield pa.array(model.predict(fed(arrays)), pa.float64())

    return F.arrow_udf(predict, "double")


# --- benches in separate applications -------------------------------------------------------------------

APPLICATION = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {root!r})
from pyspark.sql import Observation, functions as F
from tests.bench.spark import session
spark = session()
frame = spark.range(0, {rows}, 1, {parts}).select(F.col("id").cast("double").alias("x"))
frame.collect()
loads = Observation()
if {ours}:
    import sparksig
    def scored():
        if {parts} == 1:
            return frame.select(sparksig.spark_udf(spark, {path!r}, allow_pickle=True)("x"))
        return sparksig.score(frame, {path!r}, keep=[], allow_pickle=True, observation=loads)
else:
    import mlflow.pyfunc
    def scored():
        return frame.select(mlflow.pyfunc.spark_udf(spark, {path!r}, env_manager="local")("x"))

def in_workers(plan):
    "Milliseconds that Python took in the workers, as Spark has counted them."
    metrics, got = plan.metrics(), 0
    for name in ("pythonProcessingTime",):
        found += metrics.apply(name).value() if metrics.contains(name) else 0
    children = plan.children()
    return found + sum(in_workers(children.apply(index)) for index in range(children.size()))

started = time.perf_counter()
frame = scored()
frame.collect()
whole = time.perf_counter() - started
told = dict(loads.get) if {ours} and {parts} > 1 else dict()
try:
    counted = in_workers(frame._jdf.queryExecution().executedPlan()) / 1000
except Exception:
    counted = 0
print(json.dumps(dict(seconds=whole, workers=counted, loads=told.get("model_loads"))))
"""


def _application(path: Path, ours: bool, rows: int, parts: int) -> dict[str, float]:
    root = str(Path(__file__).parents[2])
    code = APPLICATION.format(root=root, ours=ours, path=str(path), rows=rows, parts=parts)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds


def _best(path: Path, rounds: int, rows: int, parts: int, figure: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name in ("sparksig", "MLflow"):
            seconds = _application(path, name == "sparksig", rows, parts)
            if seconds["loads"] is not None and seconds["loads"] > CORES:
                raise AssertionError(f"{seconds['loads']} loads in {CORES} workers")
            best[name] = min(best.get(name, np.inf), seconds[figure])
    return best


CORES = 2


def cold(rounds: int = 3) -> list[Result]:
    """Seconds to the first prediction of one row in a new application, the best of some."""
    home = Path(tempfile.mkdtemp(prefix="bench-cold-"))
    data = pd.DataFrame({"x": [1.0, 2.0]})
    signature = ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE)
    sparksig.save_model(home / "m", LinearRegression().fit(data, data["x"]), signature)
    sparksig.save_model(home / "f", Large(8), signature)
    figures = [
        ("the first row of a new application, scikit-learn", "m", "seconds"),
        ("the same, in the worker", "m", "workers"),
        ("the first row of a new application, a PythonModel", "f", "seconds"),
        ("the same, in the worker", "f", "workers"),
    ]
    results = [
        Result(
            Case(name, {}, 2.0 if figure == "workers" else None),
            _best(home / model, rounds, 1, 1, figure),
        )
        for name, model, figure in figures
    ]
    return [
        result for result in results if all(result.seconds.values())
    ]  # Spark 3.5 counts no seconds in workers


def many_parts(scale: float = 1.0, rounds: int = 2) -> Result:
    """A large model, and many tasks: what counts is how often it is loaded."""
    home = Path(tempfile.mkdtemp(prefix="bench-parts-"))
    parts = max(int(200 * scale), 2)
    model = Large(max(int(50_000_000 * scale), 8))
    sparksig.save_model(home / "m", model, ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE))
    name = f"{parts} partitions, a model of {len(model.weights) * 8 // 10**6} MB"
    return Result(Case(name, {}, 2.0), _best(home / "m", rounds, parts * 10, parts, "seconds"))


def more(scale: float = 1.0, rounds: int = 3) -> list[Result]:
    """What needs applications of its own."""
    return [many_parts(scale, rounds), *cold(rounds)]
