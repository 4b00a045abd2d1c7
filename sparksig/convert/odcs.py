"""Export of signatures to data contracts of the Open Data Contract Standard, version 3.1.0.

Data contracts cannot be imported: the standard has fewer types than signatures.
"""

from __future__ import annotations

import copy
import uuid
from typing import Any

import numpy as np

from sparksig.convert import (
    build_loss,
    find_lost_names,
    find_lost_params,
    list_names,
    list_sides,
    walk_schema,
)
from sparksig.convert.ddl import format_spark_type
from sparksig.convert.numpy import SCALAR_KINDS
from sparksig.errors import ConversionError, Finding, below, name_type, quote
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe

VERSION = "v3.1.0"

LOST_TO_ODCS: dict[str, str] = {
    "params": "dropped: a data contract describes tables",
    "SparkML vector": "an array of numbers",
    "Map": "an object without properties; only the physical type has the type of the values",
    "Any": "no logical type",
    "a column without a name": "its number as name",
    "an integer name": "a text",
    "the first dimension of a tensor, where it is fixed": "dropped: it is the number of rows",
    "tensor of float16": "a number of 32 bits",
    "tensor of datetime64": "a timestamp without the unit",
    "tensor of object, complex, long double or timedelta": "refused: Spark has no such type",
}
"""The parts of a signature that a data contract cannot express; each line has a test."""

Json = dict[str, Any]

_LOGICAL: dict[DataType, Json] = {
    DataType.boolean: {"logicalType": "boolean"},
    DataType.integer: {"logicalType": "integer", "logicalTypeOptions": {"format": "i32"}},
    DataType.long: {"logicalType": "integer", "logicalTypeOptions": {"format": "i64"}},
    DataType.float: {"logicalType": "number", "logicalTypeOptions": {"format": "f32"}},
    DataType.double: {"logicalType": "number", "logicalTypeOptions": {"format": "f64"}},
    DataType.string: {"logicalType": "string"},
    DataType.binary: {"logicalType": "string", "logicalTypeOptions": {"format": "binary"}},
    DataType.datetime: {"logicalType": "timestamp"},
}


def to_odcs(
    contract: ModelSignature | Schema,
    *,
    name: str,
    version: str = "1.0.0",
    status: str = "draft",
    id: str | None = None,
) -> Json:
    """Return the data contract of a signature as built-ins: a table for the inputs, and one for the outputs.

    The physical types of the columns are those of Spark. Required columns are required and NOT NULL, as in
    :func:`~sparksig.convert.ddl.to_ddl`, although models accept nulls in required columns of some types.

    Args:
        contract: a signature, or the schema of one table.
        name: the name of the data contract; also of the table, if the contract is a schema.
        version: the version of the data contract.
        status: proposed, draft, active, deprecated, retired, or another status of your catalog.
        id: the identifier; by default a UUID that is derived from the name.

    Raises:
        ConversionError: tensors without a type in Spark, or duplicate names; all are reported.

    Example:
        >>> contract = to_odcs(Schema([ColSpec("long", "id")]), name="orders")
        >>> contract["schema"][0]["properties"][0]["physicalType"]
        'bigint'
    """
    findings: list[Finding] = []
    tables = []
    for side, schema in _select_tables(contract, name).items():
        side_findings: list[Finding] = []
        tables.append(_build_table(side, schema, side_findings))
        if isinstance(contract, ModelSignature):
            side_findings = [finding.below(side) for finding in side_findings]
        findings += side_findings
    if findings:
        raise ConversionError.of("no data contract", findings)
    return {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"sparksig:{name}")),
        "name": name,
        "version": version,
        "status": status,
        "schema": tables,
    }


def _select_tables(contract: ModelSignature | Schema, name: str) -> dict[str, Schema]:
    if isinstance(contract, Schema):
        return {name: contract}
    if not isinstance(contract, ModelSignature):
        raise ConversionError(f"to_odcs: expected a ModelSignature or a Schema, got {name_type(contract)}")
    return list_sides(contract)


def _build_table(name: str, schema: Schema, findings: list[Finding]) -> Json:
    names = list_names(schema, findings)
    columns = [_build_column(spec, column, findings) for spec, column in zip(schema, names)]
    return {"name": name, "logicalType": "object", "physicalType": "table", "properties": columns}


def _build_column(spec: ColSpec | TensorSpec, name: str, findings: list[Finding]) -> Json:
    physical = format_spark_type(spec if isinstance(spec, TensorSpec) else spec.type, quote(name), findings)
    logical = _build_tensor(spec) if isinstance(spec, TensorSpec) else _build_type(spec.type, quote(name))
    return {"name": name, **logical, "physicalType": physical, "required": spec.required}


def _build_type(dtype: Type, path: str) -> Json:
    if isinstance(dtype, DataType):
        return copy.deepcopy(_LOGICAL[dtype])
    if isinstance(dtype, (Array, SparkMLVector)):
        return {"logicalType": "array", "items": _nest_type(dtype.dtype, f"{path}[]")}
    if isinstance(dtype, Object):
        members = [
            {
                "name": prop.name,
                **_nest_type(prop.dtype, below(path, prop.name)),
                "required": prop.required,
            }
            for prop in dtype.properties
        ]
        return {"logicalType": "object", "properties": members}
    return {"logicalType": "object"} if isinstance(dtype, Map) else {}


def _nest_type(dtype: Type, path: str) -> Json:
    return {**_build_type(dtype, path), "physicalType": format_spark_type(dtype, path, [])}


def _build_tensor(spec: TensorSpec) -> Json:
    """Return the type of one row of a tensor: nested arrays, with the sizes that are fixed."""
    logical = _build_element(spec.type)
    for size in reversed(spec.shape[1:]):
        options = {} if size == -1 else {"logicalTypeOptions": {"minItems": size, "maxItems": size}}
        logical = {"logicalType": "array", **options, "items": logical}
    return logical


def _build_element(dtype: np.dtype[Any]) -> Json:
    bits = dtype.itemsize * 8
    if dtype.kind in "iu":
        return {"logicalType": "integer", "logicalTypeOptions": {"format": f"{dtype.kind}{bits}"}}
    if dtype.kind == "f":
        return {"logicalType": "number", "logicalTypeOptions": {"format": f"f{max(bits, 32)}"}}
    return _build_type(SCALAR_KINDS[dtype.kind], "") if dtype.kind in SCALAR_KINDS else {}


def find_losses_in_odcs(contract: ModelSignature | Schema) -> list[Finding]:
    """Return the parts of a signature that :func:`to_odcs` cannot express."""
    if isinstance(contract, Schema):
        return _find_losses(contract)
    sides = list_sides(contract)
    losses = [loss.below(side) for side, schema in sides.items() for loss in _find_losses(schema)]
    return losses + find_lost_params(contract.params)


def _find_losses(schema: Schema) -> list[Finding]:
    findings = find_lost_names(schema)
    for path, dtype in walk_schema(schema):
        if isinstance(dtype, TensorSpec):
            findings += _find_tensor_losses(path, dtype)
        elif isinstance(dtype, SparkMLVector):
            findings.append(build_loss(path, describe(dtype), "an array of numbers"))
        elif isinstance(dtype, Map):
            findings.append(build_loss(path, describe(dtype), "an object without properties"))
        elif isinstance(dtype, AnyType):
            findings.append(build_loss(path, describe(dtype), "no logical type"))
    return findings


def _find_tensor_losses(path: str, spec: TensorSpec) -> list[Finding]:
    findings = []
    if spec.shape and spec.shape[0] != -1:
        findings.append(build_loss(path, f"{spec.shape[0]} rows", "any number of rows"))
    if spec.type.kind == "M" or spec.type.name == "float16":
        instead = "timestamp" if spec.type.kind == "M" else "a number of 32 bits"
        findings.append(build_loss(path, spec.type.name, instead))
    return findings
