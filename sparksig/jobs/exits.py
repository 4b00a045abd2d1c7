"""The exit code of a job: which error gives which, errors of workers included."""

from __future__ import annotations

from sparksig.errors import (
    BudgetExceededError,
    ConfigError,
    ConfigNotFoundError,
    ContractError,
    MissingSignatureError,
    ModelError,
    ModelFailedError,
    ModelNotFoundError,
    OutputRefusedError,
    TableNotFoundError,
)
from sparksig.spark.diagnosis import diagnose

__all__ = ["EXIT_CODES", "exit_code"]

EXIT_CODES: dict[type[BaseException], tuple[int, str]] = {
    ConfigNotFoundError: (7, "the configuration file is not there"),
    ConfigError: (2, "the configuration, or the command line, is wrong"),
    MissingSignatureError: (2, "the configuration, or the command line, is wrong"),
    ModelNotFoundError: (8, "the model directory is not there"),
    ModelError: (5, "the model is damaged, incomplete, or not trusted"),
    TableNotFoundError: (9, "the input table is not there, or empty of files"),
    ContractError: (3, "the table, or a prediction, breaks the contract"),
    BudgetExceededError: (4, "error budget exceeded: too many rows could not be scored"),
    OutputRefusedError: (6, "the output was refused: something is there already, or it cannot be written"),
    ModelFailedError: (10, "the model failed: it raised an exception"),
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
    known = diagnose(error) or error
    return next((code for kind, (code, _) in EXIT_CODES.items() if isinstance(known, kind)), 1)
