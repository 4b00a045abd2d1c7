"""Silent changes of data by MLflow, and the behaviour of sparksig.

The numbers are those of the catalogue of MLflow's behaviour, section 9: 9.1 lists silent changes, 9.2 lists
examples that the inferred signature refuses. Other tests cover serving payloads, Spark and, in
tests/core/test_params.py, params. The decorator of a test has its row of the table in differences.md.
"""

from __future__ import annotations

import datetime
import decimal
import logging
import warnings
from typing import Union

import mlflow.models
import mlflow.types
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.type_hints import _validate_data_against_type_hint
from pyspark.sql import types as T

from sparksig.convert.annotations import parse_input_hint
from sparksig.engine.frames import build_model_frame, enforce
from sparksig.engine.hints import check_rows
from sparksig.engine.predictions import encode
from sparksig.engine.predictions.times import place_times
from sparksig.errors import Code, ContractError, InferenceError, PredictionError
from sparksig.infer import infer_signature
from sparksig.params import ParamSchema, ParamSpec, enforce_params
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.spark.bind import bind
from sparksig.types import AnyType, Array, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.differences import differs

NOON = datetime.datetime(2020, 1, 1, 12)


@pytest.fixture(autouse=True)
def _quiet():
    """MLflow logs a warning for each schema that it gives up on."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def single_column(dtype, required=True):
    return Schema([ColSpec(dtype, "a", required)])


def cells(*values):
    """Return a frame with one column of objects."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.DataFrame({"a": pd.Series(array, dtype=object)})


def theirs(data, schema):
    """Enforce data with MLflow and the same schema: the values of the first column, or an array."""
    actual = _enforce_schema(data, mlflow.types.Schema.from_json(schema.to_json()))
    return actual.iloc[:, 0].tolist() if isinstance(actual, pd.DataFrame) else actual


def ours(data, schema, **options):
    actual = enforce(data, schema, **options)
    return actual.iloc[:, 0].tolist() if isinstance(actual, pd.DataFrame) else actual


def refused(data, schema, **options):
    """The codes and paths of what we refuse."""
    with pytest.raises(ContractError) as error:
        enforce(data, schema, **options)
    return [(finding.code, finding.path) for finding in error.value.findings]


def _inferred_by_mlflow(data):
    with warnings.catch_warnings():  # as an error, a warning would make it give up
        warnings.simplefilter("ignore")
        return mlflow.models.infer_signature(data).inputs


def gives_up(data):
    """Return whether MLflow infers one column of any type from it."""
    return _inferred_by_mlflow(data).to_dict() == [{"type": "any", "required": True}]


def they_refuse_what_they_inferred(data):
    inputs = _inferred_by_mlflow(data)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of several kinds
        _enforce_schema(data, inputs)


def round_trip(data):
    """Enforce data by the schema that is inferred from it."""
    inputs = infer_signature(data).inputs
    return inputs, enforce(data, inputs)


# --- 9.1: silent changes --------------------------------------------------------------------------------


@differs(
    "Enforcing",
    '`["a", None]` in a column declared Array(string)',
    mlflow="the null becomes a text",
    sparksig="stays as it is",
)
def test_9_1_01_a_null_in_an_array_of_texts():
    texts = single_column(Array("string"))
    assert theirs(cells(["a", None]), texts) != [["a", None]]
    assert ours(cells(["a", None]), texts) == [["a", None]]
    blobs = single_column(Array("binary"))
    assert theirs(cells([b"a", None]), blobs) != [[b"a", None]]
    assert ours(cells([b"a", None]), blobs) == [[b"a", None]]


def test_9_1_02_trailing_zeros_and_objects_as_texts():
    assert theirs(cells([b"a\0"]), single_column(Array("binary"))) == [[b"a"]]
    assert ours(cells([b"a\0"]), single_column(Array("binary"))) == [[b"a\0"]]
    assert theirs(cells(["a\0"]), single_column(Array("string"))) == [["a"]]
    assert ours(cells(["a\0"]), single_column(Array("string"))) == [["a\0"]]
    assert theirs(cells([None]), single_column(Array("string"))) == [["None"]]
    assert ours(cells([None]), single_column(Array("string"))) == [[None]]
    assert theirs(cells([datetime.date(2020, 1, 1)]), single_column(Array("string"))) == [["2020-01-01"]]


@pytest.mark.parametrize("value", [datetime.date(2020, 1, 1), b"a", decimal.Decimal(1)], ids=describe_case)
def test_9_1_02_objects_as_texts(value):
    assert refused(cells([value]), single_column(Array("string"))) == [(Code.TYPE_MISMATCH, "a[]")]


@differs(
    "Enforcing",
    "times in a column declared Array(datetime)",
    mlflow="become integers",
    sparksig="stay as they are",
)
def test_9_1_03_an_array_of_times():
    assert theirs(cells([NOON]), single_column(Array("datetime"))) == [[1577880000000000000]]
    assert ours(cells([NOON]), single_column(Array("datetime"))) == [[NOON]]


@differs(
    "Enforcing",
    '`["a", 1]` in a column declared Array(boolean)',
    mlflow="`[True, True]`",
    sparksig="refused",
)
def test_9_1_04_an_array_of_booleans():
    assert theirs(cells(["a", 1]), single_column(Array("boolean"))) == [[True, True]]
    assert theirs(cells([None]), single_column(Array("boolean"))) == [[False]]
    assert ours(cells([None]), single_column(Array("boolean"))) == [[None]]


@pytest.mark.parametrize("value", [["a", 1], [b"x"], [0, 1]], ids=describe_case)
def test_9_1_04_an_array_of_other_values_than_booleans(value):
    assert {code for code, _ in refused(cells(value), single_column(Array("boolean")))} == {
        Code.TYPE_MISMATCH
    }


@differs(
    "Enforcing",
    "1.7 in a tensor of int64, 300 in one of int8",
    mlflow="1 and 44",
    sparksig="refused by the type",
)
def test_9_1_05_a_column_as_a_tensor():
    integers, bytes_ = (Schema([TensorSpec(np.dtype(name), (-1,))]) for name in ("int64", "int8"))
    fractions, wide = pd.DataFrame({"a": [1.7]}), pd.DataFrame({"a": [300]})
    assert theirs(fractions, integers).tolist() == [1]
    assert theirs(wide, bytes_).tolist() == [44]
    for data, schema in [(fractions, integers), (wide, bytes_), (pd.DataFrame({"a": ["1"]}), integers)]:
        assert refused(data, schema) == [(Code.TYPE_MISMATCH, "a")]
    text = Schema([TensorSpec(np.dtype("str"), (-1,))])
    assert theirs(pd.DataFrame({"a": [True]}), text).tolist() == ["True"]
    assert refused(pd.DataFrame({"a": [True]}), text) == [(Code.TYPE_MISMATCH, "a")]


def test_9_1_06_a_column_of_arrays_as_a_tensor():
    doubles, floats = (Schema([TensorSpec(np.dtype(name), (-1, 2))]) for name in ("float64", "float32"))
    narrow = cells(np.array([1, 2], "float32"))
    assert theirs(narrow, doubles).dtype == "float32"
    assert ours(narrow, doubles).dtype == "float64"
    wide = cells(np.array([1.0, 2.0]))
    assert theirs(wide, floats).dtype == "float64"
    assert refused(wide, floats) == [(Code.TYPE_MISMATCH, "a[]")]
    assert refused(cells(np.array(["a", "b"])), doubles) == [(Code.TYPE_MISMATCH, "a[]")]


@differs(
    "Enforcing",
    'objects in a column declared double: `True`, `"2"`, decimals',
    mlflow="parsed: 1.0, 2, digits lost",
    sparksig="refused: nothing is parsed",
)
def test_9_1_07_objects_as_doubles():
    double = single_column("double")
    assert theirs(cells(True, None), double)[0] == 1.0
    assert refused(cells(True, None), double) == [(Code.TYPE_MISMATCH, "a")]
    assert theirs(cells(1, "2"), double) == [1, 2]
    assert refused(cells(1, "2"), double) == [(Code.TYPE_MISMATCH, "a")]
    digits = cells(decimal.Decimal("0.12345678901234567890"))
    assert theirs(digits, double) == [0.12345678901234568]
    assert refused(digits, double) == [(Code.TYPE_MISMATCH, "a")]
    assert enforce(cells(), double)["a"].dtype == "float64"


def test_9_1_08_a_number_beside_na_is_not_a_time():
    data = cells(1, pd.NA)
    assert theirs(data, single_column("datetime"))[0] == pd.Timestamp(1)
    assert refused(data, single_column("datetime")) == [(Code.TYPE_MISMATCH, "a")]


@differs(
    "Enforcing",
    "bytes, dates, decimals, dictionaries in a column declared boolean or string",
    mlflow="accepted as they are",
    sparksig="refused",
)
def test_9_1_09_columns_of_objects():
    assert theirs(cells("x"), single_column("binary")) == ["x"]
    assert refused(cells("x"), single_column("binary")) == [(Code.TYPE_MISMATCH, "a")]


@pytest.mark.parametrize("dtype", ["boolean", "string"])
@pytest.mark.parametrize(
    "data",
    [cells(decimal.Decimal(1)), cells(b"x"), cells(datetime.date(2020, 1, 1)), cells({"x": 1})],
    ids=["decimal", "bytes", "date", "object"],
)
def test_9_1_09_objects_are_neither_booleans_nor_strings(data, dtype):
    assert theirs(data, single_column(dtype)) == data["a"].tolist()
    assert len(refused(data, single_column(dtype))) >= 1


@differs(
    "Enforcing",
    "`[2**53 + 1, None]` in a column declared Any",
    mlflow="becomes floats, and another number",
    sparksig="is handed on as it is",
)
def test_9_1_10_columns_of_anything():
    big = cells(2**53 + 1, None)
    assert theirs(big, single_column(AnyType()))[0] == 2.0**53
    assert ours(big, single_column(AnyType())) == [2**53 + 1, None]
    assert theirs({"a": {"x": 1}}, single_column(AnyType())) == [1]
    assert ours({"a": {"x": 1}}, single_column(AnyType())) == [{"x": 1}]


@pytest.mark.parametrize(
    "column",
    [np.array([1], "int32"), pd.array([1, None], "Int64"), pd.Categorical(["x"])],
    ids=["int32", "Int64", "category"],
)
def test_9_1_10_columns_of_anything_keep_their_dtype(column):
    assert enforce(pd.DataFrame({"a": column}), single_column(AnyType()))["a"].dtype == column.dtype


@differs(
    "Enforcing",
    "the caller's dictionaries, after a model was asked",
    mlflow="hold NumPy's numbers",
    sparksig="are as they were",
)
def test_9_1_16_the_callers_dictionaries():
    schema = single_column(Object([Property("x", "long")]))
    cell = {"x": 1}
    theirs(cells(cell), schema)
    assert type(cell["x"]) is np.int64
    cell = {"x": 1}
    ours(cells(cell), schema)
    assert type(cell["x"]) is int
    cell = {"x": np.int32(1), "more": 2}
    assert ours(cells(cell), schema) == [{"x": 1}]
    assert cell == {"x": 1, "more": 2}
    assert type(cell["x"]) is np.int32


@differs(
    "Enforcing",
    "a null in an optional integer or long column",
    mlflow="refused",
    sparksig="accepted: the model sees `Int32` and `Int64`",
)
def test_9_1_18_required_and_nulls():
    texts, longs = cells("x", None), pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    assert theirs(texts, single_column("string"))[1] is None
    assert refused(texts, single_column("string"), strict_nulls=True) == [(Code.NULL_IN_REQUIRED, "a")]
    with pytest.raises(ValueError, match="cannot convert"):
        theirs(longs, single_column("long", required=False))
    assert ours(longs, single_column("long", required=False)) == [1, pd.NA]
    assert refused(longs, single_column("long")) == [(Code.NULL_IN_REQUIRED, "a")]


# --- 9.2: inferred signatures accept their examples -----------------------------------------------------


@differs(
    "Inferring",
    "`[[1, 2], [3, 4]]`, enforced by the signature inferred of it",
    mlflow="refused",
    sparksig="accepted: an Array(long) in each row",
)
def test_9_2_19_lists_of_lists():
    data = [[1, 2], [3, 4]]
    they_refuse_what_they_inferred(data)
    inputs, actual = round_trip(data)
    assert inputs == Schema([ColSpec(Array("long"))])
    assert actual[0].tolist() == data


@differs(
    "Inferring",
    '`[{"a": [1]}, {"b": 1}]`, enforced by the signature inferred of it',
    mlflow="refused",
    sparksig="accepted, as is whatever is inferred: absent keys are null",
)
def test_9_2_20_keys_that_some_rows_lack():
    data = [{"a": [1]}, {"b": 1}]
    they_refuse_what_they_inferred(data)
    inputs, actual = round_trip(data)
    assert [spec.required for spec in inputs] == [False, False]
    assert actual["a"].tolist() == [[1], None]
    assert actual["b"].tolist() == [pd.NA, 1]


def test_9_2_21_categories():
    data = pd.DataFrame({"a": pd.Categorical(["x", "y"])})
    they_refuse_what_they_inferred(data)
    assert round_trip(data)[1]["a"].tolist() == ["x", "y"]


@differs(
    "Inferring",
    "times beyond 2262, as 9999-12-31",
    mlflow="inferred as datetime, which then refuses the example",
    sparksig="refused when inferring, with the column and the rows: a model sees nanoseconds",
)
@pytest.mark.parametrize("form", ["frame", "rows"])
def test_times_beyond_nanoseconds(form):
    far = datetime.datetime(9999, 12, 31)
    data = pd.DataFrame({"a": pd.Series([far], dtype="datetime64[us]")}) if form == "frame" else [{"a": far}]
    they_refuse_what_they_inferred(data)
    with pytest.raises(
        InferenceError,
        match="a: expected timestamps from 1677-09-21 to 2262-04-11, got timestamps outside this range, once",
    ):
        infer_signature(data)


@differs(
    "Inferring",
    "NaN beside text in a list of dictionaries",
    mlflow="a value: the column is required, unlike that of a DataFrame",
    sparksig="a missing value: the column is optional, as of a DataFrame",
)
def test_nan_beside_text():
    data = [{"a": float("nan")}, {"a": "x"}]
    assert [spec.required for spec in _inferred_by_mlflow(data).inputs] == [True]
    assert (
        round_trip(data)[0]
        == infer_signature(pd.DataFrame(data)).inputs
        == single_column("string", required=False)
    )


@differs(
    "Enforcing",
    "a tuple, an Index or a Series in a cell of a column of arrays",
    mlflow="refused",
    sparksig="accepted, as a list is",
)
@pytest.mark.parametrize("form", [tuple, pd.Index, pd.Series], ids=lambda form: form.__name__)
def test_sequences_in_cells(form):
    data = [{"a": form(["x", "y"])}]
    with pytest.raises(MlflowException, match="Expected data to be list or numpy array"):
        theirs(data, single_column(Array("string")))
    assert [list(cell) for cell in ours(data, single_column(Array("string")))] == [["x", "y"]]


@differs(
    "Inferring",
    "a column of times with a zone, enforced by the signature inferred of it",
    mlflow="refused",
    sparksig="accepted: a model sees the wall time of the zone",
)
def test_9_2_22_times_with_a_zone():
    data = pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]).tz_localize("Asia/Tokyo")})
    they_refuse_what_they_inferred(data)
    assert round_trip(data)[1]["a"].tolist() == [pd.Timestamp(2020, 1, 1)]


@pytest.mark.parametrize("dtype", ["Int64", "boolean"])
def test_9_2_23_nullable_columns(dtype):
    data = pd.DataFrame({"a": pd.array([1, None], dtype=dtype)})
    they_refuse_what_they_inferred(data)
    inputs, actual = round_trip(data)
    assert not inputs.inputs[0].required
    pd.testing.assert_frame_equal(actual, data)


@pytest.mark.parametrize("data", [{"a": NOON}, cells({"t": NOON}), NOON], ids=["dict", "object", "scalar"])
def test_9_2_24_python_times(data):
    they_refuse_what_they_inferred(data)
    actual = round_trip(data)[1].iloc[0, 0]
    assert (actual["t"] if isinstance(actual, dict) else actual) == NOON


def test_9_2_25_bytearrays_in_objects():
    data = cells({"t": bytearray(b"x\0")})
    they_refuse_what_they_inferred(data)
    assert round_trip(data)[1]["a"].tolist() == [{"t": b"x\0"}]


def test_9_2_26_arrows_bytes_in_pandas():
    data = pd.DataFrame({"a": pd.array([b"x"], dtype=pd.ArrowDtype(pa.binary()))})
    they_refuse_what_they_inferred(data)
    assert round_trip(data)[1]["a"].tolist() == [b"x"]


def test_9_2_27_maps_are_no_objects():
    entries = pa.array([[("x", 1)], [("y", 2)]], pa.map_(pa.string(), pa.int64()))
    inputs, actual = round_trip(pa.table({"a": entries}))
    assert inputs.inputs[0].type == Map("long")
    assert actual["a"].to_pylist() == [[("x", 1)], [("y", 2)]]


def test_9_2_28_none_in_a_list():
    data = cells([1, None])
    they_refuse_what_they_inferred(data)
    inputs, actual = round_trip(data)
    assert inputs.inputs[0].type == Array("long")
    assert actual["a"].tolist() == [[1, None]]


@differs(
    "Enforcing",
    "Python integers in Array(integer), Array(double) and the like",
    mlflow="refused",
    sparksig="accepted where the value fits exactly",
)
def test_9_2_29_pythons_numbers():
    point = Object([Property("x", "double"), Property("n", "integer")])
    with pytest.raises(Exception, match="Failed to enforce"):
        theirs(cells({"x": 2, "n": 1}), single_column(point))
    assert ours(cells({"x": 2, "n": 1}), single_column(point)) == [{"x": 2.0, "n": 1}]


@pytest.mark.parametrize(("dtype", "value"), [("integer", [1, 2]), ("float", [1.5]), ("double", [2])])
def test_9_2_29_pythons_numbers_in_lists(dtype, value):
    with pytest.raises(Exception, match="Can not safely convert"):
        theirs(cells(value), single_column(Array(dtype)))
    assert ours(cells(value), single_column(Array(dtype))) == [value]


@differs(
    "Enforcing",
    "a column of int64, or of bigint, declared double",
    mlflow="accepted as long as a batch holds only 0 and 1",
    sparksig="refused by its type, whatever it holds, on Spark before a job starts",
)
def test_9_2_30_values_decide_nothing_about_typed_columns():
    fine, other = pd.DataFrame({"a": [0, 1]}), pd.DataFrame({"a": [0, 2]})
    assert theirs(fine, single_column("double")) == [0.0, 1.0]
    with pytest.raises(Exception, match="Can not safely convert int64 to float64"):
        theirs(other, single_column("double"))
    for data in (fine, other, fine.head(0), pa.table({"a": [0, 1]})):
        assert refused(data, single_column("double")) == [(Code.TYPE_MISMATCH, "a")]
    with pytest.raises(ContractError, match="a: expected double, got bigint"):
        bind(T.StructType([T.StructField("a", T.LongType())]), single_column("double"))


@differs(
    "Inferring",
    "a column that no type covers: decimals of many digits, uint64, numbers beside text",
    mlflow="one unnamed Any for the whole table, against which nothing is checked, and a line in the log",
    sparksig="an error that names each such column",
)
@pytest.mark.parametrize(
    "column",
    [[decimal.Decimal("1e30")], np.array([1], "uint64"), [1, "x"]],
    ids=["decimal", "uint64", "mixed"],
)
def test_9_2_31_a_column_that_cannot_be_inferred_is_named(column):
    data = pd.DataFrame({"fine": ["x"] * len(column), "odd": pd.Series(column)})
    assert gives_up(data)
    assert theirs(data, Schema([ColSpec(AnyType())])) is not None
    with pytest.raises(InferenceError) as error:
        infer_signature(data)
    assert [finding.path for finding in error.value.findings] == ["odd"]


def test_9_2_31_duplicate_labels_and_sparse_matrices():
    twins = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert gives_up(twins)
    with pytest.raises(InferenceError, match="a"):
        infer_signature(twins)
    csr = scipy.sparse.csr_array(np.eye(2))
    assert gives_up(csr)
    inputs, actual = round_trip(csr)
    assert inputs == Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    assert actual is csr
    with pytest.raises(InferenceError):
        infer_signature(scipy.sparse.coo_matrix(np.eye(2)))


def test_9_2_32_a_column_that_cannot_be_inferred_is_reported_and_not_any():
    assert gives_up([1, 1.5])
    inputs, actual = round_trip(pd.DataFrame({"a": np.array([1.5], "float16")}))
    assert inputs == single_column("float")
    assert actual["a"].tolist() == [1.5]


@pytest.mark.parametrize("data", [[1, 1.5], {"a": [1, 1.5]}], ids=["list", "column"])
def test_9_2_32_lists_of_mixed_types_cannot_be_inferred(data):
    with pytest.raises(InferenceError, match="expected values of one type, got double and long"):
        infer_signature(data)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(pd.Timestamp(2020, 1, 1), "datetime"), (np.int16(1), "integer")],
    ids=["datetime", "integer"],
)
def test_9_2_32_scalars_are_inferred_by_their_type(value, kind):
    assert gives_up(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert round_trip(value)[0] == Schema([ColSpec(kind)])


@differs(
    "Enforcing",
    "a key that an Object does not declare",
    mlflow="refused, though columns more are dropped",
    sparksig='dropped, as columns are; `extra="forbid"` refuses both',
)
def test_9_2_34_extra_columns_and_keys_missing_columns_and_rows():
    point = Object([Property("x", "long")])
    assert theirs(pd.DataFrame({"a": [1], "z": [2]}), single_column("long")) == [1]
    with pytest.raises(Exception, match="Invalid properties not defined in the schema"):
        theirs(cells({"x": 1, "z": 2}), single_column(point))
    row = {"a": {"x": 1, "z": 2}, "z": 2}
    assert ours([row], single_column(point)) == [{"x": 1}]
    assert sorted(refused([row], single_column(point), extra="forbid")) == [
        (Code.EXTRA_COLUMN, "z"),
        (Code.UNKNOWN_KEY, "a.z"),
    ]
    other = pd.DataFrame({"z": [1, 2]})
    schema = single_column("long", required=False)
    assert len(_enforce_schema(other, mlflow.types.Schema.from_json(schema.to_json()))) == 0
    assert enforce(other, schema).shape == (2, 0)


@differs(
    "Enforcing",
    "a dictionary of lists",
    mlflow="one row or several, by what *other* columns are",
    sparksig="a list is a column, unless its column is declared an Array",
)
def test_9_2_35_dictionaries_are_read_one_way():
    texts, longs = {"a": ["x", "y"]}, {"b": [1, 2]}
    assert theirs(texts, single_column("string")) == [["x", "y"]]
    assert ours(texts, single_column("string")) == ["x", "y"]
    both = Schema([ColSpec("string", "a"), ColSpec("long", "b")])
    assert theirs({**texts, **longs}, both) == ours({**texts, **longs}, both) == ["x", "y"]
    schema = Schema([ColSpec("string", "a"), ColSpec(Array("long"), "b")])
    assert theirs({**texts, **longs}, schema) == [["x", "y"]]
    assert refused({**texts, **longs}, schema) == [(Code.ROW_COUNT, "b")]
    assert ours({"a": "x", **longs}, schema) == ["x"]


# --- 9.1 again: predictions, in batches; MLflow converts them inside Spark ----------------------------------


def test_9_1_12_predictions_are_never_cut_parsed_or_padded():
    assert encode({"a": ["x", None]}, single_column("string"), 2).to_pylist() == ["x", None]
    ragged = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    with pytest.raises(PredictionError, match="rows of unequal length"):
        encode([[1.0], [1.0, 2.0]], ragged, 2)


@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [
        ("integer", [2**40 + 5]),
        ("integer", np.array([1.9])),
        ("boolean", ["false"]),
        ("boolean", [None]),
        ("double", np.array([1 + 2j])),
        ("string", [None, 5]),
    ],
    ids=describe_case,
)
def test_9_1_12_predictions_of_another_type_are_refused(dtype, wrong):
    with pytest.raises(PredictionError):
        encode({"a": wrong}, single_column(dtype), len(wrong))


def test_9_1_13_integers_beside_nulls_in_objects_stay_integers():
    table = pa.table({"a": pa.array([{"n": 2**53 + 1}, {"n": None}, None])})
    schema = single_column(Object([Property("n", "long", required=False)]), required=False)
    assert enforce(table, schema)["a"].to_pylist() == table["a"].to_pylist()
    assert build_model_frame(table, schema)["a"].tolist() == [{"n": 2**53 + 1}, {"n": None}, None]


def test_9_1_14_a_zoned_time_comes_back_as_the_instant_that_it_was():
    """05:30 UTC is the first of two 01:30 in New York: told apart, or told that it cannot be."""
    noon = pa.array([datetime.datetime(2020, 1, 1, 17)], pa.timestamp("us", "America/New_York"))
    schema = single_column("datetime")
    result = enforce(pa.table({"a": noon}), schema)["a"].combine_chunks()
    assert place_times(result, "America/New_York").cast(pa.timestamp("us", "UTC")) == noon.cast(
        pa.timestamp("us", "UTC")
    )
    twice = pa.array([datetime.datetime(2020, 11, 1, 5, 30)], pa.timestamp("us", "America/New_York"))
    result = enforce(pa.table({"a": twice}), schema)["a"].combine_chunks()
    with pytest.raises(PredictionError, match="exactly once"):
        place_times(result, "America/New_York")


def test_9_1_15_a_named_output_is_found_by_its_name():
    frame = pd.DataFrame({"z": [9.0], "p": [1.5]})
    outputs = Schema([ColSpec("double", "p")])
    with pytest.raises(PredictionError, match="z: expected only declared columns"):
        encode(frame, outputs, 1)
    assert encode(frame[["p"]], outputs, 1).to_pylist() == [1.5]
    with pytest.raises(PredictionError):  # two columns are not one number
        encode(np.ones((1, 2)), single_column("double"), 1)


# --- params, hints, JSON, and what errors say ------------------------------------------------------------


@differs(
    "Inferring",
    "`[]` as an example of a param",
    mlflow="a list of datetimes",
    sparksig="an error: its type is unknown",
)
def test_8_an_empty_list_has_no_type():
    [spec] = mlflow.models.infer_signature(params={"p": []}).params.params
    assert (spec.dtype, spec.shape) == (mlflow.types.DataType.datetime, (-1,))
    with pytest.raises(InferenceError, match="p: expected at least one element, got an empty list"):
        infer_signature(params={"p": []})


@differs(
    "Params",
    'values for an integer, a datetime, a string: 2^70, `"1"`, None',
    mlflow="pass: as it is, as the year 1, as it is",
    sparksig="refused, all of them at once",
)
def test_9_1_17_params_are_of_their_types():
    specs = [
        ParamSpec("i", "integer", 1),
        ParamSpec("t", "datetime", datetime.date(2020, 1, 1)),
        ParamSpec("s", "string", "x"),
    ]
    schema, params = ParamSchema(specs), {"i": 2**70, "t": "1", "s": None}
    result = _enforce_params_schema(params, mlflow.types.ParamSchema.from_json(schema.to_json()))
    assert (result["i"], result["t"].year, result["s"]) == (2**70, 1, None)
    with pytest.raises(ContractError) as error:
        enforce_params(params, schema)
    assert [finding.path for finding in error.value.findings] == ["i", "t", "s"]


@differs(
    "Params",
    "a list that is a default, after a model has changed it",
    mlflow="is another default for all later calls",
    sparksig="each call gets a copy",
)
def test_9_1_16_defaults_are_shared_by_none():
    schema = ParamSchema([ParamSpec("stop", "string", ["."], (-1,))])
    shared = mlflow.types.ParamSchema.from_json(schema.to_json())
    _enforce_params_schema({}, shared)["stop"].append("!")
    assert _enforce_params_schema({}, shared)["stop"] == [".", "!"]
    enforce_params({}, schema)["stop"].append("!")
    assert enforce_params({}, schema)["stop"] == ["."]


@differs(
    "Enforcing",
    "a value under the type hint `list[Union[int, str]]` that is neither",
    mlflow="passes: unions are not checked",
    sparksig="refused: unions are checked member by member",
)
def test_8_unions_are_checked_member_by_member():
    hint = list[Union[int, str]]
    assert _validate_data_against_type_hint([1, "a", 2.5, object], hint) == [1, "a", 2.5, object]
    with pytest.raises(ContractError) as error:
        check_rows([1, "a", 2.5, object], parse_input_hint(hint))
    assert [finding.path for finding in error.value.findings] == ["[]", "[]"]


@differs(
    "Model directories",
    "columns of arrays, maps and objects whose JSON lacks `required`",
    mlflow="neither required nor optional",
    sparksig="required, as scalars are",
)
def test_9_3_37_an_absent_required_is_true():
    text = '[{"type": "array", "items": {"type": "long"}, "name": "a"}, {"type": "long", "name": "b"}]'
    assert [spec.required for spec in mlflow.types.Schema.from_json(text)] == [None, True]
    assert [spec.required for spec in Schema.from_json(text)] == [True, True]


@pytest.mark.parametrize(("name", "dtype"), [("cls", "long"), ("v", SparkMLVector())], ids=describe_case)
@differs(
    "Model directories",
    "the JSON of an Object with a property `cls`, or with a vector of Spark ML",
    mlflow="is written, but cannot be read back",
    sparksig="is read",
)
def test_9_3_38_what_is_written_can_be_read(name, dtype):
    schema = single_column(Object([Property(name, dtype)]))
    with pytest.raises(Exception):  # noqa: B017, PT011 - of several kinds
        assert mlflow.types.Schema.from_json(schema.to_json()).to_json() == schema.to_json()
    assert Schema.from_json(schema.to_json()) == schema
