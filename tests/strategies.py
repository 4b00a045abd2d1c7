"""Hypothesis strategies for everything a signature is made of; tests/core/test_strategies.py tests them."""

from __future__ import annotations

import datetime

import numpy as np
from hypothesis import strategies as st

from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector

# Names that have hurt somewhere: spaces, dots, backticks, quotes, case twins, words of Python and JSON.
ODD_NAMES = [
    "mean radius",
    "a.b",
    "`x`",
    "A",
    "a",
    "",
    "cls",
    "self",
    "type",
    "name",
    "required",
    "ä",
    "日本",
    '"',
    "\\",
    "\n",
]

_printable = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
names = st.one_of(st.sampled_from(ODD_NAMES), st.text(_printable, max_size=8))
scalar_types = st.sampled_from(list(DataType))


def composite_types(leaves=scalar_types, *, any_type=True, vectors=True, max_leaves=8):
    """Types nested at will."""
    extra = ([st.builds(AnyType)] if any_type else []) + ([st.builds(SparkMLVector)] if vectors else [])
    plain = st.one_of(leaves, *extra)
    nested = st.recursive(plain, _wrap, max_leaves=max_leaves)
    # recursive() alone stops at a leaf once in a hundred.
    return st.booleans().flatmap(lambda nest: nested if nest else plain)


def _wrap(inner):
    properties = st.lists(
        st.builds(Property, names, inner, st.booleans()), min_size=1, max_size=4, unique_by=lambda p: p.name
    )
    return st.one_of(st.builds(Array, inner), st.builds(Map, inner), st.builds(Object, properties))


types = composite_types()

TENSOR_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "str", "bytes", "object", "complex128",
    "datetime64[ns]", "datetime64[us]", "datetime64[s]", "datetime64[D]", "timedelta64[ns]",
]  # fmt: skip
shapes = st.lists(st.integers(-1, 50), max_size=4).map(tuple)
tensor_dtypes = st.sampled_from(TENSOR_DTYPES).map(np.dtype)


@st.composite
def column_schemas(draw, inner=types, max_size=5, unnamed=True):
    """Schemas of columns, named or (if allowed) unnamed."""
    if unnamed and draw(st.booleans()):
        return Schema([ColSpec(t) for t in draw(st.lists(inner, min_size=1, max_size=max_size))])
    keys = draw(st.lists(st.one_of(names, st.integers(0, 9)), min_size=1, max_size=max_size, unique=True))
    return Schema([ColSpec(draw(inner), key, draw(st.booleans())) for key in keys])


@st.composite
def tensor_schemas(draw, dtypes=tensor_dtypes):
    """Schemas of one unnamed tensor, or of several named ones."""
    if draw(st.booleans()):
        return Schema([TensorSpec(draw(dtypes), draw(shapes))])
    keys = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return Schema([TensorSpec(draw(dtypes), draw(shapes), key) for key in keys])


schemas = st.one_of(column_schemas(), tensor_schemas())

_VALUES = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-(2**31), 2**31 - 1),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.float: st.floats(allow_nan=False, allow_infinity=False, width=32),
    DataType.double: st.floats(allow_nan=False, allow_infinity=False),
    DataType.string: st.text(max_size=5),
    DataType.datetime: st.one_of(
        st.dates(datetime.date(1900, 1, 1)), st.datetimes(datetime.datetime(1900, 1, 1))
    ),
}
param_scalars = st.sampled_from(list(_VALUES))

# MLflow reads objects of these only: it refuses JSON numbers for integer, float and datetime in them.
_object_leaves = st.sampled_from([DataType.boolean, DataType.long, DataType.double, DataType.string])
_object_members = composite_types(_object_leaves, any_type=False, vectors=False, max_leaves=4)
_object_types = st.lists(
    st.builds(Property, names, _object_members, st.booleans()),
    min_size=1,
    max_size=3,
    unique_by=lambda p: p.name,
).map(Object)


@st.composite
def param_values(draw, dtype):
    """A value that fits a type, as Python built-ins."""
    if isinstance(dtype, DataType):
        return draw(_VALUES[dtype])
    if isinstance(dtype, Array):
        return draw(st.lists(param_values(dtype.dtype), max_size=3))
    if isinstance(dtype, Map):
        return draw(st.dictionaries(st.text(max_size=3), param_values(dtype.value_type), max_size=3))
    selected = [p for p in dtype.properties if p.required or draw(st.booleans())]
    return {p.name: draw(param_values(p.dtype)) for p in selected}


@st.composite
def param_specs(draw, name=None):
    """A param of any kind with a default that fits."""
    name = draw(names) if name is None else name
    form = draw(st.sampled_from(["scalar", "none", "list", "object"]))
    if form == "object":
        dtype = draw(_object_types)
        return ParamSpec(name, dtype, draw(param_values(dtype)))
    dtype = draw(param_scalars)
    if form == "list":
        return ParamSpec(name, dtype, draw(st.lists(_VALUES[dtype], max_size=4)), (-1,))
    return ParamSpec(name, dtype, None if form == "none" else draw(_VALUES[dtype]))


@st.composite
def param_schemas(draw, min_size=0):
    """Params with different names."""
    keys = draw(st.lists(names, min_size=min_size, max_size=4, unique=True))
    return ParamSchema([draw(param_specs(name=key)) for key in keys])


@st.composite
def signatures(draw):
    """Signatures with at least one side."""
    inputs = draw(st.one_of(st.none(), schemas))
    outputs = draw(st.one_of(st.none(), schemas))
    params = (
        draw(param_schemas(min_size=1))
        if inputs is None and outputs is None
        else draw(st.one_of(st.none(), param_schemas()))
    )
    return ModelSignature(inputs, outputs, params)
