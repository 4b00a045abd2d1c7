"""Parquet tables, read by pyarrow: the footers of all files, and the rows batch by batch. No Spark."""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.convert.arrow import TENSOR_KEY, from_arrow, source
from sparksig.convert.int96 import mark_int96
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    TableNotFoundError,
    UnsupportedError,
    kind,
    step,
)
from sparksig.lattice import NULL, Source
from sparksig.models.registry import fetched, is_remote, reason_of, shown, store_of
from sparksig.schema import Schema
from sparksig.spark.names import Fold
from sparksig.tables.arrow import Outcome, Part, count_violations
from sparksig.tables.columns import Column, arrow_columns
from sparksig.tables.differences import normalize
from sparksig.tables.layout import Layout, read_layout
from sparksig.tables.partitions import partition_type, partition_value, partitions_in
from sparksig.tables.readers import FileReader, kept_metadata
from sparksig.tables.rules import Rule
from sparksig.tables.sample import Sample, Sampler
from sparksig.tables.types import DUPLICATES_HINT

__all__ = ["File", "ParquetTable", "open_parquet"]

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
class ParquetTable:
    """A Parquet table.

    Attributes:
        place: the path or URI of the table, for messages.
        store: the file system.
        files: the files, in order of their names.
    """

    place: str
    store: Any
    files: tuple[File, ...]
    fold = staticmethod(str.casefold)
    has_files = True  # whose schemas may differ

    @property
    def reader(self) -> FileReader:
        """The reader of contracts that are tables or DDL."""
        return FileReader()

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the first file, which readers use for all files.

        A column of the null type there has the type of the first file with another type.
        """
        types: dict[str, pa.DataType] = {}
        for file in self.files:
            for column in file.schema:
                if not pa.types.is_null(column.type):
                    types.setdefault(column.name, column.type)
        first = self.files[0].schema
        return pa.schema([column.with_type(types.get(column.name, column.type)) for column in first])

    @cached_property
    def columns(self) -> list[Column]:
        """The columns."""
        return arrow_columns(self.schema)

    @property
    def rows(self) -> int:
        """The number of rows, from the footers."""
        return sum(file.rows for file in self.files)

    def select(self, names: Sequence[str]) -> ParquetTable:
        """Return the table with some of its columns, in this order; a file may lack some of them."""
        files = []
        for file in self.files:
            present = [file.schema.field(name) for name in names if file.schema.get_field_index(name) >= 0]
            files.append(replace(file, schema=pa.schema(present)))
        return replace(self, files=tuple(files))

    def restore_nulls(self, schema: Schema) -> ParquetTable:
        """Return the table itself: its files declare the null type."""
        del schema
        return self

    def declare(self, names: Sequence[str]) -> Schema:
        """Return the signature of some columns: their types, or the tensors that Spark has written.

        Raises:
            ConversionError: types that no signature has; all of them.
        """
        kept = kept_metadata(self.files[0].kept)
        fields = []
        for name in names:
            tensor, column = kept.get(name, {}).get(TENSOR_KEY), self.schema.field(name)
            fields.append(column if tensor is None else column.with_metadata({TENSOR_KEY: str(tensor)}))
        return from_arrow(pa.schema(fields))

    def compare_files(
        self, names: Sequence[str], required: Collection[str], fold: Fold = str.casefold
    ) -> list[Finding]:
        """Compare the columns of each file with those of the first, whose types readers use for all files.

        Args:
            names: the columns that are compared.
            required: columns that differ also where a file has them with the null type.
            fold: folds names as the readers of the table compare them.
        """
        first = _normalize_columns(self.schema, names)
        findings: list[Finding] = []
        twice = set(_find_duplicates(self.files[0], names, fold))
        compared: set[Hashable] = set()
        for file in self.files:
            if file.schema.equals(self.schema):
                continue
            actual, duplicates = _normalize_columns(file.schema, names), _find_duplicates(file, names, fold)
            key = (tuple(actual.items()), tuple(duplicates))
            if key in compared:
                continue
            compared.add(key)
            for name in names:
                is_null = actual.get(name) == NULL and name in first and name not in required
                if first.get(name) != actual.get(name) and not is_null:
                    expected = f"{_describe_column(self.schema, name)} as in {self.files[0].name}"
                    got = f"{_describe_column(file.schema, name)} in {file.name}"
                    hint = "rewrite the files with one schema"
                    findings.append(Finding(Code.TYPE_MISMATCH, step(name), expected, got, hint))
            for name in duplicates:
                if name not in twice:
                    twice.add(name)
                    got = f"several in {file.name}"
                    expected = "one column of that name"
                    findings.append(Finding(Code.DUPLICATE_NAME, step(name), expected, got, DUPLICATES_HINT))
        return findings

    def find_unambiguous(self, names: Sequence[str]) -> list[str]:
        """Return the columns that each file has once."""
        counts = Counter(name for file in self.files for name in file.schema.names)
        present = set.intersection(*(set(file.schema.names) for file in self.files))
        return [name for name in names if name in present and counts[name] == len(self.files)]

    def run(self, rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str]) -> Outcome:
        """Apply rules to all rows, a batch at a time."""
        return count_violations(self._read_all(_merge_names(rules, names, keys)), rules, names, keys)

    def sample(self, names: Sequence[str], sampler: Sampler) -> Sample:
        """Read some rows of some columns."""
        groups = [(file, index) for file in self.files for index, rows in enumerate(file.groups) if rows]
        schema = pa.schema([self.schema.field(name) for name in names])
        if sampler.method == "uniform":
            parts = tuple(self._read_uniformly(names, groups, sampler))
            return Sample(parts, schema, "uniform")
        chosen = sampler.choose_partitions(len(groups))
        rows = sampler.count_rows(len(chosen))
        parts = tuple(self._read_heads(names, [groups[index] for index in chosen], rows))
        return Sample(parts, schema, "partitions", len(groups), len(chosen), noun="row group")

    def _read_all(self, names: Sequence[str]) -> Iterator[Part]:
        for file in self.files:
            first = 0
            for batch in self.batches(file, names):
                yield Part(batch, file.name, first)
                first += batch.num_rows

    def _read_heads(self, names: Sequence[str], groups: Groups, rows: int) -> Iterator[Part]:
        """Read the first rows of row groups."""
        for file, index in groups:
            left, first = rows, sum(file.groups[:index])
            for batch in self.batches(file, names, [index]):
                part = batch.slice(0, left)
                yield Part(part, file.name, first)
                left, first = left - part.num_rows, first + part.num_rows
                if not left:
                    break

    def _read_uniformly(self, names: Sequence[str], groups: Groups, sampler: Sampler) -> Iterator[Part]:
        """Read rows of which each is as likely as any other: positions are chosen before reading."""
        generator = random.Random(sampler.seed)  # noqa: S311  a sample is no secret
        chosen = generator.sample(range(self.rows), min(sampler.rows, self.rows))
        positions = np.array(sorted(chosen), dtype=np.int64)
        start = 0
        for file, index in groups:
            end = start + file.groups[index]
            inside = positions[np.searchsorted(positions, start) : np.searchsorted(positions, end)] - start
            start = end
            seen = 0
            for batch in self.batches(file, names, [index]) if len(inside) else ():
                taken = inside[(inside >= seen) & (inside < seen + batch.num_rows)] - seen
                seen += batch.num_rows
                if len(taken):
                    yield Part(batch.take(pa.array(taken)), file.name)

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


def _normalize_columns(schema: pa.Schema, names: Sequence[str]) -> dict[str, Source]:
    """Return the types of columns, without the differences that readers do not show."""
    known = dict(zip(schema.names, schema.types))
    return {name: normalize(source(known[name])) for name in names if name in known}


def _describe_column(schema: pa.Schema, name: str) -> str:
    index = schema.get_field_index(name)
    return "no such column" if index < 0 else str(source(schema.types[index]))


def _find_duplicates(file: File, names: Sequence[str], fold: Fold) -> list[str]:
    """Return the columns that a file has twice, as readers compare names."""
    counts = Counter(map(fold, file.schema.names))
    return [name for name in names if counts[fold(name)] > 1]


def _merge_names(rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return all columns that are read, each once."""
    return list(dict.fromkeys([*names, *(rule.column for rule in rules), *keys]))


Groups = Sequence[tuple[File, int]]
"""Row groups: a file, and the index of the group."""

_AS_IT_IS = {"coerce_int96_timestamp_unit": "us"}  # in nanoseconds, far instants would be others


def open_parquet(path: str | os.PathLike[str], store: tuple[Any, str] | None = None) -> ParquetTable:
    """The Parquet table at a place: a file, or a directory of files, with the footers of all of them.

    Files and directories whose names begin with ``_`` or ``.`` are no part of it; directories below are,
    where they name a value of a column (``year=2026``).

    Args:
        path: of the table.
        store: the file system (of pyarrow) that has it, and the path in it; None to find it by the URI.

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
        files_store, root = store or _store(path)
        found = _found(files_store, root, place)
        with ThreadPoolExecutor(16) as pool:
            files = list(pool.map(lambda one: _footer(files_store, one, place), found))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, (TableNotFoundError, ContractError)):
            raise
        raise TableNotFoundError(f"the table {place!r} cannot be read: {reason_of(error)}") from None
    return ParquetTable(place, files_store, tuple(_typed(files, place)))


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
            stored, metadata = _stored(held.schema_arrow), held.metadata
            physical = [held.schema.column(index).physical_type for index in range(len(held.schema))]
            schema = mark_int96(stored, physical) if "INT96" in physical else stored
            layout = read_layout(metadata, schema)
    except (pa.ArrowException, OSError) as error:
        raise TableNotFoundError(f"{place}: {found.name} is no Parquet file: {reason_of(error)}") from None
    counts = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    width = max((size // max(count, 1) for size, count in zip(layout.sizes, counts)), default=0)
    rows = max(min(BATCH_ROWS, BATCH_BYTES // max(width, 1)), 1)
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
