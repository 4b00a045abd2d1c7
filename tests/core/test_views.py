"""Results are shown as their text in a terminal, and in notebooks even without jinja2."""

from __future__ import annotations

import json
import sys

import pytest

from sparksig import Code, Finding, ModelSignature, Report, SampledSignature, Schema
from sparksig.comparison import Comparison
from sparksig.jobs import RunReport
from sparksig.jobs.score_plan import ScorePlan
from sparksig.scoring.local import ScoredFiles
from sparksig.tables.report import ColumnReport
from sparksig.tables.sample import Evidence
from sparksig.writing.plan import WritePlan
from sparksig.writing.write import Written

FINDING = Finding(Code.NULL_IN_REQUIRED, "a.b", "long without nulls", "nulls", "declare it optional", 3)
COLUMNS = (
    ColumnReport("a", "{b: long}", "struct<b:bigint>", False, 3),
    ColumnReport("c", "long", "bigint", True),
)
REPORT = Report("full", "DDL", (FINDING,), COLUMNS, rows=9, bad_rows=3)
PLAN = WritePlan("/data/out", "parquet", "append", True, (), ())
RESULTS = {
    "report": REPORT,
    "comparison": Comparison(),
    "run report": RunReport("score", "nightly", "done", 0, "2026-01-31T00:00:00Z", 2.0, {"score": 1.5}),
    "written": Written(PLAN, REPORT, 9),
    "repeated": Written(PLAN, REPORT, 0, repeated=True),
    "write plan": PLAN,
    "score plan": ScorePlan(None, "m", "ab", {}, (), (), 1, PLAN, None, "schema", "none", (), 0),
    "sampled signature": SampledSignature(
        ModelSignature(Schema.from_ddl("a bigint")), (Evidence("a", 9, 3, 2),)
    ),
    "scored files": ScoredFiles("out", "local", 9, 8, 1, (FINDING,), {}, 1, 2_000, "ab", {"run": 0.5}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_result_is_shown_as_its_text(name):
    assert repr(RESULTS[name]) == str(RESULTS[name])
    assert "<" in RESULTS[name]._repr_html_()
    assert json.loads(json.dumps(RESULTS[name].to_dict()))


def test_notebook_without_jinja2_shows_the_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert REPORT._repr_html_().startswith("<pre>the table breaks the contract (DDL): 9 rows checked")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("written", "9 rows written to /data/out (parquet)"),
        ("repeated", "/data/out (parquet) has this run already: nothing was written"),
        (
            "scored files",
            "rows      9\nscored    8\nrejected  1\nengine    local\noutput    out (1 file, 2.0 kB)\n"
            f"- {FINDING}",
        ),
    ],
)
def test_text_of_a_result(name, text):
    assert str(RESULTS[name]) == text


def test_report_is_a_dataframe_of_columns():
    frame = REPORT.to_pandas()
    assert frame["name"].tolist() == ["a", "c"]
    assert frame["ok"].tolist() == [False, True]
    assert frame["nulls"].isna().tolist() == [False, True]
    assert frame["findings"].tolist() == [str(FINDING), ""]


def test_report_without_columns_is_an_empty_dataframe():
    assert Report("schema", "DDL", (), ()).to_pandas().empty
