"""Python values -> Spark's variant: the open binary form of any value (Parquet's and Spark's, version 1).

======================  =====================================================================
Python                  variant
======================  =====================================================================
None, NaT, NA           null
bool, int, float        boolean, the smallest integer that holds it (beyond 64 bits: decimal), double
str, bytes, Decimal     string, binary, decimal of up to 38 digits
date, datetime          date, timestamp in microseconds (with a zone: an instant, else a wall time)
list, tuple, ndarray    array
dict                    object; its keys are strings
NumPy's scalars         as their Python twins; float32 stays a float
======================  =====================================================================

Nothing else is a variant, and nothing is rounded: what does not fit is refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.errors import Code, ConversionError, Finding, below, kind, step

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
    r"""The two parts of a variant: its value, and its metadata (the keys of all objects in it).

    Example:
        >>> to_variant({"a": 1})
        (b'\x02\x01\x00\x00\x02\x0c\x01', b'\x01\x01\x00\x01a')
    """
    keys: dict[str, int] = {}
    try:
        encoded = _value(value, path, keys)
    except RecursionError:
        raise _refused(path, "values of finite depth", "one inside itself") from None
    names = [key.encode() for key in keys]
    width = _width(max(sum(map(len, names)), len(names)))
    header = bytes([1 | (width - 1) << 6])
    return encoded, header + _number(len(names), width) + _offsets(names, width) + b"".join(names)


# --- values -----------------------------------------------------------------------------------------------

_INTEGERS = ((3, 1), (4, 2), (5, 4), (6, 8))
_DECIMALS = ((8, 9, 4), (9, 18, 8), (10, 38, 16))
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)


def _value(value: Any, path: str, keys: dict[str, int]) -> bytes:
    if isinstance(value, np.ma.MaskedArray):
        raise _refused(path, "values without a mask", "a masked array")
    if isinstance(value, np.ndarray) and value.ndim:
        return _array(value, path, keys)
    if isinstance(value, (list, tuple)):
        return _array(value, path, keys)
    if isinstance(value, Mapping):
        return _object(value, path, keys)
    return _scalar(value, path)


def _scalar(value: Any, path: str) -> bytes:
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return _primitive(0)
    if isinstance(value, np.timedelta64):  # which NumPy counts among the integers
        raise _refused(path, "a value that a variant holds", kind(value))
    if isinstance(value, (np.datetime64, np.ndarray)):
        return _scalar(_from_numpy(value, path), path)
    if isinstance(value, (bool, np.bool_)):
        return _primitive(1 if value else 2)
    if isinstance(value, (int, np.integer)):
        return _integer(int(value), path)
    if isinstance(value, (np.float16, np.float32)):
        return _primitive(14, struct.pack("<f", value))
    if isinstance(value, (float, np.floating)):
        if np.longdouble(value) != np.float64(value) and value == value:
            raise _refused(path, "a double", "a number that is none")
        return _primitive(7, struct.pack("<d", value))
    if isinstance(value, decimal.Decimal):
        return _decimal(value, path)
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, (bytes, bytearray)):
        return _primitive(15, _number(len(value), 4) + bytes(value))
    if isinstance(value, dt.datetime):
        return _time(value, path)
    if isinstance(value, dt.date):
        return _primitive(11, struct.pack("<i", (value - _EPOCH.date()).days))
    raise _refused(path, "a value that a variant holds", kind(value))


def _from_numpy(value: Any, path: str) -> Any:
    if not isinstance(value, np.datetime64):
        return value[()]  # an array of rank 0
    if np.isnat(value):
        return None
    exact = value.astype("datetime64[us]")
    if exact.astype(value.dtype) != value or np.datetime_data(value.dtype)[0] in ("Y", "M", "W"):
        raise _refused(path, "a time in microseconds", f"{value.dtype.name}")
    held = exact.item()
    if not isinstance(held, dt.datetime):
        raise _refused(path, "a time of the years 1 to 9999", "another")
    return held.date() if np.datetime_data(value.dtype)[0] == "D" else held


def _integer(value: int, path: str) -> bytes:
    for code, size in _INTEGERS:
        if -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
            return _primitive(code, value.to_bytes(size, "little", signed=True))
    return _unscaled(value, 0, path)


def _decimal(value: decimal.Decimal, path: str) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _refused(path, "a finite decimal", "another")
    if not value:
        return _unscaled(0, min(max(-exponent, 0), 38), path)
    if len(digits) > 38 or exponent > 38:
        raise _refused(path, "a decimal of up to 38 digits", "a longer one")
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    return _unscaled(unscaled * 10 ** max(exponent, 0), max(-exponent, 0), path)


def _unscaled(value: int, scale: int, path: str) -> bytes:
    for code, digits, size in _DECIMALS:
        if abs(value) < 10**digits and scale <= digits:
            return _primitive(code, bytes([scale]) + value.to_bytes(size, "little", signed=True))
    raise _refused(path, "a number of up to 38 digits", "a longer one")


def _text(value: str, path: str) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise _refused(path, "text in Unicode", "lone surrogates") from None
    if len(encoded) < 64:
        return bytes([len(encoded) << 2 | 1]) + encoded
    return _primitive(16, _number(len(encoded), 4) + encoded)


def _time(value: dt.datetime, path: str) -> bytes:
    if getattr(value, "nanosecond", 0):
        raise _refused(path, "a time in microseconds", "a finer one")
    zone = value.utcoffset()
    wall = value.replace(tzinfo=None)
    if not 1 <= wall.year <= 9999:
        raise _refused(path, "a time of the years 1 to 9999", "another")
    if type(wall) is not dt.datetime:  # pandas' own class counts in nanoseconds
        wall = dt.datetime(
            wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second, wall.microsecond
        )
    micros = (wall - _EPOCH - (zone or dt.timedelta())) // _MICROSECOND
    return _primitive(13 if zone is None else 12, struct.pack("<q", micros))


# --- containers -------------------------------------------------------------------------------------------


def _array(values: Iterable[Any], path: str, keys: dict[str, int]) -> bytes:
    parts = [_value(value, f"{path}[]", keys) for value in values]
    width, large = _width(sum(map(len, parts))), len(parts) > 255
    header = bytes([(large << 2 | width - 1) << 2 | 3])
    return header + _number(len(parts), 4 if large else 1) + _offsets(parts, width) + b"".join(parts)


def _object(value: Mapping[Any, Any], path: str, keys: dict[str, int]) -> bytes:
    strange = [key for key in value if not isinstance(key, str)]
    if strange:
        raise _refused(path, "an object, whose keys are strings", f"a key that is {kind(strange[0])}")
    try:
        names = sorted(value, key=str.encode)
    except UnicodeEncodeError:
        raise _refused(path, "keys in Unicode", "lone surrogates") from None
    ids = [keys.setdefault(str.__str__(name), len(keys)) for name in names]
    parts = [_value(value[name], below(path, name) if path else step(name), keys) for name in names]
    width, large = _width(sum(map(len, parts))), len(parts) > 255
    id_width = _width(max(ids, default=0))
    header = bytes([(large << 4 | id_width - 1 << 2 | width - 1) << 2 | 2])
    numbers = b"".join(_number(one, id_width) for one in ids)
    count = _number(len(parts), 4 if large else 1)
    return header + count + numbers + _offsets(parts, width) + b"".join(parts)


def _primitive(code: int, content: bytes = b"") -> bytes:
    return bytes([code << 2]) + content


def _offsets(parts: list[bytes], width: int) -> bytes:
    at, written = 0, [_number(0, width)]
    for part in parts:
        at += len(part)
        written.append(_number(at, width))
    return b"".join(written)


def _width(largest: int) -> int:
    """The bytes that a number takes."""
    return max((largest.bit_length() + 7) // 8, 1)


def _number(value: int, width: int) -> bytes:
    return value.to_bytes(width, "little")


def _refused(path: str, expected: str, found: str) -> ConversionError:
    return ConversionError.of("not a variant", [Finding(Code.UNSUPPORTED_TYPE, path, expected, found)])
