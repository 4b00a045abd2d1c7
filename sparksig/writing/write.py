"""Checked writes to Parquet and Delta: the plan, the check, the write, and the counts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.fields import TENSOR_KEY
from sparksig.convert.spark import to_source
from sparksig.convert.spark_json import write_spark_field
from sparksig.errors import OutputRefusedError
from sparksig.options import Extra, Missing, SaveMode, Side, TableFormat, TypeRule
from sparksig.spark.bind import column
from sparksig.spark.diagnosis import convert_spark_errors
from sparksig.tables.check import build_rules, report_outcome
from sparksig.tables.columns import list_spark_columns, list_spark_fields
from sparksig.tables.contract import CONTRACT_KEY, Contract, build_contract_metadata
from sparksig.tables.counting import count_rows
from sparksig.tables.delta import Existing
from sparksig.tables.differences import normalize
from sparksig.tables.findings import report_columns
from sparksig.tables.report import Report
from sparksig.tables.rules import ValueOptions
from sparksig.tables.spark import SparkTable, convert_vectors_to_arrays
from sparksig.tables.sql import SqlRule, compile_rules
from sparksig.views import TextView, count_nouns
from sparksig.writing import delta, parquet
from sparksig.writing.constraints import (
    constrain_checks,
    constrain_columns,
    constrain_generated,
    constrain_partitions,
)
from sparksig.writing.plan import ResolvedWrite, WritePlan, resolve_write
from sparksig.writing.request import WriteRequest
from sparksig.writing.target import can_hold, can_widen


@dataclass(frozen=True, repr=False)
class Written(TextView):
    """The result of a write.

    Attributes:
        plan: the plan of the write.
        report: the report of the check of the values, without findings. Its ``rows`` is None if no value had
            to be checked.
        rows: the number of rows that were written; 0 if the target had this run already.
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
        """Return the result as JSON-ready built-ins."""
        return {
            "rows": self.rows,
            "repeated": self.repeated,
            "plan": self.plan.to_dict(),
            "report": self.report.to_dict(),
        }

    def to_json(self) -> str:
        """Return the result as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        if self.repeated:
            return f"{self.plan.target} ({self.plan.format}) has this run already: nothing was written"
        return f"{count_nouns(self.rows, 'row')} written to {self.plan.target} ({self.plan.format})"


@convert_spark_errors()
def write(
    df: DataFrame,
    target: str | os.PathLike[str],
    contract: Any = None,
    *,
    format: TableFormat | None = None,
    mode: SaveMode = "error",
    run_id: str | None = None,
    partition_by: Sequence[str] = (),
    evolve: bool = False,
    side: Side = "inputs",
    strict_nulls: bool = True,
    note: str = "",
    types: TypeRule | None = None,
    missing: Missing | None = None,
    extra: Extra | None = None,
) -> Written:
    """Write a table if it satisfies a contract; otherwise write nothing.

    First the write is planned, as by :func:`plan_write`. Then all values are checked in one Spark job, unless
    neither the contract nor the target restricts values. Finally the rows are written and counted. Cache a
    DataFrame whose rows may differ each time they are computed. Columns are cast to the target's types only
    without loss. A Delta table fills its own columns (defaults, generated columns, identities). Simultaneous
    writers either succeed or are refused; if several write the same run, exactly one succeeds.

    Args:
        df: the table.
        target: a path, or for Delta the name of a table.
        contract: the contract of the rows, of any kind that :func:`check` accepts; None for only the target's
            own constraints. It is stored with a new table, if its columns have names:
            ``check(other, target)`` finds it again.
        format: "parquet" or "delta"; None for the format of the existing table, else "parquet".
        mode: "error" (the target must not exist), "append" or "overwrite".
        run_id: the name of this run. A run that the target already has is not written again; the result has
            ``repeated=True``. In Parquet, the runs are partitions by a column ``run_id``.
        partition_by: columns to partition by. Parquet stores them as names of directories: whole numbers,
            doubles, dates, and texts. A text such as 007 is refused, because Spark would return it as 7.
        evolve: let the target's schema change: new columns, and wider types that Delta supports.
        side: the side of a signature: "inputs" or "outputs".
        strict_nulls: as in :func:`check`.
        note: a text that is stored with the run's commit to a Delta table.
        types: for the target and a table's contract: "exact" (default), or "lossless", which casts columns
            whose types widen to the declared types.
        missing: "forbid" (default), or "allow": columns that the table lacks are null in every row.
        extra: for the contract: "forbid", "allow" or "warn", as in :func:`check`.

    Returns:
        The plan, the report of the check, and the number of rows written.

    Raises:
        OutputRefusedError: the plan is refused, or another writer was faster; nothing was written.
        ContractError: values break the contract, or the target's constraints; nothing was written.
        MissingDependencyError: the session does not support Delta tables.

    Example:
        >>> import tempfile
        >>> home = tempfile.mkdtemp()
        >>> write(spark.range(3), f"{home}/ids", "id bigint not null").rows
        3
        >>> write(spark.sql("select nullif(1L, 1) as id"), f"{home}/ids", "id bigint not null", mode="append")
        Traceback (most recent call last):
        sparksig.errors.ContractError: the table breaks the contract (DDL): 1 finding
          - id: expected bigint without nulls, got nulls, once (fill the nulls, or filter the rows)
            [NULL_IN_REQUIRED]
    """
    path = os.path.abspath(target) if isinstance(target, os.PathLike) else target
    request = WriteRequest(
        path, format, mode, run_id, partition_by, evolve, side, types, missing, extra, note
    )
    return write_resolved(df, resolve_write(df, contract, request), ValueOptions(strict_nulls))


def write_resolved(df: DataFrame, resolved: ResolvedWrite, options: ValueOptions | None = None) -> Written:
    """Write a table as planned; the errors are those of :func:`write`."""
    plan, request = resolved.plan, resolved.request
    if require_writable(df.sparkSession, resolved):
        return Written(plan, _BEFORE, 0, repeated=True)
    rows = _align_rows(df, resolved)
    report = _check_values(rows, resolved, options or ValueOptions())
    report.raise_if_failed()
    is_delta = plan.format == "delta"
    count = delta.commit(rows, request, exists=plan.exists) if is_delta else parquet.save(rows, request)
    if count is None:
        return Written(plan, _BEFORE, 0, repeated=True)
    return Written(plan, report, count or int(report.rows or 0))


def require_writable(spark: SparkSession, resolved: ResolvedWrite) -> bool:
    """Check that a planned write is allowed; return whether the target already has its run.

    Raises:
        OutputRefusedError: the plan is refused.
    """
    plan, run_id = resolved.plan, resolved.request.run_id
    if run_id is not None and plan.exists and _has_run(spark, plan, run_id):
        return True
    if plan.findings:
        raise OutputRefusedError.of(f"{plan.target}: nothing was written", plan.findings)
    return False


_BEFORE = Report("schema", "written before", (), ())


def _has_run(spark: SparkSession, plan: WritePlan, run_id: str) -> bool:
    if plan.format == "delta":
        return delta.has_run(spark, plan.target, run_id)
    return parquet.has_run(spark, plan.target, run_id)


# --- the rows ---------------------------------------------------------------------------------------------


def _align_rows(df: DataFrame, resolved: ResolvedWrite) -> DataFrame:
    """Return the rows in the target's types, without the columns that the target fills itself."""
    contract, layout = resolved.contract, resolved.layout
    metadata = {} if contract is None else build_contract_metadata(contract)
    fields = {field.name: field for field in df.schema.fields}
    columns = []
    targets = _declare_fields(df.schema, contract) if layout is None else layout.schema.fields
    for target in targets:
        name, dtype = target.name, target.dataType
        if layout is not None and resolved.plan.format == "parquet" and name in layout.partitions:
            continue  # columns in the names of directories have no types
        if layout is None:
            marks = metadata[name]
        else:  # all files of a table keep the same
            marks = {key: (target.metadata or {})[key] for key in _OWN if key in (target.metadata or {})}
        if name in fields:
            field = fields.pop(name)
            columns.append(_mark(_align(column(name), field.dataType, dtype), field, marks))
        elif layout is None or name not in layout.filled:
            columns.append(_mark(F.lit(None).cast(dtype), T.StructField(name, dtype), marks))
    added = (_mark(column(name), field, metadata.get(name, {})) for name, field in fields.items())
    return df.select(*columns, *added)


def _declare_fields(table: T.StructType, contract: Contract | None) -> list[T.StructField]:
    """Return the fields of a new table as its contract declares them; none for a model's contract."""
    if contract is None or not contract.is_table:
        return []
    actual = {field.name: field.dataType for field in table.fields}
    fields = []
    for declared in contract.columns:
        dtype = actual.get(declared.name)
        if dtype is None or normalize(to_source(dtype)) != normalize(declared.field.source):
            dtype = T.StructField.fromJson(write_spark_field(declared.field, lengths=False)).dataType
        fields.append(T.StructField(declared.name, dtype))
    return fields


_OWN = (CONTRACT_KEY, TENSOR_KEY)
"""Metadata of a column that a write keeps."""

_FOREIGN = {CONTRACT_KEY, "CURRENT_DEFAULT", "EXISTS_DEFAULT"}
"""Metadata of a column that belongs to the table that was read."""


def _mark(value: Column, field: T.StructField, marks: dict[str, str]) -> Column:
    """Name a column, and replace the marks of other contracts in its metadata."""
    metadata = field.metadata or {}
    if not marks and not _FOREIGN & set(metadata):
        return value.alias(field.name)
    dropped = {*_FOREIGN, TENSOR_KEY} if marks else _FOREIGN
    remaining = {key: text for key, text in metadata.items() if key not in dropped}
    # without any metadata, Spark would leave the column's own
    return value.alias(field.name, metadata={**remaining, **marks} or {"sparksig": ""})


def _align(value: Column, actual: T.DataType, target: T.DataType) -> Column:
    """Cast a value to the target's type without loss."""
    if actual.simpleString() == target.simpleString():
        return value
    if isinstance(actual, T.StructType) and isinstance(target, T.StructType):
        types = {field.name: field.dataType for field in actual.fields}
        parts = [
            _align(value.getField(field.name), types[field.name], field.dataType).alias(field.name)
            if field.name in types
            else F.lit(None).cast(field.dataType).alias(field.name)
            for field in target.fields
        ]
        added = [value.getField(name).alias(name) for name in actual.names if name not in target.names]
        return F.when(value.isNotNull(), F.struct(*parts, *added))
    if isinstance(actual, T.ArrayType) and isinstance(target, T.ArrayType):
        item_types = actual.elementType, target.elementType
        return F.transform(value, lambda item: _align(item, *item_types))
    if isinstance(actual, T.MapType) and isinstance(target, T.MapType):
        value_types = actual.valueType, target.valueType
        return F.transform_values(value, lambda _, item: _align(item, *value_types))
    # Delta itself widens its narrower column
    evolves = can_widen(to_source(target), to_source(actual)) and not can_hold(target, actual)
    return value if evolves else value.cast(target)


def _check_values(rows: DataFrame, resolved: ResolvedWrite, options: ValueOptions) -> Report:
    """Check the values against the contract, and against the target's own constraints, in one job.

    Without rules, no job is started, and the rows are counted while they are written.
    """
    contract, layout, is_delta = resolved.contract, resolved.layout, resolved.plan.format == "delta"
    df, rules = convert_vectors_to_arrays(rows), []
    columns = list_spark_columns(df.schema)
    if contract is not None:
        rules = build_rules(contract, list_spark_fields(df.schema), options)
    partitions = [field for field in df.schema.fields if field.name in resolved.partition_by]
    sql = constrain_partitions(partitions, resolved.plan.format, layout)
    if layout is not None:
        df = _fill_columns(df, layout)
        rules += constrain_columns(layout, list_spark_fields(df.schema))
        sql += constrain_generated(layout, rows.columns)
    if resolved.existing is not None and is_delta:
        is_complete = layout is not None and not layout.filled
        sql += [rule for rule in constrain_checks(resolved.existing) if is_complete or _has_columns(df, rule)]
    distinct = {(rule.column, rule.steps, rule.condition): rule for rule in reversed(rules)}
    sql = [*compile_rules([*reversed(distinct.values())], list_spark_fields(df.schema)), *sql]
    name = contract.name if contract is not None else "the target's constraints"
    report = Report("full", name, (), report_columns(contract, columns))
    if contract is not None:
        report = replace(report, kind=contract.kind, options=contract.options)
    is_counted = delta.records_counts(df.sparkSession) if is_delta else parquet.can_observe(df)
    if not sql and is_counted:
        return replace(report, mode="schema")
    names = SparkTable(df).find_unambiguous([column.name for column in report.columns if column.actual])
    return report_outcome(report, contract, columns, count_rows(df, sql, names))


def _fill_columns(df: DataFrame, layout: Existing) -> DataFrame:
    """Add the columns that the target fills: defaults first, then the columns generated from them."""
    types = {field.name: field.dataType for field in layout.schema.fields}
    for how in ("default", "generated"):
        missing = {
            name: F.expr(fills.expression).cast(types[name])
            for name, fills in layout.filled.items()
            if fills.how == how and name not in df.columns
        }
        df = df.withColumns(missing) if missing else df
    return df


def _has_columns(df: DataFrame, rule: SqlRule) -> bool:
    """Return whether all columns of a rule are present; Delta itself checks the others."""
    try:
        return bool(df.selectExpr(rule.places).schema)
    except Exception:  # an error of Spark, whose class depends on the session
        return False
