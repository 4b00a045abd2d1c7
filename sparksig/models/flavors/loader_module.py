"""Models with any other loader module: a function ``_load_pyfunc`` in the model's code, or in MLflow.

Loading such a model executes that function.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError, UnsupportedError, name_type
from sparksig.models.directory import ModelDirectory, copy_into
from sparksig.models.flavors.interface import Flavor, LoadOptions, Predictor, SaveOptions, create_pyfunc_entry
from sparksig.models.registry import require_mlflow
from sparksig.models.versions import format_install_command

_DATA = "data"


class LoaderModule:
    """A model that consists of a loader module and its data, for :func:`sparksig.save_model`."""


class _LoaderModuleFlavor(Flavor):
    name = "loader_module"
    methods = ("predict",)

    def matches(self, directory: ModelDirectory) -> bool:
        """Return True, because this format accepts any loader module."""
        name = directory.pyfunc.get("loader_module")
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ModelDamagedError(
                f"{directory.path}: loader_module: expected the name of a module, got {name!r}"[:300]
            )
        return True

    def opens_files(self, directory: ModelDirectory) -> bool:
        """Return True, because the loader receives a path."""
        del directory
        return True

    def select_method(self, directory: ModelDirectory, loading: LoadOptions) -> str:
        """Return the method of the loaded object that MLmodel names; the caller cannot choose another."""
        if loading.method is not None:
            name = directory.pyfunc["loader_module"]
            raise UnsupportedError(
                f"{directory.path}: a model with the loader module {name!r} has a single method. Remove "
                "method="
            )
        return str(directory.pyfunc.get("predict_fn") or "predict")

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        name = directory.pyfunc["loader_module"]
        loading.trust.require_code(directory, f"a model with the loader module {name!r}")
        for key in ("data", "config"):
            value = directory.pyfunc.get(key)
            if value and not (key == "config" and isinstance(value, Mapping)):
                directory.resolve_member(value)
        _check_code_path(directory)
        if name.partition(".")[0] == "mlflow":
            require_mlflow(f"a model with MLflow's loader {name!r}")

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        name = directory.pyfunc["loader_module"]
        load_pyfunc = getattr(_import_loader(directory, name), "_load_pyfunc", None)
        if load_pyfunc is None:
            raise ModelError(f"{directory.path}: the loader module {name!r} has no function _load_pyfunc")
        data = directory.pyfunc.get("data")
        path = str(directory.resolve_member(data) if data else directory.path)
        saved_config = directory.pyfunc.get("config") or {}
        config, method = loading.model_config, self.select_method(directory, loading)
        if isinstance(saved_config, Mapping):
            config = {**saved_config, **(config or {})}
        if not config:
            return _get_predictor(directory, load_pyfunc(path), method)
        if not _accepts_config(load_pyfunc):
            raise ModelError(
                f"{directory.path}: the loader module {name!r} does not accept a configuration: the only "
                "argument of its _load_pyfunc is a path. Remove model_config="
            )
        return _get_predictor(directory, load_pyfunc(path, config), method)

    def accepts(self, model: object) -> bool:
        return isinstance(model, LoaderModule)

    def save(self, model: object, home: Path, saving: SaveOptions) -> dict[str, Any]:
        del model
        entries: dict[str, Any] = {}
        if saving.data_path is not None:
            entries["data"] = copy_into(saving.data_path, home / _DATA).relative_to(home).as_posix()
        if saving.model_config is not None:
            entries["config"] = dict(saving.model_config)
        return {"python_function": create_pyfunc_entry(saving.loader_module, **entries)}

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        """Return an empty list: the requirements of a loader module are not known."""
        del directory
        return []


def _check_code_path(directory: ModelDirectory) -> None:
    code = directory.pyfunc.get("model_code_path")
    if not code:
        return
    # the path of the file when it was saved, if absolute; MLflow uses only its name
    is_absolute = isinstance(code, str) and os.path.isabs(code)
    directory.resolve_member(os.path.basename(code) if is_absolute else code)
    if isinstance(code, str) and not code.endswith((".py", ".ipynb")):
        raise ModelDamagedError(
            f"{directory.path}: model_code_path: expected a file of Python code, got {code[:80]!r}"
        )


def _import_loader(directory: ModelDirectory, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the loader module imports a missing library
        text = (
            f"{directory.path}: there is no loader module {name!r}, neither in the installed packages nor in "
            "the model's code"
        )
        if error.name != name.partition(".")[0]:
            raise ModelError(text) from error
        raise MissingDependencyError(f"{text}: {format_install_command(directory, error.name)}") from error


def _accepts_config(load_pyfunc: Any) -> bool:
    try:
        inspect.signature(load_pyfunc).bind("path", {})
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _get_predictor(directory: ModelDirectory, loaded: Any, name: str) -> Predictor:
    method = getattr(loaded, name, None)
    if not callable(method):
        raise ModelError(
            f"{directory.path}: the loader module returned {name_type(loaded)}, which has no method {name!r}"
        )
    accepts_params = "params" in inspect.signature(method).parameters

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        if not accepts_params:
            return method(model_input)
        return method(model_input, params=None if params is None else dict(params))

    return predict


FLAVOR = _LoaderModuleFlavor()
