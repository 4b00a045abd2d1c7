"""Conversion between Spark and signatures: types and schemas. It needs ``pyspark.sql.types``, but no JVM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from pyspark.sql import types as T

from sparksig.convert import list_names, report_duplicates
from sparksig.convert.ddl import name_element, name_scalar
from sparksig.convert.fields import TENSOR_KEY, build_tensor_metadata, read_field
from sparksig.errors import Code, ConversionError, Finding, below, name_type, quote
from sparksig.lattice import Decimal, Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, SparkMLVector, Type, as_type
from sparksig.walks import fold

LOST_TO_SPARK: dict[str, str] = {
    "SparkML vector": "comes back as Array(double)",
    "a column without a name": "comes back with its number as name",
    "an integer name": "comes back as a string",
    "Any before Spark 4.0": "refused: VariantType does not exist",
    "required Any": "comes back unchanged, but a variant may contain a null",
    "tensor of object, complex, long double or timedelta": "refused: Spark has no such type",
}
"""The parts of a signature that ``from_spark(to_spark(...))`` changes; each line has a test."""

LOST_FROM_SPARK: dict[str, str] = {
    "ByteType, ShortType": "come back as IntegerType",
    "CharType, VarcharType, collated strings": "come back as StringType",
    "DateType, TimestampNTZType": "come back as TimestampType",
    "DecimalType": "comes back as IntegerType, LongType or DoubleType, the narrowest that holds its digits",
    "VectorUDT": "comes back as ArrayType(DoubleType)",
    "NullType": "comes back as VariantType (as Any)",
    "containsNull and valueContainsNull": "come back True: signatures have no required elements",
    "order of struct fields": "they come back sorted by name",
    "field metadata and comments": "dropped, except the metadata of tensors",
    "a nullable tensor": "comes back not nullable",
}
"""The parts of a Spark schema that ``to_spark(from_spark(...))`` changes; each line has a test."""

_BY_NAME: dict[str, T.DataType] = {
    dtype.simpleString(): dtype
    for dtype in (
        T.BooleanType(), T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType(), T.FloatType(),
        T.DoubleType(), T.StringType(), T.BinaryType(), T.TimestampType(), T.DecimalType(20, 0),
    )
}  # fmt: skip

# By name, because older versions of Spark lack some of the classes.
_SCALARS: dict[str, str] = {
    "NullType": "null",
    "BooleanType": "bool",
    "ByteType": "int8",
    "ShortType": "int16",
    "IntegerType": "int32",
    "LongType": "int64",
    "FloatType": "float32",
    "DoubleType": "float64",
    "StringType": "string",
    "CharType": "string",
    "VarcharType": "string",
    "BinaryType": "binary",
    "DateType": "date32",
    "TimestampType": "timestamp_tz",
    "TimestampNTZType": "timestamp",
}

# --- Spark -> signature -------------------------------------------------------------------------------


def to_source(dtype: T.DataType) -> Source:
    """Convert a Spark type to a source type of the casting table; unknown types keep Spark's name.

    Example:
        >>> str(to_source(T.ArrayType(T.LongType())))
        'list<bigint>'
    """
    name = type(dtype).__name__
    if name in _SCALARS:
        return Scalar(_SCALARS[name], dtype.simpleString(), getattr(dtype, "length", None))
    if isinstance(dtype, T.DecimalType):
        return Decimal(dtype.precision, dtype.scale)
    if isinstance(dtype, T.ArrayType):
        return ListOf(to_source(dtype.elementType), nullable=dtype.containsNull)
    if isinstance(dtype, T.MapType):
        return MapOf(to_source(dtype.keyType), to_source(dtype.valueType), nullable=dtype.valueContainsNull)
    if isinstance(dtype, T.StructType):
        return Struct(
            tuple(Field(part.name, to_source(part.dataType), part.nullable) for part in dtype.fields)
        )
    if name == "VariantType":
        return Struct((), "variant")
    if name == "VectorUDT" and type(dtype).__module__ in ("pyspark.ml.linalg", "pyspark.mllib.linalg"):
        return Struct((), "vector")
    if isinstance(dtype, T.UserDefinedType):
        return Scalar("user defined type", f"user defined type {name}")
    return Scalar(dtype.typeName(), dtype.simpleString())


def walk_spark(dtype: T.DataType, path: str = "") -> Iterator[tuple[str, T.DataType]]:
    """Yield a Spark type and all types in it with their paths, from the outside to the inside.

    Keys and values of a map have the same path.

    Example:
        >>> [path for path, _ in walk_spark(T.StructType().add("a", T.ArrayType(T.LongType())))]
        ['', 'a', 'a[]']
    """
    yield path, dtype
    if isinstance(dtype, T.ArrayType):
        yield from walk_spark(dtype.elementType, f"{path}[]")
    elif isinstance(dtype, T.MapType):
        yield from walk_spark(dtype.keyType, f"{path}[]")
        yield from walk_spark(dtype.valueType, f"{path}[]")
    elif isinstance(dtype, T.StructType):
        for part in dtype.fields:
            yield from walk_spark(part.dataType, below(path, part.name))


@overload
def from_spark(spark: T.StructType) -> Schema: ...
@overload
def from_spark(spark: T.DataType) -> Schema | Type: ...


def from_spark(spark: T.DataType) -> Schema | Type:
    """Convert a StructType to a schema, or any other Spark type to a type.

    A field that is not nullable is required. :data:`LOST_FROM_SPARK` lists the losses.
    To convert a struct to an Object, convert a StructType with a column of the struct.

    Raises:
        ConversionError: types that signatures do not support; each has a finding with its path.
        SignatureError: the StructType has no field, or duplicate names.

    Example:
        >>> from_spark(T.StructType().add("a", "short", nullable=False).add("b", "date"))
        ['a': integer (required), 'b': datetime (optional)]
    """
    findings: list[Finding] = []
    converted: Schema | Type | None
    try:
        if isinstance(spark, T.StructType):
            specs = [_from_field(part, findings) for part in spark.fields]
            findings += report_duplicates(spark.names)
            converted = None if findings else Schema([spec for spec in specs if spec is not None])
        elif isinstance(spark, T.DataType):
            converted = find_narrowest_type(to_source(spark), "", findings)
        else:
            raise ConversionError(f"from_spark: expected a Spark type, got {name_type(spark)}")
    except RecursionError:
        raise ConversionError("the Spark types are nested too deeply for a signature") from None
    if converted is None:
        raise ConversionError.of("no signature for this Spark schema", findings)
    return converted


def _from_field(part: T.StructField, findings: list[Finding]) -> ColSpec | TensorSpec | None:
    metadata = part.metadata or {}
    return read_field(
        Field(part.name, to_source(part.dataType), part.nullable),
        part.dataType.simpleString(),
        metadata[TENSOR_KEY] or "" if TENSOR_KEY in metadata else None,
        lambda spec: to_source(_get_tensor_type(spec, quote(part.name))),
        findings,
    )


# --- signature -> Spark -------------------------------------------------------------------------------


@overload
def to_spark(signature: Schema) -> T.StructType: ...
@overload
def to_spark(signature: Type) -> T.DataType: ...


def to_spark(signature: Schema | Type) -> T.DataType:
    """Convert a schema to a StructType, or a type to a Spark type.

    A required column is a field that is not nullable. A tensor of rank r is a field of r-1 nested arrays with
    its dtype and shape in the field's metadata. :data:`LOST_TO_SPARK` lists the losses.

    Example:
        >>> from sparksig.types import Array
        >>> to_spark(Schema([ColSpec(Array("long"), "a", required=False)])).simpleString()
        'struct<a:array<bigint>>'
    """
    findings: list[Finding] = []
    if not isinstance(signature, Schema):
        dtype = _to_type(as_type(signature), "", findings)
    else:
        names = list_names(signature, findings)
        dtype = T.StructType([_to_field(spec, name, findings) for spec, name in zip(signature, names)])
    if findings:
        raise ConversionError.of("no Spark schema", findings)
    return dtype


def _to_field(spec: ColSpec | TensorSpec, name: str, findings: list[Finding]) -> T.StructField:
    if isinstance(spec, ColSpec):
        return T.StructField(name, _to_type(spec.type, quote(name), findings), nullable=not spec.required)
    try:
        dtype = _get_tensor_type(spec, quote(name))
    except ConversionError as error:
        findings += error.findings
        dtype = T.NullType()
    return T.StructField(name, dtype, nullable=False, metadata=build_tensor_metadata(spec))


def _to_type(dtype: Type, path: str, findings: list[Finding]) -> T.DataType:
    return fold(
        dtype,
        leaf=lambda part, where: _to_leaf(part, where, findings),
        array=T.ArrayType,
        map=lambda value: T.MapType(T.StringType(), value),
        object=lambda fields, _: T.StructType(
            [T.StructField(prop.name, part, not prop.required) for prop, part in fields]
        ),
        path=path,
    )


def _to_leaf(dtype: Type, path: str, findings: list[Finding]) -> T.DataType:
    if isinstance(dtype, DataType):
        return _BY_NAME[name_scalar(dtype)]
    if isinstance(dtype, SparkMLVector):
        return T.ArrayType(T.DoubleType())
    if hasattr(T, "VariantType"):
        variant: T.DataType = T.VariantType()
        return variant
    hint = "use Spark 4.0 or newer, or declare the type of the column"
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "VariantType for Any", "a Spark before 4.0", hint))
    return T.NullType()


def _get_tensor_type(spec: TensorSpec, path: str) -> T.DataType:
    dtype = _get_element_type(spec.type, path)
    for _ in spec.shape[1:]:
        dtype = T.ArrayType(dtype)
    return dtype


def _get_element_type(dtype: np.dtype[Any], path: str) -> T.DataType:
    name = name_element(dtype)
    if name is not None:
        return _BY_NAME[name]
    finding = Finding(Code.UNSUPPORTED_TYPE, path, "a dtype that Spark has a type for", dtype.name)
    raise ConversionError.of("no Spark schema", [finding])
