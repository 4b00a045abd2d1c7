"""The score job: its exit codes, its report, and that nothing is written where it fails."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from sparksig.jobs import ScoreConfig, load_config, run
from tests.spark import models

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path):
    """A model, a table of three files, and the configuration that scores it."""
    model, frame = models.classifier()
    trust = models.save_sklearn(tmp_path / "model", model, frame)
    (tmp_path / "table").mkdir()
    whole = frame.assign(id=range(len(frame)), note="x")
    for part in range(3):
        whole.iloc[part::3].to_parquet(tmp_path / "table" / f"{part}.parquet", index=False)
    config = {
        "model": {"path": str(tmp_path / "model"), **trust},
        "input": {"path": str(tmp_path / "table")},
        "output": {"path": str(tmp_path / "out"), "keep": ["id"]},
    }
    return tmp_path, config, pd.Series(model.predict(frame))


def call(path, config):
    """Run the job with a configuration, in this process; its exit code."""
    (path / "score.yaml").write_text(yaml.safe_dump(config))
    return run("score", ["--config", str(path / "score.yaml")])


def read_errors(capsys):
    return capsys.readouterr().err


def test_the_job_scores_the_table(spark, place, capsys):
    path, config, expected = place
    assert call(path, config) == 0
    scored = pd.read_parquet(path / "out").set_index("id").sort_index()
    assert scored.columns.tolist() == ["prediction"]
    assert scored.prediction.tolist() == expected.tolist()
    lines = {line[:16].strip(): line[17:] for line in capsys.readouterr().out.splitlines()}
    assert (lines["rows in"], lines["scored"], lines["rejected"]) == ("569", "569", "0")
    assert (lines["status"], lines["output"]) == ("done", f"{path / 'out'} (569 rows)")
    assert lines["input"].startswith(f"{path / 'table'} (parquet, 3 files, ")
    assert [one.name for one in path.iterdir() if "sparksig" in one.name] == []  # nothing is left over


def test_a_table_that_breaks_the_contract_is_reported_and_nothing_is_written(
    spark, place, capsys, jobs_started
):
    path, config, _ = place
    frame = pd.read_parquet(path / "table")
    frame = frame.drop(columns="mean area").astype({"mean texture": str}).rename(columns={"id": "ID"})
    pq.write_table(pa.Table.from_pandas(frame), path / "broken.parquet")
    config["input"]["path"] = str(path / "broken.parquet")
    before = jobs_started()
    assert call(path, config) == 3
    text = read_errors(capsys)
    assert "does not fit the model: 3 findings" in text
    assert "  - mean area: expected double, got no such column" in text
    assert "  - mean texture: expected double, got " in text
    assert "  - id: expected a column to keep, got no such column (did you mean 'ID'?" in text
    assert jobs_started() == before
    assert not (path / "out").exists()


def test_a_null_that_only_the_data_shows_fails_the_job_and_leaves_nothing(spark, tmp_path, capsys):
    model = models.save_python(tmp_path / "m", models.Echo(), {"x": "long"}, {"x": "long", "seen": "string"})
    pq.write_table(pa.table({"x": pa.array([1, None], pa.int64())}), tmp_path / "t.parquet")
    config = {"model": {"path": model, "allow_pickle": True}, "input": {"path": str(tmp_path / "t.parquet")},
              "output": {"path": str(tmp_path / "out"), "keep": []}}  # fmt: skip
    assert call(tmp_path, config) == 3
    assert "x: expected long without nulls, got nulls, once, first in row 1" in read_errors(capsys)
    assert not (tmp_path / "out").exists()


def test_a_missing_configuration(tmp_path, capsys):
    assert run("score", ["--config", str(tmp_path / "nope.yaml")]) == 7
    assert "there is no configuration file at" in read_errors(capsys)


def test_all_wrong_keys_are_reported_with_the_nearest_known_one(place, capsys):
    path, config, _ = place
    config["output"]["colum"] = "p"
    config["inptu"] = config.pop("input")
    config["model"]["allow_pickle"] = "yes"
    del config["output"]["keep"]
    assert call(path, config) == 2
    text = read_errors(capsys)
    assert "the configuration is wrong: 5 findings" in text
    assert (
        "  - output.colum: expected a known key, got another (did you mean 'column'?) [UNKNOWN_KEY]" in text
    )
    assert "  - inptu: expected a known key, got another (did you mean 'input'?) [UNKNOWN_KEY]" in text
    assert "  - input: expected a section, got nothing [MISSING_KEY]" in text
    assert "  - output.keep: expected the columns of the input in the output; " in text
    assert "  - model.allow_pickle: expected true or false, got " in text


@pytest.mark.parametrize(("text", "message"), [
    ("a: [", "cannot read this YAML: line "),
    ("- 1", "expected a mapping of keys and values, got a value of type list"),
    ("a: 1\na: 2", "duplicate key 'a'"),
    ("a: &x [*x]", "more than 100000 values"),
], ids=["broken", "a list", "a key twice", "itself"])  # fmt: skip
def test_a_configuration_that_is_no_mapping(tmp_path, capsys, text, message):
    (tmp_path / "c.yaml").write_text(text)
    assert run("score", ["--config", str(tmp_path / "c.yaml")]) == 2
    assert message in read_errors(capsys)


def test_a_missing_model(place, capsys):
    path, config, _ = place
    config["model"]["path"] = str(path / "nope")
    assert call(path, config) == 8
    assert "there is no model directory at" in read_errors(capsys)


def test_a_model_that_is_not_trusted_or_damaged(place, capsys):
    path, config, _ = place
    config["model"]["digest"] = "0" * 64
    assert call(path, config) == 5
    assert "the content differs from the pinned digest" in read_errors(capsys)
    model = models.save_python(path / "pickled", models.Echo(), {"x": "long"}, {"x": "long"})
    config["model"] = {"path": model}
    assert call(path, config) == 5
    assert "set model.allow_pickle: true" in read_errors(capsys)


@pytest.mark.parametrize("missing", ["nope", "empty"])
def test_a_missing_table(place, capsys, missing):
    path, config, _ = place
    (path / "empty").mkdir()
    config["input"]["path"] = str(path / missing)
    assert call(path, config) == 9
    assert "there is no Parquet " in read_errors(capsys)


def test_a_file_that_is_no_parquet(place, capsys):
    path, config, _ = place
    (path / "t.parquet").write_bytes(b"not Parquet")
    config["input"]["path"] = str(path / "t.parquet")
    assert call(path, config) == 9
    assert "t.parquet is not a Parquet file" in read_errors(capsys)


def test_an_output_that_exists_is_left_as_it_is(place, capsys):
    path, config, _ = place
    (path / "out").mkdir()
    (path / "out" / "precious").write_text("x")
    assert call(path, config) == 6
    assert "exists already; nothing was written" in read_errors(capsys)
    assert (path / "out" / "precious").read_text() == "x"


def test_params_that_the_model_does_not_know_are_an_error_here(place, capsys):
    path, config, _ = place
    config["params"] = {"n": 1}
    assert call(path, config | {"input": {"path": str(path / "nope")}}) == 2
    assert "params.n: expected a param of the model, got another" in read_errors(capsys)


@pytest.mark.parametrize(("section", "value", "text"), [
    ("input", "build/*", "input.path: expected a path without *, ?, [, ], { and }"),
    ("input", "", "input.path: expected text that is not empty, got none"),
    ("output", "file:x", "output.path: expected a path, or a URI with an absolute path"),
], ids=["a pattern", "nothing", "a relative URI"])  # fmt: skip
def test_paths_that_mean_something_else_to_spark(place, capsys, section, value, text):
    path, config, _ = place
    config[section]["path"] = value
    assert call(path, config) == 2
    assert text in read_errors(capsys)


def test_an_output_in_the_input_or_below_a_file(place, capsys):
    path, config, _ = place
    for out in (f"{path}/table/out", f"{path}/table", f"{path}/table/0.parquet/out"):
        config["output"]["path"] = out
        assert call(path, config) == 6
    (path / "file").touch()
    config["output"]["path"] = f"{path}/file/out"
    assert call(path, config) == 6
    assert "is below a file" in read_errors(capsys)


@pytest.mark.parametrize("change", [
    lambda frame: frame.drop(columns="mean area"),
    lambda frame: frame.astype({"mean area": "float32"}),
    lambda frame: frame.astype({"mean area": str}),
], ids=["gone", "narrower", "text"])  # fmt: skip
def test_files_that_differ_are_refused_before_spark_reads_them_as_one(place, capsys, change):
    path, config, _ = place
    change(pd.read_parquet(path / "table" / "2.parquet")).to_parquet(
        path / "table" / "2.parquet", index=False
    )
    assert call(path, config) == 3
    text = read_errors(capsys)
    assert "  - mean area: expected double as in 0.parquet, got " in text
    assert " in 2.parquet (rewrite the files with one schema)" in text


def test_partition_columns_are_columns(spark, tmp_path, capsys):
    model = models.save_python(
        tmp_path / "m",
        models.Returning(lambda d, p: d["x"] + d["p"]),
        {"x": "double", "p": "double"},
        {"y": "double"},
    )
    for p in (1.5, 2.5):
        (tmp_path / "t" / f"p={p}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [10.0]}), tmp_path / "t" / f"p={p}" / "0.parquet")
    config = {"model": {"path": model, "allow_pickle": True}, "input": {"path": str(tmp_path / "t")},
              "output": {"path": str(tmp_path / "out"), "keep": ["p"]}}  # fmt: skip
    # Spark makes p a decimal(2,1), which reaches a double exactly, or a double
    assert call(tmp_path, config) == 0, read_errors(capsys)
    assert sorted(pd.read_parquet(tmp_path / "out").prediction) == [11.5, 12.5]


def test_a_delta_table_is_not_taken_for_its_files(place, capsys):
    path, config, _ = place
    (path / "table" / "_delta_log").mkdir()
    assert call(path, config) == 2
    assert "input.format: expected delta, the format of the table, got parquet" in read_errors(capsys)


def test_the_example_in_conf_is_what_the_demo_needs(tmp_path, monkeypatch):
    config = load_config(ROOT / "conf" / "score.yaml", ScoreConfig)
    assert not config.model.trusted_types
    assert (config.model.path, config.input.path) == ("build/demo/model", "build/demo/table")
