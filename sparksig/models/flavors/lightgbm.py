"""LightGBM models in LightGBM's own text format, which contains no code.

The format stores the trees, and the categories of pandas columns without the names of the columns. MLmodel
stores the classes of an LGBMClassifier and the options of prediction. MLflow writes LightGBM's estimators as
pickles or skops files, which are read under the rules of those formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparksig.errors import ModelDamagedError, ModelError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.categories import (
    assign_categories,
    build_column_error,
    check_columns,
    has_other_columns,
    restore_categories,
)
from sparksig.models.flavors.interface import (
    FeaturePredictor,
    Flavor,
    LoadOptions,
    Predictor,
    SaveOptions,
    convert_errors,
    create_pyfunc_entry,
    get_feature_names,
    get_method,
    require_package,
)
from sparksig.models.flavors.sklearn import check_object, read_object
from sparksig.schema import ColSpec, Schema

_FILE = "model.lgb"
_BOOSTER = "lightgbm.basic.Booster"
_LAST_LINE = "\nend of parameters\n"
_MODULES = ("lightgbm.basic", "lightgbm.sklearn")
_MAX_CLASS_BYTES = 40_000  # 10,000 characters
_PREDICT_OPTIONS = (
    "pred_early_stop",
    "pred_early_stop_freq",
    "pred_early_stop_margin",
    "start_iteration_predict",
    "num_iteration_predict",
)
"""The options of an estimator that its predictions depend on and LightGBM's format does not store."""


class _LightgbmFlavor(Flavor):
    name = "lightgbm"
    mlflow_loader = "mlflow.lightgbm"
    has_feature_names = True

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        file = self.locate_file(directory)
        self._read_classes(directory)
        self._read_options(directory)
        is_native = self._is_native(directory)
        if not is_native:
            check_object(directory, file, self._read_format(directory), loading.trust)
        require_package("lightgbm", "a LightGBM model", "lightgbm")
        if is_native and has_other_columns(directory.inputs):
            # whether the model accepts them depends on the categories in its file, which contains no code
            self.load(directory, loading)

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        file, inputs = self.locate_file(directory), directory.inputs
        method = self.select_method(directory, loading)
        if not self._is_native(directory):
            estimator = read_object(directory, file, self._read_format(directory), loading.trust)
            return self.create_predictor(estimator, method, inputs)
        booster = _read_booster(directory, file)
        classes = self._read_classes(directory)
        options = self._read_options(directory)
        if classes is None:
            return self.create_predictor(_Booster(booster, options) if options else booster, method, inputs)
        expected = len(classes) if len(classes) > 2 else 1
        if booster.num_model_per_iteration() != expected:
            raise ModelDamagedError(
                f"{directory.path}: sparksig_classes: expected as many classes as the trees have, got "
                f"{len(classes)}"
            )
        return self.create_predictor(_Classifier(_Booster(booster, options), classes), method, inputs)

    def accepts(self, model: object) -> bool:
        return type(model).__module__ in _MODULES

    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        import lightgbm

        is_booster = isinstance(model, lightgbm.Booster)
        is_classifier = isinstance(model, lightgbm.LGBMClassifier)
        if is_classifier:
            get_method(model, saving.method, ("predict", "predict_proba"))  # of the loaded classifier
        with convert_errors("LightGBM cannot save the model", ModelError):
            booster = model if is_booster else model.booster_
        if not is_booster and callable(model.objective):
            raise UnsupportedError(
                "LightGBM's format cannot store an objective that is a function. Save model.booster_"
            )
        self.create_predictor(model, saving.method, saving.inputs)  # raises unless the model can predict
        # with the trees that the model predicts with: up to its best iteration, if it has one
        (home / _FILE).write_text(booster.model_to_string(), encoding="utf-8")
        extra = {"sparksig_classes": _encode_classes(model.classes_)} if is_classifier else {}
        parameters = {} if is_booster else model.get_params()
        options = {name: parameters[name] for name in _PREDICT_OPTIONS if parameters.get(name) is not None}
        if options:
            extra["sparksig_predict"] = options
        # MLflow's loader restores neither the extra entries nor the categories
        is_plain = (
            not extra and saving.method == "predict" and not getattr(booster, "pandas_categorical", None)
        )
        loader = self.mlflow_loader if is_plain else __name__
        return {
            "python_function": create_pyfunc_entry(loader, data=_FILE, predict_fn=saving.method),
            self.name: {
                "code": None,
                "data": _FILE,
                "lgb_version": lightgbm.__version__,
                "model_class": _BOOSTER,  # the class that MLflow loads
                **extra,
            },
        }

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        if self._is_native(directory):
            return ["lightgbm"]
        serialization_format = self._read_format(directory)
        package = [serialization_format] if serialization_format in ("skops", "cloudpickle") else []
        return ["lightgbm", "scikit-learn", *package]

    def create_predictor(self, model: Any, method: str, inputs: Schema | None = None) -> Predictor:
        booster = getattr(model, "booster_", model)
        names = get_feature_names(model) or get_feature_names(booster, "feature_name")
        if names == tuple(f"Column_{index}" for index in range(len(names or ()))):  # trained on an array
            names = None
        prepare = _Columns.match(booster, names, inputs).prepare
        return FeaturePredictor(get_method(model, method), f"LightGBM's {method}", prepare, names)

    def _is_native(self, directory: ModelDirectory) -> bool:
        return str(self.get_config(directory).get("model_class", _BOOSTER)) == _BOOSTER

    def _read_format(self, directory: ModelDirectory) -> str:
        return str(self.get_config(directory).get("serialization_format") or "cloudpickle")

    def _read_classes(self, directory: ModelDirectory) -> np.ndarray[Any, Any] | None:
        entry = self.get_config(directory).get("sparksig_classes")
        if entry is None:
            return None
        values = entry.get("values") if isinstance(entry, Mapping) else None
        if not isinstance(values, list) or len(values) < 2:
            raise ModelDamagedError(
                f"{directory.path}: sparksig_classes: expected two or more values with their dtype, got "
                "something else"
            )
        try:
            dtype = np.dtype(str(entry.get("dtype")))
            if dtype.itemsize > _MAX_CLASS_BYTES:
                raise ValueError("expected at most 10,000 characters in a text, got more")
            classes = np.array(values, dtype=dtype)
            if classes.ndim != 1 or not _are_classes(classes):
                raise ValueError("expected numbers or text, got other values")
            return classes
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelDamagedError(f"{directory.path}: sparksig_classes: {error}") from None

    def _read_options(self, directory: ModelDirectory) -> dict[str, Any]:
        options = self.get_config(directory).get("sparksig_predict") or {}
        if not isinstance(options, Mapping) or not all(
            name in _PREDICT_OPTIONS and isinstance(value, (bool, int, float))
            for name, value in options.items()
        ):
            raise ModelDamagedError(
                f"{directory.path}: sparksig_predict: expected numbers for {', '.join(_PREDICT_OPTIONS)}, "
                "got something else"
            )
        return dict(options)


def _read_booster(directory: ModelDirectory, file: Path) -> Any:
    import lightgbm

    with convert_errors(f"{file} is not a LightGBM model"):
        with directory.open(file) as stream:
            text = stream.read().decode()
        if _LAST_LINE not in text:  # LightGBM ends the process if the text is incomplete
            raise ModelDamagedError(f"{file} is not a LightGBM model: the file is incomplete")
        return lightgbm.Booster(model_str=text)


def _encode_classes(classes: np.ndarray[Any, Any]) -> dict[str, Any]:
    if len(classes) < 2:
        raise UnsupportedError("cannot save a classifier of a single class: expected two or more classes")
    if not _are_classes(classes):
        raise UnsupportedError(
            f"cannot save classes of dtype {classes.dtype}: expected numbers or text. Encode the classes"
        )
    return {"dtype": classes.dtype.str, "values": classes.tolist()}


def _are_classes(classes: np.ndarray[Any, Any]) -> bool:
    """Return whether classes are numbers or text."""
    if classes.dtype.kind == "O":
        return all(isinstance(value, str) for value in classes)
    return classes.dtype.kind in "biufU"


# --- predicting ---------------------------------------------------------------------------------------------


class _Booster:
    """A Booster that predicts with the options of its estimator."""

    def __init__(self, booster: Any, options: Mapping[str, Any]) -> None:
        self.booster_, self._options = booster, options

    def predict(self, data: Any) -> Any:
        """Return the prediction of the trees."""
        return self.booster_.predict(data, **self._options)


class _Classifier:
    """A Booster that predicts like the LGBMClassifier that it was trained by."""

    def __init__(self, booster: _Booster, classes: np.ndarray[Any, Any]) -> None:
        self.booster_ = booster.booster_
        self._booster, self._classes = booster, classes

    def predict_proba(self, data: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, in the order of the classes."""
        scores: np.ndarray[Any, Any] = self._booster.predict(data)
        return scores if len(self._classes) > 2 else np.vstack((1.0 - scores, scores)).transpose()

    def predict(self, data: Any) -> np.ndarray[Any, Any]:
        """Return the most probable class."""
        predicted: np.ndarray[Any, Any] = self._classes[np.argmax(self.predict_proba(data), axis=1)]
        return predicted


@dataclass(frozen=True)
class _Columns:
    """The order and the categories of the columns of training, which LightGBM does not find by name."""

    order: tuple[Any, ...] | None = None  # in the order of the features; None for that of the frame
    categories: Mapping[Any, pd.CategoricalDtype] = field(default_factory=dict)  # by the labels

    @classmethod
    def match(cls, booster: Any, names: tuple[str, ...] | None, inputs: Schema | None) -> _Columns:
        """Match the declared columns with the features of a booster."""
        if inputs is None or inputs.is_tensor_spec():
            return cls()
        has_names = inputs.has_input_names()
        labels = inputs.input_names() if has_names or names is None else list(names)
        specs: dict[Any, ColSpec] = dict(zip(labels, inputs))
        # LightGBM replaces spaces in the names of features
        labels_by_feature = {str(label).replace(" ", "_"): label for label in labels}
        features = [name.replace(" ", "_") for name in names or ()]
        order = None
        is_permutation = labels_by_feature.keys() == set(features)
        if has_names and is_permutation and len(labels_by_feature) == len(labels) == len(features):
            order = tuple(labels_by_feature[name] for name in features)
        ordered_labels = list(order or labels)
        ordered = Schema([specs[label] for label in ordered_labels])
        lists = getattr(booster, "pandas_categorical", None) or []
        assigned = assign_categories(lists, ordered, _read_infos(booster)) if lists else {}
        if assigned is None:
            library = "LightGBM, whose categories fit several columns or none,"
            raise build_column_error(list(specs.items()), library)
        categories = {
            ordered_labels[position]: pd.CategoricalDtype(values) for position, values in assigned.items()
        }
        check_columns(list(specs.items()), categories, "LightGBM")
        return cls(order if order != tuple(labels) else None, categories)

    def prepare(self, model_input: Any) -> Any:
        """Return a frame with the column order and the categories of training."""
        if self.order is not None and isinstance(model_input, pd.DataFrame):
            model_input = model_input[[label for label in self.order if label in model_input]]
        return restore_categories(model_input, self.categories)


def _read_infos(booster: Any) -> list[str]:
    """Return the values that each feature had in training, in LightGBM's notation."""
    header = booster.model_to_string(num_iteration=1).partition("\nTree=")[0]
    lines = [line for line in header.split("\n") if line.startswith("feature_infos=")]
    return lines[0].partition("=")[2].split(" ") if lines else []


FLAVOR = _LightgbmFlavor()
_load_pyfunc = FLAVOR.load_for_mlflow
