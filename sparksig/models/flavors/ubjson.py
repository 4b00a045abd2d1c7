"""A check for incomplete UBJSON files, on which XGBoost's own parser crashes the process or never ends.

Source of the grammar: ubjson.org, restricted to the part that XGBoost writes.
"""

from __future__ import annotations

import struct

_SIZES = {
    b"i": 1,
    b"U": 1,
    b"I": 2,
    b"u": 2,
    b"l": 4,
    b"m": 4,
    b"L": 8,
    b"M": 8,
    b"h": 2,
    b"d": 4,
    b"D": 8,
    b"C": 1,
}
_EMPTY = (b"Z", b"N", b"T", b"F")
_INTEGERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
MAX_DEPTH = 100


def is_complete_ubjson(data: bytes) -> bool:
    r"""Return whether data is exactly one UBJSON value.

    Example:
        >>> is_complete_ubjson(b"{i\x01aSi\x02hi}"), is_complete_ubjson(b"{i\x01aSi\x02h")
        (True, False)
    """
    try:
        return _skip_value(data, 0, 0) == len(data)
    except (IndexError, struct.error, _MalformedError):
        return False


class _MalformedError(Exception):
    """The data is not UBJSON."""


# the functions below return the position after the element that begins at a position


def _skip_value(data: bytes, position: int, depth: int) -> int:
    marker, position = data[position : position + 1], position + 1
    if marker in _EMPTY:
        return position
    if marker in _SIZES:
        return _check_position(data, position + _SIZES[marker])
    if marker in (b"S", b"H"):
        return _skip_text(data, position)
    if marker in (b"{", b"[") and depth < MAX_DEPTH:
        return _skip_container(data, position, marker == b"{", depth + 1)
    raise _MalformedError


def _skip_container(data: bytes, position: int, is_object: bool, depth: int) -> int:
    item_type, count = b"", -1
    if data[position : position + 1] == b"$":
        item_type, position = data[position + 1 : position + 2], position + 2
        if data[position : position + 1] != b"#":
            raise _MalformedError
    if data[position : position + 1] == b"#":
        count, position = _read_integer(data, position + 1)
    if item_type in _SIZES and not is_object:
        return _check_position(data, position + _SIZES[item_type] * count)
    if item_type:
        raise _MalformedError
    end = b"}" if is_object else b"]"
    while count and not (count < 0 and data[position : position + 1] == end):
        if is_object:
            position = _skip_text(data, position)
        position, count = _skip_value(data, position, depth), count - 1
    return position if count == 0 else position + 1


def _skip_text(data: bytes, position: int) -> int:
    length, position = _read_integer(data, position)
    return _check_position(data, position + length)


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    """Return an integer, and the position after it."""
    struct_format = _INTEGERS.get(data[position : position + 1])
    if struct_format is None:
        raise _MalformedError
    (value,) = struct.unpack_from(struct_format, data, position + 1)
    if value < 0:
        raise _MalformedError
    return value, position + 1 + struct.calcsize(struct_format)


def _check_position(data: bytes, position: int) -> int:
    if position > len(data):
        raise _MalformedError
    return position
