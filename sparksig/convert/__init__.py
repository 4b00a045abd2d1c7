"""Conversions between signatures and the types of other systems, with one module per system.

In each module, ``from_x`` converts to the types of sparksig, and ``to_x`` converts back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparksig.errors import Code, Finding, below, find_duplicates, quote
from sparksig.types import Type
from sparksig.walks import walk

if TYPE_CHECKING:
    from sparksig.params import ParamSchema
    from sparksig.schema import Schema, TensorSpec
    from sparksig.signature import ModelSignature


def report_duplicates(names: Sequence[str], expected: str = "one column of that name") -> list[Finding]:
    """Return a finding for each name that occurs more than once.

    Example:
        >>> [finding.path for finding in report_duplicates(["a", "b", "a"])]
        ['a']
    """
    return [Finding(Code.DUPLICATE_NAME, quote(name), expected, "several") for name in find_duplicates(names)]


def list_names(schema: Schema, findings: list[Finding]) -> list[str]:
    """Return the names of a schema's columns as text; report names that are equal as text."""
    names = [str(name) for name in schema.input_names()]
    findings += report_duplicates(names, "one column of that name as text")
    return names


def list_sides(signature: ModelSignature) -> dict[str, Schema]:
    """Return the declared inputs and outputs of a signature by the names of these sides."""
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {side: schema for side, schema in sides.items() if schema is not None}


# --- losses of an export --------------------------------------------------------------------------------


def build_loss(path: str, declared: str, exported: str, hint: str = "") -> Finding:
    """Build the finding about a detail of a signature, at a path, that an export cannot express."""
    return Finding(Code.NOT_EXPRESSED, path, declared, exported, hint)


def find_lost_names(schema: Schema) -> list[Finding]:
    """Return the losses of an export in which each column has a text as its name."""
    if not schema.has_input_names():
        declared, exported = ("a column", "the name 0")
        if len(schema) > 1:
            declared, exported = ("columns", "their numbers as names")
        return [build_loss("", f"{declared} without a name", exported)]
    numbers = [spec.name for spec in schema if isinstance(spec.name, int)]
    return [build_loss(quote(name), "an integer as name", "its digits") for name in numbers]


def find_lost_params(params: ParamSchema | None) -> list[Finding]:
    """Return the losses of an export without params."""
    return [build_loss(below("params", spec.name), "a param", "nothing") for spec in params or ()]


def walk_schema(schema: Schema) -> Iterator[tuple[str, Type | TensorSpec]]:
    """Yield every type of a schema, or its tensors, with their paths, from the outside to the inside.

    Example:
        >>> from sparksig.schema import ColSpec, Schema
        >>> from sparksig.types import Array
        >>> list(walk_schema(Schema([ColSpec(Array("long"), "a")])))
        [('a', Array(long)), ('a[]', long)]
    """
    for name, spec in zip(schema.input_names(), schema):
        if schema.is_tensor_spec():
            yield quote(name), spec
        else:
            yield from walk(spec.type, quote(name))
