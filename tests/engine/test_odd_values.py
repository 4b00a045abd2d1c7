"""Odd but legal values: each is accepted with its value, or refused by an error of sparksig."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse

import sparksig
from sparksig import Array, ColSpec, ContractError, InferenceError, Map, Object, Property, Schema, TensorSpec
from sparksig.engine.predictions import encode
from tests.parquet_tables import check_parquet

SIGNALLING = decimal.Decimal("sNaN")
DOK = scipy.sparse.dok_matrix((2, 3))


def column(dtype):
    return Schema([ColSpec(dtype, "x", required=False)])


@pytest.mark.parametrize(
    ("data", "schema"),
    [
        ({"x": SIGNALLING}, column("double")),
        ([{"x": SIGNALLING}, {"x": SIGNALLING}], column("double")),
        (pd.DataFrame({"x": [SIGNALLING, None]}), column("double")),
    ],
    ids=["row", "records", "frame"],
)
def test_signalling_nan_is_a_missing_value_like_a_quiet_one(data, schema):
    assert sparksig.enforce(data, schema).isna().all(axis=None)


def test_column_with_a_signalling_nan_is_refused_as_one_with_other_decimals():
    frame = pd.DataFrame({"x": [decimal.Decimal("1.5"), SIGNALLING]})
    with pytest.raises(InferenceError, match="a value of type Decimal"):
        sparksig.infer_signature(frame)


@pytest.mark.parametrize("number", [SIGNALLING, decimal.Decimal("Infinity")], ids=str)
def test_prediction_that_no_number_type_has_is_refused(number):
    with pytest.raises(sparksig.PredictionError, match="expected long"):
        encode([1, number], Schema([ColSpec("long", "x")]), 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sparksig.infer_signature({"x": DOK}),
        lambda: sparksig.infer_signature({"x": 1.5}, 1.5, {"param": DOK}),
        lambda: sparksig.enforce(
            DOK, Schema([TensorSpec(np.dtype("float32"), (-1, 3), name) for name in "xy"])
        ),
        lambda: encode(DOK, Schema([ColSpec("double", "x")]), 2),
        lambda: encode(DOK, Schema([TensorSpec(np.dtype("float64"), (-1, 3), name) for name in "xy"]), 2),
    ],
    ids=["example", "param", "tensors", "prediction", "predicted tensors"],
)
def test_sparse_matrix_that_is_a_dictionary_is_refused_as_a_matrix(call):
    with pytest.raises(sparksig.SparksigError, match="dok_matrix"):
        call()


def test_null_among_the_values_of_a_dictionary_is_counted():
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1], pa.int8()), [None, "b"])
    schema = Schema([TensorSpec(np.dtype("str"), (-1,), "x")])
    with pytest.raises(ContractError, match=r"x: .* without nulls") as caught:
        sparksig.enforce(pa.table({"x": codes}), schema)
    assert caught.value.findings[0].rows == (0,)


def test_index_of_several_levels_is_read_as_its_tuples():
    index = pd.MultiIndex.from_tuples([(1, 2), (3, 4)])
    encoded = encode(index, Schema([ColSpec(Array("long"), "x")]), 2)
    assert encoded.to_pylist() == [[1, 2], [3, 4]]


def test_dictionary_of_predictions_names_the_table_in_it():
    with pytest.raises(InferenceError, match="y: expected a column"):
        sparksig.infer_signature({"x": 1.5}, {"y": pd.DataFrame({"z": [1]})})


# --- Arrow's types, in each other -----------------------------------------------------------------------

FAR = pa.array([2**62, None, 5], pa.int64())
LEAVES = {
    "string view": pa.array(["a", None, "b"], pa.string_view()),
    "binary view": pa.array([b"a", None, b"b"], pa.binary_view()),
    "null in a dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, 1], pa.int8()), [None, "b"]),
    "far timestamp": FAR.cast(pa.timestamp("us")),
    "far timestamp with a zone": FAR.cast(pa.timestamp("us", "Europe/Berlin")),
    "dictionary of far timestamps": FAR.cast(pa.timestamp("us")).dictionary_encode(),
    "far date": pa.array([2**31 - 1, None, 0], pa.int32()).cast(pa.date32()),
    "decimal": pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2)], pa.decimal128(5, 2)),
    "half": pa.array(np.array([1, 2, 3], np.float16)),
}
MASK = pa.array([False, True, False])
NESTS = {
    "list": lambda items: pa.ListArray.from_arrays(pa.array([0, 1, 1, 3]), items, mask=MASK),
    "fixed-size list": lambda items: pa.FixedSizeListArray.from_arrays(items, 1, mask=MASK),
    "list view": lambda items: pa.ListViewArray.from_arrays(
        pa.array([2, 0, 0], pa.int32()), pa.array([1, 1, 2], pa.int32()), items, mask=MASK
    ),
    "struct": lambda items: pa.StructArray.from_arrays([items], ["f"], mask=MASK),
    "map": lambda items: pa.MapArray.from_arrays(pa.array([0, 1, 1, 3]), pa.array(list("klm")), items),
    "dictionary": lambda items: pa.DictionaryArray.from_arrays(pa.array([0, None, 2], pa.int8()), items),
}


def collect_findings(call, *arguments):
    """Return the findings with which data is refused; none where it is accepted."""
    try:
        call(*arguments)
    except (InferenceError, ContractError) as error:
        return error.findings
    return ()


@pytest.mark.parametrize("outer", NESTS)
@pytest.mark.parametrize("inner", NESTS)
@pytest.mark.parametrize("leaf", LEAVES)
def test_nested_arrow_data_is_inferred_and_enforced_or_refused(leaf, inner, outer):
    try:
        table = pa.table({"x": NESTS[outer](NESTS[inner](LEAVES[leaf]))})
    except (pa.ArrowException, ValueError):
        pytest.skip("pyarrow has no such type")
    findings = list(collect_findings(sparksig.infer_signature, table))
    if not findings and "far" not in leaf:
        sparksig.enforce(table, sparksig.infer_signature(table).inputs)
    for dtype in ("double", "string", "binary", "datetime"):
        objects = Array(Object([Property("f", dtype, required=False)]))
        for declared in (Array(dtype), Map(dtype), objects):
            findings += collect_findings(sparksig.enforce, table, column(declared))
    assert all(finding.path.startswith("x") for finding in findings)


@pytest.mark.parametrize("mode", ["schema", "sample", "full"])
def test_footer_with_a_negative_number_of_rows_is_damaged(tmp_path, mode):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({}), path)
    path.write_bytes(path.read_bytes().replace(b"\x16\x00&", b"\x16\x03&"))  # -2 rows
    with pytest.raises(sparksig.TableNotFoundError, match=r"the footer of t\.parquet is damaged"):
        check_parquet(path, column("long"), mode=mode)
