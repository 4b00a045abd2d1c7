"""Value rules compiled to Arrow kernels: the rows of a batch that break each rule, and the totals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import to_source
from sparksig.engine import plan as plans
from sparksig.engine.arrays import flatten_maps
from sparksig.engine.kernels import decode_dictionary, to_local_nanoseconds
from sparksig.errors import Finding
from sparksig.schema import ColSpec, Schema
from sparksig.tables.rules import Condition, Rule, Step, StepKind, Test
from sparksig.types import SparkMLVector

Rows = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Part(NamedTuple):
    """Some rows of a table: a batch and its origin.

    Attributes:
        batch: the rows.
        origin: the file or the partition of the rows, for messages.
        first_row: the position of the first row; None if the rows are not consecutive.
    """

    batch: pa.RecordBatch
    origin: str = ""
    first_row: int | None = None


class Breach(NamedTuple):
    """A finding with its count, and examples of its rows: their keys or their positions."""

    finding: Finding
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of applying rules to the rows of a table.

    Attributes:
        rows: the number of rows.
        bad_rows: the number of rows that break a rule.
        nulls: the number of nulls in each counted column.
        breaches: the rules that are broken.
        values: the distributions of the counted columns.
    """

    rows: int
    bad_rows: int
    nulls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    breaches: tuple[Breach, ...] = ()
    values: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=lambda: MappingProxyType({}))


def add_count(rule: Finding, rows: int, places: int) -> Finding:
    """Return the finding of a rule with its number of rows, and the number of positions if it is larger."""
    actual = rule.actual if places == rows else f"{rule.actual} in {places:,} places"
    return replace(rule, count=rows, actual=actual)


def format_keys(names: Sequence[str], values: Sequence[Any]) -> str:
    """Format the key of a row."""
    return ", ".join(f"{name}={value!r}" for name, value in zip(names, values))


def count_violations(
    parts: Iterable[Part], rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str] = ()
) -> Outcome:
    """Count the rows that break rules.

    Args:
        parts: the rows; each batch has the columns of the rules, of ``names`` and of ``keys``.
        rules: the rules.
        names: the columns whose nulls are counted.
        keys: the columns that identify a row.

    Example:
        >>> from sparksig.errors import Code
        >>> rule = Rule(Finding(Code.NULL_IN_REQUIRED, "x"), "x", (), Condition(Test.NULL))
        >>> batch = pa.record_batch([pa.array([1, None, None])], ["x"])
        >>> outcome = count_violations([Part(batch)], [rule], ["x"])
        >>> outcome.bad_rows, outcome.nulls
        (2, {'x': 2})
    """
    rows = bad = 0
    nulls = dict.fromkeys(names, 0)
    totals = [_Total(rule) for rule in rules]
    for part in parts:
        rows += part.batch.num_rows
        arrays = dict(zip(part.batch.schema.names, map(_prepare, part.batch.columns)))
        for name in names:
            nulls[name] += arrays[name].null_count
        broken = np.zeros(part.batch.num_rows, dtype=bool)
        positions: dict[tuple[str, tuple[Step, ...]], _Values] = {}
        for total in totals:
            owners = total.add(_reach(arrays, total.rule.column, total.rule.steps, positions))
            if len(owners):
                broken[owners] = True
                total.note(owners, part, [arrays[key] for key in keys])
        bad += int(broken.sum())
    breaches = (total.summarize(keys) for total in totals)
    return Outcome(rows, bad, nulls, tuple(breach for breach in breaches if breach is not None))


@dataclass
class _Total:
    """The rows of all batches that break one rule."""

    rule: Rule
    rows: int = 0
    places: int = 0
    first: str = ""
    keys: pa.Table | None = None
    lengths: set[int] = field(default_factory=set)

    def add(self, values: _Values) -> Rows:
        """Count the rows of a batch that break the rule, and return their positions."""
        condition = self.rule.condition
        if not len(values.array):
            return _NO_ROWS
        if condition.test is Test.UNEQUAL_LENGTHS:
            ends = pc.min_max(pc.list_value_length(values.array)).as_py().values()
            self.lengths.update(length for length in ends if length is not None)
            return _NO_ROWS
        mask = _CONDITIONS[condition.test](values.array, condition)
        if mask is None or not mask.any():
            return _NO_ROWS
        places = np.flatnonzero(mask) if values.owners is None else values.owners[mask]
        rows = places if values.owners is None else np.unique(places)
        self.rows += len(rows)
        self.places += len(places)
        return rows

    def note(self, rows: Rows, part: Part, keys: Sequence[pa.Array]) -> None:
        """Keep the first row, or the smallest and the largest key."""
        if keys:
            table = pa.table({f"k{index}": array.take(pa.array(rows)) for index, array in enumerate(keys)})
            self.keys = _find_ends(table if self.keys is None else pa.concat_tables([self.keys, table]))
        elif not self.first and part.first_row is not None:
            self.first = f"{part.origin}, row {part.first_row + int(rows[0])}"

    def summarize(self, names: Sequence[str]) -> Breach | None:
        """Return the finding with its count; None if no row breaks the rule."""
        if len(self.lengths) > 1:
            return Breach(self.rule.finding)
        if not self.rows:
            return None
        examples = [self.first] if self.first else []
        if self.keys is not None:
            rows = zip(*(column.to_pylist() for column in self.keys.columns))
            examples = [format_keys(names, row) for row in rows]
        return Breach(add_count(self.rule.finding, self.rows, self.places), tuple(dict.fromkeys(examples)))


_NO_ROWS: Rows = np.zeros(0, dtype=np.int64)


def _find_ends(keys: pa.Table) -> pa.Table:
    """Return the smallest and the largest of some keys; a null is smaller than any value."""
    columns: dict[str, pa.ChunkedArray] = {}
    for name, values in zip(keys.schema.names, keys.columns):
        columns |= {f"{name} is valid": values.is_valid(), name: values}
    order = pc.sort_indices(pa.table(columns), sort_keys=[(name, "ascending") for name in columns])
    return keys.take(pa.array([order[0].as_py(), order[-1].as_py()]))


# --- steps ------------------------------------------------------------------------------------------------


class _Values(NamedTuple):
    """The values at one position of a batch, and the row of each; None if each row has exactly one value."""

    array: pa.Array
    owners: Rows | None


def _prepare(array: pa.Array) -> pa.Array:
    """Return a column without dictionaries, and with the vectors of Spark ML as lists."""
    if pa.types.is_dictionary(array.type):
        array = decode_dictionary(array)
    if not pa.types.is_struct(array.type):
        return array
    if getattr(to_source(array.type), "kind", "") != "vector":
        return array
    plan = plans.compile(Schema([ColSpec(SparkMLVector(), "x")]), pa.schema([("x", array.type)]))
    return plan.apply(pa.RecordBatch.from_arrays([array], ["x"])).column(0)


def _reach(
    arrays: Mapping[str, pa.Array],
    column: str,
    steps: tuple[Step, ...],
    computed: dict[tuple[str, tuple[Step, ...]], _Values],
) -> _Values:
    """Return the values at the end of some steps; the values of each position are computed once."""
    if not steps:
        return _Values(arrays[column], None)
    key = (column, steps)
    if key not in computed:
        computed[key] = _step_into(_reach(arrays, column, steps[:-1], computed), steps[-1])
    return computed[key]


def _step_into(values: _Values, step: Step) -> _Values:
    array, owners = values
    if step.kind is StepKind.FIELD and array.null_count:
        valid = array.is_valid()
        owners = _select(owners, _as_mask(valid))
        array = array.filter(valid)
    if step.kind in (StepKind.FIELD, StepKind.DELTA_FIELD):
        return _Values(_decode(pc.struct_field(array, [array.type.get_field_index(step.name)])), owners)
    if step.kind is StepKind.ITEMS:
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        return _Values(_decode(array.flatten()), _repeat(owners, lengths))
    keys, items, lengths = flatten_maps(array)
    owners = _repeat(owners, lengths)
    if step.kind is not StepKind.KEY:
        return _Values(_decode(keys if step.kind is StepKind.KEYS else items), owners)
    positions = np.flatnonzero(_as_mask(_match_key(keys, step.name)))
    maps = np.repeat(np.arange(len(lengths)), lengths)[positions]
    positions = positions[np.append(maps[1:] != maps[:-1], True)[: len(maps)]]  # the last of equal keys
    return _Values(_decode(items.take(pa.array(positions))), owners[positions])


def _repeat(owners: Rows | None, lengths: Rows) -> Rows:
    return np.repeat(np.arange(len(lengths)) if owners is None else owners, lengths)


def _select(owners: Rows | None, mask: Mask) -> Rows:
    return np.flatnonzero(mask) if owners is None else owners[mask]


def _decode(array: pa.Array) -> pa.Array:
    return decode_dictionary(array) if pa.types.is_dictionary(array.type) else array


def _match_key(keys: pa.Array, name: str) -> pa.Array:
    plain = _decode(keys)
    return pc.equal(plain, pa.scalar(name, plain.type)).fill_null(False)


def _as_mask(array: pa.Array) -> Mask:
    mask: Mask = array.to_numpy(zero_copy_only=False)
    return mask


# --- conditions -------------------------------------------------------------------------------------------


def _is_null(array: pa.Array, _: Condition) -> Mask | None:
    return _as_mask(array.is_null()) if array.null_count else None


def _is_nan(array: pa.Array, _: Condition) -> Mask | None:
    if not pa.types.is_floating(array.type):
        return None
    mask: Mask = np.isnan(array.to_numpy(zero_copy_only=False))
    return mask & _as_mask(array.is_valid()) if array.null_count else mask


def _is_outside(array: pa.Array, _: Condition) -> Mask | None:
    return None if pa.types.is_null(array.type) else to_local_nanoseconds(array)[1]


def _is_longer(array: pa.Array, condition: Condition) -> Mask:
    texts = array if pa.types.is_string(array.type) else array.cast(pa.large_string())
    return _as_mask(pc.greater(pc.utf8_length(texts), condition.argument).fill_null(False))


def _has_other_length(array: pa.Array, condition: Condition) -> Mask:
    return _as_mask(pc.not_equal(pc.list_value_length(array), condition.argument).fill_null(False))


def _has_duplicates(array: pa.MapArray, _: Condition) -> Mask:
    keys, _items, lengths = flatten_maps(array)
    codes = pc.dictionary_encode(_decode(keys)).indices.fill_null(-1).to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((codes, owners))
    is_repeated = (np.diff(codes[order].astype(np.int64)) == 0) & (np.diff(owners[order]) == 0)
    mask = np.zeros(len(lengths), dtype=bool)
    mask[owners[order][1:][is_repeated]] = True
    return mask


def _misses_key(array: pa.MapArray, condition: Condition) -> Mask:
    keys, _items, lengths = flatten_maps(array)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    mask = _as_mask(array.is_valid()).copy()
    mask[owners[_as_mask(_match_key(keys, str(condition.argument)))]] = False
    return mask


_CONDITIONS: Mapping[Test, Callable[[pa.Array, Condition], Mask | None]] = {
    Test.NULL: _is_null,
    Test.NAN: _is_nan,
    Test.OUTSIDE_NANOSECONDS: _is_outside,
    Test.LONGER: _is_longer,
    Test.OTHER_LENGTH: _has_other_length,
    Test.DUPLICATE_KEYS: _has_duplicates,
    Test.MISSING_KEY: _misses_key,
}
