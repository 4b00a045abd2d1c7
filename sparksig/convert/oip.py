"""Signatures -> model metadata of the Open Inference Protocol, version 2 (``GET v2/models/NAME``).

There is no way back: the protocol knows tensors of thirteen datatypes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparksig.convert import build_loss, report_duplicates
from sparksig.errors import Code, ConversionError, Finding, below, kind, step
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import DataType, describe

__all__ = ["LOST_TO_OIP", "PLATFORM", "find_losses_in_oip", "to_oip"]

PLATFORM = "mlflow_pyfunc"
"""The format of the model directories, in the protocol's way of naming: the project, then its format."""

LOST_TO_OIP: dict[str, str] = {
    "params": "gone",
    "a side that is not declared": "no tensors",
    "optional columns": "tensors as all others: that they may be absent, or hold nulls, is not said",
    "string, binary": "BYTES, both of them",
    "datetime": "BYTES: its text in ISO 8601",
    "Array, Object, Map, SparkML vector, Any": "BYTES: its JSON",
    "a column or tensor without a name": "input-0, output-0 and so on",
    "an integer name": "a text",
    "tensor of str, bytes, object or datetime64": "BYTES: the text, the bytes, JSON, ISO 8601",
    "tensor of complex, long double or timedelta": "refused: the protocol has no such datatype",
}
"""What of a signature does not stand in the metadata; each line is a test."""

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
    contract: ModelSignature | Schema,
    *,
    name: str,
    versions: Sequence[str] = (),
    platform: str = PLATFORM,
) -> Json:
    """The model's metadata, as built-ins: a column is a tensor of shape [-1], a tensor what it is.

    Args:
        contract: a signature, or the schema of its inputs.
        name: of the model.
        versions: those that can be asked for; left out where there are none.
        platform: what runs it.

    Raises:
        ConversionError: tensors of a dtype that the protocol lacks, two columns of one name as text; all of
            them.

    Example:
        >>> to_oip(Schema([ColSpec("long", "id")]), name="m")["inputs"]
        [{'name': 'id', 'datatype': 'INT64', 'shape': [-1]}]
    """
    findings: list[Finding] = []
    tensors: dict[str, list[Json]] = {}
    for side, schema in _sides(contract).items():
        held: list[Finding] = []
        tensors[side] = [] if schema is None else _tensors(schema, side, held)
        findings += [one.below(side) for one in held] if isinstance(contract, ModelSignature) else held
    if findings:
        raise ConversionError.of("no metadata of the Open Inference Protocol", findings)
    told = {"versions": list(versions)} if versions else {}
    return {"name": name, **told, "platform": platform, **tensors}


def _sides(contract: ModelSignature | Schema) -> dict[str, Schema | None]:
    if isinstance(contract, Schema):
        return {"inputs": contract, "outputs": None}
    if not isinstance(contract, ModelSignature):
        raise ConversionError(f"to_oip takes a ModelSignature or a Schema, not {kind(contract)}")
    return {"inputs": contract.inputs, "outputs": contract.outputs}


def _tensors(schema: Schema, side: str, findings: list[Finding]) -> list[Json]:
    names = [str(name) for name in schema.input_names()]
    findings += report_duplicates(names, "one column of that name as text")
    called = names if schema.has_input_names() else [f"{side[:-1]}-{name}" for name in names]
    return [
        {"name": name, **_tensor(spec, step(own), findings)} for name, own, spec in zip(called, names, schema)
    ]


def _tensor(spec: ColSpec | TensorSpec, path: str, findings: list[Finding]) -> Json:
    if isinstance(spec, TensorSpec):
        return {"datatype": _datatype(spec.type, path, findings), "shape": list(spec.shape)}
    datatype = _DATATYPES.get(spec.type, "BYTES") if isinstance(spec.type, DataType) else "BYTES"
    return {"datatype": datatype, "shape": [-1]}


def _datatype(dtype: np.dtype[Any], path: str, findings: list[Finding]) -> str:
    if dtype.name not in _DTYPES and dtype.kind not in _AS_BYTES:
        finding = Finding(Code.UNSUPPORTED_TYPE, path, "a dtype that the protocol has", dtype.name)
        findings.append(finding)
    return _DTYPES.get(dtype.name, "BYTES")


def find_losses_in_oip(contract: ModelSignature | Schema) -> list[Finding]:
    """What :func:`to_oip` cannot say, each with its path."""
    if isinstance(contract, Schema):
        return [*_lost(contract, "input"), build_loss("outputs", "what the model gives", "no tensors")]
    findings: list[Finding] = []
    for side, schema in _sides(contract).items():
        if schema is None:
            findings.append(build_loss(side, "not declared", "no tensors"))
        else:
            findings += [one.below(side) for one in _lost(schema, side[:-1])]
    if contract.params is not None:
        findings += [build_loss(below("params", spec.name), "a param", "nothing") for spec in contract.params]
    return findings


def _lost(schema: Schema, side: str) -> list[Finding]:
    findings: list[Finding] = []
    for own, spec in zip(schema.input_names(), schema):
        path = step(own)
        if spec.name is None:
            findings.append(build_loss(path, "no name", f"the name {side}-{own}"))
        elif isinstance(spec.name, int):
            findings.append(build_loss(path, "an integer as name", "its digits"))
        if not spec.required:
            findings.append(build_loss(path, "optional", "a tensor as all others"))
        said = _said(spec)
        if said:
            findings.append(build_loss(path, *said))
    return findings


def _said(spec: ColSpec | TensorSpec) -> tuple[str, str] | None:
    if isinstance(spec, TensorSpec):
        form = _AS_BYTES.get(spec.type.kind)
        return None if form is None else (spec.type.name, f"BYTES: {form}")
    if isinstance(spec.type, DataType):
        forms = {DataType.string: "text", DataType.binary: "bytes", DataType.datetime: "ISO 8601"}
        return (spec.type.name, f"BYTES: {forms[spec.type]}") if spec.type in forms else None
    return describe(spec.type), "BYTES: JSON"
