"""JSON <-> values of the signature types: round trips are exact, and no text is parsed."""

from __future__ import annotations

import base64
import contextlib
import datetime
import decimal
import enum
import json
import math
import zoneinfo
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sparksig.convert.json import (
    Number,
    column_from_json,
    dumps,
    from_json,
    loads,
    nearest_float32,
    to_json,
    to_plain,
)
from sparksig.errors import Code, ConversionError
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests import strategies
from tests.cases import describe_case

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
UNWRITABLE = "the value cannot be written as JSON: 1 finding\n  - "


def strict(text):
    """Read JSON as the standard defines it: without NaN and infinities."""

    def refused(constant):
        raise AssertionError(f"a bare {constant}")

    return json.loads(text, parse_constant=refused)


def again(value, dtype):
    """A value written, read by the standard, and read back."""
    text = dumps(to_json(value))
    strict(text)
    actual = from_json(loads(text), dtype)
    assert key(from_json(loads(text, exact=True), dtype)) == key(actual)
    return actual


def key(value):
    """Return a key that differs if any bit differs: types, signs of zeros, NaNs, time zones."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, datetime.datetime):
        return ("time", pd.Timestamp(value).tz_localize(None).isoformat(), str(value.utcoffset()))
    if isinstance(value, datetime.date):
        return key(datetime.datetime(value.year, value.month, value.day))
    if isinstance(value, list):
        return ("list", [key(item) for item in value])
    if isinstance(value, dict):
        return ("dict", {name: key(item) for name, item in value.items()})
    return (type(value).__name__, value)


# --- there and back ---------------------------------------------------------------------------------------

_zones = st.one_of(
    st.none(),
    st.integers(-14 * 60, 14 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m))),
    st.sampled_from([datetime.timezone.utc, BERLIN]),
)
_nanoseconds = st.integers(-(2**62), 2**62).map(lambda nanos: pd.Timestamp(nanos, unit="ns"))
LEAVES = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-(2**31), 2**31 - 1),
    DataType.long: st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)])),
    DataType.float: st.floats(width=32),
    DataType.double: st.floats(),
    DataType.string: st.text(max_size=8),
    DataType.binary: st.binary(max_size=8),
    DataType.datetime: st.one_of(
        st.dates(), st.datetimes(timezones=_zones.filter(lambda zone: zone is not BERLIN)), _nanoseconds
    ),
}


@st.composite
def values(draw, dtype):
    """Generate a value of a type, sometimes null; a nested NaN does not count as null."""
    if draw(st.integers(0, 5)) == 0:
        return None
    if isinstance(dtype, DataType):
        return draw(LEAVES[dtype])
    if isinstance(dtype, (Array, SparkMLVector)):
        return draw(st.lists(values(dtype.dtype), max_size=3))
    if isinstance(dtype, Map):
        return draw(st.dictionaries(st.text(max_size=3), values(dtype.value_type), max_size=3))
    if isinstance(dtype, Object):
        properties = [p for p in dtype.properties if p.required or draw(st.booleans())]
        return {p.name: draw(values(p.dtype)) for p in properties}
    return draw(
        st.recursive(_told, lambda value: st.lists(value) | st.dictionaries(st.text(), value), max_leaves=3)
    )


_told = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)
)
typed_values = strategies.types.flatmap(lambda dtype: st.tuples(values(dtype), st.just(dtype)))


@given(typed_values)
def test_a_value_of_any_type_comes_back_to_the_bit(pair):
    value, dtype = pair
    top = isinstance(value, float) and math.isnan(value)
    assert key(again(value, dtype)) == key(None if top else value)


@given(st.sampled_from(list(DataType)).flatmap(lambda t: st.tuples(st.lists(values(t)), st.just(t))))
def test_a_list_of_any_scalar_comes_back_to_the_bit(pair):
    column, dtype = pair
    assert key(again(column, Array(dtype))) == key(column)
    assert key(again({"a": column}, Map(Array(dtype)))) == key({"a": column})


EDGES = [
    (2**63 - 1, DataType.long),
    (-(2**63), DataType.long),
    (-0.0, DataType.double),
    (-0.0, DataType.float),
    (5e-324, DataType.double),
    (1.7976931348623157e308, DataType.double),
    (math.inf, DataType.double),
    (-math.inf, DataType.float),
    ('\u2028 \x00 \\ " é 日本 \U0001f600', DataType.string),
    (b"", DataType.binary),
    (bytes(range(256)), DataType.binary),
    (datetime.datetime(1, 1, 1), DataType.datetime),
    (datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), DataType.datetime),
    (pd.Timestamp.max, DataType.datetime),
    (pd.Timestamp("2020-01-01T12:00:00.000000001+05:30"), DataType.datetime),
    (pd.Timestamp("2020-06-01T12:00", tz=BERLIN), DataType.datetime),
    (datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), DataType.datetime),
    (datetime.datetime(1880, 1, 1, tzinfo=BERLIN), DataType.datetime),  # an offset with seconds
    ([None, math.nan, math.inf, -0.0], SparkMLVector()),
    ([[], [None], None, [[]]], AnyType()),
    ({"": None, "a.b": [math.nan], "`": [math.inf]}, Map(Array("double"))),
]


@pytest.mark.parametrize(("value", "dtype"), EDGES, ids=describe_case)
def test_the_edges_come_back(value, dtype):
    assert key(again(value, dtype)) == key(value)
    assert key(again([value], Array(dtype))) == key([value])


class Colour(str, enum.Enum):
    RED = "red"


class Order(BaseModel):
    sku: str
    day: datetime.date
    photo: bytes


OTHERS = [
    (np.float32(0.1), DataType.float, float(np.float32(0.1))),
    (np.float16(0.1), DataType.double, float(np.float16(0.1))),
    (np.int64(2**63 - 1), DataType.long, 2**63 - 1),
    (np.uint8(7), DataType.integer, 7),
    (np.bool_(True), DataType.boolean, True),
    (np.str_("x"), DataType.string, "x"),
    (np.bytes_(b"\xff"), DataType.binary, b"\xff"),
    (bytearray(b"\xff"), DataType.binary, b"\xff"),
    (np.datetime64("2020-01-01T00:00:00.000000001"), DataType.datetime, pd.Timestamp(1577836800000000001)),
    (np.datetime64("2020-02", "M"), DataType.datetime, datetime.datetime(2020, 2, 1)),
    (np.datetime64("NaT"), DataType.datetime, None),
    (pd.NaT, DataType.datetime, None),
    (pd.NA, DataType.long, None),
    (np.float64("nan"), DataType.double, None),
    (math.nan, DataType.double, None),
    ([math.nan, None], Array("double"), [math.nan, None]),
    ((1, 2), Array("long"), [1, 2]),
    (np.array([[1, 2], [3, 4]], "int8"), Array(Array("long")), [[1, 2], [3, 4]]),
    (np.array([0.5, math.nan]), Array("double"), [0.5, math.nan]),
    (np.array(5), DataType.long, 5),
    (Decimal("1.5"), DataType.double, 1.5),
    (Decimal("7"), DataType.long, 7),
    (Colour.RED, DataType.string, "red"),
    (enum.IntEnum("Level", "LOW")(1), DataType.long, 1),
    (
        Order(sku="a", day=datetime.date(2020, 1, 1), photo=b"x"),
        Object([Property("sku", "string"), Property("day", "datetime"), Property("photo", "binary")]),
        {"sku": "a", "day": datetime.datetime(2020, 1, 1), "photo": b"x"},
    ),
]


@pytest.mark.parametrize(("value", "dtype", "expected"), OTHERS, ids=describe_case)
def test_what_numpy_pandas_and_pydantic_have_comes_back_as_python_values(value, dtype, expected):
    assert key(again(value, dtype)) == key(expected)


# --- numbers are decimal text -------------------------------------------------------------------------------


def nearest_by_fractions(text):
    """By fractions: the nearest of the two around, and of two as near the even one."""
    exact, near = Fraction(text), np.float32(text)
    around = [near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))]
    by = {float(value): int(value.view(np.uint32)) & 1 for value in around if np.isfinite(value)}
    return min(by, key=lambda value: (abs(Fraction(value) - exact), by[value]))


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**126), max_value=2.0**126),
    st.data(),
)
def test_a_float_is_the_nearest_of_the_numbers_text(value, data):
    other = float(np.nextafter(np.float32(value), np.float32(np.inf)))
    tie = (Decimal(value) + Decimal(other)) / 2  # of 28 digits
    text = data.draw(st.sampled_from([str(tie), f"{tie:f}", str(Decimal(value)), repr(value), repr(other)]))
    text += "" if set(text) & set(".E e") else ".0"  # an integer is a value of the type, or none
    assert from_json(loads(text, exact=True), DataType.float) == nearest_by_fractions(text)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), st.data())
def test_many_floats_are_the_nearest_as_each_is(floats, data):
    texts = []
    for value in floats:
        other = float(np.nextafter(np.float32(value), np.float32(0)))
        tie = Fraction(value) / 2 + Fraction(other) / 2
        exact = str(Decimal(tie.numerator) / Decimal(tie.denominator))
        texts.append(Number(data.draw(st.sampled_from([exact, repr(value), repr(value / 3)]))))
    expected = [from_json(text, DataType.float) for text in texts]
    assert key(nearest_float32(texts).tolist()) == key([float(item) for item in expected])


TIE = "1.000000059604644775390625"  # halfway between 1 and the next float32
ABOVE = 1.0000001192092896


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TIE, 1.0),
        (TIE + "1", ABOVE),
        (TIE + "0" * 40 + "1", ABOVE),
        (TIE + "e0", 1.0),
        ("1.000000178813934326171875", 1.000000238418579),  # the next tie: to the even one above
        ("16777217.0", 16777216.0),
        ("16777216", 16777216.0),
        ("16777217", 2**24 + 1),
        ("16777217." + "0" * 60 + "1", 16777218.0),
        ("1e-46", 0.0),
        ("-1e-46", -0.0),
        ("7.006492321624085e-46", 0.0),  # below half of the least
        ("7.0064923216240854e-46", 1.401298464324817e-45),
    ],
    ids=describe_case,
)
def test_ties_of_floats_go_to_the_even_one_and_else_nothing_is_a_tie(text, expected):
    assert key(from_json(loads(text, exact=True), DataType.float)) == key(expected)


def test_a_float_does_not_depend_on_the_callers_decimal_context():
    with decimal.localcontext() as context:
        context.prec, context.traps[decimal.Inexact] = 3, True
        assert from_json(loads("16777217.5", exact=True), DataType.float) == 16777218.0


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("7.0", DataType.long, 7),
        ("7e2", DataType.long, 700),
        ("9223372036854775807", DataType.long, 2**63 - 1),
        ("-0.0", DataType.long, 0),
        ("9007199254740993", DataType.double, 2**53 + 1),
        ("-9007199254740992", DataType.double, -(2.0**53)),
        ("9007199254740993.0", DataType.double, 2.0**53),
        ("0.1", DataType.double, 0.1),
        ("-0.0", DataType.double, -0.0),
        ("1e-400", DataType.double, 0.0),
        ("NaN", DataType.double, math.nan),  # MLflow's bare one
        ("-Infinity", DataType.float, -math.inf),
        ('"NaN"', DataType.double, math.nan),
        ('"Infinity"', DataType.float, math.inf),
        ('"-Infinity"', DataType.double, -math.inf),
        ('"NaN"', DataType.string, "NaN"),
        ("[1, 2.0, 1e2, true, null]", AnyType(), [1, 2.0, 100.0, True, None]),
        ('{"a": 1.0, "more": 2.0}', Object([Property("a", "long")]), {"a": 1, "more": 2.0}),
        ('"eA=="', DataType.binary, b"x"),
        ('"eA==\\n"', DataType.binary, b"x"),  # MLflow's
        ('"ZWVl\\nZWVl"', DataType.binary, b"eeeeee"),
    ],
    ids=describe_case,
)
def test_numbers_and_texts_are_read_by_their_declared_type(text, dtype, expected, exact):
    content = loads(text, exact=exact)
    assert key(from_json(content, dtype)) == key(expected)
    assert key(column_from_json([content, None], dtype)) == key([expected, None])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ('"7"', DataType.long),
        ('"7"', DataType.integer),
        ("1.7", DataType.long),
        ("9223372036854775807.0", DataType.long),  # as a double it is another number
        ("1e-7", DataType.integer),
        ("true", DataType.long),
        ("true", DataType.double),
        ('"1.5"', DataType.double),
        ('"nan"', DataType.double),
        ('"inf"', DataType.double),
        ('"NaN "', DataType.double),
        ('"+Infinity"', DataType.double),
        ("1", DataType.boolean),
        ("0", DataType.boolean),
        ('"true"', DataType.boolean),
        ("5", DataType.string),
        ("true", DataType.string),
        ("[1]", DataType.long),
        ("{}", DataType.string),
        ("1", DataType.datetime),
        ("1577836800", DataType.datetime),
        ('"now"', DataType.datetime),
        ('"today"', DataType.datetime),
        ('"NaT"', DataType.datetime),
        ('""', DataType.datetime),
        ('"1"', DataType.datetime),
        ('"2020"', DataType.datetime),
        ('"2020-01"', DataType.datetime),
        ('"20200101"', DataType.datetime),
        ('"2020-02-30"', DataType.datetime),
        ('"2020-01-01T24:00"', DataType.datetime),
        ('"2020-01-01T12:00:60"', DataType.datetime),
        ('"2020-01-01T12"', DataType.datetime),
        ('"2020-01-01T12:00:00.0000000001"', DataType.datetime),
        ('"2020-01-01T12:00:00+25:00"', DataType.datetime),
        ('"01/02/2020"', DataType.datetime),
        ('" 2020-01-01"', DataType.datetime),
        ('"2020-01-01\\n"', DataType.datetime),
        ('"\u0662\u0660\u0662\u0660-01-01"', DataType.datetime),  # digits of another script
        ('"eA"', DataType.binary),
        ('"e-_="', DataType.binary),
        ('"é"', DataType.binary),
        ("7", DataType.binary),
        ('"text"', Array("string")),
        ("{}", Array("long")),
        ("[]", Map("long")),
        ("[]", Object([Property("a", "long")])),
    ],
    ids=describe_case,
)
def test_nothing_is_read_into_a_type_that_it_is_not(text, dtype, exact):
    actual = from_json(loads(text, exact=exact), dtype)
    assert key(actual) == key(json.loads(text))
    assert not isinstance(actual, Number)
    [element] = from_json(loads(f"[{text}]", exact=exact), Array(dtype))
    assert key(element) == key(actual)
    assert column_from_json([loads(text, exact=exact)] * 2, dtype) == [actual, actual]


def test_a_number_beyond_a_type_stays_a_number_that_the_engine_refuses():
    assert from_json(loads("1e39", exact=True), DataType.float) == 1e39
    assert from_json(loads("1e30"), DataType.long) == 1e30
    assert from_json(loads("9007199254740993"), DataType.long) == 2**53 + 1


@pytest.mark.parametrize(
    "text", ["1" * 400, "-" + "1" * 400, "1" * 4000], ids=["positive", "negative", "long"]
)
@pytest.mark.parametrize("dtype", [DataType.float, DataType.double, DataType.long], ids=describe_case)
def test_a_number_beyond_every_type_stays_an_integer(dtype, text):
    assert from_json(loads(text), dtype) == int(text)  # not infinity


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "dtype", [DataType.double, DataType.float, DataType.long, AnyType()], ids=describe_case
)
@pytest.mark.parametrize(
    "text", ["1e-99999999999999999999", "-1.5e-99999999999999999999", "0e99999999999999999999"]
)
def test_a_number_with_an_endless_exponent_is_a_number_like_any_other(text, dtype, exact):
    assert from_json(loads(text, exact=exact), dtype) == 0


def test_texts_are_left_alone_on_demand():
    dtype = Object([Property("at", "datetime"), Property("blob", Array("binary")), Property("x", "double")])
    content = loads('{"at": "2020-01-01", "blob": ["eA=="], "x": 1}')
    assert from_json(content, dtype, times="texts") == {"at": "2020-01-01", "blob": ["eA=="], "x": 1.0}


# --- refusals ---------------------------------------------------------------------------------------------

HERE = "^unsupported JSON: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^not JSON: line 1, column 1: Expecting value$"),
        ("secret", r"^not JSON: line 1, column 1: Expecting value$"),
        ('{"secret": 7,\n 5}', r"^not JSON: line 2, column 2: Expecting property name "),
        ("[1, 2", r"^not JSON: line 1, column 6: Expecting ',' delimiter$"),
        ("[1] 2", r"^not JSON: line 1, column 5: Extra data$"),
        ('"secret', r"^not JSON: line 1, column 1: Unterminated string starting at$"),
        ('"\n"', r"^not JSON: line 1, column 2: Invalid control character at$"),
        ("1_0", r"^not JSON: line 1, column 2: Extra data$"),
        ("\u0661", r"^not JSON: line 1, column 1: Expecting value$"),
        (b"\xff", r"^not JSON: not UTF-8 text$"),
        (b'"\xc3"', r"^not JSON: not UTF-8 text$"),
        (b'"\xed\xa0\x80"', r"^not JSON: not UTF-8 text$"),
        ("[" * 100_000, HERE + r"nested more than 150 levels deep$"),
        ('{"a":' * 100_000, HERE + r"nested more than 150 levels deep$"),
        ("[" * 100_000 + "]" * 100_000, HERE + r"nested more than 150 levels deep$"),
        ("1" * 10**5, HERE + r"an integer of thousands of digits$"),
        ("[-" + "1" * 10**5 + "]", HERE + r"an integer of thousands of digits$"),
        ('{"a": 1, "a": 1}', HERE + r"an object has a duplicate key$"),
        ('[{"b": {"secret": 1, "c": 2, "\\u0073ecret": 3}}]', HERE + r"an object has a duplicate key$"),
    ],
    ids=describe_case,
)
def test_what_is_no_json_is_refused_without_showing_it(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        loads(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


BEYOND = r"a number beyond doubles \(write infinity as the text Infinity\)$"


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("text", ["1e999", "-1e999", "1.5e400"])
@pytest.mark.parametrize("dtype", [*DataType, AnyType()], ids=describe_case)
def test_a_number_beyond_doubles_is_refused(dtype, text, exact):
    content = loads(text, exact=exact)
    with pytest.raises(ValueError, match=BEYOND):
        from_json(content, dtype)
    with pytest.raises(ValueError, match=BEYOND):
        column_from_json([0.5, content], dtype)
    with pytest.raises(ValueError, match=BEYOND):
        from_json([content], Array(dtype))
    with pytest.raises(ValueError, match=BEYOND):
        to_plain(content)


@pytest.mark.parametrize("depth", [150, 450, 600, 900])
def test_nesting_is_read_as_a_whole_or_refused(depth):
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        with contextlib.suppress(ValueError):
            content = loads(text)
            to_plain(content)
            from_json(content, AnyType())
            from_json(content, DataType.long)


class Strange:
    def __repr__(self):
        return "secret"


def deep(depth):
    nested = []
    for _ in range(depth):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("value", "path", "code", "message"),
    [
        ("\ud800", "", Code.INVALID_VALUE, "expected Unicode text, got a lone surrogate"),
        (
            {"a": ["x", "\udfff"]},
            "a[]",
            Code.INVALID_VALUE,
            r"a\[\]: expected Unicode text, got a lone surrogate",
        ),
        ({"\ud800": 1}, "", Code.INVALID_VALUE, "expected Unicode text, got a lone surrogate"),
        ({"a": {1: 2}}, "a", Code.INVALID_NAME, "a: expected keys that are strings, got a value of type int"),
        ({"a": {"b.c": [Strange()]}}, "a.`b.c`[]", Code.UNSUPPORTED_TYPE, r"a\.`b\.c`\[\]: expected a value"),
        ({1, 2}, "", Code.UNSUPPORTED_TYPE, "got a value of type set"),
        (1j, "", Code.UNSUPPORTED_TYPE, "got a value of type complex"),
        (datetime.time(1), "", Code.UNSUPPORTED_TYPE, "got a value of type time"),
        (datetime.timedelta(1), "", Code.UNSUPPORTED_TYPE, "got a value of type timedelta"),
        (np.timedelta64(5, "us"), "", Code.UNSUPPORTED_TYPE, "got a value of type timedelta"),
        (np.timedelta64(5, "ns"), "", Code.UNSUPPORTED_TYPE, "got a value of type "),  # and no 5
        (np.complex128(1), "", Code.UNSUPPORTED_TYPE, "got a value of type complex"),
        (Decimal("NaN"), "", Code.UNSUPPORTED_TYPE, "got a value of type Decimal"),
        (Decimal("1e1000"), "", Code.UNSUPPORTED_TYPE, "got a value of type Decimal"),
        (pd.Series([1]), "", Code.UNSUPPORTED_TYPE, "got a value of type Series"),
        (int, "", Code.UNSUPPORTED_TYPE, "got a value of type type"),
    ],
    ids=describe_case,
)
def test_what_json_does_not_hold_is_refused_with_its_path(value, path, code, message):
    with pytest.raises(ConversionError, match=f"^{UNWRITABLE}.*{message}") as caught:
        to_json(value)
    assert [(finding.path, finding.code) for finding in caught.value.findings] == [(path, code)]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [10**5000, deep(5000)], ids=["digits", "levels"])
def test_what_no_reader_would_take_is_not_written(value):
    with pytest.raises(ConversionError, match=r"^the value cannot be written as JSON"):
        dumps(to_json(value))


def test_the_text_is_plain_json():
    value = {"é": [b"\xff", math.nan, True, None, 7, 0.1, datetime.date(2020, 1, 1)]}
    text = '{"é": ["/w==", "NaN", true, null, 7, 0.1, "2020-01-01"]}'
    assert dumps(to_json(value)) == text
    assert strict(text) == json.loads(text)
    assert dumps(to_json({"a": [1]}), indent=2) == '{\n  "a": [\n    1\n  ]\n}'
    assert base64.b64decode(to_json(b"\xff" * 100)) == b"\xff" * 100  # in one line
    with pytest.raises(ValueError, match=r"Out of range float values are not JSON compliant"):
        dumps(math.nan)
