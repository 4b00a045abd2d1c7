"""Optional columns that the data lacks: estimators see nulls, functions see no column, the caller chooses."""

from __future__ import annotations

import lightgbm
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

import sparksig
from sparksig import Code, ColSpec, ContractError, DataType, ModelSignature, Schema
from tests.models.format_models import as_columns, fitted
from tests.models.helpers import untrusted, without_type_hints

TOLERANT = [
    "histogram", "text-labels-of-objects", "xgb-booster", "xgb-regressor", "xgb-dart", "xgb-linear",
    "xgb-classifier", "xgb-missing", "lgbm-booster", "lgbm-regressor", "lgbm-text-labels", "onnx-columns",
]  # fmt: skip
FLATS = Schema([ColSpec("double", "area"), ColSpec("double", "rooms", required=False)])


def optional(schema, *names):
    """Return a schema in which some columns are optional."""
    return Schema(
        [ColSpec(spec.type, spec.name, spec.required and spec.name not in names) for spec in schema]
    )


def save_with_optional_columns(path, name, count):
    """Save a model of format_models whose last columns are optional; return it, its data and their names."""
    case = fitted(name)
    declared = case.signature()
    names = [spec.name for spec in declared.inputs if spec.type is not DataType.string][-count:]
    signature = ModelSignature(optional(declared.inputs, *names), declared.outputs)
    sparksig.save_model(path, case.model, signature, trusted_types=case.trusted)
    return sparksig.load_model(path, trusted_types=case.trusted), case.data, names


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", TOLERANT)
def test_an_estimator_predicts_as_with_nulls(tmp_path, name, count):
    model, data, names = save_with_optional_columns(tmp_path / "m", name, count)
    nulls = data.assign(**dict.fromkeys(names))
    expected = as_columns(model.predict(nulls))
    assert model.absent == "null"
    for absent in (data.drop(columns=names), pa.Table.from_pandas(data.drop(columns=names))):
        np.testing.assert_array_equal(as_columns(model.predict(absent)), expected)
    np.testing.assert_array_equal(as_columns(model.predict(nulls)), expected)


def test_an_estimator_that_refuses_nulls_refuses_absent_columns_alike(tmp_path):
    model, data, names = save_with_optional_columns(tmp_path / "m", "pipeline", 1)
    with pytest.raises(ValueError, match="NaN") as of_nulls:
        model.predict(data.assign(**{names[0]: np.nan}))
    with pytest.raises(ValueError, match="NaN") as of_absence:
        model.predict(data.drop(columns=names))
    assert str(of_nulls.value) == str(of_absence.value)


def test_text_columns_of_categories_are_absent_as_null_texts(tmp_path):
    data = pd.DataFrame({"zone": ["north", "west", None, "west"] * 10, "km": np.arange(40.0)})
    trained = data.astype({"zone": "category"})
    model = lightgbm.LGBMRegressor(n_estimators=3, verbosity=-1, min_child_samples=2).fit(trained, data["km"])
    inputs = Schema([ColSpec("string", "zone", required=False), ColSpec("double", "km")])
    sparksig.save_model(tmp_path / "m", model, ModelSignature(inputs, Schema([ColSpec("double")])))
    loaded = sparksig.load_model(tmp_path / "m")
    expected = model.predict(trained.assign(zone=pd.Categorical([None] * 40, trained["zone"].cat.categories)))
    assert loaded.predict(data[["km"]]).tolist() == expected.tolist()
    assert loaded.predict(data.assign(zone=None)).tolist() == expected.tolist()


def test_an_example_may_lack_an_optional_column(tmp_path):
    data = pd.DataFrame({"area": np.arange(40.0), "rooms": [1.0, 2.0, np.nan, 4.0] * 10})
    model = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2).fit(data, data["area"])
    trusted = untrusted(model)
    signature = ModelSignature(FLATS, None)
    sparksig.save_model(tmp_path / "m", model, signature, input_example=data[["area"]], trusted_types=trusted)
    loaded = sparksig.load_model(tmp_path / "m", trusted_types=trusted)
    expected = model.predict(data.assign(rooms=np.nan))
    assert loaded.signature.outputs == Schema([ColSpec("double")])
    assert loaded.predict(data[["area"]]).tolist() == expected.tolist()
    request = sparksig.load_serving_example(tmp_path / "m")
    served = sparksig.validate_serving_input(tmp_path / "m", request, trusted_types=trusted)
    assert served.tolist() == expected.tolist()


class Columns(sparksig.PythonModel):
    """Return the names of the columns that it sees."""

    def predict(self, model_input, params=None):
        return [",".join(model_input)] * len(model_input)


def see_columns(model_input):
    return [",".join(model_input)] * len(model_input)


@pytest.fixture(params=[Columns(), see_columns], ids=["PythonModel", "function"])
def columns_model(request, tmp_path):
    """The directory of a model that returns the names of the columns that it sees."""
    signature = ModelSignature(FLATS, Schema([ColSpec("string")]))
    sparksig.save_model(tmp_path / "m", request.param, signature)
    return tmp_path / "m"


@pytest.mark.parametrize(
    ("absent", "expected"), [(None, "area"), ("omit", "area"), ("null", "area,rooms")], ids=str
)
@pytest.mark.parametrize("data", [{"area": [50.0]}, pd.DataFrame({"area": [50.0]})], ids=["dict", "frame"])
def test_a_function_sees_no_column_unless_nulls_are_chosen(columns_model, absent, expected, data):
    model = sparksig.load_model(columns_model, allow_pickle=True, absent=absent)
    assert model.predict(data) == [expected]
    assert model.predict({"area": [50.0], "rooms": [None]}) == ["area,rooms"]


def test_forbid_refuses_an_absent_column_with_its_near_miss(columns_model):
    model = sparksig.load_model(columns_model, allow_pickle=True, absent="forbid")
    with pytest.raises(ContractError, match="did you mean 'Rooms'") as caught:
        model.predict(pd.DataFrame({"area": [50.0], "Rooms": [2.0]}))
    assert [(finding.code, finding.path) for finding in caught.value.findings] == [
        (Code.MISSING_COLUMN, "rooms")
    ]
    assert model.predict({"area": [50.0], "rooms": [2.0]}) == ["area,rooms"]


def test_an_estimator_gets_no_column_where_that_is_chosen(tmp_path):
    _, data, names = save_with_optional_columns(tmp_path / "m", "xgb-regressor", 1)
    omitting = sparksig.load_model(tmp_path / "m", absent="omit")
    with pytest.raises(ValueError, match="feature_names mismatch"):
        omitting.predict(data.drop(columns=names))


def test_an_unknown_choice_is_refused_before_loading(tmp_path):
    with pytest.raises(
        ContractError, match="absent: expected one of 'null', 'omit', 'forbid', or None, got 'drop'"
    ):
        sparksig.load_model(tmp_path / "nothing", absent="drop")


@pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning")
def test_models_saved_by_mlflow_have_the_same_defaults(tmp_path):
    data = pd.DataFrame({"area": np.arange(40.0), "rooms": [1.0, 2.0, np.nan, 4.0] * 10})
    model = HistGradientBoostingRegressor(max_iter=2).fit(data, data["area"])
    signature = mlflow.models.ModelSignature.from_dict(
        ModelSignature(FLATS, Schema([ColSpec("double")])).to_dict()
    )
    options = {"signature": signature, "pip_requirements": []}
    mlflow.sklearn.save_model(model, tmp_path / "estimator", serialization_format="cloudpickle", **options)
    loaded = sparksig.load_model(tmp_path / "estimator", allow_pickle=True)
    assert loaded.predict(data[["area"]]).tolist() == model.predict(data.assign(rooms=np.nan)).tolist()
    with without_type_hints():
        mlflow.pyfunc.save_model(tmp_path / "code", python_model=_SeeColumns(), **options)
    loaded = sparksig.load_model(tmp_path / "code", allow_pickle=True)
    assert loaded.absent == "omit"


class _SeeColumns(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [float(model_input.shape[1])] * len(model_input)


def test_loader_modules_of_their_own_see_no_column(tmp_path, monkeypatch):
    (tmp_path / "brought_absent.py").write_text(
        "class Model:\n"
        "    def predict(self, model_input):\n"
        "        return [float(model_input.shape[1])] * len(model_input)\n"
        "def _load_pyfunc(path):\n"
        "    return Model()\n"
    )
    signature = ModelSignature(FLATS, Schema([ColSpec("double")]))
    sparksig.save_model(
        tmp_path / "m",
        signature=signature,
        loader_module="brought_absent",
        code_paths=[tmp_path / "brought_absent.py"],
    )
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).predict({"area": [1.0]}) == [1.0]
