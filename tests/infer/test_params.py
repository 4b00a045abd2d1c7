"""Examples of params -> specs: equal to those of MLflow, except for a table of params that MLflow changes."""

from __future__ import annotations

import copy
import datetime
import decimal
import types

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from mlflow.exceptions import MlflowException

from sparksig import InferenceError, ParamSchema, ParamSpec
from sparksig.errors import Code
from sparksig.infer.params import from_params
from sparksig.params import enforce_params
from tests.infer.helpers import body, find_problems, infer, theirs
from tests.strategies import param_schemas

DAY, NOON = datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 12, 30)
ZONED = NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
NAN, INF = float("nan"), float("inf")

SPECS = {
    "bool": (True, "boolean", True),
    "int": (1, "long", 1),
    "the smallest int": (-(2**63), "long", -(2**63)),
    "float": (0.5, "double", 0.5),
    "str": ("x", "string", "x"),
    "numpy bool": (np.bool_(True), "boolean", True),
    "numpy int32": (np.int32(1), "integer", 1),
    "numpy int64": (np.int64(1), "long", 1),
    "numpy float32": (np.float32(0.1), "float", 0.10000000149011612),
    "numpy float64": (np.float64(0.1), "double", 0.1),
    "numpy str": (np.str_("x"), "string", "x"),
    "date": (DAY, "datetime", DAY),
    "datetime": (NOON, "datetime", NOON),
    "datetime64[D]": (np.datetime64("2020-01-01"), "datetime", DAY),
    "datetime64[us]": (np.datetime64("2020-01-01T12:30", "us"), "datetime", NOON),
    "ints": ([1, 2], "long", [1, 2]),
    "ints and floats": ([1, 2.5], "double", [1.0, 2.5]),
    "an int and NumPy's float": ([1, np.float64(2.5)], "double", [1.0, 2.5]),
    "NumPy's int and a float": ([np.int64(1), 2.5], "double", [1.0, 2.5]),
    "floats of 32 and 64 bits": ([np.float32(0.5), 0.5], "double", [0.5, 0.5]),
    "texts": (["a"], "string", ["a"]),
    "truths": ([True], "boolean", [True]),
    "dates": ([DAY], "datetime", [DAY]),
    "dates and datetimes": ([DAY, NOON], "datetime", [DAY, NOON]),
    "array": (np.array([1, 2]), "long", [1, 2]),
    "array of int32": (np.array([1], "int32"), "integer", [1]),
    "array of float32": (np.array([0.5], "float32"), "float", [0.5]),
    "array of texts": (np.array(["a"]), "string", ["a"]),
    "array of days": (np.array(["2020-01-01"], "M8[D]"), "datetime", [DAY]),
}
BUILTINS = (bool, int, float, str, datetime.date, datetime.datetime)


@pytest.mark.parametrize(("value", "kind", "default"), SPECS.values(), ids=SPECS)
def test_a_param_by_its_default(value, kind, default):
    signature = infer(params={"p": value})
    [spec] = signature.params
    assert (spec.name, repr(spec.dtype), spec.default) == ("p", kind, default)
    assert spec.shape == ((-1,) if isinstance(default, list) else None)
    values = spec.default if isinstance(default, list) else [spec.default]
    assert {type(item) for item in values} <= set(BUILTINS)
    assert signature.to_dict() == theirs(params={"p": value}).to_dict()
    assert ParamSchema.from_json(signature.params.to_json()) == signature.params


OBJECTS = {
    "nested": {"a": 1, "b": {"c": ["x", "y"]}},
    "lists of objects": {"a": [{"b": 1}, {"b": 2, "c": 0.5}]},
    "what is unknown": {"a": None, "b": [], "c": {}},
}


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS)
def test_a_dictionary_is_an_object(value):
    signature = infer(params={"p": value})
    [spec] = signature.params
    assert (spec.default, spec.shape) == (value, None)
    assert signature.to_dict() == theirs(params={"p": value}).to_dict()


WIDE = "keep them as text, or convert them to doubles explicitly"
BY_HAND = "build the param yourself, because its type is unknown: ParamSpec(name, type, [], (-1,))"
NO_DEFAULT = "build a param without a default yourself: ParamSpec(name, type, None)"
TYPE = "expected a supported type, got a value of type "
PLAIN = "expected a scalar, a list of scalars, or an object, got "
LIST = "expected a list of scalars, got "
MIXED = "expected values of one type, got "

REFUSED = {
    "2^63": (2**63, "", f"expected integers of 64 bits, got larger integers ({WIDE}) [OUT_OF_RANGE]"),
    "None": (
        None,
        "",
        f"expected a default with a type and a JSON representation, got None ({NO_DEFAULT}) [INVALID_VALUE]",
    ),
    "Decimal": (
        decimal.Decimal(1),
        "",
        f"{TYPE}Decimal (cast it explicitly: to double, or to an integer) [UNSUPPORTED_TYPE]",
    ),
    "complex": (1j, "", f"{TYPE}complex [UNSUPPORTED_TYPE]"),
    "timedelta": (datetime.timedelta(1), "", f"{TYPE}timedelta [UNSUPPORTED_TYPE]"),
    "tuple": ((1,), "", f"{TYPE}tuple (convert it to a list) [UNSUPPORTED_TYPE]"),
    "set": ({1}, "", f"{TYPE}set (convert it to a list) [UNSUPPORTED_TYPE]"),
    "Series": (pd.Series([1]), "", f"{TYPE}Series (convert it to a list) [UNSUPPORTED_TYPE]"),
    "rank 2": (np.zeros((1, 1)), "", f"{LIST}an array of rank 2 [SHAPE_MISMATCH]"),
    "rank 0": (np.array(1), "", f"{LIST}an array of rank 0 [SHAPE_MISMATCH]"),
    "objects with None": (
        np.array([1, None], object),
        "",
        f"{LIST}None or nested containers [UNSUPPORTED_TYPE]",
    ),
    "list of lists": ([[1]], "", f"{LIST}None or nested containers [UNSUPPORTED_TYPE]"),
    "list with None": ([1, None], "", f"{LIST}None or nested containers [UNSUPPORTED_TYPE]"),
    "list of dictionaries": (
        [{"a": 1}],
        "",
        f"{LIST}None or nested containers [UNSUPPORTED_TYPE]",
    ),
    "truth and int": ([True, 1], "[]", f"{MIXED}boolean and long [MIXED_TYPES]"),
    "int and text": ([1, "x"], "[]", f"{MIXED}long and string [MIXED_TYPES]"),
    "a tuple inside": ({"k": (1,)}, ".k", f"{TYPE}tuple (convert it to a list) [UNSUPPORTED_TYPE]"),
    "a date inside": (
        {"k": DAY},
        ".k",
        "expected datetime, got a datetime inside an object, which is not supported in params "
        "[TYPE_MISMATCH]",
    ),
    "{}": ({}, "", "expected at least one key, got an empty dictionary [EMPTY]"),
}


@pytest.mark.parametrize(("value", "below", "text"), REFUSED.values(), ids=REFUSED)
def test_what_mlflow_refuses_as_well(value, below, text):
    [finding] = find_problems(params={"p.q": value})
    assert str(finding) == f"`p.q`{below}: {text}"
    with pytest.raises((MlflowException, TypeError)):
        theirs(params={"p.q": value}).to_dict()


OBJECTS = {
    "texts": (["stop", "end"], "string", ["stop", "end"]),
    "integers": ([1, 2], "long", [1, 2]),
    "integers beside floats": ([1, 0.5], "double", [1.0, 0.5]),
    "truth": ([True, False], "boolean", [True, False]),
    "days": ([DAY], "datetime", [DAY]),
    "bytes": ([b"a", b"\x00"], "binary", [b"a", b"\x00"]),
}


def build_object_array(values):
    """Return a NumPy array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    "build",
    [build_object_array, lambda values: pd.Series(values, dtype=object).to_numpy(), list],
    ids=["NumPy", "pandas", "list"],
)
@pytest.mark.parametrize("name", OBJECTS)
def test_an_array_of_objects_is_the_list_of_its_values(name, build):
    values, dtype, default = OBJECTS[name]
    spec = ParamSpec("p", dtype, default, (-1,))
    assert infer(params={"p": build(values)}).params == ParamSchema([spec])


def test_bytes_are_a_param_of_type_binary():
    params = infer(params={"one": b"\xff", "several": [b"a"], "array": np.array([b"a", b"bc"])}).params
    assert repr(next(iter(params))) == "'one': binary (default: b'\\xff')"
    assert [spec.to_dict()["default"] for spec in params] == ["/w==", ["YQ=="], ["YQ==", "YmM="]]
    assert ParamSchema.from_json(params.to_json()) == params


def test_all_refusals_come_at_once():
    params = {f"p{index}": value for index, (value, _, _) in enumerate(REFUSED.values())}
    with pytest.raises(InferenceError) as error:
        infer(params={"fine": 1, **params, "fine too": [0.5]})
    assert str(error.value).splitlines() == [
        f"no signature for these params: {len(REFUSED)} findings",
        *(f"  - p{index}{below}: {text}" for index, (_, below, text) in enumerate(REFUSED.values())),
    ]


ONLY_OURS = {
    "[]": ([], Code.EMPTY, "DESIGN 8: its type is unknown; MLflow says datetime"),
    "an empty array": (np.zeros(0), Code.EMPTY, "DESIGN 8, as []"),
    "NaN": (NAN, Code.INVALID_VALUE, "DESIGN 3: NaN never reaches JSON"),
    "infinity": (INF, Code.INVALID_VALUE, "DESIGN 3"),
    "NaN of 32 bits": (np.float32("nan"), Code.INVALID_VALUE, "DESIGN 3"),
    "NaN in a list": ([0.5, NAN], Code.INVALID_VALUE, "DESIGN 3"),
    "NaN in an object": ({"k": NAN}, Code.INVALID_VALUE, "DESIGN 3"),
    "zoned": (ZONED, Code.TYPE_MISMATCH, "law 1: MLflow converts it to UTC and drops the zone"),
    "zoned in a list": ([ZONED], Code.TYPE_MISMATCH, "law 1"),
    "an int that no double is": ([2**53 + 1, 0.5], Code.MIXED_TYPES, "law 1: MLflow changes it"),
    "half a surrogate": ("\ud800", Code.INVALID_VALUE, "law 3: no text that JSON can hold"),
}


@pytest.mark.parametrize(("value", "code", "reason"), ONLY_OURS.values(), ids=ONLY_OURS)
def test_what_ours_refuses_alone(value, code, reason):
    assert reason
    [finding] = find_problems(params={"p": value})
    assert finding.code is code
    assert theirs(params={"p": value}).params


def test_the_text_of_an_empty_list_and_of_nan():
    assert [str(finding) for finding in find_problems(params={"a": [], "b": NAN, "c": [NAN, 1.5]})] == [
        f"a: expected at least one element, got an empty list ({BY_HAND}) [EMPTY]",
        "b: expected a default with a type and a JSON representation, got a float that is not finite "
        f"({NO_DEFAULT}) [INVALID_VALUE]",
        "c: expected a default with a JSON representation (the default of the param c is nan, which JSON "
        "cannot represent: use None) [INVALID_VALUE]",
    ]


ONLY_THEIRS = {
    "datetime64[ns]": (np.datetime64("2020-01-01T12:30", "ns"), NOON),
    "array of datetime64[ns]": (np.array(["2020-01-01T12:30"], "M8[ns]"), [NOON]),
    "numpy numbers in an object": ({"a": np.float32(0.5)}, {"a": 0.5}),
    "an array in an object": ({"a": np.array([1])}, {"a": [1]}),
}


@pytest.mark.parametrize(("value", "default"), ONLY_THEIRS.values(), ids=ONLY_THEIRS)
def test_what_mlflow_refuses_alone(value, default):
    signature = infer(params={"p": value})
    assert signature.params.params[0].default == default
    assert ParamSchema.from_json(signature.params.to_json()) == signature.params
    with pytest.raises((MlflowException, TypeError)):
        theirs(params={"p": value}).to_dict()


def test_defaults_are_copies():
    params = {"p": [1, 2], "o": {"a": [1]}, "v": np.array([1, 2])}
    before = copy.deepcopy(params)
    schema = infer(params=params).params
    params["p"].append(3)
    params["o"]["a"].append(2)
    params["v"][0] = 5
    assert [spec.default for spec in schema] == [before["p"], before["o"], [1, 2]]
    schema.params[0].default.append(4)
    assert schema.params[0].default == before["p"]


def test_names_are_text():
    assert [spec.name for spec in infer(params={1: 1, None: 2, "x": 3}).params] == ["1", "None", "x"]
    [finding] = find_problems(params={1: 1, "1": 2, "fine": 3})
    assert str(finding) == "1: expected one param of that name, as text, got several [DUPLICATE_NAME]"


@pytest.mark.parametrize("params", [[1], "x", 1, {("a", 1)}], ids=repr)
def test_params_are_a_dictionary(params):
    with pytest.raises(
        InferenceError, match=r"^params: expected a dictionary of names and defaults, got a value"
    ):
        infer(1.5, params=params)
    assert infer(params=types.MappingProxyType({"a": 1})).params == infer(params={"a": 1}).params


def test_no_params_are_none():
    assert infer(1.5, params={}).params is infer(1.5, params=None).params is from_params({}) is None
    with pytest.raises(InferenceError, match=r"^expected an example, got None"):
        infer(params={})


@given(param_schemas(min_size=1))
def test_defaults_of_any_kind_are_enforceable(schema):
    params = {
        spec.name: spec.default
        for spec in schema
        if spec.default not in (None, []) and spec.shape is not None
    }
    inferred = infer(1.5, params=params).params
    assert enforce_params(params, inferred) == params
    assert enforce_params({}, inferred) == params
    if params:
        assert body(theirs(1.5, params=params), "params") == inferred.to_dict()
