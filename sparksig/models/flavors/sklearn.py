"""scikit-learn. Saved by skops, which runs no code; pickles are read, and written, with leave only."""

from __future__ import annotations

import importlib.util
import io
import platform
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sparksig.engine.texts import TextDtypes
from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    UnsupportedError,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    ForMlflow,
    Loading,
    Predictor,
    Saving,
    bound_method,
    feature_names,
    method_of,
    opened_by_mlflow,
    saved_method,
)
from sparksig.models.flavors.skops_file import SkopsFile, find_untrusted_types
from sparksig.models.flavors.skops_objects import check_objects
from sparksig.models.text_evidence import estimator_dtypes
from sparksig.models.trust import Trust, describe_types
from sparksig.schema import Schema

__all__ = [
    "check",
    "check_object",
    "load",
    "matches",
    "opens_files",
    "predictor",
    "read_object",
    "requirements",
    "save",
    "takes",
]

_LOADER = "mlflow.sklearn"
_FILES = {"skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}
_CALLED_BY_MLFLOW = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
_PACKAGES = {"skops": ["skops"], "pickle": [], "cloudpickle": ["cloudpickle"]}


def matches(directory: ModelDirectory) -> bool:
    """Whether it is a scikit-learn model, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") in (_LOADER, __name__)


def opens_files(directory: ModelDirectory) -> bool:
    """Never."""
    del directory
    return False


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible and allowed, without building any object.

    Raises:
        ModelNotTrustedError: types beyond the trusted ones, or a pickle without leave.
        ModelDamagedError: the model's file is missing or damaged.
        UnsupportedError: a format of scikit-learn models, or a method, that is unknown.
        MissingDependencyError: scikit-learn or skops is not installed.
    """
    method_of(directory, loading)
    check_object(directory, _file(directory), _form(directory), loading.trust)
    if importlib.util.find_spec("sklearn") is None:
        raise MissingDependencyError.naming("scikit-learn", "a scikit-learn model", "sklearn")


def check_object(directory: ModelDirectory, file: Path, form: str, trust: Trust) -> None:
    """See that an estimator's file may be read, without building any object; errors as of :func:`check`."""
    if form == "skops":
        trust.require_types(directory, _inspect(directory, file, trust).untrusted)
    elif form in ("pickle", "cloudpickle"):
        trust.require_code(directory, f"an estimator kept by {form}")
    else:
        raise UnsupportedError(f"{directory.path}: estimators in the format {form!r} are unknown")


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The estimator's prediction method as ``f(model_input, params)``; it takes no params.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelError: the estimator has no such method.
    """
    estimator = read_object(directory, _file(directory), _form(directory), loading.trust)
    return predictor(estimator, method_of(directory, loading))


def predictor(model: Any, method: str, inputs: Schema | None = None) -> Predictor:
    """An estimator's method as ``f(model_input, params)``."""
    del inputs
    return _EstimatorPredictor(model, method)


class _EstimatorPredictor:
    """A method of an estimator, which takes no params."""

    def __init__(self, model: Any, method: str) -> None:
        self._model = model
        self._function = bound_method(model, method)
        self._is_of_arrays = _is_of_arrays(model)
        self.feature_names = feature_names(model)

    def __call__(self, model_input: Any, params: Mapping[str, Any] | None) -> Any:
        """Return the raw prediction."""
        del params  # the signature of an estimator has none
        return _by_row(self._function(_as_array(model_input) if self._is_of_arrays else model_input))

    def text_dtypes(self, inputs: Schema) -> TextDtypes:
        """Return the dtypes of text columns that the estimator's encoders and imputers show."""
        return estimator_dtypes(self._model, inputs)


def _by_row(prediction: Any) -> Any:
    """Return the probabilities of several outputs row by row; scikit-learn gives a list of one array each.

    Outputs with as many classes are one array of shape (rows, outputs, classes). Others are a dictionary of
    arrays of shape (rows, classes), by the number of the output.
    """
    if not isinstance(prediction, list) or not prediction:
        return prediction
    if not all(isinstance(part, np.ndarray) and part.ndim == 2 for part in prediction):
        return prediction
    if len({part.shape for part in prediction}) == 1:
        return np.stack(prediction, axis=1)
    return {str(index): part for index, part in enumerate(prediction)}


def _is_of_arrays(model: Any) -> bool:
    """Whether it was fitted to an array, and does nothing with a frame but to make an array of it.

    Told a frame's names, it would warn of them, and it takes longer.
    """
    if hasattr(model, "feature_names_in_") or not hasattr(model, "n_features_in_"):
        return False
    estimators, others = _parts(model)
    if any(callable(part) for part in others):
        return False
    return all(
        type(part).__module__.startswith("sklearn.")
        and type(part).__name__ not in _OF_FRAMES
        and not hasattr(part, "_sklearn_output_config")  # which may give the frame's index back
        for part in estimators
    )


def _parts(model: Any) -> tuple[list[Any], list[Any]]:
    """The estimators in a model, itself included, and what else its attributes hold, at any depth.

    Its params would not do: what was fitted may be none of them.
    """
    held: dict[int, Any] = {}
    estimators, others, left = [], [], [model]
    while left:
        part = left.pop()
        if id(part) in held:
            continue
        held[id(part)] = part
        if isinstance(part, (list, tuple, set)):
            left += part
        elif isinstance(part, Mapping):
            left += part.values()
        elif isinstance(part, np.ndarray):
            left += part.ravel().tolist() if part.dtype == object else []
        elif hasattr(part, "fit") and not isinstance(part, type):
            estimators.append(part)
            left += vars(part).values() if hasattr(part, "__dict__") else []
        else:
            others.append(part)
    return estimators, others


_OF_FRAMES = ("ColumnTransformer", "FunctionTransformer")
"""Estimators that look at a frame as such."""


def _as_array(model_input: Any) -> Any:
    """The one block of a frame whose columns are of one plain dtype; anything else as it is."""
    if not hasattr(model_input, "iloc") or model_input.ndim != 2:
        return model_input
    dtypes = set(model_input.dtypes)
    plain = len(dtypes) == 1 and all(isinstance(one, np.dtype) and one.kind in "fiub" for one in dtypes)
    return model_input.to_numpy() if plain else model_input


def _form(directory: ModelDirectory) -> str:
    config = directory.flavor("sklearn") or {}
    return str(config.get("serialization_format", "pickle"))  # as old MLflow versions mean it


def _file(directory: ModelDirectory) -> Path:
    config = directory.flavor("sklearn") or {}
    return directory.member(config.get("pickled_model") or directory.pyfunc.get("model_path"))


def read_object(directory: ModelDirectory, file: Path, form: str, trust: Trust) -> Any:
    """What an estimator's file holds.

    Raises:
        ModelDamagedError: it cannot be read, or its state would crash scikit-learn.
        ModelNotTrustedError: the file changed since :func:`check_object`, or parts of it cannot be checked.
    """
    try:
        if form == "skops":
            return _inspect(directory, file, trust).build()
        with directory.open(file) as stream:
            import cloudpickle

            return cloudpickle.load(stream)  # reads plain pickles as well
    except (ModelDamagedError, ModelNotTrustedError) as error:
        raise type(error)(f"{file}: {error}") from error
    except (ModelError, ImportError):
        raise
    except Exception as error:
        raise ModelDamagedError(f"{file} cannot be read: {type(error).__name__}: {error}") from error


def _inspect(directory: ModelDirectory, file: Path, trust: Trust) -> SkopsFile:
    """A skops file with its types; no object of it is built.

    Raises:
        ModelDamagedError: it is no skops file.
        MissingDependencyError: skops is not installed.
    """
    if importlib.util.find_spec("skops") is None:
        raise MissingDependencyError.naming("skops", "a model kept by skops", "sklearn")
    try:
        with directory.open(file) as stream:
            content = stream.read()
        _check_size(content, file)
        return find_untrusted_types(content, trust.trusted_types)
    except (ModelError, ImportError):
        raise
    except Exception as error:
        raise ModelDamagedError(f"{file} is not a skops file: {type(error).__name__}: {error}") from error


_SWELL, _ALWAYS = 200, 64 * 2**20


def _check_size(content: bytes, file: Path) -> None:
    """Refuse what unpacks to many times its size.

    Raises:
        ModelDamagedError: it does.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(entry.file_size for entry in packed.infolist())
    if size > _SWELL * len(content) + _ALWAYS:
        raise ModelDamagedError(f"{file} unpacks to {size:,} bytes, from {len(content):,}: no model does")


def takes(model: object) -> bool:
    """Whether it is a scikit-learn estimator."""
    if importlib.util.find_spec("sklearn") is None:
        return False
    from sklearn.base import BaseEstimator

    return isinstance(model, BaseEstimator)


def save(model: Any, home: Path, saving: Saving) -> dict[str, Any]:
    """Write the estimator's file; the entries for MLmodel's flavors.

    Raises:
        ModelNotTrustedError: the estimator holds types that are neither inert nor named by the caller:
            the file could be written, but nobody could load it.
        ModelError: the estimator has no such method, or the format is unknown.
        MissingDependencyError: skops, or cloudpickle, is not installed.
    """
    form = saving.serialization_format or "skops"
    if not isinstance(form, str) or form not in _FILES:
        raise ModelError(f"serialization_format is one of {', '.join(_FILES)}, not {form!r}")
    saved_method(model, saving.method)
    import sklearn

    name = _FILES[form]
    types = _write(model, home / name, form, saving.trusted_types)
    for_mlflow = _LOADER if saving.method in _CALLED_BY_MLFLOW else __name__
    return {
        "python_function": {
            "loader_module": for_mlflow,
            "model_path": name,
            "predict_fn": saving.method,
            "python_version": platform.python_version(),
        },
        "sklearn": {
            "code": None,
            "pickled_model": name,
            "serialization_format": form,
            "sklearn_version": sklearn.__version__,
            # MLflow takes its trust from here; sparksig asks the caller and its own list
            "skops_trusted_types": types or None,
        },
    }


def _write(model: Any, file: Path, form: str, trusted: tuple[str, ...]) -> list[str]:
    """Write the estimator's file; the types in it that MLflow has to be told to trust."""
    for package in _PACKAGES[form]:
        if importlib.util.find_spec(package) is None:
            extra = "sklearn" if package == "skops" else "python-model"
            raise MissingDependencyError.naming(package, "saving a scikit-learn model", extra)
    if form == "skops":
        return _write_skops(model, file, trusted)
    with file.open("wb") as stream:
        if form == "pickle":
            import pickle

            pickle.dump(model, stream)
        else:
            import cloudpickle

            cloudpickle.dump(model, stream)
    return list(trusted)


def _write_skops(model: Any, file: Path, trusted: tuple[str, ...]) -> list[str]:
    import skops.io

    name = type(model).__name__
    try:
        skops.io.dump(model, file)
    except (TypeError, RecursionError) as error:  # an unsupported type, or objects that contain each other
        raise ModelError(
            f"skops cannot write a {name}: {type(error).__name__}: {error}. "
            "Save it with serialization_format='cloudpickle'; whoever loads it passes allow_pickle=True"
        ) from error
    inspected = find_untrusted_types(file.read_bytes(), trusted)
    if inspected.untrusted:
        unknown = list(inspected.untrusted)
        raise ModelNotTrustedError(
            f"a {name} holds types that are not known to be safe: {describe_types(unknown)}. "
            f"If you trust them, pass trusted_types={unknown!r}; whoever loads the model has to do likewise "
            f"(in a job's configuration, model.trusted_types: {unknown!r})"
        )
    check_objects(model, frozenset(trusted))
    return [*trusted, *(one for one in inspected.inert if one not in trusted)]


def requirements(directory: ModelDirectory) -> list[str]:
    """The packages that loading needs, beside sparksig."""
    return ["scikit-learn", *_PACKAGES.get(_form(directory), [])]


def _load_pyfunc(path: str) -> ForMlflow:
    """MLflow's entry, for methods that its own loader does not call."""
    directory, trust = opened_by_mlflow(path, "sklearn")
    loading = Loading(trust)
    check(directory, loading)
    return ForMlflow(load(directory, loading), method_of(directory, loading))
