"""Where a model directory, or a request, means something else to MLflow."""

from __future__ import annotations

import json
import sys

import cloudpickle
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import _save_example
from mlflow.pyfunc.scoring_server import _parse_json_data

import sparksig
from sparksig import Code, ColSpec, ContractError, ModelNotTrustedError, ModelSignature, PythonModel, Schema
from tests.differences import differs
from tests.models.helpers import FRAME, SIGNATURE, Armed, Returning

cloudpickle.register_pickle_by_value(sys.modules[__name__])
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # MLflow, of pandas


class Saying(PythonModel):
    """Says a word."""

    def __init__(self, word):
        self.word = word

    def predict(self, model_input):
        return self.word


def asked_of_mlflow(path, request):
    """Return the answer of MLflow's own server code to a request."""
    model = mlflow.pyfunc.load_model(str(path))
    parsed = _parse_json_data(request, model.metadata, model.metadata.get_input_schema())
    return model.predict(parsed.data)


@differs(
    "Model directories",
    "loading a pickle",
    mlflow="runs whatever is in it",
    sparksig="needs `allow_pickle=True`, or a pinned digest",
)
def test_loading_a_pickle(tmp_path):
    canary = tmp_path / "canary"
    sparksig.save_model(tmp_path / "m", Armed(canary), SIGNATURE)
    with pytest.raises(ModelNotTrustedError, match="pass allow_pickle=True, or pin it with digest="):
        sparksig.load_model(tmp_path / "m")
    assert not canary.exists()
    mlflow.pyfunc.load_model(str(tmp_path / "m"))
    assert canary.exists()


@differs(
    "Model directories",
    "a byte of a model's file that is not what it was",
    mlflow="is loaded",
    sparksig="is told: each file has its digest in `SHA256SUMS`",
)
def test_a_changed_file(tmp_path):
    sparksig.save_model(tmp_path / "m", Saying("left!" * 9), SIGNATURE)
    [pickle] = (tmp_path / "m").glob("*.pkl")
    pickle.write_bytes(pickle.read_bytes().replace(b"left!", b"evil!"))
    assert mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(FRAME) == "evil!" * 9
    with pytest.raises(sparksig.ModelDamagedError, match=pickle.name):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)


@differs(
    "Model directories",
    "a missing number in an input example",
    mlflow="a file that is no JSON, for it holds `NaN`",
    sparksig="`null`",
)
def test_a_missing_number_in_an_example(tmp_path):
    def strictly(path):
        return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))

    example = pd.DataFrame({"a": [1.5, np.nan]})
    sparksig.save_model(tmp_path / "ours", Returning(lambda data, params: data["a"]), input_example=example)
    assert strictly(tmp_path / "ours" / "input_example.json")["data"] == [[1.5], [None]]
    (tmp_path / "theirs").mkdir()
    _save_example(Model(), example, str(tmp_path / "theirs"))
    with pytest.raises(pytest.fail.Exception, match="NaN"):
        strictly(tmp_path / "theirs" / "input_example.json")


@differs(
    "Requests to servers",
    '`dataframe_split` with 1.7 for long, 2^40 for integer, `"false"` for boolean',
    mlflow="become 1, 0, true",
    sparksig="refused, all of them at once",
)
def test_numbers_of_a_request(tmp_path):
    contract = ModelSignature(
        Schema([ColSpec("long", "l"), ColSpec("integer", "i"), ColSpec("boolean", "b")])
    )
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: data), contract)
    request = json.dumps({"dataframe_split": {"columns": ["l", "i", "b"], "data": [[1.7, 2**40, "false"]]}})
    assert asked_of_mlflow(tmp_path / "m", request).iloc[0].tolist() == [1, 0, True]
    with pytest.raises(ContractError) as error:
        sparksig.validate_serving_input(tmp_path / "m", request, allow_pickle=True)
    assert {(finding.path, finding.code) for finding in error.value.findings} == {
        (name, Code.TYPE_MISMATCH) for name in "lib"
    }


@differs(
    "Requests to servers",
    "null in `inputs` for a column of text",
    mlflow='becomes the text `"None"`',
    sparksig="is a null",
)
def test_a_null_in_a_column_of_text(tmp_path):
    contract = ModelSignature(Schema([ColSpec("string", "s", required=False)]))
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: data["s"].tolist()), contract)
    request = json.dumps({"inputs": {"s": ["x", None]}})
    assert asked_of_mlflow(tmp_path / "m", request) == ["x", "None"]
    text, missing = sparksig.validate_serving_input(tmp_path / "m", request, allow_pickle=True)
    assert text == "x"
    assert pd.isna(missing)


@differs(
    "Enforcing",
    "what an error says",
    mlflow="the first thing that is wrong, and the data",
    sparksig="all that is wrong, by columns, types and counts; values only with `show_values=True`",
)
def test_what_an_error_says(tmp_path):
    contract = ModelSignature(Schema([ColSpec("long", "a"), ColSpec("double", "b")]))
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: data), contract)
    data = pd.DataFrame({"a": ["secret"], "b": ["secret"]})
    with pytest.raises(MlflowException, match="for column a") as theirs:
        mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(data)
    assert "secret" in str(theirs.value)
    assert "for column b" not in str(theirs.value)
    with pytest.raises(ContractError) as ours:
        sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(data)
    assert [finding.path for finding in ours.value.findings] == ["a", "b"]
    assert "secret" not in str(ours.value)


@differs(
    "Enforcing",
    "predictions that break the declared outputs, returned by `predict`",
    mlflow="are handed out as they are",
    sparksig="an error: outputs are enforced as inputs are, by `predict`, requests and Spark alike",
)
def test_predict_enforces_outputs(tmp_path):
    contract = ModelSignature(Schema([ColSpec("long", "a")]), Schema([ColSpec("long")]))
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: ["no number"]), contract)
    data = pd.DataFrame({"a": [1, 2]})
    assert mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(data) == ["no number"]
    with pytest.raises(sparksig.PredictionError) as error:
        sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(data)
    assert {finding.code for finding in error.value.findings} == {Code.ROW_COUNT, Code.TYPE_MISMATCH}


@differs(
    "Inferring",
    "a DataFrame and an array of rank 1 with its predictions",
    mlflow="a tensor of shape (-1,), which `spark_udf` returns as arrays",
    sparksig="one column without a name: a scalar in each row",
)
def test_an_array_of_predictions_for_a_frame():
    data, predictions = pd.DataFrame({"a": [1.5, 2.5]}), np.array([0.5, 1.0])
    theirs = mlflow.models.infer_signature(data, predictions).outputs
    assert json.loads(theirs.to_json())[0]["tensor-spec"]["shape"] == [-1]
    assert sparksig.infer_signature(data, predictions).outputs == Schema([ColSpec("double")])


@differs(
    "Requests to servers",
    "an integer beyond 2^53 for a column declared double",
    mlflow="becomes another number",
    sparksig="refused, as the Python number is",
)
@pytest.mark.parametrize(
    "request_body",
    [
        {"inputs": {"x": [2**53 + 1]}},
        {"instances": [{"x": 2**53 + 1}]},
        {"dataframe_split": {"columns": ["x"], "data": [[2**53 + 1]]}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_an_integer_that_a_double_does_not_hold(tmp_path, request_body):
    contract = ModelSignature(Schema([ColSpec("double", "x")]))
    sparksig.save_model(tmp_path / "m", Returning(lambda data, params: data["x"].tolist()), contract)
    assert asked_of_mlflow(tmp_path / "m", json.dumps(request_body)) == [2.0**53]
    with pytest.raises(ContractError, match="x: expected double, got int64"):
        sparksig.validate_serving_input(tmp_path / "m", json.dumps(request_body), allow_pickle=True)


@differs(
    "Params",
    "params of type binary",
    mlflow="refused, also when a directory has them, although the documents list the type",
    sparksig="accepted; base64 in JSON",
)
def test_params_of_type_binary(tmp_path):
    params = sparksig.infer_signature(params={"key": b"\xff", "words": [b"a"]}).params
    contract = ModelSignature(Schema([ColSpec("double", "x")]), params=params)
    returning = Returning(lambda data, params: [params["key"], *params["words"]])
    sparksig.save_model(tmp_path / "m", returning, contract)
    with pytest.raises(MlflowException, match="Binary type is not supported for parameters"):
        mlflow.pyfunc.load_model(str(tmp_path / "m"))
    with pytest.raises(MlflowException, match="Binary type is not supported for parameters"):
        mlflow.types.ParamSpec("key", "binary", b"\xff")
    model = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert model.signature == contract
    assert model.predict({"x": 1.5}, {"key": b"k"}) == [b"k", b"a"]
    request = json.dumps({"inputs": {"x": [1.5]}, "params": {"words": ["eA==", ""]}})
    assert sparksig.validate_serving_input(model, request) == [b"\xff", b"x", b""]
    with pytest.raises(ContractError, match="key: expected binary, got a value of type str"):
        model.predict({"x": 1.5}, {"key": "k"})
