"""The keys and types that a configuration class declares for a position in a file."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sparksig.errors import below

Loc = Sequence[Any]


def list_fields(form: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys in a file."""
    return {field.alias or name: field for name, field in form.model_fields.items()}


def is_section(form: Any) -> bool:
    """Return whether a type is a section with its own keys."""
    # in Python 3.10, dict[str, Any] is a class
    return get_origin(form) is None and isinstance(form, type) and issubclass(form, BaseModel)


def strip_type(form: Any) -> Any:
    """Return a type without annotations and without None; a union of several other types is not changed."""
    if get_origin(form) is Annotated:
        return strip_type(get_args(form)[0])
    if get_origin(form) in (Union, types.UnionType):
        members = [member for member in get_args(form) if member is not type(None)]
        return strip_type(members[0]) if len(members) == 1 else form
    return form


def find_type(form: Any, loc: Loc) -> Any:
    """Return the type that is declared for a position; None if none is."""
    form = strip_type(form)
    for part in loc:
        if get_origin(form) is Union or isinstance(form, types.UnionType):
            members = map(strip_type, get_args(form))
            form = next((member for member in members if get_origin(member) is list), None)
        if is_section(form):
            field = list_fields(form).get(part)
            form = None if field is None else field.annotation
        elif get_origin(form) in (list, dict):
            form = get_args(form)[-1]
        else:
            return None
        form = strip_type(form)
    return form


def accepts_text(form: Any) -> Literal["only", "also", "no"]:
    """Return whether a value of this type is only text, may also be text, or is never text."""
    if form is str or get_origin(form) is Literal:
        return "only"
    is_union = get_origin(form) in (Union, types.UnionType)
    members = map(strip_type, get_args(form)) if is_union else ()
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
