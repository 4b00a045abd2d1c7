"""What a score job does with its rows: formats, filters, budgets, quarantines; runs that died; dry runs."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig.errors import (
    BudgetExceededError,
    Code,
    ConfigError,
    ContractError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
)
from sparksig.jobs import ScoreConfig, score
from sparksig.jobs import outputs as publishing
from sparksig.jobs.places import Place
from sparksig.jobs.record import report_of
from sparksig.jobs.score_plan import plan_score
from sparksig.jobs.staging import MARKER
from tests.spark import models


def halves(frame, params):
    """Half of x; an error where x is 13, which is told without its text."""
    if (frame["x"] == 13).any():
        raise ValueError("13 is a secret")
    return frame["x"] / 2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """x, a required long, to a half of it."""
    home = tmp_path_factory.mktemp("model")
    return models.save_python(home / "m", models.Returning(halves), {"x": "long"}, {"y": "double"})


@pytest.fixture
def job(spark, model, tmp_path):
    """A function from changes of a configuration to the report of its run."""
    base = {
        "model": {"path": model, "allow_pickle": True},
        "input": {"path": str(tmp_path / "in")},
        "output": {"path": str(tmp_path / "out"), "keep": ["id"]},
    }

    def config(**changes):
        told = {name: dict(section) for name, section in base.items()}
        for name, value in changes.items():
            told[name] = {**told.get(name, {}), **value} if isinstance(value, dict) else value
        return ScoreConfig.model_validate(told)

    return config


def table(path, x, **more):
    """A table of Parquet: id, x, a color, in as many files as there are tens of rows."""
    path.mkdir()
    rows = len(x)
    whole = pa.table(
        {"id": range(rows), "x": pa.array(x, pa.int64()), "color": ["red", "blue"] * (rows // 2), **more}
    )
    for at in range(0, rows, 10):
        pq.write_table(whole.slice(at, 10), path / f"{at}.parquet")


def read(path):
    """What other readers see in a directory of Parquet."""
    return pd.read_parquet(path).sort_values("id", ignore_index=True)


def left(path):
    """Hidden directories that were left over."""
    return [one.name for one in path.iterdir() if one.name.startswith(".") and "sparksig" in one.name]


BAD = [*range(13), 13, None, *range(15, 20)]
"""Twenty values: the model refuses one of them, the contract another."""


# --- budgets and quarantines ----------------------------------------------------------------------------


def test_rejected_rows_go_to_the_quarantine_and_the_output_has_the_others(job, tmp_path):
    table(tmp_path / "in", BAD)
    report = score(job(budget={"rows": 2}, quarantine={"path": str(tmp_path / "bad")}, run_id="one"))
    assert (report.rows_in, report.scored, report.rejected) == (20, 18, 2)
    out, bad = read(tmp_path / "out"), read(tmp_path / "bad")
    assert out.columns.tolist() == ["id", "prediction"]
    assert out.prediction.tolist() == [one / 2 for one in BAD if one not in (13, None)]
    assert bad.columns.tolist() == ["id", "x", "findings", "run_id"]
    assert bad.id.tolist() == [13, 14]
    assert bad.run_id.astype(str).tolist() == ["one", "one"]
    assert [row[0]["code"] for row in bad.findings] == ["PREDICTION_FAILED", "NULL_IN_REQUIRED"]
    assert [(one.code, one.path, one.count) for one in report.findings] == [
        (Code.NULL_IN_REQUIRED, "x", 1), (Code.PREDICTION_FAILED, "", 1)
    ]  # fmt: skip
    assert "secret" not in report.to_json()
    assert report.written == {str(tmp_path / "out"): 18, str(tmp_path / "bad"): 2}
    assert left(tmp_path) == []


def test_without_a_quarantine_the_output_has_all_rows_and_why_some_have_no_prediction(job, tmp_path):
    table(tmp_path / "in", BAD)
    report = score(job(budget={"share": 0.1}, output={"keep": "*"}))
    out = read(tmp_path / "out")
    assert out.columns.tolist() == ["id", "x", "color", "prediction", "findings"]
    assert (len(out), report.scored, report.rejected) == (20, 18, 2)
    assert out.prediction.isna().tolist() == out.findings.notna().tolist()


@pytest.mark.parametrize(("budget", "limits"), [
    ({"rows": 1}, "1 rows"), ({"rows": 2, "share": 0.09}, "9 % of the rows"),
])  # fmt: skip
def test_a_budget_that_is_exceeded_leaves_nothing_anywhere(job, tmp_path, budget, limits):
    table(tmp_path / "in", BAD)
    told = (
        rf"^2 of 20 rows cannot be scored, and the budget is {limits}; nothing was written\n"
        r"  - x: expected long without nulls, found a null, once"
    )
    with pytest.raises(BudgetExceededError, match=told) as error:
        score(job(budget=budget, quarantine={"path": str(tmp_path / "bad")}))
    report = report_of(error.value)
    assert (report.rows_in, report.scored, report.rejected, report.exit_code) == (20, 18, 2, 4)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in"]


def test_a_full_check_ends_a_job_that_would_exceed_its_budget_before_anything_is_scored(job, tmp_path):
    table(tmp_path / "in", [None] * 4 + [1] * 16)
    with pytest.raises(BudgetExceededError, match="4 of 20 rows cannot be scored") as error:
        score(job(budget={"rows": 3}, check={"mode": "full"}))
    assert "score" not in report_of(error.value).phases
    with pytest.raises(ContractError, match="x: expected long without nulls, found nulls, 4 times"):
        score(job(check={"mode": "full"}))
    report = score(job(budget={"rows": 4}, check={"mode": "sample"}))
    assert (report.rejected, report.check.ok, report.check.mode) == (4, False, "sample")


# --- runs that died ---------------------------------------------------------------------------------------


class Died(BaseException):
    """The driver is gone: nothing is tidied up behind it."""


def dying(monkeypatch, owner, name, *, after=False, calls=1):
    """Have the driver die as soon as something is called for the nth time, or has just been done."""
    real, left_to_go = getattr(owner, name), [calls]

    def die(*args, **named):
        left_to_go[0] -= 1
        if left_to_go[0]:
            return real(*args, **named)
        if after:
            real(*args, **named)
        raise Died

    monkeypatch.setattr(owner, name, die)


DEATHS = {
    "all is scored": (publishing.Publication, "publish", {}),
    "publishing has begun": (publishing.Publication, "_publish_quarantine", {}),
    "the quarantine is written": (publishing.Publication, "_publish_quarantine", {"after": True}),
    "the output has its final form": (Place, "move_to", {}),
    "the output is there": (Place, "move_to", {"after": True}),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_run_that_died_is_brought_to_its_end_by_its_name(job, tmp_path, monkeypatch, death):
    table(tmp_path / "in", BAD)
    config = job(run_id="r", budget={"rows": 2}, quarantine={"path": str(tmp_path / "bad")})
    with monkeypatch.context() as patch:
        owner, name, how = DEATHS[death]
        dying(patch, owner, name, **how)
        with pytest.raises(Died):
            score(config)
    assert left(tmp_path) == [".out.sparksig-r"]
    report = score(config)
    assert "score" not in report.phases  # the model was not asked again
    assert report.status == ("repeated" if death == "the output is there" else "done")
    assert (report.rows_in, report.scored, report.rejected) == (20, 18, 2)
    assert read(tmp_path / "out").id.tolist() == [*range(13), *range(15, 20)]
    assert read(tmp_path / "bad").id.tolist() == [13, 14]
    assert left(tmp_path) == []
    before = sorted(one.name for one in (tmp_path / "out").iterdir())
    assert score(config).status == "repeated"
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == before
    with pytest.raises(OutputRefusedError, match="something is at the output's place already"):
        score(config.model_copy(update={"run_id": "another"}))


def test_file_by_file_where_there_is_no_move_of_a_directory(job, tmp_path, monkeypatch):
    """As on object stores; it dies after the first file."""
    monkeypatch.setattr("sparksig.jobs.places._RENAMES_AT_ONCE", ())
    table(tmp_path / "in", range(12))
    config = job(run_id="r", output={"partition_by": ["color"], "keep": ["id", "color"]})
    with monkeypatch.context() as patch:
        dying(patch, Place, "move_file_to", calls=2)
        with pytest.raises(Died):
            score(config)
    assert not (tmp_path / "out" / MARKER).exists()
    (tmp_path / "out" / "stranger").touch()
    with pytest.raises(OutputRefusedError, match="that the run has not made"):
        score(config)
    (tmp_path / "out" / "stranger").unlink()
    assert "score" not in score(config).phases
    assert read(tmp_path / "out").id.tolist() == list(range(12))
    assert left(tmp_path) == []
    assert score(config).status == "repeated"


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_runs_beside_each_other_and_over_each_other(job, tmp_path, monkeypatch, mode):
    table(tmp_path / "in", range(10))
    score(job(run_id="old", output={"mode": mode}))
    config = job(run_id="new", output={"mode": mode})
    with monkeypatch.context() as patch:
        dying(patch, publishing.Publication, "_mark")
        with pytest.raises(Died):
            score(config)
    assert "score" not in score(config).phases
    assert score(config).status == "repeated"
    out = read(tmp_path / "out")
    runs = {"append": ["new", "old"] * 10, "overwrite": None}[mode]
    assert len(out) == (20 if runs else 10)
    assert "run_id" not in out if runs is None else sorted(out.run_id.astype(str)) == sorted(runs)
    assert left(tmp_path) == []


def test_what_was_scored_of_something_else_is_scored_anew(job, tmp_path, monkeypatch):
    table(tmp_path / "in", range(10))
    config = job(run_id="r")
    with monkeypatch.context() as patch:
        dying(patch, publishing.Publication, "publish")
        with pytest.raises(Died):
            score(config)
    pq.write_table(pa.table({"id": [10], "x": [10], "color": ["red"]}), tmp_path / "in" / "more.parquet")
    with monkeypatch.context() as patch:
        dying(patch, publishing.Publication, "_publish_output")
        with pytest.raises(Died):
            score(config)
    changed = job(run_id="r", output={"column": "half"})
    with pytest.raises(
        OutputRefusedError, match="was being published, and is started again with another config"
    ):
        score(changed)
    (tmp_path / "in" / "more.parquet").unlink()  # what is being published is published
    assert score(config).rows_in == 11
    assert len(read(tmp_path / "out")) == 11


def test_a_staging_that_the_run_has_not_made_is_left_as_it_is(job, tmp_path):
    table(tmp_path / "in", range(10))
    (tmp_path / ".out.sparksig-r").mkdir()
    (tmp_path / ".out.sparksig-r" / "precious").touch()
    with pytest.raises(OutputRefusedError, match="is not as the run r leaves it: 'precious'"):
        score(job(run_id="r"))
    assert (tmp_path / ".out.sparksig-r" / "precious").exists()


def test_an_input_that_changes_while_it_is_read_is_not_published(job, tmp_path, monkeypatch):
    table(tmp_path / "in", range(10))

    def finish(place):
        (tmp_path / "in" / "0.parquet").touch()
        return 10

    monkeypatch.setattr("sparksig.jobs.score_job._rows_at", finish)
    with pytest.raises(SparksigError, match="the input changed while it was read: 1 files, first "):
        score(job())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in"]


def test_rows_that_are_not_in_the_files_are_missed(job, tmp_path, monkeypatch):
    table(tmp_path / "in", range(10))
    monkeypatch.setattr("sparksig.jobs.score_job._rows_at", lambda place: 9)
    with pytest.raises(
        SparksigError, match="10 rows were read, 10 scored, 0 rejected, and 9 are in the files"
    ):
        score(job())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in"]


# --- Delta ------------------------------------------------------------------------------------------------


def delta_rows(spark, place):
    frame = spark.read.format("delta").load(str(place)) if "/" in str(place) else spark.table(place)
    return sorted(tuple(row) for row in frame.collect())


@pytest.mark.parametrize("named", [False, True], ids=["a path", "a name"])
def test_delta_from_version_to_version(job, delta, tmp_path, monkeypatch, named):
    """The version that the table has as the run begins; a commit by each run, once."""
    spark = delta
    place = {"path": None, "table": "scored"} if named else {"path": str(tmp_path / "out"), "table": None}
    given = {"path": None, "table": "given"} if named else {"path": str(tmp_path / "in"), "table": None}
    rows = spark.sql("select id, id as x from range(4)").write.format("delta")
    rows.saveAsTable("given") if named else rows.save(str(tmp_path / "in"))
    given |= {"format": "parquet" if named else "delta"}
    changes = {"input": given, "output": {**place, "format": "delta", "mode": "append"}}
    config = job(run_id="r", **changes)
    with monkeypatch.context() as patch:
        dying(patch, publishing.Publication, "_publish_output", after=True)
        with pytest.raises(Died):
            score(config)
    out = place["table"] or place["path"]
    assert len(delta_rows(spark, out)) == 4
    report = score(config)  # it is there: nothing is written again
    assert (report.status, len(delta_rows(spark, out))) == ("repeated", 4)
    more = spark.sql("select id, id as x from range(4, 6)").write.format("delta").mode("append")
    more.saveAsTable("given") if named else more.save(str(tmp_path / "in"))
    report = score(job(run_id="s", **changes))
    assert (report.rows_in, report.input["version"], report.input["format"]) == (6, 1, "delta")
    assert delta_rows(spark, out) == sorted([(one, one / 2) for one in [*range(4), *range(6)]])
    old = job(run_id="t", **{**changes, "input": {**given, "version": 0}})
    assert score(old).rows_in == 4
    with pytest.raises(TableNotFoundError, match=r"there is no.* table at .* in version 9$"):
        score(job(**{**changes, "input": {**given, "version": 9}}))
    assert left(tmp_path) == []
    if named:
        spark.sql("drop table given")
        spark.sql("drop table scored")


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
    given = {"format": form, "schema": DDL, "filter": "x > 1"}
    with pytest.raises(
        Exception, match=r"the table '.*' is not as declared: one row in file:.*/0.txt"
    ) as error:
        score(job(input=given))
    assert report_of(error.value).exit_code == 3
    assert "8.5" not in report_of(error.value).to_json()
    assert not (tmp_path / "out").exists()
    bad = {"path": str(tmp_path / "bad")}
    report = score(job(input=given, output={"keep": ["id", "d", "t"]}, budget={"rows": 5}, quarantine=bad))
    assert (report.rows_in, report.scored, report.rejected) == (6, 1, 5)
    assert read(tmp_path / "out")[["id", "d", "prediction"]].values.tolist() == [[0, 1.5, 4.0]]
    records = pd.read_parquet(tmp_path / "bad").record.dropna().tolist()
    assert set(records) <= set(LINES[form][1:])
    assert len(records) == (4 if form == "csv" else 3)  # of the others Spark has read all there is
    assert {(one.code, one.path) for one in report.findings} >= {
        (Code.INVALID_VALUE, ""), (Code.OUT_OF_RANGE, "d"),
    }  # fmt: skip


def test_the_header_of_csv_is_that_of_the_declared_columns(job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.csv").write_text("x,id\n1,2\n")
    given = {"format": "csv", "schema": "id bigint, x bigint"}
    told = r"expected a header with the declared names, in their order, found another first line in .*/0.csv "
    with pytest.raises(ContractError, match=told):
        score(job(input=given))
    assert not (tmp_path / "out").exists()
    assert score(job(input={**given, "options": {"header": "false"}}, budget={"rows": 1})).rows_in == 2


@pytest.mark.parametrize(("given", "path", "text"), [
    ({"schema": "id bigint, x decimal(5,2)"}, "input.schema.x", "double, or string"),
    ({"schema": "id bigint, x array<int>"}, "input.schema.x", "a scalar, as CSV has them"),
    ({"schema": "id bigint, ID int"}, "input.schema.ID", "one column of that name"),
    ({"schema": "int"}, "input.schema", "columns as DDL"),
    ({"options": {"MODE": "DROPMALFORMED"}}, "input.options.MODE", "nothing"),
])  # fmt: skip
def test_what_text_is_not_read_as(job, tmp_path, given, path, text):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.csv").touch()
    with pytest.raises(ConfigError) as error:
        score(job(input={"format": "csv", "schema": "id bigint, x bigint", **given}))
    assert [(one.path, one.expected) for one in error.value.findings] == [(path, text)]


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
    with pytest.raises(ConfigError, match=r"input\.filter: expected a condition in SQL, found another text"):
        score(job(input={"filter": condition}))


def test_a_filter_may_ask_for_columns_that_nobody_else_reads(job, spark, tmp_path):
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
    with pytest.raises(ConfigError, match=r"input\.table: expected the name of a table, as SQL has it"):
        score(job(input={"path": None, "table": "no input"}, output={"path": str(tmp_path / "no")}))


@pytest.mark.parametrize(("changes", "error", "text"), [
    ({"output": {"path": None, "table": "t"}}, ConfigError, "output.table: expected a path, for Parquet"),
    ({"output": {"mode": "overwrite", "path": "{in}"}}, OutputRefusedError, "is the input, or in it"),
    ({"output": {"mode": "append", "path": "{}"}}, OutputRefusedError, "one is in the"),
    ({"quarantine": {"path": "{in}/bad"}, "budget": {"rows": 1}}, OutputRefusedError, "one is in the"),
    ({"quarantine": {"path": "{}/out/bad"}, "budget": {"rows": 1}}, OutputRefusedError, "one is in the"),
])  # fmt: skip
def test_places_in_each_other(job, tmp_path, changes, error, text):
    table(tmp_path / "in", range(10))
    told = json.loads(
        json.dumps(changes)
        .replace("{in}", f"{tmp_path}/in")
        .replace("{}/", f"{tmp_path}/")
        .replace("{}", str(tmp_path))
    )
    with pytest.raises(error, match=text):
        score(job(**told))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in"]


# --- dry runs ---------------------------------------------------------------------------------------------


def test_a_dry_run_tells_all_and_does_nothing(job, tmp_path, jobs_started):
    table(tmp_path / "in", range(20), day=pa.array([1] * 20, pa.int16()))
    plan = plan_score(job(input={"filter": "id > 1"}, output={"keep": ["id", "day"]}, budget={"share": 0.01}))
    assert (plan.findings, plan.exit_code, plan.files) == ((), 0, 2)
    assert plan.columns == (
        ("id", "bigint"), ("day", "smallint"), ("prediction", "double"),
        ("findings", "array<struct<code:string,path:string,detail:string>>"),
    )  # fmt: skip
    assert (plan.input["files"], plan.budget, plan.write.mode) == (2, "1 % of the rows", "error")
    told = str(plan)
    assert "output files     at most 2" in told
    assert f"create {tmp_path / 'out'} (parquet)" in told
    assert json.loads(plan.to_json())["input"]["sha256"] == plan.input["sha256"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in"]


def test_a_dry_run_tells_what_is_wrong(job, spark, tmp_path):
    spark.sql("select id, string(id) as x from range(3)").createOrReplaceTempView("texts")
    plan = plan_score(job(input={"path": None, "table": "texts"}, output={"keep": ["idd"]}))
    assert [(one.code, one.path) for one in plan.findings] == [
        (Code.TYPE_MISMATCH, "x"), (Code.MISSING_COLUMN, "idd")
    ]  # fmt: skip
    assert plan.exit_code == 3
    assert "  - x: expected long, found string" in str(plan)
    spark.sql("select int(id) as id, int(id) as x from range(3)").createOrReplaceTempView("numbers")
    assert plan_score(job(input={"path": None, "table": "numbers"})).casts == (("x", "int", "bigint"),)
    table(tmp_path / "out", range(10))
    plan = plan_score(job(input={"path": None, "table": "numbers"}, output={"mode": "append"}))
    assert plan.exit_code == 6
    assert plan.findings
