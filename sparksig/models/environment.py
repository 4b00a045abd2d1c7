"""The packages that a model was saved with: written as MLflow writes them, compared when it is loaded."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from sparksig.errors import ModelDamagedError, ModelError
from sparksig.models.directory import ModelDirectory
from sparksig.models.safe_yaml import dump_yaml

__all__ = [
    "ACTIONS",
    "VersionMismatchWarning",
    "canonical_name",
    "compare_versions",
    "install_command",
    "mismatches",
    "pins",
    "write_environment",
]

ACTIONS = ("warn", "fail", "ignore")
_ALWAYS = ("sparksig", "numpy", "pandas", "pyarrow")
_FILE = "requirements.txt"
_BUILDS = {"xgboost": ("xgboost", "xgboost-cpu"), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}
"""The names under which builds of one package are published."""
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;#,*]+)(?:\s*|\s+#.*)\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST = 1_000  # characters of a line, of which packages have far less
_LARGEST = 2**20  # bytes


class VersionMismatchWarning(UserWarning):
    """A model is loaded with other versions of packages than it was saved with."""


def write_environment(
    home: Path,
    packages: Sequence[str],
    extra: Sequence[str] = (),
    complete: str | os.PathLike[str] | Sequence[str] | None = None,
) -> None:
    """Write what MLflow builds an environment for a model from: three files that say the same.

    MLflow is among the packages where it is installed, for its server runs in that environment.

    Args:
        home: the model directory.
        packages: the names of those that loading needs; each is pinned to its installed version.
        extra: more requirements, as pip takes them; they replace those of the same packages.
        complete: all requirements, or the path of a file of them; instead of ``packages`` and ``extra``.

    Raises:
        ModelError: ``extra`` or ``complete`` is no list of texts, or both are given.
    """
    if isinstance(extra, str) or not _are_lines(extra):
        raise ModelError("extra_pip_requirements is a list of requirements, as ['nltk==3.9']")
    given = extra if complete is None else _complete_requirements(complete, extra)
    names = (*_ALWAYS, *packages, "mlflow") if complete is None else ("sparksig",)
    named = {canonical_name(match[0]) for line in given if (match := _NAME.match(line))}
    pinned = [pin for name in names if canonical_name(name) not in named and (pin := _pin(name))]
    lines = [*dict.fromkeys([*pinned, *given])]
    python = platform.python_version()
    dependencies: list[object] = [f"python={python}", "pip", {"pip": lines}]
    conda = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": dependencies}
    build = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {_FILE}"]}
    (home / _FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (home / "conda.yaml").write_text(dump_yaml(conda), encoding="utf-8")
    (home / "python_env.yaml").write_text(dump_yaml(build), encoding="utf-8")


def _are_lines(lines: object) -> bool:
    return isinstance(lines, Sequence) and all(isinstance(line, str) and "\n" not in line for line in lines)


def _complete_requirements(
    complete: str | os.PathLike[str] | Sequence[str], extra: Sequence[str]
) -> Sequence[str]:
    if extra:
        raise ModelError("pass either pip_requirements or extra_pip_requirements, not both")
    if isinstance(complete, (str, os.PathLike)):
        file = Path(complete)
        if not file.is_file():
            raise ModelError(f"pip_requirements: there is no file at {str(complete)!r}")
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    if not _are_lines(complete):
        raise ModelError("pip_requirements is a list of requirements, as ['nltk==3.9'], or a file of them")
    return complete


def _pin(package: str) -> str | None:
    for name in _BUILDS.get(package, (package,)):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name}=={metadata.version(name)}"
    return None


def mismatches(directory: ModelDirectory) -> list[str]:
    """The packages, and Python, whose versions are others than those that a model was saved with.

    Only pins (``name==version``) are compared. Builds of one package for other hardware count as one; MLflow
    is left out where it is not installed, for nothing here needs it.

    Raises:
        ModelDamagedError: the file of requirements is not text.
    """
    found = []
    python = str((directory.flavor("python_function") or {}).get("python_version") or "")
    if python and python.split(".")[:2] != platform.python_version().split(".")[:2]:
        found.append(f"python {python} (here: {platform.python_version()})")
    for name, version in pins(directory):
        builds = next((builds for builds in _BUILDS.values() if name.lower() in builds), (name,))
        here = next((one.split("==")[1] for build in builds if (one := _pin(build) or "")), None)
        if here is None and name.lower() == "mlflow":
            continue
        if here is None or here.partition("+")[0] != version.partition("+")[0]:
            found.append(f"{name} {version} (here: {here or 'not installed'})")
    return found


def pins(directory: ModelDirectory) -> list[tuple[str, str]]:
    """The packages that a model's file of requirements pins, with their versions.

    Raises:
        ModelDamagedError: the file is not text.
    """
    file = directory.path / _FILE
    if not file.is_file():
        return []
    try:
        with directory.open(directory.member(_FILE)) as stream:
            lines = stream.read(_LARGEST).decode(errors="strict").splitlines()
    except UnicodeDecodeError as error:
        raise ModelDamagedError(f"{file} is not text: {error.reason}") from None
    short = (line.strip() for line in lines if len(line) <= _LONGEST)
    return [(match[1], match[2]) for line in short if (match := _PIN.match(line))]


def install_command(directory: ModelDirectory, module: str) -> str:
    """Return the command that installs a missing module: the model's own requirement of it, if it has one.

    Args:
        directory: the model directory.
        module: the top-level name of the module; may be empty.

    Raises:
        ModelDamagedError: the file of requirements is not text.
    """
    for name, version in pins(directory):
        if canonical_name(name) == canonical_name(module):
            return f"pip install '{name}=={version}'"
    file = directory.path / _FILE
    return f"pip install -r {file}" if file.is_file() else f"pip install {module}".rstrip()


def canonical_name(package: str) -> str:
    """Return a package's name in the form in which names are compared.

    Example:
        >>> canonical_name("Scikit_Learn")
        'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", package).lower()


def compare_versions(directory: ModelDirectory, action: str) -> None:
    """Warn of, or refuse, other versions of packages than a model was saved with.

    Raises:
        ModelError: there are some, and ``action`` is "fail"; or ``action`` is unknown.

    Warns:
        VersionMismatchWarning: there are some, and ``action`` is "warn".
    """
    if action not in ACTIONS:
        raise ModelError(f"on_version_mismatch is one of {', '.join(ACTIONS)}, not {action!r}")
    if action == "ignore" or not (found := mismatches(directory)):
        return
    text = f"{directory.path}: saved with other versions than are installed: {'; '.join(found)}"
    if action == "fail":
        raise ModelError(text)
    warnings.warn(text, VersionMismatchWarning, stacklevel=4)
