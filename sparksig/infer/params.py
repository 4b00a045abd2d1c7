"""Inference of params from their default values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparksig.convert import report_duplicates
from sparksig.convert.objects import is_sparse
from sparksig.errors import Code, Finding, InferenceError, SignatureError, name_type, quote
from sparksig.infer.python import infer_type
from sparksig.params import ParamSchema, ParamSpec
from sparksig.scalars import EXACT_INTEGERS
from sparksig.types import DataType, Object, Type


def from_params(params: Mapping[Any, Any]) -> ParamSchema | None:
    """Infer the specs of params from their default values, which may be scalars, lists or dictionaries.

    A list of integers and floats becomes a list of doubles. Empty lists, None, NaN and other values without a
    type or a JSON representation are refused.

    Example:
        >>> from_params({"temperature": 0.5, "stop": [".", "!"]})
        ['temperature': double (default: 0.5), 'stop': string (default: ['.', '!']) (shape: (-1,))]
    """
    if not isinstance(params, Mapping):
        raise InferenceError(f"params: expected a dictionary of names and defaults, got {name_type(params)}")
    findings = report_duplicates([str(name) for name in params], "one param of that name, as text")
    specs = [_infer_spec(str(name), value, findings) for name, value in params.items()]
    if findings:
        raise InferenceError.of("no signature for these params", findings)
    return ParamSchema([spec for spec in specs if spec is not None]) if specs else None


def _infer_spec(name: str, value: Any, findings: list[Finding]) -> ParamSpec | None:
    path = quote(name)
    before = len(findings)
    dtype, shape = _infer_type(value, path, findings)
    if dtype is None:
        return None
    if dtype is DataType.double and shape is not None:
        value = [float(element) for element in value]  # every integer is exact as a double
    try:
        spec = ParamSpec(name, dtype, value, shape)
        spec.to_dict()
    except SignatureError as error:
        findings += error.findings or [
            Finding(Code.INVALID_VALUE, path, "a default with a JSON representation", hint=error.message)
        ]
        return None
    return spec if len(findings) == before else None


def _infer_type(
    value: Any, path: str, findings: list[Finding]
) -> tuple[DataType | Object | None, tuple[int] | None]:
    if isinstance(value, (list, np.ndarray)):
        return _infer_element_type(value, path, findings), (-1,)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        actual = "None" if value is None else "a float that is not finite"
        hint = "build a param without a default yourself: ParamSpec(name, type, None)"
        findings.append(
            Finding(Code.INVALID_VALUE, path, "a default with a type and a JSON representation", actual, hint)
        )
        return None, None
    if isinstance(value, dict) and not is_sparse(value) and not value:
        findings.append(Finding(Code.EMPTY, path, "at least one key", "an empty dictionary"))
        return None, None
    return _require_param_type(infer_type([value], path, findings), path, findings), None


def _require_param_type(dtype: Type | None, path: str, findings: list[Finding]) -> DataType | Object | None:
    if dtype is None:
        return None
    if isinstance(dtype, (Object, DataType)):
        return dtype
    expected = "a scalar, a list of scalars, or an object"
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, expected, "a value without a type"))
    return None


def _infer_element_type(
    values: list[Any] | np.ndarray[Any, Any], path: str, findings: list[Finding]
) -> DataType | None:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        actual = f"an array of rank {values.ndim}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, "a list of scalars", actual))
        return None
    elements = list(values)  # the NumPy scalars of an array, or its objects
    if not elements:
        hint = "build the param yourself, because its type is unknown: ParamSpec(name, type, [], (-1,))"
        findings.append(Finding(Code.EMPTY, path, "at least one element", "an empty list", hint))
        return None
    if any(value is None or isinstance(value, (list, dict, np.ndarray)) for value in elements):
        actual = "None or nested containers"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a list of scalars", actual))
        return None
    types = set(map(type, elements))
    if len(types) > 1 and types & _FLOATS and types <= _FLOATS | _INTEGERS and _are_doubles(elements):
        return DataType.double
    dtype = _require_param_type(infer_type(elements, f"{path}[]", findings), path, findings)
    assert not isinstance(dtype, Object)
    return dtype


_FLOATS = {float, np.float64, np.float32}
_INTEGERS = {int, np.int64, np.int32}


def _are_doubles(values: list[Any]) -> bool:
    ints = [abs(int(value)) for value in values if type(value) in _INTEGERS]
    return max(ints, default=0) <= EXACT_INTEGERS[DataType.double]
