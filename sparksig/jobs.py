"""Jobs: configurations, run reports, exit codes. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow
import pyarrow.dataset
import pyarrow.fs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparksig.enforce import plan as plans
from sparksig.errors import (
    Code,
    ConfigError,
    ConfigNotFoundError,
    ContractError,
    Finding,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
    kind,
    nearest,
    step,
)
from sparksig.models.directory import load_yaml
from sparksig.params import enforce_params
from sparksig.schema import Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["EXIT_CODES", "RunReport", "ScoreConfig", "exit_code", "load_config", "run", "score"]

EXIT_CODES: dict[type[BaseException], tuple[int, str]] = {
    ConfigNotFoundError: (7, "the configuration file is not there"),
    ConfigError: (2, "the configuration, or the command line, is wrong"),
    ModelNotFoundError: (8, "the model directory is not there"),
    ModelError: (5, "the model is damaged, incomplete, or not trusted"),
    TableNotFoundError: (9, "the input table is not there, or empty of files"),
    ContractError: (3, "the table, or a prediction, breaks the contract"),
    OutputRefusedError: (6, "the output was refused: something is there already"),
}
"""The exit code of each kind of error, with its meaning; 0 is done, 1 anything else."""


# --- configuration --------------------------------------------------------------------------------------


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelSection(_Section):
    """The model to score with."""

    path: str = Field(description="the model directory")
    digest: str | None = Field(None, description="refuse the directory unless its content has this digest")
    allow_pickle: bool = Field(False, description="code in the directory may run: needed for pickles")
    trusted_types: list[str] = Field([], description="what a skops file may hold beyond its own safe types")


class InputSection(_Section):
    """The table to score."""

    path: str = Field(description="a directory of Parquet files")


class OutputSection(_Section):
    """Where the predictions go."""

    path: str = Field(description="a new directory of Parquet files: nothing may be there yet")
    column: str = Field("prediction", description="the name of the predictions' column")
    keep: list[str] = Field(description="the columns of the input to keep beside the prediction")


class ScoreConfig(_Section):
    """The configuration of jobs/score.py."""

    model: ModelSection
    input: InputSection
    output: OutputSection
    params: dict[str, Any] = Field({}, description="values for the model's params")
    spark: dict[str, str] = Field({}, description="Spark settings, as text")


Config = TypeVar("Config", bound=BaseModel)


def load_config(path: str | Path, form: type[Config]) -> Config:
    """Read a YAML file as a configuration of ``form``.

    Raises:
        ConfigNotFoundError: there is no such file.
        ConfigError: not YAML, or keys that are unknown (with the nearest known one), missing or of a wrong
            type: all of them, by their paths in the file.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigNotFoundError(f"there is no configuration file at {str(path)!r}")
    try:
        data = load_yaml(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration is a mapping, found {kind(data)}")
    try:
        return form.model_validate(data)
    except ValidationError as error:
        findings = [_config_finding(problem, form) for problem in error.errors(include_url=False)]
        raise ConfigError.of(f"{path}: the configuration is wrong", findings) from None


def _config_finding(problem: Any, form: type[BaseModel]) -> Finding:
    *parents, last = problem["loc"]
    path = ".".join(step(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields(form, parents)
        hint = nearest(last, known) or f"the keys here are {', '.join(known)}"
        return Finding(Code.UNKNOWN_KEY, path, "a known key", "another", hint)
    if problem["type"] == "missing":
        field: Any = form
        for part in problem["loc"]:
            field = field.model_fields[part] if hasattr(field, "model_fields") else field
            field = getattr(field, "annotation", field) if part != last else field
        return Finding(Code.MISSING_KEY, path, getattr(field, "description", None) or "a section", "nothing")
    return Finding(Code.INVALID_VALUE, path, hint=str(problem["msg"]))


def _fields(form: type[BaseModel], parents: Sequence[int | str]) -> list[str]:
    for part in parents:
        inner = form.model_fields[str(part)].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        form = inner
    return list(form.model_fields)


# --- the score job --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunReport:
    """What a score job did.

    Attributes:
        rows_in: rows read from the input.
        scored: rows with a prediction, as written.
        rejected: rows without one; rows_in = scored + rejected.
        seconds: from reading the table to the last file written.
        output: where the predictions are.
        digest: of the model directory.
    """

    rows_in: int
    scored: int
    rejected: int
    seconds: float
    output: str
    digest: str

    @property
    def rows_per_second(self) -> float:
        """Rows read per second."""
        return self.rows_in / self.seconds if self.seconds else 0.0

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self) | {"rows_per_second": self.rows_per_second})

    def __str__(self) -> str:
        rows = [
            ("rows in", f"{self.rows_in:,}"),
            ("scored", f"{self.scored:,}"),
            ("rejected", f"{self.rejected:,}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("rows per second", f"{self.rows_per_second:,.0f}"),
            ("model digest", self.digest),
            ("output", self.output),
        ]
        return "\n".join(f"{name:<16} {value}" for name, value in rows)


def score(config: ScoreConfig) -> RunReport:
    """Score a Parquet table with a model and write the predictions as Parquet.

    Everything that can be known beforehand is checked before the first Spark task: the model (found,
    whole, trusted), the table's schema against it, the output's place. If the job fails, nothing is left
    at the output's place.

    Raises:
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    from sparksig.spark.contract import column
    from sparksig.spark.frame import score as score_frame
    from sparksig.spark.session import build_session
    from sparksig.spark.udf import check_model, spark_udf

    trust = config.model.model_dump(exclude={"path"})
    _, _, (inputs, _, declared) = check_model(config.model.path, **trust)
    enforce_params(config.params, declared)
    _check_footers(config, inputs)
    _refuse_existing(config.output.path)
    spark = build_session("sparksig score", config.spark)
    udf = spark_udf(spark, config.model.path, params=config.params, **trust)
    started = time.perf_counter()
    table = _read(spark, config.input.path)
    score_frame(table, udf, config.output.column, config.output.keep)  # all findings, on the whole schema
    needed = dict.fromkeys([*config.output.keep, *(str(spec.name) for spec in udf.inputs)])
    read, written = Observation("read"), Observation("written")
    rows = table.select([column(name) for name in needed if name in table.columns])
    rows = rows.observe(read, F.count(F.lit(1)).alias("rows"))
    scored = score_frame(rows, udf, config.output.column, config.output.keep)
    _write(scored.observe(written, F.count(F.lit(1)).alias("rows")), config.output.path)
    rows_in, rows_out = int(read.get["rows"]), int(written.get["rows"])
    seconds = time.perf_counter() - started
    return RunReport(rows_in, rows_out, rows_in - rows_out, seconds, config.output.path, udf.digest)


def _check_footers(config: ScoreConfig, inputs: Schema) -> None:
    """Judge the table by its Parquet footers, read here, before Spark even starts.

    What this process cannot read (a file system that pyarrow does not know) is judged by Spark's own
    reading of the schema later, as everything is.
    """
    files, place = _file_system(config.input.path)
    if files is None:
        return
    try:
        found = pyarrow.dataset.dataset(place, format="parquet", filesystem=files, partitioning="hive").schema
    except FileNotFoundError:
        raise TableNotFoundError(f"there is no Parquet table at {config.input.path!r}") from None
    except pyarrow.ArrowInvalid as error:
        raise TableNotFoundError(f"{config.input.path!r} is no Parquet table: {error}") from None
    if not found.names:
        raise TableNotFoundError(f"there is no Parquet file in {config.input.path!r}")
    findings = [
        Finding(
            Code.MISSING_COLUMN, step(name), "a column to keep", "no such column", nearest(name, found.names)
        )
        for name in config.output.keep
        if name not in found.names
    ]
    try:
        plans.compile(inputs, found)
    except ContractError as error:
        findings = [*error.findings, *findings]
    if findings:
        raise ContractError.of(f"the table {config.input.path!r} does not fit the model", findings)


def _read(spark: SparkSession, path: str) -> DataFrame:
    from pyspark.errors import AnalysisException

    try:
        return spark.read.parquet(path)
    except AnalysisException as error:
        if any(name in str(error) for name in ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA")):
            raise TableNotFoundError(f"there is no Parquet table at {path!r}") from None
        raise


def _refuse_existing(path: str) -> None:
    """See that nothing is at the output's place; an empty directory (a failed job leaves one) is removed."""
    files, place = _file_system(path)
    if files is None:
        return  # Spark refuses an existing path itself
    info = files.get_file_info(place)
    if info.type == pyarrow.fs.FileType.NotFound:
        return
    if info.type == pyarrow.fs.FileType.Directory and not files.get_file_info(pyarrow.fs.FileSelector(place)):
        files.delete_dir(place)
        return
    raise OutputRefusedError(f"something is at the output's place already: {path!r}; nothing was written")


def _file_system(path: str) -> tuple[Any, str]:
    """The file system (of pyarrow) for a path or URI, and the place in it; None where pyarrow knows none."""
    if not re.match(r"^\w[\w+.-]+:", path):
        return pyarrow.fs.LocalFileSystem(), str(Path(path).absolute())
    if re.match(r"^file:/[^/]", path):  # as Hadoop writes it
        return pyarrow.fs.LocalFileSystem(), path.removeprefix("file:")
    try:
        files, place = pyarrow.fs.FileSystem.from_uri(path)
    except (pyarrow.ArrowInvalid, OSError):
        return None, path
    return files, place


def _write(scored: DataFrame, path: str) -> None:
    try:
        scored.write.mode("errorifexists").parquet(path)
    except Exception:
        files, place = _file_system(path)
        if files is None:
            raise
        left = files.get_file_info(pyarrow.fs.FileSelector(place, allow_not_found=True))
        if not left and files.get_file_info(place).type == pyarrow.fs.FileType.Directory:
            files.delete_dir(place)  # Spark takes back its files, but leaves their directory
        raise


# --- running --------------------------------------------------------------------------------------------


def run(job: Callable[[Any], RunReport], form: type[BaseModel], argv: Sequence[str] | None = None) -> int:
    """Run a job from its command line: print its report, or one message; the result is the exit code."""
    parser = argparse.ArgumentParser(description=form.__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="a YAML file, see conf/")
    options = parser.parse_args(argv)
    # Of PySpark on every query; what sparksig uses of it is tested with pandas 3.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        report = job(load_config(options.config, form))
    except SparksigError as error:
        return _failed(error)
    except Exception as error:
        inner = _from_worker(error)
        if inner is None:
            raise
        return _failed(inner)
    _say(str(report))
    return 0


def exit_code(error: BaseException) -> int:
    """The exit code of an error, as :data:`EXIT_CODES` lists; 1 for anything else."""
    return next((code for form, (code, _) in EXIT_CODES.items() if isinstance(error, form)), 1)


def _failed(error: SparksigError) -> int:
    print(f"\nsparksig: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return exit_code(error)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


_WORKER_ERROR = re.compile(r"sparksig\.errors\.(\w+): (.*(?:\n  - .*)*)")


def _from_worker(error: Exception) -> SparksigError | None:
    """The error that sparksig raised in a Python worker, which Spark hands on as text only."""
    import sparksig.errors

    found = _WORKER_ERROR.search(str(error))
    if found is None:
        return None
    form = getattr(sparksig.errors, found[1], SparksigError)
    message: str = found[2]
    return form(message) if issubclass(form, SparksigError) else None
