"""The dry run of the score job: its plan, and the reasons why it would be refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sparksig.engine.absent import format_absent_column
from sparksig.errors import Code, ContractError, Finding
from sparksig.jobs.config import BudgetSection, ScoreConfig
from sparksig.jobs.score_run import ScoreRun
from sparksig.views import TextView, align_cells, count_nouns

if TYPE_CHECKING:
    from sparksig.jobs.local_outputs import TargetPlan
    from sparksig.writing.plan import WritePlan


@dataclass(frozen=True, repr=False)
class ScorePlan(TextView):
    """The plan of a score job.

    Attributes:
        run_id: the name of the run, if the configuration has one.
        model: the model directory.
        digest: the digest of its content.
        input: the identity of the table: place, format, and version (Delta) or files, bytes and sha256.
        casts: the columns that Spark casts for the model: name, type in the table, transfer type.
        columns: the names and Spark types of the output's columns.
        files: the number of files of the output: one for each partition that Spark makes of the input; None
            if the output is partitioned, so that the number is not known before.
        write: the plan of the output's write; None if the table does not fit the model.
        quarantine: the plan of the quarantine's write; None without one.
        check: the mode of the check before anything is scored.
        budget: the rows that may fail, as text.
        findings: the reasons why the job would be refused.
        exit_code: the exit code of the job for these findings; 0 without any.
        known: whether the run was done before, or is being published, so that it would only be completed.
        engine: the engine that would score.
        engine_reason: the reason for its choice, or a detail.
        absent: the optional columns of the model that the table lacks, with the most similar names.
    """

    run_id: str | None
    model: str
    digest: str
    input: Mapping[str, Any]
    casts: tuple[tuple[str, str, str], ...]
    columns: tuple[tuple[str, str], ...]
    files: int | None
    write: WritePlan | TargetPlan | None
    quarantine: WritePlan | TargetPlan | None
    check: str
    budget: str
    findings: tuple[Finding, ...]
    exit_code: int
    known: bool = False
    engine: str = "spark"
    engine_reason: str = ""
    absent: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready built-ins."""
        return asdict(self) | {
            "input": dict(self.input),
            "findings": [finding.to_dict() for finding in self.findings],
            "absent": [column.to_dict() for column in self.absent],
            "write": _plan_dict(self.write),
            "quarantine": _plan_dict(self.quarantine),
        }

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        details = {name: value for name, value in self.input.items() if name != "place" and value is not None}
        facts = [
            ("run", f"{self.run_id or 'a new one'}{_KNOWN if self.known else ''}"),
            ("model", self.model),
            ("model digest", self.digest),
            ("input", str(self.input.get("place"))),
            *(
                (f"input {name}", f"{value:,}" if isinstance(value, int) else str(value))
                for name, value in details.items()
            ),
            ("check", self.check),
            ("budget", self.budget),
            ("engine", ": ".join(text for text in (self.engine, self.engine_reason) if text)),
            ("output files", "depends on the partitions" if self.files is None else f"about {self.files:,}"),
        ]
        lines = [f"{name:<16} {text}" for name, text in facts]
        if self.absent:
            lines += ["absent columns", *(f"  {format_absent_column(column)}" for column in self.absent)]
        if self.casts:
            lines += [
                "casts",
                *(f"  {name}: {actual} -> {transfer}" for name, actual, transfer in self.casts),
            ]
        if self.columns:
            lines += ["output columns", *align_cells([("", name, dtype) for name, dtype in self.columns])]
        lines += [str(plan) for plan in (self.write, self.quarantine) if plan is not None]
        if self.findings:
            lines += [f"the job would end with exit code {self.exit_code}"]
            lines += [f"  - {finding}" for finding in self.findings]
        return "\n".join(lines)


_KNOWN = ", which was done before, or is being published: it would only be completed"


def _plan_dict(plan: WritePlan | TargetPlan | None) -> dict[str, Any] | None:
    return None if plan is None else plan.to_dict()


def plan_score(config: ScoreConfig) -> ScorePlan:
    """Plan a score job: only the schemas of tables are read, and nothing is scored or written.

    Raises:
        SparksigError: as :func:`sparksig.jobs.score`, for a wrong configuration, model, path or footer. The
            findings of the plan itself are in the result.
    """
    run = ScoreRun(config)
    with run.explain_errors():
        run.prepare()
        plan = run.make_plan()
        files = run.engine.count_output_files(run)
    refusal = None if run.is_known else plan.refusal
    refused = () if run.is_known else tuple(finding for write in plan.writes for finding in write.findings)
    broken = () if refusal is None else _list_findings(refusal)
    write, quarantine = (*plan.writes, None, None)[:2]
    return ScorePlan(
        run_id=config.run_id,
        model=config.model.path,
        digest=run.digest,
        input=plan.input,
        casts=plan.casts,
        columns=plan.columns,
        files=files,
        write=write,
        quarantine=quarantine,
        check=config.check.mode,
        budget=_format_budget(config.budget),
        findings=(*broken, *refused),
        exit_code=3 if broken else 6 if refused else 0,
        known=run.is_known,
        engine=plan.engine,
        engine_reason=plan.engine_reason,
        absent=plan.absent,
    )


def _list_findings(error: ContractError) -> tuple[Finding, ...]:
    return error.findings or (Finding(Code.INVALID_VALUE, "", error.message),)


def _format_budget(budget: BudgetSection | None) -> str:
    if budget is None:
        return "none: the first row that cannot be scored fails the run"
    rows = [] if budget.rows is None else [count_nouns(budget.rows, "row")]
    share = [] if budget.share is None else [f"{float(100 * budget.share):g} % of the rows"]
    return " and ".join([*rows, *share])
