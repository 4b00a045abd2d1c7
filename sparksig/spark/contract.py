"""Schema against a Spark table: findings at plan time, and the casts that run in the JVM.

The verdict is the casting table's, by the types alone: no Spark job. Columns are cast here, so that
batches arrive in their final types and the engine in the worker has only to verify them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import source
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, nearest, step
from sparksig.lattice import mismatches, widens
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, describe

__all__ = ["JVM_TYPE", "column", "guarded", "present", "spark_type"]

JVM_TYPE: dict[DataType, str] = {
    DataType.boolean: "boolean",
    DataType.integer: "int",
    DataType.long: "bigint",
    DataType.float: "float",
    DataType.double: "double",
    DataType.string: "string",
    DataType.binary: "binary",
    # the wall time of the session's zone, whatever the zone of a worker
    DataType.datetime: "timestamp_ntz",
}
"""The Spark type in which each scalar type travels to Python."""


def column(name: object) -> Column:
    """A column by its exact name, whatever characters are in it."""
    return F.col("`" + str(name).replace("`", "``") + "`")


def require_scalars(schema: Schema) -> None:
    """See that a model's inputs are what Spark scoring takes so far.

    Raises:
        UnsupportedError: tensors, composite or unnamed columns; all of them.
    """
    beyond = [
        f"{step(name)}: {spec!r}"
        for name, spec in zip(schema.input_names(), schema)
        if isinstance(spec, TensorSpec) or not isinstance(spec.type, DataType)
    ]
    if not schema.has_input_names():
        beyond.append("columns without names")
    if beyond:
        raise UnsupportedError(
            f"Spark scoring takes named columns of scalar types so far; not yet: {', '.join(beyond)}"
        )


def present(table: T.StructType, schema: Schema) -> list[ColSpec]:
    """The declared columns that a table has, in the schema's order, after checking all of them.

    Names are matched exactly (case sensitive), though Spark itself would not distinguish them.

    Raises:
        ContractError: columns missing, doubled, or of types that do not widen; every finding.
        UnsupportedError: as :func:`require_scalars`.
    """
    require_scalars(schema)
    findings: list[Finding] = []
    held = [spec for spec in schema if _is_there(spec, table, findings)]
    if findings:
        raise ContractError.of("the table does not fit the model's input schema", findings)
    return held


def _is_there(spec: ColSpec, table: T.StructType, findings: list[Finding]) -> bool:
    name = str(spec.name)
    fields = [field for field in table.fields if field.name == name]
    twins = [field.name for field in table.fields if field.name.casefold() == name.casefold()]
    if fields and len(twins) > 1:
        hint = "Spark does not distinguish such names: drop or rename one"
        found = ", ".join(map(step, twins))
        findings.append(Finding(Code.DUPLICATE_NAME, step(name), "one column of that name", found, hint))
    elif fields:
        findings += mismatches(source(fields[0].dataType), spec.type, step(name), spec.required)
    elif spec.required:
        hint = nearest(name, table.names)
        findings.append(Finding(Code.MISSING_COLUMN, step(name), describe(spec.type), "no such column", hint))
    return bool(fields)


def cast(values: Column, spec: ColSpec) -> Column:
    """The column in the type in which it travels; Spark drops the cast where it is that type already."""
    assert isinstance(spec.type, DataType)  # require_scalars has seen to it
    return values.cast(JVM_TYPE[spec.type])


# --- columns whose type is not known yet, before Spark 4.1 ------------------------------------------------


def guarded(columns: Sequence[Column], specs: Sequence[ColSpec]) -> list[Column]:
    """The columns, cast, behind a check of their types.

    A column function sees no table, and pandas does not keep its types, so the casting table is asked by
    ``typeof``: if any column is of a type that does not widen, the query fails with all findings. A column
    that does not fit is null before it is cast, so that no cast is tried on it.
    """
    fits = [_fits(values, spec) for values, spec in zip(columns, specs)]
    problems = F.concat_ws("\n", *(_problem(*part) for part in zip(columns, specs, fits)))
    text = F.concat(F.lit("the columns do not fit the model's input schema:\n"), problems)
    sent = [cast(F.when(ok, values), spec) for values, spec, ok in zip(columns, specs, fits)]
    return [F.when(problems == "", sent[0]).otherwise(F.raise_error(text)), *sent[1:]]


def _fits(values: Column, spec: ColSpec) -> Column:
    assert isinstance(spec.type, DataType)
    return F.typeof(values).isin(sorted(_accepted(spec.type, spec.required)))


def _problem(values: Column, spec: ColSpec, fits: Column) -> Column:
    said = F.lit(f"  - {step(spec.name)}: expected {describe(spec.type)}, found ")
    return F.when(fits, F.lit(None)).otherwise(
        F.concat(said, F.typeof(values), F.lit(f" [{Code.TYPE_MISMATCH}]"))
    )


@lru_cache
def _accepted(target: DataType, required: bool) -> frozenset[str]:
    """Spark's names of all types that widen to ``target``: the casting table, asked for each."""
    known: list[T.DataType] = [
        T.NullType(), T.BooleanType(), T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType(),
        T.FloatType(), T.DoubleType(), T.StringType(), T.BinaryType(), T.DateType(), T.TimestampType(),
        T.TimestampNTZType(),
    ]  # fmt: skip
    known += [T.DecimalType(precision, scale) for precision in range(1, 39) for scale in range(precision + 1)]
    return frozenset(dtype.simpleString() for dtype in known if widens(source(dtype), target, required))


# --- results ------------------------------------------------------------------------------------------


def spark_type(arrow: pa.DataType) -> T.DataType:
    """The Spark type in which predictions of an Arrow type come back.

    Raises:
        UnsupportedError: Spark has no such type, or sparksig does not return it yet.
    """
    if pa.types.is_list(arrow):
        return T.ArrayType(spark_type(arrow.value_type))
    if pa.types.is_struct(arrow):
        return T.StructType([T.StructField(field.name, spark_type(field.type)) for field in arrow])
    if pa.types.is_timestamp(arrow):
        return T.TimestampType()  # the wall time placed in the session's zone
    plain: dict[pa.DataType, T.DataType] = {
        pa.bool_(): T.BooleanType(),
        pa.int8(): T.ByteType(),
        pa.int16(): T.ShortType(),
        pa.int32(): T.IntegerType(),
        pa.int64(): T.LongType(),
        pa.float32(): T.FloatType(),
        pa.float64(): T.DoubleType(),
        pa.string(): T.StringType(),
        pa.binary(): T.BinaryType(),
    }
    if arrow not in plain:
        raise UnsupportedError(f"predictions of type {arrow} cannot be returned to Spark yet")
    return plain[arrow]
