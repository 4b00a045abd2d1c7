"""One door to all forms in which others read a signature: each with the list of what it cannot say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from sparksig.convert import lost
from sparksig.convert.ddl import lost_in_ddl, to_ddl
from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.odcs import lost_in_odcs, to_odcs
from sparksig.convert.oip import lost_in_oip, to_oip
from sparksig.errors import Code, ConversionError, Finding, below, nearest
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

__all__ = ["EXPORTS", "Exported", "export"]


@dataclass(frozen=True)
class Exported:
    """A signature in another's form.

    Attributes:
        content: the text of DDL, a ``pyarrow.Schema``, or JSON as built-ins.
        text: the same as a text: what goes into a file, but for Arrow's, which is for people
            (``content.serialize()`` is for machines).
        lost: what the form cannot say, each with its path.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> from sparksig.types import SparkMLVector
        >>> exported = export(Schema([ColSpec(SparkMLVector(), "v")]), "ddl")
        >>> exported.text, [str(one) for one in exported.lost]
        ('v array<double> not null', ['v: expected SparkML vector, got array<double> [NOT_EXPRESSED]'])
    """

    content: Any
    text: str
    lost: tuple[Finding, ...]

    def __str__(self) -> str:
        return self.text


def export(
    contract: Any,
    to: str,
    *,
    side: str | None = None,
    name: str = "model",
    version: str | None = None,
) -> Exported:
    """A signature, or one side of it, in a form that others read.

    Args:
        contract: in any form that :func:`check` takes. DDL and an Arrow schema keep the exact types of a
            table; other forms have the nearest types of a signature, and list the others among what is lost.
        to: ``ddl`` (Spark's column list), ``arrow``, ``json-schema`` (draft 2020-12, of one record), ``odcs``
            (a data contract of the Open Data Contract Standard 3.1) or ``oip`` (model metadata of the Open
            Inference Protocol).
        side: "inputs" or "outputs"; None for all that the form has room for, which is one table for ddl and
            arrow: the inputs, if there are some. A side that the form cannot express is left out, and listed
            among what is lost, as long as the other side can be expressed.
        name: what a data contract or a model is called.
        version: theirs.

    Returns:
        The form: its ``text``, its ``content`` for programs, and what is ``lost`` in it.

    Raises:
        ConversionError: no such form or side; types that the form has nothing for, all of them.
        ContractError, ModelError, TableNotFoundError: a text or path that names no contract.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> print(export(Schema([ColSpec("long", "id"), ColSpec("string", "text", False)]), "ddl"))
        id bigint not null, text string
    """
    contract = from_mlflow(contract)
    declared = None
    if not isinstance(contract, (ModelSignature, Schema)):
        from sparksig.tables.contract import Contract, resolve_sides

        contract = resolve_sides(contract)
        if isinstance(contract, Contract):
            declared, contract = contract, contract.schema
    if not isinstance(to, str) or to not in EXPORTS:
        known, hint = ", ".join(EXPORTS), nearest(to, EXPORTS)
        raise ConversionError(f"a signature is exported to {known}, not to {to!r}{hint and f': {hint}'}")
    side = None if declared is not None else side
    wanted = _Wanted(contract if side is None else _narrowed(contract, side), side, name, version, declared)
    try:
        content, text, findings = _convert(wanted, to)
        (text + (_json(content) if isinstance(content, dict) else "")).encode()
    except UnicodeEncodeError:
        finding = Finding(Code.INVALID_NAME, "", "names that are Unicode text", "a lone surrogate")
        raise ConversionError.of(f"no {to} for this signature", [finding]) from None
    if declared is not None and to not in ("ddl", "arrow"):
        from sparksig.tables.exact import lost_in_signature

        findings = [*lost_in_signature(declared), *findings]
    return Exported(content, text, tuple(findings))


@dataclass(frozen=True)
class _Wanted:
    contract: ModelSignature | Schema
    side: str | None
    name: str
    version: str | None
    declared: Any = None  # the contract of a table


def _narrowed(contract: ModelSignature | Schema, side: str) -> ModelSignature:
    if side not in ("inputs", "outputs"):
        raise ConversionError(f"side is 'inputs' or 'outputs', not {side!r}")
    schema = getattr(contract, side, None) if isinstance(contract, ModelSignature) else None
    if schema is None:
        what = "a schema has no sides" if isinstance(contract, Schema) else f"the signature has no {side}"
        raise ConversionError(f"{what}: there is nothing to export")
    return ModelSignature(**{side: schema})


def _convert(wanted: _Wanted, to: str) -> Form:
    """Convert a contract; without one of its sides, if the form cannot express that side alone."""
    try:
        return EXPORTS[to](wanted)
    except ConversionError as error:
        contract = wanted.contract
        if wanted.side is not None or not isinstance(contract, ModelSignature):
            raise
        refusals = {side: _refusal(wanted, to, side) for side in ("inputs", "outputs")}
        refused = [side for side, refusal in refusals.items() if refusal is not None]
        if len(refused) != 1 or None in (contract.inputs, contract.outputs):
            raise error from None
    [side] = refused
    other = ModelSignature(
        **{"inputs": contract.inputs, "outputs": contract.outputs, side: None}, params=contract.params
    )
    content, text, findings = EXPORTS[to](replace(wanted, contract=other))
    rest = [finding for finding in findings if finding.path != side]
    return content, text, [*rest, *_lost_side(side, refusals[side], one_table=to in ("ddl", "arrow"))]


def _refusal(wanted: _Wanted, to: str, side: str) -> ConversionError | None:
    """The reason why a form cannot express one side of a signature; None if it can."""
    schema = getattr(wanted.contract, side)
    try:
        if schema is not None:
            EXPORTS[to](replace(wanted, contract=ModelSignature(**{side: schema})))
    except ConversionError as error:
        return error
    return None


def _lost_side(side: str, refusal: ConversionError | None, *, one_table: bool) -> list[Finding]:
    """The findings that a side is left out, and why; those of one table have paths without the side."""
    assert refusal is not None
    causes = [
        lost(finding.path, finding.actual or finding.expected, "nothing", finding.hint)
        for finding in refusal.findings
    ]
    causes = [cause.below(side) for cause in causes] if one_table else causes
    return [lost(side, f"the model's {side}", "nothing", "types in it cannot be expressed"), *causes]


# --- the forms ------------------------------------------------------------------------------------------

Form = tuple[Any, str, list[Finding]]


def _table(contract: ModelSignature | Schema) -> tuple[Schema, str, list[Finding]]:
    """The one table of a contract, the side that it is, and what is lost with the others."""
    if isinstance(contract, Schema):
        return contract, "", []
    side = "inputs" if contract.inputs is not None else "outputs"
    schema = getattr(contract, side)
    if schema is None:
        raise ConversionError("the signature has params alone: there is no table to export")
    findings = []
    if side == "inputs" and contract.outputs is not None:
        findings.append(lost("outputs", "the model's outputs", "nothing", "export them with side='outputs'"))
    findings += [lost(below("params", spec.name), "a param", "nothing") for spec in contract.params or ()]
    return schema, side, findings


def _ddl(wanted: _Wanted) -> Form:
    if wanted.declared is not None:
        from sparksig.tables.exact import columns_to_ddl

        text, findings = columns_to_ddl(wanted.declared)
        return text, text, findings
    schema, side, findings = _table(wanted.contract)
    text = to_ddl(schema)
    return text, text, [one.below(side) for one in lost_in_ddl(schema)] + findings


def _arrow(wanted: _Wanted) -> Form:
    from sparksig.convert.arrow import lost_in_arrow, to_arrow

    if wanted.declared is not None:
        from sparksig.tables.exact import columns_to_arrow, lost_lengths

        content = columns_to_arrow(wanted.declared)
        return content, content.to_string(), lost_lengths(wanted.declared)
    schema, side, findings = _table(wanted.contract)
    content = to_arrow(schema)
    text = content.to_string(truncate_metadata=False)
    return content, text, [one.below(side) for one in lost_in_arrow(schema)] + findings


def _json_schema(wanted: _Wanted) -> Form:
    from sparksig.convert.json_schema import lost_in_json_schema, to_json_schema

    # of a side, the schema of its records; else of an input's, and all sides by their names
    contract = getattr(wanted.contract, wanted.side) if wanted.side else wanted.contract
    content = to_json_schema(contract)
    return content, _json(content), lost_in_json_schema(contract)


def _odcs(wanted: _Wanted) -> Form:
    content = to_odcs(wanted.contract, name=wanted.name, version=wanted.version or "1.0.0")
    return content, _yaml(content), lost_in_odcs(wanted.contract)


def _oip(wanted: _Wanted) -> Form:
    versions = [wanted.version] if wanted.version else []
    content = to_oip(wanted.contract, name=wanted.name, versions=versions)
    return content, _json(content), lost_in_oip(wanted.contract)


EXPORTS: dict[str, Callable[[_Wanted], Form]] = {
    "ddl": _ddl,
    "arrow": _arrow,
    "json-schema": _json_schema,
    "odcs": _odcs,
    "oip": _oip,
}
"""The forms by name, each with the function that gives its content, its text, and what it cannot say."""


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


class _Dumper(yaml.SafeDumper):
    """What begins like a number is quoted: YAML 1.2 knows more of them than PyYAML; so are breaks of lines
    that are none in YAML 1.2, and that PyYAML would fold.
    """


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if text[:1] in set("+-.0123456789") or set(text) & set("\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(content: dict[str, Any]) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text.rstrip("\n")
