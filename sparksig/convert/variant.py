"""Conversion of Python values to variants, the binary format of Spark and Parquet for values of any type.

======================  =====================================================================
Python                  variant
======================  =====================================================================
None, NaT, NA           null
bool, int, float        boolean, the smallest fitting integer (beyond 64 bits: decimal), double
str, bytes, Decimal     string, binary, decimal of up to 38 digits
date, datetime          date, timestamp in microseconds, with or without a time zone
list, tuple, ndarray    array
dict                    object; its keys are strings
NumPy scalars           like the Python scalar; float32 remains a float
======================  =====================================================================

Other values are refused, and so are values that would be rounded.
"""

from __future__ import annotations

import datetime as dt
import decimal
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.errors import Code, ConversionError, Finding, below, name_type, quote

VARIANT = pa.struct(
    [
        pa.field("value", pa.binary(), nullable=False),
        pa.field("metadata", pa.binary(), nullable=False, metadata={b"variant": b"true"}),
    ]
)
"""The Arrow type of variants."""


def is_variant(dtype: pa.DataType) -> bool:
    """Return whether Spark has marked a struct as a variant."""
    if not pa.types.is_struct(dtype) or dtype.num_fields != 2:
        return False
    marks = (dtype.field(index).metadata or {} for index in range(2))
    return any(b"variant" in mark for mark in marks)


def to_variant(value: Any, path: str = "") -> tuple[bytes, bytes]:
    r"""Return the two parts of a variant: its value, and its metadata, the keys of all objects in it.

    Example:
        >>> to_variant({"a": 1})
        (b'\x02\x01\x00\x00\x02\x0c\x01', b'\x01\x01\x00\x01a')
    """
    keys: dict[str, int] = {}
    try:
        encoded = _encode_value(value, path, keys)
    except RecursionError:
        raise _build_error(path, "values of finite depth", "a value that contains itself") from None
    names = [key.encode() for key in keys]
    width = _count_bytes(max(sum(map(len, names)), len(names)))
    header = bytes([1 | (width - 1) << 6])
    return encoded, header + _encode_number(len(names), width) + _encode_offsets(names, width) + b"".join(
        names
    )


# --- values -----------------------------------------------------------------------------------------------

_INTEGERS = ((3, 1), (4, 2), (5, 4), (6, 8))
_DECIMALS = ((8, 9, 4), (9, 18, 8), (10, 38, 16))
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)


def _encode_value(value: Any, path: str, keys: dict[str, int]) -> bytes:
    if isinstance(value, np.ma.MaskedArray):
        raise _build_error(path, "values without a mask", "a masked array")
    if isinstance(value, np.ndarray) and value.ndim:
        return _encode_array(value, path, keys)
    if isinstance(value, (list, tuple)):
        return _encode_array(value, path, keys)
    if isinstance(value, Mapping):
        return _encode_object(value, path, keys)
    return _encode_scalar(value, path)


def _encode_scalar(value: Any, path: str) -> bytes:
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return _join_primitive(0)
    if isinstance(value, np.timedelta64):  # NumPy counts them among the integers
        raise _build_error(path, "a value that a variant holds", name_type(value))
    if isinstance(value, (np.datetime64, np.ndarray)):
        return _encode_scalar(_from_numpy(value, path), path)
    if isinstance(value, (bool, np.bool_)):
        return _join_primitive(1 if value else 2)
    if isinstance(value, (int, np.integer)):
        return _encode_integer(int(value), path)
    if isinstance(value, (np.float16, np.float32)):
        return _join_primitive(14, struct.pack("<f", value))
    if isinstance(value, (float, np.floating)):
        if np.longdouble(value) != np.float64(value) and value == value:
            raise _build_error(path, "a number that a double holds exactly", "another number")
        return _join_primitive(7, struct.pack("<d", value))
    if isinstance(value, decimal.Decimal):
        return _encode_decimal(value, path)
    if isinstance(value, str):
        return _encode_text(value, path)
    if isinstance(value, (bytes, bytearray)):
        return _join_primitive(15, _encode_number(len(value), 4) + bytes(value))
    if isinstance(value, dt.datetime):
        return _encode_time(value, path)
    if isinstance(value, dt.date):
        return _join_primitive(11, struct.pack("<i", (value - _EPOCH.date()).days))
    raise _build_error(path, "a value that a variant holds", name_type(value))


def _from_numpy(value: Any, path: str) -> Any:
    if not isinstance(value, np.datetime64):
        return value[()]  # an array of rank 0
    if np.isnat(value):
        return None
    exact = value.astype("datetime64[us]")
    if exact.astype(value.dtype) != value or np.datetime_data(value.dtype)[0] in ("Y", "M", "W"):
        raise _build_error(path, "a time in microseconds", f"{value.dtype.name}")
    time = exact.item()
    if not isinstance(time, dt.datetime):
        raise _build_error(path, "a time of the years 1 to 9999", "another")
    return time.date() if np.datetime_data(value.dtype)[0] == "D" else time


def _encode_integer(value: int, path: str) -> bytes:
    for code, size in _INTEGERS:
        if -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
            return _join_primitive(code, value.to_bytes(size, "little", signed=True))
    return _encode_unscaled(value, 0, path)


def _encode_decimal(value: decimal.Decimal, path: str) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _build_error(path, "a finite decimal", "another")
    if not value:
        return _encode_unscaled(0, min(max(-exponent, 0), 38), path)
    if len(digits) > 38 or exponent > 38:
        raise _build_error(path, "a decimal of up to 38 digits", "one with more digits")
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    return _encode_unscaled(unscaled * 10 ** max(exponent, 0), max(-exponent, 0), path)


def _encode_unscaled(value: int, scale: int, path: str) -> bytes:
    for code, digits, size in _DECIMALS:
        if abs(value) < 10**digits and scale <= digits:
            return _join_primitive(code, bytes([scale]) + value.to_bytes(size, "little", signed=True))
    raise _build_error(path, "a number of up to 38 digits", "one with more digits")


def _encode_text(value: str, path: str) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise _build_error(path, "text in Unicode", "lone surrogates") from None
    if len(encoded) < 64:
        return bytes([len(encoded) << 2 | 1]) + encoded
    return _join_primitive(16, _encode_number(len(encoded), 4) + encoded)


def _encode_time(value: dt.datetime, path: str) -> bytes:
    if getattr(value, "nanosecond", 0):
        raise _build_error(path, "a time in microseconds", "a finer one")
    zone = value.utcoffset()
    local_time = value.replace(tzinfo=None)
    if not 1 <= local_time.year <= 9999:
        raise _build_error(path, "a time of the years 1 to 9999", "another")
    if type(local_time) is not dt.datetime:  # pandas' own class has nanoseconds
        local_time = dt.datetime(*local_time.timetuple()[:6], local_time.microsecond)
    micros = (local_time - _EPOCH - (zone or dt.timedelta())) // _MICROSECOND
    return _join_primitive(13 if zone is None else 12, struct.pack("<q", micros))


# --- containers -------------------------------------------------------------------------------------------


def _encode_array(values: Iterable[Any], path: str, keys: dict[str, int]) -> bytes:
    parts = [_encode_value(value, f"{path}[]", keys) for value in values]
    width, large = _count_bytes(sum(map(len, parts))), len(parts) > 255
    header = bytes([(large << 2 | width - 1) << 2 | 3])
    return (
        header
        + _encode_number(len(parts), 4 if large else 1)
        + _encode_offsets(parts, width)
        + b"".join(parts)
    )


def _encode_object(value: Mapping[Any, Any], path: str, keys: dict[str, int]) -> bytes:
    strange = [key for key in value if not isinstance(key, str)]
    if strange:
        raise _build_error(
            path, "an object, whose keys are strings", f"a key that is {name_type(strange[0])}"
        )
    try:
        names = sorted(value, key=str.encode)
    except UnicodeEncodeError:
        raise _build_error(path, "keys in Unicode", "lone surrogates") from None
    ids = [keys.setdefault(str.__str__(name), len(keys)) for name in names]
    parts = [_encode_value(value[name], below(path, name) if path else quote(name), keys) for name in names]
    width, large = _count_bytes(sum(map(len, parts))), len(parts) > 255
    id_width = _count_bytes(max(ids, default=0))
    header = bytes([(large << 4 | id_width - 1 << 2 | width - 1) << 2 | 2])
    numbers = b"".join(_encode_number(key_id, id_width) for key_id in ids)
    count = _encode_number(len(parts), 4 if large else 1)
    return header + count + numbers + _encode_offsets(parts, width) + b"".join(parts)


def _join_primitive(code: int, content: bytes = b"") -> bytes:
    return bytes([code << 2]) + content


def _encode_offsets(parts: list[bytes], width: int) -> bytes:
    at, written = 0, [_encode_number(0, width)]
    for part in parts:
        at += len(part)
        written.append(_encode_number(at, width))
    return b"".join(written)


def _count_bytes(largest: int) -> int:
    """Return the number of bytes that a number needs."""
    return max((largest.bit_length() + 7) // 8, 1)


def _encode_number(value: int, width: int) -> bytes:
    return value.to_bytes(width, "little")


def _build_error(path: str, expected: str, actual: str) -> ConversionError:
    return ConversionError.of("not a variant", [Finding(Code.UNSUPPORTED_TYPE, path, expected, actual)])
