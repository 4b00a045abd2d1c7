"""The types of Parquet columns as Spark reads and writes them, and Spark's own schema in a file's footer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sparksig.engine.zones import to_zoned_times
from sparksig.errors import UnsupportedError, below, quote
from sparksig.tables.readers import SPARK_SCHEMA_KEY

TIMESTAMP = pa.timestamp("us", "UTC")

_PLAIN = {
    dtype.id: spark
    for spark, *others in [
        (pa.bool_(),),
        (pa.int8(),),
        (pa.int16(), pa.uint8()),
        (pa.int32(), pa.uint16()),
        (pa.int64(), pa.uint32()),
        (pa.float32(),),
        (pa.float64(),),
        (pa.string(), pa.large_string(), pa.string_view()),
        (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)),
        (pa.date32(), pa.date64()),
        (pa.null(),),
    ]
    for dtype in (spark, *others)
} | {pa.uint64().id: pa.decimal128(20, 0)}
"""The types that Spark reads, by the identifiers of the types that it reads in this way."""


def convert_type(dtype: pa.DataType, path: str) -> pa.DataType:
    """Return the Arrow type in which Spark reads a Parquet column.

    Args:
        dtype: the type that pyarrow reads.
        path: the column, for the error.

    Raises:
        UnsupportedError: Spark and pyarrow read the column differently, or Spark cannot read it.

    Example:
        >>> convert_type(pa.list_(pa.uint8()), "x")
        ListType(list<item: int16>)
    """
    if dtype.id in _PLAIN:
        return _PLAIN[dtype.id]
    if pa.types.is_dictionary(dtype):
        return convert_type(dtype.value_type, path)
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us") if dtype.tz is None else TIMESTAMP
    if pa.types.is_decimal(dtype) and dtype.precision <= 38 and 0 <= dtype.scale <= dtype.precision:
        return pa.decimal128(dtype.precision, dtype.scale)
    if pa.types.is_map(dtype):
        inner = f"{path}[]"
        return pa.map_(convert_type(dtype.key_type, inner), convert_type(dtype.item_type, inner))
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return pa.list_(convert_type(dtype.value_type, f"{path}[]"))
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        return pa.struct(
            [pa.field(part.name, convert_type(part.type, below(path, part.name))) for part in parts]
        )
    raise UnsupportedError(f"{path} is {dtype}, which only Spark reads as Spark does")


def set_zone(dtype: pa.DataType, zone: str) -> pa.DataType:
    """Return a type with its timestamps in another time zone, at any depth."""
    if pa.types.is_timestamp(dtype):
        return dtype if dtype.tz is None else pa.timestamp(dtype.unit, zone)
    if pa.types.is_list(dtype):
        return pa.list_(set_zone(dtype.value_type, zone))
    if pa.types.is_map(dtype):
        return pa.map_(set_zone(dtype.key_type, zone), set_zone(dtype.item_type, zone))
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        return pa.struct([pa.field(part.name, set_zone(part.type, zone)) for part in parts])
    return dtype


def convert_array(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert an array to a type of Spark; raise pyarrow.ArrowInvalid for a loss."""
    if array.type == target:
        return array
    if pa.types.is_struct(target) and pa.types.is_struct(array.type):
        # not flatten(), which would apply the nulls of the structs to their fields
        parts = [convert_array(array.field(index), field.type) for index, field in enumerate(target)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(parts, fields=list(target), mask=mask)
    return array.cast(target)


def place_partition(value: pa.Scalar, zone: str) -> pa.Scalar:
    """Return the value of a partition column as Spark reads it: a timestamp is a local time of the session.

    Raises:
        UnsupportedError: the zone lacks this local time, or has it twice.
    """
    if not pa.types.is_timestamp(value.type) or not value.is_valid:
        return value.cast(TIMESTAMP) if pa.types.is_timestamp(value.type) else value
    placed, unplaced = to_zoned_times(pa.array([value.as_py()], pa.timestamp("us")), zone)
    if unplaced.any():
        raise UnsupportedError(f"the partition value {value.as_py()} is not exactly one local time in {zone}")
    return placed.cast(TIMESTAMP)[0]


# --- Spark's schema in a footer ---------------------------------------------------------------------------


def read_spark_fields(footer: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """Return the fields of the schema that Spark has stored in a footer; empty for other writers."""
    try:
        fields = json.loads(footer.get(SPARK_SCHEMA_KEY, b"{}")).get("fields", [])
        return {field["name"]: dict(field) for field in fields}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # of another writer
        return {}


def build_spark_schema(schema: pa.Schema, known: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Build the schema that Spark stores in a footer: known fields unchanged, others from their types."""
    fields = [dict(known.get(field.name) or _format_field(field)) | {"nullable": True} for field in schema]
    return json.dumps({"type": "struct", "fields": fields}).encode()


def format_spark_type(dtype: pa.DataType) -> str:
    """Return the text of the Spark type in which a column is stored.

    Example:
        >>> format_spark_type(pa.list_(pa.struct([("a", pa.int64())])))
        'array<struct<a:bigint>>'
    """
    if pa.types.is_list(dtype):
        return f"array<{format_spark_type(dtype.value_type)}>"
    if pa.types.is_map(dtype):
        return f"map<{format_spark_type(dtype.key_type)},{format_spark_type(dtype.item_type)}>"
    if pa.types.is_struct(dtype):
        parts = (f"{part.name}:{format_spark_type(part.type)}" for part in dtype)
        return f"struct<{','.join(parts)}>"
    name = str(_format_type(dtype))
    return {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}.get(name, name)


def require_same_type(field: pa.Field, declared: Mapping[str, Any]) -> None:
    """Check that a column has the type that Spark has stored in the footer.

    Raises:
        UnsupportedError: it has another type: an interval, a variant, or a user-defined type.
    """
    if strip_type(declared.get("type")) != strip_type(_format_type(field.type)):
        dtype = declared.get("type")
        name = dtype.get("type") if isinstance(dtype, dict) else dtype
        raise UnsupportedError(
            f"{quote(field.name)} is stored as {field.type}, and Spark declares it as {name}"
        )


def strip_type(dtype: Any) -> Any:
    """Return a type of the schema without nullability and metadata; a vector becomes its struct."""
    if not isinstance(dtype, dict):
        return "string" if isinstance(dtype, str) and dtype.startswith(("char(", "varchar(")) else dtype
    if dtype.get("type") == "udt":
        is_vector = str(dtype.get("pyClass", "")) == "pyspark.ml.linalg.VectorUDT"
        return strip_type(dtype.get("sqlType")) if is_vector else dtype.get("class")
    if dtype.get("type") == "struct":
        return {"struct": [(field["name"], strip_type(field["type"])) for field in dtype["fields"]]}
    keys = ("type", "elementType", "keyType", "valueType")
    return {key: strip_type(dtype[key]) for key in keys if key in dtype}


_NAMES = {
    pa.bool_(): "boolean",
    pa.int8(): "byte",
    pa.int16(): "short",
    pa.int32(): "integer",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp_ntz",
    TIMESTAMP: "timestamp",
    pa.null(): "integer",
}


def _format_field(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, "type": _format_type(field.type), "nullable": True, "metadata": {}}


def _format_type(dtype: pa.DataType) -> Any:
    if pa.types.is_decimal(dtype):
        return f"decimal({dtype.precision},{dtype.scale})"
    if pa.types.is_list(dtype):
        return {"type": "array", "elementType": _format_type(dtype.value_type), "containsNull": True}
    if pa.types.is_map(dtype):
        key, value = _format_type(dtype.key_type), _format_type(dtype.item_type)
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}
    if pa.types.is_struct(dtype):
        parts: Sequence[pa.Field] = [dtype.field(index) for index in range(dtype.num_fields)]
        return {"type": "struct", "fields": [_format_field(part) for part in parts]}
    return _NAMES[dtype]
