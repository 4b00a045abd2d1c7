"""Dataclasses, TypedDicts and NamedTuples: their fields, and their instances as dictionaries."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

from sparksig.errors import Code, Finding, quote


@dataclasses.dataclass(frozen=True)
class RecordField:
    """A field of a record class."""

    name: str
    annotation: Any  # with the metadata of Annotated
    metadata: tuple[Any, ...] = ()  # stored by pydantic
    has_default: bool = False  # whether the class can be built without it
    may_be_absent: bool = False  # NotRequired: a dictionary may lack the key
    is_computed: bool = False  # by the class, which does not accept it as an argument


def get_record_kind(cls: Any) -> str:
    """Return "dataclass", "TypedDict" or "NamedTuple" for a record class, and "" for anything else.

    Example:
        >>> import typing
        >>> get_record_kind(typing.TypedDict("Trip", {"distance": float})), get_record_kind(int)
        ('TypedDict', '')
    """
    if not isinstance(cls, type) or get_origin(cls) is not None:  # in Python 3.10, list[int] is a type
        return ""
    if dataclasses.is_dataclass(cls):
        return "dataclass"
    if issubclass(cls, dict) and hasattr(cls, "__total__"):
        return "TypedDict"
    return "NamedTuple" if issubclass(cls, tuple) and hasattr(cls, "_fields") else ""


def is_record(cls: Any) -> bool:
    """Return whether a class is a dataclass, a TypedDict or a NamedTuple."""
    return bool(get_record_kind(cls))


def is_record_instance(value: Any, cls: Any) -> bool:
    """Return whether a value is an instance of a dataclass or a NamedTuple."""
    return get_record_kind(cls) != "TypedDict" and isinstance(value, cls)


def read_fields(cls: Any, path: str, findings: list[Finding]) -> list[RecordField]:
    """Return the fields of a record class, inherited ones included."""
    kind = get_record_kind(cls)
    try:
        hints = get_type_hints(cls, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        actual = f"the {kind} {cls.__name__} with an annotation that cannot be resolved: {error}"
        hint = "define its types at the top level of a module"
        findings.append(Finding(Code.INVALID_VALUE, path, "annotations that can be resolved", actual, hint))
        return []
    if kind == "TypedDict":
        return [_read_key(cls, name, hint) for name, hint in hints.items()]
    if kind == "NamedTuple":
        fields = [
            RecordField(name, hints.get(name), has_default=name in cls._field_defaults)
            for name in cls._fields
        ]
        untyped = [quote(field.name) for field in fields if field.name not in hints]
        if untyped:
            actual = f"the namedtuple {cls.__name__} without types ({', '.join(untyped)})"
            hint = "derive it from typing.NamedTuple"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "fields with types", actual, hint))
            return []
        return fields
    return [_read_field(cls, field, hints) for field in dataclasses.fields(cls)]


def _read_key(cls: Any, name: str, hint: Any) -> RecordField:
    # with postponed annotations, __optional_keys__ ignores NotRequired
    may_be_absent = name in getattr(cls, "__optional_keys__", ())
    while (qualifier := getattr(get_origin(hint), "_name", None)) in ("Required", "NotRequired", "ReadOnly"):
        if qualifier != "ReadOnly":
            may_be_absent = qualifier == "NotRequired"
        hint = get_args(hint)[0]
    return RecordField(name, hint, may_be_absent=may_be_absent)


def _read_field(cls: Any, field: dataclasses.Field[Any], hints: Mapping[str, Any]) -> RecordField:
    info = getattr(cls, "__pydantic_fields__", {}).get(field.name)  # of a dataclass of pydantic
    if info is not None:
        return RecordField(field.name, info.annotation, tuple(info.metadata), not info.is_required())
    missing = dataclasses.MISSING
    has_default = field.default is not missing or field.default_factory is not missing
    return RecordField(field.name, hints[field.name], has_default=has_default, is_computed=not field.init)


def find_obstacle(cls: Any, fields: list[RecordField]) -> str:
    """Return the reason why a dataclass cannot be built from its fields; empty if it can be built."""
    if get_record_kind(cls) != "dataclass":
        return ""
    names = {field.name for field in fields}
    parameters = inspect.signature(cls).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    other_names = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in variadic
        and parameter.name not in names
    ]
    if other_names:
        return f"whose constructor needs {', '.join(map(quote, other_names))}"
    accepts_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    rejected = sorted(names - {parameter.name for parameter in parameters})
    if accepts_any or not rejected:
        return ""
    return f"whose constructor does not accept {', '.join(map(quote, rejected))}"


def build_record(cls: Any, values: Mapping[str, Any], instance: Any = None) -> Any:
    """Build an instance of a record class.

    It copies an existing instance, if any, which preserves its other state.
    """
    kind = get_record_kind(cls)
    if kind == "TypedDict":
        return dict(values)
    if instance is None:
        return cls(**values)
    return dataclasses.replace(instance, **values) if kind == "dataclass" else instance._replace(**values)


# --- instances as dictionaries --------------------------------------------------------------------------

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


def unstructure(value: Any) -> Any:
    """Convert records and pydantic objects in a value to dictionaries.

    An ``Enum`` becomes its value, a ``UUID`` its text, and a tuple a list. A ``Decimal`` inside
    another value becomes a float if that is exact. Other values are returned unchanged.

    Example:
        >>> import typing
        >>> Trip = typing.NamedTuple("Trip", [("distance", float), ("days", tuple[int, ...])])
        >>> unstructure([Trip(1.5, (1, 2))])
        [{'distance': 1.5, 'days': [1, 2]}]
    """
    cls: Any = type(value)
    if cls in _PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return unstructure(value.value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if hasattr(cls, "model_fields"):
        return _convert_items(value.model_dump() if _has_serializers(cls) else _read_model(value))
    if dataclasses.is_dataclass(cls):
        return _convert_items({field.name: getattr(value, field.name) for field in dataclasses.fields(cls)})
    if isinstance(value, tuple) and hasattr(cls, "_fields"):
        return _convert_items(dict(zip(cls._fields, value)))
    if isinstance(value, (list, tuple)):
        if cls is list and _PLAIN.issuperset(map(type, value)):
            return value
        return [_convert_item(item) for item in value]
    if not isinstance(value, dict) or (cls is dict and _PLAIN.issuperset(map(type, value.values()))):
        return value
    return _convert_items(value)


@functools.lru_cache(maxsize=256)
def _has_serializers(cls: Any) -> bool:
    """Return whether a pydantic model has custom serializers."""
    decorators = cls.__pydantic_decorators__
    metadata = [item for info in cls.model_fields.values() for item in info.metadata]
    names = {type(item).__name__ for item in metadata}
    return bool(
        decorators.field_serializers
        or decorators.model_serializers
        or names & {"PlainSerializer", "WrapSerializer"}
    )


def _read_model(value: Any) -> dict[str, Any]:
    """Return the fields of a pydantic model; unlike ``model_dump``, this preserves NamedTuples."""
    cls = type(value)
    fields = [name for name, info in cls.model_fields.items() if not info.exclude]
    items = {name: getattr(value, name) for name in (*fields, *cls.model_computed_fields)}
    return items | (value.model_extra or {})


def _convert_items(items: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: _convert_item(item) for key, item in items.items()}


def _convert_item(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite() and Decimal(repr(float(value))) == value:
        return float(value)
    return unstructure(value)
