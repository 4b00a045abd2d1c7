"""Splits of a Parquet table: their row groups, and the reading of their rows. No Spark."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.engine.absent import Absent
from sparksig.engine.transfer import restore_types
from sparksig.errors import ContractError, TableNotFoundError
from sparksig.models.registry import format_store_error
from sparksig.schema import Schema
from sparksig.scoring.batches import BATCH_BYTES, join_batches, regroup_batches
from sparksig.scoring.bounds import Bounds, read_bounds
from sparksig.scoring.filters import Condition
from sparksig.scoring.limits import RejectionLimit
from sparksig.scoring.storage import convert_array

READ_ROWS, READ_BYTES = 2**18, 2**25
"""The largest number of rows, and approximately of bytes, in a batch."""


@dataclass(frozen=True)
class Piece:
    """Row groups of one file.

    Attributes:
        path: the file, in the file system of the table.
        name: the file within the table, for messages.
        groups: the row groups, in order.
        counts: the number of rows of each row group.
        first_row: the number of rows in the file before these row groups.
        size: the uncompressed size of the row groups in bytes.
        partitions: the values of partition columns.
    """

    path: str
    name: str
    groups: tuple[int, ...]
    counts: tuple[int, ...]
    first_row: int
    size: int
    partitions: Mapping[str, pa.Scalar]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return sum(self.counts)


@dataclass(frozen=True)
class Split:
    """The part of a table that is scored into one file.

    Attributes:
        index: its position among the splits of the table.
        pieces: the row groups, file by file.
    """

    index: int
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def size(self) -> int:
        """Return the number of bytes, uncompressed."""
        return sum(piece.size for piece in self.pieces)

    def locate_row(self, row: int) -> str:
        """Return the position of a row of the split in its file, as text."""
        for piece in self.pieces:
            if row < piece.rows:
                return f"{piece.first_row + row:,} of {piece.name}, counted from 0"
            row -= piece.rows
        return self.describe()

    def describe(self) -> str:
        """Return the names of the first files, for messages."""
        names = [piece.name for piece in self.pieces]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return ", ".join(names[:3]) + more or "a table without rows"


@dataclass(frozen=True)
class ScanPlan:
    """The plan of a run, which all splits share: the columns to read, the scoring, the columns to write.

    Attributes:
        store: the file system of the table.
        source: the columns that are read, in the types that Spark reads.
        model_columns: the columns that the model receives, in order.
        transfer: the names and types of these columns in the model's input.
        is_row: pass them to the model as one column of objects.
        kept_columns: the columns of the input in the output, in order.
        inputs: the model's input schema.
        outputs: its output schema.
        params: values for all of its params, enforced already; None for a model without params.
        output: the name of the predictions' column.
        flatten: write each field of a prediction of several outputs as a column ``<output>_<field>``.
        lenient: write a null prediction and the findings for a row that cannot be scored, instead of failing.
        findings: the name of the findings' column.
        zone: the time zone of the session.
        batch_rows: the number of rows in one call of the model; None for the batches of the reader.
        absent: the treatment of an optional column that the table lacks.
        returned: the requested Arrow type of predictions; None to use the output schema.
        condition: the rows to score; None for all.
        limit: the number of rows that the run may reject; None for any number.
        spark_fields: the fields of kept columns that Spark has described in the footers of the table.
    """

    store: pafs.FileSystem
    source: pa.Schema
    model_columns: tuple[str, ...]
    transfer: pa.Schema
    is_row: bool
    kept_columns: tuple[str, ...]
    inputs: Schema
    outputs: Schema
    params: Mapping[str, Any] | None
    output: str
    flatten: bool = False
    lenient: bool = False
    findings: str = "findings"
    zone: str = "UTC"
    batch_rows: int | None = None
    absent: Absent = "omit"
    returned: pa.DataType | None = None
    condition: Condition | None = None
    limit: RejectionLimit | None = None
    spark_fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def build_input(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the model's columns of a batch of :attr:`source`."""
        arrays = [
            convert_array(batch.column(batch.schema.get_field_index(name)), part.type)
            for name, part in zip(self.model_columns, self.transfer)
        ]
        if self.is_row:
            rows = pa.StructArray.from_arrays(arrays, fields=list(self.transfer))
            return pa.RecordBatch.from_arrays([rows], names=["0"])
        return restore_types(pa.RecordBatch.from_arrays(arrays, schema=self.transfer), self.inputs)


@dataclass
class ReadCount:
    """The rows of the row groups, including those that the condition drops, and the groups that were read."""

    rows: int = 0
    groups: int = 0


def read_batches(split: Split, plan: ScanPlan, count: ReadCount) -> Iterator[pa.RecordBatch]:
    """Read the rows of a split in the types that Spark reads, in batches that are bounded by rows and bytes.

    Args:
        split: the split.
        plan: the columns to read, and the condition on rows.
        count: counts the rows.

    Raises:
        ContractError: a file cannot be read, or has a value that the type of Spark does not hold.
        TableNotFoundError: a file was deleted meanwhile.
    """
    batches = _filter_batches(split, plan, count)
    if plan.batch_rows is not None:
        return regroup_batches(batches, plan.batch_rows, BATCH_BYTES)
    return regroup_batches(join_batches(batches, READ_ROWS // 4, READ_BYTES // 4), None, BATCH_BYTES)


def _filter_batches(split: Split, plan: ScanPlan, count: ReadCount) -> Iterator[pa.RecordBatch]:
    for piece in split.pieces:
        for batch in _read_piece(piece, plan, count):
            count.rows += batch.num_rows
            yield batch if plan.condition is None else plan.condition.apply(batch)


def _read_piece(piece: Piece, plan: ScanPlan, count: ReadCount) -> Iterator[pa.RecordBatch]:
    stored = [name for name in plan.source.names if name not in piece.partitions]
    if not stored:
        for rows in piece.counts:
            for start in range(0, rows, READ_ROWS):
                yield _complete_batch(None, piece, plan, min(READ_ROWS, rows - start))
        return
    try:
        with _open_file(piece, plan.store) as file:
            at_once = _choose_batch_rows(piece)
            groups_of_rows = dict(_prune_groups(file, piece, plan.condition))
            count.groups += len(groups_of_rows)
            count.rows += piece.rows - sum(groups_of_rows.values())
            for groups in _join_groups(groups_of_rows, at_once):
                # a name with a dot may select nested columns as well, which are dropped afterwards
                for batch in file.iter_batches(at_once, row_groups=groups, columns=stored, use_threads=False):
                    yield _complete_batch(batch, piece, plan, batch.num_rows)
    except FileNotFoundError:
        raise TableNotFoundError(
            f"the file {piece.name} vanished while the table was read. Start again when no process "
            "replaces its files"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise ContractError(
            f"the file {piece.name} cannot be read completely: {format_store_error(error)}"
        ) from None


@contextlib.contextmanager
def _open_file(piece: Piece, store: pafs.FileSystem) -> Iterator[pq.ParquetFile]:
    options: dict[str, Any] = {"coerce_int96_timestamp_unit": "us"}
    if isinstance(store, pafs.LocalFileSystem):
        with pq.ParquetFile(piece.path, memory_map=True, pre_buffer=False, **options) as file:
            yield file
        return
    with (
        store.open_input_file(piece.path) as stream,
        pq.ParquetFile(stream, pre_buffer=True, **options) as file,
    ):
        yield file


def _choose_batch_rows(piece: Piece) -> int:
    """Return the number of rows of a batch to read."""
    width = piece.size // max(piece.rows, 1)
    return max(min(READ_ROWS, READ_BYTES // max(width, 1)), 1)


def _prune_groups(
    file: pq.ParquetFile, piece: Piece, condition: Condition | None
) -> Iterator[tuple[int, int]]:
    """Yield the row groups, and their numbers of rows, that can have rows which meet the condition."""
    leaves: dict[str, int] = {}
    schema = file.schema_arrow if condition is not None else pa.schema([])
    if condition is not None:
        columns = {index: file.schema.column(index) for index in range(len(file.schema))}
        positions = {leaf.path: index for index, leaf in columns.items() if not leaf.max_repetition_level}
        names = {name for name in condition.columns if "." not in name and name not in piece.partitions}
        leaves = {name: positions[name] for name in names if name in positions}
    constants = {name: Bounds.constant(value) for name, value in piece.partitions.items()}
    for group, rows in zip(piece.groups, piece.counts):
        if condition is None or condition.can_hold(
            {**constants, **read_bounds(file.metadata, group, leaves, schema)}
        ):
            yield group, rows


def _join_groups(sizes: Mapping[int, int], rows: int) -> Iterator[list[int]]:
    """Yield lists of row groups to read together: several only if small, because all are buffered."""
    groups: list[int] = []
    count = 0
    for group, size in sizes.items():
        if groups and count + size > rows:
            yield groups
            groups, count = [], 0
        groups.append(group)
        count += size
    if groups:
        yield groups


def _complete_batch(batch: pa.RecordBatch | None, piece: Piece, plan: ScanPlan, rows: int) -> pa.RecordBatch:
    """Return the columns of the plan, in order and in the types of Spark, with those of the directories."""
    arrays = []
    for part in plan.source:
        if part.name in piece.partitions:
            arrays.append(pa.repeat(piece.partitions[part.name], rows))
            continue
        assert batch is not None
        array = batch.column(batch.schema.get_field_index(part.name))
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        arrays.append(convert_array(array, part.type))
    return pa.RecordBatch.from_arrays(arrays, schema=plan.source)
