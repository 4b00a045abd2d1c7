"""Staged rows on their way to a table: some rows of a directory, some of its columns, in partitions."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparksig.errors import Code, ContractError, Finding, step
from sparksig.scoring.folder import Folder
from sparksig.scoring.part import PartWriter, Target
from sparksig.scoring.storage import SPARK_SCHEMA_KEY, build_spark_schema, read_spark_fields
from sparksig.tables.partitions import NOTHING, reads_back_otherwise, report_ambiguous, report_empty

__all__ = ["Selection", "copy_rows", "find_unsafe_partitions"]

_OPEN_FILES = 64
"""So many files are open at once at most."""


@dataclass(frozen=True)
class Selection:
    """The rows and columns of a directory that go to one table.

    Attributes:
        columns: the names of the columns in the directory, by their names in the table.
        findings: the column that says why a row was rejected; None to select all rows.
        is_rejected: select the rejected rows instead of the others.
        partition_by: columns of the table that become directories.
    """

    columns: Mapping[str, str]
    findings: str | None = None
    is_rejected: bool = False
    partition_by: tuple[str, ...] = ()

    def select(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the selected rows and columns, with their names in the table."""
        if self.findings is not None:
            is_valid = batch.column(batch.schema.get_field_index(self.findings)).is_valid()
            batch = batch.filter(is_valid if self.is_rejected else pc.invert(is_valid))
        arrays = [batch.column(batch.schema.get_field_index(name)) for name in self.columns.values()]
        return pa.RecordBatch.from_arrays(arrays, schema=self.describe(batch.schema))

    def describe(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of the selected columns, without metadata."""
        return pa.schema([schema.field(name).with_name(new) for new, name in self.columns.items()])


def copy_rows(source: Folder, target: Folder, selection: Selection) -> int:
    """Copy the selected rows of all Parquet files of a directory into files of another one.

    Returns:
        The number of rows.

    Raises:
        ContractError: the names of directories would change values of columns to partition by.
    """
    rows = 0
    with _open_table(target, selection.partition_by) as writer:
        for name in sorted(source.files()):
            if name.endswith(".parquet"):
                rows += _copy_file(source / name, selection, writer)
        findings = [replace(finding, count=count) for finding, count in writer.refused.items()]
        if findings:
            raise ContractError.of("the output cannot be partitioned", findings)
    return rows


def _copy_file(file: Folder, selection: Selection, writer: _TableWriter) -> int:
    rows = 0
    with file.store.open_input_file(file.path) as stream, pq.ParquetFile(stream) as reader:
        known = read_spark_fields(reader.metadata.metadata or {})
        writer.open(selection.describe(reader.schema_arrow), {
            new: {**known[name], "name": new} for new, name in selection.columns.items() if name in known
        })  # fmt: skip
        for batch in reader.iter_batches():
            selected = selection.select(batch)
            rows += selected.num_rows
            writer.write(selected)
    return rows


@contextlib.contextmanager
def _open_table(target: Folder, by: Sequence[str]) -> Iterator[_TableWriter]:
    writer = _TableWriter(target, tuple(by))
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.discard()
        raise


@dataclass
class _TableWriter:
    """The files of a table, one for each partition that has rows."""

    target: Folder
    by: tuple[str, ...]
    refused: Counter[Finding] = field(default_factory=Counter)
    _schema: pa.Schema | None = None
    _stored: pa.Schema | None = None
    _files: dict[str, PartWriter] = field(default_factory=dict)
    _count: int = 0

    def open(self, schema: pa.Schema, fields: Mapping[str, Mapping[str, object]]) -> None:
        """Set the columns; a table without rows has a file with them."""
        if self._schema is not None:
            return
        self._schema = schema
        stored = pa.schema([part for part in schema if part.name not in self.by])
        if fields:
            known = {name: fields[name] for name in stored.names if name in fields}
            stored = stored.with_metadata({SPARK_SCHEMA_KEY: build_spark_schema(stored, known)})
        self._stored = stored
        if not self.by:
            self._find_file("")

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        for folder, rows in self._divide(batch):
            arrays = [rows.column(rows.schema.get_field_index(name)) for name in self._stored_names]
            self._find_file(folder).write(arrays)

    @property
    def _stored_names(self) -> list[str]:
        assert self._stored is not None
        return list(self._stored.names)

    def _divide(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the rows of each partition with the directory that they belong to."""
        if not self.by:
            yield "", batch
            return
        self.refused.update(_count_unsafe_texts(batch, self.by))
        folders = _name_folders(batch, self.by)
        codes = np.asarray(folders.indices)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(folders.dictionary)))
        rows, start = batch.take(pa.array(order)), 0
        for folder, end in zip(folders.dictionary.to_pylist(), ends.tolist()):
            if end > start:
                yield folder, rows.slice(start, end - start)
            start = end

    def _find_file(self, folder: str) -> PartWriter:
        if folder not in self._files:
            if len(self._files) >= _OPEN_FILES:
                self._files.pop(next(iter(self._files))).close()
            path = self.target / folder if folder else self.target
            path.make()
            assert self._stored is not None
            self._files[folder] = PartWriter(Target(path.store, path.path), self._count, self._stored)
            self._count += 1
        return self._files[folder]

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def discard(self) -> None:
        for file in self._files.values():
            file.discard()


# --- directories of partitions ----------------------------------------------------------------------------


def find_unsafe_partitions(schema: pa.Schema, by: Sequence[str]) -> list[Finding]:
    """Report columns whose values the names of directories would change."""
    findings = []
    for name in by:
        dtype = schema.field(name).type
        if not (pa.types.is_integer(dtype) or dtype in (pa.string(), pa.date32())):
            hint = "choose another column, or engine: spark"
            expected = "whole numbers, dates or texts, in a column to partition by"
            findings.append(Finding(Code.TYPE_MISMATCH, step(name), expected, str(dtype), hint))
    return findings


def _count_unsafe_texts(batch: pa.RecordBatch, by: Sequence[str]) -> Counter[Finding]:
    """Count the texts that a reader of the directories would not return unchanged."""
    refused: Counter[Finding] = Counter()
    for name in by:
        column = batch.column(batch.schema.get_field_index(name))
        if not pa.types.is_string(column.type):
            continue
        for value, count in zip(*(part.to_pylist() for part in column.value_counts().flatten())):
            if value in ("", NOTHING):
                refused[report_empty(name)] += count
            elif value is not None and reads_back_otherwise(value):
                refused[report_ambiguous(name)] += count
    return refused


_ESCAPED = re.compile(r"""[\x01-\x1f\x7f"#%'*/:=?\\{\[\]^]""")


def _name_folders(batch: pa.RecordBatch, by: Sequence[str]) -> pa.DictionaryArray:
    """Return the directory of each row, as ``year=2026/day=1``."""
    parts = []
    for name in by:
        values = batch.column(batch.schema.get_field_index(name)).dictionary_encode()
        folders = [f"{_escape(name)}={_format_value(value)}" for value in values.dictionary.to_pylist()]
        nothing = f"{_escape(name)}={NOTHING}"
        parts.append(pa.array(folders, pa.string()).take(values.indices).fill_null(nothing))
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
    return joined.dictionary_encode()


def _format_value(value: object) -> str:
    return _escape(str(value))


def _escape(text: str) -> str:
    """Escape the characters that file systems and readers of partitions give a meaning."""
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text)
