"""Law 2: types decide, never the batch; and it makes no difference how the rows and columns are cut up."""

from __future__ import annotations

import datetime
import decimal
from collections import defaultdict
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.engine.frames import enforce
from sparksig.engine.plan import compile
from sparksig.errors import Code, ContractError
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType
from tests.cases import describe_case

UTC = datetime.timezone.utc
BY_VALUE = {Code.NULL_IN_REQUIRED, Code.OUT_OF_RANGE}

# Each source with a strategy for its values, among them those that would tempt a check by value.
POOL = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(0, 1) | st.integers(-(2**63), 2**63 - 1),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.uint64(): st.integers(0, 1),
    pa.float32(): st.sampled_from([0.0, 1.0]) | st.floats(width=32, allow_nan=False),
    pa.float64(): st.sampled_from([0.0, 1.0]) | st.floats(allow_nan=False),
    pa.decimal128(9, 0): st.integers(-(10**9) + 1, 10**9 - 1).map(decimal.Decimal),
    pa.decimal128(20, 2): st.integers(0, 1).map(decimal.Decimal),
    pa.string(): st.sampled_from(["", "1", "2020-01-01", "true"]),
    pa.large_string(): st.text(max_size=3),
    pa.binary(): st.binary(max_size=3),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes().map(lambda time: time.replace(tzinfo=UTC)),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(["a", "b"]),
}
NAMES = ["alpha", "beta", "gamma", "delta"]


@st.composite
def tables(draw):
    """A table of one chunk and a schema over its columns: right, wrong, missing and optional ones."""
    rows = draw(st.integers(0, 8))
    columns, specs = {}, []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        dtype = draw(st.sampled_from(list(POOL)))
        value = draw(st.sampled_from([POOL[dtype], st.none() | POOL[dtype], st.none()]))
        columns[name] = pa.array(draw(st.lists(value, min_size=rows, max_size=rows)), dtype)
        fits = [target for target in DataType if accepted(dtype, target)]
        target = draw(st.sampled_from(fits if fits and draw(st.integers(0, 3)) else list(DataType)))
        specs.append(ColSpec(target, name, draw(st.booleans())))
    if not draw(st.integers(0, 4)):
        specs.append(ColSpec("double", "missing", draw(st.booleans())))
    return pa.table(columns), Schema(draw(st.permutations(specs)))


def accepted(dtype, target):
    try:
        compile(Schema([ColSpec(target, "a", False)]), pa.schema([("a", dtype)]))
    except ContractError:
        return False
    return True


def outcome(data, schema):
    """The enforced columns, and the findings."""
    try:
        return enforce(data, schema), ()
    except ContractError as error:
        return None, error.findings


def by_type(findings):
    return [finding for finding in findings if finding.code not in BY_VALUE]


def added_up(parts):
    """The findings of successive batches as those of one whole: counts added, rows moved, first five kept."""
    counts, rows, start = defaultdict(int), defaultdict(list), 0
    for size, findings in parts:
        for finding in findings:
            key = replace(finding, count=None, rows=())
            counts[key] += finding.count
            rows[key] += [row + start for row in finding.rows]
        start += size
    return {replace(key, count=counts[key], rows=tuple(rows[key][:5])) for key in counts}


@given(tables(), st.data())
def test_no_cut_changes_the_verdict_by_type(case, data):
    table, schema = case
    start = data.draw(st.integers(0, table.num_rows))
    size = data.draw(st.integers(0, table.num_rows - start))
    nulls = pa.table([pa.nulls(table.num_rows, field.type) for field in table.schema], schema=table.schema)
    complete = by_type(outcome(table, schema)[1])
    for part in (table.slice(start, size), table.slice(0, 0), nulls):
        assert by_type(outcome(part, schema)[1]) == complete


@given(tables(), st.data())
def test_batches_add_up_to_the_whole(case, data):
    table, schema = case
    complete, findings = outcome(table, schema)
    cuts = sorted(data.draw(st.lists(st.integers(0, table.num_rows), max_size=3)))
    edges = list(zip([0, *cuts], [*cuts, table.num_rows]))
    parts = [(stop - start, *outcome(table.slice(start, stop - start), schema)) for start, stop in edges]
    if by_type(findings):
        assert all(part[2] == findings for part in parts)
    elif findings:
        assert added_up([(size, part_findings) for size, _, part_findings in parts]) == set(findings)
    else:
        assert pa.concat_tables([part for _, part, _ in parts]).equals(complete)
        chunked = pa.concat_tables([table.slice(start, stop - start) for start, stop in edges])
        assert enforce(chunked, schema).equals(complete)


@given(tables(), st.data())
def test_order_and_extra_columns_do_not_matter(case, data):
    table, schema = case
    extra = pa.array([{"x": 1}] * table.num_rows, pa.struct([("x", pa.int8())]))
    more = table.append_column("0#", extra).append_column("", pa.nulls(table.num_rows))
    other = more.select(data.draw(st.permutations(more.column_names)))
    assert outcome(other, schema)[1] == outcome(table, schema)[1]
    if not outcome(table, schema)[1]:
        assert outcome(other, schema)[0].equals(outcome(table, schema)[0])


@given(tables(), st.data())
def test_the_order_of_the_schema_only_orders_what_comes_back(case, data):
    table, schema = case
    other = Schema(data.draw(st.permutations(schema.inputs)))
    (first, findings), (second, other_findings) = outcome(table, schema), outcome(table, other)
    assert set(other_findings) == set(findings)
    if first is not None:
        assert second.equals(first.select(second.column_names))


@given(tables())
def test_pandas_and_arrow_get_one_verdict(case):
    table, schema = case
    dtypes = {name: pd.ArrowDtype(table[name].type) for name in table.column_names}
    frame = pd.DataFrame({name: pd.Series(table[name], dtype=dtype) for name, dtype in dtypes.items()})
    expected, findings = outcome(table, schema)
    back, other_findings = outcome(frame, schema)
    assert other_findings == findings
    if expected is not None:
        assert list(back.columns) == expected.column_names
        assert len(back) == table.num_rows
        for name in expected.column_names:
            values = [None if pd.isna(value) else value for value in back[name]]
            assert values == [None if pd.isna(value) else value for value in expected[name].to_pandas()]


SIZES = (8, 16, 32, 64)
NUMPY = [
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in SIZES),
    "float16",
    "float32",
    "float64",
]
NULLABLE = ["boolean", *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in SIZES), "Float32", "Float64"]
NEVER_NULL = {DataType.boolean, DataType.integer, DataType.long}


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("name", NUMPY + NULLABLE, ids=describe_case)
@pytest.mark.parametrize("target", DataType, ids=describe_case)
def test_a_pandas_dtype_is_judged_as_its_arrow_type(target, name, required):
    arrow = pa.from_numpy_dtype("bool" if name == "boolean" else name.lower())
    schema = Schema([ColSpec(target, "a", required)])
    for content in ([0, 1], [1], [], *([[None], [0, None]] if name in NULLABLE else [])):
        frame = pd.DataFrame({"a": pd.Series(content, dtype=name)})
        if not accepted(arrow, target):
            expected = [Code.TYPE_MISMATCH]
        elif required and None in content and target in NEVER_NULL:
            expected = [Code.NULL_IN_REQUIRED]
        else:
            expected = []
        assert [finding.code for finding in outcome(frame, schema)[1]] == expected


@pytest.mark.parametrize("target", DataType, ids=describe_case)
@pytest.mark.parametrize("content", [["2020-01-01"], [None], []], ids=describe_case)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"], ids=describe_case)
def test_pandas_times_are_judged_as_arrows(unit, zone, content, target):
    values = pd.Series(pd.DatetimeIndex(content).as_unit(unit).tz_localize(zone))
    _, findings = outcome(pd.DataFrame({"a": values}), Schema([ColSpec(target, "a")]))
    assert bool(findings) == (target is not DataType.datetime)


VALUES = pd.Series(["a", None, "b"], dtype=object)
TEXTS = {
    "object": VALUES,
    "string": VALUES.astype("string"),
    "python": VALUES.astype("string[python]"),
    "default": pd.Series(["a", None, "b"]),
    "category": VALUES.astype(pd.CategoricalDtype(["a", "b"])),
}


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("column", TEXTS.values(), ids=TEXTS)
def test_no_batch_of_a_column_of_strings_is_refused_for_what_it_holds(column, required):
    schema = Schema([ColSpec("string", "a", required)])
    for rows in ([0, 1, 2], [0, 2], [1], []):  # batches of one column
        enforced = enforce(pd.DataFrame({"a": column.iloc[rows]}), schema)
        assert [None if pd.isna(value) else value for value in enforced["a"]] == [VALUES[row] for row in rows]
    with pytest.raises(ContractError):
        enforce(pd.DataFrame({"a": column}), Schema([ColSpec("binary", "a", required)]))


def test_zeros_and_ones_are_no_doubles():
    schema = Schema([ColSpec("double", "a")])
    verdicts = [outcome(pd.DataFrame({"a": values}), schema)[1] for values in ([0, 1], [0, 2], [2**53 + 1])]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert str(verdicts[0][0]) == (
        "a: expected double, got int64 (beyond 2^53 a double loses digits: cast it explicitly, "
        "or declare it long) [TYPE_MISMATCH]"
    )
