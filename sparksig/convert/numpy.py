"""Conversion between NumPy or pandas dtypes and types."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparksig.errors import ConversionError, Finding
from sparksig.lattice import MODEL_TYPE, Scalar, Source, find_upper_bounds
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import TensorSpec
from sparksig.types import DataType, Type, describe

_NAMES = {"string": "str", "binary": "bytes", "timestamp": "datetime64[ns]"}
_TO_NUMPY = {dtype: np.dtype(_NAMES.get(name, name)) for dtype, name in MODEL_TYPE.items()}


SCALAR_KINDS = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary, "M": DataType.datetime}
"""The scalar types by the kinds of the NumPy dtypes that have the same values, except numbers."""


def to_numpy(dtype: Type) -> np.dtype[Any]:
    """Return the NumPy dtype of a scalar type, without nulls.

    Example:
        >>> to_numpy(DataType.integer)
        dtype('int32')
    """
    if not isinstance(dtype, DataType):
        raise ConversionError(f"NumPy has no dtype for {describe(dtype)}: only scalar types have one")
    return _TO_NUMPY[dtype]


def to_pandas(dtype: Type | TensorSpec) -> np.dtype[Any]:
    """Return the pandas dtype of a scalar type: NumPy's, and object for strings and bytes."""
    if isinstance(dtype, TensorSpec):
        raise ConversionError("a tensor is not a column: pandas has no dtype for it")
    numpy_dtype = to_numpy(dtype)
    return np.dtype(object) if numpy_dtype.kind in "SU" else numpy_dtype


def to_source(dtype: np.dtype[Any]) -> Source:
    """Convert a NumPy dtype to a source type of the casting table.

    Example:
        >>> to_source(np.dtype(">i2"))
        Scalar(name='int16', native='int16')
    """
    names = {"U": "string", "T": "string", "S": "binary", "M": "timestamp"}
    if dtype.kind == "M" and np.datetime_data(dtype)[0] == "generic":
        return Scalar("datetime64 without a unit")
    if dtype.kind == "M" and np.datetime_data(dtype)[1] != 1:
        return Scalar(dtype.name)  # Arrow ignores that this counts multiples of a unit
    return Scalar(names.get(dtype.kind, dtype.name), dtype.name)


def dtype_widens(actual: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Return whether the casting table widens a NumPy dtype to another.

    Times must have the same unit. The byte order does not matter.

    Example:
        >>> dtype_widens(np.dtype("int32"), np.dtype("float64"))
        True
    """
    if actual.kind in "US" or actual.kind in "mM":
        return actual.kind == declared.kind and (actual.kind in "US" or actual.newbyteorder("=") == declared)
    return actual.newbyteorder("=") == declared or str(to_source(declared)) in find_upper_bounds(
        str(to_source(actual))
    )


def from_numpy(dtype: np.dtype[Any]) -> Type:
    """Return the narrowest type that holds all values of a NumPy dtype.

    Raises:
        ConversionError: no type holds them (uint64, complex, timedelta, structured, object).

    Example:
        >>> from_numpy(np.dtype("uint32"))
        long
    """
    findings: list[Finding] = []
    narrowest = find_narrowest_type(to_source(dtype), "", findings)
    if narrowest is None:
        raise ConversionError.of(f"no signature type for the NumPy dtype {dtype}", findings)
    return narrowest
