"""The check job: a table against a contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparksig.errors import (
    ConfigError,
    ContractError,
    ConversionError,
    Finding,
    SignatureError,
    TableNotFoundError,
    UnsupportedError,
)
from sparksig.jobs import tables
from sparksig.jobs.config import CheckConfig, JobConfig, SampleSection
from sparksig.jobs.progress import bar_settings, watched
from sparksig.jobs.record import Run, RunReport, recorded
from sparksig.jobs.signatures import read_signature
from sparksig.signature import ModelSignature
from sparksig.tables.report import Report

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.tables.contract import Contract
    from sparksig.tables.sample import Sampler

__all__ = ["CheckPlan", "check", "plan_check", "sampler_of", "session_of"]


@dataclass(frozen=True)
class CheckPlan:
    """What a check would look at, and what the table's types show already.

    Attributes:
        place: of the table.
        mode: of the check.
        report: of its schema alone.
    """

    place: str
    mode: str
    report: Report

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the table's types break of the contract."""
        return self.report.findings

    @property
    def exit_code(self) -> int:
        """What the job would end with because of them."""
        return 3 if self.findings else 0

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps({"input": self.place, "mode": self.mode, "report": self.report.to_dict()})

    def __str__(self) -> str:
        rows = {"schema": "no rows", "sample": "some of its rows", "full": "all of its rows"}[self.mode]
        return f"check {self.place}: its types, and {rows}\n{self.report}"


def check(config: CheckConfig) -> RunReport:
    """Check a table against a contract, as the configuration says.

    Raises:
        ContractError: the table breaks the contract; the run report, which the error bears, says how.
        ConfigError: the contract is none.
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return recorded("check", config, _check)


def plan_check(config: CheckConfig) -> CheckPlan:
    """What the check would look at; of the table, only its schema is read.

    Raises:
        SparksigError: as :func:`check`.
    """
    from sparksig.tables.check import check as check_table

    spark = session_of("check", config)
    contract = _contract(spark, config)
    report = check_table(tables.read_input(spark, config.input), contract, side=config.side)
    return CheckPlan(config.input.place, config.mode, report)


def _check(config: CheckConfig, run: Run) -> None:
    from sparksig.tables.check import check as check_table

    with run.phase("start"):
        spark = session_of("check", config)
    with run.phase("read"):
        contract = _contract(spark, config)
        opened = tables.open_input(spark, config.input)
        run.tell(input=dict(opened.identity))
    with run.phase("check"), watched(spark, "check"):
        report = check_table(
            opened.rows,
            contract,
            config.mode,
            side=config.side,
            sampler=sampler_of(config.sample),
            strict_nulls=config.strict_nulls,
            refuse_nan=config.refuse_nan,
            row_key=config.row_key or None,
        )
    run.tell(check=report, rows_in=report.rows)
    opened.check_unchanged()
    report.raise_if_failed()


def session_of(name: str, config: JobConfig) -> SparkSession:
    """The session of a job.

    Raises:
        UnsupportedError: it is one of Spark Connect, which has no file systems.
    """
    from sparksig.spark.session import build_session

    spark = build_session(f"sparksig {name}", {**bar_settings(), **config.spark})
    if ".connect." in type(spark).__module__:
        raise UnsupportedError(f"the {name} job runs in the driver of a cluster, not on Spark Connect")
    return spark


def sampler_of(section: SampleSection) -> Sampler:
    """The sampler that a configuration asks for."""
    from sparksig.tables.sample import Sampler

    return Sampler(**section.model_dump())


def _contract(spark: SparkSession, config: CheckConfig) -> Contract:
    """The contract, where what is wrong with it is wrong with the configuration."""
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
