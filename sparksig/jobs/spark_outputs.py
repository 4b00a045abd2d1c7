"""Publication with Spark: first the quarantine, then the output, in repeatable steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sparksig.errors import OutputRefusedError
from sparksig.jobs.config import OutputSection, QuarantineSection, ScoreConfig
from sparksig.jobs.publishing import (
    build_quarantine_error,
    check_count,
    mark_directory,
    move_directory,
    refuse_nested,
)
from sparksig.jobs.spark_rows import select_output, select_quarantined
from sparksig.jobs.staged_tables import publish_tables
from sparksig.jobs.staging import (
    MARKER,
    StagedResult,
    StagingDirectory,
    name_staging,
    parse_object,
    read_notes,
)
from sparksig.models.registry import fetch_model, is_remote
from sparksig.spark.hadoop import HadoopPath
from sparksig.tables.contract import RUN_COLUMN
from sparksig.tables.delta import read_delta
from sparksig.writing import delta
from sparksig.writing.plan import ResolvedWrite, WritePlan, plan_write, resolve_write
from sparksig.writing.request import WriteRequest
from sparksig.writing.write import require_writable, write, write_resolved

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparksig.jobs.score_run import ScoreRun

# --- before anything is scored ------------------------------------------------------------------------------


def resolve_output(rows: DataFrame, config: ScoreConfig, run_id: str, note: str = "") -> ResolvedWrite:
    """Plan the write of the output."""
    section = config.output
    request = WriteRequest(
        _resolve_target(rows.sparkSession, section),
        section.format,
        section.mode,
        # a new or replaced Parquet directory has the rows of a single run
        run_id if section.format == "delta" or section.mode == "append" else None,
        section.partition_by,
        section.evolve,
        types="lossless",
        note=note,
    )
    return resolve_write(rows, None, request)


def plan_quarantine(rows: DataFrame, section: QuarantineSection, run_id: str) -> WritePlan:
    """Plan the write of the quarantine."""
    target = _resolve_target(rows.sparkSession, section)
    return plan_write(rows, target, format=section.format, mode="append", run_id=run_id, types="lossless")


def locate_staging(spark: SparkSession, output: OutputSection, run_id: str) -> StagingDirectory:
    """Return the staging directory of a run: beside the output's path, or where its database is stored."""
    if output.path is not None:
        path = HadoopPath.qualify(spark, output.path)
        return StagingDirectory(path.parent / name_staging(path.name, run_id), run_id)
    names = _split_table_name(spark, str(output.table))
    database = ".".join(f"`{name}`" for name in names[:-1])
    home = HadoopPath.qualify(spark, spark.catalog.getDatabase(database).locationUri)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", names[-1])
    return StagingDirectory(home / name_staging(name, run_id), run_id)


def read_published(spark: SparkSession, config: ScoreConfig, run_id: str) -> Mapping[str, Any] | None:
    """Return the notes of this run if the output already has it; None otherwise."""
    section = config.output
    if section.format == "delta":
        target = _resolve_target(spark, section)
        exists = read_delta(spark, target) is not None
        if not exists or not delta.has_run(spark, target, run_id):
            return None
        return parse_object(delta.read_note(spark, target, run_id)) or {}
    return read_notes(_locate_run(spark, section, run_id).uri, run_id, {})


def refuse_quarantined(spark: SparkSession, config: ScoreConfig) -> None:
    """Check that the quarantine has no rows of a new run: they would remain, or replace those of the run.

    Raises:
        OutputRefusedError: it has rows of another job, or of a run whose output was removed.
    """
    section, run_id = config.quarantine, config.run_id
    if section is None or run_id is None:
        return
    if section.format == "delta":
        target = _resolve_target(spark, section)
        is_taken = read_delta(spark, target) is not None and delta.has_run(spark, target, run_id)
    else:
        is_taken = _locate_quarantined(spark, section, run_id).exists()
    if is_taken:
        raise build_quarantine_error(section.location, run_id)


def refuse_nesting(spark: SparkSession, config: ScoreConfig) -> None:
    """Check that no path of the job equals another one, or is inside it.

    Raises:
        OutputRefusedError: a path equals another one, or is inside it.
    """
    sections = {"output": config.output, "quarantine": config.quarantine, "input": config.input}
    paths = {name: _locate_table(spark, section) for name, section in sections.items() if section is not None}
    if not is_remote(config.model.path):  # an overwrite would remove it
        paths["model"] = HadoopPath.qualify(spark, f"file:{fetch_model(config.model.path).absolute()}")
    refuse_nested(paths)
    tables = [section.table for section in (config.output, config.quarantine) if section is not None]
    if len(tables) == 2 and None not in tables:  # the tables may not exist yet
        names = [[part.casefold() for part in _split_table_name(spark, str(table))] for table in tables]
        if names[0] == names[1]:
            raise OutputRefusedError(f"output and quarantine are one table, {tables[0]}; nothing was written")


def _locate_table(spark: SparkSession, section: Any) -> HadoopPath | None:
    """Return the directory of a table; None for a name without one."""
    if section.path is not None:
        return HadoopPath.qualify(spark, section.path)
    try:
        details = spark.sql(f"DESCRIBE TABLE EXTENDED {section.table}")
        rows = details.where("col_name = 'Location'").collect()
    except Exception:  # an error of Spark: the table does not exist, which is reported later if it matters
        return None
    return HadoopPath.qualify(spark, rows[0]["data_type"]) if rows else None


def _split_table_name(spark: SparkSession, table: str) -> list[str]:
    """Return the parts of a table's name, its database included."""
    session: Any = spark
    parts = session._jsparkSession.sessionState().sqlParser().parseMultipartIdentifier(table)
    names = [str(parts.apply(index)) for index in range(parts.length())]
    return names if len(names) > 1 else [spark.catalog.currentDatabase(), *names]


def _locate_run(spark: SparkSession, section: OutputSection, run_id: str) -> HadoopPath:
    """Return the directory of Parquet that has the marker of a run."""
    path = HadoopPath.qualify(spark, section.location)
    return path / f"{RUN_COLUMN}={run_id}" if section.mode == "append" else path


def _locate_quarantined(spark: SparkSession, section: QuarantineSection, run_id: str) -> HadoopPath:
    """Return the directory with the quarantined rows of a run."""
    return HadoopPath.qualify(spark, section.location) / f"{RUN_COLUMN}={run_id}"


def _resolve_target(spark: SparkSession, section: OutputSection | QuarantineSection) -> str:
    if section.path is None or re.match(r"/|[A-Za-z][\w+.-]*:/", section.path):
        return section.location
    return HadoopPath.qualify(spark, section.path).uri


# --- publishing ---------------------------------------------------------------------------------------------


def publish(spark: SparkSession, run: ScoreRun, result: StagedResult) -> dict[str, int]:
    """Publish the staged rows. After a crash, a second call completes this without duplicates.

    All reasons for a refusal are checked before the first row is published. If the output is refused
    nevertheless, because another process has created it, quarantined rows in Parquet are removed again.

    Returns:
        The number of rows written, by path or table.

    Raises:
        OutputRefusedError: the output has been created meanwhile.
    """
    if result.layout == "tables":
        section, target = run.config.quarantine, _locate_run(spark, run.config.output, run.run_id)
        quarantine = None if section is None else _locate_quarantined(spark, section, run.run_id)
        written = publish_tables(run, result, target, quarantine)
        spark.catalog.refreshByPath(target.uri)
        return written
    staged = spark.read.parquet((_staging(run) / result.data).uri)
    prepared = _prepare_output(run, result, staged)
    quarantined = publish_quarantine(spark, run, result, staged)
    run.note(written=quarantined)  # for the report, if the output fails
    try:
        written = publish_output(spark, run, result, staged, prepared)
    except OutputRefusedError:
        section = run.config.quarantine
        if quarantined and section is not None and section.format == "parquet":
            _locate_quarantined(spark, section, run.run_id).delete()
            run.note(written={})
        raise
    return {**quarantined, **written}


def _staging(run: ScoreRun) -> HadoopPath:
    directory = run.staging.directory
    assert isinstance(directory, HadoopPath)
    return directory


def publish_quarantine(
    spark: SparkSession, run: ScoreRun, result: StagedResult, staged: DataFrame
) -> dict[str, int]:
    """Write the rejected rows to the quarantine."""
    section, rows = run.config.quarantine, result.counts.rejected
    if section is None or not rows:
        return {}
    done = write(
        select_quarantined(staged, run.config, run.run_id),
        _resolve_target(spark, section),
        format=section.format,
        mode="append",
        run_id=run.run_id,
        types="lossless",
    )
    check_count(section.location, rows, rows if done.repeated else done.rows)
    return {section.location: rows}


def publish_output(
    spark: SparkSession,
    run: ScoreRun,
    result: StagedResult,
    staged: DataFrame,
    prepared: HadoopPath | ResolvedWrite,
) -> dict[str, int]:
    """Write the scored rows to the output, or move the directory that was prepared for it."""
    section = run.config.output
    rows = _count_output_rows(run.config, result)
    if isinstance(prepared, HadoopPath):
        move_directory(run.staging, prepared, HadoopPath.qualify(spark, section.location))
        return {section.location: rows}
    done = write_resolved(select_output(staged, run.config), prepared)
    check_count(section.location, rows, rows if done.repeated else done.rows)
    if section.format == "parquet":
        mark_directory(_locate_run(spark, section, run.run_id), run.describe_result(result))
    return {section.location: rows}


def _count_output_rows(config: ScoreConfig, result: StagedResult) -> int:
    return result.counts.rows_in if config.quarantine is None else result.counts.scored


def _prepare_output(run: ScoreRun, result: StagedResult, staged: DataFrame) -> HadoopPath | ResolvedWrite:
    """Prepare the directory that becomes the output by renaming it, or plan the write of the output.

    Raises:
        OutputRefusedError: the output was created or changed meanwhile.
    """
    section = run.config.output
    if section.format != "parquet" or section.mode != "error":
        rows = select_output(staged, run.config)
        resolved = resolve_output(rows, run.config, run.run_id, run.describe_result(result))
        require_writable(staged.sparkSession, resolved)
        return resolved
    is_moving = bool(run.staging.read_published_files())
    target = HadoopPath.qualify(staged.sparkSession, section.location)
    if not is_moving and target.exists() and not (target.is_directory() and not target.list_names()):
        raise OutputRefusedError(f"{target.uri!r} already exists; nothing was written")
    directory = _staging(run) / result.data
    if run.config.quarantine is not None or section.partition_by:
        directory = _staging(run) / result.final
        if not is_moving and not _is_prepared(directory):
            rows = select_output(staged, run.config)
            done = write(rows, directory.uri, mode="overwrite", partition_by=section.partition_by)
            check_count(section.location, _count_output_rows(run.config, result), done.rows)
    if not is_moving and not _is_prepared(directory):
        mark_directory(directory, run.describe_result(result))
    return directory


def _is_prepared(directory: HadoopPath) -> bool:
    """Return whether an earlier attempt has prepared a directory completely."""
    return (directory / MARKER).exists()
