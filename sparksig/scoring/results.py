"""Predictions as every engine returns them: in types that Spark has, with local times placed in a zone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from sparksig.engine.absent import Absent
from sparksig.engine.predictions.times import place_times
from sparksig.engine.texts import OBJECTS, TextDtypes
from sparksig.schema import Schema
from sparksig.scoring.batches import Predict, score_batches
from sparksig.scoring.failures import FINDINGS, score_leniently
from sparksig.scoring.tally import FindingTally

__all__ = ["finish_predictions", "score_pairs", "widen_predictions", "widen_type"]


def score_pairs(
    batches: Iterable[pa.RecordBatch],
    predict: Predict,
    inputs: Schema,
    outputs: Schema,
    params: Mapping[str, Any] | None,
    finish: Callable[[pa.Array], pa.Array],
    *,
    lenient: bool,
    texts: TextDtypes = OBJECTS,
    absent: Absent = "omit",
    tally: FindingTally | None = None,
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Score batches: yield the finished predictions and the findings of each batch.

    Args:
        batches: what to score.
        predict: what predicts.
        inputs: what the model accepts.
        outputs: what it returns.
        params: values for all of its params, enforced already; None for a model without params.
        finish: converts the predictions of a batch; see :func:`finish_predictions`.
        lenient: report rows that cannot be scored instead of raising an error.
        texts: the dtypes of the model's text columns.
        absent: what the model sees of an optional column that the batches lack.
        tally: counts the findings of all batches.

    Raises:
        ContractError, PredictionError: as :func:`score_batches` or :func:`score_leniently`.
    """
    how: dict[str, Any] = {"texts": texts, "absent": absent}
    if lenient:
        yield from score_leniently(batches, predict, inputs, outputs, params, finish, tally=tally, **how)
        return
    for scored in score_batches(batches, predict, inputs, outputs, params, **how):
        yield finish(scored), pa.nulls(len(scored), FINDINGS)


def finish_predictions(scored: pa.Array, zone: str) -> pa.Array:
    """Convert encoded predictions to types that Spark has, with local times placed in a time zone.

    Raises:
        PredictionError: the zone lacks a local time, or has it twice.

    Example:
        >>> finish_predictions(pa.array([1, 2], pa.uint8()), "UTC").type
        DataType(int16)
    """
    return place_times(widen_predictions(scored), zone)


_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
}
"""Types that Spark lacks, and the types that hold their values."""


def widen_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type that Spark has for a type of predictions, without the zone of timestamps.

    Example:
        >>> widen_type(pa.list_(pa.uint32()))
        ListType(list<item: int64>)
    """
    if pa.types.is_list(dtype):
        return pa.list_(widen_type(dtype.value_type))
    return _WIDER.get(dtype, dtype)


def widen_predictions(scored: pa.Array) -> pa.Array:
    """Convert encoded predictions to types that Spark has."""
    if pa.types.is_struct(scored.type):
        parts = [widen_predictions(part) for part in scored.flatten()]
        fields = [pa.field(field.name, part.type) for field, part in zip(scored.type, parts)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=scored.is_null())
    wider = widen_type(scored.type)
    return scored if wider == scored.type else scored.cast(wider)
