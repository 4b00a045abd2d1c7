"""Ids of parametrized cases, short enough for `-k`, and equal in every process of pytest-xdist."""

from __future__ import annotations

import re
import reprlib
from types import FunctionType

_LENGTH = 48
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def describe_case(value):
    """Return a short text of a case: the names that a lambda uses, or the beginning of a value's repr."""
    if isinstance(value, FunctionType):
        return value.__name__.replace("<lambda>", "-".join(value.__code__.co_names)) or None
    if isinstance(value, bool | float | type | None):
        return None  # pytest's own ids are fine
    text = value if isinstance(value, str) and value else reprlib.repr(value)
    return " ".join(_ADDRESS.sub("", text).split())[:_LENGTH]
