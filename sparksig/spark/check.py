"""A table against a contract: by its schema alone, by a sample, or by all of its rows, in the JVM."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import from_spark
from sparksig.enforce import plan as plans
from sparksig.enforce.frames import enforce
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelError,
    TableNotFoundError,
    UnsupportedError,
    below,
    kind,
    nearest,
    step,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.registry import local_path
from sparksig.report import ColumnReport, Report
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.spark.contract import as_declared, bind, column
from sparksig.spark.rules import Rule, any_of, lengths_of, name_of, rules_of, text_of
from sparksig.spark.sample import Sampler
from sparksig.types import describe

__all__ = ["CONTRACT_KEY", "Contract", "check", "columns_of", "contract_of", "full", "split", "violations"]

CONTRACT_KEY = "sparksig.column"
"""The metadata key under which a written table's field keeps what its contract declares."""

MODES = ("schema", "sample", "full")


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
            model directory, or the path or name of a table whose schema is the contract (for which Spark may
            have to read a file's footer).
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
        >>> report = check(spark.range(3).toDF("id"), "id int, name string not null")  # doctest: +SKIP
        >>> [str(finding) for finding in report.findings]  # doctest: +SKIP
        ['id: expected integer, found bigint ...', 'name: expected string, found no such column ...']
    """
    started = time.perf_counter()
    if not hasattr(df, "sparkSession"):
        raise ContractError(f"check takes a Spark DataFrame, not {kind(df)}")
    if mode not in MODES:
        raise ContractError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    declared = contract_of(df.sparkSession, contract, side)
    keys = _keys(df, row_key)
    table = df.schema
    refused = _refused(table, declared.schema)
    report = Report(mode, declared.name, tuple(refused), columns_of(table, declared.schema, refused, {}))
    if sampler is not None and not isinstance(sampler, Sampler):
        raise ContractError(f"sampler is a Sampler, not {kind(sampler)}")
    if mode == "full":
        df = _without_vectors(df)
        unclear = _is_unclear(refused, declared.schema)
        out = _roots(refused, table)
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
        options = _Options(strict_nulls, refuse_nan, tuple(keys))
        report = _of_sample(df, declared.schema, report, sampler or Sampler(), options)
    return replace(report, seconds=time.perf_counter() - started)


def violations(
    schema: Schema, table: T.StructType | None = None, *, strict_nulls: bool = True, refuse_nan: bool = False
) -> Column:
    """The findings of each row as a column: an array of structs of code, path, detail; null for a good row.

    Args:
        schema: the contract; its columns have names.
        table: the schema of the table it is used on; as :meth:`Schema.as_spark_schema` gives it, if None.
        strict_nulls: as of :func:`check`.
        refuse_nan: as of :func:`check`.

    Raises:
        ContractError: the contract's columns have no names, or the table's types do not fit.
    """
    if not isinstance(schema, Schema):
        raise ContractError(f"violations takes a Schema, not {kind(schema)}")
    if table is None:
        found = schema.as_spark_schema()
        if not isinstance(found, T.StructType) or not schema.has_input_names():
            raise ContractError("violations of a schema without names: give the table's schema")
        table = found
    bind(table, schema)
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

    Raises:
        ContractError: the table's types do not fit, or it has a column of that name.
    """
    taken = [name for name in df.columns if name.casefold() == findings.casefold()]
    if taken:
        raise ContractError(f"the table has a column {step(taken[0])}: choose another name for findings=")
    told = violations(schema, df.schema, strict_nulls=strict_nulls, refuse_nan=refuse_nan)
    held = df.withColumn(findings, told)
    good = held.filter(column(findings).isNull()).drop(column(findings))
    return good, held.filter(column(findings).isNotNull())


_FINDINGS = "array<struct<code:string,path:string,detail:string>>"


def _told(rule: Rule) -> str:
    finding = rule.finding
    said = {"code": finding.code.value, "path": finding.path, "detail": str(finding)}
    fields = ", ".join(f"'{name}', {text_of(text)}" for name, text in said.items())
    return f"case when {rule.broken} then named_struct({fields}) end"


# --- contracts --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contract:
    """What a table is checked against.

    Attributes:
        schema: its columns.
        name: what it is called in reports.
    """

    schema: Schema
    name: str


def contract_of(spark: SparkSession, contract: Any, side: str = "inputs") -> Contract:
    """A contract in any of its forms; arguments and errors as of :func:`check`."""
    if side not in ("inputs", "outputs"):
        raise ContractError(f"side is 'inputs' or 'outputs', not {side!r}")
    if isinstance(contract, Schema):
        return Contract(contract, "schema")
    if isinstance(contract, ModelSignature):
        return Contract(_side(contract, side, "the signature"), f"signature, {side}")
    if isinstance(contract, T.StructType):
        return Contract(_from_table(contract), "StructType")
    if isinstance(contract, (str, os.PathLike)):
        return _from_text(spark, os.fspath(contract), side, is_path=isinstance(contract, os.PathLike))
    raise ContractError(
        "a contract is a ModelSignature, a Schema, a StructType, DDL, a model directory, or a table, "
        f"not {kind(contract)}"
    )


def _side(signature: ModelSignature, side: str, what: str) -> Schema:
    found = signature.inputs if side == "inputs" else signature.outputs
    if found is None:
        raise ContractError(f"{what} has no {side}")
    return found


def _from_text(spark: SparkSession, text: str, side: str, *, is_path: bool) -> Contract:
    if not text.strip():
        raise ContractError("a contract is not empty")
    path = Path(text.removeprefix("file://"))
    if _is_there(path / "MLmodel") or text.startswith(("models:/", "runs:/")):
        directory = ModelDirectory.read(local_path(text))
        if directory.signature is None:
            raise ModelError(f"{text}: the model has no signature")
        return Contract(_side(directory.signature, side, text), f"{text}, {side}")
    if is_path or _is_there(path) or re.fullmatch(r"\S*/\S*", text):
        return Contract(_from_table(_table_at(spark, text)), text)
    if _is_table(spark, text):
        return Contract(_from_table(spark.table(text).schema), text)
    return Contract(_from_table(_from_ddl(spark, text)), "DDL")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, as DDL may be
        return False


def _is_table(spark: SparkSession, text: str) -> bool:
    if not re.fullmatch(r"[^\s:,<>()]+", text):  # which DDL has
        return False
    try:
        return bool(spark.catalog.tableExists(text))
    except Exception:  # a parser's: it is no name
        return False


def _table_at(spark: SparkSession, path: str) -> T.StructType:
    local = _is_there(Path(path.removeprefix("file://")))
    forms = ["delta"] if _is_there(Path(path.removeprefix("file://")) / "_delta_log") else ["parquet"]
    forms = forms if local else ["delta", "parquet"]
    for form in forms:
        try:
            return spark.read.format(form).load(path).schema
        except Exception as error:  # Spark's, of a class that depends on the session
            reason = str(error).strip().partition("\n")[0]
    raise TableNotFoundError(f"{path}: no table ({' or '.join(forms)}) can be read there: {reason}")


def _from_ddl(spark: SparkSession, text: str) -> T.StructType:
    try:
        return spark.createDataFrame([], text).schema
    except Exception as error:  # a parser's
        reason = str(error).strip().partition("\n")[0]
        raise ContractError(
            f"{text!r} is no model directory, no table, and no DDL (as 'id bigint not null, name string'): "
            f"{reason}"
        ) from None


def _from_table(table: T.StructType) -> Schema:
    """The contract that a table's schema is; of one that was written under a contract, that contract."""
    specs: list[ColSpec] = []
    for field in table.fields:
        kept = (field.metadata or {}).get(CONTRACT_KEY)
        if kept is None:
            return from_spark(table)
        body = json.loads(kept)
        specs.append(ColSpec.from_json_dict(**{**body, "name": field.name}))
    if not specs:
        raise ContractError("a table without columns is no contract")
    return Schema(specs)


# --- schemas ----------------------------------------------------------------------------------------------


def _refused(table: T.StructType, schema: Schema) -> list[Finding]:
    """What the types say."""
    named = {str(name) for name in schema.input_names()} if schema.has_input_names() else set(table.names)
    held = [field for field in table.fields if field.name in named]
    twins = [one for field in held for one in _nested_twins(field.dataType, step(field.name))]
    try:
        bind(table, schema)
    except ContractError as error:
        return [*(error.findings or [Finding(Code.MISSING_COLUMN, "", error.message)]), *twins]
    return twins


def _nested_twins(dtype: T.DataType, path: str) -> list[Finding]:
    """Fields of structs whose names Spark does not tell apart."""
    if isinstance(dtype, T.ArrayType):
        return _nested_twins(dtype.elementType, f"{path}[]")
    if isinstance(dtype, T.MapType):
        return _nested_twins(dtype.valueType, f"{path}[]")
    if not isinstance(dtype, T.StructType):
        return []
    folded = [name.casefold() for name in dtype.names]
    hint = "Spark does not distinguish such names: drop or rename one"
    found = [
        Finding(Code.DUPLICATE_NAME, below(path, name), "one field of that name", "several", hint)
        for index, name in enumerate(dtype.names)
        if folded[index] in folded[index + 1 :]
    ]
    inner = [one for field in dtype.fields for one in _nested_twins(field.dataType, below(path, field.name))]
    return found + inner


def _is_unclear(findings: Sequence[Finding], schema: Schema) -> bool:
    """Whether it is not known which column is which."""
    return bool(findings) and (not schema.has_input_names() or any(not one.path for one in findings))


def _roots(findings: Sequence[Finding], table: T.StructType) -> set[str]:
    """The table's columns in which something was found."""
    return {
        field.name for field in table.fields if any(_is_in(finding.path, field.name) for finding in findings)
    }


def _is_in(path: str, name: str) -> bool:
    root = step(name)
    return path == root or path.startswith((f"{root}.", f"{root}["))


def columns_of(
    table: T.StructType,
    schema: Schema | None,
    findings: Sequence[Finding] = (),
    nulls: Mapping[str, int] = MappingProxyType({}),
    values: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
) -> tuple[ColumnReport, ...]:
    """What there is to say of each column of a contract; of each of the table, if there is none."""
    if schema is None:
        return tuple(
            ColumnReport(
                field.name,
                field.dataType.simpleString(),
                field.dataType.simpleString(),
                not any(_is_in(finding.path, field.name) for finding in findings),
                nulls.get(field.name),
            )
            for field in table.fields
        )
    held = {field.name: field.dataType.simpleString() for field in table.fields}
    named = schema.has_input_names()
    reports = []
    for index, spec in enumerate(schema):
        name = str(spec.name) if named else table.names[index] if index < len(table.names) else str(index)
        expected = describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
        optional = "" if spec.required else " (optional)"
        ok = not any(_is_in(finding.path, name) or not finding.path for finding in findings)
        seen = (values or {}).get(name, ())
        reports.append(
            ColumnReport(name, f"{expected}{optional}", held.get(name, ""), ok, nulls.get(name), seen)
        )
    return tuple(reports)


def _keys(df: DataFrame, row_key: str | Sequence[str] | None) -> list[str]:
    if row_key is None:
        return []
    names = [row_key] if isinstance(row_key, str) else list(row_key)
    folded = [name.casefold() for name in df.columns]
    missing = [name for name in names if name not in df.columns]
    types = {field.name: field.dataType for field in df.schema.fields}
    for name in names:
        if folded.count(name.casefold()) > 1:
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
    folded = [name.casefold() for name in df.columns]
    names = [one.name for one in before.columns if one.found and folded.count(one.name.casefold()) == 1]
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
    order = sorted(range(len(findings)), key=lambda index: _rank(findings[index], before.columns))
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


def _without_vectors(df: DataFrame) -> DataFrame:
    """The table with its vectors of Spark ML as arrays, which SQL can look into."""
    vectors = [field.name for field in df.schema.fields if type(field.dataType).__name__ == "VectorUDT"]
    if not vectors:
        return df
    from pyspark.ml.functions import vector_to_array

    there = {name: column(name) for name in vectors}
    return df.withColumns(
        {name: F.when(one.isNotNull(), vector_to_array(one)) for name, one in there.items()}
    )


def _rank(finding: Finding, columns: Sequence[ColumnReport]) -> int:
    held = (index for index, one in enumerate(columns) if _is_in(finding.path, one.name))
    return next(held, len(columns))


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


# --- samples ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Options:
    strict_nulls: bool
    refuse_nan: bool
    keys: tuple[str, ...]


def _of_sample(df: DataFrame, schema: Schema, before: Report, sampler: Sampler, options: _Options) -> Report:
    """The values of some rows, by the engine itself, as a model would be given them.

    Columns whose types do not fit are left out: nothing else can be said of their values.
    """
    part = _fitting(schema, df.schema, before.findings)
    if part is None:
        return before
    bound = bind(df.schema, part)
    sent = [values.alias(name) for name, values in zip(bound.names, bound.values)]
    sent += [column(name).alias(f"{_PLACE} {index}") for index, name in enumerate(options.keys)]
    sample = sampler.sample(df.select(*sent))
    columns = [one.combine_chunks() for one in sample.rows.columns]
    values = pa.RecordBatch.from_arrays(columns[: len(bound.names)], names=list(bound.names))
    found = _engine_findings(values, part, options) if values.num_rows else []
    found += _nan_findings(values) if options.refuse_nan else []
    bad = len({row for one in found for row in one.rows})
    bad = max([bad, *(one.count or values.num_rows for one in found if not one.rows)])
    labels = dict(zip(bound.names, _labels(bound.names, part, df.schema)))
    found = [_renamed(one, labels) for one in found]
    order = sorted([*before.findings, *found], key=lambda one: _rank(one, before.columns))
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
        columns=columns_of(df.schema, schema, order, nulls, seen),
        rows=values.num_rows,
        bad_rows=bad,
        claim=sample.claim(bad),
    )


def _engine_findings(rows: pa.RecordBatch, schema: Schema, options: _Options) -> list[Finding]:
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
        if sent != name and _is_in(finding.path, sent):
            return replace(finding, path=step(name) + finding.path.removeprefix(step(sent)))
    return finding


def _fitting(schema: Schema, table: T.StructType, findings: Sequence[Finding]) -> Schema | None:
    """The columns of the contract that the table has, and in whose types nothing was found."""
    if not schema.has_input_names():
        return None if findings else schema
    fits = [
        spec
        for spec in schema
        if str(spec.name) in table.names and not any(_is_in(one.path, str(spec.name)) for one in findings)
    ]
    return Schema(fits) if fits else None


def _nan_findings(rows: pa.RecordBatch) -> list[Finding]:
    found = []
    for name, values in zip(rows.schema.names, rows.columns):
        found += _nans(values, step(name), np.arange(len(values)))
    return found


def _nans(values: pa.Array, path: str, owners: Any) -> list[Finding]:
    """The NaN at each place of a column; ``owners`` are the rows that the values belong to."""
    if pa.types.is_floating(values.type):
        nan = pc.is_nan(values).fill_null(False).to_numpy(zero_copy_only=False)
        rows = np.unique(owners[nan]).tolist()
        told = Finding(Code.INVALID_VALUE, path, f"{_NUMBER.get(values.type)} without NaN", "NaN")
        return [replace(told, count=len(rows), rows=tuple(rows))] if rows else []
    if pa.types.is_list(values.type) or pa.types.is_map(values.type):
        offsets = values.offsets.to_numpy()
        lengths = np.where(values.is_null().to_numpy(zero_copy_only=False), 0, np.diff(offsets))
        inner = values.items if pa.types.is_map(values.type) else values.values
        places = np.repeat(offsets[:-1] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        return _nans(inner.take(pa.array(places)), f"{path}[]", np.repeat(owners, lengths))
    if pa.types.is_struct(values.type):
        parts = zip(values.type, values.flatten())
        return [one for field, part in parts for one in _nans(part, below(path, field.name), owners)]
    return []


_NUMBER = {pa.float32(): "float", pa.float64(): "double"}
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
