"""The input before Spark starts: that it is there, and what its Parquet files' footers say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow
import pyarrow.dataset
import pyarrow.fs

from sparksig.engine.features import has_features, match_features
from sparksig.errors import Code, ConfigError, ContractError, Finding, TableNotFoundError, nearest, step
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.places import file_system
from sparksig.parquet.judge import type_findings
from sparksig.schema import Schema, TensorSpec
from sparksig.spark.names import CASE_SENSITIVE, Fold, fold_of, name_folding

__all__ = ["NAMES", "check_input", "is_null_type", "not_files", "schemas_with_null_types"]


def check_input(config: ScoreConfig, inputs: Schema, features: Sequence[str] | None = None) -> None:
    """Judge the table by the footers of all its Parquet files, read here, before Spark even starts.

    Spark takes one file's schema for all of them, so the columns that are needed must be of one type in
    every file. Partition columns are in no footer; they, and what this process cannot read (a file system
    that pyarrow does not know), are judged by Spark's own reading of the schema later, as everything is.

    Args:
        config: of the job.
        inputs: what the model declares.
        features: of inputs without names, the names of the model's features; None if it knows none.
    """
    if config.input.path is None:
        return
    files, place = file_system(config.input.path, config.spark)
    if files is None:
        return
    shown, form = repr(config.input.path), config.input.format
    log = files.get_file_info(f"{place}/_delta_log").type != pyarrow.fs.FileType.NotFound
    if files.get_file_info(place).type == pyarrow.fs.FileType.NotFound or (form == "delta" and not log):
        raise TableNotFoundError(f"there is no {NAMES[form]} table at {shown}")
    if log and form != "delta":
        raise not_files(form)
    if form == "parquet":
        _check_parquet(config, inputs, features, files, place)


NAMES = {"parquet": "Parquet", "delta": "Delta", "csv": "CSV", "json": "JSON"}
"""What people call the formats."""


def not_files(form: str) -> ConfigError:
    """The error of a Delta table that is to be read as files."""
    hint = "read as files it would show rows that were deleted"
    finding = Finding(Code.INVALID_VALUE, "input.format", "delta, which the table is", form, hint)
    return ConfigError.of("the configuration is wrong", [finding])


def _check_parquet(
    config: ScoreConfig, inputs: Schema, features: Sequence[str] | None, files: Any, place: str
) -> None:
    shown = repr(config.input.path)
    try:
        stored = _stored_schemas(files, place)
    except pyarrow.ArrowInvalid as error:
        raise TableNotFoundError(f"{shown} is no Parquet table: {error}") from None
    if not stored:
        raise TableNotFoundError(f"there is no Parquet file in {shown}")
    fold = _name_folding(config)
    required = {str(spec.name) for spec in inputs if isinstance(spec, TensorSpec) or spec.required}
    whole = config.output.keep == "*"
    kept = [] if config.output.keep == "*" else config.output.keep
    named = inputs.has_input_names()
    whole = whole or not (named or has_features(inputs, features))
    wanted = {*kept, *(map(str, inputs.input_names()) if named else features or ())}
    condition = (config.input.filter or "").casefold()
    findings: list[Finding] = []
    judged: dict[pyarrow.Schema, str] = {}
    for name, schema in _without_null_types(stored, required).items():
        partitions = {part.partition("=")[0] for part in name.split("/")[:-1] if "=" in part}
        needed = pyarrow.schema(
            [field for field in schema if whole or field.name in wanted or field.name.casefold() in condition]
        )
        if needed not in judged:
            judged[needed] = name
            first = next(iter(judged.items()))
            findings += _judge(needed, schema, inputs, kept, partitions, first, name, fold, features)
    if findings:
        raise ContractError.of(f"the table {shown} does not fit the model", findings)


def _name_folding(config: ScoreConfig) -> Fold:
    """How the session that will read the table compares names, as far as it is known yet."""
    setting = config.spark.get(CASE_SENSITIVE)
    return name_folding() if setting is None else fold_of(setting)


def _stored_schemas(files: Any, place: str) -> dict[str, pyarrow.Schema]:
    """The schema in the footer of each file, by the file's name below the place."""
    fragments = list(pyarrow.dataset.dataset(place, format="parquet", filesystem=files).get_fragments())
    with ThreadPoolExecutor(16) as pool:
        schemas = list(pool.map(lambda fragment: fragment.physical_schema, fragments))
    names = [fragment.path.removeprefix(place).lstrip("/") or fragment.path for fragment in fragments]
    return dict(zip(names, schemas))


def _without_null_types(
    stored: Mapping[str, pyarrow.Schema], required: Collection[str]
) -> dict[str, pyarrow.Schema]:
    """The schemas, where an optional column of the null type has the type of another file."""
    types: dict[str, pyarrow.DataType] = {}
    for schema in stored.values():
        types |= {
            field.name: field.type
            for field in schema
            if field.name not in types and field.name not in required and not is_null_type(field)
        }

    def replaced(schema: pyarrow.Schema) -> pyarrow.Schema:
        return pyarrow.schema(
            [
                field.with_type(types[field.name]) if is_null_type(field) and field.name in types else field
                for field in schema
            ]
        )

    return {name: replaced(schema) for name, schema in stored.items()}


def is_null_type(field: pyarrow.Field) -> bool:
    """Return whether a column of a Parquet file has the null type, which Spark reads as int."""
    return bool(pyarrow.types.is_null(field.type))


def schemas_with_null_types(uri: str) -> dict[str, pyarrow.Schema]:
    """Return the schemas of a Parquet table's files, if some column has the null type in some file.

    Args:
        uri: the table's path, with its scheme.

    Returns:
        From the files' names below the path (empty for a single file); nothing where this process cannot read
        the files, or no column has the null type.
    """
    files, place = file_system(uri, {})
    if files is None:
        return {}
    try:
        stored = _stored_schemas(files, place)
    except (pyarrow.ArrowException, OSError):  # which Spark reports when it reads them
        return {}
    if not any(is_null_type(field) for schema in stored.values() for field in schema):
        return {}
    return {"" if name == place else name: schema for name, schema in stored.items()}


def _judge(
    needed: pyarrow.Schema,
    whole: pyarrow.Schema,
    inputs: Schema,
    keep: list[str],
    partitions: set[str],
    first: tuple[pyarrow.Schema, str],
    name: str,
    fold: Fold,
    features: Sequence[str] | None,
) -> list[Finding]:
    """What is wrong with one file's columns; of a later file, how they differ from the first one's."""
    if first[1] != name:
        types = {field.name: str(field.type) for field in first[0]}
        here = {field.name: str(field.type) for field in needed}
        none, hint = "no such column", "rewrite the files with one schema"
        changed = [
            column for column in dict.fromkeys([*types, *here]) if types.get(column) != here.get(column)
        ]
        return [
            Finding(
                Code.TYPE_MISMATCH,
                step(column),
                f"{types.get(column, none)} as in {first[1]}",
                f"{here.get(column, none)} in {name}",
                hint,
            )
            for column in changed
        ]
    folded = [fold(column) for column in whole.names]
    twins = [column for column in whole.names if folded.count(fold(column)) > 1]
    findings = [
        Finding(Code.DUPLICATE_NAME, step(column), "one column of that name", "several") for column in twins
    ]
    findings += [
        Finding(
            Code.MISSING_COLUMN,
            step(column),
            "a column to keep",
            "no such column",
            nearest(column, whole.names),
        )
        for column in keep
        if column not in whole.names and column not in partitions
    ]
    return [*_type_findings(whole, inputs, features, partitions), *findings]


def _type_findings(
    whole: pyarrow.Schema, inputs: Schema, features: Sequence[str] | None, partitions: set[str]
) -> list[Finding]:
    """What the types of a file say of the model's inputs, apart from the columns of its directories."""
    if inputs.has_input_names():
        specs = [spec for spec in inputs if str(spec.name) not in partitions]
        return type_findings(whole, Schema(specs)) if specs else []
    if partitions:  # which feed inputs without names as well: Spark's reading of the schema says their types
        return []
    nested = len(whole) == 1 and pyarrow.types.is_nested(whole.types[0])
    positions, missing = match_features(whole.names, inputs, features, is_nested=nested)
    if positions is None:
        return type_findings(whole, inputs)
    chosen = pyarrow.schema([whole.field(position) for position in positions])
    return missing or type_findings(chosen, inputs)
