"""Conversion of dataclass instances, named tuples and pydantic models to dictionaries."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert import records


def get_fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of an instance by their names; None for any other value.

    Example:
        >>> from typing import NamedTuple
        >>> class Answer(NamedTuple):
        ...     text: str
        >>> get_fields(Answer("At nine.")), get_fields(("At nine.",))
        ({'text': 'At nine.'}, None)
    """
    if isinstance(value, type):
        return None
    is_named_tuple = isinstance(value, tuple) and hasattr(value, "_asdict")
    if is_named_tuple or is_dataclass(value) or hasattr(type(value), "model_fields"):
        return dict(records.unstructure(value))
    return None


def is_sequence(value: Any) -> bool:
    """Return whether a value is a sequence without a dtype, such as a list, a tuple or a range.

    Example:
        >>> [is_sequence(value) for value in ([1], (1,), range(2), "text", {"a": 1})]
        [True, True, True, False, False]
    """
    if isinstance(value, (list, tuple)):
        return True
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def to_builtins(value: Any) -> Any:
    """Convert instances to dictionaries, and sequences to lists, at every depth of a value.

    Members of enumerations become their values, and UUIDs become texts. Arrays keep their dtype, and pandas
    arrays keep a dtype of NumPy. A value that needs no conversion is returned itself.

    Example:
        >>> to_builtins(({"scores": pd.Series([0.5])}, 1))
        [{'scores': array([0.5])}, 1]
    """
    if value is None or type(value) in _LEAVES or isinstance(value, np.ndarray):
        return value
    if isinstance(value, (enum.Enum, uuid.UUID)):
        return records.unstructure(value)
    if (by_name := get_fields(value)) is not None:
        return {key: to_builtins(item) for key, item in by_name.items()}
    if isinstance(value, dict):
        items = [to_builtins(item) for item in value.values()]
        is_unchanged = all(new is old for new, old in zip(items, value.values()))
        return value if is_unchanged else dict(zip(value, items))
    if isinstance(value, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        has_numpy_dtype = isinstance(value.dtype, np.dtype) and value.dtype.kind != "O"
        return np.asarray(value) if has_numpy_dtype else to_builtins(list(value))
    if not is_sequence(value):
        return value
    if type(value) is list and set(map(type, value)) <= _LEAVES:
        return value
    elements = [to_builtins(item) for item in value]
    is_unchanged = isinstance(value, list) and all(new is old for new, old in zip(elements, value))
    return value if is_unchanged else elements


_LEAVES = frozenset({type(None), bool, int, float, str, bytes})
