"""save_model, load_model, and a loaded model's predict, with the contract around it."""

from __future__ import annotations

import contextlib
import filecmp
import functools
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import (
    Code,
    ColSpec,
    ContractError,
    ModelError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PredictionError,
    PythonModel,
    Schema,
    TensorSpec,
    UnsupportedError,
)
from sparksig.errors import SignatureTypeError
from sparksig.params import UnknownParamWarning
from tests.models.helpers import (
    FRAME,
    ONE_DOUBLE,
    SIGNATURE,
    Doubled,
    Returning,
    X,
    diabetes,
    fresh,
    linear,
    same_bits,
)

PARAMS = ParamSchema([ParamSpec("factor", "double", 2.0), ParamSpec("tags", "string", ["a"], (-1,))])


def returning(tmp_path, function, signature=None):
    """Return a loaded model that returns the result of a function of its input and params."""
    return loaded(tmp_path, Returning(function), signature)


def loaded(tmp_path, model, signature=None):
    """A model that was saved and loaded again."""
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, model, signature)
    return sparksig.load_model(path, allow_pickle=True)


def never(data, params):
    raise AssertionError("the model was called")


# --- saving ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [5, "x", [], {}, SIGNATURE.to_dict(), X, ModelSignature])
def test_a_signature_is_a_model_signature(tmp_path, signature):
    text = f"^signature must be a ModelSignature or None, not a value of type {type(signature).__name__}$"
    with pytest.raises(SignatureTypeError, match=text):
        sparksig.save_model(tmp_path / "m", Doubled(), signature)
    assert not (tmp_path / "m").exists()


class DuckTyped:
    def predict(self, model_input):
        return model_input


UNSUPPORTED = [
    None,
    5,
    b"model",
    {},
    [Doubled()],
    DuckTyped,
    DuckTyped(),
    np.ones(3),
]


@pytest.mark.parametrize("model", UNSUPPORTED)
def test_other_kinds_of_models_are_refused(tmp_path, model):
    what = "None" if model is None else f"a value of type {type(model).__name__}"
    text = (
        f"^cannot save {what}: expected a sparksig.PythonModel, a function, or a model of scikit-learn, "
        "XGBoost, LightGBM or ONNX. Use any other model in a PythonModel$"
    )
    with pytest.raises(UnsupportedError, match=text):
        sparksig.save_model(tmp_path / "m", model)
    assert list(tmp_path.iterdir()) == []


def halved(model_input):
    return model_input["x"].to_numpy() / 2


def halved_and_scaled(model_input, params=None):
    return model_input["x"].to_numpy() / 2 * params["factor"]


def halved_in_context(context, model_input, params=None):
    return model_input["x"].to_numpy() / 2 + len(context.artifacts)


def scaled(factor, model_input):
    return model_input["x"].to_numpy() * factor


FUNCTIONS = {
    "function": halved,
    "params": halved_and_scaled,
    "context": halved_in_context,
    "lambda": lambda data: data["x"].to_numpy() / 2,
    "partial": functools.partial(scaled, 0.5),
    "method": Returning(lambda data, params: halved(data)).predict,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_is_a_model(tmp_path, function):
    params = ParamSchema([ParamSpec("factor", "double", 1.0)])
    model = loaded(tmp_path, function, ModelSignature(X, ONE_DOUBLE, params))
    assert same_bits(model.predict(FRAME), FRAME["x"] / 2)


def test_a_function_with_a_type_hint_has_its_contract(tmp_path):
    def lengths(model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]

    model = loaded(tmp_path, lengths)
    assert model.signature == ModelSignature(Schema([ColSpec("string")]), Schema([ColSpec("long")]))
    assert model.predict(["a", "bcd"]) == [1, 3]
    with pytest.raises(ContractError, match=r"\[\]: expected str, got a value of type int"):
        model.predict([5])


@pytest.mark.parametrize(
    "function", [lambda: 1, lambda a, b, c: 1, lambda params: 1, lambda a, b, c, params: 1]
)
def test_a_function_that_cannot_be_a_model_is_refused(tmp_path, function):
    names = [name for name in inspect.signature(function).parameters if name != "params"]
    text = (
        "^<lambda> cannot be used as a model: expected a function with one required parameter, the input, "
        r"and optionally context and params, got a function that requires "
        rf"{', '.join(names) or 'no parameter'}$"
    )
    with pytest.raises(ModelError, match=text):
        sparksig.save_model(tmp_path / "m", function)
    assert list(tmp_path.iterdir()) == []


def test_parameters_with_a_default_stay_what_they_are(tmp_path):
    def times(model_input, factor=2.0, *args, **kwargs):
        return model_input["x"].to_numpy() * factor

    assert same_bits(loaded(tmp_path, times, SIGNATURE).predict(FRAME), FRAME["x"] * 2)


def test_a_builtin_without_a_signature_is_refused(tmp_path):
    with pytest.raises((ModelError, UnsupportedError), match="max"):
        sparksig.save_model(tmp_path / "m", max)
    assert list(tmp_path.iterdir()) == []


def test_a_class_of_python_models_is_an_object_of_it(tmp_path):
    model = loaded(tmp_path, Doubled, SIGNATURE)
    assert same_bits(model.predict(FRAME), FRAME["x"] * 2)


def test_a_class_that_takes_arguments_is_refused(tmp_path):
    text = (
        r"^cannot instantiate Returning\(\): .*missing 1 required "
        r"positional argument: 'function'\. Pass an instance of the class$"
    )
    with pytest.raises(ModelError, match=text):
        sparksig.save_model(tmp_path / "m", Returning)
    with pytest.raises(ModelError, match=r"^cannot instantiate PythonModel\(\): "):
        sparksig.save_model(tmp_path / "m", PythonModel)
    assert list(tmp_path.iterdir()) == []


def test_a_path_may_be_text(tmp_path):
    sparksig.save_model(str(tmp_path / "m"), Doubled())
    assert sparksig.load_model(str(tmp_path / "m"), allow_pickle=True).path == tmp_path / "m"


METADATA = {"a": 1, "b": [1.5, None, "x", True], "c": {"d": {}}, "é": "ü\n"}


def test_metadata_is_kept(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), metadata=types.MappingProxyType(METADATA))
    assert yaml.safe_load((tmp_path / "m" / "MLmodel").read_text("utf-8"))["metadata"] == METADATA


def test_saving_leaves_model_and_signature_as_they_are(tmp_path):
    model = linear()
    before = dict(vars(model))
    sparksig.save_model(tmp_path / "m", model, SIGNATURE)
    assert vars(model) == before


def test_an_estimator_that_is_not_fitted_is_saved_as_it_is(tmp_path):
    sparksig.save_model(tmp_path / "m", LinearRegression())
    data, _ = diabetes()
    with pytest.raises(Exception, match="not fitted yet"):
        sparksig.load_model(tmp_path / "m").predict(data)


def test_a_save_is_a_function_of_the_model_but_for_time_and_number(tmp_path):
    for name in "ab":
        sparksig.save_model(tmp_path / name, Doubled(), SIGNATURE, metadata=METADATA)
    one, two = (yaml.safe_load((tmp_path / name / "MLmodel").read_text("utf-8")) for name in "ab")
    assert one["model_uuid"] != two["model_uuid"]
    for config in (one, two):
        del config["model_uuid"], config["utc_time_created"]
    assert one == two
    assert sparksig.digest(tmp_path / "a") != sparksig.digest(tmp_path / "b")
    names = ["python_model.pkl", "conda.yaml", "requirements.txt", "python_env.yaml"]
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False) == (names, [], [])


# --- loading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [None, SIGNATURE, ModelSignature(X), ModelSignature(params=PARAMS)])
def test_the_signature_comes_back(tmp_path, signature):
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, Doubled(), signature)
    model = sparksig.load_model(path, allow_pickle=True)
    assert model.signature == signature
    assert repr(model) == f"LoadedModel({str(path)!r})"


def test_a_directory_may_move(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    (tmp_path / "m").rename(tmp_path / "n")
    assert same_bits(sparksig.load_model(tmp_path / "n", allow_pickle=True).predict(FRAME), FRAME["x"] * 2)


def test_a_loaded_model_needs_its_directory_no_more(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    model = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    (tmp_path / "m").rename(tmp_path / "n")
    assert same_bits(model.predict(FRAME), FRAME["x"] * 2)


ELSEWHERE = """
import sys
import pandas
import sparksig
model = sparksig.load_model("m", allow_pickle=True)
print(model.predict(pandas.DataFrame({"x": [1.5]})).tolist(), *sorted({"mlflow", "tests"} & set(sys.modules)))
"""


@pytest.mark.parametrize("path", ["/proc/model", "/proc/new/model"], ids=["parent", "grandparent"])
def test_a_directory_that_cannot_be_created_is_refused(path):
    text = r"^cannot create a directory in '/proc(/new)?': .*; nothing was written\. Choose another path"
    with pytest.raises(sparksig.errors.OutputRefusedError, match=text):
        sparksig.save_model(path, LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))


def test_a_saved_model_loads_in_a_process_that_knows_neither_its_class_nor_mlflow(tmp_path):
    class Elsewhere(PythonModel):
        def predict(self, model_input):
            return model_input["x"].to_numpy() + 1

    sparksig.save_model(tmp_path / "m", Elsewhere(), SIGNATURE)
    home = str(Path(sparksig.__file__).parents[1])
    command = [sys.executable, "-c", f"import sys; sys.path.append({home!r})\n{ELSEWHERE}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[2.5]\n", "")


# --- predicting: the input ------------------------------------------------------------------------------

ROW = Schema(
    [
        ColSpec("double", "d"),
        ColSpec("long", "l"),
        ColSpec("string", "s"),
        ColSpec("long", "o", required=False),
    ]
)
ROWS = pd.DataFrame({"o": [None, 2], "s": ["a", "b"], "extra": [0, 0], "l": [2**53 + 1, 0], "d": [1, 2]})
ROWS = ROWS.astype({"o": "Int64", "d": "int32"})
TABLE = pa.table({"d": [1.0, 2.0], "l": [2**53 + 1, 0], "s": ["a", "b"], "o": pa.array([None, 2], "int64")})


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        TABLE,
        TABLE.to_batches()[0],
        pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]),
        TABLE.select(["o", "s", "l", "d"]),
    ],
    ids=["frame", "table", "batch", "chunked", "other-order"],
)
def test_the_model_sees_what_its_signature_says(tmp_path, data):
    model = returning(tmp_path, lambda frame, params: frame, ModelSignature(ROW))
    prediction = model.predict(data)
    assert list(prediction.columns) == ["d", "l", "s", "o"]
    assert [str(prediction[name].dtype) for name in "dlo"] == ["float64", "int64", "Int64"]
    assert prediction["l"].tolist() == [2**53 + 1, 0]
    assert prediction["o"].isna().tolist() == [True, False]
    assert prediction["s"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [ROWS.head(0), TABLE.slice(0, 0), TABLE.schema.empty_table()],
    ids=["frame", "sliced-table", "empty-table"],
)
def test_no_rows_are_scored_as_no_rows(tmp_path, data):
    signature = ModelSignature(ROW, ONE_DOUBLE)
    prediction = returning(tmp_path, lambda frame, params: frame["d"].to_numpy() * 2, signature).predict(data)
    assert same_bits(prediction, np.array([], "float64"))


EMPTY_PREDICTIONS = {
    "double": (ONE_DOUBLE, np.array([], "float64")),
    "text": (Schema([ColSpec("string")]), np.array([], object)),
    "named": (
        Schema([ColSpec("long", "n"), ColSpec("datetime", "at", required=False)]),
        pd.DataFrame({"n": np.array([], "int64"), "at": np.array([], "datetime64[ns]")}),
    ),
    "tensor": (Schema([TensorSpec(np.dtype("float32"), (-1, 3))]), np.empty((0, 3), "float32")),
    "named-tensors": (
        Schema([TensorSpec(np.dtype("int64"), (-1,), "a"), TensorSpec(np.dtype("str"), (-1, -1, 2), "b")]),
        {"a": np.empty(0, "int64"), "b": np.empty((0, 0, 2), "str")},
    ),
}


@pytest.mark.parametrize(("outputs", "expected"), EMPTY_PREDICTIONS.values(), ids=EMPTY_PREDICTIONS)
def test_a_model_that_refuses_no_rows_predicts_nothing_for_them(tmp_path, outputs, expected):
    def predict(frame, params):
        raise ValueError("Found array with 0 sample(s)")

    model = returning(tmp_path, predict, ModelSignature(X, outputs))
    prediction = model.predict(FRAME.head(0))
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(prediction, expected, check_column_type=False, check_index_type=False)
    elif isinstance(expected, dict):
        assert list(prediction) == list(expected)
        assert all(same_bits(prediction[name], expected[name]) for name in expected)
    else:
        assert same_bits(prediction, expected)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        model.predict(FRAME)


def test_an_estimator_predicts_nothing_for_no_rows(tmp_path):
    data, _ = diabetes()
    sparksig.save_model(tmp_path / "m", linear(), input_example=data.head(3))
    model = sparksig.load_model(tmp_path / "m")
    assert len(model.predict(data)) == len(data)
    assert same_bits(model.predict(data.head(0)), np.array([], "float64"))


def test_an_example_without_rows_that_an_estimator_refuses_is_refused(tmp_path):
    data, target = diabetes()
    signature = sparksig.infer_signature(data, target)
    with pytest.raises(ModelError, match=r"^the model fails on its input example: ValueError"):
        sparksig.save_model(tmp_path / "m", linear(), signature, input_example=data.head(0))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("signature", [None, ModelSignature(X)], ids=["no-signature", "no-outputs"])
def test_no_rows_without_declared_outputs_fail_as_in_the_model(tmp_path, signature):
    model = returning(tmp_path, never, signature)
    with pytest.raises(AssertionError, match="the model was called"):
        model.predict(FRAME.head(0))


def test_a_frame_keeps_its_index(tmp_path):
    model = returning(tmp_path, lambda frame, params: frame, ModelSignature(X))
    data = FRAME.set_index(pd.Index(["a", "b", "a"], name="key"))
    assert model.predict(data).index.equals(data.index)


def test_bad_input_answers_with_all_findings_before_the_model_is_called(tmp_path):
    model = returning(tmp_path, never, ModelSignature(ROW, ONE_DOUBLE, PARAMS))
    data = pd.DataFrame({"l": [1.5], "d": ["x"], "S": ["a"], "o": [1]})
    with pytest.raises(ContractError, match=": 3 findings\n") as caught:
        model.predict(data)
    assert not isinstance(caught.value, PredictionError)
    assert {(finding.path, finding.code) for finding in caught.value.findings} == {
        ("d", Code.TYPE_MISMATCH),
        ("l", Code.TYPE_MISMATCH),
        ("s", Code.MISSING_COLUMN),
    }


@pytest.mark.parametrize(
    "data",
    [{"x": [1.5, 2]}, [{"x": 1.5}, {"x": 2}], pd.Series([1.5, 2], name="x", dtype="float32")],
)
def test_other_kinds_of_data_are_frames_for_the_model(tmp_path, data):
    model = returning(tmp_path, lambda frame, params: frame, ModelSignature(X))
    pd.testing.assert_frame_equal(model.predict(data), pd.DataFrame({"x": [1.5, 2.0]}))


@pytest.mark.parametrize("data", [[1.0], 1.0, None, np.ones((2, 1)), pd.Series([1.0])])
def test_data_without_names_is_refused_where_columns_have_them(tmp_path, data):
    model = returning(tmp_path, never, ModelSignature(X))
    with pytest.raises(ContractError, match=": 1 finding\n"):
        model.predict(data)


@pytest.mark.parametrize(
    "data",
    [
        {"x": [1.0]},
        [1, 2],
        5,
        "text",
        None,
        np.ones(2),
        pd.DataFrame({"y": [1]}),
        pa.table({"y": [1]}),
        object,
    ],
)
@pytest.mark.parametrize("signature", [None, ModelSignature(params=PARAMS)], ids=["none", "params-only"])
def test_without_a_signature_of_its_inputs_a_model_gets_the_data_itself(tmp_path, data, signature):
    received = []
    model = loaded(tmp_path, Doubled(), signature)
    model._predictor = lambda data, params: received.append(data)
    model.predict(data)
    assert received[0] is data


@pytest.mark.parametrize("data", [{"x": [1.0, 2.0]}, 5, iter([1, 2])], ids=["columns", "number", "iterator"])
def test_data_without_rows_is_no_trouble_to_the_output_side(tmp_path, data):
    model = returning(tmp_path, lambda data, params: np.array([1.0, 2.0]), ModelSignature(outputs=ONE_DOUBLE))
    assert same_bits(model.predict(data), np.array([1.0, 2.0]))


def test_an_estimator_sees_the_names_it_was_fitted_with(tmp_path):
    data, target = diabetes()
    estimator = LinearRegression().fit(data, target)
    sparksig.save_model(tmp_path / "m", estimator, sparksig.infer_signature(data, estimator.predict(data)))
    model = sparksig.load_model(tmp_path / "m")
    assert np.allclose(model.predict(data[["bp", "bmi"]]), estimator.predict(data), rtol=1e-12, atol=0)
    with pytest.raises(ContractError, match="bmi: expected double"):
        model.predict(data[["bp"]])


# --- predicting: the params -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {"factor": 2.0, "tags": ["a"]}),
        ({}, {"factor": 2.0, "tags": ["a"]}),
        ({"factor": 3}, {"factor": 3.0, "tags": ["a"]}),
        ({"tags": []}, {"factor": 2.0, "tags": []}),
        ({"tags": ["b", "c"], "factor": 0.5}, {"factor": 0.5, "tags": ["b", "c"]}),
        ({"factor": np.float64(1.5)}, {"factor": 1.5, "tags": ["a"]}),
    ],
)
def test_params_are_enforced_and_defaults_filled_in(tmp_path, given, expected):
    model = returning(tmp_path, lambda data, params: params, ModelSignature(X, params=PARAMS))
    assert model.predict(FRAME, given) == expected
    assert type(model.predict(FRAME, given)["factor"]) is float


def test_bad_params_answer_with_all_findings_before_the_model_is_called(tmp_path):
    model = returning(tmp_path, never, ModelSignature(X, params=PARAMS))
    with pytest.raises(ContractError, match=r"^invalid params: 3 findings\n") as caught:
        model.predict(FRAME, {"factor": "x", "tags": ["a", 5], 7: 1})
    assert [finding.path for finding in caught.value.findings] == ["7", "factor", "tags[1]"]


@pytest.mark.parametrize("params", [5, [("factor", 1)], "factor"])
def test_params_are_a_dictionary(tmp_path, params):
    model = returning(tmp_path, never, ModelSignature(X, params=PARAMS))
    with pytest.raises(ContractError, match=r"^params: expected a dictionary, got a value of type "):
        model.predict(FRAME, params)


def test_an_unknown_param_is_dropped_with_a_warning(tmp_path):
    model = returning(tmp_path, lambda data, params: params, ModelSignature(X, params=PARAMS))
    with pytest.warns(
        UnknownParamWarning, match=r"unknown to the model are ignored: Factor \(did you mean 'factor'"
    ):
        prediction = model.predict(FRAME, {"Factor": 1, "tags": ["b"]})
    assert prediction == {"factor": 2.0, "tags": ["b"]}


@pytest.mark.parametrize("signature", [None, SIGNATURE], ids=["no-signature", "no-params"])
def test_all_params_are_unknown_to_a_model_without(tmp_path, signature):
    model = loaded(tmp_path, Doubled(), signature)
    with pytest.warns(UnknownParamWarning, match="^params unknown to the model are ignored: factor$"):
        assert same_bits(model.predict(FRAME, {"factor": 1}), FRAME["x"] * 2)


def test_a_model_cannot_change_the_defaults_or_the_callers_params(tmp_path):
    def vandal(data, params):
        params["tags"].append("evil")
        params["factor"] = -1.0
        return params["tags"]

    model = returning(tmp_path, vandal, ModelSignature(X, params=PARAMS))
    given = {"tags": ["b"]}
    assert model.predict(FRAME, given) == model.predict(FRAME, given) == ["b", "evil"]
    assert given == {"tags": ["b"]}
    assert model.predict(FRAME) == model.predict(FRAME) == ["a", "evil"]
    assert model.signature.params == PARAMS


# --- predicting: the output -----------------------------------------------------------------------------

TWO = Schema([ColSpec("double", "y"), ColSpec("long", "z")])
LONGS = Schema([TensorSpec(np.dtype("int64"), (-1,))])
PAIRS = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
GOOD = {
    "array": (ONE_DOUBLE, lambda data, params: np.ones(3)),
    "narrower": (ONE_DOUBLE, lambda data, params: np.ones(3, "float32")),
    "list": (ONE_DOUBLE, lambda data, params: [1.0, 2.0, 3.0]),
    "series": (ONE_DOUBLE, lambda data, params: data["x"]),
    "nan": (ONE_DOUBLE, lambda data, params: np.full(3, np.nan)),
    "pairs": (PAIRS, lambda data, params: np.ones((3, 2))),
    "frame": (TWO, lambda data, params: pd.DataFrame({"z": [1, 2, 3], "y": [0.5, 1.5, 2.5]})),
    "dictionary": (TWO, lambda data, params: {"y": np.ones(3), "z": np.arange(3)}),
    "no-outputs": (None, lambda data, params: "anything"),
}


@pytest.mark.parametrize(("outputs", "function"), GOOD.values(), ids=GOOD)
def test_a_prediction_comes_back_as_the_model_returned_it(tmp_path, outputs, function):
    prediction = returning(tmp_path, function, ModelSignature(X, outputs)).predict(FRAME)
    expected = function(FRAME, {})
    assert type(prediction) is type(expected)
    if isinstance(expected, (np.ndarray, list, pd.Series, pd.DataFrame)):
        assert same_bits(prediction, expected)
    elif isinstance(expected, dict):
        assert all(same_bits(prediction[name], expected[name]) for name in expected)
    else:
        assert prediction == expected


BAD = {
    "too-few": (ONE_DOUBLE, lambda data, params: np.ones(2), [("", Code.ROW_COUNT)]),
    "too-many": (ONE_DOUBLE, lambda data, params: [1.0] * 4, [("", Code.ROW_COUNT)]),
    "one-for-all": (ONE_DOUBLE, lambda data, params: np.float64(1.0), [("", Code.ROW_COUNT)]),
    "nothing": (ONE_DOUBLE, lambda data, params: None, [("", Code.TYPE_MISMATCH)]),
    "text": (ONE_DOUBLE, lambda data, params: ["a", "b", "c"], [("", Code.TYPE_MISMATCH)]),
    "too-wide": (LONGS, lambda data, params: np.ones(3), [("", Code.TYPE_MISMATCH)]),
    "lossy": (ONE_DOUBLE, lambda data, params: np.ones(3, "int64"), [("", Code.TYPE_MISMATCH)]),
    "rank": (ONE_DOUBLE, lambda data, params: np.ones((3, 1)), [("", Code.SHAPE_MISMATCH)]),
    "shape": (PAIRS, lambda data, params: np.ones((3, 3)), [("", Code.SHAPE_MISMATCH)]),
    "missing": (TWO, lambda data, params: {"y": np.ones(3)}, [("z", Code.MISSING_COLUMN)]),
    "extra": (
        TWO,
        lambda data, params: {"y": np.ones(3), "z": np.arange(3), "w": np.ones(3)},
        [("w", Code.UNKNOWN_KEY)],
    ),
    "two-columns": (
        TWO,
        lambda data, params: pd.DataFrame({"y": ["a", "b", "c"], "z": [0.5, 1.5, 2.5]}),
        [("y", Code.TYPE_MISMATCH), ("z", Code.TYPE_MISMATCH)],
    ),
    "rows-of-columns": (
        TWO,
        lambda data, params: data.head(2).assign(y=1.0, z=1)[["y", "z"]],
        [("", Code.ROW_COUNT)],
    ),
}


@pytest.mark.parametrize(("outputs", "function", "findings"), BAD.values(), ids=BAD)
def test_a_prediction_that_breaks_the_signature_is_refused(tmp_path, outputs, function, findings):
    model = returning(tmp_path, function, ModelSignature(X, outputs))
    text = f"^the prediction breaks the model's output schema: {len(findings)} finding"
    with pytest.raises(PredictionError, match=text) as caught:
        model.predict(FRAME)
    assert [(finding.path, finding.code) for finding in caught.value.findings] == findings


def test_a_wrong_number_of_rows_is_reported_with_both_numbers(tmp_path):
    model = returning(tmp_path, lambda data, params: np.ones(2), SIGNATURE)
    with pytest.raises(
        PredictionError,
        match=r"expected one prediction for each of 3 rows, got 2 \(return one .*\) \[ROW_COUNT\]$",
    ):
        model.predict(FRAME)


GRAPH = {"edges": np.zeros((5, 2), "int64"), "nodes": np.ones((3, 4))}
KERNEL = Schema(
    [
        TensorSpec(np.dtype("float64"), (2, -1), "kernel"),
        TensorSpec(np.dtype("float64"), (-1,), "points"),
    ]
)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_tensors_of_different_lengths_have_no_number_of_rows(tmp_path, count):
    inputs = sparksig.infer_signature(GRAPH).inputs
    model = returning(tmp_path, lambda data, params: np.ones(count), ModelSignature(inputs, ONE_DOUBLE))
    assert len(model.predict(GRAPH)) == count


def test_a_fixed_first_dimension_is_no_number_of_rows(tmp_path):
    tensors = {"kernel": np.ones((2, 6)), "points": np.ones(3)}
    model = returning(tmp_path, lambda data, params: data["points"], ModelSignature(KERNEL, ONE_DOUBLE))
    assert len(model.predict(tensors)) == 3
    tensors["points"] = np.ones(4)
    model = returning(fresh(tmp_path), lambda data, params: np.ones(2), ModelSignature(KERNEL, ONE_DOUBLE))
    with pytest.raises(PredictionError, match="one prediction for each of 4 rows, got 2"):
        model.predict(tensors)


def test_predict_raw_enforces_nothing(tmp_path):
    signature = ModelSignature(X, ONE_DOUBLE, PARAMS)
    model = returning(tmp_path, lambda data, params: (data, params), signature)
    assert model.predict_raw("anything", {"unknown": 1}) == ("anything", {"unknown": 1})
    assert model.predict_raw(5) == (5, None)


def test_an_error_names_no_values(tmp_path):
    model = returning(tmp_path, lambda data, params: ["a secret"] * 3, SIGNATURE)
    with pytest.raises(ContractError) as caught:
        model.predict(pd.DataFrame({"x": ["a secret"]}))
    assert "secret" not in str(caught.value)
    with pytest.raises(PredictionError) as caught:
        model.predict(FRAME)
    assert "secret" not in str(caught.value)


# --- the caller's data is the caller's ------------------------------------------------------------------


def vandalise(frame, params):
    """Change all of a frame that can be changed, memory included."""
    for position in range(frame.shape[1]):
        values = np.asarray(frame.iloc[:, position])
        with contextlib.suppress(ValueError):  # memory that cannot be written to at all
            values.setflags(write=True)
            values[:] = values[::-1].copy()
    for name in list(frame.columns):
        frame.loc[:, name] = frame[name].iloc[-1]
        frame[f"{name} again"] = 1
    frame.attrs["evil"] = True
    del frame[frame.columns[0]]
    return np.zeros(len(frame))


FRAMES = {
    "doubles": pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, np.nan]}),
    "one-double": pd.DataFrame({"a": [1.0, 2.0, 3.0]}),
    "floats": pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}, dtype="float32"),
    "longs": pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}),
    "one-long": pd.DataFrame({"a": [1, 2, 3]}),
    "booleans": pd.DataFrame({"a": [True, False, False]}),
    "nullable": pd.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}, dtype="Int64"),
    "nullable-booleans": pd.DataFrame({"a": [True, None, False]}, dtype="boolean"),
    "texts": pd.DataFrame({"a": ["x", "y", None], "b": ["x", "y", "z"]}),
    "bytes": pd.DataFrame({"a": [b"x", b"y", None]}),
    "times": pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None, "2021-01-01"]).astype("datetime64[ns]")}),
    "mixed": pd.DataFrame(
        {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": ["x", "y", "z"], "d": [True, False, True]}
    ),
}


def _signature_of(frame, required):
    by_kind = {"f": "double", "i": "long", "b": "boolean", "M": "datetime"}
    by_name = {"float32": "float", "Int64": "long", "boolean": "boolean"}
    specs = []
    for name, column in frame.items():
        column_type = by_name.get(str(column.dtype)) or by_kind.get(column.dtype.kind)
        dtype = column_type or ("binary" if isinstance(column.iloc[0], bytes) else "string")
        specs.append(ColSpec(dtype, name, required=required and not column.isna().any()))
    return ModelSignature(Schema(specs), ONE_DOUBLE)


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_model_cannot_change_the_callers_frame(tmp_path, frame, required):
    model = returning(tmp_path, vandalise, _signature_of(frame, required))
    data = frame.copy(deep=True)
    model.predict(data)
    pd.testing.assert_frame_equal(data, frame, check_exact=True)
    assert data.attrs == {}


@pytest.mark.parametrize("kind", [pa.Table, pa.RecordBatch], ids=["table", "record batch"])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_model_cannot_change_the_callers_arrow_data(tmp_path, frame, required, kind):
    model = returning(tmp_path, vandalise, _signature_of(frame, required))
    rows = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    data = kind.from_pandas(frame.copy(deep=True), preserve_index=False)
    model.predict(data)
    assert data.to_pylist() == rows


def test_a_model_cannot_rename_the_callers_index(tmp_path):
    def rename(frame, params):
        frame.index.name = "evil"
        frame.columns.name = "evil"
        return frame["x"].to_numpy()

    model = returning(tmp_path, rename, SIGNATURE)
    data = FRAME.set_index(pd.Index([5, 6, 7], name="id"))
    model.predict(data)
    assert data.index.name == "id"
    assert data.columns.name is None


def test_a_prediction_shares_nothing_with_the_callers_data(tmp_path):
    model = returning(tmp_path, lambda frame, params: frame, ModelSignature(X))
    data = FRAME.copy(deep=True)
    prediction = model.predict(data)
    prediction.iloc[:, :] = 0.0
    pd.testing.assert_frame_equal(data, FRAME, check_exact=True)


def test_messages_name_the_path(tmp_path):
    with pytest.raises(sparksig.ModelNotFoundError, match=re.escape(repr(str(tmp_path / "no")))):
        sparksig.load_model(tmp_path / "no")
    assert issubclass(sparksig.ModelNotFoundError, FileNotFoundError)


# --- beyond columns of scalars --------------------------------------------------------------------------


ORDERS = [{"id": 1, "prices": [1.5, 2]}, {"id": 2, "prices": [0.5]}]
ORDER = sparksig.Object(
    [sparksig.Property("id", "long"), sparksig.Property("prices", sparksig.Array("double"))]
)
TOTALS = ModelSignature(Schema([ColSpec(ORDER, "order")]), Schema([ColSpec(sparksig.Map("double"))]))


def sum_prices(frame, params):
    return [{"total": sum(order["prices"])} for order in frame["order"]]


@pytest.mark.parametrize(
    "build",
    [
        lambda orders: [{"order": order} for order in orders],
        lambda orders: pd.DataFrame({"order": orders}),
        lambda orders: pa.table({"order": pa.array(orders)}),
    ],
    ids=["records", "frame", "table"],
)
def test_objects_and_arrays_are_accepted_and_returned(tmp_path, build):
    model = returning(tmp_path, sum_prices, TOTALS)
    assert model.predict(build(ORDERS)) == [{"total": 3.5}, {"total": 0.5}]


def test_objects_and_arrays_are_enforced_on_both_sides(tmp_path):
    model = returning(tmp_path, sum_prices, TOTALS)
    with pytest.raises(ContractError, match=r"order\.prices\[\]: expected double, got a value of type str"):
        model.predict([{"order": {"id": 1, "prices": ["x"]}}])
    wrong = returning(tmp_path, lambda frame, params: [{"total": "x"}] * len(frame), TOTALS)
    with pytest.raises(sparksig.PredictionError, match=r"0\[\]: expected double, got a value of type str"):
        wrong.predict([{"order": order} for order in ORDERS])


def test_tensors_go_in_and_out(tmp_path):
    pixels = sparksig.TensorSpec(np.dtype("float32"), (-1, 2, 2))
    signature = ModelSignature(Schema([pixels]), Schema([sparksig.TensorSpec(np.dtype("float32"), (-1,))]))
    model = returning(tmp_path, lambda array, params: array.sum(axis=(1, 2)), signature)
    images = np.ones((3, 2, 2), "float32")
    assert model.predict(images).tolist() == [4.0, 4.0, 4.0]
    with pytest.raises(ContractError, match="expected float32, got float64"):
        model.predict(images.astype("float64"))
    two = Schema([sparksig.TensorSpec(np.dtype("float64"), (-1,), name) for name in "ab"])
    both = returning(
        tmp_path, lambda tensors, params: tensors["a"] + tensors["b"], ModelSignature(two, ONE_DOUBLE)
    )
    assert both.predict({"b": np.ones(3), "a": np.ones(3)}).tolist() == [2.0, 2.0, 2.0]
