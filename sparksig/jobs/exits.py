"""The exit code of a job: which error gives which, errors of workers included."""

from __future__ import annotations

import re

import sparksig.errors
from sparksig.errors import (
    BudgetExceededError,
    ConfigError,
    ConfigNotFoundError,
    ContractError,
    MissingSignatureError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
)

__all__ = ["EXIT_CODES", "exit_code", "known"]

EXIT_CODES: dict[type[BaseException], tuple[int, str]] = {
    ConfigNotFoundError: (7, "the configuration file is not there"),
    ConfigError: (2, "the configuration, or the command line, is wrong"),
    MissingSignatureError: (2, "the configuration, or the command line, is wrong"),
    ModelNotFoundError: (8, "the model directory is not there"),
    ModelError: (5, "the model is damaged, incomplete, or not trusted"),
    TableNotFoundError: (9, "the input table is not there, or empty of files"),
    ContractError: (3, "the table, or a prediction, breaks the contract"),
    BudgetExceededError: (4, "error budget exceeded: too many rows could not be scored"),
    OutputRefusedError: (6, "the output was refused: something is there already"),
}
"""The exit code of each kind of error, with its meaning; 0 is done, 1 anything else, 130 interrupted."""


def exit_code(error: BaseException) -> int:
    """The exit code of an error, as :data:`EXIT_CODES` lists; 1 for anything else.

    Example:
        >>> exit_code(ModelNotFoundError("nothing there")), exit_code(ZeroDivisionError())
        (8, 1)
    """
    if isinstance(error, KeyboardInterrupt):
        return 130  # as shells have it: 128 and the signal's number
    told = known(error) or error
    return next((code for form, (code, _) in EXIT_CODES.items() if isinstance(told, form)), 1)


_WORKER_ERROR = re.compile(r"sparksig\.errors\.(\w+): (.*(?:\n  - .*)*)")


def known(error: BaseException) -> SparksigError | None:
    """The error as sparksig's own: itself, or what was raised in a worker, of which Spark hands on the text.

    Example:
        >>> known(RuntimeError("Job aborted: sparksig.errors.ContractError: the data does not fit"))
        ContractError('the data does not fit')
    """
    if isinstance(error, SparksigError):
        return error
    found = _WORKER_ERROR.search(str(error)) if isinstance(error, Exception) else None
    form = getattr(sparksig.errors, found[1], None) if found else None
    if found is None or not (isinstance(form, type) and issubclass(form, SparksigError)):
        return None
    told: SparksigError = form(found[2])
    return told
