"""The jobs that check and infer, and the progress of Spark jobs, each with real tables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import sparksig
from sparksig.jobs import RunReport, run
from sparksig.jobs.files import read_file, write_file
from sparksig.jobs.progress import show_progress
from tests.spark import models

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path):
    """A table of ids and prices, one of which is null, and a function that runs a job over it."""
    (tmp_path / "table").mkdir()
    for part in range(2):
        ids = pa.array(range(10 * part, 10 * part + 10), pa.int64())
        prices = pa.array([None if part and not n else n / 2 for n in range(10)])
        pq.write_table(pa.table({"id": ids, "a.b": prices}), tmp_path / "table" / f"{part}.parquet")
    base = {"input": {"path": str(tmp_path / "table")}, "report": {"json": str(tmp_path / "run.json")}}

    def call(name, *arguments, **config):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(base | config))
        return run(name, ["--config", str(tmp_path / f"{name}.yaml"), *arguments])

    return call


def reported(tmp_path):
    return RunReport.from_json((tmp_path / "run.json").read_text())


def test_a_table_is_checked_and_its_report_is_printed_and_written(spark, job, tmp_path, capsys):
    html = tmp_path / "run.html"
    fits = "id bigint not null, `a.b` double"
    report = {"json": str(tmp_path / "run.json"), "html": str(html)}
    assert job("check", contract=fits, report=report) == 0
    output = capsys.readouterr().out
    assert "status           done" in output
    assert "the table fits the contract (DDL): 20 rows checked" in output
    assert (reported(tmp_path).rows_in, reported(tmp_path).check.ok) == (20, True)
    input_ = reported(tmp_path).input
    assert (input_["place"], input_["format"], input_["files"]) == (str(tmp_path / "table"), "parquet", 2)
    assert input_["bytes"] == sum(file.stat().st_size for file in (tmp_path / "table").iterdir())
    assert re.fullmatch("[0-9a-f]{64}", input_["sha256"])
    assert {"spark", "java"} <= reported(tmp_path).versions.keys()

    breaks = "id bigint not null, `a.b` double not null, z string not null"
    assert job("check", contract=breaks, row_key=["id"], report=report) == 3
    output = capsys.readouterr()
    assert "status           failed, exit code 3" in output.out
    assert "the table breaks the contract (DDL): 20 rows checked, 1 row breaks it" in output.out
    assert "e.g. id=10" in output.out
    assert "sparksig: the table breaks the contract (DDL): 2 findings" in output.err
    written = reported(tmp_path)
    assert (written.status, written.exit_code) == ("failed", 3)
    assert [finding.path for finding in written.error_findings] == ["`a.b`", "z"]
    assert [finding.path for finding in written.check.findings] == ["`a.b`", "z"]
    assert "breaks the contract" in html.read_text()


def test_modes_and_options_reach_the_check(spark, job, capsys):
    strict = "id bigint not null, `a.b` double not null"
    assert job("check", contract=strict, mode="schema") == 0
    assert job("check", contract=strict, strict_nulls=False) == 0
    assert job("check", "--set", "mode=sample", "--set", "sample={rows: 4, method: uniform, seed: 7}",
               contract="id bigint", extra="allow") == 0  # fmt: skip
    assert "none of 4 rows, chosen uniformly, breaks the contract" in capsys.readouterr().out
    assert job("check", "--set", "input.filter=`a.b` is not null", contract=strict) == 0


def test_rows_that_are_not_as_declared_break_the_contract(spark, job, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("id,price\n1,1.5\n2,hunter2\n")
    table = {"path": str(tmp_path / "t.csv"), "format": "csv", "schema": "id int, price double",
             "options": {"header": True}}  # fmt: skip
    assert job("check", contract="id int not null", input=table) == 3
    output = capsys.readouterr()
    assert "sparksig: the table " in output.err
    assert " differs from its declaration:" in output.err
    assert "hunter2" not in output.err + output.out + (tmp_path / "run.json").read_text()
    assert reported(tmp_path).exit_code == 3


def test_what_a_signature_says_is_a_contract(spark, job, tmp_path, capsys):
    model = models.save_python(tmp_path / "m", models.Echo(), {"id": "long"}, {"y": "string"})
    assert job("check", contract=model) == 0
    assert job("check", contract=model, side="outputs") == 3
    signature = sparksig.ModelSignature(sparksig.Schema([sparksig.ColSpec("long", "idd")]))
    (tmp_path / "s.json").write_text(json.dumps(signature.to_dict()))
    assert job("check", contract=str(tmp_path / "s.json")) == 3
    assert "idd: expected long, got no such column (did you mean 'id'?)" in capsys.readouterr().err


@pytest.mark.parametrize(("contract", "text"), [
    ("none.json", "there is no signature at 'none.json'"),
    ("id bigint not", "contract: 'id bigint not' is not a model directory, a table, or DDL"),
    ("no/such/place", "contract: no/such/place: cannot read a table (delta or parquet)"),
], ids=["json", "ddl", "table"])  # fmt: skip
def test_an_invalid_contract_is_a_wrong_configuration(spark, job, capsys, contract, text):
    assert job("check", contract=contract) == 2
    assert f"sparksig: {text}" in capsys.readouterr().err


def test_the_plans_look_at_no_row(spark, job, tmp_path, capsys, jobs_started):
    before = jobs_started()
    assert job("check", "--dry-run", contract="id bigint not null, z string not null") == 3
    output = capsys.readouterr().out
    assert output.startswith(f"check the types of {tmp_path}/table, and all values\n")
    assert "- z: expected string, got no such column" in output
    assert job("infer", "--dry-run", signature=str(tmp_path / "s.json")) == 0
    output = capsys.readouterr().out
    target = tmp_path / "s.json"
    first = f"infer the signature of {tmp_path}/table from at most 10,000 rows, and write it to {target}"
    assert output.splitlines()[0] == first
    assert "`a.b`  double  optional" in output
    assert jobs_started() - before <= 2  # each reads the footer of one file
    assert not (tmp_path / "s.json").exists()
    assert not (tmp_path / "run.json").exists()


def test_a_signature_is_inferred_into_a_file(spark, job, tmp_path, capsys):
    file = str(tmp_path / "new" / "s.json")
    assert job("infer", signature=file) == 0
    output = capsys.readouterr().out
    assert "'id': long (required): 0 nulls in 20 rows" in output
    assert "'a.b': double (optional): 1 null in 20 rows" in output
    assert json.loads(Path(file).read_text()) == {
        "inputs": [{"type": "long", "name": "id", "required": True},
                   {"type": "double", "name": "a.b", "required": False}],
        "outputs": None, "params": None,
    }  # fmt: skip
    assert reported(tmp_path).rows_in == 20
    assert job("check", contract=file) == 0
    assert job("infer", signature=file) == 0  # the same again
    assert job("infer", signature=file, columns=["a.b"]) == 6
    assert "exists and has another signature; nothing was written" in capsys.readouterr().err
    assert job("infer", columns=["A.b", "id"]) == 3
    assert "`A.b`: expected a column, got no such column (did you mean 'a.b'?" in capsys.readouterr().err


def test_a_signature_becomes_the_inputs_of_a_model(spark, job, tmp_path, capsys):
    model = models.save_python(tmp_path / "m", models.Echo(), {"x": "long"}, {"y": "string"})
    before = sparksig.digest(model)
    assert job("infer", model=str(model), columns=["id"]) == 0
    after = sparksig.get_model_info(model).signature
    assert after.inputs == sparksig.Schema([sparksig.ColSpec("long", "id")])
    assert after.outputs == sparksig.Schema([sparksig.ColSpec("string", "y")])
    assert reported(tmp_path).model_digest == sparksig.digest(model) != before
    assert job("infer", model=str(tmp_path / "none")) == 8


def test_a_place_that_only_spark_knows_is_reached_by_hadoop(spark, tmp_path):
    conf = {"spark.hadoop.fs.defaultFS": "file:///"}  # then a plain path is Hadoop's to find
    path = f"{tmp_path}/deep/r ü.json"
    assert read_file(path, conf) is None
    for content in (b"first", bytes(range(256))):
        write_file(path, content, conf)
        assert read_file(path, conf) == content == Path(path).read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_file(f"{tmp_path}/file/r.json", b"", conf)
    for call in (read_file, lambda path, conf: write_file(path, b"", conf)):
        with pytest.raises(OSError, match='No FileSystem for scheme "unheard-of"'):
            call("unheard-of://host/r.json", {})


def test_progress_is_reported_by_tenths(spark, capsys, monkeypatch):
    def slow(rows):
        import time

        time.sleep(0.02)
        return rows

    group = spark.sparkContext.getLocalProperty("spark.jobGroup.id")
    monkeypatch.setattr("sparksig.jobs.progress._INTERVAL", 0.05)
    with show_progress(spark, "test"):
        assert spark.sparkContext.parallelize(range(40), 40).mapPartitions(slow).count() == 40
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    matches = [re.fullmatch(r"test: (\d+) %, (\d+) of 40 tasks, \d+ s", line) for line in lines]
    assert all(matches), lines
    tenths = [int(line[1]) for line in matches]
    assert tenths == sorted(set(tenths))
    assert all(int(line[1]) == 10 * (int(line[2]) // 4) for line in matches)
    assert matches[-1][2] == "40"
    assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") == group

    monkeypatch.setattr("sparksig.jobs.progress._INTERVAL", 60)

    def failing():
        with show_progress(spark, "test"):
            spark.range(1).count()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert capsys.readouterr().err == ""  # nothing says that it was done
    with show_progress(spark, "test"):
        spark.range(1).count()
    assert re.fullmatch(r"test: 100 %, (\d+) of \1 tasks, \d+ s\n", capsys.readouterr().err)


def test_spark_submit_runs_the_check(job, tmp_path):
    """The real command, in a separate process: report, findings and exit code reach the shell."""
    config = {"contract": "id bigint, `a.b` double not null", "input": {"path": str(tmp_path / "table")},
              "report": {"json": str(tmp_path / "run.json")}}  # fmt: skip
    (tmp_path / "check.yaml").write_text(yaml.safe_dump(config))
    here = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{here}:{os.environ['PATH']}", "PYSPARK_PYTHON": sys.executable,
                                "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(ROOT)}  # fmt: skip
    command = ["spark-submit", "--conf", "spark.ui.enabled=false", str(ROOT / "jobs" / "check.py"),
               "--config", str(tmp_path / "check.yaml"), "--set", "run_id=nightly"]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 3, done.stderr[-2000:]
    assert "run              nightly\n" in done.stdout
    assert "`a.b`: expected double without nulls, got nulls, once" in done.stdout
    output = done.stdout + done.stderr  # spark-submit hands both on as one
    assert "sparksig: the table breaks the contract" in output
    assert re.search(r"^check: 100 %, \d+ of \d+ tasks, \d+ s$", output, re.MULTILINE)
    assert reported(tmp_path).exit_code == 3
