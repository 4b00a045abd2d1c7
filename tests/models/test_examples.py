"""Input examples: stored without losses, exchanged with MLflow in both directions, and passed to models."""

from __future__ import annotations

import datetime
import itertools
import json
import math

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import Model
from mlflow.models.utils import _save_example
from pydantic import BaseModel
from scipy.sparse import csc_matrix, csr_matrix
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    InferenceError,
    ModelError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PredictionError,
    PythonModel,
    Schema,
    TensorSpec,
    TypeFromExample,
    infer_signature,
    load_input_example,
    load_model,
    load_serving_example,
    save_model,
    validate_serving_input,
)
from sparksig.convert.arrow import is_arrow
from sparksig.engine.frames import build_model_input
from sparksig.errors import ConversionError, ModelDamagedError
from sparksig.models.examples import convert_input_example_to_serving_input
from sparksig.models.loading import load_input_example_params
from sparksig.types import Array, DataType, Map, Object, Property
from tests import strategies
from tests.cases import describe_case
from tests.models.helpers import Returning, content, rewrite, unsealed, without_type_hints

pytestmark = pytest.mark.filterwarnings(
    "ignore:Handling Integers With Missing Values:sparksig.IntegerColumnWarning",
    "ignore:.*Hint. Inferred schema contains integer column:UserWarning",
    "ignore:Operation with range is deprecated",  # MLflow, of pandas
)

_number = itertools.count()


def fresh(tmp_path):
    """A path below, never used before: many cases share one tmp_path."""
    return tmp_path / str(next(_number))


def rows_of(data, params=None):
    """A model that says the number of each row, and the params it was given."""
    count = len(next(iter(data.values()))) if isinstance(data, dict) else None
    count = count if count is not None else data.shape[0] if hasattr(data, "shape") else len(data)
    return np.arange(count) + float((params or {}).get("k", 0))


def key(value):
    """Return a key that differs if any bit differs, or the kind of a missing value."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (float, np.floating)):
        return ("float", "nan" if math.isnan(value) else float(value).hex())
    if isinstance(value, (list, np.ndarray)):
        return [key(item) for item in value]
    if isinstance(value, dict):
        return {name: key(item) for name, item in value.items()}
    if isinstance(value, datetime.datetime):
        return pd.Timestamp(value).isoformat()
    return (type(value).__name__, value)


def describe(data):
    """Return the values and dtypes of enforced data."""
    if isinstance(data, pd.DataFrame):
        columns = [(name, str(data.dtypes.iloc[at])) for at, name in enumerate(data.columns)]
        return (columns, list(data.index), [key(data.iloc[:, at].tolist()) for at in range(data.shape[1])])
    if isinstance(data, dict):
        return {name: describe(value) for name, value in data.items()}
    if hasattr(data, "toarray"):
        parts = (data.data, data.indices, data.indptr)
        return (type(data).__name__, str(data.dtype), data.shape, [key(part.tolist()) for part in parts])
    return (str(data.dtype.newbyteorder("=")), data.shape, key(data.tolist()))


def strict(text):
    """JSON as the standard has it."""

    def refused(constant):
        raise AssertionError(f"a bare {constant}")

    return json.loads(text, parse_constant=refused)


def both_files(directory):
    """Both files of an example, which are strict JSON."""
    names = ("input_example.json", "serving_input_example.json")
    return [strict((directory / name).read_text("utf-8")) for name in names]


# --- there and back -----------------------------------------------------------------------------------------


class Order(BaseModel):
    sku: str
    price: float
    day: datetime.date


NOON = datetime.datetime(2020, 1, 1, 12, 0, 0, 5)
EVERY_TYPE = pd.DataFrame(
    {
        "boolean": [True, False],
        "integer": np.array([2**31 - 1, -1], "int32"),
        "long": [2**53 + 1, -(2**63)],
        "float": np.array([0.1, np.nan], "float32"),
        "double": [-0.0, np.inf],
        "string": ["é\x00", None],
        "binary": [b"\xff", b""],
        "datetime": pd.to_datetime(["2020-01-01T00:00:00.000000001", None]),
    }
)
FRAMES = {
    "every type": EVERY_TYPE,
    "nullable": pd.DataFrame(
        {
            "l": pd.array([2**53 + 1, None], "Int64"),
            "i": pd.array([1, None], "Int32"),
            "b": pd.array([True, None], "boolean"),
            "f": pd.array([0.1, None], "Float64"),
            "s": pd.array(["x", None], "string"),
        }
    ),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y", "x"]), "n": pd.Categorical([1.5, 2.5, 1.5])}),
    "zone": pd.DataFrame({"t": pd.to_datetime(["2020-01-01T12:00+02:00", None])}),
    "arrow": pd.DataFrame(
        {
            "l": pd.array([2**53 + 1, None], pd.ArrowDtype(pa.int64())),
            "s": pd.array(["x", None], pd.ArrowDtype(pa.string())),
            "a": pd.array([[1.5, None], None], pd.ArrowDtype(pa.list_(pa.float64()))),
            "o": pd.array([{"x": 1}, {"x": 2}], pd.ArrowDtype(pa.struct([("x", pa.int64())]))),
        }
    ),
    "nested": pd.DataFrame(
        {
            "a": [[1.5, None, math.nan], []],
            "o": [{"x": 2**53 + 1, "y": {"z": [b"\xff"]}}, {"x": 2, "y": {"z": []}}],
            "t": [[NOON], None],
            "n": [np.array([1.5, 2.5]), np.array([])],
        }
    ),
    "narrow": pd.DataFrame({"a": np.array([1], "uint8"), "b": np.array([0.1], "float16")}),
    "times in days": pd.DataFrame({"d": [datetime.date(2020, 1, 1), None]}),
    "no rows": EVERY_TYPE.head(0).drop(columns=["string", "binary"]),
    "names": pd.DataFrame([[1.5] * 6], columns=["a b", "a.b", "`x`", "日本", "", "data"]),
    "numbered": pd.DataFrame([[1.5, "x"], [2.5, "y"]]),
    "index of text": pd.DataFrame({"a": [1.5, 2.5]}, index=["p", "q"]),
    "index of numbers": pd.DataFrame({"a": [1.5, 2.5, 3.5]}, index=[7, -1, 7]),
    "series": pd.Series([1.5, np.nan], name="v"),
    "series without a name": pd.Series(["x", "y"]),
}
TENSORS = {
    **{
        dtype: np.array([[0, 1], [1, 100 if dtype != "bool" else 1]]).astype(dtype)
        for dtype in ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64")
    },
    "most": np.array([2**64 - 1], "uint64"),
    "least": np.array([-(2**63)]),
    "tenths": np.array([0.1, np.nan, np.inf, -np.inf, -0.0], "float32"),
    "doubles": np.array([0.1, np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    "bytes": np.array([b"a", b"\xff\xfe"]),
    "texts": np.array(["a", "é"]),
    "nanoseconds": np.array(["2020-01-01T00:00:00.000000001", "NaT"], "datetime64[ns]"),
    "days": np.array(["2020-01-01", "NaT"], "datetime64[D]"),
    "rank three": np.arange(8.0).reshape(2, 2, 2),
    "no rows": np.empty((0, 3), "float32"),
    "big endian": np.array([1.5], ">f8"),
    "objects": np.array([1, None], object),
    "named": {"a": np.array([0.1, np.nan]), "b.c": np.array([[1], [2]], "int8")},
    "csr": csr_matrix([[0, 0.1], [np.nan, 0]]),
    "csc": csc_matrix(np.array([[0, 1], [2, 0]], "int32")),
    "empty csr": csr_matrix((2, 3), dtype="float32"),
}
OBJECTS = {
    "dictionary": {"a": 1.5, "b": "x", "c": b"\xff", "t": NOON, "l": [1, 2], "o": {"x": [None]}},
    "dictionaries": [{"a": 2**53 + 1, "b": None}, {"a": 2, "b": "x"}, {"a": 3}],
    "floats": [1.5, None, math.nan, math.inf],
    "texts": ["a", "é", None],
    "blobs": [b"\xff", b""],
    "times": [NOON, datetime.datetime(1700, 1, 1)],
    "lists": [[1, 2], [3], []],
    "one long": 2**53 + 1,
    "one float": 0.1,
    "one truth": True,
    "one text": "x",
    "one blob": b"\xff",
    "one time": NOON,
    "one day": datetime.date(2020, 1, 1),
    "nothing": [],
    "chat": {"messages": [{"role": "user", "content": "x"}]},
}


def save_example(directory, example, signature=None):
    """Save a model with an example, and compare each reading of the example with the original."""
    data = example[0] if isinstance(example, tuple) else example
    save_model(directory, Returning(rows_of), signature, input_example=example)
    both_files(directory)
    model = load_model(directory, allow_pickle=True)
    expected, back = build_model_input(data, model.signature.inputs), load_input_example(directory)
    assert describe(build_model_input(back, model.signature.inputs)) == describe(expected)
    served = validate_serving_input(model, load_serving_example(directory))
    assert key(served) == key(model.predict(data, load_input_example_params(directory)))
    return back


@pytest.mark.parametrize("example", FRAMES.values(), ids=FRAMES)
def test_a_frame_is_kept_with_nothing_lost(tmp_path, example):
    back = save_example(fresh(tmp_path), example)
    assert type(back) is type(example)
    assert list(back.index) == list(example.index)


@pytest.mark.parametrize("example", TENSORS.values(), ids=TENSORS)
def test_a_tensor_is_kept_with_nothing_lost(tmp_path, example):
    back = save_example(fresh(tmp_path), example)
    assert type(back) is type(example)


@pytest.mark.parametrize("example", OBJECTS.values(), ids=OBJECTS)
def test_python_values_are_kept_with_nothing_lost(tmp_path, example):
    back = save_example(fresh(tmp_path), example)
    assert type(back) is (datetime.datetime if isinstance(example, datetime.date) else type(example))


@pytest.mark.parametrize(
    "build",
    [pa.table, pa.record_batch, lambda data: pytest.importorskip("polars").DataFrame(data)],
    ids=["table", "record batch", "polars"],
)
def test_tables_are_stored_as_frames(tmp_path, build):
    example = build({"l": [2**53 + 1, None], "s": ["x", "y"], "a": [[0.1], None]})
    assert is_arrow(example)
    assert type(save_example(tmp_path / "m", example)) is pd.DataFrame


def test_an_array_for_columns_is_kept_as_a_frame(tmp_path):
    signature = ModelSignature(Schema([ColSpec("double"), ColSpec("double")]))
    back = save_example(tmp_path / "m", np.array([[0.1, np.nan]]), signature)
    assert back.columns.tolist() == [0, 1]


@st.composite
def frames(draw):
    """A schema of columns of any type, and a frame that fits it; optional columns have nulls."""
    leaves = st.sampled_from(
        [dtype for dtype in DataType if dtype not in (DataType.binary, DataType.datetime)]
    )
    types = strategies.composite_types(leaves, any_type=False, vectors=False, max_leaves=4)
    schema = draw(strategies.column_schemas(types, unnamed=False))
    names = [str(spec.name) for spec in schema]
    schema = Schema(
        [ColSpec(spec.type, f"c{i}{n}", spec.required) for i, (spec, n) in enumerate(zip(schema, names))]
    )
    rows = draw(st.integers(0, 3))
    columns = {}
    for spec in schema:
        value = strategies.param_values(spec.type)
        cell = value if spec.required else st.one_of(st.none(), value)
        cells = draw(st.lists(cell, min_size=rows, max_size=rows))
        array = np.empty(rows, object)
        array[:] = cells
        columns[spec.name] = pd.Series(array, dtype=object)
    return pd.DataFrame(columns, index=pd.RangeIndex(rows)), ModelSignature(schema)


@settings(max_examples=min(settings().max_examples, 50))  # each example is a saved model
@given(frames())
def test_a_frame_of_any_schema_is_kept_with_nothing_lost(tmp_path_factory, pair):
    frame, signature = pair
    save_example(tmp_path_factory.mktemp("m") / "m", frame, signature)


LAYOUTS = {  # the example, the content of its file, and the request
    "frame": (
        EVERY_TYPE[["double", "binary"]],
        {"columns": ["double", "binary"], "data": [[-0.0, "/w=="], ["Infinity", ""]]},
        {
            "dataframe_split": {
                "columns": ["double", "binary"],
                "data": [[-0.0, "/w=="], ["Infinity", ""]],
            }
        },
    ),
    "frame without names": (
        pd.DataFrame([[1.5], [2.5]]),
        {"data": [[1.5], [2.5]]},
        {"dataframe_split": {"data": [[1.5], [2.5]]}},
    ),
    "array": (np.array([[1, 2]]), [[1, 2]], {"inputs": [[1, 2]]}),
    "sparse matrix": (
        csr_matrix([[0, 1.5]]),
        {"data": [1.5], "indices": [1], "indptr": [0, 1], "shape": [1, 2]},
        {"inputs": [[0, 1.5]]},
    ),
    "records": (
        [{"a": NOON}],
        [{"a": "2020-01-01T12:00:00.000005"}],
        {"inputs": [{"a": "2020-01-01T12:00:00.000005"}]},
    ),
    "named array": ({"a": np.array([1.5])}, {"a": [1.5]}, {"inputs": {"a": [1.5]}}),
    "params": (
        ([1.5], {"k": 3}),
        {"inputs": [1.5], "params": {"k": 3}},
        {"inputs": [1.5], "params": {"k": 3}},
    ),
}


@pytest.mark.parametrize(("example", "content", "body"), LAYOUTS.values(), ids=LAYOUTS)
def test_files_of_examples_have_the_layout_of_mlflow(tmp_path, example, content, body):
    home = tmp_path / "m"
    save_model(home, Returning(rows_of), input_example=example)
    assert both_files(home) == [content, body]
    assert convert_input_example_to_serving_input(example) == load_serving_example(home)


# --- params -------------------------------------------------------------------------------------------------

PARAMS = ParamSchema(
    [
        ParamSpec("k", "double", 0.0),
        ParamSpec("at", "datetime", NOON),
        ParamSpec("names", "string", ["a"], (-1,)),
    ]
)


@pytest.mark.parametrize(
    "example",
    [FRAMES["nullable"], np.array([1.5]), [1.5], {"a": 1.5}, csr_matrix([[1.5]])],
    ids=["frame", "array", "list", "record", "sparse matrix"],
)
def test_params_are_kept_beside_the_data(tmp_path, example):
    params = {"k": 0.1, "at": datetime.datetime(2021, 1, 1), "names": ["b", "c"]}
    home = fresh(tmp_path)
    save_example(home, (example, params))
    assert load_input_example_params(home) == params
    signature = load_model(home, allow_pickle=True).signature
    assert signature.params == infer_signature(params=params).params
    declared = fresh(tmp_path)
    save_example(declared, (example, params), ModelSignature(signature.inputs, params=PARAMS))
    assert load_input_example_params(declared) == params


@pytest.mark.parametrize(
    "example", [[1.5, 2.5], FRAMES["nullable"], {"inputs": 1.5, "params": 2.5}], ids=describe_case
)
@pytest.mark.parametrize("params", [{}, None])
def test_no_params_are_none(tmp_path, params, example):
    home = fresh(tmp_path)
    save_example(home, (example, params))
    assert load_input_example_params(home) is None
    assert load_model(home, allow_pickle=True).signature.params is None


def test_a_chat_request_has_its_params_beside_its_messages(tmp_path):
    example = ({"messages": ["x"]}, {"k": 3.5})
    save_example(tmp_path / "m", example)
    assert strict(load_serving_example(tmp_path / "m")) == {"messages": ["x"], "k": 3.5}


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            (1, 2),
            r"^input example: expected data, or a pair \(data, params\) with params in a dictionary, "
            r"got another tuple",
        ),
        (([1.5], {"k": 1}, 3), r"^input example: expected data, or a pair \(data, params\)"),
        ((), r"^input example: expected data, or a pair \(data, params\)"),
        (
            (None, {"k": 1}),
            r"^input example: expected data, got \(None, params\)\. Pass input_example=None for none$",
        ),
        (
            pd.DataFrame({(1, 2): [1.5]}),
            r"\n  - \(1, 2\): expected a string or an integer, got a value of type tuple",
        ),
        (
            pd.DataFrame({7: [1.5]}),
            r"^the columns of the input example: expected text labels, or numbers from 0, got ",
        ),
    ],
)
def test_what_is_no_example_is_refused(tmp_path, example, message):
    home = fresh(tmp_path)
    with pytest.raises((ModelError, InferenceError), match=message):
        save_model(home, Returning(rows_of), input_example=example)
    assert not home.exists()


# --- the signature comes from it ----------------------------------------------------------------------------


def by_row(data, params):
    return pd.DataFrame({"y": data["a"] * 2, "z": ["x"] * len(data)})


def test_saving_with_an_example_runs_the_model_and_infers_the_whole_signature(tmp_path):
    frame = pd.DataFrame({"a": [1.5, None], "s": ["x", "y"]})
    save_model(tmp_path / "m", Returning(by_row), input_example=(frame, {"k": 3}))
    signature = load_model(tmp_path / "m", allow_pickle=True).signature
    assert signature == infer_signature(frame, by_row(frame, None), {"k": 3})
    # declared sides stay, the others are inferred
    given = ModelSignature(Schema([ColSpec("double", "a", required=False)]))
    save_model(tmp_path / "n", Returning(by_row), given, input_example=(frame, {"k": 3}))
    completed = load_model(tmp_path / "n", allow_pickle=True).signature
    assert completed == ModelSignature(given.inputs, signature.outputs, signature.params)
    assert load_input_example(tmp_path / "n").columns.tolist() == ["a"]


def test_an_estimator_is_run_on_its_example(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 0.0]})
    estimator = LinearRegression().fit(frame, [1.0, 2.0])
    save_model(tmp_path / "m", estimator, input_example=frame)
    assert load_model(tmp_path / "m").signature == infer_signature(frame, estimator.predict(frame))


X = Schema([ColSpec("double", "x")])
FRAME = pd.DataFrame({"x": [1.5, 2.5]})
ONE = Schema([TensorSpec(np.dtype("float64"), (-1,))])


def failing(data, params):
    raise KeyError("broken")


DISAGREEMENTS = {
    "another column": (rows_of, ModelSignature(X), pd.DataFrame({"y": [1.5]}), ContractError,
        r"^the input example does not fit the signature: the data does not fit the schema: 1 finding\n"
        r"  - x: expected double, got no such column"),
    "another type": (rows_of, ModelSignature(X), pd.DataFrame({"x": ["secret"]}), ContractError,
        r"^the input example does not fit the signature: .*\n  - x: expected double, got (large_)?string"),
    "records": (rows_of, ModelSignature(X), [{"x": "secret"}], ContractError,
        r"^the input example does not fit the signature: .*\n  - x: expected double, got "),
    "a tensor": (rows_of, ModelSignature(ONE), np.array([1], "int64"), ContractError,
        r"^the input example does not fit the signature: .*\n  - expected float64, got int64"),
    "a param": (rows_of, ModelSignature(X, params=PARAMS), (FRAME, {"k": "secret"}), ContractError,
        r"^the input example does not fit the signature: invalid params: 1 finding\n  - k: "),
    "the outputs": (rows_of, ModelSignature(X, Schema([ColSpec("string")])), FRAME, PredictionError,
        r"^the prediction for the input example does not fit the signature: "),
    "too few predictions": (lambda data, params: np.ones(1), ModelSignature(X, ONE), FRAME, PredictionError,
        r"^the prediction for the input example does not fit the signature: "),
    "no outputs": (lambda data, params: [object()], ModelSignature(X), FRAME, InferenceError,
        r"^cannot infer the outputs from the prediction for the input example: .*. Pass a signature "
        r"with outputs, or no"),
    "a failure": (failing, None, FRAME, ModelError,
        r"^the model fails on its input example: KeyError \(see above\)$"),
    "no schema": (rows_of, None, pd.DataFrame({"x": [1.5, "secret"]}), InferenceError, r"\n  - x: expected "),
    "no json": (rows_of, None, [object()], InferenceError, r"got a value of type object"),
    "surrogates": (rows_of, None, {"x": "\ud800"}, (ConversionError, ContractError, InferenceError),
        r"a lone surrogate"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("function", "signature", "example", "error", "message"), DISAGREEMENTS.values(), ids=DISAGREEMENTS
)
def test_what_disagrees_leaves_nothing(tmp_path, function, signature, example, error, message):
    home = tmp_path / f"never{next(_number)}"
    before = content(tmp_path)
    with pytest.raises(error, match=message) as caught:
        save_model(home, Returning(function), signature, input_example=example)
    assert "secret" not in str(caught.value)
    assert content(tmp_path) == before


class Forgetful(LinearRegression):
    """A model that is pickled with another intercept."""

    def __getstate__(self):
        return {**super().__getstate__(), "intercept_": 5.0}


class Faithful(LinearRegression):
    """Predicts text, and a NaN."""

    def predict(self, data):
        return np.array(["a", float("nan")], dtype=object)


def test_a_model_that_loads_back_as_another_is_not_saved(tmp_path):
    text = (
        r"^the loaded model predicts something else for its input example \(a value of type "
        r"ndarray\) than the "
        r"model in memory, because its format does not store all of its state\. Save it as part of a "
        r"PythonModel$"
    )
    model = Forgetful().fit(FRAME, [1.0, 2.0])
    with pytest.raises(ModelError, match=text):
        save_model(tmp_path / "m", model, input_example=FRAME, serialization_format="cloudpickle")
    assert list(tmp_path.iterdir()) == []
    save_model(tmp_path / "m", model, infer_signature(FRAME), serialization_format="cloudpickle")


def test_a_nan_among_texts_is_the_same_once_it_is_loaded_back(tmp_path):
    model = Faithful().fit(FRAME, [1.0, 2.0])
    outputs = Schema([ColSpec("string")])
    signature = ModelSignature(X, outputs)
    save_model(tmp_path / "m", model, signature, input_example=FRAME, serialization_format="cloudpickle")


# --- the real MLflow reads ours -----------------------------------------------------------------------------

READABLE = {
    name: FRAMES[name]
    for name in ("categories", "zone", "narrow", "names", "numbered", "index of text", "no rows")
} | {
    name: TENSORS[name]
    for name in (
        "bool", "int8", "uint64", "float16", "float32", "most", "tenths", "doubles", "texts", "nanoseconds",
        "days", "rank three", "objects", "named",
    )
} | {
    name: OBJECTS[name] for name in ("texts", "lists", "one long", "one float", "one text", "chat")
}  # fmt: skip


@pytest.mark.parametrize("example", READABLE.values(), ids=READABLE)
def test_mlflow_reads_what_is_kept_here(tmp_path, example):
    home = fresh(tmp_path)
    save_model(home, Returning(rows_of), input_example=example)
    model = Model.load(str(home))
    back = model.load_input_example(str(home))
    inputs = load_model(home, allow_pickle=True).signature.inputs
    ours, theirs = build_model_input(example, inputs), build_model_input(back, inputs)
    assert describe(theirs) == describe(ours)
    assert model.get_serving_input(str(home)) == load_serving_example(home)
    if model.signature.inputs.is_tensor_spec() and not hasattr(example, "toarray"):
        assert model.saved_input_example_info["type"] == "ndarray"


def test_mlflow_reads_rows_and_params(tmp_path):
    save_model(
        tmp_path / "m", Returning(rows_of), input_example=(EVERY_TYPE.drop(columns="datetime"), {"k": 3})
    )
    model = Model.load(str(tmp_path / "m"))
    assert model.load_input_example_params(str(tmp_path / "m")) == {"k": 3}
    back = model.load_input_example(str(tmp_path / "m"))
    assert back["binary"].tolist() == [b"\xff", b""]
    assert back["long"].tolist() == [2**53 + 1, -(2**63)]
    assert back["float"].dtype == "float32"
    assert key(back["double"].tolist()) == key([-0.0, math.inf])


# --- files written by MLflow --------------------------------------------------------------------------------


def by_mlflow(home, example):
    """Save a model with the real MLflow: its example, and the signature that it infers."""
    home.mkdir()
    data, params = example if isinstance(example, tuple) else (example, None)
    model = Model()
    mlflow.pyfunc.add_to_model(model, loader_module="mlflow.pyfunc.model")
    model.signature = mlflow.models.infer_signature(data, params=params)
    _save_example(model, example, str(home))
    model.save(str(home / "MLmodel"))
    return data


OF_MLFLOW = {
    **{f"frame {name}": FRAMES[name] for name in ("names", "numbered", "no rows")},
    "frame of scalars": EVERY_TYPE.drop(columns="datetime"),
    "frame with NaT": EVERY_TYPE[["datetime"]],
    "frame nested": pd.DataFrame({"a": [[1.5, 2.5], []], "o": [{"x": 2**53 + 1}, {"x": 2}]}),
    **{
        f"tensor {name}": TENSORS[name]
        for name in (
            "bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "most", "least", "tenths",
            "doubles", "bytes", "texts", "days", "rank three", "no rows", "objects", "named", "csr", "csc",
        )
    },
    "tensor of nanoseconds": np.array(["2020-01-01T00:00:00.000000001"], "datetime64[ns]"),
    **{
        name: OBJECTS[name]
        for name in (
            "floats", "texts", "blobs", "times", "lists", "one long", "one float", "one truth", "one text",
            "one blob", "one time", "nothing", "chat",
        )
    },
    "a dictionary": {"a": 1.5, "b": b"\xff" * 60, "t": NOON, "l": [1, 2]},
    "dictionaries": [{"a": 1.5, "b": math.nan}, {"a": 2.5, "b": 0.1}],
    "with params": (pd.DataFrame({"a": [0.1, np.nan]}), {"k": 3.5, "names": ["a"]}),
    "list with params": ([1.5], {"k": 3.5}),
    "chat with params": ({"messages": ["x"]}, {"k": 3.5}),
}  # fmt: skip


@pytest.mark.parametrize("example", OF_MLFLOW.values(), ids=OF_MLFLOW)
def test_examples_that_mlflow_wrote_are_read_here(tmp_path, example):
    home = fresh(tmp_path)
    data = by_mlflow(home, example)
    inputs = sparksig.get_model_info(home).signature.inputs
    assert describe(build_model_input(load_input_example(home), inputs)) == describe(
        build_model_input(data, inputs)
    )
    assert load_input_example_params(home) == (example[1] if isinstance(example, tuple) else None)
    assert load_serving_example(home) == Model.load(str(home)).get_serving_input(str(home))


def test_mlflow_writes_a_bare_nan_and_base64_with_a_newline(tmp_path):
    by_mlflow(tmp_path / "m", pd.DataFrame({"a": [np.nan], "b": [b"\xff"]}))
    text = (tmp_path / "m" / "input_example.json").read_text()
    assert "NaN" in text
    assert "/w==\\n" in text
    assert key(load_input_example(tmp_path / "m").iloc[0].tolist()) == key([math.nan, b"\xff"])


# --- type hints ---------------------------------------------------------------------------------------------


class Seen(PythonModel):
    """A model that stores its input in SEEN."""

    def predict(self, model_input: TypeFromExample):
        SEEN.append(model_input)
        return [1.5] * len(model_input)


SEEN = []
FORMS = {
    "frame": pd.DataFrame({"a": pd.array([2**53 + 1, None], "Int64"), "b": ["x", "y"]}),
    "series": pd.Series([1.5, 2.5], name="v"),
    "series without a name": pd.Series([1.5, 2.5]),
    "scalars": ["x", "y"],
    "longs": [1, 2],
    "records": [{"a": 2**53 + 1, "b": None}, {"a": 2, "b": "x"}],
    "blobs": [b"\xff", b""],
}


def in_form(data):
    """Return the type and the content of a value."""
    if isinstance(data, pd.DataFrame):
        return ("frame", describe(data))
    return (type(data).__name__, key(data.tolist() if isinstance(data, pd.Series) else data))


@pytest.mark.parametrize("example", FORMS.values(), ids=FORMS)
def test_a_model_with_type_from_example_sees_rows_in_the_form_of_its_example(tmp_path, example):
    home = fresh(tmp_path)
    save_model(home, Seen(), input_example=example)
    model = load_model(home, allow_pickle=True)
    inputs = model.signature.inputs
    frame = build_model_input(example, inputs)
    for data in (example, frame, load_input_example(home)):
        SEEN.clear()
        model.predict(data)
        expected = in_form(
            example
            if isinstance(example, list)
            else build_model_input(example, inputs, texts=model.text_dtypes)
        )
        if isinstance(example, pd.Series):
            expected = ("Series", key(example.tolist()))
            assert SEEN[0].name == example.name
        assert in_form(SEEN[0]) == expected
    SEEN.clear()
    validate_serving_input(model, load_serving_example(home))
    assert in_form(SEEN[0]) == expected


with without_type_hints():

    class MlflowSeen(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: mlflow.types.type_hints.TypeFromExample):
            return [type(model_input).__name__, *(type(value).__name__ for value in model_input)][
                : len(model_input)
            ]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (["x", "y"], ["list", "str"]),
        ([{"a": 1.5}, {"a": 2.5}], ["list", "dict"]),
        (pd.DataFrame({"a": [1.5, 2.5]}), ["DataFrame", "str"]),
    ],
    ids=["scalars", "records", "frame"],
)
def test_a_model_that_mlflow_saved_with_type_from_example_sees_that_form(tmp_path, example, expected):
    home = fresh(tmp_path)
    mlflow.pyfunc.save_model(
        str(home), python_model=MlflowSeen(), input_example=example, pip_requirements=["scikit-learn"]
    )
    theirs = mlflow.pyfunc.load_model(str(home)).predict(example)
    ours = load_model(home, allow_pickle=True, on_version_mismatch="ignore")
    frame = pd.DataFrame(example, index=range(2))
    assert ours.predict(example)[: len(expected)] == theirs[: len(expected)]
    assert ours.predict(frame)[: len(expected)] == theirs[: len(expected)]


class Prices(PythonModel):
    def predict(self, model_input: list[Order]) -> list[float]:
        return [order.price * 2 for order in model_input]


class Spans(PythonModel):
    def predict(self, model_input: list[datetime.datetime]) -> list[datetime.datetime]:
        return model_input


class Blobs(PythonModel):
    def predict(self, model_input: list[bytes]) -> list[int]:
        return [len(blob) for blob in model_input]


DAY = datetime.date(2020, 1, 1)
AN_ORDER = Object([Property("sku", "string"), Property("price", "double"), Property("day", "datetime")])


@pytest.mark.parametrize(
    ("model", "example", "inputs"),
    [
        (Prices(), [Order(sku="a", price=0.1, day=DAY)], AN_ORDER),
        (Prices(), [{"sku": "a", "price": 0.1, "day": DAY}], AN_ORDER),
        (Spans(), [NOON], DataType.datetime),
        (Blobs(), [b"\xff", b"ab"], DataType.binary),
    ],
    ids=["pydantic", "dictionaries", "times", "bytes"],
)
def test_an_example_for_a_type_hint_is_kept_and_served(tmp_path, model, example, inputs):
    home = fresh(tmp_path)
    save_model(home, model, input_example=example)
    both_files(home)
    loaded = load_model(home, allow_pickle=True)
    assert loaded.signature.inputs == Schema([ColSpec(inputs)])
    assert loaded.signature.outputs is not None
    expected = loaded.predict(example)
    assert loaded.predict(load_input_example(home)) == expected
    assert validate_serving_input(loaded, load_serving_example(home)) == expected


def test_an_example_that_a_type_hint_does_not_take_leaves_nothing(tmp_path):
    text = (
        r"^the input example does not fit the signature: the data does not fit the type hint: 1 finding\n  - "
    )
    with pytest.raises(ContractError, match=text):
        save_model(tmp_path / "m", Blobs(), input_example=["text"])
    assert list(tmp_path.iterdir()) == []


# --- damaged ------------------------------------------------------------------------------------------------


def spoilt(home, **info):
    return rewrite(home, lambda config: config["saved_input_example_info"].update(info))


def save_damaged_example(home, text):
    """Save a model with an example and a param, and replace the content of the example's file."""
    save_model(home, Returning(rows_of), input_example=(FRAME, {"k": 1.5}))
    (unsealed(home) / "input_example.json").write_bytes(text.encode("latin-1"))
    return home


DAMAGED_EXAMPLES = {
    "not JSON": ("not JSON", r"the input example is not JSON: line 1, column 1: Expecting value$"),
    "not text": ("\xff", r"'input_example.json' is not text$"),
    "string in a double": (
        '{"inputs": {"columns": ["x"], "data": [["secret"]]}, "params": {}}',
        r"does not match the signature: ",
    ),
    "too many values": (
        '{"inputs": {"columns": ["x"], "data": [[1, 2]]}, "params": {}}',
        r"a frame in JSON: expected 1 value in each row",
    ),
    "duplicate name": (
        '{"inputs": {"columns": ["x", "x"], "data": []}, "params": {}}',
        r"expected a list of different names, got something else$",
    ),
    "unknown key": (
        '{"inputs": {"columns": ["x"], "data": [[1]], "more": 1}, "params": {}}',
        r"columns, data and index, got ",
    ),
    "number for the columns": (
        '{"inputs": {"columns": 5, "data": [[1]]}, "params": {}}',
        r"expected a list of different names, got something else$",
    ),
    "list for a name": (
        '{"inputs": {"columns": [["x"]], "data": [[1]]}, "params": {}}',
        r"does not match the signature: ",
    ),
    "too many labels": (
        '{"inputs": {"columns": ["x"], "data": [[1]], "index": [1, 2]}}',
        r"a label for each row, got something else$",
    ),
    "list": (
        "[1, 2]",
        r"a frame in JSON: expected an object with the keys columns and data \(a list of rows\), "
        r"got something else$",
    ),
    "too deep": ("[" * 100_000, r"nested more than 150 levels deep$"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED_EXAMPLES.values(), ids=DAMAGED_EXAMPLES)
def test_a_damaged_example_is_an_error(tmp_path, text, message):
    home = save_damaged_example(tmp_path / "m", text)
    with pytest.raises(ModelDamagedError, match=message) as caught:
        load_input_example(home)
    assert "secret" not in str(caught.value)


def test_an_example_without_the_declared_params_is_an_error(tmp_path):
    home = save_damaged_example(tmp_path / "m", "[1]")
    with pytest.raises(ModelDamagedError, match=r"the input example lacks the params that MLmodel declares$"):
        load_input_example_params(home)


EXAMPLE_LOADERS = pytest.mark.parametrize(
    "load", [load_input_example, load_input_example_params, load_serving_example]
)


@EXAMPLE_LOADERS
def test_a_missing_example_file_is_named(tmp_path, load):
    home = save_damaged_example(tmp_path / "m", "")
    (home / "input_example.json").unlink()
    (home / "serving_input_example.json").unlink()
    with pytest.raises(ModelDamagedError, match=r"input_example\.json"):
        load(home)


@EXAMPLE_LOADERS
def test_a_changed_example_of_a_sealed_directory_is_refused(tmp_path, load):
    save_model(tmp_path / "m", Returning(rows_of), input_example=[1.5])
    (tmp_path / "m" / "input_example.json").write_text("[2.5]")
    with pytest.raises(ModelDamagedError, match=r"input_example\.json"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("info", "error", "message"),
    [
        ({"type": "weird"}, ModelDamagedError, r"input examples of type 'weird' are not supported"),
        ({"artifact_path": "../input_example.json"}, ModelError, r"leaves the directory|outside|\.\."),
    ],
    ids=["unknown type", "path outside"],
)
def test_a_wrong_description_of_an_example_is_an_error(tmp_path, info, error, message):
    home = save_damaged_example(tmp_path / "m", "[1]")
    with pytest.raises(error, match=message):
        load_input_example(spoilt(home, **info))


def test_a_model_without_an_example_has_none(pickled):
    assert load_input_example(pickled) is None
    assert load_input_example_params(pickled) is None
    with pytest.raises(ModelError, match=r": the model was saved without an input example$"):
        load_serving_example(pickled)
    assert convert_input_example_to_serving_input(None) is None


def test_maps_and_arrays_keep_their_kinds(tmp_path):
    signature = ModelSignature(
        Schema([ColSpec(Map("double"), "m"), ColSpec(Array("binary"), "a"), ColSpec(Array("datetime"), "t")])
    )
    frame = pd.DataFrame({"m": [{"x": math.nan, "y": 1.5}], "a": [[b"\xff", None]], "t": [[NOON]]})
    back = save_example(tmp_path / "m", frame, signature)
    assert key(back.iloc[0].tolist()) == key([{"x": math.nan, "y": 1.5}, [b"\xff", None], [NOON]])
