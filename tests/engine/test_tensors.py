"""Tensors: arrays checked exactly and handed on themselves; frames and tables made arrays without a loss."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparksig.engine.frames import enforce
from sparksig.errors import Code, ContractError
from sparksig.schema import Schema, TensorSpec
from tests.cases import describe_case

TWO = Schema([TensorSpec(np.dtype("float64"), (-1,), "a"), TensorSpec(np.dtype("int64"), (-1, 2), "b")])


def tensor(dtype, *shape, name=None):
    return Schema([TensorSpec(np.dtype(dtype), shape, name)])


def objects(*values):
    """An array of objects, one a row."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def cells(*values):
    return pd.DataFrame({"q": pd.Series(objects(*values))})


def column(values, dtype=None):
    return pd.DataFrame({"q": pd.Series(values, dtype=dtype)})


def format_findings(data, schema, **options):
    with pytest.raises(ContractError) as error:
        enforce(data, schema, **options)
    first, *remaining = str(error.value).splitlines()
    assert (
        first
        == f"the data does not fit the schema: {len(remaining)} finding{'s' if len(remaining) != 1 else ''}"
    )
    return [line.removeprefix("  - ") for line in remaining]


def codes(data, schema, **options):
    with pytest.raises(ContractError) as error:
        enforce(data, schema, **options)
    return [(finding.path, finding.code) for finding in error.value.findings]


def assert_same(actual, expected, dtype):
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == np.dtype(dtype)
    assert (actual.shape, actual.tolist()) == (np.shape(expected), np.asarray(expected).tolist())


# --- arrays ---------------------------------------------------------------------------------------------

FITS = [
    (np.ones(2), tensor("float64", -1)),
    (np.ones(2), tensor("float64", 2)),
    (np.ones((2, 3)), tensor("float64", -1, 3)),
    (np.ones((2, 3)), tensor("float64", -1, -1)),
    (np.ones((0, 2)), tensor("float64", -1, 2)),
    (np.ones((2, 0, 4)), tensor("float64", -1, -1, 4)),
    (np.ones(2, ">f8"), tensor("float64", -1)),
    (np.ones(2), tensor(">f8", -1)),
    (np.array(["abc", "d"]), tensor("str", -1)),
    (np.array([b"abc"]), tensor("bytes", -1)),
    (np.array(["2020"], ">M8[ns]"), tensor("M8[ns]", -1)),
    (np.array([1], "m8[s]"), tensor("m8[s]", -1)),
    (np.array([1j]), tensor("complex128", -1)),
    (np.array([1, "a", None], object), tensor("object", -1)),
    (np.ma.array([1.0, 2.0]), tensor("float64", -1)),
    (np.asfortranarray(np.ones((2, 2)))[::-1], tensor("float64", -1, 2)),
]


@pytest.mark.parametrize(("array", "schema"), FITS, ids=describe_case)
def test_array_that_fits_is_returned_itself(array, schema):
    assert enforce(array, schema) is array
    [spec] = schema
    named = Schema([TensorSpec(spec.type, spec.shape, "x")])
    results = [enforce(data, named) for data in (array, {"x": array}, {"more": 1, "x": array})]
    assert [list(result) for result in results] == [["x"]] * 3
    assert all(result["x"] is array for result in results)


@given(
    hnp.arrays(st.sampled_from(["float32", "int8", "bool", "<U2"]), hnp.array_shapes(max_dims=3)), st.data()
)
def test_any_array_fits_its_own_dtype_and_shape(array, data):
    shape = [data.draw(st.sampled_from([-1, size])) for size in array.shape]
    dtype = np.dtype("str") if array.dtype.kind == "U" else array.dtype
    assert enforce(array, tensor(dtype, *shape)) is array
    other = [*shape[:-1], array.shape[-1] + 1]
    assert codes(array, tensor(dtype, *other)) == [("", Code.SHAPE_MISMATCH)]


DTYPES = [
    (np.ones(2, "float32"), "float64", "float32"),
    (np.ones(2), "float32", "float64"),
    (np.ones(2, "int64"), "float64", "int64"),
    (np.ones(2, "uint8"), "int8", "uint8"),
    (np.array([True]), "int8", "bool"),
    (np.array(["a"], object), "str", "object"),
    (np.array(["a"]), "object", "str32"),
    (np.array([b"a"]), "str", "bytes8"),
    (np.array(["a"]), "bytes", "str32"),
    (np.array(["2020"], "M8[ns]"), "M8[us]", "datetime64[ns]"),
]


@pytest.mark.parametrize(("array", "dtype", "actual"), DTYPES, ids=describe_case)
def test_a_dtype_is_the_declared_one(array, dtype, actual):
    name = np.dtype(dtype).name
    text = f"expected {name}, got {actual} (cast it explicitly: astype('{name}')) [TYPE_MISMATCH]"
    assert format_findings(array, tensor(dtype, -1)) == [text]
    assert format_findings(array, tensor(dtype, -1, name="x")) == [f"x: {text}"]


SHAPES = [((2, 3), (-1, 2)), ((2, 3), (-1,)), ((2, 3), (3, 3)), ((2,), (-1, 1)), ((), (-1,)), ((1,), ())]


@pytest.mark.parametrize(("shape", "declared"), SHAPES, ids=describe_case)
def test_a_shape_is_the_declared_one(shape, declared):
    text = f"expected shape {declared}, got shape {shape} [SHAPE_MISMATCH]"
    assert format_findings(np.ones(shape), tensor("float64", *declared)) == [text]
    assert len(format_findings(np.ones(shape, "int8"), tensor("float64", *declared))) == 2


def test_a_tensor_of_rank_0():
    array = np.array(1.0)
    assert enforce(array, tensor("float64")) is array
    assert enforce({"x": array}, tensor("float64", name="x"))["x"] is array


def test_masked_values_are_refused():
    text = "expected an array without masked values, got masked values (fill the masked values explicitly)"
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    assert format_findings(masked, tensor("float64", -1)) == [f"{text} [INVALID_VALUE]"]
    assert codes(cells(masked), tensor("float64", -1, 2)) == [("q[]", Code.INVALID_VALUE)]


@pytest.mark.parametrize("data", [[1.0], (1.0,), 1.0, None, {"a": np.ones(1)}, {1.0}], ids=describe_case)
def test_other_data_is_no_tensor(data):
    what = "None" if data is None else f"a value of type {type(data).__name__}"
    hint = "pass an array: numpy.asarray(..., dtype='float64')"
    assert format_findings(data, tensor("float64", -1)) == [
        f"expected Tensor('float64', (-1,)), got {what} ({hint}) [TYPE_MISMATCH]"
    ]


RAGGED = [
    (objects(np.ones(1), np.ones(2)), (-1, -1)),
    (objects(np.ones(1, ">f8"), np.ones(0)), (-1, -1)),
    (objects([1.0, 2.0], [3.0]), (-1, -1)),
    (objects(np.ones((1, 2)), np.ones((5, 2))), (-1, -1, 2)),
    (objects([[1.0, 2.0]], []), (-1, -1, 2)),
    (objects(), (-1, -1)),
]


@pytest.mark.parametrize(("array", "shape"), RAGGED, ids=describe_case)
def test_rows_of_unequal_shapes_where_the_contract_has_any(array, shape):
    assert enforce(array, tensor("float64", *shape)) is array


NOT_RAGGED = [
    (objects(np.ones(1), np.ones(2, "float32")), (-1, -1), "float64", "float32", 1),
    (objects(np.ones(1), np.ones((2, 2))), (-1, -1), "rows of shape (-1,)", "shape (2, 2)", 1),
    (objects(np.ones((1, 3)), np.ones((5, 2))), (-1, -1, 2), "rows of shape (-1, 2)", "shape (1, 3)", 0),
    (objects([[1.0]], [3.0]), (-1, -1), "rows of shape (-1,)", "deeper nested lists", 0),
    (objects(1.0, [3.0]), (-1, -1), "rows of shape (-1,)", "a value of type float", 0),
    (objects([1.0], None), (-1, -1), "rows of shape (-1,)", "None", 1),
    (objects([], [[1.0]]), (-1, -1, 2), "rows of shape (-1, 2)", "1 elements instead of 2", 1),
    (objects([1.0]), (-1, -1, 2), "rows of shape (-1, 2)", "less deeply nested lists", 0),
]


@pytest.mark.parametrize(("array", "shape", "expected", "actual", "row"), NOT_RAGGED, ids=describe_case)
def test_unequal_rows_that_do_not_fit(array, shape, expected, actual, row):
    assert format_findings(array, tensor("float64", *shape)) == [
        f"[]: expected {expected}, got {actual}, once, first in row {row} "
        f"[{'TYPE' if expected == 'float64' else 'SHAPE'}_MISMATCH]"
    ]


def test_unequal_rows_are_as_many_as_declared():
    array = objects(np.ones(1), np.ones(2))
    assert enforce(array, tensor("float64", 2, -1)) is array
    assert codes(array, tensor("float64", 1, -1)) == [("", Code.SHAPE_MISMATCH)]


# --- sparse matrices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_stays_sparse(form):
    matrix = getattr(scipy.sparse, form)(np.eye(2))
    assert enforce(matrix, tensor("float64", -1, 2)) is matrix
    assert enforce(matrix, tensor("float64", -1, 2, name="x"))["x"] is matrix
    assert enforce({"x": matrix}, tensor("float64", -1, 2, name="x"))["x"] is matrix


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("form", ["coo", "bsr", "lil", "dok", "dia"])
def test_other_formats_are_refused(form, kind):
    text = f"expected the format csr or csc, got {form} (convert it with tocsr()) [TYPE_MISMATCH]"
    matrix = getattr(scipy.sparse, f"{form}_{kind}")(np.eye(2))
    assert format_findings(matrix, tensor("float64", -1, 2)) == [text]


def test_all_that_is_wrong_with_a_sparse_matrix():
    matrix = scipy.sparse.coo_matrix(np.eye(2, dtype="float32"))
    assert format_findings({"x": matrix}, tensor("float64", -1, 3, name="x")) == [
        "x: expected the format csr or csc, got coo (convert it with tocsr()) [TYPE_MISMATCH]",
        "x: expected float64, got float32 (cast it explicitly: astype('float64')) [TYPE_MISMATCH]",
        "x: expected shape (-1, 3), got shape (2, 2) [SHAPE_MISMATCH]",
    ]


# --- several tensors ------------------------------------------------------------------------------------


def test_a_dictionary_of_tensors_comes_in_the_schemas_order():
    data = {"z": object(), "b": np.ones((3, 2), "int64"), "a": np.ones(3)}
    result = enforce(data, TWO)
    assert list(result) == ["a", "b"]
    assert all(result[name] is data[name] for name in result)
    assert list(data) == ["z", "b", "a"]
    assert format_findings(data, TWO, extra="forbid") == [
        "z: expected only declared tensors, got an undeclared tensor [EXTRA_COLUMN]"
    ]


def test_all_that_is_wrong_with_a_dictionary_of_tensors():
    assert format_findings({"A": 1, "b": np.ones((3, 2))}, TWO) == [
        "a: expected 'a': Tensor('float64', (-1,)), got no such tensor (did you mean 'A'? Names are case "
        "sensitive) [MISSING_COLUMN]",
        "b: expected int64, got float64 (cast it explicitly: astype('int64')) [TYPE_MISMATCH]",
    ]
    assert format_findings({"a": [1.0], "b": np.ones((1, 3), "int64")}, TWO) == [
        "a: expected 'a': Tensor('float64', (-1,)), got a value of type list "
        "(pass an array: numpy.asarray(..., dtype='float64')) [TYPE_MISMATCH]",
        "b: expected shape (-1, 2), got shape (1, 3) [SHAPE_MISMATCH]",
    ]
    assert codes({}, TWO) == [("a", Code.MISSING_COLUMN), ("b", Code.MISSING_COLUMN)]


@pytest.mark.parametrize("rows", [(2, 3), (0, 1)], ids=str)
def test_named_tensors_may_differ_in_their_first_dimension(rows):
    tensors = {"a": np.ones(rows[0]), "b": np.ones((rows[1], 2), "int64")}
    assert enforce(tensors, TWO) == tensors


def test_a_fixed_first_dimension_is_no_number_of_rows():
    schema = Schema(
        [TensorSpec(np.dtype("int64"), (2, -1), "kernel"), TensorSpec(np.dtype("int64"), (-1,), "x")]
    )
    tensors = {"kernel": np.ones((2, 3), "int64"), "x": np.ones(5, "int64")}
    assert enforce(tensors, schema) == tensors
    assert format_findings({**tensors, "kernel": np.ones((3, 3), "int64")}, schema) == [
        "kernel: expected shape (2, -1), got shape (3, 3) [SHAPE_MISMATCH]"
    ]


@pytest.mark.parametrize("data", [np.ones(3), [1.0], [{"a": 1}], None, pd.Series([1.0])], ids=describe_case)
def test_several_tensors_have_names(data):
    what = "None" if data is None else f"a value of type {type(data).__name__}"
    assert format_findings(data, TWO) == [
        f"expected a dictionary of the tensors a, b, got {what} [TYPE_MISMATCH]"
    ]


# --- frames ---------------------------------------------------------------------------------------------

WIDENED = [
    (column([1, 2], "int32"), tensor("float64", -1), [1.0, 2.0]),
    (column([1, 2], "int32"), tensor("float64", -1, 1), [[1.0], [2.0]]),
    (column([1.5], "float32"), tensor("float64", 1), [1.5]),
    (column([1.5, None], "float32"), tensor("float32", -1), [1.5, np.nan]),
    (column([True]), tensor("bool", -1), [True]),
    (column([1, 2], "Int64"), tensor("int64", -1), [1, 2]),
    (column([1, None], "Int32"), tensor("float64", -1), [1.0, np.nan]),
    (column([1.5, None], "Float64"), tensor("float64", -1), [1.5, np.nan]),
    (column([5], "uint64"), tensor("uint64", -1), [5]),
    (column([1j]), tensor("complex128", -1), [1j]),
    (column(["abc", "d"]), tensor("str", -1), ["abc", "d"]),
    (column(["abc"], "string"), tensor("str", -1), ["abc"]),
    (column(["abc"], object), tensor("str", -1), ["abc"]),
    (column([b"xyz", b"a"], object), tensor("bytes", -1), [b"xyz", b"a"]),
    (column([1, 2], object), tensor("int8", -1), [1, 2]),
    (column([1.5, 2, None], object), tensor("float64", -1), [1.5, 2.0, np.nan]),
    (column(np.array(["2020"], "M8[ns]")), tensor("M8[ns]", -1), np.array(["2020"], "M8[ns]")),
    (pd.DataFrame({"a": [1, 2], "b": [0.5, 1]}).astype({"a": "int8"}), tensor("float64", -1, 2),
     [[1, 0.5], [2, 1]]),
    (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), tensor("float64", -1, 2), [[1.0, 2.0]]),
    (pd.DataFrame({"a": ["x"], "b": ["zz"]}), tensor("str", -1, 2), [["x", "zz"]]),
    (cells([1, 2], [3, 4]), tensor("int64", -1, 2), [[1, 2], [3, 4]]),
    (cells([1.5, 2, None]), tensor("float64", -1, 3), [[1.5, 2.0, np.nan]]),
    (cells([[1, 2], [3, 4]]), tensor("int64", -1, 2, 2), [[[1, 2], [3, 4]]]),
    (cells(["a", "bc"]), tensor("str", -1, 2), [["a", "bc"]]),
    (cells(np.array([1, 2.0]), np.array([3.0, 4])), tensor("float64", -1, 2), [[1.0, 2.0], [3.0, 4.0]]),
    (cells(np.array([1, 2], "float32")), tensor("float64", -1, 2), [[1.0, 2.0]]),
    (cells(np.array([1.5]), [2.5]), tensor("float64", -1, 1), [[1.5], [2.5]]),
    (cells(np.ones((2, 2))), tensor("float64", -1, 2, 2), [[[1.0, 1.0], [1.0, 1.0]]]),
    (pd.Series([1.5, 2.5], index=[7, 8]), tensor("float64", -1), [1.5, 2.5]),
    (pa.table({"q": [[1, 2], [3, 4]]}), tensor("int64", -1, 2), [[1, 2], [3, 4]]),
    (pa.table({"q": pa.array([[1, 2]], pa.list_(pa.int64(), 2))}), tensor("int64", -1, 2), [[1, 2]]),
    (pa.table({"q": pa.array([[1, 2]], pa.large_list(pa.int32()))}), tensor("float64", -1, 2), [[1.0, 2.0]]),
    (pa.table({"a": [1.5, None], "b": [2.5, 0.0]}), tensor("float64", -1, 2), [[1.5, 2.5], [np.nan, 0.0]]),
    (pa.chunked_array([[1.5], [2.5]]), tensor("float64", -1), [1.5, 2.5]),
    (pa.table({"q": pa.array([1], pa.uint64())}), tensor("uint64", -1), [1]),
    (pa.table({"q": pa.array(["a"]).dictionary_encode()}), tensor("str", -1), ["a"]),
    (pa.table({"q": [[True]]}), tensor("bool", -1, 1), [[True]]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "schema", "expected"), WIDENED, ids=describe_case)
def test_frames_and_tables_become_tensors(data, schema, expected):
    result = enforce(data, schema)
    [spec] = schema
    assert result.dtype == spec.type or result.dtype.kind in "US"
    np.testing.assert_array_equal(result, np.asarray(expected))
    assert result.shape == np.shape(expected)


def mismatch(dtype, actual, path="q"):
    return f"{path}: expected {dtype}, got {actual} (cast it explicitly: astype('{dtype}')) [TYPE_MISMATCH]"


def nulls(dtype, rows=", once, first in row 1"):
    return f"q: expected {dtype} without nulls, got nulls{rows} [NULL_IN_REQUIRED]"


INNER_NULL = "q[]: expected int64 without nulls, got nulls, once, first in row 0 [NULL_IN_REQUIRED]"


LOSSY = [
    (column([1.7]), tensor("int64", -1), mismatch("int64", "float64")),
    (column([1.0]), tensor("int64", -1), mismatch("int64", "float64")),
    (column([1, 2]), tensor("float64", -1), mismatch("float64", "int64")),
    (column([1, 2]), tensor("int8", -1), mismatch("int8", "int64")),
    (column([1.0]), tensor("float32", -1), mismatch("float32", "float64")),
    (column([True]), tensor("int64", -1), mismatch("int64", "bool")),
    (column([1], "uint64"), tensor("int64", -1), mismatch("int64", "uint64")),
    (column([1]), tensor("str", -1), mismatch("str", "int64")),
    (column([1]), tensor("object", -1), mismatch("object", "int64")),
    (column(np.array(["2020"], "M8[us]")), tensor("M8[ns]", -1),
     mismatch("datetime64[ns]", "datetime64[us]")),
    (column([1, None], "Int64"), tensor("int64", -1), nulls("int64")),
    (column([True, None], "boolean"), tensor("bool", -1), nulls("bool")),
    (column(["a", None], "string"), tensor("str", -1), nulls("str")),
    (column([1, 300], object), tensor("int8", -1),
     "q: expected int8, got values out of its range or precision [OUT_OF_RANGE]"),
    (column([1, -1], object), tensor("uint8", -1),
     "q: expected uint8, got values out of its range or precision [OUT_OF_RANGE]"),
    (column([2**53 + 1], object), tensor("float64", -1),
     "q: expected double, got an int that double cannot hold exactly, once, first in row 0 "
     "[TYPE_MISMATCH]"),
    (column(["1"], object), tensor("int64", -1),
     "q: expected long, got a value of type str, once, first in row 0 [TYPE_MISMATCH]"),
    (cells([1, 2], [3]), tensor("int64", -1, 2),
     "q: expected shape (-1, 2), got rows of unequal length [SHAPE_MISMATCH]"),
    (cells([1, 2], [3]), tensor("int64", -1, -1),
     "q: expected shape (-1, -1), got rows of unequal length [SHAPE_MISMATCH]"),
    (cells([1, 2]), tensor("int64", -1, 3), "expected shape (-1, 3), got shape (1, 2) [SHAPE_MISMATCH]"),
    (cells([1, 2], None), tensor("int64", -1, 2), nulls("int64")),
    (cells([1, None]), tensor("int64", -1, 2), INNER_NULL),
    (cells([1.5, 2]), tensor("int64", -1, 2),
     "q[]: expected long, got a float, once, first in row 0 [TYPE_MISMATCH]"),
    (cells([1, 2], 3), tensor("int64", -1, 2),
     "q: expected Array(long), got a value of type int, once, first in row 1 [TYPE_MISMATCH]"),
    (cells(np.array([1.0, 2])), tensor("float32", -1, 2), mismatch("float32", "float64", "q[]")),
    (cells(np.array([1, 2])), tensor("float64", -1, 2), mismatch("float64", "int64", "q[]")),
    (cells(np.array(["a"])), tensor("float64", -1, 1), mismatch("float64", "str32", "q[]")),
    (cells(np.array(["2020"], "M8[ns]")), tensor("M8[us]", -1, 1),
     mismatch("datetime64[us]", "datetime64[ns]", "q[]")),
    (cells(np.ones(1), np.ones(2)), tensor("float64", -1, -1),
     "q: expected shape (-1, -1), got rows of several shapes [SHAPE_MISMATCH]"),
    (cells(np.ones(1), None), tensor("float64", -1, 1), nulls("float64")),
    (pa.table({"q": [[1, 2], None]}), tensor("int64", -1, 2), nulls("int64")),
    (pa.table({"q": [[1, None]]}), tensor("int64", -1, 2), INNER_NULL),
    (pa.table({"q": [1, None]}), tensor("int64", -1), nulls("int64")),
    (pa.table({"q": [[1, 2], [3]]}), tensor("int64", -1, -1),
     "q: expected shape (-1, -1), got rows of unequal length [SHAPE_MISMATCH]"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "schema", "text"), LOSSY, ids=describe_case)
def test_lossy_conversion_to_a_tensor_is_refused(data, schema, text):
    assert format_findings(data, schema) == [text]


@pytest.mark.parametrize("shape", [(-1, 3), (-1,), (-1, 2, 1)], ids=str)
def test_frames_of_other_widths(shape):
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    text = f"expected shape {shape}, got shape (1, 2) [SHAPE_MISMATCH]"
    assert format_findings(frame, tensor("float64", *shape)) == [text]


def test_frame_with_a_tensors_name_twice_is_refused():
    text = "a: expected 'a': Tensor('float64', (-1,)), got several [DUPLICATE_NAME]"
    assert format_findings(
        pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), tensor("float64", -1, name="a")
    ) == [text]


@pytest.mark.parametrize("build", [pd.DataFrame, pa.table], ids=["frame", "table"])
def test_columns_are_tensors_by_name(build):
    data = build({"b": [[1, 2], [3, 4]], "a": [1.5, 2.5], "z": ["", ""]})
    result = enforce(data, TWO)
    assert list(result) == ["a", "b"]
    assert_same(result["a"], [1.5, 2.5], "float64")
    assert_same(result["b"], [[1, 2], [3, 4]], "int64")
    assert codes(data, TWO, extra="forbid") == [("z", Code.EXTRA_COLUMN)]


EMPTY = [
    (column([], "float64"), tensor("float64", -1), (0,)),
    (column([], "float64"), tensor("float64", -1, 1), (0, 1)),
    (column([], object), tensor("float64", -1), (0,)),
    (column([], object), tensor("float64", -1, 3), (0, 3)),
    (column([], object), tensor("str", -1, 3), (0, 3)),
    (pd.DataFrame({"a": [], "b": []}), tensor("float64", -1, 2), (0, 2)),
    (pa.table({"q": pa.array([], pa.list_(pa.float64()))}), tensor("float64", -1, 2), (0, 2)),
    (cells([], []), tensor("int64", -1, 0), (2, 0)),
]


@pytest.mark.parametrize(("data", "schema", "shape"), EMPTY, ids=describe_case)
def test_no_rows_are_a_tensor_of_no_rows(data, schema, shape):
    result = enforce(data, schema)
    assert (result.shape, result.dtype.kind) == (shape, schema.inputs[0].type.kind)


def test_polars():
    pl = pytest.importorskip("polars")
    assert_same(
        enforce(pl.DataFrame({"a": [[1.5], [2.5]]}), tensor("float64", -1, 1)), [[1.5], [2.5]], "float64"
    )
    assert_same(enforce(pl.Series("a", [1.5]), tensor("float64", -1)), [1.5], "float64")


# --- nothing changes silently ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "value"), [("str", "x\0"), ("bytes", b"x\0"), ("str", "\0")], ids=describe_case
)
def test_trailing_zeros_are_not_cut(dtype, value):
    """NumPy's strings cannot end with them."""
    assert len(format_findings(column([value], object), tensor(dtype, -1))) == 1
    assert len(format_findings(pa.table({"q": [value]}), tensor(dtype, -1))) == 1
    assert len(format_findings(cells([value]), tensor(dtype, -1, 1))) == 1
    assert len(format_findings(pa.table({"q": [[value]]}), tensor(dtype, -1, 1))) == 1


FINE = ["2020-01-01 00:00:01.5"]


@pytest.mark.parametrize(
    "data",
    [
        column(pd.to_datetime(FINE).tz_localize("UTC")),
        column(pd.array(pd.to_datetime(FINE), dtype=pd.ArrowDtype(pa.timestamp("us")))),
        pa.table({"q": pa.array(pd.to_datetime(FINE), pa.timestamp("us"))}),
    ],
    ids=describe_case,
)
def test_times_are_not_cut_to_a_coarser_unit(data):
    assert len(format_findings(data, tensor("M8[s]", -1))) == 1


def test_zoned_times_become_local_times_in_tensors():
    frame = column(pd.to_datetime(["2020-01-01 12:00"]).tz_localize("America/New_York").as_unit("ns"))
    result = enforce(frame, tensor("M8[ns]", -1))
    assert result.tolist() == np.array(["2020-01-01T12:00"], "M8[ns]").tolist()


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_python_times_that_a_tensor_holds_are_taken(unit):
    values = [datetime.datetime(2020, 1, 1, 0, 0, 0, 5), None]
    result = enforce(column(values, object), tensor(f"M8[{unit}]", -1))
    np.testing.assert_array_equal(result, np.array(["2020-01-01T00:00:00.000005", "NaT"], f"M8[{unit}]"))


@pytest.mark.parametrize(
    ("data", "declared"),
    [(pa.int64(), "float64"), (pa.int64(), "int8"), (pa.float64(), "float32"), (pa.uint8(), "int8")],
    ids=describe_case,
)
def test_typed_lists_are_judged_by_their_type(data, declared):
    table = pa.table({"q": pa.array([[1, 2]], pa.list_(data))})
    assert codes(table, tensor(declared, -1, 2)) == [("q[]", Code.TYPE_MISMATCH)]


@pytest.mark.parametrize(
    ("data", "schema"),
    [
        (cells([]), tensor("int64", -1, 3)),
        (cells([[]], [[]]), tensor("int64", -1, 2, 2)),
        (pa.table({"q": pa.array([[]], pa.list_(pa.int64()))}), tensor("int64", -1, 3)),
    ],
    ids=describe_case,
)
def test_lists_of_nothing_where_something_is_declared(data, schema):
    assert [code for _, code in codes(data, schema)] == [Code.SHAPE_MISMATCH]


def test_writing_into_a_tensor_leaves_the_frame_alone():
    for frame in (column([1.0, 2.0]), pd.DataFrame({"q": [1.0, 2.0], "r": [3.0, 4.0]})):
        twin = frame.copy(deep=True)
        for data in (frame, frame["q"]) if frame.shape[1] == 1 else (frame,):
            shape = (-1,) if data.ndim == 1 or data.shape[1] == 1 else (-1, 2)
            result = enforce(data, tensor("float64", *shape))
            if result.flags.writeable:
                result[:] = -1.0
        pd.testing.assert_frame_equal(frame, twin)


@given(hnp.arrays("int64", st.tuples(st.integers(0, 4), st.integers(1, 3))))
def test_every_form_of_the_same_rows_is_the_same_tensor(array):
    rows, width = array.shape
    spec = tensor("int64", -1, width)
    forms = [
        pd.DataFrame(array),
        pa.table({str(index): array[:, index] for index in range(width)}),
        cells(*array) if rows else pd.DataFrame(array),
        cells(*array.tolist()) if rows else pd.DataFrame(array),
        pa.table({"q": pa.array(array.tolist(), pa.list_(pa.int64()))}),
    ]
    for data in forms:
        assert_same(enforce(data, spec), array, "int64")


def test_cells_of_texts_stay_texts():
    cells = objects(np.array(["1", "2"]), np.array(["x", "4"]))
    array = enforce(pd.DataFrame({"a": cells}), tensor("str", -1, 2))
    assert array.tolist() == [["1", "2"], ["x", "4"]]
