"""What the findings of values have in common: how much they tell, and their hints."""

from __future__ import annotations

from dataclasses import replace

from sparksig.errors import Code, Finding
from sparksig.types import DataType, Type

__all__ = ["FIRST_ROWS", "HINTS", "LONG_HINT", "RANGE_HINT", "SHOWN", "Report", "null_hint"]

FIRST_ROWS = 5
"""How many row positions a finding names."""

HINTS = 20
"""How many missing names are offered a near one: to look for it takes time."""

SHOWN = 3
"""How many values a finding shows, where it may."""

RANGE_HINT = (
    "a model sees nanoseconds: from 1677-09-21 to 2262-04-11; replace such instants, or filter the rows"
)

LONG_HINT = "no signature type holds it: declare the column string and pass text, or drop the value"


def null_hint(dtype: Type) -> str:
    """What to do about nulls where the contract requires values.

    Example:
        >>> null_hint(DataType.long)
        'declare it optional, or double'
    """
    number = ", or double" if dtype in (DataType.integer, DataType.long) else ""
    return f"declare it optional{number}"


class Report:
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

    def extend(self, trial: Report) -> None:
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
