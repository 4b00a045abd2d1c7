"""Steps of publishing that all engines share: paths that may not be nested, markers, renames. No Spark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparksig.errors import OutputRefusedError, SparksigError
from sparksig.jobs.files import write_file
from sparksig.jobs.staging import MARKER, Directory, StagingDirectory
from sparksig.views import count_nouns
from sparksig.writing.moves import replace_directory


def refuse_nested(paths: Mapping[str, Any]) -> None:
    """Check that no path of a job equals another one, or is inside it.

    Args:
        paths: the directories of "output", "input", "quarantine" and "model", as far as they are known.

    Raises:
        OutputRefusedError: a path equals another one, or is inside it.
    """
    for name, other in (
        ("output", "input"),
        ("quarantine", "input"),
        ("quarantine", "output"),
        ("output", "model"),
        ("quarantine", "model"),
    ):
        inner, outer = paths.get(name), paths.get(other)
        if inner is not None and outer is not None and (inner.is_in(outer) or outer.is_in(inner)):
            raise OutputRefusedError(
                f"the {name} {inner.uri!r} and the {other} {outer.uri!r} are the same, or one is inside the "
                "other; nothing was written"
            )


def build_quarantine_error(quarantine: str, run_id: str) -> OutputRefusedError:
    """Return the error for a quarantine with rows of another run of that id."""
    return OutputRefusedError(
        f"the quarantine {quarantine!r} has rows of a run {run_id} already, which is not this one: choose "
        "another run id, or remove them; nothing was written"
    )


def mark_directory(directory: Directory, notes: str) -> None:
    """Write the marker of a run to a directory of Parquet files."""
    write_file((directory / MARKER).uri, notes.encode(), {})


def move_directory(
    staging: StagingDirectory, source: Any, target: Any, *, is_replacing: bool = False
) -> None:
    """Rename a directory in one step, or move it file by file where the file system has no such step.

    Args:
        staging: has the notes of the files that are moved, with which a second call completes the first one.
        source: the directory.
        target: its new path, where nothing is.
        is_replacing: the target may have files, which are removed; readers see those of both meanwhile.

    Raises:
        OutputRefusedError: something is at the target.
        SparksigError: files are missing.
    """
    if target.renames_at_once and is_replacing and target.list_names():
        replace_directory(source, target)
        return
    if target.renames_at_once:
        if target.is_directory() and not target.list_names():
            target.delete()
        source.move_to(target)
        return
    files = staging.read_published_files()
    if not files:
        files = sorted(source.list_files(), key=lambda name: (name == MARKER, name))
        staging.note_publishing(files)
    unknown = set(target.list_files() if target.exists() else ()) - set(files)
    if unknown and not is_replacing:
        raise OutputRefusedError(f"the output {target.uri!r} has files that the run has not written")
    for name in files:
        if not (source / name).exists():  # an earlier attempt has moved it
            continue
        if name == MARKER and is_replacing:  # it comes last, because with it the run is done
            for other in sorted({*unknown, MARKER}):
                (target / other).delete()
        (source / name).move_file_to(target / name)
    missing = set(files) - set(target.list_files())
    if missing:
        raise SparksigError(
            f"{target.uri}: the staging and the output lack {count_nouns(len(missing), 'file')} of the run"
        )


def check_count(table: str, expected: int, actual: int) -> None:
    """Check the number of rows that were written to a table.

    Raises:
        SparksigError: the number differs.
    """
    if expected != actual:
        raise SparksigError(f"{table}: expected {expected:,} rows to be written, got {actual:,}")
