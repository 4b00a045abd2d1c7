"""Values against type hints: the Python values that reach a model, and refusals."""

# ruff: noqa: UP045  the old spellings are tested

from __future__ import annotations

import base64
import copy
import datetime as dt
import decimal
import enum
import math
import re
import traceback
from typing import Annotated, Any, Literal, Optional, Union

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    create_model,
    field_validator,
    model_validator,
)

from sparksig.convert.annotations import parse_input_hint
from sparksig.engine.hints import check_rows
from sparksig.engine.rows import to_rows
from sparksig.errors import ContractError
from tests.cases import describe_case

BROKEN = r"^the data does not fit the type hint: \d+ findings?\n"
DAY = dt.date(2020, 1, 31)
MIDNIGHT = dt.datetime(2020, 1, 31)
NOON = dt.datetime(2020, 1, 31, 12, 30, 0, 1)
AWARE = NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))


def check(rows, item, **options):
    return check_rows(rows, parse_input_hint(list[item]), **options)


def lines(call):
    """Return the findings of a call that must fail, one a line."""
    with pytest.raises(ContractError, match=BROKEN) as caught:
        call()
    return [str(finding) for finding in caught.value.findings]


def refused(rows, item, **options):
    return lines(lambda: check(rows, item, **options))


def once(path, text, code="TYPE_MISMATCH"):
    return f"{path}: {text}, once, first in row 0 [{code}]"


def are_same(value, other):
    """Equal, of the same types all the way down, a NaN being itself."""
    if type(value) is not type(other):
        return False
    if isinstance(value, list):
        return len(value) == len(other) and all(map(are_same, value, other))
    if isinstance(value, dict):
        return list(value) == list(other) and all(map(are_same, value.values(), other.values()))
    if isinstance(value, BaseModel):
        return are_same(dict(value), dict(other))
    return value == other or (value != value and other != other)


# --- scalars --------------------------------------------------------------------------------------------


class Text(str):
    pass


class Number(int):
    pass


class Level(enum.IntEnum):
    LOW = 1


class Color(str, enum.Enum):
    RED = "red"


VALUES = {
    "True": True,
    "one": 1,
    "2**53": 2**53,
    "2**53+1": 2**53 + 1,
    "least": -(2**63),
    "2**63": 2**63,
    "2**70": 2**70,
    "subclass of int": Number(7),
    "IntEnum": Level.LOW,
    "float": 1.5,
    "whole": 1.0,
    "nan": math.nan,
    "inf": math.inf,
    "text": "1",
    "no text": "",
    "subclass of str": Text("a"),
    "enum of texts": Color.RED,
    "bytes": b"a",
    "bytearray": bytearray(b"a"),
    "date": DAY,
    "datetime": NOON,
    "midnight": MIDNIGHT,
    "aware": AWARE,
    "Timestamp": pd.Timestamp(NOON),
    "aware Timestamp": pd.Timestamp(AWARE),
    "nanoseconds": pd.Timestamp("2020-01-31 12:00:00.000000001"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "None": None,
    "bool_": np.True_,
    "int8": np.int8(-3),
    "int64": np.int64(2**62),
    "uint32": np.uint32(2**32 - 1),
    "uint64": np.uint64(1),
    "float16": np.float16(0.1),
    "float32": np.float32(0.1),
    "float64": np.float64(0.1),
    "nan of NumPy": np.float32("nan"),
    "longdouble": np.longdouble(1),
    "complex128": np.complex128(1),
    "str_": np.str_("a"),
    "bytes_": np.bytes_(b"a"),
    "datetime64[us]": np.datetime64(NOON),
    "datetime64[ns]": np.datetime64("2020-01-31T12:30:00.000001000"),
    "datetime64[s]": np.datetime64("2020-01-31T00:00:00", "s"),
    "datetime64[D]": np.datetime64("2020-01-31"),
    "datetime64 with nanoseconds": np.datetime64("2020-01-31T12:30:00.000000001"),
    "datetime64 far away": np.datetime64("20000-01-31"),
    "datetime64 NaT": np.datetime64("NaT"),
    "timedelta64": np.timedelta64(1, "s"),
    "Timedelta": pd.Timedelta(seconds=1),
    "Decimal": decimal.Decimal(1),
    "complex": 1j,
    "list": [1],
    "tuple": (1,),
    "dict": {"a": 1},
    "array": np.array([1]),
    "object": object(),
}
ACCEPTED = {
    bool: {"True": True, "bool_": True},
    int: {
        "one": 1,
        "2**53": 2**53,
        "2**53+1": 2**53 + 1,
        "least": -(2**63),
        "subclass of int": 7,
        "IntEnum": 1,
        "int8": -3,
        "int64": 2**62,
        "uint32": 2**32 - 1,
    },
    float: {
        "one": 1.0,
        "2**53": 2.0**53,
        "subclass of int": 7.0,
        "IntEnum": 1.0,
        "float": 1.5,
        "whole": 1.0,
        "nan": math.nan,
        "inf": math.inf,
        "int8": -3.0,
        "uint32": 2.0**32 - 1,
        "float16": float(np.float16(0.1)),
        "float32": float(np.float32(0.1)),
        "float64": 0.1,
        "nan of NumPy": math.nan,
    },
    str: {"text": "1", "no text": "", "subclass of str": "a", "enum of texts": "red", "str_": "a"},
    bytes: {"bytes": b"a", "bytearray": b"a", "bytes_": b"a"},
    dt.date: {"date": DAY, "datetime64[D]": DAY, "datetime64[s]": DAY},
    dt.datetime: {
        "date": MIDNIGHT,
        "datetime": NOON,
        "midnight": MIDNIGHT,
        "aware": AWARE,
        "Timestamp": NOON,
        "aware Timestamp": AWARE,
        "datetime64[us]": NOON,
        "datetime64[ns]": NOON,
        "datetime64[s]": MIDNIGHT,
        "datetime64[D]": MIDNIGHT,
    },
}
SCALARS = pytest.mark.parametrize("hint", ACCEPTED, ids=lambda hint: hint.__name__)


Holder = create_model("Holder", **{hint.__name__: (Optional[hint], None) for hint in ACCEPTED})


PLACES = {
    "alone": (lambda h: h, lambda v: v),
    "in a list": (lambda h: list[h], lambda v: [v]),
    "in a dict": (lambda h: dict[str, h], lambda v: {"k": v}),
    "deep": (lambda h: dict[str, list[list[h]]], lambda v: {"k": [[v]]}),
    "Annotated": (lambda h: Annotated[h, Field(description="any")], lambda v: v),
}


@pytest.mark.parametrize(("name", "value"), VALUES.items(), ids=VALUES)
@SCALARS
@pytest.mark.parametrize("wrap", PLACES.values(), ids=PLACES)
def test_a_scalar_reaches_its_hint_or_is_refused(hint, wrap, name, value):
    outer, around = wrap
    if name in ACCEPTED[hint]:
        (got,) = check([around(value)], outer(hint))
        assert are_same(got, around(ACCEPTED[hint][name])), name
    else:
        assert len(refused([around(value)], outer(hint))) == 1, name


@pytest.mark.parametrize("case", [case for case, value in VALUES.items() if value is not None])
@SCALARS
def test_field_of_a_model_accepts_what_its_hint_accepts(hint, case):
    name = hint.__name__
    if case in ACCEPTED[hint]:
        (record,) = check([{name: VALUES[case]}], Holder)
        assert are_same(getattr(record, name), ACCEPTED[hint][case])
    else:
        (line,) = refused([{name: VALUES[case]}], Holder)
        assert line.startswith(f"[].{name}: expected {name}, got ")


@SCALARS
def test_none_is_accepted_by_optional_scalars_only(hint):
    assert check([[None]], list[Optional[hint]]) == [[None]]
    assert refused([None], hint) == [once("[]", f"expected {hint.__name__}, got None")]


REASONS = [
    (True, int, "expected int, got a value of type bool"),
    (1, bool, "expected bool, got a value of type int"),
    ("1", int, "expected int, got a value of type str"),
    (1.0, int, "expected int, got a float"),
    (2**70, int, "expected int, got an int beyond 64 bits"),
    (-(2**63) - 1, int, "expected int, got an int beyond 64 bits"),
    (2**53 + 1, float, "expected float, got an int that double cannot hold exactly"),
    (np.int64(1), float, "expected float, got NumPy's int64"),
    (np.uint64(1), int, "expected int, got NumPy's uint64"),
    ("2020-01-31", dt.datetime, "expected datetime, got a value of type str"),
    (NOON, dt.date, "expected date, got a value of type datetime"),
    (MIDNIGHT, dt.date, "expected date, got a value of type datetime"),
    (
        VALUES["nanoseconds"],
        dt.datetime,
        "expected datetime, got a value of type Timestamp that datetime cannot represent exactly",
    ),
    (
        pd.NaT,
        dt.datetime,
        "expected datetime, got a value of type NaTType that datetime cannot represent exactly",
    ),
    (
        VALUES["datetime64 with nanoseconds"],
        dt.datetime,
        "expected datetime, got a value of type datetime64 that datetime cannot represent exactly",
    ),
]


@pytest.mark.parametrize(("value", "hint", "reason"), REASONS, ids=str)
def test_refusal_names_the_reason(value, hint, reason):
    assert refused([value], hint) == [once("[]", reason)]


@pytest.mark.parametrize("value", [AWARE, pd.Timestamp(AWARE)], ids=describe_case)
def test_an_aware_time_keeps_its_zone(value):
    (got,) = check([value], dt.datetime)
    assert got == AWARE
    assert got.utcoffset() == dt.timedelta(hours=2)


@given(st.integers())
def test_an_int_reaches_float_if_a_double_holds_it_for_sure(value):
    if abs(value) <= 2**53:
        assert are_same(check([value], float), [float(value)])
    else:
        assert len(refused([value], float)) == 1


@given(st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none()), max_size=5))
def test_many_values_have_the_same_result_as_single_values(values):
    for hint in (int, float, str, bool):
        good = []
        for value in values:
            try:
                good += check([value], hint)
            except ContractError:
                break
        if len(good) == len(values):
            assert are_same(check(values, hint), good)
        else:
            refused(values, hint)


def test_time_out_of_the_range_of_python_is_refused():
    assert len(refused([np.datetime64(2**58, "s")], dt.datetime)) == 1


# --- containers, unions, constraints --------------------------------------------------------------------

FITTING = [
    ([1, 2], int),
    ([], int),
    ([[1], []], list[int]),
    ([{"a": [1.5]}, {}], dict[str, list[float]]),
    ([b"a"], bytes),
    ([NOON, AWARE], dt.datetime),
    ([object(), None, 1], Any),
    ([[object()], []], list[Any]),
]


@pytest.mark.parametrize(("rows", "hint"), FITTING, ids=[str(hint) for _, hint in FITTING])
def test_list_that_fits_is_returned_itself(rows, hint):
    assert check(rows, hint) is rows


@pytest.mark.parametrize("bad", [(1,), "ab", {"a": 1}, {1}, np.array([1]), None, range(1)], ids=describe_case)
def test_a_list_is_a_list(bad):
    what = "None" if bad is None else f"a value of type {type(bad).__name__}"
    assert refused([bad], list[int]) == [once("[]", f"expected a list, got {what}")]
    assert refused([[bad]], list[list[int]]) == [once("[][]", f"expected a list, got {what}")]


@pytest.mark.parametrize("bad", [[("a", 1)], "ab", None, pd.Series({"a": 1})], ids=repr)
def test_a_dict_is_a_dict(bad):
    what = "None" if bad is None else f"a value of type {type(bad).__name__}"
    assert refused([bad], dict[str, int]) == [once("[]", f"expected a dictionary, got {what}")]


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)], ids=repr)
def test_keys_must_be_strings(key):
    finding = f"expected string keys, got keys of type {type(key).__name__}"
    assert refused([{"a": 1, key: 1}], dict[str, int]) == [once("[]", finding, "INVALID_NAME")]


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Union[float, int], 1),
        (Union[int, float], 1.0),
        (Union[float, int], 2**60),
        (Union[dt.datetime, dt.date], DAY),
        (Union[str, bytes], b"a"),
        (Union[float, bool], True),
        (Union[int, list[int]], [1]),
        (Union[list[int], list[str]], ["a"]),
        (Union[dict[str, int], list[int]], {"a": 1}),
        (Union[list[float], list[int]], [1]),
        (Union[dict[str, float], dict[str, int]], {"a": 1}),
    ],
    ids=str,
)
def test_exact_member_of_a_union_comes_first(hint, value):
    assert are_same(check([value], hint), [value])
    assert are_same(check([[value]], list[hint]), [[value]])
    assert are_same(check([{"k": value}], dict[str, hint]), [{"k": value}])


def test_first_convertible_member_of_a_union_is_used_otherwise():
    assert are_same(check([np.float32(0.5), 1], Union[str, float]), [0.5, 1.0])
    assert are_same(check([np.int8(1)], Union[float, int]), [1.0])
    assert are_same(check([[None, DAY]], list[Union[str, dt.datetime, None]]), [[None, MIDNIGHT]])


def test_value_that_fits_no_member_of_a_union():
    assert refused([None], Union[int, str]) == [once("[]", "expected int or str, got None")]
    assert refused([["a", 1.5]], list[Union[int, str]]) == [
        once("[][]", "expected int or str, got a value of type float")
    ]
    assert refused([["a"]], Union[list[int], dict[str, int]]) == [
        "[]: expected list[int] or dict[str, int], got a value of type list, once, first in "
        "row 0 ([][]: expected int, got a value of type str [TYPE_MISMATCH]) [TYPE_MISMATCH]"
    ]


def test_a_literal_is_one_of_its_values():
    assert check(["a", "b"], Literal["a", "b"]) == ["a", "b"]
    assert are_same(check([Text("a"), np.str_("b")], Literal["a", "b"]), ["a", "b"])
    assert refused(["a", "c", "d"], Literal["a", "b"]) == [
        "[]: expected one of ('a', 'b'), got a value that is not listed, 2 times, first in rows "
        "1, 2 [INVALID_VALUE]"
    ]
    assert refused([True, 1.0], Literal[1]) == [
        once("[]", "expected int, got a value of type bool"),
        "[]: expected int, got a float, once, first in row 1 [TYPE_MISMATCH]",
    ]
    assert refused([1], Literal[True]) == [once("[]", "expected bool, got a value of type int")]


class Positive(BaseModel):
    n: Annotated[int, Field(gt=0)]
    m: float = Field(default=1.0, lt=10)


Above = Annotated[int, Field(gt=0)]


def test_constraints_hold_for_elements():
    assert are_same(check([1, np.int8(2)], Above), [1, 2])
    assert refused([1, 0, -1], Above) == [
        "[]: expected int, got a value against the rule greater_than, 2 times, first in rows 1, 2 "
        "[INVALID_VALUE]"
    ]
    assert refused([[0]], list[Above]) == [
        once("[][]", "expected int, got a value against the rule greater_than", "INVALID_VALUE")
    ]
    assert refused([True], Above) == [once("[]", "expected int, got a value of type bool")]


def test_constraints_hold_for_fields():
    assert are_same(check([{"n": 1, "m": 2}], Positive), [Positive(n=1, m=2.0)])
    assert refused([{"n": 0, "m": 10}], Positive) == [
        once("[].n", "expected int, got a value against the rule greater_than", "INVALID_VALUE"),
        once("[].m", "expected float, got a value against the rule less_than", "INVALID_VALUE"),
    ]


def test_all_failures_come_at_once_with_counts_and_first_rows():
    rows = [{"a": [1, "x"]}, {"a": [True, None], "b": 1}, *({"a": ["x"]} for _ in range(10)), {1: []}, []]
    with pytest.raises(ContractError, match=BROKEN.replace(r"\d+", "6")) as caught:
        check(rows, dict[str, list[int]])
    assert str(caught.value).splitlines() == [
        "the data does not fit the type hint: 6 findings",
        "  - [][][]: expected int, got a value of type str, 11 times, first in rows 0, 2, 3, 4, 5 "
        "[TYPE_MISMATCH]",
        "  - [][][]: expected int, got a value of type bool, once, first in row 1 [TYPE_MISMATCH]",
        "  - [][][]: expected int, got None, once, first in row 1 [TYPE_MISMATCH]",
        "  - [][]: expected a list, got a value of type int, once, first in row 1 [TYPE_MISMATCH]",
        "  - []: expected string keys, got keys of type int, once, first in row 12 [INVALID_NAME]",
        "  - []: expected a dictionary, got a value of type list, once, first in row 13 [TYPE_MISMATCH]",
    ]


# --- pydantic -------------------------------------------------------------------------------------------


class Item(BaseModel):
    sku: str
    price: Optional[float] = None
    count: int = 1


class Order(BaseModel):
    items: list[Item]
    by_name: dict[str, Item] = {}
    first: Optional[Item] = None
    either: Union[int, str, Item] = 0


class Strange(BaseModel):
    """A class with the fields of an Item that is not an Item."""

    sku: str
    price: Optional[float] = None
    count: int = 1


def test_a_dictionary_becomes_an_instance():
    (got,) = check([{"sku": "a", "price": 1}], Item)
    assert are_same(got, Item(sku="a", price=1.0))


def test_instance_is_returned_itself():
    item = Item(sku="a")
    order = Order(items=[item], either=item)
    assert check([item], Item)[0] is item
    assert check([order], Order)[0] is order
    assert order.items[0] is order.either is item


def test_an_instance_is_validated_anew():
    changed, built = Item(sku="a"), Item.model_construct(sku=1)
    changed.count = "many"
    assert refused([changed, built, Item.model_construct()], Item) == [
        once("[].count", "expected int, got a value of type str"),
        "[].sku: expected str, got a value of type int, once, first in row 1 [TYPE_MISMATCH]",
        "[].sku: expected str, got no such field, once, first in row 2 [MISSING_FIELD]",
    ]
    assert refused([Order(items=[Item(sku="a")]).model_copy(update={"items": [built]})], Order) == [
        once("[].items[].sku", "expected str, got a value of type int")
    ]


@pytest.mark.parametrize(
    "bad", [Strange(sku="a"), [("sku", "a")], "a", None, Item], ids=lambda v: str(type(v))
)
def test_nothing_else_becomes_an_instance(bad):
    what = "None" if bad is None else f"a value of type {type(bad).__name__}"
    text = f"expected a dictionary, or an instance of Item, got {what}"
    assert refused([bad], Item) == [once("[]", text)]
    assert refused([{"items": [bad]}], Order) == [once("[].items[]", text)]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("count", "1", "expected int, got a value of type str"),
        ("count", 1.0, "expected int, got a float"),
        ("count", True, "expected int, got a value of type bool"),
        ("count", None, "expected int, got None"),
        ("count", np.float64(1), "expected int, got NumPy's float64"),
        ("price", "1.5", "expected float, got a value of type str"),
        ("price", True, "expected float, got a value of type bool"),
        ("sku", 1, "expected str, got a value of type int"),
        ("sku", b"a", "expected str, got a value of type bytes"),
    ],
    ids=describe_case,
)
def test_fields_are_strict(field, value, text):
    assert refused([{"sku": "a", field: value}], Item) == [once(f"[].{field}", text)]
    assert refused([{"items": [{"sku": "a", field: value}]}], Order) == [once(f"[].items[].{field}", text)]
    row = {"items": [], "by_name": {"k": {"sku": "a", field: value}}}
    assert refused([row], Order) == [once(f"[].by_name[].{field}", text)]


def test_missing_fields_are_named():
    assert refused([{}, {"items": []}, {"items": [{}]}], Order) == [
        "[].items: expected list[Item], got no such field, once, first in row 0 [MISSING_FIELD]",
        "[].items[].sku: expected str, got no such field, once, first in row 2 [MISSING_FIELD]",
    ]


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


def test_extra_keys_are_treated_as_the_model_declares():
    assert check([{"sku": "a", "more": 1}], Item) == [Item(sku="a")]
    (got,) = check([{"a": 1, "more": [2]}], Allowing)
    assert got.more == [2]
    assert refused([{"a": 1, "more": 1}, {"a": 2, "more": 3}], Forbidding) == [
        "[].more: got an undeclared key, 2 times, first in rows 0, 1 [UNKNOWN_KEY]"
    ]
    instance = Allowing(a=1, more=2)
    assert check([instance], Allowing)[0] is instance


class Aliased(BaseModel):
    price: float = Field(alias="unitPrice")
    name: Optional[str] = Field(default=None, validation_alias="unitName")


class Outer(BaseModel):
    inner: Aliased = Field(alias="in")


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: str = Field(alias="a")


@pytest.mark.parametrize(
    "row",
    [
        {"unitPrice": 2, "unitName": "x"},
        {"price": 2, "name": "x"},
        {"price": np.float32(2), "unitName": "x"},
        Aliased(unitPrice=2, unitName="x"),
    ],
    ids=["aliases", "names", "mixed", "instance"],
)
def test_fields_are_read_by_alias_and_by_name(row):
    (got,) = check([row], Aliased)
    assert (got.price, got.name) == (2.0, "x")
    assert are_same(check([{"in": row}], Outer)[0].inner, got)
    assert are_same(check([{"inner": row}], Outer)[0].inner, got)


def test_aliases_come_before_names():
    (got,) = check([{"b": 1, "a": "x"}], Swapped)
    assert (got.a, got.b) == (1, "x")
    assert check([got], Swapped)[0] is got


def test_findings_have_the_name_of_a_field():
    assert refused([{"in": {}}], Outer) == [
        once("[].inner.price", "expected float, got no such field", "MISSING_FIELD")
    ]


@pytest.mark.parametrize("key", ["unitPrice", "price"])
def test_findings_have_the_name_of_the_data(key):
    assert refused([{key: "x"}], Aliased) == [once("[].price", "expected float, got a value of type str")]


class Chosen(BaseModel):
    a: int = Field(validation_alias=AliasChoices("x", "y"))


class Reached(BaseModel):
    a: int = Field(validation_alias=AliasPath("x", 0))


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (Chosen, {"x": 1}),
        (Chosen, {"y": 1}),
        (Chosen, {"y": np.int64(1)}),
        (Chosen, Chosen(y=1)),
        (Reached, {"x": [1]}),
        (Reached, Reached(x=[1])),
    ],
    ids=str,
)
def test_fields_with_several_aliases_or_a_path(model, row):
    (got,) = check([row], model)
    assert type(got) is model
    assert got.a == 1
    if isinstance(row, BaseModel):
        assert got is row


class Ambiguous(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    a: int = Field(alias="x")


@pytest.mark.parametrize(
    ("row", "hint", "path"),
    [
        ({"x": 1, "a": 2}, Ambiguous, "[].a"),
        ({"x": 1, "a": "b"}, Ambiguous, "[].a"),
        ({"unitPrice": 1.0, "price": 1.0}, Aliased, "[].price"),
        ({"in": {"unitPrice": 1.0, "price": 1.0}}, Outer, "[].inner.price"),
    ],
    ids=["integers", "an integer and a string", "equal values", "nested"],
)
def test_a_field_given_by_alias_and_by_name_is_not_silently_dropped(row, hint, path):
    text = "expected one value, got two values, under its name and its alias"
    assert refused([row], hint) == [once(path, text, "DUPLICATE_NAME")]


class Checked(BaseModel):
    low: int
    high: int
    name: str = ""

    @field_validator("name")
    @classmethod
    def no_spaces(cls, value):
        if " " in value:
            raise ValueError(f"{value!r} has spaces")
        return value.lower()

    @model_validator(mode="after")
    def ordered(self):
        assert self.low <= self.high, f"{self.low} is above {self.high}"
        return self


VALIDATOR = (
    "got a value that a validator of the model refuses, once, first in row 0 "
    "(validate the row with the model itself to see the validator's message) [INVALID_VALUE]"
)


def test_validators_of_the_model_run_and_their_messages_are_not_shown():
    (got,) = check([{"low": 1, "high": 2, "name": "AB"}], Checked)
    assert got.name == "ab"
    assert refused([{"low": 2, "high": 1}], Checked) == [f"[]: {VALIDATOR}"]
    assert refused([{"low": 1, "high": 1, "name": "a b"}], Checked) == [f"[].name: {VALIDATOR}"]
    # an instance counts as validated: no validator runs on it again
    changed = Checked(low=1, high=2).model_copy(update={"low": 5})
    assert check([changed], Checked) == [changed]


class Fragile(BaseModel):
    a: int

    @model_validator(mode="before")
    @classmethod
    def spread(cls, value):
        raise AttributeError(f"no spread in {value!r}")


LOOKUP = Annotated[str, AfterValidator(lambda value: {}[value])]


@pytest.mark.parametrize(
    ("hint", "value", "error"),
    [
        (Fragile, {"a": 12345678}, "AttributeError"),
        (LOOKUP, "SECRET", "KeyError"),
        (list[LOOKUP], ["SECRET"], "KeyError"),
    ],
    ids=["model", "annotated", "list"],
)
def test_failing_validator_is_a_finding_without_its_message(hint, value, error):
    reason = f"got a validator that fails with {error}"
    assert refused([value], hint) == [once("[]", reason, "INVALID_VALUE")]


def test_a_validator_runs_once_and_never_on_the_callers_own():
    """Twice, it would change a number twice."""
    taxed = create_model("Taxed", prices=(list[Annotated[float, AfterValidator(lambda v: v * 1.2)]], ...))
    assert check([{"prices": [100.0]}], taxed)[0].prices == [120.0]
    outer = create_model("Outer", inner=(list[taxed], ...))
    assert check([{"inner": [{"prices": [100]}]}], outer)[0].inner[0].prices == [120.0]
    row = outer.model_construct(inner=[taxed.model_construct(prices=[1.0])])
    assert check([row], outer) == [row]
    assert row.inner[0].prices == [1.0]


def test_validator_before_pydantic_sees_the_original_value():
    number = Annotated[int, BeforeValidator(lambda value: int(str(value).replace(",", "")))]
    grouped = create_model("Grouped", x=(number, ...))
    assert check([{"x": "1,000"}], grouped)[0].x == 1000
    assert check(["1,000"], number) == [1000]


def test_model_with_most_of_the_keys_is_built():
    first, two = create_model("One", x=(int, ...)), create_model("Two", x=(int, ...), y=(int, ...))
    chosen = TypeAdapter(Union[first, two]).validate_python({"x": 1, "y": 2}, strict=True)
    assert type(chosen) is two or pydantic.VERSION < "2.8"  # which took the first that fits
    assert check([{"x": 1, "y": 2}], Union[first, two]) == [chosen]
    holder = create_model("Holder", v=(Union[first, two], ...))
    assert check([{"v": {"x": np.int64(1), "y": 2}}], holder)[0].v == chosen


def test_optional_models_in_each_other_take_linear_time():
    model = create_model("Level0", x=(int, ...))
    row = model.model_construct(x="wrong")
    for level in range(1, 20):
        model = create_model(f"Level{level}", c=(Optional[model], None))
        row = model.model_construct(c=row)
    assert len(refused([row], model)) == 1


def test_a_column_of_times_reaches_a_date():
    day = create_model("Day", placed=(dt.date, ...))
    frame = pd.DataFrame({"placed": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    assert [record.placed for record in check(to_rows(frame, parse_input_hint(list[day])), day)] == [
        dt.date(2026, 1, 1),
        dt.date(2026, 1, 2),
    ]
    assert len(refused([pd.Timestamp(NOON)], dt.date)) == 1


def test_mismatch_of_a_field_is_reported_once_together_with_errors_of_the_model():
    row = {"low": "x", "high": 1, "name": "a b"}
    assert refused([row], Checked) == [
        once("[].low", "expected int, got a value of type str"),
        f"[].name: {VALIDATOR}",
    ]


def test_values_reach_a_model_by_the_rules_of_the_hints():
    """pydantic alone would take none of these in strict mode."""
    request = {
        "day": np.datetime64("2020-01-31"),
        "at": DAY,
        "raw": bytearray(b"a"),
        "times": [np.datetime64(NOON)],
    }
    (got,) = check([request], Event)
    assert are_same(got, Event(day=DAY, at=MIDNIGHT, raw=b"a", times=[NOON]))


class Cat(BaseModel):
    name: str
    lives: int = 9


class Dog(BaseModel):
    name: str
    tricks: list[str] = []


class Twin(BaseModel):
    name: str
    lives: int = 9


class Owner(BaseModel):
    pet: Union[Cat, Dog]
    others: list[Union[Cat, Twin]] = []


def test_a_union_of_models_takes_an_instance_of_each_as_it_is():
    cat, dog = Cat(name="a"), Dog(name="b")
    got = check([cat, dog, {"name": "c"}], Union[Cat, Dog])
    assert got[0] is cat
    assert got[1] is dog
    assert are_same(got[2], Cat(name="c"))


def test_an_instance_in_a_dictionary_stays_of_its_class():
    (got,) = check([{"pet": Dog(name="a"), "others": [Twin(name="b"), Cat(name="c")]}], Owner)
    assert [type(got.pet), *map(type, got.others)] == [Dog, Twin, Cat]


class Kitten(Cat):
    age: int = 0


def test_an_instance_of_a_subclass_stays_one():
    kitten = Kitten(name="a", age=3)
    assert check([kitten], Cat)[0] is kitten
    (got,) = check([{"pet": kitten}], Owner)
    assert are_same(got.pet, kitten)


class Strict(Forbidding):
    b: int = 2


def test_an_instance_of_a_subclass_has_more_fields_even_where_keys_are_forbidden():
    instance = Strict(a=1)
    assert check([instance], Forbidding)[0] is instance


def test_a_field_that_is_no_member_of_its_union():
    assert refused([{"pet": {"lives": 1}}, {"pet": 5}], Owner) == [
        once("[].pet", "expected Cat or Dog, got a value of another type"),
        "[].pet: expected Cat or Dog, got a value of type int, once, first in row 1 [TYPE_MISMATCH]",
    ]


class Counts(BaseModel):
    by_name: dict[str, int]


def test_keys_of_a_field_are_texts():
    (line,) = refused([{"by_name": {1: 2}}], Counts)
    assert line == once("[].by_name", "expected string keys, got keys of type int", "INVALID_NAME")


# --- from JSON ------------------------------------------------------------------------------------------


class Event(BaseModel):
    day: dt.date
    at: Optional[dt.datetime] = None
    raw: bytes = b""
    times: list[dt.datetime] = []
    blobs: dict[str, bytes] = {}
    either: Union[int, dt.datetime, None] = None


JSON = [
    (bytes, "aGVsbG8=", b"hello"),
    (bytes, "", b""),
    (dt.datetime, "2020-01-31T12:30:00.000001", NOON),
    (dt.datetime, "2020-01-31 00:00:00", MIDNIGHT),
    (dt.datetime, "2020-01-31", MIDNIGHT),
    (dt.datetime, "2020-01-31T12:30:00.000001+02:00", AWARE),
    (dt.datetime, "2020-01-31T00:00:00Z", MIDNIGHT.replace(tzinfo=dt.timezone.utc)),
    (dt.date, "2020-01-31", DAY),
    (str, "2020-01-31", "2020-01-31"),
    (Optional[dt.datetime], None, None),
    (Optional[dt.datetime], "2020-01-31", MIDNIGHT),
    (Union[int, dt.datetime], "2020-01-31", MIDNIGHT),
    (Union[dt.datetime, str], "soon", "soon"),
    (Union[dt.datetime, str], "2020-01-31", MIDNIGHT),
    (Union[str, dt.datetime], "2020-01-31", "2020-01-31"),
]


@pytest.mark.parametrize(("hint", "text", "expected"), JSON, ids=str)
def test_json_has_bytes_and_times_as_text(hint, text, expected):
    assert are_same(check([[text]], list[hint], from_json=True), [[expected]])
    assert are_same(check([{"k": text}], dict[str, hint], from_json=True), [{"k": expected}])
    if hint in (bytes, dt.datetime, dt.date):
        assert refused([text], hint) == [once("[]", f"expected {hint.__name__}, got a value of type str")]


def test_json_reaches_the_fields_of_a_model():
    row = {
        "day": "2020-01-31",
        "at": "2020-01-31T00:00:00Z",
        "raw": "aGk=",
        "times": ["2020-01-31"],
        "blobs": {"a": "aGk="},
        "either": "2020-01-31",
    }
    expected = Event(
        day=DAY,
        at=MIDNIGHT.replace(tzinfo=dt.timezone.utc),
        raw=b"hi",
        times=[MIDNIGHT],
        blobs={"a": b"hi"},
        either=MIDNIGHT,
    )
    assert are_same(check([row], Event, from_json=True), [expected])
    assert are_same(check([{"k": [row]}], dict[str, list[Event]], from_json=True), [{"k": [expected]}])
    assert refused([row], Event) == [
        once("[].day", "expected date, got a value of type str"),
        once("[].at", "expected datetime, got a value of type str"),
        once("[].raw", "expected bytes, got a value of type str"),
        once("[].times[]", "expected datetime, got a value of type str"),
        once("[].blobs[]", "expected bytes, got a value of type str"),
        once("[].either", "expected int or datetime, got a value of type str"),
    ]


def test_values_of_python_pass_beside_json():
    assert are_same(check([b"a", NOON.isoformat().encode()], bytes, from_json=True)[:1], [b"a"])
    assert are_same(check([DAY, NOON], dt.datetime, from_json=True), [MIDNIGHT, NOON])
    (got,) = check([{"day": DAY, "at": pd.Timestamp(NOON), "raw": bytearray(b"a")}], Event, from_json=True)
    assert are_same(got, Event(day=DAY, at=NOON, raw=b"a"))


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (bytes, "a"),
        (bytes, "%%%%"),
        (bytes, "é"),
        (dt.datetime, "soon"),
        (dt.datetime, ""),
        (dt.datetime, "2020-02-30"),
        (dt.date, "2020-01-31T00:00:00"),
        (dt.date, "x"),
    ],
    ids=str,
)
def test_text_that_is_neither_base64_nor_iso_8601(hint, text):
    form = "base64" if hint is bytes else "ISO 8601"
    line = once("[]", f"expected {hint.__name__}, got a text that is not {form}")
    assert refused([text], hint, from_json=True) == [line]
    assert refused([1], hint, from_json=True) == [
        once("[]", f"expected {hint.__name__}, got a value of type int")
    ]


@pytest.mark.parametrize("data", [b"hello", bytes(range(200))], ids=describe_case)
def test_base64_in_lines_as_mlflow_writes_its_examples(data):
    text = base64.encodebytes(data).decode("ascii")  # lines that end in newlines
    assert check([text], bytes, from_json=True) == [data]


# --- frames, Series, arrays -----------------------------------------------------------------------------


def rows(data, item):
    return to_rows(data, parse_input_hint(list[item]))


def through(data, item):
    return check(rows(data, item), item)


def test_a_list_is_its_rows():
    request = [1, "a"]
    assert rows(request, int) is request


@pytest.mark.parametrize(
    ("frame", "hint", "expected"),
    [
        (pd.DataFrame([1, 2]), int, [1, 2]),
        (pd.DataFrame({"any name": [1, 2]}), int, [1, 2]),
        (pd.DataFrame({None: ["a"]}), str, ["a"]),
        (pd.DataFrame({"x": [0.5, np.nan]}), float, [0.5, math.nan]),
        (pd.DataFrame({"x": [0.5, pd.NA]}, dtype="Float64"), float, [0.5, math.nan]),
        (pd.DataFrame({"x": [MIDNIGHT]}), dt.datetime, [MIDNIGHT]),
        (pd.DataFrame({"x": [np.array([1, 2]), [3]]}), list[int], [[1, 2], [3]]),
        (pd.DataFrame({"x": [[1.0, np.nan]]}), list[Optional[float]], [[1.0, None]]),
        (pd.DataFrame({"x": [[1.0, np.nan]]}), list[float], [[1.0, math.nan]]),
        (pd.DataFrame({"x": [[{"a": 1}]]}), list[dict[str, int]], [[{"a": 1}]]),
        (pd.DataFrame({"a": [1], "b": [2]}), dict[str, int], [{"a": 1, "b": 2}]),
        (pd.DataFrame({"a": [1], 7: [2]}), dict[str, int], [{"a": 1, "7": 2}]),
        (pd.DataFrame({"a": [1]}), dict[str, int], [{"a": 1}]),
        (pd.DataFrame({"x": [{"a": 1}]}), dict[str, int], [{"a": 1}]),
        (pd.DataFrame({0: [{"a": 1}]}), dict[str, int], [{"a": 1}]),
        (pd.DataFrame({"x": [{"a": 1}]}), dict[str, dict[str, int]], [{"x": {"a": 1}}]),
        (pd.DataFrame({"a": [1.5], "b": ["x"]}), Any, [{"a": 1.5, "b": "x"}]),
        (pd.DataFrame({"a": []}), int, []),
        (pd.DataFrame({"a": [1.0, np.nan]}), dict[str, Optional[float]], [{"a": 1.0}, {"a": None}]),
        (pd.DataFrame({"a": [1, None]}, dtype="Int64"), dict[str, Optional[int]], [{"a": 1}, {"a": None}]),
    ],
    ids=lambda case: str(case).replace("\n", " ")[:40],
)
def test_a_frame_gives_its_cells_or_its_rows(frame, hint, expected):
    before = frame.copy(deep=True)
    assert are_same(through(frame, hint), expected)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pd.DataFrame({"sku": ["a", "b"], "price": [1.5, np.nan]}), [("a", 1.5), ("b", None)]),
        (pd.DataFrame({"sku": ["a"], "price": [None]}), [("a", None)]),
        (pd.DataFrame({"sku": ["a"], "price": [pd.NA]}), [("a", None)]),
        (pd.DataFrame({"sku": ["a"], "more": [1]}), [("a", None)]),
        (pd.DataFrame({"sku": ["a", "b"]}), [("a", None), ("b", None)]),
        (pd.DataFrame({"input": [{"sku": "a"}, Item(sku="b")]}), [("a", None), ("b", None)]),
        (pd.DataFrame([[{"sku": "a", "price": np.nan}]]), [("a", None)]),
        (pd.DataFrame({"sku": [], "price": []}), []),
    ],
    ids=["NaN", "None", "NA", "more", "a field", "dictionaries", "number 0", "no rows"],
)
def test_a_frame_gives_instances(frame, expected):
    got = through(frame, Item)
    assert [(item.sku, item.price) for item in got] == expected


def test_what_is_missing_is_nan_for_float_and_none_elsewhere():
    frame = pd.DataFrame(
        {
            "day": [DAY],
            "at": pd.Series([pd.NaT], dtype="datetime64[ns]"),
            "times": [np.array([NOON, MIDNIGHT])],
            "either": [pd.NA],
        }
    )
    assert are_same(through(frame, Event), [Event(day=DAY, times=[NOON, MIDNIGHT])])
    assert lines(lambda: through(pd.DataFrame({"sku": [None], "count": [np.nan]}), Item)) == [
        once("[].sku", "expected str, got None"),
        once("[].count", "expected int, got None"),
    ]


@pytest.mark.parametrize("name", ["price", "unitPrice"])
def test_what_is_missing_is_nan_for_a_float_by_its_alias_as_well(name):
    (got,) = through(pd.DataFrame({name: [np.nan], "unitName": ["x"]}), Aliased)
    assert math.isnan(got.price)


@pytest.mark.parametrize("name", ["in", "inner"])
def test_a_single_column_may_be_a_field_of_dictionaries_by_name_or_alias(name):
    (got,) = through(pd.DataFrame({name: [{"price": 1.5}]}), Outer)
    assert got.inner.price == 1.5


def test_a_union_of_models_takes_the_rows_of_a_frame():
    frame = pd.DataFrame({"name": ["a"], "lives": [3]})
    assert are_same(through(frame, Union[Cat, Dog]), [Cat(name="a", lives=3)])


@pytest.mark.parametrize("hint", [int, list[int], dt.datetime], ids=str)
@pytest.mark.parametrize("width", [0, 2, 3])
def test_frame_for_a_hint_without_dictionaries_has_one_column(hint, width):
    frame = pd.DataFrame({f"c{i}": [1] for i in range(width)}, index=[0])
    assert lines(lambda: rows(frame, hint)) == [
        f"expected 1 column, got {width} columns (select the column that the model accepts) [COLUMN_COUNT]"
    ]


@pytest.mark.parametrize("labels", [["sku", "sku"], [1, "1"]], ids=describe_case)
@pytest.mark.parametrize("hint", [Item, dict[str, int], Any], ids=str)
def test_duplicate_labels_are_refused(hint, labels):
    frame = pd.DataFrame([[1, 2]], columns=labels)
    assert lines(lambda frame=frame: rows(frame, hint)) == [
        f"{labels[1]}: expected one column of that name, got several [DUPLICATE_NAME]"
    ]


@pytest.mark.parametrize(
    ("column", "hint", "expected"),
    [
        (pd.Series([1, 2]), int, [1, 2]),
        (pd.Series([1, None], dtype="Int64"), Any, [1, None]),
        (pd.Series([1.5, np.nan], dtype="float32"), float, [1.5, math.nan]),
        (pd.Series(["a"], dtype="string"), str, ["a"]),
        (pd.Series(["a"], dtype="category"), str, ["a"]),
        (pd.Series([NOON]), dt.datetime, [NOON]),
        (pd.Series([AWARE]), dt.datetime, [AWARE]),
        (pd.Series([True]), bool, [True]),
        (pd.Series([{"sku": "a"}]), Item, [Item(sku="a")]),
        (pd.Series([np.array(["a"], dtype=object)]), list[str], [["a"]]),
        (pd.Series([], dtype=object), int, []),
    ],
    ids=lambda case: str(case).replace("\n", " ")[:40],
)
def test_a_series_gives_its_values(column, hint, expected):
    assert are_same(through(column, hint), expected)


@pytest.mark.parametrize(
    ("array", "hint", "expected"),
    [
        (np.array([1, 2], dtype="int8"), int, [1, 2]),
        (np.array([0.1], dtype="float32"), float, [float(np.float32(0.1))]),
        (np.array(["a", "bc"]), str, ["a", "bc"]),
        (np.array([True]), bool, [True]),
        (np.array([[1, 2], [3, 4]]), list[int], [[1, 2], [3, 4]]),
        (np.zeros((1, 1, 2)), list[list[float]], [[[0.0, 0.0]]]),
        (np.array([{"sku": "a"}], dtype=object), Item, [Item(sku="a")]),
        (np.array([None, 1], dtype=object), Any, [None, 1]),
        (np.array([[1.0, np.nan]]), list[Optional[float]], [[1.0, None]]),
        (np.array([NOON], dtype="datetime64[us]"), dt.datetime, [NOON]),
        (np.array([NOON], dtype="datetime64[ns]"), dt.datetime, [NOON]),
        (np.array([[NOON]], dtype="datetime64[ns]"), list[dt.datetime], [[NOON]]),
        (np.zeros((0, 2)), list[float], []),
    ],
    ids=lambda case: str(case).replace("\n", " ")[:40],
)
def test_an_array_gives_its_values_or_its_rows(array, hint, expected):
    assert are_same(through(array, hint), expected)


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[us]", "timedelta64[ns]", "timedelta64[s]"])
def test_times_in_an_array_are_never_integers(dtype):
    array = np.array([5], dtype=dtype)
    assert len(lines(lambda: through(array, int))) == 1
    assert len(lines(lambda: through(pd.DataFrame({"x": [array]}), list[int]))) == 1


@pytest.mark.parametrize(
    ("array", "hint"),
    [(np.array([1.0]), int), (np.array([1]), str), (np.array([[1]]), int), (np.array([1]), list[int])],
    ids=str,
)
def test_an_array_of_another_type_or_rank_is_refused(array, hint):
    assert len(lines(lambda: through(array, hint))) == 1


@pytest.mark.parametrize(
    "data",
    [None, "ab", 1, (1,), {"a": [1]}, {1}, np.array(1), np.int64(1), iter([]), Item(sku="a")],
    ids=lambda data: type(data).__name__,
)
def test_other_data_has_no_rows(data):
    what = "None" if data is None else f"a value of type {type(data).__name__}"
    text = f"^the data does not fit the type hint: expected a list of rows, got {what}$"
    with pytest.raises(ContractError, match=text):
        rows(data, int)


# --- the laws -------------------------------------------------------------------------------------------

MUTABLE = [
    ([{"a": [1, np.int8(2)]}], dict[str, list[float]]),
    ([[bytearray(b"a"), b"b"]], list[bytes]),
    ([{"items": [{"sku": Text("a"), "price": 1}], "either": np.int8(1)}], Order),
    ([Order(items=[Item(sku="a", price=1.0)])], Order),
    ([{"day": DAY, "at": pd.Timestamp(NOON), "times": [DAY]}], Event),
    ([{"unitPrice": 1, "name": "x"}], Aliased),
]


@pytest.mark.parametrize(("value", "hint"), MUTABLE, ids=lambda case: str(case)[:40])
def test_what_the_caller_gave_is_never_changed(value, hint):
    before = copy.deepcopy(value)
    check(value, hint)
    assert are_same(value, before)
    frame = pd.DataFrame({0: value})
    through(frame, hint)
    assert are_same(value, before)
    assert are_same(frame[0].tolist(), before)


def test_converted_values_do_not_share_memory_with_the_data():
    request = [{"items": [{"sku": "a"}]}]
    (got,) = check(request, Order)
    got.items.append(Item(sku="b"))
    assert request == [{"items": [{"sku": "a"}]}]


LEAKS = {
    "text": (int, lambda m: m),
    "bytes": (int, lambda m: m.encode()),
    "in a list": (list[int], lambda m: [1, m]),
    "value of a dict": (dict[str, int], lambda m: {"k": m}),
    "key of a dict": (dict[str, int], lambda m: {m: "x"}),
    "key that is no text": (dict[str, int], lambda m: {m.encode(): 1}),
    "key of a field": (Counts, lambda m: {"by_name": {m: "x"}}),
    "odd key of a field": (Counts, lambda m: {"by_name": {m.encode(): 1}}),
    "union": (Union[int, float], lambda m: m),
    "union of lists": (Union[list[int], dict[str, int]], lambda m: [m]),
    "union of models": (Union[Cat, Dog], lambda m: {"name": m, "lives": m, "tricks": m}),
    "union of dicts": (Union[dict[str, int], dict[str, float]], lambda m: {m: m}),
    "literal": (Literal["a"], lambda m: m),
    "constraint": (Annotated[str, Field(max_length=2)], lambda m: m),
    "pattern": (Annotated[str, Field(pattern="^$")], lambda m: m),
    "field": (Item, lambda m: {"sku": "a", "count": m}),
    "all fields": (Order, lambda m: {"items": m, "by_name": m, "first": m, "either": m.encode()}),
    "deep field": (Order, lambda m: {"items": [{"sku": m, "price": m}], "by_name": {m: {"sku": 1}}}),
    "validator": (Checked, lambda m: {"low": 1, "high": 2, "name": f"{m} {m}"}),
    "model validator": (Checked, lambda m: {"low": int(m.encode().hex(), 16) % 2**62, "high": -1}),
    "instance": (Item, lambda m: Item.model_construct(sku=m, count=m)),
    "another class": (Item, lambda m: Cat(name=m)),
    "date": (Event, lambda m: {"day": m, "at": m, "raw": m, "times": [m]}),
    "wrong model": (Event, lambda m: m),
}


@pytest.mark.parametrize(("hint", "build"), LEAKS.values(), ids=LEAKS)
@given(marker=st.text("ghjkqvwxyz", min_size=12, max_size=14))
@pytest.mark.parametrize("from_json", [False, True])
def test_no_value_of_the_data_is_in_any_text(hint, build, marker, from_json):
    with pytest.raises(ContractError) as caught:
        check([build(marker)], hint, from_json=from_json)
    error = caught.value
    texts = [str(error), repr(error), repr(error.findings), *traceback.format_exception(caught.value)]
    secrets = [marker, *re.findall(r"\d{9,}", str(build(marker)))]
    assert not [text for text in texts for secret in secrets if secret in text]
