"""Scoring Parquet to Parquet: each engine in a process of its own, cold and warm, with its peak memory.

"cold" is the first run from the start of the process: imports, Spark, loading the model. "warm" is the best
of three more runs. "CPU" is the least that a warm run takes of the process and its children. Where other
programs compute at the same time, it says more than the seconds. "loop" reads batches with pyarrow, predicts
and writes them in as many processes, which have loaded the model before; it checks nothing. The ratios are
those of warm runs, by seconds and by CPU seconds.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import sparksig
from sparksig import ColSpec, ModelSignature, Schema, TensorSpec

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PROCESSES = 2
ROUNDS = 3
WORKLOADS = {
    "linear": "linear model, 16 M rows of 10 doubles",
    "boosting": "gradient boosting, 2 M rows of 30 doubles",
    "mixed": "pipeline, 4 M rows of strings, integers, timestamps",
    "embeddings": "linear model, 400,000 embeddings of 128 doubles",
    "files": "linear model, 200 files of 50,000 rows of 10 doubles",
}
_TARGETS = {
    "linear": {"mlflow": 25, "pandas_udf": 10, "spark": 7, "loop": 0.8},
    "boosting": {"mlflow": 4, "pandas_udf": 2.3, "spark": 2, "loop": 0.9},
    "mixed": {"mlflow": 2.5, "pandas_udf": 1.8, "spark": 1.7, "loop": 0.85},
    "embeddings": {"mlflow": 8, "spark": 3, "loop": 0.8},
    "files": {"mlflow": 15, "pandas_udf": 8, "spark": 6, "loop": 0.6},
}
"""How many times faster than each other engine the engine direct is meant to be."""


def report(scale: float = 0.01, only: Sequence[str] = ()) -> Iterator[str]:
    """Measure engines on workloads, and yield the lines of a table, each when it is measured.

    Args:
        scale: the share of the rows.
        only: names of WORKLOADS and of ENGINES; all workloads, or all engines, without one of them.
    """
    refuse_unknown_names(only, [*WORKLOADS, *ENGINES])
    yield f"{scale:g} of the rows, {PROCESSES} processes"
    yield ""
    yield "| workload | engine | warm s | CPU s | cold s | peak MB | direct is faster by | by CPU | target |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for workload in [name for name in WORKLOADS if name in only] or WORKLOADS:
        home = Path(tempfile.mkdtemp(prefix="sparksig-bench-"))
        try:
            make_workload(home, workload, scale)
            yield from _measure_engines(home, workload, [name for name in ENGINES if name in only] or ENGINES)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def refuse_unknown_names(names: Sequence[str], choices: Sequence[str]) -> None:
    """End the program if a name is none of the choices."""
    if unknown := sorted(set(names).difference(choices)):
        raise SystemExit(f"unknown: {', '.join(unknown)}. Choose from {', '.join(choices)}")


def _measure_engines(home: Path, workload: str, engines: Iterable[str]) -> Iterator[str]:
    reference: Mapping[str, float] | None = None
    for engine in engines:
        result = measure(home, engine)
        if engine == "direct":
            reference = result
        ratios = ["", ""]
        if reference is not None and engine != "direct":
            ratios = [f"{result[key] / max(reference[key], 0.01):.2f}x" for key in ("warm", "cpu")]
        goal = _TARGETS[workload].get(engine)
        seconds = [f"{result[key]:.2f}" for key in ("warm", "cpu", "cold")]
        cells = [WORKLOADS[workload], engine, *seconds, f"{result['peak']:,.0f}", *ratios]
        yield f"| {' | '.join(cells)} | {'' if goal is None else f'{goal:g}x'} |"


# --- tables and models ------------------------------------------------------------------------------------


def make_workload(home: Path, name: str, scale: float) -> None:
    """Write the table and the model of a workload."""
    rows, files = {
        "linear": (16_000_000, 16),
        "boosting": (2_000_000, 8),
        "mixed": (4_000_000, 8),
        "embeddings": (400_000, 8),
        "files": (10_000_000, 200),
    }[name]
    count = max(int(rows * scale / files), 1)
    generator = np.random.default_rng(0)
    sample = _make_rows(name, generator, 500)
    model, signature = _fit(name, sample)
    sparksig.save_model(home / "model", model, signature)
    (home / "estimator").write_bytes(cloudpickle.dumps(model))
    (home / "table").mkdir()
    (home / "outputs").mkdir()
    for index in range(files):
        table = _make_rows(name, generator, count)
        pq.write_table(table, home / "table" / f"part-{index:03d}.parquet", use_dictionary=name == "mixed")


def _make_rows(name: str, generator: np.random.Generator, rows: int) -> pa.Table:
    if name == "embeddings":
        values = pa.array(generator.random(rows * 128))
        vectors = pa.FixedSizeListArray.from_arrays(values, 128).cast(pa.list_(pa.float64()))
        return pa.table({"id": np.arange(rows), "v": vectors})
    if name == "mixed":
        cities = pa.array([f"city {number}" for number in range(50)])
        seconds = generator.integers(0, 10**9, rows) * 10**6
        columns = {
            "id": np.arange(rows),
            "city": cities.take(pa.array(generator.integers(0, 50, rows))),
            "rooms": generator.integers(1, 9, rows),
            "area": generator.random(rows) * 200,
            "sold": pa.array(seconds, pa.timestamp("us")),
        }
        return pa.table(columns)
    width = 30 if name == "boosting" else 10
    return pa.table(
        {"id": np.arange(rows), **{f"x{index}": generator.random(rows) for index in range(width)}}
    )


class Embedding(sparksig.PythonModel):
    """A linear model of a named tensor."""

    def __init__(self, estimator):
        self.estimator = estimator

    def predict(self, model_input):
        return self.estimator.predict(model_input["v"])


def _fit(name: str, sample: pa.Table) -> tuple[Any, Any]:
    """Fit a model to a sample; return it with its signature."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = sample.drop_columns(["id"]).to_pandas()
    double = Schema([ColSpec("double")])
    if name == "embeddings":
        vectors = np.stack(frame["v"].to_numpy())
        inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 128), "v")])
        return Embedding(LinearRegression().fit(vectors, vectors.sum(axis=1))), ModelSignature(inputs, double)
    if name == "mixed":
        parts = [
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("numbers", StandardScaler(), ["rooms", "area"]),
        ]
        model = make_pipeline(ColumnTransformer(parts), Ridge()).fit(frame, frame["area"])
    elif name == "boosting":
        model = GradientBoostingRegressor(n_estimators=100).fit(frame, frame.sum(axis=1))
    else:
        model = LinearRegression().fit(frame, frame.sum(axis=1))
    return model, ModelSignature(sparksig.infer_signature(frame).inputs, double)


# --- engines: each returns a function that scores the table of a workload into a new directory ------------

Scorer = Callable[[str], object]


def make_files_scorer(home: Path, engine: str, **options: Any) -> Scorer:
    """Score with an engine for files: direct or local."""
    options |= {"engine": engine, "keep": ["id"], "allow_pickle": True}
    if engine == "direct":
        options["spark"] = _session()
    else:
        options["processes"] = PROCESSES
    return lambda output: sparksig.score_files(home / "table", home / "model", output, **options)


def make_spark_scorer(home: Path, spark: Any = None, **options: Any) -> Scorer:
    """Score with Spark's engine; in a local session, unless another one is passed."""
    spark = spark or _session()

    def score(output: str) -> None:
        table = spark.read.parquet(str(home / "table"))
        scored = sparksig.score(table, home / "model", keep=["id"], allow_pickle=True, **options)
        scored.write.parquet(output)

    return score


def make_sail_scorer(home: Path) -> Scorer:
    """Score with Spark's engine on Sail, a server of Spark Connect without a JVM."""
    from pyspark.sql import SparkSession

    from tests.spark.sail_server import start_sail

    spark = SparkSession.builder.remote(start_sail()).getOrCreate()
    return make_spark_scorer(home, spark, shipping="inline")


def make_pandas_scorer(home: Path) -> Scorer:
    """Score with a pandas_udf as people write it."""
    from pyspark.sql import functions as F

    spark, model = _session(), _load_estimator(home)

    def score(output: str) -> None:
        table = spark.read.parquet(str(home / "table"))
        names = [name for name in table.columns if name != "id"]

        def predict(*columns: pd.Series) -> pd.Series:
            frame = pd.concat(columns, axis=1).set_axis(names, axis=1)
            return pd.Series(model.predict(_to_input(frame)))

        predict.__annotations__ = {"columns": pd.Series, "return": pd.Series}
        column = F.pandas_udf(predict, "double")(*names)
        table.select("id", column.alias("prediction")).write.parquet(output)

    return score


def make_mlflow_scorer(home: Path, model: str = "model", env_manager: str = "local") -> Scorer:
    """Score with MLflow's spark_udf."""
    import mlflow.pyfunc

    spark = _session()

    def score(output: str) -> None:
        table = spark.read.parquet(str(home / "table"))
        udf = mlflow.pyfunc.spark_udf(spark, str(home / model), env_manager=env_manager)
        names = [name for name in table.columns if name != "id"]
        table.select("id", udf(*names).alias("prediction")).write.parquet(output)

    return score


def make_loop_scorer(home: Path) -> Scorer:
    """Score with a loop over batches, in processes that stay."""
    pool = ProcessPoolExecutor(PROCESSES)
    files = sorted((home / "table").iterdir())

    def score(output: str) -> None:
        Path(output).mkdir()
        list(pool.map(_score_file, [home] * len(files), files, [output] * len(files)))

    return score


def _score_file(home: Path, file: Path, output: str) -> None:
    model = _load_estimator(home)
    schema = pa.schema([("id", pa.int64()), ("prediction", pa.float64())])
    with (
        pq.ParquetFile(file, memory_map=True, pre_buffer=False) as source,
        pq.ParquetWriter(Path(output) / file.name, schema, use_dictionary=False) as writer,
    ):
        for batch in source.iter_batches(2**17, use_threads=False):
            features = batch.drop_columns(["id"])
            if features.schema.names == ["v"]:
                vectors = features.column("v")
                prediction = model.predict({"v": vectors.flatten().to_numpy().reshape(len(vectors), -1)})
            else:
                prediction = model.predict(features.to_pandas())
            arrays = [batch.column("id"), pa.array(prediction)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


@functools.cache
def _load_estimator(home: Path) -> Any:
    return cloudpickle.loads((home / "estimator").read_bytes())


def _to_input(frame: pd.DataFrame) -> Any:
    return {"v": np.stack(frame["v"].to_numpy())} if list(frame) == ["v"] else frame


def _session() -> Any:
    from tests.bench.spark import session

    return session()


ENGINES: dict[str, Callable[[Path], Scorer]] = {
    "direct": functools.partial(make_files_scorer, engine="direct"),
    "local": functools.partial(make_files_scorer, engine="local"),
    "spark": make_spark_scorer,
    "sail": make_sail_scorer,
    "pandas_udf": make_pandas_scorer,
    "mlflow": make_mlflow_scorer,
    "loop": make_loop_scorer,
}


# --- measuring --------------------------------------------------------------------------------------------


def run_engine(
    home: Path, engine: str, make_scorer: Callable[[Path], Scorer], started: float, rounds: int
) -> None:
    """Run an engine in this process, and print the seconds of the first and of the best later run."""
    score, seconds, spent = make_scorer(home), [], []
    for number in range(rounds + 1):
        output = home / "outputs" / f"{engine}-{number}"
        before, cpu_before = time.time() if number else started, _measure_cpu(os.getpid())
        score(str(output))
        seconds.append(time.time() - before)
        spent.append(_measure_cpu(os.getpid()) - cpu_before)
        rows = sum(pq.read_metadata(file).num_rows for file in output.glob("*.parquet"))
        shutil.rmtree(output)
    result = {"cold": seconds[0], "warm": min(seconds[1:]), "cpu": min(spent[1:]), "rows": rows}
    sys.stdout.write(json.dumps(result) + "\n")


def measure(home: Path, engine: str, module: str = __name__, rounds: int = ROUNDS) -> dict[str, float]:
    """Run an engine in a new process; return its seconds and the peak memory of it and its children in MB.

    Args:
        home: the directory of the workload.
        engine: the name of the engine.
        module: the module with the engines.
        rounds: the number of runs after the first.
    """
    code = (
        f"from pathlib import Path; from tests.bench import engines; from {module} import ENGINES; "
        f"engines.run_engine(Path({str(home)!r}), {engine!r}, ENGINES[{engine!r}], {time.time()}, "
        f"{rounds})"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peaks = [0.0]
    watcher = threading.Thread(target=_watch_memory, args=(process, peaks), daemon=True)
    watcher.start()
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the engine {engine} failed: {errors[-3000:]}")
    result: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    expected = sum(pq.read_metadata(file).num_rows for file in (home / "table").iterdir())
    if result["rows"] != expected:
        raise RuntimeError(f"the engine {engine} wrote {result['rows']} rows, expected {expected}")
    return {**result, "peak": peaks[0]}


def _watch_memory(process: subprocess.Popen[str], peaks: list[float]) -> None:
    """Note the peak memory of a process and its children; shared pages count once."""
    while process.poll() is None:
        peaks[0] = max(peaks[0], sum(map(_measure_memory, _list_processes(process.pid))) / 2**10)
        time.sleep(0.2)


def _list_processes(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    listed, waiting = [], [root]
    while waiting:
        listed.append(waiting.pop())
        waiting += children.get(listed[-1], [])
    return listed


def _measure_cpu(root: int) -> float:
    """Return the CPU seconds of a process, its children, and those of its children that have ended."""
    total = 0
    for process in _list_processes(root):
        try:
            text = Path(f"/proc/{process}/stat").read_text()
        except OSError:  # it has ended
            continue
        total += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _measure_memory(process: int) -> int:
    """Return the proportional share of memory of a process in KB."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
