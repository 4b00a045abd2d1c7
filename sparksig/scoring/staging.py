"""Staging of files next to their target, and their publication by one rename. No Spark.

Readers see the entire output at once. Object stores have no renames: each file is moved.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.fs as pafs

from sparksig.errors import ExecutionError, OutputRefusedError
from sparksig.models.registry import format_store_error


def has_renames(store: pafs.FileSystem) -> bool:
    """Return whether a file system renames a directory in one step."""
    return store.type_name in ("local", "hdfs")


def require_free(store: pafs.FileSystem, path: str, name: str) -> None:
    """Check that a path does not exist, or is an empty directory.

    Raises:
        OutputRefusedError: the path exists.
    """
    if _exists(store, path):
        raise OutputRefusedError(
            f"{name} exists already; nothing was written. Choose another path, or remove it"
        )


def _exists(store: pafs.FileSystem, path: str) -> bool:
    info = store.get_file_info(path)
    if info.type is not pafs.FileType.Directory:
        return bool(info.type is not pafs.FileType.NotFound)
    return bool(store.get_file_info(pafs.FileSelector(path)))


@contextlib.contextmanager
def staging_directory(store: pafs.FileSystem, path: str) -> Iterator[str]:
    """Create a hidden directory next to a path, and remove it at the end, unless it was moved."""
    parent, _, name = path.rpartition("/")
    staging = f"{parent}/.{name}.sparksig-write-{secrets.token_hex(8)}"
    store.create_dir(staging, recursive=True)
    try:
        yield staging
    finally:
        with contextlib.suppress(OSError, pa.ArrowException):  # it was moved
            store.delete_dir(staging)


@contextlib.contextmanager
def attempt_directory(store: pafs.FileSystem, path: str) -> Iterator[str]:
    """Make a directory for the files of all attempts at the tasks of a run.

    It is a hidden one beside the path, from which accepted files are moved. On object stores, where a move is
    a copy, it is the path itself.
    """
    if has_renames(store):
        with staging_directory(store, path) as attempts:
            yield attempts
        return
    store.create_dir(path, recursive=True)
    yield path


def accept_files(store: pafs.FileSystem, attempts: str, files: Sequence[str], path: str) -> None:
    """Move files from the directory of attempts to the same relative paths below a path.

    Afterwards the path has no other files: those of a task that was started twice, or of one that was killed,
    are left behind, or removed.

    Raises:
        ExecutionError: files are missing, because the workers see other file systems.
    """
    if has_renames(store):
        for folder in sorted({f"{path}/{file}".rpartition("/")[0] for file in files} | {path}):
            store.create_dir(folder, recursive=True)
        try:
            for file in files:
                store.move(f"{attempts}/{file}", f"{path}/{file}")
        except FileNotFoundError:
            raise ExecutionError(
                f"the files that the workers wrote for {path!r} are not on this machine; nothing was "
                "published. Choose an output that this machine and the workers see at the same path, as on a "
                "shared file system or in an object store"
            ) from None
        return
    accepted = {f"{path}/{file}" for file in files}
    for info in store.get_file_info(pafs.FileSelector(path, recursive=True)):
        if info.type is pafs.FileType.File and info.path not in accepted:
            store.delete_file(info.path)


def publish_directory(store: pafs.FileSystem, staging: str, path: str, name: str) -> None:
    """Move a directory of files to a path that does not exist, or is an empty directory.

    Raises:
        OutputRefusedError: the path has been created meanwhile, or the directory cannot be moved.
    """
    require_free(store, path, name)
    try:
        if has_renames(store):
            if isinstance(store, pafs.LocalFileSystem):
                os.rename(staging, path)  # replaces an empty directory, and nothing else
            else:
                store.move(staging, path)
            return
        store.create_dir(path, recursive=True)
        for info in store.get_file_info(pafs.FileSelector(staging)):
            store.move(info.path, f"{path}/{info.base_name}")
    except (OSError, pa.ArrowException) as error:
        raise OutputRefusedError(
            f"{name}: the output cannot be published: {format_store_error(error)}"
        ) from None
