"""The environment in which a model runs: the worker's, the model's own, or a built one."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sparksig.errors import (
    ContractError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    make_printable,
    name_type,
)
from sparksig.models import flavors
from sparksig.models.archives import read_archive
from sparksig.models.directory import ModelDirectory
from sparksig.models.requirements import Requirements, read_requirements
from sparksig.models.seal import hash_file
from sparksig.models.trust import Trust
from sparksig.models.versions import (
    Difference,
    InstalledPackages,
    VersionMismatchWarning,
    list_differences,
    normalize_name,
)
from sparksig.models.virtualenvs import ModelEnvironment, require_python
from sparksig.options import OnVersionMismatch


def resolve_environment(
    directory: ModelDirectory,
    environment: str | os.PathLike[str],
    trust: Trust,
    *,
    allow_install: bool = False,
) -> ModelEnvironment | None:
    """Resolve the environment in which a model runs, without building it.

    Args:
        directory: the model directory.
        environment: "worker" for the environment of this process, "model" for one that is built from the
            requirements of the directory, or the path of an archive that ``sparksig env build`` has written.
            ``PATH@sha256:DIGEST`` pins the content of the archive.
        trust: the permissions of the caller.
        allow_install: allow packages to be installed, which runs code of theirs. A pinned digest allows it,
            too, if the requirements name one exact version each.

    Returns:
        The environment; None for that of this process.

    Raises:
        ContractError: ``environment`` or ``allow_install`` is not one of the choices.
        ModelNotTrustedError: packages would be installed, and the caller did not allow it.
        ModelError: the directory has no requirements, this machine has no such Python, or the archive does
            not exist or was built for another platform.
        ModelDamagedError: the content of the archive is not that of the pinned digest.
        UnsupportedError: a requirement is a URL, a path or an option of pip, or too old for sparksig.
    """
    if not isinstance(environment, (str, os.PathLike)):
        raise ContractError(
            f"environment: expected 'worker', 'model' or a path, got {name_type(environment)}"
        )
    if not isinstance(allow_install, bool):
        raise ContractError(f"allow_install: expected True or False, got {name_type(allow_install)}")
    if environment == "worker":
        return None
    if environment != "model":
        return open_archive(environment)
    requirements = read_requirements(directory)
    if not allow_install and not (trust.digest is not None and requirements.is_pinned):
        raise ModelNotTrustedError(
            f"{directory.path}: environment='model' installs the packages of the model's requirements, and "
            "installing can run any code in them. If you trust its origin, pass allow_install=True, or pin "
            "it with digest= (then each requirement must name one exact version)"
        )
    require_python(requirements.python)
    return ModelEnvironment(requirements)


def open_archive(path: str | os.PathLike[str]) -> ModelEnvironment:
    """Return the environment that ``sparksig env build`` has written to a file, without unpacking it.

    A digest that is pinned by ``PATH@sha256:DIGEST`` is verified before the file is read.

    Raises:
        ModelError: the file does not exist, or was built for another platform or a Python that this machine
            does not have.
        ModelDamagedError: the file is not an archive that ``sparksig env build`` has written, or its content
            is not that of the pinned digest.
    """
    name, separator, pinned = os.fspath(path).rpartition("@sha256:")
    file = Path(name if separator else path)
    actual = hash_file(file) if file.is_file() else ""
    if separator and actual and actual != pinned.lower():
        raise ModelDamagedError(
            f"{file}: the content differs: expected the digest {make_printable(pinned[:80])}, got {actual}"
        )
    info = read_archive(file)
    file = file.resolve()
    info.require_platform(file)
    require_python(info.python)
    requirements = Requirements(info.requirements, info.python)
    packages = InstalledPackages(str(file), info.python, tuple(info.packages.items()))
    return ModelEnvironment(requirements, str(file), actual, packages=packages)


def compare_versions(directory: ModelDirectory, action: str, environment: ModelEnvironment | None) -> None:
    """Warn or fail if an environment has other versions of packages than a model was saved with.

    An environment that is built from the model's requirements has the versions that they name.

    Args:
        directory: the model directory.
        action: "warn", "fail" or "ignore".
        environment: the environment in which the model runs; None for that of this process.

    Raises:
        ModelError: versions differ and ``action`` is "fail", or ``action`` is unknown.

    Warns:
        VersionMismatchWarning: versions differ and ``action`` is "warn".
    """
    actions = get_args(OnVersionMismatch)
    if action not in actions:
        raise ModelError(f"on_version_mismatch: expected one of {', '.join(actions)}, got {action!r}")
    packages = None if environment is None else environment.packages
    if action == "ignore" or (environment is not None and packages is None):
        return
    differences = list_differences(directory, packages)
    if not differences:
        return
    location = "" if packages is None else f" in {packages.path}"
    text = (
        f"{directory.path}: saved with other versions than are installed{location}: "
        f"{'; '.join(map(str, differences))}"
    )
    if action == "fail":
        raise ModelError(text)
    warnings.warn(text, VersionMismatchWarning, stacklevel=4)


_UNUSED = frozenset(("pip", "setuptools", "sparksig", "wheel"))
"""Packages that models do not use: those that install others, and the one that loads models."""

_EFFECTS = {
    "yes": "matters for loading",
    "maybe": "may matter: the model can import it",
    "no": "does not matter for loading",
}


@dataclass(frozen=True)
class EnvironmentReport:
    """The differences between an environment and the one that a model was saved in.

    Attributes:
        model: the model directory.
        environment: the environment, in words.
        differences: the packages, and Python, whose versions differ.
        needed: the names of the packages that loading the model imports, as far as they are known.
    """

    model: str
    environment: str
    differences: tuple[Difference, ...]
    needed: tuple[str, ...]

    def judge(self, difference: Difference) -> Literal["yes", "maybe", "no"]:
        """Return whether a difference matters for loading and predicting.

        Only packages that loading imports are known to matter. The model may import any other package that
        its requirements pin, for example one whose estimators its pickle contains.
        """
        name = normalize_name(difference.name)
        if name in self.needed:
            return "yes"
        return "no" if name in _UNUSED else "maybe"

    def __str__(self) -> str:
        if not self.differences:
            return f"{self.environment} has the versions that the model was saved with"
        count = len(self.differences)
        verb = "version differs" if count == 1 else "versions differ"
        lines = [f"{self.environment}: {count} {verb} from those that the model was saved with"]
        width = max(len(difference.name) for difference in self.differences)
        for difference in self.differences:
            effect = _EFFECTS[self.judge(difference)]
            installed = difference.installed or "none"
            lines.append(
                f"  {difference.name:<{width}}  expected {difference.expected}, got {installed}  {effect}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready built-ins."""
        differences = [
            asdict(difference) | {"matters": self.judge(difference)} for difference in self.differences
        ]
        return {"model": self.model, "environment": self.environment, "differences": differences}


def compare_environment(
    directory: ModelDirectory, environment: ModelEnvironment | None = None
) -> EnvironmentReport:
    """Compare the packages of an environment with those that a model was saved with.

    Args:
        directory: the model directory.
        environment: the environment; None for that of this process.

    Raises:
        ModelDamagedError: the requirements are not text.
    """
    needed = ["python", "numpy", *flavors.find_flavor(directory).list_requirements(directory)]
    if directory.pyfunc.get("loader_module") == "mlflow.pyfunc.model":
        needed += ["cloudpickle", "mlflow", "pandas"]
    names = tuple(normalize_name(name) for name in needed)
    packages = None if environment is None else environment.packages
    name = "this environment" if packages is None else packages.path
    differences = tuple(list_differences(directory, packages))
    return EnvironmentReport(str(directory.path), name, differences, names)
