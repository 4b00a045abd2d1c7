"""Loading PythonModels that were pickled with MLflow's base class, where MLflow is not installed.

Such a pickle contains the model's own class by value, and refers to a few names of MLflow: the base class,
the wrapper of functions, and the validation of inputs by type hints. This module replaces these names. A
pickle that refers to any other name of MLflow is refused.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from sparksig.convert.annotations import parse_input_hint
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import to_rows
from sparksig.errors import MissingDependencyError
from sparksig.models.python_model import PythonModelContext, is_serving


class _Base:
    """The replacement of MLflow's PythonModel."""

    def load_context(self, context: PythonModelContext) -> None:
        """Do nothing. Subclasses may override it to prepare the model after loading."""


class _Function(_Base):
    """The replacement of MLflow's wrapper of a function."""

    func: Callable[[Any], Any]

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the function, without params as in MLflow."""
        del params
        return self.func(model_input)


class _TypeHints:
    """The replacement of MLflow's record of a function's type hints, which sparksig does not read."""


class _FuncInfo(NamedTuple):
    """The replacement of MLflow's record of a function with a type hint."""

    input_type_hint: Any
    input_param_name: str


class _MlflowError(Exception):
    """The replacement of MLflow's error, which models may raise."""

    @classmethod
    def invalid_parameter_value(cls, message: str, **kwargs: Any) -> _MlflowError:
        """Return an error about an argument."""
        del kwargs
        return cls(message)


def _validate_model_input(
    args: tuple[Any, ...], kwargs: dict[str, Any], index: int, hint: Any, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Validate the data among the arguments of ``predict`` by the type hint, by sparksig's rules."""
    list_hint = parse_input_hint(hint)

    def validate(data: Any) -> list[Any]:
        return check_rows(to_rows(data, list_hint), list_hint, from_json=is_serving())

    if name in kwargs:
        return args, {**kwargs, name: validate(kwargs[name])}
    if index < len(args):
        return (*args[:index], validate(args[index]), *args[index + 1 :]), kwargs
    return args, kwargs


_REPLACEMENTS: dict[tuple[str, str], Any] = {
    ("mlflow.pyfunc.model", "PythonModel"): _Base,
    ("mlflow.pyfunc.model", "PythonModelContext"): PythonModelContext,
    ("mlflow.pyfunc.model", "_FunctionPythonModel"): _Function,
    ("mlflow.models.signature", "_TypeHints"): _TypeHints,
    ("mlflow.pyfunc.utils.data_validation", "FuncInfo"): _FuncInfo,
    ("mlflow.pyfunc.utils.data_validation", "_validate_model_input"): _validate_model_input,
    ("mlflow.exceptions", "MlflowException"): _MlflowError,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "mlflow":
            return super().find_class(module, name)
        if (module, name) not in _REPLACEMENTS:
            raise MissingDependencyError.naming(
                "mlflow", f"the model's pickle: it refers to {module}.{name} and", "mlflow"
            )
        return _REPLACEMENTS[module, name]


def unpickle(stream: BinaryIO) -> Any:
    """Load an object that pickle or cloudpickle wrote. This executes code from the stream."""
    if importlib.util.find_spec("mlflow") is None:
        return _Unpickler(stream).load()
    return pickle.load(stream)  # noqa: S301  the caller allowed it
