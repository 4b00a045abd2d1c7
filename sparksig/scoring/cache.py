"""The models that a process has loaded, by the digests of their directories.

A process loads a model once for all tasks, partitions and call sites.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparksig.errors import SparksigError
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.loading import LoadedModel, load_directory
from sparksig.scoring.exceptions import wrap_exception


@dataclass(frozen=True)
class CacheInfo:
    """The counters of a process's cache.

    Attributes:
        loads: the number of models that were loaded.
        hits: the number of calls that found a model.
        seconds: the time of all loads.
        size: the number of models in the cache.
    """

    loads: int
    hits: int
    seconds: float
    size: int


class ModelCache:
    """The models that this process has loaded. The least recently used model is dropped first.

    Args:
        limit: the largest number of models.
    """

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        self._models: OrderedDict[tuple[Any, ...], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._loads = self._hits = 0
        self._seconds = 0.0

    def get(self, digest: str, locate: Callable[[], Path], loading: LoadOptions) -> LoadedModel:
        """Return the model with a digest; the first call locates, verifies and loads it.

        Raises:
            ModelError: as :func:`sparksig.load_model`.
        """
        trust = loading.trust
        key = (
            digest,
            trust.trusted_types,
            trust.knows_content,
            loading.method,
            repr(sorted((loading.model_config or {}).items())),
            loading.environment,
        )
        with self._lock:
            if key in self._models:
                self._hits += 1
                self._models.move_to_end(key)
                return self._models[key]
            started = time.perf_counter()
            pinned = replace(loading, trust=replace(trust, digest=digest))
            model = load_directory(locate(), pinned, private=True)
            self._loads += 1
            self._seconds += time.perf_counter() - started
            self._models[key] = model
            while len(self._models) > self._limit:
                self._models.popitem(last=False)
            return model

    def info(self) -> CacheInfo:
        """Return the counters."""
        with self._lock:
            return CacheInfo(self._loads, self._hits, self._seconds, len(self._models))


CACHE = ModelCache()
"""The cache of this process."""


def load_cached(digest: str, locate: Callable[[], Path], loading: LoadOptions) -> LoadedModel:
    """Return the model of this process; the arguments are those of :meth:`ModelCache.get`.

    Raises:
        ModelFailedError: the model's own code fails, or a library is missing.
        ModelError: the directory cannot be used.
    """
    try:
        return CACHE.get(digest, locate, loading)
    except Exception as error:
        if isinstance(error, SparksigError) and not isinstance(error, ImportError):
            raise
        raise wrap_exception(error, "loading the model raised") from error
