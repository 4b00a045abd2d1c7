"""The engine whose Spark tasks read, score and write Parquet files themselves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparksig.errors import ModelFailedError, SparksigError, UnsupportedError, quote
from sparksig.jobs import spark_engine
from sparksig.jobs.config_errors import build_value_error
from sparksig.jobs.engine import RunPlan, StagedCounts
from sparksig.jobs.file_systems import find_file_system, locate
from sparksig.jobs.input_checks import refuse_null_types
from sparksig.jobs.local_engine import open_table
from sparksig.jobs.local_outputs import TargetPlan, plan_writes
from sparksig.jobs.progress import show_progress
from sparksig.jobs.spark_engine import SparkEngine
from sparksig.jobs.staged_columns import build_scan_options, name_findings
from sparksig.jobs.staged_tables import locate_rejected, select_tables
from sparksig.scoring.part import Target, build_output_schema
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.splits import plan_scan, plan_splits
from sparksig.scoring.storage import build_spark_schema, strip_type
from sparksig.spark.direct import count_slots, score_on_spark
from sparksig.spark.hadoop import HadoopPath
from sparksig.views import count_nouns

if TYPE_CHECKING:
    from sparksig.jobs.config import OutputSection, QuarantineSection
    from sparksig.jobs.score_run import ScoreRun
    from sparksig.jobs.staging import Directory
    from sparksig.scoring.prepared import PreparedModel


class DirectEngine(SparkEngine):
    """Tasks of Spark read, score and write the files of Parquet and plain Delta tables.

    Spark starts, plans, schedules and publishes as with the engine "spark", but no row passes through the
    JVM before it is staged. Tables that only Spark can read or write are scored by Spark.

    Attributes:
        is_required: whether it is an error if only Spark can score the table.
        scan: the plan of the tasks; None if Spark scores.
        splits: the parts of the table, one for each task.
    """

    name = "direct"

    def __init__(self, *, is_required: bool) -> None:
        super().__init__()
        self.is_required = is_required
        self.scan: ScanPlan | None = None
        self.splits: list[Split] = []
        self._output: TargetPlan | None = None
        self._model: PreparedModel

    def plan(self, run: ScoreRun) -> RunPlan:
        """Plan the run with Spark, then decide whether tasks can read and write the files themselves.

        Raises:
            ConfigError: tasks cannot, and the engine is required.
        """
        plan = super().plan(run)
        if plan.refusal is not None:
            return plan
        try:
            self._plan_splits(run)
            assert self.scan is not None
            self._output = _plan_output(run, self.scan)
            self.layout = "rows" if self._output is None else "tables"
        except SparksigError as error:
            self.scan, self.layout, reason = None, "rows", error.message.partition("\n")[0]
            if self.is_required:
                raise build_value_error("engine", "auto, or spark", "direct", reason) from None
            return replace(plan, engine="spark", engine_reason=reason)
        return replace(plan, engine="direct", engine_reason=count_nouns(len(self.splits), "task"))

    def count_output_files(self, run: ScoreRun) -> int | None:
        """Return the number of splits, each of which becomes one file."""
        if self.scan is None or run.config.output.partition_by:
            return super().count_output_files(run)
        return len(self.splits)

    def _plan_splits(self, run: ScoreRun) -> None:
        """Plan the tasks.

        Raises:
            UnsupportedError: only Spark reads or writes these columns correctly.
            TableNotFoundError, ContractError: pyarrow cannot read the files.
        """
        assert self.staged is not None
        config, work = run.config, self.udf.work
        version = self.input.identity.get("version")
        opened = open_table(config.input, config.spark, version)
        if version is None and len(opened.table.files) != self.input.identity["files"]:
            raise UnsupportedError("Spark and pyarrow find different files in the input")
        table = opened.table
        options = build_scan_options(
            config, self.rows.columns, zone=work.zone, absent=work.absent, returned=work.returned
        )
        self._model = replace(run.model, outputs=work.outputs)
        self.scan = plan_scan(table, self._model, work.params, work.features, options)
        _require_same_columns(self.scan, self.staged.schema.jsonValue()["fields"])
        refuse_null_types(self.scan.source)
        self.splits = plan_splits(table, self.scan, count_slots(self.spark))

    def stage(self, run: ScoreRun, directory: Directory) -> StagedCounts:
        """Score all splits, and count their rows; or let Spark do it."""
        if self.scan is None:
            return super().stage(run, directory)
        assert isinstance(directory, HadoopPath)
        store, path = find_file_system(directory.uri, run.config.spark)
        with show_progress(self.spark, "score"), _explain_model():
            shipping = run.config.model.shipping
            target = Target(store, path)
            if self._output is not None:
                selections = select_tables(
                    run.config, build_output_schema(self.scan), self._output.partitions
                )
                target = Target(store, path, selections)
            results = score_on_spark(self.spark, self._model, self.scan, self.splits, target, shipping)
        counts = StagedCounts.from_results(results)
        written = spark_engine.count_rows(directory)
        spark_engine.require_all_rows(counts.rows_in, counts.scored, counts.rejected, written)
        self.input.check_unchanged()
        if not counts.rejected:
            return counts
        if self.layout == "tables":
            reasons = self.read_reasons(locate_rejected(run.config, directory), "findings")
        else:
            reasons = self.read_reasons(directory, name_findings(run.config))
        return replace(counts, findings=reasons)


def _plan_output(run: ScoreRun, scan: ScanPlan) -> TargetPlan | None:
    """Plan the write of the output by splits; None if only Spark can write it or the quarantine."""
    config = run.config
    for section in (config.output, config.quarantine):
        if section is not None and (section.format != "parquet" or section.path is None):
            return None
    try:
        if config.quarantine is not None and not _share_store(config.output, config.quarantine, config.spark):
            return None  # its files are moved by renames
        writes = plan_writes(run, build_output_schema(scan))
    except SparksigError:  # pyarrow does not know the file system, or the existing table
        return None
    return None if any(write.findings for write in writes) else writes[0]


def _share_store(output: OutputSection, quarantine: QuarantineSection, conf: Mapping[str, str]) -> bool:
    """Return whether two paths are on the same file system."""
    stores = [locate(str(section.path), conf).store for section in (output, quarantine)]
    return bool(stores[0].equals(stores[1]))


@contextlib.contextmanager
def _explain_model() -> Iterator[None]:
    """Add to the error of a model the configuration that rejects such rows."""
    try:
        yield
    except ModelFailedError as error:
        if "first failing row" in error.message:
            hint = "to reject the rows on which the model fails, configure a budget and a quarantine"
            raise ModelFailedError(f"{error.message}\n  {hint}") from error.__context__
        raise


def _require_same_columns(scan: ScanPlan, fields: list[dict[str, Any]]) -> None:
    """Check that the tasks write the columns that Spark would write.

    Raises:
        UnsupportedError: the tasks write other columns.
    """
    own = json.loads(build_spark_schema(build_output_schema(scan), scan.spark_fields))["fields"]
    if [field["name"] for field in own] != [field["name"] for field in fields]:
        raise UnsupportedError("Spark writes the columns of the output in another order")
    for actual, expected in zip(own, fields):
        if strip_type(actual["type"]) != strip_type(expected["type"]):
            raise UnsupportedError(f"only Spark writes {quote(expected['name'])} in its type")
