"""Spark's DDL (``id bigint not null, items array<string>``) <-> schemas. Pure text: no pyspark, no JVM.

What a text means is said in the casting table's spelling, and the table decides.
"""

from __future__ import annotations

import re
from itertools import starmap

import numpy as np

from sparksig.convert import duplicates, lost, lost_names, places
from sparksig.convert.ddl_reader import read_columns
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import Code, ConversionError, Finding, kind, step
from sparksig.lattice import NULL, Field
from sparksig.narrowing import build_null_finding, find_narrowest_type
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, DataType, Property, SparkMLVector, Type, describe
from sparksig.walks import fold

__all__ = ["LOST_FROM_DDL", "LOST_TO_DDL", "from_ddl", "lost_in_ddl", "spark_type", "to_ddl"]

LOST_TO_DDL: dict[str, str] = {
    "SparkML vector": "comes back as Array(double)",
    "a column without a name": "comes back with its number as name",
    "an integer name": "comes back as a string",
    "tensor": "comes back as a column: DDL has no place for its dtype and shape",
    "tensor of object, complex, long double or timedelta": "refused: Spark has no such type",
}
"""What of a schema does not survive ``from_ddl(to_ddl(...))``; each line is a test."""

LOST_FROM_DDL: dict[str, str] = {
    "tinyint, smallint": "come back as int",
    "char, varchar, collations": "come back as string",
    "date, timestamp_ntz": "come back as timestamp",
    "decimal": "comes back as int, bigint or double, the narrowest that holds its digits",
    "void": "comes back as variant (as Any)",
    "order of struct fields": "they come back sorted by name",
    "comments": "gone",
}
"""What of a DDL text does not survive ``to_ddl(from_ddl(...))``; each line is a test."""

# --- DDL -> signature -----------------------------------------------------------------------------------


def from_ddl(text: str) -> Schema:
    """The schema of a table whose columns a DDL text lists, as Spark reads it.

    A column that is NOT NULL is required. ``struct<...>`` around the list and colons after names are
    taken, too. A type alone is not: Spark makes a column called ``value`` of it. Whether a collation is
    there is for Spark to say.

    Args:
        text: the column list.

    Returns:
        The schema: one column for each that is listed, in their order.

    Raises:
        SignatureError: not DDL, with line and column; no column.
        ConversionError: types that no signature or no Spark has, two columns of one name; all of them.

    Example:
        >>> from_ddl("id bigint not null, tags array<string>")
        ['id': long (required), 'tags': Array(string) (optional)]
    """
    if not isinstance(text, str):
        raise ConversionError(f"from_ddl takes a text, not {kind(text)}")
    findings: list[Finding] = []
    columns = read_columns(text, findings)
    specs = [_from_column(column, findings) for column in columns]
    findings += duplicates([column.name for column in columns])
    if findings:
        raise ConversionError.of("no signature for this DDL", findings)
    return Schema([spec for spec in specs if spec is not None])


def _from_column(column: Field, findings: list[Finding]) -> ColSpec | None:
    if column.source == NULL and not column.nullable:
        findings.append(build_null_finding(step(column.name)))
    dtype = find_narrowest_type(column.source, step(column.name), findings)
    return None if dtype is None else ColSpec(dtype, column.name, required=not column.nullable)


# --- signature -> DDL -----------------------------------------------------------------------------------

_NAMES: dict[DataType, str] = {
    DataType.boolean: "boolean",
    DataType.integer: "int",
    DataType.long: "bigint",
    DataType.float: "float",
    DataType.double: "double",
    DataType.string: "string",
    DataType.binary: "binary",
    DataType.datetime: "timestamp",
}

_ELEMENTS: dict[str, str] = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "int",
    "uint32": "bigint",
    "uint64": "decimal(20,0)",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "str": "string",
    "bytes": "binary",
}


def to_ddl(schema: Schema) -> str:
    """The column list of a schema's table, as Spark reads it (from 4.0 on, where there is Any).

    A required column is NOT NULL; a tensor of rank r is r-1 arrays in each other. What :data:`LOST_TO_DDL`
    lists changes on the way.

    Args:
        schema: of columns or of tensors.

    Returns:
        The text; names that are no plain words stand in backticks.

    Raises:
        ConversionError: Spark has no such type; each as a finding with its path.

    Example:
        >>> from sparksig.types import Array
        >>> to_ddl(Schema([ColSpec("long", "id"), ColSpec(Array("string"), "odd name", required=False)]))
        'id bigint not null, `odd name` array<string>'
    """
    schema = from_mlflow(schema)
    if not isinstance(schema, Schema):
        raise ConversionError(f"to_ddl takes a Schema, not {kind(schema)}")
    names = [str(name) for name in schema.input_names()]
    findings = duplicates(names, "one column of that name as text")
    columns = []
    for name, spec in zip(names, schema):
        text = spark_type(spec if isinstance(spec, TensorSpec) else spec.type, step(name), findings)
        columns.append(f"{_quoted(name)} {text}{' not null' if spec.required else ''}")
    if findings:
        raise ConversionError.of("no DDL for this schema", findings)
    return ", ".join(columns)


def spark_type(dtype: Type | TensorSpec, path: str, findings: list[Finding]) -> str:
    """The name of Spark's type for a type, or for one row of a tensor; what has none is a finding."""
    if isinstance(dtype, TensorSpec):
        return _tensor_type(dtype, path, findings)
    return fold(
        dtype,
        leaf=lambda part, _: _NAMES[part] if isinstance(part, DataType) else _OTHERS[type(part)],
        array=lambda item: f"array<{item}>",
        map=lambda value: f"map<string, {value}>",
        object=lambda fields, _: f"struct<{', '.join(starmap(_field, fields))}>",
    )


_OTHERS: dict[type, str] = {AnyType: "variant", SparkMLVector: "array<double>"}


def _field(prop: Property, dtype: str) -> str:
    return f"{_quoted(prop.name)}: {dtype}{' not null' if prop.required else ''}"


def _tensor_type(spec: TensorSpec, path: str, findings: list[Finding]) -> str:
    plain_time = spec.type.kind == "M" and np.datetime_data(spec.type)[1] == 1
    element = "timestamp" if plain_time else _ELEMENTS.get(spec.type.name)
    if element is None:
        expected = "a dtype that Spark has a type for"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, expected, spec.type.name))
        element = "void"
    rank = max(len(spec.shape) - 1, 0)
    return "array<" * rank + element + ">" * rank


def _quoted(name: str) -> str:
    plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
    return name if plain else "`" + name.replace("`", "``") + "`"


def lost_in_ddl(schema: Schema) -> list[Finding]:
    """What :func:`to_ddl` cannot say of a schema, each with its path."""
    findings = lost_names(schema)
    for path, dtype in places(schema):
        if isinstance(dtype, TensorSpec):
            said = f"Tensor({dtype.type.name!r}, {dtype.shape!r})"
            findings.append(lost(path, said, spark_type(dtype, path, [])))
        elif isinstance(dtype, SparkMLVector):
            findings.append(lost(path, describe(dtype), "array<double>"))
    return findings
