"""Spark tables: one aggregation in the JVM checks all rows, and samples read a few partitions."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparksig.convert.spark import from_spark
from sparksig.errors import ContractError
from sparksig.schema import Schema
from sparksig.spark.arrow_types import to_arrow_type
from sparksig.spark.names import Fold, get_name_folding
from sparksig.spark.null_types import restore_null_types
from sparksig.tables.arrow import Outcome, Part
from sparksig.tables.columns import Column, list_spark_columns, list_spark_fields
from sparksig.tables.counting import count_rows
from sparksig.tables.readers import SparkReader
from sparksig.tables.rules import Rule
from sparksig.tables.sample import Sample, Sampler
from sparksig.tables.sql import compile_rules, quote_name


@dataclass(frozen=True)
class SparkTable:
    """A DataFrame, classic or of Spark Connect.

    Attributes:
        df: the DataFrame.
    """

    df: DataFrame
    name = "the table"

    @property
    def reader(self) -> SparkReader:
        """The reader of contracts that are tables or DDL."""
        return SparkReader(self.df.sparkSession)

    @cached_property
    def fold(self) -> Fold:
        """Fold names as the session compares them."""
        return get_name_folding(self.df.sparkSession)

    @cached_property
    def columns(self) -> list[Column]:
        """The columns."""
        return list_spark_columns(self.df.schema)

    def select(self, names: Sequence[str]) -> SparkTable:
        """Return the table with some of its columns, in this order."""
        if list(names) == self.df.columns:  # without select(), which fails if names differ only by case
            return self
        return SparkTable(self.df.select([F.col(quote_name(name)) for name in names]))

    def restore_nulls(self, schema: Schema) -> SparkTable:
        """Return the table with nulls in the columns that have the null type in its Parquet files."""
        table, df = restore_null_types(self.df, schema), self.df
        nulls = [
            restored.name
            for restored, field in zip(table.fields, df.schema.fields)
            if restored.dataType != field.dataType
        ]
        return SparkTable(df.withColumns(dict.fromkeys(nulls, F.lit(None)))) if nulls else self

    def declare(self, names: Sequence[str]) -> Schema:
        """Return the schema of some columns by their types.

        Raises:
            ConversionError: columns have types that signatures do not support.
        """
        return from_spark(self.select(names).df.schema)

    def find_unambiguous(self, names: Sequence[str]) -> list[str]:
        """Return the columns whose names are unambiguous in queries of the session."""
        counts = Counter(self.fold(column.name) for column in self.columns)
        actual = {column.name for column in self.columns}
        return [name for name in names if name in actual and counts[self.fold(name)] == 1]

    def sample(self, names: Sequence[str], sampler: Sampler) -> Sample:
        """Read some rows of some columns; only the nulls if Python cannot receive the type of a column."""
        df = convert_vectors_to_arrays(self.select(names).df)
        hidden = [column.name for column in SparkTable(df).columns if column.arrow is None]
        flags = {name: F.when(F.col(quote_name(name)).isNotNull(), F.lit(True)) for name in hidden}
        return sample_rows(df.withColumns(flags) if flags else df, sampler)

    def run(self, rules: Sequence[Rule], names: Sequence[str], keys: Sequence[str]) -> Outcome:
        """Apply rules to all rows, by one Spark job without Python."""
        df = convert_vectors_to_arrays(self.df)
        return count_rows(df, compile_rules(rules, list_spark_fields(df.schema)), names, keys)


def convert_vectors_to_arrays(df: DataFrame) -> DataFrame:
    """Return a table with the vectors of Spark ML as arrays, which SQL can read."""
    vectors = [field.name for field in df.schema.fields if type(field.dataType).__name__ == "VectorUDT"]
    if not vectors:
        return df
    from pyspark.ml.functions import vector_to_array

    columns = {name: F.col(quote_name(name)) for name in vectors}
    return df.withColumns(
        {name: F.when(vector.isNotNull(), vector_to_array(vector)) for name, vector in columns.items()}
    )


# --- samples ------------------------------------------------------------------------------------------------

_TRANSFER = "part int, body binary"
_ROWS = "sparksig.sample.rows"
_AHEAD = 8 * 2**20
"""The approximate size of the buffers between Spark and Python. Spark always fills them, so rows are padded
to limit the number of rows in the buffers."""
Batches = Iterator[pa.RecordBatch]


def sample_rows(df: DataFrame, sampler: Sampler) -> Sample:
    """Read some rows of a table; see :meth:`Sampler.sample`."""
    if not df.columns:
        raise ContractError("a table without columns has no rows to sample")
    return _sample_uniformly(df, sampler) if sampler.method == "uniform" else _sample_heads(df, sampler)


def _sample_uniformly(df: DataFrame, sampler: Sampler) -> Sample:
    numbered = _number_columns(df).withColumn("position", F.monotonically_increasing_id())
    ordered = numbered.withColumn("order", build_sample_order(F.col("position"), F.lit(sampler.seed)))
    chosen = ordered.orderBy("order", "position").limit(sampler.rows).drop("position", "order")
    rows = chosen.mapInArrow(_take_rows(None, None), _TRANSFER).collect()
    parts, schema = _split_tables([_read_table(body, df) for _, body in rows], df)
    return Sample(parts, schema, "uniform")


def _sample_heads(df: DataFrame, sampler: Sampler) -> Sample:
    few = sampler.rows // min(
        sampler.partitions, sampler.rows
    )  # the number of rows from each partition, if there are enough
    numbered = _number_columns(df).withColumn("pad", F.lit("x" * min(max(_AHEAD // few, 64), 2**14)))
    with _small_batches(df, few):
        if type(df).__module__.startswith("pyspark.sql.connect"):  # Connect cannot run single partitions
            partitions = len(numbered.mapInArrow(_number_partitions(), "part int").collect())
            chosen = sampler.choose_partitions(partitions)
            take = _take_rows(frozenset(chosen), sampler.count_rows(len(chosen)))
            rows = numbered.mapInArrow(take, _TRANSFER).collect()
        else:
            rdd = numbered.mapInArrow(_take_rows(None, None), _TRANSFER).rdd
            partitions = rdd.getNumPartitions()
            chosen = sampler.choose_partitions(partitions)
            rows = _run_partitions(df, rdd, chosen, sampler.count_rows(len(chosen))) if chosen else []
    rows = sorted(rows, key=lambda row: int(row[0]))
    tables = {int(number): _read_table(body, df) for number, body in rows}
    partition_of = tuple(number for number, table in tables.items() for _ in range(table.num_rows))
    parts, schema = _split_tables(list(tables.values()), df)
    return Sample(parts, schema, "partitions", partitions, len(chosen), partition_of)


def _run_partitions(df: DataFrame, rdd: Any, chosen: list[int], rows: int) -> list[Any]:
    """Run only the chosen partitions."""
    context = df.sparkSession.sparkContext
    context.setLocalProperty(_ROWS, str(rows))
    try:
        return list(context.runJob(rdd, list, chosen))
    finally:
        context.setLocalProperty(_ROWS, None)  # type: ignore[arg-type]


def build_sample_order(position: SparkColumn, seed: SparkColumn) -> SparkColumn:
    """Return the order of which the first rows are a uniform sample."""
    return F.xxhash64(position, seed.cast("bigint"))


def _take_rows(chosen: frozenset[int] | None, rows: int | None) -> Callable[[Batches], Batches]:
    """Return a function that sends the first rows of a partition in Arrow's format, if it is chosen.

    The number of rows is an argument or a local property. The function needs only pyarrow on the worker.
    """

    def take(batches: Batches) -> Batches:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        number = context.partitionId() if context is not None else 0
        if chosen is not None and number not in chosen:
            return
        limit = context.getLocalProperty("sparksig.sample.rows") if context is not None else None
        left = int(limit) if rows is None and limit else rows
        sink, writer = pa.BufferOutputStream(), None
        for batch in batches:
            part = batch if left is None else batch.slice(0, left)
            part = part.select([name for name in part.schema.names if name != "pad"])
            if writer is None:
                writer = pa.ipc.new_stream(sink, part.schema)
            writer.write_batch(part)
            left = None if left is None else left - part.num_rows
            if left == 0:
                break
        if writer is not None:
            writer.close()
            body = [sink.getvalue().to_pybytes()]
            yield pa.RecordBatch.from_arrays(
                [pa.array([number], pa.int32()), pa.array(body)], ["part", "body"]
            )

    return take


def _number_partitions() -> Callable[[Batches], Batches]:
    """Return a function that sends the number of a partition."""

    def number(batches: Batches) -> Batches:
        import pyarrow as pa
        from pyspark import TaskContext

        del batches
        context = TaskContext.get()
        number = context.partitionId() if context is not None else 0
        yield pa.record_batch([pa.array([number], pa.int32())], ["part"])

    return number


@contextlib.contextmanager
def _small_batches(df: DataFrame, rows: int) -> Iterator[None]:
    """Make batches small, because Spark fills the first batch before Python can stop reading.

    Batches keep their size on servers that refuse settings; then more rows are read.
    """
    key, conf = "spark.sql.execution.arrow.maxRecordsPerBatch", df.sparkSession.conf
    try:
        before = conf.get(key)
        conf.set(key, str(min(rows, 1000)))
    except Exception:  # its class depends on the server
        yield
        return
    try:
        yield
    finally:
        conf.set(key, str(before))


def _number_columns(df: DataFrame) -> DataFrame:
    """Return the table with positional names, safe for every engine."""
    return df.toDF(*(f"c{index}" for index in range(len(df.columns))))


def _read_table(body: bytes, df: DataFrame) -> pa.Table:
    return pa.ipc.open_stream(bytes(body)).read_all().rename_columns(df.columns)


def _split_tables(tables: Sequence[pa.Table], df: DataFrame) -> tuple[tuple[Part, ...], pa.Schema]:
    """Return the rows of tables as batches, and their schema."""
    if tables:
        schema = tables[0].schema
    else:
        schema = pa.schema([(field.name, to_arrow_type(field.dataType)) for field in df.schema.fields])
    batches = (batch for table in tables for batch in table.combine_chunks().to_batches())
    return tuple(map(Part, batches)), schema
