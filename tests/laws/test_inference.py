"""Inference: no order or cut matters, nothing is touched, JSON carries it, and enforcing gives it back."""

from __future__ import annotations

import copy
import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mlflow.types.schema import Schema as TheirSchema

from sparksig import Code, InferenceError, Schema, enforce
from sparksig.engine.python import to_object_series
from sparksig.infer import merge_schemas
from sparksig.tables.sample import infer_from_sample
from tests.infer.helpers import infer
from tests.laws.test_verdict import POOL
from tests.strategies import names

TEXT = st.text(st.characters(exclude_categories=["C"]), max_size=3)
TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
LEAVES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): TEXT,
    pa.binary(): st.binary(max_size=3),
    pa.bool_(): st.booleans(),
    pa.timestamp("us"): TIMES,
}
TYPED = {
    "bool": st.booleans(),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats() | st.none(),
    "datetime64[us]": TIMES | st.none(),
    "Int64": st.integers(-(2**63), 2**63 - 1) | st.none(),
    "boolean": st.booleans() | st.none(),
    "string": TEXT | st.none(),
}
dtypes = st.recursive(
    st.sampled_from(list(LEAVES)),
    lambda inner: (
        st.builds(pa.list_, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda f: pa.struct(list(f.items())))
    ),
    max_leaves=5,
)


@st.composite
def values(draw, dtype):
    """A value of an Arrow type; now and then a null, an absent key, or nothing in a list."""
    if not draw(st.integers(0, 5)):
        return None
    if pa.types.is_list(dtype):
        return draw(st.lists(values(dtype.value_type), max_size=2))
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        return {part.name: draw(values(part.type)) for part in parts if draw(st.integers(0, 5))}
    return draw(LEAVES[dtype])


@st.composite
def columns(draw):
    """Generate names and Arrow types of columns, with rows."""
    column_types = draw(st.dictionaries(names, dtypes, min_size=1, max_size=3))
    rows = draw(
        st.lists(
            st.fixed_dictionaries({n: values(t) for n, t in column_types.items()}), min_size=2, max_size=6
        )
    )
    return pa.schema(list(column_types.items())), rows


@st.composite
def dictionaries(draw):
    """Rows of one kind, in which keys may be absent."""
    _, rows = draw(columns())
    selected = [{key: value for key, value in row.items() if draw(st.integers(0, 5))} for row in rows]
    return selected if any(selected) else rows


@st.composite
def tables(draw):
    schema, rows = draw(columns())
    return pa.Table.from_pylist(rows, schema)


@st.composite
def frames(draw):
    """Frames of typed columns."""
    column_types = draw(st.dictionaries(names, st.sampled_from(list(TYPED)), min_size=1, max_size=4))
    rows = draw(st.integers(2, 6))
    return pd.DataFrame(
        {
            name: pd.Series(draw(st.lists(TYPED[dtype], min_size=rows, max_size=rows)), dtype=dtype)
            for name, dtype in column_types.items()
        }
    )


@st.composite
def flat_tables(draw):
    """Arrow tables of scalar columns of any type that a signature has."""
    fit = [dtype for dtype in POOL if dtype not in (pa.uint64(), pa.decimal128(20, 2))]
    column_types = draw(st.dictionaries(names, st.sampled_from(fit), min_size=1, max_size=4))
    rows = draw(st.integers(0, 5))
    # a time must fit nanoseconds to be enforced
    pool = POOL | {pa.timestamp("us"): TIMES, pa.date32(): TIMES.map(datetime.datetime.date)}
    pool[pa.timestamp("us", "UTC")] = TIMES.map(lambda time: time.replace(tzinfo=datetime.timezone.utc))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | pool[dtype], min_size=rows, max_size=rows)), dtype)
            for name, dtype in column_types.items()
        }
    )


def schema_of(example):
    """Return the inferred signature, or None if the data has nothing to infer from."""
    try:
        return infer(example).inputs
    except InferenceError:
        return None


def shuffled(data, value):
    """The same value with the keys of its dictionaries in another order, at every depth."""
    if isinstance(value, dict):
        return {key: shuffled(data, value[key]) for key in data.draw(st.permutations(list(value)))}
    return [shuffled(data, item) for item in value] if isinstance(value, list) else value


# --- order ----------------------------------------------------------------------------------------------


@given(dictionaries(), st.data())
def test_neither_the_order_of_rows_nor_of_keys_matters(rows, data):
    complete = infer(rows).inputs
    other = infer([shuffled(data, row) for row in data.draw(st.permutations(rows))]).inputs
    assert set(other) == set(complete)
    first_seen = dict.fromkeys(key for row in rows for key in row)
    assert complete.input_names() == list(first_seen)


@given(frames(), st.data())
def test_the_order_of_a_frames_rows_and_columns_does_not_matter(frame, data):
    order = data.draw(st.permutations(range(len(frame))))
    labels = data.draw(st.permutations(list(frame.columns)))
    other = infer(frame.iloc[order][labels]).inputs
    assert set(other) == set(infer(frame).inputs)
    assert other.input_names() == labels


@given(tables(), st.data())
def test_neither_the_order_of_batches_nor_their_cuts_matter(table, data):
    complete = infer(table).inputs
    cuts = sorted(data.draw(st.lists(st.integers(0, table.num_rows), max_size=3)))
    parts = [table.slice(start, stop - start) for start, stop in zip([0, *cuts], [*cuts, table.num_rows])]
    assert infer(pa.concat_tables(data.draw(st.permutations(parts)))).inputs == complete
    assert infer(pa.concat_tables(parts).combine_chunks()).inputs == complete
    labels = data.draw(st.permutations(table.column_names))
    assert set(infer(table.select(labels)).inputs) == set(complete)


# --- halves ---------------------------------------------------------------------------------------------


@given(dictionaries(), st.data())
def test_two_parts_of_dictionaries_merge_to_the_whole(rows, data):
    cut = data.draw(st.integers(1, len(rows) - 1))
    first, second = schema_of(rows[:cut]), schema_of(rows[cut:])
    if first is not None and second is not None:
        complete = infer(rows).inputs
        assert merge_schemas(first, second) == complete
        assert set(merge_schemas(second, first)) == set(complete)


@given(frames(), st.data())
def test_two_parts_of_a_frame_merge_to_the_whole(frame, data):
    cut = data.draw(st.integers(0, len(frame)))
    first, second = infer(frame.iloc[:cut]).inputs, infer(frame.iloc[cut:]).inputs
    assert merge_schemas(first, second) == merge_schemas(second, first) == infer(frame).inputs


@given(tables(), st.data())
def test_two_parts_of_a_table_merge_to_the_whole(table, data):
    cut = data.draw(st.integers(0, table.num_rows))
    first, second = infer(table.slice(0, cut)).inputs, infer(table.slice(cut)).inputs
    assert merge_schemas(first, second) == merge_schemas(second, first) == infer(table).inputs


def test_what_has_no_one_schema():
    first, other = infer([{"a": 1, "b.c": {"d": 1}}]).inputs, infer([{"a": "x", "b.c": {"d": [1]}}]).inputs
    with pytest.raises(InferenceError) as error:
        merge_schemas(first, other)
    assert str(error.value).splitlines() == [
        "cannot merge these schemas: 2 findings",
        "  - a: expected values of one type, got long and string [MIXED_TYPES]",
        "  - `b.c`.d: expected values of one type, got long and Array(long) [MIXED_TYPES]",
    ]


# --- examples that stay unchanged -----------------------------------------------------------------------

arrays = hnp.arrays(
    st.sampled_from(["int64", "float32", "U3", "datetime64[s]", "bool"]),
    hnp.array_shapes(max_dims=3, max_side=3),
)


@given(dictionaries() | dictionaries().map(lambda rows: rows[0]))
def test_dictionaries_are_left_alone(example):
    before = copy.deepcopy(example)
    schema_of(example)
    assert repr(example) == repr(before)  # with the order of keys, and NaN as itself


@given(frames(), st.data())
def test_frames_are_left_alone(frame, data):
    frame["cells"] = pd.Series([{"a": [row]} for row in range(len(frame))], dtype=object)
    before, cells = frame.copy(deep=True), copy.deepcopy(frame["cells"].tolist())
    labels = frame.columns
    infer(frame)
    pd.testing.assert_frame_equal(frame, before, check_column_type="exact")
    assert frame.columns is labels
    assert frame["cells"].tolist() == cells


@given(st.dictionaries(names, arrays, min_size=1, max_size=3))
def test_arrays_are_left_alone(example):
    before = copy.deepcopy(example)
    for value in (example, [example], list(example.values())):
        schema_of(value)
    assert list(example) == list(before)
    for array, other in zip(example.values(), before.values()):
        assert (array.dtype, array.shape, array.flags.writeable) == (other.dtype, other.shape, True)
        assert array.tobytes() == other.tobytes()


@given(tables())
def test_arrow_is_left_alone(table):
    rows = table.to_pylist()
    infer(table)
    table.validate(full=True)
    assert table.to_pylist() == rows


# --- JSON -----------------------------------------------------------------------------------------------


@given(dictionaries() | frames() | tables())
def test_what_is_inferred_is_read_back_here_and_in_mlflow(example):
    schema = infer(example).inputs
    assert Schema.from_json(schema.to_json()) == schema
    assert TheirSchema.from_json(schema.to_json()).to_dict() == schema.to_dict()


# --- enforcing ------------------------------------------------------------------------------------------


def plain(values):
    """Values as they compare: nulls as None, times as their clocks show them."""
    clocks = [pd.Timestamp(v) if isinstance(v, datetime.date) and not pd.isna(v) else v for v in values]
    naive = [v.tz_localize(None) if isinstance(v, pd.Timestamp) else v for v in clocks]
    return [None if v is None or pd.isna(v) else v for v in naive]


@given(frames())
def test_a_frame_is_enforced_by_what_is_inferred_of_it(frame):
    back = enforce(frame, infer(frame).inputs)
    assert list(back.columns) == list(frame.columns)
    for label in frame:
        assert plain(back[label]) == plain(frame[label])


@given(flat_tables())
def test_a_table_is_enforced_by_what_is_inferred_of_it(table):
    back = enforce(table, infer(table).inputs)
    assert back.column_names == table.column_names
    for name in table.column_names:
        assert plain(back[name].to_pandas()) == plain(table[name].to_pandas(date_as_object=False))


# --- inferred signatures accept their examples ----------------------------------------------------------


class DenseVector:
    """Stands for the class of pyspark, by its module and name."""

    __module__ = "pyspark.ml.linalg"

    def __init__(self, values):
        self.values = values

    def toArray(self):
        return np.array(self.values, dtype="float64")


ZONES = [datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=2))]
FAR = st.datetimes() | st.dates() | st.datetimes(timezones=st.sampled_from(ZONES))
UNITS = st.sampled_from(["Y", "D", "s", "10s", "ms", "ns"])
SILENT = st.sampled_from([None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")])
SCALARS = {
    "text": TEXT,
    "integer": st.integers(-(2**65), 2**65),
    "number": st.floats() | st.integers(-(2**54), 2**54),
    "truth": st.booleans(),
    "bytes": st.binary(max_size=2) | st.binary(max_size=2).map(bytearray),
    "time": FAR,
    "NumPy time": st.builds(
        lambda number, unit: np.datetime64(number, unit), st.integers(-9999, 9999), UNITS
    ),
    "pandas time": TIMES.map(pd.Timestamp),
    "vector": st.lists(st.floats(), max_size=2).map(DenseVector),
}
FORMS = [list, tuple, pd.Series, pd.Index, lambda values: np.array([*values, None], dtype=object)[:-1]]


def _sequence(form, values):
    """Make a sequence of values; pandas refuses datetime64 whose unit has a multiplier."""
    try:
        return form(values)
    except ValueError:
        reject()


@st.composite
def kinds_of_cells(draw):
    """A strategy for the cells of one column: of one kind, with missing values among them."""
    kind = draw(st.sampled_from(list(SCALARS)))
    cells = SCALARS[kind] | SILENT if draw(st.booleans()) else SCALARS[kind]
    nesting = draw(st.sampled_from(["none", "none", "sequence", "object"]))
    if nesting == "sequence":
        form = draw(st.sampled_from(FORMS))
        return st.lists(cells, max_size=2).map(lambda values: _sequence(form, values)) | st.none()
    if nesting == "object":
        return st.fixed_dictionaries({}, optional={"a": cells, "b.c": cells}) | st.none()
    return cells


@st.composite
def python_examples(draw):
    """Rows, a frame of objects, one row, or values of one column."""
    keys = draw(st.lists(st.sampled_from(["x", "y.z", 0, 1]), min_size=1, max_size=2, unique=True))
    columns = {key: draw(kinds_of_cells()) for key in keys}
    rows = draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=3))
    form = draw(st.sampled_from(["rows", "rows without some keys", "frame", "row", "values"]))
    if form == "rows":
        return rows
    if form == "rows without some keys":
        return [{key: cell for key, cell in row.items() if draw(st.booleans())} for row in rows]
    if form == "frame":
        return pd.DataFrame({key: to_object_series([row[key] for row in rows]) for key in keys})
    return rows[0] if form == "row" else [row[keys[0]] for row in rows]


tensors = st.dictionaries(
    st.sampled_from(["nodes", "edges", 0]),
    hnp.arrays(
        st.sampled_from(["int64", "float32", "U3", "datetime64[D]", "bool"]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3),
    ),
    min_size=1,
)
far_tables = st.lists(st.datetimes() | st.none(), max_size=3).flatmap(
    lambda times: st.sampled_from(
        [
            pa.table({"t": pa.array(times, pa.timestamp("us"))}),
            pa.table(
                {"o": pa.array([{"t": time} for time in times], pa.struct([("t", pa.timestamp("us"))]))}
            ),
            pa.table({"l": pa.array([[time] for time in times], pa.list_(pa.timestamp("us")))}),
            pa.table({"d": pa.array([time and time.date() for time in times], pa.date32())}),
        ]
    )
)


@given(python_examples() | tensors | far_tables | tables())
def test_what_is_inferred_is_accepted(example):
    schema = schema_of(example)
    if schema is not None:
        enforce(example, schema)


@given(python_examples())
def test_rows_and_their_frame_have_one_verdict_on_times(example):
    """Refused with the same code and path, whichever form they have."""
    if not isinstance(example, list) or not all(type(row) is dict and list(row) == ["x"] for row in example):
        return
    frame = pd.DataFrame({"x": to_object_series([row["x"] for row in example])})
    assert range_paths(example) == range_paths(frame)


def range_paths(example):
    try:
        infer(example)
    except InferenceError as error:
        return {finding.path for finding in error.findings if finding.code is Code.OUT_OF_RANGE}
    return set()


@given(tables() | far_tables)
def test_a_sample_of_a_table_has_the_signature_of_its_rows(table):
    declared = schema_of(table)
    if declared is not None:
        assert infer_from_sample(declared, table).signature.inputs == declared
