"""The requirements of a model, from which its own environment is built."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sysconfig
from dataclasses import dataclass

from sparksig.errors import ModelDamagedError, ModelError, UnsupportedError, make_printable
from sparksig.models.directory import ModelDirectory
from sparksig.models.safe_yaml import load_yaml
from sparksig.models.versions import normalize_name

_FILE, _PYTHON_FILE = "requirements.txt", "python_env.yaml"
_MAX_FILE_BYTES = 2**20
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===?|[<>~!]=|[<>])\s*[A-Za-z0-9.*+!_-]+"
_LINE = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[[A-Za-z0-9._, -]*\])?\s*(?P<versions>{_VERSION}(?:\s*,\s*{_VERSION})*)?"
    r"\s*(?:;[^#]*)?"
)
_CHILD_NEEDS: tuple[str, ...] = (
    "numpy>=1.26",
    "pandas>=2.2",
    "pyarrow>=17",
    "pydantic>=2.7",
    "pyyaml>=6.0.1",
)
"""The packages that sparksig needs to run a model. Its own code is not installed, but passed by path."""

_NUMPY_1 = re.compile(r"numpy\s*(?:==\s*1\.|<\s*2\b)", re.IGNORECASE)
_PYARROW_FOR_NUMPY_1 = "pyarrow<22"
"""Newer versions of pyarrow fail to import with NumPy 1, which their metadata does not say."""


@dataclass(frozen=True)
class Requirements:
    """The contents of an environment.

    Example:
        >>> Requirements(("scikit-learn==1.5.0",), "3.11").is_pinned
        True
    """

    lines: tuple[str, ...]  # in pip's syntax: names, versions and markers only
    python: str  # "3.11"

    @property
    def is_pinned(self) -> bool:
        """True if each requirement names one exact version."""
        return all(re.search(r"===?\s*[^\s*,;]+\s*(?:;.*)?\Z", line) for line in self.lines)

    @property
    def install_lines(self) -> tuple[str, ...]:
        """The requirements, and the packages that sparksig needs to run a model."""
        needs = _CHILD_NEEDS
        if any(_NUMPY_1.match(line) for line in self.lines):
            needs = (*needs, _PYARROW_FOR_NUMPY_1)
        return (*self.lines, *needs)

    @property
    def key(self) -> str:
        """The digest of the requirements, the version of Python and the platform."""
        content = [self.install_lines, self.python, sysconfig.get_platform(), platform.libc_ver()[0]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_requirements(directory: ModelDirectory) -> Requirements:
    """Read the requirements of a model directory.

    The package sparksig itself is dropped from the list, because its code is not installed from an index.
    """
    text = _read_text(directory, _FILE)
    if text is None:
        raise ModelError(
            f"{directory.path}: no environment can be built, because the model has no {_FILE}. Save it with "
            "pip_requirements, or use environment='worker'"
        )
    lines = []
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UnsupportedError(
                f"{directory.path}: {_FILE}: {make_printable(line[:80])!r} is not a name with versions. "
                "URLs, paths and options of pip are not installed"
            )
        if normalize_name(match["name"]) != "sparksig":
            lines.append(line)
    return Requirements(tuple(dict.fromkeys(lines)), _read_python(directory))


def _read_python(directory: ModelDirectory) -> str:
    """Return the version of Python that a model was saved with, as "3.11"."""
    text = _read_text(directory, _PYTHON_FILE)
    content = {} if text is None else load_yaml(text.encode())
    version = content.get("python") if isinstance(content, dict) else None
    version = version or (directory.get_flavor("python_function") or {}).get("python_version")
    if version is None:
        return ".".join(platform.python_version_tuple()[:2])
    match = re.match(r"(\d+\.\d+)(?:\.|\Z)", str(version))
    if match is None:
        raise ModelDamagedError(
            f"{directory.path}: {_PYTHON_FILE}: expected a version of Python, got "
            f"{make_printable(str(version)[:40])!r}"
        )
    return match[1]


def _read_text(directory: ModelDirectory, name: str) -> str | None:
    file = directory.path / name
    if not file.is_file():
        return None
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise ModelDamagedError(f"{file}: expected text of at most 1 MiB, got a larger file")
    return directory.read_text(name)
