"""Export of signatures to model metadata of the Open Inference Protocol, version 2 (``GET v2/models/NAME``).

Metadata cannot be imported: the protocol has only tensors, of thirteen datatypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparksig.convert import build_loss, find_lost_params, list_names
from sparksig.errors import Code, ConversionError, Finding, name_type, quote
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import DataType, describe

PLATFORM = "mlflow_pyfunc"
"""The format of the model directories, in the notation of the protocol: the project, then its format."""

LOST_TO_OIP: dict[str, str] = {
    "params": "dropped",
    "a side that is not declared": "no tensors",
    "optional columns": "required tensors: the protocol has no optional ones, and no nulls",
    "string, binary": "both are BYTES",
    "datetime": "BYTES: its text in ISO 8601",
    "Array, Object, Map, SparkML vector, Any": "BYTES: its JSON",
    "a column or tensor without a name": "input-0, output-0 and so on",
    "an integer name": "a text",
    "tensor of str, bytes, object or datetime64": "BYTES: the text, the bytes, JSON, ISO 8601",
    "tensor of complex, long double or timedelta": "refused: the protocol has no such datatype",
}
"""The parts of a signature that the metadata cannot express; each line has a test."""

Json = dict[str, Any]

_DATATYPES: dict[DataType, str] = {
    DataType.boolean: "BOOL",
    DataType.integer: "INT32",
    DataType.long: "INT64",
    DataType.float: "FP32",
    DataType.double: "FP64",
}
_DTYPES: dict[str, str] = {
    "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
_AS_BYTES = {"U": "text", "S": "bytes", "O": "JSON", "M": "ISO 8601"}


def to_oip(
    contract: ModelSignature | Schema, *, name: str, versions: Sequence[str] = (), platform: str = PLATFORM
) -> Json:
    """Return the metadata of a model as built-ins; a column becomes a tensor of shape [-1].

    Args:
        contract: a signature, or the schema of its inputs.
        name: the name of the model.
        versions: the available versions; if empty, the metadata has no versions.
        platform: the platform that runs the model.

    Raises:
        ConversionError: tensors of a dtype that the protocol lacks, or duplicate names; all are reported.

    Example:
        >>> to_oip(Schema([ColSpec("long", "id")]), name="m")["inputs"]
        [{'name': 'id', 'datatype': 'INT64', 'shape': [-1]}]
    """
    findings: list[Finding] = []
    tensors: dict[str, list[Json]] = {}
    for side, schema in _select_sides(contract).items():
        side_findings: list[Finding] = []
        tensors[side] = [] if schema is None else _build_tensors(schema, side, side_findings)
        if isinstance(contract, ModelSignature):
            side_findings = [finding.below(side) for finding in side_findings]
        findings += side_findings
    if findings:
        raise ConversionError.of("no metadata of the Open Inference Protocol", findings)
    available = {"versions": list(versions)} if versions else {}
    return {"name": name, **available, "platform": platform, **tensors}


def _select_sides(contract: ModelSignature | Schema) -> dict[str, Schema | None]:
    if isinstance(contract, Schema):
        return {"inputs": contract, "outputs": None}
    if not isinstance(contract, ModelSignature):
        raise ConversionError(f"to_oip: expected a ModelSignature or a Schema, got {name_type(contract)}")
    return {"inputs": contract.inputs, "outputs": contract.outputs}


def _build_tensors(schema: Schema, side: str, findings: list[Finding]) -> list[Json]:
    names = list_names(schema, findings)
    exported = names if schema.has_input_names() else [f"{side[:-1]}-{name}" for name in names]
    return [
        {"name": exported_name, **_build_tensor(spec, quote(name), findings)}
        for exported_name, name, spec in zip(exported, names, schema)
    ]


def _build_tensor(spec: ColSpec | TensorSpec, path: str, findings: list[Finding]) -> Json:
    if isinstance(spec, TensorSpec):
        return {"datatype": _name_datatype(spec.type, path, findings), "shape": list(spec.shape)}
    datatype = _DATATYPES.get(spec.type, "BYTES") if isinstance(spec.type, DataType) else "BYTES"
    return {"datatype": datatype, "shape": [-1]}


def _name_datatype(dtype: np.dtype[Any], path: str, findings: list[Finding]) -> str:
    if dtype.name not in _DTYPES and dtype.kind not in _AS_BYTES:
        finding = Finding(Code.UNSUPPORTED_TYPE, path, "a dtype that the protocol has", dtype.name)
        findings.append(finding)
    return _DTYPES.get(dtype.name, "BYTES")


def find_losses_in_oip(contract: ModelSignature | Schema) -> list[Finding]:
    """Return the parts of a signature that :func:`to_oip` cannot express."""
    if isinstance(contract, Schema):
        return [*_find_losses(contract, "input"), build_loss("outputs", "the predictions", "no tensors")]
    findings: list[Finding] = []
    for side, schema in _select_sides(contract).items():
        if schema is None:
            findings.append(build_loss(side, "not declared", "no tensors"))
        else:
            findings += [loss.below(side) for loss in _find_losses(schema, side[:-1])]
    return findings + find_lost_params(contract.params)


def _find_losses(schema: Schema, side: str) -> list[Finding]:
    findings: list[Finding] = []
    for name, spec in zip(schema.input_names(), schema):
        path = quote(name)
        if spec.name is None:
            findings.append(build_loss(path, "no name", f"the name {side}-{name}"))
        elif isinstance(spec.name, int):
            findings.append(build_loss(path, "an integer as name", "its digits"))
        if not spec.required:
            findings.append(build_loss(path, "optional", "a required tensor"))
        encoding = _describe_encoding(spec)
        if encoding:
            findings.append(build_loss(path, *encoding))
    return findings


def _describe_encoding(spec: ColSpec | TensorSpec) -> tuple[str, str] | None:
    """Return a type and its encoding as BYTES; None if the protocol has the type."""
    if isinstance(spec, TensorSpec):
        encoding = _AS_BYTES.get(spec.type.kind)
        return None if encoding is None else (spec.type.name, f"BYTES: {encoding}")
    if isinstance(spec.type, DataType):
        encodings = {DataType.string: "text", DataType.binary: "bytes", DataType.datetime: "ISO 8601"}
        return (spec.type.name, f"BYTES: {encodings[spec.type]}") if spec.type in encodings else None
    return describe(spec.type), "BYTES: JSON"
