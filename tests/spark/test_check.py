"""check(df, contract) in its three modes, violations() and split(); real Spark, session in New York."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql import types as T

import sparksig
from sparksig import (
    AnyType,
    Array,
    ColSpec,
    ContractError,
    Map,
    ModelError,
    ModelSignature,
    Object,
    Property,
    Sampler,
    Schema,
    SparkMLVector,
    TensorSpec,
    check,
    split,
    violations,
)
from sparksig.errors import TableNotFoundError, UnsupportedError
from tests.spark import models

ALL_ROWS = Sampler(rows=1000, method="uniform")


def schema(**columns):
    """A schema of columns: types, or their names, optional where these end in "?"."""
    return Schema([_spec(dtype, name) for name, dtype in columns.items()])


def _spec(dtype, name):
    if isinstance(dtype, str):
        return ColSpec(dtype.rstrip("?"), name, not dtype.endswith("?"))
    return ColSpec(dtype, name)


def of(**properties):
    return Object([Property(s.name, s.type, s.required) for s in schema(**properties)])


def tensor(dtype, shape, name=None):
    return Schema([TensorSpec(np.dtype(dtype), shape, name)])


def summarize(findings):
    return sorted((str(finding.code), finding.path, finding.count) for finding in findings)


def rows_of(spark, *selects):
    return spark.sql(" union all ".join(f"select {one}" for one in selects)).coalesce(1)


# --- the rules, by all rows and by a sample of all rows ---------------------------------------------------

NULL, RANGE, MISSING, SHAPE, VALUE = (
    "NULL_IN_REQUIRED", "OUT_OF_RANGE", "MISSING_FIELD", "SHAPE_MISMATCH", "INVALID_VALUE",
)  # fmt: skip
NAN, FAR = "double('NaN')", "timestamp_ntz'9999-12-31 00:00:00'"
NONE = "cast(null as timestamp_ntz)"
ITEMS = of(k="long", s="string")

RULES = {
    "required scalars": (
        schema(a="long", b="string", c="boolean", d="double?"),
        ["1L as a, 'x' as b, true as c, 1D as d", "null, null, null, null", "null, 'x', true, 1D"],
        {},
        [(NULL, "a", 2), (NULL, "b", 1), (NULL, "c", 1)],
        2,
    ),
    "as a model takes them": (
        schema(a="long", b="string", c="boolean", d="integer", e=of(k="long", s="string")),
        ["1L as a, 'x' as b, true as c, 1 as d, named_struct('k', 1L, 's', 'x') as e",
         "null, null, null, null, named_struct('k', null, 's', null)", "1L, null, true, 1, null"],
        {"strict_nulls": False},
        [(NULL, "a", 1), (NULL, "c", 1), (NULL, "d", 1), (NULL, "e.k", 1)],
        1,
    ),
    "fields of structs, but not of absent ones": (
        schema(x=of(o=of(k="long", s="string"))),
        ["named_struct('o', named_struct('k', 1L, 's', 'x')) as x", "null",
         "named_struct('o', null)", "named_struct('o', named_struct('k', null, 's', null))"],
        {},
        [(NULL, "x", 1), (NULL, "x.o", 1), (NULL, "x.o.k", 1), (NULL, "x.o.s", 1)],
        3,
    ),
    "under arrays of arrays": (
        schema(x=Array(Array(ITEMS))),
        ["array(array(named_struct('k', 1L, 's', 'x')), array()) as x", "array(null, array(null))",
         "array(array(named_struct('k', null, 's', 'x'), named_struct('k', null, 's', null)))"],
        {},
        [(NULL, "x[][].k", 1), (NULL, "x[][].s", 1)],
        1,
    ),
    "under maps": (
        schema(x=Map(Array(ITEMS))),
        ["map('a', array(named_struct('k', 1L, 's', 'x'))) as x", "map()", "map('a', null)",
         "map('a', array(named_struct('k', 1L, 's', null)), 'b', array(named_struct('k', null, 's', 'x')))"],
        {},
        [(NULL, "x[][].k", 1), (NULL, "x[][].s", 1)],
        1,
    ),
    "NaN wherever numbers are": (
        schema(a="double?", b=Array("double"), c=Map("float"), d=of(e="double?"), f=Array(of(g="double?"))),
        ["1D as a, array(1D) as b, map('k', 1F) as c, named_struct('e', 1D) as d, "
         "array(named_struct('g', 1D)) as f",
         f"{NAN}, array({NAN}, 1D, {NAN}), map('k', float('NaN')), named_struct('e', {NAN}), "
         f"array(named_struct('g', {NAN}), named_struct('g', {NAN}))",
         "null, array(double(null)), map(), named_struct('e', double(null)), array()"],
        {"refuse_nan": True},
        [(VALUE, "a", 1), (VALUE, "b[]", 1), (VALUE, "c[]", 1), (VALUE, "d.e", 1), (VALUE, "f[].g", 1)],
        1,
    ),
    "NaN is a value, if nobody minds": (
        schema(a="double", b=Array("double")), [f"{NAN} as a, array({NAN}) as b"], {}, [], 0,
    ),
    "NaN in tensors and vectors": (
        Schema([TensorSpec(np.dtype("float64"), (-1, 2), "t")]),
        ["array(1D, 2D) as t", f"array(1D, {NAN})"], {"refuse_nan": True}, [(VALUE, "t[]", 1)], 1,
    ),
    "instants without a zone": (
        schema(t="datetime"),
        [f"timestamp_ntz'{wall}' as t" for wall in (
            "1677-09-21 00:12:43.145224", "1677-09-21 00:12:43.145225",
            "2262-04-11 23:47:16.854775", "2262-04-11 23:47:16.854776")],
        {},
        [(RANGE, "t", 2)],
        2,
    ),
    "instants, as a clock in New York shows them": (
        schema(t="datetime"),
        [f"timestamp'{wall}' as t" for wall in (
            "1677-09-21 00:12:43.145224", "1677-09-21 00:12:43.145225",
            "2262-04-11 23:47:16.854775", "2262-04-11 23:47:16.854776")],
        {},
        [(RANGE, "t", 2)],
        2,
    ),
    "dates": (
        schema(t="datetime"),
        [f"date'{day}' as t" for day in ("1677-09-21", "1677-09-22", "2262-04-11", "2262-04-12")],
        {},
        [(RANGE, "t", 2)],
        2,
    ),
    "instants at every depth": (
        schema(a=Array("datetime"), b=Map(Array("datetime")), c=of(t="datetime?"), d=Map("datetime")),
        [f"array({FAR}, {FAR}) as a, map('k', array({FAR})) as b, named_struct('t', {FAR}) as c, "
         f"named_struct('t', {FAR}) as d",
         f"array({NONE}), map(), named_struct('t', {NONE}), named_struct('t', {NONE})"],
        {},
        [(RANGE, "a[]", 1), (RANGE, "b[][]", 1), (RANGE, "c.t", 1), (RANGE, "d.t", 1)],
        1,
    ),
    "keys of maps that are objects": (
        schema(x=of(k="long", o="long?")),
        ["map('k', 1L, 'o', null) as x", "map('k', null)", "map('o', 1L)", "map()"],
        {},
        [(MISSING, "x.k", 2), (NULL, "x.k", 1)],
        3,
    ),
    "keys of maps that are objects, in arrays": (
        schema(x=Array(of(k="long"))),
        ["array(map('k', 1L), null) as x", "array(map('z', 1L), map('k', null), map('z', 1L))"],
        {},
        [(MISSING, "x[].k", 1), (NULL, "x[].k", 1)],
        1,
    ),
    "Any": (
        schema(x=AnyType()), ["array(1) as x", "null"], {}, [(NULL, "x", 1)], 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_the_rules_in_full_and_by_a_sample_of_all_rows(spark, jobs_started, name):
    contract, selects, options, expected, bad = RULES[name]
    df = rows_of(spark, *selects)
    report = check(df, contract, "full", **options)
    assert jobs_started() == 1
    assert summarize(report.findings) == sorted(expected)
    assert (report.rows, report.bad_rows) == (len(selects), bad)
    assert report.ok is (not expected)
    assert all(report.examples[index] for index, value in enumerate(report.findings) if value.count)
    sampled = check(df, contract, "sample", sampler=ALL_ROWS, **options)
    assert jobs_started() <= 3
    assert summarize(sampled.findings) == sorted(expected)
    assert (sampled.rows, sampled.bad_rows) == (len(selects), bad)


TENSORS = {
    "lengths": (
        tensor("float64", (-1, 2), "t"), ["array(1D, 2D) as t", "array(1D)", "array()"], [(SHAPE, "t", 2)],
    ),
    "null rows": (tensor("float64", (-1, 2), "t"), ["array(1D, 2D) as t", "null"], [(NULL, "t", 1)]),
    "nulls in floats are NaN": (tensor("float64", (-1, 2), "t"), ["array(1D, null) as t"], []),
    "nulls in integers": (
        tensor("int64", (-1, 2), "t"), ["array(1L, null) as t", "array(1L, 2L)"], [(NULL, "t[]", 1)],
    ),
    "rank 3, lengths": (
        tensor("float64", (-1, 2, 1), "t"),
        ["array(array(1D), array(2D)) as t", "array(array(1D), array(2D, 3D))", "array(array(1D))"],
        [(SHAPE, "t", 1), (SHAPE, "t[]", 1)],
    ),
    "rank 3, null lists": (
        tensor("float64", (-1, 2, 1), "t"), ["array(array(1D), null) as t"], [(NULL, "t[]", 1)],
    ),
    "scalars": (
        tensor("int64", (-1,), "t"), ["1L as t", "null"], [(NULL, "t", 1)],
    ),
    "without a name, of several columns": (
        tensor("int64", (-1, 2)), ["1L as a, 2L as b", "null, null"], [(NULL, "a", 1), (NULL, "b", 1)],
    ),
    "times": (
        tensor("datetime64[ns]", (-1, 1), "t"), [f"array({FAR}) as t"], [(RANGE, "t", None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_in_full(spark, name):
    contract, selects, expected = TENSORS[name]
    df = rows_of(spark, *selects)
    report = check(df, contract, "full")
    assert [finding[:2] for finding in summarize(report.findings)] == [
        finding[:2] for finding in sorted(expected)
    ]
    assert all(finding in summarize(report.findings) for finding in expected if finding[2] is not None)
    sampled = check(df, contract, "sample", sampler=ALL_ROWS)
    assert sampled.ok == report.ok


def test_lists_of_any_length_have_one_verdict(spark):
    df = rows_of(spark, "array(1D) as t", "array(1D, 2D)")
    contract = tensor("float64", (-1, -1), "t")
    assert check(df, contract, "full").ok == check(df, contract, "sample", sampler=ALL_ROWS).ok


def test_vectors(spark):
    dense, sparse = Vectors.dense([1.0, 2.0]), Vectors.sparse(2, [0], [1.0])
    df = spark.createDataFrame([(dense,), (sparse,), (Vectors.dense([1.0]),)], ["v"])
    assert summarize(check(df, tensor("float64", (-1, 2), "v"), "full").findings) == [(SHAPE, "v", 1)]
    assert check(df, schema(v=SparkMLVector()), "full").ok


@pytest.mark.parametrize("mode", ["full", "sample"])
@pytest.mark.parametrize(
    "contract", [schema(v=SparkMLVector()), tensor("float64", (-1, 2), "v")], ids=["vector", "tensor"]
)
def test_vectors_that_are_null(spark, contract, mode):
    df = spark.createDataFrame([(Vectors.dense([1.0, 2.0]),), (None,)], ["v"])
    assert summarize(check(df, contract, mode).findings) == [(NULL, "v", 1)]


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_vectors_with_nan(spark, mode):
    df = spark.createDataFrame([(Vectors.dense([float("nan")]),), (Vectors.dense([1.0]),)], ["v"])
    report = check(df, schema(v=SparkMLVector()), mode, refuse_nan=True)
    assert summarize(report.findings) == [(VALUE, "v[]", 1)]


@pytest.mark.parametrize("mode", ["full", "sample"])
@pytest.mark.parametrize("declared", [Map("long"), of(k="long")], ids=["map", "object"])
def test_duplicate_keys_in_a_map(frame_of, declared, mode):
    """No function of Spark makes such maps, but Parquet and Arrow hold them."""
    actual_type = pa.map_(pa.string(), pa.int64())
    df = frame_of(pa.table({"m": pa.array([[("k", 1), ("k", 2)], [("k", 1)]], actual_type)}))
    assert summarize(check(df, schema(m=declared), mode).findings) == [("DUPLICATE_NAME", "m", 1)]


# --- contracts --------------------------------------------------------------------------------------------


NAMED_INPUTS = schema(id="long", name="string?")
NAMED = ModelSignature(NAMED_INPUTS, schema(id="long", name="long"))


@pytest.fixture(scope="module")
def contracts(spark, tmp_path_factory):
    """The paths of a model and of a table that can be contracts, and a table in the catalog."""
    home = tmp_path_factory.mktemp("contracts")
    model = models.save_python(home / "model", models.Echo(), NAMED.inputs, NAMED.outputs)
    (home / "table").mkdir()
    table = pa.table({"id": pa.array([1], pa.int64()), "name": ["x"]})
    pq.write_table(table, home / "table" / "a.parquet")
    spark.sql("create table checked (id bigint, name string) using parquet")
    yield {"model": model, "table": str(home / "table")}
    spark.sql("drop table checked")


CONTRACTS = {  # the contract, its name in the report, and the limit of Spark jobs: one reads a footer
    "signature": (NAMED, "signature, inputs", 0),
    "schema": (NAMED_INPUTS, "schema", 0),
    "StructType": (T.StructType().add("id", "long", False).add("name", "string", True), "StructType", 0),
    "DDL": ("id bigint not null, name string", "DDL", 0),
    "DDL in another order": ("name string, id long", "DDL", 0),
    "model": ("{model}", "{model}, inputs", 0),
    "path of a model": (Path("{model}"), "{model}, inputs", 0),
    "table": ("{table}", "{table}", 1),
    "path of a table": (Path("{table}"), "{table}", 1),
    "URI of a table": ("file://{table}", "file://{table}", 1),
    "name of a table": ("checked", "checked", 0),
    "name with a database": ("default.checked", "default.checked", 0),
}


@pytest.mark.parametrize(("contract", "name", "jobs"), CONTRACTS.values(), ids=CONTRACTS)
def test_each_kind_of_contract_is_accepted_and_named(spark, contracts, jobs_started, contract, name, jobs):
    df = spark.sql("select 1L as id, 'x' as name")
    if isinstance(contract, str | Path):
        contract = type(contract)(str(contract).format(**contracts))
    report = check(df, contract)
    assert (report.contract, report.ok) == (name.format(**contracts), True)
    assert sorted(column.name for column in report.columns) == ["id", "name"]
    assert report.rows is None
    assert jobs_started() <= jobs


@pytest.mark.parametrize("kind", ["signature", "model", "path of a model"])
def test_outputs_can_be_the_contract(spark, contracts, kind):
    contract = CONTRACTS[kind][0]
    if isinstance(contract, str | Path):
        contract = type(contract)(str(contract).format(**contracts))
    report = check(spark.sql("select 1L as id, 'x' as name"), contract, side="outputs")
    assert report.contract.endswith("outputs")
    assert summarize(report.findings) == [("TYPE_MISMATCH", "name", None)]


def test_a_contract_without_nulls_is_checked_by_values(spark, jobs_started):
    strict = T.StructType().add("id", "long").add("name", "string", False)
    [finding] = check(spark.sql("select 1L as id, string(null) as name"), strict, "full").findings
    assert str(finding) == (
        "name: expected string without nulls, got nulls, once (fill the nulls, or filter the rows) "
        "[NULL_IN_REQUIRED]"
    )
    assert jobs_started() <= 1


def test_a_long_ddl_is_no_file_name(spark):
    ddl = "id bigint, " + ", ".join(f"a_column_with_a_long_name_{number} string" for number in range(20))
    assert len(check(spark.range(1), ddl).columns) == 21


@pytest.mark.parametrize(
    "text", ["nonsense", "nonsense!", "a-b", "a bigint oops(", "no.such.table.at.all", "a\0b"]
)
def test_text_that_is_nothing(spark, text):
    with pytest.raises(ContractError, match=r"is not a model directory, a table, or DDL like 'id bigint"):
        check(spark.range(1), text)


@pytest.mark.parametrize("text", ["", " \n"])
def test_text_that_is_empty(spark, text):
    with pytest.raises(ContractError, match=r"^the contract is an empty text$"):
        check(spark.range(1), text)


def test_a_misspelled_type_in_ddl_is_named(spark):
    with pytest.raises(ContractError, match=r"\n  - id: .*bigintt \(did you mean 'bigint'\?\)"):
        check(spark.range(1), "id bigintt")


def test_a_frame_as_contract_names_its_schema(spark):
    with pytest.raises(ContractError, match=r"got a value of type DataFrame\. Pass its schema: df\.schema$"):
        check(spark.range(1), spark.range(1))


@pytest.mark.parametrize("contract", [None, 1, ["id bigint"], T.LongType()])
def test_what_is_no_contract(spark, contract):
    text = (
        "^contract: expected a ModelSignature, a Schema, a dictionary of a signature, a StructType, an Arrow "
        "schema, DDL, a model directory, a JSON file with a signature, or a table, got "
        r"(None|a value of type \w+)$"
    )
    with pytest.raises(ContractError, match=text):
        check(spark.range(1), contract)


def test_arguments_that_are_not_what_they_should_be(spark, tmp_path):
    df, good = spark.range(1), schema(id="long")
    with pytest.raises(ContractError, match=r"^expected a Spark DataFrame, a path, or the name of"):
        check([1], good)
    with pytest.raises(ContractError, match=r"^mode: expected 'schema', 'sample', 'full', got 'fast'$"):
        check(df, good, "fast")
    with pytest.raises(ContractError, match=r"^side: expected 'inputs' or 'outputs', got 'params'$"):
        check(df, good, side="params")
    with pytest.raises(ContractError, match=r"^the signature has no outputs$"):
        check(df, ModelSignature(good), side="outputs")
    with pytest.raises(TableNotFoundError, match=r"absent: cannot read a table \(delta or parquet\): "):
        check(df, tmp_path / "absent")
    with pytest.raises(
        TableNotFoundError, match=r"^/absent/table: cannot read a table \(delta or parquet\): "
    ):
        check(df, "/absent/table")
    with pytest.raises(ContractError, match=r"^row_key: the table has no such columns: 1 finding\n"):
        check(df, good, "full", row_key="Id")
    with pytest.raises(ContractError, match=r"^row_key: expected at least one column$"):
        check(df, good, "full", row_key=[])
    with pytest.raises(ContractError, match=r"^sampler: expected a Sampler, got a value of type str$"):
        check(df, good, "sample", sampler="uniform")
    with pytest.raises(
        ContractError, match=r"contract: expected a ModelSignature, .*, got a value of type int$"
    ):
        violations(1)
    with pytest.raises(
        ContractError, match=r"^the contract has no column names: pass the schema of the table as table=$"
    ):
        violations(Schema([ColSpec("long")]))
    with pytest.raises(ContractError, match=r"^the table does not fit the contract \(schema\): 1 finding\n"):
        violations(schema(id="string"), df.schema)
    tensors = Schema([TensorSpec(np.dtype("float64"), (-1, 2), "v")])
    with pytest.raises(UnsupportedError, match=r"tensors in vectors of Spark ML \(v\): convert the vectors"):
        violations(tensors, T.StructType([T.StructField("v", VectorUDT())]))
    with pytest.raises(
        ContractError, match=r"^the table has a column ID: choose another name for findings_column=$"
    ):
        split(df.toDF("ID"), schema(ID="long"), findings_column="id")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(ModelError, match=r"the model has no signature\. Set one: sparksig\.set_signature"):
        check(df, tmp_path / "m")


# --- modes ------------------------------------------------------------------------------------------------


def test_jobs_of_each_mode(spark, jobs_started):
    df = spark.range(0, 10, 1, 3).withColumn("x", F.when(F.col("id") > 4, F.col("id")))
    contract = schema(id="long", x="long")
    report = check(df, contract)
    assert (jobs_started(), report.ok, report.rows, report.bad_rows) == (0, True, None, None)
    violations(contract, df.schema)
    split(df, contract)
    assert jobs_started() == 0
    assert not check(df, contract, "full").ok
    assert jobs_started() == 1
    check(df, contract, "sample")
    assert jobs_started() <= 3


def test_what_the_types_refuse_is_left_out_and_the_rest_is_checked(spark):
    df = rows_of(
        spark,
        "1L as a, 'x' as b, bigint(null) as c, named_struct('k', bigint(null), 'l', 'x') as d",
        "1L, 'x', null, null",
    )
    contract = schema(a="integer", b="double", c="long", d=of(k="long", l="long"), e="string", f="string?")
    for mode in ("full", "sample"):
        report = check(df, contract, mode)
        assert summarize(report.findings) == sorted([
            ("TYPE_MISMATCH", "a", None), ("TYPE_MISMATCH", "b", None), (NULL, "c", 2),
            ("TYPE_MISMATCH", "d.l", None), ("MISSING_COLUMN", "e", None),
        ], key=lambda value: value[:2])  # fmt: skip
        assert [(column.name, column.ok, column.actual) for column in report.columns] == [
            ("a", False, "bigint"), ("b", False, "string"), ("c", False, "bigint"),
            ("d", False, "struct<k:bigint,l:string>"), ("e", False, ""), ("f", True, ""),
        ]  # fmt: skip
        assert (report.rows, report.bad_rows) == (2, 2)
    assert [finding.path for finding in check(df, contract, "full").findings] == ["a", "b", "c", "d.l", "e"]


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_columns_that_do_not_fit_by_number_or_shape(spark, mode):
    text = spark.sql("select 'x' as a")
    report = check(text, Schema([ColSpec("datetime"), ColSpec("long")]), mode)
    assert summarize(report.findings) == [("COLUMN_COUNT", "", None)]
    report = check(spark.sql("select 1D as a"), tensor("float64", (-1, 3)), mode)
    assert summarize(report.findings) == [(SHAPE, "", None)]


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_columns_without_names(spark, mode):
    df = rows_of(spark, "1L as a, bigint(null) as b", "2L, 3L", "null, 4L")
    report = check(df, Schema([ColSpec("long"), ColSpec("long")]), mode)
    assert summarize(report.findings) == [(NULL, "a", 1), (NULL, "b", 1)]
    assert [(column.name, column.ok, column.nulls) for column in report.columns] == [
        ("a", False, 1),
        ("b", False, 1),
    ]
    assert report.bad_rows == 2


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_rows_as_objects(spark, mode):
    df = rows_of(spark, "1L as a, bigint(null) as b", "2L, 3L", "2L, null")
    report = check(df, Schema([ColSpec(of(a="long", b="long"))]), mode)
    [finding] = summarize(report.findings)
    assert (finding[0], finding[2]) == (NULL, 2)
    assert finding[1].endswith("b")


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_bad_rows_are_rows_not_places(spark, mode):
    """Two of three rows break the contract, each in another column, and one of the two in many places."""
    df = rows_of(
        spark,
        "bigint(null) as a, array(1D) as b",
        f"1L, array({NAN}, {NAN}, {NAN}, {NAN})",
        "1L, array(2D)",
    )
    report = check(df, schema(a="long", b=Array("double")), mode, refuse_nan=True)
    assert summarize(report.findings) == [(VALUE, "b[]", 1), (NULL, "a", 1)]
    assert (report.rows, report.bad_rows) == (3, 2)


def test_a_sample_of_numbers_that_lie_close(spark):
    df = rows_of(spark, "1152921504606846976L as a, 1D as b", "1152921504606847232L, 1.0000000000000002D")
    assert check(df, schema(a="long", b="double"), "sample").ok


# --- reports ----------------------------------------------------------------------------------------------


def test_places_and_counts(spark):
    df = spark.range(0, 100, 1, 4).select(
        "id",
        F.when(~F.col("id").isin(30, 31, 80), F.col("id")).alias("x"),
        F.lit(None).cast("int").alias("n"),
    )
    report = check(df, schema(id="long", x="long", n="integer?"), "full")
    [finding] = report.findings
    assert str(finding) == (
        "x: expected long without nulls, got nulls, 3 times "
        "(declare it optional, or double) [NULL_IN_REQUIRED]"
    )
    assert report.examples == {0: ("partition 1, row 5",)}
    assert [(c.name, c.nulls, c.ok) for c in report.columns] == [
        ("id", 0, True), ("x", 3, False), ("n", 100, True),
    ]  # fmt: skip
    assert (report.rows, report.bad_rows, report.claim) == (100, 3, "")
    assert str(report).splitlines()[0] == (
        "the table breaks the contract (schema): 100 rows checked, 3 rows break it"
    )
    with pytest.raises(ContractError, match=r"^the table breaks the contract \(schema\): 1 finding\n"):
        report.raise_if_failed()


def test_rows_are_named_by_their_keys(spark):
    df = spark.range(0, 100, 1, 4).select(
        "id", F.col("id").cast("string").alias("a key"), F.when(F.col("id") > 2, 1).alias("x")
    )
    contract = schema(x="integer")
    full = check(df, contract, "full", row_key=["a key", "id"])
    assert full.examples == {0: ("a key='0', id=0", "a key='2', id=2")}
    assert check(df, contract, "full", row_key="id").examples == {0: ("id=0", "id=2")}
    sampled = check(df, contract, "sample", row_key="id")
    assert sampled.examples == {0: ("id=0", "id=2")}
    assert "nothing is known about single rows elsewhere" in sampled.claim
    assert check(df, contract, "sample").examples == {}
    [finding] = sampled.findings
    assert finding.rows == ()


def test_places_in_lists_are_counted_too(spark):
    df = rows_of(spark, f"array({FAR}, {FAR}, null) as x", f"array({FAR})", "array()", "null")
    report = check(df, schema(x=Array("datetime")), "full")
    assert [(finding.code.value, finding.actual, finding.count) for finding in report.findings] == [
        (NULL, "nulls", 1), (RANGE, "timestamps outside this range in 3 places", 2),
    ]  # fmt: skip
    assert report.bad_rows == 3


ODD = ["a.b", "`x`", "mean radius", "日本", '"', "a`.`b", "x[0]"]


def test_odd_names_at_every_level(spark, frame_of):
    inner = pa.struct([(name, pa.int64()) for name in ODD])
    table = pa.table(
        {
            **{name: pa.array([1, None], pa.int64()) for name in ODD},
            "s": pa.array([dict.fromkeys(ODD, 1), dict.fromkeys(ODD)], inner),
        }
    )
    object_ = Object([Property(name, "long") for name in ODD])
    contract = Schema([*(ColSpec("long", name) for name in ODD), ColSpec(object_, "s")])
    df = frame_of(table)
    reports = [check(df, contract, "full"), check(df, contract, "sample", sampler=ALL_ROWS)]
    steps = ["`a.b`", "```x```", "mean radius", "日本", '"', "`a``.``b`", "`x[0]`"]
    expected = {(NULL, path, 1) for name in steps for path in (name, f"s.{name}")}
    for report in reports:
        assert set(summarize(report.findings)) == expected
        assert [column.ok for column in report.columns] == [False] * 8
    good, bad = split(df, contract)
    assert (good.count(), bad.count()) == (1, 1)
    assert check(df, contract, "full", row_key=ODD[0]).examples[0] == ("a.b=None",)


@pytest.mark.parametrize("mode", ["schema", "full", "sample"])
def test_case_twins_are_a_finding(spark, mode):
    df = spark.sql("select 1L as a, 2L as A, bigint(null) as b")
    report = check(df, schema(a="long", b="long"), mode)
    expected = [("DUPLICATE_NAME", "a", None)] + ([(NULL, "b", 1)] if mode != "schema" else [])
    assert summarize(report.findings) == expected


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_case_twins_that_nobody_asked_for(spark, mode):
    df = spark.sql("select 1 as k, 2 as K, bigint(null) as b")
    assert summarize(check(df, schema(b="long"), mode).findings) == [(NULL, "b", 1)]


@pytest.mark.parametrize("mode", ["schema", "full", "sample"])
def test_case_twins_in_a_struct_are_a_finding(spark, mode):
    df = spark.sql("select named_struct('a', 1L, 'A', 2L) as s")
    report = check(df, schema(s=of(a="long")), mode)
    assert summarize(report.findings) == [("DUPLICATE_NAME", "s.a", None)]


@pytest.mark.parametrize("key", ["k", "m"])
def test_keys_that_cannot_be_compared_or_distinguished(spark, key):
    df = spark.sql("select bigint(null) as b, map('a', 1) as m, 1 as k, 2 as K")
    with pytest.raises(ContractError, match=r"^row_key"):
        check(df, schema(b="long"), "full", row_key=key)


def test_a_name_that_differs_in_case_is_another(spark):
    report = check(spark.sql("select 1L as A"), schema(a="long"))
    [finding] = report.findings
    assert str(finding) == (
        "a: expected long, got no such column (did you mean 'A'? Names are case sensitive) [MISSING_COLUMN]"
    )


def test_no_rows_and_no_partitions(spark):
    contract = schema(id="long", x=Array("datetime"), o="string?")
    empty = spark.sql("select 1L as id, array(now()) as x").where("false")
    none = spark.createDataFrame(spark.sparkContext.emptyRDD(), "id bigint, x array<timestamp>")
    for df in (empty, none):
        for sampler in (None, Sampler(), ALL_ROWS):
            mode = "full" if sampler is None else "sample"
            report = check(df, contract, mode, sampler=sampler, refuse_nan=True)
            assert (report.ok, report.rows, report.bad_rows) == (True, 0, 0)
            assert [column.nulls for column in report.columns] == [0, 0, None]
            assert report.to_json()


def test_columns_that_are_all_optional(spark):
    df = spark.range(2)
    report = check(df, schema(x="long?", y=of(k="long")), "full")
    assert summarize(report.findings) == [("MISSING_COLUMN", "y", None)]
    report = check(df, schema(x="long?", id="long?"), "full")
    assert (report.ok, report.rows) == (True, 2)


# --- rows -------------------------------------------------------------------------------------------------


def test_every_row_is_in_one_part_and_says_why(spark):
    df = spark.range(0, 60, 1, 3).select(
        "id",
        F.expr("if(id % 3 = 0, null, id)").alias("x"),
        F.expr(
            "if(id % 4 = 0, timestamp_ntz'9999-12-31 00:00:00', timestamp_ntz'2020-01-01 00:00:00')"
        ).alias("t"),
        F.expr("array(named_struct('k', if(id % 5 = 0, null, id)), named_struct('k', 1L))").alias("l"),
    )
    contract = schema(id="long", x="long", t="datetime", l=Array(of(k="long")))
    good, bad = split(df, contract)
    assert good.columns == df.columns
    assert bad.columns == [*df.columns, "findings"]
    good_rows, bad_rows = good.collect(), bad.collect()
    assert {row.id for row in good_rows} == {n for n in range(60) if n % 3 and n % 4 and n % 5}
    assert sorted([row.id for row in good_rows] + [row.id for row in bad_rows]) == list(range(60))
    report = check(df, contract, "full")
    assert report.bad_rows == len(bad_rows)
    counted = {}
    for row in bad_rows:
        assert row.findings
        for finding in row.findings:
            counted[finding.code, finding.path] = counted.get((finding.code, finding.path), 0) + 1
    assert counted == {(finding.code.value, finding.path): finding.count for finding in report.findings}
    first = next(row for row in bad_rows if row.id == 3)
    assert [tuple(finding) for finding in first.findings] == [
        (NULL, "x", "x: expected long without nulls, got nulls (declare it optional, or double) "
         "[NULL_IN_REQUIRED]"),
    ]  # fmt: skip


def test_violations_has_the_exact_types_of_a_table_contract(spark):
    contract = "day date not null, total decimal(10,2), part smallint not null, code varchar(2)"
    table = spark.sql(
        "select date'2026-01-31' as day, 1.25BD as total, cast(null as smallint) as part, 'abc' as code"
    ).selectExpr("day", "cast(total as decimal(10,2)) as total", "part", "code")
    [row] = table.select(sparksig.violations(contract).alias("findings")).collect()
    assert [finding.path for finding in row.findings] == ["part", "code"]


def test_violations_is_a_column_of_the_contracts_own_table(spark):
    contract = schema(x="long", y="double?")
    df = spark.sql("select 1L as x, 1D as y").union(spark.sql("select null, null")).coalesce(1)
    breaches = [row.v for row in df.select(violations(contract).alias("v")).collect()]
    assert breaches[0] is None
    assert [(finding.code, finding.path) for finding in breaches[1]] == [(NULL, "x")]
    loose = violations(schema(y="double?"), refuse_nan=False)
    assert df.where(loose.isNull()).count() == 2
    named = split(df, contract, findings_column="what `is` wrong.")[1]
    assert named.columns[-1] == "what `is` wrong."
    assert named.count() == 1


def test_names_of_findings_and_other_options_of_split(spark):
    df = rows_of(spark, "'x' as s, double('NaN') as d", "null, 1D")
    contract = schema(s="string", d="double")
    counts = [
        tuple(part.count() for part in split(df, contract, strict_nulls=strict, refuse_nan=nan))
        for strict in (True, False) for nan in (True, False)
    ]  # fmt: skip
    assert counts == [(0, 2), (1, 1), (1, 1), (2, 0)]


# --- the law: three engines, one verdict ------------------------------------------------------------------

ZONE = "America/New_York"
US = pa.timestamp("us")
WALLS = [
    datetime.datetime(2020, 2, 29, 12), datetime.datetime(1969, 7, 20, 20, 17, 40, 123456),
    datetime.datetime(1677, 9, 21, 0, 12, 43, 145224), datetime.datetime(2262, 4, 11, 23, 47, 16, 854776),
    datetime.datetime(9999, 12, 31), datetime.datetime(1500, 1, 1),
]  # fmt: skip


class Pool:
    """Random columns: an Arrow type, a type that it widens to, and values."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nulls = self.random.choice([0.0, 0.1, 0.4])

    def some(self, function):
        return None if self.random.random() < self.nulls else function()

    def scalar(self):
        choose = self.random
        kinds = [
            (pa.int64(), "long", lambda: int(choose.integers(-5, 5))),
            (pa.int16(), "integer", lambda: int(choose.integers(-5, 5))),
            (pa.bool_(), "boolean", lambda: bool(choose.integers(2))),
            (pa.float32(), "double", lambda: float(choose.integers(4)) / 2),
            (pa.string(), "string", lambda: str(choose.integers(3))),
            (US, "datetime", lambda: WALLS[choose.integers(len(WALLS))]),
            (pa.date32(), "datetime", lambda: WALLS[choose.integers(len(WALLS))].date()),
        ]
        source_type, name, make = kinds[choose.integers(len(kinds))]
        return source_type, sparksig.DataType[name], make

    def typed(self, depth):
        form = self.random.integers(6) if depth else 0
        if form < 2:
            return self.scalar()
        source_type, declared, make = self.typed(depth - 1)
        if form == 2:
            return pa.list_(source_type), Array(declared), lambda: self.several(lambda: self.some(make))
        if form == 3:
            return pa.map_(pa.string(), source_type), Map(declared), lambda: self.entries(make, "kl")
        required = bool(self.random.integers(2))
        if form == 4:
            kind = Object([Property("k", declared, True), Property("o", declared, required)])
            return pa.map_(pa.string(), source_type), kind, lambda: self.entries(make, "koz")
        other = self.typed(depth - 1)
        kind = Object([Property("a b", declared, required), Property("c.d", other[1], True)])
        return (
            pa.struct([("a b", source_type), ("c.d", other[0]), ("extra", pa.int8())]),
            kind,
            lambda: {"a b": self.some(make), "c.d": self.some(other[2]), "extra": None},
        )

    def several(self, make):
        return [make() for _ in range(self.random.integers(4))]

    def entries(self, make, keys):
        return [(key, self.some(make)) for key in keys if self.random.integers(2)]

    def table(self):
        rows, columns, specs = int(self.random.integers(0, 12)), {}, []
        for number in range(self.random.integers(1, 5)):
            source_type, declared, make = self.typed(3)
            columns[f"c{number}"] = pa.array([self.some(make) for _ in range(rows)], source_type)
            specs.append(ColSpec(declared, f"c{number}", bool(self.random.integers(4))))
        return pa.table(columns), Schema(specs)


def engine(table, contract, strict):
    try:
        sparksig.enforce(table, contract, strict_nulls=strict)
    except ContractError as error:
        return summarize(error.findings)
    return []


@pytest.mark.parametrize("strict", [True, False])
def test_law_full_check_sample_and_engine_have_one_verdict(frame_of, strict):
    broken = 0
    for seed in range(16):
        table, contract = Pool(1000 * strict + seed).table()
        expected = engine(table, contract, strict)
        df = frame_of(table)
        full = check(df, contract, "full", strict_nulls=strict)
        sampled = check(df, contract, "sample", sampler=ALL_ROWS, strict_nulls=strict)
        assert summarize(full.findings) == expected, (seed, contract)
        assert summarize(sampled.findings) == expected, (seed, contract)
        assert full.rows == sampled.rows == table.num_rows
        broken += bool(expected)
    assert 4 < broken < 16
