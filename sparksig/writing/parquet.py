"""Directories of Parquet files as targets: what is there, settings that lose rows, runs kept apart."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import Code, Finding, OutputRefusedError, step
from sparksig.spark.hadoop import is_connect, is_nowhere
from sparksig.tables.delta import Existing
from sparksig.tables.readers import find_partitions
from sparksig.writing.staged import RUN_COLUMN, ParquetWrite
from sparksig.writing.staged import save as save_staged
from sparksig.writing.target import holds

__all__ = [
    "can_observe",
    "existing",
    "has_run",
    "holds_others",
    "is_delta",
    "partition_refusals",
    "save",
    "unsafe",
]


def existing(spark: SparkSession, target: str) -> Existing | None:
    """The Parquet table at a path; None if there is nothing.

    Raises:
        OutputRefusedError: there is something else.
    """
    if is_nowhere(spark, target):
        return None
    if is_delta(spark, target):
        raise OutputRefusedError(f"{target} is a Delta table: format='delta'; nothing was written")
    try:
        frame = spark.read.format("parquet").load(target)
        schema, files = frame.schema, frame.inputFiles()  # of Spark Connect nothing is read before
    except Exception as error:  # Spark's, of a class that depends on the session
        told = str(error)
        if "PATH_NOT_FOUND" in told:
            return None
        if "UNABLE_TO_INFER_SCHEMA" in told and not _has_files(spark, target):
            return None
        reason = told.strip().partition("\n")[0]
        raise OutputRefusedError(
            f"{target} holds something that is no Parquet table ({reason}); nothing was written"
        ) from None
    return Existing(schema, find_partitions(files, target))


def is_delta(spark: SparkSession, path: str) -> bool:
    """Return whether a path is a Delta table."""
    return _can_list(spark, f"{path.rstrip('/')}/_delta_log")


def _can_list(spark: SparkSession, path: str) -> bool:
    if is_nowhere(spark, path):
        return False
    try:
        return bool(spark.read.format("text").load(path).schema)
    except Exception:  # Spark's: there is no such place
        return False


def holds_others(spark: SparkSession, path: str) -> bool:
    """Whether there are files at a path that is no Delta table, and that no commit that failed has left."""
    return _has_files(spark, path) and not is_delta(spark, path)


def _has_files(spark: SparkSession, path: str) -> bool:
    """Whether there are files at a path, at any depth."""
    if is_nowhere(spark, path):
        return False
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        return bool(reader.load(path).select("path").limit(1).collect())
    except Exception as error:  # Spark's, of a class that depends on the session
        if "PATH_NOT_FOUND" in str(error):
            return False
        raise


_COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"


def unsafe(spark: SparkSession) -> list[Finding]:
    """Settings under which a job may leave rows behind, or write them twice."""
    conf, found = spark.conf, []
    if any(conf.get(key, None) == "2" for key in (_COMMITTER, f"spark.hadoop.{_COMMITTER}")):
        hint = "it moves files before the job has succeeded: a job that dies leaves some. Set it to 1"
        found.append(Finding(Code.INVALID_VALUE, _COMMITTER, "1", "2", hint))
    if str(conf.get("spark.speculation", "false")).lower() == "true":
        hint = "two attempts of one task may both leave their files. Set it to false, or write Delta"
        found.append(Finding(Code.INVALID_VALUE, "spark.speculation", "false", "true", hint))
    return found


_READ_BACK = (T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.DoubleType, T.DateType, T.StringType)


def partition_refusals(given: T.StructType, by: Sequence[str], kept: Existing | None) -> list[Finding]:
    """Columns to partition by of types that the names of directories do not give back."""
    found = []
    there = {} if kept is None else {field.name: field.dataType for field in kept.schema.fields}
    for field in given.fields:
        if field.name not in by:
            continue
        held, path = field.dataType, step(field.name)
        whole = isinstance(held, T.DecimalType) and held.scale == 0
        if not whole and not isinstance(held, _READ_BACK):
            hint = "Spark reads partitions back as others: cast it on purpose, or write Delta"
            expected = "whole numbers, doubles, dates or texts, in a column to partition by"
            found.append(Finding(Code.TYPE_MISMATCH, path, expected, held.simpleString(), hint))
            continue
        old = there.get(field.name, held)
        texts = isinstance(old, T.StringType) or isinstance(held, T.StringType)
        if not texts and not holds(old, held) and not holds(held, old):
            hint = "as the table's partitions are read"
            found.append(Finding(Code.TYPE_MISMATCH, path, old.simpleString(), held.simpleString(), hint))
    return found


def has_run(spark: SparkSession, target: str, run_id: str) -> bool:
    """Return whether a table has the rows of a run already."""
    return _can_list(spark, f"{target.rstrip('/')}/{RUN_COLUMN}={run_id}")


def save(df: DataFrame, write: ParquetWrite) -> int | None:
    """Write the files, and count the rows of them.

    On Spark Connect, which cannot rename files, Spark's own committer publishes them.

    Returns:
        The number of rows; None if the target has this run already.

    Raises:
        OutputRefusedError: the mode is "error" and there is a directory already, or another writer is
            replacing the table.
    """
    return _save_by_spark(df, write) if is_connect(df) else save_staged(df, write)


def _save_by_spark(df: DataFrame, write: ParquetWrite) -> int:
    by = list(write.partition_by)
    if write.run_id is not None:
        df, by = df.withColumn(RUN_COLUMN, F.lit(write.run_id)), [RUN_COLUMN, *by]
    counts = Observation() if can_observe(df) else None
    rows = df if counts is None else df.observe(counts, F.count(F.lit(1)).alias("rows"))
    # an overwrite replaces everything, whatever the session says
    writer = rows.write.format("parquet").option("partitionOverwriteMode", "static").mode(write.mode)
    try:
        (writer.partitionBy(*by) if by else writer).save(write.target)
    except Exception as error:  # Spark's, of a class that depends on the session
        if "PATH_ALREADY_EXISTS" not in str(error):
            raise
        raise OutputRefusedError(
            f"{write.target}: there is a directory already; nothing was written"
        ) from None
    return df.count() if counts is None else int(counts.get["rows"])


def can_observe(df: DataFrame) -> bool:
    """Return whether rows can be counted while they are written: not on Spark Connect before 4.0."""
    return not is_connect(df) or hasattr(T, "VariantType")
