"""The packages that a model imports while it is loaded and predicts, found by doing both in another process.

In the process that saves a model most packages are loaded already, whoever imported them. A new process
imports what the model itself needs, and no more.
"""

from __future__ import annotations

import builtins
import json
import pickletools
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from sparksig.models.environment import canonical_name

__all__ = ["RequirementsWarning", "detect_packages", "inspect_pickle", "packages_of", "record_imports"]

TIME_LIMIT = 60.0
"""Seconds that the other process may take."""

_ALWAYS = ("numpy", "pandas", "pyarrow")
_LARGEST_PICKLE = 16 * 2**20  # a larger file takes longer to inspect than to load
_LOADERS = frozenset({"cloudpickle", "mlflow", "skops", "sparksig"})
"""Packages that import others on a model's behalf, besides those that they need themselves."""

_PROGRAM = (
    "import json, sys; task = json.loads(sys.argv[1]); sys.path[:] = task.pop('sys_path'); "
    "from sparksig.models.dependencies import record_imports; record_imports(**task)"
)


class RequirementsWarning(UserWarning):
    """The packages that a model imports could not be detected; only the known ones are recorded."""


def detect_packages(home: Path, trusted_types: Sequence[str]) -> list[str]:
    """Load a model directory and predict its example in a new Python process.

    Args:
        home: a model directory with an example.
        trusted_types: the types that a skops file may have.

    Returns:
        The names of the distributions that the model imported.

    Warns:
        RequirementsWarning: the process failed, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="sparksig-imports-") as scratch:
        output, errors = Path(scratch, "packages.json"), Path(scratch, "errors.txt")
        task = {"path": str(home), "trusted_types": list(trusted_types), "output": str(output)}
        arguments = ["-B", "-W", "ignore", "-c", _PROGRAM, json.dumps(task | {"sys_path": sys.path})]
        with errors.open("wb") as stream:
            reason = _run([sys.executable, *arguments], stream)
        if output.is_file():
            packages: list[str] = json.loads(output.read_text(encoding="utf-8"))
            return packages
        lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    reason = reason or (lines[-1][:200] if lines else "it ended without a result")
    warnings.warn(
        "the packages that the model imports were not detected, because a new Python process cannot load it: "
        f"{reason}. Pass them as extra_pip_requirements, or all of them as pip_requirements",
        RequirementsWarning,
        stacklevel=4,
    )
    return []


def _run(command: list[str], errors: Any) -> str:
    """Run a command; the result is why it could not be run to its end, if it could not."""
    quiet = subprocess.DEVNULL
    try:
        subprocess.run(  # noqa: S603  our own program
            command, stdin=quiet, stdout=quiet, stderr=errors, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TIME_LIMIT:g} seconds"
    except OSError as error:
        return str(error)
    return ""


# --- in the new process -------------------------------------------------------------------------------------


def record_imports(path: str, trusted_types: Sequence[str], output: str) -> None:
    """Load a model, predict its example, and write the names of the packages that were imported for it.

    Args:
        path: the model directory.
        trusted_types: the types that a skops file may have.
        output: the file to write, a JSON list.

    Raises:
        SparksigError: the model cannot be loaded.
    """
    from sparksig.models import load_directory
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.examples import read_example, read_example_params
    from sparksig.models.flavors.interface import Loading
    from sparksig.models.trust import Trust

    recorder = _Recorder()
    sys.meta_path.insert(0, recorder)
    builtins.__import__ = recorder.record_statement
    model = load_directory(Path(path), Loading(Trust(True, None, tuple(trusted_types))))
    directory = ModelDirectory.read(path)
    try:
        model.predict(read_example(directory), read_example_params(directory))
    except Exception as error:  # the imports up to here count; the saving process has judged the prediction
        sys.stderr.write(f"{type(error).__name__}\n")
    sys.meta_path.remove(recorder)
    builtins.__import__ = recorder.original
    Path(output).write_text(json.dumps(recorder.packages()), encoding="utf-8")


class _Recorder:
    """A finder that finds nothing, and records which module imports which."""

    def __init__(self) -> None:
        self._imports: dict[tuple[str, tuple[str, ...]], None] = {}
        self._statements: dict[tuple[str, str], None] = {}
        self.original = builtins.__import__

    def record_statement(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Record the import of a module that sparksig has loaded already, by the model's own code."""
        importer = str((globals or {}).get("__name__") or "").partition(".")[0]
        if level == 0 and name in sys.modules and importer not in ("sparksig", *sys.stdlib_module_names):
            self._statements[name, importer] = None
        return self.original(name, globals, locals, fromlist or (), level)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Record an import of a module that is not loaded yet; nothing is imported meanwhile."""
        del path, target
        own = _Recorder.record_statement.__code__
        frame: FrameType | None = sys._getframe(1)
        machinery = ("importlib", "_frozen_importlib")
        while frame is not None and (frame.f_code is own or _top_module(frame) in machinery):
            frame = frame.f_back
        importer = "" if frame is None else _top_module(frame)
        being_imported = []
        while frame is not None:
            being_imported += [_top_module(frame)] if frame.f_code.co_name == "<module>" else []
            frame = frame.f_back
        self._imports[name, (importer, *dict.fromkeys(being_imported))] = None

    def packages(self) -> list[str]:
        """The distributions that the model needs, in the order in which they were imported.

        A package that is being imported itself imports what it requires, and optional packages that happen
        to be installed: neither counts.
        """
        found: dict[str, None] = {}
        for name, importer in self._statements:
            if importer == "cloudpickle" or not packages_of([importer]):
                found |= dict.fromkeys(packages_of([name]))
        for name, (importer, *being_imported) in self._imports:
            if name not in sys.modules:  # it was looked for, and not imported
                continue
            if packages_of(module for module in being_imported if module not in _LOADERS):
                continue
            importers = [importer] if importer in _LOADERS else packages_of([importer])
            known = {package for one in importers for package in required_by(one)}
            found |= dict.fromkeys(one for one in packages_of([name]) if canonical_name(one) not in known)
        return list(found)


def _top_module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "").partition(".")[0]


# --- modules and distributions ------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return {module: list(dict.fromkeys(names)) for module, names in metadata.packages_distributions().items()}


def packages_of(modules: Iterable[str]) -> list[str]:
    """Return the distributions that modules belong to; none for those of Python, and for a model's own.

    Example:
        >>> packages_of(["json", "numpy.linalg", "sparksig.types"])
        ['numpy']
    """
    found: dict[str, None] = {}
    for module in modules:
        top = module.partition(".")[0]
        names = [] if top in sys.stdlib_module_names else _distributions().get(top, [])
        if len(names) > 1:  # a namespace that several share
            names = [name for name in names if _has_module(name, module)]
        found |= dict.fromkeys(name for name in names if canonical_name(name) != "sparksig")
    return list(found)


def _has_module(package: str, module: str) -> bool:
    stem = module.replace(".", "/")
    return any(
        str(file).startswith((f"{stem}/__init__.", f"{stem}.")) for file in metadata.files(package) or ()
    )


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@lru_cache(maxsize=256)
def required_by(package: str) -> frozenset[str]:
    """The canonical names of a distribution and of those that it requires, directly or not."""
    required: set[str] = set()
    left = [package]
    while left:
        name = canonical_name(left.pop())
        if name in required:
            continue
        required.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        left += [match[0] for line in lines if "extra ==" not in line and (match := _NAME.match(line))]
    return frozenset(required)


# --- without a new process ----------------------------------------------------------------------------------


def inspect_pickle(file: Path, known: Iterable[str] = ()) -> tuple[list[str], bool]:
    """Return the distributions that a pickle refers to, and whether it may import more.

    The names of the modules that a pickle imports are texts in it, and so are the names in the code of its
    functions: no such text, no import, except for those that a package makes when it is called.

    Args:
        file: the pickle.
        known: the distributions that the model needs in any case.
    """
    if file.stat().st_size > _LARGEST_PICKLE:
        return [], True
    references, texts = _names_in(file.read_bytes())
    packages = packages_of(sorted(references))
    if any(_is_own(module) for module in references):
        return packages, True
    expected = {name for one in (*_ALWAYS, *known, *packages) for name in required_by(one)}
    return packages, any(canonical_name(one) not in expected for one in packages_of(sorted(texts)))


def _is_own(module: str) -> bool:
    """Return whether a module is neither Python's nor that of a distribution: it may import anything."""
    top = module.partition(".")[0]
    return top not in {"__main__", "__builtin__", "sparksig", *sys.stdlib_module_names} and not packages_of(
        [top]
    )


def _names_in(content: bytes) -> tuple[set[str], set[str]]:
    """The modules that a pickle refers to, and all texts in it that could name one."""
    references: set[str] = set()
    texts: list[str] = []
    memo: dict[int, str] = {}
    last = ""
    try:
        operations: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]] = pickletools.genops(content)
        for opcode, argument, _ in operations:
            if opcode.name == "MEMOIZE":
                memo[len(memo)] = last
            elif opcode.name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = last
            elif opcode.name == "GLOBAL":
                references.add(argument.partition(" ")[0])
                last = ""
            elif opcode.name == "STACK_GLOBAL":
                references.add(texts[-2])
                last = ""
            else:
                is_memo = opcode.name in ("BINGET", "LONG_BINGET")
                last = memo.get(argument, "") if is_memo else argument if isinstance(argument, str) else ""
                texts += [last] if last else []
    except (ValueError, IndexError):  # no pickle, as it may be compressed
        references.add("unknown")
    return references, {text for text in texts if text.replace(".", "_").isidentifier()}
