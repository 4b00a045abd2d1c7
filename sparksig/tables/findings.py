"""The order of findings by the columns of a table, and the reports on the columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from sparksig.errors import HINTS, Code, Finding, quote, suggest
from sparksig.schema import ColSpec
from sparksig.tables.columns import Column
from sparksig.tables.contract import Contract
from sparksig.tables.report import ColumnReport
from sparksig.types import describe


def report_columns(
    contract: Contract | None,
    columns: Sequence[Column],
    findings: Sequence[Finding] = (),
    nulls: Mapping[str, int] = MappingProxyType({}),
    values: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType({}),
) -> tuple[ColumnReport, ...]:
    """Return a report on each column of a contract, or of the table if there is no contract.

    Args:
        contract: the contract.
        columns: the columns of the table.
        findings: the findings on the table.
        nulls: the number of nulls of each counted column.
        values: the distribution of each counted column.
    """
    broken = find_broken_columns(findings)
    actual = {column.name: column.text for column in columns}

    def report(name: str, expected: str) -> ColumnReport:
        ok = quote(name) not in broken and "" not in broken
        return ColumnReport(name, expected, actual.get(name, ""), ok, nulls.get(name), values.get(name, ()))

    if contract is None:
        return tuple(report(column.name, column.text) for column in columns)
    if contract.is_table:
        return tuple(
            report(column.name, column.text + ("" if column.field.nullable else " not null"))
            for column in contract.columns
        )
    reports = []
    for index, spec in enumerate(contract.schema):
        named = contract.schema.has_input_names()
        name = str(spec.name) if named else columns[index].name if index < len(columns) else str(index)
        text = describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
        reports.append(report(name, text + ("" if spec.required else " (optional)")))
    return tuple(reports)


def find_missing(names: Sequence[str], columns: Iterable[str], expected: str = "a column") -> list[Finding]:
    """Return a finding for each name that no column has, with the most similar name of a column.

    Example:
        >>> [str(finding) for finding in find_missing(["a", "id"], ["A", "id"])]
        ["a: expected a column, got no such column (did you mean 'A'? Names are case sensitive) [MISSING_COLUMN]"]
    """  # noqa: E501  as it is printed
    existing = dict.fromkeys(columns)
    return [
        Finding(
            Code.MISSING_COLUMN,
            quote(name),
            expected,
            "no such column",
            suggest(name, existing if index < HINTS else ()),
        )
        for index, name in enumerate(name for name in names if name not in existing)
    ]


def order_findings(findings: Sequence[Finding], names: Sequence[str]) -> list[int]:
    """Return the order of findings, which is the order of their columns in a contract.

    Example:
        >>> found = [Finding(Code.EMPTY, "ab"), Finding(Code.EMPTY, "a[]"), Finding(Code.EMPTY, "")]
        >>> order_findings(found, ["a", "ab"])
        [1, 0, 2]
    """
    ranks = {quote(name): rank for rank, name in enumerate(names)}
    return sorted(
        range(len(findings)), key=lambda index: ranks.get(get_root_column(findings[index].path), len(ranks))
    )


def find_equal_names(names: Sequence[str], fold: Callable[[str], str]) -> list[Finding]:
    """Report the columns that a table to write would have twice.

    Args:
        names: the columns to write.
        fold: folds names as the readers of the table compare them.
    """
    folded = [fold(name) for name in names]
    hint = "the target does not distinguish upper and lower case: rename one"
    return [
        Finding(Code.DUPLICATE_NAME, quote(name), "one column of that name", "several", hint)
        for index, name in enumerate(names)
        if folded[index] in folded[:index]
    ]


def find_broken_columns(findings: Collection[Finding]) -> set[str]:
    """Return the columns of findings, as :func:`~sparksig.errors.quote` formats their names."""
    return {get_root_column(finding.path) for finding in findings}


def get_root_column(path: str) -> str:
    """Return the column of a path.

    Example:
        >>> get_root_column("orders[].price"), get_root_column("`odd.name`.x")
        ('orders', '`odd.name`')
    """
    match = re.match(r"`(?:[^`]|``)*`|[^.\[]*", path)
    return match[0] if match else path
