"""Plans: a schema compiled against an Arrow schema once, then applied to each batch.

Compiling judges types alone and reports all type findings at once. Applying checks the values (nulls,
timestamps out of range) and widens them with Arrow kernels. A column that already has its type is passed on
without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from sparksig.convert.arrow import to_source
from sparksig.engine.absent import Absent, build_missing_finding
from sparksig.engine.arrays import decode_type
from sparksig.engine.findings import FIRST_ROWS, Location, Rows, build_count_finding
from sparksig.engine.nested import Node, Rules, compile_node
from sparksig.engine.zones import is_known_zone
from sparksig.errors import HINTS, Code, ContractError, Finding, UnsupportedError, below, quote
from sparksig.lattice import find_mismatches
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, DataType, Map, Object, Type


@dataclass(frozen=True)
class Column:
    """One declared column of a plan."""

    spec: ColSpec
    name: str  # in the plan's results
    index: int | None  # in the batches; None for nulls in place of an absent column
    node: Node


@dataclass(frozen=True, eq=False)  # hashed by identity, because each pair of schemas has one plan
class Plan:
    """The conversion of batches of one Arrow schema to the columns that a model's schema declares."""

    columns: tuple[Column, ...]  # that the model receives, in the schema's order
    extra: tuple[str, ...]  # the paths of undeclared columns and fields, which are dropped
    in_place: bool  # the batches have exactly the declared columns, in order

    @property
    def specs(self) -> tuple[ColSpec, ...]:
        """The declared columns that the model receives, in the schema's order."""
        return tuple(column.spec for column in self.columns)

    def apply(
        self,
        batch: pa.RecordBatch,
        *,
        show_values: bool = False,
        first_row: int = 0,
        first_rows: int | None = FIRST_ROWS,
    ) -> pa.RecordBatch:
        """Convert a batch to the declared columns, in the schema's order and in the model's types.

        Findings count rows from ``first_row``, and name the first ones.

        Columns that already have their type are not copied.

        Raises:
            ContractError: nulls in required columns, timestamps out of range, missing keys of maps; all
                findings, each with its count and the first rows.
        """
        findings: list[Finding] = []
        location = Location(Rows(first=first_row), findings, show_values, first_rows)
        columns = [
            pa.nulls(batch.num_rows) if column.index is None else batch.column(column.index)
            for column in self.columns
        ]
        arrays = [_apply_node(column.node, array, location) for column, array in zip(self.columns, columns)]
        if findings:
            raise ContractError.of(f"a batch of {batch.num_rows} rows breaks the contract", findings)
        if self.in_place and all(new is old for new, old in zip(arrays, columns)):
            return batch
        if not arrays:
            return batch.select([])  # a new batch would lose the number of rows
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])


def _apply_node(node: Node, array: pa.Array, location: Location) -> pa.Array:
    try:
        return node.apply(array, location)
    except pa.ArrowInvalid as error:  # the result does not fit into an array with 32-bit offsets
        expected = "less than 2^31 bytes or elements in a batch"
        actual = f"a column that cannot be converted ({type(error).__name__})"
        finding = Finding(Code.OUT_OF_RANGE, node.path, expected, actual, "use smaller batches")
        location.findings.append(finding)
        return array


def compile(
    schema: Schema,
    arrow_schema: pa.Schema,
    strict_nulls: bool = False,
    extra: str = "ignore",
    absent: Absent = "omit",
) -> Plan:
    """Compile a schema against the Arrow schema of batches; each pair of schemas is compiled once.

    Named columns are matched by their exact names (case sensitive); an integer name is matched as text.
    Unnamed columns are matched by position, and their number must be equal. Columns and fields of structs
    that the schema does not declare are dropped.

    Args:
        schema: the columns that the model declares.
        arrow_schema: the Arrow schema of the batches.
        strict_nulls: refuse nulls in required columns and properties of every type.
        extra: "forbid" refuses columns and fields that the schema does not declare.
        absent: "null" adds a column of nulls for each optional column that the batches lack, "omit" adds
            nothing, "forbid" refuses the batches.

    Raises:
        ContractError: columns are missing, duplicated, or of a type that does not widen; all findings.
        UnsupportedError: the schema has tensors, which :mod:`sparksig.engine.tensors` enforces.

    Example:
        >>> batch = pa.record_batch([pa.array([1], pa.int32()), pa.array([7])], ["x", "id"])
        >>> compile(Schema([ColSpec("double", "x")]), batch.schema).apply(batch).to_pydict()
        {'x': [1.0]}
    """
    # a plan does not depend on metadata, which older versions of pyarrow cannot hash
    key = arrow_schema if arrow_schema.metadata is None else arrow_schema.remove_metadata()
    try:
        hash(key)
    except TypeError:  # an extension type of the user that is not hashable, perhaps of an extra column
        return _compile.__wrapped__(schema, key, strict_nulls, extra == "forbid", absent)
    return _compile(schema, key, strict_nulls, extra == "forbid", absent)


@lru_cache(maxsize=256)
def _compile(schema: Schema, arrow_schema: pa.Schema, strict: bool, forbid: bool, absent: Absent) -> Plan:
    if schema.is_tensor_spec():
        raise UnsupportedError("cannot compile a schema of tensors: pass it to sparksig.enforce")
    findings: list[Finding] = []
    rules = Rules(strict, forbid)
    positions = _match_columns(schema, arrow_schema, absent, findings)
    columns = []
    extra: list[str] = []
    for spec, name, index in zip(schema, schema.input_names(), positions):
        path = quote(name)
        if index is None:
            if absent == "null":  # a required column that is missing is a finding
                node = compile_node(pa.null(), spec.type, path, required=False, rules=rules)
                columns.append(Column(spec, str(name), None, node))
            continue
        arrow_type = arrow_schema.field(index).type
        type_findings = find_mismatches(to_source(arrow_type), spec.type, path, spec.required)
        type_findings = type_findings or find_unknown_zones(arrow_type, spec.type, path)
        findings += type_findings
        if not type_findings:
            node = compile_node(arrow_type, spec.type, path, required=spec.required, rules=rules)
            columns.append(Column(spec, str(index if spec.name is None else spec.name), index, node))
            extra += _find_extra_fields(arrow_type, spec.type, path)
    used = {index for index in positions if index is not None}
    undeclared = [quote(name) for index, name in enumerate(arrow_schema.names) if index not in used]
    if forbid:
        findings += [_build_extra_finding(Code.EXTRA_COLUMN, name, "column") for name in undeclared]
        findings += [_build_extra_finding(Code.UNKNOWN_KEY, path, "field") for path in extra]
    if findings:
        raise ContractError.of("the data does not fit the schema", sort_findings(findings, schema))
    in_place = [column.index for column in columns] == list(range(len(arrow_schema)))
    in_place = in_place and [column.name for column in columns] == arrow_schema.names
    return Plan(tuple(columns), (*undeclared, *extra), in_place and bool(columns))


def sort_findings(findings: list[Finding], schema: Schema) -> list[Finding]:
    """Sort findings by the schema's order of columns; those of undeclared columns come last."""
    roots = {quote(name): index for index, name in enumerate(schema.input_names())}

    def find_position(finding: Finding) -> int:
        ends = [index for index, character in enumerate(finding.path) if character in ".["]
        prefixes = [finding.path[:end] for end in (*ends, len(finding.path))]
        return next((roots[prefix] for prefix in prefixes if prefix in roots), len(roots))

    return sorted(findings, key=find_position)


def _build_extra_finding(code: Code, path: str, noun: str) -> Finding:
    return Finding(code, path, f"only declared {noun}s", f"an undeclared {noun}")


def _find_extra_fields(arrow_type: pa.DataType, dtype: Type, path: str) -> list[str]:
    """Return the paths of the struct fields, at every depth, that the declared objects lack."""
    extra: list[str] = []
    for part_type, declared, part_path in _walk(arrow_type, dtype, path):
        if declared is None:
            extra.append(part_path)
        else:
            extra += _find_extra_fields(part_type, declared, part_path)
    return extra


def find_unknown_zones(arrow_type: pa.DataType, dtype: Type, path: str) -> list[Finding]:
    """Report the time zones of a type, at every depth, that this machine does not know."""
    arrow_type = decode_type(arrow_type)
    if dtype is DataType.datetime and pa.types.is_timestamp(arrow_type):
        if arrow_type.tz is None or is_known_zone(arrow_type.tz):
            return []
        hint = "install the time zone database (tzdata), or convert the column to UTC"
        return [Finding(Code.UNSUPPORTED_TYPE, path, "a known time zone", arrow_type.tz, hint)]
    return [
        finding
        for part_type, declared, part_path in _walk(arrow_type, dtype, path)
        if declared is not None
        for finding in find_unknown_zones(part_type, declared, part_path)
    ]


def _walk(arrow_type: pa.DataType, dtype: Type, path: str) -> Iterator[tuple[pa.DataType, Type | None, str]]:
    """Yield the parts of a type, each with its declared type (None if undeclared) and its path."""
    arrow_type = decode_type(arrow_type)
    if isinstance(dtype, Array) and hasattr(arrow_type, "value_type"):
        yield arrow_type.value_type, dtype.dtype, f"{path}[]"
    elif isinstance(dtype, Map) and pa.types.is_map(arrow_type):
        yield arrow_type.item_type, dtype.value_type, f"{path}[]"
    elif isinstance(dtype, Map) and pa.types.is_struct(arrow_type):
        for field in arrow_type:
            yield field.type, dtype.value_type, below(path, field.name)
    elif isinstance(dtype, Object) and pa.types.is_map(arrow_type):
        for prop in dtype.properties:
            yield arrow_type.item_type, prop.dtype, below(path, prop.name)
    elif isinstance(dtype, Object) and pa.types.is_struct(arrow_type):
        declared_types = {prop.name: prop.dtype for prop in dtype.properties}
        for field in arrow_type:
            yield field.type, declared_types.get(field.name), below(path, field.name)


def _match_columns(
    schema: Schema, arrow_schema: pa.Schema, absent: Absent, findings: list[Finding]
) -> list[int | None]:
    if not schema.has_input_names():
        if len(schema) != len(arrow_schema):
            hint = "select exactly these: columns without names are matched by position"
            findings.append(build_count_finding(len(schema), len(arrow_schema), hint))
            return [None] * len(schema)
        return list(range(len(schema)))
    return [_match_column(spec, arrow_schema, absent, findings) for spec in schema]


def _match_column(
    spec: ColSpec, arrow_schema: pa.Schema, absent: Absent, findings: list[Finding]
) -> int | None:
    name = str(spec.name)
    try:
        indices = arrow_schema.get_all_field_indices(name)
    except UnicodeEncodeError:  # no Arrow column has a lone surrogate in its name
        indices = []
    if len(indices) == 1:
        return int(indices[0])
    if indices:
        actual = str(len(indices))
        findings.append(Finding(Code.DUPLICATE_NAME, quote(name), "one column of that name", actual))
    elif spec.required or absent == "forbid":
        findings.append(build_missing_finding(spec, arrow_schema.names if len(findings) < HINTS else ()))
    return None
