"""Models written in Python, kept by cloudpickle. Loading them executes what they hold.

MLflow loads the directories written here through :func:`_load_pyfunc`, its interface for foreign
loader modules.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import MissingDependencyError, ModelDamagedError, UnsupportedError, kind
from sparksig.models.directory import ModelDirectory
from sparksig.models.python_model import PythonModel, PythonModelContext, bind_predict
from sparksig.models.trust import Trust

__all__ = ["check", "load", "matches", "requirements", "save", "takes"]

_LOADERS = ("mlflow.pyfunc.model", __name__)
_FILE = "python_model.pkl"
_NOT_YET = {
    "model_code_path": "a model kept as code",
    "code": "code paths",
    "python_model_compression": "a compressed pickle",
}


def matches(directory: ModelDirectory) -> bool:
    """Whether it is a PythonModel, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") in _LOADERS


def check(directory: ModelDirectory, trust: Trust) -> None:
    """See that loading is possible and allowed.

    Raises:
        ModelNotTrustedError: the caller did not allow code to run.
        ModelDamagedError: the pickle is not there.
        UnsupportedError: MLflow's other ways to keep a PythonModel.
        MissingDependencyError: cloudpickle, or MLflow for a model that was written with it.
    """
    config = directory.pyfunc
    beyond = [what for key, what in _NOT_YET.items() if config.get(key)]
    if beyond:
        raise UnsupportedError(f"{directory.path}: {' and '.join(beyond)} cannot be loaded yet")
    trust.require_code(directory, "a pickled PythonModel")
    directory.member(config.get("python_model"))
    if importlib.util.find_spec("cloudpickle") is None:
        raise MissingDependencyError.naming("cloudpickle", "a pickled PythonModel", "python-model")
    if config["loader_module"] != __name__ and importlib.util.find_spec("mlflow") is None:
        raise MissingDependencyError.naming(
            "mlflow", "a PythonModel written with MLflow's base class", "mlflow"
        )


def load(directory: ModelDirectory, trust: Trust) -> Callable[[Any, Mapping[str, Any] | None], Any]:
    """The model's ``predict`` as ``f(model_input, params)``.

    Raises:
        ModelDamagedError: the pickle cannot be read.
        ModelNotTrustedError, UnsupportedError, MissingDependencyError: as :func:`check`.
    """
    check(directory, trust)
    return _load(directory, directory.pyfunc.get("config"))


def _load(directory: ModelDirectory, model_config: Mapping[str, Any] | None) -> Callable[..., Any]:
    import cloudpickle

    file = directory.member(directory.pyfunc.get("python_model"))
    context = PythonModelContext(_artifacts(directory), _config(directory, model_config))
    try:
        with file.open("rb") as stream:
            model = cloudpickle.load(stream)
    except Exception as error:
        raise ModelDamagedError(f"{file} cannot be unpickled: {type(error).__name__}: {error}") from error
    if isinstance(model, type) or not all(
        callable(getattr(model, name, None)) for name in ("load_context", "predict")
    ):
        raise ModelDamagedError(f"{file} holds {kind(model)}, which is no PythonModel")
    model.load_context(context)
    return bind_predict(model.predict, context)


def _artifacts(directory: ModelDirectory) -> dict[str, str]:
    declared = directory.pyfunc.get("artifacts") or {}
    if not isinstance(declared, dict) or not all(isinstance(entry, dict) for entry in declared.values()):
        raise ModelDamagedError(f"{directory.path}: artifacts are a mapping of names to entries with a path")
    return {str(name): str(directory.member(entry.get("path"))) for name, entry in declared.items()}


def _config(directory: ModelDirectory, model_config: object) -> Mapping[str, Any]:
    if model_config is None:
        return {}
    if not isinstance(model_config, Mapping):
        raise ModelDamagedError(
            f"{directory.path}: the model's config is {kind(model_config)}, not a mapping"
        )
    return model_config


def takes(model: object) -> bool:
    """Whether it is a PythonModel."""
    return isinstance(model, PythonModel)


def save(model: PythonModel, directory: Path, trusted_types: tuple[str, ...]) -> dict[str, Any]:
    """Write the pickle; the entries for MLmodel's flavors.

    Raises:
        MissingDependencyError: cloudpickle is not installed.
    """
    del trusted_types  # a pickle knows no types
    if importlib.util.find_spec("cloudpickle") is None:
        raise MissingDependencyError.naming("cloudpickle", "saving a PythonModel", "python-model")
    import cloudpickle

    with (directory / _FILE).open("wb") as stream:
        cloudpickle.dump(model, stream)
    return {
        "python_function": {
            "loader_module": __name__,
            "python_model": _FILE,
            "cloudpickle_version": cloudpickle.__version__,
            "python_version": platform.python_version(),
        }
    }


def requirements() -> list[str]:
    """The packages that loading needs, beside sparksig."""
    return ["cloudpickle"]


class _Loaded:
    """What MLflow expects of a loader module: an object with ``predict(model_input, params=None)``."""

    def __init__(self, predictor: Callable[..., Any]) -> None:
        self._predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The raw prediction; MLflow has enforced input and params."""
        return self._predictor(model_input, params)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> _Loaded:
    """MLflow's entry. Whoever calls MLflow's load_model trusts by MLflow's rules, its switch included."""
    allowed = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() in ("true", "1")
    directory = ModelDirectory.read(path)
    check(directory, Trust(allow_pickle=allowed))
    return _Loaded(_load(directory, model_config or directory.pyfunc.get("config")))
