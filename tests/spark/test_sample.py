"""Samples: bounded, spread over the table, the same for the same seed, and exact about their evidence."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparksig import (
    Array,
    ColSpec,
    ContractError,
    InferenceError,
    Map,
    Object,
    Property,
    Sampler,
    Schema,
    SparkMLVector,
    check,
    sample_signature,
)
from sparksig.tables.arrow import Part
from sparksig.tables.sample import METHODS, Sample, compute_detection_probability
from sparksig.tables.spark import build_sample_order

ROOT = Path(__file__).parents[2]
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


def ids(sample):
    return sample.rows.column("id").to_pylist()


# --- which rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_takes_the_same_rows_and_another_takes_others(spark, method):
    df = spark.range(0, 1000, 1, 8)
    first, again = (Sampler(rows=40, partitions=4, seed=7, method=method).sample(df) for _ in range(2))
    assert ids(first) == ids(again)
    assert first.partition_of == again.partition_of
    assert len(set(ids(first))) == 40
    other = Sampler(rows=40, partitions=4, seed=8, method=method).sample(df)
    assert ids(other) != ids(first)


CORES = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from pyspark.sql import SparkSession
from sparksig import Sampler
builder = SparkSession.builder.master(sys.argv[2])
for key, value in json.loads(sys.argv[3]).items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
df = spark.range(0, 1200, 1, 12)
found = {}
for method in ("partitions", "uniform"):
    rows = Sampler(rows=60, partitions=6, seed=5, method=method).sample(df).rows
    found[method] = rows.column("id").to_pylist()
spark.stop()
sys.stdout.write("got " + json.dumps(found) + "\\n")
"""
QUIET = {
    "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false", "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}  # fmt: skip


def application(source, folder, *arguments, **extra):
    """Return the result of a separate application."""
    inherited = ("JAVA_HOME", "LANG", "LC_ALL", "TMPDIR", "PATH")
    environment = {name: os.environ[name] for name in inherited if name in os.environ} | {
        "HOME": str(folder), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1", **extra,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", source, str(ROOT), *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("got ")]
    return json.loads(line.removeprefix("got "))


def test_the_number_of_cores_makes_no_difference(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        masters = ["local[1]", "local[3]"]
        one, three = pool.map(lambda master: application(CORES, tmp_path, master, json.dumps(QUIET)), masters)
    assert one == three
    assert one["partitions"] != one["uniform"]
    assert {len(rows) for rows in one.values()} == {60}


@pytest.mark.parametrize(
    ("rows", "partitions", "expected", "opened"),
    [(10, 5, 10, 5), (3, 8, 3, 3), (1, 32, 1, 1), (25, 10, 20, 10), (10_000, 32, 80, 16)],
)
def test_the_bounds_on_rows_and_partitions_hold(spark, rows, partitions, expected, opened):
    df = spark.range(0, 80, 1, 16)
    sample = Sampler(rows=rows, partitions=partitions).sample(df)
    assert sample.rows.num_rows <= rows
    assert sample.rows.num_rows == expected
    assert len(set(sample.partition_of)) <= partitions
    assert (sample.partitions, sample.opened) == (16, opened)
    assert len(sample.partition_of) == sample.rows.num_rows
    assert [number // 5 for number in ids(sample)] == list(sample.partition_of)


@pytest.mark.parametrize("rows", [1, 7, 80, 1000])
def test_a_uniform_sample_has_as_many_rows_as_asked_or_as_there_are(spark, rows):
    sample = Sampler(rows=rows, method="uniform").sample(spark.range(0, 80, 1, 16))
    assert sample.rows.num_rows == min(rows, 80)
    assert len(set(ids(sample))) == min(rows, 80)
    assert (sample.partition_of, sample.partitions, sample.opened) == ((), None, 0)


def test_a_sample_of_partitions_is_spread_over_the_table():
    chosen = [Sampler(partitions=8, seed=seed).choose_partitions(64) for seed in range(1000)]
    assert all(ids == sorted(set(ids)) and len(ids) == 8 for ids in chosen)
    counts = np.bincount(np.concatenate(chosen), minlength=64)
    expected = 1000 * 8 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # chi square, 63 degrees of freedom


def test_little_is_read_of_a_large_table(spark, jobs_started):
    """Each block of 100 rows that Spark makes leaves a mark in the JVM, before Python is given any."""
    mark, properties = f"mark.{uuid.uuid4().hex}.", spark._jvm.java.lang.System
    key = f"concat('{mark}', string(id div 100))"
    df = spark.range(0, 100_000_000, 1, 1000).selectExpr(
        "id", f"java_method('java.lang.System', 'setProperty', {key}, '') as marked"
    )
    try:
        sample = Sampler().sample(df)
        assert jobs_started() <= 2
        names = properties.getProperties().stringPropertyNames().toArray()
        marks = [name for name in names if name.startswith(mark)]
    finally:
        for name in list(properties.getProperties().stringPropertyNames().toArray()):
            if name.startswith(mark):
                properties.clearProperty(name)
    assert sample.rows.num_rows == 32 * (10_000 // 32)
    assert len(set(sample.partition_of)) == sample.opened == 32
    assert sample.rows.num_rows <= 100 * len(marks) < 1_000_000


def test_at_most_two_jobs_after_a_shuffle_with_adaptive_execution(spark, jobs_started):
    spark.conf.set("spark.sql.adaptive.enabled", "true")
    try:
        df = spark.range(0, 1000, 1, 4).repartition(7)
        assert Sampler().sample(df).rows.num_rows == 1000
    finally:
        spark.conf.set("spark.sql.adaptive.enabled", "false")
    assert jobs_started() <= 2


@pytest.mark.parametrize("method", METHODS)
def test_the_sessions_settings_are_restored(spark, method):
    before = spark.conf.get(BATCH)
    spark.conf.set(BATCH, "77")
    try:
        Sampler(method=method).sample(spark.range(10))
        assert spark.conf.get(BATCH) == "77"
        failing = spark.range(3).select(F.raise_error(F.lit("oops")).cast("int").alias("id"))
        with pytest.raises(Exception, match=r"oops"):
            Sampler(method=method).sample(failing)
        assert spark.conf.get(BATCH) == "77"
    finally:
        spark.conf.set(BATCH, before)


def test_a_session_that_refuses_settings_is_sampled(spark, monkeypatch):
    def refuse(conf, key, value):
        raise RuntimeError(f"the setting {key} cannot be changed")

    monkeypatch.setattr(type(spark.conf), "set", refuse)
    report = check(spark.range(0, 5000, 1, 2), "id bigint not null", "sample")
    assert report.ok


def test_a_uniform_choice_needs_no_python(spark):
    """The rows are chosen in the JVM: Python is given those that were chosen, and no others."""
    df = spark.range(0, 50_000, 1, 4)
    sample = Sampler(rows=10, method="uniform").sample(df)
    assert sample.rows.num_rows == 10
    ordered = df.withColumn("p", F.monotonically_increasing_id())
    ordered = ordered.orderBy(build_sample_order(F.col("p"), F.lit(0)), "p").limit(10)
    assert "Python" not in ordered._jdf.queryExecution().executedPlan().toString()
    assert ids(sample) == [row.id for row in ordered.collect()]


# --- claims of a sample -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "opened", "concerned"), [(1000, 32, 50), (100, 10, 5), (40, 32, 2)])
def test_the_stated_probability_is_that_of_a_simulation(groups, opened, concerned):
    seeds = 1000
    bad = set(np.random.default_rng(groups).choice(groups, concerned, replace=False).tolist())
    hits = sum(
        bool(bad & set(Sampler(partitions=opened, seed=s).choose_partitions(groups))) for s in range(seeds)
    )
    stated = compute_detection_probability(groups, opened, concerned)
    assert abs(hits / seeds - stated) < 4 * math.sqrt(stated * (1 - stated) / seeds) + 1e-9


def test_the_stated_probability_at_its_ends():
    assert compute_detection_probability(10, 0, 1) == 0.0
    assert compute_detection_probability(10, 1, 0) == 0.0
    assert compute_detection_probability(10, 10, 1) == 1.0
    assert compute_detection_probability(10, 6, 5) == 1.0
    assert compute_detection_probability(1, 1, 1) == 1.0
    assert compute_detection_probability(4, 1, 1) == pytest.approx(0.25)
    assert compute_detection_probability(1_000_000, 32, 50_000) == pytest.approx(1 - 0.95**32, abs=1e-4)


def sample_of(rows, method, partitions=None, opened=0):
    batch = pa.record_batch([pa.array(range(rows), pa.int64())], ["id"])
    return Sample((Part(batch),), batch.schema, method, partitions, opened)


def test_the_claim_of_partitions():
    sample = sample_of(9984, "partitions", 1000, 32)
    assert sample.claim(0) == (
        "9,984 rows, the first of each of 32 of 1,000 partitions: a problem in the first rows of 5% of the "
        "partitions is found with a probability of 81%; nothing is known about single rows elsewhere"
    )


@pytest.mark.parametrize("groups", [20, 140, 280, 1000, 2300])
def test_the_claim_speaks_of_no_more_than_five_percent(groups):
    """0.05 * 140 is a little more than 7: the next whole number would promise too much."""
    sample = sample_of(1, "partitions", groups, 3)
    assert (
        f"a probability of {compute_detection_probability(groups, 3, -(-groups // 20)):.0%};"
        in sample.claim(0)
    )


def test_what_is_not_certain_is_not_called_so():
    sample = sample_of(1, "partitions", 1000, 200)
    assert compute_detection_probability(1000, 200, 50) < 1
    assert "100%" not in sample.claim(0)


def test_the_claims_of_uniform_samples():
    def claim(rows, bad):
        return sample_of(rows, "uniform").claim(bad)

    assert claim(0, 0) == "the table has no rows"
    assert claim(1000, 0) == (
        "none of 1,000 rows, chosen uniformly, breaks the contract: with 95 % confidence at most 0.30% of "
        "the table's rows do"
    )
    assert "at most 100.00% of" in claim(2, 0)
    assert claim(1000, 20) == (
        "20 of 1,000 rows, chosen uniformly, break the contract, or more: about 2.00% of the table"
    )


def test_the_bound_of_a_uniform_sample_is_right(spark):
    """1,000 seeds in one job: of tables just above the bound 95 % of the samples show a bad row."""
    rows, size, seeds = 1000, 60, 1000
    bad = math.ceil(3 / size * rows) + 1
    table = spark.range(0, rows, 1, 2).select(F.monotonically_increasing_id().alias("place"), "id")
    each = table.crossJoin(F.broadcast(spark.range(0, seeds, 1, 1).withColumnRenamed("id", "seed")))
    smallest = F.array_sort(F.collect_list(F.struct(build_sample_order(F.col("place"), F.col("seed")), "id")))
    chosen = each.groupBy("seed").agg(F.slice(smallest, 1, size).alias("s"))
    counts = chosen.select(F.size(F.filter("s", lambda entry: entry["id"] < bad)).alias("head"), F.expr(
        "transform(s, x -> x.id)"
    ).alias("ids")).collect()  # fmt: skip
    missed = sum(row["head"] == 0 for row in counts)
    assert len(counts) == seeds
    assert missed / seeds <= 0.05
    assert missed > 0  # the bound is as small as possible
    shares = np.array([row["head"] for row in counts]) / size
    assert abs(shares.mean() - bad / rows) < 4 * shares.std() / math.sqrt(seeds)
    counts_by_row = np.bincount(np.concatenate([row["ids"] for row in counts]), minlength=rows)
    expected = seeds * size / rows
    statistic = ((counts_by_row - expected) ** 2 / expected).sum() / (1 - size / rows)
    assert abs(statistic - (rows - 1)) < 5 * math.sqrt(2 * (rows - 1))  # each row as likely as any other


@pytest.mark.parametrize("seed", [0, 3, -5])
def test_the_sample_of_a_seed_is_that_of_the_simulation(spark, seed):
    df = spark.range(0, 200, 1, 2)
    place = df.withColumn("place", F.monotonically_increasing_id())
    expected = place.orderBy(build_sample_order(F.col("place"), F.lit(seed))).limit(5).collect()
    sample = Sampler(rows=5, seed=seed, method="uniform").sample(df)
    assert ids(sample) == [row.id for row in expected]


# --- edges ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_tables_of_no_rows_of_empty_partitions_and_of_one_row(spark, method):
    sampler = Sampler(method=method)
    none = spark.createDataFrame(spark.sparkContext.emptyRDD(), "id bigint, s string")
    for df in (none, spark.range(0, 0, 1, 3).selectExpr("id", "string(id) as s")):
        sample = sampler.sample(df)
        assert (sample.rows.num_rows, sample.rows.column_names) == (0, ["id", "s"])
        assert sample.rows.schema.types == [pa.int64(), pa.string()]
        assert sample.claim(0)
    gaps = spark.range(0, 40, 1, 8).where("id >= 35")
    assert sorted(ids(sampler.sample(gaps))) == list(range(35, 40))
    assert ids(sampler.sample(spark.range(1))) == [0]


@pytest.mark.parametrize("method", METHODS)
def test_a_table_without_columns_is_refused(spark, method):
    with pytest.raises(ContractError, match=r"^a table without columns has no rows to sample$"):
        Sampler(method=method).sample(spark.range(0, 5, 1, 2).select())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1, -1])
def test_any_integer_of_64_bits_is_a_seed(spark, method, seed):
    assert Sampler(rows=3, seed=seed, method=method).sample(spark.range(0, 9, 1, 2)).rows.num_rows <= 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rows": 0}, r"^rows: expected an integer of 1 or more, got 0$"),
        ({"rows": 1.0}, r"^rows: expected an integer of 1 or more, got 1\.0$"),
        ({"rows": True}, r"^rows: expected an integer of 1 or more, got True$"),
        ({"partitions": -1}, r"^partitions: expected an integer of 1 or more, got -1$"),
        ({"seed": None}, r"^seed: expected an integer, got None$"),
        ({"seed": "0"}, r"^seed: expected an integer, got a value of type str$"),
        ({"seed": 2**63}, r"^seed: expected an integer of 64 bits, got a larger one$"),
        ({"seed": -(2**63) - 1}, r"^seed: expected an integer of 64 bits, got a larger one$"),
        ({"method": "head"}, r"^method: expected 'partitions' or 'uniform', got 'head'$"),
    ],
)
def test_arguments_of_a_sampler(arguments, text):
    with pytest.raises(ContractError, match=text):
        Sampler(**arguments)


# --- signatures -------------------------------------------------------------------------------------------


def test_a_signature_of_a_sample(spark):
    df = spark.sql(
        "select 1L as id, 'x' as s, named_struct('k', 1L, 'o', 'x') as o, "
        "array(named_struct('k', 1L, 'o', 1D)) as l, map('a', named_struct('k', 1L)) as m "
        "union all select 2L, null, named_struct('k', bigint(null), 'o', 'x'), "
        "array(named_struct('k', 2L, 'o', double(null)), null), map('a', named_struct('k', bigint(null))) "
        "union all select 3L, 'x', null, array(), map()"
    ).coalesce(1)
    sampled = sample_signature(df)

    def of(*properties):
        return Object([Property(name, dtype, required) for name, dtype, required in properties])

    assert sampled.signature.inputs == Schema([
        ColSpec("long", "id"),
        ColSpec("string", "s", False),
        # a null struct makes all of its fields optional
        ColSpec(of(("k", "long", False), ("o", "string", False)), "o", False),
        ColSpec(Array(of(("k", "long", False), ("o", "double", False))), "l"),
        ColSpec(Map(of(("k", "long", False))), "m"),
    ])  # fmt: skip
    assert [(column.name, column.rows, column.nulls, column.partitions) for column in sampled.evidence] == [
        ("id", 3, 0, 1), ("s", 3, 1, 1), ("o", 3, 1, 1), ("l", 3, 0, 1), ("m", 3, 0, 1),
    ]  # fmt: skip
    assert str(sampled).splitlines()[:2] == [
        "'id': long (required): 0 nulls in 3 rows of 1 partition",
        "'s': string (optional): 1 null in 3 rows of 1 partition",
    ]
    assert check(df, sampled.signature, "full").ok
    uniform = sample_signature(df, Sampler(method="uniform"))
    assert uniform.signature == sampled.signature
    assert [evidence.partitions for evidence in uniform.evidence] == [None] * 5
    assert str(uniform).splitlines()[0] == "'id': long (required): 0 nulls in 3 rows"


def test_lists_of_one_length_suggest_a_tensor(spark):
    df = spark.sql(
        "select array(1D, 2D) as two, array(array(1), array(2)) as deep, array(1L) as some, "
        "array('x') as texts, array(1D, null) as holes, array(1F) as gone"
        " union all select array(3D, 4D), array(array(3), array(4)), array(1L, 2L), array('y'), "
        "array(1D, 2D), null"
    ).coalesce(1)
    suggestions = {evidence.name: evidence.suggestion for evidence in sample_signature(df).evidence}
    assert suggestions == {
        "two": "all lists have one length: it may be a 'two': Tensor('float64', (-1, 2))",
        "deep": "all lists have one length: it may be a 'deep': Tensor('int32', (-1, 2, 1))",
        "some": "", "texts": "", "holes": "", "gone": "",
    }  # fmt: skip
    assert str(sample_signature(df)).splitlines()[0] == (
        "'two': Array(double) (required): 0 nulls in 2 rows of 1 partition "
        "(all lists have one length: it may be a 'two': Tensor('float64', (-1, 2)))"
    )


def test_a_vector_has_a_signature(spark):
    df = spark.createDataFrame([(Vectors.dense([1.0, 2.0]),), (None,)], ["v"])
    assert sample_signature(df).signature.inputs == Schema([ColSpec(SparkMLVector(), "v", False)])


def test_an_empty_table_keeps_the_nullability_of_its_schema(spark):
    """Without a row there is no evidence that there are no nulls: as the table's own schema has it."""
    df = spark.sql("select id, nullif(id, 0) as x from range(0)")
    sampled = sample_signature(df)
    assert [spec.required for spec in sampled.signature.inputs] == [True, False]


def test_tables_that_have_no_signature(spark):
    with pytest.raises(ContractError, match=r"^expected a Spark DataFrame, got None: create one"):
        sample_signature(None)
    with pytest.raises(InferenceError, match=r"(?s)^no signature for this Spark schema: 2 findings\n.*a.*b"):
        sample_signature(spark.sql("select interval 1 day as a, interval 1 month as b, 1 as c"))
    with pytest.raises(InferenceError):
        sample_signature(spark.sql("select 1 as a, 2 as a"))
    with pytest.raises(ContractError, match="the table has no columns"):
        sample_signature(spark.range(3).select())


def test_names_that_differ_in_case_alone(spark):
    assert sample_signature(spark.sql("select 1 as a, 2 as A")).signature.inputs.input_names() == ["a", "A"]


def test_a_column_of_the_samplers_own_names(spark):
    df = spark.sql("select id as `sparksig place`, id as `sparksig order` from range(3)")
    sample = Sampler(method="uniform").sample(df)
    assert sample.rows.column_names == ["sparksig place", "sparksig order"]
    assert sorted(sample.rows.column(0).to_pylist()) == [0, 1, 2]


# --- Spark Connect ----------------------------------------------------------------------------------------

CONNECT = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sparksig import ColSpec, Sampler, Schema, check, sample_signature, split
builder = SparkSession.builder.remote("local[2]")
for key, value in json.loads(sys.argv[2]).items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
spark.conf.set(BATCH, "77")
df = spark.range(0, 200, 1, 8).withColumn("x", F.when(F.col("id") != 150, F.col("id")))
contract = Schema([ColSpec("long", "id"), ColSpec("long", "x")])
found = {"connect": type(df).__module__.startswith("pyspark.sql.connect")}
for mode in ("schema", "full", "sample"):
    report = check(df, contract, mode, row_key="id")
    said = [[str(one.code), one.path, one.count] for one in report.findings]
    found[mode] = [said, report.rows, report.bad_rows, [list(keys) for keys in report.examples.values()]]
for method in ("partitions", "uniform"):
    sampler = Sampler(rows=12, partitions=4, seed=3, method=method)
    sample = sampler.sample(df)
    found[method] = [sample.rows.column("id").to_pylist(), sample.partitions, sample.opened]
empty = spark.range(0, 200, 1, 8).where("id >= 190")
found["gaps"] = [Sampler().sample(empty).rows.num_rows, Sampler().sample(empty).partitions]
found["split"] = [part.count() for part in split(df, contract)]
found["signature"] = str(sample_signature(df)).splitlines()
found["ddl"] = check(df, "id bigint, x bigint").ok
found["batch"] = spark.conf.get(BATCH)
spark.stop()
sys.stdout.write("got " + json.dumps(found) + "\\n")
"""


@pytest.mark.skipif(
    importlib.util.find_spec("grpc") is None, reason="pyspark is installed without its extra connect"
)
def test_on_spark_connect(spark, tmp_path):
    # any free port; otherwise all servers ask for the same one
    result = application(CONNECT, tmp_path, json.dumps(QUIET), SPARK_TESTING="1")
    df = spark.range(0, 200, 1, 8)
    finding = ["NULL_IN_REQUIRED", "x", 1]
    assert result.pop("connect")
    assert result.pop("schema") == [[], None, None, []]
    assert result.pop("full") == [[finding], 200, 1, [["id=150"]]]
    assert result.pop("sample") == [[finding], 200, 1, [["id=150"]]]
    for method in METHODS:
        sample = Sampler(rows=12, partitions=4, seed=3, method=method).sample(df)
        assert result.pop(method) == [ids(sample), sample.partitions, sample.opened]
    assert result.pop("gaps") == [10, 8]
    assert result.pop("split") == [199, 1]
    assert result.pop("signature") == [
        "'id': long (required): 0 nulls in 200 rows of 8 partitions",
        "'x': long (optional): 1 null in 200 rows of 8 partitions",
    ]
    assert result.pop("ddl")
    assert result.pop("batch") == "77"
    assert result == {}
