"""Enforcement of a schema on pandas frames."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.engine import plan as plans
from sparksig.engine.absent import build_missing_finding
from sparksig.engine.arrow_frames import Options, build_frame, build_layout, choose_labels
from sparksig.engine.blocks import BLOCK, BLOCK_REQUIRED, build_labels, to_pandas
from sparksig.engine.findings import Location, Rows, build_count_finding, format_null_hint, rename_findings
from sparksig.engine.python import to_object_series
from sparksig.engine.series import column_to_arrow, format_dtype, is_name, is_objects
from sparksig.engine.text_dtypes import TextDtype
from sparksig.engine.values import are_texts, enforce_values
from sparksig.errors import HINTS, Code, ContractError, Finding, quote
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, DataType, describe

MISSING_INTEGERS = (
    "declare the column double, or convert it to the nullable dtype Int64: pandas represents integers with "
    "missing values as float64 (Handling Integers With Missing Values)"
)


def enforce_frame(
    data: pd.DataFrame, schema: Schema, options: Options, data_labels: list[Any] | None = None
) -> pd.DataFrame:
    """Enforce a schema on a frame, and return one with the dtypes that a model receives.

    ``data_labels`` are the labels of the original data, if the frame has only its declared columns.
    """
    if options.share and data_labels is None:
        copy = _copy_if_declared(data, schema, options)
        if copy is not None:
            return copy
    findings: list[Finding] = []
    positions = _match_labels(data, schema, options, findings, data_labels)
    columns: dict[Any, Any] = {}
    plain: dict[ColSpec, pa.Array] = {}
    for label, spec, position in zip(schema.input_names(), schema, positions):
        if position is None and (spec.required or options.absent != "null"):
            continue
        column = _build_nulls(data) if position is None else data.iloc[:, position]
        before = len(findings)
        if not isinstance(spec.type, DataType):
            columns[label] = _enforce_cells(column, spec, quote(label), options, findings)
            continue
        if spec.type is DataType.string and _is_object_text(column, label, spec, options):
            columns[label] = column.reset_index(drop=True)
            continue
        array = column_to_arrow(column, spec.type, quote(label), findings)
        if len(findings) == before:
            plain[ColSpec(spec.type, label, spec.required)] = array
    frame = _enforce_plain(data, plain, schema, options, findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", plans.sort_findings(findings, schema))
    assert frame is not None
    if columns:
        present = [label for label in schema.input_names() if label in columns or label in frame]
        values = {label: columns[label] if label in columns else frame[label] for label in present}
        frame = pd.DataFrame(values, columns=build_labels(present), index=pd.RangeIndex(len(data)))
    if not schema.has_input_names():
        frame.columns = choose_labels(data.columns)
    frame.index = data.index.copy()  # a copy, as renaming a shared index would rename the caller's
    return frame


def _add_hint(finding: Finding, frame: pd.DataFrame, schema: Schema) -> Finding:
    """Add the advice for integers with NaN, which the original frame has as floats."""
    expects_integer = finding.expected in ("integer", "long")
    if finding.code is not Code.TYPE_MISMATCH or not expects_integer or finding.actual != "double":
        return finding
    names = schema.input_names() if not schema.has_input_names() else list(frame.columns)
    position = next((index for index, name in enumerate(names) if quote(name) == finding.path), None)
    if position is None or not isinstance(frame.dtypes.iloc[position], np.dtype):
        return finding
    return replace(finding, hint=MISSING_INTEGERS) if frame.iloc[:, position].isna().any() else finding


def _build_nulls(data: pd.DataFrame) -> pd.Series:
    """Return a column of nulls in place of an absent column."""
    return pd.Series([None] * len(data), index=data.index, dtype=object)


def _is_object_text(column: pd.Series, label: object, spec: ColSpec, options: Options) -> bool:
    """Return whether a text column already is an object column with None for missing strings."""
    if not is_objects(column.dtype) or options.texts.get(label) is not TextDtype.OBJECT:
        return False
    return are_texts(column.tolist(), nulls=not (spec.required and options.strict_nulls))


# --- frames that need no conversion --------------------------------------------------------------------

_COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3
_MODEL_DTYPES: dict[tuple[DataType, bool], np.dtype[Any]] = {
    **{(dtype, required): np.dtype(name) for dtype, name in BLOCK.items() for required in (True, False)},
    **{(dtype, True): np.dtype(name) for dtype, name in BLOCK_REQUIRED.items()},
    **{(DataType.string, required): np.dtype(object) for required in (True, False)},
}
"""The dtypes of columns that a model receives unchanged; the cells of object columns must be strings."""


def _copy_if_declared(data: pd.DataFrame, schema: Schema, options: Options) -> pd.DataFrame | None:
    """Return the columns themselves if all have the dtypes that a model receives; None if any may differ.

    Only dtypes and the cells of text columns are inspected. With pandas' copy-on-write nothing is copied.
    """
    declared = _find_declared_dtypes(schema)
    if declared is None or (options.strict_nulls and schema.required_input_names()):
        return None
    names, dtypes = declared
    labels = data.columns.tolist()
    if set(map(type, labels)) - {str, int}:  # True and 1.0 are equal to the name 1, but are not names
        return None
    is_unnamed = not schema.has_input_names()
    if labels == names or (is_unnamed and len(labels) == len(names)):
        chosen = data
    elif options.extra == "forbid" or is_unnamed or len(set(labels)) < len(labels):
        return None
    elif set(names) <= set(labels):
        chosen = data[names]
    else:
        return None
    if chosen.dtypes.tolist() != dtypes:
        return None
    texts = [index for index, spec in enumerate(schema) if spec.type is DataType.string]
    if not all(are_texts(chosen.iloc[:, index].tolist(), nulls=True) for index in texts):
        return None
    frame = chosen.copy(deep=not _COPY_ON_WRITE)
    frame.columns = choose_labels(data.columns) if is_unnamed else build_labels(names)
    frame.index = data.index.copy()  # a copy, as renaming a shared index would rename the caller's
    return frame


@lru_cache(maxsize=64)
def _find_declared_dtypes(schema: Schema) -> tuple[list[Any], list[np.dtype[Any]]] | None:
    """Return the labels and dtypes of a frame that needs no conversion; None if dtypes cannot decide that."""
    keys = [(spec.type, spec.required) for spec in schema]
    if any(key not in _MODEL_DTYPES for key in keys):
        return None
    return schema.input_names(), [_MODEL_DTYPES[key] for key in keys]


# --- columns -------------------------------------------------------------------------------------------


def _match_labels(
    data: pd.DataFrame,
    schema: Schema,
    options: Options,
    findings: list[Finding],
    data_labels: list[Any] | None,
) -> list[int | None]:
    """Return the position of each declared column in a frame; None for an absent column.

    ``data_labels`` are the labels of the original data, if the frame was built from declared columns only.
    """
    labels = list(data.columns)
    if not schema.has_input_names():
        if len(schema) == len(labels):
            return list(range(len(labels)))
        hint = "select exactly these: columns without names are matched by position"
        findings.append(build_count_finding(len(schema), len(labels), hint))
        return [None] * len(schema)
    positions_by_label: dict[Any, list[int]] = {}
    for position, label in enumerate(labels):
        if is_name(label):
            positions_by_label.setdefault(label, []).append(position)
    data_labels = data_labels or labels
    positions: list[int | None] = []
    for spec in schema:
        matches = positions_by_label.pop(spec.name, [])
        positions.append(matches[0] if len(matches) == 1 else None)
        if len(matches) > 1:
            actual = str(len(matches))
            findings.append(Finding(Code.DUPLICATE_NAME, quote(spec.name), "one column of that name", actual))
        elif not matches and (spec.required or options.absent == "forbid"):
            findings.append(build_missing_finding(spec, data_labels if len(findings) < HINTS else ()))
    if options.extra == "forbid":
        names = {spec.name for spec in schema}
        findings += [
            Finding(Code.EXTRA_COLUMN, quote(label), "only declared columns", "an undeclared column")
            for label in data_labels
            if not is_name(label) or label not in names
        ]
    return positions


def _enforce_plain(
    data: pd.DataFrame,
    plain: dict[ColSpec, pa.Array],
    schema: Schema,
    options: Options,
    findings: list[Finding],
) -> pd.DataFrame | None:
    """Enforce the columns of scalar types by a plan; unnamed columns have their positions as names."""
    if not plain:
        return pd.DataFrame(index=pd.RangeIndex(len(data)))
    names = [str(spec.name) for spec in plain]
    batch = pa.RecordBatch.from_arrays(list(plain.values()), names=names)
    try:
        plan = plans.compile(Schema(list(plain)), batch.schema, options.strict_nulls)
        if findings:  # report type findings before values are checked, as for Arrow data
            return None
        return to_pandas(
            plan.apply(batch, show_values=options.show_values), build_layout(plan, options.texts)
        )
    except ContractError as error:
        findings += [_add_hint(finding, data, schema) for finding in error.findings]
        return None


def _enforce_cells(
    column: pd.Series, spec: ColSpec, path: str, options: Options, findings: list[Finding]
) -> Any:
    """Enforce a column of a composite type, or of Any."""
    if isinstance(spec.type, AnyType):
        if spec.required and options.strict_nulls and column.isna().any():
            location = Location(Rows(), findings)
            nulls, hint = column.isna().to_numpy(), format_null_hint(spec.type)
            location.report(nulls, Code.NULL_IN_REQUIRED, path, "Any without nulls", "nulls", hint)
        return column.reset_index(drop=True)
    dtype: Any = column.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return _enforce_arrow_cells(column, spec, path, options, findings)
    if not is_objects(dtype):
        findings.append(Finding(Code.TYPE_MISMATCH, path, describe(spec.type), format_dtype(dtype)))
        return column
    values = column.tolist()
    enforced = enforce_values(
        values,
        spec.type,
        path,
        findings,
        required=spec.required,
        strict=options.strict_nulls,
        forbid=options.extra == "forbid",
        show_values=options.show_values,
    )
    if enforced is values:
        return column.reset_index(drop=True)
    return to_object_series(enforced)


def _enforce_arrow_cells(
    column: pd.Series, spec: ColSpec, path: str, options: Options, findings: list[Finding]
) -> Any:
    table = pa.table({"0" if spec.name is None else str(spec.name): pa.array(column, from_pandas=True)})
    try:
        return build_frame(table, Schema([spec]), options).iloc[:, 0]
    except ContractError as error:
        findings += rename_findings(error, spec, path)
        return column
