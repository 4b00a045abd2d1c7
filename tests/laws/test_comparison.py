"""The laws of comparing: contracts are ordered, and enforcement of values agrees with each verdict.

Nothing here knows the rule: tables are made for the one contract, and enforced against the other.
"""

from __future__ import annotations

import datetime
import random
import re
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from sparksig import enforce
from sparksig.comparison import Verdict, compare
from sparksig.convert.arrow import VECTOR_TYPE
from sparksig.engine.predictions import get_result_type
from sparksig.errors import Code, ContractError, below, quote
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.strategies import schemas, signatures

NAMES = ["a", "b", "a.b", "mean radius"]

# --- contracts that are often alike -------------------------------------------------------------------------

_LEAVES = st.sampled_from(
    [DataType.integer, DataType.long, DataType.float, DataType.double, DataType.string, DataType.datetime]
)
seeds = st.integers(0, 2**32)


def _wrap(inner):
    properties = st.lists(
        st.builds(Property, st.sampled_from(NAMES), inner, st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda prop: prop.name,
    ).map(Object)
    return st.one_of(st.builds(Array, inner), st.builds(Map, inner), properties, properties)


_plain = st.one_of(_LEAVES, _LEAVES, st.builds(SparkMLVector), st.builds(AnyType))
alike = st.one_of(_LEAVES, st.recursive(_plain, _wrap, max_leaves=5))
WIDER = {
    DataType.integer: [DataType.long, DataType.double],
    DataType.float: [DataType.double],
    DataType.long: [DataType.integer],
    DataType.double: [DataType.float],
}


def other(rng, dtype):
    """A type that is a little different, or not at all."""
    if rng.random() < 0.4:
        return dtype
    if rng.random() < 0.1:
        return rng.choice([AnyType(), Array(dtype), DataType.string])
    if isinstance(dtype, DataType):
        return rng.choice([dtype, *WIDER.get(dtype, [])])
    if isinstance(dtype, SparkMLVector):
        return rng.choice([dtype, Array("double")])
    if isinstance(dtype, Array):
        return SparkMLVector() if rng.random() < 0.2 else Array(other(rng, dtype.dtype))
    if isinstance(dtype, Map):
        value = other(rng, dtype.value_type)
        names = rng.sample(NAMES, rng.randint(1, 2))
        as_object = Object([Property(name, value, rng.random() < 0.3) for name in names])
        return as_object if rng.random() < 0.3 else Map(value)
    if isinstance(dtype, AnyType):
        return dtype
    if rng.random() < 0.2:
        return Map(other(rng, rng.choice(dtype.properties).dtype))
    return Object(
        varied(rng, list(dtype.properties), lambda p, t, r: Property(p.name, t, r), "dtype", Property)
    )


def varied(rng, parts, remade, attribute, make):
    """Columns or properties that are a little different: fewer, more, others, in another order."""
    selected = [part for part in parts if rng.random() < 0.85] or parts[:1]
    changed = [
        remade(part, other(rng, getattr(part, attribute)), part.required != (rng.random() < 0.2))
        for part in selected
    ]
    free = [name for name in NAMES if name not in {part.name for part in parts}]
    if free and rng.random() < 0.2:
        name, required = rng.choice(free), rng.random() < 0.3
        arguments = (name, DataType.long, required) if make is Property else (DataType.long, name, required)
        changed.append(make(*arguments))
    return rng.sample(changed, len(changed)) if rng.random() < 0.2 else changed


def another(rng, schema):
    """A schema of columns that is a little different."""
    if not schema.has_input_names():
        return Schema([ColSpec(other(rng, spec.type)) for spec in schema])
    specs = varied(rng, list(schema), lambda s, t, r: ColSpec(t, s.name, r), "type", ColSpec)
    return Schema(specs)


@st.composite
def column_schemas(draw):
    if draw(st.integers(0, 5)) == 0:
        return Schema([ColSpec(t) for t in draw(st.lists(alike, min_size=1, max_size=3))])
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    return Schema([ColSpec(draw(alike), name, draw(st.booleans())) for name in names])


@st.composite
def pairs(draw):
    """Two schemas of columns, of which one often can take the other's place."""
    first = draw(column_schemas())
    return first, another(random.Random(draw(seeds)), first)


@st.composite
def tensor_pairs(draw):
    """Two schemas of tensors; the tensors of one schema have as many rows as each other."""
    names = draw(st.sampled_from([[None], ["a"], ["a", "b"]]))
    rng = random.Random(draw(seeds))

    def spec(name, rows):
        shape = (rows, *(rng.choice([-1, -1, 2, 3]) for _ in range(rng.randint(0, 2))))
        return TensorSpec(np.dtype(rng.choice(["float64", "float64", "float32"])), shape, name)

    numbers = [rng.choice([-1, -1, 2]) for _ in range(2)]
    first, second = (Schema([spec(name, rows) for name in names]) for rows in numbers)
    return first, second


# --- an order ---------------------------------------------------------------------------------------------


@given(signatures())
def test_a_contract_is_identical_to_itself(signature):
    comparison = compare(signature, signature)
    assert comparison.verdict is Verdict.IDENTICAL
    assert comparison.ok
    assert not comparison.combined.upgrade + comparison.combined.rollback + comparison.combined.notes


@given(st.one_of(pairs(), st.tuples(schemas, schemas)), st.sampled_from(["inputs", "outputs"]))
def test_there_and_back_are_one_comparison(pair, side):
    forward, back = compare(*pair, side=side).combined, compare(*pair[::-1], side=side).combined
    assert forward.upgrade == back.rollback
    assert forward.rollback == back.upgrade


@given(signatures(), signatures())
def test_there_and_back_are_one_comparison_of_signatures(old, new):
    forward, back = compare(old, new).combined, compare(new, old).combined
    assert (forward.upgrade, forward.rollback) == (back.rollback, back.upgrade)


@given(
    st.one_of(pairs(), tensor_pairs(), st.tuples(schemas, schemas)), st.sampled_from(["inputs", "outputs"])
)
def test_every_difference_is_reported_and_nothing_else(pair, side):
    comparison = compare(*pair, side=side)
    assert (comparison.verdict is Verdict.IDENTICAL) == (pair[0] == pair[1])
    assert bool(comparison.combined.upgrade + comparison.combined.notes) == (pair[0] != pair[1])


def places(dtype, path):
    """All paths in a type."""
    yield path
    if isinstance(dtype, Array):
        yield from places(dtype.dtype, f"{path}[]")
    elif isinstance(dtype, Map):
        yield from places(dtype.value_type, f"{path}[]")
    elif isinstance(dtype, Object):
        for prop in dtype.properties:
            yield from places(prop.dtype, below(path, prop.name))


def taken_by_another(rng, schema, side):
    """A schema that can take the place of one; itself, if none is found."""
    for _ in range(10):
        if not compare(schema, actual := another(rng, schema), side=side).combined.upgrade:
            return actual
    return schema


@given(column_schemas(), seeds, st.sampled_from(["inputs", "outputs"]))
def test_places_are_taken_in_a_row_but_for_what_was_away_in_between(first, seed, side):
    rng = random.Random(seed)
    second = taken_by_another(rng, first, side)
    third = taken_by_another(rng, second, side)
    event(f"{len({first, second, third})} different")
    paths = {
        path for name, spec in zip(second.input_names(), second) for path in places(spec.type, quote(name))
    }
    for finding in compare(first, third, side=side).combined.upgrade:
        path = finding.path.removeprefix(f"{side}.")
        assert not any(
            path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))
            for prefix in paths - ancestors(path)
        )


def ancestors(path):
    """Return the paths that contain a path."""
    return {path[:end] for end in range(len(path)) if path[end] in ".["}


# --- by values: tables for one contract ---------------------------------------------------------------------

STRANGE = pa.time32("s")  # which only Any takes
SOURCES = {
    DataType.integer: [pa.int32(), pa.int8(), pa.uint16()],
    DataType.long: [pa.int64(), pa.int32(), pa.uint32()],
    DataType.float: [pa.float32()],
    DataType.double: [pa.float64(), pa.float32(), pa.int16()],
    DataType.string: [pa.string(), pa.large_string()],
    DataType.datetime: [pa.timestamp("us"), pa.date32(), pa.timestamp("ns")],
}
VALUES = {
    pa.int8(): [0, -128, 127],
    pa.int16(): [0, 2**15 - 1],
    pa.int32(): [0, 2**31 - 1, -(2**31)],
    pa.int64(): [0, 2**53 + 1, -(2**63)],
    pa.uint16(): [0, 2**16 - 1],
    pa.uint32(): [0, 2**32 - 1],
    pa.float32(): [0.5, -0.0, 2.0**100, float("nan")],
    pa.float64(): [0.1, 1e300, float("nan")],
    pa.string(): ["", "1", "ä"],
    pa.large_string(): ["", "x"],
    pa.timestamp("us"): [datetime.datetime(2020, 2, 29, 1, 2, 3, 4)],
    pa.timestamp("ns"): [datetime.datetime(1999, 12, 31)],
    pa.date32(): [datetime.date(2020, 2, 29)],
    STRANGE: [datetime.time(1, 2, 3)],
}
NEVER_NULL = (DataType.integer, DataType.long, DataType.boolean)


class Maker:
    """Makes Arrow types and values of a contract's types.

    ``absent`` is whether optional data at a path is omitted, ``rng`` chooses; None for full data of the
    declared types themselves.
    """

    def __init__(self, absent, rng=None):
        self.absent, self.rng = absent, rng

    def make(self, dtype, path):
        """Return the Arrow type of a column, and a function that makes its values."""
        if isinstance(dtype, AnyType):
            return STRANGE, lambda: self.one(VALUES[STRANGE])
        if isinstance(dtype, DataType):
            source_type = self.one(SOURCES[dtype])
            return source_type, lambda: self.one(VALUES[source_type])
        if isinstance(dtype, SparkMLVector) and not (self.rng and self.rng.random() < 0.5):
            return VECTOR_TYPE, lambda: {
                "type": 1,
                "size": None,
                "indices": None,
                "values": [0.5, 2.0],
            }
        if isinstance(dtype, Array):
            item, value = self.make(dtype.dtype, f"{path}[]")
            return pa.list_(item), lambda: [self.null(value) for _ in range(self.size())]
        if isinstance(dtype, Map):
            return self.make_map(dtype, path)
        selected = [p for p in dtype.properties if p.required or not self.absent(below(path, p.name))]
        parts = {prop.name: self.make(prop.dtype, below(path, prop.name)) for prop in selected}
        makers = {p.name: (parts[p.name][1], p.required and p.dtype in NEVER_NULL) for p in selected}
        source_type = pa.struct([(name, part) for name, (part, _) in parts.items()])
        return source_type, lambda: {
            name: value() if never else self.null(value) for name, (value, never) in makers.items()
        }

    def make_map(self, dtype, path):
        if (
            self.rng and isinstance(dtype.value_type, DataType) and self.rng.random() < 0.5
        ):  # a struct will do
            names = self.rng.sample(["a", "z", ""], self.rng.randint(1, 3))
            parts = {name: self.make(dtype.value_type, f"{path}[]") for name in names}
            actual_type = pa.struct([(name, part) for name, (part, _) in parts.items()])
            return actual_type, lambda: {name: self.null(value) for name, (_, value) in parts.items()}
        item, value = self.make(dtype.value_type, f"{path}[]")
        keys = [key for key in (*NAMES, "") if not self.absent(below(path, key))]
        return pa.map_(pa.string(), item), lambda: [(key, self.null(value)) for key in self.some(keys)]

    def one(self, choices):
        return self.rng.choice(choices) if self.rng else choices[0]

    def some(self, keys):
        return self.rng.sample(keys, self.rng.randint(0, len(keys))) if self.rng else keys

    def size(self):
        return self.rng.randint(0, 2) if self.rng else 1

    def null(self, value):
        return None if self.rng and self.rng.random() < 0.2 else value()


def table_for(schema, absent, rng=None, extra=False):
    """A table that a contract takes."""
    maker, columns = Maker(absent, rng), {}
    rows = rng.randint(0, 3) if rng else 1
    for name, spec in zip(schema.input_names(), schema):
        path = quote(name)
        if not spec.required and absent(path):
            continue
        source_type, value = maker.make(spec.type, path)
        never = spec.required and spec.type in NEVER_NULL
        columns[str(name)] = pa.array(
            [value() if never else maker.null(value) for _ in range(rows)], source_type
        )
    if schema.has_input_names() or extra:
        columns["beside"] = pa.nulls(rows)
    table = pa.table(columns)
    enforce(table, schema)
    return table


def agree(before, after, dtype):
    """Return whether two values are equal, in any container."""
    if before is None or after is None:
        return before is after
    if isinstance(dtype, AnyType):
        return repr(before) == repr(after)  # NaN included
    if dtype is DataType.datetime:
        return pd.Timestamp(before) == pd.Timestamp(after)
    if isinstance(dtype, DataType):
        return before == after or (before != before and after != after)
    if isinstance(dtype, Array):
        before = before["values"] if isinstance(before, dict) else before
        return len(before) == len(after) and all(agree(b, a, dtype.dtype) for b, a in zip(before, after))
    before, after = dict(before), dict(after)
    if isinstance(dtype, Map):
        return before.keys() == after.keys() and all(
            agree(before[key], after[key], dtype.value_type) for key in before
        )
    return all(agree(before.get(p.name), after.get(p.name), p.dtype) for p in dtype.properties)


@given(column_schemas(), seeds)
def test_what_can_take_a_place_takes_all_data_as_it_is(old, seed):
    rng = random.Random(seed)
    new = taken_by_another(rng, old, "inputs")
    event("another" if new != old else "itself")
    tables = [table_for(old, lambda path: False), table_for(old, lambda path: True)]
    tables += [table_for(old, lambda path: rng.random() < 0.3, rng) for _ in range(3)]
    for table in tables:
        enforced = enforce(table, new)
        for name, spec in zip(new.input_names(), new):
            if str(name) not in table.column_names:
                assert str(name) not in enforced.column_names
                continue
            before, after = table[str(name)].to_pylist(), enforced[str(name)].to_pylist()
            changed = [(b, a) for b, a in zip(before, after, strict=True) if not agree(b, a, spec.type)]
            assert changed == []


def by_types(old, new):
    """The paths of the reasons that the engine finds before it looks at any row: it looks at none, then."""
    return {
        finding.path for finding in compare(old, new).inputs.upgrade if not finding.actual.startswith("a map")
    }


def lies_at(path, place):
    """Return whether a path is one of a location's: values of a map are found by their keys, too."""
    return re.fullmatch(re.escape(place).replace(r"\[\]", r"(\[\]|\.`[^`]*`|\.[^.`\[]+)"), path) is not None


@given(pairs())
def test_every_reason_has_data_that_is_refused_at_its_path(pair):
    old, new = pair
    for finding in compare(old, new).inputs.upgrade:
        event(finding.code)
        absent = finding.path if finding.code in (Code.MISSING_COLUMN, Code.MISSING_FIELD) else "nothing"
        table = table_for(old, partial(lies_at, absent))
        with pytest.raises(ContractError) as info:
            enforce(table, new)
        paths = {finding.path for finding in info.value.findings}
        assert finding.path in paths or (finding.actual.startswith("a map") and by_types(old, new) & paths)


NAMED = Schema([ColSpec("long", "a"), ColSpec("long", "b")])
UNNAMED = Schema([ColSpec("long"), ColSpec("long")])


@pytest.mark.parametrize(
    ("old", "new"), [(NAMED, UNNAMED), (UNNAMED, NAMED)], ids=["names removed", "names added"]
)
def test_columns_by_name_and_by_position_are_incompatible(old, new):
    assert compare(old, new).inputs.upgrade
    with pytest.raises(ContractError):
        enforce(table_for(old, lambda path: False), new)


# --- outputs: the roles change ------------------------------------------------------------------------------


def without_vectors(schema):
    return Schema.from_json(schema.to_json().replace("sparkml_vector", "binary"))


@given(pairs())
def test_what_consumers_want_is_what_models_want_with_the_roles_changed(pair):
    old, new = (without_vectors(schema) for schema in pair)
    findings = [
        finding
        for finding in compare(old, new, side="outputs").outputs.upgrade
        if finding.code is not Code.SHAPE_MISMATCH
    ]
    assert findings == list(compare(new, old).inputs.upgrade)


def test_a_vector_that_is_given_is_a_list():
    vector, doubles = (Schema([ColSpec(t, "v")]) for t in (SparkMLVector(), Array("double")))
    assert compare(vector, doubles, side="outputs").verdict is Verdict.FULL
    assert get_result_type(vector) == get_result_type(doubles)
    assert compare(doubles, vector).verdict is Verdict.BACKWARD
    with pytest.raises(ContractError):
        enforce(table_for(vector, lambda path: False), doubles)


scalar_outputs = st.builds(
    lambda names, dtype: Schema([ColSpec(dtype, name) for name in names]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    _LEAVES,
)


@given(scalar_outputs, scalar_outputs)
def test_predictions_that_come_in_another_form_are_refused(old, new):
    forms = [pa.types.is_struct(get_result_type(schema)) for schema in (old, new)]
    codes = [finding.code for finding in compare(old, new, side="outputs").outputs.upgrade]
    assert (Code.SHAPE_MISMATCH in codes) == (forms[0] != forms[1])
