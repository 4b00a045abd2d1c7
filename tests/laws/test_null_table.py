"""The README's table of null, absent and undeclared columns: ``check`` and ``score``, cell by cell.

tests/spark/test_null_table.py proves the column of ``write``.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

import sparksig
from sparksig import ColSpec, ContractError, Schema
from sparksig.engine.absent import AbsentColumnWarning
from sparksig.errors import Code

README = Path(__file__).parents[2] / "README.md"
NAN = float("nan")
MODEL = Schema([ColSpec("long", "id"), ColSpec("double", "x", required=False)])
DDL = "id bigint not null, x double"
REQUIRED_NUMBER = Schema([ColSpec("long", "id"), ColSpec("double", "x")])

ROWS = {
    "null, optional column",
    "null, required integer, long, boolean",
    "null, other required column",
    "NaN",
    "absent, optional column",
    "absent, required column",
    "undeclared column",
}


def test_table_of_the_readme_has_the_rows_that_are_tested():
    section = README.read_text().partition("## Null, absent, optional")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| ([^|]+) \|", section)
    assert set(rows) == ROWS
    assert len(re.findall(r"(?m)^\|.*\|$", section)) == len(ROWS) + 2


@pytest.fixture
def write_table(tmp_path):
    def write(**columns):
        path = tmp_path / "table.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


def ids(*values):
    return pa.array(values, pa.int64())


def doubles(*values):
    return pa.array(values, pa.float64(), from_pandas=False)


# --- check --------------------------------------------------------------------------------------------------

CHECKED = {
    "null optional: model": ({"id": ids(1), "x": doubles(None)}, MODEL, {}, None),
    "null optional: table": ({"id": ids(1), "x": doubles(None)}, DDL, {}, None),
    "null required long: model": ({"id": ids(None), "x": doubles(1)}, MODEL, {}, Code.NULL_IN_REQUIRED),
    "null required long: table": ({"id": ids(None), "x": doubles(1)}, DDL, {}, Code.NULL_IN_REQUIRED),
    "null required long, lenient": (
        {"id": ids(None), "x": doubles(1)},
        MODEL,
        {"strict_nulls": False},
        Code.NULL_IN_REQUIRED,
    ),
    "null required integer": (
        {"n": pa.array([None], pa.int32())},
        Schema([ColSpec("integer", "n")]),
        {"strict_nulls": False},
        Code.NULL_IN_REQUIRED,
    ),
    "null required boolean": (
        {"b": pa.array([None], pa.bool_())},
        Schema([ColSpec("boolean", "b")]),
        {"strict_nulls": False},
        Code.NULL_IN_REQUIRED,
    ),
    "null required double": ({"id": ids(1), "x": doubles(None)}, REQUIRED_NUMBER, {}, Code.NULL_IN_REQUIRED),
    "null required double, lenient": (
        {"id": ids(1), "x": doubles(None)},
        REQUIRED_NUMBER,
        {"strict_nulls": False},
        None,
    ),
    "NaN": ({"id": ids(1), "x": doubles(NAN)}, REQUIRED_NUMBER, {}, None),
    "NaN refused": (
        {"id": ids(1), "x": doubles(NAN)},
        REQUIRED_NUMBER,
        {"refuse_nan": True},
        Code.INVALID_VALUE,
    ),
    "absent optional: model": ({"id": ids(1)}, MODEL, {}, None),
    "absent optional: table": ({"id": ids(1)}, DDL, {}, Code.MISSING_COLUMN),
    "absent optional: table, allowed": ({"id": ids(1)}, DDL, {"missing": "allow"}, None),
    "absent required: model": ({"x": doubles(1)}, MODEL, {}, Code.MISSING_COLUMN),
    "absent required: table": ({"x": doubles(1)}, DDL, {}, Code.MISSING_COLUMN),
    "undeclared: model": ({"id": ids(1), "x": doubles(1), "more": ids(2)}, MODEL, {}, None),
    "undeclared: table": ({"id": ids(1), "x": doubles(1), "more": ids(2)}, DDL, {}, Code.EXTRA_COLUMN),
    "undeclared: table, allowed": (
        {"id": ids(1), "x": doubles(1), "more": ids(2)},
        DDL,
        {"extra": "allow"},
        None,
    ),
}


@pytest.mark.parametrize(("columns", "contract", "options", "code"), CHECKED.values(), ids=CHECKED)
def test_check(write_table, columns, contract, options, code):
    report = sparksig.check(write_table(**columns), contract, mode="full", **options)
    assert [finding.code for finding in report.findings] == ([] if code is None else [code])
    assert report.ok is (code is None)


def test_check_reports_an_absent_optional_column_of_a_model(write_table):
    report = sparksig.check(write_table(id=ids(1)), MODEL, mode="full")
    assert report.ok
    assert "x" in [column.name for column in report.columns]


# --- score --------------------------------------------------------------------------------------------------


def show(model_input):
    """Return for each row the columns and values that the model sees."""
    rows = model_input.to_dict("records")
    return [", ".join(f"{name}={'null' if v is None else v}" for name, v in row.items()) for row in rows]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def save_show(home):
    """Save a model that shows its rows, once for each schema."""

    def save(inputs):
        path = home / f"show-{abs(hash(inputs))}"
        if not path.exists():
            signature = sparksig.ModelSignature(inputs, Schema([ColSpec("string")]))
            sparksig.save_model(path, show, signature)
        return path

    return save


def score(table, model, tmp_path, **options):
    scored = tmp_path / "scored"
    report = sparksig.score_files(table, model, scored, allow_pickle=True, processes=1, **options)
    return report, pq.read_table(scored)


SHOWN = {
    "null optional": ({"id": ids(1), "x": doubles(None)}, MODEL, "id=1, x=nan"),
    "null optional long": (
        {"n": ids(None)},
        Schema([ColSpec("long", "n", required=False)]),
        "n=null",
    ),
    "null required double": ({"id": ids(1), "x": doubles(None)}, REQUIRED_NUMBER, "id=1, x=nan"),
    "null required string": (
        {"s": pa.array([None], pa.string())},
        Schema([ColSpec("string", "s")]),
        "s=null",
    ),
    "NaN": ({"id": ids(1), "x": doubles(NAN)}, MODEL, "id=1, x=nan"),
    "undeclared": ({"id": ids(1), "x": doubles(2), "more": ids(3)}, MODEL, "id=1, x=2.0"),
}


@pytest.mark.parametrize(("columns", "inputs", "expected"), SHOWN.values(), ids=SHOWN)
def test_score_shows_the_model(write_table, save_show, tmp_path, columns, inputs, expected):
    _, scored = score(write_table(**columns), save_show(inputs), tmp_path)
    assert scored["prediction"].to_pylist() == [expected]


REJECTED = {
    "long": (ids(None, 1), ColSpec("long", "n")),
    "integer": (pa.array([None, 1], pa.int32()), ColSpec("integer", "n")),
    "boolean": (pa.array([None, True]), ColSpec("boolean", "n")),
}


@pytest.mark.parametrize(("column", "spec"), REJECTED.values(), ids=REJECTED)
def test_score_refuses_a_null_in_a_required_column(write_table, save_show, tmp_path, column, spec):
    table, model = write_table(n=column), save_show(Schema([spec]))
    with pytest.raises(ContractError) as caught:
        score(table, model, tmp_path)
    assert [finding.code for finding in caught.value.findings] == [Code.NULL_IN_REQUIRED]
    report, scored = score(table, model, tmp_path, on_error="null")
    assert (report.scored, report.rejected) == (1, 1)
    assert [value is None for value in scored["prediction"].to_pylist()] == [True, False]


ABSENT = {
    "default": ({}, "id=1"),
    "null": ({"absent": "null"}, "id=1, x=nan"),
    "omit": ({"absent": "omit"}, "id=1"),
}


@pytest.mark.parametrize(("options", "expected"), ABSENT.values(), ids=ABSENT)
def test_score_warns_of_an_absent_optional_column(write_table, save_show, tmp_path, options, expected):
    with pytest.warns(AbsentColumnWarning, match="x"):
        _, scored = score(write_table(id=ids(1)), save_show(MODEL), tmp_path, **options)
    assert scored["prediction"].to_pylist() == [expected]


def test_score_shows_nulls_to_an_estimator_whose_optional_column_is_absent(write_table, home, tmp_path):
    data = pd.DataFrame({"id": [1.0, 2.0, 3.0, 4.0] * 10, "x": [1.0, NAN, 3.0, NAN] * 10})
    estimator = HistGradientBoostingRegressor(min_samples_leaf=1).fit(
        data, data["id"] + data["x"].fillna(100)
    )
    inputs = Schema([ColSpec("double", "id"), ColSpec("double", "x", required=False)])
    sparksig.save_model(
        home / "estimator", estimator, sparksig.ModelSignature(inputs, Schema([ColSpec("double")]))
    )
    with pytest.warns(AbsentColumnWarning, match="x"):
        _, scored = score(write_table(id=doubles(1, 2)), home / "estimator", tmp_path)
    expected = estimator.predict(pd.DataFrame({"id": [1.0, 2.0], "x": [NAN, NAN]}))
    assert scored["prediction"].to_pylist() == expected.tolist()


def test_score_refuses_a_table_without_a_required_column(write_table, save_show, tmp_path):
    with pytest.raises(ContractError, match="id: expected long, got no such column") as caught:
        score(write_table(x=doubles(1)), save_show(MODEL), tmp_path)
    assert [finding.code for finding in caught.value.findings] == [Code.MISSING_COLUMN]


def test_score_keeps_an_undeclared_column_in_the_result(write_table, save_show, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = write_table(id=ids(1), x=doubles(2), more=ids(3))
        _, scored = score(table, save_show(MODEL), tmp_path)
    assert scored.column_names == ["id", "x", "more", "prediction"]
    assert scored["more"].to_pylist() == [3]
