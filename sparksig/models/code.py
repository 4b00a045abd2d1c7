"""Code files in a model directory: copied there on saving, importable once the model is loaded.

Two models whose code files have modules of the same name cannot live in one process, unless the modules are
the same: Python knows a module by its name alone, and the second model would run the first one's code.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any

from sparksig.errors import ModelDamagedError, ModelError
from sparksig.models.directory import ModelDirectory, copy_into
from sparksig.models.trust import Trust

__all__ = ["CODE", "add_code", "check_code", "copy_code", "without_code"]

CODE = "code"


def copy_code(paths: Sequence[str | os.PathLike[str]], home: Path) -> str | None:
    """Copy files and directories to where a model's code lies; its place in the directory.

    Raises:
        ModelError: one of them is not there, or has the name of another.
    """
    if isinstance(paths, (str, os.PathLike)):
        raise ModelError(f"code_paths is a list of paths: code_paths=[{str(paths)!r}]")
    for path in paths:
        copy_into(path, home / CODE)
    return CODE if paths else None


def check_code(directory: ModelDirectory, trust: Trust) -> None:
    """See that code files, if there are any, are there and allowed.

    Raises:
        ModelNotTrustedError: the caller did not allow code to run.
        ModelDamagedError: they are not there.
    """
    if directory.pyfunc.get("code"):
        trust.require_code(directory, "a model with code files")
        if not directory.member(directory.pyfunc["code"]).is_dir():
            raise ModelDamagedError(
                f"{directory.path}: the model's code is a directory of files, and no file"
            )


_KEPT: list[ModelDirectory] = []
"""Directories whose modules may be imported at any time: a private copy must not go."""


def add_code(directory: ModelDirectory) -> None:
    """Make the code files of a model importable, for as long as the process lives.

    Raises:
        ModelError: another module of the name of one of them is loaded already.
    """
    if not directory.pyfunc.get("code"):
        return
    home = directory.member(directory.pyfunc["code"])
    for name, place in _modules(home):
        loaded = sys.modules.get(name)
        if loaded is not None and not any(_sources(other) == _sources(place) for other in _places(loaded)):
            told = getattr(loaded, "__file__", None) or "without a file"
            raise ModelError(
                f"{directory.path}: its code has a module {name!r}, but another one of that name is loaded "
                f"already ({told}): rename one of them, or load the models in two processes"
            )
    _KEPT.append(directory)
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    if str(home) not in sys.path:
        sys.path_importer_cache.pop(str(home), None)
        sys.path.insert(0, str(home))
        importlib.invalidate_caches()


class _WithoutCache(SourceFileLoader):
    """Imports, and leaves no bytecode beside the file: it would change the directory's digest."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Nothing is written."""


def _finder(path: str) -> FileFinder:
    """What finds modules in the code of models, and in directories below it."""
    homes = [str(directory.path / str(directory.pyfunc["code"])) for directory in _KEPT]
    if not any(path == home or path.startswith(f"{home}{os.sep}") for home in homes):
        raise ImportError("not the code of a model")
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_WithoutCache, SOURCE_SUFFIXES))


def _modules(home: Path) -> Iterator[tuple[str, Path]]:
    """The modules that a directory makes importable by their own names: files, and directories of them."""
    for entry in sorted(home.iterdir()):
        if entry.suffix == ".py":
            yield entry.stem, entry
        elif entry.is_dir() and any(entry.rglob("*.py")):
            yield entry.name, entry


def _places(module: ModuleType) -> list[Path]:
    """Where a loaded module comes from: its directories, if it is a package, else its file."""
    if hasattr(module, "__path__"):
        return [Path(place) for place in module.__path__]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _sources(place: Path) -> dict[str, bytes] | None:
    if place.is_dir():
        return {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*.py")}
    return {"": place.read_bytes()} if place.is_file() else None


@contextlib.contextmanager
def without_code(home: Path) -> Iterator[None]:
    """Code files in a directory that is still being written are forgotten when the block ends."""
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = [place for place in sys.path if not place.startswith(f"{home}{os.sep}")]
        for name in set(sys.modules) - before:
            if any(place.is_relative_to(home) for place in _places(sys.modules[name])):
                del sys.modules[name]
        _KEPT[:] = [directory for directory in _KEPT if directory.path != home]
