"""Row groups that a condition excludes by their statistics: they are not read, and no row is lost."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import UnsupportedError
from sparksig.scoring.filters import compile_filter
from sparksig.scoring.scan import ReadCount, read_batches
from sparksig.scoring.splits import plan_splits
from tests.scoring.filters import TABLE, conditions
from tests.scoring.helpers import plan, save


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))


def read(home, model, condition):
    """Read the rows of a table that meet a condition; return them, and the counts."""
    table, _, scan = plan(home, model, filter=condition)
    count = ReadCount()
    batches = [batch for split in plan_splits(table, scan, 1) for batch in read_batches(split, scan, count)]
    return pa.Table.from_batches(batches, scan.source), count


WRITERS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 3),
        "write_statistics": st.booleans() | st.just(["i", "s", "d"]),
        "version": st.sampled_from(["1.0", "2.6"]),
        "store_schema": st.booleans(),
        "use_deprecated_int96_timestamps": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
    }
)


@given(
    condition=conditions(),
    writer=WRITERS,
    rows=st.lists(st.integers(0, TABLE.num_rows - 1), min_size=1, max_size=9),
)
def test_pruning_never_changes_the_rows(tmp_path_factory, model, condition, writer, rows):
    home = tmp_path_factory.mktemp("table")
    table = TABLE.take(rows).append_column("x", pa.array(np.arange(len(rows), dtype="float64")))
    (home / "table").mkdir()
    pq.write_table(table, home / "table" / "part.parquet", **writer)
    try:
        actual, count = read(home / "table", model, condition)
    except UnsupportedError:
        return
    expected = [
        row
        for batch in table.to_batches(max_chunksize=1)
        for row in compile_filter(condition, batch.schema, "UTC").apply(batch).column("x").to_pylist()
    ]
    assert actual["x"].to_pylist() == expected
    assert count.rows == table.num_rows
    assert count.groups <= -(-table.num_rows // writer["row_group_size"])


DAY, MOMENT = dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
VALUES = {
    "byte": pa.array(range(40), pa.int8()),
    "long": pa.array(range(40), pa.int64()),
    "uint": pa.array(range(40), pa.uint32()),
    "f": pa.array(range(40), pa.float32()),
    "d": pa.array(np.arange(40.0)),
    "text": pa.array([f"{number:02}" for number in range(40)]),
    "flag": pa.array([number >= 30 for number in range(40)]),
    "day": pa.array([DAY + dt.timedelta(number) for number in range(40)]),
    "ms": pa.array([MOMENT + dt.timedelta(number) for number in range(40)], pa.timestamp("ms", "UTC")),
    "us": pa.array([MOMENT + dt.timedelta(number) for number in range(40)], pa.timestamp("us", "UTC")),
    "hole": pa.array([None] * 10 + list(range(30))),
    "x": pa.array(np.arange(40.0)),
}


@pytest.mark.parametrize(
    ("condition", "groups"),
    [
        ("byte < 5", 1),
        ("long >= 20", 2),
        ("long between 12 and 13", 1),
        ("long in (1, 35)", 2),
        ("long = 100", 0),
        ("not long < 30", 1),
        ("long < 5 or long > 35", 2),
        ("long > 15 and text < '18'", 1),
        ("long <> 5", 4),
        ("text = '07'", 1),
        ("flag", 1),
        ("day = '2026-01-15'", 1),
        ("ms < '2026-01-02'", 1),
        ("us >= timestamp'2026-02-01 00:00:00'", 1),
        ("d < 5", 1),
        ("f = 5", 1),
        ("d > 35", 4),  # NaN is the greatest number, and no part of statistics
        ("hole is null", 1),
        ("hole is not null", 3),
        ("hole < 5", 1),
        ("uint < 5", 4),  # older writers order unsigned integers by their signs
    ],
)
def test_only_row_groups_that_can_meet_the_condition_are_read(tmp_path, model, condition, groups):
    (tmp_path / "table").mkdir()
    pq.write_table(pa.table(VALUES), tmp_path / "table" / "part.parquet", row_group_size=10)
    rows, count = read(tmp_path / "table", model, condition)
    assert (count.groups, count.rows) == (groups, 40)
    assert (rows.num_rows > 0) == (groups > 0)


def test_nan_is_never_pruned(tmp_path, model):
    (tmp_path / "table").mkdir()
    table = pa.table({"x": [1.0, float("nan"), 2.0, 3.0]})
    pq.write_table(table, tmp_path / "table" / "part.parquet", row_group_size=2)
    rows, count = read(tmp_path / "table", model, "x > 10")
    assert (rows.num_rows, count.groups) == (1, 2)


def test_text_that_was_cut_is_never_pruned(tmp_path, model):
    (tmp_path / "table").mkdir()
    text = "ü" * 3000
    table = pa.table({"s": [text, text + "a"], "x": [1.0, 2.0]})
    pq.write_table(table, tmp_path / "table" / "part.parquet")
    assert read(tmp_path / "table", model, f"s = '{text}a'")[0]["x"].to_pylist() == [2.0]
    assert read(tmp_path / "table", model, f"not s = '{text}'")[0]["x"].to_pylist() == [2.0]
