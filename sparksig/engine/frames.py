"""Data of any kind -> engine -> what a model sees of it.

What a model sees of each type stands in :mod:`sparksig.engine.blocks`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.mlflow import from_mlflow
from sparksig.engine import plan as plans
from sparksig.engine.absent import Absent, build_missing_finding
from sparksig.engine.blocks import BLOCK, BLOCK_REQUIRED, Layout, build_labels, to_pandas
from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.python import to_frame, to_object_series
from sparksig.engine.series import column_to_arrow, format_dtype, is_name, is_objects
from sparksig.engine.sources import borrow_arrow, lends_arrow, split_batches
from sparksig.engine.texts import OBJECTS, TextDtype, TextDtypes
from sparksig.engine.values import are_texts, enforce_values
from sparksig.errors import HINTS, Code, ContractError, Finding, SignatureError, nearest, step
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, DataType, describe

__all__ = ["build_model_frame", "build_model_input", "enforce", "validate_schema"]

MISSING_INTEGERS = (
    "Handling Integers With Missing Values: pandas holds integers with missing values as float64; "
    "declare the column double, or give it the nullable dtype Int64"
)


def enforce(
    data: Any,
    contract: Schema | ModelSignature | Mapping[str, Any] | str | os.PathLike[str],
    *,
    strict_nulls: bool = False,
    extra: Literal["ignore", "forbid"] = "ignore",
    show_values: bool = False,
) -> Any:
    """``data`` as the schema declares it: its columns in order, each losslessly widened to its type.

    Names are case sensitive. A column that is optional and absent stays absent.

    Args:
        data: for columns: a pandas DataFrame or Series, an Arrow table, batch or array (or whatever lends
            its data as Arrow does, as Polars), a dictionary, list, scalar or array, read as
            :mod:`sparksig.engine.python` says. For tensors: NumPy arrays, SciPy matrices, dictionaries of
            them, frames and tables. It is never changed.
        contract: a schema; a signature, whose inputs are meant, as an object or as its
            dictionary; the path of a signature's JSON file or of a model directory, or DDL.
        strict_nulls: refuse nulls in required columns and properties of every type.
        extra: "ignore" drops columns, properties and tensors that the schema does not declare, "forbid"
            refuses them.
        show_values: let findings show some of the values concerned.

    Returns:
        An Arrow table or batch for Arrow's, else a DataFrame, which has the dtypes that a model sees and
        keeps its index; for tensors an array, a matrix, or a dictionary of arrays.

    Raises:
        ContractError: all that does not fit, each with its path; or ``contract`` names none.
        SignatureError: ``contract`` is none (SignatureTypeError), or ``extra`` is unknown.
        ModelError: the model directory that ``contract`` names is damaged, or has no signature.

    Example:
        >>> import pandas as pd
        >>> enforce(pd.DataFrame({"x": [1], "id": [7]}, dtype="int32"), Schema([ColSpec("double", "x")]))
             x
        0  1.0
        >>> from sparksig.types import Array
        >>> enforce([{"tags": ["a"]}], Schema([ColSpec(Array("string"), "tags")]))
          tags
        0  [a]
    """
    schema = _resolve_schema(from_mlflow(contract), data)
    if extra not in ("ignore", "forbid"):
        raise SignatureError(f"extra is 'ignore' or 'forbid', not {extra!r}")
    options = _Options(strict_nulls, extra, show_values, share=True)
    if schema.is_tensor_spec():
        from sparksig.engine.tensors import enforce_tensors

        return enforce_tensors(data, schema, forbid=extra == "forbid")
    if not lends_arrow(data):
        return _model_frame(data, schema, options)
    enforced = _apply_all(borrow_arrow(data), schema, options)
    return enforced[0] if isinstance(data, pa.RecordBatch) else pa.Table.from_batches(enforced)


def _resolve_schema(contract: Any, data: Any) -> Schema:
    """Resolve a contract; that of a table judges the types of Arrow data, which are widened, and no more."""
    if isinstance(contract, Schema):
        return contract
    from sparksig.tables.columns import arrow_columns
    from sparksig.tables.contract import resolve_contract
    from sparksig.tables.types import judge_types

    resolved = resolve_contract(contract)
    schema = resolved.require_schema()
    if resolved.is_table and lends_arrow(data):
        declared = resolve_contract(resolved, types="lossless", extra="allow")
        findings = judge_types(declared, arrow_columns(borrow_arrow(data).schema), fold=str)
        if findings:
            raise ContractError.of(f"the data does not fit the contract ({resolved.name})", findings)
    return schema


@dataclass(frozen=True)
class _Options:
    strict_nulls: bool = False
    extra: str = "ignore"
    show_values: bool = False
    share: bool = False  # a model gets blocks of its own, in the layout that it gets on Spark
    texts: TextDtypes = OBJECTS
    absent: Absent = "omit"


def build_model_input(
    data: Any,
    schema: Schema,
    *,
    strict_nulls: bool = False,
    texts: TextDtypes = OBJECTS,
    absent: Absent = "omit",
) -> Any:
    """Convert ``data`` to what a model sees of it, a frame of columns or tensors.

    Args:
        data: as :func:`enforce` takes it.
        schema: the model's inputs.
        strict_nulls: as :func:`enforce` takes it.
        texts: the dtypes of the model's text columns.
        absent: "null" adds a column of nulls for each optional column that the data lacks, "omit" leaves it
            out, "forbid" refuses the data.

    Raises:
        ContractError: as :func:`enforce`.
    """
    if schema.is_tensor_spec():
        from sparksig.engine.tensors import enforce_tensors

        return enforce_tensors(data, schema)
    return build_model_frame(data, schema, strict_nulls=strict_nulls, texts=texts, absent=absent)


def build_model_frame(
    data: Any,
    schema: Schema,
    *,
    strict_nulls: bool = False,
    texts: TextDtypes = OBJECTS,
    absent: Absent = "omit",
) -> pd.DataFrame:
    """Convert ``data`` to the frame that a model with columns receives; see :func:`build_model_input`."""
    return _model_frame(data, schema, _Options(strict_nulls, texts=texts, absent=absent))


def _model_frame(data: Any, schema: Schema, options: _Options) -> pd.DataFrame:
    if isinstance(data, pa.RecordBatch):  # as they come from Spark, many of them
        plan = plans.compile(schema, data.schema, options.strict_nulls, options.extra, options.absent)
        frame = to_pandas(plan.apply(data, show_values=options.show_values), _layout(plan, options.texts))
        return _relabelled(frame, schema, data.schema.names)
    if lends_arrow(data):
        table = borrow_arrow(data)
        enforced = _apply_all(table, schema, options)
        plan = plans.compile(schema, table.schema, options.strict_nulls, options.extra, options.absent)
        if len(enforced) > 1:  # several remain where 32-bit offsets cannot hold all text
            enforced = pa.Table.from_batches(enforced).combine_chunks().to_batches() or enforced[:1]
        frames = [to_pandas(batch, _layout(plan, options.texts)) for batch in enforced]
        frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        return _relabelled(frame, schema, table.schema.names)
    if isinstance(data, pd.DataFrame):
        return _enforce_frame(data, schema, options)
    if type(data).__module__.partition(".")[0] == "scipy":
        raise ContractError(f"a schema of columns takes no sparse matrix: the schema is {schema!r}"[:300])
    seen: list[Any] = []
    frame = to_frame(data, schema, seen)
    return _enforce_frame(frame, schema, options, seen or None)


def _relabelled(frame: pd.DataFrame, schema: Schema, labels: list[str]) -> pd.DataFrame:
    """Return a frame of unnamed columns with the labels of the table that it came from."""
    if not schema.has_input_names():
        frame.columns = _labels_seen(labels)
    return frame


@lru_cache(maxsize=256)
def _layout(plan: plans.Plan, texts: TextDtypes) -> Layout:
    return Layout.from_specs(plan.specs, texts)


def _enforce_frame(
    data: pd.DataFrame, schema: Schema, options: _Options, seen: list[Any] | None = None
) -> pd.DataFrame:
    if options.share and seen is None and (frame := _as_declared(data, schema, options)) is not None:
        return frame
    findings: list[Finding] = []
    positions = _positions(data, schema, options, findings, seen)
    columns: dict[Any, Any] = {}
    plain: dict[ColSpec, pa.Array] = {}
    for label, spec, position in zip(schema.input_names(), schema, positions):
        if position is None and (spec.required or options.absent != "null"):
            continue
        column = _nulls_column(data) if position is None else data.iloc[:, position]
        before = len(findings)
        if not isinstance(spec.type, DataType):
            columns[label] = _enforce_cells(column, spec, step(label), options, findings)
            continue
        if spec.type is DataType.string and _is_as_shown(column, label, spec, options):
            columns[label] = column.reset_index(drop=True)
            continue
        array = column_to_arrow(column, spec.type, step(label), findings)
        if len(findings) == before:
            plain[ColSpec(spec.type, label, spec.required)] = array
    frame = _enforce_plain(data, plain, schema, options, findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", plans.sort_findings(findings, schema))
    assert frame is not None
    if columns:
        present = [label for label in schema.input_names() if label in columns or label in frame]
        whole = {label: columns[label] if label in columns else frame[label] for label in present}
        frame = pd.DataFrame(whole, columns=build_labels(present), index=pd.RangeIndex(len(data)))
    if not schema.has_input_names():
        frame.columns = _labels_seen(data.columns)
    frame.index = data.index.copy()  # so that renaming it does not rename the caller's
    return frame


def _nulls_column(data: pd.DataFrame) -> pd.Series:
    """Return the column that stands for an absent one."""
    return pd.Series([None] * len(data), index=data.index, dtype=object)


def _is_as_shown(column: pd.Series, label: object, spec: ColSpec, options: _Options) -> bool:
    """Return whether a column of strings is an object column already, with None for missing strings."""
    if not is_objects(column.dtype) or options.texts.get(label) is not TextDtype.OBJECT:
        return False
    return are_texts(column.tolist(), nulls=not (spec.required and options.strict_nulls))


def _as_declared(data: pd.DataFrame, schema: Schema, options: _Options) -> pd.DataFrame | None:
    """The columns themselves, where all have the dtypes that a model sees; None where it takes a closer look.

    Nothing is looked at but dtypes, and the cells of text; nothing is copied under pandas' copy-on-write.
    """
    declared = _declared_dtypes(schema)
    if declared is None or (options.strict_nulls and schema.required_input_names()):
        return None
    names, dtypes = declared
    labels = data.columns.tolist()
    if set(map(type, labels)) - {str, int}:  # True and 1.0 equal a column's name 1, and are none
        return None
    unnamed = not schema.has_input_names()
    if labels == names or (unnamed and len(labels) == len(names)):
        chosen = data
    elif options.extra == "forbid" or not schema.has_input_names() or len(set(labels)) < len(labels):
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
    frame.columns = _labels_seen(data.columns) if unnamed else build_labels(names)
    frame.index = data.index.copy()  # so that renaming it does not rename the caller's
    return frame


def _labels_seen(labels: Any) -> pd.Index:
    """Return the labels that a model sees of unnamed columns: the data's own, or 0 to n-1."""
    held = list(labels)
    numbers = list(range(len(held)))
    if held in (numbers, [str(number) for number in numbers]):
        return pd.RangeIndex(len(held))
    return labels.copy() if isinstance(labels, pd.Index) else pd.Index(held)


_COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3
_SEEN_AS: dict[tuple[DataType, bool], np.dtype[Any]] = {
    **{(dtype, required): np.dtype(name) for dtype, name in BLOCK.items() for required in (True, False)},
    **{(dtype, True): np.dtype(name) for dtype, name in BLOCK_REQUIRED.items()},
    **{(DataType.string, required): np.dtype(object) for required in (True, False)},
}
"""The dtypes of columns that are what a model sees already; of objects the cells must be strings as well."""


@lru_cache(maxsize=64)
def _declared_dtypes(schema: Schema) -> tuple[list[Any], list[np.dtype[Any]]] | None:
    """The labels and dtypes of a frame that is as declared; None if some column needs more than its dtype."""
    dtypes = [_SEEN_AS.get((spec.type, spec.required)) for spec in schema]
    known = [dtype for dtype in dtypes if dtype is not None]
    return (schema.input_names(), known) if len(known) == len(schema) else None


def _enforce_plain(
    data: pd.DataFrame,
    plain: dict[ColSpec, pa.Array],
    schema: Schema,
    options: _Options,
    findings: list[Finding],
) -> pd.DataFrame | None:
    """The columns of scalar types, through the engine; each has a name here, if only its number."""
    if not plain:
        return pd.DataFrame(index=pd.RangeIndex(len(data)))
    names = [str(spec.name) for spec in plain]
    batch = pa.RecordBatch.from_arrays(list(plain.values()), names=names)
    try:
        plan = plans.compile(Schema(list(plain)), batch.schema, options.strict_nulls)
        if findings:  # what types decide comes first, as from Arrow
            return None
        return to_pandas(plan.apply(batch, show_values=options.show_values), _layout(plan, options.texts))
    except ContractError as error:
        findings += [
            _add_hint(finding, data, schema, has_names=index < HINTS)
            for index, finding in enumerate(error.findings)
        ]
        return None


def _positions(
    data: pd.DataFrame,
    schema: Schema,
    options: _Options,
    findings: list[Finding],
    seen: list[Any] | None = None,
) -> list[int | None]:
    """Where each declared column stands in a frame; None for what is not there.

    ``seen`` are the names that there were, if the frame was made without those that are not declared.
    """
    labels = list(data.columns)
    if not schema.has_input_names():
        if len(schema) == len(labels):
            return list(range(len(labels)))
        hint = "columns without names are taken by position: select exactly these"
        expected, found = (f"{n} column{'s' if n != 1 else ''}" for n in (len(schema), len(labels)))
        findings.append(Finding(Code.COLUMN_COUNT, "", expected, found, hint))
        return [None] * len(schema)
    held: dict[Any, list[int]] = {}
    for position, label in enumerate(labels):
        if is_name(label):
            held.setdefault(label, []).append(position)
    positions: list[int | None] = []
    for spec in schema:
        found_at = held.pop(spec.name, [])
        positions.append(found_at[0] if len(found_at) == 1 else None)
        if len(found_at) > 1:
            found = str(len(found_at))
            findings.append(Finding(Code.DUPLICATE_NAME, step(spec.name), "one column of that name", found))
        elif not found_at and (spec.required or options.absent == "forbid"):
            findings.append(build_missing_finding(spec, (seen or labels) if len(findings) < HINTS else ()))
    if options.extra == "forbid":
        names = {spec.name for spec in schema}
        findings += [
            Finding(Code.EXTRA_COLUMN, step(label), "no column beside the declared ones", "a column more")
            for label in seen or labels
            if not is_name(label) or label not in names
        ]
    return positions


def _enforce_cells(
    column: pd.Series, spec: ColSpec, path: str, options: _Options, findings: list[Finding]
) -> Any:
    """A column of a composite type, or of any."""
    if isinstance(spec.type, AnyType):
        if spec.required and options.strict_nulls and column.isna().any():
            missing = column.isna().to_numpy()
            rows = tuple(int(row) for row in np.flatnonzero(missing)[:FIRST_ROWS])
            count = int(missing.sum())
            findings.append(
                Finding(
                    Code.NULL_IN_REQUIRED,
                    path,
                    "Any without nulls",
                    "nulls",
                    "declare it optional",
                    count,
                    rows,
                )
            )
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
    if enforced is values and is_objects(dtype):
        return column.reset_index(drop=True)
    return to_object_series(enforced)


def _enforce_arrow_cells(
    column: pd.Series, spec: ColSpec, path: str, options: _Options, findings: list[Finding]
) -> Any:
    table = pa.table({"0" if spec.name is None else str(spec.name): pa.array(column, from_pandas=True)})
    try:
        return _model_frame(table, Schema([spec]), options).iloc[:, 0]
    except ContractError as error:
        # an unnamed column is called by its number, which is another in a schema of its own
        findings += [
            replace(one, path=path + one.path.removeprefix("0")) if spec.name is None else one
            for one in error.findings
        ]
        return column


# --- Arrow in, Arrow out --------------------------------------------------------------------------------


def _apply_all(data: pa.Table | pa.RecordBatch, schema: Schema, options: _Options) -> list[pa.RecordBatch]:
    """Each batch of a table through one plan; what is found in several is told once."""
    plan = plans.compile(schema, data.schema, options.strict_nulls, options.extra, options.absent)
    found: dict[Finding, Finding] = {}
    enforced, first_row = [], 0
    for batch in split_batches(data):
        try:
            enforced.append(plan.apply(batch, show_values=options.show_values, first_row=first_row))
        except ContractError as error:
            for one in error.findings:
                key = replace(one, count=None, rows=())
                before = found.get(key, replace(key, count=0))
                rows = (*before.rows, *one.rows)[:FIRST_ROWS]
                count = None if one.count is None else (before.count or 0) + one.count
                found[key] = replace(key, count=count, rows=rows)
        first_row += batch.num_rows
    if found:
        what = "batch" if isinstance(data, pa.RecordBatch) else "table"
        raise ContractError.of(f"a {what} of {first_row} rows breaks the contract", found.values())
    return enforced


def validate_schema(
    data: Any, expected_schema: Schema | ModelSignature | Mapping[str, Any] | str | os.PathLike[str]
) -> None:
    """Check ``data`` against a schema as :func:`enforce` does, and give nothing back.

    Args:
        data: what :func:`enforce` takes.
        expected_schema: the contract, as :func:`enforce` takes it.

    Raises:
        ContractError: as :func:`enforce`.

    Example:
        >>> import pandas as pd
        >>> schema = Schema([ColSpec("double", "x")])
        >>> validate_schema(pd.DataFrame({"x": [1.5]}), schema)
        >>> validate_schema(pd.DataFrame({"X": [1.5]}), schema)
        Traceback (most recent call last):
        sparksig.errors.ContractError: the data does not fit the schema: 1 finding
          - x: expected double, found no such column (did you mean 'X'? Names are case sensitive)
            [MISSING_COLUMN]
    """
    enforce(data, expected_schema)


def _add_hint(finding: Finding, frame: pd.DataFrame, schema: Schema, *, has_names: bool) -> Finding:
    """Return a finding with a hint that only the frame can give: a similar label, or integers with NaN."""
    if finding.code is Code.MISSING_COLUMN:
        return replace(finding, hint=nearest(finding.path.strip("`"), frame.columns if has_names else ()))
    wants_integer = finding.expected in ("integer", "long")
    if finding.code is not Code.TYPE_MISMATCH or not wants_integer or finding.found != "double":
        return finding
    names = schema.input_names() if not schema.has_input_names() else list(frame.columns)
    held = [position for position, name in enumerate(names) if step(name) == finding.path]
    missing = (
        held and isinstance(frame.dtypes.iloc[held[0]], np.dtype) and frame.iloc[:, held[0]].isna().any()
    )
    return replace(finding, hint=MISSING_INTEGERS) if missing else finding
