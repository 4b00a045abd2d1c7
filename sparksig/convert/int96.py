"""Timestamps that Parquet files store as INT96."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa


def mark_int96(schema: pa.Schema, physical: Sequence[str]) -> pa.Schema:
    """Return the schema of a Parquet file with the time zone UTC for timestamps that are stored as INT96.

    Spark stores TIMESTAMP as INT96, and reads INT96 as TIMESTAMP; pyarrow reads it without a time zone.

    Example:
        >>> mark_int96(pa.schema([("a", pa.timestamp("us")), ("b", pa.timestamp("us"))]), ["INT96", "INT64"])
        a: timestamp[us, tz=UTC]
        b: timestamp[us]
    """
    leaves = iter(physical)
    types = [_mark_leaves(part.type, leaves) for part in schema]
    return pa.schema([part.with_type(dtype) for part, dtype in zip(schema, types)])


def _mark_leaves(dtype: pa.DataType, leaves: Iterator[str]) -> pa.DataType:
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        return pa.struct([part.with_type(_mark_leaves(part.type, leaves)) for part in parts])
    if pa.types.is_map(dtype):
        key = _mark_leaves(dtype.key_type, leaves)
        return pa.map_(key, dtype.item_field.with_type(_mark_leaves(dtype.item_type, leaves)))
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        item = dtype.value_field.with_type(_mark_leaves(dtype.value_type, leaves))
        return pa.list_(item) if pa.types.is_list(dtype) else pa.large_list(item)
    if pa.types.is_fixed_size_list(dtype):
        _mark_leaves(dtype.value_type, leaves)
        return dtype
    is_int96 = next(leaves, "") == "INT96"
    return pa.timestamp("us", "UTC") if is_int96 and pa.types.is_timestamp(dtype) else dtype
