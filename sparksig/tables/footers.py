"""The files of Parquet tables, and their footers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.convert.int96 import mark_int96
from sparksig.errors import ContractError, TableNotFoundError, UnsupportedError, quote, suggest_path
from sparksig.models.registry import format_store_error
from sparksig.processes import count_cores, run_in_processes
from sparksig.tables.layout import Layout, read_layout
from sparksig.tables.partitions import infer_partition_type, parse_partitions

BATCH_BYTES, BATCH_ROWS = 2**25, 2**16
"""The approximate size of a batch."""

READ_OPTIONS = {"coerce_int96_timestamp_unit": "us"}  # in nanoseconds, distant times would overflow


@dataclass(frozen=True)
class File:
    """One file of a table.

    Attributes:
        path: the path in the file system.
        name: the path in the table, for messages.
        schema: its columns, then those of its directories, which replace its own columns of the same names.
        groups: the number of rows in each row group.
        values: the values of the columns of its directories.
        batch_rows: the number of rows in a batch.
        metadata: the metadata of its schema.
        layout: its physical layout.
    """

    path: str
    name: str
    schema: pa.Schema
    groups: tuple[int, ...]
    values: Mapping[str, str | None]
    batch_rows: int = BATCH_ROWS
    metadata: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    layout: Layout = field(default_factory=Layout, repr=False)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(self.groups)


class Location(NamedTuple):
    """A file before its footer is read; the attributes are those of :class:`File`.

    ``stamp`` is the size and the time of the file, if they are known.
    """

    path: str
    name: str
    values: Mapping[str, str | None]
    stamp: tuple[int, int] | None = None


def list_files(store: Any, root: str, table_name: str) -> list[Location]:
    """Return the files of a table, in order of their names."""
    info = store.get_file_info(root)
    if info.type is pafs.FileType.File:
        return [Location(root, root.rpartition("/")[2], {})]
    if info.type is not pafs.FileType.Directory:
        raise TableNotFoundError(f"there is no Parquet table at {table_name!r}{suggest_path(table_name)}")
    if store.get_file_info(f"{root}/_delta_log").type is pafs.FileType.Directory:
        raise UnsupportedError(
            f"{table_name!r} is a Delta table: as Parquet it would show deleted rows; read it through Spark "
            "(--spark), or with deltalake, whose to_pyarrow_table() can be enforced"
        )
    entries = store.get_file_info(pafs.FileSelector(root, recursive=True))
    stamps = {
        entry.path[len(root) :].lstrip("/"): (entry.size or 0, entry.mtime_ns or 0)
        for entry in entries
        if entry.type is pafs.FileType.File
    }
    names = sorted(stamps)
    values = {
        name: parse_partitions(name.split("/")[:-1])
        for name in names
        if not any(map(_is_hidden, name.split("/")))
    }
    files = [
        Location(f"{root}/{name}", name, pairs, stamps[name])
        for name, pairs in values.items()
        if pairs is not None
    ]
    skipped = next((name for name, pairs in values.items() if pairs is None), None)
    reason = ""
    if skipped is not None:
        reason = f"the directory of {quote(skipped)} does not name a new column, as x=1 does"
        if any(file.values for file in files):
            raise ContractError(f"{table_name}: {reason}; that of {files[-1].name} does")
    if not files:
        raise TableNotFoundError(f"there is no Parquet file in {table_name!r}{reason and f' ({reason})'}")
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _read_footer(store: Any, location: Location, table_name: str) -> File:
    try:
        with store.open_input_file(location.path) as stream:
            reader = pq.ParquetFile(stream, **READ_OPTIONS)
            schema, metadata = _unwrap_extensions(reader.schema_arrow), reader.metadata
            physical = [reader.schema.column(index).physical_type for index in range(len(reader.schema))]
            schema = mark_int96(schema, physical) if "INT96" in physical else schema
            layout = read_layout(metadata, schema)
    except (pa.ArrowException, OSError) as error:
        if location.name == "MLmodel":
            raise TableNotFoundError(
                f"{table_name!r} is a model directory. Pass the path of a table"
            ) from None
        problem = f"{table_name}: {location.name} is not a Parquet file"
        raise TableNotFoundError(f"{problem}: {format_store_error(error)}") from None
    counts = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
        raise TableNotFoundError(
            f"{table_name}: the footer of {location.name} is damaged: its row counts contradict each other"
        )
    width = max((size // max(count, 1) for size, count in zip(layout.sizes, counts)), default=0)
    rows = max(min(BATCH_ROWS, BATCH_BYTES // max(width, 1)), 1)
    return File(*location[:2], schema, counts, location.values, rows, metadata.metadata or {}, layout)


def _unwrap_extensions(schema: pa.Schema) -> pa.Schema:
    """Return a schema with JSON as text and UUIDs as bytes, like most readers."""
    fields = [
        part.with_type(part.type.storage_type) if isinstance(part.type, pa.BaseExtensionType) else part
        for part in schema
    ]
    return pa.schema(fields)


def add_partitions(files: Sequence[File], table_name: str) -> Iterator[File]:
    """Add the columns of the directories to the files; a column has the same type in all files."""
    names = list(files[0].values)
    for file in files:
        if list(file.values) != names:
            expected, actual = (", ".join(map(quote, columns)) or "none" for columns in (names, file.values))
            raise ContractError(
                f"{table_name}: the directory of {files[0].name} names the columns {expected}, "
                f"that of {file.name} {actual}"
            )
    types = {name: infer_partition_type([file.values[name] for file in files]) for name in names}
    stored: pa.Schema = None
    schema: pa.Schema = None
    for file in files:
        if stored is not file.schema:  # files of one schema share it
            stored = schema = file.schema
            for name, dtype in types.items():
                index, field = schema.get_field_index(name), pa.field(name, dtype)
                schema = schema.append(field) if index < 0 else schema.set(index, field)
        yield replace(file, schema=schema)


_MANY_FILES, _CHUNK_FILES = 4096, 512
"""The number of files from which several processes read the footers, and the files of one task."""


def read_footers(store: Any, locations: Sequence[Location], table_name: str) -> list[File]:
    """Read the footers of files in several threads; those of thousands of files in a process for each core.

    Args:
        store: the file system.
        locations: the files.
        table_name: the path of their table, for messages.

    Raises:
        TableNotFoundError: a file is missing, or is not Parquet.
    """
    known, files = _FOOTERS.get({}), list[File]()
    unread = [location for location in locations if (location.path, location.stamp) not in known]
    task = _FooterTask(store, table_name)
    new = task.read(unread) if len(unread) <= _MANY_FILES else _read_in_processes(task, unread)
    for location in locations:
        key = location.path, location.stamp
        file = known[key] if key in known else next(new)
        file = _share_schema(replace(file, name=location.name, values=location.values), files)
        files.append(file)
        if location.stamp is not None:
            known[location.path, location.stamp] = file
    return files


def _share_schema(file: File, files: Sequence[File]) -> File:
    """Return a file with the schema object of the last one, if they are equal."""
    if files and file.schema.equals(files[-1].schema, check_metadata=True):
        file = replace(file, schema=files[-1].schema)
    if files and file.metadata == files[-1].metadata:
        file = replace(file, metadata=files[-1].metadata)
    return file


@dataclass(frozen=True)
class _Chunk:
    """Some files of a table."""

    index: int
    locations: Sequence[Location]

    def describe(self) -> str:
        return f"the footers of {self.locations[0].name} and of {len(self.locations) - 1} more files"


@dataclass(frozen=True)
class _FooterTask:
    """The reading of footers, in this process or in others."""

    store: Any
    table_name: str

    verb = "read"

    def read(self, locations: Sequence[Location]) -> Iterator[File]:
        """Read footers in several threads, and yield them in order."""
        with ThreadPoolExecutor(16) as pool:
            yield from pool.map(partial(_read_footer, self.store, table_name=self.table_name), locations)

    def run(self, chunk: _Chunk) -> tuple[int, list[File]]:
        """Read the footers of a chunk."""
        files: list[File] = []
        for file in self.read(chunk.locations):
            files.append(_share_schema(file, files))
        return chunk.index, files


def _read_in_processes(task: _FooterTask, locations: Sequence[Location]) -> Iterator[File]:
    """Read footers in processes of this machine, and yield them in order."""
    starts = range(0, len(locations), _CHUNK_FILES)
    chunks = [_Chunk(index, locations[start : start + _CHUNK_FILES]) for index, start in enumerate(starts)]
    results = dict(run_in_processes(task, chunks, count_cores()))
    for index in range(len(chunks)):
        yield from results.pop(index)


_FOOTERS: ContextVar[dict[tuple[str, tuple[int, int]], File]] = ContextVar("footers")
"""The footers that a run has read, by the paths and stamps of the files."""


@contextlib.contextmanager
def share_footers() -> Iterator[None]:
    """Read the footer of each file once inside, unless its size or time changes."""
    token = _FOOTERS.set({})
    try:
        yield
    finally:
        _FOOTERS.reset(token)
