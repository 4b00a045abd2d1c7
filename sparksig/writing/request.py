"""The arguments of a write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from sparksig.tables.contract import Contract, build_table_contract, resolve_contract
from sparksig.tables.delta import Existing
from sparksig.tables.readers import SparkReader, describe_spark_table


@dataclass(frozen=True)
class WriteRequest:
    """The arguments of :func:`~sparksig.write`, except the DataFrame and the contract.

    ``format`` is None before the format of the existing table is known.
    """

    target: str
    format: str | None
    mode: str
    run_id: str | None = None
    partition_by: Sequence[str] = ()
    evolve: bool = False
    side: str = "inputs"
    types: str | None = None
    missing: str | None = None
    extra: str | None = None
    note: str = ""

    def resolve_contract(self, spark: SparkSession, contract: Any) -> Contract | None:
        """Resolve the contract of the write; None if it has none."""
        if contract is None:
            return None
        reader = SparkReader(spark)
        declared = resolve_contract(
            contract, side=self.side, reader=reader, missing=self.missing, extra=self.extra
        )
        return resolve_contract(declared, types=self.types) if declared.is_table else declared

    def resolve_target(self, existing: Existing) -> Contract:
        """Return an existing target as a contract that forbids extra columns."""
        filled = {column: fills.how for column, fills in existing.filled.items()}
        partitions = existing.partitions if self.format == "parquet" else ()
        table = describe_spark_table(existing.schema, partitions, filled)
        contract = build_table_contract(table, self.target, tensors=False)
        return resolve_contract(contract, types=self.types, missing=self.missing)
