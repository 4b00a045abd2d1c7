"""Check a table against a contract: one algorithm for tables of Spark and of Parquet files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Union, get_args

from sparksig.engine.absent import find_absent_columns, list_absent_columns
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    TableNotFoundError,
    UnsupportedError,
    name_type,
    quote,
)
from sparksig.lattice import Decimal, Field, Scalar
from sparksig.models.registry import redact_uri
from sparksig.options import CheckMode, Extra, Missing, Side, TypeRule
from sparksig.spark.arguments import refuse_object
from sparksig.spark.diagnosis import convert_spark_errors, refuse_stopped_session
from sparksig.tables.arrow import Breach, Outcome, count_violations
from sparksig.tables.columns import Column
from sparksig.tables.contract import Contract, resolve_contract
from sparksig.tables.distributions import Distributions
from sparksig.tables.findings import find_broken_columns, find_missing, order_findings, report_columns
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.tables.report import Report
from sparksig.tables.rules import Rule, ValueOptions, build_model_rules, build_table_rules
from sparksig.tables.sample import Sampler
from sparksig.tables.types import find_extra_columns, judge_types, match_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparksig.tables.spark import SparkTable

Table = Union[ParquetTable, "SparkTable"]


@convert_spark_errors()
def check(
    table: DataFrame | str | os.PathLike[str],
    contract: Any,
    mode: CheckMode = "schema",
    *,
    side: Side = "inputs",
    sampler: Sampler | None = None,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
    row_key: str | Sequence[str] | None = None,
    types: TypeRule | None = None,
    missing: Missing | None = None,
    extra: Extra | None = None,
) -> Report:
    """Check a table against a contract.

    A contract is that of a model or of a table. The casting table judges the types of a model's contract. A
    table's contract declares exact types and all columns.

    Args:
        table: a Spark DataFrame, classic or of Spark Connect; the path of a Parquet table, which pyarrow
            reads without Spark; or, if a Spark session is active, the path of a Delta table or the name of a
            table.
        contract: of a model: a :class:`~sparksig.ModelSignature`, a :class:`~sparksig.Schema`, a model
            directory, or a JSON file with a signature. Of a table: a StructType, an Arrow schema, DDL, or a
            table's path or name.
        mode: "schema": types alone, without a Spark job. "sample": also the values of some rows, chosen by
            the sampler: at most two jobs. "full": the values of all rows, in one job without Python.
        side: the side of a signature: "inputs" or "outputs".
        sampler: chooses the rows of a sample; None for the default :class:`Sampler`.
        strict_nulls: whether required columns of any type must have values. If False, only required integers
            and booleans must, because models accept nulls in other columns.
        refuse_nan: whether NaN breaks the contract.
        row_key: columns that identify a row: findings show the smallest and the largest key of their
            rows. These are values of the table.
        types: for a table's contract: "exact" (default), or "lossless" to allow lossless widening.
        missing: the treatment of optional columns that the table lacks: "forbid" (default for a table's
            contract) or "allow" (default for a model's contract).
        extra: the treatment of columns that the contract does not declare: "forbid" (default for a table's
            contract), "allow" (default for a model's contract) or "warn".

    Returns:
        A report: ``ok``, ``findings``, ``raise_if_failed()``, ``to_json()``, ``to_html(path)``.

    Raises:
        ContractError: an argument is wrong, or a file is damaged.
        ModelError: a model directory cannot be read.
        TableNotFoundError: the table, or the table that is the contract, does not exist.
        UnsupportedError: a Delta table without a Spark session.

    Example:
        >>> report = check(spark.range(3), "id int, name string not null")
        >>> report.ok, [(finding.path, finding.code.value) for finding in report.findings]
        (False, [('id', 'TYPE_MISMATCH'), ('name', 'MISSING_COLUMN')])
        >>> print(check(spark.range(3), "id bigint not null", mode="full"))
        the table fits the contract (DDL): 3 rows checked
          id  bigint not null  bigint  no nulls  ok
    """
    started = time.perf_counter()
    if mode not in get_args(CheckMode):
        raise ContractError(f"mode: expected {', '.join(map(repr, get_args(CheckMode)))}, got {mode!r}")
    if sampler is not None and not isinstance(sampler, Sampler):
        raise ContractError(f"sampler: expected a Sampler, got {name_type(sampler)}")
    opened = open_table(table, contract)
    resolved = resolve_contract(
        contract, side=side, reader=opened.reader, types=types, missing=missing, extra=extra
    )
    options = ValueOptions(strict_nulls, refuse_nan)
    report = _check_table(opened, resolved, mode, options, sampler or Sampler(), row_key)
    if isinstance(opened, ParquetTable):
        name = opened.name
    else:
        name = redact_uri(table) if isinstance(table, (str, os.PathLike)) else ""
    return replace(report, seconds=time.perf_counter() - started, table=name)


def open_table(table: Any, contract: Any = None) -> Table:
    """Open a table.

    Args:
        table: the table.
        contract: the other argument of the call. It is the table if the caller has swapped the two.

    Raises:
        ContractError: ``table`` is not a table.
        ExecutionError: the table's Spark session was stopped.
        TableNotFoundError: the table does not exist.
        UnsupportedError: a Delta table, and no Spark session is active.
    """
    if isinstance(table, ParquetTable):
        return table
    if hasattr(table, "sparkSession"):
        from sparksig.tables.spark import SparkTable

        refuse_stopped_session(table.sparkSession)
        return SparkTable(table)
    if not isinstance(table, (str, os.PathLike)):
        expected = "a Spark DataFrame, a path, or the name of a table"
        refuse_object(table, expected, "check(table, contract)", contract)
    try:
        return open_parquet(table)
    except (TableNotFoundError, UnsupportedError):
        opened = _open_by_session(os.fspath(table))
        if opened is None:
            raise
        return opened


def _open_by_session(text: str) -> SparkTable | None:
    """Open a Delta table or a named table by the active Spark session, if there is one."""
    if "pyspark.sql" not in sys.modules:
        return None
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        return None
    from sparksig.tables.spark import SparkTable

    try:
        df = session.read.format("delta").load(text) if "/" in text else session.table(text)
        return SparkTable(df) if df.columns else None
    except Exception:  # an error of Spark, whose class depends on the session: the first error has the reason
        return None


def _check_table(
    table: Table,
    contract: Contract,
    mode: str,
    options: ValueOptions,
    sampler: Sampler,
    row_key: str | Sequence[str] | None,
) -> Report:
    """Check an opened table: types first, then the values of the columns whose types fit."""
    keys = _read_keys(table, row_key)
    if isinstance(table, ParquetTable):
        findings = judge_types(contract, table.columns, fold=table.fold, all_names=True)
        names = contract.names or [column.name for column in table.columns]
        findings += table.compare_files([*names, *keys], contract.required_names)
        findings = list(dict.fromkeys(findings))
    else:
        table = table.restore_nulls(contract.schema)
        findings = judge_types(contract, table.columns, fold=table.fold)
    is_unclear = bool(findings) and (not contract.names or any(not finding.path for finding in findings))
    if not contract.names and not findings:
        matched = [column.name for _, column in match_columns(contract, table.columns, fold=table.fold).pairs]
        table = table.select(matched) if matched else table
    warnings = find_extra_columns(contract, table.columns, table.fold) if contract.extra == "warn" else []
    report = Report(
        mode,
        contract.name,
        tuple(findings),
        report_columns(contract, table.columns, findings),
        absent=_list_absent(contract, table.columns),
        kind=contract.kind,
        options=contract.options,
        warnings=tuple(warnings),
    )
    if mode == "schema":
        return report
    broken = find_broken_columns(findings)
    names = table.find_unambiguous([column.name for column in report.columns if column.actual])
    fits = [column.field for column in table.columns if quote(column.name) not in broken]
    rules = [] if is_unclear else build_rules(contract, fits, options)
    clashes = find_broken_columns([finding for finding in findings if finding.code is not Code.EXTRA_COLUMN])
    key_columns = () if clashes.intersection(map(quote, keys)) else keys
    if mode == "full":
        return report_outcome(report, contract, table.columns, table.run(rules, names, key_columns))
    return _check_sample(table, contract, report, rules, names, key_columns, sampler)


def build_rules(contract: Contract, columns: Sequence[Field], options: ValueOptions) -> list[Rule]:
    """Build the rules of a contract for the values of some columns."""
    if not contract.is_table:
        return build_model_rules(contract.schema, columns, options)
    declared = [column.field for column in contract.columns]
    return build_table_rules(declared, columns, options, is_delta=contract.is_delta)


def _check_sample(
    table: Table,
    contract: Contract,
    report: Report,
    rules: Sequence[Rule],
    names: Sequence[str],
    keys: Sequence[str],
    sampler: Sampler,
) -> Report:
    columns = list(dict.fromkeys([*names, *(rule.column for rule in rules), *keys]))
    if not columns:
        return report
    sample = table.sample(columns, sampler)
    distributions = Distributions(names)
    outcome = count_violations(distributions.observe(sample.parts), rules, names, keys)
    outcome = replace(outcome, values=distributions.list_bins())
    return replace(
        report_outcome(report, contract, table.columns, outcome), claim=sample.claim(outcome.bad_rows)
    )


def report_outcome(
    report: Report,
    contract: Contract | None,
    columns: Sequence[Column],
    outcome: Outcome,
) -> Report:
    """Add the result of applying rules to a report, in the order of the contract's columns."""
    breaches = [*map(Breach, report.findings), *dict.fromkeys(outcome.breaches)]
    names = [column.name for column in report.columns]
    order = order_findings([breach.finding for breach in breaches], names)
    breaches = [breaches[index] for index in order]
    findings = tuple(breach.finding for breach in breaches)
    return replace(
        report,
        findings=findings,
        examples={index: examples for index, (_, examples) in enumerate(breaches) if examples},
        columns=report_columns(contract, columns, findings, outcome.nulls, outcome.values),
        rows=outcome.rows,
        bad_rows=outcome.bad_rows,
    )


def _list_absent(contract: Contract, columns: Sequence[Column]) -> tuple[Finding, ...]:
    """Return the optional columns of a contract that a table lacks, with the most similar names."""
    if contract.missing == "forbid" or not contract.names:
        return ()
    names = [column.name for column in columns]
    if not contract.is_table:
        return find_absent_columns(contract.schema, names)
    optional = {column.name: column.text for column in contract.columns if column.field.nullable}
    return list_absent_columns(optional, set(contract.names), names)


def _read_keys(table: Table, row_key: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that identify a row.

    Raises:
        ContractError: the table has no such column, or two of that name, or the type has no order.
    """
    if row_key is None:
        return ()
    names = (row_key,) if isinstance(row_key, str) else tuple(row_key)
    columns = {column.name: column for column in table.columns}
    missing = find_missing(names, columns)
    if not names:
        raise ContractError("row_key: expected at least one column")
    if missing:
        raise ContractError.of("row_key: the table has no such columns", missing)
    clear = set(table.find_unambiguous(names))
    for name in names:
        if name not in clear and not isinstance(table, ParquetTable):
            raise ContractError(f"row_key: {quote(name)} is the name of several columns: rename one")
        source = columns[name].field.source
        if not isinstance(source, (Scalar, Decimal)) or str(source) == "interval":
            raise ContractError(f"row_key: {quote(name)} is {columns[name].text}, which cannot be ordered")
    return names
