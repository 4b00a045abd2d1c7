"""The strategies generate the rare examples that the property-based tests rely on."""

from __future__ import annotations

import datetime
import os
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from sparksig.errors import InferenceError
from sparksig.infer.merging import merge
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector
from tests.core.helpers import alike_types, attempt, json_entries, json_values
from tests.strategies import (
    ODD_NAMES,
    TENSOR_DTYPES,
    column_schemas,
    composite_types,
    names,
    param_scalars,
    param_schemas,
    param_specs,
    param_values,
    scalar_types,
    schemas,
    shapes,
    signatures,
    tensor_dtypes,
    tensor_schemas,
    types,
)

_SEEN = defaultdict(list)
_QUICK = settings(max_examples=2000, database=None, derandomize=True, phases=[Phase.generate])


def reaches(strategy, condition):
    """Look among the values drawn so far, then draw more, the same ones each time."""

    def remember(value):
        _SEEN[strategy].append(value)
        return condition(value)

    if os.environ.get("SPARKSIG_HYPOTHESIS", "default") in ("default", "same"):
        pytest.skip("looking for rare examples takes time: SPARKSIG_HYPOTHESIS=ci")
    if not any(map(condition, _SEEN[strategy])):
        find(strategy, remember, settings=_QUICK)


COLUMNS, TENSORS, PARAM_SPECS = column_schemas(), tensor_schemas(), param_specs()
PARAMS, SIGNATURES, ENTRIES = param_schemas(), signatures(), json_entries()
DATES = param_values(DataType.datetime)
PAIRS = st.tuples(alike_types, alike_types)


def depth(dtype):
    if isinstance(dtype, Object):
        return 1 + max(depth(prop.dtype) for prop in dtype.properties)
    if isinstance(dtype, Map):
        return 1 + depth(dtype.value_type)
    return 1 + depth(dtype.dtype) if isinstance(dtype, Array) else 0


def parts(dtype):
    """A type and all types inside it."""
    yield dtype
    if isinstance(dtype, Object):
        for prop in dtype.properties:
            yield from parts(prop.dtype)
    elif isinstance(dtype, Map):
        yield from parts(dtype.value_type)
    elif isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        yield from parts(dtype.dtype)


def property_names(dtype):
    return [prop.name for part in parts(dtype) if isinstance(part, Object) for prop in part.properties]


@pytest.mark.parametrize("dtype", list(DataType), ids=repr)
def test_scalar_types_reach_every_scalar(dtype):
    reaches(scalar_types, lambda t: t is dtype)


@pytest.mark.parametrize(
    "condition",
    [
        lambda t: isinstance(t, DataType),
        lambda t: isinstance(t, AnyType),
        lambda t: isinstance(t, SparkMLVector),
        lambda t: isinstance(t, Array) and isinstance(t.dtype, SparkMLVector),
        lambda t: isinstance(t, Map) and isinstance(t.value_type, SparkMLVector),
        lambda t: isinstance(t, Object) and any(isinstance(p.dtype, SparkMLVector) for p in t.properties),
        lambda t: isinstance(t, Object) and len(t.properties) > 2,
        lambda t: isinstance(t, Object) and not all(p.required for p in t.properties),
        lambda t: depth(t) >= 4,
        lambda t: "cls" in property_names(t),
        lambda t: "" in property_names(t),
    ],
    ids=[
        "scalar", "any", "vector", "array-of-vectors", "map-of-vectors", "object-of-vectors", "wide-object",
        "optional-property", "deep", "cls", "empty-name",
    ],
)  # fmt: skip
def test_types_reach(condition):
    reaches(types, condition)


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_names_reach_every_odd_one(name):
    reaches(names, lambda n: n == name)


@given(composite_types(st.just(DataType.long), any_type=False, vectors=False))
def test_composite_types_keep_to_the_leaves_they_are_given(dtype):
    assert not [
        p
        for p in parts(dtype)
        if isinstance(p, (AnyType, SparkMLVector, DataType)) and p is not DataType.long
    ]


@pytest.mark.parametrize(
    "condition",
    [
        lambda s: not s.has_input_names() and len(s) > 1,
        lambda s: s.has_input_names() and len(s) > 3,
        lambda s: s.has_input_names() and any(isinstance(n, int) for n in s.input_names()),
        lambda s: s.has_input_names() and 0 in s.input_names(),
        lambda s: s.has_input_names() and "" in s.input_names(),
        lambda s: bool(s.optional_input_names()),
    ],
    ids=["unnamed", "wide", "integer-names", "name-0", "empty-name", "optional"],
)
def test_column_schemas_reach(condition):
    reaches(COLUMNS, condition)


@given(column_schemas(scalar_types, unnamed=False))
def test_column_schemas_keep_to_what_they_are_told(schema):
    assert schema.has_input_names()
    assert all(isinstance(dtype, DataType) for dtype in schema.input_types())


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (TENSORS, lambda s: not s.has_input_names()),
        (TENSORS, lambda s: len(s) > 2),
        (TENSORS, lambda s: s.inputs[0].shape == ()),
        (shapes, lambda shape: -1 in shape and len(shape) > 2),
        (shapes, lambda shape: 0 in shape),
        (schemas, lambda s: s.is_tensor_spec()),
        (schemas, lambda s: not s.is_tensor_spec()),
    ],
    ids=["unnamed", "several", "rank-0", "free-dimension", "size-0", "tensors", "columns"],
)
def test_tensor_schemas_and_shapes_reach(strategy, condition):
    reaches(strategy, condition)


def test_tensor_dtypes_reach_every_dtype_once():
    assert len(set(TENSOR_DTYPES)) == len(TENSOR_DTYPES)
    assert [np.dtype(name).name for name in TENSOR_DTYPES] == TENSOR_DTYPES
    for name in TENSOR_DTYPES:
        reaches(tensor_dtypes, lambda dtype, name=name: dtype.name == name)


@pytest.mark.parametrize("dtype", [t for t in DataType if t is not DataType.binary], ids=repr)
def test_params_reach_every_scalar_type_but_binary(dtype):
    reaches(param_scalars, lambda t: t is dtype)
    reaches(PARAM_SPECS, lambda spec: spec.dtype is dtype)


@pytest.mark.parametrize(
    "condition",
    [
        lambda spec: spec.default is None,
        lambda spec: spec.shape is None and spec.default is not None,
        lambda spec: spec.shape == (-1,) and len(spec.default) > 1,
        lambda spec: spec.shape == (-1,) and not spec.default,
        lambda spec: isinstance(spec.dtype, Object),
        lambda spec: isinstance(spec.dtype, Object) and len(spec.default) < len(spec.dtype.properties),
        lambda spec: isinstance(spec.dtype, Object) and depth(spec.dtype) > 2,
    ],
    ids=["none", "scalar", "list", "empty-list", "object", "absent-key", "deep-object"],
)
def test_param_specs_reach(condition):
    reaches(PARAM_SPECS, condition)


@pytest.mark.parametrize("kind", [datetime.date, datetime.datetime])
def test_param_values_reach_dates_and_times(kind):
    reaches(DATES, lambda value: type(value) is kind)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_param_schemas_reach_sizes(size):
    reaches(PARAMS, lambda schema: len(schema) == size)


@given(st.data())
def test_param_values_fit_their_type(data):
    dtype = data.draw(param_scalars)
    value = data.draw(param_values(dtype))
    assert ParamSpec("p", dtype, value).default == value


@pytest.mark.parametrize(
    "condition",
    [
        lambda s: s.inputs is None and s.outputs is None,
        lambda s: s.params is None and s.outputs is None,
        lambda s: s.inputs is not None and s.outputs is not None and s.params is not None,
        lambda s: s.inputs is not None and s.inputs.is_tensor_spec(),
    ],
    ids=["params-only", "inputs-only", "all", "tensors"],
)
def test_signatures_reach(condition):
    reaches(SIGNATURES, condition)


@given(st.data())
@settings(max_examples=20)
def test_strategies_build_what_they_say(data):
    columns, tensors = data.draw(COLUMNS), data.draw(TENSORS)
    assert isinstance(data.draw(types), (DataType, Array, Object, Map, AnyType))
    assert isinstance(columns, Schema)
    assert isinstance(tensors, Schema)
    assert all(isinstance(spec, ColSpec) for spec in columns)
    assert all(isinstance(spec, TensorSpec) for spec in tensors)
    assert isinstance(data.draw(PARAMS), ParamSchema)
    assert isinstance(data.draw(SIGNATURES), ModelSignature)


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (alike_types, lambda t: isinstance(t, Object) and depth(t) > 1),
        (alike_types, lambda t: isinstance(t, Map) and isinstance(t.value_type, Object)),
        (json_values, lambda v: isinstance(v, dict) and isinstance(v.get("type"), str)),
        (json_values, lambda v: isinstance(v, list) and any(isinstance(e, dict) for e in v)),
        (json_values, lambda v: v != v),
        (ENTRIES, lambda e: e.get("type") == "array" and "items" not in e),
        (ENTRIES, lambda e: e.get("type") == "object" and not isinstance(e.get("properties"), dict)),
        (ENTRIES, lambda e: e.get("type") == "tensor" and isinstance(e.get("tensor-spec"), dict)),
        (ENTRIES, lambda e: "default" in e and isinstance(e.get("name"), int)),
    ],
    ids=["object", "map", "typed", "listed", "nan", "no-items", "properties", "tensor", "param"],
)
def test_helpers_reach(strategy, condition):
    reaches(strategy, condition)


def test_alike_types_often_have_a_common_type_that_is_neither():
    def both(pair):
        result = attempt(merge, *pair)
        return None if isinstance(result, InferenceError) else result

    reaches(PAIRS, lambda pair: isinstance(both(pair), Object) and both(pair) not in pair)
    reaches(PAIRS, lambda pair: isinstance(both(pair), Array) and both(pair) not in pair)
    reaches(PAIRS, lambda pair: both(pair) is None and type(pair[0]) is type(pair[1]) is Object)
