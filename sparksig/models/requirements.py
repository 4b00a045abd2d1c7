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
from sparksig.models.versions import parse_name

_FILE, _PYTHON_FILE = "requirements.txt", "python_env.yaml"
_MAX_FILE_BYTES = 2**20
_NAME = r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?"
_SUFFIXES = r"(?:[-_.]?(?:alpha|beta|preview|pre|post|dev|rev|rc|a|b|c|r)[-_.]?[0-9]*)*(?:-[0-9]+)?"
_VERSION = rf"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:\.\*|{_SUFFIXES}(?:\+[A-Z0-9]+(?:[-_.][A-Z0-9]+)*)?)"
_CLAUSE = rf"(?:===?|[<>~!]=|[<>])\s*{_VERSION}"
_LINE = re.compile(
    rf"(?P<name>{_NAME})\s*(?P<extras>\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?"
    rf"\s*(?P<versions>{_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?\s*(?:;(?P<marker>.*))?",
    re.IGNORECASE,
)
_MARKER_TOKEN = re.compile(
    r"\s*((?:python_version|python_full_version|os_name|sys_platform|platform_release|platform_system|"
    r"platform_version|platform_machine|platform_python_implementation|implementation_name|"
    r"implementation_version|extra|and|or|not|in)\b|===?|[<>~!]=|[<>()]|"
    r"'[A-Za-z0-9._+*-]*'|\"[A-Za-z0-9._+*-]*\")\s*"
)
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lz|lzma)\Z", re.IGNORECASE)
"""The ends of the names of files, which pip would install from the working directory."""

_CHILD_NEEDS = {"numpy": (1, 26), "pandas": (2, 2), "pyarrow": (17,), "pydantic": (2, 7), "pyyaml": (6, 0, 1)}
"""The packages, and their oldest versions, that sparksig needs to run a model. Its own code is not installed,
but passed by path."""

_OLDEST_PYTHON = (3, 10)
_NUMPY_1 = re.compile(r"numpy(?:==1\.|<2\b)", re.IGNORECASE)
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
        return all(re.search(r"===?[^*,]+\Z", line.partition(";")[0]) for line in self.lines)

    @property
    def install_lines(self) -> tuple[str, ...]:
        """The requirements, and the packages that sparksig needs to run a model."""
        needs = tuple(f"{name}>={_format_version(oldest)}" for name, oldest in _CHILD_NEEDS.items())
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

    Raises:
        ModelError: the directory has no requirements.
        ModelDamagedError: the requirements are not text, or the version of Python is not a version.
        UnsupportedError: a requirement is a URL, a path or an option of pip, or sparksig needs newer versions
            of Python or of a package.
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
        requirement = _parse_line(line)
        if requirement is None:
            raise UnsupportedError(
                f"{directory.path}: {_FILE}: {make_printable(line[:80])!r} is not a name with versions. "
                "URLs, paths and options of pip are not installed"
            )
        if parse_name(requirement) != "sparksig":
            lines.append(requirement)
    requirements = Requirements(tuple(dict.fromkeys(lines)), _read_python(directory))
    _check_oldest(directory, requirements)
    return requirements


def _parse_line(line: str) -> str | None:
    """Return a requirement for pip, composed of its parsed parts, or None for any other text.

    Example:
        >>> _parse_line("numpy <2, >=1.26; python_version>'3'")
        "numpy<2,>=1.26; python_version > '3'"
        >>> _parse_line("numpy==1.26 --pre")
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    text = re.sub(r"\s+", "", match["name"] + (match["extras"] or "") + (match["versions"] or ""))
    if _ARCHIVE.search(text) or _ARCHIVE.search(match["name"]):
        return None
    if match["marker"] is None:
        return text
    tokens = _MARKER_TOKEN.findall(match["marker"])
    if not tokens or _MARKER_TOKEN.sub("", match["marker"]):
        return None
    return f"{text}; {' '.join(tokens)}"


def _check_oldest(directory: ModelDirectory, requirements: Requirements) -> None:
    """Raise an UnsupportedError if Python or a package would be older than sparksig needs."""
    hint = "Use environment='worker', or save the model with newer versions"
    if tuple(map(int, requirements.python.split("."))) < _OLDEST_PYTHON:
        raise UnsupportedError(
            f"{directory.path}: the model needs Python {requirements.python}, and sparksig runs models with "
            f"Python {_format_version(_OLDEST_PYTHON)} or newer. {hint}"
        )
    for line in requirements.lines:
        oldest = _CHILD_NEEDS.get(parse_name(line))
        if oldest is not None and _is_older(line, oldest):
            raise UnsupportedError(
                f"{directory.path}: {_FILE}: the model needs {line}, and sparksig runs models with "
                f"{parse_name(line)} {_format_version(oldest)} or newer. {hint}"
            )


def _is_older(line: str, oldest: tuple[int, ...]) -> bool:
    """Return whether a requirement allows only versions before the oldest one; False if it has a marker."""
    if ";" in line:
        return False
    for operator, version in re.findall(r"(===?|~=|<=?)v?([0-9]+(?:\.[0-9]+)*(?:\.\*)?)", line):
        parts = tuple(int(part) for part in version.split(".") if part != "*")
        if operator == "~=":
            parts = parts[:-1]
        if operator == "~=" or version.endswith("*"):
            is_older = parts < oldest[: len(parts)]
        elif operator == "<":
            is_older = _pad(parts) <= _pad(oldest)
        else:
            is_older = _pad(parts) < _pad(oldest)
        if is_older:
            return True
    return False


def _pad(version: tuple[int, ...]) -> tuple[int, ...]:
    return version + (0,) * (6 - len(version))


def _format_version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


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
