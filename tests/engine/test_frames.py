"""Model inputs: the schema decides the dtypes, values are exact, and the caller's data does not change."""

from __future__ import annotations

import datetime
import decimal
import inspect
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparksig
from sparksig.convert.arrow import to_arrow
from sparksig.engine.blocks import to_python
from sparksig.engine.findings import LONG_HINT
from sparksig.engine.frames import (
    build_model_frame,
    enforce,
    validate_schema,
)
from sparksig.engine.pandas_frames import MISSING_INTEGERS
from sparksig.engine.series import column_to_arrow
from sparksig.errors import Code, ContractError, Finding, SignatureError
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property
from tests.cases import describe_case

TEXT = "object"
NEVER_NULL = (DataType.boolean, DataType.integer, DataType.long)

# The table in the docstring of sparksig.engine.frames.
SEEN = {
    DataType.boolean: ("bool", "boolean"),
    DataType.integer: ("int32", "Int32"),
    DataType.long: ("int64", "Int64"),
    DataType.float: ("float32", "float32"),
    DataType.double: ("float64", "float64"),
    DataType.string: (TEXT, TEXT),
    DataType.binary: ("object", "object"),
    DataType.datetime: ("datetime64[ns]", "datetime64[ns]"),
}

DAYS = [pd.Timestamp(2020, 1, 1), pd.Timestamp(1999, 12, 31), pd.Timestamp(2020, 1, 1)]
VALUES = {
    DataType.boolean: [True, False, True],
    DataType.integer: [0, 127, 1],
    DataType.long: [0, 127, 1],
    DataType.float: [0.5, -0.0, 2.0],
    DataType.double: [1.0, -0.0, 2.0],
    DataType.string: ["a", "", "a"],
    DataType.binary: [b"a", b"\0", b"a"],
    DataType.datetime: DAYS,
}
BIG = 2**53 + 1


def arrow(dtype):
    return lambda values: pd.Series(values, dtype=pd.ArrowDtype(dtype))


def arrow_objects(dtype):
    """Through Arrow, which takes these values where pandas does not."""
    return lambda values: pd.Series(pd.array(pa.array(values, dtype), dtype=pd.ArrowDtype(dtype)))


def plain(dtype):
    return lambda values: pd.Series(values, dtype=dtype)


def category_of(kind):
    """Categories of a dtype that does not depend on the rows."""
    dtype = {DataType.integer: "int32", DataType.float: "float32"}.get(kind)
    categories = pd.Index(pd.Series(VALUES[kind], dtype=dtype).unique())
    return lambda values: pd.Series(pd.Categorical(values, dtype=pd.CategoricalDtype(categories)))


def zoned(zone):
    return lambda values: pd.Series(pd.DatetimeIndex(values).as_unit("us").tz_localize(zone))


def units(unit):
    return lambda values: pd.Series(np.array(values, f"datetime64[{unit}]"))


HOLD_NULLS = {
    DataType.boolean: {"nullable": plain("boolean"), "arrow": arrow(pa.bool_())},
    DataType.integer: {
        **{name: plain(name) for name in ("Int8", "Int16", "Int32", "UInt8", "UInt16")},
        "arrow": arrow(pa.int32()),
        "decimal": arrow_objects(pa.decimal128(9, 0)),
    },
    DataType.long: {
        **{name: plain(name) for name in ("Int8", "Int32", "Int64", "UInt32")},
        "arrow": arrow(pa.int64()),
        "decimal": arrow_objects(pa.decimal128(18, 0)),
    },
    DataType.float: {"float16": plain("float16"), "float32": plain("float32"), "Float32": plain("Float32")},
    DataType.double: {
        **{name: plain(name) for name in ("float16", "float32", "float64", "Float32", "Float64")},
        "arrow": arrow(pa.float64()),
    },
    DataType.string: {
        **({"default": plain("str")} if TEXT == "str" else {}),
        "string": plain("string"),
        "python": plain("string[python]"),
        "arrow": arrow(pa.string()),
        "large": arrow(pa.large_string()),
    },
    DataType.binary: {"arrow": arrow(pa.binary()), "fixed": arrow(pa.binary(1))},
    DataType.datetime: {
        **{unit: units(unit) for unit in ("s", "ms", "us", "ns")},
        "utc": zoned("UTC"),
        "zone": zoned("Europe/Berlin"),
        "arrow": arrow(pa.timestamp("us")),
        "dates": arrow_objects(pa.date32()),
    },
}
NO_NULLS = {
    DataType.boolean: {"numpy": plain("bool")},
    DataType.integer: {name: plain(name) for name in ("int8", "int16", "int32", "uint8", "uint16")},
    DataType.long: {name: plain(name) for name in ("int8", "int32", "int64", "uint32")},
    DataType.double: {name: plain(name) for name in ("int8", "int32")},
}
SOURCES = {
    f"{kind.name}-{name}": (kind, name, build)
    for kind in DataType
    for name, build in {
        **HOLD_NULLS[kind],
        **NO_NULLS.get(kind, {}),
        "category": category_of(kind),
        "object": plain(object),
    }.items()
    if name != "object" or kind not in (DataType.integer, DataType.float)  # Python's own are wider
}


def refusals(frame, schema):
    with pytest.raises(ContractError) as error:
        enforce(frame, schema)
    return error.value.findings


def is_null(value):
    return value is None or value is pd.NA or value is pd.NaT or value != value


def assert_same(left, right):
    """Values one by one, nulls of any kind alike, zeros with their sign."""
    assert len(left) == len(right)
    for value, other in zip(left, right):
        assert is_null(value) == is_null(other)
        assert is_null(value) or (value == other and str(value).startswith("-") == str(other).startswith("-"))


def spelt(kind, name):
    """The values of a type as a source takes them."""
    if name == "decimal":
        return [decimal.Decimal(value) for value in VALUES[kind]]
    if name == "dates":
        return [day.date() for day in VALUES[kind]]
    return [abs(value) for value in VALUES[kind]] if name in ("int8", "int32") else VALUES[kind]


def list_batches(kind, name):
    """Return batches of one type: of one row, of many rows, with nulls and, if possible, without rows."""
    full = spelt(kind, name)
    batches = [full, full[:1], full * 50]
    if name != "object":
        batches.append([])
    if name not in NO_NULLS.get(kind, {}):
        batches += [[*full, None], [None, *full]]
        batches += [[None]] if name != "object" else []
    return batches


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize(("kind", "name", "build"), SOURCES.values(), ids=SOURCES)
def test_model_input_depends_on_the_schema_alone(kind, name, build, required):
    schema = Schema([ColSpec(kind, "a", required)])
    for values in list_batches(kind, name):
        frame = pd.DataFrame({"a": build(values)})
        if required and kind in NEVER_NULL and None in values:
            [finding] = refusals(frame, schema)
            rows = (values.index(None),)
            assert (finding.code, finding.count, finding.rows) == (Code.NULL_IN_REQUIRED, 1, rows)
        else:
            result = enforce(frame, schema)["a"]
            assert result.dtype == SEEN[kind][0 if required else 1]
            expected = [pd.Timestamp(value) if name == "dates" and value else value for value in values]
            assert_same(result.tolist(), expected)


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("kind", DataType, ids=describe_case)
def test_python_objects_without_a_value_are_nulls_of_any_type(kind, rows, required):
    frame, schema = (
        pd.DataFrame({"a": pd.Series([None] * rows, dtype=object)}),
        Schema([ColSpec(kind, "a", required)]),
    )
    if rows and required and kind in NEVER_NULL:
        with pytest.raises(ContractError):
            enforce(frame, schema)
        return
    result = enforce(frame, schema)["a"]
    assert result.dtype == SEEN[kind][0 if required else 1]
    assert_same(result.tolist(), [None] * rows)


ARROW = {
    **{kind: pa.from_numpy_dtype(SEEN[kind][0]) for kind in list(DataType)[:5]},
    DataType.string: pa.string(),
    DataType.binary: pa.binary(),
    DataType.datetime: pa.timestamp("ns"),
}


@pytest.mark.parametrize("names", ["a", "ab", "ac"])
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("kind", DataType, ids=describe_case)
def test_a_record_batch_becomes_the_same_frame(kind, required, rows, names):
    values, texts = VALUES[kind][:rows], ["z"] * rows
    array = pa.array(values, ARROW[kind])
    batch = pa.record_batch([array, array, pa.array(texts, pa.string())], ["a", "b", "c"])
    specs = {
        "a": ColSpec(kind, "a", required),
        "b": ColSpec(kind, "b", required),
        "c": ColSpec("string", "c"),
    }
    schema = Schema([specs[name] for name in names])
    result = build_model_frame(batch, schema)
    assert list(result.columns) == list(names)
    assert result.index.equals(pd.RangeIndex(rows))
    for name in names:
        assert result[name].dtype == SEEN[specs[name].type][0 if specs[name].required else 1]
        assert_same(result[name].tolist(), texts if name == "c" else values)
    if rows:
        pd.testing.assert_frame_equal(result, enforce(batch.to_pandas(), schema))


@pytest.mark.parametrize(
    "build",
    [plain("Int64"), arrow(pa.int64()), plain(object), lambda values: pd.Series(pd.Categorical(values))],
    ids=["nullable", "arrow", "object", "category"],
)
@pytest.mark.parametrize("null", [None, pd.NA], ids=describe_case)
def test_integers_beside_nulls_do_not_become_floats(build, null):
    if build([1]).dtype == "category" and null is pd.NA:
        null = None
    frame = pd.DataFrame({"a": build([BIG, null, -BIG])})
    result = enforce(frame, Schema([ColSpec("long", "a", required=False)]))
    assert result["a"].dtype == "Int64"
    assert [value if value is not pd.NA else None for value in result["a"]] == [BIG, None, -BIG]


@pytest.mark.parametrize("dtype", [">i2", ">i4", ">i8", ">u2", ">u4", ">f2", ">f4", ">f8"])
def test_byte_order_does_not_matter(dtype):
    frame = pd.DataFrame({"a": np.array([1, 2, 100], dtype)})
    kind = {"i": "long", "u": "long", "f": "double"}[dtype[1]]
    assert enforce(frame, Schema([ColSpec(kind, "a")]))["a"].tolist() == [1, 2, 100]


@pytest.mark.parametrize("step", [-1, 2], ids=["backwards", "every other"])
def test_columns_may_be_strided(step):
    block = np.arange(12, dtype="float64").reshape(6, 2)[::step]
    frame = pd.DataFrame(block, columns=["a", "b"])
    schema = Schema([ColSpec("double", "b"), ColSpec("double", "a")])
    assert enforce(frame, schema).to_numpy().tolist() == block[:, ::-1].tolist()


def test_nan_is_kept_beside_nulls():
    frame = pd.DataFrame({"a": [np.nan, np.inf, -np.inf, -0.0]})
    result = enforce(frame, Schema([ColSpec("double", "a")]))["a"].to_numpy()
    assert result.tobytes() == frame["a"].to_numpy().tobytes()


def test_zoned_times_become_local_times_of_their_zone():
    noon = pd.to_datetime(["2024-01-01 12:00:00.0", "2024-07-01 12:00:00.000000001"]).tz_localize(
        "America/New_York"
    )
    frame = pd.DataFrame({"a": noon})
    result = enforce(frame, Schema([ColSpec("datetime", "a")]))["a"]
    assert result.tolist() == [
        pd.Timestamp("2024-01-01 12:00"),
        pd.Timestamp("2024-07-01 12:00:00.000000001"),
    ]


def test_the_smallest_tick_is_not_silently_lost():
    # NumPy takes it for NaT
    batch = pa.record_batch([pa.array([-(2**63)], pa.int64()).view(pa.timestamp("ns"))], ["a"])
    with pytest.raises(ContractError):
        build_model_frame(batch, Schema([ColSpec("datetime", "a")]))


# --- names, order, index --------------------------------------------------------------------------------


def test_frame_with_columns_of_all_types():
    frame = pd.DataFrame(
        {"extra": [{}, []], "s": ["x", None], "i": [1, 2], "f": np.array([1, 2], "float32")}, index=["k", "k"]
    )
    schema = Schema(
        [ColSpec("double", "f"), ColSpec("long", "i"), ColSpec("string", "s"), ColSpec("long", "o", False)]
    )
    result = enforce(frame, schema)
    assert list(result.columns) == ["f", "i", "s"]
    assert [str(dtype) for dtype in result.dtypes] == ["float64", "int64", TEXT]
    assert list(result.index) == ["k", "k"]
    assert result["i"].tolist() == [1, 2]


INDEXES = {
    "range": pd.RangeIndex(5, 20, 5, name="r"),
    "strings": pd.Index(["x", "x", None], name="s"),
    "multi": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["n", "t"]),
    "times": pd.DatetimeIndex(["2020", "2021", "2022"], tz="UTC"),
    "category": pd.CategoricalIndex(["a", "b", "a"]),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("columns", [["a"], ["a", "b"], []], ids=describe_case)
def test_the_index_is_kept(index, columns):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]}, index=index)
    schema = Schema(
        [ColSpec({"a": "double", "b": "string"}[name], name) for name in columns]
        or [ColSpec("long", "o", False)]
    )
    result = enforce(frame, schema)
    pd.testing.assert_index_equal(result.index, index)
    assert result.shape == (3, len(columns))


def test_renaming_the_index_of_the_result_does_not_rename_the_data():
    frame = pd.DataFrame({"a": [1.0]}, index=pd.Index(["k"], name="mine"))
    result = enforce(frame, Schema([ColSpec("double", "a")]))
    result.index.name = "yours"
    assert frame.index.name == "mine"


def test_integer_labels():
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3))
    result = enforce(frame, Schema([ColSpec("double", 2), ColSpec("double", 0)]))
    assert result.columns.tolist() == [2, 0]
    assert result.to_numpy().tolist() == [[2.0, 0.0], [5.0, 3.0]]
    expected = enforce(frame, Schema([ColSpec("double", index) for index in range(3)]))
    pd.testing.assert_frame_equal(expected, frame, check_column_type="exact")


@pytest.mark.parametrize("kind", ["as declared", "widened", "cells", "Arrow"])
def test_labels_of_a_frame_reach_a_model_with_unnamed_columns(kind):
    frame = pd.DataFrame({"x": np.array([1], "float32" if kind == "widened" else "float64"), "y": [2.5]})
    schema = Schema([ColSpec("double"), ColSpec("double")])
    if kind == "cells":
        frame["y"], schema = [[1]], Schema([ColSpec("double"), ColSpec(Array("long"))])
    data = pa.Table.from_pandas(frame) if kind == "Arrow" else frame
    result = build_model_frame(data, schema)
    assert result.columns.tolist() == ["x", "y"]
    assert result.iloc[0].tolist() == frame.iloc[0].tolist()
    result.columns.name = "changed"
    assert frame.columns.name is None


@pytest.mark.parametrize("labels", [[0, 1], ["0", "1"]], ids=["numbers", "texts"])
def test_unnamed_columns_of_unnamed_data_are_numbered(labels):
    frame = pd.DataFrame([[1.0, "a"]], columns=labels)
    result = enforce(frame, Schema([ColSpec("double"), ColSpec("string")]))
    assert result.columns.equals(pd.RangeIndex(2))


def test_labels_of_both_kinds():
    result = enforce(
        pd.DataFrame({"a": [1.0], 7: ["x"]}), Schema([ColSpec("string", 7), ColSpec("double", "a")])
    )
    assert result.columns.tolist() == [7, "a"]


@pytest.mark.parametrize("label", [("a", "b"), None, 1.5, True], ids=describe_case)
def test_label_that_is_not_a_name_is_not_a_column(label):
    frame = pd.DataFrame([[1]])
    frame.columns = pd.Index([label], dtype=object)
    with pytest.raises(ContractError):
        enforce(frame, Schema([ColSpec("long", str(label))]))


def test_duplicate_label_is_refused():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", "b"])
    assert enforce(frame, Schema([ColSpec("long", "b")]))["b"].tolist() == [3]
    with pytest.raises(ContractError) as error:
        enforce(frame, Schema([ColSpec("long", "a")]))
    assert error.value.findings == (Finding(Code.DUPLICATE_NAME, "a", "one column of that name", "2"),)


@pytest.mark.parametrize("build", [pd.DataFrame, pa.table], ids=["frame", "table"])
def test_missing_column_suggests_the_most_similar_label(build):
    with pytest.raises(ContractError) as error:
        enforce(build({"amuont": [1]}), Schema([ColSpec("long", "amount")]))
    hint = "did you mean 'amuont'?"
    assert error.value.findings == (Finding(Code.MISSING_COLUMN, "amount", "long", "no such column", hint),)


# --- refusals of pandas' own ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["integer", "long"])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_floats_with_nan_for_integers_get_the_hint(kind, required):
    schema = Schema([ColSpec(kind, "a.b", required)])
    [finding] = refusals(pd.DataFrame({"a.b": [1.0, np.nan]}), schema)
    assert finding == Finding(Code.TYPE_MISMATCH, "`a.b`", kind, "double", MISSING_INTEGERS)
    assert MISSING_INTEGERS == (
        "declare the column double, or convert it to the nullable dtype Int64: pandas represents integers "
        "with missing values as float64 (Handling Integers With Missing Values)"
    )
    [finding] = refusals(pd.DataFrame({"a.b": [1.0, 2.0]}), schema)
    assert finding.hint == "cast it explicitly, or declare it double"


@pytest.mark.parametrize(
    ("labels", "names"),
    [((0, 1), (0, 1)), ((0, 1), (None, None)), (("x", "y"), (None, None))],
    ids=["numbered", "unnamed and numbered", "unnamed and named"],
)
def test_unnamed_and_numbered_columns_get_the_hint_as_well(labels, names):
    frame = pd.DataFrame([[1.0, 2.0], [3.0, np.nan]], columns=labels)
    findings = refusals(frame, Schema([ColSpec("long", name) for name in names]))
    hints = ["cast it explicitly, or declare it double", MISSING_INTEGERS]
    assert [finding.hint for finding in findings] == hints


CONVERT = "convert the values explicitly, or drop the column"
ZONES = "convert them to one zone explicitly, for example pandas.to_datetime(values, utc=True)"
MIXTURES = {
    "number and text": [1, "x"],
    "text and number": ["x", 1],
    "text and bytes": ["x", b"x"],
    "bytes and text": [b"x", "x"],
    "number and truth": [1, True],
    "truth and number": [True, 1],
    "beyond 64 bits": [2**64],
    "inexact beside a float": [BIG, 0.5],
    "date and time with zone": [
        datetime.date(2020, 1, 1),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    ],
    "with zone and without": [
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
        datetime.datetime(2020, 1, 1),
    ],
    "without zone and with": [
        datetime.datetime(2020, 1, 1),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    ],
    "an object of its own": [object()],
    "list and text": [[1], "x"],
    "set": [{1}],
    "half a character": ["\ud800"],
}


@pytest.mark.parametrize("kind", DataType, ids=describe_case)
@pytest.mark.parametrize("nulls", [[], [None]], ids=["without nulls", "with nulls"])
@pytest.mark.parametrize("values", MIXTURES.values(), ids=MIXTURES)
def test_mixed_objects_are_a_finding(values, nulls, kind):
    frame = pd.DataFrame({"m": pd.Series(values + nulls, dtype=object)})
    findings = refusals(frame, Schema([ColSpec(kind, "m")]))
    assert {finding.path for finding in findings} == {"m"}
    assert all(finding.hint for finding in findings)


FINDINGS = {
    "number and text": (
        "long",
        "got a value of type str, once, first in row 1 ({CONVERT}) [TYPE_MISMATCH]",
    ),
    "list and text": (
        "string",
        "got a value of type list, once, first in row 0 ({CONVERT}) [TYPE_MISMATCH]",
    ),
    "beyond 64 bits": (
        "long",
        "got an int beyond 64 bits, once, first in row 0 ({LONG_HINT}) [OUT_OF_RANGE]",
    ),
    "inexact beside a float": (
        "double",
        "got an int that double cannot hold exactly, once, first in row 0 ({CONVERT}) [TYPE_MISMATCH]",
    ),
    "half a character": (
        "string",
        "got a lone surrogate, once, first in row 0 ({CONVERT}) [INVALID_VALUE]",
    ),
    "with zone and without": ("datetime", "got times with and without a time zone ({ZONES}) [MIXED_TYPES]"),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_objects_are_refused_with_what_is_wrong_with_them(name):
    kind, text = FINDINGS[name]
    frame = pd.DataFrame({"m": pd.Series(MIXTURES[name], dtype=object)})
    [finding] = refusals(frame, Schema([ColSpec(kind, "m")]))
    assert str(finding).startswith("m: expected ")
    assert str(finding).endswith(text.format(CONVERT=CONVERT, LONG_HINT=LONG_HINT, ZONES=ZONES))


def test_times_of_several_offsets_are_refused_and_the_advice_works():
    times = [pd.Timestamp("2026-05-01T08:00Z"), pd.Timestamp("2026-05-01T10:00+02:00"), None]
    schema = Schema([ColSpec("datetime", "m")])
    frame = pd.DataFrame({"m": pd.Series(times, dtype=object)})
    text = f"m: expected times of one time zone, got times of several UTC offsets ({ZONES}) [MIXED_TYPES]"
    assert [str(finding) for finding in refusals(frame, schema)] == [text]
    frame["m"] = pd.to_datetime(frame["m"], utc=True)
    assert enforce(frame, schema)["m"].tolist() == [pd.Timestamp("2026-05-01T08:00")] * 2 + [pd.NaT]


@pytest.mark.parametrize("null", [None, pd.NaT, np.datetime64("NaT")], ids=repr)
def test_times_of_several_python_types_are_times(null):
    values = [
        datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 5), np.datetime64("2021"),
        np.datetime64("2020-01-01T00:01", "10s"), pd.Timestamp("2020-01-01T00:00:00.000000001"), null,
    ]  # fmt: skip
    frame = pd.DataFrame({"m": pd.Series(values, dtype=object)})
    result = enforce(frame, Schema([ColSpec("datetime", "m")]))["m"]
    assert result.dtype == "datetime64[ns]"
    exact = values[3].astype("datetime64[s]")  # pandas reads no multiples of a unit
    assert result.tolist() == [*map(pd.Timestamp, [*values[:3], exact, values[4]]), pd.NaT]


@pytest.mark.parametrize("null", [None, pd.NaT], ids=describe_case)
@pytest.mark.parametrize("reverse", [False, True], ids=["date first", "datetime first"])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_dates_beside_datetimes_are_midnights(required, reverse, null):
    values = [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 5), null]
    values = values[::-1] if reverse else values
    clocks = [pd.Timestamp(2020, 1, 1), pd.Timestamp(2020, 1, 1, 5), pd.NaT]
    frame = pd.DataFrame({"m": pd.Series(values, dtype=object)})
    result = enforce(frame, Schema([ColSpec("datetime", "m", required)]))["m"]
    assert result.dtype == "datetime64[ns]"
    assert result.tolist()[:: -1 if reverse else 1] == clocks
    [finding] = refusals(frame, Schema([ColSpec("string", "m", required)]))
    assert (finding.path, finding.code) == ("m", Code.TYPE_MISMATCH)


def test_the_text_of_mixed_objects():
    frame = pd.DataFrame({"m n": pd.Series([1, "x"], dtype=object)})
    text = f"m n: expected long, got a value of type str, once, first in row 1 ({CONVERT}) [TYPE_MISMATCH]"
    with pytest.raises(
        ContractError, match=f"^the data does not fit the schema: 1 finding\n  - {re.escape(text)}$"
    ):
        enforce(frame, Schema([ColSpec("long", "m n")]))


def test_mixed_objects_do_not_hide_other_findings():
    frame = pd.DataFrame({"m": pd.Series([1, "x"], dtype=object), "t": ["x", "y"]})
    schema = Schema([ColSpec("long", "m"), ColSpec("long", "t"), ColSpec("long", "gone")])
    actual = {(finding.path, finding.code) for finding in refusals(frame, schema)}
    assert actual == {("m", Code.TYPE_MISMATCH), ("t", Code.TYPE_MISMATCH), ("gone", Code.MISSING_COLUMN)}


FOREIGN = {
    "complex": pd.Series([1j]),
    "long double": pd.Series(np.array([1], "longdouble")),
    "timedelta": pd.Series(pd.to_timedelta([1], unit="s")),
    "period": pd.Series(pd.period_range("2020", periods=1, freq="D")),
    "interval": pd.Series(pd.interval_range(0, 1)),
    "sparse": pd.Series(pd.arrays.SparseArray([1.5])),
    "uint64": pd.Series([1], dtype="uint64"),
    "time": pd.Series([datetime.time(1)], dtype=object),
}


@pytest.mark.parametrize("kind", DataType, ids=describe_case)
@pytest.mark.parametrize("column", FOREIGN.values(), ids=FOREIGN)
def test_a_dtype_without_counterpart_is_a_finding(column, kind):
    [finding] = refusals(pd.DataFrame({"a": column}), Schema([ColSpec(kind, "a", False)]))
    assert (finding.path, finding.hint != "") == ("a", True)


OBJECTS = {
    "Timestamp": (pd.Timestamp("2020-01-01 00:00:00.123456789"), "datetime"),
    "datetime64": (np.datetime64("2020-01-01T00:00:00.123456789"), "datetime"),
    "datetime64 of a day": (np.datetime64("2020-01-01"), "datetime"),
    "numpy int": (np.int32(7), "integer"),
    "numpy float": (np.float32(0.1), "float"),
    "numpy bool": (np.bool_(True), "boolean"),
    "numpy text": (np.str_("x"), "string"),
    "numpy bytes": (np.bytes_(b"x"), "binary"),
    "bytearray": (bytearray(b"x"), "binary"),
    "decimal": (decimal.Decimal("0.1"), "double"),
    "date": (datetime.date(2020, 2, 29), "datetime"),
}


@pytest.mark.parametrize(("value", "kind"), OBJECTS.values(), ids=OBJECTS)
def test_objects_of_one_python_type_are_converted(value, kind):
    frame = pd.DataFrame({"a": pd.Series([value, None], dtype=object)})
    result = enforce(frame, Schema([ColSpec(kind, "a", False)]))["a"]
    expected = pd.Timestamp(value) if kind == "datetime" else float(value) if kind == "double" else value
    assert_same(result.tolist(), [expected, None])


# --- the caller's data ----------------------------------------------------------------------------------


def whole_frame():
    return pd.DataFrame(
        {
            "f": np.array([1.5, 2.5, 3.5]),
            "g": np.array([1, 2, 3], "float32"),
            "i": np.array([1, 2, 3]),
            "b": np.array([True, False, True]),
            "t": np.array(["2020", "2021", "2022"], "datetime64[ns]"),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "s": pd.array(["x", None, "z"], dtype="string"),
            "d": ["x", "y", "z"],
            "a": pd.Series([1, 2, None], dtype=pd.ArrowDtype(pa.int64())),
            "c": pd.Categorical(["x", "y", "x"]),
            "o": pd.Series([b"x", None, b"z"], dtype=object),
        },
        index=pd.Index([3, 1, 2], name="k"),
    )


KINDS = {
    "f": "double", "g": "float", "i": "long", "b": "boolean", "t": "datetime", "n": "long", "s": "string",
    "d": "string", "a": "long", "c": "string", "o": "binary",
}  # fmt: skip
OTHER = {
    "double": 9.5, "float": 9.5, "long": 9, "boolean": False, "datetime": pd.Timestamp(1999, 1, 1),
    "string": "w", "binary": b"w",
}  # fmt: skip


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize(
    "names", [[name] for name in KINDS] + [list(KINDS), ["f"], ["i"], ["b"]], ids="".join
)
def test_writing_into_the_result_leaves_the_callers_frame_alone(names, required):
    frame, twin = whole_frame(), whole_frame()
    schema = Schema([ColSpec(KINDS[name], name, required and name not in "na") for name in names])
    result = enforce(frame, schema)
    for position, name in enumerate(names):
        result.iloc[0, position] = OTHER[KINDS[name]]
        assert result[name].tolist()[0] == OTHER[KINDS[name]]
    result["new"] = 1
    pd.testing.assert_frame_equal(frame, twin, check_column_type="exact", check_freq=True)
    assert frame.index.name == "k"


def test_writing_into_the_frame_leaves_the_batch_alone():
    def build():
        return pa.record_batch({"f": [1.5, 2.5], "i": [1, 2], "t": pa.array([0, 1], pa.timestamp("ns"))})

    batch = build()
    for kinds in (["double"], ["double", "long", "datetime"], ["long"], ["datetime"]):
        names = {"double": "f", "long": "i", "datetime": "t"}
        result = build_model_frame(batch, Schema([ColSpec(kind, names[kind]) for kind in kinds]))
        for position, kind in enumerate(kinds):
            result.iloc[:, position] = OTHER[kind]
    assert batch.equals(build())


def test_objects_in_cells_are_not_touched():
    cell = {"a": 1}
    frame = pd.DataFrame({"x": [1.0], "extra": [cell]})
    enforce(frame, Schema([ColSpec("double", "x")]))
    assert frame["extra"].iloc[0] is cell
    assert cell == {"a": 1}


@given(st.lists(st.floats() | st.none(), max_size=5), st.booleans())
def test_floats_are_the_same_bits_after_it(values, required):
    frame = pd.DataFrame({"a": np.array(values, "float64"), "b": np.array(values, "float64")})
    schema = Schema([ColSpec("double", "b", required), ColSpec("double", "a")])
    result = enforce(frame, schema)
    assert result["a"].to_numpy().tobytes() == frame["a"].to_numpy().tobytes()
    pd.testing.assert_frame_equal(result, frame[["b", "a"]])


# --- the kinds of data ----------------------------------------------------------------------------------

SCHEMA = Schema([ColSpec("double", "x"), ColSpec("string", "s", False)])


def test_each_kind_comes_back_as_its_kind():
    table = pa.table({"s": ["a", None], "x": pa.array([1, 2], pa.int8()), "y": [0, 0]})
    expected = {"x": [1.0, 2.0], "s": ["a", None]}
    enforced = enforce(table, SCHEMA)
    assert isinstance(enforced, pa.Table)
    assert enforced.to_pydict() == expected
    batch = enforce(table.to_batches()[0], SCHEMA)
    assert isinstance(batch, pa.RecordBatch)
    assert batch.to_pydict() == expected
    frame = enforce(table.to_pandas(), Schema([ColSpec("double", "x")]))
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == {"x": [1.0, 2.0]}


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_tables_of_any_number_of_chunks(chunks):
    parts = [pa.array([f"{index}", None]).dictionary_encode() for index in range(chunks)]
    table = pa.table({"s": pa.chunked_array(parts, pa.dictionary(pa.int32(), pa.string()))})
    enforced = enforce(table, Schema([ColSpec("string", "s")]))
    assert enforced.schema == pa.schema({"s": pa.string()})
    assert enforced["s"].to_pylist() == [value for index in range(chunks) for value in (f"{index}", None)]


def test_rows_of_findings_count_over_all_chunks():
    table = pa.table({"a": pa.chunked_array([[1, 2], [3], [None, 4, None]])})
    with pytest.raises(ContractError) as error:
        enforce(table, Schema([ColSpec("long", "a")]))
    assert error.value.message == "a table of 6 rows breaks the contract: 1 finding"
    assert error.value.findings[0].rows == (3, 5)


@pytest.mark.parametrize(
    "build", [pd.DataFrame, pa.table, pa.record_batch], ids=["frame", "table", "record batch"]
)
def test_strict_nulls(build):
    data = build({"s": ["a", None]})
    schema = Schema([ColSpec("string", "s")])
    assert len(enforce(data, schema)) == 2
    text = "s: expected string without nulls, got nulls, once, first in row 1"
    with pytest.raises(ContractError, match=text):
        enforce(data, schema, strict_nulls=True)


def test_validate_schema_returns_none():
    assert validate_schema(pd.DataFrame({"x": [1.5]}), SCHEMA) is None
    with pytest.raises(ContractError, match="x: expected double, got no such column"):
        validate_schema(pd.DataFrame(), SCHEMA)


def test_extra_accepts_ignore_and_forbid_only():
    with pytest.raises(ValueError, match=r"^extra: expected 'ignore' or 'forbid', got 'drop'$"):
        enforce(pd.DataFrame(), SCHEMA, extra="drop")


@pytest.mark.parametrize(
    ("values", "dtype", "null_count"),
    [([1.0, np.nan], None, 0), ([1, None], "Int64", 1), (["x", None], None, 1), ([None, None], object, 2)],
    ids=["doubles", "Int64", "strings", "objects"],
)
def test_pandas_column_becomes_an_arrow_array(values, dtype, null_count):
    findings = []
    array = column_to_arrow(pd.Series(values, dtype=dtype), DataType.string, "p", findings)
    assert isinstance(array, pa.Array)
    assert (len(array), array.null_count) == (2, null_count)
    assert findings == []


def test_column_without_a_type_becomes_nulls_and_a_finding():
    findings = []
    array = column_to_arrow(pd.Series([1, "x"], dtype=object), DataType.long, "p", findings)
    assert array.equals(pa.nulls(2, pa.int64()))
    assert findings == [
        Finding(Code.TYPE_MISMATCH, "p", "long", "a value of type str", CONVERT, count=1, rows=(1,))
    ]


def test_numpy_column_is_converted_without_a_copy():
    values = np.arange(5.0)
    array = column_to_arrow(pd.Series(values, copy=False), DataType.double, "p", [])
    assert array.buffers()[1].address == values.ctypes.data


# --- columns of composite types -------------------------------------------------------------------------

POINT = Object([Property("x", "double"), Property("tag", "string", False)])
COMPOSITES = {
    "list": (Array("long"), [[1, 2], [], None]),
    "lists of lists": (Array(Array("string")), [[["a"], []], None, [[]]]),
    "object": (POINT, [{"x": 1.0, "tag": None}, {"x": 2.0, "tag": "b"}, None]),
    "map": (Map("long"), [{"a": 1}, {}, None]),
    "list of objects": (Array(POINT), [[{"x": 1.0, "tag": "a"}], [], None]),
}


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(("dtype", "values"), COMPOSITES.values(), ids=COMPOSITES)
def test_cells_of_the_declared_type_are_not_copied(dtype, values, required):
    frame = pd.DataFrame({"c": values}, index=["k"] * 3, dtype=object)
    schema = Schema([ColSpec(dtype, "c", required)])
    result = enforce(frame, schema)
    assert list(result.index) == ["k"] * 3
    assert result["c"].dtype == object
    assert all(new is old for new, old in zip(result["c"], values))


@pytest.mark.parametrize(("dtype", "values"), COMPOSITES.values(), ids=COMPOSITES)
def test_arrow_composites_become_python_values(dtype, values):
    schema = Schema([ColSpec(dtype, "c", False)])
    array = (
        pa.array(values, to_arrow(dtype))
        if not isinstance(dtype, Map)
        else pa.array([value if value is None else list(value.items()) for value in values], to_arrow(dtype))
    )
    assert to_python(array) == values
    frame = pd.DataFrame({"c": pd.Series(array, dtype=pd.ArrowDtype(array.type))})
    assert build_model_frame(pa.table({"c": array}), schema)["c"].tolist() == values
    assert enforce(frame, schema)["c"].tolist() == values
    assert enforce(pa.table({"c": array}), schema)["c"].combine_chunks().equals(array)


def test_arrays_of_floats_become_numpy_arrays_with_nan_for_null():
    table = pa.table({"c": pa.array([[1.0, None], None, []], pa.list_(pa.float64()))})
    result = build_model_frame(table, Schema([ColSpec(Array("double"), "c")]))["c"].tolist()
    assert result[1] is None
    assert [(type(result[row]), result[row].dtype) for row in (0, 2)] == [
        (np.ndarray, np.dtype("float64"))
    ] * 2
    np.testing.assert_array_equal(result[0], [1.0, np.nan])


def test_composites_and_scalars_are_judged_together_in_the_schemas_order():
    frame = pd.DataFrame(
        {"c": [[1], ["x"]], "s": [1, 2], "o": [{}, {"x": 1}], "n": [0, 0]}, index=pd.Index([7, 8], name="k")
    )
    schema = Schema([ColSpec(POINT, "o"), ColSpec("string", "s"), ColSpec(Array("long"), "c")])
    with pytest.raises(ContractError) as error:
        enforce(frame, schema)
    assert str(error.value).splitlines() == [
        "the data does not fit the schema: 3 findings",
        "  - o.x: expected double, got no such field, once, first in row 0 [MISSING_FIELD]",
        "  - s: expected string, got int64 (strings are not converted to or from other types: cast "
        "it explicitly) [TYPE_MISMATCH]",
        "  - c[]: expected long, got a value of type str, once, first in row 1 [TYPE_MISMATCH]",
    ]
    fine = Schema([ColSpec(Map("long"), "o"), ColSpec("long", "s"), ColSpec(AnyType(), "c")])
    result = enforce(frame, fine)
    assert list(result.columns) == ["o", "s", "c"]
    assert result.index.equals(frame.index)
    assert result["c"].tolist() == [[1], ["x"]]


@pytest.mark.parametrize(
    ("column", "actual"),
    [(pd.Series([1.5]), "float64"), (pd.Series([1], dtype="Int64"), "Int64")],
    ids=describe_case,
)
def test_column_of_scalars_is_refused_for_a_composite(column, actual):
    [finding] = refusals(pd.DataFrame({"c": column}), Schema([ColSpec(Array("double"), "c")]))
    assert finding == Finding(Code.TYPE_MISMATCH, "c", "Array(double)", actual)


@pytest.mark.parametrize(
    "column",
    [pd.Series([None, np.nan], dtype=object), pd.Series([None, pd.NA], dtype=object)],
    ids=describe_case,
)
def test_a_column_of_nothing_but_nulls_is_a_composite_of_nulls(column):
    frame = pd.DataFrame({"c": column})
    assert enforce(frame, Schema([ColSpec(Array("long"), "c")]))["c"].isna().all()
    with pytest.raises(ContractError, match=r"expected Array\(long\) without nulls, got nulls, 2 times"):
        enforce(frame, Schema([ColSpec(Array("long"), "c")]), strict_nulls=True)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("column", [np.zeros(0, "int64"), np.zeros(1, "int64"), [np.nan]], ids=describe_case)
def test_typed_column_is_refused_for_a_composite(column, required):
    """Law 2: not even without rows, or of NaN alone."""
    schema = Schema([ColSpec(Array("double"), "c", required)])
    with pytest.raises(ContractError, match=r"c: expected Array\(double\), got (int64|float64) "):
        enforce(pd.DataFrame({"c": column}), schema)


def test_category_of_zoned_times_becomes_local_times():
    times = pd.to_datetime(["2020-07-01 12:00"]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"a": pd.Categorical(times)})
    assert enforce(frame, Schema([ColSpec("datetime", "a")]))["a"].tolist() == [
        pd.Timestamp("2020-07-01 12:00")
    ]


@pytest.mark.parametrize(
    "data", [{"a": np.array([1500], "M8[ps]")}, {"a": [np.datetime64(1500, "ps")]}], ids=describe_case
)
def test_times_finer_than_nanoseconds_are_refused(data):
    schema = Schema([ColSpec("datetime", "a")])
    with pytest.raises(ContractError):
        enforce(data, schema)


def test_column_of_any_is_not_changed():
    big = pd.Series([2**53 + 1, None], dtype=object)
    for column in (big, pd.Series([1, None], dtype="Int64"), pd.Series(pd.Categorical(["a", "b"]))):
        frame = pd.DataFrame({"a": column.array}, index=["p", "q"])
        result = enforce(frame, Schema([ColSpec(AnyType(), "a")]))
        pd.testing.assert_frame_equal(result, frame)


@pytest.mark.parametrize(
    "data",
    [pd.DataFrame({"x": [1.0], "y": [1], "s": ["a"]}), pa.table({"x": [1.0], "y": [1], "s": ["a"]})],
    ids=describe_case,
)
def test_extra_columns_are_dropped_or_forbidden(data):
    assert len(enforce(data, SCHEMA)) == 1
    with pytest.raises(ContractError) as error:
        enforce(data, SCHEMA, extra="forbid")
    expected = "only declared columns"
    assert error.value.findings == (Finding(Code.EXTRA_COLUMN, "y", expected, "an undeclared column"),)


def test_frame_of_declared_dtypes_is_passed_on_without_sharing():
    frame = pd.DataFrame(
        np.arange(6.0).reshape(3, 2), columns=["a", "b"], index=pd.Index([1, 2, 3], name="k")
    )
    twin = frame.copy(deep=True)
    for names in (["a", "b"], ["b", "a"], ["b"]):
        result = enforce(frame, Schema([ColSpec("double", name) for name in names]))
        pd.testing.assert_frame_equal(result, twin[names])
        result.iloc[:, :] = -1.0
        result.columns = names[::-1]
        result.columns.name = result.index.name = "mine"
        pd.testing.assert_frame_equal(frame, twin)


CODE_PATHS = {
    "doubles": lambda frame: frame,
    "objects": lambda frame: frame.astype(object),
    "categories": lambda frame: frame.astype("category"),
    "table": lambda frame: pa.table({name: frame[name].to_numpy() for name in frame}),
    "several blocks": lambda frame: frame.assign(a=frame["a"]),
}


@pytest.mark.parametrize("convert", CODE_PATHS.values(), ids=CODE_PATHS)
def test_model_frame_does_not_depend_on_the_code_path(convert):
    """The dtypes of a frame choose the code that converts it; the values are the same."""
    frame = pd.DataFrame({"a": [1.5, -0.0], "b": [2.5, np.nan]})
    schema = Schema([ColSpec("double", "b"), ColSpec("double", "a")])
    result = build_model_frame(convert(frame), schema)
    pd.testing.assert_frame_equal(result, frame[["b", "a"]])
    assert np.signbit(result["a"].tolist()[1])


def test_enforce_is_an_ordinary_function_with_its_own_signature():
    assert sparksig.enforce is enforce
    assert list(inspect.signature(sparksig.enforce).parameters)[:2] == ["data", "contract"]


@pytest.mark.parametrize("function", [enforce, validate_schema])
@pytest.mark.parametrize(
    "contract", [None, [Schema([ColSpec("double", "x")])], 5], ids=["None", "list", "int"]
)
def test_an_object_that_is_no_contract_is_refused(contract, function):
    text = "^contract: expected a ModelSignature, a Schema, a dictionary of a signature, a StructType"
    with pytest.raises(ContractError, match=text):
        function(pd.DataFrame({"x": [1.5]}), contract)


def test_unknown_option_for_extra_columns_is_refused():
    with pytest.raises(SignatureError, match=r"^extra: expected 'ignore' or 'forbid', got 'no'$"):
        enforce(pd.DataFrame({"x": [1.5]}), Schema([ColSpec("double", "x")]), extra="no")


@pytest.mark.parametrize("function", [enforce, build_model_frame])
@pytest.mark.parametrize(
    "build",
    [
        lambda array: pa.table({"a": array}),
        lambda array: pa.table({"a": pa.chunked_array([pa.array(["x"], pa.large_string()), array])}),
        lambda array: pa.record_batch({"a": array}),
    ],
    ids=["table", "table of two chunks", "record batch"],
)
def test_text_beyond_32_bit_offsets_is_an_error(build, function):
    """The test reserves 2 GB of text and never touches them: the text is refused before it is read."""
    offsets = pa.py_buffer(np.array([0, 2**31 + 5], "int64").tobytes())
    huge = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.allocate_buffer(2**31 + 5)])
    text = (
        r"1 finding\n  - a: expected less than 2\^31 bytes or elements in a batch, got a column that can"
        r"not be converted \(ArrowInvalid\) \(use smaller batches\) \[OUT_OF_RANGE\]$"
    )
    with pytest.raises(ContractError, match=text):
        function(build(huge), Schema([ColSpec("string", "a")]))
