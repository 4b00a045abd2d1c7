"""The check job: a table against a contract."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparksig.errors import (
    ConfigError,
    ContractError,
    ConversionError,
    Finding,
    SignatureError,
    TableNotFoundError,
)
from sparksig.jobs import inputs
from sparksig.jobs.config import CheckConfig
from sparksig.jobs.job_run import JobRun, RunReport
from sparksig.jobs.progress import show_progress
from sparksig.jobs.sessions import start_session
from sparksig.jobs.signature_files import read_signature
from sparksig.models.registry import redact_uri
from sparksig.signature import ModelSignature
from sparksig.tables.report import Report

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.tables.contract import Contract


@dataclass(frozen=True)
class CheckPlan:
    """The plan of a check, with the findings of the table's schema.

    Attributes:
        table: the path or name of the table.
        mode: the mode of the check.
        report: the report of the schema alone.
    """

    table: str
    mode: str
    report: Report

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the schema."""
        return self.report.findings

    @property
    def exit_code(self) -> int:
        """The exit code of the job for these findings."""
        return 3 if self.findings else 0

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps({"input": self.table, "mode": self.mode, "report": self.report.to_dict()})

    def __str__(self) -> str:
        values = {"schema": "", "sample": ", and the values of some rows", "full": ", and all values"}
        return f"check the types of {self.table}{values[self.mode]}\n{self.report}"


def check(config: CheckConfig) -> RunReport:
    """Check a table against a contract, as configured.

    Raises:
        ContractError: the table breaks the contract; the error has the run report with the details.
        ConfigError: the contract cannot be read.
        SparksigError: an error of :data:`EXIT_CODES`.
    """
    return CheckRun(config).execute()


def plan_check(config: CheckConfig) -> CheckPlan:
    """Plan a check; only the schema of the table is read.

    Raises:
        SparksigError: as :func:`check`.
    """
    run = CheckRun(config)
    with run.explain_errors():
        return run.make_plan()


class CheckRun(JobRun[CheckConfig]):
    """A run of the check job."""

    job = "check"

    def make_plan(self) -> CheckPlan:
        """Check the schema of the table alone."""
        from sparksig.tables.check import check as check_table

        config = self.config
        spark = start_session("check", config)
        contract = _resolve_contract(spark, config)
        report = check_table(inputs.read_input(spark, config.input), contract, side=config.side)
        report = replace(report, table=redact_uri(config.input.location))
        return CheckPlan(config.input.location, config.mode, report)

    def run(self) -> None:
        """Check the table."""
        from sparksig.tables.check import check as check_table

        config = self.config
        with self.phase("start"):
            spark = start_session("check", config)
        with self.phase("read"):
            contract = _resolve_contract(spark, config)
            table = inputs.open_input(spark, config.input)
            self.note(input=dict(table.identity))
        with self.phase("check"), show_progress(spark, "check"):
            report = check_table(
                table.rows,
                contract,
                config.mode,
                side=config.side,
                sampler=config.sample.build_sampler(),
                strict_nulls=config.strict_nulls,
                refuse_nan=config.refuse_nan,
                row_key=config.row_key or None,
            )
        report = replace(report, table=redact_uri(config.input.location))
        self.note(check=report, rows_in=report.rows)
        table.check_unchanged()
        report.raise_if_failed()


def _resolve_contract(spark: SparkSession, config: CheckConfig) -> Contract:
    """Resolve the contract.

    Raises:
        ConfigError: the contract cannot be read.
    """
    from sparksig.tables.contract import resolve_contract
    from sparksig.tables.readers import SparkReader

    source: ModelSignature | str = config.contract
    if config.contract.endswith(".json"):
        source = read_signature(config.contract, config.spark)
    try:
        return resolve_contract(
            source,
            side=config.side,
            reader=SparkReader(spark),
            types=config.types,
            missing=config.missing,
            extra=config.extra,
        )
    except (ContractError, ConversionError, SignatureError, TableNotFoundError) as error:
        raise ConfigError(f"contract: {error.message}", error.findings) from None
