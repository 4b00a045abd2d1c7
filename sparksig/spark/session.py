"""One session builder for jobs, tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping

from pyspark.sql import SparkSession


def build_session(app_name: str, conf: Mapping[str, str] | None = None) -> SparkSession:
    """Return the running session of this application, or start a new session.

    The master is that of spark-submit, or ``local[*]``, Spark's default. Without spark-submit, Python workers
    run the same interpreter as this process, unless PYSPARK_PYTHON is set. Spark itself would run the first
    ``python3`` on the PATH.

    Args:
        app_name: the application's name, unless spark-submit has given it one.
        conf: Spark settings. They override the flags of spark-submit. A running session keeps settings that
            cannot be changed any more.
    """
    builder = SparkSession.builder
    if not _is_submitted():
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.appName(app_name)
    for key, value in (conf or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def start_context(conf: Mapping[str, str]) -> threading.Thread | None:
    """Begin to start Spark in an application of spark-submit, and return the thread that does it.

    When the thread has ended, :func:`build_session` finds the context, or raises the error that kept it from
    starting. The thread does not keep the process from ending.

    Args:
        conf: Spark settings, the same as for :func:`build_session`.

    Returns:
        The thread; None outside of spark-submit, and for Spark Connect.
    """
    modes = {"SPARK_REMOTE", "SPARK_API_MODE", "SPARK_CONNECT_MODE_ENABLED"} & os.environ.keys()
    if not _is_submitted() or modes or {"spark.remote", "spark.api.mode"} & conf.keys():
        return None

    def start() -> None:
        from pyspark import SparkConf, SparkContext  # a client of Spark Connect lacks them

        with contextlib.suppress(Exception):  # build_session raises it again
            SparkContext.getOrCreate(SparkConf().setAll(list(conf.items())))

    thread = threading.Thread(target=start, name="sparksig-start", daemon=True)
    thread.start()
    return thread


def _is_submitted() -> bool:
    """Return whether spark-submit has started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
