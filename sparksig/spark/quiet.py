"""Loggers of Spark that repeat the failure of a query with a stack trace, muted while errors are reported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["mute_failing_tasks", "mute_query_errors"]

_OF_TASKS = (
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.sql.execution.datasources.FileFormatWriter",
    "org.apache.spark.sql.execution.datasources.v2",
    "org.apache.spark.util.Utils",
    "org.apache.spark.api.python",
)
_OF_QUERIES = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


@contextlib.contextmanager
def mute_failing_tasks(spark: Any) -> Iterator[None]:
    """Keep the JVM from printing the stack traces of tasks that fail: the error of the query has them."""
    levels = {}
    with contextlib.suppress(
        Exception
    ):  # on Connect there is no JVM; other logging libraries have other APIs
        log4j = spark._jvm.org.apache.logging.log4j
        for name in _OF_TASKS:
            levels[name] = log4j.LogManager.getLogger(name).getLevel()
            log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # the JVM may be gone
            for name, level in levels.items():
                log4j.core.config.Configurator.setLevel(name, level)


@contextlib.contextmanager
def mute_query_errors() -> Iterator[None]:
    """Keep PySpark 4 from printing each error of analysis as JSON with its stack trace."""
    loggers: list[Any] = []
    with contextlib.suppress(ImportError):  # Spark 3.5 has no such loggers
        from pyspark.logger import PySparkLogger

        loggers = [PySparkLogger.getLogger(name) for name in _OF_QUERIES]
    enabled = [logger for logger in loggers if not logger.disabled]
    for logger in enabled:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in enabled:
            logger.disabled = False
