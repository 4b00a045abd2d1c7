"""Splits of a table, planned from footers; and the tables that are left to Spark."""

from __future__ import annotations

import datetime as dt
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import (
    AnyType,
    ColSpec,
    ContractError,
    Schema,
    TableNotFoundError,
    TensorSpec,
    UnsupportedError,
)
from sparksig.scoring import splits as planning
from sparksig.scoring.splits import plan_splits
from sparksig.tables import footers
from sparksig.tables.layout import Layout, read_layout
from sparksig.tables.parquet import open_parquet
from tests.scoring.helpers import of_numbers, plan, read, save, score, write


@pytest.fixture
def without_least_size(monkeypatch):
    """Divide small tables, too."""
    monkeypatch.setattr(planning, "_FEWEST_BYTES", 1)


def groups_of(splits):
    return [
        (piece.name, group, rows)
        for split in splits
        for piece in split.pieces
        for group, rows in zip(piece.groups, piece.counts)
    ]


@pytest.mark.usefixtures("without_least_size")
@pytest.mark.parametrize("cores", [1, 2, 5])
def test_each_row_group_is_in_one_split_in_order(tmp_path, cores):
    source = write(tmp_path, of_numbers(100), of_numbers(1), of_numbers(0), of_numbers(57), row_group_size=10)
    table, _, scan = plan(source, save(tmp_path))
    splits = plan_splits(table, scan, cores)
    expected = [
        (file.name, group, rows) for file in table.files for group, rows in enumerate(file.groups) if rows
    ]
    assert groups_of(splits) == expected
    assert [split.index for split in splits] == list(range(len(splits)))
    assert sum(split.rows for split in splits) == 158
    assert len(splits) >= min(2 * cores, len(expected))


@pytest.mark.usefixtures("without_least_size")
def test_splits_are_balanced_by_bytes(tmp_path):
    source = write(tmp_path, *(of_numbers(rows) for rows in (9000, 1000, 1000, 1000, 9000, 9000)))
    table, _, scan = plan(source, save(tmp_path))
    sizes = [split.size for split in plan_splits(table, scan, 2)]
    largest = max(size for file in table.files for size in file.layout.sizes)
    assert len(sizes) == 4
    assert max(sizes) <= sum(sizes) / 4 + largest


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=40), cores=st.integers(1, 8))
def test_no_split_exceeds_its_share_by_more_than_a_row_group(tmp_path_factory, sizes, cores):
    table, scan = _plan_one(tmp_path_factory)
    [file] = table.files
    laid_out = type(file)(
        file.path, file.name, file.schema, (1,) * len(sizes), {}, layout=Layout(sizes=tuple(sizes))
    )
    splits = plan_splits(type(table)(table.name, table.store, (laid_out,)), scan, cores)
    assert [group for _, group, _ in groups_of(splits)] == list(range(len(sizes)))
    assert all(split.pieces for split in splits)
    assert max(split.size for split in splits) <= sum(sizes) / len(splits) + max(sizes)


_PLANNED = []


def _plan_one(tmp_path_factory):
    if not _PLANNED:
        home = tmp_path_factory.mktemp("planned")
        table, _, scan = plan(write(home, of_numbers(1)), save(home))
        _PLANNED.append((table, scan))
    return _PLANNED[0]


def test_small_tables_are_one_split(tmp_path):
    table, _, scan = plan(write(tmp_path, of_numbers(1000), row_group_size=10), save(tmp_path))
    assert len(plan_splits(table, scan, 8)) == 1


def test_a_table_without_rows_is_one_split_without_row_groups(tmp_path):
    table, _, scan = plan(write(tmp_path, of_numbers(0), of_numbers(0)), save(tmp_path))
    [split] = plan_splits(table, scan, 4)
    assert split.pieces == ()


# --- partitions ---------------------------------------------------------------------------------------------


def partitioned(home, *values, name="p"):
    for index, value in enumerate(values):
        directory = home / "table" / f"{name}={value}"
        directory.mkdir(parents=True)
        pq.write_table(of_numbers(2, index), directory / "part.parquet")
    return home / "table"


def test_partition_times_are_local_times_of_the_zone(tmp_path):
    source = partitioned(tmp_path, "2024-07-01 12%3A00%3A00")
    table, _, scan = plan(source, save(tmp_path), zone="Europe/Berlin")
    [split] = plan_splits(table, scan, 1)
    value = split.pieces[0].partitions["p"].as_py()
    assert value == dt.datetime(2024, 7, 1, 10, tzinfo=value.tzinfo)


def test_a_partition_time_that_the_zone_lacks_is_left_to_spark(tmp_path):
    source = partitioned(tmp_path, "2024-03-31 02%3A30%3A00")
    table, _, scan = plan(source, save(tmp_path), zone="Europe/Berlin")
    with pytest.raises(
        UnsupportedError, match="the partition value 2024-03-31 02:30:00 is not exactly one local time"
    ):
        plan_splits(table, scan, 1)


def test_a_partition_column_without_values_is_left_to_spark(tmp_path):
    source = partitioned(tmp_path, "__HIVE_DEFAULT_PARTITION__")
    with pytest.raises(UnsupportedError, match="p has no value in any directory, and only Spark knows its"):
        plan(source, save(tmp_path), keep=["p"])


# --- tables that do not fit ---------------------------------------------------------------------------------


def test_all_findings_come_at_once(tmp_path):
    inputs = Schema([ColSpec("double", "x"), ColSpec("double", "y"), ColSpec("long", "z")])
    source = write(tmp_path, pa.table({"x": ["a"], "y": [1], "prediction": [1]}))
    with pytest.raises(ContractError, match="4 findings") as info:
        plan(source, save(tmp_path, inputs=inputs))
    assert [finding.path for finding in info.value.findings] == ["x", "y", "z", "prediction"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["a"]}, "a: expected a column to keep, got no such column"),
        ({"keep": "x"}, 'expected a list of names, or "\\*", got a single string'),
        ({"output": "ID"}, "ID: expected no kept column of the output's name"),
        (
            {"flatten": True},
            "flatten=True needs a model with several outputs; the predictions of this model are double",
        ),
        ({"columns": ["x"]}, "this model's columns have names"),
    ],
    ids=["missing", "single string", "taken", "flatten", "columns"],
)
def test_names_that_cannot_be(tmp_path, options, message):
    with pytest.raises(ContractError, match=message):
        plan(write(tmp_path, of_numbers(1)), save(tmp_path), **options)


def test_files_that_differ_in_needed_columns_are_refused(tmp_path):
    other = pa.table({"id": ["a"], "x": [1.0]})
    source, model = write(tmp_path, of_numbers(1), other), save(tmp_path)
    with pytest.raises(
        ContractError, match=r"id: expected int64 as in part-000.parquet, got string in part-001"
    ):
        plan(source, model)
    plan(source, model, keep=["x"])


def test_columns_of_a_model_without_names_are_chosen(tmp_path):
    inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 1))])
    source, model = write(tmp_path, of_numbers(1)), save(tmp_path, inputs=inputs)
    assert plan(source, model, columns=["x"])[2].model_columns == ("x",)
    with pytest.raises(ContractError, match="columns: expected a list of names"):
        plan(source, model, columns="x")
    with pytest.raises(ContractError, match="y: expected a column of the table"):
        plan(source, model, columns=["y"])


# --- tables that are left to Spark --------------------------------------------------------------------------


def test_predictions_of_any_are_left_to_spark(tmp_path):
    model = save(tmp_path, outputs=Schema([ColSpec(AnyType(), "p", required=False)]))
    with pytest.raises(UnsupportedError, match="predictions are variants, which only Spark writes"):
        plan(write(tmp_path, of_numbers(1)), model)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.time32("s")),
        pa.array([1], pa.duration("us")),
        pa.array(np.array([1.0], "float16")),
        pa.array([[1]], pa.list_(pa.duration("us"))),
        pa.array([{"a": 1}], pa.struct([("a", pa.time64("us"))])),
    ],
    ids=lambda array: str(array.type),
)
def test_types_that_spark_reads_as_others_are_left_to_spark(tmp_path, array):
    source = write(tmp_path, pa.table({"x": [1.0], "c": array}))
    with pytest.raises(UnsupportedError, match=r"^c\S* is \S+, which only Spark reads as Spark does"):
        plan(source, save(tmp_path))


SPARK_2 = {"org.apache.spark.version": "2.4.8"}
SPARK_3 = {"org.apache.spark.version": "3.5.9"}
LEGACY = {**SPARK_3, "org.apache.spark.legacyDateTime": ""}
LEGACY_96 = {**SPARK_3, "org.apache.spark.legacyINT96": ""}
OLD, NEW = dt.datetime(1500, 1, 1), dt.datetime(1990, 1, 1)


def write_times(home, metadata, value, *, int96=False, **options):
    table = pa.table({"x": [1.0, 2.0], "t": pa.array([value, None], pa.timestamp("us"))})
    (home / "table").mkdir()
    file = home / "table" / "part.parquet"
    with pq.ParquetWriter(
        file, table.schema, use_deprecated_int96_timestamps=int96, store_schema=False, **options
    ) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(table)
    return home / "table"


@pytest.mark.parametrize("metadata", [SPARK_2, LEGACY], ids=["Spark 2", "legacy mode"])
def test_ancient_times_of_the_old_calendar_are_left_to_spark(tmp_path, metadata):
    source, model = write_times(tmp_path, metadata, OLD), save(tmp_path)
    with pytest.raises(
        UnsupportedError, match=r"^t holds ancient dates of the calendar that Spark used before"
    ):
        plan(source, model)
    plan(source, model, keep=["x"])  # which needs none of them


def test_times_without_statistics_may_be_ancient(tmp_path):
    source = write_times(tmp_path, SPARK_2, NEW, write_statistics=False)
    with pytest.raises(UnsupportedError, match=r"^t holds ancient dates"):
        plan(source, save(tmp_path))


@pytest.mark.parametrize(
    ("metadata", "value"),
    [({}, OLD), (SPARK_3, OLD), (SPARK_2, NEW), (LEGACY, NEW)],
    ids=["not Spark", "Spark 3", "Spark 2, not ancient", "legacy mode, not ancient"],
)
def test_times_of_the_calendar_of_today_are_read(tmp_path, metadata, value):
    plan(write_times(tmp_path, metadata, value), save(tmp_path))


@pytest.mark.parametrize("metadata", [SPARK_2, LEGACY_96], ids=["Spark 2", "legacy mode"])
def test_int96_of_the_old_calendar_is_left_to_spark(tmp_path, metadata):
    source = write_times(tmp_path, metadata, NEW, int96=True)
    with pytest.raises(UnsupportedError, match=r"^t holds INT96 timestamps of the calendar"):
        plan(source, save(tmp_path))


def test_int96_is_an_instant(tmp_path):
    source = write_times(tmp_path, SPARK_3, NEW, int96=True)
    _, _, scan = plan(source, save(tmp_path))
    assert scan.source.field("t").type == pa.timestamp("us", "UTC")


def test_int96_in_a_struct_is_an_instant(tmp_path):
    struct = pa.array([{"a": NEW}], pa.struct([("a", pa.timestamp("us"))]))
    source = write(tmp_path, pa.table({"x": [1.0], "s": struct}), use_deprecated_int96_timestamps=True)
    score(tmp_path, source, save(tmp_path), time_zone="Asia/Tokyo")
    assert read(tmp_path)["s"][0].as_py() == {"a": NEW.replace(tzinfo=dt.timezone.utc)}


def test_nulls_among_lists_of_a_fixed_size_are_left_to_spark(tmp_path):
    lists = pa.array([[1, 2], None], pa.list_(pa.int32(), 2))
    source = write(tmp_path, pa.table({"x": [1.0, 2.0], "v": lists}))
    with pytest.raises(UnsupportedError, match=r"^v holds nulls among lists of a fixed size"):
        plan(source, save(tmp_path))


def test_the_layout_has_the_bytes_of_row_groups(tmp_path):
    [file] = open_parquet(write(tmp_path, of_numbers(20), row_group_size=10)).files
    assert len(file.layout.sizes) == 2
    assert all(size > 80 for size in file.layout.sizes)


def test_reading_a_layout_is_linear_in_columns(tmp_path):
    def cpu_seconds(columns):
        path = tmp_path / f"{columns}.parquet"
        pq.write_table(pa.table({f"c{number}": [0.5] for number in range(columns)}), path)
        reader = pq.ParquetFile(path)
        started = time.process_time()
        layout = read_layout(reader.metadata, reader.schema_arrow)
        assert (len(layout.sizes), layout.reasons) == (1, {})
        return time.process_time() - started

    cpu_seconds(100)
    assert cpu_seconds(10_000) < 10 * cpu_seconds(2_500) + 0.1  # 16 times as long if it were quadratic


# --- footers ------------------------------------------------------------------------------------------------


def count_reads(monkeypatch):
    """Return a list that grows with each footer that is read."""
    reads = []
    original = footers.read_layout
    monkeypatch.setattr(footers, "read_layout", lambda *arguments: reads.append(1) or original(*arguments))
    return reads


def test_footers_are_read_once_inside_a_run(tmp_path, monkeypatch):
    source = write(tmp_path, of_numbers(3), of_numbers(3, 3))
    reads = count_reads(monkeypatch)
    with footers.share_footers():
        first, second = open_parquet(source), open_parquet(source)
    assert len(reads) == 2
    assert first == second
    open_parquet(source)
    assert len(reads) == 4


def test_a_file_that_changes_is_read_again(tmp_path, monkeypatch):
    source = write(tmp_path, of_numbers(3), of_numbers(3, 3))
    reads = count_reads(monkeypatch)
    with footers.share_footers():
        open_parquet(source)
        write(tmp_path, of_numbers(5))
        assert open_parquet(source).rows == 8
    assert len(reads) == 3


def test_footers_of_many_files_are_read_by_processes(tmp_path, monkeypatch):
    source = write(tmp_path, *(of_numbers(1, start) for start in range(7)))
    expected = open_parquet(source)
    reads = count_reads(monkeypatch)
    monkeypatch.setattr(footers, "_MANY_FILES", 6)
    monkeypatch.setattr(footers, "_CHUNK_FILES", 3)
    monkeypatch.setattr(footers, "count_cores", lambda: 2)
    with footers.share_footers():
        table = open_parquet(source)
        assert open_parquet(source) == table == expected
    assert reads == []
    assert len({id(file.schema) for file in table.files}) == 1


def test_a_damaged_file_among_many_is_reported(tmp_path, monkeypatch):
    source = write(tmp_path, *(of_numbers(1, start) for start in range(4)))
    (source / "part-002.parquet").write_bytes(b"nothing")
    monkeypatch.setattr(footers, "_MANY_FILES", 2)
    monkeypatch.setattr(footers, "_CHUNK_FILES", 2)
    monkeypatch.setattr(footers, "count_cores", lambda: 2)
    with pytest.raises(TableNotFoundError, match=r"part-002.parquet is not a Parquet file"):
        open_parquet(source)


def test_files_of_one_schema_share_it(tmp_path):
    for day in (1, 2):
        (tmp_path / "table" / f"day={day}").mkdir(parents=True)
        pq.write_table(of_numbers(3), tmp_path / "table" / f"day={day}" / "part.parquet")
    first, second = open_parquet(tmp_path / "table").files
    assert first.schema is second.schema
    assert first.metadata is second.metadata
    assert first.schema.names == ["id", "x", "day"]
