"""Values of params -> their specs. A param's example is its default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparksig.convert import report_duplicates
from sparksig.convert.objects import is_sparse
from sparksig.errors import Code, Finding, InferenceError, SignatureError, kind, step
from sparksig.infer.python import type_of
from sparksig.params import ParamSchema, ParamSpec
from sparksig.scalars import EXACT_INTEGERS
from sparksig.types import DataType, Object, Type

__all__ = ["from_params"]


def from_params(params: Mapping[Any, Any]) -> ParamSchema | None:
    """The specs of params: a scalar, a list of scalars, or a dictionary as an object; None for no param.

    Integers beside floats in a list are doubles. A list is empty of a type as well as of values, so that
    an empty one is refused, as are None, NaN and whatever else has no type or no JSON.

    Raises:
        InferenceError: no dictionary, or params that cannot be inferred; every one.

    Example:
        >>> from_params({"temperature": 0.5, "stop": [".", "!"]})
        ['temperature': double (default: 0.5), 'stop': string (default: ['.', '!']) (shape: (-1,))]
    """
    if not isinstance(params, Mapping):
        raise InferenceError(f"params must be a dictionary from names to defaults, not {kind(params)}")
    findings = report_duplicates([str(name) for name in params], "one param of that name, as text")
    specs = [_spec(str(name), value, findings) for name, value in params.items()]
    if findings:
        raise InferenceError.of("no signature for these params", findings)
    return ParamSchema([spec for spec in specs if spec is not None]) if specs else None


def _spec(name: str, value: Any, findings: list[Finding]) -> ParamSpec | None:
    path = step(name)
    before = len(findings)
    dtype, shape = _type(value, path, findings)
    if dtype is None:
        return None
    if dtype is DataType.double and shape is not None:
        value = [float(element) for element in value]  # integers among floats, each held exactly
    try:
        spec = ParamSpec(name, dtype, value, shape)
        spec.to_dict()
    except SignatureError as error:
        findings += error.findings or [
            Finding(Code.INVALID_VALUE, path, "a default that JSON carries", hint=error.message)
        ]
        return None
    return spec if len(findings) == before else None


def _type(
    value: Any, path: str, findings: list[Finding]
) -> tuple[DataType | Object | None, tuple[int] | None]:
    if isinstance(value, (list, np.ndarray)):
        return _element_type(value, path, findings), (-1,)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        found = "None" if value is None else "a float that is not finite"
        hint = "build the param by hand, as ParamSpec(name, type, None), if it has no default"
        findings.append(
            Finding(Code.INVALID_VALUE, path, "a default that has a type and a JSON", found, hint)
        )
        return None, None
    if isinstance(value, dict) and not is_sparse(value) and not value:
        findings.append(Finding(Code.EMPTY, path, "at least one key", "an empty dictionary"))
        return None, None
    return _known(type_of([value], path, findings), path, findings), None


def _known(dtype: Type | None, path: str, findings: list[Finding]) -> DataType | Object | None:
    if dtype is None:
        return None
    if isinstance(dtype, (Object, DataType)):
        return dtype
    expected = "a scalar, a list of scalars, or an object"
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, expected, "a value without a type"))
    return None


def _element_type(
    values: list[Any] | np.ndarray[Any, Any], path: str, findings: list[Finding]
) -> DataType | None:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        found = f"an array of rank {values.ndim}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, "a list of scalars", found))
        return None
    held = list(values)  # of an array, its NumPy scalars; of an array of objects, these
    if not held:
        hint = "its type is unknown: build the param by hand, as ParamSpec(name, type, [], (-1,))"
        findings.append(Finding(Code.EMPTY, path, "at least one element", "an empty list", hint))
        return None
    if any(value is None or isinstance(value, (list, dict, np.ndarray)) for value in held):
        found = "None or another container among them"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a list of scalars", found))
        return None
    forms = set(map(type, held))
    if len(forms) > 1 and forms & _FLOATS and forms <= _FLOATS | _INTEGERS and _are_doubles(held):
        return DataType.double
    dtype = _known(type_of(held, f"{path}[]", findings), path, findings)
    assert not isinstance(dtype, Object)
    return dtype


_FLOATS = {float, np.float64, np.float32}
_INTEGERS = {int, np.int64, np.int32}


def _are_doubles(held: list[Any]) -> bool:
    ints = [abs(int(value)) for value in held if type(value) in _INTEGERS]
    return max(ints, default=0) <= EXACT_INTEGERS[DataType.double]
