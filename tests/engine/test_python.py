"""Lists, dictionaries, arrays, Series and scalars: one reading for all columns, by the schema."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import sparksig
from sparksig.engine.frames import build_model_frame, enforce
from sparksig.engine.python import to_frame, to_object_series
from sparksig.errors import Code, ContractError
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property
from tests.cases import describe_case

POINT = Object([Property("x", "long"), Property("y", "double", False)])
BROKEN = "the data does not fit the schema"


def named(**types):
    """Required columns by name."""
    return Schema([ColSpec(dtype, name) for name, dtype in types.items()])


def unnamed(*types):
    return Schema([ColSpec(dtype) for dtype in types])


def optional(**types):
    return Schema([ColSpec(dtype, name, required=False) for name, dtype in types.items()])


def columns(data, schema, **options):
    """Return the columns that a model receives."""
    return {name: list(values) for name, values in enforce(data, schema, **options).items()}


def lines(data, schema, **options):
    """The lines of an error; data that passes fails the test."""
    with pytest.raises(ContractError) as error:
        enforce(data, schema, **options)
    assert type(error.value) is ContractError
    return str(error.value).splitlines()


def format_findings(data, schema, **options):
    """The lines of the findings."""
    first, *remaining = lines(data, schema, **options)
    assert first == f"{BROKEN}: {len(remaining)} finding{'s' if len(remaining) != 1 else ''}"
    return [line.removeprefix("  - ") for line in remaining]


# --- dictionaries ---------------------------------------------------------------------------------------

DICTIONARIES = [
    ({"a": [1, 2], "b": ["x", "y"]}, named(a="long", b="string"), {"a": [1, 2], "b": ["x", "y"]}),
    ({"b": ["x"], "a": [1]}, named(a="long", b="string"), {"a": [1], "b": ["x"]}),
    ({"a": 1, "b": "x"}, named(a="long", b="string"), {"a": [1], "b": ["x"]}),
    ({"a": [1, 2], "b": "x"}, named(a=Array("long"), b="string"), {"a": [[1, 2]], "b": ["x"]}),
    ({"a": [[1, 2]], "b": "x"}, named(a=Array(Array("long")), b="string"), {"a": [[[1, 2]]], "b": ["x"]}),
    ({"a": []}, named(a=Array("long")), {"a": [[]]}),
    ({"a": [], "b": []}, named(a="long", b="string"), {"a": [], "b": []}),
    ({"a": pd.Series([[1], [2, 3]])}, named(a=Array("long")), {"a": [[1], [2, 3]]}),
    ({"o": {"x": 1}, "b": "x"}, named(o=POINT, b="string"), {"o": [{"x": 1}], "b": ["x"]}),
    ({"o": [{"x": 1}, {"x": 2}]}, named(o=POINT), {"o": [{"x": 1}, {"x": 2}]}),
    ({"m": {"k": 1}}, named(m=Map("long")), {"m": [{"k": 1}]}),
    ({"m": [{"k": 1}, {}]}, named(m=Map("long")), {"m": [{"k": 1}, {}]}),
    ({"v": [1, {}]}, named(v=AnyType()), {"v": [[1, {}]]}),
    ({"v": {"x": 1}, "a": 5}, named(v=AnyType(), a="long"), {"v": [{"x": 1}], "a": [5]}),
    ({"a": np.array([1, 2], "int32")}, named(a="double"), {"a": [1.0, 2.0]}),
    ({"a": np.array(5)}, named(a="long"), {"a": [5]}),
    ({"a": np.ma.array([1.0, 2.0])}, named(a="double"), {"a": [1.0, 2.0]}),
    ({"a": pd.Series([1], index=[5]), "b": [3]}, named(a="long", b="long"), {"a": [1], "b": [3]}),
    ({"a": datetime.datetime(2020, 1, 1)}, named(a="datetime"), {"a": [pd.Timestamp(2020, 1, 1)]}),
    ({"a": [1, 2], "z": [1], "y": {"q": 1}}, named(a="long"), {"a": [1, 2]}),
    ({"a": 1}, Schema([ColSpec("long", "a"), ColSpec("string", "b", False)]), {"a": [1]}),
    ({0: [1.5], 7: [True]}, Schema([ColSpec("boolean", 7), ColSpec("double", 0)]), {7: [True], 0: [1.5]}),
]  # fmt: skip


@pytest.mark.parametrize(("data", "schema", "expected"), DICTIONARIES, ids=describe_case)
def test_a_dictionary_is_read_by_the_schema(data, schema, expected):
    assert columns(data, schema) == expected
    assert list(enforce(data, schema)) == list(expected)


def test_list_is_read_by_the_type_of_its_own_column():
    """MLflow's reading of one column depends on the types of the others."""
    data = {"a": ["x", "y"], "b": [1, 2]}
    assert columns({"a": data["a"]}, named(a="string")) == {"a": ["x", "y"]}
    assert columns(data, named(a="string", b="long")) == data
    assert format_findings(data, named(a="string", b=Array("long"))) == [
        "b: expected 2 rows, like the longest column, got 1 (pass lists of equal length; for a column "
        "declared an Array, a list is the value of one row) "
        "[ROW_COUNT]"
    ]


def test_columns_of_different_lengths_are_refused():
    hint = (
        "(pass lists of equal length; for a column declared an Array, a list is the value of one row) "
        "[ROW_COUNT]"
    )
    data = {"a": [1, 2, 3], "b": [1], "c": 5, "d": [1, 2, 3]}
    assert format_findings(data, named(a="long", b="long", c="long", d="long")) == [
        f"b: expected 3 rows, like the longest column, got 1 {hint}",
        f"c: expected 3 rows, like the longest column, got 1 {hint}",
    ]


NO_COLUMN = "(pass a list, an array of rank 1 that pandas supports, or one value) [SHAPE_MISMATCH]"


@pytest.mark.parametrize(
    "value",
    [np.ones((2, 2)), np.ma.array([1.0, 2.0], mask=[True, False]), np.ones((1, 1, 1))],
    ids=describe_case,
)
def test_arrays_that_are_refused_as_columns(value):
    text = f"a: expected a column, got a value of type {type(value).__name__} {NO_COLUMN}"
    assert format_findings({"a": value}, named(a="double")) == [text]


@pytest.mark.parametrize("value", [{1, 2}, iter([1])], ids=describe_case)
def test_other_collections_are_no_columns(value):
    actual = f"got a value of type {type(value).__name__}, once, first in row 0"
    assert format_findings({"a": value}, named(a="long"))[0].startswith(f"a: expected long, {actual}")
    [line] = format_findings({"a": value}, named(a=Array("long")))
    assert line == f"a: expected Array(long), {actual} [TYPE_MISMATCH]"


@pytest.mark.parametrize("name", ["1", 1])
def test_names_that_are_equal_as_text_are_refused(name):
    assert format_findings({"1": [1], 1: [2]}, Schema([ColSpec("long", name)])) == [
        "1: expected one column of that name, as text, got several [DUPLICATE_NAME]"
    ]


def test_missing_columns():
    assert format_findings({"A": 1}, named(a="long", b="string")) == [
        "a: expected long, got no such column (did you mean 'A'? Names are case sensitive) [MISSING_COLUMN]",
        "b: expected string, got no such column [MISSING_COLUMN]",
    ]
    assert format_findings({}, named(a="long")) == ["a: expected long, got no such column [MISSING_COLUMN]"]
    assert enforce({}, optional(a="long")).shape == (0, 0)


MAPPINGS = [(POINT, {"x": 1, "y": None}), (Map("long"), {"x": 1}), (AnyType(), {"x": object})]


@pytest.mark.parametrize(("dtype", "data"), MAPPINGS, ids=describe_case)
def test_a_dictionary_is_the_row_of_the_only_column_without_a_name(dtype, data):
    assert columns(data, unnamed(dtype)) == {0: [data]}
    assert columns([data, data], unnamed(dtype)) == {0: [data, data]}


DICTIONARIES = {
    "columns": {"x": [1, 2], "y": ["a", "b"]},
    "rows": [{"x": 1, "y": "a"}, {"y": "b", "x": 2}],
}


@pytest.mark.parametrize("form", DICTIONARIES)
def test_dictionaries_reach_unnamed_columns_by_position(form):
    assert columns(DICTIONARIES[form], unnamed("long", "string")) == {"x": [1, 2], "y": ["a", "b"]}
    text = (
        "expected 1 column, got 2 columns (pass exactly these: columns without names are matched by position)"
    )
    assert format_findings(DICTIONARIES[form], unnamed("long")) == [f"{text} [COLUMN_COUNT]"]


def test_a_row_without_one_of_the_unnamed_columns_is_refused():
    assert format_findings([{"x": 1, "y": "a"}, {"x": 1}], unnamed("long", "string")) == [
        "y: expected string, got rows without it, once, first in row 1 [MISSING_COLUMN]"
    ]


def test_labels_of_unnamed_columns_are_names():
    [line] = format_findings({1.5: [1], "x": [2]}, unnamed("long", "long"))
    assert line == "`1.5`: expected a string or an integer, got a value of type float [INVALID_NAME]"


NUMBERED = Schema([ColSpec("long", 0), ColSpec("long", 1)])


@pytest.mark.parametrize(
    "data", [[[1, 2]], [(1, 2)], np.array([[1, 2]]), [{0: 1, 1: 2}], {0: 1, 1: [2]}], ids=repr
)
def test_columns_named_by_their_numbers_take_data_without_names(data):
    assert columns(data, NUMBERED) == {0: [1], 1: [2]}


@pytest.mark.parametrize("data", [1, [1], np.array([1]), pd.Series([1]), {0: 1}, [{0: 1}]], ids=repr)
def test_a_column_named_0_takes_bare_values(data):
    assert columns(data, Schema([ColSpec("long", 0)])) == {0: [1]}


@pytest.mark.parametrize("data", [{"x": 1}, [{"x": 1}], {0: {"x": 1}}, [{0: {"x": 1}}]], ids=describe_case)
def test_a_column_named_0_takes_objects(data):
    assert columns(data, Schema([ColSpec(POINT, 0)])) == {0: [{"x": 1}]}


def test_other_numbers_are_names():
    schema = Schema([ColSpec("long", 1), ColSpec("long", 2)])
    assert format_findings(np.array([[1, 2]]), schema) == [
        "expected named columns, got an array without names (pass a DataFrame or a dictionary of arrays) "
        "[TYPE_MISMATCH]"
    ]
    assert format_findings({"x": [1], "y": [2]}, NUMBERED) == [
        f"{number}: expected long, got no such column [MISSING_COLUMN]" for number in (0, 1)
    ]


def test_an_object_is_a_value_of_an_unnamed_column():
    assert format_findings({"x": "s"}, unnamed(POINT)) == [
        "0.x: expected long, got a value of type str, once, first in row 0 [TYPE_MISMATCH]"
    ]


# --- lists ----------------------------------------------------------------------------------------------

LISTS = [
    ([{"a": 1}, {"a": 2}], named(a="long"), {"a": [1, 2]}),
    ([{"a": 1, "z": 0}, {"z": [], "a": 2}], named(a="double"), {"a": [1.0, 2.0]}),
    ([{"a": [1]}, {"a": []}], named(a=Array("long")), {"a": [[1], []]}),
    ([{"a": 1}, {}], optional(a="long"), {"a": [1, pd.NA]}),
    ([{"a": 2**53 + 1}, {}], optional(a="long"), {"a": [2**53 + 1, pd.NA]}),
    ([{"a": [1]}, {"b": 1}], optional(a=Array("long"), b="double"), {"a": [[1], None], "b": [np.nan, 1.0]}),
    ([{}, {}], optional(a="long"), {}),
    ([], named(a="long", b=POINT), {"a": [], "b": []}),
    ([1, 2], unnamed("double"), {0: [1.0, 2.0]}),
    ([[1, "a"], (2, "b")], unnamed("long", "string"), {0: [1, 2], 1: ["a", "b"]}),
    ([np.array([1, 2])], unnamed("long", "long"), {0: [1], 1: [2]}),
    ([[1, 2], [3]], unnamed(Array("long")), {0: [[1, 2], [3]]}),
    ([[1, 2], [3, 4]], unnamed(Array("long")), {0: [[1, 2], [3, 4]]}),
    ([{"x": 1}], unnamed(POINT), {0: [{"x": 1}]}),
    ([1, "a", None], unnamed(AnyType()), {0: [1, "a", None]}),
    ([], unnamed("long", "string"), {0: [], 1: []}),
    ([None], unnamed("double"), {0: [np.nan]}),
]


@pytest.mark.parametrize(("data", "schema", "expected"), LISTS, ids=describe_case)
def test_a_list_has_one_element_a_row(data, schema, expected):
    result = enforce(data, schema)
    assert list(result) == list(expected)
    for name, values in expected.items():
        pd.testing.assert_series_equal(to_object_series(list(result[name])), to_object_series(values))
    assert len(result) == len(data)


def test_columns_without_names_of_all_types_side_by_side():
    schema = unnamed(Array("long"), "long", POINT, "string")
    assert columns([[[1], 5, {"x": 1}, "a"]], schema) == {0: [[1]], 1: [5], 2: [{"x": 1}], 3: ["a"]}
    assert [line[:11] for line in format_findings([[["a"], "b", 5, 6]], schema)] == [
        "0[]: expect",
        "1: expected",
        "2: expected",
        "3: expected",
    ]


def test_rows_without_a_key():
    rows = [{"a": 1}, {}, {"b": 1}, {"a": 1, "b": 1}]
    assert format_findings(rows, named(a="long", b="long")) == [
        "a: expected long, got rows without it, 2 times, first in rows 1, 2 [MISSING_COLUMN]",
        "b: expected long, got rows without it, 2 times, first in rows 0, 1 [MISSING_COLUMN]",
    ]
    assert format_findings([{"b": 1}], named(a="long")) == [
        "a: expected long, got no such column [MISSING_COLUMN]"
    ]
    assert format_findings([{"a": None}, {"a": 1}], named(a="long")) == [
        "a: expected long without nulls, got nulls, once, first in row 0 (declare it optional, or double) "
        "[NULL_IN_REQUIRED]"
    ]


def test_a_list_of_other_things_where_columns_have_names():
    hint = "(name the values of a row, for example {'name': value}) [TYPE_MISMATCH]"
    text = "expected a list of dictionaries, got a list of"
    assert format_findings([1, "a", 2], named(a="long")) == [f"{text} int, str {hint}"]
    assert format_findings([{"a": 1}, None], named(a="long")) == [f"{text} NoneType {hint}"]
    assert format_findings([[1]], named(a="long")) == [f"{text} list {hint}"]


def test_rows_of_another_width():
    rows = [[1, 2], [3], "ab", {"x": 1, "y": 2}, 5, None, [1, 2, 3]]
    assert format_findings(rows, unnamed("long", "long")) == [
        "expected a list of 2 values for each row, got other rows, 6 times, first in rows 1, 2, 3, 4, 5 "
        "[COLUMN_COUNT]"
    ]


def test_values_of_a_column_that_are_of_other_types():
    end = "(convert the values explicitly, or drop the column) [TYPE_MISMATCH]"
    text = "expected {}, got a value of type {}, once, first in row {} " + end
    assert format_findings([1, "a"], unnamed("long")) == ["0: " + text.format("long", "str", 1)]
    assert format_findings({"a": [True, 1]}, named(a="boolean")) == ["a: " + text.format("boolean", "int", 1)]
    assert format_findings([[1, 2]], unnamed("long")) == ["0: " + text.format("long", "list", 0)]


# --- scalars, Series, arrays ----------------------------------------------------------------------------

SCALARS = [
    (1, "long", 1),
    (1, "double", 1.0),
    (np.int16(3), "integer", 3),
    (1.5, "float", 1.5),
    ("a", "string", "a"),
    (b"x\0", "binary", b"x\0"),
    (True, "boolean", True),
    (datetime.date(2020, 1, 1), "datetime", pd.Timestamp(2020, 1, 1)),
    (datetime.datetime(2020, 1, 1, 5), "datetime", pd.Timestamp(2020, 1, 1, 5)),
    (pd.Timestamp(2020, 1, 1, 5, tz="Asia/Tokyo"), "datetime", pd.Timestamp(2020, 1, 1, 5)),
    (np.datetime64("2020"), "datetime", pd.Timestamp(2020, 1, 1)),
    (decimal.Decimal("0.5"), "double", 0.5),
]


@pytest.mark.parametrize(("value", "dtype", "expected"), SCALARS, ids=describe_case)
def test_a_scalar_is_one_row(value, dtype, expected):
    assert columns(value, unnamed(dtype)) == {0: [expected]}
    assert format_findings(value, named(a=dtype)) == [
        "expected a DataFrame, a dictionary, or a list of dictionaries, got a value of type "
        f"{type(value).__name__} (the schema is ['a': {dtype} (required)]) [TYPE_MISMATCH]"
    ]
    [line] = format_findings(value, unnamed(dtype, dtype))
    assert line.startswith(f"expected a list of rows, got a value of type {type(value).__name__} (")


def test_a_row_of_a_frame_is_not_a_column():
    row = pd.DataFrame({"a": [1.5], "b": [2.5]}).iloc[0]
    assert format_findings(row, named(a="double", b="double")) == [
        "expected named columns, got a Series of one row (pass a frame of this row, as frame.iloc[[0]], or "
        "the row's to_dict()) [TYPE_MISMATCH]"
    ]
    assert columns(row.rename("a"), named(a="double")) == {"a": [1.5, 2.5]}


def test_an_array_of_rank_0_is_a_scalar():
    assert columns(np.array(5), unnamed("long")) == {0: [5]}


NO_DATA = {
    "None": (None, "None"),
    "tuple": ((1, 2), "a value of type tuple"),
    "set": ({1}, "a value of type set"),
    "frozenset": (frozenset({1}), "a value of type frozenset"),
}


@pytest.mark.parametrize("dtype", [DataType.long, AnyType(), Array("long")], ids=describe_case)
@pytest.mark.parametrize(("value", "actual"), NO_DATA.values(), ids=NO_DATA)
def test_objects_that_are_no_data_are_refused(value, actual, dtype):
    text = f"data: expected a scalar, list, dictionary, array or frame, got {actual}"
    assert lines(value, unnamed(dtype)) == [text]


@pytest.mark.parametrize(("value", "actual"), NO_DATA.values(), ids=NO_DATA)
def test_objects_that_are_no_table_are_refused(value, actual):
    assert format_findings(value, named(a="long")) == [
        f"expected a DataFrame, a dictionary, or a list of dictionaries, got {actual} (the schema is "
        "['a': long (required)]) [TYPE_MISMATCH]"
    ]


@pytest.mark.parametrize(
    "schema", [unnamed("double", "double"), named(a="double", b="double")], ids=describe_case
)
@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array", "dok_matrix"])
def test_sparse_matrices_are_refused_for_columns(form, schema):
    matrix = getattr(scipy.sparse, form)(np.eye(2))
    text = f"expected data for the columns {schema!r}, got a sparse matrix"
    assert lines(matrix, schema) == [text]


SERIES = [
    (pd.Series([1, 2], name="a"), named(a="long"), {"a": [1, 2]}),
    (pd.Series([1, 2]), unnamed("long"), {0: [1, 2]}),
    (pd.Series([1, 2], name="other"), unnamed("long"), {"other": [1, 2]}),
    (pd.Series([1, 2]), Schema([ColSpec("long", 0)]), {0: [1, 2]}),
    (pd.Series([[1], [2]]), unnamed(Array("long")), {0: [[1], [2]]}),
    (pd.Series([1, None], name="a", dtype="Int64"), optional(a="long"), {"a": [1, pd.NA]}),
]


@pytest.mark.parametrize(("series", "schema", "expected"), SERIES, ids=describe_case)
def test_a_series_is_a_column(series, schema, expected):
    data = series.set_axis(["p", "q"])
    result = enforce(data, schema)
    assert list(result.index) == ["p", "q"]
    assert {name: list(values) for name, values in result.items()} == expected


def test_a_series_of_another_name():
    assert format_findings(pd.Series([1]), named(a="long")) == [
        "a: expected long, got no such column [MISSING_COLUMN]"
    ]


ARRAYS = [
    (np.array([1, 2]), unnamed("long"), {0: [1, 2]}),
    (np.array([1, 2], "float32"), unnamed("double"), {0: [1.0, 2.0]}),
    (np.array([[1, 2], [3, 4]]), unnamed("long", "long"), {0: [1, 3], 1: [2, 4]}),
    (np.array([[1, "a"]], dtype=object), unnamed("long", "string"), {0: [1], 1: ["a"]}),
    (np.array(["2020"], "M8[D]"), unnamed("datetime"), {0: [pd.Timestamp(2020, 1, 1)]}),
    (np.array(["a"]), unnamed("string"), {0: ["a"]}),
    (np.ma.array([1.0, 2.0]), unnamed("double"), {0: [1.0, 2.0]}),
    (np.ones((0, 2)), unnamed("double", "double"), {0: [], 1: []}),
    (np.array([]), unnamed("double"), {0: []}),
]


@pytest.mark.parametrize(("array", "schema", "expected"), ARRAYS, ids=describe_case)
def test_an_array_has_columns_by_position(array, schema, expected):
    assert columns(array, schema) == expected


def test_an_array_of_rows_that_are_arrays():
    result = enforce(np.array([[1, 2], [3, 4]]), unnamed(Array("long")))[0]
    assert [(type(row), row.tolist()) for row in result] == [(np.ndarray, [1, 2]), (np.ndarray, [3, 4])]
    result = enforce(np.ones((2, 3, 2)), unnamed(Array(Array("double"))))[0]
    assert [[row.tolist() for row in rows] for rows in result] == [[[1.0, 1.0]] * 3] * 2


def test_arrays_that_do_not_fit():
    assert format_findings(np.ones((2, 2, 2)), unnamed("double", "double")) == [
        "expected an array of rank 1 or 2, got one of rank 3 [SHAPE_MISMATCH]"
    ]
    assert format_findings(np.ma.array([1.0, 2.0], mask=[True, False]), unnamed("double")) == [
        "expected an array without masked values, got masked values (fill them explicitly) [INVALID_VALUE]"
    ]
    assert format_findings(np.ones((2, 3)), unnamed("double")) == [
        "expected 1 column, got 3 columns (select exactly these: columns without names are "
        "matched by position) [COLUMN_COUNT]"
    ]
    assert format_findings(np.ones(2), named(a="double")) == [
        "expected named columns, got an array without names (pass a DataFrame or a dictionary of arrays) "
        "[TYPE_MISMATCH]"
    ]
    assert format_findings(np.ones(2), unnamed(Array("double"))) == [
        "0: expected Array(double), got float64 [TYPE_MISMATCH]"
    ]


# --- options, Any, and the caller's data ----------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [lambda row: row, lambda row: [row], lambda row: pd.DataFrame([row])],
    ids=["dictionary", "list", "frame"],
)
def test_extra_columns_and_keys_are_forbidden_on_demand(build):
    column = "z: expected only declared columns, got an undeclared column [EXTRA_COLUMN]"
    key = "o.z: expected only declared keys, got an undeclared key, once, first in row 0 [UNKNOWN_KEY]"
    data = build({"o": {"x": 1, "z": 2}, "z": 1})
    assert columns(data, named(o=POINT)) == {"o": [{"x": 1}]}
    assert sorted(format_findings(data, named(o=POINT), extra="forbid")) == [key, column]


def test_list_without_rows_has_no_extra_columns():
    assert columns([], named(a="long"), extra="forbid") == {"a": []}


ANYTHING = [
    pd.Series([1, None], dtype="Int64"),
    pd.Series(pd.Categorical(["x", None])),
    np.array([1, 2], "int8"),
]


@pytest.mark.parametrize("values", ANYTHING, ids=describe_case)
def test_any_column_comes_with_its_dtype(values):
    frame = pd.DataFrame({"v": values})
    pd.testing.assert_frame_equal(enforce(frame, named(v=AnyType())), frame)


def test_any_value_comes_as_it_is():
    rows = [{"v": 2**53 + 1}, {"v": None}, {"v": [1, {"x": (2,)}]}]
    result = enforce(rows, named(v=AnyType()))["v"]
    assert all(new is row["v"] for new, row in zip(result, rows))
    assert format_findings(rows, named(v=AnyType()), strict_nulls=True) == [
        "v: expected Any without nulls, got nulls, once, first in row 1 (declare it optional) "
        "[NULL_IN_REQUIRED]"
    ]
    assert columns([{"v": None}], optional(v=AnyType()), strict_nulls=True) == {"v": [None]}


MUTABLE = [
    ({"o": {"x": np.int32(1), "z": 2}, "a": [1, 2]}, named(o=POINT, a=Array("double"))),
    ([{"o": {"x": np.int32(1), "z": 2}, "a": [1, 2]}] * 2, named(o=POINT, a=Array("double"))),
    ([[1, 2], [3]], unnamed(Array("double"))),
    ({"x": np.int8(1), "z": [1]}, unnamed(POINT)),
    ({"a": np.array([1, 2], "int32")}, named(a="double")),
]


@pytest.mark.parametrize(("data", "schema"), MUTABLE, ids=describe_case)
def test_the_callers_data_is_left_alone(data, schema):
    original = copy.deepcopy(data)
    result = enforce(data, schema)
    assert repr(data) == repr(original)
    result[result.columns[0]] = None
    assert repr(data) == repr(original)


def test_arrays_and_series_of_a_dictionary_are_not_written_through():
    array, series = np.array([1.0, 2.0]), pd.Series([1.0, 2.0])
    for data in (array, series, {"a": array}, {"a": series}):
        result = enforce(data, named(a="double") if isinstance(data, dict) else unnamed("double"))
        result.iloc[0, 0] = 9.0
        block = result.to_numpy()
        if block.flags.writeable:
            block[:] = 9.0
    assert (array.tolist(), series.tolist()) == ([1.0, 2.0], [1.0, 2.0])


@given(st.lists(st.fixed_dictionaries({"a": st.integers(-9, 9), "b": st.text(max_size=2)}), max_size=4))
def test_every_form_of_the_same_rows_is_the_same_frame(rows):
    schema = Schema([ColSpec("long", "a"), ColSpec("string", "b", False)])
    by_columns = {name: [row[name] for row in rows] for name in ("b", "a")}
    result = enforce(rows, schema)
    assert len(result) == len(rows)
    frame = pd.DataFrame(
        {"a": pd.Series(by_columns["a"], dtype="int64"), "b": to_object_series(by_columns["b"])}
    )
    table = pa.table(
        {"a": pa.array(by_columns["a"], pa.int64()), "b": pa.array(by_columns["b"], pa.string())}
    )
    for data in (by_columns, frame, table):
        pd.testing.assert_frame_equal(build_model_frame(data, schema), result, check_index_type=False)
    plain = enforce([[row["a"], row["b"]] for row in rows], unnamed("long", "string"))
    assert plain.to_numpy().tolist() == result.to_numpy().tolist()


def test_a_frame_of_objects_is_what_is_judged():
    schema = named(a="long", b=Array("long"))
    assert to_frame({"a": [1], "b": [1, 2]}, schema).to_dict("list") == {"a": [1], "b": [[1, 2]]}
    assert to_frame([{"a": 1, "b": [1]}], schema).dtypes.tolist() == [np.dtype(object)] * 2


# --- what lends its data as Arrow does ------------------------------------------------------------------


@pytest.mark.parametrize(
    "array", [pa.array([1, 2], pa.int8()), pa.chunked_array([[1], [2]], pa.int8())], ids=describe_case
)
def test_arrow_arrays(array):
    result = enforce(array, unnamed("double"))
    assert isinstance(result, pa.Table)
    assert result.equals(pa.table({"0": [1.0, 2.0]}))
    with pytest.raises(ContractError, match="a: expected long, got no such column"):
        enforce(array, named(a="long"))
    assert build_model_frame(array, unnamed("double"))[0].tolist() == [1.0, 2.0]


def test_a_reader_is_refused_and_not_consumed():
    table = pa.table({"a": [1]})
    reader = table.to_reader()
    assert lines(reader, named(a="long")) == [
        "a RecordBatchReader can only be read once: pass reader.read_all()"
    ]
    assert reader.read_all() == table


def test_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"b": ["x", None], "a": pl.Series([1, 2], dtype=pl.Int32), "l": [[1], []]})
    result = enforce(frame, named(a="double", b="string", l=Array("long")))
    assert isinstance(result, pa.Table)
    assert result.to_pydict() == {"a": [1.0, 2.0], "b": ["x", None], "l": [[1], []]}
    assert result.schema.types == [pa.float64(), pa.string(), pa.list_(pa.int64())]
    assert enforce(frame["a"], named(a="long")).to_pydict() == {"a": [1, 2]}
    with pytest.raises(ContractError) as error:
        enforce(frame, named(a="string", c="long"))
    assert sorted((finding.path, finding.code) for finding in error.value.findings) == [
        ("a", Code.TYPE_MISMATCH),
        ("c", Code.MISSING_COLUMN),
    ]


def test_duckdb():
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("SELECT 1::INT AS a, 'x' AS b, {'x': 1::BIGINT, 'z': 2} AS o, [1.5::FLOAT] AS l")
    result = enforce(relation, named(a="long", b="string", o=POINT, l=Array("double")))
    assert isinstance(result, pa.Table)
    assert result.to_pylist() == [{"a": 1, "b": "x", "o": {"x": 1}, "l": [1.5]}]


# --- tuples, instances, arrays of rank 2 ------------------------------------------------------------------


@dataclasses.dataclass
class Order:
    id: int
    tags: tuple = ()


class Visit(NamedTuple):
    id: int
    tags: tuple = ()


ORDERS = Schema([ColSpec("long", "id"), ColSpec(Array("string"), "tags")])


@pytest.mark.parametrize("cls", [Order, Visit])
def test_instances_are_read_as_dictionaries(cls):
    enforced = enforce([cls(1, ("a", "b")), cls(2)], ORDERS)
    assert enforced.to_dict("list") == {"id": [1, 2], "tags": [["a", "b"], []]}
    assert enforce(cls(1, ["a"]), ORDERS).to_dict("list") == {"id": [1], "tags": [["a"]]}
    cells = enforce([{"o": cls(1, ("a",))}], Schema([ColSpec(Object([Property("id", "long")]), "o")]))
    assert cells["o"].tolist() == [{"id": 1}]


def test_what_is_inferred_from_an_instance_accepts_it():
    schema = sparksig.infer_signature(Point("x", True)).inputs
    assert enforce(Point("x", True), schema).to_dict("list") == {"name": ["x"], "seen": [True]}


@dataclasses.dataclass
class Point:
    name: str
    seen: bool


def test_tuples_are_columns_as_lists_are():
    assert enforce({"a": (1, 2)}, Schema([ColSpec("long", "a")]))["a"].tolist() == [1, 2]
    assert enforce({"a": (1, 2)}, Schema([ColSpec(Array("long"), "a")]))["a"].tolist() == [[1, 2]]


def test_an_array_of_rank_2_is_a_column_of_arrays():
    schema = Schema([ColSpec(Array("double"), "v"), ColSpec("long", "n")])
    enforced = enforce({"v": np.ones((2, 3)), "n": [1, 2]}, schema)
    assert [cell.tolist() for cell in enforced["v"]] == [[1.0] * 3] * 2
