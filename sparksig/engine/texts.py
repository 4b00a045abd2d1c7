"""Text columns of pandas, built from Arrow with the dtype that a model expects; the dtypes of examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.engine.arrays import get_null_mask
from sparksig.engine.text_dtypes import OBJECTS, TextDtype, TextDtypes, list_text_labels
from sparksig.schema import Schema

# --- from Arrow -----------------------------------------------------------------------------------------


def build_text_column(array: pa.Array, dtype: TextDtype) -> pd.Series:
    """Convert an Arrow array of strings to a column of a text dtype.

    Example:
        >>> build_text_column(pa.array(["a", None]), TextDtype.OBJECT).tolist()
        ['a', None]
        >>> build_text_column(pa.array(["a", None]), TextDtype.OBJECT_NAN).tolist()
        ['a', nan]
    """
    extension = _find_extension_dtype(dtype)
    if extension is not None:
        return pd.Series(extension.__from_arrow__(array))
    values = _to_objects(array)
    if dtype is not TextDtype.OBJECT and array.null_count:
        values[get_null_mask(array)] = np.nan
    return pd.Series(values, dtype=object, copy=False)  # without a dtype, pandas 3 would choose its str dtype


def _find_extension_dtype(dtype: TextDtype) -> Any:
    if dtype is TextDtype.STR:
        return _STR
    if dtype is TextDtype.STRING_PYTHON:
        return pd.StringDtype("python")
    return pd.StringDtype("pyarrow") if dtype is TextDtype.STRING_PYARROW else None


def _build_str_dtype() -> Any:
    try:
        return pd.StringDtype("pyarrow", na_value=np.nan)
    except TypeError:  # before pandas 2.3
        return None


_STR = _build_str_dtype()
_SAMPLE = 1024


def _to_objects(array: pa.Array) -> np.ndarray[Any, Any]:
    """Convert strings to Python objects, and nulls to None. Repeated values share one object."""
    sample = array.slice(0, _SAMPLE)
    values: np.ndarray[Any, Any]
    if len(array) <= _SAMPLE or len(sample.unique()) > _SAMPLE // 8:
        values = array.to_numpy(zero_copy_only=False)
        return values
    encoded = array.dictionary_encode()
    distinct = np.empty(len(encoded.dictionary) + 1, dtype=object)  # the last element stays None
    distinct[:-1] = encoded.dictionary.to_numpy(zero_copy_only=False)
    positions = encoded.indices.fill_null(len(encoded.dictionary))
    values = distinct[positions.to_numpy(zero_copy_only=False)]
    return values


# --- from an example ------------------------------------------------------------------------------------


def find_example_dtypes(data: Any, schema: Schema | None, trained_with: TextDtypes = OBJECTS) -> TextDtypes:
    """Return the dtypes that the string columns of a model's example have.

    Only pandas columns have a dtype that counts. Columns of two kinds are omitted if the example has no
    missing value in them: object columns, because their missing value is unknown, and columns whose dtype
    the model itself shows.

    Example:
        >>> from sparksig import ColSpec, Schema
        >>> frame = pd.DataFrame({"zone": pd.Series(["a", None], dtype="string[python]")})
        >>> find_example_dtypes(frame, Schema([ColSpec("string", "zone")])).get("zone").value
        'string[python]'
    """
    columns, trained_columns = _find_example_columns(data, schema), dict(trained_with.columns)
    dtypes = {
        label: _find_example_dtype(columns[label])
        for label in list_text_labels(schema)
        if label in columns and (label not in trained_columns or columns[label].isna().any())
    }
    return TextDtypes.from_mapping({label: dtype for label, dtype in dtypes.items() if dtype is not None})


def _find_example_columns(data: Any, schema: Schema | None) -> dict[str, pd.Series]:
    named = schema is not None and schema.has_input_names()
    if isinstance(data, pd.Series):
        return {str(data.name) if named and data.name is not None else "0": data}
    if isinstance(data, pd.DataFrame):
        labels = data.columns if named else range(data.shape[1])
        return {str(label): data.iloc[:, index] for index, label in enumerate(labels)}
    if isinstance(data, Mapping) and named:
        of_pandas = (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
        columns = {str(label): column for label, column in data.items() if isinstance(column, of_pandas)}
        return {label: pd.Series(column, dtype=column.dtype) for label, column in columns.items()}
    return {}


def _find_example_dtype(column: pd.Series) -> TextDtype | None:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):  # the missing value of its cells
        return TextDtype.OBJECT_NAN
    if isinstance(dtype, pd.StringDtype):
        if dtype.na_value is not pd.NA:
            return TextDtype.STR
        return TextDtype.STRING_PYTHON if dtype.storage == "python" else TextDtype.STRING_PYARROW
    if isinstance(dtype, pd.ArrowDtype):
        return TextDtype.STRING_PYARROW
    missing = {type(value) for value in column[column.isna()]} if dtype.kind == "O" else set()
    if missing == {type(None)}:
        return TextDtype.OBJECT
    return TextDtype.OBJECT_NAN if missing and missing <= {float, np.float64} else None
