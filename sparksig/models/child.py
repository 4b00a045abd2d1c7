"""The process in which a model runs, in an environment of its own: it loads one model, and answers requests.

It is started by :mod:`sparksig.models.isolated`, and ends with the process that started it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from sparksig.errors import SparksigError, UnsupportedError, describe_exception
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import HasTextDtypes, LoadOptions, Predictor
from sparksig.models.shared_memory import SharedMemory
from sparksig.models.tracebacks import describe_frames
from sparksig.models.transfer import read_message, write_message
from sparksig.models.trust import Trust


def serve(requests: int, answers: int, *memories: int) -> None:
    """Load the model of the first request, and answer requests until the stream ends.

    Args:
        requests: the file descriptor of the pipe with the requests.
        answers: that of the pipe for the answers.
        memories: those of the memory with data and of the memory for predictions, if they are shared.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends this process
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.dont_write_bytecode = True  # for code in the model's directory, whose content must not change
    shared, predictions = map(SharedMemory, memories) if memories else (None, None)
    with open(requests, "rb", buffering=0) as source, open(answers, "wb", buffering=2**16) as sink:
        try:
            predict = _load(source, sink)
            gc.collect()
            gc.freeze()  # makes later collections fast
            is_free = True
            while predict is not None:
                data, params = read_message(source, shared, copy=False)
                _answer(sink, partial(predict, data, params), predictions)
                del data, params
                is_free = is_free and (shared is None or _is_free(shared))
                write_message(sink, is_free)
        except (EOFError, BrokenPipeError):
            return


def _is_free(memory: SharedMemory) -> bool:
    """Return whether memory can be written again, because the model has no views of its data."""
    if memory.has_views():
        gc.collect()  # objects that refer to each other
    return not memory.has_views()


def _load(source: BinaryIO, sink: BinaryIO) -> Predictor | None:
    """Load the model of a request; answer with the facts about it that the parent needs."""
    request = read_message(source)
    loaded: list[Predictor] = []

    def load() -> Mapping[str, Any]:
        trust = Trust(request["allow_pickle"], request["digest"], tuple(request["trusted_types"]))
        directory = trust.verify(ModelDirectory.read(Path(request["path"])))
        loading = LoadOptions(trust, request["method"], request["model_config"])
        predictor = flavors.load(directory, loading)
        loaded.append(predictor)
        signature = directory.signature
        dtypes: dict[str, str] = {}
        if isinstance(predictor, HasTextDtypes) and signature is not None and signature.inputs is not None:
            inferred = predictor.infer_text_dtypes(signature.inputs)
            dtypes = {name: dtype.value for name, dtype in inferred.columns}
        names = getattr(predictor, "feature_names", None)
        return {"text_dtypes": dtypes, "feature_names": None if names is None else list(names)}

    _answer(sink, load)
    write_message(sink, True)
    return loaded[0] if loaded else None


def _answer(sink: BinaryIO, action: Callable[[], Any], memory: SharedMemory | None = None) -> None:
    """Write the value of a function, or the exception that it raised."""
    try:
        answer: dict[str, Any] = {"value": action()}
    except BaseException as error:
        answer = _describe(error)
    try:
        write_message(sink, answer, memory)
    except UnsupportedError as error:
        write_message(sink, _describe(error))


def _describe(error: BaseException) -> dict[str, Any]:
    """Describe an exception by built-in values."""
    answer: dict[str, Any] = {"error": type(error).__name__, "frames": describe_frames(error)}
    answer["text"] = describe_exception(error).partition(": ")[2]
    if isinstance(error, SparksigError):
        answer["text"] = error.message
        answer["findings"] = [finding.to_dict() for finding in error.findings]
    if isinstance(error, ImportError):
        answer["module"] = error.name
    return answer


def _end_with_parent(parent: int) -> None:
    """End this process when its parent has ended, even while the model predicts."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
