"""Samples of a table: the choice of rows, the conclusions from them, and the signature inferred from them."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.errors import ContractError, name_type
from sparksig.infer import verify_times
from sparksig.infer.arrow import count_dictionary_nulls, observe_nulls
from sparksig.options import SampleMethod
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.tables.arrow import Part
from sparksig.views import TextView, count_nouns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

METHODS = get_args(SampleMethod)

SEVERAL = 0.05
"""A share of the partitions. A sample of first rows states the probability that it contains one of them."""


@dataclass(frozen=True)
class Sampler:
    """A choice of rows of a table: the same seed and the same partitions give the same rows.

    Spark may divide files into other partitions with another number of cores; then other rows are chosen.

    Args:
        rows: the largest number of rows.
        partitions: the largest number of partitions (row groups of Parquet files) that are read, by the
            method "partitions".
        seed: the seed of the choice.
        method: "partitions" reads the first rows of some partitions, which are spread over the table.
            "uniform" reads all rows, and chooses each with the same probability, so that the share of bad
            rows has an upper bound.

    Raises:
        ContractError: an argument has a wrong type or value.

    Example:
        >>> sample = Sampler(rows=4, partitions=2, seed=7).sample(spark.range(0, 100, 1, 10))
        >>> sample.rows.num_rows, sample.opened, sample.partitions
        (4, 2, 10)
    """

    rows: int = 10_000
    partitions: int = 32
    seed: int = 0
    method: str = "partitions"

    def __post_init__(self) -> None:
        for name in ("rows", "partitions"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ContractError(f"{name}: expected an integer of 1 or more, got {value!r}")
        if type(self.seed) is not int:
            raise ContractError(f"seed: expected an integer, got {name_type(self.seed)}")
        if not -(2**63) <= self.seed < 2**63:
            raise ContractError("seed: expected an integer of 64 bits, got a larger one")
        if self.method not in METHODS:
            methods = " or ".join(map(repr, METHODS))
            raise ContractError(f"method: expected {methods}, got {self.method!r}")

    def sample(self, df: DataFrame) -> Sample:
        """Read some rows of a Spark table by one Spark job, or by two on Spark Connect with "partitions".

        The types of all columns must be types that Python can receive.

        Args:
            df: the table, classic or of Spark Connect.

        Raises:
            ContractError: the table has no columns.
        """
        from sparksig.tables.spark import sample_rows

        return sample_rows(df, self)

    def choose_partitions(self, count: int) -> list[int]:
        """Choose some of ``count`` partitions with equal probability."""
        chosen = min(self.partitions, self.rows, count)
        generator = random.Random(self.seed)  # noqa: S311  a sample is no secret
        return sorted(generator.sample(range(count), chosen))

    def count_rows(self, partitions: int) -> int:
        """Return the number of rows that are read from each of ``partitions`` partitions."""
        return max(self.rows // max(partitions, 1), 1)


@dataclass(frozen=True)
class Sample:
    """Some rows of a table.

    Attributes:
        parts: the rows in the order of reading.
        schema: the Arrow schema of the table.
        method: the method by which the rows were chosen.
        partitions: the number of partitions of the table; None if they were not counted.
        opened: the number of partitions that were read.
        partition_of: the number of the partition of each row; empty for a uniform sample.
        noun: the word for a partition.
    """

    parts: tuple[Part, ...]
    schema: pa.Schema
    method: str
    partitions: int | None = None
    opened: int = 0
    partition_of: tuple[int, ...] = ()
    noun: str = "partition"

    @cached_property
    def rows(self) -> pa.Table:
        """The rows as one table."""
        return pa.Table.from_batches([_align(part.batch, self.schema) for part in self.parts], self.schema)

    def claim(self, bad: int) -> str:
        """Return the conclusion about the entire table, if ``bad`` of its rows break the contract."""
        rows = sum(part.batch.num_rows for part in self.parts)
        if self.method == "uniform":
            return describe_uniform_sample(rows, bad)
        return describe_heads(rows, self.opened, self.partitions or 0, self.noun)


def _align(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    """Cast columns whose layout differs from that in the first file, for example a dictionary."""
    arrays = [
        array if array.type == column.type else array.cast(column.type)
        for array, column in zip(batch.columns, target)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


def describe_heads(rows: int, opened: int, partitions: int, noun: str) -> str:
    """Return the conclusion from the first rows of some partitions about the entire table."""
    share = compute_detection_probability(partitions, opened, math.ceil(SEVERAL * partitions))
    return (
        f"{count_nouns(rows, 'row')}, the first of each of {opened:,} of {count_nouns(partitions, noun)}: "
        f"a problem in the first rows of {SEVERAL:.0%} of the {noun}s is found with a probability of "
        f"{math.floor(100 * share)}%; nothing is known about single rows elsewhere"
    )


def describe_uniform_sample(rows: int, bad: int) -> str:
    """Return the conclusion from uniformly chosen rows, if ``bad`` of them break the contract."""
    if not rows:
        return "the table has no rows"
    if bad:
        verb = "breaks" if bad == 1 else "break"
        return (
            f"{bad:,} of {count_nouns(rows, 'row')}, chosen uniformly, {verb} the contract, or more: "
            f"about {bad / rows:.2%} of the table"
        )
    bound = min(3 / rows, 1)
    return (
        f"none of {count_nouns(rows, 'row')}, chosen uniformly, breaks the contract: with 95 % confidence at "
        f"most {bound:.2%} of the table's rows do"
    )


def compute_detection_probability(partitions: int, opened: int, concerned: int) -> float:
    """Return the probability that at least one of the ``concerned`` partitions is opened.

    Example:
        >>> round(compute_detection_probability(1000, 32, 50), 2)
        0.81
    """
    if not concerned or not opened:
        return 0.0
    if opened + concerned > partitions:
        return 1.0
    missed = math.comb(partitions - concerned, opened) / math.comb(partitions, opened)
    return 1 - missed


@dataclass(frozen=True)
class Evidence:
    """The evidence for one column of an inferred signature.

    Attributes:
        name: the name of the column.
        rows: the number of rows in the sample.
        nulls: the number of nulls among them.
        partitions: the number of partitions that they come from; None for a uniform sample.
        suggestion: another declaration that the values suggest; may be empty.

    Example:
        >>> age = Evidence("age", rows=1000, nulls=3, partitions=32)
        >>> f"{age.nulls} of {age.rows} rows have no {age.name}"
        '3 of 1000 rows have no age'
    """

    name: str
    rows: int
    nulls: int
    partitions: int | None
    suggestion: str = ""


@dataclass(frozen=True, repr=False)
class SampledSignature(TextView):
    """A signature that was inferred from some rows.

    Attributes:
        signature: the signature, whose inputs are the table's columns.
        evidence: the evidence for each column.
        noun: the word for a partition of the table.

    Example:
        >>> from sparksig.schema import Schema
        >>> signature = ModelSignature(Schema([ColSpec("long", "id")]))
        >>> print(SampledSignature(signature, (Evidence("id", 1000, 0, 32),)))
        'id': long (required): 0 nulls in 1,000 rows of 32 partitions
    """

    signature: ModelSignature
    evidence: tuple[Evidence, ...]
    noun: str = "partition"

    def to_dict(self) -> dict[str, Any]:
        """Return the signature and its evidence as JSON-ready built-ins."""
        evidence = [asdict(column) for column in self.evidence]
        return {"signature": self.signature.to_dict(), "evidence": evidence, "noun": self.noun}

    def __str__(self) -> str:
        lines = []
        for spec, column in zip(self.signature.inputs or (), self.evidence):
            count = column.partitions
            partitions = "" if count is None else f" of {count_nouns(count, self.noun)}"
            note = f" ({column.suggestion})" if column.suggestion else ""
            nulls, rows = count_nouns(column.nulls, "null"), count_nouns(column.rows, "row")
            lines.append(f"{spec!r}: {nulls} in {rows}{partitions}{note}")
        return "\n".join(lines)


def infer_from_sample(
    declared: Schema, rows: pa.Table, partitions: int | None = None, noun: str = "partition"
) -> SampledSignature:
    """Infer a signature from some rows of a table, with the evidence for each column.

    :func:`~sparksig.infer_signature` infers the same signature from these rows.

    Args:
        declared: the schema of the table.
        rows: some of its rows, with the same order of columns.
        partitions: the number of partitions that the rows come from; None for a uniform sample.
        noun: the word for a partition.

    Raises:
        InferenceError: some rows have times out of the range of nanoseconds.
    """
    specs, evidence = [], []
    for index, spec in enumerate(declared):
        values = count_dictionary_nulls(rows.column(index)).combine_chunks()
        suggestion = ""
        if isinstance(spec, ColSpec):
            suggestion = _suggest_tensor(values, spec)
            spec = ColSpec(observe_nulls(spec.type, [values]), spec.name, required=not values.null_count)
        specs.append(spec)
        evidence.append(Evidence(str(spec.name), len(values), values.null_count, partitions, suggestion))
    schema = Schema(specs)
    verify_times(rows, schema)
    return SampledSignature(ModelSignature(inputs=schema), tuple(evidence), noun)


def _suggest_tensor(values: pa.Array, spec: ColSpec) -> str:
    """Suggest a tensor where all lists of numbers have one length."""
    shape: list[int] = []
    while pa.types.is_list(values.type) and len(values) and not values.null_count:
        lengths = pc.unique(pc.list_value_length(values))
        if len(lengths) != 1:
            return ""
        shape.append(lengths[0].as_py())
        values = values.flatten()
    number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if not shape or not number or values.null_count or pa.types.is_list(values.type):
        return ""
    dtype = np.dtype(values.type.to_pandas_dtype())
    return f"all lists have one length: it may be a {TensorSpec(dtype, (-1, *shape), spec.name)!r}"
