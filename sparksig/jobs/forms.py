"""What a configuration's form says of a place in it: its keys, its type, whether it takes text."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sparksig.errors import below

__all__ = ["at", "bare", "fields_of", "is_section", "shown", "takes_text"]

Loc = Sequence[Any]


def fields_of(form: type[BaseModel]) -> dict[str, FieldInfo]:
    """A section's fields by the keys they have in a file."""
    return {field.alias or name: field for name, field in form.model_fields.items()}


def is_section(form: Any) -> bool:
    """Whether a type is a section with keys of its own."""
    # (Python 3.10 takes dict[str, Any] for a class)
    return get_origin(form) is None and isinstance(form, type) and issubclass(form, BaseModel)


def bare(form: Any) -> Any:
    """A type without its annotations and without None; a union of several others stays one."""
    if get_origin(form) is Annotated:
        return bare(get_args(form)[0])
    if get_origin(form) in (Union, types.UnionType):
        members = [one for one in get_args(form) if one is not type(None)]
        return bare(members[0]) if len(members) == 1 else form
    return form


def at(form: Any, loc: Loc) -> Any:
    """The type of what stands at a place; None where the form does not say."""
    form = bare(form)
    for part in loc:
        if get_origin(form) is Union or isinstance(form, types.UnionType):
            form = next((bare(one) for one in get_args(form) if get_origin(bare(one)) is list), None)
        if is_section(form):
            field = fields_of(form).get(part)
            form = None if field is None else field.annotation
        elif get_origin(form) in (list, dict):
            form = get_args(form)[-1]
        else:
            return None
        form = bare(form)
    return form


def takes_text(form: Any) -> Literal["only", "also", "no"]:
    """Whether what has this type is text, or may be."""
    if form is str or get_origin(form) is Literal:
        return "only"
    members = [bare(one) for one in get_args(form)] if get_origin(form) in (Union, types.UnionType) else []
    return "also" if any(takes_text(one) == "only" for one in members) else "no"


def shown(loc: Loc) -> str:
    """A place as findings name it.

    Example:
        >>> shown(("output", "keep", 0)), shown(("spark", "spark.app.name"))
        ('output.keep[0]', 'spark.`spark.app.name`')
    """
    path = ""
    for part in loc:
        path = f"{path}[{part}]" if type(part) is int else below(path, part)
    return path
