"""The tables that jobs read: found, and judged by their files' footers, before Spark starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.dataset
import pyarrow.fs

from sparksig.enforce import plan as plans
from sparksig.errors import Code, ContractError, Finding, TableNotFoundError, UnsupportedError, nearest, step
from sparksig.jobs.config import ScoreConfig
from sparksig.schema import Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["check_footers", "file_system", "read"]


def check_footers(config: ScoreConfig, inputs: Schema) -> None:
    """Judge the table by the footers of all its Parquet files, read here, before Spark even starts.

    Spark takes one file's schema for all of them, so the columns that are needed must be of one type in
    every file. Partition columns are in no footer; they, and what this process cannot read (a file system
    that pyarrow does not know), are judged by Spark's own reading of the schema later, as everything is.
    """
    files, place = file_system(config.input.place, config.spark)
    if files is None:
        return
    shown = repr(config.input.place)
    if files.get_file_info(f"{place}/_delta_log").type != pyarrow.fs.FileType.NotFound:
        raise UnsupportedError(
            f"{shown} is a Delta table, which is not read yet: as Parquet it would show deleted rows"
        )
    try:
        dataset = pyarrow.dataset.dataset(place, format="parquet", filesystem=files)
        fragments = list(dataset.get_fragments())
        with ThreadPoolExecutor(16) as pool:
            schemas = list(pool.map(lambda fragment: fragment.physical_schema, fragments))
    except FileNotFoundError:
        raise TableNotFoundError(f"there is no Parquet table at {shown}") from None
    except pyarrow.ArrowInvalid as error:
        raise TableNotFoundError(f"{shown} is no Parquet table: {error}") from None
    if not fragments:
        raise TableNotFoundError(f"there is no Parquet file in {shown}")
    kept = [] if config.output.keep == "*" else config.output.keep
    findings: list[Finding] = []
    judged: dict[pyarrow.Schema, str] = {}
    for fragment, schema in zip(fragments, schemas):
        name = fragment.path.removeprefix(place).lstrip("/") or fragment.path
        partitions = {part.partition("=")[0] for part in name.split("/")[:-1] if "=" in part}
        wanted = [*kept, *(str(spec.name) for spec in inputs)]
        needed = pyarrow.schema([field for field in schema if field.name in wanted])
        if needed not in judged:
            judged[needed] = name
            findings += _judge(needed, schema, inputs, kept, partitions, next(iter(judged.items())), name)
    if findings:
        raise ContractError.of(f"the table {shown} does not fit the model", findings)


def _judge(
    needed: pyarrow.Schema,
    whole: pyarrow.Schema,
    inputs: Schema,
    keep: list[str],
    partitions: set[str],
    first: tuple[pyarrow.Schema, str],
    name: str,
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
    twins = [
        column for column in whole.names if [n.casefold() for n in whole.names].count(column.casefold()) > 1
    ]
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
    specs = [spec for spec in inputs if str(spec.name) not in partitions]
    try:
        if specs:
            plans.compile(Schema(specs), whole)
    except ContractError as error:
        return [*error.findings, *findings]
    return findings


def read(spark: SparkSession, path: str) -> DataFrame:
    """The Parquet table at a path."""
    from pyspark.errors import AnalysisException

    try:
        return spark.read.parquet(path)
    except AnalysisException as error:
        if any(name in str(error) for name in ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA")):
            raise TableNotFoundError(f"there is no Parquet table at {path!r}") from None
        reason = str(error).partition("\n")[0]
        raise ContractError(f"Spark cannot read the table {path!r}: {reason}") from None


def file_system(path: str, conf: Mapping[str, str]) -> tuple[Any, str]:
    """The file system (of pyarrow) for a path or URI, and the place in it; None where pyarrow knows none.

    A plain path is on Hadoop's default file system, which is the local one unless it is configured.
    """
    if not re.match(r"^\w[\w+.-]+:", path):
        configured = (
            "spark.hadoop.fs.defaultFS" in conf or {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys()
        )
        return (None, path) if configured else (pyarrow.fs.LocalFileSystem(), str(Path(path).absolute()))
    if re.match(r"^file:/[^/]", path):  # as Hadoop writes it
        return pyarrow.fs.LocalFileSystem(), path.removeprefix("file:")
    try:
        files, place = pyarrow.fs.FileSystem.from_uri(path)
    except (pyarrow.ArrowInvalid, OSError):
        return None, path
    return files, place
