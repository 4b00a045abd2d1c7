"""Objects that are moved between environments keep their values and dtypes; a message runs no code."""

from __future__ import annotations

import datetime
import decimal
import io
import pickle
import uuid
import zoneinfo
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sparksig.errors import UnsupportedError
from sparksig.models.transfer import read_message, write_message

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def move(value):
    stream = io.BytesIO()
    write_message(stream, value)
    stream.seek(0)
    return read_message(stream)


SERIES = {
    "floats": pd.Series([1.5, np.nan]),
    "objects": pd.Series(["a", None, {"b": [1]}], dtype=object),
    "text": pd.Series(["a", None]),
    "nullable text": pd.Series(["a", None], dtype="string[python]"),
    "text of Arrow": pd.Series(["a", None], dtype="string[pyarrow]"),
    "nullable integers": pd.Series([2**53 + 1, None], dtype="Int64"),
    "nullable booleans": pd.Series([True, None], dtype="boolean"),
    "nullable floats": pd.Series([1.5, None], dtype="Float32"),
    "categories": pd.Series(["b", None, "a"], dtype=pd.CategoricalDtype(["b", "a"], ordered=True)),
    "times": pd.Series(pd.to_datetime(["2026-01-01", None])),
    "times in a zone": pd.Series(pd.to_datetime(["2026-07-01", None])).dt.tz_localize("Europe/Berlin"),
    "durations": pd.Series(pd.to_timedelta([1, None], unit="s")),
    "integers of Arrow": pd.Series([1, None], dtype="int64[pyarrow]"),
    "an index": pd.Series([1, 2], index=pd.Index(["x", "y"], name="key"), name="value"),
    "two levels": pd.Series([1, 2], index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")])),
    "no rows": pd.Series([], dtype="Int32"),
}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_series_and_frames_keep_values_and_dtypes(series):
    pd.testing.assert_series_equal(move(series), series)
    frame = pd.DataFrame({"x": series, "other": np.arange(len(series))})
    pd.testing.assert_frame_equal(move(frame), frame)


def test_frame_of_one_dtype_keeps_duplicate_column_names():
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=["a", "a", "b"], index=[5, 7])
    pd.testing.assert_frame_equal(move(frame), frame)


@given(npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_arrays_keep_dtype_shape_and_bits(array):
    for layout in (array, np.asfortranarray(array), array[::-1] if array.ndim else array):
        moved = move(layout)
        assert moved.dtype == layout.dtype
        assert moved.shape == layout.shape
        assert moved.tobytes() == layout.tobytes()


VALUES = {
    "a timestamp": pd.Timestamp("2026-01-01 12:00:00.000000001"),
    "a timestamp in a zone": pd.Timestamp("2026-07-01", tz="Europe/Berlin"),
    "a duration": pd.Timedelta(seconds=1),
    "a float32": np.float32(0.1),
    "a time in a zone": datetime.datetime(2026, 7, 1, tzinfo=BERLIN),
    "a date": datetime.date(2026, 7, 1),
    "a decimal": decimal.Decimal("0.10"),
    "a complex number": 1 + 2j,
    "bytes": b"\x00\xff",
    "a set": {1, 2},
    "nested built-ins": {"a": [1, (2.5, None)], 3: "x"},
    "a large integer": 2**200,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_keep_their_types(value):
    moved = move([value])[0]
    assert moved == value
    assert type(moved) is type(value)


def test_missing_values_are_the_same_objects():
    moved = move([pd.NA, pd.NaT, None])
    assert moved[0] is pd.NA
    assert moved[1] is pd.NaT
    assert moved[2] is None


def test_object_arrays_keep_their_shape():
    array = np.array([[None, "a"], [{"x": 1}, 2.5]], dtype=object)
    assert move(array).tolist() == array.tolist()
    assert move(np.array([None, [1, 2]], dtype=object)).shape == (2,)


def test_arrow_tables_keep_their_schema():
    table = pa.table({"x": pa.array([1, None], pa.int32())})
    assert move(table) == table
    assert move(table.to_batches()[0]) == table.to_batches()[0]
    assert move(pa.array(["a", None])).to_pylist() == ["a", None]


@dataclass
class Answer:
    text: str


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Answer("x"), {"text": "x"}),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (OrderedDict(a=1), {"a": 1}),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    ],
    ids=["dataclass", "named tuple", "ordered dictionary", "UUID"],
)
def test_instances_become_built_in_values(value, plain):
    assert move(value) == plain


class Custom:
    pass


@pytest.mark.parametrize(
    "value", [Custom(), len, Custom, lambda: 1], ids=["object", "function", "class", "lambda"]
)
def test_other_objects_are_refused(value):
    with pytest.raises(UnsupportedError, match="cannot be moved to another environment"):
        move({"x": value})


@pytest.mark.parametrize(
    "array", [np.ma.array([1, 2], mask=[0, 1]), np.zeros(2, dtype=[("a", "i4")])], ids=["masked", "records"]
)
def test_other_arrays_are_refused(array):
    with pytest.raises(UnsupportedError, match=r"an array of dtype .* cannot be moved"):
        move(array)


class Attack:
    def __reduce__(self):
        return (print, ("attack",))


def test_messages_run_no_code(capsys):
    content = pickle.dumps(Attack())
    stream = io.BytesIO((1).to_bytes(8, "little") + b"\0" + len(content).to_bytes(8, "little") + content)
    with pytest.raises(UnsupportedError, match=r"a message contains builtins\.print"):
        read_message(stream)
    assert capsys.readouterr().out == ""


@given(st.binary(max_size=64))
def test_damaged_messages_raise(content):
    with pytest.raises(Exception):  # noqa: B017, PT011  whatever pickle finds first
        read_message(io.BytesIO((10**6).to_bytes(8, "little") + content))


def test_end_of_the_stream():
    with pytest.raises(EOFError, match="has ended"):
        read_message(io.BytesIO(b"\x01"))
