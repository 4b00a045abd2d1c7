"""The report of a run, as text, JSON and a page of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sparksig.engine.absent import format_absent_column
from sparksig.errors import Code, Finding
from sparksig.scoring.tally import PredictionSummary, describe_summaries
from sparksig.tables.report import ColumnReport, Report
from sparksig.views import TextView, count_nouns, format_size, render


@dataclass(frozen=True, repr=False)
class RunReport(TextView):
    """The report of a run, also of a failed run. Unknown fields are empty or None.

    Attributes:
        job: "score", "check" or "infer".
        run_id: the name of the run.
        status: "done", "failed", or "repeated" if the run was done before and nothing was written now.
        exit_code: the exit code of the command.
        started: the time of the start, in UTC, ISO 8601.
        seconds: the duration of the run.
        phases: the seconds of each phase, in their order.
        error: the reason of the failure.
        error_findings: the findings of the error.
        log: the file with the complete log of a failure; None if the message is complete.
        model_path: the model directory that was used.
        model_digest: the SHA-256 of its content.
        signature: the signature of the model, or the inferred one: JSON texts of inputs, outputs and params,
            and ``text``.
        input: the table that was read: place, format, and version (Delta), or files, bytes and their sha256.
        rows_in: the rows that were read; rows_in = scored + rejected.
        scored: rows with a prediction.
        rejected: rows without one.
        findings: the reasons why rows were rejected, with counts.
        predictions: summary statistics of the predictions, by column.
        absent: the optional columns of the model that the input lacks, with the most similar names.
        check: the report of the check of the input.
        evidence: the evidence for each column of an inferred signature.
        model_loads: the number of times that workers loaded the model.
        model_load_seconds: the seconds of all loads.
        engine: the engine that scored: "spark", "direct" or "local".
        engine_reason: the reason for its choice, or a detail.
        output: the table of the predictions.
        quarantine: the table of the rejected rows.
        written: the number of rows written to each table.
        versions: the versions of Python and of the packages.

    Example:
        >>> report = RunReport("score", "nightly", "done", 0, "2026-01-31T00:00:00Z", 2.0, {"score": 1.5},
        ...                    rows_in=10, scored=9, rejected=1)
        >>> print(report)
        run              nightly
        status           done
        rows in          10
        scored           9
        rejected         1 (10 %)
        seconds          2.0
        rows per second  5
        phases           score 1.5 s
        >>> RunReport.from_json(report.to_json()) == report
        True
    """

    job: str
    run_id: str
    status: str
    exit_code: int
    started: str
    seconds: float
    phases: Mapping[str, float]
    error: str = ""
    error_findings: tuple[Finding, ...] = ()
    log: str | None = None
    model_path: str | None = None
    model_digest: str | None = None
    signature: Mapping[str, str | None] | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    rows_in: int | None = None
    scored: int | None = None
    rejected: int | None = None
    findings: tuple[Finding, ...] = ()
    absent: tuple[Finding, ...] = ()
    check: Report | None = None
    evidence: tuple[str, ...] = ()
    model_loads: int | None = None
    model_load_seconds: float | None = None
    engine: str | None = None
    engine_reason: str = ""
    output: str | None = None
    quarantine: str | None = None
    written: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    predictions: Mapping[str, PredictionSummary] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float | None:
        """The rows read per second of the run; None for a repeated run, which reads none."""
        if self.rows_in is None or not self.seconds or self.status == "repeated":
            return None
        return self.rows_in / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready built-ins."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        rate = self.rows_per_second
        return plain | {
            "seconds": round(self.seconds, 3),
            "phases": {name: round(seconds, 3) for name, seconds in self.phases.items()},
            "error_findings": [finding.to_dict() for finding in self.error_findings],
            "signature": None if self.signature is None else dict(self.signature),
            "input": dict(self.input),
            "findings": [finding.to_dict() for finding in self.findings],
            "absent": [column.to_dict() for column in self.absent],
            "check": None if self.check is None else self.check.to_dict(),
            "evidence": list(self.evidence),
            "predictions": {name: asdict(summary) for name, summary in self.predictions.items()},
            "written": dict(self.written),
            "versions": dict(self.versions),
            "rows_per_second": None if rate is None else round(rate, 1),
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> RunReport:
        """Read a report from the text of :meth:`to_json`."""
        body = json.loads(text)
        body.pop("rows_per_second")
        for name in ("findings", "error_findings", "absent"):
            body[name] = tuple(map(_read_finding, body.get(name, ())))
        predictions = _SUMMARIES.validate_python(body.get("predictions", {}))
        evidence, check = tuple(body["evidence"]), _read_check(body["check"])
        return cls(**body | {"check": check, "evidence": evidence, "predictions": predictions})

    def to_html(self, path: str | Path) -> None:
        """Write the report as a self-contained page of HTML.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self.render_page(), encoding="utf-8")

    def render_page(self) -> str:
        """Return the page of HTML as text."""
        return self._render(is_page=True)

    def _render(self, *, is_page: bool = False) -> str:
        checked = None if self.check is None else self.check.render(is_nested=True)
        digests = {"model digest": self.model_digest, "input digest": self.input.get("sha256")}
        return render(
            "run.html",
            report=self,
            facts=self.list_facts(),
            checked=checked,
            digests=digests,
            is_page=is_page,
        )

    def list_facts(self) -> list[tuple[str, str]]:
        """Return the known fields as pairs of a name and a text: the outcome and the numbers first."""
        rate, load_seconds = self.rows_per_second, self.model_load_seconds
        facts: list[tuple[str, str | None]] = [
            ("run", self.run_id),
            ("status", self._format_status()),
            ("rows in", _format_count(self.rows_in)),
            ("scored", _format_count(self.scored)),
            ("rejected", self._format_rejected()),
            *(("predictions", text) for text in describe_summaries(self.predictions)),
            ("seconds", f"{self.seconds:.1f}"),
            ("rows per second", None if rate is None else f"{rate:,.0f}"),
            ("phases", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.phases.items())),
            ("model", self.model_path),
            ("model digest", _shorten(self.model_digest)),
            ("model loads", _format_count(self.model_loads)),
            ("load seconds", None if load_seconds is None else f"{load_seconds:.1f}"),
            ("engine", ": ".join(text for text in (self.engine, self.engine_reason) if text)),
            ("input", _format_input(self.input)),
            ("input digest", _shorten(self.input.get("sha256"))),
            *(
                ("absent column", format_absent_column(column))
                for column in self.absent
                if self.check is None or column not in self.check.absent
            ),
            ("output", self._format_table(self.output)),
            ("quarantine", self._format_table(self.quarantine)),
            ("log", self.log),
        ]
        return [(name, text) for name, text in facts if text]

    def _format_status(self) -> str:
        if self.status == "failed":
            return f"failed, exit code {self.exit_code}"
        return f"{self.status}: the run was done before" if self.status == "repeated" else self.status

    def _format_rejected(self) -> str | None:
        if not self.rejected or not self.rows_in:
            return _format_count(self.rejected)
        return f"{self.rejected:,} ({100 * self.rejected / self.rows_in:.2g} %)"

    def _format_table(self, table: str | None) -> str | None:
        """Format a table with the number of its new rows; None for one that a failed run has not written."""
        rows = self.written.get(table or "")
        if rows is None:
            return None if self.status == "failed" else table
        return f"{table} ({count_nouns(rows, 'row')})"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, with_error: bool = True) -> str:
        """Return the report as text.

        Args:
            with_error: whether to include the reason of a failure.
        """
        lines = [] if self.check is None else [str(self.check)]
        lines += self.evidence
        lines += [f"{name:<16} {text}" for name, text in self.list_facts()]
        lines += [f"- {finding}" for finding in self.findings]
        if self.error and with_error:
            printed = {*self.findings, *(() if self.check is None else self.check.findings)}
            lines += [f"{'error':<16} {self.error}"]
            lines += [f"- {finding}" for finding in self.error_findings if finding not in printed]
        return "\n".join(lines)


def _shorten(digest: str | None) -> str | None:
    """Return the first digits of a digest; to_dict has the complete digest."""
    return None if digest is None else f"{digest[:12]}..."


def _format_count(count: int | None) -> str | None:
    return None if count is None else f"{count:,}"


def _format_input(details: Mapping[str, Any]) -> str | None:
    """Format the path or name of the input, with its format, version or size."""
    parts = [str(details["format"])] if details.get("format") else []
    parts += [f"version {details['version']}"] if details.get("version") is not None else []
    parts += [count_nouns(details["files"], "file")] if details.get("files") is not None else []
    parts += [format_size(details["bytes"])] if details.get("bytes") is not None else []
    location = details.get("place")
    return f"{location} ({', '.join(parts)})" if location and parts else location


# --- reading JSON ---------------------------------------------------------------------------------------

_SUMMARIES = TypeAdapter(dict[str, PredictionSummary])


def _read_finding(body: Mapping[str, Any]) -> Finding:
    names = {each.name for each in fields(Finding)}
    values = {name: value for name, value in body.items() if name in names}
    return Finding(**values | {"code": Code(body["code"]), "rows": tuple(body.get("rows", ()))})


def _read_check(body: Mapping[str, Any] | None) -> Report | None:
    if body is None:
        return None
    findings: Sequence[Mapping[str, Any]] = body["findings"]
    columns = [
        ColumnReport(**column | {"values": tuple((label, count) for label, count in column["values"])})
        for column in body["columns"]
    ]
    values = {name: body[name] for name in ("mode", "contract", "rows", "bad_rows", "claim", "seconds")}
    return Report(
        findings=tuple(map(_read_finding, findings)),
        columns=tuple(columns),
        table=body.get("table", ""),
        examples={
            index: tuple(each["examples"]) for index, each in enumerate(findings) if each.get("examples")
        },
        **values,
    )
