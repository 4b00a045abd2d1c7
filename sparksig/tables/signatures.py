"""Signatures in JSON files and in model directories."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sparksig.errors import ModelNotFoundError, SignatureError, SignatureTypeError, name_type, quote, suggest
from sparksig.models.directory import ModelDirectory
from sparksig.models.registry import fetch_path, redact_uri
from sparksig.models.seal import MLMODEL
from sparksig.signature import ModelSignature


def load_signature(path: str | os.PathLike[str]) -> ModelSignature:
    """Read a signature from its JSON file, or from a model directory.

    Args:
        path: a JSON file, as :meth:`~sparksig.ModelSignature.to_json` and ``sparksig infer -o`` write it; a
            model directory or its file MLmodel; or a URI of either.

    Returns:
        The signature.

    Raises:
        ModelNotFoundError: the path is neither a file nor a model directory.
        MissingSignatureError: the model has no signature.
        ModelDamagedError: the model's MLmodel is malformed.
        SignatureError: the file has no signature; ``findings`` lists every problem.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile, sparksig
        >>> file = f"{tempfile.mkdtemp()}/signature.json"
        >>> text = sparksig.infer_signature({"x": 1.5}).to_json(file)
        >>> load_signature(file).inputs
        ['x': double (required)]
    """
    if not isinstance(path, (str, os.PathLike)):
        raise SignatureTypeError(f"signature: expected a path or a URI, got {name_type(path)}")
    local = fetch_path(path)
    if (local / MLMODEL).is_file() or (local.name == MLMODEL and local.is_file()):
        return ModelDirectory.read(local).require_signature(redact_uri(path))
    if local.is_file():
        return read_signature(local)
    raise ModelNotFoundError(f"there is no signature file and no model directory at {redact_uri(path)!r}")


def is_signature_file(path: Path) -> bool:
    """Return whether a file is JSON, by its name or by its first character."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return path.suffix == ".json" or stream.read(64).lstrip()[:1] == b"{"


def read_signature(path: Path) -> ModelSignature:
    """Read the signature in a local JSON file.

    Raises:
        SignatureError: the file has no signature.
        OSError: the file cannot be read.
    """
    try:
        return parse_signature(path.read_bytes())
    except SignatureError as error:
        raise SignatureError(f"{path}: {error.message}", error.findings) from None


def parse_signature(content: bytes) -> ModelSignature:
    """Parse a signature: an object of inputs, outputs and params, each a list or the JSON text of a list.

    Raises:
        SignatureError: the JSON is not a signature.

    Example:
        >>> parse_signature(b'{"inputs": [{"type": "long", "name": "id"}]}').inputs
        ['id': long (required)]
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:  # also an error of the encoding
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SignatureError(f"not JSON: {reason}") from None
    sides = ("inputs", "outputs", "params")
    if not isinstance(body, dict):
        raise SignatureError("not a signature: an object of inputs, outputs and params")
    if unknown := [key for key in body if key not in sides]:
        hint = suggest(unknown[0], sides)
        raise SignatureError(
            "not a signature: an object of inputs, outputs and params, "
            f"not of {', '.join(map(quote, unknown))}" + (f" ({hint})" if hint else "")
        )
    return ModelSignature.from_dict(body)
