"""Scoring Parquet to Parquet: the local engine against a loop written by hand, and against Spark's engine.

The loop reads batches with pyarrow, predicts and writes them, with the settings that are fastest here; it
checks nothing. "by hand" is what people write first: a table, ``to_pandas``, ``predict``, ``write_table``. In
one process the model is loaded before; two processes start, and load it, in each run.
"""

from __future__ import annotations

import atexit
import resource
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.scoring.prepared import prepare_model
from sparksig.scoring.splits import ScanOptions, plan_scan, plan_splits
from sparksig.tables.parquet import open_parquet
from tests.bench.harness import Case, Result, measure


def cases(scale: float = 1.0) -> list[Case]:
    """The comparisons; ``scale`` shrinks the tables."""
    home = _home()
    linear = _Bench(home / "linear", LinearRegression(), 8_000_000 * scale, 10)
    boosted = _Bench(home / "boosted", GradientBoostingRegressor(n_estimators=100), 1_000_000 * scale, 30)
    many = _Bench(home / "many", LinearRegression(), 4_000_000 * scale, 10, files=80)
    return [
        linear.case("linear, 8 M rows of 10 doubles, one process", 1, {"loop": 0.8, "by hand": 1.5}),
        linear.case("the same, two processes that start", 2, None),
        many.case("linear, 80 files of 50,000 rows, one process", 1, {"loop": 0.7}),
        boosted.case("gradient boosting, 1 M rows of 30 doubles, one process", 1, {"loop": 0.9}),
    ]


def more(scale: float = 1.0, rounds: int = 3) -> list[Result]:
    """The comparison with Spark's engine, warm."""
    from tests.bench.spark import session

    spark, home = session(), _home()
    bench = _Bench(home / "spark", LinearRegression(), 8_000_000 * scale, 10)

    case = Case(
        "linear, 8 M rows of 10 doubles, against Spark's engine",
        {
            "sparksig": partial(bench.score_directly, spark),
            "one process": partial(bench.score, 1),
            "two processes": partial(bench.score, 2),
            "Spark": partial(bench.score_by_spark, spark),
        },
        {"Spark": 7},
    )
    try:
        return measure([case], rounds)
    finally:
        spark.stop()


def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="sparksig-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def plan_many_files(count: int = 20_000) -> dict[str, float]:
    """Plan a table of many small files; return the seconds, and the peak memory of the process in MB.

    The goal is less than 60 s and 500 MB for 20,000 files. The footers take almost all of the time, and the
    largest part of the memory is one object for each file: 1,000,000 files need about 50 times both, so the
    driver's memory (some GB) gives way first, before the splits (100 bytes for each file) do.
    """
    home = _home()
    bench = _Bench(home / "files", LinearRegression(), 20, 10, files=1)
    [first] = bench.source.iterdir()
    for index in range(1, count):
        shutil.copy(first, bench.source / f"part-{index:06d}.parquet")
    model = prepare_model(bench.model, allow_pickle=False, digest=None, trusted_types=())
    started = time.perf_counter()
    table = open_parquet(bench.source)
    scan = plan_scan(table, model, None, None, ScanOptions(keep=["x0"]))
    splits = plan_splits(table, scan, 2)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"files": sum(len(split.pieces) for split in splits), "seconds": seconds, "MB": memory}


class _Bench:
    """A table of doubles and a model of it."""

    def __init__(self, home: Path, estimator: Any, rows: float, columns: int, files: int = 8) -> None:
        generator = np.random.default_rng(0)
        names = [f"x{index}" for index in range(columns)]
        sample = pd.DataFrame(generator.random((500, columns)), columns=names)
        self.estimator = estimator.fit(sample, sample.sum(axis=1))
        self.model, self.source, self._outputs = home / "model", home / "table", home / "outputs"
        signature = sparksig.infer_signature(sample, estimator.predict(sample))
        sparksig.save_model(self.model, estimator, signature)
        self.source.mkdir()
        self._outputs.mkdir()
        count = max(int(rows / files), 1)
        for index in range(files):
            part = pa.table({name: generator.random(count) for name in names})
            pq.write_table(part, self.source / f"part-{index:03d}.parquet", use_dictionary=False)

    def output(self) -> str:
        """A new path, below which the outputs of earlier runs are gone."""
        shutil.rmtree(self._outputs)
        self._outputs.mkdir()
        return str(self._outputs / uuid.uuid4().hex)

    def case(self, name: str, processes: int, target: dict[str, float] | None) -> Case:
        contenders: dict[str, Callable[[], object]] = {
            "sparksig": partial(self.score, processes),
            "loop": self.loop,
            "by hand": self.by_hand,
        }
        return Case(name, contenders, target)

    def score(self, processes: int) -> None:
        """Score with the local engine."""
        sparksig.score_files(self.source, self.model, self.output(), keep=["x0"], processes=processes)

    def score_directly(self, spark: Any) -> None:
        """Score with the engine direct."""
        options: dict[str, Any] = {"engine": "direct", "spark": spark}
        sparksig.score_files(self.source, self.model, self.output(), keep=["x0"], **options)

    def score_by_spark(self, spark: Any) -> None:
        """Score with Spark's engine."""
        table = spark.read.parquet(str(self.source))
        sparksig.score(table, str(self.model), keep=["x0"]).write.parquet(self.output())

    def loop(self) -> None:
        """Score batch by batch."""
        output = Path(self.output())
        output.mkdir()
        schema = pa.schema([("x0", pa.float64()), ("prediction", pa.float64())])
        for file in sorted(self.source.iterdir()):
            with (
                pq.ParquetFile(file, memory_map=True, pre_buffer=False) as source,
                pq.ParquetWriter(output / file.name, schema, use_dictionary=False) as writer,
            ):
                for batch in source.iter_batches(2**18, use_threads=False):
                    prediction = self.estimator.predict(batch.to_pandas())
                    arrays = [batch.column("x0"), pa.array(prediction)]
                    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def by_hand(self) -> None:
        """Score file by file, as people write it first."""
        output = Path(self.output())
        output.mkdir()
        for file in sorted(self.source.iterdir()):
            frame = pq.read_table(file).to_pandas()
            frame["prediction"] = self.estimator.predict(frame)
            pq.write_table(pa.Table.from_pandas(frame[["x0", "prediction"]]), output / file.name)
