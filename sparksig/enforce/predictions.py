"""What a model returned -> Arrow, enforced against the output side of its signature.

The same casting table as for inputs: too narrow is widened, anything lossy is refused. NaN stays NaN,
a null stays a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.numpy import source
from sparksig.enforce import plan as plans
from sparksig.enforce.frames import from_pandas
from sparksig.enforce.plan import FIRST_ROWS
from sparksig.enforce.zones import instants
from sparksig.errors import Code, ContractError, Finding, PredictionError, below, kind, step
from sparksig.lattice import upper_bounds
from sparksig.schema import Schema, TensorSpec

__all__ = ["encode", "placed", "result_type"]


def result_type(outputs: Schema) -> pa.DataType:
    """The Arrow type of one prediction: a plain type for one column or tensor, a struct for several.

    Raises:
        ConversionError: Arrow has no such type.

    Example:
        >>> result_type(Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        ListType(list<item: double>)
    """
    fields = to_arrow(outputs)
    return fields.field(0).type if len(fields) == 1 else pa.struct(list(fields))


def encode(prediction: Any, outputs: Schema, rows: int) -> pa.Array:
    """A model's return value for ``rows`` rows as one Arrow array of that length.

    Args:
        prediction: ndarray, list, Series, DataFrame, or a dict of arrays (several outputs).
        outputs: what the model declares to give.
        rows: how many rows it was given.

    Returns:
        An array of :func:`result_type`.

    Raises:
        PredictionError: a wrong number of rows, names missing or too many, a type that does not widen,
            a shape that does not fit; all findings.
        UnsupportedError: composite columns, which the engine does not give yet.

    Example:
        >>> encode(np.array([1, 0], dtype="int32"), Schema([TensorSpec(np.dtype("int64"), (-1,))]), 2).type
        DataType(int64)
    """
    findings: list[Finding] = []
    if outputs.is_tensor_spec():
        parts = _named_parts(prediction, outputs, findings)
        arrays = [_encode_tensor(part, spec, rows, findings) for spec, part in zip(outputs, parts)]
    else:
        arrays = _encode_columns(prediction, outputs, rows, findings)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    if len(arrays) == 1:
        return arrays[0]
    return pa.StructArray.from_arrays(arrays, fields=list(result_type(outputs)))


def placed(array: pa.Array, zone: str) -> pa.Array:
    """Predicted wall times as instants: what a clock in ``zone`` showed, in microseconds.

    Args:
        array: of :func:`result_type`; other than timestamps pass as they are.
        zone: an IANA zone, as Spark's ``spark.sql.session.timeZone``.

    Raises:
        PredictionError: a wall time that the zone cannot place (it never was, or was twice), or one finer
            than a microsecond, which Spark cannot hold.

    Example:
        >>> placed(pa.array([0], pa.timestamp("ns")), "UTC").type
        TimestampType(timestamp[us, tz=UTC])
    """
    findings: list[Finding] = []
    found = _placed(array, zone, "", findings)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return found


def _placed(array: pa.Array, zone: str, path: str, findings: list[Finding]) -> pa.Array:
    if pa.types.is_struct(array.type):
        names = [field.name for field in array.type]
        parts = [_placed(array.field(i), zone, below(path, name), findings) for i, name in enumerate(names)]
        fields = [pa.field(name, part.type) for name, part in zip(names, parts)]
        return pa.StructArray.from_arrays(parts, fields=fields)
    if not pa.types.is_timestamp(array.type):
        return array
    try:
        micros = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        findings.append(
            Finding(
                Code.OUT_OF_RANGE, path, "instants in microseconds", "finer ones", "round them on purpose"
            )
        )
        return array
    found, unplaced = instants(micros, zone)
    if unplaced.any():
        hint = "predict wall times that the session's zone has once, or set spark.sql.session.timeZone to UTC"
        expected = f"wall times that {zone} has just once"
        count, rows = int(unplaced.sum()), tuple(map(int, np.flatnonzero(unplaced)[:FIRST_ROWS]))
        findings.append(Finding(Code.OUT_OF_RANGE, path, expected, "others", hint, count, rows))
    return found


# --- columns ------------------------------------------------------------------------------------------


def _encode_columns(prediction: Any, outputs: Schema, rows: int, findings: list[Finding]) -> list[pa.Array]:
    frame = _as_frame(prediction, outputs, findings)
    if frame is None or not _right_names(frame, outputs, findings):
        return []
    if len(frame) != rows:
        findings.append(_rows_finding("", rows, len(frame)))
        return []
    try:
        batch = from_pandas(frame)
        plan = plans.compile(outputs, batch.schema)
        given = dict(zip(plan.specs, plan.apply(batch).columns))
    except ContractError as error:
        findings += error.findings
        return []
    # an optional column that the model left out is null
    return [given[spec] if spec in given else pa.nulls(rows, to_arrow(spec.type)) for spec in outputs]


def _as_frame(prediction: Any, outputs: Schema, findings: list[Finding]) -> pd.DataFrame | None:
    """The prediction as a frame; one without labels of its own gets the schema's by position."""
    if isinstance(prediction, pd.DataFrame):
        return prediction
    if isinstance(prediction, Mapping):
        return pd.DataFrame(dict(prediction))
    if not isinstance(prediction, (np.ndarray, pd.Series, list, tuple)):
        findings.append(
            Finding(Code.TYPE_MISMATCH, "", "an array, a Series, a list or a DataFrame", kind(prediction))
        )
        return None
    if isinstance(prediction, np.ndarray) and prediction.ndim not in (1, 2):
        expected = f"{len(outputs)} column{'s' if len(outputs) > 1 else ''}"
        findings.append(Finding(Code.SHAPE_MISMATCH, "", expected, f"an array of rank {prediction.ndim}"))
        return None
    if isinstance(prediction, (pd.Series, list, tuple)):
        frame = pd.DataFrame({0: list(prediction) if isinstance(prediction, tuple) else prediction})
    else:
        frame = pd.DataFrame(prediction)
    if frame.shape[1] == len(outputs):
        frame.columns = pd.Index(outputs.input_names())
    return frame


def _right_names(frame: pd.DataFrame, outputs: Schema, findings: list[Finding]) -> bool:
    if not outputs.has_input_names():
        return True  # the plan takes them by position and checks their number
    declared = {str(name) for name in outputs.input_names()}
    extra = [label for label in frame.columns if str(label) not in declared]
    findings += [
        Finding(
            Code.UNKNOWN_KEY,
            step(label),
            "a declared output",
            "another column",
            "return the declared columns only, or declare it",
        )
        for label in extra
    ]
    return not extra


# --- tensors ------------------------------------------------------------------------------------------


def _named_parts(prediction: Any, outputs: Schema, findings: list[Finding]) -> list[Any]:
    if len(outputs) == 1 and not (isinstance(prediction, Mapping) and outputs.has_input_names()):
        return [prediction]
    names = outputs.input_names()
    if not isinstance(prediction, (Mapping, pd.DataFrame)):
        findings.append(
            Finding(Code.TYPE_MISMATCH, "", f"a dictionary of {len(names)} tensors", kind(prediction))
        )
        return []
    keys = set(prediction)
    findings += [
        Finding(Code.MISSING_KEY, step(name), "a tensor", "nothing") for name in names if name not in keys
    ]
    findings += [
        Finding(Code.UNKNOWN_KEY, step(key), "a declared output", "another key")
        for key in prediction
        if key not in names
    ]
    return [] if findings else [prediction[name] for name in names]


def _encode_tensor(prediction: Any, spec: TensorSpec, rows: int, findings: list[Finding]) -> pa.Array | None:
    path = "" if spec.name is None else step(spec.name)
    values = _as_array(prediction, spec)
    if values is None:
        findings.append(Finding(Code.TYPE_MISMATCH, path, repr(spec), kind(prediction)))
        return None
    if values.ndim == 0 or len(values) != rows:
        findings.append(_rows_finding(path, rows, len(values) if values.ndim else None))
        return None
    inner = spec.shape[1:]
    if values.ndim != len(spec.shape) or any(
        want not in (-1, have) for want, have in zip(inner, values.shape[1:])
    ):
        expected, found = f"shape {spec.shape}", f"shape {(-1, *values.shape[1:])}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, expected, found))
        return None
    flat = _flat(values, spec)
    if flat is None:
        hint = "return the declared dtype, or save the model with the dtype that it returns"
        findings.append(Finding(Code.TYPE_MISMATCH, path, spec.type.name, values.dtype.name, hint))
        return None
    return _in_lists(flat, values.shape)


def _as_array(prediction: Any, spec: TensorSpec) -> np.ndarray | None:
    if isinstance(prediction, pd.DataFrame):
        single = len(spec.shape) == 1 and prediction.shape[1] == 1
        return prediction.iloc[:, 0].to_numpy() if single else prediction.to_numpy()
    return np.asarray(prediction) if isinstance(prediction, (np.ndarray, pd.Series, list)) else None


def _flat(values: np.ndarray, spec: TensorSpec) -> pa.Array | None:
    """All values in row-major order, in the declared dtype; None if they do not widen to it."""
    element = to_arrow(Schema([TensorSpec(spec.type, (-1,))])).field(0).type
    flat = values.reshape(-1)
    if flat.dtype.kind == "O" and spec.type.kind in "US":
        try:
            return pa.array(flat, type=element, from_pandas=False)
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            return None
    if not _dtype_widens(flat.dtype, spec.type):
        return None
    widened = flat if flat.dtype.kind in "US" else flat.astype(spec.type, copy=False)
    return pa.array(widened, type=element, from_pandas=False)


def _dtype_widens(given: np.dtype, declared: np.dtype) -> bool:
    """By the casting table's edges; times keep their unit, everything else reaches itself."""
    if given.kind in "US" or given.kind in "mM":
        return given.kind == declared.kind and (given.kind in "US" or given == declared)
    return given == declared or str(source(declared)) in upper_bounds(str(source(given)))


def _in_lists(values: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    """``values`` (row-major) in lists of the inner sizes, by offsets, never per row."""
    for depth in range(len(shape) - 1, 0, -1):
        size, count = shape[depth], int(np.prod(shape[:depth], dtype=np.int64))
        if count * size >= 2**31:
            raise PredictionError(
                "the prediction of one batch has 2^31 values or more: score in smaller batches"
            )
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * size, pa.int32())
        values = pa.ListArray.from_arrays(offsets, values)
    return values


def _rows_finding(path: str, rows: int, found: int | None) -> Finding:
    given = "a single value" if found is None else f"{found}"
    return Finding(Code.ROW_COUNT, path, f"one prediction for each of {rows} rows", given)
