"""The work of a Python worker on the batches of a query: load the model, score, convert predicted times.

It is pickled with the query, and needs no session.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.accumulators import AccumulatorParam

from sparksig.convert.arrow import to_source
from sparksig.engine.absent import Absent
from sparksig.engine.features import match_features
from sparksig.engine.transfer import restore_types
from sparksig.errors import Code, ContractError, Finding, quote
from sparksig.infer.outputs import count_rows
from sparksig.lattice import find_mismatches
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.loading import LoadedModel
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.batches import BATCH_BYTES, Predict, regroup_batches
from sparksig.scoring.cache import CACHE, load_cached
from sparksig.scoring.limits import RejectionCount, RejectionLimit, count_rejections
from sparksig.scoring.results import finish_predictions, score_and_finish, select_column
from sparksig.scoring.tally import FieldPath, PredictionSummarizer, PredictionSummary, merge_summaries
from sparksig.spark.ship import Shipment
from sparksig.spark.variants import (
    decode_variants,
    encode_variants,
    mark_variants,
    replace_any,
    variant_result_type,
)

if TYPE_CHECKING:
    from pyspark import SparkContext

Summaries = dict[FieldPath, PredictionSummary]


class _MergedSummaries(AccumulatorParam[Summaries]):
    """The merging of summaries in an accumulator."""

    def zero(self, value: Summaries) -> Summaries:  # noqa: ARG002  the same for every value
        return {}

    def addInPlace(self, value1: Summaries, value2: Summaries) -> Summaries:  # noqa: N802  Spark's name
        return merge_summaries(value1, value2)


class PredictionObserver:
    """A collector of summaries of a query's predictions, while its tasks compute them.

    Spark adds the summaries of the successful attempt of each task, once, as long as the query has no
    shuffle after the predictions.

    Args:
        context: the context of the session, which must not be of Spark Connect.
    """

    def __init__(self, context: SparkContext) -> None:
        self._accumulator = context.accumulator(Summaries(), _MergedSummaries())
        self._summarizer = PredictionSummarizer()

    @property
    def summaries(self) -> Summaries:
        """The summaries by path, after the query has run; only for the driver."""
        return self._accumulator.value

    def observe(self, predictions: pa.Array) -> None:
        """Add a batch of predictions."""
        self._accumulator.add(self._summarizer.summarize(predictions))


@dataclass(frozen=True)
class Work:
    """The instructions for a worker.

    Attributes:
        shipment: the location of the model.
        loading: the options for loading it.
        inputs: the schema that it accepts.
        outputs: the schema that it returns.
        params: values for all of its params, enforced already; None for a model without params.
        features: the names of the model's features, for inputs without names; None if it knows none.
        returned: the Arrow type of a prediction in the query; None for the type that the outputs declare.
        zone: the time zone of predicted local times, unless the query has another one.
        lenient: report rows that cannot be scored instead of raising an error.
        observed: report the loads of the model with the predictions.
        batch_rows: the number of rows in a call of the model; None for the rows of Arrow's batches.
        batch_bytes: larger batches are cut.
        absent: what the model sees of an optional column that the table lacks.
        limit: the number of rows that the run may reject; None for any number.
        observer: summarizes the predictions; None for no summary.
    """

    shipment: Shipment
    loading: LoadOptions
    inputs: Schema
    outputs: Schema
    params: Mapping[str, Any] | None
    features: tuple[str, ...] | None = None
    returned: pa.DataType | None = None
    zone: str = "UTC"
    lenient: bool = False
    observed: bool = False
    batch_rows: int | None = None
    batch_bytes: int = BATCH_BYTES
    absent: Absent = "omit"
    limit: RejectionLimit | None = None
    observer: PredictionObserver | None = None

    @property
    def has_details(self) -> bool:
        """True if a prediction is a field of a struct with further fields."""
        return self.lenient or self.observed

    def run(
        self,
        batches: Iterator[pa.RecordBatch],
        zone: Callable[[], str] | None = None,
        first_row: int = 0,
    ) -> Iterator[pa.Array]:
        """Score batches with the model of this process; the predictions have the same rows in the same order.

        Args:
            batches: the model's columns.
            zone: returns the time zone of the query, after the first batch was read.
            first_row: the number of rows before these batches in the partition, for messages.

        Raises:
            ModelFailedError: the model, or code that loads it, raised an exception.
            BudgetExceededError: many more rows were rejected than the limit allows.
        """
        sys.dont_write_bytecode = True  # bytecode would change the model's directory
        before = CACHE.info()
        model = load_cached(self.shipment.digest, self.shipment.locate, self.shipment.localize(self.loading))
        after = CACHE.info()
        loads = [(after.loads - before.loads, after.seconds - before.seconds)]
        if after.loads > before.loads:
            _freeze_objects()
        arrivals = _Arrivals(batches, self.inputs)
        pairs = score_and_finish(
            regroup_batches(arrivals, self.batch_rows, self.batch_bytes),
            self._build_predict(model, arrivals),
            self.inputs,
            replace_any(self.outputs),
            self.params,
            self._build_finish(zone),
            lenient=self.lenient,
            texts=model.text_dtypes,
            absent=self.absent,
            first_row=first_row,
            source=_name_partition(),
            count=self._count_rejections(),
        )
        for scored, findings in pairs:
            if self.observer is not None:
                self.observer.observe(scored)
            yield self._add_details(scored, findings, loads) if self.has_details else scored

    def _build_predict(self, model: LoadedModel, arrivals: _Arrivals) -> Predict:
        """Return the function that calls the model."""

        def predict(data: Any, params: Mapping[str, Any] | None) -> Any:
            assert arrivals.schema is not None
            predicted = model.predict_raw(decode_variants(data, arrivals.schema, self.inputs), params)
            rows = count_rows(data)
            predicted = select_column(predicted, self.outputs, self.returned, rows)
            return encode_variants(predicted, self.outputs, rows)

        return predict

    def _build_finish(self, zone: Callable[[], str] | None) -> Callable[[pa.Array], pa.Array]:
        """Return the function that converts predictions to the types of the query."""

        def finish(scored: pa.Array) -> pa.Array:
            query_zone = (zone() if zone is not None else "") or self.zone
            finished = finish_predictions(scored, query_zone, self.outputs, self.returned)
            return mark_variants(finished, self.returned or variant_result_type(self.outputs))

        return finish

    def _count_rejections(self) -> RejectionCount | None:
        """Return the count of rejected rows that this task continues; None without a limit."""
        task = TaskContext.get()
        if self.limit is None or task is None:
            return None
        return count_rejections(self.limit, task.stageId(), task.partitionId(), task.taskAttemptId())

    def _add_details(self, scored: pa.Array, findings: pa.Array, spent: list[tuple[int, float]]) -> pa.Array:
        """Return structs of the predictions, their findings, and the loads of the model."""
        rows = len(scored)
        arrays, names = [scored], ["value"]
        if self.lenient:
            arrays, names = [*arrays, findings], [*names, "findings"]
        if self.observed:
            loads, seconds = np.zeros(rows, dtype=np.int64), np.zeros(rows)
            if rows and spent:  # only the first row has them, so that their sum is right
                loads[0], seconds[0] = spent.pop()
            arrays, names = [*arrays, pa.array(loads), pa.array(seconds)], [*names, "loads", "seconds"]
        return pa.StructArray.from_arrays(arrays, names)


class _Arrivals:
    """The batches that Spark sends, with the types of the signature restored.

    Attributes:
        schema: the schema of the first batch as Spark sent it; None before it was read.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], inputs: Schema) -> None:
        self.schema: pa.Schema | None = None
        self._batches = batches
        self._inputs = inputs

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches."""
        for batch in self._batches:
            self.schema = self.schema or batch.schema
            yield restore_types(batch, self._inputs)


def _name_partition() -> str:
    """Describe the partition of the running task for messages; empty outside of a task."""
    task = TaskContext.get()
    return "" if task is None else f" of partition {task.partitionId()}"


def _freeze_objects() -> None:
    """Exclude all imported and loaded objects from garbage collection.

    Spark collects garbage after every task. With scikit-learn imported that takes 40 ms, longer than a small
    task. Objects of dropped models are collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


# --- a struct of all columns --------------------------------------------------------------------------------


def split_struct(
    arrays: list[pa.Array], inputs: Schema, features: tuple[str, ...] | None = None
) -> pa.RecordBatch:
    """Return the columns of a call as a batch.

    A single struct is split into its fields, unless it is the value of the model's only column.

    Args:
        arrays: the columns.
        inputs: the schema that the model accepts.
        features: the names of the model's features, which match the fields of a struct with inputs without
            names; None if it knows none.

    Raises:
        ContractError: another number of columns than the model has, or a feature without a field.
    """
    names = [str(name) for name in inputs.input_names()]
    only = arrays[0] if len(arrays) == 1 else None
    if only is not None and pa.types.is_struct(only.type) and not _is_value(only.type, inputs):
        parts, labels = only.flatten(), [field.name for field in only.type]
        nested = bool(parts) and pa.types.is_nested(parts[0].type)
        positions, findings = match_features(labels, inputs, features, is_nested=nested)
        if findings:
            raise ContractError.of("the call does not fit the model's features", findings)
        parts = parts if positions is None else [parts[position] for position in positions]
        labels = labels if inputs.has_input_names() else [str(index) for index in range(len(parts))]
        return pa.RecordBatch.from_arrays(parts, names=labels)
    if inputs.is_tensor_spec() and not inputs.has_input_names():
        return pa.RecordBatch.from_arrays(arrays, names=[str(index) for index in range(len(arrays))])
    if len(arrays) != len(names):
        hint = f"in this order: {', '.join(map(quote, names))}; or a single struct with fields of these names"
        finding = Finding(Code.COLUMN_COUNT, "", f"{len(names)} columns", f"{len(arrays)} columns", hint)
        raise ContractError.of("the call does not fit the model's input schema", [finding])
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _is_value(dtype: pa.DataType, inputs: Schema) -> bool:
    """Return whether a struct is the value of the model's only column, and not a row of all columns."""
    spec = inputs.inputs[0]
    if len(inputs) > 1 or not isinstance(spec, ColSpec):
        return False
    if spec.name is not None and dtype.get_field_index(str(spec.name)) >= 0:
        return False  # a row, as struct("*") builds it
    return not find_mismatches(to_source(dtype), spec.type, "", spec.required)


# --- batches as Spark passes them -------------------------------------------------------------------------


def list_columns(batch: Any) -> list[Any]:
    """Return the columns of a batch: Spark passes a tuple of several, or a single column itself."""
    return list(batch) if isinstance(batch, tuple) else [batch]


class Zone:
    """The time zone of a query, read from its last column, which has the same value in every row.

    Attributes:
        name: the name; empty before a row was read.
    """

    def __init__(self) -> None:
        self.name = ""

    def __call__(self) -> str:
        """Return the name."""
        return self.name

    def read(self, column: Any, get_name: Callable[[Any], object]) -> None:
        """Read the name, if the column has a row."""
        if not self.name and len(column):
            self.name = str(get_name(column))
