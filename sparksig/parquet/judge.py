"""What types alone say of a Parquet table and a contract: by the footers of all of its files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

import pyarrow as pa

from sparksig.convert.arrow import source
from sparksig.engine import plan as plans
from sparksig.engine.arrived import tensor_findings
from sparksig.errors import Code, ContractError, Finding, below, nearest, step
from sparksig.lattice import Scalar, mismatches
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.tables.parquet import ParquetTable
from sparksig.types import Object

__all__ = [
    "columns_of",
    "differing",
    "missing_columns",
    "named",
    "refused",
    "spelled",
    "twins",
    "type_findings",
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


def refused(table: ParquetTable, schema: Schema, keys: Sequence[str] = ()) -> list[Finding]:
    """What the types say of a table and a contract: of the first file, and how the others differ from it.

    Args:
        table: the table.
        schema: the contract.
        keys: columns that name a row, which must be of one type in all files, too.
    """
    inside = columns_of(schema, table.schema)
    findings = twins(table.schema, inside)
    findings += type_findings(table.schema, schema, {one.path for one in findings})
    required = [str(spec.name) for spec in schema if isinstance(spec, TensorSpec) or spec.required]
    return findings + differing(table, [*inside, *keys], required)


def type_findings(held: pa.Schema, schema: Schema, reported: Collection[str] = ()) -> list[Finding]:
    """Judge the types of one file's columns, or of a table's.

    Args:
        held: the columns.
        schema: the contract.
        reported: the paths of columns whose names are reported already.
    """
    if (row := _row(schema, held)) is not None:
        return mismatches(source(pa.struct(list(held))), row, "")
    if schema.is_tensor_spec():
        return _of_tensors(held, schema)
    return _of_columns(held, named(schema, held), set(reported))


def columns_of(schema: Schema, table: pa.Schema) -> list[str]:
    """The names of a table's columns that a contract is about; all of them, if it has no names."""
    known = named(schema, table)
    return [str(spec.name) for spec in known] if known.has_input_names() else list(table.names)


def _of_columns(held: pa.Schema, schema: Schema, told: set[str]) -> list[Finding]:
    try:
        plan = plans.compile(schema, held)
    except ContractError as error:
        known = (one for one in error.findings if one.code is not Code.DUPLICATE_NAME or one.path not in told)
        return list(known)
    if not plan.columns:
        expected = "at least one of the contract's columns, which are all optional"
        return [Finding(Code.MISSING_COLUMN, "", expected, "none of them")]
    return []


def _of_tensors(held: pa.Schema, schema: Schema) -> list[Finding]:
    names = [str(spec.name) for spec in schema] if schema.has_input_names() else held.names
    missing = [name for name in names if name not in held.names]
    if missing:
        stands_in = Schema([ColSpec("double", name) for name in missing])
        specs = {step(spec.name): repr(spec) for spec in schema}
        found = _of_columns(held, stands_in, set())
        return [Finding(one.code, one.path, specs[one.path], one.found, one.hint) for one in found]
    if len(set(held.names)) != len(held):
        return []
    columns = [
        (name, vectors_as_lists(held.field(name).type), spelled(held.field(name).type)) for name in names
    ]
    return tensor_findings(schema, columns)


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


def differing(table: ParquetTable, names: Sequence[str], required: Sequence[str] = ()) -> list[Finding]:
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


def _later_twins(table: ParquetTable, names: Sequence[str]) -> list[Finding]:
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
