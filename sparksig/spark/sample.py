"""A bounded, reproducible subset of a table's rows; what it says of the table, and what it cannot say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparksig.convert.spark import from_spark
from sparksig.errors import ContractError, ConversionError, InferenceError, SignatureError
from sparksig.sampling import Choice, Evidence, SampledSignature, heads_claim, signature_of, uniform_claim
from sparksig.signature import ModelSignature
from sparksig.spark.arguments import require_frame
from sparksig.spark.bind import arrow_type
from sparksig.spark.diagnosis import diagnosed

__all__ = ["Evidence", "Sample", "SampledSignature", "Sampler", "sample_signature"]


@dataclass(frozen=True)
class Sample:
    """Some rows of a table.

    Attributes:
        rows: the rows, in Arrow.
        method: how they were chosen.
        partition_of: for each row the number of its partition; empty for a uniform sample.
        partitions: how many partitions the table has; None if nobody counted.
        opened: how many of them were looked into.
    """

    rows: pa.Table
    method: str
    partition_of: tuple[int, ...] = ()
    partitions: int | None = None
    opened: int = 0

    def claim(self, bad: int) -> str:
        """What the sample says of the whole table, ``bad`` of its rows breaking the contract."""
        rows = self.rows.num_rows
        if self.method == "uniform":
            return uniform_claim(rows, bad)
        return heads_claim(rows, self.opened, self.partitions or 0, "partitions")


class Sampler(Choice):
    """Chooses rows of a table; the same ones for the same seed and the same partitions.

    How many cores there are makes no difference. How Spark divides files into partitions may depend on them:
    then other rows are chosen.

    Args:
        rows: how many rows at most.
        partitions: how many partitions are opened at most, by the method "partitions".
        seed: of the choice.
        method: "partitions" reads the first rows of some partitions, spread over the table, and nothing of
            others. "uniform" reads all rows, in the JVM, each as likely to be kept as any other: what it
            does not find is bounded.

    Raises:
        ContractError: an argument is not what it should be.

    Example:
        >>> sample = Sampler(rows=4, partitions=2, seed=7).sample(spark.range(0, 100, 1, 10))
        >>> sample.rows.num_rows, sample.opened, sample.partitions
        (4, 2, 10)
    """

    def sample(self, df: DataFrame) -> Sample:
        """Some rows of a table, by one Spark job; by partitions and on Spark Connect, by two.

        Types that do not reach Python must not be among its columns.

        Args:
            df: the table, classic or of Spark Connect.

        Raises:
            ContractError: the table has no columns.
        """
        if not df.columns:
            raise ContractError("a table without columns has no rows to sample")
        if self.method == "uniform":
            return self._uniform(df)
        return self._of_partitions(df)

    def _uniform(self, df: DataFrame) -> Sample:
        held = _numbered(df).withColumn("place", F.monotonically_increasing_id())
        ordered = held.withColumn("order", order_of(F.col("place"), F.lit(self.seed)))
        chosen = ordered.orderBy("order", "place").limit(self.rows).drop("place", "order")
        parts = [row[1] for row in chosen.mapInArrow(_taking(None, None), _SENT).collect()]
        return Sample(_read(parts, df), "uniform")

    def _of_partitions(self, df: DataFrame) -> Sample:
        few = self.rows // min(self.partitions, self.rows)  # of each partition, if there are enough of them
        held = _numbered(df).withColumn("pad", F.lit("x" * min(max(_AHEAD // few, 64), 2**14)))
        with _small_batches(df, few):
            if _is_connect(df):  # where no single partitions can be run: all are asked, few answer
                whole = len(held.mapInArrow(_numbering(), "part int").collect())
                chosen = self.chosen(whole)
                told = held.mapInArrow(_taking(frozenset(chosen), self.each(chosen)), _SENT).collect()
            else:
                rdd = held.mapInArrow(_taking(None, None), _SENT).rdd
                whole = rdd.getNumPartitions()
                chosen = self.chosen(whole)
                told = self._run(df, rdd, chosen) if chosen else []
        parts, tables = [], []
        for number, body in sorted(told, key=lambda row: int(row[0])):
            table = _read([body], df)
            tables.append(table)
            parts += [int(number)] * table.num_rows
        table = pa.concat_tables(tables) if tables else _read([], df)
        return Sample(table, "partitions", tuple(parts), whole, len(chosen))

    def _run(self, df: DataFrame, rdd: Any, chosen: list[int]) -> list[Any]:
        """The rows of the chosen partitions; no other one is run."""
        context = df.sparkSession.sparkContext
        context.setLocalProperty(_ROWS, str(self.each(chosen)))
        try:
            return list(context.runJob(rdd, list, chosen))
        finally:
            context.setLocalProperty(_ROWS, None)  # type: ignore[arg-type]


def order_of(place: Column, seed: Column) -> Column:
    """A row's place in the order of a uniform sample: the first rows of it are the sample."""
    return F.xxhash64(place, seed.cast("bigint"))


# --- in the workers -----------------------------------------------------------------------------------------

_SENT = "part int, body binary"
_ROWS = "sparksig.sample.rows"
_AHEAD = 8 * 2**20
"""About what the buffers between Spark and Python hold: Spark fills them, whatever Python wants of it. So
rows are padded, for them to hold few."""
Batches = Iterator[pa.RecordBatch]


def _taking(chosen: frozenset[int] | None, rows: int | None) -> Callable[[Batches], Batches]:
    """What sends the first rows of a partition, or of one of the chosen, as Arrow's own bytes.

    How many, is said here, or by a local property. It needs nothing but pyarrow where it runs.
    """

    def take(batches: Batches) -> Batches:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        number = context.partitionId() if context is not None else 0
        if chosen is not None and number not in chosen:
            return
        said = context.getLocalProperty("sparksig.sample.rows") if context is not None else None
        left = int(said) if rows is None and said else rows
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


def _numbering() -> Callable[[Batches], Batches]:
    """What sends the number of a partition."""

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
    """Spark fills one batch before anybody can say that it is enough."""
    key, conf = "spark.sql.execution.arrow.maxRecordsPerBatch", df.sparkSession.conf
    before = conf.get(key)
    conf.set(key, str(min(rows, 1000)))
    try:
        yield
    finally:
        conf.set(key, str(before))


def _is_connect(df: DataFrame) -> bool:
    return type(df).__module__.startswith("pyspark.sql.connect")


def _numbered(df: DataFrame) -> DataFrame:
    """The table with names that nothing stumbles over."""
    return df.toDF(*(f"c{index}" for index in range(len(df.columns))))


def _read(parts: Sequence[bytes], df: DataFrame) -> pa.Table:
    names = [field.name for field in df.schema.fields]
    tables = [pa.ipc.open_stream(bytes(part)).read_all() for part in parts]
    if not tables:
        arrays = [pa.nulls(0, arrow_type(field.dataType)) for field in df.schema.fields]
        return pa.Table.from_arrays(arrays, names=names)
    return pa.concat_tables(tables).rename_columns(names)


# --- signatures ---------------------------------------------------------------------------------------------


@diagnosed()
def sample_signature(df: DataFrame, sampler: Sampler | None = None) -> SampledSignature:
    """The signature of a table, as far as some of its rows show it.

    The types are the table's; a column, or a field of a struct, is optional where nulls were seen.

    Args:
        df: the table, classic or of Spark Connect.
        sampler: chooses the rows; :class:`Sampler` as it is, if None.

    Returns:
        The signature, and what was seen of each column.

    Raises:
        ContractError: not a DataFrame.
        InferenceError: columns of types that no signature has; all of them.

    Example:
        >>> print(sample_signature(spark.range(0, 3, 1, 2)))
        'id': long (required): 0 nulls in 3 rows of 2 partitions
    """
    require_frame(df, "sample_signature(df)")
    try:
        declared = from_spark(df.schema)
    except (ConversionError, SignatureError) as error:
        raise InferenceError(error.message, error.findings) from None
    sample = (sampler or Sampler()).sample(df)
    seen = len(set(sample.partition_of)) if sample.method == "partitions" else None
    sampled = signature_of(declared, sample.rows, seen)
    # without a row there is no evidence against nulls: the table's own schema decides
    return sampled if sample.rows.num_rows else replace(sampled, signature=ModelSignature(inputs=declared))
