"""A table in files gets the verdict of the same table in memory: check_parquet and the engine agree."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given
from hypothesis import strategies as st

from sparksig import Array, ColSpec, ContractError, Map, Object, Property, Schema
from sparksig.engine import plan as plans
from tests.parquet_tables import check_parquet

numbers = st.none() | st.integers(-9, 9)
instants = st.none() | st.datetimes(datetime.datetime(1600, 1, 1), datetime.datetime(2400, 1, 1))
texts = st.none() | st.text(st.characters(exclude_categories=["C"]), max_size=2)
items = st.none() | st.fixed_dictionaries({"k": numbers, "t": instants})


RECORD = pa.struct([("k", pa.int32()), ("t", pa.timestamp("us"))])
HELD = {
    "n": (pa.int32(), numbers),
    "wide": (pa.int64(), numbers),
    "s": (pa.string(), texts),
    "d": (pa.dictionary(pa.int8(), pa.string()), texts),
    "t": (pa.timestamp("us"), instants),
    "b": (pa.bool_(), st.none() | st.booleans()),
    "f": (pa.float32(), st.none() | st.floats(width=32)),
    "l": (pa.list_(RECORD), st.none() | st.lists(items, max_size=3)),
    "o": (RECORD, items),
    "m": (
        pa.map_(pa.string(), pa.int32()),
        st.none() | st.lists(st.tuples(st.sampled_from("ab"), numbers), max_size=3),
    ),
}  # fmt: skip
scalars = st.sampled_from(["integer", "long", "double", "float", "string", "datetime", "boolean"])
objects = st.builds(
    lambda first, second, one, two: Object([Property("k", first, one), Property("t", second, two)]),
    st.sampled_from(["integer", "long", "double"]),
    st.sampled_from(["datetime", "string"]),
    st.booleans(),
    st.booleans(),
)
DECLARED = {
    "l": objects.map(Array),
    "o": objects,
    "m": st.one_of(
        st.just(Map("long")), st.builds(lambda r: Object([Property("a", "double", r)]), st.booleans())
    ),
}


@st.composite
def tables(draw):
    names = draw(st.lists(st.sampled_from(sorted(HELD)), min_size=1, unique=True))
    rows = draw(st.integers(0, 12))
    columns = {name: draw(st.lists(HELD[name][1], min_size=rows, max_size=rows)) for name in names}
    return pa.table({name: pa.array(values, HELD[name][0]) for name, values in columns.items()})


@st.composite
def contracts(draw):
    names = draw(st.lists(st.sampled_from([*sorted(HELD), "gone"]), min_size=1, unique=True))
    return Schema([ColSpec(draw(DECLARED.get(name, scalars)), name, draw(st.booleans())) for name in names])


def _by_the_engine(table, schema, strict):
    """The findings of types, and those of the values of the columns whose types fit."""
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else None
    findings = []
    try:
        plans.compile(schema, table.schema)
    except ContractError as error:
        findings = list(error.findings)
    bad = {finding.path.split("[")[0].split(".")[0] for finding in findings}
    fits = [spec for spec in schema if spec.name in table.schema.names and spec.name not in bad]
    if fits and batch is not None:
        try:
            plans.compile(Schema(fits), table.schema, strict).apply(batch, first_rows=None)
        except ContractError as error:
            findings += error.findings
    rows = {row for finding in findings for row in finding.rows}
    return sorted(
        (str(finding.code), finding.path, finding.expected, finding.count or 0) for finding in findings
    ), len(rows)


DUPLICATES = pa.table({"m": pa.array([[("a", None), ("a", 0)], [("a", 0), ("a", None)]], HELD["m"][0])})
"""Of equal keys of a map, a model sees the last."""
LAST = Schema([ColSpec(Object([Property("a", "double")]), "m")])


@example(table=DUPLICATES, schema=LAST, strict=True, group=1, files=1)
@given(
    table=tables(), schema=contracts(), strict=st.booleans(), group=st.integers(1, 5), files=st.integers(1, 2)
)
def test_files_are_judged_as_memory_is(tmp_path_factory, table, schema, strict, group, files):
    home = tmp_path_factory.mktemp("t")
    half = -(-table.num_rows // files)
    for index in range(files):
        part = table.slice(index * half, half)
        pq.write_table(part, home / f"{index}.parquet", row_group_size=group)
    report = check_parquet(home, schema, "full", strict_nulls=strict)
    findings = [
        finding for finding in report.findings if finding.path
    ]  # a table without columns has a finding without a path
    descriptions = sorted(
        (str(finding.code), finding.path, finding.expected, finding.count or 0) for finding in findings
    )
    expected, bad = _by_the_engine(table, schema, strict)
    assert descriptions == expected
    assert (report.rows, report.bad_rows) == (table.num_rows, bad)
    null_counts = {column.name: column.nulls for column in report.columns}
    assert null_counts == {
        str(spec.name): table[spec.name].null_count if spec.name in table.schema.names else None
        for spec in schema
    }
