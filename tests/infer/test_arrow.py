"""Arrow data -> columns: the declared types, required if there are no nulls."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import ContractError, InferenceError, enforce
from sparksig.convert.arrow import is_arrow, to_arrow
from sparksig.errors import Code
from sparksig.infer.arrow import from_batches
from sparksig.infer.python import from_list
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.cases import describe_case
from tests.infer.helpers import find_problems, infer

PAIR = pa.struct([("a", pa.int64()), ("b", pa.string())])
FULL, GAP = {"a": 1, "b": "x"}, {"a": 1, "b": None}


def pair(a, b):
    return Object([Property("a", "long", a), Property("b", "string", b)])


def table(values, dtype=None):
    return pa.table({"c": pa.array(values, dtype)})


def column(example):
    """The one column's type, and whether it is required."""
    [spec] = infer(example).inputs
    return spec.type, spec.required


# --- the forms of Arrow data ----------------------------------------------------------------------------


class Stream:
    """Lends data, as a foreign library does, and nothing else."""

    def __init__(self, data):
        self.data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return self.data.__arrow_c_stream__(requested_schema)


class Batch:
    """Lends one batch or array."""

    def __init__(self, data):
        self.data = data

    def __arrow_c_array__(self, requested_schema=None):
        return self.data.__arrow_c_array__(requested_schema)


HELD = pa.table({"id": [1, 2], "o": pa.array([FULL, GAP], PAIR), "x": pa.array([0.5, None], pa.float32())})
FORMS = {
    "Table": HELD,
    "RecordBatch": HELD.to_batches()[0],
    "chunks": pa.concat_tables([HELD.slice(0, 1), HELD.slice(1)]),
    "a stream": Stream(HELD),
    "a stream of chunks": Stream(pa.concat_tables([HELD.slice(0, 1), HELD.slice(1)])),
    "a batch": Batch(HELD.to_batches()[0]),
}


@pytest.mark.parametrize("example", FORMS.values(), ids=FORMS)
def test_a_table_in_any_form_has_a_column_for_each_of_its(example):
    assert is_arrow(example)
    assert (
        infer(example).inputs
        == from_batches(example)
        == Schema([ColSpec("long", "id"), ColSpec(pair(True, False), "o"), ColSpec("float", "x", False)])
    )
    assert infer(example).inputs == from_batches(example)  # it can be read again


@pytest.mark.parametrize(
    "example",
    [
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
        pa.chunked_array([], pa.int64()),
        Batch(pa.array([1, 2])),
        Stream(pa.chunked_array([[1], [2]])),
    ],
    ids=["Array", "ChunkedArray", "no chunk", "a lent array", "a lent stream"],
)
def test_an_array_is_one_unnamed_column(example):
    assert infer(example).inputs == Schema([ColSpec("long")])


def test_an_array_of_structs_is_a_column_but_a_lent_one_a_table():
    array = pa.array([FULL, FULL], PAIR)
    assert infer(array).inputs == Schema([ColSpec(pair(True, True))])
    assert infer(Batch(array)).inputs == Schema([ColSpec("long", "a"), ColSpec("string", "b")])


@pytest.mark.parametrize(
    "example", [pa.array([1, None]), pa.nulls(2), pa.chunked_array([[1], [None]])], ids=describe_case
)
def test_an_array_with_nulls_needs_a_name(example):
    with pytest.raises(InferenceError, match=r"^no signature for this array: 1 finding\n") as error:
        infer(example)
    assert str(error.value.findings[0]) == (
        "expected a name for a column with nulls, got none "
        "(name it, in a table: a column without a name must be required) [INVALID_NAME]"
    )


def test_a_reader_is_refused_and_not_consumed():
    reader = HELD.to_reader()
    with pytest.raises(
        InferenceError, match=r"^a RecordBatchReader can only be read once: pass reader.read_all\(\)$"
    ):
        infer(reader)
    assert reader.read_all() == HELD


def test_objects_without_arrow_data_are_refused_without_their_text():
    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            raise ValueError("secret")

    text = (
        "a value of type Broken cannot be read as Arrow data: ValueError from the Arrow PyCapsule interface"
    )
    with pytest.raises(InferenceError, match=f"^{text}$"):
        infer(Broken())


@pytest.mark.parametrize(
    "piece",
    [pa.schema([("a", pa.int64())]), pa.field("a", pa.int64()), pa.int64(), pa.scalar(1)],
    ids=describe_case,
)
def test_pieces_of_pyarrow_that_are_no_data(piece):
    [finding] = find_problems(piece)
    assert finding.code is Code.UNSUPPORTED_TYPE


# --- types ----------------------------------------------------------------------------------------------

LISTS = [pa.list_(PAIR), pa.large_list(PAIR), pa.list_(PAIR, 2)]
LISTS += [getattr(pa, name)(PAIR) for name in ("list_view", "large_list_view") if pa.__version__ >= "21"]
TYPES = {
    "int8": (pa.int8(), "integer"),
    "uint8": (pa.uint8(), "integer"),
    "uint32": (pa.uint32(), "long"),
    "float16": (pa.float16(), "float"),
    "decimal of 9 digits": (pa.decimal128(9, 0), "integer"),
    "decimal of 18 digits": (pa.decimal128(18, 0), "long"),
    "decimal with a fraction": (pa.decimal128(15, 2), "double"),
    "large string": (pa.large_string(), "string"),
    "string view": (pa.string_view(), "string"),
    "large binary": (pa.large_binary(), "binary"),
    "binary view": (pa.binary_view(), "binary"),
    "fixed binary": (pa.binary(3), "binary"),
    "date": (pa.date32(), "datetime"),
    "zoned": (pa.timestamp("ms", "Europe/Berlin"), "datetime"),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), "string"),
    "null": (pa.null(), AnyType()),
    **{str(dtype): (dtype, Array(pair(True, True))) for dtype in LISTS},
    "map": (pa.map_(pa.large_string(), pa.int8()), Map("integer")),
    "nested": (pa.map_(pa.string(), pa.list_(PAIR)), Map(Array(pair(True, True)))),
}


@pytest.mark.parametrize(("dtype", "kind"), TYPES.values(), ids=TYPES)
def test_a_type_is_read_off_even_without_rows(dtype, kind):
    expected = Schema([ColSpec(kind, "c")])
    assert infer(pa.table({"c": pa.chunked_array([], dtype)})).inputs == expected
    assert infer(table([], dtype)).inputs == expected


@pytest.mark.parametrize("example", [pa.table({}), Stream(pa.table({}))], ids=describe_case)
def test_a_table_without_columns(example):
    assert str(find_problems(example)[0]) == "expected at least one column, got none [EMPTY]"


def union():
    return pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])


FOREIGN = {
    "u": pa.array([1], pa.uint64()),
    "x.y": pa.array([[decimal.Decimal(1)]], pa.list_(pa.decimal256(40, 0))),
    "s": pa.array(
        [{"t": datetime.time(1), "fine": 1, "deep": [{"u": 1}]}],
        pa.struct(
            [
                ("t", pa.time64("us")),
                ("fine", pa.int8()),
                ("deep", pa.list_(pa.struct([("u", pa.uint64())]))),
            ]
        ),
    ),
    "d": pa.array([1], pa.duration("s")),
    "i": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "n": union(),
    "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.uint64())),
    "k": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64())),
    "e": pa.array([{}], pa.struct([])),
}
PATHS = ["u", "`x.y`[]", "s.t", "s.deep[].u", "d", "i", "n", "m[]", "k", "e"]


def test_all_types_that_no_signature_has_come_at_once():
    findings = find_problems(pa.table({"fine": [1], **FOREIGN}))
    assert [finding.path for finding in findings] == PATHS
    assert {finding.code for finding in findings} == {Code.UNSUPPORTED_TYPE}
    lines = {finding.path: str(finding) for finding in findings}
    assert lines["u"] == (
        "u: expected a supported type, got uint64 "
        "(values beyond 2^63 fit no signature type: cast it explicitly) [UNSUPPORTED_TYPE]"
    )
    assert lines["k"] == (
        "k: expected map<string, ...>, got map<int64, int64> (the keys of a map must be strings) "
        "[UNSUPPORTED_TYPE]"
    )


@pytest.mark.parametrize("rows", [0, 1], ids=["without rows", "with a row"])
@pytest.mark.parametrize("name", FOREIGN, ids=describe_case)
def test_each_foreign_type_is_refused_with_and_without_rows(name, rows):
    expected = [path for path in PATHS if path.strip("`").startswith(name)]
    findings = find_problems(pa.table({name: FOREIGN[name].slice(0, rows)}))
    assert [finding.path for finding in findings] == expected


def test_equal_names_are_refused():
    assert [
        str(finding)
        for finding in find_problems(pa.table([[1], [2], ["x"], [3]], names=["b", "a", "b", "a"]))
    ] == [
        "b: expected one column of that name, got several [DUPLICATE_NAME]",
        "a: expected one column of that name, got several [DUPLICATE_NAME]",
    ]
    twins = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["f", "f"])
    [finding] = find_problems(pa.table({"s": twins}))
    assert (finding.path, finding.code) == ("s.f", Code.DUPLICATE_NAME)


def test_more_than_a_hundred_levels_are_refused():
    dtype = pa.int8()
    for _ in range(99):
        dtype = pa.list_(dtype)
    assert infer(table([], dtype)).inputs
    for _ in range(3):
        dtype = pa.list_(dtype)
        [finding] = find_problems(table([], dtype))
        assert finding.code is Code.UNSUPPORTED_TYPE


# --- nulls ----------------------------------------------------------------------------------------------

MAP = pa.map_(pa.string(), PAIR)
NULLS = {
    "none": ([1], pa.int64(), "long", True),
    "a null": ([1, None], pa.int64(), "long", False),
    "nothing but nulls": ([None], pa.null(), AnyType(), False),
    "no field null": ([FULL], PAIR, pair(True, True), True),
    "a field null": ([FULL, GAP], PAIR, pair(True, False), True),
    "a struct null": ([FULL, None], PAIR, pair(False, False), False),
    "elements null": ([[1, None], []], pa.list_(pa.int64()), Array("long"), True),
    "a list null": ([[1], None], pa.list_(pa.int64()), Array("long"), False),
    "a field in a list null": ([[FULL], [GAP]], pa.list_(PAIR), Array(pair(True, False)), True),
    "a struct in a list null": ([[FULL], [None]], pa.list_(PAIR), Array(pair(False, False)), True),
    "a field in a map null": ([[("k", FULL)], [("l", GAP)]], MAP, Map(pair(True, False)), True),
    "a map null": ([[("k", FULL)], None], MAP, Map(pair(True, True)), False),
    "in a fixed list": ([[FULL, GAP], None], pa.list_(PAIR, 2), Array(pair(True, False)), False),
    "in a large list": ([[FULL, GAP]], pa.large_list(PAIR), Array(pair(True, False)), True),
    "a text of a dictionary": (["x", None], pa.dictionary(pa.int8(), pa.string()), "string", False),
}


@pytest.mark.parametrize(("values", "dtype", "kind", "required"), NULLS.values(), ids=NULLS)
def test_property_with_a_null_is_optional(values, dtype, kind, required):
    complete = Schema([ColSpec(kind, "c", required)])
    assert infer(table(values, dtype)).inputs == complete
    chunks = pa.chunked_array([pa.array([value], dtype) for value in values[::-1]], dtype)
    assert infer(pa.table({"c": chunks})).inputs == complete
    other = [FULL] if dtype == PAIR else values[:1]
    around = pa.array([None, *values, *other], dtype).slice(1, len(values))
    assert infer(pa.table({"c": around})).inputs == complete


@pytest.mark.parametrize(
    ("dtype", "gap", "full", "kind"),
    [
        (PAIR, GAP, FULL, pair(True, True)),
        (pa.list_(PAIR), [GAP], [FULL], Array(pair(True, True))),
        (MAP, [("k", GAP)], [("k", FULL)], Map(pair(True, True))),
        (pa.list_(PAIR, 1), [GAP], [FULL], Array(pair(True, True))),
    ],
    ids=describe_case,
)
def test_a_slice_is_inferred_without_the_other_rows(dtype, gap, full, kind):
    assert column(table([gap, full], dtype).slice(1, 1)) == (kind, True)
    assert column(table([full, gap], dtype).slice(0, 1)) == (kind, True)
    assert column(table([None, full], dtype).slice(1, 1)) == (kind, True)


def test_null_struct_makes_its_fields_optional():
    hidden = pa.StructArray.from_arrays(
        [pa.array([1, None]), pa.array(["x", "y"])], fields=list(PAIR), mask=pa.array([False, True])
    )
    assert column(pa.table({"c": hidden})) == (pair(False, False), False)
    assert column(pa.table({"c": hidden.slice(0, 1)})) == (pair(True, True), True)


# --- tensors, and other libraries -----------------------------------------------------------------------


def test_tensors_are_known_by_their_metadata():
    schema = Schema(
        [TensorSpec(np.dtype("float32"), (-1, 3), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")]
    )
    data = pa.table({"x": [[1.0, 2.0, 3.0]], "y": [1]}).cast(to_arrow(schema))
    assert infer(data).inputs == schema
    assert infer(data.slice(0, 0)).inputs == schema
    wrong = data.set_column(0, data.schema.field("x").with_type(pa.string()), pa.array(["x"]))
    with pytest.raises(
        InferenceError, match=r"the metadata sparksig\.tensor and the field have different types"
    ):
        infer(wrong)


ARROW_BACKED = [
    pa.table({"a": [1, None], "b": ["x", "y"]}),
    pa.table({"a": pa.array([FULL, GAP], PAIR)}),
    pa.table({"a": pa.array([[FULL], None], pa.list_(PAIR))}),
    pa.table({"a": pa.array([[("k", FULL)], [("k", GAP)]], MAP)}),
    pa.table({"a": pa.array([True, None]), "b": pa.array([1.5, 2.5], pa.float32())}),
    pa.table({"a": pa.array([1, 2], pa.timestamp("us", "UTC")), "b": pa.array([b"x", None])}),
    pa.table({"a": pa.array(["x", None], pa.large_string()), "b": pa.array([1, 2], pa.uint8())}),
]


def backed(data):
    """The same columns in pandas, without leaving Arrow."""
    return pd.DataFrame(
        {
            name: pd.Series(pd.arrays.ArrowExtensionArray(data[name]), dtype=pd.ArrowDtype(data[name].type))
            for name in data.column_names
        }
    )


@pytest.mark.parametrize("data", ARROW_BACKED, ids=lambda data: str(data.schema.types))
def test_arrow_backed_columns_of_pandas_are_the_tables(data):
    assert infer(backed(data)).inputs == infer(data).inputs
    assert infer(backed(data).iloc[:0]).inputs == infer(data.slice(0, 0)).inputs


def test_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "a": [1, None],
            "b": ["x", "y"],
            "c": [[1], []],
            "d": [{"x": 1.5}, {"x": None}],
            "e": pl.Series(["p", "q"], dtype=pl.Categorical),
            "f": [datetime.date(2020, 1, 1)] * 2,
            "g": pl.Series([1, 2], dtype=pl.Int8),
        }
    )
    assert infer(frame).inputs == Schema(
        [
            ColSpec("long", "a", False),
            ColSpec("string", "b"),
            ColSpec(Array("long"), "c"),
            ColSpec(Object([Property("x", "double", False)]), "d"),
            ColSpec("string", "e"),
            ColSpec("datetime", "f"),
            ColSpec("integer", "g"),
        ]
    )
    assert infer(frame["a"]).inputs == Schema([ColSpec("long", "a", False)])
    assert infer(frame["d"]).inputs == Schema([infer(frame).inputs.inputs[3]])
    assert infer(pl.Series([1, 2])).inputs == Schema([ColSpec("long")])
    [first, second] = find_problems(
        pl.DataFrame({"a": pl.Series([1], dtype=pl.UInt64), "b": [datetime.time(1)], "c": ["x"]})
    )
    assert (first.path, second.path) == ("a", "b")
    [finding] = find_problems(frame.lazy())
    assert finding.actual == "a value of type LazyFrame"


def test_duckdb():
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        relation = connection.sql(
            "select 1::integer a, 'x' b, null::bigint c, [0.5::double] l, {'x': true} s, "
            "map {'k': 1::bigint} m"
        )
        for _ in range(2):  # it is a query: each time it is read, it runs
            assert infer(relation).inputs == Schema(
                [
                    ColSpec("integer", "a"),
                    ColSpec("string", "b"),
                    ColSpec("long", "c", False),
                    ColSpec(Array("double"), "l"),
                    ColSpec(Object([Property("x", "boolean")]), "s"),
                    ColSpec(Map("long"), "m"),
                ]
            )
        [first, second] = find_problems(connection.sql("select 1::hugeint h, 1::ubigint u"))
        assert (first.path, second.path) == ("h", "u")


# --- one verdict for one data ---------------------------------------------------------------------------

VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(st.characters(exclude_categories=["C"]), max_size=3),
    pa.binary(): st.binary(max_size=3),
    pa.bool_(): st.booleans(),
    pa.timestamp("us"): st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
}
dtypes = st.recursive(
    st.sampled_from(list(VALUES)),
    lambda inner: (
        st.builds(pa.list_, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda f: pa.struct(list(f.items())))
    ),
    max_leaves=5,
)


@st.composite
def values(draw, dtype):
    """A value with something in every container, and with nulls in structs only: there both say the same."""
    if pa.types.is_list(dtype):
        return draw(st.lists(values(dtype.value_type), min_size=1, max_size=2))
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        fields = {part.name: draw(values(part.type)) for part in parts}
        return {
            name: None if i and not draw(st.integers(0, 4)) else fields[name] for i, name in enumerate(fields)
        }
    return draw(VALUES[dtype])


@st.composite
def tables(draw):
    columns = draw(st.dictionaries(st.sampled_from("xyz"), dtypes, min_size=1))
    rows = draw(st.integers(1, 4))
    return pa.table(
        {
            name: pa.array(
                [
                    draw(values(dtype)),
                    *draw(st.lists(st.none() | values(dtype), min_size=rows, max_size=rows)),
                ],
                dtype,
            )
            for name, dtype in columns.items()
        }
    )


def has_known_types(schema):
    """Return whether every column and property has a value: without one, Python values are Any."""
    return '"any"' not in schema.to_json()


@given(tables())
def test_arrow_and_python_have_one_verdict(data):
    from_python = from_list(data.to_pylist())
    if has_known_types(from_python):
        assert infer(data).inputs == from_python
    assert infer(backed(data)).inputs == infer(data).inputs


@given(tables())
def test_arrow_and_frames_of_objects_have_one_verdict(data):
    frame = pd.DataFrame(
        {name: pd.Series(data[name].to_pylist(), dtype=object) for name in data.column_names}
    )
    expected = from_list(data.to_pylist())
    for spec, ours in zip(expected, infer(frame).inputs):
        if repr(spec.type) == "long" and not spec.required:
            assert repr(ours.type) in ("long", "double")  # as pandas and MLflow read None beside ints
        else:
            assert ours == spec


def test_a_null_in_a_dictionary_is_a_null():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["x", "y"]))
    assert infer(pa.table({"a": column})).inputs == Schema([ColSpec("string", "a")])


@pytest.mark.parametrize(
    ("values", "kind"), [([1, None], "long"), (["x", None], "string")], ids=["long", "string"]
)
def test_a_null_in_a_dictionary_makes_it_optional(values, kind):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(values))
    assert infer(pa.table({"a": column})).inputs == Schema([ColSpec(kind, "a", required=False)])


@pytest.mark.parametrize("names", [["huge", "also huge"], ["huge"]], ids=["frame", "series"])
@pytest.mark.parametrize("verb", ["infer", "enforce"])
def test_columns_that_pyarrow_cannot_read_are_named(verb, names):
    pl = pytest.importorskip("polars")
    huge = pl.Series("huge", [1], dtype=pl.Int128)
    frame = pl.DataFrame({"fits": [1], "huge": huge, "also huge": huge})
    schema = Schema([ColSpec("long", "fits")])
    run = infer if verb == "infer" else lambda data: enforce(data, schema)
    hint = "cast it explicitly, or select the other columns"
    with pytest.raises((InferenceError, ContractError)) as error:
        run(frame if len(names) == 2 else huge)
    assert [str(finding) for finding in error.value.findings] == [
        f"{name}: expected a type that pyarrow can read, got Int128 ({hint}) [UNSUPPORTED_TYPE]"
        for name in names
    ]
    run(frame.select("fits"))


def test_python_objects_of_polars_are_refused():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": pl.Series([{1, 2}], dtype=pl.Object), "b": [1.5]})
    (finding,) = find_problems(frame)
    assert str(finding) == (
        "a: expected a supported type, got Object (convert it explicitly, or drop it) [UNSUPPORTED_TYPE]"
    )
