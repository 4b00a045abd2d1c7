"""Boosters that were trained on pandas categories: saved here and by MLflow, fed with text and integers."""

from __future__ import annotations

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
import xgboost

import sparksig
from sparksig import ColSpec, ModelSignature, Schema, UnsupportedError
from sparksig.models.flavors.categories import assign_categories

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

TRIPS = pd.DataFrame(
    {
        "zone": ["north", "west", "east", "north", "south", "west"] * 10,
        "km": np.arange(60.0),
        "seats": [2, 4, 7] * 20,
        "stops": [1, 2] * 30,
    }
)
TRAINED = TRIPS.astype({"zone": "category", "seats": "category"})
FARES = TRIPS["km"] + TRIPS["zone"].map({"north": 0.0, "west": 90.0, "east": 40.0, "south": 70.0})
SIGNATURE = ModelSignature(
    Schema(
        [
            ColSpec("string", "zone", required=False),
            ColSpec("double", "km"),
            ColSpec("long", "seats"),
            ColSpec("long", "stops"),
        ]
    ),
    Schema([ColSpec("double")]),
)
KEEPS = tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 1)
needs_kept = pytest.mark.skipif(not KEEPS, reason="XGBoost keeps categories from 3.1 on")

FITTED = {
    "lightgbm estimator": lambda: lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, min_data_in_leaf=2).fit(
        TRAINED, FARES
    ),
    "lightgbm classifier": lambda: lightgbm.LGBMClassifier(
        n_estimators=2, verbose=-1, min_data_in_leaf=2
    ).fit(TRAINED, TRIPS["stops"] * 10 + TRIPS["seats"]),
    "lightgbm booster": lambda: FITTED["lightgbm estimator"]().booster_,
    "xgboost estimator": lambda: xgboost.XGBRegressor(
        n_estimators=4, enable_categorical=True, tree_method="hist"
    ).fit(TRAINED, FARES),
    "xgboost booster": lambda: FITTED["xgboost estimator"]().get_booster(),
}
MODELS = [pytest.param(name, marks=needs_kept if "xgboost" in name else ()) for name in FITTED]


def predict_directly(model, frame):
    """The prediction of the model itself, for columns of category dtype."""
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(frame, enable_categorical=True))
    return model.predict(frame)


@pytest.mark.filterwarnings("ignore::sparksig.IntegerColumnWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_saved_booster_predicts_from_text_as_from_categories(tmp_path, name):
    model = FITTED[name]()
    sparksig.save_model(tmp_path / "m", model, input_example=TRAINED)
    loaded = sparksig.load_model(tmp_path / "m")
    assert [spec.type.name for spec in loaded.signature.inputs] == ["string", "double", "long", "long"]
    expected = predict_directly(model, TRAINED)
    assert np.array_equal(loaded.predict(TRIPS), expected)
    assert np.array_equal(loaded.predict(TRAINED), expected)
    # a batch with other categories, in another order, has the codes of training
    few = TRIPS.iloc[[4, 2, 1]][["stops", "zone", "km", "seats"]].astype({"zone": "category"})
    assert np.array_equal(loaded.predict(few), expected[[4, 2, 1]])
    assert np.array_equal(mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(TRIPS), expected)


@pytest.mark.parametrize("name", MODELS)
def test_an_unseen_category_is_missing(tmp_path, name):
    model = FITTED[name]()
    signature = ModelSignature(SIGNATURE.inputs) if "classifier" in name else SIGNATURE
    if name.startswith("xgboost"):
        signature = ModelSignature(SIGNATURE.inputs, Schema([ColSpec("float")]))
    sparksig.save_model(tmp_path / "m", model, signature=signature)
    data = TRIPS.head(3).assign(zone=["north", "uptown", None])
    trained = data.assign(zone=pd.Categorical(["north", None, None], dtype=TRAINED["zone"].dtype))
    expected = predict_directly(model, trained.astype({"seats": TRAINED["seats"].dtype}))
    assert np.array_equal(sparksig.load_model(tmp_path / "m").predict(data), expected)


def save_by_mlflow(home, name, model):
    module = mlflow.lightgbm if name.startswith("lightgbm") else mlflow.xgboost
    signature = mlflow.models.infer_signature(TRIPS, predict_directly(model, TRAINED))
    module.save_model(model, home, signature=signature, pip_requirements=["numpy"])


@pytest.mark.parametrize("name", MODELS)
def test_a_booster_saved_by_mlflow_predicts_from_text(tmp_path, name):
    model = FITTED[name]()
    save_by_mlflow(tmp_path / "m", name, model)
    own = type(model)
    types = ["collections.OrderedDict", "lightgbm.basic.Booster", f"{own.__module__}.{own.__name__}"]
    loaded = sparksig.load_model(tmp_path / "m", trusted_types=types, on_version_mismatch="ignore")
    assert np.array_equal(loaded.predict(TRIPS), predict_directly(model, TRAINED))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_text_that_a_booster_has_no_categories_of_is_refused_when_loading(tmp_path, library):
    numbers = TRIPS[["km", "seats"]]
    fitted = {
        "lightgbm": lambda: lightgbm.train(
            {"verbose": -1, "min_data_in_leaf": 2}, lightgbm.Dataset(numbers, FARES), 2
        ),
        "xgboost": lambda: xgboost.train({"max_depth": 2}, xgboost.DMatrix(numbers, FARES), 2),
    }[library]()
    text = TRIPS.assign(km=TRIPS["zone"])[["km", "seats"]]
    signature = mlflow.models.infer_signature(text, np.zeros(1))
    module = {"lightgbm": mlflow.lightgbm, "xgboost": mlflow.xgboost}[library]
    module.save_model(fitted, tmp_path / "m", signature=signature, pip_requirements=["numpy"])
    expected = "km: expected a number, or a category of training that the booster stores, got string"
    with pytest.raises(UnsupportedError, match=expected):
        sparksig.load_model(tmp_path / "m")
    with pytest.raises(UnsupportedError, match=expected):
        sparksig.save_model(
            tmp_path / "other",
            fitted,
            signature=ModelSignature(Schema([ColSpec("string", "km"), ColSpec("long", "seats")])),
        )


def test_integers_of_an_old_xgboost_model_may_be_categories_or_codes(tmp_path):
    """XGBoost before 3.1 keeps a model of pandas categories as if it were trained on their codes."""
    codes = pd.DataFrame({"seats": TRAINED["seats"].cat.codes.astype("int64"), "km": TRIPS["km"]})
    options = {"n_estimators": 2, "enable_categorical": True, "tree_method": "hist"}
    model = xgboost.XGBRegressor(feature_types=["c", "q"], **options).fit(codes, FARES)
    signature = mlflow.models.infer_signature(codes, model.predict(codes))
    mlflow.xgboost.save_model(model, tmp_path / "m", signature=signature, pip_requirements=["numpy"])
    if KEEPS:
        assert np.array_equal(sparksig.load_model(tmp_path / "m").predict(codes), model.predict(codes))
        file = tmp_path / "m" / "MLmodel"
        now = f"xgb_version: {xgboost.__version__}"
        file.write_text(file.read_text().replace(now, "xgb_version: 2.1.4"))
    expected = (
        r"XGBoost \(before 3\.1 it does not store categories\) cannot predict for .*\n  - "
        r"seats: expected a number"
    )
    with pytest.raises(UnsupportedError, match=expected):
        sparksig.load_model(tmp_path / "m")


@pytest.mark.skipif(KEEPS, reason="XGBoost keeps categories from 3.1 on")
def test_saving_categories_that_xgboost_does_not_keep_is_refused(tmp_path):
    expected = "does not store the categories of the columns zone, seats"
    with pytest.raises(UnsupportedError, match=expected):
        sparksig.save_model(tmp_path / "m", FITTED["xgboost estimator"]())


def test_lightgbm_gets_the_columns_in_the_order_of_training(tmp_path):
    model = FITTED["lightgbm booster"]()
    turned = TRIPS[["stops", "seats", "km", "zone"]]
    signature = mlflow.models.infer_signature(turned, np.zeros(1))
    mlflow.lightgbm.save_model(model, tmp_path / "m", signature=signature, pip_requirements=["numpy"])
    assert np.array_equal(sparksig.load_model(tmp_path / "m").predict(turned), model.predict(TRAINED))


LONGS = Schema([ColSpec("long", "a"), ColSpec("long", "b"), ColSpec("string", "c")])


@pytest.mark.parametrize(
    ("lists", "infos", "expected"),
    [
        pytest.param([["x"]], ["[0:1]", "[0:9]", "0"], {2: ["x"]}, id="text can be nothing else"),
        pytest.param([[5, 6], ["x"]], ["[5:6]", "0:1", "none"], {1: [5, 6], 2: ["x"]}, id="codes"),
        pytest.param([[5, 6], ["x"]], ["[0:1]", "[0:9]", "0"], {0: [5, 6], 2: ["x"]}, id="ordered"),
        pytest.param([[5, 6], ["x"]], ["0:1", "0:1", "0"], None, id="two columns fit"),
        pytest.param([["x"], [5]], ["0", "0", "0"], None, id="another order"),
        pytest.param([[1.5], ["x"]], ["0", "0", "0"], None, id="another type"),
        pytest.param([[5, 6]], ["0:1", "0", "0"], None, id="text without categories"),
    ],
)
def test_the_columns_of_categories_are_found_by_type_and_codes(lists, infos, expected):
    assert assign_categories(lists, LONGS, infos) == expected
