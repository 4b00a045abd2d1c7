"""The reasons why data under one contract (provided) is not always accepted under another (required).

The casting table (:mod:`sparksig.lattice`) decides about types. This module adds columns, properties and
params that may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparksig.errors import HINTS, Code, Finding, quote, suggest
from sparksig.lattice import MODEL_TYPE, Field, ListOf, MapOf, Scalar, Source, Struct, find_mismatches
from sparksig.params import ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, DataType, Map, Object, SparkMLVector, Type, describe
from sparksig.walks import fold, walk, zip_parts

_LIST: Source = ListOf(Scalar(MODEL_TYPE[DataType.double]))
_VECTORS: dict[str, Source] = {"inputs": Struct((), "vector"), "outputs": _LIST}
"""The source type of a vector: inputs may be Spark's own vectors, outputs are lists."""


def find_reasons(provided: Schema, required: Schema, side: str) -> list[Finding]:
    """Find the reasons why data under one schema is not always accepted under another."""
    if provided.is_tensor_spec() != required.is_tensor_spec():
        hint = "declare both as tensors, or both as columns"
        return [Finding(Code.TYPE_MISMATCH, "", describe_columns(required), describe_columns(provided), hint)]
    is_named = required.has_input_names()
    if provided.has_input_names() != is_named:
        hint = "name the columns of both, or of neither"
        return [Finding(Code.INVALID_NAME, "", describe_columns(required), describe_columns(provided), hint)]
    if not is_named and len(provided) != len(required):
        return [Finding(Code.COLUMN_COUNT, "", describe_columns(required), describe_columns(provided))]
    findings: list[Finding] = []
    if side == "outputs" and (len(provided) == 1) != (len(required) == 1):
        hint = "declare one output in both, or several in both: several are returned as a struct"
        findings.append(
            Finding(Code.SHAPE_MISMATCH, "", describe_columns(required), describe_columns(provided), hint)
        )
    provided_specs = dict(zip(provided.input_names(), provided))
    for name, spec in zip(required.input_names(), required):
        if name in provided_specs:
            findings += _find_spec_reasons(provided_specs[name], spec, format_spec_path(spec, name), side)
        elif spec.required:
            hint = suggest(name, provided_specs) if len(findings) < HINTS else ""
            actual = "no such tensor" if isinstance(spec, TensorSpec) else "no such column"
            findings.append(Finding(Code.MISSING_COLUMN, quote(name), describe_spec(spec), actual, hint))
    return findings


def format_spec_path(spec: ColSpec | TensorSpec, name: object) -> str:
    """Return the path of a column or tensor; it is empty for an unnamed tensor."""
    return "" if spec.name is None and isinstance(spec, TensorSpec) else quote(name)


def describe_spec(spec: ColSpec | TensorSpec) -> str:
    """Describe the type of a column or tensor, without its name."""
    return describe(spec.type) if isinstance(spec, ColSpec) else f"Tensor({spec.type.name!r}, {spec.shape})"


def describe_columns(schema: Schema) -> str:
    """Describe the number and the first names of a schema's columns or tensors.

    Example:
        >>> describe_columns(Schema([ColSpec("long", "a"), ColSpec("long", "b")]))
        '2 columns (a, b)'
    """
    noun, is_plural = "tensor" if schema.is_tensor_spec() else "column", len(schema) > 1
    text = f"{len(schema)} {noun}{'s' if is_plural else ''}"
    if not schema.has_input_names():
        return f"{text} without {'names' if is_plural else 'a name'}"
    more = ", ..." if len(schema) > 5 else ""
    return f"{text} ({', '.join(map(quote, schema.input_names()[:5]))}{more})"


def _find_spec_reasons(provided: Any, required: Any, path: str, side: str) -> list[Finding]:
    if isinstance(required, TensorSpec):
        return _find_tensor_reasons(provided, required, path)
    findings = []
    if required.required and not provided.required:
        findings.append(_build_optional_finding(Code.MISSING_COLUMN, path, "column"))
    return findings + _find_type_reasons(provided.type, required.type, path, _VECTORS[side])


def _build_optional_finding(code: Code, path: str, noun: str) -> Finding:
    hint = "require it in both contracts, or in neither: it may be absent or null"
    return Finding(code, path, f"a required {noun}", f"an optional {noun}", hint)


def _find_tensor_reasons(provided: TensorSpec, required: TensorSpec, path: str) -> list[Finding]:
    findings = []
    if provided.type != required.type:
        hint = "declare the same dtype: tensors are not widened"
        findings.append(Finding(Code.TYPE_MISMATCH, path, required.type.name, provided.type.name, hint))
    ranks = len(provided.shape), len(required.shape)
    if ranks[0] != ranks[1] or any(
        size not in (-1, length) for size, length in zip(required.shape, provided.shape)
    ):
        expected, actual = f"shape {required.shape}", f"shape {provided.shape}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, expected, actual))
    return findings


# --- types ------------------------------------------------------------------------------------------------


def _find_type_reasons(provided: Type, required: Type, path: str, vector: Source) -> list[Finding]:
    """Find the reasons why values of one type are not always accepted as another."""
    findings = find_mismatches(_to_source(provided, vector), required, path)
    provided_types = dict(walk(provided, path)) if findings else {}
    findings = [  # describe the provided types as signature types
        replace(finding, actual=describe(provided_types[finding.path]))
        if finding.code is Code.TYPE_MISMATCH and finding.path in provided_types
        else finding
        for finding in findings
    ]
    return findings + _find_optional(provided, required, path)


def _to_source(dtype: Type, vector: Source) -> Source:
    """Convert a signature type to a source type of the casting table."""
    leaves: dict[type, Source] = {SparkMLVector: vector}
    return fold(
        dtype,
        leaf=lambda part, path: (
            Scalar(MODEL_TYPE[part], part.name)
            if isinstance(part, DataType)
            else leaves.get(type(part), Struct((), repr(part)))  # a type that only Any accepts
        ),
        array=ListOf,
        map=lambda value: MapOf(Scalar(MODEL_TYPE[DataType.string]), value),
        object=lambda fields, path: Struct(tuple(Field(prop.name, part) for prop, part in fields)),
    )


def _find_optional(provided: Type, required: Type, path: str) -> list[Finding]:
    """Return a finding for each required property that may be absent, at every depth."""
    findings: list[Finding] = []
    for prop_path, provided_prop, prop in zip_parts(provided, required, path):
        if provided_prop is None or prop is None:
            continue  # the casting table reports a missing required property
        if prop.required and isinstance(provided, Map):
            actual = "a map, which may lack the key"
            findings.append(Finding(Code.MISSING_FIELD, prop_path, "a required property", actual))
        elif prop.required and not provided_prop.required:
            findings.append(_build_optional_finding(Code.MISSING_FIELD, prop_path, "property"))
        findings += _find_optional(provided_prop.dtype, prop.dtype, prop_path)
    return findings


# --- params -----------------------------------------------------------------------------------------------


def find_param_reasons(provided: Mapping[str, ParamSpec], required: Mapping[str, ParamSpec]) -> list[Finding]:
    """Find the reasons why params that one model accepts are not always accepted by another."""
    findings: list[Finding] = []
    for name, spec in provided.items():
        if name in required:
            findings += _compare_params(spec, required[name], quote(name))
        else:
            hint = suggest(name, required)
            findings.append(
                Finding(Code.UNKNOWN_KEY, quote(name), "no such param", format_param_type(spec), hint)
            )
    return findings


def format_param_type(spec: ParamSpec) -> str:
    """Format the type of a param, without its name."""
    return describe(spec.dtype) if spec.shape is None else f"a list of {describe(spec.dtype)}"


def _compare_params(provided: ParamSpec, required: ParamSpec, path: str) -> list[Finding]:
    if provided.shape != required.shape:
        return [Finding(Code.SHAPE_MISMATCH, path, format_param_type(required), format_param_type(provided))]
    value_path = path if provided.shape is None else f"{path}[]"
    findings = _find_type_reasons(provided.dtype, required.dtype, value_path, _LIST)
    findings += _find_closed(provided.dtype, required.dtype, value_path)
    if _accepts_none(provided) and not _accepts_none(required):
        hint = "a param accepts None only if its default has it: use None in both defaults"
        expected, actual = describe(required.dtype), f"{describe(provided.dtype)} or None"
        findings.append(Finding(Code.NULL_IN_REQUIRED, value_path, expected, actual, hint))
    return findings


def _accepts_none(spec: ParamSpec) -> bool:
    """Return whether a param accepts None, or a list with None."""
    default = spec.default
    return default is None if spec.shape is None else None in default


def _find_closed(provided: Type, required: Type, path: str) -> list[Finding]:
    """Find what params refuse, but data does not: undeclared keys, and None in a map."""
    if isinstance(required, Object) and isinstance(provided, Map):
        hint = "declare the same object: a map may have other keys"
        return [Finding(Code.TYPE_MISMATCH, path, describe(required), describe(provided), hint)]
    findings: list[Finding] = []
    for prop_path, provided_prop, prop in zip_parts(provided, required, path):
        if provided_prop is None:
            continue
        if prop is None:
            assert isinstance(required, Object)
            hint = suggest(provided_prop.name, [declared.name for declared in required.properties])
            actual = describe(provided_prop.dtype)
            findings.append(Finding(Code.UNKNOWN_KEY, prop_path, "no such property", actual, hint))
            continue
        is_map = isinstance(provided, Object) and isinstance(required, Map)
        if is_map and not provided_prop.required and not isinstance(prop.dtype, AnyType):
            actual = "an optional property, which may be None"
            findings.append(Finding(Code.NULL_IN_REQUIRED, prop_path, describe(prop.dtype), actual))
        findings += _find_closed(provided_prop.dtype, prop.dtype, prop_path)
    return findings
