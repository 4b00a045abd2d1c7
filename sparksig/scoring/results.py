"""Conversion of predictions to the types of Spark, with local times placed in a time zone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.variant import is_variant
from sparksig.engine.absent import Absent
from sparksig.engine.arrays import conform, convert_leaves
from sparksig.engine.predictions.reading import read_predictions
from sparksig.engine.predictions.times import place_times
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.errors import Code, Finding, PredictionError
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.batches import Predict, score_batches
from sparksig.scoring.failures import FINDINGS, score_leniently
from sparksig.scoring.limits import RejectionCount
from sparksig.scoring.tally import FindingTally


def score_and_finish(
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
    first_row: int = 0,
    source: str = "",
    tally: FindingTally | None = None,
    count: RejectionCount | None = None,
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Score batches: yield the finished predictions and the findings of each batch.

    Args:
        batches: the rows.
        predict: the function that predicts.
        inputs: the model's input schema.
        outputs: its output schema.
        params: values for all of its params, enforced already; None for a model without params.
        finish: converts the predictions of a batch; see :func:`finish_predictions`.
        lenient: report rows that cannot be scored instead of raising an error.
        texts: the dtypes of the model's text columns.
        absent: the treatment of an optional column that the batches lack.
        first_row: the number of rows before the first batch, which positions in messages count.
        source: the origin of the positions in messages.
        tally: counts the findings of all batches.
        count: ends the run when too many rows were rejected.

    Raises:
        ContractError, PredictionError: as :func:`score_batches` or :func:`score_leniently`.
    """
    model = batches, predict, inputs, outputs, params
    options: dict[str, Any] = {"texts": texts, "absent": absent}
    if lenient:
        yield from score_leniently(*model, finish, tally=tally, count=count, **options)
        return
    for scored in score_batches(*model, first_row=first_row, source=source, **options):
        yield finish(scored), pa.nulls(len(scored), FINDINGS)


def select_column(predicted: Any, outputs: Schema, returned: pa.DataType | None, rows: int | None) -> Any:
    """Return the only column of a prediction, under any name, if a plain type was requested.

    Args:
        predicted: the model's return value.
        outputs: the model's output schema.
        returned: the requested type; None to use the output schema.
        rows: the number of rows in the call of the model; None if it is unknown.
    """
    is_plain = returned is not None and (is_variant(returned) or not pa.types.is_struct(returned))
    if not is_plain or isinstance(predicted, (np.ndarray, pd.Series)):
        return predicted
    frame = read_predictions(predicted, Schema([ColSpec(outputs.inputs[0].type)]), rows)
    return frame.iloc[:, 0] if frame.shape[1] == 1 else predicted


def finish_predictions(
    scored: pa.Array, zone: str, outputs: Schema, returned: pa.DataType | None = None
) -> pa.Array:
    """Convert encoded predictions to types that Spark has, with local times placed in a time zone.

    Args:
        scored: the predictions, encoded by the outputs.
        zone: the time zone.
        outputs: the model's output schema.
        returned: the requested type, in which timestamps are local times; None to use the output schema.

    Raises:
        PredictionError: the zone lacks a local time, or has it twice; or a value does not fit the
            requested type.

    Example:
        >>> from sparksig.schema import TensorSpec
        >>> bytes = Schema([TensorSpec(np.dtype("uint8"), (-1,))])
        >>> finish_predictions(pa.array([1, 2], pa.uint8()), "UTC", bytes).type
        DataType(int16)
    """
    if returned is None:
        return place_times(convert_leaves(scored, _widen), zone)
    if pa.types.is_struct(returned) and len(outputs) == 1 and not is_variant(returned):
        scored = pa.StructArray.from_arrays([scored], names=[returned.field(0).name])
    try:
        scored = conform(scored, returned, _cast_exactly)
    except pa.ArrowInvalid:
        finding = Finding(Code.TYPE_MISMATCH, "", f"{returned}", "values out of its range or precision")
        raise PredictionError.of("the prediction does not fit result_type", [finding]) from None
    return place_times(scored, zone, skip=LOCAL_TIME)


LOCAL_TIME = pa.timestamp("us")
"""The Arrow type of predictions with the requested type timestamp_ntz."""


def _cast_exactly(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Cast to the requested type, and raise an error for a loss; return None for a type with parts."""
    if is_variant(target) or array.type == target:
        return array  # a variant gets its mark at last
    if pa.types.is_nested(target):
        return None
    converted = pc.cast(array, target, safe=True)
    if target == pa.date32() and not pc.cast(converted, array.type).equals(array):
        raise pa.ArrowInvalid("times of the day")
    return converted


WIDER_TYPES = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
}
"""Types that Spark lacks, and the types that hold their values."""


def _widen(array: pa.Array, _path: str) -> pa.Array:
    return array.cast(WIDER_TYPES[array.type]) if array.type in WIDER_TYPES else array
