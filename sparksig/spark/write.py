"""Checked writes to Parquet and Delta: a dry run first, then the check, then the write, then the counts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    OutputRefusedError,
    kind,
    nearest,
    step,
)
from sparksig.report import Report
from sparksig.schema import ColSpec, Schema
from sparksig.spark.check import check, full, without_vectors
from sparksig.spark.contract import column
from sparksig.spark.declared import CONTRACT_KEY, Contract, contract_of
from sparksig.spark.rules import Rule, lengths_of, name_of, rules_of
from sparksig.spark.target import (
    PARQUET,
    ColumnPlan,
    Existing,
    against,
    can_widen,
    delta_name,
    existing,
    holds,
    is_path,
    same,
)
from sparksig.spark.verdicts import columns_of

__all__ = ["ColumnPlan", "WritePlan", "Written", "plan_write", "write"]

FORMATS = ("parquet", "delta")
MODES = ("error", "append", "overwrite")
RUN_COLUMN = "run_id"
"""The partition column that keeps the runs of a Parquet table apart."""


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

    def __str__(self) -> str:
        verb = {"error": "create", "append": "append to", "overwrite": "overwrite"}[self.mode]
        lines = [f"{verb} {self.target} ({self.format}{', which exists' if self.exists else ''})"]
        for one in self.columns:
            types = f"{one.found or 'nothing'} -> {one.target or 'nothing'}"
            types = one.found if one.found == one.target else types
            lines.append(f"  {one.path}: {one.verdict}, {types}" + (f" ({one.reason})" if one.reason else ""))
        return "\n".join([*lines, *(f"  - {finding}" for finding in self.findings)])


@dataclass(frozen=True)
class Written:
    """What a write has done.

    Attributes:
        plan: what it was to do.
        report: what the check of the values found: nothing. Its ``rows`` are None where no value had to be
            looked at.
        rows: how many rows were written; 0 if a Delta table had this run already.
        repeated: whether the target had this run already, so that nothing was written again.
    """

    plan: WritePlan
    report: Report
    rows: int
    repeated: bool = False


def plan_write(
    df: DataFrame,
    target: str | os.PathLike[str],
    contract: Any = None,
    *,
    format: str = "parquet",
    mode: str = "error",
    run_id: str | None = None,
    partition_by: Sequence[str] = (),
    evolve: bool = False,
    side: str = "inputs",
) -> WritePlan:
    """The dry run of :func:`write`, with the same arguments: nothing is read but schemas, nothing is written.

    Raises:
        ContractError: an argument is not what it should be.
        MissingDependencyError: the session knows no Delta tables.
    """
    return _planned(df, target, contract, format, mode, run_id, partition_by, evolve, side)[0]


def _planned(
    df: DataFrame,
    target: Any,
    contract: Any,
    format: str,
    mode: str,
    run_id: str | None,
    partition_by: Sequence[str],
    evolve: bool,
    side: str,
) -> tuple[WritePlan, Existing | None, Contract | None]:
    """The plan of a write, the table that is there, and the contract: each of them is read once."""
    where = _place(target)
    _check_arguments(df, where, format, mode, run_id, partition_by)
    spark = df.sparkSession
    findings: list[Finding] = []
    declared = None if contract is None else contract_of(spark, contract, side)
    if declared is not None:
        findings += check(df, declared.schema).findings
    findings += _missing(partition_by, df.columns, "a column to partition by")
    found = existing(spark, where, format)
    findings += _unsafe(spark, format)
    kept = found if _keeps_schema(format, mode, evolve) else None
    columns = _column_plans(df.schema, kept, format)
    if kept is not None:
        findings += _partition_findings(kept.partitions, partition_by, run_id, format)
    elif found is not None and mode == "error":
        hint = "choose mode='append' or mode='overwrite', or another place"
        findings.append(Finding(Code.INVALID_VALUE, "", "nothing at the target", "a table", hint))
    findings += _twins([*df.columns, *([RUN_COLUMN] if run_id and format == "parquet" else [])])
    findings += [
        Finding(
            Code.TYPE_MISMATCH,
            one.path,
            one.target or "no such column",
            one.found or "no such column",
            one.reason,
        )
        for one in columns
        if one.verdict == "refused" or (one.verdict == "evolution" and not evolve)
    ]
    distinct = tuple(dict.fromkeys(findings))
    return WritePlan(where, format, mode, found is not None, tuple(columns), distinct), found, declared


def _column_plans(given: T.StructType, kept: Existing | None, format: str) -> list[ColumnPlan]:
    """What becomes of each column: as it is in a new table, and against one that keeps its schema."""
    types = {field.name: field.dataType.simpleString() for field in given.fields}
    if kept is None:
        return [ColumnPlan(step(name), "ok", held, held) for name, held in types.items()]
    # Spark reads the types of partitions off the names of their directories
    skip = kept.partitions if format == "parquet" else ()
    others = T.StructType([field for field in given.fields if field.name not in skip])
    plans = against(others, kept.schema, format, kept.properties, skip)
    return plans + [
        ColumnPlan(step(name), "ok", types[name], "a partition") for name in skip if name in types
    ]


def write(
    df: DataFrame,
    target: str | os.PathLike[str],
    contract: Any = None,
    *,
    format: str = "parquet",
    mode: str = "error",
    run_id: str | None = None,
    partition_by: Sequence[str] = (),
    evolve: bool = False,
    side: str = "inputs",
    strict_nulls: bool = True,
) -> Written:
    """Write a table that keeps to a contract, or nothing at all.

    First the dry run (:func:`plan_write`); then all values are checked, in one Spark job, unless the types
    say it all (no contract, or one that takes any value, and a target without constraints); then they are
    written, and counted: a table that is not the same each time it is computed is to be cached first. Columns
    are cast to the target's types where nothing is lost, and never else.

    Args:
        df: the table.
        target: a path, or for Delta the name of a table.
        contract: what the rows must keep to, in any form that :func:`check` takes; None for the target's own
            constraints alone. It is kept with a new table: ``check(other, target)`` finds it again.
        format: "parquet" or "delta".
        mode: "error" (nothing may be there), "append" or "overwrite".
        run_id: names this run; another run of that name writes nothing twice. Delta takes a run once. Parquet
            keeps runs apart as partitions of a column ``run_id``: a run replaces its own partition alone.
        partition_by: columns to partition by.
        evolve: let the target's schema change: new columns, and the wider types that Delta can take over.
        side: of a signature: "inputs" or "outputs".
        strict_nulls: as of :func:`check`.

    Raises:
        OutputRefusedError: the dry run found something in the way; nothing was written.
        ContractError: values break the contract, or the target's constraints; nothing was written.
        MissingDependencyError: the session knows no Delta tables.
    """
    plan, found, declared = _planned(df, target, contract, format, mode, run_id, partition_by, evolve, side)
    spark = df.sparkSession
    seen = format == "delta" and run_id is not None and plan.exists
    if seen and _rows_of_run(spark, plan.target, str(run_id)) is not None:
        return Written(plan, Report("schema", "written before", (), ()), 0, repeated=True)
    if plan.findings:
        raise OutputRefusedError.of(f"{plan.target}: nothing was written", plan.findings)
    kept = found if _keeps_schema(format, mode, evolve) else None
    sent = _sent(df, kept, None if declared is None else declared.schema)
    by = list(partition_by) or (list(kept.partitions) if kept is not None else [])
    report = _checked(sent, declared, kept, strict_nulls, [name for name in by if name in df.columns])
    report.raise_if_failed()
    if format == "parquet" and run_id is not None and kept is not None:
        _refuse_stale(spark, sent, plan.target, run_id, list(partition_by), kept.schema)
    rows = _write(sent, plan, run_id, list(partition_by), report, evolve=evolve)
    return Written(plan, report, rows)


def _place(target: Any) -> Any:
    return os.path.abspath(target) if isinstance(target, os.PathLike) else target


def _keeps_schema(format: str, mode: str, evolve: bool) -> bool:
    """Whether a table that is there keeps its schema."""
    return mode == "append" or (mode == "overwrite" and format == "delta" and not evolve)


def _refuse_stale(
    spark: SparkSession, sent: DataFrame, target: str, run_id: str, by: list[str], schema: T.StructType
) -> None:
    """A run replaces the partitions that it writes: what it wrote to others before would stay.

    Raises:
        OutputRefusedError: it wrote to others.
    """
    keys = (RUN_COLUMN, *by)
    # as text: Spark would read the run 007 as the number 7
    texts = [
        T.StructField(field.name, T.StringType()) if field.name in keys else field for field in schema.fields
    ]
    held = spark.read.schema(T.StructType(texts)).parquet(target).where(column(RUN_COLUMN) == F.lit(run_id))
    old = held.select(*(column(name).alias(f"p{at}") for at, name in enumerate(by)), F.lit(1).alias("one"))
    new = sent.select(
        *(column(name).cast("string").alias(f"q{at}") for at, name in enumerate(by)), F.lit(1).alias("two")
    )
    both = F.col("one") == F.col("two")
    for at in range(len(by)):
        both = both & F.col(f"p{at}").eqNullSafe(F.col(f"q{at}"))
    if old.distinct().join(new.distinct(), both, "left_anti").limit(1).collect():
        raise OutputRefusedError(
            f"{target}: the run {run_id} wrote rows before to partitions in which it has none now, and "
            f"Parquet would keep them: remove the partition {RUN_COLUMN}={run_id}; nothing was written"
        )


def _write(
    sent: DataFrame, plan: WritePlan, run_id: str | None, by: list[str], report: Report, *, evolve: bool
) -> int:
    """Write, and count: the rows that came to be in the target."""
    if plan.format == "delta":
        return _write_delta(sent, plan, run_id, by, evolve=evolve)
    counts, watched = Observation(), _can_observe(sent)
    held, mode = sent, plan.mode
    if watched:
        held = sent.observe(counts, F.count(F.lit(1)).alias("rows"))
    if run_id is not None:
        held, by = held.withColumn(RUN_COLUMN, F.lit(run_id)), [RUN_COLUMN, *by]
    replaces = run_id is not None and mode == "append"
    # whatever the session says: an overwrite that keeps some of what was there is none
    writer = held.write.format("parquet").option(
        "partitionOverwriteMode", "dynamic" if replaces else "static"
    )
    try:
        (writer.partitionBy(*by) if by else writer).mode("overwrite" if replaces else mode).save(plan.target)
    except Exception as error:  # Spark's, of a class that depends on the session
        if "PATH_ALREADY_EXISTS" not in str(error):
            raise
        raise OutputRefusedError(
            f"{plan.target}: there is a directory already; nothing was written"
        ) from None
    return int(counts.get["rows"]) if watched else int(report.rows or 0)


def _can_observe(df: DataFrame) -> bool:
    """Whether counts can be had: not from Spark Connect before 4.0."""
    return not type(df).__module__.startswith("pyspark.sql.connect") or hasattr(T, "VariantType")


def _write_delta(sent: DataFrame, plan: WritePlan, run_id: str | None, by: list[str], *, evolve: bool) -> int:
    name = run_id if run_id is not None else uuid.uuid4().hex
    writer = sent.write.format("delta").mode(plan.mode).option("partitionOverwriteMode", "static")
    writer = writer.option("userMetadata", _mark(name, plan.target))
    if run_id is not None:  # so that of two that run at once, one writes
        writer = writer.option("txnAppId", run_id).option("txnVersion", "1")
    if evolve:
        writer = writer.option("overwriteSchema" if plan.mode == "overwrite" else "mergeSchema", "true")
    writer = writer.partitionBy(*by) if by else writer
    if is_path(plan.target):
        writer.save(plan.target)
    else:
        with _user_metadata(sent.sparkSession, _mark(name, plan.target)):
            writer.saveAsTable(plan.target)
    return _rows_of_run(sent.sparkSession, plan.target, name) or 0


@contextlib.contextmanager
def _user_metadata(spark: SparkSession, mark: str) -> Iterator[None]:
    """Where a table is created by its name, Delta takes the mark of a commit from the session alone."""
    key = "spark.databricks.delta.commitInfo.userMetadata"
    before = spark.conf.get(key, None)
    spark.conf.set(key, mark)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, before)


def _rows_of_run(spark: SparkSession, target: str, run_id: str) -> int | None:
    """How many rows a Delta table's commit of a run has written; None if there is none."""
    history = spark.sql(f"DESCRIBE HISTORY {delta_name(target)}")
    told = (
        history.where(F.col("userMetadata") == F.lit(_mark(run_id, target)))
        .select("operationMetrics")
        .collect()
    )
    return int((told[0][0] or {}).get("numOutputRows", 0)) if told else None


def _mark(run_id: str, target: str) -> str:
    return json.dumps({"sparksig.run_id": run_id, "target": target})


# --- the dry run ------------------------------------------------------------------------------------------


def _check_arguments(
    df: Any, target: Any, format: str, mode: str, run_id: str | None, partition_by: Sequence[str]
) -> None:
    if not hasattr(df, "sparkSession"):
        raise ContractError(f"write takes a Spark DataFrame, not {kind(df)}")
    if not isinstance(target, str) or not target:
        raise ContractError(f"the target is a path, or the name of a table, not {kind(target)}")
    if format not in FORMATS:
        raise ContractError(f"format is one of {', '.join(map(repr, FORMATS))}, not {format!r}")
    if mode not in MODES:
        raise ContractError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    if run_id is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", str(run_id)):
        raise ContractError("run_id is made of letters, digits, '.', '_' and '-', up to 200 of them")
    if isinstance(partition_by, str):
        raise ContractError(f"partition_by is a list of names: [{partition_by!r}]")
    if is_path(target) and set("*?[]{}") & set(target):
        raise ContractError(f"{target}: Spark takes *, ?, [, ], {{ and }} for a pattern")
    if format == "delta" and is_path(target) and not re.match(r"/|[A-Za-z][\w+.-]*:/", target):
        raise ContractError(f"Delta finds tables by absolute paths: {os.path.abspath(target)}")
    if format == "parquet" and not is_path(target):
        raise ContractError(f"a Parquet table is written to a path: ./{target}")


def _missing(names: Sequence[str], known: Sequence[str], what: str) -> list[Finding]:
    return [
        Finding(Code.MISSING_COLUMN, step(name), what, "no such column", nearest(name, known))
        for name in names
        if name not in known
    ]


def _twins(names: Sequence[str]) -> list[Finding]:
    folded = [name.casefold() for name in names]
    hint = "the target does not tell upper from lower case: rename one"
    return [
        Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", "several", hint)
        for index, name in enumerate(names)
        if folded[index] in folded[:index]
    ]


_COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"


def _unsafe(spark: SparkSession, format: str) -> list[Finding]:
    """Settings under which a job of Parquet may leave rows behind, or write them twice."""
    if format != "parquet":
        return []
    conf, found = spark.conf, []
    if any(conf.get(key, None) == "2" for key in (_COMMITTER, f"spark.hadoop.{_COMMITTER}")):
        hint = "it moves files before the job has succeeded: a job that dies leaves some. Set it to 1"
        found.append(Finding(Code.INVALID_VALUE, _COMMITTER, "1", "2", hint))
    if str(conf.get("spark.speculation", "false")).lower() == "true":
        hint = "two attempts of one task may both leave their files. Set it to false, or write Delta"
        found.append(Finding(Code.INVALID_VALUE, "spark.speculation", "false", "true", hint))
    return found


def _partition_findings(
    there: Sequence[str], asked: Sequence[str], run_id: str | None, format: str
) -> list[Finding]:
    wanted = [RUN_COLUMN, *asked] if run_id is not None and format == "parquet" else list(asked)
    if list(there) == wanted or (format == "delta" and not asked):
        return []
    expected = f"partitions by {', '.join(map(step, there))}" if there else "no partitions"
    found = ", ".join(map(step, wanted)) or "none"
    return [Finding(Code.INVALID_VALUE, "partition_by", expected, found, "as the table has them")]


# --- the rows ---------------------------------------------------------------------------------------------


def _sent(df: DataFrame, kept: Existing | None, declared: Schema | None) -> DataFrame:
    """The rows as the target has them; of a new table, with the contract kept in its fields."""
    given = df.schema
    if kept is not None:
        by_name = kept.partitions if PARQUET in kept.properties else ()
        target = T.StructType([field for field in kept.schema.fields if field.name not in by_name])
        known = {field.name: field for field in given.fields}
        parts = [
            _aligned(column(field.name), known[field.name].dataType, field.dataType).alias(field.name)
            if field.name in known
            else F.lit(None).cast(field.dataType).alias(field.name)
            for field in target.fields
        ]
        more = [column(field.name) for field in given.fields if field.name not in target.names]
        return df.select(*parts, *more)
    named = declared is not None and declared.has_input_names()
    specs = {str(spec.name): spec for spec in declared or () if named and isinstance(spec, ColSpec)}
    parts = []
    for field in given.fields:
        if field.name in specs:
            told = {key: value for key, value in specs[field.name].to_dict().items() if key != "name"}
            metadata = {**(field.metadata or {}), CONTRACT_KEY: json.dumps(told)}
            parts.append(column(field.name).alias(field.name, metadata=metadata))
        elif CONTRACT_KEY in (field.metadata or {}):  # of the table that it came from
            plain = {key: value for key, value in field.metadata.items() if key != CONTRACT_KEY}
            # (no metadata at all would leave them as they are)
            parts.append(column(field.name).alias(field.name, metadata=plain or {"sparksig": ""}))
        else:
            parts.append(column(field.name))
    return df.select(*parts)


def _aligned(value: Column, given: T.DataType, there: T.DataType) -> Column:
    """A value in the target's type, which holds it."""
    if same(given, there):
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
    narrower = can_widen(there, given) and not holds(there, given)  # Delta widens its own column
    return value if narrower else value.cast(there)


def _checked(
    sent: DataFrame, declared: Contract | None, kept: Existing | None, strict_nulls: bool, by: Sequence[str]
) -> Report:
    """The values against the contract, and against what the target itself asks for, in one job.

    No job, where neither says more than types do: the rows are counted as they are written.
    """
    held = without_vectors(sent)
    table, rules = held.schema, [one for name in by for one in _partition_rules(held.schema[name])]
    lengths: Sequence[tuple[Finding, str, str]] = ()
    if declared is not None:
        rules += rules_of(declared.schema, table, strict_nulls=strict_nulls)
        lengths = lengths_of(declared.schema, table)
    if kept is not None:
        rules += _constraints(kept, table.names)
    name = declared.name if declared is not None else "the target's constraints"
    schema = declared.schema if declared is not None else None
    columns = columns_of(table, schema)
    if not rules and not lengths and _can_observe(sent):
        return Report("schema", name, (), columns)
    return full(held, schema, rules, Report("full", name, (), columns), (), lengths)


def _partition_rules(field: T.StructField) -> list[Rule]:
    """Texts that a partition's directory does not give back: empty ones are null."""
    if not isinstance(field.dataType, T.StringType):
        return []
    value, expected = name_of(field.name), "texts that are not empty, in a column to partition by"
    empty = f"{value} = '' or {value} = '__HIVE_DEFAULT_PARTITION__'"
    finding = Finding(Code.INVALID_VALUE, step(field.name), expected, "empty ones, which would be null")
    return [Rule(finding, f"case when {empty} then 1 else 0 end")]


_LENGTH = "__CHAR_VARCHAR_TYPE_STRING"


def _constraints(kept: Existing, names: Sequence[str]) -> list[Rule]:
    """NOT NULL, the lengths of char and varchar, and CHECK constraints."""
    rules = []
    for field in kept.schema.fields:
        if field.name not in names:
            continue
        values, path = name_of(field.name), step(field.name)
        if not field.nullable:
            finding = Finding(Code.NULL_IN_REQUIRED, path, "values: the target says NOT NULL", "nulls")
            rules.append(Rule(finding, f"case when {values} is null then 1 else 0 end"))
        length = re.fullmatch(r"(?:var)?char\((\d+)\)", str((field.metadata or {}).get(_LENGTH, "")))
        if length:
            limit = int(length[1])
            finding = Finding(Code.OUT_OF_RANGE, path, f"texts of up to {limit} characters", "longer ones")
            rules.append(Rule(finding, f"case when length({values}) > {limit} then 1 else 0 end"))
    for key, text in kept.properties.items():
        if key.startswith("delta.constraints."):
            name = key.removeprefix("delta.constraints.")
            finding = Finding(
                Code.INVALID_VALUE, "", f"rows of which CHECK {name} ({text}) is true", "others"
            )
            rules.append(Rule(finding, f"case when ({text}\n) then 0 else 1 end"))
    return rules
