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

from sparksig.enforce import plan as plans
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, kind, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType

__all__ = ["enforce", "from_pandas", "model_frame", "to_pandas", "validate_schema"]

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
    batch = _as_batch(data)
    enforced = plans.compile(schema, batch.schema, strict_nulls).apply(batch)
    return pa.Table.from_batches([enforced]) if isinstance(data, pa.Table) else enforced


def model_frame(data: Any, schema: Schema, *, strict_nulls: bool = False) -> pd.DataFrame:
    """The frame that a model sees of ``data``; arguments and errors as of :func:`enforce`."""
    if isinstance(data, pd.DataFrame):
        batch = from_pandas(data, schema)
        try:
            plan = plans.compile(schema, batch.schema, strict_nulls)
        except ContractError as error:
            raise ContractError(
                error.message, [_with_integer_hint(f, data) for f in error.findings]
            ) from None
    else:
        batch = _as_batch(data)
        plan = plans.compile(schema, batch.schema, strict_nulls)
    frame = to_pandas(plan.apply(batch), plan.specs)
    if isinstance(data, pd.DataFrame):
        frame.index = data.index
    return frame


def _as_batch(data: Any) -> pa.RecordBatch:
    if isinstance(data, pa.RecordBatch):
        return data
    if isinstance(data, pa.Table):
        batches = data.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=data.schema)
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


def _with_integer_hint(finding: Finding, frame: pd.DataFrame) -> Finding:
    wants_integer = finding.expected in ("integer", "long")
    if finding.code is not Code.TYPE_MISMATCH or not wants_integer or finding.found != "double":
        return finding
    column = next((frame.iloc[:, i] for i, label in enumerate(frame) if step(label) == finding.path), None)
    missing = column is not None and column.isna().any()
    return replace(finding, hint=MISSING_INTEGERS) if missing else finding


# --- pandas -> Arrow ----------------------------------------------------------------------------------


def from_pandas(frame: pd.DataFrame, schema: Schema | None = None) -> pa.RecordBatch:
    """A frame as a record batch, without its index; only the columns a schema names, if one is given.

    NaN stays NaN in NumPy's float columns; None, NA and NaT become nulls. NumPy's own columns are not
    copied where Arrow can share their memory.

    Raises:
        ContractError: columns whose Python objects have no common Arrow type, each as a finding; or
            labels that are neither strings nor integers.
    """
    wanted = None
    if schema is not None and schema.has_input_names():
        wanted = {str(name) for name in schema.input_names()}
    arrays: list[pa.Array] = []
    names: list[str] = []
    findings: list[Finding] = []
    for position, label in enumerate(frame.columns):
        if wanted is not None and str(label) not in wanted:
            continue
        array = _from_column(frame.iloc[:, position], label, findings)
        if array is not None:
            arrays.append(array)
            names.append(str(label))
    if findings:
        raise ContractError.of("the frame has columns without a type", findings)
    if not arrays:  # a batch without columns would lose the number of rows: nothing can be declared of it
        return pa.RecordBatch.from_pylist([{}] * len(frame), schema=pa.schema([]))
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _from_column(column: pd.Series, label: Hashable, findings: list[Finding]) -> pa.Array | None:
    try:
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
            values = column.to_numpy()
            native = values.dtype.newbyteorder("=")
            array = pa.array(values.astype(native, copy=False), from_pandas=False)
        else:
            array = pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        hint = "make all its values one type, or convert the column on purpose"
        findings.append(Finding(Code.MIXED_TYPES, step(label), "values of one type", str(column.dtype), hint))
        return None
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


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
