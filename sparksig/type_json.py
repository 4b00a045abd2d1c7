"""Parser of the JSON of types, including the JSON of older versions of MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparksig.errors import Code, Finding, SignatureError, below, name_type, suggest
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type

_OWN_KEYS = {"array": ("items",), "map": ("values",), "object": ("properties",)}
"""The keys of a type's JSON in addition to ``type``."""


def parse_type(data: object, path: str = "", depth: int = 0, other_keys: Sequence[str] = ()) -> Type:
    """Parse the JSON built-ins of a type."""
    if depth >= MAX_DEPTH:
        raise build_json_error(path, f"at most {MAX_DEPTH} levels of nesting", "more")
    if not isinstance(data, Mapping):
        raise build_json_error(path, 'a JSON object with the key "type"', name_type(data))
    if "type" not in data:
        raise build_json_error(path, 'the key "type"', f"keys {sorted(map(str, data))}", Code.MISSING_KEY)
    name = data["type"]
    if not isinstance(name, str):
        raise build_json_error(path, "the name of a type", name_type(name))
    if name not in DataType.__members__ and name not in _PARSERS:
        names = ", ".join((*DataType.__members__, *_PARSERS))
        raise build_json_error(path, f"one of {names}", repr(name)[:80])
    findings = find_unknown_keys(data, ("type", *_OWN_KEYS.get(name, ()), *other_keys), path)
    try:
        dtype = DataType[name] if name in DataType.__members__ else _PARSERS[name](data, path, depth)
    except SignatureError as error:
        if not findings:
            raise
        findings += error.findings
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return dtype


def find_unknown_keys(data: Mapping[str, Any], valid_keys: Sequence[str], path: str) -> list[Finding]:
    """Return a finding for each unknown key, with the most similar known key.

    Example:
        >>> print(*find_unknown_keys({"type": "long", "nmae": "x"}, ("type", "name"), ""))
        nmae: expected one of the keys type, name, got an unknown key (did you mean 'name'?) [UNKNOWN_KEY]
    """
    expected = f"one of the keys {', '.join(valid_keys)}"
    return [
        Finding(
            Code.UNKNOWN_KEY, below(path, str(key)[:80]), expected, "an unknown key", suggest(key, valid_keys)
        )
        for key in data
        if key not in valid_keys
    ]


def parse_field(
    data: object, path: str = "", depth: int = 0, other_keys: Sequence[str] = ()
) -> tuple[Type, bool]:
    """Parse a column or property: its type, and whether it is required.

    An absent ``required`` means True, and so does null, which MLflow writes for an absent key. MLflow 2.5 to
    2.9 wrote ``optional`` instead.
    """
    findings: list[Finding] = []
    dtype: Type = AnyType()
    try:
        dtype = parse_type(data, path, depth, ("required", "optional", *other_keys))
    except SignatureError as error:
        if not error.findings:
            raise
        findings += error.findings
    required = True
    if isinstance(data, Mapping):
        required = _parse_required(data, path, findings)
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return dtype, required


def _parse_required(data: Mapping[str, Any], path: str, findings: list[Finding]) -> bool:
    required = data.get("required")
    if required is not None and not isinstance(required, bool):
        findings.append(
            Finding(Code.INVALID_VALUE, below(path, "required"), "true or false", name_type(required))
        )
    if "optional" not in data:
        return required is not False
    key_path, optional = below(path, "optional"), data["optional"]
    if "required" in data:
        hint = "remove optional, the key of MLflow 2.5 to 2.9"
        findings.append(Finding(Code.INVALID_VALUE, key_path, "either required or optional", "both", hint))
    elif not isinstance(optional, bool):
        findings.append(Finding(Code.INVALID_VALUE, key_path, "true or false", name_type(optional)))
    return optional is not True


def _parse_array(data: Mapping[str, Any], path: str, depth: int) -> Array:
    if "items" not in data:
        raise build_json_error(path, 'the key "items"', "an array without items", Code.MISSING_KEY)
    return Array(parse_type(data["items"], f"{path}[]", depth + 1))


def _parse_map(data: Mapping[str, Any], path: str, depth: int) -> Map:
    if "values" not in data:
        raise build_json_error(path, 'the key "values"', "a map without values", Code.MISSING_KEY)
    return Map(parse_type(data["values"], f"{path}[]", depth + 1))


def _parse_object(data: Mapping[str, Any], path: str, depth: int) -> Object:
    members = data.get("properties")
    if not isinstance(members, Mapping) or not members:
        raise build_json_error(
            path,
            'the key "properties" with at least one property',
            name_type(members) if members is not None else "an object without properties",
        )
    properties: list[Property] = []
    findings: list[Finding] = []
    for name, body in members.items():
        try:
            properties.append(parse_property(name, body, below(path, name), depth))
        except SignatureError as error:
            findings += error.findings
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return Object(properties)


def parse_property(name: object, body: object, path: str, depth: int) -> Property:
    """Parse the JSON of a property of an Object."""
    if not isinstance(name, str):
        raise build_json_error(path, "a string as the property's name", name_type(name))
    return Property(name, *parse_field(body, path, depth + 1))


_PARSERS: dict[str, Callable[[Mapping[str, Any], str, int], Type]] = {
    "array": _parse_array,
    "object": _parse_object,
    "map": _parse_map,
    "any": lambda data, path, depth: AnyType(),
    "sparkml_vector": lambda data, path, depth: SparkMLVector(),
}


def build_json_error(
    path: str, expected: str, actual: str, code: Code = Code.INVALID_VALUE
) -> SignatureError:
    """Build the error for malformed JSON at a path."""
    return SignatureError.of("malformed signature JSON", [Finding(code, path, expected, actual)])
