"""Conversion of lists, dictionaries, arrays and scalars to frames with the columns of a schema.

Dictionary: each key is a column. A list contains the values of the column, one for each row. If the column is
declared an Array (or Any), a list is the value of a single row. All other values, such as a dictionary for an
Object, are the value of a single row. All columns must have the same number of rows. A value that is nested
one level deeper than its Array column declares (an array of rank 2 for an Array of doubles) is a column of
arrays. If the number of rows is known and the nesting does not decide, a list with one element for each row
is a column.

List: each element is a row: a dictionary for named columns, a value for a single unnamed column, or a list of
values for several unnamed columns. A scalar is one row of a single unnamed column. Tuples are read as lists;
instances of dataclasses, named tuples and pydantic models are read as dictionaries of their fields.

The keys of a dictionary are matched with unnamed columns by position, and the model receives them as labels.
Columns that are named 0 to n-1, as pandas labels the columns of an array, accept unnamed data by position.

The same functions read inputs and predictions. The number of rows is known for predictions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.instances import get_fields, is_sequence
from sparksig.convert.objects import to_series
from sparksig.engine.findings import FIRST_ROWS, build_count_finding
from sparksig.errors import Code, ContractError, Finding, name_type, quote, shorten
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, Map, Object, Type, describe


def to_frame(
    data: Any, schema: Schema, labels: list[Any] | None = None, row_count: int | None = None
) -> pd.DataFrame:
    """Convert Python data to a frame of object columns without judging their types.

    Args:
        data: a dictionary, list, array, Series or scalar.
        schema: the columns, which decide how the data is read; undeclared columns are dropped.
        labels: receives all keys of the data, including undeclared keys.
        row_count: the number of rows, if it is known. It decides between the value of one row and a column
            where the data and the schema allow both.

    Raises:
        ContractError: the data cannot be split into rows, columns have different lengths, or rows lack a
            required column.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> to_frame({"a": [1, 2], "b": "x"}, Schema([ColSpec(Array("long"), "a"), ColSpec("string", "b")]))
                a  b
        0  [1, 2]  x
    """
    if isinstance(data, pd.Series):
        _refuse_row(data, schema)
        return pd.DataFrame({0 if data.name is None else data.name: data})
    if isinstance(data, np.ndarray):
        if data.ndim:
            return _from_array(data, schema, row_count)
        data = data[()]
    if isinstance(data, list):
        return _from_list(data, schema, labels, row_count)
    by_name = get_fields(data)
    data = data if by_name is None else by_name
    if isinstance(data, Mapping) and not _is_value(data, schema):
        return _from_mapping(data, label_by_position(data, schema), labels, row_count)
    if not is_positional(schema) or len(schema) > 1:
        named = "a DataFrame, a dictionary, or a list of dictionaries"
        expected = "a list of rows" if is_positional(schema) else named
        hint = f"the schema is {shorten(repr(schema), 120)}"
        raise _build_error(Finding(Code.TYPE_MISMATCH, "", expected, name_type(data), hint))
    if data is None or isinstance(data, (tuple, set, frozenset)):
        raise ContractError(
            f"data: expected a scalar, list, dictionary, array or frame, got {name_type(data)}"
        )
    return pd.DataFrame({0: to_object_series([data])})


def _refuse_row(series: pd.Series, schema: Schema) -> None:
    """Refuse a row of a frame: its index has the names of the columns."""
    names = schema.input_names()
    if series.name not in names and not is_positional(schema) and series.index.isin(names).any():
        hint = "pass a frame of this row, as frame.iloc[[0]], or the row's to_dict()"
        raise _build_error(Finding(Code.TYPE_MISMATCH, "", "named columns", "a Series of one row", hint))


def is_positional(schema: Schema) -> bool:
    """Return whether columns accept data without names: they are unnamed, or named 0 to n-1."""
    return schema.input_names() == list(range(len(schema)))


def accepts_mappings(schema: Schema) -> bool:
    """Return whether a schema has a single column whose values may be dictionaries."""
    return len(schema) == 1 and isinstance(schema.inputs[0].type, (Object, Map, AnyType))


def _is_value(data: Mapping[Any, Any], schema: Schema) -> bool:
    """Return whether a dictionary is a value of the only column instead of a row of columns."""
    if not accepts_mappings(schema) or not is_positional(schema):
        return False
    return not schema.has_input_names() or schema.inputs[0].name not in data


def label_by_position(labels: Iterable[Any], schema: Schema) -> Schema:
    """Name the unnamed columns of a schema after the labels of the data; return a named schema unchanged.

    Example:
        >>> label_by_position({"x": [1.5], "y": [2.5]}, Schema([ColSpec("double"), ColSpec("double")]))
        ['x': double (required), 'y': double (required)]
    """
    if schema.has_input_names():
        return schema
    label_list = list(labels)
    if len(label_list) != len(schema):
        hint = "pass exactly these: columns without names are matched by position"
        raise _build_error(build_count_finding(len(schema), len(label_list), hint))
    findings = _find_duplicates(label_list, None)
    findings += [
        Finding(Code.INVALID_NAME, quote(label), "a string or an integer", name_type(label))
        for label in label_list
        if isinstance(label, bool) or not isinstance(label, (str, int))
    ]
    if findings:
        raise _build_error(*findings)
    specs = [spec for spec in schema if isinstance(spec, ColSpec)]
    return Schema([ColSpec(spec.type, label, spec.required) for spec, label in zip(specs, label_list)])


def _build_error(*findings: Finding) -> ContractError:
    return ContractError.of("the data does not fit the schema", findings)


_SCALARS = {type(None), bool, int, float, str, bytes}


def to_object_series(values: Sequence[Any]) -> pd.Series:
    """Return values unchanged as a column of objects, without pandas' inference of a dtype."""
    objects = np.empty(len(values), dtype=object)
    if set(map(type, values)) <= _SCALARS:
        objects[:] = values
        return pd.Series(objects, dtype=object)
    for index, value in enumerate(values):  # one by one: NumPy would turn lists of equal length into a matrix
        objects[index] = value
    return pd.Series(objects, dtype=object)


def _from_array(data: np.ndarray[Any, Any], schema: Schema, row_count: int | None) -> pd.DataFrame:
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        hint = "fill them explicitly"
        raise _build_error(
            Finding(Code.INVALID_VALUE, "", "an array without masked values", "masked values", hint)
        )
    if not is_positional(schema):
        hint = "pass a DataFrame or a dictionary of arrays"
        raise _build_error(Finding(Code.TYPE_MISMATCH, "", "named columns", "an array without names", hint))
    dtype = schema.inputs[0].type
    if len(schema) == 1 and row_count == 1 and _is_one_row(data, dtype, in_doubt=False):
        return pd.DataFrame({0: to_object_series([data])})
    if len(schema) == 1 and isinstance(dtype, Array) and data.ndim > 1:
        return pd.DataFrame({0: to_object_series(list(data))})
    if data.ndim > 2:
        actual = f"one of rank {data.ndim}"
        raise _build_error(Finding(Code.SHAPE_MISMATCH, "", "an array of rank 1 or 2", actual))
    columns = [_to_series(column) for column in (data.T if data.ndim == 2 else [data])]
    if any(column is None for column in columns):
        raise _build_error(
            Finding(Code.UNSUPPORTED_TYPE, "", "a dtype that pandas supports", data.dtype.name)
        )
    return pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(len(data)))


def _to_series(array: np.ndarray[Any, Any]) -> pd.Series | None:
    """Convert an array of rank 1 to a column; return None if pandas would refuse or change its values."""
    if array.dtype.kind in "mM":
        unit, count = np.datetime_data(array.dtype)
        if count != 1 or unit in ("generic", "ps", "fs", "as"):
            return None
    try:
        return to_object_series(array.tolist()) if array.dtype.kind == "O" else pd.Series(array)
    except (TypeError, ValueError, OverflowError):  # dropped, because the text may contain a value
        return None


def _from_list(
    rows: list[Any], schema: Schema, labels: list[Any] | None, row_count: int | None
) -> pd.DataFrame:
    if set(map(type, rows)) - _SCALARS - {dict}:
        rows = [row if (by_name := get_fields(row)) is None else by_name for row in rows]
    are_records = bool(rows) and all(isinstance(row, Mapping) and not _is_value(row, schema) for row in rows)
    if is_positional(schema) and not are_records:
        dtype = schema.inputs[0].type
        if len(schema) == 1 and row_count == 1 and _is_one_row(rows, dtype, in_doubt=False):
            return pd.DataFrame({0: to_object_series([rows])})
        return _from_rows(rows, len(schema))
    other_types = sorted({type(row).__name__ for row in rows if not isinstance(row, Mapping)})
    if other_types:
        hint = "name the values of a row, for example {'name': value}"
        actual = f"a list of {', '.join(other_types)}"
        raise _build_error(Finding(Code.TYPE_MISMATCH, "", "a list of dictionaries", actual, hint))
    row_labels: dict[Any, None] = dict.fromkeys(key for row in rows for key in row)
    declared = label_by_position(row_labels, schema).input_dict()
    findings = _find_duplicates(row_labels, labels)
    columns: dict[Any, Any] = {}
    for label, spec in declared.items():
        if label not in row_labels:
            continue  # the caller reports absent columns
        absent = tuple(index for index, row in enumerate(rows) if label not in row)
        if absent and spec.required:
            finding = Finding(Code.MISSING_COLUMN, quote(label), describe(spec.type), "rows without it")
            findings.append(replace(finding, count=len(absent), rows=absent[:FIRST_ROWS]))
        columns[label] = to_object_series([row.get(label) for row in rows])
    if findings:
        raise _build_error(*findings)
    if not rows:  # an empty table has all columns
        columns = {name: to_object_series([]) for name in declared}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _find_duplicates(keys: Iterable[Any], labels: list[Any] | None) -> list[Finding]:
    """Report keys that are equal as text, and add all keys to ``labels``."""
    key_list = list(keys)
    if labels is not None:
        labels += key_list
    return report_duplicates([str(key) for key in key_list], "one column of that name, as text")


def _from_rows(rows: list[Any], width: int) -> pd.DataFrame:
    if width == 1:
        return pd.DataFrame({0: to_object_series(rows)})
    wrong = tuple(
        index
        for index, row in enumerate(rows)
        if not isinstance(row, (list, tuple, np.ndarray)) or len(row) != width
    )
    if wrong:
        finding = Finding(Code.COLUMN_COUNT, "", f"a list of {width} values for each row", "other rows")
        raise _build_error(replace(finding, count=len(wrong), rows=wrong[:FIRST_ROWS]))
    return pd.DataFrame({index: to_object_series([row[index] for row in rows]) for index in range(width)})


def _from_mapping(
    data: Mapping[Any, Any], schema: Schema, labels: list[Any] | None, row_count: int | None
) -> pd.DataFrame:
    declared = schema.input_dict()
    findings = _find_duplicates(data, labels)
    columns: dict[Any, pd.Series] = {}
    for label, spec in declared.items():
        if label not in data:
            continue  # the caller reports absent columns
        column = _to_column(data[label], spec.type, row_count)
        if column is None:
            hint = "pass a list, an array of rank 1 that pandas supports, or one value"
            findings.append(
                Finding(Code.SHAPE_MISMATCH, quote(label), "a column", name_type(data[label]), hint)
            )
        else:
            columns[label] = column
    lengths = {label: len(column) for label, column in columns.items()}
    if len(set(lengths.values())) > 1:
        longest = max(lengths.values())
        hint = "pass lists of equal length; for a column declared an Array, a list is the value of one row"
        findings += [
            Finding(
                Code.ROW_COUNT, quote(label), f"{longest} rows, like the longest column", str(length), hint
            )
            for label, length in lengths.items()
            if length != longest
        ]
    if findings:
        raise _build_error(*findings)
    return pd.DataFrame(columns)


def _to_column(value: Any, dtype: Type, row_count: int | None) -> pd.Series | None:
    """Convert the value of one key to a column; return None if that is impossible."""
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
        return _to_series(value)
    return to_object_series(list(value) if is_sequence(value) and get_fields(value) is None else [value])


def _is_one_row(value: Any, dtype: Type, *, in_doubt: bool) -> bool:
    """Return whether a value of an Array column, or of Any, is the value of one row instead of a column.

    The depth of its nesting is compared with that of the declared type. The result is ``in_doubt`` if both
    readings fit, or neither: the depth of nulls and empty lists is unknown.
    """
    if not isinstance(dtype, (Array, AnyType)):
        return False
    declared = 0
    while isinstance(dtype, Array):
        declared, dtype = declared + 1, dtype.dtype
    levels, exact = _measure_nesting(value)

    def fits(depth: int) -> bool:
        if isinstance(dtype, AnyType):
            return levels >= depth or not exact
        return levels == depth if exact else levels <= depth

    is_row, is_column = fits(declared), levels > 0 and fits(declared + 1)
    return in_doubt if is_row == is_column else is_row


def _measure_nesting(value: Any) -> tuple[int, bool]:
    """Return the depth of nested sequences, and whether it is exact: nulls and [] may hide more levels."""
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
    if not isinstance(value, typed) and (not is_sequence(value) or get_fields(value) is not None):
        return 0, True
    deepest = 1
    for item in value:
        if item is None or item is pd.NA or item is pd.NaT or (isinstance(item, float) and item != item):
            continue
        levels, exact = _measure_nesting(item)
        deepest = max(deepest, levels + 1)
        if exact:
            return deepest, True
    return deepest, False
