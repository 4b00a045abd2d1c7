"""Signatures in both directions with the installed MLflow: JSON and reprs are equal byte for byte."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature as MlflowSignature
from mlflow.types import schema as mlflow

from sparksig.errors import InferenceError
from sparksig.infer.merging import merge
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.core.helpers import alike_types, attempt
from tests.strategies import (
    column_schemas,
    composite_types,
    param_schemas,
    scalar_types,
    schemas,
    signatures,
    tensor_schemas,
    types,
)

# --- ours as MLflow's, by walking, never through JSON ---------------------------------------------------


def mlflow_type(dtype):
    if isinstance(dtype, DataType):
        return mlflow.DataType[dtype.name]
    if isinstance(dtype, AnyType):
        return mlflow.AnyType()
    if isinstance(dtype, SparkMLVector):
        return mlflow.SparkMLVector()
    if isinstance(dtype, Array):
        return mlflow.Array(mlflow_type(dtype.dtype))
    if isinstance(dtype, Map):
        return mlflow.Map(mlflow_type(dtype.value_type))
    return mlflow.Object(
        [mlflow.Property(prop.name, mlflow_type(prop.dtype), prop.required) for prop in dtype.properties]
    )


def mlflow_schema(schema):
    return mlflow.Schema(
        [
            mlflow.TensorSpec(spec.type, spec.shape, spec.name)
            if isinstance(spec, TensorSpec)
            else mlflow.ColSpec(mlflow_type(spec.type), spec.name, spec.required)
            for spec in schema
        ]
    )


def mlflow_params(params):
    return mlflow.ParamSchema(
        [mlflow.ParamSpec(spec.name, mlflow_type(spec.dtype), spec.default, spec.shape) for spec in params]
    )


def mlflow_signature(signature):
    inputs, outputs, params = signature.inputs, signature.outputs, signature.params
    return MlflowSignature(
        inputs and mlflow_schema(inputs),
        outputs and mlflow_schema(outputs),
        None if params is None else mlflow_params(params),
    )


# --- what MLflow cannot read back (numbers: reference/mlflow-behaviour.md, section 9) --------------------


def parts(dtype):
    """A type and all types inside it."""
    yield dtype
    if isinstance(dtype, Object):
        for prop in dtype.properties:
            yield from parts(prop.dtype)
    elif isinstance(dtype, Map):
        yield from parts(dtype.value_type)
    elif isinstance(dtype, Array):
        yield from parts(dtype.dtype)


def mlflow_reads(dtype):
    """False for a property named `cls`, and for vectors in objects and maps (both: 38)."""
    for part in parts(dtype):
        if isinstance(part, Map) and isinstance(part.value_type, SparkMLVector):
            return False
        if isinstance(part, Object) and any(
            prop.name == "cls" or isinstance(prop.dtype, SparkMLVector) for prop in part.properties
        ):
            return False
    return True


def mlflow_reads_params(params):
    """Return False for a date or time that is None (40), and for objects that MLflow cannot read (38)."""
    return all(
        mlflow_reads(spec.dtype)
        and not (spec.dtype is DataType.datetime and None in (spec.default if spec.shape else [spec.default]))
        for spec in params
    )


def mlflow_keeps(signature):
    """False for params that are there but empty: MLflow takes them for absent when it writes."""
    return signature.params is None or len(signature.params) > 0


# Vectors only where MLflow can read them: as a column, and in arrays of arrays.
_vectors = st.recursive(st.builds(SparkMLVector), lambda inner: st.builds(Array, inner), max_leaves=2)
readable_types = st.one_of(composite_types(vectors=False), _vectors).filter(mlflow_reads)
readable_schemas = st.one_of(column_schemas(readable_types), tensor_schemas())
readable_params = param_schemas().filter(mlflow_reads_params)


@st.composite
def readable_signatures(draw):
    inputs, outputs = (
        draw(st.one_of(st.none(), readable_schemas)),
        draw(st.one_of(st.none(), readable_schemas)),
    )
    params = draw(readable_params)
    empty = len(params) == 0
    if inputs is None and outputs is None and empty:
        inputs = draw(readable_schemas)
    return ModelSignature(inputs, outputs, None if empty else params)


# --- ours -> MLflow -----------------------------------------------------------------------------------


@given(readable_types)
def test_mlflow_reads_our_types(dtype):
    theirs = mlflow.ColSpec.from_json_dict(**json.loads(json.dumps(ColSpec(dtype).to_dict()))).type
    assert theirs == mlflow_type(dtype)
    assert repr(theirs) == repr(dtype)
    if not isinstance(dtype, DataType):
        assert json.dumps(theirs.to_dict()) == json.dumps(dtype.to_dict())


@given(readable_schemas)
def test_mlflow_reads_our_schemas(schema):
    theirs = mlflow.Schema.from_json(schema.to_json())
    assert theirs == mlflow_schema(schema)
    assert repr(theirs) == repr(schema)
    assert theirs.to_json() == schema.to_json()
    assert json.dumps(theirs.to_dict()) == json.dumps(schema.to_dict())


@given(readable_params)
def test_mlflow_reads_our_params(params):
    theirs = mlflow.ParamSchema.from_json(params.to_json())
    assert repr(theirs) == repr(params)
    assert theirs.to_json() == params.to_json()
    assert [spec.default for spec in theirs] == [spec.default for spec in params]


@given(readable_signatures())
def test_mlflow_reads_our_signatures(signature):
    theirs = MlflowSignature.from_dict(signature.to_dict())
    assert repr(theirs) == repr(signature)
    assert theirs.to_dict() == signature.to_dict()


def test_mlflow_as_well_writes_no_params_where_they_are_empty():
    theirs = MlflowSignature(mlflow.Schema.from_json('[{"type": "long"}]'), params=mlflow.ParamSchema([]))
    assert ModelSignature(Schema([ColSpec("long")]), params=ParamSchema([])).to_dict() == theirs.to_dict()


# --- MLflow -> ours -----------------------------------------------------------------------------------


@given(types)
def test_we_read_the_types_of_mlflow(dtype):
    theirs = mlflow_type(dtype)
    data = mlflow.ColSpec(theirs, "c").to_dict()
    assert json.dumps(data) == json.dumps(ColSpec(dtype, "c").to_dict())
    read = ColSpec.from_json_dict(**json.loads(json.dumps(data))).type
    assert read == dtype
    assert repr(read) == repr(theirs)


@given(schemas)
def test_we_read_the_schemas_of_mlflow(schema):
    theirs = mlflow_schema(schema)
    assert theirs.to_json() == schema.to_json()
    read = Schema.from_json(theirs.to_json())
    assert read == schema
    assert repr(read) == repr(theirs)


@given(param_schemas().filter(mlflow_reads_params))
def test_we_read_the_params_of_mlflow(params):
    theirs = mlflow_params(params)
    assert theirs.to_json() == params.to_json()
    read = ParamSchema.from_json(theirs.to_json())
    assert read == params
    assert repr(read) == repr(theirs)


@given(signatures().filter(lambda s: mlflow_keeps(s) and mlflow_reads_params(s.params or ())))
def test_we_read_the_signatures_of_mlflow(signature):
    theirs = mlflow_signature(signature)
    assert theirs.to_dict() == signature.to_dict()
    read = ModelSignature.from_dict(theirs.to_dict())
    assert read == signature
    assert repr(read) == repr(theirs)


@given(schemas)
def test_a_schema_answers_as_that_of_mlflow(schema):
    theirs = mlflow_schema(schema)
    assert schema.is_tensor_spec() == theirs.is_tensor_spec()
    assert schema.has_input_names() == theirs.has_input_names()
    # MLflow takes the position of a column for its name if that is "" or 0.
    if not schema.has_input_names() or all(schema.input_names()):
        assert schema.input_names() == theirs.input_names()
        assert schema.required_input_names() == theirs.required_input_names()
        assert schema.optional_input_names() == theirs.optional_input_names()
    assert list(map(repr, schema.input_types())) == list(map(repr, theirs.input_types()))


@given(st.one_of(column_schemas(scalar_types), tensor_schemas()))
def test_numpy_pandas_and_spark_types_are_those_of_mlflow(schema):
    theirs = mlflow_schema(schema)
    assert schema.numpy_types() == theirs.numpy_types()
    if not schema.is_tensor_spec():
        assert schema.pandas_types() == theirs.pandas_types()
        # MLflow takes a number for the name of a field that is called by a number or "", which Spark refuses.
        if not schema.has_input_names() or all(isinstance(n, str) and n for n in schema.input_names()):
            assert schema.as_spark_schema() == theirs.as_spark_schema()


# --- what MLflow cannot do, and we can ----------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [
        Object([Property("cls", "long")]),
        Object([Property("v", SparkMLVector())]),
        Map(SparkMLVector()),
        Array(Map(SparkMLVector())),
    ],
    ids=repr,
)
def test_mlflow_still_cannot_read_its_own(dtype):
    # If one of these passes one day, its filter above can go.
    theirs = mlflow.Schema([mlflow.ColSpec(mlflow_type(dtype), "c")])
    with contextlib.suppress(MlflowException, TypeError):
        assert mlflow.Schema.from_json(theirs.to_json()) != theirs
    assert Schema.from_json(theirs.to_json()) == Schema([ColSpec(dtype, "c")])


@pytest.mark.parametrize("dtype", [t for t in DataType if t is not DataType.binary], ids=describe_case)
def test_a_param_without_a_default_is_written_by_us_if_not_by_mlflow(dtype):
    params = ParamSchema([ParamSpec("p", dtype, None)])
    theirs = mlflow.ParamSchema.from_json(params.to_json())
    assert repr(theirs) == repr(params)
    if dtype is not DataType.datetime:
        assert theirs.to_json() == params.to_json()


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "array", "items": {"type": "long"}},
        {"type": "map", "values": {"type": "long"}},
        {"type": "object", "properties": {"a": {"type": "long"}}},
        {"type": "any"},
        {"type": "sparkml_vector"},
        {"type": "long"},
    ],
    ids=lambda entry: entry["type"],
)
def test_an_absent_required_is_true_even_after_mlflow_rewrote_it(entry):
    text = json.dumps([entry | {"name": "c"}])
    rewritten = mlflow.Schema.from_json(text).to_json()
    assert Schema.from_json(rewritten) == Schema.from_json(text)
    assert Schema.from_json(text).required_input_names() == ["c"]


# --- merging ------------------------------------------------------------------------------------------


def both_merged(x, y):
    """Return the reprs of both results for ``x`` and ``y``; None if one of the two refuses."""
    ours = attempt(merge, x, y)
    # In arrays, because MLflow's scalars cannot be merged on their own.
    try:
        theirs = mlflow.Array(mlflow_type(x))._merge(mlflow.Array(mlflow_type(y))).dtype
    except MlflowException:
        theirs = None
    return None if isinstance(ours, InferenceError) else mlflow_type(ours), theirs


@given(
    st.one_of(
        st.tuples(alike_types, alike_types),
        st.tuples(composite_types(vectors=False), composite_types(vectors=False)),
    )
)
def test_merging_gives_what_mlflow_gives_and_refuses_what_it_refuses(pair):
    ours, theirs = both_merged(*pair)
    assert ours == theirs


LONG, ANY = DataType.long, AnyType()


@pytest.mark.parametrize(
    ("x", "y", "ours"),
    [
        (ANY, SparkMLVector(), SparkMLVector()),
        (SparkMLVector(), Array("double"), Array("double")),
        (SparkMLVector(), Array(ANY), Array("double")),
    ],
    ids=str,
)
def test_merging_vectors_does_not_depend_on_their_order(x, y, ours):
    answers = [both_merged(x, y), both_merged(y, x)]
    assert [answer for answer, _ in answers] == [mlflow_type(ours)] * 2
    assert None in [theirs for _, theirs in answers]  # MLflow refuses one order at least
