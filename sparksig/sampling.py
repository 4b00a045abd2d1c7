"""What some rows say of a table, and what they cannot say: claims, signatures, evidence. No Spark."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.errors import ContractError, kind
from sparksig.infer import verify_times
from sparksig.infer.arrow import observe_nulls, with_nulls
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature

__all__ = [
    "METHODS",
    "Choice",
    "Evidence",
    "SampledSignature",
    "heads_claim",
    "seen_with",
    "signature_of",
    "uniform_claim",
]

METHODS = ("partitions", "uniform")

SEVERAL = 0.05
"""The share of partitions for which a sample of their heads says how likely it sees them."""


@dataclass(frozen=True)
class Choice:
    """Which rows of a table a sample has.

    Attributes:
        rows: how many at most.
        partitions: of how many parts of the table at most, by the method "partitions".
        seed: of the choice.
        method: "partitions": the first rows of some parts; "uniform": each row as likely as any other.

    Raises:
        ContractError: an argument is not what it should be.
    """

    rows: int = 10_000
    partitions: int = 32
    seed: int = 0
    method: str = "partitions"

    def __post_init__(self) -> None:
        for name in ("rows", "partitions"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ContractError(f"{name} is a number, 1 or more, not {value!r}")
        if type(self.seed) is not int:
            raise ContractError(f"seed is an integer, not {kind(self.seed)}")
        if not -(2**63) <= self.seed < 2**63:
            raise ContractError("seed is an integer of 64 bits, not a larger one")
        if self.method not in METHODS:
            raise ContractError(f"method is one of {', '.join(map(repr, METHODS))}, not {self.method!r}")

    def chosen(self, whole: int) -> list[int]:
        """Some of a table's parts, each as likely as any other."""
        count = min(self.partitions, self.rows, whole)
        choose = random.Random(self.seed)  # noqa: S311  a sample is no secret
        return sorted(choose.sample(range(whole), count))

    def each(self, chosen: Sequence[int]) -> int:
        """How many rows are taken of each of the parts."""
        return max(self.rows // max(len(chosen), 1), 1)


def heads_claim(rows: int, opened: int, whole: int, parts: str) -> str:
    """What the first rows of some of a table's parts say of the whole table."""
    share = seen_with(whole, opened, math.ceil(SEVERAL * whole))
    looked = f"{rows:,} rows, the first of each of {opened:,} of {whole:,} {parts}"
    return (
        f"{looked}: what stands at the head of {SEVERAL:.0%} of the {parts} is seen with a "
        f"probability of {math.floor(100 * share)}%; of single rows elsewhere nothing is known"
    )


def uniform_claim(rows: int, bad: int) -> str:
    """What rows that were chosen uniformly say of the whole table, ``bad`` of them breaking the contract."""
    if not rows:
        return "the table has no rows"
    if bad:
        share = f"about {bad / rows:.2%} of the table"
        return f"{bad:,} of {rows:,} rows, chosen uniformly, break the contract, or more: {share}"
    bound = min(3 / rows, 1)
    return (
        f"none of {rows:,} rows, chosen uniformly, breaks the contract: with 95 % confidence at most "
        f"{bound:.2%} of the table's rows do"
    )


def seen_with(partitions: int, opened: int, concerned: int) -> float:
    """How likely at least one of the partitions concerned is among those that are opened.

    Example:
        >>> round(seen_with(1000, 32, 50), 2)
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
    """What of a column was seen.

    Attributes:
        name: of the column.
        rows: how many rows.
        nulls: how many of them have no value.
        partitions: of how many partitions; None for a uniform sample.
        suggestion: what its values let one think; may be empty.

    Example:
        >>> one = Evidence("age", rows=1000, nulls=3, partitions=32)
        >>> f"{one.nulls} of {one.rows} rows have no {one.name}"
        '3 of 1000 rows have no age'
    """

    name: str
    rows: int
    nulls: int
    partitions: int | None
    suggestion: str = ""


@dataclass(frozen=True)
class SampledSignature:
    """A signature that was inferred from some rows.

    Attributes:
        signature: its inputs are the table's columns.
        evidence: what was seen of each.
        parts: what the table's partitions are called.

    Example:
        >>> from sparksig.schema import Schema
        >>> signature = ModelSignature(Schema([ColSpec("long", "id")]))
        >>> print(SampledSignature(signature, (Evidence("id", 1000, 0, 32),)))
        'id': long (required): 0 nulls in 1,000 rows of 32 partitions
    """

    signature: ModelSignature
    evidence: tuple[Evidence, ...]
    parts: str = "partitions"

    def __str__(self) -> str:
        lines = []
        for spec, one in zip(self.signature.inputs or (), self.evidence):
            parts = "" if one.partitions is None else f" of {one.partitions} {self.parts}"
            note = f" ({one.suggestion})" if one.suggestion else ""
            lines.append(f"{spec!r}: {one.nulls:,} nulls in {one.rows:,} rows{parts}{note}")
        return "\n".join(lines)


def signature_of(
    declared: Schema, rows: pa.Table, partitions: int | None = None, parts: str = "partitions"
) -> SampledSignature:
    """The signature of a table, as far as some of its rows show it, with what was seen of each column.

    These rows, given to :func:`~sparksig.infer_signature`, have the same signature.

    Args:
        declared: the table's own types.
        rows: some of its rows, in its order of columns.
        partitions: of how many partitions they are; None where that says nothing.
        parts: what these are called.

    Raises:
        InferenceError: some of the rows have times that nanoseconds cannot hold.
    """
    specs, evidence = [], []
    for index, spec in enumerate(declared):
        values = with_nulls(rows.column(index)).combine_chunks()
        suggestion = ""
        if isinstance(spec, ColSpec):
            suggestion = _suggestion(values, spec)
            spec = ColSpec(observe_nulls(spec.type, [values]), spec.name, required=not values.null_count)
        specs.append(spec)
        evidence.append(Evidence(str(spec.name), len(values), values.null_count, partitions, suggestion))
    schema = Schema(specs)
    verify_times(rows, schema)
    return SampledSignature(ModelSignature(inputs=schema), tuple(evidence), parts)


def _suggestion(values: pa.Array, spec: ColSpec) -> str:
    """That lists of numbers of one length may be a tensor."""
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
