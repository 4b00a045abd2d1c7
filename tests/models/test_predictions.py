"""Saving with an example: outputs are inferred from the prediction, and the model must work on it."""

from __future__ import annotations

import dataclasses
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pydantic
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

import sparksig
from sparksig import Array, ColSpec, ContractError, InferenceError, ModelError, PredictionError, Schema
from sparksig.models.agreement import is_close
from tests.cases import describe_case
from tests.models.helpers import Returning

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SCORES = pd.DataFrame({"score": [0.5, 0.75, 1.0]})


def saved(path, function, example, **options):
    """Save a model that returns the result of a function, and load it."""
    sparksig.save_model(
        path, Returning(lambda data, params: function(data)), input_example=example, **options
    )
    return sparksig.load_model(path, allow_pickle=True)


def outputs_of(path, function, example):
    return saved(path, function, example).signature.outputs


# --- inferred outputs -------------------------------------------------------------------------------------

ARRAYS = {
    "double": (lambda data: data["score"].to_numpy(), Schema([ColSpec("double")])),
    "float": (lambda data: data["score"].to_numpy("float32"), Schema([ColSpec("float")])),
    "long": (lambda data: np.arange(len(data)), Schema([ColSpec("long")])),
    "text": (lambda data: np.array(["a"] * len(data)), Schema([ColSpec("string")])),
    "text objects": (lambda data: np.array(["a"] * len(data), object), Schema([ColSpec("string")])),
    "boolean": (lambda data: data["score"].to_numpy() > 0.6, Schema([ColSpec("boolean")])),
    "rank 2": (
        lambda data: np.ones((len(data), 2)),
        Schema([sparksig.TensorSpec(np.dtype("float64"), (-1, 2))]),
    ),
    "a dtype that no column has": (
        lambda data: np.ones(len(data), "uint64"),
        Schema([sparksig.TensorSpec(np.dtype("uint64"), (-1,))]),
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_frame_and_an_array_give_a_column(name, tmp_path):
    function, expected = ARRAYS[name]
    assert sparksig.infer_signature(SCORES, function(SCORES)).outputs == expected
    assert outputs_of(tmp_path / "m", function, SCORES) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, np.nan, 1.0], "double"),
        (["a", None, "b"], "string"),
        ([pd.Timestamp(2020, 1, 1), None], "datetime"),
    ],
    ids=["double", "string", "datetime"],
)
def test_a_series_without_a_name_may_have_nulls(values, kind):
    assert sparksig.infer_signature(SCORES, pd.Series(values)).outputs == Schema([ColSpec(kind)])


@pytest.mark.parametrize("dtype", ["Int64", "boolean"])
def test_a_series_of_a_type_without_nulls_needs_a_name(dtype):
    values = pd.Series([1, None], dtype=dtype)
    with pytest.raises(InferenceError, match="name it: a column without a name must be required"):
        sparksig.infer_signature(SCORES, values)
    columns = [ColSpec({"Int64": "long"}.get(dtype, dtype), "p", required=False)]
    assert sparksig.infer_signature(SCORES, values.rename("p")).outputs == Schema(columns)


def test_an_array_example_keeps_tensors(tmp_path):
    example = np.ones((3, 2))
    tensor = Schema([sparksig.TensorSpec(np.dtype("float64"), (-1,))])
    assert sparksig.infer_signature(example, np.ones(3)).outputs == tensor
    assert outputs_of(tmp_path / "m", lambda data: data[:, 0], example) == tensor


@pytest.mark.parametrize(
    ("values", "path"),
    [
        (np.array([1, 2, 3], object), ""),
        (np.array([{"a": 1}] * 3), ""),
        ({"kind": np.array([1, 2, 3], object)}, "kind"),
    ],
    ids=["integers", "dictionaries", "in a dictionary"],
)
def test_other_objects_in_an_array_are_refused(values, path):
    with pytest.raises(InferenceError, match="expected an array of strings, or of a dtype other") as error:
        sparksig.infer_signature(SCORES, values)
    [finding] = error.value.findings
    assert finding.path == path


ONE_ROW = {
    "a table of one row": (SCORES.head(1), {"tier": ["low"]}, [ColSpec("string", "tier")]),
    "one dictionary": ({"score": 0.5}, {"tier": ["low"]}, [ColSpec(Array("string"), "tier")]),
    "beside a value": (
        SCORES.head(1),
        {"tier": ["low"], "rank": 1},
        [ColSpec(Array("string"), "tier"), ColSpec("long", "rank")],
    ),
    "an array": ({"score": 0.5}, {"tier": np.array([2])}, [ColSpec("long", "tier")]),
    "longer lists": (SCORES.head(1), {"tiers": ["low", "mid"]}, [ColSpec(Array("string"), "tiers")]),
}


@pytest.mark.parametrize("name", ONE_ROW)
def test_lists_for_a_single_row(name, tmp_path):
    example, prediction, columns = ONE_ROW[name]
    assert sparksig.infer_signature(example, prediction).outputs == Schema(columns)
    assert outputs_of(tmp_path / "m", lambda data: prediction, example) == Schema(columns)


# --- models that are not saved ----------------------------------------------------------------------------


def refuse(error, match, path, model, example, **options):
    with pytest.raises(error, match=match):
        sparksig.save_model(path, model, input_example=example, **options)
    assert not path.exists()


FEWER = {
    "one value": lambda data: "low",
    "shorter list": lambda data: ["low"],
    "one dictionary": lambda data: {"tier": "low"},
    "shorter array": lambda data: np.ones(1),
    "shorter columns": lambda data: {"tier": ["low"], "rank": [1]},
}


@pytest.mark.parametrize("name", FEWER)
def test_too_few_predictions_are_not_saved(name, tmp_path):
    function = FEWER[name]
    message = (
        r"the input example does not fit its own schema: .*\n.*expected one prediction for "
        r"each of 3 rows, got 1 "
    )
    model = Returning(lambda data, params: function(data))
    refuse(PredictionError, message, tmp_path / "m", model, SCORES)


def test_a_text_vectorizer_on_a_frame_is_not_saved(tmp_path):
    reviews = pd.Series(["good", "bad", "good"], name="review")
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(reviews, [1, 0, 1])
    message = (
        "3 rows, got 1 .*iterates over the columns of a DataFrame: pass it one column.*ColumnTransformer"
    )
    refuse(PredictionError, message, tmp_path / "m", model, reviews)


def test_a_model_that_returns_nothing_is_not_saved(tmp_path):
    message = "the model returned None for its input example. Return one prediction for each row"
    refuse(InferenceError, message, tmp_path / "m", Returning(lambda data, params: None), SCORES)


def test_a_model_that_fails_on_the_request_is_not_saved(tmp_path):
    calls = []

    def fail_later(data, params):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError
        return data["score"]

    message = r"the model fails on its input example, sent as a request: OSError"
    refuse(ModelError, message, tmp_path / "m", Returning(fail_later), SCORES)


def test_a_request_with_another_prediction_count_is_not_saved(tmp_path):
    calls = []

    def shrink(data, params):
        calls.append(len(data))
        return data["score"].tolist()[: 3 if len(calls) == 1 else 2]

    message = (
        r"sent as a request, does not fit the signature: .*\n.*expected one prediction for "
        r"each of 3 rows, got 2 "
    )
    refuse(PredictionError, message, tmp_path / "m", Returning(shrink), SCORES)


def test_declared_outputs_are_checked_on_the_example(tmp_path):
    signature = sparksig.infer_signature(SCORES, ["low"] * 3)
    message = "does not fit the signature: .*\n.*expected string, got double"
    model = Returning(lambda data, params: data["score"].to_numpy())
    refuse(ContractError, message, tmp_path / "m", model, SCORES, signature=signature)


# --- the raw example --------------------------------------------------------------------------------------


def kinds(frame):
    """One column: whether each column of a frame has 64-bit integers."""
    return np.array([[float(str(dtype) == "int64") for dtype in frame.dtypes]] * len(frame))


def test_a_model_that_depends_on_undeclared_dtypes_is_not_saved(tmp_path):
    visits = pd.DataFrame(
        {"user": [1, 2, 3], "count.of": np.array([1, 2, 3], "int32"), "age": [1.0, 2.0, 3.0]}
    )
    model = make_pipeline(FunctionTransformer(kinds), LinearRegression()).fit(visits, [1.0, 2.0, 3.0])
    model[-1].coef_ = np.array([1.0, 1.0, 1.0])
    signature = sparksig.ModelSignature(
        Schema([ColSpec("long", "user"), ColSpec("long", "count.of"), ColSpec("double", "age")])
    )
    message = "column `count.of`: the model predicts something else for its input example than for"
    options = {"signature": signature, "serialization_format": "cloudpickle"}
    refuse(ModelError, message, tmp_path / "m", model, visits, **options)
    exact = signature.inputs.inputs[0], ColSpec("integer", "count.of"), ColSpec("double", "age")
    options["signature"] = sparksig.ModelSignature(Schema(list(exact)))
    sparksig.save_model(tmp_path / "m", model, input_example=visits, **options)


def test_rounding_is_no_difference():
    assert is_close(np.array([0.1, np.nan]), np.array([0.1, np.nan], "float32"))
    assert is_close({"a": [1, "x"]}, {"a": [1, "x"]})


@pytest.mark.parametrize(
    ("value", "other"),
    [([1.0], [1.1]), (["a"], ["b"]), ([1.0], [1.0, 2.0]), ({"a": [1]}, {"b": [1]})],
    ids=describe_case,
)
def test_other_values_are_a_difference(value, other):
    assert not is_close(value, other)


# --- several outputs of a classifier ----------------------------------------------------------------------

PLANTS = pd.DataFrame({"height": np.arange(9.0)})
SAME = np.column_stack([[0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 1] * 3])
OTHER = np.column_stack([[0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 2] * 3])


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "estimator",
    [MultiOutputClassifier(LogisticRegression()), DecisionTreeClassifier(max_depth=2)],
    ids=["multi-output", "tree"],
)
def test_probabilities_of_several_outputs_belong_to_their_rows(estimator, rows, tmp_path):
    model = estimator.fit(PLANTS, SAME)
    options = {"serialization_format": "cloudpickle", "method": "predict_proba"}
    sparksig.save_model(tmp_path / "m", model, input_example=PLANTS.head(rows), **options)
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert loaded.signature.outputs == Schema([sparksig.TensorSpec(np.dtype("float64"), (-1, 2, 2))])
    expected = np.stack(model.predict_proba(PLANTS), axis=1)
    assert loaded.predict(PLANTS).tobytes() == expected.tobytes()
    for row in range(len(PLANTS)):
        assert np.array_equal(loaded.predict(PLANTS.iloc[[row]])[0], expected[row])


@pytest.mark.parametrize("rows", [2, 3])
def test_outputs_with_other_numbers_of_classes_have_names(rows, tmp_path):
    model = DecisionTreeClassifier(max_depth=2).fit(PLANTS, OTHER)
    options = {"serialization_format": "cloudpickle", "method": "predict_proba"}
    sparksig.save_model(tmp_path / "m", model, input_example=PLANTS.head(rows), **options)
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert loaded.signature.outputs.input_names() == ["0", "1"]
    assert [spec.shape for spec in loaded.signature.outputs] == [(-1, 2), (-1, 3)]
    first, second = model.predict_proba(PLANTS)
    predicted = loaded.predict(PLANTS)
    assert np.array_equal(predicted["0"], first)
    assert np.array_equal(predicted["1"], second)


# --- instances --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    text: str
    score: float
    note: str | None = None


class Reply(pydantic.BaseModel):
    text: str
    score: float
    note: str | None = None


ANSWER = Schema([ColSpec("string", "text"), ColSpec("double", "score"), ColSpec("string", "note", False)])


@pytest.mark.parametrize("cls", [Answer, Reply], ids=["dataclass", "pydantic"])
def test_the_annotations_of_instances_say_what_none_does_not(cls):
    question, answer = {"question": "When?"}, cls(text="At nine.", score=0.1)
    assert sparksig.infer_signature(question, answer).outputs == ANSWER
    two = [answer, cls(text="At ten.", score=0.2, note="Late.")]
    assert sparksig.infer_signature(SCORES.head(2), two).outputs == ANSWER


def test_instances_are_saved_and_predicted(tmp_path):
    answer = Answer(text="At nine.", score=0.1)
    model = saved(tmp_path / "one", lambda data: answer, {"question": "When?"})
    assert model.signature.outputs == ANSWER
    assert model.predict({"question": "Where?"}).text == "At nine."
    assert outputs_of(tmp_path / "rows", lambda data: [answer] * len(data), SCORES) == ANSWER
