"""``sparksig init``: the configuration that it writes is run. No Java."""

from __future__ import annotations

import json
import re
import shlex

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.cli import cli
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.config_types import find_type
from tests.cli.runner import runner

DATA = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    sparksig.save_model(home / "linear", LinearRegression().fit(DATA, [1.0, 2.0]), input_example=DATA)
    return home / "linear"


@pytest.fixture
def model(saved_model, tmp_path, monkeypatch):
    """The path of a model, beside the table orders.parquet in the current directory."""
    monkeypatch.chdir(tmp_path)
    DATA.assign(id=[1, 2], day=["x", "y"]).to_parquet("orders.parquet", index=False)
    return str(saved_model)


def run_command(*arguments, code=0):
    done = runner().invoke(cli, arguments, prog_name="sparksig")
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def read_config(path="score.yaml"):
    with open(path) as file:
        return yaml.safe_load(file)


def test_the_configuration_runs_and_so_does_the_printed_command(model):
    printed = run_command("init", model, "orders.parquet")
    command = shlex.split(printed.splitlines()[1])
    assert command == ["sparksig", "score", "--config", "score.yaml", "--dry-run"]
    run_command(*command[1:], "--engine", "local")
    run_command("score", "--config", "score.yaml", "--engine", "local")
    scored = pq.read_table("orders-scored").to_pandas().sort_values("id")
    assert list(scored) == ["id", "day", "prediction"]
    assert scored.prediction.tolist() == pytest.approx([1.0, 2.0])


def test_each_key_that_is_commented_out_is_a_key_of_the_configuration(model):
    run_command("init", model, "orders.parquet")
    with open("score.yaml") as file:
        text = re.sub(r"(?m)^( *)#(?=\S|  )", r"\1", file.read().partition("\n\n")[2])
    keys = set(list_keys(yaml.safe_load(text)))
    assert {"engine", "check.sample.seed", "report.json", "model.digest", "budget.share"} <= keys
    assert [key for key in keys if find_type(ScoreConfig, key.split(".")[:3]) is None] == []


def list_keys(section, before=""):
    for key, value in section.items():
        if isinstance(value, dict) and value and key != "spark":
            yield from list_keys(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def test_all_columns_are_kept_if_all_are_inputs_of_the_model(model):
    DATA.to_parquet("inputs.parquet", index=False)
    run_command("init", model, "inputs.parquet", "-o", "inputs.yaml")
    assert read_config("inputs.yaml")["output"]["keep"] == "*"


def test_predictions_get_a_name_that_no_column_has(model):
    DATA.assign(Prediction=1, prediction_2=2).to_parquet("scored.parquet", index=False)
    run_command("init", model, "scored.parquet")
    assert read_config()["output"]["column"] == "prediction_3"


def test_the_output_of_a_table_of_a_catalog_is_a_table_of_the_catalog(model):
    run_command("init", model, "sales.orders")
    config = read_config()
    assert config["input"] == {"table": "sales.orders"}
    assert config["output"]["table"] == "sales.orders_scored"


def test_an_existing_file_is_replaced_by_force_alone(model, tmp_path):
    (tmp_path / "score.yaml").write_text("mine")
    error = run_command("init", model, "orders.parquet", code=6)
    assert error == "sparksig: score.yaml: the file exists. Pass --force to replace it, or -o FILE\n"
    assert (tmp_path / "score.yaml").read_text() == "mine"
    document = json.loads(run_command("init", model, "orders.parquet", "--force", "--json"))
    assert document["config"] == "score.yaml"
    assert document["output"]["path"] == read_config()["output"]["path"] == "orders-scored"


def test_the_directory_of_the_file_is_created(model, tmp_path):
    run_command("init", model, "orders.parquet", "-o", "conf/nightly/score.yaml")
    assert (tmp_path / "conf" / "nightly" / "score.yaml").exists()


def test_a_model_that_needs_permission_is_reported_and_gets_none(model):
    sparksig.save_model("double", lambda model_input: model_input["a"] * 2, input_example=DATA)
    done = runner().invoke(cli, ["init", "double", "orders.parquet"])
    assert done.exit_code == 0
    assert "set model.allow_pickle: true, or pin it with model.digest in score.yaml" in done.stderr
    assert read_config()["model"]["allow_pickle"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none", "orders.parquet"], 8, "there is no model directory at 'none'"),
        ([None, "./none"], 9, "there is no Parquet table at './none'"),
        ([None, "orders*.parquet/"], 9, "there is no Parquet table"),
    ],
    ids=["no model", "no table", "a pattern"],
)
def test_nothing_is_written_without_a_model_and_a_table(model, tmp_path, arguments, code, message):
    model_argument, table = arguments
    assert message in run_command("init", model_argument or model, table, code=code)
    assert not (tmp_path / "score.yaml").exists()


def test_names_that_yaml_reads_otherwise_are_quoted(model):
    odd = DATA.assign(**{"on": [1, 2], "a: b": [1, 2], "#": [1, 2], "日": [1, 2], "2026": [1, 2]})
    odd.to_parquet("orders $HOME: #1.parquet", index=False)
    run_command("init", model, "orders $HOME: #1.parquet")
    run_command("score", "--config", "score.yaml", "--engine", "local")
    names = pq.read_table("orders $HOME: #1-scored").column_names
    assert names == ["on", "a: b", "#", "日", "2026", "prediction"]
