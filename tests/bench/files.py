"""The plan of a table of many small files: seconds, and the peak memory of the process.

The goal is less than 60 s and 500 MB for 20,000 files; 8 s and 260 MB were measured. The footers take almost
all of the time, and the largest part of the memory is one object for each file: 1,000,000 files need about 50
times both, so the driver's memory (some GB) gives way first, before the splits (100 bytes for each file) do.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.scoring.prepared import prepare_model
from sparksig.scoring.splits import ScanOptions, plan_scan, plan_splits
from sparksig.tables.parquet import open_parquet


def report(scale: float = 0.1) -> Iterator[str]:
    """Yield the lines of a table; ``scale`` is the share of 20,000 files."""
    yield "| files | seconds | MB |"
    yield "|---:|---:|---:|"
    figures = plan_many_files(max(int(20_000 * scale), 1))
    yield f"| {figures['files']:,} | {figures['seconds']:.2f} | {figures['MB']:,.0f} |"


def plan_many_files(count: int) -> dict[str, float]:
    """Plan a table of many files with one row of ten doubles each."""
    columns = {f"x{index}": [0.5, 1.5] for index in range(10)}
    frame = pa.table(columns).to_pandas()
    with tempfile.TemporaryDirectory(prefix="sparksig-bench-") as folder:
        home = Path(folder)
        estimator = LinearRegression().fit(frame, frame["x0"])
        sparksig.save_model(home / "model", estimator, sparksig.infer_signature(frame, frame["x0"]))
        (home / "table").mkdir()
        first = home / "table" / "part-000000.parquet"
        pq.write_table(pa.table(columns), first)
        for index in range(1, count):
            shutil.copy(first, home / "table" / f"part-{index:06d}.parquet")
        model = prepare_model(home / "model", allow_pickle=False, digest=None, trusted_types=())
        started = time.perf_counter()
        table = open_parquet(home / "table")
        scan = plan_scan(table, model, None, None, ScanOptions(keep=["x0"]))
        splits = plan_splits(table, scan, 2)
        seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"files": sum(len(split.pieces) for split in splits), "seconds": seconds, "MB": memory}
