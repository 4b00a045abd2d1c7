"""The container in which a model sees its rows, if its type hint is ``TypeFromExample``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparksig.models.directory import EXAMPLE_INFO, ModelDirectory
from sparksig.models.examples import read_example, to_series
from sparksig.schema import Schema


def read_shape(directory: ModelDirectory) -> str:
    """Return the container of a model's example: "frame", "series", "list" (of scalars) or "records"."""
    info = directory.read_mapping(EXAMPLE_INFO) or {}
    if info.get("type") != "json_object":
        return "series" if info.get("sparksig_shape") == "series" else "frame"
    example = read_example(directory)
    rows = example if isinstance(example, list) else [example]
    return "records" if rows and isinstance(rows[0], Mapping) else "list"


def as_example(frame: Any, shape: str, inputs: Schema | None) -> Any:
    """Convert a frame of enforced columns to the container of an example.

    Example:
        >>> as_example(pd.DataFrame({"a": pd.array([2**53 + 1, None], "Int64")}), "records", None)
        [{'a': 9007199254740993}, {'a': None}]
    """
    if shape == "frame" or not isinstance(frame, pd.DataFrame):
        return frame
    if shape == "series":
        return to_series(frame, inputs)
    columns = {label: _to_list(frame.iloc[:, index]) for index, label in enumerate(frame.columns)}
    if shape == "list" and len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _to_list(column: pd.Series) -> list[Any]:
    """Return the cells of a column as Python values, with None for missing values."""
    missing = column.isna()
    values = column.astype(object).tolist()
    if not missing.any():
        return values
    return [None if is_missing else value for is_missing, value in zip(missing, values)]
