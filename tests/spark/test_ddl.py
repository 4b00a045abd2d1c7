"""DDL as Spark's own parser has it: one table of texts, and what to_ddl writes."""

from __future__ import annotations

import re

import numpy as np
from pyspark.sql import types as T

from sparksig.convert.ddl import from_ddl, to_ddl
from sparksig.convert.spark import from_spark, to_spark
from sparksig.errors import ConversionError, SignatureError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.convert.test_ddl import MALFORMED, NO_COUNTERPARTS, NO_TYPES, OPTIONAL
from tests.strategies import ODD_NAMES

SPARK_4 = hasattr(T, "VariantType")

NEWER = re.compile(
    r"collate|variant|\btime\b|time zone|geo(metry|graphy)|timestamp_ltz|timestamp\w*\(|interval$"
)
"""What some Spark between 3.5 and the newest does not read yet."""

TEXTS = [
    *[f"a {text}" for texts in OPTIONAL.values() for text in texts],
    *[f"a {text}" for text in (*NO_TYPES, *NO_COUNTERPARTS, "time") if text != "string(3)"],
    *[f"a {text} not null comment 'x'" for texts in OPTIONAL.values() for text in texts],
    "a: int, b: string not null",
    "struct<a int, b: string not null>",
    "`odd ``name` int, A int, a int, `日本` int",
    "a int -- c\n, b int /* d */",
    "a int comment 'it\\'s', b map<string, array<struct<c: int not null comment \", d int\">>>",
    "select int, from int, not int, null int, comment int, interval interval",
    "a struct<b: int, b: int>, c map<int, int>, d struct<>, e void not null",
    *MALFORMED,
]
TRIMMED = "a int\x00"
"""Java trims control characters; sparksig does not."""


def by_spark(text):
    """Parse a text with Spark and from_spark; return the kind of error if they refuse it."""
    try:
        table = T._parse_datatype_string(text)  # as createDataFrame does, which refuses char and varchar
    except Exception:  # of classes that depend on the session
        return SignatureError
    if not isinstance(table, T.StructType):  # a type alone, of which Spark makes a column called value
        return SignatureError
    try:
        return from_spark(table)
    except ConversionError as error:
        return sorted(map(str, error.findings))


def by_text(text):
    try:
        return from_ddl(text)
    except SignatureError:
        return SignatureError
    except ConversionError as error:
        unknown = any("a type that Spark has" in str(finding) for finding in error.findings)
        return SignatureError if unknown else sorted(map(str, error.findings))


def test_texts_are_read_as_spark_reads_them(spark):
    different = {}
    for text in TEXTS:
        ours, theirs = by_text(text), by_spark(text)
        if ours != theirs and text != TRIMMED:
            different[text] = (ours, theirs)
    too_new = [text for text in different if different[text][1] is SignatureError]
    assert {text: pair for text, pair in different.items() if text not in too_new} == {}
    assert [text for text in too_new if not NEWER.search(text.lower())] == []


tensors = [
    TensorSpec(np.dtype(name), (-1, 2)[:rank], f"{name} {rank}")
    for name in (
        "bool",
        "int8",
        "uint8",
        "int64",
        "uint64",
        "float16",
        "float64",
        "str",
        "bytes",
        "datetime64[s]",
    )
    for rank in (0, 1, 2)
]


def without_metadata(table):
    """A table without the metadata of tensors, which DDL does not hold."""
    return T.StructType([T.StructField(f.name, f.dataType, f.nullable) for f in table.fields])


def test_spark_reads_what_is_written(spark):
    record = Object([Property(name, "long", name != "a.b") for name in ("a.b", "`", "ä", "not", "1", " ")])
    columns = [*DataType, Array(record), Map(Array(Map("string"))), SparkMLVector(), *([AnyType()] * SPARK_4)]
    names = [*ODD_NAMES, *map(str, columns)][: len(columns)]
    for specs in (
        tensors,
        [ColSpec(dtype, name, i % 2 == 0) for i, (dtype, name) in enumerate(zip(columns, names))],
    ):
        schema = Schema(specs)
        assert spark.createDataFrame([], to_ddl(schema)).schema == without_metadata(to_spark(schema))
