"""The dry run of the score job: what it would do, and what keeps it from being done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sparksig.engine.absent import format_absent_column
from sparksig.errors import Code, ContractError, Finding
from sparksig.jobs.config import BudgetSection, ScoreConfig
from sparksig.jobs.record import Run, new_run_id
from sparksig.jobs.score_run import ScoreRun
from sparksig.jobs.tables import open_input
from sparksig.views import aligned

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.writing.write import WritePlan

__all__ = ["ScorePlan", "plan_score"]


@dataclass(frozen=True)
class ScorePlan:
    """What a score job would do.

    Attributes:
        run_id: of the run, if the configuration names it.
        model: the model's directory.
        digest: of its content.
        input: the identity of the table: place, format, and version (Delta) or files, bytes and sha256.
        casts: the columns that are cast for the model, in the JVM: name, type in the table, type in which it
            travels.
        columns: the output's, with their types in Spark.
        files: how many files the output would have: one for each partition that Spark makes of the input that
            has rows; None if the output is partitioned, which is not known before.
        write: what the output's write would do; None if the table does not fit the model.
        quarantine: what the quarantine's write would do; None if there is none.
        check: the check before anything is scored.
        budget: how many rows may fail, in words.
        findings: what keeps the job from being done.
        exit_code: what the job would end with because of that; 0 if there is nothing.
        known: whether the run was done before, or is being published: it would only be brought to its end.
        absent: the optional columns of the model that the table lacks, with their near misses.
    """

    run_id: str | None
    model: str
    digest: str
    input: Mapping[str, Any]
    casts: tuple[tuple[str, str, str], ...]
    columns: tuple[tuple[str, str], ...]
    files: int | None
    write: WritePlan | None
    quarantine: WritePlan | None
    check: str
    budget: str
    findings: tuple[Finding, ...]
    exit_code: int
    known: bool = False
    absent: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready built-ins."""
        return asdict(self) | {
            "input": dict(self.input),
            "findings": [finding.to_dict() for finding in self.findings],
            "absent": [column.to_dict() for column in self.absent],
            "write": _plan_dict(self.write),
            "quarantine": _plan_dict(self.quarantine),
        }

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        told = {name: value for name, value in self.input.items() if name != "place" and value is not None}
        facts = [
            ("run", f"{self.run_id or 'a new one'}{_KNOWN if self.known else ''}"),
            ("model", self.model),
            ("model digest", self.digest),
            ("input", str(self.input.get("place"))),
            *(
                (f"input {name}", f"{value:,}" if isinstance(value, int) else str(value))
                for name, value in told.items()
            ),
            ("check", self.check),
            ("budget", self.budget),
            ("output files", "as the partitions are" if self.files is None else f"about {self.files:,}"),
        ]
        lines = [f"{name:<16} {text}" for name, text in facts]
        if self.absent:
            lines += ["absent columns", *(f"  {format_absent_column(column)}" for column in self.absent)]
        lines += (
            ["casts", *(f"  {name}: {held} -> {wanted}" for name, held, wanted in self.casts)]
            if self.casts
            else []
        )
        lines += (
            ["output columns", *aligned([("", name, held) for name, held in self.columns])]
            if self.columns
            else []
        )
        lines += [str(plan) for plan in (self.write, self.quarantine) if plan is not None]
        if self.findings:
            lines += [f"the job would end with exit code {self.exit_code}"]
            lines += [f"  - {finding}" for finding in self.findings]
        return "\n".join(lines)


_KNOWN = ", which was done before, or is being published: it would only be brought to its end"


def _plan_dict(plan: WritePlan | None) -> dict[str, Any] | None:
    return None if plan is None else asdict(plan) | {"findings": [one.to_dict() for one in plan.findings]}


def plan_score(config: ScoreConfig) -> ScorePlan:
    """What the score job would do: nothing is scored or written, and of tables only schemas are read.

    Raises:
        SparksigError: as :func:`sparksig.jobs.score`, of what is wrong with the configuration, the model, the
            places, or the files' footers. What the plan itself finds, it tells.
    """
    run = ScoreRun.open(config, Run("score", config.run_id or new_run_id()))
    run.plan()
    refusal = run.refusal
    broken = () if refusal is None or run.is_known else _findings_of(refusal)
    plans = () if run.is_known else run.plans
    refused = tuple(finding for plan in plans for finding in plan.findings)
    output = [] if run.output is None else run.output.schema.fields
    write, quarantine = (*run.plans, None, None)[:2]
    return ScorePlan(
        config.run_id,
        config.model.path,
        run.udf.digest,
        run.input.identity,
        () if refusal is not None else _casts(run),
        tuple((field.name, field.dataType.simpleString()) for field in output),
        None if config.output.partition_by else _partitions(run.spark, config),
        write,
        quarantine,
        config.check.mode,
        _budget(config.budget),
        (*broken, *refused),
        3 if broken else 6 if refused else 0,
        run.is_known,
        run.absent,
    )


def _findings_of(error: ContractError) -> tuple[Finding, ...]:
    return error.findings or (Finding(Code.INVALID_VALUE, "", error.message),)


def _casts(run: ScoreRun) -> tuple[tuple[str, str, str], ...]:
    table = run.rows.schema
    bound = run.udf.bind(table, session=run.rows.sparkSession)
    held = {field.name: field.dataType.simpleString() for field in table.fields}
    if not run.udf.inputs.has_input_names():
        held = {str(index): field.dataType.simpleString() for index, field in enumerate(table.fields)}
    pairs = [
        (name, held.get(name, ""), wanted.simpleString()) for name, wanted in zip(bound.names, bound.types)
    ]
    return tuple(pair for pair in pairs if pair[1] != pair[2])


def _partitions(spark: SparkSession, config: ScoreConfig) -> int:
    """How many partitions Spark makes of the table; without its filter, which might ask for a query."""
    bare = open_input(spark, config.input.model_copy(update={"filter": None}))
    rows: Any = bare.rows
    return int(rows._jdf.queryExecution().toRdd().getNumPartitions())


def _budget(budget: BudgetSection | None) -> str:
    if budget is None:
        return "none: the first row that cannot be scored ends the run"
    rows = [] if budget.rows is None else [f"{budget.rows:,} rows"]
    share = [] if budget.share is None else [f"{float(100 * budget.share):g} % of the rows"]
    return " and ".join([*rows, *share])
