"""Requests as scoring servers take them: read by the schema, refused where a value would change."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import math
import re

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import _parse_json_data
from pydantic import BaseModel

from sparksig import (
    Code,
    ColSpec,
    ContractError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PythonModel,
    Schema,
    TensorSpec,
    load_model,
    save_model,
    validate_serving_input,
)
from sparksig.params import UnknownParamWarning
from sparksig.types import AnyType, Array, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.models.helpers import Returning

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # MLflow, of pandas

_models = {}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The directory in which each model is saved once."""
    _models.clear()
    return tmp_path_factory.mktemp("models")


def model_of(home, signature):
    """Return a loaded model that returns its input; models are saved once for each signature."""
    if signature not in _models:
        path = home / str(len(_models))
        save_model(path, Returning(lambda data, params: (data, params)), signature)
        _models[signature] = load_model(path, allow_pickle=True)
    return _models[signature]


def columns(*types, required=True, **named):
    """A contract of columns: unnamed ones, or named ones."""
    if types:
        return ModelSignature(Schema([ColSpec(dtype) for dtype in types]))
    return ModelSignature(Schema([ColSpec(dtype, name, required) for name, dtype in named.items()]))


def tensor(dtype, *shape, **named):
    """A contract of one tensor, or of named ones."""
    if named:
        return ModelSignature(
            Schema([TensorSpec(np.dtype(dtype), shape, name) for name, shape in named.items()])
        )
    return ModelSignature(Schema([TensorSpec(np.dtype(dtype), shape)]))


def read_request(home, signature, payload):
    """Return the data that a model receives from a request, given as text, bytes and parsed JSON."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    model = model_of(home, signature)
    data, _ = validate_serving_input(model, text)
    again, _ = validate_serving_input(model, text.encode())
    assert describe(again) == describe(data)
    parsed, _ = validate_serving_input(model, json.loads(text))
    assert describe(parsed) == describe(data)
    return data


def key(value):
    """Return a key that differs if any bit differs, except those of missing values."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (float, np.floating)):
        return ("float", "nan" if math.isnan(value) else float(value).hex())
    if isinstance(value, (list, np.ndarray)):
        return [key(item) for item in value]
    if isinstance(value, np.integer):
        return ("int", int(value))
    if isinstance(value, str):
        return ("str", str(value))
    if isinstance(value, dict):
        return {name: key(item) for name, item in value.items()}
    if isinstance(value, datetime.datetime):
        return pd.Timestamp(value).isoformat()
    return (type(value).__name__, value)


def describe(data):
    """Return the values and dtypes of data."""
    if isinstance(data, pd.DataFrame):
        kinds = [(name, str(data.dtypes.iloc[at])) for at, name in enumerate(data.columns)]
        return (kinds, [key(data.iloc[:, at].tolist()) for at in range(data.shape[1])])
    if isinstance(data, dict):
        return {name: describe(value) for name, value in data.items()}
    if isinstance(data, np.ndarray):
        return (str(data.dtype), data.shape, key(data.tolist()))
    return (type(data).__name__, key(data))


FORMATS = {  # requests with one named column
    "split": lambda name, values: {
        "dataframe_split": {"columns": [name], "data": [[value] for value in values]}
    },
    "records": lambda name, values: {"dataframe_records": [{name: value} for value in values]},
    "instances": lambda name, values: {"instances": [{name: value} for value in values]},
    "inputs": lambda name, values: {"inputs": [{name: value} for value in values]},
}
UNNAMED_FORMATS = {  # requests with one column that has no name
    "split": lambda values: {"dataframe_split": {"data": [[value] for value in values]}},
    "inputs": lambda values: {"inputs": values},
    "instances": lambda values: {"instances": values},
}


def refusal(model, payload):
    """The findings of a request that is refused, as lines."""
    with pytest.raises(ContractError) as caught:
        validate_serving_input(model, payload)
    assert "secret" not in str(caught.value)
    return [str(finding) for finding in caught.value.findings] or [caught.value.message]


# --- every type in every form -----------------------------------------------------------------------------

NOON = datetime.datetime(2020, 1, 1, 12)
VALUES = {
    "boolean": ("boolean", [True, False], [True, False], "bool"),
    "integer": ("integer", [7, -(2**31), 7.0], [7, -(2**31), 7], "int32"),
    "long": ("long", [2**53 + 1, -(2**63), 7.0], [2**53 + 1, -(2**63), 7], "int64"),
    "float": ("float", [0.1, 7, "NaN", None], [float(np.float32(0.1)), 7.0, math.nan, math.nan], "float32"),
    "double": ("double", [0.1, 7, "-Infinity", None], [0.1, 7.0, -math.inf, math.nan], "float64"),
    "string": ("string", ["é", "None", "NaN", "7"], ["é", "None", "NaN", "7"], None),
    "binary": ("binary", ["/w==", "", "eA==\n"], [b"\xff", b"", b"x"], "object"),
    "datetime": (
        "datetime",
        ["2020-01-01T12:00:00.000000001", "2020-01-01", "2020-01-01 12:00", None],
        [pd.Timestamp("2020-01-01T12:00:00.000000001"), pd.Timestamp(2020, 1, 1), NOON, None],
        "datetime64[ns]",
    ),
    "array of integers": (Array("integer"), [[1, 2], []], [[1, 2], []], "object"),
    "array of floats": (Array("float"), [[0.5, 2], [None, "NaN"]], [[0.5, 2.0], [None, math.nan]], "object"),
    "array of doubles": (Array("double"), [[2, 0.1]], [[2.0, 0.1]], "object"),
    "array of texts": (Array("string"), [["a", None]], [["a", None]], "object"),
    "array of bytes": (Array("binary"), [["/w=="]], [[b"\xff"]], "object"),
    "array of times": (Array("datetime"), [["2020-01-01T12:00"]], [[NOON]], "object"),
    "nested arrays": (Array(Array("long")), [[[1], [2, 3]]], [[[1], [2, 3]]], "object"),
    "object": (
        Object([Property("x", "float"), Property("t", "datetime", False)]),
        [{"x": 2, "t": "2020-01-01T12:00"}, {"x": 0.5}],
        [{"x": 2.0, "t": NOON}, {"x": 0.5}],
        "object",
    ),
    "map": (Map("integer"), [{"a": 1}, {}], [{"a": 1}, {}], "object"),
    "vector": (SparkMLVector(), [[1, 0.5]], [[1.0, 0.5]], "object"),
    "any": (AnyType(), [{"a": [1, None, 0.5]}, "x"], [{"a": [1, None, 0.5]}, "x"], "object"),
}  # fmt: skip


@pytest.mark.parametrize("request_format", FORMATS)
@pytest.mark.parametrize(("dtype", "sent", "expected", "displayed"), VALUES.values(), ids=VALUES)
def test_each_type_is_read_in_each_format(home, dtype, sent, expected, displayed, request_format):
    payload = FORMATS[request_format]("a.b", sent)
    frame = read_request(home, columns(**{"a.b": dtype}), payload)
    assert list(frame.columns) == ["a.b"]
    assert key(frame["a.b"].tolist()) == key(expected)
    assert displayed is None or str(frame["a.b"].dtype) == displayed


@pytest.mark.parametrize("request_format", UNNAMED_FORMATS)
@pytest.mark.parametrize(("dtype", "sent", "expected", "displayed"), VALUES.values(), ids=VALUES)
def test_unnamed_columns_are_read_in_each_format(home, dtype, sent, expected, displayed, request_format):
    frame = read_request(home, columns(dtype), UNNAMED_FORMATS[request_format](sent))
    assert key(frame.iloc[:, 0].tolist()) == key(expected)
    assert displayed is None or str(frame.dtypes.iloc[0]) == displayed


NULLABLE = {
    "boolean": ("boolean", [True, None], "boolean"),
    "integer": ("integer", [7, None], "Int32"),
    "long": ("long", [2**53 + 1, None], "Int64"),
}


@pytest.mark.parametrize("build", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(("dtype", "sent", "expected"), NULLABLE.values(), ids=NULLABLE)
def test_nulls_of_optional_columns_stay_nulls_in_each_format(home, dtype, sent, expected, build):
    frame = read_request(home, columns(a=dtype, required=False), build("a", sent))
    assert str(frame["a"].dtype) == expected
    assert key(frame["a"].tolist()) == key(sent)


def test_columns_may_come_as_lists_by_name(home):
    signature = columns(a="long", b="binary", c=Array("double"))
    frame = read_request(home, signature, {"inputs": {"a": [1], "b": ["/w=="], "c": [1, 2]}})
    assert key(frame.iloc[0].tolist()) == key([1, b"\xff", [1.0, 2.0]])
    frame = read_request(home, columns(a="long", b="string"), {"inputs": {"a": [1, 2], "b": ["x", "y"]}})
    assert frame["b"].tolist() == ["x", "y"]
    assert read_request(home, columns("double"), {"inputs": 1.5}).iloc[0, 0] == 1.5
    assert read_request(home, columns("binary"), {"inputs": "/w=="}).iloc[0, 0] == b"\xff"


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"columns": ["x", "b", "a"], "index": [5], "data": [[0, "y", 1]]}},
        {"dataframe_records": [{"b": "y", "x": 0, "a": 1}]},
        {"instances": [{"b": "y", "x": 0, "a": 1}]},
        {"inputs": {"b": ["y"], "x": [0], "a": [1]}},
    ],
    ids=describe_case,
)
def test_columns_stand_in_any_order_and_others_are_left_out(home, payload):
    signature = columns(a="long", b="string")
    frame = read_request(home, signature, payload)
    assert list(frame.columns) == ["a", "b"]
    assert frame.iloc[0].tolist() == [1, "y"]


@pytest.mark.parametrize("form", ["dataframe_records", "instances", "inputs"])
def test_an_optional_column_may_be_absent_from_some_rows_or_all(home, form):
    signature = ModelSignature(Schema([ColSpec("long", "a"), ColSpec("long", "b", required=False)]))
    frame = read_request(home, signature, {form: [{"a": 1}, {"a": 2, "b": 3}]})
    assert key(frame["b"].tolist()) == [None, ("int", 3)]
    assert list(read_request(home, signature, {form: [{"a": 1}]}).columns) == ["a"]


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"data": [[1, "x"]]}},
        {"dataframe_split": {"columns": [0, 1], "data": [[1, "x"]]}},
        {"dataframe_split": {"columns": ["p", "q"], "data": [[1, "x"]]}},
        {"inputs": [[1, "x"]]},
        {"instances": [[1, "x"]]},
    ],
    ids=describe_case,
)
def test_several_columns_without_names_are_taken_by_position(home, payload):
    frame = read_request(home, columns("double", "string"), payload)
    assert key(frame.iloc[0].tolist()) == key([1.0, "x"])


LABELLED = {
    "dataframe_split": {"columns": ["p", "q"], "data": [[1, "x"]]},
    "dataframe_records": [{"p": 1, "q": "x"}],
    "inputs": {"p": [1], "q": ["x"]},
    "rows under inputs": [{"p": 1, "q": "x"}],
    "instances": [{"p": 1, "q": "x"}],
}


@pytest.mark.parametrize("name", LABELLED)
def test_names_in_a_request_are_the_labels_of_columns_without_names(home, name):
    form = name.rpartition(" ")[2]
    frame = read_request(home, columns("double", "string"), {form: LABELLED[name]})
    assert list(frame.columns) == ["p", "q"]
    assert key(frame.iloc[0].tolist()) == key([1.0, "x"])
    [line] = refusal(model_of(home, columns("double", "string", "long")), {form: LABELLED[name]})
    assert re.match(r"expected 3 columns, got 2 columns \((select|pass) exactly these: columns without", line)


NUMBERED = {
    "split": {"dataframe_split": {"data": [[1, "eA=="]]}},
    "split with numbers": {"dataframe_split": {"columns": [0, 1], "data": [[1, "eA=="]]}},
    "split with texts": {"dataframe_split": {"columns": ["0", "1"], "data": [[1, "eA=="]]}},
    "records": {"dataframe_records": [{"0": 1, "1": "eA=="}]},
    "lists": {"inputs": [[1, "eA=="]]},
    "columns": {"inputs": {"0": [1], "1": ["eA=="]}},
    "instances": {"instances": [[1, "eA=="]]},
    "rows": {"instances": [{"0": 1, "1": "eA=="}]},
    "one row": {"instances": {"0": 1, "1": "eA=="}},
}


@pytest.mark.parametrize("name", NUMBERED)
def test_columns_named_by_their_numbers_are_read_from_every_request(home, name):
    frame = read_request(
        home, ModelSignature(Schema([ColSpec("double", 0), ColSpec("binary", 1)])), NUMBERED[name]
    )
    assert list(frame.columns) == [0, 1]
    assert key(frame.iloc[0].tolist()) == key([1.0, b"x"])


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_an_object_is_one_row_unless_it_holds_lists(home, form):
    signature = columns(a="long", b="string")
    assert read_request(home, signature, {form: {"a": 1, "b": "x"}}).to_dict("list") == {"a": [1], "b": ["x"]}
    assert read_request(home, signature, {form: {"a": [1, 2], "b": ["x", "y"]}})["a"].tolist() == [1, 2]
    lines = refusal(model_of(home, signature), {form: {"a": 1}})
    assert lines == ["b: expected string, got no such column [MISSING_COLUMN]"]


EXACT = {"double": 2**53, "float": 2**24}
WIDTHS = {"double": "float64", "float": "float32"}
INEXACT = {  # the contract, the request that holds a value, and its path
    "column": (lambda kind: columns(x=kind), lambda value: {"inputs": {"x": [value, 1.5]}}, "x"),
    "column alone": (lambda kind: columns(x=kind), lambda value: {"inputs": {"x": [value]}}, "x"),
    "split": (
        lambda kind: columns(x=kind),
        lambda value: {"dataframe_split": {"columns": ["x"], "data": [[value]]}},
        "x",
    ),
    "records": (lambda kind: columns(x=kind), lambda value: {"dataframe_records": [{"x": value}]}, "x"),
    "instances": (lambda kind: columns(x=kind), lambda value: {"instances": [{"x": value}]}, "x"),
    "one row": (lambda kind: columns(x=kind), lambda value: {"instances": {"x": value}}, "x"),
    "array": (lambda kind: columns(x=Array(kind)), lambda value: {"inputs": [{"x": [value, 0.5]}]}, "x[]"),
    "object": (
        lambda kind: columns(x=Object([Property("k", kind)])),
        lambda value: {"instances": [{"x": {"k": value}}]},
        "x.k",
    ),
    "map": (lambda kind: columns(x=Map(kind)), lambda value: {"instances": [{"x": {"k": value}}]}, "x[]"),
    "unnamed": (lambda kind: columns(kind), lambda value: {"inputs": [value]}, "0"),
    "named tensor": (
        lambda kind: tensor(WIDTHS[kind], x=(-1,)),
        lambda value: {"inputs": {"x": [value]}},
        "x",
    ),
    "tensor": (lambda kind: tensor(WIDTHS[kind], -1), lambda value: {"inputs": [value, 0.5]}, ""),
}


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("form", INEXACT)
def test_an_integer_that_the_type_can_store_is_accepted(home, form, kind, sign):
    declare, request, _ = INEXACT[form]
    read_request(home, declare(kind), request(sign * EXACT[kind]))


BEYOND = {
    "least": lambda exact: -exact - 1,
    "next": lambda exact: exact + 1,
    "10^30": lambda exact: 10**30,
    "10^400": lambda exact: 10**400,
}


@pytest.mark.parametrize("exceed", BEYOND.values(), ids=BEYOND)
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("form", INEXACT)
def test_an_integer_that_the_type_cannot_store_is_refused(home, form, kind, exceed):
    declare, request, path = INEXACT[form]
    [line] = refusal(model_of(home, declare(kind)), request(exceed(EXACT[kind])))
    assert line.startswith(f"{path}: expected " if path else "expected ")


@pytest.mark.parametrize("kind", EXACT)
def test_an_integer_is_a_param_of_the_type_or_refused(home, kind):
    signature = ModelSignature(
        Schema([ColSpec("long", "x")]), params=ParamSchema([ParamSpec("p", kind, 0.5)])
    )
    refused = {"inputs": {"x": [1]}, "params": {"p": EXACT[kind] + 1}}
    text = f"p: expected {kind}, got an int that {kind} cannot hold exactly [TYPE_MISMATCH]"
    assert refusal(model_of(home, signature), refused) == [text]


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": []}},
        {"dataframe_records": []},
        {"instances": []},
        {"inputs": []},
    ],
    ids=["split", "records", "instances", "inputs"],
)
def test_a_request_without_rows_is_an_empty_frame(home, payload):
    assert read_request(home, columns(a="long", b="string"), payload).shape == (0, 2)


def test_a_request_without_rows_is_an_empty_tensor(home):
    assert read_request(home, tensor("float32", -1, 3), {"inputs": []}).shape == (0, 3)


# --- tensors ----------------------------------------------------------------------------------------------

ARRAYS = {
    "bool": ("bool", [[True, False]], np.array([[True, False]])),
    "int8": ("int8", [[1, 127.0]], np.array([[1, 127]], "int8")),
    "uint64": ("uint64", [[2**64 - 1, 0]], np.array([[2**64 - 1, 0]], "uint64")),
    "int64": ("int64", [[2**53 + 1, -(2**63)]], np.array([[2**53 + 1, -(2**63)]])),
    "float32": ("float32", [[0.1, None]], np.array([[0.1, np.nan]], "float32")),
    "float64": ("float64", [[0.1, "Infinity"]], np.array([[0.1, np.inf]])),
    "float16": ("float16", [[0.1, 7]], np.array([[0.1, 7]], "float16")),
    "texts": ("str", [["a", "None"]], np.array([["a", "None"]])),
    "bytes": ("bytes", [["/w==", "eA=="]], np.array([[b"\xff", b"x"]])),
    "times": (
        "datetime64[ns]",
        [["2020-01-01T00:00:00.000000001", None]],
        np.array([["2020-01-01T00:00:00.000000001", "NaT"]], "datetime64[ns]"),
    ),
    "days": (
        "datetime64[D]",
        [["2020-01-01", "2020-01-02"]],
        np.array([["2020-01-01", "2020-01-02"]], "M8[D]"),
    ),
}


@pytest.mark.parametrize(
    "build",
    [
        lambda rows: {"inputs": {"x": rows}},
        lambda rows: {"inputs": rows},
        lambda rows: {"instances": [{"x": row} for row in rows]},
    ],
    ids=["by name", "without name", "instances"],
)
@pytest.mark.parametrize(("dtype", "sent", "expected"), ARRAYS.values(), ids=ARRAYS)
def test_named_tensors_are_read_with_their_dtype(home, dtype, sent, expected, build):
    assert describe(read_request(home, tensor(dtype, x=(-1, 2)), build(sent))) == describe({"x": expected})


@pytest.mark.parametrize(("dtype", "sent", "expected"), ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_unnamed_tensors_are_read_with_their_dtype(home, dtype, sent, expected, form):
    assert describe(read_request(home, tensor(dtype, -1, 2), {form: sent})) == describe(expected)


TWO_TENSORS = tensor("float64", a=(-1,), b=(-1, 2))
TENSOR_ROWS = [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}]


@pytest.mark.parametrize(
    "payload",
    [
        {"inputs": {"a": [1, 2], "b": [[1, 2], [3, 4]]}},
        {"inputs": TENSOR_ROWS},
        {"instances": TENSOR_ROWS},
    ],
    ids=["inputs by name", "inputs by row", "instances"],
)
def test_several_tensors_are_read_by_name_and_by_row(home, payload):
    expected = {"a": np.array([1.0, 2.0]), "b": np.array([[1.0, 2.0], [3.0, 4.0]])}
    assert describe(read_request(home, TWO_TENSORS, payload)) == describe(expected)


def test_missing_tensor_is_named(home):
    model = model_of(home, TWO_TENSORS)
    assert refusal(model, {"instances": [{"a": 1, "b": [1, 2]}, {"a": 2}]}) == [
        "b: expected a value in each row, got rows without it, once [MISSING_FIELD]"
    ]
    [line] = refusal(model, {"inputs": {"a": [1]}})
    assert line.startswith("b: ")
    assert line.endswith("[MISSING_COLUMN]") or "no such" in line


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2.5]]}},
        {"dataframe_records": [{"p": 1, "q": 2.5}]},
    ],
    ids=describe_case,
)
def test_a_tensor_may_come_as_the_columns_of_a_frame(home, payload):
    assert describe(read_request(home, tensor("float64", -1, 2), payload)) == describe(np.array([[1.0, 2.5]]))


MISFITS = {
    "a fraction": ("int64", [[1, 1.9]]),
    "a null": ("int64", [[1, None]]),
    "too great": ("int8", [[1, 300]]),
    "beyond all": ("float64", [[1, 10**400]]),
    "beyond all of 32 bits": ("float32", [[1, 10**400]]),
    "too great a double": ("float32", [[1, 1e39]]),
    "text": ("float64", [[1, "7"]]),
    "a truth": ("int64", [[1, True]]),
    "a truth as a float": ("float64", [[1, True]]),
    "a number": ("bool", [[True, 5]]),
    "null as text": ("str", [["secret", None]]),
    "a number as text": ("str", [["secret", 5]]),
    "text as bytes": ("bytes", [["/w==", "secret!"]]),
    "a number as a time": ("datetime64[ns]", [["2020-01-01", 1]]),
    "now": ("datetime64[D]", [["2020-01-01", "now"]]),
    "hours in days": ("datetime64[D]", [["2020-01-01", "2020-01-01T01:00"]]),
    "a far year": ("datetime64[ns]", [["2020-01-01", "9999-01-01"]]),
    "a zone": ("datetime64[ns]", [["2020-01-01", "2020-01-01T00:00Z"]]),
    "objects": ("float64", [[1, {"secret": 2}]]),
}


@pytest.mark.parametrize(("dtype", "sent"), MISFITS.values(), ids=MISFITS)
def test_what_a_tensor_does_not_hold_is_refused(home, dtype, sent):
    line = f"expected values of {dtype}, got other values, once [TYPE_MISMATCH]"
    assert refusal(model_of(home, tensor(dtype, -1, 2)), {"inputs": sent}) == [line]
    assert refusal(model_of(home, tensor(dtype, x=(-1, 2))), {"inputs": {"x": sent}}) == [f"x: {line}"]


@pytest.mark.parametrize("sent", [[[1, 2], [3]], [[1, [2]]], [[1, 2], 3], [[1, 2], None]])
def test_lists_that_are_no_tensor_are_refused(home, sent):
    line = "expected lists of the same lengths, got different lengths [SHAPE_MISMATCH]"
    assert refusal(model_of(home, tensor("float64", -1, 2)), {"inputs": sent}) == [line]


@pytest.mark.parametrize("content", [[[1, 2, 3]], [1, 2], [[[1, 2]]], 5], ids=describe_case)
def test_a_tensor_of_another_shape_is_refused(home, content):
    model = model_of(home, tensor("float64", -1, 2))
    [line] = refusal(model, {"inputs": content})
    assert line.endswith("[SHAPE_MISMATCH]")


# --- what MLflow's parser changes silently ----------------------------------------------------------------

CHANGES = {
    "a fraction as a long": ("long", 1.7, "expected long, got double"),
    "a fraction as an integer": ("integer", 1.7, "expected integer, got double"),
    "beyond an integer": ("integer", 2**40, "expected integer, got "),
    "beyond a long": ("long", 2**63, "expected "),
    "text as a long": ("long", "7", "expected long, got string"),
    "text as a double": ("double", "0.1", "expected double, got string"),
    "a small nan": ("double", "nan", "expected double, got string"),
    "null as a long": ("long", None, "expected long without nulls, got nulls"),
    "null as a boolean": ("boolean", None, "expected boolean without nulls, got nulls"),
    "text as a boolean": ("boolean", "false", "expected boolean, got string"),
    "a number as a boolean": ("boolean", 5, "expected boolean, got "),
    "a number as text": ("string", 5, "expected string, got "),
    "a truth as a number": ("double", True, "expected double, got bool"),
    "a truth as a long": ("long", True, "expected long, got bool"),
    "a number as a time": ("datetime", 1577836800000000000, "expected datetime, got "),
    "a small number as a time": ("datetime", 1, "expected datetime, got "),
    "now": ("datetime", "now", "expected datetime, got string"),
    "a year": ("datetime", "2020", "expected datetime, got string"),
    "a month first": ("datetime", "01/02/2020", "expected datetime, got string"),
    "no base64": ("binary", "secret!", "expected binary, got string"),
    "beyond float32": ("float", 1e39, "expected float, got double"),
    "beyond all floats": ("float", 10**400, "expected "),
    "beyond all doubles": ("double", 10**400, "expected "),
}


@pytest.mark.parametrize("build", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(("dtype", "value", "line"), CHANGES.values(), ids=CHANGES)
def test_a_value_of_another_type_is_refused_in_each_format(home, dtype, value, line, build):
    [finding] = refusal(model_of(home, columns(**{"a.b": dtype})), build("a.b", [value]))
    assert finding.startswith(f"`a.b`: {line}")
    assert finding.endswith("]")


@pytest.mark.parametrize("build", UNNAMED_FORMATS.values(), ids=UNNAMED_FORMATS)
@pytest.mark.parametrize(("dtype", "value", "line"), CHANGES.values(), ids=CHANGES)
def test_an_unnamed_value_of_another_type_is_refused_in_each_format(home, dtype, value, line, build):
    [finding] = refusal(model_of(home, columns(dtype)), build([value]))
    assert line in finding


INSIDE = {
    "a long": (Array("long"), [1, 1.7], "a[]: expected long, got a float"),
    "an integer": (Array("integer"), [2**40], "a[]: expected integer, got "),
    "a truth": (Array("boolean"), [True, 5], "a[]: expected boolean, got a value of type int"),
    "text": (Array("string"), ["x", 5], "a[]: expected string, got a value of type int"),
    "a time": (Array("datetime"), [1], "a[]: expected datetime, got a value of type int"),
    "bytes": (Array("binary"), ["secret!"], "a[]: expected binary, got a value of type str"),
    "in an object": (Object([Property("x y", "long")]), {"x y": "7"}, "a.x y: expected long, got "),
    "in a map": (Map("double"), {"secret": "7"}, "a[]: expected double, got a value of type str"),
    "absent": (Object([Property("x", "long")]), {"X": 7}, "a.x: expected long, got no such field"),
    "no list": (Array("long"), "secret", "a: expected Array(long), got a value of type str"),
    "no object": (Map("long"), [1], "a: expected Map(str -> DataType.long), got a value of type list"),
}


@pytest.mark.parametrize("build", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(("dtype", "value", "line"), INSIDE.values(), ids=INSIDE)
def test_a_nested_value_of_another_type_is_refused_with_its_path(home, dtype, value, line, build):
    [finding] = refusal(model_of(home, columns(a=dtype)), build("a", [value]))
    assert finding.startswith(line)


@pytest.mark.parametrize(
    ("signature", "payload"),
    [
        (columns(a="float"), '{"inputs": [{"a": ?}]}'),
        (columns(a="float"), '{"dataframe_split": {"columns": ["a"], "data": [[?]]}}'),
        (tensor("float32", -1), '{"inputs": [?]}'),
    ],
    ids=["inputs", "split", "tensor"],
)
def test_a_float_is_the_nearest_to_the_text_and_not_to_its_double(home, signature, payload):
    text = "1.00000005960464477539062500000001"  # above the tie, which its double is
    data, _ = validate_serving_input(model_of(home, signature), payload.replace("?", text))
    assert np.ravel(data).tolist() == [1.0000001192092896]


def test_all_findings_are_reported_at_once(home):
    signature = columns(a="long", b="string", c="boolean")
    lines = refusal(
        model_of(home, signature), {"dataframe_records": [{"a": 1.5, "b": 5}, {"a": 1, "b": "x"}]}
    )
    assert [line.partition(":")[0] for line in lines] == ["a", "b", "c"]


# --- malformed requests -----------------------------------------------------------------------------------

FORMS = "dataframe_split, dataframe_records, instances, inputs"
KEYS = f"one of {FORMS}, params"
NOT_HERE = "the request is unsupported JSON:"
NO_FRAME = (
    "a frame in JSON: expected an object with the keys columns and data (a list of rows), got something else"
)
NO_NAMES = "the columns of a frame in JSON: expected a list of different names, got something else"
OTHER_ROWS = "a frame in JSON: expected {} in each row, one for each column, got another number"


def split(**content):
    return json.dumps({"dataframe_split": content})


REFUSED = {
    "nothing": ("", ["the request is not JSON: line 1, column 1: Expecting value"]),
    "text": ("secret", ["the request is not JSON: line 1, column 1: Expecting value"]),
    "half": ('{"inputs": ["secret"', ["the request is not JSON: line 1, column 21: Expecting ',' delimiter"]),
    "bytes": (b'{"inputs": "\xff"}', ["the request is not JSON: not UTF-8 text"]),
    "a number": ("5", [f"the request: expected a JSON object with one of the keys {FORMS}, got a "
                       "value of type int"]),
    "a list": ("[1]", [f"the request: expected a JSON object with one of the keys {FORMS}, got a "
                       "value of type list"]),
    "null": ("null", [f"the request: expected a JSON object with one of the keys {FORMS}, got None"]),
    "none": ("{}", [f"expected exactly one of {FORMS}, got none of them [MISSING_KEY]"]),
    "params only": ('{"params": {}}', [f"expected exactly one of {FORMS}, got none of them [MISSING_KEY]"]),
    "two": (
        '{"inputs": [1], "instances": [1]}',
        [f"expected exactly one of {FORMS}, got instances and inputs [DUPLICATE_NAME]"],
    ),
    "unknown": (
        '{"inputs": [1], "param": {"k": 1}}',
        [f"param: expected {KEYS}, got another key (did you mean 'params'?) [UNKNOWN_KEY]"],
    ),
    "misspelt": (
        '{"Inputs": [1]}',
        [
            f"Inputs: expected {KEYS}, got another key (did you mean 'inputs'? Names are case sensitive) "
            "[UNKNOWN_KEY]",
            f"expected exactly one of {FORMS}, got none of them [MISSING_KEY]",
        ],
    ),
    "params in a list": (
        '{"inputs": [1], "params": ["secret"]}',
        ["params: expected an object, got a value of type list [TYPE_MISMATCH]"],
    ),
    "a key twice": ('{"inputs": [1], "inputs": [2]}', [f"{NOT_HERE} an object has a duplicate key"]),
    "deep": ('{"inputs": ' + "[" * 100_000, [f"{NOT_HERE} nested more than 150 levels deep"]),
    "endless": (
        '{"inputs": [1e999]}',
        [f"{NOT_HERE} a number beyond doubles (write infinity as the text Infinity)"],
    ),
    "endless in a cell": (
        '{"dataframe_split": {"columns": ["x"], "data": [[1e999]]}}',
        [f"{NOT_HERE} a number beyond doubles (write infinity as the text Infinity)"],
    ),
    "digits": ('{"inputs": [' + "1" * 10**5 + "]}", [f"{NOT_HERE} an integer of thousands of digits"]),
    "no list": (
        '{"instances": 1}',
        ["instances: expected a list, one element a row, got a value of type int [TYPE_MISMATCH]"],
    ),
    "records of values": (
        '{"dataframe_records": [{"x": 1}, 2]}',
        ["dataframe_records: expected a list of objects, got other elements [TYPE_MISMATCH]"],
    ),
    "records of one": (
        '{"dataframe_records": {"x": 1}}',
        ["dataframe_records: expected a list, one element a row, got a value of type dict [TYPE_MISMATCH]"],
    ),
    "split of a list": ('{"dataframe_split": [1]}', [NO_FRAME]),
    "split without data": ('{"dataframe_split": {"columns": ["x"]}}', [NO_FRAME]),
    "split with more": (
        split(columns=["x"], data=[[1]], more=1),
        ["a frame in JSON: expected the keys columns, data and index, got 'more'"],
    ),
    "longer rows": (split(columns=["x"], data=[[1], [1, 2]]), [OTHER_ROWS.format("1 value")]),
    "shorter rows": (split(columns=["x", "y"], data=[[1, 2], [1]]), [OTHER_ROWS.format("2 values")]),
    "columns twice": (split(columns=["x", "x"], data=[[1, 2]]), [NO_NAMES]),
    "one name": (split(columns="x", data=[[1]]), [NO_NAMES]),
    "a longer index": (
        split(columns=["x"], index=[1, 2], data=[[1]]),
        ["the index of a frame in JSON: expected a list with a label for each row, got something else"],
    ),
    "an empty object": ('{"inputs": {}}', None),
}  # fmt: skip


@pytest.mark.parametrize(
    "signature", [columns(x="double", y="double"), columns(x="double")], ids=describe_case
)
@pytest.mark.parametrize(("payload", "lines"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_is_refused_without_showing_it(home, payload, lines, signature):
    findings = refusal(model_of(home, signature), payload)
    assert lines is None or findings == lines


def test_columns_of_different_lengths_are_refused(home):
    lines = refusal(model_of(home, columns(x="double", y="double")), {"inputs": {"x": [1, 2], "y": [1]}})
    assert [line.partition(" (")[0] for line in lines] == [
        "y: expected 2 rows, like the longest column, got 1"
    ]


@pytest.mark.parametrize("index", ["secret", {"secret": 1}, 5, [1, 2]], ids=describe_case)
def test_names_that_are_no_names_are_refused(home, index):
    model = model_of(home, columns(x="double"))
    for names in ([["x"]], [None], [True], [{"secret": 1}], [1.5]):
        refusal(model, {"dataframe_split": {"columns": names, "data": [[1]]}})
    refusal(model, {"dataframe_split": {"data": [[1]]}})
    [line] = refusal(model, {"dataframe_split": {"columns": ["x"], "index": index, "data": [[1]]}})
    assert (
        line == "the index of a frame in JSON: expected a list with a label for each row, got something else"
    )


@pytest.mark.parametrize(
    "signature",
    [
        columns(x="double"),
        columns("double"),
        columns(AnyType()),
        tensor("float64", -1),
        None,
    ],
    ids=describe_case,
)
@pytest.mark.parametrize("depth", [450, 600, 900])
def test_a_deeply_nested_request_is_read_or_refused(home, depth, signature):
    text = '{"inputs": ' + "[" * depth + "1" + "]" * depth + "}"
    model = model_of(home, signature)
    with contextlib.suppress(ContractError):  # an error, if one, of ours
        validate_serving_input(model, text)


def test_what_a_parser_made_is_taken_as_well(home):
    model = model_of(home, columns(x="double", b="binary"))
    data, _ = validate_serving_input(model, {"inputs": {"x": [np.float32(0.5)], "b": [b"\xff"]}})
    assert key(data.iloc[0].tolist()) == key([0.5, b"\xff"])
    with pytest.raises(ContractError, match=r"^the request: expected a JSON object"):
        validate_serving_input(model, [1])
    with pytest.raises(ContractError, match=r"^the request: expected a JSON object .*, got None$"):
        validate_serving_input(model, None)
    data, _ = validate_serving_input(model, bytearray(b'{"inputs": {"x": [1], "b": [""]}}'))
    assert data["x"].tolist() == [1.0]


def test_a_large_request_is_read_quickly(home):
    rows = [[0.5, 7, "text"]] * 20_000
    frame, _ = validate_serving_input(
        model_of(home, columns(a="double", b="long", c="string")),
        json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": rows}}),
    )
    assert frame.shape == (20_000, 3)
    with pytest.raises(ContractError) as caught:
        validate_serving_input(
            model_of(home, columns(x="double")), {"dataframe_records": [{"x": "secret" * 100}] * 1000}
        )
    assert len(str(caught.value)) < 1000


# --- params, no signature, chat ---------------------------------------------------------------------------

PARAMS = ParamSchema(
    [
        ParamSpec("k", "double", 0.5),
        ParamSpec("n", "long", 1),
        ParamSpec("at", "datetime", NOON),
        ParamSpec("names", "string", ["a"], (-1,)),
        ParamSpec("x", "float", 0.5),
        ParamSpec("o", Object([Property("b", "double")]), {"b": 0.5}),
    ]
)
WITH_PARAMS = ModelSignature(Schema([ColSpec("double", "x")]), params=PARAMS)
DEFAULTS = {"k": 0.5, "n": 1, "at": NOON, "names": ["a"], "x": 0.5, "o": {"b": 0.5}}


@pytest.mark.parametrize(
    "data",
    [{"inputs": {"x": [1.5]}}, {"instances": [{"x": 1.5}]}, {"dataframe_records": [{"x": 1.5}]}],
    ids=describe_case,
)
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, {}),
        (None, {}),
        ({"k": 7}, {"k": 7.0}),
        ({"n": 7.0, "x": 0.1}, {"n": 7, "x": float(np.float32(0.1))}),
        ({"at": "2021-01-01T00:00:01"}, {"at": datetime.datetime(2021, 1, 1, 0, 0, 1)}),
        ({"names": []}, {"names": []}),
        ({"names": ["b", "c"], "o": {"b": 2}}, {"names": ["b", "c"], "o": {"b": 2.0}}),
    ],
)
def test_params_stand_beside_the_data(home, message, expected, data):
    payload = {**data, "params": message}
    _, params = validate_serving_input(model_of(home, WITH_PARAMS), json.dumps(payload))
    assert params == {**DEFAULTS, **expected}


def test_params_are_judged_by_their_types(home):
    payload = {
        "inputs": {"x": [1]},
        "params": {"k": "secret", "n": 1.7, "at": 5, "names": "a", "o": {"b": "x"}},
    }
    lines = refusal(model_of(home, WITH_PARAMS), payload)
    assert [line.partition(":")[0].partition(".")[0] for line in lines] == ["k", "n", "at", "names", "o"]
    with pytest.warns(UnknownParamWarning, match=r"^params unknown to the model are ignored: z$"):
        validate_serving_input(model_of(home, WITH_PARAMS), {"inputs": {"x": [1]}, "params": {"z": 1}})


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"inputs": [1, 2.5, "x", null, [true]]}', [1, 2.5, "x", None, [True]]),
        ('{"inputs": {"a": [1.0, 9007199254740993]}}', {"a": [1.0, 2**53 + 1]}),
        ('{"instances": [{"a": 1}]}', [{"a": 1}]),
        ('{"inputs": 5}', 5),
        ('{"inputs": [NaN]}', [math.nan]),
        (
            '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}',
            pd.DataFrame({"a": [1], "b": ["x"]}),
        ),
        ('{"dataframe_records": [{"a": 1.5}, {"a": 2}]}', pd.DataFrame({"a": [1.5, 2.0]})),
        ('{"messages": [{"role": "user"}], "k": 1}', {"messages": [{"role": "user"}], "k": 1}),
    ],
)
def test_without_a_signature_json_says_what_it_says(home, payload, expected):
    data, params = validate_serving_input(model_of(home, None), payload)
    assert params == ({} if "messages" in payload else None)  # as MLflow's server calls the model
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(data, expected, check_dtype=False)
        assert data.dtypes.iloc[0].kind in "if"
    else:
        assert key(data) == key(expected)


MESSAGE = Object([Property("role", "string"), Property("content", "string")])
CHAT = ModelSignature(
    Schema([ColSpec(Array(MESSAGE), "messages")]),
    params=ParamSchema([ParamSpec("temperature", "double", 0.5)]),
)


def test_a_chat_request_is_the_data_itself_and_params_stand_beside(home):
    message = {"role": "user", "content": "hi"}
    data, params = validate_serving_input(
        model_of(home, CHAT), json.dumps({"messages": [message], "temperature": 1})
    )
    assert data["messages"].tolist() == [[message]]
    assert params == {"temperature": 1.0}
    [line] = refusal(model_of(home, CHAT), {"messages": [{"role": "user", "content": 5}]})
    assert line.startswith("messages[].content: expected string, got a value of type int")


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_a_completion_request_is_the_data_itself(home, name):
    data, _ = validate_serving_input(model_of(home, columns(**{name: "string"})), json.dumps({name: "hi"}))
    assert data[name].tolist() == ["hi"]


# --- type hints -------------------------------------------------------------------------------------------


class Order(BaseModel):
    sku: str
    day: datetime.date
    photo: bytes = b""


class Texts(PythonModel):
    def predict(self, model_input: list[str], params=None):
        return [text.upper() for text in model_input]


class Blobs(PythonModel):
    def predict(self, model_input: list[bytes], params=None):
        return [len(blob) for blob in model_input]


class Times(PythonModel):
    def predict(self, model_input: list[datetime.datetime], params=None):
        return [time.year for time in model_input]


class Numbers(PythonModel):
    def predict(self, model_input: list[float], params=None):
        return [value * 2 for value in model_input]


class Orders(PythonModel):
    def predict(self, model_input: list[Order], params=None):
        return [f"{order.sku} {order.day} {len(order.photo)}" for order in model_input]


@pytest.fixture(scope="module")
def hinted(home):
    """A model for each type hint, by its name."""
    loaded = {}
    for model in (Texts(), Blobs(), Times(), Numbers(), Orders()):
        name = type(model).__name__
        save_model(home / name, model)
        loaded[name] = load_model(home / name, allow_pickle=True)
    return loaded


@pytest.mark.parametrize("name", ["Texts", "Blobs", "Times", "Numbers", "Orders"])
def test_records_are_refused_for_a_model_with_a_type_hint(hinted, name):
    with pytest.raises(
        ContractError,
        match=r"dataframe_records: expected rows under inputs or instances, got another key \(send a",
    ):
        validate_serving_input(hinted[name], {"dataframe_records": [{"a": 1}]})


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("Texts", ["a", "é"], ["A", "É"]),
        ("Blobs", ["/w==", "/w=="], [1, 1]),
        ("Times", ["2020-01-01T00:00:00", "2021-01-01"], [2020, 2021]),
        ("Numbers", [1, 0.5], [2.0, 1.0]),
        ("Orders", [{"sku": "a", "day": "2020-01-01", "photo": "/w=="}], ["a 2020-01-01 1"]),
        ("Orders", [{"sku": "a", "day": "2020-01-01"}], ["a 2020-01-01 0"]),
    ],
)
@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_a_model_with_a_type_hint_accepts_rows_in_both_forms(hinted, name, rows, expected, form):
    assert validate_serving_input(hinted[name], json.dumps({form: rows})) == expected


@pytest.mark.parametrize(
    ("name", "rows", "line"),
    [
        (
            "Texts",
            ["a", 5],
            "[]: expected str, got a value of type int, once, first in row 1 [TYPE_MISMATCH]",
        ),
        ("Blobs", ["secret!"], "[]: expected bytes, got "),
        ("Times", ["now"], "[]: expected datetime, got "),
        ("Times", [5], "[]: expected datetime, got "),
        ("Numbers", ["7"], "[]: expected float, got a value of type str"),
        ("Numbers", [True], "[]: expected float, got a value of type bool"),
        ("Orders", [{"sku": "a", "day": 5}], "[].day: expected date, got "),
        ("Orders", [{"sku": "a"}], "[].day: "),
        ("Orders", ["secret"], "[]: expected "),
    ],
)
def test_rows_that_a_type_hint_does_not_take_are_refused(hinted, name, rows, line):
    [finding] = refusal(hinted[name], {"inputs": rows})
    assert finding.startswith(line), finding


# --- parity with the real MLflow --------------------------------------------------------------------------


def by_mlflow(model, payload):
    """Return the data that a model receives from MLflow's own server code."""
    theirs = mlflow.pyfunc.load_model(str(model.path))
    parsed = _parse_json_data(json.dumps(payload), theirs.metadata, theirs.metadata.get_input_schema())
    return theirs.predict(parsed.data, params=parsed.params)


def same_values(ours, theirs):
    """Compare bit for bit, except for the dtypes of text and the kinds of nulls."""
    if not isinstance(ours, pd.DataFrame):
        assert describe(ours) == describe(theirs)
        return
    assert list(ours.columns) == list(theirs.columns)
    for name in ours.columns:
        one, other = ours[name], theirs[name]
        assert one.isna().tolist() == other.isna().tolist()
        assert key(one.dropna().tolist()) == key(other.dropna().tolist())
        if isinstance(one.dtype, np.dtype) and one.dtype.kind in "biufM":
            assert one.dtype == other.dtype


FOUR = columns(d="double", l="long", s="string", b="boolean")
ROWS = [{"d": 0.1, "l": 2**53 + 1, "s": "x", "b": True}, {"d": 7.5, "l": -1, "s": "é", "b": False}]
SPLIT = {"columns": list("dlsb"), "data": [list(row.values()) for row in ROWS]}
ONE_OBJECT = Object([Property("x", "long"), Property("y", "string")])
NAMED = tensor("float64", a=(-1,), b=(-1, 2))
SAME = {
    "split": (FOUR, {"dataframe_split": SPLIT}),
    "records": (FOUR, {"dataframe_records": ROWS}),
    "instances": (FOUR, {"instances": ROWS}),
    "inputs by row": (FOUR, {"inputs": ROWS}),
    "inputs by name": (FOUR, {"inputs": {name: [row[name] for row in ROWS] for name in "dlsb"}}),
    "another order": (FOUR, {"dataframe_records": [dict(reversed(row.items())) for row in ROWS]}),
    "narrow": (
        columns(i="integer", f="float"),
        {"dataframe_records": [{"i": 5, "f": 0.1}, {"i": -1, "f": 7.0}]},
    ),
    "nulls": (
        columns(d="double", f="float"),
        {"dataframe_records": [{"d": None, "f": 0.5}, {"d": 0.1, "f": None}]},
    ),
    "binary": (columns(x="binary"), {"dataframe_records": [{"x": base64.b64encode(b"\xff").decode()}]}),
    "times": (
        columns(t="datetime"),
        {"dataframe_records": [{"t": "2020-01-01T12:00:00.000001"}, {"t": "2020-01-02T00:00:00.5"}]},
    ),
    "arrays": (
        columns(a=Array("long"), s=Array("string")),
        {"dataframe_records": [{"a": [1, 2], "s": ["x", "y"]}]},
    ),
    "objects": (columns(o=ONE_OBJECT), {"dataframe_records": [{"o": {"x": 1, "y": "a"}}]}),
    "unnamed": (columns("double"), {"inputs": [0.1, 2.0]}),
    "unnamed instances": (columns("string"), {"instances": ["a", "b"]}),
    "tensor": (tensor("float64", -1, 2), {"inputs": [[0.1, 2], [3, 4]]}),
    "tensor of floats": (tensor("float32", -1, 2), {"instances": [[0.1, 2], [3, 4]]}),
    "tensor of longs": (tensor("int64", -1), {"inputs": [2**53 + 1, -1]}),
    "tensor of texts": (tensor("str", -1), {"inputs": ["a", "é"]}),
    "named tensors": (NAMED, {"inputs": {"a": [0.1], "b": [[1, 2]]}}),
    "named tensors by row": (NAMED, {"instances": [{"a": 0.1, "b": [1, 2]}]}),
    "params": (WITH_PARAMS, {"inputs": {"x": [1.5]}, "params": {"k": 7.5, "names": ["b"]}}),
    "no signature, split": (None, {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}),
    "chat": (CHAT, {"messages": [{"role": "user", "content": "x"}], "temperature": 1.5}),
}


@pytest.mark.parametrize(("signature", "payload"), SAME.values(), ids=SAME)
def test_a_request_that_mlflow_reads_without_a_change_is_read_the_same(home, signature, payload):
    model = model_of(home, signature)
    ours, params = validate_serving_input(model, json.dumps(payload))
    theirs, their_params = by_mlflow(model, payload)
    same_values(ours, theirs)
    assert (params or {}) == {
        name: float(np.float32(number)) if name == "x" else number
        for name, number in (their_params or {}).items()
    }


_cells = {
    "d": st.floats(allow_nan=False, allow_infinity=False),
    "l": st.integers(-(2**63), 2**63 - 1),
    "s": st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4),
    "b": st.booleans(),
}


@given(
    st.lists(st.fixed_dictionaries(_cells), min_size=1, max_size=3),
    st.sampled_from(["dataframe_records", "inputs", "instances"]),
)
def test_rows_of_scalars_are_read_as_by_mlflow(home, rows, form):
    model = model_of(home, FOUR)
    theirs = _loaded_by_mlflow(model)
    parsed = _parse_json_data(json.dumps({form: rows}), theirs.metadata, theirs.metadata.get_input_schema())
    expected, _ = theirs.predict(parsed.data)
    ours, _ = validate_serving_input(model, json.dumps({form: rows}))
    same_values(ours, expected)
    assert key(ours.to_dict("list")) == key({name: [row[name] for row in rows] for name in "dlsb"})


_by_path = {}


def _loaded_by_mlflow(model):
    if model.path not in _by_path:
        _by_path[model.path] = mlflow.pyfunc.load_model(str(model.path))
    return _by_path[model.path]


def test_the_findings_of_a_request_have_their_codes(home):
    with pytest.raises(ContractError) as caught:
        validate_serving_input(model_of(home, FOUR), {"input_data": 1})
    assert [(finding.path, finding.code) for finding in caught.value.findings] == [
        ("input_data", Code.UNKNOWN_KEY),
        ("", Code.MISSING_KEY),
    ]
