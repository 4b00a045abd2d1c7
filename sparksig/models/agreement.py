"""Comparison of two predictions for one example: before and after saving, for raw and for enforced data."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from sparksig.errors import quote
from sparksig.models.flavors.interface import Predictor


def is_same(first: Any, second: Any) -> bool:
    """Return whether two predictions are the same, to the bit.

    Example:
        >>> is_same(np.array([0.5]), np.array([0.5])), is_same(np.array([0.5]), np.array([0.5], "float32"))
        (True, False)
    """
    if isinstance(first, pd.DataFrame):
        return isinstance(second, pd.DataFrame) and first.equals(second)
    if isinstance(first, dict):
        return (
            isinstance(second, dict)
            and first.keys() == second.keys()
            and all(is_same(first[k], second[k]) for k in first)
        )
    if hasattr(first, "toarray"):
        first, second = first.toarray(), second.toarray()
    if isinstance(first, (list, tuple)):
        return (
            isinstance(second, (list, tuple))
            and len(first) == len(second)
            and all(map(is_same, first, second))
        )
    left, right = np.asarray(first), np.asarray(second)
    if left.dtype.kind == "O" or right.dtype.kind == "O":
        pairs = zip(left.ravel().tolist(), right.ravel().tolist())
        return left.shape == right.shape and all(a is b or a == b or (a != a and b != b) for a, b in pairs)
    return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())


def is_close(first: Any, second: Any) -> bool:
    """Return whether two predictions are equal, with numbers compared up to rounding.

    The order of a sum depends on the width and the memory layout of the data, and changes the last digits.

    Example:
        >>> is_close(np.array([0.1]), np.array([0.1], "float32")), is_close(["a"], ["b"])
        (True, False)
    """
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(is_close(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(is_close, first, second))
    left, right = (
        np.asarray(side.toarray() if hasattr(side, "toarray") else side) for side in (first, second)
    )
    if left.shape != right.shape:
        return False
    if left.dtype.kind in "biufc" and right.dtype.kind in "biufc":
        return bool(np.allclose(left, right, rtol=1e-5, atol=1e-8, equal_nan=True))
    pairs = zip(left.ravel().tolist(), right.ravel().tolist())
    return all(_is_equal(a, b) for a, b in pairs)


def _is_equal(first: Any, second: Any) -> bool:
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return bool(np.isclose(first, second, rtol=1e-5, atol=1e-8, equal_nan=True))
    return is_same(first, second)


def find_differing_columns(
    predictor: Predictor, data: Any, enforced: Any, prediction: Any
) -> list[str] | None:
    """Find the columns that make a model predict differently on raw data than on enforced data.

    Return None if the predictions agree, or the model does not accept the raw data. The list is empty if no
    single column makes the difference.
    """
    try:
        raw = _predict(predictor, data)
    except Exception:  # the model may refuse the container of the raw example
        return None
    if is_close(raw, prediction):
        return None
    if isinstance(data, pd.Series):
        return [] if data.name is None else [quote(data.name)]
    if not isinstance(data, pd.DataFrame) or not isinstance(enforced, pd.DataFrame):
        return []
    counts = Counter(data.columns)
    shared = [label for label in enforced.columns if counts[label] == 1]
    decisive = [label for label in shared if _is_decisive(predictor, data, enforced, label, raw)]
    retyped = [label for label in shared if data[label].dtype != enforced[label].dtype]
    return [quote(label) for label in decisive or retyped]


def _predict(predictor: Predictor, data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first prediction of this data has shown the warnings
        return predictor(copy.deepcopy(data), None)


def _is_decisive(
    predictor: Predictor, data: pd.DataFrame, enforced: pd.DataFrame, label: Any, raw: Any
) -> bool:
    """Return whether the prediction changes when a single column is replaced by its enforced values."""
    trial = data.copy()
    trial[label] = enforced[label]
    try:
        return not is_close(_predict(predictor, trial), raw)
    except Exception:  # a model that fails on the mixed frame depends on this column
        return True
