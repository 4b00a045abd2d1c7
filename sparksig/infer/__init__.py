"""From an example to a signature. So far: pandas, NumPy, and Spark DataFrames by their schema."""

from __future__ import annotations

import warnings
from typing import Any

from sparksig.errors import InferenceError, UnsupportedError, kind
from sparksig.schema import Schema
from sparksig.signature import ModelSignature
from sparksig.types import DataType

__all__ = ["IntegerColumnWarning", "infer_signature"]


class IntegerColumnWarning(UserWarning):
    """An inferred input column is of an integer type, which has no place for a missing value."""


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """The signature of a model, from an example of what it takes and of what it gives.

    Args:
        model_input: a pandas DataFrame or Series, a NumPy array or a dictionary of them, or a Spark
            DataFrame (its schema alone is read: no Spark job).
        model_output: likewise.
        params: not inferred yet; pass a ParamSchema to :class:`ModelSignature` instead.

    Returns:
        The signature; a side whose example is None is None.

    Raises:
        InferenceError: an example has no signature: all columns concerned, none is guessed.
        UnsupportedError: kinds of examples that cannot be inferred yet.

    Warns:
        IntegerColumnWarning: an input column is of an integer type.

    Example:
        >>> import numpy as np, pandas as pd
        >>> infer_signature(pd.DataFrame({"x": [1.5]}), np.array([0])).outputs
        [Tensor('int64', (-1,))]
    """
    if params:
        raise UnsupportedError(
            "params cannot be inferred yet: build ModelSignature(inputs, outputs, ParamSchema([...]))"
        )
    if model_input is None and model_output is None:
        raise InferenceError(
            "there is nothing to infer a signature from: model_input and model_output are None"
        )
    inputs = None if model_input is None else _infer(model_input)
    outputs = None if model_output is None else _infer(model_output)
    _warn_of_integers(inputs)
    return ModelSignature(inputs, outputs)


def _infer(example: Any) -> Schema:
    module = type(example).__module__.partition(".")[0]
    if module == "pyspark" and hasattr(example, "schema"):
        from sparksig.infer.frames import from_struct

        return from_struct(example.schema)
    if module == "numpy":
        import numpy as np

        if isinstance(example, np.ndarray):
            from sparksig.infer.tensors import from_array

            return from_array(example)
    if isinstance(example, dict) and example:
        import numpy as np

        from sparksig.infer.tensors import from_arrays

        if all(isinstance(value, np.ndarray) for value in example.values()):
            return from_arrays(example)
    if module == "pandas":
        import pandas as pd

        from sparksig.infer.frames import from_frame, from_series

        if isinstance(example, pd.DataFrame):
            return from_frame(example)
        if isinstance(example, pd.Series):
            return from_series(example)
    raise UnsupportedError(
        "signatures are inferred from pandas, NumPy (or dictionaries of arrays) and Spark DataFrames so far; "
        f"not yet from {kind(example)}"
    )


def _warn_of_integers(inputs: Schema | None) -> None:
    if inputs is None or inputs.is_tensor_spec():
        return
    names = [
        str(name)
        for name, dtype in zip(inputs.input_names(), inputs.input_types())
        if dtype in (DataType.integer, DataType.long)
    ]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        warnings.warn(
            f"integer columns ({shown}) have no place for missing values: where some may be missing, "
            "infer from an example that has them, or declare the columns double",
            IntegerColumnWarning,
            stacklevel=3,
        )
