"""Positions of values inside nested columns, for findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import Mask
from sparksig.engine.findings import FIRST_ROWS, SHOWN
from sparksig.errors import Code, Finding

__all__ = ["Place", "Rows"]


class Rows:
    """From the places of values inside lists to the rows that they belong to; worked out when asked for."""

    def __init__(
        self, outer: Rows | None = None, lengths: np.ndarray[Any, Any] | None = None, first: int = 0
    ) -> None:
        self._outer, self._lengths, self._first = outer, lengths, first

    def of(self, mask: Mask) -> np.ndarray[Any, Any]:
        """The rows, in order and each once, of the places where ``mask`` is True."""
        return np.unique(self._resolve(np.flatnonzero(mask)))

    def _resolve(self, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._outer is None or self._lengths is None:
            return places + self._first
        return self._outer._resolve(np.searchsorted(np.cumsum(self._lengths), places, side="right"))


@dataclass(frozen=True)
class Place:
    """Where values stand, and where to report what is wrong with them."""

    rows: Rows
    findings: list[Finding]
    show_values: bool = False
    first_rows: int | None = FIRST_ROWS  # how many a finding names; None for all

    def inside(self, lengths: np.ndarray[Any, Any]) -> Place:
        """The place of the values in lists of these lengths."""
        return Place(Rows(self.rows, lengths), self.findings, self.show_values, self.first_rows)

    def report(
        self, mask: Mask, code: Code, path: str, expected: str, found: str, hint: str, held: Any = None
    ) -> None:
        """Add the finding that values are wrong where ``mask`` is True, of the array ``held``."""
        rows = self.rows.of(mask)
        if self.show_values and held is not None:
            shown = held.filter(pa.array(mask))[:SHOWN].cast(pa.string()).to_pylist()
            found = f"{found}: {', '.join(map(str, shown))}"
        first = tuple(int(row) for row in rows[: self.first_rows])
        self.findings.append(Finding(code, path, expected, found, hint, len(rows), first))
