"""check and check_parquet say the same of the same tables: Spark by generated code, pyarrow by the engine."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig import (
    Array,
    ColSpec,
    InferenceError,
    Map,
    Object,
    Property,
    Schema,
    TensorSpec,
    check,
    sample_signature,
)
from sparksig.convert.ddl import from_ddl
from tests.parquet_tables import check_parquet, infer_parquet

ITEM = Object([Property("k", "long"), Property("s", "string", required=False)])
NAN = float("nan")
DOUBLES, INTS = pa.map_(pa.string(), pa.float64()), pa.map_(pa.string(), pa.int32())
INSTANT = pa.timestamp("us", "UTC")
COLUMNS = {
    "id": ("long", [1, None, 3, 4]),
    "text": ("string?", ["a", None, "b", "c"]),
    "price": ("double", [1.5, NAN, None, 2.0]),
    "narrow": ("double", pa.array([1, 2, None, 4], pa.int32())),
    "wide": ("integer", pa.array([1, None, 3, 4], pa.int64())),
    "money": ("long", pa.array([1, None, None, 4], pa.decimal128(9, 0))),
    "word": ("boolean", ["x", "y", None, "z"]),
    "items": (Array(ITEM), [[{"k": 1}], None, [{"k": None}, {"k": 2}], [None, {"k": None, "s": "x"}]]),
    "item": (ITEM, [{"k": 1}, None, {"k": None}, {"k": 4}]),
    "maps": (Map("double"), pa.array([[("a", 1.0)], [("b", NAN)], None, []], DOUBLES)),
    "keyed": (ITEM, pa.array([[("k", 1)], [("z", 1)], None, [("k", None)]], INTS)),
    "when": ("datetime", pa.array([0, None, 253370764800, 3], pa.timestamp("s")).cast(INSTANT)),
    "a.b": ("long?", [None, 2, 3, 4]),
    "gone": ("string", None),
    "gone too": ("string?", None),
}  # fmt: skip
TENSORS = {
    "t": (TensorSpec(np.dtype("float64"), (-1, 2), "t"), [[1.0, 2.0], None, [1.0], [NAN, 1.0]]),
    "u": (TensorSpec(np.dtype("int64"), (-1, 1), "u"), [[1], [None], [1], [2]]),
    "v": (TensorSpec(np.dtype("float32"), (-1, -1), "v"), [[1.0], [1.0], [1.0, 2.0], [1.0]]),
}


def _contract(columns):
    specs = []
    for name, (dtype, _) in columns.items():
        required = not (isinstance(dtype, str) and dtype.endswith("?"))
        dtype = dtype.rstrip("?") if isinstance(dtype, str) else dtype
        specs.append(dtype if isinstance(dtype, TensorSpec) else ColSpec(dtype, name, required))
    return Schema(specs)


def _summarize(report):
    findings = [
        (
            finding.code,
            finding.path,
            finding.expected,
            finding.count,
            re.sub(r" in \d+ places", "", finding.actual),
            finding.hint,
        )
        for finding in report.findings
    ]
    # the two systems call types otherwise: int64 is bigint
    findings = [finding if finding[3] is not None else (*finding[:4], "", finding[5]) for finding in findings]
    columns = [
        (column.name, column.expected, bool(column.actual), column.ok, column.nulls)
        for column in report.columns
    ]
    return report.mode, report.contract, report.rows, report.bad_rows, sorted(findings, key=str), columns


def _examples(report):
    return {
        (report.findings[at].code, report.findings[at].path): keys for at, keys in report.examples.items()
    }


KINDS = {"columns": COLUMNS, "tensors": TENSORS}


@pytest.fixture(scope="module")
def partitioned_tables(tmp_path_factory):
    """The paths of a table of columns and of a table of tensors, partitioned by year."""
    home = tmp_path_factory.mktemp("partitioned")
    for name, columns in KINDS.items():
        table = pa.table({key: values for key, (_, values) in columns.items() if values is not None})
        for year, start in ((2025, 0), (2026, 2)):
            (home / name / f"year={year}").mkdir(parents=True)
            pq.write_table(table.slice(start, 2), home / name / f"year={year}" / "part.parquet")
    return {name: str(home / name) for name in KINDS}


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("schema", {}),
        ("full", {"row_key": ["year"], "refuse_nan": True}),
        ("full", {"strict_nulls": False}),
    ],
    ids=["schema", "NaN refused", "nulls allowed"],
)
@pytest.mark.parametrize("name", KINDS)
def test_both_report_the_same(spark, partitioned_tables, name, mode, options):
    path, contract = partitioned_tables[name], _contract(KINDS[name])
    theirs = check(spark.read.parquet(path), contract, mode, **options)
    mine = check_parquet(path, contract, mode, **options)
    assert _summarize(mine) == _summarize(theirs)
    assert not mine.ok
    if "row_key" in options:
        assert _examples(mine) == _examples(theirs)


@pytest.mark.parametrize("name", KINDS)
def test_both_accept_the_type_of_a_partition(spark, partitioned_tables, name):
    path, contract = partitioned_tables[name], from_ddl("year int")
    assert [column.actual for column in check_parquet(path, contract).columns] == ["int32"]
    assert check(spark.read.parquet(path), contract, "full").ok
    assert check_parquet(path, contract, "full").ok


def test_both_report_the_same_against_a_table(spark, partitioned_tables):
    path = partitioned_tables["columns"]
    mine, theirs = check_parquet(path, path, "full"), check(spark.read.parquet(path), path, "full")
    assert _summarize(mine)[:5] == _summarize(theirs)[:5]  # the columns name types as their systems do


def test_both_infer_the_same(spark, tmp_path):
    table = pa.table({key: values for key, (_, values) in COLUMNS.items() if values is not None})
    pq.write_table(table, tmp_path / "far.parquet")
    with pytest.raises(InferenceError, match="when: expected timestamps from 1677-09-21 to 2262-04-11"):
        sample_signature(spark.read.parquet(str(tmp_path)))
    with pytest.raises(InferenceError, match="when: expected timestamps from 1677-09-21 to 2262-04-11"):
        infer_parquet(tmp_path)
    (tmp_path / "far.parquet").unlink()
    near = pa.array([0, None, 1, 3], pa.timestamp("s")).cast(INSTANT)
    table = table.set_column(table.schema.get_field_index("when"), "when", near)
    pq.write_table(table, tmp_path / "part.parquet")
    theirs = sample_signature(spark.read.parquet(str(tmp_path)))
    mine = infer_parquet(tmp_path)
    assert mine.signature == theirs.signature
    assert [(evidence.name, evidence.rows, evidence.nulls) for evidence in mine.evidence] == [
        (evidence.name, evidence.rows, evidence.nulls) for evidence in theirs.evidence
    ]


PARTITIONS = [
    ["1", "0.5"], ["20000000000", "0.5"], ["99999999999999999999", "1"], ["99999999999999999999", "0.5"],
    ["1e3", "1"], ["NaN", "1"], ["7d"], ["2026-01-01", "2026-01-01 10%3A20%3A30"], ["2026-1-1"],
    ["2026-01-01 10%3A20%3A30.5"], ["2026-01-01 10%3A20%3A30.25"], ["1", "2026-01-01"], ["+5"], [" 1"],
    ["1."], ["__HIVE_DEFAULT_PARTITION__"], ["%ff", "a+b"],
]  # fmt: skip


@pytest.mark.parametrize("values", PARTITIONS, ids=" and ".join)
def test_partitions_are_of_the_same_types(spark, tmp_path, values):
    for value in values:
        (tmp_path / f"p={value}").mkdir()
        pq.write_table(pa.table({"x": [1]}), tmp_path / f"p={value}" / "part.parquet")
    df = spark.read.parquet(str(tmp_path))
    contracts = [from_ddl(f"x bigint, p {dtype}") for dtype in ("bigint", "double", "timestamp", "string")]
    by_files = [check_parquet(tmp_path, contract).ok for contract in contracts]
    assert by_files == [check(df, contract).ok for contract in contracts]
