"""Python values in cells, lists and dictionaries against signature types.

What a column holds is first looked at as a whole, level by level and by the set of its Python types; if
everything is what the contract says, it is handed on as it is. Only otherwise are the values gone through
one by one: widened as the casting table says for Python scalars, or reported.
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Mapping, Sequence, Set
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.numpy import source, to_numpy
from sparksig.errors import Code, Finding, below, kind, nearest
from sparksig.lattice import NEVER_NULL, mismatches, scalar_mismatch, widens
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe

__all__ = ["FIRST_ROWS", "Report", "enforce_values", "is_missing"]

FIRST_ROWS = 5
"""How many row positions a finding names."""


class Report:
    """Findings, each kind once, with the rows that have it.

    Attributes:
        row: the row that is being looked at.
    """

    def __init__(self) -> None:
        self.row = 0
        self.findings: dict[Finding, list[int]] = {}

    def add(self, code: Code, path: str, expected: str, found: str, hint: str = "") -> None:
        """Report one thing in the present row."""
        self.findings.setdefault(Finding(code, path, expected, found, hint), []).append(self.row)

    def extend(self, trial: Report) -> None:
        """Report what another found, as of the present row."""
        for one in trial.findings:
            self.findings.setdefault(one, []).append(self.row)

    def collected(self) -> list[Finding]:
        """One finding per kind, counting rows."""
        collected = []
        for one, places in self.findings.items():
            rows = list(dict.fromkeys(places))
            first = tuple(rows[:FIRST_ROWS])
            collected.append(Finding(one.code, one.path, one.expected, one.found, one.hint, len(rows), first))
        return collected


def enforce_values(
    values: Sequence[Any],
    dtype: Type,
    path: str,
    findings: list[Finding],
    *,
    required: bool,
    strict: bool = False,
) -> Sequence[Any]:
    """The values of one column as the contract declares them; the sequence itself where they are so already.

    Args:
        values: one a row; None, NaN, NA and NaT are nulls. They are never changed.
        dtype: what the contract declares.
        path: where they stand.
        findings: what does not fit is added here, each kind once, with its rows.
        required: whether the contract requires the column.
        strict: whether required columns and properties of every type refuse nulls.

    Example:
        >>> from sparksig.types import Property
        >>> enforce_values([{"a": 1}], Object([Property("a", "double")]), "o", [], required=True)
        [{'a': 1.0}]
    """
    if _fit(values, dtype, required=required, strict=strict):
        return values
    report = Report()
    enforced = []
    for row, value in enumerate(values):
        report.row = row
        enforced.append(_convert(value, dtype, path, report, required=required, strict=strict))
    findings += report.collected()
    return enforced


# --- all at once ----------------------------------------------------------------------------------------

_NULLS = frozenset({type(None), type(pd.NA), type(pd.NaT)})
_EXACT: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool}),
    DataType.integer: frozenset({int}),
    DataType.long: frozenset({int}),
    DataType.double: frozenset({float}),
    DataType.string: frozenset({str}),
    DataType.binary: frozenset({bytes}),
}
_CODES = {DataType.integer: "i", DataType.long: "q"}


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NA, NaT; a NaN too, for who does not ask for a float."""
    return type(value) in _NULLS or (isinstance(value, float) and value != value)


def _fit(values: Sequence[Any], dtype: Type, *, required: bool, strict: bool) -> bool:
    """Whether all values are what a type says, exactly; False where it takes a closer look."""
    if isinstance(dtype, AnyType):
        return not (required and strict)
    forms = set(map(type, values))
    if forms & _NULLS:
        if required and (strict or dtype in NEVER_NULL):
            return False
        if forms - _NULLS:
            values = [value for value in values if type(value) not in _NULLS]
            forms -= _NULLS
        else:
            return True
    if isinstance(dtype, DataType):
        return _fit_scalars(values, forms, dtype)
    if isinstance(dtype, Array):
        return _fit_lists(values, forms, dtype.dtype)
    if forms - {dict}:
        return False
    if isinstance(dtype, Map):
        if set(map(type, chain.from_iterable(values))) - {str}:
            return False
        items = list(chain.from_iterable(map(dict.values, values)))
        return _fit(items, dtype.value_type, required=False, strict=False)
    return _fit_objects(values, dtype, strict)


def _fit_scalars(values: Sequence[Any], forms: Set[type], dtype: DataType) -> bool:
    if dtype not in _EXACT or forms - _EXACT[dtype]:
        return False
    if dtype in _CODES:
        try:
            array(_CODES[dtype], values)  # the quickest look at the bits of each
        except OverflowError:
            return False
    return True


def _fit_lists(values: Sequence[Any], forms: Set[type], item: Type) -> bool:
    if forms == {list}:
        return _fit(list(chain.from_iterable(values)), item, required=False, strict=False)
    if forms != {np.ndarray} or not isinstance(item, DataType) or item in (DataType.string, DataType.binary):
        return False
    return {(held.dtype, held.ndim) for held in values} == {(to_numpy(item), 1)}


def _fit_objects(values: Sequence[dict[Any, Any]], dtype: Object, strict: bool) -> bool:
    known = {prop.name for prop in dtype.properties}
    shapes = set(map(frozenset, values))
    if any(shape - known for shape in shapes):
        return False
    for prop in dtype.properties:
        name = prop.name
        present = all(name in shape for shape in shapes)
        if prop.required and not present:
            return False
        held = [one[name] for one in values] if present else [one[name] for one in values if name in one]
        if not _fit(held, prop.dtype, required=prop.required, strict=strict):
            return False
    return True


# --- one by one -----------------------------------------------------------------------------------------


def _convert(value: Any, dtype: Type, path: str, report: Report, *, required: bool, strict: bool) -> Any:
    if is_missing(value) and not (type(value) not in _NULLS and dtype in (DataType.float, DataType.double)):
        if required and (strict or dtype in NEVER_NULL):
            hint = "declare it optional" + (
                ", or double" if dtype in (DataType.integer, DataType.long) else ""
            )
            report.add(Code.NULL_IN_REQUIRED, path, f"{describe(dtype)} without nulls", "nulls", hint)
        return value if isinstance(dtype, AnyType) else None
    if isinstance(dtype, AnyType):
        return value
    if isinstance(dtype, DataType):
        return _convert_scalar(value, dtype, path, report)
    if isinstance(dtype, Array):
        return _convert_list(value, dtype, path, report)
    if not isinstance(value, Mapping):
        report.add(Code.TYPE_MISMATCH, path, describe(dtype), kind(value))
        return value
    if isinstance(dtype, Map):
        return _convert_map(value, dtype, path, report)
    assert isinstance(dtype, Object)
    return _convert_object(value, dtype, path, report, strict)


def _convert_scalar(value: Any, dtype: DataType, path: str, report: Report) -> Any:
    if reason := scalar_mismatch(value, dtype):
        report.add(Code.TYPE_MISMATCH, path, dtype.name, reason)
        return value
    if dtype is DataType.string:
        try:
            value.encode()
        except UnicodeEncodeError:
            report.add(Code.INVALID_VALUE, path, "Unicode text", "half a surrogate pair")
        return value if type(value) is str else str.__str__(value)
    if dtype is DataType.datetime:
        return _wall_time(value, path, report)
    plain = value.item() if isinstance(value, np.generic) else value
    return dtype.to_python()(plain)


_LOW, _HIGH = pd.Timestamp.min.to_pydatetime(warn=False), pd.Timestamp.max.to_pydatetime(warn=False)
_RANGE_HINT = (
    "a model sees nanoseconds: from 1677-09-21 to 2262-04-11; replace such instants, or filter the rows"
)


def _wall_time(value: Any, path: str, report: Report) -> Any:
    """A naive time; of one with a zone what a clock there shows, of a date its midnight."""
    if isinstance(value, np.datetime64):
        whole = value.astype("datetime64[us]")
        item = whole.item()
        if isinstance(item, (datetime.date, type(None))) and whole == value:
            value = item
        elif isinstance(item, datetime.date):
            return pd.Timestamp(value)  # finer than a microsecond
    if not isinstance(value, datetime.date):
        report.add(Code.OUT_OF_RANGE, path, "instants that nanoseconds can hold", "others", _RANGE_HINT)
        return value
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    elif value.tzinfo is not None:
        value = value.replace(tzinfo=None)
    if not isinstance(value, pd.Timestamp) and not _LOW < value < _HIGH:
        report.add(Code.OUT_OF_RANGE, path, "instants that nanoseconds can hold", "others", _RANGE_HINT)
    return value


def _convert_list(value: Any, dtype: Array, path: str, report: Report) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        if value.ndim == 1 and value.dtype.kind != "O" and isinstance(dtype.dtype, DataType):
            return _convert_array(value, dtype.dtype, path, report)
        held = list(value)
    elif hasattr(value, "toArray") and type(value).__module__.startswith("pyspark."):
        held = value.toArray().tolist()  # a vector of Spark ML
    elif isinstance(value, list):
        held = value
    else:
        report.add(Code.TYPE_MISMATCH, path, describe(dtype), kind(value))
        return value
    return [_convert(item, dtype.dtype, f"{path}[]", report, required=False, strict=False) for item in held]


def _convert_array(value: np.ndarray[Any, Any], item: DataType, path: str, report: Report) -> Any:
    """A NumPy array by its dtype: as the casting table widens it, whatever it holds."""
    held = source(value.dtype)
    if not widens(held, item):
        [finding] = mismatches(held, item, f"{path}[]")
        report.add(finding.code, finding.path, finding.expected, finding.found, finding.hint)
        return value
    if item in (DataType.string, DataType.binary):
        return value.tolist()
    if item is DataType.datetime:
        return [_convert(one, item, f"{path}[]", report, required=False, strict=False) for one in value]
    return value.astype(to_numpy(item), copy=False)


def _convert_map(value: Mapping[Any, Any], dtype: Map, path: str, report: Report) -> dict[Any, Any]:
    for form in set(map(type, value)) - {str}:
        report.add(Code.INVALID_NAME, path, "keys that are strings", f"keys of type {form.__name__}")
    return {
        key: _convert(item, dtype.value_type, f"{path}[]", report, required=False, strict=False)
        for key, item in value.items()
    }


def _convert_object(
    value: Mapping[Any, Any], dtype: Object, path: str, report: Report, strict: bool
) -> dict[str, Any]:
    converted = {}
    for prop in dtype.properties:
        where = below(path, prop.name)
        if prop.name in value:
            converted[prop.name] = _convert(
                value[prop.name], prop.dtype, where, report, required=prop.required, strict=strict
            )
        elif prop.required:
            hint = nearest(prop.name, [key for key in value if isinstance(key, str)])
            report.add(Code.MISSING_FIELD, where, describe(prop.dtype), "no such field", hint)
    order = [key for key in value if key in converted]  # as the value has them
    return {key: converted[key] for key in order}
