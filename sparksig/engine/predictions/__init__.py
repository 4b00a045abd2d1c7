"""Enforcement of a signature's outputs on a model's return value, and its conversion to Arrow.

The casting table is the same as for inputs: narrower types are widened, lossy conversions are refused. NaN
stays NaN, and a null stays a null. Predictions are read like inputs (:mod:`sparksig.engine.python`), in each
format from which outputs can be inferred.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.engine.predictions.columns import encode_columns
from sparksig.engine.predictions.tensors import encode_tensors
from sparksig.errors import Finding, PredictionError
from sparksig.lattice import MODEL_TYPE
from sparksig.schema import Schema, TensorSpec
from sparksig.types import DataType, Type


def get_result_type(outputs: Schema, any_type: pa.DataType | None = None) -> pa.DataType:
    """Return the Arrow type of one prediction: a plain type for one column or tensor, a struct for several.

    Example:
        >>> get_result_type(Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        ListType(list<item: double>)
    """
    fields = to_arrow(outputs, any_type)
    return fields.field(0).type if len(fields) == 1 else pa.struct(list(fields))


def encode(prediction: Any, outputs: Schema, rows: int) -> pa.Array:
    """Encode a model's return value for ``rows`` rows as one Arrow array of that length.

    Args:
        prediction: an array, a pandas or Arrow column or table, a list of values or of dictionaries, a
            dictionary of columns; for a single row also a value or a dictionary of values.
        outputs: the model's declared outputs.
        rows: the number of rows of the model's input.

    Returns:
        An array of :func:`get_result_type`.

    Raises:
        PredictionError: the number of rows, the names, a type or a shape does not fit; all findings.
        ConversionError: a column is declared Any, which has no Arrow type.

    Example:
        >>> encode(np.array([1, 0], dtype="int32"), Schema([TensorSpec(np.dtype("int64"), (-1,))]), 2).type
        DataType(int64)
    """
    arrays = _encode(prediction, outputs, rows)
    if len(arrays) == 1:
        return arrays[0]
    return pa.StructArray.from_arrays(arrays, fields=list(get_result_type(outputs)))


def check(prediction: Any, outputs: Schema, rows: int | None) -> None:
    """Check a prediction without encoding it, also for tensors whose dtypes Arrow does not support.

    Args:
        prediction: the model's return value, as :func:`encode` accepts it.
        outputs: the model's declared outputs.
        rows: the number of rows of the model's input; None if the input has no rows.

    Raises:
        PredictionError: the prediction does not fit the outputs; all findings.
    """
    _encode(prediction, outputs, rows, keep=False)


def _encode(prediction: Any, outputs: Schema, rows: int | None, keep: bool = True) -> list[pa.Array | None]:
    if (array := _encode_if_exact(prediction, outputs, rows)) is not None:
        return [array if keep else None]
    findings: list[Finding] = []
    encode_parts = encode_tensors if outputs.is_tensor_spec() else encode_columns
    arrays = encode_parts(prediction, outputs, rows, findings, keep)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return arrays


def _encode_if_exact(prediction: Any, outputs: Schema, rows: int | None) -> pa.Array | None:
    """Encode an array with one number for each row, of exactly the declared dtype; else return None."""
    if type(prediction) is not np.ndarray or prediction.ndim != 1 or len(prediction) != rows:
        return None
    spec = outputs.inputs[0]
    if len(outputs) > 1 or (isinstance(spec, TensorSpec) and len(spec.shape) != 1):
        return None
    declared_dtype = spec.type if isinstance(spec, TensorSpec) else _NUMBERS.get(spec.type)
    if declared_dtype is None or prediction.dtype != declared_dtype or prediction.dtype.kind not in "fiub":
        return None
    return pa.array(prediction.copy(), from_pandas=False)


_NUMBERS: dict[Type, np.dtype[Any]] = {
    dtype: np.dtype(MODEL_TYPE[dtype])
    for dtype in (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)
}
