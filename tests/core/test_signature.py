"""Signatures: their three sides, their JSON, and what malformed JSON answers."""

from __future__ import annotations

import dataclasses
import datetime
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.errors import SignatureError, SignatureTypeError, quote
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import Array, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.core.helpers import attempt, copies, json_entries, json_values, places
from tests.strategies import signatures

A = Schema([ColSpec("long", "a")])
B = Schema([ColSpec("string", "b", required=False)])
P = ParamSchema([ParamSpec("t", "double", 0.5)])
FULL = ModelSignature(A, B, P)


@dataclasses.dataclass
class Row:
    a: int


def test_the_sides_of_a_signature():
    assert (FULL.inputs, FULL.outputs, FULL.params) == (A, B, P)
    assert ModelSignature(inputs=A).inputs == A
    assert ModelSignature(inputs=A).outputs is ModelSignature(inputs=A).params is None
    assert ModelSignature(outputs=A).outputs == A
    assert ModelSignature(params=P).params == P


def test_the_repr_is_four_parts_in_six_lines():
    assert repr(FULL) == (
        "inputs: \n  ['a': long (required)]\n"
        "outputs: \n  ['b': string (optional)]\n"
        "params: \n  ['t': double (default: 0.5)]\n"
    )
    assert repr(ModelSignature(inputs=A)) == (
        "inputs: \n  ['a': long (required)]\noutputs: \n  None\nparams: \n  None\n"
    )


def test_the_json_of_a_signature_is_three_texts():
    assert FULL.to_dict() == {"inputs": A.to_json(), "outputs": B.to_json(), "params": P.to_json()}
    assert list(FULL.to_dict()) == ["inputs", "outputs", "params"]
    assert ModelSignature(outputs=B).to_dict() == {"inputs": None, "outputs": B.to_json(), "params": None}
    assert ModelSignature.from_dict(FULL.to_dict()) == FULL


@pytest.mark.parametrize(
    "more",
    [{}, {"inputs": None}, {"outputs": None, "params": None}, {"model": "x", 5: []}],
    ids=describe_case,
)
def test_absent_sides_are_none_and_unknown_keys_are_ignored(more):
    assert ModelSignature.from_dict({"inputs": A.to_json()} | more | {"inputs": A.to_json()}) == (
        ModelSignature(inputs=A)
    )


def test_params_that_are_empty_are_no_params():
    empty = ModelSignature(inputs=A, params=ParamSchema([]))
    assert empty == ModelSignature(inputs=A)
    assert empty.to_dict()["params"] is empty.params is None
    assert ModelSignature.from_dict(empty.to_dict() | {"params": "[]"}) == empty
    with pytest.raises(SignatureError, match="a signature needs inputs, outputs or params"):
        ModelSignature(params=ParamSchema([]))


def test_a_signature_is_a_value():
    again = ModelSignature(Schema(A.inputs), Schema(B.inputs), ParamSchema(P.params))
    assert again == FULL
    assert hash(again) == hash(FULL)
    other_values = [
        ModelSignature(B, A, P),
        ModelSignature(A, B),
        ModelSignature(A),
        ModelSignature(outputs=A),
        A,
    ]
    assert FULL not in other_values
    assert ModelSignature(A) != ModelSignature(outputs=A)


@pytest.mark.parametrize("side", ["inputs", "outputs", "params", "anything"])
def test_a_signature_cannot_be_changed(side):
    with pytest.raises(AttributeError):
        setattr(ModelSignature(A), side, None)


def test_the_flags_beside_a_signature_are_no_part_of_it():
    flagged = ModelSignature.from_dict(FULL.to_dict())
    assert flagged._is_signature_from_type_hint is flagged._is_type_hint_from_example is False
    flagged._is_signature_from_type_hint = flagged._is_type_hint_from_example = True
    assert flagged == FULL
    assert hash(flagged) == hash(FULL)
    assert flagged.to_dict() == FULL.to_dict()


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_dataclass_is_a_schema(side):
    assert ModelSignature(**{side: Row}) == ModelSignature(**{side: Row(1)}) == ModelSignature(**{side: A})


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize(
    "value",
    [5, 0, [], {}, "", A.inputs, A.to_json(), int, P],
    ids=["int", "0", "empty-list", "empty-dict", "empty-text", "list", "json", "class", "params"],
)
def test_a_side_is_a_schema_or_a_dataclass(side, value):
    expected = "a Schema, a dataclass, a TypedDict, a NamedTuple or None"
    text = f"^{side}: expected {expected}, got a value of type {type(value).__name__}$"
    with pytest.raises(SignatureTypeError, match=text):
        ModelSignature(**{side: value})


@pytest.mark.parametrize("value", [5, 0, [], {}, "", [ParamSpec("t", "long", 1)], A, Row], ids=describe_case)
def test_params_are_a_schema_of_params(value):
    text = f"^params: expected a ParamSchema or None, got a value of type {type(value).__name__}$"
    with pytest.raises(SignatureTypeError, match=text):
        ModelSignature(inputs=A, params=value)


@pytest.mark.parametrize(
    "build", [ModelSignature, lambda: ModelSignature.from_dict({})], ids=["new", "from_dict"]
)
def test_a_signature_has_a_side(build):
    with pytest.raises(SignatureError, match=r"^a signature needs inputs, outputs or params$"):
        build()


@pytest.mark.parametrize("value", [None, "{}", [], 5, A], ids=["none", "str", "list", "int", "schema"])
def test_a_signature_is_read_from_a_dictionary(value):
    with pytest.raises(
        SignatureTypeError, match=r"^expected a dictionary with inputs, outputs and params, got "
    ):
        ModelSignature.from_dict(value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"inputs": []}, "^inputs: a Schema needs at least one column or tensor$"),
        ({"params": {}}, "^params: the JSON of params: expected a string, got a value of type dict$"),
        ({"outputs": "x"}, "^outputs: invalid JSON of a schema: Expecting value"),
        ({"inputs": "[]"}, "^inputs: a Schema needs at least one column or tensor$"),
        ({"inputs": "[" * 10_000}, "^inputs: invalid JSON of a schema: nested too deeply$"),
        (
            {"inputs": 1, "outputs": "{}", "params": "null"},
            "^inputs: the JSON of a schema: expected a string, got a value of type int; "
            "outputs: the JSON of a schema: expected a list, got a value of type dict; "
            "params: the JSON of params: expected a list, got None$",
        ),
    ],
    ids=["list", "dict", "no-json", "empty", "deep", "all"],
)
def test_sides_that_are_no_json_are_refused_by_name(data, text):
    with pytest.raises(SignatureError, match=text) as caught:
        ModelSignature.from_dict(data)
    assert caught.value.findings == ()


def test_all_malformed_sides_are_reported_at_once():
    data = {
        "inputs": '[{"name": "a", "type": "x"}, {"name": "b.c", "type": "array", "items": {}}]',
        "outputs": '[{"type": "long"}, 5]',
        "params": '[{"name": "t", "type": "long", "default": "x"}, {}]',
    }
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 5 findings\n") as caught:
        ModelSignature.from_dict(data)
    assert places(caught.value) == [
        ("INVALID_VALUE", "inputs.a"),
        ("MISSING_KEY", "inputs.`b.c`[]"),
        ("INVALID_VALUE", "outputs[1]"),
        ("TYPE_MISMATCH", "params.t"),
        ("INVALID_VALUE", "params[1]"),
    ]


def test_words_and_findings_are_reported_together():
    data = {"inputs": "x", "outputs": '[{"type": "long", "name": "a"}, {"type": "x", "name": "b"}]'}
    with pytest.raises(
        SignatureError, match=r"^inputs: invalid JSON of a schema: .*\n  - outputs.b: "
    ) as caught:
        ModelSignature.from_dict(data)
    assert places(caught.value) == [("INVALID_VALUE", "outputs.b")]


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=repr)
def test_nan_never_reaches_json(number):
    signature = ModelSignature(A, params=ParamSchema([ParamSpec("t", "double", number)]))
    with pytest.raises(
        SignatureError,
        match=r"^the default of the param t is (nan|inf), which JSON cannot represent: use None$",
    ):
        signature.to_dict()


# --- laws ---------------------------------------------------------------------------------------------


@given(signatures())
def test_json_round_trip(signature):
    data = json.loads(json.dumps(signature.to_dict()))
    read = ModelSignature.from_dict(data)
    assert read == signature
    assert hash(read) == hash(signature)
    assert repr(read) == repr(signature)
    assert read.to_dict() == data


@given(signatures())
def test_copies_are_equal(signature):
    signature._is_signature_from_type_hint = True
    for copied in copies(signature):
        assert copied == signature
        assert repr(copied) == repr(signature)
        assert copied.to_dict() == signature.to_dict()
        assert copied._is_signature_from_type_hint is True


_sides = st.one_of(
    st.none(),
    json_values,
    st.text(max_size=3),
    json_values.map(json.dumps),
    st.lists(json_entries(), max_size=2).map(json.dumps),
)


@given(
    st.one_of(
        json_values,
        st.fixed_dictionaries({}, optional={"inputs": _sides, "outputs": _sides, "params": _sides}),
    )
)
def test_only_signature_errors_come_out_of_hostile_json(data):
    result = attempt(ModelSignature.from_dict, data)
    if isinstance(result, SignatureError):
        sides = ("inputs", "outputs", "params")
        assert result.message
        assert all(finding.path.startswith(sides) for finding in result.findings)
    else:
        assert isinstance(result, ModelSignature)


# --- as text for people -----------------------------------------------------------------------------


def test_the_text_is_aligned_and_opens_what_is_long():
    product = Object([Property("name", "string"), Property("weight_in_kilograms", "double", False)])
    order = Object([Property("id", "long"), Property("price", "double", False), Property("product", product)])
    signature = ModelSignature(
        Schema(
            [
                ColSpec(Object([Property("name", "string"), Property("vip", "boolean", False)]), "user"),
                ColSpec(Array(order), "orders", required=False),
                ColSpec(Map("long"), "counts"),
            ]
        ),
        Schema([TensorSpec(np.dtype("float32"), (-1, 3))]),
        ParamSchema([ParamSpec("t", "double", 0.5), ParamSpec("stop", "string", ["é", "!"], (-1,))]),
    )
    assert signature.to_text().splitlines() == [
        "inputs",
        "  user                {name: string, vip: boolean (optional)}                 required",
        "  orders              Array(object)                                           optional",
        "    orders[].id       long                                                    required",
        "    orders[].price    double                                                  optional",
        "    orders[].product  {name: string, weight_in_kilograms: double (optional)}  required",
        "  counts              Map(str -> long)                                        required",
        "outputs",
        "  (tensor)  tensor of float32, shape (-1, 3)  required",
        "params",
        "  t     double          default 0.5",
        '  stop  list of string  default ["é", "!"]',
    ]


@pytest.mark.parametrize(("spec", "lines"), [
    (ColSpec("long", "a\nb"), ["`a\\nb`  long  required"]),
    (ColSpec("long", ""), ["``  long  required"]),
    (ColSpec("long", 0), ["0  long  required"]),
    (ColSpec(SparkMLVector()), ["(column 0)  SparkML vector  required"]),
    (
        ColSpec(Array(Object([Property("a.b", "long")]))),
        ["(column 0)    Array(object)  required", "  0[].`a.b`  long  required"],
    ),
    (ColSpec(Map(Map("double")), "mean radius"), ["mean radius  Map(str -> Map(str -> double))  required"]),
    (
        ColSpec(Array(Map(Object([Property("a.b", "long"), Property("c", "long")]))), "m"),
        ["m                Array(Map(str -> object))  required",
         "  m[][].`a.b`    long                       required",
         "  m[][].c        long                       required"],
    ),
    (
        ColSpec(Object([Property("a: long, b", "long", False)]), "m"),
        ["m               object  required", "  m.a: long, b  long    optional"],
    ),
], ids=describe_case)  # fmt: skip
def test_odd_names_in_the_text(spec, lines):
    text = ModelSignature(Schema([spec])).to_text().splitlines()[1:-2]
    assert [" ".join(line.split()) for line in text] == [" ".join(line.split()) for line in lines]


def test_odd_defaults_are_shown_as_json():
    specs = [
        ParamSpec("n", "double", float("nan")),
        ParamSpec("at", "datetime", datetime.datetime(2020, 1, 31, 12)),
        ParamSpec("none", "string", None),
        ParamSpec("k", Object([Property("a", "long")]), {"a": 1}),
        ParamSpec("rtl", "string", "a\u202eb\n"),
    ]
    lines = ModelSignature(params=ParamSchema(specs)).to_text().splitlines()[5:]
    assert [line.partition("default ")[2] for line in lines] == [
        "NaN", '"2020-01-31T12:00:00"', "none", '{"a": 1}', '"a\\u202eb\\n"',
    ]  # fmt: skip


@given(signatures())
def test_every_signature_has_a_text_of_printable_lines(signature):
    lines = signature.to_text().splitlines()
    assert all(line.isprintable() for line in lines)
    for schema in filter(None, (signature.inputs, signature.outputs)):
        assert all(any(line.startswith(f"  {quote(spec.name)}") for line in lines)
                   for spec in schema if spec.name is not None)  # fmt: skip


@given(signatures())
def test_to_json_is_read_back_by_from_dict(signature):
    text = signature.to_json()
    assert ModelSignature.from_dict(json.loads(text)) == signature
    sides = {side: part and json.loads(part) for side, part in signature.to_dict().items()}
    assert json.loads(text) == sides


def test_to_json_writes_a_file_and_replaces_it(tmp_path):
    path = tmp_path / "signature.json"
    path.write_text("something else")
    assert path.read_text() != FULL.to_json(path)
    assert path.read_text() == f"{FULL.to_json()}\n"


def test_each_side_is_text_or_a_list():
    mixed = {"inputs": A.to_dict(), "outputs": B.to_json(), "params": P.to_dict()}
    assert ModelSignature.from_dict(mixed) == FULL
    with pytest.raises(SignatureError, match="malformed signature JSON: 2 findings") as caught:
        ModelSignature.from_dict({"inputs": [{"type": "long", "nmae": "a"}], "params": [{"name": "t"}]})
    assert places(caught.value) == [("UNKNOWN_KEY", "inputs[0].nmae"), ("INVALID_VALUE", "params[0]")]
