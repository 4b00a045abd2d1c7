"""Conversion between schemas and Spark's DDL (``id bigint not null, note string``), without pyspark."""

from __future__ import annotations

import re
from itertools import starmap
from typing import Any

import numpy as np

from sparksig.convert import build_loss, find_lost_names, list_names, report_duplicates, walk_schema
from sparksig.convert.ddl_reader import read_columns
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import Code, ConversionError, Finding, name_type, quote
from sparksig.lattice import MODEL_TYPE, NULL, Field
from sparksig.narrowing import build_null_finding, find_narrowest_type
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, DataType, Property, SparkMLVector, Type, describe
from sparksig.walks import fold

LOST_TO_DDL: dict[str, str] = {
    "SparkML vector": "comes back as Array(double)",
    "a column without a name": "comes back with its number as name",
    "an integer name": "comes back as a string",
    "tensor": "comes back as a column: DDL cannot express its dtype and shape",
    "tensor of object, complex, long double or timedelta": "refused: Spark has no such type",
}
"""The parts of a schema that ``from_ddl(to_ddl(...))`` changes; each line has a test."""

LOST_FROM_DDL: dict[str, str] = {
    "tinyint, smallint": "come back as int",
    "char, varchar, collations": "come back as string",
    "date, timestamp_ntz": "come back as timestamp",
    "decimal": "comes back as int, bigint or double, the narrowest that holds its digits",
    "void": "comes back as variant (as Any)",
    "order of struct fields": "they come back sorted by name",
    "comments": "dropped",
}
"""The parts of a DDL text that ``to_ddl(from_ddl(...))`` changes; each line has a test."""

# --- DDL -> signature -----------------------------------------------------------------------------------


def from_ddl(text: str) -> Schema:
    """Read a column list in DDL as Spark does.

    A column that is NOT NULL is required. As in Spark, ``struct<...>`` around the list and colons after names
    are accepted. A type without a name is not accepted: Spark would read it as a column ``value``. Names of
    collations are not checked.

    Raises:
        SignatureError: the text is not DDL (with line and column), or has no column.
        ConversionError: types that signatures or Spark do not support, or duplicate names; all are reported.

    Example:
        >>> from_ddl("id bigint not null, tags array<string>")
        ['id': long (required), 'tags': Array(string) (optional)]
    """
    if not isinstance(text, str):
        raise ConversionError(f"from_ddl: expected a text, got {name_type(text)}")
    findings: list[Finding] = []
    columns = read_columns(text, findings)
    specs = [_from_column(column, findings) for column in columns]
    findings += report_duplicates([column.name for column in columns])
    if findings:
        raise ConversionError.of("no signature for this DDL", findings)
    return Schema([spec for spec in specs if spec is not None])


def _from_column(column: Field, findings: list[Finding]) -> ColSpec | None:
    if column.source == NULL and not column.nullable:
        findings.append(build_null_finding(quote(column.name)))
    dtype = find_narrowest_type(column.source, quote(column.name), findings)
    return None if dtype is None else ColSpec(dtype, column.name, required=not column.nullable)


# --- signature -> DDL -----------------------------------------------------------------------------------

SPARK_NAMES = {
    "null": "void", "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int",
    "int64": "bigint", "uint8": "smallint", "uint16": "int", "uint32": "bigint", "uint64": "decimal(20,0)",
    "float16": "float", "float32": "float", "float64": "double", "date32": "date", "date64": "date",
    "timestamp_tz": "timestamp", "timestamp": "timestamp_ntz", "large_string": "string",
    "string_view": "string", "large_binary": "binary", "binary_view": "binary", "fixed_size_binary": "binary",
}  # fmt: skip
"""Spark's names for the scalar source types whose names differ."""

_TEXTS = {"str": "string", "bytes": "binary"}


def name_scalar(dtype: DataType) -> str:
    """Return Spark's name for a scalar type."""
    return "timestamp" if dtype is DataType.datetime else SPARK_NAMES.get(MODEL_TYPE[dtype], dtype.name)


def name_element(dtype: np.dtype[Any]) -> str | None:
    """Return Spark's name for the type of a tensor's elements; None if Spark has no such type."""
    is_timestamp = dtype.kind == "M" and np.datetime_data(dtype)[1] == 1
    return "timestamp" if is_timestamp else _TEXTS.get(dtype.name) or SPARK_NAMES.get(dtype.name)


def to_ddl(schema: Schema) -> str:
    """Return the columns of a schema as a column list in Spark's DDL; Any needs Spark 4.0 or newer.

    A required column is NOT NULL; a tensor of rank r is a column of r-1 nested arrays.
    :data:`LOST_TO_DDL` lists the details that DDL cannot express.

    Example:
        >>> from sparksig.types import Array
        >>> to_ddl(Schema([ColSpec("long", "id"), ColSpec(Array("string"), "odd name", required=False)]))
        'id bigint not null, `odd name` array<string>'
    """
    schema = from_mlflow(schema)
    if not isinstance(schema, Schema):
        raise ConversionError(f"to_ddl: expected a Schema, got {name_type(schema)}")
    findings: list[Finding] = []
    columns = []
    for name, spec in zip(list_names(schema, findings), schema):
        text = format_spark_type(spec if isinstance(spec, TensorSpec) else spec.type, quote(name), findings)
        columns.append(f"{_quote_name(name)} {text}{' not null' if spec.required else ''}")
    if findings:
        raise ConversionError.of("no DDL for this schema", findings)
    return ", ".join(columns)


def format_spark_type(dtype: Type | TensorSpec, path: str, findings: list[Finding]) -> str:
    """Return Spark's name for a type, or for one row of a tensor."""
    if isinstance(dtype, TensorSpec):
        return _format_tensor_type(dtype, path, findings)
    return fold(
        dtype,
        leaf=lambda part, _: (
            name_scalar(part) if isinstance(part, DataType) else _NON_SCALAR_NAMES[type(part)]
        ),
        array=lambda item: f"array<{item}>",
        map=lambda value: f"map<string, {value}>",
        object=lambda fields, _: f"struct<{', '.join(starmap(_format_field, fields))}>",
    )


_NON_SCALAR_NAMES: dict[type, str] = {AnyType: "variant", SparkMLVector: "array<double>"}


def _format_field(prop: Property, dtype: str) -> str:
    return f"{_quote_name(prop.name)}: {dtype}{' not null' if prop.required else ''}"


def _format_tensor_type(spec: TensorSpec, path: str, findings: list[Finding]) -> str:
    element = name_element(spec.type)
    if element is None:
        expected = "a dtype that Spark has a type for"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, expected, spec.type.name))
        element = "void"
    rank = max(len(spec.shape) - 1, 0)
    return "array<" * rank + element + ">" * rank


def _quote_name(name: str) -> str:
    is_word = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
    return name if is_word else "`" + name.replace("`", "``") + "`"


def find_losses_in_ddl(schema: Schema) -> list[Finding]:
    """Return the parts of a schema that :func:`to_ddl` cannot express."""
    findings = find_lost_names(schema)
    for path, dtype in walk_schema(schema):
        if isinstance(dtype, TensorSpec):
            declared = f"Tensor({dtype.type.name!r}, {dtype.shape!r})"
            findings.append(build_loss(path, declared, format_spark_type(dtype, path, [])))
        elif isinstance(dtype, SparkMLVector):
            findings.append(build_loss(path, describe(dtype), "array<double>"))
    return findings
