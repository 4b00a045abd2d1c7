"""Whether UBJSON is whole: XGBoost's own parser ends the process, or never ends, where a file was cut off.

Source of the grammar: ubjson.org, and what XGBoost writes of it.
"""

from __future__ import annotations

import struct

__all__ = ["is_whole"]

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


def is_whole(data: bytes) -> bool:
    r"""Whether data is one UBJSON value from the first byte to the last.

    Example:
        >>> is_whole(b"{i\x01aSi\x02hi}"), is_whole(b"{i\x01aSi\x02h")
        (True, False)
    """
    try:
        return _after_value(data, 0, 0) == len(data)
    except (IndexError, struct.error, _BrokenError):
        return False


class _BrokenError(Exception):
    """The data is no UBJSON."""


def _after_value(data: bytes, at: int, depth: int) -> int:
    """Where the value that begins at a place ends."""
    mark, at = data[at : at + 1], at + 1
    if mark in _EMPTY:
        return at
    if mark in _SIZES:
        return _within(data, at + _SIZES[mark])
    if mark in (b"S", b"H"):
        return _after_text(data, at)
    if mark in (b"{", b"[") and depth < MAX_DEPTH:
        return _after_container(data, at, mark == b"{", depth + 1)
    raise _BrokenError


def _after_container(data: bytes, at: int, is_object: bool, depth: int) -> int:
    kind, count = b"", -1
    if data[at : at + 1] == b"$":
        kind, at = data[at + 1 : at + 2], at + 2
        if data[at : at + 1] != b"#":
            raise _BrokenError
    if data[at : at + 1] == b"#":
        count, at = _integer(data, at + 1)
    if kind in _SIZES and not is_object:
        return _within(data, at + _SIZES[kind] * count)
    if kind:
        raise _BrokenError
    end = b"}" if is_object else b"]"
    while count and not (count < 0 and data[at : at + 1] == end):
        if is_object:
            at = _after_text(data, at)
        at, count = _after_value(data, at, depth), count - 1
    return at if count == 0 else at + 1


def _after_text(data: bytes, at: int) -> int:
    length, at = _integer(data, at)
    return _within(data, at + length)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    form = _INTEGERS.get(data[at : at + 1])
    if form is None:
        raise _BrokenError
    (value,) = struct.unpack_from(form, data, at + 1)
    if value < 0:
        raise _BrokenError
    return value, at + 1 + struct.calcsize(form)


def _within(data: bytes, at: int) -> int:
    if at > len(data):
        raise _BrokenError
    return at
