"""Printing for jobs: without secrets, and with control characters escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from sparksig.errors import make_lines_printable
from sparksig.jobs.secrets import hide_secrets


def print_output(text: str, secrets: Iterable[str] = ()) -> None:
    """Print to standard output."""
    print(make_lines_printable(hide_secrets(text, secrets)), flush=True)  # noqa: T201


def print_error(text: str, secrets: Iterable[str] = ()) -> None:
    """Print a message to standard error."""
    print(f"sparksig: {make_lines_printable(hide_secrets(text, secrets))}", file=sys.stderr, flush=True)  # noqa: T201
