"""The engine of a score job on Spark Connect: tasks of the server read, score and write Parquet files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sparksig.errors import SparksigError
from sparksig.jobs.config_errors import build_value_error
from sparksig.jobs.local_engine import LocalEngine
from sparksig.scoring.part import Target
from sparksig.scoring.split import SplitResult
from sparksig.spark.direct import count_slots, score_on_spark
from sparksig.spark.session import build_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.jobs.config import ScoreConfig
    from sparksig.jobs.score_run import ScoreRun


class ConnectEngine(LocalEngine):
    """Tasks of a Spark Connect server score the files; this process plans and publishes them with pyarrow.

    Spark Connect gives no access to the file systems of its cluster. So this machine and the workers must see
    the input and the output at the same paths or URIs: on a shared file system, or in an object store.

    Attributes:
        spark: the session.
    """

    name = "direct"

    def __init__(self) -> None:
        super().__init__("Spark Connect")
        self.spark: SparkSession

    def start(self, run: ScoreRun) -> str:
        """Check that the engine supports the configuration, and start a session unless one is running."""
        from pyspark.sql import SparkSession

        digest = super().start(run)
        conf = run.config.spark
        self.spark = SparkSession.getActiveSession() or build_session("sparksig score", conf)
        for key, value in conf.items():
            if key.startswith("spark.sql."):  # an existing session does not have them
                self.spark.conf.set(key, value)
        self._shipping = run.config.model.shipping
        self._zone = str(self.spark.conf.get("spark.sql.session.timeZone"))
        return digest

    def _refuse(self, reason: str) -> SparksigError:
        hint = f"{reason}, which needs a classic session: Spark Connect gives no access to file systems"
        return build_value_error("engine", "direct on a classic session", "direct on Spark Connect", hint)

    def _count_slots(self) -> int:
        return count_slots(self.spark)

    def _score_splits(self, target: Target) -> list[SplitResult]:
        return score_on_spark(self.spark, self.model, self.scan, self.splits, target, self._shipping)


def uses_connect(config: ScoreConfig) -> bool:
    """Return whether a job uses Spark Connect, also before its session has started."""
    from pyspark.sql.utils import is_remote

    is_configured = "spark.remote" in config.spark or config.spark.get("spark.api.mode") == "connect"
    return is_remote() or bool(os.environ.get("SPARK_REMOTE")) or is_configured
