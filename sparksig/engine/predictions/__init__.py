"""Predictions -> Arrow: a model's return value, enforced against the outputs of its signature.

The casting table is that of the inputs: a narrower type is widened, anything lossy is refused. NaN stays NaN,
a null stays a null. Predictions are read as inputs are (:mod:`sparksig.engine.python`), in each form from
which a signature's outputs can be inferred.
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

__all__ = ["check", "encode", "result_type"]


def result_type(outputs: Schema, any_type: pa.DataType | None = None) -> pa.DataType:
    """Return the Arrow type of one prediction: a plain type for one column or tensor, a struct for several.

    Args:
        outputs: the model's declared outputs.
        any_type: the type for Any, for which Arrow has none.

    Raises:
        ConversionError: Arrow has no such type.

    Example:
        >>> result_type(Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
        ListType(list<item: double>)
    """
    fields = to_arrow(outputs, any_type)
    return fields.field(0).type if len(fields) == 1 else pa.struct(list(fields))


def encode(prediction: Any, outputs: Schema, rows: int) -> pa.Array:
    """Encode a model's return value for ``rows`` rows as one Arrow array of that length.

    Args:
        prediction: an array, a pandas or Arrow column or table, a list of values or of dictionaries, a
            dictionary of columns; for a single row a value or a dictionary of values.
        outputs: the model's declared outputs.
        rows: how many rows the model was given.

    Returns:
        An array of :func:`result_type`.

    Raises:
        PredictionError: a wrong number of rows, names missing or too many, a type that does not widen,
            a shape that does not fit; all findings.
        ConversionError: a column of Any, for which Arrow has no type.

    Example:
        >>> encode(np.array([1, 0], dtype="int32"), Schema([TensorSpec(np.dtype("int64"), (-1,))]), 2).type
        DataType(int64)
    """
    arrays = _encode(prediction, outputs, rows)
    if len(arrays) == 1:
        return arrays[0]
    return pa.StructArray.from_arrays(arrays, fields=list(result_type(outputs)))


def check(prediction: Any, outputs: Schema, rows: int | None) -> None:
    """Check that a prediction fits, and leave it as it is; tensors of dtypes that Arrow lacks included.

    Args:
        prediction: as of :func:`encode`.
        outputs: the model's declared outputs.
        rows: how many rows the model was given; None where its input has no rows.

    Raises:
        PredictionError: as of :func:`encode`.
    """
    _encode(prediction, outputs, rows, keep=False)


def _encode(prediction: Any, outputs: Schema, rows: int | None, keep: bool = True) -> list[pa.Array | None]:
    if (plain := _as_it_is(prediction, outputs, rows)) is not None:
        return [plain if keep else None]
    findings: list[Finding] = []
    encode_parts = encode_tensors if outputs.is_tensor_spec() else encode_columns
    arrays = encode_parts(prediction, outputs, rows, findings, keep)
    if findings:
        raise PredictionError.of("the prediction breaks the model's output schema", findings)
    return arrays


def _as_it_is(prediction: Any, outputs: Schema, rows: int | None) -> pa.Array | None:
    """Encode an array of one number for each row, in just the declared dtype; return None for all else."""
    if type(prediction) is not np.ndarray or prediction.ndim != 1 or len(prediction) != rows:
        return None
    spec = outputs.inputs[0]
    if len(outputs) > 1 or (isinstance(spec, TensorSpec) and len(spec.shape) != 1):
        return None
    wanted = spec.type if isinstance(spec, TensorSpec) else _NUMBERS.get(spec.type)
    if wanted is None or prediction.dtype != wanted or prediction.dtype.kind not in "fiub":
        return None
    return pa.array(prediction.copy(), from_pandas=False)


_NUMBERS: dict[Type, np.dtype[Any]] = {
    known: np.dtype(MODEL_TYPE[known])
    for known in (
        DataType.boolean,
        DataType.integer,
        DataType.long,
        DataType.float,
        DataType.double,
    )
}
