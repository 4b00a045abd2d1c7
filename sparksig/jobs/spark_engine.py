"""The engine that reads, scores and writes with Spark."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparksig.engine.absent import find_absent_columns
from sparksig.errors import (
    ContractError,
    Finding,
    ModelFailedError,
    SparksigError,
    UnsupportedError,
)
from sparksig.jobs import spark_outputs
from sparksig.jobs.config_errors import build_value_error
from sparksig.jobs.engine import Layout, RunPlan, StagedCounts
from sparksig.jobs.inputs import Input, open_input
from sparksig.jobs.progress import show_progress
from sparksig.jobs.sessions import start_session
from sparksig.jobs.spark_rows import (
    Counts,
    build_staged_rows,
    count_reasons,
    select_needed,
    select_output,
    select_quarantined,
)
from sparksig.jobs.staged_columns import name_findings
from sparksig.schema import ColSpec, Schema
from sparksig.spark.bind import column
from sparksig.spark.diagnosis import convert_spark_errors
from sparksig.spark.frame import judge_table
from sparksig.spark.hadoop import HadoopPath, is_connect
from sparksig.spark.result_types import build_outputs, read_result_type
from sparksig.spark.udf import ModelUDF, build_udf
from sparksig.spark.work import PredictionObserver
from sparksig.types import AnyType

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparksig.jobs.config import ScoreConfig
    from sparksig.jobs.score_run import ScoreRun
    from sparksig.jobs.staging import Directory, StagedResult, StagingDirectory
    from sparksig.scoring.prepared import PreparedModel
    from sparksig.tables.report import Report


class SparkEngine:
    """Spark reads the table, calls the model in Python workers, and writes the rows.

    It reads and writes every format. Engines that use Spark only to distribute their work are subclasses
    with another :meth:`stage`.

    Attributes:
        spark: the session.
        udf: the model as a column function.
        input: the opened table.
        rows: the columns of the table to read.
        staged: the rows to stage; None if the table does not fit the model.
        counts: counts the rows while they are staged.
    """

    name = "spark"
    layout: Layout = "rows"
    publishes: tuple[Layout, ...] = ("rows", "tables")

    def __init__(self) -> None:
        self.spark: SparkSession
        self.udf: ModelUDF
        self.input: Input
        self.rows: DataFrame
        self.staged: DataFrame | None = None
        self.counts: Counts

    # --- before anything is scored --------------------------------------------------------------------------

    def start(self, run: ScoreRun) -> str:
        """Start the session, and ship the model to its workers.

        Raises:
            UnsupportedError: it is a session of Spark Connect, which gives no access to file systems.
        """
        self.spark = start_session("score", run.config)
        if is_connect(self.spark):
            raise UnsupportedError(
                "the score job does not run on Spark Connect with the engine spark: Spark Connect gives no "
                "access to the file systems of its cluster. Start it with spark-submit, set engine: direct "
                "or local, or call sparksig.score and sparksig.write in the session"
            )
        self.counts = Counts(PredictionObserver(self.spark.sparkContext))
        self.udf = _build_udf(self.spark, run.config, run.model)
        return self.udf.digest

    def locate_staging(self, run: ScoreRun) -> StagingDirectory:
        """Return the staging directory of the run, beside the output."""
        return spark_outputs.locate_staging(self.spark, run.config.output, run.run_id)

    def read_published(self, run: ScoreRun) -> Mapping[str, Any] | None:
        """Return the notes of this run if the output already has it; None otherwise."""
        return spark_outputs.read_published(self.spark, run.config, run.run_id)

    def identify_input(self, run: ScoreRun) -> Mapping[str, Any]:
        """Return the current identity of the table."""
        return open_input(self.spark, run.config.input, lenient=run.config.budget is not None).identity

    def plan(self, run: ScoreRun) -> RunPlan:
        """Open the table and plan the run, without Spark jobs except jobs that read schemas."""
        config, section = run.config, run.config.output
        spark_outputs.refuse_nesting(self.spark, config)
        lenient = config.budget is not None
        types = _choose_null_types(self.udf.inputs)
        self.input = open_input(self.spark, config.input, lenient=lenient, types=types)
        self.rows = select_needed(self.input.rows, self.udf, section)
        absent = (
            ()
            if self.udf.absent == "forbid"
            else find_absent_columns(self.udf.inputs, self.input.rows.columns)
        )
        plan = RunPlan(dict(self.input.identity), self.input.is_known, absent, engine="spark")
        findings = "findings" if lenient and config.quarantine is None else None
        try:  # of the entire table, with the names of the output: all findings
            bound = judge_table(
                self.input.rows, self.udf, section.column, section.keep, section.flatten, findings
            )
            self.staged = build_staged_rows(self.rows, self.input, self.udf, bound, config, self.counts)
        except ContractError as error:
            return replace(plan, refusal=error)
        if not run.is_known:
            spark_outputs.refuse_quarantined(self.spark, config)
        output = select_output(self.staged, config)
        writes = [spark_outputs.resolve_output(output, config, run.run_id).plan]
        if config.quarantine is not None:
            rejected = select_quarantined(self.staged, config, run.run_id)
            writes.append(spark_outputs.plan_quarantine(rejected, config.quarantine, run.run_id))
        names = tuple((field.name, field.dataType.simpleString()) for field in output.schema.fields)
        actual = {field.name: field.dataType.simpleString() for field in self.input.rows.schema.fields}
        if not self.udf.inputs.has_input_names():
            actual = {str(index): text for index, text in enumerate(actual.values())}
        casts = tuple(
            (name, actual.get(name, ""), dtype.simpleString())
            for name, dtype in zip(bound.names, bound.types)
            if actual.get(name, "") != dtype.simpleString()
        )
        return replace(plan, casts=casts, columns=names, writes=tuple(writes))

    def count_output_files(self, run: ScoreRun) -> int | None:
        """Return the number of partitions of the table without the filter, which might need a query."""
        if run.config.output.partition_by:
            return None
        unfiltered = open_input(self.spark, run.config.input.model_copy(update={"filter": None}))
        rows: Any = unfiltered.rows
        return int(rows._jdf.queryExecution().toRdd().getNumPartitions())

    def check_values(self, run: ScoreRun) -> Report:
        """Check the values of the table, as configured."""
        from sparksig.tables.check import check

        section = run.config.check
        with show_progress(self.spark, "check"):
            sampler = section.sample.build_sampler()
            return check(self.rows, self.udf.inputs, section.mode, sampler=sampler, strict_nulls=False)

    # --- scoring --------------------------------------------------------------------------------------------

    def stage(self, run: ScoreRun, directory: Directory) -> StagedCounts:
        """Score all rows, write them, and count them both while they are written and in the files."""
        assert self.staged is not None
        assert isinstance(directory, HadoopPath)
        with show_progress(self.spark, "score"), self._explain_model():
            self.staged.write.parquet(directory.uri)
            counts = self._read_counts(directory, name_findings(run.config))
        self.input.check_unchanged()
        return counts

    def _read_counts(self, directory: HadoopPath, findings: str) -> StagedCounts:
        observed = self.counts.scored.get
        malformed = 0 if self.input.malformed is None else int(self.counts.malformed.get["rows"])
        rows_in = int(self.counts.input.get["rows"]) + malformed
        scored, rejected = int(observed["scored"]), int(observed["rejected"]) + malformed
        require_all_rows(rows_in, scored, rejected, count_rows(directory))
        reasons_of_rows = self.read_reasons(directory, findings) if rejected else ()
        loads, seconds = observed["model_loads"] or 0, observed["model_load_seconds"] or 0.0
        predictions = self.counts.predictions.summaries
        return StagedCounts(
            rows_in, scored, rejected, reasons_of_rows, int(loads), float(seconds), predictions
        )

    def read_reasons(self, directory: HadoopPath, findings: str) -> tuple[Finding, ...]:
        """Read the reasons for rejected rows from the staged rows, the most frequent first, with counts."""
        rows = self.spark.read.parquet(directory.uri).where(column(findings).isNotNull())
        return tuple(count_reasons(rows, findings))

    @contextlib.contextmanager
    def _explain_model(self) -> Iterator[None]:
        """Add to the error of a model the file of the row, and the configuration that rejects such rows."""
        try:
            with convert_spark_errors():
                yield
        except ModelFailedError as error:
            position = re.search(r"first failing row: ([\d,]+) of partition (\d+)", error.message)
            if position is None:  # the error concerns all rows
                raise
            row, partition = (int(part.replace(",", "")) for part in position.groups())
            lines = [error.message, *self._locate_row(partition, row)]
            lines.append("to reject the rows on which the model fails, configure a budget and a quarantine")
            raise ModelFailedError("\n  ".join(lines)) from error.__context__

    def _locate_row(self, partition: int, row: int) -> list[str]:
        """Return the file of a row of a partition, and its position there, as a line; no line if unknown."""
        from pyspark.sql import functions as F

        number = (partition << 33) + row  # as monotonically_increasing_id counts
        for index in ("_metadata.row_index", "null"):  # only Parquet has it
            with contextlib.suppress(Exception):  # the error is reported even without the file
                names = (F.expr(index).alias("row"), F.input_file_name().alias("file"))
                rows = self.input.rows.select(*names, F.monotonically_increasing_id().alias("number"))
                for match in rows.where(F.col("number") == number).limit(1).collect():
                    file = f"file: {match.file}"
                    return [file if match.row is None else f"{file}, row {match.row:,}, counted from 0"]
        return []

    def publish(self, run: ScoreRun, result: StagedResult) -> dict[str, int]:
        """Publish the staged rows. After a crash, a second call completes this without duplicates."""
        return spark_outputs.publish(self.spark, run, result)


def _build_udf(spark: SparkSession, config: ScoreConfig, model: PreparedModel) -> ModelUDF:
    """Build the column function of a checked model; a remote model is not fetched again.

    Raises:
        ConfigError: ``result_type`` or ``flatten`` do not fit the model.
    """
    section = config.model
    try:
        returned = None
        if section.result_type is not None:
            returned = read_result_type(spark, section.result_type)
            model = replace(model, outputs=build_outputs(returned))
        udf = build_udf(
            spark,
            model,
            returned,
            params=config.params,
            batch_rows=section.batch_rows,
            absent=None if section.absent == "auto" else section.absent,
            shipping=section.shipping,
        )
    except (ContractError, UnsupportedError) as error:
        if section.result_type is None:
            raise
        raise build_value_error(
            "model.result_type", "a type for predictions, as DDL", hint=error.message
        ) from None
    if config.output.flatten and not hasattr(udf.return_type, "fields"):
        expected = "false, because each prediction is a single value"
        raise build_value_error(
            "output.flatten", expected, actual=f"true, for {udf.return_type.simpleString()}"
        )
    return udf


def _choose_null_types(inputs: Schema) -> dict[str, Any]:
    """Return the Spark types for columns of the null type: for an optional column the declared type."""
    from pyspark.sql import types as T

    from sparksig.convert.spark import to_spark

    return {
        str(spec.name): T.NullType() if spec.required else to_spark(spec.type)
        for spec in inputs
        if isinstance(spec, ColSpec) and not isinstance(spec.type, AnyType)
    }


def require_all_rows(rows_in: int, scored: int, rejected: int, written: int) -> None:
    """Check that the rows that were read, counted, and written are the same number.

    Raises:
        SparksigError: the numbers differ.
    """
    if not rows_in == scored + rejected == written:
        raise SparksigError(
            f"{rows_in:,} rows were read, {scored:,} scored, {rejected:,} rejected, and {written:,} are "
            "in the files; nothing was published"
        )


def count_rows(directory: HadoopPath) -> int:
    """Return the number of rows in a directory of Parquet files, by their footers."""
    if directory.local is None:
        reader = directory.spark.read.option("recursiveFileLookup", "true")
        return reader.parquet(directory.uri).count()
    import pyarrow.dataset

    return int(pyarrow.dataset.dataset(str(directory.local), format="parquet").count_rows())
