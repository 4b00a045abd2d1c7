"""Python values to variants: read back by Spark's own reader."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.convert.variant import to_variant
from sparksig.errors import Code, ConversionError

T = pytest.importorskip("pyspark.sql.types")
pytestmark = pytest.mark.skipif(not hasattr(T, "VariantVal"), reason="Spark 4 reads variants")


def read(value):
    with decimal.localcontext() as context:  # the reader rounds to its context
        context.prec = 100
        return T.VariantVal(*to_variant(value)).toPython()


DAYS = st.dates()
WALLS = st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30))
DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1e18"), max_value=Decimal("1e18"), places=9
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=80)
    | st.binary(max_size=80)
    | DECIMALS
    | DAYS
    | WALLS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_what_is_read(value):
    actual = read(value)
    assert actual == value
    assert type(actual) is type(value)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 70_000])
def test_containers_of_every_size(count):
    assert read(list(range(count))) == list(range(count))
    if count < 1000:
        held = {f"key {index} é": [index] for index in range(count)}
        assert read(held) == held


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 255, 256, 65_535, 65_536, 2**24])
def test_texts_of_every_length(size):
    assert read({"a": "x" * size, "b": [b"y" * size]}) == {"a": "x" * size, "b": [b"y" * size]}


@pytest.mark.parametrize("bits", [7, 8, 15, 16, 31, 32, 53, 63])
@pytest.mark.parametrize("add", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_integers_are_exact(bits, add, sign):
    value = sign * (2**bits + add)
    assert read(value) == value


@pytest.mark.parametrize("value", [10**38 - 1, -(10**38) + 1, 2**63, -(2**63) - 1])
def test_integers_beyond_64_bits_are_decimals(value):
    assert read(value) == Decimal(value)


@pytest.mark.parametrize("text", ["0.00", "1E+5", "-1.5", "123456789.123456789", "1E-38", "9" * 38])
def test_decimals_keep_their_value(text):
    actual = read(Decimal(text))
    assert actual == Decimal(text)
    if "E" not in text:
        assert str(actual) == text


def test_floats_keep_sign_and_nan():
    assert math.copysign(1, read(-0.0)) == -1
    assert math.isnan(read(float("nan")))
    assert read(float("-inf")) == float("-inf")
    assert read(np.float32(0.1)) == float(np.float32(0.1))
    assert read(np.float16(0.1)) == float(np.float16(0.1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(-1), -1),
        (np.uint64(2**64 - 1), Decimal(2**64 - 1)),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.array(7), 7),
        (np.array([[1, 2], [3, 4]], dtype="int16"), [[1, 2], [3, 4]]),
        ((1, (2,)), [1, [2]]),
        (pd.NaT, None),
        (pd.NA, None),
        (np.datetime64("NaT"), None),
        (np.datetime64("2024-01-02"), dt.date(2024, 1, 2)),
        (np.datetime64("2024-01-02T03:04:05.000006000", "ns"), dt.datetime(2024, 1, 2, 3, 4, 5, 6)),
        (pd.Timestamp("1960-01-02T03:04:05.6"), dt.datetime(1960, 1, 2, 3, 4, 5, 600_000)),
    ],
)
def test_scalars_of_numpy_and_pandas(value, expected):
    assert read(value) == expected
    assert read([value]) == [expected]


ZONE = dt.timezone(dt.timedelta(hours=-5, minutes=-30))


@pytest.mark.parametrize(
    "value",
    [dt.datetime(2024, 7, 1, 12, tzinfo=ZONE), pd.Timestamp(2024, 7, 1, 12, tz=ZONE)],
    ids=["datetime", "Timestamp"],
)
def test_a_time_with_a_zone_keeps_its_offset(value):
    assert read(value) == value
    assert read(value).utcoffset() is not None


@pytest.mark.parametrize(
    ("value", "path", "actual"),
    [
        ({"a": [1, {2}]}, "a[]", "a value of type set"),
        ({"a": {"b c": dt.time(1)}}, "a.b c", "a value of type time"),
        ({1: 2}, "", "a key that is a value of type int"),
        (dt.timedelta(1), "", "a value of type timedelta"),
        (10**38, "", "one with more digits"),
        (Decimal("1e40"), "", "one with more digits"),
        (Decimal("1e-39"), "", "one with more digits"),
        (Decimal("NaN"), "", "another"),
        (np.timedelta64(5, "ns"), "", "a value of type timedelta64"),
        (np.array([5, "NaT"], dtype="m8[s]"), "[]", "a value of type timedelta64"),
        (Decimal("1e9999"), "", "one with more digits"),
        (Decimal(10) ** 5000, "", "one with more digits"),
        (np.ma.masked_array([1, 2], [False, True]), "", "a masked array"),
        (pd.Timestamp("2024-01-01T00:00:00.000000001"), "", "a finer one"),
        (np.datetime64("2024-01-01T00:00:00.000000001", "ns"), "", "datetime64[ns]"),
        (np.datetime64("2024", "Y"), "", "datetime64[Y]"),
        ("\ud800", "", "lone surrogates"),
        ({"\ud800": 1}, "", "lone surrogates"),
        (1j, "", "a value of type complex"),
    ],
)
def test_what_no_variant_holds_is_refused_with_its_path(value, path, actual):
    with pytest.raises(ConversionError, match="not a variant") as error:
        to_variant(value)
    [finding] = error.value.findings
    assert (finding.code, finding.actual) == (Code.UNSUPPORTED_TYPE, actual)
    assert finding.path == path


class Colour(str, enum.Enum):
    RED = "red"


def test_keys_are_their_text_whatever_they_say_of_themselves():
    assert read({Colour.RED: 1, "a": 2, "z": 3}) == {"red": 1, "a": 2, "z": 3}


@pytest.mark.parametrize("text", ["0", "0.000", "0E+50", "0E-50", "-0"])
def test_a_zero_with_any_exponent_is_zero(text):
    assert read(Decimal(text)) == 0


def test_a_value_inside_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ConversionError, match="a value that contains itself"):
        to_variant(endless)
