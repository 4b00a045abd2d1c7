"""What findings say of a table and its contract, column by column, whatever looked at the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sparksig.errors import Finding, step
from sparksig.schema import ColSpec, Schema
from sparksig.tables.report import ColumnReport
from sparksig.types import describe

__all__ = ["is_in", "is_unclear", "rank", "reports", "roots"]


def is_unclear(findings: Sequence[Finding], schema: Schema) -> bool:
    """Whether it is not known which column is which."""
    return bool(findings) and (not schema.has_input_names() or any(not one.path for one in findings))


def roots(findings: Sequence[Finding], names: Sequence[str]) -> set[str]:
    """The columns in which something was found."""
    return {name for name in names if any(is_in(finding.path, name) for finding in findings)}


def is_in(path: str, name: str) -> bool:
    """Whether a finding's path is that of a column, or of something in it."""
    root = step(name)
    return path == root or path.startswith((f"{root}.", f"{root}["))


def reports(
    table: Sequence[tuple[str, str]],
    schema: Schema | None,
    findings: Sequence[Finding] = (),
    nulls: Mapping[str, int] = MappingProxyType({}),
    values: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
) -> tuple[ColumnReport, ...]:
    """What there is to say of each column of a contract; of each of the table, if there is none.

    Args:
        table: its columns' names and types.
        schema: the contract.
        findings: what was found.
        nulls: of each column that was counted.
        values: how often ranges of values were seen, of each column.
    """
    if schema is None:
        return tuple(
            ColumnReport(
                name, dtype, dtype, not any(is_in(one.path, name) for one in findings), nulls.get(name)
            )
            for name, dtype in table
        )
    held = dict(table)
    named = schema.has_input_names()
    reports = []
    for index, spec in enumerate(schema):
        name = str(spec.name) if named else table[index][0] if index < len(table) else str(index)
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
