"""The output and the quarantine, which splits stage and renames publish. No Spark.

Splits write the files of both tables with their partitions, so that no row is read again::

    data-0123abcd/                      the output, without a quarantine
    data-0123abcd/scored, /rejected     the output and the quarantine
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparksig.errors import OutputRefusedError
from sparksig.jobs.publishing import mark_directory, move_directory
from sparksig.jobs.staged_columns import REASONS, name_predictions, select_table_columns
from sparksig.jobs.staging import MARKER, Directory, StagedResult
from sparksig.scoring.selection import Selection

if TYPE_CHECKING:
    from sparksig.jobs.config import ScoreConfig
    from sparksig.jobs.score_run import ScoreRun

_SCORED, _REJECTED = "scored", "rejected"
"""The directories of the output and of the quarantine, if there is a quarantine."""


def select_scored(
    config: ScoreConfig, schema: pa.Schema, existing: Mapping[str, pa.DataType] | None = None
) -> Selection:
    """Return the rows and columns of the output among the staged ones.

    Args:
        config: the configuration.
        schema: the columns of the staged rows.
        existing: the types with which the directories of an existing table are read, by column.
    """
    by = tuple(config.output.partition_by)
    if config.quarantine is None:
        return Selection(partition_by=by, existing=existing or {})
    keep = select_table_columns(schema.names) if config.output.keep == "*" else config.output.keep
    columns = {name: name for name in keep} | name_predictions(schema.names, config)
    return Selection(_SCORED, columns, REASONS, partition_by=by, existing=existing or {})


def select_rejected(schema: pa.Schema) -> Selection:
    """Return the rows and columns of the quarantine among the staged ones."""
    columns = {name: name for name in select_table_columns(schema.names)}
    return Selection(_REJECTED, {**columns, "findings": REASONS}, REASONS, is_rejected=True)


def select_tables(
    config: ScoreConfig, schema: pa.Schema, existing: Mapping[str, pa.DataType]
) -> tuple[Selection, ...]:
    """Return the rows and columns of the output, and of the quarantine if there is one."""
    scored = select_scored(config, schema, existing)
    return (scored,) if config.quarantine is None else (scored, select_rejected(schema))


def locate_rejected(config: ScoreConfig, staged: Any) -> Any:
    """Return the directory of staged tables that has the rejected rows, with a column ``findings``."""
    return staged if config.quarantine is None else staged / _REJECTED


def publish_tables(
    run: ScoreRun, result: StagedResult, target: Any, quarantine: Directory | None
) -> dict[str, int]:
    """Publish staged tables; a second call after a crash completes it without duplicates.

    Args:
        run: the run.
        result: the staged rows.
        target: the directory of the output for the rows of the run.
        quarantine: the directory of the quarantine for its rows; None without a quarantine.

    Returns:
        The number of rows written, by path.

    Raises:
        OutputRefusedError: the output has been created meanwhile.
    """
    config, staged = run.config, run.staging.directory / result.data
    output = staged if quarantine is None else staged / _SCORED
    _prepare_output(run, result, output, target)
    written, is_moved = dict[str, int](), False
    if config.quarantine is not None and result.counts.rejected:
        is_moved = _move_rejected(staged / _REJECTED, quarantine)
        written = {config.quarantine.location: result.counts.rejected}
    run.note(written=written)  # for the report, if the output fails
    try:
        target.parent.create()
        move_directory(run.staging, output, target, is_replacing=config.output.mode == "overwrite")
    except OutputRefusedError:
        if quarantine is not None and is_moved:
            _move_rejected(quarantine, staged / _REJECTED)  # for the next attempt
            quarantine.delete()
            run.note(written={})
        raise
    rows = result.counts.rows_in if quarantine is None else result.counts.scored
    return {**written, config.output.location: rows}


def _prepare_output(run: ScoreRun, result: StagedResult, output: Directory, target: Any) -> None:
    """Mark the directory that becomes the output.

    Raises:
        OutputRefusedError: the output was created or changed meanwhile.
    """
    if run.staging.read_published_files():  # an earlier attempt has begun to move files
        return
    is_free = not target.exists() or (target.is_directory() and not target.list_names())
    if run.config.output.mode != "overwrite" and not is_free:
        raise OutputRefusedError(f"{target.uri!r} already exists; nothing was written")
    if MARKER not in output.list_names():
        mark_directory(output, run.describe_result(result))


def _move_rejected(source: Any, target: Any) -> bool:
    """Move the rejected rows to the quarantine or back; return False if an earlier attempt has done it."""
    if not target.renames_at_once:
        files = list(source.list_files())
        for name in files:
            (source / name).move_file_to(target / name)
        return bool(files)
    if target.exists():
        return False
    target.parent.create()
    source.move_to(target)
    return True
