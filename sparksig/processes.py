"""Processes of this machine that divide work among them.

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
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar

from sparksig.errors import SparksigError, describe_exception


class Item(Protocol):
    """A part of the work."""

    def describe(self) -> str:
        """Return its files, for messages."""


ItemT = TypeVar("ItemT", bound=Item)
ItemT_contra = TypeVar("ItemT_contra", bound=Item, contravariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Task(Protocol[ItemT_contra, Result_co]):
    """The work, as it is the same for all of its parts."""

    @property
    def verb(self) -> str:
        """The work in one word, for messages: "scored"."""

    def run(self, item: ItemT_contra) -> Result_co:
        """Do a part of the work."""


_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from sparksig import processes
processes.serve()
"""
"""The program of a worker, which finds modules where the parent finds them."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables that limit the threads of a model, so that workers do not compete for cores."""


def run_in_processes(task: Task[ItemT, Result], items: Sequence[ItemT], processes: int) -> Iterator[Result]:
    """Do the parts of some work in processes, and yield the results as they come.

    Nothing runs any more once the iterator has ended, with an error or not.

    Args:
        task: the work, which can be pickled.
        items: its parts.
        processes: how many processes to start; with 1, this process does the work itself.

    Raises:
        SparksigError: a process was killed; the message names the files of its part.
        Exception: an exception of the work itself.
    """
    processes = min(processes, len(items))
    if processes <= 1:
        yield from map(task.run, items)
        return
    pending = deque(items)
    workers: dict[Connection[Any, Any], _Worker[ItemT, Result]] = {}
    try:
        for _ in range(processes):
            worker = _Worker[ItemT, Result].start(processes, task.verb)
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
                    connection.close()
    finally:
        for worker in workers.values():
            worker.stop()


class _Worker(Generic[ItemT, Result]):
    """One process, and the connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: Connection[Any, Any], verb: str) -> None:
        self.process = process
        self.connection = connection
        self._verb = verb
        self._item: ItemT | None = None

    @classmethod
    def start(cls, processes: int, verb: str) -> _Worker[ItemT, Result]:
        connection, other = Pipe()
        threads = str(max(1, count_cores() // processes))
        environment = dict.fromkeys(_THREADS, threads) | os.environ
        number, path = str(other.fileno()), json.dumps(sys.path)
        process = subprocess.Popen(  # noqa: S603  this interpreter
            [sys.executable, "-c", _START, number, path], pass_fds=[other.fileno()], env=environment
        )
        other.close()
        return cls(process, connection, verb)

    def prepare(self, task: Task[ItemT, Result]) -> None:
        self._send(task)

    def send(self, item: ItemT) -> None:
        self._item = item
        self._send(item)

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # of a dead process, which receive() reports
            self.connection.send_bytes(pickle.dumps(message))

    def receive(self) -> Result:
        """Return the result of the item.

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
        result: Result = answer
        return result

    def _describe_death(self, code: int) -> str:
        cause = f"exited with status {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                cause = f"was killed by {signal.Signals(-code).name}"
        hint = " It may have run out of memory: use fewer processes." if code == -signal.SIGKILL else ""
        files = "nothing" if self._item is None else self._item.describe()
        return f"the process that {self._verb} {files} {cause}; nothing was written.{hint}"

    def stop(self) -> None:
        """End the process, busy or not."""
        self.connection.close()
        if self.process.poll() is None and self._item is not None:
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
    """Do the parts of the work that the parent sends until it closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C, and ends this process
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        task = pickle.loads(connection.recv_bytes())  # noqa: S301  of the parent
        while True:
            item = pickle.loads(connection.recv_bytes())  # noqa: S301  of the parent
            connection.send_bytes(_answer(task, item))


def _answer(task: Task[ItemT, object], item: ItemT) -> bytes:
    answer: object
    try:
        answer = task.run(item)
    except Exception as error:
        answer = error
    try:
        content = pickle.dumps(answer)
        pickle.loads(content)  # noqa: S301  some exceptions cannot be read again
    except Exception:
        assert isinstance(answer, Exception)
        content = pickle.dumps(SparksigError(describe_exception(answer)))
    return content
