"""Counts of findings, and summary statistics of predictions, collected batch by batch."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.variant import is_variant
from sparksig.engine.histograms import (
    Histogram,
    build_histogram,
    label_bins,
    measure_lengths,
    merge_histograms,
)
from sparksig.errors import Code, Finding, below
from sparksig.views import count_nouns, format_nulls, format_number, format_share

FieldPath = tuple[str, ...]
"""The names of the fields from a prediction to a part of it; empty for the prediction itself."""

_MOST = 50
"""The largest number of kinds of findings in a report."""


class FindingTally:
    """The findings of rejected rows, counted by code and path.

    Attributes:
        rejected: the number of rejected rows.

    Example:
        >>> tally = FindingTally()
        >>> null = Finding(Code.NULL_IN_REQUIRED, "age")
        >>> tally.add({3: [null], 5: [null]})
        >>> tally.rejected, [finding.count for finding in tally.list_findings()]
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

    def list_findings(self) -> tuple[Finding, ...]:
        """Return the findings with their counts, the most frequent first."""
        return merge_findings(replace(kind, count=count) for kind, count in self._counts.items())


def _generalize(finding: Finding) -> Finding:
    """Return a finding without rows, and without the message of a model's error, which may contain values."""
    if finding.code is Code.PREDICTION_FAILED:
        return Finding(finding.code, finding.path, "a prediction", "an error of the model")
    return replace(finding, count=None, rows=())


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each code and path, with the sum of the counts, the most frequent first."""
    merged: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.code.value, finding.path
        previous = merged.get(key)
        count = (finding.count or 0) + (0 if previous is None else previous.count or 0)
        merged[key] = replace(previous or finding, count=count)
    ordered = sorted(merged.values(), key=lambda kind: (-(kind.count or 0), kind.code.value, kind.path))
    return tuple(ordered[:_MOST])


@dataclass(frozen=True)
class PredictionSummary:
    """Summary statistics of a column of predictions.

    They do not depend on batches or their order, except for the rounding of the mean.

    Attributes:
        rows: the number of rows.
        nulls: the number of rows without a prediction.
        nans: the number of NaN values.
        infinities: the number of infinite values.
        mean: the mean of the finite numbers; None if there are none.
        histogram: the finite numbers in bins; None if there are none.
        classes: pairs of a class and its number of rows, the most frequent first: for booleans, and for texts
            and integers with at most 50 different values. None for other columns.
        unit: "item" if the numbers are the lengths of lists or maps, else empty.

    Example:
        >>> summary = PredictionSummarizer().summarize(pa.array(["no", "yes", "no", None]))[()]
        >>> str(summary)
        'no 66.7 %, yes 33.3 %, 1 null (25.0 %)'
    """

    rows: int
    nulls: int
    nans: int = 0
    infinities: int = 0
    mean: float | None = None
    histogram: Histogram | None = None
    classes: tuple[tuple[str, int], ...] | None = None
    unit: str = ""

    @property
    def values(self) -> tuple[tuple[str, int], ...]:
        """The distribution: pairs of a class or a range of numbers, and its count."""
        if self.classes is not None:
            return self.classes
        return () if self.histogram is None else label_bins(self.histogram, unit=self.unit)

    def __str__(self) -> str:
        return ", ".join(
            text for text in (*self._describe_values(), format_nulls(self.nulls, self.rows)) if text
        )

    def _describe_values(self) -> list[str]:
        if self.classes:
            total = sum(count for _, count in self.classes)
            shares = [f"{label} {format_share(count, total)}" for label, count in self.classes[:_SHOWN]]
            return [*shares, *([f"{len(self.classes) - _SHOWN} more"] if len(self.classes) > _SHOWN else [])]
        histogram, texts = self.histogram, []
        if histogram is not None:
            unit = f" {self.unit}s" if self.unit else ""
            low, high = format_number(histogram.minimum), format_number(histogram.maximum)
            texts = [
                f"mean {format_number(self.mean or 0)}{unit}",
                f"{low} to {high}" if low != high else f"all {low}",
            ]
        texts += [f"{self.nans:,} NaN"] if self.nans else []
        return [*texts, *([f"{self.infinities:,} infinite"] if self.infinities else [])]


_SHOWN = 5
"""The largest number of classes in the text of a summary."""

_MOST_CLASSES, _MOST_LENGTH = 50, 64
"""Columns with more different values, or with longer texts, have no classes."""

_MOST_COLUMNS = 100
"""The largest number of columns that are summarized."""


class PredictionSummarizer:
    """A summarizer of predictions, which remembers the columns that have too many values for classes."""

    def __init__(self) -> None:
        self._without_classes: set[FieldPath] = set()

    def summarize(self, predictions: pa.Array) -> dict[FieldPath, PredictionSummary]:
        """Summarize a batch of predictions; each field of a struct counts as a column.

        Args:
            predictions: the predictions, in types that Spark has.

        Returns:
            The summaries of the first 100 columns by their paths. The path is empty for a prediction that is
            not a struct; fields have paths such as ``("scores", "low")``.

        Example:
            >>> summary = PredictionSummarizer().summarize(pa.array([1.0, 3.0, None]))[()]
            >>> summary.rows, summary.nulls, summary.mean
            (3, 1, 2.0)
        """
        leaves = itertools.islice(_list_leaves((), predictions), _MOST_COLUMNS)
        return {path: self._summarize(path, array) for path, array in leaves}

    def _summarize(self, path: FieldPath, array: pa.Array) -> PredictionSummary:
        summary = PredictionSummary(len(array), array.null_count)
        present = array.drop_null() if array.null_count else array
        if path not in self._without_classes:
            classes = _count_classes(present)
            if classes is None:
                self._without_classes.add(path)
            summary = replace(summary, classes=classes)
        lengths = measure_lengths(present)
        if lengths is not None:
            return replace(summary, **_summarize_integers(lengths), unit="item")
        if pa.types.is_integer(array.type):
            numbers = present.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return replace(summary, **_summarize_integers(numbers))
        if pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
            numbers = present.cast(pa.float64()).to_numpy(zero_copy_only=False)
            return replace(summary, **_summarize_floats(numbers))
        return summary


def _list_leaves(path: FieldPath, array: pa.Array) -> Iterator[tuple[FieldPath, pa.Array]]:
    """Yield an array, or the fields of a struct at every depth that are not structs, with their paths."""
    if not pa.types.is_struct(array.type) or is_variant(array.type):
        yield path, array
        return
    for field, values in zip(array.type, array.flatten()):
        yield from _list_leaves((*path, field.name), values)


def _count_classes(array: pa.Array) -> tuple[tuple[str, int], ...] | None:
    """Count the values of a batch as classes; None for other types, and for too many or too long values."""
    if pa.types.is_boolean(array.type):
        return _order_classes({"true": array.true_count, "false": array.false_count})
    if not (pa.types.is_integer(array.type) or pa.types.is_string(array.type)):
        return None
    counts = pc.value_counts(array)
    if len(counts) > _MOST_CLASSES:
        return None
    classes = {str(value): count for value, count in zip(*(part.to_pylist() for part in counts.flatten()))}
    return None if any(len(label) > _MOST_LENGTH for label in classes) else _order_classes(classes)


def _order_classes(classes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    present = ((label, count) for label, count in classes.items() if count)
    return tuple(sorted(present, key=lambda pair: (-pair[1], pair[0])))


def _summarize_integers(numbers: np.ndarray[Any, Any]) -> dict[str, Any]:
    if not len(numbers):
        return {}
    histogram = build_histogram(numbers)
    largest = max(abs(histogram.minimum), abs(histogram.maximum))
    total = numbers.sum().item() if largest * len(numbers) < 2**63 else numbers.astype(np.float64).sum()
    return {"mean": float(total / len(numbers)), "histogram": histogram}


def _summarize_floats(numbers: np.ndarray[Any, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        mean = numbers.sum() / max(len(numbers), 1)
    if not np.isfinite(mean):
        nans, infinities = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
        details = {"nans": nans, "infinities": infinities}
        numbers = numbers[np.isfinite(numbers)]
        mean = (numbers / max(len(numbers), 1)).sum()  # whose sum may be infinite
    if not len(numbers):
        return details
    return {**details, "mean": float(mean), "histogram": build_histogram(numbers)}


def merge_summaries(*parts: Mapping[FieldPath, PredictionSummary]) -> dict[FieldPath, PredictionSummary]:
    """Merge the summaries of several batches or files."""
    merged: dict[FieldPath, PredictionSummary] = {}
    for part in parts:
        for path, summary in part.items():
            merged[path] = _merge(merged[path], summary) if path in merged else summary
    return merged


def _merge(left: PredictionSummary, right: PredictionSummary) -> PredictionSummary:
    mean, histogram = left.mean, left.histogram
    if mean is None or histogram is None:
        mean, histogram = right.mean, right.histogram
    elif right.mean is not None and right.histogram is not None:
        histogram = merge_histograms(histogram, right.histogram)
        share = sum(right.histogram.counts) / sum(histogram.counts)
        mean = mean * (1 - share) + right.mean * share
    return PredictionSummary(
        left.rows + right.rows,
        left.nulls + right.nulls,
        left.nans + right.nans,
        left.infinities + right.infinities,
        mean,
        histogram,
        _merge_classes(left.classes, right.classes),
        left.unit or right.unit,
    )


def _merge_classes(
    left: tuple[tuple[str, int], ...] | None, right: tuple[tuple[str, int], ...] | None
) -> tuple[tuple[str, int], ...] | None:
    if left is None or right is None:
        return None
    counts = Counter(dict(left))
    counts.update(dict(right))
    return _order_classes(counts) if len(counts) <= _MOST_CLASSES else None


def name_summaries(
    summaries: Mapping[FieldPath, PredictionSummary], column: str, *, flatten: bool = False
) -> dict[str, PredictionSummary]:
    """Replace the paths in the prediction by paths in the output, formatted like those of findings.

    Args:
        summaries: the summaries, by their paths in the prediction.
        column: the name of the output column.
        flatten: whether each field of the prediction is a column.

    Example:
        >>> list(name_summaries({("a", "b"): PredictionSummary(0, 0)}, "prediction", flatten=True))
        ['prediction_a.b']
    """
    named = {}
    for path, summary in summaries.items():
        names = (f"{column}_{path[0]}", *path[1:]) if flatten and path else (column, *path)
        named[functools.reduce(below, names, "")] = summary
    return named


def describe_summaries(summaries: Mapping[str, PredictionSummary], most: int = 10) -> list[str]:
    """Return a line for each of the first ``most`` columns, and one with the number of further columns.

    Example:
        >>> describe_summaries({"score": PredictionSummary(2, 0, classes=(("yes", 2),))})
        ['score: yes 100.0 %, no nulls']
    """
    lines = [f"{path}: {summary}" for path, summary in itertools.islice(summaries.items(), most)]
    more = len(summaries) - most
    return [*lines, f"and {count_nouns(more, 'further column')}"] if more > 0 else lines
