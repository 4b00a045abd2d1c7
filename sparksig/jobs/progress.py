"""How far a Spark job is: Spark's own bar on a terminal, else a line on stderr for each tenth."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparksig.spark.hadoop import is_connect
from sparksig.spark.quiet import mute_stack_traces

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["bar_settings", "watched"]

_BAR = "spark.ui.showConsoleProgress"
_GROUP, _DESCRIPTION = "spark.jobGroup.id", "spark.job.description"


def bar_settings() -> dict[str, str]:
    """The settings of a session that shows Spark's own bar, where there is a terminal to show it on.

    What spark-submit was told of the bar stays.
    """
    if not _on_terminal():
        return {}
    from pyspark import SparkConf

    return {} if SparkConf().contains(_BAR) else {_BAR: "true"}


def _on_terminal() -> bool:
    """Whether stderr is a terminal: that of spark-submit, where it has started this."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return sys.stderr.isatty()
    try:
        target = os.readlink(f"/proc/{os.getppid()}/fd/2")
    except OSError:  # no Linux
        return False
    return target.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))


@contextlib.contextmanager
def watched(spark: SparkSession, what: str, every: float = 1.0) -> Iterator[None]:
    """Print the progress of the Spark jobs that are started inside, and no stack traces of their tasks.

    Nothing is told where Spark shows its own bar, and on Spark Connect, where nobody knows. What cannot be
    found out is not told; the job goes on.

    Args:
        spark: the session.
        what: the word that each line starts with.
        every: how many seconds lie between two looks.
    """
    with mute_stack_traces(spark), _progress(spark, what, every):
        yield


@contextlib.contextmanager
def _progress(spark: SparkSession, what: str, every: float) -> Iterator[None]:
    if is_connect(spark):
        yield
        return
    context = spark.sparkContext
    if _on_terminal() and context.getConf().get(_BAR) == "true":
        yield
        return
    before = {name: context.getLocalProperty(name) for name in (_GROUP, _DESCRIPTION)}
    group = before[_GROUP] or f"sparksig-{secrets.token_hex(4)}"
    context.setLocalProperty(_GROUP, group)
    context.setLocalProperty(_DESCRIPTION, what)
    tracker = context.statusTracker()
    watch = _Watch(what, tracker, group, frozenset(tracker.getJobIdsForGroup(group)))
    thread = threading.Thread(target=watch.run, args=(every,), name=f"sparksig {what}", daemon=True)
    thread.start()
    try:
        yield
        watch.last = True
    finally:
        watch.over.set()
        thread.join(timeout=5)
        for name, value in before.items():
            context.setLocalProperty(name, value)  # type: ignore[arg-type]


@dataclass
class _Watch:
    """One thread's look at the jobs of a group.

    Attributes:
        earlier: jobs that the group had before.
        last: whether all went well, so that there is a last line.
        told: the largest tenth that was told.
    """

    what: str
    tracker: Any
    group: str
    earlier: frozenset[int]
    last: bool = False
    told: int = 0
    started: float = field(default_factory=time.perf_counter)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, every: float) -> None:
        while not self.over.wait(every):
            if not self._look():
                return
        if self.last:
            self._look()

    def _look(self) -> bool:
        """Tell what is new; whether it could be found out."""
        try:
            done, tasks = self._count()
        except Exception:  # of Py4J: the JVM may be gone, which is for the job itself to tell
            return False
        tenth = 10 * done // tasks if tasks else 0
        if tenth > self.told:
            self.told = tenth
            seconds = time.perf_counter() - self.started
            line = f"{self.what}: {10 * tenth} %, {done:,} of {tasks:,} tasks, {seconds:.0f} s"
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        return True

    def _count(self) -> tuple[int, int]:
        """The tasks that are done, and all that are known so far; a stage of several jobs counts once."""
        stages: dict[int, tuple[int, int]] = {}
        for job in set(self.tracker.getJobIdsForGroup(self.group)) - self.earlier:
            info = self.tracker.getJobInfo(job)
            for number in info.stageIds if info is not None else ():
                stage = self.tracker.getStageInfo(number)
                if stage is None:
                    continue
                finished = info.status == "SUCCEEDED"  # of which some stages may have been skipped
                done = stage.numTasks if finished else stage.numCompletedTasks
                stages[number] = (done, stage.numTasks)
        return sum(done for done, _ in stages.values()), sum(tasks for _, tasks in stages.values())
