"""Commands that need Spark: --spark, and score; in this process, with its session."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.cli import cli
from tests.cli.runner import runner

DATA = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 4.0, 4.5]})

pytestmark = pytest.mark.once


def typed(*args, code=0):
    done = runner().invoke(cli, [str(arg) for arg in args], prog_name="sparksig")
    assert done.exit_code == code, done.stdout + done.stderr
    return done.stdout or done.stderr


@pytest.fixture
def place(spark, tmp_path, monkeypatch):
    model = LinearRegression().fit(DATA, [1.0, 2.0, 4.0])
    sparksig.save_model(tmp_path / "model", model, input_example=DATA)
    spark.createDataFrame(DATA.assign(id=[1, 2, 3])).repartition(1).write.parquet(str(tmp_path / "orders"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_infer_and_score_by_spark(spark, place):
    by_spark = typed("check", f"{place}/orders", "model", "--spark", "--mode", "full", "--row-key", "id")
    assert by_spark.replace("bigint", "int64") == typed("check", "orders", "model", "--mode", "full")
    spark.createDataFrame(DATA.assign(a=None).astype({"a": float})).createOrReplaceTempView("orders_view")
    result = json.loads(typed("check", "orders_view", "model", "--spark", "--mode", "full", "--json", code=3))
    assert [(finding["path"], finding["count"]) for finding in result["findings"]] == [("a", 3)]
    assert "a  double  optional" in typed("infer", "orders_view", "--spark", "--columns", "a")
    typed("infer", "orders", "-o", "signature.json")
    typed("check", "orders_view", "signature.json", "--spark", code=3)
    assert "there is no table 'nothing'" in typed("check", "nothing", "model", "--spark", code=9)

    plan = typed("score", "model", f"{place}/orders", f"{place}/scored", "--keep", "id", "--dry-run")
    assert "prediction" in plan
    assert not (place / "scored").exists()
    report = json.loads(
        typed("score", "model", f"{place}/orders", f"{place}/scored", "--keep", "id", "--json")
    )
    assert (report["rows_in"], report["scored"], report["rejected"]) == (3, 3, 0)
    scored = pq.read_table(place / "scored").to_pandas().sort_values("id")
    assert np.allclose(scored["prediction"], sparksig.load_model("model").predict(DATA))
    refused = json.loads(typed("score", "model", "orders", "scored", "--keep", "id", "--json", code=6))
    assert refused["exit_code"] == 6
    assert refused["report"]["exit_code"] == 6


def test_delta_tables_go_through_spark(delta, tmp_path):
    table = f"{tmp_path}/lake"
    delta.range(4).write.format("delta").save(table)
    assert "read it through Spark (--spark)" in typed("check", table, "id bigint", code=1)
    result = json.loads(typed("check", table, "id bigint not null", "--spark", "--mode", "full", "--json"))
    assert (result["ok"], result["rows"]) == (True, 4)
    assert "id  long  required" in typed("infer", table, "--spark")
