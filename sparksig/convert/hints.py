"""Python annotations -> types: type hints of a model's predict, and records, whose fields become columns.

The mapping is MLflow's where MLflow has one. An int is a long and a date a datetime; a float is a double, but
a float in a dataclass whose fields are columns. A type hint is first parsed into a small tree (:data:`Hint`),
which says the type (:func:`type_of`) and by which values are checked (:mod:`sparksig.engine.hints`).
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

from sparksig.convert.records import RecordField, find_obstacle, is_record, read_fields, record_kind
from sparksig.convert.scalar_hints import (
    Encoded,
    Leaf,
    is_scalar_class,
    parse_literal,
    parse_scalar_class,
)
from sparksig.errors import Code, ConversionError, Finding, SignatureError, below
from sparksig.schema import ColSpec, Schema
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, Type

__all__ = [
    "Anything",
    "Dictionary",
    "Either",
    "Encoded",
    "Field",
    "Hint",
    "Leaf",
    "Listing",
    "Model",
    "Record",
    "from_hint",
    "from_record",
    "is_frame",
    "keys_of",
    "name_of",
    "parse",
    "parse_input",
    "type_of",
]

# --- type hints: the tree -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Anything:
    """Any value at all."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """A list or a tuple of elements of one type.

    Attributes:
        item: what each element is.
        annotation: the annotation of the elements for pydantic.
        form: list or tuple, the class of the values that the model receives.
        length: the number of elements, of a tuple that has one.
    """

    item: Hint
    annotation: Any = dataclasses.field(default=None, compare=False)
    form: type = list
    length: int | None = None


@dataclasses.dataclass(frozen=True)
class Dictionary:
    """``dict[str, ...]``."""

    value: Hint


@dataclasses.dataclass(frozen=True)
class Either:
    """A union: one of its members, or None where it is nullable."""

    members: tuple[Hint, ...]
    nullable: bool


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a pydantic model or of a record.

    Attributes:
        name: its name.
        keys: those that pydantic reads it from: its name, or aliases.
        hint: what it holds.
        required: whether the signature requires it.
        raw: whether a validator of the user sees its value before pydantic does.
        annotation: its annotation for pydantic, of a record.
        absent: the effect of an absent value, of a record: "error", "default" (that of the class), "none" (it
            is None), or "omit" (the dictionary has no such key).
    """

    name: str
    keys: tuple[str, ...]
    hint: Hint
    required: bool
    raw: bool = False
    annotation: Any = dataclasses.field(default=None, compare=False)
    absent: str = "error"


@dataclasses.dataclass(frozen=True)
class Model:
    """A pydantic model; ``raw`` if a validator of the user sees the whole of it before pydantic does."""

    cls: Any
    fields: tuple[Field, ...]
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class Record:
    """A dataclass, a TypedDict or a NamedTuple."""

    cls: Any
    fields: tuple[Field, ...]


@dataclasses.dataclass(frozen=True)
class Constrained:
    """``Annotated``: what pydantic validates further; ``raw`` as of a field."""

    hint: Hint
    raw: bool = False


Hint = Union[Leaf, Encoded, Anything, Listing, Dictionary, Either, Model, Record, Constrained]

_ADVICE = (
    "use bool, int, float, str, bytes, date, datetime, UUID, Decimal, an Enum, list[...], tuple[X, ...], "
    "dict[str, ...], a pydantic model, a dataclass, a TypedDict, a NamedTuple, "
    "or Optional, Union or Any of these"
)


def from_hint(hint: Any) -> Schema:
    """The schema of a type hint ``list[X]``: one unnamed column of X, one element a row.

    Raises:
        ConversionError: no list, or parts that no type covers; each as a finding with its path.

    Example:
        >>> from_hint(list[dict[str, int]]).to_json()
        '[{"type": "map", "values": {"type": "long"}, "required": true}]'
    """
    return Schema([ColSpec(type_of(parse_input(hint).item))])


def parse_input(hint: Any) -> Listing:
    """The tree of a hint for a model's input, which must be ``list[X]``: one element a row.

    Raises:
        ConversionError: as :func:`from_hint`. Findings are UNSUPPORTED_TYPE where the hint is well
            formed but no contract, INVALID_VALUE where it says nothing or contradicts itself.
    """
    findings: list[Finding] = []
    parsed = None
    if hint is list or get_origin(hint) is list:
        parsed = _parse(hint, "", (), findings)
        if isinstance(parsed, Listing) and _is_nullable(parsed.item):
            advice = "a column without a name must be required: use a pydantic model with an optional field"
            findings.append(Finding(Code.INVALID_VALUE, "[]", "elements that are not Optional", hint=advice))
    else:
        advice = "the rows are the elements of a list: wrap it in list[...]"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, "", "list[...]", name_of(hint), advice))
    if findings or not isinstance(parsed, Listing):
        raise ConversionError.of(f"the type hint {name_of(hint)} is no contract", findings)
    return parsed


def parse(hint: Any) -> Hint:
    """The tree of any hint, as of a model's output.

    Raises:
        ConversionError: parts that no type covers; each as a finding with its path.

    Example:
        >>> type_of(parse(dict[str, list[float]])).to_dict()["values"]
        {'type': 'array', 'items': {'type': 'double'}}
    """
    findings: list[Finding] = []
    parsed = _parse(hint, "", (), findings)
    if findings or parsed is None:
        raise ConversionError.of(f"the type hint {name_of(hint)} is no contract", findings)
    return parsed


def type_of(hint: Hint, floats: DataType = DataType.double) -> Type:
    """Return the type of a hint's values. That an element or a value may be None is not part of a type.

    Args:
        hint: the tree of the hint.
        floats: the type of a Python float.
    """
    if isinstance(hint, Encoded):
        return hint.leaf.dtype
    if isinstance(hint, Leaf):
        return floats if hint.python is float else hint.dtype
    if isinstance(hint, Listing):
        return Array(type_of(hint.item, floats))
    if isinstance(hint, Dictionary):
        return Map(type_of(hint.value, floats))
    if isinstance(hint, (Model, Record)):
        members = [(field.name, type_of(field.hint, floats), field.required) for field in hint.fields]
        return Object([Property(*member) for member in members])
    if isinstance(hint, Constrained):
        return type_of(hint.hint, floats)
    if isinstance(hint, Either) and len(hint.members) == 1:
        return type_of(hint.members[0], floats)
    return AnyType()


_FRAMES = {
    "pandas": ("DataFrame", "Series"),
    "numpy": ("ndarray",),
    "scipy": ("csr_matrix", "csc_matrix", "csr_array", "csc_array"),
}


def is_frame(hint: Any) -> bool:
    """Whether a hint names a container whose columns it does not say, as ``pandas.DataFrame``."""
    cls = get_origin(hint) or hint
    known = _FRAMES.get(getattr(cls, "__module__", "").partition(".")[0], ())
    return isinstance(cls, type) and cls.__name__ in known


def name_of(hint: Any) -> str:
    """A hint as one writes it.

    Example:
        >>> name_of(list[int]), name_of(str)
        ('list[int]', 'str')
    """
    return (
        hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    )


# --- type hints: parsing --------------------------------------------------------------------------------


def _parse(
    hint: Any, path: str, outer: tuple[Any, ...], findings: list[Finding], metadata: tuple[Any, ...] = ()
) -> Hint | None:
    """Parse an annotation; ``metadata`` is that of the ``Annotated`` around it."""
    hint = getattr(hint, "__value__", hint)  # of `type Name = ...`
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return Anything()
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
        return None if inner is None else Constrained(inner, _sees_raw(args[1:]))
    if origin is Literal:
        return _parse_literal(args, path, findings)
    if _is_model(hint):
        return _parse_model(hint, path, outer, findings)
    if is_record(hint):
        return _parse_record(hint, path, outer, findings)
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", name_of(hint), _advice(hint)))
    return None


def _advice(hint: Any) -> str:
    if (get_origin(hint) or hint) in (set, frozenset):
        items = name_of(get_args(hint)[0]) if get_args(hint) else "..."
        return f"a signature has no sets: use list[{items}], and make it a set in the model"
    if hint is tuple:
        return "write what it holds, for example tuple[float, ...]"
    return _ADVICE


def _is_nullable(hint: Hint) -> bool:
    while isinstance(hint, Constrained):
        hint = hint.hint
    return isinstance(hint, Either) and hint.nullable


def _parse_container(
    origin: Any, args: Sequence[Any], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> Hint | None:
    wanted = 1 if origin is list else 2
    form = "list[...]" if origin is list else "dict[str, ...]"
    if len(args) != wanted:
        found = f"{origin.__name__} with {len(args)} types" if args else f"a bare {origin.__name__}"
        findings.append(Finding(Code.INVALID_VALUE, path, form, found, "say what it holds"))
        return None
    if origin is dict and args[0] is not str:
        found = f"keys of type {name_of(args[0])}"
        findings.append(Finding(Code.INVALID_VALUE, path, form, found, "JSON and Spark have text as keys"))
    inner = _parse(args[-1], f"{path}[]", (*outer, origin), findings)
    if inner is None:
        return None
    return Listing(inner, _for_pydantic(args[0])) if origin is list else Dictionary(inner)


def _parse_tuple(
    hint: Any, args: Sequence[Any], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> Hint | None:
    """Parse a tuple of elements of one type: ``tuple[X, ...]``, or as many X as it has elements."""
    items = list(args[:1]) if len(args) == 2 and args[1] is Ellipsis else list(args)
    advice = "use a NamedTuple or a dataclass, whose fields may differ"
    if not items:
        findings.append(Finding(Code.INVALID_VALUE, path, "tuple[X, ...]", "a tuple without elements"))
        return None
    if any(item != items[0] for item in items):
        expected = "a tuple of elements of one type"
        findings.append(Finding(Code.MIXED_TYPES, path, expected, name_of(hint), advice))
        return None
    inner = _parse(items[0], f"{path}[]", (*outer, tuple), findings)
    if inner is None:
        return None
    length = None if len(items) < len(args) else len(items)
    return Listing(inner, _for_pydantic(items[0]), tuple, length)


def _for_pydantic(annotation: Any) -> Any:
    """Return an annotation with Any for its records, which are built before pydantic validates the rest."""
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
    arms = [arm for arm in args if arm is not type(None)]
    members = [_parse(arm, path, (*outer, Union), findings, metadata) for arm in arms]
    known = tuple(member for member in members if member is not None)
    return Either(known, nullable) if len(known) == len(members) else None


def _parse_literal(choices: Sequence[Any], path: str, findings: list[Finding]) -> Hint | None:
    values = [choice for choice in choices if choice is not None]
    if not values:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a Literal of values", "None alone"))
        return None
    scalar = parse_literal(values, path, findings)
    return Either((scalar,), nullable=True) if scalar and len(values) < len(choices) else scalar


def _is_model(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")  # whoever has a model of it has imported it
    if pydantic is None or not isinstance(hint, type) or isinstance(hint, types.GenericAlias):
        return False  # Python 3.10 takes list[int] for a class
    return issubclass(hint, pydantic.BaseModel) and not issubclass(hint, pydantic.RootModel)


def _parse_model(cls: Any, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> Hint | None:
    if cls in outer:
        found, hint = f"the model {cls.__name__} inside itself", "a signature has no recursive types"
        findings.append(Finding(Code.INVALID_VALUE, path, "a type of finite depth", found, hint))
        return None
    cls.model_rebuild(raise_errors=False)  # a model that it names may have been defined after it
    if not cls.model_fields:
        found = f"the model {cls.__name__}, which has no field"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "at least one field", found))
        return None
    fields: list[Field] = []
    decorated = cls.__pydantic_decorators__.field_validators.values()
    first = {name for one in decorated if one.info.mode != "after" for name in one.info.fields}
    for name, info in cls.model_fields.items():
        where = below(path, name)
        # pydantic keeps the metadata of an Annotated field apart, and checks it
        parsed = _parse(info.annotation, where, (*outer, cls), findings, tuple(info.metadata))
        nullable = parsed is not None and _is_nullable(parsed)
        if nullable and info.is_required():
            advice = "an optional property may be absent: give it the default None"
            findings.append(
                Finding(Code.INVALID_VALUE, where, "a default for an Optional field", hint=advice)
            )
        if parsed is not None:
            raw = _sees_raw(info.metadata) or bool({name, "*"} & first)
            fields.append(Field(name, keys_of(name, info), parsed, not nullable, raw))
    if len(fields) < len(cls.model_fields):
        return None
    whole = cls.__pydantic_decorators__.model_validators.values()
    return Model(cls, tuple(fields), any(one.info.mode in ("before", "wrap") for one in whole))


def _sees_raw(metadata: Sequence[Any]) -> bool:
    names = {type(one).__name__ for one in metadata}
    return bool(names & {"BeforeValidator", "PlainValidator", "WrapValidator"})


def keys_of(name: str, info: Any) -> tuple[str, ...]:
    """The keys from which pydantic reads a field; none, if it takes a path to find it."""
    alias = info.validation_alias or info.alias
    if alias is None:
        return (name,)
    return tuple(choice for choice in getattr(alias, "choices", [alias]) if isinstance(choice, str))


# --- records --------------------------------------------------------------------------------------------


def from_record(cls: Any) -> Schema:
    """Return the schema whose columns are the fields of a dataclass, a TypedDict or a NamedTuple.

    A nested record is an Object, ``list[X]`` an Array of X; ``Optional[X]`` and ``NotRequired[X]`` make a
    column or a property optional. A float of a dataclass is a float, as in MLflow.

    Raises:
        ConversionError: fields that no type covers, each as a finding; or a record that contains itself.
        SignatureError: it has no field.

    Example:
        >>> @dataclasses.dataclass
        ... class Order:
        ...     id: int
        ...     note: str | None = None
        >>> from_record(Order)
        ['id': long (required), 'note': string (optional)]
    """
    form, findings = record_kind(cls), list[Finding]()
    fields = _parse_fields(read_fields(cls, "", findings), "", (cls,), findings)
    if findings:
        raise ConversionError.of(f"no signature for the {form} {cls.__name__}", findings)
    if not fields:
        raise SignatureError(f"the {form} {cls.__name__} has no field: a schema needs at least one column")
    floats = DataType.float if form == "dataclass" else DataType.double
    return Schema([ColSpec(type_of(field.hint, floats), field.name, field.required) for field in fields])


def _parse_record(cls: Any, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> Hint | None:
    name = f"the {record_kind(cls)} {cls.__name__}"
    if cls in outer:
        found, hint = f"{name} inside itself", "a signature has no recursive types"
        findings.append(Finding(Code.INVALID_VALUE, path, "a type of finite depth", found, hint))
        return None
    count = len(findings)
    declared = [field for field in read_fields(cls, path, findings) if not field.is_computed]
    fields = _parse_fields(declared, path, (*outer, cls), findings)
    if not declared:
        if len(findings) == count:
            found = f"{name}, which has no field"
            findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "at least one field", found))
    elif obstacle := find_obstacle(cls, declared):
        expected = "a dataclass that can be built from its fields"
        findings.append(Finding(Code.INVALID_VALUE, path, expected, f"{name}, {obstacle}"))
    return Record(cls, tuple(fields)) if len(findings) == count else None


def _parse_fields(
    declared: Sequence[RecordField], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> list[Field]:
    fields: list[Field] = []
    for field in declared:
        hint = _parse(field.annotation, below(path, field.name), outer, findings, field.metadata)
        if hint is None:
            continue
        nullable = _is_nullable(hint)
        absent = "none" if nullable else "error"
        if field.may_be_absent or field.has_default:
            absent = "omit" if field.may_be_absent else "default"
        annotation = _for_pydantic(field.annotation)
        required = not (nullable or field.may_be_absent)
        fields.append(Field(field.name, (field.name,), hint, required, False, annotation, absent))
    return fields
