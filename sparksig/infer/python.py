"""Inference of types from Python values: scalars, lists, dictionaries, and arrays in cells.

All values at one path (for example the prices of all orders) are inferred together, by the set of their
Python types. The elements of all lists at a path are inferred together, and so are the values of all
dictionaries under the same key. Therefore the order of rows and keys does not matter.

Nulls (None, NaN, NA, NaT) and empty containers have no type of their own: the path's other values decide.
A path with nothing else is AnyType. Python types must match exactly (subclasses of str or int are refused).
NumPy scalars, pandas Timestamps and arrays in cells have the type of a column of their dtype.
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
from sparksig.convert.numpy import to_source
from sparksig.convert.objects import build_mixed_finding, is_missing, is_null, is_vector
from sparksig.convert.records import is_record
from sparksig.errors import Code, Finding, InferenceError, SignatureError, below, name_type, quote, shorten
from sparksig.infer.merging import merge
from sparksig.lattice import NEVER_NULL
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Name, Schema
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Object, Property, SparkMLVector, Type

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
_REALS = frozenset({float, np.float64})  # their NaN is a null
_FLOATS = _REALS | {np.float32, np.float16}  # their NaN is a null if values of other types exist

_CONTAINER_NOUNS = {list: "lists", dict: "dictionaries", np.ndarray: "arrays"}
_SHARED_DEPTH = 8
"""The depth from which equal sets of containers are inferred once, so that cycles end."""


# --- examples of each kind ----------------------------------------------------------------------------


def from_scalar(value: Any) -> Schema:
    """Infer one unnamed column from one of its values.

    Example:
        >>> from_scalar("Where is it?")
        [string (required)]
    """
    return _infer_unnamed([value], f"this {type(value).__name__}")


def from_list(values: Sequence[Any]) -> Schema:
    """Infer a column for each key from a list of dictionaries, or one unnamed column from any other list.

    A column is optional if its key is absent from a dictionary or has a null (None, NA, NaT). NaN is a null,
    too, except in float and double columns. An empty list is a column of strings, as in MLflow.

    Example:
        >>> from_list([{"id": 1, "tags": ["a"]}, {"id": 2}])
        ['id': long (required), 'tags': Array(string) (optional)]
    """
    if not values:
        return Schema([ColSpec(DataType.string)])
    if not all(issubclass(cls, dict) for cls in set(map(type, values))):
        return _infer_unnamed(values, "this list")
    findings: list[Finding] = []
    columns = _group_by_key(values)
    names = _find_names(columns, findings)
    specs = []
    for label, column_values in columns.items():
        dtype = infer_type(column_values, quote(label), findings)
        if dtype is None or label not in names:
            continue
        specs.append(
            ColSpec(
                dtype, label, len(column_values) == len(values) and not _has_missing(column_values, dtype)
            )
        )
    return _build_schema(specs, findings, "this list of dictionaries")


def from_dict(values: Mapping[Any, Any]) -> Schema:
    """Infer a column for each key of a dictionary, whose values are those of one row.

    A column is optional if its value, or an element of its list, is null.

    Example:
        >>> from_dict({"name": "Ada", "scores": [0.5, 1.0], "email": None})
        ['name': string (required), 'scores': Array(double) (required), 'email': Any (optional)]
    """
    findings = list(dict.fromkeys(finding for key in values if (finding := _check_name(key, (str,)))))
    specs = []
    for key, value in values.items():
        dtype = infer_type([value], quote(key), findings)
        if dtype is not None and isinstance(key, str):
            elements = value if isinstance(value, list) else [value]
            specs.append(ColSpec(dtype, key, required=not any(map(is_null, elements))))
    return _build_schema(specs, findings, "this dictionary")


def _infer_unnamed(values: Sequence[Any], noun: str) -> Schema:
    findings: list[Finding] = []
    dtype = infer_type(values, "", findings)
    if dtype in NEVER_NULL and _has_missing(values, dtype):
        hint = (
            "name the column: an unnamed column is required, and required columns of this type refuse nulls"
        )
        findings.append(Finding(Code.NULL_IN_REQUIRED, "", f"{dtype!r} without nulls", "nulls", hint))
    return _build_schema([] if dtype is None else [ColSpec(dtype)], findings, noun)


def _build_schema(specs: list[ColSpec], findings: list[Finding], noun: str) -> Schema:
    if not specs and not findings:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if findings:
        raise InferenceError.of(f"no signature for {noun}", findings)
    return Schema(specs)


def _find_names(labels: Iterable[Any], findings: list[Finding]) -> set[Name]:
    """Return the keys that can be names of columns; report the others, and duplicates."""
    label_list = list(labels)
    names = {label for label in label_list if not _check_name(label, (str, int))}
    findings += dict.fromkeys(finding for label in label_list if (finding := _check_name(label, (str, int))))
    texts = [str(label) for label in label_list if label in names]
    findings += report_duplicates(texts, "one column of that name, as text")
    return names


def _check_name(key: Any, types: tuple[type, ...], path: str = "") -> Finding | None:
    """Return a finding if a key cannot be a name, else None."""
    key_path = below(path, key)
    if isinstance(key, bool) or not isinstance(key, types):
        expected = "a string" if int not in types else "a string or an integer"
        return Finding(Code.INVALID_NAME, key_path, expected, name_type(key))
    try:
        str(key).encode()
    except UnicodeEncodeError:
        return Finding(Code.INVALID_NAME, key_path, "a name of Unicode text", "a lone surrogate")
    return None


# --- the values at one path ---------------------------------------------------------------------------


def infer_type(values: Sequence[Any], path: str, findings: list[Finding]) -> Type | None:
    """Infer the type of all values at a path.

    Example:
        >>> infer_type([{"a": [1, None]}, {}], "order", [])
        {a: Array(long) (optional)}
    """
    try:
        return _infer_shared(values, path, findings, 0, {})
    except SignatureError:  # composite types raise it only if they are too deep
        findings.append(_report_depth(path))
        return None


_Visited = dict[frozenset[int], tuple[Sequence[Any], Union[Type, None]]]
"""Sets of containers by their identities, with their type: None during inference and after findings. The
containers are stored, so that Python does not reuse their identities."""


def _infer_shared(
    values: Sequence[Any], path: str, findings: list[Finding], depth: int, visited: _Visited
) -> Type | None:
    if depth >= MAX_DEPTH:
        findings.append(_report_depth(path))
        return None
    if depth < _SHARED_DEPTH:
        return _infer_at_depth(values, path, findings, depth, visited)
    values = list({id(value): value for value in values}.values())
    key = frozenset(map(id, values))
    if key in visited:
        if visited[key][1] is None and not findings:
            expected, actual = "values of finite depth", "a container inside itself"
            hint = "a signature has no recursive types"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, shorten(path, 200), expected, actual, hint))
        return visited[key][1]
    visited[key] = (values, None)
    dtype = _infer_at_depth(values, path, findings, depth, visited)
    visited[key] = (values, dtype)
    return dtype


def _infer_at_depth(
    values: Sequence[Any], path: str, findings: list[Finding], depth: int, visited: _Visited
) -> Type | None:
    actual_types = set(map(type, values))
    types = actual_types - _NULLS
    if types & _REALS and not _has_number(values, float):
        types -= _REALS
    if types & _FLOATS and types - _FLOATS and not _has_number(values, (float, np.floating)):
        types -= _FLOATS
    scalars = types & _SCALARS.keys()
    other_types = types - scalars
    containers = {cls: base for cls in other_types if (base := _find_container_class(cls)) is not None}
    vectors = {cls for cls in other_types if is_vector(cls)}
    if unsupported := other_types - containers.keys() - vectors:
        findings += [
            _report_unsupported(cls, path) for cls in sorted(unsupported, key=lambda cls: cls.__name__)
        ]
        return None
    nouns = {_SCALARS[cls].name for cls in scalars} | {_CONTAINER_NOUNS[base] for base in containers.values()}
    nouns |= {"vectors of Spark ML"} if vectors else set()
    if len(nouns - {"arrays", "lists"}) + bool(nouns & {"arrays", "lists"}) > 1:
        findings.append(_report_mixture(nouns, path))
        return None
    if scalars:
        scalar_values = (
            values if actual_types == types else [value for value in values if type(value) in types]
        )
        return _infer_scalar(scalar_values, scalars, path, findings)
    if dict in containers.values():
        return _infer_object(
            [value for value in values if isinstance(value, dict)], values, path, findings, depth, visited
        )
    if containers:
        return _infer_array(values, path, findings, depth, visited)
    return SparkMLVector() if vectors else AnyType()


def _has_number(values: Sequence[Any], floats: type | tuple[type, ...]) -> bool:
    """Return whether a float of these types is not NaN."""
    return any(value == value for value in values if isinstance(value, floats))


def _find_container_class(cls: type) -> type | None:
    if cls.__module__.startswith("scipy."):  # a dok_matrix is a subclass of dict
        return None
    return next((base for base in _CONTAINER_NOUNS if issubclass(cls, base)), None)


def _infer_scalar(
    values: Sequence[Any], types: Set[type], path: str, findings: list[Finding]
) -> DataType | None:
    """Infer the type of values of one signature type; report values that the type cannot represent."""
    dtype = _SCALARS[next(iter(types))]
    if int in types:
        try:
            array("q", values)  # the fastest check of the range
        except OverflowError:
            hint = "keep them as text, or convert them to doubles explicitly"
            findings.append(Finding(Code.OUT_OF_RANGE, path, "integers of 64 bits", "larger integers", hint))
            return None
    if types & {datetime.datetime, pd.Timestamp}:
        is_zoned = {getattr(value, "tzinfo", None) is not None for value in values}
        if len(is_zoned) > 1:
            findings.append(build_mixed_finding(values, path))
            return None
    if dtype is DataType.string:
        try:
            "".join(values).encode()
        except UnicodeEncodeError:
            findings.append(Finding(Code.INVALID_VALUE, path, "Unicode text", "a lone surrogate"))
            return None
    return dtype


def _infer_array(
    values: Sequence[Any], path: str, findings: list[Finding], depth: int, visited: _Visited
) -> Type | None:
    lists = [value for value in values if isinstance(value, list) and value]
    dtypes: dict[tuple[np.dtype[Any], int], None] = {}
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    before = len(findings)
    for cell in arrays:
        if cell.ndim == 0:
            findings.append(
                Finding(Code.SHAPE_MISMATCH, path, "arrays of rank 1 or more", "an array of rank 0")
            )
        elif isinstance(cell, np.ma.MaskedArray) and np.ma.is_masked(cell):
            hint = "a signature has no masks: fill the masked values explicitly"
            findings.append(
                Finding(Code.INVALID_VALUE, path, "arrays without masked values", "masked values", hint)
            )
        elif cell.dtype.kind == "O" and cell.size:
            lists.append(cell.tolist())
        elif cell.size:
            dtypes[cell.dtype, cell.ndim] = None
    if len(findings) > before:
        findings[before:] = dict.fromkeys(findings[before:])  # without duplicates
        return None
    if arrays and not lists and not dtypes:
        hint = "give an example with at least one element"
        findings.append(Finding(Code.EMPTY, path, "arrays with elements", "empty arrays", hint))
        return None
    item_types: list[Type] = []
    for dtype, rank in dtypes:
        item_path = path + "[]" * rank
        item = find_narrowest_type(to_source(dtype), item_path, findings)
        for _ in range(rank):
            item = None if item is None else Array(item)
        item_types += [] if item is None else [item]
    if lists:
        item = _infer_shared(list(chain.from_iterable(lists)), f"{path}[]", findings, depth + 1, visited)
        item_types += [] if item is None else [Array(item)]
    return _merge_all(item_types, path, findings) if len(findings) == before else None


def _merge_all(types: list[Type], path: str, findings: list[Finding]) -> Type | None:
    dtype: Type = AnyType()
    try:
        for other in types:
            dtype = merge(dtype, other, path)
    except InferenceError as error:
        findings += error.findings
        return None
    return dtype


def _infer_object(
    dicts: list[dict[Any, Any]],
    values: Sequence[Any],
    path: str,
    findings: list[Finding],
    depth: int,
    visited: _Visited,
) -> Type | None:
    before = len(findings)
    all_optional = _has_untyped(values)  # as in MLflow: a null or {} makes all properties optional
    columns = _group_by_key(dicts)
    if not columns:
        return AnyType()
    properties = []
    for key, prop_values in columns.items():
        prop_path = below(path, key)
        dtype = _infer_shared(prop_values, prop_path, findings, depth + 1, visited)
        if finding := _check_name(key, (str,), path):
            findings.append(finding)
        elif dtype is not None:
            required = not all_optional and len(prop_values) == len(dicts)
            required = required and not (_has_untyped(prop_values) or _has_missing(prop_values, dtype))
            properties.append(Property(key, dtype, required))
    return Object(properties) if len(findings) == before else None


def _has_untyped(values: Sequence[Any]) -> bool:
    """Return whether a value is null or empty, so that it has no type of its own."""
    types = set(map(type, values))
    if types & _NULLS:
        return True
    if types & _REALS and any(math.isnan(value) for value in values if isinstance(value, float)):
        return True
    containers = (list, dict, np.ndarray)
    if not any(issubclass(cls, containers) for cls in types):
        return False
    return any(len(value) == 0 for value in values if isinstance(value, containers))


def _has_missing(values: Sequence[Any], dtype: Type) -> bool:
    """Return whether a value is a null of a type."""
    types = set(map(type, values))
    may_be_null = types & _FLOATS or np.datetime64 in types
    return bool(types & _NULLS) or (bool(may_be_null) and any(is_missing(value, dtype) for value in values))


def _group_by_key(dicts: Sequence[Mapping[Any, Any]]) -> dict[Any, list[Any]]:
    """Group the values of dictionaries by key, in the order of the first occurrence of each key."""
    key_tuples = set(map(tuple, dicts))
    if len(key_tuples) == 1:
        return {key: list(map(itemgetter(key), dicts)) for key in key_tuples.pop()}
    columns: dict[Any, list[Any]] = {}
    for row in dicts:
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    return columns


# --- findings -----------------------------------------------------------------------------------------

_ADVICE = {
    "tuple": "convert it to a list",
    "set": "convert it to a list",
    "frozenset": "convert it to a list",
    "UUID": "convert it to text: str(value)",
    "Decimal": "cast it explicitly: to double, or to an integer",
    "Series": "convert it to a list",
    "DataFrame": "convert it to a list of dictionaries",
}


def _report_unsupported(cls: type, path: str) -> Finding:
    if hasattr(cls, "model_fields") or is_record(cls):
        hint = f"pass the type, list[{cls.__name__}], or the fields as a dictionary"
    elif issubclass(cls, np.generic):
        hint = "convert it explicitly: no signature type has all of its values"
    elif issubclass(cls, enum.Enum):
        hint = "pass its value"
    elif issubclass(cls, tuple(_SCALARS)):
        hint = "convert it to its base class explicitly"
    else:
        hint = ""
    actual = f"a value of type {cls.__name__}"
    hint = _ADVICE.get(cls.__name__, hint)
    return Finding(Code.UNSUPPORTED_TYPE, shorten(path, 200), "a supported type", actual, hint)


def _report_mixture(nouns: set[str], path: str) -> Finding:
    numbers = {"integer", "long", "float", "double"}
    hint = "make them one type explicitly: inference does not widen types" if nouns <= numbers else ""
    *first, last = sorted(nouns)
    return Finding(Code.MIXED_TYPES, path, "values of one type", f"{', '.join(first)} and {last}", hint)


def _report_depth(path: str) -> Finding:
    expected = f"at most {MAX_DEPTH} levels of nesting"
    return Finding(Code.UNSUPPORTED_TYPE, shorten(path, 200), expected, "deeper nesting")
