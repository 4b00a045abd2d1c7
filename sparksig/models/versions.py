"""The packages that a model was saved with: written in MLflow's files, compared with installed ones."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sparksig.errors import ModelError, SparksigWarning
from sparksig.models.directory import ModelDirectory
from sparksig.models.safe_yaml import dump_yaml

_ALWAYS = ("sparksig", "numpy", "pandas", "pyarrow")
_FILE = "requirements.txt"
_BUILDS = {"xgboost": ("xgboost", "xgboost-cpu"), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}
"""The distributions that publish builds of one package."""
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;#,*]+)(?:\s*|\s+#.*)\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_LINE_LENGTH = 1_000  # characters; a requirement is far shorter
_MAX_FILE_BYTES = 2**20


class VersionMismatchWarning(SparksigWarning):
    """A warning that installed versions of packages differ from those that a model was saved with."""


def write_environment(
    home: Path,
    packages: Sequence[str],
    extra: Sequence[str] = (),
    complete: str | os.PathLike[str] | Sequence[str] | None = None,
) -> None:
    """Write the three files from which MLflow builds an environment for a model.

    MLflow is one of the packages if it is installed, because its server runs in that environment.

    Args:
        home: the model directory.
        packages: the names of the packages that loading needs, to be pinned to their installed versions.
        extra: more requirements in pip's syntax; they replace pins of the same packages.
        complete: all requirements, or the path of a requirements file; instead of ``packages`` and ``extra``.

    Raises:
        ModelError: ``extra`` or ``complete`` is not a list of texts, or both are passed.
    """
    if isinstance(extra, str) or not _are_lines(extra):
        raise ModelError("extra_pip_requirements: expected a list of requirements, for example ['nltk==3.9']")
    requirements = extra if complete is None else _complete_requirements(complete, extra)
    names = (*_ALWAYS, *packages, "mlflow") if complete is None else ("sparksig",)
    required = {parse_name(line) for line in requirements}
    pinned = [pin for name in names if normalize_name(name) not in required and (pin := _format_pin(name))]
    lines = [*dict.fromkeys([*pinned, *requirements])]
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
        raise ModelError(
            "pip_requirements: expected a list of requirements, for example ['nltk==3.9'], or the path of a "
            "requirements file"
        )
    return complete


def _format_pin(package: str) -> str | None:
    for name in _BUILDS.get(package, (package,)):
        if version := _find_version(name):
            return f"{name}=={version}"
    return None


def _find_version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


@dataclass(frozen=True)
class Difference:
    """A package, or Python, whose installed version differs from the one that a model was saved with.

    Attributes:
        name: the name of the package.
        expected: the version that the model was saved with.
        installed: the installed version; None if the package is not installed.
    """

    name: str
    expected: str
    installed: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.expected} (installed: {self.installed or 'none'})"


@dataclass(frozen=True)
class InstalledPackages:
    """The Python and the packages of a built environment.

    Attributes:
        path: the path of the environment.
        python: the version of Python, as "3.11".
        versions: the name and the version of each package.
    """

    path: str
    python: str
    versions: tuple[tuple[str, str], ...]

    def find_version(self, name: str) -> str | None:
        """Return the version of a package; None if it is not installed."""
        key = normalize_name(name)
        return next((version for package, version in self.versions if normalize_name(package) == key), None)


def list_differences(directory: ModelDirectory, built: InstalledPackages | None = None) -> list[Difference]:
    """List the packages, and Python, whose installed versions differ from those a model was saved with.

    Only pins (``name==version``) are compared. Builds of one package for different hardware count as the same
    package. MLflow is skipped if it is not installed, because sparksig loads models without it; a built
    environment needs no sparksig, because its process imports that of the worker.

    Args:
        directory: the model directory.
        built: the environment to compare; None for that of this process.

    Raises:
        ModelDamagedError: the requirements file is not text.
    """
    differences = []
    find_version = _find_version if built is None else built.find_version
    optional = ("mlflow",) if built is None else ("mlflow", "sparksig")
    actual = platform.python_version() if built is None else built.python
    python = str((directory.get_flavor("python_function") or {}).get("python_version") or "")
    if python and python.split(".")[:2] != actual.split(".")[:2]:
        differences.append(Difference("python", python, actual))
    for name, version in read_pins(directory):
        builds = next((builds for builds in _BUILDS.values() if name.lower() in builds), (name,))
        installed = next(filter(None, map(find_version, builds)), None)
        if installed is None and name.lower() in optional:
            continue
        if installed is None or installed.partition("+")[0] != version.partition("+")[0]:
            differences.append(Difference(name, version, installed))
    return differences


def read_pins(directory: ModelDirectory) -> list[tuple[str, str]]:
    """Return the packages that a model's requirements file pins, with their versions.

    Raises:
        ModelDamagedError: the file is not text.
    """
    if not (directory.path / _FILE).is_file():
        return []
    lines = directory.read_text(_FILE, _MAX_FILE_BYTES).splitlines()
    bounded = (line.strip() for line in lines if len(line) <= _MAX_LINE_LENGTH)
    return [(match[1], match[2]) for line in bounded if (match := _PIN.match(line))]


def format_install_command(directory: ModelDirectory, module: str) -> str:
    """Return the command that installs a missing module, in the version that the model requires if any.

    Args:
        directory: the model directory.
        module: the top-level name of the module; may be empty.

    Raises:
        ModelDamagedError: the requirements file is not text.
    """
    for name, version in read_pins(directory):
        if normalize_name(name) == normalize_name(module):
            return f"pip install '{name}=={version}'"
    file = directory.path / _FILE
    return f"pip install -r {file}" if file.is_file() else f"pip install {module}".rstrip()


def parse_name(requirement: str) -> str:
    """Return the normalized name of the package in a requirement; empty if it begins with something else.

    Example:
        >>> parse_name("Nltk[all]>=3.9; python_version > '3.10'")
        'nltk'
    """
    match = _NAME.match(requirement)
    return normalize_name(match[0]) if match else ""


def normalize_name(package: str) -> str:
    """Normalize a package's name, so that different ways to write it compare equal.

    Example:
        >>> normalize_name("Scikit_Learn")
        'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", package).lower()
