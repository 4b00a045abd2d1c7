"""A table against a contract: by its schema alone, by a sample, or by all of its rows, in the JVM."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    UnsupportedError,
    kind,
    nearest,
    step,
)
from sparksig.report import Report
from sparksig.schema import Schema
from sparksig.spark.arguments import require_frame
from sparksig.spark.bind import bind, column, matched_fields
from sparksig.spark.declared import contract_of
from sparksig.spark.diagnosis import diagnosed
from sparksig.spark.names import Fold, name_folding
from sparksig.spark.null_types import restore_null_types
from sparksig.spark.rules import Rule, any_of, lengths_of, name_of, rules_of, text_of
from sparksig.spark.sample import Sampler
from sparksig.spark.sampled import Looking, of_sample
from sparksig.spark.verdicts import columns_of, refused
from sparksig.verdicts import is_unclear, rank, roots

__all__ = ["check", "full", "split", "violations", "without_vectors"]

MODES = ("schema", "sample", "full")


@diagnosed()
def check(
    df: DataFrame,
    contract: Any,
    mode: str = "schema",
    *,
    side: str = "inputs",
    sampler: Sampler | None = None,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
    row_key: str | Sequence[str] | None = None,
) -> Report:
    """What of a table breaks a contract.

    Args:
        df: the table, classic or of Spark Connect.
        contract: a :class:`~sparksig.ModelSignature`, a :class:`~sparksig.Schema`, a StructType or its DDL, a
            model directory, a JSON file with a signature, or the path or name of a table whose schema is the
            contract (for which Spark may have to read a file's footer).
        mode: "schema": the types alone, no Spark job. "sample": those, and the values of some rows, as the
            sampler chooses them: at most two jobs. "full": the values of all rows, in one job without Python.
        side: of a signature: "inputs" or "outputs".
        sampler: chooses the rows; :class:`Sampler` as it is, if None.
        strict_nulls: required means that there are values, whatever the type; False as a model takes them:
            then only required integers and booleans must have values.
        refuse_nan: NaN breaks the contract, in columns of numbers.
        row_key: columns that name a row: the smallest and the largest key of the rows concerned are shown
            with each finding. These are values of the table.

    Returns:
        A report: ``ok``, ``findings``, ``raise_if_failed()``, ``to_json()``, ``to_html(path)``.

    Raises:
        ContractError: an argument is not what it should be.
        ModelError: a model directory cannot be read.
        TableNotFoundError: the contract's table is not there.

    Example:
        >>> report = check(spark.range(3), "id int, name string not null")
        >>> report.ok, [(finding.path, finding.code.value) for finding in report.findings]
        (False, [('id', 'TYPE_MISMATCH'), ('name', 'MISSING_COLUMN')])
        >>> print(check(spark.range(3), "id bigint not null", mode="full"))
        the table fits the contract (DDL): 3 rows checked
          id  long  bigint  no nulls  ok
    """
    started = time.perf_counter()
    require_frame(df, "check(df, contract)", contract)
    if mode not in MODES:
        raise ContractError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    declared = contract_of(df.sparkSession, contract, side)
    missing: list[Finding] = []
    fields = matched_fields(df.schema, declared.schema, declared.features, missing)
    if missing:
        told = columns_of(df.schema, declared.schema, missing)
        return Report(mode, declared.name, tuple(missing), told, seconds=time.perf_counter() - started)
    if declared.features is not None:
        df = df.select(*(column(field.name) for field in fields))
    keys = _keys(df, row_key)
    table = restore_null_types(df, declared.schema)
    df = _with_nulls(df, table)
    found = refused(table, declared.schema, name_folding(df.sparkSession))
    report = Report(mode, declared.name, tuple(found), columns_of(table, declared.schema, found))
    if sampler is not None and not isinstance(sampler, Sampler):
        raise ContractError(f"sampler is a Sampler, not {kind(sampler)}")
    if mode == "full":
        df = without_vectors(df)
        unclear = is_unclear(found, declared.schema)
        out = roots(found, table.names)
        lengths = [] if unclear else lengths_of(declared.schema, df.schema, out)
        rules = (
            []
            if unclear
            else rules_of(
                declared.schema,
                df.schema,
                strict_nulls=strict_nulls,
                refuse_nan=refuse_nan,
                without=out,
            )
        )
        report = full(df, declared.schema, rules, report, keys, lengths)
    elif mode == "sample":
        looking = Looking(strict_nulls, refuse_nan, tuple(keys))
        report = of_sample(df, declared.schema, report, sampler or Sampler(), looking)
    return replace(report, seconds=time.perf_counter() - started)


def _with_nulls(df: DataFrame, table: T.StructType) -> DataFrame:
    """The table with nulls of the null type in place of what Spark reads as int."""
    nulls = [
        field.name
        for field, held in zip(table.fields, df.schema.fields)
        if isinstance(field.dataType, T.NullType) and not isinstance(held.dataType, T.NullType)
    ]
    return df.withColumns(dict.fromkeys(nulls, F.lit(None))) if nulls else df


def violations(
    schema: Schema,
    table: T.StructType | None = None,
    *,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
) -> Column:
    """The findings of each row as a column: an array of structs of code, path, detail; null for a good row.

    Args:
        schema: the contract; its columns have names.
        table: the schema of the table it is used on; as :meth:`Schema.as_spark_schema` gives it, if None.
        strict_nulls: as of :func:`check`.
        refuse_nan: as of :func:`check`.

    Returns:
        A column for a table of that schema.

    Raises:
        ContractError: the contract's columns have no names, or the table's types do not fit.
        UnsupportedError: tensors are in vectors of Spark ML.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> told = violations(Schema([ColSpec("long", "id")]))
        >>> table = spark.sql("select nullif(id, 1) as id from range(2)").withColumn("told", told)
        >>> [row.told and row.told[0].code for row in table.collect()]
        [None, 'NULL_IN_REQUIRED']
    """
    schema = from_mlflow(schema)
    return _violations(schema, table, name_folding(), strict_nulls=strict_nulls, refuse_nan=refuse_nan)


def _violations(
    schema: Schema, table: T.StructType | None, fold: Fold, *, strict_nulls: bool, refuse_nan: bool
) -> Column:
    """The findings of each row, where a session compares names by ``fold``."""
    if not isinstance(schema, Schema):
        raise ContractError(f"violations takes a Schema, not {kind(schema)}")
    if table is None:
        found = schema.as_spark_schema()
        if not isinstance(found, T.StructType) or not schema.has_input_names():
            raise ContractError("violations of a schema without names: give the table's schema")
        table = found
    bind(table, schema, fold=fold)
    rules = rules_of(schema, table, strict_nulls=strict_nulls, refuse_nan=refuse_nan)
    if not rules:
        return F.lit(None).cast(_FINDINGS)
    vectors = [step(field.name) for field in table.fields if type(field.dataType).__name__ == "VectorUDT"]
    if vectors and schema.is_tensor_spec():
        raise UnsupportedError(
            f"violations of tensors in vectors of Spark ML ({', '.join(vectors)}): convert them by "
            "vector_to_array first"
        )
    told = f"array_compact(array({', '.join(map(_told, rules))}))"
    return F.expr(f"cast(case when {any_of(rules)} then {told} end as {_FINDINGS})")


def split(
    df: DataFrame,
    schema: Schema,
    findings: str = "findings",
    *,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
) -> tuple[DataFrame, DataFrame]:
    """The rows that keep to a contract, and those that do not, with a column that says why.

    Every row is in just one of the two.

    Args:
        df: a table.
        schema: the contract.
        findings: the name of the column of findings.
        strict_nulls: as of :func:`check`.
        refuse_nan: as of :func:`check`.

    Returns:
        The good rows, with their own columns; the others, with the column of findings.

    Raises:
        ContractError: the table's types do not fit, or it has a column of that name.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> table = spark.sql("select nullif(id, 2) as id from range(4)")
        >>> good, bad = split(table, Schema([ColSpec("long", "id")]))
        >>> [row.id for row in good.collect()], [row.findings[0].code for row in bad.collect()]
        ([0, 1, 3], ['NULL_IN_REQUIRED'])
    """
    require_frame(df, "split(df, schema)", schema)
    fold = name_folding(df.sparkSession)
    taken = [name for name in df.columns if fold(name) == fold(findings)]
    if taken:
        raise ContractError(f"the table has a column {step(taken[0])}: choose another name for findings=")
    table = restore_null_types(df, schema)
    told = _violations(schema, table, fold, strict_nulls=strict_nulls, refuse_nan=refuse_nan)
    held = df.withColumn(findings, told)
    good = held.filter(column(findings).isNull()).drop(column(findings))
    return good, held.filter(column(findings).isNotNull())


_FINDINGS = "array<struct<code:string,path:string,detail:string>>"


def _told(rule: Rule) -> str:
    finding = rule.finding
    said = {"code": finding.code.value, "path": finding.path, "detail": str(finding)}
    fields = ", ".join(f"'{name}', {text_of(text)}" for name, text in said.items())
    return f"case when {rule.broken} then named_struct({fields}) end"


def _keys(df: DataFrame, row_key: str | Sequence[str] | None) -> list[str]:
    if row_key is None:
        return []
    names = [row_key] if isinstance(row_key, str) else list(row_key)
    fold = name_folding(df.sparkSession)
    folded = [fold(name) for name in df.columns]
    missing = [name for name in names if name not in df.columns]
    types = {field.name: field.dataType for field in df.schema.fields}
    for name in names:
        if folded.count(fold(name)) > 1:
            raise ContractError(f"row_key: Spark does not tell {step(name)} from another column")
        if name in types and not _is_ordered(types[name]):
            raise ContractError(f"row_key: {step(name)} is {types[name].simpleString()}, which has no order")
    if missing or not names:
        raise ContractError.of(
            "row_key names columns of the table",
            [
                Finding(
                    Code.MISSING_COLUMN, step(name), "a column", "no such column", nearest(name, df.columns)
                )
                for name in missing
            ],
        )
    return names


def _is_ordered(dtype: T.DataType) -> bool:
    if isinstance(dtype, T.ArrayType):
        return _is_ordered(dtype.elementType)
    if isinstance(dtype, T.StructType):
        return all(_is_ordered(field.dataType) for field in dtype.fields)
    return type(dtype).__name__ not in ("MapType", "VariantType", "VectorUDT", "CalendarIntervalType")


# --- values -----------------------------------------------------------------------------------------------

_PLACE, _BAD = "sparksig place", "sparksig bad"


def full(
    df: DataFrame,
    schema: Schema | None,
    rules: Sequence[Rule],
    before: Report,
    keys: Sequence[str] = (),
    lengths: Sequence[tuple[Finding, str, str]] = (),
) -> Report:
    """The values of all rows: one aggregation, whatever the number of columns and rules."""
    fold = name_folding(df.sparkSession)
    folded = [fold(name) for name in df.columns]
    names = [one.name for one in before.columns if one.found and folded.count(fold(one.name)) == 1]
    held = df
    if rules:  # what is wrong with a row is looked at only where something is
        held = df.withColumn(_BAD, F.expr(any_of(rules)))
    if not keys:
        held = held.withColumn(_PLACE, F.monotonically_increasing_id())
    place = f"struct({', '.join(map(name_of, keys))})" if keys else name_of(_PLACE)
    counts = ["count(1) as rows"]
    counts += [f"count_if({name_of(name)} is null) as n{index}" for index, name in enumerate(names)]
    if rules:
        counts.append(f"count_if({name_of(_BAD)}) as bad")
    for index, rule in enumerate(rules):
        broken = f"{name_of(_BAD)} and {rule.broken}"
        counts.append(f"count_if({broken}) as r{index}")
        counts.append(f"min(case when {broken} then {place} end) as a{index}")
        if keys:
            counts.append(f"max(case when {broken} then {place} end) as z{index}")
        if rule.nested:
            counts.append(f"sum(case when {name_of(_BAD)} then {rule.places} end) as p{index}")
    for index, (_, least, largest) in enumerate(lengths):
        counts.append(f"min({least}) <> max({largest}) as l{index}")
    [told] = held.selectExpr(*counts).collect()
    findings, examples = list(before.findings), {}
    findings += [finding for index, (finding, _, _) in enumerate(lengths) if told[f"l{index}"]]
    for index, rule in enumerate(rules):
        if told[f"r{index}"]:
            last = told[f"z{index}"] if keys else None
            examples[len(findings)] = _examples(told[f"a{index}"], last, keys)
            findings.append(_counted(rule, told[f"r{index}"], told[f"p{index}"] if rule.nested else None))
    order = sorted(range(len(findings)), key=lambda index: rank(findings[index], before.columns))
    nulls = {name: int(told[f"n{index}"]) for index, name in enumerate(names)}
    ordered = [findings[index] for index in order]
    return replace(
        before,
        findings=tuple(ordered),
        examples={at: examples[index] for at, index in enumerate(order) if index in examples},
        columns=columns_of(df.schema, schema, ordered, nulls),
        rows=int(told["rows"]),
        bad_rows=int(told["bad"]) if rules else 0,
    )


def without_vectors(df: DataFrame) -> DataFrame:
    """The table with its vectors of Spark ML as arrays, which SQL can look into."""
    vectors = [field.name for field in df.schema.fields if type(field.dataType).__name__ == "VectorUDT"]
    if not vectors:
        return df
    from pyspark.ml.functions import vector_to_array

    there = {name: column(name) for name in vectors}
    return df.withColumns(
        {name: F.when(one.isNotNull(), vector_to_array(one)) for name, one in there.items()}
    )


def _counted(rule: Rule, rows: int, places: int | None) -> Finding:
    finding = replace(rule.finding, count=int(rows))
    if places is not None and places != rows:
        finding = replace(finding, found=f"{finding.found} in {int(places):,} places")
    return finding


def _examples(first: Any, last: Any, keys: Sequence[str]) -> tuple[str, ...]:
    """The keys of the first and the last row, or where in the table's partitions they stand."""
    shown = [_shown(one, keys) for one in (first, last) if one is not None]
    return tuple(dict.fromkeys(shown))


def _shown(place: Any, keys: Sequence[str]) -> str:
    if keys:
        return ", ".join(f"{name}={place[index]!r}" for index, name in enumerate(keys))
    return f"partition {place >> 33}, row {place & (1 << 33) - 1}"
