"""Locks for simultaneous attempts at one run: only one publishes, and none removes the rows of another.

A lock ends with its process. Object stores have no locks, nor do some local file systems. The locked file is
opened for writing, because NFS refuses exclusive locks otherwise.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparksig.jobs.staging import Directory

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None


LOCK = "lock"
"""The file in a directory that is locked."""


@contextlib.contextmanager
def lock_directory(directory: Directory, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Create a directory, and lock it for one process at a time.

    Args:
        directory: the directory. Without locks, it is only created.
        wait: called before waiting for another process.
    """
    descriptor = _acquire(directory, wait)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _acquire(directory: Directory, wait: Callable[[], None]) -> int | None:
    while True:
        directory.create()
        if directory.local is None or fcntl is None:
            return None
        path = directory.local / LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # another process has removed it
            continue
        try:
            if _try_lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) is False:
                wait()
                _try_lock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:  # it was removed before it was locked
            os.close(descriptor)
            continue
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _try_lock(descriptor: int, operation: int) -> bool | None:
    """Lock a file; return False if another process has locked it, None if the file system has no locks."""
    assert fcntl is not None
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError:  # the file system has none
        return None
    return True


def claim_file(path: Path) -> int | None:
    """Create a file, and claim it until the returned descriptor is closed; return None without locks."""
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _try_lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def is_claimed(path: Path) -> bool | None:
    """Return whether a file exists and a process has claimed it; None if the file system has no locks."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        is_free = _try_lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None if is_free is None else not is_free
    finally:
        os.close(descriptor)
