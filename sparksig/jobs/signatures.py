"""Signatures in files of their own: JSON, as MLmodel files hold it."""

from __future__ import annotations

from collections.abc import Mapping

from sparksig.errors import ConfigError, OutputRefusedError, SignatureError
from sparksig.jobs.files import read_whole, write_whole
from sparksig.signature import ModelSignature
from sparksig.tables.signatures import parse_signature

__all__ = ["read_signature", "write_signature"]


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
        return parse_signature(content)
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
            same = parse_signature(held) == signature
        except SignatureError:
            same = False
        if not same:
            raise OutputRefusedError(
                f"something else is at the signature's place already: {path!r}; nothing was written"
            )
        return
    write_whole(path, f"{signature.to_json()}\n".encode(), conf)
