"""``sparksig show``: what a model directory says of itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import as_json, document_of, page, tell
from sparksig.cli.models import MODEL

if TYPE_CHECKING:
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.info import ModelInfo

__all__ = ["show"]


@click.command(
    short_help="Describe a model directory, or a signature in a file.",
    epilog="\b\nExamples:\n"
    "  sparksig show model\n"
    "  sparksig show signature.json\n"
    "  sparksig show models:/churn/7\n"
    "  sparksig show model --json",
)
@MODEL
@as_json
def show(model: str, json_wanted: bool) -> int:
    """Describe a model directory: signature, format, trust, size, digest. Nothing is loaded.

    MODEL is a directory, a signature's JSON file, or a URI: models:/, runs:/, s3://, gs://, abfs://, hdfs://.
    A directory that was changed since it was sealed is shown, and ends with exit code 5.
    """
    from sparksig.models.directory import MLMODEL, ModelDirectory
    from sparksig.models.info import get_model_info
    from sparksig.models.registry import fetched, local_path, shown
    from sparksig.tables.signatures import is_signature_file, read_signature

    local = fetched(model) if shown(model).endswith(".json") else local_path(model)
    if local.name != MLMODEL and is_signature_file(local):
        signature = read_signature(local)
        text = f"{page([('file', shown(model))])}\n\n{signature.to_text()}"
        tell(text, {"file": shown(model), "signature": document_of(signature)}, json_wanted)
        return 0
    info, directory = get_model_info(local), ModelDirectory.read(local)
    damage = _damage(directory)
    document = _document(model, info, directory, damage)
    tell(_text(document, info), document, json_wanted)
    return 5 if damage else 0


def _document(model: str, info: ModelInfo, directory: ModelDirectory, damage: str) -> dict[str, Any]:
    from sparksig.models.versions import pins

    sizes = [one.stat().st_size for one in directory.path.rglob("*") if one.is_file()]
    return {
        "model": model,
        "format": _format(directory),
        "flavors": sorted(map(str, info.flavors)),
        "loads": _loads(directory),
        "sealed": _is_sealed(directory),
        "damage": damage or None,
        "digest": info.digest,
        "files": len(sizes),
        "bytes": sum(sizes),
        "saved": info.utc_time_created,
        "mlflow_version": info.mlflow_version,
        "run_id": info.run_id,
        "model_id": info.model_id,
        "model_uuid": info.model_uuid,
        "python": _python_version(directory),
        "packages": dict(pins(directory)),
        "version_mismatches": list(info.version_mismatches),
        "example": _plain((info.saved_input_example_info or {}).get("artifact_path")),
        "metadata": _plain(info.metadata),
        "signature": None if info.signature is None else document_of(info.signature),
    }


def _text(told: Mapping[str, Any], info: ModelInfo) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    seal = told["damage"] or ("intact" if told["sealed"] else "none")
    rows = page(
        [
            ("model", told["model"]),
            ("format", told["format"]),
            ("flavors", ", ".join(told["flavors"])),
            ("loads", told["loads"]),
            ("size", f"{told['bytes']:,} bytes in {told['files']:,} files"),
            ("digest", told["digest"]),
            ("seal", seal),
            ("saved", told["saved"] and f"{told['saved']} UTC"),
            ("by", told["mlflow_version"] and f"MLflow {told['mlflow_version']}"),
            ("run", told["run_id"]),
            ("model id", told["model_id"]),
            ("python", told["python"]),
            ("packages", packages),
            ("differs here", ", ".join(told["version_mismatches"])),
            ("example", told["example"]),
            ("metadata", told["metadata"] and json.dumps(told["metadata"], ensure_ascii=False)),
        ]
    )
    if info.signature is None:
        return f"{rows}\n\nno signature: sparksig set-signature gives it one"
    return f"{rows}\n\n{info.signature.to_text()}"


def _format(directory: ModelDirectory) -> str:
    """The format, and how it is kept."""
    from sparksig.models import flavors

    if directory.get_flavor("python_function") is None:
        return "unknown: no flavor python_function"
    flavor = flavors.find_flavor(directory)
    name = flavor.name.replace("_", " ")
    serialization_format = flavor.get_config(directory).get("serialization_format")
    return f"{name} ({serialization_format})" if serialization_format else name


def _python_version(directory: ModelDirectory) -> str | None:
    version = (directory.get_flavor("python_function") or {}).get("python_version")
    return None if version is None else str(version)


def _is_sealed(directory: ModelDirectory) -> bool:
    from sparksig.models.seal import SEAL

    return (directory.path / SEAL).is_file()


def _damage(directory: ModelDirectory) -> str:
    """What has changed since the directory was sealed; nothing, if nothing has."""
    from sparksig.errors import ModelDamagedError
    from sparksig.models.trust import Trust

    try:
        Trust().verify(directory)
    except ModelDamagedError as error:
        return error.message
    return ""


def _loads(directory: ModelDirectory) -> str:
    """What loading it asks for, by the very checks that loading makes."""
    from sparksig.errors import SparksigError
    from sparksig.models import flavors
    from sparksig.models.flavors.interface import Loading
    from sparksig.models.trust import Trust

    try:
        flavors.check(directory, Loading(Trust()))
    except SparksigError as error:
        return error.message.removeprefix(f"{directory.path}: ")
    return "as it is: nothing in it can run code"


def _plain(value: Any) -> Any:
    """What YAML has read, as JSON can say it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)
