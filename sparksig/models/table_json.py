"""Columns in JSON: rows, columns and scalars as Python values of the types that the schema declares.

None of the values is judged: that is the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.json import column_from_json, from_json, plain
from sparksig.engine.frames import model_input
from sparksig.engine.python import as_series, holds_mappings, is_positional, label_by_position
from sparksig.engine.texts import OBJECTS, TextDtypes
from sparksig.errors import ContractError
from sparksig.models.tensor_json import arrays_from_json
from sparksig.params import ParamSchema
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Type
from sparksig.walks import contains

__all__ = [
    "columns_from_json",
    "data_from_json",
    "frame_from_json",
    "has_float32",
    "params_from_json",
    "plain_series",
]


def frame_from_json(
    content: Any, inputs: Schema | None, *, nat: bool = False, texts: TextDtypes = OBJECTS
) -> pd.DataFrame:
    """``{"columns": [...], "data": [[...]], "index": [...]}`` as a frame: typed where there is a schema.

    Args:
        content: the JSON.
        inputs: the schema.
        nat: whether missing times may be the text NaT, as MLflow writes them in examples.
        texts: the dtypes of text columns.

    Raises:
        ContractError: it is not of this form, or does not fit the schema.
    """
    frame = columns_from_json(content, inputs, nat=nat)
    if inputs is None:
        return frame
    enforced: pd.DataFrame = model_input(frame, inputs, texts=texts)
    return enforced


def columns_from_json(content: Any, inputs: Schema | None, *, nat: bool = False) -> pd.DataFrame:
    """The same, as columns of Python values of their declared types, none of them judged."""
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise ContractError("a frame in JSON is an object with the keys columns and data, a list of rows")
    if unknown := set(content) - {"columns", "data", "index"}:
        raise ContractError(
            f"a frame in JSON has the keys columns, data and index, not {sorted(unknown)[0]!r}"
        )
    rows = content["data"]
    width = max((len(row) if isinstance(row, list) else 1 for row in rows), default=0)
    names = content.get("columns")
    if names is None:
        named = inputs is not None and inputs.has_input_names()
        numbered = inputs is not None and inputs.input_names() == list(range(len(inputs)))
        if named and rows and not numbered:
            raise ContractError("the model's columns have names, and the frame says none: add columns")
        names = inputs.input_names() if inputs is not None and (named or not rows) else list(range(width))
        names = [name if isinstance(name, str) else index for index, name in enumerate(names)]
    elif isinstance(names, list) and inputs is not None and not inputs.is_tensor_spec():
        numbers = {str(name): name for name in inputs.input_names() if inputs.has_input_names()}
        names = [numbers.get(name, name) if isinstance(name, str) else name for name in names]
    plain_names = isinstance(names, list) and all(type(name) in (str, int) for name in names)
    if not plain_names or len(set(map(str, names))) < len(names):
        raise ContractError("the columns of a frame in JSON are a list of different names")
    rows = [row if isinstance(row, list) else [row] for row in rows]
    if any(len(row) != len(names) for row in rows):
        raise ContractError(
            f"a row of the frame in JSON has not {len(names)} values, as many as there are columns"
        )
    types = _types(names, inputs)
    columns = zip(*rows) if rows else ([] for _ in names)
    held = {
        name: _series(
            column_from_json(_given(column, types.get(name), nat), types.get(name, AnyType())),
            types.get(name),
        )
        if inputs is not None
        else plain_series(plain(list(column)))
        for name, column in zip(names, columns)
    }
    frame = pd.DataFrame(
        held, columns=pd.Index(names, dtype=object if not names else None), index=pd.RangeIndex(len(rows))
    )
    index = plain(content.get("index"))
    if index is not None:
        if not isinstance(index, list) or len(index) != len(rows):
            raise ContractError("the index of a frame in JSON is a list with a label for each row")
        frame.index = pd.Index(index)
    return frame


def _given(column: Any, dtype: Type | None, nat: bool) -> Any:
    return [None if one == "NaT" else one for one in column] if nat and dtype is DataType.datetime else column


def plain_series(values: list[Any]) -> pd.Series:
    """Values as a column without a type declared: what all of them are, and a gap costs no digit."""
    forms = {type(one) for one in values if one is not None}
    gaps = None in values
    if forms == {int} and all(one is None or -(2**63) <= one < 2**63 for one in values):
        return pd.Series(values, dtype="Int64" if gaps else "int64")
    if forms == {int, float} and all(type(one) is not int or abs(one) <= 2**53 for one in values):
        return pd.Series([np.nan if one is None else float(one) for one in values])
    if forms == {float} or (forms == {bool} and not gaps):
        return pd.Series([np.nan if one is None else one for one in values])
    return as_series(values)


def _series(values: list[Any], dtype: Type | None) -> pd.Series:
    """Values as a column: of numbers, where all are what the type says, else of objects."""
    if dtype is DataType.double and set(map(type, values)) == {float}:
        return pd.Series(np.array(values))
    return as_series(values)


def _types(names: list[Any], inputs: Schema | None) -> dict[Any, Any]:
    if inputs is None or inputs.is_tensor_spec():
        return {}
    if inputs.has_input_names():
        return {spec.name: spec.type for spec in inputs}
    return {name: spec.type for name, spec in zip(names, inputs)}


def data_from_json(content: Any, inputs: Schema | None) -> Any:
    """Rows, columns or scalars as Python values of their declared types, none of them judged.

    One reading of a dictionary, as in :mod:`sparksig.engine.python`: a list is a column, unless the column
    is declared an Array.
    """
    if inputs is None:
        return plain(content)
    if inputs.is_tensor_spec():
        return arrays_from_json(content, inputs)
    inputs = _labelled(content, inputs)
    known = {str(spec.name): spec for spec in inputs if isinstance(spec, ColSpec)}
    if inputs.has_input_names() and not (is_positional(inputs) and not _are_records(content, known)):
        if isinstance(content, list):
            return [_row(row, known) if isinstance(row, dict) else plain(row) for row in content]
        if isinstance(content, dict):
            return {
                _name(key, known): _values(one, known[key]) if key in known else plain(one)
                for key, one in content.items()
            }
        return plain(content)
    types = [spec.type for spec in inputs if isinstance(spec, ColSpec)]
    if isinstance(content, list):
        if len(types) == 1:
            return column_from_json(content, types[0])
        return [
            [from_json(one, dtype) for one, dtype in zip(row, types)]
            if isinstance(row, list) and len(row) == len(types)
            else plain(row)
            for row in content
        ]
    return from_json(content, types[0]) if len(types) == 1 else plain(content)


def _labelled(content: Any, inputs: Schema) -> Schema:
    """Return a schema of unnamed columns with the keys of rows, or of columns, as labels where they fit."""
    if inputs.has_input_names() or holds_mappings(inputs):
        return inputs
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        content = dict.fromkeys(key for row in content for key in row)
    fits = isinstance(content, dict) and len(content) == len(inputs)
    return label_by_position(content, inputs) if fits else inputs


def _are_records(content: Any, known: Mapping[str, ColSpec]) -> bool:
    """Return whether JSON has the names of columns, in rows or as columns."""
    rows = content if isinstance(content, list) else [content]
    return all(isinstance(row, dict) and row.keys() & known.keys() for row in rows)


def _name(key: str, known: Mapping[str, ColSpec]) -> Any:
    """Return the name of the column that a key of JSON stands for: an integer name is text in JSON."""
    return known[key].name if key in known else key


def _row(row: dict[str, Any], known: Mapping[str, ColSpec]) -> dict[Any, Any]:
    return {
        _name(key, known): from_json(one, known[key].type) if key in known else plain(one)
        for key, one in row.items()
    }


def _values(value: Any, spec: ColSpec) -> Any:
    if isinstance(value, list) and not isinstance(spec.type, (Array, AnyType)):
        return column_from_json(value, spec.type)
    return from_json(value, spec.type)


def params_from_json(given: Mapping[str, Any], schema: ParamSchema | None) -> dict[str, Any]:
    """Params as their types say; those that are unknown as JSON has them."""
    known = {spec.name: Array(spec.dtype) if spec.shape else spec.dtype for spec in schema or ()}
    return {name: from_json(one, known[name]) if name in known else plain(one) for name, one in given.items()}


def has_float32(signature: ModelSignature | None) -> bool:
    """Whether a signature declares numbers for which their text has to be kept, to be rounded once."""
    if signature is None or signature.inputs is None:
        return False
    return any(
        spec.type == np.float32
        if isinstance(spec, TensorSpec)
        else contains(spec.type, lambda part: part is DataType.float)
        for spec in signature.inputs
    )
