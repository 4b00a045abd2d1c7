"""The dry run of a write: a plan for each column, and all findings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from sparksig.convert.spark import walk_spark
from sparksig.errors import Code, ContractError, Finding, OutputRefusedError, name_type, quote
from sparksig.options import Extra, Missing, SaveMode, Side, TableFormat, TypeRule
from sparksig.spark.arguments import require_frame
from sparksig.spark.names import Fold, find_variables, get_name_folding
from sparksig.spark.null_types import restore_null_types
from sparksig.spark.quiet import mute_query_errors
from sparksig.tables.columns import list_spark_columns
from sparksig.tables.contract import RUN_COLUMN, Contract
from sparksig.tables.delta import Existing, is_path, read_delta
from sparksig.tables.findings import find_equal_names, find_missing
from sparksig.tables.partitions import is_ambiguous, judge_partition_names
from sparksig.tables.types import judge_types
from sparksig.views import TextView
from sparksig.writing import delta, parquet
from sparksig.writing.request import WriteRequest
from sparksig.writing.sources import find_source_overlap
from sparksig.writing.target import ColumnPlan, plan_columns


@dataclass(frozen=True, repr=False)
class WritePlan(TextView):
    """The plan of a write.

    Attributes:
        target: the path or the name of the target.
        format: "parquet" or "delta".
        mode: "error", "append" or "overwrite".
        exists: whether the target already exists.
        columns: one entry for each column, and for each nested field that differs from the target.
        findings: the reasons why the write is refused; empty if it is allowed.

    Example:
        >>> import tempfile
        >>> plan = plan_write(spark.range(3), tempfile.mkdtemp(), "id int")
        >>> plan.ok, plan.exists, [finding.path for finding in plan.findings]
        (False, False, ['id'])
    """

    target: str
    format: str
    mode: str
    exists: bool
    columns: tuple[ColumnPlan, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if the write is allowed."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready built-ins."""
        return {
            "ok": self.ok,
            "target": self.target,
            "format": self.format,
            "mode": self.mode,
            "exists": self.exists,
            "columns": [column.to_dict() for column in self.columns],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        verb = {"error": "create", "append": "append to", "overwrite": "overwrite"}[self.mode]
        lines = [f"{verb} {self.target} ({self.format}{', which exists' if self.exists else ''})"]
        for column in self.columns:
            types = f"{column.actual or 'nothing'} -> {column.target or 'nothing'}"
            types = column.actual if column.actual == column.target else types
            reason = f" ({column.reason})" if column.reason else ""
            lines.append(f"  {column.path}: {column.verdict}, {types}{reason}")
        return "\n".join([*lines, *(f"  - {finding}" for finding in self.findings)])


def plan_write(
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
    types: TypeRule | None = None,
    missing: Missing | None = None,
    extra: Extra | None = None,
) -> WritePlan:
    """Plan a :func:`write` with the same arguments: only schemas are read, and nothing is written.

    Args:
        df: the table.
        target: a path, or for Delta the name of a table.
        contract: the contract of the rows, of any kind that :func:`check` accepts; or None.
        format: "parquet" or "delta"; None for the format of the existing table, else "parquet".
        mode: "error", "append" or "overwrite".
        run_id: the name of this run.
        partition_by: columns to partition by.
        evolve: let the target's schema change.
        side: the side of a signature: "inputs" or "outputs".
        types: for the target and a table's contract: "exact" (default), or "lossless", which casts columns
            whose types widen to the declared types.
        missing: "forbid" (default), or "allow": columns that the table lacks are null in every row.
        extra: for the contract: "forbid", "allow" or "warn", as in :func:`check`.

    Returns:
        A plan for each column, and all findings.

    Raises:
        ContractError: an argument is wrong.
        MissingDependencyError: the session does not support Delta tables.

    Example:
        >>> import tempfile
        >>> home = tempfile.mkdtemp()
        >>> spark.range(3).write.parquet(f"{home}/ids")
        >>> rows = spark.sql("select 7 as id, 'x' as note")
        >>> plan = plan_write(rows, f"{home}/ids", mode="append", types="lossless")
        >>> [(column.path, column.verdict) for column in plan.columns]
        [('id', 'widened'), ('note', 'refused')]
        >>> [(finding.path, finding.code.value) for finding in plan.findings]
        [('note', 'EXTRA_COLUMN')]
    """
    path = os.path.abspath(target) if isinstance(target, os.PathLike) else target
    request = WriteRequest(path, format, mode, run_id, partition_by, evolve, side, types, missing, extra)
    return resolve_write(df, contract, request).plan


@dataclass(frozen=True)
class ResolvedWrite:
    """A plan with the facts that it was built from, so that each of them is read once.

    Attributes:
        plan: the plan.
        request: the arguments of the write, with the format of the target.
        existing: the table at the target.
        layout: the same as ``existing`` if the write keeps its schema, else None.
        contract: the contract of the rows.
        partition_by: the columns to partition by; by default those of the layout.
    """

    plan: WritePlan
    request: WriteRequest
    existing: Existing | None
    layout: Existing | None
    contract: Contract | None
    partition_by: tuple[str, ...]


def resolve_write(df: DataFrame, contract: Any, request: WriteRequest) -> ResolvedWrite:
    """Plan a write; the errors are those of :func:`plan_write`."""
    _check_arguments(df, request)
    spark, target, mode = df.sparkSession, request.target, request.mode
    format = request.format or _find_format(spark, target)
    _check_target(target, format)
    request, is_delta = replace(request, format=format), format == "delta"
    declared = request.resolve_contract(spark, contract)
    findings = [] if declared is None else _judge_rows(df, declared)
    findings += find_missing(request.partition_by, df.columns, "a column to partition by")
    existing = _read_existing(spark, target, format)
    keeps_schema = mode == "append" or (mode == "overwrite" and is_delta and not request.evolve)
    layout = existing if keeps_schema else None
    partition_by = tuple(request.partition_by) or (() if layout is None else layout.partitions)
    # Delta ignores the case of names in every session
    fold = str.casefold if is_delta else get_name_folding(spark)
    columns, refused = _plan_columns(df, layout, request, fold)
    if existing is not None and mode == "error":
        hint = "choose mode='append' or mode='overwrite', or another path"
        findings.append(Finding(Code.INVALID_VALUE, "", "nothing at the target", "a table", hint))
    runs = [RUN_COLUMN] if request.run_id and not is_delta else []
    findings += find_equal_names([*df.columns, *runs], fold)
    findings += _find_null_types(df.schema) if layout is None else _find_evolving_null_types(columns)
    findings += _judge_partitions(df.schema, layout, request, partition_by)
    if is_delta:
        findings += delta.find_refusals(spark, df.schema, existing, mode)
    else:
        findings += [
            *parquet.find_unsafe_settings(spark),
            *find_variables(df.schema),
            *_judge_run_id(request.run_id),
        ]
        findings += find_source_overlap(df, target)
    findings += refused
    distinct = tuple(dict.fromkeys(findings))
    plan = WritePlan(target, format, mode, existing is not None, tuple(columns), distinct)
    return ResolvedWrite(plan, request, existing, layout, declared, partition_by)


def _read_existing(spark: SparkSession, target: str, format: str) -> Existing | None:
    """Read the schema of the table at a target; None if the target does not exist."""
    if format == "parquet":
        return parquet.read_existing(spark, target)
    existing = read_delta(spark, target)
    if existing is None and is_path(target) and parquet.has_other_files(spark, target):
        raise OutputRefusedError(f"{target} has files and is not a Delta table; nothing was written")
    return existing


def _judge_rows(df: DataFrame, contract: Contract) -> list[Finding]:
    columns = list_spark_columns(restore_null_types(df, contract.schema))
    return judge_types(contract, columns, fold=get_name_folding(df.sparkSession))


def _plan_columns(
    df: DataFrame, layout: Existing | None, request: WriteRequest, fold: Fold
) -> tuple[list[ColumnPlan], list[Finding]]:
    """Plan the columns of a new table, or of an existing table that keeps its schema."""
    if layout is None:
        plans = [
            ColumnPlan(quote(column.name), "ok", column.text, column.text)
            for column in list_spark_columns(df.schema)
        ]
        return plans, []
    contract = request.resolve_target(layout)
    columns = list_spark_columns(restore_null_types(df, contract.schema))
    return plan_columns(
        columns, contract, layout, fold, is_delta=request.format == "delta", evolve=request.evolve
    )


# --- arguments ----------------------------------------------------------------------------------------------


def _find_format(spark: SparkSession, target: str) -> str:
    """Return the format of the existing table, or "parquet" for a path without one.

    Raises:
        ContractError: no table has that name, or it is neither Delta nor Parquet.
    """
    if is_path(target):
        return "delta" if parquet.is_delta(spark, target) else "parquet"
    try:
        with mute_query_errors():
            details = {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {target}").collect()}
    except Exception as error:  # an error of Spark, whose class depends on the session
        if "NOT_FOUND" not in str(error) and "PARSE_SYNTAX_ERROR" not in str(error):
            raise
        raise ContractError(
            f"there is no table {target!r}. Pass format='delta' to create it, or write Parquet to a path: "
            f"./{target}"
        ) from None
    provider = str(details.get("Provider", "unknown")).lower()
    if provider == "delta":
        return provider
    raise ContractError(
        f"{target!r} is a table of the format {provider}: only Delta tables are written by name. Write "
        f"Parquet to a path, for example {details.get('Location', f'./{target}')}"
    )


def _check_arguments(df: Any, request: WriteRequest) -> None:
    target, run_id = request.target, request.run_id
    require_frame(df, "write(df, target)", target)
    if not isinstance(target, str) or not target:
        raise ContractError(f"target: expected a path or the name of a table, got {name_type(target)}")
    for name, value, choices in (
        ("format", request.format, (None, *get_args(TableFormat))),
        ("mode", request.mode, get_args(SaveMode)),
    ):
        if value not in choices:
            expected = ", ".join(repr(choice) for choice in choices if choice is not None)
            raise ContractError(f"{name}: expected one of {expected}, got {value!r}")
    if run_id is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", str(run_id)):
        raise ContractError(
            "run_id must have at most 200 letters, digits, '.', '_' and '-', the first a letter or a digit"
        )
    if isinstance(request.partition_by, str):
        raise ContractError(
            f"partition_by: expected a list of names, got a text. Pass [{request.partition_by!r}]"
        )
    if is_path(target) and set("*?[]{}") & set(target):
        raise ContractError(f"{target}: Spark reads *, ?, [, ], {{ and }} as a pattern")


def _check_target(target: str, format: str) -> None:
    if format == "delta" and is_path(target) and not re.match(r"/|[A-Za-z][\w+.-]*:/", target):
        raise ContractError(
            f"target: expected an absolute path for Delta, got a relative one. Pass {os.path.abspath(target)}"
        )
    if format == "parquet" and not is_path(target):
        raise ContractError(f"target: expected a path for Parquet, got a name. Pass ./{target}")


# --- findings -----------------------------------------------------------------------------------------------


def _find_null_types(table: T.StructType) -> list[Finding]:
    """Report the columns and fields that have the null type."""
    return [
        Finding(Code.UNSUPPORTED_TYPE, path, "a type", "void", _VOID)
        for path, part in walk_spark(table, "")
        if isinstance(part, T.NullType)
    ]


def _find_evolving_null_types(plans: Sequence[ColumnPlan]) -> list[Finding]:
    return [
        Finding(Code.UNSUPPORTED_TYPE, plan.path, "a type", plan.actual, _VOID)
        for plan in plans
        if plan.verdict == "evolution" and re.search(r"\bvoid\b", plan.actual)
    ]


_VOID = "it has only nulls and no type: cast it to its intended type"


def _judge_run_id(run_id: str | None) -> list[Finding]:
    """Report a run id that readers of partitions return differently, for example as a number."""
    if run_id is None or not is_ambiguous(run_id):
        return []
    expected = "a name that readers of Parquet return unchanged"
    hint = "use run-007 instead of 007, for example"
    return [Finding(Code.INVALID_NAME, RUN_COLUMN, expected, "a name that they return as a number", hint)]


def _judge_partitions(
    table: T.StructType, layout: Existing | None, request: WriteRequest, partition_by: Sequence[str]
) -> list[Finding]:
    findings = judge_partition_names(table.names, partition_by)
    if not table.fields:
        findings.append(Finding(Code.EMPTY, "", "a table with columns", "none"))
    if request.format == "parquet":
        findings += parquet.find_partition_refusals(table, partition_by, layout)
    else:
        findings += delta.find_partition_refusals(table, partition_by)
    requested = list(request.partition_by)
    if request.run_id is not None and request.format == "parquet":
        requested.insert(0, RUN_COLUMN)
    is_default = request.format == "delta" and not requested
    if layout is None or list(layout.partitions) == requested or is_default:
        return findings
    partitions = ", ".join(map(quote, layout.partitions))
    expected = f"partitions by {partitions}" if partitions else "no partitions"
    actual, hint = ", ".join(map(quote, requested)) or "none", _hint_partitions(layout, request.run_id)
    return [*findings, Finding(Code.INVALID_VALUE, "partition_by", expected, actual, hint)]


def _hint_partitions(layout: Existing, run_id: str | None) -> str:
    """Return the hint for partitions that differ from those of the table."""
    if run_id is not None and RUN_COLUMN not in layout.partitions:
        return (
            "the table was written without run ids: append without run_id, or write all rows to a new path "
            "with mode='append' and a run_id"
        )
    if run_id is None and RUN_COLUMN in layout.partitions:
        return "the table is partitioned by run ids: pass run_id"
    return "pass the columns that the table is partitioned by"
