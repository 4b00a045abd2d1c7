"""Plan the scoring of a Parquet table from the footers of its files: the columns to read, and the splits.

If Spark and pyarrow read a column differently, an UnsupportedError has the reason, so that the caller can let
Spark read the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sparksig.engine.absent import Absent
from sparksig.engine.predictions import get_result_type
from sparksig.errors import ContractError, ConversionError, Finding, UnsupportedError, quote
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.scoring.bounds import Bounds
from sparksig.scoring.filters import compile_filter
from sparksig.scoring.limits import RejectionLimit
from sparksig.scoring.names import find_name_conflicts, judge_chosen_columns
from sparksig.scoring.part import build_output_schema
from sparksig.scoring.prepared import PreparedModel
from sparksig.scoring.scan import Piece, ScanPlan, Split
from sparksig.scoring.storage import (
    convert_type,
    place_partition,
    read_spark_fields,
    require_same_type,
    set_zone,
)
from sparksig.tables.columns import list_arrow_columns
from sparksig.tables.contract import build_model_contract
from sparksig.tables.footers import File
from sparksig.tables.parquet import ParquetTable
from sparksig.tables.partitions import parse_partition_value
from sparksig.tables.types import match_columns
from sparksig.types import AnyType, Object


@dataclass(frozen=True)
class ScanOptions:
    """The options for reading and writing, as in :func:`sparksig.score_files`."""

    output: str = "prediction"
    keep: str | Sequence[str] = "*"
    columns: Sequence[str] | None = None
    flatten: bool = False
    lenient: bool = False
    findings: str = "findings"
    zone: str = "UTC"
    batch_rows: int | None = None
    absent: Absent = "omit"
    filter: str | None = None
    limit: RejectionLimit | None = None
    returned: pa.DataType | None = None


def plan_scan(
    table: ParquetTable,
    model: PreparedModel,
    params: Mapping[str, Any] | None,
    features: Sequence[str] | None,
    options: ScanOptions,
) -> ScanPlan:
    """Judge a table by the footers of its files, and plan the run.

    Args:
        table: the table.
        model: the model.
        params: values for all of its params, enforced already.
        features: the names of the model's features; None if it knows none.
        options: the columns to read and to write.

    Raises:
        ContractError: the table does not fit the model, or names of columns conflict; all findings.
        UnsupportedError: only Spark reads or writes these columns correctly.
    """
    schema = _type_partitions(table)
    types = pa.schema([part.with_type(_convert_if_supported(part)) for part in schema])
    findings: list[Finding] = []
    model_columns, is_row = _choose_columns(types, model, features, options, findings)
    added = _name_outputs(model.outputs, options)
    conflicts = find_name_conflicts(schema.names, added, options.keep, str.casefold)
    kept_columns = tuple(schema.names if isinstance(options.keep, str) else options.keep)
    condition = None if options.filter is None else compile_filter(options.filter, types, options.zone)
    filtered = () if condition is None else condition.columns
    needed = [
        name for name in dict.fromkeys([*model_columns, *kept_columns, *filtered]) if name in schema.names
    ]
    _refuse_empty_partitions(table, needed)
    required = [str(spec.name) for spec in model.inputs if isinstance(spec, TensorSpec) or spec.required]
    findings += table.compare_files(needed, required)
    if findings or conflicts:
        problem = "does not fit the model's input schema" if findings else "cannot be scored"
        raise ContractError.of(f"the table {problem}", [*findings, *conflicts])
    spark_fields = read_spark_fields(table.files[0].metadata)
    source = _require_supported(table, pa.schema([schema.field(name) for name in needed]), spark_fields)
    is_named = is_row or model.inputs.has_input_names()
    transfer = [
        (name if is_named else str(index), set_zone(source.field(name).type, options.zone))
        for index, name in enumerate(model_columns)
    ]
    shared = ("output", "flatten", "lenient", "findings", "zone", "batch_rows", "absent", "returned", "limit")
    scan = ScanPlan(
        store=table.store,
        source=source,
        model_columns=tuple(model_columns),
        transfer=pa.schema(transfer),
        is_row=is_row,
        kept_columns=kept_columns,
        inputs=model.inputs,
        outputs=model.outputs,
        params=params,
        condition=condition,
        spark_fields={name: spark_fields[name] for name in kept_columns if name in spark_fields},
        **{name: getattr(options, name) for name in shared},
    )
    build_output_schema(scan)  # raises an error if a type is not supported
    return scan


def _type_partitions(table: ParquetTable) -> pa.Schema:
    """Return the schema of a table, with text for partition columns without any value."""
    partitions = table.files[0].values
    return pa.schema(
        [
            part.with_type(pa.string()) if part.name in partitions and pa.types.is_null(part.type) else part
            for part in table.schema
        ]
    )


def _refuse_empty_partitions(table: ParquetTable, needed: Sequence[str]) -> None:
    """Check that each partition column has a value.

    Raises:
        UnsupportedError: a column has no value, so that its type depends on the version of Spark.
    """
    for name in needed:
        if name in table.files[0].values and pa.types.is_null(table.schema.field(name).type):
            raise UnsupportedError(
                f"{quote(name)} has no value in any directory, and only Spark knows its type"
            )


def _convert_if_supported(part: pa.Field) -> pa.DataType:
    try:
        return convert_type(part.type, quote(part.name))
    except UnsupportedError:
        return part.type


def _name_outputs(outputs: Schema, options: ScanOptions) -> list[Any]:
    """Return the names of the columns that are added.

    Raises:
        UnsupportedError: only Spark can represent the predictions.
        ContractError: predictions without fields cannot be flattened.
    """
    try:
        dtype = options.returned or get_result_type(outputs)
    except ConversionError as error:
        raise UnsupportedError(
            f"predictions are variants, which only Spark writes: {error.message}"
        ) from None
    names = [options.output]
    if options.flatten:
        if not pa.types.is_struct(dtype):
            raise ContractError(
                f"flatten=True needs a model with several outputs; the predictions of this model are {dtype}"
            )
        names = [f"{options.output}_{field.name}" for field in dtype]
    return [*names, options.findings] if options.lenient else names


def _choose_columns(
    table: pa.Schema,
    model: PreparedModel,
    features: Sequence[str] | None,
    options: ScanOptions,
    findings: list[Finding],
) -> tuple[list[str], bool]:
    """Return the columns that the model receives, and whether each row is an object; add the findings."""
    inputs, columns = model.inputs, options.columns
    findings += judge_chosen_columns(table.names, columns, inputs, features)
    if findings:
        return [], False
    if columns is not None:
        table = pa.schema([table.field(name) for name in columns])
    missing = "forbid" if options.absent == "forbid" else "allow"
    contract = build_model_contract(inputs, "the model's input schema", features, missing=missing)
    match = match_columns(contract, list_arrow_columns(table), by_position=columns is not None)
    findings += match.findings
    if match.row is not None:
        assert isinstance(match.row.type, Object)
        properties = {prop.name for prop in match.row.type.properties}
        return [name for name in table.names if name in properties], True
    for spec, column in match.pairs:
        is_open = not isinstance(spec, ColSpec) or isinstance(spec.type, AnyType)
        if is_open and getattr(column.field.source, "kind", "") == "vector":
            raise UnsupportedError(f"{quote(column.name)} has vectors, which only Spark converts to arrays")
    return [column.name for _, column in match.pairs], False


def _require_supported(
    table: ParquetTable, needed: pa.Schema, spark_fields: Mapping[str, Mapping[str, Any]]
) -> pa.Schema:
    """Return the columns in the types that Spark reads.

    Raises:
        UnsupportedError: Spark and pyarrow read a column differently.
    """
    partitions = table.files[0].values
    fields = []
    for part in needed:
        dtype = part.type
        if part.name in partitions and pa.types.is_timestamp(dtype):
            dtype = pa.timestamp("us", "UTC")  # a local time of the session
        field = pa.field(part.name, convert_type(dtype, quote(part.name)))
        if part.name in spark_fields and not pa.types.is_null(part.type):
            require_same_type(field, spark_fields[part.name])
        fields.append(field)
    for file in table.files:
        for name, reason in file.layout.reasons.items():
            if name in needed.names and name not in partitions:
                raise UnsupportedError(f"{quote(name)} {reason} ({file.name}): read the table with Spark")
    return pa.schema(fields)


# --- splits -----------------------------------------------------------------------------------------------

_MOST_BYTES = 2**29
"""The largest size of a split, unless a row group is larger. Each split becomes one file."""

_FEWEST_BYTES = 2**22
"""The smallest size of a split, unless the table is smaller."""


def plan_splits(table: ParquetTable, scan: ScanPlan, cores: int) -> list[Split]:
    """Divide the row groups of a table into splits of similar sizes, in the order of the files.

    A row group is never cut. There are at least two splits for each core, if the table has enough row groups
    and bytes; and at least one split, without row groups if the table has none.

    Args:
        table: the table.
        scan: the plan.
        cores: the number of splits that are scored at the same time.

    Raises:
        UnsupportedError: a partition value that the time zone of the session does not have.
    """
    pieces = [piece for file in table.files for piece in _cut_file(file, scan)]
    total = sum(piece.size for piece in pieces)
    count = max(2 * cores, -(-total // _MOST_BYTES))
    count = max(1, min(count, -(-total // _FEWEST_BYTES), len(pieces)))
    splits: list[list[Piece]] = [[]]
    done = 0
    for piece in pieces:
        # the middle of the piece decides, so that no split is larger than its share by more than half a piece
        if splits[-1] and (done + piece.size / 2) * count >= total * len(splits):
            splits.append([])
        splits[-1].append(piece)
        done += piece.size
    return [Split(index, tuple(_merge_pieces(parts))) for index, parts in enumerate(splits)]


def _cut_file(file: File, scan: ScanPlan) -> list[Piece]:
    """Return a piece for each row group with rows."""
    partitions = {
        name: place_partition(parse_partition_value(text, file.schema.field(name).type), scan.zone).cast(
            scan.source.field(name).type
        )
        for name, text in file.values.items()
        if name in scan.source.names
    }
    constants = {name: Bounds.constant(value) for name, value in partitions.items()}
    if scan.condition is not None and not scan.condition.can_hold(constants):
        return []
    sizes = file.layout.sizes
    return [
        Piece(file.path, file.name, (group,), (rows,), sum(file.groups[:group]), sizes[group], partitions)
        for group, rows in enumerate(file.groups)
        if rows
    ]


def _merge_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces, with those of one file merged."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].path == piece.path:
            last = merged.pop()
            groups, counts = last.groups + piece.groups, last.counts + piece.counts
            size = last.size + piece.size
            piece = Piece(last.path, last.name, groups, counts, last.first_row, size, last.partitions)
        merged.append(piece)
    return merged
