"""The result of a check, as text, JSON, and a page of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparksig.engine.absent import format_absent_column
from sparksig.errors import ContractError, Finding, quote
from sparksig.views import TextView, align_cells, count_nouns, format_nulls, render

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ColumnReport:
    """The result of a check for one column.

    Attributes:
        name: the name of the column; its number if it has no name.
        expected: the declared type, in the notation of the contract.
        actual: the table's type; empty if the table lacks the column.
        ok: whether the column has no finding.
        nulls: the number of nulls; None if they were not counted.
        values: the distribution of the values: pairs of a range and a count. Full checks with Spark do not
            count it. Full checks of large Parquet tables count it in some rows, which are evenly distributed.

    Example:
        >>> column = ColumnReport("age", "long", "bigint", False, nulls=3)
        >>> column.name, column.ok, column.nulls
        ('age', False, 3)
    """

    name: str
    expected: str
    actual: str
    ok: bool
    nulls: int | None = None
    values: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, repr=False)
class Report(TextView):
    """The result of a check.

    Attributes:
        mode: "schema", "sample" or "full".
        contract: the contract's name.
        findings: everything that breaks the contract, in the contract's order.
        columns: one entry for each column of the contract.
        rows: the number of rows that were checked; None for a check of the schema alone.
        bad_rows: the number of rows that break the contract.
        claim: the conclusion from a sample about the entire table; empty for other checks.
        examples: keys or positions of some rows, by the index of their finding.
        absent: the optional columns that the table lacks. They do not break the contract; the hint suggests
            the most similar name of the table.
        seconds: the duration of the check.
        kind: the kind of the contract: "model" or "table".
        options: the options of the contract: ``types``, ``missing`` and ``extra``.
        warnings: columns that the contract does not declare, with ``extra="warn"``.
        table: the path or the name of the table; empty for a DataFrame.

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
    absent: tuple[Finding, ...] = ()
    seconds: float = 0.0
    kind: str = "model"
    options: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()
    table: str = field(default="", compare=False)

    @property
    def ok(self) -> bool:
        """True if the table fits the contract."""
        return not self.findings

    def raise_if_failed(self) -> None:
        """Raise an error if there are findings.

        Raises:
            ContractError: the table breaks the contract; the error has all findings.
        """
        if self.findings:
            raise ContractError.of(f"the table breaks the contract ({self.contract})", self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready built-ins."""
        findings: list[dict[str, object]] = [finding.to_dict() for finding in self.findings]
        for index, keys in self.examples.items():
            findings[index]["examples"] = list(keys)
        columns = [
            asdict(column) | {"values": [list(pair) for pair in column.values]} for column in self.columns
        ]
        return {
            "ok": self.ok,
            "mode": self.mode,
            "contract": self.contract,
            "table": self.table,
            "kind": self.kind,
            "options": dict(self.options),
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "claim": self.claim,
            "seconds": round(self.seconds, 3),
            "findings": findings,
            "warnings": [finding.to_dict() for finding in self.warnings],
            "absent": [finding.to_dict() for finding in self.absent],
            "columns": columns,
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, only_findings: bool = False) -> str:
        """Return the report as text, failing columns first.

        Args:
            only_findings: omit the columns that are ok, the warnings and the optional columns that the table
                lacks.

        Example:
            >>> columns = (ColumnReport("x", "long", "bigint", True), ColumnReport("y", "long", "int", False))
            >>> print(Report("schema", "DDL", (), columns).to_text(only_findings=True))
            the table fits the contract (DDL): schema checked
              y  long  int  fails
        """
        columns = sorted(self.columns, key=lambda column: column.ok)
        if only_findings:
            columns = [column for column in columns if not column.ok]
        notes = [] if only_findings else self._list_notes()
        notes += [self.claim] if self.claim else []
        return "\n".join(
            [
                self._format_headline(),
                *align_cells(self._format_columns(columns)),
                *self._describe_findings(),
                *notes,
            ]
        )

    def _format_headline(self) -> str:
        fits = "fits" if self.ok else "breaks"
        rows = "schema checked" if self.rows is None else f"{count_nouns(self.rows, 'row')} checked"
        broken = ""
        if self.bad_rows:
            broken = f", {count_nouns(self.bad_rows, 'row')} {'breaks' if self.bad_rows == 1 else 'break'} it"
        return f"the table {fits} the contract ({self.contract}): {rows}{broken}"

    def _format_columns(self, columns: Sequence[ColumnReport]) -> list[Sequence[str]]:
        has_nulls = any(column.nulls is not None for column in self.columns)
        rows: list[Sequence[str]] = []
        for column in columns:
            nulls = [format_nulls(column.nulls, self.rows)] if has_nulls else []
            verdict = "ok" if column.ok else "fails"
            rows.append([quote(column.name), column.expected, column.actual or "-", *nulls, verdict])
        return rows

    def _describe_findings(self) -> list[str]:
        lines = []
        for index, finding in enumerate(self.findings):
            keys = self.examples.get(index, ())
            lines.append(f"- {finding}" + (f" e.g. {', '.join(keys)}" if keys else ""))
        return lines

    def _list_notes(self) -> list[str]:
        notes = [f"- {format_absent_column(column)}" for column in self.absent]
        notes += [f"- warning: {finding}" for finding in self.warnings]
        return notes

    def to_pandas(self) -> pd.DataFrame:
        """Return the columns as a DataFrame: name, expected, actual, ok, nulls and the texts of the findings.

        Example:
            >>> columns = (ColumnReport("x", "double", "bigint", False, 3),)
            >>> Report("full", "DDL", (), columns, rows=9).to_pandas().name.tolist()
            ['x']
        """
        import pandas as pd

        rows = [
            asdict(column) | {"findings": "\n".join(map(str, self.list_findings(column.name)))}
            for column in self.columns
        ]
        names = ["name", "expected", "actual", "ok", "nulls", "findings"]
        return pd.DataFrame(rows, columns=names).astype({"nulls": "Int64"})

    def list_findings(self, column: str) -> list[Finding]:
        """Return the findings of a column, and of the fields in it.

        Args:
            column: the name of the column.

        Example:
            >>> from sparksig.errors import Code
            >>> findings = (Finding(Code.TYPE_MISMATCH, "x.y"), Finding(Code.TYPE_MISMATCH, "z"))
            >>> [finding.path for finding in Report("schema", "DDL", findings, ()).list_findings("x")]
            ['x.y']
        """
        path = quote(column)
        nested = (f"{path}.", f"{path}[", f"{path}{{")
        return [each for each in self.findings if each.path == path or each.path.startswith(nested)]

    def _render(self) -> str:
        return self.render()

    def render(self, *, is_page: bool = False, is_nested: bool = False, footer: str = "") -> str:
        """Render the report as HTML.

        Args:
            is_page: whether it is a page of its own.
            is_nested: whether it is a section of another page.
            footer: the text at the end of a page.
        """
        return render("report.html", report=self, is_page=is_page, is_nested=is_nested, footer=footer)

    def to_html(self, path: str | Path) -> None:
        """Write the report as a self-contained page of HTML, without scripts and external resources.

        Args:
            path: the path of the file; an existing file is replaced.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        created = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        footer = ", ".join([*([self.table] if self.table else []), self.contract, created])
        Path(path).write_text(self.render(is_page=True, footer=footer), encoding="utf-8")
