"""Optional columns that a table lacks: what models see, and what score and the job say; real Spark."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from sklearn.ensemble import HistGradientBoostingRegressor

import sparksig
from sparksig import AbsentColumnWarning, Code, ColSpec, ContractError, ModelSignature, Schema
from sparksig.jobs import ScoreConfig, plan_score, score
from sparksig.jobs.config import PreflightSection
from tests.spark import models

ARROW = hasattr(F, "arrow_udf")
ROOMS = np.array([1.0, 2.0, np.nan, 4.0] * 10)
FLATS = pd.DataFrame({"id": np.arange(40), "area": np.arange(40.0), "rooms": ROOMS})
INPUTS = {"area": "double", "rooms": "double?"}


@pytest.fixture(scope="module")
def estimator(tmp_path_factory):
    """An estimator that tolerates nulls, the arguments that score it, and its predictions for nulls."""
    data = FLATS[["area", "rooms"]]
    model = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2).fit(
        data, FLATS["area"] + np.nan_to_num(ROOMS) ** 2
    )
    path = tmp_path_factory.mktemp("models") / "estimator"
    signature = ModelSignature(
        Schema([ColSpec("double", "area"), ColSpec("double", "rooms", False)]), Schema([ColSpec("double")])
    )
    trusted = models.trusted(model)
    sparksig.save_model(path, model, signature, trusted_types=trusted)
    return str(path), {"trusted_types": trusted}, model.predict(data.assign(rooms=np.nan)).tolist()


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """A PythonModel that returns the names and dtypes of the columns that it sees."""
    path = tmp_path_factory.mktemp("models") / "echo"
    return models.save_python(path, models.Returning(see_dtypes), INPUTS, {"y": "string"})


def see_dtypes(frame, params):
    return [",".join(f"{name}:{dtype}" for name, dtype in frame.dtypes.items())] * len(frame)


def predictions(df):
    return [row.prediction for row in df.collect()]


@pytest.fixture
def flats(frame_of):
    """A table without the optional column."""
    return frame_of(pa.Table.from_pandas(FLATS[["id", "area"]])).coalesce(1)


@pytest.mark.parametrize("batch_rows", [None, 7])
@pytest.mark.parametrize("on_error", ["fail", "null"])
def test_an_estimator_predicts_as_with_nulls(flats, estimator, on_error, batch_rows):
    path, trust, expected = estimator
    options = {"on_error": on_error, "batch_rows": batch_rows, **trust}
    with pytest.warns(AbsentColumnWarning, match="the model sees nulls in their place: rooms"):
        absent = sparksig.score(flats, path, **options)
    nulls = sparksig.score(flats.withColumn("rooms", F.lit(None).cast("double")), path, **options)
    assert predictions(absent) == predictions(nulls) == expected


@pytest.mark.parametrize(
    ("absent", "expected"),
    [(None, "area:float64"), ("omit", "area:float64"), ("null", "area:float64,rooms:float64")],
    ids=["default", "omit", "null"],
)
def test_a_function_sees_no_column_unless_nulls_are_chosen(flats, echo, absent, expected):
    with pytest.warns(AbsentColumnWarning):
        scored = sparksig.score(flats.limit(1), echo, absent=absent, allow_pickle=True)
    assert predictions(scored) == [expected]
    local = sparksig.load_model(echo, allow_pickle=True, absent=absent).predict({"area": [1.0]})
    assert local == [expected]


def test_forbid_reports_optional_and_required_columns_alike(flats, echo, jobs_started):
    renamed = flats.withColumnsRenamed({"area": "Area"}).withColumn("Rooms", F.lit(1.0))
    with pytest.raises(ContractError, match="2 findings") as caught:
        sparksig.score(renamed, echo, absent="forbid", allow_pickle=True)
    assert [(finding.code, finding.path, finding.hint) for finding in caught.value.findings] == [
        (Code.MISSING_COLUMN, name, f"did you mean {name.title()!r}? Names are case sensitive")
        for name in ("area", "rooms")
    ]
    assert not jobs_started()


def test_a_warning_has_every_absent_column_and_its_near_miss(flats, tmp_path):
    inputs = INPUTS | {"kids": "long?"}
    path = models.save_python(tmp_path / "m", models.Returning(see_dtypes), inputs, {"y": "string"})
    with pytest.warns(AbsentColumnWarning) as caught:
        sparksig.score(flats.withColumn("Kids", F.lit(1)), path, allow_pickle=True)
    own = [warning for warning in caught if warning.category is AbsentColumnWarning]
    assert [str(warning.message) for warning in own] == [
        "the table lacks optional columns, and the model does not see them: rooms, kids (did you mean "
        "'Kids'? Names are case sensitive)"
    ]
    assert own[0].filename == __file__


def test_a_column_function_has_its_own_choice(flats, estimator):
    path, trust, expected = estimator
    udf = sparksig.spark_udf(flats.sparkSession, path, **trust)
    assert udf.absent == "null"
    assert predictions(flats.select(udf(area="area").alias("prediction"))) == expected
    with pytest.raises(
        ContractError, match=r"absent cannot be combined with a ModelUDF: pass them to spark_udf\(\.\.\.\)"
    ):
        sparksig.score(flats, udf, absent="omit")
    with pytest.raises(ContractError, match="absent: expected one of"):
        sparksig.spark_udf(flats.sparkSession, path, absent="drop", **trust)


def test_a_column_function_that_forbids_absence_needs_every_column(flats, echo):
    udf = sparksig.spark_udf(flats.sparkSession, echo, absent="forbid", allow_pickle=True)
    with pytest.raises(ContractError, match="rooms: expected double, got no such argument"):
        udf(area="area")
    full = flats.withColumn("rooms", F.lit(None).cast("double")).limit(1)
    assert predictions(full.select(udf().alias("prediction"))) == ["area:float64,rooms:float64"]


@pytest.mark.skipif(not ARROW, reason="before Spark 4.1 structs go by score only")
def test_a_struct_without_the_column_is_scored_alike(flats, estimator, echo):
    path, trust, expected = estimator
    udf = sparksig.spark_udf(flats.sparkSession, path, **trust)
    assert predictions(flats.select(udf(F.struct("*")).alias("prediction"))) == expected
    udf = sparksig.spark_udf(flats.sparkSession, echo, absent="forbid", allow_pickle=True)
    with pytest.raises(Exception, match="rooms: expected double, got no such column"):
        flats.select(udf(F.struct("*"))).collect()


# --- the job ----------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    """A directory with a table whose optional column is renamed."""
    (tmp_path / "in").mkdir()
    table = pa.Table.from_pandas(FLATS.rename(columns={"rooms": "Rooms"}))
    pq.write_table(table, tmp_path / "in" / "flats.parquet")
    return tmp_path


def config_of(model, place, **section):
    """Return the configuration of a job, with keys of its section ``model``."""
    data = {
        "model": {"path": model, **section},
        "input": {"path": str(place / "in")},
        "output": {"path": str(place / "out"), "keep": ["id"]},
    }
    return ScoreConfig.model_validate(data)


NEAR_MISS = (
    "rooms: optional, and the table has no such column (did you mean 'Rooms'? Names are case sensitive)"
)


def test_the_plan_and_the_report_of_a_job_list_absent_columns(spark, place, estimator):
    path, trust, expected = estimator
    config = config_of(path, place, **trust)
    plan = plan_score(config)
    assert f"absent columns\n  {NEAR_MISS}\n" in str(plan)
    assert [entry["path"] for entry in json.loads(plan.to_json())["absent"]] == ["rooms"]
    assert (plan.findings, plan.exit_code) == ((), 0)
    report = score(config)
    assert f"absent column    {NEAR_MISS}" in str(report)
    assert report.absent == plan.absent
    scored = pd.read_parquet(place / "out").sort_values("id")
    assert scored["prediction"].tolist() == expected


def test_a_check_before_scoring_lists_absent_columns_once(spark, place, estimator):
    path, trust, _ = estimator
    config = config_of(path, place, **trust)
    config = config.model_copy(update={"check": PreflightSection(mode="full")})
    report = score(config)
    assert report.check.absent == report.absent
    assert str(report).count(NEAR_MISS) == 1


@pytest.mark.parametrize(
    ("absent", "expected"),
    [("auto", "area:float64"), ("omit", "area:float64"), (None, "area:float64,rooms:float64")],
    ids=["auto", "omit", "null"],
)
def test_the_choice_is_a_key_of_the_job(spark, place, echo, absent, expected):
    score(config_of(echo, place, allow_pickle=True, absent=absent))
    assert set(pd.read_parquet(place / "out")["prediction"]) == {expected}


@pytest.mark.parametrize("function", [plan_score, score])
def test_a_job_that_forbids_absence_is_refused(spark, place, echo, function):
    config = config_of(echo, place, allow_pickle=True, absent="forbid")
    with pytest.raises(ContractError, match=r"rooms: .* got no such column \(did you mean"):
        function(config)
    assert not (place / "out").exists()
