"""LightGBM in its own text format, which holds no code.

The format keeps the trees, and the categories of pandas columns, without the names of these columns. What
an LGBMClassifier knows beside, its classes, stands in MLmodel; models that MLflow wrote from LightGBM's
estimators are pickles or skops files, and are judged as those are.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.categories import (
    assign_categories,
    has_other_columns,
    is_number,
    refuse_columns,
    restore_categories,
)
from sparksig.models.flavors.interface import (
    METHODS,
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
from sparksig.models.flavors.sklearn import check_object, read_object
from sparksig.schema import ColSpec, Schema

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
        UnsupportedError: an unknown method, or columns that the model does not accept.
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
    inputs = None if directory.signature is None else directory.signature.inputs
    if _is_native(directory) and has_other_columns(
        inputs
    ):  # the categories are in the model's file, which holds no code
        load(directory, loading)


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The model's method as ``f(model_input, params)``; it takes the params that the method takes.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelError: the model has no such method.
        UnsupportedError: the signature declares columns that the model does not accept, and whose categories
            it does not keep; all of them.
    """
    import lightgbm

    file, method = directory.member(_config(directory).get("data")), method_of(directory, loading)
    inputs = None if directory.signature is None else directory.signature.inputs
    if not _is_native(directory):
        return predictor(read_object(directory, file, _form(directory), loading.trust), method, inputs)
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
        return predictor(_Booster(booster, told) if told else booster, method, inputs)
    if booster.num_model_per_iteration() != (len(classes) if len(classes) > 2 else 1):
        raise ModelDamagedError(
            f"{directory.path}: the trees are of another number of classes than sparksig_classes"
        )
    return predictor(_Classifier(_Booster(booster, told), classes), method, inputs)


class _Booster:
    """A Booster that predicts with what its estimator was told of predicting."""

    def __init__(self, booster: Any, told: Mapping[str, Any]) -> None:
        self.booster_, self._told = booster, told

    def predict(self, data: Any) -> Any:
        """What the trees say."""
        return self.booster_.predict(data, **self._told)


class _Classifier:
    """A Booster that predicts as the LGBMClassifier whose trees it has."""

    def __init__(self, booster: _Booster, classes: np.ndarray[Any, Any]) -> None:
        self.booster_ = booster.booster_
        self._booster, self._classes = booster, classes

    def predict_proba(self, data: Any) -> np.ndarray[Any, Any]:
        """The probability of each class, in the order of the classes."""
        found: np.ndarray[Any, Any] = self._booster.predict(data)
        return found if len(self._classes) > 2 else np.vstack((1.0 - found, found)).transpose()

    def predict(self, data: Any) -> np.ndarray[Any, Any]:
        """The most probable class."""
        chosen: np.ndarray[Any, Any] = self._classes[np.argmax(self.predict_proba(data), axis=1)]
        return chosen


def predictor(model: Any, method: str, inputs: Schema | None = None) -> Predictor:
    """A model's method as ``f(model_input, params)``.

    Raises:
        UnsupportedError: columns of the inputs that the model does not accept.
    """
    booster = getattr(model, "booster_", model)
    names = feature_names(model) or feature_names(booster, "feature_name")  # numbered, of an array
    if names == tuple(f"Column_{index}" for index in range(len(names or ()))):
        names = None
    prepare = _Columns.of(booster, names, inputs).prepare
    return FeaturePredictor(with_params(bound_method(model, method), f"LightGBM's {method}", prepare), names)


@dataclass(frozen=True)
class _Columns:
    """The columns of a frame as LightGBM was trained on them, which it does not find by name.

    Attributes:
        order: their labels, in the order of the features; None to leave them as they are.
        categories: from the labels of some to their categories.
    """

    order: tuple[Any, ...] | None = None
    categories: Mapping[Any, pd.CategoricalDtype] = field(default_factory=dict)

    @classmethod
    def of(cls, booster: Any, names: tuple[str, ...] | None, inputs: Schema | None) -> _Columns:
        """Find the columns that the inputs declare among the features.

        Raises:
            UnsupportedError: columns that are no numbers, and whose categories the booster does not keep.
        """
        if inputs is None or inputs.is_tensor_spec():
            return cls()
        named = inputs.has_input_names()
        labels = inputs.input_names() if named or names is None else list(names)
        specs: dict[Any, ColSpec] = dict(zip(labels, inputs))
        # as LightGBM itself writes them
        known = {str(label).replace(" ", "_"): label for label in labels}
        features = [name.replace(" ", "_") for name in names or ()]
        order = None
        if named and known.keys() == set(features) and len(known) == len(labels) == len(features):
            order = tuple(known[name] for name in features)
        ordered = Schema([specs[label] for label in order or labels])
        lists = getattr(booster, "pandas_categorical", None) or []
        found = assign_categories(lists, ordered, _infos(booster)) if lists else {}
        if found is None:
            refuse_columns(list(specs.items()), "LightGBM, whose categories fit several columns or none,")
        chosen = list(order or labels)
        categories = {chosen[at]: pd.CategoricalDtype(values) for at, values in (found or {}).items()}
        unknown = [
            (label, spec)
            for label, spec in specs.items()
            if label not in categories and not is_number(spec.type)
        ]
        refuse_columns(unknown, "LightGBM")
        return cls(order if order != tuple(labels) else None, categories)

    def prepare(self, model_input: Any) -> Any:
        """Return a frame with its columns in the order, and with the categories, of training."""
        if self.order is not None and isinstance(model_input, pd.DataFrame):
            model_input = model_input[[label for label in self.order if label in model_input]]
        return restore_categories(model_input, self.categories)


def _infos(booster: Any) -> list[str]:
    """The values that each feature had in training, as LightGBM's format writes them."""
    header = booster.model_to_string(num_iteration=1).partition("\nTree=")[0]
    lines = [line for line in header.split("\n") if line.startswith("feature_infos=")]
    return lines[0].partition("=")[2].split(" ") if lines else []


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
        UnsupportedError: an objective of the user's own, classes that are no numbers or text, or columns of
            the signature that the model does not accept.
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
    predictor(model, saving.method, None if saving.signature is None else saving.signature.inputs)
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
    plain = plain and not getattr(
        booster, "pandas_categorical", None
    )  # which MLflow's loader does not restore
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
