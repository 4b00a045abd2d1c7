"""Models that run in a process of their own, in their own environment.

One process is started for each loaded model. It loads the model once, and predicts batch after batch. Data
and predictions are moved through pipes (:mod:`sparksig.models.transfer`), and large arrays through shared
memory. Inputs and predictions are enforced by the process that starts it, as without isolation.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from sparksig import errors
from sparksig.engine.text_dtypes import TextDtype, TextDtypes
from sparksig.errors import Code, ExecutionError, Finding, SparksigError, make_lines_printable
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import LoadOptions, Predictor
from sparksig.models.shared_memory import SharedMemory
from sparksig.models.tracebacks import REMOTE_FRAMES
from sparksig.models.transfer import read_message, write_message
from sparksig.models.virtualenvs import PASSED_VARIABLES
from sparksig.schema import Schema

_START = """
import sys
sys.path.append(sys.argv[1])
from sparksig.models.child import serve
serve(*map(int, sys.argv[2:]))
"""
_STDERR_LINES = 20
_END_SECONDS = 2.0
_SET_PIPE_SIZE = 1031  # of Linux's <fcntl.h>


def load_predictor(directory: ModelDirectory, loading: LoadOptions) -> Predictor:
    """Load a model, in this process or in an environment of its own."""
    if loading.environment is None:
        return flavors.load(directory, loading)
    return IsolatedPredictor(loading.environment.locate(), directory, loading)


class IsolatedPredictor:
    """A predictor whose model runs in another process, with another interpreter.

    After the process has died, the next prediction starts a new one.
    """

    def __init__(self, python: Path, directory: ModelDirectory, loading: LoadOptions) -> None:
        self._python, self._directory, self._loading = python, directory, loading
        self._lock = threading.Lock()
        self._process: _Process | None = None
        facts = self._connect()
        dtypes = {name: TextDtype(value) for name, value in facts["text_dtypes"].items()}
        self._text_dtypes = TextDtypes.from_mapping(dtypes)
        self.feature_names: list[str] | None = facts["feature_names"]

    def infer_text_dtypes(self, inputs: Schema) -> TextDtypes:
        """Return the dtypes of the model's text columns, as its own environment knows them."""
        del inputs
        return self._text_dtypes

    def __call__(self, data: Any, params: Mapping[str, Any] | None) -> Any:
        """Predict in the other process."""
        with self._lock:
            if self._process is None or not self._process.is_usable():
                self._connect()
            assert self._process is not None
            answer = self._process.ask((data, None if params is None else dict(params)))
        return _open_answer(answer, self._python)

    def _connect(self) -> Mapping[str, Any]:
        """Start the process, and load the model in it."""
        self._process = _Process(self._python, str(self._directory.path))
        trust, config = self._loading.trust, self._loading.model_config
        request = {
            "path": str(self._directory.path),
            "allow_pickle": trust.allow_pickle,
            "digest": trust.digest,
            "trusted_types": list(trust.trusted_types),
            "method": self._loading.method,
            "model_config": None if config is None else dict(config),
        }
        facts: Mapping[str, Any] = _open_answer(self._process.ask(request), self._python)
        return facts


class _Process:
    """The process of a model, the two pipes to it, and the memory that is shared with it."""

    def __init__(self, python: Path, model: str) -> None:
        self._model = model
        self._owner = os.getpid()
        to_child, from_parent = os.pipe()
        to_parent, from_child = os.pipe()
        self._memories = _share_memory()
        self._is_free = True  # the model has no views of the data of the last request
        shared = [memory.descriptor for memory in self._memories or ()]
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        passed = [to_child, from_child, *shared]
        for pipe in (from_parent, to_parent):
            with contextlib.suppress(OSError):  # a larger pipe is faster, and limited for each user
                fcntl.fcntl(pipe, _SET_PIPE_SIZE, 2**20)
        command = [str(python), "-I", "-c", _START, _locate_package(), *map(str, passed)]
        try:
            self._child = subprocess.Popen(  # noqa: S603  the interpreter of the environment
                command, pass_fds=passed, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            for descriptor in (from_parent, to_parent, *shared):
                os.close(descriptor)
            raise ExecutionError(f"{python} cannot be started: {error.strerror}") from None
        finally:
            os.close(to_child)
            os.close(from_child)
        self._requests: BinaryIO = open(from_parent, "wb", buffering=2**16)  # noqa: SIM115  kept open
        self._answers: BinaryIO = open(to_parent, "rb", buffering=0)  # noqa: SIM115  kept open
        self._lines: deque[str] = deque(maxlen=_STDERR_LINES)
        self._reader = threading.Thread(
            target=_copy_output, args=(self._child.stdout, self._lines), daemon=True
        )
        self._reader.start()
        opened = (self._requests, self._answers, *(self._memories or ()))
        self.stop = weakref.finalize(self, _stop, self._child, opened, self._owner)

    def is_usable(self) -> bool:
        """Return whether the process is alive, and was started by this process, not before a fork."""
        return self.stop.alive and self._owner == os.getpid()

    def ask(self, message: object) -> Mapping[str, Any]:
        """Send a message, and return the answer."""
        data, predictions = self._memories or (None, None)
        try:
            write_message(self._requests, message, data if self._is_free else None)
            answer: Mapping[str, Any] = read_message(self._answers, predictions)
            self._is_free = read_message(self._answers)
        except (EOFError, OSError):
            raise self._describe_death() from None
        except BaseException:  # such as an interrupt: the next request must not read this answer
            self.stop()
            raise
        return answer

    def _describe_death(self) -> ExecutionError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_END_SECONDS)
        self.stop()
        self._reader.join(_END_SECONDS)
        code = self._child.returncode
        cause = f"exited with status {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                cause = f"was killed by {signal.Signals(-code).name}"
        hint = ". It may have run out of memory" if code == -signal.SIGKILL else ""
        text = "\n".join(["", *self._lines]) if self._lines else ""
        return ExecutionError(
            f"the process of the model {self._model} {cause}{hint}{make_lines_printable(text)}"
        )


def _copy_output(stream: Any, lines: deque[str]) -> None:
    """Copy the output of a process to standard error, and keep the last lines."""
    with stream, contextlib.suppress(OSError, ValueError):  # standard error may be closed
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            lines.append(text[:1_000])
            print(text, file=sys.stderr)  # noqa: T201  where models print in every environment


def _share_memory() -> tuple[SharedMemory, SharedMemory] | None:
    """Return memory for data, and memory for predictions; None where the system has none."""
    data, predictions = SharedMemory.create(), SharedMemory.create()
    if data is not None and predictions is not None:
        return data, predictions
    for memory in (data, predictions):
        if memory is not None:
            memory.close()
    return None


def _stop(child: subprocess.Popen[bytes], opened: Iterable[BinaryIO | SharedMemory], owner: int) -> None:
    """End a process, unless this process is only a fork of the one that started it."""
    for stream in opened:
        with contextlib.suppress(OSError):
            stream.close()
    if owner != os.getpid():
        return
    with contextlib.suppress(OSError):
        child.kill()
    child.wait()


def _open_answer(answer: Mapping[str, Any], python: Path) -> Any:
    """Return the value of an answer, or raise the exception that it describes."""
    if "error" not in answer:
        return answer["value"]
    raise _build_exception(answer, python)


def _build_exception(answer: Mapping[str, Any], python: Path) -> BaseException:
    name, text = str(answer["error"]), str(answer["text"])
    known = getattr(errors, name, None)
    error: BaseException
    if isinstance(known, type) and issubclass(known, SparksigError):
        findings = [
            Finding(**(fields | {"code": Code(fields["code"]), "rows": tuple(fields.get("rows", ()))}))
            for fields in answer.get("findings", ())
        ]
        error = known(text, findings)
    elif "module" in answer:
        error = ImportError(f"{text} (in the model's environment, {python})", name=answer["module"])
        if name != "ImportError":
            error = ModuleNotFoundError(*error.args, name=answer["module"])
    else:
        builtin = getattr(builtins, name, None)
        is_exception = isinstance(builtin, type) and issubclass(builtin, BaseException)
        kind: Any = builtin if is_exception else type(name, (Exception,), {})
        try:
            error = kind(text)
        except TypeError:  # some need more arguments, as UnicodeDecodeError does
            error = type(name, (Exception,), {})(text)
    setattr(error, REMOTE_FRAMES, list(answer["frames"]))
    return error


@lru_cache(maxsize=1)
def _locate_package() -> str:
    """Return a path from which another interpreter can import this package, and no other package."""
    root = Path(__file__).parents[1]
    if not root.is_dir():  # imported from an archive
        return str(root.parent)
    home = Path(tempfile.mkdtemp(prefix="sparksig-package-"))  # mode 0700
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / root.name).symlink_to(root.resolve())
    return str(home)
