"""Selection of local data's columns by the names of a model's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import is_arrow
from sparksig.convert.numpy import from_numpy
from sparksig.engine.features import has_features, match_features
from sparksig.engine.python import to_frame
from sparksig.engine.series import is_objects
from sparksig.engine.sources import read_column_or_table
from sparksig.errors import ContractError, ConversionError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Type


def select_features(data: Any, schema: Schema, features: Sequence[str] | None) -> Any:
    """Return the columns of local data in the order of the model's features.

    Data without names is returned unchanged.

    Example:
        >>> import numpy as np
        >>> pair = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
        >>> select_features(pd.DataFrame({"power": [9.5], "age": [1.5]}), pair, ["age", "power"])
           age  power
        0  1.5    9.5
    """
    if not has_features(schema, features):
        return data
    assert features is not None
    if isinstance(data, Mapping) or _are_records(data):
        labels: list[Any] = []
        frame = to_frame(data, _name_columns(schema, features), labels)
        return frame if _require_positions(labels, schema, features, is_nested=False) is not None else data
    if isinstance(data, pd.Series):
        if not isinstance(data.name, str):
            return data
        data = data.to_frame()
    if isinstance(data, pd.DataFrame):
        positions = _require_positions(list(data), schema, features, is_nested=_has_lists(data))
        return data if positions is None else data.iloc[:, positions]
    if not is_arrow(data):
        return data
    table, _ = read_column_or_table(data)
    if not isinstance(table, pa.Table):
        return data
    is_nested = bool(table.num_columns) and pa.types.is_nested(table.schema.field(0).type)
    positions = _require_positions(table.column_names, schema, features, is_nested=is_nested)
    return data if positions is None else table.select(positions)


def _require_positions(
    labels: Sequence[Any], schema: Schema, features: Sequence[str], *, is_nested: bool
) -> list[int] | None:
    positions, findings = match_features(labels, schema, features, is_nested=is_nested)
    if findings:
        raise ContractError.of("the data does not fit the model's features", findings)
    return positions


def _are_records(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(row, Mapping) for row in data)


def _has_lists(frame: pd.DataFrame) -> bool:
    """Return whether a frame has one column only, which contains lists or arrays."""
    if frame.shape[1] != 1:
        return False
    dtype: Any = frame.dtypes.iloc[0]
    if isinstance(dtype, pd.ArrowDtype):
        return bool(pa.types.is_nested(dtype.pyarrow_dtype))
    return is_objects(dtype) and any(isinstance(value, (list, np.ndarray)) for value in frame.iloc[:, 0])


def _name_columns(schema: Schema, features: Sequence[str]) -> Schema:
    """Return a schema of columns named after the features, for reading Python data by name."""
    spec = schema.inputs[0]
    if isinstance(spec, TensorSpec):
        try:
            dtype: Type = from_numpy(spec.type)
        except ConversionError:
            dtype = AnyType()
        return Schema([ColSpec(dtype, feature) for feature in features])
    specs = [spec for spec in schema if isinstance(spec, ColSpec)]
    return Schema([ColSpec(spec.type, feature, spec.required) for spec, feature in zip(specs, features)])
