"""Parquet tables and models in an object store that speaks S3, checked by the commands."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig.cli import cli
from tests.cli.runner import runner
from tests.models import servers
from tests.parquet_tables import check_parquet, infer_parquet

pytestmark = pytest.mark.server


@pytest.fixture
def store(monkeypatch):
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with servers.bucket() as bucket:
        yield bucket


def test_tables_contracts_and_models_are_read_where_they_are(store, tmp_path):
    for year in (2025, 2026):
        (tmp_path / "t" / f"year={year}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0, None]}), tmp_path / "t" / f"year={year}" / "part.parquet")
    (tmp_path / "t" / "_SUCCESS").touch()
    signature = sparksig.infer_signature(pa.table({"x": [1.0]}), [1.0])
    sparksig.save_model(tmp_path / "m", lambda model_input: model_input["x"].tolist(), signature)
    for name in ("t", "m"):
        store.upload(tmp_path / name, f"a/{name}")
    table, model = store.uri("a/t"), store.uri("a/m")
    report = check_parquet(table, model, "full", row_key="year")
    assert [(finding.path, finding.count) for finding in report.findings] == [("x", 2)]
    assert report.examples == {0: ("year=2025", "year=2026")}
    assert report.contract == "s3://models/a/m, inputs"
    assert infer_parquet(table).signature.inputs.input_names() == ["x", "year"]
    assert check_parquet(tmp_path / "t", table, "full").ok
    done = runner().invoke(cli, ["check", table.replace("s3:", "s3a:", 1), model, "--json"])
    assert json.loads(done.stdout)["ok"], done.output
    done = runner().invoke(cli, ["check", store.uri("a/nothing"), "x double"])
    assert (done.exit_code, "there is no Parquet table at" in done.stderr) == (9, True)
    done = runner().invoke(cli, ["check", table, store.uri("a/nothing")])
    assert done.exit_code == 9
