"""Directories that each machine builds once and keeps: environments, and models that workers fetch.

A directory is named by its key, which is a digest of its content or of the data that it is built
from. Several processes may ask for the same directory; a file lock lets only the first one build it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sparksig.errors import ModelError

CACHE_VARIABLE = "SPARKSIG_CACHE"
"""The environment variable with the directory of the cache."""

_COMPLETE = ".complete"
_FULL_BYTES = 2**16
"""A disk with less space is full."""


def build_once(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return a directory of the cache; call ``build(directory)`` if this machine does not have it yet.

    A directory whose build was interrupted is built again.
    """
    cache = _open_cache(kind)
    home = cache / key[:32]
    if (home / _COMPLETE).is_file():
        return home
    try:
        with _lock(cache / f"{home.name}.lock"):
            if not (home / _COMPLETE).is_file():
                _build(home, build)
    except OSError as error:
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise ModelError(
            f"{home}: the disk is full. Free some space, or set {CACHE_VARIABLE} to a directory on "
            "another disk"
        ) from None
    return home


def _build(home: Path, build: Callable[[Path], None]) -> None:
    """Fill a directory; leave nothing behind where that fails."""
    shutil.rmtree(home, ignore_errors=True)
    try:
        build(home)
        (home / _COMPLETE).touch()
    except BaseException as error:
        is_full = isinstance(error, Exception) and shutil.disk_usage(home.parent).free < _FULL_BYTES
        shutil.rmtree(home, ignore_errors=True)
        if is_full:  # programs that build a directory report a full disk in many ways
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _open_cache(kind: str) -> Path:
    """Return a directory of the cache, which belongs to this user alone."""
    chosen = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    fallback = os.path.join(tempfile.gettempdir(), f"sparksig-cache-{os.geteuid()}")
    candidates = [chosen] if chosen else [os.path.join(base, "sparksig"), fallback]
    failure = ""
    for candidate in candidates:
        cache = Path(candidate).absolute() / kind
        try:
            cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            cache.mkdir(mode=0o700, exist_ok=True)
            statuses = cache.stat(), cache.parent.stat()
        except OSError as error:
            failure = f"{cache}: {error.strerror}"
            continue
        is_private = all(
            status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            for status in statuses
        )
        if not is_private:
            raise ModelError(
                f"{cache}: other users can write into the cache. Set {CACHE_VARIABLE} to a private directory"
            )
        return cache
    raise ModelError(f"the cache cannot be created: {failure}. Set {CACHE_VARIABLE} to a private directory")


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file; the system releases it when the process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
