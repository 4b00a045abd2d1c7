"""NumPy arrays -> tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparksig.errors import Code, Finding, InferenceError, SignatureError, kind, step
from sparksig.schema import Name, Schema, TensorSpec

__all__ = ["from_array", "from_arrays"]


def from_array(array: np.ndarray[Any, Any]) -> Schema:
    """The schema of one unnamed tensor: its dtype (strings without their size), any number of rows.

    Raises:
        InferenceError: no dimension to be the rows, or a dtype that JSON cannot name.

    Example:
        >>> from_array(np.zeros((4, 3), dtype="float32"))
        [Tensor('float32', (-1, 3))]
    """
    return Schema([_spec(array, None)])


def from_arrays(arrays: dict[Name, np.ndarray[Any, Any]]) -> Schema:
    """The schema of several named tensors.

    Raises:
        InferenceError: as :func:`from_array`, every tensor's finding.
    """
    specs: list[TensorSpec] = []
    findings: list[Finding] = []
    for name, array in arrays.items():
        try:
            if not isinstance(name, (str, int)):
                finding = Finding(Code.INVALID_NAME, step(name), "a string or an integer", kind(name))
                raise InferenceError.of("no signature for these tensors", [finding])
            specs.append(_spec(array, name))
        except InferenceError as error:
            findings += error.findings
    if findings:
        raise InferenceError.of("no signature for these tensors", findings)
    return Schema(specs)


def _spec(array: np.ndarray[Any, Any], name: Name | None) -> TensorSpec:
    path = "" if name is None else step(name)
    if array.ndim == 0:
        finding = Finding(
            Code.SHAPE_MISMATCH,
            path,
            "an array of rank 1 or more",
            "an array without a dimension",
            "its first dimension is the rows: give it one",
        )
        raise InferenceError.of("no signature for this array", [finding])
    dtype = np.dtype(array.dtype.type) if array.dtype.kind in "SU" else array.dtype
    try:
        return TensorSpec(dtype, (-1, *array.shape[1:]), name)
    except SignatureError as error:
        finding = Finding(Code.UNSUPPORTED_TYPE, path, found=str(array.dtype), hint=error.message)
        raise InferenceError.of("no signature for this array", [finding]) from None
