"""A Parquet table as its files: found, their footers read, their rows batch by batch. No Spark."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.errors import ContractError, TableNotFoundError, UnsupportedError, kind, step
from sparksig.models.registry import fetched, is_remote, reason_of, shown, store_of
from sparksig.parquet.layout import Layout, read_layout
from sparksig.parquet.partitions import partition_type, partition_value, partitions_in

__all__ = ["File", "Table", "open_table"]

BATCH_BYTES, BATCH_ROWS = 2**25, 2**16
"""About how much is read at once."""

_PEEK = 2**7
"""How many rows are read to see how long they are."""


@dataclass(frozen=True)
class File:
    """One file of a table.

    Attributes:
        path: in the file system.
        name: within the table, as people see it.
        schema: its columns, and then those of the directories it is in; which stand for its own, if it has
            them, too.
        groups: how many rows each of its row groups has.
        values: of the columns of its directories.
        batch_rows: how many rows are read at once.
        kept: what its writer left beside the schema.
        layout: how it stores its rows.
    """

    path: str
    name: str
    schema: pa.Schema
    groups: tuple[int, ...]
    values: Mapping[str, str | None]
    batch_rows: int = BATCH_ROWS
    kept: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    layout: Layout = field(default_factory=Layout, repr=False)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.groups)


@dataclass(frozen=True)
class Table:
    """A Parquet table.

    Attributes:
        place: what people call it.
        store: the file system that has it.
        files: of it, in order of their names.
    """

    place: str
    store: Any
    files: tuple[File, ...]

    @property
    def schema(self) -> pa.Schema:
        """That of the first file, as readers take it for all of them.

        A column of the null type there has the type of the first file that has another.
        """
        types: dict[str, pa.DataType] = {}
        for file in self.files:
            for part in file.schema:
                if not pa.types.is_null(part.type):
                    types.setdefault(part.name, part.type)
        return pa.schema([part.with_type(types.get(part.name, part.type)) for part in self.files[0].schema])

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with some of its columns, in this order; a file may lack some of them."""
        files = []
        for file in self.files:
            present = [file.schema.field(name) for name in names if file.schema.get_field_index(name) >= 0]
            files.append(replace(file, schema=pa.schema(present)))
        return replace(self, files=tuple(files))

    @property
    def rows(self) -> int:
        """How many rows it has, as its footers say."""
        return sum(one.rows for one in self.files)

    def batches(
        self, file: File, columns: Sequence[str], groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Some columns of a file, which has them, batch by batch; of all row groups, or of some.

        Raises:
            ContractError: the file cannot be read.
        """
        chosen = range(len(file.groups)) if groups is None else groups
        own = [name for name in columns if name not in file.values]
        if not own:
            counts = (file.groups[index] for index in chosen)
            yield from (self._completed(None, file, columns, rows) for rows in counts if rows)
            return
        with self._reading(file), self.store.open_input_file(file.path) as stream:
            held = pq.ParquetFile(stream, buffer_size=2**20, **_AS_IT_IS)
            at_once = _rows_at_once(held, file, own)
            for index in chosen:  # one at a time: of several, pyarrow decodes all before the first batch
                # a name with a dot names more than its column: what is too much is left out afterwards
                batches = held.iter_batches(batch_size=at_once, row_groups=[index], columns=own)
                for batch in batches:
                    yield self._completed(batch, file, columns, batch.num_rows)

    def _completed(
        self, batch: pa.RecordBatch | None, file: File, columns: Sequence[str], rows: int
    ) -> pa.RecordBatch:
        """The columns of a batch in their order, with those of the file's directories."""
        arrays = []
        for name in columns:
            if name in file.values:
                value = partition_value(file.values[name], file.schema.field(name).type)
                arrays.append(pa.repeat(value, rows))
            else:
                assert batch is not None
                held = batch.column(batch.schema.get_field_index(name))
                arrays.append(held.storage if isinstance(held.type, pa.BaseExtensionType) else held)
        if not arrays:
            return pa.record_batch([pa.nulls(rows)], ["nothing"]).select([])
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    @contextlib.contextmanager
    def _reading(self, file: File) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            what = f"{self.place}: the file {file.name} cannot be read to its end"
            raise ContractError(f"{what}: {reason_of(error)}") from None


def _rows_at_once(held: pq.ParquetFile, file: File, columns: Sequence[str]) -> int:
    """How many rows are read at once: text that repeats is longer in memory than its file's footer tells."""
    if file.rows <= _PEEK:
        return file.batch_rows
    first = next(held.iter_batches(batch_size=_PEEK, columns=columns), None)
    width: int = 0 if first is None else first.nbytes // max(first.num_rows, 1)
    return max(min(file.batch_rows, BATCH_BYTES // max(width, 1)), 1)


_AS_IT_IS = {"coerce_int96_timestamp_unit": "us"}  # in nanoseconds, far instants would be others


def open_table(path: str | os.PathLike[str]) -> Table:
    """The Parquet table at a place: a file, or a directory of files, with the footers of all of them.

    Files and directories whose names begin with ``_`` or ``.`` are no part of it; directories below are,
    where they name a value of a column (``year=2026``).

    Raises:
        TableNotFoundError: there is none, or a file in it is no Parquet.
        UnsupportedError: a Delta table, whose deleted rows would be seen; another kind of URI.
        ContractError: directories that name other columns than their neighbours.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ContractError(f"a table is a path or a URI, not {kind(path)}")
    if not os.fspath(path).strip():
        raise ContractError("a table is a path or a URI, not an empty text")
    place = shown(path)
    try:
        store, root = _store(path)
        found = _found(store, root, place)
        with ThreadPoolExecutor(16) as pool:
            files = list(pool.map(lambda one: _footer(store, one, place), found))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, (TableNotFoundError, ContractError)):
            raise
        raise TableNotFoundError(f"the table {place!r} cannot be read: {reason_of(error)}") from None
    return Table(place, store, tuple(_typed(files, place)))


def _store(path: str | os.PathLike[str]) -> tuple[Any, str]:
    if is_remote(path):
        return store_of(str(path))
    return pafs.LocalFileSystem(), str(Path(fetched(path)).absolute())


@dataclass(frozen=True)
class _Found:
    path: str
    name: str
    values: Mapping[str, str | None]


def _found(store: Any, root: str, place: str) -> list[_Found]:
    """The files of a table, in order of their names."""
    info = store.get_file_info(root)
    if info.type is pafs.FileType.File:
        return [_Found(root, root.rpartition("/")[2], {})]
    if info.type is not pafs.FileType.Directory:
        raise TableNotFoundError(f"there is no Parquet table at {place!r}")
    if store.get_file_info(f"{root}/_delta_log").type is pafs.FileType.Directory:
        raise UnsupportedError(
            f"{place!r} is a Delta table: as Parquet it would show deleted rows; read it through Spark "
            "(--spark), or with deltalake, whose to_pyarrow_table() can be enforced"
        )
    held = store.get_file_info(pafs.FileSelector(root, recursive=True))
    names = sorted(one.path[len(root) :].lstrip("/") for one in held if one.type is pafs.FileType.File)
    names = [name for name in names if not any(map(_is_hidden, name.split("/")))]
    parts = {name: partitions_in(name.split("/")[:-1]) for name in names}
    files = [_Found(f"{root}/{name}", name, there) for name, there in parts.items() if there is not None]
    passed = next((name for name, there in parts.items() if there is None), None)
    aside = (
        ""
        if passed is None
        else f"{step(passed)} lies in a directory that names no column, as x=1 does, once"
    )
    if aside and any(one.values for one in files):
        raise ContractError(f"{place}: {aside}; that of {files[-1].name} does")
    if not files:
        raise TableNotFoundError(f"there is no Parquet file in {place!r}{aside and f' ({aside})'}")
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _footer(store: Any, found: _Found, place: str) -> File:
    try:
        with store.open_input_file(found.path) as stream:
            held = pq.ParquetFile(stream, **_AS_IT_IS)
            schema, metadata = _stored(held.schema_arrow), held.metadata
            groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise TableNotFoundError(f"{place}: {found.name} is no Parquet file: {reason_of(error)}") from None
    width = max((one.total_byte_size // max(one.num_rows, 1) for one in groups), default=0)
    rows = max(min(BATCH_ROWS, BATCH_BYTES // max(width, 1)), 1)
    counts = tuple(one.num_rows for one in groups)
    layout = read_layout(metadata, schema)
    return File(found.path, found.name, schema, counts, found.values, rows, metadata.metadata or {}, layout)


def _stored(schema: pa.Schema) -> pa.Schema:
    """A schema with JSON as the text, and UUIDs as the bytes, that they are to most readers."""
    fields = [
        part.with_type(part.type.storage_type) if isinstance(part.type, pa.BaseExtensionType) else part
        for part in schema
    ]
    return pa.schema(fields)


def _typed(files: Sequence[File], place: str) -> Iterator[File]:
    """The files with the columns of their directories, each of one type in all of them."""
    names = list(files[0].values)
    for one in files:
        if list(one.values) != names:
            said, other = (", ".join(map(step, held)) or "none" for held in (names, one.values))
            raise ContractError(
                f"{place}: the directory of {files[0].name} names the columns {said}, "
                f"that of {one.name} {other}"
            )
    types = {name: partition_type([one.values[name] for one in files]) for name in names}
    for one in files:
        schema = one.schema
        for name, dtype in types.items():
            index = schema.get_field_index(name)
            made = pa.field(name, dtype)
            schema = schema.append(made) if index < 0 else schema.set(index, made)
        yield replace(one, schema=schema)
