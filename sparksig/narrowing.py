"""The casting table in the other direction: the narrowest signature type for each source type."""

from __future__ import annotations

from sparksig.errors import Code, Finding, SignatureError, below, shorten
from sparksig.lattice import (
    DECIMAL_DIGITS,
    NULL,
    Decimal,
    ListOf,
    MapOf,
    Source,
    Struct,
    find_duplicate_fields,
    is_scalar_source,
    suggest_cast,
    widens,
)
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type

_EXPECTED = "a supported type"


def find_narrowest_type(source: Source, path: str, findings: list[Finding]) -> Type | None:
    """Return the narrowest signature type that holds all values of a source type, or None.

    The null type gives AnyType.

    Example:
        >>> from sparksig.lattice import Scalar
        >>> find_narrowest_type(ListOf(Scalar("int8")), "a", [])
        Array(integer)
    """
    try:
        return _narrow(source, path, findings)
    except (SignatureError, RecursionError):  # the only reason is the depth of composites
        expected = f"at most {MAX_DEPTH} levels of nesting"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, shorten(path), expected, "more"))
        return None


def _narrow(source: Source, path: str, findings: list[Finding]) -> Type | None:
    if source == NULL:
        return AnyType()
    if isinstance(source, ListOf):
        item = _narrow(source.item, f"{path}[]", findings)
        return None if item is None else Array(item)
    if isinstance(source, MapOf):
        return _narrow_map(source, path, findings)
    if isinstance(source, Struct):
        return _narrow_struct(source, path, findings)
    for target in DataType:
        if is_scalar_source(source, target):
            return target
    if isinstance(source, Decimal):
        integer_digits, double_digits = DECIMAL_DIGITS[DataType.long], DECIMAL_DIGITS[DataType.double]
        hint = (
            f"signatures support {integer_digits} digits without a fraction, or {double_digits} with one: "
            "reduce the precision, or cast it to double explicitly"
        )
    else:
        hint = suggest_cast(source, DataType.long)
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, _EXPECTED, shorten(str(source)), hint))
    return None


def build_null_finding(path: str) -> Finding:
    """Build the finding for a column or field of the null type that is not nullable."""
    hint = "it holds only nulls: make it nullable, or cast it to its type"
    return Finding(Code.UNSUPPORTED_TYPE, path, _EXPECTED, "the null type, not nullable", hint)


def _narrow_map(source: MapOf, path: str, findings: list[Finding]) -> Type | None:
    value = _narrow(source.value, f"{path}[]", findings)
    if not widens(source.key, DataType.string):
        hint = "the keys of a map must be strings"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "map<string, ...>", shorten(str(source)), hint))
        return None
    return None if value is None else Map(value)


def _narrow_struct(source: Struct, path: str, findings: list[Finding]) -> Type | None:
    if source.kind:
        return SparkMLVector() if source.kind == "vector" else AnyType()
    count = len(findings)
    findings += find_duplicate_fields([part.name for part in source.fields], path)
    if not source.fields:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a struct with fields", "no field"))
    properties = []
    for part in source.fields:
        where = below(path, part.name)
        if part.source == NULL and not part.nullable:
            findings.append(build_null_finding(where))
        dtype = _narrow(part.source, where, findings)
        if dtype is not None:
            properties.append(Property(part.name, dtype, required=not part.nullable))
    return Object(properties) if len(findings) == count else None
