"""Inference of signatures from examples of data."""

from __future__ import annotations

import os
import warnings
from typing import Any, get_origin

from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.records import is_record
from sparksig.errors import ContractError, Finding, InferenceError, SparksigWarning, quote
from sparksig.infer.merging import merge
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import DataType
from sparksig.walks import contains


class IntegerColumnWarning(SparksigWarning):
    """A warning that a required input column has an integer type, which has no missing values."""


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """Infer a model's signature from examples of its input and its output, and from its params.

    ==================================================  =================================================
    example                                             inferred
    ==================================================  =================================================
    pandas DataFrame, Arrow table (also of Polars and    a column for each of its columns, optional if it
    others with the Arrow PyCapsule interface)           contains a null
    list of dictionaries                                 a column for each key, optional if the key is absent
                                                         or None in a dictionary
    dictionary                                           a column for each key: its value is the value of one
                                                         row
    NumPy array, SciPy csr or csc matrix                 one unnamed tensor with any number of rows
    dictionary of NumPy arrays                           a named tensor for each key
    pandas Series, Arrow array                           one column
    other lists, scalars                                 one unnamed column
    Spark DataFrame                                      a column for each of its columns, by its schema,
                                                         without a Spark job
    pathlib.Path of a Parquet table                      a column for each of its columns, optional if a
                                                         sample of its rows contains a null
    dataclass, TypedDict or NamedTuple (a class, or an   a column for each field, by its annotations
    instance)
    type hint, ``list[...]``                             one unnamed column of its elements
    ==================================================  =================================================

    The example is never changed. The order of rows does not matter; columns have the order of their first
    occurrence.

    Predictions are inferred in the same way. The example of the input decides between some readings:

    ==================================================  =================================================
    prediction                                           inferred
    ==================================================  =================================================
    NumPy array of rank 1, for an input of columns       one unnamed column; a tensor for an input of tensors
    NumPy array of objects                               strings; other objects are refused
    dictionary of columns (lists, arrays, Series), each  a column for each key; arrays of rank 2 and more are
    with one value for each row of the input             columns of arrays, or named tensors if all are
    other dictionaries                                   a column for each key: its value is the value of one
                                                         row
    pandas Index, extension array, Categorical           one column
    tuples                                               like lists
    dataclass, named tuple, pydantic object              like the dictionary of its fields
    list of dataclasses, named tuples, pydantic objects  like a list of dictionaries
    ==================================================  =================================================

    If the input has a single row, a dictionary of lists with one element each has two readings. It is a table
    if the input is a table (a DataFrame, a list of rows): ``{"tier": ["low"]}`` is a column of strings. It is
    one row if the input is a dictionary or a value: ``{"sources": ["map"]}`` is a column of Array(string).
    Later predictions are read by the signature: a list is a column, unless the column is declared an Array.

    Args:
        model_input: an example of the model's input.
        model_output: an example of the model's output.
        params: a dictionary of names and default values.

    Returns:
        The signature. A side is None if its example is None.

    Raises:
        InferenceError: an example has no signature; one finding for each path. No type is guessed. Timestamps
            out of the range of nanoseconds are refused with the findings of :func:`sparksig.enforce`.
        ConversionError: a class or a type hint has parts without a signature type; one finding for each.

    Warns:
        IntegerColumnWarning: a required input column has an integer type.

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
    has_no_params = params is None or (isinstance(params, dict) and not params)
    if model_input is None and model_output is None and has_no_params:
        raise InferenceError(
            "expected an example, got None for model_input, model_output and params: pass at least one"
        )
    inputs = None if model_input is None else _infer(model_input)
    outputs = None
    if model_output is not None:
        rows, is_one_row = _inspect_rows(model_input)
        outputs = infer_outputs(model_output, inputs, rows, is_one_row)
    _warn_about_integers(inputs)
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
        from sparksig.convert.annotations import from_record

        return from_record(cls)
    if _is_hint(example):
        from sparksig.convert.annotations import from_hint

        return from_hint(example)
    if root == "scipy" and hasattr(example, "format"):
        from sparksig.infer.tensors import from_sparse

        return from_sparse(example)
    schema = _infer_data(example)
    verify_times(example, schema)
    return schema


def verify_times(example: Any, schema: Schema) -> None:
    """Refuse an example whose times do not fit into the schema that was inferred from it.

    Models receive times in nanoseconds, whose range is smaller than that of other units. Only columns with
    times are enforced, so the check costs nothing for other columns.
    """
    if schema.is_tensor_spec():  # times of tensors are not converted to nanoseconds
        return
    specs = [spec for spec in schema if contains(spec.type, lambda part: part is DataType.datetime)]
    if not specs:
        return
    from sparksig.engine.frames import enforce

    try:
        enforce(example, Schema(specs))
    except ContractError as error:
        raise InferenceError.of("no signature for this example", error.findings) from None


def infer_outputs(model_output: Any, inputs: Schema | None, rows: int | None, is_one_row: bool) -> Schema:
    """Infer a model's outputs from its prediction for an example of its input.

    The example is a single row if it is a dictionary of values, or a value.

    Example:
        >>> infer_outputs({"label": ["hot"]}, None, rows=1, is_one_row=False)
        ['label': string (required)]
    """
    if type(model_output).__module__.partition(".")[0] == "pyspark" or _is_hint(model_output):
        return _infer(model_output)
    from sparksig.infer.outputs import from_prediction

    return from_prediction(model_output, inputs, rows, is_one_row, _infer)


def _inspect_rows(model_input: Any) -> tuple[int | None, bool]:
    """Return the number of rows of an example, and whether its format is that of a single row."""
    if model_input is None or isinstance(model_input, os.PathLike):
        return None, False
    if type(model_input).__module__.partition(".")[0] == "pyspark":
        return None, False
    from sparksig.infer.outputs import count_rows, is_row

    return count_rows(model_input), is_row(model_input)


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
    """Return whether an example is a type or a generic type such as ``list[int]``, not a value."""
    return isinstance(example, type) or get_origin(example) is not None


def merge_schemas(left: Schema, right: Schema) -> Schema:
    """Merge the schemas of two examples, as if both examples were inferred together.

    A column that one schema lacks becomes optional. The columns of ``left`` come first.

    Example:
        >>> left, right = (infer_signature([row]).inputs for row in ({"a": 1.5}, {"a": None, "b": "x"}))
        >>> merge_schemas(left, right)
        ['a': double (optional), 'b': string (optional)]
    """
    left, right = from_mlflow(left), from_mlflow(right)
    if left == right:
        return left
    if left.is_tensor_spec() or right.is_tensor_spec() or left.has_input_names() != right.has_input_names():
        raise InferenceError(f"cannot merge schemas of different kinds: {left!r} and {right!r}"[:300])
    sides = [dict(zip(side.input_names(), side)) for side in (left, right)]
    specs: list[ColSpec] = []
    findings: list[Finding] = []
    for name in sides[0] | sides[1]:
        left_spec, right_spec = (side.get(name) for side in sides)
        if left_spec is None or right_spec is None:
            specs.append(ColSpec((left_spec or right_spec).type, name, required=False))  # type: ignore[union-attr]
            continue
        try:
            dtype = merge(left_spec.type, right_spec.type, quote(name) if left.has_input_names() else "")
        except InferenceError as error:
            findings += error.findings
            continue
        specs.append(ColSpec(dtype, left_spec.name, left_spec.required and right_spec.required))
    if findings:
        raise InferenceError.of("cannot merge these schemas", findings)
    return Schema(specs)


def _warn_about_integers(inputs: Schema | None) -> None:
    if inputs is None or inputs.is_tensor_spec():
        return
    names = [
        str(name)
        for name, spec in zip(inputs.input_names(), inputs)
        if spec.required and spec.type in (DataType.integer, DataType.long)
    ]
    if names:
        listing = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        warnings.warn(
            f"Handling Integers With Missing Values: required integer columns ({listing}) cannot represent "
            "missing values; if values may be missing, infer from an example with missing values, or declare "
            "the columns double",
            IntegerColumnWarning,
            stacklevel=3,
        )
