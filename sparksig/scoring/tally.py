"""Findings counted by kind, and predictions in numbers, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from sparksig.errors import Code, Finding

__all__ = ["FindingTally", "Summary", "merge_findings", "merge_summaries", "summarize_predictions"]

_MOST = 50
"""The number of kinds of findings that a report has at most."""


class FindingTally:
    """The findings of rejected rows, counted by code and path.

    Attributes:
        rejected: the number of rejected rows.

    Example:
        >>> tally = FindingTally()
        >>> null = Finding(Code.NULL_IN_REQUIRED, "age")
        >>> tally.add({3: [null], 5: [null]})
        >>> tally.rejected, [finding.count for finding in tally.findings()]
        (2, [2])
    """

    def __init__(self) -> None:
        self.rejected = 0
        self._counts: dict[Finding, int] = {}

    def add(self, failures: Mapping[int, list[Finding]]) -> None:
        """Count the findings of a batch, by the positions of its rejected rows."""
        self.rejected += len(failures)
        for findings in failures.values():
            for finding in findings:
                kind = _generalize(finding)
                self._counts[kind] = self._counts.get(kind, 0) + 1

    def findings(self) -> tuple[Finding, ...]:
        """Return the findings with their counts, the most frequent first."""
        return merge_findings(replace(kind, count=count) for kind, count in self._counts.items())


def _generalize(finding: Finding) -> Finding:
    """Return a finding without its rows, and without the text of a model's error, which may hold values."""
    if finding.code is Code.PREDICTION_FAILED:
        return Finding(finding.code, finding.path, "a prediction", "an error of the model")
    return replace(finding, count=None, rows=())


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each code and path, with the sum of the counts, the most frequent first."""
    merged: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.code.value, finding.path
        known = merged.get(key)
        count = (finding.count or 0) + (0 if known is None else known.count or 0)
        merged[key] = replace(known or finding, count=count)
    ordered = sorted(merged.values(), key=lambda kind: (-(kind.count or 0), kind.code.value, kind.path))
    return tuple(ordered[:_MOST])


@dataclass(frozen=True)
class Summary:
    """A column of predictions in numbers.

    Attributes:
        rows: the number of rows.
        nulls: the number of rows without a prediction.
        numbers: the number of finite values, for numeric columns.
        minimum: the least finite value; None without any.
        maximum: the greatest finite value; None without any.
        mean: the mean of the finite values; None without any.
    """

    rows: int
    nulls: int
    numbers: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


def summarize_predictions(predictions: Mapping[str, pa.Array]) -> dict[str, Summary]:
    """Summarize each column of predictions; the fields of a struct are columns of their own.

    Example:
        >>> summarize_predictions({"score": pa.array([1.0, 3.0, None])})
        {'score': Summary(rows=3, nulls=1, numbers=2, minimum=1.0, maximum=3.0, mean=2.0)}
    """
    summaries: dict[str, Summary] = {}
    for name, array in predictions.items():
        if pa.types.is_struct(array.type):
            fields = (f"{name}.{field.name}" for field in array.type)
            summaries |= summarize_predictions(dict(zip(fields, array.flatten())))
        else:
            summaries[name] = _summarize(array)
    return summaries


def _summarize(array: pa.Array) -> Summary:
    rows, nulls = len(array), array.null_count
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return Summary(rows, nulls)
    total = pc.sum(array).as_py()
    if pa.types.is_floating(array.type) and (total is None or total - total != 0):  # NaN or infinite
        array = array.filter(pc.is_finite(array))
        total = pc.sum(array).as_py()
    numbers = len(array) - array.null_count
    if not numbers:
        return Summary(rows, nulls)
    extremes = pc.min_max(array).as_py()
    return Summary(rows, nulls, numbers, float(extremes["min"]), float(extremes["max"]), total / numbers)


def merge_summaries(*parts: Mapping[str, Summary]) -> dict[str, Summary]:
    """Merge the summaries of several batches or files."""
    merged: dict[str, Summary] = {}
    for part in parts:
        for name, summary in part.items():
            merged[name] = _merge(merged[name], summary) if name in merged else summary
    return merged


def _merge(left: Summary, right: Summary) -> Summary:
    rows, nulls = left.rows + right.rows, left.nulls + right.nulls
    if left.mean is None or right.mean is None:
        known = right if left.mean is None else left
        return replace(known, rows=rows, nulls=nulls)
    assert left.minimum is not None
    assert left.maximum is not None
    assert right.minimum is not None
    assert right.maximum is not None
    numbers = left.numbers + right.numbers
    mean = left.mean + (right.mean - left.mean) * (right.numbers / numbers)
    low, high = min(left.minimum, right.minimum), max(left.maximum, right.maximum)
    return Summary(rows, nulls, numbers, low, high, mean)
