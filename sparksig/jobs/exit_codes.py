"""The exit codes of jobs and commands by error, including errors of workers."""

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

EXIT_CODES: dict[type[BaseException], tuple[int, str]] = {
    ConfigNotFoundError: (7, "the configuration file does not exist"),
    ConfigError: (2, "the configuration, or the command line, is wrong"),
    MissingSignatureError: (2, "the configuration, or the command line, is wrong"),
    ModelNotFoundError: (8, "the model directory does not exist"),
    ModelError: (5, "the model is damaged, incomplete, or not trusted"),
    TableNotFoundError: (9, "the input table does not exist, or has no files"),
    ContractError: (3, "the table, or a prediction, breaks the contract"),
    BudgetExceededError: (4, "error budget exceeded: too many rows could not be scored"),
    OutputRefusedError: (6, "the output was refused: it exists already, or cannot be written"),
    ModelFailedError: (10, "the model failed: it raised an exception"),
}
"""The exit codes of errors, with their meanings. Also 0 (done), 1 (other errors), 130 (interrupted)."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error by :data:`EXIT_CODES`; 1 for other errors.

    Example:
        >>> exit_code(ModelNotFoundError("nothing there")), exit_code(ZeroDivisionError())
        (8, 1)
    """
    if isinstance(error, KeyboardInterrupt):
        return 130  # like shells: 128 plus the number of the signal
    cause = diagnose(error) or error
    return next((code for kind, (code, _) in EXIT_CODES.items() if isinstance(cause, kind)), 1)
