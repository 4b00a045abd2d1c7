"""Readers of tables and DDL for contracts: without Spark, and with a session."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from sparksig.convert.ddl_reader import read_columns
from sparksig.errors import (
    ContractError,
    ConversionError,
    Finding,
    SignatureError,
    TableNotFoundError,
    suggest_path,
)
from sparksig.lattice import Field, Source
from sparksig.models.registry import fetch_path, is_remote
from sparksig.source_walks import rebuild_source
from sparksig.tables.columns import Column, list_arrow_columns, list_spark_columns, restore_lengths
from sparksig.tables.contract import path_exists

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql import types as T


@dataclass(frozen=True)
class TableSchema:
    """The schema of an existing table.

    Attributes:
        columns: the columns of the table.
        metadata: the metadata of each column that the writer has stored.
        partitions: columns whose types the table's directories do not store.
        filled: the columns that the table fills itself, and how.
        declares_nulls: whether NOT NULL counts.
    """

    columns: tuple[Column, ...]
    metadata: Mapping[str, Mapping[str, Any]]
    partitions: frozenset[str] = frozenset()
    filled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    declares_nulls: bool = False


class Reader(Protocol):
    """Reads the contracts that are tables or DDL."""

    def read_table(self, text: str, *, is_path: bool) -> TableSchema | None:
        """Return the schema of the table that a text names; None if it names no table."""

    def read_ddl(self, text: str) -> Sequence[Field]:
        """Return the columns that DDL declares."""


# --- without Spark ------------------------------------------------------------------------------------------


class FileReader:
    """Reads Parquet tables by pyarrow, and DDL."""

    def read_table(self, text: str, *, is_path: bool) -> TableSchema | None:
        """Return the schema of a Parquet table.

        Raises:
            TableNotFoundError: no table exists at the path.
            UnsupportedError: a Delta table, or an unknown kind of URI.
        """
        from sparksig.tables.parquet import open_parquet

        if is_path or is_remote(text) or path_exists(fetch_path(text)):
            table = open_parquet(text)
            metadata = read_field_metadata(table.files[0].metadata)
            columns = []
            for column in list_arrow_columns(table.schema):
                part = Field(column.name, _allow_nulls(column.field.source))
                columns.append(replace(column, field=restore_lengths(part, metadata.get(column.name, {}))))
            return TableSchema(tuple(columns), metadata, frozenset(table.files[0].values))
        if re.fullmatch(r"\S*[/\\]\S*|\S+\.(json|parquet)", text):
            problem = f"there is no model directory, signature or table at {text!r}"
            raise TableNotFoundError(f"{problem}{suggest_path(text)}")
        return None

    def read_ddl(self, text: str) -> Sequence[Field]:
        """Return the columns that DDL declares.

        Raises:
            ContractError: the text is not DDL, or has types that Spark does not have.
        """
        findings: list[Finding] = []
        try:
            fields = read_columns(text, findings)
        except (SignatureError, ConversionError) as error:
            raise ContractError(f"{text!r} {_NO_CONTRACT}: {error.message}", error.findings) from None
        if findings:
            raise ContractError.of(f"{text!r} {_NO_CONTRACT}", findings)
        return fields


_NO_CONTRACT = "is not a model directory, a file, or DDL like 'id bigint not null, name string'"


def _allow_nulls(source: Source) -> Source:
    """Return a type with nulls allowed everywhere.

    A file may declare a column as required, while other files have nulls in it.
    """
    return rebuild_source(source, lambda part: replace(part, source=_allow_nulls(part.source), nullable=True))


SPARK_SCHEMA_KEY = b"org.apache.spark.sql.parquet.row.metadata"
"""The key under which Spark stores a table's schema in a Parquet file, with the metadata of the fields."""


def read_field_metadata(footer: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """Return the metadata that Spark has stored for each column; empty if another system wrote the file."""
    try:
        fields = json.loads(footer.get(SPARK_SCHEMA_KEY, b"{}")).get("fields", [])
        return {part["name"]: part["metadata"] for part in fields if isinstance(part.get("metadata"), dict)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # another system wrote the file
        return {}


# --- with Spark ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SparkReader:
    """Reads tables and DDL as a Spark session does.

    Attributes:
        spark: the session.
    """

    spark: SparkSession

    def read_table(self, text: str, *, is_path: bool) -> TableSchema | None:
        """Return the schema of a Parquet or Delta table, by its path or name.

        Raises:
            TableNotFoundError: no table exists at the path.
        """
        local = None if is_remote(text) else fetch_path(text)
        exists = local is not None and path_exists(local)
        if is_path or exists or re.fullmatch(r"\S*/\S*", text):
            return self._read_path(text, exists, exists and path_exists(fetch_path(text) / "_delta_log"))
        return self._read_named(text) if self._is_table(text) else None

    def read_ddl(self, text: str) -> Sequence[Field]:
        """Return the columns that DDL declares; if this package cannot parse it, Spark's parser does.

        Raises:
            ContractError: the text is not DDL.
        """
        try:
            return FileReader().read_ddl(text)
        except ContractError as error:
            failure = error
        try:
            table = self.spark.createDataFrame([], text).schema
        except Exception:  # an error of the parser: the first reason has the position
            message = failure.message.replace("a file", "a table", 1)
            raise ContractError(message, failure.findings) from None
        return [column.field for column in list_spark_columns(table)]

    def _read_path(self, path: str, exists: bool, is_delta: bool) -> TableSchema:
        forms = (["delta"] if is_delta else ["parquet"]) if exists else ["delta", "parquet"]
        for form in forms:
            try:
                frame = self.spark.read.format(form).load(path)
                table = frame.schema
                partitions = find_partitions(frame.inputFiles(), path) if form == "parquet" else ()
            except Exception as error:  # an error of Spark, whose class depends on the session
                reason = str(error).strip().partition("\n")[0]
                continue
            filled = self._read_filled(path) if form == "delta" else {}
            return replace(describe_spark_table(table, partitions, filled), declares_nulls=form == "delta")
        raise TableNotFoundError(f"{path}: cannot read a table ({' or '.join(forms)}): {reason}")

    def _is_table(self, text: str) -> bool:
        if not re.fullmatch(r"[^\s:,<>()]+", text):  # DDL has these characters
            return False
        try:
            return bool(self.spark.catalog.tableExists(text))
        except Exception:  # an error of the parser: the text is not a name
            return False

    def _read_named(self, name: str) -> TableSchema:
        try:
            rows = self.spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()
            provider = {row[0]: row[1] for row in rows}.get("Provider", "")
        except Exception:  # a temporary view has no provider
            provider = ""
        filled = self._read_filled(name) if str(provider).lower() == "delta" else {}
        table = describe_spark_table(self.spark.table(name).schema, (), filled)
        return replace(table, declares_nulls=str(provider).lower() == "delta")

    def _read_filled(self, target: str) -> dict[str, str]:
        from sparksig.tables.delta import read_delta

        existing = read_delta(self.spark, target)
        return {} if existing is None else {name: fills.how for name, fills in existing.filled.items()}


def describe_spark_table(
    table: T.StructType, partitions: Iterable[str] = (), filled: Mapping[str, str] = MappingProxyType({})
) -> TableSchema:
    """Return the schema of a table that Spark has read.

    Args:
        table: the columns of the table.
        partitions: columns whose types the table's directories do not store.
        filled: the columns that the table fills itself, and how.
    """
    metadata = {part.name: part.metadata or {} for part in table.fields}
    return TableSchema(tuple(list_spark_columns(table)), metadata, frozenset(partitions), filled)


def find_partitions(files: Sequence[str], target: str) -> tuple[str, ...]:
    """Return the partition columns of a Parquet table, from the names of its directories.

    Example:
        >>> find_partitions(["file:/d/k=v/t/day=2024-01-02/hour=3/part-0.parquet"], "/d/k=v/t")
        ('day', 'hour')
    """
    if not files:
        return ()
    file = unquote(files[0])
    path = re.sub(r"^[A-Za-z][\w+.-]*:(//[^/]*)?", "", target).rstrip("/")
    if file.startswith("file:"):
        path = os.path.abspath(path)
    if path.startswith("/"):
        file = file.partition(f"{path}/")[2] or file
    names: list[str] = []
    for directory in reversed(file.split("/")[:-1]):  # from the file upwards
        name, equals, _ = directory.partition("=")
        if not equals:
            break
        names.insert(0, unquote(name))
    return tuple(names)
