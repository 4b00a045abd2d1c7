"""The interface of the formats, the options of loading and saving, and helpers that formats share."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import platform
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from sparksig.engine.text_dtypes import TextDtypes
from sparksig.errors import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    SparksigError,
    UnsupportedError,
    make_printable,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.trust import Trust
from sparksig.models.versions import format_install_command
from sparksig.models.virtualenvs import ModelEnvironment
from sparksig.params import UnknownParamWarning
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

Predictor = Callable[[Any, "Mapping[str, Any] | None"], Any]
"""A loaded model as a function: it accepts input and params, and returns a raw prediction."""


@runtime_checkable
class HasTextDtypes(Protocol):
    """A predictor whose model shows the dtypes of the text columns that it was trained with."""

    def infer_text_dtypes(self, inputs: Schema) -> TextDtypes:
        """Return the dtypes of text columns, as far as the model shows them."""


METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "decision_function",
    "transform",
)
"""The methods of estimators that return one prediction per row."""


@dataclass(frozen=True)
class LoadOptions:
    """The options of loading a model."""

    trust: Trust
    method: str | None = None  # that predicts; None for the saved one
    model_config: Mapping[str, Any] | None = None  # overrides entries of the saved configuration
    environment: ModelEnvironment | None = None  # None for that of this process


@dataclass(frozen=True)
class SaveOptions:
    """The options of saving a model: the arguments of :func:`sparksig.save_model`."""

    trusted_types: tuple[str, ...] = ()
    method: str = "predict"
    serialization_format: str | None = None
    signature: ModelSignature | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    model_config: Mapping[str, Any] | None = None
    loader_module: str | None = None
    data_path: str | os.PathLike[str] | None = None
    model_code: Path | None = None

    @property
    def inputs(self) -> Schema | None:
        """The inputs of the signature, or None."""
        return None if self.signature is None else self.signature.inputs


class Flavor(ABC):
    """A format of models."""

    name: ClassVar[str]  # the key in MLmodel's flavors
    mlflow_loader: ClassVar[str] = ""  # the module of MLflow that loads the format
    methods: ClassVar[Sequence[str]] = METHODS  # that predict
    has_feature_names: ClassVar[bool] = False  # the models may know the names of their features

    def matches(self, directory: ModelDirectory) -> bool:
        """Return whether a model directory has this format, saved by sparksig or by MLflow."""
        return directory.pyfunc.get("loader_module") in (self.mlflow_loader, type(self).__module__)

    @abstractmethod
    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        """Check that loading is possible and allowed, without executing anything.

        Raises:
            ModelNotTrustedError: loading would execute code, or build types, that the caller did not allow.
            ModelDamagedError: a file that MLmodel names is missing, damaged, or outside of the directory.
            UnsupportedError: the class or the serialization format is unknown, or the model does not accept
                the declared columns.
            MissingDependencyError: a package of the format is not installed.
        """

    @abstractmethod
    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        """Load a model from a directory that :meth:`check` accepts, as ``f(model_input, params)``.

        Raises:
            ModelDamagedError: the model's file cannot be read.
            ModelError: the model has no such method.
        """

    @abstractmethod
    def accepts(self, model: object) -> bool:
        """Return whether the format can save such a model."""

    @abstractmethod
    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        """Write the files of the format, and return the entries of MLmodel's flavors.

        Raises:
            ModelError: the model is not fitted, or has no such method.
            UnsupportedError: the format cannot store the model.
            MissingDependencyError: a package of the format is not installed.
        """

    @abstractmethod
    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        """Return the packages that loading needs, in addition to sparksig."""

    def create_predictor(self, model: Any, method: str, inputs: Schema | None = None) -> Predictor | None:
        """Return the predictor of a model in memory, for comparison with the loaded model.

        Returns None where the loaded model may predict differently, for example because its predictions
        depend on a context or on chance.
        """
        del model, method, inputs
        return None

    def opens_files(self, directory: ModelDirectory) -> bool:
        """Return whether the model itself opens files in its directory."""
        del directory
        return False

    def get_config(self, directory: ModelDirectory) -> Mapping[str, Any]:
        """Return the configuration of the format in MLmodel."""
        return directory.get_flavor(self.name) or {}

    def locate_file(self, directory: ModelDirectory) -> Path:
        """Return the path of the model's file."""
        return directory.resolve_member(self.get_config(directory).get("data"))

    def select_method(self, directory: ModelDirectory, loading: LoadOptions) -> str:
        """Return the name of the method that predicts: the caller's choice, or else the saved one."""
        name = loading.method or directory.pyfunc.get("predict_fn") or "predict"
        if name not in self.methods:
            raise UnsupportedError(
                f"{directory.path}: method: expected one of {', '.join(self.methods)}, got {name!r}"
            )
        return str(name)

    def load_for_mlflow(
        self, path: str | os.PathLike[str], model_config: Mapping[str, Any] | None = None
    ) -> MlflowAdapter:
        """Load a model for MLflow, which calls this method by the name ``_load_pyfunc`` in each module.

        The trust is that of MLflow's own loaders: its environment variable for pickles, and the types that
        MLmodel lists.
        """
        home = Path(path)
        directory = ModelDirectory.read(home if home.is_dir() else home.parent)
        is_allowed = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() in ("true", "1")
        types = self.get_config(directory).get("skops_trusted_types") or ()
        if not isinstance(types, (list, tuple)) or not all(isinstance(name, str) for name in types):
            raise ModelDamagedError(
                f"{directory.path}: skops_trusted_types: expected a list of names, got something else"
            )
        trust = Trust(allow_pickle=is_allowed, trusted_types=tuple(types) if is_allowed else ())
        loading = LoadOptions(trust, model_config=model_config)
        self.check(directory, loading)
        return MlflowAdapter(self.load(directory, loading), self.select_method(directory, loading))


class MlflowAdapter:
    """A model for MLflow, which enforces input and params, and calls the method that MLmodel names."""

    def __init__(self, predictor: Predictor, method: str = "predict") -> None:
        self._predictor = predictor
        setattr(self, method, self.predict)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the raw prediction."""
        return self._predictor(model_input, params)


def require_package(package: str, purpose: str, extra: str) -> None:
    """Raise MissingDependencyError unless a package is installed.

    The message begins with the purpose, and names the extra of sparksig that installs it.
    """
    if importlib.util.find_spec(package) is None:
        distribution = {"sklearn": "scikit-learn"}.get(package, package)
        raise MissingDependencyError.naming(distribution, purpose, extra)


def create_pyfunc_entry(loader_module: str | None, **entries: Any) -> dict[str, Any]:
    """Return the entry ``python_function`` of MLmodel's flavors."""
    return {"loader_module": loader_module, **entries, "python_version": platform.python_version()}


# --- methods ------------------------------------------------------------------------------------------------


def get_method(model: Any, name: str, methods: Sequence[str] = METHODS) -> Callable[..., Any]:
    """Return one of a model's methods that predict."""
    available: dict[str, Callable[..., Any]] = {
        method: function for method in methods if callable(function := getattr(model, method, None))
    }
    if name not in available:
        names = ", ".join(available) or "none"
        raise ModelError(f"{type(model).__name__} has no prediction method {name!r} (it has: {names})")
    return available[name]


@contextlib.contextmanager
def convert_errors(problem: str, error_type: type[ModelError] = ModelDamagedError) -> Iterator[None]:
    """Convert an error of a format's library to a ModelError with the problem and the error's first line."""
    try:
        yield
    except (ModelError, UnsupportedError, ImportError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise error_type(f"{problem}: {type(error).__name__}: {reason}") from error


@contextlib.contextmanager
def convert_import_errors(directory: ModelDirectory) -> Iterator[None]:
    """Convert a failing import to a MissingDependencyError, with the command that installs the library."""
    try:
        yield
    except SparksigError:
        raise
    except ImportError as error:
        module = make_printable((error.name or "").partition(".")[0])
        if not module:
            text = f"loading the model needs a library that is not installed: {error}"
        elif isinstance(error, ModuleNotFoundError):
            text = f"loading the model needs the library {module!r}, which is not installed"
        else:
            text = f"loading the model needs another version of the library {module!r}: {error}"
        hint = f". If {module!r} is your own module, save the model with code_paths=" if module else ""
        install = format_install_command(directory, module)
        raise MissingDependencyError(f"{directory.path}: {text}: {install}{hint}") from error


# --- features -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeaturePredictor:
    """A predictor of a model that may know the names of its features."""

    function: Callable[..., Any]  # the method that predicts
    name: str  # of the method, for messages
    prepare: Callable[[Any], Any]  # converts the model's input for the method
    feature_names: tuple[str, ...] | None  # in the order that the model expects; None if it knows no names

    def __call__(self, model_input: Any, params: Mapping[str, Any] | None) -> Any:
        """Predict. Params that the method does not accept are ignored, with a warning."""
        parameters = inspect.signature(self.function).parameters
        accepted = {key: value for key, value in (params or {}).items() if key in parameters}
        if ignored := ", ".join(sorted(set(params or {}) - set(accepted))):
            text = f"params that {self.name} does not accept are ignored: {ignored}"
            warnings.warn(text, UnknownParamWarning, stacklevel=2)
        return self.function(self.prepare(model_input), **accepted)


def get_feature_names(model: Any, attribute: str = "feature_names_in_") -> tuple[str, ...] | None:
    """Return the feature names that a model was trained with; None if it was trained without names.

    Example:
        >>> import pandas as pd
        >>> from sklearn.linear_model import LinearRegression
        >>> frame = pd.DataFrame({"age": [1.0, 2.0], "power": [9.0, 5.0]})
        >>> get_feature_names(LinearRegression().fit(frame, [1, 2]))
        ('age', 'power')
        >>> get_feature_names(LinearRegression().fit(frame.to_numpy(), [1, 2]))
    """
    try:
        value = getattr(model, attribute, None)
        names = value() if callable(value) else value
    except Exception:  # the property of a model that is not fitted may raise any error
        return None
    if names is None or not len(names) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(str(name) for name in names)
