"""What was found of a table, and how people look at it: as text, JSON, and a page of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from sparksig.errors import ContractError, Finding, MissingDependencyError, step

__all__ = ["ColumnReport", "Report", "aligned", "render"]


@dataclass(frozen=True)
class ColumnReport:
    """What was found of one column.

    Attributes:
        name: of the column; its number, where it has none.
        expected: what the contract says, in the signature's words.
        found: the table's type; empty if there is no such column.
        ok: whether nothing was found in it.
        nulls: how many rows have none; None if nobody looked.
        values: how often each of some ranges of values was seen, of a sample: pairs of a label and a count.

    Example:
        >>> column = ColumnReport("age", "long", "bigint", False, nulls=3)
        >>> column.name, column.ok, column.nulls
        ('age', False, 3)
    """

    name: str
    expected: str
    found: str
    ok: bool
    nulls: int | None = None
    values: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check has found.

    Attributes:
        mode: "schema", "sample" or "full".
        contract: what the table was checked against, in words.
        findings: everything that breaks the contract.
        columns: one entry for each column of the contract.
        rows: how many rows were looked at; None for a check of the schema alone.
        bad_rows: how many of them break the contract.
        claim: what a sample can say of the whole table; empty for other checks.
        examples: of each finding that was counted, by its number: keys (or places) of some rows that have it.
        seconds: how long it took.
        kind: of the contract: "model" or "table".
        options: of the contract, as ``types``, ``missing`` and ``extra``.
        warnings: columns that the contract does not declare, with ``extra="warn"``.

    Example:
        >>> report = Report("schema", "signature", (), (ColumnReport("x", "double", "double", True),))
        >>> report.ok
        True
        >>> print(report)
        the table fits the contract (signature): schema checked
          x  double  double  ok
    """

    mode: str
    contract: str
    findings: tuple[Finding, ...]
    columns: tuple[ColumnReport, ...]
    rows: int | None = None
    bad_rows: int | None = None
    claim: str = ""
    examples: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    kind: str = "model"
    options: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def raise_if_failed(self) -> None:
        """Raise what was found.

        Raises:
            ContractError: there are findings; it has all of them.
        """
        if self.findings:
            raise ContractError.of(f"the table breaks the contract ({self.contract})", self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready built-ins."""
        findings: list[dict[str, object]] = [finding.to_dict() for finding in self.findings]
        for index, keys in self.examples.items():
            findings[index]["examples"] = list(keys)
        columns = [
            {
                "name": one.name,
                "expected": one.expected,
                "found": one.found,
                "ok": one.ok,
                "nulls": one.nulls,
                "values": [list(pair) for pair in one.values],
            }
            for one in self.columns
        ]
        return {
            "ok": self.ok,
            "mode": self.mode,
            "contract": self.contract,
            "kind": self.kind,
            "options": dict(self.options),
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "claim": self.claim,
            "seconds": round(self.seconds, 3),
            "findings": findings,
            "warnings": [finding.to_dict() for finding in self.warnings],
            "columns": columns,
        }

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *aligned(self._rows()), *self._told()])

    def _headline(self) -> str:
        fits = "fits" if self.ok else "breaks"
        seen = "schema checked" if self.rows is None else f"{self.rows:,} rows checked"
        bad = f", {self.bad_rows:,} of them break it" if self.bad_rows else ""
        return f"the table {fits} the contract ({self.contract}): {seen}{bad}"

    def _rows(self) -> list[Sequence[str]]:
        counted = any(one.nulls is not None for one in self.columns)
        rows: list[Sequence[str]] = []
        for one in self.columns:
            nulls = [] if not counted else [_nulls(one.nulls, self.rows)]
            rows.append(
                [step(one.name), one.expected, one.found or "-", *nulls, "ok" if one.ok else "FINDINGS"]
            )
        return rows

    def _told(self) -> list[str]:
        told = []
        for index, finding in enumerate(self.findings):
            keys = self.examples.get(index, ())
            told.append(f"- {finding}" + (f" e.g. {', '.join(keys)}" if keys else ""))
        return [*told, *([self.claim] if self.claim else [])]

    def _repr_html_(self) -> str:
        return render("report.html", report=self, whole=False)

    def to_html(self, path: str | Path) -> None:
        """Write the report as one page that needs nothing else: no script, no network.

        Args:
            path: of the file; one that is there is replaced.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(render("report.html", report=self, whole=True), encoding="utf-8")


def _nulls(count: int | None, rows: int | None) -> str:
    if count is None:
        return ""
    if not count:
        return "no nulls"
    told = "1 null" if count == 1 else f"{count:,} nulls"
    if not rows:
        return told
    share = 100 * count / rows
    return f"{told} ({share:.1f} %)" if share >= 0.05 else f"{told} (< 0.1 %)"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells below each other.

    Example:
        >>> aligned([("id", "long"), ("price", "double")])
        ['  id     long', '  price  double']
    """
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def render(template: str, **given: Any) -> str:
    """A template of this package, filled in; all text is escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingDependencyError.naming("jinja2", "a report as HTML", "report") from None

    def source(name: str) -> str:
        return files("sparksig").joinpath("templates", name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(nulls=_nulls, **given).strip() + "\n"
