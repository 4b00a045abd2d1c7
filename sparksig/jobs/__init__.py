"""Jobs: configurations, run reports, exit codes. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

from sparksig.jobs.check_job import check, plan_check
from sparksig.jobs.config import CheckConfig, InferConfig, ScoreConfig
from sparksig.jobs.exit_codes import EXIT_CODES, exit_code
from sparksig.jobs.infer_job import infer, plan_infer
from sparksig.jobs.job_run import RunReport
from sparksig.jobs.loading import load_config
from sparksig.jobs.main import JOBS, run
from sparksig.jobs.score_plan import plan_score
from sparksig.jobs.score_run import score

__all__ = [
    "EXIT_CODES",
    "JOBS",
    "CheckConfig",
    "InferConfig",
    "RunReport",
    "ScoreConfig",
    "check",
    "exit_code",
    "infer",
    "load_config",
    "plan_check",
    "plan_infer",
    "plan_score",
    "run",
    "score",
]
