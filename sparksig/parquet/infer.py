"""A signature from some rows of a Parquet table, with what was seen of each column."""

from __future__ import annotations

import os

import pyarrow as pa

from sparksig.convert.arrow import TENSOR_KEY, from_arrow
from sparksig.errors import ContractError, ConversionError, InferenceError, SignatureError
from sparksig.parquet.files import Table, open_table
from sparksig.parquet.judge import compare_files, missing_columns, twins
from sparksig.parquet.rows import rows_of
from sparksig.sampling import Choice, SampledSignature, signature_of
from sparksig.schema import ColSpec, Schema
from sparksig.tables.readers import kept_metadata
from sparksig.types import Array, Map, Object, Property, SparkMLVector, Type

__all__ = ["infer_parquet"]


def infer_parquet(
    path: str | os.PathLike[str],
    *,
    rows: int = 10_000,
    seed: int = 0,
    columns: list[str] | None = None,
    method: str = "partitions",
) -> SampledSignature:
    """The signature of a Parquet table, as far as some of its rows show it; read by pyarrow, without Spark.

    The types are the table's; a column, or a field of a struct, is optional where nulls were seen.

    Args:
        path: a file, a directory of files, or a URI of an object store.
        rows: how many rows are looked at, at most.
        seed: of their choice: the same rows for the same seed and the same files.
        columns: the columns to take; all of them, if None.
        method: "partitions": the first rows of some row groups; "uniform": each row as likely as any other.

    Returns:
        The signature, and the evidence for each column; ``signature.inputs`` are the columns.

    Raises:
        InferenceError: types that no signature has, columns of one name, files that differ; all of them.
        ContractError: an argument is not what it should be.
        TableNotFoundError: there is no Parquet table.
        UnsupportedError: a Delta table.

    Example:
        >>> import tempfile
        >>> import pyarrow.parquet
        >>> table = pa.table({"id": [1, 2], "price": [9.5, None]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyarrow.parquet.write_table(table, f"{folder}/orders.parquet")
        ...     print(infer_parquet(folder))
        'id': long (required): 0 nulls in 2 rows of 1 row groups
        'price': double (optional): 1 nulls in 2 rows of 1 row groups
    """
    choice = Choice(rows, seed=seed, method=method)
    table = open_table(path)
    names = table.schema.names if columns is None else list(columns)
    missing = [name for name in names if name not in table.schema.names]
    if not names:
        what = "the table has no columns" if columns is None else "columns names at least one column"
        raise ContractError(f"{table.place}: {what}")
    if missing:
        raise ContractError.of(
            "columns names columns of the table", missing_columns(missing, table.schema.names)
        )
    findings = twins(table.schema, names) + compare_files(table, names)
    if findings:
        raise InferenceError.of(f"no signature for the table {table.place!r}", findings)
    try:
        declared = _table_types(pa.schema([table.schema.field(name) for name in names]), table)
    except (ConversionError, SignatureError) as error:
        raise InferenceError(error.message, error.findings) from None
    looked = rows_of(table, names, choice)
    target = pa.schema([table.schema.field(name) for name in names])
    seen = pa.Table.from_batches([_alike(part.batch, target) for part in looked.parts], target)
    groups = looked.opened if method == "partitions" else None
    return signature_of(declared, seen, groups, "row groups")


def _alike(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    """A batch with what is held in another way in its file (text as a dictionary) as in the first one."""
    arrays = [
        values if values.type == part.type else values.cast(part.type)
        for values, part in zip(batch.columns, target)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


def _table_types(fields: pa.Schema, table: Table) -> Schema:
    """Some columns of a table by their types alone, and as tensors where Spark has kept what they are.

    Raises:
        ConversionError: types that no signature has; all of them.
        SignatureError: there are none, or two of one name.
    """
    kept = kept_metadata(table.files[0].kept)
    tensors = {name: str(held[TENSOR_KEY]) for name, held in kept.items() if TENSOR_KEY in held}
    parts = [
        part.with_metadata({TENSOR_KEY: tensors[part.name]}) if part.name in tensors else part
        for part in fields
    ]
    return _all_optional(from_arrow(pa.schema(parts)))


def _all_optional(schema: Schema) -> Schema:
    """A schema whose columns and properties are all optional, as those of a table that promises nothing."""
    if schema.is_tensor_spec():
        return schema
    return Schema([ColSpec(_optional(spec.type), spec.name, required=False) for spec in schema])


def _optional(dtype: Type) -> Type:
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        return Array(_optional(dtype.dtype))
    if isinstance(dtype, Map):
        return Map(_optional(dtype.value_type))
    if isinstance(dtype, Object):
        return Object(
            [Property(prop.name, _optional(prop.dtype), required=False) for prop in dtype.properties]
        )
    return dtype
