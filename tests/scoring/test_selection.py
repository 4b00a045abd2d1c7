"""The rows of a split in the files of several tables, divided by findings and partitions."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparksig import ContractError, OutputRefusedError
from sparksig.scoring import part
from sparksig.scoring.folder import Folder
from sparksig.scoring.part import Target
from sparksig.scoring.selection import Selection, find_unsafe_partitions
from sparksig.tables.parquet import open_parquet
from sparksig.tables.partitions import is_ambiguous

ROWS = pa.table(
    {
        "id": [1, 2, 3, 4, 5],
        "day": pa.array([dt.date(2026, 1, 1), None, dt.date(2026, 1, 1), dt.date(2026, 1, 2), None]),
        "note": ["a/b", None, "x=1 %", None, "ü"],
        "sparksig prediction": [0.1, None, 0.3, 0.4, None],
        "sparksig findings": [None, ["bad"], None, None, ["bad"]],
    }
)
SCORED = {"id": "id", "score": "sparksig prediction"}
FINDINGS = "sparksig findings"


def folder(path):
    return Folder(pafs.LocalFileSystem(), str(path), f"file:{path}")


def describe_plan(schema, monkeypatch):
    """Return a plan whose files have these columns."""
    monkeypatch.setattr(part, "build_output_schema", lambda plan: schema)
    return SimpleNamespace(spark_fields={})


@pytest.fixture
def divide(tmp_path, monkeypatch):
    """A function that writes a table as one split with some selections, and returns the files."""

    def call(table, *selections, home=tmp_path):
        target = Target(pafs.LocalFileSystem(), str(home), selections)
        with part.open_writer(target, 7, describe_plan(table.schema, monkeypatch)) as writer:
            for batch in table.to_batches(max_chunksize=2):
                writer.write(batch.columns)
            writer.close()
        assert sum((home / file).stat().st_size for file in writer.files) == writer.size
        return sorted(writer.files)

    return call


def test_rows_are_divided_by_their_findings(tmp_path, divide):
    scored = Selection("scored", SCORED, FINDINGS)
    rejected = Selection("rejected", {"id": "id", "findings": FINDINGS}, FINDINGS, is_rejected=True)
    files = divide(ROWS, scored, rejected)
    assert [file.partition("/")[0] for file in files] == ["rejected", "scored"]
    assert pq.read_table(tmp_path / "scored").to_pylist() == [
        {"id": 1, "score": 0.1},
        {"id": 3, "score": 0.3},
        {"id": 4, "score": 0.4},
    ]
    assert pq.read_table(tmp_path / "rejected").to_pydict() == {"id": [2, 5], "findings": [["bad"], ["bad"]]}


@pytest.mark.parametrize(("is_rejected", "row"), [(True, 0), (False, 1)], ids=["rejected", "scored"])
def test_a_file_without_rows_is_written_only_for_the_output(tmp_path, divide, is_rejected, row):
    files = divide(ROWS.slice(row, 1), Selection("", SCORED, FINDINGS, is_rejected))
    assert len(files) == (0 if is_rejected else 1)
    if files:
        assert pq.read_table(tmp_path / files[0]).to_pydict() == {"id": [], "score": []}


@pytest.mark.parametrize(("most_files", "most_bytes"), [(1, 2**27), (64, 0)], ids=["files", "bytes"])
def test_partitions_are_directories_that_are_read_back(tmp_path, monkeypatch, divide, most_files, most_bytes):
    monkeypatch.setattr(part, "_OPEN_FILES", most_files)
    monkeypatch.setattr(part, "_BUFFERED_BYTES", most_bytes)
    columns = {name: name for name in ("id", "day", "note")}
    divide(ROWS, Selection("", columns, partition_by=("day", "note")))
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert names == [
        "day=2026-01-01/note=a%2Fb",
        "day=2026-01-01/note=x%3D1 %25",
        "day=2026-01-02/note=__HIVE_DEFAULT_PARTITION__",
        "day=__HIVE_DEFAULT_PARTITION__/note=__HIVE_DEFAULT_PARTITION__",
        "day=__HIVE_DEFAULT_PARTITION__/note=ü",
    ]
    table = open_parquet(tmp_path)
    assert sum(file.rows for file in table.files) == 5
    assert [name for name in table.schema.names if name not in ("day", "note")] == ["id"]


def test_files_are_removed_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(part, "_OPEN_FILES", 1)
    target = Target(pafs.LocalFileSystem(), str(tmp_path), (Selection(partition_by=("day",)), Selection("b")))
    plan = describe_plan(ROWS.schema, monkeypatch)

    def write_and_fail():
        with part.open_writer(target, 0, plan) as writer:
            writer.write(ROWS.to_batches()[0].columns)
            raise KeyError("sudden")

    with pytest.raises(KeyError, match="sudden"):
        write_and_fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5).filter(
    lambda text: not is_ambiguous(text)
)


@given(values=st.lists(st.none() | TEXTS, min_size=1, max_size=6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_names_a_directory(tmp_path_factory, divide, values):
    home = tmp_path_factory.mktemp("table")
    rows = pa.table({"id": range(len(values)), "note": pa.array(values, pa.string())})
    divide(rows, Selection(partition_by=("note",)), home=home)
    table = open_parquet(home)
    actual = {}
    for file in table.files:
        [batch] = table.batches(file, ["id"])
        actual |= dict.fromkeys(batch.column("id").to_pylist(), file.values["note"])
    assert actual == dict(enumerate(values))


@pytest.mark.parametrize(
    ("text", "existing", "message"),
    [
        ("", None, "note: expected texts that are not empty.*got empty texts"),
        ("__HIVE_DEFAULT_PARTITION__", None, "note: expected texts that are not empty.*got empty texts"),
        ("007", None, "note: expected texts that readers of Parquet return unchanged.*got texts that Spark"),
        ("1.50", None, "note: expected texts that readers of Parquet return unchanged.*got texts that Spark"),
        ("v7", pa.int32(), "note: expected texts that read as int32, got others"),
        ("9999999999", pa.int32(), "note: expected texts that read as int32, got others"),
        ("NaN", pa.int32(), "note: expected texts that read as int32, got others"),
        ("7", pa.date32(), "note: expected texts that read as date32"),
    ],
    ids=["empty", "null", "zeros", "fraction", "no number", "long", "nan", "no date"],
)
def test_texts_that_directories_would_change_are_refused(tmp_path, divide, text, existing, message):
    rows = pa.table({"id": [1, 2], "note": ["8" if existing == pa.int32() else None, text]})
    known = {} if existing is None else {"note": existing}
    with pytest.raises(ContractError, match=message):
        divide(rows, Selection(partition_by=("note",), existing=known))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("text", "existing"),
    [
        ("7", pa.int32()),
        ("7", pa.float64()),
        ("2026-01-01", pa.date32()),
        ("7", pa.string()),
        ("a", pa.null()),
    ],
    ids=["int", "double", "date", "text", "null"],
)
def test_texts_that_read_as_the_existing_directories_are_written(divide, text, existing):
    rows = pa.table({"id": [1], "note": [text]})
    [file] = divide(rows, Selection(partition_by=("note",), existing={"note": existing}))
    assert file.startswith(f"note={text}/")


def test_partitions_that_lose_their_values_are_reported():
    types = {"n": pa.int64(), "x": pa.float64(), "d": pa.decimal128(9, 0), "t": pa.timestamp("us", "UTC")}
    findings = find_unsafe_partitions(pa.schema(types), list(types))
    assert [(finding.path, finding.hint.partition(",")[0]) for finding in findings] == [
        ("x", "choose another column"),
        ("d", "choose another column"),
        ("t", "Spark reads partitions back as others: cast it explicitly"),
    ]


def test_a_directory_is_moved_only_to_where_nothing_is(tmp_path):
    for name in ("new", "old", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "file").write_text("")
    with pytest.raises(OutputRefusedError, match=r"old' already exists"):
        folder(tmp_path / "new").move_to(folder(tmp_path / "old"))
    folder(tmp_path / "new").move_to(folder(tmp_path / "other"))
    assert folder(tmp_path).list_names() == ["empty", "old", "other"]
    assert list(folder(tmp_path).list_files()) == ["old/file"]
