"""Schema against a Spark table: findings at plan time, and the casts that run in the JVM.

The verdict is the casting table's, by the types alone: no Spark job. Columns are cast here, so that
batches arrive in types that Arrow holds and the engine in the worker has only to verify, or widen, them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import source, to_spark
from sparksig.engine.absent import Absent
from sparksig.engine.features import misplaced_features
from sparksig.errors import Code, ContractError, Finding, UnsupportedError, step
from sparksig.lattice import widens
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.scoring.names import find_missing_columns
from sparksig.spark.names import Fold
from sparksig.spark.variants import is_variant
from sparksig.tables.columns import spark_columns
from sparksig.tables.contract import Contract
from sparksig.tables.types import match_columns
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe

__all__ = [
    "Bound",
    "as_json",
    "bind",
    "column",
    "guarded",
    "is_composite",
    "require_arrow",
    "spark_type",
    "travel_type",
]


def column(name: object) -> Column:
    """A column by its exact name, whatever characters are in it."""
    return F.col("`" + str(name).replace("`", "``") + "`")


def is_composite(spec: ColSpec | TensorSpec) -> bool:
    """Whether a column needs Arrow to travel: it is no scalar."""
    return isinstance(spec, TensorSpec) or not isinstance(spec.type, DataType)


def require_arrow(schema: Schema, has_arrow: bool, way: str) -> None:
    """See that what has no type before the query runs is of scalars, where Spark has no ``arrow_udf``.

    Raises:
        UnsupportedError: composite columns or tensors on Spark before 4.1; all of them.
    """
    beyond = [step(name) for name, spec in zip(schema.input_names(), schema) if is_composite(spec)]
    if beyond and not has_arrow:
        raise UnsupportedError(
            f"composite columns and tensors ({', '.join(beyond)}) go to a model on Spark 4.1 or newer, or by "
            f"sparksig.score(df, model), which knows the table: {way} does not go on this Spark"
        )


@dataclass(frozen=True)
class Bound:
    """The columns that a model is given, in the order in which they travel.

    Attributes:
        names: what they are called in the batch.
        values: the columns.
        specs: what each is declared as; None for the columns that make up an unnamed tensor.
        types: the Spark types in which they travel.
    """

    names: tuple[str, ...]
    values: tuple[Column, ...]
    specs: tuple[ColSpec | TensorSpec | None, ...]
    types: tuple[T.DataType, ...]


def bind(
    table: T.StructType,
    schema: Schema,
    columns: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    fold: Fold = str.casefold,
    absent: Absent = "omit",
) -> Bound:
    """The columns of a table that a model is given, checked whole.

    Named columns and tensors are found by their exact names (case sensitive), though Spark itself may not
    distinguish them; unnamed ones by the names of the model's features, if it knows them. Otherwise they are
    the chosen columns by position: all of the table, if none are chosen.

    Args:
        table: the table's schema.
        schema: the model's inputs.
        columns: the columns that a caller chose, for inputs without names.
        features: the names of the model's features; None if it knows none.
        fold: folds names as the session compares them.
        absent: "forbid" refuses a table that lacks an optional column.

    Raises:
        ContractError: columns missing, doubled, too many, too few, or of types that do not widen; every
            finding.
    """
    if schema.has_input_names() and columns is not None:
        raise ContractError("the model's columns have names: columns= chooses those of a model without names")
    contract = Contract(
        "model",
        "the model's input schema",
        schema,
        features=None if features is None else tuple(features),
        missing="forbid" if absent == "forbid" else "allow",
        extra="allow",
    )
    held = table
    findings: list[Finding] = []
    if columns is not None:
        findings += find_missing_columns(table.names, columns)
        held = T.StructType([table[name] for name in columns if name in table.names])
        findings += misplaced_features(columns, schema, features)
    known = spark_columns(held)
    if not findings:
        match = match_columns(contract, known, fold=fold, by_position=columns is not None)
        findings += match.findings
    if findings:
        raise ContractError.of("the table does not fit the model's input schema", findings)
    if match.row is not None:
        return _bind_rows(held, match.row)
    fields = {id(part): field for part, field in zip(known, held.fields)}
    present = [(spec, fields[id(part)]) for spec, part in match.pairs]
    sent = [_travelling(_value_of(field), field.dataType, spec) for spec, field in present]
    names = [
        field.name if schema.has_input_names() else str(index) for index, (_, field) in enumerate(present)
    ]
    return Bound(
        tuple(names),
        tuple(one for one, _ in sent),
        tuple(spec for spec, _ in present),
        tuple(one for _, one in sent),
    )


def _value_of(field: T.StructField) -> Column:
    """A column; nulls for one of the null type, which Spark may have read as another."""
    return F.lit(None) if isinstance(field.dataType, T.NullType) else column(field.name)


def _bind_rows(table: T.StructType, spec: ColSpec) -> Bound:
    """Bind a table's rows as the values of a model's only column, which has no name and is an object.

    So models with a type hint accept a table: one object a row.
    """
    assert isinstance(spec.type, Object)
    known = {prop.name for prop in spec.type.properties}
    held = T.StructType([field for field in table.fields if field.name in known])
    target = _target(held, spec.type)
    row = F.struct(*(column(name) for name in held.names))
    return Bound(("0",), (_converted(row, held, spec.type, target),), (spec,), (target,))


# --- travelling -------------------------------------------------------------------------------------------


def _travelling(
    values: Column, held: T.DataType, spec: ColSpec | TensorSpec | None
) -> tuple[Column, T.DataType]:
    """A column in the type in which it travels, and that type."""
    declared = spec.type if isinstance(spec, ColSpec) else AnyType()
    target = _target(held, declared)
    return _converted(values, held, declared, target), target


def _is_vector(dtype: T.DataType) -> bool:
    return type(dtype).__name__ == "VectorUDT"


def _target(held: T.DataType, declared: Type) -> T.DataType:
    """The type in which a column of one type travels as another: no instants, decimals or vectors in it."""
    if isinstance(declared, DataType):
        return _SPARK[declared]
    if _is_vector(held):
        return T.ArrayType(T.DoubleType())
    if isinstance(held, T.ArrayType):
        item = declared.dtype if isinstance(declared, (Array, SparkMLVector)) else AnyType()
        return T.ArrayType(_target(held.elementType, item))
    if isinstance(held, T.MapType):
        value = declared.value_type if isinstance(declared, Map) else AnyType()
        if isinstance(declared, Object):
            value = _common(declared)
        return T.MapType(_target(held.keyType, AnyType()), _target(held.valueType, value))
    if isinstance(held, T.StructType):
        if isinstance(declared, Object):
            known = {prop.name: prop.dtype for prop in declared.properties}
        else:
            value = declared.value_type if isinstance(declared, Map) else AnyType()
            known = dict.fromkeys(held.names, value)
        return T.StructType(
            [
                T.StructField(part.name, _target(part.dataType, known[part.name]))
                for part in held.fields
                if part.name in known
            ]
        )
    if isinstance(held, T.TimestampType):
        return T.TimestampNTZType()
    return held


def _common(declared: Object) -> Type:
    """The type of all properties, where they have one; Any where they differ."""
    types = {prop.dtype for prop in declared.properties}
    return types.pop() if len(types) == 1 else AnyType()


def _converted(values: Column, held: T.DataType, declared: Type, target: T.DataType) -> Column:
    """A column in its travelling type: by one cast wherever a cast does it."""
    if held.simpleString() == target.simpleString():  # whatever may be null in it
        return values
    if _is_castable(held, target):
        return values.cast(target)
    if _is_vector(held):
        from pyspark.ml.functions import vector_to_array

        return F.when(values.isNotNull(), vector_to_array(values))
    if isinstance(held, T.ArrayType) and isinstance(target, T.ArrayType):
        item = declared.dtype if isinstance(declared, (Array, SparkMLVector)) else AnyType()
        element, wanted = held.elementType, target.elementType
        return F.transform(values, lambda one: _converted(one, element, item, wanted))
    if isinstance(held, T.MapType) and isinstance(target, T.MapType):
        value = declared.value_type if isinstance(declared, Map) else AnyType()
        inner, wanted = held.valueType, target.valueType
        return F.transform_values(values, lambda _, one: _converted(one, inner, value, wanted))
    assert isinstance(held, T.StructType)
    assert isinstance(target, T.StructType)
    known = {prop.name: prop.dtype for prop in declared.properties} if isinstance(declared, Object) else {}
    value = declared.value_type if isinstance(declared, Map) else AnyType()
    kept = {part.name: part.dataType for part in held.fields}
    parts = [
        _converted(
            values.getField(part.name), kept[part.name], known.get(part.name, value), part.dataType
        ).alias(part.name)
        for part in target.fields
    ]
    return F.when(values.isNotNull(), F.struct(*parts))


def _is_castable(held: T.DataType, target: T.DataType) -> bool:
    """Whether one CAST does it: nothing is dropped, and nothing is a vector or a variant."""
    if _is_vector(held):
        return False
    if type(held).__name__ == "VariantType":
        return False
    if isinstance(held, T.ArrayType) and isinstance(target, T.ArrayType):
        return _is_castable(held.elementType, target.elementType)
    if isinstance(held, T.MapType) and isinstance(target, T.MapType):
        return _is_castable(held.keyType, target.keyType) and _is_castable(held.valueType, target.valueType)
    if isinstance(held, T.StructType) and isinstance(target, T.StructType):
        return held.names == target.names and all(
            _is_castable(one.dataType, other.dataType) for one, other in zip(held.fields, target.fields)
        )
    return not isinstance(held, (T.ArrayType, T.MapType, T.StructType))


def as_json(values: Column) -> Column:
    """A composite column as JSON, in which it travels where Spark has no ``arrow_udf``; exact to the bit."""
    options = {"timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS", "ignoreNullFields": "false"}
    return F.to_json(values, options)


# --- columns whose type is not known yet, before Spark 4.1 ------------------------------------------------


def cast(values: Column, spec: ColSpec) -> Column:
    """The column in the type in which it travels; Spark drops the cast where it is that type already."""
    assert isinstance(spec.type, DataType)
    return values.cast(_SPARK[spec.type])


def travel_type(spec: ColSpec) -> T.DataType:
    """The type in which a scalar column travels."""
    assert isinstance(spec.type, DataType)
    return _SPARK[spec.type]


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


# --- Arrow ----------------------------------------------------------------------------------------------

_SPARK: dict[DataType, T.DataType] = {
    **{dtype: to_spark(dtype) for dtype in DataType},
    # the wall time of the session's zone, whatever the zone of a worker
    DataType.datetime: T.TimestampNTZType(),
}
"""The Spark type in which each scalar type travels to Python."""


def spark_type(arrow: pa.DataType) -> T.DataType:
    """The Spark type in which predictions of an Arrow type come back.

    Raises:
        UnsupportedError: Spark has no such type.
    """
    if pa.types.is_list(arrow):
        return T.ArrayType(spark_type(arrow.value_type))
    if pa.types.is_map(arrow):
        return T.MapType(spark_type(arrow.key_type), spark_type(arrow.item_type))
    if is_variant(arrow):
        if not hasattr(F, "arrow_udf"):
            raise UnsupportedError("predictions of Any come back as variants, from Spark 4.1 on")
        return T.VariantType()
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
        pa.uint8(): T.ShortType(),
        pa.uint16(): T.IntegerType(),
        pa.uint32(): T.LongType(),
        pa.float16(): T.FloatType(),
        pa.float32(): T.FloatType(),
        pa.float64(): T.DoubleType(),
        pa.string(): T.StringType(),
        pa.binary(): T.BinaryType(),
    }
    if arrow not in plain:
        raise UnsupportedError(f"predictions of type {arrow} cannot be returned to Spark")
    return plain[arrow]
