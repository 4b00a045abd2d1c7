"""Walks over the parts of signature types.

Paths have the notation of findings: ``a[].b`` is the property ``b`` of the elements of ``a``. A vector of
Spark ML has no parts. :data:`sparksig.types.MAX_DEPTH` limits the depth of the recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sparksig.errors import below
from sparksig.types import Array, Map, Object, Property, SparkMLVector, Type

R = TypeVar("R")


def fold(
    dtype: Type,
    *,
    leaf: Callable[[Type, str], R],
    array: Callable[[R], R],
    map: Callable[[R], R],
    object: Callable[[Sequence[tuple[Property, R]], str], R],
    path: str = "",
) -> R:
    """Compute a result for a type from the results for its parts; for an Object, from pairs with a Property.

    Example:
        >>> depth = dict(leaf=lambda part, path: 0, array=lambda item: item + 1, map=lambda value: value + 1)
        >>> fold(Array(Map("long")), **depth, object=lambda fields, path: 1 + max(n for _, n in fields))
        2
    """
    if isinstance(dtype, (Array, Map)) and not isinstance(dtype, SparkMLVector):
        build, part = (array, dtype.dtype) if isinstance(dtype, Array) else (map, dtype.value_type)
        return build(fold(part, leaf=leaf, array=array, map=map, object=object, path=f"{path}[]"))
    if isinstance(dtype, Object):
        fields = [
            (
                prop,
                fold(prop.dtype, leaf=leaf, array=array, map=map, object=object, path=below(path, prop.name)),
            )
            for prop in dtype.properties
        ]
        return object(fields, path)
    return leaf(dtype, path)


def transform(dtype: Type, change: Callable[[Type], Type]) -> Type:
    """Rebuild a type from the inside to the outside: ``change`` receives each type with changed parts.

    Example:
        >>> transform(Map(Array("long")), lambda part: part.dtype if isinstance(part, Array) else part)
        Map(str -> DataType.long)
    """
    return fold(
        dtype,
        leaf=lambda part, path: change(part),
        array=lambda item: change(Array(item)),
        map=lambda value: change(Map(value)),
        object=lambda fields, path: change(
            Object([Property(prop.name, part, prop.required) for prop, part in fields])
        ),
    )


def walk(dtype: Type, path: str = "") -> Iterator[tuple[str, Type]]:
    """Yield a type and all types in it with their paths, from the outside to the inside.

    Example:
        >>> list(walk(Array("long"), "a"))
        [('a', Array(long)), ('a[]', long)]
    """
    remaining = [(path, dtype)]
    while remaining:
        path, dtype = remaining.pop()
        yield path, dtype
        if isinstance(dtype, Object):
            remaining += [(below(path, prop.name), prop.dtype) for prop in reversed(dtype.properties)]
        elif isinstance(dtype, (Array, Map)) and not isinstance(dtype, SparkMLVector):
            remaining.append((f"{path}[]", dtype.dtype if isinstance(dtype, Array) else dtype.value_type))


def contains(dtype: Type, matches: Callable[[Type], bool]) -> bool:
    """Return whether a type, or any type in it, matches.

    This is faster than :func:`walk`, which builds paths.

    Example:
        >>> from sparksig.types import DataType
        >>> contains(Map(Array("datetime")), lambda part: part is DataType.datetime)
        True
    """
    if isinstance(dtype, Object):
        return matches(dtype) or any(contains(prop.dtype, matches) for prop in dtype.properties)
    if isinstance(dtype, (Array, Map)) and not isinstance(dtype, SparkMLVector):
        part = dtype.dtype if isinstance(dtype, Array) else dtype.value_type
        return matches(dtype) or contains(part, matches)
    return matches(dtype)


def zip_parts(
    first: Type, second: Type, path: str = ""
) -> list[tuple[str, Property | None, Property | None]]:
    """Pair the parts of two types by path; a part that exists in one type only is paired with None.

    Elements of arrays and values of maps are optional properties without a name. A Map paired with an Object
    has all properties of the Object, as optional. Other pairs of different types have no parts in common.

    Example:
        >>> zip_parts(Map("long"), Object([Property("a", "long")]))
        [('a', a: long (optional), a: long (required))]
    """
    if isinstance(first, SparkMLVector) and isinstance(second, SparkMLVector):
        return []
    if isinstance(first, Array) and isinstance(second, Array):
        return [(f"{path}[]", Property("", first.dtype, False), Property("", second.dtype, False))]
    if isinstance(first, Map) and isinstance(second, Map):
        return [(f"{path}[]", Property("", first.value_type, False), Property("", second.value_type, False))]
    left, right = _list_properties(first, second), _list_properties(second, first)
    if left is None or right is None:
        return []
    names = sorted(left.keys() | right.keys())
    return [(below(path, name), left.get(name), right.get(name)) for name in names]


def _list_properties(dtype: Type, other: Type) -> dict[str, Property] | None:
    if isinstance(dtype, Object):
        return {prop.name: prop for prop in dtype.properties}
    if isinstance(dtype, Map) and isinstance(other, Object):
        return {prop.name: Property(prop.name, dtype.value_type, False) for prop in other.properties}
    return None
