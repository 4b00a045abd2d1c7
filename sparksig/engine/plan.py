"""The engine: a schema and an Arrow schema are compiled once into a plan, which each batch then passes.

Compiling decides by types alone and reports every type finding at once. Applying verifies what types
cannot decide (nulls, instants out of range) and widens with Arrow kernels; a column that has its type
already is handed on as it is, without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from sparksig.convert.arrow import source
from sparksig.engine.absent import Absent, build_missing_finding
from sparksig.engine.findings import FIRST_ROWS, Location, Rows
from sparksig.engine.nested import Node, Rules, compile_node
from sparksig.engine.zones import is_known_zone
from sparksig.errors import HINTS, Code, ContractError, Finding, UnsupportedError, below, step
from sparksig.lattice import mismatches
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, DataType, Map, Object, Type

__all__ = ["Plan", "compile", "find_unknown_zones", "sort_findings"]


@dataclass(frozen=True)
class Column:
    """What becomes of one column of a batch.

    Attributes:
        spec: what the contract declares.
        name: its name in what a plan gives.
        index: where the column stands in the batches; None for a column of nulls in place of an absent one.
        node: converts and checks it.
    """

    spec: ColSpec
    name: str
    index: int | None
    node: Node


@dataclass(frozen=True, eq=False)  # one per pair of schemas: what is kept for it is found by its identity
class Plan:
    """How the batches of one Arrow schema become what a model's schema declares.

    Attributes:
        columns: one entry for each declared column that the model sees, in the schema's order.
        extra: the batches' columns, and the fields inside them, that the schema does not declare; they
            are dropped.
        in_place: whether the batches have exactly the declared columns, in order: one of which nothing
            was converted is handed on itself.
    """

    columns: tuple[Column, ...]
    extra: tuple[str, ...]
    in_place: bool

    @property
    def specs(self) -> tuple[ColSpec, ...]:
        """The declared columns that the model sees, in the schema's order."""
        return tuple(column.spec for column in self.columns)

    def apply(
        self,
        batch: pa.RecordBatch,
        *,
        show_values: bool = False,
        first_row: int = 0,
        first_rows: int | None = FIRST_ROWS,
    ) -> pa.RecordBatch:
        """The declared columns of a batch, in the schema's order and in the model's types.

        Columns that have their type are not copied. Row positions in findings count from ``first_row``.

        Args:
            batch: of the schema that the plan was compiled for.
            show_values: whether findings may show some of the values concerned.
            first_row: the position of the batch's first row in a table of several.
            first_rows: how many rows a finding names; None for all.

        Raises:
            ContractError: nulls where none may be, instants outside nanoseconds, keys that maps lack;
                every one, with its count and the first rows.
        """
        findings: list[Finding] = []
        place = Location(Rows(first=first_row), findings, show_values, first_rows)
        held = [
            pa.nulls(batch.num_rows) if column.index is None else batch.column(column.index)
            for column in self.columns
        ]
        arrays = [_applied(column.node, array, place) for column, array in zip(self.columns, held)]
        if findings:
            raise ContractError.of(f"a batch of {batch.num_rows} rows breaks the contract", findings)
        if self.in_place and all(new is old for new, old in zip(arrays, held)):
            return batch
        if not arrays:
            return batch.select([])  # which keeps the number of rows
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])


def _applied(node: Node, array: pa.Array, place: Location) -> pa.Array:
    try:
        return node.apply(array, place)
    except pa.ArrowInvalid as error:  # what one array of 32-bit offsets cannot hold
        expected = "less than 2^31 bytes or elements in a batch"
        found = f"a column that cannot be converted ({type(error).__name__})"
        place.findings.append(Finding(Code.OUT_OF_RANGE, node.path, expected, found, "use smaller batches"))
        return array


def compile(
    schema: Schema,
    arrow_schema: pa.Schema,
    strict_nulls: bool = False,
    extra: str = "ignore",
    absent: Absent = "omit",
) -> Plan:
    """The plan for batches of one Arrow schema; compiled once per pair of schemas.

    Named columns are found by their exact name (case sensitive), an integer name as text; unnamed ones
    by position, and their number must be the same. Columns that the schema does not name are dropped,
    and so are fields of structs.

    Args:
        schema: the columns that the model declares.
        arrow_schema: what the batches have.
        strict_nulls: refuse nulls in required columns and properties of every type.
        extra: "forbid" refuses columns and fields that the schema does not declare.
        absent: "null" adds a column of nulls for each optional column that the batches lack, "omit" leaves it
            out, "forbid" refuses the batches.

    Raises:
        ContractError: columns missing, doubled, or of a type that does not widen; all of them.
        UnsupportedError: a schema of tensors, for which :mod:`sparksig.engine.tensors` is.

    Example:
        >>> batch = pa.record_batch([pa.array([1], pa.int32()), pa.array([7])], ["x", "id"])
        >>> compile(Schema([ColSpec("double", "x")]), batch.schema).apply(batch).to_pydict()
        {'x': [1.0]}
    """
    # without metadata, which has no part in it, and which older pyarrow cannot hash
    plain = arrow_schema if arrow_schema.metadata is None else arrow_schema.remove_metadata()
    try:
        hash(plain)
    except TypeError:  # on account of somebody's own type, which may well be an extra column
        return _compile.__wrapped__(schema, plain, strict_nulls, extra == "forbid", absent)
    return _compile(schema, plain, strict_nulls, extra == "forbid", absent)


@lru_cache(maxsize=256)
def _compile(schema: Schema, arrow_schema: pa.Schema, strict: bool, forbid: bool, absent: Absent) -> Plan:
    if schema.is_tensor_spec():
        raise UnsupportedError("a plan is made of columns; tensors are enforced by sparksig.enforce")
    findings: list[Finding] = []
    rules = Rules(strict, forbid)
    positions = _positions(schema, arrow_schema, absent, findings)
    columns = []
    extra: list[str] = []
    for spec, name, index in zip(schema, schema.input_names(), positions):
        path = step(name)
        if index is None:
            if absent == "null":  # a required column that is missing is a finding
                node = compile_node(pa.null(), spec.type, path, required=False, rules=rules)
                columns.append(Column(spec, str(name), None, node))
            continue
        held = arrow_schema.field(index).type
        found = mismatches(source(held), spec.type, path, spec.required)
        found = found or find_unknown_zones(held, spec.type, path)
        findings += found
        if not found:
            node = compile_node(held, spec.type, path, required=spec.required, rules=rules)
            columns.append(Column(spec, str(index if spec.name is None else spec.name), index, node))
            extra += _extra_fields(held, spec.type, path)
    used = {index for index in positions if index is not None}
    undeclared = [step(name) for index, name in enumerate(arrow_schema.names) if index not in used]
    if forbid:
        findings += [_extra_finding(Code.EXTRA_COLUMN, name, "column") for name in undeclared]
        findings += [_extra_finding(Code.UNKNOWN_KEY, path, "field") for path in extra]
    if findings:
        raise ContractError.of("the data does not fit the schema", sort_findings(findings, schema))
    in_place = [column.index for column in columns] == list(range(len(arrow_schema)))
    in_place = in_place and [column.name for column in columns] == arrow_schema.names
    return Plan(tuple(columns), (*undeclared, *extra), in_place and bool(columns))


def sort_findings(findings: list[Finding], schema: Schema) -> list[Finding]:
    """Findings as the schema has their columns; those of other columns come last."""
    roots = {step(name): index for index, name in enumerate(schema.input_names())}

    def place(finding: Finding) -> int:
        ends = [at for at, sign in enumerate(finding.path) if sign in ".["] + [len(finding.path)]
        known = [roots[root] for end in ends if (root := finding.path[:end]) in roots]
        return known[0] if known else len(roots)

    return sorted(findings, key=place)


def _extra_finding(code: Code, path: str, what: str) -> Finding:
    return Finding(code, path, f"no {what} beside the declared ones", f"a {what} more")


def _extra_fields(held: pa.DataType, dtype: Type, path: str) -> list[str]:
    """The fields of structs, at every depth, that an object does not declare."""
    extra: list[str] = []
    for part, inner, where in _walk(held, dtype, path):
        if inner is None:
            extra.append(where)
        else:
            extra += _extra_fields(part, inner, where)
    return extra


def find_unknown_zones(held: pa.DataType, dtype: Type, path: str) -> list[Finding]:
    """The time zones that a type is to be read in, at every depth, and that are not known here."""
    held = _plain(held)
    if dtype is DataType.datetime and pa.types.is_timestamp(held):
        if held.tz is None or is_known_zone(held.tz):
            return []
        hint = "install the time zone database (tzdata), or convert the column to UTC"
        return [Finding(Code.UNSUPPORTED_TYPE, path, "a time zone that is known here", held.tz, hint)]
    inner = [one for one in _walk(held, dtype, path) if one[1] is not None]
    return [one for part, what, where in inner if what for one in find_unknown_zones(part, what, where)]


def _plain(held: pa.DataType) -> pa.DataType:
    return held.value_type if pa.types.is_dictionary(held) else held


def _walk(held: pa.DataType, dtype: Type, path: str) -> Iterator[tuple[pa.DataType, Type | None, str]]:
    """The parts of a type with what is declared for each (None: nothing) and their paths."""
    held = _plain(held)
    if isinstance(dtype, Array) and hasattr(held, "value_type"):
        yield held.value_type, dtype.dtype, f"{path}[]"
    elif isinstance(dtype, Map) and pa.types.is_map(held):
        yield held.item_type, dtype.value_type, f"{path}[]"
    elif isinstance(dtype, Map) and pa.types.is_struct(held):
        for part in (held.field(index) for index in range(held.num_fields)):
            yield part.type, dtype.value_type, below(path, part.name)
    elif isinstance(dtype, Object) and pa.types.is_map(held):
        for prop in dtype.properties:
            yield held.item_type, prop.dtype, below(path, prop.name)
    elif isinstance(dtype, Object) and pa.types.is_struct(held):
        known = {prop.name: prop.dtype for prop in dtype.properties}
        for part in (held.field(index) for index in range(held.num_fields)):
            yield part.type, known.get(part.name), below(path, part.name)


def _positions(
    schema: Schema, arrow_schema: pa.Schema, absent: Absent, findings: list[Finding]
) -> list[int | None]:
    if not schema.has_input_names():
        if len(schema) != len(arrow_schema):
            hint = "columns without names are taken by position: select exactly these"
            expected, found = (f"{n} column{'s' if n != 1 else ''}" for n in (len(schema), len(arrow_schema)))
            findings.append(Finding(Code.COLUMN_COUNT, "", expected, found, hint))
            return [None] * len(schema)
        return list(range(len(schema)))
    return [_position(spec, arrow_schema, absent, findings) for spec in schema]


def _position(spec: ColSpec, arrow_schema: pa.Schema, absent: Absent, findings: list[Finding]) -> int | None:
    name = str(spec.name)
    try:
        held = arrow_schema.get_all_field_indices(name)
    except UnicodeEncodeError:  # half a surrogate pair, which no Arrow column has in its name
        held = []
    if len(held) == 1:
        return int(held[0])
    if held:
        findings.append(Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", f"{len(held)}"))
    elif spec.required or absent == "forbid":
        findings.append(build_missing_finding(spec, arrow_schema.names if len(findings) < HINTS else ()))
    return None
