"""The rows of a score job in Spark, from the input to the output and the quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from sparksig.errors import Code, ContractError, Finding
from sparksig.jobs.config import OutputSection, ScoreConfig
from sparksig.jobs.inputs import FINDINGS, Input
from sparksig.jobs.staged_columns import (
    MOST_REASONS,
    PREDICTION,
    REASONS,
    RECORD,
    build_limit,
    build_reason,
    name_findings,
    name_predictions,
    refuse_reserved_names,
    select_table_columns,
)
from sparksig.spark.bind import column
from sparksig.spark.frame import add_predictions
from sparksig.spark.names import find_variables
from sparksig.spark.work import PredictionObserver
from sparksig.tables.contract import RUN_COLUMN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparksig.spark.bind import Bound
    from sparksig.spark.udf import ModelUDF


@dataclass(frozen=True)
class Counts:
    """Counts of rows, and summaries of their predictions, while they are written.

    Attributes:
        predictions: summarizes the predictions.
        input: the rows that the model receives.
        scored: the observation of :func:`sparksig.score`.
        malformed: the malformed rows of text files, which the model does not receive.
    """

    predictions: PredictionObserver
    input: Observation = field(default_factory=Observation)
    scored: Observation = field(default_factory=Observation)
    malformed: Observation = field(default_factory=Observation)


def select_needed(rows: DataFrame, udf: ModelUDF, output: OutputSection) -> DataFrame:
    """Select the columns that the output keeps or the model needs."""
    if output.keep == "*" or not udf.inputs.has_input_names():
        return rows
    names = dict.fromkeys([*output.keep, *(str(spec.name) for spec in udf.inputs)])
    return rows.select([column(name) for name in names if name in rows.columns])


def build_staged_rows(
    rows: DataFrame, table: Input, udf: ModelUDF, bound: Bound, config: ScoreConfig, counts: Counts
) -> DataFrame:
    """Build the rows to stage: those of the output, or with a quarantine those of both.

    Raises:
        ContractError: the table has columns with names that the job reserves, or that Spark would change.
    """
    findings = find_variables(rows.schema)
    if findings:
        raise ContractError.of("the table cannot be scored with Spark", findings)
    has_quarantine = config.quarantine is not None
    if has_quarantine:
        refuse_reserved_names(rows.columns)
    rows = rows.observe(counts.input, F.count(F.lit(1)).alias("rows"))
    limit = build_limit(config)
    udf = udf.replace_work(limit=limit, observer=counts.predictions)
    staged = add_predictions(
        rows,
        udf,
        bound,
        PREDICTION if has_quarantine else config.output.column,
        "*" if has_quarantine else config.output.keep,
        config.output.flatten,
        None if config.budget is None else name_findings(config),
        counts.scored,
    )
    if table.malformed is None:
        return staged
    malformed = table.malformed
    if has_quarantine:
        staged = staged.withColumn(RECORD, F.lit(None).cast("string"))
    malformed = malformed.observe(counts.malformed, F.count(F.lit(1)).alias("rows"))
    values = {name: column(name) for name in rows.columns if name in malformed.columns}
    values |= {name_findings(config): column(FINDINGS), RECORD: column(table.record)}
    return staged.union(
        malformed.select(
            [
                values.get(field.name, F.lit(None).cast(field.dataType)).alias(field.name)
                for field in staged.schema.fields
            ]
        )
    )


def select_output(staged: DataFrame, config: ScoreConfig) -> DataFrame:
    """Select the rows and columns of the output from the staged rows."""
    if config.quarantine is None:
        return staged
    keep = select_table_columns(staged.columns) if config.output.keep == "*" else config.output.keep
    predictions = name_predictions(staged.columns, config)
    return staged.where(column(REASONS).isNull()).select(
        *map(column, keep), *(column(source).alias(name) for name, source in predictions.items())
    )


def select_quarantined(staged: DataFrame, config: ScoreConfig, run_id: str) -> DataFrame:
    """Select the rejected rows from the staged rows, with the columns of the input and the findings."""
    assert config.quarantine is not None
    names = select_table_columns(staged.columns)
    added = [column(REASONS).alias("findings")]
    if RECORD in staged.columns:
        added.append(column(RECORD).alias("record"))
    if config.quarantine.format == "delta":  # in Parquet, it is a partition column
        added.append(F.lit(run_id).alias(RUN_COLUMN))
    return staged.where(column(REASONS).isNotNull()).select(*map(column, names), *added)


def count_reasons(rejected: DataFrame, findings: str) -> list[Finding]:
    """Count the reasons of rejected rows, the most frequent first; exceptions of the model by their text."""
    entries = rejected.select(F.explode(column(findings)).alias("entry"))
    error = F.when(F.col("entry.code") == Code.PREDICTION_FAILED.value, F.col("entry.detail"))
    groups = entries.groupBy("entry.code", "entry.path", error.alias("error"))
    counts = groups.agg(F.count(F.lit(1)).alias("rows"), F.min("entry.detail").alias("detail"))
    top = counts.orderBy(F.col("rows").desc(), "code", "path", "detail").limit(MOST_REASONS).collect()
    return [build_reason(row["code"], row["path"], row["detail"], int(row["rows"])) for row in top]
