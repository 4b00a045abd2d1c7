"""Scoring of the splits of a Parquet table in the tasks of a Spark job, without Spark's readers and writers.

Each task reads its split with pyarrow, scores it, writes its files, and returns their names and counts. A
task may run several times: because it was retried, or started twice. The driver accepts the files that the
one result of each split names. All others stay in a directory that is removed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from sparksig.scoring.part import Target
from sparksig.scoring.prepared import PreparedModel
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.split import SplitResult, require_all_rows
from sparksig.scoring.staging import accept_files, attempt_directory
from sparksig.scoring.task import SplitTask
from sparksig.spark.diagnosis import convert_spark_errors
from sparksig.spark.hadoop import is_connect
from sparksig.spark.ship import Shipment, ship

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def score_on_spark(
    spark: SparkSession,
    model: PreparedModel,
    plan: ScanPlan,
    splits: Sequence[Split],
    target: Target,
    shipping: str = "auto",
) -> list[SplitResult]:
    """Score splits in the tasks of one Spark job without a shuffle.

    Args:
        spark: the session, classic or of Spark Connect.
        model: the model.
        plan: what to read, how to score and what to write.
        splits: the splits, at least one.
        target: the directory of the files, which the workers can write to.
        shipping: the way in which the model reaches the workers, as in :func:`sparksig.spark_udf`.

    Returns:
        The results, in the order of the splits. The target has their files, and no others of this run.

    Raises:
        ContractError, PredictionError, ModelFailedError: as :func:`sparksig.scoring.split.score_split`.
        ExecutionError: Spark failed.
        SparksigError: the number of rows that were read differs from that in the footers.
    """
    shipment = ship(spark, model, shipping)
    tasks = len(splits)
    with attempt_directory(target.store, target.path) as attempts:
        attempt = replace(target, path=attempts)
        task = SplitTask(shipment.digest, shipment.locate, model.loading, plan, attempt)
        function = _build_function(task, splits, shipment)
        with convert_spark_errors():
            rows = (
                spark.range(0, tasks, 1, tasks).mapInArrow(function, "split bigint, result binary").collect()
            )
        by_split: dict[int, SplitResult] = {
            row["split"]: pickle.loads(row["result"])  # noqa: S301  of this run's own tasks
            for row in rows
        }
        results = [by_split[index] for index in sorted(by_split)]
        require_all_rows(splits, results)
        files = [file for result in results for file in result.files]
        accept_files(target.store, attempts, files, target.path)
    return results


def count_slots(spark: SparkSession) -> int:
    """Return the number of tasks that a session runs at the same time, as far as Spark knows."""
    if not is_connect(spark):
        return int(spark.sparkContext.defaultParallelism)
    row = spark.range(2**16).select(F.spark_partition_id().alias("part")).agg(F.max("part")).first()
    return 1 + int(row[0] if row is not None else 0)


def _build_function(
    task: SplitTask, splits: Sequence[Split], shipment: Shipment
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function of a task, whose input is the position of its split."""
    pickled = [pickle.dumps(split) for split in splits]  # singly: a task opens only its own

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        local = replace(task, loading=shipment.localize(task.loading))
        for batch in batches:
            for position in batch.column(0).to_pylist():
                split = pickle.loads(pickled[position])  # noqa: S301  of the driver
                columns = [pa.array([position]), pa.array([pickle.dumps(local.run(split))], pa.binary())]
                yield pa.RecordBatch.from_arrays(columns, names=["split", "result"])

    return score
