"""Tensors in JSON: nested lists, converted to the declared dtype, and sparse matrices as their parts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from sparksig.convert.json import Number, column_from_json, from_json, nearest_float32, to_json, to_plain
from sparksig.convert.numpy import SCALAR_KINDS
from sparksig.errors import Code, ContractError, Finding, name_type, quote
from sparksig.schema import Schema, TensorSpec
from sparksig.types import DataType


def arrays_from_json(content: Any, inputs: Schema, *, counts: bool = False) -> Any:
    """Convert JSON to the tensors of a schema: an array for an unnamed tensor, else a dictionary.

    With ``counts``, times may be nanoseconds since 1970, which MLflow writes in examples.
    """
    findings: list[Finding] = []
    specs = [spec for spec in inputs if isinstance(spec, TensorSpec)]
    if counts:
        content = _format_counts(content, inputs)
    tensors: Any
    if not inputs.has_input_names():
        tensors = _parse_tensor(content, specs[0], "", findings)
    elif isinstance(content, Mapping):
        # the engine reports missing and unexpected tensors
        tensors = {
            str(spec.name): _parse_tensor(content[str(spec.name)], spec, quote(spec.name), findings)
            for spec in specs
            if str(spec.name) in content
        }
    elif len(specs) == 1 and isinstance(content, list):
        tensors = {str(specs[0].name): _parse_tensor(content, specs[0], quote(specs[0].name), findings)}
    else:
        findings.append(
            Finding(
                Code.TYPE_MISMATCH, "", "an object with a list for each tensor", name_type(to_plain(content))
            )
        )
        tensors = {}
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return tensors


def _format_counts(content: Any, inputs: Schema) -> Any:
    """Convert nanoseconds since 1970 to the text of times, if all tensors are times."""
    if not all(isinstance(spec, TensorSpec) and spec.type.kind == "M" for spec in inputs):
        return content
    if isinstance(content, dict):
        return {name: _format_counts(value, inputs) for name, value in content.items()}
    if isinstance(content, list):
        return [_format_counts(value, inputs) for value in content]
    return str(np.datetime64(content, "ns")) if type(content) is int else content


def array_from_json(content: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Convert nested lists to an array of a dtype."""
    findings: list[Finding] = []
    array = _parse_tensor(content, TensorSpec(dtype, (-1,)), "", findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return array  # type: ignore[no-any-return]


def _parse_tensor(content: Any, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    shape, leaves = _flatten(content)
    if shape is None:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, "lists of the same lengths", "different lengths"))
        return None
    dtype = spec.type
    if not leaves:  # an empty list in JSON does not determine the inner dimensions
        inner = [0 if size == -1 else size for size in spec.shape[1:]]
        return np.zeros((0, *inner) if not shape or shape[0] == 0 else shape, dtype=dtype)
    values = _parse_leaves(leaves, dtype)
    if isinstance(values, int):
        actual = "other values" if len(leaves) > 1 else "another value"
        expected = f"values of {dtype.name}"
        findings.append(Finding(Code.TYPE_MISMATCH, path, expected, actual, count=values))
        return None
    return values.reshape(shape)


def _flatten(content: Any) -> tuple[tuple[int, ...] | None, list[Any]]:
    """Return the shape of nested lists, None if they have no common shape, and their leaves."""
    shape: list[int] = []
    level = [content]
    while level and isinstance(level[0], list):
        lengths = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(lengths) > 1:
            return None, []
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return (None, []) if any(isinstance(item, list) for item in level) else (tuple(shape), level)


_INVALID = object()


def _parse_leaves(leaves: list[Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | int:
    """Convert the values of a tensor; return the number of values that do not fit its dtype, if any."""
    types = set(map(type, leaves))
    if dtype == np.float64 and types <= {float, type(None)}:
        numbers = column_from_json(leaves, DataType.double)
        return np.array([np.nan if number is None else number for number in numbers])
    if dtype == np.float32 and types <= {float, Number}:
        nearest = nearest_float32(leaves)
        overflows = int(np.sum(np.isfinite(nearest) & (np.abs(nearest) > np.finfo(np.float32).max)))
        return overflows or nearest.astype(np.float32)
    values = [_parse_leaf(leaf, dtype) for leaf in leaves]
    if invalid_count := sum(value is _INVALID for value in values):
        return invalid_count
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.astype(dtype)


def _parse_leaf(leaf: Any, dtype: np.dtype[Any]) -> Any:
    """Convert a value of a tensor; return _INVALID if it does not fit the dtype."""
    if dtype.kind == "O":
        return to_plain(leaf)
    if dtype.kind == "f":
        return np.nan if leaf is None else _parse_float(leaf, dtype)
    if dtype.kind in "iu":
        number = leaf if type(leaf) is int else from_json(leaf, DataType.long)
        info = np.iinfo(dtype)
        return number if type(number) is int and info.min <= number <= info.max else _INVALID
    if dtype.kind == "M" and leaf is None:
        return np.datetime64("NaT")
    if dtype.kind not in SCALAR_KINDS:
        return _INVALID
    value = from_json(leaf, SCALAR_KINDS[dtype.kind])
    if dtype.kind == "M":
        return _convert_time(value, dtype)
    return value if type(value) is SCALAR_KINDS[dtype.kind].to_python() else _INVALID


def _parse_float(leaf: Any, dtype: np.dtype[Any]) -> Any:
    """Round a number to a floating dtype; return _INVALID for other values and beyond the dtype's range.

    An integer must be exact in the dtype, because rounding it would be a silent change.
    """
    number = from_json(leaf, DataType.float if dtype.itemsize == 4 else DataType.double)
    if type(number) is int or type(leaf) is int:
        largest_exact = 2 ** (min(np.finfo(dtype).nmant, 52) + 1)
        return float(leaf) if type(leaf) is int and abs(leaf) <= largest_exact else _INVALID
    if type(number) is not float:
        return _INVALID
    with np.errstate(over="ignore"):
        rounded = dtype.type(number)
    return _INVALID if np.isinf(rounded) and not np.isinf(number) else float(rounded)


def _convert_time(value: Any, dtype: np.dtype[Any]) -> Any:
    if not isinstance(value, datetime.date) or getattr(value, "tzinfo", None) is not None:
        return _INVALID
    exact = (
        np.datetime64(getattr(value, "value", value), "ns")
        if hasattr(value, "nanosecond")
        else np.datetime64(value)
    )
    converted = exact.astype(dtype)
    return converted if converted.astype(exact.dtype) == exact else _INVALID


def array_to_json(array: np.ndarray[Any, Any], path: str = "") -> Any:
    """Convert a tensor to nested lists. NaN becomes null: a tensor has no other missing value."""
    return _encode_nested(array.tolist() if array.dtype.kind in "biufUSO" else list(array), path)


def _encode_nested(value: Any, path: str) -> Any:
    if isinstance(value, (list, np.ndarray)) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        return [_encode_nested(item, path) for item in value]
    return to_json(value, path)


def sparse_to_json(matrix: Any) -> dict[str, Any]:
    """Convert a csr or csc matrix to its parts, in MLflow's format."""
    return {
        "data": array_to_json(matrix.data),
        "indices": matrix.indices.tolist(),
        "indptr": matrix.indptr.tolist(),
        "shape": list(matrix.shape),
    }


def sparse_from_json(content: Any, matrix_format: str, inputs: Schema | None) -> Any:
    """Convert the JSON of :func:`sparse_to_json` back to a matrix."""
    from scipy import sparse

    keys = ("data", "indices", "indptr", "shape")
    if not isinstance(content, Mapping) or not all(isinstance(content.get(key), list) for key in keys):
        raise ContractError(
            f"a sparse matrix in JSON: expected an object with the keys {', '.join(keys)}, got something else"
        )
    spec = inputs.inputs[0] if inputs is not None and inputs.is_tensor_spec() else None
    dtype = spec.type if isinstance(spec, TensorSpec) else np.dtype("float64")
    data = array_from_json(content["data"], dtype)
    int64 = np.dtype("int64")
    parts = tuple(array_from_json(content[key], int64) for key in ("indices", "indptr"))
    shape = tuple(int(size) for size in array_from_json(content["shape"], int64))
    cls = sparse.csr_matrix if matrix_format == "csr" else sparse.csc_matrix
    try:
        matrix = cls((data, *parts), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise ContractError(f"the parts of the sparse matrix are inconsistent: {error}") from None
    return matrix
