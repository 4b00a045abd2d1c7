"""Predictions in numbers: each type's summary, and the merging of batches."""

from __future__ import annotations

import dataclasses
import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.jobs import RunReport
from sparksig.scoring.tally import (
    PredictionSummarizer,
    PredictionSummary,
    describe_summaries,
    merge_summaries,
    name_summaries,
)

VALUES = {
    pa.float64(): st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf, 1.7e308]),
    pa.float32(): st.floats(width=32),
    pa.int64(): st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
    pa.string(): st.sampled_from("ab") | st.text(max_size=80),
    pa.list_(pa.int64()): st.lists(st.integers(0, 9), max_size=3),
    pa.timestamp("us"): st.datetimes(),
}


def summarize(*arrays):
    summarizer = PredictionSummarizer()
    return merge_summaries(*map(summarizer.summarize, arrays))


@pytest.mark.parametrize("dtype", VALUES, ids=str)
def test_summaries_of_batches_merge_to_that_of_all_rows(dtype):
    @given(st.lists(st.lists(st.none() | VALUES[dtype]), min_size=1))
    def check(batches):
        arrays = [pa.array(batch, dtype) for batch in batches]
        [actual], [expected] = summarize(*arrays).values(), summarize(pa.concat_arrays(arrays)).values()
        assert dataclasses.replace(actual, mean=expected.mean) == expected
        assert summarize(*reversed(arrays))[()].histogram == expected.histogram
        if expected.mean is not None:
            largest = max(abs(expected.histogram.minimum), abs(expected.histogram.maximum))
            assert actual.mean == pytest.approx(expected.mean, abs=max(1e-9 * largest, 1e-300))
        histogram = expected.histogram
        counted = 0 if histogram is None else sum(histogram.counts)
        if pa.types.is_floating(dtype):
            assert counted + expected.nulls + expected.nans + expected.infinities == expected.rows

    check()


ROWS = {
    "doubles": (
        pa.array([1.5, 2.5, None, math.nan, math.inf]),
        {(): "mean 2, 1.5 to 2.5, 1 NaN, 1 infinite, 1 null (20.0 %)"},
    ),
    "one value": (pa.array([0.5, 0.5]), {(): "mean 0.5, all 0.5, no nulls"}),
    "no values": (pa.array([None, None], pa.float64()), {(): "2 nulls (100.0 %)"}),
    "largest doubles": (pa.array([1.7e308] * 3), {(): "mean 1.7e+308, all 1.7e+308, no nulls"}),
    "few integers": (pa.array([1, 2, 2, 2]), {(): "2 75.0 %, 1 25.0 %, no nulls"}),
    "many integers": (pa.array(range(51)), {(): "mean 25, 0 to 50, no nulls"}),
    "largest integers": (
        pa.array([2**63 - 1 - index for index in range(60)]),
        {(): "mean 9.223e+18, all 9.223e+18, no nulls"},
    ),
    "classes": (pa.array(list("aaab")), {(): "a 75.0 %, b 25.0 %, no nulls"}),
    "many classes": (
        pa.array([letter for letter in "abcdefg" for _ in range(10)]),
        {(): "a 14.3 %, b 14.3 %, c 14.3 %, d 14.3 %, e 14.3 %, 2 more, no nulls"},
    ),
    "long texts": (pa.array(["x" * 65]), {(): "no nulls"}),
    "booleans": (pa.array([True, None]), {(): "true 100.0 %, 1 null (50.0 %)"}),
    "lists": (pa.array([[1.0], [1.0, 2.0]]), {(): "mean 1.5 items, 1 to 2, no nulls"}),
    "decimals": (pa.array([1, 3], pa.decimal128(5, 1)), {(): "mean 2, 1 to 3, no nulls"}),
    "times": (pa.array([0, None], pa.timestamp("us")), {(): "1 null (50.0 %)"}),
    "structs": (
        pa.array([{"label": "a", "scores": {"low": 0.5}}, None]),
        {("label",): "a 100.0 %, 1 null (50.0 %)", ("scores", "low"): "mean 0.5, all 0.5, 1 null (50.0 %)"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("array", "texts"), ROWS.values(), ids=ROWS)
def test_summaries_as_text(array, texts):
    summaries = summarize(array)
    assert {path: str(summary) for path, summary in summaries.items()} == texts
    report = RunReport("score", "r", "done", 0, "x", 1.0, {}, predictions=name_summaries(summaries, "p"))
    json.loads(report.to_json(), parse_constant=pytest.fail)
    assert RunReport.from_json(report.to_json()) == report


def test_classes_are_given_up_for_good_once_there_are_too_many():
    batches = [pa.array([f"id-{index}"]) for index in range(60)]
    assert summarize(*batches)[()].classes is None
    summarizer = PredictionSummarizer()
    summarizer.summarize(pa.array([str(index) for index in range(60)]))
    assert summarizer.summarize(pa.array(["a"]))[()].classes is None


def test_only_the_first_hundred_columns_are_summarized():
    names = [f"c{index}" for index in range(150)]
    predictions = pa.StructArray.from_arrays([pa.array([1.0])] * 150, names=names)
    assert list(summarize(predictions)) == [(name,) for name in names[:100]]


@pytest.mark.parametrize(
    ("flatten", "names"),
    [(False, ["p", "p.a.b", "p.`a.b`"]), (True, ["p", "p_a.b", "`p_a.b`"])],
    ids=["struct", "flattened"],
)
def test_summaries_have_the_names_of_columns(flatten, names):
    summary = PredictionSummary(0, 0)
    summaries = dict.fromkeys([(), ("a", "b"), ("a.b",)], summary)
    assert list(name_summaries(summaries, "p", flatten=flatten)) == names


def test_a_text_lists_ten_columns():
    lines = describe_summaries({f"c{index}": PredictionSummary(1, 0) for index in range(12)})
    assert (lines[0], lines[10], len(lines)) == ("c0: no nulls", "and 2 further columns", 11)
