"""Publication of directories of files: they are moved to their final paths, on any file system. No Spark."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from sparksig.errors import OutputRefusedError


class Movable(Protocol):
    """A file or a directory; see :class:`sparksig.scoring.folder.Folder`."""

    @property
    def uri(self) -> str:
        """The path, with its scheme."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    @property
    def parent(self) -> Any:
        """The directory of the path."""

    @property
    def local(self) -> Path | None:
        """The path on this machine; None for another file system."""

    @property
    def renames_at_once(self) -> bool:
        """True if the file system renames a directory in one step."""

    def __truediv__(self, name: str) -> Any: ...

    def exists(self) -> bool:
        """Return whether a file or a directory exists at the path."""

    def list_files(self) -> Iterator[str]:
        """Yield the files below the directory, at any depth, by their paths in it."""

    def delete(self) -> None:
        """Remove the file, or the directory with its content."""

    def move_to(self, target: Any) -> None:
        """Rename the directory in one step, unless the target exists."""

    def move_file_to(self, target: Any) -> None:
        """Move a file; on object stores it is copied."""


def move_new(source: Movable, target: Movable) -> bool:
    """Move a directory to a path that does not exist; return False if the path has been created meanwhile."""
    if not target.renames_at_once:
        add_files(source, target)
        return True
    try:
        source.move_to(target)
    except OutputRefusedError:
        return False
    return True


def add_files(source: Movable, target: Movable) -> None:
    """Move each data file of one directory into another; after a failure, remove the moved files.

    Files of Spark have unique names, so those of other writers are never replaced.
    """
    moved: list[Movable] = []
    try:
        for name in sorted(source.list_files()):
            if name.rpartition("/")[2].startswith(("_", ".")):
                continue
            (source / name).move_file_to(target / name)
            moved.append(target / name)
    except BaseException:
        for file in moved:
            file.delete()
        raise


def replace_directory(staged: Movable, target: Movable) -> None:
    """Replace a table by the staged table."""
    if not target.renames_at_once:
        old_files = list(target.list_files())
        add_files(staged, target)
        for name in old_files:
            (target / name).delete()
        return
    if staged.local is not None and target.local is not None and _exchange(staged.local, target.local):
        return
    old = staged.parent / f".{staged.name}.sparksig-write-{secrets.token_hex(8)}"
    try:
        target.move_to(old)
        staged.move_to(target)
    except Exception as error:
        if old.exists() and not target.exists():
            old.move_to(target)
        raise OutputRefusedError(
            f"{target.uri}: another writer is replacing this table; nothing was written"
        ) from error


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's <fcntl.h>


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two directories in one step; return False if the system does not support it."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28 and newer
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(second))
