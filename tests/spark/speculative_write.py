"""A program that writes with speculative execution: the first attempt of one task is slow.

Its arguments are a path for the table, and a directory in which each attempt leaves a file.
"""

import os
import sys
import time

from pyspark import TaskContext
from pyspark.sql import SparkSession

import sparksig

PARTITIONS, ROWS = 8, 800


def _wait(directory):
    def run(batches):
        task = TaskContext.get()
        with open(os.path.join(directory, f"{task.partitionId()}-{task.attemptNumber()}"), "w"):
            pass
        for batch in batches:
            if task.partitionId() == 0 and task.attemptNumber() == 0:
                time.sleep(15)
            yield batch

    return run


def _main(path, directory):
    settings = {
        "spark.speculation": "true",
        "spark.speculation.interval": "100ms",
        "spark.speculation.multiplier": "1.1",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.minTaskRuntime": "100ms",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    rows = spark.range(0, ROWS, 1, PARTITIONS).mapInArrow(_wait(directory), "id bigint")
    sys.stdout.write(f"{sparksig.write(rows, path).rows}\n")
    sys.stdout.write(f"{sparksig.write(rows, path, mode='append').rows}\n")
    spark.stop()


if __name__ == "__main__":
    _main(*sys.argv[1:])
