"""The file that a split is scored into: the columns it has, and row groups of a good size. No Spark."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sparksig.engine.predictions import result_type
from sparksig.scoring.failures import FINDINGS
from sparksig.scoring.results import finish_predictions
from sparksig.scoring.scan import ScanPlan
from sparksig.scoring.storage import SPARK_SCHEMA_KEY, build_spark_schema, convert_array, with_zone

_GROUP_ROWS, _GROUP_BYTES = 2**20, 2**26
"""The rows of a row group, or its bytes in memory, that are enough to write it."""


@dataclass(frozen=True)
class Target:
    """The directory that splits are written to.

    Attributes:
        store: its file system.
        path: its path there.
    """

    store: pafs.FileSystem
    path: str


def name_predictions(predictions: pa.Array, plan: ScanPlan) -> dict[str, pa.Array]:
    """Return predictions as the columns that they become."""
    if not plan.flatten:
        return {plan.output: predictions}
    names = [field.name for field in predictions.type]
    return {f"{plan.output}_{name}": part for name, part in zip(names, predictions.flatten())}


def output_schema(plan: ScanPlan) -> pa.Schema:
    """Return the schema of the files that are written."""
    encoded = pa.array([], result_type(plan.outputs))
    nothing = finish_predictions(encoded, plan.zone, plan.outputs, plan.returned)
    fields = [pa.field(name, _stored_type(plan.source.field(name).type)) for name in plan.kept_columns]
    fields += [
        pa.field(name, _stored_type(with_zone(array.type, "UTC")))
        for name, array in name_predictions(nothing, plan).items()
    ]
    if plan.lenient:
        fields.append(pa.field(plan.findings, FINDINGS))
    schema = pa.schema(fields)
    if not plan.spark_fields:
        return schema
    return schema.with_metadata({SPARK_SCHEMA_KEY: build_spark_schema(schema, plan.spark_fields)})


def _stored_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type in which a column is written: one of the null type is read by Spark as int."""
    return pa.int32() if pa.types.is_null(dtype) else dtype


class PartWriter:
    """One Parquet file; a row group is written when it is large enough."""

    def __init__(self, target: Target, index: int, schema: pa.Schema) -> None:
        self.path = f"{target.path}/part-{index:05d}-{uuid.uuid4()}.snappy.parquet"
        self._schema, self._store = schema, target.store
        self._stream = target.store.open_output_stream(self.path)
        # Dictionaries save space for text; for numbers they take time and rarely save anything.
        texts = [part.name for part in schema if pa.types.is_string(part.type)]
        self._writer = pq.ParquetWriter(
            self._stream, schema, use_dictionary=texts or False, store_schema=False
        )
        if schema.metadata:  # which is left out together with Arrow's own schema
            self._writer.add_key_value_metadata(schema.metadata)
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, arrays: Iterable[pa.Array]) -> None:
        """Add rows: the values of each column."""
        converted = [convert_array(array, part.type) for array, part in zip(arrays, self._schema)]
        rows = pa.RecordBatch.from_arrays(converted, schema=self._schema)
        self._batches.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.get_total_buffer_size()
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._batches, self._schema)
            self._writer.write_table(table, row_group_size=self._rows)
        self._batches, self._rows, self._bytes = [], 0, 0

    def close(self) -> int:
        """Finish the file, and return its size in bytes."""
        self._flush()
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


@contextlib.contextmanager
def open_writer(target: Target, index: int, schema: pa.Schema) -> Iterator[PartWriter]:
    """Open a file of a unique name; after an error it is removed.

    Args:
        target: the directory.
        index: the position of the split, for the name.
        schema: the columns of the file.
    """
    writer = PartWriter(target, index, schema)
    try:
        yield writer
    except BaseException:
        writer.discard()
        raise
