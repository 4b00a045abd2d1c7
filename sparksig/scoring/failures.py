"""Score batches in which some rows cannot be scored, and report the findings of those rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sparksig.engine import plan as plans
from sparksig.engine.absent import Absent
from sparksig.engine.arrays import get_null_mask
from sparksig.engine.findings import format_null_hint
from sparksig.engine.frames import build_model_input
from sparksig.engine.predictions import encode, get_result_type
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelFailedError,
    PredictionError,
    describe_exception,
    quote,
)
from sparksig.lattice import NEVER_NULL
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.batches import Predict, call_model
from sparksig.scoring.exceptions import wrap_exception
from sparksig.scoring.limits import RejectionCount
from sparksig.scoring.tally import FindingTally
from sparksig.types import DataType, describe

FINDINGS = pa.list_(pa.struct([("code", pa.string()), ("path", pa.string()), ("detail", pa.string())]))
"""The type of the findings of a row; null for a row that was scored."""


BROKEN_AFTER = 32
"""The number of single rows that must fail before a model that has never succeeded counts as broken."""


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
    tally: FindingTally | None = None,
    count: RejectionCount | None = None,
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Score batches in which rows may fail: yield the predictions and the findings of each batch.

    Rows with a null that the contract forbids are dropped before the model is called. If the model fails on
    the other rows, bisection of the batch finds the rows that fail. A model that has never succeeded is first
    called on a few single rows. If it fails on each of them, the other rows of the batch are reported as
    failed, too, and their findings say that they were not tried alone.

    Args:
        batches: the rows.
        predict: the function that predicts.
        inputs: the model's input schema.
        outputs: its output schema.
        params: values for all of its params, enforced already; None for a model without params.
        finish: converts the predictions; it may refuse them.
        texts: the dtypes of the model's text columns.
        absent: the treatment of an optional column that the batches lack.
        tally: counts the findings of all batches.
        count: ends the run when too many rows were rejected.

    Yields:
        The predictions, null for rows that failed, and the findings, null for rows that were scored.

    Raises:
        ContractError: the types of the batches do not widen, so that no row can be scored.
        PredictionError: the model returns another number of predictions than there are rows, other columns,
            or an array of another dtype than it declares. These errors concern all rows.
        ModelFailedError: a library that the model imports is missing.
        BudgetExceededError: many more rows were rejected than ``count`` allows.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> long, double = Schema([ColSpec("long", "x")]), Schema([ColSpec("double")])
        >>> batch = pa.record_batch([pa.array([4, None])], ["x"])
        >>> [(scored, findings)] = score_leniently([batch], lambda frame, _: frame["x"] / 2, long, double, {})
        >>> scored.to_pylist(), findings.to_pylist()[1][0]["code"]
        ([2.0, None], 'NULL_IN_REQUIRED')
    """

    def score(batch: pa.RecordBatch) -> pa.Array:
        predicted = call_model(predict, build_model_input(batch, inputs, texts=texts, absent=absent), params)
        try:
            encoded = encode(predicted, outputs, batch.num_rows)
        except PredictionError as error:
            if _concerns_all_rows(error, predicted):
                raise _RefusedOutputError(error) from None
            raise
        return finish(encoded)

    search = _Search(score, count)
    nothing = finish(pa.array([], type=get_result_type(outputs)))
    for batch in batches:
        if not inputs.is_tensor_spec():
            plans.compile(inputs, batch.schema, absent=absent)  # for errors of all rows
        failures = search.start(_find_forbidden_nulls(batch, inputs))
        good = np.setdiff1d(np.arange(batch.num_rows), np.fromiter(failures, dtype=int, count=len(failures)))
        parts: list[pa.Array] = [nothing]
        if len(good):
            chosen = batch if len(good) == batch.num_rows else batch.take(pa.array(good))
            try:
                parts += search.score_rows(chosen, good)
            except _RefusedOutputError as failure:
                raise failure.error from None
            except ImportError as error:
                raise wrap_exception(error) from error
        if tally is not None:
            tally.add(failures)
        scored = pa.concat_arrays(parts)
        yield _spread(scored, batch.num_rows, failures), _build_findings(batch.num_rows, failures)


class _RefusedOutputError(Exception):
    """An error that concerns all rows."""

    def __init__(self, error: PredictionError) -> None:
        super().__init__(str(error))
        self.error = error


_STRUCTURE = frozenset({Code.ROW_COUNT, Code.MISSING_COLUMN, Code.UNKNOWN_KEY, Code.DUPLICATE_NAME})
"""The codes of findings about the structure of an entire prediction."""


def _concerns_all_rows(error: PredictionError, predicted: object) -> bool:
    """Return whether a prediction is refused because of its structure or dtype, not because of a value."""
    kind = getattr(getattr(predicted, "dtype", None), "kind", "O")
    for finding in error.findings:
        if finding.code in _STRUCTURE and "." not in finding.path:
            return True
        # an array of floats may contain a missing value of a model that predicts integers
        may_hold_missing = kind == "f" and finding.expected in _INTEGERS
        if finding.code is Code.TYPE_MISMATCH and kind in "biufcmM" and not may_hold_missing:
            return True
    return False


_INTEGERS = (describe(DataType.integer), describe(DataType.long))


class _Search:
    """The search for the rows of a query's batches on which a model fails.

    Attributes:
        failures: the findings of the failed rows of the current batch, by the positions of the rows.
    """

    def __init__(self, score: Callable[[pa.RecordBatch], pa.Array], count: RejectionCount | None) -> None:
        self.failures: dict[int, list[Finding]] = {}
        self._score = score
        self._count = count
        self._failed = 0
        self._has_succeeded = False

    def start(self, failures: dict[int, list[Finding]]) -> dict[int, list[Finding]]:
        """Begin a batch, some rows of which may be rejected already; return its failures, to be completed.

        Raises:
            BudgetExceededError: many more rows were rejected than the limit allows.
        """
        self.failures = failures
        if failures and self._count is not None:
            self._count.add(len(failures), next(iter(failures.values()))[0])
        return failures

    def score_rows(self, batch: pa.RecordBatch, rows: np.ndarray[Any, Any]) -> list[pa.Array]:
        """Return the predictions of the rows that can be scored, in order; record the findings of the others.

        Args:
            batch: the rows.
            rows: their positions in the batch that they were taken from.

        Raises:
            BudgetExceededError: many more rows were rejected than the limit allows.
        """
        outcome = self._attempt(batch)
        if not isinstance(outcome, Exception):
            return [outcome]
        if batch.num_rows == 1:
            self._reject(rows, {}, outcome)
            return []
        if not self._has_succeeded:
            outcomes = self._probe(batch)
            if not self._has_succeeded:
                self._reject(rows, outcomes, outcome)
                return []
        half = batch.num_rows // 2
        first = self.score_rows(batch.slice(0, half), rows[:half])
        return first + self.score_rows(batch.slice(half), rows[half:])

    def _reject(
        self, rows: np.ndarray[Any, Any], outcomes: Mapping[int, Exception], outcome: Exception
    ) -> None:
        """Record the failure of all rows, both those that were tried alone and the others."""
        is_single = len(rows) == 1
        others = _list_findings(outcome) if is_single else [_build_untried_finding(outcome)]
        for index, row in enumerate(rows.tolist()):
            tried = outcomes.get(index)
            self.failures[row] = others if tried is None else _list_findings(tried)
        self._failed += len(rows)
        if self._count is not None:
            self._count.add(len(rows), _list_findings(outcome)[0])

    def _attempt(self, batch: pa.RecordBatch) -> pa.Array | Exception:
        """Return the predictions of a batch, or the exception that the model raised.

        Raises:
            _RefusedOutputError, ImportError: the failure concerns all rows.
        """
        try:
            scored = self._score(batch)
        except (_RefusedOutputError, ImportError):
            raise
        except Exception as error:  # an error of the model; it is reported with the row
            return error
        self._has_succeeded = True
        return scored

    def _probe(self, batch: pa.RecordBatch) -> dict[int, Exception]:
        """Call the model on single rows, evenly spaced, until it succeeds; return its failures by position.

        The number of rows is the logarithm of the size of the batch, and larger while few rows have failed.
        """
        size = min(batch.num_rows, max(BROKEN_AFTER - self._failed, 0) + batch.num_rows.bit_length())
        outcomes: dict[int, Exception] = {}
        for position in np.linspace(0, batch.num_rows - 1, size, dtype=int).tolist():
            outcome = self._attempt(batch.slice(position, 1))
            if not isinstance(outcome, Exception):
                break
            outcomes[position] = outcome
        return outcomes


def _build_untried_finding(error: Exception) -> Finding:
    """Return the finding for a row that was not tried alone, because the model failed on all rows tried."""
    expected = "a prediction; the model failed on every row that was tried, so this one was not tried alone"
    return Finding(Code.PREDICTION_FAILED, "", expected, describe_exception(error))


def _find_forbidden_nulls(batch: pa.RecordBatch, inputs: Schema) -> dict[int, list[Finding]]:
    """Return the findings for rows with forbidden nulls, by the positions of the rows."""
    failures: dict[int, list[Finding]] = {}
    for index, spec in enumerate(inputs):
        if not isinstance(spec, ColSpec) or not spec.required or spec.type not in NEVER_NULL:
            continue
        position = index if spec.name is None else batch.schema.get_field_index(str(spec.name))
        if position < 0 or position >= batch.num_columns or not batch.column(position).null_count:
            continue
        path = quote(spec.name) if spec.name is not None else str(index)
        expected = f"{describe(spec.type)} without nulls"
        finding = Finding(Code.NULL_IN_REQUIRED, path, expected, "a null", format_null_hint(spec.type))
        for row in np.flatnonzero(get_null_mask(batch.column(position))).tolist():
            failures.setdefault(row, []).append(finding)
    return failures


def _list_findings(error: Exception) -> list[Finding]:
    """Return the findings of a row on which the model raised an exception."""
    if isinstance(error, ContractError) and error.findings:
        return list(error.findings)
    text = describe_exception(error)
    if isinstance(error, ModelFailedError):
        text = error.message.removeprefix("the model raised ")
    return [Finding(Code.PREDICTION_FAILED, "", "a prediction", text)]


def _spread(scored: pa.Array, rows: int, failures: Mapping[int, object]) -> pa.Array:
    """Return an array with a prediction for each row, null for the rows that failed."""
    if not failures:
        return scored
    has_failed = np.zeros(rows, dtype=bool)
    has_failed[list(failures)] = True
    positions = np.cumsum(~has_failed) - 1
    return scored.take(pa.array(positions, mask=has_failed))


def _build_findings(rows: int, failures: Mapping[int, list[Finding]]) -> pa.Array:
    """Return an array with the findings of each row that failed, null for the others."""
    if not failures:
        return pa.nulls(rows, FINDINGS)
    values: list[Any] = [None] * rows
    for row, findings in failures.items():
        # counts and positions describe the batch, not a single row
        single = [replace(finding, count=None, rows=()) for finding in findings]
        values[row] = [
            {"code": finding.code.value, "path": finding.path, "detail": str(finding)} for finding in single
        ]
    return pa.array(values, FINDINGS)
