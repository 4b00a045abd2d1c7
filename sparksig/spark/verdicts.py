"""What types say of a table and its contract, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pyspark.sql import types as T

from sparksig.errors import Code, ContractError, Finding, below, step
from sparksig.schema import Schema
from sparksig.spark.bind import bind
from sparksig.spark.names import Fold
from sparksig.tables.report import ColumnReport
from sparksig.verdicts import reports

__all__ = ["columns_of", "refused"]


def refused(table: T.StructType, schema: Schema, fold: Fold = str.casefold) -> list[Finding]:
    """What the types say, where a session compares names by ``fold``."""
    named = {str(name) for name in schema.input_names()} if schema.has_input_names() else set(table.names)
    held = [field for field in table.fields if field.name in named]
    twins = [one for field in held for one in _nested_twins(field.dataType, step(field.name), fold)]
    try:
        bind(table, schema, fold=fold)
    except ContractError as error:
        return [*(error.findings or [Finding(Code.MISSING_COLUMN, "", error.message)]), *twins]
    return twins


def _nested_twins(dtype: T.DataType, path: str, fold: Fold) -> list[Finding]:
    """Fields of structs whose names Spark does not tell apart."""
    if isinstance(dtype, T.ArrayType):
        return _nested_twins(dtype.elementType, f"{path}[]", fold)
    if isinstance(dtype, T.MapType):
        return _nested_twins(dtype.valueType, f"{path}[]", fold)
    if not isinstance(dtype, T.StructType):
        return []
    folded = [fold(name) for name in dtype.names]
    hint = "Spark does not distinguish such names: drop or rename one"
    found = [
        Finding(Code.DUPLICATE_NAME, below(path, name), "one field of that name", "several", hint)
        for index, name in enumerate(dtype.names)
        if folded[index] in folded[index + 1 :]
    ]
    for field in dtype.fields:
        found += _nested_twins(field.dataType, below(path, field.name), fold)
    return found


def columns_of(
    table: T.StructType,
    schema: Schema | None,
    findings: Sequence[Finding] = (),
    nulls: Mapping[str, int] = MappingProxyType({}),
    values: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
) -> tuple[ColumnReport, ...]:
    """What there is to say of each column of a contract; of each of the table, if there is none."""
    held = [(field.name, field.dataType.simpleString()) for field in table.fields]
    return reports(held, schema, findings, nulls, values)
