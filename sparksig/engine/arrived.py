"""What tables of files and of Spark cannot say themselves: units of time of tensors, wall times of Any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import convert_leaves
from sparksig.engine.findings import RANGE_HINT
from sparksig.engine.frames import model_input
from sparksig.engine.zones import wall_times
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType

__all__ = ["as_declared", "tensor_findings"]


def as_declared(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """A batch as Spark or a file hands it over, with what they cannot say: units of time, and wall times.

    Times of tensors get the unit that the tensor declares; instants inside what is declared Any become what
    a clock in the session's zone shows.

    Raises:
        ContractError: a time that the unit cannot hold.
    """
    if not _is_unsaid(schema):
        return batch
    arrays = list(batch.columns)
    for index, name in enumerate(batch.schema.names):
        spec = _spec_of(schema, index, name)
        if isinstance(spec, TensorSpec) and spec.type.kind == "M":
            unit = np.datetime_data(spec.type)[0]
            arrays[index] = _in_unit(arrays[index], pa.timestamp(unit if unit != "D" else "s"), step(name))
        elif isinstance(spec, ColSpec) and isinstance(spec.type, AnyType):
            arrays[index] = convert_leaves(arrays[index], _convert_times)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


@lru_cache(maxsize=64)
def _is_unsaid(schema: Schema) -> bool:
    """Whether there is a column, or a tensor, whose type Spark cannot say."""
    return any(
        spec.type.kind == "M" if isinstance(spec, TensorSpec) else isinstance(spec.type, AnyType)
        for spec in schema
    )


def _spec_of(schema: Schema, index: int, name: str) -> ColSpec | TensorSpec | None:
    if not schema.has_input_names():
        specs = list(schema)
        return specs[0] if isinstance(specs[0], TensorSpec) else specs[index] if index < len(specs) else None
    return next((spec for spec in schema if str(spec.name) == name), None)


def _in_unit(array: pa.Array, target: pa.DataType, path: str) -> pa.Array:
    leaf, depth = array.type, 0
    while pa.types.is_list(leaf):
        leaf, depth = leaf.value_type, depth + 1
    if not (pa.types.is_timestamp(leaf) or pa.types.is_date(leaf)):
        return array
    for _ in range(depth):
        target = pa.list_(target)
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        finding = Finding(Code.OUT_OF_RANGE, path, f"instants that {target} can hold", "others", RANGE_HINT)
        raise ContractError.of("the data does not fit the schema", [finding]) from None


def _convert_times(array: pa.Array, _path: str) -> pa.Array:
    is_timestamp = pa.types.is_timestamp(array.type) and array.type.tz is not None
    return wall_times(array) if is_timestamp else array


def tensor_findings(schema: Schema, columns: Sequence[tuple[str, pa.DataType, str]]) -> list[Finding]:
    """The engine's verdict on the types of columns that are read as tensors: what it says of a row of zeros.

    Args:
        schema: the tensors.
        columns: of the table that they are made of: name, Arrow type, and the type in the table's own words.
    """
    named = schema.has_input_names()
    specs = dict(zip(map(str, schema.input_names()), schema))
    arrays, names = [], []
    for index, (name, held, _) in enumerate(columns):
        tensor = specs[name] if named else next(iter(schema))
        assert isinstance(tensor, TensorSpec)
        arrays.append(_zero(held, tensor, alone=len(columns) == 1))
        names.append(name if named else str(index))
    try:
        model_input(as_declared(pa.RecordBatch.from_arrays(arrays, names=names), schema), schema)
    except ContractError as error:
        found = list(error.findings) or [Finding(Code.TYPE_MISMATCH, "", repr(schema), error.message)]
        known = {step(name): (step(column), said) for name, (column, _, said) in zip(names, columns)}
        return [_of_table(one, known) for one in found]
    return []


def _of_table(finding: Finding, columns: dict[str, tuple[str, str]]) -> Finding:
    """What the engine finds of a row of zeros, in the words of the table."""
    root, bracket, rest = finding.path.partition("[")
    if root not in columns or finding.code is not Code.TYPE_MISMATCH:
        return finding
    path, said = columns[root]
    return replace(finding, path=path + bracket + rest, actual=said, hint="cast it explicitly")


def _zero(held: pa.DataType, spec: TensorSpec, *, alone: bool) -> pa.Array:
    """One row of a type, with as many zeros as a tensor asks for: its verdict is that of the type.

    Args:
        held: the type.
        spec: the tensor.
        alone: whether the column is all of the tensor, and not one of as many as it is wide.
    """
    inner = [1 if size == -1 else size for size in spec.shape[1:]]
    depth, leaf = 0, held
    while pa.types.is_list(leaf):
        depth, leaf = depth + 1, leaf.value_type
    sizes = inner if alone or depth else []
    values = pa.nulls(int(np.prod(sizes[:depth])) if depth else 1, leaf)
    values = pa.array(np.zeros(len(values)), pa.float64()).cast(leaf) if _is_number(leaf) else _filled(values)
    array = values
    for level in range(depth - 1, -1, -1):
        size = inner[level] if level < len(inner) else 1
        offsets = np.arange(0, len(array) + 1, size) if size else np.zeros(2, dtype=int)
        array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), array)
    return array


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def _filled(nulls: pa.Array) -> pa.Array:
    plain = {pa.string(): "", pa.binary(): b"", pa.bool_(): False}
    if nulls.type in plain:
        return pa.array([plain[nulls.type]] * len(nulls), nulls.type)
    if pa.types.is_timestamp(nulls.type) or pa.types.is_date(nulls.type):
        return pa.array([0] * len(nulls), pa.int64() if nulls.type.bit_width == 64 else pa.int32()).cast(
            nulls.type
        )
    return nulls
