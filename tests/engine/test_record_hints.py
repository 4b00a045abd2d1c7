"""Records and scalar classes in type hints: their types, the values that reach a model, and refusals."""

# ruff: noqa: UP045  the old spelling of optional types is tested

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import typing
import uuid
from collections import namedtuple
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, Optional, Union

import annotated_types
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, condecimal, create_model
from typing_extensions import NotRequired, Required, TypedDict  # pydantic asks for its own before 3.12

from sparksig import infer_signature
from sparksig.convert.annotations import from_hint, from_record, parse_input_hint
from sparksig.convert.records import unstructure
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import to_rows
from sparksig.errors import Code, ContractError, ConversionError, SignatureError
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.cases import describe_case


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"
    CRIMSON = "red"  # noqa: PIE796  an alias


class Grade(str, enum.Enum):
    A = "a"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Ratio(enum.Enum):
    HALF = 0.5


class Day(enum.Enum):
    FIRST = datetime.date(2020, 1, 1)


class Mixed(enum.Enum):
    ONE = 1
    TWO = "2"


class Tuples(enum.Enum):
    ONE = (1, 2)


class Huge(enum.Enum):
    ONE = 2**70


class Nothing(enum.Enum):
    pass


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2


Money = Annotated[Decimal, Field(max_digits=9, decimal_places=2)]
Fifteen = Annotated[Decimal, Field(max_digits=15)]
ID = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")


@dataclasses.dataclass
class Stop:
    name: str
    at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Trip:
    distance: float
    stops: list[Stop]
    note: Optional[str] = None
    color: Color = Color.RED
    seats: int = 4


class Leg(NamedTuple):
    miles: float
    stop: Stop
    note: str | None = None


class Ride(TypedDict):
    fare: Money
    rider: uuid.UUID
    leg: Leg
    tip: float | None


class Options(TypedDict, total=False):
    window: bool
    meal: str | None
    seat: Required[int]


class Booking(TypedDict):
    code: str
    options: NotRequired[Options]
    remark: NotRequired[str]


class Order(BaseModel):
    stop: Stop
    leg: Leg
    color: Color
    pair: tuple[int, int]
    price: Money
    rider: uuid.UUID


def check(rows, item, **options):
    return check_rows(rows, parse_input_hint(list[item]), **options)


def refused(rows, item, **options):
    with pytest.raises(ContractError, match=r"^the data does not fit the type hint: \d+ finding") as caught:
        check(rows, item, **options)
    return [str(finding) for finding in caught.value.findings]


def invalid(item):
    with pytest.raises(ConversionError, match=r"^the type hint .* cannot be used as a contract: ") as caught:
        parse_input_hint(list[item])
    return [str(finding) for finding in caught.value.findings]


def are_same(value, other):
    """Equal, and of the same classes all the way down."""
    if type(value) is not type(other):
        return False
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(map(are_same, value, other))
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(are_same(value[key], other[key]) for key in value)
    if dataclasses.is_dataclass(value) or isinstance(value, BaseModel):
        return are_same(vars(value), vars(other))
    return value == other and str(value) == str(other)


# --- types ----------------------------------------------------------------------------------------------

STOP = Object([Property("name", "string"), Property("at", "datetime", False)])
LEG = Object([Property("miles", "double"), Property("stop", STOP), Property("note", "string", False)])
TYPES = {
    "Enum of texts": (Color, "string"),
    "str Enum": (Grade, "string"),
    "IntEnum": (Level, "long"),
    "Enum of floats": (Ratio, "double"),
    "Enum of dates": (Day, "datetime"),
    "Literal of bytes": (Literal[b"a"], "binary"),
    "Literal of members": (Literal[Color.RED], "string"),
    "UUID": (uuid.UUID, "string"),
    "UUID4": (pydantic.UUID4, "string"),
    "Decimal": (Money, "double"),
    "Decimal of 15 digits": (Fifteen, "double"),
    "condecimal": (condecimal(max_digits=9, decimal_places=2, gt=0), "double"),
    "tuple of any length": (tuple[int, ...], Array("long")),
    "pair": (tuple[float, float], Array("double")),
    "tuple of one": (tuple[str], Array("string")),
    "pairs in a dict": (dict[str, tuple[int, int]], Map(Array("long"))),
    "dataclass": (Stop, STOP),
    "NamedTuple": (Leg, LEG),
    "nested dataclass": (
        Trip,
        Object(
            [
                Property("distance", "double"),
                Property("stops", Array(STOP)),
                Property("note", "string", False),
                Property("color", "string"),
                Property("seats", "long"),
            ]
        ),
    ),
    "TypedDict": (
        Ride,
        Object(
            [
                Property("fare", "double"),
                Property("rider", "string"),
                Property("leg", LEG),
                Property("tip", "double", False),
            ]
        ),
    ),
    "TypedDict that is not total": (
        Options,
        Object(
            [
                Property("window", "boolean", False),
                Property("meal", "string", False),
                Property("seat", "long"),
            ]
        ),
    ),
    "NotRequired": (
        Booking,
        Object(
            [
                Property("code", "string"),
                Property(
                    "options",
                    Object(
                        [
                            Property("window", "boolean", False),
                            Property("meal", "string", False),
                            Property("seat", "long"),
                        ]
                    ),
                    False,
                ),
                Property("remark", "string", False),
            ]
        ),
    ),
    "union of records": (Union[Stop, Leg], AnyType()),
    "records in a dict": (dict[str, Optional[Stop]], Map(STOP)),
    "records in a model": (
        Order,
        Object(
            [
                Property("stop", STOP),
                Property("leg", LEG),
                Property("color", "string"),
                Property("pair", Array("long")),
                Property("price", "double"),
                Property("rider", "string"),
            ]
        ),
    ),
}


@pytest.mark.parametrize(("hint", "expected"), TYPES.values(), ids=TYPES)
def test_a_hint_has_a_type(hint, expected):
    assert from_hint(list[hint]) == Schema([ColSpec(expected)])
    assert infer_signature(None, list[hint]).outputs == Schema([ColSpec(expected)])


@pytest.mark.parametrize(
    "wrap", [lambda h: (h, ...), lambda h: (Optional[h], None)], ids=["required", "optional"]
)
@pytest.mark.parametrize(("hint", "expected"), TYPES.values(), ids=TYPES)
def test_a_field_of_a_pydantic_model_has_the_type_of_its_hint(hint, expected, wrap):
    model = create_model("Row", field=wrap(hint))
    required = wrap(hint)[1] is ...
    assert from_hint(list[model]) == Schema([ColSpec(Object([Property("field", expected, required)]))])


def test_a_pydantic_field_may_limit_a_decimal_beside_its_annotation():
    class Priced(BaseModel):
        price: Decimal = Field(max_digits=9, decimal_places=2)

    assert from_hint(list[Priced]) == Schema([ColSpec(Object([Property("price", "double")]))])


def test_limits_around_an_optional_decimal_are_those_of_the_decimal():
    limited = Annotated[Optional[Decimal], Field(max_digits=9)]
    record_type = dataclasses.make_dataclass("Made", [("price", limited, None)])
    assert from_hint(list[record_type]) == Schema([ColSpec(Object([Property("price", "double", False)]))])


NO_LIMIT = (
    "expected a Decimal of at most 15 digits, which a double holds, got {} (write "
    "Annotated[Decimal, pydantic.Field(max_digits=15, decimal_places=2)], or use float, or str for exact "
    "digits) [INVALID_VALUE]"
)
MIXED = (
    "expected an Enum of bool, int, float, str, bytes, date or datetime, all of one type, got the Enum {} "
    "(give all members values of one type) [MIXED_TYPES]"
)
REFUSED = {
    "Decimal": (Decimal, NO_LIMIT.format("a Decimal without max_digits")),
    "Decimal with places": (
        Annotated[Decimal, Field(decimal_places=2)],
        NO_LIMIT.format("a Decimal without max_digits"),
    ),
    "Decimal of 16 digits": (
        Annotated[Decimal, Field(max_digits=16)],
        NO_LIMIT.format("a Decimal of 16 digits"),
    ),
    "Enum of two types": (Mixed, MIXED.format("Mixed with values of int and str")),
    "Enum of tuples": (Tuples, MIXED.format("Tuples with values of tuple")),
    "Enum beyond 64 bits": (Huge, MIXED.format("Huge with values of int beyond 64 bits")),
    "Enum without members": (
        Nothing,
        "expected at least one member, got the Enum Nothing without members [INVALID_VALUE]",
    ),
    "Flag": (
        Right,
        "expected an Enum other than Flag, got the Enum Right (flags can be combined to values without "
        "a member: use int) [INVALID_VALUE]",
    ),
    "Literal of two types": (
        Literal["a", 1],
        "expected a Literal of str, int, bool or bytes, all of one type, got values of int and str "
        "[MIXED_TYPES]",
    ),
    "Literal of members of two Enums": (
        Literal[Color.RED, Grade.A],
        "expected a Literal of str, int, bool or bytes, all of one type, got values of Color and Grade "
        "[MIXED_TYPES]",
    ),
    "time": (
        datetime.time,
        "expected a supported type, got time (no signature type holds a time of day: use "
        "datetime, or str in ISO 8601) [UNSUPPORTED_TYPE]",
    ),
    "timedelta": (
        datetime.timedelta,
        "expected a supported type, got timedelta (no signature type holds a duration: use "
        "float for seconds, or int for microseconds) [UNSUPPORTED_TYPE]",
    ),
    "set": (
        set[int],
        "expected a supported type, got set[int] (a signature has no sets: use list[int], and "
        "make it a set in the model) [UNSUPPORTED_TYPE]",
    ),
    "frozenset": (
        frozenset[str],
        "expected a supported type, got frozenset[str] (a signature has no sets: use list[str], "
        "and make it a set in the model) [UNSUPPORTED_TYPE]",
    ),
    "bare set": (
        set,
        "expected a supported type, got set (a signature has no sets: use list[...], and make "
        "it a set in the model) [UNSUPPORTED_TYPE]",
    ),
    "complex": (
        complex,
        "expected a supported type, got complex (no signature type holds complex numbers: use "
        "two floats) [UNSUPPORTED_TYPE]",
    ),
    "bare tuple": (
        tuple,
        "expected a supported type, got tuple (add the types of its elements, for example tuple[float, "
        "...]) [UNSUPPORTED_TYPE]",
    ),
    "Literal beyond 64 bits": (
        Literal[18446744073709551616],
        "expected a Literal of str, int, bool or bytes, all of one type, got values of int beyond 64 "
        "bits [MIXED_TYPES]",
    ),
    "tuple of two types": (
        tuple[int, str],
        "expected a tuple of elements of one type, got tuple[int, str] (use a NamedTuple or a dataclass, "
        "whose fields can have different types) [MIXED_TYPES]",
    ),
    "empty tuple": (
        tuple[()],
        "expected tuple[X, ...], got a tuple without elements [INVALID_VALUE]",
    ),
    "namedtuple without types": (
        namedtuple("Pair", ["a", "b"]),
        "expected fields with types, got the namedtuple Pair without types (a, b) (derive it from "
        "typing.NamedTuple) [UNSUPPORTED_TYPE]",
    ),
    "dataclass without fields": (
        dataclasses.make_dataclass("Bare", []),
        "expected at least one field, got the dataclass Bare, which has no field [UNSUPPORTED_TYPE]",
    ),
}


@pytest.mark.parametrize(("hint", "line"), REFUSED.values(), ids=REFUSED)
def test_a_hint_that_no_type_holds_is_refused_with_the_reason(hint, line):
    assert invalid(hint) == [f"[]: {line}"]
    record_type = dataclasses.make_dataclass("Made", [("ok", int), ("bad", hint)])
    assert invalid(record_type) == [f"[].bad: {line}"]
    assert invalid(TypedDict("Keys", {"bad": hint})) == [f"[].bad: {line}"]
    assert invalid(NamedTuple("Parts", [("bad", hint)])) == [f"[].bad: {line}"]


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[Decimal, Field(max_digits=15, decimal_places=2)],
        Annotated[Decimal, pydantic.Field(max_digits=15, decimal_places=2)],
        float,
        str,
        list[int],
    ],
)
def test_the_advice_of_a_refusal_works(hint):
    assert from_hint(list[dataclasses.make_dataclass("Made", [("field", hint)])])


@dataclasses.dataclass
class Node:
    children: list[Node]


class Chain(typing.TypedDict):
    next: Optional[Chain]


@dataclasses.dataclass
class Secret:
    a: int
    key: dataclasses.InitVar[str]


@dataclasses.dataclass
class Unresolved:
    a: Nowhere  # noqa: F821


STRUCTURE = {
    "recursive dataclass": (
        Node,
        "[].children[]: expected a type of finite depth, got the dataclass Node inside itself (a signature "
        "has no recursive types) [INVALID_VALUE]",
    ),
    "recursive TypedDict": (
        Chain,
        "[].next: expected a type of finite depth, got the TypedDict Chain inside itself (a signature has "
        "no recursive types) [INVALID_VALUE]",
    ),
    "InitVar": (
        Secret,
        "[]: expected a dataclass that can be built from its fields, got the dataclass Secret, whose "
        "constructor needs key [INVALID_VALUE]",
    ),
    "unresolved annotation": (
        Unresolved,
        "[]: expected annotations that can be resolved, got the dataclass Unresolved with an annotation "
        "that cannot be resolved: "
        "name 'Nowhere' is not defined (define its types at the top level of a module) "
        "[INVALID_VALUE]",
    ),
}


@pytest.mark.parametrize(("hint", "line"), STRUCTURE.values(), ids=STRUCTURE)
def test_a_record_that_cannot_be_built_is_refused(hint, line):
    assert invalid(hint) == [line]


# --- values ---------------------------------------------------------------------------------------------

NOON = datetime.datetime(2020, 1, 31, 12)
DICTS = {
    "Enum": (Color, ["red", Color.BLUE], [Color.RED, Color.BLUE]),
    "str Enum": (Grade, ["a", Grade.A, np.str_("a")], [Grade.A] * 3),
    "IntEnum": (Level, [1, np.int32(2), Level.LOW], [Level.LOW, Level.HIGH, Level.LOW]),
    "Enum of floats": (Ratio, [0.5], [Ratio.HALF]),
    "Enum of dates": (Day, [pd.Timestamp("2020-01-01")], [Day.FIRST]),
    "Literal of members": (Literal[Color.RED], ["red", Color.CRIMSON], [Color.RED, Color.RED]),
    "Literal with None": (list[Literal["a", None]], [["a", None]], [["a", None]]),
    "UUID": (uuid.UUID, [str(ID), str(ID).upper(), ID], [ID, ID, ID]),
    "Decimal": (
        Money,
        [12.5, 3, Decimal("0.1"), -0.05, 1234567.89],
        [Decimal("12.50"), Decimal("3.00"), Decimal("0.1"), Decimal("-0.05"), Decimal("1234567.89")],
    ),
    "Decimal of 15 digits": (Fifteen, [0.000000000000001], [Decimal("1E-15")]),
    "tuple of any length": (tuple[int, ...], [[1, 2], (3,), []], [(1, 2), (3,), ()]),
    "pair": (tuple[float, float], [[1, 2.5], (0.5, 1.5)], [(1.0, 2.5), (0.5, 1.5)]),
    "dataclass": (
        Stop,
        [{"name": "a"}, {"name": "b", "at": NOON}, Stop("c")],
        [Stop("a"), Stop("b", NOON), Stop("c")],
    ),
    "extra keys are dropped": (Stop, [{"name": "a", "more": 1}], [Stop("a")]),
    "nested dataclass": (
        Trip,
        [{"distance": 2, "stops": [{"name": "a", "at": None}, Stop("b")], "color": "blue"}],
        [Trip(2.0, [Stop("a"), Stop("b")], None, Color.BLUE)],
    ),
    "NamedTuple": (
        Leg,
        [{"miles": 1, "stop": {"name": "a"}}, Leg(2.5, Stop("b"), "c")],
        [Leg(1.0, Stop("a")), Leg(2.5, Stop("b"), "c")],
    ),
    "TypedDict": (
        Ride,
        [{"fare": 9.99, "rider": str(ID), "leg": {"miles": 1.5, "stop": {"name": "a"}}, "more": 0}],
        [{"fare": Decimal("9.99"), "rider": ID, "leg": Leg(1.5, Stop("a")), "tip": None}],
    ),
    "TypedDict that is not total": (
        Options,
        [{"seat": 1}, {"seat": 1, "meal": None, "window": None}, {"seat": 1, "window": True}],
        [{"seat": 1}, {"seat": 1, "meal": None}, {"seat": 1, "window": True}],
    ),
    "NotRequired": (
        Booking,
        [{"code": "a", "options": None}, {"code": "b", "options": {"seat": 2}, "remark": "c"}],
        [{"code": "a"}, {"code": "b", "options": {"seat": 2}, "remark": "c"}],
    ),
    "union of records": (
        Union[Stop, Leg],
        [{"name": "a"}, {"miles": 1.5, "stop": Stop("b")}, Stop("c")],
        [Stop("a"), Leg(1.5, Stop("b")), Stop("c")],
    ),
    "records in a dict": (dict[str, Stop], [{"x": {"name": "a"}}], [{"x": Stop("a")}]),
}


@pytest.mark.parametrize(("hint", "rows", "expected"), DICTS.values(), ids=DICTS)
def test_values_become_instances(hint, rows, expected):
    before = repr(rows)
    assert are_same(check(rows, hint), expected)
    assert repr(rows) == before


@pytest.mark.parametrize(("hint", "rows", "expected"), DICTS.values(), ids=DICTS)
def test_instances_are_kept(hint, rows, expected):
    again = check(list(expected), hint)
    assert are_same(again, expected)
    if dataclasses.is_dataclass(hint):
        assert all(value is other for value, other in zip(again, expected))


def test_values_become_instances_in_a_pydantic_model():
    row = {
        "stop": {"name": "a"}, "leg": {"miles": 1, "stop": {"name": "b"}}, "color": "blue", "pair": [1, 2],
        "price": 0.5, "rider": str(ID),
    }  # fmt: skip
    expected = Order(
        stop=Stop("a"),
        leg=Leg(1.0, Stop("b")),
        color=Color.BLUE,
        pair=(1, 2),
        price=Decimal("0.50"),
        rider=ID,
    )
    assert are_same(check([row, expected], Order), [expected, expected])


def test_pydantic_models_and_constraints_hold_in_records():
    class Item(BaseModel):
        sku: str = Field(min_length=1)

    record_type = dataclasses.make_dataclass(
        "Line",
        [
            ("item", Item),
            ("count", Annotated[int, annotated_types.Gt(0)]),
            ("many", Annotated[list[Stop], Field(max_length=1)]),
        ],
    )
    [line] = check([{"item": {"sku": "a"}, "count": 1, "many": [{"name": "b"}]}], record_type)
    assert are_same(line, record_type(Item(sku="a"), 1, [Stop("b")]))
    assert refused([{"item": {"sku": ""}, "count": 0, "many": [Stop("b"), {"name": "c"}]}], record_type) == [
        "[].item.sku: expected str, got a value against the rule string_too_short, once, first in row 0 "
        "[INVALID_VALUE]",
        "[].count: expected int, got a value against the rule greater_than, once, first in row 0 "
        "[INVALID_VALUE]",
        "[].many: expected list[Stop], got a value against the rule too_long, once, first in row 0 "
        "[INVALID_VALUE]",
    ]


def test_an_instance_with_other_values_is_built_anew_without_changing_it():
    leg, trip = Leg(1, {"name": "a"}), Trip(1, [{"name": "b"}])
    assert are_same(check([leg], Leg), [Leg(1.0, Stop("a"))])
    assert are_same(check([trip], Trip), [Trip(1.0, [Stop("b")])])
    assert (leg, trip) == (Leg(1, {"name": "a"}), Trip(1, [{"name": "b"}]))


def test_a_subclass_of_a_dataclass_stays_one():
    @dataclasses.dataclass
    class Hub(Stop):
        lines: int = 0

    hub = Hub("a", None, 3)
    assert check([hub], Stop)[0] is hub
    [rebuilt] = check([Hub(np.str_("a"), None, 3)], Stop)
    assert are_same(rebuilt, hub)


MONEY = "[]: expected a Decimal of at most 9 digits, 2 after the point, got "
NO_UUID = "[]: expected a value of UUID, got a text that is not a UUID of 32 hexadecimal digits and 4 hyphens"
VALUES = {
    "no member": (Color, "green", "[]: expected a value of Color, got another value", "INVALID_VALUE"),
    "name of a member": (Color, "RED", "[]: expected a value of Color, got another value", "INVALID_VALUE"),
    "member of another Enum": (
        Level,
        Color.RED,
        "[]: expected Level, got a value of type Color",
        "TYPE_MISMATCH",
    ),
    "member that is not allowed": (
        Literal[Color.RED],
        Color.BLUE,
        "[]: expected a value of Color, got another value",
        "INVALID_VALUE",
    ),
    "bool for an IntEnum": (Level, True, "[]: expected Level, got a value of type bool", "TYPE_MISMATCH"),
    "text for an IntEnum": (Level, "1", "[]: expected Level, got a value of type str", "TYPE_MISMATCH"),
    "no UUID": (
        uuid.UUID,
        "x",
        NO_UUID,
        "INVALID_VALUE",
    ),
    "UUID in braces": (
        uuid.UUID,
        f"{{{ID}}}",
        NO_UUID,
        "INVALID_VALUE",
    ),
    "bytes for a UUID": (
        uuid.UUID,
        ID.bytes,
        "[]: expected UUID, got a value of type bytes",
        "TYPE_MISMATCH",
    ),
    "NaN for a Decimal": (
        Money,
        math.nan,
        f"{MONEY}a value that is not finite",
        "INVALID_VALUE",
    ),
    "more places": (
        Money,
        0.125,
        f"{MONEY}3 digits after the point",
        "INVALID_VALUE",
    ),
    "more digits": (
        Money,
        12345678.5,
        f"{MONEY}8 digits before the point and 1 after it",
        "INVALID_VALUE",
    ),
    "more digits of a Decimal": (
        Fifteen,
        Decimal("0.1234567890123456"),
        "[]: expected a Decimal of at most 15 digits, got 0 digits before the point and 16 after it",
        "INVALID_VALUE",
    ),
    "text for a Decimal": (Money, "1.5", "[]: expected Decimal, got a value of type str", "TYPE_MISMATCH"),
    "longer tuple": (tuple[int, int], [1, 2, 3], "[]: expected 2 elements, got 3", "SHAPE_MISMATCH"),
    "set for a tuple": (
        tuple[int, ...],
        {1},
        "[]: expected a tuple, got a value of type set",
        "TYPE_MISMATCH",
    ),
    "text in a tuple": (
        tuple[int, ...],
        ["a"],
        "[][]: expected int, got a value of type str",
        "TYPE_MISMATCH",
    ),
    "missing field": (Stop, {}, "[].name: expected str, got no such field", "MISSING_FIELD"),
    "None in a field": (Stop, {"name": None}, "[].name: expected str, got None", "TYPE_MISMATCH"),
    "field of an instance": (
        Stop,
        Stop(1),
        "[].name: expected str, got a value of type int",
        "TYPE_MISMATCH",
    ),
    "list for a dataclass": (
        Stop,
        ["a"],
        "[]: expected a dictionary, or an instance of Stop, got a value of type list",
        "TYPE_MISMATCH",
    ),
    "tuple for a NamedTuple": (
        Leg,
        (1.5, Stop("a")),
        "[]: expected a dictionary, or an instance of Leg, got a value of type tuple",
        "TYPE_MISMATCH",
    ),
    "list for a TypedDict": (
        Options,
        [],
        "[]: expected a dictionary, got a value of type list",
        "TYPE_MISMATCH",
    ),
    "missing key": (Options, {}, "[].seat: expected int, got no such field", "MISSING_FIELD"),
}


@pytest.mark.parametrize(("hint", "value", "text", "code"), VALUES.values(), ids=VALUES)
def test_a_value_that_does_not_fit_is_refused(hint, value, text, code):
    assert refused([value], hint) == [f"{text}, once, first in row 0 [{code}]"]


def test_a_value_in_a_record_in_a_model_is_reported_once():
    row = {
        "stop": {"name": 1},
        "leg": {"miles": "x", "stop": Stop("b")},
        "color": "green",
        "pair": [1],
        "price": 0.125,
        "rider": "x",
    }
    with pytest.raises(ContractError) as caught:
        check([row], Order)
    assert [(finding.path, finding.code) for finding in caught.value.findings] == [
        ("[].stop.name", Code.TYPE_MISMATCH),
        ("[].leg.miles", Code.TYPE_MISMATCH),
        ("[].color", Code.INVALID_VALUE),
        ("[].pair", Code.SHAPE_MISMATCH),
        ("[].price", Code.INVALID_VALUE),
        ("[].rider", Code.INVALID_VALUE),
    ]


def test_what_a_class_refuses_is_reported_without_its_text():
    @dataclasses.dataclass
    class Positive:
        value: int

        def __post_init__(self):
            if self.value < 0:
                raise ValueError(f"negative: {self.value}")

    assert refused([{"value": 1}, {"value": -77}], Positive) == [
        "[]: expected values for Positive, got values that it refuses with ValueError, once, first in row "
        "1 (build Positive(...) from the row to see the error) [INVALID_VALUE]"
    ]


def test_a_dataclass_of_pydantic_is_a_record():
    @pydantic.dataclasses.dataclass
    class Priced:
        price: Decimal = Field(max_digits=9, decimal_places=2)
        count: int = Field(1, gt=0)

    assert from_hint(list[Priced]) == Schema(
        [ColSpec(Object([Property("price", "double"), Property("count", "long")]))]
    )
    [record] = check([{"price": 2.5}], Priced)
    assert (type(record), record.price, record.count) == (Priced, Decimal("2.50"), 1)


@given(st.decimals(-(10**7) + 1, 10**7 - 1, places=2))
def test_a_decimal_comes_back_from_its_double(number):
    [decoded] = check([float(number)], Money)
    assert decoded == number
    assert str(decoded) == str(number) or not number


def test_json_has_texts_for_uuids_and_values_for_enumerations():
    row = {"stop": {"name": "a", "at": "2020-01-31T12:00:00"}, "miles": 1.5}
    assert are_same(check([row], Leg, from_json=True), [Leg(1.5, Stop("a", NOON))])
    assert check([str(ID)], uuid.UUID, from_json=True) == [ID]
    assert check(["2020-01-01"], Day, from_json=True) == [Day.FIRST]


# --- frames ---------------------------------------------------------------------------------------------

FRAMES = {
    "fields": (pd.DataFrame({"name": ["a", "b"], "at": [NOON, None]}), Stop, [Stop("a", NOON), Stop("b")]),
    "cells": (pd.DataFrame({0: [{"name": "a"}, Stop("b")]}), Stop, [Stop("a"), Stop("b")]),
    "one field": (pd.DataFrame({"seat": [1, 2]}), Options, [{"seat": 1}, {"seat": 2}]),
    "missing key": (
        pd.DataFrame({"seat": [1, 2], "window": [True, None]}),
        Options,
        [{"seat": 1, "window": True}, {"seat": 2}],
    ),
    "arrays": (pd.DataFrame({0: [np.array([1.5, 2.5])]}), tuple[float, float], [(1.5, 2.5)]),
    "decimals": (pd.DataFrame({"fare": [1.5, 2.25]}), Money, [Decimal("1.50"), Decimal("2.25")]),
    "missing decimal": (
        pd.DataFrame({0: [[1.5, math.nan]]}), list[Optional[Money]], [[Decimal("1.50"), None]],
    ),
    "members": (pd.Series(["red", "blue"]), Color, [Color.RED, Color.BLUE]),
    "array of members": (np.array([1, 2]), Level, [Level.LOW, Level.HIGH]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "hint", "expected"), FRAMES.values(), ids=FRAMES)
def test_a_frame_gives_instances(data, hint, expected):
    listing = parse_input_hint(list[hint])
    assert are_same(check_rows(to_rows(data, listing), listing), expected)


def test_a_missing_decimal_is_none_and_not_a_number():
    listing = parse_input_hint(list[Money])
    with pytest.raises(ContractError, match=r"\[\]: expected Decimal, got None, once, first in row 1"):
        check_rows(to_rows(pd.DataFrame({"fare": [1.5, math.nan]}), listing), listing)


# --- columns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        Leg,
        Leg(1.5, Stop("a")),
        TypedDict("LegKeys", {"miles": float, "stop": Stop, "note": Optional[str]}),
    ],
    ids=["class", "instance", "TypedDict"],
)
def test_the_fields_of_a_record_are_columns(record):
    expected = Schema([ColSpec("double", "miles"), ColSpec(STOP, "stop"), ColSpec("string", "note", False)])
    assert infer_signature(record).inputs == expected
    assert infer_signature(None, record).outputs == expected


def test_a_record_without_fields_has_no_columns():
    with pytest.raises(
        SignatureError, match=r"^the TypedDict Empty has no field: a schema needs at least one"
    ):
        from_record(TypedDict("Empty", {}))


# --- instances as dictionaries --------------------------------------------------------------------------


def test_instances_become_dictionaries():
    order = Order(
        stop=Stop("a"),
        leg=Leg(1.0, Stop("b")),
        color=Color.BLUE,
        pair=(1, 2),
        price=Decimal("0.50"),
        rider=ID,
    )
    leg = {"miles": 1.0, "stop": {"name": "b", "at": None}, "note": None}
    assert unstructure([order, Leg(1.0, Stop("b"))]) == [
        {
            "stop": {"name": "a", "at": None}, "leg": leg, "color": "blue", "pair": [1, 2], "price": 0.5,
            "rider": str(ID),
        },
        leg,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", [1, None, "a", [1, 2], {"a": 1}, NOON, Decimal("1.5"), np.float64(1)], ids=describe_case
)
def test_plain_values_are_returned_as_they_are(value):
    assert unstructure(value) is value


def test_a_decimal_that_a_float_cannot_hold_stays_one():
    exact = Decimal("0.12345678901234567")
    assert unstructure([exact]) == [exact]
    assert type(unstructure([exact])[0]) is Decimal


@given(st.builds(Leg, st.floats(allow_nan=False), st.builds(Stop, st.text()), st.none() | st.text()))
def test_an_instance_comes_back_from_its_dictionary(leg):
    assert are_same(check([unstructure(leg)], Leg), [leg])
