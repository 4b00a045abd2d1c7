"""Names that are SQL, variables or hard to quote: the same results as for the same table with plain names."""

from __future__ import annotations

import datetime
import itertools
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F
from pyspark.sql import types as T

import sparksig
from sparksig import (
    Array,
    ColSpec,
    ContractError,
    DataType,
    Map,
    ModelSignature,
    Object,
    Property,
    Sampler,
    Schema,
)
from sparksig.errors import OutputRefusedError, quote
from sparksig.jobs import score
from tests.spark import score_jobs

pytestmark = pytest.mark.once

ALL_ROWS = Sampler(rows=1000, method="uniform")
FRAGMENTS = [
    "${env:HOME}", "${spark.app.name}", "${system:user.home}", "${", "$", "`", "``", "'", '"', "\\", ".",
    "[0]", " ", "\n", "\t", "\0", "\x1b[2J", "\x7f", "\u2028", "\u202e", ";", "--", "/*", "*", ")", "= 1 or",
    "%41", "null", "value", "position", "item0", "cast(id as int)", "a", "A", "ß", "ẞ", "İ", "日本",
    "e\u0301", "😀",
]  # fmt: skip
NAMES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5
)
DAYS = [datetime.datetime(2024, 1, day) for day in (1, 2)]


def make_column(index, field):
    """Return the type and the three values of a column, whose objects have a field of this name."""
    entity = Object([Property(field, "long")])
    kinds = [
        ("long", [1, None, 3]),
        ("double", [0.5, 1.5, float("nan")]),
        ("string", ["x", None, "y"]),
        (entity, [{field: 1}, {field: None}, {field: 2}]),
        (Array(entity), [[{field: 1}], [{field: None}, {field: None}], []]),
        (Map("long"), [{field: 1}, {field: 2}, {field: None}]),
        ("boolean", [True, False, True]),
        ("datetime", [None, *DAYS]),
    ]
    return kinds[index % len(kinds)]


def make_table(spark, names, fields):
    """Return a DataFrame of columns of all kinds, and its schema with all columns required."""
    columns = [make_column(index, field) for index, field in enumerate(fields)]
    schema = Schema([ColSpec(dtype, name) for (dtype, _), name in zip(columns, names)])
    optional = Schema([ColSpec(spec.type, spec.name, required=False) for spec in schema])
    rows = list(zip(*(values for _, values in columns)))
    # with nulls at every depth
    nullable = T.StructType.fromJson(json.loads(optional.as_spark_schema().json().replace("false", "true")))
    return spark.createDataFrame(rows, nullable), schema


@pytest.fixture(scope="module")
def case_sensitive(spark):
    spark.conf.set("spark.sql.caseSensitive", "true")
    yield spark
    spark.conf.unset("spark.sql.caseSensitive")


class Total(sparksig.PythonModel):
    """A model that adds the integers of a row, with weights by the order of its columns."""

    def predict(self, model_input):
        numbers = model_input.select_dtypes("integer").to_numpy(dtype="float64", na_value=0)
        return numbers @ np.arange(1.0, numbers.shape[1] + 1)


def number_findings(findings, names):
    """Return findings with the numbers of their columns for the names."""
    numbers = {quote(name): index for index, name in enumerate(names)}
    results = []
    for finding in findings:
        column = next(
            numbers[path] for path in sorted(numbers, key=len, reverse=True) if finding.path.startswith(path)
        )
        results.append((finding.code.value, column, finding.count, finding.actual))
    return sorted(results, key=str)


def check_names(df, schema, names, mode, **options):
    report = sparksig.check(df, schema, mode, **options)
    nulls = [column.nulls for column in report.columns]
    return number_findings(report.findings, names), report.rows, report.bad_rows, nulls, report.examples


def describe(spark, home, names, fields):
    """Return the results of all functions for a table with these names of columns and fields."""
    df, schema = make_table(spark, names, fields)
    modes = {"schema": {}, "full": {"refuse_nan": True}, "sample": {"sampler": ALL_ROWS}}
    results = {mode: check_names(df, schema, names, mode, **options) for mode, options in modes.items()}
    good, bad = sparksig.split(df, schema, refuse_nan=True)
    results["split"] = good.count(), sorted(len(row["findings"]) for row in bad.collect())
    findings = df.select(sparksig.violations(schema, df.schema).alias("findings"))
    results["violations"] = [row[0] for row in findings.select(F.size("findings")).collect()]
    optional = Schema([ColSpec(spec.type, spec.name, required=False) for spec in schema if is_flat(spec)])
    signature = ModelSignature(optional, Schema([ColSpec("double")]))
    sparksig.save_model(home / "model", Total(), signature)
    scored = sparksig.score(df, home / "model", keep=names[-2:], column="a prediction", allow_pickle=True)
    assert scored.columns == [*names[-2:], "a prediction"]
    results["scored"] = [row["a prediction"] for row in scored.collect()]
    return results


def is_flat(spec):
    return spec.type in (DataType.long, DataType.double)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    count = itertools.count()
    return lambda: tmp_path_factory.mktemp(f"table{next(count)}")


@settings(max_examples=1)
@given(names=st.lists(NAMES, min_size=8, max_size=16, unique=True))
@example(names=FRAGMENTS)
def test_a_name_does_not_change_a_result(case_sensitive, files, names):
    plain = [f"c{index}" for index in range(len(names))]
    expected = describe(case_sensitive, files(), plain, ["field"] * len(names))
    assert describe(case_sensitive, files(), names, [names[-1], *names[:-1]]) == expected


@settings(max_examples=1)
@given(names=st.lists(NAMES, min_size=8, max_size=16, unique=True))
@example(names=FRAGMENTS)
def test_names_are_written_unchanged(case_sensitive, files, names):
    path = files() / "table"
    names = [name for name in names if "${" not in name]
    df, schema = make_table(case_sensitive, names, names)
    with pytest.raises(ContractError) as caught:
        sparksig.write(df, path, schema)
    findings = sparksig.check(df, schema, "full").findings
    assert number_findings(caught.value.findings, names) == number_findings(findings, names)
    for mode in ("error", "append"):
        assert sparksig.write(df, path, mode=mode).rows == 3
    stored = case_sensitive.read.parquet(str(path))
    assert stored.columns == names
    assert stored.schema.simpleString() == df.schema.simpleString()
    twice = sorted(map(str, df.collect() * 2))
    assert sorted(map(str, stored.collect())) == twice


@pytest.mark.parametrize("name", ["${spark.app.name}", "${env.HOME}", "${"])
@pytest.mark.parametrize("place", ["column", "field", "metadata"])
def test_names_that_spark_replaces_in_files_are_refused(spark, tmp_path, name, place):
    columns = {
        "column": F.col("id").alias(name),
        "field": F.struct(F.col("id").alias(name)).alias("a"),
        "metadata": F.col("id").alias("a", metadata={"comment": name}),
    }
    text = r"expected names and metadata without \$\{, in a table that Spark stores as Parquet"
    with pytest.raises(OutputRefusedError, match=text):
        sparksig.write(spark.range(2).select(columns[place]), tmp_path / "table")
    assert list(tmp_path.iterdir()) == []


def test_jobs_refuse_names_that_spark_reads_as_others(spark, tmp_path):
    score_jobs.table(tmp_path / "in", [1, 2], **{"${env.HOME}": [0.5, 1.5]})
    model = score_jobs.save_model(tmp_path / "model")
    config = score_jobs.config_of(model, tmp_path, engine="spark", output={"keep": "*"})
    with pytest.raises(ContractError, match=r"(?s)^the table cannot be scored with.*`\$\{env\.HOME\}`:"):
        score(config)
    assert score(score_jobs.config_of(model, tmp_path, engine="spark")).scored == 2
