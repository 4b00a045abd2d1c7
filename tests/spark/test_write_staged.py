"""Parquet tables are replaced and extended by renames: nothing is lost, and no writer disturbs another."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

import sparksig
from sparksig import OutputRefusedError
from sparksig.writing import moves, staged

pytestmark = [pytest.mark.spark, pytest.mark.once, pytest.mark.xdist_group("spark")]

SOURCES = {
    "path": lambda spark, path: spark.read.parquet(path),
    "schema and filter": lambda spark, path: spark.read.schema("id bigint").parquet(path).where("id > 0"),
    "union": lambda spark, path: spark.range(3).union(spark.read.parquet(path)),
    "join": lambda spark, path: spark.range(3).join(spark.read.parquet(path), "id", "left"),
    "subquery": lambda spark, path: spark.sql(
        f"select id from range(3) where id in (select id from parquet.`{path}`)"
    ),
    "file": lambda spark, path: spark.read.parquet(path + "/*.parquet"),
    "cache": lambda spark, path: spark.read.parquet(path).cache(),
    "view": lambda spark, path: _name(spark, "read_view", spark.read.parquet(path)),
    "view of a view": lambda spark, path: _name(
        spark, "outer_view", _name(spark, "read_view", spark.read.parquet(path)).where("id > 0")
    ),
    "cached view": lambda spark, path: _name(spark, "read_view", spark.read.parquet(path).cache()),
    "no rows": lambda spark, path: spark.read.parquet(path).where("false"),
    "scalar subquery": lambda spark, path: spark.sql(f"select (select max(id) from parquet.`{path}`) as id"),
    "common table expression": lambda spark, path: spark.sql(
        f"with old as (select id from parquet.`{path}`) select * from old union all select * from old"
    ),
}


def _name(spark, name, df):
    """Return a DataFrame as the view of a name."""
    df.createOrReplaceTempView(name)
    return spark.table(name)


@pytest.fixture
def table(spark, tmp_path):
    path = str(tmp_path / "a table")
    sparksig.write(spark.range(5), path)
    return path


@pytest.fixture(scope="module")
def read_table(spark, tmp_path_factory):
    """A table that no test changes."""
    path = tmp_path_factory.mktemp("read") / "a table"
    sparksig.write(spark.range(5), str(path))
    return path


def ids(spark, path):
    return sorted(row.id for row in spark.read.parquet(path).collect())


def hidden_directories(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.fixture
def nothing_cached(spark):
    yield
    spark.catalog.clearCache()


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_table_that_the_dataframe_reads_is_not_a_target(spark, read_table, source, mode):
    table = str(read_table)
    df = source(spark, table)
    (finding,) = sparksig.plan_write(df, table, mode=mode).findings
    assert "the DataFrame reads files of the target" in str(finding)
    files = sorted((path, path.stat().st_mtime_ns) for path in read_table.iterdir())
    with pytest.raises(OutputRefusedError, match="write to another path, and rename it afterwards"):
        sparksig.write(df, table, mode=mode)
    assert sorted((path, path.stat().st_mtime_ns) for path in read_table.iterdir()) == files


@pytest.mark.parametrize("name", ["read_table", "kept_view"], ids=["table", "view"])
def test_tables_and_views_of_the_catalog_are_resolved(spark, table, name):
    spark.sql("drop table if exists read_table")
    spark.sql(f"create table read_table using parquet location '{table}'")
    spark.sql("create or replace view kept_view as select * from read_table where id > 0")
    try:
        for df in (spark.table(name), spark.sql(f"select * from {name}")):
            with pytest.raises(OutputRefusedError, match="reads files of the target"):
                sparksig.write(df, table, mode="overwrite")
    finally:
        spark.sql("drop view kept_view")
        spark.sql("drop table read_table")


def test_readers_of_the_second_api_are_looked_through(spark, table):
    spark.conf.set("spark.sql.sources.useV1SourceList", "")
    try:
        df = spark.read.parquet(table)
    finally:
        spark.conf.unset("spark.sql.sources.useV1SourceList")
    with pytest.raises(OutputRefusedError, match="reads files of the target"):
        sparksig.write(df, table, mode="overwrite")


@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
@pytest.mark.parametrize(
    ("source", "target"),
    [("t/k=0", "t"), ("t", "t/k=0"), ("t", "t/k=2"), ("t", "t"), ("empty", "empty"), ("empty", "empty/new")],
)
def test_paths_in_the_source_and_around_it_are_no_targets(spark, tmp_path, source, target, mode):
    spark.range(4).selectExpr("id", "id % 2 as k").write.partitionBy("k").parquet(f"{tmp_path}/t")
    spark.range(0).write.parquet(f"{tmp_path}/empty")
    df = spark.read.parquet(f"{tmp_path}/{source}").select("id")
    plan = sparksig.plan_write(df, f"{tmp_path}/{target}", mode=mode)
    assert "the DataFrame reads files of the target" in str(plan)


@pytest.mark.parametrize("link", ["source", "target"])
def test_a_link_to_the_source_is_no_target(spark, table, tmp_path, link):
    (tmp_path / "link").symlink_to(table)
    source, target = (tmp_path / "link", table) if link == "source" else (table, tmp_path / "link")
    plan = sparksig.plan_write(spark.read.parquet(str(source)), target, mode="overwrite")
    assert "the DataFrame reads files of the target" in str(plan)


def test_table_beside_the_one_that_is_read_is_a_target(spark, table):
    assert sparksig.write(spark.read.parquet(table), f"{table} 2").rows == 5
    assert sparksig.write(spark.read.parquet(table), f"{table} 2", mode="overwrite").rows == 5


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_failed_write_keeps_the_rows_and_leaves_nothing(spark, table, tmp_path, mode):
    broken = spark.range(0, 100, 1, 4).selectExpr("if(id = 90, raise_error('no more rows'), id) as id")
    with pytest.raises(Exception, match="no more rows"):
        sparksig.write(broken, table, mode=mode)
    assert ids(spark, table) == [0, 1, 2, 3, 4]
    assert hidden_directories(tmp_path) == []


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_failed_publication_keeps_the_rows_and_leaves_nothing(spark, table, tmp_path, mode, monkeypatch):
    calls = []

    def fail(self, target, move=staged.HadoopPath.move_file_to):
        calls.append(target)
        if len(calls) == 3:
            raise OSError("the disk is full")
        move(self, target)

    monkeypatch.setattr(staged.HadoopPath, "move_file_to", fail)
    monkeypatch.setattr(
        moves, "_exchange", lambda source, other: (_ for _ in ()).throw(OSError("the disk is full"))
    )
    with pytest.raises(OSError, match="the disk is full"):
        sparksig.write(spark.range(0, 100, 1, 4), table, mode=mode)
    assert ids(spark, table) == [0, 1, 2, 3, 4]
    assert hidden_directories(tmp_path) == []


def test_readers_see_the_old_table_until_the_new_one_is_complete(spark, table):
    def count_rows(batches):
        import pathlib

        import pyarrow.parquet as pq

        for _ in batches:
            files = pathlib.Path(table).glob("*.parquet")
            rows = sum(pq.read_metadata(file).num_rows for file in files)
            yield pa.record_batch([pa.array([rows])], ["id"])

    sparksig.write(spark.range(0, 1, 1, 1).mapInArrow(count_rows, "id bigint"), table, mode="overwrite")
    assert ids(spark, table) == [5]


@pytest.mark.parametrize("can_exchange", [True, False], ids=["exchange", "two renames"])
def test_overwrite_replaces_the_table(spark, table, tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(moves, "_exchange", lambda source, other: False)
    cached = spark.read.parquet(table).cache()
    assert cached.count() == 5
    assert sparksig.write(spark.range(7), table, mode="overwrite").rows == 7
    assert ids(spark, table) == list(range(7))
    assert spark.read.parquet(table).count() == 7  # the cache of the old files is not used any more
    assert hidden_directories(tmp_path) == []
    cached.unpersist()


def test_old_table_comes_back_where_the_second_rename_fails(spark, table, tmp_path, monkeypatch):
    moved = []

    def fail(self, target, move=staged.HadoopPath.move_to):
        moved.append(target)
        if len(moved) == 2:
            raise OSError("the disk is gone")
        move(self, target)

    monkeypatch.setattr(moves, "_exchange", lambda source, other: False)
    monkeypatch.setattr(staged.HadoopPath, "move_to", fail)
    with pytest.raises(OutputRefusedError, match="another writer is replacing this table"):
        sparksig.write(spark.range(7), table, mode="overwrite")
    assert ids(spark, table) == [0, 1, 2, 3, 4]
    assert hidden_directories(tmp_path) == []


def test_object_stores_copy_file_by_file(spark, table, tmp_path, monkeypatch):
    monkeypatch.setattr(staged.HadoopPath, "renames_at_once", False)
    assert sparksig.write(spark.range(3), table, mode="append").rows == 3
    assert ids(spark, table) == [0, 0, 1, 1, 2, 2, 3, 4]
    assert sparksig.write(spark.range(2), table, mode="overwrite").rows == 2
    assert ids(spark, table) == [0, 1]
    assert sparksig.write(spark.range(2), tmp_path / "new").rows == 2
    assert hidden_directories(tmp_path) == []


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_writers_at_the_same_time_never_mix(spark, table, tmp_path, mode):
    barrier, results = threading.Barrier(3), {}

    def write(first):
        df = spark.range(first, first + 300, 1, 3)
        barrier.wait(60)
        try:
            results[first] = sparksig.write(df, table, mode=mode).rows
        except OutputRefusedError:
            results[first] = 0

    writers = [threading.Thread(target=write, args=(first,)) for first in (1_000, 2_000, 3_000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    landed = [first for first, rows in sorted(results.items()) if rows == 300]
    tables = {first: list(range(first, first + 300)) for first in landed}
    if mode == "append":
        assert ids(spark, table) == [0, 1, 2, 3, 4, *(row for rows in tables.values() for row in rows)]
    else:
        assert ids(spark, table) in tables.values()
    assert hidden_directories(tmp_path) == []


def test_of_writers_of_one_run_one_lands(spark, tmp_path):
    barrier, results = threading.Barrier(3), []

    def write():
        df = spark.range(0, 30, 1, 3)
        barrier.wait(60)
        written = sparksig.write(df, tmp_path / "t", mode="append", run_id="night")
        results.append((written.rows, written.repeated))

    sparksig.write(spark.range(1), tmp_path / "t", mode="append", run_id="before")
    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert sorted(results) == [(0, True), (0, True), (30, False)]
    assert spark.read.parquet(str(tmp_path / "t")).where(F.col("run_id") == "night").count() == 30


def test_rows_are_counted_in_the_files(spark, tmp_path):
    df = spark.range(0, 10, 1, 3).selectExpr("id", "id % 3 as part")
    written = sparksig.write(df, tmp_path / "t", partition_by=["part"])
    assert written.rows == 10
    assert len(list((tmp_path / "t").rglob("*.parquet"))) >= 3
