"""scikit-learn. Saved by skops, which runs no code; pickles that MLflow wrote load with leave only."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelNotTrustedError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.trust import Trust

__all__ = ["check", "load", "matches", "requirements", "save", "takes"]

_LOADER = "mlflow.sklearn"
_FILE = "model.skops"
_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


def matches(directory: ModelDirectory) -> bool:
    """Whether it is a scikit-learn model, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") == _LOADER


def check(directory: ModelDirectory, trust: Trust) -> None:
    """See that loading is possible and allowed, without building any object.

    Raises:
        ModelNotTrustedError: types beyond the trusted ones, or a pickle without leave.
        ModelDamagedError: the model's file is missing or damaged.
        UnsupportedError: code paths, or a format of scikit-learn models that is unknown.
        MissingDependencyError: scikit-learn or skops is not installed.
    """
    config = directory.flavor("sklearn") or {}
    if config.get("code") or directory.pyfunc.get("code"):
        raise UnsupportedError(f"{directory.path}: code paths cannot be loaded yet")
    _method(directory)
    form, file = _form(config), _file(directory)
    if form == "skops":
        trust.require_types(directory, _untrusted_types(file))
    elif form in ("pickle", "cloudpickle"):
        trust.require_code(directory, f"a scikit-learn model kept by {form}")
    else:
        raise UnsupportedError(f"{directory.path}: scikit-learn models in the format {form!r} are unknown")
    if importlib.util.find_spec("sklearn") is None:
        raise MissingDependencyError.naming("scikit-learn", "a scikit-learn model", "sklearn")


def load(directory: ModelDirectory, trust: Trust) -> Callable[[Any, Mapping[str, Any] | None], Any]:
    """The estimator's prediction method as ``f(model_input, params)``; it takes no params.

    Raises:
        ModelDamagedError: the model's file cannot be read.
        ModelNotTrustedError, UnsupportedError, MissingDependencyError: as :func:`check`.
    """
    check(directory, trust)
    file, name = _file(directory), _method(directory)
    estimator = _read(file, _form(directory.flavor("sklearn") or {}), trust)
    method = getattr(estimator, name, None)
    if method is None:
        raise ModelDamagedError(f"{directory.path}: a {type(estimator).__name__} has no method {name!r}")

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        del params  # the signature of an estimator has none
        return method(model_input)

    return predict


def _form(config: Mapping[str, Any]) -> str:
    return str(config.get("serialization_format", "pickle"))  # as old MLflow versions mean it


def _file(directory: ModelDirectory) -> Path:
    config = directory.flavor("sklearn") or {}
    return directory.member(config.get("pickled_model") or directory.pyfunc.get("model_path"))


def _method(directory: ModelDirectory) -> str:
    name = directory.pyfunc.get("predict_fn", "predict")
    if name not in _METHODS:
        known = ", ".join(_METHODS)
        raise UnsupportedError(f"{directory.path}: the method {name!r} is none of {known}")
    return str(name)


def _read(file: Path, form: str, trust: Trust) -> Any:
    try:
        if form == "skops":
            import skops.io

            return skops.io.load(file, trusted=list(trust.trusted_types))
        import cloudpickle

        with file.open("rb") as stream:
            return cloudpickle.load(stream)  # reads plain pickles as well
    except Exception as error:
        raise ModelDamagedError(f"{file} cannot be read: {type(error).__name__}: {error}") from error


def _untrusted_types(file: Path) -> list[str]:
    if importlib.util.find_spec("skops") is None:
        raise MissingDependencyError.naming("skops", "a scikit-learn model kept by skops", "sklearn")
    import skops.io

    try:
        return list(skops.io.get_untrusted_types(file=file))
    except Exception as error:
        raise ModelDamagedError(f"{file} is not a skops file: {type(error).__name__}: {error}") from error


def takes(model: object) -> bool:
    """Whether it is a scikit-learn estimator."""
    if importlib.util.find_spec("sklearn") is None:
        return False
    from sklearn.base import BaseEstimator

    return isinstance(model, BaseEstimator)


def save(model: Any, directory: Path, trusted_types: tuple[str, ...]) -> dict[str, Any]:
    """Write the skops file; the entries for MLmodel's flavors.

    Raises:
        ModelNotTrustedError: the estimator holds types that skops does not trust by itself, and the
            caller did not name them: the file could be written, but nobody could load it.
        MissingDependencyError: skops is not installed.
    """
    if importlib.util.find_spec("skops") is None:
        raise MissingDependencyError.naming("skops", "saving a scikit-learn model", "sklearn")
    import sklearn
    import skops.io

    file = directory / _FILE
    skops.io.dump(model, file)
    unknown = sorted(set(_untrusted_types(file)) - set(trusted_types))
    if unknown:
        raise ModelNotTrustedError(
            f"a {type(model).__name__} holds types that skops does not trust by itself: "
            f"{', '.join(unknown)}. If you trust them, pass trusted_types={unknown!r}; "
            "whoever loads the model has to do likewise"
        )
    return {
        "python_function": {
            "loader_module": _LOADER,
            "model_path": _FILE,
            "predict_fn": "predict",
            "python_version": platform.python_version(),
        },
        "sklearn": {
            "code": None,
            "pickled_model": _FILE,
            "serialization_format": "skops",
            "sklearn_version": sklearn.__version__,
            # MLflow takes its trust from here; sparksig asks the caller
            "skops_trusted_types": list(trusted_types) or None,
        },
    }


def requirements() -> list[str]:
    """The packages that loading needs, beside sparksig."""
    return ["scikit-learn", "skops"]
