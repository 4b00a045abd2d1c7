"""``sparksig show``: the description of a model directory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import add_json_option, print_document, to_document
from sparksig.cli.models import MODEL, find_permission

if TYPE_CHECKING:
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.info import ModelInfo


@click.command(
    short_help="Describe a model directory, or a signature in a file.",
    epilog="\b\nExamples:\n"
    "  sparksig show model\n"
    "  sparksig show signature.json\n"
    "  sparksig show models:/churn/7\n"
    "  sparksig show model --json",
)
@MODEL
@add_json_option
def show(model: str, json_wanted: bool) -> int:
    """Describe a model directory: signature, format, trust, size, digest. Nothing is loaded.

    MODEL is a directory, a signature's JSON file, or a URI: models:/, runs:/, s3://, gs://, abfs://, hdfs://.
    A directory that was changed since it was sealed is shown, and ends with exit code 5.
    """
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.info import get_model_info
    from sparksig.models.registry import fetch_model, fetch_path, redact_uri
    from sparksig.models.seal import MLMODEL
    from sparksig.tables.signatures import is_signature_file, read_signature

    local = fetch_path(model) if redact_uri(model).endswith(".json") else fetch_model(model)
    if local.name != MLMODEL and is_signature_file(local):
        signature = read_signature(local)
        text = f"file  {redact_uri(model)}\n\n{signature.to_text()}"
        print_document(text, {"file": redact_uri(model), "signature": to_document(signature)}, json_wanted)
        return 0
    info, directory = get_model_info(local), ModelDirectory.read(local)
    damage = _describe_damage(directory)
    document = _build_document(model, info, directory, damage)
    print_document(_format_text(document, info), document, json_wanted)
    return 5 if damage else 0


def _build_document(model: str, info: ModelInfo, directory: ModelDirectory, damage: str) -> dict[str, Any]:
    from sparksig.models.seal import SEAL
    from sparksig.models.versions import read_pins

    sizes = [file.stat().st_size for file in directory.path.rglob("*") if file.is_file()]
    return {
        "model": model,
        "format": _describe_format(directory),
        "flavors": sorted(map(str, info.flavors)),
        "loads": _describe_loading(directory),
        "sealed": (directory.path / SEAL).is_file(),
        "damage": damage or None,
        "digest": info.digest,
        "files": len(sizes),
        "bytes": sum(sizes),
        "saved": info.utc_time_created,
        "mlflow_version": info.mlflow_version,
        "run_id": info.run_id,
        "model_id": info.model_id,
        "model_uuid": info.model_uuid,
        "python": _get_python_version(directory),
        "packages": dict(read_pins(directory)),
        "version_mismatches": list(info.version_mismatches),
        "example": _convert_to_json((info.saved_input_example_info or {}).get("artifact_path")),
        "metadata": _convert_to_json(info.metadata),
        "signature": None if info.signature is None else to_document(info.signature),
    }


def _format_text(fields: Mapping[str, Any], info: ModelInfo) -> str:
    from sparksig.views import format_facts

    packages = ", ".join(f"{name} {version}" for name, version in fields["packages"].items())
    seal = fields["damage"] or ("intact" if fields["sealed"] else "none")
    facts = format_facts(
        [
            ("model", fields["model"]),
            ("format", fields["format"]),
            ("flavors", ", ".join(fields["flavors"])),
            ("loads", fields["loads"]),
            ("size", f"{fields['bytes']:,} bytes in {fields['files']:,} files"),
            ("digest", fields["digest"]),
            ("seal", seal),
            ("saved", fields["saved"] and f"{fields['saved']} UTC"),
            ("by", fields["mlflow_version"] and f"MLflow {fields['mlflow_version']}"),
            ("run", fields["run_id"]),
            ("model id", fields["model_id"]),
            ("python", fields["python"]),
            ("packages", packages),
            ("differs here", ", ".join(fields["version_mismatches"])),
            ("example", fields["example"]),
            ("metadata", fields["metadata"] and json.dumps(fields["metadata"], ensure_ascii=False)),
        ]
    )
    text = "\n".join(facts)
    if info.signature is None:
        return f"{text}\n\nno signature: set one with sparksig set-signature"
    return f"{text}\n\n{info.signature.to_text()}"


def _describe_format(directory: ModelDirectory) -> str:
    """Return the format of a model with its serialization format."""
    from sparksig.models import flavors

    if directory.get_flavor("python_function") is None:
        return "unknown: no flavor python_function"
    flavor = flavors.find_flavor(directory)
    name = flavor.name.replace("_", " ")
    serialization_format = flavor.get_config(directory).get("serialization_format")
    return f"{name} ({serialization_format})" if serialization_format else name


def _get_python_version(directory: ModelDirectory) -> str | None:
    version = (directory.get_flavor("python_function") or {}).get("python_version")
    return None if version is None else str(version)


def _describe_damage(directory: ModelDirectory) -> str:
    """Describe the changes since the directory was sealed; empty if there are none."""
    from sparksig.errors import ModelDamagedError
    from sparksig.models.trust import Trust

    try:
        Trust().verify(directory)
    except ModelDamagedError as error:
        return error.message
    return ""


def _describe_loading(directory: ModelDirectory) -> str:
    permission = find_permission(directory).removeprefix(f"{directory.path}: ")
    return permission or "without permissions: nothing in it can run code"


def _convert_to_json(value: Any) -> Any:
    """Convert a value of YAML to the types of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _convert_to_json(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert_to_json(member) for member in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)
