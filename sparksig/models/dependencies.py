"""Detection of the packages that a model needs: another process loads it, predicts, and records imports.

The process that saves a model has imported most packages already, for various reasons. A new process imports
only the packages that the model itself needs.
"""

from __future__ import annotations

import builtins
import json
import pickletools
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

from sparksig.errors import SparksigWarning
from sparksig.models.versions import normalize_name, parse_name

TIME_LIMIT = 60.0
"""Time limit of the other process, in seconds."""

_ALWAYS = ("numpy", "pandas", "pyarrow")
_MAX_PICKLE_BYTES = 16 * 2**20  # a larger file takes longer to inspect than to load
_LOADERS = frozenset({"cloudpickle", "mlflow", "skops", "sparksig"})
"""Packages that import the packages a model needs, in addition to their own dependencies."""

_PROGRAM = (
    "import json, sys; task = json.loads(sys.argv[1]); sys.path[:] = task.pop('sys_path'); "
    "from sparksig.models.dependencies import record_imports; record_imports(**task)"
)


class RequirementsWarning(SparksigWarning):
    """A warning that a model's packages could not be detected, so that only the known ones are recorded."""


def detect_packages(home: Path, trusted_types: Sequence[str]) -> list[str]:
    """Load a model directory and predict its example in a new Python process.

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
        "the packages that the model imports were not detected, because a new Python process cannot load the "
        f"model: {reason}. Pass the packages as extra_pip_requirements, or the complete list as "
        "pip_requirements",
        RequirementsWarning,
        stacklevel=4,
    )
    return []


def _run(command: list[str], errors: Any) -> str:
    """Run a command. Return the reason if it did not run to its end, else an empty text."""
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
    """Load a model, predict its example, and write the names of the imported packages."""
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.examples import read_example, read_example_params
    from sparksig.models.flavors.interface import LoadOptions
    from sparksig.models.loading import load_directory
    from sparksig.models.trust import Trust

    recorder = _Recorder()
    sys.meta_path.insert(0, recorder)
    builtins.__import__ = recorder.record_statement
    model = load_directory(Path(path), LoadOptions(Trust(True, None, tuple(trusted_types))))
    directory = ModelDirectory.read(path)
    try:
        model.predict(read_example(directory), read_example_params(directory))
    except Exception as error:  # keep the imports up to here: the saving process has checked the prediction
        sys.stderr.write(f"{type(error).__name__}\n")
    sys.meta_path.remove(recorder)
    builtins.__import__ = recorder.original
    Path(output).write_text(json.dumps(recorder.list_packages()), encoding="utf-8")


class _Recorder:
    """An import hook that records which module imports which, and imports nothing itself."""

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
        """Record an import statement of the model's own code for a module that is loaded already."""
        importer = str((globals or {}).get("__name__") or "").partition(".")[0]
        if level == 0 and name in sys.modules and importer not in ("sparksig", *sys.stdlib_module_names):
            self._statements[name, importer] = None
        return self.original(name, globals, locals, fromlist or (), level)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Record the import of a module that is not loaded yet."""
        del path, target
        own = _Recorder.record_statement.__code__
        frame: FrameType | None = sys._getframe(1)
        machinery = ("importlib", "_frozen_importlib")
        while frame is not None and (frame.f_code is own or _get_top_module(frame) in machinery):
            frame = frame.f_back
        importer = "" if frame is None else _get_top_module(frame)
        being_imported = []
        while frame is not None:
            being_imported += [_get_top_module(frame)] if frame.f_code.co_name == "<module>" else []
            frame = frame.f_back
        self._imports[name, (importer, *dict.fromkeys(being_imported))] = None

    def list_packages(self) -> list[str]:
        """Return the distributions that the model needs, in the order of their first import.

        An imported package imports its requirements, and optional packages that happen to be installed.
        Neither is counted.
        """
        needed: dict[str, None] = {}
        for name, importer in self._statements:
            if importer == "cloudpickle" or not find_packages([importer]):
                needed |= dict.fromkeys(find_packages([name]))
        for name, (importer, *being_imported) in self._imports:
            if name not in sys.modules:  # the import failed
                continue
            if find_packages(module for module in being_imported if module not in _LOADERS):
                continue
            importers = [importer] if importer in _LOADERS else find_packages([importer])
            required = {canonical for package in importers for canonical in collect_requirements(package)}
            packages = find_packages([name])
            needed |= dict.fromkeys(
                package for package in packages if normalize_name(package) not in required
            )
        return list(needed)


def _get_top_module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "").partition(".")[0]


# --- modules and distributions ------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _map_distributions() -> dict[str, list[str]]:
    """Return the distributions of each top-level module.

    The function of Python 3.10 for it misses distributions that list no modules.
    """
    packages: dict[str, dict[str, None]] = {}
    for distribution in metadata.distributions():
        modules = (distribution.read_text("top_level.txt") or "").split()
        for module in modules or _list_modules(distribution):
            packages.setdefault(module, {})[distribution.metadata["Name"]] = None
    return {module: list(names) for module, names in packages.items()}


def _list_modules(distribution: metadata.Distribution) -> set[str]:
    """Return the top-level modules among the files of a distribution."""
    files = [file for file in distribution.files or () if file.suffix in (".py", ".so")]
    return {
        file.parts[0].partition(".")[0] for file in files if file.parts[0].partition(".")[0].isidentifier()
    }


def find_packages(modules: Iterable[str]) -> list[str]:
    """Return the distributions that modules belong to.

    Modules of the standard library and of sparksig, and a model's own modules, have none.

    Example:
        >>> find_packages(["json", "numpy.linalg", "sparksig.types"])
        ['numpy']
    """
    packages: dict[str, None] = {}
    for module in modules:
        top = module.partition(".")[0]
        names = [] if top in sys.stdlib_module_names else _map_distributions().get(top, [])
        if len(names) > 1:  # a namespace package that several distributions share
            names = [name for name in names if _has_module(name, module)]
        packages |= dict.fromkeys(name for name in names if normalize_name(name) != "sparksig")
    return list(packages)


def _has_module(package: str, module: str) -> bool:
    stem = module.replace(".", "/")
    return any(
        str(file).startswith((f"{stem}/__init__.", f"{stem}.")) for file in metadata.files(package) or ()
    )


@lru_cache(maxsize=256)
def collect_requirements(package: str) -> frozenset[str]:
    """Return the canonical names of a distribution and of its direct and indirect requirements."""
    required: set[str] = set()
    pending = [normalize_name(package)]
    while pending:
        name = pending.pop()
        if name in required:
            continue
        required.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        pending += filter(None, [parse_name(line) for line in lines if "extra ==" not in line])
    return frozenset(required)


# --- without a new process ----------------------------------------------------------------------------------


def inspect_pickle(file: Path, required: Iterable[str] = ()) -> tuple[list[str], bool]:
    """Return the distributions that a pickle refers to, and whether it may import more than required.

    A pickle contains, as text, the names of the modules that it imports and the names in the code of its
    functions. A module that no text names is imported only if a package imports it when called.
    """
    if file.stat().st_size > _MAX_PICKLE_BYTES:
        return [], True
    references, texts = _read_names(file.read_bytes())
    packages = find_packages(sorted(references))
    if any(_is_own_module(module) for module in references):
        return packages, True
    expected = {
        name for package in (*_ALWAYS, *required, *packages) for name in collect_requirements(package)
    }
    mentioned = find_packages(sorted(texts))
    return packages, any(normalize_name(package) not in expected for package in mentioned)


def _is_own_module(module: str) -> bool:
    """Return whether a module belongs to neither Python nor a distribution, and so may import anything."""
    top = module.partition(".")[0]
    return top not in {"__main__", "__builtin__", "sparksig", *sys.stdlib_module_names} and not find_packages(
        [top]
    )


def _read_names(content: bytes) -> tuple[set[str], set[str]]:
    """Return the modules that a pickle refers to, and all texts in it that could name a module."""
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
    except (ValueError, IndexError):  # not a plain pickle, for example a compressed one
        references.add("unknown")
    return references, {text for text in texts if text.replace(".", "_").isidentifier()}
