"""Descriptions of Delta tables, from Spark, with the columns that the tables fill themselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparksig.errors import ContractError, MissingDependencyError
from sparksig.spark.diagnosis import NO_DELTA
from sparksig.spark.quiet import mute_query_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql import types as T


@dataclass(frozen=True)
class Filled:
    """The way in which a target fills a column that a write lacks.

    Attributes:
        how: "default", "generated", "identity", or "always": an identity that accepts no values.
        expression: the SQL expression of a default or a generated column.
    """

    how: str
    expression: str = ""


@dataclass(frozen=True)
class Existing:
    """An existing table.

    Attributes:
        schema: its columns.
        partitions: the columns that it is partitioned by.
        properties: the properties of the table.
        filled: the columns that it fills if a write lacks them.
    """

    schema: T.StructType
    partitions: tuple[str, ...]
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    filled: Mapping[str, Filled] = dataclasses.field(default_factory=dict)


def is_path(target: str) -> bool:
    """Return whether a target is a path, not the name of a table."""
    return "/" in target or "\\" in target


def name_delta_table(target: str) -> str:
    """Return the name of a Delta table in SQL."""
    return f"delta.`{target.replace('`', '``')}`" if is_path(target) else target


def read_delta(spark: SparkSession, target: str) -> Existing | None:
    """Read the description of a Delta table; None if there is no table.

    Raises:
        ContractError: the target is a table of another format, a view, or neither a name nor a path.
        MissingDependencyError: the session has no Delta extension.
    """
    try:
        with mute_query_errors():
            row, *further = spark.sql(f"DESCRIBE DETAIL {name_delta_table(target)}").collect()
    except Exception as error:  # an error of Spark, whose class depends on the session
        message = str(error)
        if "PARSE_SYNTAX_ERROR" in message or "EXPECT_TABLE_NOT_VIEW" in message:
            raise ContractError(f"{target!r} is neither the name of a table nor a path") from None
        if any(sign in message for sign in _NO_DELTA):
            raise MissingDependencyError(NO_DELTA) from None
        if any(sign in message for sign in _NO_TABLE):
            return None
        raise
    detail = row.asDict()
    if further or "format" not in detail:  # Spark has described the column of a table with the name detail
        raise MissingDependencyError(NO_DELTA)
    if detail["format"] != "delta":
        raise ContractError(f"{target}: expected a Delta table, got the format {detail['format']}")
    frame = spark.read.format("delta").load(target) if is_path(target) else spark.table(target)
    features = set(detail.get("tableFeatures") or ())
    is_logged = features & {"generatedColumns", "identityColumns"}
    schema = _read_logged_schema(spark, detail["location"]) if is_logged else frame.schema
    return Existing(
        frame.schema,
        tuple(detail["partitionColumns"] or ()),
        dict(detail["properties"] or {}),
        _find_filled(schema, defaults="allowColumnDefaults" in features),
    )


_NO_DELTA = (
    "`DETAIL`", "found DETAIL", "COLUMN_NOT_FOUND", "DATA_SOURCE_NOT_FOUND", "UNSUPPORTED_DATASOURCE",
)  # fmt: skip
"""Parts of errors without Delta, where Spark looks for a column with the name DETAIL."""

_NO_TABLE = ("DELTA_MISSING_DELTA_TABLE", "NOT_FOUND", "not a Delta table")


def _read_logged_schema(spark: SparkSession, location: str) -> T.StructType:
    """Read the schema from the table's log, because Spark's schema hides generated columns.

    By Delta's protocol, it is the newest ``metaData`` of the commits and checkpoints, whose names contain
    their version.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    log, shape = f"{location.rstrip('/')}/_delta_log", "metaData struct<schemaString: string>"
    reader = spark.read.schema(shape)
    commits = reader.option("pathGlobFilter", "*.json").json(log)
    checkpoints = reader.option("pathGlobFilter", "*.checkpoint*.parquet").parquet(log)
    version = F.regexp_extract(F.input_file_name(), r"(\d{20})(?!.*\d{20})[^/]*$", 1)
    schemas = [
        entries.where("metaData.schemaString is not null").select(
            "metaData.schemaString", version.alias("version")
        )
        for entries in (commits, checkpoints)
    ]
    [row] = schemas[0].union(schemas[1]).select(F.max_by("schemaString", "version")).collect()
    return T.StructType.fromJson(json.loads(row[0]))


def _find_filled(schema: T.StructType, *, defaults: bool) -> dict[str, Filled]:
    """Return the columns that Delta fills."""
    filled = {}
    for field in schema.fields:
        metadata: Mapping[str, Any] = field.metadata or {}
        if "delta.generationExpression" in metadata:
            filled[field.name] = Filled("generated", str(metadata["delta.generationExpression"]))
        elif "delta.identity.start" in metadata:
            accepts_values = bool(metadata.get("delta.identity.allowExplicitInsert"))
            filled[field.name] = Filled("identity" if accepts_values else "always")
        elif defaults and "CURRENT_DEFAULT" in metadata:
            filled[field.name] = Filled("default", str(metadata["CURRENT_DEFAULT"]))
    return filled
