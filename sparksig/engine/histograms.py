"""Histograms that merge exactly: their bins depend on the values alone, not on batches or their order.

The width of the bins is the smallest power of two with which at most ``MAX_BINS`` bins cover all values. Bins
begin at multiples of the width. So each bin lies inside a single bin of any histogram with a larger width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.views import format_number

MAX_BINS = 20

_MIN_EXPONENT = -1000
"""The exponent of the smallest width. The inverse of that width is still a finite double."""

Number = Union[int, float]


@dataclass(frozen=True)
class Histogram:
    """Counts of finite numbers in bins of equal width.

    Attributes:
        minimum: the smallest number.
        maximum: the largest number.
        width: the width of a bin, a power of two.
        counts: the number of values in each bin. The first bin has the minimum, and the last the maximum.

    Example:
        >>> histogram = build_histogram(np.array([1.0, 3.5, 16.0]))
        >>> histogram.width, histogram.counts
        (1.0, (1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    """

    minimum: Number
    maximum: Number
    width: Number
    counts: tuple[int, ...]

    @property
    def first(self) -> int:
        """The lower edge of the first bin, as a multiple of the width."""
        return int(self.minimum // self.width)

    def list_bins(self) -> list[tuple[Number, Number, int]]:
        """Return the lower bound, the upper bound and the count of each bin.

        The first lower bound is the minimum, and the last upper bound is the maximum. Bins of integers
        include both bounds. Other bins include the lower bound, and the last bin also the maximum.

        Example:
            >>> build_histogram(np.array([0.25, 0.75, 1.0])).list_bins()[-1]
            (1.0, 1.0, 1)
        """
        included = 1 if isinstance(self.width, int) else 0
        positions = range(self.first, self.first + len(self.counts))
        return [
            (
                max(position * self.width, self.minimum),
                min((position + 1) * self.width - included, self.maximum),
                count,
            )
            for position, count in zip(positions, self.counts)
        ]


def build_histogram(values: np.ndarray[Any, Any]) -> Histogram:
    """Count numbers in bins.

    Args:
        values: 64-bit doubles or integers; at least one, and all finite.
    """
    low, high = values.min().item(), values.max().item()
    width = _choose_width(low, high)
    if isinstance(width, int):
        bins = values >> (width.bit_length() - 1)
    else:
        bins = np.floor(values * (1 / width))
        if low < 0 and width > 1:  # the product of a tiny negative number is zero
            bins[(bins == 0) & (values < 0)] = -1
    bins -= int(low // width)
    counts = np.bincount(bins.astype(np.int64, copy=False))
    return Histogram(low, high, width, tuple(counts.tolist()))


def merge_histograms(left: Histogram, right: Histogram) -> Histogram:
    """Return the histogram of the values of two histograms.

    Example:
        >>> left, right = (build_histogram(np.array(values)) for values in ([1.0, 2.0], [9.0, 90.0]))
        >>> merge_histograms(left, right) == build_histogram(np.array([1.0, 2.0, 9.0, 90.0]))
        True
    """
    low, high = min(left.minimum, right.minimum), max(left.maximum, right.maximum)
    width = _choose_width(low, high)
    merged = Histogram(low, high, width, ())
    counts = [0] * (int(high // width) - merged.first + 1)
    for part in (left, right):
        shift = math.frexp(width)[1] - math.frexp(part.width)[1]
        for index, count in enumerate(part.counts, part.first):
            counts[(index >> shift) - merged.first] += count
    return replace(merged, counts=tuple(counts))


def _choose_width(low: Number, high: Number) -> Number:
    """Return the smallest width for numbers between two bounds; never less than that of a range inside it."""
    if isinstance(low, int) and isinstance(high, int):
        exponent = 0
        while (high >> exponent) - (low >> exponent) >= MAX_BINS:
            exponent += 1
        return 1 << exponent
    half_range, largest = high / 2 - low / 2, max(abs(low), abs(high))
    exponents = [_MIN_EXPONENT]
    if largest:  # the positions of bins are exact doubles
        exponents.append(math.frexp(largest)[1] - 53)
    if half_range:
        exponents.append(math.frexp(half_range)[1] - 4)  # more bins than the maximum
    exponent = max(exponents)
    while high // 2.0**exponent - low // 2.0**exponent >= MAX_BINS:
        exponent += 1
    return 2.0**exponent


def label_bins(
    histogram: Histogram, format_number: Callable[[Number], str] = format_number, unit: str = ""
) -> tuple[tuple[str, int], ...]:
    """Return the bins as pairs of a text and a count; the text has the range.

    Args:
        histogram: the counts.
        format_number: formats the bounds of a range.
        unit: the singular noun of the numbers to append to each range; may be empty.

    Example:
        >>> label_bins(build_histogram(np.array([1, 2, 2])), unit="item")
        (('1 item', 1), ('2 items', 2))
    """
    labels = []
    for low, high, count in histogram.list_bins():
        first, last = format_number(low), format_number(high)
        label = first if first == last else f"{first} to {last}"
        noun = unit if label == "1" or not unit else f"{unit}s"
        labels.append((f"{label} {noun}".rstrip(), count))
    return tuple(labels)


def measure_lengths(array: pa.Array) -> np.ndarray[Any, Any] | None:
    """Return the lengths of lists or maps without nulls, as 64-bit integers; None for other types."""
    dtype = array.type
    if pa.types.is_map(dtype):
        lengths = np.diff(array.offsets.to_numpy())
    elif pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    else:
        return None
    return np.asarray(lengths, np.int64)
