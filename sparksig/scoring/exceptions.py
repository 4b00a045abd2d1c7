"""Descriptions of a model's exceptions, with the frames of the model's own code."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable

import pyarrow as pa

from sparksig.errors import ModelFailedError, describe_exception
from sparksig.models.tracebacks import describe_frames

_SEARCH_SECONDS = 10.0


def wrap_exception(error: BaseException, action: str = "the model raised", row: str = "") -> ModelFailedError:
    """Return the error that reports an exception of a model.

    Args:
        error: the exception.
        action: the action that failed.
        row: the position of the first failing row, if it is known.

    Example:
        >>> print(wrap_exception(ValueError("no rate"), row="row 3 of the batch"))
        the model raised ValueError: no rate
          first failing row: row 3 of the batch
    """
    lines = [f"{action} {describe_exception(error)}", *describe_frames(error)]
    if isinstance(error, ImportError):
        lines.append(f"install it for {sys.executable} on {platform.node()}, which runs the model")
    if row:
        lines.append(f"first failing row: {row}")
    return ModelFailedError("\n  ".join(lines))


def find_failing_row(score: Callable[[pa.RecordBatch], object], batch: pa.RecordBatch) -> int | None:
    """Find the position of the first row of a batch on which a model fails, by bisection.

    Args:
        score: raises an exception for a batch with such a row.
        batch: a batch that has failed.

    Returns:
        The position; None if the rows fail only together, or if the search takes too long.
    """
    deadline = time.monotonic() + _SEARCH_SECONDS
    start, stop = 0, batch.num_rows
    while stop - start > 1:
        if time.monotonic() > deadline:
            return None
        middle = (start + stop) // 2
        if _fails(score, batch.slice(start, middle - start)):
            stop = middle
        else:
            start = middle
    return start if _fails(score, batch.slice(start, 1)) else None


def _fails(score: Callable[[pa.RecordBatch], object], batch: pa.RecordBatch) -> bool:
    try:
        score(batch)
    except Exception:
        return True
    return False
