"""Inputs of score jobs: CSV and JSON as declared, filters, tables by name; and paths of one directory."""

from __future__ import annotations

import json
from functools import partial

import pandas as pd
import pytest

from sparksig.errors import Code, ConfigError, ContractError, OutputRefusedError, TableNotFoundError
from sparksig.jobs import score
from sparksig.jobs.job_run import get_report
from tests.spark import score_jobs
from tests.spark.score_jobs import read, table


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return score_jobs.save_model(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def job(spark, model, tmp_path):
    """A function from changes to the configuration of a job."""
    return partial(score_jobs.config_of, model, tmp_path)


# --- CSV and JSON -----------------------------------------------------------------------------------------

LINES = {
    "csv": ["id,x,d,t", "0,8,1.5,2020-01-01T10:00:00", "1,8.5,1.5,", "2,8,1e999,", "3,8,,10:00", "4,8",
            "x,8,,"],
    "json": [
        '{"id": 0, "x": 8, "d": 1.5, "t": "2020-01-01T10:00:00"}', '{"id": 1, "x": 8.5}',
        '{"id": 2, "x": 8, "d": 1e999}', '{"id": 3, "x": 8, "t": "10:00"}', '{"id": 4, "x": 8', '{"x": 8}',
    ],
}  # fmt: skip
DDL = "id bigint not null, x bigint, d double, t timestamp_ntz"


@pytest.mark.parametrize("form", LINES)
def test_text_is_read_as_declared_or_not_at_all(job, tmp_path, form):
    """A fraction for a bigint, a number beyond a double, a time without a date, half a record, no id."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.txt").write_text("\n".join(LINES[form]))
    config = {"format": form, "schema": DDL, "filter": "x > 1"}
    with pytest.raises(
        Exception, match=r"the table '.*' differs from its declaration: one row in file:.*/0.txt"
    ) as error:
        score(job(input=config))
    assert get_report(error.value).exit_code == 3
    assert "8.5" not in get_report(error.value).to_json()
    assert not (tmp_path / "out").exists()
    bad = {"path": str(tmp_path / "bad")}
    report = score(job(input=config, output={"keep": ["id", "d", "t"]}, budget={"rows": 5}, quarantine=bad))
    assert (report.rows_in, report.scored, report.rejected) == (6, 1, 5)
    assert read(tmp_path / "out")[["id", "d", "prediction"]].values.tolist() == [[0, 1.5, 4.0]]
    records = pd.read_parquet(tmp_path / "bad").record.dropna().tolist()
    assert set(records) <= set(LINES[form][1:])
    assert len(records) == (4 if form == "csv" else 3)  # of the others Spark has read all there is
    assert {(finding.code, finding.path) for finding in report.findings} >= {
        (Code.INVALID_VALUE, ""), (Code.OUT_OF_RANGE, "d"),
    }  # fmt: skip


def test_text_of_which_nothing_is_kept(job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b%20ü.csv").write_text("id,x\n1,2\n1\n")
    report = score(
        job(input={"format": "csv", "schema": "id int, x int"}, output={"keep": []}, budget={"rows": 1})
    )
    assert (report.rows_in, report.rejected) == (2, 1)
    assert sorted(pd.read_parquet(tmp_path / "out").prediction.fillna(-1)) == [-1, 1]


def test_the_header_of_csv_is_that_of_the_declared_columns(job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.csv").write_text("x,id\n1,2\n")
    config = {"format": "csv", "schema": "id bigint, x bigint"}
    message = (
        r"expected a header with the declared names, in their order, got another first line in .*/0.csv "
    )
    with pytest.raises(ContractError, match=message):
        score(job(input=config))
    assert not (tmp_path / "out").exists()
    assert score(job(input={**config, "options": {"header": "false"}}, budget={"rows": 1})).rows_in == 2
    (tmp_path / "in" / "0.csv").write_text("id;x\n1;2\n")
    with pytest.raises(ContractError, match=message):
        score(job(input=config, output={"path": str(tmp_path / "other")}))


@pytest.mark.parametrize(("config", "path", "text"), [
    ({"schema": "id bigint, x decimal(5,2)"}, "input.schema.x", "double, or string"),
    ({"schema": "id bigint, x array<int>"}, "input.schema.x", "a scalar type, for CSV"),
    ({"schema": "id bigint, ID int"}, "input.schema.ID", "one column of that name"),
    ({"schema": "int"}, "input.schema", "columns as DDL"),
    ({"options": {"MODE": "DROPMALFORMED"}}, "input.options.MODE", "nothing"),
])  # fmt: skip
def test_what_text_is_not_read_as(job, tmp_path, config, path, text):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.csv").touch()
    with pytest.raises(ConfigError) as error:
        score(job(input={"format": "csv", "schema": "id bigint, x bigint", **config}))
    assert [(finding.path, finding.expected) for finding in error.value.findings] == [(path, text)]


@pytest.mark.parametrize("form", ["csv", "json", "delta", "parquet"])
def test_a_table_that_is_not_there(job, tmp_path, form):
    more = {"schema": "id int"} if form in ("csv", "json") else {}
    with pytest.raises(TableNotFoundError, match="there is no "):
        score(job(input={"format": form, **more}))
    if form != "parquet":
        (tmp_path / "in").mkdir()
        with pytest.raises(TableNotFoundError, match="there is no "):
            score(job(input={"format": form, **more}))


# --- filters, names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["x >", "nope > 1", "x + 1", "rand() > 0.5", "count(*) > 1"])
def test_a_filter_that_is_none(job, tmp_path, condition):
    table(tmp_path / "in", range(10))
    with pytest.raises(ConfigError, match=r"input\.filter: expected a condition in SQL, got another text"):
        score(job(input={"filter": condition}))


def test_a_filter_may_use_columns_that_are_not_inputs(job, spark, tmp_path):
    table(tmp_path / "in", range(10))
    report = score(job(input={"filter": "color = 'red' -- and no other"}))
    assert (report.rows_in, read(tmp_path / "out").id.tolist()) == (5, [0, 2, 4, 6, 8])
    none = score(job(input={"filter": "false"}, output={"path": str(tmp_path / "none")}))
    assert (none.rows_in, len(pd.read_parquet(tmp_path / "none"))) == (0, 0)
    spark.read.parquet(str(tmp_path / "in")).createOrReplaceTempView("an_input")
    named = score(job(input={"path": None, "table": "an_input"}, output={"path": str(tmp_path / "named")}))
    assert (named.rows_in, named.input["format"], named.input["files"]) == (10, "view", 1)
    with pytest.raises(TableNotFoundError, match="there is no table 'no_input'"):
        score(job(input={"path": None, "table": "no_input"}, output={"path": str(tmp_path / "no")}))
    with pytest.raises(ConfigError, match=r"input\.table: expected the name of a table in SQL"):
        score(job(input={"path": None, "table": "no input"}, output={"path": str(tmp_path / "no")}))


@pytest.mark.parametrize(("changes", "error", "text"), [
    ({"output": {"path": None, "table": "t"}}, ConfigError, "output.table: expected a path, for Parquet"),
    ({"output": {"mode": "overwrite", "path": "{in}"}}, OutputRefusedError, "is the input, or inside it"),
    ({"output": {"mode": "append", "path": "{}"}}, OutputRefusedError, "one is inside the"),
    ({"output": {"mode": "overwrite", "path": "{model}"}}, OutputRefusedError, "the model .* are the same"),
    ({"output": {"path": None, "table": "t", "format": "delta"}, "budget": {"rows": 1},
      "quarantine": {"table": "default.T", "format": "delta"}}, OutputRefusedError, "are one table, t;"),
    ({"quarantine": {"path": "{in}/bad"}, "budget": {"rows": 1}}, OutputRefusedError, "one is inside the"),
    ({"quarantine": {"path": "{}/out/bad"}, "budget": {"rows": 1}}, OutputRefusedError, "one is inside the"),
])  # fmt: skip
def test_places_in_each_other(job, model, tmp_path, changes, error, text):
    table(tmp_path / "in", range(10))
    result = json.loads(
        json.dumps(changes)
        .replace("{model}", str(model))
        .replace("{in}", f"{tmp_path}/in")
        .replace("{}/", f"{tmp_path}/")
        .replace("{}", str(tmp_path))
    )
    with pytest.raises(error, match=text):
        score(job(**result))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
