"""Tables and models of unusual sizes: seconds, CPU seconds of Python and of the JVM, and memory.

The memory is the peak of the process until then: of Python, and of the JVM.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import ColSpec, ModelSignature, Schema
from tests.bench.spark import Large, session

DOUBLE = Schema([ColSpec("double")])


def report(scale: float = 0.1) -> Iterator[str]:
    """Measure all cases, and yield the lines of a table; ``scale`` is the share of the full sizes."""
    yield "| case | seconds | CPU Python | CPU JVM | MB Python | MB JVM |"
    yield "|---|---:|---:|---:|---:|---:|"
    with tempfile.TemporaryDirectory(prefix="sparksig-bench-") as folder:
        spark = session()
        try:
            spark.range(1).collect()  # what the first job takes is no part of a case
            jvm = spark.sparkContext._gateway.proc.pid
            for name, call in make_cases(spark, Path(folder), scale):
                yield f"| {name} | {' | '.join(measure(call, jvm))} |"
        finally:
            spark.stop()


def measure(call: Callable[[], object], jvm: int) -> list[str]:
    """Call a function; return its seconds, CPU seconds and the memory, as text."""
    before, started = (time.process_time(), _read_cpu(jvm)), time.perf_counter()
    call()
    seconds = time.perf_counter() - started
    spent = (time.process_time() - before[0], _read_cpu(jvm) - before[1])
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, _read_peak(jvm))
    return [f"{value:.2f}" for value in (seconds, *spent)] + [f"{value:,}" for value in memory]


def _read_cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_peak(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


Cases = Iterator[tuple[str, Callable[[], object]]]


def make_cases(spark: Any, home: Path, scale: float) -> Cases:
    """Make the cases, each when it is measured."""
    for width in (1_000, 5_000, 20_000):
        yield from _make_wide_cases(spark, home, max(int(width * scale), 2))
    yield from _make_partition_cases(spark, home, scale)
    yield from _make_size_cases(spark, home, scale)
    yield from _make_repeated_cases(spark, home, scale)


def _make_wide_cases(spark: Any, home: Path, width: int) -> Cases:
    names = [f"feature_{index}" for index in range(width)]
    path, model = str(home / f"wide-{width}.parquet"), home / f"wide-{width}"
    pq.write_table(pa.table({name: np.full(100, 0.5) for name in names}), path)
    schema = Schema([ColSpec("double", name) for name in names])
    frame = pd.DataFrame(np.zeros((2, width)), columns=names)
    sparksig.save_model(model, LinearRegression().fit(frame, [0.0, 1.0]), ModelSignature(schema, DOUBLE))
    df = spark.read.parquet(path)
    label = f"{width:,} columns, 100 rows"
    yield f"{label}: infer by Parquet", lambda: sparksig.sample_signature(path)
    yield f"{label}: full check by Parquet", lambda: _check(path, schema)
    yield f"{label}: schema check by Spark", lambda: sparksig.check(df, schema).raise_if_failed()
    yield f"{label}: full check by Spark", lambda: _check(df, schema)
    yield f"{label}: scan by Spark", lambda: df.write.format("noop").mode("overwrite").save()
    yield f"{label}: plan of score", lambda: sparksig.score(df, model)


def _check(table: Any, schema: Schema) -> None:
    sparksig.check(table, schema, "full", refuse_nan=True).raise_if_failed()


def _save_line(home: Path) -> Path:
    path = home / "line"
    if not path.exists():
        frame = pd.DataFrame({"x": [0.0, 1.0]})
        signature = ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE)
        sparksig.save_model(path, LinearRegression().fit(frame, [0.0, 1.0]), signature)
    return path


def _score(df: Any, model: Path) -> None:
    scored = sparksig.score(df, model, keep=[], allow_pickle=True)
    scored.write.format("noop").mode("overwrite").save()


def _make_partition_cases(spark: Any, home: Path, scale: float) -> Cases:
    parts, model = max(int(2_000 * scale), 2), _save_line(home)
    df = spark.range(0, parts * 10, 1, parts).selectExpr("cast(id as double) as x")
    schema = Schema([ColSpec("double", "x")])
    yield f"{parts:,} partitions of 10 rows: score", lambda: _score(df, model)
    yield f"{parts:,} partitions of 10 rows: full check", lambda: _check(df, schema)
    yield f"{parts:,} partitions of 10 rows: sample", lambda: sparksig.check(df, schema, "sample")


class Length(sparksig.PythonModel):
    """The lengths of texts."""

    def predict(self, model_input):
        return model_input["text"].str.len().astype("float64")


def _make_size_cases(spark: Any, home: Path, scale: float) -> Cases:
    size = max(int(100 * 2**20 * scale), 1)
    inputs = Schema([ColSpec("string", "text")])
    sparksig.save_model(home / "length", Length(), ModelSignature(inputs, DOUBLE))
    df = spark.range(0, 4, 1, 4).selectExpr(f"repeat('x', {size}) as text")
    label = f"4 cells of {size / 2**20:.0f} MB"
    yield f"{label}: score", lambda: _score(df, home / "length")
    yield f"{label}: full check", lambda: _check(df, inputs)
    size = max(int(500 * 10**6 * scale), 8)
    signature = ModelSignature(Schema([ColSpec("double", "x")]), DOUBLE)
    sparksig.save_model(home / "large", Large(size), signature)
    rows = spark.range(0, 100, 1, 8).selectExpr("cast(id as double) as x")
    label = f"a model of {size / 10**6:.0f} MB"
    yield f"{label}: load", lambda: sparksig.load_model(home / "large", allow_pickle=True)
    yield f"{label}: score 8 partitions", lambda: _score(rows, home / "large")


def _make_repeated_cases(spark: Any, home: Path, scale: float) -> Cases:
    model, calls = _save_line(home), max(int(200 * scale), 2)
    df = spark.range(0, 10, 1, 1).selectExpr("cast(id as double) as x")

    def score_often() -> None:
        for _ in range(calls):
            _score(df, model)

    yield f"{calls} calls of score in one session", score_often
    yield f"{calls} calls more", score_often
    seconds = max(int(120 * scale), 2)

    def stream() -> None:
        source = spark.readStream.format("rate").option("rowsPerSecond", 1_000).load()
        table = source.selectExpr("cast(value as double) as x")
        scored = sparksig.score(table, model, keep=[])
        query = scored.writeStream.format("noop").trigger(processingTime="1 second").start()
        query.awaitTermination(seconds)
        query.stop()
        if query.exception() is not None:
            raise RuntimeError(str(query.exception()))

    yield f"a stream of {seconds} seconds", stream
    yield f"{seconds} seconds more", stream
