"""Transfer of batches to Python before Spark 4.1: as Series of pandas, with separate masks of nulls.

``pandas_udf`` turns integers with nulls into floats. Each integer or boolean column is therefore sent as a
pair: its value (0 for null), and its mask. Composite columns are sent as JSON in both directions. All values
are exact to the bit.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.arrow import from_arrow
from sparksig.convert.json import dumps, from_json, loads, to_json
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.spark import bind as binding
from sparksig.spark.arrow_types import to_arrow_type
from sparksig.spark.bind import Bound
from sparksig.spark.work import Work, Zone, list_columns

_SIMPLE = (
    T.BooleanType, T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.FloatType, T.DoubleType,
    T.StringType, T.BinaryType, T.DateType, T.TimestampNTZType, T.DecimalType,
)  # fmt: skip
_INTEGERS = (T.BooleanType, T.ByteType, T.ShortType, T.IntegerType, T.LongType)


def _is_json(dtype: T.DataType) -> bool:
    return not isinstance(dtype, _SIMPLE)


def build_pandas_columns(bound: Bound) -> list[Column]:
    """Return the columns in their transfer types, integers as pairs."""
    sent: list[Column] = []
    for value, dtype in zip(bound.values, bound.types):
        if _is_json(dtype):
            sent.append(binding.as_json(value))
        elif isinstance(dtype, _INTEGERS):
            zero = F.lit(False) if isinstance(dtype, T.BooleanType) else F.lit(0)
            sent += [F.coalesce(value, zero.cast(dtype)), value.isNull()]
        else:
            sent.append(value)
    return sent


def build_pandas_function(work: Work, bound: Bound, convert: Callable[[pa.Array], Any]) -> Callable[..., Any]:
    """Return the function that scores batches; ``convert`` converts predictions for Spark."""
    names, specs, types = bound.names, bound.specs, bound.types

    def score(batches):  # type: ignore[no-untyped-def]
        zone = Zone()

        def read_batches() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                series = list_columns(batch)
                arrays = [_from_series(series, spec, dtype) for spec, dtype in zip(specs, types)]
                if series:
                    zone.read(series.pop(), lambda column: column.iloc[0])
                yield pa.RecordBatch.from_arrays(arrays, names=list(names))

        for scored in work.run(read_batches(), zone):
            yield convert(scored)

    # Spark derives the kind of the function from its annotations
    result = Iterator[pd.DataFrame] if convert is to_frame else Iterator[pd.Series]
    score.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": result}
    return score


def _from_series(series: list[pd.Series], spec: ColSpec | TensorSpec | None, dtype: T.DataType) -> pa.Array:
    values = series.pop(0)
    target = to_arrow_type(dtype)
    if _is_json(dtype):
        return _from_texts(values, spec, target)
    if isinstance(dtype, _INTEGERS):
        mask = series.pop(0).to_numpy(dtype=bool)
        return pa.array(values.to_numpy(), type=target, mask=mask, from_pandas=False)
    return pa.array(values, type=target, from_pandas=values.dtype.kind != "f")


def _from_texts(values: pd.Series, spec: ColSpec | TensorSpec | None, target: pa.DataType) -> pa.Array:
    dtype = spec.type if isinstance(spec, ColSpec) else from_arrow(target)
    assert not isinstance(dtype, Schema)
    items = [None if text is None else from_json(loads(text, exact=True), dtype) for text in values]
    return pa.array(items, type=target)


TIMESTAMP_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"


def is_sent_as_json(dtype: T.DataType, is_nested: bool = False) -> bool:
    """Return whether predictions are sent as JSON: pandas loses a NaN in an array, and has no maps."""
    if isinstance(dtype, T.StructType):
        return is_nested or any(is_sent_as_json(field.dataType, True) for field in dtype.fields)
    return isinstance(dtype, (T.ArrayType, T.MapType))


def to_texts(array: pa.Array) -> pd.Series:
    """Convert predictions to JSON."""
    return pd.Series([_as_text(value, array.type) for value in array.to_pylist()], dtype=object).map(
        dumps, na_action="ignore"
    )


def _as_text(value: Any, dtype: pa.DataType) -> Any:
    """Convert a value for Spark's JSON parser: timestamps with all their digits, NaN as text."""
    if value is None:
        return None
    if pa.types.is_struct(dtype):
        return {field.name: _as_text(value[field.name], field.type) for field in dtype}
    if pa.types.is_map(dtype):
        return {key: _as_text(item, dtype.item_type) for key, item in value}
    if pa.types.is_list(dtype):
        return [_as_text(item, dtype.value_type) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    return to_json(value, nested=True)


_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float32(): pd.ArrowDtype(pa.float32()),
    pa.float64(): pd.ArrowDtype(pa.float64()),
}
"""The dtypes of pandas that distinguish null from NaN.

Spark reads NaN in NumPy's dtypes as null, and so does pandas 3 in its own nullable dtypes.
"""


def to_series(array: pa.Array) -> pd.Series:
    """Convert predictions of a plain type."""
    return array.to_pandas(types_mapper=_NULLABLE.get, maps_as_pydicts="strict")  # type: ignore[no-any-return]


def to_frame(array: pa.Array) -> pd.DataFrame:
    """Convert predictions of several plain types."""
    return pd.DataFrame({field.name: to_series(array.field(index)) for index, field in enumerate(array.type)})
