"""Checks and signatures of Parquet tables without Spark, even if a session is active."""

from __future__ import annotations

from sparksig.tables.check import check
from sparksig.tables.infer import infer_table
from sparksig.tables.parquet import open_parquet
from sparksig.tables.sample import Sampler


def check_parquet(path, contract, mode="schema", *, rows=10_000, seed=0, method="partitions", **options):
    """Check the Parquet table at a path."""
    sampler = Sampler(rows, seed=seed, method=method)
    return check(open_parquet(path), contract, mode, sampler=sampler, **options)


def infer_parquet(path, *, rows=10_000, seed=0, columns=None, method="partitions"):
    """Infer the signature of the Parquet table at a path from a sample."""
    return infer_table(open_parquet(path), Sampler(rows, seed=seed, method=method), columns)
