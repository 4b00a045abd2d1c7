"""Writes to Delta tables: find_refusals, and commits that happen exactly once."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import walk_spark
from sparksig.errors import Code, Finding, OutputRefusedError, below, quote
from sparksig.spark.bind import column
from sparksig.tables.delta import Existing, is_path, name_delta_table, read_delta
from sparksig.writing.request import WriteRequest

# --- the dry run ------------------------------------------------------------------------------------------

_SPECIAL = frozenset(" ,;{}()\n\t=")


def find_refusals(
    spark: SparkSession, table: T.StructType, existing: Existing | None, mode: str
) -> list[Finding]:
    """Report what Delta refuses independently of values: overwrites of some tables, and some names."""
    findings, properties = [], {} if existing is None else existing.properties
    if mode == "overwrite" and str(properties.get("delta.appendOnly", "false")).lower() == "true":
        hint = "the table's property delta.appendOnly is true"
        findings.append(Finding(Code.INVALID_VALUE, "mode", "append", "overwrite", hint))
    key = "columnMapping.mode"
    if existing is None:
        mapping = spark.conf.get(f"spark.databricks.delta.properties.defaults.{key}", None)
        hint = f"rename it, or create the table with the property delta.{key}=name first"
    else:
        mapping = properties.get(f"delta.{key}")
        hint = f"rename it, or set the table's property delta.{key}=name"
    if mapping not in ("name", "id"):
        expected = "a name without blanks, tabs, line breaks and ,;{}()="
        findings += [
            Finding(Code.INVALID_NAME, below(path, name), expected, "a name with such characters", hint)
            for path, part in walk_spark(table)
            if isinstance(part, T.StructType)
            for name in part.names
            if _SPECIAL & set(name)
        ]
    return findings


def find_partition_refusals(table: T.StructType, partition_by: Collection[str]) -> list[Finding]:
    """Report nested columns to partition by."""
    expected = "a column to partition by that is not nested"
    return [
        Finding(Code.TYPE_MISMATCH, quote(field.name), expected, field.dataType.simpleString())
        for field in table.fields
        if field.name in partition_by and isinstance(field.dataType, (T.StructType, T.ArrayType, T.MapType))
    ]


# --- commits ----------------------------------------------------------------------------------------------


_CONFLICTS = re.compile(
    r"DELTA_CONCURRENT_\w+|DELTA_(?:PROTOCOL|METADATA)_CHANGED|Concurrent\w+Exception"
    r"|(?:Protocol|Metadata)ChangedException|TABLE_OR_VIEW_ALREADY_EXISTS|DELTA_(?:TABLE_ALREADY|PATH)_EXISTS"
)
"""The names of Delta's errors for a commit that conflicts with a faster one."""

_RUN, _WRITE, _NOTE = "sparksig.run_id", "sparksig.write", "sparksig.note"
"""The keys that mark a commit, or the table that it created: run id, call, note."""


def records_counts(spark: SparkSession) -> bool:
    """Return whether Delta records the number of rows of a commit."""
    return str(spark.conf.get("spark.databricks.delta.history.metricsEnabled", "true")).lower() == "true"


def commit(rows: DataFrame, request: WriteRequest, *, exists: bool) -> int | None:
    """Commit rows, and count them; None if any writer has has_run this run before.

    The count is 0 if Delta does not record it (:func:`records_counts`).

    Raises:
        OutputRefusedError: another writer created or changed the table meanwhile.
    """
    spark, token = rows.sparkSession, uuid.uuid4().hex
    mark = {_RUN: request.run_id or token, _WRITE: token} | ({_NOTE: request.note} if request.note else {})
    try:
        _save(rows, request, mark, exists)
    except Exception as error:  # an error of Delta, of one of many classes
        is_repeated = request.run_id is not None and _has_run(spark, request, exists)
        if not is_repeated and (conflict := _CONFLICTS.search(str(error))):
            raise OutputRefusedError(
                f"{request.target}: another writer created or changed the table at the same time "
                f"({conflict[0]}); nothing was written. Start again"
            ) from error
        if not is_repeated:
            raise
    return _count_rows(spark, request.target, _WRITE, token)


def has_run(spark: SparkSession, target: str, run_id: str) -> bool:
    """Return whether a Delta table has a run already."""
    return _count_rows(spark, target, _RUN, run_id) is not None


def read_note(spark: SparkSession, target: str, run_id: str) -> str:
    """Return the note of a run in a Delta table; empty without one."""
    metadata = F.col("userMetadata")
    marked = F.get_json_object(metadata, f"$['{_RUN}']") == F.lit(run_id)
    history = spark.sql(f"DESCRIBE HISTORY {name_delta_table(target)}").where(marked)
    notes = history.select(F.get_json_object(metadata, f"$['{_NOTE}']")).collect()
    if notes:
        return str(notes[0][0] or "")
    properties = _read_properties(spark, target)
    return properties.get(_NOTE, "") if properties.get(_RUN) == run_id else ""


def _read_properties(spark: SparkSession, target: str) -> dict[str, str]:
    """Return the properties of a table, which mark the run that created it; none for a path."""
    if is_path(target):
        return {}
    [detail] = spark.sql(f"DESCRIBE DETAIL {name_delta_table(target)}").select("properties").collect()
    return detail[0] or {}


def _save(rows: DataFrame, request: WriteRequest, mark: Mapping[str, str], exists: bool) -> None:
    target, mode = request.target, request.mode
    options = {"partitionOverwriteMode": "static", "userMetadata": json.dumps(mark)}
    if request.run_id is not None:  # so that only one of two simultaneous writers commits the run
        options |= {"txnAppId": request.run_id, "txnVersion": "1"}
    if request.evolve:
        options["overwriteSchema" if mode == "overwrite" else "mergeSchema"] = "true"
    is_replaced = exists and mode == "overwrite" and request.evolve
    if is_path(target) or is_replaced:
        writer = rows.write.format("delta").mode(mode).options(**options)
        writer = writer.partitionBy(*request.partition_by) if request.partition_by else writer
        return writer.save(target) if is_path(target) else writer.saveAsTable(target)
    named = rows.writeTo(target).options(**options)
    if exists:
        return named.append() if mode == "append" else named.overwrite(F.lit(True))
    named = named.using("delta")
    for key, value in mark.items():  # a commit that creates a table by its name carries no user metadata
        named = named.tableProperty(key, value)
    by = [column(name) for name in request.partition_by]
    return (named.partitionedBy(*by) if by else named).create()


def _has_run(spark: SparkSession, request: WriteRequest, exists: bool) -> bool:
    """Return whether the table has a run although its commit has failed."""
    is_new = not is_path(request.target) and not exists  # catalogs learn of a table after its first commit
    for wait in (0.0, 0.5, 1.0, 2.0, 4.0) if is_new else (0.0,):
        time.sleep(wait)
        if read_delta(spark, request.target) is not None:
            return has_run(spark, request.target, str(request.run_id))
    return False


def _count_rows(spark: SparkSession, target: str, key: str, value: str) -> int | None:
    """Return the number of rows that the commit with a mark has written; None without such a commit."""
    recent = " LIMIT 1000" if key == _WRITE else ""  # the commit of this write is recent
    history = spark.sql(f"DESCRIBE HISTORY {name_delta_table(target)}{recent}")
    marked = F.get_json_object("userMetadata", f"$['{key}']") == F.lit(value)
    metrics = history.where(marked).select("operationMetrics").collect()
    if not metrics and _read_properties(spark, target).get(key) == value:
        metrics = history.where("version = 0").select("operationMetrics").collect()
    return int((metrics[0][0] or {}).get("numOutputRows", 0)) if metrics else None
