"""The Spark sessions of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparksig.jobs.config import JobConfig
from sparksig.jobs.progress import choose_bar_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def start_session(name: str, config: JobConfig) -> SparkSession:
    """Return the session of a job, classic or of Spark Connect."""
    from sparksig.spark.session import build_session

    return build_session(f"sparksig {name}", {**choose_bar_settings(), **config.spark})
