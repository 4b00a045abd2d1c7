"""Checks of the arguments that functions on Spark have in common."""

from __future__ import annotations

from typing import Any

from sparksig.errors import ContractError, kind
from sparksig.spark.diagnosis import refuse_stopped_session

__all__ = ["require_frame"]


def require_frame(value: Any, call: str, *others: Any) -> None:
    """Check that an argument is a DataFrame of a session that runs.

    Args:
        value: the argument.
        call: the call that works, such as ``score(df, model)``.
        others: the other arguments, one of which may be the DataFrame.

    Raises:
        ContractError: it is something else; the message says what was passed, and the call that works.
        ExecutionError: its session was stopped.
    """
    if hasattr(value, "sparkSession"):
        refuse_stopped_session(value.sparkSession)
        return
    if any(hasattr(other, "sparkSession") for other in others):
        raise ContractError(f"the arguments are in the wrong order: the DataFrame comes first, {call}")
    module = type(value).__module__.partition(".")[0]
    if module in ("pandas", "polars", "pyarrow", "numpy"):
        hint = "make one with spark.createDataFrame(...)"
        actual = f"a {type(value).__name__} of {module}"
    else:
        hint = "make one with spark.read or spark.table"
        actual = kind(value)
    raise ContractError(f"expected a Spark DataFrame, got {actual}: {hint}, then call {call}")
