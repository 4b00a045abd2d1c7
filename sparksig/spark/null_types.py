"""Columns of the null type in Parquet files, which Spark reads as int.

pandas and pyarrow write a column without any value as the null type. Spark has no such type in Parquet, and
reads the column as int. Only the files' footers say what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from sparksig.convert.spark import source
from sparksig.lattice import find_mismatches
from sparksig.schema import ColSpec, Schema

__all__ = ["restore_null_types"]


def restore_null_types(df: DataFrame, schema: Schema) -> T.StructType:
    """Return the schema of a table, where columns of the null type in its Parquet files have that type.

    The footers are read only if Spark has an optional column as int, and int does not fit. A computed column
    has the type that Spark says. So has every column of a Spark Connect session, which does not say where a
    column comes from.

    Args:
        df: the table.
        schema: what a contract declares.
    """
    table = df.schema
    optional = {str(spec.name): spec for spec in schema if isinstance(spec, ColSpec) and not spec.required}
    names = [
        field.name
        for field in table.fields
        if isinstance(field.dataType, T.IntegerType)
        and field.name in optional
        and find_mismatches(source(field.dataType), optional[field.name].type, "", False)
    ]
    if not names or getattr(df, "_jdf", None) is None:
        return table
    nulls = {name for name, files in _files_of(df, names) if files and _are_null_typed(name, files)}
    return T.StructType(
        [T.StructField(one.name, T.NullType()) if one.name in nulls else one for one in table.fields]
    )


def _files_of(df: DataFrame, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The Parquet files that a table's columns come from, unchanged."""
    plan: Any = df._jdf.queryExecution().analyzed()
    ids = {one.exprId().id(): one.name() for one in _listed(plan.output()) if one.name() in names}
    for leaf in _listed(plan.collectLeaves()):
        if leaf.getClass().getSimpleName() != "LogicalRelation":
            continue
        relation = leaf.relation()
        if relation.getClass().getSimpleName() != "HadoopFsRelation":
            continue
        if relation.fileFormat().getClass().getSimpleName() != "ParquetFileFormat":
            continue
        found = [ids[one.exprId().id()] for one in _listed(leaf.output()) if one.exprId().id() in ids]
        files = list(relation.location().inputFiles()) if found else []
        yield from ((name, files) for name in found)


def _listed(sequence: Any) -> list[Any]:
    return [sequence.apply(index) for index in range(sequence.size())]


def _are_null_typed(name: str, files: list[str]) -> bool:
    with ThreadPoolExecutor(16) as pool:
        return all(pool.map(lambda file: _is_null_typed(name, file), files))


def _is_null_typed(name: str, file: str) -> bool:
    try:
        if file.startswith("file:/"):  # percent-encoded, as Spark writes it
            store, place = pafs.LocalFileSystem(), unquote(file).removeprefix("file:").replace("///", "/", 1)
        else:
            store, place = pafs.FileSystem.from_uri(file)
        held = pq.read_schema(place, filesystem=store)
    except (pa.ArrowException, OSError):  # which Spark reports when it reads it
        return False
    return bool(held.get_field_index(name) >= 0 and pa.types.is_null(held.field(name).type))
