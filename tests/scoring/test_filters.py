"""Conditions on rows without Spark: their syntax, their results, and conditions that need Spark."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import UnsupportedError
from sparksig.scoring.bounds import Bounds
from sparksig.scoring.filters import compile_filter
from sparksig.scoring.splits import plan_splits
from tests.scoring.filters import TABLE, UNSUPPORTED, conditions
from tests.scoring.helpers import of_numbers, plan, read, save, score, write


def numbers_of(text, table=TABLE, zone="UTC"):
    """The numbers of the rows that meet a condition."""
    [batch] = table.to_batches()
    return compile_filter(text, table.schema, zone).apply(batch).column("number").to_pylist()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("number = 2", [2]),
        ("2 < number", [3, 4]),
        ("`number` between 1 and 2", [1, 2]),
        ("number not between 1 and 3", [0, 4]),
        ("number in (1, 3)", [1, 3]),
        ("i is null", [1]),
        ("NOT i IS NULL and number <> 0", [2, 3, 4]),
        ("i = 1 or i <> 1", [0, 2, 3, 4]),
        ("not (flag or number = 3)", [1]),
        ("flag", [0, 4]),
    ],
)
def test_rows_that_meet_a_condition(text, numbers):
    assert numbers_of(text) == numbers


def test_nan_is_the_greatest_number():
    table = pa.table({"number": [0, 1, 2], "x": [1.0, float("nan"), None]})
    assert numbers_of("x > 5", table) == [1]
    assert numbers_of("x <= 5", table) == [0]


def test_times_are_local_times_of_the_zone():
    table = pa.table(
        {"number": [0, 1], "t": pa.array([1719831600000000, 1719831599999999], pa.timestamp("us", "UTC"))}
    )
    assert numbers_of("t >= '2024-07-01 07:00:00'", table, "America/New_York") == [0]
    with pytest.raises(UnsupportedError, match="the filter compares t, which is timestamp"):
        numbers_of("t >= '2024-03-10 02:30:00'", table, "America/New_York")


@pytest.mark.parametrize(("text", "reason"), UNSUPPORTED)
def test_conditions_that_are_left_to_spark(text, reason):
    with pytest.raises(UnsupportedError) as info:
        compile_filter(text, TABLE.schema, "UTC")
    assert info.value.message == f"the filter {reason}"


@given(text=conditions())
def test_known_values_prune_no_row_that_meets_the_condition(text):
    """Apply a condition to each row alone, with some values known beforehand, like those of directories."""
    condition = compile_filter(text, TABLE.schema, "UTC")
    for number in range(TABLE.num_rows):
        [row] = TABLE.slice(number, 1).to_batches()
        for names in (TABLE.column_names, ["i", "s"], []):
            values = {name: Bounds.constant(row.column(name)[0]) for name in names}
            is_kept = condition.apply(row).num_rows == 1
            assert condition.can_hold(values) or not is_kept
            if names == TABLE.column_names:
                assert condition.can_hold(values) == is_kept


@given(text=st.text(max_size=30) | st.text("iNot ()'`=<>!-,.0123456789L", max_size=30))
def test_no_text_raises_another_error(text):
    try:
        condition = compile_filter(text, TABLE.schema, "UTC")
    except UnsupportedError:
        return
    assert pickle.loads(pickle.dumps(condition)) == condition


def test_a_filter_on_a_column_that_is_not_kept(tmp_path):
    source = write(tmp_path, of_numbers(10), of_numbers(10, 10), row_group_size=3)
    report = score(tmp_path, source, save(tmp_path), keep=["x"], filter="id >= 5 and id < 12")
    assert (report.rows, report.scored) == (7, 7)
    assert sorted(read(tmp_path)["x"].to_pylist()) == [float(number) for number in range(5, 12)]


def test_directories_without_rows_of_the_filter_are_not_read(tmp_path):
    source = tmp_path / "table"
    for day in (1, 2):
        (source / f"day={day}").mkdir(parents=True)
        pq.write_table(of_numbers(3), source / f"day={day}" / "part.parquet")
    table, _, scan = plan(source, save(tmp_path), filter="day = 2 or day = 3 and x > 1")
    splits = plan_splits(table, scan, 2)
    assert [piece.name for split in splits for piece in split.pieces] == ["day=2/part.parquet"]
