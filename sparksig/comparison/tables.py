"""A table's schema in the place of what is given: all that it declares is there, though it may be null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparksig.comparison.changes import beside, schema_changes
from sparksig.comparison.reasons import described, refused
from sparksig.comparison.results import SideComparison
from sparksig.errors import Code, Finding, nearest, step
from sparksig.lattice import MODEL_TYPE, upper_bounds
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import Array, DataType, Map, Object, Property, SparkMLVector, Type, describe

if TYPE_CHECKING:
    from sparksig.tables.columns import Column
    from sparksig.tables.contract import Contract

__all__ = ["compare_tables", "rename_numbers", "table_refused"]


def compare_tables(old: Contract | Schema, new: Contract | Schema, side: str) -> SideComparison:
    """Compare two contracts, at least one of which is a table's.

    Columns of a table are judged by the other contract as :func:`sparksig.check` judges them.
    """
    first, second = _schema_of(old), _schema_of(new)
    upgrade, rollback = _judge(old, new, side), _judge(new, old, side)
    if side == "outputs":
        upgrade, rollback = rollback, upgrade
    notes = beside(schema_changes(rename_numbers(first, second), second, side), upgrade)
    return SideComparison(tuple(upgrade), tuple(rollback), notes)


def _schema_of(contract: Contract | Schema) -> Schema:
    return contract if isinstance(contract, Schema) else contract.schema


def _judge(given: Contract | Schema, wanted: Contract | Schema, side: str) -> list[Finding]:
    """Report why data under one contract is not always accepted under another."""
    from sparksig.tables.contract import resolve_contract
    from sparksig.tables.types import judge_nulls, judge_types

    if isinstance(given, Schema):
        assert not isinstance(wanted, Schema)
        return refused(given, wanted.schema, side)
    columns = [_with_arrow(column) for column in given.columns]
    findings = judge_types(resolve_contract(wanted), columns)
    if given.promises and not isinstance(wanted, Schema):
        findings += judge_nulls(wanted, columns)
    return findings


def _with_arrow(column: Column) -> Column:
    from sparksig.tables.exact import source_to_arrow

    findings: list[Finding] = []
    arrow = column.arrow or source_to_arrow(column.field.source, step(column.name), findings)
    return replace(column, arrow=None if findings else arrow)


def rename_numbers(table: Schema, wanted: Schema) -> Schema:
    """Return a table's schema with integer names where the other schema has them.

    The names of a table's columns are text: "0" is what a signature calls 0, as the engine has it.

    Example:
        >>> rename_numbers(Schema([ColSpec("double", "0")]), Schema([ColSpec("double", 0)]))
        [0: double (required)]
    """
    numbers = {str(name): name for name in wanted.input_names() if isinstance(name, int)}
    if not wanted.has_input_names() or table.is_tensor_spec() or not numbers:
        return table
    columns = [spec for spec in table if isinstance(spec, ColSpec)]
    return Schema(
        [ColSpec(spec.type, numbers.get(str(spec.name), spec.name), spec.required) for spec in columns]
    )


def table_refused(table: Schema, wanted: Schema, side: str) -> list[Finding]:
    """Why the rows of a table are not accepted where a schema is declared, as far as types can tell.

    Args:
        table: its schema.
        wanted: what its rows are taken as; without names, its columns are taken by position.
        side: "inputs" or "outputs".
    """
    if table.is_tensor_spec():
        return refused(table, wanted, side)
    if wanted.is_tensor_spec():
        return _tensors_refused(list(table), wanted)
    named = wanted.has_input_names()
    held = [ColSpec(_filled(spec.type), spec.name if named else None) for spec in table]
    if (
        named
        and not wanted.required_input_names()
        and not {spec.name for spec in table} & set(wanted.input_names())
    ):
        expected = "at least one of the columns, which are all optional"
        return [Finding(Code.MISSING_COLUMN, "", expected, "none of them")]  # as check and score have it
    return refused(Schema(held), wanted, side)


def _filled(dtype: Type) -> Type:
    """The type of data that has all its properties."""
    if isinstance(dtype, Object):
        return Object([Property(prop.name, _filled(prop.dtype)) for prop in dtype.properties])
    if isinstance(dtype, Map):
        return Map(_filled(dtype.value_type))
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        return Array(_filled(dtype.dtype))
    return dtype


# --- tensors, which the engine makes of columns -----------------------------------------------------------


def _tensors_refused(columns: Sequence[ColSpec], wanted: Schema) -> list[Finding]:
    if not wanted.has_input_names():
        return _tensor_refused(columns, wanted.inputs[0])
    findings: list[Finding] = []
    held = {column.name: column for column in columns}
    for spec in wanted:
        if spec.name in held:
            findings += _tensor_refused([held[spec.name]], spec)
        else:
            hint = nearest(spec.name, held)
            findings.append(
                Finding(Code.MISSING_COLUMN, step(spec.name), described(spec), "no such column", hint)
            )
    return findings


def _tensor_refused(columns: Sequence[ColSpec], spec: TensorSpec) -> list[Finding]:
    """Why columns do not make a tensor: side by side, or one column of lists in lists."""
    findings = []
    leaf, depth = columns[0].type, 0
    while len(columns) == 1 and isinstance(leaf, Array):
        leaf, depth = leaf.dtype, depth + 1
    inner = (-1,) * depth if depth or (len(columns) == 1 and len(spec.shape) == 1) else (len(columns),)
    # how long a list is, is known of rows alone
    fits = len(spec.shape) == 1 + len(inner) and spec.shape[0] == -1
    if not fits or (not depth and any(size not in (-1, len(columns)) for size in spec.shape[1:])):
        path = "" if spec.name is None else step(spec.name)
        found = f"shape {(-1, *inner)}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", found))
    for number, column in enumerate(columns):
        dtype = leaf if len(columns) == 1 else column.type
        if not _widens(dtype, spec):
            path = step(number if column.name is None else column.name) + "[]" * depth
            hint = "a tensor takes what its dtype holds, and times in its own unit"
            findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, describe(dtype), hint))
    return findings


def _widens(dtype: Type, spec: TensorSpec) -> bool:
    """Whether a tensor's dtype holds all values of a type; the unit of times is not known of a type."""
    names = {"U": MODEL_TYPE[DataType.string], "S": MODEL_TYPE[DataType.binary]}
    name = names.get(spec.type.kind, spec.type.name)
    return isinstance(dtype, DataType) and name in upper_bounds(MODEL_TYPE[dtype])
