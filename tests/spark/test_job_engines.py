"""Score jobs on each engine: the same rows, quarantines, findings and counts, or the reason for Spark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig import Array, ColSpec, ConfigError, ContractError, Schema, SparksigError
from sparksig.jobs import plan_score, score
from tests.spark import models
from tests.spark.score_jobs import BAD, config_of, save_model, table

ENGINES = ["spark", "direct", "local"]


@pytest.fixture
def job(spark, tmp_path):
    """A function that returns a configuration with changes; the outputs of each engine are its own."""
    model = save_model(tmp_path / "model")

    def configure(engine, **changes):
        quarantine = changes.pop("quarantine", None)
        output = {"path": str(tmp_path / engine), **changes.pop("output", {})}
        if quarantine is not None:
            changes["quarantine"] = {"path": str(tmp_path / f"{engine}-bad"), **quarantine}
        return config_of(model, tmp_path, engine=engine, output=output, **changes)

    return configure


def require_same_predictions(actual, expected):
    """Compare summaries; means may differ in their last digits, by the order of the rows."""
    assert actual.keys() == expected.keys()
    for name, summary in actual.items():
        assert replace(summary, mean=None) == replace(expected[name], mean=None)
        assert summary.mean == pytest.approx(expected[name].mean, rel=1e-12)


def rows_of(path):
    return pd.read_parquet(path).astype(str).sort_values("id", ignore_index=True)


OPTIONS = {
    "findings": {"output": {"keep": "*"}},
    "quarantine": {"quarantine": {}, "run_id": "monday"},
    "partitions": {
        "output": {"keep": ["id", "color"], "partition_by": ["color"]},
        "quarantine": {},
        "run_id": "monday",
    },
    "append": {"output": {"mode": "append"}, "run_id": "monday"},
    "overwrite": {"output": {"mode": "overwrite"}, "quarantine": {}, "run_id": "monday"},
    "filter": {"input": {"filter": "id between 2 and 15 and color <> 'red'"}},
}


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_engines_agree(job, tmp_path, changes):
    table(tmp_path / "in", BAD)
    reports = {engine: score(job(engine, budget={"rows": 2}, **changes)) for engine in ENGINES}
    spark = reports["spark"]
    for engine, report in reports.items():
        assert report.engine == engine
        assert report.input == spark.input
        assert (report.rows_in, report.scored, report.rejected) == (
            spark.rows_in,
            spark.scored,
            spark.rejected,
        )
        assert report.findings == spark.findings
        require_same_predictions(report.predictions, spark.predictions)
        assert list(report.written.values()) == list(spark.written.values())
        for name in ("", "-bad") if "quarantine" in changes else ("",):
            expected, actual = (tmp_path / f"{other}{name}" for other in ("spark", engine))
            pd.testing.assert_frame_equal(rows_of(actual), rows_of(expected))


@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
def test_rows_of_direct_are_written_once_by_its_tasks(job, tmp_path, mode):
    days = pa.array([f"2026-01-0{1 + row % 3}" if row % 5 else None for row in range(20)])
    table(
        tmp_path / "in",
        BAD,
        day=days.cast(pa.date32()),
        note=[["a/b", "x=1 %", None, "ü"][row % 4] for row in range(20)],
    )
    output = {"keep": ["id"], "partition_by": ["day", "note"], "mode": mode}
    output["keep"] += output["partition_by"]
    for engine in ENGINES:
        score(job(engine, budget={"rows": 2}, quarantine={}, output=output, run_id="monday"))
    folders = {
        engine: sorted(
            {str(file.parent.relative_to(tmp_path / engine)) for file in parts_of(tmp_path / engine)}
        )
        for engine in ENGINES
    }
    assert folders["direct"] == folders["local"] == folders["spark"]
    for name in ("direct", "direct-bad"):
        assert not any("-c000" in file.name or ".c000" in file.name for file in parts_of(tmp_path / name))
    assert any(".c000" in file.name for file in parts_of(tmp_path / "spark"))
    read = pq.read_table(tmp_path / "direct")
    expected = pq.read_table(tmp_path / "spark")
    assert sorted(map(str, read.to_pylist())) == sorted(map(str, expected.to_pylist()))


def parts_of(path):
    return list(path.rglob("*.parquet"))


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_refuse_the_same_texts_in_partitions(job, tmp_path, engine):
    table(tmp_path / "in", range(20, 40), note=[["a", "7", "007", "", None][row % 5] for row in range(20)])
    with pytest.raises(ContractError) as info:
        score(job(engine, output={"keep": ["id", "note"], "partition_by": ["note"]}))
    for expected in ("that are not empty", "that readers of Parquet return unchanged"):
        assert f"note: expected texts {expected}, in a column to partition by, got " in str(info.value)
    assert not (tmp_path / engine).exists()


@pytest.mark.parametrize("name", ["prediction", "findings", "run_id"])
def test_engines_refuse_the_same_names(job, tmp_path, name):
    """The job adds columns of these names to the output, or to the quarantine."""
    table(tmp_path / "in", range(4), **{name: list("abcd")})
    refusals = set()
    for engine in ENGINES:
        with pytest.raises(SparksigError) as info:
            score(job(engine, budget={"rows": 1}, quarantine={}, output={"keep": "*", "mode": "append"}))
        refusals.add((type(info.value), str(info.value.findings)))
        assert not (tmp_path / engine).exists()
    assert len(refusals) == 1


def predict_several(frame, params):
    """Predictions of each kind: a number that may be NaN, a class, a flag, a list, one class for each row."""
    x = frame["x"].to_numpy()
    return {
        "score": np.where(x == 3, np.nan, x / 7),
        "label": np.where(x > 10, "high", "low"),
        "flag": x % 2 == 0,
        "parts": [[0.5] * (index % 3) for index in x],
        "key": [f"key {index}" for index in x],
    }


def test_engines_summarize_predictions_alike(spark, tmp_path):
    table(tmp_path / "in", list(range(100)))
    kinds = {"score": "double", "label": "string", "flag": "boolean", "key": "string"}
    outputs = [ColSpec(kind, name) for name, kind in kinds.items()]
    outputs.insert(3, ColSpec(Array("double"), "parts"))
    does = models.Returning(predict_several)
    model = models.save_python(tmp_path / "model", does, {"x": "long"}, Schema(outputs))
    predictions = {
        engine: score(
            config_of(model, tmp_path, engine=engine, output={"path": str(tmp_path / engine)})
        ).predictions
        for engine in ENGINES
    }
    texts = {name.removeprefix("prediction."): str(summary) for name, summary in predictions["spark"].items()}
    assert texts == {
        "score": "mean 7.139, 0 to 14.14, 1 NaN, no nulls",
        "label": "high 89.0 %, low 11.0 %, no nulls",
        "flag": "false 50.0 %, true 50.0 %, no nulls",
        "parts": "mean 0.99 items, 0 to 2, no nulls",
        "key": "no nulls",
    }
    for summaries in predictions.values():
        require_same_predictions(summaries, predictions["spark"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"filter": "abs(id) > 1"}, "the filter calls the function abs"),
        ({"select": {"twice": "x * 2"}}, "input.select computes columns"),
    ],
    ids=["filter", "select"],
)
def test_the_plan_says_why_spark_scores(job, tmp_path, changes, reason):
    table(tmp_path / "in", range(10))
    plan = plan_score(job("auto", input=changes))
    assert (plan.engine, plan.engine_reason) == ("spark", reason)
    assert f"engine           spark: {reason}\n" in str(plan)
    with pytest.raises(ConfigError, match=f"engine: expected auto, or spark, got direct .{reason}."):
        plan_score(job("direct", input=changes))


def test_a_column_of_the_null_type_is_left_to_spark(job, tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"id": [1], "x": [2], "n": pa.nulls(1)}), tmp_path / "in" / "part.parquet")
    report = score(job("auto", output={"keep": "*"}))
    assert (report.engine, report.engine_reason) == ("spark", "n has the null type, which only Spark casts")


@pytest.mark.parametrize("version", [None, 0])
def test_a_plain_delta_table_is_read_by_its_log(job, delta, tmp_path, version):
    for start in (0, 10):
        rows = delta.range(start, start + 10).selectExpr("id", "id + 20 as x")
        rows.write.format("delta").mode("append").save(str(tmp_path / "in"))
    reports = [score(job(engine, input={"format": "delta", "version": version})) for engine in ENGINES]
    assert [report.engine for report in reports] == ENGINES
    assert [report.rows_in for report in reports] == [20 if version is None else 10] * 3
    assert len({tuple(sorted(report.input.items())) for report in reports}) == 1


def test_a_delta_table_with_deletion_vectors_is_left_to_spark(job, delta, tmp_path):
    path = str(tmp_path / "in")
    delta.range(100).selectExpr("id", "id + 20 as x").coalesce(1).write.format("delta").option(
        "delta.enableDeletionVectors", "true"
    ).save(path)
    delta.sql(f"delete from delta.`{path}` where id = 3")
    report = score(job("auto", input={"format": "delta"}))
    assert (report.engine, report.rows_in) == ("spark", 99)
    assert report.engine_reason.endswith("has deletion vectors")
