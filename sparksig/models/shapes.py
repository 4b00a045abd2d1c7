"""The form that a model sees its rows in, where its type hint says that it is the example's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparksig.models.directory import ModelDirectory
from sparksig.models.examples import read_example, to_series
from sparksig.schema import Schema

__all__ = ["as_example", "shape_of"]


def shape_of(directory: ModelDirectory) -> str:
    """The form of a model's example: "frame", "series", "list" of scalars, or "records"."""
    info = directory.config.get("saved_input_example_info")
    if not isinstance(info, Mapping) or info.get("type") != "json_object":
        series = isinstance(info, Mapping) and info.get("sparksig_shape") == "series"
        return "series" if series else "frame"
    example = read_example(directory)
    rows = example if isinstance(example, list) else [example]
    return "records" if rows and isinstance(rows[0], Mapping) else "list"


def as_example(frame: Any, shape: str, inputs: Schema | None = None) -> Any:
    """A frame of enforced columns in the form of an example.

    Example:
        >>> as_example(pd.DataFrame({"a": pd.array([2**53 + 1, None], "Int64")}), "records")
        [{'a': 9007199254740993}, {'a': None}]
    """
    if shape == "frame" or not isinstance(frame, pd.DataFrame):
        return frame
    if shape == "series":
        return to_series(frame, inputs)
    columns = {label: _values(frame.iloc[:, index]) for index, label in enumerate(frame.columns)}
    if shape == "list" and len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _values(column: pd.Series) -> list[Any]:
    """The cells as Python values, None for those that are missing."""
    missing = column.isna()
    values = column.astype(object).tolist()
    return [None if gone else value for gone, value in zip(missing, values)] if missing.any() else values
