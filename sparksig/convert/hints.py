"""Python annotations -> types: type hints of a model's predict, and dataclasses, whose fields become columns.

The mapping is MLflow's. In both an int is a long and a date a datetime; a float is a double in a type hint,
but a float in a dataclass. A type hint is first parsed into a small tree (:data:`Hint`), which says the type
(:func:`type_of`) and by which values are checked (:mod:`sparksig.enforce.hints`).
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin, get_type_hints

from sparksig.errors import Code, ConversionError, Finding, SignatureError, below
from sparksig.schema import ColSpec, Schema
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, Type

__all__ = [
    "Anything",
    "Dictionary",
    "Either",
    "Field",
    "Hint",
    "Leaf",
    "Listing",
    "Model",
    "from_dataclass",
    "from_hint",
    "is_frame",
    "keys_of",
    "name_of",
    "parse",
    "parse_input",
    "type_of",
]

# --- type hints: the tree -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
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


@dataclasses.dataclass(frozen=True)
class Anything:
    """Any value at all."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """``list[...]``; ``annotation`` is that of its elements, as pydantic takes it."""

    item: Hint
    annotation: Any = dataclasses.field(default=None, compare=False)


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
    """A field of a pydantic model.

    Attributes:
        name: its name.
        keys: those that pydantic reads it from: its name, or aliases.
        hint: what it holds.
        required: whether the signature requires it.
        raw: whether a validator of the user sees its value before pydantic does.
    """

    name: str
    keys: tuple[str, ...]
    hint: Hint
    required: bool
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    """A pydantic model; ``raw`` if a validator of the user sees the whole of it before pydantic does."""

    cls: Any
    fields: tuple[Field, ...]
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class Constrained:
    """``Annotated``: what pydantic validates further; ``raw`` as of a field."""

    hint: Hint
    raw: bool = False


Hint = Union[Leaf, Anything, Listing, Dictionary, Either, Model, Constrained]

_LEAVES: dict[Any, DataType] = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    datetime.datetime: DataType.datetime,
    datetime.date: DataType.datetime,
}
_ADVICE = (
    "use bool, int, float, str, bytes, date, datetime, list[...], dict[str, ...], a pydantic model, "
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


def type_of(hint: Hint) -> Type:
    """The type of a hint's values. That an element or a value may be None is not part of a type."""
    if isinstance(hint, Leaf):
        return hint.dtype
    if isinstance(hint, Listing):
        return Array(type_of(hint.item))
    if isinstance(hint, Dictionary):
        return Map(type_of(hint.value))
    if isinstance(hint, Model):
        return Object([Property(field.name, type_of(field.hint), field.required) for field in hint.fields])
    if isinstance(hint, Constrained):
        return type_of(hint.hint)
    if isinstance(hint, Either) and len(hint.members) == 1:
        return type_of(hint.members[0])
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


def _parse(hint: Any, path: str, outer: tuple[Any, ...], findings: list[Finding]) -> Hint | None:
    hint = getattr(hint, "__value__", hint)  # of `type Name = ...`
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return Anything()
    if isinstance(hint, type) and hint in _LEAVES:
        return Leaf(_LEAVES[hint], hint)
    if len(outer) >= MAX_DEPTH:
        findings.append(Finding(Code.INVALID_VALUE, path[:200], f"at most {MAX_DEPTH} levels", "more"))
        return None
    if hint in (list, dict) or origin in (list, dict):
        return _parse_container(origin or hint, args, path, outer, findings)
    if origin in (Union, types.UnionType) or hint in (Union, Optional):
        return _parse_union(args, path, outer, findings)
    if origin is Annotated:
        inner = _parse(args[0], path, outer, findings)
        return None if inner is None else Constrained(inner, _sees_raw(args[1:]))
    if origin is Literal:
        return _parse_literal(args, path, findings)
    if _is_model(hint):
        return _parse_model(hint, path, outer, findings)
    findings.append(
        Finding(Code.UNSUPPORTED_TYPE, path, "a type that a signature has", name_of(hint), _ADVICE)
    )
    return None


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
    return Listing(inner, args[0]) if origin is list else Dictionary(inner)


def _parse_union(
    args: Sequence[Any], path: str, outer: tuple[Any, ...], findings: list[Finding]
) -> Hint | None:
    if not args:
        findings.append(Finding(Code.INVALID_VALUE, path, "a union of types", "a bare Union"))
        return None
    nullable = type(None) in args
    members = [_parse(arm, path, (*outer, Union), findings) for arm in args if arm is not type(None)]
    known = tuple(member for member in members if member is not None)
    return Either(known, nullable) if len(known) == len(members) else None


def _parse_literal(choices: Sequence[Any], path: str, findings: list[Finding]) -> Hint | None:
    forms = set(map(type, choices))
    form = next(iter(forms))
    if len(forms) == 1 and form in (str, int, bool):
        return Leaf(_LEAVES[form], form, tuple(choices))
    found = "values of " + " and ".join(sorted(one.__name__ for one in forms))
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a Literal of str, int or bool", found))
    return None


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
        parsed = _parse(info.annotation, where, (*outer, cls), findings)
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


# --- dataclasses ----------------------------------------------------------------------------------------

_SCALARS: dict[Any, DataType] = {
    bool: DataType.boolean,
    int: DataType.long,
    float: DataType.float,
    str: DataType.string,
    bytes: DataType.binary,
    datetime.date: DataType.datetime,
    datetime.datetime: DataType.datetime,
}


def from_dataclass(cls: type) -> Schema:
    """The schema whose columns are the fields of a dataclass, inherited ones included.

    A nested dataclass is an Object, ``list[X]`` an Array of X; ``Optional[X]`` makes a column or
    property optional.

    Raises:
        ConversionError: fields that no type covers, each as a finding; or a dataclass that contains itself.
        SignatureError: it has no field.

    Example:
        >>> @dataclasses.dataclass
        ... class Order:
        ...     id: int
        ...     note: str | None = None
        >>> from_dataclass(Order)
        ['id': long (required), 'note': string (optional)]
    """
    findings: list[Finding] = []
    columns = [ColSpec(dtype, name, required) for name, dtype, required in _fields(cls, "", (), findings)]
    if findings:
        raise ConversionError.of(f"no signature for the dataclass {cls.__name__}", findings)
    if not columns:
        raise SignatureError(f"the dataclass {cls.__name__} has no field: a schema needs at least one column")
    return Schema(columns)


def _fields(
    cls: type, path: str, outer: tuple[type, ...], findings: list[Finding]
) -> list[tuple[str, Type, bool]]:
    if cls in outer:
        findings.append(
            Finding(
                Code.UNSUPPORTED_TYPE,
                path,
                found=f"the dataclass {cls.__name__} inside itself",
                hint="a signature has no recursive types",
            )
        )
        return []
    try:
        hints = get_type_hints(cls)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConversionError(
            f"an annotation of the dataclass {cls.__name__} cannot be resolved: {error}"
        ) from None
    found = []
    for field in dataclasses.fields(cls):
        where = below(path, field.name)
        hint, required = _without_none(hints[field.name])
        dtype = _type(hint, where, (*outer, cls), findings)
        if dtype is not None:
            found.append((field.name, dtype, required))
    return found


def _type(hint: Any, path: str, outer: tuple[type, ...], findings: list[Finding]) -> Type | None:
    if isinstance(hint, type) and hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object(hint, path, outer, findings)
    if get_origin(hint) is list and len(get_args(hint)) == 1:
        item = _type(get_args(hint)[0], f"{path}[]", outer, findings)
        return Array(item) if item is not None else None
    advice = "use bool, int, float, str, bytes, date, datetime, list[...], a dataclass, or Optional of these"
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, found=str(hint), hint=advice))
    return None


def _object(cls: type, path: str, outer: tuple[type, ...], findings: list[Finding]) -> Object | None:
    before = len(findings)
    members = _fields(cls, path, outer, findings)
    if not members and len(findings) == before:
        found = f"the dataclass {cls.__name__}, which has no field"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "at least one field", found))
    return Object([Property(name, dtype, required) for name, dtype, required in members]) if members else None


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        if len(arms) == 1 and len(get_args(hint)) == 2:
            return arms[0], False
    return hint, True
