"""Predictions: encoded by the output schema, refused with all findings, placed in a time zone."""

from __future__ import annotations

import copy
import datetime
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparksig.engine.predictions import check, encode, get_result_type
from sparksig.engine.predictions.times import place_times
from sparksig.errors import Code, ContractError, ConversionError, Finding, PredictionError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property
from tests.cases import describe_case

BIG = 2**53 + 1
BROKEN = "the prediction breaks the model's output schema"
DECLARE = "return the declared dtype, or save the model with the dtype that it returns"


def tensor(dtype, *inner):
    """One unnamed tensor of any number of rows."""
    return Schema([TensorSpec(np.dtype(dtype), (-1, *inner))])


def columns(required=True, **types):
    return Schema([ColSpec(dtype, name, required) for name, dtype in types.items()])


ONE = {kind: Schema([ColSpec(kind)]) for kind in DataType}


def refused(prediction, outputs, rows):
    """The findings; a prediction that passes fails the test."""
    with pytest.raises(PredictionError) as error:
        encode(prediction, outputs, rows)
    count = len(error.value.findings)
    assert error.value.message == f"{BROKEN}: {count} finding{'s' if count > 1 else ''}"
    return error.value.findings


def codes(prediction, outputs, rows):
    return [finding.code for finding in refused(prediction, outputs, rows)]


# --- the type of a prediction ---------------------------------------------------------------------------

RESULTS = {
    "one column": (columns(p="double"), pa.float64()),
    "unnamed column": (ONE[DataType.datetime], pa.timestamp("ns")),
    "two columns": (
        Schema([ColSpec("long", "b"), ColSpec("string", "a", False)]),
        pa.struct([pa.field("b", pa.int64(), False), pa.field("a", pa.string())]),
    ),
    "two unnamed": (
        Schema([ColSpec("long"), ColSpec("long")]),
        pa.struct([pa.field("0", pa.int64(), False), pa.field("1", pa.int64(), False)]),
    ),
    "rank 1": (tensor("float32"), pa.float32()),
    "rank 2": (tensor("int8", 3), pa.list_(pa.int8())),
    "rank 4": (tensor("bool", 2, -1, 3), pa.list_(pa.list_(pa.list_(pa.bool_())))),
    "text": (tensor("str", -1), pa.list_(pa.string())),
    "bytes": (tensor("bytes"), pa.binary()),
    "several tensors": (
        Schema([TensorSpec(np.dtype("int64"), (-1,), "x"), TensorSpec(np.dtype("float16"), (-1, 2), "y")]),
        pa.struct([pa.field("x", pa.int64(), False), pa.field("y", pa.list_(pa.float16()), False)]),
    ),
}


@pytest.mark.parametrize(("outputs", "expected"), RESULTS.values(), ids=RESULTS)
def test_the_type_of_a_prediction(outputs, expected):
    assert get_result_type(outputs) == expected


@pytest.mark.parametrize("dtype", ["object", "complex128"])
def test_a_dtype_that_arrow_lacks_is_refused_by_name(dtype):
    text = f"expected a dtype that Arrow has a type for, got {dtype}"
    with pytest.raises(ConversionError, match=text):
        get_result_type(tensor(dtype))
    with pytest.raises(ConversionError, match=text):
        encode(np.zeros(1, dtype), tensor(dtype), 1)


# --- tensors --------------------------------------------------------------------------------------------

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
FINE = [np.dtype(name) for name in DTYPES]


@given(st.data())
def test_a_tensor_arrives_row_by_row(data):
    dtype = data.draw(st.sampled_from(FINE))
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3))
    values = data.draw(hnp.arrays(dtype, shape))
    inner = [data.draw(st.sampled_from([-1, size])) for size in shape[1:]]
    array = encode(values, tensor(dtype, *inner), len(values))
    assert array.type == get_result_type(tensor(dtype, *inner))
    assert (len(array), array.null_count) == (shape[0], 0)
    array.validate(full=True)
    leaves = array
    while pa.types.is_list(leaves.type):
        leaves = leaves.flatten()
    assert leaves.to_numpy(zero_copy_only=False).astype(dtype).tobytes() == values.tobytes()
    if dtype != "float16":  # which has no plain Python value in every pyarrow
        assert np.array_equal(
            np.array(array.to_pylist(), dtype).reshape(shape), values, equal_nan=dtype.kind == "f"
        )


LAYOUTS = {
    "Fortran": lambda block: np.asfortranarray(block),
    "backwards": lambda block: block[::-1, ::-1],
    "transposed": lambda block: block.transpose(1, 0, 2),
    "every other": lambda block: np.repeat(block, 2, axis=1)[:, ::2],
    "big-endian": lambda block: block.astype(block.dtype.newbyteorder(">")),
    "read-only": lambda block: np.broadcast_to(block, block.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "U3", "S3"])
def test_any_layout_in_memory_is_read_in_order(layout, dtype):
    block = layout(np.arange(12).reshape(2, 3, 2).astype(dtype))
    spec = {"U": "str", "S": "bytes"}.get(dtype[0], dtype)
    expected = [[list(cell) for cell in row] for row in block.tolist()]
    assert encode(block, tensor(spec, -1, 2), len(block)).to_pylist() == expected


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[s]", "timedelta64[us]"])
@pytest.mark.parametrize("order", ["=", ">"], ids=["native", "big-endian"])
def test_times_keep_their_unit(dtype, order):
    values = np.array([0, 1], "int64").astype(dtype)
    array = encode(values.astype(values.dtype.newbyteorder(order)), tensor(dtype), 2)
    assert array.type == pa.from_numpy_dtype(np.dtype(dtype))
    assert array.cast(pa.int64()).to_pylist() == [0, 1]


def test_not_a_time_is_a_null():
    assert encode(np.array(["2020", "NaT"], "datetime64[ns]"), tensor("datetime64[ns]"), 2).null_count == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_not_a_number_and_minus_zero_stay(dtype):
    values = np.array([np.nan, -0.0, np.inf], dtype)
    array = encode(values, tensor("float64"), 3)
    assert array.null_count == 0
    assert array.to_numpy().tobytes() == values.astype("float64").tobytes()


def survives(actual, declared):
    """Return whether the corner values of a dtype survive a cast to another."""
    if actual.kind == "f":
        corners = [np.finfo(actual).max, np.finfo(actual).smallest_subnormal, 0.1]
    else:
        info = np.iinfo(actual)
        corners = [info.min, *(min(info.max, corner) for corner in (2**11 + 1, 2**24 + 1, BIG, info.max))]
    values = np.array(corners, actual)
    with np.errstate(all="ignore"):
        return bool((values.astype(declared).astype(actual) == values).all())


@pytest.mark.parametrize("declared", FINE, ids=str)
@pytest.mark.parametrize("actual", FINE, ids=str)
def test_a_dtype_widens_or_is_refused(actual, declared):
    values = np.array([[1, 0]]).astype(actual)
    outputs = tensor(declared, 2)
    try:
        array = encode(values, outputs, 1)
    except PredictionError:
        [finding] = refused(values, outputs, 1)
        assert finding == Finding(Code.TYPE_MISMATCH, "", declared.name, actual.name, DECLARE)
        assert actual != declared
        assert codes(np.zeros_like(values), outputs, 1) == [Code.TYPE_MISMATCH]  # whatever the values
        return
    assert array.type == get_result_type(outputs)
    assert array.flatten().to_numpy(zero_copy_only=False).tolist() == [1, 0]
    if actual != declared:
        assert "b" not in (actual.kind, declared.kind)
        assert survives(actual, declared)


@pytest.mark.parametrize(
    ("actual", "declared"),
    [
        ("int32", "int64"),
        ("float32", "float64"),
        ("uint8", "uint16"),
        ("uint32", "int64"),
        ("int32", "float64"),
    ],
    ids=describe_case,
)
def test_prediction_of_a_narrower_dtype_is_widened(actual, declared):
    assert encode(np.ones(1, actual), tensor(declared), 1).to_pylist() == [1]


@pytest.mark.parametrize(
    ("actual", "declared"),
    [
        ("float64", "float32"), ("int64", "float64"), ("int64", "int32"), ("int64", "float32"),
        ("float64", "int64"), ("uint64", "int64"), ("int64", "uint64"), ("bool", "int8"), ("int8", "bool"),
        ("object", "int64"), ("object", "float64"), ("complex64", "float64"), ("U1", "int64"),
        ("int64", "str"),
        ("datetime64[s]", "datetime64[ns]"), ("datetime64[ns]", "int64"), ("int64", "datetime64[ns]"),
    ], ids=describe_case,
)  # fmt: skip
def test_prediction_of_another_dtype_is_refused(actual, declared):
    [finding] = refused(np.zeros(1, actual), tensor(declared), 1)
    assert (finding.code, finding.expected) == (Code.TYPE_MISMATCH, np.dtype(declared).name)


TEXTS = {
    "U array": np.array(["a", "", "äö"]),
    "list": ["a", "", "äö"],
    "objects": np.array(["a", "", "äö"], object),
    "Series": pd.Series(["a", "", "äö"]),
    "string Series": pd.Series(["a", "", "äö"], dtype="string"),
}


@pytest.mark.parametrize("values", TEXTS.values(), ids=TEXTS)
def test_texts(values):
    assert encode(values, tensor("str"), 3).to_pylist() == ["a", "", "äö"]


def test_bytes():
    original = np.array([b"a\0", b"\0"], object)  # NumPy's own bytes lose trailing zeros
    assert encode(original, tensor("bytes"), 2).to_pylist() == [b"a\0", b"\0"]


@pytest.mark.parametrize(
    "values",
    [np.array([b"a", b"\xff"]), np.array([b"a", b"\xff"], object), [b"a", b"\xff"]],
    ids=["fixed width", "objects", "list"],
)
def test_bytes_of_every_form(values):
    assert encode(values, tensor("bytes"), 2).to_pylist() == [b"a", b"\xff"]


def test_missing_texts_are_nulls():
    assert encode(np.array([["a", None]], object), tensor("str", 2), 1).to_pylist() == [["a", None]]


WRONG_TEXTS = {
    "bytes for text": (np.array([b"a"], object), "str"),
    "text for bytes": (np.array(["a"], object), "bytes"),
    "S for text": (np.array([b"a"]), "str"),
    "U for bytes": (np.array(["a"]), "bytes"),
    "number for text": (np.array([1], object), "str"),
    "NaN for text": (np.array(["a", np.nan], object), "str"),
    "text and number": (["a", 1], "str"),
    "text and bytes": (["a", b"a"], "str"),
    "half a character": (np.array(["\ud800"], object), "str"),
}


@pytest.mark.parametrize(("values", "dtype"), WRONG_TEXTS.values(), ids=WRONG_TEXTS)
def test_text_is_converted_into_nothing_and_nothing_into_text(values, dtype):
    assert codes(values, tensor(dtype), len(values)) == [Code.TYPE_MISMATCH]


MIXED_LISTS = {
    "truth and number": ([True, 2], "int64"),
    "big and fraction": ([BIG, 0.5], "float64"),
    "None among numbers": ([1.5, None], "float64"),
}


@pytest.mark.parametrize(("values", "dtype"), MIXED_LISTS.values(), ids=MIXED_LISTS)
def test_a_list_of_two_kinds_is_no_tensor(values, dtype):
    assert codes(values, tensor(dtype), 2) == [Code.TYPE_MISMATCH]


def test_a_frame_is_a_tensor_if_nothing_is_lost():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": np.array([1, 2], "float32")})
    assert encode(frame, tensor("float64", 2), 2).to_pylist() == [[1.5, 1.0], [2.5, 2.0]]
    assert encode(frame[["a"]], tensor("float64"), 2).to_pylist() == [1.5, 2.5]
    lossy = pd.DataFrame({"a": [BIG], "b": [0.5]})
    assert codes(lossy, tensor("float64", 2), 1) == [Code.TYPE_MISMATCH]


def test_hidden_values_of_a_masked_array_stay_hidden():
    masked = np.ma.array([1.5, 2.5], mask=[True, False])
    with pytest.raises(PredictionError):
        encode(masked, tensor("float64"), 2)


SHAPES = {
    "too wide": (np.zeros((2, 3)), (2,), "shape (-1, 2)", "shape (-1, 3)"),
    "too flat": (np.zeros(2), (2,), "shape (-1, 2)", "shape (-1,)"),
    "too deep": (np.zeros((2, 1)), (), "shape (-1,)", "shape (-1, 1)"),
    "deep inside": (np.zeros((2, 3, 4)), (-1, 5), "shape (-1, -1, 5)", "shape (-1, 3, 4)"),
}


@pytest.mark.parametrize(("values", "inner", "expected", "actual"), SHAPES.values(), ids=SHAPES)
def test_a_wrong_shape(values, inner, expected, actual):
    assert refused(values, tensor("float64", *inner), 2) == (
        Finding(Code.SHAPE_MISMATCH, "", expected, actual),
    )


VECTORIZER = (
    "return one prediction for each input row; a text vectorizer iterates over the columns of a DataFrame: "
    "pass it one column, for example with a ColumnTransformer"
)


@pytest.mark.parametrize("outputs", [tensor("float64"), ONE[DataType.double]], ids=["tensor", "column"])
@pytest.mark.parametrize("rows", [0, 2, 4])
def test_a_wrong_number_of_rows(outputs, rows):
    expected = f"one prediction for each of {rows} rows"
    hint = VECTORIZER if rows > 3 else ""
    assert refused(np.zeros(3), outputs, rows) == (Finding(Code.ROW_COUNT, "", expected, "3", hint),)


def test_a_list_of_rows_of_unequal_length():
    [finding] = refused([[1], [2, 3]], tensor("int64", 2), 2)
    assert finding.code in (Code.SHAPE_MISMATCH, Code.TYPE_MISMATCH)


@pytest.mark.parametrize(
    ("prediction", "rows", "text"),
    [
        (np.zeros(3), 2, "expected one prediction for each of 2 rows, got 3 [ROW_COUNT]"),
        (np.array(1.5), 2, "expected one prediction for each of 2 rows, got a single value [ROW_COUNT]"),
        (1.5, 2, "expected one prediction for each of 2 rows, got a single value [ROW_COUNT]"),
        (object(), 1, "expected Tensor('float64', (-1,)), got a value of type object [TYPE_MISMATCH]"),
        (None, 1, "expected Tensor('float64', (-1,)), got None [TYPE_MISMATCH]"),
        (np.zeros(1, int), 1, f"expected float64, got int64 ({DECLARE}) [TYPE_MISMATCH]"),
        (np.zeros((1, 2)), 1, "expected shape (-1,), got shape (-1, 2) [SHAPE_MISMATCH]"),
    ],
    ids=describe_case,
)
def test_the_text_of_a_wrong_prediction(prediction, rows, text):
    with pytest.raises(PredictionError, match=f"^{BROKEN}: 1 finding\n  - {re.escape(text)}$"):
        encode(prediction, tensor("float64"), rows)


NO_PREDICTIONS = {
    "None": None,
    "text": "x",
    "generator": (x for x in [1.5]),
    "set": {1.5},
    "object": object(),
}


@pytest.mark.parametrize("value", NO_PREDICTIONS.values(), ids=NO_PREDICTIONS)
@pytest.mark.parametrize("outputs", [tensor("float64"), ONE[DataType.double]], ids=["tensor", "column"])
def test_other_values_are_refused_as_predictions(value, outputs):
    assert codes(value, outputs, 1) == [Code.TYPE_MISMATCH]


@pytest.mark.parametrize(
    "value", [1.5, np.float64(1.5), np.array(1.5)], ids=["float", "numpy float", "array of rank 0"]
)
@pytest.mark.parametrize("outputs", [tensor("float64"), ONE[DataType.double]], ids=["tensor", "column"])
def test_a_single_value_is_the_prediction_of_a_single_row(value, outputs):
    assert encode(value, outputs, 1).to_pylist() == [1.5]
    assert codes(value, outputs, 2) == [Code.ROW_COUNT]


COLUMNS_OF_PANDAS = {
    "Index": pd.Index([1, 2]),
    "nullable integers": pd.array([1, 2], dtype="Int64"),
    "Categorical": pd.Categorical([1, 2]),
    "tuple": (1, 2),
    "Arrow array": pa.array([1, 2]),
}


@pytest.mark.parametrize("values", COLUMNS_OF_PANDAS.values(), ids=COLUMNS_OF_PANDAS)
def test_columns_of_pandas_and_arrow_are_tensors(values):
    assert encode(values, tensor("int64"), 2).to_pylist() == [1, 2]


@pytest.mark.parametrize("inner", [(), (3,), (-1, 2), (-1, -1, 2)], ids=describe_case)
def test_empty_prediction_for_no_rows(inner):
    sizes = [max(size, 0) for size in inner]
    array = encode(np.zeros((0, *sizes)), tensor("float64", *inner), 0)
    assert (len(array), array.type) == (0, get_result_type(tensor("float64", *inner)))


# --- several tensors ------------------------------------------------------------------------------------

PAIR = Schema([TensorSpec(np.dtype("int64"), (-1,), "x"), TensorSpec(np.dtype("float64"), (-1, 2), "y z")])


def test_several_tensors_become_a_struct():
    array = encode({"y z": np.ones((2, 2), "float32"), "x": np.array([1, 2], "int8")}, PAIR, 2)
    assert array.type == get_result_type(PAIR)
    assert array.to_pylist() == [{"x": 1, "y z": [1.0, 1.0]}, {"x": 2, "y z": [1.0, 1.0]}]


def test_a_frame_of_single_values_is_a_dict_of_tensors():
    outputs = Schema(
        [TensorSpec(np.dtype(dtype), (-1,), name) for dtype, name in (("int64", "a"), ("str", "b"))]
    )
    array = encode(pd.DataFrame({"b": ["x", "y"], "a": [1, 2]}), outputs, 2)
    assert array.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


NAMED_TENSOR = Schema([TensorSpec(np.dtype("int64"), (-1,), "x")])


@pytest.mark.parametrize(
    "prediction", [np.array([1]), {"x": np.array([1])}, [1]], ids=["array", "dictionary", "list"]
)
def test_a_single_named_tensor_is_accepted_with_and_without_its_name(prediction):
    assert encode(prediction, NAMED_TENSOR, 1) == pa.array([1])


def test_a_single_named_tensor_under_another_name_is_refused():
    assert codes({"z": np.array([1])}, NAMED_TENSOR, 1) == [Code.MISSING_KEY, Code.UNKNOWN_KEY]


def test_all_that_is_wrong_with_several_tensors():
    assert [str(finding) for finding in refused({"x": np.zeros(3), "y z": np.zeros((2, 3))}, PAIR, 2)] == [
        "x: expected one prediction for each of 2 rows, got 3 [ROW_COUNT]",
        "y z: expected shape (-1, 2), got shape (-1, 3) [SHAPE_MISMATCH]",
    ]
    assert [str(finding) for finding in refused({"y": np.zeros(3), 7: 1}, PAIR, 2)] == [
        "x: expected a tensor, got no such key [MISSING_KEY]",
        "y z: expected a tensor, got no such key [MISSING_KEY]",
        "y: expected only declared keys, got an undeclared key [UNKNOWN_KEY]",
        "7: expected only declared keys, got an undeclared key [UNKNOWN_KEY]",
    ]
    assert [str(finding) for finding in refused([np.zeros(3)], PAIR, 2)] == [
        "expected a dictionary of 2 tensors, got a value of type list [TYPE_MISMATCH]"
    ]


# --- columns --------------------------------------------------------------------------------------------

SINGLE = {
    "Series": pd.Series([1, 2, 3], index=[7, 7, 9], name="other"),
    "nullable": pd.Series([1, 2, 3], dtype="Int32"),
    "arrow": pd.Series([1, 2, 3], dtype=pd.ArrowDtype(pa.int64())),
    "list": [1, 2, 3],
    "tuple": (1, 2, 3),
    "array": np.array([1, 2, 3]),
    "backwards": np.array([3, 2, 1])[::-1],
    "big-endian": np.array([1, 2, 3], ">i4"),
    "column": np.array([[1], [2], [3]]),
    "small": np.array([1, 2, 3], "uint8"),
    "DataFrame": pd.DataFrame({"p": [1, 2, 3]}, index=[1, 1, 1]),
    "dict": {"p": [1, 2, 3]},
    "dict of arrays": {"p": np.array([1, 2, 3], "int16")},
    "dict of Series": {"p": pd.Series([1, 2, 3])},
}


@pytest.mark.parametrize("prediction", SINGLE.values(), ids=SINGLE)
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_one_column(prediction, required):
    assert encode(prediction, columns(required, p="long"), 3) == pa.array([1, 2, 3])


@pytest.mark.parametrize("name", [name for name in SINGLE if "dict" not in name], ids=describe_case)
def test_one_unnamed_column(name):
    assert encode(SINGLE[name], ONE[DataType.long], 3) == pa.array([1, 2, 3])


SEVERAL = {
    "array": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "Fortran": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]], "float32"),
    "DataFrame": pd.DataFrame({"b": [2.0, 4.0], "a": np.array([1, 3], "int32")}),
    "dict": {"b": [2.0, 4.0], "a": np.array([1, 3], "float32")},
}


@pytest.mark.parametrize("prediction", SEVERAL.values(), ids=SEVERAL)
def test_several_columns_become_a_struct(prediction):
    outputs = columns(a="double", b="double")
    array = encode(prediction, outputs, 2)
    assert array.type == get_result_type(outputs)
    assert array.to_pylist() == [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]


def test_several_unnamed_columns_go_by_position():
    outputs = Schema([ColSpec("double"), ColSpec("string")])
    array = encode(pd.DataFrame({"q": [1.5], "p": ["x"]}), outputs, 1)
    assert array.to_pylist() == [{"0": 1.5, "1": "x"}]


@pytest.mark.parametrize(
    "prediction",
    [np.array([[1, 2]]), pd.DataFrame([[1, 2]]), pd.DataFrame({1: [2], 0: [1]})],
    ids=describe_case,
)
def test_integer_names(prediction):
    outputs = Schema([ColSpec("long", 0), ColSpec("long", 1)])
    assert encode(prediction, outputs, 1).to_pylist() == [{"0": 1, "1": 2}]


VALUES = {
    DataType.boolean: [True, False],
    DataType.integer: np.array([1, -1], "int32"),
    DataType.long: [BIG, -BIG],
    DataType.float: np.array([0.1, -0.0], "float32"),
    DataType.double: [0.1, -0.0],
    DataType.string: ["a", ""],
    DataType.binary: [b"a", b"\0"],
    DataType.datetime: [pd.Timestamp(2020, 1, 1), pd.Timestamp(1999, 12, 31, 23, 59, 59, 999999)],
}


@pytest.mark.parametrize("kind", DataType, ids=describe_case)
def test_every_type_of_column(kind):
    array = encode(VALUES[kind], ONE[kind], 2)
    assert array.type == get_result_type(ONE[kind])
    assert array.to_pandas().tolist() == list(VALUES[kind])


NULLS = {
    "nullable": (pd.Series([BIG, None], dtype="Int64"), "long", [BIG, None]),
    "arrow": (pd.Series([BIG, None], dtype=pd.ArrowDtype(pa.int64())), "long", [BIG, None]),
    "boolean": (pd.Series([True, None], dtype="boolean"), "boolean", [True, None]),
    "text": (["a", None], "string", ["a", None]),
    "bytes": ([b"a", None], "binary", [b"a", None]),
    "truth": ([True, None], "boolean", [True, None]),
    "Float64": (pd.Series([1.5, None], dtype="Float64"), "double", [1.5, None]),
    "time": (pd.Series([pd.Timestamp(2020, 1, 1), None]), "datetime", [pd.Timestamp(2020, 1, 1), None]),
}


@pytest.mark.parametrize(("prediction", "kind", "expected"), NULLS.values(), ids=NULLS)
def test_a_null_stays_a_null(prediction, kind, expected):
    assert encode(prediction, columns(False, p=kind), 2).to_pylist() == expected
    if kind in ("long", "boolean"):
        [finding] = refused(prediction, columns(p=kind), 2)
        assert (finding.code, finding.path, finding.count, finding.rows) == (
            Code.NULL_IN_REQUIRED,
            "p",
            1,
            (1,),
        )
    else:
        assert encode(prediction, columns(p=kind), 2).to_pylist() == expected


@pytest.mark.parametrize(
    "prediction",
    [np.array([np.nan, -0.0]), pd.Series([np.nan, -0.0]), [float("nan"), -0.0]],
    ids=describe_case,
)
def test_not_a_number_is_no_null(prediction):
    array = encode(prediction, ONE[DataType.double], 2)
    assert array.null_count == 0
    assert array.to_numpy().tobytes() == np.array([np.nan, -0.0]).tobytes()


LOSSES = {
    "int64 for double": (np.array([1]), "double"),
    "float64 for float": (np.array([0.5]), "float"),
    "float for long": ([1.0], "long"),
    "truth for long": ([True], "long"),
    "number for truth": ([1], "boolean"),
    "number for text": ([1], "string"),
    "text for number": (["1"], "double"),
    "bytes for text": ([b"a"], "string"),
    "text for bytes": (["a"], "binary"),
    "S for text": (np.array([b"a"]), "string"),
    "uint64": (np.array([1], "uint64"), "long"),
    "date text for datetime": (["2020-01-01"], "datetime"),
}


@pytest.mark.parametrize(("prediction", "kind"), LOSSES.values(), ids=LOSSES)
def test_a_lossy_column_is_refused(prediction, kind):
    assert codes(prediction, ONE[DataType[kind]], 1) == [Code.TYPE_MISMATCH]


MIXTURES = {
    "text and number": (["x", 1], "string"),
    "truth and number": ([True, 2], "long"),
    "text and bytes": (["x", b"x"], "binary"),
    "big and fraction": ([BIG, 0.5], "double"),
    "big and fraction in a tuple": ((BIG, 0.5), "double"),
    "big and fraction in a dict": ({"p": [BIG, 0.5]}, "double"),
    "big and None": ([BIG, None], "double"),
    "beyond 64 bits": ([2**64], "long"),
    "half a character": (["\ud800"], "string"),
}


@pytest.mark.parametrize(("prediction", "kind"), MIXTURES.values(), ids=MIXTURES)
def test_python_values_that_would_change_are_refused(prediction, kind):
    rows = len(prediction["p"] if isinstance(prediction, dict) else prediction)
    [code] = codes(prediction, columns(False, p=kind), rows)
    assert code in (Code.TYPE_MISMATCH, Code.OUT_OF_RANGE, Code.INVALID_VALUE)


def test_names_missing_and_too_many():
    outputs = Schema([ColSpec("long", "a"), ColSpec("double", "amount"), ColSpec("long", "o", False)])
    frame = pd.DataFrame({"a": [1], "b.c": [2], 3: [4]})
    hint = "(return only the declared columns, or declare this one)"
    assert {str(finding) for finding in refused(frame, outputs, 1)} >= {
        f"`b.c`: expected only declared columns, got an undeclared column {hint} [UNKNOWN_KEY]",
        f"3: expected only declared columns, got an undeclared column {hint} [UNKNOWN_KEY]",
    }
    assert [str(finding) for finding in refused(frame[["a"]], outputs, 1)] == [
        "amount: expected double, got no such column [MISSING_COLUMN]"
    ]
    assert [
        str(finding)
        for finding in refused(pd.DataFrame([[1, 2, 3.0]], columns=["a", "a", "amount"]), outputs, 1)
    ] == ["a: expected one column of that name, got 2 [DUPLICATE_NAME]"]


def test_missing_names_and_extra_names_come_at_once():
    findings = refused({"amuont": [1.5]}, columns(amount="double"), 1)
    assert {finding.code for finding in findings} == {Code.MISSING_COLUMN, Code.UNKNOWN_KEY}


def test_an_optional_output_may_be_absent():
    outputs = Schema([ColSpec("long", "a"), ColSpec("long", "b", False)])
    array = encode(pd.DataFrame({"a": [1]}), outputs, 1)
    assert array.type == get_result_type(outputs)
    assert array.to_pylist() == [{"a": 1, "b": None}]


def test_a_dict_of_unequal_lengths():
    with pytest.raises(PredictionError):
        encode({"a": [1, 2], "b": [1]}, columns(a="long", b="long"), 2)
    with pytest.raises(PredictionError, match="b: expected 2 rows, like the longest column, got 1"):
        encode({"a": [1, 2], "b": 2}, columns(a="long", b="long"), 2)


def test_an_array_that_is_no_table():
    values = np.zeros((2, 2, 2))
    assert refused(values, columns(a="double", b="double"), 2) == (
        Finding(Code.SHAPE_MISMATCH, "", "2 columns", "an array of rank 3"),
    )
    [finding] = refused(values, ONE[DataType.double], 2)
    assert (finding.expected, finding.code) == ("1 column", Code.SHAPE_MISMATCH)


@pytest.mark.parametrize(
    "outputs", [columns(a="double", b="double"), Schema([ColSpec("double")] * 2)], ids=["named", "unnamed"]
)
def test_an_array_of_another_width(outputs):
    [finding] = refused(np.zeros((2, 3)), outputs, 2)
    assert finding.code in (Code.COLUMN_COUNT, Code.SHAPE_MISMATCH)
    assert "2" in finding.expected
    assert "3" in finding.actual


def test_all_wrong_columns_come_at_once():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": pd.array([1, None], dtype="Int64"), "c": ["x", "y"]})
    outputs = columns(a="long", b="string", c="double")
    assert [(finding.path, finding.code) for finding in refused(frame, outputs, 2)] == [
        ("a", Code.TYPE_MISMATCH),
        ("b", Code.TYPE_MISMATCH),
        ("c", Code.TYPE_MISMATCH),
    ]


@pytest.mark.parametrize("outputs", ONE.values(), ids=ONE)
@pytest.mark.parametrize("nothing", [[], (), pd.Series([], dtype=object)], ids=["list", "tuple", "objects"])
def test_empty_list_is_a_prediction_for_no_rows(nothing, outputs):
    array = encode(nothing, outputs, 0)
    assert (len(array), array.type) == (0, get_result_type(outputs))


def test_a_frame_without_rows_is_a_prediction_for_no_rows():
    outputs = columns(a="string", b="long")
    frame = pd.DataFrame({"a": pd.Series([], dtype="string"), "b": pd.Series([], dtype="int64")})
    array = encode(frame, outputs, 0)
    assert (len(array), array.type) == (0, get_result_type(outputs))


# --- composites -----------------------------------------------------------------------------------------

POINT = Object([Property("x", "double"), Property("tags", Array("string"), False)])
POINTS = [{"x": 1, "tags": ["a", None]}, {"x": 2.5}, {"x": 0.0, "tags": None, "more": 1}]


class Pair(pydantic.BaseModel):
    x: float
    tags: list[str] = []


COMPOSITES = {
    "lists": ([[1, 2], [], [3]], Array("double"), [[1.0, 2.0], [], [3.0]]),
    "arrays": ([np.array([1, 2], "int32"), np.array([0.5])], Array("double"), [[1.0, 2.0], [0.5]]),
    "lists of arrays": ([[np.array([1.5])], []], Array(Array("double")), [[[1.5]], []]),
    "times": ([[datetime.date(2020, 1, 1)]], Array("datetime"), [[pd.Timestamp(2020, 1, 1)]]),
    "objects": (
        POINTS,
        POINT,
        [{"x": 1.0, "tags": ["a", None]}, {"x": 2.5, "tags": None}, {"x": 0.0, "tags": None}],
    ),
    "maps": ([{"a": 1}, {}, {"b": None}], Map("long"), [[("a", 1)], [], [("b", None)]]),
    "maps of arrays": ([{"a": np.array([1.5])}], Map(Array("double")), [[("a", [1.5])]]),
    "pydantic": (
        [Pair(x=1, tags=["a"]), Pair(x=2)],
        POINT,
        [{"x": 1.0, "tags": ["a"]}, {"x": 2.0, "tags": []}],
    ),
    "lists of pydantic": ([[Pair(x=1)]], Array(POINT), [[{"x": 1.0, "tags": []}]]),
}


def build_object_series(values):
    """Return a Series of objects, where pandas would make a matrix of lists of one length."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.Series(array)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        (None, list),
        ("p", list),
        ("p", lambda values: {"p": values}),
        (None, build_object_series),
        ("p", lambda values: pd.DataFrame({"p": build_object_series(values)})),
    ],
    ids=["list", "list of a named column", "dictionary", "series", "frame"],
)
@pytest.mark.parametrize(("values", "dtype", "expected"), COMPOSITES.values(), ids=COMPOSITES)
def test_composites_are_encoded(values, dtype, expected, name, build):
    prediction, outputs = build(values), Schema([ColSpec(dtype, name)])
    array = encode(prediction, outputs, len(values))
    array.validate(full=True)
    assert (array.type, array.to_pylist()) == (get_result_type(outputs), expected)
    assert check(prediction, outputs, len(values)) is None


def test_composites_in_arrow_are_encoded_by_type():
    column = pd.Series([[1, 2], None], dtype=pd.ArrowDtype(pa.list_(pa.int32())))
    outputs = Schema([ColSpec(Array("double"), "p", False)])
    array = encode(pd.DataFrame({"p": column}), outputs, 2)
    assert (array.type, array.to_pylist()) == (pa.list_(pa.float64()), [[1.0, 2.0], None])
    column = pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64())))
    [finding] = refused(pd.DataFrame({"p": column}), outputs, 1)
    assert (finding.path, finding.expected, finding.actual) == ("p[]", "double", "int64")


@pytest.mark.parametrize("call", [encode, check], ids=describe_case)
def test_composites_that_do_not_fit_are_findings_with_their_rows(call):
    outputs = Schema([ColSpec(POINT, "p"), ColSpec(Array("long"), "q")])
    prediction = {"p": [{}, {"x": "s"}, 5], "q": [["a"], [1.5], None]}
    with pytest.raises(PredictionError) as error:
        call(prediction, outputs, 3)
    assert str(error.value).splitlines()[1:] == [
        "  - p.x: expected double, got no such field, once, first in row 0 [MISSING_FIELD]",
        "  - p.x: expected double, got a value of type str, once, first in row 1 [TYPE_MISMATCH]",
        "  - p: expected {tags: Array(string) (optional), x: double (required)}, "
        "got a value of type int, once, first in row 2 [TYPE_MISMATCH]",
        "  - q[]: expected long, got a value of type str, once, first in row 0 [TYPE_MISMATCH]",
        "  - q[]: expected long, got a float, once, first in row 1 [TYPE_MISMATCH]",
    ]


@pytest.mark.parametrize(
    ("column", "rows"), [(pd.Series([1.5]), 1), (np.array([1.5, 2.5]), 2)], ids=["Series", "array"]
)
def test_scalars_are_no_composites(column, rows):
    [finding] = refused(column, Schema([ColSpec(Array("double"), "p")]), rows)
    assert finding == Finding(Code.TYPE_MISMATCH, "p", "Array(double)", "float64")


ANYTHING = Schema([ColSpec(AnyType(), "p")])


@pytest.mark.parametrize(
    "prediction",
    [[object(), None], pd.DataFrame({"p": [1, 2]}), {"p": [{}, "x"]}],
    ids=["list", "frame", "dictionary"],
)
def test_any_accepts_everything_and_cannot_be_encoded(prediction):
    assert check(prediction, ANYTHING, 2) is None
    with pytest.raises(ConversionError, match="Any"):
        encode(prediction, ANYTHING, 2)


def test_predictions_of_any_type_are_counted():
    with pytest.raises(PredictionError, match="expected one prediction for each of 3 rows, got 2"):
        check([1, 2], ANYTHING, 3)


def test_composite_predictions_are_left_alone():
    prediction = [{"x": 1, "more": [1]}, {"x": np.float32(0.5)}]
    original = copy.deepcopy(prediction)
    encode(prediction, Schema([ColSpec(POINT)]), 2)
    assert prediction == original
    assert [type(value["x"]) for value in prediction] == [int, np.float32]


@given(st.lists(st.floats() | st.none(), max_size=5))
@pytest.mark.parametrize("outputs", [tensor("float64"), ONE[DataType.double]], ids=["tensor", "column"])
def test_floats_are_the_same_bits_after_it(outputs, values):
    block = np.array(values, "float64")
    assert encode(block, outputs, len(block)).to_numpy(zero_copy_only=False).tobytes() == block.tobytes()


def test_the_models_own_arrays_are_left_alone():
    block = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    frame = pd.DataFrame(block.copy(), columns=["a", "b"])
    encode(block, tensor("float64", 2), 2)
    encode(block, columns(a="double", b="double"), 2)
    encode(frame, columns(b="double", a="double"), 2)
    assert block.tolist() == frame.to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert list(frame.columns) == ["a", "b"]


# --- predicted times in the session's zone --------------------------------------------------------------

NEW_YORK = "America/New_York"


def walls(*texts):
    return pa.array(
        [None if text is None else np.datetime64(text, "ns") for text in texts], pa.timestamp("ns")
    )


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("UTC", "2024-03-10T02:30", "2024-03-10T02:30"),
        ("UTC", "2024-11-03T01:30", "2024-11-03T01:30"),
        (NEW_YORK, "2024-03-10T01:59:59.999999", "2024-03-10T06:59:59.999999"),
        (NEW_YORK, "2024-03-10T03:00", "2024-03-10T07:00"),
        (NEW_YORK, "2024-11-03T00:59:59.999999", "2024-11-03T04:59:59.999999"),
        (NEW_YORK, "2024-11-03T02:00", "2024-11-03T07:00"),
        (NEW_YORK, "2050-07-01T12:00", "2050-07-01T16:00"),
        (NEW_YORK, "2050-01-01T12:00", "2050-01-01T17:00"),
        ("Asia/Kathmandu", "2024-01-01T00:00", "2023-12-31T18:15"),
        ("+02:00", "2024-01-01T00:00", "2023-12-31T22:00"),
    ],
    ids=describe_case,
)
def test_local_time_becomes_its_timestamp(zone, wall, instant):
    array = place_times(walls(wall, None), zone)
    assert array.type == pa.timestamp("us", zone)
    ticks = int(np.datetime64(instant, "us").astype("int64"))
    assert array.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist() == [ticks, None]


@pytest.mark.parametrize(
    ("zone", "wall"),
    [
        (NEW_YORK, "2024-03-10T02:30"),  # never was
        (NEW_YORK, "2024-11-03T01:30"),  # was twice
        (NEW_YORK, "2050-03-13T02:30"),
        (NEW_YORK, "2050-11-06T01:30"),
        ("UTC", "2024-01-01T00:00:00.000000001"),
        (NEW_YORK, "2024-01-01T00:00:00.000000999"),
    ],
    ids=["gap", "overlap", "far gap", "far overlap", "finer in UTC", "finer"],
)
def test_ambiguous_or_nonexistent_local_time_is_refused(zone, wall):
    with pytest.raises(PredictionError) as error:
        place_times(walls("2020-01-01", wall), zone)
    [finding] = error.value.findings
    assert (finding.code, finding.path) == (Code.OUT_OF_RANGE, "")
    if wall.endswith(("001", "999")):
        assert (finding.expected, finding.actual) == ("times in microseconds", "times in nanoseconds")
    else:
        assert finding.expected == f"local times that exist exactly once in {zone}"
        assert (finding.count, finding.rows) == (1, (1,))
        assert "set spark.sql.session.timeZone to UTC" in finding.hint


def test_other_types_than_times_are_not_converted():
    assert place_times(pa.array([], pa.timestamp("ns")), NEW_YORK) == pa.array(
        [], pa.timestamp("us", NEW_YORK)
    )
    assert place_times(walls(None), NEW_YORK).null_count == 1


@pytest.mark.parametrize(
    "array",
    [pa.array([1]), pa.array(["2024-03-10T02:30"]), pa.array([[1.5]]), pa.array([], pa.float32())],
    ids=["long", "string", "list", "empty"],
)
def test_other_types_than_times_are_returned_themselves(array):
    assert place_times(array, NEW_YORK) is array


def test_times_inside_a_struct_are_converted():
    outputs = columns(t="datetime", p="double")
    array = encode({"t": [datetime.datetime(2024, 1, 1)], "p": [0.5]}, outputs, 1)
    placed = place_times(array, NEW_YORK)
    assert placed.type == pa.struct(
        [pa.field("t", pa.timestamp("us", NEW_YORK)), pa.field("p", pa.float64())]
    )
    assert placed.field(0).cast(pa.int64()).to_pylist() == [1704085200 * 10**6]
    gap = encode({"t": [datetime.datetime(2024, 3, 10, 2, 30)], "p": [0.5]}, outputs, 1)
    with pytest.raises(
        ContractError,
        match="t: expected local times that exist exactly once in America/New_York, got ambiguous or "
        "nonexistent times, once",
    ):
        place_times(gap, NEW_YORK)


def test_all_columns_with_ambiguous_times_are_named():
    times = walls("2024-03-10T02:30")
    array = pa.StructArray.from_arrays([times, times, pa.array([1])], ["a.b", "c", "d"])
    with pytest.raises(PredictionError) as error:
        place_times(array, NEW_YORK)
    assert [finding.path for finding in error.value.findings] == ["`a.b`", "c"]


# --- defects found in a review --------------------------------------------------------------------------


def test_null_objects_stay_null_when_times_are_converted():
    dtype = Object([Property("a", "long", required=False), Property("t", "datetime", required=False)])
    outputs = Schema([ColSpec(dtype, "o", required=False)])
    array = place_times(encode({"o": [{"a": 1}, None]}, outputs, 2), "UTC")
    assert array.to_pylist() == [{"a": 1, "t": None}, None]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (Array("datetime"), [[datetime.datetime(2020, 1, 1, 12)], None, []]),
        (Map("datetime"), [{"k": datetime.datetime(2020, 1, 1, 12)}, None]),
    ],
    ids=["array", "map"],
)
def test_null_arrays_and_maps_stay_null_when_times_are_converted(dtype, values):
    outputs = Schema([ColSpec(dtype, "o", required=False)])
    array = place_times(encode({"o": values}, outputs, len(values)), "UTC")
    assert [row is None for row in array.to_pylist()] == [row is None for row in values]
    inner = array.type.value_type if pa.types.is_list(array.type) else array.type.item_type
    assert inner == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("call", [encode, check], ids=describe_case)
@pytest.mark.parametrize("columns", ["x", "xyz"])
def test_unnamed_outputs_are_counted(columns, call):
    two = Schema([ColSpec("double"), ColSpec("double")])
    frame = pd.DataFrame({name: [1.5] for name in columns})
    with pytest.raises(PredictionError, match=f"expected 2 columns, got {len(columns)} column"):
        call(frame, two, 1)


# --- forms of one row and of several --------------------------------------------------------------------

NAMED = columns(required=False, v=Array("double"), s="string")
PLAIN = Schema([ColSpec(Array("double"))])
SEQUENCES = {
    "list": [0.5, 1.5],
    "tuple": (0.5, 1.5),
    "array": np.array([0.5, 1.5]),
    "Series": pd.Series([0.5, 1.5]),
    "Index": pd.Index([0.5, 1.5]),
    "nullable floats": pd.array([0.5, 1.5], dtype="Float64"),
    "Arrow array": pa.array([0.5, 1.5]),
}


@pytest.mark.parametrize("value", SEQUENCES.values(), ids=SEQUENCES)
def test_a_sequence_under_an_array_column_is_the_value_of_one_row(value):
    assert encode({"v": value, "s": "x"}, NAMED, 1).to_pylist() == [{"v": [0.5, 1.5], "s": "x"}]
    assert encode([{"v": value, "s": "x"}] * 2, NAMED, 2).to_pylist() == [{"v": [0.5, 1.5], "s": "x"}] * 2
    with pytest.raises(PredictionError, match="v: expected 2 rows, like the longest column, got 1"):
        encode({"v": value, "s": ["x", "y"]}, NAMED, 2)


@pytest.mark.parametrize("outputs", [PLAIN, columns(v=Array("double"))], ids=describe_case)
@pytest.mark.parametrize(
    "value", [[0.5, 1.5], (0.5, 1.5), np.array([0.5, 1.5])], ids=["list", "tuple", "array"]
)
def test_values_for_one_row_of_an_array_column(value, outputs):
    assert encode(value, outputs, 1).to_pylist() == [[0.5, 1.5]]
    assert encode([value, value], outputs, 2).to_pylist() == [[0.5, 1.5]] * 2


NESTED = {
    "lists": [[0.5], [1.5, 2.5]],
    "tuples": ([0.5], (1.5, 2.5)),
    "arrays": [np.array([0.5]), np.array([1.5, 2.5])],
    "Series of lists": pd.Series([[0.5], [1.5, 2.5]]),
    "Arrow lists": pa.array([[0.5], [1.5, 2.5]]),
}


@pytest.mark.parametrize("value", NESTED.values(), ids=NESTED)
def test_sequences_of_sequences_under_an_array_column_are_its_rows(value):
    expected = [{"v": [0.5], "s": "x"}, {"v": [1.5, 2.5], "s": "y"}]
    assert encode({"v": value, "s": ["x", "y"]}, NAMED, 2).to_pylist() == expected


def test_nulls_under_an_array_column_are_as_many_rows_as_there_are():
    assert encode({"v": [None, None], "s": "x"}, NAMED, 1).to_pylist() == [{"v": [None, None], "s": "x"}]


@pytest.mark.parametrize("value", [[None, None], [None, [0.5]], [[], None]], ids=describe_case)
def test_nulls_of_an_array_column_are_rows(value):
    expected = [{"v": cell, "s": None} for cell in value]
    assert encode({"v": value, "s": [None, None]}, NAMED, 2).to_pylist() == expected


NAN = float("nan")


@pytest.mark.parametrize(
    "prediction",
    [[NAN], {"p": [NAN]}, [{"p": NAN}], {"p": NAN}, (NAN,), pd.Series([NAN], dtype=object)],
    ids=["list", "dictionary of lists", "records", "record", "tuple", "series"],
)
def test_a_predicted_nan_is_not_null(prediction):
    array = encode(prediction, columns(required=False, p="double"), 1)
    assert (array.null_count, repr(array.to_pylist())) == (0, "[nan]")


NAMELESS = {
    "dictionary": {"p": [1, 2]},
    "records": [{"p": 1}, {"p": 2}],
    "frame": pd.DataFrame({"p": [1, 2]}),
    "Arrow table": pa.table({"p": [1, 2]}),
}


@pytest.mark.parametrize("prediction", NAMELESS.values(), ids=NAMELESS)
def test_a_column_without_a_name_takes_any_name(prediction):
    assert encode(prediction, ONE[DataType.long], 2).to_pylist() == [1, 2]


RECORDS = [{"p": {"p": 1.5}}, {"p": None}]


def test_records_and_objects_of_the_only_column_are_distinguished():
    outputs = Schema([ColSpec(Object([Property("p", "double")]), "p", required=False)])
    assert encode(RECORDS, outputs, 2).to_pylist() == [{"p": 1.5}, None]


@pytest.mark.parametrize(
    "prediction",
    [[{"x": 1.5}], {"x": 1.5}, {"p": [{"x": 1.5}]}, {"p": {"x": 1.5}}],
    ids=["objects", "object", "column of objects", "record"],
)
def test_an_object_is_accepted_with_and_without_its_column(prediction):
    outputs = Schema([ColSpec(Object([Property("x", "double")]), "p")])
    assert encode(prediction, outputs, 1).to_pylist() == [{"x": 1.5}]


def test_records_name_what_they_lack_and_what_they_have_more():
    findings = refused([{"a": 1, "c": 1}, {"b": 2}], columns(a="long", b="long"), 2)
    assert {(finding.code, finding.path, finding.rows) for finding in findings} == {
        (Code.MISSING_COLUMN, "a", (1,)),
        (Code.MISSING_COLUMN, "b", (0,)),
        (Code.UNKNOWN_KEY, "c", ()),
    }


@pytest.mark.parametrize(
    "cell",
    [np.array([1]), pd.Series([1]), pd.Index([1]), pd.array([1], dtype="Int64"), pa.array([1])],
    ids=describe_case,
)
def test_typed_cells_are_judged_by_their_dtype(cell):
    [finding] = refused([cell], Schema([ColSpec(Array("integer"))]), 1)
    assert (finding.code, finding.expected, finding.actual) == (Code.TYPE_MISMATCH, "integer", "int64")
