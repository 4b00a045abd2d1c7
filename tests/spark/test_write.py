"""Checked writes: the dry run, the check, the rows, another run of the same name; real Spark and Delta."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import types as T

import sparksig
from sparksig import Array, Code, ColSpec, ContractError, Object, OutputRefusedError, Property, Schema
from sparksig.convert.spark import to_source
from sparksig.writing.target import can_hold, can_widen

FORMATS = ["parquet", "delta"]


@pytest.fixture(params=FORMATS)
def form(request):
    if request.param == "delta":
        request.getfixturevalue("delta")
    return request.param


def rows(spark, form, path):
    return sorted(map(tuple, spark.read.format(form).load(str(path)).collect()), key=repr)


def verdicts(plan):
    return {column.path: column.verdict for column in plan.columns}


def files(path):
    return {
        str(value.relative_to(path)): value.stat().st_mtime_ns
        for value in Path(path).rglob("*")
        if value.is_file()
    }


CONTRACT = Schema(
    [
        ColSpec("long", "id"),
        ColSpec("double", "x", False),
        ColSpec(Array(Object([Property("price", "double")])), "orders", False),
    ]
)
GOOD = "select id, double(id) as x, array(named_struct('price', double(id))) as orders from range(4)"


# --- new tables -------------------------------------------------------------------------------------------


def test_a_new_table_has_the_rows_and_remembers_its_contract(spark, form, tmp_path):
    df = spark.sql(GOOD)
    written = sparksig.write(df, tmp_path / "t", CONTRACT, format=form)
    assert (written.rows, written.repeated, written.plan.exists) == (4, False, False)
    assert rows(spark, form, tmp_path / "t") == sorted(map(tuple, df.collect()), key=repr)
    again = sparksig.check(df, tmp_path / "t")
    assert again.ok
    wrong = sparksig.check(spark.sql("select null as id, 'a' as x"), tmp_path / "t")
    assert [finding.path for finding in wrong.findings] == ["id", "x", "orders"]
    assert [column.expected for column in wrong.columns] == [
        "bigint not null", "double", "array<struct<price:double>>"
    ]  # fmt: skip


def test_what_breaks_the_contract_is_not_written_at_all(spark, form, tmp_path):
    df = spark.sql("select nullif(id, 3) as id, double(id) as x from range(4)")
    with pytest.raises(ContractError, match=r"id: expected long without nulls, got nulls, once") as error:
        sparksig.write(df, tmp_path / "t", CONTRACT, format=form)
    assert [finding.code for finding in error.value.findings] == [Code.NULL_IN_REQUIRED]
    assert not (tmp_path / "t").exists()


def test_types_that_do_not_fit_are_refused_before_any_job(spark, form, tmp_path, jobs_started):
    df = spark.sql("select string(id) as id, x from (select id, float(id) as x from range(4))")
    before = jobs_started()
    with pytest.raises(OutputRefusedError, match=r"nothing was written: 1 finding\n  - id: expected long"):
        sparksig.write(df, str(tmp_path / "t"), CONTRACT, format=form)
    if form == "parquet":
        assert jobs_started() == before
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("contract", "times"), [(None, 1), (Schema([ColSpec("long", "id")]), 2)], ids=["no contract", "contract"]
)
def test_rows_without_a_contract_are_read_once(spark, form, tmp_path, contract, times):
    """Without a contract, the table is computed while it is written, and counted."""
    reads = spark.sparkContext.accumulator(0)

    def seen(batches):
        for batch in batches:
            reads.add(len(batch))
            yield batch

    df = spark.range(0, 5, 1, 2).mapInPandas(seen, "id bigint")
    written = sparksig.write(df, tmp_path / "t", contract, format=form, mode="append")
    assert (written.rows, reads.value) == (5, 5 * times)
    assert written.report.ok
    assert written.report.rows == (None if times == 1 else 5)


def test_something_there_is_left_as_it_is(spark, form, tmp_path):
    sparksig.write(spark.range(3).toDF("id"), tmp_path / "t", "id bigint", format=form)
    before = files(tmp_path / "t")
    with pytest.raises(OutputRefusedError, match=r"expected nothing at the target, got a table"):
        sparksig.write(spark.range(3).toDF("id"), tmp_path / "t", "id bigint", format=form)
    assert files(tmp_path / "t") == before


def test_a_table_without_rows_is_a_table(spark, form, tmp_path):
    written = sparksig.write(spark.range(0).toDF("id"), tmp_path / "t", "id bigint not null", format=form)
    assert written.rows == 0
    assert spark.read.format(form).load(str(tmp_path / "t")).columns == ["id"]


def test_overwriting_replaces_all_rows(spark, form, tmp_path):
    for count in (3, 2):
        sparksig.write(spark.range(count).toDF("id"), tmp_path / "t", format=form, mode="overwrite")
    assert rows(spark, form, tmp_path / "t") == [(0,), (1,)]


# --- appending --------------------------------------------------------------------------------------------

TARGET = (
    "id bigint, x double, d decimal(12,2), s struct<a: bigint, b: string>, l array<double>, t timestamp_ntz"
)


def make(spark, form, path, ddl=TARGET, **properties):
    writer = spark.createDataFrame([], ddl).write.format(form)
    writer.save(str(path))
    for key, value in properties.items():
        spark.sql(f"alter table delta.`{path}` set tblproperties('delta.{key}' = '{value}')")


def test_columns_are_widened_to_the_targets_types_and_no_further(spark, form, tmp_path):
    make(spark, form, tmp_path / "t")
    df = spark.sql(
        "select int(1) as id, float(0.5) as x, decimal(1.25) as d, 7 as extra, "
        "named_struct('b', 'y', 'a', int(2)) as s, array(float(1.5), null) as l, date'2024-01-02' as t"
    ).drop("extra")
    plan = sparksig.plan_write(df, tmp_path / "t", format=form, mode="append", types="lossless")
    assert verdicts(plan) == {
        "id": "widened", "x": "widened", "d": "widened", "s": "widened", "s.a": "widened", "l": "widened",
        "l[]": "widened", "t": "widened",
    }  # fmt: skip
    sparksig.write(df, tmp_path / "t", format=form, mode="append", types="lossless")
    [row] = spark.read.format(form).load(str(tmp_path / "t")).collect()
    assert (row["id"], row["x"], str(row["d"]), tuple(row["s"])) == (1, 0.5, "1.00", (2, "y"))
    assert (row["l"], row["t"]) == ([1.5, None], dt.datetime(2024, 1, 2))


def test_each_column_that_would_lose_something_is_named_and_nothing_is_written(spark, form, tmp_path):
    make(spark, form, tmp_path / "t")
    before = files(tmp_path / "t")
    df = spark.sql(
        "select double(1) as id, 1L as x, decimal(1.255) as d, 'x' as s, array('1') as l, "
        "timestamp'2024-01-01' as t"
    )
    with pytest.raises(OutputRefusedError) as error:
        sparksig.write(df, tmp_path / "t", format=form, mode="append", types="lossless")
    assert [finding.path for finding in error.value.findings] == ["id", "x", "s", "l[]", "t"]
    assert files(tmp_path / "t") == before


def test_names_are_the_same_to_the_letter(spark, form, tmp_path):
    make(spark, form, tmp_path / "t", "id bigint, s struct<a: bigint>")
    df = spark.sql("select 1L as ID, named_struct('A', 1L) as s")
    plan = sparksig.plan_write(df, tmp_path / "t", format=form, mode="append")
    assert {"ID": "refused", "s.A": "refused"}.items() <= verdicts(plan).items()
    assert "the target calls it id" in str(plan)


def test_what_a_table_lacks_is_null_where_it_may_be(spark, form, tmp_path):
    make(spark, form, tmp_path / "t", "id bigint, s struct<a: bigint, b: string>, x double")
    df = spark.sql("select 1L as id, named_struct('a', 2L) as s")
    with pytest.raises(OutputRefusedError) as error:
        sparksig.write(df, tmp_path / "t", format=form, mode="append")
    assert [finding.path for finding in error.value.findings] == ["s.b", "x"]
    sparksig.write(df, tmp_path / "t", format=form, mode="append", missing="allow")
    assert rows(spark, form, tmp_path / "t") == [(1, T.Row(a=2, b=None), None)]


def test_new_columns_are_refused_or_evolve(spark, form, tmp_path):
    make(spark, form, tmp_path / "t", "id bigint, s struct<a: bigint>")
    df = spark.sql("select 1L as id, named_struct('a', 2L, 'b', 'n') as s, 'n' as more")
    with pytest.raises(OutputRefusedError) as error:
        sparksig.write(df, tmp_path / "t", format=form, mode="append")
    assert sorted(finding.path for finding in error.value.findings) == ["more", "s.b"]
    if form == "parquet":
        with pytest.raises(OutputRefusedError, match=r"readers of Parquet would ignore it"):
            sparksig.write(df, tmp_path / "t", format=form, mode="append", evolve=True)
        return
    sparksig.write(df, tmp_path / "t", format=form, mode="append", evolve=True)
    assert rows(spark, form, tmp_path / "t") == [(1, T.Row(a=2, b="n"), "n")]


# --- the same run again ------------------------------------------------------------------------------------


def test_a_run_that_is_started_again_writes_nothing_twice(spark, form, tmp_path):
    by_run = {"run-1": 3, "run-2": 2}
    for run, count in [*by_run.items(), *by_run.items(), ("run-1", 3)]:
        df = spark.range(count).selectExpr("id", f"'{run}' as run")
        written = sparksig.write(df, tmp_path / "t", format=form, mode="append", run_id=run)
        assert written.rows == (0 if written.repeated else count)
    content = spark.read.format(form).load(str(tmp_path / "t")).select("id", "run")
    assert sorted(map(tuple, content.collect())) == [
        (i, run) for i in range(3) for run in by_run if i < by_run[run]
    ]


def test_a_parquet_table_that_keeps_no_runs_apart_takes_no_run(spark, tmp_path):
    make(spark, "parquet", tmp_path / "t", "id bigint")
    sparksig.write(spark.range(1).toDF("id"), tmp_path / "t", mode="append")
    text = r"partition_by: expected no partitions, got run_id \(the table was written without run ids: append"
    with pytest.raises(OutputRefusedError, match=text):
        sparksig.write(spark.range(1).toDF("id"), tmp_path / "t", mode="append", run_id="r")
    sparksig.write(spark.range(1).toDF("id"), tmp_path / "u", mode="append", run_id="r")
    with pytest.raises(OutputRefusedError, match=r"the table is partitioned by run ids: pass run_id"):
        sparksig.write(spark.range(1).toDF("id"), tmp_path / "u", mode="append")


def test_partitions_are_those_of_the_table(spark, form, tmp_path):
    df = spark.range(4).selectExpr("id", "id % 2 as part")
    sparksig.write(df, tmp_path / "t", format=form, partition_by=["part"])
    assert {path.name for path in (tmp_path / "t").glob("part=*")} == {"part=0", "part=1"}
    with pytest.raises(OutputRefusedError, match=r"partition_by: expected partitions by part, got id"):
        sparksig.write(df, tmp_path / "t", format=form, mode="append", partition_by=["id"])
    with pytest.raises(OutputRefusedError, match=r"prat: expected a column to partition by"):
        sparksig.write(df, tmp_path / "u", format=form, partition_by=["prat"])


def test_a_partitioned_table_is_appended_to(spark, form, tmp_path):
    """Spark reads the types of Parquet's partitions off the names of their directories: 0 is an int."""
    df = spark.range(4).selectExpr("id", "id % 2 as part", "string(id) as day")
    for run in ("1", "2", "1"):
        sparksig.write(
            df, tmp_path / "t", format=form, mode="append", partition_by=["part", "day"], run_id=run
        )
    content = spark.read.format(form).load(str(tmp_path / "t"))
    assert content.count() == 8
    assert sorted(map(tuple, content.selectExpr("id", "int(part)", "int(day)").distinct().collect())) == [
        (i, i % 2, i) for i in range(4)
    ]


def test_run_that_the_table_has_is_not_written_again(spark, form, tmp_path):
    options = {"format": form, "mode": "append", "run_id": "r7", "partition_by": ["part"]}
    first = spark.range(4).selectExpr("id", "id % 2 as part")
    assert sparksig.write(first, tmp_path / "t", **options).rows == 4
    for again in (first, first.where("part = 0"), first.where("false")):
        written = sparksig.write(again, tmp_path / "t", **options)
        assert (written.rows, written.repeated) == (0, True)
    assert spark.read.format(form).load(str(tmp_path / "t")).count() == 4


def test_run_without_rows_is_written(spark, tmp_path):
    sparksig.write(spark.range(3).toDF("id"), tmp_path / "t", mode="append", run_id="r7")
    written = sparksig.write(spark.range(0).toDF("id"), tmp_path / "t", mode="append", run_id="r8")
    assert (written.rows, written.repeated) == (0, False)
    assert spark.read.parquet(str(tmp_path / "t")).count() == 3


def test_an_overwrite_replaces_all_files_for_each_session_setting(spark, form, tmp_path):
    df = spark.range(4).selectExpr("id", "id % 2 as part")
    sparksig.write(df, tmp_path / "t", format=form, partition_by=["part"])
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    try:
        sparksig.write(
            df.where("part = 0"), tmp_path / "t", format=form, mode="overwrite", partition_by=["part"]
        )
    finally:
        spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    assert spark.read.format(form).load(str(tmp_path / "t")).count() == 2


def test_a_delta_table_is_not_taken_for_parquet(delta, tmp_path):
    sparksig.write(delta.range(3).toDF("id"), tmp_path / "t", format="delta")
    for mode in ("overwrite", "append", "error"):
        with pytest.raises(OutputRefusedError, match=r"is a Delta table: format='delta'"):
            sparksig.write(delta.range(1).toDF("id"), tmp_path / "t", format="parquet", mode=mode)
    assert rows(delta, "delta", tmp_path / "t") == [(0,), (1,), (2,)]
    sparksig.write(delta.range(3).toDF("id"), tmp_path / "p")
    with pytest.raises(OutputRefusedError, match=r"has files and is not a Delta table"):
        sparksig.write(delta.range(1).toDF("id"), tmp_path / "p", format="delta", mode="append")


@pytest.mark.parametrize("mode", ["overwrite", "append", "error"])
@pytest.mark.parametrize("content", ["tables", "text"])
def test_a_directory_that_is_no_table_is_not_changed(spark, tmp_path, content, mode):
    if content == "tables":
        table = pa.table({"id": [0]})
        for name in ("a", "b"):
            (tmp_path / "t" / name).mkdir(parents=True)
            pq.write_table(table, tmp_path / "t" / name / "part.parquet")
    else:
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(OutputRefusedError, match=r"exists and is not a Parquet table"):
        sparksig.write(spark.range(1).toDF("id"), tmp_path / "t", mode=mode)
    assert files(tmp_path) == before


@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
def test_empty_directory_is_no_table(spark, tmp_path, mode):
    (tmp_path / "t").mkdir()
    assert sparksig.write(spark.range(1).toDF("id"), tmp_path / "t", mode=mode).rows == 1
    assert spark.read.parquet(str(tmp_path / "t")).count() == 1


def test_empty_texts_are_no_partitions(spark, form, tmp_path):
    df = spark.sql("select 1 as id, '' as part")
    with pytest.raises(ContractError, match=r"part: expected texts that are not empty"):
        sparksig.write(df, tmp_path / "t", format=form, partition_by=["part"])


def test_keys_of_maps_are_not_converted(spark, form, tmp_path):
    make(spark, form, tmp_path / "t", "m map<bigint, double>")
    df = spark.sql("select map(1, 2.5F) as m")
    with pytest.raises(OutputRefusedError, match=r"keys of maps are not converted"):
        sparksig.write(df, tmp_path / "t", format=form, mode="append")
    df = spark.sql("select map(1L, 2.5F) as m")
    sparksig.write(df, tmp_path / "t", format=form, mode="append", types="lossless")
    assert rows(spark, form, tmp_path / "t") == [({1: 2.5},)]


def test_the_contract_stays_with_a_table_that_has_more(spark, tmp_path):
    df = spark.range(2).selectExpr("id", "id % 2 as part", "'x' as more")
    contract = Schema([ColSpec("long", "id")])
    sparksig.write(df, tmp_path / "t", contract, mode="append", run_id="r", partition_by=["part"])
    other = spark.sql("select bigint(null) as id, 0 as part, 'x' as more")
    report = sparksig.check(other, tmp_path / "t", "full")
    assert [(finding.code, finding.path) for finding in report.findings] == [(Code.NULL_IN_REQUIRED, "id")]
    plain = spark.read.parquet(str(tmp_path / "t"))
    sparksig.write(plain.selectExpr("nullif(id, 1) as id"), tmp_path / "u")
    sparksig.write(plain.select("id"), tmp_path / "v")
    assert sparksig.check(spark.sql("select bigint(null) as id"), tmp_path / "v", "full").ok


def test_an_overwritten_delta_table_keeps_its_schema_or_evolves(delta, tmp_path):
    make(delta, "delta", tmp_path / "t", "id bigint, x double")
    other = delta.sql("select '1' as id, 2 as y")
    with pytest.raises(OutputRefusedError) as error:
        sparksig.write(other, tmp_path / "t", format="delta", mode="overwrite")
    assert sorted(finding.path for finding in error.value.findings) == ["id", "x", "y"]
    narrower = delta.sql("select 1 as id, 2F as x")
    sparksig.write(narrower, tmp_path / "t", format="delta", mode="overwrite", types="lossless")
    assert rows(delta, "delta", tmp_path / "t") == [(1, 2.0)]
    sparksig.write(other, tmp_path / "t", format="delta", mode="overwrite", evolve=True)
    assert rows(delta, "delta", tmp_path / "t") == [("1", 2)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version", "2"),
        ("mapreduce.fileoutputcommitter.algorithm.version", "2"),
    ],
)
def test_unsafe_committers_are_refused_with_the_reason(spark, tmp_path, key, value):
    spark.conf.set(key, value)
    try:
        with pytest.raises(OutputRefusedError, match=r"so that a failed job leaves files"):
            sparksig.write(spark.range(1), tmp_path / "t")
    finally:
        spark.conf.unset(key)
    assert not (tmp_path / "t").exists()


# --- Delta's own ------------------------------------------------------------------------------------------


def test_delta_tables_read_the_same_by_another_library(delta, tmp_path):
    deltalake = pytest.importorskip("deltalake")
    df = delta.sql(GOOD)
    sparksig.write(df, tmp_path / "t", CONTRACT, format="delta", run_id="one")
    sparksig.write(df, tmp_path / "t", CONTRACT, format="delta", mode="append", run_id="one")
    table = deltalake.DeltaTable(tmp_path / "t")
    content = table.to_pyarrow_table().sort_by("id").to_pylist()
    assert content == [row.asDict(recursive=True) for row in df.orderBy("id").collect()]
    assert table.version() == 0


def test_constraints_of_a_delta_table_are_seen_before_it_is_written(delta, tmp_path):
    path = tmp_path / "t"
    delta.sql(f"create table delta.`{path}` (id bigint not null, name varchar(3), x double) using delta")
    delta.sql(f"alter table delta.`{path}` add constraint positive check (x > 0)")
    before = files(path)
    df = delta.sql(
        "select nullif(id, 1) as id, if(id = 2, 'long name', 'ok') as name, double(id) - 1 as x from range(5)"
    )
    with pytest.raises(ContractError) as error:
        sparksig.write(df, path, format="delta", mode="append")
    findings = {(finding.code, finding.path): finding.count for finding in error.value.findings}
    assert findings == {
        (Code.NULL_IN_REQUIRED, "id"): 1,
        (Code.OUT_OF_RANGE, "name"): 1,
        (Code.INVALID_VALUE, ""): 2,
    }
    assert files(path) == before
    good = delta.sql("select 1L as id, 'abc' as name, double(2) as x")
    assert sparksig.write(good, path, format="delta", mode="append").rows == 1
    with pytest.raises(
        OutputRefusedError, match=r"id: expected bigint, got no such column \(the target requires it"
    ):
        sparksig.write(good.drop("id"), path, format="delta", mode="append")


def test_delta_widens_its_column_only_where_the_table_lets_it(delta, tmp_path):
    path = tmp_path / "t"
    make(delta, "delta", path, "id int, x float")
    df = delta.sql("select 4294967296 as id, double(0.1) as x")
    with pytest.raises(OutputRefusedError, match=r"it needs the property delta\.enableTypeWidening=true"):
        sparksig.write(df, path, format="delta", mode="append", evolve=True)
    delta.sql(f"alter table delta.`{path}` set tblproperties('delta.enableTypeWidening' = 'true')")
    with pytest.raises(OutputRefusedError, match=r"evolve=True widens the target"):
        sparksig.write(df, path, format="delta", mode="append")
    assert sparksig.write(df, path, format="delta", mode="append", evolve=True).rows == 1
    assert rows(delta, "delta", path) == [(2**32, 0.1)]


def test_a_delta_table_by_its_name(delta, tmp_path):
    delta.sql("drop table if exists written")
    try:
        assert sparksig.write(delta.range(3).toDF("id"), "written", "id bigint", format="delta").rows == 3
        assert sparksig.write(delta.range(2).toDF("id"), "written", mode="append").rows == 2
        assert delta.table("written").count() == 5
        assert sparksig.check(delta.range(1).toDF("id"), "written").ok
    finally:
        delta.sql("drop table if exists written")


# --- rules, by values -------------------------------------------------------------------------------------

WHOLE = [T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType()]
EDGES = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
DECIMALS = [
    T.DecimalType(p, s) for p, s in [(3, 0), (5, 0), (9, 0), (10, 0), (18, 0), (19, 0), (20, 2), (38, 10)]
]


@pytest.mark.parametrize(
    "target", [*WHOLE, T.FloatType(), T.DoubleType(), *DECIMALS], ids=lambda dtype: dtype.simpleString()
)
@pytest.mark.parametrize("source_type", WHOLE, ids=lambda dtype: dtype.simpleString())
def test_a_type_can_hold_another_if_its_edges_survive(spark, source_type, target):
    """Cast there and back: the largest and the smallest value, and the first that floats round."""
    name, bits = source_type.simpleString(), EDGES[source_type.simpleString()]
    values = [2**bits - 1, -(2**bits), *(2**at + 1 for at in (24, 53) if at < bits)]
    cast = "cast('{}' as {})"
    back = [
        f"try_cast(try_cast({cast.format(value, name)} as {target.simpleString()}) as {name}) "
        f"<=> {cast.format(value, name)}"
        for value in values
    ]
    survive = all(spark.sql("select " + ", ".join(back)).first())
    if isinstance(target, T.FloatType):
        survive = False  # the casting table has no integers as floats, not even small ones
    assert can_hold(target, source_type) == survive


SCALARS = [
    *WHOLE,
    T.FloatType(),
    T.DoubleType(),
    T.DateType(),
    T.TimestampNTZType(),
    T.StringType(),
    *DECIMALS,
]


@pytest.mark.parametrize("declared", SCALARS, ids=lambda dtype: dtype.simpleString())
def test_a_type_that_delta_can_widen_to_holds_all_values(declared):
    wider = [
        dtype for dtype in SCALARS if dtype != declared and can_widen(to_source(declared), to_source(dtype))
    ]
    assert [dtype for dtype in wider if not can_hold(dtype, declared)] == []


# --- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "csv"}, r"format: expected one of 'parquet', 'delta', got 'csv'"),
        ({"mode": "upsert"}, r"mode: expected one of 'error', 'append', 'overwrite', got 'upsert'"),
        ({"run_id": "a b"}, r"run_id must have at most 200 letters, digits"),
        ({"partition_by": "id"}, r"partition_by: expected a list of names, got a text\. Pass \['id'\]"),
        ({"target": 7}, r"target: expected a path or the name of a table, got a value of type int"),
        (
            {"target": "name"},
            r"there is no table 'name'\. Pass format='delta' to create it",
        ),
        ({"target": "/d/t[1]"}, r"/d/t\[1\]: Spark reads \*, \?, \[, \], \{ and \} as a pattern"),
        (
            {"target": "./t", "format": "delta"},
            r"target: expected an absolute path for Delta, got a relative one\. Pass /\S+/t$",
        ),
        ({"df": 7}, r"expected a Spark DataFrame, got a value of type int"),
    ],
    ids=str,
)
def test_invalid_arguments_are_reported(spark, tmp_path, change, text):
    arguments = {"df": spark.range(1), "target": str(tmp_path / "t"), **change}
    with pytest.raises(ContractError, match=text):
        sparksig.write(arguments.pop("df"), arguments.pop("target"), **arguments)


def test_case_twins_are_not_written(spark, tmp_path):
    df = spark.sql("select 1 as a, 2 as A")
    with pytest.raises(OutputRefusedError, match=r"A: expected one column of that name, got several"):
        sparksig.write(df, tmp_path / "t")


def test_the_plan_reads_as_text(spark, tmp_path):
    make(spark, "parquet", tmp_path / "t", "id bigint, x double")
    df = spark.sql("select 1 as id, 'a' as x")
    plan = sparksig.plan_write(df, tmp_path / "t", mode="append", types="lossless")
    where = os.fspath(tmp_path / "t")
    assert str(plan).splitlines() == [
        f"append to {where} (parquet, which exists)",
        "  id: widened, int -> bigint",
        "  x: refused, string -> double (the target's type cannot represent it: cast explicitly)",
        "  - x: expected double, got string "
        "(the target's type cannot represent it: cast explicitly) [TYPE_MISMATCH]",
    ]
    assert not plan.ok


def test_parquet_keeps_the_contract_in_its_own_metadata(spark, tmp_path):
    sparksig.write(spark.range(1).toDF("id").coalesce(1), tmp_path / "t", Schema([ColSpec("long", "id")]))
    [file] = (tmp_path / "t").glob("*.parquet")
    assert b"sparksig.column" in pq.read_schema(file).metadata[b"org.apache.spark.sql.parquet.row.metadata"]
