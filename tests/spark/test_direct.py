"""The engine direct: splits that are read, scored and written by the tasks of a Spark job."""

from __future__ import annotations

import sys

import cloudpickle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparksig
from sparksig import ContractError, ModelFailedError, Schema
from sparksig.scoring import splits as planning
from sparksig.scoring.filters import compile_filter
from sparksig.spark import direct
from tests.scoring.filters import TABLE, conditions
from tests.spark.test_engines import (
    ZONE,
    ColSpec,
    columns,
    compare,
    double_x,
    fail_on_thirteen,
    of_numbers,
    save,
    write,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(sys.modules[compare.__module__])

DOUBLE = Schema([ColSpec("double")])


@pytest.fixture(autouse=True)
def without_least_size(monkeypatch):
    """Divide small tables, too."""
    monkeypatch.setattr(planning, "_FEWEST_BYTES", 1)


def names_beside(home):
    return {path.name for path in home.iterdir()}


def test_files_are_divided_among_tasks(spark, tmp_path):
    write(tmp_path, of_numbers(100), of_numbers(0), of_numbers(50, 100), row_group_size=30)
    report = compare(spark, tmp_path, save(tmp_path, double_x, columns(x="double"), DOUBLE), engine="direct")
    assert (report.engine, report.rows, report.rejected) == ("direct", 150, 0)
    assert report.files == len(list((tmp_path / "direct").iterdir())) > 1
    assert names_beside(tmp_path) == {"table", "model", "spark", "direct"}


def test_one_job_without_a_shuffle_scores_a_table(spark, tmp_path, jobs_started):
    write(tmp_path, of_numbers(100), row_group_size=10)
    model = save(tmp_path, double_x, columns(x="double"), DOUBLE)
    sparksig.score_files(
        tmp_path / "table", model, tmp_path / "scored", engine="direct", spark=spark, allow_pickle=True
    )
    assert jobs_started() == 1


def test_rejected_rows_and_partitions_are_the_same(spark, tmp_path):
    for day in ("2026-01-01", "2026-01-02"):
        (tmp_path / "table" / f"day={day}").mkdir(parents=True)
        table = pa.table({"n": pa.array([1, None, 3]), "x": [1.0, 2.0, 13.0]})
        pq.write_table(table, tmp_path / "table" / f"day={day}" / "part.parquet")
    model = save(tmp_path, fail_on_thirteen, columns(n="long", x="double"), DOUBLE)
    report = compare(spark, tmp_path, model, engine="direct", on_error="null")
    assert (report.scored, report.rejected) == (2, 4)


def test_a_task_without_rows_writes_a_file_with_the_columns(spark, tmp_path):
    write(tmp_path, of_numbers(0))
    compare(spark, tmp_path, save(tmp_path, double_x, columns(x="double"), DOUBLE), engine="direct")


@pytest.mark.parametrize(
    ("function", "table", "error", "message"),
    [
        pytest.param(
            fail_on_thirteen, {"x": [1.0, 13.0]}, ModelFailedError, r"the model raised.*unlucky", id="model"
        ),
        pytest.param(
            double_x, {"x": [1.0], "n": pa.array([None], pa.int64())}, ContractError, "n: ", id="null"
        ),
    ],
)
def test_errors_of_tasks_are_those_of_sparksig(spark, tmp_path, function, table, error, message):
    write(tmp_path, pa.table(table))
    inputs = columns(**{name: {"x": "double", "n": "long"}[name] for name in table})
    model = save(tmp_path, function, inputs, DOUBLE)
    with pytest.raises(error, match=message):
        sparksig.score_files(
            tmp_path / "table", model, tmp_path / "scored", engine="direct", spark=spark, allow_pickle=True
        )
    assert names_beside(tmp_path) == {"table", "model"}


def test_a_second_attempt_at_a_split_adds_no_rows(spark, tmp_path, monkeypatch):
    """Each task runs twice, as with speculation: the files of the first attempt are not in the output."""
    build = direct._build_function

    def build_twice(*arguments):
        function = build(*arguments)

        def score(batches):
            batches = list(batches)
            list(function(iter(batches)))  # an attempt whose result never arrives
            yield from function(iter(batches))

        return score

    monkeypatch.setattr(direct, "_build_function", build_twice)
    write(tmp_path, of_numbers(100), row_group_size=10)
    report = compare(spark, tmp_path, save(tmp_path, double_x, columns(x="double"), DOUBLE), engine="direct")
    assert len(list((tmp_path / "direct").iterdir())) == report.files


# --- filters ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows_of_filters(spark, tmp_path_factory):
    home = tmp_path_factory.mktemp("filters")
    pq.write_table(TABLE, home / "table.parquet")
    return spark.read.parquet(str(home / "table.parquet")).cache()


@given(texts=st.lists(conditions(), min_size=30, max_size=60))
@settings(max_examples=8, deadline=None)
def test_conditions_are_true_for_the_same_rows_as_in_spark(rows_of_filters, texts):
    """Many conditions in one query."""
    columns = [f"({text}) as `{index}`" for index, text in enumerate(texts)]
    rows = sorted(rows_of_filters.selectExpr("number", *columns).collect(), key=lambda row: row["number"])
    [batch] = TABLE.to_batches()
    for index, text in enumerate(texts):
        expected = [row["number"] for row in rows if row[str(index)]]
        actual = compile_filter(text, TABLE.schema, ZONE).apply(batch).column("number").to_pylist()
        assert actual == expected, text
