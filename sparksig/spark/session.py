"""One session builder for jobs, tests and benchmarks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession

__all__ = ["build_session"]


def build_session(app_name: str, conf: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this application: the running one, or a new one.

    The master is spark-submit's, or ``local[*]`` as Spark has it. Started without spark-submit, Python
    workers run the interpreter that runs this, unless PYSPARK_PYTHON says otherwise: left alone they
    would take whatever ``python3`` is first on the PATH.

    Args:
        app_name: the application's name, unless spark-submit has given it one.
        conf: Spark settings. As everywhere in Spark, what the application sets comes before
            spark-submit's flags, and a running session keeps what cannot be changed any more.
    """
    builder = SparkSession.builder
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # which spark-submit sets for the process that it starts
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.appName(app_name)
    for key, value in (conf or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
