"""Enforcement of tensors: NumPy arrays, SciPy matrices, frames and tables.

An array must have exactly the declared dtype and the declared size in each dimension; a declared size of -1
allows any size. It is returned without a copy. The columns of a frame or a table are widened to the declared
dtype by the casting table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import to_source as arrow_to_source
from sparksig.convert.numpy import dtype_widens, from_numpy, to_source
from sparksig.convert.objects import from_times, is_sparse
from sparksig.engine.findings import FIRST_ROWS, Collector, Location, Rows
from sparksig.engine.kernels import decode_dictionary
from sparksig.engine.plan import find_unknown_zones
from sparksig.engine.series import format_dtype, to_single_array
from sparksig.engine.sources import exports_arrow, read_column_or_table
from sparksig.engine.values import enforce_values
from sparksig.engine.zones import to_local_times
from sparksig.errors import Code, ContractError, ConversionError, Finding, name_type, quote, suggest
from sparksig.lattice import find_upper_bounds
from sparksig.scalars import describe_mismatch
from sparksig.schema import Schema, TensorSpec
from sparksig.types import Array, DataType, Type


def enforce_tensors(data: Any, schema: Schema, *, forbid: bool = False) -> Any:
    """Enforce a schema of tensors on data. Return a dictionary, unless the tensor has no name.

    Example:
        >>> frame = pd.DataFrame({"a": [1], "b": [2.5]}, dtype="float32")
        >>> enforce_tensors(frame, Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        array([[1. , 2.5]])
    """
    findings: list[Finding] = []
    parts = _split_data(data, schema, forbid, findings)
    tensors = {}
    for spec in schema:
        if spec.name in parts:
            tensors[spec.name] = _enforce_tensor(parts[spec.name], spec, findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return tensors if schema.has_input_names() else tensors[None]


def _split_data(data: Any, schema: Schema, forbid: bool, findings: list[Finding]) -> dict[Any, Any]:
    """Return the data of each tensor by the tensor's name."""
    data = _to_pandas_if_arrow(data)
    names = [spec.name for spec in schema]
    if not schema.has_input_names():
        return {None: data}
    if isinstance(data, (Mapping, pd.DataFrame)) and not is_sparse(data):  # a dok_matrix is a Mapping
        counts = Counter(list(data))  # a list, because Counter reads a mapping as counts
        for spec in schema:
            if counts[spec.name] != 1:
                is_missing = spec.name not in counts
                code = Code.MISSING_COLUMN if is_missing else Code.DUPLICATE_NAME
                actual = "no such tensor" if is_missing else "several"
                hint = suggest(spec.name, list(counts)) if is_missing else ""
                findings.append(Finding(code, quote(spec.name), repr(spec), actual, hint))
        if forbid:
            findings += [
                Finding(Code.EXTRA_COLUMN, quote(label), "only declared tensors", "an undeclared tensor")
                for label in data
                if label not in names
            ]
        return {name: data[name] for name in names if counts[name] == 1}
    if len(names) == 1 and (isinstance(data, np.ndarray) or is_sparse(data)):
        return {names[0]: data}
    expected = f"a dictionary of the tensors {', '.join(map(str, names))}"
    findings.append(Finding(Code.TYPE_MISMATCH, "", expected, name_type(data)))
    return {}


def _to_pandas_if_arrow(data: Any) -> Any:
    """Convert Arrow data to a frame with its Arrow types; return other data unchanged."""
    if isinstance(data, (np.ndarray, Mapping)) or not exports_arrow(data):
        return data
    table, name = read_column_or_table(data)
    if isinstance(table, pa.ChunkedArray):
        return pd.Series(table, dtype=pd.ArrowDtype(table.type), name=name)
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _enforce_tensor(data: Any, spec: TensorSpec, findings: list[Finding]) -> Any:
    path = "" if spec.name is None else quote(spec.name)
    if isinstance(data, np.ndarray):
        return _check_array(data, spec, path, findings)
    if is_sparse(data):
        return _check_sparse(data, spec, path, findings)
    if isinstance(data, pd.Series):
        return _from_columns([data], spec, path, findings)
    if isinstance(data, pd.DataFrame):
        columns = [data.iloc[:, index] for index in range(data.shape[1])]
        if not columns:
            return _build_empty(len(data), spec, path, findings)
        return _from_columns(columns, spec, path, findings)
    hint = f"pass an array: numpy.asarray(..., dtype={spec.type.name!r})"
    findings.append(Finding(Code.TYPE_MISMATCH, path, repr(spec), name_type(data), hint))
    return data


# --- arrays -------------------------------------------------------------------------------------------


def _check_array(array: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        hint = "fill the masked values explicitly"
        findings.append(
            Finding(Code.INVALID_VALUE, path, "an array without masked values", "masked values", hint)
        )
        return array
    if -1 in spec.shape[1:] and array.ndim == 1 and array.dtype.kind == "O":
        if spec.shape[0] not in (-1, len(array)):
            _check_shape((len(array), *spec.shape[1:]), spec, path, findings)
        _check_ragged(array, spec, path, findings)
        return array
    if not _is_same_dtype(array.dtype, spec.type):
        _add_mismatch(path, spec, array.dtype.name, findings)
    _check_shape(array.shape, spec, path, findings)
    return array


def _is_same_dtype(actual: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Return whether two dtypes are equal up to the length of strings and the byte order."""
    if actual.kind in "US":
        return bool(actual.kind == declared.kind)
    return bool(declared.kind == "U" if actual.kind == "T" else actual.newbyteorder("=") == declared)


def _check_shape(shape: tuple[int, ...], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    if not fits_shape(shape, spec.shape):
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", f"shape {shape}"))


def fits_shape(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Return whether a shape has the declared sizes, -1 for any size."""
    return len(shape) == len(declared) and all(size in (-1, length) for size, length in zip(declared, shape))


def _check_ragged(array: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    """Check an array of rows with unequal shapes; each row is an array or a nested list."""
    inner, collector = spec.shape[1:], Collector()
    try:
        dtype = from_numpy(spec.type)
    except ConversionError:
        dtype = None  # without a signature type for this dtype, values are not checked
    for row, value in enumerate(array):
        collector.row = row
        if isinstance(value, np.ndarray):
            if spec.type.kind != "O" and not _is_same_dtype(value.dtype, spec.type):
                collector.add(Code.TYPE_MISMATCH, f"{path}[]", spec.type.name, value.dtype.name)
            if not fits_shape(value.shape, inner):
                expected = f"rows of shape {inner}"
                collector.add(Code.SHAPE_MISMATCH, f"{path}[]", expected, f"shape {value.shape}")
        elif not isinstance(value, list):
            collector.add(Code.SHAPE_MISMATCH, f"{path}[]", f"rows of shape {inner}", name_type(value))
        elif reason := _describe_list_mismatch(value, inner):
            collector.add(Code.SHAPE_MISMATCH, f"{path}[]", f"rows of shape {inner}", reason)
        elif isinstance(dtype, DataType) and (reason := _describe_value_mismatch(value, dtype)):
            collector.add(Code.TYPE_MISMATCH, f"{path}[]", spec.type.name, reason)
    findings += collector.build_findings()


def _describe_list_mismatch(value: Any, inner: tuple[int, ...]) -> str:
    if not inner:
        return "deeper nested lists" if isinstance(value, (list, np.ndarray)) else ""
    if not isinstance(value, (list, np.ndarray)):
        return "less deeply nested lists"
    if inner[0] not in (-1, len(value)):
        return f"{len(value)} elements instead of {inner[0]}"
    return next((reason for item in value if (reason := _describe_list_mismatch(item, inner[1:]))), "")


def _describe_value_mismatch(value: Any, dtype: DataType) -> str:
    if isinstance(value, (list, np.ndarray)):
        return next((reason for item in value if (reason := _describe_value_mismatch(item, dtype))), "")
    return describe_mismatch(value, dtype)


def _check_sparse(matrix: Any, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    if matrix.format not in ("csr", "csc"):
        hint = "convert it with tocsr()"
        findings.append(Finding(Code.TYPE_MISMATCH, path, "the format csr or csc", matrix.format, hint))
    if not _is_same_dtype(matrix.dtype, spec.type):
        _add_mismatch(path, spec, matrix.dtype.name, findings)
    _check_shape(matrix.shape, spec, path, findings)
    return matrix


# --- frames -------------------------------------------------------------------------------------------


def _from_columns(columns: list[pd.Series], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Build an array of the declared dtype from several columns, or from one column that contains rows."""
    before = len(findings)
    if len(columns) == 1 and len(spec.shape) > 1 and not len(columns[0]):
        return _build_empty(0, spec, path, findings)
    if len(columns) == 1 and len(spec.shape) > 1 and _is_nested(columns[0]):
        array = _from_rows(columns[0], spec, path, findings)
    else:
        parts = [_from_scalars(column, spec, _name_column(path, column), findings) for column in columns]
        if len(findings) > before:
            return None
        array = parts[0] if len(spec.shape) == 1 and len(parts) == 1 else np.stack(parts, axis=1)
    if len(findings) == before and array is not None:
        _check_shape(array.shape, spec, path, findings)
    return array


def _build_empty(rows: int, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Build a tensor without values."""
    inner = [0 if size == -1 or rows else size for size in spec.shape[1:]]
    array = np.empty((rows, *inner), spec.type)
    _check_shape(array.shape, spec, path, findings)
    return array


def _name_column(path: str, column: pd.Series) -> str:
    return path or quote(column.name)


def _is_nested(column: pd.Series) -> bool:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return bool(pa.types.is_nested(dtype.pyarrow_dtype))
    if not (isinstance(dtype, np.dtype) and dtype.kind == "O"):
        return False
    sequences = (list, tuple, np.ndarray, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
    return any(issubclass(form, sequences) for form in set(map(type, column)))


def _from_scalars(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Convert a column of scalars by its dtype, or by its values if it has objects; always a copy."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    column = _decode_nulls(column)
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _from_values(column.tolist(), spec, 1, path, findings)
    if spec.type.kind == "M":
        return _from_times(column, spec, path, findings)
    name = _name_source(column)
    declared = getattr(to_source(spec.type), "name", "")
    fits = declared in find_upper_bounds(name) if find_upper_bounds(name) else name == declared
    if not fits or spec.type.kind == "O":
        _add_mismatch(path, spec, format_dtype(dtype), findings)
        return None
    missing = column.isna().to_numpy()
    if missing.any() and spec.type.kind not in "fc":
        _add_nulls(missing, spec, path, findings)
        return None
    if spec.type.kind in "US":
        return _from_texts(column.tolist(), spec, path, findings)
    if missing.any():
        return column.to_numpy(dtype=spec.type, na_value=np.nan, copy=True)
    return column.to_numpy(dtype=spec.type, copy=True)


def _decode_nulls(column: pd.Series) -> pd.Series:
    """Decode an Arrow dictionary, so that pandas finds the nulls among its values, too."""
    dtype: Any = column.dtype
    if not isinstance(dtype, pd.ArrowDtype) or not pa.types.is_dictionary(dtype.pyarrow_dtype):
        return column
    array = decode_dictionary(to_single_array(column))
    return pd.Series(array, dtype=pd.ArrowDtype(array.type), name=column.name)


def _name_source(column: pd.Series) -> str:
    """Return the name of a column's type in the casting table."""
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype):
        return str(getattr(to_source(dtype), "name", dtype))
    try:
        arrow = pa.array(column.iloc[:0], from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, AttributeError):
        return str(dtype)
    return str(getattr(arrow_to_source(arrow), "name", arrow))


def _add_mismatch(path: str, spec: TensorSpec, actual: str, findings: list[Finding]) -> None:
    hint = f"cast it explicitly: astype({spec.type.name!r})"
    findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, actual, hint))


def _from_times(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Convert times without changing their unit; times with a time zone become local times of the zone."""
    dtype: Any = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        array = from_times(column)
    elif isinstance(dtype, pd.ArrowDtype) and pa.types.is_timestamp(dtype.pyarrow_dtype):
        array = to_single_array(column)
        if zone_findings := find_unknown_zones(array.type, DataType.datetime, path):
            findings += zone_findings
            return None
        array = to_local_times(array) if array.type.tz is not None else array
    else:
        _add_mismatch(path, spec, format_dtype(dtype), findings)
        return None
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype != spec.type:
        _add_mismatch(path, spec, values.dtype.name, findings)
        return None
    return values.copy()


def _from_texts(values: list[Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Convert texts or bytes to an array of their greatest length; NumPy would drop a NUL at the end."""
    end = "\0" if spec.type.kind == "U" else b"\0"
    wrong = np.array([value.endswith(end) for value in values], dtype=bool)
    if wrong.any():
        expected, actual = "texts without a NUL at the end", "texts that NumPy would shorten"
        Location(Rows(), findings).report(wrong, Code.INVALID_VALUE, path, expected, actual, "")
        return None
    return np.array(values, dtype=spec.type)


def _add_nulls(missing: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    expected = f"{spec.type.name} without nulls"
    Location(Rows(), findings).report(missing, Code.NULL_IN_REQUIRED, path, expected, "nulls", "")


def _from_rows(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Convert a column of lists or arrays, each of which is one row of the tensor."""
    path = _name_column(path, column)
    missing = column.isna().to_numpy()
    if missing.any():
        _add_nulls(missing, spec, path, findings)
        return None
    if isinstance(column.dtype, pd.ArrowDtype):
        return _from_lists(to_single_array(column), spec, path, findings)
    values = column.tolist()
    if all(isinstance(value, np.ndarray) and value.dtype.kind != "O" for value in values):
        return _stack_arrays(values, spec, path, findings)
    return _from_values(values, spec, len(spec.shape), path, findings)


def _from_lists(array: pa.Array, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Convert Arrow lists of equal lengths by the type of their elements."""
    shape = [len(array)]
    for size in spec.shape[1:]:
        if not hasattr(array.type, "value_type") or pa.types.is_dictionary(array.type):
            findings.append(
                Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "less deeply nested lists")
            )
            return None
        lengths = pc.list_value_length(array)
        if lengths.null_count:
            findings.append(Finding(Code.NULL_IN_REQUIRED, path, "rows without nulls", "null lists"))
            return None
        sizes = set(lengths.to_pylist()) or {0 if size == -1 else size}
        if len(sizes) > 1:
            findings.append(
                Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of unequal length")
            )
            return None
        shape.append(sizes.pop())
        array = array.flatten()
        path = f"{path}[]"
    if array.null_count and spec.type.kind not in "fcM":
        missing = array.is_null().to_numpy(zero_copy_only=False)
        findings.append(_build_null_finding(missing, shape[0], spec, path))
        return None
    column = pd.Series(array, dtype=pd.ArrowDtype(array.type), name="")
    flat = _from_scalars(column, spec, path, findings)
    return None if flat is None else flat.reshape(shape)


def _build_null_finding(missing: np.ndarray[Any, Any], rows: int, spec: TensorSpec, path: str) -> Finding:
    """Build the finding for nulls among the values of ``rows`` rows of equal size."""
    null_rows = np.unique(np.flatnonzero(missing) // (len(missing) // rows))
    finding = Finding(Code.NULL_IN_REQUIRED, path, f"{spec.type.name} without nulls", "nulls")
    return replace(finding, count=len(null_rows), rows=tuple(int(row) for row in null_rows[:FIRST_ROWS]))


def _stack_arrays(values: list[Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Stack arrays of one shape, and convert them by their dtypes."""
    if any(isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value) for value in values):
        expected, hint = "arrays without masked values", "fill the masked values explicitly"
        findings.append(Finding(Code.INVALID_VALUE, f"{path}[]", expected, "masked values", hint))
        return None
    for dtype in sorted({value.dtype for value in values}, key=str):
        if not _is_same_dtype(dtype, spec.type) and not dtype_widens(dtype, spec.type):
            _add_mismatch(f"{path}[]", spec, dtype.name, findings)
            return None
    if len({value.shape for value in values}) > 1:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of several shapes"))
        return None
    stacked = np.stack(values)
    return stacked if spec.type.kind in "US" else stacked.astype(spec.type, copy=False)


def _from_values(values: list[Any], spec: TensorSpec, rank: int, path: str, findings: list[Finding]) -> Any:
    """Convert Python scalars (nested in lists for a rank above 1) by their values."""
    try:
        dtype: Type = from_numpy(spec.type)
    except ConversionError:
        findings.append(
            Finding(Code.TYPE_MISMATCH, path, spec.type.name, "Python values", "pass an array of that dtype")
        )
        return None
    for _ in range(rank - 1):
        dtype = Array(dtype)
    before = len(findings)
    enforced = enforce_values(values, dtype, path, findings, required=True)
    if len(findings) > before:
        return None
    shape = _find_shape(enforced, rank)
    if shape is None:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of unequal length"))
        return None
    shape += tuple(0 if size == -1 else size for size in spec.shape[len(shape) : rank])
    flat = list(enforced)
    for _ in range(rank - 1):
        flat = list(chain.from_iterable(flat))
    array = _build_flat_array(flat, len(values), spec, path + "[]" * (rank - 1), findings)
    return None if array is None else array.reshape(shape)


def _find_shape(values: Any, rank: int) -> tuple[int, ...] | None:
    """Return the common shape of nested lists, without the sizes inside empty lists; None if they differ."""
    if rank == 1:
        return (len(values),)
    inner = {_find_shape(value, rank - 1) for value in values}
    if not inner:
        return (0,)
    return (len(values), *only) if len(inner) == 1 and (only := inner.pop()) is not None else None


def _build_flat_array(
    flat: list[Any], rows: int, spec: TensorSpec, path: str, findings: list[Finding]
) -> Any:
    missing = np.array([value is None for value in flat], dtype=bool)
    if missing.any() and spec.type.kind not in "fM":
        findings.append(_build_null_finding(missing, rows, spec, path))
        return None
    if spec.type.kind in "US":
        return _from_texts(flat, spec, path, findings)
    array: Any = None
    if spec.type.kind == "M":
        times = [
            np.datetime64("NaT") if value is None else pd.Timestamp(value).to_datetime64() for value in flat
        ]
        exact = np.array(times, dtype="datetime64[ns]")
        cast = exact.astype(spec.type)
        array = cast if np.array_equal(cast.astype(exact.dtype), exact, equal_nan=True) else None
    elif spec.type.kind in "iu":
        limits = np.iinfo(spec.type)
        if not flat or limits.min <= min(flat) <= max(flat) <= limits.max:
            array = np.array(flat, dtype=spec.type)
    elif spec.type.kind == "f":
        exact = np.array([np.nan if value is None else value for value in flat], dtype=np.float64)
        with np.errstate(over="ignore"):
            cast = exact.astype(spec.type)
        array = cast if np.array_equal(cast.astype(np.float64), exact, equal_nan=True) else None
    else:
        array = np.array(flat, dtype=spec.type)
    if array is None:
        findings.append(
            Finding(Code.OUT_OF_RANGE, path, spec.type.name, "values out of its range or precision")
        )
    return array
