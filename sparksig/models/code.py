"""Code files in a model directory: copied there on saving, importable once the model is loaded.

Python identifies a module by its name alone. Two models with different modules of one name therefore cannot
be loaded in one process: the second model would run the code of the first.
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

CODE = "code"


def copy_code(paths: Sequence[str | os.PathLike[str]], home: Path) -> str | None:
    """Copy code files and directories into a model directory.

    Return its path in the directory; None without code.
    """
    if isinstance(paths, (str, os.PathLike)):
        raise ModelError(f"code_paths: expected a list of paths, got one path. Pass [{str(paths)!r}]")
    for path in paths:
        copy_into(path, home / CODE)
    return CODE if paths else None


def check_code(directory: ModelDirectory, trust: Trust) -> None:
    """Check that the code files of a model, if it has any, exist and are allowed."""
    if directory.pyfunc.get("code"):
        trust.require_code(directory, "a model with code files")
        if not directory.resolve_member(directory.pyfunc["code"]).is_dir():
            raise ModelDamagedError(f"{directory.path}: the model's code: expected a directory, got a file")


_CODE_DIRECTORIES: list[ModelDirectory] = []
"""Directories whose modules may be imported at any time. The references keep private copies from removal."""


def add_code(directory: ModelDirectory) -> None:
    """Make the code files of a model importable until the process ends."""
    if not directory.pyfunc.get("code"):
        return
    home = directory.resolve_member(directory.pyfunc["code"])
    for name, path in _list_modules(home):
        loaded = sys.modules.get(name)
        if loaded is not None and not any(
            _read_sources(loaded_path) == _read_sources(path) for loaded_path in _get_module_paths(loaded)
        ):
            origin = getattr(loaded, "__file__", None) or "without a file"
            raise ModelError(
                f"{directory.path}: its code has a module {name!r}, but a different module of that name is "
                f"loaded already ({origin}). Rename one of them, or load the models in two processes"
            )
    _CODE_DIRECTORIES.append(directory)
    if _find_modules not in sys.path_hooks:
        sys.path_hooks.insert(0, _find_modules)
    if str(home) not in sys.path:
        sys.path_importer_cache.pop(str(home), None)
        sys.path.insert(0, str(home))
        importlib.invalidate_caches()


class _LoaderWithoutBytecode(SourceFileLoader):
    """A loader that writes no bytecode next to the source: it would change the directory's digest."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


def _find_modules(path: str) -> FileFinder:
    """Return a finder of the modules in the code of models, and in directories below it."""
    homes = [str(directory.path / str(directory.pyfunc["code"])) for directory in _CODE_DIRECTORIES]
    if not any(path == home or path.startswith(f"{home}{os.sep}") for home in homes):
        raise ImportError("not the code of a model")
    source_loader = (_LoaderWithoutBytecode, SOURCE_SUFFIXES)
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), source_loader)


def _list_modules(home: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names and paths of the top-level modules in a directory: files and packages."""
    for entry in sorted(home.iterdir()):
        if entry.suffix == ".py":
            yield entry.stem, entry
        elif entry.is_dir() and any(entry.rglob("*.py")):
            yield entry.name, entry


def _get_module_paths(module: ModuleType) -> list[Path]:
    """Return the directories of a loaded package, or the file of a loaded module."""
    if hasattr(module, "__path__"):
        return [Path(path) for path in module.__path__]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _read_sources(path: Path) -> dict[str, bytes] | None:
    if path.is_dir():
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*.py")}
    return {"": path.read_bytes()} if path.is_file() else None


@contextlib.contextmanager
def forget_code(home: Path) -> Iterator[None]:
    """Unload, when the block ends, the modules imported from a directory that is still being written."""
    loaded_before = set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if not entry.startswith(f"{home}{os.sep}")]
        for name in set(sys.modules) - loaded_before:
            if any(path.is_relative_to(home) for path in _get_module_paths(sys.modules[name])):
                del sys.modules[name]
        _CODE_DIRECTORIES[:] = [directory for directory in _CODE_DIRECTORIES if directory.path != home]
