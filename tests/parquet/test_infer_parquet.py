"""infer_parquet: signatures from some rows of Parquet tables, with their evidence."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import Code, ContractError, InferenceError, UnsupportedError, infer_signature
from sparksig.tables.partitions import infer_partition_type, parse_partition_value, parse_partitions
from tests.parquet_tables import check_parquet, infer_parquet


@pytest.fixture
def write(tmp_path):
    def write(*tables, **options):
        for index, table in enumerate(tables):
            table = table if isinstance(table, pa.Table) else pa.table(table)
            pq.write_table(table, tmp_path / f"part-{index}.parquet", **options)
        return tmp_path

    return write


def test_types_are_the_tables_and_columns_are_optional_where_nulls_were_seen(write):
    table = pa.table({
        "id": [1, 2],
        "price": pa.array([9, None], pa.decimal128(9, 2)),
        "at": pa.array([0, 1], pa.date32()),
        "who": [{"name": "Ada", "vip": None}, {"name": "Bob", "vip": True}],
        "tags": [["a", None], []],
        "image": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        "kind": pa.array(["x", "y"]).dictionary_encode(),
    })  # fmt: skip
    actual = infer_parquet(write(table))
    assert str(actual) == (
        "'id': long (required): 0 nulls in 2 rows of 1 row group\n"
        "'price': double (optional): 1 null in 2 rows of 1 row group\n"
        "'at': datetime (required): 0 nulls in 2 rows of 1 row group\n"
        "'who': {name: string (required), vip: boolean (optional)} (required): 0 nulls in 2 rows of 1 row "
        "group\n"
        "'tags': Array(string) (required): 0 nulls in 2 rows of 1 row group\n"
        "'image': Array(double) (required): 0 nulls in 2 rows of 1 row group (all lists have one length: it "
        "may be a 'image': Tensor('float64', (-1, 3)))\n"
        "'kind': string (required): 0 nulls in 2 rows of 1 row group"
    )


FIELDS = pa.struct([("a", pa.int64())])
NULLS = {
    "a null struct": pa.array([{"a": 1}, None]),
    "a null field": pa.array([{"a": 1, "b": None}, {"a": 2, "b": "x"}]),
    "a null struct in a struct": pa.array([{"o": {"a": 1}}, {"o": None}]),
    "a null struct in a list": pa.array([[{"a": 1}, None], []]),
    "a null field in a large list": pa.array([[{"a": 1}, {"a": None}]], pa.large_list(FIELDS)),
    "a null struct in a map": pa.array([[("k", {"a": 1}), ("l", None)]], pa.map_(pa.string(), FIELDS)),
    "nothing but null structs": pa.array([None, None], FIELDS),
    "empty lists": pa.array([[], []], pa.list_(FIELDS)),
    "no null": pa.array([{"a": [{"b": 1}]}, {"a": []}]),
    "no rows": pa.array([], pa.struct([("a", pa.list_(pa.struct([("b", pa.string())])))])),
}


@pytest.mark.parametrize("name", NULLS)
@pytest.mark.parametrize("rows", [10, 1])
def test_a_file_has_the_signature_of_its_rows_as_an_arrow_table(write, name, rows):
    table = pa.table({"c": NULLS[name], "x": pa.array([1.5] * len(NULLS[name]))})
    inferred = infer_parquet(write(table), rows=rows).signature.inputs
    assert inferred == infer_signature(table.slice(0, rows)).inputs


def test_times_that_nanoseconds_cannot_hold_are_refused(write):
    far = datetime.datetime(9999, 12, 31)
    table = pa.table(
        {"id": [1.5, 2.5], "valid_until": pa.array([datetime.datetime(2026, 3, 1), far], pa.timestamp("us"))}
    )
    text = "valid_until: expected timestamps from 1677-09-21 to 2262-04-11"
    with pytest.raises(InferenceError, match=text) as of_files:
        infer_parquet(write(table))
    with pytest.raises(InferenceError, match=text) as of_table:
        infer_signature(table)
    assert of_files.value.findings == of_table.value.findings
    assert of_files.value.findings[0].code is Code.OUT_OF_RANGE
    assert infer_parquet(write(table), columns=["id"]).signature.inputs.input_names() == ["id"]


def test_how_many_rows_are_looked_at_and_which_columns(write):
    values = [None if i % 10 == 9 else i for i in range(1000)]
    home = write({"x": values, "y": values}, row_group_size=10)
    actual = infer_parquet(home, rows=32, columns=["x"])  # the first row of each of 32 row groups
    assert [(value.name, value.rows, value.nulls, value.partitions) for value in actual.evidence] == [
        ("x", 32, 0, 32)
    ]
    [spec] = actual.signature.inputs
    assert spec.required
    actual = infer_parquet(home, rows=500, method="uniform")
    assert all(value.nulls > 0 and value.partitions is None for value in actual.evidence)
    assert infer_parquet(home, rows=500, method="uniform", seed=1).evidence != actual.evidence


def test_files_that_hold_text_differently_and_tables_without_rows(write):
    encoded = pa.array(["b", "c"]).dictionary_encode()
    actual = infer_parquet(
        write({"s": ["a", None]}, {"s": encoded}, {"s": pa.array(["d"], pa.large_string())})
    )
    assert (actual.evidence[0].rows, actual.evidence[0].nulls) == (5, 1)
    nothing = pa.table({"s": pa.array([], pa.string())})
    actual = infer_parquet(write(nothing).joinpath("part-0.parquet"))
    assert actual.signature.inputs == infer_signature(nothing).inputs


def test_a_path_has_a_signature_as_its_table_has(write):
    table = pa.table({"id": [1.5, 2.5], "price": [0.5, None]})
    assert infer_signature(write(table)).inputs == infer_signature(table).inputs


def test_a_single_name_is_one_column(write):
    actual = infer_parquet(write({"id": [1], "note": ["x"]}), columns="id")
    assert actual.signature.inputs.input_names() == ["id"]


def test_what_has_no_signature(write):
    home = write({"t": pa.array([1], pa.time32("s")), "x": [1], "X": [2]}, {"t": [1], "x": [1], "X": [1]})
    with pytest.raises(InferenceError) as caught:
        infer_parquet(home)
    assert [(str(finding.code), finding.path) for finding in caught.value.findings] == [
        ("DUPLICATE_NAME", "x"), ("DUPLICATE_NAME", "X"), ("TYPE_MISMATCH", "t")]  # fmt: skip
    with pytest.raises(ContractError, match=r"y: expected a column, got no such column"):
        infer_parquet(home, columns=["y"])
    single = pa.table({"t": pa.array([1], pa.time32("s")), "x": [1]})
    with pytest.raises(InferenceError, match=r"t: expected a supported type, got time32"):
        infer_parquet(write(single) / "part-0.parquet")
    assert infer_parquet(home / "part-0.parquet", columns=["x"]).signature.inputs.input_names() == ["x"]
    (home / "_delta_log").mkdir()
    with pytest.raises(UnsupportedError, match="is a Delta table"):
        infer_parquet(home)


cells = st.one_of(st.none(), st.integers(-9, 9))
columns = st.fixed_dictionaries({
    "i": cells,
    "o": st.one_of(st.none(), st.fixed_dictionaries({"a": cells, "l": st.none() | st.lists(cells)})),
    "t": st.one_of(st.none(), st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))),
    "m": st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), cells).map(lambda d: list(d.items()))),
})  # fmt: skip
COLUMNS = pa.schema([
    ("i", pa.int64()), ("o", pa.struct([("a", pa.int32()), ("l", pa.list_(pa.int8()))])),
    ("t", pa.timestamp("us")), ("m", pa.map_(pa.string(), pa.int64())),
])  # fmt: skip


@given(rows=st.lists(columns, max_size=12), group=st.integers(1, 5))
def test_what_is_inferred_from_all_rows_is_kept_by_all_rows(tmp_path_factory, rows, group):
    home = tmp_path_factory.mktemp("inferred")
    pq.write_table(pa.Table.from_pylist(rows, COLUMNS), home / "x.parquet", row_group_size=group)
    signature = infer_parquet(home, rows=10**6, method="uniform").signature
    report = check_parquet(home, signature, "full")
    assert report.ok, str(report)


# --- partitions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "-7"], pa.int32()),
        (["1", str(2**31)], pa.int64()),
        ([str(2**63)], pa.decimal128(19, 0)),
        ([str(2**63), "1"], pa.decimal128(19, 0)),
        (["1e3", str(2**31)], pa.decimal128(20, 0)),
        (["1" + "0" * 38], pa.float64()),
        (["1", "1.5", None], pa.float64()),
        ([str(2**53 + 1), "1.5"], pa.string()),  # as a double it would be another
        ([str(2**63), "1.5"], pa.string()),
        (["NaN", "-Infinity", "7d", " 1"], pa.float64()),
        (["2026-01-31"], pa.date32()),
        (["2026-1-31"], pa.string()),
        (["2026-02-31"], pa.string()),
        (["2026-01-31 10:20:30", "2026-01-31 10:20:30.5", "2026-01-31"], pa.timestamp("us")),
        (["1", "2026-01-31"], pa.string()),
        (["1", "one"], pa.string()),
        ([None], pa.null()),
        (["¹"], pa.string()),
        (["\u0663.\u0665"], pa.string()),
        ([""], pa.string()),
    ],
)
def test_partitions_are_of_the_types_that_spark_gives_them(values, dtype):
    assert infer_partition_type(values) == infer_partition_type(values[::-1]) == dtype
    nulls = [parse_partition_value(value, dtype).as_py() is None for value in values]
    assert nulls == [value is None for value in values]


def test_names_of_directories():
    assert parse_partitions([]) == {}
    assert parse_partitions(["a=1", "b%3D=x%2Fy=z"]) == {"a": "1", "b=": "x/y=z"}
    assert parse_partitions(["=1"]) is parse_partitions(["a="]) is parse_partitions(["a=1", "a=2"]) is None


def test_tables_and_lists_without_columns(write):
    home = write(pa.table({"x": [1]}).select([]))
    with pytest.raises(ContractError, match=r"the table has no columns$"):
        infer_parquet(home)
    with pytest.raises(ContractError, match=r"columns: expected at least one column$"):
        infer_parquet(home, columns=[])
