"""Built environments in one file, to be used on machines that install nothing.

The archive has the installed packages, and a description: Python's version, the platform, the requirements. A
virtual environment is not moved: each machine creates one with its own interpreter, and puts the packages in.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparksig.errors import ModelDamagedError, ModelError, UnsupportedError, make_printable
from sparksig.models.directory import ModelDirectory
from sparksig.models.node_cache import build_once
from sparksig.models.requirements import read_requirements
from sparksig.models.seal import hash_file
from sparksig.models.virtualenvs import build_environment, require_python, run_command

_INFO, _PACKAGES = "environment.json", "site-packages"
_MAX_INFO_BYTES = 2**20


@dataclass(frozen=True)
class EnvironmentInfo:
    """The description of a built environment."""

    python: str  # "3.11"
    platform: str  # "linux-x86_64"
    requirements: tuple[str, ...]
    packages: dict[str, str]  # the installed versions, by name

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-ready built-ins."""
        return asdict(self) | {"requirements": list(self.requirements)}

    def require_platform(self, file: Path) -> None:
        """Raise a ModelError if the environment, packed in a file, was built for another platform."""
        if self.platform != sysconfig.get_platform():
            raise ModelError(
                f"{file}: the environment was built for {self.platform}, and this machine is "
                f"{sysconfig.get_platform()} ({platform.node()}). Build it on a machine like the workers"
            )


def build_archive(
    directory: ModelDirectory, output: str | os.PathLike[str], options: Sequence[str] = ()
) -> EnvironmentInfo:
    """Build the environment of a model, and pack it into a file, which is replaced if it exists."""
    requirements = read_requirements(directory)
    home = build_environment(requirements, options)
    packages = home / "lib" / f"python{requirements.python}" / "site-packages"
    info = EnvironmentInfo(
        requirements.python, sysconfig.get_platform(), requirements.lines, _list_packages(home)
    )
    target = Path(output).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tarfile.open(staged, "w:gz", compresslevel=1) as archive:
            content = json.dumps(info.to_dict(), indent=2).encode()
            entry = tarfile.TarInfo(_INFO)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            archive.add(packages, _PACKAGES, filter=_skip_bytecode)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    return info


def _skip_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name.split("/") else entry


def _list_packages(home: Path) -> dict[str, str]:
    code = (
        "import json, importlib.metadata as m;"
        "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
    )
    command = [str(home / "bin" / "python"), "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    packages: dict[str, str] = json.loads(done.stdout)
    return dict(sorted(packages.items(), key=lambda item: item[0].lower()))


def read_archive(path: str | os.PathLike[str]) -> EnvironmentInfo:
    """Read the description of a built environment."""
    file = Path(path)
    if not file.is_file():
        raise ModelError(
            "environment: expected 'worker', 'model' or the path of an archive, got "
            f"{make_printable(str(path))!r}, and no such file exists. "
            "Build one with: sparksig env build MODEL -o env.tar.gz"
        )
    try:
        with tarfile.open(file) as archive:
            entry = archive.next()
            stream = None if entry is None or entry.name != _INFO else archive.extractfile(entry)
            content = json.loads(b"" if stream is None else stream.read(_MAX_INFO_BYTES))
        return EnvironmentInfo(
            str(content["python"]), str(content["platform"]), tuple(content["requirements"]),
            dict(content["packages"]),
        )  # fmt: skip
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise ModelDamagedError(
            f"{file} is not an environment that `sparksig env build` has written ({type(error).__name__})"
        ) from None


def unpack_environment(path: Path, digest: str) -> Path:
    """Return the unpacked environment of an archive; unpack it if this machine has not done so yet.

    The digest of the archive is verified first.
    """
    return build_once("environments", digest, lambda home: _unpack(path, digest, home))


def _unpack(path: Path, digest: str, home: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise UnsupportedError("unpacking an environment needs Python 3.10.12, 3.11.4 or newer")
    home.mkdir()
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        copy, content = Path(temporary) / "env.tar.gz", Path(temporary) / "content"
        shutil.copyfile(path, copy)  # the file may change after it was verified
        actual = hash_file(copy)
        if actual != digest:
            raise ModelDamagedError(
                f"{path}: the content differs: expected the digest {digest}, got {actual}"
            )
        info = read_archive(copy)
        info.require_platform(path)
        create = [require_python(info.python), "-I", "-m", "venv", "--without-pip", str(home)]
        run_command(create, info.python)
        packages = home / "lib" / f"python{info.python}" / "site-packages"
        with tarfile.open(copy) as archive:
            archive.extractall(content, filter="data")
        shutil.rmtree(packages)
        (content / _PACKAGES).rename(packages)
