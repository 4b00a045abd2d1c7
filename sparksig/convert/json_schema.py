"""Export of schemas to JSON Schema (draft 2020-12) of one record of a request or an example.

JSON Schema cannot be imported: it can express more than signatures.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sparksig.convert import build_loss, list_names, list_sides, walk_schema
from sparksig.convert.json import FLOAT32_OVERFLOW, ISO_8601, to_json
from sparksig.convert.numpy import SCALAR_KINDS
from sparksig.errors import Code, ConversionError, Finding, name_type, quote
from sparksig.lattice import NEVER_NULL
from sparksig.params import ParamSchema, ParamSpec
from sparksig.scalars import INTEGER_BITS
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, SparkMLVector, Type, describe

DRAFT = "https://json-schema.org/draft/2020-12/schema"

LOST_TO_JSON_SCHEMA: dict[str, str] = {
    "float, double": "integers beyond 2^24, 2^53 are accepted: to JSON Schema, 10^20 and 1e20 are equal",
    "datetime": "texts of the format are accepted, also invalid days and times out of range",
    "SparkML vector": "any array of numbers is accepted",
    "the first dimension of a tensor, where it is fixed": "it is the number of records",
    "other dimensions of a tensor that are -1": "arrays of different lengths are accepted",
    "tensor of datetime64": "times finer than its unit are accepted",
    "tensor of complex, long double or timedelta": "refused: JSON has no such values",
}
"""The parts of a signature that the JSON Schema cannot express; each line has a test."""

Json = dict[str, Any]

_NOT_FINITE = ["NaN", "Infinity", "-Infinity"]
_BASE64 = (
    r"^\s*(?:(?:[A-Za-z0-9+/]\s*){4})*"
    r"(?:(?:[A-Za-z0-9+/]\s*){2}=\s*=\s*|(?:[A-Za-z0-9+/]\s*){3}=\s*)?$"
)


def to_json_schema(contract: ModelSignature | Schema) -> Json:
    """Return the JSON Schema of one record: an object for named columns or tensors, else a list or a value.

    For a signature, it describes a record of the inputs; ``#/$defs/inputs``, ``outputs``, ``params`` define
    all sides. A record is an item of the lists ``dataframe_records``, ``inputs`` and ``instances`` of a
    request; for a tensor, it is one row. Nulls and undeclared keys are accepted where enforcing accepts them.
    To JSON Schema, 1e17 equals its digits; a request must write out integers beyond 2^53.

    Example:
        >>> to_json_schema(Schema([ColSpec("boolean", "a")]))["properties"]
        {'a': {'type': 'boolean'}}
    """
    findings: list[Finding] = []
    if isinstance(contract, Schema):
        body = _build_record(contract, findings)
    elif isinstance(contract, ModelSignature):
        body = _build_sides(contract, findings)
    else:
        raise ConversionError(
            f"to_json_schema: expected a ModelSignature or a Schema, got {name_type(contract)}"
        )
    if findings:
        raise ConversionError.of("no JSON Schema", findings)
    return {"$schema": DRAFT, **body}


def _build_sides(signature: ModelSignature, findings: list[Finding]) -> Json:
    sides: dict[str, Json] = {}
    for name, schema in list_sides(signature).items():
        side_findings: list[Finding] = []
        sides[name] = _build_record(schema, side_findings)
        findings += [finding.below(name) for finding in side_findings]
    if signature.params is not None:
        sides["params"] = _build_params(signature.params)
    reference = {"$ref": "#/$defs/inputs"} if signature.inputs is not None else {}
    return {**reference, "$defs": sides}


def _build_record(schema: Schema, findings: list[Finding]) -> Json:
    names = list_names(schema, findings)
    parts = [_build_part(spec, quote(name), findings) for name, spec in zip(names, schema)]
    if schema.has_input_names():
        required = [name for name, spec in zip(names, schema) if spec.required]
        return _build_object(dict(zip(names, parts)), required)
    if len(parts) == 1:
        return parts[0]
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": len(parts)}


def _build_object(properties: dict[str, Json], required: list[str]) -> Json:
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _build_part(spec: ColSpec | TensorSpec, path: str, findings: list[Finding]) -> Json:
    if isinstance(spec, TensorSpec):
        return _build_tensor(spec, path, findings)
    return _build_type(spec.type, nullable=not (spec.required and spec.type in NEVER_NULL))


# --- types ----------------------------------------------------------------------------------------------


def _build_type(dtype: Type, *, nullable: bool) -> Json:
    if isinstance(dtype, AnyType):
        return {}
    if isinstance(dtype, DataType):
        return _allow_null(_build_scalar(dtype), nullable)
    if isinstance(dtype, (Array, SparkMLVector)):
        return _allow_null({"type": "array", "items": _build_type(dtype.dtype, nullable=True)}, nullable)
    if isinstance(dtype, Map):
        values = _build_type(dtype.value_type, nullable=True)
        return _allow_null({"type": "object", "additionalProperties": values}, nullable)
    members = {
        prop.name: _build_type(prop.dtype, nullable=not (prop.required and prop.dtype in NEVER_NULL))
        for prop in dtype.properties
    }
    required = [prop.name for prop in dtype.properties if prop.required]
    return _allow_null(_build_object(members, required), nullable)


def _allow_null(schema: Json, nullable: bool) -> Json:
    if not nullable or "not" in schema:
        return schema
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _build_scalar(dtype: DataType) -> Json:
    if dtype in INTEGER_BITS:
        limit = 2 ** INTEGER_BITS[dtype]
        return _build_integer(-limit, limit - 1)
    return copy.deepcopy(_SCALARS[dtype])


def _build_integer(smallest: int, largest: int) -> Json:
    return {"type": "integer", "minimum": smallest, "maximum": largest}


def _build_number(beyond: float | None = None) -> Json:
    limits = {} if beyond is None else {"exclusiveMinimum": -beyond, "exclusiveMaximum": beyond}
    return {"anyOf": [{"type": "number", **limits}, {"enum": _NOT_FINITE}]}


_SCALARS: dict[DataType, Json] = {
    DataType.boolean: {"type": "boolean"},
    DataType.float: _build_number(float(FLOAT32_OVERFLOW)),
    DataType.double: _build_number(),
    DataType.string: {"type": "string"},
    DataType.binary: {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
    # not the format date-time, which requires a time zone
    DataType.datetime: {"type": "string", "pattern": f"^(?:{ISO_8601})$"},
}


def _build_local_time(*refused: str) -> Json:
    """Return the schema of a time without a zone that matches none of the refused patterns."""
    patterns = "|".join(("[Zz]", ":.*[+-]", *refused))
    return {"type": "string", "pattern": f"^(?!.*(?:{patterns}))(?:{ISO_8601})$"}


# --- params, which have rules of their own -------------------------------------------------------------


def _build_params(params: ParamSchema) -> Json:
    return _build_object({spec.name: _build_param(spec) for spec in params}, [])


def _build_param(spec: ParamSpec) -> Json:
    default = to_json(spec.default, spec.name, nested=True)
    if spec.shape is None:
        return {**_build_value(spec.dtype, nullable=default is None), "default": default}
    items = _build_value(spec.dtype, nullable=None in default)
    return {"type": "array", "items": items, "default": default}


def _build_value(dtype: Type, *, nullable: bool = False, in_object: bool = False) -> Json:
    if isinstance(dtype, AnyType):
        return {}
    if in_object and dtype in (DataType.binary, DataType.datetime):
        return {"not": {}}
    if isinstance(dtype, DataType):
        own = copy.deepcopy(_PARAM_SCALARS[dtype]) if dtype in _PARAM_SCALARS else _build_scalar(dtype)
        return _allow_null(own, nullable)
    if isinstance(dtype, Array):
        return _allow_null({"type": "array", "items": _build_value(dtype.dtype, in_object=True)}, nullable)
    if isinstance(dtype, Map):
        values = _build_value(dtype.value_type, in_object=True)
        return _allow_null({"type": "object", "additionalProperties": values}, nullable)
    members = {
        prop.name: _build_value(prop.dtype, nullable=not prop.required, in_object=True)
        for prop in dtype.properties
    }
    required = [prop.name for prop in dtype.properties if prop.required]
    return _allow_null({**_build_object(members, required), "additionalProperties": False}, nullable)


# the model receives these unchanged: floats of 64 bits, times up to microseconds
_PARAM_SCALARS: dict[DataType, Json] = {
    DataType.float: _build_number(),
    DataType.datetime: _build_local_time("[.,][0-9]{6}[0-9]*[1-9]"),
}


# --- tensors --------------------------------------------------------------------------------------------

_BEYOND = {"float16": 65520.0, "float32": float(FLOAT32_OVERFLOW), "float64": None}


def _build_tensor(spec: TensorSpec, path: str, findings: list[Finding]) -> Json:
    """Return the schema of one row of a tensor: nested arrays, with the sizes that are fixed."""
    schema = _build_element(spec.type, path, findings)
    for size in reversed(spec.shape[1:]):
        fixed = {} if size == -1 else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **fixed}
    return schema


def _build_element(dtype: np.dtype[Any], path: str, findings: list[Finding]) -> Json:
    if dtype.kind == "O":  # an array would add a dimension
        return {"type": ["null", "boolean", "number", "string", "object"]}
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return _build_integer(int(info.min), int(info.max))
    if dtype.name in _BEYOND:
        return _allow_null(_build_number(_BEYOND[dtype.name]), nullable=True)
    if dtype.kind == "M":
        return _allow_null(_build_local_time(), nullable=True)
    if dtype.kind in SCALAR_KINDS:
        return _build_scalar(SCALAR_KINDS[dtype.kind])
    findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a dtype that JSON has values for", dtype.name))
    return {}


# --- losses -------------------------------------------------------------------------------------------


def find_losses_in_json_schema(contract: ModelSignature | Schema) -> list[Finding]:
    """Return the parts of a signature that :func:`to_json_schema` cannot express."""
    if isinstance(contract, Schema):
        return _find_losses(contract)
    sides = list_sides(contract)
    return [loss.below(side) for side, schema in sides.items() for loss in _find_losses(schema)]


def _find_losses(schema: Schema) -> list[Finding]:
    findings: list[Finding] = []
    for path, dtype in walk_schema(schema):
        if isinstance(dtype, TensorSpec):
            findings += _find_tensor_losses(path, dtype)
        elif dtype is DataType.datetime:
            findings.append(
                build_loss(path, "timestamps that nanoseconds can express", "texts of the format")
            )
        elif isinstance(dtype, SparkMLVector):
            findings.append(build_loss(path, describe(dtype), "an array of numbers"))
    return findings


def _find_tensor_losses(path: str, spec: TensorSpec) -> list[Finding]:
    findings = []
    if spec.shape and spec.shape[0] != -1:
        findings.append(build_loss(path, f"{spec.shape[0]} rows", "one record"))
    if -1 in spec.shape[1:]:
        findings.append(build_loss(path, "arrays of one length", "arrays of any"))
    if spec.type.kind == "M":
        findings.append(build_loss(path, spec.type.name, "texts of the format"))
    return findings
