"""Optional columns that the data lacks: their replacement for the model, and their entries in reports."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

from sparksig.errors import HINTS, Code, ContractError, Finding, SparksigWarning, quote, suggest
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import describe

Absent = Literal["null", "omit", "forbid"]
"""The treatment of an optional column that the data lacks: a column of nulls, no column, or an error."""


class AbsentColumnWarning(SparksigWarning):
    """A table lacks optional columns of the model that scores it."""


def check_absent(absent: object) -> None:
    """Check an argument ``absent``."""
    choices = get_args(Absent)
    if absent is not None and absent not in choices:
        raise ContractError(
            f"absent: expected one of {', '.join(map(repr, choices))}, or None, got {absent!r}"[:200]
        )


def find_absent_columns(schema: Schema, names: Sequence[object]) -> tuple[Finding, ...]:
    """Find the optional columns of a schema that a table lacks.

    Returns:
        One entry for each absent column, in the schema's order. The hint suggests the most similar name of
        the table. The entries are not errors: the table fits the schema without these columns.

    Example:
        >>> flats = Schema([ColSpec("double", "area"), ColSpec("double", "rooms", required=False)])
        >>> [column] = find_absent_columns(flats, ["area", "Rooms"])
        >>> column.path, column.hint
        ('rooms', "did you mean 'Rooms'? Names are case sensitive")
    """
    if not schema.has_input_names():
        return ()
    columns = [spec for spec in schema if isinstance(spec, ColSpec) and not spec.required]
    optional = {str(spec.name): describe(spec.type) for spec in columns}
    return list_absent_columns(optional, {str(name) for name in schema.input_names()}, names)


def list_absent_columns(
    optional: Mapping[str, str], declared: Collection[str], names: Sequence[object]
) -> tuple[Finding, ...]:
    """List the optional columns that a table lacks, as :func:`find_absent_columns` does."""
    existing_names = {str(name) for name in names}
    undeclared = [name for name in names if str(name) not in declared]
    absent = [name for name in optional if name not in existing_names]
    return tuple(
        _build_finding(name, optional[name], undeclared if index < HINTS else ())
        for index, name in enumerate(absent)
    )


def warn_of_absent_columns(schema: Schema, names: Sequence[object], absent: Absent, stacklevel: int) -> None:
    """Warn about the optional columns that a table lacks."""
    if columns := find_absent_columns(schema, names):
        descriptions = [
            f"{column.path} ({column.hint})" if column.hint else column.path for column in columns
        ]
        effect = "does not see them" if absent == "omit" else "sees nulls in their place"
        text = f"the table lacks optional columns, and the model {effect}: {', '.join(descriptions)}"
        warnings.warn(text, AbsentColumnWarning, stacklevel=stacklevel + 1)


def build_missing_finding(spec: ColSpec | TensorSpec, names: Sequence[object]) -> Finding:
    """Build the finding for a column that the data lacks."""
    return _build_finding(spec.name, describe(spec.type) if isinstance(spec, ColSpec) else repr(spec), names)


def _build_finding(name: object, declared_type: str, names: Sequence[object]) -> Finding:
    return Finding(Code.MISSING_COLUMN, quote(name), declared_type, "no such column", suggest(name, names))


def format_absent_column(column: Finding) -> str:
    """Format an entry of :func:`find_absent_columns` as text for a report.

    Example:
        >>> flats = Schema([ColSpec("double", "rooms", required=False)])
        >>> [column] = find_absent_columns(flats, ["Rooms"])
        >>> format_absent_column(column)
        "rooms: optional, and the table has no such column (did you mean 'Rooms'? Names are case sensitive)"
    """
    hint = f" ({column.hint})" if column.hint else ""
    return f"{column.path}: optional, and the table has no such column{hint}"
