"""Jobs: configurations, run reports, exit codes. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

from sparksig.jobs.check_job import check
from sparksig.jobs.config import CheckConfig, InferConfig, ScoreConfig
from sparksig.jobs.exits import EXIT_CODES, exit_code
from sparksig.jobs.infer_job import infer
from sparksig.jobs.loading import load_config
from sparksig.jobs.main import JOBS, run
from sparksig.jobs.record import Run, RunReport
from sparksig.jobs.score_job import score

__all__ = [
    "EXIT_CODES",
    "JOBS",
    "CheckConfig",
    "InferConfig",
    "Run",
    "RunReport",
    "ScoreConfig",
    "check",
    "exit_code",
    "infer",
    "load_config",
    "run",
    "score",
]
