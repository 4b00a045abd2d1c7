"""Inference of tensors from NumPy arrays and SciPy sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparksig.convert import report_duplicates
from sparksig.errors import Code, Finding, InferenceError, SignatureError, name_type, quote
from sparksig.schema import Name, Schema, TensorSpec


def from_array(array: np.ndarray[Any, Any]) -> Schema:
    """Infer one unnamed tensor: the dtype of the array (strings without their length), any number of rows.

    Example:
        >>> from_array(np.zeros((4, 3), dtype="float32"))
        [Tensor('float32', (-1, 3))]
    """
    return Schema([_infer_spec(array, None)])


def from_sparse(matrix: Any) -> Schema:
    """Infer one unnamed tensor from a sparse matrix or array: the dtype of its values, any number of rows.

    Example:
        >>> import scipy.sparse
        >>> from_sparse(scipy.sparse.csr_array([[1.5, 0.0], [0.0, 2.0]]))
        [Tensor('float64', (-1, 2))]
    """
    if matrix.format not in ("csr", "csc"):
        expected = "a sparse matrix in the format csr or csc"
        finding = Finding(Code.UNSUPPORTED_TYPE, "", expected, matrix.format, "convert it with tocsr()")
        raise InferenceError.of("no signature for this matrix", [finding])
    return Schema([_infer_spec(matrix, None)])


def from_arrays(arrays: dict[Name, np.ndarray[Any, Any]]) -> Schema:
    """Infer a named tensor from each array of a dictionary."""
    specs: list[TensorSpec] = []
    findings = report_duplicates([str(name) for name in arrays], "one tensor of that name, as text")
    for name, array in arrays.items():
        try:
            if isinstance(name, bool) or not isinstance(name, (str, int)):
                finding = Finding(Code.INVALID_NAME, quote(name), "a string or an integer", name_type(name))
                raise InferenceError.of("no signature for these tensors", [finding])
            specs.append(_infer_spec(array, name))
        except InferenceError as error:
            findings += error.findings
    if findings:
        raise InferenceError.of("no signature for these tensors", findings)
    return Schema(specs)


def _infer_spec(array: Any, name: Name | None) -> TensorSpec:
    path = "" if name is None else quote(name)
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        hint = "a signature has no masks: fill the masked values explicitly"
        finding = Finding(Code.INVALID_VALUE, path, "an array without masked values", "masked values", hint)
        raise InferenceError.of("no signature for this array", [finding])
    if array.ndim == 0:
        expected, actual = "an array of rank 1 or more", "an array without a dimension"
        hint = "add a dimension for the rows, for example with array.reshape(1)"
        finding = Finding(Code.SHAPE_MISMATCH, path, expected, actual, hint)
        raise InferenceError.of("no signature for this array", [finding])
    dtype = np.dtype(array.dtype.type) if array.dtype.kind in "SU" else array.dtype
    try:
        return TensorSpec(dtype, (-1, *array.shape[1:]), name)
    except SignatureError as error:
        finding = Finding(Code.UNSUPPORTED_TYPE, path, actual=str(array.dtype), hint=error.message)
        raise InferenceError.of("no signature for this array", [finding]) from None
