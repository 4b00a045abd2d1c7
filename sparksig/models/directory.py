"""A model directory as data: reading it, writing it whole or not at all, its digest.

Layout and keys are MLflow's: a YAML file ``MLmodel`` and what it names. Nothing here executes anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sparksig.errors import (
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SignatureError,
)
from sparksig.signature import ModelSignature

__all__ = ["MLMODEL", "ModelDirectory", "digest", "load_yaml", "new_directory", "write_mlmodel"]

MLMODEL = "MLmodel"
MAX_YAML_BYTES = 10 * 2**20
"""Larger YAML files are refused; a signature of 10,000 columns takes under 1 MiB."""


@dataclass(frozen=True)
class ModelDirectory:
    """What a model directory says of itself.

    Attributes:
        path: the directory, absolute.
        config: the content of MLmodel.
        signature: its signature, or None.
    """

    path: Path
    config: Mapping[str, Any]
    signature: ModelSignature | None

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
        file = directory / MLMODEL
        if not directory.is_dir():
            raise ModelNotFoundError(f"there is no model directory at {str(path)!r}")
        if not file.is_file():
            raise ModelNotFoundError(f"{str(path)!r} is not a model directory: it has no file {MLMODEL}")
        try:
            config = load_yaml(file.read_bytes())
        except ValueError as error:
            raise ModelDamagedError(f"{file}: {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("flavors"), dict):
            raise ModelDamagedError(f"{file}: an MLmodel is a mapping with the key 'flavors'")
        return cls(directory.absolute(), config, _signature(config, file))

    @property
    def pyfunc(self) -> Mapping[str, Any]:
        """The configuration of the generic flavor, ``python_function``.

        Raises:
            ModelDamagedError: the model has none.
        """
        config = self.flavor("python_function")
        if config is None:
            known = ", ".join(sorted(map(str, self.config["flavors"])))
            raise ModelDamagedError(
                f"{self.path}: the model has no flavor 'python_function' (it has: {known})"
            )
        return config

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
            raise ModelDamagedError(
                f"{where}: no path in the directory: {relative[:80]!r}: {error}"
            ) from None
        if Path(relative).is_absolute() or ".." in parts or not inside:
            raise ModelDamagedError(f"{where}: the path {relative!r} leads out of the model directory")
        if not there:
            raise ModelDamagedError(f"{self.path}: {relative!r} is named by {MLMODEL}, but it is not there")
        return target


def _signature(config: Mapping[str, Any], file: Path) -> ModelSignature | None:
    data = config.get("signature")
    if data is None:
        return None
    try:
        signature = ModelSignature.from_dict(data)
    except SignatureError as error:
        raise ModelDamagedError(f"{file}: signature: {error.message}", error.findings) from None
    signature._is_signature_from_type_hint = config.get("is_signature_from_type_hint") is True
    signature._is_type_hint_from_example = config.get("type_hint_from_example") is True
    return signature


# --- YAML ---------------------------------------------------------------------------------------------


_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_YAML_DEPTH = 50
MAX_YAML_NODES = 100_000


class _Loader(_SAFE):  # type: ignore[misc]
    """YAML's safe subset, without doubled keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twin = next(key for key, _ in node.value if keys.count((key.tag, key.value)) > 1)
            raise yaml.MarkedYAMLError(
                problem=f"the key {twin.value!r} stands twice", problem_mark=twin.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _check_events(data: bytes) -> None:
    """Refuse what YAML bombs are made of before anything is built: nesting, and aliases, without end.

    MLflow itself writes an alias where one object stands in two places; what counts is how many nodes the
    document has when all of them are written out.
    """
    sizes: dict[str, int] = {}
    outer: list[tuple[str | None, int]] = []
    count = 0
    event: Any
    for event in yaml.parse(data, Loader=_SAFE):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            outer.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = outer.pop()
            if anchor is not None:
                sizes[anchor] = count - before + 1
        elif isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
            sizes[event.anchor] = 1
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", MAX_YAML_NODES)  # one that is still open contains itself
        elif isinstance(event, yaml.NodeEvent):
            count += 1
        if count > MAX_YAML_NODES:
            problem = f"more than {MAX_YAML_NODES} values, with all aliases written out"
        elif len(outer) > MAX_YAML_DEPTH:
            problem = f"nested more than {MAX_YAML_DEPTH} levels deep"
        if problem:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def load_yaml(data: bytes) -> Any:
    """One YAML document as built-ins, by the safe loader, within bounds.

    Raises:
        ValueError: not YAML (with line and column), larger than 10 MiB or (all aliases written out) than
            100,000 values, nested too deeply, or with a key twice.

    Example:
        >>> load_yaml(b"a: [1, 2]")
        {'a': [1, 2]}
    """
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f"more than {MAX_YAML_BYTES // 2**20} MiB of YAML")
    try:
        _check_events(data)
        return yaml.load(data, Loader=_Loader)  # noqa: S506  a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"this is not YAML as it is taken here: {where}{error.problem}") from None
    except Exception as error:  # PyYAML's constructors raise whatever their conversion raises
        reason = str(error).partition("\n")[0]
        raise ValueError(f"this is not YAML as it is taken here: {reason}") from None


# --- the digest ---------------------------------------------------------------------------------------


def digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a directory's content: over the sorted (relative path, file digest) pairs.

    Raises:
        ModelNotFoundError: no such directory.
        ModelDamagedError: it holds a symbolic link, or something that is neither file nor directory.
    """
    root = Path(path)
    if not root.is_dir():
        raise ModelNotFoundError(f"there is no model directory at {str(path)!r}")
    whole = hashlib.sha256()
    for file in sorted(_files(root), key=lambda file: file.relative_to(root).as_posix()):
        name = file.relative_to(root).as_posix()
        raw = os.fsencode(name)  # a name may be no text
        whole.update(b"%d:%s=%s\n" % (len(raw), raw, _file_digest(file).encode()))
    return whole.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _files(Path(entry.path))
            elif stat.S_ISREG(mode):
                yield Path(entry.path)
            else:
                raise ModelDamagedError(
                    f"{entry.path} is neither a file nor a directory: a model may hold no links"
                )


def _file_digest(file: Path) -> str:
    content = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            content.update(chunk)
    return content.hexdigest()


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


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: what stands in two places is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def write_mlmodel(directory: Path, config: Mapping[str, Any]) -> None:
    """Write ``MLmodel`` in block style with sorted keys, as MLflow does.

    Raises:
        ModelError: something in it is not JSON-like, so that it could not be read back.
    """
    try:
        text = yaml.dump(
            dict(config), Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True
        )
        load_yaml(text.encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"this cannot be kept in {MLMODEL}: {reason}") from None
    (directory / MLMODEL).write_text(text, encoding="utf-8")
