"""Some rows of a table against a contract: by the engine itself, as a model would be given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from sparksig.engine import plan as plans
from sparksig.engine.arrived import as_declared
from sparksig.engine.frames import enforce
from sparksig.engine.nans import nan_findings
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.report import Report
from sparksig.schema import Schema
from sparksig.spark.bind import bind, column
from sparksig.spark.names import name_folding
from sparksig.spark.sample import Sampler
from sparksig.tables.columns import spark_columns
from sparksig.tables.contract import Contract
from sparksig.tables.types import broken_columns, order_findings, report_columns, root_of

__all__ = ["Looking", "of_sample"]

_PLACE = "sparksig place"


@dataclass(frozen=True)
class Looking:
    """What is looked for.

    Attributes:
        strict_nulls: nulls in required columns and properties of every type.
        refuse_nan: NaN.
        keys: the columns that name a row.
    """

    strict_nulls: bool
    refuse_nan: bool
    keys: tuple[str, ...]


def of_sample(
    df: DataFrame, contract: Contract, before: Report, sampler: Sampler, options: Looking
) -> Report:
    """The values of some rows, by the engine itself, as a model would be given them.

    Columns whose types do not fit are left out: nothing else can be said of their values.
    """
    part = _fitting(contract.schema, df.schema, before.findings)
    if part is None:
        return before
    bound = bind(df.schema, part, fold=name_folding(df.sparkSession))
    sent = [values.alias(name) for name, values in zip(bound.names, bound.values)]
    sent += [column(name).alias(f"{_PLACE} {index}") for index, name in enumerate(options.keys)]
    sample = sampler.sample(df.select(*sent))
    columns = [one.combine_chunks() for one in sample.rows.columns]
    values = pa.RecordBatch.from_arrays(columns[: len(bound.names)], names=list(bound.names))
    found = _engine_findings(values, part, options) if values.num_rows else []
    found += nan_findings(values, part) if options.refuse_nan else []
    bad = len({row for one in found for row in one.rows})
    bad = max([bad, *(one.count or values.num_rows for one in found if not one.rows)])
    labels = dict(zip(bound.names, _labels(bound.names, part, df.schema)))
    found = [_renamed(one, labels) for one in found]
    every = [*before.findings, *found]
    order = [every[index] for index in order_findings(every, [one.name for one in before.columns])]
    keys = columns[len(bound.names) :]
    examples = {
        index: tuple(
            ", ".join(f"{key}={held[row].as_py()!r}" for key, held in zip(options.keys, keys))
            for row in finding.rows[:2]
        )
        for index, finding in enumerate(order)
        if finding.rows and options.keys
    }
    nulls = {labels[name]: values.column(index).null_count for index, name in enumerate(bound.names)}
    seen = {labels[name]: bins for name, bins in _distributions(values).items()}
    return replace(
        before,
        findings=tuple(replace(one, rows=()) for one in order),  # positions in a sample name no row
        examples=examples,
        columns=report_columns(contract, spark_columns(df.schema), order, nulls, seen),
        rows=values.num_rows,
        bad_rows=bad,
        claim=sample.claim(bad),
    )


def _engine_findings(rows: pa.RecordBatch, schema: Schema, options: Looking) -> list[Finding]:
    """What the engine says of rows, with all rows that each finding concerns, where it can say them."""
    try:
        given = as_declared(rows, schema)
        if schema.is_tensor_spec():
            enforce(given, schema)
        else:
            plans.compile(schema, given.schema, options.strict_nulls).apply(given, first_rows=None)
    except ContractError as error:
        return list(error.findings) or [Finding(Code.INVALID_VALUE, "", found=error.message)]
    return []


def _labels(names: Sequence[str], schema: Schema, table: T.StructType) -> list[str]:
    """What the table calls the columns that are sent, which have numbers where the contract has no names."""
    return list(names) if schema.has_input_names() or len(names) != len(table.names) else list(table.names)


def _renamed(finding: Finding, labels: Mapping[str, str]) -> Finding:
    for sent, name in labels.items():
        if sent != name and root_of(finding.path) == step(sent):
            return replace(finding, path=step(name) + finding.path.removeprefix(step(sent)))
    return finding


def _fitting(schema: Schema, table: T.StructType, findings: Sequence[Finding]) -> Schema | None:
    """The columns of the contract that the table has, and in whose types nothing was found."""
    if not schema.has_input_names():
        return None if findings else schema
    fits = [
        spec
        for spec in schema
        if str(spec.name) in table.names and step(spec.name) not in broken_columns(findings)
    ]
    return Schema(fits) if fits else None


BINS = 10


def _distributions(rows: pa.RecordBatch) -> dict[str, tuple[tuple[str, int], ...]]:
    """How often ranges of values were seen, of numbers, times, booleans, and of texts by their lengths."""
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, values in zip(rows.schema.names, rows.columns):
        there = values.drop_null()
        if pa.types.is_boolean(values.type):
            count = pc.sum(there).as_py() or 0
            found[name] = (("false", len(there) - count), ("true", count))
        elif pa.types.is_string(values.type):
            found[name] = _binned(pc.utf8_length(there).to_numpy(zero_copy_only=False), "{:.0f} characters")
        elif pa.types.is_timestamp(values.type):
            found[name] = _binned(there.cast(pa.int64()).to_numpy(zero_copy_only=False), "", values.type.unit)
        elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
            found[name] = _binned(there.to_numpy(zero_copy_only=False), "{:.4g}")
    return found


def _binned(values: Any, form: str, unit: str = "") -> tuple[tuple[str, int], ...]:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return ()
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return ((_edge(low, form, unit), len(finite)),)
    if not np.isfinite(high - low):
        return ()
    try:
        counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    except ValueError:  # closer to each other than doubles can be divided
        return ((f"{_edge(low, form, unit)} to {_edge(high, form, unit)}", len(finite)),)
    ends = [_edge(float(edge), form, unit) for edge in edges]
    return tuple((f"{a} to {b}", int(count)) for a, b, count in zip(ends, ends[1:], counts))


def _edge(value: float, form: str, unit: str) -> str:
    if not unit:
        return form.format(value)
    return str(np.array(int(value), f"datetime64[{unit}]").astype("datetime64[s]"))
