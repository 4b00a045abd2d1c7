"""A program that writes while two attempts of a task run at once, on a cluster of two hosts.

Its arguments are the cluster's address, a path for the table, and a directory in which each attempt leaves a
file. Spark starts the second attempt of a task on another host than the first.
"""

from __future__ import annotations

import os
import sys
import time

from pyspark import TaskContext
from pyspark.sql import SparkSession

import sparksig

PARTITIONS, ROWS = 4, 400

_SETTINGS = {
    "spark.speculation": "true",
    "spark.speculation.interval": "50ms",
    "spark.speculation.multiplier": "1.0",
    "spark.speculation.quantile": "0.25",
    "spark.speculation.minTaskRuntime": "50ms",
    "spark.driver.host": "127.0.0.1",
    "spark.executor.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}


def _meet(directory):
    """Return a function that holds both attempts of the first task, so that they commit at the same time."""

    def run(batches):
        task = TaskContext.get()
        if task.partitionId() == 0:
            with open(os.path.join(directory, f"{task.attemptNumber()}"), "w"):
                pass
            deadline = time.monotonic() + 60
            while len(os.listdir(directory)) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        yield from batches

    return run


def _main(cluster, path, directory):
    builder = SparkSession.builder.master(cluster)
    for key, value in {**_SETTINGS, "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"]}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    for mode in ("error", "append", "overwrite"):
        attempts = os.path.join(directory, mode)
        os.makedirs(attempts)
        rows = spark.range(0, ROWS, 1, PARTITIONS).mapInArrow(_meet(attempts), "id bigint")
        report = sparksig.write(rows, path, mode=mode)
        ids = spark.read.parquet(path)
        sys.stdout.write(f"{mode} {report.rows} {ids.count()} {ids.distinct().count()}\n")
    spark.stop()


if __name__ == "__main__":
    _main(*sys.argv[1:])
