"""Failures of jobs on a real session as a person reads them: exit code, short message, log, report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sparksig
from sparksig.jobs import run
from tests.jobs.test_failures import check_message
from tests.spark import models
from tests.spark.score_jobs import config_of, halves, save_model, table

pytestmark = pytest.mark.once

HOME = Path(__file__).parents[2]


def raises(frame, params):
    """Fail on the fifteenth row of the second file."""
    if (frame["x"] == 25).any():
        raise ValueError("no exchange rate for XAU \x1b[2J")
    return frame["x"] / 2


def needs_a_library(frame, params):
    import a_library_of_another_machine

    return a_library_of_another_machine


def returns_too_few(frame, params):
    return [1.0]


def ends_its_process(frame, params):
    os.kill(os.getpid(), 9)


def calls_exit(frame, params):
    sys.exit("bye")


def quotes_its_input(frame, params):
    raise ValueError("cannot parse " + "0" * 1_000_000)


MODELS = (halves, raises, needs_a_library, returns_too_few, ends_its_process, calls_exit, quotes_its_input)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    for function in MODELS:
        save_model(home / function.__name__, models.Returning(function))
    return home


@pytest.fixture
def job(spark, saved, tmp_path, capfd):
    """A function that runs the job with a model and changes: its exit code, its message, its report."""
    table(tmp_path / "in", list(range(30)))

    def call(function=halves, **changes):
        path = tmp_path / "report.json"
        config = config_of(str(saved / function.__name__), tmp_path, report={"json": str(path)})
        body = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for key, value in changes.items():
            body[key] = {**body.get(key, {}), **value} if isinstance(value, dict) else value
        (tmp_path / "job.yaml").write_text(json.dumps(body))
        capfd.readouterr()
        code = run("score", ["--config", str(tmp_path / "job.yaml")])
        message = re.sub(r"^\w+: \d+ %, .*\n", "", capfd.readouterr().err, flags=re.MULTILINE)  # progress
        return code, message, json.loads(path.read_text())

    return call


OF_MODELS = {
    "exception": (raises, 10, r"the model raised ValueError: no exchange rate for XAU \\x1b\[2J"),
    "missing library": (needs_a_library, 10, r"'a_library_of\w+'(?s:.*)\n  install it for \S+ on "),
    "too few predictions": (returns_too_few, 3, "expected one prediction for each of"),
    "killed worker": (ends_its_process, 1, "a Python worker or an executor ended unexpectedly"),
    "exit": (calls_exit, 10, "the model raised SystemExit: bye"),
    "long text": (quotes_its_input, 10, "the model raised ValueError: cannot parse 0{900}"),
}


@pytest.mark.parametrize(("model", "code", "pattern"), OF_MODELS.values(), ids=OF_MODELS)
def test_model_that_fails(job, tmp_path, model, code, pattern):
    found, message, report = job(model)
    assert found == code, message
    check_message(message, pattern)
    assert len(message) < 5_000
    assert (report["status"], report["exit_code"]) == ("failed", code)
    cause = message.strip().removeprefix("sparksig: ").splitlines()[0]
    assert report["error"].splitlines()[0] == cause
    assert report["written"] == {}
    assert not (tmp_path / "out").exists()
    log = Path(re.search("  log: (.*)", message)[1])
    assert report["log"] == str(log)
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert len(report["error"]) < 5_000


POSITIONS = {
    "direct": r"\n  first failing row: 5 of 20\.parquet, counted from 0\n",
    "spark": r"\n  first failing row: \d+ of partition \d+, counted from 0\n"
    r"  file: file:\S*/in/20\.parquet, row 5, counted from 0\n",
}


@pytest.mark.parametrize("engine", POSITIONS)
def test_message_names_the_frame_and_the_row(job, engine):
    _, message, report = job(raises, engine=engine)
    assert re.search(r"\n  at .*test_job_failures\.py, line \d+, in raises\n", message)
    assert re.search(POSITIONS[engine], message), message
    assert "configure a budget and a quarantine" in message
    assert report["error"] in message


PYTHON = '#!/bin/sh\nexec {python} -S -E "$@"\n'
CHANGES = {
    "unknown column in the filter": ({"input": {"filter": "nope > 1"}}, 2, "input.filter: .*`nope`"),
    "random filter": ({"input": {"filter": "rand() > 0.5"}}, 2, "its value changes each time"),
    "unknown column in select": ({"input": {"select": {"y": "nope"}}}, 2, "input.select.y: .*`nope`"),
    "random select": ({"input": {"select": {"y": "rand()"}}}, 2, "its value changes each time"),
    "text for numbers": ({"input": {"select": {"x": "'a'"}}}, 3, "x: expected long, got string"),
    "no such table": ({"input": {"path": None, "table": "no_such_table"}}, 9, "no table 'no_such_table'"),
    "not a name": ({"input": {"path": None, "table": "a b"}}, 2, "input.table: expected the name of a table"),
    "no such type": ({"model": {"result_type": "doubble"}}, 2, "model.result_type: expected"),
    "flatten of one value": ({"output": {"flatten": True}}, 2, "output.flatten: expected false"),
    "column twice": ({"output": {"column": "id"}}, 3, "no kept column of the output's name"),
    "output that cannot be": ({"output": {"path": "/proc/scored"}}, 6, "proc"),
    "budget": (
        {"budget": {"rows": 0}, "input": {"select": {"x": "nullif(x, 3)"}}},
        4,
        r"2 of 30 rows cannot(?s:.*)a prediction, got ValueError: 13 is a secret",
    ),
    # one null in each file, and no 13, so that no other failure can come first
    "null without a budget": ({"input": {"select": {"x": "nullif(x % 10, 3)"}}}, 3, "x: expected long with"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "pattern"), CHANGES.values(), ids=CHANGES)
def test_mistake_that_spark_finds(job, changes, code, pattern):
    found, message, report = job(**changes)
    assert found == code, message
    check_message(message, pattern)
    assert (report["status"], report["exit_code"]) == ("failed", code)


@pytest.mark.parametrize(("name", "lines", "pattern"), [
    ("t.csv", "id,x\n1,2\n3,four\n", r"differs from its declaration: one row in file:\S*/t.csv\n  - .*x"),
    ("t.json", '{"id": 1, "x": 2}\n{"id": 3, "x": \n', r"from its declaration: one row in file:\S*/t.json"),
], ids=["csv", "json"])  # fmt: skip
def test_bad_line_of_text_is_named(job, tmp_path, name, lines, pattern):
    (tmp_path / name).write_text(lines)
    source = {"path": str(tmp_path / name), "format": name[2:], "schema": "id bigint, x bigint"}
    code, message, _ = job(input=source)
    assert code == 3, message
    check_message(message, pattern)


def test_input_that_vanishes(job, spark, tmp_path):
    view = spark.read.parquet(str(tmp_path / "in"))
    view.createOrReplaceTempView("vanishing")
    for file in (tmp_path / "in").iterdir():
        file.unlink()
    code, message, _ = job(input={"path": None, "table": "vanishing"})
    assert code == 9, message
    check_message(message, r"the file \S+ vanished|gone|there is no file")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("none", "there is no program /.*/none"), ("python", "the Python workers cannot import ")],
    ids=["missing", "without packages"],
)
def test_workers_with_another_python(job, spark, tmp_path, monkeypatch, name, pattern):
    interpreter = tmp_path / "python"
    interpreter.write_text(PYTHON.format(python=sys.executable))
    interpreter.chmod(0o755)
    monkeypatch.setattr(spark.sparkContext, "pythonExec", str(tmp_path / name))
    code, message, _ = job()
    assert code == 1, message
    check_message(message, f"{pattern}.*[Ss]et PYSPARK_PYTHON")


@pytest.mark.parametrize(("name", "more"), [("check", {"contract": "x bigint"}), ("infer", {})])
def test_check_and_infer_report_failures_of_spark(spark, tmp_path, capfd, name, more):
    (tmp_path / "in").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "in" / "a.parquet")
    config = {"input": {"path": str(tmp_path / "in"), "filter": "nope"}, **more}
    (tmp_path / "job.yaml").write_text(json.dumps(config))
    assert run(name, ["--config", str(tmp_path / "job.yaml")]) == 2
    check_message(capfd.readouterr().err, "input.filter: .*`nope`")


FRAME = pd.DataFrame({"id": [1]})
WRONG_CALLS = {
    "score of a pandas frame": (
        lambda df, model: sparksig.score(FRAME, model),
        r"got a DataFrame of pandas: .*score\(df, model\)",
    ),
    "score in the wrong order": (
        lambda df, model: sparksig.score(model, df),
        r"in the wrong order: .*score\(df, model\)",
    ),
    "check of a pandas frame": (
        lambda df, model: sparksig.check(FRAME, "id bigint"),
        r"got a DataFrame of pandas: .*check\(table, contract\)",
    ),
    "check in the wrong order": (
        lambda df, model: sparksig.check("id bigint", df),
        "wrong order|no .*table",
    ),
    "split": (lambda df, model: sparksig.split(FRAME, "id bigint"), r"split\(df, contract\)"),
    "write": (lambda df, model: sparksig.write(FRAME, "target"), r"write\(df, target\)"),
    "sample_signature": (lambda df, model: sparksig.sample_signature(FRAME), r"sample_signature\(df\)"),
    "spark_udf": (
        lambda df, model: sparksig.spark_udf(df.sparkSession, object(), env_manager="local"),
        "env_manager=.*environment='model'",
    ),
}


@pytest.mark.parametrize(("call", "pattern"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_objects_are_named_with_the_call_that_works(spark, saved, call, pattern):
    with pytest.raises(sparksig.SparksigError, match=pattern):
        call(spark.range(1), saved / "halves")


@pytest.mark.slow
@pytest.mark.xdist_group("submit")
def test_process_with_the_log_levels_of_spark(saved, tmp_path):
    table(tmp_path / "in", list(range(30)))
    config = config_of(str(saved / "raises"), tmp_path)
    body = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (tmp_path / "job.yaml").write_text(json.dumps(body | {"spark": {"spark.ui.enabled": "false"}}))
    job = [sys.executable, str(HOME / "jobs" / "score.py"), "--config", str(tmp_path / "job.yaml")]
    done = subprocess.run(job, capture_output=True, text=True, check=False, cwd=HOME)
    assert done.returncode == 10
    assert re.search("the model raised ValueError: no exchange rate", done.stderr)
    assert not re.search(r"^\s+at [\w.$]+\(|Traceback|\x1b", done.stdout + done.stderr, re.MULTILINE)
    environment = {**os.environ, "JAVA_HOME": "/nonexistent"}
    done = subprocess.run(job, capture_output=True, text=True, check=False, cwd=HOME, env=environment)
    assert done.returncode == 1
    check_message(done.stderr.partition("sparksig: ")[2], "Spark cannot start Java.* set JAVA_HOME")
