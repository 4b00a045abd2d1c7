"""A law: tables of any types and writers give the same rows, types and findings with every engine."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import cloudpickle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparksig
from sparksig import ColSpec, Schema
from sparksig.convert.arrow import from_arrow
from tests.spark.test_engines import ARROW, compare, save

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.skipif(
    not ARROW, reason="the values of composite columns are compared from Spark 4.1 on"
)

TIMES = st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2200, 1, 1))
DAYS = st.dates(dt.date(1600, 1, 1), dt.date(2200, 1, 1))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


def integers(bits, *, signed=True):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


SCALARS = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), integers(8)),
    (pa.int16(), integers(16)),
    (pa.int32(), integers(32)),
    (pa.int64(), integers(64)),
    (pa.uint8(), integers(8, signed=False)),
    (pa.uint16(), integers(16, signed=False)),
    (pa.uint32(), integers(32, signed=False)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.binary(), st.binary(max_size=4)),
    (pa.large_binary(), st.binary(max_size=4)),
    (pa.date32(), DAYS),
    (pa.date64(), DAYS),
    (pa.timestamp("us"), TIMES),
    (pa.timestamp("ms"), TIMES.map(lambda time: time.replace(microsecond=0))),
    (pa.timestamp("us", "Europe/Berlin"), TIMES),
    (pa.decimal128(9, 2), st.decimals(-1000, 1000, places=2)),
    (pa.decimal128(15, 5), st.decimals(-(10**9), 10**9, places=5)),
    (pa.decimal128(18, 0), st.integers(-(10**17), 10**17).map(Decimal)),
]


def compose(inner):
    """Lists, structs and maps of types, each with its values, null or not."""
    either = inner.map(lambda pair: (pair[0], st.none() | pair[1]))
    return st.one_of(
        either.map(lambda pair: (pa.list_(pair[0]), st.lists(pair[1], max_size=3))),
        either.map(lambda pair: (pa.large_list(pair[0]), st.lists(pair[1], max_size=3))),
        either.map(
            lambda pair: (
                pa.map_(pa.string(), pair[0]),
                st.dictionaries(TEXTS, pair[1], max_size=3).map(lambda value: list(value.items())),
            )
        ),
        st.lists(either, min_size=1, max_size=3).map(
            lambda pairs: (
                pa.struct([(f"f{index}", dtype) for index, (dtype, _) in enumerate(pairs)]),
                st.fixed_dictionaries({f"f{index}": values for index, (_, values) in enumerate(pairs)}),
            )
        ),
    )


TYPES = st.recursive(st.sampled_from(SCALARS), compose, max_leaves=4)
NAMES = ["x", "a.b", "ü", "select", "two words", "`ticks`", "UPPER", "0"]

WRITERS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 5),
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "store_schema": st.booleans(),
        "use_deprecated_int96_timestamps": st.booleans(),
        "write_statistics": st.booleans(),
    }
)


@st.composite
def tables(draw):
    """Files of one schema, of any types, with any number of rows."""
    pairs = draw(st.lists(TYPES, min_size=1, max_size=4))
    schema = pa.schema([(name, dtype) for name, (dtype, _) in zip(NAMES, pairs)])
    files = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(0, 6))
        columns = [draw(st.lists(st.none() | values, min_size=rows, max_size=rows)) for _, values in pairs]
        arrays = [pa.array(column, dtype) for column, dtype in zip(columns, schema.types)]
        files.append(pa.Table.from_arrays(arrays, schema=schema))
    return files


def describe_rows(frame):
    """One text a row: all values that the model saw."""
    columns = [frame[name] for name in frame.columns]
    return [repr([(type(value).__name__, value) for value in row]) for row in zip(*columns)]


@given(files=tables(), writer=WRITERS)
@settings(max_examples=20)
def test_engines_agree(spark, files, writer):
    home = Path(tempfile.mkdtemp())
    try:
        (home / "table").mkdir()
        for index, table in enumerate(files):
            pq.write_table(table, home / "table" / f"part-{index}.parquet", **writer)
        declared = from_arrow(files[0].schema)
        inputs = Schema([ColSpec(spec.type, spec.name, required=False) for spec in declared])
        model = save(home, describe_rows, inputs, Schema([ColSpec("string")]))
        try:
            compare(spark, home, model, on_error="null")
        except sparksig.ContractError as error:
            _assert_same_findings(spark, home, model, error)
    finally:
        shutil.rmtree(home)


def _assert_same_findings(spark, home, model, error):
    """Both engines refuse the table, with the same findings."""
    source, local = str(home / "table"), home / "refused"
    kinds = []
    for call in (
        lambda: sparksig.score(spark.read.parquet(source), model, allow_pickle=True),
        lambda: sparksig.score_files(source, model, local, allow_pickle=True),
    ):
        with pytest.raises(sparksig.ContractError) as info:
            call()
        kinds.append({(finding.code, finding.path) for finding in info.value.findings})
    assert kinds[0] == kinds[1], str(error)
