"""The Spark sessions of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparksig.errors import UnsupportedError
from sparksig.jobs.config import JobConfig
from sparksig.jobs.progress import choose_bar_settings
from sparksig.spark.hadoop import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECT_ALTERNATIVES = {
    "score": "set engine: direct or local, or call sparksig.score and sparksig.write in the session",
    "check": "call sparksig.check in the session",
    "infer": "call sparksig.sample_signature in the session",
}


def start_session(name: str, config: JobConfig) -> SparkSession:
    """Return the session of a job.

    Raises:
        UnsupportedError: it is a session of Spark Connect, which gives no access to file systems.
    """
    from sparksig.spark.session import build_session

    spark = build_session(f"sparksig {name}", {**choose_bar_settings(), **config.spark})
    if is_connect(spark):
        raise UnsupportedError(
            f"the {name} job does not run on Spark Connect, which gives no access to the file systems of the "
            f"cluster. Start it with spark-submit, or {_CONNECT_ALTERNATIVES[name]}"
        )
    return spark
