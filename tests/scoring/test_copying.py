"""Staged rows that are copied into the files of a table, divided by findings and partitions."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import ContractError, OutputRefusedError
from sparksig.scoring import copying
from sparksig.scoring.copying import Selection, copy_rows, find_unsafe_partitions
from sparksig.scoring.folder import Folder
from sparksig.tables.parquet import open_parquet
from sparksig.tables.partitions import reads_back_otherwise


def folder(path):
    return Folder(pafs.LocalFileSystem(), str(path), f"file:{path}")


def stage(home, *tables):
    source = home / "staged"
    source.mkdir()
    for index, table in enumerate(tables):
        pq.write_table(table, source / f"part-{index}.parquet", row_group_size=2)
    return folder(source)


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


def test_rows_are_divided_by_their_findings(tmp_path):
    source = stage(tmp_path, ROWS.slice(0, 3), ROWS.slice(3))
    scored = Selection(SCORED, "sparksig findings")
    rejected = Selection({"id": "id", "findings": "sparksig findings"}, "sparksig findings", is_rejected=True)
    assert copy_rows(source, folder(tmp_path / "output"), scored) == 3
    assert copy_rows(source, folder(tmp_path / "quarantine"), rejected) == 2
    assert pq.read_table(tmp_path / "output").to_pylist() == [
        {"id": 1, "score": 0.1},
        {"id": 3, "score": 0.3},
        {"id": 4, "score": 0.4},
    ]
    assert pq.read_table(tmp_path / "quarantine").column_names == ["id", "findings"]


def test_a_selection_without_rows_is_a_file_with_the_columns(tmp_path):
    source = stage(tmp_path, ROWS.slice(0, 1))
    selection = Selection(SCORED, "sparksig findings", is_rejected=True)
    assert copy_rows(source, folder(tmp_path / "output"), selection) == 0
    assert pq.read_table(tmp_path / "output").column_names == ["id", "score"]


@pytest.mark.parametrize("most", [1, 64])
def test_partitions_are_directories_that_are_read_back(tmp_path, monkeypatch, most):
    monkeypatch.setattr(copying, "_OPEN_FILES", most)
    source = stage(tmp_path, ROWS)
    columns = {name: name for name in ("id", "day", "note")}
    selection = Selection(columns, partition_by=("day", "note"))
    assert copy_rows(source, folder(tmp_path / "output"), selection) == 5
    names = sorted(str(path.relative_to(tmp_path / "output")) for path in (tmp_path / "output").glob("*/*"))
    assert names == [
        "day=2026-01-01/note=a%2Fb",
        "day=2026-01-01/note=x%3D1 %25",
        "day=2026-01-02/note=__HIVE_DEFAULT_PARTITION__",
        "day=__HIVE_DEFAULT_PARTITION__/note=__HIVE_DEFAULT_PARTITION__",
        "day=__HIVE_DEFAULT_PARTITION__/note=ü",
    ]


@given(values=st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=6))
def test_texts_name_directories_or_are_refused(tmp_path_factory, values):
    home = tmp_path_factory.mktemp("copy")
    values = [None if value is None else value.replace("\0", "") for value in values]
    values = [
        value and "".join(char for char in value if not 0xD800 <= ord(char) < 0xE000) for value in values
    ]
    source = stage(home, pa.table({"id": range(len(values)), "note": pa.array(values, pa.string())}))
    selection = Selection({"id": "id", "note": "note"}, partition_by=("note",))
    texts = [value for value in values if value is not None]
    if "" in texts or any(map(reads_back_otherwise, texts)):
        with pytest.raises(ContractError, match="the output cannot be partitioned"):
            copy_rows(source, folder(home / "output"), selection)
        return
    copy_rows(source, folder(home / "output"), selection)
    table = open_parquet(home / "output")
    actual = {}
    for file in table.files:
        [batch] = table.batches(file, ["id"])
        actual |= dict.fromkeys(batch.column("id").to_pylist(), file.values["note"])
    assert actual == dict(enumerate(values))


def test_texts_that_directories_would_change_are_counted(tmp_path):
    notes = ["", "007", "1.50", "__HIVE_DEFAULT_PARTITION__", None, "7", "v1"]
    source = stage(tmp_path, pa.table({"id": range(7), "note": pa.array(notes, pa.string())}))
    selection = Selection({"id": "id", "note": "note"}, partition_by=("note",))
    with pytest.raises(ContractError) as caught:
        copy_rows(source, folder(tmp_path / "output"), selection)
    actual = [(finding.actual, finding.count) for finding in caught.value.findings]
    assert actual == [
        ("empty texts, which would be null", 2),
        ("texts that Spark reads as numbers or times and formats differently, as 007 or 1.50", 2),
    ]
    assert not list((tmp_path / "output").rglob("*.parquet"))


def test_partitions_that_lose_their_values_are_reported():
    schema = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("t", pa.timestamp("us", "UTC"))])
    assert [finding.path for finding in find_unsafe_partitions(schema, ["n", "x", "t"])] == ["x", "t"]


def test_a_directory_is_moved_only_to_where_nothing_is(tmp_path):
    for name in ("new", "old", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "file").write_text("")
    with pytest.raises(OutputRefusedError, match=r"something is at .*old' already"):
        folder(tmp_path / "new").move_to(folder(tmp_path / "old"))
    folder(tmp_path / "new").move_to(folder(tmp_path / "other"))
    assert folder(tmp_path).names() == ["empty", "old", "other"]
    assert list(folder(tmp_path).files()) == ["old/file"]
