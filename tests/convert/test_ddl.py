"""DDL <-> schemas, without a JVM: the grammar, Spark's own types as the measure, every loss listed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyspark.sql import types as T

from sparksig.convert.ddl import LOST_FROM_DDL, LOST_TO_DDL, find_losses_in_ddl, from_ddl, to_ddl
from sparksig.convert.spark import from_spark, to_spark
from sparksig.errors import Code, ConversionError, SignatureError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.convert.helpers import HOPELESS_DTYPES, codes
from tests.strategies import column_schemas, scalar_types, schemas, tensor_schemas

SPARK_4 = hasattr(T, "VariantType")


def attempt(convert, value):
    """Return the result of a conversion, or its error."""
    try:
        return convert(value), None
    except (SignatureError, ConversionError) as error:
        return None, error


# --- the grammar --------------------------------------------------------------------------------------------

OPTIONAL = {
    DataType.boolean: ["boolean"],
    DataType.integer: ["tinyint", "byte", "smallint", "short", "int", "integer", "decimal(9)", "dec(1,0)"],
    DataType.long: ["bigint", "long", "decimal", "numeric", "decimal(18)", "decimal( 010 , 0 )"],
    DataType.float: ["float", "real"],
    DataType.double: ["double", "decimal(15,2)", "DEC(3,3)"],
    DataType.string: ["string", "char(3)", "character(3)", "varchar(9)", "string collate unicode_ci"],
    DataType.binary: ["binary"],
    DataType.datetime: [
        *("date", "timestamp", "timestamp_ntz", "timestamp_ltz"),
        *("timestamp without time zone", "timestamp with local time zone"),
        *("timestamp(6)", "timestamp_ntz(6)", "timestamp_ltz(6)", "timestamp(6) without time zone"),
    ],
    AnyType(): ["variant", "void"],
    Array("integer"): ["array<int>", "ARRAY < Int >", "array<smallint>"],
    Array(Array(Array("string"))): ["array<array<array<string>>>", "array<array< array<varchar(3)> >>"],
    Map("double"): [
        "map<string,double>",
        "map<varchar(3), decimal(5,2)>",
        "MAP<STRING COLLATE UNICODE, double>",
    ],
    Object([Property("b", "long"), Property("c d", "string", False)]): [
        "struct<b: bigint not null, `c d`: string>",
        "struct<b bigint NOT NULL COMMENT 'x', `c d` string comment \"y\">",
        "Struct<`c d`string,b:long not/**/null>",
    ],
}


@pytest.mark.parametrize(
    ("text", "dtype"), [(text, dtype) for dtype in OPTIONAL for text in OPTIONAL[dtype]], ids=describe_case
)
def test_every_type_and_alias(text, dtype):
    assert from_ddl(f"a {text}") == Schema([ColSpec(dtype, "a", required=False)])
    if text != "void":
        assert from_ddl(f"a {text} not null") == Schema([ColSpec(dtype, "a")])


ONE = Schema([ColSpec("integer", "a", required=False)])
TWO = Schema([ColSpec("integer", "a", required=False), ColSpec("string", "b")])


@pytest.mark.parametrize(
    "text",
    [
        "a int, b string not null",
        "A int, b string not null".replace("A", "`a`"),
        "a:int,b:string not null",
        "struct<a int, b: string not null>",
        "  STRUCT < a int , b string NOT  NULL > ",
        "a INT COMMENT 'first', b STRING NOT NULL COMMENT 'second'",
        "a int -- of rows, not null\n, b string not null -- \\\n still a comment",
        "/* columns */ a int, /* one /* in */ another */ b string not null",
        "a\u00a0int,\u3000b\u2028string\tnot\r\nnull",
        "a int comment 'it''s' \"so\" r'\\', b string not null comment 'a \\' b'",
        "a int comment ', c int', b string not null",
    ],
    ids=describe_case,
)
def test_writing(text):
    assert from_ddl(text) == TWO


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("`odd ``name` int", "odd `name"),
        ("`` int", ""),
        ("`a.b` int", "a.b"),
        ("`日本` int", "日本"),
        ("`a\nb` int", "a\nb"),
        ("`--` int", "--"),
        ("1a int", "1a"),
        ("1e int", "1e"),
        ("12_ int", "12_"),
        ("_ int", "_"),
        *[
            (f"{word} int", word)
            for word in ("int", "struct", "not", "null", "comment", "select", "Interval")
        ],
    ],
    ids=describe_case,
)
def test_names(text, name):
    assert from_ddl(text) == Schema([ColSpec("integer", name, required=False)])


MALFORMED = {
    "int": "int: expected a type, got the end of the text (line 1, column 4)",
    "array<int>": "expected the name of a column, got 'array' (line 1, column 1)",
    "a int,": "expected the name of a column, got the end of the text (line 1, column 7)",
    ", a int": "expected the name of a column, got ',' (line 1, column 1)",
    "a int b int": "expected ',' or the end of the text, got 'b' (line 1, column 7)",
    "a int;": "expected ',' or the end of the text, got ';' (line 1, column 6)",
    "a int null": "expected ',' or the end of the text, got 'null' (line 1, column 7)",
    "a int default 3": "expected ',' or the end of the text, got 'default' (line 1, column 7)",
    "a int comment 'x' not null": "expected ',' or the end of the text, got 'not' (line 1, column 19)",
    "a int,\n  b string not": "b: expected NULL, got the end of the text (line 2, column 15)",
    "a int comment x": "a: expected the comment, a quoted text, got 'x' (line 1, column 15)",
    "a int comment 'x": 'a: expected the comment, a quoted text, got "\'" (line 1, column 15)',
    "a array": "a: expected '<', got the end of the text (line 1, column 8)",
    "a array<>": "a[]: expected a type, got '>' (line 1, column 9)",
    "a array<int": "a: expected '>', got the end of the text (line 1, column 12)",
    "a array<int>>": "expected ',' or the end of the text, got '>' (line 1, column 13)",
    "a array<int not null>": "a: expected '>', got 'not' (line 1, column 13)",
    "a map<string>": "a: expected ',', got '>' (line 1, column 13)",
    "a struct<b: array<c>, d>": "a.d: expected a type, got '>' (line 1, column 24)",
    "a struct<'b' int>": "a: expected the name of a field, got a quoted text (line 1, column 10)",
    "struct<a int> not null": "expected the end of the text, got 'not' (line 1, column 15)",
    "a decimal()": "a: expected an integer, got ')' (line 1, column 11)",
    "a decimal(5,-2)": "a: expected an integer, got '-' (line 1, column 13)",
    "a decimal(1e1)": "a: expected an integer, got '1e1' (line 1, column 11)",
    "a interval year to day": "a: expected MONTH, got 'day' (line 1, column 20)",
    "a interval second to second": "expected ',' or the end of the text, got 'to' (line 1, column 19)",
    "a timestamp with time zone": "a: expected LOCAL, got 'time' (line 1, column 18)",
    "a geometry": "a: expected '(', got the end of the text (line 1, column 11)",
    "a int /* c": "expected the end of a comment, */, got the end of the text (line 1, column 7)",
    "a int\x00": "expected ',' or the end of the text, got '\\x00' (line 1, column 6)",
    "-- nothing": "expected the name of a column, got the end of the text (line 1, column 11)",
}
_QUOTE = "; put names in backticks unless they consist of ASCII letters, digits and _)"
MALFORMED |= {
    text: f"{expected[:-1]}{_QUOTE}"
    for text, expected in {
        "ä int": "expected the name of a column, got 'ä' (line 1, column 1)",
        "a-b int": "a: expected a type, got '-' (line 1, column 2)",
        "a.b int": "a: expected a type, got '.' (line 1, column 2)",
        "12 int": "expected the name of a column, got '12' (line 1, column 1)",
        "1L int": "expected the name of a column, got '1L' (line 1, column 1)",
        "1e3 int": "expected the name of a column, got '1e3' (line 1, column 1)",
        "\ufeffa int": "expected the name of a column, got '\\ufeff' (line 1, column 1)",
        "`a int": "expected the name of a column, got '`' (line 1, column 1)",
    }.items()
}


@pytest.mark.parametrize("text", MALFORMED, ids=describe_case)
def test_malformed(text):
    with pytest.raises(SignatureError) as error:
        from_ddl(text)
    assert str(error.value) == f"malformed DDL: 1 finding\n  - {MALFORMED[text]} [INVALID_VALUE]"


NO_TYPES = {
    "uint": "uint (did you mean 'int'?)",
    "bool": "bool (did you mean 'boolean'?)",
    "frob": "frob",
    "frob(3, 4)": "frob(3,4)",
    "`int`": "`int` (did you mean 'int'?)",
    "int(3)": "int(3) (write it without a length)",
    "string(3)": "string(3) (use varchar for strings of limited length)",
    "varchar": "varchar (give it a length, for example varchar(10))",
    "char": "char (give it a length, for example char(10))",
    "date(3)": "date(3) (write it without a length)",
    "timestamp(3)": "timestamp(3) (the precision is 6)",
    "timestamp_ntz(9)": "timestamp_ntz(9) (the precision is 6)",
    "time(10)": "time(10) (the precision is at most 9)",
    "decimal(39)": "decimal(39) (the precision is at most 38, and the scale is at most the precision)",
    "dec(5,6)": "dec(5,6) (the precision is at most 38, and the scale is at most the precision)",
    "decimal(5,2,1)": "decimal(5,2,1) (the precision is at most 38, and the scale is at most the precision)",
}
NO_COUNTERPARTS = {
    **{
        text: f"{text} ({text} has no counterpart in a signature: cast it explicitly, or drop it)"
        for text in [
            *("interval", "interval year", "interval year to month", "interval day to second"),
            *("interval month", "interval second", "time(3)", "time(9)", "geometry(4326)", "geography(any)"),
        ]
    },
    "time": "time(6) (time(6) has no counterpart in a signature: cast it explicitly, or drop it)",
    "decimal(20)": "decimal(20,0) (signatures support 18 digits without a fraction, or 15 with one: "
    "reduce the precision, or cast it to double explicitly)",
}


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [(text, "a type that Spark has", dtype) for text, dtype in NO_TYPES.items()]
    + [(text, "a supported type", counterpart) for text, counterpart in NO_COUNTERPARTS.items()],
    ids=describe_case,
)
def test_invalid_types(text, expected, message):
    with pytest.raises(ConversionError) as error:
        from_ddl(f"a {text}")
    finding = f"a: expected {expected}, got {message} [UNSUPPORTED_TYPE]"
    assert str(error.value) == f"no signature for this DDL: 1 finding\n  - {finding}"


def test_all_findings_at_once():
    text = "a frob, a int, b struct<c: time, d: struct<>>, e map<int, int>, f void not null"
    with pytest.raises(ConversionError, match="no signature for this DDL: 6 findings") as error:
        from_ddl(text)
    assert sorted(codes(error)) == [
        ("a", Code.DUPLICATE_NAME),
        ("a", Code.UNSUPPORTED_TYPE),
        ("b.c", Code.UNSUPPORTED_TYPE),
        ("b.d", Code.UNSUPPORTED_TYPE),
        ("e", Code.UNSUPPORTED_TYPE),
        ("f", Code.UNSUPPORTED_TYPE),
    ]


@pytest.mark.parametrize("text", ["", " \n", "struct<>"])
def test_no_column(text):
    with pytest.raises(SignatureError, match="a Schema needs at least one column"):
        from_ddl(text)


@pytest.mark.parametrize("value", [None, 5, b"a int", ["a int"]])
def test_no_text(value):
    with pytest.raises(ConversionError, match="from_ddl: expected a text, got"):
        from_ddl(value)


DEEPEST = "array<" * 99 + "int" + ">" * 99


def test_100_levels_of_nesting_are_accepted():
    assert from_ddl(f"a {DEEPEST}") == from_ddl(f"a: {DEEPEST}")


@pytest.mark.parametrize(
    "text",
    [f"a array<{DEEPEST}>", "a " + "array<" * 100_000, "a " + "struct<b:" * 100_000],
    ids=["101 levels", "100,000 arrays", "100,000 structs"],
)
def test_more_than_100_levels_of_nesting_are_refused(text):
    with pytest.raises(ConversionError, match="expected at most 100 levels of nesting, got more"):
        from_ddl(text)


@given(st.text(st.sampled_from("a1 `'\"<>(),:/*-\\\nintnotnullstructarray.ä"), max_size=40))
@example("a struct<" * 50)
def test_any_text_is_a_schema_or_an_error(text):
    schema, error = attempt(from_ddl, text)
    assert isinstance(schema, Schema) or error.findings or "needs at least one column" in str(error)


# --- to DDL -------------------------------------------------------------------------------------------------


def test_a_schema_as_text():
    record = Object([Property("n", "long"), Property("odd `n", Map("double"), required=False)])
    schema = Schema([ColSpec("long", "id"), ColSpec(Array(record), "items", False), ColSpec("binary", "ä b")])
    assert to_ddl(schema) == (
        "id bigint not null, items array<struct<n: bigint not null, `odd ``n`: map<string, double>>>, "
        "`ä b` binary not null"
    )


@given(column_schemas())
def test_columns_come_back_but_for_what_is_lost(schema):
    text, error = attempt(to_ddl, schema)
    if error:
        assert {finding.code for finding in error.findings} == {Code.DUPLICATE_NAME}
        return
    back = from_ddl(text)
    assert from_ddl(to_ddl(back)) == back
    assert (back == schema) == (not find_losses_in_ddl(schema))


@pytest.mark.skipif(not SPARK_4, reason="this Spark has no VariantType")
@given(schemas)
def test_as_by_way_of_sparks_types(schema):
    """DDL and the StructType agree, except for the metadata of tensors."""
    (table, error), (text, ours) = attempt(to_spark, schema), attempt(to_ddl, schema)
    if error:
        assert sorted(map(str, ours.findings)) == sorted(map(str, error.findings))
        return
    plain = T.StructType([T.StructField(f.name, f.dataType, f.nullable) for f in table.fields])
    (back, error), (read, ours) = attempt(from_spark, plain), attempt(from_ddl, text)
    assert read == back
    if error:  # of unsigned 64 bit tensors: a decimal that is too wide
        assert ours.findings == error.findings


@given(tensor_schemas(scalar_types.map(lambda dtype: np.dtype("float64"))))
def test_a_tensor_is_lost(schema):
    assert [finding.code for finding in find_losses_in_ddl(schema)][-len(schema) :] == [
        Code.NOT_EXPRESSED
    ] * len(schema)


def test_names_that_are_one_as_text():
    with pytest.raises(
        ConversionError, match="no DDL for this schema: 1 finding\n  - 1: expected one column"
    ):
        to_ddl(Schema([ColSpec("long", 1), ColSpec("long", "1")]))


@pytest.mark.parametrize("value", [None, "a int", DataType.long])
def test_no_schema(value):
    with pytest.raises(ConversionError, match="to_ddl: expected a Schema, got"):
        to_ddl(value)


# --- losses -------------------------------------------------------------------------------------------------


def _back(schema):
    return from_ddl(to_ddl(schema))


def lose_vector():
    schema = Schema([ColSpec(Map(SparkMLVector()), "a")])
    assert _back(schema) == Schema([ColSpec(Map(Array("double")), "a")])
    return schema, "a[]: expected SparkML vector, got array<double>"


def lose_namelessness():
    schema = Schema([ColSpec("long"), ColSpec("string")])
    assert _back(schema) == Schema([ColSpec("long", "0"), ColSpec("string", "1")])
    return schema, "expected columns without a name, got their numbers as names"


def lose_integer_name():
    schema = Schema([ColSpec("long", 7)])
    assert _back(schema) == Schema([ColSpec("long", "7")])
    return schema, "7: expected an integer as name, got its digits"


def lose_tensor():
    schema = Schema([TensorSpec(np.dtype("uint8"), (-1, 2, 3), "a")])
    assert _back(schema) == Schema([ColSpec(Array(Array("integer")), "a")])
    return schema, "a: expected Tensor('uint8', (-1, 2, 3)), got array<array<smallint>>"


def refuse_tensors():
    for name in [*HOPELESS_DTYPES, "timedelta64[ns]"]:
        with pytest.raises(
            ConversionError, match="no DDL for this schema: 1 finding\n  - a: expected a dtype"
        ):
            to_ddl(Schema([TensorSpec(np.dtype(name), (-1,), "a")]))


LOSSES_TO = {
    "SparkML vector": lose_vector,
    "a column without a name": lose_namelessness,
    "an integer name": lose_integer_name,
    "tensor": lose_tensor,
    "tensor of object, complex, long double or timedelta": refuse_tensors,
}


@pytest.mark.parametrize("line", LOSSES_TO, ids=describe_case)
def test_each_line_of_lost_to_ddl(line):
    case = LOSSES_TO[line]()
    if case:
        schema, expected = case
        assert [str(finding) for finding in find_losses_in_ddl(schema)] == [f"{expected} [NOT_EXPRESSED]"]


LOSSES_FROM = {
    "tinyint, smallint": ("a tinyint, b smallint", "a int, b int"),
    "char, varchar, collations": (
        "a char(1), b varchar(2), c string collate unicode",
        "a string, b string, c string",
    ),
    "date, timestamp_ntz": ("a date, b timestamp_ntz", "a timestamp, b timestamp"),
    "decimal": ("a decimal(9), b decimal(18), c decimal(9,2)", "a int, b bigint, c double"),
    "void": ("a void", "a variant"),
    "order of struct fields": ("a struct<b: int, a: int>", "a struct<a: int, b: int>"),
    "comments": ("a int comment 'x' /* y */", "a int"),
}


@pytest.mark.parametrize("line", LOSSES_FROM, ids=describe_case)
def test_each_line_of_lost_from_ddl(line):
    text, back = LOSSES_FROM[line]
    assert to_ddl(from_ddl(text)) == back


def test_every_loss_has_its_test():
    assert set(LOSSES_TO) == set(LOST_TO_DDL)
    assert set(LOSSES_FROM) == set(LOST_FROM_DDL)


@given(column_schemas(scalar_types, unnamed=False))
def test_the_text_is_made_of_words_and_backticks(schema):
    for name in schema.input_names():
        assert re.fullmatch(r"\w+ .*", to_ddl(Schema([ColSpec("long", "a")])))
        text = to_ddl(Schema([ColSpec("long", name)]))
        assert text.startswith("`") != bool(re.fullmatch("[A-Za-z_][A-Za-z0-9_]* bigint not null", text))
