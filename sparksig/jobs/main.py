"""The command line of jobs. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from sparksig.errors import Finding
from sparksig.jobs import check_job, infer_job
from sparksig.jobs.config import CheckConfig, InferConfig, JobConfig, ScoreConfig
from sparksig.jobs.console import print_error, print_output
from sparksig.jobs.exit_codes import exit_code
from sparksig.jobs.failures import describe_failure
from sparksig.jobs.job_run import RunReport, get_report
from sparksig.jobs.loading import load_config
from sparksig.jobs.score_plan import plan_score
from sparksig.jobs.score_run import score
from sparksig.jobs.secrets import find_secrets
from sparksig.models.registry import redact_uri


class Plan(Protocol):
    """The plan of a job, which --dry-run prints."""

    @property
    def findings(self) -> Sequence[Finding]:
        """The reasons why the job would be refused."""

    @property
    def exit_code(self) -> int:
        """The exit code of the job for these findings."""

    def to_json(self) -> str:
        """Return the plan as JSON text."""


@dataclass(frozen=True)
class Job:
    """A job that has a command line.

    Attributes:
        config_type: the class of its configuration.
        run: the function that runs the job.
        plan: the function that plans the job for the dry run.
    """

    config_type: type[JobConfig]
    run: Callable[[Any], RunReport]
    plan: Callable[[Any], Plan]


JOBS = {
    "score": Job(ScoreConfig, score, plan_score),
    "check": Job(CheckConfig, check_job.check, check_job.plan_check),
    "infer": Job(InferConfig, infer_job.infer, infer_job.plan_infer),
}


def run(name: str, argv: Sequence[str] | None = None) -> int:
    """Run a job from its command line: print its report or a message, and return the exit code.

    Args:
        name: a key of :data:`JOBS`.
        argv: the arguments, without the program's name; None for those of this process.
    """
    job = JOBS[name]
    try:
        options = _build_parser(name, job).parse_args(argv)
    except SystemExit as done:  # argparse has printed the message or the help
        return int(done.code or 0)
    # PySpark warns on every query; sparksig is tested with pandas 3.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    secrets: frozenset[str] = frozenset()
    try:
        with _interrupt_on_termination():
            engine = getattr(options, "engine", None)
            overrides = [*options.set, *([] if engine is None else [f"engine={engine}"])]
            config = load_config(options.config, job.config_type, overrides)
            secrets = find_secrets(config.model_dump())
            if options.dry_run:
                plan = job.plan(config)
                print_output(redact_uri(plan), secrets)
                return plan.exit_code
            print_output(str(job.run(config)), secrets)
    except (Exception, KeyboardInterrupt) as error:
        return _report_failure(error, secrets)
    return 0


def _build_parser(name: str, job: Job) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=job.config_type.__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help=f"a YAML file, as conf/{name}.yaml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a value that replaces the file's: input.path=/data/today; repeatable",
    )
    if "engine" in job.config_type.model_fields:
        engines = get_args(job.config_type.model_fields["engine"].annotation)
        parser.add_argument("--engine", choices=engines, help="the engine that reads, scores and writes")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, and do nothing else")
    return parser


@contextlib.contextmanager
def _interrupt_on_termination() -> Iterator[None]:
    """Treat SIGTERM, the signal of containers and clusters, like Ctrl-C, so that the run is reported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001  for signal.signal
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report_failure(error: BaseException, secrets: frozenset[str]) -> int:
    """Print the reason why a job failed; return its exit code."""
    report = get_report(error)
    if report is not None:
        print_output(report.to_text(with_error=False), secrets)
    print(file=sys.stderr)  # noqa: T201
    print_error(describe_failure(error, report, secrets), secrets)
    return exit_code(error)
