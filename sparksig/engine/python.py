"""Lists, dictionaries, arrays and scalars as the frames that a schema of columns asks for.

One reading of a dictionary, for every column alike: each key is a column. A list is the column's values,
one a row, unless the schema says that the column itself is an Array (or Any): then it is one row's value.
Anything else, a dictionary for an Object included, is one row's value. All columns have as many rows.
A value that is nested one level deeper than an Array column declares (an array of rank 2 for an Array of
doubles) is a column of arrays. So is a list of as many values as there are rows, where their number is known
and the values say no more.

A list has one element a row: dictionaries for named columns, a value for the only unnamed one, or a list of
values for several unnamed ones. A scalar is one row of the only unnamed column. Tuples are read as lists,
instances of dataclasses, named tuples and pydantic models as dictionaries of their fields.

Dictionaries reach unnamed columns by position, and their keys are the labels that a model sees. Columns named
0 to n-1, as pandas labels the columns of an array, take what has no names by position.

Inputs and predictions are read by the same functions; the number of rows is known of predictions alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.instances import fields_of, is_sequence
from sparksig.convert.objects import to_series
from sparksig.engine.findings import FIRST_ROWS
from sparksig.errors import Code, ContractError, Finding, kind, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, Map, Object, Type, describe

__all__ = ["accepts_mappings", "is_positional", "label_by_position", "to_frame", "to_object_series"]


def to_frame(
    data: Any, schema: Schema, seen: list[Any] | None = None, row_count: int | None = None
) -> pd.DataFrame:
    """Python data as a frame of object columns, none of them judged yet.

    Args:
        data: a dictionary, list, array, Series or scalar.
        schema: columns, which decide how it is read; what it does not declare is left out.
        seen: gathers all keys, those that the schema does not declare included.
        row_count: how many rows there are, where it is known before: it decides between one row's value and a
            column where the data and the schema allow both.

    Raises:
        ContractError: data that no row can be made of, columns of different lengths, or absent from
            some rows.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> to_frame({"a": [1, 2], "b": "x"}, Schema([ColSpec(Array("long"), "a"), ColSpec("string", "b")]))
                a  b
        0  [1, 2]  x
    """
    if isinstance(data, pd.Series):
        return pd.DataFrame({0 if data.name is None else data.name: data})
    if isinstance(data, np.ndarray):
        if data.ndim:
            return _from_array(data, schema, row_count)
        data = data[()]
    if isinstance(data, list):
        return _from_list(data, schema, seen, row_count)
    by_name = fields_of(data)
    data = data if by_name is None else by_name
    if isinstance(data, Mapping) and not _is_value(data, schema):
        return _from_mapping(data, label_by_position(data, schema), seen, row_count)
    if not is_positional(schema) or len(schema) > 1:
        expected = "a list with a value a row" if is_positional(schema) else "a dictionary or a list of them"
        finding = Finding(Code.TYPE_MISMATCH, "", expected, kind(data), f"the schema is {_shown(schema)}")
        raise ContractError.of("the data does not fit the schema", [finding])
    if data is None or isinstance(data, (tuple, set, frozenset)):
        raise ContractError(f"enforce takes a scalar, list, dictionary, array or frame, not {kind(data)}")
    return pd.DataFrame({0: to_object_series([data])})


def is_positional(schema: Schema) -> bool:
    """Return whether data without names fits a schema: its columns have no names, or are named 0 to n-1."""
    return schema.input_names() == list(range(len(schema)))


def accepts_mappings(schema: Schema) -> bool:
    """Return whether a schema has one column, whose values may be dictionaries."""
    return len(schema) == 1 and isinstance(schema.inputs[0].type, (Object, Map, AnyType))


def _is_value(data: Mapping[Any, Any], schema: Schema) -> bool:
    """Return whether a dictionary is a value of the only column, instead of a row of columns."""
    if not accepts_mappings(schema) or not is_positional(schema):
        return False
    return not schema.has_input_names() or schema.inputs[0].name not in data


def label_by_position(labels: Iterable[Any], schema: Schema) -> Schema:
    """Return a schema of unnamed columns with the labels that the data has for them; others as they are.

    Args:
        labels: the keys of a dictionary, in order.
        schema: columns.

    Raises:
        ContractError: another number of labels than of columns, or labels that are not names.

    Example:
        >>> label_by_position({"x": [1.5], "y": [2.5]}, Schema([ColSpec("double"), ColSpec("double")]))
        ['x': double (required), 'y': double (required)]
    """
    if schema.has_input_names():
        return schema
    held = list(labels)
    if len(held) != len(schema):
        hint = "columns without names are taken by position: pass exactly these"
        expected, actual = (
            f"{count} column{'s' if count != 1 else ''}" for count in (len(schema), len(held))
        )
        finding = Finding(Code.COLUMN_COUNT, "", expected, actual, hint)
        raise ContractError.of("the data does not fit the schema", [finding])
    findings = _twins(held, None)
    findings += [
        Finding(Code.INVALID_NAME, step(label), "a string or an integer", kind(label))
        for label in held
        if isinstance(label, bool) or not isinstance(label, (str, int))
    ]
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    specs = [spec for spec in schema if isinstance(spec, ColSpec)]
    return Schema([ColSpec(spec.type, label, spec.required) for spec, label in zip(specs, held)])


_SCALARS = {type(None), bool, int, float, str, bytes}


def to_object_series(values: Sequence[Any]) -> pd.Series:
    """Values as a column of objects, each as it is: pandas looks for no dtype of its own."""
    held = np.empty(len(values), dtype=object)
    if set(map(type, values)) <= _SCALARS:
        held[:] = values
        return pd.Series(held, dtype=object)
    for index, value in enumerate(values):  # as a whole, NumPy would take lists of one length for a matrix
        held[index] = value
    return pd.Series(held, dtype=object)


def _shown(schema: Schema) -> str:
    text = repr(schema)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _from_array(data: np.ndarray[Any, Any], schema: Schema, row_count: int | None) -> pd.DataFrame:
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        hint = "fill them explicitly"
        finding = Finding(Code.INVALID_VALUE, "", "an array without masked values", "others", hint)
        raise ContractError.of("the data does not fit the schema", [finding])
    if not is_positional(schema):
        hint = "give it names, as a DataFrame or a dictionary of arrays"
        finding = Finding(Code.TYPE_MISMATCH, "", "named columns", "an array without names", hint)
        raise ContractError.of("the data does not fit the schema", [finding])
    only = schema.inputs[0].type
    if len(schema) == 1 and row_count == 1 and _is_one_row(data, only, in_doubt=False):
        return pd.DataFrame({0: to_object_series([data])})
    if len(schema) == 1 and isinstance(only, Array) and data.ndim > 1:
        return pd.DataFrame({0: to_object_series(list(data))})
    if data.ndim > 2:
        finding = Finding(Code.SHAPE_MISMATCH, "", "an array of rank 1 or 2", f"one of rank {data.ndim}")
        raise ContractError.of("the data does not fit the schema", [finding])
    columns = [_series(column) for column in (data.T if data.ndim == 2 else [data])]
    if any(column is None for column in columns):
        finding = Finding(Code.UNSUPPORTED_TYPE, "", "a dtype that pandas takes as it is", data.dtype.name)
        raise ContractError.of("the data does not fit the schema", [finding])
    return pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(len(data)))


def _series(array: np.ndarray[Any, Any]) -> pd.Series | None:
    """An array of rank 1 as a column; None where pandas does not take it, or not as it is."""
    if array.dtype.kind in "mM":
        unit, count = np.datetime_data(array.dtype)
        if count != 1 or unit in ("generic", "ps", "fs", "as"):
            return None
    try:
        return to_object_series(array.tolist()) if array.dtype.kind == "O" else pd.Series(array)
    except (TypeError, ValueError, OverflowError):  # which may tell a value: structured, too far, no text
        return None


def _from_list(
    rows: list[Any], schema: Schema, seen: list[Any] | None, row_count: int | None
) -> pd.DataFrame:
    if set(map(type, rows)) - _SCALARS - {dict}:
        rows = [row if (by_name := fields_of(row)) is None else by_name for row in rows]
    are_records = bool(rows) and all(isinstance(row, Mapping) and not _is_value(row, schema) for row in rows)
    if is_positional(schema) and not are_records:
        only = schema.inputs[0].type
        if len(schema) == 1 and row_count == 1 and _is_one_row(rows, only, in_doubt=False):
            return pd.DataFrame({0: to_object_series([rows])})
        return _from_rows(rows, len(schema))
    strange = sorted({type(row).__name__ for row in rows if not isinstance(row, Mapping)})
    if strange:
        hint = "name the values of a row, as {'name': value}"
        found = f"a list of {', '.join(strange)}"
        finding = Finding(Code.TYPE_MISMATCH, "", "a list of dictionaries", found, hint)
        raise ContractError.of("the data does not fit the schema", [finding])
    labels: dict[Any, None] = dict.fromkeys(key for row in rows for key in row)
    declared = label_by_position(labels, schema).input_dict()
    findings = _twins(labels, seen)
    columns: dict[Any, Any] = {}
    for label, spec in declared.items():
        if label not in labels:
            continue  # judged as an absent column
        absent = tuple(index for index, row in enumerate(rows) if label not in row)
        if absent and spec.required:
            told = Finding(Code.MISSING_COLUMN, step(label), describe(spec.type), "rows without it")
            findings.append(replace(told, count=len(absent), rows=absent[:FIRST_ROWS]))
        columns[label] = to_object_series([row.get(label) for row in rows])
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    if not rows:  # a table of no rows has all columns
        columns = {name: to_object_series([]) for name in declared}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _twins(labels: Iterable[Any], seen: list[Any] | None) -> list[Finding]:
    """The findings of keys that are one name as text."""
    held = list(labels)
    if seen is not None:
        seen += held
    return report_duplicates([str(label) for label in held], "one column of that name, as text")


def _from_rows(rows: list[Any], width: int) -> pd.DataFrame:
    if width == 1:
        return pd.DataFrame({0: to_object_series(rows)})
    wrong = tuple(
        index
        for index, row in enumerate(rows)
        if not isinstance(row, (list, tuple, np.ndarray)) or len(row) != width
    )
    if wrong:
        told = Finding(Code.COLUMN_COUNT, "", f"a list of {width} values for each row", "other rows")
        finding = replace(told, count=len(wrong), rows=wrong[:FIRST_ROWS])
        raise ContractError.of("the data does not fit the schema", [finding])
    return pd.DataFrame({index: to_object_series([row[index] for row in rows]) for index in range(width)})


def _from_mapping(
    data: Mapping[Any, Any], schema: Schema, seen: list[Any] | None, row_count: int | None
) -> pd.DataFrame:
    declared = schema.input_dict()
    findings = _twins(data, seen)
    columns: dict[Any, pd.Series] = {}
    for label, spec in declared.items():
        if label not in data:
            continue  # judged as an absent column
        column = _column(data[label], spec.type, row_count)
        if column is None:
            hint = "a column is a list, an array of rank 1 that pandas takes, or one value"
            findings.append(Finding(Code.SHAPE_MISMATCH, step(label), "a column", kind(data[label]), hint))
        else:
            columns[label] = column
    lengths = {label: len(column) for label, column in columns.items()}
    if len(set(lengths.values())) > 1:
        most = max(lengths.values())
        hint = "a list is a column, unless the column is declared an Array: then it is one row's value"
        findings += [
            Finding(Code.ROW_COUNT, step(label), f"{most} rows, as the longest column", str(length), hint)
            for label, length in lengths.items()
            if length != most
        ]
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return pd.DataFrame(columns)


def _column(value: Any, dtype: Type, row_count: int | None) -> pd.Series | None:
    """The values of one key, one a row."""
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        value = pd.Series(value, dtype=pd.ArrowDtype(value.type))
    is_typed = isinstance(value, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray))
    if isinstance(dtype, (Array, AnyType)) and not (is_typed and row_count is None):
        if _is_one_row(value, dtype, in_doubt=row_count in (None, 1)):
            return to_object_series([value])
        if isinstance(value, np.ndarray) and value.ndim > 1:
            return to_object_series(list(value))
    if is_typed:
        return to_series(value).reset_index(drop=True)
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return to_object_series([value[()]])
        if value.ndim > 1 or (isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)):
            return None
        return _series(value)
    return to_object_series(list(value) if is_sequence(value) and fields_of(value) is None else [value])


def _is_one_row(value: Any, dtype: Type, *, in_doubt: bool) -> bool:
    """Return whether a value of an Array column, or of Any, belongs to one row instead of being a column.

    Its nesting decides, compared with that of the declared type. Where that leaves both, or neither, the
    result is ``in_doubt``: nulls and empty lists do not say how deeply they are nested.
    """
    if not isinstance(dtype, (Array, AnyType)):
        return False
    declared = 0
    while isinstance(dtype, Array):
        declared, dtype = declared + 1, dtype.dtype
    levels, exact = _nesting(value)

    def fits(depth: int) -> bool:
        if isinstance(dtype, AnyType):
            return levels >= depth or not exact
        return levels == depth if exact else levels <= depth

    is_row, is_column = fits(declared), levels > 0 and fits(declared + 1)
    return in_doubt if is_row == is_column else is_row


def _nesting(value: Any) -> tuple[int, bool]:
    """Return how deeply sequences are nested, and whether that is all: below nulls and [] may be more."""
    if isinstance(value, np.ndarray) and (value.dtype.kind != "O" or value.ndim != 1):
        return value.ndim, True
    if hasattr(value, "toArray"):  # a vector of Spark ML
        return 1, True
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        levels, dtype = 1, value.type
        while hasattr(dtype, "value_type") and not pa.types.is_dictionary(dtype):
            levels, dtype = levels + 1, dtype.value_type
        return levels, True
    typed = (pd.Series, pd.Index, pd.api.extensions.ExtensionArray, np.ndarray)
    if not isinstance(value, typed) and (not is_sequence(value) or fields_of(value) is not None):
        return 0, True
    most = 1
    for item in value:
        if item is None or item is pd.NA or item is pd.NaT or (isinstance(item, float) and item != item):
            continue
        levels, exact = _nesting(item)
        most = max(most, levels + 1)
        if exact:
            return most, True
    return most, False
