"""Building blocks of findings about values: shared texts, row positions and collectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import Mask
from sparksig.errors import Code, ContractError, Finding
from sparksig.schema import ColSpec
from sparksig.types import DataType, Type

FIRST_ROWS = 5
"""The number of row positions that a finding names."""

SAMPLE_VALUES = 3
"""The number of values that a finding shows, if it may show values."""

IN_RANGE = "timestamps from 1677-09-21 to 2262-04-11"
"""The expectation of a datetime column: models receive 64-bit nanoseconds."""

OUT_OF_RANGE = "timestamps outside this range"

RANGE_HINT = "replace them or filter the rows: models receive timestamps in nanoseconds"

LONG_HINT = "declare the column string and pass text, or drop the value"


def format_null_hint(dtype: Type) -> str:
    """Format the advice about nulls in a column or property that requires values.

    Example:
        >>> format_null_hint(DataType.long)
        'declare it optional, or double'
    """
    number = ", or double" if dtype in (DataType.integer, DataType.long) else ""
    return f"declare it optional{number}"


def build_count_finding(expected: int, actual: int, hint: str = "") -> Finding:
    """Build the finding about a wrong number of columns."""
    counts = [f"{count} column{'s' if count != 1 else ''}" for count in (expected, actual)]
    return Finding(Code.COLUMN_COUNT, "", counts[0], counts[1], hint)


_FEWER = (
    "return one prediction for each input row; a text vectorizer iterates over the columns of a DataFrame: "
    "pass it one column, for example with a ColumnTransformer"
)


def build_row_count_finding(path: str, rows: int | None, actual: int | None) -> Finding:
    """Build the finding about a wrong number of predictions."""
    expected = f"one prediction for each of {rows} rows"
    if rows is None or rows == 1:
        expected = "one prediction for each row" if rows is None else "one prediction for 1 row"
    is_fewer = actual is not None and rows is not None and actual < rows
    count = "a single value" if actual is None else str(actual)
    return Finding(Code.ROW_COUNT, path, expected, count, _FEWER if is_fewer else "")


def rename_findings(error: ContractError, spec: ColSpec, path: str) -> list[Finding]:
    """Return the findings about a column that was enforced alone, with the column's path.

    In a schema of only this column, an unnamed column has the name 0, its position.
    """
    if spec.name is not None:
        return list(error.findings)
    return [replace(finding, path=path + finding.path.removeprefix("0")) for finding in error.findings]


class Rows:
    """A mapping from positions of nested values to the rows that contain them, computed on request."""

    def __init__(
        self, outer: Rows | None = None, lengths: np.ndarray[Any, Any] | None = None, first: int = 0
    ) -> None:
        self._outer, self._lengths, self._first = outer, lengths, first

    def find(self, mask: Mask) -> np.ndarray[Any, Any]:
        """Return the sorted, distinct rows of the positions where ``mask`` is True."""
        return np.unique(self._resolve(np.flatnonzero(mask)))

    def _resolve(self, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._outer is None or self._lengths is None:
            return positions + self._first
        return self._outer._resolve(np.searchsorted(np.cumsum(self._lengths), positions, side="right"))


@dataclass(frozen=True)
class Location:
    """The rows of an array's values, and the list that collects findings about them."""

    rows: Rows  # that contain the values
    findings: list[Finding]
    show_values: bool = False  # findings may show some of the values
    first_rows: int | None = FIRST_ROWS  # the number of rows that a finding names; None for all

    def enter_lists(self, lengths: np.ndarray[Any, Any]) -> Location:
        """Return the location of the elements of lists that have these lengths."""
        return Location(Rows(self.rows, lengths), self.findings, self.show_values, self.first_rows)

    def report(
        self, mask: Mask, code: Code, path: str, expected: str, actual: str, hint: str, values: Any = None
    ) -> None:
        """Add a finding about the values where ``mask`` is True. It may show some of ``values``."""
        rows = self.rows.find(mask)
        if self.show_values and values is not None:
            samples = values.filter(pa.array(mask))[:SAMPLE_VALUES].cast(pa.string()).to_pylist()
            actual = f"{actual}: {', '.join(map(str, samples))}"
        first = tuple(int(row) for row in rows[: self.first_rows])
        self.findings.append(Finding(code, path, expected, actual, hint, len(rows), first))


class Collector:
    """A collector of findings about values that are checked row by row; equal findings become one."""

    def __init__(self) -> None:
        self.row = 0
        self.findings: dict[Finding, list[int]] = {}
        self._samples: dict[Finding, list[str]] = {}

    def add(
        self, code: Code, path: str, expected: str, actual: str, hint: str = "", sample: str = ""
    ) -> None:
        """Add a finding about the current row; ``sample`` is the value as text, if it may be shown."""
        finding = Finding(code, path, expected, actual, hint)
        self.findings.setdefault(finding, []).append(self.row)
        if sample and len(self._samples.setdefault(finding, [])) < SAMPLE_VALUES:
            self._samples[finding].append(sample)

    def extend(self, other: Collector) -> None:
        """Add the findings of another collector to the current row."""
        for finding in other.findings:
            self.findings.setdefault(finding, []).append(self.row)

    def build_findings(self) -> list[Finding]:
        """Build one finding for each distinct problem, with its number of rows and the first rows."""
        findings = []
        for finding, positions in self.findings.items():
            rows = list(dict.fromkeys(positions))
            samples = [", ".join(self._samples[finding])] if finding in self._samples else []
            actual = ": ".join([finding.actual, *samples])
            findings.append(replace(finding, actual=actual, count=len(rows), rows=tuple(rows[:FIRST_ROWS])))
        return findings
