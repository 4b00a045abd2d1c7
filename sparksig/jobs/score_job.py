"""The score job: a table scored with a model, the predictions published, or nothing at all."""

from __future__ import annotations

from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.record import RunReport, recorded
from sparksig.jobs.score_plan import ScorePlan, plan_score
from sparksig.jobs.score_run import ScoreRun

__all__ = ["ScorePlan", "plan_score", "score"]


def score(config: ScoreConfig) -> RunReport:
    """Score a table with a model, and publish the predictions.

    Everything that can be known beforehand is checked before the first Spark task: the model (found,
    whole, trusted), the table's schema against it, the output's place and schema. Then all is scored into a
    hidden directory beside the output, counted, and judged by the error budget; only then it is published.
    A job that fails leaves nothing at the output's place. A job that died, started again with its run id,
    goes on where it can: what was scored wholly, by the same model, of the same input, is published; what was
    not is scored anew. One that was done is not done again.

    Raises:
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return recorded("score", config, lambda config, record: ScoreRun.open(config, record).finish())
