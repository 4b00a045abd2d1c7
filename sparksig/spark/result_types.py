"""The types of predictions that a caller declares with ``result_type``."""

from __future__ import annotations

import re

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from sparksig.convert.spark import from_spark, walk_spark
from sparksig.errors import ContractError, SparksigError, name_type
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.result_types import remove_zones
from sparksig.spark.arrow_types import to_arrow_type


def read_result_type(session: SparkSession, result_type: T.DataType | str) -> T.DataType:
    """Return a DataType unchanged, or parse DDL with Spark, without a job.

    Raises:
        ContractError: the text is not DDL.
    """
    if isinstance(result_type, T.DataType):
        return result_type
    if not isinstance(result_type, str):
        raise ContractError(f"result_type: expected a DataType or DDL, got {name_type(result_type)}")
    try:
        schema = session.createDataFrame([], result_type).schema
    except Exception as error:  # an error of the parser, whose class depends on the version of Spark
        reason = str(error).strip().partition("\n")[0]
        raise ContractError(f"result_type {result_type!r} is not a Spark type: {reason}") from None
    is_single = len(schema) == 1 and schema[0].name == "value"
    if is_single and not re.match(r"\s*(struct\s*<)?\s*`?value`?[\s:]", result_type):
        return schema[0].dataType
    return schema


def build_outputs(returned: T.DataType) -> Schema:
    """Build the outputs that a model must return for predictions of a Spark type.

    Raises:
        ContractError: no signature has the type.
    """
    try:
        outputs = from_spark(returned)
    except SparksigError as error:
        raise ContractError(f"result_type {returned.simpleString()} has no signature: {error}") from None
    if isinstance(outputs, Schema):
        return Schema(
            [ColSpec(spec.type, spec.name, required=False) for spec in outputs if isinstance(spec, ColSpec)]
        )
    return Schema([ColSpec(outputs, "prediction", required=False)])


def to_arrow_result(returned: T.DataType) -> pa.DataType:
    """Return the Arrow type of predictions of a Spark type, before their local times get a time zone.

    Raises:
        UnsupportedError: predictions cannot have the type.
    """
    return remove_zones(to_arrow_type(returned))


def has_timestamps(dtype: T.DataType) -> bool:
    """Return whether a Spark type is, or contains, a timestamp with a time zone."""
    return any(isinstance(part, T.TimestampType) for _, part in walk_spark(dtype))
