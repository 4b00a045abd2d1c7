"""Conversion of a table's contract, with its exact types, to other systems, and the losses."""

from __future__ import annotations

import re

import pyarrow as pa

from sparksig.convert import build_loss
from sparksig.convert.arrow import VECTOR_TYPE, to_arrow
from sparksig.convert.arrow import to_source as arrow_to_source
from sparksig.convert.ddl import SPARK_NAMES
from sparksig.errors import Code, ConversionError, Finding, below, quote
from sparksig.lattice import Decimal, Field, ListOf, MapOf, Source, Struct
from sparksig.narrowing import find_narrowest_type
from sparksig.source_walks import list_parts
from sparksig.tables.columns import format_type
from sparksig.tables.contract import Contract
from sparksig.tables.differences import normalize
from sparksig.types import describe

_ARROW: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "date32": pa.date32(),
    "date64": pa.date64(),
    "timestamp_tz": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us"),
    "time": pa.time64("us"),
}


def columns_to_arrow(contract: Contract) -> pa.Schema:
    """Return the Arrow schema of a table's contract, in its exact types.

    Raises:
        ConversionError: Arrow lacks a type; all findings, each with its path.

    Example:
        >>> from sparksig.tables.contract import resolve_contract
        >>> columns_to_arrow(resolve_contract("total decimal(10,2), day date"))
        total: decimal128(10, 2)
        day: date32[day]
    """
    findings: list[Finding] = []
    fields = []
    for column in contract.columns:
        dtype = column.arrow or source_to_arrow(column.field.source, quote(column.name), findings)
        fields.append(pa.field(column.name, dtype, column.field.nullable))
    if findings:
        raise ConversionError.of("no Arrow schema", findings)
    return pa.schema(fields)


def source_to_arrow(source: Source, path: str, findings: list[Finding]) -> pa.DataType:
    """Return the Arrow type of an exact type; add a finding if Arrow has none."""
    if isinstance(source, Decimal):
        return pa.decimal128(source.precision, source.scale)
    if isinstance(source, ListOf):
        item = source_to_arrow(source.item, f"{path}[]", findings)
        return pa.list_(pa.field("item", item, source.nullable))
    if isinstance(source, MapOf):
        key = source_to_arrow(source.key, path, findings)
        value = source_to_arrow(source.value, f"{path}[]", findings)
        return pa.map_(key, pa.field("value", value, source.nullable))
    if isinstance(source, Struct):
        if source.kind == "vector":
            return VECTOR_TYPE
        if source.kind:
            return pa.struct([("value", pa.binary()), ("metadata", pa.binary())])
        parts = [
            pa.field(part.name, source_to_arrow(part.source, below(path, part.name), findings), part.nullable)
            for part in source.fields
        ]
        return pa.struct(parts)
    if source.name in _ARROW:
        return _ARROW[source.name]
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a type that Arrow has", str(source)))
    return pa.null()


# --- DDL ----------------------------------------------------------------------------------------------------


def columns_to_ddl(contract: Contract) -> tuple[str, list[Finding]]:
    """Write a table's contract as DDL, in its exact types.

    Returns:
        The text, and the losses: DDL cannot declare items of arrays and values of maps as NOT NULL.

    Example:
        >>> from sparksig.tables.contract import resolve_contract
        >>> columns_to_ddl(resolve_contract("total decimal(10,2) not null, code varchar(5)"))
        ('total decimal(10,2) not null, code varchar(5)', [])
    """
    findings: list[Finding] = []
    parts = [_write_field(column.field, quote(column.name), " ", findings) for column in contract.columns]
    return ", ".join(parts), findings


def _write_field(field: Field, path: str, joint: str, findings: list[Finding]) -> str:
    plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", field.name)
    name = field.name if plain else "`" + field.name.replace("`", "``") + "`"
    nulls = "" if field.nullable else " not null"
    return f"{name}{joint}{_write_type(field.source, path, findings)}{nulls}"


def _write_type(source: Source, path: str, findings: list[Finding]) -> str:
    if isinstance(source, (ListOf, MapOf)) and not source.nullable:
        findings.append(build_loss(f"{path}[]", "never null", "nullable"))
    if isinstance(source, ListOf):
        return f"array<{_write_type(source.item, f'{path}[]', findings)}>"
    if isinstance(source, MapOf):
        key = _write_type(source.key, path, findings)
        return f"map<{key}, {_write_type(source.value, f'{path}[]', findings)}>"
    if isinstance(source, Struct):
        parts = [_write_field(part, below(path, part.name), ": ", findings) for part in source.fields]
        return source.kind or f"struct<{', '.join(parts)}>"
    if isinstance(source, Decimal):
        return str(source)
    return source.native if source.max_length is not None else SPARK_NAMES.get(source.name, str(source))


# --- signatures ---------------------------------------------------------------------------------------------


def find_losses_in_signature(contract: Contract) -> list[Finding]:
    """Return a finding for each type of a table's contract that a signature cannot express.

    Example:
        >>> from sparksig.tables.contract import resolve_contract
        >>> [str(finding) for finding in find_losses_in_signature(resolve_contract("id bigint, day date"))]
        ['day: expected date, got datetime [NOT_EXPRESSED]']
    """
    parts = (_find_losses(column.field.source, quote(column.name)) for column in contract.columns)
    return [finding for findings in parts for finding in findings]


def find_lost_lengths(contract: Contract) -> list[Finding]:
    """Return the parts of a table's contract that Arrow cannot express: the lengths of char and varchar."""
    return [
        finding for finding in find_losses_in_signature(contract) if re.match(r"(var)?char", finding.expected)
    ]


def _find_losses(source: Source, path: str) -> list[Finding]:
    if isinstance(source, (ListOf, MapOf, Struct)) and not getattr(source, "kind", ""):
        parts = list_parts(source, path)
        return [finding for where, part in parts for finding in _find_losses(part.source, where)]
    dtype = find_narrowest_type(source, path, [])
    if dtype is None:
        return [build_loss(path, format_type(source), "Any")]
    length = getattr(source, "max_length", None)
    try:
        is_equal = normalize(arrow_to_source(to_arrow(dtype))) == normalize(source)
    except ConversionError:  # Any, of a variant
        is_equal = True
    is_time = getattr(source, "name", "") == "timestamp_tz"  # the signature's datetime is a TIMESTAMP
    if (is_equal or is_time) and length is None:
        return []
    return [build_loss(path, format_type(source), describe(dtype))]
