"""Schemas -> JSON Schema: valid by its metaschema, and of one mind with requests about every record."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sparksig.convert.json import dumps, to_json
from sparksig.convert.json_schema import (
    DRAFT,
    LOST_TO_JSON_SCHEMA,
    find_losses_in_json_schema,
    to_json_schema,
)
from sparksig.engine.frames import enforce
from sparksig.errors import Code, ContractError, ConversionError
from sparksig.models.payloads import parse_payload
from sparksig.params import ParamSchema, ParamSpec, enforce_params
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.convert.helpers import codes
from tests.strategies import (
    column_schemas,
    composite_types,
    param_schemas,
    schemas,
    signatures,
    tensor_schemas,
)


def valid(schema, record):
    return Draft202012Validator(schema).is_valid(record)


def is_accepted(schema, record):
    """Return whether sparksig accepts a request with one record."""
    signature = ModelSignature(schema)
    try:
        data, _ = parse_payload(json.dumps({"inputs": [record]}), signature)
        enforce(data, schema)
    except ContractError:
        return False
    return True


def attempt(convert, value):
    try:
        return convert(value), None
    except ConversionError as error:
        return None, error


# --- one law: the schema and the request agree --------------------------------------------------------------

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**24, 7.0, 0.5, 1e39, -1e300]),
    st.sampled_from(
        ["", "x", "NaN", "-Infinity", "Inf", "7", "true", "AAE=", "AAE", "2020-01-01", "2020-01-01T01:02"]
    ),
    st.sampled_from(["2020-01-01T01:02:03.123456789Z", "2020-01-01 01:02:03,5+0100", "2020-1-1", "20200101"]),
    st.sampled_from([[], {}, [None], [[]], {"a": None}, [1, "x"], [1.5], {"a": 1}, {"a": [0]}]),
)
_SCALARS = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-(2**31), 2**31 - 1),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.float: st.floats(allow_nan=False, allow_infinity=False, width=32),
    DataType.double: st.floats(allow_nan=False, allow_infinity=False),
    DataType.string: st.text(max_size=3),
    DataType.binary: st.binary(max_size=4).map(to_json),
    DataType.datetime: st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)).map(
        to_json
    ),
}


def near(dtype):
    """JSON of a type, or nearly."""
    return st.integers(0, 9).flatmap(lambda dice: junk if dice == 0 else good(dtype))


def good(dtype):
    if isinstance(dtype, DataType):
        return _SCALARS[dtype]
    if isinstance(dtype, AnyType):
        return st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=2))
    if isinstance(dtype, Array):
        return st.lists(near(dtype.dtype), max_size=3)
    if isinstance(dtype, Map):
        return st.dictionaries(st.text("abc", max_size=2), near(dtype.value_type), max_size=3)
    return members({prop.name: (prop.dtype, prop.required) for prop in dtype.properties})


def members(parts):
    """Generate an object with these properties. Optional ones may be absent, and sometimes a required one."""
    # three of four objects have the required property
    sure = {name: near(dtype) for name, (dtype, required) in parts.items() if required}
    remaining = {name: near(dtype) for name, (dtype, required) in parts.items() if not required}
    complete, torn = (
        st.fixed_dictionaries(sure, optional=remaining),
        st.fixed_dictionaries({}, optional={**sure, **remaining}),
    )
    return st.integers(0, 3).flatmap(lambda dice: torn if dice == 0 else complete)


columns = column_schemas(composite_types(max_leaves=4), max_size=3)


@st.composite
def records(draw, schemas=columns):
    schema = draw(schemas)
    if schema.has_input_names():
        names = map(str, schema.input_names())
        return schema, draw(members({name: (spec.type, spec.required) for name, spec in zip(names, schema)}))
    values = [draw(near(spec.type)) for spec in schema]
    return schema, values[0] if len(values) == 1 else values


_ELEMENTS = {
    "b": st.booleans(),
    "U": st.text(max_size=2),
    "S": st.binary(max_size=3).map(to_json),
    "O": st.one_of(st.none(), st.integers(0, 9), st.text(max_size=2)),
    "M": st.sampled_from(["2020-01-01", "1999-12-31"]),
}
# what JSON says to the last bit
DTYPES = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64"]
DTYPES += ["str", "bytes", "object", "datetime64[ns]"]
tensor_schemas_of_rows = tensor_schemas(st.sampled_from(DTYPES).map(np.dtype))


def element(dtype):
    if dtype.kind in "iu":
        return st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if dtype.kind == "f":
        return st.floats(allow_nan=False, allow_infinity=False, width=dtype.itemsize * 8)
    return _ELEMENTS[dtype.kind]


def nested(items, sizes):
    if not sizes:
        return st.integers(0, 12).flatmap(lambda dice: junk if dice == 0 else items)
    wrong = st.lists(nested(items, sizes[1:]), max_size=3)
    exact = st.lists(nested(items, sizes[1:]), min_size=sizes[0], max_size=sizes[0])
    return st.integers(0, 12).flatmap(lambda dice: wrong if dice == 0 else exact)


@st.composite
def rows(draw):
    """A schema of tensors with few values, and one row of each."""
    schema = draw(tensor_schemas_of_rows)
    shapes = [(-1, *(draw(st.sampled_from([1, 2, 3])) for _ in spec.shape[1:3])) for spec in schema]
    schema = Schema([TensorSpec(spec.type, shape, spec.name) for spec, shape in zip(schema, shapes)])
    values = [draw(nested(element(spec.type), spec.shape[1:])) for spec in schema]
    if not schema.has_input_names():
        return schema, values[0]
    return schema, {str(name): value for name, value in zip(schema.input_names(), values)}


@settings(deadline=None)
@given(records())
def test_columns_are_judged_as_requests_are(case):
    schema, record = case
    document, error = attempt(to_json_schema, schema)
    if error is None and not any(isinstance(spec.name, int) for spec in schema):  # JSON's keys are texts
        assert valid(document, record) == is_accepted(schema, record)


@settings(deadline=None)
@given(rows())
def test_tensors_are_judged_as_requests_are(case):
    schema, record = case
    assert valid(to_json_schema(schema), record) == is_accepted(schema, record)


@settings(deadline=None)
@given(st.data(), param_schemas(min_size=1))
def test_params_are_judged_as_requests_are(data, params):
    request = data.draw(st.fixed_dictionaries({}, optional={spec.name: near_param(spec) for spec in params}))
    signature = ModelSignature(params=params)
    document = {**to_json_schema(signature), "$ref": "#/$defs/params"}
    try:
        enforce_params(parse_payload(json.dumps({"inputs": [1], "params": request}), signature)[1], params)
    except ContractError:
        assert not valid(document, request)
    else:
        assert valid(document, request)
    assert valid(document, {spec.name: to_json(spec.default, "", True) for spec in params})


def near_param(spec):
    # how short a form of ISO 8601 datetime.fromisoformat takes, Python's version decides
    if spec.shape is None:
        return near(spec.dtype).filter(lambda value: "20200101" not in str(value))
    wrong = st.integers(0, 9).flatmap(
        lambda dice: junk if dice == 0 else st.lists(near(spec.dtype), max_size=3)
    )
    return wrong.filter(lambda value: "20200101" not in str(value))


# --- the form -----------------------------------------------------------------------------------------------


@given(st.one_of(schemas, signatures()))
def test_schemas_are_valid_by_their_metaschema(contract):
    document, error = attempt(to_json_schema, contract)
    if error:
        assert {finding.code for finding in error.findings} <= {Code.DUPLICATE_NAME, Code.UNSUPPORTED_TYPE}
        return
    Draft202012Validator.check_schema(json.loads(dumps(document)))
    assert document["$schema"] == DRAFT


EVERYTHING = Schema(
    [
        ColSpec("boolean", "flag"),
        ColSpec("integer", "n", required=False),
        ColSpec("double", "x"),
        ColSpec(Array("long"), "ids"),
        ColSpec(Map("string"), "tags", required=False),
        ColSpec(Object([Property("a", "long"), Property("b", "boolean", required=False)]), "o"),
        ColSpec(AnyType(), "any"),
    ]
)


def test_a_record_of_named_columns():
    long = {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1}
    assert to_json_schema(EVERYTHING) == {
        "$schema": DRAFT,
        "type": "object",
        "properties": {
            "flag": {"type": "boolean"},
            "n": {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1},
            "x": {
                "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}, {"type": "null"}]
            },
            "ids": {"type": ["array", "null"], "items": long},
            "tags": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
            "o": {
                "type": ["object", "null"],
                "properties": {"a": {**long, "type": "integer"}, "b": {"type": ["boolean", "null"]}},
                "required": ["a"],
            },
            "any": {},
        },
        "required": ["flag", "x", "ids", "o", "any"],
    }


def test_records_without_names():
    first, two = Schema([ColSpec("boolean")]), Schema([ColSpec("boolean"), ColSpec("boolean")])
    assert to_json_schema(first) == {"$schema": DRAFT, "type": "boolean"}
    assert to_json_schema(two) == {
        "$schema": DRAFT,
        "type": "array",
        "prefixItems": [{"type": "boolean"}] * 2,
        "items": False,
        "minItems": 2,
    }
    image = Schema([TensorSpec(np.dtype("uint8"), (-1, 28, -1))])
    pixels = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
    assert to_json_schema(image) == {
        "$schema": DRAFT,
        "type": "array",
        "items": pixels,
        "minItems": 28,
        "maxItems": 28,
    }


def test_a_signature_has_all_sides():
    signature = ModelSignature(
        Schema([ColSpec("boolean", "a")]),
        Schema([ColSpec("boolean")]),
        ParamSchema([ParamSpec("k", "long", 3), ParamSpec("t", "boolean", None)]),
    )
    document = to_json_schema(signature)
    assert document == {
        "$schema": DRAFT,
        "$ref": "#/$defs/inputs",
        "$defs": {
            "inputs": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
            "outputs": {"type": "boolean"},
            "params": {
                "type": "object",
                "properties": {
                    "k": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1, "default": 3},
                    "t": {"type": ["boolean", "null"], "default": None},
                },
            },
        },
    }
    assert valid(document, {"a": True})
    assert not valid(document, {"a": None})
    assert "$ref" not in to_json_schema(ModelSignature(outputs=signature.outputs))


@pytest.mark.parametrize("value", [None, {}, "inputs", Array("long")])
def test_no_contract(value):
    with pytest.raises(ConversionError, match="to_json_schema: expected a ModelSignature or a Schema, got"):
        to_json_schema(value)


def test_all_findings_at_once():
    twins = Schema([ColSpec("long", 1), ColSpec("long", "1")])
    tensors = Schema(
        [TensorSpec(np.dtype("complex128"), (-1,), "z"), TensorSpec(np.dtype("int8"), (-1,), "i")]
    )
    with pytest.raises(ConversionError, match="no JSON Schema: 2 findings") as error:
        to_json_schema(ModelSignature(twins, tensors))
    assert codes(error) == [("inputs.1", Code.DUPLICATE_NAME), ("outputs.z", Code.UNSUPPORTED_TYPE)]


# --- losses -------------------------------------------------------------------------------------------------


def lose(schema, record, message):
    """The schema takes a record that a request may not hold."""
    assert valid(to_json_schema(schema), record)
    assert not is_accepted(schema, record)
    assert [str(finding) for finding in find_losses_in_json_schema(schema)] == [f"{message} [NOT_EXPRESSED]"]


def lose_days():
    for day in ("2021-02-30", "9999-12-31", "2021-01-01T25:00"):
        schema = Schema([ColSpec("datetime", "t")])
        lose(
            schema, {"t": day}, "t: expected timestamps that nanoseconds can express, got texts of the format"
        )


def lose_integers():
    """No finding reports this loss, because every double has it."""
    for dtype, limit in ((DataType.float, 2**24), (DataType.double, 2**53)):
        schema = Schema([ColSpec(dtype, "x")])
        assert is_accepted(schema, {"x": limit})
        assert valid(to_json_schema(schema), {"x": limit + 1})
        assert not is_accepted(schema, {"x": limit + 1})
        assert find_losses_in_json_schema(schema) == []


def lose_vector():
    schema = Schema([ColSpec(SparkMLVector(), "v")])
    assert to_json_schema(schema) == to_json_schema(Schema([ColSpec(Array("double"), "v")]))
    message = "v: expected SparkML vector, got an array of numbers [NOT_EXPRESSED]"
    assert [str(finding) for finding in find_losses_in_json_schema(schema)] == [message]


def lose_rows():
    schema = Schema([TensorSpec(np.dtype("int64"), (2,))])
    lose(schema, 1, "0: expected 2 rows, got one record")


def lose_lengths():
    schema = Schema([TensorSpec(np.dtype("int64"), (-1, 2, -1))])
    lose(schema, [[1], [1, 2]], "0: expected arrays of one length, got arrays of any")


def lose_ticks():
    schema = Schema([TensorSpec(np.dtype("datetime64[D]"), (-1,))])
    lose(schema, "2020-01-01T12:00", "0: expected datetime64[D], got texts of the format")


def refuse_dtypes():
    for name in ("complex64", "complex128", "longdouble", "timedelta64[ns]"):
        with pytest.raises(
            ConversionError, match="no JSON Schema: 1 finding\n  - 0: expected a dtype that JSON"
        ):
            to_json_schema(Schema([TensorSpec(np.dtype(name), (-1,))]))


LOSSES = {
    "float, double": lose_integers,
    "datetime": lose_days,
    "SparkML vector": lose_vector,
    "the first dimension of a tensor, where it is fixed": lose_rows,
    "other dimensions of a tensor that are -1": lose_lengths,
    "tensor of datetime64": lose_ticks,
    "tensor of complex, long double or timedelta": refuse_dtypes,
}


@pytest.mark.parametrize("line", LOSSES, ids=describe_case)
def test_each_line_of_the_losses(line):
    LOSSES[line]()


def test_every_loss_has_its_test():
    assert set(LOSSES) == set(LOST_TO_JSON_SCHEMA)
