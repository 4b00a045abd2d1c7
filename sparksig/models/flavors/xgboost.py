"""XGBoost in its own format (UBJSON), which holds no code."""

from __future__ import annotations

import importlib.util
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    ForMlflow,
    Loading,
    Predictor,
    Saving,
    bound_method,
    method_of,
    opened_by_mlflow,
    saved_method,
    with_params,
)
from sparksig.models.flavors.ubjson import is_whole

__all__ = ["check", "load", "matches", "opens_files", "predictor", "requirements", "save", "takes"]

_LOADER = "mlflow.xgboost"
_FILE = "model.ubj"
_BOOSTER = "xgboost.core.Booster"
_MODULES = ("xgboost", "xgboost.core", "xgboost.sklearn")


def matches(directory: ModelDirectory) -> bool:
    """Whether it is an XGBoost model, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") in (_LOADER, __name__)


def opens_files(directory: ModelDirectory) -> bool:
    """Never."""
    del directory
    return False


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible.

    Raises:
        ModelDamagedError: the model's file is missing.
        UnsupportedError: a class that is none of XGBoost's own, or an unknown method.
        MissingDependencyError: XGBoost is not installed.
    """
    method_of(directory, loading)
    _class_name(directory)
    _parameters(directory)
    directory.member(_config(directory).get("data"))
    if importlib.util.find_spec("xgboost") is None:
        raise MissingDependencyError.naming("xgboost", "an XGBoost model", "xgboost")


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The model's method as ``f(model_input, params)``; it takes the params that the method takes.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelError: the model has no such method.
    """
    import xgboost

    file, name = directory.member(_config(directory).get("data")), _class_name(directory)
    cls: Any = getattr(xgboost, name, None)
    if not (isinstance(cls, type) and issubclass(cls, (xgboost.Booster, xgboost.XGBModel))):
        raise UnsupportedError(f"{directory.path}: the model's class {name!r} is none of XGBoost's own")
    parameters: Any = {} if cls is xgboost.Booster else _parameters(directory)
    model = cls(**parameters)
    try:
        with directory.open(file) as stream:
            content = bytearray(stream.read())
        if not _is_complete(bytes(content)):  # which may end XGBoost's process
            raise ModelDamagedError(f"{file} is no XGBoost model: it is not whole")
        model.load_model(content)
    except (ModelError, ImportError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelDamagedError(f"{file} is no XGBoost model: {type(error).__name__}: {reason}") from error
    return predictor(model, method_of(directory, loading))


def _is_complete(content: bytes) -> bool:
    if content[:2] == b'{"':
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return False
        return True
    return content[:1] != b"{" or is_whole(content) if content else False


def predictor(model: Any, method: str) -> Predictor:
    """A model's method as ``f(model_input, params)``."""
    import xgboost

    feed = xgboost.DMatrix if isinstance(model, xgboost.Booster) else None
    return with_params(bound_method(model, method), f"XGBoost's {method}", feed)


def _config(directory: ModelDirectory) -> Mapping[str, Any]:
    return directory.flavor("xgboost") or {}


def _class_name(directory: ModelDirectory) -> str:
    module, _, name = str(_config(directory).get("model_class", _BOOSTER)).rpartition(".")
    if module not in _MODULES:
        raise UnsupportedError(
            f"{directory.path}: the model's class {f'{module}.{name}'!r} is none of XGBoost's own"
        )
    return name


def _parameters(directory: ModelDirectory) -> dict[str, float]:
    """What predictions depend on, and XGBoost's format does not keep."""
    held = _config(directory).get("sparksig_missing")
    if held is None:
        return {}
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        raise ModelDamagedError(f"{directory.path}: sparksig_missing is a number")
    return {"missing": held}


def takes(model: object) -> bool:
    """Whether it is a Booster, or an estimator, of XGBoost's own."""
    return type(model).__module__ in _MODULES and hasattr(model, "save_model")


def save(model: Any, home: Path, saving: Saving) -> dict[str, Any]:
    """Write the model's file; the entries for MLmodel's flavors.

    Raises:
        ModelError: the model is not fitted, or has no such method.
        UnsupportedError: an objective of the user's own, which the format does not keep.
    """
    import xgboost

    saved_method(model, saving.method)
    is_booster = isinstance(model, xgboost.Booster)
    if not is_booster and callable(model.objective):
        raise UnsupportedError(
            "XGBoost's format does not keep an objective that is a function: save the model's get_booster()"
        )
    if "c" in (_feature_types(model) or ()):
        raise UnsupportedError(
            "the model was trained on columns of categories, which no signature holds: encode them, in a "
            "pipeline of scikit-learn or a PythonModel"
        )
    try:
        model.save_model(home / _FILE)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"XGBoost cannot save the model: {type(error).__name__}: {reason}") from error
    known = None if is_booster else model.missing
    missing = None if known is None or known != known else float(known)
    entry: dict[str, Any] = {
        "code": None,
        "data": _FILE,
        "model_class": f"{type(model).__module__}.{type(model).__name__}",
        "model_format": "ubj",
        "xgb_version": xgboost.__version__,
    }
    if missing is not None:
        entry["sparksig_missing"] = missing
    plain = missing is None and saving.method == "predict"
    return {
        "python_function": {
            "data": _FILE,
            "loader_module": _LOADER if plain else __name__,
            "predict_fn": saving.method,
            "python_version": platform.python_version(),
        },
        "xgboost": entry,
    }


def _feature_types(model: Any) -> Any:
    try:
        return (model.get_booster() if hasattr(model, "get_booster") else model).feature_types
    except Exception:  # not fitted, which saving tells
        return None


def requirements(directory: ModelDirectory) -> list[str]:
    """The packages that loading needs, beside sparksig."""
    cls = str(_config(directory).get("model_class", _BOOSTER))
    return ["xgboost", *([] if cls.startswith("xgboost.core.") else ["scikit-learn"])]


def _load_pyfunc(path: str) -> ForMlflow:
    """MLflow's entry, for what its own loader does not do."""
    directory, trust = opened_by_mlflow(path, "xgboost")
    loading = Loading(trust)
    check(directory, loading)
    return ForMlflow(load(directory, loading), method_of(directory, loading))
