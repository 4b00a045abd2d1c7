"""NaN where a contract says none: each place of a batch that has it, with its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.arrays import entries
from sparksig.errors import Code, Finding, below, step
from sparksig.schema import Schema, TensorSpec
from sparksig.types import Array, DataType, Map, Object, SparkMLVector, Type, describe

__all__ = ["nan_findings"]

Owners = np.ndarray[Any, np.dtype[np.int64]]


def nan_findings(batch: pa.RecordBatch, schema: Schema) -> list[Finding]:
    """The NaN in a batch, one finding for each path, with all of its rows.

    Args:
        batch: columns of types that fit the schema.
        schema: what they are declared as, by name, or by position where it has no names.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> batch = pa.record_batch([pa.array([0.5, float("nan")])], ["x"])
        >>> print(nan_findings(batch, Schema([ColSpec("double", "x")]))[0])
        x: expected double without NaN, found NaN, once, first in row 1 [INVALID_VALUE]
    """
    named = schema.has_input_names()
    specs = dict(zip(map(str, schema.input_names()), schema))
    found = []
    for index, (name, values) in enumerate(zip(batch.schema.names, batch.columns)):
        spec = specs.get(name if named else str(index), next(iter(schema)) if not named else None)
        if spec is not None:
            declared: Type | str = spec.type.name if isinstance(spec, TensorSpec) else spec.type
            found += _nans(values, declared, step(name), np.arange(len(values)))
    return found


def _nans(values: pa.Array, declared: Type | str, path: str, owners: Owners) -> list[Finding]:
    """The NaN at each place of a column; ``owners`` are the rows that the values belong to."""
    held = values.type
    if pa.types.is_floating(held):
        nan = pc.is_nan(values).fill_null(False).to_numpy(zero_copy_only=False)
        rows = np.unique(owners[nan]).tolist()
        expected = declared if isinstance(declared, str) else describe(declared)
        told = Finding(Code.INVALID_VALUE, path, f"{expected} without NaN", "NaN", count=len(rows))
        return [replace(told, rows=tuple(rows))] if rows else []
    if pa.types.is_map(held):
        return _in_maps(values, declared, path, owners)
    if pa.types.is_struct(held) and isinstance(declared, SparkMLVector):
        part = values.flatten()[held.get_field_index("values")]
        return _nans(part, declared, path, owners)
    if pa.types.is_struct(held):
        return _in_structs(values, declared, path, owners)
    if pa.types.is_nested(held) and isinstance(declared, (str, Array, SparkMLVector)):
        item: Type | str = declared.dtype if isinstance(declared, Array) else DataType.double
        item = declared if isinstance(declared, str) else item
        lengths = pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)
        return _nans(values.flatten(), item, f"{path}[]", np.repeat(owners, lengths))
    return []


def _in_structs(values: pa.StructArray, declared: Type | str, path: str, owners: Owners) -> list[Finding]:
    known = {prop.name: prop.dtype for prop in declared.properties} if isinstance(declared, Object) else {}
    every = declared.value_type if isinstance(declared, Map) else None
    found = []
    for field, part in zip(values.type, values.flatten()):
        dtype = known.get(field.name, every)
        if dtype is not None:
            found += _nans(part, dtype, below(path, field.name), owners)
    return found


def _in_maps(values: pa.MapArray, declared: Type | str, path: str, owners: Owners) -> list[Finding]:
    keys, items, lengths = entries(values)
    owners = np.repeat(owners, lengths)
    if isinstance(declared, Map):
        return _nans(items, declared.value_type, f"{path}[]", owners)
    if not isinstance(declared, Object):
        return []
    found = []
    for prop in declared.properties:  # a key is a property
        is_it = pc.equal(keys, pa.scalar(prop.name, keys.type)).fill_null(False)
        mask = is_it.to_numpy(zero_copy_only=False)
        found += _nans(items.filter(is_it), prop.dtype, below(path, prop.name), owners[mask])
    return found
