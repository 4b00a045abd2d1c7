"""Columns of the null type in Parquet files, which Spark reads as int.

pandas and pyarrow write a column without any value as the null type. Spark has no such type in Parquet, and
reads the column as int. Only the footers of the files have the true type.
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

from sparksig.convert.spark import to_source
from sparksig.lattice import find_mismatches
from sparksig.schema import ColSpec, Schema
from sparksig.spark.hadoop import list_items


def restore_null_types(df: DataFrame, schema: Schema) -> T.StructType:
    """Return the schema of a table, with the null type of columns that have it in the Parquet files.

    The footers are read only if Spark has an optional column as int, and int does not fit. Computed columns
    keep Spark's type, and so do all columns of a Spark Connect session, which hides the origin of a column.

    Args:
        df: the table.
        schema: the schema of the contract.
    """
    table = df.schema
    optional = {str(spec.name): spec for spec in schema if isinstance(spec, ColSpec) and not spec.required}
    names = [
        field.name
        for field in table.fields
        if isinstance(field.dataType, T.IntegerType)
        and field.name in optional
        and find_mismatches(to_source(field.dataType), optional[field.name].type, "", False)
    ]
    if not names or getattr(df, "_jdf", None) is None:
        return table
    nulls = {name for name, files in _find_files(df, names) if files and _are_null_typed(name, files)}
    return T.StructType(
        [T.StructField(field.name, T.NullType()) if field.name in nulls else field for field in table.fields]
    )


def _find_files(df: DataFrame, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns that are read from Parquet files without a change, with the files."""
    plan: Any = df._jdf.queryExecution().analyzed()
    ids = {
        attribute.exprId().id(): attribute.name()
        for attribute in list_items(plan.output())
        if attribute.name() in names
    }
    for leaf in list_items(plan.collectLeaves()):
        if leaf.getClass().getSimpleName() != "LogicalRelation":
            continue
        relation = leaf.relation()
        if relation.getClass().getSimpleName() != "HadoopFsRelation":
            continue
        if relation.fileFormat().getClass().getSimpleName() != "ParquetFileFormat":
            continue
        attributes = [attribute.exprId().id() for attribute in list_items(leaf.output())]
        columns = [ids[attribute] for attribute in attributes if attribute in ids]
        files = list(relation.location().inputFiles()) if columns else []
        yield from ((name, files) for name in columns)


def _are_null_typed(name: str, files: list[str]) -> bool:
    with ThreadPoolExecutor(16) as pool:
        return all(pool.map(lambda file: _is_null_typed(name, file), files))


def _is_null_typed(name: str, file: str) -> bool:
    try:
        if file.startswith("file:/"):  # percent-encoded, as Spark writes it
            store = pafs.LocalFileSystem()
            location = unquote(file).removeprefix("file:").replace("///", "/", 1)
        else:
            store, location = pafs.FileSystem.from_uri(file)
        schema = pq.read_schema(location, filesystem=store)
    except (pa.ArrowException, OSError):  # Spark reports a damaged file when it reads it
        return False
    return bool(schema.get_field_index(name) >= 0 and pa.types.is_null(schema.field(name).type))
