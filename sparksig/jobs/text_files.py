"""Reading of CSV and JSON with declared columns. A line that Spark would change silently is malformed.

A line is malformed in these cases:

* it has more or fewer fields than declared;
* a value does not have the type of its column (``1.7`` for a bigint, a number that is too large);
* a number is larger than a double, which Spark reads as infinity;
* a date has a time of day, or a time has parts of a microsecond or no date;
* a column that is declared NOT NULL is null.

Only columns that are read are checked. The header of a CSV file must have the declared names in their order.
Decimals are refused, because Spark rounds them; doubles and floats are the nearest to the decimal text.

Spark does not report the following problems, so they are not detected:

* JSON keys in another case than the column (absent, so null), duplicate keys (the last one counts), and text
  after a record of JSON in its line;
* numbers and objects where text is declared (converted to text), and integers for a timestamp (seconds);
* bytes that are invalid in the declared encoding;
* empty texts in quotes in CSV (null), and a quote that a CSV line leaves open in its last field.

Undeclared keys are ignored in JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from sparksig.errors import Code, Finding, quote
from sparksig.jobs.config import InputSection
from sparksig.jobs.config_errors import build_config_error, build_value_error
from sparksig.spark.names import get_name_folding
from sparksig.tables.sql import SqlRule, build_broken_condition, flag, format_findings, name_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class TextTable:
    """A table of CSV or JSON.

    Attributes:
        rows: all rows, malformed ones with nulls; the last column has the line of malformed rows.
        record: the name of that column.
        malformed: the condition in SQL for a malformed row.
        findings: the reasons in SQL: an array of findings.
    """

    rows: DataFrame
    record: str
    malformed: str
    findings: str


_RESERVED = ("mode", "columnNameOfCorruptRecord", "enforceSchema", "columnPruning", "inferSchema",
         "ignoreCorruptFiles", "ignoreMissingFiles", "primitivesAsString")  # fmt: skip
"""Options that would lose rows, or the reasons why rows are malformed."""


def read_text(spark: SparkSession, section: InputSection, path: str) -> TextTable:
    """Open the files of a table.

    Raises:
        ConfigError: the declared columns are not DDL, or have types that are not read from text; or options
            would lose rows.
    """
    declared = _read_schema(spark, section)
    record = "_corrupt_record"
    while record.casefold() in (name.casefold() for name in declared.names):
        record = f"_{record}"
    configured = {name.casefold() for name in section.options}
    problems = [
        Finding(Code.INVALID_VALUE, f"input.options.{quote(name)}", "nothing", "a value",
                "it would lose rows, or the reasons why they are malformed")
        for name in section.options
        if name.casefold() in {option.casefold() for option in _RESERVED}
    ]  # fmt: skip
    if problems:
        raise build_config_error(problems)
    options = {
        name: value
        for name, value in _default_options(section.format).items()
        if name.casefold() not in configured
    }
    options |= {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": record, "enforceSchema": "false"}
    options |= dict.fromkeys(("columnPruning", "ignoreCorruptFiles", "ignoreMissingFiles"), "false")
    if str(spark.conf.get(_TIMES)).upper() == "EXCEPTION":  # the default of Spark 3, which fails in any mode
        spark.conf.set(_TIMES, "CORRECTED")
    schema = T.StructType([*declared.fields, T.StructField(record, T.StringType())])
    rows = spark.read.schema(schema).options(**section.options, **options).format(section.format).load(path)
    rules = [_build_record_rule(declared, record, section.format), *_build_value_rules(declared, record)]
    return TextTable(rows, record, build_broken_condition(rules), format_findings(rules))


_TIMES = "spark.sql.legacy.timeParserPolicy"
"""The setting for dates and times that Spark 2 would have read differently."""


def _default_options(form: str) -> dict[str, str]:
    times = "yyyy-MM-dd['T'][ ]HH:mm:ss[.SSSSSS]"  # Spark follows explicit formats strictly
    options = {"dateFormat": "yyyy-MM-dd", "timestampFormat": f"{times}[XXX]", "timestampNTZFormat": times}
    if form == "csv":
        return options | {"header": "true"}
    return options | {"allowNonNumericNumbers": "false"}


def _read_schema(spark: SparkSession, section: InputSection) -> T.StructType:
    ddl = str(section.schema_)
    try:
        spark.read.schema(ddl)  # it does not read the name of a type as a column
        declared = spark.createDataFrame([], ddl).schema
    except Exception as error:  # an error of the parser, whose class depends on the version of Spark
        reason = " ".join(str(error).strip().partition("\n== SQL")[0].split())
        raise build_value_error("input.schema", "columns as DDL", "another text", reason) from None
    findings = [finding for field in declared.fields for finding in _refuse_type(field, section.format)]
    fold = get_name_folding(spark)
    folded = [fold(name) for name in declared.names]
    findings += [
        Finding(Code.DUPLICATE_NAME, f"input.schema.{quote(name)}", "one column of that name", "several")
        for index, name in enumerate(declared.names)
        if folded[index] in folded[:index]
    ]
    if findings:
        raise build_config_error(findings)
    return declared


def _refuse_type(field: T.StructField, form: str) -> list[Finding]:
    """Report a type that Spark would not read unchanged."""
    path, dtype = f"input.schema.{quote(field.name)}", field.dataType.simpleString()
    if re.search(r"\bdecimal\(", dtype):
        hint = "Spark rounds values with more digits silently"
        return [Finding(Code.UNSUPPORTED_TYPE, path, "double, or string", dtype, hint)]
    if form == "csv" and isinstance(field.dataType, (T.ArrayType, T.MapType, T.StructType)):
        return [Finding(Code.UNSUPPORTED_TYPE, path, "a scalar type, for CSV", dtype)]
    return []


# --- the rules for malformed rows -------------------------------------------------------------------------


def _build_record_rule(declared: T.StructType, record: str, form: str) -> SqlRule:
    finding = Finding(Code.INVALID_VALUE, "", f"a record of {form} with the declared columns", "another")
    # Spark parses nothing if a query only asks for the malformed line
    parsed = f"coalesce(length(string({name_column(declared.names[0])})), 0) >= 0"
    return SqlRule(finding, flag(f"{name_column(record)} is not null and {parsed}"))


def _build_value_rules(declared: T.StructType, record: str) -> list[SqlRule]:
    rules = []
    for field in declared.fields:
        value, path = name_column(field.name), quote(field.name)
        if not field.nullable:
            finding = Finding(Code.NULL_IN_REQUIRED, path, "a value, as declared by NOT NULL", "a null")
            rules.append(SqlRule(finding, flag(f"{name_column(record)} is null and {value} is null")))
        infinite = _find_infinite(value, field.dataType)
        if infinite:
            finding = Finding(Code.OUT_OF_RANGE, path, "numbers that the declared type holds", "a larger one")
            rules.append(SqlRule(finding, flag(infinite)))
    return rules


def _find_infinite(value: str, dtype: T.DataType, depth: int = 0) -> str:
    """Return a condition in SQL for a value with an infinite number; empty if the type has none."""
    element = f"e{depth}"
    if isinstance(dtype, (T.DoubleType, T.FloatType)):
        return f"abs({value}) = double('infinity')"
    if isinstance(dtype, T.StructType):
        parts = [
            _find_infinite(f"{value}.{name_column(part.name)}", part.dataType, depth) for part in dtype.fields
        ]
        return " or ".join(f"({part})" for part in parts if part)
    if isinstance(dtype, T.ArrayType):
        inner, elements = _find_infinite(element, dtype.elementType, depth + 1), value
    elif isinstance(dtype, T.MapType):
        inner, elements = _find_infinite(element, dtype.valueType, depth + 1), f"map_values({value})"
    else:
        return ""
    return f"exists({elements}, {element} -> {inner})" if inner else ""
