"""Score batches in which some rows cannot be scored, and report the findings of those rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.engine import plan as plans
from sparksig.engine.absent import Absent
from sparksig.engine.findings import null_hint
from sparksig.engine.frames import model_input
from sparksig.engine.predictions import encode, result_type
from sparksig.engine.texts import OBJECTS, TextDtypes
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.lattice import NEVER_NULL
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.batches import Predict
from sparksig.types import describe

__all__ = ["FINDINGS", "score_leniently"]

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
    absent: Absent = "omit",
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
        absent: what the model sees of an optional column that the batches lack.

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
        predicted = predict(model_input(batch, inputs, texts=texts, absent=absent), params)
        return finish(encode(predicted, outputs, batch.num_rows))

    nothing = finish(pa.array([], type=result_type(outputs)))
    for batch in batches:
        if not inputs.is_tensor_spec():
            plans.compile(inputs, batch.schema, absent=absent)  # raises what concerns all rows
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
