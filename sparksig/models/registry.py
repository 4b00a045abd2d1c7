"""Where models are: local directories, MLflow's ``runs:/`` and ``models:/``, object stores.

Whatever is not local is fetched into a private directory, which is removed when the process ends, and read
from there; trust is asked for after that.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sparksig.convert.mlflow import mlflow_class
from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    UnsupportedError,
)

__all__ = [
    "download_from_mlflow",
    "fetched",
    "hide_credentials",
    "is_logged",
    "is_remote",
    "local_path",
    "reason_of",
    "shown",
    "store_of",
]

_MLFLOW = ("runs", "models", "mlflow-artifacts")
_ALIASES = {"s3a": "s3", "s3n": "s3"}
_STORES = ("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):(?=/)")
_PATIENCE = "30"  # seconds that Google's client tries; by itself it does so for a quarter of an hour


def _scheme(uri: str | os.PathLike[str]) -> str:
    match = _SCHEME.match(uri) if isinstance(uri, str) else None
    return match[1].lower() if match else ""


def is_remote(uri: str | os.PathLike[str]) -> bool:
    """Whether a model lies anywhere but in a local directory."""
    return _scheme(uri) not in ("", "file")


def is_logged(uri: str | os.PathLike[str]) -> bool:
    """Return whether a URI names a model of MLflow's tracking or registry."""
    return _scheme(uri) in ("runs", "models")


def shown(uri: object) -> str:
    """A URI, or a text with URIs in it, without the credentials and options that may stand in it.

    Example:
        >>> shown("s3://key:secret@bucket/model?region=x")
        's3://bucket/model'
    """
    text = hide_credentials(str(uri))
    return text.partition("?")[0] if _scheme(text) else text


def hide_credentials(text: str) -> str:
    """Remove the user names and passwords of the URIs in a text.

    Example:
        >>> hide_credentials("no answer from http://user:secret@host/")
        'no answer from http://host/'
    """
    return re.sub(r"(?<=//)[^/@\s]*@", "", text)


def fetched(uri: str | os.PathLike[str]) -> Path:
    """A local file or directory of a URI, as of :func:`local_path`, which is for models."""
    return _local(uri, is_model=False)


def local_path(uri: str | os.PathLike[str]) -> Path:
    """A local directory with the model of a URI; the directory itself, where it is local.

    Args:
        uri: a path; ``file:/...``; ``runs:/<run>/<path>``, ``models:/<name>/<version>`` and whatever else the
            installed MLflow resolves under these two; ``s3://``, ``gs://``, ``abfs://``, ``hdfs://`` as
            ``pyarrow.fs`` takes them, with options as a query (``s3://bucket/model?region=eu-west-1``).

    Raises:
        ModelNotFoundError: nothing is there.
        ModelError: it cannot be fetched, and why.
        MissingDependencyError: MLflow's URI without MLflow.
        UnsupportedError: another kind of URI.
    """
    return _local(uri, is_model=True)


def _local(uri: str | os.PathLike[str], is_model: bool) -> Path:
    if mlflow_class(uri, "mlflow.pyfunc") == "PyFuncModel":
        raise ModelError("a model that MLflow has loaded is not accepted: pass its URI or directory")
    if not isinstance(uri, (str, os.PathLike)):
        what = "a model" if is_model else "an artifact"
        message = f"{what} is a path or a URI, not a value of type {type(uri).__name__}"
        if hasattr(uri, "predict"):
            message += ". Save it first, save_model(path, model), and pass the path"
        raise ModelError(message)
    scheme = _scheme(uri)
    if not scheme:
        return Path(uri)
    text = str(uri)
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise UnsupportedError(f"{text!r} is a file of the machine {parts.netloc!r}, and not of this one")
        return Path(unquote(parts.path))
    if scheme not in (*_MLFLOW, *_STORES):
        known = ", ".join(f"{one}:/" for one in ("file", *_MLFLOW, *_STORES))
        raise UnsupportedError(f"models are not fetched from {scheme}: URIs: a path, or one of {known}")
    if scheme in _MLFLOW and importlib.util.find_spec("mlflow") is None:
        raise MissingDependencyError.naming("mlflow", f"a {scheme}:/ URI", "mlflow")
    home = Path(tempfile.mkdtemp(prefix="sparksig-fetched-"))  # mode 0700
    try:
        found = (
            download_from_mlflow(text, home, is_model)
            if scheme in _MLFLOW
            else _from_store(text, home, is_model)
        )
        if is_model and not (found / "MLmodel").is_file():
            raise ModelNotFoundError(f"{shown(text)!r} is not a model directory: it has no file MLmodel")
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return found


_NO_ANSWER = re.compile(r"API request to .* failed|Max retries exceeded|Connection|timed out", re.IGNORECASE)


def download_from_mlflow(uri: str, home: Path, is_model: bool) -> Path:
    """Download the artifacts of an MLflow URI into a local directory.

    Args:
        uri: ``runs:/...``, ``models:/...`` or ``mlflow-artifacts:/...``.
        home: an existing directory.
        is_model: whether the artifacts must be a directory.

    Returns:
        The file or directory below ``home``.

    Raises:
        ModelNotFoundError: MLflow has no such artifacts.
        ModelError: the download fails, and why.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(home)))
    except Exception as error:  # the client passes on errors of any artifact store
        reason = hide_credentials(str(error).partition("\n")[0]) or type(error).__name__
        if isinstance(error, ImportError):
            library = error.name or reason
            raise MissingDependencyError(
                f"downloading {uri!r} needs the package {library!r}: pip install {library}"
            ) from error
        if _NO_ANSWER.search(reason) or not isinstance(error, (MlflowException, OSError)):
            raise ModelError(
                f"MLflow cannot download {uri!r}: {reason}. Set MLFLOW_HTTP_REQUEST_MAX_RETRIES to change "
                "the number of retries"
            ) from error
        raise ModelNotFoundError(f"MLflow cannot download {uri!r}: {reason}") from error
    if is_model and not found.is_dir():
        raise ModelNotFoundError(f"{uri!r} is a file, and no model directory")
    return found


def _from_store(uri: str, home: Path, is_model: bool) -> Path:
    import pyarrow as pa
    from pyarrow import fs

    told = shown(uri)
    try:
        store, root = store_of(uri)
        if not is_model and store.get_file_info(root).type is fs.FileType.File:
            target = home / root.rpartition("/")[2]
            with store.open_input_stream(root) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
            return Path(target)
        if not root or (is_model and store.get_file_info(f"{root}/MLmodel").type is not fs.FileType.File):
            there = root and store.get_file_info(root).type is fs.FileType.Directory
            what = f"{told!r} is not a model directory: it has no file MLmodel"
            raise ModelNotFoundError(what if there else f"there is no model directory at {told!r}")
        held = store.get_file_info(fs.FileSelector(root, recursive=True))
        names = [one.path[len(root) + 1 :] for one in held if one.type is fs.FileType.File]
        for name in names:
            if ".." in Path(name).parts or Path(name).is_absolute():
                raise ModelDamagedError(f"{told}: the name {name!r} leads out of the model directory")
        target = home / (root.rpartition("/")[2] or "model")
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with store.open_input_stream(f"{root}/{name}") as source, (target / name).open("wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{told} cannot be fetched: {reason_of(error)}") from None
    return target


def store_of(uri: str) -> tuple[Any, str]:
    """The file system (of pyarrow) that a URI names, and the place in it.

    Raises:
        UnsupportedError: another kind of URI than an object store's.
        OSError, pyarrow.ArrowException: as pyarrow raises them; :func:`reason_of` says them to people.
    """
    from pyarrow import fs

    scheme = _scheme(uri)
    if scheme not in _STORES:
        known = ", ".join(f"{one}:/" for one in ("file", *_STORES))
        raise UnsupportedError(f"tables are not read from {scheme}: URIs: a path, or one of {known}")
    uri = _ALIASES.get(scheme, scheme) + uri[len(scheme) :]
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in uri:
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={_PATIENCE}"
    store, root = fs.FileSystem.from_uri(uri)
    return store, root.rstrip("/")


def reason_of(error: BaseException) -> str:
    """Why an object store gave nothing, in one line without credentials."""
    reason = shown(str(error).partition("\n")[0])
    hint = " (pyarrow needs JAVA_HOME, HADOOP_HOME and CLASSPATH)"
    return reason + (hint if "libjvm" in reason or "hdfs" in reason else "")
