"""Writes to directories of Parquet files: existing files, unsafe settings, runs."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import Code, Finding, OutputRefusedError, quote
from sparksig.spark.hadoop import is_connect, is_missing
from sparksig.tables.contract import RUN_COLUMN
from sparksig.tables.delta import Existing
from sparksig.tables.partitions import report_other_type, report_partition_type
from sparksig.tables.readers import find_partitions
from sparksig.writing.request import WriteRequest
from sparksig.writing.staged import save as save_staged
from sparksig.writing.target import can_hold


def read_existing(spark: SparkSession, target: str) -> Existing | None:
    """Read the schema of the Parquet table at a path; None for a path without files.

    Raises:
        OutputRefusedError: the path is not a Parquet table.
    """
    if is_missing(spark, target):
        return None
    if is_delta(spark, target):
        raise OutputRefusedError(f"{target} is a Delta table: format='delta'; nothing was written")
    try:
        frame = spark.read.format("parquet").load(target)
        schema, files = frame.schema, frame.inputFiles()  # Spark Connect reads nothing before this
    except Exception as error:  # an error of Spark, whose class depends on the session
        message = str(error)
        if "PATH_NOT_FOUND" in message:
            return None
        if "UNABLE_TO_INFER_SCHEMA" in message and not _has_files(spark, target):
            return None
        reason = message.strip().partition("\n")[0]
        detail = "" if reason.startswith("An error occurred while calling") else f" ({reason})"
        raise OutputRefusedError(
            f"{target} exists and is not a Parquet table{detail}; nothing was written. Choose another path"
        ) from None
    if not schema.fields and not files:  # some servers return this for a path that does not exist
        return None
    return Existing(schema, find_partitions(files, target))


def is_delta(spark: SparkSession, path: str) -> bool:
    """Return whether a path is a Delta table."""
    return _can_list(spark, f"{path.rstrip('/')}/_delta_log")


def _can_list(spark: SparkSession, path: str) -> bool:
    if is_missing(spark, path):
        return False
    if is_connect(spark):  # some servers read a path that does not exist as an empty table
        return _has_files(spark, path)
    try:
        return bool(spark.read.format("text").load(path).schema)
    except Exception:  # an error of Spark: the path does not exist
        return False


def has_other_files(spark: SparkSession, path: str) -> bool:
    """Return whether a path has files, and is not a Delta table."""
    return _has_files(spark, path) and not is_delta(spark, path)


def _has_files(spark: SparkSession, path: str) -> bool:
    """Return whether a path has files, at any depth."""
    if is_missing(spark, path):
        return False
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        return bool(reader.load(path).select("path").limit(1).collect())
    except Exception as error:  # an error of Spark, whose class depends on the session
        if "PATH_NOT_FOUND" in str(error):
            return False
        raise


_COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"


def find_unsafe_settings(spark: SparkSession) -> list[Finding]:
    """Report settings with which a failed job may leave rows in the table.

    Speculative execution is safe: Spark lets a single attempt of each task commit.
    """
    conf, findings = spark.conf, []
    if any(conf.get(key, None) == "2" for key in (_COMMITTER, f"spark.hadoop.{_COMMITTER}")):
        hint = "it moves files before the job has succeeded, so that a failed job leaves files. Set it to 1"
        findings.append(Finding(Code.INVALID_VALUE, _COMMITTER, "1", "2", hint))
    return findings


_READ_BACK = (T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.DoubleType, T.DateType, T.StringType)


def find_partition_refusals(table: T.StructType, by: Sequence[str], layout: Existing | None) -> list[Finding]:
    """Report columns to partition by whose types are lost in the names of directories."""
    findings = []
    types = {} if layout is None else {field.name: field.dataType for field in layout.schema.fields}
    for field in table.fields:
        if field.name not in by:
            continue
        actual, path = field.dataType, quote(field.name)
        is_integer = isinstance(actual, T.DecimalType) and actual.scale == 0
        if not is_integer and not isinstance(actual, _READ_BACK):
            findings.append(report_partition_type(path, actual.simpleString()))
            continue
        target = types.get(field.name, actual)
        is_text = isinstance(target, T.StringType) or isinstance(actual, T.StringType)
        if not is_text and not can_hold(target, actual) and not can_hold(actual, target):
            findings.append(report_other_type(path, target.simpleString(), actual.simpleString()))
    return findings


def has_run(spark: SparkSession, target: str, run_id: str) -> bool:
    """Return whether a table has the rows of a run already."""
    return _can_list(spark, f"{target.rstrip('/')}/{RUN_COLUMN}={run_id}")


def save(df: DataFrame, request: WriteRequest) -> int | None:
    """Write the files, and count their rows.

    On Spark Connect, which cannot rename files, Spark's own committer publishes them.

    Returns:
        The number of rows; None if the target has this run already.

    Raises:
        OutputRefusedError: the mode is "error" and the directory exists already, or another writer is
            replacing the table.
    """
    return _save_by_spark(df, request) if is_connect(df) else save_staged(df, request)


def _save_by_spark(df: DataFrame, request: WriteRequest) -> int:
    by = list(request.partition_by)
    if request.run_id is not None:
        df, by = df.withColumn(RUN_COLUMN, F.lit(request.run_id)), [RUN_COLUMN, *by]
    counts = Observation() if can_observe(df) else None
    rows = df if counts is None else df.observe(counts, F.count(F.lit(1)).alias("rows"))
    # an overwrite replaces everything, with any setting of the session
    writer = rows.write.format("parquet").option("partitionOverwriteMode", "static").mode(request.mode)
    try:
        (writer.partitionBy(*by) if by else writer).save(request.target)
    except Exception as error:  # an error of Spark, whose class depends on the session
        if "PATH_ALREADY_EXISTS" not in str(error):
            raise
        raise OutputRefusedError(
            f"{request.target} exists already; nothing was written. Choose another path or mode"
        ) from None
    return df.count() if counts is None else int(counts.get["rows"])


def can_observe(df: DataFrame) -> bool:
    """Return whether rows can be counted while they are written.

    Spark Connect has no observations before 4.0, and some servers have none at all.
    """
    if not is_connect(df):
        return True
    if not hasattr(T, "VariantType"):
        return False
    spark = df.sparkSession
    if spark not in _OBSERVES:
        try:
            spark.range(1).observe(Observation(), F.count(F.lit(1)).alias("rows")).collect()
            _OBSERVES[spark] = True
        except Exception:  # its class depends on the server
            _OBSERVES[spark] = False
    return _OBSERVES[spark]


_OBSERVES: weakref.WeakKeyDictionary[SparkSession, bool] = weakref.WeakKeyDictionary()
"""Whether each server of Spark Connect can count rows."""
