"""Columns in the names of directories (``year=2026/part.parquet``), with the types that Spark gives them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from sparksig.convert.arrow import to_source
from sparksig.errors import Code, Finding, quote
from sparksig.lattice import is_lossless

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""The value in the name of a directory whose rows have a null."""


def parse_partitions(folders: Sequence[str]) -> dict[str, str | None] | None:
    """Return the columns and values that directories name.

    Returns:
        The value of each column; None if a directory names no column, or a column that another one names.

    Example:
        >>> parse_partitions(["day=2026-01-31", "note=a%2Fb"]), parse_partitions(["archive"])
        ({'day': '2026-01-31', 'note': 'a/b'}, None)
    """
    values: dict[str, str | None] = {}
    for folder in folders:
        name, equal, value = folder.partition("=")
        if not equal or not name or not value or unquote(name) in values:
            return None
        values[unquote(name)] = None if value == NULL_PARTITION else unquote(value)
    return values


_INTEGER = re.compile(r"[+-]?\d{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_DOUBLE = re.compile(rf"[+-]?(NaN|Infinity)|{_NUMBER.pattern}[dDfF]?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d)?")

_BLANKS = "".join(map(chr, range(33)))
_DIGITS = {pa.int32(): 10, pa.int64(): 20}
"""The precision of the decimals that Spark gives to integers among longer ones in partition values."""


def infer_partition_type(values: Sequence[str | None]) -> pa.DataType:
    """Return the type of a partition column by the rules of Spark: values without a common type are text.

    Longer integers are decimals. With fractions among them they are text, because a double would round them.

    Example:
        >>> [str(infer_partition_type(values)) for values in (["2025", "2026"], ["1", "0.5"], ["1", "x"])]
        ['int32', 'double', 'string']
    """
    types = {_infer_type(value) for value in values if value is not None}
    if len(types) < 2:
        return next(iter(types), pa.null())
    if types == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    if types == {pa.int32(), pa.float64()}:
        return pa.float64()
    if not all(pa.types.is_integer(dtype) or pa.types.is_decimal(dtype) for dtype in types):
        return pa.string()
    if not any(map(pa.types.is_decimal, types)):
        return pa.int64()
    return pa.decimal128(min(max(_DIGITS.get(dtype) or dtype.precision for dtype in types), 38), 0)


def _infer_type(text: str) -> pa.DataType:
    if _INTEGER.fullmatch(text):
        for dtype in (pa.int32(), pa.int64()):
            half = 2 ** (dtype.bit_width - 1)
            if -half <= int(text) < half:
                return dtype
    if _NUMBER.fullmatch(text):
        _, digits, exponent = Decimal(text).as_tuple()
        if isinstance(exponent, int) and exponent >= 0 and len(digits) + exponent <= 38:
            return pa.decimal128(len(digits) + exponent, 0)
    if _parse_double(text) is not None:
        return pa.float64()
    moments = (pa.timestamp("us"), pa.date32())
    return next((dtype for dtype in moments if _parse_moment(text, dtype) is not None), pa.string())


def _parse_double(text: str) -> float | None:
    """Read a double as Java does: blanks around it and the letter of a type after it are allowed."""
    text = text.strip(_BLANKS)
    return float(text.rstrip("dDfF")) if _DOUBLE.fullmatch(text) else None


def _parse_moment(text: str, dtype: pa.DataType) -> datetime.date | None:
    day = pa.types.is_date(dtype)
    if not (_DAY if day else _TIMESTAMP).fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(f"{text}00" if "." in text else text)
    except ValueError:
        return None
    return moment.date() if day else moment


def parse_partition_value(text: str | None, dtype: pa.DataType) -> Any:
    """Return a partition's value as a scalar of its column's type."""
    if text is None:
        return pa.scalar(None, dtype)
    if pa.types.is_temporal(dtype):  # a day among timestamps is its midnight
        return pa.scalar(_parse_moment(text, dtype) or datetime.datetime.fromisoformat(text), dtype)
    if pa.types.is_floating(dtype):
        return pa.scalar(_parse_double(text), dtype)
    convert: Any = int if pa.types.is_integer(dtype) else Decimal if pa.types.is_decimal(dtype) else str
    return pa.scalar(convert(text), dtype)


# --- writing ----------------------------------------------------------------------------------------------


def judge_partition_names(names: Sequence[str], by: Sequence[str]) -> list[Finding]:
    """Report columns to partition by that are named twice, or that leave no others.

    Args:
        names: all columns of the table.
        by: those to partition by.
    """
    findings = []
    if len(set(by)) < len(by):
        findings.append(Finding(Code.DUPLICATE_NAME, "partition_by", "each column once", "one several times"))
    if names and by and not set(names) - set(by):
        hint = "files without columns have no rows"
        expected = "other columns than those to partition by"
        findings.append(Finding(Code.INVALID_VALUE, "partition_by", expected, "none", hint))
    return findings


def report_partition_type(path: str, actual: str) -> Finding:
    """Return the finding for a column whose type is lost in the names of directories."""
    hint = "Spark reads partitions back as others: cast it explicitly, or write Delta"
    expected = "whole numbers, doubles, dates or texts, in a column to partition by"
    return Finding(Code.TYPE_MISMATCH, path, expected, actual, hint)


def report_other_type(path: str, expected: str, actual: str) -> Finding:
    """Return the finding for a column that an existing table has with another type in its directories."""
    return Finding(Code.TYPE_MISMATCH, path, expected, actual, "as the table's partitions are read")


def can_share_partition(existing: pa.DataType, actual: pa.DataType) -> bool:
    """Return whether a partition column of an existing type accepts values of another type.

    Texts are accepted here, because :func:`judge_partition_text` judges their values.
    """
    if pa.types.is_string(existing) or pa.types.is_string(actual) or pa.types.is_null(existing):
        return True
    old, new = to_source(existing), to_source(actual)
    return is_lossless(old, new) or is_lossless(new, old)


# --- texts that readers change --------------------------------------------------------------------------

_NUMBER_TEXT = r"[+-]?(\p{Nd}+\.?\p{Nd}*|\.\p{Nd}+)([eE][+-]?\p{Nd}+)?[fFdD]?|[+-]?0[xX].*[pP].*"
_MOMENT_TEXT = r"\p{Nd}{4}-\p{Nd}{2}-\p{Nd}{2} \p{Nd}{2}:.*"
AMBIGUOUS = rf"(?s)[\x00-\x20]*({_NUMBER_TEXT}|{_MOMENT_TEXT})[\x00-\x20]*"
"""Texts that Spark may read as a number or a time in the names of directories, in Java's syntax."""

EXACT = r"0|-?[1-9][0-9]{0,36}"
"""The numbers that Spark writes in the same way again, as it does dates."""

_AMBIGUOUS = re.compile(AMBIGUOUS.replace(r"\p{Nd}", r"\d"))


def is_ambiguous(text: str) -> bool:
    """Return whether Spark may read the name of a partition as a value that is written in another way.

    Example:
        >>> [is_ambiguous(text) for text in ("7", "007", "2024-01-02", "1.50", "v1.50")]
        [False, True, False, True, False]
    """
    return bool(_AMBIGUOUS.fullmatch(text)) and not re.fullmatch(EXACT, text)


def report_empty(column: str) -> Finding:
    """Return the finding for texts that are read as null."""
    expected = "texts that are not empty, in a column to partition by"
    return Finding(Code.INVALID_VALUE, quote(column), expected, "empty texts, which would be null")


def report_ambiguous(column: str) -> Finding:
    """Return the finding for texts that are read as other texts."""
    expected = "texts that readers of Parquet return unchanged, in a column to partition by"
    actual = "texts that Spark reads as numbers or times and formats differently, as 007 or 1.50"
    hint = "cast the column explicitly, to int for example, or write Delta"
    return Finding(Code.INVALID_VALUE, quote(column), expected, actual, hint)


def report_unlike_text(path: str, dtype: str) -> Finding:
    """Return the finding for texts that do not have the type of an existing table's directories."""
    hint = "readers of Parquet would see all partitions of the table as texts"
    return Finding(Code.TYPE_MISMATCH, path, f"texts that read as {dtype}", "others", hint)


def judge_partition_text(name: str, text: str, existing: pa.DataType | None = None) -> Finding | None:
    """Return the finding for a text that the name of a directory would change.

    Args:
        name: the column.
        text: the text.
        existing: the type with which the directories of an existing table are read; None without one.

    Example:
        >>> judge_partition_text("zip", "v7")
        >>> judge_partition_text("zip", "").actual
        'empty texts, which would be null'
    """
    if text in ("", NULL_PARTITION):
        return report_empty(name)
    if "\0" in text:
        expected = "texts without NUL, in a column to partition by"
        return Finding(Code.INVALID_VALUE, quote(name), expected, "others")
    if is_ambiguous(text):
        return report_ambiguous(name)
    if existing is None or pa.types.is_null(existing) or pa.types.is_string(existing):
        return None
    is_alike = is_lossless(to_source(_infer_type(text)), to_source(existing))
    return None if is_alike else report_unlike_text(quote(name), str(existing))
