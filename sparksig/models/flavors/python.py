"""Models written in Python: pickled by cloudpickle, or from code. Loading them executes what they hold.

MLflow loads the directories written here through :func:`_load_pyfunc`, its interface for foreign
loader modules.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import os
import platform
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    SparksigError,
    UnsupportedError,
    kind,
)
from sparksig.models.directory import ModelDirectory, copy_into
from sparksig.models.flavors.interface import (
    ForMlflow,
    Loading,
    Predictor,
    Saving,
    method_of,
    opened_by_mlflow,
    saved_method,
)
from sparksig.models.mlflow_pickles import unpickle
from sparksig.models.model_code import run_model_code
from sparksig.models.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    as_callable_model,
    as_python_model,
    bind_predict,
    is_mlflow_model,
)
from sparksig.models.safe_yaml import load_yaml

__all__ = ["check", "load", "matches", "opens_files", "predictor", "requirements", "save", "takes"]

_LOADERS = ("mlflow.pyfunc.model", __name__)
_FILE = "python_model.pkl"
_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "lzma": lzma.open,
}


def matches(directory: ModelDirectory) -> bool:
    """Return whether it is a PythonModel: pickled here or by MLflow, or saved from code here."""
    loader = directory.pyfunc.get("loader_module")
    return loader == __name__ or (loader in _LOADERS and not _has_code(directory))


def _has_code(directory: ModelDirectory) -> bool:
    return bool(directory.pyfunc.get("model_code_path"))


def opens_files(directory: ModelDirectory) -> bool:
    """Whether it has artifacts."""
    return bool(directory.pyfunc.get("artifacts"))


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible and allowed.

    Raises:
        ModelNotTrustedError: the caller did not allow code to run.
        ModelDamagedError: the pickle, or an artifact, is not there.
        UnsupportedError: an unknown compression, or another method than predict.
        MissingDependencyError: cloudpickle is not installed.
    """
    what = "a model from code" if _has_code(directory) else "a pickled PythonModel"
    loading.trust.require_code(directory, what)
    method_of(directory, loading, ("predict",))
    _artifacts(directory)
    _config(directory, loading.model_config)
    if _has_code(directory):
        _code_file(directory)
        return
    _compression(directory)
    directory.member(directory.pyfunc.get("python_model"))
    if importlib.util.find_spec("cloudpickle") is None:
        raise MissingDependencyError.naming("cloudpickle", "a pickled PythonModel", "python-model")


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The model's ``predict`` as ``f(model_input, params)``.

    Raises:
        ModelDamagedError: the pickle cannot be read.
        ModelError: the code of the model fails, or sets no model.
    """
    config = _config(directory, loading.model_config)
    context = PythonModelContext(_artifacts(directory), config)
    file = _code_file(directory) if _has_code(directory) else _pickle_file(directory)
    model = _run(directory, file, config) if _has_code(directory) else _unpickle(directory, file)
    if isinstance(model, type) or not all(
        callable(getattr(model, name, None)) for name in ("load_context", "predict")
    ):
        raise ModelDamagedError(f"{file} holds {kind(model)}, which is no PythonModel")
    model.load_context(context)
    return bind_predict(model.predict, context)


def _pickle_file(directory: ModelDirectory) -> Path:
    return directory.member(directory.pyfunc.get("python_model"))


def _code_file(directory: ModelDirectory) -> Path:
    file = directory.member(directory.pyfunc["model_code_path"])
    if file.suffix != ".py" or not file.is_file():
        raise ModelDamagedError(f"{directory.path}: model_code_path is not a Python file: {file.name!r}")
    return file


def _run(directory: ModelDirectory, file: Path, config: Mapping[str, Any]) -> Any:
    with directory.open(file) as stream:
        source = stream.read()
    try:
        return as_callable_model(as_python_model(run_model_code(source, file, config)))
    except (SparksigError, ImportError):
        raise
    except Exception as error:
        raise ModelError(
            f"{file}: the code of the model fails: {type(error).__name__} (see above)"
        ) from error


def _unpickle(directory: ModelDirectory, file: Path) -> Any:
    compression = _compression(directory)
    try:
        with directory.open(file) as stream:
            if compression is None:
                return unpickle(stream)
            with _OPENERS[compression](stream) as plain:
                content = plain.read()  # to its end, where the checksum stands
            return unpickle(io.BytesIO(content))
    except (ModelError, ImportError):
        raise
    except Exception as error:
        raise ModelDamagedError(f"{file} cannot be unpickled: {type(error).__name__}: {error}") from error


def _compression(directory: ModelDirectory) -> str | None:
    name = directory.pyfunc.get("python_model_compression")
    if name is not None and (not isinstance(name, str) or name not in _OPENERS):
        raise UnsupportedError(
            f"{directory.path}: a pickle compressed by {name!r} is unknown (known: {', '.join(_OPENERS)})"
        )
    return None if name is None else str(name)


def _artifacts(directory: ModelDirectory) -> dict[str, str]:
    declared = directory.pyfunc.get("artifacts") or {}
    if not isinstance(declared, dict) or not all(isinstance(entry, dict) for entry in declared.values()):
        raise ModelDamagedError(f"{directory.path}: artifacts are a mapping of names to entries with a path")
    return {str(name): str(directory.member(entry.get("path"))) for name, entry in declared.items()}


def _config(directory: ModelDirectory, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    saved = directory.pyfunc.get("config")
    if isinstance(saved, str):  # a file of YAML
        try:
            with directory.open(directory.member(saved)) as stream:
                saved = load_yaml(stream.read())
        except ValueError as error:
            raise ModelDamagedError(f"{directory.path}: the model's config: {error}") from None
    if saved is not None and not isinstance(saved, Mapping):
        raise ModelDamagedError(f"{directory.path}: the model's config is {kind(saved)}, not a mapping")
    return {**(saved or {}), **(given or {})}


def takes(model: object) -> bool:
    """Return whether a model is a PythonModel, here or in MLflow, or a function."""
    return isinstance(model, (PythonModel, FunctionModel)) or is_mlflow_model(model)


def predictor(model: object, method: str, inputs: object = None) -> Predictor | None:
    """None: what it predicts depends on its context, and may be random."""
    del model, method, inputs
    return None


def save(model: Any, home: Path, saving: Saving) -> dict[str, Any]:
    """Write the pickle, or the code, and the artifacts; the entries for MLmodel's flavors.

    Raises:
        MissingDependencyError: cloudpickle is not installed.
        ModelError: an artifact is not there.
    """
    saved_method(model, saving.method, ("predict",))
    entry: dict[str, Any] = {
        # a model of MLflow needs nothing of sparksig to be loaded
        "loader_module": _LOADERS[0] if is_mlflow_model(model) else __name__,
        "python_version": platform.python_version(),
    }
    if saving.model_code is not None:
        entry["model_code_path"] = copy_into(saving.model_code, home).name
    else:
        entry |= _pickled(model, home)
    if saving.artifacts:
        entry["artifacts"] = {
            name: {"path": _copied(path, home, index), "uri": os.fspath(path)}
            for index, (name, path) in enumerate(saving.artifacts.items())
        }
    if saving.model_config is not None:
        entry["config"] = dict(saving.model_config)
    return {"python_function": entry}


def _pickled(model: Any, home: Path) -> dict[str, Any]:
    """Write the pickle; the entries for it."""
    if importlib.util.find_spec("cloudpickle") is None:
        raise MissingDependencyError.naming("cloudpickle", "saving a PythonModel", "python-model")
    import cloudpickle

    with (home / _FILE).open("wb") as stream:
        cloudpickle.dump(model, stream)
    return {"python_model": _FILE, "cloudpickle_version": cloudpickle.__version__}


def _copied(path: Path, home: Path, index: int) -> str:
    folder = home / "artifacts"
    if (folder / path.resolve().name).exists():  # of two artifacts with one name the second goes deeper
        folder = next(one for n in count(index) if not (one := folder / str(n)).exists())
    return copy_into(path, folder).relative_to(home).as_posix()


def requirements(directory: ModelDirectory) -> list[str]:
    """The packages that loading needs, beside sparksig."""
    return [] if _has_code(directory) else ["cloudpickle"]


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> ForMlflow:
    """MLflow's entry; it has merged the configurations."""
    directory, trust = opened_by_mlflow(path, "python_function")
    loading = Loading(trust, model_config=model_config)
    check(directory, loading)
    return ForMlflow(load(directory, loading))
