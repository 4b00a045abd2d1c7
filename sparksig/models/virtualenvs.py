"""Virtual environments for models, built once per machine and kept in a private cache."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
    return build_once("environments", requirements.key, lambda home: _install(requirements, home, options))


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
            create = [uv, "venv", "--quiet", "--no-project", "--python", python, str(home)]
            install = [uv, "pip", "install", "--quiet", "--python", interpreter]
        else:
            create = [python, "-m", "venv", str(home)]
            install = [interpreter, "-m", "pip", "install", "--quiet", "--no-input"]
            install.append("--disable-pip-version-check")
        run_command(create, requirements.python)
        run_command([*install, *options, "-r", str(file)], requirements.python)


def _find_uv() -> str | None:
    """Return the path of uv: the command on the PATH, or that of the installed package; None without it.

    uv does not read the configuration of pip, so pip is used where an index is configured for it.
    """
    if _has_own_index():
        return None
    command = shutil.which("uv")
    if command is None and importlib.util.find_spec("uv") is not None:
        path = os.path.join(os.path.dirname(sys.executable), "uv")
        return path if os.access(path, os.X_OK) else None
    return command


def _has_own_index() -> bool:
    """Return whether an index is configured for pip, by a variable or a file."""
    if any(os.environ.get(name) for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX")):
        return True
    home, configured = Path(os.path.expanduser("~")), os.environ.get("PIP_CONFIG_FILE") or os.devnull
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf"]
    files += [Path(sys.prefix) / "pip.conf", Path(configured)]
    for file in files:
        with contextlib.suppress(OSError):  # most of these files do not exist
            if re.search(
                r"^\s*(?:extra-)?index-url|^\s*no-index", file.read_text(errors="replace"), re.MULTILINE
            ):
                return True
    return False


def run_command(command: Sequence[str], version: str) -> None:
    """Run a command that builds an environment.

    Args:
        command: the program and its arguments.
        version: the version of Python of the environment, as "3.11".

    Raises:
        ModelError: it fails; with the end of its messages.
    """
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
    }
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
