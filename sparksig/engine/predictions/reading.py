"""Conversion of predicted columns to frames: names, positions and rows are checked, types are not."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import is_arrow, read_arrow
from sparksig.convert.instances import get_fields, is_sequence
from sparksig.convert.objects import is_sparse, to_series
from sparksig.engine.findings import build_count_finding
from sparksig.engine.python import to_frame
from sparksig.engine.series import is_name
from sparksig.errors import (
    Code,
    ContractError,
    ConversionError,
    Finding,
    PredictionError,
    SignatureError,
    name_type,
    quote,
)
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, DataType, Map, Object


def read_predictions(prediction: Any, outputs: Schema, rows: int | None) -> pd.DataFrame:
    """Return a prediction as a frame with the declared columns in any order, without judging their types.

    Example:
        >>> read_predictions([{"label": "hot"}], Schema([ColSpec("string", "label")]), 1)
          label
        0   hot
    """
    findings: list[Finding] = []
    frame = read_frame(prediction, outputs, rows, findings)
    if frame is None or findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return frame


def read_frame(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding]
) -> pd.DataFrame | None:
    """Read a prediction as a frame; return None if a problem was added to ``findings``."""
    if isinstance(prediction, pd.DataFrame):
        return prediction
    if isinstance(prediction, (pd.Index, pd.api.extensions.ExtensionArray)):
        prediction = to_series(prediction)
    elif isinstance(prediction, pd.Series):
        pass
    elif is_arrow(prediction):
        try:
            prediction = _from_arrow(prediction)
        except ConversionError as error:
            findings.append(Finding(Code.TYPE_MISMATCH, "", _FORMATS, name_type(prediction), error.message))
            return None
        if isinstance(prediction, pd.DataFrame):
            return prediction
    elif is_sequence(prediction) and get_fields(prediction) is None:
        prediction = list(prediction)
    elif (by_name := get_fields(prediction)) is not None:
        prediction = by_name
    elif not _is_readable(prediction, outputs):
        findings.append(Finding(Code.TYPE_MISMATCH, "", _FORMATS, name_type(prediction)))
        return None
    if (names := _choose_names(prediction, outputs)) is not None:
        return _read_by_name(prediction, outputs, names, rows, findings)
    return _read_by_position(prediction, outputs, rows, findings)


_FORMATS = "an array, a Series, a list, a dictionary, a DataFrame, or a value for a single row"
_SCALARS = (str, bytes, bytearray, bool, np.bool_, numbers.Number, np.generic, datetime.date)


def _is_readable(prediction: Any, outputs: Schema) -> bool:
    """Return whether a prediction is an array, a dictionary, or a value that a single row can have."""
    if prediction is None or is_sparse(prediction):
        return False
    if isinstance(prediction, (np.ndarray, Mapping)):
        return True
    if isinstance(prediction, (set, frozenset, Iterator)):
        return False
    only = outputs.inputs[0].type
    return isinstance(prediction, _SCALARS) or (len(outputs) == 1 and not isinstance(only, DataType))


def _from_arrow(prediction: Any) -> pd.DataFrame | pd.Series:
    data, _ = read_arrow(prediction)
    if not isinstance(data, pa.Table):
        return pd.Series(data, dtype=pd.ArrowDtype(data.type))
    columns = [pd.Series(column, dtype=pd.ArrowDtype(column.type)) for column in data.columns]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(data.num_rows))
    frame.columns = pd.Index(data.column_names, dtype=object)
    return frame


# --- by name ----------------------------------------------------------------------------------------------


def _choose_names(prediction: Any, outputs: Schema) -> list[Any] | None:
    """Return the names by which a prediction is read; None if it is read by position.

    A dictionary, or a list of dictionaries, is read by name, unless it is the value of the only column.
    Unnamed columns are read by the names of the prediction, if their number is equal.
    """
    if isinstance(prediction, Mapping):
        keys = list(prediction)
    elif isinstance(prediction, list) and prediction and _are_records(prediction):
        records = [item if isinstance(item, Mapping) else get_fields(item) or {} for item in prediction]
        keys = list(dict.fromkeys(key for record in records for key in record))
    else:
        return None
    only = outputs.inputs[0]
    accepts_mapping = len(outputs) == 1 and isinstance(only.type, (Object, Map, AnyType))
    if outputs.has_input_names():
        is_value = accepts_mapping and only.name not in keys and (bool(keys) or only.required)
        return None if is_value else outputs.input_names()
    if accepts_mapping or len(keys) != len(outputs) or not all(map(is_name, keys)):
        return None
    return keys


def _are_records(values: Sequence[Any]) -> bool:
    if set(map(type, values)) == {dict}:
        return True
    return all(isinstance(value, Mapping) or get_fields(value) is not None for value in values)


def _read_by_name(
    prediction: Any, outputs: Schema, names: list[Any], rows: int | None, findings: list[Finding]
) -> pd.DataFrame | None:
    keys: list[Any] = []
    frame = None
    try:
        specs = [ColSpec(spec.type, name, spec.required) for spec, name in zip(outputs, names)]
        frame = to_frame(prediction, Schema(specs), keys, rows)
    except (ContractError, SignatureError) as error:
        findings += _get_findings(error)
    hint = "return only the declared columns, or declare this one"
    findings += [
        Finding(Code.UNKNOWN_KEY, quote(key), "only declared columns", "an undeclared column", hint)
        for key in keys
        if key not in names or not is_name(key)
    ]
    return frame


# --- by position ------------------------------------------------------------------------------------------


def _read_by_position(
    prediction: Any, outputs: Schema, rows: int | None, findings: list[Finding]
) -> pd.DataFrame | None:
    expected = f"{len(outputs)} column{'s' if len(outputs) > 1 else ''}"
    is_rank = isinstance(prediction, np.ndarray) and prediction.ndim > 1
    try:
        frame = to_frame(prediction, Schema([ColSpec(spec.type) for spec in outputs]), None, rows)
    except ContractError as error:
        if is_rank:
            actual = f"an array of rank {prediction.ndim}"
            findings += [
                replace(finding, expected=expected, actual=actual) for finding in _get_findings(error)
            ]
        else:
            findings += _get_findings(error)
        return None
    if frame.shape[1] != len(outputs):
        findings.append(build_count_finding(len(outputs), frame.shape[1]))
        return None
    frame.columns = pd.Index(outputs.input_names())
    return frame


def _get_findings(error: ContractError | SignatureError) -> list[Finding]:
    findings = error.findings if isinstance(error, ContractError) else ()
    return list(findings) or [Finding(Code.TYPE_MISMATCH, "", _FORMATS, error.message)]
