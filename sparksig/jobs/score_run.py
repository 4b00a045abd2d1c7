"""The score job: it scores a table with a model, and publishes all predictions or nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from sparksig.errors import BudgetExceededError, Finding, OutputRefusedError
from sparksig.jobs.config import BudgetSection, ScoreConfig
from sparksig.jobs.console import print_error
from sparksig.jobs.engine import Engine, RunPlan, choose_engine
from sparksig.jobs.job_run import JobRun, RunReport
from sparksig.jobs.staging import StagedResult, StagingDirectory, build_fingerprints
from sparksig.jobs.start_checks import check_before_start
from sparksig.models.registry import redact_uri
from sparksig.scoring.prepared import PreparedModel
from sparksig.scoring.tally import name_summaries
from sparksig.views import count_nouns


def score(config: ScoreConfig) -> RunReport:
    """Score a table with a model, and publish the predictions.

    The model, the table's schema, and the output are checked before the first Spark task. Then all rows are
    scored into a hidden directory beside the output, counted, compared with the error budget, and published.
    A failed job writes nothing to the output. A killed job can be started again with its run id: complete
    results for the same model and input are published, otherwise all rows are scored again. A run that was
    done before is not repeated.

    Raises:
        SparksigError: an error of :data:`EXIT_CODES`.
    """
    return ScoreRun(config).execute()


class ScoreRun(JobRun[ScoreConfig]):
    """A run of the score job: prepare, plan, score into the staging directory, apply the budget, publish.

    The dry run is the same object, which ends after :meth:`make_plan`.

    Attributes:
        engine: reads, scores and writes the rows.
        model: the model, checked before the engine starts.
        digest: the digest of the model's directory.
        staging: the directory that belongs to this run.
        published: the notes of the same run in the output, if it was done before.
        interrupted: the result of an earlier attempt that ended while it was being published.
        plan: the input, the writes, and a refusal; None before :meth:`make_plan`.
    """

    job = "score"

    def __init__(self, config: ScoreConfig, engine: Engine | None = None) -> None:
        super().__init__(config)
        self.engine = engine or choose_engine(config)
        self.model: PreparedModel
        self.digest: str
        self.staging: StagingDirectory
        self.published: Mapping[str, Any] | None = None
        self.interrupted: StagedResult | None = None
        self.plan: RunPlan | None = None

    @property
    def uses_spark(self) -> bool:
        """True if the job runs on Spark."""
        return self.engine.name != "local"

    @property
    def is_known(self) -> bool:
        """Return whether the run was done before, or only its publication is left."""
        return self.published is not None or self.interrupted is not None

    def run(self) -> None:
        """Do the remaining steps: prepare, plan, score, apply the budget, publish.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`.
        """
        self.prepare()
        with contextlib.closing(self.staging):
            if self.published is not None:
                self._report_repetition(self.published)
            else:
                self._score_and_publish()

    def _score_and_publish(self) -> None:
        result = self.interrupted
        if result is None:
            with self.phase("plan"):
                plan = self.make_plan()
                self._raise_if_refused(plan)
            result = self._find_staged(plan) or self._score(plan)
            self._note_result(result)
            self._apply_budget(result)
        else:
            self._note_result(result)
        self._publish(result)

    # --- before anything is scored --------------------------------------------------------------------------

    def prepare(self) -> None:
        """Check the model and the paths, start the engine, and look for an earlier attempt.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`.
            OutputRefusedError: an earlier run with this id had another model or configuration.
        """
        self.note(model_path=self.config.model.path, output=self.config.output.location)
        if self.config.quarantine is not None:
            self.note(quarantine=self.config.quarantine.location)
        with self.phase("check"):
            self.model = check_before_start(self.config)
            self.note(signature=self.model.directory.signature)
        with self.phase("start"):
            self.digest = self.engine.start(self)
            self.note(model_digest=self.digest)
            self.staging = self.engine.locate_staging(self)
            if self.config.run_id is not None:
                self._find_earlier_attempt()

    def _find_earlier_attempt(self) -> None:
        self.published = self.engine.read_published(self)
        if self.published is None:
            self.staging.verify()
            if self.staging.read_published_files() is not None:
                self.interrupted = self.staging.read_result()
        self._refuse_other_run()

    def _refuse_other_run(self) -> None:
        """Check that an earlier run with this id had the same model and configuration, if they are known."""
        if self.published is not None and {"model_digest", "config"} <= self.published.keys():
            earlier = {"model": self.published["model_digest"], "config": self.published["config"]}
            difference = self._find_difference(earlier)
            if difference:
                raise OutputRefusedError(
                    f"the run {self.run_id} was done before, with {difference}: choose another run id; "
                    "nothing was written"
                )
        if self.interrupted is not None:
            difference = self._find_difference(self.interrupted.fingerprints)
            if difference:
                raise OutputRefusedError(
                    f"the run {self.run_id} was being published, and is started again with {difference}: "
                    "start it as it was, or choose another run id; its rows are in "
                    f"{self.staging.directory.uri}"
                )

    def _find_difference(self, fingerprints: Mapping[str, str]) -> str:
        """Name the difference from an earlier attempt with these fingerprints; empty without one."""
        current = build_fingerprints(self.config, self.digest, {})
        if current["model"] != fingerprints["model"]:
            return "another model"
        return "another configuration" if current["config"] != fingerprints["config"] else ""

    def make_plan(self) -> RunPlan:
        """Plan the run without Spark jobs, except jobs that read schemas.

        Raises:
            SparksigError: as :func:`sparksig.jobs.score`; a table that does not fit the model is noted in
                the plan.
        """
        self.plan = plan = self.engine.plan(self)
        self.note(input=dict(plan.input), absent=plan.absent)
        self.note(engine=plan.engine, engine_reason=plan.engine_reason)
        return plan

    def _raise_if_refused(self, plan: RunPlan) -> None:
        """Raise an error if the run is refused.

        Raises:
            ContractError: the table does not fit the model.
            OutputRefusedError: the output, or the quarantine, would not be written.
        """
        if plan.refusal is not None:
            raise plan.refusal
        for write in plan.writes:
            if write.findings:
                raise OutputRefusedError.of(f"{write.target}: nothing was written", write.findings)

    # --- scoring --------------------------------------------------------------------------------------------

    def _find_staged(self, plan: RunPlan) -> StagedResult | None:
        """Return the result of an earlier attempt that scored the same input with the same model."""
        result = self.staging.read_result()
        if result is None or not plan.is_input_identified:
            return None
        is_usable = result.layout in self.engine.publishes
        if not is_usable or result.fingerprints != build_fingerprints(self.config, self.digest, plan.input):
            return None
        return result if self.staging.claim_rows(result.data) else None

    def _score(self, plan: RunPlan) -> StagedResult:
        """Score all rows into the staging directory, which is removed after a failure."""
        self._check_values(plan)
        with self.phase("score"):
            data = self.staging.reset()
            try:
                counts = self.engine.stage(self, self.staging.directory / data)
                fingerprints = build_fingerprints(self.config, self.digest, plan.input)
                layout = self.engine.layout
                result = StagedResult(self.run_id, data, fingerprints, dict(plan.input), counts, layout)
                self.staging.write_result(result)
            except BaseException:
                with contextlib.suppress(Exception):  # the first failure is reported
                    self.staging.remove()
                raise
        return result

    def _check_values(self, plan: RunPlan) -> None:
        """Check values before rows are scored, as configured.

        Raises:
            ContractError: values break the contract, and no budget is configured.
            BudgetExceededError: more rows break it than the budget allows.
        """
        mode, budget = self.config.check.mode, self.config.budget
        if mode == "schema":  # a part of the plan
            return
        with self.phase("preflight"):
            report = self.engine.check_values(self)
        # plan.absent has the most similar names of the input
        report = replace(report, absent=plan.absent, table=redact_uri(self.config.input.location))
        self.note(check=report)
        if budget is None or (mode == "full" and not report.bad_rows):
            report.raise_if_failed()
        elif mode == "full":
            _check_budget(budget, int(report.bad_rows or 0), int(report.rows or 0), report.findings)

    def _note_result(self, result: StagedResult) -> None:
        counts, section = result.counts, self.config.output
        self.note(
            input=dict(result.input),
            rows_in=counts.rows_in,
            scored=counts.scored,
            rejected=counts.rejected,
            findings=counts.findings,
            model_loads=counts.model_loads,
            model_load_seconds=counts.model_load_seconds,
            predictions=name_summaries(counts.predictions, section.column, flatten=section.flatten),
        )

    def _apply_budget(self, result: StagedResult) -> None:
        """Check the rejected rows against the budget, and remove the staged rows if they exceed it."""
        counts = result.counts
        try:
            _check_budget(self.config.budget, counts.rejected, counts.rows_in, counts.findings)
        except BudgetExceededError:
            self.staging.remove()
            raise

    # --- publishing -----------------------------------------------------------------------------------------

    def _publish(self, result: StagedResult) -> None:
        """Publish the rows, unless another attempt has published them meanwhile."""
        with self.phase("publish"):
            try:
                with self.staging.lock():
                    if self.config.run_id is not None:
                        self.published = self.engine.read_published(self)
                    if self.published is None:
                        result = self._begin_publishing(result)
                        self.note(written=self.engine.publish(self, result))
                if self.published is None:
                    self.staging.remove(is_done=True)
            except Exception:
                print_error(
                    f"the scored rows are in {self.staging.directory.uri}. To publish them, start the job "
                    f"again with the run id {self.run_id}"
                )
                raise
        if self.published is not None:
            self._refuse_other_run()
            self._report_repetition(self.published)

    def _begin_publishing(self, result: StagedResult) -> StagedResult:
        """Return the result to publish: that of an attempt which began and ended meanwhile, or this one.

        Raises:
            OutputRefusedError: that attempt had another model or configuration.
        """
        chosen = self.staging.begin_publishing(result)
        if chosen != result:
            self.interrupted = chosen
            self._refuse_other_run()
            self._note_result(chosen)
        return chosen

    def describe_result(self, result: StagedResult) -> str:
        """Return the notes that are stored with the output, as JSON: the input, the model, and the counts."""
        counts, quarantine = result.counts, self.config.quarantine
        notes = {
            "run_id": result.run_id,
            "rows_in": counts.rows_in,
            "scored": counts.scored,
            "rejected": counts.rejected,
            "model_digest": result.fingerprints["model"],
            "config": result.fingerprints["config"],
            "input": dict(result.input),
            "quarantined": counts.rejected if quarantine is not None else 0,
        }
        return json.dumps(notes)

    def _report_repetition(self, notes: Mapping[str, Any]) -> None:
        """Report a run that was done before, and whether its input has changed since."""
        names = ("rows_in", "scored", "rejected", "input", "model_digest")
        self.note(status="repeated", **{name: notes[name] for name in names if name in notes})
        try:
            identity: Any = self.engine.identify_input(self)
        except Exception as error:  # the input may be missing, but the run is done
            identity = type(error).__name__
        if "input" in notes and identity != notes["input"]:
            print_error(
                f"the run {self.run_id} was done before, and its input has changed since: choose "
                "another run id to score it"
            )
        self.staging.remove(is_done=True)


def _check_budget(
    budget: BudgetSection | None, rejected: int, rows: int, findings: tuple[Finding, ...]
) -> None:
    """Check that no more rows are rejected than the budget allows.

    Raises:
        BudgetExceededError: more rows are rejected.
    """
    if budget is None:
        return
    limits = []
    if budget.rows is not None and rejected > budget.rows:
        limits.append(count_nouns(budget.rows, "row"))
    if budget.share is not None and rejected > Fraction(str(budget.share)) * rows:
        limits.append(f"{float(100 * budget.share):g} % of the rows")
    if limits:
        raise BudgetExceededError(
            f"{rejected:,} of {rows:,} rows cannot be scored, and the budget is {' and '.join(limits)}; "
            "nothing was written",
            findings,
        )
