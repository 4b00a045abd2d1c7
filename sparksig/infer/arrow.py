"""Arrow tables, batches and arrays -> columns, and whatever lends its data by the Arrow PyCapsule interface.

Types are read off. Only whether something is required depends on the data: a null makes a column
optional, and a field of a struct likewise, all of them where a struct itself is null (as the properties
of dictionaries beside a None are). What a schema says is never null is required.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.arrow import TENSOR_KEY, from_arrow, read_arrow, source
from sparksig.errors import Code, ConversionError, Finding, InferenceError, step
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, Map, Object, Property, SparkMLVector, Type

__all__ = ["column_type", "from_batches", "observe_nulls", "with_nulls"]


def from_batches(example: Any) -> Schema:
    """The schema of a table's columns, or of one array (an unnamed column).

    Args:
        example: a pyarrow Table, RecordBatch, ChunkedArray or Array, or anything with
            ``__arrow_c_stream__`` or ``__arrow_c_array__``. A stream is read once.

    Raises:
        InferenceError: no column, columns of one name, or types that no signature has; every finding.

    Example:
        >>> from_batches(pa.table({"id": [1, 2], "price": pa.array([1.5, None], pa.float32())}))
        ['id': long (required), 'price': float (optional)]
    """
    try:
        table, name = read_arrow(example)
    except ConversionError as error:
        raise InferenceError(error.message, error.findings) from None
    if isinstance(table, pa.ChunkedArray):
        return _from_column(table, name)
    findings = report_duplicates(table.schema.names)
    for name, dtype in zip(table.schema.names, getattr(example, "dtypes", ())):
        if str(dtype) == "Object":  # of Polars, which lends its Python objects as bytes
            hint = "convert it explicitly, or leave it out"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, step(name), "a supported type", "Object", hint))
    if not table.schema.names:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if any(TENSOR_KEY.encode() in (part.metadata or {}) for part in table.schema):
        return _from_schema(table.schema)
    specs = []
    for part, column in zip(table.schema, map(with_nulls, table.columns)):
        dtype = column_type(column, step(part.name), findings)
        if dtype is not None:
            specs.append(ColSpec(dtype, part.name, required=column.null_count == 0))
    if findings:
        raise InferenceError.of("no signature for this table", findings)
    return Schema(specs)


def _from_column(column: pa.ChunkedArray, name: str | None) -> Schema:
    findings: list[Finding] = []
    column = with_nulls(column)
    dtype = column_type(column, "" if name is None else step(name), findings)
    if column.null_count and name is None:
        hint = "a column without a name must be required: make a table of it, with a name"
        findings.append(Finding(Code.INVALID_NAME, "", "a name for a column with nulls", "none", hint))
    if findings or dtype is None:
        raise InferenceError.of("no signature for this array", findings)
    return Schema([ColSpec(dtype, name, required=column.null_count == 0)])


def column_type(column: pa.ChunkedArray, path: str, findings: list[Finding]) -> Type | None:
    """The type of a column; properties that the data shows to be null are optional, at every depth."""
    try:
        dtype = find_narrowest_type(source(column.type), path, findings)
        return None if dtype is None else observe_nulls(dtype, column.chunks)
    except RecursionError:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "fewer levels of nesting", "more"))
        return None


def observe_nulls(dtype: Type, arrays: Sequence[pa.Array]) -> Type:
    """Return a type with the properties optional that are null somewhere in the data, at every depth.

    A null struct makes all of its properties optional, as None beside dictionaries does.

    Args:
        dtype: the type of the column.
        arrays: its chunks.
    """
    arrays = [_decoded(array) for array in arrays]
    if isinstance(dtype, Object) and all(pa.types.is_struct(array.type) for array in arrays):
        whole = not any(array.null_count for array in arrays)
        held = [_drop_nulls(array) for array in arrays]
        properties = []
        for prop in dtype.properties:
            parts = [_child(array, prop.name) for array in held]
            required = whole and not any(part.null_count for part in parts)
            properties.append(Property(prop.name, observe_nulls(prop.dtype, parts), required))
        return Object(properties)
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        return Array(observe_nulls(dtype.dtype, [array.flatten() for array in arrays]))
    if isinstance(dtype, Map):
        return Map(observe_nulls(dtype.value_type, [_items(array) for array in arrays]))
    return dtype


def with_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column that counts its nulls: those of a dictionary's values as well."""
    if not pa.types.is_dictionary(column.type) or not any(one.dictionary.null_count for one in column.chunks):
        return column
    return pa.chunked_array([_decoded(one) for one in column.chunks])


def _decoded(array: pa.Array) -> pa.Array:
    """The array itself, unless it is a dictionary that hides nulls or nested values."""
    if not pa.types.is_dictionary(array.type):
        return array
    values = array.dictionary
    if pa.types.is_nested(values.type) or values.null_count:
        try:
            return array.dictionary_decode()
        except pa.ArrowNotImplementedError:  # of views
            return _rebuild(array.to_pylist(), values.type)
    return array


def _drop_nulls(array: pa.Array) -> pa.Array:
    if not array.null_count:
        return array
    try:
        return array.drop_null()
    except pa.ArrowNotImplementedError:  # of views
        return _rebuild([value for value in array.to_pylist() if value is not None], array.type)


def _rebuild(values: list[Any], dtype: pa.DataType) -> pa.Array:
    """Return an array of a type; of an equivalent one where pyarrow cannot build it (run-end encoded)."""
    try:
        return pa.array(values, dtype)
    except pa.ArrowNotImplementedError:
        return pa.array(values)


def _child(array: pa.StructArray, name: str) -> pa.Array:
    return array.flatten()[array.type.get_field_index(name)]


def _items(array: pa.MapArray) -> pa.Array:
    offsets = array.offsets  # into the items, which a slice has all of
    first, last = (offsets[0].as_py(), offsets[-1].as_py()) if len(offsets) else (0, 0)
    return array.items.slice(first, last - first)


def _from_schema(schema: pa.Schema) -> Schema:
    """By the schema alone: its metadata describes tensors, which are always required."""
    try:
        return from_arrow(schema)
    except ConversionError as error:
        raise InferenceError.of("no signature for this table", error.findings) from None
