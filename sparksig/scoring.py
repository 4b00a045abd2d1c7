"""Batches -> batches: enforce the input, predict, enforce the output. Arrow in and out, no Spark.

A process loads a model once, whatever the number of tasks, partitions and call sites: models are kept
in a bounded cache by the digest of their directory.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.enforce import plan as plans
from sparksig.enforce.findings import null_hint
from sparksig.enforce.frames import model_input
from sparksig.enforce.predictions import encode, result_type
from sparksig.enforce.texts import OBJECTS, TextDtypes
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.lattice import NEVER_NULL
from sparksig.models import LoadedModel, load_directory
from sparksig.models.flavors.interface import Loading
from sparksig.models.trust import Trust
from sparksig.schema import ColSpec, Schema
from sparksig.types import describe

__all__ = [
    "CACHE",
    "FINDINGS",
    "CacheInfo",
    "ModelCache",
    "rebatched",
    "score_batches",
    "score_leniently",
]


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
        self._models: OrderedDict[tuple[Any, ...], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._loads = self._hits = 0
        self._seconds = 0.0

    def get(self, digest: str, locate: Callable[[], Path], loading: Loading) -> LoadedModel:
        """The model with that digest; located, verified and loaded when it is first asked for.

        Raises:
            ModelError: as :func:`sparksig.load_model`.
        """
        trust = loading.trust
        key = (
            digest,
            trust.trusted_types,
            loading.method,
            repr(sorted((loading.model_config or {}).items())),
        )
        with self._lock:
            if key in self._models:
                self._hits += 1
                self._models.move_to_end(key)
                return self._models[key]
            started = time.perf_counter()
            pinned = replace(loading, trust=Trust(trust.allow_pickle, digest, trust.trusted_types))
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


BATCH_BYTES = 256 * 2**20
"""Larger batches are cut before a model sees them."""


def rebatched(
    batches: Iterable[pa.RecordBatch], rows: int | None = None, size: int = BATCH_BYTES
) -> Iterator[pa.RecordBatch]:
    """The same rows in other batches, in their order.

    Args:
        batches: of one schema; those without rows are kept where ``rows`` is None.
        rows: exactly so many in each but the last; None to leave them as they come.
        size: of bytes; what is larger is cut, down to single rows.

    Example:
        >>> one = pa.record_batch([pa.array([1, 2, 3])], ["x"])
        >>> [batch.num_rows for batch in rebatched([one, one], 4)]
        [4, 2]
    """
    if rows is None:
        for batch in batches:
            yield from _cut(batch, size)
        return
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        start = 0
        while count + batch.num_rows - start >= rows:
            taken = rows - count
            yield from _cut(_joined([*held, batch.slice(start, taken)]), size)
            held, count, start = [], 0, start + taken
        if start < batch.num_rows:
            held.append(batch.slice(start))
            count += batch.num_rows - start
    if held:
        yield from _cut(_joined(held), size)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    [whole] = pa.Table.from_batches(parts).combine_chunks().to_batches() or parts[:1]
    return whole


def _cut(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """A batch in pieces that are no larger than ``size``, as far as rows go."""
    # whole buffers are counted at once, and are more than a slice of them; to count exactly takes longer
    if batch.num_rows < 2 or batch.get_total_buffer_size() <= size or batch.nbytes <= size:
        yield batch
        return
    rows = max(1, batch.num_rows * size // batch.nbytes)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


Predict = Callable[[Any, Mapping[str, Any] | None], Any]
"""From what a model sees of a batch, a DataFrame or tensors, and params to the raw prediction."""


def score_batches(
    batches: Iterable[pa.RecordBatch],
    predict: Predict,
    inputs: Schema,
    outputs: Schema,
    params: Mapping[str, Any] | None,
    *,
    texts: TextDtypes = OBJECTS,
) -> Iterator[pa.Array]:
    """One array of predictions for each batch, as long as the batch.

    A batch without rows gives an empty array; the model is not asked.

    Args:
        batches: what to score; a plan is compiled for each of their schemas once.
        predict: what predicts.
        inputs: what the model takes.
        outputs: what it gives.
        params: values for all of its params, enforced already; None for a model without params.
        texts: the dtypes of the model's text columns.

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
        yield encode(predict(model_input(batch, inputs, texts=texts), params), outputs, batch.num_rows)


# --- rows that cannot be scored ---------------------------------------------------------------------------

FINDINGS = pa.list_(pa.struct([("code", pa.string()), ("path", pa.string()), ("detail", pa.string())]))
"""The findings of a row: null where it was scored."""


def score_leniently(
    batches: Iterable[pa.RecordBatch],
    predict: Predict,
    inputs: Schema,
    outputs: Schema,
    params: Mapping[str, Any] | None,
    finish: Callable[[pa.Array], pa.Array] = lambda scored: scored,
    *,
    texts: TextDtypes = OBJECTS,
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """For each batch the predictions, null for rows that cannot be scored, and the findings of those.

    Rows with a null that the contract forbids are left out before the model is asked. Where the rest cannot
    be scored as a whole it is halved, and halved again, down to the rows that are to blame.

    Args:
        batches: what to score.
        predict: what predicts.
        inputs: what the model takes.
        outputs: what it gives.
        params: values for all of its params, enforced already; None for a model without params.
        finish: what is done to predictions before they count as such; it may refuse them.
        texts: the dtypes of the model's text columns.

    Raises:
        ContractError: the batches are of types that do not widen: no row of them can be scored.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> long, double = Schema([ColSpec("long", "x")]), Schema([ColSpec("double")])
        >>> batch = pa.record_batch([pa.array([4, None])], ["x"])
        >>> [(scored, findings)] = score_leniently([batch], lambda frame, _: frame["x"] / 2, long, double, {})
        >>> scored.to_pylist(), findings.to_pylist()[1][0]["code"]
        ([2.0, None], 'NULL_IN_REQUIRED')
    """

    def score(batch: pa.RecordBatch) -> pa.Array:
        predicted = predict(model_input(batch, inputs, texts=texts), params)
        return finish(encode(predicted, outputs, batch.num_rows))

    nothing = finish(pa.array([], type=result_type(outputs)))
    for batch in batches:
        if not inputs.is_tensor_spec():
            plans.compile(inputs, batch.schema)  # types that do not widen are no matter of rows
        failures = _forbidden_nulls(batch, inputs)
        good = np.setdiff1d(np.arange(batch.num_rows), np.fromiter(failures, dtype=int, count=len(failures)))
        parts: list[pa.Array] = [nothing]
        if len(good):
            kept = batch if len(good) == batch.num_rows else batch.take(pa.array(good))
            parts += _attempted(kept, good, score, failures)
        scored = pa.concat_arrays(parts)
        yield _spread(scored, batch.num_rows, failures), _told(batch.num_rows, failures)


def _forbidden_nulls(batch: pa.RecordBatch, inputs: Schema) -> dict[int, list[Finding]]:
    """The rows with nulls in columns that never have any, seen from the columns' masks alone."""
    failures: dict[int, list[Finding]] = {}
    for index, spec in enumerate(inputs):
        if not isinstance(spec, ColSpec) or not spec.required or spec.type not in NEVER_NULL:
            continue
        at = index if spec.name is None else batch.schema.get_field_index(str(spec.name))
        if at < 0 or at >= batch.num_columns or not batch.column(at).null_count:
            continue
        path = step(spec.name) if spec.name is not None else str(index)
        expected = f"{describe(spec.type)} without nulls"
        finding = Finding(Code.NULL_IN_REQUIRED, path, expected, "a null", null_hint(spec.type))
        for row in np.flatnonzero(batch.column(at).is_null().to_numpy(zero_copy_only=False)).tolist():
            failures.setdefault(row, []).append(finding)
    return failures


def _attempted(
    batch: pa.RecordBatch,
    rows: np.ndarray[Any, Any],
    score: Callable[[pa.RecordBatch], pa.Array],
    failures: dict[int, list[Finding]],
) -> list[pa.Array]:
    """The predictions of the rows that have one, in order; the findings of the others go to ``failures``."""
    try:
        return [score(batch)]
    except Exception as error:  # whatever a model raises is what is told of the row
        if batch.num_rows == 1:
            failures[int(rows[0])] = _findings_of(error)
            return []
    half = batch.num_rows // 2
    return [
        *_attempted(batch.slice(0, half), rows[:half], score, failures),
        *_attempted(batch.slice(half), rows[half:], score, failures),
    ]


def _findings_of(error: Exception) -> list[Finding]:
    if isinstance(error, ContractError) and error.findings:
        return list(error.findings)
    return [Finding(Code.PREDICTION_FAILED, "", "a prediction", f"{type(error).__name__}: {error}"[:1000])]


def _spread(scored: pa.Array, rows: int, failures: Mapping[int, object]) -> pa.Array:
    """Predictions in the places of their rows, null in those that have none."""
    if not failures:
        return scored
    gone = np.zeros(rows, dtype=bool)
    gone[list(failures)] = True
    places = np.cumsum(~gone) - 1
    return scored.take(pa.array(places, mask=gone))


def _told(rows: int, failures: Mapping[int, list[Finding]]) -> pa.Array:
    if not failures:
        return pa.nulls(rows, FINDINGS)
    held: list[Any] = [None] * rows
    for row, findings in failures.items():
        # a row is told by itself: its position in a batch, and how many there are, say nothing
        own = [replace(one, count=None, rows=()) for one in findings]
        held[row] = [{"code": one.code.value, "path": one.path, "detail": str(one)} for one in own]
    return pa.array(held, FINDINGS)
