"""Export of signatures to other formats, each with the list of its losses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from sparksig.convert import build_loss, find_lost_params
from sparksig.convert.ddl import find_losses_in_ddl, to_ddl
from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.odcs import find_losses_in_odcs, to_odcs
from sparksig.convert.oip import find_losses_in_oip, to_oip
from sparksig.errors import Code, ConversionError, Finding, suggest
from sparksig.schema import Schema
from sparksig.signature import ModelSignature


@dataclass(frozen=True)
class Exported:
    """A signature in another format.

    Attributes:
        content: the text of DDL, a ``pyarrow.Schema``, or built-ins for JSON.
        text: the content as text, ready for a file; that of Arrow is for people, and
            ``content.serialize()`` is for files.
        lost: the findings about details that the format cannot express.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> from sparksig.types import SparkMLVector
        >>> exported = export(Schema([ColSpec(SparkMLVector(), "v")]), "ddl")
        >>> exported.text, [str(finding) for finding in exported.lost]
        ('v array<double> not null', ['v: expected SparkML vector, got array<double> [NOT_EXPRESSED]'])
    """

    content: Any
    text: str
    lost: tuple[Finding, ...]

    def __str__(self) -> str:
        return self.text


def export(
    contract: Any, to: str, *, side: str | None = None, name: str = "model", version: str | None = None
) -> Exported:
    """Export a signature, or one side of it, to another format.

    Args:
        contract: any contract that :func:`check` accepts. The formats ddl and arrow keep the exact types of a
            table; other formats have the nearest types of a signature, and report the differences as losses.
        to: ``ddl`` (Spark's column list), ``arrow``, ``json-schema`` (draft 2020-12, of one record), ``odcs``
            (a data contract of the Open Data Contract Standard 3.1) or ``oip`` (model metadata of the Open
            Inference Protocol).
        side: "inputs" or "outputs"; None for all sides that the format can express. DDL and Arrow have one
            table: the inputs, or else the outputs. If a format can express only one of the two sides, the
            other is omitted and reported as a loss.
        name: the name of the data contract or the model.
        version: the version of the data contract or the model.

    Returns:
        The export: its ``text``, its ``content`` for programs, and the losses, ``lost``.

    Raises:
        ConversionError: unknown format or side; or types that the format cannot express, all of which are
            reported.
        ContractError, ModelError, TableNotFoundError: the contract cannot be read.

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
        names, hint = ", ".join(EXPORTS), suggest(to, EXPORTS)
        raise ConversionError(f"export format: expected one of {names}, got {to!r}{hint and f' ({hint})'}")
    side = None if declared is not None else side
    contract = contract if side is None else _select_side(contract, side)
    request = _Request(contract, side, name, version, declared)
    try:
        content, text, findings = _convert(request, to)
        (text + (_format_json(content) if isinstance(content, dict) else "")).encode()
    except UnicodeEncodeError:
        finding = Finding(Code.INVALID_NAME, "", "names that are Unicode text", "a lone surrogate")
        raise ConversionError.of(f"no {to} for this signature", [finding]) from None
    if declared is not None and to not in ("ddl", "arrow"):
        from sparksig.tables.exact import find_losses_in_signature

        findings = [*find_losses_in_signature(declared), *findings]
    return Exported(content, text, tuple(findings))


@dataclass(frozen=True)
class _Request:
    contract: ModelSignature | Schema
    side: str | None
    name: str
    version: str | None
    declared: Any = None  # the contract of a table


def _select_side(contract: ModelSignature | Schema, side: str) -> ModelSignature:
    if side not in ("inputs", "outputs"):
        raise ConversionError(f"side: expected 'inputs' or 'outputs', got {side!r}")
    schema = getattr(contract, side, None) if isinstance(contract, ModelSignature) else None
    if schema is None:
        reason = "a schema has no sides" if isinstance(contract, Schema) else f"the signature has no {side}"
        raise ConversionError(f"cannot export the {side}: {reason}")
    return ModelSignature(**{side: schema})


def _convert(request: _Request, to: str) -> Export:
    """Convert a contract; omit one of its sides if the format cannot express only that side."""
    try:
        return EXPORTS[to](request)
    except ConversionError as error:
        contract = request.contract
        if request.side is not None or not isinstance(contract, ModelSignature):
            raise
        refusals = {side: _find_refusal(request, to, side) for side in ("inputs", "outputs")}
        refused = [side for side, refusal in refusals.items() if refusal is not None]
        if len(refused) != 1 or None in (contract.inputs, contract.outputs):
            raise error from None
    [side] = refused
    other = ModelSignature(
        **{"inputs": contract.inputs, "outputs": contract.outputs, side: None}, params=contract.params
    )
    content, text, findings = EXPORTS[to](replace(request, contract=other))
    losses = [finding for finding in findings if finding.path != side]
    losses += _report_lost_side(side, refusals[side], is_table=to in ("ddl", "arrow"))
    return content, text, losses


def _find_refusal(request: _Request, to: str, side: str) -> ConversionError | None:
    """Return the error if a format cannot express one side of a signature."""
    schema = getattr(request.contract, side)
    try:
        if schema is not None:
            EXPORTS[to](replace(request, contract=ModelSignature(**{side: schema})))
    except ConversionError as error:
        return error
    return None


def _report_lost_side(side: str, refusal: ConversionError | None, *, is_table: bool) -> list[Finding]:
    """Return the findings that a side is omitted, with the reasons; add the side to the paths of a table."""
    assert refusal is not None
    causes = [
        build_loss(finding.path, finding.actual or finding.expected, "nothing", finding.hint)
        for finding in refusal.findings
    ]
    causes = [cause.below(side) for cause in causes] if is_table else causes
    return [build_loss(side, f"the model's {side}", "nothing", "types in it cannot be expressed"), *causes]


# --- the formats ----------------------------------------------------------------------------------------

Export = tuple[Any, str, list[Finding]]
"""The content, the text and the losses of an export."""


def _select_table(contract: ModelSignature | Schema) -> tuple[Schema, str, list[Finding]]:
    """Return the table of a contract that is exported, its side, and the losses of the other sides."""
    if isinstance(contract, Schema):
        return contract, "", []
    side = "inputs" if contract.inputs is not None else "outputs"
    schema = getattr(contract, side)
    if schema is None:
        raise ConversionError("the signature has only params: there is no table to export")
    findings = []
    if side == "inputs" and contract.outputs is not None:
        findings.append(
            build_loss("outputs", "the model's outputs", "nothing", "export them with side='outputs'")
        )
    return schema, side, [*findings, *find_lost_params(contract.params)]


def _export_ddl(request: _Request) -> Export:
    if request.declared is not None:
        from sparksig.tables.exact import columns_to_ddl

        text, findings = columns_to_ddl(request.declared)
        return text, text, findings
    schema, side, findings = _select_table(request.contract)
    text = to_ddl(schema)
    return text, text, [loss.below(side) for loss in find_losses_in_ddl(schema)] + findings


def _export_arrow(request: _Request) -> Export:
    from sparksig.convert.arrow import find_losses_in_arrow, to_arrow

    if request.declared is not None:
        from sparksig.tables.exact import columns_to_arrow, find_lost_lengths

        content = columns_to_arrow(request.declared)
        return content, content.to_string(), find_lost_lengths(request.declared)
    schema, side, findings = _select_table(request.contract)
    content = to_arrow(schema)
    text = content.to_string(truncate_metadata=False)
    return content, text, [loss.below(side) for loss in find_losses_in_arrow(schema)] + findings


def _export_json_schema(request: _Request) -> Export:
    from sparksig.convert.json_schema import find_losses_in_json_schema, to_json_schema

    # for a side, the schema of its records; else that of the inputs, with definitions of all sides
    contract = getattr(request.contract, request.side) if request.side else request.contract
    content = to_json_schema(contract)
    return content, _format_json(content), find_losses_in_json_schema(contract)


def _export_odcs(request: _Request) -> Export:
    content = to_odcs(request.contract, name=request.name, version=request.version or "1.0.0")
    return content, _format_yaml(content), find_losses_in_odcs(request.contract)


def _export_oip(request: _Request) -> Export:
    versions = [request.version] if request.version else []
    content = to_oip(request.contract, name=request.name, versions=versions)
    return content, _format_json(content), find_losses_in_oip(request.contract)


EXPORTS: dict[str, Callable[[_Request], Export]] = {
    "ddl": _export_ddl,
    "arrow": _export_arrow,
    "json-schema": _export_json_schema,
    "odcs": _export_odcs,
    "oip": _export_oip,
}
"""The formats by name, each with the function that exports to it."""


def _format_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


class _Dumper(yaml.SafeDumper):
    """A YAML writer for YAML 1.2.

    It quotes texts that begin like a number, because YAML 1.2 has more formats of numbers than PyYAML, and
    texts with characters that only YAML 1.1 treats as line breaks.
    """


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if text[:1] in set("+-.0123456789") or set(text) & set("\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _format_yaml(content: dict[str, Any]) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text.rstrip("\n")
