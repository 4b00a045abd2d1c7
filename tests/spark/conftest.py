"""One Spark session for all tests of this directory, which all carry the mark `spark`."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    import pyspark

    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        item.add_marker(pytest.mark.spark)
        if item.get_closest_marker("xdist_group") is None:  # applications of their own go beside it
            item.add_marker(pytest.mark.xdist_group("spark"))  # one process, and so one session, for all
        if pyspark.__version__ < "4.2":  # it leaves the sockets of collect() to the garbage collector
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="module", autouse=True)
def release_objects():
    """Release the objects of the JVM that a file has used; Python's own collections are rare in tests."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session made for small tables: two cores, no UI, no code generation, one shuffle partition."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",  # one session for a thousand tests
        "spark.default.parallelism": "2",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        # at this level of compilation the JVM reserves 48 MB for code, which a long session fills
        "spark.driver.extraJavaOptions": (
            "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:MetaspaceSize=256m"
        ),
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.log.level": "OFF",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Arrow writes ancient dates unchanged; Spark 3.5 needs this setting to read them
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
        **_delta(),
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def _delta():
    """The settings of a session that knows Delta, where `make` could place its jars."""
    jars = sorted(Path(sys.prefix, "delta").glob("*.jar"))
    if len(jars) < 2:
        return {}
    return {
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
    }


@pytest.fixture(scope="session")
def delta(spark):
    """A session that knows Delta."""
    if not _delta():
        pytest.skip("Delta's jars are not there: they could not be had, or Delta lacks this Spark")
    return spark


@pytest.fixture
def frame_of(spark, tmp_path):
    """A function from an Arrow table to a DataFrame; Spark 3.5 has to read it from a file."""

    def frame(table):
        if spark.version >= "4":
            return spark.createDataFrame(table)
        path = tmp_path / f"{uuid.uuid4().hex}.parquet"
        pq.write_table(table, path)
        return spark.read.parquet(str(path))

    return frame


@pytest.fixture
def jobs_started(spark):
    """A function that counts the Spark jobs started since the test began."""
    context = spark.sparkContext
    group = os.urandom(8).hex()
    context.setJobGroup(group, "a test")
    yield lambda: len(context.statusTracker().getJobIdsForGroup(group))
    context.setLocalProperty("spark.jobGroup.id", None)
