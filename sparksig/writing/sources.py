"""The files that a DataFrame reads, and whether a write would change them."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame

from sparksig.errors import Code, Finding
from sparksig.spark.hadoop import HadoopPath, is_connect, list_items


def find_source_overlap(df: DataFrame, target: str) -> list[Finding]:
    """Report that a DataFrame reads the path that it will be written to, or a parent or child of this path.

    Views, tables, cached DataFrames, joins and subqueries are inspected. On Spark Connect, cached files and
    files that only a subquery reads are not detected.
    """
    if is_connect(df):
        path = _extract_path(target)
        overlaps = any(_extract_path(unquote(file)).startswith(f"{path}/") for file in df.inputFiles())
    else:
        output = HadoopPath.qualify(df.sparkSession, target)
        sources = [HadoopPath.qualify(df.sparkSession, path) for path in _list_source_paths(df)]
        overlaps = any(source.is_in(output) or output.is_in(source) for source in sources)
    if not overlaps:
        return []
    hint = "write to another path, and rename it afterwards"
    expected, actual = "a target that the DataFrame does not read", "the DataFrame reads files of the target"
    return [Finding(Code.INVALID_VALUE, "", expected, actual, hint)]


def _extract_path(uri: str) -> str:
    """Return the path of a URI without its scheme; links on this machine are followed."""
    scheme, _, name = uri.rpartition(":") if re.match(r"[A-Za-z][\w+.-]*:", uri) else ("", "", uri)
    path = re.sub(r"^//[^/]*", "", name) if scheme else name
    return os.path.realpath(path) if scheme in ("", "file") else path.rstrip("/")


def _list_source_paths(df: DataFrame) -> set[str]:
    """Return the files and directories that the plan of a DataFrame reads, before Spark optimizes it.

    The optimized plan lacks the files of cached DataFrames and of branches without rows.
    """
    frame: Any = df
    plan = frame._jdf.queryExecution().analyzed()
    plans = [plan, *list_items(plan.subqueriesAll())]
    return {
        path for plan in plans for leaf in list_items(plan.collectLeaves()) for path in _list_leaf_paths(leaf)
    }


def _list_leaf_paths(leaf: Any) -> list[str]:
    """Return the paths that a leaf of a plan reads; empty if it reads no files."""
    kind = leaf.getClass().getSimpleName()
    if kind == "HiveTableRelation":
        return [str(leaf.tableMeta().location().toString())]
    if kind == "LogicalRelation" and leaf.relation().getClass().getSimpleName() == "HadoopFsRelation":
        index = leaf.relation().location()
    elif kind == "DataSourceV2Relation" and _is_file_table(leaf.table()):
        index = leaf.table().fileIndex()
    else:
        return []
    return [str(path.toString()) for path in list_items(index.rootPaths())]


def _is_file_table(table: Any) -> bool:
    """Return whether a table of Spark's second API for sources reads files."""
    return bool(table.getClass().getSuperclass().getSimpleName() == "FileTable")
