"""Outputs and quarantines of Parquet files without Spark: their plans, and their publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparksig.errors import (
    Code,
    Finding,
    OutputRefusedError,
    TableNotFoundError,
    UnsupportedError,
    quote,
)
from sparksig.jobs.file_systems import locate
from sparksig.jobs.publishing import build_quarantine_error, refuse_nested
from sparksig.jobs.staged_columns import MOST_REASONS, build_reason, select_table_columns
from sparksig.jobs.staged_tables import publish_tables, select_rejected, select_scored
from sparksig.jobs.staging import StagedResult, read_notes
from sparksig.models.registry import fetch_model, is_remote
from sparksig.scoring.folder import Folder
from sparksig.scoring.selection import find_unsafe_partitions
from sparksig.scoring.storage import convert_type
from sparksig.tables.contract import RUN_COLUMN
from sparksig.tables.findings import find_equal_names, find_missing
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.tables.partitions import can_share_partition, judge_partition_names, report_other_type

if TYPE_CHECKING:
    from sparksig.jobs.config import OutputSection, QuarantineSection, ScoreConfig
    from sparksig.jobs.score_run import ScoreRun

# --- before anything is scored ----------------------------------------------------------------------------


@dataclass(frozen=True)
class TargetPlan:
    """The plan of a write without Spark.

    Attributes:
        target: the path.
        mode: "error", "append" or "overwrite".
        exists: whether the target already exists.
        findings: the reasons why the write is refused; empty if it is allowed.
        partitions: the types with which the directories of an existing table are read, by column.
    """

    target: str
    mode: str
    exists: bool
    findings: tuple[Finding, ...]
    partitions: Mapping[str, pa.DataType] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready built-ins."""
        return {
            "target": self.target,
            "mode": self.mode,
            "exists": self.exists,
            "findings": [part.to_dict() for part in self.findings],
            "ok": not self.findings,
        }

    def __str__(self) -> str:
        verb = {"error": "create", "append": "append to", "overwrite": "overwrite"}[self.mode]
        lines = [f"{verb} {self.target} (parquet{', which exists' if self.exists else ''})"]
        return "\n".join([*lines, *(f"  - {finding}" for finding in self.findings)])


def refuse_nesting(config: ScoreConfig) -> None:
    """Check that no path of the job equals another one, or is inside it.

    Raises:
        OutputRefusedError: a path equals another one, or is inside it.
    """
    sections = {"output": config.output, "quarantine": config.quarantine, "input": config.input}
    paths = {
        name: locate(section.path, config.spark)
        for name, section in sections.items()
        if section is not None and section.path is not None
    }
    if not is_remote(config.model.path):  # an overwrite would remove it
        paths["model"] = locate(str(fetch_model(config.model.path).absolute()), config.spark)
    refuse_nested(paths)


def read_published(run: ScoreRun) -> Mapping[str, Any] | None:
    """Return the notes of this run if the output already has it; None otherwise."""
    return read_notes(_locate_run(run).uri, run.run_id, {})


def plan_writes(run: ScoreRun, schema: pa.Schema) -> tuple[TargetPlan, ...]:
    """Plan the writes of the output and of the quarantine.

    Args:
        run: the run.
        schema: the columns of the staged rows.

    Raises:
        OutputRefusedError: the quarantine has rows of a run with this id, or a target is not a Parquet table.
    """
    config = run.config
    columns = select_scored(config, schema).describe(schema)
    by = config.output.partition_by
    plans = [_plan_target(config.output, config.output.mode, config, columns, columns.names, by)]
    if config.quarantine is not None:
        if not run.is_known and config.run_id is not None and _locate_quarantined(run).exists():
            raise build_quarantine_error(config.quarantine.location, run.run_id)
        rejected = select_rejected(schema).describe(schema)
        names = [*select_table_columns(schema.names), "findings"]
        plans.append(_plan_target(config.quarantine, "append", config, rejected, names, []))
    return tuple(plans)


def _plan_target(
    section: OutputSection | QuarantineSection,
    mode: str,
    config: ScoreConfig,
    columns: pa.Schema,
    names: Sequence[str],
    by: list[str],
) -> TargetPlan:
    """Plan the write of one table.

    Args:
        section: the target.
        mode: "error", "append" or "overwrite".
        config: the configuration.
        columns: the columns to write.
        names: their names, including duplicates.
        by: the columns to partition by.
    """
    target = locate(str(section.path), config.spark)
    existing = _open_existing(target)
    runs = [RUN_COLUMN] if mode == "append" else []
    findings = find_equal_names([*names, *runs], str.casefold)
    missing = find_missing(by, columns.names, "a column to partition by")
    findings += missing
    if not missing:
        findings += judge_partition_names(columns.names, by) + find_unsafe_partitions(columns, by)
    partitions = {}
    if existing is not None and mode == "append":
        findings += _compare_columns(columns, existing, [RUN_COLUMN, *by])
        partitions = {part.name: part.type for part in existing.schema if part.name in by}
    return TargetPlan(section.location, mode, existing is not None, tuple(findings), partitions)


def _open_existing(target: Folder) -> ParquetTable | None:
    """Open the table at a target; None if the target does not exist.

    Raises:
        OutputRefusedError: the target is not a Parquet table.
    """
    if not any(map(_is_visible, target.list_files() if target.is_directory() else ())):
        return None  # or its runs had no rows
    try:
        return open_parquet(target.uri, (target.store, target.path))
    except (TableNotFoundError, UnsupportedError):
        raise OutputRefusedError(
            f"{target.uri} exists and is not a Parquet table; nothing was written"
        ) from None


def _report_partitions(existing: list[str], by: list[str]) -> Finding:
    """Report partitions that differ from those of the existing table, in the words of a checked write."""
    expected = f"partitions by {', '.join(map(quote, existing))}" if existing else "no partitions"
    hint = "set output.partition_by to the columns that the table is partitioned by"
    if RUN_COLUMN in by and RUN_COLUMN not in existing:
        hint = "the table was written without run ids: append to a new path, or set mode: overwrite"
    return Finding(Code.INVALID_VALUE, "partition_by", expected, ", ".join(map(quote, by)) or "none", hint)


def _is_visible(file: str) -> bool:
    """Return whether readers of a table read a file in it."""
    return not file.rpartition("/")[2].startswith((".", "_"))


def _compare_columns(columns: pa.Schema, existing: ParquetTable, by: list[str]) -> list[Finding]:
    """Report columns that the existing table lacks, has in addition, or has with another type."""
    hint = "write to another path, or set engine: spark, which casts columns without loss"
    partitions = list(existing.files[0].values)
    if partitions != by:
        return [_report_partitions(partitions, by)]
    types = {part.name: part.type for part in existing.schema if part.name != RUN_COLUMN}
    findings = find_missing([name for name in types if name not in columns.names], columns.names)
    for part in columns:
        if part.name not in types:
            findings.append(
                Finding(Code.EXTRA_COLUMN, quote(part.name), "no such column", str(part.type), hint)
            )
        elif part.name in by:
            if not can_share_partition(types[part.name], part.type):
                findings.append(report_other_type(quote(part.name), str(types[part.name]), str(part.type)))
        elif convert_type(types[part.name], part.name) != part.type:
            actual = str(part.type)
            findings.append(
                Finding(Code.TYPE_MISMATCH, quote(part.name), str(types[part.name]), actual, hint)
            )
    return findings


# --- staged rows ------------------------------------------------------------------------------------------


def read_reasons(directory: Folder) -> tuple[Finding, ...]:
    """Read the reasons for rejected rows from a directory with their findings, the most frequent first."""
    entries = []
    for name in directory.list_files():
        with directory.store.open_input_file((directory / name).path) as stream:
            findings = pq.ParquetFile(stream).read(["findings"]).column("findings")
            entries += [pa.array(chunk.flatten()) for chunk in findings.chunks]
    flat = pa.concat_arrays(entries).flatten()
    table = pa.table(dict(zip(("code", "path", "detail"), flat)))
    failed = pc.equal(table["code"], Code.PREDICTION_FAILED.value)
    table = table.append_column("error", pc.if_else(failed, table["detail"], pa.scalar(None, pa.string())))
    groups = table.group_by(["code", "path", "error"]).aggregate([("detail", "count"), ("detail", "min")])
    rows = sorted(
        groups.to_pylist(),
        key=lambda row: (-row["detail_count"], row["code"], row["path"], row["detail_min"]),
    )
    return tuple(
        build_reason(row["code"], row["path"], row["detail_min"], row["detail_count"])
        for row in rows[:MOST_REASONS]
    )


# --- publishing -------------------------------------------------------------------------------------------


def publish(run: ScoreRun, result: StagedResult) -> dict[str, int]:
    """Publish the staged rows. After a crash, a second call completes this without duplicates.

    Returns:
        The number of rows written, by path.

    Raises:
        OutputRefusedError: the output has been created meanwhile, or the engine "spark" staged the rows.
    """
    if result.layout != "tables":
        raise OutputRefusedError(
            f"the run {run.run_id} was scored by another engine: start it again with engine: spark"
        )
    quarantine = None if run.config.quarantine is None else _locate_quarantined(run)
    return publish_tables(run, result, _locate_run(run), quarantine)


def _locate_run(run: ScoreRun) -> Folder:
    """Return the directory of the output that has the rows of the run."""
    section = run.config.output
    target = locate(str(section.path), run.config.spark)
    return target / f"{RUN_COLUMN}={run.run_id}" if section.mode == "append" else target


def _locate_quarantined(run: ScoreRun) -> Folder:
    """Return the directory of the quarantine that has the rows of the run."""
    assert run.config.quarantine is not None
    folder = locate(str(run.config.quarantine.path), run.config.spark)
    return folder / f"{RUN_COLUMN}={run.run_id}"
