"""Delta tables as Spark describes them, with the columns that they fill themselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparksig.errors import ContractError, MissingDependencyError
from sparksig.spark.diagnosis import NO_DELTA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql import types as T

__all__ = ["NO_DELTA", "Existing", "Filled", "delta_name", "is_path", "read_delta"]


@dataclass(frozen=True)
class Filled:
    """How a target fills a column that it is not given.

    Attributes:
        how: "default", "generated", "identity", or "always": an identity that takes no values from outside.
        expression: of a default or a generated column, in SQL.
    """

    how: str
    expression: str = ""


@dataclass(frozen=True)
class Existing:
    """A table that is there.

    Attributes:
        schema: its columns.
        partitions: those that it is partitioned by.
        properties: of the table.
        filled: the columns that it fills itself where they are not given.
    """

    schema: T.StructType
    partitions: tuple[str, ...]
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    filled: Mapping[str, Filled] = dataclasses.field(default_factory=dict)


def is_path(target: str) -> bool:
    """Whether a target is a path, and no name of a table."""
    return "/" in target or "\\" in target


def delta_name(target: str) -> str:
    """What SQL calls a Delta table."""
    return f"delta.`{target.replace('`', '``')}`" if is_path(target) else target


def read_delta(spark: SparkSession, target: str) -> Existing | None:
    """The Delta table at a target; None if there is none.

    Raises:
        ContractError: it is a table of another format, a view, or no name at all.
        MissingDependencyError: the session knows no Delta tables.
    """
    try:
        row, *others = spark.sql(f"DESCRIBE DETAIL {delta_name(target)}").collect()
    except Exception as error:  # Spark's, of a class that depends on the session
        told = str(error)
        if "PARSE_SYNTAX_ERROR" in told or "EXPECT_TABLE_NOT_VIEW" in told:
            raise ContractError(f"{target!r} is neither the name of a table nor a path") from None
        if _is_unknown(told):
            raise MissingDependencyError(NO_DELTA) from None
        if "DELTA_NO_DELTA_TABLE" in told or "NOT_FOUND" in told or "not a Delta table" in told:
            return None
        raise
    detail = row.asDict()
    if others or "format" not in detail:  # it described the column of a table that is called detail
        raise MissingDependencyError(NO_DELTA)
    if detail["format"] != "delta":
        raise ContractError(f"{target} is a table of the format {detail['format']}, not delta")
    frame = spark.read.format("delta").load(target) if is_path(target) else spark.table(target)
    features = set(detail.get("tableFeatures") or ())
    told_by_log = features & {"generatedColumns", "identityColumns"}
    whole = _logged_schema(spark, detail["location"]) if told_by_log else frame.schema
    return Existing(
        frame.schema,
        tuple(detail["partitionColumns"] or ()),
        dict(detail["properties"] or {}),
        _filled(whole, defaults="allowColumnDefaults" in features),
    )


def _is_unknown(told: str) -> bool:
    """Whether Spark took DESCRIBE DETAIL for the description of a column, as it does without Delta."""
    signs = ("`DETAIL`", "COLUMN_NOT_FOUND", "DATA_SOURCE_NOT_FOUND", "UNSUPPORTED_DATASOURCE")
    return any(sign in told for sign in signs)


def _logged_schema(spark: SparkSession, location: str) -> T.StructType:
    """The schema as the table's log has it: Spark is not shown which columns are generated.

    As Delta's protocol says: the newest ``metaData`` of the commits and checkpoints, whose names have the
    version that they end at.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    log, shape = f"{location.rstrip('/')}/_delta_log", "metaData struct<schemaString: string>"
    reader = spark.read.schema(shape)
    commits = reader.option("pathGlobFilter", "*.json").json(log)
    checkpoints = reader.option("pathGlobFilter", "*.checkpoint*.parquet").parquet(log)
    version = F.regexp_extract(F.input_file_name(), r"(\d{20})(?!.*\d{20})[^/]*$", 1)
    told = [
        one.where("metaData.schemaString is not null").select(
            "metaData.schemaString", version.alias("version")
        )
        for one in (commits, checkpoints)
    ]
    [row] = told[0].union(told[1]).select(F.max_by("schemaString", "version")).collect()
    return T.StructType.fromJson(json.loads(row[0]))


def _filled(schema: T.StructType, *, defaults: bool) -> dict[str, Filled]:
    """The columns that Delta fills where they are not given."""
    filled = {}
    for field in schema.fields:
        told: Mapping[str, Any] = field.metadata or {}
        if "delta.generationExpression" in told:
            filled[field.name] = Filled("generated", str(told["delta.generationExpression"]))
        elif "delta.identity.start" in told:
            takes = bool(told.get("delta.identity.allowExplicitInsert"))
            filled[field.name] = Filled("identity" if takes else "always")
        elif defaults and "CURRENT_DEFAULT" in told:
            filled[field.name] = Filled("default", str(told["CURRENT_DEFAULT"]))
    return filled
