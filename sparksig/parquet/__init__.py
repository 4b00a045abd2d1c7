"""Parquet tables without Spark: checked against a contract, and inferred from, by pyarrow alone.

The verdict is the engine's (:mod:`sparksig.engine.plan`), batch by batch, and that of
:func:`sparksig.check` in full; that both say the same of the same table is a test.
"""

from __future__ import annotations

from sparksig.parquet.check import check_parquet
from sparksig.parquet.infer import infer_parquet

__all__ = ["check_parquet", "infer_parquet"]
