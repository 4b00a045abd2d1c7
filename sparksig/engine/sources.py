"""Data of Arrow, or of a library that lends its data as Arrow, on its way into the engine."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import is_arrow, read_arrow, transform_arrow
from sparksig.errors import ContractError, ConversionError

__all__ = ["borrow_arrow", "lends_arrow", "read_column_or_table", "split_batches"]


def lends_arrow(data: Any) -> bool:
    """Return whether data is Arrow's, or lent as Arrow; pandas' own is neither."""
    return not isinstance(data, (pd.DataFrame, pd.Series)) and is_arrow(data)


def read_column_or_table(data: Any) -> tuple[pa.Table | pa.ChunkedArray, str | None]:
    """Read data that is lent as Arrow: a table, or a column and its name.

    Raises:
        ContractError: it cannot be read.
    """
    try:
        return read_arrow(data)
    except ConversionError as error:
        raise ContractError(error.message, error.findings) from None


def borrow_arrow(data: Any) -> pa.Table | pa.RecordBatch:
    """Read data that is lent as Arrow as a table; a column becomes a table of one column.

    Raises:
        ContractError: it cannot be read.
    """
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return data
    table, name = read_column_or_table(data)
    return table if isinstance(table, pa.Table) else pa.table({"0" if name is None else name: table})


def split_batches(data: pa.Table | pa.RecordBatch) -> list[pa.RecordBatch]:
    """Return the batches of a table as they are: pyarrow joins no dictionaries that differ."""
    if isinstance(data, pa.RecordBatch):
        return [data]
    batches: list[pa.RecordBatch] = data.to_batches()
    if batches:
        return batches
    empty = [pa.nulls(0, _decode_type(field.type)) for field in data.schema]
    return [pa.RecordBatch.from_arrays(empty, names=data.schema.names)]


def _decode_type(dtype: pa.DataType) -> pa.DataType:
    """Replace dictionaries by the types of their values: pyarrow makes no empty array of some."""
    return transform_arrow(
        dtype, lambda leaf: _decode_type(leaf.value_type) if pa.types.is_dictionary(leaf) else leaf
    )
