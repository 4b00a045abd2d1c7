"""Conversion of predicted tensors to Arrow: nested lists of the declared dtypes and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.instances import get_fields
from sparksig.convert.numpy import dtype_widens
from sparksig.convert.objects import from_objects, is_sparse, to_series
from sparksig.engine.findings import build_row_count_finding
from sparksig.engine.kernels import Values
from sparksig.engine.tensors import fits_shape
from sparksig.errors import Code, Finding, PredictionError, name_type, quote
from sparksig.lattice import MODEL_TYPE
from sparksig.schema import Schema, TensorSpec


def encode_tensors(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding], keep: bool
) -> list[pa.Array | None]:
    """Encode each tensor of a prediction as an Arrow array; without ``keep``, only check it."""
    parts = _split_tensors(prediction, outputs, findings)
    return [_encode_tensor(part, spec, rows, findings, keep) for spec, part in zip(outputs, parts)]


def _split_tensors(prediction: Any, outputs: Schema, findings: list[Finding]) -> list[Any]:
    by_name = get_fields(prediction)
    prediction = prediction if by_name is None else by_name
    if len(outputs) == 1 and not (isinstance(prediction, Mapping) and outputs.has_input_names()):
        return [prediction]
    names = outputs.input_names()
    if not isinstance(prediction, (Mapping, pd.DataFrame)) or is_sparse(prediction):
        findings.append(
            Finding(Code.TYPE_MISMATCH, "", f"a dictionary of {len(names)} tensors", name_type(prediction))
        )
        return []
    keys = set(prediction)
    findings += [
        Finding(Code.MISSING_KEY, quote(name), "a tensor", "no such key")
        for name in names
        if name not in keys
    ]
    findings += [
        Finding(Code.UNKNOWN_KEY, quote(key), "only declared keys", "an undeclared key")
        for key in prediction
        if key not in names
    ]
    return [] if findings else [prediction[name] for name in names]


def _encode_tensor(
    prediction: Any, spec: TensorSpec, rows: int | None, findings: list[Finding], keep: bool
) -> pa.Array | None:
    path = "" if spec.name is None else quote(spec.name)
    values = _to_array(prediction, spec)
    if isinstance(values, Finding):
        findings.append(replace(values, path=path))
        return None
    if values.ndim == 0 and rows == 1 and len(spec.shape) == 1:
        values = values.reshape(1)
    if values.ndim == 0 or (rows is not None and len(values) != rows):
        findings.append(build_row_count_finding(path, rows, len(values) if values.ndim else None))
        return None
    if not fits_shape(values.shape[1:], spec.shape[1:]):
        expected, actual = f"shape {spec.shape}", f"shape {(-1, *values.shape[1:])}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, expected, actual))
        return None
    if not keep and values.dtype == spec.type:
        return None
    flat = _flatten(values, spec)
    if flat is None:
        findings.append(replace(_build_dtype_finding(spec, values.dtype.name), path=path))
        return None
    return _nest_lists(flat, values.shape)


def _build_dtype_finding(spec: TensorSpec, actual: str) -> Finding:
    hint = "return the declared dtype, or save the model with the dtype that it returns"
    return Finding(Code.TYPE_MISMATCH, "", spec.type.name, actual, hint)


def _to_array(prediction: Any, spec: TensorSpec) -> Values | Finding:
    """Convert a prediction to an array; the columns of a frame are widened separately."""
    if isinstance(prediction, np.ma.MaskedArray):
        return Finding(Code.TYPE_MISMATCH, "", repr(spec), "a masked array", hint="fill it explicitly")
    if isinstance(prediction, pd.DataFrame):
        columns = [prediction.iloc[:, i].to_numpy() for i in range(prediction.shape[1])]
        refused = [column.dtype.name for column in columns if not dtype_widens(column.dtype, spec.type)]
        if refused and not all(column.dtype == object for column in columns):
            return _build_dtype_finding(spec, refused[0])
        if not refused and spec.type.kind not in "US":
            columns = [column.astype(spec.type) for column in columns]
        if len(spec.shape) == 1 and len(columns) == 1:
            return columns[0]
        return np.column_stack(columns) if columns else np.empty((len(prediction), 0), spec.type)
    if isinstance(prediction, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return to_series(prediction).to_numpy()
    if isinstance(prediction, (pa.Array, pa.ChunkedArray)):
        return pd.Series(prediction, dtype=pd.ArrowDtype(prediction.type)).to_numpy()
    if is_sparse(prediction):
        dense: Values = prediction.toarray()
        return dense
    if isinstance(prediction, (str, bytes, bool, int, float, np.generic)):
        return np.array(prediction, dtype=object)
    if isinstance(prediction, (list, tuple)):
        try:
            array = np.array(prediction, dtype=object)
        except ValueError:  # rows of unequal shapes that NumPy cannot even hold as objects
            return Finding(Code.SHAPE_MISMATCH, "", f"shape {spec.shape}", "rows of unequal length")
        if array.size == 0:
            return array.astype(spec.type)
        if any(isinstance(value, (list, np.ndarray)) for value in array.ravel()):
            return Finding(Code.SHAPE_MISMATCH, "", f"shape {spec.shape}", "rows of unequal length")
        return array
    if not isinstance(prediction, np.ndarray):
        return Finding(Code.TYPE_MISMATCH, "", repr(spec), name_type(prediction))
    is_object = prediction.dtype.kind == "O" and spec.type.kind not in "USO"
    return _build_dtype_finding(spec, "object") if is_object else prediction


def _flatten(values: Values, spec: TensorSpec) -> pa.Array | None:
    """Return all values in row-major order and in the declared dtype; None if they do not widen to it."""
    element = to_arrow(Schema([TensorSpec(spec.type, (-1,))])).field(0).type
    flat = values.reshape(-1)
    if flat.dtype.kind == "O":
        target = next((dtype for dtype, name in MODEL_TYPE.items() if name == spec.type.name), None)
        array = from_objects(pd.Series(flat, dtype=object), target)
        if array is None or (array.null_count and not _may_be_null(flat, spec)):
            return None
        if array.type == element:
            return array
        if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
            return None
        flat = array.to_numpy(zero_copy_only=False)
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if not dtype_widens(flat.dtype, spec.type):
        return None
    # a copy, because the model may reuse its array for the next batch
    widened = flat if flat.dtype.kind in "US" else flat.astype(spec.type)
    try:
        return pa.array(widened, type=element, from_pandas=False)
    except UnicodeEncodeError:
        return None


def _may_be_null(flat: Values, spec: TensorSpec) -> bool:
    """Return whether nulls stand for missing texts; NaN does not."""
    return spec.type.kind in "US" and not any(isinstance(value, float) for value in flat)


def _nest_lists(values: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    """Nest row-major values in lists of the inner sizes, by building offsets."""
    for depth in range(len(shape) - 1, 0, -1):
        size, count = shape[depth], int(np.prod(shape[:depth], dtype=np.int64))
        if count * size >= 2**31:
            raise PredictionError("the prediction of a batch has 2^31 values or more: use smaller batches")
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * size, pa.int32())
        values = pa.ListArray.from_arrays(offsets, values)
    return values
