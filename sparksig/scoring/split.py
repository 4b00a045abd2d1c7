"""Score one split of a Parquet table: read row groups, predict batch by batch, write files. No Spark.

The steps, and their memory:

======  ====================================================================================
read    one batch of the needed columns, converted to the types that Spark reads
score   the batch as the model sees it, and its predictions
write   the finished batches of one row group
======  ====================================================================================
"""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sparksig.errors import Finding, ModelFailedError, SparksigError
from sparksig.infer.outputs import count_rows
from sparksig.models.loading import LoadedModel
from sparksig.scoring.batches import Predict
from sparksig.scoring.limits import count_rejections
from sparksig.scoring.part import Target, name_predictions, open_writer
from sparksig.scoring.results import finish_predictions, score_and_finish, select_column
from sparksig.scoring.scan import ReadCount, ScanPlan, Split, read_batches
from sparksig.scoring.tally import (
    FieldPath,
    FindingTally,
    PredictionSummarizer,
    PredictionSummary,
    merge_summaries,
)


@dataclass(frozen=True)
class SplitResult:
    """The result of scoring a split.

    Attributes:
        index: the position of the split.
        files: the paths of the files that were written, in the target.
        rows: the rows that meet the condition.
        rows_read: the rows that were read.
        scored: the rows with a prediction.
        rejected: the rows without one.
        findings: the reasons why rows were rejected, with counts.
        summaries: summary statistics of the predictions, by path.
        size: the size of the files in bytes.
        seconds: the time of each step: load, read, score, write.
        loads: how often the model was loaded: 1 for the first split of a process.
    """

    index: int
    files: tuple[str, ...]
    rows: int
    rows_read: int
    scored: int
    rejected: int
    findings: tuple[Finding, ...]
    summaries: Mapping[FieldPath, PredictionSummary]
    size: int
    seconds: Mapping[str, float]
    loads: int = 0


def score_split(split: Split, model: LoadedModel, plan: ScanPlan, target: Target) -> SplitResult:
    """Score a split of a Parquet table into files with unique names, by default into a single file.

    After an error the files are removed.

    Args:
        split: the row groups.
        model: the loaded model.
        plan: the columns to read, the model's schemas, the columns to write.
        target: the directory for the files, which exists, and the tables in it.

    Raises:
        ContractError: a file cannot be read, or rows break the input schema.
        PredictionError: a prediction breaks the output schema.
        ModelFailedError: the model raised an exception.
        BudgetExceededError: many more rows were rejected than the limit of the plan allows.
    """
    clock = _Clock()
    tally, read, summarizer = FindingTally(), ReadCount(), PredictionSummarizer()
    summaries: dict[FieldPath, PredictionSummary] = {}
    rows = 0
    opened = open_writer(target, split.index, plan)
    with _restore_interrupt(), _locate_failure(split, plan), opened as writer:
        pending: deque[pa.RecordBatch] = deque()

        def feed() -> Iterator[pa.RecordBatch]:
            for batch in clock.time("read", read_batches(split, plan, read)):
                pending.append(batch)
                yield plan.build_input(batch)

        pairs = _score_batches(feed(), model, plan, split, tally)
        for predictions, findings in clock.time("score", pairs):
            batch = pending.popleft()
            rows += len(predictions)
            with clock.measure("write"):
                columns = name_predictions(predictions, plan)
                summaries = merge_summaries(summaries, summarizer.summarize(predictions))
                kept = (batch.column(batch.schema.get_field_index(name)) for name in plan.kept_columns)
                writer.write([*kept, *columns.values(), *([findings] if plan.lenient else [])])
        with clock.measure("write"):
            writer.close()
    counts = rows, read.rows, rows - tally.rejected, tally.rejected
    return SplitResult(
        split.index, writer.files, *counts, tally.list_findings(), summaries, writer.size, clock.seconds
    )


_ATTEMPTS = itertools.count()
"""A number for each attempt at a split in this process."""


def _score_batches(
    batches: Iterator[pa.RecordBatch], model: LoadedModel, plan: ScanPlan, split: Split, tally: FindingTally
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield the predictions and the findings of each batch.

    Raises:
        BudgetExceededError: many more rows were rejected than the limit allows.
    """
    count = None if plan.limit is None else count_rejections(plan.limit, 0, split.index, next(_ATTEMPTS))
    return score_and_finish(
        batches,
        _build_predict(model, plan),
        plan.inputs,
        plan.outputs,
        plan.params,
        lambda scored: finish_predictions(scored, plan.zone, plan.outputs, plan.returned),
        lenient=plan.lenient,
        texts=model.text_dtypes,
        absent=plan.absent,
        source=f" of {split.describe()}",
        tally=tally,
        count=count,
    )


def require_all_rows(splits: Sequence[Split], results: Sequence[SplitResult]) -> None:
    """Check that each split was scored once, and has the number of rows in the footers.

    Raises:
        SparksigError: a file has changed meanwhile.
    """
    expected, actual = sum(split.rows for split in splits), sum(result.rows_read for result in results)
    if expected != actual or sorted(result.index for result in results) != list(range(len(splits))):
        raise SparksigError(
            f"{expected:,} rows were expected by the footers, and {actual:,} were read; nothing was written. "
            "Start again when no process replaces the files of the table"
        )


class _InterruptedError(BaseException):
    """Ctrl-C while a model predicts: an exception that does not count as the model's."""


@contextlib.contextmanager
def _restore_interrupt() -> Iterator[None]:
    try:
        yield
    except _InterruptedError:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def _locate_failure(split: Split, plan: ScanPlan) -> Iterator[None]:
    """Name the file of the failing row in the error of a model, if no condition drops rows before it."""
    try:
        yield
    except ModelFailedError as error:
        position = re.search(r"first failing row: ([\d,]+) of .*, counted from 0$", error.message)
        if position is None or plan.condition is not None:
            raise
        row = split.locate_row(int(position[1].replace(",", "")))
        before = error.message[: position.start()]
        raise ModelFailedError(f"{before}first failing row: {row}") from error.__cause__


def _build_predict(model: LoadedModel, plan: ScanPlan) -> Predict:
    """Return the model's function; Ctrl-C inside it ends the run, instead of failing a row."""
    handler = signal.getsignal(signal.SIGINT)
    is_interactive = handler not in (signal.SIG_IGN, signal.SIG_DFL, None)

    def predict(data: Any, params: Mapping[str, Any] | None) -> Any:
        try:
            predicted = model.predict_raw(data, params)
        except KeyboardInterrupt:
            if is_interactive:
                raise _InterruptedError from None
            raise
        return select_column(predicted, plan.outputs, plan.returned, count_rows(data))

    return predict


class _Clock:
    """The seconds of each step, without the seconds of its inner steps."""

    def __init__(self) -> None:
        self.seconds = {"read": 0.0, "score": 0.0, "write": 0.0}

    @contextlib.contextmanager
    def measure(self, step: str) -> Iterator[None]:
        started, inner = time.perf_counter(), sum(self.seconds.values())
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[step] += elapsed - (sum(self.seconds.values()) - inner)

    def time(self, step: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items, and measure the time to get each item."""
        iterator = iter(items)
        while True:
            with self.measure(step):
                item = next(iterator, None)
            if item is None:
                return
            yield item
