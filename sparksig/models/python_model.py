"""The base class of models written in Python."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["PythonModel", "PythonModelContext", "bind_predict"]


class PythonModelContext:
    """What a model is loaded with.

    Attributes:
        artifacts: from each artifact's name to the path of its file.
        model_config: the configuration it was saved with.
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None = None) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = dict(model_config or {})


class PythonModel(ABC):
    """A model written in Python: subclass it, and give it a ``predict``.

    ``predict`` takes the model's input, a DataFrame, and returns one prediction per row: an array, a
    Series, a list or a DataFrame. A parameter called ``context`` before it receives the
    :class:`PythonModelContext`, one called ``params`` after it the params.

    Example:
        >>> class Doubled(PythonModel):
        ...     def predict(self, model_input, params=None):
        ...         return model_input["x"] * 2
    """

    def load_context(self, context: PythonModelContext) -> None:  # noqa: B027  optional
        """Called once after loading, before the first prediction; does nothing by default."""

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """One prediction for each row of the input."""


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
        # a copy, so that no call changes the next one's; None where there are none, as MLflow hands over
        given = copy.deepcopy(dict(params)) if params else None
        return predict(*leading, params=given) if takes_params else predict(*leading)

    return bound
