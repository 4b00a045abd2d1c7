"""The progress of Spark jobs: Spark's own bar on a terminal, else a line on stderr for each tenth."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparksig.spark.hadoop import is_connect
from sparksig.spark.quiet import mute_stack_traces

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BAR = "spark.ui.showConsoleProgress"
_INTERVAL = 1.0
"""The seconds between two queries of the progress."""

_GROUP, _DESCRIPTION = "spark.jobGroup.id", "spark.job.description"


def choose_bar_settings() -> dict[str, str]:
    """Return the settings for Spark's own progress bar on a terminal.

    A setting of spark-submit is not changed.
    """
    if not _is_terminal():
        return {}
    from pyspark import SparkConf

    return {} if SparkConf().contains(_BAR) else {_BAR: "true"}


def _is_terminal() -> bool:
    """Return whether stderr is a terminal: the stderr of spark-submit, if it has started this process."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return sys.stderr.isatty()
    try:
        target = os.readlink(f"/proc/{os.getppid()}/fd/2")
    except OSError:  # not on Linux
        return False
    return target.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))


@contextlib.contextmanager
def track_splits(title: str, count: int) -> Iterator[Callable[[], None]]:
    """Print the progress of splits to stderr: a line that changes on a terminal, else one for each tenth.

    Args:
        title: the first word of each line.
        count: the number of splits.

    Yields:
        The function to call after each split.
    """
    started, tenth, finished, is_terminal = time.perf_counter(), 0, 0, sys.stderr.isatty()

    def advance() -> None:
        nonlocal tenth, finished
        finished += 1
        seconds = time.perf_counter() - started
        line = f"{title}: {100 * finished // count} %, {finished:,} of {count:,} splits, {seconds:.0f} s"
        if is_terminal:
            print(f"\r{line}", end="", file=sys.stderr, flush=True)  # noqa: T201
        elif 10 * finished // count > tenth and seconds >= 1:
            tenth = 10 * finished // count
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    try:
        yield advance
    finally:
        if is_terminal and finished:
            print(file=sys.stderr)  # noqa: T201


@contextlib.contextmanager
def show_progress(spark: SparkSession, title: str) -> Iterator[None]:
    """Print the progress of the Spark jobs that are started inside, without stack traces of their tasks.

    Nothing is printed if Spark shows its own bar, or on Spark Connect, which does not report progress.

    Args:
        spark: the session.
        title: the first word of each line.
    """
    with mute_stack_traces(spark), _print_progress(spark, title):
        yield


@contextlib.contextmanager
def _print_progress(spark: SparkSession, title: str) -> Iterator[None]:
    if is_connect(spark):
        yield
        return
    context = spark.sparkContext
    if _is_terminal() and context.getConf().get(_BAR) == "true":
        yield
        return
    before = {name: context.getLocalProperty(name) for name in (_GROUP, _DESCRIPTION)}
    group = before[_GROUP] or f"sparksig-{secrets.token_hex(4)}"
    context.setLocalProperty(_GROUP, group)
    context.setLocalProperty(_DESCRIPTION, title)
    tracker = context.statusTracker()
    watch = _Watch(title, tracker, group, frozenset(tracker.getJobIdsForGroup(group)))
    thread = threading.Thread(target=watch.run, name=f"sparksig {title}", daemon=True)
    thread.start()
    try:
        yield
        watch.is_done = True
    finally:
        watch.stopped.set()
        thread.join(timeout=5)
        for name, value in before.items():
            context.setLocalProperty(name, value)  # type: ignore[arg-type]


@dataclass
class _Watch:
    """The jobs of a group, whose progress a thread prints.

    Attributes:
        title: the first word of each line.
        tracker: Spark's tracker of the status of jobs.
        group: the group of the jobs.
        earlier: the earlier jobs of the group.
        is_done: whether the jobs succeeded, so that a last line is printed.
        printed: the largest tenth that was printed.
    """

    title: str
    tracker: Any
    group: str
    earlier: frozenset[int]
    is_done: bool = False
    printed: int = 0
    started: float = field(default_factory=time.perf_counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Print new tenths until the jobs are over."""
        while not self.stopped.wait(_INTERVAL):
            if not self._print_new_tenth():
                return
        if self.is_done:
            self._print_new_tenth()

    def _print_new_tenth(self) -> bool:
        """Print a line for a new tenth; return whether Spark still reports the progress."""
        try:
            done, tasks = self._count_tasks()
        except Exception:  # an error of Py4J: the JVM may have ended, which the job itself reports
            return False
        tenth = 10 * done // tasks if tasks else 0
        if tenth > self.printed:
            self.printed = tenth
            seconds = time.perf_counter() - self.started
            line = f"{self.title}: {10 * tenth} %, {done:,} of {tasks:,} tasks, {seconds:.0f} s"
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        return True

    def _count_tasks(self) -> tuple[int, int]:
        """Return the numbers of finished and of known tasks; a stage of several jobs counts once."""
        stages: dict[int, tuple[int, int]] = {}
        for job in set(self.tracker.getJobIdsForGroup(self.group)) - self.earlier:
            info = self.tracker.getJobInfo(job)
            for number in info.stageIds if info is not None else ():
                stage = self.tracker.getStageInfo(number)
                if stage is None:
                    continue
                finished = info.status == "SUCCEEDED"  # some stages may have been skipped
                done = stage.numTasks if finished else stage.numCompletedTasks
                stages[number] = (done, stage.numTasks)
        return sum(done for done, _ in stages.values()), sum(tasks for _, tasks in stages.values())
