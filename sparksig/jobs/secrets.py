"""Secrets of a configuration, and texts without them."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sparksig.errors import Finding, SparksigError, make_printable
from sparksig.models.registry import hide_credentials

_SECRET_KEY = re.compile(r"(?i)secret|passw|token|credential|(access|account|api|private)[._-]?key|\bsas\b")
_SECRET_PARAMETER = re.compile(rf"{_SECRET_KEY.pattern}|\b(sig|signature)\b")
_USER_INFOS = (  # a password may contain an @, and a text may have several URIs
    re.compile(r"//[^/@\s:]*:(?!\d+/)([^@\s]*)@"),
    re.compile(r"//[^/@\s:]*:(?!\d+/)(\S*)@"),
    re.compile(r"\b[^/@\s.:]+:([^/@\s]+)@"),
)
_PARAMETER = re.compile(r"[?&;]([\w.-]+)=([^&;#\s]+)")
_SHORTEST = 4


def find_secrets(value: Any, key: str = "") -> frozenset[str]:
    """Return the passwords and keys in a configuration, in all notations in which a message may quote them.

    These are the passwords and secret parameters of its URIs, and the values of settings with secrets.

    Args:
        value: a configuration, or a value in it.
        key: the key of the value.

    Example:
        >>> sorted(find_secrets({"path": "s3a://me:hush77@lake/t", "fs.s3a.secret.key": "quiet9"}))
        ['hush77', 'quiet9']
    """
    if isinstance(value, Mapping):
        names = [find_secrets(str(name)) for name in value]
        return frozenset().union(*names, *(find_secrets(part, str(name)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return frozenset().union(*(find_secrets(part, key) for part in value))
    if not isinstance(value, str):
        return frozenset()
    secrets = {match[1] for pattern in _USER_INFOS for match in pattern.finditer(value)}
    secrets |= {match[2] for match in _PARAMETER.finditer(value) if _SECRET_PARAMETER.search(match[1])}
    if _SECRET_KEY.search(key):
        secrets.add(value)
    return frozenset(form for secret in secrets for form in _quote(secret) if len(form) >= _SHORTEST)


def _quote(secret: str) -> set[str]:
    """Return a secret, and the notations in which URIs, JSON, Python and terminals quote it."""
    texts = {secret, urllib.parse.unquote(secret)}
    texts |= {urllib.parse.quote(text, safe=safe) for text in texts for safe in ("/", "")}
    texts |= {quote(text)[1:-1] for text in texts for quote in (json.dumps, repr)}
    return texts | {make_printable(text) for text in texts}


def hide_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Remove the user names and passwords of URIs, and the given secrets, from a text.

    Example:
        >>> hide_secrets("s3a://me:hush77@lake/t refused quiet9", ["hush77", "quiet9"])
        's3a://lake/t refused ***'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return hide_credentials(text)


def hide_secrets_in_error(error: SparksigError, secrets: Iterable[str] = ()) -> None:
    """Hide secrets in the message and the findings of an error."""
    error.message = hide_secrets(error.message, secrets)

    def hide(finding: Finding) -> Finding:
        names = ("path", "expected", "actual", "hint")
        texts: dict[str, Any] = {name: hide_secrets(getattr(finding, name), secrets) for name in names}
        return replace(finding, **texts)

    error.findings = tuple(map(hide, error.findings))
    error.args = (error.message,)
