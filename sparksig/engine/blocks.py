"""Conversion of Arrow batches to the frames that models receive.

The dtype of every column of a model's frame depends on the schema alone:

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
Array of float, double    object of NumPy arrays (a null element is NaN) from Arrow, else the cells unchanged
other composites          object of lists and dictionaries of Python values
Any                       unchanged
========================  ==================  ==================================

Cells from pandas or Python that already have the declared type are passed on without a copy, lists as lists
and arrays as arrays: the model then receives the caller's own lists and arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.engine.arrays import get_null_mask, measure_lists
from sparksig.engine.python import to_object_series
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.engine.texts import build_text_column
from sparksig.errors import ContractError
from sparksig.schema import ColSpec
from sparksig.types import AnyType, Array, DataType, Type

BLOCK = {DataType.float: "float32", DataType.double: "float64"}
BLOCK_REQUIRED = {DataType.boolean: "bool", DataType.integer: "int32", DataType.long: "int64"}


@dataclass(frozen=True)
class Layout:
    """The layout of a model's frames, computed once for a sequence of columns."""

    specs: tuple[ColSpec, ...]
    labels: pd.Index  # the labels of the columns in a frame
    block_dtype: str | None  # the plain NumPy dtype that all columns share, if they do
    texts: TextDtypes = OBJECTS

    @classmethod
    def from_specs(cls, specs: tuple[ColSpec, ...], texts: TextDtypes = OBJECTS) -> Layout:
        """Build the layout for columns."""
        names: list[Any] = [index if spec.name is None else spec.name for index, spec in enumerate(specs)]
        dtypes = {_find_block_dtype(spec) for spec in specs}
        return cls(specs, build_labels(names), next(iter(dtypes)) if len(dtypes) == 1 else None, texts)


def to_pandas(batch: pa.RecordBatch, layout: Layout) -> pd.DataFrame:
    """Convert a batch to the frame that a model receives.

    Columns that share one plain NumPy dtype are copied once, into one column-major block. Otherwise pandas
    gathers them into one block per dtype, also with one copy. The frame never shares memory with the batch.
    """
    specs, labels = layout.specs, layout.labels.view()  # a view, because a model may name its index
    if layout.block_dtype is not None:
        block = np.empty((len(specs), batch.num_rows), dtype=layout.block_dtype)
        for row, column in zip(block, batch.columns):
            row[:] = column.to_numpy(zero_copy_only=False)
        return pd.DataFrame(block.T, columns=labels, copy=False)
    if not specs:
        return pd.DataFrame(index=pd.RangeIndex(batch.num_rows))
    columns = [
        build_text_column(array, layout.texts.get(label))
        if spec.type is DataType.string
        else _to_column(array, spec)
        for array, spec, label in zip(batch.columns, specs, layout.labels)
    ]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(batch.num_rows))
    frame.columns = labels
    return frame


def build_labels(names: list[Any]) -> pd.Index:
    """Build the labels of a frame from the names of its columns."""
    return pd.RangeIndex(len(names)) if names == list(range(len(names))) else pd.Index(names)


def _find_block_dtype(spec: ColSpec) -> str | None:
    if not isinstance(spec.type, DataType):
        return None
    return BLOCK.get(spec.type) or (BLOCK_REQUIRED.get(spec.type) if spec.required else None)


def _to_column(array: pa.Array, spec: ColSpec) -> Any:
    if not isinstance(spec.type, DataType):
        return to_object_series(_to_cells(array, spec.type))
    if spec.type in BLOCK_REQUIRED and not spec.required:
        return _to_nullable(array, spec.type)
    return array.to_numpy(zero_copy_only=False)


def _to_nullable(array: pa.Array, dtype: DataType) -> Any:
    mask = get_null_mask(array)
    filled = array.fill_null(False if dtype is DataType.boolean else 0) if array.null_count else array
    values = filled.to_numpy(zero_copy_only=False)
    if dtype is DataType.boolean:
        return pd.arrays.BooleanArray(values, mask, copy=True)
    return pd.arrays.IntegerArray(values, mask, copy=True)


def _to_cells(array: pa.Array, dtype: Type) -> list[Any]:
    """Convert an array to one Python object for each row; an Array of floats becomes a NumPy array."""
    if isinstance(dtype, AnyType):
        try:
            return to_python(array)
        except (OverflowError, ValueError, pa.ArrowException) as error:
            raise ContractError(
                f"a column of Any, {array.type} in Arrow, has values that Python cannot represent "
                f"({type(error).__name__}): cast it explicitly"
            ) from None
    if isinstance(dtype, Array) and dtype.dtype in BLOCK and not pa.types.is_null(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=False).copy()
        return _slice_lists(flat, array)
    return to_python(array)


def to_python(array: pa.Array) -> list[Any]:
    """Convert an array of any type to Python values: scalars, lists, and dictionaries for structs and maps.

    Example:
        >>> to_python(pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())))
        [{'k': 1}, None]
    """
    if pa.types.is_struct(array.type):
        names = [array.type.field(index).name for index in range(array.type.num_fields)]
        parts = [to_python(part) for part in array.flatten()]
        rows = [dict(zip(names, row)) for row in zip(*parts)] if parts else [{} for _ in range(len(array))]
        return _fill_nulls(rows, array)
    if pa.types.is_map(array.type):
        first = array.offsets[0].as_py() if len(array) else 0
        count = (array.offsets[-1].as_py() if len(array) else 0) - first
        keys, items = (to_python(part.slice(first, count)) for part in (array.keys, array.items))
        bounds = (array.offsets.to_numpy() - first).tolist()
        rows = [dict(zip(keys[a:b], items[a:b])) for a, b in pairwise(bounds)]
        return _fill_nulls(rows, array)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _slice_lists(to_python(array.flatten()), array)
    values: list[Any] = array.to_pylist()
    return values


def _slice_lists(flat: Any, array: pa.Array) -> list[Any]:
    lengths = measure_lists(array)
    ends = np.cumsum(lengths)
    return _fill_nulls([flat[a:b] for a, b in zip((ends - lengths).tolist(), ends.tolist())], array)


def _fill_nulls(values: list[Any], array: pa.Array) -> list[Any]:
    if array.null_count:
        for row in np.flatnonzero(get_null_mask(array)):
            values[row] = None
    return values
