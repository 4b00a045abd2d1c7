"""Conversion of any data to a list of rows, for models whose type hint declares a list."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert import report_duplicates
from sparksig.convert.hint_tree import (
    AnyHint,
    ConstrainedHint,
    DictHint,
    Hint,
    ListHint,
    ModelHint,
    RecordHint,
    UnionHint,
)
from sparksig.convert.records import get_record_kind
from sparksig.convert.scalar_hints import ScalarHint
from sparksig.engine.hints import unwrap_hint
from sparksig.errors import Code, ContractError, Finding, name_type


def to_rows(data: Any, hint: ListHint) -> list[Any]:
    """Convert data to a list with one element for each row.

    The rows of a frame become dictionaries if the hint accepts dictionaries, and the cells of its only column
    otherwise. A single column without a name (or with the name 0) always gives its cells. Missing values of a
    frame become NaN for a float hint and None for any other.
    """
    if isinstance(data, list):
        return data
    if isinstance(data, np.ndarray) and data.ndim:
        return [_to_builtin(cell, hint.item) for cell in _to_lists(data)]
    if isinstance(data, pd.DataFrame):
        return [_to_builtin(row, hint.item) for row in _to_records(data, hint.item)]
    if isinstance(data, pd.Series):
        return [_to_builtin(cell, hint.item) for cell in data.astype(object).tolist()]
    raise ContractError(
        f"the data does not fit the type hint: expected a list of rows, got {name_type(data)}"
    )


def _to_records(frame: pd.DataFrame, item: Hint) -> list[Any]:
    labels: list[Any] = list(frame.columns)
    has_dictionaries = _accepts_dictionaries(item)
    if len(labels) == 1 and (
        not has_dictionaries or labels[0] in (None, 0) or _contains_rows(frame.iloc[:, 0], item)
    ):
        return frame.iloc[:, 0].astype(object).tolist()
    if not has_dictionaries:
        actual, advice = f"{len(labels)} columns", "select the column that the model accepts"
        finding = Finding(Code.COLUMN_COUNT, "", "1 column", actual, advice)
        raise ContractError.of("the data does not fit the type hint", [finding])
    if duplicate_findings := report_duplicates([str(label) for label in labels]):
        raise ContractError.of("the data does not fit the type hint", duplicate_findings)
    columns = [frame.iloc[:, index].astype(object).tolist() for index in range(len(labels))]
    return [dict(zip(map(str, labels), row)) for row in zip(*columns)]


def _accepts_dictionaries(item: Hint) -> bool:
    item = unwrap_hint(item)
    if isinstance(item, UnionHint):
        return any(_accepts_dictionaries(member) for member in item.members)
    return isinstance(item, (ModelHint, RecordHint, DictHint, AnyHint))


def _contains_rows(column: pd.Series, item: Hint) -> bool:
    """Return whether the cells of a single column are complete rows of the hint, not values of one field."""
    item = unwrap_hint(item)
    if isinstance(item, (ModelHint, RecordHint)) and column.name in _index_fields(item):
        return False
    if isinstance(item, AnyHint) or (
        isinstance(item, DictHint)
        and isinstance(unwrap_hint(item.value), (DictHint, ModelHint, RecordHint, AnyHint))
    ):
        return False
    members = item.members if isinstance(item, UnionHint) else (item,)
    classes = [
        member.cls for member in map(unwrap_hint, members) if isinstance(member, (ModelHint, RecordHint))
    ]
    accepted = (dict, *(cls for cls in classes if get_record_kind(cls) != "TypedDict"))
    return all(issubclass(cls, accepted) for cls in set(map(type, column)))


def _index_fields(model: ModelHint | RecordHint) -> dict[str, Hint]:
    """Return the hints of a model's fields by their names and by the keys from which pydantic reads them."""
    return {name: field.hint for field in model.fields for name in (*field.keys, field.name)}


def _to_builtin(value: Any, hint: Hint) -> Any:
    """Convert a cell to Python built-ins: arrays to lists, missing values to NaN or None by the hint."""
    if isinstance(value, np.ndarray) and value.ndim:
        value = _to_lists(value)
    if isinstance(hint, ConstrainedHint):
        return _to_builtin(value, hint.hint)
    if isinstance(value, list) and isinstance(hint, ListHint):
        return [_to_builtin(item, hint.item) for item in value]
    if isinstance(value, dict):
        return _to_builtin_dict(value, hint)
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return math.nan if isinstance(hint, ScalarHint) and hint.python is float else None
    if isinstance(hint, UnionHint) and len(hint.members) == 1:
        return _to_builtin(value, hint.members[0])
    return value


def _to_builtin_dict(value: dict[Any, Any], hint: Hint) -> dict[Any, Any]:
    if isinstance(hint, UnionHint):
        hint = hint.members[0] if len(hint.members) == 1 else AnyHint()
    if isinstance(hint, (ModelHint, RecordHint)):
        fields = _index_fields(hint)
        return {key: _to_builtin(item, fields.get(key, AnyHint())) for key, item in value.items()}
    inner = hint.value if isinstance(hint, DictHint) else AnyHint()
    return {key: _to_builtin(item, inner) for key, item in value.items()}


def _to_lists(array: np.ndarray[Any, Any]) -> list[Any]:
    """Convert an array to nested lists of Python scalars; times stay NumPy scalars."""
    if array.dtype.kind not in "mM":
        return array.tolist()  # type: ignore[no-any-return]
    return list(array) if array.ndim == 1 else [_to_lists(part) for part in array]
