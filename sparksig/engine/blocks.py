"""Arrow -> what a model sees.

The dtype of every column of a model's frame is a function of its schema alone:

========================  ==================  ==================================
declared                  required            optional
========================  ==================  ==================================
boolean                   bool                boolean (pandas' nullable)
integer, long             int32, int64        Int32, Int64 (pandas' nullable)
float, double             float32, float64    float32, float64 (null is NaN)
string                    object of Python strings (null is None), unless the model's own example or
                          categories show another dtype: :mod:`sparksig.engine.texts`
binary                    object of bytes (null is None)
datetime                  datetime64[ns], naive (null is NaT)
Array of float, double    object of NumPy arrays (null in one is NaN) from Arrow, else as the cells are
other composites          object of lists and dictionaries of Python values
Any                       as it came
========================  ==================  ==================================

Cells that come from pandas or Python and are as declared already are handed on themselves, lists as lists and
arrays as arrays: their containers are then the caller's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.python import as_series
from sparksig.engine.texts import OBJECTS, TextDtypes, text_column
from sparksig.errors import ContractError
from sparksig.schema import ColSpec
from sparksig.types import AnyType, Array, DataType, Type

__all__ = ["BLOCK", "BLOCK_REQUIRED", "Layout", "labels_of", "to_pandas", "to_python"]

BLOCK = {DataType.float: "float32", DataType.double: "float64"}
BLOCK_REQUIRED = {DataType.boolean: "bool", DataType.integer: "int32", DataType.long: "int64"}


@dataclass(frozen=True)
class Layout:
    """What all frames of some columns have in common.

    Attributes:
        specs: the columns, in order.
        labels: what they are called in a frame.
        only: the one plain NumPy dtype that all of them have; None if there are several, or other ones.
        texts: the dtypes of text columns.
    """

    specs: tuple[ColSpec, ...]
    labels: pd.Index
    only: str | None
    texts: TextDtypes = OBJECTS

    @staticmethod
    def of(specs: tuple[ColSpec, ...], texts: TextDtypes = OBJECTS) -> Layout:
        """The layout of columns."""
        names: list[Any] = [index if spec.name is None else spec.name for index, spec in enumerate(specs)]
        dtypes = {_block_dtype(spec) for spec in specs}
        return Layout(specs, labels_of(names), next(iter(dtypes)) if len(dtypes) == 1 else None, texts)


def to_pandas(batch: pa.RecordBatch, layout: Layout) -> pd.DataFrame:
    """The frame that a model sees of a batch which a plan has passed.

    Columns of one plain NumPy dtype are copied once, into one column-major block; otherwise pandas
    gathers them into one block per dtype, likewise with one copy. The frame never shares memory with
    the batch.

    Args:
        batch: what :meth:`Plan.apply` gave.
        layout: of that plan.
    """
    specs, labels = layout.specs, layout.labels.view()  # a model may name its labels
    if layout.only is not None:
        block = np.empty((len(specs), batch.num_rows), dtype=layout.only)
        for row, column in zip(block, batch.columns):
            row[:] = column.to_numpy(zero_copy_only=False)
        return pd.DataFrame(block.T, columns=labels, copy=False)
    if not specs:
        return pd.DataFrame(index=pd.RangeIndex(batch.num_rows))
    columns = [
        text_column(array, layout.texts.get(label))
        if spec.type is DataType.string
        else _to_column(array, spec)
        for array, spec, label in zip(batch.columns, specs, layout.labels)
    ]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(batch.num_rows))
    frame.columns = labels
    return frame


def labels_of(names: list[Any]) -> pd.Index:
    """Names as the labels of a frame."""
    return pd.RangeIndex(len(names)) if names == list(range(len(names))) else pd.Index(names)


def _block_dtype(spec: ColSpec) -> str | None:
    if not isinstance(spec.type, DataType):
        return None
    return BLOCK.get(spec.type) or (BLOCK_REQUIRED.get(spec.type) if spec.required else None)


def _to_column(array: pa.Array, spec: ColSpec) -> Any:
    if not isinstance(spec.type, DataType):
        return as_series(_cells(array, spec.type))
    if spec.type in BLOCK_REQUIRED and not spec.required:
        return _nullable(array, spec.type)
    return array.to_numpy(zero_copy_only=False)


def _nullable(array: pa.Array, dtype: DataType) -> Any:
    mask = array.is_null().to_numpy(zero_copy_only=False)
    filled = array.fill_null(False if dtype is DataType.boolean else 0) if array.null_count else array
    values = filled.to_numpy(zero_copy_only=False)
    if dtype is DataType.boolean:
        return pd.arrays.BooleanArray(values, mask, copy=True)
    return pd.arrays.IntegerArray(values, mask, copy=True)


def _cells(array: pa.Array, dtype: Type) -> list[Any]:
    """One Python value for each row: of arrays of floats a NumPy array, by one copy of all their values."""
    if isinstance(dtype, AnyType):
        try:
            return to_python(array)
        except (OverflowError, ValueError, pa.ArrowException) as error:
            raise ContractError(
                f"a column of Any, {array.type} in Arrow, holds values that Python has not "
                f"({type(error).__name__}): cast it explicitly"
            ) from None
    if isinstance(dtype, Array) and dtype.dtype in BLOCK and not pa.types.is_null(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=False).copy()
        return _sliced(flat, array)
    return to_python(array)


def to_python(array: pa.Array) -> list[Any]:
    """The values of an array of any type as Python's: lists, dictionaries (of maps, too), scalars.

    Example:
        >>> to_python(pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())))
        [{'k': 1}, None]
    """
    if pa.types.is_struct(array.type):
        names = [array.type.field(index).name for index in range(array.type.num_fields)]
        parts = [to_python(part) for part in array.flatten()]
        rows = [dict(zip(names, row)) for row in zip(*parts)] if parts else [{} for _ in range(len(array))]
        return _blanked(rows, array)
    if pa.types.is_map(array.type):
        first = array.offsets[0].as_py() if len(array) else 0
        count = (array.offsets[-1].as_py() if len(array) else 0) - first
        keys, items = (to_python(part.slice(first, count)) for part in (array.keys, array.items))
        bounds = (array.offsets.to_numpy() - first).tolist()
        rows = [dict(zip(keys[a:b], items[a:b])) for a, b in pairwise(bounds)]
        return _blanked(rows, array)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _sliced(to_python(array.flatten()), array)
    values: list[Any] = array.to_pylist()
    return values


def _sliced(flat: Any, array: pa.Array) -> list[Any]:
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    return _blanked([flat[a:b] for a, b in zip((ends - lengths).tolist(), ends.tolist())], array)


def _blanked(values: list[Any], array: pa.Array) -> list[Any]:
    if array.null_count:
        for row in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
            values[row] = None
    return values
