"""Inference of columns from Arrow tables, batches and arrays, also through the Arrow PyCapsule interface.

Types come from the Arrow schema. Whether a column or a field is required depends on the data: a null makes it
optional, and a null struct makes all of its fields optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.arrow import from_arrow, read_arrow, to_source
from sparksig.convert.fields import TENSOR_KEY
from sparksig.errors import Code, ConversionError, Finding, InferenceError, quote
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, Map, Object, Property, SparkMLVector, Type


def from_batches(example: Any) -> Schema:
    """Infer the columns of a table, or one unnamed column from an array.

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
        if str(dtype) == "Object":  # Polars exports Python objects as bytes
            hint = "convert it explicitly, or drop it"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, quote(name), "a supported type", "Object", hint))
    if not table.schema.names:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if any(TENSOR_KEY.encode() in (field.metadata or {}) for field in table.schema):
        return _from_schema(table.schema)
    specs = []
    for field, column in zip(table.schema, map(count_dictionary_nulls, table.columns)):
        dtype = infer_column_type(column, quote(field.name), findings)
        if dtype is not None:
            specs.append(ColSpec(dtype, field.name, required=column.null_count == 0))
    if findings:
        raise InferenceError.of("no signature for this table", findings)
    return Schema(specs)


def _from_column(column: pa.ChunkedArray, name: str | None) -> Schema:
    findings: list[Finding] = []
    column = count_dictionary_nulls(column)
    dtype = infer_column_type(column, "" if name is None else quote(name), findings)
    if column.null_count and name is None:
        hint = "name it, in a table: a column without a name must be required"
        findings.append(Finding(Code.INVALID_NAME, "", "a name for a column with nulls", "none", hint))
    if findings or dtype is None:
        raise InferenceError.of("no signature for this array", findings)
    return Schema([ColSpec(dtype, name, required=column.null_count == 0)])


def infer_column_type(column: pa.ChunkedArray, path: str, findings: list[Finding]) -> Type | None:
    """Infer the type of a column; properties with nulls in the data are optional, at every depth."""
    try:
        dtype = find_narrowest_type(to_source(column.type), path, findings)
        return None if dtype is None else observe_nulls(dtype, column.chunks)
    except RecursionError:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "fewer levels of nesting", "more"))
        return None


def observe_nulls(dtype: Type, arrays: Sequence[pa.Array]) -> Type:
    """Make the properties optional that are null in some row, at every depth.

    A null struct makes all of its properties optional.
    """
    arrays = [_decode_nested(array) for array in arrays]
    if isinstance(dtype, Object) and all(pa.types.is_struct(array.type) for array in arrays):
        has_no_nulls = not any(array.null_count for array in arrays)
        structs = [_drop_nulls(array) for array in arrays]
        properties = []
        for prop in dtype.properties:
            parts = [_get_child(array, prop.name) for array in structs]
            required = has_no_nulls and not any(part.null_count for part in parts)
            properties.append(Property(prop.name, observe_nulls(prop.dtype, parts), required))
        return Object(properties)
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        return Array(observe_nulls(dtype.dtype, [array.flatten() for array in arrays]))
    if isinstance(dtype, Map):
        return Map(observe_nulls(dtype.value_type, [_get_items(array) for array in arrays]))
    return dtype


def count_dictionary_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose null count includes the nulls among the values of a dictionary."""
    if not pa.types.is_dictionary(column.type):
        return column
    if not any(chunk.dictionary.null_count for chunk in column.chunks):
        return column
    return pa.chunked_array([_decode_nested(chunk) for chunk in column.chunks])


def _decode_nested(array: pa.Array) -> pa.Array:
    """Decode a dictionary of nested values, or with nulls among its values; return other arrays unchanged."""
    if not pa.types.is_dictionary(array.type):
        return array
    values = array.dictionary
    if pa.types.is_nested(values.type) or values.null_count:
        try:
            return array.dictionary_decode()
        except pa.ArrowNotImplementedError:  # raised for views
            return _rebuild(array.to_pylist(), values.type)
    return array


def _drop_nulls(array: pa.Array) -> pa.Array:
    if not array.null_count:
        return array
    try:
        return array.drop_null()
    except pa.ArrowNotImplementedError:  # raised for views
        return _rebuild([value for value in array.to_pylist() if value is not None], array.type)


def _rebuild(values: list[Any], dtype: pa.DataType) -> pa.Array:
    """Build an array of a type, or of an equivalent type if pyarrow cannot build it (run-end encoded)."""
    try:
        return pa.array(values, dtype)
    except pa.ArrowNotImplementedError:
        return pa.array(values)


def _get_child(array: pa.StructArray, name: str) -> pa.Array:
    return array.flatten()[array.type.get_field_index(name)]


def _get_items(array: pa.MapArray) -> pa.Array:
    offsets = array.offsets  # a sliced array still has all items
    first, last = (offsets[0].as_py(), offsets[-1].as_py()) if len(offsets) else (0, 0)
    return array.items.slice(first, last - first)


def _from_schema(schema: pa.Schema) -> Schema:
    """Infer tensors, which are always required, from the metadata of the schema."""
    try:
        return from_arrow(schema)
    except ConversionError as error:
        raise InferenceError.of("no signature for this table", error.findings) from None
