"""Parquet tables, read by pyarrow without Spark: the footers of all files, and the rows batch by batch."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.convert.arrow import from_arrow, to_source
from sparksig.convert.fields import TENSOR_KEY
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    TableNotFoundError,
    name_type,
    quote,
)
from sparksig.lattice import NULL, Source
from sparksig.models.registry import fetch_path, format_store_error, is_remote, open_store, redact_uri
from sparksig.schema import Schema
from sparksig.spark.names import Fold
from sparksig.tables.arrow import Outcome, Part, count_violations
from sparksig.tables.columns import Column, list_arrow_columns
from sparksig.tables.differences import normalize
from sparksig.tables.distributions import Distributions
from sparksig.tables.footers import (
    BATCH_BYTES,
    READ_OPTIONS,
    File,
    add_partitions,
    list_files,
    read_footers,
)
from sparksig.tables.partitions import parse_partition_value
from sparksig.tables.readers import FileReader, read_field_metadata
from sparksig.tables.rules import Rule
from sparksig.tables.sample import Sample, Sampler
from sparksig.tables.types import DUPLICATES_HINT

_PEEK = 2**7
"""The number of rows that are read to measure the size of a row."""


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet table.

    Attributes:
        name: the path or URI of the table, for messages.
        store: the file system.
        files: the files, in order of their names.
    """

    name: str
    store: Any
    files: tuple[File, ...]
    fold = staticmethod(str.casefold)

    @property
    def reader(self) -> FileReader:
        """The reader of contracts that are tables or DDL."""
        return FileReader()

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the first file, which readers use for all files.

        If a column has the null type in this file, it has the type of the first file with another type.
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
        return list_arrow_columns(self.schema)

    @property
    def rows(self) -> int:
        """The number of rows, from the footers."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """The bytes of the row groups, uncompressed."""
        return sum(size for file in self.files for size in file.layout.sizes)

    def select(self, names: Sequence[str]) -> ParquetTable:
        """Return the table with some of its columns, in this order; a file may lack some columns."""
        files = []
        for file in self.files:
            present = [file.schema.field(name) for name in names if file.schema.get_field_index(name) >= 0]
            files.append(replace(file, schema=pa.schema(present)))
        return replace(self, files=tuple(files))

    def declare(self, names: Sequence[str]) -> Schema:
        """Return the schema of some columns: their types, or the tensors in their metadata.

        Raises:
            ConversionError: columns have types that signatures do not support.
        """
        metadata = read_field_metadata(self.files[0].metadata)
        fields = []
        for name in names:
            tensor, column = metadata.get(name, {}).get(TENSOR_KEY), self.schema.field(name)
            fields.append(column if tensor is None else column.with_metadata({TENSOR_KEY: str(tensor)}))
        return from_arrow(pa.schema(fields))

    def compare_files(
        self, names: Sequence[str], required: Collection[str], fold: Fold = str.casefold
    ) -> list[Finding]:
        """Compare the columns of each file with those of the first, whose types readers use for all files.

        Args:
            names: the columns to compare.
            required: columns for which the null type counts as a difference.
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
                    findings.append(Finding(Code.TYPE_MISMATCH, quote(name), expected, got, hint))
            for name in duplicates:
                if name not in twice:
                    twice.add(name)
                    got = f"several in {file.name}"
                    expected = "one column of that name"
                    findings.append(Finding(Code.DUPLICATE_NAME, quote(name), expected, got, DUPLICATES_HINT))
        return findings

    def find_unambiguous(self, names: Sequence[str]) -> list[str]:
        """Return the columns that each file has exactly once."""
        counts = Counter(name for file in self.files for name in file.schema.names)
        present = set.intersection(*(set(file.schema.names) for file in self.files))
        return [name for name in names if name in present and counts[name] == len(self.files)]

    def run(self, rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str]) -> Outcome:
        """Apply rules to all rows, a batch at a time, and count the values of the columns meanwhile."""
        distributions = Distributions(names, self.rows)
        parts = distributions.observe(self._read_all(_merge_names(rules, names, keys)))
        outcome = count_violations(parts, rules, names, keys)
        return replace(outcome, values=distributions.list_bins())

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
        """Read rows that are chosen with the same probability; the positions are chosen before reading."""
        generator = random.Random(sampler.seed)  # noqa: S311  a sample is no secret
        chosen = generator.sample(range(self.rows), min(sampler.rows, self.rows))
        positions = np.array(sorted(chosen), dtype=np.int64)
        start = 0
        for file, index in groups:
            end = start + file.groups[index]
            in_group = positions[np.searchsorted(positions, start) : np.searchsorted(positions, end)] - start
            start = end
            first = 0
            for batch in self.batches(file, names, [index]) if len(in_group) else ():
                last = first + batch.num_rows
                in_batch = in_group[(in_group >= first) & (in_group < last)] - first
                first = last
                if len(in_batch):
                    yield Part(batch.take(pa.array(in_batch)), file.name)

    def batches(
        self, file: File, columns: Sequence[str], groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Read some columns of a file batch by batch, from all row groups or from some.

        Raises:
            ContractError: the file cannot be read.
        """
        chosen = range(len(file.groups)) if groups is None else groups
        own = [name for name in columns if name not in file.values]
        if not own:
            counts = (file.groups[index] for index in chosen)
            yield from (_complete_batch(None, file, columns, rows) for rows in counts if rows)
            return
        try:
            with self.store.open_input_file(file.path) as stream:
                reader = pq.ParquetFile(stream, buffer_size=2**20, **READ_OPTIONS)
                batch_rows = _measure_batch(reader, file, own)
                for index in chosen:  # one by one: pyarrow would decode several groups before the first batch
                    # a name with a dot may name nested columns as well, which are dropped afterwards
                    for batch in reader.iter_batches(batch_size=batch_rows, row_groups=[index], columns=own):
                        yield _complete_batch(batch, file, columns, batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            problem = f"{self.name}: the file {file.name} cannot be read completely"
            raise ContractError(f"{problem}: {format_store_error(error)}") from None


def _complete_batch(
    batch: pa.RecordBatch | None, file: File, columns: Sequence[str], rows: int
) -> pa.RecordBatch:
    """Return the columns of a batch in their order, with those of the file's directories."""
    arrays = []
    for name in columns:
        if name in file.values:
            value = parse_partition_value(file.values[name], file.schema.field(name).type)
            arrays.append(pa.repeat(value, rows))
        else:
            assert batch is not None
            array = batch.column(batch.schema.get_field_index(name))
            arrays.append(array.storage if isinstance(array.type, pa.BaseExtensionType) else array)
    if not arrays:
        return pa.record_batch([pa.nulls(rows)], ["nothing"]).select([])
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _measure_batch(reader: pq.ParquetFile, file: File, columns: Sequence[str]) -> int:
    """Return the number of rows of a batch; repeated text needs more memory than the footers indicate."""
    if file.rows <= _PEEK:
        return file.batch_rows
    first = next(reader.iter_batches(batch_size=_PEEK, columns=columns), None)
    width: int = 0 if first is None else first.nbytes // max(first.num_rows, 1)
    return max(min(file.batch_rows, BATCH_BYTES // max(width, 1)), 1)


def _normalize_columns(schema: pa.Schema, names: Sequence[str]) -> dict[str, Source]:
    """Return the types of columns, without differences that readers hide."""
    types = dict(zip(schema.names, schema.types))
    return {name: normalize(to_source(types[name])) for name in names if name in types}


def _describe_column(schema: pa.Schema, name: str) -> str:
    index = schema.get_field_index(name)
    return "no such column" if index < 0 else str(to_source(schema.types[index]))


def _find_duplicates(file: File, names: Sequence[str], fold: Fold) -> list[str]:
    """Return the columns that a file has twice, if names are compared as readers do."""
    counts = Counter(map(fold, file.schema.names))
    return [name for name in names if counts[fold(name)] > 1]


def _merge_names(rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return all columns to read, without duplicates."""
    return list(dict.fromkeys([*names, *(rule.column for rule in rules), *keys]))


Groups = Sequence[tuple[File, int]]
"""Row groups: a file, and the index of the group."""


def open_parquet(path: str | os.PathLike[str], store: tuple[Any, str] | None = None) -> ParquetTable:
    """Open the Parquet table at a path, a file or a directory of files, by the footers of its files.

    Files and directories whose names begin with ``_`` or ``.`` are ignored. The names of inner directories
    have the values of columns (``year=2026``).

    Args:
        path: the path of the table.
        store: the pyarrow file system of the table, and the path in it; None to find both by the URI.

    Raises:
        TableNotFoundError: there is no table, or a file in it is not Parquet.
        UnsupportedError: the path is a Delta table, whose deleted rows would be read, or an unknown kind of
            URI.
        ContractError: the names of the directories have different columns.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ContractError(f"table: expected a path or a URI, got {name_type(path)}")
    if not os.fspath(path).strip():
        raise ContractError("table: expected a path or a URI, got an empty text")
    name = redact_uri(path)
    try:
        file_system, root = store or _find_store(path)
        locations = list_files(file_system, root, name)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, (TableNotFoundError, ContractError)):
            raise
        raise TableNotFoundError(f"the table {name!r} cannot be read: {format_store_error(error)}") from None
    files = read_footers(file_system, locations, name)
    return ParquetTable(name, file_system, tuple(add_partitions(files, name)))


def _find_store(path: str | os.PathLike[str]) -> tuple[Any, str]:
    if is_remote(path):
        return open_store(str(path))
    return pafs.LocalFileSystem(), str(Path(fetch_path(path)).absolute())
