"""Suppression of stack traces in the console: the error of a failed query has the cause and the log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

_OF_QUERIES = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")

_TRACES = r"(?s)^.*(\n\s+at [\w.$/]+\(|Traceback \(most recent|\d times; aborting job|: TaskKilled \().*$"
"""A printed event that has a stack trace of the JVM or of Python, or that announces one."""

_LONGEST_WAIT = 5.0
"""The number of seconds to wait for killed tasks; Spark kills their Python workers after two."""


class _Console:
    """The console appenders of the JVM, which several queries may mute at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._replaced: list[tuple[Any, Any, Any, Any]] = []

    def mute(self, spark: Any) -> None:
        """Print no event with a stack trace, from any logger."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            # Connect has no JVM, and other logging libraries have other APIs
            with contextlib.suppress(Exception):
                self._replaced = list(_replace_appenders(spark._jvm))

    def unmute(self) -> None:
        """Print all events again when no query mutes them any more."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for logger, reference, original, muted in self._replaced:
                with contextlib.suppress(Exception):  # the JVM may have ended
                    logger.addAppender(original, reference.getLevel(), reference.getFilter())
                    logger.removeAppender(muted.getName())
                    muted.stop()
            self._replaced = []


_CONSOLE = _Console()


@contextlib.contextmanager
def mute_stack_traces(spark: Any) -> Iterator[None]:
    """Keep the JVM from printing the stack traces of a failing query: its error has them.

    When a task fails, Spark kills the other tasks of the query, which may print their traces later. So the
    error is raised when they have ended, or after a few seconds.
    """
    _CONSOLE.mute(spark)
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # without a JVM there is nothing to wait for
            _await_tasks(spark)
        raise
    finally:
        _CONSOLE.unmute()


def _replace_appenders(jvm: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Replace each appender that prints text to the console by one that omits stack traces.

    Yields:
        The configuration of a logger, its reference to the appender, the appender, and its replacement.
    """
    log4j, patterns = jvm.org.apache.logging.log4j, jvm.java.util.regex.Pattern
    core = log4j.core
    layouts = core.layout.PatternLayout
    without_traces = core.pattern.RegexReplacement.createRegexReplacement(patterns.compile(_TRACES), "")
    configuration = log4j.LogManager.getContext(False).getConfiguration()
    for logger in list(configuration.getLoggers().values()):
        for reference in list(logger.getAppenderRefs()):
            original = logger.getAppenders().get(reference.getRef())
            if original is None or original.getClass().getSimpleName() != "ConsoleAppender":
                continue
            layout = original.getLayout()
            if layout.getClass().getSimpleName() != "PatternLayout":  # JSON is read by programs
                continue
            layout = (
                layouts.newBuilder()
                .withConfiguration(configuration)
                .withPattern(layout.getConversionPattern())
                .withRegexReplacement(without_traces)
                .build()
            )
            builder = core.appender.ConsoleAppender.newBuilder()
            builder = builder.setName(f"{original.getName()} without stack traces")
            builder = builder.setLayout(layout).setFilter(original.getFilter())
            muted = builder.setTarget(original.getTarget()).setConfiguration(configuration).build()
            muted.start()
            logger.addAppender(muted, reference.getLevel(), reference.getFilter())
            logger.removeAppender(original.getName())
            yield logger, reference, original, muted


def _await_tasks(spark: Any) -> None:
    """Wait until no task runs, for a few seconds at most."""
    tracker = spark.sparkContext._jsc.sc().statusTracker()
    deadline = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < deadline:
        if not sum(executor.numRunningTasks() for executor in tracker.getExecutorInfos()):
            return
        time.sleep(0.05)


@contextlib.contextmanager
def mute_query_errors() -> Iterator[None]:
    """Keep PySpark 4 from printing analysis errors as JSON with a stack trace."""
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
