"""The physical layout of a Parquet file: sizes of row groups, and columns that only Spark reads correctly."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_GREGORIAN_DAY = -141_427
"""1582-10-15 in days: from this day on, both calendars of Spark agree on dates."""

_STANDARD_SECOND = -2_208_988_800
"""1900-01-01 in seconds: from this time on, both calendars of Spark agree on timestamps."""


@dataclass(frozen=True)
class Layout:
    """The physical layout of a file.

    Attributes:
        sizes: the bytes of each row group, uncompressed.
        reasons: the reasons why pyarrow reads a column differently from Spark, by the name of the column.
    """

    sizes: tuple[int, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def read_layout(metadata: pq.FileMetaData, schema: pa.Schema) -> Layout:
    """Read the layout of a file from its footer.

    Args:
        metadata: the footer.
        schema: the file's columns.
    """
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    keys = metadata.metadata or {}
    version = _read_spark_version(keys)
    fixed = {part.name for part in schema if _has_fixed_lists(part.type)}
    reasons: dict[str, str] = {}
    for index, column, name in _list_special(metadata, frozenset(schema.names), fixed):
        if column.physical_type == "INT96":
            if version and (version < (3, 1) or b"org.apache.spark.legacyINT96" in keys):
                reasons[name] = "holds INT96 timestamps of the calendar that Spark used before 3.0"
        elif name in fixed and any(_may_have_nulls(group.column(index)) for group in groups):
            reasons[name] = "holds nulls among lists of a fixed size, which pyarrow does not read"
        elif not _is_time(column) or not version:
            continue
        elif (version < (3, 0) or b"org.apache.spark.legacyDateTime" in keys) and any(
            _may_be_ancient(group.column(index), column) for group in groups
        ):
            reasons[name] = "holds ancient dates of the calendar that Spark used before 3.0"
    return Layout(tuple(group.total_byte_size for group in groups), reasons)


def _read_spark_version(keys: Mapping[bytes, bytes]) -> tuple[int, ...]:
    """Return the version of Spark that wrote a file; empty for another writer."""
    numbers = re.match(rb"(\d+)\.(\d+)", keys.get(b"org.apache.spark.version", b""))
    return () if numbers is None else tuple(map(int, numbers.groups()))


def _has_fixed_lists(dtype: pa.DataType) -> bool:
    inner = (dtype.field(index).type for index in range(dtype.num_fields))
    return bool(pa.types.is_fixed_size_list(dtype)) or any(map(_has_fixed_lists, inner))


def _is_time(column: Any) -> bool:
    return column.logical_type.type in ("DATE", "TIMESTAMP")


def _list_special(
    metadata: pq.FileMetaData, names: Collection[str], fixed: Collection[str]
) -> Iterator[tuple[int, Any, str]]:
    """Yield the leaves that are times or in lists of a fixed size: their positions, types and columns."""
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index)
        name = _find_column(column.path, names)
        if name in fixed or column.physical_type == "INT96" or _is_time(column):
            yield index, column, name


def _find_column(path: str, names: Collection[str]) -> str:
    """Return the column of a leaf; names may contain dots, like paths."""
    parts = path.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in names), path)


def _may_have_nulls(chunk: Any) -> bool:
    statistics = chunk.statistics
    return statistics is None or not statistics.has_null_count or statistics.null_count > 0


def _may_be_ancient(chunk: Any, column: Any) -> bool:
    """Return whether, by its statistics, a column chunk may have times before both calendars agree."""
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max:
        return not (statistics is not None and statistics.null_count == chunk.num_values)
    if column.logical_type.type == "DATE":
        return bool(statistics.min_raw < _GREGORIAN_DAY)
    ticks = 1_000 if "milliseconds" in column.logical_type.to_json().lower() else 1_000_000
    return bool(statistics.min_raw < _STANDARD_SECOND * ticks)
