"""Rows of score jobs: budgets, quarantines, Delta; runs that died at any step; dry runs."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig.errors import (
    BudgetExceededError,
    Code,
    ConfigError,
    ContractError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
)
from sparksig.jobs import ScoreConfig, score, spark_outputs, staged_tables
from sparksig.jobs.job_run import get_report
from sparksig.jobs.score_plan import plan_score
from sparksig.jobs.staging import MARKER, StagingDirectory
from sparksig.spark.hadoop import HadoopPath
from tests.spark import models, score_jobs
from tests.spark.score_jobs import BAD, left, read, table

pytestmark = pytest.mark.once


def counted(frame, params):
    """Predict the number of rows of the batch, and x times the factor."""
    return pd.DataFrame({"n": [len(frame)] * len(frame), "a.b": frame["x"] * params["factor"]})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return score_jobs.save_model(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def job(spark, model, tmp_path):
    """A function from changes to the configuration of a job."""
    return partial(score_jobs.config_of, model, tmp_path)


# --- budgets and quarantines ----------------------------------------------------------------------------


def test_rejected_rows_go_to_the_quarantine_and_the_output_has_the_others(job, tmp_path):
    table(tmp_path / "in", BAD)
    report = score(job(budget={"rows": 2}, quarantine={"path": str(tmp_path / "bad")}, run_id="one"))
    assert (report.rows_in, report.scored, report.rejected) == (20, 18, 2)
    out, bad = read(tmp_path / "out"), read(tmp_path / "bad")
    assert out.columns.tolist() == ["id", "prediction"]
    assert out.prediction.tolist() == [value / 2 for value in BAD if value not in (13, None)]
    assert bad.columns.tolist() == ["id", "x", "findings", "run_id"]
    assert bad.id.tolist() == [13, 14]
    assert bad.run_id.astype(str).tolist() == ["one", "one"]
    assert [row[0]["code"] for row in bad.findings] == ["PREDICTION_FAILED", "NULL_IN_REQUIRED"]
    assert [(finding.code, finding.path, finding.count) for finding in report.findings] == [
        (Code.NULL_IN_REQUIRED, "x", 1), (Code.PREDICTION_FAILED, "", 1)
    ]  # fmt: skip
    assert report.findings[1].actual == "ValueError: 13 is a secret"
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
    ({"rows": 1}, "1 row"), ({"rows": 2, "share": 0.09}, "9 % of the rows"),
])  # fmt: skip
def test_a_budget_that_is_exceeded_leaves_nothing_anywhere(job, tmp_path, budget, limits):
    table(tmp_path / "in", BAD)
    message = (
        rf"^2 of 20 rows cannot be scored, and the budget is {limits}; nothing was written\n"
        r"  - x: expected long without nulls, got a null, once"
    )
    with pytest.raises(BudgetExceededError, match=message) as error:
        score(job(budget=budget, quarantine={"path": str(tmp_path / "bad")}))
    report = get_report(error.value)
    assert (report.rows_in, report.scored, report.rejected, report.exit_code) == (20, 18, 2, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_full_check_ends_a_job_that_would_exceed_its_budget_before_anything_is_scored(job, tmp_path):
    table(tmp_path / "in", [None] * 4 + [1] * 16)
    with pytest.raises(BudgetExceededError, match="4 of 20 rows cannot be scored") as error:
        score(job(budget={"rows": 3}, check={"mode": "full"}))
    assert "score" not in get_report(error.value).phases
    with pytest.raises(ContractError, match="x: expected long without nulls, got nulls, 4 times"):
        score(job(check={"mode": "full"}))
    report = score(job(budget={"rows": 4}, check={"mode": "sample"}))
    assert (report.rejected, report.check.ok, report.check.mode) == (4, False, "sample")


# --- runs that died ---------------------------------------------------------------------------------------


class Died(BaseException):
    """The driver is gone: nothing is tidied up behind it."""


def dying(monkeypatch, owner, name, *, after=False):
    """Have the driver die as soon as something is called, or has just been done."""
    real = getattr(owner, name)

    def die(*args, **named):
        if after:
            real(*args, **named)
        raise Died

    monkeypatch.setattr(owner, name, die)


MODULES = {"spark": spark_outputs, "direct": staged_tables}
"""The modules that publish the rows of an engine."""


@pytest.mark.parametrize("when", ["before the quarantine", "after the quarantine"])
@pytest.mark.parametrize("engine", MODULES)
def test_output_that_is_refused_late_leaves_no_quarantined_rows(job, tmp_path, monkeypatch, engine, when):
    table(tmp_path / "in", BAD)
    quarantine = {"path": str(tmp_path / "bad")}
    config = job(run_id="r", engine=engine, budget={"rows": 2}, quarantine=quarantine)
    publishing = MODULES[engine]
    quarantining = "publish_quarantine" if engine == "spark" else "_move_rejected"
    name = "_prepare_output" if when == "before the quarantine" else quarantining
    with monkeypatch.context() as patch:
        publish_part = getattr(publishing, name)

        def occupy_output(*arguments):
            patch.setattr(publishing, name, publish_part)
            if when == "after the quarantine":
                rows = publish_part(*arguments)
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "note.txt").touch()
            return rows if when == "after the quarantine" else publish_part(*arguments)

        patch.setattr(publishing, name, occupy_output)
        with pytest.raises(OutputRefusedError, match=r"'file:.*/out' already exists") as error:
            score(config)
    assert get_report(error.value).written == {}
    assert not list((tmp_path / "bad").rglob("*.parquet"))
    shutil.rmtree(tmp_path / "out")
    report = score(config)
    assert "score" not in report.phases
    assert read(tmp_path / "bad").id.tolist() == [13, 14]
    assert json.loads((tmp_path / "out" / MARKER).read_text())["quarantined"] == 2
    assert left(tmp_path) == []


def test_file_by_file_where_there_is_no_move_of_a_directory(job, tmp_path, monkeypatch):
    """Publish as on object stores, and die after the first file."""
    monkeypatch.setattr("sparksig.spark.hadoop._RENAMES_AT_ONCE", ())
    table(tmp_path / "in", range(12))
    config = job(run_id="r", output={"partition_by": ["color"], "keep": ["id", "color"]})
    with monkeypatch.context() as patch:
        published = []

        def die_at_the_second_file_of_the_output(source, target, move=HadoopPath.move_file_to):
            if "/out/" in target.uri:
                published.append(target)
            if len(published) == 2:
                raise Died
            move(source, target)

        patch.setattr(HadoopPath, "move_file_to", die_at_the_second_file_of_the_output)
        with pytest.raises(Died):
            score(config)
    assert not (tmp_path / "out" / MARKER).exists()
    (tmp_path / "out" / "stranger").touch()
    with pytest.raises(OutputRefusedError, match="that the run has not written"):
        score(config)
    (tmp_path / "out" / "stranger").unlink()
    begun = tmp_path / ".out.sparksig-r" / "publishing.json"
    result = json.loads(begun.read_text())
    begun.write_text(json.dumps({"files": [*result["files"], "z.parquet"]}))
    with pytest.raises(SparksigError, match="the staging and the output lack 1 file of the run"):
        score(config)
    assert begun.exists()
    begun.write_text(json.dumps(result))
    assert "score" not in score(config).phases
    assert read(tmp_path / "out").id.tolist() == list(range(12))
    assert left(tmp_path) == []
    assert score(config).status == "repeated"


@pytest.mark.parametrize("engine", MODULES)
@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_runs_beside_each_other_and_over_each_other(job, tmp_path, monkeypatch, engine, mode):
    table(tmp_path / "in", range(10))
    score(job(run_id="old", engine=engine, output={"mode": mode}))
    config = job(run_id="new", engine=engine, output={"mode": mode})
    with monkeypatch.context() as patch:
        dying(patch, MODULES[engine], "mark_directory")
        with pytest.raises(Died):
            score(config)
    assert "score" not in score(config).phases
    assert score(config).status == "repeated"
    out = read(tmp_path / "out")
    runs = {"append": ["new", "old"] * 10, "overwrite": None}[mode]
    assert len(out) == (20 if runs else 10)
    assert "run_id" not in out if runs is None else sorted(out.run_id.astype(str)) == sorted(runs)
    assert left(tmp_path) == []


@pytest.mark.parametrize("engine", MODULES)
def test_what_was_scored_of_something_else_is_scored_anew(job, tmp_path, monkeypatch, engine):
    table(tmp_path / "in", range(10))
    config = job(run_id="r", engine=engine)
    with monkeypatch.context() as patch:
        dying(patch, StagingDirectory, "note_publishing")
        with pytest.raises(Died):
            score(config)
    pq.write_table(pa.table({"id": [10], "x": [10], "color": ["red"]}), tmp_path / "in" / "more.parquet")
    with monkeypatch.context() as patch:
        dying(patch, spark_outputs, "publish_output" if engine == "spark" else "publish_tables")
        with pytest.raises(Died):
            score(config)
    changed = job(run_id="r", engine=engine, output={"column": "half"})
    with pytest.raises(
        OutputRefusedError, match="was being published, and is started again with another config"
    ):
        score(changed)
    (tmp_path / "in" / "more.parquet").unlink()  # a started publication is completed
    assert score(config).rows_in == 11
    assert len(read(tmp_path / "out")) == 11


def test_what_was_scored_of_a_view_is_scored_anew(job, spark, tmp_path, monkeypatch):
    """Nothing tells whether it shows the same rows."""
    config = job(run_id="r", input={"path": None, "table": "changing"})
    with monkeypatch.context() as patch:
        spark.sql("select id, id as x from range(3)").createOrReplaceTempView("changing")
        dying(patch, StagingDirectory, "note_publishing")
        with pytest.raises(Died):
            score(config)
    spark.sql("select id, id as x from range(4)").createOrReplaceTempView("changing")
    assert score(config).rows_in == 4


def test_the_name_of_a_run_that_was_done_is_taken(job, tmp_path, capsys):
    """By another model, another configuration, another input; and its rows in the quarantine are its own."""
    table(tmp_path / "in", BAD)
    own = {"run_id": "r", "budget": {"rows": 2}, "quarantine": {"path": str(tmp_path / "bad")}}
    config = job(**own)
    score(config)
    with pytest.raises(OutputRefusedError, match="the run r was done before, with another configuration"):
        score(job(**own, output={"column": "half"}))
    other = score_jobs.save_model(tmp_path / "other", models.Returning(counted))
    with pytest.raises(OutputRefusedError, match="the run r was done before, with another model"):
        score(score_jobs.config_of(other, tmp_path, **own))
    capsys.readouterr()
    assert score(config).status == "repeated"
    assert capsys.readouterr().err == ""
    plan = plan_score(config)
    assert (plan.known, plan.findings, plan.exit_code) == (True, (), 0)
    assert "run              r, which was done before, or is being published" in str(plan)
    (tmp_path / "in" / "0.parquet").touch()
    assert score(config).status == "repeated"
    assert "the run r was done before, and its input has changed since" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "out")
    for do in (score, plan_score):
        with pytest.raises(OutputRefusedError, match="has rows of a run r already, which is not this one"):
            do(config)
    assert read(tmp_path / "bad").id.tolist() == [13, 14]
    assert not (tmp_path / "out").exists()


def test_columns_that_are_called_as_the_job_calls_its_own_are_not_lost(job, tmp_path):
    table(tmp_path / "in", range(10), **{"sparksig note": ["x"] * 10})
    config = {"output": {"keep": "*"}, "budget": {"rows": 2}}
    plan = plan_score(job(**config, quarantine={"path": str(tmp_path / "bad")}))
    assert [(finding.code, finding.path) for finding in plan.findings] == [
        (Code.INVALID_NAME, "sparksig note")
    ]
    assert "sparksig note" in dict(plan_score(job(**config)).columns)


def test_a_staging_that_the_run_has_not_made_is_left_as_it_is(job, tmp_path):
    table(tmp_path / "in", range(10))
    (tmp_path / ".out.sparksig-r").mkdir()
    (tmp_path / ".out.sparksig-r" / "precious").touch()
    with pytest.raises(OutputRefusedError, match="it has 'precious', which no run writes"):
        score(job(run_id="r"))
    assert (tmp_path / ".out.sparksig-r" / "precious").exists()


def test_rows_that_are_not_in_the_files_are_missed(job, tmp_path, monkeypatch):
    table(tmp_path / "in", range(10))
    monkeypatch.setattr("sparksig.jobs.spark_engine.count_rows", lambda place: 9)
    with pytest.raises(
        SparksigError, match="10 rows were read, 10 scored, 0 rejected, and 9 are in the files"
    ):
        score(job())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_another_file_system_and_names_that_are_odd(job, spark, tmp_path, monkeypatch):
    """A path that only Hadoop knows: all operations on files go through Hadoop."""
    home = tmp_path / "a b%20ü=1"
    home.mkdir()
    table(home / "in", BAD)
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("fs.viewfs.mounttable.default.link./data", f"file://{tmp_path}")
    place = f"viewfs:///data/{home.name}"
    config = job(
        run_id="r",
        input={"path": f"{place}/in"},
        output={"path": f"{place}/out", "partition_by": ["color"], "keep": ["id", "color"]},
        budget={"rows": 2},
        quarantine={"path": f"{place}/bad"},
    )
    with monkeypatch.context() as patch:
        dying(patch, HadoopPath, "move_to")
        with pytest.raises(Died):
            score(config)
    report = score(config)
    assert "score" not in report.phases
    assert (report.scored, report.rejected, report.input["files"]) == (18, 2, 2)
    assert len(read(home / "out")) == 18
    assert left(home) == []
    assert score(config).status == "repeated"
    with pytest.raises(OutputRefusedError, match="nothing was written"):
        score(config.model_copy(update={"run_id": None}))
    with pytest.raises(TableNotFoundError, match="there is no Parquet table at 'viewfs:///data/nope'"):
        score(job(input={"path": "viewfs:///data/nope"}, output={"path": f"{place}/no"}))


def test_what_a_configuration_says_of_the_model(spark, tmp_path):
    """Params, batch size, outputs as columns beside a quarantine; another type, another method."""
    params = sparksig.ParamSchema([sparksig.ParamSpec("factor", "double", 1.0)])
    outputs = {"n": "long", "a.b": "double"}
    path = models.save_python(tmp_path / "m", models.Returning(counted), {"x": "long"}, outputs, params)
    table(tmp_path / "in", [*range(9), None])
    config = {
        "model": {"path": path, "allow_pickle": True, "batch_rows": 4},
        "input": {"path": str(tmp_path / "in")},
        "output": {"path": str(tmp_path / "out"), "column": "x", "keep": [], "flatten": True},
        "params": {"factor": 2.5},
        "budget": {"rows": 1},
        "quarantine": {"path": str(tmp_path / "bad")},
    }
    assert score(ScoreConfig.model_validate(config)).scored == 9
    out = pd.read_parquet(tmp_path / "out")
    assert out.columns.tolist() == ["x_n", "x_a.b"]
    assert sorted(out["x_a.b"]) == [2.5 * number for number in range(9)]
    assert 1 <= out["x_n"].max() <= 4
    config["output"] = {"path": str(tmp_path / "two"), "keep": ["id"]}
    config["quarantine"] = {"path": str(tmp_path / "bad two")}
    config["model"]["result_type"] = "n bigint, `a.b` double"
    assert score(ScoreConfig.model_validate(config)).scored == 9
    wrong = [
        ({"model": {"method": "other"}}, "model.method: expected a method that predicts, got another"),
        (
            {"model": {"result_type": "n nothing"}},
            "model.result_type: expected a type for predictions, as DDL",
        ),
        ({"params": {"factor": "x", "fctr": 1}}, "params.factor: "),
    ]
    config["output"]["path"] = str(tmp_path / "none")
    for changes, text in wrong:
        told = config | {name: config[name] | section for name, section in changes.items()}
        with pytest.raises(
            ConfigError, match=rf"the configuration is wrong: [12] finding(.|\n)*{re.escape(text)}"
        ):
            score(ScoreConfig.model_validate(told))


def test_a_single_output_is_not_taken_apart(job, tmp_path):
    table(tmp_path / "in", range(10))
    with pytest.raises(
        ConfigError,
        match=r"output\.flatten: expected false, because each prediction is a single value, got true",
    ):
        score(job(output={"flatten": True}))


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
        dying(patch, spark_outputs, "publish_output", after=True)
        with pytest.raises(Died):
            score(config)
    out = place["table"] or place["path"]
    assert len(delta_rows(spark, out)) == 4
    report = score(config)  # it is there: nothing is written again
    assert (report.status, report.rows_in, len(delta_rows(spark, out))) == ("repeated", 4, 4)
    with pytest.raises(OutputRefusedError, match="the run r was done before, with another configuration"):
        score(job(run_id="r", **changes, check={"mode": "sample"}))  # another job, into the same table
    more = spark.sql("select id, id as x from range(4, 6)").write.format("delta").mode("append")
    more.saveAsTable("given") if named else more.save(str(tmp_path / "in"))
    report = score(job(run_id="s", **changes))
    assert (report.rows_in, report.input["version"], report.input["format"]) == (6, 1, "delta")
    assert delta_rows(spark, out) == sorted([(number, number / 2) for number in [*range(4), *range(6)]])
    if named:
        spark.sql("drop table given")
        spark.sql("drop table scored")
        return
    old = job(run_id="t", **{**changes, "input": {**given, "version": 0}})
    assert score(old).rows_in == 4
    with pytest.raises(TableNotFoundError, match=r"there is no.* table at .* in version 9$"):
        score(job(**{**changes, "input": {**given, "version": 9}}))
    assert left(tmp_path) == []


# --- dry runs ---------------------------------------------------------------------------------------------


def test_a_dry_run_reports_all_findings_and_changes_nothing(job, tmp_path, jobs_started):
    table(tmp_path / "in", range(20), day=pa.array([1] * 20, pa.int16()))
    plan = plan_score(job(input={"filter": "id > 1"}, output={"keep": ["id", "day"]}, budget={"share": 0.01}))
    assert (plan.findings, plan.exit_code, plan.files) == ((), 0, 1)
    assert (plan.engine, plan.engine_reason) == ("direct", "1 task")
    assert plan.columns == (
        ("id", "bigint"), ("day", "smallint"), ("prediction", "double"),
        ("findings", "array<struct<code:string,path:string,detail:string>>"),
    )  # fmt: skip
    assert (plan.input["files"], plan.budget, plan.write.mode) == (2, "1 % of the rows", "error")
    message = str(plan)
    assert "output files     about 1" in message
    assert f"create {tmp_path / 'out'} (parquet)" in message
    assert json.loads(plan.to_json())["input"]["sha256"] == plan.input["sha256"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_dry_run_reports_findings(job, spark, tmp_path):
    spark.sql("select id, string(id) as x from range(3)").createOrReplaceTempView("texts")
    plan = plan_score(job(input={"path": None, "table": "texts"}, output={"keep": ["idd"]}))
    assert [(finding.code, finding.path) for finding in plan.findings] == [
        (Code.TYPE_MISMATCH, "x"), (Code.MISSING_COLUMN, "idd")
    ]  # fmt: skip
    assert plan.exit_code == 3
    assert "  - x: expected long, got string" in str(plan)
    spark.sql("select int(id) as id, int(id) as x from range(3)").createOrReplaceTempView("numbers")
    assert plan_score(job(input={"path": None, "table": "numbers"})).casts == (("x", "int", "bigint"),)
    table(tmp_path / "out", range(10))
    plan = plan_score(job(input={"path": None, "table": "numbers"}, output={"mode": "append"}))
    assert plan.exit_code == 6
    assert plan.findings
