"""The infer job: the signature of a table, from some of its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparksig.errors import ContractError, ConversionError, Finding, InferenceError, SignatureError
from sparksig.jobs import inputs
from sparksig.jobs.config import InferConfig
from sparksig.jobs.job_run import JobRun, RunReport
from sparksig.jobs.progress import show_progress
from sparksig.jobs.sessions import start_session
from sparksig.jobs.signature_files import write_signature
from sparksig.signature import ModelSignature
from sparksig.views import count_nouns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class InferPlan:
    """The plan of an inference.

    Attributes:
        table: the path or name of the table.
        rows: the largest number of rows to inspect.
        signature: the signature as far as the table's schema shows it.
        targets: the paths that the signature is written to.
    """

    table: str
    rows: int
    signature: ModelSignature
    targets: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, which are always empty: problems of an inference are errors."""
        return ()

    @property
    def exit_code(self) -> int:
        """The exit code of the job."""
        return 0

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(
            {
                "input": self.table,
                "rows": self.rows,
                "signature": self.signature.to_dict(),
                "targets": list(self.targets),
            }
        )

    def __str__(self) -> str:
        action = f"write it to {' and '.join(self.targets)}" if self.targets else "print it"
        rows = count_nouns(self.rows, "row")
        return (
            f"infer the signature of {self.table} from at most {rows}, and {action}\n"
            f"the signature by the types alone:\n{self.signature.to_text()}"
        )


def infer(config: InferConfig) -> RunReport:
    """Infer the signature of a table, as configured.

    Raises:
        InferenceError: the table has types that signatures do not support.
        OutputRefusedError: the file of the signature exists and has another signature.
        SparksigError: an error of :data:`EXIT_CODES`.
    """
    return InferRun(config).execute()


def plan_infer(config: InferConfig) -> InferPlan:
    """Plan an inference; only the schema of the table is read.

    Raises:
        SparksigError: as :func:`infer`.
    """
    run = InferRun(config)
    with run.explain_errors():
        return run.make_plan()


class InferRun(JobRun[InferConfig]):
    """A run of the infer job."""

    job = "infer"

    def make_plan(self) -> InferPlan:
        """Infer a signature from the schema of the table alone."""
        from sparksig.convert.spark import from_spark

        config = self.config
        _read_signature_of_model(config)
        spark = start_session("infer", config)
        targets = tuple(path for path in (config.signature, config.model) if path is not None)
        try:
            table = _select_columns(inputs.read_input(spark, config.input), config)
            signature = ModelSignature(from_spark(table.schema))
        except (ConversionError, SignatureError) as error:
            raise InferenceError(error.message, error.findings) from None
        return InferPlan(config.input.location, config.sample.rows, signature, targets)

    def run(self) -> None:
        """Infer the signature from some rows, and write it."""
        from sparksig.tables.infer import sample_signature

        config = self.config
        self.note(model_path=config.model, output=config.signature)
        existing = _read_signature_of_model(config)
        with self.phase("start"):
            spark = start_session("infer", config)
        with self.phase("read"):
            source = inputs.open_input(spark, config.input)
            self.note(input=dict(source.identity))
            table = _select_columns(source.rows, config)
        with self.phase("sample"), show_progress(spark, "infer"):
            sampled = sample_signature(table, config.sample.build_sampler())
        source.check_unchanged()
        rows = max((evidence.rows for evidence in sampled.evidence), default=0)
        lines = tuple(str(sampled).splitlines())
        self.note(rows_in=rows, signature=sampled.signature, evidence=lines)
        with self.phase("write"):
            self._write(sampled.signature, existing)

    def _write(self, signature: ModelSignature, existing: ModelSignature | None) -> None:
        """Write the signature to its file, and as the inputs of the model."""
        from sparksig.models.info import set_signature
        from sparksig.models.seal import digest

        config = self.config
        if config.signature is not None:
            write_signature(config.signature, signature, config.spark)
        if config.model is not None:
            outputs, params = (None, None) if existing is None else (existing.outputs, existing.params)
            complete = ModelSignature(signature.inputs, outputs, params)
            set_signature(config.model, complete)
            self.note(signature=complete, model_digest=digest(config.model))


def _read_signature_of_model(config: InferConfig) -> ModelSignature | None:
    """Read the signature of the configured model; None without a model, or without a signature."""
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import fetch_model

    return None if config.model is None else ModelDirectory.read(fetch_model(config.model)).signature


def _select_columns(table: DataFrame, config: InferConfig) -> DataFrame:
    """Return the columns that the signature is inferred from.

    Raises:
        ContractError: columns are missing.
    """
    from sparksig.spark.bind import column
    from sparksig.tables.findings import find_missing

    if missing := find_missing(config.columns, table.columns):
        raise ContractError.of(f"{config.input.location}: the table lacks columns", missing)
    return table.select([column(name) for name in config.columns]) if config.columns else table
