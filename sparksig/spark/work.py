"""What a Python worker does with the batches of a query: find the model, score, place predicted times.

It is pickled with the query. Nothing here needs a session.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext

from sparksig.convert.arrow import source
from sparksig.engine.absent import Absent
from sparksig.engine.features import match_features
from sparksig.engine.transfer import restore_types
from sparksig.errors import Code, ContractError, Finding, step
from sparksig.infer.outputs import count_rows
from sparksig.lattice import find_mismatches
from sparksig.models.flavors.interface import Loading
from sparksig.schema import ColSpec, Schema
from sparksig.scoring import (
    BATCH_BYTES,
    CACHE,
    finish_predictions,
    load_cached,
    rebatched,
    score_batches,
    score_pairs,
    select_column,
)
from sparksig.spark.ship import Shipment
from sparksig.spark.variants import as_objects, as_variants, opened, packed, result

__all__ = ["Work", "Zone", "columns_of", "explode"]


@dataclass(frozen=True)
class Work:
    """All that a worker is told.

    Attributes:
        shipment: where the model is.
        loading: how it is loaded.
        inputs: what it takes.
        outputs: what it gives.
        params: values for all of its params, enforced already; None for a model without params.
        features: the names of the model's features, for inputs without names; None if it knows none.
        returned: the Arrow type of a prediction as the query has it; None as the outputs say.
        zone: places predicted wall times where the query does not say a zone itself.
        lenient: whether rows that cannot be scored are told instead of raised.
        observed: whether the loads of models are told beside.
        batch_rows: how many rows the model is given at once; None for those of Arrow's batches.
        batch_bytes: larger batches are cut.
        absent: what the model sees of an optional column that the table lacks.
    """

    shipment: Shipment
    loading: Loading
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

    @property
    def has_beside(self) -> bool:
        """Whether a prediction comes in a struct with what is told beside it."""
        return self.lenient or self.observed

    def run(
        self,
        batches: Iterator[pa.RecordBatch],
        zone: Callable[[], str] | None = None,
        first_row: int = 0,
    ) -> Iterator[pa.Array]:
        """Score batches with the one model of this process; as many rows come back, in the same order.

        Args:
            batches: of the model's columns.
            zone: what to ask for the zone of the query, once the first batch is there.
            first_row: the number of rows before these batches in the partition, for messages.

        Raises:
            ModelFailedError: the model, or code that loads it, raised an exception.
        """
        sys.dont_write_bytecode = True  # of code in the model's directory, which is to stay as it is
        before = CACHE.info()
        model = load_cached(self.shipment.digest, self.shipment.locate, self.shipment.localize(self.loading))
        after = CACHE.info()
        spent = [(after.loads - before.loads, after.seconds - before.seconds)]
        if after.loads > before.loads:
            _keep_all()

        def predict(data: Any, params: Mapping[str, Any] | None) -> Any:
            predicted = model.predict_raw(opened(data, columns[0], self.inputs), params)
            rows = count_rows(data)
            predicted = select_column(predicted, self.outputs, self.returned, rows)
            return packed(predicted, self.outputs, rows)

        def finish(scored: pa.Array) -> pa.Array:
            query_zone = (zone() if zone is not None else "") or self.zone
            finished = finish_predictions(scored, query_zone, self.outputs, self.returned)
            return as_variants(finished, self.returned or result(self.outputs))

        columns: list[pa.Schema] = []

        def given() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if not columns:
                    columns.append(batch.schema)
                yield restore_types(batch, self.inputs)

        cut, outputs = rebatched(given(), self.batch_rows, self.batch_bytes), as_objects(self.outputs)
        how: dict[str, Any] = {"texts": model.text_dtypes, "absent": self.absent}
        where = _name_partition()
        if not self.has_beside:
            scores = score_batches(
                cut, predict, self.inputs, outputs, self.params, first_row=first_row, source=where, **how
            )
            yield from map(finish, scores)
            return
        pairs = score_pairs(
            cut,
            predict,
            self.inputs,
            outputs,
            self.params,
            finish,
            lenient=self.lenient,
            first_row=first_row,
            source=where,
            **how,
        )
        for scored, findings in pairs:
            yield self._beside(scored, findings, spent)

    def _beside(self, scored: pa.Array, findings: pa.Array, spent: list[tuple[int, float]]) -> pa.Array:
        rows = len(scored)
        loads, seconds = np.zeros(rows, dtype=np.int64), np.zeros(rows)
        if rows and spent:  # told once, by the first row that comes back
            loads[0], seconds[0] = spent.pop()
        arrays, names = [scored], ["value"]
        if self.lenient:
            arrays, names = [*arrays, findings], [*names, "findings"]
        if self.observed:
            arrays, names = [*arrays, pa.array(loads), pa.array(seconds)], [*names, "loads", "seconds"]
        return pa.StructArray.from_arrays(arrays, names)


def _name_partition() -> str:
    """Return the words for the partition of the running task, for messages; empty outside of a task."""
    task = TaskContext.get()
    return "" if task is None else f" of partition {task.partitionId()}"


def _keep_all() -> None:
    """Let the garbage collector pass over what this process has imported and loaded.

    Spark has it look at everything after every task: 40 ms where scikit-learn is imported, more than a small
    task takes. What a dropped model held is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


# --- a struct of all columns --------------------------------------------------------------------------------


def explode(
    arrays: list[pa.Array], inputs: Schema, features: tuple[str, ...] | None = None
) -> pa.RecordBatch:
    """The columns of a call as a batch: a single struct is taken apart, unless it is the model's one column.

    Args:
        arrays: the columns.
        inputs: what the model accepts.
        features: the names of the model's features, which match the fields of a struct with inputs without
            names; None if it knows none.

    Raises:
        ContractError: another number of columns than the model has, or a feature without a field.
    """
    names = [str(name) if inputs.has_input_names() else str(i) for i, name in enumerate(inputs.input_names())]
    only = arrays[0] if len(arrays) == 1 else None
    if only is not None and pa.types.is_struct(only.type) and not _is_itself(only.type, inputs):
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
        hint = f"in this order: {', '.join(map(step, names))}; or a single struct with fields of these names"
        finding = Finding(Code.COLUMN_COUNT, "", f"{len(names)} columns", f"{len(arrays)} columns", hint)
        raise ContractError.of("the call does not fit the model's input schema", [finding])
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _is_itself(dtype: pa.DataType, inputs: Schema) -> bool:
    """Whether a struct is the value of the model's one column, and not a row of all columns."""
    spec = inputs.inputs[0]
    if len(inputs) > 1 or not isinstance(spec, ColSpec):
        return False
    if spec.name is not None and dtype.get_field_index(str(spec.name)) >= 0:
        return False  # a struct of the column, as struct("*") makes it
    return not find_mismatches(source(dtype), spec.type, "", spec.required)


# --- batches as Spark hands them over ---------------------------------------------------------------------


def columns_of(given: Any) -> list[Any]:
    """One batch's columns: Spark hands over a tuple of them, but a single one as it is."""
    return list(given) if isinstance(given, tuple) else [given]


class Zone:
    """The zone of a query: its last column, the same in every row."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self) -> str:
        """The zone, empty as long as no row has said it."""
        return self.name

    def take(self, column: Any, name: Callable[[Any], object]) -> None:
        """Remember the zone, once there is a row that says it."""
        if not self.name and len(column):
            self.name = str(name(column))
