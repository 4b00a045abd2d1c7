"""A law: tables of any types and writers give the same rows, types and findings with every engine."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import tempfile
import zlib
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import quote

import cloudpickle
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import sparksig
from sparksig import ColSpec, Schema
from sparksig.convert.arrow import from_arrow
from tests.spark import test_engines
from tests.spark.test_engines import ARROW, compare_engines, save

cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(test_engines)

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
NAMES = ["x", "a.b", "ü", "select", "two words", "`ticks`", "UPPER", "a.b.c"]

TYPING = st.fixed_dictionaries(
    {
        "version": st.sampled_from(["1.0", "2.4", "2.6"]),
        "use_deprecated_int96_timestamps": st.booleans(),
    }
)
"""Options of writers that decide on the types of columns, so that all files of a table share them."""

WRITERS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 5),
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "store_schema": st.booleans(),
        "write_statistics": st.booleans(),
    }
)

PARTITIONS = {
    "none": st.none(),
    "p": st.integers(-9, 99).map(str) | st.none(),
    "day": DAYS.map(str),
    "Key": st.sampled_from(["a b", "a/b", "x=1", "%41", "ü", "01", "1.50", "true", "null", "2024-1-1"]),
}


@st.composite
def tables(draw):
    """Files of one schema, of any types, with any number of rows: their directories, rows and writers."""
    pairs = draw(st.lists(TYPES, min_size=1, max_size=8))
    schema = pa.schema([(name, dtype) for name, (dtype, _) in zip(NAMES, pairs)])
    partition, typing = draw(st.sampled_from(sorted(PARTITIONS))), draw(TYPING)
    files = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(0, 6))
        columns = [draw(st.lists(st.none() | values, min_size=rows, max_size=rows)) for _, values in pairs]
        arrays = [pa.array(column, dtype) for column, dtype in zip(columns, schema.types)]
        value = draw(PARTITIONS[partition])
        folder = "" if partition == "none" else _name_folder(partition, value)
        files.append((folder, pa.Table.from_arrays(arrays, schema=schema), typing | draw(WRITERS)))
    return files


def _name_folder(name, value):
    """Return the directory of a partition as Spark names it."""
    escaped = "__HIVE_DEFAULT_PARTITION__" if value is None else quote(value, safe=" ü.-")
    return f"{name}={escaped}"


def describe_rows(frame):
    """One text a row: all values that the model saw."""
    columns = [frame[name] for name in frame.columns]
    return [repr([(type(value).__name__, value) for value in row]) for row in zip(*columns)]


def refuse_some_rows(frame):
    """Two values a row, and an error for rows of a fifth of all texts."""
    texts = describe_rows(frame)
    if any(zlib.crc32(text.encode()) % 5 == 0 for text in texts):
        raise ValueError("refused")
    return pd.DataFrame({"text": texts, "size": [len(text) for text in texts]})


MODELS = {
    "texts": (describe_rows, Schema([ColSpec("string")])),
    "rejections": (refuse_some_rows, Schema([ColSpec("string", "text"), ColSpec("long", "size")])),
}


@given(files=tables(), kind=st.sampled_from(sorted(MODELS)))
@settings(
    max_examples=8 if settings().max_examples <= 10 else 30,
    phases=(Phase.reuse, Phase.generate),  # shrinking would take minutes
)
def test_engines_agree(spark, files, kind):
    home = Path(tempfile.mkdtemp())
    try:
        for index, (folder, table, writer) in enumerate(files):
            (home / "table" / folder).mkdir(parents=True, exist_ok=True)
            pq.write_table(table, home / "table" / folder / f"part-{index}.parquet", **writer)
        declared = from_arrow(files[0][1].schema)
        inputs = Schema([ColSpec(spec.type, spec.name, required=False) for spec in declared])
        function, outputs = MODELS[kind]
        model = save(home, function, inputs, outputs)
        try:
            compare_engines(spark, home, model, on_error="null", flatten=kind == "rejections")
        except sparksig.UnsupportedError:  # only where no directory names a value
            assert all("__HIVE_DEFAULT_PARTITION__" in folder for folder, _, _ in files)
        except sparksig.ContractError as error:
            _assert_same_findings(spark, home, model, error)
    finally:
        shutil.rmtree(home)


def _assert_same_findings(spark, home, model, error):
    """All engines refuse the table, with the same findings."""
    source = str(home / "table")
    calls = [lambda: sparksig.score(spark.read.parquet(source), model, allow_pickle=True)]
    for engine in ("direct", "local"):
        options = {"engine": engine, "spark": spark, "allow_pickle": True}
        calls.append(partial(sparksig.score_files, source, model, home / "refused", **options))
    kinds = []
    for call in calls:
        with pytest.raises(sparksig.ContractError) as info:
            call()
        kinds.append({(finding.code, finding.path) for finding in info.value.findings})
    assert kinds[0] == kinds[1] == kinds[2], str(error)
