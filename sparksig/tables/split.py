"""The findings of each row as a column of a Spark table, and the split into valid and invalid rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.errors import ContractError, UnsupportedError, quote
from sparksig.lattice import Field, Scalar
from sparksig.source_walks import rebuild_source
from sparksig.spark.arguments import require_frame
from sparksig.spark.names import Fold, get_name_folding
from sparksig.tables.check import build_rules
from sparksig.tables.columns import list_spark_columns, list_spark_fields
from sparksig.tables.contract import Contract, resolve_contract
from sparksig.tables.exact import columns_to_ddl
from sparksig.tables.readers import SparkReader
from sparksig.tables.rules import ValueOptions
from sparksig.tables.spark import SparkTable
from sparksig.tables.sql import (
    FINDINGS_TYPE,
    build_broken_condition,
    compile_rules,
    format_findings,
    quote_name,
)
from sparksig.tables.types import judge_types


def violations(
    contract: Any,
    table: T.StructType | None = None,
    *,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
) -> Column:
    """Return a column with the findings of each row: an array of structs of code, path and detail, or null.

    Args:
        contract: a contract that :func:`check` accepts, whose columns have names.
        table: the schema of the table for the column; None if the table has the types of the contract.
        strict_nulls: as in :func:`check`.
        refuse_nan: as in :func:`check`.

    Returns:
        A column for a table of that schema.

    Raises:
        ContractError: the contract's columns have no names, or the table's types do not fit.
        UnsupportedError: the contract declares tensors for vectors of Spark ML.

    Example:
        >>> from sparksig.schema import ColSpec, Schema
        >>> findings = violations(Schema([ColSpec("long", "id")]))
        >>> table = spark.sql("select nullif(id, 1) as id from range(2)").withColumn("findings", findings)
        >>> [row.findings and row.findings[0].code for row in table.collect()]
        [None, 'NULL_IN_REQUIRED']
    """
    session = SparkSession.getActiveSession()
    resolved = resolve_contract(contract, reader=None if session is None else SparkReader(session))
    if table is None and resolved.is_table:
        table = _declared_schema(resolved)
    if table is None:
        schema = resolved.schema.as_spark_schema()
        if not isinstance(schema, T.StructType) or not resolved.schema.has_input_names():
            raise ContractError("the contract has no column names: pass the schema of the table as table=")
        table = schema
    return _build_findings(resolved, table, get_name_folding(), ValueOptions(strict_nulls, refuse_nan))


def _declared_schema(contract: Contract) -> T.StructType:
    """Return the exact types of a table's contract as a Spark schema, parsed by the active session."""
    session = SparkSession.getActiveSession()
    if session is None:
        raise ContractError("no Spark session is active: pass the table's schema as table=")
    columns = tuple(replace(column, field=_drop_lengths(column.field)) for column in contract.columns)
    text, _ = columns_to_ddl(replace(contract, columns=columns))  # DDL loses NOT NULL, which rules judge
    return session.createDataFrame([], text).schema


def _drop_lengths(field: Field) -> Field:
    """Return a field with char and varchar as string: DataFrames have no such types."""
    source = field.source
    if not isinstance(source, Scalar):
        return replace(field, source=rebuild_source(source, _drop_lengths))
    return field if source.max_length is None else replace(field, source=Scalar(source.name))


def _build_findings(contract: Contract, table: T.StructType, fold: Fold, options: ValueOptions) -> Column:
    """Build the column of findings, for a session that compares names by ``fold``."""
    findings = judge_types(contract, list_spark_columns(table), fold=fold)
    if findings:
        raise ContractError.of(f"the table does not fit the contract ({contract.name})", findings)
    fields = list_spark_fields(table)
    rules = compile_rules(build_rules(contract, fields, options), fields)
    rules = [rule for rule in rules if rule.lengths is None]
    if not rules:
        return F.lit(None).cast(FINDINGS_TYPE)
    vectors = [quote(field.name) for field in table.fields if type(field.dataType).__name__ == "VectorUDT"]
    if vectors and contract.schema.is_tensor_spec():
        raise UnsupportedError(
            f"cannot check tensors in vectors of Spark ML ({', '.join(vectors)}): convert the vectors with "
            "vector_to_array first"
        )
    return F.expr(f"case when {build_broken_condition(rules)} then {format_findings(rules)} end")


def split(
    df: DataFrame,
    contract: Any,
    *,
    findings_column: str = "findings",
    strict_nulls: bool = True,
    refuse_nan: bool = False,
) -> tuple[DataFrame, DataFrame]:
    """Split a table into the rows that fit a contract, and those that do not, with a column of the reasons.

    Each row is in exactly one of the two tables.

    Args:
        df: the table.
        contract: a contract that :func:`check` accepts.
        findings_column: the name of the column of findings.
        strict_nulls: as in :func:`check`.
        refuse_nan: as in :func:`check`.

    Returns:
        The valid rows with the columns of the table, and the invalid rows with an additional column of
        findings.

    Raises:
        ContractError: the table's types do not fit, or the table already has a column ``findings_column``.

    Example:
        >>> from sparksig.schema import ColSpec, Schema
        >>> table = spark.sql("select nullif(id, 2) as id from range(4)")
        >>> good, bad = split(table, Schema([ColSpec("long", "id")]))
        >>> [row.id for row in good.collect()], [row.findings[0].code for row in bad.collect()]
        ([0, 1, 3], ['NULL_IN_REQUIRED'])
    """
    require_frame(df, "split(df, contract)", contract)
    table = SparkTable(df)
    clashes = [name for name in df.columns if table.fold(name) == table.fold(findings_column)]
    if clashes:
        raise ContractError(
            f"the table has a column {quote(clashes[0])}: choose another name for findings_column="
        )
    resolved = resolve_contract(contract, reader=table.reader)
    restored = table.restore_nulls(resolved.schema).df.schema
    column = _build_findings(resolved, restored, table.fold, ValueOptions(strict_nulls, refuse_nan))
    rows = df.withColumn(findings_column, column)
    name = F.col(quote_name(findings_column))
    return rows.filter(name.isNull()).drop(name), rows.filter(name.isNotNull())
