"""The binding of a Spark table's columns to a model's inputs, with the casts that run in the JVM.

The types are judged by the casting table, without a Spark job. Columns are cast to transfer types that Arrow
holds, so that the engine in the Python worker only verifies or widens them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.spark import to_source, to_spark
from sparksig.convert.variant import is_variant
from sparksig.engine.absent import Absent
from sparksig.errors import Code, ContractError, UnsupportedError, quote
from sparksig.lattice import widens
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.scoring.names import judge_chosen_columns
from sparksig.scoring.results import WIDER_TYPES
from sparksig.spark.names import Fold
from sparksig.tables.columns import list_spark_columns
from sparksig.tables.contract import build_model_contract
from sparksig.tables.sql import name_column, quote_name
from sparksig.tables.types import match_columns
from sparksig.types import AnyType, Array, DataType, Map, Object, Type, describe

HAS_ARROW = hasattr(F, "arrow_udf")
"""Whether Spark transfers columns as Arrow arrays."""


def column(name: object) -> Column:
    """Return a column by its exact name, with any characters in it."""
    return F.col(quote_name(str(name)))


def is_composite(spec: ColSpec | TensorSpec) -> bool:
    """Return whether a column is transferred by Arrow alone, because it is not a scalar."""
    return isinstance(spec, TensorSpec) or not isinstance(spec.type, DataType)


def require_arrow(schema: Schema) -> None:
    """Require ``arrow_udf`` if a column function has composite columns.

    Raises:
        UnsupportedError: composite columns or tensors on Spark before 4.1.
    """
    composites = [quote(name) for name, spec in zip(schema.input_names(), schema) if is_composite(spec)]
    if composites and not HAS_ARROW:
        raise UnsupportedError(
            "Spark before 4.1 cannot pass composite columns and tensors to a column function: "
            f"{', '.join(composites)}. Use sparksig.score(df, model) instead"
        )


@dataclass(frozen=True)
class Bound:
    """The columns that a model receives, in the order of their transfer.

    Attributes:
        names: their names in the batch.
        values: the columns; one struct of them, if the columns are packed.
        specs: their declarations; None for the columns of an unnamed tensor.
        types: their transfer types.
        is_packed: whether the columns are transferred in one struct.
    """

    names: tuple[str, ...]
    values: tuple[Column, ...]
    specs: tuple[ColSpec | TensorSpec | None, ...]
    types: tuple[T.DataType, ...]
    is_packed: bool = False


def bind(
    table: T.StructType,
    schema: Schema,
    columns: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    fold: Fold = str.casefold,
    absent: Absent = "omit",
) -> Bound:
    """Bind the columns of a table to a model's inputs, and check all of them.

    Named columns and tensors are found by their exact names (case sensitive), although Spark may not
    distinguish names by case. Unnamed columns are found by the names of the model's features, if it knows
    them; otherwise they are ``columns`` by position, or all columns of the table.

    Args:
        table: the table's schema.
        schema: the model's inputs.
        columns: the columns that a caller chose, for inputs without names.
        features: the names of the model's features; None if it knows none.
        fold: folds names as the session compares them.
        absent: "forbid" refuses a table that lacks an optional column.

    Raises:
        ContractError: columns are missing, duplicate, too many, too few, or of types that do not widen.
    """
    findings = judge_chosen_columns(table.names, columns, schema, features)
    missing = "forbid" if absent == "forbid" else "allow"
    contract = build_model_contract(schema, "the model's input schema", features, missing=missing)
    if columns is not None:
        table = T.StructType([table[name] for name in columns if name in table.names])
    table_columns = list_spark_columns(table)
    if not findings:
        match = match_columns(contract, table_columns, fold=fold, by_position=columns is not None)
        findings += match.findings
    if findings:
        raise ContractError.of("the table does not fit the model's input schema", findings)
    if match.row is not None:
        return _bind_rows(table, match.row)
    fields = {id(column): field for column, field in zip(table_columns, table.fields)}
    pairs = [(spec, fields[id(column)]) for spec, column in match.pairs]
    is_named = schema.has_input_names()
    packed = _pack_columns(pairs) if HAS_ARROW and len(pairs) > MAX_ARGUMENTS else None
    return Bound(
        tuple(field.name if is_named else str(index) for index, (_, field) in enumerate(pairs)),
        (packed,) if packed is not None else tuple(_convert_column(spec, field) for spec, field in pairs),
        tuple(spec for spec, _ in pairs),
        tuple(_find_transfer_type(field.dataType, _get_declared_type(spec)) for spec, field in pairs),
        packed is not None,
    )


def _get_value(field: T.StructField) -> Column:
    """Return a column; nulls for a column of the null type, which Spark may have read as another type."""
    return F.lit(None) if isinstance(field.dataType, T.NullType) else column(field.name)


def _bind_rows(table: T.StructType, spec: ColSpec) -> Bound:
    """Bind each row of a table as one value of a model's only column, an object without a name."""
    assert isinstance(spec.type, Object)
    declared = {prop.name for prop in spec.type.properties}
    row_type = T.StructType([field for field in table.fields if field.name in declared])
    row = F.struct(*(column(name) for name in row_type.names))
    target = _find_transfer_type(row_type, spec.type)
    return Bound(("0",), (_convert(row, row_type, spec.type, target),), (spec,), (target,))


MAX_ARGUMENTS = 500
"""The number of columns above which they are packed, because each argument takes several calls of the JVM."""


def _pack_columns(pairs: Sequence[tuple[ColSpec | TensorSpec | None, T.StructField]]) -> Column | None:
    """Return columns as one struct, built from SQL in one call; None if a column cannot be cast in SQL."""
    parts = []
    for index, (spec, field) in enumerate(pairs):
        value = "null" if isinstance(field.dataType, T.NullType) else name_column(field.name)
        target = _find_transfer_type(field.dataType, _get_declared_type(spec))
        text = target.simpleString()
        if "variant" in text:
            return None
        if field.dataType.simpleString() != text:
            if "struct<" in text or not _is_castable(field.dataType, target):
                return None
            value = f"cast({value} as {text})"
        parts.append(f"'{index}', {value}")
    return F.expr(f"named_struct({', '.join(parts)})")


# --- transfer types ---------------------------------------------------------------------------------------


def _get_declared_type(spec: ColSpec | TensorSpec | None) -> Type:
    return spec.type if isinstance(spec, ColSpec) else AnyType()


def _convert_column(spec: ColSpec | TensorSpec | None, field: T.StructField) -> Column:
    """Return a column in its transfer type."""
    declared = _get_declared_type(spec)
    target = _find_transfer_type(field.dataType, declared)
    return _convert(_get_value(field), field.dataType, declared, target)


def _is_vector(dtype: T.DataType) -> bool:
    return type(dtype).__name__ == "VectorUDT"


def _find_transfer_type(actual: T.DataType, declared: Type) -> T.DataType:
    """Return the transfer type of a column, which has no timestamps with a zone, decimals or vectors."""
    if isinstance(declared, DataType):
        return _SPARK[declared]
    if _is_vector(actual):
        return T.ArrayType(T.DoubleType())
    inner = _get_inner_type(declared)
    if isinstance(actual, T.ArrayType):
        return T.ArrayType(_find_transfer_type(actual.elementType, inner))
    if isinstance(actual, T.MapType):
        return T.MapType(
            _find_transfer_type(actual.keyType, AnyType()), _find_transfer_type(actual.valueType, inner)
        )
    if isinstance(actual, T.StructType):
        types = _list_field_types(declared, actual.names)
        return T.StructType(
            [
                T.StructField(part.name, _find_transfer_type(part.dataType, types[part.name]))
                for part in actual.fields
                if part.name in types
            ]
        )
    if isinstance(actual, T.TimestampType):
        return T.TimestampNTZType()
    return actual


def _get_inner_type(declared: Type) -> Type:
    """Return the declared type of elements or values; Any if it is unknown, or if properties differ."""
    if isinstance(declared, Array):
        return declared.dtype
    if isinstance(declared, Object):
        types = {prop.dtype for prop in declared.properties}
        return types.pop() if len(types) == 1 else AnyType()
    return declared.value_type if isinstance(declared, Map) else AnyType()


def _list_field_types(declared: Type, names: Sequence[str]) -> dict[str, Type]:
    """Return the declared types of the fields of a struct."""
    if isinstance(declared, Object):
        return {prop.name: prop.dtype for prop in declared.properties}
    return dict.fromkeys(names, _get_inner_type(declared))


def _convert(values: Column, actual: T.DataType, declared: Type, target: T.DataType) -> Column:
    """Convert a column to its transfer type, by one cast where that is possible."""
    if actual.simpleString() == target.simpleString():  # which ignores nullability
        return values
    if _is_castable(actual, target):
        return values.cast(target)
    if _is_vector(actual):
        from pyspark.ml.functions import vector_to_array

        return F.when(values.isNotNull(), vector_to_array(values))
    if isinstance(actual, T.ArrayType) and isinstance(target, T.ArrayType):
        types = actual.elementType, _get_inner_type(declared), target.elementType
        return F.transform(values, lambda part: _convert(part, *types))
    if isinstance(actual, T.MapType) and isinstance(target, T.MapType):
        types = actual.valueType, _get_inner_type(declared), target.valueType
        return F.transform_values(values, lambda _, part: _convert(part, *types))
    assert isinstance(actual, T.StructType)
    assert isinstance(target, T.StructType)
    declared_types = _list_field_types(declared, target.names)
    parts = [
        _convert(
            values.getField(part.name), actual[part.name].dataType, declared_types[part.name], part.dataType
        ).alias(part.name)
        for part in target.fields
    ]
    return F.when(values.isNotNull(), F.struct(*parts))


def _is_castable(actual: T.DataType, target: T.DataType) -> bool:
    """Return whether one CAST converts a type: it drops no fields, and has no vectors or variants."""
    if _is_vector(actual) or type(actual).__name__ == "VariantType":
        return False
    if isinstance(actual, T.ArrayType) and isinstance(target, T.ArrayType):
        return _is_castable(actual.elementType, target.elementType)
    if isinstance(actual, T.MapType) and isinstance(target, T.MapType):
        return _is_castable(actual.keyType, target.keyType) and _is_castable(
            actual.valueType, target.valueType
        )
    if isinstance(actual, T.StructType) and isinstance(target, T.StructType):
        return actual.names == target.names and all(
            _is_castable(part.dataType, target_part.dataType)
            for part, target_part in zip(actual.fields, target.fields)
        )
    return not isinstance(actual, (T.ArrayType, T.MapType, T.StructType))


def as_json(values: Column) -> Column:
    """Return a composite column as JSON without loss, for a Spark that has no ``arrow_udf``."""
    options = {"timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS", "ignoreNullFields": "false"}
    return F.to_json(values, options)


# --- columns of unknown types, before Spark 4.1 ------------------------------------------------


def get_transfer_type(spec: ColSpec) -> T.DataType:
    """Return the transfer type of a scalar column."""
    assert isinstance(spec.type, DataType)
    return _SPARK[spec.type]


def guard_columns(columns: Sequence[Column], specs: Sequence[ColSpec]) -> list[Column]:
    """Cast columns to their transfer types, with a check of their types by ``typeof`` when the query runs.

    A column function does not know its table, and pandas does not keep the types. If the type of any column
    does not widen, the query fails with all findings. A column that does not fit becomes null before its
    cast.
    """
    fits = [_has_fitting_type(values, spec) for values, spec in zip(columns, specs)]
    problems = F.concat_ws("\n", *(_describe_mismatch(*part) for part in zip(columns, specs, fits)))
    text = F.concat(F.lit("the columns do not fit the model's input schema:\n"), problems)
    first, *remaining = (
        F.when(ok, values).cast(get_transfer_type(spec)) for values, spec, ok in zip(columns, specs, fits)
    )
    return [F.when(problems == "", first).otherwise(F.raise_error(text)), *remaining]


def _has_fitting_type(values: Column, spec: ColSpec) -> Column:
    assert isinstance(spec.type, DataType)
    return F.typeof(values).isin(sorted(_list_widening_types(spec.type, spec.required)))


def _describe_mismatch(values: Column, spec: ColSpec, fits: Column) -> Column:
    prefix = F.lit(f"  - {quote(spec.name)}: expected {describe(spec.type)}, got ")
    return F.when(fits, F.lit(None)).otherwise(
        F.concat(prefix, F.typeof(values), F.lit(f" [{Code.TYPE_MISMATCH}]"))
    )


@lru_cache
def _list_widening_types(target: DataType, required: bool) -> frozenset[str]:
    """Return Spark's names of all types that widen to ``target``."""
    types: list[T.DataType] = [
        T.NullType(), T.BooleanType(), T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType(),
        T.FloatType(), T.DoubleType(), T.StringType(), T.BinaryType(), T.DateType(), T.TimestampType(),
        T.TimestampNTZType(),
    ]  # fmt: skip
    types += [T.DecimalType(precision, scale) for precision in range(1, 39) for scale in range(precision + 1)]
    return frozenset(dtype.simpleString() for dtype in types if widens(to_source(dtype), target, required))


# --- Arrow ----------------------------------------------------------------------------------------------

_SPARK: dict[DataType, T.DataType] = {
    **{dtype: to_spark(dtype) for dtype in DataType},
    # the local time of the session's zone, independent of the worker's zone
    DataType.datetime: T.TimestampNTZType(),
}
"""The transfer type of each scalar type."""


def to_spark_type(arrow: pa.DataType) -> T.DataType:
    """Return the Spark type of predictions of an Arrow type.

    Raises:
        UnsupportedError: Spark has no such type.
    """
    if pa.types.is_list(arrow):
        return T.ArrayType(to_spark_type(arrow.value_type))
    if pa.types.is_map(arrow):
        return T.MapType(to_spark_type(arrow.key_type), to_spark_type(arrow.item_type))
    if is_variant(arrow):
        if not HAS_ARROW:
            raise UnsupportedError(
                "predictions of the type Any need Spark 4.1 or newer, which returns them as variants"
            )
        return T.VariantType()
    if pa.types.is_struct(arrow):
        return T.StructType([T.StructField(field.name, to_spark_type(field.type)) for field in arrow])
    if pa.types.is_timestamp(arrow):
        return T.TimestampType()  # the local time in the session's zone
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
    widened = WIDER_TYPES.get(arrow, arrow)
    if widened not in plain:
        raise UnsupportedError(f"predictions of type {arrow} cannot be returned to Spark")
    return plain[widened]
