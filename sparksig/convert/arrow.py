"""Conversion between Arrow and signatures: types and schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
import pyarrow as pa

from sparksig.convert import build_loss, find_lost_names, list_names, report_duplicates, walk_schema
from sparksig.convert.fields import TENSOR_KEY, build_tensor_metadata, read_field
from sparksig.errors import Code, ConversionError, Finding, below, name_type, quote
from sparksig.lattice import MODEL_TYPE, Decimal, Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import DataType, SparkMLVector, Type, as_type, describe
from sparksig.walks import fold

LOST_TO_ARROW: dict[str, str] = {
    "Any": "refused: Arrow has no type for any value",
    "SparkML vector": "comes back as Array(double)",
    "a column without a name": "comes back with its number as name",
    "an integer name": "comes back as a string",
    "tensor of object, complex or long double": "refused: Arrow has no such type",
    "tensor of datetime64 in units other than D, s, ms, us, ns": "refused: Arrow has no such unit",
    "tensor of timedelta64 in units other than s, ms, us, ns": "refused: Arrow has no such unit",
}
"""The parts of a signature that ``from_arrow(to_arrow(...))`` changes; each line has a test."""

LOST_FROM_ARROW: dict[str, str] = {
    "int8, int16, uint8, uint16": "come back as int32",
    "uint32": "comes back as int64",
    "float16": "comes back as float32",
    "decimal": "comes back as int32, int64 or double, the narrowest that holds its digits",
    "large_, _view and fixed size strings, binaries and lists": "come back as the plain kind",
    "dictionary": "comes back as its values' type",
    "timestamp of any unit and zone, date32, date64": "come back as timestamp[ns] without a zone",
    "null": "comes back refused, as Any",
    "nullability of list items and map values": "they come back nullable",
    "order of struct fields": "they come back sorted by name",
    "the vector struct of Spark ML": "comes back as list<double>",
    "metadata of fields and of the schema": "dropped, except that of tensors",
    "sorted keys of a map": "come back unsorted",
    "a nullable tensor": "comes back not nullable",
}
"""The parts of an Arrow schema that ``to_arrow(from_arrow(...))`` changes; each line has a test."""

_TO_ARROW: dict[DataType, pa.DataType] = {
    dtype: pa.timestamp("ns") if dtype is DataType.datetime else pa.type_for_alias(name)
    for dtype, name in MODEL_TYPE.items()
}

_OTHER_NAMES = {"NA": "null", "HALF_FLOAT": "float16", "FLOAT": "float32", "DOUBLE": "float64"}
_SCALARS: dict[int, str] = {
    getattr(pa.lib, f"Type_{name}"): _OTHER_NAMES.get(name, name.lower())
    for name in (
        "NA", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "HALF_FLOAT",
        "FLOAT", "DOUBLE", "STRING", "LARGE_STRING", "STRING_VIEW", "BINARY", "LARGE_BINARY", "BINARY_VIEW",
        "FIXED_SIZE_BINARY", "DATE32", "DATE64",
    )
}  # fmt: skip

_LISTS = {
    pa.lib.Type_LIST,
    pa.lib.Type_LARGE_LIST,
    pa.lib.Type_FIXED_SIZE_LIST,
    pa.lib.Type_LIST_VIEW,
    pa.lib.Type_LARGE_LIST_VIEW,
}


VECTOR_TYPE = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
"""The struct in which Spark passes a vector of Spark ML to Python."""


# --- Arrow -> signature -------------------------------------------------------------------------------


def to_source(dtype: pa.DataType) -> Source:
    """Convert an Arrow type to a source type of the casting table; unknown types keep Arrow's name.

    Example:
        >>> str(to_source(pa.list_(pa.decimal128(9, 2))))
        'list<decimal(9,2)>'
    """
    if dtype.id in _SCALARS:
        return Scalar(_SCALARS[dtype.id], str(dtype))
    if pa.types.is_decimal(dtype):
        return Decimal(dtype.precision, dtype.scale)
    if pa.types.is_timestamp(dtype):
        return Scalar("timestamp" if dtype.tz is None else "timestamp_tz", str(dtype))
    if dtype.id in _LISTS:
        size = dtype.list_size if pa.types.is_fixed_size_list(dtype) else None
        return ListOf(to_source(dtype.value_type), size, dtype.value_field.nullable)
    if pa.types.is_map(dtype):
        return MapOf(to_source(dtype.key_type), to_source(dtype.item_type), dtype.item_field.nullable)
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        fields = tuple(Field(part.name, to_source(part.type), part.nullable) for part in parts)
        is_vector = [(field.name, field.source) for field in fields] == _VECTOR
        return Struct(fields, "vector" if is_vector else "")
    if pa.types.is_dictionary(dtype):
        return to_source(dtype.value_type)
    return Scalar(str(dtype))


def transform_arrow(dtype: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Rebuild an Arrow type with changed leaves; its lists become plain lists, its fields nullable.

    Example:
        >>> transform_arrow(pa.large_list(pa.int8()), lambda leaf: pa.int64())
        ListType(list<item: int64>)
    """
    if pa.types.is_struct(dtype):
        return pa.struct([(part.name, transform_arrow(part.type, change)) for part in dtype])
    if pa.types.is_map(dtype):
        return pa.map_(transform_arrow(dtype.key_type, change), transform_arrow(dtype.item_type, change))
    if dtype.id in _LISTS:
        return pa.list_(transform_arrow(dtype.value_type, change))
    return change(dtype)


_VECTOR = [(part.name, to_source(part.type)) for part in VECTOR_TYPE]


@overload
def from_arrow(arrow: pa.Schema) -> Schema: ...
@overload
def from_arrow(arrow: pa.DataType) -> Type: ...  # type: ignore[overload-cannot-match]


def from_arrow(arrow: pa.Schema | pa.DataType) -> Schema | Type:
    """Return the narrowest schema, or type, that holds every value of an Arrow schema, or type.

    A field that is not nullable is required. :data:`LOST_FROM_ARROW` lists the losses.

    Raises:
        ConversionError: types that signatures do not support; each has a finding with its path.
        SignatureError: the schema has no field, or duplicate names.

    Example:
        >>> from_arrow(pa.schema([pa.field("a", pa.int8(), nullable=False), ("b", pa.list_(pa.string()))]))
        ['a': integer (required), 'b': Array(string) (optional)]
    """
    findings: list[Finding] = []
    converted: Schema | Type | None
    try:
        if isinstance(arrow, pa.DataType):
            converted = find_narrowest_type(to_source(arrow), "", findings)
        elif isinstance(arrow, pa.Schema):
            specs = [_from_field(part, findings) for part in arrow]
            findings += report_duplicates(arrow.names)
            converted = None if findings else Schema([spec for spec in specs if spec is not None])
        else:
            raise ConversionError(
                f"from_arrow: expected a pyarrow Schema or DataType, got {name_type(arrow)}"
            )
    except RecursionError:
        raise ConversionError("the Arrow types are nested too deeply for a signature") from None
    if converted is None:
        raise ConversionError.of("no signature for this Arrow schema", findings)
    return converted


def _from_field(part: pa.Field, findings: list[Finding]) -> ColSpec | TensorSpec | None:
    return read_field(
        Field(part.name, to_source(part.type), part.nullable),
        str(part.type),
        (part.metadata or {}).get(TENSOR_KEY.encode()),
        lambda spec: to_source(_get_tensor_type(spec, quote(part.name))),
        findings,
    )


def is_arrow(example: Any) -> bool:
    """Return whether an object belongs to pyarrow, or exports Arrow data (Polars, DuckDB, Spark)."""
    return (
        isinstance(example, (pa.Table, pa.RecordBatch, pa.ChunkedArray, pa.Array))
        or is_spark_table(example)
        or hasattr(type(example), "__arrow_c_stream__")
        or hasattr(type(example), "__arrow_c_array__")
    )


def is_spark_table(data: Any) -> bool:
    """Return whether data is a DataFrame of Spark, of Spark Connect, or of pandas on Spark."""
    return type(data).__module__.partition(".")[0] == "pyspark" and (
        hasattr(data, "sparkSession") or hasattr(data, "to_spark")
    )


def read_arrow(example: Any) -> tuple[pa.Table | pa.ChunkedArray, str | None]:
    """Read data as a pyarrow table, or as a column and the name of a column that has one (a Polars Series).

    Raises:
        ConversionError: it cannot be read, can only be read once, or is a Spark DataFrame, which would be
            collected.
    """
    if is_spark_table(example):
        raise ConversionError(
            "a Spark DataFrame is not collected to the driver. Score it on the executors with "
            "sparksig.score(df, model), or check it with sparksig.check(df, contract); collect a small table "
            "with df.toPandas()"
        )
    if isinstance(example, pa.Table):
        return example, None
    if isinstance(example, pa.RecordBatchReader):
        raise ConversionError("a RecordBatchReader can only be read once: pass reader.read_all()")
    try:
        if isinstance(example, pa.RecordBatch):
            return pa.Table.from_batches([example]), None
        streams = isinstance(example, pa.ChunkedArray) or hasattr(example, "__arrow_c_stream__")
        column = pa.chunked_array(example if streams else [pa.array(example)])
    except (pa.ArrowException, TypeError, ValueError) as error:
        if findings := _find_unreadable_columns(example):
            raise ConversionError.of(f"pyarrow cannot read {name_type(example)}", findings) from None
        reason = f"{type(error).__name__} from the Arrow PyCapsule interface"
        raise ConversionError(f"{name_type(example)} cannot be read as Arrow data: {reason}") from None
    name = getattr(example, "name", None)
    is_column = isinstance(example, (pa.Array, pa.ChunkedArray)) or isinstance(name, str)
    if is_column or not pa.types.is_struct(column.type):
        return column, name if isinstance(name, str) and name else None
    fields = [column.type.field(index) for index in range(column.type.num_fields)]
    batches = [pa.RecordBatch.from_struct_array(chunk) for chunk in column.chunks]
    return pa.Table.from_batches(batches, pa.schema(fields)), None


def _find_unreadable_columns(frame: Any) -> list[Finding]:
    """Return a finding for each column of another library's frame whose type pyarrow cannot read."""
    findings = []
    hint = "cast it explicitly, or select the other columns"
    try:
        columns = {name: frame[name] for name in getattr(frame, "columns", ())}
    except Exception:  # other libraries raise their own errors if columns have no names
        return []
    if not columns and hasattr(frame, "dtype"):  # a single column
        columns = {getattr(frame, "name", ""): frame}
    for name, column in columns.items():
        try:
            pa.chunked_array(column)
        except (pa.ArrowException, TypeError, ValueError):
            path = quote(name) if name else ""
            actual = str(getattr(column, "dtype", type(column).__name__))
            findings.append(
                Finding(Code.UNSUPPORTED_TYPE, path, "a type that pyarrow can read", actual, hint)
            )
    return findings


# --- signature -> Arrow -------------------------------------------------------------------------------


@overload
def to_arrow(signature: Schema, any_type: pa.DataType | None = None) -> pa.Schema: ...
@overload
def to_arrow(signature: Type, any_type: pa.DataType | None = None) -> pa.DataType: ...


def to_arrow(signature: Schema | Type, any_type: pa.DataType | None = None) -> pa.Schema | pa.DataType:
    """Return the Arrow schema, or type, in which a model receives the data of a schema, or type.

    Without ``any_type``, the Arrow type for Any, Any is refused.

    A required column is a field that is not nullable. A tensor of rank r is a field of r-1 nested lists, with
    its dtype and shape in the field's metadata. :data:`LOST_TO_ARROW` lists the losses.

    Example:
        >>> from sparksig.types import Map
        >>> to_arrow(Map("long"))
        MapType(map<string, int64>)
    """
    findings: list[Finding] = []
    if not isinstance(signature, Schema):
        dtype = _to_type(as_type(signature), "", findings, any_type)
        if findings:
            raise ConversionError.of("no Arrow type", findings)
        return dtype
    names = list_names(signature, findings)
    fields = [_to_field(spec, name, findings, any_type) for spec, name in zip(signature, names)]
    if findings:
        raise ConversionError.of("no Arrow schema", findings)
    return pa.schema(fields)


def _to_field(
    spec: ColSpec | TensorSpec, name: str, findings: list[Finding], any_type: pa.DataType | None
) -> pa.Field:
    if isinstance(spec, ColSpec):
        column_type = _to_type(spec.type, quote(name), findings, any_type)
        return _make_field(name, column_type, not spec.required, quote(name), findings)
    try:
        dtype = _get_tensor_type(spec, quote(name))
    except ConversionError as error:
        findings += error.findings
        dtype = _PLACEHOLDER
    return _make_field(name, dtype, False, quote(name), findings).with_metadata(build_tensor_metadata(spec))


_PLACEHOLDER = pa.bool_()
"""The replacement for a type that Arrow lacks, while other findings are collected."""


def _make_field(
    name: str, dtype: pa.DataType, nullable: bool, path: str, findings: list[Finding]
) -> pa.Field:
    try:
        return pa.field(name, dtype, nullable=nullable)
    except UnicodeEncodeError:
        findings.append(Finding(Code.INVALID_NAME, path, "a name of Unicode text", "a lone surrogate"))
        return pa.field("", dtype, nullable=nullable)


def _to_type(dtype: Type, path: str, findings: list[Finding], any_type: pa.DataType | None) -> pa.DataType:
    return fold(
        dtype,
        leaf=lambda part, where: _to_leaf(part, where, findings, any_type),
        array=pa.list_,
        map=lambda value: pa.map_(pa.string(), value),
        object=lambda fields, where: pa.struct(
            [
                _make_field(prop.name, part, not prop.required, below(where, prop.name), findings)
                for prop, part in fields
            ]
        ),
        path=path,
    )


def _to_leaf(dtype: Type, path: str, findings: list[Finding], any_type: pa.DataType | None) -> pa.DataType:
    if isinstance(dtype, DataType):
        return _TO_ARROW[dtype]
    if isinstance(dtype, SparkMLVector):
        return pa.list_(pa.float64())
    if any_type is not None:
        return any_type
    hint = "Arrow has no type for any value: declare the type of the column"
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a type that Arrow has", "Any", hint))
    return _PLACEHOLDER


def _get_tensor_type(spec: TensorSpec, path: str) -> pa.DataType:
    """Return the type of one row of a tensor: a scalar for rank 1, a list for rank 2, and so on."""
    element = _get_element_type(spec.type, path)
    for _ in spec.shape[1:]:
        element = pa.list_(element)
    return element


def _get_element_type(dtype: np.dtype[Any], path: str) -> pa.DataType:
    texts = {"U": pa.string(), "S": pa.binary()}
    try:
        if dtype.kind in "OcV" or (dtype.kind in "mM" and np.datetime_data(dtype)[1] != 1):
            raise pa.ArrowNotImplementedError
        return texts[dtype.kind] if dtype.kind in texts else pa.from_numpy_dtype(dtype)
    except pa.ArrowNotImplementedError:
        finding = Finding(Code.UNSUPPORTED_TYPE, path, "a dtype that Arrow has a type for", dtype.name)
        raise ConversionError.of("no Arrow type", [finding]) from None


def find_losses_in_arrow(schema: Schema) -> list[Finding]:
    """Return the parts of a schema that :func:`to_arrow` cannot express."""
    vectors = [path for path, dtype in walk_schema(schema) if isinstance(dtype, SparkMLVector)]
    return find_lost_names(schema) + [
        build_loss(path, describe(SparkMLVector()), "list<double>") for path in vectors
    ]
