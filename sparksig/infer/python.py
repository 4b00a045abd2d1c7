"""Python values -> types: scalars, lists, dictionaries, and arrays in cells.

All values that stand at one path (the prices of all orders, say) are judged together: by the set of
their Python types, never one by one. A list's elements join those of the other lists, a dictionary's
values those that stand under the same key. So the order of rows and keys has no part in the result.

What is null (None, NaN, NA, NaT) and what is empty says nothing of its type and leaves it to the others;
alone, it is AnyType. A Python type counts exactly (no subclass of str or int); NumPy's scalars, pandas'
Timestamp, and arrays in cells count as a column of their dtype does.
"""

from __future__ import annotations

import datetime
import enum
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from operator import itemgetter
from typing import Any, Union

import numpy as np
import pandas as pd

from sparksig.convert import report_duplicates
from sparksig.convert.numpy import source
from sparksig.convert.objects import is_missing, is_null, is_vector, mixed_finding
from sparksig.convert.records import is_record
from sparksig.errors import Code, Finding, InferenceError, SignatureError, below, kind, step
from sparksig.infer.merging import merge
from sparksig.lattice import NEVER_NULL
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Name, Schema
from sparksig.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    DataType,
    Object,
    Property,
    SparkMLVector,
    Type,
)

__all__ = ["from_dict", "from_list", "from_scalar", "type_of"]

_SCALARS: dict[type, DataType] = {
    bool: DataType.boolean,
    np.bool_: DataType.boolean,
    int: DataType.long,
    np.int64: DataType.long,
    np.int32: DataType.integer,
    float: DataType.double,
    np.float64: DataType.double,
    np.float32: DataType.float,
    np.int8: DataType.integer,
    np.int16: DataType.integer,
    np.uint8: DataType.integer,
    np.uint16: DataType.integer,
    np.uint32: DataType.long,
    np.float16: DataType.float,
    str: DataType.string,
    np.str_: DataType.string,
    bytes: DataType.binary,
    np.bytes_: DataType.binary,
    bytearray: DataType.binary,
    datetime.date: DataType.datetime,
    datetime.datetime: DataType.datetime,
    np.datetime64: DataType.datetime,
    pd.Timestamp: DataType.datetime,
}
_NULLS = frozenset({type(None), type(pd.NA), type(pd.NaT)})
_REALS = frozenset({float, np.float64})  # whose NaN counts as null
_FLOATS = _REALS | {np.float32, np.float16}  # whose NaN counts as null beside values of other types

_WORDS = {list: "lists", dict: "dictionaries", np.ndarray: "arrays"}
_SHARED_DEPTH = 8
"""From this depth on, a container that stands at one path twice is looked at once: cycles cost nothing."""


# --- examples of each kind ----------------------------------------------------------------------------


def from_scalar(value: Any) -> Schema:
    """The schema of one unnamed column, from one value of it.

    Raises:
        InferenceError: no signature type has the value's Python type.

    Example:
        >>> from_scalar("Where is it?")
        [string (required)]
    """
    return _unnamed([value], f"this {type(value).__name__}")


def from_list(values: Sequence[Any]) -> Schema:
    """The schema of a list: of dictionaries, a column for each key; of anything else, one unnamed column.

    A key that is absent from some dictionary, or missing (None, NA, NaT) in it, makes an optional column.
    NaN is missing as well, except among floats and doubles. An empty list is a column of strings, as in
    MLflow.

    Raises:
        InferenceError: values of several types, or of none that a signature has; every path.

    Example:
        >>> from_list([{"id": 1, "tags": ["a"]}, {"id": 2}])
        ['id': long (required), 'tags': Array(string) (optional)]
    """
    if not values:
        return Schema([ColSpec(DataType.string)])
    if not all(issubclass(form, dict) for form in set(map(type, values))):
        return _unnamed(values, "this list")
    findings: list[Finding] = []
    columns = _by_key(values)
    names = _names(columns, findings)
    specs = []
    for label, held in columns.items():
        dtype = type_of(held, step(label), findings)
        if dtype is None or label not in names:
            continue
        specs.append(ColSpec(dtype, label, len(held) == len(values) and not _has_missing(held, dtype)))
    return _schema(specs, findings, "this list of dictionaries")


def from_dict(values: Mapping[Any, Any]) -> Schema:
    """The schema of a dictionary: a column for each key, its value being one row's value.

    A column is optional if its value, or an element of its list, is null.

    Raises:
        InferenceError: no key, keys that are no strings, or values without a type; every path.

    Example:
        >>> from_dict({"name": "Ada", "scores": [0.5, 1.0], "email": None})
        ['name': string (required), 'scores': Array(double) (required), 'email': Any (optional)]
    """
    findings = list(dict.fromkeys(finding for key in values if (finding := _name_finding(key, (str,)))))
    specs = []
    for key, value in values.items():
        dtype = type_of([value], step(key), findings)
        if dtype is not None and isinstance(key, str):
            held = value if isinstance(value, list) else [value]
            specs.append(ColSpec(dtype, key, required=not any(map(is_null, held))))
    return _schema(specs, findings, "this dictionary")


def _unnamed(values: Sequence[Any], what: str) -> Schema:
    findings: list[Finding] = []
    dtype = type_of(values, "", findings)
    if dtype in NEVER_NULL and any(map(is_null, values)):
        hint = "a column without a name must be required, and this type then has no place for nulls: name it"
        findings.append(Finding(Code.NULL_IN_REQUIRED, "", f"{dtype!r} without nulls", "nulls", hint))
    return _schema([] if dtype is None else [ColSpec(dtype)], findings, what)


def _schema(specs: list[ColSpec], findings: list[Finding], what: str) -> Schema:
    if not specs and not findings:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if findings:
        raise InferenceError.of(f"no signature for {what}", findings)
    return Schema(specs)


def _names(labels: Iterable[Any], findings: list[Finding]) -> set[Name]:
    """The keys that can be columns' names."""
    held = list(labels)
    fit = {label for label in held if not _name_finding(label, (str, int))}
    findings += dict.fromkeys(finding for label in held if (finding := _name_finding(label, (str, int))))
    findings += report_duplicates(
        [str(label) for label in held if label in fit], "one column of that name, as text"
    )
    return fit


def _name_finding(key: Any, forms: tuple[type, ...], path: str = "") -> Finding | None:
    """Why a key is no name; None if it is one."""
    where = below(path, key)
    if isinstance(key, bool) or not isinstance(key, forms):
        expected = "a string" if int not in forms else "a string or an integer"
        return Finding(Code.INVALID_NAME, where, expected, kind(key))
    try:
        str(key).encode()
    except UnicodeEncodeError:
        return Finding(Code.INVALID_NAME, where, "a name that is Unicode text", "half a surrogate pair")
    return None


# --- the values at one path ---------------------------------------------------------------------------


def type_of(values: Sequence[Any], path: str, findings: list[Finding]) -> Type | None:
    """The one type of all values at a path; what stands in its way is added to ``findings``.

    Returns:
        AnyType if all are null or empty; None if there were findings.

    Example:
        >>> type_of([{"a": [1, None]}, {}], "order", [])
        {a: Array(long) (optional)}
    """
    try:
        return _type_of(values, path, findings, 0, {})
    except SignatureError:  # of composites, on account of their depth alone
        findings.append(_too_deep(path))
        return None


_Seen = dict[frozenset[int], tuple[Sequence[Any], Union[Type, None]]]
"""The containers at one path, by their identities, and their type; None while it is being found, and after
findings. The containers are kept, so that their identities are not used anew."""


def _type_of(
    values: Sequence[Any], path: str, findings: list[Finding], depth: int, seen: _Seen
) -> Type | None:
    if depth >= MAX_DEPTH:
        findings.append(_too_deep(path))
        return None
    if depth < _SHARED_DEPTH:
        return _one_type(values, path, findings, depth, seen)
    values = list({id(value): value for value in values}.values())
    key = frozenset(map(id, values))
    if key in seen:
        if seen[key][1] is None and not findings:
            hint = "a signature has no recursive types"
            findings.append(
                Finding(
                    Code.UNSUPPORTED_TYPE, _cut(path), "values of finite depth", "one inside itself", hint
                )
            )
        return seen[key][1]
    seen[key] = (values, None)
    dtype = _one_type(values, path, findings, depth, seen)
    seen[key] = (values, dtype)
    return dtype


def _one_type(
    values: Sequence[Any], path: str, findings: list[Finding], depth: int, seen: _Seen
) -> Type | None:
    held = set(map(type, values))
    forms = held - _NULLS
    if forms & _REALS and not _has_number(values, float):
        forms -= _REALS
    if forms & _FLOATS and forms - _FLOATS and not _has_number(values, (float, np.floating)):
        forms -= _FLOATS
    scalars = forms & _SCALARS.keys()
    others = forms - scalars
    containers = {form: base for form in others if (base := _container(form)) is not None}
    vectors = {form for form in others if is_vector(form)}
    if strange := others - containers.keys() - vectors:
        findings += [_strange(form, path) for form in sorted(strange, key=lambda form: form.__name__)]
        return None
    words = {_SCALARS[form].name for form in scalars} | {_WORDS[base] for base in containers.values()}
    words |= {"vectors of Spark ML"} if vectors else set()
    if len(words - {"arrays", "lists"}) + bool(words & {"arrays", "lists"}) > 1:
        findings.append(_mixed(words, path))
        return None
    if scalars:
        held_values = values if held == forms else [value for value in values if type(value) in forms]
        return _scalar(held_values, scalars, path, findings)
    if dict in containers.values():
        return _object(
            [value for value in values if isinstance(value, dict)], values, path, findings, depth, seen
        )
    if containers:
        return _array(values, path, findings, depth, seen)
    return SparkMLVector() if vectors else AnyType()


def _has_number(values: Sequence[Any], floats: type | tuple[type, ...]) -> bool:
    """Return whether some float of these types is not NaN."""
    return any(value == value for value in values if isinstance(value, floats))


def _container(form: type) -> type | None:
    if form.__module__.startswith("scipy."):  # a dok_matrix is a dictionary, too
        return None
    return next((base for base in _WORDS if issubclass(form, base)), None)


def _scalar(values: Sequence[Any], forms: Set[type], path: str, findings: list[Finding]) -> DataType | None:
    """The type of values that are all of one signature type; what it could not hold is a finding."""
    dtype = _SCALARS[next(iter(forms))]
    if int in forms:
        try:
            array("q", values)  # the quickest look at the 64 bits of each
        except OverflowError:
            hint = "no signature type holds them: keep them as text, or explicitly as doubles"
            findings.append(Finding(Code.OUT_OF_RANGE, path, "integers of 64 bits", "larger ones", hint))
            return None
    if forms & {datetime.datetime, pd.Timestamp}:
        zoned = {getattr(value, "tzinfo", None) is not None for value in values}
        if len(zoned) > 1:
            findings.append(mixed_finding(values, path))
            return None
    if dtype is DataType.string:
        try:
            "".join(values).encode()
        except UnicodeEncodeError:
            findings.append(Finding(Code.INVALID_VALUE, path, "Unicode text", "half a surrogate pair"))
            return None
    return dtype


def _array(values: Sequence[Any], path: str, findings: list[Finding], depth: int, seen: _Seen) -> Type | None:
    lists = [value for value in values if isinstance(value, list) and value]
    typed: dict[tuple[np.dtype[Any], int], None] = {}
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    before = len(findings)
    for held in arrays:
        if held.ndim == 0:
            findings.append(Finding(Code.SHAPE_MISMATCH, path, "arrays of rank 1 or more", "one of rank 0"))
        elif isinstance(held, np.ma.MaskedArray) and np.ma.is_masked(held):
            hint = "a signature has no masks: fill the masked values explicitly"
            findings.append(Finding(Code.INVALID_VALUE, path, "arrays without masked values", "others", hint))
        elif held.dtype.kind == "O" and held.size:
            lists.append(held.tolist())
        elif held.size:
            typed[held.dtype, held.ndim] = None
    if len(findings) > before:
        findings[before:] = dict.fromkeys(findings[before:])  # each once
        return None
    if arrays and not lists and not typed:
        hint = "give an example with at least one element"
        findings.append(Finding(Code.EMPTY, path, "arrays with elements", "empty ones", hint))
        return None
    found: list[Type] = []
    for dtype, rank in typed:
        where = path + "[]" * rank
        item = find_narrowest_type(source(dtype), where, findings)
        for _ in range(rank):
            item = None if item is None else Array(item)
        found += [] if item is None else [item]
    if lists:
        item = _type_of(list(chain.from_iterable(lists)), f"{path}[]", findings, depth + 1, seen)
        found += [] if item is None else [Array(item)]
    return _merged(found, path, findings) if len(findings) == before else None


def _merged(found: list[Type], path: str, findings: list[Finding]) -> Type | None:
    dtype: Type = AnyType()
    try:
        for other in found:
            dtype = merge(dtype, other, path)
    except InferenceError as error:
        findings += error.findings
        return None
    return dtype


def _object(
    dicts: list[dict[Any, Any]],
    beside: Sequence[Any],
    path: str,
    findings: list[Finding],
    depth: int,
    seen: _Seen,
) -> Type | None:
    before = len(findings)
    optional = _says_nothing(beside)  # as in MLflow: beside a null or {}, no property can be relied on
    columns = _by_key(dicts)
    if not columns:
        return AnyType()
    properties = []
    for key, held in columns.items():
        where = below(path, key)
        dtype = _type_of(held, where, findings, depth + 1, seen)
        if finding := _name_finding(key, (str,), path):
            findings.append(finding)
        elif dtype is not None:
            required = not optional and len(held) == len(dicts)
            required = required and not (_says_nothing(held) or _has_missing(held, dtype))
            properties.append(Property(key, dtype, required))
    return Object(properties) if len(findings) == before else None


def _says_nothing(values: Sequence[Any]) -> bool:
    """Whether some value is null or empty, so that its type is not known from itself."""
    forms = set(map(type, values))
    if forms & _NULLS:
        return True
    if forms & _REALS and any(math.isnan(value) for value in values if isinstance(value, float)):
        return True
    containers = (list, dict, np.ndarray)
    if not any(issubclass(form, containers) for form in forms):
        return False
    return any(len(value) == 0 for value in values if isinstance(value, containers))


def _has_missing(values: Sequence[Any], dtype: Type) -> bool:
    """Return whether a value is missing from data of a type."""
    forms = set(map(type, values))
    unclear = forms & _FLOATS or np.datetime64 in forms
    return bool(forms & _NULLS) or (bool(unclear) and any(is_missing(value, dtype) for value in values))


def _by_key(dicts: Sequence[Mapping[Any, Any]]) -> dict[Any, list[Any]]:
    """The values under each key, keys in the order in which they are first seen."""
    shapes = set(map(tuple, dicts))
    if len(shapes) == 1:
        return {key: list(map(itemgetter(key), dicts)) for key in shapes.pop()}
    columns: dict[Any, list[Any]] = {}
    for one in dicts:
        for key, value in one.items():
            columns.setdefault(key, []).append(value)
    return columns


# --- findings -----------------------------------------------------------------------------------------

_ADVICE = {
    "tuple": "make it a list",
    "set": "make it a list",
    "frozenset": "make it a list",
    "UUID": "make it a text: str(value)",
    "Decimal": "cast it explicitly: to double, or to an integer",
    "Series": "make it a list",
    "DataFrame": "make it a list of dictionaries",
}


def _strange(form: type, path: str) -> Finding:
    if hasattr(form, "model_fields") or is_record(form):
        hint = f"give the type itself, as list[{form.__name__}], or its fields as a dictionary"
    elif issubclass(form, np.generic):
        hint = "no signature type holds all its values: convert it explicitly"
    elif issubclass(form, enum.Enum):
        hint = "take its value"
    elif issubclass(form, tuple(_SCALARS)):
        hint = "a subclass may hold more than its base: convert it explicitly"
    else:
        hint = ""
    found = f"a value of type {form.__name__}"
    hint = _ADVICE.get(form.__name__, hint)
    return Finding(Code.UNSUPPORTED_TYPE, _cut(path), "a supported type", found, hint)


def _mixed(words: set[str], path: str) -> Finding:
    numbers = {"integer", "long", "float", "double"}
    hint = "make them one type explicitly: nothing is widened by guess" if words <= numbers else ""
    first, *rest = sorted(words)
    return Finding(
        Code.MIXED_TYPES,
        path,
        "values of one type",
        ", ".join([first, *rest[:-1]]) + f" and {rest[-1]}",
        hint,
    )


def _too_deep(path: str) -> Finding:
    return Finding(Code.UNSUPPORTED_TYPE, _cut(path), f"at most {MAX_DEPTH} levels of nesting", "more")


def _cut(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:197]}..."
