"""Tensors in columns of a Parquet table: rows that are there, lists of the declared lengths, no nulls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.findings import RANGE_HINT
from sparksig.engine.kernels import nanosecond_wall_times
from sparksig.errors import Code, Finding, step
from sparksig.schema import Schema, TensorSpec

__all__ = ["Lengths", "tensor_breaches"]

Owners = np.ndarray[Any, np.dtype[np.int64]]
Breach = tuple[Finding, Owners]


@dataclass
class Lengths:
    """How long the lists of tensors of any length are, over all batches."""

    seen: dict[Finding, set[tuple[int, int]]] = field(default_factory=dict)

    def add(self, told: Finding, depth: int, lengths: Owners) -> None:
        """Note the lengths at one depth of one column."""
        if len(lengths):
            ends = {(depth, int(lengths.min())), (depth, int(lengths.max()))}
            self.seen.setdefault(told, set()).update(ends)

    def findings(self) -> list[Finding]:
        """The columns whose rows are of unequal lengths."""
        return [told for told, ends in self.seen.items() if len(ends) > len({depth for depth, _ in ends})]


def tensor_breaches(batch: pa.RecordBatch, schema: Schema, lengths: Lengths) -> list[Finding]:
    """What the values of a batch break of the tensors that they are declared as, with all rows concerned."""
    named = schema.has_input_names()
    specs = dict(zip(map(str, schema.input_names()), schema))
    found: list[Breach] = []
    for name, values in zip(batch.schema.names, batch.columns):
        spec = specs[name] if named else next(iter(schema))
        assert isinstance(spec, TensorSpec)
        if not named and batch.num_columns > 1:  # as many columns as the tensor is wide
            spec = TensorSpec(spec.type, (-1,))
        found += _of_column(values, spec, step(name), lengths)
    return [_counted(told, np.unique(rows)) for told, rows in found]


def _counted(told: Finding, rows: Owners) -> Finding:
    return replace(told, count=len(rows), rows=tuple(rows.tolist()))


def _of_column(values: pa.Array, spec: TensorSpec, path: str, lengths: Lengths) -> list[Breach]:
    shape, expected = spec.shape, f"{spec.type.name} without nulls"
    whole = spec.type.kind not in "fcM"  # which have no place for nulls, not even inside
    owners: Owners = np.arange(len(values))
    found: list[Breach] = []
    for depth in range(len(shape)):
        inside = depth < len(shape) - 1
        nulls = values.is_null().to_numpy(zero_copy_only=False)
        if nulls.any() and (inside or whole):
            at = path + "[]" * depth
            found.append((Finding(Code.NULL_IN_REQUIRED, at, expected, "nulls"), owners[nulls]))
        if not inside:
            return found + _instants(values, spec, path, owners)
        there, owners = values.filter(pc.invert(pa.array(nulls))), owners[~nulls]
        held: Owners = pc.list_value_length(there).to_numpy(zero_copy_only=False).astype(np.int64)
        wanted = shape[depth + 1]
        if wanted == -1:
            unequal = Finding(Code.SHAPE_MISMATCH, path, f"shape {shape}", "rows of unequal length")
            lengths.add(unequal, depth, held)
        elif (held != wanted).any():
            other = f"lists of other lengths than {wanted}"
            told = Finding(Code.SHAPE_MISMATCH, path + "[]" * depth, f"shape {shape}", other)
            found.append((told, owners[held != wanted]))
        values, owners = there.flatten(), np.repeat(owners, held)
    return found


def _instants(values: pa.Array, spec: TensorSpec, path: str, owners: Owners) -> list[Breach]:
    if spec.type != np.dtype("datetime64[ns]"):
        return []
    outside = nanosecond_wall_times(values)[1]
    told = Finding(Code.OUT_OF_RANGE, path, "instants that nanoseconds can hold", "others", RANGE_HINT)
    return [(told, owners[outside])] if outside.any() else []
