"""Exports to all formats: reading the texts back, losses, and refusals."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparksig.convert.arrow import from_arrow, to_arrow
from sparksig.convert.ddl import from_ddl, to_ddl
from sparksig.convert.exports import EXPORTS, Exported, export
from sparksig.convert.json_schema import to_json_schema
from sparksig.convert.odcs import to_odcs
from sparksig.convert.oip import to_oip
from sparksig.errors import Code, ConversionError
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.convert.test_arrow import LOST_TO_ARROW
from tests.strategies import column_schemas, schemas, signatures

INPUTS = Schema([ColSpec("long", "id"), ColSpec(SparkMLVector(), "v"), ColSpec("string", "1e3", False)])
OUTPUTS = Schema([TensorSpec(np.dtype("float32"), (-1, 3), "p")])
SIGNATURE = ModelSignature(INPUTS, OUTPUTS, ParamSchema([ParamSpec("k", "long", 3)]))


def paths(exported):
    assert {finding.code for finding in exported.lost} <= {Code.NOT_EXPRESSED}
    return [finding.path for finding in exported.lost]


def test_ddl_is_of_one_table():
    exported = export(SIGNATURE, "ddl")
    assert exported.content == exported.text == str(exported) == to_ddl(INPUTS)
    assert paths(exported) == ["inputs.v", "outputs", "params.k"]
    outputs = export(SIGNATURE, "ddl", side="outputs")
    assert outputs.text == "p array<float> not null"
    assert paths(outputs) == ["outputs.p"]
    assert export(ModelSignature(outputs=OUTPUTS), "ddl") == outputs
    assert paths(export(INPUTS, "ddl")) == ["v"]


def test_arrow_keeps_tensors_in_its_metadata():
    exported = export(SIGNATURE, "arrow", side="outputs")
    assert exported.content == to_arrow(OUTPUTS)
    assert paths(exported) == []
    assert '"shape": [-1, 3]' in exported.text
    assert from_arrow(pa.ipc.read_schema(exported.content.serialize())) == OUTPUTS
    assert paths(export(SIGNATURE, "arrow")) == ["inputs.v", "outputs", "params.k"]


def test_json_schema_has_all_sides_or_one():
    exported = export(SIGNATURE, "json-schema")
    assert exported.content == json.loads(exported.text) == to_json_schema(SIGNATURE)
    assert paths(exported) == ["inputs.v"]
    assert export(SIGNATURE, "json-schema", side="outputs").content == to_json_schema(OUTPUTS)


def test_odcs_is_yaml():
    exported = export(SIGNATURE, "odcs", name="orders", version="2.0")
    assert (
        exported.content == yaml.safe_load(exported.text) == to_odcs(SIGNATURE, name="orders", version="2.0")
    )
    assert '- name: "1e3"' in exported.text  # which YAML 1.2 would take for a number
    assert 'version: "2.0"' in exported.text
    assert "&" not in exported.text
    assert paths(exported) == ["inputs.v", "params.k"]
    assert [table["name"] for table in export(SIGNATURE, "odcs", side="outputs").content["schema"]] == [
        "outputs"
    ]


@pytest.mark.parametrize("name", ["\x85", "a\u2028b", "a\u2029", "a\nb", " a ", "yes", "~", "<<", "1:20"])
def test_odd_names_survive_yaml(name):
    exported = export(Schema([ColSpec("long", name)]), "odcs", name=name)
    assert yaml.safe_load(exported.text) == exported.content


def test_oip_is_json():
    exported = export(SIGNATURE, "oip", name="orders", version="2")
    assert exported.content == json.loads(exported.text) == to_oip(SIGNATURE, name="orders", versions=["2"])
    assert paths(exported) == ["inputs.v", "inputs.1e3", "inputs.1e3", "params.k"]
    assert "versions" not in export(SIGNATURE, "oip").content
    outputs = export(SIGNATURE, "oip", side="outputs")
    assert (outputs.content["inputs"], paths(outputs)) == ([], ["inputs"])


@given(st.one_of(schemas, signatures()), st.sampled_from(sorted(EXPORTS)))
def test_each_signature_has_a_text_or_an_error(contract, to):
    try:
        exported = export(contract, to)
    except ConversionError as error:
        codes = {finding.code for finding in error.findings}
        single = isinstance(contract, ModelSignature) and contract.inputs is contract.outputs is None
        if not (codes or single):
            raise
        return
    assert isinstance(exported, Exported)
    assert exported.text == exported.text.strip("\n") or to in (
        "ddl",
        "arrow",
    )  # these formats do not change names
    paths(exported)


@pytest.mark.parametrize("to", EXPORTS, ids=describe_case)
@pytest.mark.parametrize("wrap", [Array, Map, lambda inner: Object([Property("a", inner)])])
def test_the_deepest_types(wrap, to):
    dtype = DataType.long
    for _ in range(99):
        dtype = wrap(dtype)
    assert export(Schema([ColSpec(dtype, "a")]), to).text


@given(column_schemas())
def test_what_loses_nothing_comes_back(schema):
    for to, read in (("ddl", from_ddl), ("arrow", from_arrow)):
        try:
            exported = export(schema, to)
        except ConversionError:
            continue
        assert (read(exported.content) == schema) == (not exported.lost)


def test_lines_of_lost_to_arrow_that_are_no_refusals():
    expected = {"SparkML vector", "a column without a name", "an integer name"}
    assert expected == {line for line, what in LOST_TO_ARROW.items() if not what.startswith("refused")}


@pytest.mark.parametrize(
    "schema",
    [[ColSpec(Array(SparkMLVector()), "a")], [ColSpec("long")], [ColSpec("long", 5)]],
    ids=describe_case,
)
def test_what_arrow_loses_is_listed(schema):
    assert len(export(Schema(schema), "arrow").lost) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SIGNATURE, "json"), "one of ddl, arrow, json-schema, odcs, oip, got 'json'"),
        ((SIGNATURE, "jsonschema"), "got 'jsonschema' (did you mean 'json-schema'?)"),
        ((SIGNATURE, ["ddl"]), "got ['ddl']"),
        ((SIGNATURE, "xml"), "export format: expected one of ddl, arrow, json-schema, odcs, oip, got 'xml'"),
        ((SIGNATURE, "ddl", "params"), "side: expected 'inputs' or 'outputs', got 'params'"),
        ((INPUTS, "ddl", "inputs"), "cannot export the inputs: a schema has no sides"),
        (
            (ModelSignature(INPUTS), "oip", "outputs"),
            "cannot export the outputs: the signature has no outputs",
        ),
        (
            (ModelSignature(params=SIGNATURE.params), "ddl"),
            "the signature has only params: there is no table",
        ),
    ],
)
def test_refusals(arguments, message):
    contract, to, *side = arguments
    with pytest.raises(ConversionError, match=re.escape(message)):
        export(contract, to, side=side[0] if side else None)


@pytest.mark.parametrize("to", sorted(EXPORTS))
def test_half_a_surrogate_pair_is_no_text(to):
    with pytest.raises(
        ConversionError, match=r"expected (a name|names) (that are|of) Unicode text, got a lone surrogate"
    ):
        export(Schema([ColSpec("long", "\ud800")]), to)


@pytest.mark.parametrize("to", ["odcs", "oip"])
def test_half_a_surrogate_pair_is_no_name_of_a_contract(to):
    with pytest.raises(ConversionError, match="expected names that are Unicode text"):
        export(SIGNATURE, to, name="\ud800")


COMPLEX = Schema([TensorSpec(np.dtype("complex64"), (-1, 3), "p")])


@pytest.mark.parametrize("to", ["ddl", "arrow", "json-schema", "odcs", "oip"])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_side_that_cannot_be_expressed_is_left_out_and_listed(to, side):
    columns = Schema([ColSpec("long", "id")])
    other = {"inputs": "outputs", "outputs": "inputs"}[side]
    exported = export(ModelSignature(**{side: COMPLEX, other: columns}), to)
    assert exported.text == export(ModelSignature(**{other: columns}), to).text
    if to in ("ddl", "arrow") and side == "outputs":  # which are of one table in any case
        assert paths(exported) == ["outputs"]
    else:
        assert paths(exported) == [side, f"{side}.p"]
        assert "types in it cannot be expressed" in str(exported.lost[0])


@pytest.mark.parametrize(
    "contract", [ModelSignature(COMPLEX, COMPLEX), ModelSignature(COMPLEX)], ids=describe_case
)
@pytest.mark.parametrize("to", ["ddl", "arrow", "json-schema", "odcs", "oip"])
def test_a_signature_with_no_side_to_express_is_refused(to, contract):
    with pytest.raises(ConversionError, match="complex64"):
        export(contract, to)


@pytest.mark.parametrize(
    "convert",
    [lambda path: path, str, lambda path: SIGNATURE.to_dict()],
    ids=["path", "string", "dictionary"],
)
def test_a_contract_may_be_a_path_or_a_dictionary(tmp_path, convert):
    SIGNATURE.to_json(tmp_path / "signature.json")
    assert export(convert(tmp_path / "signature.json"), "odcs") == export(SIGNATURE, "odcs")


def test_a_contract_may_be_ddl():
    assert export("id bigint not null", "ddl").text == "id bigint not null"
