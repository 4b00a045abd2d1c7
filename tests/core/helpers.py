"""What several test files of the core share: types that often merge, hostile JSON, and copies."""

from __future__ import annotations

import copy
import pickle

from hypothesis import strategies as st

from sparksig.errors import SparksigError
from sparksig.types import AnyType, Array, DataType, Map, Object, Property

# Few leaves and few names, so that two types often have a common type.
_LEAVES = st.one_of(
    st.sampled_from([DataType.long, DataType.double, DataType.string]), st.builds(AnyType), st.builds(AnyType)
)


def _wrap(inner):
    properties = st.lists(
        st.builds(Property, st.sampled_from("abc"), inner, st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda prop: prop.name,
    ).map(Object)
    return st.one_of(st.builds(Array, inner), st.builds(Map, inner), properties, properties)


alike_types = st.recursive(_LEAVES, _wrap, max_leaves=6)

KEYS = [
    "type", "name", "required", "items", "values", "properties", "tensor-spec", "dtype", "shape", "default",
    "inputs", "outputs", "params", "a", "cls",
]  # fmt: skip
WORDS = [
    "boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "array", "object", "map",
    "any", "sparkml_vector", "tensor", "float64", "<f8", "float128", "2020-01-01", "nope", "", "None",
]  # fmt: skip

_json_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(),
    st.floats(),
    st.sampled_from([float("nan"), float("inf"), -0.0, 2**63, 10**400]),
    st.text(max_size=4),
    st.sampled_from(WORDS),
)


def _json_wrap(inner):
    return st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=2)), inner, max_size=5),
        st.fixed_dictionaries(
            {"type": st.sampled_from(WORDS)},
            optional={
                "items": inner,
                "values": inner,
                "properties": st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
            },
        ),
    )


json_values = st.one_of(_json_leaves, st.recursive(_json_leaves, _json_wrap, max_leaves=12))
"""Any JSON value, with the words of signatures in it, so that parsers do not stop at the first key."""

_types = st.fixed_dictionaries({"type": st.sampled_from(WORDS)})
_entries = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(WORDS), "name": st.sampled_from("abc")}),
    st.fixed_dictionaries({"type": st.just("array"), "items": _types, "required": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("map"), "values": _types, "name": st.sampled_from("abc")}),
    st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), _types)}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("tensor"),
            "tensor-spec": st.fixed_dictionaries(
                {"dtype": st.sampled_from(WORDS), "shape": st.lists(st.integers(-1, 3), max_size=2)}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("abc"),
            "type": st.sampled_from(WORDS),
            "default": _json_leaves,
            "shape": st.sampled_from([None, None, [-1]]),
        }
    ),
)


@st.composite
def json_entries(draw):
    """An entry of a schema or of params with one value spoilt, and now and then one key gone."""
    entry = draw(_entries)
    key = draw(st.sampled_from(sorted(entry)))
    entry[key] = draw(json_values)
    if draw(st.integers(0, 3)) == 0:
        del entry[draw(st.sampled_from(sorted(entry)))]
    return entry


def nested(levels, wrap, leaf):
    """``leaf`` in ``levels`` times ``wrap``."""
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def copies(value):
    """Return copies of a value: by every pickle protocol, copy and deepcopy."""
    pickles = [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, 6)]
    return [*pickles, copy.copy(value), copy.deepcopy(value)]


def attempt(build, *args):
    """Return the result of ``build``, or the error of sparksig; let other errors pass."""
    try:
        return build(*args)
    except SparksigError as error:
        return error


def places(error):
    """The code and path of each finding, in order."""
    return [(finding.code.value, finding.path) for finding in error.findings]
