"""Secrets of a configuration, and texts without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sparksig.errors import SparksigError
from sparksig.models.registry import hide_credentials

__all__ = ["find_secrets", "hide_in_error", "hide_secrets"]

_SECRET_KEY = re.compile(r"(?i)secret|passw|token|credential|access\.?key|account\.key|sas\b|private")
_USER_INFO = re.compile(r"//([^/@\s]*:[^@\s]*)@|\b([^/@\s.]+:[^/@\s]+)@")
_SHORTEST = 4


def find_secrets(value: Any, key: str = "") -> frozenset[str]:
    """Return the passwords and keys in a configuration: those of its URIs, and of settings that hold one.

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
    user_infos = [match[1] or match[2] for match in _USER_INFO.finditer(value)]
    found = {info.partition(":")[2] for info in user_infos}
    if _SECRET_KEY.search(key):
        found.add(value)
    return frozenset(secret for secret in found if len(secret) >= _SHORTEST)


def hide_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without the user names and passwords of URIs, and without secrets that are known.

    Example:
        >>> hide_secrets("s3a://me:hush77@lake/t refused quiet9", ["hush77", "quiet9"])
        's3a://lake/t refused ***'
    """
    text = hide_credentials(text)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def hide_in_error(error: SparksigError, secrets: Iterable[str] = ()) -> None:
    """Hide secrets in the message and the findings of an error."""
    error.message = hide_secrets(error.message, secrets)
    error.findings = tuple(
        replace(
            finding,
            path=hide_secrets(finding.path, secrets),
            expected=hide_secrets(finding.expected, secrets),
            actual=hide_secrets(finding.actual, secrets),
            hint=hide_secrets(finding.hint, secrets),
        )
        for finding in error.findings
    )
    error.args = (error.message,)
