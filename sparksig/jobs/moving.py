"""Steps of publishing that all engines share: paths that may not be nested, markers, renames. No Spark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparksig.errors import OutputRefusedError, SparksigError
from sparksig.jobs.files import write_whole
from sparksig.jobs.staging import MARKER, Directory, StagingDirectory


def refuse_nested(places: Mapping[str, Any]) -> None:
    """Check that no path of a job equals another one, or is inside it.

    Args:
        places: the directories of "output", "input", "quarantine" and "model", as far as they are known.

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
        inner, outer = places.get(name), places.get(other)
        if inner is not None and outer is not None and (inner.is_in(outer) or outer.is_in(inner)):
            raise OutputRefusedError(
                f"the {name} {inner.uri!r} and the {other} {outer.uri!r} are the same, or one is inside the "
                "other; nothing was written"
            )


def mark_directory(directory: Directory, notes: str) -> None:
    """Write the marker of a run to a directory of Parquet files."""
    write_whole((directory / MARKER).uri, notes.encode(), {})


def move_directory(staging: StagingDirectory, source: Any, target: Any) -> None:
    """Rename a directory in one step, or move its files if the file system cannot rename directories."""
    if target.renames_at_once:
        if target.is_directory() and not target.names():
            target.delete()
        source.move_to(target)
        return
    files = staging.read_published_files()
    if not files:
        files = sorted(source.files(), key=lambda name: (name.rpartition("/")[2].startswith("_"), name))
        staging.note_publishing(files)
    unknown = set(target.files() if target.is_there() else ()) - set(files)
    if unknown:
        raise OutputRefusedError(f"the output {target.uri!r} has files that the run has not written")
    for name in files:
        if (source / name).is_there():
            (source / name).move_file_to(target / name)
    missing = set(files) - set(target.files())
    if missing:
        raise SparksigError(
            f"{target.uri}: {len(missing)} files of the run are missing in the staging and in the output"
        )


def check_count(place: str, expected: int, actual: int) -> None:
    """Check the number of rows that were written to a table.

    Raises:
        SparksigError: the number differs.
    """
    if expected != actual:
        raise SparksigError(f"{place}: expected {expected:,} rows to be written, got {actual:,}")
