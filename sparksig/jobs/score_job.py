"""The score job: it scores a table with a model, and publishes all predictions or nothing."""

from __future__ import annotations

from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.job_run import RunReport
from sparksig.jobs.score_plan import ScorePlan, plan_score
from sparksig.jobs.score_run import ScoreRun

__all__ = ["ScorePlan", "plan_score", "score"]


def score(config: ScoreConfig) -> RunReport:
    """Score a table with a model, and publish the predictions.

    The model, the table's schema, and the output are checked before the first Spark task. Then all rows are
    scored into a hidden directory beside the output, counted, compared with the error budget, and published.
    A failed job writes nothing to the output. A killed job can be started again with its run id: complete
    results for the same model and input are published, otherwise all rows are scored again. A run that was
    done before is not repeated.

    Raises:
        SparksigError: an error of :data:`EXIT_CODES`.
    """
    return ScoreRun(config).execute()
