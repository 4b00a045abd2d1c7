"""The rows of a score job: what is read, what is staged, and what of that is output or quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from sparksig.errors import Code, Finding
from sparksig.jobs.config import OutputSection, ScoreConfig
from sparksig.jobs.staged_columns import (
    OWN,
    PREDICTION,
    REASONS,
    RECORD,
    build_reason,
    findings_column,
    refuse_own_names,
)
from sparksig.jobs.tables import FINDINGS, Input
from sparksig.scoring.limits import RejectionLimit
from sparksig.spark.bind import column
from sparksig.spark.frame import add_predictions
from sparksig.tables.contract import RUN_COLUMN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparksig.spark.bind import Bound
    from sparksig.spark.udf import ModelUDF

__all__ = [
    "Counts",
    "needed",
    "output_rows",
    "quarantined_rows",
    "reasons",
    "staged_rows",
]


@dataclass(frozen=True)
class Counts:
    """The rows, counted as they pass.

    Attributes:
        seen: rows on their way to the model.
        scored: what :func:`sparksig.score` observes.
        malformed: rows that are not on their way to it.
    """

    seen: Observation = field(default_factory=Observation)
    scored: Observation = field(default_factory=Observation)
    malformed: Observation = field(default_factory=Observation)


def needed(rows: DataFrame, udf: ModelUDF, output: OutputSection) -> DataFrame:
    """Those columns of the input that are kept, or that the model takes."""
    if output.keep == "*" or not udf.inputs.has_input_names():
        return rows
    names = dict.fromkeys([*output.keep, *(str(spec.name) for spec in udf.inputs)])
    return rows.select([column(name) for name in names if name in rows.columns])


def staged_rows(
    rows: DataFrame, table: Input, udf: ModelUDF, bound: Bound, config: ScoreConfig, counts: Counts
) -> DataFrame:
    """Return the rows as they are staged: those of the output, or with a quarantine those of both.

    Raises:
        ContractError: the table has columns with names of the job's own.
    """
    apart = config.quarantine is not None
    if apart:
        refuse_own_names(rows.columns)
    rows = rows.observe(counts.seen, F.count(F.lit(1)).alias("rows"))
    if config.budget is not None and config.budget.rows is not None:
        udf = udf.with_(limit=RejectionLimit(config.budget.rows))
    staged = add_predictions(
        rows,
        udf,
        bound,
        PREDICTION if apart else config.output.column,
        "*" if apart else config.output.keep,
        config.output.flatten,
        None if config.budget is None else findings_column(config),
        counts.scored,
    )
    if table.malformed is None:
        return staged
    bad = table.malformed
    if apart:
        staged = staged.withColumn(RECORD, F.lit(None).cast("string"))
    bad = bad.observe(counts.malformed, F.count(F.lit(1)).alias("rows"))
    held = {name: column(name) for name in rows.columns if name in bad.columns}
    held |= {findings_column(config): column(FINDINGS), RECORD: column(table.record)}
    return staged.union(
        bad.select(
            [
                held.get(one.name, F.lit(None).cast(one.dataType)).alias(one.name)
                for one in staged.schema.fields
            ]
        )
    )


def output_rows(staged: DataFrame, config: ScoreConfig) -> DataFrame:
    """What of the staged rows is the output."""
    if config.quarantine is None:
        return staged
    names = [name for name in staged.columns if not name.startswith(OWN)]
    kept = names if config.output.keep == "*" else config.output.keep
    made = [name for name in staged.columns if name.startswith(PREDICTION)]
    return staged.where(column(REASONS).isNull()).select(
        *(column(name) for name in kept),
        *(column(name).alias(name.replace(PREDICTION, config.output.column, 1)) for name in made),
    )


def quarantined_rows(staged: DataFrame, config: ScoreConfig, run_id: str) -> DataFrame:
    """What of the staged rows is the quarantine: all that was read of them, and why they are there."""
    assert config.quarantine is not None
    names = [name for name in staged.columns if not name.startswith(OWN)]
    more = [column(REASONS).alias("findings")]
    if RECORD in staged.columns:
        more.append(column(RECORD).alias("record"))
    if config.quarantine.format == "delta":  # Parquet has it as a partition
        more.append(F.lit(run_id).alias(RUN_COLUMN))
    return staged.where(column(REASONS).isNotNull()).select(*(column(name) for name in names), *more)


def reasons(rejected: DataFrame, findings: str, most: int = 50) -> list[Finding]:
    """Return why rows were rejected, the most frequent reasons first; exceptions of the model by text."""
    entries = rejected.select(F.explode(column(findings)).alias("entry"))
    error = F.when(F.col("entry.code") == Code.PREDICTION_FAILED.value, F.col("entry.detail"))
    groups = entries.groupBy("entry.code", "entry.path", error.alias("error"))
    counts = groups.agg(F.count(F.lit(1)).alias("rows"), F.min("entry.detail").alias("detail"))
    top = counts.orderBy(F.col("rows").desc(), "code", "path", "detail").limit(most).collect()
    return [build_reason(row["code"], row["path"], row["detail"], int(row["rows"])) for row in top]
