"""One file per neighbour; in each, ``from_x`` leads to sparksig's types and ``to_x`` back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparksig.errors import Code, Finding, below, step
from sparksig.types import Array, Map, Object, SparkMLVector, Type

if TYPE_CHECKING:
    from sparksig.schema import Schema, TensorSpec

__all__ = ["duplicates", "lost", "lost_names", "places"]


def duplicates(names: Sequence[str], expected: str = "one column of that name") -> list[Finding]:
    """One finding for each name that stands more than once.

    Example:
        >>> [finding.path for finding in duplicates(["a", "b", "a"])]
        ['a']
    """
    twins = [name for name, count in Counter(names).items() if count > 1]
    return [Finding(Code.DUPLICATE_NAME, step(name), expected, "several") for name in twins]


# --- what an export cannot say --------------------------------------------------------------------------


def lost(path: str, said: str, instead: str, hint: str = "") -> Finding:
    """The finding that an export has ``instead`` of what a signature says at ``path``."""
    return Finding(Code.NOT_EXPRESSED, path, said, instead, hint)


def lost_names(schema: Schema) -> list[Finding]:
    """What is lost where every column is called by a text."""
    if not schema.has_input_names():
        several = len(schema) > 1
        said, instead = ("columns", "their numbers as names") if several else ("a column", "the name 0")
        return [lost("", f"{said} without a name", instead)]
    numbered = [spec.name for spec in schema if isinstance(spec.name, int)]
    return [lost(step(name), "an integer as name", "its digits") for name in numbered]


def places(schema: Schema) -> Iterator[tuple[str, Type | TensorSpec]]:
    """Every type of a schema with its path, from the outside to the inside; of tensors the specs.

    Example:
        >>> from sparksig.schema import ColSpec, Schema
        >>> list(places(Schema([ColSpec(Array("long"), "a")])))
        [('a', Array(long)), ('a[]', long)]
    """
    for name, spec in zip(schema.input_names(), schema):
        if schema.is_tensor_spec():
            yield step(name), spec
        else:
            yield from _parts(step(name), spec.type)


def _parts(path: str, dtype: Type) -> Iterator[tuple[str, Type]]:
    yield path, dtype
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        yield from _parts(f"{path}[]", dtype.dtype)
    elif isinstance(dtype, Map):
        yield from _parts(f"{path}[]", dtype.value_type)
    elif isinstance(dtype, Object):
        for prop in dtype.properties:
            yield from _parts(below(path, prop.name), prop.dtype)
