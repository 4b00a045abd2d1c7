"""A Parquet table against a contract: by its footers alone, by a sample, or by all of its rows. No Spark."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sparksig.engine.features import match_features
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.parquet.files import Table, open_table
from sparksig.parquet.judge import columns_of, compare_files, missing_columns, named, spelled
from sparksig.parquet.rows import rows_of
from sparksig.parquet.values import Looking, Tally
from sparksig.report import Report
from sparksig.sampling import Choice
from sparksig.schema import Schema, TensorSpec
from sparksig.tables.columns import arrow_columns
from sparksig.tables.contract import Contract, resolve_contract
from sparksig.tables.types import broken_columns, extra_columns, judge_types, report_columns, root_of

__all__ = ["check_parquet"]

MODES = ("schema", "sample", "full")
_CODES = list(Code)


def check_parquet(
    path: str | os.PathLike[str],
    contract: Any,
    mode: str = "schema",
    *,
    side: str = "inputs",
    rows: int = 10_000,
    seed: int = 0,
    method: str = "partitions",
    strict_nulls: bool = True,
    refuse_nan: bool = False,
    row_key: str | Sequence[str] | None = None,
    types: str | None = None,
    missing: str | None = None,
    extra: str | None = None,
) -> Report:
    """What of a Parquet table breaks a contract, read by pyarrow: as :func:`sparksig.check`, without Spark.

    Instants are judged as a clock in their column's time zone shows them, which Parquet files give as UTC.

    Args:
        path: a file, a directory of files, or a URI of an object store (``s3://``, ``gs://``, ``abfs://``,
            ``hdfs://``).
        contract: a :class:`~sparksig.ModelSignature`, a :class:`~sparksig.Schema`, an Arrow schema, a model
            directory, a JSON file with a signature, DDL, or another Parquet table.
        mode: "schema": the footers of all files. "sample": those, and the values of some rows. "full": the
            values of all rows, a batch at a time.
        side: of a signature: "inputs" or "outputs".
        rows: of a sample, at most.
        seed: of a sample: the same rows for the same seed and the same files.
        method: of a sample: "partitions" reads the first rows of 32 row groups at most; "uniform" reads all
            row groups that have one of the rows, of which each is as likely as any other.
        strict_nulls: required means that there are values, whatever the type; False as a model takes them:
            then only required integers and booleans must have values.
        refuse_nan: NaN breaks the contract, in columns of numbers.
        row_key: columns that name a row: the smallest and the largest key of the rows concerned are shown
            with each finding. These are values of the table. Without them, the place of the first row is.
        types: of a table's contract: "exact" (default), or "lossless": types that widen to the declared ones.
        missing: "forbid" (default of a table's contract) or "allow": columns that may be absent.
        extra: "forbid" (default of a table's contract), "allow" or "warn": columns that are not declared.

    Returns:
        A report: ``ok``, ``findings``, ``raise_if_failed()``, ``to_json()``, ``to_html(path)``.

    Raises:
        ContractError: an argument is not what it should be, or a file is damaged.
        ModelError, SignatureError: the contract cannot be read.
        TableNotFoundError: there is no Parquet table, neither to check nor as contract.
        UnsupportedError: a Delta table.

    Example:
        >>> import tempfile
        >>> import pyarrow.parquet
        >>> table = pa.table({"id": [1, None, 3], "price": [9, 8, 7]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyarrow.parquet.write_table(table, f"{folder}/orders.parquet")
        ...     print(check_parquet(folder, "id bigint not null, price double not null", "full"))
        the table breaks the contract (DDL): 3 rows checked, 1 of them break it
          id     bigint not null  int64  1 null (33.3 %)  FINDINGS
          price  double not null  int64  no nulls         FINDINGS
        - id: expected long without nulls, found nulls, once (declare it optional, or double) [NULL_IN_REQUIRED] e.g. orders.parquet, row 1
        - price: expected double, found int64 (cast it on purpose) [TYPE_MISMATCH]
    """  # noqa: E501  as it is printed
    started = time.perf_counter()
    if mode not in MODES:
        raise ContractError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    choice = Choice(rows, seed=seed, method=method)
    declared = resolve_contract(contract, side=side, types=types, missing=missing, extra=extra)
    table = open_table(path)
    names, nested = table.schema.names, len(table.schema) == 1 and pa.types.is_nested(table.schema.types[0])
    positions, _ = match_features(names, declared.schema, declared.features, is_nested=nested)
    found = judge_types(declared, arrow_columns(table.schema), all_names=True)
    if positions:
        table = table.select([names[position] for position in positions])
    keys = _keys(table.schema, row_key)
    schema = named(declared.schema, table.schema)
    inside = columns_of(declared.schema, table.schema)
    required = [str(spec.name) for spec in declared.schema if isinstance(spec, TensorSpec) or spec.required]
    found += compare_files(table, [*inside, *keys], required)
    declared = replace(declared, schema=schema)
    columns = arrow_columns(table.schema)
    report = Report(
        mode,
        declared.name,
        tuple(dict.fromkeys(found)),
        report_columns(declared, columns, found),
        kind=declared.kind,
        options=declared.options,
        warnings=tuple(extra_columns(declared, columns)) if declared.extra == "warn" else (),
    )
    if mode != "schema":
        broken = broken_columns(found)
        bad = {name for name in table.schema.names if step(name) in broken}
        unclear = bool(found) and (not schema.has_input_names() or "" in broken)
        fits = None if unclear else _fitting(schema, table, bad)
        shown = () if bad.intersection(keys) else keys
        looking = Looking(fits, strict_nulls, refuse_nan, shown)
        report = _looked(table, declared, report, looking, choice if mode == "sample" else None)
    return replace(report, seconds=time.perf_counter() - started)


def _fitting(schema: Schema, table: Table, bad: set[str]) -> Schema | None:
    """The columns of the contract that the table has, and in whose types nothing was found."""
    if not schema.has_input_names():
        return schema
    there = set(table.schema.names) - bad
    fits = [spec for spec in schema if str(spec.name) in there]
    return Schema(fits) if fits else None


def _keys(table: pa.Schema, row_key: str | Sequence[str] | None) -> tuple[str, ...]:
    if row_key is None:
        return ()
    names = (row_key,) if isinstance(row_key, str) else tuple(row_key)
    missing = [name for name in names if name not in table.names]
    if missing or not names:
        raise ContractError.of("row_key names columns of the table", missing_columns(missing, table.names))
    for name in names:
        if table.names.count(name) == 1 and pa.types.is_nested(table.field(name).type):
            kind = spelled(table.field(name).type)
            raise ContractError(f"row_key: {name} is {kind}, which has no order")
    return names


def _looked(
    table: Table, contract: Contract, before: Report, looking: Looking, choice: Choice | None
) -> Report:
    """The report with what the values say."""
    once = {name for name in table.schema.names if table.schema.names.count(name) == 1}
    alike = {name for name in once if all(file.schema.get_field_index(name) >= 0 for file in table.files)}
    wanted = [name for name in columns_of(contract.schema, table.schema) if name in alike]
    looked = rows_of(table, list(dict.fromkeys([*wanted, *looking.keys])), choice)
    tally = Tally(looking)
    for part in looked.parts:
        tally.add(part)
    told: list[tuple[Finding, tuple[str, ...]]] = [*((one, ()) for one in before.findings), *tally.findings()]
    ranks = {step(column.name): rank for rank, column in enumerate(before.columns)}
    told.sort(
        key=lambda one: (ranks.get(root_of(one[0].path), len(ranks)), one[0].path, _CODES.index(one[0].code))
    )
    findings = tuple(one for one, _ in told)
    nulls = {name: tally.nulls.get(name, 0) for name in wanted}
    return replace(
        before,
        findings=findings,
        examples={index: names for index, (_, names) in enumerate(told) if names},
        columns=report_columns(contract, arrow_columns(table.schema), findings, nulls),
        rows=tally.rows,
        bad_rows=tally.bad,
        claim=looked.claim(tally.rows, tally.bad),
    )
