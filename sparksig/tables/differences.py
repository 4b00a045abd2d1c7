"""The exact types of tables: where two differ, and which widen to which without a loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparksig.errors import below
from sparksig.lattice import NULL, Decimal, Field, ListOf, MapOf, Scalar, Source, Struct, upper_bounds, widens
from sparksig.types import DataType

__all__ = ["Difference", "compare_fields", "is_lossless", "normalize", "nullable_parts", "required_fields"]


@dataclass(frozen=True)
class Difference:
    """A position at which an actual type is compared with a declared one.

    Attributes:
        path: the position.
        verdict: "same", "widened" (lossless, but not the same), "refused", "missing", "extra", or "key":
            keys of maps, which are not converted.
        expected: the declared field; None of an extra field.
        actual: the table's field; None of a missing field.
    """

    path: str
    verdict: str
    expected: Field | None
    actual: Field | None


def compare_fields(expected: Field, actual: Field, path: str) -> Iterator[Difference]:
    """Compare a field with the declared one: itself, if both are scalars, else everything inside.

    Example:
        >>> fields = Field("a", ListOf(Scalar("int64"))), Field("a", ListOf(Scalar("int32")))
        >>> [(part.path, part.verdict) for part in compare_fields(*fields, "a")]
        [('a[]', 'widened')]
    """
    declared, source = expected.source, actual.source
    if isinstance(declared, ListOf) and isinstance(source, ListOf):
        items = Field("", declared.item, declared.nullable), Field("", source.item, source.nullable)
        yield from compare_fields(*items, f"{path}[]")
    elif isinstance(declared, MapOf) and isinstance(source, MapOf):
        if normalize(declared.key) != normalize(source.key):
            yield Difference(f"{path}[]", "key", Field("", declared.key), Field("", source.key))
        values = Field("", declared.value, declared.nullable), Field("", source.value, source.nullable)
        yield from compare_fields(*values, f"{path}[]")
    elif isinstance(declared, Struct) and isinstance(source, Struct) and declared.kind == source.kind:
        yield from _compare_structs(declared, source, path)
    else:
        yield Difference(path, _compare_scalars(expected, source), expected, actual)


def _compare_scalars(expected: Field, source: Source) -> str:
    if normalize(expected.source) == normalize(source):
        return "same"
    if source == NULL and not expected.nullable:
        return "refused"
    return "widened" if is_lossless(source, expected.source) else "refused"


def _compare_structs(declared: Struct, source: Struct, path: str) -> Iterator[Difference]:
    actual = {part.name: part for part in source.fields}
    for part in declared.fields:
        where = below(path, part.name)
        if part.name in actual:
            yield from compare_fields(part, actual[part.name], where)
        else:
            yield Difference(where, "missing", part, None)
    names = {part.name for part in declared.fields}
    for part in source.fields:
        if part.name not in names:
            yield Difference(below(path, part.name), "extra", None, part)


def required_fields(field: Field, path: str) -> list[str]:
    """Return the paths that must have values where a field is missing, and its struct with it."""
    if not field.nullable:
        return [path]
    if not isinstance(field.source, Struct):
        return []
    return [inner for part in field.source.fields for inner in required_fields(part, below(path, part.name))]


def nullable_parts(expected: Field, actual: Field, path: str) -> Iterator[tuple[str, Field]]:
    """Yield the declared fields that must not be null where the actual ones may be, with their paths."""
    if actual.nullable and not expected.nullable:
        yield path, expected
    one, other = expected.source, actual.source
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        items = Field("", one.item, one.nullable), Field("", other.item, other.nullable)
        yield from nullable_parts(*items, f"{path}[]")
    elif isinstance(one, MapOf) and isinstance(other, MapOf):
        values = Field("", one.value, one.nullable), Field("", other.value, other.nullable)
        yield from nullable_parts(*values, f"{path}[]")
    elif isinstance(one, Struct) and isinstance(other, Struct):
        known = {part.name: part for part in other.fields}
        for part in one.fields:
            if part.name in known:
                yield from nullable_parts(part, known[part.name], below(path, part.name))


# --- one order of the exact types ---------------------------------------------------------------------------

_SAME = {
    "large_string": "string",
    "string_view": "string",
    "large_binary": "binary",
    "binary_view": "binary",
    "fixed_size_binary": "binary",
    "date64": "date32",
}
"""Types that every reader gives back alike."""


def normalize(source: Source) -> Source:
    """Return a type without what makes no difference: Arrow's layouts, lengths, and the order of fields.

    Example:
        >>> normalize(Scalar("large_string")) == normalize(Scalar("string_view"))
        True
    """
    if isinstance(source, Scalar):
        if source.native.startswith("interval"):
            return Scalar(source.native)
        name = (
            "time"
            if source.name.startswith("time[") or source.name[:6] in ("time32", "time64")
            else source.name
        )
        return Scalar(_SAME.get(name, name))
    if isinstance(source, ListOf):
        return ListOf(normalize(source.item))
    if isinstance(source, MapOf):
        return MapOf(normalize(source.key), normalize(source.value))
    if isinstance(source, Struct):
        parts = [Field(part.name, normalize(part.source)) for part in source.fields]
        return Struct(tuple(sorted(parts, key=lambda part: part.name)), source.kind)
    return source


_DIGITS = {
    "int8": 3,
    "int16": 5,
    "int32": 10,
    "int64": 19,
    "uint8": 3,
    "uint16": 5,
    "uint32": 10,
    "uint64": 20,
}
"""The decimal digits of the integer types."""

_OF_DECIMALS = {"int32": DataType.integer, "int64": DataType.long, "float64": DataType.double}


def is_lossless(source: Source, target: Source) -> bool:
    """Return whether a scalar type holds all values of another exactly, with the same meaning.

    Example:
        >>> is_lossless(Scalar("int32"), Scalar("int64")), is_lossless(Scalar("int64"), Scalar("float64"))
        (True, False)
        >>> is_lossless(Decimal(8, 1), Decimal(10, 2)), is_lossless(Scalar("date32"), Scalar("timestamp_tz"))
        (True, False)
    """
    if source == NULL:
        return True
    if isinstance(target, Decimal):
        digits = target.precision - target.scale
        if isinstance(source, Decimal):
            return target.scale >= source.scale and digits >= source.precision - source.scale
        return isinstance(source, Scalar) and digits >= _DIGITS.get(source.name, 99)
    if isinstance(source, Decimal):
        declared = _OF_DECIMALS.get(getattr(target, "name", ""))
        return declared is not None and widens(source, declared)
    if not isinstance(source, Scalar) or not isinstance(target, Scalar):
        return False
    one, other = normalize(source), normalize(target)
    assert isinstance(one, Scalar)
    assert isinstance(other, Scalar)
    if "timestamp_tz" in (one.name, other.name):
        return one.name == other.name
    return other.name in upper_bounds(one.name)
