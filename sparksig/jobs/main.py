"""A job from its command line to its exit code. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sparksig.errors import Finding
from sparksig.jobs import check_job, infer_job, score_job
from sparksig.jobs.config import CheckConfig, InferConfig, JobConfig, ScoreConfig
from sparksig.jobs.exits import exit_code, known
from sparksig.jobs.loading import load_config
from sparksig.jobs.record import RunReport, report_of
from sparksig.models.registry import shown

__all__ = ["JOBS", "Job", "Plan", "run"]


class Plan(Protocol):
    """What a job would do, found out without doing it: its text is what --dry-run prints."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What keeps the job from being done; none if nothing does."""

    @property
    def exit_code(self) -> int:
        """What the job would end with because of them."""

    def to_json(self) -> str:
        """The plan as JSON text."""


@dataclass(frozen=True)
class Job:
    """A job that has a command line.

    Attributes:
        form: of its configuration.
        do: does it.
        plan: says what would be done.
    """

    form: type[JobConfig]
    do: Callable[[Any], RunReport]
    plan: Callable[[Any], Plan]


JOBS = {
    "score": Job(ScoreConfig, score_job.score, score_job.plan_score),
    "check": Job(CheckConfig, check_job.check, check_job.plan_check),
    "infer": Job(InferConfig, infer_job.infer, infer_job.plan_infer),
}


def run(name: str, argv: Sequence[str] | None = None) -> int:
    """Run a job from its command line: print its report, or one message; the result is the exit code.

    Args:
        name: of one of :data:`JOBS`.
        argv: the arguments, without the program's name; those of this process, if None.
    """
    job = JOBS[name]
    try:
        options = _parser(name, job).parse_args(argv)
    except SystemExit as done:  # argparse has said what is wrong, or has shown the help
        return int(done.code or 0)
    # Of PySpark on every query; what sparksig uses of it is tested with pandas 3.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        with _termination_as_interrupt():
            config = load_config(options.config, job.form, options.set)
            if options.dry_run:
                plan = job.plan(config)
                _say(shown(plan))
                return plan.exit_code
            _say(str(job.do(config)))
    except (Exception, KeyboardInterrupt) as error:
        return _failed(error)
    return 0


def _parser(name: str, job: Job) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=job.form.__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help=f"a YAML file, as conf/{name}.yaml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a value to use in place of the file's: input.path=/data/today; repeatable",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done, and do nothing of it"
    )
    return parser


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM, by which containers and clusters end a process, as Ctrl-C: the run is reported, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001  as signal.signal asks for it
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(error: BaseException) -> int:
    report, told = report_of(error), known(error)
    if report is not None:
        _say(str(report))
    if told is not None:
        _complain(str(told))
    elif isinstance(error, KeyboardInterrupt):
        _complain("interrupted")
    else:
        traceback.print_exception(type(error), error, error.__traceback__)
        _complain(
            f"the job failed by an error that it does not know: {type(error).__name__}; the traceback above "
            "is what a bug report needs"
        )
    return exit_code(error)


def _complain(text: str) -> None:
    print(shown(f"\nsparksig: {text}"), file=sys.stderr, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
