"""Annotations of scalars -> scalar types: plain ones, and classes whose values are written as plain ones.

An ``Enum`` or a ``Literal`` has the type of its values, a ``UUID`` is a string, and a ``Decimal`` of at most
15 digits is a double, as a decimal column of that precision is.
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
from sparksig.scalars import INTEGER_BITS
from sparksig.types import DataType

__all__ = ["LEAVES", "Encoded", "Leaf", "is_scalar_class", "parse_literal", "parse_scalar_class"]


@dataclass(frozen=True)
class Leaf:
    """A scalar.

    Attributes:
        dtype: its type.
        python: the Python type of its values.
        choices: the only values allowed, of a ``Literal``; any, if empty.
    """

    dtype: DataType
    python: type
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """A scalar of a class of its own, whose values a signature has as another scalar.

    Attributes:
        leaf: the scalar of the signature.
        cls: the class of the values that the model receives: an ``Enum``, ``UUID`` or ``Decimal``.
        members: the members allowed, of an ``Enum``.
        max_digits: the number of digits, of a ``Decimal``.
        decimal_places: the number of digits after the point, of a ``Decimal``; None for any.
    """

    leaf: Leaf
    cls: type
    members: tuple[Any, ...] = ()
    max_digits: int = 0
    decimal_places: int | None = None


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

DOUBLE_DIGITS = 15
"""The number of decimal digits that a double holds exactly."""

_REFUSED: dict[Any, str] = {
    datetime.time: "no signature type holds a time of day: use datetime, or str in ISO 8601",
    datetime.timedelta: "no signature type holds a duration: use float for seconds, or int for microseconds",
    complex: "no signature type holds complex numbers: use two floats",
}


def is_scalar_class(hint: Any) -> bool:
    """Return whether :func:`parse_scalar_class` knows a class.

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
) -> Union[Leaf, Encoded, None]:
    """Return the scalar of a class.

    Args:
        cls: the class, for which :func:`is_scalar_class` is True.
        path: its path, for findings.
        metadata: the metadata of the ``Annotated`` around it, which may limit the digits of a ``Decimal``.
        findings: gets the reason where no scalar type holds all values.
    """
    if cls in LEAVES:
        return Leaf(LEAVES[cls], cls)
    if cls is uuid.UUID:
        return Encoded(Leaf(DataType.string, str), cls)
    if cls is Decimal:
        return _parse_decimal(path, metadata, findings)
    if _is_enum(cls):
        return _parse_members(cls, list(cls), path, findings)
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", cls.__name__, _REFUSED[cls]))
    return None


def _parse_decimal(path: str, metadata: Sequence[Any], findings: list[Finding]) -> Encoded | None:
    limits = list(_limits(metadata))
    digits = min((value for name, value in limits if name == "max_digits"), default=None)
    places = min((value for name, value in limits if name == "decimal_places"), default=None)
    if digits is not None and digits <= DOUBLE_DIGITS:
        return Encoded(Leaf(DataType.double, float), Decimal, (), digits, places)
    found = "a Decimal without max_digits" if digits is None else f"a Decimal of {digits} digits"
    hint = (
        f"write Annotated[Decimal, pydantic.Field(max_digits={DOUBLE_DIGITS}, decimal_places=2)], "
        "or use float, or str for exact digits"
    )
    expected = f"a Decimal of at most {DOUBLE_DIGITS} digits, which a double holds"
    findings.append(Finding(Code.INVALID_VALUE, path, expected, found, hint))
    return None


def _limits(metadata: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield the limits of digits in metadata: pydantic's own, and those in a ``pydantic.Field``."""
    for item in metadata:
        for name in ("max_digits", "decimal_places"):
            value = getattr(item, name, None)
            if isinstance(value, int):
                yield name, value
        nested = getattr(item, "metadata", None)
        if isinstance(nested, (list, tuple)):
            yield from _limits(nested)


def parse_literal(choices: Sequence[Any], path: str, findings: list[Finding]) -> Union[Leaf, Encoded, None]:
    """Return the scalar of a ``Literal``: of plain values of one type, or of members of one ``Enum``.

    Args:
        choices: its values, without None.
        path: its path, for findings.
        findings: gets the reason where they have no scalar type.
    """
    forms = set(map(type, choices))
    form = next(iter(forms))
    if len(forms) == 1 and _is_enum(form):
        return _parse_members(form, list(choices), path, findings)
    if len(forms) == 1 and form in (str, int, bool, bytes) and _are_in_range(choices):
        return Leaf(LEAVES[form], form, tuple(choices))
    expected = "a Literal of str, int, bool or bytes, all of one type"
    findings.append(Finding(Code.MIXED_TYPES, path, expected, _describe_values(choices)))
    return None


def _parse_members(cls: Any, members: list[Any], path: str, findings: list[Finding]) -> Encoded | None:
    values = [member.value for member in members]
    forms = set(map(type, values))
    form = next(iter(forms), None)
    name = f"the Enum {cls.__name__}"
    if issubclass(cls, enum.Flag):
        hint = "a combination of flags is no member: use int"
        findings.append(Finding(Code.INVALID_VALUE, path, "an Enum, one member a value", name, hint))
    elif not members:
        findings.append(Finding(Code.INVALID_VALUE, path, "at least one member", f"{name} without members"))
    elif len(forms) == 1 and form is not None and form in LEAVES and _are_in_range(values):
        return Encoded(Leaf(LEAVES[form], form), cls, tuple(members))
    else:
        expected = "an Enum of bool, int, float, str, bytes, date or datetime, all of one type"
        found, hint = f"{name} with {_describe_values(values)}", "give all members values of one type"
        findings.append(Finding(Code.MIXED_TYPES, path, expected, found, hint))
    return None


def _are_in_range(values: Sequence[Any]) -> bool:
    limit = 2 ** INTEGER_BITS[DataType.long]
    return all(-limit <= value < limit for value in values if isinstance(value, int))


def _describe_values(values: Sequence[Any]) -> str:
    names = " and ".join(sorted({type(value).__name__ for value in values}))
    return f"values of {names}" + ("" if _are_in_range(values) else " beyond 64 bits")
