"""The keys and types that a configuration class declares for a position in a file."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sparksig.errors import below

Loc = Sequence[Any]


def list_fields(annotation: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys in a file."""
    return {field.alias or name: field for name, field in annotation.model_fields.items()}


def is_section(annotation: Any) -> bool:
    """Return whether a type is a section with its own keys."""
    # in Python 3.10, dict[str, Any] is a class
    return (
        get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel)
    )


def strip_type(annotation: Any) -> Any:
    """Return a type without annotations and without None; a union of several other types is not changed."""
    if get_origin(annotation) is Annotated:
        return strip_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return strip_type(members[0]) if len(members) == 1 else annotation
    return annotation


def find_type(annotation: Any, loc: Loc) -> Any:
    """Return the type that is declared for a position; None if none is."""
    annotation = strip_type(annotation)
    for part in loc:
        if get_origin(annotation) is Union or isinstance(annotation, types.UnionType):
            members = map(strip_type, get_args(annotation))
            annotation = next((member for member in members if get_origin(member) is list), None)
        if is_section(annotation):
            field = list_fields(annotation).get(part)
            annotation = None if field is None else field.annotation
        elif get_origin(annotation) in (list, dict):
            annotation = get_args(annotation)[-1]
        else:
            return None
        annotation = strip_type(annotation)
    return annotation


def accepts_text(annotation: Any) -> Literal["only", "also", "no"]:
    """Return whether a value of this type is only text, may also be text, or is never text."""
    if annotation is str or get_origin(annotation) is Literal:
        return "only"
    is_union = get_origin(annotation) in (Union, types.UnionType)
    members = map(strip_type, get_args(annotation)) if is_union else ()
    return "also" if any(accepts_text(member) == "only" for member in members) else "no"


def format_key(loc: Loc) -> str:
    """Format a position as findings name it.

    Example:
        >>> format_key(("output", "keep", 0)), format_key(("spark", "spark.app.name"))
        ('output.keep[0]', 'spark.`spark.app.name`')
    """
    path = ""
    for part in loc:
        path = f"{path}[{part}]" if type(part) is int else below(path, part)
    return path
