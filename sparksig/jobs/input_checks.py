"""Checks of a job's input before Spark starts: its existence, and the types in its Parquet footers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

import pyarrow
import pyarrow.fs

from sparksig.engine.features import has_features
from sparksig.errors import (
    ConfigError,
    ContractError,
    SparksigError,
    TableNotFoundError,
    UnsupportedError,
    quote,
    suggest_path,
)
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.config_errors import build_value_error
from sparksig.jobs.file_systems import find_file_system
from sparksig.schema import Schema
from sparksig.spark.names import CASE_SENSITIVE, Fold, choose_folding, get_name_folding
from sparksig.tables.columns import list_arrow_columns
from sparksig.tables.contract import Contract, build_model_contract
from sparksig.tables.findings import find_missing
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.tables.types import judge_types


def check_input(config: ScoreConfig, inputs: Schema, features: Sequence[str] | None = None) -> None:
    """Judge the table by the footers of all its Parquet files, before Spark starts.

    Spark uses the schema of one file for all files, so the columns that a job reads must have one type in
    every file. Partition columns, which footers lack, and file systems that pyarrow does not know are left
    to Spark.

    Args:
        config: the configuration of the job.
        inputs: the inputs that the model declares.
        features: the names of the model's features, for inputs without names; None if it knows none.
    """
    if config.input.path is None:
        return
    files, root = find_file_system(config.input.path, config.spark)
    if files is None:
        return
    table, format_name = (
        f"{FORMAT_NAMES[config.input.format]} table at {config.input.path!r}",
        config.input.format,
    )
    is_delta = files.get_file_info(f"{root}/_delta_log").type != pyarrow.fs.FileType.NotFound
    if files.get_file_info(root).type == pyarrow.fs.FileType.NotFound:
        raise TableNotFoundError(f"there is no {table}{suggest_path(config.input.path)}")
    if is_delta and format_name != "delta":
        raise build_delta_error(format_name)
    actual = "delta" if is_delta else _find_format(files, root)
    if actual is not None and actual != format_name:
        hint = f"the names of its files end in .{actual}"
        raise build_value_error("input.format", f"{actual}, the format of the table", format_name, hint)
    if format_name == "delta" and not is_delta:
        raise TableNotFoundError(f"there is no {table}")
    if format_name == "parquet":
        _check_parquet(config, inputs, features, (files, root))


FORMAT_NAMES = {"parquet": "Parquet", "delta": "Delta", "csv": "CSV", "json": "JSON"}
"""The names of formats in messages."""


def _find_format(files: Any, root: str) -> str | None:
    """Return the format by the suffix of all files; None if there are several suffixes, or none."""
    info = files.get_file_info(root)
    if info.type == pyarrow.fs.FileType.Directory:
        entries = files.get_file_info(pyarrow.fs.FileSelector(root))
        names = [entry.base_name for entry in entries if entry.type == pyarrow.fs.FileType.File]
    else:
        names = [info.base_name]
    suffixes = {PurePath(name).suffix for name in names if not name.startswith((".", "_"))}
    formats = {f".{form}": form for form in FORMAT_NAMES} | {".jsonl": "json"}
    return formats.get(suffixes.pop()) if len(suffixes) == 1 else None


def build_delta_error(form: str) -> ConfigError:
    """Return the error for a Delta table whose configured format is that of files."""
    hint = "the files also contain rows that were deleted from the table"
    return build_value_error("input.format", "delta, the format of the table", form, hint)


def _check_parquet(
    config: ScoreConfig, inputs: Schema, features: Sequence[str] | None, store: tuple[Any, str]
) -> None:
    fold = _choose_folding(config)
    table = open_parquet(config.input.path or "", store)
    # Spark judges the columns that no footer has: partition columns, and those of input.select
    partitions = {*table.files[0].values, *config.input.select}
    keep = [] if config.output.keep == "*" else config.output.keep
    names = [name for name in table.schema.names if name not in partitions]
    findings = find_missing([name for name in keep if name not in partitions], names, "a column to keep")
    columns = [column for column in list_arrow_columns(table.schema) if column.name not in partitions]
    missing = "forbid" if config.model.absent == "forbid" else "allow"
    contract = _build_contract(inputs, partitions, features, missing)
    if contract is not None:
        findings = judge_types(contract, columns, fold=fold, all_names=True) + findings
    needed = _select_needed(config, inputs, features, table, names)
    findings += table.compare_files(needed, build_model_contract(inputs, "the model").required_names, fold)
    if findings:
        findings = list(dict.fromkeys(findings))
        raise ContractError.of(f"the table {config.input.path!r} does not fit the model", findings)


def _build_contract(
    inputs: Schema, partitions: Collection[str], features: Sequence[str] | None, missing: str
) -> Contract | None:
    """Return the contract for the columns that the files have; Spark reads the types of partitions."""
    schema: Schema | None = inputs
    if inputs.has_input_names():
        specs = [spec for spec in inputs if str(spec.name) not in partitions]
        schema = Schema(specs) if specs else None
    elif partitions:  # they may be inputs without names
        schema = None
    if schema is None:
        return None
    return build_model_contract(schema, "the model", features, missing=missing)


def _select_needed(
    config: ScoreConfig,
    inputs: Schema,
    features: Sequence[str] | None,
    table: ParquetTable,
    names: Sequence[str],
) -> list[str]:
    """Return the columns that the job reads, which must have the same type in all files."""
    columns = dict.fromkeys([*names, *(part for file in table.files for part in file.schema.names)])
    columns = {name: None for name in columns if name not in table.files[0].values}
    has_names = inputs.has_input_names()
    if config.output.keep == "*" or not (has_names or has_features(inputs, features)):
        return list(columns)
    needed = {*config.output.keep, *(map(str, inputs.input_names()) if has_names else features or ())}
    condition = " ".join([config.input.filter or "", *config.input.select.values()]).casefold()
    return [name for name in columns if name in needed or name.casefold() in condition]


def _choose_folding(config: ScoreConfig) -> Fold:
    """Return the function that folds names as the future session compares them, by its known settings."""
    setting = config.spark.get(CASE_SENSITIVE)
    return get_name_folding() if setting is None else choose_folding(setting)


def is_null_type(field: pyarrow.Field) -> bool:
    """Return whether a column of a Parquet file has the null type, which Spark reads as int."""
    return bool(pyarrow.types.is_null(field.type))


def refuse_null_types(columns: pyarrow.Schema) -> None:
    """Check that no column has the null type.

    Raises:
        UnsupportedError: a column has it.
    """
    nulls = [field.name for field in columns if is_null_type(field)]
    if nulls:
        raise UnsupportedError(f"{quote(nulls[0])} has the null type, which only Spark casts")


def find_schemas_with_null_types(uri: str) -> dict[str, pyarrow.Schema]:
    """Return the schemas of a Parquet table's files, if some column has the null type in some file.

    Args:
        uri: the table's path, with its scheme.

    Returns:
        The schemas by the names of the files in the table (empty for a single file); an empty result if this
        process cannot read the files, or no column has the null type.
    """
    store, root = find_file_system(uri, {})
    if store is None:
        return {}
    try:
        table = open_parquet(uri, (store, root))
    except SparksigError:  # which Spark reports when it reads them
        return {}
    schemas = {
        "" if file.path == root else file.name: pyarrow.schema(
            [field for field in file.schema if field.name not in file.values]
        )
        for file in table.files
    }
    return schemas if any(is_null_type(field) for schema in schemas.values() for field in schema) else {}
