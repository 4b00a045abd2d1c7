"""What the formats have in common: how a caller wants a model loaded or saved, and what MLflow calls."""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sparksig.engine.texts import TextDtypes
from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    SparksigError,
    UnsupportedError,
    kind,
    printable,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.environment import install_command
from sparksig.models.trust import Trust
from sparksig.params import UnknownParamWarning
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

__all__ = [
    "METHODS",
    "FeaturePredictor",
    "ForMlflow",
    "Loading",
    "Predictor",
    "Saving",
    "ShowsTexts",
    "bound_method",
    "feature_names",
    "method_of",
    "missing_libraries",
    "opened_by_mlflow",
    "saved_method",
    "with_params",
]

Predictor = Callable[[Any, "Mapping[str, Any] | None"], Any]
"""A loaded model: from its input (a DataFrame, say) and params to its raw prediction."""


@runtime_checkable
class ShowsTexts(Protocol):
    """A predictor whose model shows which missing strings it was trained with."""

    def text_dtypes(self, inputs: Schema) -> TextDtypes:
        """Return the dtypes of the text columns that the model shows something about."""


METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "decision_function",
    "transform",
)
"""The methods of estimators that give one prediction a row."""


@dataclass(frozen=True)
class Loading:
    """How a caller wants a model loaded.

    Attributes:
        trust: what may run.
        method: the method that predicts; None for the one that was saved.
        model_config: what overrides the configuration that was saved.
    """

    trust: Trust
    method: str | None = None
    model_config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Saving:
    """How a caller wants a model saved; the arguments of :func:`sparksig.save_model`."""

    trusted_types: tuple[str, ...] = ()
    method: str = "predict"
    serialization_format: str | None = None
    signature: ModelSignature | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    model_config: Mapping[str, Any] | None = None
    loader_module: str | None = None
    data_path: str | os.PathLike[str] | None = None
    model_code: Path | None = None


def method_of(directory: ModelDirectory, loading: Loading, known: Sequence[str] = METHODS) -> str:
    """The name of the method that predicts.

    Raises:
        UnsupportedError: it is none of the ``known`` ones.
    """
    name = loading.method or directory.pyfunc.get("predict_fn") or "predict"
    if name not in known:
        raise UnsupportedError(f"{directory.path}: the method {name!r} is none of {', '.join(known)}")
    return str(name)


def saved_method(model: Any, name: object, known: Sequence[str] = METHODS) -> str:
    """The name of a method that a model is saved with.

    Raises:
        ModelError: the model has none of that name, or it is none that predicts.
    """
    has = [one for one in known if callable(getattr(model, one, None))]
    if name not in has:
        raise ModelError(
            f"{kind(model).removeprefix('a value of type ')} has no method {name!r} that predicts (it has: "
            f"{', '.join(has) or 'none'})"
        )
    return str(name)


def bound_method(model: Any, name: str) -> Callable[..., Any]:
    """A method of a model.

    Raises:
        ModelError: the model has none of that name.
    """
    method = getattr(model, name, None)
    if not callable(method):
        has = ", ".join(one for one in METHODS if callable(getattr(model, one, None)))
        raise ModelError(f"{type(model).__name__} has no method {name!r} (it has: {has or 'none'})")
    return method  # type: ignore[no-any-return]


def with_params(
    function: Callable[..., Any], what: str, feed: Callable[[Any], Any] | None = None
) -> Predictor:
    """A method as ``f(model_input, params)``, which takes the params that the method has a place for.

    Args:
        function: the method.
        what: what it is called in the warning of others.
        feed: what is made of the input before.
    """
    known = inspect.signature(function).parameters

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        taken = {name: value for name, value in (params or {}).items() if name in known}
        if unknown := ", ".join(sorted(set(params or {}) - set(taken))):
            text = f"params that {what} does not take are ignored: {unknown}"
            warnings.warn(text, UnknownParamWarning, stacklevel=2)
        return function(model_input if feed is None else feed(model_input), **taken)

    return predict


@contextlib.contextmanager
def missing_libraries(directory: ModelDirectory) -> Iterator[None]:
    """Raise a failing import as a MissingDependencyError, with the command that installs the library."""
    try:
        yield
    except SparksigError:
        raise
    except ImportError as error:
        module = printable((error.name or "").partition(".")[0])
        if not module:
            text = f"loading the model needs a library that is not installed: {error}"
        elif isinstance(error, ModuleNotFoundError):
            text = f"loading the model needs the library {module!r}, which is not installed"
        else:
            text = f"loading the model needs another version of the library {module!r}: {error}"
        own = f". If {module!r} is a module of your own, save the model with code_paths=" if module else ""
        install = install_command(directory, module)
        raise MissingDependencyError(f"{directory.path}: {text}: {install}{own}") from error


@dataclass(frozen=True)
class FeaturePredictor:
    """A predictor of a model that knows the names of its features.

    Attributes:
        predict: the predictor.
        feature_names: the names, in the order in which the model expects them; None if it knows none.
    """

    predict: Predictor
    feature_names: tuple[str, ...] | None

    def __call__(self, model_input: Any, params: Mapping[str, Any] | None) -> Any:
        """Predict."""
        return self.predict(model_input, params)


def feature_names(model: Any, attribute: str = "feature_names_in_") -> tuple[str, ...] | None:
    """Return the feature names that a model was trained with; None if it was trained without names.

    Args:
        model: an estimator or a booster.
        attribute: the attribute, or the method, that has the names.

    Example:
        >>> import pandas as pd
        >>> from sklearn.linear_model import LinearRegression
        >>> frame = pd.DataFrame({"age": [1.0, 2.0], "power": [9.0, 5.0]})
        >>> feature_names(LinearRegression().fit(frame, [1, 2]))
        ('age', 'power')
        >>> feature_names(LinearRegression().fit(frame.to_numpy(), [1, 2]))
    """
    try:
        found = getattr(model, attribute, None)
        names = found() if callable(found) else found
    except Exception:  # a property of a model that is not fitted, of any class
        return None
    if names is None or not len(names) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(str(name) for name in names)


class ForMlflow:
    """What MLflow expects of a loader module: an object with ``predict(model_input, params=None)``.

    MLflow has enforced input and params; it calls the method by the name in MLmodel.
    """

    def __init__(self, predictor: Predictor, method: str = "predict") -> None:
        self._predictor = predictor
        setattr(self, method, self.predict)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The raw prediction."""
        return self._predictor(model_input, params)


def opened_by_mlflow(path: str | os.PathLike[str], flavor: str) -> tuple[ModelDirectory, Trust]:
    """A directory that MLflow loads, and the trust that MLflow gives.

    MLflow hands over the directory, or the file in it that MLmodel calls the data. Whoever calls MLflow's
    load_model trusts by MLflow's rules: its switch for pickles, and the types in MLmodel.
    """
    given = Path(path)
    directory = ModelDirectory.read(given if given.is_dir() else given.parent)
    allowed = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() in ("true", "1")
    types = (directory.flavor(flavor) or {}).get("skops_trusted_types") or ()
    if not isinstance(types, (list, tuple)) or not all(isinstance(name, str) for name in types):
        raise ModelDamagedError(f"{directory.path}: skops_trusted_types is a list of names")
    return directory, Trust(allow_pickle=allowed, trusted_types=tuple(types) if allowed else ())
