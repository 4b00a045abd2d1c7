"""compare: every rule by an example, both ways; every text. The laws are in tests/laws/test_comparison.py."""

from __future__ import annotations

import numpy as np
import pytest

from sparksig.comparison import Note, Verdict, compare
from sparksig.errors import Code
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case

IDENTICAL, FULL, BACKWARD, FORWARD, INCOMPATIBLE = Verdict


def columns(**types):
    """Named columns; a tuple is an optional one."""
    return Schema(
        [
            ColSpec(dtype[0], name, False) if isinstance(dtype, tuple) else ColSpec(dtype, name)
            for name, dtype in types.items()
        ]
    )


def unnamed(*types):
    return Schema([ColSpec(dtype) for dtype in types])


def tensor(dtype, *shape, name=None):
    return TensorSpec(np.dtype(dtype), shape, name)


def thing(**types):
    """An object; a tuple is an optional property."""
    return Object(
        [
            Property(name, dtype[0], False) if isinstance(dtype, tuple) else Property(name, dtype)
            for name, dtype in types.items()
        ]
    )


def summarize(findings):
    return [(finding.code.value, finding.path, finding.expected, finding.actual) for finding in findings]


def verdicts(old, new):
    """Compare as inputs and as outputs."""
    return compare(old, new).inputs.verdict, compare(old, new, side="outputs").outputs.verdict


# --- columns ----------------------------------------------------------------------------------------------

OF_INPUTS = {
    "the same": (columns(a="long"), columns(a="long"), IDENTICAL),
    "wider": (columns(a="integer"), columns(a="long"), BACKWARD),
    "wider, of another kind": (columns(a="integer"), columns(a="double"), BACKWARD),
    "narrower": (columns(a="double"), columns(a="float"), FORWARD),
    "another type": (columns(a="long"), columns(a="string"), INCOMPATIBLE),
    "long is no double": (columns(a="long"), columns(a="double"), INCOMPATIBLE),
    "any": (columns(a="long"), columns(a=AnyType()), BACKWARD),
    "no longer required": (columns(a="long"), columns(a=("long",)), BACKWARD),
    "required from now on": (columns(a=("double",)), columns(a="double"), FORWARD),
    "an optional one more": (columns(a="long"), columns(a="long", b=("long",)), FULL),
    "an optional one less": (columns(a="long", b=("long",)), columns(a="long"), FULL),
    "a required one more": (columns(a="long"), columns(a="long", b="long"), FORWARD),
    "a required one less": (columns(a="long", b="long"), columns(a="long"), BACKWARD),
    "another name": (columns(a="long"), columns(b="long"), INCOMPATIBLE),
    "case twins": (columns(a="long"), columns(A="long"), INCOMPATIBLE),
    "another order": (columns(a="long", b="string"), columns(b="string", a="long"), FULL),
    "unnamed": (unnamed("long", "integer"), unnamed("long", "long"), BACKWARD),
    "one more unnamed": (unnamed("long"), unnamed("long", "long"), INCOMPATIBLE),
    "names from now on": (unnamed("long"), columns(a="long"), INCOMPATIBLE),
    "nothing in common": (columns(a=("long",)), columns(b=("string",)), FULL),
}


@pytest.mark.parametrize(("old", "new", "verdict"), OF_INPUTS.values(), ids=OF_INPUTS)
def test_inputs(old, new, verdict):
    assert compare(old, new).inputs.verdict is verdict
    assert compare(old, new).ok == (verdict in (IDENTICAL, FULL, BACKWARD))
    mirrored = {BACKWARD: FORWARD, FORWARD: BACKWARD}.get(verdict, verdict)
    assert compare(new, old).inputs.verdict is mirrored


OF_OUTPUTS = {
    "the same": (unnamed("double"), unnamed("double"), IDENTICAL),
    "wider": (columns(a="float"), columns(a="double"), FORWARD),
    "narrower": (columns(a="double"), columns(a="integer"), BACKWARD),
    "no longer always": (columns(a="double"), columns(a=("double",)), FORWARD),
    "always from now on": (columns(a=("double",)), columns(a="double"), BACKWARD),
    "one becomes several": (columns(a="long"), columns(a="long", b="long"), INCOMPATIBLE),
    "one more of several": (columns(a="long", b="long"), columns(a="long", b="long", c="long"), BACKWARD),
    "an optional one less": (columns(a="long", b="long", c=("long",)), columns(a="long", b="long"), FULL),
    "one more without a name": (unnamed("long", "long"), unnamed("long", "long", "long"), INCOMPATIBLE),
    "a name from now on": (unnamed("long"), columns(a="long"), INCOMPATIBLE),
    "another name": (columns(a="long"), columns(b="long"), INCOMPATIBLE),
    "anything": (columns(a="long"), columns(a=AnyType()), FORWARD),
    "a vector is a list": (columns(a=SparkMLVector()), columns(a=Array("double")), FULL),
}


@pytest.mark.parametrize(("old", "new", "verdict"), OF_OUTPUTS.values(), ids=OF_OUTPUTS)
def test_outputs(old, new, verdict):
    assert compare(old, new, side="outputs").outputs.verdict is verdict


def test_findings_have_the_required_and_the_provided_type():
    old = columns(a="double", b=("long",), price="long")
    new = columns(a="float", b="long", prize="long", c=("string",))
    side = compare(old, new).inputs
    assert summarize(side.upgrade) == [
        ("TYPE_MISMATCH", "a", "float", "double"),
        ("MISSING_COLUMN", "b", "a required column", "an optional column"),
        ("MISSING_COLUMN", "prize", "long", "no such column"),
    ]
    assert [finding.hint for finding in side.upgrade] == [
        "it would be narrowed: cast it explicitly, or declare it double",
        "require it in both contracts, or in neither: it may be absent or null",
        "did you mean 'price'?",
    ]
    assert summarize(side.rollback) == [("MISSING_COLUMN", "price", "long", "no such column")]
    assert list(map(str, side.notes)) == [
        "price: only in old: dropped, like every extra column",
        "c: only in new, where it is optional",
    ]
    outputs = compare(old, new, side="outputs").outputs
    assert summarize(outputs.upgrade) == [("MISSING_COLUMN", "price", "long", "no such column")]
    assert list(map(str, outputs.notes)) == [
        "a: double -> float",
        "b: optional -> required, which refuses nulls",
        "prize: only in new: existing consumers can ignore it",
        "c: only in new: existing consumers can ignore it",
    ]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (
            columns(a="long", b="long"),
            unnamed("long"),
            "expected 1 column without a name, got 2 columns (a, b) (name the columns of both, or of "
            "neither) [INVALID_NAME]",
        ),
        (
            unnamed("long", "long"),
            unnamed("long"),
            "expected 1 column without a name, got 2 columns without names [COLUMN_COUNT]",
        ),
        (
            columns(**dict.fromkeys("abcdefg", "long")),
            Schema([tensor("float64", -1, 7)]),
            "expected 1 tensor without a name, got 7 columns (a, b, c, d, e, ...) (declare both as "
            "tensors, or both as columns) [TYPE_MISMATCH]",
        ),
    ],
    ids=describe_case,
)
def test_incomparable_schemas_are_one_finding(old, new, finding):
    assert [str(value) for value in compare(old, new).inputs.upgrade] == [finding]
    assert compare(old, new).inputs.verdict is INCOMPATIBLE
    assert compare(old, new).inputs.notes == ()


def test_one_output_does_not_become_several():
    side = compare(columns(a="long"), columns(a="long", b="long"), side="outputs").outputs
    assert [str(finding) for finding in side.upgrade] == [
        "expected 1 column (a), got 2 columns (a, b) (declare one output in both, or several in "
        "both: several are returned as a struct) [SHAPE_MISMATCH]"
    ]
    assert summarize(side.rollback) == [
        ("SHAPE_MISMATCH", "", "2 columns (a, b)", "1 column (a)"),
        ("MISSING_COLUMN", "b", "long", "no such column"),
    ]


def test_names_are_exact():
    numbered, named = Schema([ColSpec("long", 3)]), Schema([ColSpec("long", "3")])
    [finding] = compare(numbered, named).inputs.upgrade
    assert finding.code is Code.MISSING_COLUMN
    odd = ["a.b", "`", "", "ä", "a\nb", "A", "a"]
    schema = Schema([ColSpec("long", name) for name in odd])
    narrower = Schema([ColSpec("integer", name) for name in odd])
    assert [value.path for value in compare(schema, narrower).inputs.upgrade] == [
        "`a.b`", "````", "``", "ä", r"`a\nb`", "A", "a",
    ]  # fmt: skip


def test_another_order_is_a_note():
    side = compare(columns(a="long", b="string", c="long"), columns(b="string", d=("long",), a="long")).inputs
    assert str(side.notes[-1]) == "the order of columns changed; callers by position break"
    assert not compare(columns(a="long", b="long"), columns(b="long")).inputs.notes[1:]


def test_dropped_column_may_return_with_another_type():
    first, second, third = columns(a="long", b="string"), columns(a="long"), columns(a="long", b=("long",))
    assert compare(first, second).ok
    assert compare(second, third).ok
    assert summarize(compare(first, third).inputs.upgrade) == [("TYPE_MISMATCH", "b", "long", "string")]


# --- types in types ---------------------------------------------------------------------------------------

NESTED = {
    "array": (Array("integer"), Array("long"), BACKWARD),
    "array of arrays": (Array(Array("float")), Array(Array("double")), BACKWARD),
    "array and scalar": (Array("long"), DataType.long, INCOMPATIBLE),
    "map": (Map("integer"), Map("double"), BACKWARD),
    "vector to array": (SparkMLVector(), Array("double"), FORWARD),
    "any in an array": (Array("long"), Array(AnyType()), BACKWARD),
    "object": (thing(a="integer"), thing(a="long"), BACKWARD),
    "property less": (thing(a="long", b="long"), thing(a="long"), BACKWARD),
    "optional property less": (thing(a="long", b=("long",)), thing(a="long"), FULL),
    "optional property more": (thing(a="long"), thing(a="long", b=("long",)), FULL),
    "property required": (thing(a=("long",)), thing(a="long"), FORWARD),
    "object to map": (thing(a="integer", b=("long",)), Map("long"), BACKWARD),
    "object to map of others": (thing(a="integer", b="string"), Map("long"), INCOMPATIBLE),
    "map to optional properties": (Map("long"), thing(a=("long",), b=("long",)), FULL),
    "map to a property": (Map("long"), thing(a="long"), FORWARD),
    "object in map": (Map(thing(a=("long",))), Map(thing(a="long")), FORWARD),
    "object in object": (thing(x=thing(a="integer")), thing(x=thing(a="long", b=("long",))), BACKWARD),
}


@pytest.mark.parametrize(("old", "new", "verdict"), NESTED.values(), ids=NESTED)
def test_types_in_types(old, new, verdict):
    assert compare(columns(x=old), columns(x=new)).inputs.verdict is verdict


def test_findings_have_paths_at_every_depth():
    old = columns(x=Array(thing(a="double", b=("long",), m=Map(thing(p=("string",))))))
    new = columns(x=Array(thing(a="float", b="long", c="string", m=Map(thing(p="string")))))
    assert summarize(compare(old, new).inputs.upgrade) == [
        ("TYPE_MISMATCH", "x[].a", "float", "double"),
        ("MISSING_FIELD", "x[].c", "string", "no such field"),
        ("MISSING_FIELD", "x[].b", "a required property", "an optional property"),
        ("MISSING_FIELD", "x[].m[].p", "a required property", "an optional property"),
    ]


def test_types_are_described_as_signature_types():
    provided_types = thing(a=Array("long"), b=Map("long"), c=SparkMLVector(), d=AnyType(), e=thing(f="long"))
    required_types = thing(**dict.fromkeys("abcde", "double"))
    actual = [
        finding.actual
        for finding in compare(columns(x=provided_types), columns(x=required_types)).inputs.upgrade
    ]
    assert actual == [
        "Array(long)",
        "Map(str -> DataType.long)",
        "SparkML vector",
        "Any",
        "{f: long (required)}",
    ]


def test_a_map_may_lack_a_key_and_holds_values_of_one_type():
    old, new = columns(x=Map("integer")), columns(x=thing(a="integer", b=("string",)))
    assert summarize(compare(old, new).inputs.upgrade) == [
        ("TYPE_MISMATCH", "x.b", "string", "integer"),
        ("MISSING_FIELD", "x.a", "a required property", "a map, which may lack the key"),
    ]


def test_changes_of_types_that_are_no_reasons_are_notes():
    old = columns(x=thing(a="integer", b="long", gone="string"), y=Array(Map("float")), z="long")
    new = columns(x=thing(a="long", b=("long",), come=("string",)), y=Array(Map("double")), z=AnyType())
    assert list(map(str, compare(old, new).inputs.notes)) == [
        "x.a: integer -> long",
        "x.b: required -> optional",
        "x.come: only in new",
        "x.gone: only in old",
        "y[][]: float -> double",
        "z: long -> Any",
    ]


def test_types_of_a_hundred_levels():
    deep, other = DataType.long, DataType.integer
    for _ in range(99):
        deep, other = Array(deep), Array(other)
    [finding] = compare(columns(x=deep), columns(x=other)).inputs.upgrade
    assert finding.path == "x" + "[]" * 99
    assert compare(columns(x=other), columns(x=deep)).ok


# --- tensors ----------------------------------------------------------------------------------------------

OF_TENSORS = {
    "the same": (tensor("float64", -1, 3), tensor("float64", -1, 3), IDENTICAL),
    "any size": (tensor("float64", -1, 3), tensor("float64", -1, -1), BACKWARD),
    "a size": (tensor("float64", -1, -1), tensor("float64", -1, 3), FORWARD),
    "another size": (tensor("float64", -1, 3), tensor("float64", -1, 4), INCOMPATIBLE),
    "another rank": (tensor("float64", -1), tensor("float64", -1, 1), INCOMPATIBLE),
    "one way and the other": (tensor("float64", -1, 3), tensor("float64", 3, -1), INCOMPATIBLE),
    "a wider dtype": (tensor("float32", -1), tensor("float64", -1), INCOMPATIBLE),
    "a unit of time": (tensor("datetime64[s]", -1), tensor("datetime64[ns]", -1), INCOMPATIBLE),
}


@pytest.mark.parametrize(("old", "new", "verdict"), OF_TENSORS.values(), ids=OF_TENSORS)
def test_tensors(old, new, verdict):
    mirrored = {BACKWARD: FORWARD, FORWARD: BACKWARD}.get(verdict, verdict)
    assert verdicts(Schema([old]), Schema([new])) == (verdict, mirrored)


def test_tensors_are_compared_by_name():
    old = Schema([tensor("float64", -1, 3, name="a"), tensor("int64", -1, name="b")])
    new = Schema([tensor("float32", -1, 4, name="a"), tensor("int64", -1, name="c")])
    side = compare(old, new).inputs
    assert [str(finding) for finding in side.upgrade] == [
        "a: expected float32, got float64 (declare the same dtype: tensors are not widened) [TYPE_MISMATCH]",
        "a: expected shape (-1, 4), got shape (-1, 3) [SHAPE_MISMATCH]",
        "c: expected Tensor('int64', (-1,)), got no such tensor [MISSING_COLUMN]",
    ]
    assert list(map(str, side.notes)) == ["b: only in old: dropped, like every extra column"]
    wider = compare(Schema([tensor("int8", 2)]), Schema([tensor("int8", -1)])).inputs
    assert wider.notes == (Note("", "Tensor('int8', (2,)) -> Tensor('int8', (-1,))"),)
