"""Optional columns that the data lacks: nulls, no column, or a finding, from every kind of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import Code, ColSpec, ContractError, DataType, Schema, TensorSpec
from sparksig.engine.absent import check_absent, find_absent_columns, format_absent_column
from sparksig.engine.frames import build_model_input
from sparksig.engine.text_dtypes import TextDtype, TextDtypes
from tests.strategies import composite_types

VALUES = [1.5, -2.0]
SOURCES = {
    "frame": pd.DataFrame({"x": VALUES}),
    "table": pa.table({"x": VALUES}),
    "batch": pa.record_batch({"x": pa.array(VALUES)}),
    "columns": {"x": VALUES},
    "records": [{"x": value} for value in VALUES],
}
sources = pytest.mark.parametrize("data", SOURCES.values(), ids=SOURCES)


def schema_with(dtype, name="y"):
    return Schema([ColSpec("double", "x"), ColSpec(dtype, name, required=False)])


@pytest.mark.parametrize("dtype", [*DataType], ids=lambda dtype: dtype.name)
@sources
def test_nulls_have_the_declared_dtype(data, dtype):
    expected = build_model_input(pa.table({"x": VALUES, "y": pa.nulls(2)}), schema_with(dtype))
    pd.testing.assert_frame_equal(build_model_input(data, schema_with(dtype), absent="null"), expected)


@given(composite_types())
def test_an_absent_column_is_seen_as_a_column_of_nulls(dtype):
    schema, absent = schema_with(dtype), {"x": VALUES}
    for nulls in (pa.table({**absent, "y": pa.nulls(2)}), pd.DataFrame({**absent, "y": [None, None]})):
        expected = build_model_input(nulls, schema)
        pd.testing.assert_frame_equal(build_model_input(absent, schema, absent="null"), expected)
        pd.testing.assert_frame_equal(build_model_input(pa.table(absent), schema, absent="null"), expected)


@sources
def test_columns_are_in_the_order_of_the_schema(data):
    schema = Schema([ColSpec("string", "a", False), ColSpec("double", "x"), ColSpec("long", "b", False)])
    assert list(build_model_input(data, schema, absent="null")) == ["a", "x", "b"]
    assert list(build_model_input(data, schema)) == ["x"]


@sources
def test_a_missing_text_is_the_one_that_the_model_knows(data):
    texts = TextDtypes.from_mapping({"y": TextDtype.OBJECT_NAN})
    frame = build_model_input(data, schema_with("string"), texts=texts, absent="null")
    assert [type(value) for value in frame["y"]] == [float, float]


def test_an_index_is_kept():
    frame = pd.DataFrame({"x": VALUES}, index=[7, 9])
    assert build_model_input(frame, schema_with("long"), absent="null").index.tolist() == [7, 9]


@sources
def test_a_forbidden_absence_is_reported_as_a_required_column_is(data):
    schema = schema_with("long", "X")
    with pytest.raises(ContractError, match="did you mean 'x'") as optional:
        build_model_input(data, schema, absent="forbid")
    required = Schema([ColSpec("double", "x"), ColSpec("long", "X")])
    with pytest.raises(ContractError) as other:
        build_model_input(data, required)
    assert optional.value.findings == other.value.findings


@pytest.mark.parametrize("absent", ["null", "omit", "forbid"])
def test_a_required_column_is_missing_for_each_value_of_absent(absent):
    schema = Schema([ColSpec("double", "x"), ColSpec("long", "y")])
    with pytest.raises(ContractError) as caught:
        build_model_input({"x": VALUES}, schema, absent=absent)
    assert [(finding.code, finding.path) for finding in caught.value.findings] == [(Code.MISSING_COLUMN, "y")]


@pytest.mark.parametrize("absent", ["null", "omit", "forbid"])
def test_a_tensor_is_missing_for_each_value_of_absent(absent):
    schema = Schema(
        [TensorSpec(np.dtype("float64"), (-1,), "x"), TensorSpec(np.dtype("float64"), (-1,), "y")]
    )
    with pytest.raises(ContractError, match="y: expected"):
        build_model_input({"x": np.array(VALUES)}, schema, absent=absent)


@given(st.lists(st.sampled_from(["area", "Rooms", "rooms", "kids"]), unique=True))
def test_absent_columns_are_the_optional_ones_that_a_table_lacks(names):
    schema = Schema(
        [ColSpec("double", "area"), ColSpec("long", "rooms", False), ColSpec("long", "kids", False)]
    )
    columns = find_absent_columns(schema, names)
    assert [column.path for column in columns] == [name for name in ("rooms", "kids") if name not in names]
    assert all(column.code is Code.MISSING_COLUMN for column in columns)


def test_an_absent_column_is_formatted_with_its_near_miss():
    [column] = find_absent_columns(schema_with("long", "Kids"), ["x", "kids"])
    assert format_absent_column(column) == (
        "Kids: optional, and the table has no such column (did you mean 'kids'? Names are case sensitive)"
    )
    [column] = find_absent_columns(schema_with("long", "a.b"), ["x"])
    assert format_absent_column(column) == "`a.b`: optional, and the table has no such column"


def test_columns_without_names_are_never_absent():
    assert find_absent_columns(Schema([ColSpec("long")]), ["a", "b"]) == ()


def test_an_unknown_choice_is_refused():
    check_absent(None)
    with pytest.raises(
        ContractError, match="absent: expected one of 'null', 'omit', 'forbid', or None, got 'nulls'"
    ):
        check_absent("nulls")
