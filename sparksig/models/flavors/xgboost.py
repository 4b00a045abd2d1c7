"""XGBoost models in XGBoost's own format (UBJSON), which contains no code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from sparksig.errors import ModelDamagedError, ModelError, UnsupportedError, quote
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.categories import check_columns, has_other_columns, restore_categories
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
from sparksig.models.flavors.ubjson import is_complete_ubjson
from sparksig.schema import Schema

_FILE = "model.ubj"
_BOOSTER = "xgboost.core.Booster"
_MODULES = ("xgboost", "xgboost.core", "xgboost.sklearn")


class _XgboostFlavor(Flavor):
    name = "xgboost"
    mlflow_loader = "mlflow.xgboost"
    has_feature_names = True

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        self._read_class_name(directory)
        self._read_parameters(directory)
        self.locate_file(directory)
        require_package("xgboost", "an XGBoost model", "xgboost")
        if has_other_columns(directory.inputs):
            # whether the model accepts them depends on the categories in its file
            self.load(directory, loading)

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        import xgboost

        file = self.locate_file(directory)
        name = self._read_class_name(directory)
        cls: Any = getattr(xgboost, name, None)
        if not (isinstance(cls, type) and issubclass(cls, (xgboost.Booster, xgboost.XGBModel))):
            raise _build_class_error(directory, name)
        parameters: Any = {} if cls is xgboost.Booster else self._read_parameters(directory)
        model = cls(**parameters)
        with convert_errors(f"{file} is not an XGBoost model"):
            with directory.open(file) as stream:
                content = bytearray(stream.read())
            if not _is_complete(bytes(content)):  # XGBoost's parser may end the process
                raise ModelDamagedError(f"{file} is not an XGBoost model: the file is incomplete")
            model.load_model(content)
        version = str(self.get_config(directory).get("xgb_version") or "")
        return self.create_predictor(model, self.select_method(directory, loading), directory.inputs, version)

    def accepts(self, model: object) -> bool:
        return type(model).__module__ in _MODULES and hasattr(model, "save_model")

    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        import xgboost

        is_booster = isinstance(model, xgboost.Booster)
        booster = model if is_booster else _get_booster(model)
        if not is_booster and callable(model.objective):
            raise UnsupportedError(
                "XGBoost's format cannot store an objective that is a function. Save model.get_booster()"
            )
        if lost := _find_lost_categories(booster, xgboost.__version__):
            raise UnsupportedError(
                f"XGBoost {xgboost.__version__} does not store the categories of the columns "
                f"{', '.join(map(quote, lost))}. Train the model with XGBoost 3.1 or newer, or encode the "
                "columns in a Pipeline of scikit-learn or a PythonModel"
            )
        self.create_predictor(model, saving.method, saving.inputs)  # raises unless the model can predict
        with convert_errors("XGBoost cannot save the model", ModelError):
            model.save_model(home / _FILE)
        missing = None if is_booster else model.missing
        missing = None if missing is None or missing != missing else float(missing)  # NaN is the default
        # MLflow's loader restores neither the missing value nor the categories
        is_plain = missing is None and saving.method == "predict" and not _read_categories(booster)
        loader = self.mlflow_loader if is_plain else __name__
        return {
            "python_function": create_pyfunc_entry(loader, data=_FILE, predict_fn=saving.method),
            self.name: {
                "code": None,
                "data": _FILE,
                "model_class": f"{type(model).__module__}.{type(model).__name__}",
                "model_format": "ubj",
                "xgb_version": xgboost.__version__,
                **({} if missing is None else {"sparksig_missing": missing}),
            },
        }

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        cls = str(self.get_config(directory).get("model_class", _BOOSTER))
        return ["xgboost", *([] if cls.startswith("xgboost.core.") else ["scikit-learn"])]

    def create_predictor(
        self, model: Any, method: str, inputs: Schema | None = None, version: str = ""
    ) -> Predictor:
        import xgboost

        is_booster = isinstance(model, xgboost.Booster)
        booster = model if is_booster else _get_booster(model)
        names = get_feature_names(booster, "feature_names")
        categories = _read_categories(booster)
        if inputs is not None and not inputs.is_tensor_spec():
            labels = inputs.input_names() if inputs.has_input_names() or names is None else list(names)
            lost = _find_lost_categories(booster, version or xgboost.__version__)
            library = "XGBoost (before 3.1 it does not store categories)" if lost else "XGBoost"
            check_columns(list(zip(labels, inputs)), categories, library, lost)

        def prepare(model_input: Any) -> Any:
            restored = restore_categories(model_input, categories)
            return xgboost.DMatrix(restored, enable_categorical=bool(categories)) if is_booster else restored

        return FeaturePredictor(get_method(model, method), f"XGBoost's {method}", prepare, names)

    def _read_class_name(self, directory: ModelDirectory) -> str:
        module, _, name = str(self.get_config(directory).get("model_class", _BOOSTER)).rpartition(".")
        if module not in _MODULES:
            raise _build_class_error(directory, f"{module}.{name}")
        return name

    def _read_parameters(self, directory: ModelDirectory) -> dict[str, float]:
        """Return the parameters that predictions depend on and XGBoost's format does not store."""
        missing = self.get_config(directory).get("sparksig_missing")
        if missing is None:
            return {}
        if isinstance(missing, bool) or not isinstance(missing, (int, float)):
            raise ModelDamagedError(
                f"{directory.path}: sparksig_missing: expected a number, got something else"
            )
        return {"missing": missing}


def _build_class_error(directory: ModelDirectory, name: str) -> UnsupportedError:
    return UnsupportedError(f"{directory.path}: model_class: expected a class of XGBoost, got {name!r}")


def _is_complete(content: bytes) -> bool:
    if content[:2] == b'{"':
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return False
        return True
    return content[:1] != b"{" or is_complete_ubjson(content) if content else False


def _get_booster(model: Any) -> Any:
    """Return the booster of an estimator; None if it is not fitted."""
    try:
        return model.get_booster()
    except Exception:  # NotFittedError, which save() reports
        return None


def _read_categories(booster: Any) -> dict[Any, pd.CategoricalDtype]:
    """Return the categories of the features that were trained on pandas categories (from XGBoost 3.1 on)."""
    if "c" not in (getattr(booster, "feature_types", None) or ()) or not hasattr(booster, "get_categories"):
        return {}
    columns = booster.get_categories(export_to_arrow=True).to_arrow()
    return {
        name: pd.CategoricalDtype(pd.Index(values.to_numpy(zero_copy_only=False)))
        for name, values in columns
        if values is not None
    }


def _find_lost_categories(booster: Any, version: str) -> list[str]:
    """Return the features whose categories of training the booster does not store.

    From XGBoost 3.1 on, a categorical feature without stored categories was trained on codes. In every
    version, a feature without a name was trained on codes.
    """
    numbers = re.findall(r"\d+", version)[:2]
    if booster is None or tuple(map(int, numbers)) >= (3, 1):
        return []
    types, names = booster.feature_types or (), booster.feature_names or ()
    return [name for name, feature_type in zip(names, types) if feature_type == "c"]


FLAVOR = _XgboostFlavor()
_load_pyfunc = FLAVOR.load_for_mlflow
