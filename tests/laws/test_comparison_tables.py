"""The laws of comparing tensors, tables and params: enforcement of values agrees with each verdict."""

from __future__ import annotations

import datetime
import random
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from sparksig import enforce
from sparksig.comparison import compare
from sparksig.convert.arrow import to_arrow
from sparksig.engine.plan import compile
from sparksig.errors import Code, ContractError, below
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import Array, DataType, Map, Object, Property
from tests.cases import describe_case
from tests.laws.test_comparison import NAMES, Maker, another, column_schemas, other, seeds, tensor_pairs
from tests.strategies import composite_types, param_values

# --- tensors ----------------------------------------------------------------------------------------------


def tensors_for(schema):
    """Arrays of a schema's dtypes and shapes, with 7 wherever any number will do."""
    data = {
        spec.name: np.zeros([7 if size == -1 else size for size in spec.shape], spec.type) for spec in schema
    }
    return data if schema.has_input_names() else data[None]


@given(tensor_pairs())
def test_tensors_are_taken_or_refused_as_arrays_are(pair):
    old, new = pair
    data = tensors_for(old)
    enforce(data, old)
    reasons = {(finding.path, finding.code) for finding in compare(old, new).inputs.upgrade}
    if not reasons:
        accepted = enforce(data, new)
        assert (
            all(accepted[name] is data[name] for name in accepted)
            if isinstance(data, dict)
            else accepted is data
        )
        return
    with pytest.raises(ContractError) as info:
        enforce(data, new)
    assert reasons == {(finding.path, finding.code) for finding in info.value.findings}


# --- tables -----------------------------------------------------------------------------------------------


@st.composite
def arrow_schemas(draw):
    """The schema of a table, which is often made for a model."""
    columns = draw(column_schemas())
    names = columns.input_names()
    maker = Maker(lambda path: draw(st.booleans()), random.Random(draw(seeds)))
    fields = [
        pa.field(str(name), maker.make(spec.type, "")[0], nullable=draw(st.booleans()))
        for name, spec in zip(names, columns)
        if "Any" not in repr(spec)
    ]
    return columns, pa.schema(fields)


@given(arrow_schemas(), seeds)
def test_a_table_that_fits_is_taken_by_the_engine(pair, seed):
    columns, table = pair
    expected = another(random.Random(seed), columns)
    fits = table.names and "struct<>" not in str(table) and compare(table, expected).ok
    event("fits" if fits else "does not fit")
    if fits:
        assert compile(expected, table)


@given(column_schemas(), seeds)
def test_a_table_of_the_models_own_types_fits_as_the_engine_says(columns, seed):
    selected = [spec for spec in columns if not any(name in repr(spec) for name in ("Any", "vector", "Map"))]
    expected = another(random.Random(seed), Schema(selected or [ColSpec("long", "a")]))
    if "Map" in repr(expected):  # whether its keys are there is a matter of rows
        return
    arrow_schema = to_arrow(Schema(selected or [ColSpec("long", "a")]))
    actual = {(finding.code, finding.path) for finding in compare(arrow_schema, expected).inputs.upgrade}
    event("refused" if actual else "taken")
    if actual == {(Code.MISSING_COLUMN, "")}:  # none of the columns, which tables are refused for
        assert not compile(expected, arrow_schema).columns
    elif actual:
        with pytest.raises(ContractError) as info:
            compile(expected, arrow_schema)
        assert actual == {(finding.code, finding.path) for finding in info.value.findings}
    else:
        assert compile(expected, arrow_schema).columns


TABLES = [
    pa.table({"a": pa.array([1.5, 2.5])}),
    pa.table({"a": pa.array([1, 2], pa.int32()), "b": pa.array([0.5, 1.5], pa.float32())}),
    pa.table({"a": pa.array([1, 2]), "b": pa.array([0.5, 1.5])}),
    pa.table({"a": pa.array([[1.5, 2.0], [3.0, 4.0]]), "b": pa.array(["x", "y"])}),
    pa.table({"a": pa.array([[1.5, 2.0], [3.0, 4.0]])}),
    pa.table({"a": pa.array([[[1], [2]], [[3], [4]]], pa.list_(pa.list_(pa.int16())))}),
    pa.table({"a": pa.array([{"x": 1}, {"x": 2}])}),
    pa.table({"a": pa.array(["x", "y"]), "b": pa.array(["", "z"])}),
    pa.table({"a": pa.array([b"x", b"y"]), "b": pa.array([True, False])}),
]
TENSORS = [
    Schema([TensorSpec(np.dtype(dtype), shape, name)])
    for dtype in ("float64", "int64", "str", "bytes", "bool", "object")
    for shape in ((-1,), (-1, 2), (-1, 1), (-1, -1), (-1, 2, -1))
    for name in (None, "a", "c")
]


@pytest.mark.parametrize(("table", "tensors"), list(product(TABLES, TENSORS)), ids=describe_case)
def test_a_table_makes_tensors_as_the_engine_does(table, tensors):
    comparison = compare(table.schema, tensors)
    lists_are_longer = "list" in str(table.schema) and tensors.inputs[0].shape == (-1, 1)
    if comparison.ok and not lists_are_longer:  # which is a matter of rows
        assert enforce(table, tensors) is not None
        return
    with pytest.raises(ContractError):
        enforce(table, tensors)


def test_some_tables_make_tensors():
    fits = [compare(table.schema, spec).ok for table in TABLES for spec in TENSORS]
    assert 20 < sum(fits) < len(fits) - 20


# --- params -----------------------------------------------------------------------------------------------

TOLD = {
    DataType.boolean: [True, False, np.True_],
    DataType.integer: [0, 2**24 + 1, 2**31 - 1, -(2**31), np.int8(1), np.int32(2**30 + 1)],
    DataType.long: [0, 2**31, 2**53 + 1, -(2**63), np.int64(2**62)],
    DataType.float: [0.5, 0.1, 3, 2**24, np.float32(0.5), np.float16(2)],
    DataType.double: [0.1, 1e300, 3, 2**53, np.float64(0.1), np.int32(7)],
    DataType.string: ["", "zz", "2020-01-01"],
    DataType.datetime: [datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3), "2020-01-01"],
}


def takes(spec, value):
    try:
        return spec.enforce(value) is not None
    except ContractError:
        return False


def reasons(old, new):
    signatures_ = [ModelSignature(params=ParamSchema([spec])) for spec in (old, new)]
    return compare(*signatures_).params.upgrade


@pytest.mark.parametrize(("old", "new"), list(product(TOLD, TOLD)), ids=describe_case)
def test_a_param_can_take_anothers_place_if_and_only_if_it_takes_all_its_values(old, new):
    specs = [ParamSpec("p", dtype, None) for dtype in (old, new)]
    values = [value for value in TOLD[old] if takes(specs[0], value)]
    assert len(values) >= len(TOLD[old]) - 1  # some floats are no 32-bit floats
    assert all(takes(specs[1], value) for value in values) == (not reasons(*specs))


def none_pairs():
    for values in product([None, 1.0], repeat=2):
        yield [ParamSpec("p", "double", value) for value in values], None
    for values in product([[None], [1.0], []], repeat=2):
        yield [ParamSpec("p", "double", value, (-1,)) for value in values], [None]


@pytest.mark.parametrize(("specs", "value"), list(none_pairs()), ids=describe_case)
def test_none_is_taken_as_the_default_says(specs, value):
    def takes_it(spec):
        try:
            return spec.enforce(value) == value
        except ContractError:
            return False

    if takes_it(specs[0]):
        assert takes_it(specs[1]) == (not reasons(*specs))
    else:
        assert reasons(*specs) == ()


_told_leaves = st.sampled_from([DataType.integer, DataType.long, DataType.double, DataType.string])
told_types = composite_types(_told_leaves, any_type=False, vectors=False, max_leaves=5)
objects = st.builds(
    lambda parts: Object([Property(*part) for part in parts]),
    st.lists(
        st.tuples(st.sampled_from(NAMES), told_types, st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda part: part[0],
    ),
)
WITNESSES = {
    DataType.integer: 2**24 + 1,
    DataType.long: 2**53 + 1,
    DataType.float: 0.5,
    DataType.double: 0.5,
    DataType.string: "zz",
}
WHOLE = WITNESSES | {DataType.double: 2**53}  # which no float takes, as 0.5 no long


def build_value(dtype, path, absent, values=WITNESSES):
    """Return a value with all properties, the one at ``absent`` None, whose scalars narrower types refuse."""
    if path == absent:
        return None
    if isinstance(dtype, DataType):
        return values[dtype]
    if isinstance(dtype, Array):
        return [build_value(dtype.dtype, f"{path}[]", absent, values)]
    if isinstance(dtype, Map):
        return {"z": build_value(dtype.value_type, f"{path}[]", absent, values)}
    return {
        prop.name: build_value(prop.dtype, below(path, prop.name), absent, values)
        for prop in dtype.properties
    }


@given(objects, seeds, st.data())
def test_objects_that_are_told_are_taken_unless_there_is_a_reason(dtype, seed, data):
    expected = other(random.Random(seed), dtype)
    if not isinstance(expected, Object) or any(name in repr(expected) for name in ("Any", "vector")):
        return
    old, new = (ParamSpec("p", item, data.draw(param_values(item))) for item in (dtype, expected))
    actual = reasons(old, new)
    event("refused" if actual else "taken")
    if not actual:
        for value in (data.draw(param_values(dtype)), build_value(dtype, "p", None)):
            assert new.enforce(value) == value
    absences = {Code.MISSING_FIELD, Code.NULL_IN_REQUIRED}
    for finding in actual:
        absent = finding.path if finding.code in absences else None
        values = [build_value(dtype, "p", absent, values) for values in (WITNESSES, WHOLE)]
        assert all(old.enforce(value) == value for value in values)
        assert not all(takes(new, value) for value in values)
