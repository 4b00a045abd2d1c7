"""Commands about model directories: digest, set-signature, validate-serving-input, export."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import as_json, complain, document_of, resolve_at, say, tell

if TYPE_CHECKING:
    from sparksig.schema import Schema
    from sparksig.signature import ModelSignature

__all__ = ["COMMANDS", "MODEL"]

MODEL = click.argument("model", metavar="MODEL", type=click.Path())


# --- digest -------------------------------------------------------------------------------------------------


@click.command(
    short_help="The SHA-256 of a model's content, to pin it.",
    epilog="\b\nExample:\n  sparksig score --config score.yaml --set model.digest=$(sparksig digest model)",
)
@MODEL
@as_json
def digest(model: str, json_wanted: bool) -> None:
    """The SHA-256 of a model directory's content, to pin it: in jobs and in load_model(digest=...)."""
    from sparksig.models.registry import local_path
    from sparksig.models.seal import digest as digest_of

    found = digest_of(local_path(model))
    tell(found, {"model": model, "digest": found}, json_wanted)


# --- set-signature ------------------------------------------------------------------------------------------

FORMS = "another model's directory, a JSON file, a Parquet table, or DDL"


@click.command(
    "set-signature",
    short_help="Give a model another signature, in place.",
    epilog="\b\nExamples:\n"
    "  sparksig set-signature model signature.json\n"
    "  sparksig set-signature model --inputs 'age double not null, note string'\n"
    "  sparksig set-signature model --inputs orders/",
)
@MODEL
@click.argument("signature", required=False, metavar="[SIGNATURE]")
@click.option("--inputs", metavar="SCHEMA", help=f"What the model takes: {FORMS}.")
@click.option("--outputs", metavar="SCHEMA", help="What it gives, in the same forms.")
@as_json
def set_signature(
    model: str, signature: str | None, inputs: str | None, outputs: str | None, json_wanted: bool
) -> None:
    """Give a model directory another signature, in place; its other files stay, and it is sealed anew.

    SIGNATURE is a JSON file, as `sparksig infer -o` writes it, or another model's directory. Sides that
    nothing is given for stay as they are: inputs, outputs, params.
    """
    from sparksig.models.info import set_signature as give
    from sparksig.models.registry import local_path
    from sparksig.models.seal import digest as digest_of

    if (signature is None) == (inputs is None and outputs is None):
        raise click.UsageError("either a SIGNATURE, or --inputs, --outputs, or both")
    new = _changed(model, signature, inputs, outputs)
    give(model, new)
    found = digest_of(local_path(model))
    text = f"{new.to_text()}\ndigest  {found}"
    tell(text, {"model": model, "digest": found, "signature": document_of(new)}, json_wanted)


def _changed(model: str, signature: str | None, inputs: str | None, outputs: str | None) -> ModelSignature:
    """The model's signature with the sides that are given."""
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import is_remote, local_path
    from sparksig.signature import ModelSignature

    held = None if is_remote(model) else ModelDirectory.read(local_path(model)).signature
    sides: dict[str, Any] = {side: getattr(held, side, None) for side in ("inputs", "outputs", "params")}
    if signature is not None:
        given = resolve_at(signature)
        if not isinstance(given, ModelSignature):
            raise click.UsageError(f"{signature!r} has columns alone: give them as --inputs, or --outputs")
        new = {side: getattr(given, side) for side in sides}
    else:
        texts = {"inputs": inputs, "outputs": outputs}
        new = {side: _schema_at(text, side) for side, text in texts.items() if text is not None}
    return ModelSignature(**sides | {side: one for side, one in new.items() if one is not None})


def _schema_at(text: str, side: str) -> Schema:
    from sparksig.errors import ConfigError, ConversionError

    try:
        schema: Schema = resolve_at(text, side).require_schema()
    except ConversionError as error:
        raise ConfigError(error.message, error.findings) from None
    return schema


# --- validate-serving-input ---------------------------------------------------------------------------------


@click.command(
    "validate-serving-input",
    short_help="What a model predicts for a request's body.",
    epilog="\b\nExamples:\n"
    "  sparksig validate-serving-input model model/serving_input_example.json\n"
    "  curl ... | sparksig validate-serving-input model - --allow-pickle",
)
@MODEL
@click.argument("request", metavar="FILE", type=click.Path(exists=True, allow_dash=True, dir_okay=False))
@click.option("--allow-pickle", is_flag=True, help="Code in the directory may run: needed for pickles.")
@click.option("--digest", metavar="HEX", help="Refuse the directory unless its content has this digest.")
@click.option(
    "--trusted-type",
    "trusted_types",
    multiple=True,
    metavar="NAME",
    help="A type that a skops file may hold.",
)
@as_json
def validate_serving_input(
    model: str,
    request: str,
    allow_pickle: bool,
    digest: str | None,
    trusted_types: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """What a model predicts for the body of a request to a scoring server, read by its signature.

    FILE has the request's JSON; - is standard input. The model is loaded, which asks for trust.
    """
    from sparksig.convert.json import to_json
    from sparksig.errors import SparksigError
    from sparksig.models import validate_serving_input as validate
    from sparksig.scoring.exceptions import wrap_exception

    body = sys.stdin.buffer.read() if request == "-" else Path(request).read_bytes()
    trust = {"allow_pickle": allow_pickle, "digest": digest, "trusted_types": trusted_types}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the model's code prints is not the answer
            predicted = validate(model, body, **trust)
    except SparksigError:
        raise
    except (Exception, SystemExit) as error:  # the model's code may raise anything
        raise wrap_exception(error) from error
    if not json_wanted:
        say(f"the request fits; the model predicts\n{predicted}")
        return
    say(json.dumps({"ok": True, "predictions": _listed(predicted, to_json)}))


def _listed(predicted: Any, to_json: Any) -> Any:
    """Predictions as JSON, whatever holds them."""
    if hasattr(predicted, "to_dict") and hasattr(predicted, "columns"):
        return [to_json(row) for row in predicted.to_dict("records")]
    if hasattr(predicted, "tolist"):
        predicted = predicted.tolist()
    return to_json(predicted)


# --- export -------------------------------------------------------------------------------------------------


@click.command(
    short_help="A signature in a form that others read.",
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
    "--side",
    type=click.Choice(["inputs", "outputs"]),
    help="Of a signature; both, if none.",
)
@click.option("--name", default="model", show_default=True, help="What a data contract or a model is called.")
@click.option("--version", "release", metavar="TEXT", help="The version of a data contract or a model.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(), help="Write it there; Arrow's as Arrow's own bytes."
)
@as_json
def export(
    contract: str,
    to: str,
    side: str | None,
    name: str,
    release: str | None,
    output: str | None,
    json_wanted: bool,
) -> None:
    """A signature in a form that others read; what the form cannot say is told on standard error.

    CONTRACT is a model directory, a JSON file with a signature, a Parquet table, or DDL.
    """
    from sparksig.convert.exports import export as export_to

    resolved = resolve_at(contract)
    if side is not None:
        resolve_at(contract, side)  # it has that side
    made = export_to(resolved, to, side=side, name=name, version=release)
    if output is not None:
        body = made.content.serialize().to_pybytes() if to == "arrow" else f"{made.text.rstrip()}\n".encode()
        Path(output).write_bytes(body)
    if json_wanted:
        content = made.text if isinstance(made.content, str) or to == "arrow" else made.content
        say(json.dumps({"to": to, "content": content, "lost": [one.to_dict() for one in made.lost]}))
        return
    for one in made.lost:
        complain(f"note: {one}")
    if output is None:
        say(made.text.rstrip(), exact=True)


COMMANDS: tuple[click.Command, ...] = (digest, set_signature, validate_serving_input, export)
