"""Models with type hints: validated calls, signatures from hints, both ways with the real MLflow."""

from __future__ import annotations

import base64
import datetime
import functools
import inspect
import re
import warnings
from typing import Any, Optional

import cloudpickle
import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import Model
from pydantic import BaseModel
from scipy.sparse import csr_matrix

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    ConversionError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PredictionError,
    PythonModel,
    Schema,
    SignatureError,
    SignatureMismatchWarning,
    TensorSpec,
    TypeFromExample,
    infer_signature,
    pyfunc,
)
from sparksig.models.python_model import TypeHintWarning
from sparksig.params import UnknownParamWarning
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.cases import describe_case
from tests.models.helpers import FRAME, SIGNATURE, Doubled, X, fresh, same_bits

# MLflow asks for an example whenever it saves a model, and for its own names of parameters
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*An input example was not provided:UserWarning", "ignore:.*Any type hint:UserWarning"
)

PINNED = ["scikit-learn"]  # spares MLflow from finding out
SWITCH = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
BROKEN = "the data does not fit the type hint: 1 finding\n  - "
NOT_INT = r"\[\]: expected int, got a value of type str, once, first in row 1 \[TYPE_MISMATCH\]$"


class Order(BaseModel):
    sku: str
    price: Optional[float] = None  # noqa: UP045
    day: Optional[datetime.date] = None  # noqa: UP045
    photo: bytes = b""


ORDER = Object(
    [
        Property("sku", "string"),
        Property("price", "double", False),
        Property("day", "datetime", False),
        Property("photo", "binary"),
    ]
)


class Lengths(PythonModel):
    def predict(self, model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]


class Prices(PythonModel):
    def predict(self, model_input: list[Order]) -> list[float]:
        return [order.price or 0.0 for order in model_input]


class Scaled(PythonModel):
    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        factor = (params or {}).get("factor", 1.0) + len(context.artifacts if context else ())
        return [value * factor for value in model_input]


class Seen(PythonModel):
    """A model that returns the types of its input."""

    def predict(self, model_input: list[Any]):
        return [type(value).__name__ for value in model_input]


class Times(PythonModel):
    def predict(self, model_input: list[datetime.datetime]) -> list[datetime.datetime]:
        return model_input


class Blobs(PythonModel):
    def predict(self, model_input: list[bytes]) -> list[int]:
        return [len(blob) for blob in model_input]


class Days(PythonModel):
    def predict(self, model_input: list[Order]) -> list[str]:
        return [f"{order.day} {len(order.photo)}" for order in model_input]


class FromExample(PythonModel):
    def predict(self, model_input: TypeFromExample):
        return model_input["x"] * 2


class MlflowLengths(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]


class MlflowItem(BaseModel):
    sku: str
    price: Optional[float] = None  # noqa: UP045


class MlflowPrices(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[MlflowItem], params=None) -> list[float]:
        return [item.price or 0.0 for item in model_input]


@pytest.fixture
def save(tmp_path):
    """Save a model, and load it."""

    def saved(model, *args):
        path = fresh(tmp_path) / "m"
        sparksig.save_model(path, model, *args)
        return sparksig.load_model(path, allow_pickle=True)

    return saved


def config(directory):
    return yaml.safe_load((directory / "MLmodel").read_text())


def saves(directory, model, **more):
    mlflow.pyfunc.save_model(str(directory), python_model=model, pip_requirements=PINNED, **more)


# --- calls ----------------------------------------------------------------------------------------------


class Ints(PythonModel):
    def predict(self, model_input: list[int]):
        return model_input


class IntsWithContext(PythonModel):
    def predict(self, context, model_input: list[int]):
        return model_input


class IntsWithParams(PythonModel):
    def predict(self, model_input: list[int], params=None):
        return model_input


class IntsWithBoth(PythonModel):
    def predict(self, context, model_input: list[int], params: dict[str, Any] | None = None):
        return model_input


class IntsByAnotherName(PythonModel):
    def predict(self, ctx, batch: list[int]):
        return batch


class IntsByKeyword(PythonModel):
    def predict(self, *, model_input: list[int]):
        return model_input


class Inherited(Ints):
    pass


class Super(Ints):
    def predict(self, model_input: list[int]):
        return super().predict(model_input)


class Unhinted(Ints):
    def predict(self, model_input):
        return super().predict(model_input)


CALLS = {
    "positional": lambda rows: Ints().predict(rows),
    "keyword": lambda rows: Ints().predict(model_input=rows),
    "context": lambda rows: IntsWithContext().predict(None, rows),
    "context, keyword": lambda rows: IntsWithContext().predict(None, model_input=rows),
    "keywords": lambda rows: IntsWithContext().predict(model_input=rows, context=None),
    "params": lambda rows: IntsWithParams().predict(rows, {"a": 1}),
    "params by keyword": lambda rows: IntsWithParams().predict(rows, params={"a": 1}),
    "no params": lambda rows: IntsWithParams().predict(rows),
    "both": lambda rows: IntsWithBoth().predict(None, rows, {"a": 1}),
    "other names": lambda rows: IntsByAnotherName().predict(None, rows),
    "keyword only": lambda rows: IntsByKeyword().predict(model_input=rows),
    "inherited": lambda rows: Inherited().predict(rows),
    "super": lambda rows: Super().predict(rows),
    "super, without a hint": lambda rows: Unhinted().predict(rows),
    "by the class": lambda rows: Ints.predict(Ints(), rows),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_form_of_call_is_validated(call):
    rows = [1, 2]
    assert call(rows) is rows
    assert call([1, np.int8(2)]) == [1, 2]
    assert call(pd.DataFrame({"x": [1, 2]})) == [1, 2]
    assert call(np.array([1, 2])) == [1, 2]
    with pytest.raises(ContractError, match=BROKEN + NOT_INT):
        call([1, "2"])


def test_functions_are_validated_and_stay_what_they_were():
    @pyfunc
    def double(model_input: list[int]) -> list[int]:
        """Twice."""
        return [2 * value for value in model_input]

    assert double([1, np.int8(2)]) == double(model_input=[1, 2]) == [2, 4]
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert str(inspect.signature(double)) == "(model_input: 'list[int]') -> 'list[int]'"
    with pytest.raises(ContractError, match=BROKEN + NOT_INT):
        double([1, "2"])


def test_a_function_may_take_context_and_params():
    @pyfunc
    def scaled(context, model_input: list[float], params=None):
        return [value * params["factor"] for value in model_input]

    assert scaled(None, [1, 2.5], {"factor": 2}) == [2.0, 5.0]


@pyfunc
@pyfunc
def list_names(model_input: list[Order]) -> list[str]:
    return [order.sku for order in model_input]


class DecoratedOrders(PythonModel):
    @pyfunc
    def predict(self, model_input: list[Order]) -> list[str]:
        return [order.sku for order in model_input]


@pytest.mark.parametrize("function", [list_names, DecoratedOrders().predict], ids=["function", "method"])
def test_decorating_twice_validates_once(function):
    assert function([{"sku": "a"}, Order(sku="b")]) == ["a", "b"]
    assert not hasattr(inspect.unwrap(function), "_sparksig_hinted")


def test_a_wrapped_predict_keeps_its_hints():
    def counted(function):
        @functools.wraps(function)
        def counting(*args, **kwargs):
            return len(function(*args, **kwargs))

        return counting

    class Counted(PythonModel):
        @counted
        def predict(self, model_input: list[int]):
            return model_input

    assert Counted().predict([1, 2]) == 2
    with pytest.raises(ContractError, match=NOT_INT):
        Counted().predict([1, "2"])


class Static(PythonModel):
    @staticmethod
    def predict(model_input: list[int]) -> list[int]:
        return model_input


class OfTheClass(PythonModel):
    @classmethod
    def predict(cls, model_input: list[int]) -> list[int]:
        return [*model_input, len(cls.__name__)][:-1]


@pytest.mark.parametrize(
    "predict",
    [Static.predict, Static().predict, OfTheClass.predict, OfTheClass().predict],
    ids=["static method", "static method of an instance", "class method", "class method of an instance"],
)
def test_static_and_class_methods_are_validated(predict):
    assert predict([1, np.int8(2)]) == [1, 2]
    with pytest.raises(ContractError, match=NOT_INT):
        predict([1, "2"])


@pytest.mark.parametrize(
    "call",
    [lambda: Ints().predict(), lambda: Ints().predict([1], 2), lambda: Ints().predict(rows=[1])],
    ids=describe_case,
)
def test_wrong_arguments_are_pythons_own_error(call):
    with pytest.raises(TypeError, match=r"argument"):
        call()


def test_an_input_with_a_default_may_be_left_out():
    class Defaulting(PythonModel):
        def predict(self, model_input: list[float] = [1]):  # noqa: B006
            return model_input

    class Wrong(PythonModel):
        def predict(self, model_input: list[int] = (1,)):
            return model_input

    assert Defaulting().predict([2]) == [2.0]
    assert str(Defaulting().predict()) == "[1.0]"  # it is checked as any other input
    with pytest.raises(ContractError, match="expected a list of rows, got a value of type tuple"):
        Wrong().predict()


def test_dictionaries_become_instances():
    assert Prices().predict([{"sku": "a", "price": 2}, Order(sku="b")]) == [2.0, 0.0]
    assert Prices().predict(pd.DataFrame({"sku": ["a", "b"], "price": [1.5, np.nan]})) == [1.5, 0.0]


def test_all_failures_of_a_call_come_at_once():
    with pytest.raises(ContractError) as caught:
        Prices().predict([{"sku": 1, "price": "2"}, {}, 5])
    assert str(caught.value).splitlines() == [
        "the data does not fit the type hint: 4 findings",
        "  - [].sku: expected str, got a value of type int, once, first in row 0 [TYPE_MISMATCH]",
        "  - [].price: expected float, got a value of type str, once, first in row 0 [TYPE_MISMATCH]",
        "  - [].sku: expected str, got no such field, once, first in row 1 [MISSING_FIELD]",
        "  - []: expected a dictionary, or an instance of Order, got a value of type int, once, first in "
        "row 2 [TYPE_MISMATCH]",
    ]


# --- invalid hints --------------------------------------------------------------------------------------


def define(hint, **output):
    """A model whose annotations are real types, as in a file that does not postpone them."""

    def predict(self, model_input):
        return model_input

    predict.__annotations__ = {"model_input": hint, **output}
    return type("Defined", (PythonModel,), {"predict": predict})


INVALID = {
    "list": (list, "expected list[...], got a bare list"),
    "dict": (list[dict], "[]: expected dict[str, ...], got a bare dict"),
    "keys": (list[dict[int, int]], "[]: expected dict[str, ...], got keys of type int"),
    "Optional": (list[Optional[int]], "[]: expected elements that are not Optional"),  # noqa: UP045
    "also unsupported": (list[dict[int, tuple]], "[]: expected dict[str, ...], got keys of type int"),
}


@pytest.mark.parametrize(("hint", "text"), INVALID.values(), ids=INVALID)
def test_a_hint_that_contradicts_itself_is_refused_when_it_is_written(hint, text):
    with pytest.raises(
        ConversionError, match=r"^Defined: the type hint .* cannot be used as a contract: "
    ) as caught:
        define(hint)
    assert text in str(caught.value)

    def function(model_input):
        return model_input

    function.__annotations__ = {"model_input": hint}
    with pytest.raises(ConversionError, match=r"function: the type hint .* cannot be used as a contract: "):
        pyfunc(function)


UNSUPPORTED = {
    "str": (str, "expected list[...], got str (the rows are the elements of a list: wrap it in list[...])"),
    "tuple": (list[tuple], "[]: expected a supported type, got tuple"),
    "model": (Order, "expected list[...], got Order"),
    "numpy": (list[np.int64], "[]: expected a supported type, got int64"),
    "optional list": (Optional[list[int]], "expected list[...], got Optional[list[int]]"),  # noqa: UP045
}


@pytest.mark.parametrize(("hint", "text"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_a_hint_that_is_no_contract_warns_and_validates_nothing(hint, text):
    with pytest.warns(
        TypeHintWarning, match=r"^Defined: the input is not validated by its type hint: "
    ) as caught:
        model = define(hint)
    assert len(caught) == 1
    assert text in str(caught[0].message)
    data = object()
    assert model().predict(data) is data


def test_the_warning_points_at_the_class_or_the_function():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno

        class Hinted(PythonModel):
            def predict(self, model_input: str): ...

        @pyfunc
        def hinted(model_input: tuple): ...

        @pyfunc
        def unhinted(model_input): ...

    assert [warning.category for warning in caught] == [TypeHintWarning] * 3
    assert [warning.filename for warning in caught] == [__file__] * 3
    assert all(line < warning.lineno < line + 12 for warning in caught)


def test_an_annotation_that_cannot_be_resolved_warns():
    text = (
        r"Unresolved: the input is not validated, because its type hint cannot be resolved "
        r"\(NameError: name 'Nowhere' is not "
        r"defined\)\. Define its types at the top of their module$"
    )
    with pytest.warns(TypeHintWarning, match=text):

        class Unresolved(PythonModel):
            def predict(self, model_input: list[Nowhere]):  # noqa: F821
                return model_input

    assert Unresolved().predict("anything") == "anything"
    with pytest.warns(TypeHintWarning, match=r"function: .*cannot be resolved \(AttributeError: "):

        @pyfunc
        def function(model_input: list[datetime.nowhere]):
            return model_input


def test_an_output_that_cannot_be_resolved_leaves_the_input_validated():
    text = (
        r"Half: the output is not validated, because its type hint cannot be resolved \(NameError: name "
        r"'Nowhere' is not defined\)"
    )
    with pytest.warns(TypeHintWarning, match=text):

        class Half(PythonModel):
            def predict(self, model_input: list[int]) -> list[Nowhere]:  # noqa: F821
                return model_input

    with pytest.raises(ContractError, match=NOT_INT):
        Half().predict([1, "2"])


def test_a_function_without_a_hint_warns():
    text = (
        r"^unhinted: the input is not validated, because it has no type hint\. Add one, for "
        r"example list\[str\]$"
    )
    with pytest.warns(TypeHintWarning, match=text):

        @pyfunc
        def unhinted(model_input):
            return model_input

    assert unhinted("a") == "a"


@pytest.mark.parametrize("hint", [pd.DataFrame, pd.Series, np.ndarray, csr_matrix, TypeFromExample])
def test_hints_of_frames_are_silent_and_validate_nothing(save, hint):
    model = define(hint)  # no warning: they are errors here
    data = object()
    assert model().predict(data) is data
    loaded = save(model(), ModelSignature(X))
    assert loaded.signature == ModelSignature(X)
    assert config(loaded.path)["is_signature_from_type_hint"] is False


# --- directories ----------------------------------------------------------------------------------------

LONGS = Schema([ColSpec("long")])


@pytest.mark.parametrize(
    ("model", "inputs", "outputs"),
    [
        (Lengths, "string", "long"),
        (Prices, ORDER, "double"),
        (Scaled, "double", "double"),
        (Seen, AnyType(), None),
        (Times, "datetime", "datetime"),
        (Days, ORDER, "string"),
    ],
)
def test_the_signature_comes_from_the_hints_and_mlflow_reads_it(save, model, inputs, outputs):
    loaded = save(model())
    expected = ModelSignature(Schema([ColSpec(inputs)]), outputs and Schema([ColSpec(outputs)]))
    assert loaded.signature == expected
    written = config(loaded.path)
    assert written["is_signature_from_type_hint"] is True
    assert written["type_hint_from_example"] is False
    read = mlflow.models.get_model_info(str(loaded.path)).signature
    assert read.to_dict() == expected.to_dict()
    assert read._is_signature_from_type_hint is True


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (list[int], "long"),
        (int, "long"),
        (dict[str, int], Map("long")),
        (Order, ORDER),
        (list[list[str]], Array("string")),
        (Any, AnyType()),
        (Optional[float], "double"),  # noqa: UP045
        (None, None),
        (np.ndarray, None),
        (pd.DataFrame, None),
    ],
)
def test_the_outputs_come_from_the_output_hint(save, hint, expected):
    model = define(list[int], **{"return": hint})
    assert save(model()).signature.outputs == (expected and Schema([ColSpec(expected)]))


def test_an_output_hint_that_is_no_contract_warns_and_declares_nothing(save):
    text = r"^Defined: the type hint of the output is ignored: \[\]: expected a supported type, "
    with pytest.warns(TypeHintWarning, match=text) as caught:
        model = define(list[int], **{"return": list[tuple]})
    assert len(caught) == 1
    assert save(model()).signature == ModelSignature(LONGS)


def test_a_signature_adds_outputs_and_params(save):
    params = ParamSchema([ParamSpec("factor", "double", 2.0)])
    outputs = Schema([ColSpec("double", "scaled")])
    signature = ModelSignature(outputs=outputs, params=params)
    loaded = save(Scaled(), signature)
    assert loaded.signature == ModelSignature(Schema([ColSpec("double")]), outputs, params)
    assert signature == ModelSignature(outputs=outputs, params=params)
    assert signature._is_signature_from_type_hint is False
    assert loaded.predict([1, 2.5]) == [2.0, 5.0]
    assert loaded.predict([1, 2.5], {"factor": 10.0}) == [10.0, 25.0]
    with pytest.warns(UnknownParamWarning, match="other"):
        assert loaded.predict([1.0], {"other": 1}) == [2.0]


def test_a_signature_of_the_same_inputs_is_welcome(save):
    signature = infer_signature(["a"], [1])
    assert save(Lengths(), signature).signature == signature


STRINGS = Schema([ColSpec("string")])


@pytest.mark.parametrize(
    ("side", "schema", "used"),
    [
        ("inputs", LONGS, STRINGS),
        ("inputs", Schema([ColSpec("string", "named")]), STRINGS),
        ("inputs", X, STRINGS),
        ("outputs", STRINGS, LONGS),
        ("outputs", X, LONGS),
        ("outputs", Schema([TensorSpec(np.dtype("int64"), (-1,))]), LONGS),
    ],
)
def test_a_hint_wins_over_a_signature_with_a_warning(tmp_path, side, schema, used):
    path = fresh(tmp_path) / "m"
    text = (
        f"the signature's {side} {schema!r} differ from the model's type hint, which is used: {used!r}. "
        f"Pass a signature without {side}, or remove the type hint"
    )
    params = ParamSchema([ParamSpec("factor", "double", 2.0)])
    with pytest.warns(SignatureMismatchWarning, match=f"^{re.escape(text)}$") as caught:
        sparksig.save_model(path, Lengths(), ModelSignature(**{side: schema}, params=params))
    assert [warning.filename for warning in caught] == [__file__]
    assert sparksig.load_model(path, allow_pickle=True).signature == ModelSignature(STRINGS, LONGS, params)


def test_mlflow_prefers_the_hint_as_well(tmp_path):
    signature = ModelSignature(X, X)
    with pytest.warns(SignatureMismatchWarning):
        sparksig.save_model(tmp_path / "ours", Lengths(), signature)
    theirs = mlflow.models.ModelSignature.from_dict(signature.to_dict())
    saves(tmp_path / "theirs", MlflowLengths(), signature=theirs)
    assert config(tmp_path / "ours")["signature"] == config(tmp_path / "theirs")["signature"]


def test_outputs_may_say_more_than_a_hint_of_any(save):
    model = define(list[int], **{"return": list[Any]})
    outputs = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
    assert save(model(), ModelSignature(outputs=outputs)).signature.outputs == outputs


@pytest.mark.parametrize("signature", [None, ModelSignature(outputs=LONGS)], ids=["none", "no inputs"])
def test_a_type_from_an_example_needs_an_example_or_a_signature(tmp_path, signature):
    text = (
        r"^the type hint of the input is TypeFromExample, but there is no example\. Pass input_example=, or "
        r"signature=infer_signature\(example, \.\.\.\)$"
    )
    with pytest.raises(SignatureError, match=text):
        sparksig.save_model(tmp_path / "m", FromExample(), signature)
    assert not (tmp_path / "m").exists()


def test_a_type_from_an_example_is_a_signature_as_any(save):
    loaded = save(FromExample(), SIGNATURE)
    assert loaded.signature == SIGNATURE
    assert config(loaded.path)["type_hint_from_example"] is False
    assert loaded.predict(FRAME).tolist() == (FRAME["x"] * 2).tolist()


@pytest.mark.parametrize(
    ("model", "signature"),
    [(FromExample, None), (FromExample, SIGNATURE), (FromExample, ModelSignature(outputs=SIGNATURE.outputs))],
)
def test_a_type_from_an_example_comes_from_the_example(tmp_path, model, signature):
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, model(), signature, input_example=FRAME)
    loaded = sparksig.load_model(path, allow_pickle=True)
    inferred = infer_signature(FRAME, FRAME["x"] * 2)
    outputs = inferred.outputs if signature is None else signature.outputs
    assert loaded.signature == ModelSignature(inferred.inputs, outputs)
    written = config(path)
    assert written["type_hint_from_example"] is True
    assert written["is_signature_from_type_hint"] is False
    assert mlflow.models.get_model_info(str(path)).signature._is_type_hint_from_example is True
    assert same_bits(loaded.predict(FRAME), FRAME["x"] * 2)
    assert same_bits(mlflow.pyfunc.load_model(str(path)).predict(FRAME), FRAME["x"] * 2)


@pytest.mark.parametrize(
    ("name", "model", "example"),
    [("lengths", Lengths(), ["a", "bcd"]), ("doubled", Doubled(), FRAME)],
    ids=describe_case,
)
def test_another_hint_is_not_from_the_example(tmp_path, name, model, example):
    """MLmodel says so only where the hint is TypeFromExample."""
    sparksig.save_model(tmp_path / name, model, input_example=example)
    assert config(tmp_path / name)["type_hint_from_example"] is False
    assert config(tmp_path / name)["is_signature_from_type_hint"] is (name == "lengths")


DATA = {
    "list": (Lengths, ["a", "bcd"], [1, 3]),
    "no rows": (Lengths, [], []),
    "frame": (Lengths, pd.DataFrame({"text": ["a", "bcd"]}), [1, 3]),
    "dictionaries": (Prices, [{"sku": "a", "price": 2.5}, {"sku": "b"}], [2.5, 0.0]),
    "frame of fields": (Prices, pd.DataFrame({"sku": ["a", "b"], "price": [2.5, np.nan]}), [2.5, 0.0]),
    "context": (Scaled, [1.0, 2.5], [1.0, 2.5]),
    "times": (Times, [datetime.datetime(2020, 1, 1)], [datetime.datetime(2020, 1, 1)]),
}


@pytest.mark.parametrize(("model", "data", "expected"), DATA.values(), ids=DATA)
def test_a_loaded_model_predicts_here_and_in_mlflow(save, model, data, expected):
    loaded = save(model())
    assert loaded.predict(data) == expected
    theirs = mlflow.pyfunc.load_model(str(loaded.path))
    assert theirs.predict(data) == expected
    assert theirs.metadata.signature.to_dict() == loaded.signature.to_dict()


@pytest.mark.parametrize("library", ["sparksig", "MLflow"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            ["a", 7],
            BROKEN + r"\[\]: expected str, got a value of type int, once, first in row 1 \[TYPE_MISMATCH\]$",
        ),
        (None, r"^the data does not fit the type hint: expected a list of rows, got None$"),
    ],
    ids=["integer", "None"],
)
def test_a_loaded_model_validates_here_and_in_mlflow(save, data, text, library):
    model = save(Lengths())
    if library == "MLflow":
        model = mlflow.pyfunc.load_model(str(model.path))
    with pytest.raises(ContractError, match=text):
        model.predict(data)


def test_the_output_is_checked(save):
    class Wrong(PythonModel):
        def predict(self, model_input: list[int]) -> list[int]:
            return ["a"] * len(model_input) if model_input[0] else [1]

    loaded = save(Wrong())
    assert loaded.predict([0]) == [1]
    with pytest.raises(PredictionError, match="the prediction breaks the model's output schema: 1 finding"):
        loaded.predict([1])
    with pytest.raises(PredictionError, match="expected one prediction for each of 2 rows, got 1"):
        loaded.predict([0, 0])


def test_composite_outputs_are_checked(save):
    class Composite(PythonModel):
        def predict(self, model_input: list[int]) -> list[list[int]]:
            return [[value] if value else ["a"] for value in model_input]

    loaded = save(Composite())
    assert loaded.signature.outputs == Schema([ColSpec(Array("long"))])
    assert loaded.predict([1, 2]) == [[1], [2]]
    with pytest.raises(
        PredictionError, match=r"0\[\]: expected long, got a value of type str, once, first in row 1"
    ):
        loaded.predict([1, 0])


def test_a_hinted_model_without_a_signature_of_inputs_keeps_its_contract(save):
    loaded = save(Inherited())
    assert loaded.signature == ModelSignature(LONGS)
    with pytest.raises(ContractError, match=NOT_INT):
        loaded.predict([1, "2"])


NOTEBOOK = """
from __future__ import annotations
from sparksig import PythonModel

Rows = list[int]

class Own(PythonModel):
    def predict(self, model_input: Rows) -> Rows:
        return model_input
"""


def test_a_model_of_a_notebook_keeps_its_contract_when_it_is_saved_again(tmp_path):
    """The model is pickled by value, and loading it replaces its methods, whose globals are gone."""
    names = {"__name__": "a_notebook"}
    exec(NOTEBOOK, names)
    model = names["Own"]()
    for name in "ab":  # the second time saves the loaded model, whose module does not exist
        sparksig.save_model(tmp_path / name, model)
        loaded = sparksig.load_model(tmp_path / name, allow_pickle=True)
        model = cloudpickle.loads(cloudpickle.dumps(model))
        names.pop("Rows", None)
        assert loaded.signature == ModelSignature(LONGS, LONGS)
        with pytest.raises(ContractError, match=NOT_INT):
            loaded.predict_raw([1, "2"])


# --- MLflow's own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model", "data", "expected"),
    [
        ("lengths", MlflowLengths, ["a", "bcd"], [1, 3]),
        ("prices", MlflowPrices, [{"sku": "a", "price": 2.5}, {"sku": "b"}], [2.5, 0.0]),
    ],
    ids=describe_case,
)
def test_we_load_what_mlflow_saved_with_hints(tmp_path, name, model, data, expected):
    saves(tmp_path / name, model())
    loaded = sparksig.load_model(tmp_path / name, allow_pickle=True)
    theirs = Model.load(str(tmp_path / name)).signature
    assert loaded.signature.to_dict() == theirs.to_dict()
    assert loaded.signature._is_signature_from_type_hint is True
    assert loaded.predict(data) == expected
    assert mlflow.pyfunc.load_model(str(tmp_path / name)).predict(data) == expected


@pytest.mark.parametrize("form", range(2), ids=["texts", "models"])
def test_mlflow_infers_the_same_from_the_same_hints(tmp_path, form):
    class Prices(PythonModel):
        def predict(self, model_input: list[MlflowItem]) -> list[float]:
            return [item.price or 0.0 for item in model_input]

    ours, theirs = [(Lengths, MlflowLengths), (Prices, MlflowPrices)][form]
    home = fresh(tmp_path)
    sparksig.save_model(home / "ours", ours())
    saves(home / "theirs", theirs())
    keys = ("signature", "is_signature_from_type_hint", "type_hint_from_example")
    written = [config(home / name) for name in ("ours", "theirs")]
    assert [written[0][key] for key in keys] == [written[1][key] for key in keys]


# --- serving --------------------------------------------------------------------------------------------

BLOB, WHEN = b"\x00\xff" * 3, datetime.datetime(2020, 1, 31, 12, 30)
SERVED = {
    "bytes": (Blobs, [base64.b64encode(BLOB).decode()], [6]),
    "times": (Times, [WHEN.isoformat()], [WHEN]),
    "zone": (Times, ["2020-01-31T12:30:00Z"], [WHEN.replace(tzinfo=datetime.timezone.utc)]),
    "fields": (
        Days,
        [{"sku": "a", "day": "2020-01-31", "photo": base64.b64encode(BLOB).decode()}],
        ["2020-01-31 6"],
    ),
}


@pytest.mark.parametrize("value", ["", "false", "0", "no"])
@pytest.mark.parametrize("name", SERVED)
def test_json_is_not_decoded_outside_of_a_server(monkeypatch, name, value):
    model, data, _ = SERVED[name]
    monkeypatch.setenv(SWITCH, value)
    with pytest.raises(ContractError, match="got a value of type str"):
        model().predict(data)


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
@pytest.mark.parametrize(("model", "data", "expected"), SERVED.values(), ids=SERVED)
def test_json_from_a_server_is_decoded(monkeypatch, model, data, expected, value):
    monkeypatch.setenv(SWITCH, value)
    assert model().predict(data) == expected


@pytest.mark.parametrize(("model", "data", "expected"), SERVED.values(), ids=SERVED)
def test_json_from_a_server_is_decoded_by_a_loaded_model(save, monkeypatch, model, data, expected):
    loaded = save(model())
    with pytest.raises(ContractError, match="got a value of type str"):
        loaded.predict_raw(data)
    monkeypatch.setenv(SWITCH, "true")
    assert loaded.predict_raw(data) == expected
    assert mlflow.pyfunc.load_model(str(loaded.path)).predict(data) == expected
    with pytest.raises(ContractError, match=r"got a text that is not (base64|ISO 8601)|value of type str"):
        loaded.predict_raw([{"sku": "a", "photo": "%"}] if model is Days else ["%"])


def test_a_server_hands_over_mlflows_examples(monkeypatch):
    monkeypatch.setenv(SWITCH, "true")
    assert Blobs().predict([base64.encodebytes(BLOB).decode()]) == [6]


def test_super_is_not_decoded_twice(monkeypatch):
    class Again(Blobs):
        def predict(self, model_input: list[bytes]) -> list[int]:
            return super().predict(model_input)

    monkeypatch.setenv(SWITCH, "true")
    assert Again().predict([base64.b64encode(base64.b64encode(BLOB)).decode()]) == [8]


# --- defects found in a review --------------------------------------------------------------------------


class Keywords(PythonModel):
    def predict(self, model_input: list[int], **kwargs):
        return model_input


class Verbose(PythonModel):
    def predict(self, model_input: list[int], verbose: bool = False):
        return model_input


@pytest.mark.parametrize("model", [Keywords, Verbose])
def test_other_parameters_are_not_taken_for_the_data(model):
    assert model().predict([np.int64(1)]) == [1]
    with pytest.raises(ContractError):
        model().predict(["a"])


class Callable:
    def __call__(self, model_input: list[int]):
        return model_input


@pytest.mark.parametrize(
    "value",
    [functools.partial(len), Callable(), Callable().__call__, len],
    ids=["partial", "callable object", "bound method", "built-in"],
)
def test_only_functions_are_decorated(value):
    with pytest.raises(ConversionError, match=r"^pyfunc: expected a function \(def \.\.\.\), got a value"):
        pyfunc(value)
