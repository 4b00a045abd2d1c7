"""The engine of a score job: the part of a run that reads, scores and writes the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, PlainSerializer

from sparksig.errors import ContractError, Finding
from sparksig.jobs.config import ScoreConfig
from sparksig.scoring.tally import FieldPath, PredictionSummary, merge_summaries

if TYPE_CHECKING:
    from sparksig.jobs.local_outputs import TargetPlan
    from sparksig.jobs.score_run import ScoreRun
    from sparksig.jobs.staging import Directory, StagedResult, StagingDirectory
    from sparksig.scoring.split import SplitResult
    from sparksig.tables.report import Report
    from sparksig.writing.plan import WritePlan

Layout = Literal["rows", "tables"]


def _parse_path(path: Any) -> Any:
    return json.loads(path) if isinstance(path, str) else path


JsonPath = Annotated[FieldPath, BeforeValidator(_parse_path), PlainSerializer(json.dumps, when_used="json")]
"""A path as a key of JSON: the list of its names, as text."""


@dataclass(frozen=True)
class RunPlan:
    """The plan of a run: its input, its writes, and the reason why it is refused.

    Attributes:
        input: the identity of the table: place, format, and version (Delta), or files, bytes and sha256.
        is_input_identified: whether the same identity means the same rows; not for a view.
        absent: the optional columns of the model that the table lacks.
        engine: the name of the engine that scores.
        engine_reason: the reason for its choice, or a detail; empty if it was required.
        refusal: the reason why the table does not fit the model; None if it fits.
        casts: the columns that are cast for the model: name, type in the table, transfer type.
        columns: the names and Spark types of the output's columns; empty if the table does not fit.
        writes: the plans of the output's write and of the quarantine's; empty if the table does not fit.
    """

    input: Mapping[str, Any]
    is_input_identified: bool
    absent: tuple[Finding, ...]
    engine: str
    engine_reason: str = ""
    refusal: ContractError | None = None
    casts: tuple[tuple[str, str, str], ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    writes: tuple[WritePlan | TargetPlan, ...] = ()


@dataclass(frozen=True)
class StagedCounts:
    """The counts of the rows that were scored into the staging directory.

    Attributes:
        rows_in: the rows that were read.
        scored: the rows with a prediction.
        rejected: the rows without one; ``rows_in`` is ``scored + rejected``.
        findings: the reasons, with counts, the most frequent first.
        model_loads: the number of times that workers loaded the model.
        model_load_seconds: the seconds of all loads.
        predictions: summary statistics of the predictions, by their paths.
    """

    rows_in: int
    scored: int
    rejected: int
    findings: tuple[Finding, ...] = ()
    model_loads: int = 0
    model_load_seconds: float = 0.0
    predictions: Mapping[JsonPath, PredictionSummary] = field(default_factory=dict)

    @classmethod
    def from_results(cls, results: Sequence[SplitResult]) -> StagedCounts:
        """Add the counts of all splits; the reasons are not among them."""
        return cls(
            rows_in=sum(result.rows for result in results),
            scored=sum(result.scored for result in results),
            rejected=sum(result.rejected for result in results),
            model_loads=sum(result.loads for result in results),
            model_load_seconds=sum(result.seconds["load"] for result in results),
            predictions=merge_summaries(*(result.summaries for result in results)),
        )


class Engine(Protocol):
    """A strategy of a :class:`~sparksig.jobs.score_run.ScoreRun` to read, score and write its rows.

    A run calls these methods in the order of the table. Everything else is common to all engines: the check
    of the configuration and the model, run ids, the budget, the order of publishing, the report.

    ======================  ====================================================================
    method                  phase of the run
    ======================  ====================================================================
    ``start``               "start": start the engine, and pin the model
    ``locate_staging``      "start"
    ``read_published``      "start", with a run id
    ``identify_input``      for a run that was done before
    ``plan``                "plan": open the table, judge it, plan all writes; the dry run ends here
    ``check_values``        "preflight", if the configuration asks for it
    ``stage``               "score": score all rows into a new directory of the staging
    ``publish``             "publish": write the staged rows to the quarantine and the output
    ======================  ====================================================================

    ``stage`` writes Parquet files in one of two layouts. With "tables" they are those of the output and of
    the quarantine, see :mod:`sparksig.jobs.staged_tables`. With "rows" they have these columns. Without a
    quarantine they are those of the output: the kept columns, the predictions, and ``findings`` if there is
    a budget. With a quarantine they are all columns of the table, ``sparksig prediction`` (or one column for
    each output), ``sparksig findings``, and for text files ``sparksig record``; see
    :mod:`sparksig.jobs.spark_rows`. An engine that differs only in the way of scoring is a subclass of
    another engine.

    Attributes:
        name: the name of the engine in configurations and reports.
        layout: the layout of the files that ``stage`` writes, known after ``plan``.
        publishes: the layouts that ``publish`` accepts.
    """

    name: str
    layout: Layout
    publishes: tuple[Layout, ...]

    def start(self, run: ScoreRun) -> str:
        """Start the engine with the model ``run.model``; return the digest of the model's directory."""

    def locate_staging(self, run: ScoreRun) -> StagingDirectory:
        """Return the staging directory of the run, beside the output."""

    def read_published(self, run: ScoreRun) -> Mapping[str, Any] | None:
        """Return the notes of a run that the output has already; None if it does not have the run.

        The notes are those of :meth:`~sparksig.jobs.score_run.ScoreRun.describe_result`; they may be empty.
        """

    def identify_input(self, run: ScoreRun) -> Mapping[str, Any]:
        """Return the current identity of the table, as in :attr:`RunPlan.input`."""

    def plan(self, run: ScoreRun) -> RunPlan:
        """Open the table and plan the run; nothing is scored or written."""

    def count_output_files(self, run: ScoreRun) -> int | None:
        """Return the approximate number of files of the output; None if it is not known in advance."""

    def check_values(self, run: ScoreRun) -> Report:
        """Check the values of the table by ``run.config.check``."""

    def stage(self, run: ScoreRun, directory: Directory) -> StagedCounts:
        """Score all rows into Parquet files in a directory that does not exist yet.

        Raises:
            SparksigError: rows cannot be scored, the counts disagree, or the table changed meanwhile.
        """

    def publish(self, run: ScoreRun, result: StagedResult) -> dict[str, int]:
        """Publish the staged rows, and return the number of rows that were written, by path or table.

        A second call after a crash completes the publication without duplicates.

        Raises:
            OutputRefusedError: the output has been created meanwhile.
        """


def choose_engine(config: ScoreConfig) -> Engine:
    """Return the engine for a configuration."""
    if config.engine == "local" or (config.engine == "auto" and find_spec("pyspark") is None):
        from sparksig.jobs.local_engine import LocalEngine

        return LocalEngine("" if config.engine == "local" else "Spark is not installed")
    if config.engine == "spark":
        from sparksig.jobs.spark_engine import SparkEngine

        return SparkEngine()
    from sparksig.jobs.connect_engine import ConnectEngine, uses_connect
    from sparksig.jobs.direct_engine import DirectEngine

    if uses_connect(config):
        return ConnectEngine()
    return DirectEngine(is_required=config.engine == "direct")
