"""Batches -> batches: enforce the input, predict, enforce the output. Arrow in and out, no Spark.

A process loads a model once, whatever the number of tasks, partitions and call sites: models are kept
in a bounded cache by the digest of their directory.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sparksig.enforce.frames import model_input
from sparksig.enforce.predictions import encode, result_type
from sparksig.models import LoadedModel, load_directory
from sparksig.models.flavors.interface import Loading
from sparksig.models.trust import Trust
from sparksig.schema import Schema

__all__ = ["CACHE", "CacheInfo", "ModelCache", "score_batches"]


@dataclass(frozen=True)
class CacheInfo:
    """What a process's cache has done so far.

    Attributes:
        loads: how many models were loaded.
        hits: how often a model was there already.
        seconds: how long the loads took in all.
        size: how many models are kept now.
    """

    loads: int
    hits: int
    seconds: float
    size: int


class ModelCache:
    """The models that this process has loaded, the least recently used one dropped first.

    Args:
        limit: how many are kept at most.
    """

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        self._models: OrderedDict[tuple[str, tuple[str, ...]], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._loads = self._hits = 0
        self._seconds = 0.0

    def get(self, digest: str, locate: Callable[[], Path], trust: Trust) -> LoadedModel:
        """The model with that digest; located, verified and loaded when it is first asked for.

        Raises:
            ModelError: as :func:`sparksig.load_model`.
        """
        key = (digest, trust.trusted_types)
        with self._lock:
            if key in self._models:
                self._hits += 1
                self._models.move_to_end(key)
                return self._models[key]
            started = time.perf_counter()
            pinned = Loading(Trust(trust.allow_pickle, digest, trust.trusted_types))
            model = load_directory(locate(), pinned, private=True)
            self._loads += 1
            self._seconds += time.perf_counter() - started
            self._models[key] = model
            while len(self._models) > self._limit:
                self._models.popitem(last=False)
            return model

    def info(self) -> CacheInfo:
        """The counters, now."""
        with self._lock:
            return CacheInfo(self._loads, self._hits, self._seconds, len(self._models))


CACHE = ModelCache()
"""The one cache of this process."""


def score_batches(
    batches: Iterable[pa.RecordBatch],
    predict: Callable[[Any, Mapping[str, Any]], Any],
    inputs: Schema,
    outputs: Schema,
    params: Mapping[str, Any],
) -> Iterator[pa.Array]:
    """One array of predictions for each batch, as long as the batch.

    A batch without rows gives an empty array; the model is not asked.

    Args:
        batches: what to score; a plan is compiled for each of their schemas once.
        predict: from what a model sees of a batch, a DataFrame or tensors, and params to the raw prediction.
        inputs: what the model takes.
        outputs: what it gives.
        params: values for all of its params, enforced already.

    Raises:
        ContractError: a batch breaks the input schema.
        PredictionError: a prediction breaks the output schema.

    Example:
        >>> import pandas as pd
        >>> from sparksig.schema import ColSpec
        >>> one = Schema([ColSpec("double", "x")])
        >>> batch = pa.record_batch([pa.array([1.0, 2.0])], ["x"])
        >>> scored = score_batches([batch], lambda frame, params: frame["x"] * 2, one, one, {})
        >>> next(scored).to_pylist()
        [2.0, 4.0]
    """
    nothing = pa.array([], type=result_type(outputs))
    for batch in batches:
        if batch.num_rows == 0:
            yield nothing
            continue
        yield encode(predict(model_input(batch, inputs), params), outputs, batch.num_rows)
