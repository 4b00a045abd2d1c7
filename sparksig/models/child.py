"""The process in which a model runs, in an environment of its own: it loads one model, and answers requests.

It is started by :mod:`sparksig.models.isolated`, and ends with the process that started it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sparksig.errors import SparksigError, UnsupportedError, describe_exception
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import HasTextDtypes, Loading, Predictor
from sparksig.models.tracebacks import describe_frames
from sparksig.models.transfer import read_message, write_message
from sparksig.models.trust import Trust


def serve(requests: int, answers: int) -> None:
    """Load the model of the first request, and answer requests until the stream ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends this process
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.dont_write_bytecode = True  # for code in the model's directory, whose content must not change
    with open(requests, "rb", buffering=0) as source, open(answers, "wb", buffering=2**16) as sink:
        try:
            predict = _load(source, sink)
            while predict is not None:
                data, params = read_message(source)
                _answer(sink, lambda: predict(data, params))  # noqa: B023  called at once
        except (EOFError, BrokenPipeError):
            return


def _load(source: BinaryIO, sink: BinaryIO) -> Predictor | None:
    """Load the model of a request; answer with the facts that the parent needs of it."""
    request = read_message(source)
    loaded: list[Predictor] = []

    def load() -> Mapping[str, Any]:
        trust = Trust(request["allow_pickle"], request["digest"], tuple(request["trusted_types"]))
        directory = trust.verify(ModelDirectory.read(Path(request["path"])))
        loading = Loading(trust, request["method"], request["model_config"])
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
    return loaded[0] if loaded else None


def _answer(sink: BinaryIO, action: Any) -> None:
    """Write the value of a function, or the exception that it raised."""
    try:
        answer: dict[str, Any] = {"value": action()}
    except BaseException as error:
        answer = _describe(error)
    try:
        write_message(sink, answer)
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
