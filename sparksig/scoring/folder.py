"""Files and directories of any file system of pyarrow, for staging and publishing. No Spark.

:class:`sparksig.spark.hadoop.HadoopPath` has the same methods for the file systems of Spark's Hadoop.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from sparksig.errors import OutputRefusedError
from sparksig.models.registry import format_store_error
from sparksig.scoring.staging import has_renames


@dataclass(frozen=True)
class Folder:
    """A path in a file system, with or without a file or a directory.

    Attributes:
        store: the file system.
        path: the path in it.
        uri: the path with its scheme, for messages.
    """

    store: Any
    path: str
    uri: str

    def __truediv__(self, name: str) -> Folder:
        return Folder(self.store, f"{self.path.rstrip('/')}/{name}", f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path; empty for the root of a file system."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> Folder:
        """The directory of the path.

        Raises:
            OutputRefusedError: the path is the root of a file system.
        """
        if not self.name:
            raise OutputRefusedError(f"{self.uri} is the root of a file system; nothing was written")
        uri = self.uri.rstrip("/").rpartition("/")[0]
        return Folder(self.store, self.path.rstrip("/").rpartition("/")[0] or "/", uri)

    @property
    def local(self) -> Path | None:
        """The path on this machine; None for another file system."""
        return Path(self.path) if isinstance(self.store, pafs.LocalFileSystem) else None

    @property
    def renames_at_once(self) -> bool:
        """True if the file system renames a directory in one step."""
        return has_renames(self.store)

    def is_in(self, other: Folder) -> bool:
        """Return whether this path equals another one or is below it; links on this machine are followed."""
        if not self.store.equals(other.store):
            return False
        inner, outer = (
            os.path.realpath(folder.path) if folder.local is not None else folder.path
            for folder in (self, other)
        )
        return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")

    def exists(self) -> bool:
        """Return whether a file or a directory exists at the path."""
        return self.store.get_file_info(self.path).type is not pafs.FileType.NotFound

    def is_directory(self) -> bool:
        """Return whether a directory exists at the path."""
        return self.store.get_file_info(self.path).type is pafs.FileType.Directory

    def is_owned(self) -> bool:
        """Return whether it belongs to the user of this process; only local file systems know users here."""
        owner = None if self.local is None else getattr(os.lstat(self.local), "st_uid", None)
        return owner is None or owner == os.geteuid()

    def list_names(self) -> list[str]:
        """Return the names of the entries of the directory; an empty list if it does not exist."""
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.store.get_file_info(selector))

    def list_files(self) -> Iterator[str]:
        """Yield the files below the directory, at any depth, by their paths in it."""
        selector = pafs.FileSelector(self.path, allow_not_found=True, recursive=True)
        for info in self.store.get_file_info(selector):
            if info.type is pafs.FileType.File:
                yield info.path[len(self.path.rstrip("/")) + 1 :]

    def create(self) -> None:
        """Create the directory and its parents.

        Raises:
            OutputRefusedError: the file system refuses it.
        """
        try:
            self.store.create_dir(self.path, recursive=True)
        except (OSError, pa.ArrowException) as error:
            raise OutputRefusedError(
                f"{self.uri} cannot be created: {format_store_error(error)}; nothing was written"
            ) from None

    def delete(self) -> None:
        """Remove the file, or the directory with its content, if it exists."""
        kind = self.store.get_file_info(self.path).type
        if kind is pafs.FileType.Directory:
            self.store.delete_dir(self.path)
        elif kind is not pafs.FileType.NotFound:
            self.store.delete_file(self.path)

    def move_to(self, target: Folder) -> None:
        """Rename the directory in one step, unless the target exists.

        Raises:
            OutputRefusedError: the target exists, or the file system refuses it.
        """
        try:
            if target.local is not None and os.path.lexists(target.path):
                raise OutputRefusedError(f"{target.uri!r} already exists")
            if not self._rename(target):
                self._copy(target)
        except (OSError, pa.ArrowException) as error:
            if target.exists():
                raise OutputRefusedError(f"{target.uri!r} already exists") from None
            raise OutputRefusedError(f"{target.uri} cannot be written: {format_store_error(error)}") from None

    def _rename(self, target: Folder) -> bool:
        """Rename the directory; return False if the target is on another file system."""
        if not self.store.equals(target.store):
            return False
        if self.local is None:
            self.store.move(self.path, target.path)
            return True
        try:
            os.rename(self.path, target.path)  # which replaces nothing but an empty directory
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
        return True

    def _copy(self, target: Folder) -> None:
        """Copy the directory beside the target, on another file system, and rename the copy."""
        copy = target.parent / f".{target.name}.sparksig-write-{secrets.token_hex(8)}"
        try:
            copy.create()
            self._copy_files(copy)
            copy.move_to(target)
        except BaseException:
            copy.delete()
            raise
        self.delete()

    def _copy_files(self, target: Folder) -> None:
        pafs.copy_files(
            self.path, target.path, source_filesystem=self.store, destination_filesystem=target.store
        )

    def move_file_to(self, target: Folder) -> None:
        """Move a file; on object stores, and to another file system, it is copied."""
        target.parent.create()
        if self.store.equals(target.store):
            self.store.move(self.path, target.path)
            return
        self._copy_files(target)
        self.store.delete_file(self.path)
