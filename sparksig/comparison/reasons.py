"""Why data of one contract is not always accepted by another: every reason.

What a type reaches is the casting table's word (:mod:`sparksig.lattice`). This file adds what no table of
types knows: what may be absent. It knows no old and no new, only what is given and what is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparksig.errors import HINTS, Code, Finding, nearest, step
from sparksig.lattice import MODEL_TYPE, Field, ListOf, MapOf, Scalar, Source, Struct, mismatches
from sparksig.params import ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, DataType, Map, Object, SparkMLVector, Type, describe
from sparksig.walks import fold, walk, zip_parts

__all__ = ["counted", "described", "param_type", "params_refused", "refused", "spec_path"]

_LIST: Source = ListOf(Scalar(MODEL_TYPE[DataType.double]))
_VECTORS: dict[str, Source] = {"inputs": Struct((), "vector"), "outputs": _LIST}
"""What a vector is: models are given Spark's own or a list, of which fewer types take the first; they give
a list."""


def refused(given: Schema, wanted: Schema, side: str) -> list[Finding]:
    """Why data under one schema is not always accepted where another is declared; nothing if it is.

    Args:
        given: what the data is declared as.
        wanted: what it is taken as.
        side: "inputs" or "outputs".
    """
    if given.is_tensor_spec() != wanted.is_tensor_spec():
        hint = "tensors are taken in their exact dtype and shape: declare both as tensors, or as columns"
        return [Finding(Code.TYPE_MISMATCH, "", counted(wanted), counted(given), hint)]
    named = wanted.has_input_names()
    if given.has_input_names() != named:
        hint = "some are found by name, others by position: name both, or none"
        return [Finding(Code.INVALID_NAME, "", counted(wanted), counted(given), hint)]
    if not named and len(given) != len(wanted):
        return [Finding(Code.COLUMN_COUNT, "", counted(wanted), counted(given))]
    findings: list[Finding] = []
    if side == "outputs" and (len(given) == 1) != (len(wanted) == 1):
        hint = "one output comes back as its plain type, several as a struct"
        findings.append(Finding(Code.SHAPE_MISMATCH, "", counted(wanted), counted(given), hint))
    held = dict(zip(given.input_names(), given))
    for name, spec in zip(wanted.input_names(), wanted):
        if name in held:
            findings += _spec_refused(held[name], spec, spec_path(spec, name), side)
        elif spec.required:
            hint = nearest(name, held) if len(findings) < HINTS else ""
            found = "no such tensor" if isinstance(spec, TensorSpec) else "no such column"
            findings.append(Finding(Code.MISSING_COLUMN, step(name), described(spec), found, hint))
    return findings


def spec_path(spec: ColSpec | TensorSpec, name: object) -> str:
    """The path of a column or tensor that is called ``name``; a tensor without a name is the whole."""
    return "" if spec.name is None and isinstance(spec, TensorSpec) else step(name)


def described(spec: ColSpec | TensorSpec) -> str:
    """What a column or tensor is, without its name."""
    return describe(spec.type) if isinstance(spec, ColSpec) else f"Tensor({spec.type.name!r}, {spec.shape})"


def counted(schema: Schema) -> str:
    """How many columns or tensors there are, and what the first are called.

    Example:
        >>> counted(Schema([ColSpec("long", "a"), ColSpec("long", "b")])), counted(Schema([ColSpec("long")]))
        ('2 columns (a, b)', '1 column without a name')
    """
    what, many = "tensor" if schema.is_tensor_spec() else "column", len(schema) > 1
    text = f"{len(schema)} {what}{'s' if many else ''}"
    if not schema.has_input_names():
        return f"{text} without {'names' if many else 'a name'}"
    more = ", ..." if len(schema) > 5 else ""
    return f"{text} ({', '.join(map(step, schema.input_names()[:5]))}{more})"


def _spec_refused(given: Any, wanted: Any, path: str, side: str) -> list[Finding]:
    if isinstance(wanted, TensorSpec):
        return _tensor_refused(given, wanted, path)
    findings = []
    if wanted.required and not given.required:
        findings.append(_may_be_absent(Code.MISSING_COLUMN, path, "column"))
    return findings + _type_refused(given.type, wanted.type, path, _VECTORS[side])


def _may_be_absent(code: Code, path: str, what: str) -> Finding:
    hint = "it may be absent, or null: require it on both sides, or on neither"
    return Finding(code, path, f"a required {what}", "an optional one", hint)


def _tensor_refused(given: TensorSpec, wanted: TensorSpec, path: str) -> list[Finding]:
    findings = []
    if given.type != wanted.type:
        hint = "a tensor's dtype is taken as it is, and never widened"
        findings.append(Finding(Code.TYPE_MISMATCH, path, wanted.type.name, given.type.name, hint))
    ranks = len(given.shape), len(wanted.shape)
    if ranks[0] != ranks[1] or any(want not in (-1, have) for want, have in zip(wanted.shape, given.shape)):
        expected, found = f"shape {wanted.shape}", f"shape {given.shape}"
        findings.append(Finding(Code.SHAPE_MISMATCH, path, expected, found))
    return findings


# --- types ------------------------------------------------------------------------------------------------


def _type_refused(given: Type, wanted: Type, path: str, vector: Source) -> list[Finding]:
    """Why not all values of one type reach another: the casting table's findings, and what may be absent."""
    findings = mismatches(_source(given, vector), wanted, path)
    held = dict(walk(given, path)) if findings else {}
    findings = [  # in the words of signatures
        replace(one, found=describe(held[one.path]))
        if one.code is Code.TYPE_MISMATCH and one.path in held
        else one
        for one in findings
    ]
    return findings + _absent(given, wanted, path)


def _source(dtype: Type, vector: Source) -> Source:
    """Return the type of a signature as a type of data: what the casting table judges."""
    leaves: dict[type, Source] = {SparkMLVector: vector}
    return fold(
        dtype,
        leaf=lambda part, path: (
            Scalar(MODEL_TYPE[part], part.name)
            if isinstance(part, DataType)
            else leaves.get(type(part), Struct((), repr(part)))  # of a kind that nothing accepts but Any
        ),
        array=ListOf,
        map=lambda value: MapOf(Scalar(MODEL_TYPE[DataType.string]), value),
        object=lambda fields, path: Struct(tuple(Field(prop.name, part) for prop, part in fields)),
    )


def _absent(given: Type, wanted: Type, path: str) -> list[Finding]:
    """Return a finding for each required property that may be absent, at every depth."""
    findings: list[Finding] = []
    for where, mine, prop in zip_parts(given, wanted, path):
        if mine is None or prop is None:
            continue  # a required one is the casting table's finding
        if prop.required and isinstance(given, Map):
            found = "a map, which may lack the key"
            findings.append(Finding(Code.MISSING_FIELD, where, "a required property", found))
        elif prop.required and not mine.required:
            findings.append(_may_be_absent(Code.MISSING_FIELD, where, "property"))
        findings += _absent(mine.dtype, prop.dtype, where)
    return findings


# --- params -----------------------------------------------------------------------------------------------


def params_refused(given: Mapping[str, ParamSpec], wanted: Mapping[str, ParamSpec]) -> list[Finding]:
    """Why not all that can be told to one model can be told to another; nothing if it can."""
    findings: list[Finding] = []
    for name, spec in given.items():
        if name in wanted:
            findings += _param_refused(spec, wanted[name], step(name))
        else:
            hint = nearest(name, wanted)
            findings.append(Finding(Code.UNKNOWN_KEY, step(name), "no such param", param_type(spec), hint))
    return findings


def param_type(spec: ParamSpec) -> str:
    """What a param is, without its name."""
    return describe(spec.dtype) if spec.shape is None else f"a list of {describe(spec.dtype)}"


def _param_refused(given: ParamSpec, wanted: ParamSpec, path: str) -> list[Finding]:
    if given.shape != wanted.shape:
        return [Finding(Code.SHAPE_MISMATCH, path, param_type(wanted), param_type(given))]
    where = path if given.shape is None else f"{path}[]"
    findings = _type_refused(given.dtype, wanted.dtype, where, _LIST)
    findings += _closed(given.dtype, wanted.dtype, where)
    if _takes_none(given) and not _takes_none(wanted):
        hint = "None is a value where the default has it"
        expected, found = describe(wanted.dtype), f"{describe(given.dtype)} or None"
        findings.append(Finding(Code.NULL_IN_REQUIRED, where, expected, found, hint))
    return findings


def _takes_none(spec: ParamSpec) -> bool:
    """Whether None may be told, or may stand in the list that is."""
    default = spec.default
    return default is None if spec.shape is None else None in default


def _closed(given: Type, wanted: Type, path: str) -> list[Finding]:
    """Return what types of params refuse, and not those of data: undeclared keys, and None in a map."""
    if isinstance(wanted, Object) and isinstance(given, Map):
        return [Finding(Code.TYPE_MISMATCH, path, describe(wanted), describe(given), "a map has any keys")]
    findings: list[Finding] = []
    for where, mine, other in zip_parts(given, wanted, path):
        if mine is None:
            continue
        if other is None:
            assert isinstance(wanted, Object)
            found, hint = describe(mine.dtype), nearest(mine.name, [prop.name for prop in wanted.properties])
            findings.append(Finding(Code.UNKNOWN_KEY, where, "no such property", found, hint))
            continue
        into_map = isinstance(given, Object) and isinstance(wanted, Map)
        if into_map and not mine.required and not isinstance(other.dtype, AnyType):
            found = "an optional property, which may be None"
            findings.append(Finding(Code.NULL_IN_REQUIRED, where, describe(other.dtype), found))
        findings += _closed(mine.dtype, other.dtype, where)
    return findings
