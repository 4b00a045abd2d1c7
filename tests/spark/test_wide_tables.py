"""Tables of many columns: the same verdicts, counts and predictions as for few, by other plans."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig import ColSpec, ModelSignature, Schema
from sparksig.spark import bind
from sparksig.tables import counting

pytestmark = pytest.mark.spark

LISTS = pa.list_(pa.float64())
COLUMNS = {
    "id": pa.array([3, 1, 2]),
    "`odd`": pa.array([0.5, None, None]),
    "${env:HOME}": pa.array([None, float("nan"), 0.5]),
    "it's": pa.array(["a", None, "b"]),
    "\\'": pa.array([None, "c", None]),
    "value": pa.array([[1.0, None, None], [], None], LISTS),
    "position": pa.array([[1.0], [None, 2.0], [3.0]], LISTS),
    "complete": pa.array([1.5, 2.5, 3.5]),
}


def summarize(report):
    findings = [(finding.path, finding.code, finding.count, finding.actual) for finding in report.findings]
    return findings, report.rows, report.bad_rows, [column.nulls for column in report.columns]


@pytest.mark.parametrize("row_key", [None, "id"], ids=["positions", "keys"])
def test_entries_are_counted_as_aggregates_are(spark, tmp_path, monkeypatch, row_key):
    path = str(tmp_path / "table.parquet")
    pq.write_table(pa.table(COLUMNS), path)
    df = spark.read.parquet(path)
    contract = sparksig.Schema(
        [
            ColSpec("long", "id"),
            *(ColSpec("double", name) for name in ("`odd`", "${env:HOME}", "complete")),
            ColSpec("string", "it's"),
            ColSpec("string", "\\'", required=False),
            *(ColSpec(sparksig.Array("double"), name) for name in ("value", "position")),
        ]
    )
    reports = []
    for limit in (1000, 0):
        monkeypatch.setattr(counting, "MAX_AGGREGATED", limit)
        reports.append(sparksig.check(df, contract, "full", refuse_nan=True, row_key=row_key))
    by_aggregates, by_entries = reports
    assert summarize(by_entries) == summarize(by_aggregates)
    assert summarize(by_entries) == summarize(sparksig.check(path, contract, "full", refuse_nan=True))
    assert by_entries.examples == by_aggregates.examples
    assert by_entries.bad_rows == 3


def test_tensors_of_unequal_lengths_are_found_by_entries(spark, monkeypatch):
    monkeypatch.setattr(counting, "MAX_AGGREGATED", 0)
    df = spark.sql("select array(1d, 2d) as a, array(1d) as b union all select array(1d), array(2d)")
    contract = Schema([sparksig.TensorSpec(np.dtype("float64"), (-1, -1), name) for name in ("a", "b")])
    report = sparksig.check(df, contract, "full")
    assert [(finding.path, finding.code) for finding in report.findings] == [
        ("a", sparksig.Code.SHAPE_MISMATCH)
    ]


@pytest.mark.skipif(not bind.HAS_ARROW, reason="before Spark 4.1 each column is an argument")
def test_packed_columns_give_the_same_predictions(spark, tmp_path, monkeypatch):
    names = ["a", "`b`", "${c}", "d"]

    class Total(sparksig.PythonModel):
        def predict(self, model_input):
            assert list(model_input) == names
            return model_input[names].sum(axis=1).to_numpy()

    schema = Schema(
        [ColSpec(dtype, name) for dtype, name in zip(("double", "double", "long", "double"), names)]
    )
    sparksig.save_model(tmp_path / "m", Total(), ModelSignature(schema, Schema([ColSpec("double")])))
    columns = {"d": [0.5, 1.5], "a": [1, 2], "${c}": [2**53, 1], "`b`": [None, 3.5]}
    pq.write_table(pa.table({**columns, "a": pa.array([1, 2], pa.int32())}), tmp_path / "table.parquet")
    df = spark.read.parquet(str(tmp_path / "table.parquet"))
    predictions = []
    for limit in (500, 0):
        monkeypatch.setattr(bind, "MAX_ARGUMENTS", limit)
        scored = sparksig.score(df, tmp_path / "m", keep=["d"], allow_pickle=True)
        predictions.append(scored.toArrow())
    assert predictions[0].equals(predictions[1])
    assert predictions[1].column("prediction").to_pylist() == [float(2**53 + 2), 8.0]


def test_wide_table_is_checked_and_bound(spark, tmp_path):
    """More columns than Spark compiles aggregates for, and than are arguments of their own."""
    names = [f"feature_{number}" for number in range(600)]
    path = str(tmp_path / "table.parquet")
    pq.write_table(pa.table({name: [0.5, None if name == "feature_7" else 1.5] for name in names}), path)
    df = spark.read.parquet(path)
    schema = Schema([ColSpec("double", name) for name in names])
    report = sparksig.check(df, schema, "full", refuse_nan=True)
    assert [(finding.path, finding.count) for finding in report.findings] == [("feature_7", 1)]
    assert len(bind.bind(df.schema, schema).values) == (1 if bind.HAS_ARROW else 600)
