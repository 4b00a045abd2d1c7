"""The casting table for Python scalars: they have no width, so their values are judged."""

from __future__ import annotations

import datetime
import struct

from sparksig.errors import name_type
from sparksig.lattice import MODEL_TYPE, find_upper_bounds
from sparksig.types import DataType

INTEGER_BITS = {DataType.integer: 31, DataType.long: 63}
"""The number of bits of each integer type, without the sign."""

EXACT_INTEGERS = {DataType.float: 2**24, DataType.double: 2**53}
"""The largest n for which each type holds all integers from -n to n exactly."""


def describe_mismatch(value: object, target: DataType) -> str:
    """Describe a Python (or NumPy) scalar that does not reach a type unchanged; empty if it does.

    NumPy scalars have a width and are judged by the table. A Python int is judged by its size, and a Python
    float fits the type float only if it is exactly a float32. A subclass is judged as its base class, but a
    bool is never a number.

    Example:
        >>> describe_mismatch(2**31, DataType.integer)
        'an int beyond 32 bits'
    """
    name = _get_numpy_name(value)
    if name:
        if MODEL_TYPE[target] in find_upper_bounds(name):
            return ""
        return f"NumPy's {name}"
    fits = {
        DataType.boolean: isinstance(value, bool),
        DataType.string: isinstance(value, str),
        DataType.binary: isinstance(value, (bytes, bytearray)),
        DataType.datetime: isinstance(value, datetime.date),  # a datetime is a date
    }
    if target in fits:
        return "" if fits[target] else name_type(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return name_type(value)
    return _describe_number_mismatch(value, target)


def is_beyond_long(value: object) -> bool:
    """Return whether a value is an integer beyond 64 bits, which no signature type holds.

    Example:
        >>> is_beyond_long(2**63), is_beyond_long(-(2**63))
        (True, False)
    """
    limit = 2 ** INTEGER_BITS[DataType.long]
    return isinstance(value, int) and not -limit <= value < limit


def _describe_number_mismatch(value: int | float, target: DataType) -> str:
    if target in INTEGER_BITS:
        if isinstance(value, float):
            return "a float"
        limit = 2 ** INTEGER_BITS[target]
        return "" if -limit <= value < limit else f"an int beyond {INTEGER_BITS[target] + 1} bits"
    if isinstance(value, int):
        return (
            "" if abs(value) <= EXACT_INTEGERS[target] else f"an int that {target.name} cannot hold exactly"
        )
    if target is DataType.double or _is_float32(value):
        return ""
    return "a float that is not exactly a float32"


def _is_float32(value: float) -> bool:
    if value != value:
        return True
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False


def _get_numpy_name(value: object) -> str:
    """Return Arrow's name for the type of a NumPy scalar; empty for any other value."""
    if type(value).__module__ != "numpy" or type(value).__name__ == "ndarray":
        return ""
    name = str(getattr(getattr(value, "dtype", None), "name", ""))
    if name.startswith("datetime64"):
        return "timestamp"
    if name.startswith("str"):
        return "string"
    return "binary" if name.startswith("bytes") else name
