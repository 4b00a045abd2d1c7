"""The score job: a table scored with a model, the predictions published, or nothing at all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sparksig.errors import BudgetExceededError, Code, Finding, OutputRefusedError, SparksigError
from sparksig.jobs.check_job import sampler_of, session_of
from sparksig.jobs.config import BudgetSection, ScoreConfig
from sparksig.jobs.preparing import Prepared, before_spark, model_of, prepare
from sparksig.jobs.progress import watched
from sparksig.jobs.record import Run, RunReport, recorded
from sparksig.jobs.score_plan import ScorePlan, plan_score
from sparksig.jobs.staging import Scored, Staging, fingerprint
from sparksig.jobs.tables import open_input, telling_headers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.spark.hadoop import Place
    from sparksig.spark.udf import ModelUDF

__all__ = ["ScorePlan", "plan_score", "score"]


def score(config: ScoreConfig) -> RunReport:
    """Score a table with a model, and publish the predictions.

    Everything that can be known beforehand is checked before the first Spark task: the model (found,
    whole, trusted), the table's schema against it, the output's place and schema. Then all is scored into a
    hidden directory beside the output, counted, and judged by the error budget; only then it is published.
    A job that fails leaves nothing at the output's place. A job that died, started again with its run id,
    goes on where it can: what was scored wholly, by the same model, of the same input, is published; what was
    not is scored anew. One that was done is not done again.

    Raises:
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return recorded("score", config, _score)


def _score(config: ScoreConfig, run: Run) -> None:
    from sparksig.jobs.outputs import refuse_quarantined

    run.tell(model_path=config.model.path, output=config.output.place)
    if config.quarantine is not None:
        run.tell(quarantine=config.quarantine.place)
    with run.phase("check"):
        run.tell(signature=before_spark(config))
    with run.phase("start"):
        spark = session_of("score", config)
        udf = model_of(spark, config)
        run.tell(model_digest=udf.digest)
        staging = Staging.of(spark, config.output, run.run_id)
    if config.run_id is not None and _was_done(spark, config, run, udf, staging):
        return
    with run.phase("plan"):
        prepared = prepare(spark, config, run.run_id, udf)
        run.tell(input=dict(prepared.input.identity), absent=prepared.absent)
        prepared.raise_if_refused()
        refuse_quarantined(spark, config)
    made_of = fingerprint(config, udf.digest, prepared.input.identity)
    scored = staging.found()
    if scored is None or scored.made_of != made_of or not prepared.input.is_known:
        _preflight(spark, config, run, prepared)
        with run.phase("score"), watched(spark, "score"), telling_headers():
            scored = _staged(config, prepared, staging, made_of)
    _tell(run, scored)
    try:
        _judge(config.budget, scored.rejected, scored.rows_in, _findings(scored))
    except BudgetExceededError:
        staging.remove()
        raise
    _publish(config, run, staging, scored)


def _was_done(spark: SparkSession, config: ScoreConfig, run: Run, udf: ModelUDF, staging: Staging) -> bool:
    """Whether the run was done before, or only had to be brought to its end, which is done then."""
    from sparksig.jobs.outputs import published

    done = published(spark, config, run.run_id)
    if done is not None:
        _refuse_other(config, run, udf, done)
        run.tell(model_digest=done.get("model_digest"))
        known = {name: done[name] for name in ("rows_in", "scored", "rejected", "input") if name in done}
        run.tell(repeated=True, **known)
        _tell_other_input(spark, config, run, done)
        staging.remove()
        return True
    scored = staging.found()
    if scored is None or staging.moved() is None:
        return False
    other = _other(fingerprint(config, udf.digest, scored.input), scored.made_of)
    if other:
        raise OutputRefusedError(
            f"the run {run.run_id} was being published, and is started again with {other}: start it as it "
            f"was, or choose another run id; what it scored is in {staging.place.uri}"
        )
    run.tell(input=dict(scored.input))
    _tell(run, scored)
    _publish(config, run, staging, scored)
    return True


def _other(wanted: Mapping[str, str], made_of: Mapping[str, str]) -> str:
    """What a run was done with, or begun with, that is not what it is started with now; empty if nothing."""
    if wanted["model"] != made_of["model"]:
        return "another model"
    return "another configuration" if wanted["config"] != made_of["config"] else ""


def _refuse_other(config: ScoreConfig, run: Run, udf: ModelUDF, done: Mapping[str, Any]) -> None:
    """See that a run that is done was done with this model and this configuration, where that is known.

    Raises:
        OutputRefusedError: it was not.
    """
    if not {"model_digest", "config"} <= done.keys():
        return
    wanted = fingerprint(config, udf.digest, {})
    other = _other(wanted, {"model": done["model_digest"], "config": done["config"]})
    if other:
        raise OutputRefusedError(
            f"the run {run.run_id} was done before, with {other}: choose another run id; nothing was written"
        )


def _tell_other_input(spark: SparkSession, config: ScoreConfig, run: Run, done: Mapping[str, Any]) -> None:
    """Say so where the input is not what it was when the run was done: a new run would read another one."""
    try:
        now: Any = open_input(spark, config.input, lenient=config.budget is not None).identity
    except Exception as error:  # it may be gone; the run is done all the same
        now = type(error).__name__
    if "input" in done and now != done["input"]:
        said = f"the run {run.run_id} was done before, and its input has changed since"
        print(f"sparksig: {said}: choose another run id to score it", file=sys.stderr, flush=True)  # noqa: T201


def _tell(run: Run, scored: Scored) -> None:
    run.tell(
        rows_in=scored.rows_in,
        scored=scored.scored,
        rejected=scored.rejected,
        findings=_findings(scored),
        model_loads=scored.model_loads,
        model_load_seconds=scored.model_load_seconds,
    )


def _findings(scored: Scored) -> tuple[Finding, ...]:
    return tuple(Finding(**told | {"code": Code(told["code"])}) for told in scored.findings)


def _publish(config: ScoreConfig, run: Run, staging: Staging, scored: Scored) -> None:
    from sparksig.jobs.outputs import Publication

    with run.phase("publish"):
        try:
            run.tell(written=Publication(config, staging, scored).publish())
        except Exception:
            said = f"what was scored is kept in {staging.place.uri}: start it again as the run {run.run_id}"
            print(f"sparksig: {said}", file=sys.stderr, flush=True)  # noqa: T201
            raise


# --- judging ------------------------------------------------------------------------------------------------


def _preflight(spark: SparkSession, config: ScoreConfig, run: Run, prepared: Prepared) -> None:
    """Check values before anything is scored, as far as the configuration asks for it.

    Raises:
        ContractError: some break the contract, and there is no budget for them.
        BudgetExceededError: too many rows do.
    """
    from sparksig.tables.check import check

    mode = config.check.mode
    if mode == "schema":  # which was checked with the plan
        return
    with run.phase("preflight"), watched(spark, "check"), telling_headers():
        sampler = sampler_of(config.check.sample)
        rows, inputs = prepared.rows, prepared.udf.inputs
        report = check(rows, inputs, mode, sampler=sampler, strict_nulls=False)
    report = replace(report, absent=prepared.absent)  # with near misses among all columns of the input
    run.tell(check=report)
    if config.budget is None or (mode == "full" and not report.bad_rows):
        report.raise_if_failed()
    elif mode == "full":
        _judge(config.budget, int(report.bad_rows or 0), int(report.rows or 0), report.findings)


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


# --- scoring ------------------------------------------------------------------------------------------------


def _staged(config: ScoreConfig, prepared: Prepared, staging: Staging, made_of: Mapping[str, str]) -> Scored:
    """Score everything into the staging; if that fails, nothing is left of it."""
    data = staging.begin()
    try:
        told = _write_staged(config, prepared, staging.place / data)
        prepared.input.check_unchanged()
        scored = Scored(staging.run_id, data, made_of, dict(prepared.input.identity), **told)
        staging.finish(scored)
    except BaseException:
        with contextlib.suppress(Exception):  # the JVM may be gone; what failed before is what is told
            staging.remove()
        raise
    return scored


def _write_staged(config: ScoreConfig, prepared: Prepared, place: Place) -> dict[str, Any]:
    from sparksig.jobs.rows import Counts, findings_column, reasons, staged_rows
    from sparksig.spark.bind import column

    counts = Counts()
    staged = staged_rows(prepared.rows, prepared.input, prepared.udf, config, counts)
    staged.write.parquet(place.uri)
    observed = counts.scored.get
    malformed = 0 if prepared.input.malformed is None else int(counts.malformed.get["rows"])
    rows_in = int(counts.seen.get["rows"]) + malformed
    scored, rejected = int(observed["scored"]), int(observed["rejected"]) + malformed
    written = _rows_at(place)
    if not rows_in == scored + rejected == written:
        raise SparksigError(
            f"{rows_in:,} rows were read, {scored:,} scored, {rejected:,} rejected, and {written:,} are in "
            "the files; nothing was published"
        )
    told: dict[str, Any] = {"rows_in": rows_in, "scored": scored, "rejected": rejected}
    told["model_loads"] = int(observed["model_loads"] or 0)
    told["model_load_seconds"] = float(observed["model_load_seconds"] or 0.0)
    if rejected:
        name = findings_column(config)
        bad = place.spark.read.parquet(place.uri).where(column(name).isNotNull())
        told["findings"] = [finding.to_dict() for finding in reasons(bad, name)]
    return told


def _rows_at(place: Place) -> int:
    """The rows in a directory of Parquet files, as their footers say."""
    if place.local is None:
        return place.spark.read.parquet(place.uri).count()
    import pyarrow.dataset

    return int(pyarrow.dataset.dataset(str(place.local), format="parquet").count_rows())
