"""Inference of outputs from examples of predictions, with the help of the example of the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import GenericAlias
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import is_arrow, read_arrow
from sparksig.convert.instances import get_fields, is_sequence, to_builtins
from sparksig.convert.numpy import to_source
from sparksig.convert.objects import to_series
from sparksig.errors import Code, ConversionError, Finding, InferenceError, SignatureError, name_type, quote
from sparksig.infer import frames, python, tensors
from sparksig.infer.merging import merge
from sparksig.lattice import NEVER_NULL
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, Object, Property


def from_prediction(
    prediction: Any, inputs: Schema | None, rows: int | None, is_one_row: bool, infer: Callable[[Any], Schema]
) -> Schema:
    """Infer the outputs from a prediction.

    Example:
        >>> houses = Schema([ColSpec("double", "rooms")])
        >>> from_prediction(np.array([7.5]), houses, 1, False, tensors.from_array)
        [double (required)]
        >>> from_prediction({"fee": [0.5, 2.0]}, houses, 2, False, tensors.from_array)
        ['fee': double (required)]
    """
    has_columns = inputs is not None and not inputs.is_tensor_spec()
    if isinstance(prediction, np.ndarray):
        return _from_array(prediction, has_columns)
    if isinstance(prediction, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return _from_series(to_series(prediction))
    if isinstance(prediction, (type, pd.DataFrame)):
        return infer(prediction)
    if isinstance(prediction, dict):
        return _from_dict(_convert_values(prediction), has_columns, rows, is_one_row)
    if (by_name := get_fields(prediction)) is not None:
        schema = _from_dict(_convert_values(by_name), has_columns, rows, is_one_row)
        return _complete_columns(schema, type(prediction), infer)
    if not is_sequence(prediction):
        return infer(prediction)
    schema = python.from_list(to_builtins(list(prediction)))
    classes = set(map(type, prediction))
    is_of_instances = len(classes) == 1 and get_fields(prediction[0]) is not None
    return _complete_columns(schema, classes.pop(), infer) if is_of_instances else schema


def _from_series(series: pd.Series) -> Schema:
    """Infer one column; an unnamed column is required, also if it has nulls that its type allows."""
    if series.name is None and series.isna().any():
        [spec] = frames.from_series(series.rename("0"))
        if spec.type not in NEVER_NULL:
            return Schema([ColSpec(spec.type)])
    return frames.from_series(series)


def _complete_columns(schema: Schema, cls: type, infer: Callable[[Any], Schema]) -> Schema:
    """Complete columns that were inferred from instances by the annotations of their class.

    An annotation gives a None its type, and makes an optional field optional if the example has a value.
    If a value contradicts its annotation, the value decides.
    """
    try:
        annotated = infer(cls if is_dataclass(cls) else GenericAlias(list, (cls,)))
    except (ConversionError, InferenceError, SignatureError):
        return schema
    dtype = annotated.inputs[0].type
    columns: dict[Any, Any] = {spec.name: spec for spec in annotated}
    if not annotated.has_input_names() and isinstance(dtype, Object):
        columns = {prop.name: prop for prop in dtype.properties}
    return Schema([_complete(spec, columns.get(spec.name)) for spec in schema])


def _complete(spec: Any, annotated: Any) -> Any:
    if annotated is None or not isinstance(spec, ColSpec):
        return spec
    dtype = annotated.dtype if isinstance(annotated, Property) else annotated.type
    try:
        return ColSpec(merge(dtype, spec.type), spec.name, annotated.required and spec.required)
    except InferenceError:
        return spec


# --- arrays -----------------------------------------------------------------------------------------------


def _from_array(array: np.ndarray[Any, Any], has_columns: bool) -> Schema:
    """Infer one column from an array of rank 1 where the inputs are columns, else a tensor."""
    if array.ndim == 0:
        return python.from_scalar(array[()])
    if array.dtype.kind == "O":
        return _from_objects(array)
    if has_columns and array.ndim == 1 and not np.ma.is_masked(array):
        findings: list[Finding] = []
        dtype = find_narrowest_type(to_source(array.dtype), "", findings)
        if dtype is not None:  # a dtype without a column type can still be that of a tensor
            return Schema([ColSpec(dtype)])
    return tensors.from_array(array)


def _from_objects(array: np.ndarray[Any, Any], path: str = "") -> Schema:
    """Infer strings from an array of objects; other objects are refused."""
    findings: list[Finding] = []
    dtype = python.infer_type(array.ravel().tolist(), path, findings)
    if not findings and dtype is not DataType.string:
        actual = f"an array of dtype object with values of {dtype!r}" if array.size else "an empty array"
        hint = "return it as a list, or cast it, for example with array.astype('int64')"
        expected = "an array of strings, or of a dtype other than object"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, expected, actual, hint))
    if findings:
        raise InferenceError.of("no signature for this array of objects", findings)
    if array.ndim == 1:
        return Schema([ColSpec(DataType.string)])
    return Schema([TensorSpec(np.dtype("str"), (-1, *array.shape[1:]))])


# --- dictionaries -----------------------------------------------------------------------------------------


def _convert_values(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Convert the values of a dictionary to builtins; columns with a dtype are not converted."""
    return {key: value if _is_typed(value) else to_builtins(value) for key, value in values.items()}


def _is_typed(value: Any) -> bool:
    """Return whether a value is a column with a dtype."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)) or is_arrow(value)


def _from_dict(values: dict[Any, Any], has_columns: bool, rows: int | None, is_one_row: bool) -> Schema:
    """Infer from a dictionary of columns, or from a dictionary with the values of a single row."""
    all_arrays = bool(values) and all(isinstance(value, np.ndarray) for value in values.values())
    if all_arrays and (not has_columns or all(value.ndim > 1 for value in values.values())):
        return tensors.from_arrays({key: _require_strings(value, key) for key, value in values.items()})
    if not _is_table(values, rows, is_one_row):
        return python.from_dict({key: to_builtins(value) for key, value in values.items()})
    try:
        return _from_columns(values)
    except InferenceError:
        if all_arrays and all(value.dtype.kind != "O" for value in values.values()):
            return tensors.from_arrays(values)  # a dtype without a column type
        raise


def _require_strings(array: np.ndarray[Any, Any], key: Any) -> np.ndarray[Any, Any]:
    """Convert an array of objects to an empty array of strings, after checking that it has only strings."""
    if array.dtype.kind != "O":
        return array
    _from_objects(array, quote(key))
    return np.empty(array.shape, dtype="U1")


def _is_table(values: Mapping[Any, Any], rows: int | None, is_one_row: bool) -> bool:
    """Return whether each value of a dictionary is a column with one value for each row.

    For a single row, lists of one element are columns if the model's input was a table of one row. They are
    the values of the row if its input was a dictionary or a value.
    """
    if not values or not all(_is_typed(value) or isinstance(value, list) for value in values.values()):
        return False
    all_typed = all(_is_typed(value) for value in values.values())
    lengths = {len(value) for value in values.values()}
    if all_typed and rows != 1:  # the input may be only a part of the predicted data
        return len(lengths) == 1
    return lengths == {rows} and (all_typed or not is_one_row)


def _from_columns(values: Mapping[Any, Any]) -> Schema:
    specs: list[Any] = []
    findings: list[Finding] = []
    for key, value in values.items():
        try:
            [spec] = _infer_column(key, value)
            specs.append(spec)
        except InferenceError as error:
            findings += error.findings
    if findings:
        raise InferenceError.of("no signature for this dictionary of columns", findings)
    return Schema(specs)


def _infer_column(key: Any, value: Any) -> Schema:
    if is_arrow(value) and not isinstance(value, (pd.Series, pd.Index)):
        column, _ = read_arrow(value)
        if isinstance(column, pa.Table):
            finding = Finding(Code.TYPE_MISMATCH, quote(key), "a column", "a table")
            raise InferenceError.of("no signature for this dictionary of columns", [finding])
        value = pd.Series(column, dtype=pd.ArrowDtype(column.type))
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O" and value.ndim == 1:
            _from_objects(value, quote(key))
        if value.ndim > 1 or value.dtype.kind == "O":
            return python.from_list([{key: item} for item in value])
    if isinstance(value, list):
        empty = [ColSpec(DataType.string, key)]
        return python.from_list([{key: item} for item in value]) if value else Schema(empty)
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        finding = Finding(Code.INVALID_NAME, quote(key), "a string or an integer", name_type(key))
        raise InferenceError.of("no signature for this dictionary of columns", [finding])
    value = to_series(value) if isinstance(value, pd.Index) else pd.Series(value)
    return frames.from_series(value.rename(key))


# --- examples of the input ---------------------------------------------------------------------------


def is_row(data: Any) -> bool:
    """Return whether an example of the input has the format of a single row: a dictionary, or a value.

    Example:
        >>> [is_row(data) for data in ({"a": 1.5}, "text", ["text"], pd.DataFrame({"a": [1.5]}))]
        [True, True, False, False]
    """
    if isinstance(data, (list, tuple, type, pd.DataFrame, pd.Series, np.ndarray)):
        return False
    if isinstance(data, Mapping):
        return not any(isinstance(value, (np.ndarray, pd.Series)) for value in data.values())
    return not is_arrow(data) and not hasattr(data, "shape")


def count_rows(data: Any) -> int | None:
    """Return the number of rows of an example of the input; None if it is unknown.

    Example:
        >>> [count_rows(data) for data in (None, {"a": 1.5}, ["x", "y"], np.zeros((3, 2)))]
        [None, 1, 2, 3]
    """
    if data is None or isinstance(data, type) or type(data).__module__.partition(".")[0] == "pyspark":
        return None
    if isinstance(data, Mapping) and data and all(isinstance(v, np.ndarray) for v in data.values()):
        first = next(iter(data.values()))
        return len(first) if first.ndim else None
    if is_row(data):
        return 1
    if hasattr(data, "shape"):
        return int(data.shape[0]) if data.shape else None
    return len(data) if hasattr(data, "__len__") else None
