"""Law: SQL, Arrow kernels and the engine find the same rows of generated tables, with the same counts."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparksig import Array, Code, ColSpec, ContractError, Map, Object, Property, Schema
from sparksig.engine import plan as plans
from sparksig.lattice import Field, ListOf, Scalar, Struct
from sparksig.tables import counting
from sparksig.tables.arrow import Part, count_violations
from sparksig.tables.columns import list_arrow_columns
from sparksig.tables.rules import ValueOptions, build_model_rules, build_table_rules
from sparksig.tables.spark import SparkTable

LEAVES = {
    "long": (pa.int64(), st.integers(-9, 9)),
    "integer": (pa.int32(), st.integers(-9, 9)),
    "double": (pa.float64(), st.sampled_from([0.5, float("nan")])),
    "string": (pa.string(), st.sampled_from(["", "a", "bcd"])),
    "datetime": (
        pa.timestamp("us"),
        st.sampled_from([datetime.datetime(2026, 1, 1), datetime.datetime(9999, 12, 31)]),
    ),
}
NAMES = ["k", "a.b", "`", "${x}"]


def nullable(values):
    return st.none() | values


@st.composite
def nested(draw, depth=2):
    """A signature type, an Arrow type that widens to it, and a strategy for its values."""
    kind = draw(st.sampled_from(["leaf", "list", "struct", "map", "object"])) if depth else "leaf"
    if kind == "leaf":
        name = draw(st.sampled_from(sorted(LEAVES)))
        return name, *LEAVES[name]
    dtype, arrow, values = draw(nested(depth - 1))
    required = draw(st.booleans())
    if kind == "list":
        return Array(dtype), pa.list_(arrow), st.lists(nullable(values), max_size=2)
    if kind == "struct":
        name = draw(st.sampled_from(NAMES))
        parts = st.fixed_dictionaries({name: nullable(values)})
        return Object([Property(name, dtype, required)]), pa.struct([(name, arrow)]), parts
    entries = st.dictionaries(st.sampled_from(["k", "l"]), nullable(values), max_size=2)
    maps = entries.map(lambda items: list(items.items()))
    declared = Map(dtype) if kind == "map" else Object([Property("k", dtype, required)])
    return declared, pa.map_(pa.string(), arrow), maps


@st.composite
def tables(draw):
    specs, arrays = [], {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        dtype, arrow, values = draw(nested())
        rows = draw(st.lists(nullable(values), min_size=3, max_size=3))
        specs.append(ColSpec(dtype, name, draw(st.booleans())))
        arrays[name] = pa.array(rows, arrow)
    return Schema(specs), pa.table(arrays)


def summarize(outcome):
    findings = [breach.finding for breach in outcome.breaches]
    counts = sorted((str(finding.code), finding.path, finding.count) for finding in findings)
    return counts, outcome.bad_rows, dict(outcome.nulls)


def judge_by_engine(schema, batch, options):
    try:
        plans.compile(schema, batch.schema, options.strict_nulls).apply(batch, first_rows=None)
    except ContractError as error:
        return sorted((str(finding.code), finding.path, finding.count) for finding in error.findings)
    return []


def compare(frame_of, table, build):
    """Return the outcome of rules by Arrow, after comparing it with both ways in which Spark counts."""
    names = table.schema.names
    [batch] = table.to_batches()
    by_arrow = count_violations([Part(batch)], build(list_arrow_columns(table.schema)), names)
    describe_spark_table = SparkTable(frame_of(table))
    by_spark = describe_spark_table.run(build(describe_spark_table.columns), names, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MAX_AGGREGATED", 0)
        by_entries = describe_spark_table.run(build(describe_spark_table.columns), names, ())
    assert summarize(by_entries) == summarize(by_spark) == summarize(by_arrow)
    findings = [breach.finding.actual for breach in by_arrow.breaches]
    assert sorted(breach.finding.actual for breach in by_spark.breaches) == sorted(findings)
    assert by_entries.breaches == by_spark.breaches
    return by_arrow


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=tables(), strict=st.booleans())
def test_all_engines_have_one_verdict(frame_of, case, strict):
    schema, table = case
    options = ValueOptions(strict_nulls=strict, refuse_nan=True)
    outcome = compare(
        frame_of,
        table,
        lambda columns: build_model_rules(schema, [column.field for column in columns], options),
    )
    findings = [entry for entry in summarize(outcome)[0] if entry[0] != Code.INVALID_VALUE.value]
    assert findings == judge_by_engine(schema, table.to_batches()[0], options)


TEXT = Scalar("string", "string", 2)


NULL, LONG = "NULL_IN_REQUIRED", "OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (TEXT, ["ab", "abc", None], [(LONG, "x", 1)]),
        (
            ListOf(TEXT, nullable=False),
            [["abc", "abc", None], [], None],
            [(NULL, "x[]", 1), (LONG, "x[]", 1)],
        ),
        (
            Struct((Field("${y}", TEXT, False),)),
            [{"${y}": "abc"}, {"${y}": None}, None],
            [(NULL, "x.${y}", 1), (LONG, "x.${y}", 1)],
        ),
    ],
    ids=["text", "list", "struct"],
)
def test_declared_columns_have_one_verdict(frame_of, declared, values, expected):
    table = pa.table({"x": values})
    outcome = compare(
        frame_of,
        table,
        lambda columns: build_table_rules(
            [Field("x", declared)], [column.field for column in columns], ValueOptions()
        ),
    )
    assert summarize(outcome)[0] == expected


@pytest.mark.parametrize(("is_delta", "bad_rows"), [(False, 0), (True, 1)], ids=["other", "delta"])
def test_fields_of_null_structs_break_not_null_in_delta_tables_only(frame_of, is_delta, bad_rows):
    table = pa.table({"x": pa.array([{"y": 1}, None], pa.struct([("y", pa.int64())]))})
    declared = [Field("x", Struct((Field("y", Scalar("int64"), False),)))]
    outcome = compare(
        frame_of,
        table,
        lambda columns: build_table_rules(
            declared, [column.field for column in columns], ValueOptions(), is_delta=is_delta
        ),
    )
    assert outcome.bad_rows == bad_rows
