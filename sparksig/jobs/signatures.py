"""Signatures in files of their own: JSON, as MLmodel files hold it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sparksig.errors import ConfigError, OutputRefusedError, SignatureError
from sparksig.jobs.files import read_whole, write_whole
from sparksig.signature import ModelSignature

__all__ = ["parse", "read_signature", "write_signature"]


def parse(content: bytes) -> ModelSignature:
    """A signature from its JSON: an object of inputs, outputs and params, each a list, or that as text.

    Raises:
        SignatureError: not such JSON.

    Example:
        >>> parse(b'{"inputs": [{"type": "long", "name": "id"}]}').inputs
        ['id': long (required)]
    """
    try:
        body = json.loads(content)
    except ValueError as error:  # of the encoding, too
        raise SignatureError(f"not JSON: {error}") from None
    if not isinstance(body, dict) or not body.keys() <= {"inputs", "outputs", "params"}:
        raise SignatureError("not a signature: an object of inputs, outputs and params")
    texts = {
        side: part if part is None or isinstance(part, str) else json.dumps(part)
        for side, part in body.items()
    }
    return ModelSignature.from_dict(texts)


def read_signature(path: str, conf: Mapping[str, str]) -> ModelSignature:
    """The signature in a file.

    Raises:
        ConfigError: there is no such file, or it is none of a signature.
        OSError: it cannot be read.
    """
    content = read_whole(path, conf)
    if content is None:
        raise ConfigError(f"there is no signature at {path!r}")
    try:
        return parse(content)
    except SignatureError as error:
        raise ConfigError(f"{path!r} holds no signature: {error.message}", error.findings) from None


def write_signature(path: str, signature: ModelSignature, conf: Mapping[str, str]) -> None:
    """Write a signature as a file, whole or not at all; one that is there already may be the same.

    Raises:
        OutputRefusedError: something else is there.
        OSError: it cannot be written.
    """
    held = read_whole(path, conf)
    if held is not None:
        try:
            same = parse(held) == signature
        except SignatureError:
            same = False
        if not same:
            raise OutputRefusedError(
                f"something else is at the signature's place already: {path!r}; nothing was written"
            )
        return
    body = {side: None if text is None else json.loads(text) for side, text in signature.to_dict().items()}
    write_whole(path, (json.dumps(body, indent=2) + "\n").encode(), conf)
