"""Shipping of a model, and of this package, to Spark's workers, in one of three ways.

==========  ==============================================================================================
``files``   the driver packs the directory into one file, which Spark distributes; the first worker of a
            node unpacks it
``path``    the workers read the directory themselves, from a path or URI, and keep a copy on each node
``inline``  the packed directory is a part of the function that Spark sends to the workers
==========  ==============================================================================================

In local mode the workers read the original directory. In every case the digest is verified before a file in
the directory is opened.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import shutil
import sys
import tempfile
import warnings
import weakref
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, get_args

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from sparksig.errors import (
    ContractError,
    ExecutionError,
    ModelDamagedError,
    ModelError,
    SparksigWarning,
    UnsupportedError,
)
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.node_cache import build_once
from sparksig.models.registry import fetch_model, find_location, is_remote, redact_uri
from sparksig.models.seal import NO_CONTENT, combine_digests, digest
from sparksig.options import Shipping
from sparksig.scoring.prepared import PreparedModel, share_directory
from sparksig.spark.hadoop import is_connect

_INLINE_BYTES = 8 * 2**20
"""The greatest size of a packed model that is sent with the function of a query."""


class ShippingWarning(SparksigWarning):
    """A warning that the server refuses files, so that a model is shipped in another way."""


@dataclass(frozen=True)
class Shipment:
    """The location of a model for the workers: a path, an archive, a source or its content.

    Attributes:
        digest: the digest of the directory's content.
        path: the directory, if the workers share the driver's file system.
        archive: the name of the file that Spark distributes.
        source: the path or URI from which each node copies the directory.
        content: the packed directory.
        package: the version and a digest of the package that the workers have to import; empty in local mode.
        environment: the name of the file with the model's environment; empty if there is none.
    """

    digest: str
    path: str = ""
    archive: str = ""
    source: str = ""
    content: bytes = b""
    package: str = ""
    environment: str = ""

    @property
    def shipping(self) -> str:
        """Return how the model is shipped: "files", "path", "inline", or "local" if it is not shipped."""
        names = {"archive": "files", "source": "path", "content": "inline"}
        return next((name for attribute, name in names.items() if getattr(self, attribute)), "local")

    def locate(self) -> Path:
        """Return the model directory on this node; unpack or copy it if necessary.

        Raises:
            ModelDamagedError: a path in the archive leads out of it, or the copy has another digest.
            ExecutionError: the workers import another version of this package, or Spark did not bring the
                model's file to them.
        """
        if self.package and self.package != _identify_package():
            raise ExecutionError(
                f"the driver has sparksig {self.package}, and the workers import {_identify_package()} from "
                f"{Path(__file__).parents[1]}. Install the driver's version on the workers"
            )
        if self.path:
            return Path(self.path)
        if self.archive:
            return self._unpack_file()
        return build_once("models", self.digest, self._fill) / "model"

    def _fill(self, home: Path) -> None:
        """Unpack or copy the model below a directory."""
        home.mkdir()
        if self.content:
            _unpack(io.BytesIO(self.content), home / "model")
        else:
            shutil.copytree(fetch_model(self.source), home / "model")
        actual = digest(home / "model")
        if actual != self.digest:
            origin = redact_uri(self.source) if self.source else "the model that was sent with the query"
            raise ModelDamagedError(
                f"{origin}: the content differs from the model that was checked: expected "
                f"the digest {self.digest}, got {actual}"
            )

    def _unpack_file(self) -> Path:
        home = Path(SparkFiles.getRootDirectory()) / f"sparksig-{self.digest}"
        if home.is_dir():
            return home
        file = Path(SparkFiles.get(self.archive))
        if not file.is_file():
            raise ExecutionError(
                "Spark did not bring the model's file to this worker. Pass shipping='inline', or "
                "shipping='path' for a path that the workers can read"
            )
        staging = Path(tempfile.mkdtemp(prefix=".sparksig-", dir=home.parent))  # mode 0700
        try:
            with file.open("rb") as archive:
                _unpack(archive, staging)
            staging.rename(home)
        except OSError:
            if not home.is_dir():  # another worker may have been faster
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return home

    def localize(self, loading: LoadOptions) -> LoadOptions:
        """Return the loading options with the path of the model's environment on this node."""
        if not self.environment or loading.environment is None:
            return loading
        path = SparkFiles.get(self.environment)
        return replace(loading, environment=replace(loading.environment, archive=path))


def _unpack(archive: BinaryIO, target: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ModelDamagedError(f"{name!r} leads out of the archive of the model")
        packed.extractall(target)


# --- on the driver ------------------------------------------------------------------------------------------


def ship(spark: SparkSession, model: PreparedModel, shipping: str = "auto") -> Shipment:
    """Make a model, and this package, available to the workers of a session.

    Args:
        spark: a session, classic or of Spark Connect.
        model: the checked model.
        shipping: "files", "path", "inline", or "auto": files if the server accepts them, else inline for a
            small model, else by path.

    Raises:
        ContractError: ``shipping`` is not one of the choices.
        ModelDamagedError: the directory changed after its content was verified.
        UnsupportedError: the model cannot be shipped in this way.

    Warns:
        ShippingWarning: the server refuses files, and the model is shipped in another way.
    """
    if shipping not in get_args(Shipping):
        raise ContractError(f"shipping: expected one of {', '.join(get_args(Shipping))}, got {shipping!r}")
    if shipping == "auto" and not is_connect(spark) and _is_local(spark.sparkContext.master):
        return Shipment(model.digest, path=str(share_directory(model.digest, model.directory)))
    environment = _link_environment(model)
    if shipping in ("auto", "files"):
        try:
            return _ship_files(spark, model, environment)
        except ModelError:
            raise
        except Exception as error:  # its class depends on the server
            if shipping == "files":
                raise UnsupportedError(
                    f"the server refuses files: {_first_line(error)}. Pass shipping='inline', or "
                    "shipping='path' for a path that the workers can read"
                ) from error
            return _ship_without_files(model, _first_line(error))
    _try_to_send(spark, _pack_package(), is_package=True)
    package = _identify_package()
    files = "" if environment is None or not _try_to_send(spark, environment) else environment.name
    if shipping == "path":
        return Shipment(model.digest, source=find_location(model.source), package=package, environment=files)
    return Shipment(model.digest, content=_read_packed(model), package=package, environment=files)


def _ship_files(spark: SparkSession, model: PreparedModel, environment: Path | None) -> Shipment:
    """Let Spark distribute the package, the model, and its environment if it has a built one."""
    packed = _pack(model.directory.path, model.digest)
    _send(spark, _pack_package(), is_package=True)
    _send(spark, packed)
    if environment is not None:
        _send(spark, environment)
    return Shipment(
        model.digest,
        archive=packed.name,
        package=_identify_package(),
        environment="" if environment is None else environment.name,
    )


def _ship_without_files(model: PreparedModel, reason: str) -> Shipment:
    """Ship a model inline if it is small, else by its URI."""
    if model.loading.environment is not None and model.loading.environment.archive:
        raise UnsupportedError(
            f"the model's environment is a file, and the server refuses files: {reason}. Pass "
            "shipping='inline' or shipping='path' if the workers can read the file at its path"
        )
    package = _identify_package()
    packed = _pack(model.directory.path, model.digest)
    if packed.stat().st_size <= _INLINE_BYTES:
        shipment = Shipment(model.digest, content=packed.read_bytes(), package=package)
    elif is_remote(model.source):
        shipment = Shipment(model.digest, source=find_location(model.source), package=package)
    else:
        raise UnsupportedError(
            f"the server refuses files ({reason}), and the model is too large to be sent inline. Put it "
            "where the workers can read it, and pass shipping='path'"
        )
    warnings.warn(
        f"the server refuses files ({reason}), so the model is shipped with shipping={shipment.shipping!r}; "
        "sparksig must be installed on the workers. Pass shipping to choose a way",
        ShippingWarning,
        stacklevel=5,
    )
    return shipment


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _read_packed(model: PreparedModel) -> bytes:
    packed = _pack(model.directory.path, model.digest)
    size = packed.stat().st_size
    if size > _INLINE_BYTES:
        raise UnsupportedError(
            f"shipping='inline' is for models of at most {_INLINE_BYTES // 2**20} MB, and this one has "
            f"{size / 2**20:.0f} MB. Pass shipping='files' or shipping='path'"
        )
    return packed.read_bytes()


def _try_to_send(spark: SparkSession, file: Path, is_package: bool = False) -> bool:
    """Let Spark distribute a file; return False if the server refuses files."""
    try:
        _send(spark, file, is_package)
    except Exception:  # its class depends on the server
        return False
    return True


def _send(spark: SparkSession, file: Path, is_package: bool = False) -> None:
    """Let Spark distribute a file, once for each session."""
    if is_connect(spark):
        sent = _SENT.setdefault(spark, set())
        if str(file) not in sent:
            spark.addArtifacts(str(file), pyfile=is_package, file=not is_package)
            sent.add(str(file))
    elif is_package:
        spark.sparkContext.addPyFile(str(file))
    else:
        spark.sparkContext.addFile(str(file))


_SENT: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
"""The files that were sent to each session of Spark Connect, which refuses to receive a file twice."""


def _is_local(master: str | None) -> bool:
    return master is not None and (master == "local" or master.startswith("local["))


# --- files --------------------------------------------------------------------------------------------------

_PACKED: dict[str, Path] = {}
"""The archive for each digest, because Spark accepts files of one name from a single path only."""


def _link_environment(model: PreparedModel) -> Path | None:
    """Return the path of a model's built environment under a name that is unique to its content."""
    environment = model.loading.environment
    if environment is None or not environment.archive:
        return None
    key = f"environment {environment.digest}"
    if key not in _PACKED:
        _PACKED[key] = _make_home() / f"sparksig-environment-{environment.digest}.tar.gz"
        _PACKED[key].symlink_to(environment.archive)
    return _PACKED[key]


_PACKAGE_ARCHIVE = "sparksig-package-"
"""The beginning of the name of a packed package; its digest follows."""


def _read_package() -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each module of this package, from its directory or its archive."""
    root = Path(__file__).parents[1]
    if root.is_dir():
        for name in sorted(file.relative_to(root).as_posix() for file in root.rglob("*")):
            if name.endswith((".py", ".typed")):
                yield name, (root / name).read_bytes()
        return
    prefix = f"{root.name}/"
    with zipfile.ZipFile(root.parent) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith(prefix) and name.endswith((".py", ".typed")):
                yield name[len(prefix) :], archive.read(name)


@lru_cache(maxsize=1)
def _hash_package() -> str:
    """Return a digest of the modules of this package, the same for its directory and its archive."""
    archive = Path(__file__).parents[2].name
    if archive.startswith(_PACKAGE_ARCHIVE):  # made by a driver, with the digest in its name
        return archive.removeprefix(_PACKAGE_ARCHIVE).partition(".")[0]
    content = hashlib.sha256()
    for name, source in _read_package():
        content.update(f"{name}\0".encode() + source)
    return content.hexdigest()[:16]


def _identify_package() -> str:
    """Return the version of this package and a digest of its modules: "0.1.0 (9f86d081884c7d65)"."""
    return f"{sys.modules['sparksig'].__version__} ({_hash_package()})"


def _pack_package() -> Path:
    """Return this package as an importable archive, for workers that lack it or have another version."""
    root, key = Path(__file__).parents[1], _hash_package()
    if not root.is_dir():  # it was imported from an archive, for example of --py-files
        return root.parent
    if key in _PACKED:
        return _PACKED[key]
    archive = _make_home() / f"{_PACKAGE_ARCHIVE}{key}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for name, source in _read_package():
            packed.writestr(f"sparksig/{name}", source)
    _PACKED[key] = archive
    return archive


def _make_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="sparksig-"))  # mode 0700
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _pack(path: Path, digest: str) -> Path:
    """Return the packed directory of a model; its content has the digest."""
    if digest in _PACKED:
        return _PACKED[digest]
    archive = _make_home() / f"sparksig-{digest}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                file = Path(folder) / name
                packed.write(file, file.relative_to(path))
    if _hash_archive(archive) != digest:
        archive.unlink()
        raise ModelDamagedError(f"{path}: changed after its content was verified")
    _PACKED[digest] = archive
    return archive


def _hash_archive(archive: Path) -> str:
    """Return the digest of a packed directory."""
    with zipfile.ZipFile(archive) as packed:
        names = [name for name in packed.namelist() if name not in NO_CONTENT]
        return combine_digests({name: hashlib.sha256(packed.read(name)).hexdigest() for name in names})
