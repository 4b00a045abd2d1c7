"""Python annotations -> types. So far: dataclasses, whose fields become columns.

The mapping is MLflow's: an int is a long, a float is a float (not a double), a date is a datetime.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from sparksig.errors import Code, ConversionError, Finding, SignatureError, below
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, DataType, Object, Property, Type

__all__ = ["from_dataclass"]

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
