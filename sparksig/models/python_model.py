"""Models written in Python: their base class, and the type hint of their input as a contract."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import os
import types
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from sparksig.convert.annotations import parse_hint, parse_input_hint
from sparksig.convert.hint_tree import ListHint, get_type, is_frame
from sparksig.convert.mlflow import get_mlflow_class
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import to_rows
from sparksig.errors import (
    Code,
    ConversionError,
    Finding,
    ModelError,
    SparksigWarning,
    UnsupportedError,
    name_type,
)
from sparksig.schema import ColSpec, Schema

F = TypeVar("F", bound=Callable[..., Any])


class TypeHintWarning(SparksigWarning):
    """A warning that a model's input is not validated, because its type hint is not a contract."""


class SignatureMismatchWarning(SparksigWarning):
    """A warning that a signature differs from the type hint of the saved model. The type hint is used."""


class TypeFromExample:
    """The type hint of an input whose schema :func:`~sparksig.infer_signature` infers from the example.

    Example:
        >>> class Doubled(PythonModel):
        ...     def predict(self, model_input: TypeFromExample):
        ...         return model_input["x"] * 2
        >>> import tempfile, pandas, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, Doubled(), input_example=pandas.DataFrame({"x": [1.5]}))
        >>> sparksig.get_model_info(home).signature.inputs
        ['x': double (required)]
    """


class PythonModelContext:
    """The artifacts and the configuration of a loaded model.

    Attributes:
        artifacts: the paths of the artifacts by their names.
        model_config: the configuration that the model was saved with.

    Example:
        >>> context = PythonModelContext({"words": "/tmp/words.txt"}, {"limit": 3})
        >>> context.artifacts["words"], context.model_config["limit"]
        ('/tmp/words.txt', 3)
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None = None) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = dict(model_config or {})


class PythonModel(ABC):
    """The base class of models written in Python. A subclass defines ``predict``.

    ``predict`` accepts the model's input, a DataFrame, and returns one prediction per row: an array, a
    Series, a list or a DataFrame. If it has a parameter ``context`` before the input, it receives the
    :class:`PythonModelContext`; if it has a parameter ``params`` after the input, it receives the params.

    A type hint ``list[X]`` of the input is a contract: ``predict`` then receives a list with one element per
    row, validated and converted as by :func:`pyfunc`, and the signature comes from the hint. X may be a
    pydantic model, a dataclass, a TypedDict or a NamedTuple; the rows are instances of it.

    Raises:
        ConversionError: the class is defined with a contradictory type hint (``list[dict]`` without types,
            keys that are not strings, a model that contains itself), or with a field that no signature type
            can represent without loss. The error has all findings.

    Warns:
        TypeHintWarning: the type hint cannot be validated, so the input is not validated.

    Example:
        >>> class Lengths(PythonModel):
        ...     def predict(self, model_input: list[str]) -> list[int]:
        ...         return [len(text) for text in model_input]
        >>> Lengths().predict(["a", 7])
        Traceback (most recent call last):
        sparksig.errors.ContractError: the data does not fit the type hint: 1 finding
          - []: expected str, got a value of type int, once, first in row 1 [TYPE_MISMATCH]
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        predict = cls.__dict__.get("predict")
        if isinstance(predict, (staticmethod, classmethod)):
            cls.predict = type(predict)(_validate_input(predict.__func__, cls.__qualname__))  # type: ignore
        elif isinstance(predict, types.FunctionType):
            cls.predict = _validate_input(predict, cls.__qualname__)  # type: ignore[method-assign]

    def load_context(self, context: PythonModelContext) -> None:  # noqa: B027  optional
        """Prepare the model after loading, before the first prediction. Does nothing by default.

        Args:
            context: the model's artifacts and its configuration.
        """

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict each row of the input.

        Args:
            args: the context, if there is a parameter ``context``, and the model's input.
            kwargs: ``params``, if there is a parameter of that name.
        """


def pyfunc(function: F) -> F:
    """Decorate a function so that its input is validated by its type hint ``list[X]``.

    The function receives a list with one element per row. A frame or an array is converted to its rows, and
    dictionaries to instances of the hint's pydantic model. Data that fits already is passed on unchanged.
    The decorated function has the same parameters.

    Args:
        function: a function whose parameters are the model's input and optionally ``params``.

    Returns:
        The function, with its input validated.

    Raises:
        ConversionError: the type hint is contradictory, or the decorated object is not a function.
        ContractError: on a call, if values do not fit; with their paths and rows.

    Warns:
        TypeHintWarning: there is no type hint, or it cannot be validated.

    Example:
        >>> @pyfunc
        ... def add_one(model_input: list[float]) -> list[float]:
        ...     return [value + 1 for value in model_input]
        >>> add_one([1, 2.5])
        [2.0, 3.5]
    """
    if not inspect.isfunction(function):
        raise ConversionError(f"pyfunc: expected a function (def ...), got {name_type(function)}")
    name = _find_data_parameter(function)
    if name is None or name not in function.__annotations__:
        text = (
            f"{function.__name__}: the input is not validated, because it has no type hint. Add one, for "
            "example list[str]"
        )
        warnings.warn(text, TypeHintWarning, stacklevel=2)
        return function
    return _validate_input(function, function.__qualname__)


class FunctionModel:
    """A model made of a function, or of another callable object. The type hint validates the input."""

    def __init__(self, function: Callable[..., Any]) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError) as error:
            raise ModelError(f"{name} cannot be used as a model: {error}") from None
        required = [
            key
            for key, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind not in _VARIADIC
            and key not in ("params", "context")
        ]
        if len(required) != 1 or parameters[required[0]].kind is inspect.Parameter.KEYWORD_ONLY:
            raise ModelError(
                f"{name} cannot be used as a model: expected a function with one required parameter, the "
                "input, and optionally context and params, got a function that requires "
                f"{', '.join(required) or 'no parameter'}"
            )
        self._extra_parameters = frozenset({"context", "params"} & set(parameters))
        self.function = _validate_call(function)

    def load_context(self, context: PythonModelContext) -> None:
        """Do nothing: a function receives its context together with the input."""

    def predict(self, context: Any, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the function with the input, and with the context and params that it accepts."""
        values = {"context": context, "params": params}
        extra = {name: values[name] for name in self._extra_parameters}
        if "context" in extra and next(iter(inspect.signature(self.function).parameters)) == "context":
            return self.function(extra.pop("context"), model_input, **extra)
        return self.function(model_input, **extra)


def _validate_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callable that validates its input by the type hint of the function or of ``__call__``."""
    if inspect.isfunction(function):
        return _validate_input(function, function.__qualname__)
    call = inspect.getattr_static(type(function), "__call__", None)
    if not inspect.isfunction(call):
        return function
    validated = _validate_input(call, call.__qualname__)
    if not hasattr(validated, _CONTRACT):
        return function
    bound = functools.partial(validated, function)
    setattr(bound, _CONTRACT, getattr(validated, _CONTRACT))
    return bound


def _get_contract(model: object) -> _Contract | None:
    """Return the contract that the type hints of a model declare, if any."""
    predict = model.function if isinstance(model, FunctionModel) else getattr(model, "predict", model)
    if is_mlflow_model(model):
        return _get_mlflow_contract(predict)
    contract: _Contract | None = getattr(predict, _CONTRACT, None)
    return contract


def is_mlflow_model(model: object) -> bool:
    """Return whether a model is a PythonModel of MLflow, or a subclass of it."""
    name = get_mlflow_class(model, "mlflow.pyfunc.model")
    if name in ("ChatModel", "ChatAgent", "ResponsesAgent"):
        raise UnsupportedError(
            f"cannot save a {name} of MLflow. Use mlflow.pyfunc.save_model, or write a PythonModel whose "
            "input has columns"
        )
    return name == "PythonModel"


def _get_mlflow_contract(predict: Any) -> _Contract | None:
    """Return the contract of a PythonModel of MLflow, if MLflow validates its input by the type hint."""
    function = inspect.unwrap(getattr(predict, "__func__", predict))
    contract = _read_contract(function)
    code = getattr(predict, "__code__", None)
    is_validated = code is not None and "_validate_model_input" in code.co_names
    return contract if contract and (is_validated or contract.from_example) else None


@functools.lru_cache(maxsize=32)
def _read_contract(function: Callable[..., Any]) -> _Contract | None:
    return _parse_contract(function, function.__qualname__)


def as_python_model(model: Any) -> Any:
    """Convert a PythonModel class to an instance of it, and a function to a model.

    Any other object is returned unchanged.
    """
    if isinstance(model, type) and (issubclass(model, PythonModel) or is_mlflow_model(model)):
        try:
            return model()
        except TypeError as error:
            raise ModelError(
                f"cannot instantiate {model.__name__}(): {error}. Pass an instance of the class"
            ) from error
    if inspect.isroutine(model) or isinstance(model, functools.partial):
        return FunctionModel(model)
    return model


def as_callable_model(model: Any) -> Any:
    """Convert a callable object that is not a PythonModel to a model; return any other object unchanged."""
    if callable(model) and not isinstance(model, type) and not hasattr(model, "load_context"):
        return FunctionModel(model)
    return model


@dataclass(frozen=True)
class _Contract:
    """The contract that the type hints of a function declare."""

    data: str  # the name of the input parameter
    input: ListHint | None  # None if the type hint is not a list
    from_example: bool  # the type hint of the input is TypeFromExample
    output: Schema | None  # that the type hint of the output declares


_SERVING: ContextVar[bool] = ContextVar("sparksig_serving", default=False)


def is_serving() -> bool:
    """Return whether the input comes from JSON, where bytes and times are text."""
    # MLflow's server sets the variable
    return _SERVING.get() or os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "").lower() == "true"


@contextlib.contextmanager
def set_serving() -> Iterator[None]:
    """Treat the input of models as JSON while the block runs."""
    token = _SERVING.set(True)
    try:
        yield
    finally:
        _SERVING.reset(token)


_CONTRACT = "_sparksig_contract"
"""The attribute of a function that stores its contract.

The type hints of a function may be unresolvable after it was pickled by value.
"""
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _validate_input(function: F, name: str) -> F:
    """Return a function that validates its input by its type hint; ``name`` is for messages."""
    if hasattr(function, _CONTRACT) or getattr(function, "__isabstractmethod__", False):
        return function
    contract = _parse_contract(function, name)
    if contract is None:
        return function
    setattr(function, _CONTRACT, contract)
    if contract.input is None:
        return function
    signature, list_hint, data = inspect.signature(function), contract.input, contract.data

    @functools.wraps(function)
    def validated(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        rows = to_rows(bound.arguments[data], list_hint)
        bound.arguments[data] = check_rows(rows, list_hint, from_json=is_serving())
        return function(*bound.args, **bound.kwargs)

    return validated  # type: ignore[return-value]


def _parse_contract(function: Callable[..., Any], name: str) -> _Contract | None:
    data = _find_data_parameter(function)
    if data is None or data not in getattr(function, "__annotations__", {}):
        return None
    hint, list_hint = _resolve_hint(function, data, name), None
    full_name = (getattr(hint, "__module__", ""), getattr(hint, "__name__", ""))
    # MLflow's TypeFromExample is a type variable, to be recognized without importing MLflow
    from_example = hint is TypeFromExample or full_name == ("mlflow.types.type_hints", "TypeFromExample")
    if hint is not None and not from_example and not is_frame(hint):
        try:
            list_hint = parse_input_hint(hint)
        except ConversionError as error:
            if any(map(_is_contradiction, error.findings)):
                raise ConversionError(f"{name}: {error.message}", error.findings) from None
            reason = "; ".join(str(finding) for finding in error.findings)
            _warn(f"{name}: the input is not validated by its type hint: {reason}")
    output = _parse_output(_resolve_hint(function, "return", name), name) if list_hint is not None else None
    return _Contract(data, list_hint, from_example, output)


def _is_contradiction(finding: Finding) -> bool:
    """Return whether a finding is an error; rows of an unsupported type only prevent the validation."""
    return finding.code is not Code.UNSUPPORTED_TYPE or bool(finding.path.strip("[]"))


def _resolve_hint(function: Callable[..., Any], parameter: str, name: str) -> Any:
    """Return one annotation of a function; None if it is missing or cannot be resolved."""
    annotations = {key: value for key, value in function.__annotations__.items() if key == parameter}
    try:
        holder = types.SimpleNamespace(__annotations__=annotations)
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        return get_type_hints(holder, globalns=scope, include_extras=True).get(parameter)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        side = "output" if parameter == "return" else "input"
        _warn(
            f"{name}: the {side} is not validated, because its type hint cannot be resolved "
            f"({type(error).__name__}: {error}). Define its types at the top of their module"
        )
        return None


def _warn(text: str) -> None:
    """Warn at the line that defines the class or the function."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "abc"):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, TypeHintWarning, stacklevel=level)


def _find_data_parameter(function: Callable[..., Any]) -> str | None:
    """Return the input parameter: model_input, or else the parameter that has no other meaning."""
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("self", "cls", "params") and parameter.kind not in _VARIADIC
    ]
    if "model_input" in names:
        return "model_input"
    return names[1] if len(names) == 2 else next((name for name in names if name != "context"), None)


def is_from_example(model: object) -> bool:
    """Return whether the type hint of a model's input is :class:`TypeFromExample`."""
    contract = _get_contract(model)
    return contract is not None and contract.from_example


def convert_to_rows(model: object, data: Any) -> Any:
    """Convert data to the rows that a model's type hint declares; return it unchanged without such a hint."""
    contract = _get_contract(model)
    return data if contract is None or contract.input is None else to_rows(data, contract.input)


def get_hint_schemas(model: object) -> tuple[Schema | None, Schema | None]:
    """Return the schemas of input and output that a model's type hints declare; None without a hint."""
    contract = _get_contract(model)
    if contract is None or contract.input is None:
        return None, None
    return Schema([ColSpec(get_type(contract.input.item))]), contract.output


def _parse_output(hint: Any, name: str) -> Schema | None:
    """Return the schema of an output's type hint: of the elements of a list, else of the hint itself."""
    if hint is None or hint is type(None) or is_frame(hint):
        return None
    try:
        parsed = parse_hint(hint)
    except ConversionError as error:
        reason = "; ".join(str(finding) for finding in error.findings)
        _warn(f"{name}: the type hint of the output is ignored: {reason}")
        return None
    # a tuple of a fixed length is a single row
    row = parsed.item if isinstance(parsed, ListHint) and parsed.length is None else parsed
    return Schema([ColSpec(get_type(row))])


def bind_predict(predict: Callable[..., Any], context: Any) -> Callable[[Any, Mapping[str, Any] | None], Any]:
    """Return the ``predict`` of a PythonModel as ``f(model_input, params)``, for all allowed parameters.

    The context is passed if ``predict`` has a parameter ``context``, or, as in MLflow, if it has two
    parameters besides ``params``. The params are passed if it has a parameter ``params``.
    """
    names = list(inspect.signature(predict).parameters)
    accepts_params = "params" in names
    accepts_context = "context" in names or len([name for name in names if name != "params"]) == 2

    def call(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        arguments = (context, model_input) if accepts_context else (model_input,)
        if not accepts_params:
            return predict(*arguments)
        # a copy: a model may change its params, and the next call must not see the change
        return predict(*arguments, params=None if params is None else copy.deepcopy(dict(params)))

    return call
