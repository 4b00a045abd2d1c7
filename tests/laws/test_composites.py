"""The laws for composites: one verdict for all kinds of data; inferred signatures accept their examples."""

from __future__ import annotations

import copy
import datetime
import random
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from sparksig import enforce
from sparksig.convert.arrow import VECTOR_TYPE, to_arrow
from sparksig.engine.blocks import to_python
from sparksig.engine.plan import compile
from sparksig.errors import ContractError
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.engine.test_nested import build, relaxed, source_of
from tests.infer.helpers import infer
from tests.laws.test_inference import dictionaries
from tests.laws.test_inference import tables as nested_tables
from tests.laws.test_table import ACCEPTED
from tests.strategies import composite_types, types


def accepted(actual_type, dtype, required=True):
    try:
        compile(Schema([ColSpec(dtype, "a", required)]), pa.schema([("a", actual_type)]))
    except ContractError:
        return False
    return True


# --- the table, once more and by other means --------------------------------------------------------------

FAMILIES = {
    DataType.string: ("string", "large_string", "string_view"),
    DataType.binary: ("binary", "large_binary", "binary_view", "fixed_size_binary"),
    DataType.datetime: ("timestamp", "date32", "date64"),
}


def stands(actual_type, dtype):
    """Return whether the table has a pair of types, for a required column without nulls."""
    if isinstance(dtype, AnyType):
        return True
    if pa.types.is_dictionary(actual_type):
        actual_type = actual_type.value_type
    if isinstance(dtype, DataType):
        return stands_scalar(actual_type, dtype)
    if isinstance(dtype, SparkMLVector) and actual_type == VECTOR_TYPE:
        return True
    if isinstance(dtype, Array):
        if "list" not in str(actual_type).partition("<")[0]:
            return False
        return pa.types.is_null(actual_type.value_type) or stands(actual_type.value_type, dtype.dtype)
    if actual_type == VECTOR_TYPE:
        return False
    if pa.types.is_map(actual_type):
        if not stands(actual_type.key_type, DataType.string):
            return False
        if isinstance(dtype, Map):
            return pa.types.is_null(actual_type.item_type) or stands(actual_type.item_type, dtype.value_type)
        return all(stands(actual_type.item_type, prop.dtype) for prop in dtype.properties)
    if not pa.types.is_struct(actual_type):
        return False
    fields = {part.name: part.type for part in actual_type}
    if isinstance(dtype, Map):
        return all(stands(field, dtype.value_type) for field in fields.values())
    return all(
        stands(fields[prop.name], prop.dtype) if prop.name in fields else not prop.required
        for prop in dtype.properties
    )


def stands_scalar(actual_type, dtype):
    if pa.types.is_nested(actual_type):
        return False
    if pa.types.is_decimal(actual_type):
        digits = {DataType.integer: 9, DataType.long: 18, DataType.double: 15}.get(dtype, 0)
        return actual_type.precision <= digits and (actual_type.scale == 0 or dtype is DataType.double)
    name = str(actual_type).partition("[")[0]
    if dtype in FAMILIES:
        return name in FAMILIES[dtype]
    names = {"halffloat": "float16", "float": "float32", "double": "float64"}
    return (names.get(name, name), dtype) in ACCEPTED


@given(types, types, st.integers(0, 2**32))
def test_a_cast_that_the_table_lacks_is_refused_for_all_values(dtype, other, seed):
    rng = random.Random(seed)
    source_type = source_of(rng, dtype)
    assert stands(source_type, dtype)
    assert accepted(source_type, dtype)
    for target in (other, Array(dtype), Map(other), Object([Property("x", dtype)]), *DataType):
        assert accepted(source_type, target) == stands(source_type, target)
        if stands(source_type, target):
            continue
        schema, texts = Schema([ColSpec(target, "a")]), set()
        for array in (build(rng, source_type, 3), pa.nulls(2, source_type)):
            with pytest.raises(ContractError) as error:
                enforce(pa.table({"a": array}), schema)
            texts.add(str(error.value))
        assert len(texts) == 1


leaves = composite_types(any_type=False)


def changed(rng, dtype, leaf):
    """The type with its scalars exchanged by ``leaf``."""
    if isinstance(dtype, SparkMLVector):
        return dtype
    if isinstance(dtype, Array):
        return Array(changed(rng, dtype.dtype, leaf))
    if isinstance(dtype, Map):
        return Map(changed(rng, dtype.value_type, leaf))
    if isinstance(dtype, Object):
        parts = [
            Property(value.name, changed(rng, value.dtype, leaf), value.required)
            for value in dtype.properties
        ]
        return Object(parts)
    return leaf(rng, dtype)


WIDER = {
    DataType.integer: (DataType.long, DataType.double),
    DataType.float: (DataType.double,),
}


@given(leaves, st.integers(0, 2**32))
def test_the_table_is_transitive_for_composites(dtype, seed):
    rng = random.Random(seed)
    source_type = source_of(rng, dtype)
    wider = changed(rng, dtype, lambda rng, leaf_type: rng.choice([leaf_type, *WIDER.get(leaf_type, ())]))
    assert accepted(to_arrow(dtype), wider)
    assert accepted(source_type, wider)


@given(leaves, st.integers(0, 2**32))
def test_the_table_is_antisymmetric_for_composites(dtype, seed):
    rng = random.Random(seed)
    other = changed(rng, dtype, lambda rng, leaf_type: rng.choice(list(DataType)))
    both = accepted(to_arrow(dtype), other) and accepted(to_arrow(other), dtype)
    assert both == (dtype == other)


# --- one verdict for all kinds of data ----------------------------------------------------------------------

VALUES = {
    DataType.boolean: lambda rng: rng.random() < 0.5,
    DataType.integer: lambda rng: rng.choice([0, -(2**31), 2**31 - 1]),
    DataType.long: lambda rng: rng.choice([0, 1, 2**53 + 1, -(2**63)]),
    DataType.float: lambda rng: rng.choice([0.0, -0.5, 2.0**100]),
    DataType.double: lambda rng: rng.choice([0.0, -0.1, 1e300, 1.0]),
    DataType.string: lambda rng: rng.choice(["", "a", "ä"]),
    DataType.binary: lambda rng: rng.choice([b"", b"a\0"]),
    DataType.datetime: lambda rng: datetime.datetime(2020, 1, rng.randint(1, 31), 5),
}


def cell(rng, dtype):
    """A Python value of a type; now and then a null."""
    if rng.random() < 0.12:
        return None
    if isinstance(dtype, DataType):
        return VALUES[dtype](rng)
    if isinstance(dtype, Array):
        return [cell(rng, dtype.dtype) for _ in range(rng.randint(0, 2))]
    if isinstance(dtype, Map):
        return {key: cell(rng, dtype.value_type) for key in rng.sample(["k", "l", ""], rng.randint(0, 2))}
    return {prop.name: cell(rng, prop.dtype) for prop in dtype.properties}


def to_pairs(value, dtype):
    """The same with maps as lists of pairs, as Arrow takes them."""
    if value is None or isinstance(dtype, DataType):
        return value
    if isinstance(dtype, Array):
        return [to_pairs(item, dtype.dtype) for item in value]
    if isinstance(dtype, Map):
        return [(key, to_pairs(item, dtype.value_type)) for key, item in value.items()]
    return {prop.name: to_pairs(value[prop.name], prop.dtype) for prop in dtype.properties}


def plain(value):
    """Return a value in a form that compares: NaN as None, arrays as lists, times in nanoseconds."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, (float, np.floating)) and value != value)
    ):
        return None
    if isinstance(value, (datetime.date, np.datetime64)):
        time = pd.Timestamp(value)
        return ("time", time.tz_localize(None).as_unit("ns").value)
    return value.item() if isinstance(value, np.generic) else value


def outcome(data, schema, **options):
    """Return the enforced cells of each column, or the findings. Warnings are errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            back = enforce(data, schema, **options)
    except ContractError as error:
        return sorted(
            (finding.code, finding.path, finding.expected, finding.count, finding.rows)
            for finding in error.findings
        )
    if isinstance(back, pa.Table):
        return [plain(to_python(back[name].combine_chunks())) for name in back.column_names]
    return [plain(back[name].astype(object).tolist()) for name in back.columns]


def forms(rows, dtype):
    """The same column as Arrow, as objects, as pandas' Arrow-backed column, and as dictionaries."""
    values = [to_pairs(row, dtype) for row in rows]
    array = pa.array(values, to_arrow(relaxed(dtype)))
    objects = pd.Series([None] * len(rows), dtype=object)
    for index, row in enumerate(rows):
        objects.iat[index] = row
    yield pa.table({"a": array})
    yield pd.DataFrame({"a": objects})
    yield pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))})
    yield [{"a": row} for row in rows]


python_types = composite_types(any_type=False, vectors=False)


@given(python_types.filter(lambda t: not isinstance(t, DataType)), st.integers(0, 2**32), st.booleans())
def test_one_verdict_and_one_value_for_all_kinds_of_data(dtype, seed, strict):
    rng = random.Random(seed)
    rows = [cell(rng, dtype) for _ in range(rng.randint(1, 5))]
    for target, required in ((dtype, True), (relaxed(dtype), False)):
        schema = Schema([ColSpec(target, "a", required)])
        first, *other_values = [outcome(form, schema, strict_nulls=strict) for form in forms(rows, dtype)]
        for other in other_values:
            assert other == first


WRONG = {
    "text for numbers": ([["x"], None], Array("string"), Array("long")),
    "numbers for text": ([[1]], Array("long"), Array("string")),
    "in an object": ([{"x": "s"}, None], Object([Property("x", "string")]), Object([Property("x", "long")])),
    "in a map": ([{"k": True}], Map("boolean"), Map("long")),
    "list for a map": ([[1]], Array("long"), Map("long")),
    "object for a list": ([{"x": 1}], Object([Property("x", "long")]), Array("long")),
    "missing": (
        [{"x": 1}, {"x": 2}],
        Object([Property("x", "long")]),
        Object([Property("x", "long"), Property("y", "long")]),
    ),
}


@pytest.mark.parametrize(("rows", "dtype", "target"), WRONG.values(), ids=WRONG)
def test_all_kinds_of_data_get_the_same_findings(rows, dtype, target):
    actual = [outcome(form, Schema([ColSpec(target, "a")])) for form in forms(rows, dtype)]
    assert all(len(value) == 1 for value in actual)
    assert len({value[0][:3] for value in actual}) == 1


INNER = Object([Property("x", "double")])
STRICT = {"list": ([[{"x": None}]], Array(INNER)), "map": ([{"k": {"x": None}}], Map(INNER))}


@pytest.mark.parametrize(("rows", "dtype"), STRICT.values(), ids=STRICT)
def test_strict_nulls_apply_in_lists_and_maps_of_all_kinds_of_data(rows, dtype):
    for form in forms(rows, dtype):
        actual = outcome(form, Schema([ColSpec(dtype, "a")]), strict_nulls=True)
        assert [value[1:2] for value in actual] == [("a[].x",)]


LISTS_OF_LONG_AND_STRING = pd.DataFrame(
    {
        0: pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        1: pd.Series([["x"]], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
    }
)


@pytest.mark.parametrize(
    "data",
    [
        LISTS_OF_LONG_AND_STRING,
        LISTS_OF_LONG_AND_STRING.astype(object),
        pa.table({"0": [[1]], "1": [["x"]]}),
    ],
    ids=["Arrow-backed frame", "frame of objects", "table"],
)
def test_a_finding_of_the_second_unnamed_column_says_so(data):
    schema = Schema([ColSpec(Array("long")), ColSpec(Array("long"))])
    assert [value[1] for value in outcome(data, schema)] == ["1[]"]


@pytest.mark.parametrize(
    ("target", "dtype"), [("datetime", "datetime64[ns]"), ("double", "float64"), ("long", "Int64")]
)
def test_an_optional_column_of_nothing_is_a_column_of_its_type(target, dtype):
    from sparksig.engine.frames import build_model_frame

    schema = Schema([ColSpec(target, "a", False)])
    untyped, typed = pa.nulls(2), pa.nulls(2, to_arrow(DataType[target]))
    assert str(build_model_frame(pa.table({"a": untyped}), schema)["a"].dtype) == dtype
    assert str(build_model_frame(pa.table({"a": typed}), schema)["a"].dtype) == dtype


# --- chunks with dictionaries of their own -----------------------------------------------------------------


def encoded(*chunks):
    """One dictionary for each chunk."""
    return pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array(range(len(values)), pa.int8()), values) for values in chunks]
    )


CHUNKS = {
    "texts": (encoded(pa.array(["a", "b"]), pa.array(["c"])), "string"),
    "nulls among them": (encoded(pa.array(["a", None]), pa.array(["b"])), "string"),
    "more than an index holds": (
        encoded(pa.array(list(map(str, range(100)))), pa.array(list(map(str, range(100, 200))))),
        "string",
    ),
    "small floats": (
        encoded(pa.array(np.array([1.5, 2.5], "float16")), pa.array(np.array([3.5], "float16"))),
        "double",
    ),
    "times": (
        encoded(pa.array([0, 1], pa.timestamp("s")), pa.array([2], pa.timestamp("s"))),
        "datetime",
    ),
}


@pytest.mark.parametrize(("column", "dtype"), CHUNKS.values(), ids=CHUNKS)
def test_each_chunk_may_have_a_dictionary_of_its_own(column, dtype):
    schema = Schema([ColSpec(dtype, "a", False)])
    back = enforce(pa.table({"a": column}), schema)["a"]
    assert plain(back.to_pylist()) == plain([value for chunk in column.chunks for value in chunk.to_pylist()])


EMPTY = [pa.list_(pa.int8()), pa.map_(pa.string(), pa.int8()), pa.dictionary(pa.int8(), pa.string())]
EMPTY += [pa.struct([("x", pa.list_(pa.dictionary(pa.int8(), pa.decimal128(9, 2))))])]
EMPTY += [pa.dictionary(pa.int8(), pa.decimal128(9, 2)), pa.dictionary(pa.int8(), pa.large_string())]


@pytest.mark.parametrize("actual_type", EMPTY, ids=describe_case)
def test_a_table_without_rows_is_enforced(actual_type):
    schema = Schema([ColSpec(AnyType(), "a")])
    assert enforce(pa.table({"a": pa.nulls(0, actual_type)}), schema).num_rows == 0
    assert enforce(pa.table({"a": pa.chunked_array([], actual_type)}), schema).num_rows == 0


# --- inferred signatures accept their examples -------------------------------------------------------------

TIME = datetime.datetime(2020, 1, 2, 3, 4, 5)
ROWS = [
    {"id": 1, "tags": ["a"], "o": {"x": 1.5, "t": [TIME]}, "f": True},
    {"id": 2, "tags": [], "o": {"x": 2.0, "t": []}},
    {"id": 3, "tags": ["b", "c"], "o": {"x": 0.1}, "f": None},
]
COLUMNS = {
    "list of dictionaries": ROWS,
    "one dictionary": ROWS[0],
    "dictionary of scalars": {"a": 1, "b": "x", "c": None, "d": TIME},
    "frame of lists and dictionaries": pd.DataFrame({"l": [[1], [2, 3]], "o": [{"x": 1}, {"x": 2}]}),
    "frame of Arrow": pd.DataFrame(
        {"l": pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int8())))}, index=[7, 7]
    ),
    "frame of arrays": pd.DataFrame({"v": [np.array([1.5, 2.5]), np.array([3.5])]}),
    "frame of categories": pd.DataFrame({"c": pd.Series(["a", "b", "a"], dtype="category")}),
    "table": pa.table({"o": [{"x": 1, "y": [1.5]}, {"x": 2, "y": None}], "l": [[1, None], None]}),
    "table of maps": pa.table({"m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8()))}),
    "batch": pa.record_batch({"l": pa.array([[[1]], []], pa.large_list(pa.list_(pa.int16())))}),
    "array": pa.array([[1], [2]]),
    "chunks": pa.chunked_array([[{"x": 1}], [{"x": 2}]]),
    "table of vectors": pa.table(
        {"v": pa.array([{"type": 1, "size": None, "indices": None, "values": [1.5]}], VECTOR_TYPE)}
    ),
    "series": pd.Series([1.5, 2.5], name="s"),
    "series without a name": pd.Series(["a", "b"]),
    "series of lists": pd.Series([[1], [2, 3]], name="s"),
    "list": [1, 2, 3],
    "list of lists": [[1.5], [], [2.5, 3.5]],
    "list of texts": ["a", "b"],
    "scalar": 1.5,
    "text": "where",
    "bytes": b"\0",
    "boolean": True,
    "instant": TIME,
    "date": datetime.date(2020, 1, 2),
}
TENSORS = {
    "tensor": np.arange(6.0).reshape(3, 2),
    "tensor of texts": np.array(["a", "bcd"]),
    "tensor of rank 3": np.zeros((2, 3, 4), dtype="int8"),
    "tensor of times": np.array(["2020-01-01"], "datetime64[us]"),
    "csr": scipy.sparse.csr_matrix(np.eye(3)),
    "csc": scipy.sparse.csc_matrix(np.eye(3, dtype="float32")),
    "dictionary of tensors": {"a": np.arange(3), "b": np.ones((3, 2), dtype="float32")},
}


def columns_of(data):
    """The cells of the columns of an example, in order, as they compare."""
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return [plain(to_python(column.combine_chunks())) for column in data.columns]
    if isinstance(data, (pa.Array, pa.ChunkedArray)):
        return [plain(data.to_pylist())]
    if isinstance(data, pd.DataFrame):
        return [plain(data.iloc[:, index].astype(object).tolist()) for index in range(data.shape[1])]
    if isinstance(data, pd.Series):
        return [plain(data.astype(object).tolist())]
    rows = [data] if isinstance(data, dict) else data
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return [
            plain([row.get(key) for row in rows]) for key in dict.fromkeys(k for row in rows for k in row)
        ]
    return [plain(rows if isinstance(rows, list) else [rows])]


@pytest.mark.parametrize("example", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_every_kind_are_enforced_by_what_is_inferred_of_them(example):
    expected, text = columns_of(example), repr(example)
    twin = copy.deepcopy(example)
    schema = infer(example).inputs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = enforce(example, schema)
    if schema == Schema([ColSpec(SparkMLVector(), "v")]):
        expected = [[[1.5]]]
    assert columns_of(back) == expected
    assert repr(example) == text
    assert columns_of(example) == columns_of(twin)
    assert enforce(back, schema).shape == back.shape


@pytest.mark.parametrize("example", TENSORS.values(), ids=TENSORS)
def test_tensors_of_every_kind_are_enforced_by_what_is_inferred_of_them(example):
    twin = copy.deepcopy(example)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = enforce(example, infer(example).inputs)
    examples = (
        [example, twin, back]
        if isinstance(example, dict)
        else [{0: value} for value in (example, twin, back)]
    )
    for name, tensor in examples[0].items():
        for other in (examples[1][name], examples[2][name]):
            assert type(other) is type(tensor)
            assert (other.dtype, other.shape) == (tensor.dtype, tensor.shape)
            dense, other_dense = (
                value.toarray() if scipy.sparse.issparse(value) else value for value in (tensor, other)
            )
            assert dense.tobytes() == other_dense.tobytes()


def without_absent(value):
    """A value without the keys that hold null: absent and null are one to a model."""
    if isinstance(value, dict):
        return {key: without_absent(item) for key, item in value.items() if item is not None}
    return [without_absent(item) for item in value] if isinstance(value, list) else value


@given(dictionaries())
def test_dictionaries_are_enforced_by_what_is_inferred_of_them(rows):
    before = copy.deepcopy(rows)
    back = enforce(rows, infer(rows).inputs)
    assert repr(rows) == repr(before)
    labels = list(dict.fromkeys(key for row in rows for key in row))
    assert list(back.columns) == labels
    expected = [[row.get(label) for row in rows] for label in labels]
    assert without_absent(columns_of(back)) == without_absent(plain(expected))


@given(nested_tables())
def test_a_nested_table_is_enforced_by_what_is_inferred_of_it(table):
    before = table.to_pylist()
    schema = infer(table).inputs
    back = enforce(table, schema)
    assert columns_of(back) == columns_of(table)
    assert table.to_pylist() == before
