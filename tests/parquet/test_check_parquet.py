"""check_parquet: footers, samples and all rows of Parquet tables, by pyarrow alone."""

from __future__ import annotations

import datetime
import decimal
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparksig
from sparksig import (
    AnyType,
    Array,
    Code,
    ColSpec,
    ContractError,
    InferenceError,
    Map,
    ModelSignature,
    Object,
    Property,
    Schema,
    SparksigError,
    TableNotFoundError,
    TensorSpec,
    UnsupportedError,
)
from sparksig.convert.ddl import from_ddl
from sparksig.tables.parquet import open_parquet
from sparksig.tables.sample import Sampler
from tests.cases import describe_case
from tests.parquet_tables import check_parquet, infer_parquet


@pytest.fixture
def write(tmp_path):
    """A function that writes files of a table; the result is its directory."""

    def write(*tables, folders=(), **options):
        home = tmp_path / "table"
        for index, table in enumerate(tables):
            folder = home / folders[index] if folders else home
            folder.mkdir(parents=True, exist_ok=True)
            table = table if isinstance(table, pa.Table) else pa.table(table)
            pq.write_table(table, folder / f"part-{index}.parquet", **options)
        return home

    return write


def summarize(report):
    return [(str(finding.code), finding.path, finding.count) for finding in report.findings]


def tensor(dtype, shape, name=None):
    return Schema([TensorSpec(np.dtype(dtype), shape, name)])


# --- types: footers alone -----------------------------------------------------------------------------------


def test_a_schema_check_reports_all_findings_of_all_files_and_reads_no_rows(write):
    home = write({"id": [1], "price": [9], "Name": ["x"]})
    data = (home / "part-0.parquet").read_bytes()
    at = pq.read_metadata(home / "part-0.parquet").row_group(0).column(0).data_page_offset
    (home / "part-0.parquet").write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])  # no row can be read
    report = check_parquet(home, from_ddl("id bigint, price double, name string not null"))
    assert str(report) == (
        "the table breaks the contract (schema): schema checked\n"
        "  price  double (optional)  int64  fails\n"
        "  name   string             -      fails\n"
        "  id     long (optional)    int64  ok\n"
        "- price: expected double, got int64 (beyond 2^53 a double loses digits: cast it explicitly, or "
        "declare it long) [TYPE_MISMATCH]\n"
        "- name: expected string, got no such column (did you mean 'Name'? Names are case sensitive) "
        "[MISSING_COLUMN]"
    )
    with pytest.raises(ContractError, match=r"the file part-0\.parquet cannot be read completely"):
        check_parquet(home, from_ddl("id bigint"), "full")


def test_a_file_that_differs_from_the_first_one_is_a_finding_for_any_contract(write):
    home = write(
        {"x": pa.array([1], pa.int32()), "y": [1]},
        {"x": pa.array([1], pa.int64()), "y": ["not asked for"]},
        {"y": [1]},
    )
    report = check_parquet(home, from_ddl("x bigint"), "full")
    assert [str(finding) for finding in report.findings] == [
        "x: expected int32 as in part-0.parquet, got int64 in part-1.parquet (rewrite the files with one "
        "schema) [TYPE_MISMATCH]",
        "x: expected int32 as in part-0.parquet, got no such column in part-2.parquet (rewrite the files "
        "with one schema) [TYPE_MISMATCH]",
    ]
    assert report.rows == 3


def test_what_arrow_holds_differently_is_no_difference_between_files(write):
    home = write(
        {"s": pa.array(["a", None]), "n": [1, 2]},
        {"n": [1, 2], "s": pa.array(["a", "b"]).dictionary_encode()},
        {"s": pa.array(["a", "b"], pa.large_string()), "n": [3, 4]},
    )
    report = check_parquet(home, "s string not null, n bigint not null", "full")
    assert summarize(report) == [("NULL_IN_REQUIRED", "s", 1)]
    assert (report.rows, report.bad_rows) == (6, 1)


def test_equal_names_for_spark_are_refused(write):
    struct = pa.array([{"k": 1, "K": 2}], pa.struct([("k", pa.int64()), ("K", pa.int64())]))
    report = check_parquet(
        write(pa.table({"a": [1], "A": [2], "s": struct, "b": [None]})),
        from_ddl("b int, s struct<k: bigint>"),
    )
    assert summarize(report) == [
        ("DUPLICATE_NAME", "s.k", None),
        ("DUPLICATE_NAME", "a", None),
        ("DUPLICATE_NAME", "A", None),
    ]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([None], pa.int64())], ["x", "x"])
    report = check_parquet(write(twice), "x bigint not null", "full")
    assert summarize(report) == [("DUPLICATE_NAME", "x", None)]
    assert report.columns[0].nulls is None


@pytest.mark.parametrize("name", ["x", "X"])
@pytest.mark.parametrize("mode", ["schema", "full"])
def test_duplicate_columns_in_a_later_file_are_refused(write, mode, name):
    later = pa.Table.from_arrays([pa.array([None], pa.int64()), pa.array([2])], ["x", name])
    home = write({"x": [1]}, later)
    report = check_parquet(home, "x bigint not null", mode)
    assert "x: expected one column of that name, got several in part-1.parquet" in str(report)
    assert ("DUPLICATE_NAME", "x", None) in summarize(report)
    with pytest.raises(InferenceError, match=r"got several in part-1\.parquet"):
        infer_parquet(home)


@pytest.mark.parametrize("name", ["x", "X"])
def test_different_undeclared_columns_in_each_file_are_ignored(write, name):
    assert check_parquet(write({"y": [1], name: [1]}, {"y": [1], "z": [1]}), from_ddl("y bigint")).ok


def test_columns_of_optional_contracts_that_the_table_has_none_of(write):
    report = check_parquet(write({"x": [1]}), from_ddl("y bigint, z string"))
    assert [str(finding) for finding in report.findings] == [
        "expected at least one of the contract's columns, which are all optional, got none of them "
        "[MISSING_COLUMN]"
    ]


@pytest.mark.parametrize(("name", "hint"), [("Rooms", "did you mean 'Rooms'"), ("floor", "")])
@pytest.mark.parametrize("mode", ["schema", "sample", "full"])
def test_an_absent_optional_column_is_reported_with_a_near_miss(write, mode, name, hint):
    schema = Schema([ColSpec("double", "area"), ColSpec("double", "rooms", required=False)])
    report = check_parquet(write({"area": [50.0], name: [2.0]}), schema, mode)
    assert report.ok
    [absent] = report.absent
    assert (absent.code, absent.path, absent.expected) == (Code.MISSING_COLUMN, "rooms", "double")
    assert absent.hint.startswith(hint)
    assert "- rooms: optional, and the table has no such column" in str(report)
    assert report.to_dict()["absent"] == [absent.to_dict()]


@pytest.mark.parametrize("as_path", [str, Path], ids=["text", "path"])
def test_check_accepts_a_path_as_it_accepts_a_table(write, as_path):
    home = write({"id": [1, None]})
    report = sparksig.check(as_path(home), "id bigint not null", "full", row_key="id")
    assert summarize(report) == [("NULL_IN_REQUIRED", "id", 1)]
    assert report.table == str(home)
    assert replace(report, seconds=0) == replace(
        check_parquet(home, "id bigint not null", "full", row_key="id"), seconds=0
    )


@pytest.mark.parametrize("table", [None, 1, [1]], ids=["none", "number", "list"])
def test_check_refuses_what_is_not_a_table(table):
    text = "^expected a Spark DataFrame, a path, or the name of a table, got "
    with pytest.raises(ContractError, match=text):
        sparksig.check(table, "id bigint")


VALUES = {
    "booleans": ([True, None, False, True], "boolean", [("false", 1), ("true", 2)]),
    "integers": ([1, 2, 2, None], "bigint", [("1", 1), ("2", 2)]),
    "doubles": ([0.5, float("nan"), float("inf"), None], "double", [("0.5", 1)]),
    "no numbers": ([float("nan"), None], "double", []),
    "texts": (
        ["a", "bcd", ""],
        "string",
        [("0 characters", 1), ("1 character", 1), ("2 characters", 0), ("3 characters", 1)],
    ),
    "lists": ([[1], [1, 2]], "array<bigint>", [("1 item", 1), ("2 items", 1)]),
    "decimals": ([decimal.Decimal("1.5")], "decimal(2,1)", [("1.5", 1)]),
    "dates": ([datetime.date(2026, 1, 31)], "date", [("2026-01-31T00:00:00", 1)]),
    "structs": ([{"x": 1}], "struct<x:bigint>", []),
}


@pytest.mark.parametrize("mode", ["sample", "full"])
@pytest.mark.parametrize(("values", "dtype", "bins"), VALUES.values(), ids=VALUES)
def test_a_check_of_values_shows_their_distribution(write, values, dtype, bins, mode):
    report = check_parquet(write({"x": values}), f"x {dtype}", mode)
    assert report.ok
    assert report.columns[0].values == tuple(bins)


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_finite_doubles_are_counted_where_their_sum_is_not_finite(write, mode):
    report = check_parquet(write({"x": [float("inf"), float("-inf"), 1e308, 1e308]}), "x double", mode)
    assert sum(count for _, count in report.columns[0].values) == 2


@pytest.mark.parametrize("mode", ["sample", "full"])
@pytest.mark.parametrize("contract", [Schema([ColSpec("double", "x")]), "x double"], ids=["model", "table"])
def test_a_column_with_several_types_has_findings_and_no_distribution(write, contract, mode):
    path = write({"x": pa.array([1, 3], pa.int32())}, {"x": [0.5]})
    report = check_parquet(path, contract, mode)
    assert {finding.code for finding in report.findings} == {"TYPE_MISMATCH"}
    assert report.columns[0].values == ()


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_a_column_of_an_unknown_time_zone_has_findings_and_no_distribution(write, mode):
    path = write({"x": pa.array([1], pa.timestamp("us", "Mars/Phobos"))})
    report = check_parquet(path, Schema([ColSpec("datetime", "x")]), mode)
    assert [finding.code for finding in report.findings] == ["UNSUPPORTED_TYPE"]
    assert report.columns[0].values == ()


def test_a_full_check_of_many_rows_counts_one_of_each_block(write):
    rows = 2**19 + 3
    path = write({"x": np.arange(rows), "half": np.arange(rows) % 2 == 0}, row_group_size=99_999)
    numbers, flags = check_parquet(path, "x bigint, half boolean", "full").columns
    counts = [count for _, count in numbers.values]
    assert sum(counts) == 2**17
    assert max(counts) - min(counts) < 10
    assert all(count == pytest.approx(2**16, rel=0.01) for _, count in flags.values)


# --- values -------------------------------------------------------------------------------------------------


def test_findings_are_counted_over_all_batches_and_name_their_first_row(write):
    table = pa.table({
        "id": pa.array(range(5000)),
        "n": pa.array([None if i % 1000 == 999 else i for i in range(5000)]),
        "o": pa.array([{"tags": [{"k": None if i % 2500 == 7 else i}]} for i in range(5000)]),
    })  # fmt: skip
    home = write(table, table, row_group_size=700)
    contract = "id bigint not null, n bigint not null, o struct<tags: array<struct<k: bigint not null>>>"
    report = check_parquet(home, contract, "full")
    assert summarize(report) == [("NULL_IN_REQUIRED", "n", 10), ("NULL_IN_REQUIRED", "o.tags[].k", 4)]
    assert report.examples == {0: ("part-0.parquet, row 999",), 1: ("part-0.parquet, row 7",)}
    assert (report.rows, report.bad_rows) == (10_000, 14)
    assert [column.nulls for column in report.columns] == [0, 10, 0]
    assert report.claim == ""


def test_row_keys_are_the_least_and_the_largest_of_the_rows_concerned(write):
    table = pa.table({
        "k": [None if i == 30 else f"k{i:02}" for i in range(60)],
        "no.": list(range(60)),
        "x": [None if i in (50, 30, 8, 59) else 1 for i in range(60)],
    })  # fmt: skip
    report = check_parquet(write(table, row_group_size=9), "x bigint not null", "full", row_key="k")
    assert report.examples == {0: ("k=None", "k='k59'")}
    report = check_parquet(write(table), "x bigint not null", "full", row_key=["no.", "k"])
    assert report.examples == {0: ("no.=8, k='k08'", "no.=59, k='k59'")}
    with pytest.raises(ContractError, match=r"K: expected a column, got no such column \(did you mean 'k'"):
        check_parquet(write(table), "x bigint", "full", row_key="K")


def test_strict_nulls_and_nan(write):
    home = write(
        {"s": ["a", None], "x": [float("nan"), 1.0], "i": [1, None], "l": [[float("nan"), 1.0], None]}
    )
    contract = from_ddl("s string not null, x double not null, i bigint not null, l array<double>")
    assert summarize(check_parquet(home, contract, "full")) == [
        ("NULL_IN_REQUIRED", "s", 1),
        ("NULL_IN_REQUIRED", "i", 1),
    ]
    report = check_parquet(home, contract, "full", strict_nulls=False, refuse_nan=True)
    assert summarize(report) == [
        ("INVALID_VALUE", "x", 1), ("NULL_IN_REQUIRED", "i", 1), ("INVALID_VALUE", "l[]", 1)]  # fmt: skip
    assert report.bad_rows == 2


def test_columns_whose_types_do_not_fit_are_left_out_but_their_nulls_are_counted(write):
    report = check_parquet(
        write({"x": ["1", None], "y": [1, None]}), "x bigint not null, y bigint not null", "full"
    )
    assert summarize(report) == [("TYPE_MISMATCH", "x", None), ("NULL_IN_REQUIRED", "y", 1)]
    assert [column.nulls for column in report.columns] == [1, 1]


@pytest.mark.parametrize("options", [{}, {"use_deprecated_int96_timestamps": True}], ids=describe_case)
def test_far_timestamps_of_each_writer_are_reported_and_not_wrapped(write, options):
    far = [datetime.datetime(9999, 12, 31), datetime.datetime(2026, 1, 1), None]
    table = pa.table(
        {"t": pa.array(far, pa.timestamp("us")), "d": pa.array([time and time.date() for time in far])}
    )
    contract = Schema([ColSpec("datetime", "t", False), ColSpec("datetime", "d", False)])
    report = check_parquet(write(table, **options), contract, "full")
    assert summarize(report) == [("OUT_OF_RANGE", "t", 1), ("OUT_OF_RANGE", "d", 1)]


def test_tables_without_rows_and_without_the_wanted_columns(write):
    empty = pa.table({"x": pa.array([], pa.int64())})
    report = check_parquet(write(empty), "x bigint not null", "full")
    assert (report.ok, report.rows, report.bad_rows) == (True, 0, 0)
    report = check_parquet(write(empty), "x bigint not null", "sample", method="uniform")
    assert (report.ok, report.rows, report.claim) == (True, 0, "the table has no rows")
    report = check_parquet(write({"x": [1, 2]}), from_ddl("y bigint not null"), "full")
    assert (summarize(report), report.rows) == ([("MISSING_COLUMN", "y", None)], 2)


@pytest.mark.parametrize("name", ["a.b", "`x`", "mean radius", "日本", "", ".a", "a[]", 'q"', "\n"])
def test_odd_names(write, name):
    table = pa.table({name: [1, None], "other": [{"b": 1}, None], "a": [{"b": 2}, None]})
    report = check_parquet(write(table), Schema([ColSpec("long", name)]), "full", row_key=name)
    assert [(finding.code, finding.count) for finding in report.findings] == [("NULL_IN_REQUIRED", 1)]
    assert report.examples == {0: (f"{name}=None",)}


def test_json_is_text_and_a_uuid_is_bytes(write):
    duckdb = pytest.importorskip("duckdb")
    home = write({"x": [1]})
    columns = "json('{}') as j, uuid() as u"
    duckdb.sql(
        f"copy (select {columns} union all select null, null) to '{home}/part-0.parquet' (format parquet)"
    )
    report = check_parquet(home, "j string not null, u binary not null", "full")
    assert summarize(report) == [("NULL_IN_REQUIRED", "j", 1), ("NULL_IN_REQUIRED", "u", 1)]


# --- contracts without names, tensors, vectors --------------------------------------------------------------


def test_columns_without_names_are_taken_by_position(write):
    home = write({"a": [1, None], "b": ["x", None]})
    report = check_parquet(home, Schema([ColSpec("long"), ColSpec("string")]), "full")
    assert summarize(report) == [("NULL_IN_REQUIRED", "a", 1), ("NULL_IN_REQUIRED", "b", 1)]
    report = check_parquet(home, Schema([ColSpec("long")]), "full")
    assert summarize(report) == [("COLUMN_COUNT", "", None)]
    assert report.rows == 2


def test_a_table_as_objects_one_a_row(write):
    order = Object([Property("id", "long"), Property("note", "string", required=False)])
    report = check_parquet(write({"id": [1, None], "x": [1, 2]}), Schema([ColSpec(order)]), "full")
    assert summarize(report) == [("NULL_IN_REQUIRED", "id", 1)]
    report = check_parquet(write({"Id": [1]}), Schema([ColSpec(order)]))
    assert summarize(report) == [("MISSING_FIELD", "id", None)]


TENSORS = {
    "lengths": (tensor("float64", (-1, 2), "t"), [[1.0, 2.0], [1.0], []], [("SHAPE_MISMATCH", "t", 2)]),
    "null rows": (tensor("float64", (-1, 2), "t"), [[1.0, 2.0], None], [("NULL_IN_REQUIRED", "t", 1)]),
    "nulls are NaN": (tensor("float64", (-1, 2), "t"), [[1.0, None]], []),
    "nulls in integers": (
        tensor("int64", (-1, 2), "t"), [[1, None], [1, 2]], [("NULL_IN_REQUIRED", "t[]", 1)],
    ),
    "inner lengths": (
        tensor("float64", (-1, 2, 1), "t"),
        [[[1.0], [2.0]], [[1.0], [2.0, 3.0]], [[1.0], None]],
        [("NULL_IN_REQUIRED", "t[]", 1), ("SHAPE_MISMATCH", "t[]", 1)],
    ),
    "any length, but one": (
        tensor("float64", (-1, -1), "t"), [[1.0], [1.0, 2.0]], [("SHAPE_MISMATCH", "t", None)],
    ),
    "scalars": (tensor("int64", (-1,), "t"), [1, None], [("NULL_IN_REQUIRED", "t", 1)]),
    "instants": (
        tensor("datetime64[ns]", (-1, 1), "t"),
        [[datetime.datetime(9999, 1, 1)]],
        [("OUT_OF_RANGE", "t", 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("group", [1, 100])
def test_tensors(write, name, group):
    contract, values, expected = TENSORS[name]
    report = check_parquet(write({"t": values}, row_group_size=group), contract, "full")
    assert sorted(summarize(report), key=str) == sorted(expected, key=str)


def test_tensors_are_judged_by_their_types_too(write):
    report = check_parquet(write({"t": [["x"]], "u": [[1]]}), tensor("float64", (-1, 1), "t"))
    assert [str(finding) for finding in report.findings] == [
        "t[]: expected float64, got list<string> (cast it explicitly) [TYPE_MISMATCH]"
    ]
    report = check_parquet(write({"T": [[1.0]]}), tensor("float64", (-1, 1), "t"))
    assert summarize(report) == [("MISSING_COLUMN", "t", None)]


def test_a_tensor_without_a_name_is_all_columns(write):
    home = write({"a": [1, None], "b": [1, 2]})
    assert summarize(check_parquet(home, tensor("int64", (-1, 2)), "full")) == [("NULL_IN_REQUIRED", "a", 1)]
    assert not check_parquet(home, tensor("int64", (-1, 3))).ok


def test_maps_and_any(write):
    maps = pa.array([[("k", 1)], [("z", 1), ("z", 2)], [("k", None)]], pa.map_(pa.string(), pa.int64()))
    keyed = Schema([ColSpec(Object([Property("k", "long")]), "m"), ColSpec(AnyType(), "a")])
    report = check_parquet(write({"m": maps, "a": [1, None, 2]}), keyed, "full")
    assert sorted(summarize(report)) == [
        ("DUPLICATE_NAME", "m", 1),
        ("MISSING_FIELD", "m.k", 1),
        ("NULL_IN_REQUIRED", "a", 1),
        ("NULL_IN_REQUIRED", "m.k", 1),
    ]
    report = check_parquet(write({"m": maps}), Schema([ColSpec(Map("long"), "m")]), "full")
    assert summarize(report) == [("DUPLICATE_NAME", "m", 1)]


@pytest.mark.parametrize(
    "metadata",
    [3, "sparksig.column", [1], {"sparksig.column": 3}, {"sparksig.tensor": 3}, {"sparksig.tensor": {}}],
)
def test_metadata_of_other_writers_do_not_crash(write, metadata):
    fields = {"fields": [{"name": "a", "type": "long", "nullable": True, "metadata": metadata}]}
    held = {"org.apache.spark.sql.parquet.row.metadata": json.dumps(fields)}
    home = write(pa.table({"a": [1]}).replace_schema_metadata(held))
    if isinstance(metadata, dict):  # a dictionary under our key must be valid
        with pytest.raises(SparksigError):
            check_parquet(home, home)
    else:
        assert check_parquet(home, home).ok
    assert check_parquet(home, "a bigint").ok


# --- partitions and places ----------------------------------------------------------------------------------


def test_directories_name_columns_with_the_types_that_spark_gives_them(write):
    folders = [
        "day=2026-01-31/no=1/note=a%2Fb",
        "day=2026-02-28/no=20000000000/note=__HIVE_DEFAULT_PARTITION__",
    ]
    home = write({"x": [1]}, {"x": [2]}, folders=folders)
    (home / "_SUCCESS").touch()
    (home / ".part-0.parquet.crc").write_bytes(b"crc")
    (home / "_temporary").mkdir()
    (home / "_temporary" / "half.parquet").write_bytes(b"half a file")
    contract = "x bigint not null, day date not null, no bigint not null, note string not null"
    report = check_parquet(home, contract, "full", row_key="no")
    assert summarize(report) == [("NULL_IN_REQUIRED", "note", 1)]
    assert report.examples == {0: ("no=20000000000",)}
    assert [column.actual for column in report.columns] == ["int64", "date32[day]", "int64", "string"]
    assert not check_parquet(home, "no int").ok


def test_a_partition_stands_for_the_column_of_its_name(write):
    home = write({"year": ["other"], "x": [1]}, folders=["year=2026"])
    assert [column.actual for column in check_parquet(home, "year int, x bigint", "full").columns] == [
        "int32",
        "int64",
    ]


def test_directories_that_disagree(write):
    home = write({"x": [1]}, {"x": [1]}, folders=["a=1", "b=1"])
    with pytest.raises(
        ContractError, match=r"part-0\.parquet names the columns a, that of b=1/part-1\.parquet b"
    ):
        check_parquet(home, "x bigint")


@pytest.mark.parametrize("aside", ["archive", "a=", "a=1/a=2"])
def test_directories_beside_partitions_are_not_left_out_silently(write, aside):
    home = write({"x": [1]}, {"x": [None]}, folders=["a=1", aside])
    with pytest.raises(
        ContractError, match=rf"the directory of `{aside}/part-1\.parquet` does not name a new"
    ):
        check_parquet(home, "x bigint not null", "full")


def test_what_is_no_parquet_table(tmp_path, write):
    with pytest.raises(TableNotFoundError, match="there is no Parquet table at"):
        check_parquet(tmp_path / "nothing", "x int")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableNotFoundError, match="there is no Parquet file in"):
        check_parquet(tmp_path / "empty", "x int")
    home = write({"x": [1]}, folders=["archive"])
    with pytest.raises(
        TableNotFoundError, match=r"the directory of `archive/part-0\.parquet` does not name a new column"
    ):
        check_parquet(home, "x int")
    (home / "notes.txt").write_text("not Parquet")
    with pytest.raises(TableNotFoundError, match=r"notes\.txt is not a Parquet file: "):
        check_parquet(home, "x int")
    with pytest.raises(ContractError, match="table: expected a path or a URI, got a value of type int"):
        check_parquet(7, "x int")
    with pytest.raises(UnsupportedError, match="cannot read tables from ftp: URIs"):
        check_parquet("ftp://host/table", "x int")
    (home / "_delta_log").mkdir()
    with pytest.raises(UnsupportedError, match="is a Delta table: as Parquet it would show deleted rows"):
        check_parquet(home, "x int")


@pytest.mark.parametrize("nothing", ["", " "], ids=["empty", "blank"])
def test_an_empty_path_is_refused(nothing):
    with pytest.raises(ContractError, match="table: expected a path or a URI, got an empty text"):
        check_parquet(nothing, "x int")


def test_a_single_file_and_its_uri(write):
    file = write({"x": [1]}) / "part-0.parquet"
    assert check_parquet(file, "x bigint").ok
    assert check_parquet(file.as_uri(), "x bigint").ok
    assert check_parquet(str(file), "x bigint not null", "full").rows == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "all"}, "mode: expected 'schema', 'sample', 'full', got 'all'"),
        ({"side": "input"}, "side: expected 'inputs' or 'outputs', got 'input'"),
        ({"rows": 0}, "rows: expected an integer of 1 or more, got 0"),
        ({"method": "heads"}, "method: expected 'partitions' or 'uniform', got 'heads'"),
        ({"row_key": []}, "row_key: expected at least one column"),
        ({"row_key": "l"}, "row_key: l is list<int64>, which cannot be ordered"),
    ],
)
def test_arguments(write, options, text):
    with pytest.raises(ContractError, match=text):
        check_parquet(write({"x": [1], "l": [[1]]}), "x bigint", **options)


# --- contracts ----------------------------------------------------------------------------------------------


ONE_LONG = Schema([ColSpec("long", "x")])
LONG_TO_STRING = ModelSignature(ONE_LONG, Schema([ColSpec("string", "x")]))


@pytest.fixture
def files_of_contracts(write, tmp_path, monkeypatch):
    """A table and two files with signatures, in the current directory."""
    write({"x": [1, 2]})
    (tmp_path / "signature.json").write_text(json.dumps(LONG_TO_STRING.to_dict()))
    (tmp_path / "by-hand").write_text('  {"inputs": [{"name": "x", "type": "long", "required": true}]}')
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        (ONE_LONG, "schema"),
        (LONG_TO_STRING, "signature, inputs"),
        (pa.schema([("x", pa.int64())]), "Arrow schema"),
        ("x bigint", "DDL"),
        ("table", "table"),
        (Path("table/part-0.parquet"), "table/part-0.parquet"),
        (Path("signature.json"), "signature.json, inputs"),
        (Path("by-hand"), "by-hand, inputs"),
    ],
    ids=["schema", "signature", "Arrow", "DDL", "table", "file", "JSON", "file without suffix"],
)
@pytest.mark.usefixtures("files_of_contracts")
def test_each_kind_of_contract_is_accepted_and_named(contract, name):
    report = check_parquet("table", contract, "full")
    assert (report.ok, report.contract) == (True, name)


@pytest.mark.usefixtures("files_of_contracts")
def test_outputs_of_a_signature_can_be_the_contract():
    assert not check_parquet("table", Path("signature.json"), side="outputs").ok
    with pytest.raises(ContractError, match="by-hand has no outputs"):
        check_parquet("table", Path("by-hand"), side="outputs")


@pytest.mark.parametrize(
    ("contract", "error", "text"),
    [
        (" ", ContractError, "the contract is an empty text"),
        ("modle", ContractError, "'modle' is not a model directory, a file, or DDL"),
        (
            "signatur.json",
            TableNotFoundError,
            r"there is no model directory, signature or table at 'signatur\.json'",
        ),
        (None, ContractError, r"contract: expected a ModelSignature, .*, got None"),
    ],
    ids=["empty text", "unknown name", "missing file", "None"],
)
def test_an_object_that_is_no_contract_is_refused(write, contract, error, text):
    with pytest.raises(error, match=text):
        check_parquet(write({"x": [1]}), contract)


@pytest.mark.parametrize(
    "content",
    ["{", "[" * 100_000, "[1]", '{"input": 1}', '{"inputs": [{"type": "long?"}]}'],
    ids=["not JSON", "too deep", "list", "unknown key", "unknown type"],
)
def test_a_damaged_file_of_a_contract_is_named(write, tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(ValueError, match=r"bad\.json: |bad\.json is|a signature has"):
        check_parquet(write({"x": [1]}), tmp_path / "bad.json")


def test_a_table_as_contract_promises_no_values(write, tmp_path):
    strict = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    pq.write_table(pa.table({"x": [1]}, strict), tmp_path / "strict.parquet")
    assert check_parquet(write({"x": [None, 1]}), tmp_path / "strict.parquet", "full").ok


def test_the_contract_that_spark_has_kept_with_a_table_is_found(write, tmp_path):
    body = {"type": "double", "required": True}
    fields = [
        {"name": "x", "type": "double", "nullable": True, "metadata": {"sparksig.column": json.dumps(body)}},
        {"name": "run", "type": "string", "nullable": True, "metadata": {}},
    ]
    preserved = {
        "org.apache.spark.sql.parquet.row.metadata": json.dumps({"type": "struct", "fields": fields})
    }
    table = pa.table({"x": [1.0], "run": ["a"]}).replace_schema_metadata(preserved)
    pq.write_table(table, tmp_path / "kept.parquet")
    report = check_parquet(write({"x": [1.0, None], "run": ["a", "b"]}), tmp_path / "kept.parquet", "full")
    assert [(column.name, column.expected) for column in report.columns] == [
        ("x", "double not null"),
        ("run", "string"),
    ]
    assert summarize(report) == [("NULL_IN_REQUIRED", "x", 1)]
    garbled = pa.table({"x": [1.0]}).replace_schema_metadata({next(iter(preserved)): '{"fields": [1]}'})
    pq.write_table(garbled, tmp_path / "kept.parquet")
    assert check_parquet(write({"x": [None, 1.0]}), tmp_path / "kept.parquet", "full").ok


# --- samples ------------------------------------------------------------------------------------------------


def test_a_sample_reads_the_heads_of_some_row_groups(write):
    values = [None if i % 100 == 0 else i for i in range(10_000)]
    report = check_parquet(write({"x": values}, row_group_size=100), "x bigint not null", "sample", rows=64)
    assert (report.rows, report.bad_rows) == (64, 32)
    assert report.examples[0][0].startswith("part-0.parquet, row ")
    assert values[int(report.examples[0][0].rpartition(" ")[2])] is None
    assert "64 rows, the first of each of 32 of 100 row groups" in report.claim


def test_a_uniform_sample_is_the_same_for_the_same_seed_and_spread_over_the_table(write):
    table = pa.table({"x": [None] * 5000 + [1] * 5000})
    home = write(table, table, row_group_size=300)
    counts = [
        check_parquet(home, "x bigint not null", "sample", rows=1000, seed=seed, method="uniform").bad_rows
        for seed in (0, 0, 1)
    ]
    assert counts[0] == counts[1] != counts[2]
    assert all(400 < count < 600 for count in counts)
    good = check_parquet(home, "x bigint", "sample", rows=1000, method="uniform")
    assert "with 95 % confidence at most 0.30% of the table's rows do" in good.claim
    assert check_parquet(home, "x bigint", "sample", rows=10**6, method="uniform").rows == 20_000


@given(
    groups=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    rows=st.integers(1, 40),
    method=st.sampled_from(["partitions", "uniform"]),
)
def test_a_sample_has_rows_of_the_table_each_at_most_once(tmp_path_factory, groups, rows, method):
    home = tmp_path_factory.mktemp("t")
    start = 0
    with pq.ParquetWriter(home / "a.parquet", pa.schema([("x", pa.int64())])) as writer:
        for size in groups:
            writer.write_table(pa.table({"x": pa.array(range(start, start + size), pa.int64())}))
            start += size
    sample = open_parquet(home).sample(["x"], Sampler(rows, method=method))
    actual = [value for part in sample.parts for value in part.batch.column(0).to_pylist()]
    assert len(actual) == len(set(actual)) <= rows
    assert set(actual) <= set(range(start))
    if method == "uniform":
        assert len(actual) == min(rows, start)


# --- laws ---------------------------------------------------------------------------------------------------


@given(
    values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=30),
    files=st.integers(1, 3),
    group=st.integers(1, 9),
)
def test_how_a_table_is_cut_makes_no_difference(tmp_path_factory, values, files, group):
    table = pa.table(
        {"x": pa.array(values, pa.int64()), "l": pa.array([[v] for v in values], pa.list_(pa.int64()))}
    )
    contract = Schema([ColSpec("long", "x"), ColSpec(Array("long"), "l")])
    home = tmp_path_factory.mktemp("cut")
    each = -(-len(values) // files) or 1
    for index in range(files):
        pq.write_table(table.slice(index * each, each), home / f"{index}.parquet", row_group_size=group)
    report = check_parquet(home, contract, "full")
    nulls = values.count(None)
    assert summarize(report) == ([("NULL_IN_REQUIRED", "x", nulls)] if nulls else [])
    assert (report.rows, report.bad_rows, report.columns[0].nulls) == (len(values), nulls, nulls)


def test_memory_is_that_of_a_batch_and_not_of_the_table(tmp_path):
    """30 row groups of 8 MB."""
    with pq.ParquetWriter(
        tmp_path / "wide.parquet", pa.schema([("s", pa.string())]), compression="none"
    ) as writer:
        for index in range(30):
            texts = [f"{index * 10**6 + row:0>1000}" for row in range(8000)]
            writer.write_table(pa.table({"s": texts}), row_group_size=8000)
    code = (
        "import resource, sys; from sparksig import check\n"
        f"check({str(tmp_path)!r}, 's string not null')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"report = check({str(tmp_path)!r}, 's string not null', 'full')\n"
        "print(report.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, more = map(int, done.stdout.split())
    assert rows == 240_000
    assert more < 120_000  # kB; the table has 240 MB


def test_text_that_repeats_is_read_in_batches_of_its_length_in_memory(write):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int8()), pa.array(["x" * 2**14]))
    table = open_parquet(write({"a": texts.cast(pa.string())}))
    [file] = table.files
    first = next(table.batches(file, ["a"]))
    assert 2**24 < first.nbytes < 2**26


def test_pyspark_is_never_imported():
    code = (
        "import sys, sparksig\nsparksig.check\n"
        "print([name for name in ('pyspark', 'pydantic', 'sklearn', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
