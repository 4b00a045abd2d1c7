"""Readers for Arrow data, and for data of libraries that export Arrow, such as Polars."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import is_arrow, read_arrow
from sparksig.engine.arrays import decode_type
from sparksig.errors import ContractError, ConversionError


def exports_arrow(data: Any) -> bool:
    """Return whether data is Arrow data or can be exported as such; pandas data is excluded."""
    return not isinstance(data, (pd.DataFrame, pd.Series)) and is_arrow(data)


def read_column_or_table(data: Any) -> tuple[pa.Table | pa.ChunkedArray, str | None]:
    """Read Arrow data: a table, or a column and its name."""
    try:
        return read_arrow(data)
    except ConversionError as error:
        raise ContractError(error.message, error.findings) from None


def read_arrow_table(data: Any) -> pa.Table | pa.RecordBatch:
    """Read Arrow data as a table; a column becomes a table of one column."""
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return data
    table, name = read_column_or_table(data)
    return table if isinstance(table, pa.Table) else pa.table({"0" if name is None else name: table})


def split_batches(data: pa.Table | pa.RecordBatch) -> list[pa.RecordBatch]:
    """Return the batches of a table without joining them: pyarrow cannot join different dictionaries."""
    if isinstance(data, pa.RecordBatch):
        return [data]
    batches: list[pa.RecordBatch] = data.to_batches()
    if batches:
        return batches
    # decoded, because pyarrow cannot build some empty dictionary arrays
    empty = [pa.nulls(0, decode_type(field.type)) for field in data.schema]
    return [pa.RecordBatch.from_arrays(empty, names=data.schema.names)]
