"""Variants of Spark: the values of columns of Any, and of predictions of Any.

Spark sends a variant to Python as a struct of two binaries, and marks it in the metadata of the second.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.errors import PySparkException

from sparksig.convert.instances import to_builtins
from sparksig.convert.variant import VARIANT, is_variant, to_variant
from sparksig.engine.arrays import conform
from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.predictions import get_result_type
from sparksig.engine.predictions.reading import read_predictions
from sparksig.engine.python import to_object_series
from sparksig.errors import Code, ContractError, ConversionError, Finding, PredictionError, below, quote
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, Type
from sparksig.walks import contains, transform

# --- in ---------------------------------------------------------------------------------------------------

Decoder = Callable[[Any], Any]


def decode_variants(data: Any, columns: pa.Schema, inputs: Schema) -> Any:
    """Decode the variants in a model's input.

    Args:
        data: the input: in a frame, variants are dictionaries of bytes.
        columns: the columns as Spark sent them.
        inputs: the schema that the model accepts.
    """
    if not _has_any(inputs) or not isinstance(data, pd.DataFrame):
        return data
    for index, spec in enumerate(inputs):
        label = index if spec.name is None else spec.name
        at = index if spec.name is None else columns.get_field_index(str(spec.name))
        if not contains_any(spec.type) or label not in data.columns or not 0 <= at < len(columns):
            continue
        decoder = _build_decoder(columns.field(at).type)
        if decoder is not None:
            with decimal.localcontext() as context:  # Spark's reader rounds to that of the context
                context.prec = 100
                values = to_object_series(_decode_column(data[label], decoder, quote(label)))
            values.index = data.index
            data[label] = values
    return data


def _decode_column(values: Any, decoder: Decoder, path: str) -> list[Any]:
    try:
        return [decoder(value) for value in values]
    except (ValueError, OverflowError, PySparkException) as error:
        actual = f"others ({type(error).__name__})"
        finding = Finding(Code.INVALID_VALUE, path, "variants that Python can hold", actual)
        raise ContractError.of("the data does not fit the schema", [finding]) from None


def _build_decoder(dtype: pa.DataType | None) -> Decoder | None:
    """Return the function that decodes the variants in values of a type; None if the type has none."""
    if dtype is None:
        return None
    if is_variant(dtype):
        return _decode
    if pa.types.is_struct(dtype):
        decoders = {
            field.name: decoder for field in dtype if (decoder := _build_decoder(field.type)) is not None
        }
        return (lambda value: _decode_fields(value, decoders)) if decoders else None
    inner = _build_decoder(getattr(dtype, "item_type", None) or getattr(dtype, "value_type", None))
    return None if inner is None else lambda value: _decode_parts(value, inner)


def _decode(value: Any) -> Any:
    from pyspark.sql.types import VariantVal

    return None if value is None else VariantVal(value["value"], value["metadata"]).toPython()


def _decode_parts(value: Any, decoder: Decoder) -> Any:
    if isinstance(value, Mapping):
        return {key: decoder(part) for key, part in value.items()}
    return None if value is None else [decoder(part) for part in value]


def _decode_fields(value: Any, decoders: Mapping[str, Decoder]) -> Any:
    if value is None:
        return None
    return {name: decoders[name](part) if name in decoders else part for name, part in value.items()}


# --- out --------------------------------------------------------------------------------------------------

_PARTS = Object([Property("value", DataType.binary), Property("metadata", DataType.binary)])
"""A variant as an object of its two parts."""


@lru_cache(maxsize=64)
def replace_any(outputs: Schema) -> Schema:
    """Replace Any in the outputs by an object with the two parts of a variant."""
    if not _has_any(outputs):
        return outputs
    return Schema([ColSpec(transform(spec.type, _split), spec.name, spec.required) for spec in outputs])


def _split(dtype: Type) -> Type:
    return _PARTS if isinstance(dtype, AnyType) else dtype


def variant_result_type(outputs: Schema) -> pa.DataType:
    """Return the type of a prediction as ``get_result_type`` does, with variants for Any.

    Raises:
        ConversionError: Arrow has no such type.
    """
    return get_result_type(outputs, VARIANT)


def mark_variants(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Mark the variants in predictions, which are plain structs until then.

    Args:
        array: predictions, which differ from ``target`` only in their variants.
        target: the type in which variants are marked.
    """
    return conform(array, target, _mark_variants)


def _mark_variants(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    if not _has_variant(target):
        return array
    if not is_variant(target):
        return None
    parts = [array.field(field.name).fill_null(b"") for field in target]
    return pa.StructArray.from_arrays(parts, fields=list(target), mask=array.is_null())


@lru_cache(maxsize=64)
def _has_variant(dtype: pa.DataType) -> bool:
    if is_variant(dtype):
        return True
    inner = [dtype.field(index).type for index in range(dtype.num_fields)]
    return any(map(_has_variant, inner))


def encode_variants(prediction: Any, outputs: Schema, rows: int | None) -> Any:
    """Encode the values of Any in a prediction as the two parts of a variant; the prediction is not changed.

    Args:
        prediction: the model's return value.
        outputs: the model's declared outputs.
        rows: the number of rows in the call of the model; None if it is unknown.

    Raises:
        PredictionError: a prediction that cannot be read as the outputs, or a value that no variant holds.
    """
    if not _has_any(outputs):
        return prediction
    rows_by_finding: dict[Finding, list[int]] = {}
    frame = _pack_frame(read_predictions(prediction, outputs, rows), outputs, rows_by_finding)
    if rows_by_finding:
        findings = [
            replace(finding, count=len(positions), rows=tuple(positions[:FIRST_ROWS]))
            for finding, positions in rows_by_finding.items()
        ]
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return frame


def _pack_frame(
    prediction: pd.DataFrame, outputs: Schema, rows_by_finding: dict[Finding, list[int]]
) -> pd.DataFrame:
    specs, named = list(outputs), outputs.has_input_names()
    declared: dict[Any, ColSpec] = {spec.name: spec for spec in specs} if named else dict(enumerate(specs))
    columns = {}
    for position, label in enumerate(prediction.columns):
        spec = declared.get(label) if named else declared.get(position)
        column = prediction.iloc[:, position]
        columns[position] = column if spec is None else _pack_column(column, spec, rows_by_finding)
    frame = pd.DataFrame(columns, index=prediction.index)
    frame.columns = prediction.columns
    return frame


def _pack_column(values: pd.Series, spec: ColSpec, rows_by_finding: dict[Finding, list[int]]) -> Any:
    if not contains_any(spec.type):
        return values
    path = "" if spec.name is None else quote(spec.name)
    # a Series would give a float32 as Python's float
    items: Any = values
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f":
        items = values.to_numpy()
    packed_items = []
    for row, value in enumerate(items):
        try:
            packed_items.append(_pack(to_builtins(value), spec.type, path))
        except ConversionError as error:
            packed_items.append(None)
            for finding in error.findings:
                rows_by_finding.setdefault(finding, []).append(row)
    column = to_object_series(packed_items)
    column.index = values.index
    return column


def _pack(value: Any, dtype: Type, path: str) -> Any:
    if value is None or not contains_any(dtype):
        return value
    if isinstance(dtype, AnyType):
        if type(value).__name__ in ("NaTType", "NAType"):
            return None
        return dict(zip(("value", "metadata"), to_variant(value, path)))
    if isinstance(dtype, Array) and isinstance(value, (list, tuple, np.ndarray)):
        return [_pack(item, dtype.dtype, f"{path}[]") for item in value]
    if isinstance(dtype, Map) and isinstance(value, Mapping):
        return {key: _pack(item, dtype.value_type, f"{path}[]") for key, item in value.items()}
    if isinstance(dtype, Object) and isinstance(value, Mapping):
        properties = {prop.name: prop.dtype for prop in dtype.properties}
        return {
            key: _pack(item, properties[key], below(path, key)) if key in properties else item
            for key, item in value.items()
        }
    return value


@lru_cache(maxsize=64)
def _has_any(schema: Schema) -> bool:
    return any(isinstance(spec, ColSpec) and contains_any(spec.type) for spec in schema)


def contains_any(dtype: Type) -> bool:
    """Return whether Any is declared somewhere in a type."""
    return contains(dtype, lambda part: isinstance(part, AnyType))
