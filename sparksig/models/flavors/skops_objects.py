"""Checks that the parts of an object built from a skops file fit together, before its methods are called.

Every object is checked together with the attribute that refers to it. The rules of single estimators are in
:mod:`sparksig.models.flavors.skops_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from sparksig.errors import ModelDamagedError
from sparksig.models.flavors.skops_rules import (
    TREE,
    check_estimator,
    check_initial_predictions,
    is_a,
    qualify,
)
from sparksig.models.flavors.skops_state import require
from sparksig.models.inert_types import INERT_TYPES

_NEIGHBORS_TREES = frozenset(["sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"])


def check_objects(model: Any, trusted: frozenset[str]) -> None:
    """Check every object that is reachable from a model.

    Raises:
        ModelDamagedError: a part does not fit, is in the wrong attribute, or hides a method.
        ModelNotTrustedError: compiled code would depend on an object that cannot be checked.
    """
    parts = {}
    for part, attribute in _walk_parts(model):
        _check_attribute(part, attribute, trusted)
        parts[id(part)] = part
    for part in parts.values():
        _check_part(part, trusted)
    for part in parts.values():  # after all checks, because this calls methods of the parts
        if is_a(part, "BaseGradientBoosting") and TREE not in trusted:
            check_initial_predictions(part)


def isolate_arrays(model: Any) -> None:
    """Copy the arrays of native objects, so that no other part of the model can write to them.

    A file may use an array twice: as the indices of a neighbors tree, and as the output of a NumPy function
    that is applied to the rows of a prediction.
    """
    for part in {id(part): part for part, _ in _walk_parts(model)}.values():
        if is_a(part, "BaseHistGradientBoosting"):
            for predictor in chain.from_iterable(vars(part).get("_predictors", ())):
                vars(predictor).update(_copy_arrays(vars(predictor)))
        elif qualify(type(part)) in _NEIGHBORS_TREES:
            state = dict(enumerate(part.__getstate__()))
            part.__setstate__(tuple({**state, **_copy_arrays(state)}.values()))


def _copy_arrays(state: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value.copy() for name, value in state.items() if type(value) is np.ndarray}


def _walk_parts(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield every object that is reachable from a model, with each attribute that refers to it."""
    visited: dict[int, Any] = {}  # keeps the objects alive, so that their ids are unique
    pending: list[tuple[Any, str]] = [(model, "")]
    while pending:
        part, attribute = pending.pop()
        yield part, attribute
        if id(part) not in visited:
            visited[id(part)] = part
            pending += _list_parts(part, attribute)


def _list_parts(part: Any, attribute: str) -> list[tuple[Any, str]]:
    """Return the objects in an object, except plain values, each with the attribute that refers to it."""
    values: Iterable[Any] = ()
    if isinstance(part, Mapping):
        values = part.values()
    elif isinstance(part, (list, tuple, set, frozenset)):
        values = part
    elif isinstance(part, np.ndarray):
        values = part.ravel().tolist() if part.dtype == object else ()
    elif hasattr(part, "__dict__") and not isinstance(part, _WITHOUT_PARTS):
        return [(value, str(name)) for name, value in vars(part).items() if type(value) not in _PLAIN]
    return [(value, attribute) for value in values if type(value) not in _PLAIN]


_PLAIN = (str, bytes, int, float, bool, type(None))
_WITHOUT_PARTS = (type, FunctionType, BuiltinFunctionType, ModuleType)


def _check_attribute(part: Any, attribute: str, trusted: frozenset[str]) -> None:
    """Check that an object is allowed in an attribute."""
    name = qualify(type(part))
    entry = INERT_TYPES.get(name)
    if entry is None or not entry.attributes or name in trusted:
        return
    location = f"in the attribute {attribute!r}" if attribute else "as the model itself"
    require(attribute in entry.attributes, type(part).__name__, f"it is not allowed {location}")


def _check_part(part: Any, trusted: frozenset[str]) -> None:
    name = type(part).__name__
    if hasattr(part, "check_format") and hasattr(part, "indptr"):
        try:
            part.check_format(full_check=True)
        except ValueError as error:
            raise ModelDamagedError(f"the state of a {name} is damaged: {error}") from error
    if not type(part).__module__.startswith("sklearn.") or not hasattr(part, "__dict__"):
        return
    for attribute, value in vars(part).items():
        hides_method = callable(getattr(type(part), str(attribute), None))
        require(not hides_method, name, f"its attribute {attribute!r} hides a method")
        if attribute in _METHOD_NAMES:
            names = value if isinstance(value, (list, tuple)) else [value]
            is_known = all(
                method is None or (isinstance(method, str) and method in _METHODS) for method in names
            )
            require(is_known, name, f"its {attribute} is not a prediction method")
    check_estimator(part, trusted)


_METHOD_NAMES = ("stack_method", "stack_method_", "chain_method", "chain_method_", "response_method")
_METHODS = ("auto", "predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
"""The methods that an estimator may call on another estimator by a name from its state."""
