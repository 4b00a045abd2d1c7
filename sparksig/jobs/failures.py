"""Reports of failures of jobs and commands: a short message, and the complete log in a file."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparksig.errors import (
    ConfigError,
    MissingDependencyError,
    SparksigError,
    TableNotFoundError,
    make_printable,
)
from sparksig.jobs.files import write_file
from sparksig.jobs.secrets import hide_secrets
from sparksig.spark.diagnosis import diagnose, is_of_spark

_LONGEST = 500_000


def describe_failure(
    error: BaseException,
    report: Any = None,
    secrets: Iterable[str] = (),
    *,
    with_findings: bool = True,
) -> str:
    """Return the message of a failure: the cause, a hint, and the file with the complete log.

    Args:
        error: the error.
        report: the run report of the failed job; None outside of a run.
        secrets: texts that the log must not contain.
        with_findings: whether the message lists the findings.
    """
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    diagnosis = diagnose(error)
    if diagnosis is None and isinstance(error, OSError) and error.strerror:  # an error of this machine
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    unexpected = f"unexpected error {type(error).__name__}. Report it with the log, which may hold your data"
    lines = [unexpected if diagnosis is None else str(diagnosis) if with_findings else diagnosis.message]
    log = None if report is None else report.log
    if report is None and needs_log(error):
        log = write_failure_log(error, "command", secrets)
    if log is not None:
        lines.append(f"  log: {log}")
    return "\n".join(lines)


_COMPLETE = (ConfigError, MissingDependencyError, TableNotFoundError)
"""Errors whose messages are complete, so that they need no log."""


def needs_log(error: BaseException) -> bool:
    """Return whether an error needs a log: it has a traceback of Spark, or is unexpected."""
    if isinstance(error, (KeyboardInterrupt, *_COMPLETE)):
        return False
    return not isinstance(error, SparksigError) or any(map(is_of_spark, _chain(error)))


def write_failure_log(
    error: BaseException,
    name: str,
    secrets: Iterable[str] = (),
    path: str | None = None,
    conf: Mapping[str, str] | None = None,
) -> str | None:
    """Write the tracebacks of an error and its causes to a file that only this user can read.

    Args:
        error: the error.
        name: a part of the file's name, for example the run id.
        secrets: texts that the file must not contain.
        path: the file. If it is None or cannot be written, the file is in the directory for temporary files.
        conf: Spark settings, which decide on the file system of a plain path.

    Returns:
        The path; None if no file can be written.
    """
    parts = []
    for cause in _chain(error):
        lines = traceback.format_exception(type(cause), cause, cause.__traceback__, chain=False)
        parts.append("".join(lines)[:_LONGEST])
    text = hide_secrets("\n".join(reversed(parts)), secrets)
    text = "\n".join(make_printable(line.replace("\t", "    ")) for line in text.splitlines())
    if path is not None:
        with contextlib.suppress(OSError, SparksigError):
            write_file(path, f"{text}\n".encode(), conf or {}, is_private=True)
            return path
    try:
        file, path = tempfile.mkstemp(
            prefix=f"sparksig-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}-", suffix=".log"
        )
        with os.fdopen(file, "w", encoding="utf-8") as stream:  # of mode 0600: values may be in it
            stream.write(f"{text}\n")
    except OSError:
        return None
    return path


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, including causes that ``from None`` hides."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is earlier for earlier in causes):
        causes.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__
