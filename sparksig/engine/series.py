"""Conversion of pandas columns to Arrow arrays."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.objects import build_mixed_finding, from_objects, from_times
from sparksig.engine.values import enforce_values
from sparksig.errors import Code, Finding
from sparksig.types import DataType


def is_name(label: Hashable) -> bool:
    """Return whether a label can be a column's name: a string or an integer."""
    return isinstance(label, (str, int, np.integer)) and not isinstance(label, bool)


def column_to_arrow(column: pd.Series, target: Any, path: str, findings: list[Finding]) -> pa.Array:
    """Convert a column of scalars to an Arrow array without changing a value.

    NaN stays NaN in NumPy float columns; None, NA and NaT become nulls. The memory of NumPy columns is shared
    with Arrow if possible.
    """
    dtype: Any = column.dtype
    hint = "convert it explicitly, or drop it"
    code, expected = Code.UNSUPPORTED_TYPE, "a supported type"
    array = None
    if isinstance(dtype, pd.CategoricalDtype):
        values_dtype = dtype.categories.dtype
        is_zoned = isinstance(values_dtype, pd.DatetimeTZDtype)  # Arrow would drop the time zone
        if is_objects(values_dtype) or is_zoned:
            column = column.astype(values_dtype)
    if is_objects(column.dtype):
        array = from_objects(column, target)
        if array is None:
            findings += _explain_objects(column, target, path)
            return _build_nulls(len(column), target)
    else:
        try:
            array = _typed_to_arrow(column)
        except UnicodeEncodeError:
            code, expected, hint = Code.INVALID_VALUE, "Unicode text", "replace lone surrogates in the text"
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
            pass  # reported below
    if array is None:
        findings.append(Finding(code, path, expected, format_dtype(dtype), hint))
        return _build_nulls(len(column), target)
    return array


def _build_nulls(rows: int, target: Any) -> pa.Array:
    return pa.nulls(rows, to_arrow(target) if isinstance(target, DataType) else pa.null())


def _explain_objects(column: pd.Series, target: Any, path: str) -> list[Finding]:
    """Explain why an object column does not have a type: some values do not fit, or the types are mixed."""
    findings: list[Finding] = []
    if isinstance(target, DataType):
        enforce_values(column.tolist(), target, path, findings, required=False)
    hint = "convert the values explicitly, or drop the column"
    return [replace(finding, hint=finding.hint or hint) for finding in findings] or [
        build_mixed_finding(column, path)
    ]


def is_objects(dtype: Any) -> bool:
    """Return whether a dtype is NumPy's object dtype."""
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _typed_to_arrow(column: pd.Series) -> pa.Array:
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        values = column.to_numpy()
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False), from_pandas=False)
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        return from_times(column)
    return to_single_array(column)


def to_single_array(column: pd.Series) -> pa.Array:
    """Convert a column to one Arrow array; missing values become nulls."""
    array = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def format_dtype(dtype: Any) -> str:
    """Format a pandas dtype without the data values that some dtypes contain, such as sparse fill values."""
    return f"Sparse[{dtype.subtype}]" if isinstance(dtype, pd.SparseDtype) else str(dtype)
