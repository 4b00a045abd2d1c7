"""Enforcement of signature types on Python values: scalars, lists and dictionaries in cells.

A column is first checked at once, level by level, by the set of its Python types. If all values have the
declared type, the column is returned unchanged. Otherwise the values are visited one by one, and widened by
the casting table for Python scalars, or reported.
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

from sparksig.convert.arrow import to_source as arrow_to_source
from sparksig.convert.instances import get_fields
from sparksig.convert.numpy import to_numpy, to_source
from sparksig.convert.objects import is_missing, is_vector
from sparksig.engine.findings import (
    IN_RANGE,
    LONG_HINT,
    OUT_OF_RANGE,
    RANGE_HINT,
    Collector,
    format_null_hint,
)
from sparksig.errors import HINTS, Code, Finding, below, name_type, suggest
from sparksig.lattice import NEVER_NULL, find_mismatches, widens
from sparksig.scalars import describe_mismatch, is_beyond_long
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe


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
    """Convert the values of one column to the declared type.

    Example:
        >>> from sparksig.types import Property
        >>> enforce_values([{"a": 1}], Object([Property("a", "double")]), "o", [], required=True)
        [{'a': 1.0}]
    """
    if _all_fit(values, dtype, required=required, strict=strict):
        return values
    collector = Collector()
    converter = _Converter(collector, strict, forbid, show_values)
    enforced = []
    for row, value in enumerate(values):
        collector.row = row
        enforced.append(converter.convert(value, dtype, path, required=required))
    findings += collector.build_findings()
    return enforced


# --- fast check of all values ---------------------------------------------------------------------------

_NULLS = frozenset({type(None), type(pd.NA), type(pd.NaT)})
_OTHER_NULLS = _NULLS - {type(None)}  # these are replaced by None
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
    """Return whether all values are Python strings of valid Unicode, or None if ``nulls`` are allowed.

    Example:
        >>> are_texts(["a", None], nulls=True), are_texts(["a", float("nan")], nulls=True)
        (True, False)
    """
    return _all_fit(values, DataType.string, required=not nulls, strict=True)


def _all_fit(values: Sequence[Any], dtype: Type, *, required: bool, strict: bool) -> bool:
    """Return whether all values have exactly the declared type; False may need a check of each value."""
    if isinstance(dtype, AnyType):
        return not (required and strict)
    types = set(map(type, values))
    if types & _NULLS:
        if types & _OTHER_NULLS or (required and (strict or dtype in NEVER_NULL)):
            return False
        if types - _NULLS:
            values = [value for value in values if type(value) not in _NULLS]
            types -= _NULLS
        else:
            return True
    if isinstance(dtype, DataType):
        return _all_scalars_fit(values, types, dtype)
    if isinstance(dtype, Array):
        return _all_lists_fit(values, types, dtype.dtype, strict)
    if types - {dict}:
        return False
    if isinstance(dtype, Map):
        if set(map(type, chain.from_iterable(values))) - {str} or not _is_text(chain.from_iterable(values)):
            return False
        items = list(chain.from_iterable(map(dict.values, values)))
        return _all_fit(items, dtype.value_type, required=False, strict=strict)
    return _all_objects_fit(values, dtype, strict)


def _is_text(values: Iterable[str]) -> bool:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _all_scalars_fit(values: Sequence[Any], types: Set[type], dtype: DataType) -> bool:
    if dtype not in _EXACT or types - _EXACT[dtype]:
        return False
    try:
        if dtype in _CODES:
            array(_CODES[dtype], values)  # the fastest check of the range
        elif dtype is DataType.string:
            "".join(values).encode()
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


def _all_lists_fit(values: Sequence[Any], types: Set[type], item: Type, strict: bool) -> bool:
    if types == {list}:
        return _all_fit(list(chain.from_iterable(values)), item, required=False, strict=strict)
    if types != {np.ndarray} or not isinstance(item, DataType) or item in (DataType.string, DataType.binary):
        return False
    return {(value.dtype, value.ndim) for value in values} == {(to_numpy(item), 1)}


def _all_objects_fit(values: Sequence[dict[Any, Any]], dtype: Object, strict: bool) -> bool:
    declared = {prop.name for prop in dtype.properties}
    key_sets = set(map(frozenset, values))
    if any(key_set - declared for key_set in key_sets):
        return False
    for prop in dtype.properties:
        name = prop.name
        is_present = all(name in key_set for key_set in key_sets)
        if prop.required and not is_present:
            return False
        items = [item[name] for item in values if is_present or name in item]
        if not _all_fit(items, prop.dtype, required=prop.required, strict=strict):
            return False
    return True


# --- sequences ------------------------------------------------------------------------------------------


def _get_elements(value: Any) -> list[Any] | np.ndarray[Any, Any] | pa.Array | None:
    """Return the elements of an array in a cell, with their dtype if it has one; None for other values."""
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


# --- conversion of single values ------------------------------------------------------------------------


def _format_sample(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except Exception as error:  # the user's own repr may raise anything
        return f"a value whose repr fails with {type(error).__name__}"


_NUMBERS = frozenset({DataType.integer, DataType.long, DataType.float, DataType.double})
_LOW, _HIGH = np.iinfo(np.int64).min // 1000 + 1, np.iinfo(np.int64).max // 1000
_EPOCH = datetime.datetime(1970, 1, 1)


def _fits_nanoseconds(time: datetime.datetime) -> bool:
    if not isinstance(time, pd.Timestamp):
        return _LOW <= (time - _EPOCH) // datetime.timedelta(microseconds=1) <= _HIGH
    try:
        time.as_unit("ns")
    except pd.errors.OutOfBoundsDatetime:
        return False
    return True


@dataclass(frozen=True)
class _Converter:
    """A converter of single values: it widens them by the casting table, or reports them."""

    collector: Collector
    strict: bool  # refuse nulls in required columns and properties of every type
    forbid: bool  # refuse undeclared keys of objects
    show_values: bool  # findings may show values
    hints: dict[str, str] = field(default_factory=dict)  # for missing fields by their paths, computed once

    def refuse(self, code: Code, path: str, expected: str, actual: str, hint: str, value: Any) -> Any:
        """Report a value, and return it unchanged."""
        sample = _format_sample(value) if self.show_values else ""
        self.collector.add(code, path, expected, actual, hint, sample)
        return value

    def convert(self, value: Any, dtype: Type, path: str, *, required: bool = False) -> Any:
        """Convert a value of any type."""
        if is_missing(value, dtype):
            return self.convert_null(value, dtype, path, required)
        if isinstance(dtype, AnyType):
            return value
        if isinstance(dtype, DataType):
            return self.convert_scalar(value, dtype, path)
        if isinstance(dtype, Array):
            return self.convert_array(value, dtype, path)
        if not isinstance(value, Mapping):
            by_name = get_fields(value)
            if by_name is None:
                return self.refuse(Code.TYPE_MISMATCH, path, describe(dtype), name_type(value), "", value)
            value = by_name
        if isinstance(dtype, Map):
            return self.convert_map(value, dtype, path)
        assert isinstance(dtype, Object)
        return self.convert_object(value, dtype, path)

    def convert_null(self, value: Any, dtype: Type, path: str, required: bool) -> Any:
        """Return None for a missing value, or the value itself for Any; report it if it is refused."""
        if required and (self.strict or dtype in NEVER_NULL):
            expected, hint = f"{describe(dtype)} without nulls", format_null_hint(dtype)
            self.collector.add(Code.NULL_IN_REQUIRED, path, expected, "nulls", hint)
        return value if isinstance(dtype, AnyType) else None

    def convert_scalar(self, value: Any, dtype: DataType, path: str) -> Any:
        """Convert a scalar to a Python built-in."""
        if reason := describe_mismatch(value, dtype):
            if is_beyond_long(value) and dtype in _NUMBERS:
                actual = "an int beyond 64 bits"
                return self.refuse(Code.OUT_OF_RANGE, path, dtype.name, actual, LONG_HINT, value)
            return self.refuse(Code.TYPE_MISMATCH, path, dtype.name, reason, "", value)
        if dtype is DataType.datetime:
            return self.convert_time(value, path)
        if dtype is DataType.string:
            try:
                value.encode()
            except UnicodeEncodeError:
                self.collector.add(Code.INVALID_VALUE, path, "Unicode text", "a lone surrogate")
            return value if type(value) is str else str.__str__(value)
        plain = value.item() if isinstance(value, np.generic) else value
        return dtype.to_python()(plain)

    def convert_time(self, value: Any, path: str) -> Any:
        """Convert a time to a naive local time; a date becomes its midnight."""
        time = value
        if isinstance(value, np.datetime64):
            nanos = value.astype("datetime64[ns]")
            time = pd.Timestamp(nanos) if nanos.astype(value.dtype) == value else None
        elif isinstance(value, datetime.datetime):
            time = value.replace(tzinfo=None) if value.tzinfo is not None else value
        elif isinstance(value, datetime.date):
            time = datetime.datetime(value.year, value.month, value.day)
        if time is None or not _fits_nanoseconds(time):
            return self.refuse(Code.OUT_OF_RANGE, path, IN_RANGE, OUT_OF_RANGE, RANGE_HINT, value)
        return time

    def convert_array(self, value: Any, dtype: Array, path: str) -> Any:
        """Convert a sequence to a list, or a typed array of scalars to an array of the declared dtype."""
        item = dtype.dtype
        elements = _get_elements(value)
        if elements is None:
            return self.refuse(Code.TYPE_MISMATCH, path, describe(dtype), name_type(value), "", value)
        if isinstance(elements, pa.Array):
            item_path = f"{path}[]"
            if refused := find_mismatches(arrow_to_source(elements.type), item, item_path, required=False):
                for finding in refused:
                    self.refuse(
                        finding.code, finding.path, finding.expected, finding.actual, finding.hint, value
                    )
                return value
            elements = elements.to_pylist()
        if isinstance(elements, np.ndarray) and isinstance(item, DataType) and _is_typed(elements):
            return self.convert_typed(elements, item, path)
        return [self.convert(element, item, f"{path}[]") for element in elements]

    def convert_typed(self, value: np.ndarray[Any, Any], item: DataType, path: str) -> Any:
        """Convert a NumPy array by its dtype, independently of its values."""
        item_path = f"{path}[]"
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            return self.refuse(
                Code.INVALID_VALUE, item_path, "arrays without masked values", "masked values", "", value
            )
        source_type = to_source(value.dtype)
        if not widens(source_type, item):
            [finding] = find_mismatches(source_type, item, item_path)
            return self.refuse(finding.code, item_path, finding.expected, finding.actual, finding.hint, value)
        if item in (DataType.string, DataType.binary):
            return value.tolist()
        if item is DataType.datetime:
            return [self.convert(element, item, item_path) for element in value]
        return value.astype(to_numpy(item), copy=False)

    def convert_map(self, value: Mapping[Any, Any], dtype: Map, path: str) -> dict[Any, Any]:
        """Convert a mapping whose keys are strings."""
        for key_type in set(map(type, value)) - {str}:
            actual = f"keys of type {key_type.__name__}"
            self.collector.add(Code.INVALID_NAME, path, "string keys", actual)
        if not _is_text(key for key in value if isinstance(key, str)):
            self.collector.add(Code.INVALID_NAME, path, "keys of Unicode text", "a lone surrogate")
        return {key: self.convert(item, dtype.value_type, f"{path}[]") for key, item in value.items()}

    def convert_object(self, value: Mapping[Any, Any], dtype: Object, path: str) -> dict[str, Any]:
        """Convert the declared properties of a mapping, in the order of the mapping."""
        declared = {prop.name: prop for prop in dtype.properties}
        for prop in dtype.properties:
            if prop.required and prop.name not in value:
                prop_path = below(path, prop.name)
                if prop_path not in self.hints:  # the search for a similar name takes time
                    has_few = len(self.hints) < HINTS
                    keys = [key for key in value if isinstance(key, str)] if has_few else []
                    self.hints[prop_path] = suggest(prop.name, keys)
                hint = self.hints[prop_path]
                self.collector.add(Code.MISSING_FIELD, prop_path, describe(prop.dtype), "no such field", hint)
        for key in value:
            if self.forbid and key not in declared:
                expected = "only declared keys"
                self.collector.add(Code.UNKNOWN_KEY, below(path, key), expected, "an undeclared key")
        return {
            key: self.convert(item, declared[key].dtype, below(path, key), required=declared[key].required)
            for key, item in value.items()
            if key in declared
        }
