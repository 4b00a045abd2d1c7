"""Named columns for inputs without names: matched by the names that an estimator was fitted with."""

from __future__ import annotations

import itertools

import lightgbm
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sparksig
from sparksig import ColSpec, ContractError, ModelDamagedError, ModelSignature, Schema, TensorSpec
from sparksig.models.directory import ModelDirectory
from sparksig.models.features import find_features
from tests.parquet_tables import check_parquet

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PLANTS = pd.DataFrame(
    {"light": [1.0, 4.0, 9.0, 2.0], "water": [20.0, 50.0, 10.0, 40.0], "soil": [7.0, 5.0, 6.0, 5.5]}
)
HEIGHTS = np.array([12.0, 30.0, 25.0, 21.0])
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
COLUMNS = Schema([ColSpec("double")] * 3)
MODELS = {
    "sklearn": lambda data: LinearRegression().fit(data, HEIGHTS),
    "pipeline": lambda data: make_pipeline(StandardScaler(), LinearRegression()).fit(data, HEIGHTS),
    "xgboost": lambda data: xgboost.XGBRegressor(n_estimators=3).fit(data, HEIGHTS),
    "lightgbm": lambda data: lightgbm.LGBMRegressor(n_estimators=3, min_data_in_leaf=1, verbose=-1).fit(
        data, HEIGHTS
    ),
}
TURNED = PLANTS[["soil", "light", "water"]].assign(id=range(4))


def are_close(left, other):
    """Return whether predictions are equal, up to the order in which NumPy adds."""
    return np.allclose(left, other, rtol=1e-9, atol=0)


FORMS = {
    "frame": lambda frame: frame,
    "Arrow table": pa.Table.from_pandas,
    "record batch": pa.RecordBatch.from_pandas,
    "dictionary": lambda frame: frame.to_dict("list"),
    "dictionary of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "records": lambda frame: frame.to_dict("records"),
}


@pytest.fixture(scope="module", params=list(itertools.product(MODELS, ["tensor", "columns"])), ids="-".join)
def saved(request, tmp_path_factory):
    """A directory with a model, saved without names, and its own predictions."""
    name, kind = request.param
    model = MODELS[name](PLANTS)
    home = tmp_path_factory.mktemp("models") / "m"
    example = PLANTS.to_numpy() if kind == "tensor" else PLANTS.to_numpy().tolist()
    inputs = TENSOR if kind == "tensor" else COLUMNS
    sparksig.save_model(home, model, ModelSignature(inputs), input_example=example)
    return home, model.predict(PLANTS)


@pytest.mark.parametrize("form", FORMS)
def test_columns_in_any_order_are_matched_by_name(saved, form):
    home, expected = saved
    model = sparksig.load_model(home)
    assert are_close(model.predict(FORMS[form](TURNED)), expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_feature_without_a_column_is_refused_with_the_nearest_name(saved, form):
    model = sparksig.load_model(saved[0])
    data = FORMS[form](TURNED.rename(columns={"water": "Water"}))
    expected = r"water: expected (float64|double), got no such column \(did you mean 'Water'"
    with pytest.raises(ContractError, match=expected):
        model.predict(data)


@pytest.mark.parametrize(
    "data",
    [
        PLANTS.to_numpy(),
        PLANTS.set_axis(range(3), axis="columns"),
        pa.Table.from_pandas(PLANTS.set_axis(range(3), axis="columns")),
    ],
    ids=["array", "frame", "table"],
)
def test_data_without_names_is_fed_by_position(saved, data):
    home, expected = saved
    model = sparksig.load_model(home)
    assert are_close(model.predict(data), expected)


def test_two_columns_of_one_name_are_refused(saved):
    twice = pd.concat([PLANTS, PLANTS[["soil"]]], axis="columns")
    with pytest.raises(ContractError, match="soil: expected one column of that name, got 2"):
        sparksig.load_model(saved[0]).predict(twice)


@pytest.mark.parametrize("key", ["dataframe_split", "dataframe_records"])
def test_requests_with_names_are_matched(tmp_path, key):
    sparksig.save_model(tmp_path / "m", MODELS["sklearn"](PLANTS), input_example=PLANTS.to_numpy())
    body = {key: TURNED.to_dict(key.partition("_")[2])}
    predicted = sparksig.validate_serving_input(tmp_path / "m", body)
    assert np.array_equal(predicted, MODELS["sklearn"](PLANTS).predict(PLANTS))


def test_a_model_fitted_to_an_array_is_fed_by_position(tmp_path):
    model = MODELS["sklearn"](PLANTS.to_numpy())
    sparksig.save_model(tmp_path / "m", model, input_example=PLANTS.to_numpy())
    loaded = sparksig.load_model(tmp_path / "m")
    turned = PLANTS[["water", "soil", "light"]]
    assert np.array_equal(loaded.predict(turned), model.predict(turned.to_numpy()))
    assert find_features(ModelDirectory.read(tmp_path / "m")) is None


def test_the_names_of_an_example_are_those_of_a_model_without_names(tmp_path):
    model = MODELS["sklearn"](PLANTS.to_numpy())
    sparksig.save_model(tmp_path / "m", model, ModelSignature(TENSOR), input_example=PLANTS)
    predicted = sparksig.load_model(tmp_path / "m").predict(TURNED)
    assert np.array_equal(predicted, model.predict(PLANTS.to_numpy()))


def test_an_example_in_another_order_is_kept_in_that_of_the_features(tmp_path):
    sparksig.save_model(
        tmp_path / "m", MODELS["sklearn"](PLANTS), ModelSignature(TENSOR), input_example=TURNED
    )
    assert np.array_equal(sparksig.load_input_example(tmp_path / "m"), PLANTS.to_numpy())


def test_the_features_of_a_directory_of_mlflow_are_those_of_its_estimator(tmp_path):
    model = MODELS["pipeline"](PLANTS)
    signature = mlflow.models.infer_signature(PLANTS.to_numpy(), model.predict(PLANTS))
    mlflow.sklearn.save_model(model, tmp_path / "m", signature=signature, pip_requirements=["numpy"])
    loaded = sparksig.load_model(tmp_path / "m", on_version_mismatch="ignore")
    assert are_close(loaded.predict(TURNED), model.predict(PLANTS))
    assert find_features(ModelDirectory.read(tmp_path / "m")) == ("light", "water", "soil")


def test_recorded_names_must_be_names(tmp_path):
    sparksig.save_model(tmp_path / "m", MODELS["sklearn"](PLANTS), input_example=PLANTS.to_numpy())
    file = tmp_path / "m" / "MLmodel"
    file.write_text(file.read_text().replace("- water", "- 5"))
    with pytest.raises(ModelDamagedError):
        sparksig.load_model(tmp_path / "m")


@pytest.mark.parametrize("mode", ["schema", "full"])
def test_a_check_of_files_matches_the_columns(tmp_path, mode):
    sparksig.save_model(tmp_path / "m", MODELS["sklearn"](PLANTS), input_example=PLANTS.to_numpy())
    pq.write_table(pa.Table.from_pandas(TURNED), tmp_path / "good.parquet")
    pq.write_table(pa.Table.from_pandas(TURNED.drop(columns="light")), tmp_path / "bad.parquet")
    assert check_parquet(tmp_path / "good.parquet", tmp_path / "m", mode).findings == ()
    report = check_parquet(tmp_path / "bad.parquet", tmp_path / "m", mode)
    findings = [(finding.path, finding.code.value) for finding in report.findings]
    assert findings == [("light", "MISSING_COLUMN")]


def test_schemas_alone_know_no_features():
    assert sparksig.enforce(PLANTS, TENSOR).tolist() == PLANTS.to_numpy().tolist()
