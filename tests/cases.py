"""Ids of parametrized cases, short enough for `-k`, and equal in every process of pytest-xdist."""

from __future__ import annotations

import re
import reprlib
from types import FunctionType

_LENGTH = 48
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _ShortRepr(reprlib.Repr):
    """The reprs of values, without addresses in memory."""

    def repr_instance(self, value, level):
        return _ADDRESS.sub("", repr(value))[:_LENGTH]

    def repr_int(self, value, level):
        return repr(value) if value.bit_length() < 200 else f"an int of {value.bit_length()} bits"


def describe_case(value):
    """Return a short id for a value: the names that a lambda uses, a string itself, or the start of a repr.

    Return None for values whose ids from pytest are short and stable already.
    """
    if isinstance(value, FunctionType):
        return value.__name__.replace("<lambda>", "-".join(value.__code__.co_names)) or None
    if isinstance(value, bool | float | type | None):
        return None  # pytest's own ids are fine
    text = value if isinstance(value, str) and value else _ShortRepr().repr(value)
    return " ".join(text.split())[:_LENGTH]
