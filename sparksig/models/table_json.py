"""Columns in JSON: conversion of rows, columns and scalars to Python values of the declared types.

The engine checks the values afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.json import column_from_json, from_json, to_plain
from sparksig.engine.python import accepts_mappings, is_positional, label_by_position, to_object_series
from sparksig.errors import ContractError
from sparksig.models.tensor_json import arrays_from_json
from sparksig.params import ParamSchema
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Type
from sparksig.walks import contains


def frame_from_json(content: Any, inputs: Schema | None, *, nat: bool = False) -> pd.DataFrame:
    """Convert ``{"columns": [...], "data": [[...]], "index": [...]}`` to a frame of Python values.

    The values have the declared types where they fit; nothing is enforced. With ``nat``, missing times may be
    the text NaT, which MLflow writes in examples.
    """
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise ContractError(
            "a frame in JSON: expected an object with the keys columns and data (a list of rows), got "
            "something else"
        )
    if unknown := set(content) - {"columns", "data", "index"}:
        raise ContractError(
            f"a frame in JSON: expected the keys columns, data and index, got {sorted(unknown)[0]!r}"
        )
    rows = content["data"]
    names = _resolve_names(content.get("columns"), rows, inputs)
    rows = [row if isinstance(row, list) else [row] for row in rows]
    if any(len(row) != len(names) for row in rows):
        count = f"{len(names)} value{'' if len(names) == 1 else 's'}"
        raise ContractError(
            f"a frame in JSON: expected {count} in each row, one for each column, got another number"
        )
    types = _map_types(names, inputs)
    columns = {
        name: to_plain_series(to_plain(list(cells)))
        if inputs is None
        else _to_series(cells, types.get(name), nat=nat)
        for name, cells in zip(names, zip(*rows) if rows else ([] for _ in names))
    }
    frame = pd.DataFrame(
        columns, columns=pd.Index(names, dtype=object if not names else None), index=pd.RangeIndex(len(rows))
    )
    index = to_plain(content.get("index"))
    if index is not None:
        if not isinstance(index, list) or len(index) != len(rows):
            raise ContractError(
                "the index of a frame in JSON: expected a list with a label for each row, got something else"
            )
        frame.index = pd.Index(index)
    return frame


def _resolve_names(names: Any, rows: list[Any], inputs: Schema | None) -> list[Any]:
    """Return the names of a frame's columns, from the JSON or else from the schema."""
    if names is None:
        has_names = inputs is not None and inputs.has_input_names()
        is_numbered = inputs is not None and inputs.input_names() == list(range(len(inputs)))
        if has_names and rows and not is_numbered:
            raise ContractError('the model\'s columns have names, but the frame has none. Add "columns"')
        width = max((len(row) if isinstance(row, list) else 1 for row in rows), default=0)
        use_schema = inputs is not None and (has_names or not rows)
        names = inputs.input_names() if use_schema and inputs is not None else list(range(width))
        names = [name if isinstance(name, str) else index for index, name in enumerate(names)]
    elif isinstance(names, list) and inputs is not None and not inputs.is_tensor_spec():
        labels = {str(name): name for name in inputs.input_names() if inputs.has_input_names()}
        names = [labels.get(name, name) if isinstance(name, str) else name for name in names]
    is_valid = isinstance(names, list) and all(type(name) in (str, int) for name in names)
    if not is_valid or len(set(map(str, names))) < len(names):
        raise ContractError(
            "the columns of a frame in JSON: expected a list of different names, got something else"
        )
    return list(names)


def to_plain_series(values: list[Any]) -> pd.Series:
    """Convert values without a declared type to a column of their common type, without losing digits."""
    types = {type(value) for value in values if value is not None}
    has_nulls = None in values
    if types == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if has_nulls else "int64")
    if types == {int, float} and all(type(value) is not int or abs(value) <= 2**53 for value in values):
        return pd.Series([np.nan if value is None else float(value) for value in values])
    if types == {float} or (types == {bool} and not has_nulls):
        return pd.Series([np.nan if value is None else value for value in values])
    return to_object_series(values)


def _to_series(cells: Any, dtype: Type | None, *, nat: bool) -> pd.Series:
    """Convert cells to a column: of float64 if all fit the type double, else of objects."""
    if nat and dtype is DataType.datetime:
        cells = [None if cell == "NaT" else cell for cell in cells]
    values = column_from_json(cells, AnyType() if dtype is None else dtype)
    if dtype is DataType.double and set(map(type, values)) == {float}:
        return pd.Series(np.array(values))
    return to_object_series(values)


def _map_types(names: list[Any], inputs: Schema | None) -> dict[Any, Any]:
    if inputs is None or inputs.is_tensor_spec():
        return {}
    if inputs.has_input_names():
        return {spec.name: spec.type for spec in inputs}
    return {name: spec.type for name, spec in zip(names, inputs)}


def data_from_json(content: Any, inputs: Schema | None) -> Any:
    """Convert rows, columns or scalars to Python values of the declared types, without enforcing them.

    Dictionaries mean the same as in :mod:`sparksig.engine.python`: a list is a column, unless the column is
    declared as an Array.
    """
    if inputs is None:
        return to_plain(content)
    if inputs.is_tensor_spec():
        return arrays_from_json(content, inputs)
    inputs = _label_columns(content, inputs)
    specs = {str(spec.name): spec for spec in inputs if isinstance(spec, ColSpec)}
    if inputs.has_input_names() and not (is_positional(inputs) and not _have_names(content, specs)):
        return _convert_named(content, specs)
    types = [spec.type for spec in inputs if isinstance(spec, ColSpec)]
    if isinstance(content, list):
        if len(types) == 1:
            return column_from_json(content, types[0])
        return [
            [from_json(value, dtype) for value, dtype in zip(row, types)]
            if isinstance(row, list) and len(row) == len(types)
            else to_plain(row)
            for row in content
        ]
    return from_json(content, types[0]) if len(types) == 1 else to_plain(content)


def _convert_named(content: Any, specs: Mapping[str, ColSpec]) -> Any:
    """Convert rows or columns with names."""
    if isinstance(content, list):
        return [_convert_row(row, specs) if isinstance(row, dict) else to_plain(row) for row in content]
    if not isinstance(content, dict):
        return to_plain(content)
    return {
        _find_name(key, specs): _convert_column(value, specs[key]) if key in specs else to_plain(value)
        for key, value in content.items()
    }


def _label_columns(content: Any, inputs: Schema) -> Schema:
    """Label the unnamed columns of a schema with the keys of rows or columns, if their numbers agree."""
    if inputs.has_input_names() or accepts_mappings(inputs):
        return inputs
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        content = dict.fromkeys(key for row in content for key in row)
    fits = isinstance(content, dict) and len(content) == len(inputs)
    return label_by_position(content, inputs) if fits else inputs


def _have_names(content: Any, specs: Mapping[str, ColSpec]) -> bool:
    """Return whether JSON has the names of columns, in rows or as columns."""
    rows = content if isinstance(content, list) else [content]
    return all(isinstance(row, dict) and row.keys() & specs.keys() for row in rows)


def _find_name(key: str, specs: Mapping[str, ColSpec]) -> Any:
    """Return the name of the column for a key of JSON, where integer names are text."""
    return specs[key].name if key in specs else key


def _convert_row(row: dict[str, Any], specs: Mapping[str, ColSpec]) -> dict[Any, Any]:
    return {
        _find_name(key, specs): from_json(value, specs[key].type) if key in specs else to_plain(value)
        for key, value in row.items()
    }


def _convert_column(value: Any, spec: ColSpec) -> Any:
    if isinstance(value, list) and not isinstance(spec.type, (Array, AnyType)):
        return column_from_json(value, spec.type)
    return from_json(value, spec.type)


def params_from_json(params: Mapping[str, Any], schema: ParamSchema | None) -> dict[str, Any]:
    """Convert params to Python values of their declared types, and undeclared params as plain JSON."""
    types = {spec.name: Array(spec.dtype) if spec.shape else spec.dtype for spec in schema or ()}
    return {
        name: from_json(value, types[name]) if name in types else to_plain(value)
        for name, value in params.items()
    }


def has_float32(signature: ModelSignature | None) -> bool:
    """Return whether a signature declares float32 numbers, whose text must not be rounded twice."""
    if signature is None or signature.inputs is None:
        return False
    return any(
        spec.type == np.float32
        if isinstance(spec, TensorSpec)
        else contains(spec.type, lambda part: part is DataType.float)
        for spec in signature.inputs
    )
