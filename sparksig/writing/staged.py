"""Writes of Parquet files to a staging directory, which renames publish.

Readers see the old table or the new one. After a failure the old table remains. Each write has its own hidden
staging directory next to the target:

============================  ======================================================================
target                        published by
============================  ======================================================================
does not exist                one rename of the staged directory
``append``                    a rename of each file; those already moved are removed after a failure
``append`` with a run id      one rename of the directory ``run_id=...``
``overwrite``                 an exchange of both directories (Linux, local file systems), else two
                              renames, between which readers see no table
============================  ======================================================================

Object stores have no renames: each file is copied, and an overwrite removes the old files after the last
copy. Until the write has ended, readers may see a part of an append, or rows of both tables.
"""

from __future__ import annotations

import secrets

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparksig.errors import OutputRefusedError
from sparksig.spark.hadoop import HadoopPath
from sparksig.tables.contract import RUN_COLUMN
from sparksig.writing.moves import add_files, move_new, replace_directory
from sparksig.writing.request import WriteRequest


def save(df: DataFrame, request: WriteRequest) -> int | None:
    """Write the rows of a DataFrame, and count the rows of the files that were published.

    Returns:
        The number of rows; None if the target has this run already.

    Raises:
        OutputRefusedError: the mode is "error" and the target exists, or another writer is replacing the
            table.
    """
    spark = df.sparkSession
    target = HadoopPath.qualify(spark, request.target)
    if request.run_id is not None and _run_partition(target, request).exists():
        return None
    staging = target.parent / f".{target.name}.sparksig-write-{secrets.token_hex(8)}"
    staged = staging / "table"
    by = list(request.partition_by)
    if request.run_id is not None:
        df, by = df.withColumn(RUN_COLUMN, F.lit(request.run_id)), [RUN_COLUMN, *by]
    writer = df.write.format("parquet").mode("error")
    try:
        (writer.partitionBy(*by) if by else writer).save(staged.uri)
        rows = spark.read.format("parquet").schema(df.schema).load(staged.uri).count()
        is_published = _publish(staged, target, request)
    finally:
        staging.delete()
    spark.catalog.refreshByPath(target.uri)
    return rows if is_published else None


def _run_partition(target: HadoopPath, request: WriteRequest) -> HadoopPath:
    """Return the directory of a run in its table, or the table if the write has no run."""
    return target if request.run_id is None else target / f"{RUN_COLUMN}={request.run_id}"


def _publish(staged: HadoopPath, target: HadoopPath, request: WriteRequest) -> bool:
    """Move the staged table to the target; return False if another writer has published the same run."""
    if target.is_directory() and not target.list_names():
        target.delete()
    if not target.exists() and move_new(staged, target):
        return True
    if request.mode == "error":
        raise OutputRefusedError(
            f"{target.uri} exists already; nothing was written. Choose another path or mode"
        )
    if request.mode == "overwrite":
        replace_directory(staged, target)
        return True
    if request.run_id is None:
        add_files(staged, target)
        return True
    source, run = _run_partition(staged, request), _run_partition(target, request)
    return not source.exists() or move_new(source, run)
