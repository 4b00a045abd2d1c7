"""Delta tables read from their log: versions, checkpoints, and tables that are left to Spark."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs as pafs
import pytest

from sparksig import TableNotFoundError, UnsupportedError
from sparksig.tables.delta_log import open_delta, read_snapshot

deltalake = pytest.importorskip("deltalake")

LOCAL = pafs.LocalFileSystem()
ROWS = pa.table({"id": [1, 2, 3], "day": ["a", "b/c d", None], "x": [1.0, 2.0, 3.0]})


@pytest.fixture
def root(tmp_path):
    """A table of four versions: created, appended to, deleted from, appended to."""
    path = str(tmp_path / "table")
    deltalake.write_deltalake(path, ROWS, partition_by=["day"])
    deltalake.write_deltalake(path, ROWS.slice(0, 1), mode="append")
    deltalake.DeltaTable(path).delete("id = 2")
    deltalake.write_deltalake(path, ROWS.slice(1, 1), mode="append")
    return path


def ids_of(root, version=None):
    """The values of id and day in a version, by the files of the log."""
    table, snapshot = open_delta(LOCAL, root, root, version)
    rows = []
    for file in table.files:
        for batch in table.batches(file, ["id", "day"]):
            rows += [(row["id"], row["day"]) for row in batch.to_pylist()]
    return snapshot.version, sorted(rows, key=str)


VERSIONS = {
    0: [(1, "a"), (2, "b/c d"), (3, None)],
    1: [(1, "a"), (1, "a"), (2, "b/c d"), (3, None)],
    2: [(1, "a"), (1, "a"), (3, None)],
    3: [(1, "a"), (1, "a"), (2, "b/c d"), (3, None)],
}


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_each_version_has_its_rows(root, version):
    assert ids_of(root, version) == (version, VERSIONS[version])


def test_the_newest_version_is_the_default(root):
    assert ids_of(root) == (3, VERSIONS[3])


def test_columns_are_in_the_declared_order(root):
    table, snapshot = open_delta(LOCAL, root, root)
    assert table.schema.names == ["id", "day", "x"]
    assert snapshot.partitions == ("day",)
    assert snapshot.id == str(deltalake.DeltaTable(root).metadata().id)


def test_a_checkpoint_replaces_the_commits_before_it(root, tmp_path):
    deltalake.DeltaTable(root).create_checkpoint()
    deltalake.write_deltalake(root, ROWS.slice(2, 1), mode="append")
    for version in range(4):
        (tmp_path / "table" / "_delta_log" / f"{version:020d}.json").unlink()
    assert ids_of(root, 3) == (3, VERSIONS[3])
    assert ids_of(root) == (4, sorted([*VERSIONS[3], (3, None)], key=str))
    with pytest.raises(TableNotFoundError, match=r"in version 2$"):
        ids_of(root, 2)


def test_a_checkpoint_that_lacks_a_part_is_not_used(root, tmp_path):
    deltalake.DeltaTable(root).create_checkpoint()
    log = tmp_path / "table" / "_delta_log"
    [checkpoint] = log.glob("*.checkpoint.parquet")
    checkpoint.rename(log / f"{3:020d}.checkpoint.{1:010d}.{2:010d}.parquet")
    assert ids_of(root) == (3, VERSIONS[3])


@pytest.mark.parametrize("version", [4, 10**18])
def test_a_version_that_does_not_exist_is_reported(root, version):
    with pytest.raises(TableNotFoundError, match=f"there is no Delta table at .* in version {version}$"):
        read_snapshot(LOCAL, root, root, version)


def test_a_directory_without_a_log_is_no_table(tmp_path):
    with pytest.raises(TableNotFoundError, match="there is no Delta table at 'here'"):
        read_snapshot(LOCAL, str(tmp_path), "here")


def append_actions(root, *actions):
    log = pafs.FileSelector(f"{root}/_delta_log")
    version = max(
        int(info.base_name[:20]) for info in LOCAL.get_file_info(log) if info.path.endswith(".json")
    )
    with open(f"{root}/_delta_log/{version + 1:020d}.json", "w") as file:
        file.write("\n".join(map(json.dumps, actions)))


def protocol(*features):
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features}}


def metadata(root, **changes):
    snapshot = read_snapshot(LOCAL, root, root)
    known_names = {
        "id": snapshot.id,
        "schemaString": snapshot.schema,
        "partitionColumns": ["day"],
        "configuration": {},
    }
    return {"metaData": {**known_names, **changes}}


def added(path, **changes):
    return {"add": {"path": path, "partitionValues": {"day": "a"}, "size": 1, **changes}}


MAPPED = {"delta.columnMapping.mode": "name"}
LEFT_TO_SPARK = {
    "features typeWidening": lambda root: protocol("typeWidening"),
    "column mapping": lambda root: metadata(root, configuration=MAPPED),
    "deletion vectors": lambda root: added("x.parquet", deletionVector={"storageType": "u"}),
    "files of another table": lambda root: added("s3://elsewhere/x.parquet"),
}


@pytest.mark.parametrize("reason", LEFT_TO_SPARK)
def test_tables_whose_files_are_not_their_rows_are_left_to_spark(root, reason):
    append_actions(root, LEFT_TO_SPARK[reason](root))
    with pytest.raises(UnsupportedError, match=reason):
        read_snapshot(LOCAL, root, root)


@pytest.mark.parametrize("is_reversed", [False, True], ids=["add first", "remove first"])
def test_a_file_that_gets_a_deletion_vector_is_not_lost(root, is_reversed):
    """The commit adds the file with the vector, and removes the file without it, in any order."""
    path = next(iter(read_snapshot(LOCAL, root, root).files)).replace("%", "%25").replace(" ", "%20")
    removed = {"remove": {"path": path, "dataChange": True}}
    actions = [added(path, deletionVector={"storageType": "u", "pathOrInlineDv": "x"}), removed]
    append_actions(root, *(reversed(actions) if is_reversed else actions))
    with pytest.raises(UnsupportedError, match="has deletion vectors"):
        read_snapshot(LOCAL, root, root)


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping", "v2Checkpoint", "timestampNtz"])
def test_features_that_are_not_in_use_are_read(root, feature):
    append_actions(root, protocol(feature))
    assert ids_of(root) == (4, VERSIONS[3])


def test_a_column_that_older_files_lack_is_left_to_spark(root):
    wider = ROWS.append_column("y", pa.array([1, 2, 3]))
    deltalake.write_deltalake(root, wider, mode="append", schema_mode="merge")
    with pytest.raises(UnsupportedError, match=r"^y is missing in day=.*, which is older than this column$"):
        open_delta(LOCAL, root, root)


def test_partitions_of_other_types_are_left_to_spark(tmp_path):
    path = str(tmp_path / "table")
    deltalake.write_deltalake(path, pa.table({"flag": [True], "x": [1.0]}), partition_by=["flag"])
    with pytest.raises(UnsupportedError, match="flag is a partition column of the type boolean"):
        open_delta(LOCAL, path, path)


def test_a_missing_file_is_reported(root, tmp_path):
    next((tmp_path / "table").glob("day=a/*.parquet")).unlink()
    with pytest.raises(TableNotFoundError, match="is not a Parquet file"):
        open_delta(LOCAL, root, root)


def test_a_table_without_files_is_left_to_spark(tmp_path):
    path = str(tmp_path / "table")
    deltalake.write_deltalake(path, ROWS)
    deltalake.DeltaTable(path).delete()
    with pytest.raises(UnsupportedError, match="has no files"):
        open_delta(LOCAL, path, path)
