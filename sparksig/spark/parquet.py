"""Directories of Parquet files as targets: what is there, settings that lose rows, runs kept apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import Code, Finding, OutputRefusedError, step
from sparksig.spark.contract import column
from sparksig.spark.hadoop import is_nowhere
from sparksig.spark.target import Existing, holds

__all__ = ["RUN_COLUMN", "existing", "holds_others", "partition_refusals", "refuse_stale", "save", "unsafe"]

RUN_COLUMN = "run_id"
"""The partition column that keeps the runs of a Parquet table apart."""


def existing(spark: SparkSession, target: str) -> Existing | None:
    """The Parquet table at a path; None if there is nothing.

    Raises:
        OutputRefusedError: there is something else.
    """
    if is_nowhere(spark, target):
        return None
    if _can_list(spark, f"{target.rstrip('/')}/_delta_log"):
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
    return Existing(schema, _partitions_of(files, target))


def _can_list(spark: SparkSession, path: str) -> bool:
    if is_nowhere(spark, path):
        return False
    try:
        return bool(spark.read.format("text").load(path).schema)
    except Exception:  # Spark's: there is no such place
        return False


def holds_others(spark: SparkSession, path: str) -> bool:
    """Whether there are files at a path that is no Delta table, and that no commit that failed has left."""
    return _has_files(spark, path) and not _can_list(spark, f"{path.rstrip('/')}/_delta_log")


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


def _partitions_of(files: Sequence[str], target: str) -> tuple[str, ...]:
    """The partition columns of a Parquet table, as the names of its directories say.

    Example:
        >>> _partitions_of(["file:/d/k=v/t/day=2024-01-02/hour=3/part-0.parquet"], "/d/k=v/t")
        ('day', 'hour')
    """
    if not files:
        return ()
    file = unquote(files[0])
    place = re.sub(r"^[A-Za-z][\w+.-]*:(//[^/]*)?", "", target).rstrip("/")
    if file.startswith("file:"):
        place = os.path.abspath(place)
    if place.startswith("/"):
        file = file.partition(f"{place}/")[2] or file
    names: list[str] = []
    for directory in reversed(file.split("/")[:-1]):  # from the file upwards
        name, equals, _ = directory.partition("=")
        if not equals:
            break
        names.insert(0, unquote(name))
    return tuple(names)


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


def refuse_stale(sent: DataFrame, target: str, run_id: str, by: Sequence[str], schema: T.StructType) -> None:
    """A run replaces the partitions that it writes: what it wrote to others before would stay.

    Raises:
        OutputRefusedError: it wrote to others.
    """
    keys = (RUN_COLUMN, *by)
    # as text: Spark would read the run 7 as a number
    texts = [
        T.StructField(field.name, T.StringType()) if field.name in keys else field for field in schema.fields
    ]
    held = sent.sparkSession.read.schema(T.StructType(texts)).parquet(target)
    held = held.where(column(RUN_COLUMN) == F.lit(run_id))
    old = held.select(*(column(name).alias(f"p{at}") for at, name in enumerate(by)), F.lit(1).alias("one"))
    new = sent.select(
        *(column(name).cast("string").alias(f"q{at}") for at, name in enumerate(by)), F.lit(1).alias("two")
    )
    both = F.col("one") == F.col("two")
    for at in range(len(by)):
        both = both & F.col(f"p{at}").eqNullSafe(F.col(f"q{at}"))
    if old.distinct().join(new.distinct(), both, "left_anti").limit(1).collect():
        raise OutputRefusedError(
            f"{target}: the run {run_id} wrote rows before to partitions in which it has none now, and "
            f"Parquet would keep them: remove the partition {RUN_COLUMN}={run_id}; nothing was written"
        )


def save(sent: DataFrame, target: str, mode: str, run_id: str | None, by: Sequence[str]) -> None:
    """Write the files.

    Raises:
        OutputRefusedError: there is a directory already.
    """
    if run_id is not None:
        sent, by = sent.withColumn(RUN_COLUMN, F.lit(run_id)), [RUN_COLUMN, *by]
    replaces = run_id is not None and mode == "append"
    # whatever the session says: an overwrite that keeps some of what was there is none
    writer = sent.write.format("parquet").option(
        "partitionOverwriteMode", "dynamic" if replaces else "static"
    )
    try:
        (writer.partitionBy(*by) if by else writer).mode("overwrite" if replaces else mode).save(target)
    except Exception as error:  # Spark's, of a class that depends on the session
        if "PATH_ALREADY_EXISTS" not in str(error):
            raise
        raise OutputRefusedError(f"{target}: there is a directory already; nothing was written") from None
