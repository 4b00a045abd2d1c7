"""Helpers for the tests of all conversions: the listed losses as functions, tampered metadata of tensors."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from sparksig.errors import ConversionError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.strategies import names

HOPELESS_DTYPES = ["object", "complex64", "complex128", "longdouble"]
"""Dtypes of tensors that neither Arrow nor Spark has a type for."""


def named_columns(inner, keys=names):
    """Schemas of columns with strings as names."""
    columns = st.builds(ColSpec, inner, keys, st.booleans())
    return st.lists(columns, min_size=1, max_size=5, unique_by=lambda column: column.name).map(Schema)


def codes(error):
    """Path and code of each finding, in order."""
    return [(finding.path, finding.code) for finding in error.value.findings]


def after_the_loss(dtype, any_type):
    """Return a type without its documented losses; refuse Any where it has no counterpart."""
    if isinstance(dtype, AnyType):
        if not any_type:
            raise ConversionError("Any")
        return dtype
    if isinstance(dtype, Array):  # a vector, too
        return Array(after_the_loss(dtype.dtype, any_type))
    if isinstance(dtype, Map):
        return Map(after_the_loss(dtype.value_type, any_type))
    if isinstance(dtype, Object):
        return Object(
            [Property(p.name, after_the_loss(p.dtype, any_type), p.required) for p in dtype.properties]
        )
    return dtype


def schema_after_the_loss(schema, any_type, refused_kinds):
    """Return a schema without its documented losses, or refuse it."""
    texts = [str(name) for name in schema.input_names()]
    hopeless = schema.is_tensor_spec() and any(spec.type.kind in refused_kinds for spec in schema)
    if hopeless or len(set(texts)) < len(texts):
        raise ConversionError("names or dtypes")
    pairs = list(zip(schema, texts))
    if schema.is_tensor_spec():
        return Schema([TensorSpec(spec.type, spec.shape, name) for spec, name in pairs])
    return Schema([ColSpec(after_the_loss(c.type, any_type), name, c.required) for c, name in pairs])


def tensor_json(dtype="float64", shape=(-1, 2)):
    """The metadata that marks a field as a tensor."""
    return json.dumps({"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}})


RENAMED = tensor_json()[:-1] + ', "name": "of old"}'
"""The metadata of a tensor that names it itself; ours does not."""

MISFITS = {
    "another dtype": tensor_json("float32"),
    "too few dimensions": tensor_json(shape=[-1]),
    "too many dimensions": tensor_json(shape=[-1, 2, 2]),
    "text": tensor_json("str"),
}
"""Metadata that does not fit a field of lists of doubles."""

TAMPERED = {
    "no JSON": "tensor",
    "empty": "",
    "null": "null",
    "a number": "5",
    "a list": "[1]",
    "no key": "{}",
    "no spec": '{"type": "tensor"}',
    "no shape": '{"type": "tensor", "tensor-spec": {"dtype": "float64"}}',
    "another type": '{"type": "long"}',
    "unknown dtype": tensor_json("float65"),
    "dtype is no name": tensor_json(5),
    "dtype is no word": tensor_json("i4,,f8"),
    "structured dtype": tensor_json("i4,f8"),
    "hopeless dtype": tensor_json("complex128"),
    "shape is null": tensor_json(shape=None),
    "shape is text": tensor_json(shape="ab"),
    "fractional shape": tensor_json(shape=[-1, 2.5]),
    "negative shape": tensor_json(shape=[-1, -2]),
    "deep JSON": "[" * 100_000,
}
"""Metadata that is no tensor's at all."""
