"""Score Arrow batches: enforce the input, predict, enforce the output. No Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from sparksig.engine.absent import Absent
from sparksig.engine.frames import build_model_input
from sparksig.engine.predictions import encode, get_result_type
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.errors import ModelFailedError, SparksigError, describe_exception
from sparksig.schema import Schema
from sparksig.scoring.exceptions import find_failing_row, wrap_exception

BATCH_BYTES = 256 * 2**20
"""The largest size of a batch that a model receives. Larger batches are split."""


def regroup_batches(
    batches: Iterable[pa.RecordBatch], rows: int | None = None, size: int = BATCH_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in other batches, in their order.

    Args:
        batches: batches of one schema. Without ``rows``, empty batches are preserved.
        rows: the number of rows of each batch except the last; None for the rows of the given batches.
        size: the largest number of bytes. Larger batches are split, down to single rows.

    Example:
        >>> batch = pa.record_batch([pa.array([1, 2, 3])], ["x"])
        >>> [regrouped.num_rows for regrouped in regroup_batches([batch] * 2, 4)]
        [4, 2]
    """
    if rows is None:
        for batch in batches:
            yield from _cut(batch, size)
        return
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        start = 0
        while count + batch.num_rows - start >= rows:
            missing = rows - count
            yield from _cut(_join([*pending, batch.slice(start, missing)]), size)
            pending, count, start = [], 0, start + missing
        if start < batch.num_rows:
            pending.append(batch.slice(start))
            count += batch.num_rows - start
    if pending:
        yield from _cut(_join(pending), size)


def join_batches(batches: Iterable[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """Join small batches, so that a model is not called for a few rows; drop batches without rows.

    Args:
        batches: batches of one schema.
        rows: batches with fewer rows, and fewer bytes, are joined with the following batches.
        size: the number of bytes.

    Example:
        >>> batch = pa.record_batch([pa.array([1, 2, 3])], ["x"])
        >>> [joined.num_rows for joined in join_batches([batch] * 5, 6, 2**20)]
        [6, 6, 3]
    """
    pending: list[pa.RecordBatch] = []
    count = total = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        pending.append(batch)
        count += batch.num_rows
        total += batch.get_total_buffer_size()
        if count >= rows or total >= size:
            yield _join(pending)
            pending, count, total = [], 0, 0
    if pending:
        yield _join(pending)


def _join(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    [joined] = pa.Table.from_batches(parts).combine_chunks().to_batches() or parts[:1]
    return joined


def _cut(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """Yield a batch in pieces of at most ``size`` bytes and at least one row."""
    # get_total_buffer_size() is fast, but counts more than a slice uses; nbytes is exact, but slow
    if batch.num_rows < 2 or batch.get_total_buffer_size() <= size or batch.nbytes <= size:
        yield batch
        return
    rows = max(1, batch.num_rows * size // batch.nbytes)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


Predict = Callable[[Any, Mapping[str, Any] | None], Any]
"""A function from the model's input, a DataFrame or tensors, and params to the raw prediction."""


def call_model(predict: Predict, data: Any, params: Mapping[str, Any] | None) -> Any:
    """Return the raw prediction of a model.

    Raises:
        ModelFailedError: the model tried to end the process, by SystemExit or KeyboardInterrupt.
    """
    try:
        return predict(data, params)
    except (SystemExit, KeyboardInterrupt) as error:
        raise ModelFailedError(f"the model raised {describe_exception(error)}") from error


def score_batches(
    batches: Iterable[pa.RecordBatch],
    predict: Predict,
    inputs: Schema,
    outputs: Schema,
    params: Mapping[str, Any] | None,
    *,
    texts: TextDtypes = OBJECTS,
    first_row: int = 0,
    source: str = "",
    absent: Absent = "omit",
) -> Iterator[pa.Array]:
    """Yield an array of predictions for each batch, with one prediction for each row.

    A batch without rows gives an empty array; the model is not called.

    Args:
        batches: the rows; one plan is compiled for each of their schemas.
        predict: the function that predicts.
        inputs: the model's input schema.
        outputs: its output schema.
        params: values for all of its params, enforced already; None for a model without params.
        texts: the dtypes of the model's text columns.
        first_row: the number of rows before the first batch, which positions in messages count.
        source: the origin of the positions in messages.
        absent: the treatment of an optional column that the batches lack.

    Raises:
        ContractError: a batch breaks the input schema.
        PredictionError: a prediction breaks the output schema.
        ModelFailedError: the model raised an exception; the message has its type, its text, the frames of the
            model's own code, and the first row that fails.

    Example:
        >>> import pandas as pd
        >>> from sparksig.schema import ColSpec
        >>> schema = Schema([ColSpec("double", "x")])
        >>> batch = pa.record_batch([pa.array([1.0, 2.0])], ["x"])
        >>> scored = score_batches([batch], lambda frame, _: frame["x"] * 2, schema, schema, {})
        >>> next(scored).to_pylist()
        [2.0, 4.0]
    """

    def call(batch: pa.RecordBatch) -> Any:
        return call_model(predict, build_model_input(batch, inputs, texts=texts, absent=absent), params)

    nothing = pa.array([], type=get_result_type(outputs))
    for batch in batches:
        if batch.num_rows == 0:
            yield nothing
            continue
        data = build_model_input(batch, inputs, texts=texts, absent=absent)
        try:
            predicted = call_model(predict, data, params)
        except SparksigError as error:
            if isinstance(error, ModelFailedError):
                raise _locate_failure(error.__cause__ or error, call, batch, first_row, source) from error
            raise
        except Exception as error:
            raise _locate_failure(error, call, batch, first_row, source) from error
        yield encode(predicted, outputs, batch.num_rows)
        first_row += batch.num_rows


def _locate_failure(
    error: BaseException,
    call: Callable[[pa.RecordBatch], Any],
    batch: pa.RecordBatch,
    first_row: int,
    source: str,
) -> ModelFailedError:
    """Return the error that reports a model's exception, with the first row that causes it."""
    if isinstance(error, ImportError):
        return wrap_exception(error)
    position = find_failing_row(call, batch)
    if position is None:
        return wrap_exception(error, row=f"unknown; {first_row:,} rows{source} were scored before")
    return wrap_exception(error, row=f"{first_row + position:,}{source}, counted from 0")
