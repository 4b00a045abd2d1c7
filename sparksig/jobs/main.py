"""A job from its command line to its exit code. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from sparksig.errors import (
    ConfigError,
    ConfigNotFoundError,
    ContractError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
)
from sparksig.jobs.loading import load_config
from sparksig.jobs.record import RunReport

__all__ = ["EXIT_CODES", "exit_code", "run"]

EXIT_CODES: dict[type[BaseException], tuple[int, str]] = {
    ConfigNotFoundError: (7, "the configuration file is not there"),
    ConfigError: (2, "the configuration, or the command line, is wrong"),
    ModelNotFoundError: (8, "the model directory is not there"),
    ModelError: (5, "the model is damaged, incomplete, or not trusted"),
    TableNotFoundError: (9, "the input table is not there, or empty of files"),
    ContractError: (3, "the table, or a prediction, breaks the contract"),
    OutputRefusedError: (6, "the output was refused: something is there already"),
}
"""The exit code of each kind of error, with its meaning; 0 is done, 1 anything else."""


def run(job: Callable[[Any], RunReport], form: type[BaseModel], argv: Sequence[str] | None = None) -> int:
    """Run a job from its command line: print its report, or one message; the result is the exit code."""
    parser = argparse.ArgumentParser(description=form.__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="a YAML file, see conf/")
    options = parser.parse_args(argv)
    # Of PySpark on every query; what sparksig uses of it is tested with pandas 3.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        report = job(load_config(options.config, form))
    except SparksigError as error:
        return _failed(error)
    except Exception as error:
        inner = _from_worker(error)
        if inner is None:
            raise
        return _failed(inner)
    _say(str(report))
    return 0


def exit_code(error: BaseException) -> int:
    """The exit code of an error, as :data:`EXIT_CODES` lists; 1 for anything else."""
    return next((code for form, (code, _) in EXIT_CODES.items() if isinstance(error, form)), 1)


def _failed(error: SparksigError) -> int:
    print(f"\nsparksig: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return exit_code(error)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


_WORKER_ERROR = re.compile(r"sparksig\.errors\.(\w+): (.*(?:\n  - .*)*)")


def _from_worker(error: Exception) -> SparksigError | None:
    """The error that sparksig raised in a Python worker, which Spark hands on as text only."""
    import sparksig.errors

    found = _WORKER_ERROR.search(str(error))
    if found is None:
        return None
    form = getattr(sparksig.errors, found[1], SparksigError)
    message: str = found[2]
    return form(message) if issubclass(form, SparksigError) else None
