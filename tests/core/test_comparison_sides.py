"""compare: params, sides that are not there, and tables; as tests/core/test_comparison.py."""

from __future__ import annotations

import datetime

import pytest

from sparksig.comparison import Verdict, compare
from sparksig.convert.arrow import to_arrow
from sparksig.errors import Code, ContractError, Finding, SignatureError
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, Map
from tests.cases import describe_case
from tests.core.test_comparison import columns, summarize, tensor, thing, unnamed

IDENTICAL, FULL, BACKWARD, FORWARD, INCOMPATIBLE = Verdict

# --- params -----------------------------------------------------------------------------------------------


def params(*specs):
    return ModelSignature(params=ParamSchema([ParamSpec(*spec) for spec in specs]))


_CLOSED = (
    ("p", thing(a="long", b=("long",)), {"a": 1}),
    ("p", thing(a="long"), {"a": 1}),
)
OF_PARAMS = {
    "the same": (("p", "long", 1), ("p", "long", 1), IDENTICAL),
    "another default": (("p", "long", 1), ("p", "long", 2), FULL),
    "wider": (("p", "integer", 1), ("p", "double", 1.0), BACKWARD),
    "another type": (("p", "string", "a"), ("p", "long", 1), INCOMPATIBLE),
    "a list": (("p", "long", 1), ("p", "long", [1], (-1,)), INCOMPATIBLE),
    "a wider list": (("p", "integer", [1], (-1,)), ("p", "long", [1], (-1,)), BACKWARD),
    "None no more": (("p", "long", None), ("p", "long", 1), FORWARD),
    "None in a list no more": (("p", "long", [None], (-1,)), ("p", "long", [1], (-1,)), FORWARD),
    "a property less": (*_CLOSED, FORWARD),
    "NaN": (("p", "double", float("nan")), ("p", "double", float("nan")), IDENTICAL),
    "wider NaN": (("p", "float", float("nan")), ("p", "double", float("nan")), BACKWARD),
    "another name": (("p", "long", 1), ("q", "long", 1), INCOMPATIBLE),
}


@pytest.mark.parametrize(("old", "new", "verdict"), OF_PARAMS.values(), ids=OF_PARAMS)
def test_params(old, new, verdict):
    assert compare(params(old), params(new)).params.verdict is verdict


def test_findings_and_notes_of_params():
    old = params(
        ("k", "long", 3),
        ("temperature", "double", 0.5),
        ("stop", "string", ["x"], (-1,)),
        ("n", "long", None),
    )
    new = params(("temprature", "double", 0.5), ("stop", "string", "x"), ("n", "long", 5), ("k", "long", 4))
    side = compare(old, new).params
    assert [str(finding) for finding in side.upgrade] == [
        "temperature: expected no such param, got double (did you mean 'temprature'?) [UNKNOWN_KEY]",
        "stop: expected string, got a list of string [SHAPE_MISMATCH]",
        "n: expected long, got long or None (a param accepts None only if its default has it: "
        "use None in both defaults) [NULL_IN_REQUIRED]",
    ]
    assert [finding.path for finding in side.rollback] == ["temprature", "stop"]
    assert list(map(str, side.notes)) == [
        "k: its default: 3 -> 4",
        "stop: its default: ['x'] -> 'x'",
        "n: its default: None -> 5",
        "temprature: only in new; its default is 0.5",
    ]


def test_object_params_refuse_undeclared_keys():
    old, new = (params(("p", dtype, {"a": 1})) for dtype in (thing(a="long", b=("long",)), thing(a="long")))
    assert [str(finding) for finding in compare(old, new).params.upgrade] == [
        "p.b: expected no such property, got long [UNKNOWN_KEY]"
    ]
    assert compare(old, new).params.rollback == ()
    nested = [params(("p", thing(x=dtype), {"x": {"a": 1}})) for dtype in (thing(a="long"), Map("long"))]
    assert compare(*nested).params.upgrade == ()
    assert [str(finding) for finding in compare(*nested).params.rollback] == [
        "p.x.a: expected a required property, got a map, which may lack the key [MISSING_FIELD]",
        "p.x: expected {a: long (required)}, got Map(str -> DataType.long) (declare the same "
        "object: a map may have other keys) [TYPE_MISMATCH]",
    ]
    nested[0] = params(("p", thing(x=thing(a=("long",))), {"x": {"a": 1}}))
    assert [str(finding) for finding in compare(*nested).params.upgrade] == [
        "p.x.a: expected long, got an optional property, which may be None [NULL_IN_REQUIRED]"
    ]


def test_no_params_equal_an_empty_list_of_params():
    with_, without = params(("p", "long", 1)), ModelSignature(columns(a="long"))
    assert compare(without, with_).params.verdict is BACKWARD
    assert compare(with_, without).params.verdict is FORWARD
    assert not compare(without, without).params.declared


def test_the_order_of_params_does_not_matter():
    first, second = ("a", "long", 1), ("b", "string", "x")
    assert compare(params(first, second), params(second, first)).verdict is IDENTICAL


def test_defaults_that_are_long_are_cut_and_none_is_printed_raw():
    old, new = params(("p", "string", "x" * 500)), params(("p", "string", "\x1b[31m\n"))
    [note] = compare(old, new).params.notes
    assert len(note.text) < 150
    assert note.text.isprintable()
    day = datetime.date(2020, 1, 2)
    [note] = compare(params(("p", "datetime", None)), params(("p", "datetime", day))).params.notes
    assert note.text == "its default: None -> datetime.date(2020, 1, 2)"


@pytest.mark.parametrize("values", [(1, True), (1, 1.0), (0.0, -0.0)], ids=describe_case)
def test_defaults_that_are_equal_and_not_the_same_are_a_note(values):
    dtype = thing(a=AnyType())
    old, new = (params(("p", dtype, {"a": value})) for value in values)
    assert old != new
    assert compare(old, new).params.verdict is FULL


# --- sides ------------------------------------------------------------------------------------------------


def test_a_side_that_only_one_declares_cannot_be_judged():
    plain, full = ModelSignature(columns(a="long")), ModelSignature(columns(a="long"), unnamed("double"))
    comparisons = [compare(plain, full), compare(full, plain)]
    verdicts = [(comparison.inputs.verdict, comparison.outputs.verdict) for comparison in comparisons]
    assert verdicts == [(IDENTICAL, INCOMPATIBLE)] * 2
    assert not any(comparison.ok for comparison in comparisons)
    hint = "set a signature that declares this side"
    one, nothing = "1 column without a name", "nothing declared"
    assert compare(plain, full).outputs.upgrade == (Finding(Code.MISSING_KEY, "", nothing, one, hint),)
    assert compare(full, plain).outputs.upgrade == (Finding(Code.MISSING_KEY, "", one, nothing, hint),)
    plain, full = (
        ModelSignature(None, unnamed("double")),
        ModelSignature(columns(a="long"), unnamed("double")),
    )
    assert compare(plain, full).inputs.upgrade == (
        Finding(Code.MISSING_KEY, "", "1 column (a)", nothing, hint),
    )


def test_the_sides_of_a_signature_are_judged_each_by_itself():
    old = ModelSignature(columns(a="integer"), columns(y="double"), ParamSchema([ParamSpec("k", "long", 1)]))
    new = ModelSignature(columns(a="long"), columns(y="integer"), ParamSchema([ParamSpec("k", "long", 2)]))
    comparison = compare(old, new)
    assert [side.verdict for side in comparison.sides.values()] == [BACKWARD, BACKWARD, FULL]
    assert comparison.verdict is BACKWARD
    assert comparison.ok
    assert compare(new, old).verdict is FORWARD
    mixed = ModelSignature(columns(a="long"), columns(y="string"), old.params)
    assert compare(old, mixed).verdict is INCOMPATIBLE
    assert not compare(old, mixed).ok


def test_a_schema_is_compared_as_inputs_unless_said_otherwise():
    signature = ModelSignature(columns(a="long"), columns(y="double"))
    assert compare(columns(a="integer"), signature).inputs.verdict is BACKWARD
    assert compare(signature, columns(y="double"), side="outputs").outputs.verdict is IDENTICAL
    only = compare(signature, signature, side="outputs")
    assert [side.declared for side in only.sides.values()] == [False, True, False]
    assert (
        compare(columns(a="long"), ModelSignature(None, columns(y="long"))).inputs.upgrade[0].code
        is Code.MISSING_KEY
    )


_NO_CONTRACT = (
    "contract: expected a ModelSignature, a Schema, a dictionary of a signature, a StructType, an Arrow "
    "schema, DDL, a model directory, a JSON file with a signature, or a table, got "
)


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        (
            (None, columns(a="long")),
            {},
            ContractError,
            _NO_CONTRACT + "None",
        ),
        (
            (columns(a="long"), b"model"),
            {},
            ContractError,
            _NO_CONTRACT + "a value of type bytes",
        ),
        (
            (columns(a="long"), columns(a="long")),
            {"side": "params"},
            SignatureError,
            "side: expected 'inputs', 'outputs' or None, got 'params'",
        ),
    ],
    ids=describe_case,
)
def test_arguments_of_the_wrong_kind(args, options, error, text):
    with pytest.raises(error) as info:
        compare(*args, **options)
    assert str(info.value) == text


# --- tables -----------------------------------------------------------------------------------------------


def test_the_columns_of_a_table_are_there_and_may_hold_nulls():
    table = columns(id=("long",), price=("float",), orders=(Array(thing(n=("integer",))),), other=("string",))
    model = ModelSignature(columns(id="long", price="double", orders=Array(thing(n="long"))))
    assert not compare(table, model).ok
    fits = compare(to_arrow(table), model)
    assert fits.ok
    assert list(map(str, fits.inputs.notes)) == [
        "id: optional -> required, which refuses nulls",
        "price: optional -> required",
        "price: float -> double",
        "orders: optional -> required",
        "orders[].n: optional -> required, which refuses nulls",
        "orders[].n: integer -> long",
        "other: only in old: dropped, like every extra column",
    ]
    missing = compare(to_arrow(table), columns(id="integer", Price="double")).inputs
    assert summarize(missing.upgrade) == [
        ("TYPE_MISMATCH", "id", "integer", "int64"),
        ("MISSING_COLUMN", "Price", "double", "no such column"),
    ]


def test_the_columns_of_a_table_have_positions():
    table = columns(a=("long",), b=("long",))
    assert compare(to_arrow(table), unnamed("long", "long")).ok
    assert summarize(compare(to_arrow(table), unnamed("long")).inputs.upgrade) == [
        ("COLUMN_COUNT", "", "1 column, without names", "2 columns")
    ]


def test_the_columns_of_a_table_may_be_numbers_as_text():
    table = Schema([ColSpec("double", "0"), ColSpec("float", "1"), ColSpec("string", "x")])
    fits = compare(to_arrow(table), Schema([ColSpec("double", 0), ColSpec("double", 1)]))
    assert fits.ok
    assert list(map(str, fits.inputs.notes)) == [
        "1: float -> double",
        "x: only in old: dropped, like every extra column",
    ]
    assert summarize(compare(to_arrow(table), Schema([ColSpec("long", 0, False)])).inputs.upgrade) == [
        ("TYPE_MISMATCH", "0", "long", "double")
    ]
    text = Schema([ColSpec("double", "0")])
    assert not compare(text, Schema([ColSpec("double", 0)])).ok


def test_outputs_of_a_model_are_compared_with_a_table():
    table = columns(id=("long",), score=("double",), label="string")
    model = ModelSignature(columns(a="long"), columns(score="float", label="string"))
    comparison = compare(to_arrow(table), model, side="outputs")
    assert comparison.ok
    assert [str(finding) for finding in comparison.outputs.rollback] == [
        "score: expected float, got double (it would be narrowed: cast it explicitly, or declare it "
        "double) [TYPE_MISMATCH]"
    ]


def test_the_columns_of_a_table_make_tensors_as_far_as_they_widen():
    table = to_arrow(columns(a=("double",), b=("long",)))
    doubles = to_arrow(columns(a=("double",), b=("double",)))
    assert summarize(compare(doubles, Schema([tensor("float64", -1, 3)])).inputs.upgrade) == [
        ("SHAPE_MISMATCH", "", "shape (-1, 3)", "shape (1, 2)"),
    ]
    assert summarize(compare(table, Schema([tensor("float64", -1, 2)])).inputs.upgrade) == [
        ("TYPE_MISMATCH", "b", "float64", "int64"),
    ]
    named = Schema([tensor("float64", -1, name="a"), tensor("int64", -1, 2, name="c")])
    assert summarize(compare(table, named).inputs.upgrade) == [
        ("MISSING_COLUMN", "c", "'c': Tensor('int64', (-1, 2))", "no such column")
    ]
    lists = to_arrow(columns(v=(Array(Array("string")),)))
    assert summarize(compare(lists, Schema([tensor("bool", -1, 2, 2)])).inputs.upgrade) == [
        ("TYPE_MISMATCH", "v[][]", "bool", "list<list<string>>")
    ]
    same = Schema([tensor("bool", -1, name="a")])
    assert compare(to_arrow(same), same).verdict is IDENTICAL
