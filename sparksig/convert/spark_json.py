"""Conversion between Spark's JSON of fields and the source types of the casting table, without pyspark.

Spark stores this JSON in the footers of Parquet files and in the log of Delta tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparksig.convert.ddl import SPARK_NAMES
from sparksig.convert.ddl_reader import read_columns
from sparksig.errors import Finding
from sparksig.lattice import Decimal, Field, ListOf, MapOf, Source, Struct

_JSON_NAMES = {"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long"}
"""The names of types in Spark's JSON that differ from the names in DDL."""

_DDL_NAMES = {json_name: name for name, json_name in _JSON_NAMES.items()}


def read_spark_field(body: Mapping[str, Any]) -> Field:
    """Read a field from Spark's JSON.

    Example:
        >>> read_spark_field({"name": "a", "type": "long", "nullable": False})
        Field(name='a', source=Scalar(name='int64', native='bigint'), nullable=False)
    """
    return Field(str(body["name"]), _read_type(body["type"]), bool(body["nullable"]))


def _read_type(body: Any) -> Source:
    if isinstance(body, str):
        findings: list[Finding] = []
        [column] = read_columns(f"x {_DDL_NAMES.get(body, body)}", findings)
        if findings:
            raise ValueError(body)
        return column.source
    if body["type"] == "array":
        return ListOf(_read_type(body["elementType"]), nullable=bool(body["containsNull"]))
    if body["type"] == "map":
        key, value = _read_type(body["keyType"]), _read_type(body["valueType"])
        return MapOf(key, value, nullable=bool(body["valueContainsNull"]))
    if body["type"] == "struct":
        return Struct(tuple(map(read_spark_field, body["fields"])))
    if body["type"] == "udt" and str(body.get("class", "")).endswith("VectorUDT"):
        return Struct((), "vector")
    raise ValueError(body["type"])


def write_spark_field(field: Field, *, lengths: bool = True) -> dict[str, Any]:
    """Write a field as Spark's JSON; without lengths, char and varchar are plain strings, as in a DataFrame.

    Example:
        >>> write_spark_field(Field("a", ListOf(Decimal(10, 2))))["type"]["elementType"]
        'decimal(10,2)'
    """
    return {
        "name": field.name,
        "type": _write_type(field.source, lengths),
        "nullable": field.nullable,
        "metadata": {},
    }


def _write_type(source: Source, lengths: bool) -> Any:
    if isinstance(source, ListOf):
        return {
            "type": "array",
            "elementType": _write_type(source.item, lengths),
            "containsNull": source.nullable,
        }
    if isinstance(source, MapOf):
        key, value = _write_type(source.key, lengths), _write_type(source.value, lengths)
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": source.nullable}
    if isinstance(source, Struct):
        return source.kind or {
            "type": "struct",
            "fields": [write_spark_field(part, lengths=lengths) for part in source.fields],
        }
    if isinstance(source, Decimal):
        return str(source)
    if source.max_length is not None and lengths:
        return source.native
    name = None if source.name == "uint64" else SPARK_NAMES.get(source.name)
    return _JSON_NAMES.get(name, name) if name else source.native or source.name
