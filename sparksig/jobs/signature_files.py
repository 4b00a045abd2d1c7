"""Signatures in JSON files, in the format of MLmodel files."""

from __future__ import annotations

from collections.abc import Mapping

from sparksig.errors import ConfigError, OutputRefusedError, SignatureError
from sparksig.jobs.files import read_file, write_file
from sparksig.signature import ModelSignature
from sparksig.tables.signatures import parse_signature


def read_signature(path: str, conf: Mapping[str, str]) -> ModelSignature:
    """Read the signature in a file.

    Raises:
        ConfigError: the file does not exist, or has no signature.
        OSError: the file cannot be read.
    """
    content = read_file(path, conf)
    if content is None:
        raise ConfigError(f"there is no signature at {path!r}")
    try:
        return parse_signature(content)
    except SignatureError as error:
        raise ConfigError(f"{path!r} has no signature: {error.message}", error.findings) from None


def write_signature(path: str, signature: ModelSignature, conf: Mapping[str, str]) -> None:
    """Write a signature to a file; an existing file must have the same signature.

    Raises:
        OutputRefusedError: the file exists and has something else.
        OSError: the file cannot be written.
    """
    existing = read_file(path, conf)
    if existing is not None:
        try:
            is_same = parse_signature(existing) == signature
        except SignatureError:
            is_same = False
        if not is_same:
            raise OutputRefusedError(f"{path!r} exists and has another signature; nothing was written")
        return
    write_file(path, f"{signature.to_json()}\n".encode(), conf)
