"""Checked writes to Parquet and Delta: a dry run first, then the check, then the write, then the counts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import TENSOR_KEY, source
from sparksig.convert.spark_json import write_spark_field
from sparksig.errors import OutputRefusedError
from sparksig.lattice import Field
from sparksig.spark.bind import column
from sparksig.spark.diagnosis import diagnosed
from sparksig.tables.check import build_rules, report_outcome
from sparksig.tables.columns import spark_columns
from sparksig.tables.contract import CONTRACT_KEY, Contract, contract_metadata
from sparksig.tables.delta import Existing
from sparksig.tables.differences import normalize
from sparksig.tables.findings import report_columns
from sparksig.tables.report import Report
from sparksig.tables.rules import ValueOptions
from sparksig.tables.spark import SparkTable, count_rows, vectors_as_arrays
from sparksig.tables.sql import SqlRule, compile_rules
from sparksig.writing import delta, parquet
from sparksig.writing.limits import (
    constrain_checks,
    constrain_columns,
    constrain_generated,
    constrain_partitions,
)
from sparksig.writing.plan import Planned, WriteOptions, WritePlan, plan_write, planned
from sparksig.writing.staged import ParquetWrite
from sparksig.writing.target import ColumnPlan, can_widen, holds

__all__ = ["ColumnPlan", "WritePlan", "Written", "plan_write", "write"]


@dataclass(frozen=True)
class Written:
    """What a write has done.

    Attributes:
        plan: what it was to do.
        report: what the check of the values found: nothing. Its ``rows`` are None where no value had to be
            looked at.
        rows: how many rows were written; 0 if the target had this run already.
        repeated: whether the target had this run already, so that nothing was written again.

    Example:
        >>> import tempfile
        >>> done = write(spark.range(3), f"{tempfile.mkdtemp()}/ids")
        >>> done.rows, done.repeated, done.plan.format
        (3, False, 'parquet')
    """

    plan: WritePlan
    report: Report
    rows: int
    repeated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """What was done as JSON-ready built-ins."""
        return {
            "rows": self.rows,
            "repeated": self.repeated,
            "plan": self.plan.to_dict(),
            "report": self.report.to_dict(),
        }

    def to_json(self) -> str:
        """What was done as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)


@diagnosed()
def write(
    df: DataFrame,
    target: str | os.PathLike[str],
    contract: Any = None,
    *,
    format: str | None = None,
    mode: str = "error",
    run_id: str | None = None,
    partition_by: Sequence[str] = (),
    evolve: bool = False,
    side: str = "inputs",
    strict_nulls: bool = True,
    note: str = "",
    types: str | None = None,
    missing: str | None = None,
    extra: str | None = None,
) -> Written:
    """Write a table that keeps to a contract, or nothing at all.

    First the dry run (:func:`plan_write`); then all values are checked, in one Spark job, unless the types
    say it all (no contract, or one that takes any value, and a target without constraints); then they are
    written, and counted: a table that is not the same each time it is computed is to be cached first. Columns
    are cast to the target's types where nothing is lost, and never else; what a Delta table fills itself
    (defaults, generated columns, identities) is left to it. Several may write one run to a Delta table at
    once: one of them does.

    Args:
        df: the table.
        target: a path, or for Delta the name of a table.
        contract: what the rows must keep to, in any form that :func:`check` takes; None for the target's own
            constraints alone. It is kept with a new table, if its columns have names:
            ``check(other, target)`` finds it again.
        format: "parquet" or "delta"; None for the format of the existing table, else "parquet".
        mode: "error" (nothing may be there), "append" or "overwrite".
        run_id: the name of this run. A run that the target has already is not written again; the result
            says ``repeated``. Parquet keeps runs apart as partitions of a column ``run_id``.
        partition_by: columns to partition by. Parquet keeps them as names of directories: whole numbers,
            doubles, dates, and texts that Spark does not read as numbers in another spelling, as 007.
        evolve: let the target's schema change: new columns, and the wider types that Delta can take over.
        side: of a signature: "inputs" or "outputs".
        strict_nulls: as of :func:`check`.
        note: a text that is kept with the run's commit to a Delta table.
        types: of the target and of a table's contract: "exact" (default), or "lossless", which casts columns
            whose types widen to the declared ones.
        missing: "forbid" (default), or "allow": columns that the table lacks are null in every row.
        extra: of the contract: "forbid", "allow" or "warn", as of :func:`check`.

    Returns:
        The plan, what was checked, and how many rows were written.

    Raises:
        OutputRefusedError: the dry run found something in the way; nothing was written.
        ContractError: values break the contract, or the target's constraints; nothing was written.
        MissingDependencyError: the session knows no Delta tables.

    Example:
        >>> import tempfile
        >>> home = tempfile.mkdtemp()
        >>> write(spark.range(3), f"{home}/ids", "id bigint not null").rows
        3
        >>> write(spark.sql("select nullif(1L, 1) as id"), f"{home}/ids", "id bigint not null", mode="append")
        Traceback (most recent call last):
        sparksig.errors.ContractError: the table breaks the contract (DDL): 1 finding
          - id: expected bigint without nulls, found nulls, once (fill the nulls, or filter the rows)
            [NULL_IN_REQUIRED]
    """
    options = WriteOptions(types, missing, extra)
    made = planned(df, target, contract, format, mode, run_id, partition_by, evolve, side, options)
    plan, spark = made.plan, df.sparkSession
    if run_id is not None and plan.exists and _has_run(spark, plan, run_id):
        return Written(plan, _BEFORE, 0, repeated=True)
    if plan.findings:
        raise OutputRefusedError.of(f"{plan.target}: nothing was written", plan.findings)
    sent = _sent(df, made)
    report = _checked(sent, made, strict_nulls=strict_nulls)
    report.raise_if_failed()
    if plan.format == "delta":
        how = delta.Commit(plan.target, mode, plan.exists, run_id, tuple(partition_by), evolve, note)
        rows = delta.commit(sent, how)
    else:
        rows = parquet.save(sent, ParquetWrite(plan.target, mode, run_id, partition_by))
    if rows is None:
        return Written(plan, _BEFORE, 0, repeated=True)
    return Written(plan, report, rows or int(report.rows or 0))


_BEFORE = Report("schema", "written before", (), ())


def _has_run(spark: SparkSession, plan: WritePlan, run_id: str) -> bool:
    if plan.format == "delta":
        return delta.committed(spark, plan.target, run_id)
    return parquet.has_run(spark, plan.target, run_id)


# --- the rows ---------------------------------------------------------------------------------------------


def _sent(df: DataFrame, made: Planned) -> DataFrame:
    """The rows as the target has them; what it fills itself is left out."""
    kept, known = made.kept, {field.name: field for field in df.schema.fields}
    told = {} if made.declared is None else contract_metadata(made.declared)
    parts = []
    layout = _declared_fields(df.schema, made.declared) if kept is None else kept.schema.fields
    for field in layout:
        name, dtype = field.name, field.dataType
        if made.plan.format == "parquet" and kept is not None and name in kept.partitions:
            continue  # of which the names of directories have the types
        own = {
            key: value for key, value in (field.metadata or {}).items() if key in (CONTRACT_KEY, TENSOR_KEY)
        }
        if kept is None:
            own = told[name]
        if name in known:
            given = known.pop(name)
            value = _aligned(column(name), given.dataType, dtype)
            parts.append(_remembering(value, given, own))  # all files of a table say the same
        elif kept is None or name not in kept.filled:
            parts.append(_remembering(F.lit(None).cast(dtype), T.StructField(name, dtype), own))
    new = (_remembering(column(name), field, told.get(name, {})) for name, field in known.items())
    return df.select(*parts, *new)


def _declared_fields(table: T.StructType, declared: Contract | None) -> list[T.StructField]:
    """Return the fields of a new table as its contract declares them; nothing of a model's contract."""
    if declared is None or not declared.is_table:
        return []
    actual = {field.name: field.dataType for field in table.fields}
    fields = []
    for declaration in declared.columns:
        dtype = actual.get(declaration.name)
        if dtype is None or normalize(source(dtype)) != normalize(declaration.field.source):
            dtype = T.StructField.fromJson(write_spark_field(declaration.field, lengths=False)).dataType
        fields.append(T.StructField(declaration.name, dtype))
    return fields


_FOREIGN = {CONTRACT_KEY, "CURRENT_DEFAULT", "EXISTS_DEFAULT"}
"""Metadata that a column has of the table that it came from."""


def _remembering(value: Column, given: T.StructField, told: dict[str, str]) -> Column:
    """A column that is written, with what a contract says of it, and no other contract."""
    metadata = given.metadata or {}
    if not told and not _FOREIGN & set(metadata):
        return value.alias(given.name)
    out = {*_FOREIGN, TENSOR_KEY} if told else _FOREIGN
    own = {key: value for key, value in metadata.items() if key not in out}
    # (no metadata at all would leave them as they are)
    return value.alias(given.name, metadata={**own, **told} or {"sparksig": ""})


def _aligned(value: Column, given: T.DataType, there: T.DataType) -> Column:
    """A value in the target's type, which holds it."""
    if given.simpleString() == there.simpleString():
        return value
    if isinstance(given, T.StructType) and isinstance(there, T.StructType):
        known = {field.name: field for field in given.fields}
        parts = [
            _aligned(value.getField(field.name), known[field.name].dataType, field.dataType).alias(field.name)
            if field.name in known
            else F.lit(None).cast(field.dataType).alias(field.name)
            for field in there.fields
        ]
        more = [
            value.getField(one.name).alias(one.name) for one in given.fields if one.name not in there.names
        ]
        return F.when(value.isNotNull(), F.struct(*parts, *more))
    if isinstance(given, T.ArrayType) and isinstance(there, T.ArrayType):
        element, wanted = given.elementType, there.elementType
        return F.transform(value, lambda one: _aligned(one, element, wanted))
    if isinstance(given, T.MapType) and isinstance(there, T.MapType):
        inner, item = given.valueType, there.valueType
        return F.transform_values(value, lambda _, one: _aligned(one, inner, item))
    narrower = can_widen(source(there), source(given)) and not holds(
        there, given
    )  # Delta widens its own column
    return value if narrower else value.cast(there)


def _checked(sent: DataFrame, made: Planned, *, strict_nulls: bool) -> Report:
    """The values against the contract, and against what the target itself asks for, in one job.

    No job, where neither says more than types do: the rows are counted as they are written.
    """
    contract, kept, filled = made.declared, made.kept, vectors_as_arrays(sent)
    columns, rules = spark_columns(filled.schema), []
    if contract is not None:
        rules = build_rules(contract, _fields(filled), ValueOptions(strict_nulls))
    by = [field for field in filled.schema.fields if field.name in made.by]
    sql = constrain_partitions(by, made.plan.format, kept)
    if kept is not None:
        filled = _as_filled(filled, kept)
        rules += constrain_columns(kept, _fields(filled))
        sql += constrain_generated(kept, sent.columns)
    if made.found is not None and made.plan.format == "delta":
        is_complete = kept is not None and not kept.filled
        sql += [rule for rule in constrain_checks(made.found) if is_complete or _resolves(filled, rule)]
    distinct = {(rule.column, rule.steps, rule.condition): rule for rule in reversed(rules)}
    sql = [*compile_rules([*reversed(distinct.values())], _fields(filled)), *sql]
    name = contract.name if contract is not None else "the target's constraints"
    report = Report("full", name, (), report_columns(contract, columns))
    if contract is not None:
        report = replace(report, kind=contract.kind, options=contract.options)
    counted = delta.counts(sent.sparkSession) if made.plan.format == "delta" else parquet.can_observe(sent)
    if not sql and counted:
        return replace(report, mode="schema")
    names = SparkTable(filled).find_unambiguous([column.name for column in report.columns if column.found])
    return report_outcome(report, contract, columns, count_rows(filled, sql, names))


def _fields(df: DataFrame) -> list[Field]:
    return [column.field for column in spark_columns(df.schema)]


def _as_filled(held: DataFrame, kept: Existing) -> DataFrame:
    """The rows with what the target makes of them: defaults, then what is generated of those, too."""
    for how in ("default", "generated"):
        types = {field.name: field.dataType for field in kept.schema.fields}
        missing = {
            name: F.expr(one.expression).cast(types[name])
            for name, one in kept.filled.items()
            if one.how == how and name not in held.columns
        }
        held = held.withColumns(missing) if missing else held
    return held


def _resolves(held: DataFrame, rule: SqlRule) -> bool:
    """Whether a rule speaks of columns that are there; of others Delta itself sees to it."""
    try:
        return bool(held.selectExpr(rule.places).schema)
    except Exception:  # Spark's, of a class that depends on the session
        return False
