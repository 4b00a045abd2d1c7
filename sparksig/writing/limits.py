"""The constraints of a target that no contract has: CHECK, generated columns, partitions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyspark.sql import types as T

from sparksig.errors import Code, Finding, step
from sparksig.lattice import Field
from sparksig.tables.columns import spark_fields
from sparksig.tables.delta import Existing
from sparksig.tables.rules import Rule, ValueOptions, build_table_rules
from sparksig.tables.sql import SqlRule, flag, name_column, quote_text


def constrain_columns(existing: Existing, columns: Sequence[Field]) -> list[Rule]:
    """Return the rules for NOT NULL and for the lengths of texts.

    Args:
        existing: the target.
        columns: the columns that are written, and those that the target fills by an expression.
    """
    return build_table_rules(spark_fields(existing.schema), columns, ValueOptions(), is_delta=True)


def constrain_generated(existing: Existing, names: Sequence[str]) -> list[SqlRule]:
    """Return the rules for generated columns among those that are written."""
    rules = []
    for name in names:
        fills = existing.filled.get(name)
        if fills is not None and fills.how == "generated":
            expected = f"the values that the target generates ({fills.expression})"
            finding = Finding(Code.INVALID_VALUE, step(name), expected, "others", "leave the column out")
            rules.append(SqlRule(finding, flag(f"not ({name_column(name)} <=> ({fills.expression}\n))")))
    return rules


def constrain_checks(existing: Existing) -> list[SqlRule]:
    """Return the CHECK constraints of a Delta table, which it keeps even where its schema is overwritten."""
    rules = []
    for key, text in existing.properties.items():
        if key.startswith("delta.constraints."):
            name = key.removeprefix("delta.constraints.")
            expected = f"rows of which CHECK {name} ({text}) is true"
            finding = Finding(Code.INVALID_VALUE, "", expected, "others")
            rules.append(SqlRule(finding, f"case when ({text}\n) then 0 else 1 end"))
    return rules


# --- partitions -------------------------------------------------------------------------------------------

_NUMBER = r"[+-]?(\p{Nd}+\.?\p{Nd}*|\.\p{Nd}+)([eE][+-]?\p{Nd}+)?[fFdD]?|[+-]?0[xX].*[pP].*"
_MOMENT = r"\p{Nd}{4}-\p{Nd}{2}-\p{Nd}{2} \p{Nd}{2}:.*"
_AMBIGUOUS = rf"(?s)[\x00-\x20]*({_NUMBER}|{_MOMENT})[\x00-\x20]*"
"""Texts that Spark may read as a number or a time in the names of directories."""

_EXACT = r"0|-?[1-9][0-9]{0,36}"
"""The numbers that Spark writes in the same way again, as it does dates."""


def reads_back_otherwise(text: str) -> bool:
    """Return whether Spark may read the name of a partition as a value that is written in another way.

    Example:
        >>> [reads_back_otherwise(text) for text in ("7", "007", "2024-01-02", "1.50", "v1.50")]
        [False, True, False, True, False]
    """
    pattern = re.compile(_AMBIGUOUS.replace(r"\p{Nd}", r"\d"))
    return bool(pattern.fullmatch(text)) and not re.fullmatch(_EXACT, text)


def constrain_partitions(
    columns: Sequence[T.StructField], format: str, existing: Existing | None
) -> list[SqlRule]:
    """Return the rules for columns to partition by, so that directory names give values back."""
    rules = []
    types = {} if existing is None else {field.name: field.dataType for field in existing.schema.fields}
    for column in columns:
        if not isinstance(column.dataType, T.StringType):
            continue
        value, path = name_column(column.name), step(column.name)
        expected = "texts that are not empty, in a column to partition by"
        finding = Finding(Code.INVALID_VALUE, path, expected, "empty texts, which would be null")
        rules.append(SqlRule(finding, flag(f"{value} = '' or {value} = '__HIVE_DEFAULT_PARTITION__'")))
        if format != "parquet":
            continue
        expected = "texts that readers of Parquet return unchanged, in a column to partition by"
        actual = "texts that Spark reads as numbers or times and formats differently, as 007 or 1.50"
        hint = "cast the column explicitly, to int for example, or write Delta"
        ambiguous, exact = quote_text(f"^({_AMBIGUOUS})$"), quote_text(f"^({_EXACT})$")
        finding = Finding(Code.INVALID_VALUE, path, expected, actual, hint)
        rules.append(SqlRule(finding, flag(f"{value} rlike {ambiguous} and not {value} rlike {exact}")))
        target = types.get(column.name, T.StringType())
        if not isinstance(target, T.StringType):  # as the existing directories read
            text = target.simpleString()
            finding = Finding(Code.TYPE_MISMATCH, path, f"texts that read as {text}", "others", _TEXT_HINT)
            broken = f"{value} is not null and try_cast({value} as {text}) is null"
            rules.append(SqlRule(finding, flag(broken)))
    return rules


_TEXT_HINT = "readers of Parquet would see all partitions of the table as texts"
