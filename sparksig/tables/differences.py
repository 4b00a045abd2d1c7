"""Comparison of the exact types of two tables, position by position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sparksig.errors import below
from sparksig.lattice import NULL, Field, ListOf, MapOf, Scalar, Source, Struct, is_lossless, normalize_scalar
from sparksig.source_walks import rebuild_source, zip_sources


@dataclass(frozen=True)
class Difference:
    """A position at which an actual type is compared with a declared one.

    Attributes:
        path: the path of the position.
        verdict: "same", "widened" (lossless, but not the same), "refused", "missing", "extra", or "key" for
            different keys of maps, which are not converted.
        expected: the declared field; None for an extra field.
        actual: the table's field; None for a missing field.
    """

    path: str
    verdict: str
    expected: Field | None
    actual: Field | None


def compare_fields(expected: Field, actual: Field, path: str) -> Iterator[Difference]:
    """Compare a field with the declared field: two scalars directly, other types by their parts.

    Example:
        >>> fields = Field("a", ListOf(Scalar("int64"))), Field("a", ListOf(Scalar("int32")))
        >>> [(part.path, part.verdict) for part in compare_fields(*fields, "a")]
        [('a[]', 'widened')]
    """
    declared, source = expected.source, actual.source
    if isinstance(declared, ListOf) and isinstance(source, ListOf):
        items = Field("", declared.item, declared.nullable), Field("", source.item, source.nullable)
        yield from compare_fields(*items, f"{path}[]")
    elif isinstance(declared, MapOf) and isinstance(source, MapOf):
        if normalize(declared.key) != normalize(source.key):
            yield Difference(f"{path}[]", "key", Field("", declared.key), Field("", source.key))
        values = Field("", declared.value, declared.nullable), Field("", source.value, source.nullable)
        yield from compare_fields(*values, f"{path}[]")
    elif isinstance(declared, Struct) and isinstance(source, Struct) and declared.kind == source.kind:
        yield from _compare_structs(declared, source, path)
    else:
        yield Difference(path, _compare_scalars(expected, source), expected, actual)


def _compare_scalars(expected: Field, source: Source) -> str:
    if normalize(expected.source) == normalize(source):
        return "same"
    if source == NULL and not expected.nullable:
        return "refused"
    return "widened" if is_lossless(source, expected.source) else "refused"


def _compare_structs(declared: Struct, source: Struct, path: str) -> Iterator[Difference]:
    actual = {part.name: part for part in source.fields}
    for part in declared.fields:
        where = below(path, part.name)
        if part.name in actual:
            yield from compare_fields(part, actual[part.name], where)
        else:
            yield Difference(where, "missing", part, None)
    names = {part.name for part in declared.fields}
    for part in source.fields:
        if part.name not in names:
            yield Difference(below(path, part.name), "extra", None, part)


def list_required_fields(field: Field, path: str) -> list[str]:
    """Return the paths in a missing field that must have values."""
    if not field.nullable:
        return [path]
    if not isinstance(field.source, Struct):
        return []
    return [
        inner for part in field.source.fields for inner in list_required_fields(part, below(path, part.name))
    ]


def list_nullable_parts(expected: Field, actual: Field, path: str) -> Iterator[tuple[str, Field]]:
    """Yield the fields that are declared not null and are actually nullable, with their paths."""
    if actual.nullable and not expected.nullable:
        yield path, expected
    for where, declared, part in zip_sources(expected.source, actual.source, path):
        yield from list_nullable_parts(declared, part, where)


# --- types that are the same --------------------------------------------------------------------------------


def normalize(source: Source) -> Source:
    """Return a type without details that do not matter: Arrow's layouts, lengths, and the order of fields.

    Example:
        >>> normalize(Scalar("large_string")) == normalize(Scalar("string_view"))
        True
    """
    if isinstance(source, Scalar):
        return normalize_scalar(source)
    source = rebuild_source(source, lambda part: Field(part.name, normalize(part.source)))
    if isinstance(source, Struct):
        return replace(source, fields=tuple(sorted(source.fields, key=lambda part: part.name)))
    return replace(source, size=None) if isinstance(source, ListOf) else source
