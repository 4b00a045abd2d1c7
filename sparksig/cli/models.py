"""Commands about model directories: digest, set-signature, validate-serving-input, export."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import (
    add_json_option,
    print_document,
    print_error,
    print_text,
    resolve_argument,
    to_document,
)

if TYPE_CHECKING:
    from sparksig.models.directory import ModelDirectory
    from sparksig.schema import Schema
    from sparksig.signature import ModelSignature

MODEL = click.argument("model", metavar="MODEL", type=click.Path())


def find_permission(directory: ModelDirectory) -> str:
    """Return the permission that loading a model needs; empty if it needs none."""
    from sparksig.errors import SparksigError
    from sparksig.models import flavors
    from sparksig.models.flavors.interface import LoadOptions
    from sparksig.models.trust import Trust

    try:
        flavors.check(directory, LoadOptions(Trust()))
    except SparksigError as error:
        return error.message
    return ""


# --- digest -------------------------------------------------------------------------------------------------


@click.command(
    short_help="Print the SHA-256 of a model's content, to pin it.",
    epilog="\b\nExample:\n  sparksig score --config score.yaml --set model.digest=$(sparksig digest model)",
)
@MODEL
@add_json_option
def digest(model: str, json_wanted: bool) -> None:
    """Print the SHA-256 of a model directory's content, to pin it in jobs and in load_model(digest=...)."""
    from sparksig.models.registry import fetch_model
    from sparksig.models.seal import digest as digest_of

    content = digest_of(fetch_model(model))
    print_document(content, {"model": model, "digest": content}, json_wanted)


# --- set-signature ------------------------------------------------------------------------------------------

SCHEMAS = "another model's directory, a JSON file, a Parquet table, or DDL"


@click.command(
    "set-signature",
    short_help="Replace the signature of a model in place.",
    epilog="\b\nExamples:\n"
    "  sparksig set-signature model signature.json\n"
    "  sparksig set-signature model --inputs 'age double not null, note string'\n"
    "  sparksig set-signature model --inputs orders/",
)
@MODEL
@click.argument("signature", required=False, metavar="[SIGNATURE]")
@click.option("--inputs", metavar="SCHEMA", help=f"The inputs of the model: {SCHEMAS}.")
@click.option("--outputs", metavar="SCHEMA", help="The outputs of the model, likewise.")
@add_json_option
def set_signature(
    model: str, signature: str | None, inputs: str | None, outputs: str | None, json_wanted: bool
) -> None:
    """Replace the signature of a model directory in place, and renew its seal; other files do not change.

    SIGNATURE is a JSON file, as `sparksig infer -o` writes it, or another model's directory. Inputs, outputs
    and params without a replacement do not change.
    """
    from sparksig.models.info import set_signature as replace_signature
    from sparksig.models.registry import fetch_model
    from sparksig.models.seal import digest as digest_of

    if (signature is None) == (inputs is None and outputs is None):
        raise click.UsageError("either a SIGNATURE, or --inputs, --outputs, or both")
    new = _build_signature(model, signature, inputs, outputs)
    replace_signature(model, new)
    content = digest_of(fetch_model(model))
    text = f"{new.to_text()}\ndigest  {content}"
    print_document(text, {"model": model, "digest": content, "signature": to_document(new)}, json_wanted)


def _build_signature(
    model: str, signature: str | None, inputs: str | None, outputs: str | None
) -> ModelSignature:
    """Return the model's signature with the new sides."""
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import fetch_model, is_remote
    from sparksig.signature import ModelSignature

    current = None if is_remote(model) else ModelDirectory.read(fetch_model(model)).signature
    sides: dict[str, Any] = {side: getattr(current, side, None) for side in ("inputs", "outputs", "params")}
    if signature is not None:
        source = resolve_argument(signature)
        if not isinstance(source, ModelSignature):
            raise click.UsageError(f"{signature!r} has only columns: pass it as --inputs or --outputs")
        new = {side: getattr(source, side) for side in sides}
    else:
        texts = {"inputs": inputs, "outputs": outputs}
        new = {side: _resolve_schema(text, side) for side, text in texts.items() if text is not None}
    return ModelSignature(**sides | {side: schema for side, schema in new.items() if schema is not None})


def _resolve_schema(text: str, side: str) -> Schema:
    from sparksig.errors import ConfigError, ConversionError

    try:
        schema: Schema = resolve_argument(text, side).require_schema()
    except ConversionError as error:
        raise ConfigError(error.message, error.findings) from None
    return schema


# --- validate-serving-input ---------------------------------------------------------------------------------


@click.command(
    "validate-serving-input",
    short_help="Predict for the body of a request.",
    epilog="\b\nExamples:\n"
    "  sparksig validate-serving-input model model/serving_input_example.json\n"
    "  curl ... | sparksig validate-serving-input model - --allow-pickle",
)
@MODEL
@click.argument("request", metavar="FILE", type=click.Path(exists=True, allow_dash=True, dir_okay=False))
@click.option("--allow-pickle", is_flag=True, help="Allow code in the directory to run: needed for pickles.")
@click.option("--digest", metavar="HEX", help="Refuse the directory unless its content has this digest.")
@click.option(
    "--trusted-type",
    "trusted_types",
    multiple=True,
    metavar="NAME",
    help="A type that the skops file may contain; repeatable.",
)
@add_json_option
def validate_serving_input(
    model: str,
    request: str,
    allow_pickle: bool,
    digest: str | None,
    trusted_types: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """Predict for the body of a request to a scoring server, read by the model's signature.

    FILE has the request's JSON; - is standard input. Loading the model may need permission.
    """
    from sparksig.errors import SparksigError
    from sparksig.models.loading import validate_serving_input as validate
    from sparksig.scoring.exceptions import wrap_exception

    body = sys.stdin.buffer.read() if request == "-" else Path(request).read_bytes()
    trust = {"allow_pickle": allow_pickle, "digest": digest, "trusted_types": trusted_types}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the model's code may print
            predicted = validate(model, body, **trust)
    except SparksigError:
        raise
    except (Exception, SystemExit) as error:  # the model's code may raise anything
        raise wrap_exception(error) from error
    if not json_wanted:
        print_text(f"the request fits; predictions:\n{predicted}")
        return
    print_text(json.dumps({"ok": True, "predictions": _list_predictions(predicted)}))


def _list_predictions(predicted: Any) -> Any:
    """Return predictions of any format as JSON built-ins."""
    from sparksig.convert.json import to_json

    if hasattr(predicted, "to_dict") and hasattr(predicted, "columns"):
        return [to_json(row) for row in predicted.to_dict("records")]
    if hasattr(predicted, "tolist"):
        predicted = predicted.tolist()
    return to_json(predicted)


# --- export -------------------------------------------------------------------------------------------------


@click.command(
    short_help="Export a signature to another format.",
    epilog="\b\nExamples:\n"
    "  sparksig export model --to ddl --side outputs\n"
    "  sparksig export model --to odcs --name churn -o contract.yaml\n"
    "  sparksig export signature.json --to json-schema",
)
@click.argument("contract", metavar="CONTRACT")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["ddl", "arrow", "json-schema", "odcs", "oip"]),
    help="Spark DDL, an Arrow schema, JSON Schema of a record, a data contract, inference metadata.",
)
@click.option(
    "--side", type=click.Choice(["inputs", "outputs"]), help="The side of a signature; default: both."
)
@click.option("--name", default="model", show_default=True, help="The name of the data contract or model.")
@click.option("--version", "release", metavar="TEXT", help="The version of the data contract or model.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="The file to write; for arrow, in its IPC format.",
)
@add_json_option
def export(
    contract: str,
    to: str,
    side: str | None,
    name: str,
    release: str | None,
    output: str | None,
    json_wanted: bool,
) -> None:
    """Export a signature to another format; losses are reported on standard error.

    CONTRACT is a model directory, a JSON file with a signature, a Parquet table, or DDL.
    """
    from sparksig.convert.exports import export as export_to

    resolved = resolve_argument(contract)
    if side is not None:
        resolve_argument(contract, side)  # fails if the contract lacks this side
    exported = export_to(resolved, to, side=side, name=name, version=release)
    if output is not None:
        body = (
            exported.content.serialize().to_pybytes()
            if to == "arrow"
            else f"{exported.text.rstrip()}\n".encode()
        )
        Path(output).write_bytes(body)
    if json_wanted:
        content = exported.text if isinstance(exported.content, str) or to == "arrow" else exported.content
        print_text(
            json.dumps({"to": to, "content": content, "lost": [loss.to_dict() for loss in exported.lost]})
        )
        return
    for loss in exported.lost:
        print_error(f"note: {loss}")
    if output is None:
        print_text(exported.text.rstrip(), exact=True)


COMMANDS: tuple[click.Command, ...] = (digest, set_signature, validate_serving_input, export)
