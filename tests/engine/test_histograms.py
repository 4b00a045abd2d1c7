"""Histograms: they count every number once, and merge to the histogram of all numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.engine.histograms import (
    MAX_BINS,
    build_histogram,
    label_bins,
    measure_lengths,
    merge_histograms,
)

EDGES = [0.0, -0.0, 5e-324, -5e-324, 1.7e308, -1.7e308, 1.0, 1e15, 1e15 + 0.125, 2.0**-1001]
DOUBLES = st.floats(-10, 10) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES)
INTEGERS = st.integers(-30, 30) | st.integers(-(2**63), 2**63 - 1)
NUMBERS = {"doubles": (DOUBLES, np.float64), "integers": (INTEGERS, np.int64)}


@pytest.mark.parametrize(("numbers", "dtype"), NUMBERS.values(), ids=NUMBERS)
def test_histograms_merge_to_that_of_all_numbers(numbers, dtype):
    @given(st.lists(numbers, min_size=1), st.lists(numbers, min_size=1))
    def check(left, right):
        parts = [build_histogram(np.array(values, dtype)) for values in (left, right)]
        complete = build_histogram(np.array(left + right, dtype))
        assert merge_histograms(*parts) == complete
        assert merge_histograms(*reversed(parts)) == complete
        assert len(complete.counts) <= MAX_BINS
        assert sum(complete.counts) == len(left + right)
        assert min(complete.counts[0], complete.counts[-1]) > 0

    check()


@given(st.lists(DOUBLES, min_size=1))
def test_a_bin_of_doubles_excludes_its_upper_bound(values):
    *bins, (low, high, last) = build_histogram(np.array(values)).list_bins()
    assert last == sum(low <= value <= high for value in values)
    for low, high, count in bins:
        assert count == sum(low <= value < high for value in values)


@given(st.lists(INTEGERS, min_size=1))
def test_a_bin_of_integers_includes_its_bounds(values):
    for low, high, count in build_histogram(np.array(values, np.int64)).list_bins():
        assert count == sum(low <= value <= high for value in values)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([3, 3], ["3"]),
        ([1, 2], ["1", "2"]),
        ([0, 39], ["0 to 1", *(f"{low} to {low + 1}" for low in range(2, 38, 2)), "38 to 39"]),
        ([0.5], ["0.5"]),
        ([0.0, 19.9], ["0 to 1", *(f"{low} to {low + 1}" for low in range(1, 19)), "19 to 19.9"]),
    ],
    ids=["equal", "neighbours", "integers", "double", "doubles"],
)
def test_bins_are_labelled_by_their_bounds(values, labels):
    assert [label for label, _ in label_bins(build_histogram(np.array(values)))] == labels


MAP = pa.map_(pa.string(), pa.int64())
LENGTHS = {
    "list": (pa.array([[], [1], [1, 2]]), [0, 1, 2]),
    "fixed size": (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), [2]),
    "map": (pa.array([[], [("a", 1)]], MAP), [0, 1]),
    "sliced map": (pa.array([[], [("a", 1)]], MAP).slice(1), [1]),
}


@pytest.mark.parametrize(("array", "lengths"), LENGTHS.values(), ids=LENGTHS)
def test_lengths_of_lists_and_maps(array, lengths):
    assert measure_lengths(array).tolist() == lengths


def test_numbers_have_no_lengths():
    assert measure_lengths(pa.array([1])) is None
