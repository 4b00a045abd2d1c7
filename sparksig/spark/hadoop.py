"""File systems as Spark's own Hadoop sees them, without a Spark job, and without Spark's warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["file_system_of", "is_nowhere"]


def file_system_of(spark: SparkSession, path: str) -> tuple[Any, Any, Any]:
    """The JVM's classes, the file system of a path, and the path in it; of a classic session."""
    session: Any = spark
    java = session._jvm
    place = java.org.apache.hadoop.fs.Path(path)
    return java, place.getFileSystem(session._jsparkSession.sessionState().newHadoopConf()), place


def is_nowhere(spark: SparkSession, path: str) -> bool:
    """Whether it is known that nothing is at a path; on Spark Connect, nobody knows.

    Spark's readers would say the same, after a warning with a stack trace in the log.
    """
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        return False
    _, files, place = file_system_of(spark, path)
    return not files.exists(place)
