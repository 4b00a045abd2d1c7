"""The tree of a parsed type hint (:data:`Hint`), and the signature type of its values.

:mod:`sparksig.convert.annotations` builds the tree; :mod:`sparksig.engine.hints` checks values with it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Union, get_args, get_origin

from sparksig.convert.scalar_hints import EncodedHint, ScalarHint
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, Type


@dataclasses.dataclass(frozen=True)
class AnyHint:
    """Any value."""


@dataclasses.dataclass(frozen=True)
class ListHint:
    """A list or a tuple of elements of one type."""

    item: Hint
    annotation: Any = dataclasses.field(default=None, compare=False)  # of the elements, for pydantic
    container: type = list  # list or tuple: what the model receives
    length: int | None = None  # of a tuple with a fixed length


@dataclasses.dataclass(frozen=True)
class DictHint:
    """A dictionary with string keys and values of one type: ``dict[str, ...]``."""

    value: Hint


@dataclasses.dataclass(frozen=True)
class UnionHint:
    """A union of hints; if it is nullable, a value may also be None."""

    members: tuple[Hint, ...]
    nullable: bool


@dataclasses.dataclass(frozen=True)
class FieldHint:
    """A field of a pydantic model or of a record.

    Attributes:
        name: the name.
        keys: the keys from which pydantic reads the field: its name, or its aliases.
        hint: the hint of the value.
        required: whether the signature requires the field.
        raw: whether a validator of the user receives the value before pydantic validates it.
        annotation: the annotation for pydantic; only for fields of records.
        absent: the effect of an absent value; only for fields of records: "error", "default" (the default of
            the class), "none" (the value is None), or "omit" (the dictionary lacks the key).
    """

    name: str
    keys: tuple[str, ...]
    hint: Hint
    required: bool
    raw: bool = False
    annotation: Any = dataclasses.field(default=None, compare=False)
    absent: str = "error"


@dataclasses.dataclass(frozen=True)
class ModelHint:
    """A pydantic model; ``raw`` if a user's validator receives the values before pydantic validates them."""

    cls: Any
    fields: tuple[FieldHint, ...]
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class RecordHint:
    """A dataclass, a TypedDict or a NamedTuple."""

    cls: Any
    fields: tuple[FieldHint, ...]


@dataclasses.dataclass(frozen=True)
class ConstrainedHint:
    """A hint in ``Annotated``, which pydantic validates; ``raw`` as in :class:`FieldHint`."""

    hint: Hint
    raw: bool = False


Hint = Union[
    ScalarHint, EncodedHint, AnyHint, ListHint, DictHint, UnionHint, ModelHint, RecordHint, ConstrainedHint
]


def is_nullable(hint: Hint) -> bool:
    """Return whether a hint accepts None."""
    while isinstance(hint, ConstrainedHint):
        hint = hint.hint
    return isinstance(hint, UnionHint) and hint.nullable


def get_type(hint: Hint, floats: DataType = DataType.double) -> Type:
    """Return the type of a hint's values. Types do not express that elements or values may be None."""
    if isinstance(hint, EncodedHint):
        return hint.leaf.dtype
    if isinstance(hint, ScalarHint):
        return floats if hint.python is float else hint.dtype
    if isinstance(hint, ListHint):
        return Array(get_type(hint.item, floats))
    if isinstance(hint, DictHint):
        return Map(get_type(hint.value, floats))
    if isinstance(hint, (ModelHint, RecordHint)):
        members = [(field.name, get_type(field.hint, floats), field.required) for field in hint.fields]
        return Object([Property(*member) for member in members])
    if isinstance(hint, ConstrainedHint):
        return get_type(hint.hint, floats)
    if isinstance(hint, UnionHint) and len(hint.members) == 1:
        return get_type(hint.members[0], floats)
    return AnyType()


_FRAMES = {
    "pandas": ("DataFrame", "Series"),
    "numpy": ("ndarray",),
    "scipy": ("csr_matrix", "csc_matrix", "csr_array", "csc_array"),
}


def is_frame(hint: Any) -> bool:
    """Return whether a hint is a container without declared columns, such as ``pandas.DataFrame``."""
    cls = get_origin(hint) or hint
    names = _FRAMES.get(getattr(cls, "__module__", "").partition(".")[0], ())
    return isinstance(cls, type) and cls.__name__ in names


def format_hint(hint: Any) -> str:
    """Format a hint as in source code.

    Example:
        >>> format_hint(list[int]), format_hint(str)
        ('list[int]', 'str')
    """
    return (
        hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    )
