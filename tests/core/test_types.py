"""The types of a signature: JSON, reprs, equality, refusals, and merging."""

from __future__ import annotations

import datetime
import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.errors import InferenceError, SignatureError, SignatureTypeError, below
from sparksig.infer.merging import merge
from sparksig.type_json import parse_field, parse_type
from sparksig.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    DataType,
    Map,
    Object,
    Property,
    SparkMLVector,
    as_type,
    describe,
)
from tests.cases import describe_case
from tests.core.helpers import alike_types, attempt, copies, json_entries, json_values, nested, places
from tests.strategies import types

LONG, DOUBLE, STRING = DataType.long, DataType.double, DataType.string


def optional(name, dtype):
    return Property(name, dtype, required=False)


# --- scalars ------------------------------------------------------------------------------------------

SCALARS = [
    ("boolean", 1, bool),
    ("integer", 2, int),
    ("long", 3, int),
    ("float", 4, float),
    ("double", 5, float),
    ("string", 6, str),
    ("binary", 7, bytes),
    ("datetime", 8, datetime.date),
]


@pytest.mark.parametrize(("name", "value", "python"), SCALARS, ids=[row[0] for row in SCALARS])
def test_a_scalar_type(name, value, python):
    dtype = DataType[name]
    assert dtype.name == repr(dtype) == describe(dtype) == name
    assert str(dtype) == f"DataType.{name}"
    assert dtype.value == value
    assert DataType(value) is as_type(name) is as_type(dtype) is dtype
    assert dtype.to_python() is python
    assert dtype.to_dict() == {"type": name}
    assert parse_type({"type": name}) is dtype
    assert dtype != name
    assert all(copied is dtype for copied in copies(dtype))


def test_all_types_are_the_eight_in_order():
    assert [dtype.name for dtype in DataType.all_types()] == [name for name, _, _ in SCALARS]
    assert len(set(DataType.all_types())) == 8


def test_a_scalar_type_is_looked_up_by_name_or_value_only():
    with pytest.raises(KeyError):
        DataType["int"]
    with pytest.raises(ValueError, match="'long' is not a valid DataType"):
        DataType("long")


# --- composites: JSON and repr ------------------------------------------------------------------------

EXAMPLES = [
    (Array("long"), "Array(long)", {"type": "array", "items": {"type": "long"}}),
    (
        Array(Array("double")),
        "Array(Array(double))",
        {"type": "array", "items": {"type": "array", "items": {"type": "double"}}},
    ),
    (Map("long"), "Map(str -> DataType.long)", {"type": "map", "values": {"type": "long"}}),
    (
        Map(Array("string")),
        "Map(str -> Array(string))",
        {"type": "map", "values": {"type": "array", "items": {"type": "string"}}},
    ),
    (
        Array(Map("boolean")),
        "Array(Map(str -> DataType.boolean))",
        {"type": "array", "items": {"type": "map", "values": {"type": "boolean"}}},
    ),
    (AnyType(), "Any", {"type": "any"}),
    (Array(AnyType()), "Array(Any)", {"type": "array", "items": {"type": "any"}}),
    (SparkMLVector(), "SparkML vector", {"type": "sparkml_vector"}),
    (
        Array(SparkMLVector()),
        "Array(SparkML vector)",
        {"type": "array", "items": {"type": "sparkml_vector"}},
    ),
    (
        Map(SparkMLVector()),
        "Map(str -> SparkML vector)",
        {"type": "map", "values": {"type": "sparkml_vector"}},
    ),
    (
        Object([Property("a", "string"), optional("b", "double")]),
        "{a: string (required), b: double (optional)}",
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "required": True},
                "b": {"type": "double", "required": False},
            },
        },
    ),
    (
        Object([optional("a", Object([Property("v", SparkMLVector())]))]),
        "{a: {v: SparkML vector (required)} (optional)}",
        {
            "type": "object",
            "properties": {
                "a": {
                    "type": "object",
                    "properties": {"v": {"type": "sparkml_vector", "required": True}},
                    "required": False,
                }
            },
        },
    ),
    (
        Object([Property("cls", "long")]),
        "{cls: long (required)}",
        {"type": "object", "properties": {"cls": {"type": "long", "required": True}}},
    ),
    (
        Object([Property("", "long"), Property("a.b", Array("long"))]),
        "{: long (required), a.b: Array(long) (required)}",
        {
            "type": "object",
            "properties": {
                "": {"type": "long", "required": True},
                "a.b": {"type": "array", "items": {"type": "long"}, "required": True},
            },
        },
    ),
]
IDS = [text for _, text, _ in EXAMPLES]


@pytest.mark.parametrize(("dtype", "text", "data"), EXAMPLES, ids=IDS)
def test_a_composite_has_its_repr_and_its_json(dtype, text, data):
    assert repr(dtype) == text
    assert json.dumps(dtype.to_dict()) == json.dumps(data)  # the order of the keys counts
    assert parse_type(data) == dtype
    assert type(dtype).from_json_dict(**data) == dtype


@pytest.mark.parametrize(("dtype", "text", "data"), EXAMPLES, ids=IDS)
def test_types_are_equal_only_to_their_like(dtype, text, data):
    assert [other for other, _, _ in EXAMPLES if other == dtype] == [dtype]
    assert dtype != text
    assert dtype != data


def test_a_property():
    prop = Property("a", "string")
    assert (prop.name, prop.dtype, prop.required) == ("a", STRING, True)
    assert repr(prop) == "a: string (required)"
    assert repr(optional("a", Array("long"))) == "a: Array(long) (optional)"
    assert prop.to_dict() == {"a": {"type": "string", "required": True}}
    assert optional("a", Map("long")).to_dict() == {
        "a": {"type": "map", "values": {"type": "long"}, "required": False}
    }
    assert Property("a", "long") < Property("b", "boolean")
    assert not Property("a", "long") < Property("A", "long")
    assert prop == Property("a", STRING)
    assert len({prop, optional("a", "string"), Property("b", "string"), Property("a", "binary")}) == 4


def test_reading_a_property_does_not_change_what_it_is_read_from():
    data = {"a": {"type": "long", "required": False}}
    assert Property.from_json_dict(**data) == optional("a", "long")
    assert data == {"a": {"type": "long", "required": False}}


@pytest.mark.parametrize(
    "name", ["cls", "self", "type", "name", "required", "properties", ""], ids=describe_case
)
def test_a_property_may_have_any_name(name):
    prop = Property(name, "long")
    assert Property.from_json_dict(**prop.to_dict()) == prop
    assert Object.from_json_dict(**Object([prop]).to_dict()) == Object([prop])


def test_the_properties_of_an_object_are_sorted_and_their_order_does_not_matter():
    names = ["b", "a", "B", "ä", "10", "9", ""]
    forth = Object([Property(name, "long") for name in names])
    back = Object(tuple(Property(name, "long") for name in reversed(names)))
    assert [prop.name for prop in forth.properties] == ["", "10", "9", "B", "a", "b", "ä"]
    assert forth == back
    assert hash(forth) == hash(back)
    assert repr(forth) == repr(back)


def test_a_vector_is_no_array_of_doubles():
    assert isinstance(SparkMLVector(), Array)
    assert SparkMLVector().dtype is DOUBLE
    assert SparkMLVector() == SparkMLVector()
    assert SparkMLVector() != Array("double")
    assert Array("double") != SparkMLVector()
    assert Array(SparkMLVector()) != Array(Array("double"))


@pytest.mark.parametrize("name", [name for name, _, _ in SCALARS], ids=describe_case)
@pytest.mark.parametrize(
    "build", [Array, Map, lambda name: Object([Property("a", name)])], ids=["array", "map", "object"]
)
def test_scalar_types_go_by_name(build, name):
    assert build(name) == build(DataType[name])


@pytest.mark.parametrize(
    ("dtype", "field"),
    [
        (Property("a", "long"), "name"),
        (Property("a", "long"), "required"),
        (Array("long"), "dtype"),
        (Map("long"), "value_type"),
        (Object([Property("a", "long")]), "properties"),
        (SparkMLVector(), "dtype"),
        (AnyType(), "anything"),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_types_cannot_be_changed(dtype, field):
    with pytest.raises(FrozenInstanceError):
        setattr(dtype, field, "other")
    with pytest.raises(FrozenInstanceError):
        delattr(dtype, field)


def test_an_object_keeps_nothing_of_the_list_it_was_made_from():
    properties = [Property("a", "long")]
    dtype = Object(properties)
    properties.append(Property("b", "long"))
    assert [prop.name for prop in dtype.properties] == ["a"]
    assert isinstance(dtype.properties, tuple)


def test_describe_cuts_what_is_long():
    wide = Object([Property(f"property_{i}", "long") for i in range(20)])
    assert describe(wide) == repr(wide)[:77] + "..."
    assert len(describe(wide)) == 80
    assert describe(Array("long")) == "Array(long)"


# --- constructors refuse ------------------------------------------------------------------------------

_NO_TYPE = "a type: expected a DataType, its name, an Array, Object, Map or AnyType, got "


@pytest.mark.parametrize(
    "build",
    [as_type, Array, Map, lambda dtype: Property("a", dtype)],
    ids=["as_type", "array", "map", "property"],
)
@pytest.mark.parametrize(
    ("dtype", "error", "text"),
    [
        (
            "x",
            SignatureError,
            "^unknown type 'x': use one of boolean, integer, long, float, double, ",
        ),
        ("array", SignatureError, "^unknown type 'array': "),
        ("any", SignatureError, "^unknown type 'any': "),
        ("int", SignatureError, "^unknown type 'int': "),
        ("Long", SignatureError, "^unknown type 'Long': "),
        (1, SignatureTypeError, f"^{_NO_TYPE}a value of type int$"),
        (None, SignatureTypeError, f"^{_NO_TYPE}None$"),
        (int, SignatureTypeError, f"^{_NO_TYPE}a value of type type$"),
        (AnyType, SignatureTypeError, f"^{_NO_TYPE}a value of type type$"),
        ([LONG], SignatureTypeError, f"^{_NO_TYPE}a value of type list$"),
        (Property("a", "long"), SignatureTypeError, f"^{_NO_TYPE}a value of type Property$"),
    ],
    ids=["x", "array", "any", "int", "case", "1", "None", "class", "any-class", "list", "property"],
)
def test_what_is_no_type_is_refused(build, dtype, error, text):
    with pytest.raises(error, match=text):
        build(dtype)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (
            lambda: Property(1, "long"),
            SignatureTypeError,
            "^a property's name: expected a string, got a value of type int$",
        ),
        (
            lambda: Property(None, "long"),
            SignatureTypeError,
            "^a property's name: expected a string, got None$",
        ),
        (
            lambda: Property("a.b", "long", None),
            SignatureTypeError,
            r"^property `a\.b`: required: expected True or False, got None$",
        ),
        (
            lambda: Property("a", "long", 1),
            SignatureTypeError,
            "^property a: required: expected True or False, got a value of type int$",
        ),
        (
            lambda: Object({"a": "long"}),
            SignatureTypeError,
            "^Object: expected a list of Property, got a value of type dict$",
        ),
        (
            lambda: Object(Property("a", "long")),
            SignatureTypeError,
            "^Object: expected a list of Property, got a value of type Property$",
        ),
        (lambda: Object([]), SignatureError, "^an Object needs at least one property$"),
        (lambda: Object(()), SignatureError, "^an Object needs at least one property$"),
        (
            lambda: Object([Property("a", "long"), "b"]),
            SignatureTypeError,
            "^Object: expected a list of Property, got a value of type str at position 1$",
        ),
        (
            lambda: Object([Property(name, "long") for name in ("b", "a", "b", "x.y", "a", "x.y")]),
            SignatureError,
            r"^an Object has duplicate properties: a, b, `x\.y`$",
        ),
    ],
    ids=[
        "name-int", "name-none", "required-none", "required-int", "dict", "one-property", "empty-list",
        "empty-tuple", "str-element", "duplicates",
    ],
)  # fmt: skip
def test_what_is_no_property_or_object_is_refused(build, error, text):
    with pytest.raises(error, match=text):
        build()


WRAPS = {
    "array": Array,
    "map": Map,
    "object": lambda inner: Object([Property("a", inner)]),
}
JSON_WRAPS = {
    "array": lambda inner: {"type": "array", "items": inner},
    "map": lambda inner: {"type": "map", "values": inner},
    "object": lambda inner: {"type": "object", "properties": {"a": inner}},
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_types_are_nested_so_deep_and_no_deeper(wrap):
    deepest = nested(MAX_DEPTH - 1, wrap, LONG)
    assert parse_type(json.loads(json.dumps(deepest.to_dict()))) == deepest
    assert hash(deepest) == hash(nested(MAX_DEPTH - 1, wrap, LONG))
    assert merge(deepest, deepest) == deepest
    assert len(repr(deepest)) > MAX_DEPTH
    with pytest.raises(SignatureError, match=r"^types may be nested at most 100 levels deep$"):
        wrap(deepest)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_the_deepest_types_can_be_copied(wrap):
    deepest = nested(MAX_DEPTH - 1, wrap, LONG)
    assert all(copied == deepest for copied in copies(deepest))


@pytest.mark.parametrize(
    ("wrap", "path"),
    [("array", "[]" * 100), ("map", "[]" * 100), ("object", ".".join("a" * 100))],
    ids=describe_case,
)
@pytest.mark.parametrize("levels", [MAX_DEPTH, 10_000], ids=describe_case)
def test_json_that_is_nested_deeper_is_refused_without_a_crash(wrap, path, levels):
    data = nested(levels, JSON_WRAPS[wrap], {"type": "long"})
    with pytest.raises(SignatureError, match="at most 100 levels of nesting, got more") as caught:
        parse_type(data)
    assert places(caught.value) == [("INVALID_VALUE", path)]


# --- parsing refuses ----------------------------------------------------------------------------------

_NAMES = "boolean, integer, long, float, double, string, binary, datetime"


@pytest.mark.parametrize(
    ("data", "place", "text"),
    [
        (None, ("INVALID_VALUE", "c"), 'c: expected a JSON object with the key "type", got None'),
        ("long", ("INVALID_VALUE", "c"), 'a JSON object with the key "type", got a value of type str'),
        ([], ("INVALID_VALUE", "c"), 'a JSON object with the key "type", got a value of type list'),
        ({}, ("MISSING_KEY", "c"), 'c: expected the key "type", got keys []'),
        ({"typ": 1, "a": 2}, ("MISSING_KEY", "c"), "expected the key \"type\", got keys ['a', 'typ']"),
        ({"type": None}, ("INVALID_VALUE", "c"), "expected the name of a type, got None"),
        ({"type": 3}, ("INVALID_VALUE", "c"), "expected the name of a type, got a value of type int"),
        ({"type": ["long"]}, ("INVALID_VALUE", "c"), "the name of a type, got a value of type list"),
        (
            {"type": "x"},
            ("INVALID_VALUE", "c"),
            f"expected one of {_NAMES}, array, object, map, any, sparkml_vector, got 'x'",
        ),
        ({"type": "LONG"}, ("INVALID_VALUE", "c"), "got 'LONG'"),
        ({"type": "tensor"}, ("INVALID_VALUE", "c"), "got 'tensor'"),
        ({"type": "array"}, ("MISSING_KEY", "c"), 'expected the key "items", got an array without items'),
        ({"type": "array", "items": "long"}, ("INVALID_VALUE", "c[]"), "got a value of type str"),
        ({"type": "array", "items": {}}, ("MISSING_KEY", "c[]"), 'expected the key "type"'),
        ({"type": "array", "items": {"type": "x"}}, ("INVALID_VALUE", "c[]"), "got 'x'"),
        ({"type": "map"}, ("MISSING_KEY", "c"), 'expected the key "values", got a map without values'),
        ({"type": "map", "values": None}, ("INVALID_VALUE", "c[]"), "got None"),
        (
            {"type": "object"},
            ("INVALID_VALUE", "c"),
            'expected the key "properties" with at least one property, got an object without properties',
        ),
        (
            {"type": "object", "properties": {}},
            ("INVALID_VALUE", "c"),
            'the key "properties" with at least one property, got a value of type dict',
        ),
        ({"type": "object", "properties": ["a"]}, ("INVALID_VALUE", "c"), "got a value of type list"),
        ({"type": "object", "properties": {"a": 1}}, ("INVALID_VALUE", "c.a"), "got a value of type int"),
        ({"type": "object", "properties": {"x.y": {}}}, ("MISSING_KEY", "c.`x.y`"), 'the key "type"'),
        (
            {"type": "object", "properties": {"a": {"type": "long", "required": "yes"}}},
            ("INVALID_VALUE", "c.a.required"),
            "expected true or false, got a value of type str",
        ),
    ],
    ids=lambda v: json.dumps(v) if not isinstance(v, (str, tuple)) else "",
)
def test_malformed_json_is_refused_with_its_path(data, place, text):
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 1 finding\n") as caught:
        parse_type(data, "c")
    assert places(caught.value) == [place]
    assert text in str(caught.value)


def test_all_malformed_properties_are_reported_at_once():
    data = {
        "type": "object",
        "properties": {
            "a": {"type": "x"},
            "b": {"type": "long"},
            "c": {"type": "array", "items": {"type": "object", "properties": {"d": {}, "e": 1}}},
            "f": {"type": "long", "required": 1},
            "g": {"type": "map", "values": {"type": "array"}},
        },
    }
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 5 findings\n") as caught:
        parse_type(data, "o")
    assert places(caught.value) == [
        ("INVALID_VALUE", "o.a"),
        ("MISSING_KEY", "o.c[].d"),
        ("INVALID_VALUE", "o.c[].e"),
        ("INVALID_VALUE", "o.f.required"),
        ("MISSING_KEY", "o.g[]"),
    ]


def test_a_property_can_be_wrong_in_two_ways_at_once():
    data = {"type": "object", "properties": {"a": {"type": "x", "required": 1}}}
    with pytest.raises(SignatureError) as caught:
        parse_type(data, "o")
    assert places(caught.value) == [("INVALID_VALUE", "o.a"), ("INVALID_VALUE", "o.a.required")]


def test_a_path_starts_with_a_name_where_nothing_stands_around():
    with pytest.raises(SignatureError) as caught:
        parse_type({"type": "object", "properties": {"a": {}, "b": {"type": "array", "items": {}}}})
    assert places(caught.value) == [("MISSING_KEY", "a"), ("MISSING_KEY", "b[]")]


@pytest.mark.parametrize("data", [data for _, _, data in EXAMPLES], ids=IDS)
def test_unknown_keys_are_refused_at_every_depth(data):
    def strew(value, path, paths):
        if not isinstance(value, dict):
            return value
        if "type" in value:
            paths.append(below(path, "comment"))
        inner = {"items": f"{path}[]", "values": f"{path}[]"}
        strewn = {}
        for key, member in value.items():
            if key == "properties":
                strewn[key] = {name: strew(body, below(path, name), paths) for name, body in member.items()}
            else:
                strewn[key] = strew(member, inner.get(key, path), paths)
        return strewn | ({"comment": ["anything"]} if "type" in value else {})

    paths = []
    strewn = strew(data, "", paths)
    with pytest.raises(SignatureError, match=r"expected one of the keys type.*got an unknown key") as caught:
        parse_type(strewn)
    assert sorted(places(caught.value)) == sorted(("UNKNOWN_KEY", path) for path in paths)


@pytest.mark.parametrize("optional", [True, False])
def test_optional_of_older_signatures_is_the_opposite_of_required(optional):
    read = parse_type({"type": "object", "properties": {"p": {"type": "long", "optional": optional}}})
    assert read == Object([Property("p", "long", required=not optional)])


@pytest.mark.parametrize(
    ("entry", "path", "text"),
    [
        (
            {"optional": True, "required": True},
            "p.optional",
            "expected either required or optional, got both",
        ),
        (
            {"optional": False, "required": None},
            "p.optional",
            "expected either required or optional, got both",
        ),
        ({"optional": "yes"}, "p.optional", "expected true or false, got a value of type str"),
        ({"optional": None}, "p.optional", "expected true or false, got None"),
    ],
    ids=["both", "both-null", "text", "null"],
)
def test_optional_that_says_nothing_clear_is_refused(entry, path, text):
    with pytest.raises(SignatureError, match=text) as caught:
        parse_type({"type": "object", "properties": {"p": {"type": "long", **entry}}})
    assert places(caught.value) == [("INVALID_VALUE", path)]


@pytest.mark.parametrize(("dtype", "text", "data"), EXAMPLES, ids=IDS)
@pytest.mark.parametrize(
    "extra", [{}, {"required": None}, {"required": True}], ids=["absent", "null", "true"]
)
def test_required_is_true_unless_said_otherwise(dtype, text, data, extra):
    read = parse_type({"type": "object", "properties": {"p": data | extra}})
    assert read == Object([Property("p", dtype, required=True)])


@pytest.mark.parametrize(
    ("more", "required"),
    [({}, True), ({"required": None}, True), ({"required": True}, True), ({"required": False}, False)],
    ids=describe_case,
)
def test_a_column_is_required_unless_it_says_otherwise(more, required):
    assert parse_field({"type": "long"} | more, "c") == (DataType.long, required)


@pytest.mark.parametrize("value", [0, 1, "true", [], {}], ids=describe_case)
def test_required_is_a_boolean(value):
    with pytest.raises(SignatureError, match=r"c\.required: expected true or false, got a value"):
        parse_field({"type": "long", "required": value}, "c")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Array.from_json_dict(type="map", values={"type": "long"}),
            r"^expected the JSON of Array, got that of Map\(str -> DataType\.long\)$",
        ),
        (
            lambda: Array.from_json_dict(type="sparkml_vector"),
            "^expected the JSON of Array, got that of SparkML vector$",
        ),
        (
            lambda: SparkMLVector.from_json_dict(type="array", items={"type": "double"}),
            r"^expected the JSON of SparkMLVector, got that of Array\(double\)$",
        ),
        (lambda: Map.from_json_dict(type="any"), "^expected the JSON of Map, got that of Any$"),
        (lambda: Object.from_json_dict(type="long"), "^expected the JSON of Object, got that of long$"),
        (lambda: AnyType.from_json_dict(type="long"), "^expected the JSON of AnyType, got that of long$"),
        (lambda: Array.from_json_dict(), "^malformed signature JSON: 1 finding\n.*the key \"type\""),
        (
            lambda: Property.from_json_dict(),
            "^the JSON of a property: expected one key, its name, got 0 keys$",
        ),
        (
            lambda: Property.from_json_dict(a={"type": "long"}, b={"type": "long"}),
            "^the JSON of a property: expected one key, its name, got 2 keys$",
        ),
        (lambda: Property.from_json_dict(a=3), "a: expected a JSON object with the key"),
    ],
    ids=[
        "map-as-array", "vector-as-array", "array-as-vector", "any-as-map", "scalar-as-object",
        "scalar-as-any", "nothing", "no-property", "two-properties", "no-body",
    ],
)  # fmt: skip
def test_from_json_dict_refuses_what_is_not_its_own(build, text):
    with pytest.raises(SignatureError, match=text):
        build()


def test_a_property_whose_name_is_no_string_is_never_dropped():
    with pytest.raises(
        SignatureError, match="expected a string as the property's name, got a value of type int"
    ):
        Object.from_json_dict(type="object", properties={1: {"type": "long"}, "a": {"type": "long"}})


# --- laws ---------------------------------------------------------------------------------------------


@given(types)
def test_json_round_trip(dtype):
    data = dtype.to_dict()
    read = parse_type(json.loads(json.dumps(data, allow_nan=False)))
    assert read == dtype
    assert repr(read) == repr(dtype)
    assert read.to_dict() == data
    if not isinstance(dtype, DataType):
        assert type(dtype).from_json_dict(**data) == dtype


@given(types)
def test_copies_are_equal(dtype):
    for copied in copies(dtype):
        assert copied == dtype
        assert repr(copied) == repr(dtype)


@given(types, types)
def test_equality_is_that_of_the_json_and_the_hash_follows(x, y):
    assert (x == y) is (x.to_dict() == y.to_dict())
    assert (x != y) is (x.to_dict() != y.to_dict())
    assert len({x, y}) == (1 if x == y else 2)
    again = parse_type(x.to_dict())
    assert again == x
    assert hash(again) == hash(x)


@given(st.one_of(json_values, json_entries()))
def test_only_signature_errors_come_out_of_hostile_json(data):
    result = attempt(parse_type, data, "c")
    if isinstance(result, SignatureError):
        assert result.findings
        assert all(finding.path.startswith("c") for finding in result.findings)
    else:
        assert parse_type(result.to_dict()) == result


# --- merging ------------------------------------------------------------------------------------------

A, ANY = Property("a", "long"), AnyType()
MERGES = [
    (LONG, LONG, LONG),
    (ANY, LONG, LONG),
    (ANY, ANY, ANY),
    (ANY, Array("long"), Array("long")),
    (ANY, Map("long"), Map("long")),
    (ANY, SparkMLVector(), SparkMLVector()),
    (ANY, Object([A]), Object([optional("a", "long")])),
    (ANY, Array(Object([A])), Array(Object([A]))),
    (Array(ANY), Array(Object([A])), Array(Object([optional("a", "long")]))),
    (Array("long"), Array("long"), Array("long")),
    (Array("long"), Array(ANY), Array("long")),
    (Array(ANY), Array(Array("long")), Array(Array("long"))),
    (Array(Array(ANY)), Array(Array("long")), Array(Array("long"))),
    (Map("long"), Map(ANY), Map("long")),
    (Map(Array(ANY)), Map(Array("long")), Map(Array("long"))),
    (Object([A]), Object([A]), Object([A])),
    (Object([A]), Object([optional("a", "long")]), Object([optional("a", "long")])),
    (Object([A]), Object([Property("a", ANY)]), Object([A])),
    (
        Object([A]),
        Object([Property("b", "string")]),
        Object([optional("a", "long"), optional("b", "string")]),
    ),
    (
        Object([A, Property("o", Object([A]))]),
        Object([A, Property("o", ANY)]),
        Object([A, Property("o", Object([optional("a", "long")]))]),
    ),
    (SparkMLVector(), SparkMLVector(), SparkMLVector()),
    (SparkMLVector(), Array("double"), Array("double")),
    (SparkMLVector(), Array(ANY), Array("double")),
]


@pytest.mark.parametrize(("x", "y", "merged"), MERGES, ids=[f"{x}+{y}" for x, y, _ in MERGES])
def test_merge(x, y, merged):
    assert merge(x, y) == merge(y, x) == merged


@pytest.mark.parametrize(
    ("x", "y", "path"),
    [
        (DataType.integer, LONG, ""),
        (LONG, DOUBLE, ""),
        (LONG, STRING, ""),
        (LONG, Array("long"), ""),
        (Array("long"), Map("long"), ""),
        (Object([A]), Map("long"), ""),
        (Array("long"), Array("double"), "[]"),
        (Map("long"), Map("string"), "[]"),
        (Map(Array("long")), Map(Array("string")), "[][]"),
        (Object([A]), Object([Property("a", "double")]), "a"),
        (Array(Object([A])), Array(Object([Property("a", "double")])), "[].a"),
        (SparkMLVector(), Array("long"), "[]"),
        (SparkMLVector(), Map("double"), ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("step", [1, -1], ids=["in order", "reversed"])
def test_merge_refuses(step, x, y, path):
    text = "^no single type covers all examples: 1 finding\n"
    with pytest.raises(InferenceError, match=text) as caught:
        merge(*[x, y][::step])
    assert places(caught.value) == [("MIXED_TYPES", path)]


def test_merge_reports_every_place_from_where_it_starts():
    x = Object([Property("a", "long"), Property("b.c", Array("long")), Property("d", Object([A]))])
    y = Object([Property("a", "double"), Property("b.c", Array("string")), Property("d", Map("long"))])
    with pytest.raises(InferenceError, match=r"^no single type covers all examples: 3 findings\n") as caught:
        merge(x, y, "rows[]")
    assert places(caught.value) == [
        ("MIXED_TYPES", "rows[].a"),
        ("MIXED_TYPES", "rows[].`b.c`[]"),
        ("MIXED_TYPES", "rows[].d"),
    ]
    first, second, third = caught.value.findings
    assert (first.expected, first.actual) == ("values of one type", "long and double")
    assert first.hint == "make them one type explicitly before inferring: inference does not widen types"
    assert (second.hint, third.hint) == ("", "")
    assert third.actual == "{a: long (required)} and Map(str -> DataType.long)"


def merged(x, y):
    result = attempt(merge, x, y)
    return None if isinstance(result, InferenceError) else result


@given(alike_types, alike_types)
def test_merge_is_symmetric(x, y):
    assert merged(x, y) == merged(y, x)


@given(st.one_of(types, alike_types))
def test_merge_with_itself_is_itself(x):
    assert merge(x, x) == x


@given(alike_types, alike_types, alike_types)
def test_the_order_of_three_does_not_matter(x, y, z):
    left, right = merged(x, y), merged(y, z)
    if left is not None and right is not None:
        assert merged(left, z) == merged(x, right)


@given(alike_types, alike_types)
def test_a_merged_type_takes_both_in(x, y):
    both = merged(x, y)
    if both is not None:
        assert merge(both, x) == merge(both, y) == both


def test_what_a_terminal_would_act_on_is_escaped_in_descriptions():
    assert describe(Object([Property("a\x1b[31m\n", "long")])) == r"{a\x1b[31m\n: long (required)}"
