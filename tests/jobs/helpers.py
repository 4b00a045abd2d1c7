"""Configurations as text, and the findings of wrong ones."""

from __future__ import annotations

import pytest

from sparksig import ConfigError
from sparksig.jobs import ScoreConfig, load_config
from sparksig.jobs.job_run import JobRun

SCORE = "model: {path: m}\ninput: {path: t}\noutput: {path: o, keep: [id]}\n"


class Loader:
    """Load a configuration from text; return its findings, one a line."""

    def __init__(self, home):
        self.file = home / "job.yaml"

    def load(self, text, form=ScoreConfig, sets=()):
        self.file.write_text(text, encoding="utf-8")
        return load_config(self.file, form, sets)

    def wrong(self, text, form=ScoreConfig, sets=()):
        with pytest.raises(ConfigError) as error:
            self.load(text, form, sets)
        lines = [str(finding) for finding in error.value.findings]
        count = f"{len(lines)} finding{'s' if len(lines) != 1 else ''}"
        assert str(error.value) == "\n".join(
            [f"{self.file}: the configuration is wrong: {count}", *(f"  - {line}" for line in lines)]
        )
        return lines


def run_job(config, work, job="check"):
    """Execute a job that does something with its run; return the report."""

    class Run(JobRun):
        def run(self):
            work(self)

    Run.job = job
    return Run(config).execute()
