"""Python values in cells, lists and dictionaries against signature types.

What a column holds is first looked at as a whole, level by level and by the set of its Python types; if
everything is what the contract says, it is handed on as it is. Only otherwise are the values gone through
one by one: widened as the casting table says for Python scalars, or reported.
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import source as arrow_source
from sparksig.convert.instances import fields_of
from sparksig.convert.numpy import source, to_numpy
from sparksig.convert.objects import is_missing, is_vector
from sparksig.engine.findings import LONG_HINT, RANGE_HINT, Collector, format_null_hint
from sparksig.errors import HINTS, Code, Finding, below, kind, nearest
from sparksig.lattice import NEVER_NULL, mismatches, widens
from sparksig.scalars import is_beyond_long, scalar_mismatch
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe

__all__ = ["are_texts", "enforce_values"]


def enforce_values(
    values: Sequence[Any],
    dtype: Type,
    path: str,
    findings: list[Finding],
    *,
    required: bool,
    strict: bool = False,
    forbid: bool = False,
    show_values: bool = False,
) -> Sequence[Any]:
    """The values of one column as the contract declares them; the sequence itself where they are so already.

    Args:
        values: one a row; None, NaN, NA and NaT are nulls. They are never changed.
        dtype: what the contract declares.
        path: where they stand.
        findings: what does not fit is added here, each kind once, with its rows.
        required: whether the contract requires the column.
        strict: whether required columns and properties of every type refuse nulls.
        forbid: whether keys that an object does not declare are refused; they are dropped otherwise.
        show_values: whether findings may show values.

    Example:
        >>> from sparksig.types import Property
        >>> enforce_values([{"a": 1}], Object([Property("a", "double")]), "o", [], required=True)
        [{'a': 1.0}]
    """
    if _fit(values, dtype, required=required, strict=strict):
        return values
    report = Collector()
    convert = _Convert(report, strict, forbid, show_values)
    enforced = []
    for row, value in enumerate(values):
        report.row = row
        enforced.append(convert.value(value, dtype, path, required=required))
    findings += report.collected()
    return enforced


# --- all at once ----------------------------------------------------------------------------------------

_NULLS = frozenset({type(None), type(pd.NA), type(pd.NaT)})
_OTHER_NULLS = _NULLS - {type(None)}  # which become None
_EXACT: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool}),
    DataType.integer: frozenset({int}),
    DataType.long: frozenset({int}),
    DataType.double: frozenset({float}),
    DataType.string: frozenset({str}),
    DataType.binary: frozenset({bytes}),
}
_CODES = {DataType.integer: "i", DataType.long: "q"}


def are_texts(values: Sequence[Any], *, nulls: bool) -> bool:
    """Return whether all values are Python strings of Unicode text; or None, where ``nulls`` are allowed.

    Example:
        >>> are_texts(["a", None], nulls=True), are_texts(["a", float("nan")], nulls=True)
        (True, False)
    """
    return _fit(values, DataType.string, required=not nulls, strict=True)


def _fit(values: Sequence[Any], dtype: Type, *, required: bool, strict: bool) -> bool:
    """Whether all values are what a type says, exactly; False where it takes a closer look."""
    if isinstance(dtype, AnyType):
        return not (required and strict)
    forms = set(map(type, values))
    if forms & _NULLS:
        if forms & _OTHER_NULLS or (required and (strict or dtype in NEVER_NULL)):
            return False
        if forms - _NULLS:
            values = [value for value in values if type(value) not in _NULLS]
            forms -= _NULLS
        else:
            return True
    if isinstance(dtype, DataType):
        return _fit_scalars(values, forms, dtype)
    if isinstance(dtype, Array):
        return _fit_lists(values, forms, dtype.dtype, strict)
    if forms - {dict}:
        return False
    if isinstance(dtype, Map):
        if set(map(type, chain.from_iterable(values))) - {str} or not _is_text(chain.from_iterable(values)):
            return False
        items = list(chain.from_iterable(map(dict.values, values)))
        return _fit(items, dtype.value_type, required=False, strict=strict)
    return _fit_objects(values, dtype, strict)


def _is_text(values: Iterable[str]) -> bool:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _fit_scalars(values: Sequence[Any], forms: Set[type], dtype: DataType) -> bool:
    if dtype not in _EXACT or forms - _EXACT[dtype]:
        return False
    try:
        if dtype in _CODES:
            array(_CODES[dtype], values)  # the quickest look at the bits of each
        elif dtype is DataType.string:
            "".join(values).encode()
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


def _fit_lists(values: Sequence[Any], forms: Set[type], item: Type, strict: bool) -> bool:
    if forms == {list}:
        return _fit(list(chain.from_iterable(values)), item, required=False, strict=strict)
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


# --- sequences ------------------------------------------------------------------------------------------


def _elements(value: Any) -> list[Any] | np.ndarray[Any, Any] | pa.Array | None:
    """Return the elements of an array in a cell, typed where the cell has a dtype; None if it is no array."""
    if isinstance(value, list):
        return value
    if isinstance(value, pd.MultiIndex):
        value = value.to_flat_index()
    if isinstance(value, (pd.Series, pd.Index)):
        value = value.array
    if isinstance(value, pd.arrays.SparseArray):
        value = np.asarray(value)
    if isinstance(value, pd.Categorical):
        value = value.astype(value.categories.dtype)
    if isinstance(value, pd.arrays.NumpyExtensionArray):
        value = value.to_numpy()
    if isinstance(value, np.ndarray):
        plain = np.asarray(value) if isinstance(value, np.matrix) else value  # its rows are matrices again
        return plain if plain.ndim else None
    if isinstance(value, pd.arrays.DatetimeArray):
        return list(value)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        value = pa.array(value, from_pandas=True)
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        return value
    if is_vector(type(value)):
        return list(value.toArray().tolist())
    is_text = isinstance(value, (str, bytes, bytearray, memoryview))
    return list(value) if isinstance(value, (Sequence, array)) and not is_text else None


def _is_typed(array: np.ndarray[Any, Any]) -> bool:
    return array.ndim == 1 and array.dtype.kind != "O"


# --- one by one -----------------------------------------------------------------------------------------


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except Exception as error:  # whatever somebody's own repr raises
        return f"a repr that fails with {type(error).__name__}"


_NUMBERS = frozenset({DataType.integer, DataType.long, DataType.float, DataType.double})
_LOW, _HIGH = np.iinfo(np.int64).min // 1000 + 1, np.iinfo(np.int64).max // 1000
_EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class _Convert:
    """Values one by one, widened as the casting table says, or reported."""

    report: Collector
    strict: bool
    forbid: bool
    show_values: bool
    hints: dict[str, str] = field(default_factory=dict)

    def refuse(self, code: Code, path: str, expected: str, found: str, hint: str, value: Any) -> Any:
        """Report a value, and hand it on."""
        self.report.add(code, path, expected, found, hint, _shown(value) if self.show_values else "")
        return value

    def value(self, value: Any, dtype: Type, path: str, *, required: bool = False) -> Any:
        """A value of any type."""
        if is_missing(value, dtype):
            return self.null(value, dtype, path, required)
        if isinstance(dtype, AnyType):
            return value
        if isinstance(dtype, DataType):
            return self.scalar(value, dtype, path)
        if isinstance(dtype, Array):
            return self.array(value, dtype, path)
        if not isinstance(value, Mapping):
            by_name = fields_of(value)
            if by_name is None:
                return self.refuse(Code.TYPE_MISMATCH, path, describe(dtype), kind(value), "", value)
            value = by_name
        if isinstance(dtype, Map):
            return self.map(value, dtype, path)
        assert isinstance(dtype, Object)
        return self.object(value, dtype, path)

    def null(self, value: Any, dtype: Type, path: str, required: bool) -> Any:
        """What stands for a missing value: None, but for Any."""
        if required and (self.strict or dtype in NEVER_NULL):
            self.report.add(
                Code.NULL_IN_REQUIRED,
                path,
                f"{describe(dtype)} without nulls",
                "nulls",
                format_null_hint(dtype),
            )
        return value if isinstance(dtype, AnyType) else None

    def scalar(self, value: Any, dtype: DataType, path: str) -> Any:
        """A scalar as the Python built-in that holds it."""
        if reason := scalar_mismatch(value, dtype):
            if is_beyond_long(value) and dtype in _NUMBERS:
                actual = "an int beyond 64 bits"
                return self.refuse(Code.OUT_OF_RANGE, path, dtype.name, actual, LONG_HINT, value)
            return self.refuse(Code.TYPE_MISMATCH, path, dtype.name, reason, "", value)
        if dtype is DataType.datetime:
            return self.time(value, path)
        if dtype is DataType.string:
            try:
                value.encode()
            except UnicodeEncodeError:
                self.report.add(Code.INVALID_VALUE, path, "Unicode text", "half a surrogate pair")
            return value if type(value) is str else str.__str__(value)
        plain = value.item() if isinstance(value, np.generic) else value
        return dtype.to_python()(plain)

    def time(self, value: Any, path: str) -> Any:
        """A naive time; of one with a zone what a clock there shows, of a date its midnight."""
        held = value
        if isinstance(value, np.datetime64):
            nanos = value.astype("datetime64[ns]")
            held = pd.Timestamp(nanos) if nanos.astype(value.dtype) == value else None
        elif isinstance(value, datetime.datetime):
            held = value.replace(tzinfo=None) if value.tzinfo is not None else value
        elif isinstance(value, datetime.date):
            held = datetime.datetime(value.year, value.month, value.day)
        if isinstance(held, pd.Timestamp):
            try:
                held.as_unit("ns")
            except pd.errors.OutOfBoundsDatetime:
                expected = "instants that nanoseconds can hold"
                return self.refuse(Code.OUT_OF_RANGE, path, expected, "others", RANGE_HINT, value)
            return held
        micros = None if held is None else (held - _EPOCH) // datetime.timedelta(microseconds=1)
        if micros is None or not _LOW <= micros <= _HIGH:
            expected = "instants that nanoseconds can hold"
            return self.refuse(Code.OUT_OF_RANGE, path, expected, "others", RANGE_HINT, value)
        return held

    def array(self, value: Any, dtype: Array, path: str) -> Any:
        """A list for any sequence, a NumPy array for one of scalars."""
        item = dtype.dtype
        elements = _elements(value)
        if elements is None:
            return self.refuse(Code.TYPE_MISMATCH, path, describe(dtype), kind(value), "", value)
        if isinstance(elements, pa.Array):
            where = f"{path}[]"
            if refused := mismatches(arrow_source(elements.type), item, where, required=False):
                for finding in refused:
                    self.refuse(
                        finding.code, finding.path, finding.expected, finding.found, finding.hint, value
                    )
                return value
            elements = elements.to_pylist()
        if isinstance(elements, np.ndarray) and isinstance(item, DataType) and _is_typed(elements):
            return self.typed(elements, item, path)
        return [self.value(element, item, f"{path}[]") for element in elements]

    def column(self, value: Any, dtype: Array, path: str) -> Any:
        """A column of pandas or Arrow in a cell, by its dtype."""
        if isinstance(value, (pa.Array, pa.ChunkedArray)):
            value = pd.Series(value, dtype=pd.ArrowDtype(value.type))
        if isinstance(value.dtype, pd.CategoricalDtype):
            value = pd.Series(value).astype(value.dtype.categories.dtype)
        if isinstance(value.dtype, np.dtype):
            return self.array(np.asarray(value), dtype, path)
        try:
            actual = arrow_source(pa.array(pd.Series(value), from_pandas=True).type)
        except (pa.ArrowException, TypeError, ValueError):
            return self.refuse(Code.TYPE_MISMATCH, path, describe(dtype), str(value.dtype), "", None)
        if found := mismatches(actual, dtype.dtype, f"{path}[]"):
            for one in found:
                self.refuse(one.code, one.path, one.expected, one.found, one.hint, None)
            return value
        return [self.value(one, dtype.dtype, f"{path}[]") for one in value]

    def typed(self, value: np.ndarray[Any, Any], item: DataType, path: str) -> Any:
        """A NumPy array by its dtype: as the casting table widens it, whatever it holds."""
        where = f"{path}[]"
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            return self.refuse(Code.INVALID_VALUE, where, "arrays without masked values", "others", "", value)
        held = source(value.dtype)
        if not widens(held, item):
            [finding] = mismatches(held, item, where)
            return self.refuse(finding.code, where, finding.expected, finding.found, finding.hint, value)
        if item in (DataType.string, DataType.binary):
            return value.tolist()
        if item is DataType.datetime:
            return [self.value(one, item, where) for one in value]
        return value.astype(to_numpy(item), copy=False)

    def map(self, value: Mapping[Any, Any], dtype: Map, path: str) -> dict[Any, Any]:
        """A mapping from strings."""
        for form in set(map(type, value)) - {str}:
            found = f"keys of type {form.__name__}"
            self.report.add(Code.INVALID_NAME, path, "keys that are strings", found)
        if not _is_text(key for key in value if isinstance(key, str)):
            self.report.add(Code.INVALID_NAME, path, "keys that are Unicode text", "half a surrogate pair")
        return {key: self.value(item, dtype.value_type, f"{path}[]") for key, item in value.items()}

    def object(self, value: Mapping[Any, Any], dtype: Object, path: str) -> dict[str, Any]:
        """The declared properties of a mapping, in its own order."""
        known = {prop.name: prop for prop in dtype.properties}
        for prop in dtype.properties:
            if prop.required and prop.name not in value:
                where = below(path, prop.name)
                if where not in self.hints:  # to look for a near name takes time
                    few = len(self.hints) < HINTS
                    keys = [key for key in value if isinstance(key, str)] if few else []
                    self.hints[where] = nearest(prop.name, keys)
                hint = self.hints[where]
                self.report.add(Code.MISSING_FIELD, where, describe(prop.dtype), "no such field", hint)
        if self.forbid:
            for key in value:
                if key not in known:
                    expected = "no key beside the declared ones"
                    self.report.add(Code.UNKNOWN_KEY, below(path, key), expected, "a key more")
        return {
            key: self.value(held, known[key].dtype, below(path, key), required=known[key].required)
            for key, held in value.items()
            if key in known
        }
