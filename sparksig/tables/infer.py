"""Infer a signature from some rows of a table: one algorithm for tables of Spark and of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparksig.errors import ContractError, ConversionError, InferenceError, SignatureError
from sparksig.signature import ModelSignature
from sparksig.spark.arguments import require_frame
from sparksig.spark.diagnosis import convert_spark_errors
from sparksig.tables.check import Table, open_table
from sparksig.tables.findings import find_missing
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.tables.sample import SampledSignature, Sampler, infer_from_sample
from sparksig.tables.types import find_duplicate_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sample_signature(
    table: DataFrame | str | os.PathLike[str],
    sampler: Sampler | None = None,
    *,
    columns: str | Sequence[str] | None = None,
) -> SampledSignature:
    """Infer the signature of a table from some of its rows.

    The types come from the table. A column, or a field of a struct, is optional if the sample has nulls.

    Args:
        table: a Spark DataFrame, classic or of Spark Connect; the path of a Parquet table, which pyarrow
            reads without Spark; or, if a Spark session is active, the path of a Delta table or the name of a
            table.
        sampler: chooses the rows; None for the default :class:`Sampler`.
        columns: the columns of the signature; None for all columns of the table.

    Returns:
        The signature, and the evidence for each column.

    Raises:
        ContractError: ``table`` is not a table, or lacks a column.
        InferenceError: the table has types that signatures do not support, duplicate names, or files that
            differ.
        TableNotFoundError: the table does not exist.

    Example:
        >>> print(sample_signature(spark.range(0, 3, 1, 2)))
        'id': long (required): 0 nulls in 3 rows of 2 partitions
    """
    if not isinstance(table, (str, os.PathLike)):
        require_frame(table, "sample_signature(df)")
    return infer_table(open_table(table), sampler, columns)


def infer_parquet(path: os.PathLike[str]) -> SampledSignature:
    """Infer the signature of the Parquet table at a path, even if a Spark session is active."""
    return infer_table(open_parquet(path))


@convert_spark_errors()
def infer_table(
    opened: Table, sampler: Sampler | None = None, columns: str | Sequence[str] | None = None
) -> SampledSignature:
    """Infer the signature of an opened table; the errors are those of :func:`sample_signature`."""
    names = _choose_columns(opened, columns)
    if isinstance(opened, ParquetTable):
        findings = find_duplicate_columns(opened.columns, opened.fold) + opened.compare_files(names, ())
        if findings:
            raise InferenceError.of(f"no signature for the table {opened.name!r}", findings)
    try:
        declared = opened.declare(names)
    except (ConversionError, SignatureError) as error:
        raise InferenceError(error.message, error.findings) from None
    sample = opened.sample(names, sampler or Sampler())
    partitions = len(set(sample.partition_of)) or sample.opened
    is_uniform = sample.method == "uniform"
    inferred = infer_from_sample(declared, sample.rows, None if is_uniform else partitions, sample.noun)
    if isinstance(opened, ParquetTable) or sample.rows.num_rows:
        return inferred
    # without rows, the schema of the DataFrame decides about nulls
    return replace(inferred, signature=ModelSignature(inputs=declared))


def _choose_columns(table: Table, columns: str | Sequence[str] | None) -> list[str]:
    """Return the columns of the signature.

    Raises:
        ContractError: the table has no such column, or no column is chosen.
    """
    actual = [column.name for column in table.columns]
    names = [columns] if isinstance(columns, str) else list(actual if columns is None else columns)
    if not names:
        problem = "the table has no columns" if columns is None else "columns: expected at least one column"
        raise ContractError(f"{table.name}: {problem}")
    if missing := find_missing(names, actual):
        raise ContractError.of("columns: the table has no such columns", missing)
    return names
