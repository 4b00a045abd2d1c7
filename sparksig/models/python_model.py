"""Models written in Python: the base class, and type hints of their input as a contract."""

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

from sparksig.convert import hints
from sparksig.convert.mlflow import mlflow_class
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import rows_of
from sparksig.errors import Code, ConversionError, Finding, ModelError, UnsupportedError, kind
from sparksig.schema import ColSpec, Schema

__all__ = [
    "FunctionModel",
    "PythonModel",
    "PythonModelContext",
    "SignatureMismatchWarning",
    "TypeFromExample",
    "TypeHintWarning",
    "as_callable_model",
    "as_python_model",
    "bind_predict",
    "hinted_rows",
    "hinted_schemas",
    "is_from_example",
    "is_mlflow_model",
    "is_serving",
    "pyfunc",
    "serving",
]

F = TypeVar("F", bound=Callable[..., Any])


class TypeHintWarning(UserWarning):
    """A type hint of a model's input is no contract: the data is not validated by it."""


class SignatureMismatchWarning(UserWarning):
    """A signature differs from the type hint of the model with which it is saved; the type hint is used."""


class TypeFromExample:
    """The type hint of an input whose schema comes from an example, as by :func:`~sparksig.infer_signature`.

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
    """What a model is loaded with.

    Attributes:
        artifacts: from each artifact's name to the path of its file.
        model_config: the configuration it was saved with.

    Example:
        >>> context = PythonModelContext({"words": "/tmp/words.txt"}, {"limit": 3})
        >>> context.artifacts["words"], context.model_config["limit"]
        ('/tmp/words.txt', 3)
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None = None) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = dict(model_config or {})


class PythonModel(ABC):
    """A model written in Python: subclass it, and give it a ``predict``.

    ``predict`` takes the model's input, a DataFrame, and returns one prediction per row: an array, a
    Series, a list or a DataFrame. A parameter called ``context`` before it receives the
    :class:`PythonModelContext`, one called ``params`` after it the params.

    A type hint ``list[X]`` of the input is its contract: ``predict`` then takes a list with one element
    a row, validated and converted by :func:`pyfunc`, and the signature comes from the hint. X may be a
    pydantic model, a dataclass, a TypedDict or a NamedTuple: the rows are instances of it.

    Raises:
        ConversionError: on defining a class whose hint contradicts itself (a bare ``list[dict]``, keys that
            are no strings, a model inside itself), or with a field that no signature type holds without loss;
            every finding.

    Warns:
        TypeHintWarning: the hint is none that can be validated, so that nothing is.

    Example:
        >>> class Lengths(PythonModel):
        ...     def predict(self, model_input: list[str]) -> list[int]:
        ...         return [len(text) for text in model_input]
        >>> Lengths().predict(["a", 7])
        Traceback (most recent call last):
        sparksig.errors.ContractError: the data does not fit the type hint: 1 finding
          - []: expected str, found a value of type int, once, first in row 1 [TYPE_MISMATCH]
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        predict = cls.__dict__.get("predict")
        if isinstance(predict, (staticmethod, classmethod)):
            cls.predict = type(predict)(_validated(predict.__func__, of=cls.__qualname__))  # type: ignore
        elif isinstance(predict, types.FunctionType):
            cls.predict = _validated(predict, of=cls.__qualname__)  # type: ignore[method-assign]

    def load_context(self, context: PythonModelContext) -> None:  # noqa: B027  optional
        """Called once after loading, before the first prediction; does nothing by default.

        Args:
            context: the model's artifacts and its configuration.
        """

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """One prediction for each row of the input.

        Args:
            args: the model's input; the context before it, if there is a parameter ``context``.
            kwargs: ``params``, if there is a parameter of that name.
        """


def pyfunc(function: F) -> F:
    """Validate the input of a function by its type hint ``list[X]``; a decorator.

    The function is called with a list of one element a row: of a frame or an array its rows, of
    dictionaries instances of a hint's pydantic model. Data that fits is handed over as it is. Its
    signature is still what it was.

    Args:
        function: what takes the model's input as its only parameter, or beside ``params``.

    Returns:
        The function, which validates what it is called with.

    Raises:
        ConversionError: the hint contradicts itself, or it is no function that is decorated.
        ContractError: on a call: all values that do not fit, with their paths and rows.

    Warns:
        TypeHintWarning: there is no hint, or none that can be validated.

    Example:
        >>> @pyfunc
        ... def add_one(model_input: list[float]) -> list[float]:
        ...     return [value + 1 for value in model_input]
        >>> add_one([1, 2.5])
        [2.0, 3.5]
    """
    if not inspect.isfunction(function):
        raise ConversionError(f"pyfunc decorates a function (def ...), not {kind(function)}")
    name = _data_name(function)
    if name is None or name not in function.__annotations__:
        text = f"{function.__name__} has no type hint for its input, as list[str]: nothing is validated"
        warnings.warn(text, TypeHintWarning, stacklevel=2)
        return function
    return _validated(function, of=function.__qualname__)


class FunctionModel:
    """A function, or another callable object, as a model: what :func:`sparksig.save_model` makes of one.

    Attributes:
        function: the function, its input validated by its type hint.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        try:
            known = inspect.signature(function).parameters
        except (TypeError, ValueError) as error:
            raise ModelError(f"{name} is no model: {error}") from None
        gathered = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [
            key
            for key, one in known.items()
            if one.default is one.empty and one.kind not in gathered and key not in ("params", "context")
        ]
        if len(needed) != 1 or known[needed[0]].kind is inspect.Parameter.KEYWORD_ONLY:
            raise ModelError(
                f"{name} is no model: a function takes one input, and, if it wants to, parameters "
                "called context and "
                f"params; it needs {', '.join(needed) or 'none'}"
            )
        self._beside = frozenset({"context", "params"} & set(known))
        self.function = _validated_call(function)

    def load_context(self, context: PythonModelContext) -> None:
        """Nothing: a function that asks for its context is handed it with the input."""

    def predict(self, context: Any, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What the function gives."""
        beside = {"context": context, "params": params}
        given = {name: beside[name] for name in self._beside}
        if "context" in given and next(iter(inspect.signature(self.function).parameters)) == "context":
            return self.function(given.pop("context"), model_input, **given)
        return self.function(model_input, **given)


def _validated_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose input is validated by its type hint; of a callable object, by that of ``__call__``."""
    if inspect.isfunction(function):
        return _validated(function, of=function.__qualname__)
    call = inspect.getattr_static(type(function), "__call__", None)
    if not inspect.isfunction(call):
        return function
    validated = _validated(call, of=call.__qualname__)
    if not hasattr(validated, _KEPT):
        return function
    bound = functools.partial(validated, function)
    setattr(bound, _KEPT, getattr(validated, _KEPT))
    return bound


def _kept(model: object) -> _Contract | None:
    """The contract that the type hints of a model say, if it has one."""
    predicts = model.function if isinstance(model, FunctionModel) else getattr(model, "predict", model)
    if is_mlflow_model(model):
        return _mlflow_contract(predicts)
    contract: _Contract | None = getattr(predicts, _KEPT, None)
    return contract


def is_mlflow_model(model: object) -> bool:
    """Return whether a model is a PythonModel of MLflow, or a class of them.

    Raises:
        UnsupportedError: it is one of MLflow's chat models or agents, which have requests of their own.
    """
    name = mlflow_class(model, "mlflow.pyfunc.model")
    if name in ("ChatModel", "ChatAgent", "ResponsesAgent"):
        raise UnsupportedError(
            f"a {name} of MLflow is not saved here: use mlflow.pyfunc.save_model, or write a PythonModel "
            "whose input has columns"
        )
    return name == "PythonModel"


def _mlflow_contract(predict: Any) -> _Contract | None:
    """Return what the type hints of a PythonModel of MLflow declare, as far as MLflow validates them."""
    function = inspect.unwrap(getattr(predict, "__func__", predict))
    contract = _read_contract(function)
    code = getattr(predict, "__code__", None)
    is_validated = code is not None and "_validate_model_input" in code.co_names
    return contract if contract and (is_validated or contract.from_example) else None


@functools.lru_cache(maxsize=32)
def _read_contract(function: Callable[..., Any]) -> _Contract | None:
    return _contract(function, function.__qualname__)


def as_python_model(model: Any) -> Any:
    """Return a class of PythonModels as an instance of it, a function as a model; anything else as it is.

    Raises:
        ModelError: the class cannot be called without arguments, or the function is none of a model.
    """
    if isinstance(model, type) and (issubclass(model, PythonModel) or is_mlflow_model(model)):
        try:
            return model()
        except TypeError as error:
            raise ModelError(
                f"the class {model.__name__} is made an object without arguments, and that fails: {error}. "
                "Pass an object of it"
            ) from error
    if inspect.isroutine(model) or isinstance(model, functools.partial):
        return FunctionModel(model)
    return model


def as_callable_model(model: Any) -> Any:
    """A callable object that is no PythonModel as a function is; anything else as it is.

    Raises:
        ModelError: it does not take one input.
    """
    if callable(model) and not isinstance(model, type) and not hasattr(model, "load_context"):
        return FunctionModel(model)
    return model


@dataclass(frozen=True)
class _Contract:
    """What the type hints of a function say.

    Attributes:
        data: the name of the parameter that takes the data.
        input: the tree of its hint; None where that is no list.
        from_example: whether it is :class:`TypeFromExample`.
        output: the schema that the hint of what is returned says; None where it says none.
    """

    data: str
    input: hints.Listing | None
    from_example: bool
    output: Schema | None


_SERVING: ContextVar[bool] = ContextVar("sparksig_serving", default=False)


def is_serving() -> bool:
    """Whether data comes from JSON: bytes and times are text in it."""
    # the name of MLflow's switch, set where its server hands JSON over
    return _SERVING.get() or os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "").lower() == "true"


@contextlib.contextmanager
def serving() -> Iterator[None]:
    """Data is JSON, for as long as the block runs."""
    token = _SERVING.set(True)
    try:
        yield
    finally:
        _SERVING.reset(token)


_KEPT = "_sparksig_contract"
"""Where a function keeps its contract: its hints may not resolve any more once it was pickled by value."""


def _validated(function: F, of: str) -> F:
    if hasattr(function, _KEPT) or getattr(function, "__isabstractmethod__", False):
        return function
    contract = _contract(function, of)
    if contract is None:
        return function
    setattr(function, _KEPT, contract)
    if contract.input is None:
        return function
    known, listing, data = inspect.signature(function), contract.input, contract.data

    @functools.wraps(function)
    def validated(*args: Any, **kwargs: Any) -> Any:
        bound = known.bind(*args, **kwargs)
        bound.apply_defaults()
        rows = rows_of(bound.arguments[data], listing)
        bound.arguments[data] = check_rows(rows, listing, from_json=is_serving())
        return function(*bound.args, **bound.kwargs)

    return validated  # type: ignore[return-value]


def _contract(function: Callable[..., Any], of: str) -> _Contract | None:
    data = _data_name(function)
    if data is None or data not in getattr(function, "__annotations__", {}):
        return None
    hint, listing = _resolved(function, data, of), None
    name = (getattr(hint, "__module__", ""), getattr(hint, "__name__", ""))  # MLflow's is a type variable
    from_example = hint is TypeFromExample or name == ("mlflow.types.type_hints", "TypeFromExample")
    if hint is not None and not from_example and not hints.is_frame(hint):
        try:
            listing = hints.parse_input(hint)
        except ConversionError as error:
            if any(map(_is_refused, error.findings)):
                raise ConversionError(f"{of}: {error.message}", error.findings) from None
            reason = "; ".join(str(finding) for finding in error.findings)
            _warn(f"{of}: the type hint of the input validates nothing: {reason}")
    output = _output(_resolved(function, "return", of), of) if listing is not None else None
    return _Contract(data, listing, from_example, output)


def _is_refused(finding: Finding) -> bool:
    """Return whether a finding makes a hint an error: rows of a foreign type only validate nothing."""
    return finding.code is not Code.UNSUPPORTED_TYPE or bool(finding.path.strip("[]"))


def _resolved(function: Callable[..., Any], name: str, of: str) -> Any:
    """One annotation of a function, None if there is none or it cannot be resolved."""
    annotations = {k: v for k, v in function.__annotations__.items() if k == name}
    try:
        one = types.SimpleNamespace(__annotations__=annotations)
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        return get_type_hints(one, globalns=scope, include_extras=True).get(name)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        what = "output" if name == "return" else "input"
        _warn(
            f"{of}: the type hint of the {what} cannot be resolved ({type(error).__name__}: {error}), "
            "and validates nothing: define its types at the top of their module"
        )
        return None


def _warn(text: str) -> None:
    frame, level = inspect.currentframe(), 1  # up to the line that defines the class or the function
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "abc"):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, TypeHintWarning, stacklevel=level)


def _data_name(function: Callable[..., Any]) -> str | None:
    """The parameter that takes the data: model_input, or the one beside self, context and params."""
    gathered = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = inspect.signature(function).parameters.items()
    names = [
        name for name, one in known if name not in ("self", "cls", "params") and one.kind not in gathered
    ]
    if "model_input" in names:
        return "model_input"
    return names[1] if len(names) == 2 else next((name for name in names if name != "context"), None)


def is_from_example(model: object) -> bool:
    """Whether the type hint of a model's input is :class:`TypeFromExample`."""
    contract = _kept(model)
    return contract is not None and contract.from_example


def hinted_rows(model: object, data: Any) -> Any:
    """Data as the rows that a model's type hint asks for; as it is where there is no such hint."""
    contract = _kept(model)
    return data if contract is None or contract.input is None else rows_of(data, contract.input)


def hinted_schemas(model: object) -> tuple[Schema | None, Schema | None]:
    """The schemas of input and output that a model's type hints say; None where they do not."""
    contract = _kept(model)
    if contract is None or contract.input is None:
        return None, None
    return Schema([ColSpec(hints.type_of(contract.input.item))]), contract.output


def _output(hint: Any, of: str) -> Schema | None:
    """A list has one element a row; any other hint is the type of a row. None for what is no contract."""
    if hint is None or hint is type(None) or hints.is_frame(hint):
        return None
    try:
        parsed = hints.parse(hint)
    except ConversionError as error:
        reason = "; ".join(str(finding) for finding in error.findings)
        _warn(f"{of}: the type hint of the output says nothing: {reason}")
        return None
    # a tuple of a fixed length is one row
    row = parsed.item if isinstance(parsed, hints.Listing) and parsed.length is None else parsed
    return Schema([ColSpec(hints.type_of(row))])


def bind_predict(predict: Callable[..., Any], context: Any) -> Callable[[Any, Mapping[str, Any] | None], Any]:
    """``predict`` of any of the forms that a PythonModel may have, as ``f(model_input, params)``.

    The context is handed over if there is a parameter ``context``, or, as in MLflow, two of them beside
    ``params``; params only if there is a parameter of that name.
    """
    names = list(inspect.signature(predict).parameters)
    takes_params = "params" in names
    takes_context = "context" in names or len([name for name in names if name != "params"]) == 2

    def bound(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        leading = (context, model_input) if takes_context else (model_input,)
        # a copy, so that no call changes the next one's
        given = None if params is None else copy.deepcopy(dict(params))
        return predict(*leading, params=given) if takes_params else predict(*leading)

    return bound
