"""Checks of the arguments that functions on Spark have in common."""

from __future__ import annotations

from typing import Any, NoReturn

from sparksig.errors import ContractError, name_type
from sparksig.spark.diagnosis import refuse_stopped_session


def require_frame(value: Any, call: str, *arguments: Any) -> None:
    """Check that an argument is a DataFrame of a running session.

    Args:
        value: the argument.
        call: the correct call, such as ``score(df, model)``.
        arguments: the other arguments, one of which may be the DataFrame.

    Raises:
        ContractError: it is something else. The message has the type of the argument and the correct call.
        ExecutionError: its session was stopped.
    """
    if not hasattr(value, "sparkSession"):
        refuse_object(value, "a Spark DataFrame", call, *arguments)
    refuse_stopped_session(value.sparkSession)


def refuse_object(value: Any, expected: str, call: str, *arguments: Any) -> NoReturn:
    """Raise the error for an argument that is not a table.

    Args:
        value: the argument.
        expected: the kind of object that the function expects.
        call: as in :func:`require_frame`.
        arguments: as in :func:`require_frame`.

    Raises:
        ContractError: always.
    """
    if any(hasattr(argument, "sparkSession") for argument in arguments):
        raise ContractError(f"the arguments are in the wrong order: the DataFrame comes first, {call}")
    module = type(value).__module__.partition(".")[0]
    if module in ("pandas", "polars", "pyarrow", "numpy"):
        actual, way = f"a {type(value).__name__} of {module}", "spark.createDataFrame(...)"
    else:
        actual, way = name_type(value), "spark.read or spark.table"
    raise ContractError(f"expected {expected}, got {actual}: create one with {way}, then call {call}")
