"""Listing and removal of the staging directories that killed runs and writes have left. No Spark."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from sparksig.errors import SparksigError, TableNotFoundError, UnsupportedError
from sparksig.jobs.file_systems import find_file_system
from sparksig.jobs.staging import KNOWN_NAMES, PUBLISHING
from sparksig.models.registry import redact_uri
from sparksig.views import format_size

DAY = 86_400.0
"""The number of seconds in a day. A staging directory that changed more recently may be in use."""

_JOB = re.compile(r"\.(.+)\.sparksig-([A-Za-z0-9][A-Za-z0-9._-]{0,199})", re.DOTALL)
_WRITE = re.compile(r"\.(.+)\.sparksig-write-[0-9a-f]{16}", re.DOTALL)
_WRITE_NAMES = re.compile(r"table|old|part-.*\.parquet")


@dataclass(frozen=True)
class Leftover:
    """A staging directory that a killed run or write may have left behind.

    Attributes:
        path: the directory.
        table: the name of the table that it was written for, in the same directory.
        run_id: the name of the run; None for a write.
        age: the seconds since a file in it last changed; None if the file system does not know.
        size: the bytes of its files.
        obstacle: the reason why it is not removed; empty if it may be.
    """

    path: str
    table: str
    run_id: str | None
    age: float | None
    size: int
    obstacle: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready built-ins."""
        return {
            "path": self.path,
            "table": self.table,
            "run_id": self.run_id,
            "age_seconds": None if self.age is None else round(self.age),
            "bytes": self.size,
            "obstacle": self.obstacle,
        }

    def __str__(self) -> str:
        owner = f"run {self.run_id}" if self.run_id is not None else "a write"
        age = "of unknown age" if self.age is None else f"{_format_age(self.age)} old"
        obstacle = f": kept, {self.obstacle}" if self.obstacle else ""
        return f"{self.path} ({owner}, {format_size(self.size)}, {age}){obstacle}"


def find_leftovers(path: str, older_than: float = DAY) -> list[Leftover]:
    """Find the staging directories in a directory, and those of the table at that path.

    Args:
        path: a directory, or its URI.
        older_than: the seconds for which a directory must be unchanged to be removed.

    Raises:
        TableNotFoundError: the directory does not exist.
        UnsupportedError: pyarrow does not know the file system.
    """
    store, root = find_file_system(path, {})
    if store is None:
        raise UnsupportedError(f"{redact_uri(path)!r} is on a file system that pyarrow does not know")
    root = root.rstrip("/")
    parent, _, table = root.rpartition("/")
    siblings = [info for info in _list(store, parent or "/") if _parse_name(info.base_name)[0] == table]
    if not siblings and store.get_file_info(root or "/").type is not pafs.FileType.Directory:
        raise TableNotFoundError(f"there is no directory at {redact_uri(path)!r}")
    infos = [*_list(store, root or "/"), *siblings]
    leftovers = (_inspect(store, info, older_than) for info in infos)
    return sorted(filter(None, leftovers), key=lambda leftover: leftover.path)


def remove_leftover(path: str, leftover: Leftover) -> None:
    """Remove a staging directory that was found at a path.

    Raises:
        SparksigError: it has changed since, or has to be kept.
        OSError: it cannot be removed.
    """
    store, _ = find_file_system(path, {})
    current = _inspect(store, store.get_file_info(leftover.path), 0.0)
    if leftover.obstacle or current is None or current.size != leftover.size or current.obstacle:
        raise SparksigError(f"{leftover.path} is in use, or has to be kept: it was not removed")
    if isinstance(store, pafs.LocalFileSystem):
        shutil.rmtree(leftover.path)
    else:
        store.delete_dir(leftover.path)


def _list(store: pafs.FileSystem, directory: str) -> list[pafs.FileInfo]:
    infos: list[pafs.FileInfo] = store.get_file_info(pafs.FileSelector(directory, allow_not_found=True))
    return infos


def _parse_name(name: str) -> tuple[str, str | None]:
    """Return the table and the run id in the name of a staging directory; an empty table for other names."""
    if match := _WRITE.fullmatch(name):
        return match[1], None
    match = _JOB.fullmatch(name)
    return ("", None) if match is None else (match[1], match[2])


def _inspect(store: pafs.FileSystem, info: pafs.FileInfo, older_than: float) -> Leftover | None:
    """Describe a staging directory; None for anything else."""
    table, run_id = _parse_name(info.base_name)
    is_directory = info.type is pafs.FileType.Directory
    if not table or not is_directory or _is_link(store, info.path):
        return None
    names = {entry.base_name for entry in _list(store, info.path)}
    allowed = _WRITE_NAMES if run_id is None else KNOWN_NAMES
    if not all(map(allowed.fullmatch, names)):
        return None
    files = [info, *_walk(store, info.path)]
    changes = [file.mtime_ns for file in files if file.mtime_ns is not None]
    age = (time.time_ns() - max(changes)) / 1e9 if changes else None
    size = sum(file.size or 0 for file in files)
    obstacle = _find_obstacle(store, info.path, table, names)
    if not obstacle and (age is None or age < older_than):
        obstacle = "it may be in use" if age is not None else "its age is unknown"
    return Leftover(info.path, table, run_id, age, size, obstacle)


def _find_obstacle(store: pafs.FileSystem, path: str, table: str, names: set[str]) -> str:
    """Return the reason why a staging directory is not removed."""
    target = f"{path.rpartition('/')[0]}/{table}"
    if "old" in names and store.get_file_info(target).type is pafs.FileType.NotFound:
        return f"it has the only copy of the table: rename {path}/old to {target}"
    if PUBLISHING in names:
        return "its rows are being published: start the job again with this run id"
    if isinstance(store, pafs.LocalFileSystem) and os.lstat(path).st_uid != os.geteuid():
        return "it belongs to another user"
    return ""


def _walk(store: pafs.FileSystem, directory: str) -> Iterator[pafs.FileInfo]:
    """Yield everything below a directory, without following links."""
    for info in _list(store, directory):
        if _is_link(store, info.path):
            continue
        yield info
        if info.type is pafs.FileType.Directory:
            yield from _walk(store, info.path)


def _is_link(store: pafs.FileSystem, path: str) -> bool:
    return isinstance(store, pafs.LocalFileSystem) and os.path.islink(path)


def _format_age(seconds: float) -> str:
    """Format an age in its largest unit.

    Example:
        >>> _format_age(59), _format_age(7200), _format_age(200_000)
        ('59 seconds', '2 hours', '2 days')
    """
    units = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, length = next(((unit, length) for unit, length in units if seconds >= length), units[-1])
    count = int(seconds // length)
    return f"{count} {unit}{'s' if count != 1 else ''}"
