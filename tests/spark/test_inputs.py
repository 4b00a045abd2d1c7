"""Columns of a table that become the input of a model: by name, by case, and without a type in the file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import ColSpec, ContractError, ModelSignature, Schema, TensorSpec
from sparksig.jobs import ScoreConfig, plan_score
from sparksig.jobs import score as run_job
from tests.parquet_tables import check_parquet

# scikit-learn's, of an array for an estimator that knows names
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

HOUSES = pd.DataFrame({"area": [40.0, 75.0, 120.0], "age": [3.0, 30.0, 12.0]})
PRICES = [90.0, 110.0, 260.0]
TURNED = pa.Table.from_pandas(HOUSES[["age", "area"]].assign(id=[1, 2, 3]))


@pytest.fixture
def house_model(tmp_path):
    """An estimator that knows its features, under the contract of an unnamed tensor."""
    model = LinearRegression().fit(HOUSES, PRICES)
    sparksig.save_model(tmp_path / "m", model, input_example=HOUSES.to_numpy())
    return tmp_path / "m"


def predictions(scored):
    return [round(row.prediction, 6) for row in scored.collect()]


def test_columns_feed_an_unnamed_tensor_by_the_names_of_features(spark, frame_of, house_model):
    table = frame_of(TURNED)
    assert predictions(sparksig.score(table, house_model)) == PRICES
    assert predictions(sparksig.score(table, house_model, columns=["area", "age"])) == PRICES
    if spark.version >= "4.1":
        scorer = sparksig.spark_udf(spark, house_model)
        scored = table.selectExpr("struct(*) as row").select(scorer("row").alias("prediction"))
        assert predictions(scored) == PRICES
    with pytest.raises(ContractError, match=r"area: expected float64, got no such column \(did you mean"):
        sparksig.score(table.withColumnRenamed("area", "Area"), house_model)
    with pytest.raises(ContractError, match="age: expected column 2, got column 1"):
        sparksig.score(table, house_model, columns=["age", "area"])
    with pytest.raises(ContractError, match="age: expected column 2, got column 1"):
        sparksig.spark_udf(spark, house_model)("age", "area")


def test_a_model_without_names_is_fed_by_position(frame_of, tmp_path):
    model = LinearRegression().fit(HOUSES.to_numpy(), PRICES)
    sparksig.save_model(tmp_path / "m", model, input_example=HOUSES.to_numpy())
    table = frame_of(pa.Table.from_pandas(HOUSES.set_axis(["x", "y"], axis="columns")))
    assert predictions(sparksig.score(table, tmp_path / "m")) == PRICES
    assert sparksig.load_model(tmp_path / "m").predict(HOUSES).round(6).tolist() == PRICES


@pytest.fixture
def case_sensitive(spark):
    spark.conf.set("spark.sql.caseSensitive", "true")
    yield spark
    spark.conf.unset("spark.sql.caseSensitive")


KIDS = Schema([ColSpec("long", "kids"), ColSpec("long", "Kids", required=False)])


def test_a_case_sensitive_session_has_both_columns(case_sensitive, tmp_path):
    table = case_sensitive.sql("select id as kids, if(id = 1, null, id * 10) as Kids from range(3)")
    for mode in ("schema", "sample", "full"):
        assert sparksig.check(table, KIDS, mode).findings == ()
    required = Schema([ColSpec("long", "Kids")])
    assert sparksig.check(table, required, "full", row_key="kids").findings[0].count == 1
    good, bad = sparksig.split(table, required, findings_column="KIDS")
    assert (good.count(), bad.count()) == (2, 1)
    sparksig.write(table, str(tmp_path / "t"), KIDS)
    sparksig.write(table, str(tmp_path / "t"), mode="append")
    assert case_sensitive.read.parquet(str(tmp_path / "t")).columns == ["kids", "Kids"]
    sparksig.save_model(
        tmp_path / "m",
        lambda model_input: (model_input["kids"] + model_input["Kids"].fillna(0)).astype("int64").tolist(),
        signature=ModelSignature(KIDS, Schema([ColSpec("long")])),
    )
    assert predictions(
        sparksig.score(table, tmp_path / "m", column="KIDS", allow_pickle=True).withColumnRenamed(
            "KIDS", "prediction"
        )
    ) == [0, 1, 22]
    config = ScoreConfig.model_validate(
        {
            "model": {"path": str(tmp_path / "m"), "allow_pickle": True},
            "input": {"path": str(tmp_path / "t")},
            "output": {"path": str(tmp_path / "scored"), "keep": "*"},
        }
    )
    assert plan_score(config).findings == ()
    assert run_job(config).scored == 6


def test_other_sessions_refuse_names_equal_up_to_case(spark):
    table = spark.sql("select 1L as kids, 2L as Kids")
    assert [finding.code.value for finding in sparksig.check(table, KIDS).findings] == ["DUPLICATE_NAME"] * 2


SILENT = pa.table({"id": [7, 8], "note": pa.nulls(2), "other": pa.nulls(2)})
NOTES = pa.table({"id": [9], "note": ["late"], "other": [1.5]})
NOTED = Schema([ColSpec("long", "id"), ColSpec("string", "note", required=False)])


@pytest.fixture
def note_model(tmp_path):
    sparksig.save_model(
        tmp_path / "m",
        lambda model_input: [0 if pd.isna(note) else len(note) for note in model_input["note"]],
        signature=ModelSignature(NOTED, Schema([ColSpec("long")])),
    )
    return tmp_path / "m"


def job_of(home, model):
    return ScoreConfig.model_validate(
        {
            "model": {"path": str(model), "allow_pickle": True},
            "input": {"path": str(home)},
            "output": {"path": f"{home}-scored", "keep": "*"},
        }
    )


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param([SILENT], [0, 0], id="alone"),
        pytest.param([SILENT, NOTES], [0, 0, 4], id="first"),
        pytest.param([NOTES, SILENT], [0, 0, 4], id="later"),
    ],
)
def test_a_column_of_the_null_type_is_scored_by_a_job(spark, tmp_path, note_model, days, expected):
    home = tmp_path / "days"
    home.mkdir()
    for index, day in enumerate(days):
        pq.write_table(day, home / f"{index}[x].parquet")
    assert check_parquet(home, NOTED).ok
    config = job_of(home, note_model)
    assert plan_score(config).findings == ()
    assert run_job(config).scored == len(expected)
    scored = spark.read.parquet(f"{home}-scored")
    assert sorted(row.prediction for row in scored.collect()) == expected
    assert dict(scored.dtypes)["note"] == "string"


def test_a_column_of_the_null_type_fits_as_spark_read_it(spark, tmp_path, note_model):
    pq.write_table(SILENT, tmp_path / "day.parquet")
    table = spark.read.parquet(str(tmp_path / "day.parquet"))
    assert dict(table.dtypes)["note"] == "int"
    for mode in ("schema", "sample", "full"):
        assert sparksig.check(table, NOTED, mode).findings == ()
    scored = sparksig.score(table.where("id > 7"), note_model, allow_pickle=True)
    assert [(row.note, row.prediction) for row in scored.collect()] == [(None, 0)]
    good, bad = sparksig.split(table, NOTED)
    assert (good.count(), bad.count()) == (2, 0)
    computed = table.fillna({"note": 5})
    assert [finding.path for finding in sparksig.check(computed, NOTED).findings] == ["note"]
    with pytest.raises(ContractError, match="note: expected string, got int"):
        sparksig.score(computed, note_model, allow_pickle=True)


def test_predict_and_enforce_collect_no_spark_table(spark, note_model):
    loaded = sparksig.load_model(note_model, allow_pickle=True)
    table = spark.sql("select 1L as id, 'x' as note")
    tensor = Schema([TensorSpec(np.dtype("int64"), (-1, 1))])
    text = r"not collected to the driver.*sparksig\.score"
    with pytest.raises(ContractError, match=text):
        loaded.predict(table)
    with pytest.raises(ContractError, match=text):
        sparksig.enforce(table, tensor)
