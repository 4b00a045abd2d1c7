"""The infer job: the signature of a table, from some of its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparksig.errors import (
    Code,
    ContractError,
    ConversionError,
    Finding,
    InferenceError,
    SignatureError,
    nearest,
)
from sparksig.jobs import tables
from sparksig.jobs.check_job import sampler_of, session_of
from sparksig.jobs.config import InferConfig
from sparksig.jobs.progress import watched
from sparksig.jobs.record import Run, RunReport, recorded
from sparksig.jobs.signatures import write_signature
from sparksig.signature import ModelSignature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["InferPlan", "infer", "plan_infer"]


@dataclass(frozen=True)
class InferPlan:
    """What a signature would be inferred from, and where it would go.

    Attributes:
        place: of the table.
        rows: how many rows would be looked at, at most.
        signature: as far as the table's schema shows it.
        targets: where it would go.
    """

    place: str
    rows: int
    signature: ModelSignature
    targets: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Nothing: what keeps a signature from being inferred is an error."""
        return ()

    @property
    def exit_code(self) -> int:
        """What the job would end with because of them."""
        return 0

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(
            {
                "input": self.place,
                "rows": self.rows,
                "signature": self.signature.to_dict(),
                "targets": list(self.targets),
            }
        )

    def __str__(self) -> str:
        goes = " and ".join(self.targets) or "nowhere: it is printed"
        return (
            f"infer the signature of {self.place} from at most {self.rows:,} of its rows\n"
            f"to {goes}\nby its types alone, it is\n{self.signature.to_text()}"
        )


def infer(config: InferConfig) -> RunReport:
    """Infer the signature of a table, as the configuration says.

    Raises:
        InferenceError: the table has columns of types that no signature has.
        OutputRefusedError: another signature is where it should go.
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return recorded("infer", config, _infer)


def plan_infer(config: InferConfig) -> InferPlan:
    """What would be inferred from what; of the table, only its schema is read.

    Raises:
        SparksigError: as :func:`infer`.
    """
    from sparksig.convert.spark import from_spark

    _held(config)
    spark = session_of("infer", config)
    targets = tuple(place for place in (config.signature, config.model) if place is not None)
    try:
        signature = ModelSignature(from_spark(_chosen(tables.read_input(spark, config.input), config).schema))
    except (ConversionError, SignatureError) as error:
        raise InferenceError(error.message, error.findings) from None
    return InferPlan(config.input.place, config.sample.rows, signature, targets)


def _infer(config: InferConfig, run: Run) -> None:
    from sparksig.models.info import set_signature
    from sparksig.models.seal import digest
    from sparksig.tables.infer import sample_signature

    run.tell(model_path=config.model, output=config.signature)
    held = _held(config)
    with run.phase("start"):
        spark = session_of("infer", config)
    with run.phase("read"):
        opened = tables.open_input(spark, config.input)
        run.tell(input=dict(opened.identity))
        table = _chosen(opened.rows, config)
    with run.phase("sample"), watched(spark, "infer"):
        sampled = sample_signature(table, sampler_of(config.sample))
    opened.check_unchanged()
    rows = max((one.rows for one in sampled.evidence), default=0)
    run.tell(rows_in=rows, signature=sampled.signature, evidence=tuple(str(sampled).splitlines()))
    with run.phase("write"):
        if config.signature is not None:
            write_signature(config.signature, sampled.signature, config.spark)
        if config.model is not None:
            outputs, params = (held.outputs, held.params) if held is not None else (None, None)
            new = ModelSignature(sampled.signature.inputs, outputs, params)
            set_signature(config.model, new)
            run.tell(signature=new, model_digest=digest(config.model))


def _held(config: InferConfig) -> ModelSignature | None:
    """The signature that the model has, which must be there; None if it has none, or there is no model."""
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import local_path

    return None if config.model is None else ModelDirectory.read(local_path(config.model)).signature


def _chosen(table: DataFrame, config: InferConfig) -> DataFrame:
    """The columns that a signature is inferred of.

    Raises:
        ContractError: some are not there.
    """
    from sparksig.spark.bind import column

    missing = [name for name in config.columns if name not in table.columns]
    if missing:
        raise ContractError.of(
            f"{config.input.place}: columns are not there",
            [
                Finding(Code.MISSING_COLUMN, name, "a column", "no such column", nearest(name, table.columns))
                for name in missing
            ],
        )
    return table.select([column(name) for name in config.columns]) if config.columns else table
