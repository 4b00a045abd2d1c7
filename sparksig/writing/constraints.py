"""The constraints of a target in addition to its contract: CHECK, generated columns, partitions."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import types as T

from sparksig.errors import Code, Finding, quote
from sparksig.lattice import Field
from sparksig.tables.columns import list_spark_fields
from sparksig.tables.delta import Existing
from sparksig.tables.partitions import (
    AMBIGUOUS,
    EXACT,
    NULL_PARTITION,
    report_ambiguous,
    report_empty,
    report_unlike_text,
)
from sparksig.tables.rules import Rule, ValueOptions, build_table_rules
from sparksig.tables.sql import SqlRule, flag, name_column, quote_text


def constrain_columns(existing: Existing, columns: Sequence[Field]) -> list[Rule]:
    """Return the rules for NOT NULL and for the lengths of texts.

    Args:
        existing: the target.
        columns: the columns to write, and those that the target computes by an expression.
    """
    return build_table_rules(list_spark_fields(existing.schema), columns, ValueOptions(), is_delta=True)


def constrain_generated(existing: Existing, names: Sequence[str]) -> list[SqlRule]:
    """Return the rules for generated columns among the columns to write."""
    rules = []
    for name in names:
        fills = existing.filled.get(name)
        if fills is not None and fills.how == "generated":
            expected = f"the values that the target generates ({fills.expression})"
            finding = Finding(Code.INVALID_VALUE, quote(name), expected, "others", "drop the column")
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


def constrain_partitions(
    columns: Sequence[T.StructField], format: str, existing: Existing | None
) -> list[SqlRule]:
    """Return the rules for columns to partition by, so that directory names give values back."""
    rules = []
    types = {} if existing is None else {field.name: field.dataType for field in existing.schema.fields}
    for column in columns:
        if not isinstance(column.dataType, T.StringType):
            continue
        value, path = name_column(column.name), quote(column.name)
        nothing = flag(f"{value} = '' or {value} = {quote_text(NULL_PARTITION)}")
        rules.append(SqlRule(report_empty(column.name), nothing))
        if format != "parquet":
            continue
        ambiguous, exact = quote_text(f"^({AMBIGUOUS})$"), quote_text(f"^({EXACT})$")
        changed = flag(f"{value} rlike {ambiguous} and not {value} rlike {exact}")
        rules.append(SqlRule(report_ambiguous(column.name), changed))
        target = types.get(column.name, T.StringType())
        if not isinstance(target, T.StringType):  # as the existing directories read
            text = target.simpleString()
            broken = f"{value} is not null and try_cast({value} as {text}) is null"
            rules.append(SqlRule(report_unlike_text(path, text), flag(broken)))
    return rules
