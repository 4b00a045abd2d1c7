"""The dtypes of text columns, inferred from the encoders and imputers of a fitted scikit-learn estimator.

A directory written by MLflow has no record of text dtypes. Its estimator may still show the missing value of
the training data: an encoder fitted to a missing string has None or NaN among its categories, and an imputer
has a setting for the missing value that it replaces. Categories come from the data, so they take precedence
over the setting of an imputer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparksig.engine.text_dtypes import TextDtype, TextDtypes, list_text_labels
from sparksig.schema import Schema


@dataclass(frozen=True)
class _Evidence:
    position: int  # of the column in the model's input
    dtype: TextDtype
    is_category: bool


def infer_dtypes(estimator: Any, inputs: Schema) -> TextDtypes:
    """Infer the dtypes of an estimator's string columns from its fitted state.

    A column is omitted if the estimator shows no missing value for it, or several.

    Example:
        >>> from sklearn.preprocessing import OrdinalEncoder
        >>> from sparksig.schema import ColSpec
        >>> encoder = OrdinalEncoder().fit(pd.DataFrame({"zone": pd.Series(["a", np.nan], dtype=object)}))
        >>> infer_dtypes(encoder, Schema([ColSpec("string", "zone")])).get("zone")
        <TextDtype.OBJECT_NAN: 'object[NaN]'>
    """
    labels = [str(label) for label in inputs.input_names()]
    names = _get_names(estimator)
    if names is None:
        names = labels if _get_width(estimator) in (None, len(labels)) else []
    texts = set(list_text_labels(inputs))
    categories: dict[str, set[TextDtype]] = {}
    settings: dict[str, set[TextDtype]] = {}
    for evidence in _collect(estimator, list(range(len(names))), names, set()):
        if names[evidence.position] in texts:
            dtypes = categories if evidence.is_category else settings
            dtypes.setdefault(names[evidence.position], set()).add(evidence.dtype)
    unique = {label: dtypes for label, dtypes in {**settings, **categories}.items() if len(dtypes) == 1}
    return TextDtypes.from_mapping({label: next(iter(dtypes)) for label, dtypes in unique.items()})


def _collect(
    part: Any, columns: Sequence[int], names: Sequence[str], visited: set[int]
) -> Iterator[_Evidence]:
    """Yield the evidence in a part of a model, whose input is these columns of the model's input."""
    if id(part) in visited or not columns:
        return
    visited.add(id(part))
    state = _get_state(part)
    yield from _inspect_categories(state, columns)
    yield from _inspect_imputer(state, columns)
    kind = type(part).__name__
    if kind == "Pipeline":
        yield from _inspect_pipeline(_list_estimators(state.get("steps")), columns, names, visited)
    elif kind == "ColumnTransformer":
        yield from _inspect_transformers(state, columns, names, visited)
    elif kind == "FeatureUnion":
        for transformer in _list_estimators(state.get("transformer_list")):
            yield from _collect(transformer, columns, names, visited)
    else:
        for inner in _list_inner_parts(state):
            if _get_width(inner) in (None, len(columns)):
                yield from _collect(inner, columns, names, visited)


def _inspect_categories(state: Mapping[str, Any], columns: Sequence[int]) -> Iterator[_Evidence]:
    categories = state.get("categories_")
    if not isinstance(categories, (list, tuple)) or len(categories) != len(columns):
        return
    for position, values in zip(columns, categories):
        if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
            for dtype in filter(None, set(map(_find_dtype, values.tolist()))):
                yield _Evidence(position, dtype, is_category=True)


def _inspect_imputer(state: Mapping[str, Any], columns: Sequence[int]) -> Iterator[_Evidence]:
    if "missing_values" not in state or not ("statistics_" in state or "features_" in state):
        return
    statistics = state.get("statistics_")
    values = statistics.tolist() if isinstance(statistics, np.ndarray) and statistics.ndim == 1 else []
    setting = _find_dtype(state["missing_values"])
    for index, position in enumerate(columns):
        if index < len(values) and values[index] is None:  # None was the most frequent value, not imputed
            yield _Evidence(position, TextDtype.OBJECT, is_category=True)
        elif setting is not None:
            yield _Evidence(position, setting, is_category=False)


def _find_dtype(value: Any) -> TextDtype | None:
    """Return the dtype with this missing value; None if the value is not a missing value."""
    if value is None:
        return TextDtype.OBJECT
    if value is pd.NA:
        return TextDtype.STRING_PYTHON
    return TextDtype.OBJECT_NAN if isinstance(value, float) and value != value else None


def _inspect_pipeline(
    steps: Sequence[Any], columns: Sequence[int], names: Sequence[str], visited: set[int]
) -> Iterator[_Evidence]:
    """Yield the evidence of the steps whose columns are known to be columns of the pipeline's input."""
    positions: list[int] | None = list(columns)
    for step in steps:
        step_names = _get_names(step)
        if step_names is not None:  # the step was fitted to a frame
            positions = [names.index(name) for name in step_names] if set(step_names) <= set(names) else None
        elif positions is not None and _get_width(step) not in (None, len(positions)):
            positions = None
        if positions is None:
            return
        yield from _collect(step, positions, names, visited)
        if "statistics_" not in _get_state(step):  # only an imputer is known to preserve the columns
            positions = None


def _inspect_transformers(
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
            isinstance(position, (int, np.integer)) and 0 <= position < len(columns) for position in positions
        ):
            yield from _collect(entry[1], [columns[position] for position in positions], names, visited)


def _list_estimators(steps: Any) -> list[Any]:
    """Return the estimators in pairs of a name and an estimator, without "passthrough"."""
    steps = steps if isinstance(steps, (list, tuple)) else []
    parts = [step[1] for step in steps if isinstance(step, tuple) and len(step) == 2]
    return [part for part in parts if part is not None and not isinstance(part, str)]


def _list_inner_parts(state: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the objects in an estimator's attributes, and in lists and dictionaries of them."""
    for value in state.values():
        items = value.values() if isinstance(value, Mapping) else value
        if not isinstance(value, (list, tuple, Mapping)):
            items = [value]
        elif not _get_state(next(iter(items), None)):  # skip other lists, which may be long
            continue
        yield from (item for item in items if _get_state(item))


def _get_state(part: Any) -> Mapping[str, Any]:
    """Return the attributes of an object, without running any property of its class."""
    state = getattr(part, "__dict__", None)
    return state if isinstance(state, dict) and not isinstance(part, type) else {}


def _get_first_step(part: Any) -> Any:
    """Return the first estimator of a pipeline; return any other object unchanged."""
    for _ in range(_MAX_DEPTH):
        steps = _list_estimators(_get_state(part).get("steps")) if type(part).__name__ == "Pipeline" else []
        if not steps:
            break
        part = steps[0]
    return part


_MAX_DEPTH = 50


def _get_names(part: Any) -> list[str] | None:
    """Return the names of the columns that an estimator was fitted to; None if they had no names."""
    names = _get_state(_get_first_step(part)).get("feature_names_in_")
    return [str(name) for name in names] if isinstance(names, np.ndarray) and names.ndim == 1 else None


def _get_width(part: Any) -> int | None:
    """Return the number of columns that an estimator was fitted to; None if it is not known."""
    width = _get_state(_get_first_step(part)).get("n_features_in_")
    return width if isinstance(width, int) else None
