"""Conversion of predicted columns to Arrow, by the casting table."""

from __future__ import annotations

import enum
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.instances import to_builtins
from sparksig.engine import plan as plans
from sparksig.engine.findings import build_count_finding, build_row_count_finding, rename_findings
from sparksig.engine.predictions.reading import read_frame
from sparksig.engine.series import column_to_arrow, format_dtype, is_name, is_objects, to_single_array
from sparksig.engine.values import enforce_values
from sparksig.errors import Code, ContractError, Finding, quote, suggest
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe


def encode_columns(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding], keep: bool
) -> list[pa.Array | None]:
    """Encode each column of a prediction as an Arrow array; without ``keep``, only check it."""
    frame = read_frame(prediction, outputs, rows, findings)
    if frame is None:
        return []
    before = len(findings)
    _check_names(frame, outputs, findings)
    if not outputs.has_input_names() and frame.shape[1] != len(outputs):
        findings.append(build_count_finding(len(outputs), frame.shape[1]))
        return []
    positions: dict[Any, list[int]] = {}
    for index, label in enumerate(frame.columns):
        if is_name(label):
            positions.setdefault(label, []).append(index)
    arrays: dict[int, pa.Array | None] = {}
    for position, spec in enumerate(outputs):
        column = _find_column(frame, spec, position, positions, findings)
        if column is not None:
            path = quote(outputs.input_names()[position])
            arrays[position] = _encode_column(column, spec, path, findings, keep)
    if rows is not None and len(frame) != rows and (frame.shape[1] or len(findings) == before):
        findings.insert(before, build_row_count_finding("", rows, len(frame)))
    if findings:
        return []
    # optional columns that the model omits are null
    omitted = {i for i in range(len(outputs)) if keep and i not in arrays}
    nulls = {i: pa.nulls(len(frame), to_arrow(outputs.inputs[i].type)) for i in omitted}
    return [(nulls | arrays).get(position) for position in range(len(outputs))]


def _check_names(frame: pd.DataFrame, outputs: Schema, findings: list[Finding]) -> None:
    if not outputs.has_input_names():
        return  # columns are matched by position, and their number is checked
    declared = outputs.input_dict()
    hint = "return only the declared columns, or declare this one"
    findings += [
        Finding(Code.UNKNOWN_KEY, quote(label), "only declared columns", "an undeclared column", hint)
        for label in frame.columns
        if not is_name(label) or label not in declared
    ]


def _find_column(
    frame: pd.DataFrame,
    spec: ColSpec,
    position: int,
    positions: dict[Any, list[int]],
    findings: list[Finding],
) -> pd.Series | None:
    if spec.name is None:
        return frame.iloc[:, position]
    matches = positions.get(spec.name, [])
    if len(matches) > 1:
        actual = str(len(matches))
        findings.append(Finding(Code.DUPLICATE_NAME, quote(spec.name), "one column of that name", actual))
    elif not matches and spec.required:
        hint = suggest(spec.name, frame.columns)
        expected = describe(spec.type)
        findings.append(Finding(Code.MISSING_COLUMN, quote(spec.name), expected, "no such column", hint))
    return frame.iloc[:, matches[0]] if len(matches) == 1 else None


def _encode_column(
    column: pd.Series, spec: ColSpec, path: str, findings: list[Finding], keep: bool
) -> pa.Array | None:
    if isinstance(spec.type, AnyType):
        if keep:
            to_arrow(spec.type)  # raises the error that Any has no Arrow type
        return None
    before = len(findings)
    if isinstance(spec.type, DataType):
        column = _convert_exact_floats(column, spec.type)
        if keep and column.dtype != object:
            column = column.copy(deep=True)  # the model may use its frame again, for the next batch
        array = column_to_arrow(_unwrap(column), spec.type, path, findings)
    elif isinstance(column.dtype, pd.ArrowDtype):
        array = to_single_array(column)
    elif is_objects(column.dtype):
        enforced = enforce_values(column.tolist(), spec.type, path, findings, required=spec.required)
        if len(findings) > before or not keep:
            return None
        return pa.array([_to_arrow_value(value, spec.type) for value in enforced], to_arrow(spec.type))
    else:
        findings.append(Finding(Code.TYPE_MISMATCH, path, describe(spec.type), format_dtype(column.dtype)))
        return None
    return None if len(findings) > before else _widen(array, spec, path, findings)


def _unwrap(column: pd.Series) -> pd.Series:
    """Replace enumerations and UUIDs in a column of objects by their plain values."""
    if column.dtype != object or not any(
        issubclass(cell_type, (enum.Enum, uuid.UUID)) for cell_type in set(map(type, column))
    ):
        return column
    return pd.Series([to_builtins(value) for value in column], dtype=object)


def _widen(array: pa.Array, spec: ColSpec, path: str, findings: list[Finding]) -> pa.Array | None:
    batch = pa.RecordBatch.from_arrays([array], names=["0" if spec.name is None else str(spec.name)])
    try:
        return plans.compile(Schema([spec]), batch.schema).apply(batch).column(0)
    except ContractError as error:
        findings += rename_findings(error, spec, path)
        return None


def _convert_exact_floats(column: pd.Series, dtype: DataType) -> pd.Series:
    """Convert an object column of floats, or of floats and None, to a float dtype: NaN is a value."""
    if dtype is not DataType.double or not is_objects(column.dtype):
        return column
    types = set(map(type, column))
    if types == {float}:
        return pd.Series(column.to_numpy(dtype=np.float64))
    if types == {float, type(None)}:
        values = pa.array(column.tolist(), pa.float64(), from_pandas=False)
        return pd.Series(values, dtype=pd.ArrowDtype(pa.float64()))
    return column


def _to_arrow_value(value: Any, dtype: Type) -> Any:
    """Convert values to what pyarrow accepts: maps become lists of entries, NumPy arrays become lists."""
    if value is None or isinstance(dtype, DataType):
        return value
    if isinstance(dtype, Array):
        if isinstance(value, np.ndarray):
            return value.tolist()
        return (
            value
            if isinstance(dtype.dtype, DataType)
            else [_to_arrow_value(item, dtype.dtype) for item in value]
        )
    if isinstance(dtype, Map):
        return [(key, _to_arrow_value(item, dtype.value_type)) for key, item in value.items()]
    if not isinstance(dtype, Object):
        return value
    declared = {prop.name: prop.dtype for prop in dtype.properties}
    return {key: _to_arrow_value(item, declared[key]) for key, item in value.items()}
