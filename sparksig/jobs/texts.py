"""CSV and JSON as tables: the columns are declared, and what Spark would change silently is malformed.

A line is malformed where it has more or fewer fields than declared, where a value is not of its column's
type (``1.7`` for a bigint, a number too large), where a number goes beyond a double (Spark makes it
infinity), where a date has a time of day, a time has parts of a microsecond or no date, and where a column
that is declared NOT NULL is null. Of columns that nobody reads no value is looked at. The header of a CSV
file must have the declared names in their order. Decimals are not read, for Spark rounds them; numbers for a
double or a float are the nearest there is, as everywhere in decimal text.

Not seen, because Spark does not tell: JSON keys spelt in another way than the column (they are absent, and so
null), a key that stands twice (the last one counts), what follows a record of JSON in its line, numbers and
objects where text is declared (they become their text), whole numbers for a timestamp (they count as
seconds), bytes that are no text in the declared encoding, texts of CSV that are empty in quotes (they are
null), and quotes that a CSV line leaves open in its last field. Keys and columns that are not declared are
ignored in JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from sparksig.errors import Code, ConfigError, Finding, step
from sparksig.jobs.config import InputSection
from sparksig.spark.names import name_folding
from sparksig.tables.sql import SqlRule, flag, format_findings, is_broken, name_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Text", "read_text"]


@dataclass(frozen=True)
class Text:
    """A table of CSV or JSON.

    Attributes:
        rows: all of them, malformed ones with nulls; the last column has the line of those.
        record: the name of that column.
        malformed: whether a row is, in SQL.
        told: why, in SQL: an array of findings.
    """

    rows: DataFrame
    record: str
    malformed: str
    told: str


_OURS = ("mode", "columnNameOfCorruptRecord", "enforceSchema", "columnPruning", "inferSchema",
         "ignoreCorruptFiles", "ignoreMissingFiles", "primitivesAsString")  # fmt: skip
"""Options by which rows, or what is wrong with them, would be lost."""


def read_text(spark: SparkSession, section: InputSection, place: str) -> Text:
    """The table of the files at a place.

    Raises:
        ConfigError: the declared columns are no DDL, or of types that are not read from text; or options that
            would lose rows.
    """
    declared = _declared(spark, section)
    record = "_corrupt_record"
    while record.casefold() in (name.casefold() for name in declared.names):
        record = f"_{record}"
    given = {name.casefold() for name in section.options}
    problems = [
        Finding(Code.INVALID_VALUE, f"input.options.{step(name)}", "nothing", "a value",
                "rows, or what is wrong with them, would be lost by it")
        for name in section.options
        if name.casefold() in {one.casefold() for one in _OURS}
    ]  # fmt: skip
    if problems:
        raise ConfigError.of("the configuration is wrong", problems)
    options = {
        name: value for name, value in _defaults(section.format).items() if name.casefold() not in given
    }
    options |= {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": record, "enforceSchema": "false"}
    options |= dict.fromkeys(("columnPruning", "ignoreCorruptFiles", "ignoreMissingFiles"), "false")
    if str(spark.conf.get(_TIMES)).upper() == "EXCEPTION":  # as Spark 3 has it: it fails whatever the mode
        spark.conf.set(_TIMES, "CORRECTED")
    whole = T.StructType([*declared.fields, T.StructField(record, T.StringType())])
    rows = spark.read.schema(whole).options(**section.options, **options).format(section.format).load(place)
    rules = [_not_as_declared(declared, record, section.format), *_value_rules(declared, record)]
    return Text(rows, record, is_broken(rules), format_findings(rules))


_TIMES = "spark.sql.legacy.timeParserPolicy"
"""What becomes of dates and times that Spark 2 would have read in another way."""


def _defaults(form: str) -> dict[str, str]:
    times = "yyyy-MM-dd['T'][ ]HH:mm:ss[.SSSSSS]"  # asked for by name they are taken to the letter
    options = {"dateFormat": "yyyy-MM-dd", "timestampFormat": f"{times}[XXX]", "timestampNTZFormat": times}
    if form == "csv":
        return options | {"header": "true"}
    return options | {"allowNonNumericNumbers": "false"}


def _declared(spark: SparkSession, section: InputSection) -> T.StructType:
    ddl = str(section.schema_)
    try:
        spark.read.schema(ddl)  # which does not take the name of a type for a column
        declared = spark.createDataFrame([], ddl).schema
    except Exception as error:  # a parser's, of a class that depends on the Spark
        reason = " ".join(str(error).strip().partition("\n== SQL")[0].split())
        finding = Finding(Code.INVALID_VALUE, "input.schema", "columns as DDL", "another text", reason)
        raise ConfigError.of("the configuration is wrong", [finding]) from None
    findings = [one for field in declared.fields for one in _unread(field, section.format)]
    fold = name_folding(spark)
    folded = [fold(name) for name in declared.names]
    findings += [
        Finding(Code.DUPLICATE_NAME, f"input.schema.{step(name)}", "one column of that name", "several")
        for index, name in enumerate(declared.names)
        if folded[index] in folded[:index]
    ]
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)
    return declared


def _unread(field: T.StructField, form: str) -> list[Finding]:
    """What keeps a column from being read without change."""
    path, held = f"input.schema.{step(field.name)}", field.dataType.simpleString()
    if re.search(r"\bdecimal\(", held):
        hint = "Spark rounds what has more digits, and does not say so"
        return [Finding(Code.UNSUPPORTED_TYPE, path, "double, or string", held, hint)]
    if form == "csv" and isinstance(field.dataType, (T.ArrayType, T.MapType, T.StructType)):
        return [Finding(Code.UNSUPPORTED_TYPE, path, "a scalar, as CSV has them", held)]
    return []


# --- what is wrong with a row -----------------------------------------------------------------------------


def _not_as_declared(declared: T.StructType, record: str, form: str) -> SqlRule:
    finding = Finding(Code.INVALID_VALUE, "", f"a record of {form} with the declared columns", "another")
    # Spark parses nothing where the malformed line is all that a query asks for
    some = f"coalesce(length(string({name_column(declared.names[0])})), 0) >= 0"
    return SqlRule(finding, flag(f"{name_column(record)} is not null and {some}"))


def _value_rules(declared: T.StructType, record: str) -> list[SqlRule]:
    rules = []
    for field in declared.fields:
        value, path = name_column(field.name), step(field.name)
        if not field.nullable:
            finding = Finding(Code.NULL_IN_REQUIRED, path, "a value, as declared by NOT NULL", "a null")
            rules.append(SqlRule(finding, flag(f"{name_column(record)} is null and {value} is null")))
        infinite = _infinite(value, field.dataType)
        if infinite:
            finding = Finding(Code.OUT_OF_RANGE, path, "numbers that the declared type holds", "a larger one")
            rules.append(SqlRule(finding, flag(infinite)))
    return rules


def _infinite(value: str, dtype: T.DataType, depth: int = 0) -> str:
    """Whether there is an infinite number in a value, in SQL; empty where there can be none."""
    one = f"e{depth}"
    if isinstance(dtype, (T.DoubleType, T.FloatType)):
        return f"abs({value}) = double('infinity')"
    if isinstance(dtype, T.StructType):
        parts = [
            _infinite(f"{value}.{name_column(part.name)}", part.dataType, depth) for part in dtype.fields
        ]
        return " or ".join(f"({part})" for part in parts if part)
    if isinstance(dtype, T.ArrayType):
        inner, elements = _infinite(one, dtype.elementType, depth + 1), value
    elif isinstance(dtype, T.MapType):
        inner, elements = _infinite(one, dtype.valueType, depth + 1), f"map_values({value})"
    else:
        return ""
    return f"exists({elements}, {one} -> {inner})" if inner else ""
