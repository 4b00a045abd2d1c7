"""LightGBM in its own text format, which holds no code.

The format keeps the trees. What an LGBMClassifier knows beside, its classes, stands in MLmodel; models that
MLflow wrote from LightGBM's estimators are pickles or skops files, and are judged as those are.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    METHODS,
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
from sparksig.models.flavors.sklearn import check_object, read_object

__all__ = ["check", "load", "matches", "opens_files", "predictor", "requirements", "save", "takes"]

_LOADER = "mlflow.lightgbm"
_FILE = "model.lgb"
_BOOSTER = "lightgbm.basic.Booster"
_LAST = "\nend of parameters\n"
_MODULES = ("lightgbm.basic", "lightgbm.sklearn")


def matches(directory: ModelDirectory) -> bool:
    """Whether it is a LightGBM model, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") in (_LOADER, __name__)


def opens_files(directory: ModelDirectory) -> bool:
    """Never."""
    del directory
    return False


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible and allowed.

    Raises:
        ModelNotTrustedError: an estimator's pickle without leave, or types beyond the trusted ones.
        ModelDamagedError: the model's file is missing.
        UnsupportedError: an unknown method.
        MissingDependencyError: LightGBM is not installed.
    """
    method_of(directory, loading)
    file = directory.member(_config(directory).get("data"))
    _classes(directory)
    _told(directory)
    if not _is_native(directory):
        check_object(directory, file, _form(directory), loading.trust)
    if importlib.util.find_spec("lightgbm") is None:
        raise MissingDependencyError.naming("lightgbm", "a LightGBM model", "lightgbm")


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The model's method as ``f(model_input, params)``; it takes the params that the method takes.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelError: the model has no such method.
    """
    import lightgbm

    file, method = directory.member(_config(directory).get("data")), method_of(directory, loading)
    if not _is_native(directory):
        return predictor(read_object(directory, file, _form(directory), loading.trust), method)
    try:
        with directory.open(file) as stream:
            text = stream.read().decode()
        if _LAST not in text:  # LightGBM ends the process where it is cut off
            raise ModelDamagedError(f"{file} is no LightGBM model: it is not whole")
        booster = lightgbm.Booster(model_str=text)
    except (ModelError, ImportError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelDamagedError(f"{file} is no LightGBM model: {type(error).__name__}: {reason}") from error
    classes = _classes(directory)
    told = _told(directory)
    if classes is None:
        return predictor(_Booster(booster, told) if told else booster, method)
    if booster.num_model_per_iteration() != (len(classes) if len(classes) > 2 else 1):
        raise ModelDamagedError(
            f"{directory.path}: the trees are of another number of classes than sparksig_classes"
        )
    return predictor(_Classifier(_Booster(booster, told), classes), method)


class _Booster:
    """A Booster that predicts with what its estimator was told of predicting."""

    def __init__(self, booster: Any, told: Mapping[str, Any]) -> None:
        self._booster, self._told = booster, told

    def predict(self, data: Any) -> Any:
        """What the trees say."""
        return self._booster.predict(data, **self._told)


class _Classifier:
    """A Booster that predicts as the LGBMClassifier whose trees it has."""

    def __init__(self, booster: Any, classes: np.ndarray[Any, Any]) -> None:
        self._booster, self._classes = booster, classes

    def predict_proba(self, data: Any) -> np.ndarray[Any, Any]:
        """The probability of each class, in the order of the classes."""
        found: np.ndarray[Any, Any] = self._booster.predict(data)
        return found if len(self._classes) > 2 else np.vstack((1.0 - found, found)).transpose()

    def predict(self, data: Any) -> np.ndarray[Any, Any]:
        """The most probable class."""
        chosen: np.ndarray[Any, Any] = self._classes[np.argmax(self.predict_proba(data), axis=1)]
        return chosen


def predictor(model: Any, method: str) -> Predictor:
    """A model's method as ``f(model_input, params)``."""
    return with_params(bound_method(model, method), f"LightGBM's {method}")


def _config(directory: ModelDirectory) -> Mapping[str, Any]:
    return directory.flavor("lightgbm") or {}


def _is_native(directory: ModelDirectory) -> bool:
    return str(_config(directory).get("model_class", _BOOSTER)) == _BOOSTER


def _form(directory: ModelDirectory) -> str:
    return str(_config(directory).get("serialization_format") or "cloudpickle")


def _classes(directory: ModelDirectory) -> np.ndarray[Any, Any] | None:
    held = _config(directory).get("sparksig_classes")
    if held is None:
        return None
    if not isinstance(held, Mapping) or not isinstance(held.get("values"), list) or len(held["values"]) < 2:
        raise ModelDamagedError(f"{directory.path}: sparksig_classes are two or more values with their dtype")
    try:
        dtype = np.dtype(str(held.get("dtype")))
        if dtype.itemsize > 40_000:
            raise ValueError("texts of more than 10,000 characters")
        classes = np.array(held["values"], dtype=dtype)
        if dtype.kind not in "biufUO" or classes.ndim != 1 or not _are_plain(classes):
            raise ValueError("classes are numbers or text")
        return classes
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelDamagedError(f"{directory.path}: sparksig_classes: {error}") from None


_TELLING = ("pred_early_stop", "pred_early_stop_freq", "pred_early_stop_margin", "start_iteration_predict",
    "num_iteration_predict")  # fmt: skip
"""What an estimator may be told of predicting, and LightGBM's format does not keep."""


def _told(directory: ModelDirectory) -> dict[str, Any]:
    held = _config(directory).get("sparksig_predict") or {}
    if not isinstance(held, Mapping) or not all(
        name in _TELLING and isinstance(value, (bool, int, float)) for name, value in held.items()
    ):
        raise ModelDamagedError(f"{directory.path}: sparksig_predict are numbers for {', '.join(_TELLING)}")
    return dict(held)


def _are_plain(classes: np.ndarray[Any, Any]) -> bool:
    return classes.dtype.kind != "O" or all(isinstance(one, str) for one in classes)


def takes(model: object) -> bool:
    """Whether it is a Booster, or an estimator, of LightGBM's own."""
    return type(model).__module__ in _MODULES


def save(model: Any, home: Path, saving: Saving) -> dict[str, Any]:
    """Write the model's file; the entries for MLmodel's flavors.

    Raises:
        ModelError: the model is not fitted, or has no such method.
        UnsupportedError: an objective of the user's own, or classes that are no numbers or text.
    """
    import lightgbm

    is_booster = isinstance(model, lightgbm.Booster)
    is_classifier = isinstance(model, lightgbm.LGBMClassifier)
    saved_method(model, saving.method, ("predict", "predict_proba") if is_classifier else METHODS)
    try:
        booster = model if is_booster else model.booster_
    except Exception as error:
        raise ModelError(f"LightGBM cannot save the model: {type(error).__name__}: {error}") from error
    if not is_booster and callable(model.objective):
        raise UnsupportedError(
            "LightGBM's format does not keep an objective that is a function: save the model's booster_"
        )
    if getattr(booster, "pandas_categorical", None):
        raise UnsupportedError(
            "the model was trained on columns of categories, which no signature holds: encode them, "
            "in a pipeline of "
            "scikit-learn or a PythonModel"
        )
    # as many trees as the model predicts with: up to its best iteration, where it has one
    (home / _FILE).write_text(booster.model_to_string(), encoding="utf-8")
    entry: dict[str, Any] = {
        "code": None,
        "data": _FILE,
        "lgb_version": lightgbm.__version__,
        "model_class": _BOOSTER,  # which is what MLflow loads
    }
    classes = model.classes_ if is_classifier else None
    if classes is not None:
        if len(classes) < 2:
            raise UnsupportedError(
                "a classifier of a single class is not saved: it has nothing to tell apart"
            )
        if classes.dtype.kind not in "biufUO" or not _are_plain(classes):
            raise UnsupportedError(f"classes of dtype {classes.dtype} are not kept: numbers and text are")
        entry["sparksig_classes"] = {"dtype": classes.dtype.str, "values": classes.tolist()}
    known = {} if is_booster else model.get_params()
    told = {name: known[name] for name in _TELLING if known.get(name) is not None}
    if told:
        entry["sparksig_predict"] = told
    plain = classes is None and not told and saving.method == "predict"
    return {
        "python_function": {
            "data": _FILE,
            "loader_module": _LOADER if plain else __name__,
            "predict_fn": saving.method,
            "python_version": platform.python_version(),
        },
        "lightgbm": entry,
    }


def requirements(directory: ModelDirectory) -> list[str]:
    """The packages that loading needs, beside sparksig."""
    kept = {"skops": ["skops"], "cloudpickle": ["cloudpickle"]}.get(_form(directory), [])
    return ["lightgbm", *([] if _is_native(directory) else ["scikit-learn", *kept])]


def _load_pyfunc(path: str) -> ForMlflow:
    """MLflow's entry, for what its own loader does not do."""
    directory, trust = opened_by_mlflow(path, "lightgbm")
    loading = Loading(trust)
    check(directory, loading)
    return ForMlflow(load(directory, loading), method_of(directory, loading))
