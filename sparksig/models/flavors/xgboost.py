"""XGBoost in its own format (UBJSON), which holds no code."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError, UnsupportedError, step
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.categories import (
    has_other_columns,
    is_number,
    refuse_columns,
    restore_categories,
)
from sparksig.models.flavors.interface import (
    FeaturePredictor,
    ForMlflow,
    Loading,
    Predictor,
    Saving,
    bound_method,
    feature_names,
    method_of,
    opened_by_mlflow,
    saved_method,
    with_params,
)
from sparksig.models.flavors.ubjson import is_whole
from sparksig.schema import ColSpec, Schema

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
        UnsupportedError: a class that is none of XGBoost's own, an unknown method, or columns that the model
            does not accept.
        MissingDependencyError: XGBoost is not installed.
    """
    method_of(directory, loading)
    _class_name(directory)
    _parameters(directory)
    directory.member(_config(directory).get("data"))
    if importlib.util.find_spec("xgboost") is None:
        raise MissingDependencyError.naming("xgboost", "an XGBoost model", "xgboost")
    inputs = None if directory.signature is None else directory.signature.inputs
    if has_other_columns(inputs):  # whose categories the file may have
        load(directory, loading)


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The model's method as ``f(model_input, params)``; it takes the params that the method takes.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelError: the model has no such method.
        UnsupportedError: the signature declares columns that the model does not accept, and whose categories
            it does not keep; all of them.
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
    inputs = None if directory.signature is None else directory.signature.inputs
    version = str(_config(directory).get("xgb_version") or "")
    return predictor(model, method_of(directory, loading), inputs, version)


def _is_complete(content: bytes) -> bool:
    if content[:2] == b'{"':
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return False
        return True
    return content[:1] != b"{" or is_whole(content) if content else False


def predictor(model: Any, method: str, inputs: Schema | None = None, version: str = "") -> Predictor:
    """A model's method as ``f(model_input, params)``.

    Args:
        model: a Booster or an estimator.
        method: the name of the method.
        inputs: what the signature declares.
        version: of the XGBoost that saved the model; empty for the installed one.

    Raises:
        UnsupportedError: columns of the inputs that the model does not accept.
    """
    import xgboost

    is_booster = isinstance(model, xgboost.Booster)
    booster = model if is_booster else _booster_of(model)
    names = feature_names(booster, "feature_names")
    categories = _categories(booster)
    if inputs is not None and not inputs.is_tensor_spec():
        _refuse_columns(booster, inputs, names, categories, version or xgboost.__version__)

    def prepare(model_input: Any) -> Any:
        restored = restore_categories(model_input, categories)
        return xgboost.DMatrix(restored, enable_categorical=bool(categories)) if is_booster else restored

    function = bound_method(model, method)
    return FeaturePredictor(with_params(function, f"XGBoost's {method}", prepare), names)


def _booster_of(model: Any) -> Any:
    """The trees of an estimator; None if it is not fitted."""
    try:
        return model.get_booster()
    except Exception:  # NotFittedError, which saving reports
        return None


def _categories(booster: Any) -> dict[Any, pd.CategoricalDtype]:
    """The categories of the features that were trained on pandas categories: kept from XGBoost 3.1 on."""
    if "c" not in (getattr(booster, "feature_types", None) or ()) or not hasattr(booster, "get_categories"):
        return {}
    kept = booster.get_categories(export_to_arrow=True).to_arrow()
    return {
        name: pd.CategoricalDtype(pd.Index(values.to_numpy(zero_copy_only=False)))
        for name, values in kept
        if values is not None
    }


def _refuse_columns(
    booster: Any,
    inputs: Schema,
    names: tuple[str, ...] | None,
    categories: Mapping[Any, object],
    version: str,
) -> None:
    """Refuse columns that are no numbers, and those whose categories are not kept.

    Raises:
        UnsupportedError: there are such columns; all of them.
    """
    named = inputs.has_input_names()
    labels = inputs.input_names() if named or names is None else list(names)
    specs: list[tuple[object, ColSpec]] = list(zip(labels, inputs))
    lost = _lost_categories(booster, version)
    refused = [
        (label, spec)
        for label, spec in specs
        if label not in categories and (not is_number(spec.type) or label in lost)
    ]
    refuse_columns(refused, "XGBoost (before 3.1 it keeps no categories)" if lost else "XGBoost")


def _lost_categories(booster: Any, version: str) -> list[str]:
    """The features that were trained on categories, where the booster cannot say which.

    From XGBoost 3.1 on, a feature without kept categories was trained on codes. A feature without a name was
    trained on codes by every version.
    """
    numbers = re.findall(r"\d+", version)[:2]
    if booster is None or tuple(map(int, numbers)) >= (3, 1):
        return []
    types, names = booster.feature_types or (), booster.feature_names or ()
    return [name for name, kind_of in zip(names, types) if kind_of == "c"]


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
    if lost := _lost_categories(model if is_booster else _booster_of(model), xgboost.__version__):
        raise UnsupportedError(
            f"XGBoost {xgboost.__version__} does not keep the categories of the columns "
            f"{', '.join(map(step, lost))}: train the model with XGBoost 3.1 or newer, or encode the columns "
            "in a Pipeline of scikit-learn or a PythonModel"
        )
    predictor(model, saving.method, None if saving.signature is None else saving.signature.inputs)
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
    plain = plain and not _categories(model if is_booster else _booster_of(model))  # not restored by MLflow
    return {
        "python_function": {
            "data": _FILE,
            "loader_module": _LOADER if plain else __name__,
            "predict_fn": saving.method,
            "python_version": platform.python_version(),
        },
        "xgboost": entry,
    }


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
