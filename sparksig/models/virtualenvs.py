"""Virtual environments for models, built once per machine and kept in a private cache."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparksig.errors import ModelError, make_lines_printable
from sparksig.models.node_cache import build_once
from sparksig.models.requirements import Requirements
from sparksig.models.versions import InstalledPackages

PASSED_VARIABLES = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    "CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
"""The environment variables that the process of a model inherits. Others may contain credentials."""

_BUILD_VARIABLES = (
    "ALL_PROXY", "CC", "CFLAGS", "CURL_CA_BUNDLE", "CXX", "CXXFLAGS", "HTTPS_PROXY", "HTTP_PROXY", "LDFLAGS",
    "NETRC", "NO_PROXY", "PYENV_ROOT", "PYENV_VERSION", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME",
)  # fmt: skip
"""The variables that the commands which build an environment inherit, too, and those of pip: ``PIP_*``."""

_HARMLESS_OPTIONS = {
    "cache-dir", "default-timeout", "disable-pip-version-check", "no-cache-dir", "no-color", "no-input",
    "progress-bar", "quiet", "require-virtualenv", "retries", "root-user-action", "timeout", "verbose",
}  # fmt: skip
"""The options of pip that do not change which packages it installs, and from where."""

_MACHINE_FILES = ("/etc/pip.conf", "/Library/Application Support/pip/pip.conf")
_ERROR_CHARACTERS = 3_000


@dataclass(frozen=True)
class ModelEnvironment:
    """The environment in which a model runs.

    Attributes:
        requirements: the packages.
        archive: the path of a built environment; empty for one that each machine builds itself.
        digest: the SHA-256 of the archive.
        packages: the packages of the archive; None for an environment that has those of the requirements.
    """

    requirements: Requirements
    archive: str = ""
    digest: str = ""
    packages: InstalledPackages | None = None

    def locate(self) -> Path:
        """Return the interpreter of the environment on this machine; build or unpack it first if necessary.

        Raises:
            ModelError: it cannot be built or unpacked.
        """
        if not self.archive:
            return build_environment(self.requirements) / "bin" / "python"
        from sparksig.models.archives import unpack_environment

        return unpack_environment(Path(self.archive), self.digest) / "bin" / "python"


def build_environment(requirements: Requirements, options: Sequence[str] = ()) -> Path:
    """Return the environment of some requirements; build it if this machine does not have it yet.

    Args:
        requirements: the packages.
        options: options for ``pip install``, such as ``--no-index``.

    Returns:
        The directory of the environment.

    Raises:
        ModelError: this machine has no such Python, or the packages cannot be installed; with the end of
            pip's messages.
    """
    key = requirements.key
    if options:
        key = hashlib.sha256(json.dumps([key, *options]).encode()).hexdigest()
    return build_once("environments", key, lambda home: _install(requirements, home, options))


def _find_python(version: str) -> str | None:
    """Return the path of an interpreter of Python of a version such as "3.11"; None if there is none.

    An interpreter that pyenv has installed, and not activated, is found in the directory of pyenv.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return getattr(sys, "_base_executable", None) or sys.executable
    name = f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    candidates = [shutil.which(name), *map(str, sorted(root.glob(f"versions/{version}.*/bin/{name}")))]
    return next((candidate for candidate in candidates if candidate and _runs(candidate)), None)


def _runs(python: str) -> bool:
    """Return whether an interpreter runs; pyenv has commands for versions that it has not activated."""
    try:
        done = subprocess.run([python, "-c", ""], capture_output=True, check=False)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def require_python(version: str) -> str:
    """Return the path of an interpreter.

    Raises:
        ModelError: this machine has none of that version.
    """
    python = _find_python(version)
    if python is None:
        raise ModelError(
            f"the model needs Python {version}, and this machine has no python{version} on its PATH. "
            "Install it on every worker, or use environment='worker'"
        )
    return python


def _install(requirements: Requirements, home: Path, options: Sequence[str]) -> None:
    """Create a virtual environment, and install requirements into it with uv, or else with pip."""
    python, uv = require_python(requirements.python), _find_uv()
    interpreter = str(home / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="sparksig-") as temporary:
        file = Path(temporary) / "requirements.txt"
        file.write_text("".join(f"{line}\n" for line in requirements.install_lines))
        if uv is not None:
            quiet = ["--quiet", "--no-config", "--python"]
            run_command([uv, "venv", "--no-project", *quiet, python, str(home)], requirements.python)
            install = [uv, "pip", "install", *quiet, interpreter]
        else:
            run_command([python, "-I", "-m", "venv", str(home)], requirements.python)
            install = [interpreter, "-I", "-m", "pip", "install", "--quiet", "--no-input"]
            install.append("--disable-pip-version-check")
        with _copy_pip_configuration(home):
            run_command([*install, *options, "-r", str(file)], requirements.python)


@contextlib.contextmanager
def _copy_pip_configuration(home: Path) -> Iterator[None]:
    """Let the pip of an environment use the configuration of the pip of this process's environment."""
    own, copy = Path(sys.prefix) / "pip.conf", home / "pip.conf"
    if own.is_file():
        shutil.copyfile(own, copy)
    try:
        yield
    finally:
        copy.unlink(missing_ok=True)


def _find_uv() -> str | None:
    """Return the path of uv: the command on the PATH, or that of the installed package; None without it.

    uv does not read the configuration of pip, so pip is used where that has its own index or other options.
    """
    if not _list_pip_options() <= _HARMLESS_OPTIONS:
        return None
    command = shutil.which("uv")
    if command is None and importlib.util.find_spec("uv") is not None:
        path = os.path.join(os.path.dirname(sys.executable), "uv")
        return path if os.access(path, os.X_OK) else None
    return command


def _list_pip_options() -> set[str]:
    """Return the names of the options that are configured for pip, by variables or files."""
    options = {name[4:] for name, value in os.environ.items() if name.startswith("PIP_") and value}
    options.discard("CONFIG_FILE")
    for file in _list_pip_files():
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(file.read_text())
        except FileNotFoundError:
            continue
        except (OSError, ValueError, configparser.Error):
            options.add("unreadable configuration")
        options.update(name for section in parser.sections() for name in parser.options(section))
    return {name.lower().replace("_", "-") for name in options}


def _list_pip_files() -> list[Path]:
    """Return the paths from which pip reads its configuration."""
    home = Path(os.path.expanduser("~"))
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    directories = [Path(path) for path in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    directories += [configuration, home / "Library/Application Support"]
    files = [directory / "pip" / "pip.conf" for directory in directories]
    files += [*map(Path, _MACHINE_FILES), home / ".pip" / "pip.conf", Path(sys.prefix) / "pip.conf"]
    return [*files, Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull)]


def _list_build_variables() -> dict[str, str]:
    """Return the environment variables of the commands that build an environment."""
    names = {*PASSED_VARIABLES, *_BUILD_VARIABLES}
    names |= {name.lower() for name in _BUILD_VARIABLES if name.endswith("_PROXY")}
    return {name: value for name, value in os.environ.items() if name in names or name.startswith("PIP_")}


def run_command(command: Sequence[str], version: str) -> None:
    """Run a command that builds an environment.

    Args:
        command: the program and its arguments.
        version: the version of Python of the environment, as "3.11".

    Raises:
        ModelError: it fails; with the end of its messages.
    """
    environment = _list_build_variables()
    try:
        done = subprocess.run(  # noqa: S603  a fixed program; requirements are names and versions
            command, capture_output=True, text=True, errors="replace", env=environment, check=False
        )
    except OSError as error:
        raise ModelError(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        text = (done.stderr.strip() or done.stdout.strip())[-_ERROR_CHARACTERS:]
        raise ModelError(
            f"the environment of the model (Python {version}) cannot be built:\n{make_lines_printable(text)}"
        )
