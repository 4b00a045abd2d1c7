"""Columns that stand in the names of directories (``year=2026/part.parquet``), typed as Spark types them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

__all__ = ["partition_type", "partition_value", "partitions_in"]

NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""The name of the directory of rows that have no value."""


def partitions_in(folders: Sequence[str]) -> dict[str, str | None] | None:
    """The columns and values that directories name; None if one of them names nothing.

    Example:
        >>> partitions_in(["day=2026-01-31", "note=a%2Fb"]), partitions_in(["archive"])
        ({'day': '2026-01-31', 'note': 'a/b'}, None)
    """
    found: dict[str, str | None] = {}
    for folder in folders:
        name, equal, value = folder.partition("=")
        if not equal or not name:
            return None
        found[unquote(name)] = None if value == NOTHING else unquote(value)
    return found


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_INSTANT = re.compile(r"\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?")


def partition_type(values: Sequence[str | None]) -> pa.DataType:
    """The narrowest type that all values of a partition column have: a number, a day, an instant, or text.

    Example:
        >>> partition_type(["2025", "2026"]), partition_type(["1", "0.5"]), partition_type(["1", "x"])
        (DataType(int32), DataType(double), DataType(string))
    """
    texts = [value for value in values if value is not None]
    if not texts:
        return pa.string()
    for dtype in (pa.int32(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us")):
        if all(_fits(text, dtype) for text in texts):
            return dtype
    return pa.string()


def _fits(text: str, dtype: pa.DataType) -> bool:
    if pa.types.is_integer(dtype):
        half = 2 ** (dtype.bit_width - 1)
        return bool(re.fullmatch(r"[+-]?\d{1,20}", text)) and -half <= int(text) < half
    if pa.types.is_floating(dtype):
        return bool(_NUMBER.fullmatch(text))
    return _moment(text, dtype) is not None


def _moment(text: str, dtype: pa.DataType) -> datetime.date | None:
    form = _DAY if pa.types.is_date(dtype) else _INSTANT
    if not form.fullmatch(text):
        return None
    try:
        if pa.types.is_date(dtype):
            return datetime.date(*map(int, text.split("-")))
        return datetime.datetime.strptime(text, f"%Y-%m-%d %H:%M:%S{'.%f' if '.' in text else ''}")
    except ValueError:
        return None


def partition_value(text: str | None, dtype: pa.DataType) -> Any:
    """A partition's value as a scalar of its column's type."""
    if text is None:
        return pa.scalar(None, dtype)
    if pa.types.is_temporal(dtype):
        return pa.scalar(_moment(text, dtype), dtype)
    convert: Any = int if pa.types.is_integer(dtype) else float if pa.types.is_floating(dtype) else str
    return pa.scalar(convert(text), dtype)
