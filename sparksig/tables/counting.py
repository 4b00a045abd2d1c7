"""Counts of the rows of a Spark table that break rules, by one pass in the JVM for any number of columns.

Spark compiles one aggregate per rule to fast code, but only for a few dozen rules. With more rules, each row
is turned into a few entries, one for each rule that it breaks, and the entries are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparksig.tables.arrow import Breach, Outcome, add_count, format_keys
from sparksig.tables.sql import (
    SqlRule,
    build_broken_condition,
    count_nulls,
    list_entries,
    name_column,
    quote_name,
)

MAX_AGGREGATED = 48
"""The greatest number of rules and counted columns for which each gets one aggregate."""

_POSITION, _BAD, _ENTRIES, _ENTRY = "sparksig position", "sparksig bad", "sparksig entries", "sparksig entry"


class _Count(NamedTuple):
    """The rows that break one rule.

    Attributes:
        rows: the number of rows.
        places: the number of positions in them that break the rule.
        first: the smallest position or key.
        last: the largest position or key.
    """

    rows: int
    places: int
    first: Any
    last: Any


def count_rows(
    df: DataFrame, rules: Sequence[SqlRule], names: Sequence[str], keys: Sequence[str] = ()
) -> Outcome:
    """Count the rows that break rules.

    Args:
        df: the table.
        rules: the rules.
        names: the columns whose nulls are counted.
        keys: the columns that identify a row.
    """
    nulls = {name: count_nulls(name) for name in names}
    rule_places = {rule.places for rule in rules}
    null_rules = [count for count in nulls.values() if count.places not in rule_places]
    count = _aggregate if len(rules) + len(null_rules) <= MAX_AGGREGATED else _count_entries
    rows, bad_rows, counts = count(df, rules, null_rules, keys)
    breaches = [_read_breach(rule, counts[rule], keys) for rule in rules if rule in counts]
    null_counts = {rule.places: count.rows for rule, count in counts.items()}
    return Outcome(
        rows,
        bad_rows,
        {name: null_counts.get(rule.places, 0) for name, rule in nulls.items()},
        tuple(breaches),
    )


def _read_breach(rule: SqlRule, count: _Count, keys: Sequence[str]) -> Breach:
    """Read the finding of one rule, with the first row or the smallest and the largest key."""
    if rule.lengths is not None:
        return Breach(rule.finding)
    if keys:
        examples = [format_keys(keys, key) for key in (count.first, count.last)]
    else:
        examples = [f"partition {count.first >> 33}, row {count.first & (1 << 33) - 1}"]
    return Breach(add_count(rule.finding, count.rows, count.places), tuple(dict.fromkeys(examples)))


def _name_rows(keys: Sequence[str]) -> str:
    """Return an SQL expression that identifies a row: its key or its position."""
    return f"struct({', '.join(map(name_column, keys))})" if keys else quote_name(_POSITION)


Counted = tuple[int, int, dict[SqlRule, _Count]]
"""The number of rows, of bad rows, and the counts of the rules that rows break."""


# --- few rules: an aggregate for each ---------------------------------------------------------------------


def _aggregate(
    df: DataFrame, rules: Sequence[SqlRule], null_rules: Sequence[SqlRule], keys: Sequence[str]
) -> Counted:
    """Count by one aggregate for each rule; ``null_rules`` only count nulls."""
    table, single = df, [rule for rule in rules if rule.lengths is None]
    if single:  # only rows that break a rule are examined in detail
        table = table.withColumn(_BAD, F.expr(build_broken_condition(single)))
    if not keys:
        table = table.withColumn(_POSITION, F.monotonically_increasing_id())
    counts = ["count(1) as rows"]
    if single:
        counts.append(f"count_if({quote_name(_BAD)}) as bad")
    for index, rule in enumerate(rules):
        counts += _aggregate_rule(rule, index, _name_rows(keys), has_keys=bool(keys))
    counts += [f"count_if({rule.broken}) as n{index}" for index, rule in enumerate(null_rules)]
    [row] = table.selectExpr(*counts).collect()
    values = row.asDict(recursive=False)
    breaking = {
        rule: _Count(
            int(values[f"r{index}"]),
            int(values.get(f"p{index}", values[f"r{index}"])),
            values.get(f"a{index}"),
            values.get(f"z{index}"),
        )
        for index, rule in enumerate(rules)
        if values[f"r{index}"]
    }
    breaking |= {
        rule: _Count(int(values[f"n{index}"]), 0, None, None) for index, rule in enumerate(null_rules)
    }
    return int(values["rows"]), int(values.get("bad", 0)), breaking


def _aggregate_rule(rule: SqlRule, index: int, position: str, *, has_keys: bool) -> list[str]:
    """Return the aggregates of one rule."""
    if rule.lengths is not None:
        least, largest = rule.lengths
        return [f"min({least}) <> max({largest}) as r{index}"]
    broken = f"{quote_name(_BAD)} and {rule.broken}"
    counts = [f"count_if({broken}) as r{index}", f"min(case when {broken} then {position} end) as a{index}"]
    if has_keys:
        counts.append(f"max(case when {broken} then {position} end) as z{index}")
    if rule.is_repeating:
        counts.append(f"sum(case when {quote_name(_BAD)} then {rule.places} end) as p{index}")
    return counts


# --- many rules: entries ----------------------------------------------------------------------------------


def _count_entries(
    df: DataFrame, rules: Sequence[SqlRule], null_rules: Sequence[SqlRule], keys: Sequence[str]
) -> Counted:
    """Count entries, each for a rule that a row breaks; ``null_rules`` only count nulls."""
    single = [rule for rule in rules if rule.lengths is None]
    further = [*(rule for rule in rules if rule.lengths is not None), *null_rules]
    types = {field.name: field.dataType.json() for field in df.schema.fields}
    numbered, entries = list_entries(single, further, types)
    position = F.expr(_name_rows(keys)) if keys else F.monotonically_increasing_id()
    rows = df.select(position.alias(_POSITION), F.expr(entries).alias(_ENTRIES))
    is_bad = f"exists({quote_name(_ENTRIES)}, entry -> entry.rule < {len(single)})"
    row = f"named_struct('rule', if({is_bad}, -1, -2), 'places', 0, 'largest', 0)"
    exploded = f"explode(concat(array({row}), {quote_name(_ENTRIES)})) as {quote_name(_ENTRY)}"
    entry, position_name = quote_name(_ENTRY), quote_name(_POSITION)
    counts = (
        rows.selectExpr(position_name, exploded)
        .groupBy(F.expr(f"{entry}.rule").alias("rule"))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.expr(f"sum({entry}.places)").alias("places"),
            F.expr(f"min({entry}.places)").alias("least"),
            F.expr(f"max({entry}.largest)").alias("largest"),
            F.expr(f"min({position_name})").alias("first"),
            F.expr(f"max({position_name})").alias("last"),
        )
        .collect()
    )
    breaking: dict[SqlRule, _Count] = {}
    totals = {-1: 0, -2: 0}
    for count in counts:
        if count["rule"] < 0:
            totals[count["rule"]] = int(count["rows"])
            continue
        rule = numbered[count["rule"]]
        if rule.lengths is None or count["least"] != count["largest"]:
            breaking[rule] = _Count(int(count["rows"]), int(count["places"]), count["first"], count["last"])
    return totals[-1] + totals[-2], totals[-1], breaking
