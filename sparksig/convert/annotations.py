"""Conversion of Python annotations to types: the type hints of ``predict``, and the fields of records.

The mapping follows MLflow: an int becomes a long, a date a datetime, and a float a double. In a dataclass
whose fields become columns, a float becomes a float instead. A type hint is parsed to a tree
(:data:`sparksig.convert.hint_tree.Hint`), which determines the type and the checks of values.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

from sparksig.convert.hint_tree import (
    AnyHint,
    ConstrainedHint,
    DictHint,
    FieldHint,
    Hint,
    ListHint,
    ModelHint,
    RecordHint,
    UnionHint,
    format_hint,
    get_type,
    is_nullable,
)
from sparksig.convert.records import RecordField, find_obstacle, get_record_kind, is_record, read_fields
from sparksig.convert.scalar_hints import is_scalar_class, parse_literal, parse_scalar_class
from sparksig.errors import Code, ConversionError, Finding, SignatureError, below
from sparksig.schema import ColSpec, Schema
from sparksig.types import MAX_DEPTH, DataType

_ADVICE = (
    "use bool, int, float, str, bytes, date, datetime, UUID, Decimal, an Enum, list[...], tuple[X, ...], "
    "dict[str, ...], a pydantic model, a dataclass, a TypedDict, a NamedTuple, "
    "or Optional, Union or Any of these"
)


def from_hint(hint: Any) -> Schema:
    """Convert a type hint ``list[X]`` to a schema of one unnamed column of X; each element is a row.

    Example:
        >>> from_hint(list[dict[str, int]]).to_json()
        '[{"type": "map", "values": {"type": "long"}, "required": true}]'
    """
    return Schema([ColSpec(get_type(parse_input_hint(hint).item))])


def parse_input_hint(hint: Any) -> ListHint:
    """Parse the type hint of a model's input, which must be ``list[X]``; each element is a row.

    Raises:
        ConversionError: the hint cannot be used as a contract. A finding has the code UNSUPPORTED_TYPE if a
            type is not supported, MIXED_TYPES if the elements of a tuple or a Literal have several types, and
            INVALID_VALUE if the hint is incomplete or contradicts itself.
    """
    findings: list[Finding] = []
    parsed = None
    if hint is list or get_origin(hint) is list:
        parsed = _parse(hint, "", (), findings)
        if isinstance(parsed, ListHint) and is_nullable(parsed.item):
            advice = "an unnamed column must be required: use a pydantic model with an optional field"
            findings.append(Finding(Code.INVALID_VALUE, "[]", "elements that are not Optional", hint=advice))
    else:
        advice = "the rows are the elements of a list: wrap it in list[...]"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, "", "list[...]", format_hint(hint), advice))
    if findings or not isinstance(parsed, ListHint):
        raise ConversionError.of(f"the type hint {format_hint(hint)} cannot be used as a contract", findings)
    return parsed


def parse_hint(hint: Any) -> Hint:
    """Parse any type hint, such as that of a model's output.

    Example:
        >>> get_type(parse_hint(dict[str, list[float]])).to_dict()["values"]
        {'type': 'array', 'items': {'type': 'double'}}
    """
    findings: list[Finding] = []
    parsed = _parse(hint, "", (), findings)
    if findings or parsed is None:
        raise ConversionError.of(f"the type hint {format_hint(hint)} cannot be used as a contract", findings)
    return parsed


def _parse(
    hint: Any, path: str, outer: tuple[Any, ...], findings: list[Finding], metadata: tuple[Any, ...] = ()
) -> Hint | None:
    """Parse an annotation at a path; add the problems to ``findings``.

    Args:
        hint: the annotation.
        path: its path.
        outer: the annotations that contain it, the outermost first.
        findings: the list of problems.
        metadata: the metadata of an ``Annotated`` around it.
    """
    hint = getattr(hint, "__value__", hint)  # of `type Name = ...`
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return AnyHint()
    if is_scalar_class(hint):
        return parse_scalar_class(hint, path, metadata, findings)
    if len(outer) >= MAX_DEPTH:
        findings.append(Finding(Code.INVALID_VALUE, path[:200], f"at most {MAX_DEPTH} levels", "more"))
        return None
    if hint in (list, dict) or origin in (list, dict):
        return _parse_container(origin or hint, args, path, outer, findings)
    if origin is tuple:
        return _parse_tuple(hint, args, path, outer, findings)
    if origin in (Union, types.UnionType) or hint in (Union, Optional):
        return _parse_union(args, path, outer, findings, metadata)
    if origin is Annotated:
        inner = _parse(args[0], path, outer, findings, (*metadata, *args[1:]))
        return None if inner is None else ConstrainedHint(inner, _has_raw_validator(args[1:]))
    if origin is Literal:
        return _parse_literal(args, path, findings)
    if _is_model(hint):
        return _parse_model(hint, path, outer, findings)
    if is_record(hint):
        return _parse_record(hint, path, outer, findings)
    findings.append(
        Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", format_hint(hint), _get_advice(hint))
    )
    return None


def _get_advice(hint: Any) -> str:
    if (get_origin(hint) or hint) in (set, frozenset):
        items = format_hint(get_args(hint)[0]) if get_args(hint) else "..."
        return f"a signature has no sets: use list[{items}], and make it a set in the model"
    if hint is tuple:
        return "add the types of its elements, for example tuple[float, ...]"
    return _ADVICE


def _parse_container(
    origin: Any, args: Sequence[Any], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> Hint | None:
    expected = "list[...]" if origin is list else "dict[str, ...]"
    if len(args) != (1 if origin is list else 2):
        actual = f"{origin.__name__} with {len(args)} types" if args else f"a bare {origin.__name__}"
        findings.append(Finding(Code.INVALID_VALUE, path, expected, actual, "add the type of its elements"))
        return None
    if origin is dict and args[0] is not str:
        actual = f"keys of type {format_hint(args[0])}"
        findings.append(
            Finding(Code.INVALID_VALUE, path, expected, actual, "use str: JSON has no other keys")
        )
    inner = _parse(args[-1], f"{path}[]", (*outer, origin), findings)
    if inner is None:
        return None
    return ListHint(inner, _for_pydantic(args[0])) if origin is list else DictHint(inner)


def _parse_tuple(
    hint: Any, args: Sequence[Any], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> Hint | None:
    """Parse a tuple whose elements have the same type: ``tuple[X, ...]`` or ``tuple[X, X]``."""
    items = list(args[:1]) if len(args) == 2 and args[1] is Ellipsis else list(args)
    advice = "use a NamedTuple or a dataclass, whose fields can have different types"
    if not items:
        findings.append(Finding(Code.INVALID_VALUE, path, "tuple[X, ...]", "a tuple without elements"))
        return None
    if any(item != items[0] for item in items):
        expected = "a tuple of elements of one type"
        findings.append(Finding(Code.MIXED_TYPES, path, expected, format_hint(hint), advice))
        return None
    inner = _parse(items[0], f"{path}[]", (*outer, tuple), findings)
    if inner is None:
        return None
    length = None if len(items) < len(args) else len(items)
    return ListHint(inner, _for_pydantic(items[0]), tuple, length)


def _for_pydantic(annotation: Any) -> Any:
    """Replace records in an annotation by Any: they are built before pydantic validates the other parts."""
    annotation = getattr(annotation, "__value__", annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if is_record(annotation):
        return Any
    if origin is Annotated:
        return Annotated[(_for_pydantic(args[0]), *args[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_for_pydantic, args))]
    if origin in (list, dict, tuple):
        return origin[tuple(arg if arg is Ellipsis else _for_pydantic(arg) for arg in args)]
    return annotation


def _parse_union(
    args: Sequence[Any],
    path: str,
    outer: tuple[Any, ...],
    findings: list[Finding],
    metadata: tuple[Any, ...] = (),
) -> Hint | None:
    if not args:
        findings.append(Finding(Code.INVALID_VALUE, path, "a union of types", "a bare Union"))
        return None
    nullable = type(None) in args
    members = [arg for arg in args if arg is not type(None)]
    parsed = [_parse(member, path, (*outer, Union), findings, metadata) for member in members]
    hints = tuple(hint for hint in parsed if hint is not None)
    return UnionHint(hints, nullable) if len(hints) == len(members) else None


def _parse_literal(choices: Sequence[Any], path: str, findings: list[Finding]) -> Hint | None:
    values = [choice for choice in choices if choice is not None]
    if not values:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a Literal of values", "only None"))
        return None
    scalar = parse_literal(values, path, findings)
    return UnionHint((scalar,), nullable=True) if scalar and len(values) < len(choices) else scalar


def _is_model(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")  # a program with a pydantic model has imported pydantic
    if pydantic is None or not isinstance(hint, type) or isinstance(hint, types.GenericAlias):
        return False  # in Python 3.10, list[int] is an instance of type
    return issubclass(hint, pydantic.BaseModel) and not issubclass(hint, pydantic.RootModel)


def _parse_model(cls: Any, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> Hint | None:
    if _is_recursive(cls, "model", path, outer, findings):
        return None
    cls.model_rebuild(raise_errors=False)  # resolve references to models that are defined later
    if not cls.model_fields:
        actual = f"the model {cls.__name__}, which has no field"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "at least one field", actual))
        return None
    fields: list[FieldHint] = []
    validators = cls.__pydantic_decorators__.field_validators.values()
    raw_fields = {
        name for validator in validators if validator.info.mode != "after" for name in validator.info.fields
    }
    for name, info in cls.model_fields.items():
        field_path = below(path, name)
        # pydantic stores the metadata of an Annotated field separately, and checks it
        parsed = _parse(info.annotation, field_path, (*outer, cls), findings, tuple(info.metadata))
        nullable = parsed is not None and is_nullable(parsed)
        if nullable and info.is_required():
            advice = "an optional property may be absent: give it the default None"
            findings.append(
                Finding(Code.INVALID_VALUE, field_path, "a default for an Optional field", hint=advice)
            )
        if parsed is not None:
            raw = _has_raw_validator(info.metadata) or bool({name, "*"} & raw_fields)
            fields.append(FieldHint(name, get_keys(name, info), parsed, not nullable, raw))
    if len(fields) < len(cls.model_fields):
        return None
    modes = {validator.info.mode for validator in cls.__pydantic_decorators__.model_validators.values()}
    return ModelHint(cls, tuple(fields), bool(modes & {"before", "wrap"}))


def _is_recursive(cls: Any, kind: str, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> bool:
    """Return whether a class contains itself, which is reported in ``findings``."""
    if cls in outer:
        actual, hint = f"the {kind} {cls.__name__} inside itself", "a signature has no recursive types"
        findings.append(Finding(Code.INVALID_VALUE, path, "a type of finite depth", actual, hint))
    return cls in outer


def _has_raw_validator(metadata: Sequence[Any]) -> bool:
    names = {type(item).__name__ for item in metadata}
    return bool(names & {"BeforeValidator", "PlainValidator", "WrapValidator"})


def get_keys(name: str, info: Any) -> tuple[str, ...]:
    """Return the keys from which pydantic reads a field; empty if it uses an alias path."""
    alias = info.validation_alias or info.alias
    if alias is None:
        return (name,)
    return tuple(choice for choice in getattr(alias, "choices", [alias]) if isinstance(choice, str))


# --- records --------------------------------------------------------------------------------------------


def from_record(cls: Any) -> Schema:
    """Convert the fields of a dataclass, a TypedDict or a NamedTuple to the columns of a schema.

    A nested record is an Object, ``list[X]`` is an Array of X; ``Optional[X]`` and ``NotRequired[X]`` make
    a column or a property optional. A float of a dataclass is a float, as in MLflow.

    Raises:
        ConversionError: fields that are not supported, or a record that contains itself.
        SignatureError: the record has no field.

    Example:
        >>> import dataclasses
        >>> @dataclasses.dataclass
        ... class Order:
        ...     id: int
        ...     note: str | None = None
        >>> from_record(Order)
        ['id': long (required), 'note': string (optional)]
    """
    kind, findings = get_record_kind(cls), list[Finding]()
    fields = _parse_fields(read_fields(cls, "", findings), "", (cls,), findings)
    if findings:
        raise ConversionError.of(f"no signature for the {kind} {cls.__name__}", findings)
    if not fields:
        raise SignatureError(f"the {kind} {cls.__name__} has no field: a schema needs at least one column")
    floats = DataType.float if kind == "dataclass" else DataType.double
    return Schema([ColSpec(get_type(field.hint, floats), field.name, field.required) for field in fields])


def _parse_record(cls: Any, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> Hint | None:
    kind = get_record_kind(cls)
    if _is_recursive(cls, kind, path, outer, findings):
        return None
    name, count = f"the {kind} {cls.__name__}", len(findings)
    declared = [field for field in read_fields(cls, path, findings) if not field.is_computed]
    fields = _parse_fields(declared, path, (*outer, cls), findings)
    if not declared:
        if len(findings) == count:
            actual = f"{name}, which has no field"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "at least one field", actual))
    elif obstacle := find_obstacle(cls, declared):
        expected = "a dataclass that can be built from its fields"
        findings.append(Finding(Code.INVALID_VALUE, path, expected, f"{name}, {obstacle}"))
    return RecordHint(cls, tuple(fields)) if len(findings) == count else None


def _parse_fields(
    declared: Sequence[RecordField], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> list[FieldHint]:
    fields: list[FieldHint] = []
    for field in declared:
        hint = _parse(field.annotation, below(path, field.name), outer, findings, field.metadata)
        if hint is None:
            continue
        nullable = is_nullable(hint)
        absent = "none" if nullable else "error"
        if field.may_be_absent or field.has_default:
            absent = "omit" if field.may_be_absent else "default"
        annotation = _for_pydantic(field.annotation)
        required = not (nullable or field.may_be_absent)
        fields.append(FieldHint(field.name, (field.name,), hint, required, False, annotation, absent))
    return fields
