"""pandas -> engine -> pandas, and what a model sees of a batch.

The dtype of every column of a model's frame is a function of its schema alone:

========================  ==================  ====================
declared                  required            optional
========================  ==================  ====================
boolean                   bool                boolean (pandas' nullable)
integer, long             int32, int64        Int32, Int64 (pandas' nullable)
float, double             float32, float64    float32, float64 (null is NaN)
string                    the string dtype of pandas 3; before, object (null is None)
binary                    object of bytes (null is None)
datetime                  datetime64[ns], naive (null is NaT)
========================  ==================  ====================
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.objects import from_objects, from_times
from sparksig.enforce import plan as plans
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, kind, nearest, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType

__all__ = ["dtype_name", "enforce", "from_pandas", "is_name", "model_frame", "to_pandas", "validate_schema"]

MISSING_INTEGERS = (
    "Handling Integers With Missing Values: pandas holds integers with missing values as float64; "
    "declare the column double, or give it the nullable dtype Int64"
)


def enforce(data: Any, schema: Schema, *, strict_nulls: bool = False) -> Any:
    """``data`` as the schema declares it: its columns in order, each losslessly widened to its type.

    Args:
        data: a pandas DataFrame, or a pyarrow RecordBatch or Table. It is never changed.
        schema: columns of scalar types.
        strict_nulls: refuse nulls in required columns of every type.

    Returns:
        The same kind as ``data``. A DataFrame has the dtypes that a model sees, and keeps its index.

    Raises:
        ContractError: every column that is missing, of a wrong type, or null where it must not be.
        UnsupportedError: other kinds of data, tensors and composite columns, which do not go yet.

    Example:
        >>> import pandas as pd
        >>> enforce(pd.DataFrame({"x": [1], "id": [7]}, dtype="int32"), Schema([ColSpec("double", "x")]))
             x
        0  1.0
    """
    if isinstance(data, pd.DataFrame):
        return model_frame(data, schema, strict_nulls=strict_nulls)
    enforced = [plans.compile(schema, b.schema, strict_nulls).apply(b) for b in _as_batches(data)]
    return pa.Table.from_batches(enforced) if isinstance(data, pa.Table) else enforced[0]


def model_frame(data: Any, schema: Schema, *, strict_nulls: bool = False) -> pd.DataFrame:
    """The frame that a model sees of ``data``; arguments and errors as of :func:`enforce`."""
    if not isinstance(data, pd.DataFrame):
        frames = [_to_frame(plans.compile(schema, b.schema, strict_nulls), b) for b in _as_batches(data)]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    findings: list[Finding] = []
    batch = from_pandas(data, schema, findings)
    try:
        plan = plans.compile(schema, batch.schema, strict_nulls)
    except ContractError as error:
        findings += [_with_hint(finding, data, schema) for finding in error.findings]
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    frame = _to_frame(plan, batch)
    frame.index = data.index.copy()  # so that renaming it does not rename the caller's
    return frame


def _to_frame(plan: plans.Plan, batch: pa.RecordBatch) -> pd.DataFrame:
    return to_pandas(plan.apply(batch), plan.specs)


def _as_batches(data: Any) -> list[pa.RecordBatch]:
    if isinstance(data, pa.RecordBatch):
        return [data]
    if isinstance(data, pa.Table):
        return data.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=data.schema)]
    raise UnsupportedError(
        f"enforce takes a pandas DataFrame, or a pyarrow RecordBatch or Table so far; not yet {kind(data)}"
    )


def validate_schema(data: Any, expected_schema: Schema) -> None:
    """Check ``data`` against a schema as :func:`enforce` does, and give nothing back.

    Raises:
        ContractError: as :func:`enforce`.

    Example:
        >>> import pandas as pd
        >>> validate_schema(pd.DataFrame({"x": [1.5]}), Schema([ColSpec("double", "x")]))
    """
    enforce(data, expected_schema)


def _with_hint(finding: Finding, frame: pd.DataFrame, schema: Schema) -> Finding:
    """The finding with a hint that only the frame can give: a near label, or integers with NaN."""
    if finding.code is Code.MISSING_COLUMN:
        return replace(finding, hint=nearest(finding.path.strip("`"), frame.columns))
    wants_integer = finding.expected in ("integer", "long")
    if finding.code is not Code.TYPE_MISMATCH or not wants_integer or finding.found != "double":
        return finding
    names = schema.input_names() if not schema.has_input_names() else list(frame.columns)
    held = [position for position, name in enumerate(names) if step(name) == finding.path]
    missing = (
        held and isinstance(frame.dtypes.iloc[held[0]], np.dtype) and frame.iloc[:, held[0]].isna().any()
    )
    return replace(finding, hint=MISSING_INTEGERS) if missing else finding


# --- pandas -> Arrow ----------------------------------------------------------------------------------


def from_pandas(frame: pd.DataFrame, schema: Schema, findings: list[Finding]) -> pa.RecordBatch:
    """The columns of a frame that a schema names (all, if it has no names) as a batch, without the index.

    NaN stays NaN in NumPy's float columns; None, NA and NaT become nulls. NumPy's own columns are not
    copied where Arrow can share their memory. A label is a column's name if it is the same string, or the
    same integer. A column whose values have no common type is added to ``findings``, and stands in the
    batch as nulls of the declared type, so that the others are judged as well.
    """
    unnamed = list(schema.input_types())
    wanted = schema.input_dict() if schema.has_input_names() else {}
    arrays: list[pa.Array] = []
    names: list[str] = []
    for position, label in enumerate(frame.columns):
        if wanted:
            if not is_name(label) or label not in wanted:
                continue
            target = wanted[label].type
        else:
            target = unnamed[position] if position < len(unnamed) else None
        name = step(label if wanted else position)
        arrays.append(_from_column(frame.iloc[:, position], target, name, findings))
        names.append(str(label))
    if not arrays:
        return pa.RecordBatch.from_arrays([pa.nulls(len(frame))], names=[""]).select([])
    return pa.RecordBatch.from_arrays(arrays, names=names)


def is_name(label: Hashable) -> bool:
    """Whether a label can be a column's name: a string or an integer."""
    return isinstance(label, (str, int, np.integer)) and not isinstance(label, bool)


def _from_column(column: pd.Series, target: Any, path: str, findings: list[Finding]) -> pa.Array:
    dtype: Any = column.dtype
    code, expected, hint = (
        Code.UNSUPPORTED_TYPE,
        "a type that a signature has",
        "convert it on purpose, or leave it out",
    )
    array = None
    if isinstance(dtype, pd.CategoricalDtype) and is_objects(dtype.categories.dtype):
        column = column.astype(object)
    if is_objects(column.dtype):
        array = from_objects(column, target)
        code, expected = Code.MIXED_TYPES, "values of one type"
        hint = "make all its values one type, or convert the column on purpose"
    else:
        try:
            array = _typed(column)
        except UnicodeEncodeError:
            code, expected, hint = Code.INVALID_VALUE, "Unicode text", "some text has half a surrogate pair"
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            array = None
    if array is None:
        findings.append(Finding(code, path, expected, dtype_name(dtype), hint))
        return pa.nulls(len(column), to_arrow(target) if isinstance(target, DataType) else pa.null())
    return array


def is_objects(dtype: Any) -> bool:
    """Whether a dtype is that of Python objects."""
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _typed(column: pd.Series) -> pa.Array:
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        values = column.to_numpy()
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False), from_pandas=False)
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        return from_times(column)
    array = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def dtype_name(dtype: Any) -> str:
    """A pandas dtype's name, without the values that some hold (a sparse one's fill value)."""
    return f"Sparse[{dtype.subtype}]" if isinstance(dtype, pd.SparseDtype) else str(dtype)


# --- Arrow -> what a model sees ------------------------------------------------------------------------

_BLOCK = {DataType.float: "float32", DataType.double: "float64"}
_BLOCK_REQUIRED = {DataType.boolean: "bool", DataType.integer: "int32", DataType.long: "int64"}


def to_pandas(batch: pa.RecordBatch, specs: tuple[ColSpec, ...]) -> pd.DataFrame:
    """The frame that a model sees of a batch which a plan has passed.

    Columns of one plain NumPy dtype are copied once, into one column-major block; otherwise pandas
    gathers them into one block per dtype, likewise with one copy. The frame never shares memory with
    the batch.

    Args:
        batch: what :meth:`Plan.apply` gave.
        specs: :attr:`Plan.specs` of that plan.
    """
    names: list[Any] = [index if spec.name is None else spec.name for index, spec in enumerate(specs)]
    dtypes = {_block_dtype(spec) for spec in specs}
    only = next(iter(dtypes)) if len(dtypes) == 1 else None
    if only is not None:
        block = np.empty((len(specs), batch.num_rows), dtype=only)
        for row, column in zip(block, batch.columns):
            row[:] = column.to_numpy(zero_copy_only=False)
        return pd.DataFrame(block.T, columns=_labels(names), copy=False)
    if not specs:
        return pd.DataFrame(index=pd.RangeIndex(batch.num_rows))
    columns = {name: _to_column(array, spec) for name, array, spec in zip(names, batch.columns, specs)}
    return pd.DataFrame(columns, columns=_labels(names), index=pd.RangeIndex(batch.num_rows))


def _labels(names: list[Any]) -> pd.Index:
    return pd.RangeIndex(len(names)) if names == list(range(len(names))) else pd.Index(names)


def _block_dtype(spec: ColSpec) -> str | None:
    assert isinstance(spec.type, DataType)  # the plan takes no others
    return _BLOCK.get(spec.type) or (_BLOCK_REQUIRED.get(spec.type) if spec.required else None)


def _to_column(array: pa.Array, spec: ColSpec) -> Any:
    if spec.type in _BLOCK_REQUIRED and not spec.required:
        return _nullable(array, spec.type)
    if spec.type is DataType.string:
        return array.to_pandas()
    return array.to_numpy(zero_copy_only=False)


def _nullable(array: pa.Array, dtype: DataType) -> Any:
    mask = array.is_null().to_numpy(zero_copy_only=False)
    filled = array.fill_null(False if dtype is DataType.boolean else 0) if array.null_count else array
    values = filled.to_numpy(zero_copy_only=False)
    if dtype is DataType.boolean:
        return pd.arrays.BooleanArray(values, mask, copy=True)
    return pd.arrays.IntegerArray(values, mask, copy=True)
