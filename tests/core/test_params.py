"""Params: specs and their defaults, JSON, and enforcement."""

from __future__ import annotations

import copy
import datetime
import enum
import json
import warnings
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.errors import ContractError, SignatureError, SignatureTypeError
from sparksig.params import ParamSchema, ParamSpec, UnknownParamWarning, enforce_params
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, describe
from tests.cases import describe_case
from tests.core.helpers import attempt, copies, json_entries, json_values, places
from tests.strategies import param_schemas, param_specs

DATE, TIME = datetime.date(2020, 1, 31), datetime.datetime(2020, 1, 31, 12, 30, 0, 5)
UTC = datetime.timezone.utc
DICT = Object([Property("x", "long"), Property("y", "string", required=False)])
DICT_JSON = (
    '"type": "object", "properties": {"x": {"type": "long", "required": true}, '
    '"y": {"type": "string", "required": false}}}'
)
EVERYTHING = Object([Property("x", AnyType())])

# --- specs: JSON and repr -----------------------------------------------------------------------------

SPECS = [
    (
        ParamSpec("p", "long", 1),
        "'p': long (default: 1)",
        '{"name": "p", "default": 1, "shape": null, "type": "long"}',
    ),
    (
        ParamSpec("p", "long", [1, 2], (-1,)),
        "'p': long (default: [1, 2]) (shape: (-1,))",
        '{"name": "p", "default": [1, 2], "shape": [-1], "type": "long"}',
    ),
    (
        ParamSpec("p", "long", [], (-1,)),
        "'p': long (default: []) (shape: (-1,))",
        '{"name": "p", "default": [], "shape": [-1], "type": "long"}',
    ),
    (
        ParamSpec("p", "long", [1, None], (-1,)),
        "'p': long (default: [1, None]) (shape: (-1,))",
        '{"name": "p", "default": [1, null], "shape": [-1], "type": "long"}',
    ),
    (
        ParamSpec("p", "string", None),
        "'p': string (default: None)",
        '{"name": "p", "default": null, "shape": null, "type": "string"}',
    ),
    (
        ParamSpec("p", "boolean", True),
        "'p': boolean (default: True)",
        '{"name": "p", "default": true, "shape": null, "type": "boolean"}',
    ),
    (
        ParamSpec("p", "double", 2),
        "'p': double (default: 2.0)",
        '{"name": "p", "default": 2.0, "shape": null, "type": "double"}',
    ),
    (
        ParamSpec("p", "datetime", DATE),
        "'p': datetime (default: 2020-01-31)",
        '{"name": "p", "default": "2020-01-31", "shape": null, "type": "datetime"}',
    ),
    (
        ParamSpec("p", "datetime", TIME),
        "'p': datetime (default: 2020-01-31 12:30:00.000005)",
        '{"name": "p", "default": "2020-01-31T12:30:00.000005", "shape": null, "type": "datetime"}',
    ),
    (
        ParamSpec("p", "datetime", None),
        "'p': datetime (default: None)",
        '{"name": "p", "default": null, "shape": null, "type": "datetime"}',
    ),
    (
        ParamSpec("p", "datetime", [DATE, None], (-1,)),
        "'p': datetime (default: [datetime.date(2020, 1, 31), None]) (shape: (-1,))",
        '{"name": "p", "default": ["2020-01-31", null], "shape": [-1], "type": "datetime"}',
    ),
    (
        ParamSpec("it's", DICT, {"x": 1}),
        "\"it's\": {x: long (required), y: string (optional)} (default: {'x': 1})",
        '{"name": "it\'s", "default": {"x": 1}, "shape": null, ' + DICT_JSON,
    ),
]
IDS = [text for _, text, _ in SPECS]


@pytest.mark.parametrize(("spec", "text", "data"), SPECS, ids=IDS)
def test_a_param_has_its_repr_and_its_json(spec, text, data):
    assert repr(spec) == text
    assert json.dumps(spec.to_dict()) == data
    assert ParamSpec.from_json_dict(**json.loads(data)) == spec
    assert ParamSchema.from_json(f"[{data}]") == ParamSchema([spec])
    assert [other for other, _, _ in SPECS if other == spec] == [spec]
    assert len({spec, *copies(spec)}) == 1


def test_a_param_is_its_name_type_default_and_shape():
    spec = ParamSpec("p", DataType.long, 1)
    assert (spec.name, spec.dtype, spec.default, spec.shape) == ("p", DataType.long, 1, None)
    assert spec == ParamSpec("p", "long", 1)
    assert spec != ParamSpec("q", "long", 1)
    assert spec != ParamSpec("p", "integer", 1)
    assert spec != ParamSpec("p", "long", 2)
    assert spec != ParamSpec("p", "long", None)
    assert spec != "p"
    assert ParamSpec("p", "long", [1], [-1]).shape == (-1,)
    assert ParamSpec(7, "long", 1).name == "7"


def test_the_order_of_the_keys_of_a_default_does_not_matter():
    members = Object([Property("x", "long"), Property("y", "long")])
    forth, back = ParamSpec("p", members, {"x": 1, "y": 2}), ParamSpec("p", members, {"y": 2, "x": 1})
    assert forth == back
    assert hash(forth) == hash(back)


@pytest.mark.parametrize("field", ["name", "dtype", "default", "shape", "anything"])
def test_a_param_cannot_be_changed(field):
    with pytest.raises(AttributeError):
        setattr(ParamSpec("p", "long", 1), field, 2)


@pytest.mark.parametrize(
    ("dtype", "shape", "default"),
    [("long", (-1,), [1, 2]), (DICT, None, {"x": 1}), (EVERYTHING, None, {"x": [{"a": [1]}]})],
    ids=["list", "dict", "any"],
)
def test_defaults_are_copies(dtype, shape, default):
    given_default = copy.deepcopy(default)
    spec = ParamSpec("p", dtype, given_default, shape)
    given_default.clear()
    spec.default.clear()
    enforce_params({}, ParamSchema([spec]))["p"].clear()
    if dtype is EVERYTHING:
        spec.default["x"].clear()
        spec.default["x"][0]["a"].append(2)
        enforce_params(None, ParamSchema([spec]))["p"]["x"].clear()
    assert spec.default == default
    assert enforce_params({}, ParamSchema([spec])) == {"p": default}


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: ParamSpec("a.b", "x", 1), SignatureError, "^unknown type 'x': use one of "),
        (lambda: ParamSpec("a", "object", {}), SignatureError, "^unknown type 'object': "),
        (
            lambda: ParamSpec("a.b", "binary", "eA=="),
            SignatureError,
            "- `a.b`: expected binary, got a value of type str",
        ),
        (lambda: ParamSpec("a", DataType.binary, [b"x"]), SignatureError, "expected binary, got a value"),
        (
            lambda: ParamSpec("a", 1, 1),
            SignatureTypeError,
            "^the type of the param a: expected a DataType, its name, or an Object, got a value of type int$",
        ),
        (lambda: ParamSpec("a", Array("long"), [1]), SignatureTypeError, "got a value of type Array$"),
        (lambda: ParamSpec("a", Map("long"), {}), SignatureTypeError, "got a value of type Map$"),
        (lambda: ParamSpec("a", AnyType(), 1), SignatureTypeError, "got a value of type AnyType$"),
        (lambda: ParamSpec("a", None, 1), SignatureTypeError, "an Object, got None$"),
        (
            lambda: ParamSpec("a", "long", 1, (1,)),
            SignatureError,
            r"^the shape of the param a: expected None, or \(-1,\) for a list, got \(1,\)$",
        ),
        (lambda: ParamSpec("a", "long", 1, ()), SignatureError, r"for a list, got \(\)$"),
        (lambda: ParamSpec("a", "long", 1, (-1, -1)), SignatureError, r"for a list, got \(-1, -1\)$"),
        (lambda: ParamSpec("a", "long", 1, -1), SignatureError, "for a list, got -1$"),
        (lambda: ParamSpec("a", "long", 1, "x"), SignatureError, "for a list, got 'x'$"),
        (
            lambda: ParamSpec("a", DICT, [{"x": 1}], (-1,)),
            SignatureError,
            "^the param a cannot be a list of objects$",
        ),
        (
            lambda: ParamSpec("a.b", "long", "1"),
            SignatureError,
            r"^the default of the param `a\.b` does not fit: 1 finding\n  - `a\.b`: expected long, "
            r"got a value of type str \[TYPE_MISMATCH\]$",
        ),
        (
            lambda: ParamSpec("a", "long", 1, (-1,)),
            SignatureError,
            r"- a: expected a list of long, got a value of type int \[SHAPE_MISMATCH\]$",
        ),
        (lambda: ParamSpec("a", "long", (1,), (-1,)), SignatureError, "a list of long, got a value"),
        (lambda: ParamSpec("a", "long", None, (-1,)), SignatureError, "a list of long, got None"),
        (lambda: ParamSpec("a", "long", np.zeros((1, 1)), (-1,)), SignatureError, "of type ndarray"),
        (lambda: ParamSpec("a", DICT, None), SignatureError, "- a: expected {x: long .*}, got None"),
        (lambda: ParamSpec("a", "long", [1]), SignatureError, "expected long, got a value of type list"),
    ],
    ids=[
        "unknown", "object", "binary-text", "binary-list", "int", "array", "map", "any", "none", "shape-1",
        "shape-0",
        "rank-2", "shape-int", "shape-str", "list-of-objects", "default", "scalar-default", "tuple-default",
        "no-list", "2-d-default", "no-object", "list-default",
    ],
)  # fmt: skip
def test_what_is_no_param_is_refused(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_all_that_is_wrong_with_a_default_is_reported_at_once():
    with pytest.raises(
        SignatureError, match=r"^the default of the param a does not fit: 3 findings\n"
    ) as caught:
        ParamSpec("a", "integer", [1, "2", True, None, 2**31], (-1,))
    assert places(caught.value) == [("TYPE_MISMATCH", f"a[{i}]") for i in (1, 2, 4)]


# --- values -------------------------------------------------------------------------------------------


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


ACCEPTED = [
    ("boolean", True, True),
    ("boolean", np.True_, True),
    ("integer", 1, 1),
    ("integer", -(2**31), -(2**31)),
    ("integer", 2**31 - 1, 2**31 - 1),
    ("integer", Number.ONE, 1),
    ("integer", np.int8(-1), -1),
    ("integer", np.int16(1), 1),
    ("integer", np.int32(1), 1),
    ("integer", np.uint8(1), 1),
    ("integer", np.uint16(1), 1),
    ("long", 2**63 - 1, 2**63 - 1),
    ("long", -(2**63), -(2**63)),
    ("long", np.int8(1), 1),
    ("long", np.int64(2**63 - 1), 2**63 - 1),
    ("long", np.uint32(2**32 - 1), 2**32 - 1),
    ("float", 1, 1.0),
    ("float", 0.1, 0.1),
    ("float", 1e300, 1e300),
    ("float", np.float32(0.5), 0.5),
    ("float", np.float16(0.5), 0.5),
    ("double", 1, 1.0),
    ("double", 2**53, 2.0**53),
    ("double", 0.1, 0.1),
    ("double", np.float64(0.1), 0.1),
    ("double", np.float32(0.5), 0.5),
    ("double", np.float16(0.5), 0.5),
    ("double", np.int32(7), 7.0),
    ("double", np.uint32(7), 7.0),
    ("string", "", ""),
    ("string", "ä", "ä"),
    ("string", np.str_("a"), "a"),
    ("string", Colour.RED, "red"),
    ("datetime", DATE, DATE),
    ("datetime", TIME, TIME),
    ("datetime", pd.Timestamp(TIME), TIME),
    ("datetime", np.datetime64("2020-01-31"), DATE),
    ("datetime", np.datetime64("2020-01", "M"), datetime.datetime(2020, 1, 1)),
    ("datetime", np.datetime64(TIME, "us"), TIME),
    ("datetime", np.datetime64("2020-01-31T12:30:00.000005", "ns"), TIME),
    ("datetime", "2020-01-31", DATE),
    ("datetime", "2020-01-31T12:30:00.000005", TIME),
    ("datetime", "2020-01-31 12:30:00.000005", TIME),
    ("datetime", "2020-01-31T12:30", datetime.datetime(2020, 1, 31, 12, 30)),
]


@pytest.mark.parametrize(
    ("dtype", "value", "built_in"), ACCEPTED, ids=lambda v: f"{type(v).__name__}-{v!r}"[:40]
)
def test_a_value_becomes_a_built_in_of_its_type(dtype, value, built_in):
    results = [
        ParamSpec("p", dtype, value).default,
        ParamSpec("p", dtype, built_in).enforce(value),
        ParamSpec("p", dtype, [value], (-1,)).default[0],
        enforce_params({"p": value}, ParamSchema([ParamSpec("p", dtype, built_in)]))["p"],
    ]
    assert results == [built_in] * 4
    assert [type(result) for result in results] == [type(built_in)] * 4
    read = ParamSpec.from_json_dict(**json.loads(json.dumps(ParamSpec("p", dtype, value).to_dict())))
    assert read.default == built_in


_ZONED = "a datetime with a time zone: convert it, then remove the zone explicitly"
_NOT_ISO = "a text that is not an ISO 8601 date or time, such as 2020-01-31T12:30:00"
REFUSED = [
    ("boolean", 1, "a value of type int"),
    ("boolean", 0.0, "a value of type float"),
    ("boolean", "true", "a value of type str"),
    ("boolean", np.int8(1), "NumPy's int8"),
    ("integer", True, "a value of type bool"),
    ("integer", np.True_, "NumPy's bool"),
    ("integer", 2**31, "an int beyond 32 bits"),
    ("integer", -(2**31) - 1, "an int beyond 32 bits"),
    ("integer", 2**70, "an int beyond 32 bits"),
    ("integer", 1.0, "a float"),
    ("integer", "1", "a value of type str"),
    ("integer", np.int64(1), "NumPy's int64"),
    ("integer", np.uint32(1), "NumPy's uint32"),
    ("integer", np.float64(1), "NumPy's float64"),
    ("long", True, "a value of type bool"),
    ("long", 2**63, "an int beyond 64 bits"),
    ("long", -(2**63) - 1, "an int beyond 64 bits"),
    ("long", 10**400, "an int beyond 64 bits"),
    ("long", 1.0, "a float"),
    ("long", float("nan"), "a float"),
    ("long", np.uint64(1), "NumPy's uint64"),
    ("long", datetime.timedelta(1), "a value of type timedelta"),
    ("float", True, "a value of type bool"),
    ("float", 2**24 + 1, "an int that float cannot hold exactly"),
    ("float", np.float64(0.5), "NumPy's float64"),
    ("float", np.int32(1), "NumPy's int32"),
    ("float", "1.0", "a value of type str"),
    ("double", True, "a value of type bool"),
    ("double", 2**53 + 1, "an int that double cannot hold exactly"),
    ("double", 10**400, "an int that double cannot hold exactly"),
    ("double", np.int64(1), "NumPy's int64"),
    ("double", np.longdouble(1), f"NumPy's {np.dtype(np.longdouble).name}"),
    ("double", np.complex128(1), "NumPy's complex128"),
    ("double", 1j, "a value of type complex"),
    ("string", b"a", "a value of type bytes"),
    ("string", 1, "a value of type int"),
    ("string", np.bytes_(b"a"), "NumPy's binary"),
    ("string", DATE, "a value of type date"),
    ("datetime", 1577836800, "a value of type int"),
    ("datetime", 1.5, "a value of type float"),
    ("datetime", datetime.time(12), "a value of type time"),
    ("datetime", np.int64(1), "a value of type int64"),
    ("datetime", np.timedelta64(1, "s"), "a value of type timedelta64"),
    ("datetime", "", _NOT_ISO),
    ("datetime", "1", _NOT_ISO),
    ("datetime", "now", _NOT_ISO),
    ("datetime", "NaT", _NOT_ISO),
    ("datetime", "2020-13-01", _NOT_ISO),
    ("datetime", "2020-02-30T00:00:00", _NOT_ISO),
    ("datetime", "31.01.2020", _NOT_ISO),
    ("datetime", "20200131", _NOT_ISO),
    ("datetime", "20200131T123000", _NOT_ISO),
    ("datetime", "2020-01-31T12:30:00+02:00", _ZONED),
    ("datetime", "2020-01-31T12:30:00+00:00", _ZONED),
    ("datetime", TIME.replace(tzinfo=UTC), _ZONED),
    ("datetime", pd.Timestamp(TIME, tz="Europe/Berlin"), _ZONED),
    ("datetime", pd.Timestamp(1), "a datetime with nanoseconds"),
    ("datetime", np.datetime64(1, "ns"), "a datetime with nanoseconds"),
    ("datetime", np.datetime64(0, "ps") + np.timedelta64(1, "ps"), "a datetime with nanoseconds"),
    ("datetime", np.datetime64("NaT"), "NaT"),
    ("datetime", pd.NaT, "NaT"),
    ("datetime", np.datetime64("10000-01-01"), "a datetime outside the years 1 to 9999"),
    ("datetime", np.datetime64("-0001-01-01"), "a datetime outside the years 1 to 9999"),
    ("datetime", np.datetime64("300000-01-01"), "a datetime outside the years 1 to 9999"),
    ("datetime", np.datetime64("400000", "Y"), "a datetime outside the years 1 to 9999"),
    (
        "datetime",
        np.datetime64(2**62, "Y"),
        "a datetime outside the years 1 to 9999",
    ),  # wraps in microseconds
]


@pytest.mark.parametrize(
    ("dtype", "value", "reason"), REFUSED, ids=lambda v: f"{type(v).__name__}-{v!r}"[:40]
)
def test_a_value_that_would_change_is_refused(dtype, value, reason):
    with pytest.raises(ContractError, match=r"^invalid params: 1 finding\n") as caught:
        ParamSpec("p", dtype, None).enforce(value)
    assert places(caught.value) == [("TYPE_MISMATCH", "p")]
    assert caught.value.findings[0].expected == dtype
    assert caught.value.findings[0].actual.replace("bytes8", "binary") == reason
    with pytest.raises(SignatureError, match=r"^the default of the param p does not fit"):
        ParamSpec("p", dtype, value)


@pytest.mark.parametrize("dtype", ["boolean", "integer", "long", "float", "double", "string", "datetime"])
@pytest.mark.parametrize(
    "value",
    [
        [1],
        (1,),
        {"a": 1},
        {1},
        object(),
        np.array([True]),
        np.array([1, 2]),
        np.array(["2020-01-01"] * 2, "M8[s]"),
    ],
    ids=["list", "tuple", "dict", "set", "object", "array-of-1", "array-of-2", "array-of-dates"],
)
def test_a_scalar_is_no_collection(dtype, value):
    with pytest.raises(ContractError, match=f"- p: expected {dtype}, got "):
        ParamSpec("p", dtype, None).enforce(value)


@pytest.mark.parametrize("dtype", ["boolean", "integer", "long", "float", "double", "string", "datetime"])
def test_none_is_a_value_only_where_the_default_has_it(dtype):
    value = next(built_in for name, _, built_in in ACCEPTED if name == dtype)
    assert ParamSpec("p", dtype, None).enforce(None) is None
    assert ParamSpec("p", dtype, [None], (-1,)).enforce([value, None]) == [value, None]
    with pytest.raises(ContractError, match=f"- p: expected {dtype}, got None"):
        ParamSpec("p", dtype, value).enforce(None)
    with pytest.raises(ContractError, match=rf"- p\[1\]: expected {dtype}, got None"):
        ParamSpec("p", dtype, [value], (-1,)).enforce([value, None])


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        ([1, np.int8(2)], [1, 2]),
        ([], []),
        (np.array([1, 2], "int16"), [1, 2]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.array([], "int64"), []),
    ],
    ids=["list", "empty", "int16", "big-endian", "empty-array"],
)
def test_a_list_is_a_list_or_an_array_of_one_dimension(value, converted):
    result = ParamSpec("p", "long", [0], (-1,)).enforce(value)
    assert result == converted
    assert type(result) is list
    assert all(type(element) is int for element in result)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (1, ("SHAPE_MISMATCH", "p")),
        (None, ("SHAPE_MISMATCH", "p")),
        ((1,), ("SHAPE_MISMATCH", "p")),
        ("12", ("SHAPE_MISMATCH", "p")),
        ({0: 1}, ("SHAPE_MISMATCH", "p")),
        (np.zeros((1, 1), "int64"), ("SHAPE_MISMATCH", "p")),
        (np.array(1), ("SHAPE_MISMATCH", "p")),
        ([1, [2]], ("TYPE_MISMATCH", "p[1]")),
        (np.zeros(1), ("TYPE_MISMATCH", "p[0]")),
        (np.array(["1"]), ("TYPE_MISMATCH", "p[0]")),
    ],
    ids=["scalar", "none", "tuple", "str", "dict", "2-d", "0-d", "nested", "float64", "strings"],
)
def test_what_is_no_list_is_refused(value, place):
    with pytest.raises(ContractError) as caught:
        ParamSpec("p", "long", [0], (-1,)).enforce(value)
    assert places(caught.value) == [place]


NESTED = Object(
    [
        Property("a", Array("long")),
        Property("b", Map("double"), required=False),
        Property("c.d", Object([Property("even", "integer"), Property("f", "string", required=False)])),
        Property("g", AnyType(), required=False),
    ]
)
FITS = {"a": [1], "c.d": {"even": 1}}


def test_objects_are_converted_through_and_through():
    spec = ParamSpec("p", NESTED, FITS)
    value = {
        "a": np.array([1, 2], "int8"),
        "b": {"x": 1, "y": np.float32(0.5)},
        "c.d": {"even": np.int16(3), "f": None},
        "g": {"anything": [1, {"at": "all"}]},
    }
    assert spec.enforce(value) == {
        "a": [1, 2],
        "b": {"x": 1.0, "y": 0.5},
        "c.d": {"even": 3, "f": None},
        "g": {"anything": [1, {"at": "all"}]},
    }
    assert spec.enforce({**FITS, "b": None, "g": None}) == {**FITS, "b": None, "g": None}


def test_all_that_is_wrong_with_an_object_is_reported_at_once():
    value = {
        "a": [1, "2", None],
        "b": {"x": True, "y.z": 1, "z": "1"},
        "c.d": {"f": 1, "evn": 2},
        "h": 1,
    }
    with pytest.raises(ContractError, match=r"^invalid params: 8 findings\n") as caught:
        ParamSpec("p", NESTED, FITS).enforce(value)
    assert sorted(places(caught.value)) == [
        ("MISSING_FIELD", "p.`c.d`.even"),
        ("TYPE_MISMATCH", "p.`c.d`.f"),
        ("TYPE_MISMATCH", "p.a[1]"),
        ("TYPE_MISMATCH", "p.a[2]"),
        ("TYPE_MISMATCH", "p.b.x"),
        ("TYPE_MISMATCH", "p.b.z"),
        ("UNKNOWN_KEY", "p.`c.d`.evn"),
        ("UNKNOWN_KEY", "p.h"),
    ]
    by_path = {finding.path: finding for finding in caught.value.findings}
    assert by_path["p.`c.d`.even"].expected == "integer"
    assert by_path["p.`c.d`.even"].actual == "nothing"
    assert by_path["p.`c.d`.evn"].hint == "did you mean 'even'?"


def test_findings_are_in_the_order_of_the_keys():
    unknown = [f"key_{i}" for i in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]
    with pytest.raises(ContractError) as caught:
        ParamSpec("p", DICT, {"x": 1}).enforce({"x": 1, **dict.fromkeys(unknown, 1)})
    assert places(caught.value) == [("UNKNOWN_KEY", f"p.{key}") for key in unknown]


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ([("a", 1)], "p", describe(NESTED)),
        ({1: 2}, "p", describe(NESTED)),
        ({**FITS, "a": 1}, "p.a", "Array(long)"),
        ({**FITS, "a": (1,)}, "p.a", "Array(long)"),
        ({**FITS, "a": None}, "p.a", "Array(long)"),
        ({**FITS, "b": [1]}, "p.b", "Map(str -> DataType.double)"),
        ({**FITS, "b": {1: 1.0}}, "p.b", "Map(str -> DataType.double)"),
        ({**FITS, "c.d": None}, "p.`c.d`", "{even: integer (required), f: string (optional)}"),
        ({**FITS, "c.d": {"even": None}}, "p.`c.d`.even", "integer"),
    ],
    ids=["pairs", "int-key", "scalar", "tuple", "none", "list-as-map", "int-key-of-map", "no-object", "null"],
)
def test_what_does_not_fit_an_object_is_refused(value, path, expected):
    with pytest.raises(ContractError) as caught:
        ParamSpec("p", NESTED, FITS).enforce(value)
    assert places(caught.value) == [("TYPE_MISMATCH", path)]
    assert caught.value.findings[0].expected == expected


@pytest.mark.parametrize(
    ("dtype", "value", "reason"),
    [
        ("datetime", DATE, "a datetime inside an object, which is not supported in params"),
        ("datetime", "2020-01-31", "a datetime inside an object, which is not supported in params"),
        ("binary", b"x", "bytes inside an object, which are not supported in params"),
    ],
    ids=["date", "iso", "bytes"],
)
def test_what_json_cannot_carry_stays_out_of_objects(dtype, value, reason):
    optional = Object([Property("x", dtype, required=False)])
    assert ParamSpec("p", optional, {}).default == {}
    with pytest.raises(ContractError, match=f"- p.x: expected {dtype}, got {reason}"):
        ParamSpec("p", optional, {}).enforce({"x": value})
    with pytest.raises(SignatureError, match=f"- p.x: expected {dtype}, got {reason}"):
        ParamSpec("p", optional, {"x": value})


@pytest.mark.parametrize(
    "value",
    [{1, 2}, b"x", object(), DATE, np.int64(3), np.array([1]), {1: 2}, [{"a": {1}}]],
    ids=["set", "bytes", "object", "date", "numpy-scalar", "array", "int-key", "deep"],
)
def test_a_default_of_any_type_is_refused_or_comes_back_from_json(value):
    try:
        schema = ParamSchema([ParamSpec("p", EVERYTHING, {"x": value})])
        text = schema.to_json()
    except SignatureError:
        return
    assert ParamSchema.from_json(text) == schema


# --- NaN never reaches JSON ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=describe_case)
@pytest.mark.parametrize(
    ("dtype", "shape", "wrap"),
    [
        ("double", None, lambda number: number),
        ("float", None, lambda number: number),
        ("double", (-1,), lambda number: [0.0, number]),
        (Object([Property("x", Array("double"))]), None, lambda number: {"x": [number]}),
        (EVERYTHING, None, lambda number: {"x": [{"y": number}]}),
    ],
    ids=["double", "float", "list", "object", "any"],
)
@pytest.mark.parametrize(
    "write",
    [
        ParamSpec.to_dict,
        lambda spec: ParamSchema([spec]).to_dict(),
        lambda spec: ParamSchema([spec]).to_json(),
    ],
    ids=["param", "params as a dictionary", "params as JSON"],
)
def test_nan_and_infinity_never_reach_json(number, dtype, shape, wrap, write):
    spec = ParamSpec("a.b", dtype, wrap(number), shape)
    text = rf"^the default of the param `a\.b` is {number}, which JSON cannot represent: use None$"
    with pytest.raises(SignatureError, match=text):
        write(spec)


def test_a_default_of_nan_is_read_and_equal_to_itself():
    # MLflow writes it so, and its models must load.
    data = '[{"name": "p", "default": NaN, "shape": null, "type": "double"}]'
    schema = ParamSchema.from_json(data)
    assert repr(schema) == "['p': double (default: nan)]"
    assert schema == ParamSchema.from_json(data)
    assert enforce_params(None, schema)["p"] != enforce_params(None, schema)["p"]


def test_the_sign_of_zero_is_kept():
    spec = ParamSpec.from_json_dict(**ParamSpec("p", "double", -0.0).to_dict())
    assert str(spec.default) == "-0.0"
    assert str(spec.enforce(-0.0)) == "-0.0"


# --- schemas of params --------------------------------------------------------------------------------

T, K = ParamSpec("t", "long", 1), ParamSpec("k", "string", "x")


def test_a_schema_of_params():
    schema = ParamSchema([T, K])
    assert schema.params == list(schema) == [T, K]
    assert len(schema) == 2
    assert repr(schema) == "['t': long (default: 1), 'k': string (default: x)]"
    assert schema.to_dict() == [T.to_dict(), K.to_dict()]
    assert schema.to_json() == (
        '[{"name": "t", "default": 1, "shape": null, "type": "long"}, '
        '{"name": "k", "default": "x", "shape": null, "type": "string"}]'
    )
    assert schema != ParamSchema([K, T])
    assert schema != [T, K]
    assert hash(schema) == hash(ParamSchema.from_json(schema.to_json()))


def test_an_empty_schema_of_params():
    empty = ParamSchema([])
    assert (len(empty), empty.params, repr(empty), empty.to_json()) == (0, [], "[]", "[]")
    assert ParamSchema.from_json("[]") == empty
    assert enforce_params(None, empty) == {}


def test_a_schema_of_params_cannot_be_changed():
    params = [T]
    schema = ParamSchema(params)
    params.append(K)
    schema.params.clear()
    assert schema == ParamSchema([T])
    with pytest.raises(AttributeError):
        schema.params = []


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        (None, SignatureTypeError, "^ParamSchema: expected a list of ParamSpec, got None$"),
        ((T,), SignatureTypeError, "^ParamSchema: expected a list of ParamSpec, got a value of type tuple$"),
        (
            [T, 1],
            SignatureTypeError,
            "^ParamSchema: expected a list of ParamSpec, got a value of type int at position 1$",
        ),
        (
            [ParamSpec(name, "long", 1) for name in ("b", "a", "b", "x.y", "c", "a", "x.y")],
            SignatureError,
            r"^a ParamSchema has duplicate names: `x\.y`, a, b$",
        ),
        (
            [ParamSpec(1, "long", 1), ParamSpec("1", "long", 1)],
            SignatureError,
            "^a ParamSchema has duplicate names: 1$",
        ),
    ],
    ids=["none", "tuple", "element", "duplicates", "same-text"],
)
def test_what_is_no_schema_of_params_is_refused(params, error, text):
    with pytest.raises(error, match=text):
        ParamSchema(params)


# --- JSON that is not as it should be -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ({"name": "p", "dtype": "long", "default": 1}, ParamSpec("p", "long", 1)),
        ({"name": "p", "dtype": "long", "default": [1], "shape": [-1]}, ParamSpec("p", "long", [1], (-1,))),
        ({"name": "p", "type": "long", "default": 1}, ParamSpec("p", "long", 1)),
        ({"name": "p", "type": "long", "dtype": "long", "default": 1}, ParamSpec("p", "long", 1)),
        ({"name": 7, "type": "long", "default": 1}, ParamSpec("7", "long", 1)),
        ({"name": "p", "type": "datetime", "default": "2020-01-31"}, ParamSpec("p", "datetime", DATE)),
        (
            {"name": "p", "type": "object", "properties": {"cls": {"type": "long"}}, "default": {"cls": 1}},
            ParamSpec("p", Object([Property("cls", "long")]), {"cls": 1}),
        ),
    ],
    ids=["dtype", "dtype-list", "no-shape", "both", "name-int", "date", "cls"],
)
def test_older_and_other_json_is_read(entry, spec):
    assert ParamSpec.from_json_dict(**entry) == spec
    assert ParamSchema.from_json(json.dumps([entry])) == ParamSchema([spec])


@pytest.mark.parametrize(
    ("entry", "place", "text"),
    [
        (3, ("INVALID_VALUE", "[0]"), "expected a JSON object, got a value of type int"),
        ({}, ("INVALID_VALUE", "[0]"), "the JSON of a param lacks name, default, type"),
        ({"name": "p", "default": 1}, ("INVALID_VALUE", "[0]"), "the JSON of a param lacks type"),
        ({"type": "long", "default": 1}, ("INVALID_VALUE", "[0]"), "the JSON of a param lacks name"),
        (
            {"name": "p", "type": "long", "defualt": 1},
            ("INVALID_VALUE", "[0]"),
            r"the JSON of a param lacks default \(it has the unknown key defualt\)",
        ),
        (
            {"name": "p", "type": "long", "default": 1, "defualt": 2},
            ("UNKNOWN_KEY", "p.defualt"),
            "expected one of the keys type, name, default, shape, got an unknown key "
            r"\(did you mean 'default'\?\)",
        ),
        (
            {"name": "p", "type": "long", "default": 1, "properties": {}},
            ("UNKNOWN_KEY", "p.properties"),
            "got an unknown key",
        ),
        (
            {"name": "p", "type": "long", "dtype": "string", "default": 1},
            ("INVALID_VALUE", "[0]"),
            "the param p has both type and dtype, and they differ",
        ),
        ({"name": "p", "type": "long"}, ("INVALID_VALUE", "[0]"), "the JSON of a param lacks default"),
        (
            {"name": "p", "type": "x", "default": 1},
            ("INVALID_VALUE", "p"),
            "expected one of boolean, .*, got 'x'",
        ),
        ({"name": "a.b", "dtype": "x", "default": 1}, ("INVALID_VALUE", "`a.b`"), "got 'x'"),
        ({"name": "p", "type": 3, "default": 1}, ("INVALID_VALUE", "p"), "the name of a type, got a value"),
        ({"name": "p", "type": None, "default": 1}, ("INVALID_VALUE", "p"), "the name of a type, got None"),
        (
            {"name": "p", "type": "array", "items": {"type": "long"}, "default": [1]},
            ("INVALID_VALUE", "[0]"),
            r"the param p cannot be of type Array\(long\)",
        ),
        (
            {"name": "p", "type": "any", "default": 1},
            ("INVALID_VALUE", "[0]"),
            "the param p cannot be of type Any",
        ),
        ({"name": "p", "type": "array", "default": 1}, ("MISSING_KEY", "p"), 'the key "items"'),
        (
            {"name": "p", "type": "object", "properties": {"x": {}}, "default": {}},
            ("MISSING_KEY", "p.x"),
            'the key "type"',
        ),
        (
            {"name": "p", "type": "binary", "default": "x"},
            ("INVALID_VALUE", "p"),
            "expected binary, as base64 text, got text that is not base64",
        ),
        (
            {"name": "p", "type": "binary", "default": 1},
            ("TYPE_MISMATCH", "p"),
            "expected binary, got a value",
        ),
        ({"name": "p", "type": "long", "default": "x"}, ("TYPE_MISMATCH", "p"), "got a value of type str"),
        (
            {"name": "p", "type": "long", "default": 1, "shape": [2]},
            ("INVALID_VALUE", "[0]"),
            r"the shape of the param p: expected None, or \(-1,\) for a list, got \[2\]",
        ),
        (
            {"name": "p", "type": "long", "default": 1, "shape": [-1]},
            ("SHAPE_MISMATCH", "p"),
            "a list of long",
        ),
        ({"name": "p", "type": "long", "default": 10**30}, ("TYPE_MISMATCH", "p"), "an int beyond 64 bits"),
    ],
    ids=lambda v: json.dumps(v) if not isinstance(v, (str, tuple)) else "",
)
def test_a_malformed_entry_is_a_finding_with_its_path(entry, place, text):
    with pytest.raises(SignatureError, match=rf"^malformed signature JSON: 1 finding\n.*{text}") as caught:
        ParamSchema.from_json(json.dumps([entry]))
    assert places(caught.value) == [place]


def test_all_malformed_entries_are_reported_at_once():
    entries = [
        {"name": "a", "type": "x", "default": 1},
        {"name": "b", "type": "long", "default": 1},
        {"name": "c", "type": "long", "default": [1, "x", True], "shape": [-1]},
        None,
        {"name": "d", "type": "object", "properties": {"e": {}, "f": 1}, "default": {}},
        {"name": "g"},
    ]
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 7 findings\n") as caught:
        ParamSchema.from_json(json.dumps(entries))
    assert places(caught.value) == [
        ("INVALID_VALUE", "a"),
        ("TYPE_MISMATCH", "c[1]"),
        ("TYPE_MISMATCH", "c[2]"),
        ("INVALID_VALUE", "[3]"),
        ("MISSING_KEY", "d.e"),
        ("INVALID_VALUE", "d.f"),
        ("INVALID_VALUE", "[5]"),
    ]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", SignatureError, "^invalid JSON of params: Expecting value"),
        ("[" * 10_000, SignatureError, "^invalid JSON of params: nested too deeply$"),
        ("{}", SignatureError, "^the JSON of params: expected a list, got a value of type dict$"),
        (None, SignatureTypeError, "^the JSON of params: expected a string, got None$"),
        (
            '[{"name": "a", "type": "long", "default": 1}, {"name": "a", "type": "long", "default": 2}]',
            SignatureError,
            "^a ParamSchema has duplicate names: a$",
        ),
    ],
    ids=["empty", "deep", "dict", "None", "duplicates"],
)
def test_text_that_is_no_schema_of_params_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        ParamSchema.from_json(text)


@pytest.mark.parametrize("levels", [100, 400, 900, 10_000])
def test_a_default_nested_without_end_is_refused_without_a_crash(levels):
    deep = "[" * levels + "]" * levels
    text = (
        '[{"name": "p", "type": "object", "properties": {"x": {"type": "any"}}, "default": {"x": '
        + deep
        + "}}]"
    )
    schema = attempt(ParamSchema.from_json, text)
    if not isinstance(schema, SignatureError):
        assert ParamSchema.from_json(schema.to_json()) == schema
        assert enforce_params({}, schema) == {"p": schema.params[0].default}


# --- enforcing ----------------------------------------------------------------------------------------

SCHEMA = ParamSchema([T, K, ParamSpec("amount", "double", 0.5), ParamSpec("l", "integer", [1], (-1,))])
DEFAULTS = {"t": 1, "k": "x", "amount": 0.5, "l": [1]}


@pytest.mark.parametrize("params", [None, {}], ids=["none", "empty"])
def test_defaults_are_used_where_nothing_is_given(params):
    assert enforce_params(params, SCHEMA) == DEFAULTS
    assert enforce_params(params, None) == {}


def test_given_params_come_first_then_the_defaults_in_the_order_of_the_schema():
    enforced = enforce_params({"amount": 2, "t": np.int8(3)}, SCHEMA)
    assert enforced == {**DEFAULTS, "amount": 2.0, "t": 3}
    assert list(enforced) == ["amount", "t", "k", "l"]


def test_any_mapping_will_do():
    assert enforce_params(MappingProxyType({"t": 5}), SCHEMA) == {**DEFAULTS, "t": 5}


def test_unknown_params_are_dropped_with_one_warning():
    text = (
        r"^params unknown to the model are ignored: amuont \(did you mean 'amount'\?\); "
        r"T \(did you mean 't'\? Names are case sensitive\); `x\.y`$"
    )
    with pytest.warns(UnknownParamWarning, match=text) as caught:
        assert enforce_params({"amuont": 1, "T": 1, "t": 2, "x.y": object()}, SCHEMA) == {**DEFAULTS, "t": 2}
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert issubclass(UnknownParamWarning, UserWarning)


def test_without_a_schema_every_param_is_unknown():
    with pytest.warns(UnknownParamWarning, match="^params unknown to the model are ignored: a; b$"):
        assert enforce_params({"a": 1, "b": 2}, None) == {}


def test_known_params_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enforce_params({"t": 1}, SCHEMA)


@pytest.mark.parametrize("params", [[("t", 1)], "t", 5, {"t"}], ids=["pairs", "str", "int", "set"])
@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "no-schema"])
def test_params_are_a_dictionary(params, schema):
    with pytest.raises(
        ContractError, match=f"^params: expected a dictionary, got a value of type {type(params).__name__}$"
    ):
        enforce_params(params, schema)


def test_all_errors_are_reported_together_and_no_value_is_shown():
    secret = "4929-1234"
    params = {"t": secret, 5: 1, "k": 4929, "amount": True, "l": [1, secret, 2**31], ("a",): 1, "zzz": 1}
    with pytest.raises(ContractError, match=r"^invalid params: 7 findings\n") as caught:
        enforce_params(params, SCHEMA)
    assert sorted(places(caught.value)) == [
        ("INVALID_NAME", "('a',)"),
        ("INVALID_NAME", "5"),
        ("TYPE_MISMATCH", "amount"),
        ("TYPE_MISMATCH", "k"),
        ("TYPE_MISMATCH", "l[1]"),
        ("TYPE_MISMATCH", "l[2]"),
        ("TYPE_MISMATCH", "t"),
    ]
    assert "5: expected a string as name, got a value of type int [INVALID_NAME]" in str(caught.value)
    assert "4929" not in str(caught.value)


def test_the_dictionary_of_the_caller_is_never_changed():
    schema = ParamSchema([ParamSpec("p", NESTED, FITS), ParamSpec("l", "long", [1], (-1,))])
    params = {
        "p": {"a": [np.int8(1)], "c.d": {"even": np.int16(1)}, "g": [[1]]},
        "l": [np.int8(2)],
        "zzz": [1],
    }
    before = copy.deepcopy(params)
    with pytest.warns(UnknownParamWarning, match="zzz"):
        enforced = enforce_params(params, schema)
    enforced["p"]["g"][0].append(2)
    enforced["p"]["a"].append(2)
    enforced["l"].append(2)
    enforced["new"] = 1
    assert repr(params) == repr(before)


# --- laws ---------------------------------------------------------------------------------------------


@given(param_specs())
def test_a_spec_comes_back_from_its_json(spec):
    data = json.loads(json.dumps(spec.to_dict(), allow_nan=False))
    read = ParamSpec.from_json_dict(**data)
    assert read == spec
    assert hash(read) == hash(spec)
    assert repr(read) == repr(spec)
    assert read.to_dict() == spec.to_dict()


@given(param_schemas())
def test_json_round_trip(schema):
    read = ParamSchema.from_json(schema.to_json())
    assert read == schema
    assert repr(read) == repr(schema)
    assert json.loads(schema.to_json()) == schema.to_dict()
    for copied in copies(schema):
        assert copied == schema
        assert copied.to_json() == schema.to_json()


@given(param_schemas())
def test_defaults_pass_and_come_back_unchanged(schema):
    defaults = enforce_params({}, schema)
    assert list(defaults) == [spec.name for spec in schema]
    assert enforce_params(defaults, schema) == defaults
    assert all(spec.enforce(spec.default) == spec.default for spec in schema)


@given(st.one_of(json_values, st.lists(st.one_of(json_entries(), json_values), max_size=3)))
def test_only_signature_errors_come_out_of_hostile_json(data):
    schema = attempt(ParamSchema.from_json, json.dumps(data))
    if isinstance(schema, SignatureError):
        return
    enforce_params({}, schema)
    text = attempt(schema.to_json)
    if isinstance(text, SignatureError):
        assert "which JSON cannot represent" in text.message
    else:
        assert ParamSchema.from_json(text) == schema


@given(st.sampled_from([t for t in DataType if t is not DataType.binary]), json_values)
def test_each_value_fits_or_is_refused(dtype, value):
    spec = ParamSpec("p", dtype, None)
    result = attempt(spec.enforce, value)
    if isinstance(result, ContractError):
        assert places(result) == [("TYPE_MISMATCH", "p")]
    else:
        assert result is None or isinstance(result, dtype.to_python())
        assert spec.enforce(result) == result or result != result


def test_an_array_inside_an_object_is_no_value_of_json():
    spec = ParamSpec("o", Object([Property("any", AnyType())]), {"any": 1})
    text = r"o\.any: expected a value that JSON can represent, got a value of type ndarray"
    with pytest.raises(ContractError, match=text):
        enforce_params({"o": {"any": np.zeros(2)}}, ParamSchema([spec]))
