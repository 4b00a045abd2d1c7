"""The Arrow types in which Spark's types reach Python."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import types as T

from sparksig.convert.variant import VARIANT
from sparksig.errors import UnsupportedError

_ARROW: dict[str, pa.DataType] = {
    "NullType": pa.null(),
    "BooleanType": pa.bool_(),
    "ByteType": pa.int8(),
    "ShortType": pa.int16(),
    "IntegerType": pa.int32(),
    "LongType": pa.int64(),
    "FloatType": pa.float32(),
    "DoubleType": pa.float64(),
    "StringType": pa.string(),
    "CharType": pa.string(),
    "VarcharType": pa.string(),
    "BinaryType": pa.binary(),
    "DateType": pa.date32(),
    "TimestampType": pa.timestamp("us", "UTC"),
    "TimestampNTZType": pa.timestamp("us"),
    "VariantType": VARIANT,
}


def to_arrow_type(dtype: T.DataType) -> pa.DataType:
    """Return the Arrow type in which a Spark type reaches Python.

    Raises:
        UnsupportedError: Spark cannot pass values of the type to Python.
    """
    name = type(dtype).__name__
    if name in _ARROW:
        return _ARROW[name]
    if isinstance(dtype, T.DecimalType):
        return pa.decimal128(dtype.precision, dtype.scale)
    if isinstance(dtype, T.ArrayType):
        return pa.list_(to_arrow_type(dtype.elementType))
    if isinstance(dtype, T.MapType):
        return pa.map_(to_arrow_type(dtype.keyType), to_arrow_type(dtype.valueType))
    if isinstance(dtype, T.StructType):
        return pa.struct([pa.field(part.name, to_arrow_type(part.dataType)) for part in dtype.fields])
    raise UnsupportedError(f"Spark cannot pass values of the type {dtype.simpleString()} to Python")
