"""From an example to a signature."""

from __future__ import annotations

import os
import warnings
from typing import Any, get_origin

from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.records import is_record
from sparksig.errors import ContractError, Finding, InferenceError, SparksigWarning, step
from sparksig.infer.merging import merge
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import DataType, Type
from sparksig.walks import contains

__all__ = ["IntegerColumnWarning", "infer_signature", "merge_schemas"]


class IntegerColumnWarning(SparksigWarning):
    """A required input column is of an integer type, which has no place for a missing value."""


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """The signature of a model, from an example of what it takes, of what it gives, and of its params.

    ==================================================  =================================================
    example                                             inferred
    ==================================================  =================================================
    pandas DataFrame, Arrow table (also Polars, DuckDB:  a column for each of its columns, optional where
    whatever has the Arrow PyCapsule interface)          it holds a null
    list of dictionaries                                 a column for each key, optional where the key is
                                                         absent or None
    dictionary                                           a column for each key: its value is one row's value
    NumPy array, SciPy csr or csc matrix                 one unnamed tensor, its first dimension being any
    dictionary of NumPy arrays                           a named tensor for each key
    pandas Series, Arrow array                           one column
    other lists, scalars                                 one unnamed column
    Spark DataFrame                                      a column for each of its columns, by its schema
                                                         alone: no Spark job
    pathlib.Path of a Parquet table                      a column for each of its columns, optional where a
                                                         sample of its rows holds a null
    dataclass, TypedDict or NamedTuple (a class, or an   a column for each field, by its annotations
    instance)
    type hint, ``list[...]``                             one unnamed column of its elements
    ==================================================  =================================================

    The example is never changed. Order matters only to columns: they stand as they are first seen.

    Predictions are inferred in the same way, and in some forms more, with what is known of the input:

    ==================================================  =================================================
    prediction                                           inferred
    ==================================================  =================================================
    NumPy array of rank 1, for an input of columns       one unnamed column; a tensor for an input of tensors
    NumPy array of objects                               strings; other objects are refused
    dictionary of columns (lists, arrays, Series), each  a column for each key; arrays of rank 2 and more are
    with one value for each row of the input             columns of arrays, and named tensors if all are
    other dictionaries                                   a column for each key: its value is one row's value
    pandas Index, extension array, Categorical           one column
    tuples                                               as lists
    dataclass, named tuple, pydantic object              as the dictionary of its fields
    list of dataclasses, named tuples, pydantic objects  as a list of dictionaries
    ==================================================  =================================================

    For an input of a single row, a dictionary of lists with one element each is a table if the input is one
    (a DataFrame, a list of rows): ``{"tier": ["low"]}`` is a column of strings. If the input is a dictionary
    or a value, it is one row: ``{"sources": ["map"]}`` is a column of Array(string). Later predictions are
    read by the signature: a list is a column, unless the column is declared an Array.

    Args:
        model_input: an example of what the model takes.
        model_output: an example of what it returns.
        params: a dictionary from names to defaults.

    Returns:
        The signature; a side whose example is None is None.

    Raises:
        InferenceError: an example has no signature: every path concerned, and why. None is guessed.
            Timestamps that nanoseconds cannot hold are refused with the findings of :func:`sparksig.enforce`.
        ConversionError: a class or a type hint has parts that no type covers; every one.

    Warns:
        IntegerColumnWarning: an input column is required and of an integer type.

    Example:
        >>> infer_signature([{"text": "Where?", "top_k": 2.0}], ["here"], {"temperature": 0.5})
        inputs:
          ['text': string (required), 'top_k': double (required)]
        outputs:
          [string (required)]
        params:
          ['temperature': double (default: 0.5)]
        <BLANKLINE>
    """
    nothing = params is None or (isinstance(params, dict) and not params)
    if model_input is None and model_output is None and nothing:
        raise InferenceError(
            "there is nothing to infer a signature from: model_input, model_output and params are None"
        )
    inputs = None if model_input is None else _infer(model_input)
    outputs = None
    if model_output is not None:
        rows, record = _rows_of(model_input)
        outputs = infer_outputs(model_output, inputs, rows, record)
    _warn_of_integers(inputs)
    if params is None:
        return ModelSignature(inputs, outputs)
    from sparksig.infer.params import from_params

    return ModelSignature(inputs, outputs, from_params(params))


def _infer(example: Any) -> Schema:
    root = type(example).__module__.partition(".")[0]
    if root == "pyspark" and hasattr(example, "schema"):
        from sparksig.infer.frames import from_struct

        return from_struct(example.schema)
    if isinstance(example, os.PathLike):
        from sparksig.tables.infer import infer_parquet

        inputs = infer_parquet(example).signature.inputs
        assert inputs is not None
        return inputs
    cls = example if isinstance(example, type) else type(example)
    if is_record(cls):
        from sparksig.convert.hints import from_record

        return from_record(cls)
    if _is_hint(example):
        from sparksig.convert.hints import from_hint

        return from_hint(example)
    if root == "scipy" and hasattr(example, "format"):
        from sparksig.infer.tensors import from_sparse

        return from_sparse(example)
    schema = _infer_data(example)
    verify_times(example, schema)
    return schema


def verify_times(example: Any, schema: Schema) -> None:
    """Refuse an example whose times cannot be enforced by the schema that was inferred from it.

    Types say nothing about the range of their values, and models see nanoseconds. Only the columns that
    hold times are enforced, so that the check costs nothing for all others.

    Args:
        example: the data, of any form that :func:`infer_signature` accepts.
        schema: what was inferred from it.

    Raises:
        InferenceError: the findings of :func:`sparksig.enforce` for the same data.
    """
    if schema.is_tensor_spec():  # tensors keep the unit of their times
        return
    specs = [spec for spec in schema if isinstance(spec, ColSpec) and _has_times(spec.type)]
    if not specs:
        return
    from sparksig.engine.frames import enforce

    try:
        enforce(example, Schema(specs))
    except ContractError as error:
        raise InferenceError.of("no signature for this example", error.findings) from None


def _has_times(dtype: Type) -> bool:
    return contains(dtype, lambda part: part is DataType.datetime)


def infer_outputs(model_output: Any, inputs: Schema | None, rows: int | None, record: bool) -> Schema:
    """Infer a model's outputs from its prediction for an example of its input.

    Args:
        model_output: the prediction.
        inputs: the model's inputs; None where they are not known.
        rows: how many rows the example has; None where that is not known.
        record: whether the example is a single row: a dictionary of values, or a value.

    Raises:
        InferenceError: the prediction has no signature; every path.

    Example:
        >>> infer_outputs({"label": ["hot"]}, None, rows=1, record=False)
        ['label': string (required)]
    """
    if type(model_output).__module__.partition(".")[0] == "pyspark" or _is_hint(model_output):
        return _infer(model_output)
    from sparksig.infer.outputs import from_prediction

    return from_prediction(model_output, inputs, rows, record, _infer)


def _rows_of(model_input: Any) -> tuple[int | None, bool]:
    """Return how many rows an example has, and whether it is a single row by its form."""
    if model_input is None or isinstance(model_input, os.PathLike):
        return None, False
    if type(model_input).__module__.partition(".")[0] == "pyspark":
        return None, False
    from sparksig.infer.outputs import count_rows, is_record

    return count_rows(model_input), is_record(model_input)


def _infer_data(example: Any) -> Schema:
    import numpy as np
    import pandas as pd

    from sparksig.convert.arrow import is_arrow
    from sparksig.infer import arrow, frames, python, tensors

    if isinstance(example, pd.DataFrame):
        return frames.from_frame(example)
    if isinstance(example, pd.Series):
        return frames.from_series(example)
    if isinstance(example, np.ndarray):
        return tensors.from_array(example)
    if isinstance(example, dict):
        if example and all(isinstance(value, np.ndarray) for value in example.values()):
            return tensors.from_arrays(example)
        return python.from_dict(example)
    if isinstance(example, list):
        return python.from_list(example)
    if is_arrow(example):
        return arrow.from_batches(example)
    return python.from_scalar(example)


def _is_hint(example: Any) -> bool:
    """Whether it is a type, or made of types as ``list[int]`` is, and no value."""
    return isinstance(example, type) or get_origin(example) is not None


def merge_schemas(left: Schema, right: Schema) -> Schema:
    """The schema of two examples of one thing, as if both were inferred at once.

    A column that one side lacks is optional; the order is the left side's, then the right side's.

    Args:
        left: one schema.
        right: the other.

    Returns:
        What covers both.

    Raises:
        InferenceError: no one type covers both; every path.

    Example:
        >>> one, two = (infer_signature([row]).inputs for row in ({"a": 1.5}, {"a": None, "b": "x"}))
        >>> merge_schemas(one, two)
        ['a': double (optional), 'b': string (optional)]
    """
    left, right = from_mlflow(left), from_mlflow(right)
    if left == right:
        return left
    if left.is_tensor_spec() or right.is_tensor_spec() or left.has_input_names() != right.has_input_names():
        raise InferenceError(f"two kinds of examples have no one schema: {left!r} and {right!r}"[:300])
    sides = [dict(zip(side.input_names(), side)) for side in (left, right)]
    specs: list[ColSpec] = []
    findings: list[Finding] = []
    for name in sides[0] | sides[1]:
        mine, other = (side.get(name) for side in sides)
        if mine is None or other is None:
            specs.append(ColSpec((mine or other).type, name, required=False))  # type: ignore[union-attr]
            continue
        try:
            dtype = merge(mine.type, other.type, step(name) if left.has_input_names() else "")
        except InferenceError as error:
            findings += error.findings
            continue
        specs.append(ColSpec(dtype, mine.name, mine.required and other.required))
    if findings:
        raise InferenceError.of("no one schema covers both examples", findings)
    return Schema(specs)


def _warn_of_integers(inputs: Schema | None) -> None:
    if inputs is None or inputs.is_tensor_spec():
        return
    names = [
        str(name)
        for name, spec in zip(inputs.input_names(), inputs)
        if spec.required and spec.type in (DataType.integer, DataType.long)
    ]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        warnings.warn(
            f"Handling Integers With Missing Values: required integer columns ({shown}) have no place for "
            "missing values; where some may be missing, infer from an example that has them, or declare "
            "the columns double",
            IntegerColumnWarning,
            stacklevel=3,
        )
