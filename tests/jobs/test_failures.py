"""Mistakes and failures as a person reads them: exit code, one short message, no traceback. None needs Java.

Those on Spark are in tests/spark/test_job_failures.py.
"""

from __future__ import annotations

import json
import re

import cloudpickle
import pandas as pd
import pytest
import yaml
from py4j.protocol import Py4JError

import sparksig
from sparksig import ColSpec, ModelSignature, Schema, infer_signature, save_model
from sparksig.cli import cli
from sparksig.convert.mlflow import refuse_arguments
from sparksig.jobs import ScoreConfig, run
from sparksig.jobs.failures import describe_failure
from sparksig.spark.diagnosis import diagnose
from tests.cli.runner import runner

FRAME = pd.DataFrame({"x": [1.0, 2.0], "id": [1, 2]})


def halves(model_input):
    return model_input["x"] / 2


def raises(model_input):
    raise ValueError("no rate for \x1b[2J XAU")


for function in (halves, raises):
    cloudpickle.register_pickle_by_value(__import__(function.__module__, fromlist=["_"]))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a model, tables, and the configuration of a job that works."""
    monkeypatch.chdir(tmp_path)
    signature = infer_signature(FRAME[["x"]], pd.DataFrame({"y": [0.5]}))
    save_model("model", halves, signature)
    save_model("raising", raises, signature)
    save_model("without_signature", halves)
    FRAME.to_parquet("table.parquet")
    FRAME.to_csv("table.csv", index=False)
    (tmp_path / "file").write_text("text")
    (tmp_path / "damaged.parquet").write_text("PAR1 no more")
    config = {
        "model": {"path": "model", "allow_pickle": True},
        "input": {"path": "table.parquet"},
        "output": {"path": "scored", "keep": ["id"]},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def check_message(text, pattern):
    """Check that a message is short, has no traceback, and matches."""
    lines = text.strip().splitlines()
    assert len(lines) <= 10, text
    assert not re.search(r"Traceback|^\s+at [\w.$]+\(|bug report|\x1b", text, re.MULTILINE), text
    assert re.search(pattern, text), text


JOBS = {
    "no configuration": (["--config", "none.yaml"], 7, "no configuration file at 'none.yaml'"),
    "unknown key": (["--set", "modle.path=x"], 2, "modle: expected a known key.*did you mean 'model'"),
    "missing key": (["--set", "output={path: scored}"], 2, "output.keep: expected"),
    "another choice": (
        ["--set", "output.mode=apend"],
        2,
        "output.mode: expected one of.*did you mean 'append'",
    ),
    "no value": (["--set", "budget"], 2, "KEY=VALUE"),
    "not YAML": (["--set", "params={a"], 2, "params: expected a value in YAML"),
    "unset variable": (["--set", "input.path=${env:NO_SUCH}"], 2, "input.path: expected.*NO_SUCH"),
    "quarantine without a budget": (["--set", "quarantine.path=bad"], 2, "a budget for the quarantine"),
    "report in the input": (["--set", "report.json=table.parquet"], 2, "report.json in another place"),
    "Parquet by name": (["--set", "output={table: t, keep: []}"], 2, "output.table: expected a path"),
    "no model": (["--set", "model.path=none"], 8, "no model directory at 'none'"),
    "no signature": (["--set", "model.path=without_signature"], 2, "the model has no signature"),
    "not trusted": (
        ["--set", "model.allow_pickle=false"],
        5,
        "set model.allow_pickle: true, or .* model.digest",
    ),
    "another digest": (["--set", f"model.digest={'0' * 64}"], 5, "digest"),
    "unknown method": (["--set", "model.method=nope"], 2, "model.method: expected a method that predicts"),
    "unknown param": (
        ["--set", "params.depth=3"],
        2,
        "params.depth: .*the model has no params",
    ),
    "no input": (["--set", "input.path=none"], 9, "no Parquet table at 'none'"),
    "CSV as Parquet": (["--set", "input.path=table.csv"], 2, "input.format: expected csv, .*got parquet"),
    "Parquet as Delta": (["--set", "input.format=delta"], 2, "input.format: expected parquet, .*got delta"),
    "damaged input": (["--set", "input.path=damaged.parquet"], 9, "damaged.parquet"),
    "no such column to keep": (["--set", "output.keep=[idd]"], 3, "idd: .*did you mean 'id'"),
    "file as output": (["--set", "output.path=file"], 6, "the output 'file' is a file, not a directory"),
    "file to overwrite": (
        ["--set", "output={path: file, mode: overwrite, keep: []}"],
        6,
        "the output 'file' is a file, not a directory; nothing was written. Choose another path$",
    ),
    "report in a directory": (
        ["--set", "report.json=."],
        2,
        "report.json: expected the path of a file, got a",
    ),
    "model as input": (["--set", "input.path=model"], 9, "'model' is a model directory. Pass the path of a "),
    "misspelled configuration": (["--config", "jbo.yaml"], 7, "at 'jbo.yaml'. Did you mean 'job.yaml'\\?$"),
    "misspelled model": (["--set", "model.path=mdoel"], 8, "directory at 'mdoel'. Did you mean 'model'\\?$"),
    "misspelled input": (["--set", "input.path=tabel.parquet"], 9, ". Did you mean 'table.parquet'\\?$"),
    "text for a section": (["--set", "model=model"], 2, "got .* str, by --set .its keys are path, digest, "),
    "text for a list": (
        ["--set", "output.partition_by=id"],
        2,
        r"output.partition_by: expected a list, got .* str, by --set \(write it in brackets: \[...\]\)",
    ),
    "prediction named as a kept column": (
        ["--set", "output={path: scored, keep: [id], column: id}", "--engine", "local"],
        3,
        "choose another name for the column of predictions, or keep other columns",
    ),
    "misspelled column in a filter": (
        ["--set", "input.filter=ids > 1", "--engine", "local"],
        2,
        "input.filter: expected a condition in SQL, got another text .the filter has ids, which is not a "
        "column of the table: did you mean 'id'",
    ),
    "output below a file": (["--set", "output.path=file/scored"], 6, "the output .* is below a file"),
    "quarantine below a file": (
        ["--set", "budget.rows=1", "--set", "quarantine.path=file/bad"],
        6,
        "the quarantine .* is below a file",
    ),
    "output in the input": (["--set", "output.path=table.parquet/scored"], 6, "is the input, or inside it"),
}


@pytest.mark.parametrize(("arguments", "code", "pattern"), JOBS.values(), ids=JOBS)
def test_mistake_in_a_job(place, capfd, arguments, code, pattern):
    config = [] if "--config" in arguments else ["--config", "job.yaml"]
    assert run("score", [*config, *arguments]) == code
    check_message(capfd.readouterr().err, pattern)
    if config:  # the command is the same job
        done = runner().invoke(cli, ["score", *config, *arguments])
        assert done.exit_code == code
        check_message(done.stderr, pattern)


COMMANDS = {
    "unknown command": (["chek"], 2, "did you mean 'check'"),
    "unknown option": (["check", "table.parquet", "model", "--mdoe", "full"], 2, "--mdoe"),
    "another choice": (["check", "table.parquet", "model", "--mode", "all"], 2, "schema"),
    "contract first": (["check", "signature.json", "table.parquet"], 2, "before the contract: "),
    "no table": (["check", "none.parquet", "model"], 9, "none.parquet"),
    "no such contract": (["check", "table.parquet", "nothing at all (("], 2, "nothing at all"),
    "missing column": (["check", "table.parquet", "z double"], 3, ""),
    "no model to show": (["show", "none"], 8, "'none'"),
    "no model to digest": (["digest", "none"], 8, "'none'"),
    "no example": (["infer", "none.json"], 9, "none.json"),
    "score without places": (["score", "model", "table.parquet"], 2, "MODEL INPUT OUTPUT"),
    "model that raises": (
        ["validate-serving-input", "raising", "request.json", "--allow-pickle"],
        10,
        r"the model raised ValueError: no rate for \\x1b\[2J XAU\n  at .*/test_failures.py, line \d+, in ",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "pattern"), COMMANDS.values(), ids=COMMANDS)
def test_mistake_in_a_command(place, arguments, code, pattern):
    signature = ModelSignature(Schema([ColSpec("double", "x")]))
    (place / "signature.json").write_text(json.dumps(signature.to_dict()))
    (place / "request.json").write_text('{"inputs": {"x": [1.5]}}')
    done = runner().invoke(cli, arguments)
    assert done.exit_code == code, done.output
    check_message(done.stderr, pattern)


def test_json_of_a_failed_command_lists_findings_once(place):
    done = runner().invoke(cli, ["score", "--config", "job.yaml", "--set", "output.keep=[idd]", "--json"])
    answer = json.loads(done.stdout)
    assert (answer["exit_code"], [finding["path"] for finding in answer["findings"]]) == (3, ["idd"])
    assert "idd" not in answer["error"]


def test_configuration_of_python_is_refused_as_the_file_is():
    with pytest.raises(sparksig.ConfigError, match=r"model.path: expected .*MISSING_KEY"):
        ScoreConfig.model_validate({"model": {}, "input": {"path": "t"}, "output": {"path": "o", "keep": []}})


@pytest.mark.parametrize(
    ("name", "alternative"),
    [("env_manager", "pass environment='model'"), ("suppress_warnings", "use warnings.filterwarnings")],
)
def test_argument_of_mlflow_is_answered_by_name(place, name, alternative):
    with pytest.raises(
        sparksig.UnsupportedError, match=f"load_model does not accept {name}=, unlike MLflow: {alternative}"
    ):
        sparksig.load_model("model", **{name: "local"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'trust'"):
        refuse_arguments("load_model", {"trust": True})


# --- errors of Spark that one session cannot show: their texts ----------------------------------------------

TEXTS = {
    "other Python": (
        "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.10 than that in driver: 3.11, "
        "PySpark cannot run with different minor versions.",
        "workers run Python 3.10, and the driver runs Python 3.11. Set PYSPARK_PYTHON",
    ),
    "other Python, as Spark 3.5 says it": (
        "[PYTHON_VERSION_MISMATCH] Python in worker has different version (3, 10) than that in driver 3.11, "
        "PySpark cannot run with different minor versions.",
        "workers run Python 3[., ]+10, and the driver runs Python 3.11",
    ),
    "no Java": ("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending", "set JAVA_HOME"),
    "memory": (
        "java.lang.OutOfMemoryError: Java heap space\n\tat org.apache.X(Y.java:1)",
        "spark.driver.memory",
    ),
    "lost executor": (
        "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)",
        "was killed",
    ),
    "disk": (
        "java.io.IOException: No space left on device\n\tat java.base/x.y(Z.java:3)",
        "the disk is full",
    ),
    "no Delta": (
        "org.apache.spark.SparkClassNotFoundException: [DATA_SOURCE_NOT_FOUND] Failed to find the data "
        "source: delta. Make sure the provider name is correct",
        "does not support Delta tables: start it with delta-spark's jars",
    ),
    "no file system": (
        "java.lang.RuntimeException: java.lang.ClassNotFoundException: Class "
        "org.apache.hadoop.fs.s3a.S3AFileSystem not found",
        "lacks the file system S3AFileSystem. Add its jars",
    ),
    "stopped": (
        "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.",
        "was stopped",
    ),
    "ended": ("Py4JNetworkError: Answer from Java side is empty", "the JVM of the Spark driver has ended"),
    "CSV header": (
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///in/0.csv.\nCaused by: "
        "java.lang.IllegalArgumentException: CSV header does not conform to the schema.\n Header: x, id\n"
        " Schema: id, x\nExpected: id but found: x\nCSV file: file:///in/0.csv",
        "expected a header with the declared names, in their order, got another first line in file:///in/0.csv",
    ),
    "unknown": ("An error occurred while calling o1.x.\n: org.X: [NEW] what\n\tat a.b.C(D.java:1)", "what$"),
}


@pytest.mark.parametrize(("text", "pattern"), TEXTS.values(), ids=TEXTS)
def test_error_of_spark_is_diagnosed(text, pattern):
    error = Py4JError(text)
    diagnosis = diagnose(error)
    check_message(str(diagnosis), pattern)
    assert "log: " in describe_failure(error)


def test_error_of_the_system_says_all():
    assert describe_failure(OSError(28, "No space left on device", "x")) == "x: No space left on device"


def test_error_that_is_not_of_spark_is_unknown():
    assert diagnose(ValueError("No space left on device")) is None
