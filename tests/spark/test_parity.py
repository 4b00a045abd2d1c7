"""All entry points have one verdict on a table and a contract, for tables of any writer."""

from __future__ import annotations

import datetime
import decimal
import itertools
import json

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from pyspark.sql import types as T

import sparksig
from sparksig import Code, ColSpec, ContractError, Schema
from sparksig.cli import cli
from sparksig.jobs import ScoreConfig, plan_score
from sparksig.jobs.input_checks import check_input
from sparksig.spark.bind import bind
from tests.parquet_tables import check_parquet

# --- entry points -------------------------------------------------------------------------------------------


def list_paths(findings):
    return {finding.path for finding in findings}


def caught(call):
    """Return the paths of the findings with which a call fails; nothing if it does not."""
    try:
        call()
    except ContractError as error:
        return list_paths(error.findings) or {"no findings"}
    return set()


def ask_command(command, path, contract, options):
    flags = [flag for name, value in options.items() for flag in (f"--{name}", value)]
    result = CliRunner().invoke(cli, [command, path, contract, *flags, "--json"])
    assert result.exit_code in (0, 3), result.output
    answer = json.loads(result.output)
    findings = answer["findings"] if command == "check" else answer["inputs"]["upgrade"]
    assert (result.exit_code == 3) == bool(findings)
    return {finding["path"] for finding in findings}


def verdicts(df, path, contract, tmp_path, modes=("schema",), **options):
    """Return the verdict of each entry point on a table that is a DataFrame and a Parquet file."""
    reports = {f"check of a frame, {mode}": sparksig.check(df, contract, mode, **options) for mode in modes}
    reports |= {f"check of a path, {mode}": check_parquet(path, contract, mode, **options) for mode in modes}
    paths = {name: list_paths(report.findings) for name, report in reports.items()}
    plan = sparksig.plan_write(df, str(tmp_path / "new"), contract, **options)
    paths["plan of a new table"] = list_paths(plan.findings)
    if isinstance(contract, str):
        paths["check command"] = ask_command("check", path, contract, options)
        paths["diff command"] = ask_command("diff", path, contract, options)
    if not options:
        paths["split"] = caught(lambda: sparksig.split(df, contract))
        paths["violations"] = caught(lambda: sparksig.violations(contract, df.schema))
    return paths


def agree(paths, expected):
    assert paths == dict.fromkeys(paths, expected)


# --- pairs of types -----------------------------------------------------------------------------------------

TYPES = {
    "boolean": "true",
    "tinyint": "1Y",
    "smallint": "1S",
    "int": "1",
    "bigint": "1L",
    "float": "1.5F",
    "double": "1.5D",
    "decimal(8,1)": "1.5",
    "decimal(10,2)": "1.25",
    "decimal(38,0)": "7",
    "string": "'a'",
    "binary": "X'01'",
    "date": "date'2026-04-01'",
    "timestamp": "timestamp'2026-04-01 05:00:00'",
    "timestamp_ntz": "timestamp_ntz'2026-04-01 05:00:00'",
    "array<int>": "array(1)",
    "map<string,int>": "map('a', 1)",
    "struct<a:int,b:string>": "named_struct('a', 1, 'b', 'x')",
}

LOSSLESS = {
    "smallint": {"tinyint"},
    "int": {"tinyint", "smallint"},
    "bigint": {"tinyint", "smallint", "int"},
    "double": {"tinyint", "smallint", "int", "float", "decimal(8,1)", "decimal(10,2)"},
    "decimal(8,1)": {"tinyint", "smallint"},
    "decimal(10,2)": {"tinyint", "smallint", "decimal(8,1)"},
    "decimal(38,0)": {"tinyint", "smallint", "int", "bigint"},
    "timestamp_ntz": {"date"},
}
"""The types that widen to each type without a loss, itself excepted."""


@pytest.fixture(scope="module")
def every_type(spark, tmp_path_factory):
    """A table with one column of each type, as a frame and as a file that Spark has written."""
    columns = [f"cast({value} as {dtype}) as c{index}" for index, (dtype, value) in enumerate(TYPES.items())]
    path = str(tmp_path_factory.mktemp("parity") / "table")
    spark.sql(f"select {', '.join(columns)}").coalesce(1).write.parquet(path)
    return spark.read.parquet(path), path


@pytest.mark.parametrize("types", ["exact", "lossless"])
@pytest.mark.parametrize("declared", TYPES)
def test_pairs_of_types(every_type, tmp_path, declared, types):
    df, path = every_type
    contract = ", ".join(f"c{index} {declared}" for index in range(len(TYPES)))
    fits = {declared} | (LOSSLESS.get(declared, set()) if types == "lossless" else set())
    expected = {f"c{index}" for index, dtype in enumerate(TYPES) if dtype not in fits}
    options = {} if types == "exact" else {"types": types}
    paths = verdicts(df, path, contract, tmp_path, **options)
    agree(
        {name: {path.split(".")[0].split("[")[0] for path in paths_} for name, paths_ in paths.items()},
        expected,
    )


def test_values_do_not_change_the_verdict_on_types(every_type, tmp_path):
    df, path = every_type
    contract = ", ".join(f"c{index} {dtype} not null" for index, dtype in enumerate(TYPES))
    agree(verdicts(df, path, contract, tmp_path, ("schema", "sample", "full")), set())


# --- columns and fields -------------------------------------------------------------------------------------

SHAPES = {
    "the same": ("id bigint, name string", "id bigint, name string", set()),
    "another order": ("id bigint, name string", "name string, id bigint", set()),
    "comments": ("id bigint", "id bigint comment 'key'", set()),
    "not null is about values": ("id bigint", "id bigint not null", set()),
    "length is about values": ("code string", "code varchar(5)", set()),
    "missing": ("id bigint", "id bigint, name string", {"name"}),
    "extra": ("id bigint, name string", "id bigint", {"name"}),
    "misspelt": ("id bigint, nmae string", "id bigint, name string", {"name", "nmae"}),
    "other case": ("ID bigint", "id bigint", {"id", "ID"}),
    "field missing": ("s struct<a:int>", "s struct<a:int,b:int>", {"s.b"}),
    "field extra": ("s struct<a:int,b:int>", "s struct<a:int>", {"s.b"}),
    "fields in another order": ("s struct<b:int,a:int>", "s struct<a:int,b:int>", set()),
    "field of another type": ("s struct<a:int>", "s struct<a:bigint>", {"s.a"}),
    "item of another type": ("a array<int>", "a array<bigint>", {"a[]"}),
    "nested item": ("a array<struct<x:date>>", "a array<struct<x:timestamp>>", {"a[].x"}),
    "value of a map": ("m map<string,float>", "m map<string,double>", {"m[]"}),
    "key of a map": ("m map<int,double>", "m map<bigint,double>", {"m[]"}),
    "several": ("a int, b int, c string", "a bigint, b date, d string", {"a", "b", "c", "d"}),
    "odd names": ("`a.b` int, `c d` int", "`a.b` bigint, `c d` int", {"`a.b`"}),
    "prefixes": ("ab string, x string, a string", "a bigint, x bigint, ab bigint", {"a", "x", "ab"}),
}


def write_empty(spark, ddl, path):
    df = spark.createDataFrame([], ddl)
    df.coalesce(1).write.parquet(path)
    return spark.read.schema(df.schema).parquet(path)  # without a job that reads the footer


@pytest.mark.parametrize("name", SHAPES)
def test_columns_and_fields(spark, tmp_path, name):
    table, contract, expected = SHAPES[name]
    df = write_empty(spark, table, str(tmp_path / "table"))
    agree(verdicts(df, str(tmp_path / "table"), contract, tmp_path), expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"missing": "allow"}, {"extra"}),
        ({"extra": "allow"}, {"gone"}),
        ({"extra": "warn"}, {"gone"}),
        ({"extra": "allow", "missing": "allow"}, set()),
    ],
    ids=["missing", "extra", "warn", "both"],
)
def test_options_allow_columns(spark, tmp_path, options, expected):
    df = write_empty(spark, "id bigint, extra int", str(tmp_path / "table"))
    agree(verdicts(df, str(tmp_path / "table"), "id bigint, gone int", tmp_path, **options), expected)
    report = sparksig.check(df, "id bigint, gone int", **options)
    assert [finding.code for finding in report.warnings] == (
        [Code.EXTRA_COLUMN] if options.get("extra") == "warn" else []
    )
    assert report.options == {"types": "exact", "missing": "forbid", "extra": "forbid", **options}


def test_findings_follow_the_contract_everywhere(spark, tmp_path):
    table, contract, _ = SHAPES["prefixes"]
    df = write_empty(spark, table, str(tmp_path / "table"))
    reports = [sparksig.check(df, contract), check_parquet(tmp_path / "table", contract)]
    plan = sparksig.plan_write(df, str(tmp_path / "new"), contract)
    assert [[finding.path for finding in report.findings] for report in (*reports, plan)] == [
        ["a", "x", "ab"]
    ] * 3


# --- kinds of contracts -------------------------------------------------------------------------------------

DDL = "id bigint, total decimal(10,2), day date, code string"
ARROW = pa.schema(
    [("id", pa.int64()), ("total", pa.decimal128(10, 2)), ("day", pa.date32()), ("code", pa.large_string())]
)
WRONG = "id int, total double, day timestamp, code string"


def contracts(spark, folder):
    pq.write_table(ARROW.empty_table(), folder / "existing.parquet")
    return {
        "DDL": DDL,
        "StructType": T.StructType.fromDDL(DDL)
        if hasattr(T.StructType, "fromDDL")
        else spark.createDataFrame([], DDL).schema,
        "Arrow schema": ARROW,
        "existing table": str(folder / "existing.parquet"),
        "path": folder / "existing.parquet",
    }


def test_every_kind_of_a_tables_contract(spark, tmp_path):
    right = write_empty(spark, DDL, str(tmp_path / "right"))
    wrong = write_empty(spark, WRONG, str(tmp_path / "wrong"))
    for contract in contracts(spark, tmp_path).values():
        agree(verdicts(right, str(tmp_path / "right"), contract, tmp_path), set())
        agree(verdicts(wrong, str(tmp_path / "wrong"), contract, tmp_path), {"id", "total", "day"})


MODEL = Schema([ColSpec("long", "id"), ColSpec("double", "rate"), ColSpec("string", "note", required=False)])
MODEL_TABLES = {
    "narrower types": ("id int, rate float, more date", set()),
    "decimals": ("id decimal(18,0), rate decimal(15,2)", set()),
    "refused": ("id double, rate bigint, note int", {"id", "rate", "note"}),
    "missing": ("id bigint", {"rate"}),
    "misspelt": ("ID bigint, rate double", {"id"}),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved model of the contract MODEL."""
    path = tmp_path_factory.mktemp("model") / "m"
    signature = sparksig.ModelSignature(MODEL, Schema([ColSpec("double")]))
    sparksig.save_model(path, lambda model_input: model_input["rate"], signature)
    return str(path)


@pytest.mark.parametrize("name", MODEL_TABLES)
def test_a_models_contract(spark, tmp_path, model, name):
    table, expected = MODEL_TABLES[name]
    path = str(tmp_path / "table")
    df = write_empty(spark, table, path)
    paths = verdicts(df, path, MODEL, tmp_path)
    config = {
        "model": {"path": model, "allow_pickle": True},
        "input": {"path": path},
        "output": {"path": str(tmp_path / "scored"), "keep": ["id"]},
    }
    if "id" in df.columns:
        job = ScoreConfig.model_validate(config)
        paths["preflight"] = caught(lambda: check_input(job, MODEL))
        paths["dry run"] = caught(lambda: plan_score(job))
    paths["score"] = caught(lambda: bind(df.schema, MODEL))
    paths["compare"] = list_paths(sparksig.compare(path, MODEL).inputs.upgrade)
    agree(paths, expected)


# --- writers ------------------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2026, 4, 1, 5)
ROWS = pa.table(
    {
        "id": pa.array([1, 2], pa.int64()),
        "name": pa.array(["a", "b"]),
        "day": pa.array([MOMENT.date()] * 2, pa.date32()),
        "at": pa.array([MOMENT] * 2, pa.timestamp("us")),
        "total": pa.array([decimal.Decimal("1.25")] * 2, pa.decimal128(10, 2)),
    }
)
WRITTEN = "id bigint, name string, day date, at timestamp_ntz, total decimal(10,2)"


def write_with_polars(table, path):
    pytest.importorskip("polars").from_arrow(table).write_parquet(path)


def write_with_pandas(table, path):
    table.to_pandas().to_parquet(path, index=False, schema=table.schema)


def write_with_duckdb(table, path):
    duckdb = pytest.importorskip("duckdb")
    rows = table  # noqa: F841  by its name in the query
    duckdb.sql(f"copy (select * from rows) to '{path}' (format parquet)")


WRITERS = {
    "pyarrow": pq.write_table,
    "large strings": lambda table, path: pq.write_table(
        table.set_column(1, "name", table["name"].cast(pa.large_string())), path
    ),
    "dictionaries": lambda table, path: pq.write_table(
        table.set_column(1, "name", table["name"].dictionary_encode()), path
    ),
    "milliseconds": lambda table, path: pq.write_table(
        table.set_column(3, "at", table["at"].cast(pa.timestamp("ms"))), path
    ),
    "pandas": write_with_pandas,
    "polars": write_with_polars,
    "duckdb": write_with_duckdb,
}


@pytest.mark.parametrize("name", WRITERS)
def test_writers(spark, tmp_path, name):
    path = str(tmp_path / "rows.parquet")
    WRITERS[name](ROWS, path)
    agree(verdicts(spark.read.parquet(path), path, WRITTEN, tmp_path, ("schema", "full")), set())
    wrong = WRITTEN.replace("bigint", "int").replace("day date", "day timestamp_ntz")
    agree(verdicts(spark.read.parquet(path), path, wrong, tmp_path), {"id", "day"})


def test_files_of_all_writers_are_one_table(spark, tmp_path):
    (tmp_path / "table").mkdir()
    for name in ("pyarrow", "large strings", "dictionaries", "milliseconds"):
        WRITERS[name](ROWS, str(tmp_path / "table" / f"{name.replace(' ', '-')}.parquet"))
    path = str(tmp_path / "table")
    paths = verdicts(spark.read.parquet(path), path, WRITTEN, tmp_path, ("schema", "full"))
    inputs = Schema([ColSpec("long", "id"), ColSpec("string", "name"), ColSpec("datetime", "at")])
    config = {"model": {"path": "m"}, "input": {"path": path}, "output": {"path": "s", "keep": "*"}}
    paths["preflight"] = caught(lambda: check_input(ScoreConfig.model_validate(config), inputs))
    agree(paths, set())


@pytest.mark.parametrize("stored", ["INT96", "TIMESTAMP_MICROS"])
def test_timestamps_of_spark(spark, tmp_path, stored):
    path = str(tmp_path / "table")
    spark.conf.set("spark.sql.parquet.outputTimestampType", stored)
    try:
        spark.sql(f"select {TYPES['timestamp']} as t, array({TYPES['timestamp']}) as a").write.parquet(path)
    finally:
        spark.conf.unset("spark.sql.parquet.outputTimestampType")
    df = spark.read.parquet(path)
    agree(verdicts(df, path, "t timestamp, a array<timestamp>", tmp_path, ("schema", "full")), set())
    agree(verdicts(df, path, "t timestamp_ntz, a array<timestamp>", tmp_path), {"t"})


# --- writing ------------------------------------------------------------------------------------------------

TARGETS = ["id bigint, total decimal(8,1), day date, code string", "s struct<a:int,b:string>, l array<date>"]
FRAMES = [
    *TARGETS,
    "id int, total decimal(10,2), day date, code string",
    "id smallint, total decimal(8,1), day date, code string",
    "id bigint, total decimal(8,1), day timestamp, code string",
    "id bigint, total decimal(8,1), day date",
    "id bigint, total decimal(8,1), day date, code string, more int",
    "s struct<a:int>, l array<date>",
    "s struct<a:int,b:string,c:int>, l array<date>",
    "s struct<a:tinyint,b:string>, l array<timestamp>",
    "L array<date>, s struct<a:int,b:string>",
]


PAIRS = list(itertools.product(TARGETS, FRAMES))


def join_columns(spark, tables):
    """Return one table with the columns of all tables; their names begin with the table's position."""
    schemas = [spark.createDataFrame([], table).schema for table in tables]
    fields = [
        T.StructField(f"p{index}_{field.name}", field.dataType)
        for index, schema in enumerate(schemas)
        for field in schema
    ]
    return spark.createDataFrame([], T.StructType(fields))


@pytest.fixture(scope="module")
def joined_pairs(spark):
    """The targets and the tables of all pairs, each joined into one: few Spark jobs judge all pairs."""
    return [join_columns(spark, tables) for tables in zip(*PAIRS)]


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({}, []),
        ({"types": "lossless"}, ["id smallint, total decimal(8,1), day date, code string"]),
        ({"missing": "allow"}, ["id bigint, total decimal(8,1), day date", "s struct<a:int>, l array<date>"]),
    ],
    ids=["exact", "lossless", "missing"],
)
@pytest.mark.parametrize("format", ["parquet", "delta"])
def test_check_and_append_agree(request, joined_pairs, tmp_path, format, options, frames):
    if format == "delta":
        request.getfixturevalue("delta")
    targets, tables = joined_pairs
    path = str(tmp_path / "target")
    targets.write.format(format).save(path)
    plan = sparksig.plan_write(tables, path, mode="append", **options)
    report = sparksig.check(tables, path, **options)
    assert list_paths(report.findings) == list_paths(plan.findings)
    refused = {path.partition("_")[0] for path in list_paths(report.findings)}
    for index, (target, frame) in enumerate(PAIRS):
        fits = frame == target or (frame in frames and frame[0] == target[0])
        assert fits == (f"p{index}" not in refused), (target, frame)


def test_columns_that_a_delta_table_fills_itself_may_be_missing(delta, tmp_path):
    path = str(tmp_path / "target")
    delta.sql(
        f"create table delta.`{path}` (id bigint, n bigint generated always as (id * 2), d int default 7) "
        "using delta tblproperties ('delta.feature.allowColumnDefaults' = 'supported')"
    )
    df = delta.sql("select 1L as id")
    assert sparksig.check(df, path).ok
    assert sparksig.plan_write(df, path, mode="append").ok


@pytest.mark.parametrize("format", ["parquet", "delta"])
@pytest.mark.parametrize(
    ("options", "table"),
    [
        ({}, "select cast(1.5 as decimal(10,2)) as total, date'2026-04-01' as day, 'A1' as code, 1Y as n"),
        ({"types": "lossless"}, "select 1.5 as total, date'2026-04-01' as day, 'A1' as code, 1Y as n"),
        ({"missing": "allow"}, "select cast(1.5 as decimal(10,2)) as total, 'A1' as code, 1Y as n"),
    ],
    ids=["exact", "lossless", "missing"],
)
def test_what_was_written_fits_its_contract(request, spark, tmp_path, format, options, table):
    if format == "delta":
        request.getfixturevalue("delta")
    contract = "total decimal(10,2) not null, day date, code varchar(5), n tinyint"
    path = str(tmp_path / "target")
    sparksig.write(spark.sql(table), path, contract, format=format, **options)
    written = spark.read.format(format).load(path)
    assert sparksig.check(written, contract, mode="full").ok
    assert sparksig.check(written, path, mode="full").ok
    if format == "parquet":
        assert check_parquet(path, contract, mode="full").ok
        assert check_parquet(path, path).ok


def test_the_contract_stays_with_the_table(spark, tmp_path):
    contract = "id bigint not null, items array<struct<code:varchar(3)>>"
    path = str(tmp_path / "target")
    sparksig.write(spark.sql("select 1L as id, array(named_struct('code', 'abc')) as items"), path, contract)
    columns = sparksig.check(spark.sql("select cast(null as bigint) as id"), path).columns
    assert [column.expected for column in columns] == ["bigint not null", "array<struct<code:varchar(3)>>"]


def test_runs_are_not_part_of_a_contract(spark, tmp_path):
    path, contract = str(tmp_path / "target"), "id bigint not null"
    for run in ("a", "b"):
        sparksig.write(spark.range(3), path, contract, mode="append", run_id=run)
    agree(verdicts(spark.read.parquet(path), path, contract, tmp_path, ("schema", "full")), set())
    assert sparksig.check(spark.range(3), path).ok


# --- generated types ----------------------------------------------------------------------------------------

LEAVES = st.sampled_from(
    ["boolean", "tinyint", "int", "bigint", "float", "double", "decimal(8,1)", "decimal(10,2)", "string",
     "binary", "date", "timestamp", "timestamp_ntz"]
)  # fmt: skip
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map("array<{}>".format),
        inner.map("map<string,{}>".format),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda types: f"struct<{','.join(f'{name}:{dtype}' for name, dtype in zip('abc', types))}>"
        ),
    ),
    max_leaves=4,
)
COLUMNS = st.lists(NESTED, min_size=1, max_size=4)
COUNTER = itertools.count()


def as_ddl(types):
    return ", ".join(f"c{index} {dtype}" for index, dtype in enumerate(types))


@settings(max_examples=12)
@given(table=COLUMNS, data=st.data(), types=st.sampled_from(["exact", "lossless"]))
def test_generated_types_have_one_verdict(spark, tmp_path_factory, table, data, types):
    contract = as_ddl(
        data.draw(st.one_of(st.just(dtype), NESTED)) for dtype in table[: data.draw(st.integers(1, 4))]
    )
    folder = tmp_path_factory.mktemp(f"law{next(COUNTER)}")
    df = write_empty(spark, as_ddl(table), str(folder / "table"))
    paths = verdicts(df, str(folder / "table"), contract, folder, types=types)
    agree(paths, paths["check of a path, schema"])
    if not paths["check of a path, schema"]:
        sparksig.write(df, str(folder / "new"), contract, types=types)
        assert check_parquet(folder / "new", contract).ok
        assert sparksig.check(spark.read.parquet(str(folder / "new")), contract).ok


# --- data in memory -----------------------------------------------------------------------------------------


def test_enforce_judges_arrow_data_by_a_tables_contract():
    narrow = pa.table({"id": pa.array([1], pa.int32()), "day": pa.array([MOMENT.date()], pa.date32())})
    assert sparksig.enforce(narrow, "id bigint, day date")["id"].type == pa.int64()
    wrong = pa.table({"id": [1.5], "day": [MOMENT]})
    with pytest.raises(ContractError, match="the data does not fit the contract") as error:
        sparksig.enforce(wrong, "id bigint, day date, gone string")
    assert [finding.path for finding in error.value.findings] == ["id", "day", "gone"]
    with pytest.raises(sparksig.ConversionError, match="no signature for the contract"):
        sparksig.enforce(narrow, "id decimal(38,0), day date")


def test_exports_keep_exact_types():
    contract = (
        "total decimal(10,2) not null, day date, code varchar(5), l array<struct<a: smallint not null>>"
    )
    assert sparksig.export(contract, "ddl").text == contract
    assert sparksig.export(contract, "ddl").lost == ()
    arrow = sparksig.export(contract, "arrow")
    assert arrow.content.types[:2] == [pa.decimal128(10, 2), pa.date32()]
    assert [lost.path for lost in arrow.lost] == ["code"]
    assert [lost.path for lost in sparksig.export(contract, "json-schema").lost][:4] == [
        "total", "day", "code", "l[].a"
    ]  # fmt: skip
    assert sparksig.compare(contract, contract).verdict == "identical"
    assert not sparksig.compare("day date", "day timestamp").ok
    assert not sparksig.compare("day date", "day date not null").ok
