"""What a model returned -> Arrow, enforced against the output side of its signature.

The same casting table as for inputs: too narrow is widened, anything lossy is refused. NaN stays NaN,
a null stays a null.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.numpy import dtype_widens
from sparksig.convert.objects import from_objects
from sparksig.convert.records import to_builtins
from sparksig.enforce import plan as plans
from sparksig.enforce.findings import FIRST_ROWS
from sparksig.enforce.frames import column_to_arrow, dtype_name, is_name, is_objects
from sparksig.enforce.kernels import Values
from sparksig.enforce.nested import lists, mapped
from sparksig.enforce.python import as_series
from sparksig.enforce.values import enforce_values
from sparksig.enforce.zones import instants, is_known
from sparksig.errors import Code, ContractError, Finding, PredictionError, below, kind, nearest, step
from sparksig.lattice import MODEL_TYPE
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe

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
        ConversionError: a column of Any, for which Arrow has no type.

    Example:
        >>> encode(np.array([1, 0], dtype="int32"), Schema([TensorSpec(np.dtype("int64"), (-1,))]), 2).type
        DataType(int64)
    """
    arrays = _encoded(prediction, outputs, rows)
    if len(arrays) == 1:
        return arrays[0]
    return pa.StructArray.from_arrays(arrays, fields=list(result_type(outputs)))


def check(prediction: Any, outputs: Schema, rows: int | None) -> None:
    """See that a prediction fits, and leave it as it is; tensors of dtypes that Arrow lacks included.

    Args:
        prediction: as of :func:`encode`.
        outputs: what the model declares to give.
        rows: how many rows it was given; None where its input has no rows.

    Raises:
        PredictionError: as of :func:`encode`.
    """
    _encoded(prediction, outputs, rows, keep=False)


def _encoded(prediction: Any, outputs: Schema, rows: int | None, keep: bool = True) -> list[pa.Array | None]:
    if (plain := _as_it_is(prediction, outputs, rows)) is not None:
        return [plain if keep else None]
    findings: list[Finding] = []
    if outputs.is_tensor_spec():
        parts = _named_parts(prediction, outputs, findings)
        arrays = [_encode_tensor(part, spec, rows, findings, keep) for spec, part in zip(outputs, parts)]
    else:
        arrays = _encode_columns(prediction, outputs, rows, findings, keep)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return arrays


def _as_it_is(prediction: Any, outputs: Schema, rows: int | None) -> pa.Array | None:
    """What most models return, one number for each row in just the declared dtype; None for all else."""
    if type(prediction) is not np.ndarray or prediction.ndim != 1 or len(prediction) != rows:
        return None
    spec = outputs.inputs[0]
    if len(outputs) > 1 or (isinstance(spec, TensorSpec) and len(spec.shape) != 1):
        return None
    wanted = spec.type if isinstance(spec, TensorSpec) else _NUMBERS.get(spec.type)
    if wanted is None or prediction.dtype != wanted or prediction.dtype.kind not in "fiub":
        return None
    return pa.array(prediction.copy(), from_pandas=False)


_NUMBERS: dict[Type, np.dtype[Any]] = {
    known: np.dtype(MODEL_TYPE[known])
    for known in (
        DataType.boolean,
        DataType.integer,
        DataType.long,
        DataType.float,
        DataType.double,
    )
}


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
        parts = [
            _placed(part, zone, below(path, name), findings) for part, name in zip(array.flatten(), names)
        ]
        fields = [pa.field(name, part.type) for name, part in zip(names, parts)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(parts, fields=fields, mask=mask)
    if pa.types.is_list(array.type):
        before = array.flatten()
        values = _placed(before, zone, f"{path}[]", findings)
        return array if values is before else lists(array, values)
    if pa.types.is_map(array.type):
        return mapped(array, lambda items: _placed(items, zone, f"{path}[]", findings))
    if not pa.types.is_timestamp(array.type):
        return array
    if not is_known(zone):
        hint = "set spark.sql.session.timeZone to a name of the IANA database, as America/New_York"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a time zone that is known here", zone, hint))
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


def _encode_columns(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding], keep: bool
) -> list[pa.Array | None]:
    frame = _as_frame(prediction, outputs, findings)
    if frame is None:
        return []
    if rows is not None and len(frame) != rows:
        findings.append(_rows_finding("", rows, len(frame)))
    _check_names(frame, outputs, findings)
    if not outputs.has_input_names() and frame.shape[1] != len(outputs):
        expected, found = (f"{n} column{'s' if n != 1 else ''}" for n in (len(outputs), frame.shape[1]))
        findings.append(Finding(Code.COLUMN_COUNT, "", expected, found))
        return []
    places: dict[Any, list[int]] = {}
    for index, label in enumerate(frame.columns):
        if is_name(label):
            places.setdefault(label, []).append(index)
    given: dict[int, pa.Array | None] = {}
    for position, spec in enumerate(outputs):
        column = _column(frame, spec, position, places, findings)
        if column is not None:
            path = step(outputs.input_names()[position])
            given[position] = _encode_column(column, spec, path, findings, keep)
    if findings:
        return []
    # an optional column that the model left out is null
    left_out = {i for i in range(len(outputs)) if keep and i not in given}
    nulls = {i: pa.nulls(len(frame), to_arrow(outputs.inputs[i].type)) for i in left_out}
    return [(nulls | given).get(position) for position in range(len(outputs))]


def _column(
    frame: pd.DataFrame, spec: ColSpec, position: int, places: dict[Any, list[int]], findings: list[Finding]
) -> pd.Series | None:
    if spec.name is None:
        return frame.iloc[:, position]
    held = places.get(spec.name, [])
    if len(held) > 1:
        found = str(len(held))
        findings.append(Finding(Code.DUPLICATE_NAME, step(spec.name), "one column of that name", found))
    elif not held and spec.required:
        hint = nearest(spec.name, frame.columns)
        expected = describe(spec.type)
        findings.append(Finding(Code.MISSING_COLUMN, step(spec.name), expected, "no such column", hint))
    return frame.iloc[:, held[0]] if len(held) == 1 else None


def _encode_column(
    column: pd.Series, spec: ColSpec, path: str, findings: list[Finding], keep: bool
) -> pa.Array | None:
    before = len(findings)
    if isinstance(spec.type, DataType):
        if keep and column.dtype != object:
            column = column.copy(deep=True)  # the model may use its frame again, for the next batch
        array = column_to_arrow(_unwrap(column), spec.type, path, findings)
    elif isinstance(spec.type, AnyType):
        if keep:
            to_arrow(spec.type)  # which says that there is no type for any value
        return None
    elif isinstance(column.dtype, pd.ArrowDtype):
        whole = pa.array(column, from_pandas=True)
        array = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
    elif is_objects(column.dtype):
        try:
            values = [to_builtins(value) for value in column.tolist()]
        except RecursionError:
            findings.append(Finding(Code.INVALID_VALUE, path, "values of finite depth", "one inside itself"))
            return None
        held = enforce_values(values, spec.type, path, findings, required=spec.required)
        if len(findings) > before or not keep:
            return None
        return pa.array([_entries(value, spec.type) for value in held], to_arrow(spec.type))
    else:
        found = dtype_name(column.dtype)
        findings.append(Finding(Code.TYPE_MISMATCH, path, describe(spec.type), found))
        return None
    if len(findings) > before:
        return None
    batch = pa.RecordBatch.from_arrays([array], names=["0" if spec.name is None else str(spec.name)])
    try:
        return plans.compile(Schema([spec]), batch.schema).apply(batch).column(0)
    except ContractError as error:
        # an unnamed column is called by its number, which is another in a schema of its own
        findings += [
            replace(one, path=path + one.path.removeprefix("0")) if spec.name is None else one
            for one in error.findings
        ]
        return None


def _unwrap(column: pd.Series) -> pd.Series:
    """Return a column of objects with the plain values of enumerations and UUIDs."""
    if column.dtype != object or not any(
        issubclass(form, (enum.Enum, uuid.UUID)) for form in set(map(type, column))
    ):
        return column
    return pd.Series([to_builtins(value) for value in column], dtype=object)


def _entries(value: Any, dtype: Type) -> Any:
    """Values as pyarrow takes them: maps as lists of entries, arrays of NumPy as lists."""
    if value is None or isinstance(dtype, DataType):
        return value
    if isinstance(dtype, Array):
        if isinstance(value, np.ndarray):
            return value.tolist()
        return value if isinstance(dtype.dtype, DataType) else [_entries(item, dtype.dtype) for item in value]
    if isinstance(dtype, Map):
        return [(key, _entries(item, dtype.value_type)) for key, item in value.items()]
    if not isinstance(dtype, Object):
        return value
    known = {prop.name: prop.dtype for prop in dtype.properties}
    return {key: _entries(item, known[key]) for key, item in value.items()}


def _as_frame(prediction: Any, outputs: Schema, findings: list[Finding]) -> pd.DataFrame | None:
    """The prediction as a frame; one without labels of its own gets the schema's by position."""
    if isinstance(prediction, pd.DataFrame):
        return prediction
    if isinstance(prediction, Mapping):
        return _from_mapping(prediction, findings)
    expected = f"{len(outputs)} column{'s' if len(outputs) > 1 else ''}"
    if isinstance(prediction, (list, tuple)):  # as objects: pandas would make integers floats beside them
        frame = pd.DataFrame({0: _listed(prediction)})
    elif isinstance(prediction, pd.Series):
        frame = pd.DataFrame({0: prediction})
    elif not isinstance(prediction, np.ndarray) or isinstance(prediction, np.ma.MaskedArray):
        wanted = "an array, a Series, a list or a DataFrame"
        findings.append(Finding(Code.TYPE_MISMATCH, "", wanted, kind(prediction)))
        return None
    elif prediction.ndim > 1 and len(outputs) == 1 and isinstance(outputs.inputs[0].type, Array):
        frame = pd.DataFrame({0: as_series(list(prediction))})
    elif prediction.ndim not in (1, 2):
        findings.append(Finding(Code.SHAPE_MISMATCH, "", expected, f"an array of rank {prediction.ndim}"))
        return None
    else:
        frame = pd.DataFrame(prediction)
    if frame.shape[1] != len(outputs):
        given = f"{frame.shape[1]} column{'s' if frame.shape[1] != 1 else ''}"
        findings.append(Finding(Code.COLUMN_COUNT, "", expected, given))
        return None
    frame.columns = pd.Index(outputs.input_names())
    return frame


def _listed(prediction: Sequence[Any]) -> pd.Series:
    """A list as a column: floats keep NaN and null apart, whatever stands beside them."""
    forms = set(map(type, prediction))
    if forms == {float}:
        return pd.Series(np.array(prediction))
    if forms == {float, type(None)}:
        held = pa.array(list(prediction), pa.float64(), from_pandas=False)
        return pd.Series(held, dtype=pd.ArrowDtype(pa.float64()))
    return as_series(prediction)


def _from_mapping(prediction: Mapping[Any, Any], findings: list[Finding]) -> pd.DataFrame | None:
    columns: dict[Any, Any] = {}
    for name, values in prediction.items():
        if isinstance(values, (list, tuple)):
            columns[name] = as_series(values)
        elif isinstance(values, pd.Series):
            columns[name] = values.reset_index(drop=True)
        elif (
            isinstance(values, np.ndarray) and values.ndim == 1 and not isinstance(values, np.ma.MaskedArray)
        ):
            columns[name] = pd.Series(values)
        else:
            findings.append(Finding(Code.TYPE_MISMATCH, step(name), "one value per row", kind(values)))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        found = " and ".join(map(str, sorted(lengths)))
        findings.append(Finding(Code.ROW_COUNT, "", "columns of one length", found))
    return None if findings else pd.DataFrame(columns)


def _check_names(frame: pd.DataFrame, outputs: Schema, findings: list[Finding]) -> None:
    if not outputs.has_input_names():
        return  # the plan takes them by position and checks their number
    declared = outputs.input_dict()
    hint = "return the declared columns only, or declare it"
    findings += [
        Finding(Code.UNKNOWN_KEY, step(label), "a declared output", "another column", hint)
        for label in frame.columns
        if not is_name(label) or label not in declared
    ]


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


def _encode_tensor(
    prediction: Any, spec: TensorSpec, rows: int | None, findings: list[Finding], keep: bool
) -> pa.Array | None:
    path = "" if spec.name is None else step(spec.name)
    values = _as_array(prediction, spec)
    if isinstance(values, Finding):
        findings.append(replace(values, path=path))
        return None
    if values.ndim == 0 or (rows is not None and len(values) != rows):
        findings.append(_rows_finding(path, rows, len(values) if values.ndim else None))
        return None
    inner = spec.shape[1:]
    if values.ndim != len(spec.shape) or any(
        want not in (-1, have) for want, have in zip(inner, values.shape[1:])
    ):
        expected, found = f"shape {spec.shape}", f"shape {(-1, *values.shape[1:])}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, expected, found))
        return None
    if not keep and values.dtype == spec.type:
        return None
    flat = _flat(values, spec)
    if flat is None:
        findings.append(replace(_dtype_finding(spec, values.dtype.name), path=path))
        return None
    return _in_lists(flat, values.shape)


def _dtype_finding(spec: TensorSpec, found: str) -> Finding:
    hint = "return the declared dtype, or save the model with the dtype that it returns"
    return Finding(Code.TYPE_MISMATCH, "", spec.type.name, found, hint)


def _as_array(prediction: Any, spec: TensorSpec) -> Values | Finding:
    """The prediction as an array; each column of a frame, and each value of a list, widened by itself."""
    if isinstance(prediction, np.ma.MaskedArray):
        return Finding(Code.TYPE_MISMATCH, "", repr(spec), "a masked array", hint="fill it on purpose")
    if isinstance(prediction, pd.DataFrame):
        columns = [prediction.iloc[:, i].to_numpy() for i in range(prediction.shape[1])]
        refused = [column.dtype.name for column in columns if not dtype_widens(column.dtype, spec.type)]
        if refused and not all(column.dtype == object for column in columns):
            return _dtype_finding(spec, refused[0])
        if not refused and spec.type.kind not in "US":
            columns = [column.astype(spec.type) for column in columns]
        if len(spec.shape) == 1 and len(columns) == 1:
            return columns[0]
        return np.column_stack(columns) if columns else np.empty((len(prediction), 0), spec.type)
    if isinstance(prediction, pd.Series):
        return prediction.to_numpy()
    if type(prediction).__module__.partition(".")[0] == "scipy" and hasattr(prediction, "toarray"):
        dense: Values = prediction.toarray()
        return dense
    if isinstance(prediction, list):
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
        return Finding(Code.TYPE_MISMATCH, "", repr(spec), kind(prediction))
    objects = prediction.dtype.kind == "O" and spec.type.kind not in "USO"
    return _dtype_finding(spec, "object") if objects else prediction


def _flat(values: Values, spec: TensorSpec) -> pa.Array | None:
    """All values in row-major order, in the declared dtype; None if they do not widen to it."""
    element = to_arrow(Schema([TensorSpec(spec.type, (-1,))])).field(0).type
    flat = values.reshape(-1)
    if flat.dtype.kind == "O":
        target = next((known for known, name in MODEL_TYPE.items() if name == spec.type.name), None)
        found = from_objects(pd.Series(flat, dtype=object), target)
        if found is None or (found.null_count and not _may_be_null(flat, spec)):
            return None
        if found.type == element:
            return found
        if pa.types.is_string(found.type) or pa.types.is_binary(found.type):
            return None
        flat = found.to_numpy(zero_copy_only=False)
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if not dtype_widens(flat.dtype, spec.type):
        return None
    # a copy: the model may use its array again, for the next batch
    widened = flat if flat.dtype.kind in "US" else flat.astype(spec.type)
    try:
        return pa.array(widened, type=element, from_pandas=False)
    except UnicodeEncodeError:
        return None


def _may_be_null(flat: Values, spec: TensorSpec) -> bool:
    """None is a missing text; a NaN is no text."""
    return spec.type.kind in "US" and not any(isinstance(value, float) for value in flat)


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


def _rows_finding(path: str, rows: int | None, found: int | None) -> Finding:
    given = "a single value" if found is None else f"{found}"
    expected = "one prediction for each row" if rows is None else f"one prediction for each of {rows} rows"
    return Finding(Code.ROW_COUNT, path, expected, given)
