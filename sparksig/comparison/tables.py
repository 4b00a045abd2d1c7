"""Comparison of contracts of tables, by the rules of checks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparksig.comparison.changes import exclude_reasons, find_schema_changes
from sparksig.comparison.reasons import find_reasons
from sparksig.comparison.results import SideComparison
from sparksig.errors import Finding, quote
from sparksig.schema import ColSpec, Schema

if TYPE_CHECKING:
    from sparksig.tables.columns import Column
    from sparksig.tables.contract import Contract


def compare_tables(old: Contract | Schema, new: Contract | Schema, side: str) -> SideComparison:
    """Compare two contracts, at least one of which is the contract of a table.

    The columns of a table are judged by the other contract as :func:`sparksig.check` judges them.
    """
    first, second = _get_schema(old), _get_schema(new)
    upgrade, rollback = _judge(old, new, side), _judge(new, old, side)
    if side == "outputs":
        upgrade, rollback = rollback, upgrade
    notes = exclude_reasons(find_schema_changes(_rename_numbers(first, second), second, side), upgrade)
    return SideComparison(tuple(upgrade), tuple(rollback), notes)


def _get_schema(contract: Contract | Schema) -> Schema:
    return contract if isinstance(contract, Schema) else contract.schema


def _judge(source: Contract | Schema, target: Contract | Schema, side: str) -> list[Finding]:
    """Report why data under one contract is not always accepted under another."""
    from sparksig.tables.contract import resolve_contract
    from sparksig.tables.types import judge_nulls, judge_types

    if isinstance(source, Schema):
        return find_reasons(source, _get_schema(target), side)
    columns = [_with_arrow(column) for column in source.columns]
    findings = judge_types(resolve_contract(target), columns)
    if source.declares_nulls and not isinstance(target, Schema):
        findings += judge_nulls(target, columns)
    return findings


def _with_arrow(column: Column) -> Column:
    from sparksig.tables.exact import source_to_arrow

    findings: list[Finding] = []
    arrow = column.arrow or source_to_arrow(column.field.source, quote(column.name), findings)
    return replace(column, arrow=None if findings else arrow)


def _rename_numbers(table: Schema, target: Schema) -> Schema:
    """Replace names of a table's columns by the equal integer names of the other schema.

    The names of a table's columns are texts: "0" corresponds to the name 0 of a signature, as in the engine.
    """
    numbers = {str(name): name for name in target.input_names() if isinstance(name, int)}
    if not target.has_input_names() or table.is_tensor_spec() or not numbers:
        return table
    columns = [spec for spec in table if isinstance(spec, ColSpec)]
    return Schema(
        [ColSpec(spec.type, numbers.get(str(spec.name), spec.name), spec.required) for spec in columns]
    )
