"""Sources of models: local directories, MLflow's ``runs:/`` and ``models:/``, and object stores.

A model that is not local is downloaded into a private directory, which is removed when the process ends.
Trust is checked after the download, before anything is loaded.
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

from sparksig.convert.mlflow import get_mlflow_class
from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    UnsupportedError,
)
from sparksig.models.seal import MLMODEL, build_missing_file_error

_MLFLOW = ("runs", "models", "mlflow-artifacts")
_ALIASES = {"s3a": "s3", "s3n": "s3"}
_STORES = ("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):(?=/)")
_RETRY_SECONDS = "30"  # the default of Google's client is 15 minutes


def _parse_scheme(uri: str | os.PathLike[str]) -> str:
    match = _SCHEME.match(uri) if isinstance(uri, str) else None
    return match[1].lower() if match else ""


def is_remote(uri: str | os.PathLike[str]) -> bool:
    """Return whether a URI names a model outside of the local file system."""
    return _parse_scheme(uri) not in ("", "file")


def is_logged(uri: str | os.PathLike[str]) -> bool:
    """Return whether a URI names a model of MLflow's tracking or registry."""
    return _parse_scheme(uri) in ("runs", "models")


def redact_uri(uri: object) -> str:
    """Return a URI, or a text that contains URIs, without its credentials and options.

    Example:
        >>> redact_uri("s3://key:secret@bucket/model?region=x")
        's3://bucket/model'
    """
    text = hide_credentials(str(uri))
    return text.partition("?")[0] if _parse_scheme(text) else text


def hide_credentials(text: str) -> str:
    """Remove the user names and passwords of the URIs in a text.

    Example:
        >>> hide_credentials("no answer from http://user:secret@host/")
        'no answer from http://host/'
    """
    return re.sub(r"(?<=//)[^/@\s]*@", "", text)


def fetch_path(uri: str | os.PathLike[str]) -> Path:
    """Return the local file or directory at a URI; a remote one is downloaded first.

    It accepts the same URIs as :func:`fetch_model`.
    """
    return _fetch(uri, is_model=False)


def fetch_model(uri: str | os.PathLike[str]) -> Path:
    """Return the local directory of a model; a remote one is downloaded first.

    Args:
        uri: a path; ``file:/...``; ``runs:/<run>/<path>``, ``models:/<name>/<version>`` and other URIs of
            these two schemes that the installed MLflow resolves; ``s3://``, ``gs://``, ``abfs://``,
            ``hdfs://`` in the syntax of ``pyarrow.fs``, with options as a query
            (``s3://bucket/model?region=eu-west-1``).

    Raises:
        ModelNotFoundError: there is no model at the URI.
        ModelError: fetching fails, with the reason.
        MissingDependencyError: the URI needs MLflow, which is not installed.
        UnsupportedError: the scheme of the URI is not supported.
    """
    return _fetch(uri, is_model=True)


def _fetch(uri: str | os.PathLike[str], is_model: bool) -> Path:
    if get_mlflow_class(uri, "mlflow.pyfunc") == "PyFuncModel":
        raise ModelError("a model that MLflow has loaded is not accepted. Pass its URI or directory")
    if not isinstance(uri, (str, os.PathLike)):
        role = "the model" if is_model else "the artifact"
        message = f"{role}: expected a path or a URI, got a value of type {type(uri).__name__}"
        if hasattr(uri, "predict"):
            message += ". Save it first, save_model(path, model), and pass the path"
        raise ModelError(message)
    scheme = _parse_scheme(uri)
    if not scheme:
        return Path(uri)
    text = str(uri)
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise UnsupportedError(f"{text!r} names a file of another machine, {parts.netloc!r}")
        return Path(unquote(parts.path))
    if scheme not in (*_MLFLOW, *_STORES):
        schemes = ", ".join(f"{name}:/" for name in ("file", *_MLFLOW, *_STORES))
        raise UnsupportedError(f"cannot fetch models from {scheme}: URIs. Pass a path, or one of {schemes}")
    if scheme in _MLFLOW:
        require_mlflow(f"a {scheme}:/ URI")
    home = Path(tempfile.mkdtemp(prefix="sparksig-fetched-"))  # mode 0700
    try:
        download = download_from_mlflow if scheme in _MLFLOW else _download_from_store
        path = download(text, home, is_model)
        if is_model and not (path / MLMODEL).is_file():
            raise build_missing_file_error(redact_uri(text))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return path


def require_mlflow(purpose: str) -> None:
    """Raise MissingDependencyError unless MLflow is installed. Its message begins with the purpose."""
    if importlib.util.find_spec("mlflow") is None:
        raise MissingDependencyError.naming("mlflow", purpose, "mlflow")


_NO_ANSWER = re.compile(r"API request to .* failed|Max retries exceeded|Connection|timed out", re.IGNORECASE)


def download_from_mlflow(uri: str, home: Path, is_model: bool) -> Path:
    """Download the artifacts of an MLflow URI into a local directory."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        path = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(home)))
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
    if is_model and not path.is_dir():
        raise ModelNotFoundError(f"{uri!r}: expected a model directory, got a file")
    return path


def find_location(uri: str | os.PathLike[str]) -> str:
    """Return the path or URI from which another process can read a model without MLflow.

    Example:
        >>> find_location("s3://bucket/model")
        's3://bucket/model'
    """
    if not is_logged(uri):
        return str(uri) if is_remote(uri) else str(fetch_model(uri).absolute())
    require_mlflow(f"reading {uri!r}")
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        info = get_artifact_repository(str(uri))
    except Exception as error:  # the client passes on errors of any store
        raise ModelNotFoundError(f"MLflow has no {uri!r}: {str(error).splitlines()[0]}") from error
    location = str(getattr(getattr(info, "repo", info), "artifact_uri", ""))
    if not location or _parse_scheme(location) not in ("", "file", *_STORES):  # "http" of a server's proxy
        raise ModelError(
            f"{uri!r}: only MLflow's server can read these artifacts. Ship the model with shipping='files' "
            "or shipping='inline'"
        )
    return location


def _download_from_store(uri: str, home: Path, is_model: bool) -> Path:
    import pyarrow as pa
    from pyarrow import fs

    public_uri = redact_uri(uri)
    try:
        store, root = open_store(uri)
        if not is_model and store.get_file_info(root).type is fs.FileType.File:
            target = home / root.rpartition("/")[2]
            with store.open_input_stream(root) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
            return Path(target)
        if not root or (is_model and store.get_file_info(f"{root}/{MLMODEL}").type is not fs.FileType.File):
            if root and store.get_file_info(root).type is fs.FileType.Directory:
                raise build_missing_file_error(public_uri)
            raise ModelNotFoundError(f"there is no model directory at {public_uri!r}")
        entries = store.get_file_info(fs.FileSelector(root, recursive=True))
        names = [entry.path[len(root) + 1 :] for entry in entries if entry.type is fs.FileType.File]
        for name in names:
            if ".." in Path(name).parts or Path(name).is_absolute():
                raise ModelDamagedError(f"{public_uri}: the name {name!r} leads out of the model directory")
        target = home / (root.rpartition("/")[2] or "model")
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with store.open_input_stream(f"{root}/{name}") as source, (target / name).open("wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"cannot fetch {public_uri}: {format_store_error(error)}") from None
    return target


def open_store(uri: str) -> tuple[Any, str]:
    """Return the pyarrow file system of a URI, and the path in it."""
    from pyarrow import fs

    scheme = _parse_scheme(uri)
    if scheme not in _STORES:
        schemes = ", ".join(f"{name}:/" for name in ("file", *_STORES))
        raise UnsupportedError(f"cannot read tables from {scheme}: URIs. Pass a path, or one of {schemes}")
    uri = _ALIASES.get(scheme, scheme) + uri[len(scheme) :]
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in uri:
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={_RETRY_SECONDS}"
    store, root = fs.FileSystem.from_uri(uri)
    return store, root.rstrip("/")


def format_store_error(error: BaseException) -> str:
    """Format an error of an object store in one line, without credentials."""
    reason = redact_uri(str(error).partition("\n")[0])
    hint = " (pyarrow needs JAVA_HOME, HADOOP_HOME and CLASSPATH)"
    return reason + (hint if "libjvm" in reason or "hdfs" in reason else "")
