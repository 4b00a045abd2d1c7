"""One run of the score job, from its configuration to its report."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sparksig.engine.absent import find_absent_columns
from sparksig.errors import (
    BudgetExceededError,
    Code,
    ContractError,
    Finding,
    ModelFailedError,
    OutputRefusedError,
    SparksigError,
)
from sparksig.jobs.check_job import sampler_of, session_of
from sparksig.jobs.config import BudgetSection, ScoreConfig
from sparksig.jobs.console import complain
from sparksig.jobs.preparing import before_spark, build_udf, refuse_nesting
from sparksig.jobs.progress import watched
from sparksig.jobs.record import Run
from sparksig.jobs.staging import Scored, Staging, fingerprint
from sparksig.jobs.tables import Input, open_input, telling_headers
from sparksig.schema import ColSpec, Schema
from sparksig.spark.diagnosis import diagnosed
from sparksig.types import AnyType

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparksig.jobs.rows import Counts
    from sparksig.spark.hadoop import Place
    from sparksig.spark.udf import ModelUDF
    from sparksig.writing.write import WritePlan

__all__ = ["ScoreRun"]


@dataclass
class ScoreRun:
    """A run of the score job. The dry run is the same object, stopped before anything is staged.

    Attributes:
        config: the job's configuration.
        record: what the report will say.
        spark: the session.
        udf: the model.
        staging: the directory that is the run's own.
        done: what is known of the run, if it was done before.
        begun: what the run has scored, if it was being published when it ended.
        input: the table as it is now.
        rows: the columns of it that are read.
        staged: the rows as they are staged; None if the table does not fit the model.
        counts: counts the rows while they are staged.
        refusal: why the table does not fit the model.
        output: the output, were it computed; None if the table does not fit the model.
        plans: what the writes of the output, and of the quarantine, would do.
    """

    config: ScoreConfig
    record: Run
    spark: SparkSession
    udf: ModelUDF
    staging: Staging
    done: Mapping[str, Any] | None = None
    begun: Scored | None = None
    input: Input = field(init=False)
    rows: DataFrame = field(init=False)
    counts: Counts = field(init=False)
    staged: DataFrame | None = None
    refusal: ContractError | None = None
    output: DataFrame | None = None
    plans: tuple[WritePlan, ...] = ()

    @classmethod
    def open(cls, config: ScoreConfig, record: Run) -> ScoreRun:
        """Check what can be known without the table, start Spark, and look for an earlier attempt.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`.
            OutputRefusedError: an earlier run has this id, and another model or configuration.
        """
        from sparksig.jobs.outputs import published

        record.tell(model_path=config.model.path, output=config.output.place)
        if config.quarantine is not None:
            record.tell(quarantine=config.quarantine.place)
        with record.phase("check"):
            directory = before_spark(config)
            record.tell(signature=directory.signature)
        with record.phase("start"):
            spark = session_of("score", config)
            udf = build_udf(spark, config, directory)
            record.tell(model_digest=udf.digest)
            run = cls(config, record, spark, udf, Staging.of(spark, config.output, record.run_id))
            if config.run_id is not None:
                run.done = published(spark, config, config.run_id)
                if run.done is None and run.staging.moved() is not None:
                    run.begun = run.staging.found()
                run._refuse_other_run()
        return run

    @property
    def is_known(self) -> bool:
        """Return whether the run was done before, or only has to be published."""
        return self.done is not None or self.begun is not None

    @property
    def absent(self) -> tuple[Finding, ...]:
        """Return the optional columns of the model that the table lacks, unless they are forbidden."""
        if self.udf.absent == "forbid":
            return ()
        return find_absent_columns(self.udf.inputs, self.input.rows.columns)

    def _refuse_other_run(self) -> None:
        """Check that an earlier run of this id had the same model and configuration, if that is known."""
        run_id = self.record.run_id
        if self.done is not None and {"model_digest", "config"} <= self.done.keys():
            earlier = {"model": self.done["model_digest"], "config": self.done["config"]}
            other = _other(fingerprint(self.config, self.udf.digest, {}), earlier)
            if other:
                raise OutputRefusedError(
                    f"the run {run_id} was done before, with {other}: choose another run id; nothing was "
                    "written"
                )
        if self.begun is not None:
            other = _other(fingerprint(self.config, self.udf.digest, self.begun.input), self.begun.made_of)
            if other:
                raise OutputRefusedError(
                    f"the run {run_id} was being published, and is started again with {other}: start it as "
                    f"it was, or choose another run id; what it scored is in {self.staging.place.uri}"
                )

    # --- planning -------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Open the input, and plan everything: no Spark job but those that read schemas.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`; a table that does not fit is kept as ``refusal``.
        """
        from sparksig.jobs.outputs import plan_output, plan_quarantine, refuse_quarantined
        from sparksig.jobs.rows import Counts, needed, output_rows, quarantined_rows, staged_rows
        from sparksig.spark.frame import score_table

        config, section = self.config, self.config.output
        refuse_nesting(self.spark, config)
        lenient = config.budget is not None
        self.input = open_input(self.spark, config.input, lenient=lenient, types=_null_types(self.udf.inputs))
        self.record.tell(input=dict(self.input.identity), absent=self.absent)
        self.rows = needed(self.input.rows, self.udf, section)
        has_findings = lenient and config.quarantine is None
        on_error = "null" if has_findings else "fail"
        try:  # of the entire table, with the names as they will be: all findings
            score_table(
                self.input.rows, self.udf, section.column, section.keep, flatten=section.flatten,
                on_error=on_error,
            )  # fmt: skip
            self.counts = Counts()
            self.staged = staged_rows(self.rows, self.input, self.udf, config, self.counts)
        except ContractError as error:
            self.refusal = error
            return
        if not self.is_known:
            refuse_quarantined(self.spark, config)
        self.output = output_rows(self.staged, config)
        plans = [plan_output(self.output, config, self.record.run_id)]
        if config.quarantine is not None:
            bad = quarantined_rows(self.staged, config, self.record.run_id)
            plans.append(plan_quarantine(bad, config, self.record.run_id))
        self.plans = tuple(plans)

    def _raise_if_refused(self) -> None:
        """Raise what keeps the run from being done.

        Raises:
            ContractError: the table does not fit the model.
            OutputRefusedError: the output, or the quarantine, would not be written.
        """
        if self.refusal is not None:
            raise self.refusal
        for plan in self.plans:
            if plan.findings:
                raise OutputRefusedError.of(f"{plan.target}: nothing was written", plan.findings)

    # --- running --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Do what is not done yet: score into the staging, judge the budget, publish.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`.
        """
        if self.done is not None:
            self._repeat(self.done)
            return
        if self.begun is not None:
            self.record.tell(input=dict(self.begun.input))
            self._tell(self.begun)
            self._publish(self.begun)
            return
        with self.record.phase("plan"):
            self.plan()
            self._raise_if_refused()
        fingerprints = fingerprint(self.config, self.udf.digest, self.input.identity)
        scored = self.staging.found()
        if scored is None or scored.made_of != fingerprints or not self.input.is_known:
            self._check_values()
            with (
                self.record.phase("score"),
                watched(self.spark, "score"),
                telling_headers(),
                self._explaining_model(),
            ):
                scored = self._score(fingerprints)
        self._tell(scored)
        try:
            _judge(self.config.budget, scored.rejected, scored.rows_in, _findings(scored))
        except BudgetExceededError:
            self.staging.remove()
            raise
        self._publish(scored)

    def _repeat(self, done: Mapping[str, Any]) -> None:
        """Report a run that was done before, and whether its input has changed since."""
        self.record.tell(model_digest=done.get("model_digest"))
        known = {name: done[name] for name in ("rows_in", "scored", "rejected", "input") if name in done}
        self.record.tell(repeated=True, **known)
        try:
            now: Any = open_input(
                self.spark, self.config.input, lenient=self.config.budget is not None
            ).identity
        except Exception as error:  # it may be gone; the run is done all the same
            now = type(error).__name__
        if "input" in done and now != done["input"]:
            complain(
                f"the run {self.record.run_id} was done before, and its input has changed since: choose "
                "another run id to score it"
            )
        self.staging.remove()

    def _check_values(self) -> None:
        """Check values before anything is scored, as far as the configuration asks for it.

        Raises:
            ContractError: some break the contract, and there is no budget for them.
            BudgetExceededError: too many rows do.
        """
        from sparksig.tables.check import check

        mode, budget = self.config.check.mode, self.config.budget
        if mode == "schema":  # which was checked with the plan
            return
        with self.record.phase("preflight"), watched(self.spark, "check"), telling_headers():
            sampler = sampler_of(self.config.check.sample)
            report = check(self.rows, self.udf.inputs, mode, sampler=sampler, strict_nulls=False)
        report = replace(report, absent=self.absent)  # with near misses among all columns of the input
        self.record.tell(check=report)
        if budget is None or (mode == "full" and not report.bad_rows):
            report.raise_if_failed()
        elif mode == "full":
            _judge(budget, int(report.bad_rows or 0), int(report.rows or 0), report.findings)

    @contextlib.contextmanager
    def _explaining_model(self) -> Iterator[None]:
        """Add to the error of a model the file of its row, and what to configure for the run to go on."""
        try:
            with telling_headers(), diagnosed():
                yield
        except ModelFailedError as error:
            position = re.search(r"first failing row: ([\d,]+) of partition (\d+)", error.message)
            if position is None:  # no row is to blame
                raise
            row, partition = (int(part.replace(",", "")) for part in position.groups())
            lines = [error.message, *self._locate_row(partition, row)]
            lines.append("to reject the rows on which the model fails, configure a budget and a quarantine")
            raise ModelFailedError("\n  ".join(lines)) from error.__context__

    def _locate_row(self, partition: int, row: int) -> list[str]:
        """Return the file, and the row in it, of a row of a partition, as a line; none if nobody knows."""
        from pyspark.sql import functions as F

        number = (partition << 33) + row  # as monotonically_increasing_id counts
        for index in ("_metadata.row_index", "null"):  # which Parquet has
            with contextlib.suppress(Exception):  # it only adds to the error that is reported anyway
                names = (F.expr(index).alias("row"), F.input_file_name().alias("file"))
                rows = self.input.rows.select(*names, F.monotonically_increasing_id().alias("number"))
                for found in rows.where(F.col("number") == number).limit(1).collect():
                    place = f"file: {found.file}"
                    return [place if found.row is None else f"{place}, row {found.row:,}, counted from 0"]
        return []

    def _score(self, fingerprints: Mapping[str, str]) -> Scored:
        """Score everything into the staging; if that fails, nothing is left of it."""
        data = self.staging.begin()
        try:
            outcome = self._write_staged(self.staging.place / data)
            self.input.check_unchanged()
            identity = dict(self.input.identity)
            scored = Scored(self.staging.run_id, data, fingerprints, identity, **outcome)
            self.staging.finish(scored)
        except BaseException:
            with contextlib.suppress(Exception):  # the JVM may be gone; the first failure is reported
                self.staging.remove()
            raise
        return scored

    def _write_staged(self, place: Place) -> dict[str, Any]:
        from sparksig.jobs.rows import findings_column, reasons
        from sparksig.spark.bind import column

        assert self.staged is not None
        self.staged.write.parquet(place.uri)
        observed = self.counts.scored.get
        malformed = 0 if self.input.malformed is None else int(self.counts.malformed.get["rows"])
        rows_in = int(self.counts.seen.get["rows"]) + malformed
        scored, rejected = int(observed["scored"]), int(observed["rejected"]) + malformed
        written = _rows_at(place)
        if not rows_in == scored + rejected == written:
            raise SparksigError(
                f"{rows_in:,} rows were read, {scored:,} scored, {rejected:,} rejected, and {written:,} are "
                "in the files; nothing was published"
            )
        outcome: dict[str, Any] = {"rows_in": rows_in, "scored": scored, "rejected": rejected}
        outcome["model_loads"] = int(observed["model_loads"] or 0)
        outcome["model_load_seconds"] = float(observed["model_load_seconds"] or 0.0)
        if rejected:
            name = findings_column(self.config)
            bad = place.spark.read.parquet(place.uri).where(column(name).isNotNull())
            outcome["findings"] = [finding.to_dict() for finding in reasons(bad, name)]
        return outcome

    def _tell(self, scored: Scored) -> None:
        self.record.tell(
            rows_in=scored.rows_in,
            scored=scored.scored,
            rejected=scored.rejected,
            findings=_findings(scored),
            model_loads=scored.model_loads,
            model_load_seconds=scored.model_load_seconds,
        )

    def _publish(self, scored: Scored) -> None:
        from sparksig.jobs.outputs import Publication

        with self.record.phase("publish"):
            try:
                self.record.tell(written=Publication(self.config, self.staging, scored).publish())
            except Exception:
                complain(
                    f"what was scored is kept in {self.staging.place.uri}: start it again as the run "
                    f"{self.record.run_id}"
                )
                raise


def _other(wanted: Mapping[str, str], made_of: Mapping[str, str]) -> str:
    """What a run was done with, or begun with, that is not what it is started with now; empty if nothing."""
    if wanted["model"] != made_of["model"]:
        return "another model"
    return "another configuration" if wanted["config"] != made_of["config"] else ""


def _findings(scored: Scored) -> tuple[Finding, ...]:
    return tuple(Finding(**told | {"code": Code(told["code"])}) for told in scored.findings)


def _judge(budget: BudgetSection | None, rejected: int, rows: int, findings: tuple[Finding, ...]) -> None:
    """See that no more rows are rejected than the budget allows.

    Raises:
        BudgetExceededError: more are.
    """
    if budget is None:
        return
    limits = []
    if budget.rows is not None and rejected > budget.rows:
        limits.append(f"{budget.rows:,} rows")
    if budget.share is not None and rejected > Fraction(str(budget.share)) * rows:
        limits.append(f"{float(100 * budget.share):g} % of the rows")
    if limits:
        raise BudgetExceededError(
            f"{rejected:,} of {rows:,} rows cannot be scored, and the budget is {' and '.join(limits)}; "
            "nothing was written",
            findings,
        )


def _rows_at(place: Place) -> int:
    """The rows in a directory of Parquet files, as their footers say."""
    if place.local is None:
        return place.spark.read.parquet(place.uri).count()
    import pyarrow.dataset

    return int(pyarrow.dataset.dataset(str(place.local), format="parquet").count_rows())


def _null_types(inputs: Schema) -> dict[str, Any]:
    """The Spark types that columns of nothing but nulls are read in: an optional one in the declared type."""
    from pyspark.sql import types as T

    from sparksig.convert.spark import to_spark

    return {
        str(spec.name): T.NullType() if spec.required else to_spark(spec.type)
        for spec in inputs
        if isinstance(spec, ColSpec) and not isinstance(spec.type, AnyType)
    }
