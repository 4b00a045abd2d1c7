"""One session builder for jobs, tests and benchmarks."""

from __future__ import annotations

import os
import sys
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
    active = SparkSession.getActiveSession()
    # only the builder of a session of Spark Connect knows the URL of its server
    builder = SparkSession.builder if active is None else type(active).builder
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit sets it for the process that it starts
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.appName(app_name)
    for key, value in (conf or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
