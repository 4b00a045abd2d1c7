"""Python values against signature types: exact ones untouched, widened, or refused by path, row and count."""

from __future__ import annotations

import array
import collections
import copy
import datetime
import decimal
import enum

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.engine.findings import FIRST_ROWS, LONG_HINT
from sparksig.engine.values import enforce_values
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case

UTC = datetime.timezone.utc
NOON = datetime.datetime(2020, 1, 1, 12)
POINT = Object([Property("x", "long"), Property("y", "double", False)])
TEXTS = Object([Property("s", "string")])
RANGE = "(replace them or filter the rows: models receive timestamps in nanoseconds) [OUT_OF_RANGE]"


def enforced(values, dtype, required=True, **options):
    """Enforce a column without changing it: return the result and the lines of its findings."""
    original = copy.deepcopy(values)
    findings = []
    result = enforce_values(values, dtype, "p", findings, required=required, **options)
    assert repr(values) == repr(original)
    return result, [str(finding) for finding in findings]


def lines(values, dtype, required=True, **options):
    return enforced(values, dtype, required, **options)[1]


def assert_same(left, right):
    """Values alike to their types, at any depth."""
    assert type(left) is type(right)
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    elif isinstance(left, (list, dict)):
        assert len(left) == len(right)
        keys = left if isinstance(left, dict) else range(len(left))
        for key in keys:
            assert_same(left[key], right[key])
    else:
        assert left == right or (left != left and right != right)


# --- as declared ----------------------------------------------------------------------------------------

EXACT = [
    ([], "long"),
    ([True, False], "boolean"),
    ([2**31 - 1, -(2**31)], "integer"),
    ([2**63 - 1, -(2**63)], "long"),
    ([1.5, -0.0, float("nan"), float("inf")], "double"),
    (["a", "", "\0", "ä"], "string"),
    ([b"a", b"", b"\0"], "binary"),
    (["a", None], "string"),
    ([None, None], "datetime"),
    ([[1, 2], [], [3]], Array("long")),
    ([[1, None], None], Array("long")),
    ([[["a"], [None]], []], Array(Array("string"))),
    ([[1.5]], SparkMLVector()),
    ([np.array([1.5]), np.array([])], Array("double")),
    ([np.array([1.5], "float32")], Array("float")),
    ([np.array([1]), None], Array("long")),
    ([np.array([True])], Array("boolean")),
    ([np.array(["2020", "NaT"], "datetime64[ns]")], Array("datetime")),
    ([{"x": 1}, {"x": 2, "y": 1.5}, {"y": None, "x": 0}], POINT),
    ([{"a": 1}, {}, {"b": None}, None], Map("long")),
    ([[{"x": 1}], []], Array(POINT)),
    ([{"k": {"s": None}}], Map(TEXTS)),
    ([object(), 1, None, {1: {2}}], AnyType()),
    ([[object(), None]], Array(AnyType())),
]


@pytest.mark.parametrize("options", [{}, {"forbid": True}, {"show_values": True}], ids=describe_case)
@pytest.mark.parametrize(("values", "dtype"), EXACT, ids=describe_case)
def test_values_of_the_declared_type_are_returned_themselves(values, dtype, options):
    findings = []
    dtype = DataType[dtype] if isinstance(dtype, str) else dtype
    assert enforce_values(values, dtype, "p", findings, required=True, **options) is values
    assert findings == []


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


WIDENED = [
    ([1, -(2**53), 2**53], "double", [1.0, -(2.0**53), 2.0**53]),
    ([1.5, 2], "double", [1.5, 2.0]),
    ([np.float32(0.1), np.uint32(2**32 - 1)], "double", [float(np.float32(0.1)), 2.0**32 - 1]),
    ([np.float64(0.1)], "double", [0.1]),
    ([np.int8(1), np.uint16(2), 3], "integer", [1, 2, 3]),
    ([np.int64(2**53 + 1), 5], "long", [2**53 + 1, 5]),
    ([Colour.RED, 2], "long", [1, 2]),
    ([0.5, 2**24, float("inf")], "float", [0.5, 2.0**24, float("inf")]),
    ([float("nan")], "float", [float("nan")]),
    ([np.float16(0.5)], "float", [0.5]),
    ([np.bool_(True)], "boolean", [True]),
    ([np.str_("a"), Text("b")], "string", ["a", "b"]),
    ([np.bytes_(b"a"), bytearray(b"b\0")], "binary", [b"a", b"b\0"]),
    ([1, None], "double", [1.0, None]),

    ([Text("a"), None, pd.NA, pd.NaT, float("nan")], "string", ["a", None, None, None, None]),
    ([datetime.date(2020, 1, 1), NOON], "datetime", [datetime.datetime(2020, 1, 1), NOON]),
    ([NOON.replace(tzinfo=UTC)], "datetime", [NOON]),
    ([pd.Timestamp("2020-07-01 05", tz="America/New_York")], "datetime", [pd.Timestamp("2020-07-01 05")]),
    ([[1], [2.5, None]], Array("double"), [[1.0], [2.5, None]]),
    ([np.array([1], "int32")], Array("long"), [np.array([1])]),
    ([np.array([1.5], ">f4"), [1]], Array("double"), [np.array([1.5]), [1.0]]),
    ([np.array([1, 2.5, None], object)], Array("double"), [[1.0, 2.5, None]]),
    ([np.array(["a", "bc"])], Array("string"), [["a", "bc"]]),
    ([np.array([b"a"])], Array("binary"), [[b"a"]]),
    ([np.array(["2020"], "datetime64[D]")], Array("datetime"), [[pd.Timestamp(2020, 1, 1)]]),
    ([np.array([[1.0, 2.0]])], Array(Array("double")), [[np.array([1.0, 2.0])]]),
    ([[datetime.date(2020, 1, 1)]], Array("datetime"), [[datetime.datetime(2020, 1, 1)]]),
    ([np.array([1], "int8")], SparkMLVector(), [np.array([1.0])]),
    ([{"y": 1, "x": np.int32(2)}], POINT, [{"y": 1.0, "x": 2}]),
    ([{"x": 1, "more": 2, 3: 4}], POINT, [{"x": 1}]),
    ([collections.OrderedDict(x=1), collections.UserDict(x=2)], POINT, [{"x": 1}, {"x": 2}]),
    ([{"a": np.int8(1)}], Map("long"), [{"a": 1}]),
    ([{"a": [1, 2.5]}], Map(Array("double")), [{"a": [1.0, 2.5]}]),
    ([[{"x": 1, "y": 2}], None], Array(POINT), [[{"x": 1, "y": 2.0}], None]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "dtype", "expected"), WIDENED, ids=describe_case)
def test_narrower_values_are_widened(values, dtype, expected):
    dtype = DataType[dtype] if isinstance(dtype, str) else dtype
    result, findings = enforced(values, dtype)
    assert findings == []
    assert_same(list(result), expected)


UNITS = ["Y", "M", "D", "h", "m", "s", "ms", "us", "ns"]


@pytest.mark.parametrize("unit", UNITS, ids=describe_case)
def test_numpys_times_of_every_unit(unit):
    value = np.datetime64("2020-01-01", unit)
    assert enforced([value], DataType.datetime) == ([pd.Timestamp("2020-01-01")], [])
    assert enforced([np.array([value])], Array("datetime"))[1] == []
    fine = np.datetime64("1969-12-31T23:59:59.999999999", unit)
    assert enforced([fine], DataType.datetime) == ([pd.Timestamp(fine.astype("M8[ns]"))], [])


@pytest.mark.parametrize(
    "value",
    [
        np.datetime64("2300-01-01", "D"),
        np.datetime64("1500", "Y"),
        np.datetime64(5, "ps"),
        np.datetime64(5, "as"),
        datetime.date(1500, 1, 1),
        datetime.datetime(2300, 1, 1),
        datetime.datetime(2300, 1, 1, tzinfo=UTC),
        datetime.datetime.max,
        datetime.date.min,
    ],
    ids=describe_case,
)
def test_times_out_of_the_range_of_nanoseconds(value):
    expected = "timestamps from 1677-09-21 to 2262-04-11, got timestamps outside this range"
    text = f"p: expected {expected}, once, first in row 1 {RANGE}"
    assert lines([NOON, value], DataType.datetime) == [text]
    assert lines([[], [value]], Array("datetime")) == [text.replace("p:", "p[]:")]


@pytest.mark.parametrize("text", ["2300-01-01", "1500-01-01"])
def test_timestamps_of_other_units_are_bounded_like_all_times(text):
    value = pd.Timestamp(np.datetime64(text, "s"))
    [line] = lines([value], DataType.datetime)
    assert line.endswith(RANGE)


@given(st.integers(-(2**54), 2**54))
def test_an_int_is_a_double_as_long_as_it_is_the_same_number(number):
    result, findings = enforced([number], DataType.double)
    if abs(number) <= 2**53:
        assert (result, findings, type(result[0])) == ([number], [], float)
    else:
        assert len(findings) == 1


@given(st.floats(allow_nan=False))
def test_a_float_is_a_float32_only_if_it_is_one(number):
    with np.errstate(over="ignore"):
        exact = float(np.float32(number)) == number
    assert lines([number], DataType.float) == (
        []
        if exact
        else [
            "p: expected float, got a float that is not exactly a float32, once, first in row 0 "
            "[TYPE_MISMATCH]"
        ]
    )


# --- refused --------------------------------------------------------------------------------------------

REFUSED = [
    (2**53 + 1, "double", "an int that double cannot hold exactly"),
    (np.int64(1), "double", "NumPy's int64"),
    (np.int64(1), "integer", "NumPy's int64"),
    (2**31, "integer", "an int beyond 32 bits"),
    (2**63, "long", "an int beyond 64 bits"),
    (1.0, "long", "a float"),
    (2**24 + 1, "float", "an int that float cannot hold exactly"),
    (np.float64(0.5), "float", "NumPy's float64"),
    (1, "boolean", "a value of type int"),
    (True, "long", "a value of type bool"),
    (True, "double", "a value of type bool"),
    (np.bool_(True), "long", "NumPy's bool"),
    ("1", "long", "a value of type str"),
    (1, "string", "a value of type int"),
    (b"a", "string", "a value of type bytes"),
    ("a", "binary", "a value of type str"),
    ("2020-01-01", "datetime", "a value of type str"),
    (datetime.time(1), "datetime", "a value of type time"),
    (pd.Timedelta(1, "s"), "datetime", "a value of type Timedelta"),
    (np.timedelta64(1, "s"), "long", "NumPy's timedelta64[s]"),
    (decimal.Decimal(1), "double", "a value of type Decimal"),
    (1j, "double", "a value of type complex"),
    ([1], "long", "a value of type list"),
    (np.array(1), "long", "a value of type ndarray"),
]


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize(("value", "dtype", "actual"), REFUSED, ids=describe_case)
def test_lossy_conversion_is_refused(value, dtype, actual, required):
    dtype = DataType[dtype]
    findings = []
    result = enforce_values([None, value], dtype, "p", findings, required=required)
    assert result[1] is value
    end = f"({LONG_HINT}) [OUT_OF_RANGE]" if "64 bits" in actual else "[TYPE_MISMATCH]"
    text = f"p: expected {dtype.name}, got {actual}, once, first in row 1 {end}"
    assert str(findings[-1]) == text
    assert lines([[value]], Array(dtype)) == [
        f"p[]: expected {dtype.name}, got {actual}, once, first in row 0 {end}"
    ]


SEQUENCES = {
    "tuple": (1, 2),
    "range": range(1, 3),
    "array": array.array("q", [1, 2]),
    "deque": collections.deque([1, 2]),
    "Series": pd.Series([1, 2], index=["p", "q"]),
    "nullable Series": pd.Series([1, 2], dtype="Int64"),
    "Index": pd.Index([1, 2]),
    "Categorical": pd.Categorical([1, 2]),
    "Arrow array": pa.array([1, 2]),
    "Arrow chunks": pa.chunked_array([[1], [2]]),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_is_an_array(name):
    findings = []
    [back] = enforce_values([SEQUENCES[name]], Array("long"), "p", findings, required=True)
    assert findings == []
    assert list(back) == [1, 2]


@pytest.mark.parametrize("name", ["Series", "nullable Series", "Index", "Categorical"])
def test_a_sequence_with_a_dtype_is_judged_by_it(name):
    text = f"p[]: expected double, got int64, once, first in row 0 ({DIGITS}) [TYPE_MISMATCH]"
    assert lines([SEQUENCES[name]], Array("double")) == [text]


@pytest.mark.parametrize(
    "texts",
    [("a", None), pd.Index(["a", None]), pd.Series(["a", None]), pd.Series(["a", None], dtype="string")],
    ids=["tuple", "Index", "Series", "string Series"],
)
def test_a_missing_text_in_a_sequence_is_none(texts):
    assert list(enforce_values([texts], Array("string"), "p", [], required=True)[0]) == ["a", None]


def test_times_in_a_series_are_times():
    times = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"]))
    assert enforce_values([times], Array("datetime"), "p", [], required=True)[0] == times.tolist()


@pytest.mark.parametrize(
    "value", [{1}, np.array(1), "ab", b"ab", memoryview(b"ab"), {"a": 1}, iter([1]), 5], ids=describe_case
)
def test_other_values_are_refused_for_an_array(value):
    findings = []
    enforce_values([value], Array("long"), "p", findings, required=True)
    text = f"p: expected Array(long), got a value of type {type(value).__name__}, once, first in row 0"
    assert [str(finding) for finding in findings] == [f"{text} [TYPE_MISMATCH]"]


DIGITS = "beyond 2^53 a double loses digits: cast it explicitly, or declare it long"
HUGE = "values beyond 2^63 fit no signature type: cast it explicitly"
ARRAYS = [
    (np.array([1]), "double", "int64", DIGITS),
    (np.array([1]), "integer", "int64", "it would be narrowed: cast it explicitly, or declare it long"),
    (np.array([0.5]), "float", "float64", "it would be narrowed: cast it explicitly, or declare it double"),
    (np.array([], "float64"), "long", "float64", "cast it explicitly, or declare it double"),
    (np.array([True]), "long", "bool", "cast it explicitly, or declare it boolean"),
    (np.array([1], "uint64"), "long", "uint64", HUGE),
]  # fmt: skip


@pytest.mark.parametrize(("array", "dtype", "actual", "hint"), ARRAYS, ids=describe_case)
def test_an_array_is_judged_by_its_dtype(array, dtype, actual, hint):
    text = f"p[]: expected {dtype}, got {actual}, once, first in row 1 ({hint}) [TYPE_MISMATCH]"
    assert lines([[], array], Array(dtype)) == [text]


def test_masked_values_are_refused():
    values = [np.ma.array([1.0, 2.0], mask=[False, True])]
    text = (
        "p[]: expected arrays without masked values, got masked values, once, first in row 0 [INVALID_VALUE]"
    )
    assert lines(values, Array("double")) == [text]
    assert lines([np.ma.array([1.0])], Array("double")) == []


def test_rows_are_counted_and_the_first_are_named():
    values = ["a"] * 3 + [1] + ["a"] * 4 + [2.5]
    assert FIRST_ROWS == 5
    assert lines(values, DataType.long) == [
        "p: expected long, got a value of type str, 7 times, first in rows 0, 1, 2, 4, 5 [TYPE_MISMATCH]",
        "p: expected long, got a float, once, first in row 8 [TYPE_MISMATCH]",
    ]
    assert lines([[1, "a", "b"], [2], ["c"]], Array("long")) == [
        "p[]: expected long, got a value of type str, 2 times, first in rows 0, 2 [TYPE_MISMATCH]"
    ]


def test_paths_lead_into_what_is_nested():
    deep = Object([Property("a.b", Array(Map(POINT)))])
    good, bad = {"x": 1}, {"x": "s"}
    values = [
        {"a.b": [{"k": good}, {"k": bad}]},
        {"a.b": [{"k": {}}]},
        {"a.b": [5]},
        {"a.b": 5},
        5,
        {"ab": 1},
    ]
    names = [line.partition(": expected")[0] for line in lines(values, deep)]
    assert names == ["p.`a.b`[][].x", "p.`a.b`[][].x", "p.`a.b`[]", "p.`a.b`", "p", "p.`a.b`"]


def test_properties_and_keys():
    assert lines([{"X": 1}, {}], POINT) == [
        "p.x: expected long, got no such field, 2 times, first in rows 0, 1 "
        "(did you mean 'X'? Names are case sensitive) [MISSING_FIELD]",
    ]
    assert lines([{1: 1}, {"a": 1, None: 2}], Map("long")) == [
        "p: expected string keys, got keys of type int, once, first in row 0 [INVALID_NAME]",
        "p: expected string keys, got keys of type NoneType, once, first in row 1 [INVALID_NAME]",
    ]


def test_keys_that_are_not_declared_are_dropped_or_forbidden():
    values = [{"x": 1, "z": 9}, {"x": 2, 3: 9}]
    assert enforced(values, POINT) == ([{"x": 1}, {"x": 2}], [])
    expected = "expected only declared keys, got an undeclared key, once, first in row"
    assert lines(values, POINT, forbid=True) == [
        f"p.z: {expected} 0 [UNKNOWN_KEY]",
        f"p.3: {expected} 1 [UNKNOWN_KEY]",
    ]
    assert lines([{"a": values[0]}], Map(POINT), forbid=True) == [f"p[].z: {expected} 0 [UNKNOWN_KEY]"]


# --- nulls ----------------------------------------------------------------------------------------------

NULLS = [None, pd.NA, pd.NaT, float("nan")]


@pytest.mark.parametrize("null", NULLS, ids=describe_case)
def test_a_null_in_what_is_required(null):
    text = "expected long without nulls, got nulls, 2 times, first in rows 0, 2"
    text += " (declare it optional, or double)"
    assert lines([null, 1, null], DataType.long) == [f"p: {text} [NULL_IN_REQUIRED]"]
    nested = [{"x": null}, {"x": 1}, {"x": null}]
    assert lines(nested, POINT) == [f"p.x: {text} [NULL_IN_REQUIRED]"]
    text = "p: expected boolean without nulls, got nulls, once, first in row 0 (declare it optional)"
    assert lines([null], DataType.boolean) == [f"{text} [NULL_IN_REQUIRED]"]


@pytest.mark.parametrize("null", [None, pd.NA, pd.NaT], ids=describe_case)
def test_nulls_elsewhere_pass_unless_asked_for(null):
    assert lines([None], DataType.long, required=False, strict=True) == []
    assert lines([{"s": null}], TEXTS) == []
    assert lines([{"s": null}], TEXTS, strict=True) == [
        "p.s: expected string without nulls, got nulls, once, first in row 0 "
        "(declare it optional) [NULL_IN_REQUIRED]"
    ]
    assert lines([{"x": 1, "y": null}, None], POINT, required=False, strict=True) == []
    assert lines([[null]], Array("long"), strict=True) == []
    assert lines([{"k": null}], Map("long"), strict=True) == []


@pytest.mark.parametrize("null", [None, pd.NA, pd.NaT], ids=describe_case)
@pytest.mark.parametrize(
    "dtype",
    [DataType.string, DataType.double, DataType.datetime, Array("long"), POINT, AnyType()],
    ids=describe_case,
)
def test_nulls_pass_unless_they_are_strict(null, dtype):
    assert lines([null], dtype) == []
    assert lines([null], dtype, required=False, strict=True) == []
    [line] = lines([null], dtype, strict=True)
    assert line.endswith(
        "without nulls, got nulls, once, first in row 0 (declare it optional) [NULL_IN_REQUIRED]"
    )


def test_not_a_number_is_a_double():
    assert lines([float("nan")], DataType.double, strict=True) == []
    assert lines([{"s": float("nan")}], Object([Property("s", "double")]), strict=True) == []


NO_TIMES = [np.datetime64("NaT"), np.datetime64("NaT", "us")]


@pytest.mark.parametrize("null", NO_TIMES, ids=describe_case)
def test_numpys_nat_is_a_null(null):
    assert enforced([null], DataType.datetime) == ([None], [])
    assert lines([null], DataType.datetime, strict=True)[0].endswith("[NULL_IN_REQUIRED]")


@pytest.mark.parametrize("unit", UNITS, ids=describe_case)
def test_nat_of_each_unit_in_an_array_is_null(unit):
    assert lines([np.array(["2020", "NaT"], f"datetime64[{unit}]")], Array("datetime")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("string", Text("a")), ("double", 1), ("long", np.int64(1))],
    ids=["string", "double", "long"],
)
@pytest.mark.parametrize("null", [pd.NA, pd.NaT], ids=describe_case)
def test_null_becomes_none_beside_any_value(null, name, value):
    dtype = Object([Property("v", name, False)])
    assert enforced([{"v": null}], dtype)[0][0]["v"] is None
    assert enforced([{"v": null}, {"v": value}], dtype)[0][0]["v"] is None


@pytest.mark.parametrize("values", [["\ud800"], ["\ud800", np.str_("a")]], ids=describe_case)
def test_lone_surrogate_is_refused_beside_any_value(values):
    text = "expected Unicode text, got a lone surrogate, once, first in row 0 [INVALID_VALUE]"
    assert lines(values, DataType.string) == [f"p: {text}"]
    assert lines([values], Array("string")) == [f"p[]: {text}"]


# --- findings, and changes of the data ------------------------------------------------------------------

_SECRETS = st.sampled_from(
    [
        "s3cret",
        b"s3cret",
        ["s3cret"],
        {"s3cret_": "s3cret"},
        Text("s3cret"),
        np.str_("s3cret"),
        {"x": "s3cret"},
    ]
)
_TYPES = st.sampled_from(
    [*DataType, Array("long"), Array("string"), POINT, Map("long"), Map(POINT), Array(Array("double"))]
)


@given(st.lists(_SECRETS, min_size=1, max_size=4), _TYPES, st.booleans())
def test_values_are_hidden_by_default(values, dtype, strict):
    for line in lines(values, dtype, strict=strict):
        assert "s3cret" not in line


def test_values_are_shown_when_asked_for_and_cut():
    assert lines(["s3cret"], DataType.long, show_values=True) == [
        "p: expected long, got a value of type str: 's3cret', once, first in row 0 [TYPE_MISMATCH]"
    ]
    [line] = lines([{"x": "x" * 999}], POINT, show_values=True)
    assert len(line) < 160


def test_the_number_of_findings_is_bounded_when_values_are_shown():
    assert len(lines([f"v{row}" for row in range(1000)], DataType.long, show_values=True)) < 100


VALUES = st.recursive(
    st.one_of(
        st.sampled_from(NULLS),
        st.booleans(),
        st.integers(-(2**65), 2**65),
        st.floats(),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.datetimes(),
        st.dates(),
        st.sampled_from([np.int8(1), np.float32(0.5), np.str_("a"), np.datetime64("2020"), np.array([1.5])]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xya"), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.lists(VALUES, max_size=4), _TYPES, st.booleans(), st.booleans(), st.booleans())
def test_any_values_are_judged_without_being_touched(values, dtype, required, strict, forbid):
    result, findings = enforced(values, dtype, required, strict=strict, forbid=forbid)
    assert len(result) == len(values)
    if findings:
        return
    again, more = enforced(list(result), dtype, required, strict=strict, forbid=forbid)
    assert more == []
    assert repr(list(again)) == repr(list(result))  # a widened value does not change again


@given(st.lists(VALUES, max_size=4), _TYPES, st.booleans())
def test_a_row_is_judged_by_itself(values, dtype, required):
    expected = lines(values, dtype, required)
    rows = [lines([value], dtype, required) for value in values]
    assert bool(expected) == any(rows)


CELLS = [
    (1, 2),
    range(1, 3),
    pd.Series([1, 2]),
    pd.Index([1, 2]),
    pd.array([1, 2], dtype="Int64"),
    pa.array([1, 2]),
]


@pytest.mark.parametrize("value", CELLS, ids=[type(value).__name__ for value in CELLS])
def test_one_dimensional_sequences_are_arrays(value):
    findings = []
    [cell] = enforce_values([value], Array("long"), "p", findings, required=True)
    assert (findings, list(cell)) == ([], [1, 2])
    enforce_values([value], Array("string"), "p", findings, required=True)
    assert findings[0].path == "p[]"
    assert findings[0].expected == "string"
