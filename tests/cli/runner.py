"""Click's runner of commands, with both streams apart, as newer versions have them anyway."""

from __future__ import annotations

import inspect

from click.testing import CliRunner


def runner():
    """A runner."""
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart)
