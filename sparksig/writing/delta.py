"""Delta tables as targets: what is there, what they refuse, commits that are made once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import Code, Finding, below
from sparksig.spark.bind import column
from sparksig.tables.delta import Existing, delta_name, is_path, read_delta

__all__ = ["Commit", "commit", "committed", "counts", "noted", "refusals"]


# --- the dry run ------------------------------------------------------------------------------------------

_SPECIAL = frozenset(" ,;{}()\n\t=")


def refusals(spark: SparkSession, given: T.StructType, there: Existing | None, mode: str) -> list[Finding]:
    """What Delta does not take, whatever the values: overwrites of some tables, some names."""
    found, properties = [], {} if there is None else there.properties
    if mode == "overwrite" and str(properties.get("delta.appendOnly", "false")).lower() == "true":
        hint = "the table's property delta.appendOnly is true"
        found.append(Finding(Code.INVALID_VALUE, "mode", "append", "overwrite", hint))
    key = "columnMapping.mode"
    if there is None:
        mapping = spark.conf.get(f"spark.databricks.delta.properties.defaults.{key}", None)
        hint = f"rename it, or create the table with the property delta.{key}=name first"
    else:
        mapping = properties.get(f"delta.{key}")
        hint = f"rename it, or set the table's property delta.{key}=name"
    if mapping not in ("name", "id"):
        expected = "a name without blanks, tabs, line ends and ,;{}()="
        odd = [path for path, name in _names(given, "") if _SPECIAL & set(name)]
        found += [Finding(Code.INVALID_NAME, path, expected, "one that has such", hint) for path in odd]
    return found


def _names(dtype: T.DataType, path: str) -> list[tuple[str, str]]:
    """The paths and names of all fields of a type."""
    if isinstance(dtype, T.ArrayType):
        return _names(dtype.elementType, f"{path}[]")
    if isinstance(dtype, T.MapType):
        return _names(dtype.keyType, f"{path}[]") + _names(dtype.valueType, f"{path}[]")
    if not isinstance(dtype, T.StructType):
        return []
    named = [(below(path, field.name), field) for field in dtype.fields]
    return [one for where, field in named for one in [(where, field.name), *_names(field.dataType, where)]]


# --- commits ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Commit:
    """How rows are to be committed.

    Attributes:
        target: the path, or the name, of the table.
        mode: "error", "append" or "overwrite".
        exists: whether the table is there.
        run_id: names the run; Delta takes it once.
        by: columns to partition by.
        evolve: let the table's schema change.
        note: what is to be known of the run later.
    """

    target: str
    mode: str
    exists: bool
    run_id: str | None = None
    by: Sequence[str] = ()
    evolve: bool = False
    note: str = ""


_RUN, _WRITE, _NOTE = "sparksig.run_id", "sparksig.write", "sparksig.note"
"""What marks a commit, or a table by the commit that created it: run, the call that made it, a note."""


def counts(spark: SparkSession) -> bool:
    """Whether Delta notes how many rows a commit has written."""
    return str(spark.conf.get("spark.databricks.delta.history.metricsEnabled", "true")).lower() == "true"


def commit(sent: DataFrame, how: Commit) -> int | None:
    """Commit rows, and count them; None if the table has this run already, of whomever.

    The count is 0 where Delta notes none (:func:`counts`).
    """
    spark, token = sent.sparkSession, uuid.uuid4().hex
    mark = {_RUN: how.run_id or token, _WRITE: token} | ({_NOTE: how.note} if how.note else {})
    try:
        _save(sent, how, mark)
    except Exception:  # Delta's, of many classes, where another writer of the same run was faster
        if how.run_id is None or not _has_come(spark, how):
            raise
    return _rows(spark, how.target, _WRITE, token)


def committed(spark: SparkSession, target: str, run_id: str) -> bool:
    """Whether a Delta table has a run already."""
    return _rows(spark, target, _RUN, run_id) is not None


def noted(spark: SparkSession, target: str, run_id: str) -> str:
    """What was noted of a run that a Delta table has; empty if nothing."""
    metadata = F.col("userMetadata")
    marked = F.get_json_object(metadata, f"$['{_RUN}']") == F.lit(run_id)
    history = spark.sql(f"DESCRIBE HISTORY {delta_name(target)}").where(marked)
    told = history.select(F.get_json_object(metadata, f"$['{_NOTE}']")).collect()
    if not told and not is_path(target):
        [detail] = spark.sql(f"DESCRIBE DETAIL {delta_name(target)}").select("properties").collect()
        properties = detail[0] or {}
        return str(properties.get(_NOTE, "")) if properties.get(_RUN) == run_id else ""
    return str(told[0][0] or "") if told else ""


def _save(sent: DataFrame, how: Commit, mark: Mapping[str, str]) -> None:
    options = {"partitionOverwriteMode": "static", "userMetadata": json.dumps(mark)}
    if how.run_id is not None:  # so that of two that run at once, one writes
        options |= {"txnAppId": how.run_id, "txnVersion": "1"}
    if how.evolve:
        options["overwriteSchema" if how.mode == "overwrite" else "mergeSchema"] = "true"
    replaced = how.exists and how.mode == "overwrite" and how.evolve
    if is_path(how.target) or replaced:
        writer = sent.write.format("delta").mode(how.mode).options(**options)
        writer = writer.partitionBy(*how.by) if how.by else writer
        return writer.save(how.target) if is_path(how.target) else writer.saveAsTable(how.target)
    named = sent.writeTo(how.target).options(**options)
    if how.exists:
        return named.append() if how.mode == "append" else named.overwrite(F.lit(True))
    named = named.using("delta")
    for key, value in mark.items():  # as a table is created by its name, Delta takes no mark of the commit
        named = named.tableProperty(key, value)
    by = [column(name) for name in how.by]
    return (named.partitionedBy(*by) if by else named).create()


def _has_come(spark: SparkSession, how: Commit) -> bool:
    """Whether a run is in the table, after a commit of it has failed."""
    created = not is_path(how.target) and not how.exists  # catalogs learn of a table after its first commit
    for wait in (0.0, 0.5, 1.0, 2.0, 4.0) if created else (0.0,):
        time.sleep(wait)
        if read_delta(spark, how.target) is not None:
            return _rows(spark, how.target, _RUN, str(how.run_id)) is not None
    return False


def _rows(spark: SparkSession, target: str, key: str, value: str) -> int | None:
    """How many rows the commit with a mark has written; None if there is none."""
    recent = " LIMIT 1000" if key == _WRITE else ""  # one's own commit is not far back
    history = spark.sql(f"DESCRIBE HISTORY {delta_name(target)}{recent}")
    marked = F.get_json_object("userMetadata", f"$['{key}']") == F.lit(value)
    told = history.where(marked).select("operationMetrics").collect()
    if not told and not is_path(target):
        [detail] = spark.sql(f"DESCRIBE DETAIL {delta_name(target)}").select("properties").collect()
        if (detail[0] or {}).get(key) == value:
            told = history.where("version = 0").select("operationMetrics").collect()
    return int((told[0][0] or {}).get("numOutputRows", 0)) if told else None
