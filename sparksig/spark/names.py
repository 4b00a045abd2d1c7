"""The names that a Spark session distinguishes: up to case, unless spark.sql.caseSensitive says otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

__all__ = ["CASE_SENSITIVE", "Fold", "fold_of", "name_folding"]

Fold = Callable[[str], str]
"""From a name to what Spark compares: two names with the same result are one name."""

CASE_SENSITIVE = "spark.sql.caseSensitive"


def fold_of(setting: object) -> Fold:
    """Return the function that folds names under a value of spark.sql.caseSensitive.

    Example:
        >>> fold_of("false")("Kids"), fold_of("true")("Kids")
        ('kids', 'Kids')
    """
    return str if str(setting).lower() == "true" else str.casefold


def name_folding(session: Any = None) -> Fold:
    """Return the function that folds names as a session compares them.

    Args:
        session: a classic session or one of Spark Connect; the active one, if None.
    """
    if session is None:
        with contextlib.suppress(ModuleNotFoundError):  # without Spark, names are compared as by default
            from pyspark.sql import SparkSession

            session = SparkSession.getActiveSession()
    return fold_of("false" if session is None else session.conf.get(CASE_SENSITIVE, "false"))
