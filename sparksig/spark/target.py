"""What a table is written to: what is there, and which types it takes without losing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from sparksig.convert.spark import source
from sparksig.errors import ContractError, MissingDependencyError, OutputRefusedError, below, step
from sparksig.lattice import Scalar, upper_bounds, widens
from sparksig.types import DataType

__all__ = [
    "PARQUET",
    "ColumnPlan",
    "Existing",
    "against",
    "can_widen",
    "delta_name",
    "existing",
    "holds",
    "is_path",
    "same",
]


@dataclass(frozen=True)
class ColumnPlan:
    """What becomes of one column, or of one field inside it.

    Attributes:
        path: of the column or field.
        verdict: "ok", "widened" (cast without loss), "evolution" (the target's schema has to change), or
            "refused".
        found: the type in the table that is written; empty if it has no such column.
        target: the type in the target; empty if it has no such column.
        reason: why, where it is not "ok".
    """

    path: str
    verdict: str
    found: str
    target: str
    reason: str = ""


@dataclass(frozen=True)
class Existing:
    """A table that is there.

    Attributes:
        schema: its columns.
        partitions: those that it is partitioned by.
        properties: of the table.
    """

    schema: T.StructType
    partitions: tuple[str, ...]
    properties: Mapping[str, str]


PARQUET = "parquet"
"""The property that marks a table of Parquet files."""


def is_path(target: str) -> bool:
    """Whether a target is a path, and no name of a table."""
    return "/" in target or "\\" in target


def delta_name(target: str) -> str:
    """What SQL calls a Delta table."""
    return f"delta.`{target.replace('`', '``')}`" if is_path(target) else target


def existing(spark: SparkSession, target: str, format: str) -> Existing | None:
    """The table at a target; None if there is nothing.

    Raises:
        OutputRefusedError: there is something else.
        ContractError: it is a table of another format.
        MissingDependencyError: the session knows no Delta tables.
    """
    if format == "delta":
        found = _existing_delta(spark, target)
        if found is None and is_path(target) and _has_files(spark, target):
            raise OutputRefusedError(f"{target} holds files that are no Delta table; nothing was written")
        return found
    if _can_list(spark, f"{target.rstrip('/')}/_delta_log"):
        raise OutputRefusedError(f"{target} is a Delta table: format='delta'; nothing was written")
    try:
        frame = spark.read.format("parquet").load(target)
        schema, files = frame.schema, frame.inputFiles()  # of Spark Connect nothing is read before
    except Exception as error:  # Spark's, of a class that depends on the session
        told = str(error)
        if "PATH_NOT_FOUND" in told:
            return None
        if "UNABLE_TO_INFER_SCHEMA" in told and not _has_files(spark, target):
            return None
        reason = told.strip().partition("\n")[0]
        raise OutputRefusedError(
            f"{target} holds something that is no Parquet table ({reason}); nothing was written"
        ) from None
    return Existing(schema, _partitions_of(files, target), {PARQUET: "true"})


def _can_list(spark: SparkSession, path: str) -> bool:
    try:
        return bool(spark.read.format("text").load(path).schema)
    except Exception:  # Spark's: there is no such place
        return False


def _has_files(spark: SparkSession, path: str) -> bool:
    """Whether there are files at a path, at any depth."""
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        return bool(reader.load(path).select("path").limit(1).collect())
    except Exception as error:  # Spark's, of a class that depends on the session
        if "PATH_NOT_FOUND" in str(error):
            return False
        raise


def _partitions_of(files: Sequence[str], target: str) -> tuple[str, ...]:
    """The partition columns of a Parquet table, as the names of its directories say."""
    if not files:
        return ()
    place = unquote(files[0]).split(target.rstrip("/"), 1)[-1]
    return tuple(re.findall(r"/([^/=]+)=", place))


def _existing_delta(spark: SparkSession, target: str) -> Existing | None:
    name = delta_name(target)
    try:
        [row] = spark.sql(f"DESCRIBE DETAIL {name}").collect()
    except Exception as error:  # Spark's, of a class that depends on the session
        told = str(error)
        if any(sign in told for sign in ("DELTA_MISSING_DELTA_TABLE", "NOT_FOUND", "not a Delta table")):
            return None
        if any(sign in told for sign in ("PARSE_SYNTAX_ERROR", "DATA_SOURCE", "UNSUPPORTED_DATASOURCE")):
            raise MissingDependencyError(
                "this session knows no Delta tables: start it with delta-spark's jars (spark.jars.packages) "
                "and spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension"
            ) from None
        raise
    if row["format"] != "delta":
        raise ContractError(f"{target} is a table of the format {row['format']}, not delta")
    frame = spark.read.format("delta").load(target) if is_path(target) else spark.table(target)
    return Existing(frame.schema, tuple(row["partitionColumns"] or ()), dict(row["properties"] or {}))


# --- types ----------------------------------------------------------------------------------------------


def against(
    given: T.StructType, there: T.StructType, format: str, properties: Mapping[str, str], skip: Sequence[str]
) -> list[ColumnPlan]:
    """The columns of a table against those of the target."""
    target = T.StructType([field for field in there.fields if field.name not in skip])
    widening = str(properties.get("delta.enableTypeWidening", "false")).lower() == "true"
    return _fields(given, target, "", _Rules(format, widening), top=True)


@dataclass(frozen=True)
class _Rules:
    format: str
    widening: bool  # whether the table lets its types be widened


def _fields(
    given: T.StructType, there: T.StructType, path: str, rules: _Rules, *, top: bool = False
) -> list[ColumnPlan]:
    plans: list[ColumnPlan] = []
    known = {field.name: field for field in given.fields}
    folded = {field.name.casefold(): field.name for field in given.fields}
    for field in there.fields:
        where, wanted = below(path, field.name), field.dataType.simpleString()
        if field.name in known:
            plans += _types(known[field.name].dataType, field.dataType, where, rules, told=top)
        elif field.name.casefold() in folded:
            found = folded[field.name.casefold()]
            reason = f"the target calls it {step(field.name)}: names are the same to the letter here"
            plans.append(ColumnPlan(below(path, found), "refused", found, field.name, reason))
        elif field.nullable:
            plans.append(ColumnPlan(where, "ok", "", wanted, "null in every row"))
        else:
            plans.append(ColumnPlan(where, "refused", "", wanted, "the target requires it"))
    taken = {field.name.casefold() for field in there.fields}
    for field in given.fields:
        if field.name.casefold() not in taken:
            where, held = below(path, field.name), field.dataType.simpleString()
            if rules.format == "delta":
                plans.append(ColumnPlan(where, "evolution", held, "", "a new column: evolve=True adds it"))
            else:
                reason = "readers of Parquet would not see it: write another table"
                plans.append(ColumnPlan(where, "refused", held, "", reason))
    return plans


def _types(given: T.DataType, there: T.DataType, path: str, rules: _Rules, *, told: bool) -> list[ColumnPlan]:
    """One type against the target's; of nested ones what is not just the same, unless ``told``."""
    held, wanted = given.simpleString(), there.simpleString()
    if same(given, there):
        return [ColumnPlan(path, "ok", held, wanted)] if told else []
    if isinstance(given, T.StructType) and isinstance(there, T.StructType):
        inner = _fields(given, there, path, rules)
    elif isinstance(given, T.ArrayType) and isinstance(there, T.ArrayType):
        inner = _types(given.elementType, there.elementType, f"{path}[]", rules, told=False)
    elif isinstance(given, T.MapType) and isinstance(there, T.MapType):
        inner = []
        if not same(given.keyType, there.keyType):
            keys = given.keyType.simpleString(), there.keyType.simpleString()
            inner.append(ColumnPlan(f"{path}[]", "refused", *keys, "keys of maps are not converted"))
        inner += _types(given.valueType, there.valueType, f"{path}[]", rules, told=False)
    else:
        return [_scalar(given, there, path, rules)]
    verdicts = {one.verdict for one in inner}
    worst = next((one for one in ("refused", "evolution", "widened") if one in verdicts), "ok")
    return ([ColumnPlan(path, worst, held, wanted)] if told and worst in ("ok", "widened") else []) + inner


def same(one: T.DataType, other: T.DataType) -> bool:
    """Whether two types are one, whatever may be null in them."""
    return one.simpleString() == other.simpleString()


def _scalar(given: T.DataType, there: T.DataType, path: str, rules: _Rules) -> ColumnPlan:
    held, wanted = given.simpleString(), there.simpleString()
    if holds(there, given):
        return ColumnPlan(path, "widened", held, wanted)
    if rules.format == "delta" and can_widen(there, given):
        if rules.widening:
            return ColumnPlan(path, "evolution", held, wanted, "the target is widened: evolve=True does it")
        reason = "the target would have to be widened: it needs the property delta.enableTypeWidening=true"
        return ColumnPlan(path, "refused", held, wanted, reason)
    return ColumnPlan(path, "refused", held, wanted, "the target's type does not hold it: cast on purpose")


_DIGITS = {"ByteType": 3, "ShortType": 5, "IntegerType": 10, "LongType": 19}


def holds(target: T.DataType, given: T.DataType) -> bool:
    """Whether a Spark type holds all values of another, exactly, and means the same.

    Example:
        >>> holds(T.LongType(), T.IntegerType()), holds(T.DoubleType(), T.LongType())
        (True, False)
    """
    if isinstance(target, T.DecimalType):
        whole = target.precision - target.scale
        if isinstance(given, T.DecimalType):
            return target.scale >= given.scale and whole >= given.precision - given.scale
        return whole >= _DIGITS.get(type(given).__name__, 99)
    if isinstance(given, T.DecimalType):
        declared = {"IntegerType": DataType.integer, "LongType": DataType.long, "DoubleType": DataType.double}
        wanted = declared.get(type(target).__name__)
        return wanted is not None and widens(source(given), wanted)
    one, other = source(given), source(target)
    if not isinstance(one, Scalar) or not isinstance(other, Scalar):
        return False
    if {one.name, other.name} & {"timestamp_tz"} or "null" in (one.name, other.name):
        return one.name == other.name or one.name == "null"
    return other.name in upper_bounds(one.name)


_WIDENING: dict[str, tuple[str, ...]] = {
    "ByteType": ("ShortType", "IntegerType", "LongType"),
    "ShortType": ("IntegerType", "LongType"),
    "IntegerType": ("LongType",),
    "FloatType": ("DoubleType",),
    "DateType": ("TimestampNTZType",),
}
"""To which types Delta widens a column while it is written, decimals aside (docs.delta.io, type widening)."""


def can_widen(there: T.DataType, given: T.DataType) -> bool:
    """Whether Delta can give a column a wider type without writing its files anew."""
    if isinstance(given, T.DecimalType):
        return isinstance(there, T.DecimalType) and holds(given, there)
    return type(given).__name__ in _WIDENING.get(type(there).__name__, ())
