"""Delta tables, read from their log without Spark, if their files contain exactly their rows.

A table with deletion vectors or column mapping, for example, is refused: only a Delta reader can read it
correctly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.errors import TableNotFoundError, UnsupportedError, quote
from sparksig.tables.footers import File, Location, read_footers
from sparksig.tables.parquet import ParquetTable
from sparksig.tables.readers import SPARK_SCHEMA_KEY

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")

_FEATURES = frozenset(
    ["timestampNtz", "vacuumProtocolCheck", "deletionVectors", "columnMapping", "v2Checkpoint"]
)
"""The reader features that a table may have; the last three only if the table does not use them."""


@dataclass(frozen=True)
class Snapshot:
    """A version of a Delta table.

    Attributes:
        version: the version.
        id: the identifier of the table.
        schema: its columns, as Spark writes a schema in JSON.
        partitions: the columns that it is partitioned by.
        files: the values of these columns, by the path of each file in the table.
    """

    version: int
    id: str
    schema: str
    partitions: tuple[str, ...]
    files: Mapping[str, Mapping[str, str | None]]


def read_snapshot(store: Any, root: str, table_name: str, version: int | None = None) -> Snapshot:
    """Read a version of a table from its log.

    Args:
        store: the file system.
        root: the path of the table in it.
        table_name: the path of the table, for messages.
        version: the version; None for the newest.

    Raises:
        TableNotFoundError: the table, or its version, does not exist.
        UnsupportedError: the rows of the table differ from those of its files.
    """
    selector = pafs.FileSelector(f"{root}/_delta_log", allow_not_found=True)
    names = sorted(info.base_name for info in store.get_file_info(selector))
    commits = {int(match[1]): name for name in names if (match := _COMMIT.fullmatch(name))}
    checkpoints = _find_checkpoints(names)
    if not commits and not checkpoints:
        raise TableNotFoundError(f"there is no Delta table at {table_name!r}")
    last = max([*commits, *checkpoints])
    target = last if version is None else version
    first = max((known for known in checkpoints if known <= target), default=-1)
    if target > last or not all(number in commits for number in range(first + 1, target + 1)):
        if any(".checkpoint." in name and not _CHECKPOINT.fullmatch(name) for name in names):
            raise UnsupportedError(
                f"the log of {table_name!r} has checkpoints that only a Delta reader can read"
            )
        raise TableNotFoundError(f"there is no Delta table at {table_name!r} in version {target}")
    state = _State()
    for name in checkpoints.get(first, ()):
        for action in _read_checkpoint(store, f"{root}/_delta_log/{name}"):
            state.add(action)
    for number in range(first + 1, target + 1):
        for action in _read_commit(store, f"{root}/_delta_log/{commits[number]}"):
            state.add(action)
    return state.build(target, table_name)


def _find_checkpoints(names: Sequence[str]) -> dict[int, list[str]]:
    """Return the files of each complete checkpoint, by its version."""
    parts: dict[tuple[int, int], list[str]] = {}
    for name in names:
        if match := _CHECKPOINT.fullmatch(name):
            parts.setdefault((int(match[1]), int(match[3] or 1)), []).append(name)
    return {version: files for (version, count), files in parts.items() if len(files) == count}


def _read_checkpoint(store: Any, path: str) -> Iterator[dict[str, Any]]:
    with store.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        columns = ["protocol", "metaData", "add.path", "add.partitionValues", "add.deletionVector"]
        for batch in file.iter_batches(columns=columns):
            yield from batch.to_pylist()


def _read_commit(store: Any, path: str) -> Iterator[dict[str, Any]]:
    with store.open_input_stream(path) as stream:
        for line in stream.read().splitlines():
            if line.strip():
                yield json.loads(line)


@dataclass
class _State:
    """The state after the actions of a log that were read."""

    protocol: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, action: Mapping[str, Any]) -> None:
        self.protocol = action.get("protocol") or self.protocol
        self.metadata = action.get("metaData") or self.metadata
        if removed := action.get("remove"):
            self.files.pop(_identify(removed), None)
        if added := action.get("add"):
            self.files[_identify(added)] = {
                name: added.get(name) for name in ("partitionValues", "deletionVector")
            }

    def build(self, version: int, table_name: str) -> Snapshot:
        """Return the snapshot.

        Raises:
            UnsupportedError: the rows of the table differ from those of its files.
        """
        reason = self._find_reason()
        if reason:
            raise UnsupportedError(f"the Delta table {table_name!r} {reason}")
        columns = tuple(self.metadata["partitionColumns"])
        files = {
            unquote(path): _read_values(file["partitionValues"], columns)
            for (path, _), file in self.files.items()
        }
        return Snapshot(version, self.metadata["id"], self.metadata["schemaString"], columns, files)

    def _find_reason(self) -> str:
        properties = dict(self.metadata.get("configuration") or {})
        unknown = set(self.protocol.get("readerFeatures") or ()) - _FEATURES
        if self.protocol.get("minReaderVersion", 1) > 3 or unknown:
            return f"needs a reader with the features {', '.join(sorted(unknown)) or 'of a newer version'}"
        if properties.get("delta.columnMapping.mode", "none") != "none":
            return "has other names for its columns than its files (column mapping)"
        if any(file["deletionVector"] for file in self.files.values()):
            return "has deletion vectors"
        if any(re.match(r"[A-Za-z][\w+.-]*:|/", path) for path, _ in self.files):
            return "has files of another table"
        return "" if self.files else "has no files"


def _identify(action: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path of a file and its deletion vector: a commit may replace the vector of a file."""
    return action["path"], json.dumps(action.get("deletionVector"), sort_keys=True, default=str)


def _read_values(values: Any, columns: Sequence[str]) -> dict[str, str | None]:
    """Return the value of each partition column; the empty text is null."""
    known = dict(values or {})
    return {name: known.get(name) or None for name in columns}


# --- as a table of Parquet files --------------------------------------------------------------------------

_PARTITION_TYPES = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "double": pa.float64(),
    "date": pa.date32(),
}


def open_delta(
    store: Any, root: str, table_name: str, version: int | None = None
) -> tuple[ParquetTable, Snapshot]:
    """Open a version of a Delta table by its log and the footers of its files.

    Args:
        store: the file system.
        root: the path of the table in it.
        table_name: the path of the table, for messages.
        version: the version; None for the newest.

    Raises:
        TableNotFoundError: the table, or its version, does not exist, or a file is missing.
        UnsupportedError: the rows of the table differ from those of its files.
    """
    snapshot = read_snapshot(store, root, table_name, version)
    locations = [Location(f"{root}/{path}", path, snapshot.files[path]) for path in sorted(snapshot.files)]
    files = read_footers(store, locations, table_name)
    declared = json.loads(snapshot.schema)["fields"]
    return ParquetTable(
        table_name, store, tuple(_declare(file, declared, snapshot) for file in files)
    ), snapshot


def _declare(file: File, declared: Sequence[Mapping[str, Any]], snapshot: Snapshot) -> File:
    """Return a file with the columns of the table, in their order."""
    fields = []
    for column in declared:
        name, dtype = column["name"], column["type"]
        if name in snapshot.partitions:
            if dtype not in _PARTITION_TYPES:
                raise UnsupportedError(f"{quote(name)} is a partition column of the type {dtype}")
            fields.append(pa.field(name, _PARTITION_TYPES[dtype]))
        elif file.schema.get_field_index(name) < 0:
            raise UnsupportedError(
                f"{quote(name)} is missing in {file.name}, which is older than this column"
            )
        else:
            fields.append(file.schema.field(name))
    metadata = {**file.metadata, SPARK_SCHEMA_KEY: snapshot.schema.encode()}
    return replace(file, schema=pa.schema(fields), metadata=metadata)
