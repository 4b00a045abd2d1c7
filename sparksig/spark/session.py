"""One session builder for jobs, tests and benchmarks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from pyspark import SparkConf
from pyspark.sql import SparkSession

__all__ = ["build_session"]


def build_session(app_name: str, conf: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this application: the running one, or a new one.

    The master is what spark-submit was given, or ``local[*]``. In local mode the Python workers run the
    interpreter that runs this, unless PYSPARK_PYTHON or ``spark.pyspark.python`` says otherwise:
    left alone they would take whatever ``python3`` is first on the PATH.

    Args:
        app_name: the application's name, unless spark-submit was given one.
        conf: Spark settings; those of spark-submit and of a running session stay as they are where they
            cannot be changed any more.
    """
    given = SparkConf()
    master = given.get("spark.master") or "local[*]"
    builder = SparkSession.builder.master(master)
    builder = builder.appName(given.get("spark.app.name") or app_name)
    if master.startswith("local") and not given.get("spark.pyspark.python"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for key, value in (conf or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
