"""NumPy dtypes <-> signature types, and the dtypes of a schema in NumPy and pandas."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from sparksig.convert import arrow
from sparksig.convert.numpy import from_numpy, to_numpy, to_pandas, to_source
from sparksig.errors import Code, ConversionError, SignatureError
from sparksig.lattice import find_mismatches, widens
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.strategies import column_schemas, scalar_types, tensor_schemas

COMPOSITES = [Array("long"), Map("long"), Object([Property("a", "long")]), AnyType(), SparkMLVector()]
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]

# Each dtype with the scalar types it widens to, the narrowest first; "" for none.
TABLE = [
    ("bool", "boolean"),
    ("int8", "integer long double"),
    ("int16", "integer long double"),
    ("int32", "integer long double"),
    ("int64", "long"),
    ("uint8", "integer long double"),
    ("uint16", "integer long double"),
    ("uint32", "long double"),
    ("uint64", ""),
    ("float16", "float double"),
    ("float32", "float double"),
    ("float64", "double"),
    ("complex64", ""),
    ("complex128", ""),
    ("clongdouble", ""),
    ("str", "string"),
    ("U7", "string"),
    ("bytes", "binary"),
    ("S7", "binary"),
    *((f"datetime64[{unit}]", "datetime") for unit in UNITS),
    ("datetime64", ""),
    *((f"timedelta64[{unit}]", "") for unit in UNITS),
    ("timedelta64", ""),
    ("object", ""),
    ("V8", ""),
    ("i4,f8", ""),
    ([("a", "i4"), ("b", "U3")], ""),
    (("f8", (2,)), ""),
]
TABLE = [(np.dtype(dtype), [DataType[name] for name in wide.split()]) for dtype, wide in TABLE]
if np.dtype("longdouble") != np.float64:  # where the C compiler has one
    TABLE.append((np.dtype("longdouble"), []))
if hasattr(np.dtypes, "StringDType"):
    TABLE.append((np.dtypes.StringDType(), [DataType.string]))
    TABLE.append((np.dtypes.StringDType(na_object=None), [DataType.string]))
table = pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=[str(dtype) for dtype, _ in TABLE])


# --- the casting table --------------------------------------------------------------------------------------


@table
def test_a_dtype_widens_to_exactly_what_the_table_says(dtype, wide):
    assert [target for target in DataType if widens(to_source(dtype), target)] == wide
    assert widens(to_source(dtype), AnyType())


@table
def test_a_dtype_becomes_the_narrowest_type_that_holds_it(dtype, wide):
    if wide:
        assert from_numpy(dtype) == wide[0]
        return
    text = f"no signature type for the NumPy dtype {dtype}: 1 finding"
    with pytest.raises(ConversionError, match=re.escape(text)) as error:
        from_numpy(dtype)
    assert [finding.code for finding in error.value.findings] == [Code.UNSUPPORTED_TYPE]


@pytest.mark.parametrize(
    ("dtype", "target"),
    [
        pytest.param(dtype, target, id=f"{dtype}-{target.name}")
        for dtype, wide in TABLE
        for target in DataType
        if target not in wide
    ],
)
def test_each_refusal_has_a_hint_and_names_the_dtype(dtype, target):
    [finding] = find_mismatches(to_source(dtype), target, "a")
    assert (finding.code, finding.expected) == (Code.TYPE_MISMATCH, target.name)
    assert finding.hint
    assert finding.actual == (dtype.name if dtype.name != "datetime64" else "datetime64 without a unit")


@pytest.mark.parametrize(("dtype", "wide"), TABLE, ids=describe_case)
@pytest.mark.parametrize("order", [">", "<"], ids=["big", "little"])
def test_byte_order_changes_no_verdict(order, dtype, wide):
    if dtype.kind != "T":  # strings of variable width have none
        ordered = dtype.newbyteorder(order)
        assert [target for target in DataType if widens(to_source(ordered), target)] == wide, dtype


NO_COUNTERPART = "has no counterpart in a signature: cast it explicitly, or drop it"
TEXTS = {
    "uint64": "uint64 (values beyond 2^63 fit no signature type: cast it explicitly)",
    "complex128": f"complex128 (complex128 {NO_COUNTERPART})",
    "timedelta64[ns]": f"timedelta64[ns] (timedelta64[ns] {NO_COUNTERPART})",
    "datetime64": f"datetime64 without a unit (datetime64 without a unit {NO_COUNTERPART})",
    "object": f"object (object {NO_COUNTERPART})",
    "V8": f"void64 (void64 {NO_COUNTERPART})",
}


@pytest.mark.parametrize("name", TEXTS, ids=describe_case)
def test_the_text_of_a_refusal(name):
    text = f"expected a supported type, got {TEXTS[name]} [UNSUPPORTED_TYPE]"
    with pytest.raises(ConversionError, match=re.escape(text)):
        from_numpy(np.dtype(name))


@given(hnp.scalar_dtypes())
def test_numpy_and_arrow_get_one_verdict(dtype):
    try:
        twin = arrow.to_source(pa.from_numpy_dtype(dtype.newbyteorder("=")))
    except pa.ArrowNotImplementedError:
        return
    for target in DataType:
        assert widens(to_source(dtype), target) == widens(twin, target), target


@given(hnp.scalar_dtypes() | hnp.array_dtypes(max_size=2))
def test_every_dtype_has_a_type_or_a_clear_refusal(dtype):
    wide = [target for target in DataType if widens(to_source(dtype), target)]
    if wide:
        assert from_numpy(dtype) == wide[0]
    else:
        with pytest.raises(ConversionError, match="no signature type for the NumPy dtype "):
            from_numpy(dtype)


# --- there and back -----------------------------------------------------------------------------------------

PAIRS = {
    DataType.boolean: np.dtype("bool"),
    DataType.integer: np.dtype("int32"),
    DataType.long: np.dtype("int64"),
    DataType.float: np.dtype("float32"),
    DataType.double: np.dtype("float64"),
    DataType.string: np.dtype("str"),
    DataType.binary: np.dtype("bytes"),
    DataType.datetime: np.dtype("datetime64[ns]"),
}


@pytest.mark.parametrize("ours", DataType, ids=describe_case)
def test_a_type_and_its_dtype_lead_to_each_other(ours):
    assert to_numpy(ours) == PAIRS[ours]
    assert from_numpy(PAIRS[ours]) == ours
    assert widens(to_source(to_numpy(ours)), ours)


@pytest.mark.parametrize("dtype", COMPOSITES, ids=repr)
def test_composites_have_no_dtype(dtype):
    text = rf"^NumPy has no dtype for {re.escape(repr(dtype))}: only scalar types have one$"
    with pytest.raises(ConversionError, match=text):
        to_numpy(dtype)
    with pytest.raises(ConversionError, match=text):
        to_pandas(dtype)


@pytest.mark.parametrize("ours", DataType, ids=describe_case)
def test_the_pandas_dtype_of_a_column(ours):
    expected = np.dtype(object) if ours in (DataType.string, DataType.binary) else PAIRS[ours]
    assert to_pandas(ours) == expected


# --- Schema.numpy_types and pandas_types --------------------------------------------------------------------


@pytest.fixture(scope="module")
def mlflow_schema():
    """The schema class of the MLflow that is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("mlflow.types.schema").Schema


@given(column_schemas(scalar_types))
def test_the_dtypes_of_columns_are_mlflows(mlflow_schema, schema):
    theirs = mlflow_schema.from_json(schema.to_json())
    assert schema.numpy_types() == theirs.numpy_types()
    assert schema.pandas_types() == theirs.pandas_types()


@given(tensor_schemas())
def test_the_dtypes_of_tensors_are_mlflows(mlflow_schema, schema):
    theirs = mlflow_schema.from_json(schema.to_json())
    assert schema.numpy_types() == theirs.numpy_types() == [spec.type for spec in schema]
    with pytest.raises(ConversionError, match=r"a tensor is not a column: pandas has no dtype for it"):
        schema.pandas_types()


def test_a_single_unnamed_column_has_its_dtype():
    schema = Schema([ColSpec("string")])
    assert (schema.numpy_types(), schema.pandas_types()) == ([np.dtype("str")], [np.dtype(object)])


@pytest.mark.parametrize("method", ["numpy_types", "pandas_types"])
@pytest.mark.parametrize("dtype", COMPOSITES, ids=repr)
def test_a_schema_with_a_composite_column_has_no_dtypes(dtype, method):
    schema = Schema([ColSpec("long", "a"), ColSpec(dtype, "b")])
    with pytest.raises(ConversionError, match="NumPy has no dtype for "):
        getattr(schema, method)()


def test_the_dtype_of_a_tensor_keeps_no_byte_order():
    assert Schema([TensorSpec(np.dtype(">f4"), (-1,))]).numpy_types() == [np.dtype("float32")]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="this NumPy has no such strings")
def test_a_tensor_of_strings_of_variable_width_is_refused_clearly():
    with pytest.raises(SignatureError):
        TensorSpec(np.dtypes.StringDType(), (-1,))
