"""Spark's variants: what columns of Any hold on their way in, and what predictions of Any become.

A variant reaches Python as a struct of two binaries, which Spark marks in the metadata of the second.
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
from sparksig.engine.predictions import result_type
from sparksig.engine.predictions.reading import read_predictions
from sparksig.engine.python import to_object_series
from sparksig.errors import Code, ContractError, ConversionError, Finding, PredictionError, below, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, Type
from sparksig.walks import contains, transform

__all__ = ["VARIANT", "as_objects", "as_variants", "holds_any", "is_variant", "opened", "packed", "result"]

# --- in ---------------------------------------------------------------------------------------------------

Opener = Callable[[Any], Any]


def opened(data: Any, columns: pa.Schema, inputs: Schema) -> Any:
    """A model's input with the values that its variants hold.

    Args:
        data: what the model would see: a frame, in which variants are dictionaries of bytes.
        columns: what came from Spark.
        inputs: what the model takes.
    """
    if not _has_any(inputs) or not isinstance(data, pd.DataFrame):
        return data
    for index, spec in enumerate(inputs):
        label = index if spec.name is None else spec.name
        at = index if spec.name is None else columns.get_field_index(str(spec.name))
        if not holds_any(spec.type) or label not in data.columns or not 0 <= at < len(columns):
            continue
        opener = _opener(columns.field(at).type)
        if opener is not None:
            with decimal.localcontext() as context:  # Spark's reader rounds to that of the context
                context.prec = 100
                values = to_object_series(_opened(data[label], opener, step(label)))
            values.index = data.index
            data[label] = values
    return data


def _opened(values: Any, opener: Opener, path: str) -> list[Any]:
    try:
        return [opener(value) for value in values]
    except (ValueError, OverflowError, PySparkException) as error:
        found = f"others ({type(error).__name__})"
        finding = Finding(Code.INVALID_VALUE, path, "variants that Python can hold", found)
        raise ContractError.of("the data does not fit the schema", [finding]) from None


def _opener(dtype: pa.DataType | None) -> Opener | None:
    """Return the function that opens the variants in Python values of a type; None if it has none."""
    if dtype is None:
        return None
    if is_variant(dtype):
        return _open
    if pa.types.is_struct(dtype):
        openers = {field.name: opener for field in dtype if (opener := _opener(field.type)) is not None}
        return (lambda value: _open_fields(value, openers)) if openers else None
    inner = _opener(getattr(dtype, "item_type", None) or getattr(dtype, "value_type", None))
    return None if inner is None else lambda value: _open_parts(value, inner)


def _open(value: Any) -> Any:
    from pyspark.sql.types import VariantVal

    return None if value is None else VariantVal(value["value"], value["metadata"]).toPython()


def _open_parts(value: Any, opener: Opener) -> Any:
    if isinstance(value, Mapping):
        return {key: opener(part) for key, part in value.items()}
    return None if value is None else [opener(part) for part in value]


def _open_fields(value: Any, openers: Mapping[str, Opener]) -> Any:
    if value is None:
        return None
    return {name: openers[name](part) if name in openers else part for name, part in value.items()}


# --- out --------------------------------------------------------------------------------------------------

_PARTS = Object([Property("value", DataType.binary), Property("metadata", DataType.binary)])
"""A variant as an object, which is how it is built."""


@lru_cache(maxsize=64)
def as_objects(outputs: Schema) -> Schema:
    """The outputs with the two parts of a variant wherever they are Any."""
    if not _has_any(outputs):
        return outputs
    return Schema([ColSpec(transform(spec.type, _split), spec.name, spec.required) for spec in outputs])


def _split(dtype: Type) -> Type:
    return _PARTS if isinstance(dtype, AnyType) else dtype


def result(outputs: Schema) -> pa.DataType:
    """The Arrow type of one prediction, as :func:`sparksig.engine.predictions.result_type`, with variants.

    Raises:
        ConversionError: Arrow has no such type.
    """
    return result_type(outputs, VARIANT)


def as_variants(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Mark the variants in predictions, which are plain structs until then.

    Args:
        array: predictions, of ``target`` but for its variants.
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
    return any(_has_variant(one) for one in inner)


def packed(prediction: Any, outputs: Schema, rows: int | None) -> Any:
    """Return a prediction with the two parts of a variant wherever Any is declared; it is never changed.

    Args:
        prediction: the model's return value.
        outputs: the model's declared outputs.
        rows: how many rows the model was given; None where that is not known.

    Raises:
        PredictionError: a prediction that cannot be read as the outputs, or a value that no variant holds.
    """
    if not _has_any(outputs):
        return prediction
    found: dict[Finding, list[int]] = {}
    frame = _packed_frame(read_predictions(prediction, outputs, rows), outputs, found)
    if found:
        told = [replace(one, count=len(at), rows=tuple(at[:FIRST_ROWS])) for one, at in found.items()]
        raise PredictionError.of("the prediction breaks the model's output schema", told)
    return frame


def _packed_frame(prediction: pd.DataFrame, outputs: Schema, found: dict[Finding, list[int]]) -> pd.DataFrame:
    specs, named = list(outputs), outputs.has_input_names()
    known: dict[Any, ColSpec] = {spec.name: spec for spec in specs} if named else dict(enumerate(specs))
    columns = {}
    for place, label in enumerate(prediction.columns):
        spec = known.get(label) if named else known.get(place)
        column = prediction.iloc[:, place]
        columns[place] = column if spec is None else _packed(column, spec, found)
    frame = pd.DataFrame(columns, index=prediction.index)
    frame.columns = prediction.columns
    return frame


def _packed(values: pd.Series, spec: ColSpec, found: dict[Finding, list[int]]) -> Any:
    if not holds_any(spec.type):
        return values
    path = "" if spec.name is None else step(spec.name)
    # a Series would give a float32 as Python's float
    given: Any = values
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f":
        given = values.to_numpy()
    held = []
    for row, value in enumerate(given):
        try:
            held.append(_pack(to_builtins(value), spec.type, path))
        except ConversionError as error:
            held.append(None)
            for one in error.findings:
                found.setdefault(one, []).append(row)
    column = to_object_series(held)
    column.index = values.index
    return column


def _pack(value: Any, dtype: Type, path: str) -> Any:
    if value is None or not holds_any(dtype):
        return value
    if isinstance(dtype, AnyType):
        if type(value).__name__ in ("NaTType", "NAType"):
            return None
        return dict(zip(("value", "metadata"), to_variant(value, path)))
    if isinstance(dtype, Array) and isinstance(value, (list, tuple, np.ndarray)):
        return [_pack(one, dtype.dtype, f"{path}[]") for one in value]
    if isinstance(dtype, Map) and isinstance(value, Mapping):
        return {key: _pack(one, dtype.value_type, f"{path}[]") for key, one in value.items()}
    if isinstance(dtype, Object) and isinstance(value, Mapping):
        known = {prop.name: prop.dtype for prop in dtype.properties}
        return {
            key: _pack(one, known[key], below(path, key)) if key in known else one
            for key, one in value.items()
        }
    return value


@lru_cache(maxsize=64)
def _has_any(schema: Schema) -> bool:
    return any(isinstance(spec, ColSpec) and holds_any(spec.type) for spec in schema)


def holds_any(dtype: Type) -> bool:
    """Return whether Any is declared somewhere in a type."""
    return contains(dtype, lambda part: isinstance(part, AnyType))
