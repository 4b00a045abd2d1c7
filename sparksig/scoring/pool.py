"""Processes of this machine that score the splits of a table, each with one copy of the model.

A worker is a new Python process that does not run the main script again, so scripts need no
``if __name__ == "__main__"``. It ends when its connection does, and so it never outlives its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from sparksig.errors import SparksigError, describe_exception
from sparksig.models.flavors.interface import Loading
from sparksig.scoring.cache import CACHE, load_cached
from sparksig.scoring.part import Target
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.split import SplitResult, score_split

_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from sparksig.scoring import pool
pool.serve()
"""
"""The program of a worker, which finds modules where the parent finds them."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables that limit the threads of a model, so that workers do not compete for cores."""


@dataclass(frozen=True)
class SplitTask:
    """The part of a run that is the same for each of its splits.

    Attributes:
        digest: the digest of the model directory.
        locate: returns the path of the directory in the process that scores.
        loading: how to load it.
        plan: the columns to read, the model's schemas, the columns to write.
        target: the directory of the files.
    """

    digest: str
    locate: Callable[[], Path]
    loading: Loading
    plan: ScanPlan
    target: Target

    def run(self, split: Split) -> SplitResult:
        """Score a split with the one copy of the model in this process."""
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # in the model's directory
        try:
            earlier = CACHE.info()
            model = load_cached(self.digest, self.locate, self.loading)
            now = CACHE.info()
            result = score_split(split, model, self.plan, self.target)
            seconds = {"load": now.seconds - earlier.seconds, **result.seconds}
            return replace(result, loads=now.loads - earlier.loads, seconds=seconds)
        finally:
            sys.dont_write_bytecode = before


def score_splits(task: SplitTask, splits: Sequence[Split], processes: int) -> Iterator[SplitResult]:
    """Score splits in processes, and yield the results as they come.

    Nothing runs any more once the iterator has ended, with an error or not.

    Args:
        task: the run.
        splits: the splits.
        processes: how many run at once; with one, this process scores.

    Raises:
        SparksigError: a process was killed; the message names the files of its split.
        ContractError, PredictionError, ModelFailedError: as :func:`score_split`.
    """
    processes = min(processes, len(splits))
    if processes <= 1:
        yield from map(task.run, splits)
        return
    pending = deque(splits)
    workers = {}
    try:
        for _ in range(processes):
            worker = _Worker.start(processes)
            workers[worker.connection] = worker
        for worker in workers.values():  # which start at the same time
            worker.prepare(task)
            worker.send(pending.popleft())
        busy = set(workers)
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield workers[connection].receive()
                if pending:
                    workers[connection].send(pending.popleft())
                else:
                    busy.remove(connection)
                    workers[connection].connection.close()
    finally:
        for worker in workers.values():
            worker.stop()


class _Worker:
    """One process, and the connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: Connection[Any, Any]) -> None:
        self.process = process
        self.connection = connection
        self._split: Split | None = None

    @classmethod
    def start(cls, processes: int) -> _Worker:
        connection, other = Pipe()
        threads = str(max(1, count_cores() // processes))
        environment = dict.fromkeys(_THREADS, threads) | os.environ
        number, path = str(other.fileno()), json.dumps(sys.path)
        process = subprocess.Popen(  # noqa: S603  this interpreter
            [sys.executable, "-c", _START, number, path], pass_fds=[other.fileno()], env=environment
        )
        other.close()
        return cls(process, connection)

    def prepare(self, task: SplitTask) -> None:
        self._send(task)

    def send(self, split: Split) -> None:
        self._split = split
        self._send(split)

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # of a dead process, which receive() reports
            self.connection.send_bytes(pickle.dumps(message))

    def receive(self) -> SplitResult:
        """Return the result of the split.

        Raises:
            SparksigError: the process was killed.
        """
        try:
            answer = pickle.loads(self.connection.recv_bytes())  # noqa: S301  of this program
        except (EOFError, OSError):
            code = self.process.wait()
            raise SparksigError(self._describe_death(code)) from None
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, SplitResult)
        return answer

    def _describe_death(self, code: int) -> str:
        cause = f"exited with status {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                cause = f"was killed by {signal.Signals(-code).name}"
        hint = " It may have run out of memory: use fewer processes." if code == -signal.SIGKILL else ""
        files = "nothing" if self._split is None else self._split.describe()
        return f"the process that scored {files} {cause}; nothing was written.{hint}"

    def stop(self) -> None:
        """End the process, busy or not."""
        self.connection.close()
        if self.process.poll() is None and self._split is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)  # an idle process ends without help
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- in the worker ----------------------------------------------------------------------------------------


def serve() -> None:
    """Score the splits that the parent sends until it closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C, and ends this process
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        task = pickle.loads(connection.recv_bytes())  # noqa: S301  of the parent
        while True:
            split = pickle.loads(connection.recv_bytes())  # noqa: S301  of the parent
            connection.send_bytes(_answer(task, split))


def _answer(task: SplitTask, split: Split) -> bytes:
    answer: object
    try:
        answer = task.run(split)
    except Exception as error:
        answer = error
    try:
        content = pickle.dumps(answer)
        pickle.loads(content)  # noqa: S301  some exceptions cannot be read again
    except Exception:
        assert isinstance(answer, Exception)
        content = pickle.dumps(SparksigError(describe_exception(answer)))
    return content
