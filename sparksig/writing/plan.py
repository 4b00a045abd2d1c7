"""The dry run of a write: what becomes of each column, and what stands in the way."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from sparksig.errors import Code, ContractError, Finding, OutputRefusedError, below, kind, nearest, step
from sparksig.spark.arguments import require_frame
from sparksig.spark.names import Fold, name_folding
from sparksig.spark.null_types import restore_null_types
from sparksig.tables.columns import spark_columns
from sparksig.tables.contract import Contract, contract_of_table, resolve_contract
from sparksig.tables.delta import Existing, is_path, read_delta
from sparksig.tables.readers import SparkReader, spark_table
from sparksig.tables.types import judge_types
from sparksig.writing import delta, parquet
from sparksig.writing.limits import reads_back_otherwise
from sparksig.writing.sources import find_source_overlap
from sparksig.writing.staged import RUN_COLUMN
from sparksig.writing.target import ColumnPlan, plan_columns

__all__ = ["Planned", "WritePlan", "plan_write", "planned"]

FORMATS = ("parquet", "delta")
MODES = ("error", "append", "overwrite")


@dataclass(frozen=True)
class WritePlan:
    """What a write would do.

    Attributes:
        target: the path or the name of the target.
        format: "parquet" or "delta".
        mode: "error", "append" or "overwrite".
        exists: whether there is a table already.
        columns: one entry for each column, and each nested field that is not just as in the target.
        findings: what stands in the way; empty if the write may go on.

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
        """Whether nothing stands in the way."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready built-ins."""
        return {
            "ok": self.ok,
            "target": self.target,
            "format": self.format,
            "mode": self.mode,
            "exists": self.exists,
            "columns": [one.to_dict() for one in self.columns],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        verb = {"error": "create", "append": "append to", "overwrite": "overwrite"}[self.mode]
        lines = [f"{verb} {self.target} ({self.format}{', which exists' if self.exists else ''})"]
        for one in self.columns:
            types = f"{one.found or 'nothing'} -> {one.target or 'nothing'}"
            types = one.found if one.found == one.target else types
            lines.append(f"  {one.path}: {one.verdict}, {types}" + (f" ({one.reason})" if one.reason else ""))
        return "\n".join([*lines, *(f"  - {finding}" for finding in self.findings)])


def plan_write(
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
    types: str | None = None,
    missing: str | None = None,
    extra: str | None = None,
) -> WritePlan:
    """The dry run of :func:`write`, with the same arguments: nothing is read but schemas, nothing is written.

    Args:
        df: the table.
        target: a path, or for Delta the name of a table.
        contract: what the rows must keep to, in any form that :func:`check` takes; or None.
        format: "parquet" or "delta"; None for the format of the existing table, else "parquet".
        mode: "error", "append" or "overwrite".
        run_id: names this run.
        partition_by: columns to partition by.
        evolve: let the target's schema change.
        side: of a signature: "inputs" or "outputs".
        types: of the target and of a table's contract: "exact" (default), or "lossless", which casts columns
            whose types widen to the declared ones.
        missing: "forbid" (default), or "allow": columns that the table lacks are null in every row.
        extra: of the contract: "forbid", "allow" or "warn", as of :func:`check`.

    Returns:
        What would become of each column, and all that stands in the way.

    Raises:
        ContractError: an argument is not what it should be.
        MissingDependencyError: the session knows no Delta tables.

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
    options = WriteOptions(types, missing, extra)
    return planned(df, target, contract, format, mode, run_id, partition_by, evolve, side, options).plan


@dataclass(frozen=True)
class WriteOptions:
    """The options of the contracts that a write must keep: its own, and the target.

    Attributes:
        types: "exact" or "lossless"; None for the default.
        missing: "forbid" or "allow"; None for the default.
        extra: "forbid", "allow" or "warn"; None for the default. The target itself forbids.
    """

    types: str | None = None
    missing: str | None = None
    extra: str | None = None

    def resolve(self, spark: SparkSession, contract: Any, side: str) -> Contract:
        """Resolve the contract of a write."""
        declared = resolve_contract(
            contract, side=side, reader=SparkReader(spark), missing=self.missing, extra=self.extra
        )
        return resolve_contract(declared, types=self.types) if declared.is_table else declared

    def resolve_target(self, existing: Existing, name: str, format: str) -> Contract:
        """Return the contract that an existing table is."""
        filled = {column: fills.how for column, fills in existing.filled.items()}
        partitions = existing.partitions if format == "parquet" else ()
        contract = contract_of_table(spark_table(existing.schema, partitions, filled), name, tensors=False)
        return resolve_contract(contract, types=self.types, missing=self.missing)


@dataclass(frozen=True)
class Planned:
    """A plan with what it was made of, each of which is read once.

    Attributes:
        plan: what is to be done.
        found: the table that is there.
        kept: the same, if it keeps its schema.
        declared: the contract.
        by: the columns to partition by, those of the table that is kept if none are given.
    """

    plan: WritePlan
    found: Existing | None
    kept: Existing | None
    declared: Contract | None
    by: tuple[str, ...]


def planned(
    df: DataFrame,
    target: Any,
    contract: Any,
    format: str | None,
    mode: str,
    run_id: str | None,
    partition_by: Sequence[str],
    evolve: bool,
    side: str,
    options: WriteOptions,
) -> Planned:
    """The plan of a write; arguments and errors as of :func:`plan_write`."""
    where = os.path.abspath(target) if isinstance(target, os.PathLike) else target
    _check_arguments(df, where, format, mode, run_id, partition_by)
    spark, given = df.sparkSession, df.schema
    format = format or _find_format(spark, where)
    _check_target(where, format)
    declared = None if contract is None else options.resolve(spark, contract, side)
    findings = [] if declared is None else _judge(df, declared)
    findings += _missing(partition_by, df.columns)
    found = _existing(spark, where, format)
    keeps = mode == "append" or (mode == "overwrite" and format == "delta" and not evolve)
    kept = found if keeps else None
    by = tuple(partition_by) or (() if kept is None else kept.partitions)
    # Delta compares names up to case in every session
    fold = str.casefold if format == "delta" else name_folding(spark)
    target_contract = None if kept is None else options.resolve_target(kept, where, format)
    columns, refused = _column_plans(df, kept, target_contract, format, fold, evolve)
    if found is not None and mode == "error":
        hint = "choose mode='append' or mode='overwrite', or another place"
        findings.append(Finding(Code.INVALID_VALUE, "", "nothing at the target", "a table", hint))
    findings += _duplicates([*df.columns, *([RUN_COLUMN] if run_id and format == "parquet" else [])], fold)
    findings += _untyped(given, "") if kept is None else _evolving_untyped(columns)
    findings += _partition_findings(given, kept, partition_by, by, run_id, format)
    if format == "delta":
        findings += delta.refusals(spark, given, found, mode)
    else:
        findings += [*parquet.unsafe(spark), *_run_findings(run_id)]
        findings += find_source_overlap(df, where)
    findings += refused
    distinct = tuple(dict.fromkeys(findings))
    plan = WritePlan(where, format, mode, found is not None, tuple(columns), distinct)
    return Planned(plan, found, kept, declared, by)


def _existing(spark: SparkSession, target: str, format: str) -> Existing | None:
    """The table at a target; None if there is nothing."""
    if format == "parquet":
        return parquet.existing(spark, target)
    found = read_delta(spark, target)
    if found is None and is_path(target) and parquet.holds_others(spark, target):
        raise OutputRefusedError(f"{target} holds files that are no Delta table; nothing was written")
    return found


def _judge(df: DataFrame, contract: Contract) -> list[Finding]:
    columns = spark_columns(restore_null_types(df, contract.schema))
    return judge_types(contract, columns, fold=name_folding(df.sparkSession))


def _column_plans(
    df: DataFrame,
    kept: Existing | None,
    contract: Contract | None,
    format: str,
    fold: Fold,
    evolve: bool,
) -> tuple[list[ColumnPlan], list[Finding]]:
    """Plan the columns of a new table, or against one that keeps its schema."""
    if kept is None or contract is None:
        plans = [
            ColumnPlan(step(column.name), "ok", column.text, column.text)
            for column in spark_columns(df.schema)
        ]
        return plans, []
    columns = spark_columns(restore_null_types(df, contract.schema))
    return plan_columns(columns, contract, kept, format, fold, evolve=evolve)


def _find_format(spark: SparkSession, target: str) -> str:
    """Return the format of the existing table, or "parquet" for a path without one.

    Raises:
        ContractError: there is no table of that name, or it is neither Delta nor Parquet.
    """
    if is_path(target):
        return "delta" if parquet.is_delta(spark, target) else "parquet"
    try:
        details = {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {target}").collect()}
    except Exception as error:  # Spark's, of a class that depends on the session
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


def _check_arguments(
    df: Any, target: Any, format: str | None, mode: str, run_id: str | None, partition_by: Sequence[str]
) -> None:
    require_frame(df, "write(df, target)", target)
    if not isinstance(target, str) or not target:
        raise ContractError(f"the target is a path, or the name of a table, not {kind(target)}")
    if format is not None and format not in FORMATS:
        raise ContractError(f"format is one of {', '.join(map(repr, FORMATS))}, not {format!r}")
    if mode not in MODES:
        raise ContractError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    if run_id is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", str(run_id)):
        raise ContractError("run_id is made of letters, digits, '.', '_' and '-', up to 200 of them")
    if isinstance(partition_by, str):
        raise ContractError(f"partition_by is a list of names: [{partition_by!r}]")
    if is_path(target) and set("*?[]{}") & set(target):
        raise ContractError(f"{target}: Spark takes *, ?, [, ], {{ and }} for a pattern")


def _check_target(target: str, format: str) -> None:
    if format == "delta" and is_path(target) and not re.match(r"/|[A-Za-z][\w+.-]*:/", target):
        raise ContractError(f"Delta finds tables by absolute paths: {os.path.abspath(target)}")
    if format == "parquet" and not is_path(target):
        raise ContractError(f"a Parquet table is written to a path: ./{target}")


def _missing(names: Sequence[str], known: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            Code.MISSING_COLUMN,
            step(name),
            "a column to partition by",
            "no such column",
            nearest(name, known),
        )
        for name in names
        if name not in known
    ]


def _duplicates(names: Sequence[str], fold: Fold) -> list[Finding]:
    folded = [fold(name) for name in names]
    hint = "the target does not tell upper from lower case: rename one"
    return [
        Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", "several", hint)
        for index, name in enumerate(names)
        if folded[index] in folded[:index]
    ]


def _untyped(dtype: T.DataType, path: str) -> list[Finding]:
    """Columns, and fields, that a table would have without a type."""
    if isinstance(dtype, T.ArrayType):
        return _untyped(dtype.elementType, f"{path}[]")
    if isinstance(dtype, T.MapType):
        return _untyped(dtype.keyType, f"{path}[]") + _untyped(dtype.valueType, f"{path}[]")
    if isinstance(dtype, T.StructType):
        return [one for field in dtype.fields for one in _untyped(field.dataType, below(path, field.name))]
    return (
        [Finding(Code.UNSUPPORTED_TYPE, path, "a type", "void", _VOID)]
        if isinstance(dtype, T.NullType)
        else []
    )


def _evolving_untyped(columns: Sequence[ColumnPlan]) -> list[Finding]:
    return [
        Finding(Code.UNSUPPORTED_TYPE, one.path, "a type", one.found, _VOID)
        for one in columns
        if one.verdict == "evolution" and re.search(r"\bvoid\b", one.found)
    ]


_VOID = "it holds nothing but nulls: cast it to the type that it is meant to have"


def _run_findings(run_id: str | None) -> list[Finding]:
    """Names of runs that would be others once they are read from the names of directories."""
    if run_id is None or not reads_back_otherwise(run_id):
        return []
    expected = "a name that readers of Parquet give back"
    hint = "as run-007 instead of 007"
    return [Finding(Code.INVALID_NAME, RUN_COLUMN, expected, "one that they take for a number", hint)]


def _partition_findings(
    given: T.StructType,
    kept: Existing | None,
    asked: Sequence[str],
    by: Sequence[str],
    run_id: str | None,
    format: str,
) -> list[Finding]:
    found = []
    if len(set(by)) < len(by):
        found.append(Finding(Code.DUPLICATE_NAME, "partition_by", "each column once", "one several times"))
    nested = (T.StructType, T.ArrayType, T.MapType)
    odd = [field for field in given.fields if field.name in by and isinstance(field.dataType, nested)]
    if format == "delta":
        expected = "a column to partition by that is not nested"
        found += [
            Finding(Code.TYPE_MISMATCH, step(field.name), expected, field.dataType.simpleString())
            for field in odd
        ]
    if not given.fields:
        found.append(Finding(Code.EMPTY, "", "a table with columns", "none"))
    elif by and not set(given.names) - set(by):
        hint = "files without columns keep no rows"
        expected = "columns beside those to partition by"
        found.append(Finding(Code.INVALID_VALUE, "partition_by", expected, "none", hint))
    if format == "parquet":
        found += parquet.partition_refusals(given, by, kept)
    wanted = [RUN_COLUMN, *asked] if run_id is not None and format == "parquet" else list(asked)
    if kept is None or list(kept.partitions) == wanted or (format == "delta" and not asked):
        return found
    expected = (
        f"partitions by {', '.join(map(step, kept.partitions))}" if kept.partitions else "no partitions"
    )
    actual = ", ".join(map(step, wanted)) or "none"
    return [
        *found,
        Finding(Code.INVALID_VALUE, "partition_by", expected, actual, _partition_hint(kept, run_id)),
    ]


def _partition_hint(kept: Existing, run_id: str | None) -> str:
    """Return what to do about partitions that differ from those of the table."""
    if run_id is not None and RUN_COLUMN not in kept.partitions:
        return (
            "the table was written without run ids: append without run_id, or write all rows to a new path "
            "with mode='append' and a run_id"
        )
    if run_id is None and RUN_COLUMN in kept.partitions:
        return "the table keeps its rows by runs: pass run_id"
    return "pass the columns that the table is partitioned by"
