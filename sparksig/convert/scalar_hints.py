"""Conversion of annotations of scalars to scalar types: plain scalars, and classes encoded as plain scalars.

An ``Enum`` or a ``Literal`` has the type of its values, a ``UUID`` is a string, and a ``Decimal`` of at most
15 digits is a double, like a decimal column of that precision.
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Union

from sparksig.errors import Code, Finding
from sparksig.lattice import DECIMAL_DIGITS
from sparksig.scalars import INTEGER_BITS
from sparksig.types import DataType


@dataclass(frozen=True)
class ScalarHint:
    """A scalar."""

    dtype: DataType
    python: type  # the class of its values
    choices: tuple[Any, ...] = ()  # of a Literal; empty if all values are allowed


@dataclass(frozen=True)
class EncodedHint:
    """An ``Enum``, ``UUID`` or ``Decimal``, which a signature encodes as a plain scalar."""

    leaf: ScalarHint  # the scalar of the signature
    cls: type  # the class of the values that the model receives
    members: tuple[Any, ...] = ()  # the allowed members of an Enum
    max_digits: int = 0  # of a Decimal
    decimal_places: int | None = None  # of a Decimal; None for any number


LEAVES: dict[Any, DataType] = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    datetime.datetime: DataType.datetime,
    datetime.date: DataType.datetime,
}
"""The plain scalars of Python."""

DOUBLE_DIGITS = DECIMAL_DIGITS[DataType.double]

_REFUSED: dict[Any, str] = {
    datetime.time: "no signature type holds a time of day: use datetime, or str in ISO 8601",
    datetime.timedelta: "no signature type holds a duration: use float for seconds, or int for microseconds",
    complex: "no signature type holds complex numbers: use two floats",
}


def is_scalar_class(hint: Any) -> bool:
    """Return whether a class is a scalar that :func:`parse_scalar_class` accepts.

    Example:
        >>> is_scalar_class(Decimal), is_scalar_class(list)
        (True, False)
    """
    if not isinstance(hint, type):
        return False
    return hint in LEAVES or hint in _REFUSED or hint in (Decimal, uuid.UUID) or _is_enum(hint)


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, enum.EnumMeta)


def parse_scalar_class(
    cls: Any, path: str, metadata: Sequence[Any], findings: list[Finding]
) -> Union[ScalarHint, EncodedHint, None]:
    """Return the scalar of a class. The metadata of ``Annotated`` may limit the digits of a ``Decimal``."""
    if cls in LEAVES:
        return ScalarHint(LEAVES[cls], cls)
    if cls is uuid.UUID:
        return EncodedHint(ScalarHint(DataType.string, str), cls)
    if cls is Decimal:
        return _parse_decimal(path, metadata, findings)
    if _is_enum(cls):
        return _parse_members(cls, list(cls), path, findings)
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", cls.__name__, _REFUSED[cls]))
    return None


def _parse_decimal(path: str, metadata: Sequence[Any], findings: list[Finding]) -> EncodedHint | None:
    limits = list(_find_limits(metadata))
    digits = min((value for name, value in limits if name == "max_digits"), default=None)
    places = min((value for name, value in limits if name == "decimal_places"), default=None)
    if digits is not None and digits <= DOUBLE_DIGITS:
        return EncodedHint(ScalarHint(DataType.double, float), Decimal, (), digits, places)
    actual = "a Decimal without max_digits" if digits is None else f"a Decimal of {digits} digits"
    hint = (
        f"write Annotated[Decimal, pydantic.Field(max_digits={DOUBLE_DIGITS}, decimal_places=2)], "
        "or use float, or str for exact digits"
    )
    expected = f"a Decimal of at most {DOUBLE_DIGITS} digits, which a double holds"
    findings.append(Finding(Code.INVALID_VALUE, path, expected, actual, hint))
    return None


def _find_limits(metadata: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield the limits of digits in metadata, also inside a ``pydantic.Field``."""
    for item in metadata:
        for name in ("max_digits", "decimal_places"):
            value = getattr(item, name, None)
            if isinstance(value, int):
                yield name, value
        nested = getattr(item, "metadata", None)
        if isinstance(nested, (list, tuple)):
            yield from _find_limits(nested)


def parse_literal(
    choices: Sequence[Any], path: str, findings: list[Finding]
) -> Union[ScalarHint, EncodedHint, None]:
    """Return the scalar of a ``Literal``: of plain values of one type, or of members of one ``Enum``."""
    classes = set(map(type, choices))
    cls = next(iter(classes))
    if len(classes) == 1 and _is_enum(cls):
        return _parse_members(cls, list(choices), path, findings)
    if len(classes) == 1 and cls in (str, int, bool, bytes) and _are_in_range(choices):
        return ScalarHint(LEAVES[cls], cls, tuple(choices))
    expected = "a Literal of str, int, bool or bytes, all of one type"
    findings.append(Finding(Code.MIXED_TYPES, path, expected, _describe_values(choices)))
    return None


def _parse_members(cls: Any, members: list[Any], path: str, findings: list[Finding]) -> EncodedHint | None:
    values = [member.value for member in members]
    value_classes = set(map(type, values))
    value_class: Any = next(iter(value_classes), None)
    name = f"the Enum {cls.__name__}"
    if issubclass(cls, enum.Flag):
        hint = "flags can be combined to values without a member: use int"
        findings.append(Finding(Code.INVALID_VALUE, path, "an Enum other than Flag", name, hint))
    elif not members:
        findings.append(Finding(Code.INVALID_VALUE, path, "at least one member", f"{name} without members"))
    elif len(value_classes) == 1 and value_class in LEAVES and _are_in_range(values):
        return EncodedHint(ScalarHint(LEAVES[value_class], value_class), cls, tuple(members))
    else:
        expected = "an Enum of bool, int, float, str, bytes, date or datetime, all of one type"
        actual, hint = f"{name} with {_describe_values(values)}", "give all members values of one type"
        findings.append(Finding(Code.MIXED_TYPES, path, expected, actual, hint))
    return None


def _are_in_range(values: Sequence[Any]) -> bool:
    limit = 2 ** INTEGER_BITS[DataType.long]
    return all(-limit <= value < limit for value in values if isinstance(value, int))


def _describe_values(values: Sequence[Any]) -> str:
    names = " and ".join(sorted({type(value).__name__ for value in values}))
    return f"values of {names}" + ("" if _are_in_range(values) else " beyond 64 bits")
