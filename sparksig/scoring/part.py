"""The Parquet files of a scored split: their columns, and row groups of a suitable size. No Spark."""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.engine.predictions import get_result_type
from sparksig.errors import ExecutionError
from sparksig.scoring.failures import FINDINGS
from sparksig.scoring.results import finish_predictions
from sparksig.scoring.scan import ScanPlan
from sparksig.scoring.selection import Selection
from sparksig.scoring.storage import build_spark_schema, convert_array, set_zone
from sparksig.tables.readers import SPARK_SCHEMA_KEY

_GROUP_ROWS, _GROUP_BYTES = 2**20, 2**26
"""The number of rows, or of bytes in memory, from which on a row group is written."""

_OPEN_FILES, _BUFFERED_BYTES = 64, 2**27
"""The largest number of open files of a table, and of bytes of their rows in memory."""


@dataclass(frozen=True)
class Target:
    """The directory that splits are written to.

    Attributes:
        store: the file system.
        path: the path in the file system.
        selections: the tables in the directory; by default a single table with all rows and columns.
    """

    store: pafs.FileSystem
    path: str
    selections: tuple[Selection, ...] = (Selection(),)


def name_predictions(predictions: pa.Array, plan: ScanPlan) -> dict[str, pa.Array]:
    """Return the output columns for predictions."""
    if not plan.flatten:
        return {plan.output: predictions}
    names = [field.name for field in predictions.type]
    return {f"{plan.output}_{name}": part for name, part in zip(names, predictions.flatten())}


def build_output_schema(plan: ScanPlan) -> pa.Schema:
    """Return the schema of the files that are written."""
    encoded = pa.array([], get_result_type(plan.outputs))
    nothing = finish_predictions(encoded, plan.zone, plan.outputs, plan.returned)
    fields = [pa.field(name, _choose_stored_type(plan.source.field(name).type)) for name in plan.kept_columns]
    fields += [
        pa.field(name, _choose_stored_type(set_zone(array.type, "UTC")))
        for name, array in name_predictions(nothing, plan).items()
    ]
    if plan.lenient:
        fields.append(pa.field(plan.findings, FINDINGS))
    return _add_metadata(pa.schema(fields), plan.spark_fields)


def _add_metadata(schema: pa.Schema, fields: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    """Add the schema in Spark's format, if Spark has described some fields."""
    return schema.with_metadata({SPARK_SCHEMA_KEY: build_spark_schema(schema, fields)}) if fields else schema


def _choose_stored_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type in which a column is written; Spark reads the null type as int."""
    return pa.int32() if pa.types.is_null(dtype) else dtype


class _Buffer:
    """Rows of one directory that wait to become a row group."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.rows = self.size = 0

    def add(self, rows: pa.RecordBatch) -> None:
        self.batches.append(rows)
        self.rows += rows.num_rows
        self.size += rows.nbytes

    @property
    def is_full(self) -> bool:
        """True if the rows are enough for a row group."""
        return self.rows >= _GROUP_ROWS or self.size >= _GROUP_BYTES


class _PartWriter:
    """One Parquet file."""

    def __init__(self, store: pafs.FileSystem, path: str, schema: pa.Schema) -> None:
        self.path = path
        self._schema, self._store = schema, store
        self._stream = store.open_output_stream(path)
        # Dictionaries save space for text; for numbers they take time and rarely save anything.
        texts = [part.name for part in schema if pa.types.is_string(part.type)]
        self._writer = pq.ParquetWriter(
            self._stream, schema, use_dictionary=texts or False, store_schema=False
        )
        if schema.metadata:  # which is left out together with Arrow's own schema
            self._writer.add_key_value_metadata(schema.metadata)

    def write(self, rows: _Buffer) -> None:
        """Write rows as a row group."""
        table = pa.Table.from_batches(rows.batches, self._schema)
        self._writer.write_table(table, row_group_size=rows.rows)

    def close(self) -> int:
        """Finish the file, and return its size in bytes."""
        self._writer.close()
        size = int(self._stream.tell())
        self._stream.close()
        return size

    def discard(self) -> None:
        """Remove the unfinished file."""
        for part in (self._writer, self._stream):
            with contextlib.suppress(OSError, pa.ArrowException):
                part.close()
        with contextlib.suppress(OSError):  # which may have no bytes yet
            self._store.delete_file(self.path)


class _TableWriter:
    """The files of one table: one for each partition that has rows, more if they do not fit into memory."""

    def __init__(self, target: Target, name: str, plan: ScanPlan, selection: Selection) -> None:
        self.files: list[str] = []
        self.size = 0
        self._target, self._name, self._selection = target, name, selection
        schema = selection.describe(build_output_schema(plan))
        self._schema = _add_metadata(
            pa.schema([part for part in schema if part.name not in selection.partition_by]),
            _rename_fields(plan.spark_fields, selection),
        )
        self._open: dict[str, _PartWriter] = {}
        self._buffers: dict[str, _Buffer] = {}
        self._buffered_bytes = 0
        if not selection.partition_by and not selection.is_rejected:
            self._find_file(selection.folder)  # a table without rows has files with its columns

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the selected rows of a batch."""
        for folder, rows in self._selection.divide(self._selection.select(batch)):
            buffer = self._buffers.setdefault(folder, _Buffer())
            before = buffer.size
            buffer.add(rows)
            self._buffered_bytes += buffer.size - before
            if buffer.is_full:
                self._flush(folder)
        if self._buffered_bytes > _BUFFERED_BYTES:  # the largest first, to half of it
            for folder in sorted(self._buffers, key=lambda folder: -self._buffers[folder].size):
                self._flush(folder)
                if self._buffered_bytes <= _BUFFERED_BYTES // 2:
                    break

    def _flush(self, folder: str) -> None:
        """Write the buffered rows of a directory."""
        buffer = self._buffers.pop(folder)
        self._buffered_bytes -= buffer.size
        self._find_file(folder).write(buffer)

    def _find_file(self, folder: str) -> _PartWriter:
        if folder not in self._open:
            if len(self._open) >= _OPEN_FILES:
                self._close_file(next(iter(self._open)))
            file = f"{folder}/part-{self._name}-{uuid.uuid4()}.snappy.parquet".lstrip("/")
            path = f"{self._target.path}/{file}"
            if folder:
                self._target.store.create_dir(path.rpartition("/")[0], recursive=True)
            self._open[folder] = _PartWriter(self._target.store, path, self._schema)
            self.files.append(file)
        return self._open[folder]

    def _close_file(self, folder: str) -> None:
        self.size += self._open[folder].close()
        del self._open[folder]

    def close(self) -> None:
        for folder in sorted(self._buffers, key=lambda folder: folder not in self._open):
            self._flush(folder)
        for folder in list(self._open):
            self._close_file(folder)

    def discard(self) -> None:
        """Remove all files."""
        paths = {file.path for file in self._open.values()}
        for file in self._open.values():
            file.discard()
        for name in self.files:
            path = f"{self._target.path}/{name}"
            if path not in paths:
                with contextlib.suppress(OSError):
                    self._target.store.delete_file(path)


def _rename_fields(
    fields: Mapping[str, Mapping[str, Any]], selection: Selection
) -> dict[str, Mapping[str, Any]]:
    """Return the fields that Spark has described, by their names in a table."""
    names = {name: name for name in fields} if selection.columns is None else selection.columns
    return {
        new: {**fields[name], "name": new}
        for new, name in names.items()
        if name in fields and new not in selection.partition_by
    }


class SplitWriter:
    """The files of a split, in each of the tables that it is divided among."""

    def __init__(self, target: Target, index: int, plan: ScanPlan) -> None:
        self._schema = build_output_schema(plan)
        self._tables: list[_TableWriter] = []
        try:
            for selection in target.selections:
                self._tables.append(_TableWriter(target, f"{index:05d}", plan, selection))
        except BaseException:
            self.discard()
            raise

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the files in the target."""
        return tuple(file for table in self._tables for file in table.files)

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(table.size for table in self._tables)

    def write(self, arrays: Iterable[pa.Array]) -> None:
        """Add rows: the values of each column."""
        converted = [convert_array(array, part.type) for array, part in zip(arrays, self._schema)]
        rows = pa.RecordBatch.from_arrays(converted, schema=self._schema)
        for table in self._tables:
            table.write(rows)

    def close(self) -> None:
        """Finish the files."""
        for table in self._tables:
            table.close()

    def discard(self) -> None:
        """Remove the files."""
        for table in self._tables:
            table.discard()


@contextlib.contextmanager
def open_writer(target: Target, index: int, plan: ScanPlan) -> Iterator[SplitWriter]:
    """Open files of unique names; after an error they are removed.

    Args:
        target: the directory, and the tables in it.
        index: the position of the split, for the names.
        plan: the columns.

    Raises:
        ExecutionError: the disk is full.
    """
    writer = SplitWriter(target, index, plan)
    try:
        yield writer
    except BaseException as error:
        writer.discard()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ExecutionError(
                "a file cannot be written: the disk is full, or a quota is used up. Free space at the "
                "output, then start again"
            ) from None
        raise
