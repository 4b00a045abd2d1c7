"""PythonModel: the signatures of predict, the context, and the input."""

from __future__ import annotations

import functools
import inspect

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.models.signature import _is_context_in_predict_function_signature

import sparksig
from sparksig import ColSpec, ModelSignature, ParamSchema, ParamSpec, PythonModel, PythonModelContext, Schema
from sparksig.models.python_model import bind_predict
from tests.models.helpers import FRAME, Returning

CONTEXT = PythonModelContext({})
DATA = object()


def plain(model_input):
    return {"data": model_input}


def with_params(model_input, params=None):
    return {"data": model_input, "params": params}


def with_keyword_params(model_input, *, params):
    return {"data": model_input, "params": params}


def with_context(context, model_input):
    return {"context": context, "data": model_input}


def with_both(context, model_input, params=None):
    return {"context": context, "data": model_input, "params": params}


def with_context_and_more(context, model_input, flag=True, params=None):
    return {"context": context, "data": model_input, "params": params}


def with_another_name_for_context(ctx, x):
    return {"context": ctx, "data": x}


def with_another_name_and_params(ctx, x, params):
    return {"context": ctx, "data": x, "params": params}


def with_another_name_for_data(batch):
    return {"data": batch}


def with_extra_arguments(*args):
    return {"data": args[0], "count": len(args)}


FORMS = [
    plain,
    with_params,
    with_keyword_params,
    with_context,
    with_both,
    with_context_and_more,
    with_another_name_for_context,
    with_another_name_and_params,
    with_another_name_for_data,
    with_extra_arguments,
]


class Echo(PythonModel):
    """Says which params it is called with."""

    def predict(self, context, model_input, params=None):
        return [repr(params)] * len(model_input)


GIVEN = {"none": None, "empty": {}, "undeclared": {"unknown": 1}}
COLUMN = Schema([ColSpec("double", "x")])
CONTRACTS = {
    "no signature": None,
    "no params": ModelSignature(COLUMN),
    "params": ModelSignature(COLUMN, params=ParamSchema([ParamSpec("k", "long", 3)])),
}


@pytest.mark.filterwarnings("ignore::sparksig.params.UnknownParamWarning")
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_model_is_called_with_the_params_that_mlflow_calls_it_with(tmp_path, contract, given):
    sparksig.save_model(tmp_path / "m", Echo(), CONTRACTS[contract])
    data, params = pd.DataFrame({"x": [1.5]}), GIVEN[given]
    expected = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(data, params=params)
    model = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert model.predict(data, params) == expected
    request = {"inputs": {"x": [1.5]}, **({} if params is None else {"params": params})}
    assert sparksig.validate_serving_input(model, request) == expected


@pytest.mark.parametrize("predict", FORMS, ids=[predict.__name__ for predict in FORMS])
def test_predict_gets_what_its_form_asks_for(predict):
    got = bind_predict(predict, CONTEXT)(DATA, {"t": 1})
    assert got["data"] is DATA
    assert got.get("context", CONTEXT) is CONTEXT
    assert got.get("params", {"t": 1}) == {"t": 1}
    assert got.get("count", 1) == 1


@pytest.mark.parametrize("predict", FORMS, ids=[predict.__name__ for predict in FORMS])
def test_the_context_goes_where_mlflow_lets_it_go(predict):
    ours = "context" in bind_predict(predict, CONTEXT)(DATA, None)
    assert ours == _is_context_in_predict_function_signature(parameters=inspect.signature(predict).parameters)


def test_the_form_is_read_through_wrappers():
    @functools.wraps(with_both)
    def wrapped(*args, **kwargs):
        return with_both(*args, **kwargs)

    got = bind_predict(wrapped, CONTEXT)(DATA, {"t": 1})
    assert (got["context"], got["data"], got["params"]) == (CONTEXT, DATA, {"t": 1})


def test_predict_may_be_static_or_of_the_class():
    class Static(PythonModel):
        @staticmethod
        def predict(model_input, params=None):
            return model_input, params

    class OfTheClass(PythonModel):
        @classmethod
        def predict(cls, context, model_input):
            return context, model_input

    assert bind_predict(Static().predict, CONTEXT)(DATA, {"t": 1}) == (DATA, {"t": 1})
    assert bind_predict(OfTheClass().predict, CONTEXT)(DATA, {"t": 1}) == (CONTEXT, DATA)


def test_the_params_are_the_models_own_to_change():
    given = {"t": 1}
    bind_predict(lambda model_input, params: params.clear(), CONTEXT)(DATA, given)
    assert given == {"t": 1}


def test_a_python_model_has_a_predict():
    class Without(PythonModel):
        pass

    with pytest.raises(TypeError, match=r"abstract method '?predict"):
        Without()


def test_loading_a_context_is_optional():
    assert Returning(None).load_context(CONTEXT) is None


def test_a_context_holds_copies():
    artifacts, config = {"a": "b"}, {"c": 1}
    context = PythonModelContext(artifacts, config)
    artifacts.clear()
    config.clear()
    assert context.artifacts == {"a": "b"}
    assert context.model_config == {"c": 1}
    assert PythonModelContext({}).model_config == PythonModelContext({}, None).model_config == {}


def test_the_context_is_loaded_once_before_the_first_prediction(tmp_path):
    class Counting(PythonModel):
        def __init__(self):
            self.seen = []

        def load_context(self, context):
            self.seen.append((dict(context.artifacts), dict(context.model_config)))

        def predict(self, context, model_input):
            return [context.artifacts, self.seen]

    sparksig.save_model(tmp_path / "m", Counting())
    model = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert model.predict(FRAME) == model.predict(FRAME) == [{}, [({}, {})]]


def test_what_predict_raises_comes_through_as_it_is(tmp_path):
    class Broken(PythonModel):
        def predict(self, model_input):
            raise ZeroDivisionError("by the model")

    sparksig.save_model(tmp_path / "m", Broken())
    with pytest.raises(ZeroDivisionError, match=r"^by the model$"):
        sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(FRAME)


def test_what_load_context_raises_comes_through_as_it_is(tmp_path):
    class Broken(PythonModel):
        def load_context(self, context):
            raise ZeroDivisionError("by the model")

        def predict(self, model_input):
            return model_input

    sparksig.save_model(tmp_path / "m", Broken())
    with pytest.raises(ZeroDivisionError, match=r"^by the model$"):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)
