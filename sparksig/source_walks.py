"""Walks over the parts of source types (:data:`sparksig.lattice.Source`), as in :mod:`sparksig.walks`.

Each part of a type is a :class:`Field`; items of lists, and keys and values of maps, have an empty name.
Paths have the notation of findings; keys and values of a map have the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sparksig.errors import below
from sparksig.lattice import Field, ListOf, MapOf, Source, Struct


def walk_source(source: Source, path: str = "", *, keys: bool = False) -> Iterator[tuple[str, Source]]:
    """Yield a type and all types in it with their paths, from the outside to the inside.

    Example:
        >>> from sparksig.lattice import Scalar
        >>> [path for path, _ in walk_source(Struct((Field("a", ListOf(Scalar("int8"))),)))]
        ['', 'a', 'a[]']
    """
    yield path, source
    if keys and isinstance(source, MapOf):
        yield from walk_source(source.key, f"{path}[]", keys=keys)
    for part_path, part in list_parts(source, path):
        yield from walk_source(part.source, part_path, keys=keys)


def rebuild_source(source: Source, change: Callable[[Field], Field]) -> Source:
    """Rebuild a type with changed parts; a type without parts is returned unchanged.

    Example:
        >>> from sparksig.lattice import Scalar
        >>> str(rebuild_source(ListOf(Scalar("int8")), lambda part: replace(part, source=Scalar("bool"))))
        'list<bool>'
    """
    if isinstance(source, ListOf):
        item = change(Field("", source.item, source.nullable))
        return replace(source, item=item.source, nullable=item.nullable)
    if isinstance(source, MapOf):
        key, value = change(Field("", source.key, False)), change(Field("", source.value, source.nullable))
        return replace(source, key=key.source, value=value.source, nullable=value.nullable)
    if isinstance(source, Struct):
        return replace(source, fields=tuple(map(change, source.fields)))
    return source


def merge_sources(source: Source, other: Source, merge: Callable[[Field, Field], Field]) -> Source:
    """Rebuild a type with each part merged with that of another type; parts without a match are unchanged.

    Example:
        >>> from sparksig.lattice import Scalar
        >>> types = ListOf(Scalar("int8")), ListOf(Scalar("bool"))
        >>> str(merge_sources(*types, lambda part, other: other))
        'list<bool>'
    """
    if type(source) is not type(other):
        return source
    if isinstance(source, Struct) and isinstance(other, Struct):
        by_name = {part.name: part for part in other.fields}
        return rebuild_source(
            source, lambda part: merge(part, by_name[part.name]) if part.name in by_name else part
        )
    other_parts: list[Field] = []
    rebuild_source(other, lambda part: other_parts.append(part) or part)  # type: ignore[func-returns-value]
    remaining = iter(other_parts)
    return rebuild_source(source, lambda part: merge(part, next(remaining)))


def zip_sources(first: Source, second: Source, path: str = "") -> list[tuple[str, Field, Field]]:
    """Pair the parts that two types have in common, with their paths; map keys are skipped.

    Example:
        >>> from sparksig.lattice import Scalar
        >>> [path for path, _, _ in zip_sources(ListOf(Scalar("int8")), ListOf(Scalar("bool")), "a")]
        ['a[]']
    """
    by_path = dict(list_parts(second, path)) if type(first) is type(second) else {}
    parts = list_parts(first, path)
    return [(part_path, part, by_path[part_path]) for part_path, part in parts if part_path in by_path]


def list_parts(source: Source, path: str) -> list[tuple[str, Field]]:
    """Return the direct parts of a type with their paths; map keys are skipped."""
    if isinstance(source, ListOf):
        return [(f"{path}[]", Field("", source.item, source.nullable))]
    if isinstance(source, MapOf):
        return [(f"{path}[]", Field("", source.value, source.nullable))]
    return [(below(path, part.name), part) for part in source.fields] if isinstance(source, Struct) else []
