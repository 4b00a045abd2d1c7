"""Signatures -> data contracts: valid by the standard's own schema, and every loss listed."""

from __future__ import annotations

import importlib.resources
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from sparksig.convert.ddl import to_ddl
from sparksig.convert.odcs import LOST_TO_ODCS, find_losses_in_odcs, to_odcs
from sparksig.errors import Code, ConversionError
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.convert.helpers import HOPELESS_DTYPES, codes
from tests.strategies import schemas, signatures


@pytest.fixture(scope="module")
def standard():
    """The standard's published JSON Schema, which a package of its community has."""
    package = pytest.importorskip(
        "open_data_contract_standard", reason="the package with the standard's schema needs pydantic 2.8"
    )
    text = (importlib.resources.files(package) / "schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["properties"]["apiVersion"]["default"] == "v3.1.0"
    return Draft201909Validator(schema)


def contract_of(value):
    """The contract, or the error."""
    try:
        return to_odcs(value, name="n"), None
    except ConversionError as error:
        return None, error


@settings(max_examples=25)  # validating takes 0.2 s
@given(contract=st.one_of(schemas, signatures()))
def test_contracts_are_valid_by_the_standard(standard, contract):
    exported, error = contract_of(contract)
    if error:
        assert {finding.code for finding in error.findings} <= {Code.DUPLICATE_NAME, Code.UNSUPPORTED_TYPE}
    else:
        assert [str(violation) for violation in standard.iter_errors(exported)] == []


EXPORTED = to_odcs(Schema([ColSpec("long", "a")]), name="n")


@pytest.mark.parametrize(
    "contract",
    [
        {**EXPORTED, "kind": "Contract"},
        {key: value for key, value in EXPORTED.items() if key != "status"},
        {**EXPORTED, "schema": [{**EXPORTED["schema"][0], "properties": [{"logicalType": "integer"}]}]},
    ],
    ids=["another kind", "no status", "property without a name"],
)
def test_the_standards_schema_refuses_broken_contracts(standard, contract):
    assert not standard.is_valid(contract)


RECORD = Object([Property("b", "string", required=False), Property("a", "long")])


def test_a_whole_contract():
    signature = ModelSignature(
        Schema([ColSpec("long", "id"), ColSpec(Array(RECORD), "items", required=False)]),
        Schema([ColSpec("double")]),
    )
    exported = to_odcs(signature, name="orders", version="2.0.0", status="active")
    long = {"logicalType": "integer", "logicalTypeOptions": {"format": "i64"}, "physicalType": "bigint"}
    record = {
        "logicalType": "object",
        "properties": [
            {"name": "a", **long, "required": True},
            {"name": "b", "logicalType": "string", "physicalType": "string", "required": False},
        ],
        "physicalType": "struct<a: bigint not null, b: string>",
    }
    items = {"logicalType": "array", "items": record, "physicalType": f"array<{record['physicalType']}>"}
    double = {"logicalType": "number", "logicalTypeOptions": {"format": "f64"}, "physicalType": "double"}
    table = {"logicalType": "object", "physicalType": "table"}
    assert exported == {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": exported["id"],
        "name": "orders",
        "version": "2.0.0",
        "status": "active",
        "schema": [
            {
                "name": "inputs",
                **table,
                "properties": [
                    {"name": "id", **long, "required": True},
                    {"name": "items", **items, "required": False},
                ],
            },
            {"name": "outputs", **table, "properties": [{"name": "0", **double, "required": True}]},
        ],
    }
    assert exported["id"] == to_odcs(signature, name="orders")["id"] != to_odcs(signature, name="other")["id"]
    assert to_odcs(signature, name="orders", id="own")["id"] == "own"


def test_a_schema_is_one_table_of_that_name():
    [table] = to_odcs(Schema([ColSpec("long", "id")]), name="orders")["schema"]
    assert table["name"] == "orders"


def properties(schema):
    return to_odcs(schema, name="n")["schema"][0]["properties"]


@given(schemas)
def test_physical_types_are_sparks(schema):
    exported, error = contract_of(schema)
    if error is None:
        plain = [
            f"{prop['physicalType']}{' not null' if prop['required'] else ''}"
            for prop in exported["schema"][0]["properties"]
        ]
        named = Schema([with_name(spec, f"c{index}") for index, spec in enumerate(schema)])
        assert ", ".join(f"c{index} {text}" for index, text in enumerate(plain)) == to_ddl(named)


def with_name(spec, name):
    if isinstance(spec, TensorSpec):
        return TensorSpec(spec.type, spec.shape, name)
    return ColSpec(spec.type, name, spec.required)


LOGICAL = {
    DataType.boolean: ("boolean", None),
    DataType.integer: ("integer", "i32"),
    DataType.long: ("integer", "i64"),
    DataType.float: ("number", "f32"),
    DataType.double: ("number", "f64"),
    DataType.string: ("string", None),
    DataType.binary: ("string", "binary"),
    DataType.datetime: ("timestamp", None),
    np.dtype("uint8"): ("integer", "u8"),
    np.dtype("int16"): ("integer", "i16"),
    np.dtype("uint64"): ("integer", "u64"),
    np.dtype("float32"): ("number", "f32"),
    np.dtype("bool"): ("boolean", None),
    np.dtype("str"): ("string", None),
    np.dtype("bytes"): ("string", "binary"),
}


@pytest.mark.parametrize("dtype", LOGICAL, ids=describe_case)
def test_logical_types(dtype):
    spec = TensorSpec(dtype, (-1,), "a") if isinstance(dtype, np.dtype) else ColSpec(dtype, "a")
    [prop] = properties(Schema([spec]))
    options = prop.get("logicalTypeOptions", {})
    assert (prop["logicalType"], options.get("format")) == LOGICAL[dtype]
    options["format"] = "changed"  # by the caller, who owns it
    assert properties(Schema([spec]))[0].get("logicalTypeOptions", {}).get("format") == LOGICAL[dtype][1]


def test_tensors_have_the_sizes_that_are_fixed():
    [prop] = properties(Schema([TensorSpec(np.dtype("uint8"), (-1, 28, -1), "image")]))
    assert prop == {
        "name": "image",
        "logicalType": "array",
        "logicalTypeOptions": {"minItems": 28, "maxItems": 28},
        "items": {
            "logicalType": "array",
            "items": {"logicalType": "integer", "logicalTypeOptions": {"format": "u8"}},
        },
        "physicalType": "array<array<smallint>>",
        "required": True,
    }


def test_all_findings_at_once():
    twins = Schema([ColSpec("long", 1), ColSpec("long", "1")])
    tensors = Schema(
        [TensorSpec(np.dtype("complex128"), (-1,), "z"), TensorSpec(np.dtype("int8"), (-1,), "i")]
    )
    with pytest.raises(ConversionError, match="no data contract: 2 findings") as error:
        to_odcs(ModelSignature(twins, tensors), name="n")
    assert codes(error) == [("inputs.1", Code.DUPLICATE_NAME), ("outputs.z", Code.UNSUPPORTED_TYPE)]


def test_no_contract():
    with pytest.raises(ConversionError, match="to_odcs: expected a ModelSignature or a Schema, got None"):
        to_odcs(None, name="n")


# --- losses -------------------------------------------------------------------------------------------------


def column(dtype, name="a"):
    return Schema([ColSpec(dtype, name)])


def tensor(dtype, shape=(-1,)):
    return Schema([TensorSpec(np.dtype(dtype), shape, "a")])


def refuse_dtypes():
    for name in [*HOPELESS_DTYPES, "timedelta64[ns]"]:
        with pytest.raises(
            ConversionError, match="no data contract: 1 finding\n  - a: expected a dtype that Spark"
        ):
            to_odcs(tensor(name), name="n")


LOSSES = {
    "params": (
        ModelSignature(column("long"), params=ParamSchema([ParamSpec("k.1", "long", 3)])),
        "params.`k.1`: expected a param, got nothing",
    ),
    "SparkML vector": (column(SparkMLVector()), "a: expected SparkML vector, got an array of numbers"),
    "Map": (
        column(Array(Map("string"))),
        "a[]: expected Map(str -> DataType.string), got an object without properties",
    ),
    "Any": (column(AnyType()), "a: expected Any, got no logical type"),
    "a column without a name": (column("long", None), "expected a column without a name, got the name 0"),
    "an integer name": (column("long", 7), "7: expected an integer as name, got its digits"),
    "the first dimension of a tensor, where it is fixed": (
        tensor("int8", (2, 3)),
        "a: expected 2 rows, got any number of rows",
    ),
    "tensor of float16": (tensor("float16"), "a: expected float16, got a number of 32 bits"),
    "tensor of datetime64": (tensor("datetime64[D]"), "a: expected datetime64[D], got timestamp"),
    "tensor of object, complex, long double or timedelta": refuse_dtypes,
}


@pytest.mark.parametrize("line", LOSSES, ids=describe_case)
def test_each_line_of_the_losses(line):
    if callable(LOSSES[line]):
        LOSSES[line]()
        return
    contract, expected = LOSSES[line]
    assert [str(finding) for finding in find_losses_in_odcs(contract)] == [f"{expected} [NOT_EXPRESSED]"]


def test_every_loss_has_its_test():
    assert set(LOSSES) == set(LOST_TO_ODCS)


def test_paths_of_a_signature_begin_with_the_side():
    signature = ModelSignature(column(SparkMLVector()), column(AnyType()))
    assert [finding.path for finding in find_losses_in_odcs(signature)] == ["inputs.a", "outputs.a"]
