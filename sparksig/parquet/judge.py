"""What types alone say of a Parquet table and a contract: by the footers of all of its files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from sparksig.convert.arrow import source
from sparksig.errors import Code, Finding, below, nearest, step
from sparksig.lattice import Scalar
from sparksig.parquet.files import Table
from sparksig.schema import ColSpec, Schema
from sparksig.types import Object

__all__ = [
    "columns_of",
    "compare_files",
    "missing_columns",
    "named",
    "spelled",
    "twins",
    "vectors_as_lists",
]

TWINS = "Spark does not distinguish such names: drop or rename one"


def spelled(dtype: pa.DataType) -> str:
    """A type in the words of the casting table.

    Example:
        >>> spelled(pa.dictionary(pa.int8(), pa.string())), spelled(pa.list_(pa.int64()))
        ('string', 'list<int64>')
    """
    return str(source(dtype))


def named(schema: Schema, table: pa.Schema) -> Schema:
    """A contract of columns without names as one of the table's: by position; an object's as its properties.

    What cannot be named so stays as it is.
    """
    if schema.has_input_names() or schema.is_tensor_spec():
        return schema
    specs = list(schema)
    if (row := _row(schema, table)) is not None:
        return Schema([ColSpec(prop.dtype, prop.name, prop.required) for prop in row.properties])
    if len(specs) != len(table) or len(set(table.names)) != len(table):
        return schema
    return Schema([ColSpec(spec.type, name, spec.required) for spec, name in zip(specs, table.names)])


def _row(schema: Schema, table: pa.Schema) -> Object | None:
    """The object that each row of a table is, where a contract is of one, and no column holds it."""
    if schema.has_input_names() or len(schema) != 1:
        return None
    [spec] = schema
    held = table.field(0).type if len(table) == 1 else None
    if held is not None and (pa.types.is_struct(held) or pa.types.is_map(held)):
        return None
    return spec.type if isinstance(spec, ColSpec) and isinstance(spec.type, Object) else None


def columns_of(schema: Schema, table: pa.Schema) -> list[str]:
    """The names of a table's columns that a contract is about; all of them, if it has no names."""
    known = named(schema, table)
    return [str(spec.name) for spec in known] if known.has_input_names() else list(table.names)


def vectors_as_lists(dtype: pa.DataType) -> pa.DataType:
    """A type as it is; that of Spark ML's vectors as lists."""
    return pa.list_(pa.float64()) if getattr(source(dtype), "kind", "") == "vector" else dtype


# --- names ------------------------------------------------------------------------------------------------


def twins(held: pa.Schema, inside: Sequence[str]) -> list[Finding]:
    """Columns, and fields in some of them, whose names Spark does not tell apart."""
    found: list[Finding] = []
    known: dict[str, list[str]] = {}
    for name in held.names:
        known.setdefault(name.casefold(), []).append(name)
    for same in known.values():
        if len(same) > 1:
            said = ", ".join(map(step, same))
            found += [
                Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", said, TWINS)
                for name in dict.fromkeys(same)
            ]
    chosen = [part for part in held if part.name in inside]
    return found + [one for part in chosen for one in _nested_twins(part.type, step(part.name))]


def _nested_twins(dtype: pa.DataType, path: str) -> list[Finding]:
    if pa.types.is_map(dtype):
        return _nested_twins(dtype.item_type, f"{path}[]")
    if not pa.types.is_struct(dtype):
        inner = getattr(dtype, "value_type", None)
        return [] if inner is None else _nested_twins(inner, f"{path}[]")
    parts = [dtype.field(index) for index in range(dtype.num_fields)]
    folded = [part.name.casefold() for part in parts]
    found = [
        Finding(Code.DUPLICATE_NAME, below(path, part.name), "one field of that name", "several", TWINS)
        for index, part in enumerate(parts)
        if folded[index] in folded[index + 1 :]
    ]
    return found + [one for part in parts for one in _nested_twins(part.type, below(path, part.name))]


def missing_columns(names: Sequence[str], known: Sequence[str]) -> list[Finding]:
    """A finding for each of the names, which are none of the table's."""
    return [
        Finding(Code.MISSING_COLUMN, step(name), "a column", "no such column", nearest(name, known))
        for name in names
    ]


# --- files ------------------------------------------------------------------------------------------------


def compare_files(table: Table, names: Sequence[str], required: Sequence[str] = ()) -> list[Finding]:
    """How files differ from the first one, in the columns that count: readers take its types for all.

    A column that has the null type in some files differs only if it is required.
    """
    first = table.files[0]
    types = _stored(table.schema, names)
    found: list[Finding] = []
    judged = {tuple(sorted(types.items()))}
    for file in table.files:
        here = _stored(file.schema, names)
        here |= {name: types[name] for name, held in here.items() if held == "null" and name not in required}
        key = tuple(sorted(here.items()))
        if key in judged:
            continue
        judged.add(key)
        none, hint = "no such column", "rewrite the files with one schema"
        found += [
            Finding(
                Code.TYPE_MISMATCH,
                step(name),
                f"{types.get(name, none)} as in {first.name}",
                f"{here.get(name, none)} in {file.name}",
                hint,
            )
            for name in dict.fromkeys([*types, *here])
            if types.get(name) != here.get(name)
        ]
    return found + _later_twins(table, names)


def _later_twins(table: Table, names: Sequence[str]) -> list[Finding]:
    """The columns that have a twin in a file after the first, of which :func:`twins` tells."""
    found: dict[str, Finding] = {}
    for file in table.files[1:]:
        if file.schema.names == table.schema.names:
            continue
        folded = Counter(name.casefold() for name in file.schema.names)
        for name in names:
            if folded[name.casefold()] > 1 and name not in found:
                several = f"several in {file.name}"
                expected = "one column of that name"
                found[name] = Finding(Code.DUPLICATE_NAME, step(name), expected, several, TWINS)
    return list(found.values())


def _stored(schema: pa.Schema, names: Sequence[str]) -> dict[str, str]:
    """The types of columns as a file has them: how Arrow holds text in memory makes no difference."""
    wanted = set(names)
    return {
        part.name: re.sub(r"\b(large_|fixed_size_)?(string|binary)(_view)?\b", r"\2", _zoneless(part.type))
        for part in schema
        if part.name in wanted
    }


def _zoneless(dtype: pa.DataType) -> str:
    found = source(dtype)
    return found.name if isinstance(found, Scalar) and found.name.startswith("timestamp") else str(found)
