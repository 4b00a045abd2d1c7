"""Checks of tables: all rows in Spark against a scan of the same columns, Parquet against reading it.

A check of the schema alone starts no Spark job: it is measured against the smallest job.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import sparksig
from tests.bench.harness import Case
from tests.parquet_tables import check_parquet

ROWS = 4_000_000
CONTRACT = "id bigint not null, price double not null, name string not null, day date not null"


def cases(scale: float = 1.0) -> list[Case]:
    """Return the cases, with a table in a directory of its own."""
    home = tempfile.mkdtemp()
    path = str(Path(home) / "table.parquet")
    pq.write_table(make_table(max(int(ROWS * scale), 1000)), path, row_group_size=2**18)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    df = spark.read.parquet(path)
    return [
        Case(
            "all rows of a Spark table",
            {
                "sparksig": lambda: sparksig.check(df, CONTRACT, "full").raise_if_failed(),
                "scan": lambda: df.select([F.max(F.hash(name)) for name in df.columns]).collect(),
            },
            0.5,
        ),
        Case(
            "all rows of a Parquet table",
            {
                "sparksig": lambda: check_parquet(path, CONTRACT, "full").raise_if_failed(),
                "reading": lambda: [batch.num_rows for batch in pq.ParquetFile(path).iter_batches()],
            },
            0.5,
        ),
        Case(
            "the schema of a Spark table",
            {
                "sparksig": lambda: sparksig.check(df, CONTRACT).raise_if_failed(),
                "one job": lambda: df.limit(1).collect(),
            },
            1.0,
        ),
    ]


def make_table(rows: int) -> pa.Table:
    """Make a table with columns of four types, without nulls."""
    random = np.random.default_rng(0)
    names = pa.array([f"name {number}" for number in range(1000)])
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "price": pa.array(random.random(rows)),
            "name": names.take(pa.array(random.integers(0, 1000, rows))),
            "day": pa.array(random.integers(0, 20_000, rows).astype(np.int32)).cast(pa.date32()),
        }
    )
