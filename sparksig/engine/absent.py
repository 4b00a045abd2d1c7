"""Optional columns that the data lacks: what a model sees in their place, and what reports say about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from sparksig.engine.findings import HINTS
from sparksig.errors import Code, ContractError, Finding, nearest, step
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import describe

__all__ = [
    "Absent",
    "AbsentColumnWarning",
    "check_absent",
    "find_absent_columns",
    "format_absent_column",
    "missing_column",
]

Absent = Literal["null", "omit", "forbid"]
"""What a model sees of an optional column that the data lacks: a column of nulls, no column, or an error."""


class AbsentColumnWarning(UserWarning):
    """A table lacks optional columns of the model that scores it."""


def check_absent(absent: object) -> None:
    """Check an argument ``absent``.

    Raises:
        ContractError: it is neither one of the choices nor None.
    """
    choices = get_args(Absent)
    if absent is not None and absent not in choices:
        raise ContractError(
            f"absent is one of {', '.join(map(repr, choices))}, or None, not {absent!r}"[:200]
        )


def find_absent_columns(schema: Schema, names: Sequence[object]) -> tuple[Finding, ...]:
    """Find the optional columns of a schema that a table lacks.

    Args:
        schema: the columns that a model declares.
        names: the names of the table's columns.

    Returns:
        One entry for each column, in the schema's order. The hint has the nearest name of the table. The
        entries are no errors: the table fits the schema without these columns.

    Example:
        >>> flats = Schema([ColSpec("double", "area"), ColSpec("double", "rooms", required=False)])
        >>> [column] = find_absent_columns(flats, ["area", "Rooms"])
        >>> column.path, column.hint
        ('rooms', "did you mean 'Rooms'? Names are case sensitive")
    """
    if not schema.has_input_names():
        return ()
    existing = {str(name) for name in names}
    absent = [
        spec
        for spec in schema
        if isinstance(spec, ColSpec) and not spec.required and str(spec.name) not in existing
    ]
    return tuple(
        missing_column(spec, names if index < HINTS else (), is_optional=True)
        for index, spec in enumerate(absent)
    )


def missing_column(
    spec: ColSpec | TensorSpec, names: Sequence[object], *, is_optional: bool = False
) -> Finding:
    """Build the finding for a column that the data lacks.

    Args:
        spec: the column, or the tensor.
        names: the names of the data's columns, for the hint.
        is_optional: whether the data fits the schema without the column.
    """
    expected = describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
    if is_optional:
        expected += ", optional"
    return Finding(
        Code.MISSING_COLUMN, step(spec.name), expected, "no such column", nearest(spec.name, names)
    )


def format_absent_column(column: Finding) -> str:
    """Format an entry of :func:`find_absent_columns` for people.

    Example:
        >>> flats = Schema([ColSpec("double", "rooms", required=False)])
        >>> [column] = find_absent_columns(flats, ["Rooms"])
        >>> format_absent_column(column)
        "rooms: optional, and the table has no such column (did you mean 'Rooms'? Names are case sensitive)"
    """
    hint = f" ({column.hint})" if column.hint else ""
    return f"{column.path}: optional, and the table has no such column{hint}"
