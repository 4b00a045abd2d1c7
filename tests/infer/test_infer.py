"""Examples -> signatures: equal to those of the installed MLflow, except for one table of differences."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparksig import infer as package
from sparksig.engine.frames import enforce
from sparksig.errors import Code, Finding, InferenceError, SparksigError
from sparksig.infer import IntegerColumnWarning, infer_signature
from sparksig.infer.frames import from_frame, from_series, from_struct
from sparksig.infer.tensors import from_array, from_arrays
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.cases import describe_case
from tests.infer.helpers import find_problems, infer, theirs

UTC, HOURS = datetime.timezone.utc, datetime.timedelta(hours=2)
BIG = 2**53 + 1
TEXT = "str" if pd.__version__ >= "3" else "object"


def column(values, dtype=object):
    return pd.DataFrame({"a": pd.Series(values, dtype=dtype)})


# --- frames, as MLflow infers them ----------------------------------------------------------------------

times = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
texts = st.text(st.characters(exclude_categories=["C"]), max_size=5)
SIZES = (8, 16, 32, 64)


def signed(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def floats(bits):
    return st.floats(width=bits, allow_nan=False)


KINDS = {
    "bool": ("bool", st.booleans()),
    **{f"int{bits}": (f"int{bits}", signed(bits)) for bits in SIZES},
    **{f"uint{bits}": (f"uint{bits}", st.integers(0, 2**bits - 1)) for bits in SIZES[:3]},
    "objects of ints": ("object", signed(64)),
}
NULLABLE = {
    **{f"float{bits}": (f"float{bits}", floats(bits)) for bits in SIZES[1:]},
    **{f"datetime64[{unit}]": (f"datetime64[{unit}]", times) for unit in ("s", "ms", "us", "ns")},
    "boolean": ("boolean", st.booleans()),
    **{f"Int{bits}": (f"Int{bits}", signed(bits)) for bits in SIZES},
    **{f"UInt{bits}": (f"UInt{bits}", st.integers(0, 2**bits - 1)) for bits in SIZES[:3]},
    **{f"Float{bits}": (f"Float{bits}", floats(bits)) for bits in SIZES[2:]},
    "string": ("string", texts),
    "python strings": ("string[python]", texts),
    "default strings": (TEXT, texts),
    "objects of text": ("object", texts),
    "objects of bytes": ("object", st.binary(max_size=3)),
    "objects of truth": ("object", st.booleans()),
    "objects of floats": ("object", floats(64)),
    "objects of dates": ("object", times.map(datetime.datetime.date)),
    "objects of times": ("object", times),
    "categories of text": ("category", texts),
    "categories of ints": ("category", st.integers(-5, 5)),
    "categories of floats": ("category", st.floats(-5, 5)),
    "categories of truth": ("category", st.booleans()),
    "arrow ints": (pd.ArrowDtype(pa.int64()), signed(64)),
    "arrow floats": (pd.ArrowDtype(pa.float64()), floats(64)),
    "arrow truth": (pd.ArrowDtype(pa.bool_()), st.booleans()),
    "arrow text": (pd.ArrowDtype(pa.string()), texts),
    "arrow bytes": (pd.ArrowDtype(pa.binary()), st.binary(max_size=3)),
    "arrow times": (pd.ArrowDtype(pa.timestamp("us")), times),
}


@st.composite
def series(draw, rows):
    """A column of a known dtype, or of objects of one type: one value at least, nulls where they go."""
    dtype, value = (KINDS | NULLABLE)[name := draw(st.sampled_from([*KINDS, *NULLABLE]))]
    first = draw(value)
    other_values = st.none() | value if name in NULLABLE and draw(st.booleans()) else value
    values = draw(
        st.permutations([first, *draw(st.lists(other_values, min_size=rows - 1, max_size=rows - 1))])
    )
    return pd.Series(values, dtype=dtype)


@st.composite
def frames(draw):
    """Frames of one row or more, with names and numbers as labels."""
    labels = draw(st.lists(texts | st.integers(0, 5), min_size=1, max_size=4, unique_by=str))
    rows = draw(st.integers(1, 4))
    return pd.DataFrame({label: draw(series(rows)) for label in labels})


@given(frames())
def test_a_frame_has_mlflows_signature(frame):
    ours = infer(frame, frame)
    assert ours.to_dict() == theirs(frame, frame).to_dict()
    assert ours.inputs == from_frame(frame)


@given(frames())
def test_what_is_inferred_is_enforceable(frame):
    """Law 3."""
    back = enforce(frame, infer(frame).inputs)
    assert list(back.columns) == list(frame.columns)
    for label in frame:
        assert_same(back[label].tolist(), frame[label].tolist())


def assert_same(back, values):
    assert len(back) == len(values)
    for value, other in zip(back, values):
        assert pd.isna(value) == pd.isna(other)
        if not pd.isna(value):
            assert value == (pd.Timestamp(other) if isinstance(other, datetime.date) else other)


DTYPES = {str(dtype): dtype for dtype, _ in (KINDS | NULLABLE).values()}
EMPTY = [dtype for name, dtype in DTYPES.items() if name not in ("category", "binary[pyarrow]")]


@pytest.mark.parametrize("dtype", EMPTY, ids=str)
def test_a_frame_without_rows(dtype):
    frame = column([], dtype)
    assert infer(frame).to_dict() == theirs(frame).to_dict()
    assert len(enforce(frame, infer(frame).inputs)) == 0


def test_a_column_without_categories_is_text_as_objects_without_rows_are():
    frame = column([], "category")
    assert infer(frame).inputs == Schema([ColSpec("string", "a")])
    assert len(enforce(frame, infer(frame).inputs)) == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", datetime.timezone(HOURS)], ids=str)
def test_times_with_a_zone(zone, unit):
    times = pd.DatetimeIndex(["2020-01-01 12:00", "2020-07-01 12:00", None]).as_unit(unit).tz_localize(zone)
    frame = pd.DataFrame({"a": times})
    assert infer(frame).to_dict() == theirs(frame).to_dict()
    assert infer(frame).inputs == Schema([ColSpec("datetime", "a", False)])
    assert_same(enforce(frame, infer(frame).inputs)["a"].tolist(), times.tz_localize(None).tolist())


OBJECTS = {
    "ints and None": ([1, None], "double", False),
    "ints and NaN": ([1, np.nan], "double", False),
    "ints and NA": ([BIG, pd.NA], "long", False),
    "ints and floats": ([1, 2.5], "double", True),
    "floats and None": ([1.5, None], "double", False),
    "truth and None": ([True, None], "boolean", False),
    "truth and NA": ([True, pd.NA], "boolean", False),
    "text and NaN": (["a", np.nan], "string", False),
    "text and NA": (["a", pd.NA], "string", False),
    "bytearrays": ([bytearray(b"a"), bytearray(b"")], "binary", True),
    "bytearrays and None": ([bytearray(b"a"), None], "binary", False),
    "bytes and None": ([b"a", None], "binary", False),
    "dates and None": ([datetime.date(2020, 1, 1), None], "datetime", False),
    "times and NaT": ([pd.Timestamp(2020, 1, 1), pd.NaT], "datetime", False),
    "nanoseconds": ([pd.Timestamp("2020-01-01 00:00:00.123456789")], "datetime", True),
    "datetime64": ([np.datetime64("2020-01-01T00:00:00.123456789")], "datetime", True),
    "datetime64 of a day": ([np.datetime64("2020-01-01"), np.datetime64("2020-02-29")], "datetime", True),
    "numpy int8": ([np.int8(1)], "integer", True),
    "numpy int32": ([np.int32(1)] * 2, "integer", True),
    "numpy int32 and NA": ([np.int32(1), pd.NA], "integer", False),
    "numpy int64": ([np.int64(BIG)], "long", True),
    "numpy float16": ([np.float16(0.5)], "float", True),
    "numpy float32": ([np.float32(0.1)] * 2, "float", True),
    "numpy truth": ([np.bool_(True)], "boolean", True),
    "numpy text": ([np.str_("a")], "string", True),
    "numpy bytes": ([np.bytes_(b"a")], "binary", True),
    "NaN alone": ([np.nan, np.nan], "double", False),
    "NaN and None": ([None, np.nan], "double", False),
}  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "required"), OBJECTS.values(), ids=OBJECTS)
def test_objects_of_one_kind(values, kind, required):
    frame = column(values)
    assert theirs(frame).inputs.to_dict() == [{"type": kind, "name": "a", "required": required}]
    assert infer(frame).inputs == Schema([ColSpec(kind, "a", required)])
    assert_same(enforce(frame, infer(frame).inputs)["a"].tolist(), values)


NOON = datetime.datetime(2020, 1, 1, 12)
TRICKY = {
    "big and None": [BIG, None],
    "big and fraction": [BIG, 2.5],
    "beyond 64 bits and None": [2**63, None],
    "date and time": [NOON.date(), NOON],
    "time and date": [NOON, NOON.date()],
    "zones": [NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=datetime.timezone(HOURS))],
    "with zone and without": [NOON.replace(tzinfo=datetime.timezone(HOURS)), NOON],
    "without zone and with": [NOON, NOON.replace(tzinfo=datetime.timezone(HOURS))],
    "bytes and text": [b"x", "x"],
    "float32 and float": [np.float32(0.5), 0.1],
    "int8 and int": [np.int8(1), BIG],
}


@pytest.mark.parametrize("values", TRICKY.values(), ids=TRICKY)
def test_what_is_inferred_of_mixed_objects_is_enforceable(values):
    """Law 3: refused as an example, or given back as it was (a time as its own clock shows it)."""
    frame = column(values)
    try:
        schema = infer(frame).inputs
    except InferenceError:
        return
    clocks = [v.replace(tzinfo=None) if isinstance(v, datetime.datetime) else v for v in values]
    assert_same(enforce(frame, schema)["a"].tolist(), clocks)


@pytest.mark.parametrize("value", [None, pd.NA, pd.NaT], ids=repr)
def test_nothing_but_nulls_is_anything(value):
    frame = column([value, value])
    assert infer(frame).inputs == Schema([ColSpec(AnyType(), "a", False)])
    assert infer(frame).to_dict() == theirs(frame).to_dict()


def test_a_column_of_seconds_without_rows_is_a_time():
    frame = column([], "datetime64[s]")
    assert infer(frame).inputs == Schema([ColSpec("datetime", "a")])
    assert infer(frame).to_dict() == theirs(frame).to_dict()


def test_a_series_is_a_column_by_its_name():
    assert from_series(pd.Series([1.5])) == Schema([ColSpec("double")])


@pytest.mark.parametrize(
    "example",
    [pd.Series([1.5], name="s"), pd.Series([1.5]), pd.Series(["x", None], name=0)],
    ids=["named", "unnamed", "numbered"],
)
def test_a_series_has_the_signature_of_mlflow(example):
    assert infer(example).to_dict() == theirs(example).to_dict()
    assert infer(example).inputs == from_series(example)


def test_the_index_does_not_count():
    frame = pd.DataFrame({"a": ["x"]}, index=pd.MultiIndex.from_tuples([(1, "k")], names=["n", "k"]))
    assert infer(frame).inputs == Schema([ColSpec("string", "a")])


def test_labels_that_are_one_text_are_two_columns_or_an_error():
    frame = pd.DataFrame([[1.5, "x"]], columns=[1, "1"])
    try:
        schema = infer(frame).inputs
    except InferenceError:
        return
    assert enforce(frame, schema).to_numpy().tolist() == [[1.5, "x"]]


# --- arrays, as MLflow infers them ----------------------------------------------------------------------

dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(),
    hnp.complex_number_dtypes(), hnp.datetime64_dtypes(), hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(), hnp.byte_string_dtypes(), st.just(np.dtype(object)),
)  # fmt: skip
arrays = st.builds(np.zeros, hnp.array_shapes(max_dims=4, min_side=0, max_side=3), dtypes)


@given(arrays)
def test_an_array_has_mlflows_signature(array):
    output = None if array.dtype == object else array  # objects other than strings are refused as predictions
    ours = infer(array, output)
    assert ours.to_dict() == theirs(array, output).to_dict()
    assert ours.inputs == from_array(array)
    assert ours.outputs in (None, ours.inputs)


@given(st.dictionaries(texts | st.integers(0, 9), arrays, min_size=1, max_size=4))
def test_a_dictionary_of_arrays_has_mlflows_signature(example):
    assume(len(set(map(str, example))) == len(example))  # ours refuses 0 beside "0"
    assert infer(example).to_dict() == theirs(example).to_dict()
    assert infer(example).inputs == from_arrays(example)


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (np.zeros((4, 3), "float32"), TensorSpec(np.dtype("float32"), (-1, 3))),
        (np.array(["a", "bc"]), TensorSpec(np.dtype("str"), (-1,))),
        (np.zeros((0, 2, 5), ">i2"), TensorSpec(np.dtype("int16"), (-1, 2, 5))),
        (np.array(["2020"], "datetime64[s]"), TensorSpec(np.dtype("datetime64[s]"), (-1,))),
    ],
    ids=["floats", "texts", "big-endian", "times"],
)
def test_the_first_dimension_is_the_rows(array, spec):
    assert infer(array).inputs == Schema([spec])
    assert infer({"x": array}).inputs == Schema([TensorSpec(spec.type, spec.shape, "x")])


# --- where ours is another deliberately ------------------------------------------------------------------


def arrow(dtype, *values):
    return pd.DataFrame({"a": pd.Series(pd.array(pa.array(values, dtype), dtype=pd.ArrowDtype(dtype)))})


def labelled(*labels):
    frame = pd.DataFrame([[0.5] * len(labels)])
    frame.columns = pd.Index(list(labels), dtype=object)
    return frame


NO_TYPE = "a column that cannot be inferred is an error naming it, not one Any for the whole schema"
BY_TYPE = "law 2: a column of a known dtype has its type, whatever it holds"
DECIMALS = "the casting table has a type for decimals of few digits"
NO_JSON = "the name must be readable from JSON"
REFUSED = None

DIFFERENCES = {
    "uint64": (column([1], "uint64"), REFUSED, NO_TYPE),
    "UInt64": (column([1, None], "UInt64"), REFUSED, NO_TYPE),
    "longdouble": (column([1], "longdouble"), REFUSED, NO_TYPE),
    "complex": (column([1j], "complex128"), REFUSED, NO_TYPE),
    "timedelta": (column([1], "timedelta64[ns]"), REFUSED, NO_TYPE),
    "period": (pd.DataFrame({"a": pd.period_range("2020", periods=1, freq="D")}), REFUSED, NO_TYPE),
    "interval": (pd.DataFrame({"a": pd.interval_range(0, 1)}), REFUSED, NO_TYPE),
    "sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([1.5])}), REFUSED, NO_TYPE),
    "time objects": (column([datetime.time(1)]), REFUSED, NO_TYPE),
    "number and text": (column([1, "x"]), REFUSED, NO_TYPE),
    "truth and number": (column([True, 2]), REFUSED, NO_TYPE),
    "text and bytes": (column(["x", b"x"]), REFUSED, NO_TYPE),
    "sets": (column([{1}]), REFUSED, NO_TYPE),
    "decimal(19, 0)": (arrow(pa.decimal128(19, 0), decimal.Decimal(1)), REFUSED, NO_TYPE),
    "decimals of many digits": (column([decimal.Decimal(10**20)]), REFUSED, NO_TYPE),
    "decimals of few digits": (column([decimal.Decimal("0.1"), None]), REFUSED, NO_TYPE),
    "tuples": (column([(1,)]), REFUSED, NO_TYPE),
    "lists and text": (column([[1], "x"]), REFUSED, NO_TYPE),
    "no columns": (pd.DataFrame(), REFUSED, NO_TYPE),
    "doubled label": (labelled("a", "a"), REFUSED, NO_TYPE),
    "label None": (labelled(None, "a"), REFUSED, NO_TYPE),
    "null without a name": (pd.Series([1.5, None]), REFUSED, NO_TYPE),
    "label None with nulls": (pd.DataFrame({None: [1.5, np.nan]}), REFUSED, NO_TYPE),
    "no dimension": (np.array(1.5), REFUSED, NO_TYPE),
    "tuple label": (labelled(("a", "b")), REFUSED, NO_JSON),
    "float label": (labelled(1.5), REFUSED, NO_JSON),
    "structured array": (np.zeros(1, "i4,f8"), REFUSED, NO_JSON),
    "void array": (np.zeros(1, "V8"), REFUSED, NO_JSON),
    "ints beyond 64 bits": (column([2**70]), REFUSED, "law 3: MLflow says long, which cannot hold them"),
    "objects of their own": (column([object()]), REFUSED, "law 3: MLflow says string"),
    "half a character": (
        column(["\ud800"]),
        REFUSED,
        "law 3: it is no text that Arrow, Spark or JSON can hold",
    ),
    "decimal(9, 0)": (arrow(pa.decimal128(9, 0), decimal.Decimal(1)), ("integer", True), DECIMALS),
    "decimal(18, 0)": (arrow(pa.decimal128(18, 0), None, decimal.Decimal(1)), ("long", False), DECIMALS),
    "decimal(15, 2)": (arrow(pa.decimal128(15, 2), decimal.Decimal("0.5")), ("double", True), DECIMALS),
    "no text": (column([None, None], "string"), ("string", False), BY_TYPE),
    "no bytes": (column([], pd.ArrowDtype(pa.binary())), ("binary", True), BY_TYPE),
    "no category": (column([None], pd.CategoricalDtype(["a"])), ("string", False), BY_TYPE),
    "categories of times": (
        column([pd.Timestamp(2020, 1, 1)], pd.CategoricalDtype(pd.DatetimeIndex(["2020-01-01"]))),
        ("datetime", True),
        "columns of category dtype are judged as their categories",
    ),
}


@pytest.mark.parametrize(("example", "expected", "reason"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_where_ours_is_another(example, expected, reason):
    assert reason
    if expected is REFUSED:
        assert find_problems(example)
        return
    kind, required = expected
    assert infer(example).inputs == Schema([ColSpec(kind, "a", required)])
    assert infer(example).inputs.to_dict() != theirs(example).inputs.to_dict()
    values = [float(v) if isinstance(v, decimal.Decimal) else v for v in example["a"]]
    assert_same(enforce(example, infer(example).inputs)["a"].tolist(), values)


# --- errors ---------------------------------------------------------------------------------------------


def test_all_columns_that_cannot_be_inferred_come_at_once():
    frame = pd.DataFrame(
        {
            "fine": [1.5] * 2,
            "u.64": pd.Series([1, 2], dtype="uint64"),
            "mixed": pd.Series(["x", 1], dtype=object),
            "digits": [decimal.Decimal(1), None],
            "cells": [{"a": [1]}, {"a": ["x", 2**64], "b": (1,)}],
            "span": pd.to_timedelta([1, 2]),
        }
    )
    frame.columns = pd.Index([*frame.columns[:-1], ("t", 1)], dtype=object)
    with pytest.raises(InferenceError) as error:
        infer_signature(frame)
    assert str(error.value).splitlines()[:6] == [
        "no signature for this DataFrame: 7 findings",
        "  - `u.64`: expected a supported type, got uint64 (values beyond 2^63 fit no signature "
        "type: cast it explicitly) [UNSUPPORTED_TYPE]",
        "  - mixed: expected values of one type, got long and string [MIXED_TYPES]",
        "  - digits: expected a supported type, got a value of type Decimal "
        "(cast it explicitly: to double, or to an integer) [UNSUPPORTED_TYPE]",
        "  - cells.a[]: expected values of one type, got long and string [MIXED_TYPES]",
        "  - cells.b: expected a supported type, got a value of type tuple (convert it to a list) "
        "[UNSUPPORTED_TYPE]",
    ]
    assert [finding.code for finding in error.value.findings[5:]] == [
        Code.UNSUPPORTED_TYPE,
        Code.INVALID_NAME,
    ]


def test_labels_that_are_not_names_are_refused():
    findings = find_problems(labelled("a", ("x", "y"), 1.5))
    assert [(finding.path, finding.code) for finding in findings] == [
        ("('x', 'y')", Code.INVALID_NAME),
        ("`1.5`", Code.INVALID_NAME),
    ]
    assert findings[0].hint == "rename the column"


def test_doubled_labels_come_in_the_frames_order():
    labels = list("hgfedcba")
    findings = find_problems(labelled(*labels, "once", *labels))
    assert [finding.path for finding in findings] == labels
    assert set(findings) == {
        Finding(Code.DUPLICATE_NAME, x, "one column of that name", "several") for x in labels
    }


def refusal(text):
    return pytest.raises(InferenceError, match=f"^{re.escape(text)}$")


def test_the_texts_of_errors():
    with refusal(
        "no signature for this DataFrame: 1 finding\n  - expected at least one column, got none [EMPTY]"
    ):
        infer_signature(pd.DataFrame())
    with refusal("expected an example, got None for model_input, model_output and params: pass at least one"):
        infer_signature()
    [finding] = find_problems(np.array(1.5))
    assert str(finding) == (
        "expected an array of rank 1 or more, got an array without a dimension "
        "(add a dimension for the rows, for example with array.reshape(1)) [SHAPE_MISMATCH]"
    )
    [finding] = find_problems(pd.Series([1.5, None]))
    assert str(finding) == (
        "expected a name for a column with nulls, got none "
        "(name it: a column without a name must be required) [INVALID_NAME]"
    )


def test_all_tensors_that_cannot_be_inferred_come_at_once():
    example = {"a.b": np.array(1), "fine": np.zeros(1), "c": np.zeros(1, "i4,f8"), ("t",): np.zeros(1)}
    assert [finding.path for finding in find_problems(example)] == ["`a.b`", "c", "('t',)"]


@pytest.mark.parametrize("example", [{None: np.zeros(1), "a": np.zeros(1)}], ids=["label None"])
def test_tensors_with_and_without_names(example):
    assert find_problems(example)


def test_an_error_on_either_side_is_an_error():
    with pytest.raises(InferenceError):
        infer(pd.DataFrame({"a": [1.5]}), 1j)


# --- composite columns ----------------------------------------------------------------------------------

CELLS = {
    "lists": ([[1], []], Array("long"), True),
    "lists and None": ([[1.5], None], Array("double"), False),
    "lists and NaN": ([["x"], np.nan], Array("string"), False),
    "lists of lists": ([[[1]], [[], None]], Array(Array("long")), True),
    "empty lists": ([[], []], AnyType(), True),
    "dictionaries": (
        [{"b": 1, "a": "x"}, {"b": 2}],
        Object([Property("b", "long"), Property("a", "string", False)]),
        True,
    ),
    "dictionaries and None": ([{"a": 1}, None], Object([Property("a", "long", False)]), False),
    "dictionaries and {}": ([{"a": 1}, {}], Object([Property("a", "long", False)]), True),
    "empty dictionaries": ([{}], AnyType(), True),
    "dictionaries in lists": (
        [[{"a": [True]}], [{"a": [False], "b": b"x"}]],
        Array(Object([Property("a", Array("boolean")), Property("b", "binary", False)])),
        True,
    ),
    "arrays": ([np.zeros(2, "float32"), np.zeros(3, "float32")], Array("float"), True),
    "matrices and None": ([np.zeros((2, 2)), None], Array(Array("double")), False),
}


@pytest.mark.parametrize(("cells", "kind", "required"), CELLS.values(), ids=CELLS)
def test_composite_columns(cells, kind, required):
    frame = pd.DataFrame({"fine": [1.5] * len(cells), "a.b": pd.Series(cells, dtype=object)})
    assert infer(frame).inputs == Schema([ColSpec("double", "fine"), ColSpec(kind, "a.b", required)])
    assert infer(frame).to_dict() == theirs(frame).to_dict()


def test_a_series_of_cells_is_a_column_of_them():
    series = pd.Series([{"a": 1}, {"a": 2}], name="s", index=[5, 5])
    assert infer(series).inputs == Schema([ColSpec(Object([Property("a", "long")]), "s")])


# --- Spark, by the schema alone -------------------------------------------------------------------------


def test_a_spark_schema_without_spark():
    T = pytest.importorskip("pyspark.sql.types")
    struct = T.StructType(
        [
            T.StructField("truth", T.BooleanType(), False),
            T.StructField("byte", T.ByteType()),
            T.StructField("long", T.LongType()),
            T.StructField("digits", T.DecimalType(15, 2)),
            T.StructField("a.b", T.TimestampNTZType()),
            T.StructField("day", T.DateType()),
            T.StructField("list", T.ArrayType(T.FloatType())),
            T.StructField("map", T.MapType(T.StringType(), T.IntegerType())),
            T.StructField(
                "o",
                T.StructType([T.StructField("x", T.StringType(), False), T.StructField("y", T.BinaryType())]),
            ),
        ]
    )
    assert from_struct(struct) == Schema(
        [
            ColSpec("boolean", "truth"),
            ColSpec("integer", "byte"),
            ColSpec("long", "long"),
            ColSpec("double", "digits"),
            ColSpec("datetime", "a.b"),
            ColSpec("datetime", "day"),
            ColSpec(Array("float"), "list"),
            ColSpec(Map("integer"), "map"),
            ColSpec(Object([Property("x", "string"), Property("y", "binary", required=False)]), "o"),
        ]
    )


def test_all_spark_columns_without_a_type_come_at_once():
    T = pytest.importorskip("pyspark.sql.types")
    struct = T.StructType(
        [
            T.StructField("b", T.LongType()),
            T.StructField("a", T.DecimalType(38, 2)),
            T.StructField("b", T.LongType()),
            T.StructField("c", T.ArrayType(T.DayTimeIntervalType())),
            T.StructField("d", T.MapType(T.LongType(), T.LongType())),
        ]
    )
    with pytest.raises(InferenceError, match=r"^no signature for this Spark DataFrame: 4 findings") as error:
        from_struct(struct)
    assert [(finding.path, finding.code) for finding in error.value.findings] == [
        ("b", Code.DUPLICATE_NAME),
        ("a", Code.UNSUPPORTED_TYPE),
        ("c[]", Code.UNSUPPORTED_TYPE),
        ("d", Code.UNSUPPORTED_TYPE),
    ]
    with pytest.raises(InferenceError, match=r"expected at least one column, got none \[EMPTY\]$"):
        from_struct(T.StructType([]))


# --- the warning, and the caller's example --------------------------------------------------------------


def test_integer_columns_are_warned_about():
    frame = pd.DataFrame({"id": [1], "x": [1.5], 7: np.array([1], "int8"), "s": ["x"]})
    text = (
        "Handling Integers With Missing Values: required integer columns (id, 7) cannot represent missing "
        "values; if values may be missing, infer from an example with missing values, or declare the "
        "columns double"
    )
    with pytest.warns(IntegerColumnWarning, match=f"^{re.escape(text)}$") as caught:
        infer_signature(frame)
    assert [warning.filename for warning in caught] == [__file__]
    many = pd.DataFrame({f"c{number}": [1] for number in range(7)})
    with pytest.warns(
        IntegerColumnWarning, match=r"integer columns \(c0, c1, c2, c3, c4 and 2 more\) cannot"
    ):
        infer_signature(many)


def test_the_warning_can_be_filtered():
    assert issubclass(IntegerColumnWarning, UserWarning)
    assert package.IntegerColumnWarning is IntegerColumnWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IntegerColumnWarning)
        infer_signature(pd.DataFrame({"id": [1]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(IntegerColumnWarning):
            infer_signature(pd.DataFrame({"id": [1]}))


def test_only_integer_columns_of_the_input_are_warned_of():
    floats = pd.DataFrame({"x": [1.5]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer_signature(floats, pd.DataFrame({"id": [1]}))
        infer_signature(np.array([1]), np.array([1]))
        infer_signature(None, pd.Series([1]))


@pytest.mark.parametrize(
    "example",
    [
        column([1, None], "Int64"),
        column([1, None], "Int32"),
        [{"a": 1}, {"a": None}],
        [{"a": 1}, {}],
        {"a": [1]},
        [[1]],
        pa.table({"a": [1, None]}),
    ],
    ids=["Int64", "Int32", "None", "absent", "a list", "lists", "Arrow"],
)
def test_optional_integers_and_arrays_of_integers_are_not_warned_of(example):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer_signature(example)


@pytest.mark.parametrize(
    ("example", "name"),
    [([1], "0"), (1, "0"), ([{"a": np.int32(1)}], "a"), (pa.table({"t": [1]}), "t"), (pd.Series([1]), "0")],
    ids=["list", "scalar", "dictionaries", "Arrow", "Series"],
)
def test_any_example_of_required_integers_is_warned_of(example, name):
    with pytest.warns(IntegerColumnWarning, match=rf"required integer columns \({name}\) cannot") as caught:
        infer_signature(example)
    assert [warning.filename for warning in caught] == [__file__]


@given(frames())
def test_the_example_is_left_alone(frame):
    twin = frame.copy(deep=True)
    labels = frame.columns
    infer(frame, frame)
    pd.testing.assert_frame_equal(frame, twin, check_column_type="exact")
    assert frame.columns is labels


def test_arrays_are_left_alone():
    array = np.arange(4.0).reshape(2, 2)
    example = {"x": array}
    infer(example, array)
    assert example == {"x": array}
    assert example["x"] is array
    assert array.tolist() == [[0.0, 1.0], [2.0, 3.0]]


def test_a_side_without_an_example_is_none():
    frame = pd.DataFrame({"a": [1.5]})
    assert (infer(frame).outputs, infer(None, frame).inputs, infer(frame).params) == (None, None, None)
    assert json.loads(infer(frame).to_dict()["inputs"]) == [{"type": "double", "name": "a", "required": True}]


@given(frames())
def test_no_batch_of_a_frame_has_another_type(frame):
    """Law 2, for inference: a column of a known dtype has the same type for any rows."""
    known_names = frame[[label for label in frame if frame[label].dtype != object]]
    if known_names.shape[1]:
        expected = infer(known_names).inputs.input_types()
        for part in (known_names.iloc[:0], known_names.iloc[:1], known_names.iloc[1:]):
            assert infer(part).inputs.input_types() == expected


@pytest.mark.parametrize(
    "example",
    [
        labelled(None, None),
        labelled(True),
        labelled(np.nan),
        labelled(pd.NaT),
        labelled(frozenset("a")),
    ],
    ids=describe_case,
)
def test_no_example_raises_anything_else(example):
    with pytest.raises(SparksigError):
        infer(example)


# --- defects found in a review --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["x", pd.NaT], "string"), ([0.5, pd.NaT], "double"), ([True, pd.NaT], "boolean")],
    ids=describe_case,
)
def test_missing_times_are_missing_in_every_column_of_objects(values, kind):
    frame = column(values)
    assert infer(frame).inputs == Schema([ColSpec(kind, "a", False)])
    enforced = enforce(frame, infer(frame).inputs)["a"].tolist()
    assert enforced[0] == values[0]
    assert pd.isna(enforced[1])


def test_a_long_double_is_never_rounded():
    values = [1.5, np.longdouble(1) + np.finfo(np.longdouble).eps]
    assert len(find_problems(column(values))) == 1


@pytest.mark.parametrize(("dtype", "kind"), [(">i4", "integer"), (">f8", "double"), (">i8", "long")])
def test_byte_order_is_no_part_of_a_type(dtype, kind):
    frame = pd.DataFrame({"a": np.array([1], dtype)})
    assert infer(frame).inputs == Schema([ColSpec(kind, "a")])
    assert infer(frame).to_dict() == theirs(frame).to_dict()


def test_multiples_of_a_unit_are_times():
    """pandas 2 reads them as the unit itself, another time, so that it is not asked."""
    frame = column([np.datetime64("2020-01-01T00:00:10", "10s")])
    assert enforce(frame, infer(frame).inputs)["a"].tolist() == [pd.Timestamp("2020-01-01T00:00:10")]


def test_tensors_of_a_spark_schema_are_tensors():
    spec = TensorSpec(np.dtype("float64"), (-1, 3), "a")
    from sparksig.convert.spark import to_spark

    assert from_struct(to_spark(Schema([spec]))) == Schema([spec])


def test_params_that_are_no_dictionary_are_refused():
    with pytest.raises(InferenceError, match=r"^params: expected a dictionary of names and defaults"):
        infer_signature(None, None, np.array([1, 2]))
