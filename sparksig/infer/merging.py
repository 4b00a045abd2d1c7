"""Merging of the types of two examples into a common type."""

from __future__ import annotations

from sparksig.errors import Code, Finding, InferenceError
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type, describe
from sparksig.walks import zip_parts


def merge(x: Type, y: Type, path: str = "") -> Type:
    """Merge the types of two examples of the same column; the order of the two does not matter.

    Nothing is widened: integer and long do not merge. AnyType, the type of nulls and empty lists, merges with
    every type, but makes all properties of an object optional. A property that one type lacks becomes
    optional. A vector and an array of doubles become an array of doubles.

    Example:
        >>> merge(Array(AnyType()), Array("long"))
        Array(long)
    """
    if isinstance(x, AnyType):
        return _make_optional(y)
    if isinstance(y, AnyType):
        return _make_optional(x)
    if isinstance(x, Object) and isinstance(y, Object):
        return _merge_objects(x, y, path)
    if isinstance(x, Map) and isinstance(y, Map):
        return Map(merge(x.value_type, y.value_type, f"{path}[]"))
    if isinstance(x, SparkMLVector) and isinstance(y, SparkMLVector):
        return x
    if isinstance(x, Array) and isinstance(y, Array):
        return Array(merge(x.dtype, y.dtype, f"{path}[]"))
    if x == y:
        return x
    actual = f"{describe(x)} and {describe(y)}"
    finding = Finding(Code.MIXED_TYPES, path, "values of one type", actual, _suggest_cast(x, y))
    raise InferenceError.of("no single type covers all examples", [finding])


def _make_optional(dtype: Type) -> Type:
    if isinstance(dtype, Object):
        return Object([Property(prop.name, prop.dtype, required=False) for prop in dtype.properties])
    return dtype


def _merge_objects(x: Object, y: Object, path: str) -> Object:
    merged: list[Property] = []
    findings: list[Finding] = []
    for prop_path, x_prop, y_prop in zip_parts(x, y, path):
        try:
            merged.append(_merge_properties(x_prop, y_prop, prop_path))
        except InferenceError as error:
            findings += error.findings
    if findings:
        raise InferenceError.of("no single type covers all examples", findings)
    return Object(merged)


def _merge_properties(x: Property | None, y: Property | None, path: str) -> Property:
    if x is not None and y is not None:
        return Property(x.name, merge(x.dtype, y.dtype, path), x.required and y.required)
    prop = x or y
    assert prop is not None
    return Property(prop.name, prop.dtype, required=False)


def _suggest_cast(x: Type, y: Type) -> str:
    numbers = {DataType.integer, DataType.long, DataType.float, DataType.double}
    if x in numbers and y in numbers:
        return "make them one type explicitly before inferring: inference does not widen types"
    return ""
