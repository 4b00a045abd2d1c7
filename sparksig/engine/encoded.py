"""Conversion of plain values of a signature to instances of an Enum, a UUID or a Decimal."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

from sparksig.convert.scalar_hints import EncodedHint

_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def decode(value: Any, hint: EncodedHint) -> tuple[Any, str]:
    """Convert a plain value to an instance of a class; return it with the reason if it does not fit, else "".

    Example:
        >>> from sparksig.convert.annotations import parse_hint
        >>> decode("123e4567-e89b-12d3-a456-426614174000", parse_hint(uuid.UUID))
        (UUID('123e4567-e89b-12d3-a456-426614174000'), '')
    """
    if hint.cls is Decimal:
        return _decode_decimal(value, hint)
    if hint.cls is uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value, ""
        if not _UUID.fullmatch(value):
            return value, "a text that is not a UUID of 32 hexadecimal digits and 4 hyphens"
        return uuid.UUID(value), ""
    members = [member for member in hint.members if member is value or member.value == value]
    return (members[0], "") if members else (value, "another value")


def _decode_decimal(value: Any, hint: EncodedHint) -> tuple[Any, str]:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        return value, "a value that is not finite"
    digits, places = _count_digits(number)
    integer_digits = hint.max_digits - (hint.decimal_places or 0)
    if hint.decimal_places is not None and places > hint.decimal_places:
        return value, f"{places} digits after the point"
    if digits > hint.max_digits or (hint.decimal_places is not None and digits - places > integer_digits):
        return value, f"{digits - places} digits before the point and {places} after it"
    if number is value or hint.decimal_places is None:
        return number, ""
    return number.quantize(Decimal(1).scaleb(-hint.decimal_places)), ""


def _count_digits(number: Decimal) -> tuple[int, int]:
    """Return the number of digits of a number, and the number of digits after the decimal point."""
    _, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)
    if exponent >= 0:
        return (len(digits) + exponent if any(digits) else 1), 0
    return max(len(digits), -exponent), -exponent


def describe_digits(hint: EncodedHint) -> str:
    """Describe the digits of a Decimal; an empty text for another class.

    Example:
        >>> from decimal import Decimal
        >>> from sparksig.convert.scalar_hints import ScalarHint
        >>> from sparksig.types import DataType
        >>> describe_digits(EncodedHint(ScalarHint(DataType.double, float), Decimal, (), 9, 2))
        'a Decimal of at most 9 digits, 2 after the point'
    """
    if hint.cls is not Decimal:
        return ""
    places = "" if hint.decimal_places is None else f", {hint.decimal_places} after the point"
    return f"a Decimal of at most {hint.max_digits} digits{places}"
