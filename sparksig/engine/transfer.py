"""Types that are lost on the way from Spark or a file to Python: restored here from the model's schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from sparksig.engine.arrays import convert_leaves
from sparksig.engine.findings import RANGE_HINT
from sparksig.engine.zones import to_local_times
from sparksig.errors import Code, ContractError, Finding, quote
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType


def restore_types(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Restore the types of a batch from Spark or a file that only the model's schema declares.

    Times that feed a tensor get the unit that the tensor declares. Timestamps inside a column declared Any
    become local times of the session's time zone.
    """
    if not _needs_restoring(schema):
        return batch
    arrays = list(batch.columns)
    for index, name in enumerate(batch.schema.names):
        spec = _find_spec(schema, index, name)
        if isinstance(spec, TensorSpec) and spec.type.kind == "M":
            unit = np.datetime_data(spec.type)[0]
            arrays[index] = _cast_to_unit(
                arrays[index], pa.timestamp(unit if unit != "D" else "s"), quote(name)
            )
        elif isinstance(spec, ColSpec) and isinstance(spec.type, AnyType):
            arrays[index] = convert_leaves(arrays[index], _convert_times)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


@lru_cache(maxsize=64)
def _needs_restoring(schema: Schema) -> bool:
    """Return whether a schema has types that a transfer from Spark loses."""
    return any(
        spec.type.kind == "M" if isinstance(spec, TensorSpec) else isinstance(spec.type, AnyType)
        for spec in schema
    )


def _find_spec(schema: Schema, index: int, name: str) -> ColSpec | TensorSpec | None:
    if not schema.has_input_names():
        specs = list(schema)
        return specs[0] if isinstance(specs[0], TensorSpec) else specs[index] if index < len(specs) else None
    return next((spec for spec in schema if str(spec.name) == name), None)


def _cast_to_unit(array: pa.Array, target: pa.DataType, path: str) -> pa.Array:
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
        expected, actual = f"times in the range of {target}", "times out of its range"
        finding = Finding(Code.OUT_OF_RANGE, path, expected, actual, RANGE_HINT)
        raise ContractError.of("the data does not fit the schema", [finding]) from None


def _convert_times(array: pa.Array, _path: str) -> pa.Array:
    is_timestamp = pa.types.is_timestamp(array.type) and array.type.tz is not None
    return to_local_times(array) if is_timestamp else array


def judge_tensors(schema: Schema, columns: Sequence[tuple[str, pa.DataType, str]]) -> list[Finding]:
    """Judge the types of the columns that form tensors, by enforcing one row of zeros."""
    # imports pandas, which no other check of types needs
    from sparksig.engine.frames import build_model_input

    is_named = schema.has_input_names()
    specs = dict(zip(map(str, schema.input_names()), schema))
    arrays, names = [], []
    for index, (name, arrow_type, _) in enumerate(columns):
        tensor = specs[name] if is_named else next(iter(schema))
        assert isinstance(tensor, TensorSpec)
        arrays.append(_build_zeros(arrow_type, tensor, is_only_column=len(columns) == 1))
        names.append(name if is_named else str(index))
    try:
        build_model_input(restore_types(pa.RecordBatch.from_arrays(arrays, names=names), schema), schema)
    except ContractError as error:
        findings = list(error.findings) or [Finding(Code.TYPE_MISMATCH, "", repr(schema), error.message)]
        columns_by_root = {
            quote(name): (quote(column), text) for name, (column, _, text) in zip(names, columns)
        }
        return [_rephrase_for_table(finding, columns_by_root) for finding in findings]
    return []


def _rephrase_for_table(finding: Finding, columns: dict[str, tuple[str, str]]) -> Finding:
    """Replace the name and the type in a finding about a row of zeros by those of the table's column."""
    root, bracket, inner_path = finding.path.partition("[")
    if root not in columns or finding.code is not Code.TYPE_MISMATCH:
        return finding
    path, column_type = columns[root]
    return replace(finding, path=path + bracket + inner_path, actual=column_type, hint="cast it explicitly")


def _build_zeros(arrow_type: pa.DataType, spec: TensorSpec, *, is_only_column: bool) -> pa.Array:
    """Build one row of a type, with as many zeros as one row of the tensor has."""
    inner = [1 if size == -1 else size for size in spec.shape[1:]]
    depth, leaf = 0, arrow_type
    while pa.types.is_list(leaf):
        depth, leaf = depth + 1, leaf.value_type
    sizes = inner if is_only_column or depth else []
    count = int(np.prod(sizes[:depth])) if depth else 1
    array = _build_zero_values(count, leaf)
    for level in range(depth - 1, -1, -1):
        size = inner[level] if level < len(inner) else 1
        offsets = np.arange(0, len(array) + 1, size) if size else np.zeros(2, dtype=int)
        array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), array)
    return array


def _build_zero_values(count: int, dtype: pa.DataType) -> pa.Array:
    """Return an array of zeros, empty texts or epochs; of nulls for any other type."""
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return pa.array(np.zeros(count), pa.float64()).cast(dtype)
    blanks = {pa.string(): "", pa.binary(): b"", pa.bool_(): False}
    if dtype in blanks:
        return pa.array([blanks[dtype]] * count, dtype)
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return pa.array([0] * count, pa.int64() if dtype.bit_width == 64 else pa.int32()).cast(dtype)
    return pa.nulls(count, dtype)
