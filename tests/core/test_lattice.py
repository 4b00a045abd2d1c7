"""Verdicts of the casting table: each row, nested sources, paths, hints, and the way back."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.errors import Code, Finding
from sparksig.lattice import (
    IMMEDIATE,
    MODEL_TYPE,
    NULL,
    Decimal,
    Field,
    ListOf,
    MapOf,
    Scalar,
    Struct,
    find_mismatches,
    find_upper_bounds,
    widens,
)
from sparksig.narrowing import find_narrowest_type
from sparksig.scalars import describe_mismatch
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.core.helpers import copies
from tests.strategies import types

STRING = Scalar("string")
VECTOR = Struct((Field("type", Scalar("int8")), Field("values", ListOf(Scalar("float64")))), "vector")
VARIANT = Struct((Field("value", Scalar("binary")), Field("metadata", Scalar("binary"))), "variant")

# The scalar rows of the casting table. Any other pair is refused.
TABLE = {
    DataType.boolean: "bool",
    DataType.integer: "int8 int16 int32 uint8 uint16",
    DataType.long: "int8 int16 int32 uint8 uint16 int64 uint32",
    DataType.float: "float16 float32",
    DataType.double: "float16 float32 float64 int8 int16 int32 uint8 uint16 uint32",
    DataType.string: "string large_string string_view",
    DataType.binary: "binary large_binary binary_view fixed_size_binary",
    DataType.datetime: "timestamp timestamp_tz date32 date64",
}
UNKNOWN = [
    "uint64",
    "time32",
    "time64",
    "duration",
    "month_day_nano_interval",
    "float128",
    "complex128",
    "nope",
]
NAMES = [*IMMEDIATE, *UNKNOWN]


def struct(**fields):
    return Struct(tuple(Field(name, source) for name, source in fields.items()))


def find_codes(source, target, path="c", **options):
    return [(f.code.value, f.path) for f in find_mismatches(source, target, path, **options)]


# --- the table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TABLE, ids=describe_case)
@pytest.mark.parametrize("name", NAMES, ids=describe_case)
def test_a_scalar_widens_if_and_only_if_the_table_says_so(name, target):
    accepted = name in TABLE[target].split()
    assert widens(Scalar(name), target) is accepted
    assert widens(Scalar(name), target, required=False) is accepted
    findings = find_mismatches(Scalar(name), target, "c")
    layouts = {
        "large_string": "string",
        "string_view": "string",
        "large_binary": "binary",
        "binary_view": "binary",
    }
    layout = layouts.get(name, name)  # nobody chose that pandas' text is large
    assert [(f.code, f.path, f.expected, f.actual) for f in findings] == (
        [] if accepted else [(Code.TYPE_MISMATCH, "c", target.name, layout)]
    )


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        (Decimal(0, 0), "integer long double"),  # as Spark has it
        (Decimal(1, 0), "integer long double"),
        (Decimal(9, 0), "integer long double"),
        (Decimal(10, 0), "long double"),
        (Decimal(15, 0), "long double"),
        (Decimal(18, 0), "long"),
        (Decimal(19, 0), ""),
        (Decimal(9, 2), "double"),
        (Decimal(15, 15), "double"),
        (Decimal(16, 2), ""),
        (Decimal(38, 38), ""),
        (Decimal(3, -6), "integer long double"),
        (Decimal(3, -7), "long double"),
        (Decimal(3, -15), "long double"),
        (Decimal(3, -16), "double"),
        (Decimal(15, -290), "double"),
        (Decimal(15, -300), ""),
    ],
    ids=str,
)
def test_decimals_go_by_their_digits(source, targets):
    assert [target.name for target in DataType if widens(source, target)] == targets.split()


ROW = struct(a=Scalar("int32"), b=STRING)
ROW_TYPE = Object([Property("a", "long"), Property("b", "string")])
COMPOSITES = [
    (ListOf(Scalar("int8")), Array("long"), True),
    (ListOf(Scalar("int8"), 3), Array("long"), True),
    (ListOf(Scalar("int64")), Array("double"), False),
    (ListOf(ListOf(Scalar("uint8"))), Array(Array("integer")), True),
    (Scalar("int8"), Array("long"), False),
    (ListOf(Scalar("int8")), DataType.long, False),
    (ListOf(NULL), Array("long"), True),
    (ListOf(ListOf(NULL)), Array(Array("long")), True),
    (ListOf(NULL), Array(Array("long")), True),
    (ROW, ROW_TYPE, True),
    (struct(b=STRING, a=Scalar("int32")), ROW_TYPE, True),
    (struct(a=Scalar("int32"), b=STRING, more=Scalar("uint64")), ROW_TYPE, True),
    (struct(a=Scalar("int32")), ROW_TYPE, False),
    (struct(A=Scalar("int32"), b=STRING), ROW_TYPE, False),
    (struct(a=Scalar("int32")), Object([Property("a", "long"), Property("b", "long", False)]), True),
    (struct(a=NULL), Object([Property("a", "long", False)]), True),
    (struct(a=NULL), Object([Property("a", "long")]), False),
    (MapOf(STRING, Scalar("int32")), Object([Property("a", "long"), Property("b", "double")]), True),
    (MapOf(STRING, Scalar("int32")), ROW_TYPE, False),
    (MapOf(Scalar("large_string"), Scalar("int32")), Map("long"), True),
    (MapOf(Scalar("int32"), Scalar("int32")), Map("long"), False),
    (MapOf(Scalar("int32"), Scalar("int32")), Object([Property("a", "long")]), False),
    (MapOf(STRING, Scalar("float64")), Map("float"), False),
    (struct(a=Scalar("int8"), b=Scalar("int64")), Map("long"), True),
    (struct(a=Scalar("int8"), b=STRING), Map("long"), False),
    (STRING, Map("long"), False),
    (STRING, ROW_TYPE, False),
    (ListOf(ROW), ROW_TYPE, False),
    (ROW, Array(ROW_TYPE), False),
    (VECTOR, SparkMLVector(), True),
    (ListOf(Scalar("float64")), SparkMLVector(), True),
    (ListOf(Scalar("int32")), SparkMLVector(), True),
    (ListOf(Scalar("int64")), SparkMLVector(), False),
    (Scalar("float64"), SparkMLVector(), False),
    (ROW, SparkMLVector(), False),
    (VARIANT, SparkMLVector(), False),
    (VECTOR, Array("double"), False),
    (VECTOR, Object([Property("type", "integer")]), False),
    (VECTOR, Map("long"), False),
    (VARIANT, Object([Property("value", "binary")]), False),
    (VARIANT, Map("binary"), False),
    (VARIANT, AnyType(), True),
    (VECTOR, AnyType(), True),
    (Scalar("uint64"), AnyType(), True),
    (NULL, AnyType(), True),
    (Struct(()), AnyType(), True),
    (Decimal(38, 2), AnyType(), True),
]


@pytest.mark.parametrize(
    ("source", "target", "accepted"), COMPOSITES, ids=[f"{s}->{t}" for s, t, _ in COMPOSITES]
)
def test_composites_widen_by_their_parts(source, target, accepted):
    assert widens(source, target) is accepted
    assert bool(find_codes(source, target)) is not accepted


@pytest.mark.parametrize(
    "target",
    [*DataType, Array("long"), Map("long"), ROW_TYPE, SparkMLVector()],
    ids=describe_case,
)
def test_nothing_but_nulls_is_for_what_is_optional(target):
    hint = "it holds only nulls: declare it optional, or cast the column to its type"
    assert widens(NULL, target, required=False)
    [finding] = find_mismatches(NULL, target, "c", required=True)
    assert (finding.code, finding.path, finding.actual, finding.hint) == (
        Code.TYPE_MISMATCH,
        "c",
        "null",
        hint,
    )


def test_what_is_optional_around_makes_optional_what_is_inside():
    target = Object([Property("a", Object([Property("b", "long")]), required=False)])
    assert widens(struct(a=struct(b=NULL)), target)
    assert find_codes(struct(a=struct(b=NULL)), Object([Property("a", Object([Property("b", "long")]))])) == [
        ("TYPE_MISMATCH", "c.a.b")
    ]
    assert widens(struct(a=NULL), Map("long"), required=False)
    assert find_codes(struct(a=NULL), Map("long")) == [("TYPE_MISMATCH", "c.a")]
    assert widens(MapOf(STRING, NULL), Object([Property("a", "long", False)]))


# --- findings and their paths -------------------------------------------------------------------------


def test_all_findings_of_a_nested_source_with_their_paths():
    item = Object(
        [
            Property("price", "float"),
            Property("sku.id", "integer"),
            Property("tags", Array("string")),
            Property("absent", "long"),
            Property("maybe", "long", required=False),
        ]
    )
    target = Object(
        [Property("orders", Array(item)), Property("m", Map(Array("double"))), Property("v", "long")]
    )
    source = struct(
        orders=ListOf(
            Struct(
                (
                    Field("price", Scalar("float64")),
                    Field("sku.id", Scalar("int64")),
                    Field("tags", ListOf(Scalar("binary"))),
                    Field("Absent", Scalar("int64")),
                )
            )
        ),
        m=MapOf(Scalar("int32"), ListOf(Scalar("int64"))),
        v=STRING,
    )
    findings = find_mismatches(source, target, "")
    assert sorted((f.code.value, f.path, f.expected, f.actual) for f in findings) == [
        ("MISSING_FIELD", "orders[].absent", "long", "no such field"),
        ("TYPE_MISMATCH", "m", "Map(str -> Array(double))", "map<int32, list<int64>>"),
        ("TYPE_MISMATCH", "m[][]", "double", "int64"),
        ("TYPE_MISMATCH", "orders[].`sku.id`", "integer", "int64"),
        ("TYPE_MISMATCH", "orders[].price", "float", "float64"),
        ("TYPE_MISMATCH", "orders[].tags[]", "string", "binary"),
        ("TYPE_MISMATCH", "v", "long", "string"),
    ]
    by_path = {f.path: f.hint for f in findings}
    assert by_path["orders[].absent"] == "did you mean 'Absent'? Names are case sensitive"
    assert by_path["m"] == "the keys of a map must be strings"
    assert all(f.path.startswith("a.b.") for f in find_mismatches(source, target, "a.b"))


@pytest.mark.parametrize(
    ("source", "target", "findings"),
    [
        (ListOf(Scalar("float64")), Array("float"), ["c[]"]),
        (ListOf(ListOf(STRING)), Array(Array("long")), ["c[][]"]),
        (ListOf(STRING), SparkMLVector(), ["c[]"]),
        (MapOf(STRING, STRING), Map("long"), ["c[]"]),
        (MapOf(Scalar("int8"), STRING), Map("long"), ["c", "c[]"]),
        (struct(**{"x.y": STRING, "z": STRING}), Map("long"), ["c.`x.y`", "c.z"]),
        (MapOf(STRING, STRING), Object([Property("a", "long"), Property("b", "long")]), ["c.a", "c.b"]),
        (STRING, Array("long"), ["c"]),
        (STRING, ROW_TYPE, ["c"]),
    ],
    ids=str,
)
def test_paths(source, target, findings):
    assert [path for _, path in find_codes(source, target)] == findings


def test_a_field_that_is_there_twice_is_a_finding():
    twice = Struct((Field("a", Scalar("int8")), Field("a", Scalar("int8")), Field("b", STRING)))
    assert find_mismatches(twice, ROW_TYPE, "c") == [
        Finding(Code.DUPLICATE_NAME, "c.a", "one field of that name", "2")
    ]
    assert widens(twice, Object([Property("b", "string")]))  # the twins are extra fields here


def test_a_map_has_no_place_for_a_field_that_is_there_twice():
    twice = Struct((Field("a", Scalar("int8")), Field("a", Scalar("int8"))))
    assert find_codes(twice, Map("long")) == [("DUPLICATE_NAME", "c.a")]


def test_what_is_long_is_cut_in_findings():
    wide = struct(**{f"field_{i}": Scalar("int8") for i in range(20)})
    [finding] = find_mismatches(wide, DataType.long, "c")
    assert finding.actual == str(wide)[:77] + "..."
    assert len(finding.actual) == 80


def test_sources_in_words():
    assert str(Scalar("int64", "bigint")) == "bigint"
    assert Scalar("int64", "bigint") == Scalar("int64")
    assert str(Decimal(10, 2)) == "decimal(10,2)"
    assert str(ListOf(MapOf(STRING, Scalar("int8")))) == "list<map<string, int8>>"
    assert str(ListOf(STRING, 3)) == "list<string>"
    assert str(struct(**{"a": STRING, "b.c": VECTOR})) == "struct<a: string, `b.c`: vector>"
    assert str(VARIANT) == "variant"
    assert len({ROW, *copies(ROW), struct(a=Scalar("int32"), b=STRING)}) == 1
    [finding] = find_mismatches(Scalar("int64", "bigint"), DataType.double, "c")
    assert finding.actual == "bigint"


# --- hints: one for every refusal that the design names -----------------------------------------------

_TEXT = "strings are not converted to or from other types: cast it explicitly"
_UINT64 = "values beyond 2^63 fit no signature type: cast it explicitly"


@pytest.mark.parametrize(
    ("name", "target", "hint"),
    [
        ("int64", "double", "beyond 2^53 a double loses digits: cast it explicitly, or declare it long"),
        ("int64", "integer", "it would be narrowed: cast it explicitly, or declare it long"),
        ("uint32", "integer", "it would be narrowed: cast it explicitly, or declare it long"),
        ("float64", "float", "it would be narrowed: cast it explicitly, or declare it double"),
        ("float64", "integer", "cast it explicitly, or declare it double"),
        ("float32", "integer", "cast it explicitly, or declare it float"),
        ("float16", "long", "cast it explicitly, or declare it float"),
        ("int32", "float", "a float holds 24 bits: cast it explicitly, or declare it double"),
        ("int8", "float", "a float holds 24 bits: cast it explicitly, or declare it double"),
        ("int32", "string", _TEXT),
        ("float64", "string", _TEXT),
        ("bool", "string", _TEXT),
        ("timestamp", "string", _TEXT),
        ("binary", "string", _TEXT),
        ("string", "long", _TEXT),
        ("large_string", "double", _TEXT),
        ("string", "boolean", _TEXT),
        ("string", "datetime", _TEXT),
        ("string", "binary", _TEXT),
        ("bool", "long", "cast it explicitly, or declare it boolean"),
        ("bool", "double", "cast it explicitly, or declare it boolean"),
        ("int8", "boolean", "cast it explicitly, or declare it integer"),
        ("float64", "boolean", "cast it explicitly, or declare it double"),
        ("date32", "long", "cast it explicitly, or declare it datetime"),
        ("int64", "datetime", "cast it explicitly, or declare it long"),
        *(("uint64", target.name, _UINT64) for target in DataType),
        *(
            (name, target, f"{name} has no counterpart in a signature: cast it explicitly, or drop it")
            for name in ("duration", "time64", "interval")
            for target in ("long", "datetime", "string")
        ),
    ],
    ids=describe_case,
)
def test_a_refused_scalar_has_a_hint(name, target, hint):
    [finding] = find_mismatches(Scalar(name), DataType[target], "c")
    assert finding.hint == hint


@pytest.mark.parametrize(
    ("source", "target", "hint"),
    [
        (
            Decimal(10, 0),
            "integer",
            "integer holds 9 digits exactly: cast it explicitly, or reduce the precision",
        ),
        (
            Decimal(19, 0),
            "long",
            "long holds 18 digits exactly: cast it explicitly, or reduce the precision",
        ),
        (
            Decimal(16, 2),
            "double",
            "double holds 15 digits exactly: cast it explicitly, or reduce the precision",
        ),
        (
            Decimal(9, 2),
            "integer",
            "it has a fraction: cast it explicitly, or declare it double (up to 15 digits)",
        ),
        (Decimal(9, 2), "float", "cast it explicitly, or declare it double"),
        (Decimal(9, 0), "string", "cast it explicitly, or declare it double"),
        (Decimal(1, 0), "boolean", "cast it explicitly, or declare it double"),
    ],
    ids=str,
)
def test_a_refused_decimal_has_a_hint(source, target, hint):
    [finding] = find_mismatches(source, DataType[target], "c")
    assert finding.hint == hint


@pytest.mark.parametrize("target", list(DataType), ids=describe_case)
@pytest.mark.parametrize("name", NAMES, ids=describe_case)
def test_every_refused_scalar_has_a_hint_that_works(name, target):
    for finding in find_mismatches(Scalar(name), target, "c"):
        assert finding.hint
        declared = finding.hint.rpartition("declare it ")[2]
        assert declared == finding.hint or widens(Scalar(name), DataType[declared])


@pytest.mark.parametrize("target", list(DataType), ids=describe_case)
@pytest.mark.parametrize("source", [Decimal(9, 2), Decimal(10, 0), Decimal(20, 0), Decimal(20, 2)], ids=str)
def test_the_hint_of_a_refused_decimal_works(source, target):
    for finding in find_mismatches(source, target, "c"):
        assert finding.hint
        assert not finding.hint.endswith("declare it double") or widens(source, DataType.double)


# --- the way back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "narrow"),
    [
        (Scalar("bool"), DataType.boolean),
        (Scalar("int8"), DataType.integer),
        (Scalar("uint16"), DataType.integer),
        (Scalar("uint32"), DataType.long),
        (Scalar("int64"), DataType.long),
        (Scalar("float16"), DataType.float),
        (Scalar("float64"), DataType.double),
        (Scalar("large_string"), DataType.string),
        (Scalar("fixed_size_binary"), DataType.binary),
        (Scalar("date32"), DataType.datetime),
        (Scalar("timestamp_tz"), DataType.datetime),
        (Decimal(9, 0), DataType.integer),
        (Decimal(18, 0), DataType.long),
        (Decimal(15, 2), DataType.double),
        (NULL, AnyType()),
        (ListOf(NULL), Array(AnyType())),
        (ListOf(ListOf(Scalar("uint8"))), Array(Array("integer"))),
        (MapOf(STRING, Scalar("int64")), Map("long")),
        (MapOf(STRING, NULL), Map(AnyType())),
        (VECTOR, SparkMLVector()),
        (VARIANT, AnyType()),
        (
            Struct((Field("b", Scalar("int64"), nullable=False), Field("a", STRING))),
            Object([Property("a", "string", required=False), Property("b", "long")]),
        ),
    ],
    ids=str,
)
def test_narrowest(source, narrow):
    findings = []
    assert find_narrowest_type(source, "c", findings) == narrow
    assert findings == []
    assert widens(source, narrow)


@pytest.mark.parametrize(
    ("source", "places"),
    [
        (Scalar("uint64"), [("UNSUPPORTED_TYPE", "c")]),
        (Scalar("duration"), [("UNSUPPORTED_TYPE", "c")]),
        (Decimal(16, 2), [("UNSUPPORTED_TYPE", "c")]),
        (Decimal(19, 0), [("UNSUPPORTED_TYPE", "c")]),
        (ListOf(Scalar("time64")), [("UNSUPPORTED_TYPE", "c[]")]),
        (MapOf(Scalar("int32"), STRING), [("UNSUPPORTED_TYPE", "c")]),
        (MapOf(Scalar("int32"), Scalar("uint64")), [("UNSUPPORTED_TYPE", "c[]"), ("UNSUPPORTED_TYPE", "c")]),
        (MapOf(STRING, Scalar("uint64")), [("UNSUPPORTED_TYPE", "c[]")]),
        (Struct(()), [("UNSUPPORTED_TYPE", "c")]),
        (Struct((Field("a", NULL, nullable=False), Field("b", NULL))), [("UNSUPPORTED_TYPE", "c.a")]),
        (
            struct(**{"a": Scalar("uint64"), "b": STRING, "x.y": ListOf(Scalar("duration"))}),
            [("UNSUPPORTED_TYPE", "c.a"), ("UNSUPPORTED_TYPE", "c.`x.y`[]")],
        ),
        (
            Struct((Field("a", STRING), Field("a", Scalar("uint64")), Field("b", Struct(())))),
            [("DUPLICATE_NAME", "c.a"), ("UNSUPPORTED_TYPE", "c.a"), ("UNSUPPORTED_TYPE", "c.b")],
        ),
    ],
    ids=str,
)
def test_what_no_type_holds_is_found_everywhere(source, places):
    findings = []
    assert find_narrowest_type(source, "c", findings) is None
    assert [(f.code.value, f.path) for f in findings] == places


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (Scalar("uint64"), _UINT64),
        (Scalar("time64"), "time64 has no counterpart in a signature: cast it explicitly, or drop it"),
        (MapOf(Scalar("int32"), STRING), "the keys of a map must be strings"),
        (
            Struct((Field("a", NULL, nullable=False),)),
            "it holds only nulls: make it nullable, or cast it to its type",
        ),
        (
            Decimal(16, 2),
            "signatures support 18 digits without a fraction, or 15 with one: "
            "reduce the precision, or cast it to double explicitly",
        ),
    ],
    ids=str,
)
def test_what_no_type_holds_has_a_hint(source, hint):
    findings = []
    find_narrowest_type(source, "c", findings)
    assert [f.hint for f in findings] == [hint]


sources = st.recursive(
    st.one_of(
        st.sampled_from(NAMES).map(Scalar),
        st.builds(Decimal, st.integers(1, 38), st.integers(0, 38)),
        st.sampled_from([NULL, VECTOR, VARIANT]),
    ),
    lambda inner: st.one_of(
        st.builds(ListOf, inner),
        st.builds(MapOf, st.sampled_from([STRING, Scalar("int32")]), inner),
        st.lists(st.builds(Field, st.sampled_from(["a", "b", "x.y"]), inner, st.booleans()), max_size=3).map(
            lambda fields: Struct(tuple(fields))
        ),
    ),
    max_leaves=6,
)


@given(sources)
def test_the_narrowest_type_takes_its_source_or_says_why_there_is_none(source):
    findings = []
    narrow = find_narrowest_type(source, "c", findings)
    assert (narrow is None) is bool(findings)
    if narrow is not None:
        assert widens(source, narrow)


@given(sources, types)
def test_a_verdict_is_its_findings_and_what_is_required_only_adds_to_them(source, target):
    required = find_mismatches(source, target, "c", required=True)
    optional = find_mismatches(source, target, "c", required=False)
    assert widens(source, target) is (not required)
    assert widens(source, target, required=False) is (not optional)
    assert {f.path for f in optional} <= {f.path for f in required}
    assert all(f.path.startswith("c") and f.expected and f.actual for f in required)


# --- Python scalars -----------------------------------------------------------------------------------


class Count(int):
    pass


class Text(str):
    __slots__ = ()


INFINITE, NAN = float("inf"), float("nan")
FITS = {
    DataType.boolean: [True, False, np.True_],
    DataType.integer: [0, -(2**31), 2**31 - 1, Count(3), np.int8(1), np.int32(1), np.uint16(1)],
    DataType.long: [0, -(2**63), 2**63 - 1, Count(3), np.int64(1), np.uint32(1), np.int8(1)],
    DataType.float: [
        0.5, 0, -0.0, 2**24, -(2**24), INFINITE, -INFINITE, NAN, 2.0**127, np.float32(0.1), np.float16(1),
    ],
    DataType.double: [
        0.1, 0, 2**53, -(2**53), INFINITE, NAN, 1e300, np.float64(0.1), np.float32(1), np.uint32(1),
    ],
    DataType.string: ["", "a", Text("a"), np.str_("a")],
    DataType.binary: [b"", b"a", bytearray(b"a"), np.bytes_(b"a")],
    DataType.datetime: [
        datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), pd.Timestamp(0), np.datetime64("2020"),
        np.datetime64(1, "ns"), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "target"),
    [(value, target) for target, values in FITS.items() for value in values],
    ids=describe_case,
)
def test_a_scalar_that_fits(value, target):
    assert describe_mismatch(value, target) == ""


@pytest.mark.parametrize(
    ("value", "target", "reason"),
    [
        (1, "boolean", "a value of type int"),
        ("true", "boolean", "a value of type str"),
        (np.int8(1), "boolean", "NumPy's int8"),
        (2**31, "integer", "an int beyond 32 bits"),
        (-(2**31) - 1, "integer", "an int beyond 32 bits"),
        (Count(2**31), "integer", "an int beyond 32 bits"),
        (1.0, "integer", "a float"),
        (NAN, "integer", "a float"),
        (True, "integer", "a value of type bool"),
        (np.True_, "integer", "NumPy's bool"),
        (np.int64(1), "integer", "NumPy's int64"),
        (np.uint32(1), "integer", "NumPy's uint32"),
        (2**63, "long", "an int beyond 64 bits"),
        (-(2**63) - 1, "long", "an int beyond 64 bits"),
        (1.0, "long", "a float"),
        (True, "long", "a value of type bool"),
        (np.uint64(1), "long", "NumPy's uint64"),
        (np.float64(1), "long", "NumPy's float64"),
        (0.1, "float", "a float that is not exactly a float32"),
        (1e300, "float", "a float that is not exactly a float32"),
        (-1e300, "float", "a float that is not exactly a float32"),
        (1e-60, "float", "a float that is not exactly a float32"),
        (2**24 + 1, "float", "an int that float cannot hold exactly"),
        (True, "float", "a value of type bool"),
        (np.float64(0.5), "float", "NumPy's float64"),
        (np.int16(1), "float", "NumPy's int16"),
        (2**53 + 1, "double", "an int that double cannot hold exactly"),
        (10**400, "double", "an int that double cannot hold exactly"),
        (True, "double", "a value of type bool"),
        (np.int64(1), "double", "NumPy's int64"),
        ("1.0", "double", "a value of type str"),
        (1, "string", "a value of type int"),
        (b"a", "string", "a value of type bytes"),
        (np.bytes_(b"a"), "string", "NumPy's binary"),
        ("a", "binary", "a value of type str"),
        (memoryview(b"a"), "binary", "a value of type memoryview"),
        ([1], "binary", "a value of type list"),
        ("2020-01-01", "datetime", "a value of type str"),
        (datetime.time(12), "datetime", "a value of type time"),
        (np.timedelta64(1, "s"), "datetime", "NumPy's timedelta64[s]"),
        *((None, target.name, "None") for target in DataType),
        *((object(), target.name, "a value of type object") for target in DataType),
        *(([1], target.name, "a value of type list") for target in DataType),
    ],
    ids=lambda v: type(v).__name__ if type(v) in (object, memoryview) else repr(v)[:30],
)
def test_a_scalar_that_would_change(value, target, reason):
    assert describe_mismatch(value, DataType[target]) == reason


@pytest.mark.parametrize("target", list(DataType), ids=describe_case)
@pytest.mark.parametrize(
    "array", [np.array([1, 2]), np.array([True]), np.array(["a"]), np.zeros(1)], ids=describe_case
)
def test_an_array_is_no_scalar(array, target):
    assert describe_mismatch(array, target)


@pytest.mark.parametrize(
    "name", [n for n in IMMEDIATE if n in np.sctypeDict or n == "bool"], ids=describe_case
)
@pytest.mark.parametrize("target", list(DataType), ids=describe_case)
def test_a_scalar_of_numpy_is_judged_by_the_table(name, target):
    value = np.dtype(name).type(0)
    assert (describe_mismatch(value, target) == "") is (MODEL_TYPE[target] in find_upper_bounds(name))


@given(st.integers(-(2**70), 2**70))
def test_an_int_that_fits_comes_back(value):
    assert (describe_mismatch(value, DataType.integer) == "") is (-(2**31) <= value < 2**31)
    assert (describe_mismatch(value, DataType.long) == "") is (-(2**63) <= value < 2**63)
    if describe_mismatch(value, DataType.double) == "":
        assert int(float(value)) == value
    if describe_mismatch(value, DataType.float) == "":
        assert int(np.float32(value)) == value


@given(st.one_of(st.floats(), st.floats(width=32)))
def test_a_float_that_fits_comes_back(value):
    with np.errstate(over="ignore"):
        equal = float(np.float32(value)) == value or value != value
    assert (describe_mismatch(value, DataType.float) == "") is equal
    assert describe_mismatch(value, DataType.double) == ""
