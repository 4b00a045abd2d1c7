"""A model directory as data: reading it without executing anything, and writing it atomically.

Layout and keys are MLflow's: a YAML file ``MLmodel``, and the files that it names.
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

from sparksig.engine.text_dtypes import TextDtype, TextDtypes
from sparksig.errors import (
    MissingSignatureError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SignatureError,
    UnsupportedError,
    name_type,
    suggest_path,
)
from sparksig.models.safe_yaml import MAX_YAML_BYTES, dump_yaml, load_yaml
from sparksig.models.seal import (
    MLMODEL,
    SEAL,
    build_missing_file_error,
    check_seal,
    format_seal,
    hash_files,
)
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

EXAMPLE_INFO = "saved_input_example_info"
"""The key, in MLmodel, for the type and the files of the input example."""

TEXT_DTYPES = "sparksig_text_dtypes"
"""The key, in the flavor ``python_function``, for the dtypes of a model's text columns when it was saved.

Its value maps names of columns (positions, where columns have no names) to values of
:class:`~sparksig.engine.text_dtypes.TextDtype`. MLflow ignores the key and preserves it.
"""


@dataclass(frozen=True)
class ModelDirectory:
    """The content of ``MLmodel`` in a model directory."""

    path: Path  # absolute
    config: Mapping[str, Any]  # the parsed MLmodel
    signature: ModelSignature | None
    mlmodel_digest: str  # when the file was read
    digests: Mapping[str, str] | None = None  # pinned; each file is verified when it is opened

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModelDirectory:
        """Read ``MLmodel`` in a directory.

        Example:
            >>> ModelDirectory.read("no/such/model")
            Traceback (most recent call last):
            sparksig.errors.ModelNotFoundError: there is no model directory at 'no/such/model'
        """
        directory = Path(path)
        if directory.name == MLMODEL and directory.is_file():  # MLflow accepts the path of the file too
            directory = directory.parent
        file = directory / MLMODEL
        if not directory.is_dir():
            raise ModelNotFoundError(f"there is no model directory at {str(path)!r}{suggest_path(path)}")
        if not file.is_file():
            raise build_missing_file_error(str(path))
        if file.is_symlink():
            raise ModelDamagedError(f"{file} is a symbolic link. Replace it by the file itself")
        with file.open("rb") as stream:
            text = stream.read(MAX_YAML_BYTES + 1)
        try:
            config = load_yaml(text)
        except ValueError as error:
            raise ModelDamagedError(f"{file}: {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("flavors"), dict):
            raise ModelDamagedError(f"{file}: expected a mapping with the key 'flavors', got something else")
        mlmodel_digest = hashlib.sha256(text).hexdigest()
        return cls(directory.absolute(), config, _parse_signature(config, file), mlmodel_digest)

    @property
    def pyfunc(self) -> Mapping[str, Any]:
        """The configuration of the generic flavor, ``python_function``.

        Raises:
            UnsupportedError: the model has none.
            ModelDamagedError: it is not a mapping.
        """
        config = self.get_flavor("python_function")
        if config is None:
            flavors = ", ".join(sorted(map(str, self.config["flavors"]))) or "none"
            raise UnsupportedError(
                f"{self.path}: the model has no flavor 'python_function' (it has: {flavors}), so sparksig "
                "cannot load it. Load it with the library of one of its flavors, or save it again with this "
                "flavor"
            )
        return config

    @property
    def inputs(self) -> Schema | None:
        """The inputs of the signature, or None."""
        return None if self.signature is None else self.signature.inputs

    def require_signature(self, name: str) -> ModelSignature:
        """Return the signature. The message about a missing one has the name of the model."""
        if self.signature is None:
            raise MissingSignatureError(
                f"{name}: the model has no signature. Set one: sparksig.set_signature({name!r}, "
                "sparksig.infer_signature(data, predictions))"
            )
        return self.signature

    @property
    def text_dtypes(self) -> TextDtypes:
        """The recorded dtypes of the text columns that the model was saved with."""
        record = self.pyfunc.get(TEXT_DTYPES, {})
        dtypes = {dtype.value: dtype for dtype in TextDtype}
        if not isinstance(record, dict) or not all(
            isinstance(name, str) and isinstance(dtype, str) and dtype in dtypes
            for name, dtype in record.items()
        ):
            raise ModelDamagedError(
                f"{self.path / MLMODEL}: {TEXT_DTYPES}: expected a mapping of column names to "
                f"{', '.join(dtypes)}, got something else. Fetch the model again, or save it again"
            )
        return TextDtypes.from_mapping({name: dtypes[dtype] for name, dtype in record.items()})

    def get_flavor(self, name: str) -> Mapping[str, Any] | None:
        """Return the configuration of one flavor, or None."""
        config = self.config["flavors"].get(name)
        if config is not None and not isinstance(config, dict):
            raise ModelDamagedError(
                f"{self.path / MLMODEL}: flavor {name!r}: expected a mapping, got {name_type(config)}"
            )
        return config

    def read_mapping(self, key: str) -> Mapping[str, Any] | None:
        """Return a mapping in MLmodel; None if the key is missing."""
        value = self.config.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise ModelDamagedError(f"{self.path}: {key}: expected a mapping, got {name_type(value)}")
        return value

    def resolve_member(self, relative: object) -> Path:
        """Return the path of a file or directory that MLmodel names.

        Raises:
            ModelDamagedError: the path does not exist, is not relative, or leads out of the model directory
                (by ``..`` or a symbolic link).
        """
        mlmodel = self.path / MLMODEL
        if not isinstance(relative, str) or not relative:
            raise ModelDamagedError(f"{mlmodel}: expected a path in the model directory, got {relative!r}")
        parts = Path(relative).parts
        try:
            target = self.path / relative
            is_inside = target.resolve().is_relative_to(self.path.resolve())
            exists = target.is_file() or target.is_dir()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a null character
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ModelDamagedError(
                f"{mlmodel}: {relative[:80]!r} is not a path in the model directory: {reason}"
            ) from None
        if Path(relative).is_absolute() or ".." in parts or not is_inside:
            raise ModelDamagedError(f"{mlmodel}: the path {relative!r} leads out of the model directory")
        if not exists:
            raise ModelDamagedError(f"{self.path}: {relative!r}, which {MLMODEL} names, is missing")
        return target

    def read_text(self, name: object, max_bytes: int = -1) -> str:
        """Read a text file that MLmodel names, or the first bytes of it.

        Raises:
            ModelDamagedError: the file does not exist, is not in the directory, or is not text.
        """
        with self.open(self.resolve_member(name)) as stream:
            content = stream.read(max_bytes)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise ModelDamagedError(f"{self.path}: {name!r} is not text") from None

    def open(self, file: Path) -> BinaryIO:
        """Open a file in the directory for reading. In a pinned directory its content is verified."""
        if self.digests is not None:
            return self.open_copy(file)
        if not file.is_file():
            raise ModelDamagedError(f"{file} is not a file")
        return file.open("rb")

    def open_copy(self, file: Path) -> BinaryIO:
        """Open a copy of a file, which no other process can change while it is checked and read.

        In a pinned directory its content is verified.
        """
        if not file.is_file():
            raise ModelDamagedError(f"{file} is not a file")
        copy = _create_nameless_file(file.stat().st_size)
        with file.open("rb") as source:
            digest = _copy_content(source, copy)
        name = file.relative_to(self.path).as_posix()
        if self.digests is not None and self.digests.get(name) != digest:
            copy.close()
            raise _build_change_error(self.path, name)
        copy.seek(0)
        return copy

    def snapshot(self) -> ModelDirectory:
        """Copy a pinned directory to a private one, for models that open files of the directory themselves.

        The copy has exactly the pinned content, and is removed with the returned object. A directory that is
        not pinned is returned unchanged.
        """
        if self.digests is None:
            return self
        home = Path(tempfile.mkdtemp(prefix="sparksig-model-"))  # mode 0700
        copy = replace(self, path=home)
        weakref.finalize(copy, shutil.rmtree, home, ignore_errors=True)
        for name, pinned in self.digests.items():
            target = home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with (self.path / name).open("rb") as source, target.open("wb") as sink:
                    digest = _copy_content(source, sink)
            except OSError:
                raise _build_change_error(self.path, name) from None
            if digest != pinned:
                raise _build_change_error(self.path, name)
        return copy


_MEMORY_BYTES = 64 * 2**20


def _create_nameless_file(size: int) -> BinaryIO:
    """Create a file of a size that only this process can open.

    It is in memory if it is small, or if the directory for temporary files has no space for it.
    """
    if size > _MEMORY_BYTES and shutil.disk_usage(tempfile.gettempdir()).free > 2 * size:
        return tempfile.TemporaryFile()
    return io.BytesIO()


def _copy_content(source: BinaryIO, target: BinaryIO) -> str:
    """Copy a stream, and return the SHA-256 of the copied content."""
    content = hashlib.sha256()
    while chunk := source.read(2**20):
        content.update(chunk)
        target.write(chunk)
    return content.hexdigest()


def _build_change_error(path: Path, name: str) -> ModelDamagedError:
    return ModelDamagedError(f"{path}: changed after its content was verified: {name}")


def _parse_signature(config: Mapping[str, Any], file: Path) -> ModelSignature | None:
    data = config.get("signature")
    if data is None or (isinstance(data, dict) and _is_empty(data)):
        return None
    try:
        signature = ModelSignature.from_dict(data)
    except SignatureError as error:
        raise ModelDamagedError(f"{file}: signature: {error.message}", error.findings) from None
    signature._is_signature_from_type_hint = config.get("is_signature_from_type_hint") is True
    signature._is_type_hint_from_example = config.get("type_hint_from_example") is True
    return signature


def replace_outputs(signature: ModelSignature, outputs: Schema | None) -> ModelSignature:
    """Return a signature with other outputs, and with the same flags about its origin."""
    replaced = ModelSignature(signature.inputs, outputs, signature.params)
    replaced._is_signature_from_type_hint = signature._is_signature_from_type_hint
    replaced._is_type_hint_from_example = signature._is_type_hint_from_example
    return replaced


def _is_empty(data: Mapping[str, Any]) -> bool:
    return data.keys() <= {"inputs", "outputs", "params"} and all(part is None for part in data.values())


# --- writing ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def create_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Create a directory to fill, and rename it to ``path`` when the block ends without an error.

    Until then it is a private sibling (mode 0700) of ``path``. It is removed if the block fails.
    """
    target = Path(path).absolute()
    if target.is_symlink() or (target.exists() and not _is_empty_directory(target)):
        raise OutputRefusedError(
            f"{str(path)!r} exists already and is not an empty directory: nothing was written. "
            "Choose another path, or remove it"
        )
    new_parents = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except (FileExistsError, NotADirectoryError):
        raise OutputRefusedError(f"{str(target.parent)!r} is not a directory: nothing was written") from None
    except OSError as error:
        raise OutputRefusedError(
            f"cannot create a directory in {str(target.parent)!r}: {error.strerror}; nothing was written. "
            "Choose another path, or change its permissions"
        ) from None
    try:
        yield staging
        staging.chmod(0o777 & ~_read_umask())
        try:
            staging.rename(target)  # fails unless the target is missing or an empty directory
        except OSError as error:
            if target.exists():
                raise OutputRefusedError(
                    f"{str(path)!r} was created by another process meanwhile: nothing was written"
                ) from error
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not target.exists():
            for parent in new_parents:
                with contextlib.suppress(OSError):  # another process has written to it
                    parent.rmdir()


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _read_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_mlmodel(directory: Path, config: Mapping[str, Any]) -> None:
    """Write ``MLmodel`` in a directory that is not in use yet."""
    (directory / MLMODEL).write_text(_dump_mlmodel(config), encoding="utf-8")


def _dump_mlmodel(config: Mapping[str, Any]) -> str:
    try:
        return dump_yaml(config)
    except ValueError as error:
        raise ModelError(f"cannot write {MLMODEL}: {error}") from None


def write_seal(directory: Path) -> None:
    """Seal a directory that is not in use yet."""
    (directory / SEAL).write_bytes(format_seal(hash_files(directory)))


def replace_mlmodel(directory: ModelDirectory, config: Mapping[str, Any]) -> None:
    """Replace the MLmodel of a directory, and update its seal.

    A crash at any point leaves a valid directory, old or new: each file is replaced by one rename, and the
    seal accepts both versions of MLmodel during the replacement.

    Raises:
        ModelError: a value is not JSON-like, or MLmodel was changed since it was read.
        ModelDamagedError: the directory was changed since it was sealed.
    """
    text = _dump_mlmodel(config).encode()
    root = directory.path
    with _lock(root):
        digests = hash_files(root)
        if digests.get(MLMODEL) != directory.mlmodel_digest:
            raise ModelError(
                f"{root}: {MLMODEL} was changed by another process meanwhile: nothing was written. Try again"
            )
        if (root / SEAL).is_file():
            check_seal(root, digests)
        new = hashlib.sha256(text).hexdigest()
        _replace(root / SEAL, format_seal(digests, [(MLMODEL, new)]))
        _replace(root / MLMODEL, text)
        _replace(root / SEAL, format_seal({**digests, MLMODEL: new}))


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        for wait in (*[0.05] * 400, 0.0):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wait:
                    raise ModelError(
                        f"{directory}: another process has locked it for 20 seconds. Try again later"
                    ) from None
                time.sleep(wait)
        yield
    finally:
        os.close(handle)


def _replace(file: Path, content: bytes) -> None:
    """Replace a file by one rename of a temporary file, next to the model directory where possible."""
    home = file.parent.parent
    has_sibling = os.access(home, os.W_OK) and home.stat().st_dev == file.parent.stat().st_dev
    scratch = home if has_sibling else file.parent
    handle, name = tempfile.mkstemp(prefix=f".{file.parent.name}.", dir=scratch)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_read_umask()
        os.chmod(name, mode)
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def copy_into(source: str | os.PathLike[str], home: Path) -> Path:
    """Copy a file or directory into a model directory, with the targets of links; return its path."""
    path = Path(source)
    if not path.exists():
        raise ModelError(f"there is no file or directory at {str(source)!r}")
    target = home / path.resolve().name
    if target.exists():
        raise ModelError(f"two files for a model have the name {target.name!r}. Rename one of them")
    home.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    else:
        shutil.copyfile(path, target)
    return target
