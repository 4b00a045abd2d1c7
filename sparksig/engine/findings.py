"""Findings of values: their limits and hints, and the rows that they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import Mask
from sparksig.errors import Code, Finding
from sparksig.types import DataType, Type

__all__ = [
    "FIRST_ROWS",
    "LONG_HINT",
    "RANGE_HINT",
    "Collector",
    "Location",
    "Rows",
    "format_null_hint",
]

FIRST_ROWS = 5
"""How many row positions a finding names."""

SHOWN = 3
"""How many values a finding shows, where it may."""

RANGE_HINT = (
    "a model sees nanoseconds: from 1677-09-21 to 2262-04-11; replace such instants, or filter the rows"
)

LONG_HINT = "no signature type holds it: declare the column string and pass text, or drop the value"


def format_null_hint(dtype: Type) -> str:
    """What to do about nulls where the contract requires values.

    Example:
        >>> format_null_hint(DataType.long)
        'declare it optional, or double'
    """
    number = ", or double" if dtype in (DataType.integer, DataType.long) else ""
    return f"declare it optional{number}"


class Rows:
    """The rows that values inside lists belong to, computed on request."""

    def __init__(
        self, outer: Rows | None = None, lengths: np.ndarray[Any, Any] | None = None, first: int = 0
    ) -> None:
        self._outer, self._lengths, self._first = outer, lengths, first

    def of(self, mask: Mask) -> np.ndarray[Any, Any]:
        """Return the rows, in order and each once, of the places where ``mask`` is True."""
        return np.unique(self._resolve(np.flatnonzero(mask)))

    def _resolve(self, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._outer is None or self._lengths is None:
            return places + self._first
        return self._outer._resolve(np.searchsorted(np.cumsum(self._lengths), places, side="right"))


@dataclass(frozen=True)
class Location:
    """The position of values, and the list for findings about them."""

    rows: Rows
    findings: list[Finding]
    show_values: bool = False
    first_rows: int | None = FIRST_ROWS  # how many a finding names; None for all

    def inside(self, lengths: np.ndarray[Any, Any]) -> Location:
        """Return the place of the values in lists of these lengths."""
        return Location(Rows(self.rows, lengths), self.findings, self.show_values, self.first_rows)

    def report(
        self, mask: Mask, code: Code, path: str, expected: str, found: str, hint: str, values: Any = None
    ) -> None:
        """Add the finding that values are wrong where ``mask`` is True, of the array ``values``."""
        rows = self.rows.of(mask)
        if self.show_values and values is not None:
            shown = values.filter(pa.array(mask))[:SHOWN].cast(pa.string()).to_pylist()
            found = f"{found}: {', '.join(map(str, shown))}"
        first = tuple(int(row) for row in rows[: self.first_rows])
        self.findings.append(Finding(code, path, expected, found, hint, len(rows), first))


class Collector:
    """Findings, each kind once, with the rows that have it.

    Attributes:
        row: the row that is being looked at.
    """

    def __init__(self) -> None:
        self.row = 0
        self.findings: dict[Finding, list[int]] = {}
        self._shown: dict[Finding, list[str]] = {}

    def add(self, code: Code, path: str, expected: str, found: str, hint: str = "", shown: str = "") -> None:
        """Report one thing in the present row; ``shown`` is the value, where it may be."""
        one = Finding(code, path, expected, found, hint)
        self.findings.setdefault(one, []).append(self.row)
        if shown and len(self._shown.setdefault(one, [])) < SHOWN:
            self._shown[one].append(shown)

    def extend(self, trial: Collector) -> None:
        """Report what another found, as of the present row."""
        for one in trial.findings:
            self.findings.setdefault(one, []).append(self.row)

    def collected(self) -> list[Finding]:
        """One finding per kind, counting rows."""
        collected = []
        for one, places in self.findings.items():
            rows = list(dict.fromkeys(places))
            found = ": ".join([one.found, *([", ".join(self._shown[one])] if one in self._shown else [])])
            collected.append(replace(one, found=found, count=len(rows), rows=tuple(rows[:FIRST_ROWS])))
        return collected
