"""The engine: a schema and an Arrow schema are compiled once into a plan, which each batch then passes.

Compiling decides by types alone and reports every type finding at once. Applying verifies what types
cannot decide (nulls, instants out of range) and widens with Arrow kernels; a column that has its type
already is handed on as it is, without a copy.

So far: columns of scalar types. Composite columns and tensors are judged, but not yet handed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from sparksig.convert.arrow import source, to_arrow
from sparksig.enforce.kernels import Kernel, Mask, decoded, nanosecond_wall_times, scalar_kernel
from sparksig.enforce.zones import is_known
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, nearest, step
from sparksig.lattice import NEVER_NULL, mismatches
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, describe

__all__ = ["Plan", "compile"]

FIRST_ROWS = 5
"""How many row positions a finding names."""


@dataclass(frozen=True)
class Column:
    """What becomes of one column of a batch.

    Attributes:
        spec: what the contract declares.
        path: its name in findings.
        index: where the column stands in the batches.
        target: the Arrow type in which the model receives it.
        kernel: widens it; None where it has its type already.
    """

    spec: ColSpec
    path: str
    index: int
    target: pa.DataType
    kernel: Kernel | None


@dataclass(frozen=True)
class Plan:
    """How the batches of one Arrow schema become what a model's schema declares.

    Attributes:
        columns: one entry for each declared column that the batches have, in the schema's order.
        extra: the batches' columns that the schema does not declare; they are dropped.
        strict_nulls: whether required columns of every type refuse nulls.
    """

    columns: tuple[Column, ...]
    extra: tuple[str, ...]
    strict_nulls: bool

    @property
    def specs(self) -> tuple[ColSpec, ...]:
        """The declared columns that are there, in the schema's order."""
        return tuple(column.spec for column in self.columns)

    @property
    def identity(self) -> bool:
        """Whether all columns have their types already, so that nothing is converted."""
        return all(column.kernel is None for column in self.columns)

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The declared columns of a batch, in the schema's order and in the model's types.

        Columns that have their type are not copied. Row positions in findings count within the batch.

        Raises:
            ContractError: nulls where none may be, or instants outside nanoseconds; every column's
                finding, with its count and the first rows.
        """
        findings: list[Finding] = []
        arrays = [self._one(column, batch.column(column.index), findings) for column in self.columns]
        if findings:
            raise ContractError.of(f"a batch of {batch.num_rows} rows breaks the contract", findings)
        if not arrays:
            return batch.select([])  # which keeps the number of rows
        names = [
            str(column.index if column.spec.name is None else column.spec.name) for column in self.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _one(self, column: Column, array: pa.Array, findings: list[Finding]) -> pa.Array:
        spec = column.spec
        if pa.types.is_dictionary(array.type):
            array = decoded(array)
        if spec.required and array.null_count and (self.strict_nulls or spec.type in NEVER_NULL):
            findings.append(_null_finding(column, array))
            return array
        if spec.type is DataType.datetime:
            array, outside = nanosecond_wall_times(array)
            if outside.any():
                findings.append(_range_finding(column, outside))
            return array
        return array if column.kernel is None else column.kernel(array)


def compile(schema: Schema, arrow_schema: pa.Schema, strict_nulls: bool = False) -> Plan:
    """The plan for batches of one Arrow schema; compiled once per pair of schemas.

    Named columns are found by their exact name (case sensitive), an integer name as text; unnamed ones
    by position, and their number must be the same. Columns that the schema does not name are dropped.

    Args:
        schema: what the model declares.
        arrow_schema: what the batches have.
        strict_nulls: refuse nulls in required columns of every type.

    Raises:
        ContractError: columns missing, doubled, or of a type that does not widen; all of them.
        UnsupportedError: tensors or composite columns, which the engine does not take yet.

    Example:
        >>> batch = pa.record_batch([pa.array([1], pa.int32()), pa.array([7])], ["x", "id"])
        >>> compile(Schema([ColSpec("double", "x")]), batch.schema).apply(batch).to_pydict()
        {'x': [1.0]}
    """
    # without metadata, which has no part in it, and which older pyarrow cannot hash
    return _compile(schema, arrow_schema.remove_metadata(), strict_nulls)


@lru_cache(maxsize=256)
def _compile(schema: Schema, arrow_schema: pa.Schema, strict_nulls: bool) -> Plan:
    _require_scalars(schema)
    findings: list[Finding] = []
    positions = _positions(schema, arrow_schema, findings)
    columns = []
    for spec, name, index in zip(schema, schema.input_names(), positions):
        if index is None:
            continue
        arrow_type = arrow_schema.field(index).type
        path = step(name)
        found = mismatches(source(arrow_type), spec.type, path, spec.required) or _zone_mismatch(
            arrow_type, path
        )
        findings += found
        if not found:
            target = to_arrow(spec.type)
            columns.append(Column(spec, path, index, target, scalar_kernel(arrow_type, target)))
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    used = {column.index for column in columns}
    extra = tuple(name for index, name in enumerate(arrow_schema.names) if index not in used)
    return Plan(tuple(columns), extra, strict_nulls)


def _zone_mismatch(arrow_type: pa.DataType, path: str) -> list[Finding]:
    zone = getattr(arrow_type, "tz", None)
    if zone is None or is_known(zone):
        return []
    hint = "install the time zone database (tzdata), or convert the column to UTC"
    return [Finding(Code.UNSUPPORTED_TYPE, path, "a time zone that is known here", zone, hint)]


def _require_scalars(schema: Schema) -> None:
    beyond = [
        f"{step(name)}: {spec!r}" if isinstance(spec, TensorSpec) else f"{step(name)}: {describe(spec.type)}"
        for name, spec in zip(schema.input_names(), schema)
        if isinstance(spec, TensorSpec) or not isinstance(spec.type, DataType)
    ]
    if beyond:
        raise UnsupportedError(
            "enforcing Arrow batches takes columns of scalar types so far; not yet: " + ", ".join(beyond)
        )


def _positions(schema: Schema, arrow_schema: pa.Schema, findings: list[Finding]) -> list[int | None]:
    if not schema.has_input_names():
        if len(schema) != len(arrow_schema):
            hint = "columns without names are taken by position: select exactly these"
            expected, found = (f"{n} column{'s' if n != 1 else ''}" for n in (len(schema), len(arrow_schema)))
            findings.append(Finding(Code.COLUMN_COUNT, "", expected, found, hint))
            return [None] * len(schema)
        return list(range(len(schema)))
    return [_position(spec, arrow_schema, findings) for spec in schema]


def _position(spec: ColSpec, arrow_schema: pa.Schema, findings: list[Finding]) -> int | None:
    name = str(spec.name)
    held = arrow_schema.get_all_field_indices(name)
    if len(held) == 1:
        return int(held[0])
    if held:
        findings.append(Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", f"{len(held)}"))
    elif spec.required:
        hint = nearest(name, arrow_schema.names)
        findings.append(Finding(Code.MISSING_COLUMN, step(name), describe(spec.type), "no such column", hint))
    return None


# --- findings of values -------------------------------------------------------------------------------


def _null_finding(column: Column, array: pa.Array) -> Finding:
    expected = f"{describe(column.spec.type)} without nulls"
    hint = "declare it optional" + (
        ", or double" if column.spec.type in (DataType.integer, DataType.long) else ""
    )
    nulls = array.is_null().to_numpy(zero_copy_only=False)
    base = Finding(Code.NULL_IN_REQUIRED, column.path, expected, "nulls", hint)
    return replace(base, count=array.null_count, rows=_first_rows(nulls))


def _range_finding(column: Column, outside: Mask) -> Finding:
    hint = (
        "a model sees nanoseconds: from 1677-09-21 to 2262-04-11; replace such instants, or filter the rows"
    )
    base = Finding(Code.OUT_OF_RANGE, column.path, "instants that nanoseconds can hold", "others", hint)
    return replace(base, count=int(outside.sum()), rows=_first_rows(outside))


def _first_rows(mask: Mask) -> tuple[int, ...]:
    return tuple(int(row) for row in np.flatnonzero(mask)[:FIRST_ROWS])
