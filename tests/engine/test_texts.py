"""The dtype of text columns, and their missing value, in every way that data reaches a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import Array, Code, ColSpec, ContractError, Schema, enforce
from sparksig.engine.frames import build_model_frame
from sparksig.engine.text_dtypes import TextDtype, TextDtypes
from sparksig.engine.texts import build_text_column, find_example_dtypes
from tests.cases import describe_case

CITY = Schema([ColSpec("string", "city", required=False)])
UNNAMED = Schema([ColSpec("string")])
HAS_STR = pd.__version__ >= "2.3"
CELLS = ["Oslo", None, "", "Malmö"]


def series(dtype):
    return pd.Series(CELLS, dtype=dtype)


def arrow(dtype):
    return pa.table({"city": pa.array(CELLS, dtype)})


INPUTS = {
    "objects": lambda: pd.DataFrame({"city": series(object)}),
    "objects with NaN": lambda: pd.DataFrame({"city": series(object).fillna(np.nan)}),
    "objects with NA": lambda: pd.DataFrame({"city": series(object).fillna(pd.NA)}),
    "default dtype": lambda: pd.DataFrame({"city": CELLS}),
    "string[python]": lambda: pd.DataFrame({"city": series("string[python]")}),
    "string[pyarrow]": lambda: pd.DataFrame({"city": series("string[pyarrow]")}),
    "arrow dtype": lambda: pd.DataFrame({"city": series(pd.ArrowDtype(pa.string()))}),
    "category": lambda: pd.DataFrame({"city": series("category")}),
    "records": lambda: [{"city": cell} for cell in CELLS],
    "records without the key": lambda: [{} if cell is None else {"city": cell} for cell in CELLS],
    "dictionary of a list": lambda: {"city": CELLS},
    "dictionary of a Series": lambda: {"city": pd.Series(CELLS)},
    "dictionary of an Arrow array": lambda: {"city": pa.array(CELLS)},
    "string in Arrow": lambda: arrow(pa.string()),
    "large_string in Arrow": lambda: arrow(pa.large_string()),
    "string_view in Arrow": lambda: arrow(pa.string_view()),
    "dictionary in Arrow": lambda: pa.table({"city": pa.array(CELLS).dictionary_encode()}),
    "batch": lambda: arrow(pa.string()).to_batches()[0],
    "chunks": lambda: pa.concat_tables([arrow(pa.string()).slice(0, 2), arrow(pa.string()).slice(2)]),
}


@pytest.mark.parametrize("build", INPUTS.values(), ids=INPUTS)
def test_a_missing_string_is_none_in_an_object_column(build):
    column = build_model_frame(build(), CITY)["city"]
    assert column.dtype == object
    assert column.tolist() == CELLS


@pytest.mark.parametrize("build", INPUTS.values(), ids=INPUTS)
def test_enforce_shows_what_a_model_sees(build):
    enforced = enforce(build(), CITY)
    if isinstance(enforced, pd.DataFrame):
        assert enforced["city"].dtype == object
        assert enforced["city"].tolist() == CELLS
    else:
        assert enforced.column("city").to_pylist() == CELLS


@pytest.mark.parametrize(
    "data",
    [CELLS, series(object), np.array(CELLS, dtype=object), pa.array(CELLS)],
    ids=lambda data: type(data).__name__,
)
def test_a_column_without_a_name_shows_none_as_well(data):
    column = build_model_frame(data, UNNAMED)[0]
    assert (column.dtype, column.tolist()) == (object, CELLS)


DTYPES = {
    TextDtype.OBJECT: (object, type(None)),
    TextDtype.OBJECT_NAN: (object, float),
    TextDtype.STR: (pd.StringDtype("pyarrow", na_value=np.nan) if HAS_STR else object, float),
    TextDtype.STRING_PYTHON: (pd.StringDtype("python"), type(pd.NA)),
    TextDtype.STRING_PYARROW: (pd.StringDtype("pyarrow"), type(pd.NA)),
}


@pytest.mark.parametrize("text", DTYPES, ids=lambda text: text.value)
@pytest.mark.parametrize("build", INPUTS.values(), ids=INPUTS)
def test_a_recorded_dtype_comes_with_its_own_missing_value(build, text):
    dtype, missing = DTYPES[text]
    column = build_model_frame(build(), CITY, texts=TextDtypes.from_mapping({"city": text}))["city"]
    assert column.dtype == dtype
    assert [cell if isinstance(cell, str) else type(cell) for cell in column] == [
        "Oslo",
        missing,
        "",
        "Malmö",
    ]


@pytest.mark.parametrize("rows", [0, 1, 4], ids="{} rows".format)
@pytest.mark.parametrize("text", DTYPES, ids=lambda text: text.value)
@pytest.mark.parametrize(
    "data",
    [
        arrow(pa.string()),
        pd.DataFrame({"city": series(object)}),
        pd.DataFrame({"city": series(object)}).astype("string"),
    ],
    ids=["record batch", "objects", "pandas strings"],
)
def test_the_dtype_does_not_depend_on_the_batch(data, rows, text):
    texts = TextDtypes.from_mapping({"city": text})
    assert build_model_frame(data[:rows], CITY, texts=texts)["city"].dtype == DTYPES[text][0]


def test_an_absent_record_leaves_other_columns_as_objects():
    schema = Schema([ColSpec("string", "a"), ColSpec("string", "b")])
    frame = build_model_frame(
        {"a": ["x"], "b": ["y"]}, schema, texts=TextDtypes.from_mapping({"b": TextDtype.STRING_PYTHON})
    )
    assert frame.dtypes.tolist() == [object, pd.StringDtype("python")]


@pytest.mark.parametrize("data", [CELLS, pa.array(CELLS), pd.DataFrame({"any": CELLS})], ids=describe_case)
def test_a_column_without_a_name_is_recorded_by_its_position(data):
    texts = TextDtypes.from_mapping({"0": TextDtype.OBJECT_NAN})
    column = build_model_frame(data, UNNAMED, texts=texts).iloc[:, 0]
    assert [type(cell) for cell in column] == [str, float, str, str]


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=30))
def test_every_way_in_gives_the_same_objects(cells):
    ways = [
        pd.DataFrame({"city": pd.Series(cells, dtype=object)}),
        pd.DataFrame({"city": pd.Series(cells, dtype="string[pyarrow]")}),
        pa.table({"city": pa.array(cells, pa.string())}),
        {"city": cells},
    ]
    for data in ways:
        column = build_model_frame(data, CITY)["city"]
        assert (column.dtype, column.tolist()) == (object, cells)


@pytest.mark.parametrize("distinct", [3, 5000], ids=["few values", "many values"])
def test_long_columns_keep_their_order_and_nulls(distinct):
    cells = [None if row % 7 == 3 else f"city {row % distinct}" for row in range(6000)]
    column = build_text_column(pa.array([*cells, "last"]).slice(0, 6000), TextDtype.OBJECT)
    assert column.tolist() == cells
    column[0] = "another"
    assert column[distinct if distinct < 6000 else 1] != "another"


def test_cells_of_an_object_column_are_handed_on_themselves():
    frame = pd.DataFrame({"city": series(object)})
    enforced = enforce(frame, CITY)
    assert all(mine is theirs for mine, theirs in zip(enforced["city"], frame["city"]))
    if pd.__version__ >= "3":  # which copies on writing
        assert np.shares_memory(enforced["city"].array.to_numpy(), frame["city"].array.to_numpy())


def test_the_callers_frame_is_not_changed_through_the_models():
    frame = pd.DataFrame({"city": series(object), "n": [1, 2, 3, 4]})
    schema = Schema([ColSpec("string", "city", required=False), ColSpec("long", "n")])
    for data in (enforce(frame, schema), build_model_frame(frame, schema)):
        data.loc[0, "city"] = "Bergen"
        data.loc[0, "n"] = 9
    assert frame.iloc[0].tolist() == ["Oslo", 1]


def test_a_mixed_frame_keeps_its_columns_in_order_and_its_index():
    frame = pd.DataFrame(
        {"n": [1, 2], "city": pd.Series(["Oslo", None], dtype=object), "x": [0.5, 1.5]}
    ).set_axis(["k", "l"])
    schema = Schema([ColSpec("double", "x"), ColSpec("string", "city", required=False), ColSpec("long", "n")])
    result = build_model_frame(frame, schema)
    assert list(result.columns) == ["x", "city", "n"]
    assert result.index.tolist() == ["k", "l"]
    assert result.dtypes.tolist() == [np.dtype("float64"), np.dtype(object), np.dtype("int64")]
    assert result["city"].tolist() == ["Oslo", None]


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"tags": [["a", None]]}),
        pa.table({"tags": [["a", None]]}),
        [{"tags": ["a", None]}],
    ],
    ids=describe_case,
)
def test_strings_inside_arrays_stay_as_they_are(data):
    tags = Schema([ColSpec(Array("string"), "tags")])
    texts = TextDtypes.from_mapping({"tags": TextDtype.OBJECT_NAN})
    assert build_model_frame(data, tags, texts=texts)["tags"].tolist() == [["a", None]]


@pytest.mark.parametrize("cells", [["a", 1], ["a", b"b"], ["a", 1.5]], ids=["integer", "bytes", "float"])
def test_other_values_beside_strings_are_refused(cells):
    with pytest.raises(ContractError) as error:
        enforce(pd.DataFrame({"city": pd.Series(cells, dtype=object)}), CITY)
    assert [(finding.path, finding.code) for finding in error.value.findings] == [
        ("city", Code.TYPE_MISMATCH)
    ]


def test_lone_surrogate_is_refused():
    with pytest.raises(ContractError, match="city"):
        enforce(pd.DataFrame({"city": pd.Series(["a", "\ud800"], dtype=object)}), CITY)


def test_strict_nulls_refuses_none_in_a_required_object_column():
    frame = pd.DataFrame({"city": series(object)})
    with pytest.raises(ContractError) as error:
        enforce(frame, Schema([ColSpec("string", "city")]), strict_nulls=True)
    assert [(finding.path, finding.code, finding.count) for finding in error.value.findings] == [
        ("city", Code.NULL_IN_REQUIRED, 1)
    ]


EXAMPLES = {
    "objects with None": (series(object), TextDtype.OBJECT),
    "objects with NaN": (series(object).fillna(np.nan), TextDtype.OBJECT_NAN),
    "objects with both": (pd.Series(["a", None, np.nan], dtype=object), None),
    "objects without missing": (pd.Series(["a"], dtype=object), None),
    "string[python]": (series("string[python]"), TextDtype.STRING_PYTHON),
    "string[pyarrow]": (series("string[pyarrow]"), TextDtype.STRING_PYARROW),
    "arrow dtype": (series(pd.ArrowDtype(pa.string())), TextDtype.STRING_PYARROW),
    "category": (series("category"), TextDtype.OBJECT_NAN),
    **({"str": (series(pd.StringDtype(na_value=np.nan)), TextDtype.STR)} if HAS_STR else {}),
}


@pytest.mark.parametrize(("column", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_shows_its_dtypes(column, expected):
    displayed = {"city": expected} if expected else {}
    unnamed = {"0": expected} if expected else {}
    assert dict(find_example_dtypes(pd.DataFrame({"n": 1, "city": column}), CITY).columns) == displayed
    assert dict(find_example_dtypes({"city": column}, CITY).columns) == displayed
    assert dict(find_example_dtypes({"city": column.array, "n": [1]}, CITY).columns) == displayed
    assert dict(find_example_dtypes(column.rename("city"), CITY).columns) == displayed
    assert dict(find_example_dtypes(column.rename(None), UNNAMED).columns) == unnamed
    assert dict(find_example_dtypes(pd.DataFrame({"any": column}), UNNAMED).columns) == unnamed


@pytest.mark.parametrize(
    "data", [None, [{"city": "a"}], arrow(pa.string()), np.array(["a"])], ids=lambda data: type(data).__name__
)
def test_other_examples_have_no_pandas_dtype(data):
    assert find_example_dtypes(data, CITY).columns == ()
    assert find_example_dtypes(data, None).columns == ()
