"""What types say of a table and its contract, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pyspark.sql import types as T

from sparksig.errors import Code, ContractError, Finding, below, step
from sparksig.report import ColumnReport
from sparksig.schema import ColSpec, Schema
from sparksig.spark.contract import bind
from sparksig.types import describe

__all__ = ["columns_of", "is_in", "is_unclear", "rank", "refused", "roots"]


def refused(table: T.StructType, schema: Schema) -> list[Finding]:
    """What the types say."""
    named = {str(name) for name in schema.input_names()} if schema.has_input_names() else set(table.names)
    held = [field for field in table.fields if field.name in named]
    twins = [one for field in held for one in _nested_twins(field.dataType, step(field.name))]
    try:
        bind(table, schema)
    except ContractError as error:
        return [*(error.findings or [Finding(Code.MISSING_COLUMN, "", error.message)]), *twins]
    return twins


def _nested_twins(dtype: T.DataType, path: str) -> list[Finding]:
    """Fields of structs whose names Spark does not tell apart."""
    if isinstance(dtype, T.ArrayType):
        return _nested_twins(dtype.elementType, f"{path}[]")
    if isinstance(dtype, T.MapType):
        return _nested_twins(dtype.valueType, f"{path}[]")
    if not isinstance(dtype, T.StructType):
        return []
    folded = [name.casefold() for name in dtype.names]
    hint = "Spark does not distinguish such names: drop or rename one"
    found = [
        Finding(Code.DUPLICATE_NAME, below(path, name), "one field of that name", "several", hint)
        for index, name in enumerate(dtype.names)
        if folded[index] in folded[index + 1 :]
    ]
    inner = [one for field in dtype.fields for one in _nested_twins(field.dataType, below(path, field.name))]
    return found + inner


def is_unclear(findings: Sequence[Finding], schema: Schema) -> bool:
    """Whether it is not known which column is which."""
    return bool(findings) and (not schema.has_input_names() or any(not one.path for one in findings))


def roots(findings: Sequence[Finding], table: T.StructType) -> set[str]:
    """The table's columns in which something was found."""
    return {
        field.name for field in table.fields if any(is_in(finding.path, field.name) for finding in findings)
    }


def is_in(path: str, name: str) -> bool:
    """Whether a finding's path is that of a column, or of something in it."""
    root = step(name)
    return path == root or path.startswith((f"{root}.", f"{root}["))


def columns_of(
    table: T.StructType,
    schema: Schema | None,
    findings: Sequence[Finding] = (),
    nulls: Mapping[str, int] = MappingProxyType({}),
    values: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
) -> tuple[ColumnReport, ...]:
    """What there is to say of each column of a contract; of each of the table, if there is none."""
    if schema is None:
        return tuple(
            ColumnReport(
                field.name,
                field.dataType.simpleString(),
                field.dataType.simpleString(),
                not any(is_in(finding.path, field.name) for finding in findings),
                nulls.get(field.name),
            )
            for field in table.fields
        )
    held = {field.name: field.dataType.simpleString() for field in table.fields}
    named = schema.has_input_names()
    reports = []
    for index, spec in enumerate(schema):
        name = str(spec.name) if named else table.names[index] if index < len(table.names) else str(index)
        expected = describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
        optional = "" if spec.required else " (optional)"
        ok = not any(is_in(finding.path, name) or not finding.path for finding in findings)
        seen = (values or {}).get(name, ())
        reports.append(
            ColumnReport(name, f"{expected}{optional}", held.get(name, ""), ok, nulls.get(name), seen)
        )
    return tuple(reports)


def rank(finding: Finding, columns: Sequence[ColumnReport]) -> int:
    """The place of a finding: as the contract has its columns."""
    held = (index for index, one in enumerate(columns) if is_in(finding.path, one.name))
    return next(held, len(columns))
