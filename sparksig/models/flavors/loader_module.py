"""Whatever else has a loader module: a function ``_load_pyfunc`` in code that comes with the model, or in
MLflow.

Loading executes that code.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    UnsupportedError,
    kind,
)
from sparksig.models.directory import ModelDirectory, copy_into
from sparksig.models.environment import install_command
from sparksig.models.flavors.interface import Loading, Predictor, Saving

__all__ = [
    "LoaderModule",
    "check",
    "load",
    "matches",
    "opens_files",
    "predictor",
    "requirements",
    "save",
    "takes",
]

_DATA = "data"


class LoaderModule:
    """A model that is nothing but a loader module and its data; :func:`sparksig.save_model` makes it."""


def matches(directory: ModelDirectory) -> bool:
    """Whether it has a loader module at all.

    Raises:
        ModelDamagedError: it has none, or one that is no name.
    """
    name = directory.pyfunc.get("loader_module")
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ModelDamagedError(
            f"{directory.path}: the flavor 'python_function' names no loader_module: {name!r}"[:300]
        )
    return True


def opens_files(directory: ModelDirectory) -> bool:
    """Always: the loader is given a path."""
    del directory
    return True


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible and allowed.

    Raises:
        ModelNotTrustedError: the caller did not allow code to run.
        ModelDamagedError: the data are not there.
        UnsupportedError: a method is asked for.
        MissingDependencyError: MLflow's loader without MLflow.
    """
    name = directory.pyfunc["loader_module"]
    loading.trust.require_code(directory, f"a model by the loader module {name!r}")
    if loading.method is not None:
        raise UnsupportedError(
            f"{directory.path}: a model by the loader module {name!r} has no choice of methods"
        )
    for key in ("data", "config"):
        held = directory.pyfunc.get(key)
        if held and not (key == "config" and isinstance(held, Mapping)):
            directory.member(held)
    if code := directory.pyfunc.get("model_code_path"):  # of which MLflow takes the name alone
        absolute = isinstance(code, str) and os.path.isabs(code)  # where it was when it was saved
        directory.member(os.path.basename(code) if absolute else code)
        if isinstance(code, str) and not code.endswith((".py", ".ipynb")):
            raise ModelDamagedError(
                f"{directory.path}: model_code_path is no file of Python code: {code[:80]!r}"
            )
    if name.partition(".")[0] == "mlflow" and importlib.util.find_spec("mlflow") is None:
        raise MissingDependencyError.naming("mlflow", f"a model by MLflow's loader {name!r}", "mlflow")


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """What the loader module loads, as ``f(model_input, params)``.

    Raises:
        MissingDependencyError: there is no such module.
        ModelError: it has no ``_load_pyfunc``, or what that gives cannot predict.
    """
    name = directory.pyfunc["loader_module"]
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a library that the loader module imports
        text = (
            f"{directory.path}: there is no loader module {name!r}: neither among the installed packages nor "
            "in the model's code"
        )
        if error.name != name.partition(".")[0]:
            raise ModelError(text) from error
        raise MissingDependencyError(f"{text}: {install_command(directory, error.name)}") from error
    entry = getattr(module, "_load_pyfunc", None)
    if entry is None:
        raise ModelError(f"{directory.path}: the loader module {name!r} has no function _load_pyfunc")
    data = directory.pyfunc.get("data")
    place = directory.member(data) if data else directory.path
    saved = directory.pyfunc.get("config") or {}
    config = {**saved, **(loading.model_config or {})} if isinstance(saved, Mapping) else loading.model_config
    if config and not _takes_two(entry):
        raise ModelError(
            f"{directory.path}: the loader module {name!r} takes no configuration: its _load_pyfunc "
            "has a path alone"
        )
    return _predictor(directory, entry(str(place), config) if config else entry(str(place)))


def _takes_two(entry: Any) -> bool:
    try:
        inspect.signature(entry).bind("path", {})
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say
        return True
    return True


def _predictor(directory: ModelDirectory, loaded: Any) -> Predictor:
    name = str(directory.pyfunc.get("predict_fn") or "predict")
    method = getattr(loaded, name, None)
    if not callable(method):
        raise ModelError(
            f"{directory.path}: the loader module gives {kind(loaded)}, which has no method {name!r}"
        )
    known = inspect.signature(method).parameters
    takes_params = "params" in known

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        given = None if params is None else dict(params)
        return method(model_input, params=given) if takes_params else method(model_input)

    return predict


def takes(model: object) -> bool:
    """Whether it stands for a loader module."""
    return isinstance(model, LoaderModule)


def predictor(model: object, method: str, inputs: object = None) -> Predictor | None:
    """None: there is nothing in memory."""
    del model, method, inputs
    return None


def save(model: object, home: Path, saving: Saving) -> dict[str, Any]:
    """Copy the data; the entries for MLmodel's flavors.

    Raises:
        ModelError: the data are not there.
    """
    del model
    if saving.method != "predict":
        raise ModelError(f"a model by a loader module is asked to predict, not to {saving.method!r}")
    entry: dict[str, Any] = {
        "loader_module": saving.loader_module,
        "python_version": platform.python_version(),
    }
    if saving.data_path is not None:
        entry["data"] = copy_into(saving.data_path, home / _DATA).relative_to(home).as_posix()
    if saving.model_config is not None:
        entry["config"] = dict(saving.model_config)
    return {"python_function": entry}


def requirements(directory: ModelDirectory) -> list[str]:
    """None that are known."""
    del directory
    return []
