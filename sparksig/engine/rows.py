"""Data of any kind as a list of rows, for models whose type hint asks for one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert import report_duplicates
from sparksig.convert.hints import (
    AnyHint,
    ConstrainedHint,
    DictHint,
    Hint,
    ListHint,
    ModelHint,
    RecordHint,
    ScalarHint,
    UnionHint,
)
from sparksig.convert.records import record_kind
from sparksig.engine.hints import unwrap_hint
from sparksig.errors import Code, ContractError, Finding, kind

__all__ = ["to_rows"]


def to_rows(data: Any, hint: ListHint) -> list[Any]:
    """Data of any kind as a list with one element a row, as a model with a type hint asks for it.

    A frame of one column without a name (or numbered 0) gives its cells, any other its rows as
    dictionaries; so does one of a single column, unless the hint has no dictionaries. What is missing
    in a frame is NaN where the hint says float, and None elsewhere.

    Raises:
        ContractError: several columns for a hint without dictionaries, or no rows at all.
    """
    if isinstance(data, list):
        return data
    if isinstance(data, np.ndarray) and data.ndim:
        return [_unframed(cell, hint.item) for cell in _listed(data)]
    if isinstance(data, pd.DataFrame):
        return [_unframed(row, hint.item) for row in _records(data, hint.item)]
    if isinstance(data, pd.Series):
        return [_unframed(cell, hint.item) for cell in data.astype(object).tolist()]
    raise ContractError(f"the type hint asks for a list, one element a row, not {kind(data)}")


def _records(frame: pd.DataFrame, item: Hint) -> list[Any]:
    labels: list[Any] = list(frame.columns)
    keyed = _is_keyed(item)
    if len(labels) == 1 and (not keyed or labels[0] in (None, 0) or _holds_rows(frame.iloc[:, 0], item)):
        return frame.iloc[:, 0].astype(object).tolist()
    if not keyed:
        found, advice = f"{len(labels)} columns", "select the one that the model takes"
        finding = Finding(Code.COLUMN_COUNT, "", "1 column", found, advice)
        raise ContractError.of("the data does not fit the type hint", [finding])
    if twins := report_duplicates([str(label) for label in labels]):
        raise ContractError.of("the data does not fit the type hint", twins)
    columns = [frame.iloc[:, index].astype(object).tolist() for index in range(len(labels))]
    return [dict(zip(map(str, labels), row)) for row in zip(*columns)]


def _is_keyed(item: Hint) -> bool:
    item = unwrap_hint(item)
    if isinstance(item, UnionHint):
        return any(_is_keyed(member) for member in item.members)
    return isinstance(item, (ModelHint, RecordHint, DictHint, AnyHint))


def _holds_rows(column: pd.Series, item: Hint) -> bool:
    """Whether a single column's cells are what the hint asks for, and not the values of one field."""
    item = unwrap_hint(item)
    if isinstance(item, (ModelHint, RecordHint)) and column.name in _names(item):
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
    forms = (dict, *(cls for cls in classes if record_kind(cls) != "TypedDict"))
    return all(issubclass(form, forms) for form in set(map(type, column)))


def _names(model: ModelHint | RecordHint) -> dict[str, Hint]:
    """The hints of a model's fields, by their names and by the keys from which pydantic reads them."""
    return {name: field.hint for field in model.fields for name in (*field.keys, field.name)}


def _unframed(value: Any, hint: Hint) -> Any:
    """A cell as plain Python: arrays as lists, and what is missing as the hint says it."""
    if isinstance(value, np.ndarray) and value.ndim:
        value = _listed(value)
    if isinstance(hint, ConstrainedHint):
        return _unframed(value, hint.hint)
    if isinstance(value, list) and isinstance(hint, ListHint):
        return [_unframed(item, hint.item) for item in value]
    if isinstance(value, dict):
        return _unframed_dict(value, hint)
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return math.nan if isinstance(hint, ScalarHint) and hint.python is float else None
    if isinstance(hint, UnionHint) and len(hint.members) == 1:
        return _unframed(value, hint.members[0])
    return value


def _unframed_dict(value: dict[Any, Any], hint: Hint) -> dict[Any, Any]:
    if isinstance(hint, UnionHint):
        hint = hint.members[0] if len(hint.members) == 1 else AnyHint()
    if isinstance(hint, (ModelHint, RecordHint)):
        fields = _names(hint)
        return {key: _unframed(held, fields.get(key, AnyHint())) for key, held in value.items()}
    inner = hint.value if isinstance(hint, DictHint) else AnyHint()
    return {key: _unframed(held, inner) for key, held in value.items()}


def _listed(array: np.ndarray[Any, Any]) -> list[Any]:
    """An array as nested lists of Python's scalars; times stay NumPy's, which tolist turns into integers."""
    if array.dtype.kind not in "mM":
        return array.tolist()  # type: ignore[no-any-return]
    return list(array) if array.ndim == 1 else [_listed(part) for part in array]
