"""The engine: a schema and an Arrow schema are compiled once into a plan, which each batch then passes.

Compiling decides by types alone and reports every type finding at once. Applying verifies what types
cannot decide (nulls, instants out of range) and widens with Arrow kernels; a column that has its type
already is handed on as it is, without a copy.

So far: columns of scalar types. Composite columns and tensors are judged, but not yet handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import source, to_arrow
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, nearest, step
from sparksig.lattice import mismatches
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, describe

__all__ = ["Plan", "compile"]

FIRST_ROWS = 5
"""How many row positions a finding names."""

NEVER_NULL = frozenset({DataType.boolean, DataType.integer, DataType.long})
"""A required column of these cannot hold a null: the model's plain NumPy dtype has no place for it."""

Kernel = Callable[[pa.Array], pa.Array]


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
        names = [
            str(column.index if column.spec.name is None else column.spec.name) for column in self.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _one(self, column: Column, array: pa.Array, findings: list[Finding]) -> pa.Array:
        spec = column.spec
        if spec.required and array.null_count and (self.strict_nulls or spec.type in NEVER_NULL):
            findings.append(_null_finding(column, array))
            return array
        if column.kernel is None:
            return array
        if spec.type is DataType.datetime:
            outside = _outside_nanoseconds(array)
            if outside is not None:
                findings.append(_range_finding(column, outside))
                return array
        return column.kernel(array)


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
        found = mismatches(source(arrow_type), spec.type, path, spec.required)
        findings += found
        if not found:
            target = to_arrow(spec.type)
            columns.append(Column(spec, path, index, target, _kernel(arrow_type, target)))
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    used = {column.index for column in columns}
    extra = tuple(name for index, name in enumerate(arrow_schema.names) if index not in used)
    return Plan(tuple(columns), extra, strict_nulls)


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
    base = Finding(Code.NULL_IN_REQUIRED, column.path, expected, "nulls", hint)
    return replace(base, count=array.null_count, rows=_first_rows(pc.is_null(array)))


def _range_finding(column: Column, outside: pa.Array) -> Finding:
    hint = (
        "a model sees nanoseconds: from 1677-09-21 to 2262-04-11; replace such instants, or filter the rows"
    )
    base = Finding(Code.OUT_OF_RANGE, column.path, "instants that nanoseconds can hold", "others", hint)
    return replace(base, count=pc.sum(outside).as_py(), rows=_first_rows(outside))


def _first_rows(mask: pa.Array) -> tuple[int, ...]:
    positions = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
    return tuple(int(row) for row in positions[:FIRST_ROWS])


# --- kernels ------------------------------------------------------------------------------------------


def _kernel(arrow_type: pa.DataType, target: pa.DataType) -> Kernel | None:
    """What turns an array of ``arrow_type`` into ``target``; the casting table has allowed it."""
    if arrow_type == target:
        return None
    if pa.types.is_dictionary(arrow_type):
        inner = _kernel(arrow_type.value_type, target)
        return lambda array: array.dictionary_decode() if inner is None else inner(array.dictionary_decode())
    if pa.types.is_decimal(arrow_type):
        return lambda array: _from_decimal(array, target)
    if pa.types.is_float16(arrow_type):
        return lambda array: _from_float16(array, target)
    if pa.types.is_timestamp(arrow_type) and arrow_type.tz is not None:
        return lambda array: _wall_time(array).cast(target)
    return lambda array: array.cast(target)


def _wall_time(array: pa.Array) -> pa.Array:
    """What a clock in the column's own zone shows, without a zone."""
    if array.type.tz in ("UTC", "Etc/UTC", "+00:00"):
        return array.cast(pa.timestamp(array.type.unit))
    return pc.local_timestamp(array)


_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
_INT64 = np.iinfo(np.int64)


def _outside_nanoseconds(array: pa.Array) -> pa.Array | None:
    """Which instants do not fit 64 bits of nanoseconds; None if all do."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_timestamp(array.type):
        if array.type.unit == "ns":
            return None
        if array.type.tz is not None:
            array = _wall_time(array)
        ticks, per_second = array.cast(pa.int64()), _UNITS_PER_SECOND[array.type.unit]
    elif pa.types.is_date32(array.type):
        # days are coarser than seconds: as milliseconds they are exact and fit 64 bits
        ticks, per_second = array.cast(pa.date64()).cast(pa.int64()), 10**3
    else:
        ticks, per_second = array.cast(pa.int64()), 10**3
    factor = 10**9 // per_second
    low, high = -(-_INT64.min // factor), _INT64.max // factor
    span = pc.min_max(ticks).as_py()
    if span["min"] is None or (low <= span["min"] and span["max"] <= high):
        return None
    return pc.fill_null(pc.or_(pc.less(ticks, low), pc.greater(ticks, high)), False)


def _from_float16(array: pa.Array, target: pa.DataType) -> pa.Array:
    # Arrow cannot cast float16 before 21; its buffer is NumPy's
    values = _values(array, np.dtype("float16")).astype(target.to_pandas_dtype())
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _from_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Decimals of at most 18 digits: their unscaled integers are exact, and so is what comes of them.

    For a double, both the integer (15 digits) and the power of ten (up to 22) are exact, so that one
    division rounds once and correctly. Beyond that Arrow's text is parsed, which rounds once, too.
    """
    scale = array.type.scale
    if pa.types.is_floating(target) and abs(scale) > 22:
        return array.cast(pa.string()).cast(target)
    unscaled = _unscaled(array)
    if pa.types.is_floating(target):
        values = unscaled / 10.0**scale if scale >= 0 else unscaled * 10.0**-scale
    else:
        values = (unscaled * 10**-scale).astype(target.to_pandas_dtype())
    return pa.array(values, type=target, mask=_mask(array), from_pandas=False)


def _unscaled(array: pa.Array) -> np.ndarray:
    width = array.type.byte_width
    if width < 8:
        return _values(array, np.dtype("<i4")).astype(np.int64)
    words = width // 8  # little-endian two's complement: the low word has all of 18 digits
    low = np.frombuffer(array.buffers()[1], dtype="<i8")[::words]
    values: np.ndarray = low[array.offset : array.offset + len(array)]
    mask = _mask(array)
    return values if mask is None else np.where(mask, 0, values)


def _values(array: pa.Array, dtype: np.dtype) -> np.ndarray:
    values: np.ndarray = np.frombuffer(array.buffers()[1], dtype=dtype)[
        array.offset : array.offset + len(array)
    ]
    return values


def _mask(array: pa.Array) -> np.ndarray | None:
    if not array.null_count:
        return None
    mask: np.ndarray = array.is_null().to_numpy(zero_copy_only=False)
    return mask
