"""Predictions of columns -> Arrow, each widened as the casting table says."""

from __future__ import annotations

import enum
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.instances import to_builtins
from sparksig.engine import plan as plans
from sparksig.engine.predictions.counts import build_row_count_finding
from sparksig.engine.predictions.reading import read_frame
from sparksig.engine.series import column_to_arrow, format_dtype, is_name, is_objects
from sparksig.engine.values import enforce_values
from sparksig.errors import Code, ContractError, Finding, nearest, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe

__all__ = ["encode_columns"]


def encode_columns(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding], keep: bool
) -> list[pa.Array | None]:
    """Encode each column of a prediction; what does not fit is added to ``findings``.

    Args:
        prediction: the model's return value.
        outputs: the model's declared outputs, columns.
        rows: how many rows the model was given; None where that is not known.
        findings: gathers what does not fit.
        keep: whether the arrays are wanted; the types are checked either way.
    """
    frame = read_frame(prediction, outputs, rows, findings)
    if frame is None:
        return []
    before = len(findings)
    _check_names(frame, outputs, findings)
    if not outputs.has_input_names() and frame.shape[1] != len(outputs):
        expected, found = (f"{n} column{'s' if n != 1 else ''}" for n in (len(outputs), frame.shape[1]))
        findings.append(Finding(Code.COLUMN_COUNT, "", expected, found))
        return []
    positions: dict[Any, list[int]] = {}
    for index, label in enumerate(frame.columns):
        if is_name(label):
            positions.setdefault(label, []).append(index)
    given: dict[int, pa.Array | None] = {}
    for position, spec in enumerate(outputs):
        column = _column(frame, spec, position, positions, findings)
        if column is not None:
            path = step(outputs.input_names()[position])
            given[position] = _encode_column(column, spec, path, findings, keep)
    if rows is not None and len(frame) != rows and (frame.shape[1] or len(findings) == before):
        findings.insert(before, build_row_count_finding("", rows, len(frame)))
    if findings:
        return []
    # an optional column that the model left out is null
    left_out = {i for i in range(len(outputs)) if keep and i not in given}
    nulls = {i: pa.nulls(len(frame), to_arrow(outputs.inputs[i].type)) for i in left_out}
    return [(nulls | given).get(position) for position in range(len(outputs))]


def _check_names(frame: pd.DataFrame, outputs: Schema, findings: list[Finding]) -> None:
    if not outputs.has_input_names():
        return  # columns are taken by position, and their number is checked
    declared = outputs.input_dict()
    hint = "return the declared columns only, or declare it"
    findings += [
        Finding(Code.UNKNOWN_KEY, step(label), "a declared output", "another column", hint)
        for label in frame.columns
        if not is_name(label) or label not in declared
    ]


def _column(
    frame: pd.DataFrame,
    spec: ColSpec,
    position: int,
    positions: dict[Any, list[int]],
    findings: list[Finding],
) -> pd.Series | None:
    if spec.name is None:
        return frame.iloc[:, position]
    held = positions.get(spec.name, [])
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
    if isinstance(spec.type, AnyType):
        if keep:
            to_arrow(spec.type)  # which says that there is no type for any value
        return None
    before = len(findings)
    if isinstance(spec.type, DataType):
        column = _with_exact_floats(column, spec.type)
        if keep and column.dtype != object:
            column = column.copy(deep=True)  # the model may use its frame again, for the next batch
        array = column_to_arrow(_unwrap(column), spec.type, path, findings)
    elif isinstance(column.dtype, pd.ArrowDtype):
        chunked = pa.array(column, from_pandas=True)
        array = chunked.combine_chunks() if isinstance(chunked, pa.ChunkedArray) else chunked
    elif is_objects(column.dtype):
        enforced = enforce_values(column.tolist(), spec.type, path, findings, required=spec.required)
        if len(findings) > before or not keep:
            return None
        return pa.array([_entries(value, spec.type) for value in enforced], to_arrow(spec.type))
    else:
        findings.append(Finding(Code.TYPE_MISMATCH, path, describe(spec.type), format_dtype(column.dtype)))
        return None
    return None if len(findings) > before else _widen(array, spec, path, findings)


def _unwrap(column: pd.Series) -> pd.Series:
    """Return a column of objects with the plain values of enumerations and UUIDs."""
    if column.dtype != object or not any(
        issubclass(form, (enum.Enum, uuid.UUID)) for form in set(map(type, column))
    ):
        return column
    return pd.Series([to_builtins(value) for value in column], dtype=object)


def _widen(array: pa.Array, spec: ColSpec, path: str, findings: list[Finding]) -> pa.Array | None:
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


def _with_exact_floats(column: pd.Series, dtype: DataType) -> pd.Series:
    """Return floats in an object column by their own dtype: a NaN is a value, beside nulls or alone."""
    if dtype is not DataType.double or not is_objects(column.dtype):
        return column
    types = set(map(type, column))
    if types == {float}:
        return pd.Series(column.to_numpy(dtype=np.float64))
    if types == {float, type(None)}:
        values = pa.array(column.tolist(), pa.float64(), from_pandas=False)
        return pd.Series(values, dtype=pd.ArrowDtype(pa.float64()))
    return column


def _entries(value: Any, dtype: Type) -> Any:
    """Return values as pyarrow takes them: maps as lists of entries, arrays of NumPy as lists."""
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
