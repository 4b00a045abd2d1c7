"""Tensors: NumPy arrays, SciPy matrices, frames and tables against the dtype and shape of a specification.

An array is checked exactly, stricter than a column: its dtype is the declared one, each dimension the
declared one or any, where the specification has -1. It is handed on itself. A frame or a table has no dtype
of its own to check: its columns are widened by the casting table, as far as the declared dtype holds all
their values.
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

from sparksig.convert.arrow import source as arrow_source
from sparksig.convert.numpy import dtype_widens, from_numpy, source
from sparksig.convert.objects import from_times, is_sparse
from sparksig.engine.findings import FIRST_ROWS, Collector
from sparksig.engine.kernels import decode_dictionary
from sparksig.engine.plan import find_unknown_zones
from sparksig.engine.series import format_dtype
from sparksig.engine.sources import lends_arrow, read_column_or_table
from sparksig.engine.values import enforce_values
from sparksig.engine.zones import to_local_times
from sparksig.errors import Code, ContractError, ConversionError, Finding, kind, nearest, step
from sparksig.lattice import upper_bounds
from sparksig.scalars import scalar_mismatch
from sparksig.schema import Schema, TensorSpec
from sparksig.types import Array, DataType, Type

__all__ = ["enforce_tensors"]


def enforce_tensors(data: Any, schema: Schema, *, forbid: bool = False) -> Any:
    """The tensors that a schema declares: an array or matrix for one without a name, else a dictionary.

    Args:
        data: an array, a csr or csc matrix, a dictionary of arrays, a frame, or an Arrow table.
        schema: tensors.
        forbid: whether names that the schema does not declare are refused; they are dropped otherwise.

    Raises:
        ContractError: tensors that are missing, or of another dtype or shape; all of them. Named tensors
            need not have as many rows as each other.

    Example:
        >>> frame = pd.DataFrame({"a": [1], "b": [2.5]}, dtype="float32")
        >>> enforce_tensors(frame, Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        array([[1. , 2.5]])
    """
    findings: list[Finding] = []
    parts = _parts(data, schema, forbid, findings)
    tensors = {}
    for spec in schema:
        if spec.name in parts:
            tensors[spec.name] = _tensor(parts[spec.name], spec, findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return tensors if schema.has_input_names() else tensors[None]


def _parts(data: Any, schema: Schema, forbid: bool, findings: list[Finding]) -> dict[Any, Any]:
    """What each specification is to be made of, by its name."""
    data = _opened(data)
    names = [spec.name for spec in schema]
    if not schema.has_input_names():
        return {None: data}
    if isinstance(data, (Mapping, pd.DataFrame)) and not is_sparse(data):  # a dok_matrix is a Mapping
        counts = Counter(list(data))  # of labels: a mapping would be taken for counts
        for spec in schema:
            if counts[spec.name] != 1:
                found = "no such tensor" if spec.name not in counts else "several"
                code = Code.MISSING_COLUMN if spec.name not in counts else Code.DUPLICATE_NAME
                hint = nearest(spec.name, list(counts)) if code is Code.MISSING_COLUMN else ""
                findings.append(Finding(code, step(spec.name), repr(spec), found, hint))
        if forbid:
            findings += [
                Finding(Code.EXTRA_COLUMN, step(label), "no tensor beside the declared ones", "a tensor more")
                for label in data
                if label not in names
            ]
        return {name: data[name] for name in names if counts[name] == 1}
    if len(names) == 1 and (isinstance(data, np.ndarray) or is_sparse(data)):
        return {names[0]: data}
    expected = f"a dictionary of the tensors {', '.join(map(str, names))}"
    findings.append(Finding(Code.TYPE_MISMATCH, "", expected, kind(data)))
    return {}


def _opened(data: Any) -> Any:
    """Arrow's data as a frame that keeps its types."""
    if isinstance(data, (np.ndarray, Mapping)) or not lends_arrow(data):
        return data
    table, name = read_column_or_table(data)
    if isinstance(table, pa.ChunkedArray):
        return pd.Series(table, dtype=pd.ArrowDtype(table.type), name=name)
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _tensor(data: Any, spec: TensorSpec, findings: list[Finding]) -> Any:
    path = "" if spec.name is None else step(spec.name)
    if isinstance(data, np.ndarray):
        return _array(data, spec, path, findings)
    if is_sparse(data):
        return _sparse(data, spec, path, findings)
    if isinstance(data, pd.Series):
        return _from_columns([data], spec, path, findings)
    if isinstance(data, pd.DataFrame):
        columns = [data.iloc[:, index] for index in range(data.shape[1])]
        return (
            _from_columns(columns, spec, path, findings)
            if columns
            else _empty(len(data), spec, path, findings)
        )
    hint = f"numpy.asarray(..., dtype={spec.type.name!r}) makes one of a list"
    findings.append(Finding(Code.TYPE_MISMATCH, path, repr(spec), kind(data), hint))
    return data


# --- arrays -------------------------------------------------------------------------------------------


def _array(array: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        hint = "fill the masked values explicitly"
        findings.append(Finding(Code.INVALID_VALUE, path, "an array without masked values", "others", hint))
        return array
    if -1 in spec.shape[1:] and array.ndim == 1 and array.dtype.kind == "O":
        if spec.shape[0] not in (-1, len(array)):
            _check_shape((len(array), *spec.shape[1:]), spec, path, findings)
        _ragged(array, spec, path, findings)
        return array
    if not _same_dtype(array.dtype, spec.type):
        hint = f"cast it explicitly: astype({spec.type.name!r})"
        findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, array.dtype.name, hint))
    _check_shape(array.shape, spec, path, findings)
    return array


def _same_dtype(given: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Strings of every size are one dtype, and so are the two byte orders."""
    if given.kind in "US":
        return bool(given.kind == declared.kind)
    return bool(declared.kind == "U" if given.kind == "T" else given.newbyteorder("=") == declared)


def _check_shape(shape: tuple[int, ...], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    fits = len(shape) == len(spec.shape) and all(want in (-1, have) for want, have in zip(spec.shape, shape))
    if not fits:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", f"shape {shape}"))


def _ragged(array: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    """Rows of unequal shapes, each an array, or nested lists whose values are judged one by one."""
    inner, report = spec.shape[1:], Collector()
    try:
        dtype = from_numpy(spec.type)
    except ConversionError:
        dtype = None  # a dtype that no signature type is, whose values are not judged
    for row, value in enumerate(array):
        report.row = row
        if isinstance(value, np.ndarray):
            if spec.type.kind != "O" and not _same_dtype(value.dtype, spec.type):
                report.add(Code.TYPE_MISMATCH, f"{path}[]", spec.type.name, value.dtype.name)
            if len(value.shape) != len(inner) or any(w not in (-1, h) for w, h in zip(inner, value.shape)):
                report.add(Code.SHAPE_MISMATCH, f"{path}[]", f"rows of shape {inner}", f"shape {value.shape}")
        elif not isinstance(value, list):
            report.add(Code.SHAPE_MISMATCH, f"{path}[]", f"rows of shape {inner}", kind(value))
        elif reason := _list_mismatch(value, inner):
            report.add(Code.SHAPE_MISMATCH, f"{path}[]", f"rows of shape {inner}", reason)
        elif isinstance(dtype, DataType) and (reason := _value_mismatch(value, dtype)):
            report.add(Code.TYPE_MISMATCH, f"{path}[]", spec.type.name, reason)
    findings += report.collected()


def _list_mismatch(value: Any, inner: tuple[int, ...]) -> str:
    if not inner:
        return "lists in lists" if isinstance(value, (list, np.ndarray)) else ""
    if not isinstance(value, (list, np.ndarray)):
        return "fewer lists in lists"
    if inner[0] not in (-1, len(value)):
        return f"{len(value)} elements in place of {inner[0]}"
    return next((reason for item in value if (reason := _list_mismatch(item, inner[1:]))), "")


def _value_mismatch(value: Any, dtype: DataType) -> str:
    if isinstance(value, (list, np.ndarray)):
        return next((reason for item in value if (reason := _value_mismatch(item, dtype))), "")
    return scalar_mismatch(value, dtype)


def _sparse(matrix: Any, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    if matrix.format not in ("csr", "csc"):
        hint = "convert it with tocsr()"
        findings.append(Finding(Code.TYPE_MISMATCH, path, "the format csr or csc", matrix.format, hint))
    if not _same_dtype(matrix.dtype, spec.type):
        hint = f"cast it explicitly: astype({spec.type.name!r})"
        findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, matrix.dtype.name, hint))
    _check_shape(matrix.shape, spec, path, findings)
    return matrix


# --- frames -------------------------------------------------------------------------------------------


def _from_columns(columns: list[pd.Series], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """One array of the declared dtype, from columns side by side, or from one column of rows."""
    before = len(findings)
    if len(columns) == 1 and len(spec.shape) > 1 and not len(columns[0]):
        return _empty(0, spec, path, findings)
    if len(columns) == 1 and len(spec.shape) > 1 and _is_nested(columns[0]):
        array = _from_rows(columns[0], spec, path, findings)
    else:
        parts = [_from_scalars(column, spec, _label(path, column), findings) for column in columns]
        if len(findings) > before:
            return None
        array = parts[0] if len(spec.shape) == 1 and len(parts) == 1 else np.stack(parts, axis=1)
    if len(findings) == before and array is not None:
        _check_shape(array.shape, spec, path, findings)
    return array


def _empty(rows: int, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """A tensor without values."""
    inner = [0 if size == -1 or rows else size for size in spec.shape[1:]]
    array = np.empty((rows, *inner), spec.type)
    _check_shape(array.shape, spec, path, findings)
    return array


def _label(path: str, column: pd.Series) -> str:
    return path or step(column.name)


def _is_nested(column: pd.Series) -> bool:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return bool(pa.types.is_nested(dtype.pyarrow_dtype))
    if not (isinstance(dtype, np.dtype) and dtype.kind == "O"):
        return False
    sequences = (list, tuple, np.ndarray, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
    return any(issubclass(form, sequences) for form in set(map(type, column)))


def _from_scalars(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """A column of one scalar a row, by its dtype; one of objects by its values. Always a copy."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    column = _decode_nulls(column)
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _from_values(column.tolist(), spec, 1, path, findings)
    if spec.type.kind == "M":
        return _from_times(column, spec, path, findings)
    name = _name(column)
    declared = getattr(source(spec.type), "name", "")
    fits = declared in upper_bounds(name) if upper_bounds(name) else name == declared
    if not fits or spec.type.kind == "O":
        _add_mismatch(path, spec, format_dtype(dtype), findings)
        return None
    missing = column.isna().to_numpy()
    if missing.any() and spec.type.kind not in "fc":
        _add_nulls(missing, spec, path, findings)
        return None
    if spec.type.kind in "US":
        return _as_texts(column.tolist(), spec, path, findings)
    if missing.any():
        return column.to_numpy(dtype=spec.type, na_value=np.nan, copy=True)
    return column.to_numpy(dtype=spec.type, copy=True)


def _decode_nulls(column: pd.Series) -> pd.Series:
    """Return a column whose nulls pandas sees: those among the values of an Arrow dictionary, too."""
    dtype: Any = column.dtype
    if not isinstance(dtype, pd.ArrowDtype) or not pa.types.is_dictionary(dtype.pyarrow_dtype):
        return column
    chunks = pa.array(column)
    array = decode_dictionary(chunks.combine_chunks() if isinstance(chunks, pa.ChunkedArray) else chunks)
    return pd.Series(array, dtype=pd.ArrowDtype(array.type), name=column.name)


def _name(column: pd.Series) -> str:
    """A column's type in the casting table's spelling."""
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype):
        return str(getattr(source(dtype), "name", dtype))
    try:
        arrow = pa.array(column.iloc[:0], from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, AttributeError):
        return str(dtype)
    return str(getattr(arrow_source(arrow), "name", arrow))


def _add_mismatch(path: str, spec: TensorSpec, found: str, findings: list[Finding]) -> None:
    hint = f"cast it explicitly: astype({spec.type.name!r})"
    findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, found, hint))


def _from_times(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Times in the unit that they have; of those with a zone, what a clock there shows."""
    dtype: Any = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        array = from_times(column)
    elif isinstance(dtype, pd.ArrowDtype) and pa.types.is_timestamp(dtype.pyarrow_dtype):
        held = pa.array(column, from_pandas=True)
        array = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
        if found := find_unknown_zones(array.type, DataType.datetime, path):
            findings += found
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


def _as_texts(values: list[Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Text or bytes in an array of their greatest length, which drops NULs at their ends."""
    end = "\0" if spec.type.kind == "U" else b"\0"
    wrong = np.array([value.endswith(end) for value in values], dtype=bool)
    if wrong.any():
        rows = tuple(int(row) for row in np.flatnonzero(wrong)[:FIRST_ROWS])
        told = Finding(Code.INVALID_VALUE, path, "no NUL at the end, which NumPy drops", "others")
        findings.append(replace(told, count=int(wrong.sum()), rows=rows))
        return None
    return np.array(values, dtype=spec.type)


def _add_nulls(missing: np.ndarray[Any, Any], spec: TensorSpec, path: str, findings: list[Finding]) -> None:
    rows = tuple(int(row) for row in np.flatnonzero(missing)[:5])
    expected = f"{spec.type.name} without nulls"
    findings.append(Finding(Code.NULL_IN_REQUIRED, path, expected, "nulls", "", int(missing.sum()), rows))


def _from_rows(column: pd.Series, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """A column of lists or arrays, one row of the tensor each."""
    where = _label(path, column)
    missing = column.isna().to_numpy()
    if missing.any():
        _add_nulls(missing, spec, where, findings)
        return None
    if isinstance(column.dtype, pd.ArrowDtype):
        held = pa.array(column, from_pandas=True)
        array = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
        return _from_lists(array, spec, where, findings)
    values = column.tolist()
    if all(isinstance(value, np.ndarray) and value.dtype.kind != "O" for value in values):
        return _stacked(values, spec, where, findings)
    return _from_values(values, spec, len(spec.shape), where, findings)


def _from_lists(array: pa.Array, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Arrow's lists, by the type of their elements."""
    shape = [len(array)]
    for size in spec.shape[1:]:
        if not hasattr(array.type, "value_type") or pa.types.is_dictionary(array.type):
            findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "fewer lists in lists"))
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
        findings.append(_inner_nulls(missing, shape[0], spec, path))
        return None
    column = pd.Series(array, dtype=pd.ArrowDtype(array.type), name="")
    flat = _from_scalars(column, spec, path, findings)
    return None if flat is None else flat.reshape(shape)


def _inner_nulls(missing: np.ndarray[Any, Any], rows: int, spec: TensorSpec, path: str) -> Finding:
    """The finding of nulls among the values of ``rows`` rows, all of one size."""
    held = np.unique(np.flatnonzero(missing) // (len(missing) // rows))
    told = Finding(Code.NULL_IN_REQUIRED, path, f"{spec.type.name} without nulls", "nulls")
    return replace(told, count=len(held), rows=tuple(int(row) for row in held[:FIRST_ROWS]))


def _stacked(values: list[Any], spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    """Arrays of one shape as one array; by their dtypes."""
    if any(isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value) for value in values):
        hint = "fill the masked values explicitly"
        told = Finding(Code.INVALID_VALUE, f"{path}[]", "arrays without masked values", "others", hint)
        findings.append(told)
        return None
    for dtype in sorted({value.dtype for value in values}, key=str):
        if not _same_dtype(dtype, spec.type) and not dtype_widens(dtype, spec.type):
            _add_mismatch(f"{path}[]", spec, dtype.name, findings)
            return None
    if len({value.shape for value in values}) > 1:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of several shapes"))
        return None
    stacked = np.stack(values)
    return stacked if spec.type.kind in "US" else stacked.astype(spec.type, copy=False)


def _from_values(values: list[Any], spec: TensorSpec, rank: int, path: str, findings: list[Finding]) -> Any:
    """Python scalars, in lists for a rank above 1: by their values."""
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
    held = enforce_values(values, dtype, path, findings, required=True)
    if len(findings) > before:
        return None
    shape = _shape(held, rank)
    if shape is None:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of unequal length"))
        return None
    shape += tuple(0 if size == -1 else size for size in spec.shape[len(shape) : rank])
    flat = list(held)
    for _ in range(rank - 1):
        flat = list(chain.from_iterable(flat))
    array = _flat_array(flat, len(values), spec, path + "[]" * (rank - 1), findings)
    return None if array is None else array.reshape(shape)


def _shape(values: Any, rank: int) -> tuple[int, ...] | None:
    """The one shape of nested lists, as far as it is known; None if there is none."""
    if rank == 1:
        return (len(values),)
    inner = {_shape(value, rank - 1) for value in values}
    if not inner:
        return (0,)
    return (len(values), *only) if len(inner) == 1 and (only := inner.pop()) is not None else None


def _flat_array(flat: list[Any], rows: int, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    missing = np.array([value is None for value in flat], dtype=bool)
    if missing.any() and spec.type.kind not in "fM":
        findings.append(_inner_nulls(missing, rows, spec, path))
        return None
    if spec.type.kind in "US":
        return _as_texts(flat, spec, path, findings)
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
        findings.append(Finding(Code.OUT_OF_RANGE, path, spec.type.name, "values that it does not hold"))
    return array
