"""The rows of a score job: what is read, what is staged, and what of that is output or quarantine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from sparksig.errors import Code, ContractError, Finding, step
from sparksig.jobs.config import OutputSection, ScoreConfig
from sparksig.jobs.tables import FINDINGS, Input
from sparksig.scoring.limits import RejectionLimit
from sparksig.spark.bind import column
from sparksig.spark.frame import add_predictions
from sparksig.tables.contract import RUN_COLUMN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparksig.spark.bind import Bound
    from sparksig.spark.udf import ModelUDF

__all__ = ["Counts", "findings_column", "needed", "output_rows", "quarantined_rows", "reasons", "staged_rows"]

_OWN = "sparksig "
_PREDICTION, _REASONS, _RECORD = "sparksig prediction", "sparksig findings", "sparksig record"
"""What columns are called that are staged beside those of the input, for a quarantine."""


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


def findings_column(config: ScoreConfig) -> str:
    """What the findings of rejected rows are called where they are staged."""
    return "findings" if config.quarantine is None else _REASONS


def staged_rows(
    rows: DataFrame, table: Input, udf: ModelUDF, bound: Bound, config: ScoreConfig, counts: Counts
) -> DataFrame:
    """Return the rows as they are staged: those of the output, or with a quarantine those of both.

    Raises:
        ContractError: the table has columns with names of the job's own.
    """
    apart = config.quarantine is not None
    if apart:
        _refuse_own(rows.columns)
    rows = rows.observe(counts.seen, F.count(F.lit(1)).alias("rows"))
    if config.budget is not None and config.budget.rows is not None:
        udf = udf.with_(limit=RejectionLimit(config.budget.rows))
    staged = add_predictions(
        rows,
        udf,
        bound,
        _PREDICTION if apart else config.output.column,
        "*" if apart else config.output.keep,
        config.output.flatten,
        None if config.budget is None else findings_column(config),
        counts.scored,
    )
    if table.malformed is None:
        return staged
    bad = table.malformed
    if apart:
        staged = staged.withColumn(_RECORD, F.lit(None).cast("string"))
    bad = bad.observe(counts.malformed, F.count(F.lit(1)).alias("rows"))
    held = {name: column(name) for name in rows.columns if name in bad.columns}
    held |= {findings_column(config): column(FINDINGS), _RECORD: column(table.record)}
    return staged.union(
        bad.select(
            [
                held.get(one.name, F.lit(None).cast(one.dataType)).alias(one.name)
                for one in staged.schema.fields
            ]
        )
    )


def _refuse_own(names: list[str]) -> None:
    """See that no column of the input would be taken for one that is staged beside them, and lost."""
    expected, hint = f"no name that begins with {_OWN!r}", "the job's own columns are called so: rename it"
    found = [
        Finding(Code.INVALID_NAME, step(name), expected, "one", hint)
        for name in names
        if name.startswith(_OWN)
    ]
    if found:
        raise ContractError.of("the table cannot be scored with a quarantine", found)


def output_rows(staged: DataFrame, config: ScoreConfig) -> DataFrame:
    """What of the staged rows is the output."""
    if config.quarantine is None:
        return staged
    names = [name for name in staged.columns if not name.startswith(_OWN)]
    kept = names if config.output.keep == "*" else config.output.keep
    made = [name for name in staged.columns if name.startswith(_PREDICTION)]
    return staged.where(column(_REASONS).isNull()).select(
        *(column(name) for name in kept),
        *(column(name).alias(name.replace(_PREDICTION, config.output.column, 1)) for name in made),
    )


def quarantined_rows(staged: DataFrame, config: ScoreConfig, run_id: str) -> DataFrame:
    """What of the staged rows is the quarantine: all that was read of them, and why they are there."""
    assert config.quarantine is not None
    names = [name for name in staged.columns if not name.startswith(_OWN)]
    more = [column(_REASONS).alias("findings")]
    if _RECORD in staged.columns:
        more.append(column(_RECORD).alias("record"))
    if config.quarantine.format == "delta":  # Parquet has it as a partition
        more.append(F.lit(run_id).alias(RUN_COLUMN))
    return staged.where(column(_REASONS).isNotNull()).select(*(column(name) for name in names), *more)


def reasons(rejected: DataFrame, findings: str, most: int = 50) -> list[Finding]:
    """Return why rows were rejected, the most frequent reasons first; exceptions of the model by text."""
    entries = rejected.select(F.explode(column(findings)).alias("entry"))
    error = F.when(F.col("entry.code") == Code.PREDICTION_FAILED.value, F.col("entry.detail"))
    groups = entries.groupBy("entry.code", "entry.path", error.alias("error"))
    counts = groups.agg(F.count(F.lit(1)).alias("rows"), F.min("entry.detail").alias("detail"))
    top = counts.orderBy(F.col("rows").desc(), "code", "path", "detail").limit(most).collect()
    return [_counted(row["code"], row["path"], row["detail"], int(row["rows"])) for row in top]


def _counted(code: str, path: str, detail: str, rows: int) -> Finding:
    pattern = r"(?:.*?: )?expected (.*?), found (.*?)(?: \((.*)\))? \[\w+\]"
    if code == Code.PREDICTION_FAILED.value:  # the text of an exception may end in parentheses
        pattern = r"expected (.*?), found (.*)() \[\w+\]"
    parts = re.fullmatch(pattern, detail, re.DOTALL)
    expected, actual, hint = parts.groups("") if parts else ("a row that can be scored", "another", "")
    return Finding(Code(code), path, expected, actual, hint, count=rows)
