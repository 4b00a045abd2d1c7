"""A model directory on its way to the executors, and its place there.

In local mode the workers read the directory where it is. Otherwise the driver packs it into one file,
which Spark distributes; the first worker of a node unpacks it into a private directory by one rename.
Wherever it is read, its digest is verified before anything in it is opened.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from sparksig.errors import ModelDamagedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import Loading
from sparksig.models.seal import NO_CONTENT, combine
from sparksig.models.virtualenvs import ModelEnvironment
from sparksig.scoring.prepared import pin_directory, share_directory

__all__ = ["Shipment", "ship"]


@dataclass(frozen=True)
class Shipment:
    """Where a worker finds a model.

    Attributes:
        digest: of the directory's content.
        path: the directory, where workers share the driver's file system; otherwise empty.
        archive: the name of the file that Spark distributes; otherwise empty.
        environment: the name of the file with the model's environment; empty if there is none.
    """

    digest: str
    path: str = ""
    archive: str = ""
    environment: str = ""

    def localize(self, loading: Loading) -> Loading:
        """Return the options of loading with the path that the model's environment has on this node."""
        if not self.environment or loading.environment is None:
            return loading
        path = SparkFiles.get(self.environment)
        return replace(loading, environment=replace(loading.environment, archive=path))

    def locate(self) -> Path:
        """The model directory on this node, unpacked if need be.

        Raises:
            ModelDamagedError: the archive holds a path that leads out of it.
        """
        if self.path:
            return Path(self.path)
        home = Path(SparkFiles.getRootDirectory()) / f"sparksig-{self.digest}"
        if home.is_dir():
            return home
        staging = Path(tempfile.mkdtemp(prefix=".sparksig-", dir=home.parent))  # mode 0700
        try:
            _unpack(Path(SparkFiles.get(self.archive)), staging)
            staging.rename(home)
        except OSError:
            if not home.is_dir():  # otherwise another worker was first
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return home


def _unpack(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ModelDamagedError(f"{archive}: {name!r} leads out of the archive")
        packed.extractall(target)


def ship(
    spark: SparkSession, directory: ModelDirectory, environment: ModelEnvironment | None = None
) -> Shipment:
    """Make a model directory, and this package, available to the workers of a session.

    Args:
        spark: a session, classic or Spark Connect's.
        directory: the directory, pinned or not.
        environment: the environment in which the model runs; None for that of the workers.

    Raises:
        ModelDamagedError: the directory changed after its content was verified.
    """
    digest, pinned = pin_directory(directory)
    connected = ".connect." in type(spark).__module__
    if not connected and _is_local(spark.sparkContext.master):
        return Shipment(digest, path=str(share_directory(digest, pinned)))
    package, files = _package(), [_pack(directory.path, digest)]
    if environment is not None and environment.archive:
        files.append(_link_environment(environment))
    if connected:
        sent = _SENT.setdefault(spark, set())
        if str(package) not in sent:
            spark.addArtifacts(str(package), pyfile=True)
        for file in files:
            if str(file) not in sent:
                spark.addArtifacts(str(file), file=True)
        sent |= {str(package), *map(str, files)}
    else:
        spark.sparkContext.addPyFile(str(package))
        for file in files:
            spark.sparkContext.addFile(str(file))
    return Shipment(digest, archive=files[0].name, environment=files[1].name if files[1:] else "")


def _link_environment(environment: ModelEnvironment) -> Path:
    """Return the path of a built environment under a name that is unique to its content."""
    key = f"environment {environment.digest}"
    if key not in _PACKED:
        _PACKED[key] = _home() / f"sparksig-environment-{environment.digest}.tar.gz"
        _PACKED[key].symlink_to(environment.archive)
    return _PACKED[key]


_SENT: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
"""What each session of Spark Connect has: it refuses to be given the same twice."""


def _is_local(master: str | None) -> bool:
    return master is not None and (master == "local" or master.startswith("local["))


_PACKED: dict[str, Path] = {}
"""The archive of each digest: Spark takes a file of one name from one place only."""


def _package() -> Path:
    """This package as a file that Python imports from, for workers that have none, or another one."""
    root = Path(__file__).parents[1]
    if not root.is_dir():  # it was itself imported from such a file, as --py-files has it
        return root.parent
    sources = sorted(file for file in root.rglob("*") if file.suffix in (".py", ".typed"))
    content = hashlib.sha256()
    for file in sources:
        content.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    key = content.hexdigest()
    if key in _PACKED:
        return _PACKED[key]
    archive = _home() / f"sparksig-package-{key[:16]}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for file in sources:
            packed.write(file, Path("sparksig") / file.relative_to(root))
    _PACKED[key] = archive
    return archive


def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="sparksig-"))  # mode 0700
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _pack(path: Path, digest: str) -> Path:
    if digest in _PACKED:
        return _PACKED[digest]
    archive = _home() / f"sparksig-{digest}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                file = Path(folder) / name
                packed.write(file, file.relative_to(path))
    if _digest_of(archive) != digest:
        archive.unlink()
        raise ModelDamagedError(f"{path}: changed after its content was verified")
    _PACKED[digest] = archive
    return archive


def _digest_of(archive: Path) -> str:
    """The digest of what was packed."""
    with zipfile.ZipFile(archive) as packed:
        names = [name for name in packed.namelist() if name not in NO_CONTENT]
        return combine({name: hashlib.sha256(packed.read(name)).hexdigest() for name in names})
