"""The missing strings that a fitted scikit-learn estimator knows, read off its encoders and imputers.

A directory written by MLflow has no record of text dtypes. Its estimator may still show the missing value of
the training data: an encoder that met a missing string has None or NaN among its categories, and an imputer
names the missing value that it replaces. Categories are facts, so they outweigh the setting of an imputer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparksig.engine.texts import TextDtype, TextDtypes, text_labels
from sparksig.schema import Schema

__all__ = ["estimator_dtypes"]


@dataclass(frozen=True)
class _Evidence:
    position: int  # of the column in the model's input
    dtype: TextDtype
    is_category: bool


def estimator_dtypes(estimator: Any, inputs: Schema) -> TextDtypes:
    """Return the text dtypes that an estimator's own state shows, for the string columns of its inputs.

    A column is not listed if the estimator shows no missing value for it, or several.

    Args:
        estimator: fitted; a pipeline, a ColumnTransformer, a search, or any part of one.
        inputs: the signature's.

    Example:
        >>> from sklearn.preprocessing import OrdinalEncoder
        >>> from sparksig.schema import ColSpec
        >>> encoder = OrdinalEncoder().fit(pd.DataFrame({"zone": pd.Series(["a", np.nan], dtype=object)}))
        >>> estimator_dtypes(encoder, Schema([ColSpec("string", "zone")])).get("zone")
        <TextDtype.OBJECT_NAN: 'object[NaN]'>
    """
    labels = [str(label) for label in inputs.input_names()]
    names = _names(estimator)
    if names is None:
        names = labels if _width(estimator) in (None, len(labels)) else []
    texts = set(text_labels(inputs))
    facts: dict[str, set[TextDtype]] = {}
    settings: dict[str, set[TextDtype]] = {}
    for evidence in _collect(estimator, list(range(len(names))), names, set()):
        if names[evidence.position] in texts:
            dtypes = facts if evidence.is_category else settings
            dtypes.setdefault(names[evidence.position], set()).add(evidence.dtype)
    agreed = {label: dtypes for label, dtypes in {**settings, **facts}.items() if len(dtypes) == 1}
    return TextDtypes.from_mapping({label: next(iter(dtypes)) for label, dtypes in agreed.items()})


def _collect(
    part: Any, columns: Sequence[int], names: Sequence[str], visited: set[int]
) -> Iterator[_Evidence]:
    """Yield the evidence in a part of a model whose input are these columns of the model's input."""
    if id(part) in visited or not columns:
        return
    visited.add(id(part))
    state = _state(part)
    yield from _of_categories(state, columns)
    yield from _of_imputer(state, columns)
    kind = type(part).__name__
    if kind == "Pipeline":
        yield from _of_pipeline(_pairs(state.get("steps")), columns, names, visited)
    elif kind == "ColumnTransformer":
        yield from _of_transformers(state, columns, names, visited)
    elif kind == "FeatureUnion":
        for transformer in _pairs(state.get("transformer_list")):
            yield from _collect(transformer, columns, names, visited)
    else:
        for inner in _inner_parts(state):
            if _width(inner) in (None, len(columns)):
                yield from _collect(inner, columns, names, visited)


def _of_categories(state: Mapping[str, Any], columns: Sequence[int]) -> Iterator[_Evidence]:
    categories = state.get("categories_")
    if not isinstance(categories, (list, tuple)) or len(categories) != len(columns):
        return
    for position, values in zip(columns, categories):
        if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
            for dtype in filter(None, set(map(_dtype_of_missing, values.tolist()))):
                yield _Evidence(position, dtype, is_category=True)


def _of_imputer(state: Mapping[str, Any], columns: Sequence[int]) -> Iterator[_Evidence]:
    if "missing_values" not in state or not ("statistics_" in state or "features_" in state):
        return
    statistics = state.get("statistics_")
    values = statistics.tolist() if isinstance(statistics, np.ndarray) and statistics.ndim == 1 else []
    setting = _dtype_of_missing(state["missing_values"])
    for index, position in enumerate(columns):
        if index < len(values) and values[index] is None:  # the most frequent value, so it was not imputed
            yield _Evidence(position, TextDtype.OBJECT, is_category=True)
        elif setting is not None:
            yield _Evidence(position, setting, is_category=False)


def _dtype_of_missing(value: Any) -> TextDtype | None:
    """Return the dtype that has this missing value, or None for any other value."""
    if value is None:
        return TextDtype.OBJECT
    if value is pd.NA:
        return TextDtype.STRING_PYTHON
    return TextDtype.OBJECT_NAN if isinstance(value, float) and value != value else None


def _of_pipeline(
    steps: Sequence[Any], columns: Sequence[int], names: Sequence[str], visited: set[int]
) -> Iterator[_Evidence]:
    """Yield the evidence of steps, as long as their columns are those of the pipeline's input."""
    current: list[int] | None = list(columns)
    for step in steps:
        own = _names(step)
        if own is not None:  # a frame reaches it, so that its columns have names
            current = [names.index(name) for name in own] if set(own) <= set(names) else None
        elif current is not None and _width(step) not in (None, len(current)):
            current = None
        if current is None:
            return
        yield from _collect(step, current, names, visited)
        if "statistics_" not in _state(step):  # an imputer keeps its columns, others may not
            current = None


def _of_transformers(
    state: Mapping[str, Any], columns: Sequence[int], names: Sequence[str], visited: set[int]
) -> Iterator[_Evidence]:
    inputs = state.get("_transformer_to_input_indices")
    transformers = state.get("transformers_")
    if not isinstance(inputs, Mapping) or not isinstance(transformers, list):
        return
    for entry in transformers:
        if not isinstance(entry, tuple) or len(entry) != 3 or not isinstance(entry[0], str):
            continue
        positions = inputs.get(entry[0])
        if isinstance(positions, (list, np.ndarray)) and all(
            isinstance(at, (int, np.integer)) and 0 <= at < len(columns) for at in positions
        ):
            yield from _collect(entry[1], [columns[at] for at in positions], names, visited)


def _pairs(steps: Any) -> list[Any]:
    """Return the second parts of pairs of a name and an estimator, "passthrough" left out."""
    steps = steps if isinstance(steps, (list, tuple)) else []
    parts = [step[1] for step in steps if isinstance(step, tuple) and len(step) == 2]
    return [part for part in parts if part is not None and not isinstance(part, str)]


def _inner_parts(state: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the objects in an estimator's attributes, and in lists and dictionaries of them."""
    for value in state.values():
        items = value.values() if isinstance(value, Mapping) else value
        if not isinstance(value, (list, tuple, Mapping)):
            items = [value]
        elif not _state(next(iter(items), None)):  # not a list of estimators, and perhaps a long one
            continue
        yield from (item for item in items if _state(item))


def _state(part: Any) -> Mapping[str, Any]:
    """Return an estimator's attributes, without running any property of its class."""
    state = getattr(part, "__dict__", None)
    return state if isinstance(state, dict) and not isinstance(part, type) else {}


def _first_step(part: Any) -> Any:
    """Return the first estimator of a pipeline; any other part is its own first one."""
    for _ in range(_MAX_DEPTH):
        steps = _pairs(_state(part).get("steps")) if type(part).__name__ == "Pipeline" else []
        if not steps:
            break
        part = steps[0]
    return part


_MAX_DEPTH = 50


def _names(part: Any) -> list[str] | None:
    """Return the names of the columns that an estimator was fitted to, None if they had none."""
    names = _state(_first_step(part)).get("feature_names_in_")
    return [str(name) for name in names] if isinstance(names, np.ndarray) and names.ndim == 1 else None


def _width(part: Any) -> int | None:
    """Return the number of columns that an estimator was fitted to, None if it does not say."""
    width = _state(_first_step(part)).get("n_features_in_")
    return width if isinstance(width, int) else None
