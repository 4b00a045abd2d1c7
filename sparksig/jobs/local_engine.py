"""The engine without Spark: processes of this machine score Parquet and plain Delta tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparksig.engine.absent import find_absent_columns
from sparksig.errors import ContractError, SparksigError, UnsupportedError
from sparksig.jobs import local_outputs
from sparksig.jobs.config_errors import build_value_error
from sparksig.jobs.engine import Layout, RunPlan, StagedCounts
from sparksig.jobs.file_systems import locate
from sparksig.jobs.input_checks import refuse_null_types
from sparksig.jobs.inputs import digest_files, require_unchanged
from sparksig.jobs.progress import track_splits
from sparksig.jobs.staged_columns import build_scan_options, name_predictions, refuse_reserved_names
from sparksig.jobs.staged_tables import locate_rejected, select_scored, select_tables
from sparksig.jobs.staging import StagingDirectory, name_staging
from sparksig.models.registry import redact_uri
from sparksig.scoring.filters import WrongFilterError
from sparksig.scoring.folder import Folder
from sparksig.scoring.local import count_processes, resolve_zone, score_locally
from sparksig.scoring.names import find_name_conflicts
from sparksig.scoring.part import Target, build_output_schema
from sparksig.scoring.prepared import PreparedModel
from sparksig.scoring.result_types import read_result_type
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.split import SplitResult
from sparksig.scoring.splits import ScanOptions, plan_scan, plan_splits
from sparksig.scoring.storage import format_spark_type
from sparksig.tables.check import check
from sparksig.tables.delta_log import open_delta
from sparksig.tables.parquet import ParquetTable, open_parquet

if TYPE_CHECKING:
    from sparksig.jobs.config import InputSection, ScoreConfig
    from sparksig.jobs.score_run import ScoreRun
    from sparksig.jobs.staging import Directory, StagedResult
    from sparksig.tables.report import Report


class LocalEngine:
    """Processes of this machine read, score and write Parquet files, without a JVM.

    Attributes:
        reason: the reason why the engine was chosen; empty if it was required.
        model: the model, with the outputs for ``result_type``.
        table: the opened table.
        scan: the columns to read, and the options of scoring.
        splits: the parts of the table.
    """

    name = "local"
    layout: Layout = "tables"
    publishes: tuple[Layout, ...] = ("tables",)

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.model: PreparedModel
        self.table: OpenedTable
        self.scan: ScanPlan
        self.splits: list[Split] = []
        self._returned: pa.DataType | None = None
        self._zone = "UTC"
        self._partitions: Mapping[str, pa.DataType] = {}

    # --- before anything is scored --------------------------------------------------------------------------

    def start(self, run: ScoreRun) -> str:
        """Check that the configuration needs no Spark, and return the digest of the checked model."""
        config = run.config
        reason = _find_reason_for_spark(config)
        if reason:
            raise self._refuse(reason)
        self._zone = resolve_zone(config.spark.get("spark.sql.session.timeZone"))
        self.model = run.model
        if config.model.result_type is not None:
            outputs, self._returned = read_result_type(config.model.result_type)
            self.model = replace(run.model, outputs=outputs)
        return run.model.digest

    def _refuse(self, reason: str) -> SparksigError:
        """Return the error of a job that needs Spark."""
        hint = f"{reason}: {self.reason}, and it is needed" if self.reason else reason
        return build_value_error("engine", "auto, direct or spark", "local", hint)

    def locate_staging(self, run: ScoreRun) -> StagingDirectory:
        """Return the staging directory of the run, beside the output."""
        output = locate(str(run.config.output.path), run.config.spark)
        return StagingDirectory(output.parent / name_staging(output.name, run.run_id), run.run_id)

    def read_published(self, run: ScoreRun) -> Mapping[str, Any] | None:
        """Return the notes of this run if the output already has it; None otherwise."""
        return local_outputs.read_published(run)

    def identify_input(self, run: ScoreRun) -> Mapping[str, Any]:
        """Return the current identity of the table."""
        return open_table(run.config.input, run.config.spark).identity

    def plan(self, run: ScoreRun) -> RunPlan:
        """Open the table and plan the run by the footers of its files."""
        config = run.config
        local_outputs.refuse_nesting(config)
        try:
            self.table = open_table(config.input, config.spark)
        except UnsupportedError as error:
            raise self._refuse(error.message) from None
        names = self.table.table.schema.names
        options = self._build_options(config)
        absent = () if options.absent == "forbid" else find_absent_columns(self.model.inputs, names)
        identity = dict(self.table.identity)
        plan = RunPlan(
            identity, is_input_identified=True, absent=absent, engine=self.name, engine_reason=self.reason
        )
        try:
            if config.quarantine is not None:
                refuse_reserved_names(names)
            self._plan_splits(config, options)
        except WrongFilterError as error:
            raise build_value_error(
                "input.filter", "a condition in SQL", "another text", error.message
            ) from None
        except UnsupportedError as error:
            raise self._refuse(error.message) from None
        except ContractError as error:
            return replace(plan, refusal=error)
        schema = build_output_schema(self.scan)
        writes = local_outputs.plan_writes(run, schema)
        self._partitions = writes[0].partitions
        columns = select_scored(config, schema).describe(schema)
        texts = tuple((part.name, format_spark_type(part.type)) for part in columns)
        return replace(plan, columns=texts, writes=writes)

    def _build_options(self, config: ScoreConfig) -> ScanOptions:
        absent = self.model.choose_absent(None if config.model.absent == "auto" else config.model.absent)
        return build_scan_options(
            config, self._choose_columns(config), zone=self._zone, absent=absent, returned=self._returned
        )

    def _choose_columns(self, config: ScoreConfig) -> list[str]:
        """Return the columns of a quarantine: the kept columns, and those that the model accepts."""
        names, inputs = self.table.table.schema.names, self.model.inputs
        if config.output.keep == "*" or not inputs.has_input_names():
            return list(names)
        chosen = dict.fromkeys([*config.output.keep, *map(str, inputs.input_names())])
        return [name for name in chosen if name in names or name in config.output.keep]

    def _plan_splits(self, config: ScoreConfig, options: ScanOptions) -> None:
        """Plan the columns and the splits.

        Raises:
            ContractError: the table does not fit the model.
            UnsupportedError: only Spark reads or writes these columns correctly.
        """
        params = self.model.enforce_params(config.params or None)
        self.scan = plan_scan(self.table.table, self.model, params, self.model.find_features(), options)
        if config.quarantine is not None:  # the output of splits has other names
            _refuse_conflicts(self.table.table.schema.names, build_output_schema(self.scan).names, config)
        refuse_null_types(self.scan.source)
        self.splits = plan_splits(self.table.table, self.scan, self._count_slots())

    def count_output_files(self, run: ScoreRun) -> int | None:
        """Return the number of splits, each of which becomes one file."""
        return None if run.config.output.partition_by else len(self.splits)

    def check_values(self, run: ScoreRun) -> Report:
        """Check the values of the table, as configured."""
        section = run.config.check
        path, sampler = str(run.config.input.path), section.sample.build_sampler()
        return check(path, self.model.inputs, section.mode, sampler=sampler, strict_nulls=False)

    # --- scoring --------------------------------------------------------------------------------------------

    def stage(self, run: ScoreRun, directory: Directory) -> StagedCounts:
        """Score all splits, and count their rows."""
        assert isinstance(directory, Folder)
        directory.create()
        selections = select_tables(run.config, build_output_schema(self.scan), self._partitions)
        target = Target(directory.store, directory.path, selections)
        results = self._score_splits(target)
        self.table.check_unchanged()
        counts = StagedCounts.from_results(results)
        if not counts.rejected:
            return counts
        return replace(counts, findings=local_outputs.read_reasons(locate_rejected(run.config, directory)))

    def publish(self, run: ScoreRun, result: StagedResult) -> dict[str, int]:
        """Publish the staged rows. After a crash, a second call completes this without duplicates."""
        return local_outputs.publish(run, result)

    def _count_slots(self) -> int:
        """Return the number of splits that are scored at the same time."""
        return count_processes(self.table.table)

    def _score_splits(self, target: Target) -> list[SplitResult]:
        """Score the splits into the target."""
        with track_splits("score", len(self.splits)) as done:
            return score_locally(self.model, self.scan, self.splits, target, self._count_slots(), done)


def _refuse_conflicts(names: Sequence[str], staged: Sequence[str], config: ScoreConfig) -> None:
    """Check that no column in the output has the name of its predictions.

    Args:
        names: the columns of the input.
        staged: the columns of the staged rows.
        config: the configuration.

    Raises:
        ContractError: a column has such a name.
    """
    added = list(name_predictions(staged, config))
    conflicts = find_name_conflicts(names, added, config.output.keep, str.casefold)
    if conflicts:
        raise ContractError.of("the table cannot be scored", conflicts)


def _find_reason_for_spark(config: ScoreConfig) -> str:
    """Return the reason why a configuration needs Spark; empty if it does not."""
    outputs = {"output": config.output, "quarantine": config.quarantine}
    for name, section in outputs.items():
        if section is not None and section.format != "parquet":
            return f"the {name} is a Delta table"
    if config.check.mode != "schema" and (config.input.filter or config.input.format == "delta"):
        return "the values of filtered rows, or of a Delta table, are checked by Spark"
    return ""


# --- the table --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenedTable:
    """A table, and its state at the time of opening.

    Attributes:
        table: its files.
        identity: place, format, and version (Delta), or files, bytes and sha256.
        statuses: the sizes and times of the files.
    """

    table: ParquetTable
    identity: Mapping[str, Any]
    statuses: Mapping[str, tuple[int, int]]

    def check_unchanged(self) -> None:
        """Check that no file has changed since the table was opened.

        Raises:
            SparksigError: a file has changed, or is missing.
        """
        require_unchanged(self.statuses, _read_statuses(self.table))


def open_table(section: InputSection, conf: Mapping[str, str], version: int | None = None) -> OpenedTable:
    """Open the table of a configuration by its files.

    Args:
        section: the input.
        conf: Spark settings, which define the file system of plain paths.
        version: the version of a Delta table; None for the configured one, or the newest.

    Raises:
        UnsupportedError: only Spark can read the table.
        TableNotFoundError, ContractError: the table cannot be read.
    """
    if section.path is None:
        raise UnsupportedError("the input is a table of the catalog")
    if section.select:
        raise UnsupportedError("input.select computes columns")
    if section.format not in ("parquet", "delta"):
        raise UnsupportedError(f"the input is {section.format.upper()}")
    folder = locate(section.path, conf)
    identity: dict[str, Any] = {"place": redact_uri(section.path), "format": section.format}
    if section.format == "delta":
        requested = section.version if version is None else version
        table, snapshot = open_delta(folder.store, folder.path, section.path, requested)
        identity |= {"version": snapshot.version, "id": snapshot.id}
        return OpenedTable(table, identity, {})
    table = open_parquet(section.path, (folder.store, folder.path))
    statuses = _read_statuses(table)
    return OpenedTable(table, identity | digest_files(statuses), statuses)


def _read_statuses(table: ParquetTable) -> dict[str, tuple[int, int]]:
    """Return the size of each file, and its time in milliseconds."""
    infos = table.store.get_file_info([file.path for file in table.files])
    return {
        f"file://{_encode(info.path)}": (info.size or 0, (info.mtime_ns or 0) // 1_000_000) for info in infos
    }


def _encode(path: str) -> str:
    """Encode a path like Spark in the names of files."""
    return re.sub(r"""[\x00-\x20"#%<>?\[\\\]^`{|}\x7f]""", lambda match: f"%{ord(match[0]):02X}", path)
