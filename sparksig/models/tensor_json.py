"""Tensors in JSON: nested lists, of the dtype that the schema says; sparse matrices by their parts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from sparksig.convert.json import Number, column_from_json, from_json, nearest_float32, plain, to_json
from sparksig.errors import Code, ContractError, Finding, kind, step
from sparksig.schema import Schema, TensorSpec
from sparksig.types import DataType

__all__ = ["array_from_json", "array_to_json", "arrays_from_json", "sparse_from_json", "sparse_to_json"]


def arrays_from_json(content: Any, inputs: Schema, *, counts: bool = False) -> Any:
    """The tensors of a schema: an array for an unnamed one, else a dictionary of them.

    Args:
        content: nested lists, for several tensors in a dictionary.
        inputs: the schema.
        counts: whether times may be nanoseconds since 1970, as MLflow writes them in examples.

    Raises:
        ContractError: values that the dtypes do not hold, or lists that are no tensor; all of them.
    """
    findings: list[Finding] = []
    specs = [spec for spec in inputs if isinstance(spec, TensorSpec)]
    if counts:
        content = _counted(content, inputs)
    held: Any
    if not inputs.has_input_names():
        held = _array(content, specs[0], "", findings)
    elif isinstance(content, Mapping):
        # what is absent, and what is too much, is judged by the engine
        held = {
            str(spec.name): _array(content[str(spec.name)], spec, step(spec.name), findings)
            for spec in specs
            if str(spec.name) in content
        }
    elif len(specs) == 1 and isinstance(content, list):
        held = {str(specs[0].name): _array(content, specs[0], step(specs[0].name), findings)}
    else:
        findings.append(
            Finding(Code.TYPE_MISMATCH, "", "an object with a list for each tensor", kind(plain(content)))
        )
        held = {}
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return held


def _counted(content: Any, inputs: Schema) -> Any:
    """Nanoseconds since 1970 as times, where all tensors are times."""
    if not all(isinstance(spec, TensorSpec) and spec.type.kind == "M" for spec in inputs):
        return content
    if isinstance(content, dict):
        return {name: _counted(one, inputs) for name, one in content.items()}
    if isinstance(content, list):
        return [_counted(one, inputs) for one in content]
    return str(np.datetime64(content, "ns")) if type(content) is int else content


def array_from_json(content: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Nested lists as an array of a dtype.

    Raises:
        ContractError: values that the dtype does not hold, or lists of different lengths.
    """
    findings: list[Finding] = []
    held = _array(content, TensorSpec(dtype, (-1,)), "", findings)
    if findings:
        raise ContractError.of("the data does not fit the schema", findings)
    return held  # type: ignore[no-any-return]


def _array(content: Any, spec: TensorSpec, path: str, findings: list[Finding]) -> Any:
    shape, leaves = _flattened(content)
    if shape is None:
        findings.append(Finding(Code.SHAPE_MISMATCH, path, "lists of the same lengths", "others"))
        return None
    dtype = spec.type
    if not leaves:  # JSON does not say the shape of nothing
        rest = [0 if size == -1 else size for size in spec.shape[1:]]
        return np.zeros((0, *rest) if not shape or shape[0] == 0 else shape, dtype=dtype)
    values = _values(leaves, dtype)
    if isinstance(values, int):
        found = "others" if len(leaves) > 1 else "another"
        expected = f"values that {dtype.name} holds"
        findings.append(Finding(Code.TYPE_MISMATCH, path, expected, found, count=values))
        return None
    return values.reshape(shape)


def _flattened(content: Any) -> tuple[tuple[int, ...] | None, list[Any]]:
    """The shape of nested lists, None where they have none, and what is in them."""
    shape: list[int] = []
    level = [content]
    while level and isinstance(level[0], list):
        lengths = {len(one) if isinstance(one, list) else -1 for one in level}
        if len(lengths) > 1:
            return None, []
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return (None, []) if any(isinstance(one, list) for one in level) else (tuple(shape), level)


_NONE = object()
_KINDS = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary, "M": DataType.datetime}


def _values(leaves: list[Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | int:
    """The values of a tensor; how many its dtype does not hold, if there are any."""
    forms = set(map(type, leaves))
    if dtype == np.float64 and forms <= {float, type(None)}:
        return np.array([np.nan if one is None else one for one in column_from_json(leaves, DataType.double)])
    if dtype == np.float32 and forms <= {float, Number}:
        near = nearest_float32(leaves)
        beyond = int(np.sum(np.isfinite(near) & (np.abs(near) > np.finfo(np.float32).max)))
        return beyond or near.astype(np.float32)
    values = [_leaf(one, dtype) for one in leaves]
    if wrong := sum(value is _NONE for value in values):
        return wrong
    held = np.empty(len(values), dtype=object)
    held[:] = values
    return held.astype(dtype)


def _leaf(value: Any, dtype: np.dtype[Any]) -> Any:
    """One value of a tensor, or nothing where the dtype does not hold it."""
    if dtype.kind == "O":
        return plain(value)
    if dtype.kind == "f":
        return np.nan if value is None else _float(value, dtype)
    if dtype.kind in "iu":
        held = value if type(value) is int else from_json(value, DataType.long)
        info = np.iinfo(dtype)
        return held if type(held) is int and info.min <= held <= info.max else _NONE
    if dtype.kind == "M" and value is None:
        return np.datetime64("NaT")
    if dtype.kind not in _KINDS:
        return _NONE
    held = from_json(value, _KINDS[dtype.kind])
    if dtype.kind == "M":
        return _time(held, dtype)
    python = _KINDS[dtype.kind].to_python()
    return held if type(held) is python else _NONE


def _float(value: Any, dtype: np.dtype[Any]) -> Any:
    """A number as the nearest of a floating dtype; nothing for what is none, or beyond it.

    An integer is a value of the dtype or none: to take another in its place would be a silent change.
    """
    held = from_json(value, DataType.float if dtype.itemsize == 4 else DataType.double)
    if type(held) is int or type(value) is int:
        exact = 2 ** (min(np.finfo(dtype).nmant, 52) + 1)
        return float(value) if type(value) is int and abs(value) <= exact else _NONE
    if type(held) is not float:
        return _NONE
    with np.errstate(over="ignore"):
        near = dtype.type(held)
    return _NONE if np.isinf(near) and not np.isinf(held) else float(near)


def _time(held: Any, dtype: np.dtype[Any]) -> Any:
    if not isinstance(held, datetime.date) or getattr(held, "tzinfo", None) is not None:
        return _NONE
    exact = (
        np.datetime64(getattr(held, "value", held), "ns")
        if hasattr(held, "nanosecond")
        else np.datetime64(held)
    )
    there = exact.astype(dtype)
    return there if there.astype(exact.dtype) == exact else _NONE


def array_to_json(array: np.ndarray[Any, Any], path: str = "") -> Any:
    """A tensor as nested lists; NaN is null, for a tensor knows no other."""
    return _nested(array.tolist() if array.dtype.kind in "biufUSO" else list(array), path)


def _nested(value: Any, path: str) -> Any:
    if isinstance(value, (list, np.ndarray)) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        return [_nested(one, path) for one in value]
    return to_json(value, path)


def sparse_to_json(matrix: Any) -> dict[str, Any]:
    """A csr or csc matrix by its parts, as MLflow writes them."""
    return {
        "data": array_to_json(matrix.data),
        "indices": matrix.indices.tolist(),
        "indptr": matrix.indptr.tolist(),
        "shape": list(matrix.shape),
    }


def sparse_from_json(content: Any, form: str, inputs: Schema | None) -> Any:
    """The matrix of :func:`sparse_to_json`.

    Raises:
        ContractError: its parts are not there, or do not go together.
    """
    from scipy import sparse

    keys = ("data", "indices", "indptr", "shape")
    if not isinstance(content, Mapping) or not all(isinstance(content.get(key), list) for key in keys):
        raise ContractError(f"a sparse matrix in JSON is an object with the keys {', '.join(keys)}")
    spec = inputs.inputs[0] if inputs is not None and inputs.is_tensor_spec() else None
    dtype = spec.type if isinstance(spec, TensorSpec) else np.dtype("float64")
    data = array_from_json(content["data"], dtype)
    whole = np.dtype("int64")
    parts = tuple(array_from_json(content[key], whole) for key in ("indices", "indptr"))
    shape = tuple(int(one) for one in array_from_json(content["shape"], whole))
    cls = sparse.csr_matrix if form == "csr" else sparse.csc_matrix
    try:
        matrix = cls((data, *parts), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise ContractError(f"the parts of the sparse matrix do not go together: {error}") from None
    return matrix
