"""Two predictions for one example compared: of a model before and after saving, of raw and enforced data."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd

from sparksig.errors import step
from sparksig.models.flavors.interface import Predictor

__all__ = ["differing_columns", "is_close", "is_same"]


def is_same(one: Any, other: Any) -> bool:
    """Return whether two predictions are the same, to the bit.

    Example:
        >>> is_same(np.array([0.5]), np.array([0.5])), is_same(np.array([0.5]), np.array([0.5], "float32"))
        (True, False)
    """
    if isinstance(one, pd.DataFrame):
        return isinstance(other, pd.DataFrame) and one.equals(other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(is_same(one[k], other[k]) for k in one)
        )
    if hasattr(one, "toarray"):
        one, other = one.toarray(), other.toarray()
    if isinstance(one, (list, tuple)):
        return isinstance(other, (list, tuple)) and len(one) == len(other) and all(map(is_same, one, other))
    left, right = np.asarray(one), np.asarray(other)
    if left.dtype.kind == "O" or right.dtype.kind == "O":
        pairs = zip(left.ravel().tolist(), right.ravel().tolist())
        return left.shape == right.shape and all(a is b or a == b or (a != a and b != b) for a, b in pairs)
    return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())


def is_close(one: Any, other: Any) -> bool:
    """Return whether two predictions are equal, numbers up to rounding.

    Data of another width or layout in memory is added up in another order, which changes the last digits.

    Example:
        >>> is_close(np.array([0.1]), np.array([0.1], "float32")), is_close(["a"], ["b"])
        (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_close(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_close, one, other))
    left, right = (np.asarray(side.toarray() if hasattr(side, "toarray") else side) for side in (one, other))
    if left.shape != right.shape:
        return False
    if left.dtype.kind in "biufc" and right.dtype.kind in "biufc":
        return bool(np.allclose(left, right, rtol=1e-5, atol=1e-8, equal_nan=True))
    pairs = zip(left.ravel().tolist(), right.ravel().tolist())
    return all(_is_equal(a, b) for a, b in pairs)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return bool(np.isclose(one, other, rtol=1e-5, atol=1e-8, equal_nan=True))
    return is_same(one, other)


def differing_columns(before: Predictor, data: Any, enforced: Any, prediction: Any) -> list[str] | None:
    """Return the columns for which a model predicts otherwise on raw data than on enforced data.

    Args:
        before: predicts, given a model's input and params.
        data: the raw data, as the caller has it.
        enforced: the same data as the signature declares it.
        prediction: for the enforced data.

    Returns:
        The names of the columns, empty where no column is to blame alone; None where the predictions agree,
        or where the model does not accept the raw data.
    """
    try:
        raw = _predict(before, data)
    except Exception:  # a model need not accept the form in which the example was given
        return None
    if is_close(raw, prediction):
        return None
    if isinstance(data, pd.Series):
        return [] if data.name is None else [step(data.name)]
    if not isinstance(data, pd.DataFrame) or not isinstance(enforced, pd.DataFrame):
        return []
    shared = [label for label in enforced.columns if list(data.columns).count(label) == 1]
    guilty = [label for label in shared if _changes(before, data, enforced, label, raw)]
    other = [label for label in shared if data[label].dtype != enforced[label].dtype]
    return [step(label) for label in guilty or other]


def _predict(before: Predictor, data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same data was predicted, and warned of, before
        return before(copy.deepcopy(data), None)


def _changes(before: Predictor, data: pd.DataFrame, enforced: pd.DataFrame, label: Any, raw: Any) -> bool:
    """Return whether one enforced column among the raw ones changes the prediction."""
    trial = data.copy()
    trial[label] = enforced[label]
    try:
        return not is_close(_predict(before, trial), raw)
    except Exception:  # a column that the model does not accept beside the raw ones is to blame as well
        return True
