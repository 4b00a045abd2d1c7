"""A model directory as data: reading it, and writing it whole or not at all.

Layout and keys are MLflow's: a YAML file ``MLmodel`` and what it names. Nothing here executes anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from sparksig.engine.texts import TextDtype, TextDtypes
from sparksig.errors import (
    MissingSignatureError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SignatureError,
    UnsupportedError,
)
from sparksig.models.safe_yaml import MAX_YAML_BYTES, dump_yaml, load_yaml
from sparksig.models.seal import SEAL, check_seal, file_digests, seal_text
from sparksig.signature import ModelSignature

__all__ = [
    "MLMODEL",
    "TEXT_DTYPES",
    "ModelDirectory",
    "copy_into",
    "new_directory",
    "replace_mlmodel",
    "seal",
    "write_mlmodel",
]

MLMODEL = "MLmodel"
TEXT_DTYPES = "sparksig_text_dtypes"
"""The key of the flavor ``python_function`` for the dtypes of text columns that a model was shown.

Its value maps names of columns (positions, where columns have no names) to values of
:class:`~sparksig.engine.texts.TextDtype`. MLflow ignores the key, and keeps it.
"""


@dataclass(frozen=True)
class ModelDirectory:
    """What a model directory says of itself.

    Attributes:
        path: the directory, absolute.
        config: the content of MLmodel.
        signature: its signature, or None.
        mlmodel: the digest of MLmodel as it was read.
        digests: of each file, where the caller pinned the content: what is opened must have them.
    """

    path: Path
    config: Mapping[str, Any]
    signature: ModelSignature | None
    mlmodel: str
    digests: Mapping[str, str] | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModelDirectory:
        """Read ``MLmodel`` in a directory.

        Raises:
            ModelNotFoundError: no such directory, or none with an MLmodel in it.
            ModelDamagedError: MLmodel is not YAML, too large, or not of MLmodel's form.

        Example:
            >>> ModelDirectory.read("no/such/model")
            Traceback (most recent call last):
            sparksig.errors.ModelNotFoundError: there is no model directory at 'no/such/model'
        """
        directory = Path(path)
        if directory.name == MLMODEL and directory.is_file():  # as MLflow takes it
            directory = directory.parent
        file = directory / MLMODEL
        if not directory.is_dir():
            raise ModelNotFoundError(f"there is no model directory at {str(path)!r}")
        if not file.is_file():
            raise ModelNotFoundError(f"{str(path)!r} is not a model directory: it has no file {MLMODEL}")
        if file.is_symlink():
            raise ModelDamagedError(f"{file} is a link: a model holds none")
        with file.open("rb") as stream:
            text = stream.read(MAX_YAML_BYTES + 1)
        try:
            config = load_yaml(text)
        except ValueError as error:
            raise ModelDamagedError(f"{file}: {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("flavors"), dict):
            raise ModelDamagedError(f"{file}: an MLmodel is a mapping with the key 'flavors'")
        found = hashlib.sha256(text).hexdigest()
        return cls(directory.absolute(), config, _signature(config, file), found)

    @property
    def pyfunc(self) -> Mapping[str, Any]:
        """The configuration of the generic flavor, ``python_function``.

        Raises:
            UnsupportedError: the model has none.
            ModelDamagedError: it is not a mapping.
        """
        config = self.flavor("python_function")
        if config is None:
            flavors = ", ".join(sorted(map(str, self.config["flavors"]))) or "none"
            raise UnsupportedError(
                f"{self.path}: the model has no flavor 'python_function' (it has: {flavors}), so it cannot "
                "be loaded here. Load it with the library of one of its flavors, or save it again with one"
            )
        return config

    def require_signature(self, name: str | None = None) -> ModelSignature:
        """Return the signature.

        Args:
            name: the name of the model in the message; None for its path.

        Raises:
            MissingSignatureError: the model has none.
        """
        if self.signature is None:
            name = name or str(self.path)
            raise MissingSignatureError(
                f"{name}: the model has no signature. Set one: sparksig.set_signature({name!r}, "
                "sparksig.infer_signature(data, predictions))"
            )
        return self.signature

    @property
    def text_dtypes(self) -> TextDtypes:
        """The dtypes of text columns that the model was shown when it was saved, as far as recorded.

        Raises:
            ModelDamagedError: the record is malformed.
        """
        record = self.pyfunc.get(TEXT_DTYPES, {})
        known = {dtype.value: dtype for dtype in TextDtype}
        if not isinstance(record, dict) or not all(
            isinstance(name, str) and isinstance(dtype, str) and dtype in known
            for name, dtype in record.items()
        ):
            raise ModelDamagedError(
                f"{self.path / MLMODEL}: {TEXT_DTYPES}: expected a mapping of column names to "
                f"{', '.join(known)}, got something else. Fetch the model again, or save it again"
            )
        return TextDtypes.from_mapping({name: known[dtype] for name, dtype in record.items()})

    def flavor(self, name: str) -> Mapping[str, Any] | None:
        """The configuration of one flavor, or None.

        Raises:
            ModelDamagedError: it is there, but it is not a mapping.
        """
        config = self.config["flavors"].get(name)
        if config is not None and not isinstance(config, dict):
            raise ModelDamagedError(f"{self.path / MLMODEL}: the flavor {name!r} is not a mapping")
        return config

    def member(self, relative: object) -> Path:
        """The path of something in the directory that MLmodel names.

        Raises:
            ModelDamagedError: it is absent, no relative path, or leads out of the directory (by ``..``
                or a symbolic link).
        """
        where = self.path / MLMODEL
        if not isinstance(relative, str) or not relative:
            raise ModelDamagedError(f"{where}: a path in the directory expected, found {relative!r}")
        parts = Path(relative).parts
        try:
            target = self.path / relative
            inside = target.resolve().is_relative_to(self.path.resolve())
            there = target.is_file() or target.is_dir()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, no text at all
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ModelDamagedError(
                f"{where}: no path in the directory: {relative[:80]!r}: {reason}"
            ) from None
        if Path(relative).is_absolute() or ".." in parts or not inside:
            raise ModelDamagedError(f"{where}: the path {relative!r} leads out of the model directory")
        if not there:
            raise ModelDamagedError(f"{self.path}: {relative!r} is named by {MLMODEL}, but it is not there")
        return target

    def open(self, file: Path) -> BinaryIO:
        """A file in the directory for reading; of a pinned directory the very bytes that were pinned.

        Raises:
            ModelDamagedError: it is not what was pinned any more.
        """
        if not file.is_file():
            raise ModelDamagedError(f"{file} is no file")
        if self.digests is None:
            return file.open("rb")
        content = file.read_bytes()
        name = file.relative_to(self.path).as_posix()
        if self.digests.get(name) != hashlib.sha256(content).hexdigest():
            raise _changed(self.path, name)
        return io.BytesIO(content)

    def snapshot(self) -> ModelDirectory:
        """A private copy of a pinned directory, for models that open its files by themselves.

        Only what was pinned is in it, whatever happens to the directory meanwhile; it is removed with the
        object. A directory that is not pinned is its own snapshot.

        Raises:
            ModelDamagedError: a file is not what was pinned any more.
        """
        if self.digests is None:
            return self
        home = Path(tempfile.mkdtemp(prefix="sparksig-model-"))  # mode 0700
        copy = replace(self, path=home)
        weakref.finalize(copy, shutil.rmtree, home, ignore_errors=True)
        for name, pinned in self.digests.items():
            target, copied = home / name, hashlib.sha256()
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with (self.path / name).open("rb") as source, target.open("wb") as sink:
                    while chunk := source.read(2**20):
                        copied.update(chunk)
                        sink.write(chunk)
            except OSError:
                raise _changed(self.path, name) from None
            if copied.hexdigest() != pinned:
                raise _changed(self.path, name)
        return copy


def _changed(path: Path, what: str) -> ModelDamagedError:
    return ModelDamagedError(f"{path}: changed after its content was verified: {what}")


def _signature(config: Mapping[str, Any], file: Path) -> ModelSignature | None:
    data = config.get("signature")
    if data is None or (isinstance(data, dict) and _declares_nothing(data)):
        return None
    try:
        signature = ModelSignature.from_dict(data)
    except SignatureError as error:
        raise ModelDamagedError(f"{file}: signature: {error.message}", error.findings) from None
    signature._is_signature_from_type_hint = config.get("is_signature_from_type_hint") is True
    signature._is_type_hint_from_example = config.get("type_hint_from_example") is True
    return signature


def _declares_nothing(data: Mapping[str, Any]) -> bool:
    return data.keys() <= {"inputs", "outputs", "params"} and all(part is None for part in data.values())


# --- writing ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def new_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A directory to fill, which becomes ``path`` by one rename when the block ends well.

    Until then it is a private sibling (mode 0700); if the block fails, nothing is left of it.

    Raises:
        OutputRefusedError: something that is not an empty directory is at ``path`` already.
    """
    target = Path(path).absolute()
    if target.is_symlink() or (target.exists() and not _is_empty_directory(target)):
        raise OutputRefusedError(
            f"{str(path)!r} exists already and is not an empty directory: nothing was written"
        )
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputRefusedError(f"{str(target.parent)!r} is no directory: nothing was written") from None
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield staging
        staging.chmod(0o777 & ~_umask())
        try:
            staging.rename(target)  # onto an empty directory at most: anything else makes it fail
        except OSError as error:
            if target.exists():
                raise OutputRefusedError(f"{str(path)!r} appeared meanwhile: nothing was written") from error
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not target.exists():
            for parent in made:
                with contextlib.suppress(OSError):  # somebody else has put something there
                    parent.rmdir()


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_mlmodel(directory: Path, config: Mapping[str, Any]) -> None:
    """Write ``MLmodel`` in a directory that nobody uses yet.

    Raises:
        ModelError: something in it is not JSON-like, so that it could not be read back.
    """
    (directory / MLMODEL).write_text(_mlmodel(config), encoding="utf-8")


def _mlmodel(config: Mapping[str, Any]) -> str:
    try:
        return dump_yaml(config)
    except ValueError as error:
        raise ModelError(f"this cannot be kept in {MLMODEL}: {error}") from None


def seal(directory: Path) -> None:
    """Seal a directory that nobody uses yet."""
    (directory / SEAL).write_bytes(seal_text(file_digests(directory)))


def replace_mlmodel(directory: ModelDirectory, config: Mapping[str, Any]) -> None:
    """Put another MLmodel in a directory's place, and seal it anew.

    A crash at any point leaves the old or the new directory: the seal knows both while one replaces the
    other, and a file is replaced by one rename.

    Raises:
        ModelError: as :func:`write_mlmodel`; or MLmodel was changed meanwhile.
        ModelDamagedError: the directory is not as it was sealed.
    """
    text = _mlmodel(config).encode()
    root = directory.path
    with _locked(root):
        digests = file_digests(root)
        if digests.get(MLMODEL) != directory.mlmodel:
            raise ModelError(f"{root}: {MLMODEL} was changed meanwhile: nothing was written")
        if (root / SEAL).is_file():
            check_seal(root, digests)
        new = hashlib.sha256(text).hexdigest()
        _replace(root / SEAL, seal_text(digests, [(MLMODEL, new)]))
        _replace(root / MLMODEL, text)
        _replace(root / SEAL, seal_text({**digests, MLMODEL: new}))


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        for wait in (*[0.05] * 400, 0.0):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wait:
                    raise ModelError(
                        f"{directory}: somebody else is changing it, for 20 seconds now"
                    ) from None
                time.sleep(wait)
        yield
    finally:
        os.close(handle)


def _replace(file: Path, content: bytes) -> None:
    """One file by one rename; what is half written lies beside the model directory, if that may be."""
    home = file.parent.parent
    beside = os.access(home, os.W_OK) and home.stat().st_dev == file.parent.stat().st_dev
    handle, name = tempfile.mkstemp(prefix=f".{file.parent.name}.", dir=home if beside else file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask()
        os.chmod(name, mode)
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def copy_into(source: str | os.PathLike[str], home: Path, name: str | None = None) -> Path:
    """Copy a file or a directory into a directory of a model; links become what they lead to.

    Returns:
        where the copy is.

    Raises:
        ModelError: there is no such file or directory, or another of its name is there already.
    """
    given = Path(source)
    if not given.exists():
        raise ModelError(f"there is no file or directory at {str(source)!r}")
    target = home / (name or given.resolve().name)
    if target.exists():
        raise ModelError(f"two files for a model have the name {target.name!r}")
    home.mkdir(parents=True, exist_ok=True)
    if given.is_dir():
        shutil.copytree(given, target, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    else:
        shutil.copyfile(given, target)
    return target
