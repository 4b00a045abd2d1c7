"""PythonModels that were pickled with MLflow's base class, without MLflow.

Such a pickle holds the model's own class by value, and names a few things of MLflow: the base class, what
wraps a function, what validates the input by its type hint. Where MLflow is not installed, these names mean
what stands here. Any other name of MLflow in a pickle is an error that says so.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from sparksig.convert import hints
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import rows_of
from sparksig.errors import MissingDependencyError
from sparksig.models.python_model import PythonModelContext, is_serving

__all__ = ["unpickle"]


class _Base:
    """What MLflow's PythonModel is to a model that was pickled."""

    def load_context(self, context: PythonModelContext) -> None:
        """Called once after loading; does nothing by default."""


class _Function(_Base):
    """What MLflow makes of a function."""

    func: Callable[[Any], Any]

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What the function gives; MLflow hands it no params."""
        del params
        return self.func(model_input)


class _TypeHints:
    """What MLflow keeps of a function's type hints; nothing is read from it."""


class _FuncInfo(NamedTuple):
    """What MLflow knows of a function with a type hint."""

    input_type_hint: Any
    input_param_name: str


class _MlflowError(Exception):
    """MLflow's own error, as models raise it."""

    @classmethod
    def invalid_parameter_value(cls, message: str, **kwargs: Any) -> _MlflowError:
        """An error about an argument."""
        del kwargs
        return cls(message)


def _validate_model_input(
    args: tuple[Any, ...], kwargs: dict[str, Any], index: int, hint: Any, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of ``predict``, its data validated by the type hint: by the rules of this package."""
    listing = hints.parse_input(hint)

    def checked(data: Any) -> list[Any]:
        return check_rows(rows_of(data, listing), listing, from_json=is_serving())

    if name in kwargs:
        return args, {**kwargs, name: checked(kwargs[name])}
    if index < len(args):
        return (*args[:index], checked(args[index]), *args[index + 1 :]), kwargs
    return args, kwargs


_STANDING_IN: dict[tuple[str, str], Any] = {
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
        if (module, name) not in _STANDING_IN:
            raise MissingDependencyError.naming(
                "mlflow", f"the model's pickle: it names {module}.{name} and", "mlflow"
            )
        return _STANDING_IN[module, name]


def unpickle(stream: BinaryIO) -> Any:
    """What a stream holds, pickled by pickle or cloudpickle. It executes what the stream says.

    Raises:
        MissingDependencyError: it needs MLflow, which is not installed.
    """
    if importlib.util.find_spec("mlflow") is None:
        return _Unpickler(stream).load()
    return pickle.load(stream)  # noqa: S301  the caller's trust was asked for
