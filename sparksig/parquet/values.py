"""What the values of a Parquet table break of a contract: batch by batch, counted over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine import plan as plans
from sparksig.engine.nans import nan_findings
from sparksig.errors import ContractError, Finding
from sparksig.parquet.judge import vectors_as_lists
from sparksig.parquet.rows import Part
from sparksig.parquet.tensors import Lengths, tensor_breaches
from sparksig.schema import ColSpec, Schema
from sparksig.types import SparkMLVector

__all__ = ["Looking", "Tally"]


@dataclass(frozen=True)
class Looking:
    """What is looked for.

    Attributes:
        schema: the columns of the contract whose types fit; None if there are none.
        strict_nulls: nulls in required columns and properties of every type.
        refuse_nan: NaN.
        keys: the columns that name a row.
    """

    schema: Schema | None
    strict_nulls: bool
    refuse_nan: bool
    keys: tuple[str, ...]


@dataclass
class _Seen:
    """Of one finding: how many rows, where the first one is, and the least and the largest key of them."""

    rows: int = 0
    first: str = ""
    keys: pa.Table | None = None


@dataclass
class Tally:
    """What was seen so far.

    Attributes:
        looking: what is looked for.
        rows: how many rows were looked at.
        bad: how many of them break the contract.
        nulls: of each column.
    """

    looking: Looking
    rows: int = 0
    bad: int = 0
    nulls: dict[str, int] = field(default_factory=dict)
    _seen: dict[Finding, _Seen] = field(default_factory=dict)
    _lengths: Lengths = field(default_factory=Lengths)

    def add(self, part: Part) -> None:
        """Look at some rows."""
        batch = part.batch
        self.rows += batch.num_rows
        for name, values in zip(batch.schema.names, batch.columns):
            self.nulls[name] = self.nulls.get(name, 0) + values.null_count
        concerned: set[int] = set()
        for told in self._breaches(batch):
            concerned.update(told.rows)
            self._note(told, part)
        self.bad += len(concerned)

    def _breaches(self, batch: pa.RecordBatch) -> list[Finding]:
        """The findings of a batch, with all rows that each concerns."""
        schema = self.looking.schema
        if schema is None or not batch.num_rows:
            return []
        if schema.is_tensor_spec():
            named = schema.has_input_names()
            chosen = batch.select([str(spec.name) for spec in schema]) if named else batch
            held = _without_vectors(chosen)
            found = tensor_breaches(held, schema, self._lengths)
            return found + (nan_findings(held, schema) if self.looking.refuse_nan else [])
        found = []
        try:
            plans.compile(schema, batch.schema, self.looking.strict_nulls).apply(batch, first_rows=None)
        except ContractError as error:
            found += error.findings
        return found + (nan_findings(batch, schema) if self.looking.refuse_nan else [])

    def _note(self, told: Finding, part: Part) -> None:
        seen = self._seen.setdefault(replace(told, count=None, rows=()), _Seen())
        seen.rows += told.count or 0
        if not told.rows:
            return
        if self.looking.keys:
            keys = _keys(part.batch, self.looking.keys).take(pa.array(told.rows))
            seen.keys = _ends(keys if seen.keys is None else pa.concat_tables([seen.keys, keys]))
        elif not seen.first and part.first_row is not None:
            seen.first = f"{part.file.name}, row {part.first_row + told.rows[0]}"

    def findings(self) -> list[tuple[Finding, tuple[str, ...]]]:
        """Each finding once, with what names some of its rows."""
        found = [
            (replace(told, count=seen.rows or None), self._examples(seen))
            for told, seen in self._seen.items()
        ]
        return found + [(told, ()) for told in self._lengths.findings()]

    def _examples(self, seen: _Seen) -> tuple[str, ...]:
        if seen.keys is None:
            return (seen.first,) if seen.first else ()
        rows = [[values.as_py() for values in row] for row in zip(*seen.keys.columns)]
        shown = (", ".join(f"{key}={value!r}" for key, value in zip(self.looking.keys, row)) for row in rows)
        return tuple(dict.fromkeys(shown))


def _keys(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Table:
    """The columns that name a row, with names that nothing stumbles over."""
    held = [batch.column(batch.schema.get_field_index(name)) for name in names]
    plain = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in held]
    return pa.table({f"k{index}": one for index, one in enumerate(plain)})


def _ends(keys: pa.Table) -> pa.Table:
    """The least and the largest of some keys; a null is less than any value."""
    by: dict[str, pa.ChunkedArray] = {}
    for name, values in zip(keys.schema.names, keys.columns):
        by |= {f"{name} there": values.is_valid(), name: values}
    order = pc.sort_indices(pa.table(by), sort_keys=[(name, "ascending") for name in by])
    return keys.take(pa.array([order[0].as_py(), order[-1].as_py()]))


def _without_vectors(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with its vectors of Spark ML as lists."""
    vectors = [part.name for part in batch.schema if vectors_as_lists(part.type) is not part.type]
    if not vectors:
        return batch
    chosen = batch.select(vectors)
    plan = plans.compile(Schema([ColSpec(SparkMLVector(), name) for name in vectors]), chosen.schema)
    lists = dict(zip(vectors, plan.apply(chosen).columns))
    arrays = [lists.get(name, values) for name, values in zip(batch.schema.names, batch.columns)]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
