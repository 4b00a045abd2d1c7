"""The dtypes of text columns that a model directory records, or that its estimator shows."""

from __future__ import annotations

import sys

import cloudpickle
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

import sparksig
from sparksig import ColSpec, ModelDamagedError, ModelSignature, Schema
from sparksig.engine.text_dtypes import TextDtype
from sparksig.models.text_evidence import infer_dtypes
from tests.differences import differs
from tests.models.helpers import Returning

cloudpickle.register_pickle_by_value(sys.modules[__name__])

TRUSTED = ["numpy.dtype", "pandas._libs.missing.NAType"]
HAS_STR = pd.__version__ >= "2.3"
SCHEMA = Schema([ColSpec("string", "unit", required=False), ColSpec("double", "size")])


def frame(missing, dtype=object):
    units = pd.Series(["kg", missing, "g", "kg"] * 3, dtype=dtype)
    return pd.DataFrame({"unit": units, "size": np.arange(12.0)})


def cells_of(model_input):
    """The type of each missing cell; the dtype of the column."""
    column = model_input["unit"]
    missing = {type(cell).__name__ for cell in column if not isinstance(cell, str)}
    return [f"{column.dtype} {','.join(sorted(missing))}"] * len(column)


def load(path, **options):
    return sparksig.load_model(path, allow_pickle=True, trusted_types=TRUSTED, **options)


# --- recorded when saving -------------------------------------------------------------------------------

STR = "str float" if pd.__version__ >= "3" else "string float" if HAS_STR else "object float"
SHOWN = {
    "objects with None": (frame(None), "object NoneType"),
    "objects with NaN": (frame(np.nan), "object float"),
    "string[python]": (frame(None, "string[python]"), "string NAType"),
    "string[pyarrow]": (frame(None, "string[pyarrow]"), "string NAType"),
    **({"str": (frame(None, pd.StringDtype(na_value=np.nan)), STR)} if HAS_STR else {}),
}
REQUESTS = {
    "frame": lambda: frame(None),
    "frame of nullable strings": lambda: frame(None, "string"),
    "Arrow": lambda: pa.Table.from_pandas(frame(None)),
    "records": lambda: [{"unit": None, "size": 1.0}, {"unit": "kg", "size": 2.0}],
    "dictionary": lambda: {"unit": [None, "kg"], "size": [1.0, 2.0]},
}


@pytest.mark.parametrize(("example", "expected"), SHOWN.values(), ids=SHOWN)
def test_a_loaded_model_sees_the_dtype_of_its_example(tmp_path, example, expected):
    sparksig.save_model(tmp_path / "m", cells_of, input_example=example)
    model = load(tmp_path / "m")
    assert set(model.predict(example)) == {expected}
    for build in REQUESTS.values():
        assert set(model.predict(build())) == {expected}
    body = '{"inputs": {"unit": ["kg", null], "size": [1.5, 2.5]}}'
    assert set(sparksig.validate_serving_input(model, body)) == {expected}
    body = '{"dataframe_split": {"columns": ["size", "unit"], "data": [[1.5, null]]}}'
    assert set(sparksig.validate_serving_input(model, body)) == {expected}
    body = sparksig.load_serving_example(tmp_path / "m")
    assert set(sparksig.validate_serving_input(model, body)) == {expected}
    assert sparksig.load_input_example(tmp_path / "m")["unit"].dtype == example["unit"].dtype


@pytest.mark.parametrize("build", REQUESTS.values(), ids=REQUESTS)
def test_without_an_example_a_missing_string_is_none(tmp_path, build):
    sparksig.save_model(tmp_path / "m", cells_of, ModelSignature(SCHEMA, Schema([ColSpec("string")])))
    assert set(load(tmp_path / "m").predict(build())) == {"object NoneType"}


@pytest.mark.parametrize(
    "body",
    [
        '{"dataframe_split": {"columns": ["unit"], "data": [["kg"], [null]]}}',
        '{"dataframe_records": [{"unit": "kg"}, {"unit": null}]}',
    ],
    ids=["split", "records"],
)
def test_a_request_without_a_signature_has_none_as_well(tmp_path, body):
    sparksig.save_model(tmp_path / "m", cells_of)
    assert set(sparksig.validate_serving_input(load(tmp_path / "m"), body)) == {"object NoneType"}


@differs(
    "Enforcing",
    "a missing string in a frame of the default dtype of pandas 3",
    mlflow="reaches the model as a float NaN, in a `str` column",
    sparksig="None in an object column, as in the other ways in; the dtype of the model's own example, "
    "if it had another one",
)
def test_a_missing_string_of_the_default_dtype(tmp_path):
    contract = ModelSignature(SCHEMA, Schema([ColSpec("string")]))
    data = frame(None, pd.StringDtype(na_value=np.nan) if HAS_STR else object)
    sparksig.save_model(tmp_path / "m", cells_of, contract)
    assert set(load(tmp_path / "m").predict(data)) == {"object NoneType"}
    theirs = set(mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(data))
    assert theirs == {STR if HAS_STR else "object NoneType"}


def mlmodel(path):
    return yaml.safe_load((path / "MLmodel").read_text())


def rewrite(path, record):
    config = mlmodel(path)
    config["flavors"]["python_function"]["sparksig_text_dtypes"] = record
    (path / "MLmodel").write_text(yaml.safe_dump(config))
    (path / "SHA256SUMS").unlink()


def test_the_record_lists_the_columns_that_show_something(tmp_path):
    example = frame(None).assign(
        note=pd.Series(["a"] * 12, dtype="string[python]"), plain=pd.Series(["a"] * 12, dtype=object)
    )
    sparksig.save_model(tmp_path / "m", cells_of, input_example=example)
    record = mlmodel(tmp_path / "m")["flavors"]["python_function"]["sparksig_text_dtypes"]
    assert record == {"unit": "object", "note": "string[python]"}


def test_a_directory_without_a_record_has_no_such_key(tmp_path):
    sparksig.save_model(tmp_path / "m", lambda model_input: model_input["x"], input_example={"x": 1.5})
    assert "sparksig_text_dtypes" not in mlmodel(tmp_path / "m")["flavors"]["python_function"]


RECORDS = {
    "a list": ["unit"],
    "text": "object",
    "null": None,
    "another dtype": {"unit": "int64"},
    "a dtype of Python": {"unit": "builtins.eval"},
    "nested": {"unit": {"dtype": "object"}},
    "a list as dtype": {"unit": ["object"]},
    "a number as name": {1: "object"},
    "null as dtype": {"unit": None},
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_malformed_record_is_damage(tmp_path, record):
    sparksig.save_model(tmp_path / "m", cells_of, input_example=frame(None))
    rewrite(tmp_path / "m", record)
    with pytest.raises(
        ModelDamagedError, match="sparksig_text_dtypes: expected a mapping of column names to object"
    ):
        load(tmp_path / "m")


def test_a_record_opens_no_door(tmp_path):
    sparksig.save_model(tmp_path / "m", cells_of, input_example=frame(None))
    rewrite(tmp_path / "m", {"unit": "str", "no such column": "object"})
    with pytest.raises(sparksig.ModelNotTrustedError):
        sparksig.load_model(tmp_path / "m")
    assert set(load(tmp_path / "m").predict(frame(None))) == {STR}


def test_the_record_survives_another_signature(tmp_path):
    example = frame(None, "string[python]")
    sparksig.save_model(tmp_path / "m", cells_of, input_example=example)
    sparksig.set_signature(tmp_path / "m", ModelSignature(SCHEMA, Schema([ColSpec("string")])))
    assert set(load(tmp_path / "m").predict(example)) == {"string NAType"}
    mlflow.models.set_signature(str(tmp_path / "m"), mlflow.models.infer_signature(example, ["a"]))
    (tmp_path / "m" / "SHA256SUMS").unlink()
    assert set(load(tmp_path / "m").predict(example)) == {"string NAType"}


def test_mlflow_loads_a_directory_with_a_record(tmp_path):
    example = frame(None)
    sparksig.save_model(tmp_path / "m", cells_of, input_example=example)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    assert loaded.predict(example) == ["object NoneType"] * 12


def test_a_model_of_a_series_sees_its_dtype(tmp_path):
    def kinds(model_input: sparksig.TypeFromExample):
        return [str(model_input.dtype)] * len(model_input)

    example = pd.Series(["a", None], dtype="string[python]", name="s")
    sparksig.save_model(tmp_path / "m", kinds, input_example=example)
    assert load(tmp_path / "m").predict(example) == ["string", "string"]


# --- shown by estimators --------------------------------------------------------------------------------


def one_hot():
    return OneHotEncoder(handle_unknown="ignore")


def ordinal():
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7, encoded_missing_value=-1)


def imputer(missing):
    return SimpleImputer(strategy="most_frequent", missing_values=missing)


def on_unit(transformer):
    return ColumnTransformer([("unit", transformer, ["unit"])], remainder="passthrough")


ESTIMATORS = {
    "one hot": lambda missing: on_unit(one_hot()),
    "ordinal": lambda missing: on_unit(ordinal()),
    "by position": lambda missing: ColumnTransformer([("unit", one_hot(), [0])], remainder="passthrough"),
    "imputer": lambda missing: on_unit(make_pipeline(imputer(missing), one_hot())),
    "passthrough first": lambda missing: Pipeline([("no", "passthrough"), ("unit", on_unit(one_hot()))]),
    "function first": lambda missing: make_pipeline(FunctionTransformer(), on_unit(one_hot())),
    "union": lambda missing: on_unit(
        FeatureUnion([("a", one_hot()), ("b", MissingIndicator(missing_values=missing))])
    ),
}
MISSING = {"None": (None, TextDtype.OBJECT), "NaN": (np.nan, TextDtype.OBJECT_NAN)}


@pytest.mark.parametrize(("missing", "dtype"), MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("build", ESTIMATORS.values(), ids=ESTIMATORS)
def test_an_estimator_shows_its_missing_string(build, missing, dtype):
    data = frame(missing)
    fitted = make_pipeline(build(missing), LinearRegression()).fit(data, data["size"])
    assert dict(infer_dtypes(fitted, SCHEMA).columns) == {"unit": dtype}
    search = GridSearchCV(fitted, {"linearregression__positive": [False]}, cv=2).fit(data, data["size"])
    assert dict(infer_dtypes(search, SCHEMA).columns) == {"unit": dtype}
    target = TransformedTargetRegressor(fitted).fit(data, data["size"])
    assert dict(infer_dtypes(target, SCHEMA).columns) == {"unit": dtype}


@pytest.mark.parametrize(
    "schema", [Schema([ColSpec("string", "any")]), Schema([ColSpec("string")])], ids=["named", "unnamed"]
)
def test_an_estimator_of_arrays_shows_it_by_position(schema):
    fitted = make_pipeline(one_hot(), LogisticRegression()).fit(
        frame(np.nan)[["unit"]].to_numpy(), [0, 1, 1] * 4
    )
    [(_, dtype)] = infer_dtypes(fitted, schema).columns
    assert dtype is TextDtype.OBJECT_NAN


def test_categories_outweigh_what_an_imputer_is_set_to():
    data = frame(None)
    fitted = make_pipeline(on_unit(one_hot()), LinearRegression()).fit(data, data["size"])
    fitted.steps.insert(0, ("imputer", on_unit(imputer(np.nan)).fit(frame(np.nan))))
    assert dict(infer_dtypes(fitted, SCHEMA).columns) == {"unit": TextDtype.OBJECT}


SILENT = {
    "no missing string": lambda: on_unit(one_hot()).fit(frame("lb")),
    "both": lambda: on_unit(one_hot()).fit(pd.concat([frame(None), frame(np.nan)])),
    "no encoder": lambda: TfidfVectorizer().fit(["a text", "another"]),
    "not fitted": lambda: on_unit(one_hot()),
    "missing values of text": lambda: on_unit(imputer("n/a")).fit(frame("n/a")),
    "an imputer of numbers": lambda: ColumnTransformer([("n", SimpleImputer(), ["size"])]).fit(frame(None)),
}


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_an_estimator_without_missing_strings_shows_nothing(build):
    assert infer_dtypes(build(), SCHEMA).columns == ()


def tangled(**state):
    model = OneHotEncoder()
    vars(model).update(state)
    return model


def endless():
    model = Pipeline([])
    model.steps = [("self", model)]
    return model


HOSTILE = {
    "categories of text": lambda: tangled(categories_="ab", n_features_in_=2),
    "categories that are no arrays": lambda: tangled(categories_=[None, 3], n_features_in_=2),
    "a matrix of categories": lambda: tangled(categories_=[np.full((2, 2), None)] * 2, n_features_in_=2),
    "other names": lambda: tangled(categories_=[np.array([None])], feature_names_in_=np.array(["other"])),
    "names of a list": lambda: tangled(categories_=[np.array([None])] * 3, feature_names_in_=["a"]),
    "a pipeline in itself": endless,
    "steps of text": lambda: Pipeline("ab"),
    "an object without state": lambda: object(),
    "a class": lambda: OneHotEncoder,
}


@pytest.mark.parametrize("build", HOSTILE.values(), ids=HOSTILE)
def test_a_strange_state_shows_nothing(build):
    assert infer_dtypes(build(), SCHEMA).columns == ()


@pytest.mark.parametrize("missing", [None, np.nan], ids=repr)
@pytest.mark.parametrize("build", ESTIMATORS.values(), ids=ESTIMATORS)
def test_a_loaded_estimator_predicts_as_before(tmp_path, build, missing):
    data = frame(missing)
    model = make_pipeline(build(missing), LinearRegression()).fit(data, data["size"])
    expected = model.predict(data).tolist()
    signature = sparksig.infer_signature(data, model.predict(data))
    form = {"serialization_format": "cloudpickle"}
    sparksig.save_model(tmp_path / "signed", model, signature, **form)
    sparksig.save_model(tmp_path / "shown", model, input_example=data.head(4), **form)
    sparksig.save_model(tmp_path / "complete", model, input_example=frame("lb").head(1), **form)
    for name in ("signed", "shown", "complete"):
        if name != "complete" or sparksig.get_model_info(tmp_path / name).signature.inputs.inputs[0].required:
            loaded = load(tmp_path / name)
            for given in (data, pa.Table.from_pandas(data), data.to_dict("list")):
                assert loaded.predict(given).tolist() == expected


@pytest.mark.parametrize("missing", [None, np.nan], ids=repr)
def test_a_directory_of_mlflow_predicts_as_before(tmp_path, missing):
    data = frame(missing)
    model = make_pipeline(on_unit(ordinal()), LinearRegression()).fit(data, data["size"])
    contract = mlflow.models.infer_signature(data, model.predict(data))
    mlflow.sklearn.save_model(
        model, tmp_path / "m", signature=contract, serialization_format="cloudpickle", pip_requirements=[]
    )
    loaded = load(tmp_path / "m")
    assert loaded.text_dtypes.get("unit") is (TextDtype.OBJECT if missing is None else TextDtype.OBJECT_NAN)
    assert loaded.predict(data).tolist() == model.predict(data).tolist()
    assert loaded.predict(frame(None)).tolist() == model.predict(data).tolist()


def test_the_record_outweighs_the_estimator(tmp_path):
    trained_on, example = frame(np.nan), frame(None).head(1)
    model = make_pipeline(on_unit(one_hot()), LinearRegression()).fit(trained_on, trained_on["size"])
    sparksig.save_model(tmp_path / "m", model, input_example=example, serialization_format="cloudpickle")
    assert load(tmp_path / "m").text_dtypes.get("unit") is TextDtype.OBJECT_NAN
    rewrite(tmp_path / "m", {"unit": "object"})
    assert load(tmp_path / "m").text_dtypes.get("unit") is TextDtype.OBJECT


@pytest.mark.parametrize("dtype", ["string[python]", "category"])
def test_an_example_without_missing_strings_does_not_outweigh_the_estimator(tmp_path, dtype):
    data = frame(None)
    model = make_pipeline(on_unit(one_hot()), LinearRegression()).fit(data, data["size"])
    example = frame("g", dtype)
    sparksig.save_model(tmp_path / "m", model, input_example=example, serialization_format="cloudpickle")
    inputs = sparksig.infer_signature(data, model.predict(data))
    sparksig.set_signature(tmp_path / "m", inputs)
    loaded = load(tmp_path / "m")
    assert loaded.text_dtypes.get("unit") is TextDtype.OBJECT
    assert loaded.predict(data).tolist() == model.predict(data).tolist()


def test_a_model_without_inputs_has_no_text_dtypes(tmp_path):
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: data))
    assert load(tmp_path / "m").text_dtypes.columns == ()
