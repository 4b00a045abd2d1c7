"""The score job: a table scored with a model, the predictions published, or nothing at all."""

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
    A job that fails leaves nothing at the output. A job that died continues when it is started again with its
    run id: complete results of the same model and the same input are published, others are scored anew. A run
    that was done before is not done again.

    Raises:
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return ScoreRun(config).execute()
