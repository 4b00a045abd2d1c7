"""One file per neighbour; in each, ``from_x`` leads to sparksig's types and ``to_x`` back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparksig.errors import Code, Finding, find_duplicates, step
from sparksig.types import Type
from sparksig.walks import walk

if TYPE_CHECKING:
    from sparksig.schema import Schema, TensorSpec

__all__ = ["duplicates", "lost", "lost_names", "places"]


def duplicates(names: Sequence[str], expected: str = "one column of that name") -> list[Finding]:
    """One finding for each name that stands more than once.

    Example:
        >>> [finding.path for finding in duplicates(["a", "b", "a"])]
        ['a']
    """
    return [Finding(Code.DUPLICATE_NAME, step(name), expected, "several") for name in find_duplicates(names)]


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
        >>> from sparksig.types import Array
        >>> list(places(Schema([ColSpec(Array("long"), "a")])))
        [('a', Array(long)), ('a[]', long)]
    """
    for name, spec in zip(schema.input_names(), schema):
        if schema.is_tensor_spec():
            yield step(name), spec
        else:
            yield from walk(spec.type, step(name))
