"""Jobs: configurations, run reports, exit codes. The scripts in jobs/ only call :func:`run`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow
import pyarrow.dataset
import pyarrow.fs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

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
    UnsupportedError,
    kind,
    nearest,
    step,
)
from sparksig.models.safe_yaml import load_yaml
from sparksig.params import ParamSchema, enforce_params
from sparksig.report import render
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

    path: str = Field(min_length=1, description="the model directory")
    digest: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="refuse the directory unless its content has this digest"
    )
    allow_pickle: bool = Field(False, description="code in the directory may run: needed for pickles")
    trusted_types: list[str] = Field([], description="what a skops file may hold beyond its own safe types")


def _absolute(path: str) -> str:
    if re.match(r"^file:[^/]", path):
        raise ValueError("a path, or a URI with an absolute path: file:/...")
    return path


class InputSection(_Section):
    """The table to score."""

    path: str = Field(min_length=1, description="a directory of Parquet files")

    @field_validator("path")
    @classmethod
    def _literal(cls, path: str) -> str:
        if any(sign in path for sign in "*?[]{}"):
            raise ValueError("a path without *, ?, [, ], { and }, which Spark takes for a pattern")
        return _absolute(path)


class OutputSection(_Section):
    """Where the predictions go."""

    path: str = Field(min_length=1, description="a new directory of Parquet files: nothing may be there yet")
    column: str = Field("prediction", description="the name of the predictions' column")
    keep: list[str] = Field(description="the columns of the input to keep beside the prediction")

    @field_validator("path")
    @classmethod
    def _whole(cls, path: str) -> str:
        return _absolute(path)


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
    expected = str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return Finding(Code.INVALID_VALUE, path, expected, kind(problem["input"]))


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

    def _repr_html_(self) -> str:
        return render("run.html", rows=self._rows(), whole=False)

    def to_html(self, path: str | Path) -> None:
        """Write the report as one page of HTML that needs nothing else.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(render("run.html", rows=self._rows(), whole=True), encoding="utf-8")

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("rows in", f"{self.rows_in:,}"),
            ("scored", f"{self.scored:,}"),
            ("rejected", f"{self.rejected:,}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("rows per second", f"{self.rows_per_second:,.0f}"),
            ("model digest", self.digest),
            ("output", self.output),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<16} {value}" for name, value in self._rows())


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
    _check_params(config, declared)
    _check_footers(config, inputs)
    _refuse_existing(config)
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
    _write(scored.observe(written, F.count(F.lit(1)).alias("rows")), config)
    rows_in, rows_out = int(read.get["rows"]), int(written.get["rows"])
    seconds = time.perf_counter() - started
    return RunReport(rows_in, rows_out, rows_in - rows_out, seconds, config.output.path, udf.digest)


def _check_params(config: ScoreConfig, declared: ParamSchema | None) -> None:
    known = [spec.name for spec in declared or ()]
    findings = [
        Finding(
            Code.UNKNOWN_KEY, f"params.{step(name)}", "a param of the model", "another", nearest(name, known)
        )
        for name in config.params
        if name not in known
    ]
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)
    enforce_params(config.params, declared)


def _check_footers(config: ScoreConfig, inputs: Schema) -> None:
    """Judge the table by the footers of all its Parquet files, read here, before Spark even starts.

    Spark takes one file's schema for all of them, so the columns that are needed must be of one type in
    every file. Partition columns are in no footer; they, and what this process cannot read (a file system
    that pyarrow does not know), are judged by Spark's own reading of the schema later, as everything is.
    """
    files, place = _file_system(config.input.path, config.spark)
    if files is None:
        return
    shown = repr(config.input.path)
    if files.get_file_info(f"{place}/_delta_log").type != pyarrow.fs.FileType.NotFound:
        raise UnsupportedError(
            f"{shown} is a Delta table, which is not read yet: as Parquet it would show deleted rows"
        )
    try:
        dataset = pyarrow.dataset.dataset(place, format="parquet", filesystem=files)
        fragments = list(dataset.get_fragments())
        with ThreadPoolExecutor(16) as pool:
            schemas = list(pool.map(lambda fragment: fragment.physical_schema, fragments))
    except FileNotFoundError:
        raise TableNotFoundError(f"there is no Parquet table at {shown}") from None
    except pyarrow.ArrowInvalid as error:
        raise TableNotFoundError(f"{shown} is no Parquet table: {error}") from None
    if not fragments:
        raise TableNotFoundError(f"there is no Parquet file in {shown}")
    findings: list[Finding] = []
    judged: dict[pyarrow.Schema, str] = {}
    for fragment, schema in zip(fragments, schemas):
        name = fragment.path.removeprefix(place).lstrip("/") or fragment.path
        partitions = {part.partition("=")[0] for part in name.split("/")[:-1] if "=" in part}
        wanted = [*config.output.keep, *(str(spec.name) for spec in inputs)]
        needed = pyarrow.schema([field for field in schema if field.name in wanted])
        if needed not in judged:
            judged[needed] = name
            findings += _judge(
                needed, schema, inputs, config.output.keep, partitions, next(iter(judged.items())), name
            )
    if findings:
        raise ContractError.of(f"the table {shown} does not fit the model", findings)


def _judge(
    needed: pyarrow.Schema,
    whole: pyarrow.Schema,
    inputs: Schema,
    keep: list[str],
    partitions: set[str],
    first: tuple[pyarrow.Schema, str],
    name: str,
) -> list[Finding]:
    """What is wrong with one file's columns; of a later file, how they differ from the first one's."""
    if first[1] != name:
        types = {field.name: str(field.type) for field in first[0]}
        here = {field.name: str(field.type) for field in needed}
        none, hint = "no such column", "rewrite the files with one schema"
        changed = [
            column for column in dict.fromkeys([*types, *here]) if types.get(column) != here.get(column)
        ]
        return [
            Finding(
                Code.TYPE_MISMATCH,
                step(column),
                f"{types.get(column, none)} as in {first[1]}",
                f"{here.get(column, none)} in {name}",
                hint,
            )
            for column in changed
        ]
    twins = [
        column for column in whole.names if [n.casefold() for n in whole.names].count(column.casefold()) > 1
    ]
    findings = [
        Finding(Code.DUPLICATE_NAME, step(column), "one column of that name", "several") for column in twins
    ]
    findings += [
        Finding(
            Code.MISSING_COLUMN,
            step(column),
            "a column to keep",
            "no such column",
            nearest(column, whole.names),
        )
        for column in keep
        if column not in whole.names and column not in partitions
    ]
    specs = [spec for spec in inputs if str(spec.name) not in partitions]
    try:
        if specs:
            plans.compile(Schema(specs), whole)
    except ContractError as error:
        return [*error.findings, *findings]
    return findings


def _read(spark: SparkSession, path: str) -> DataFrame:
    from pyspark.errors import AnalysisException

    try:
        return spark.read.parquet(path)
    except AnalysisException as error:
        if any(name in str(error) for name in ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA")):
            raise TableNotFoundError(f"there is no Parquet table at {path!r}") from None
        reason = str(error).partition("\n")[0]
        raise ContractError(f"Spark cannot read the table {path!r}: {reason}") from None


def _refuse_existing(config: ScoreConfig) -> None:
    """See that nothing is at the output's place; an empty directory (a failed job leaves one) is removed."""
    path = config.output.path
    if f"{path.rstrip('/')}/".startswith(f"{config.input.path.rstrip('/')}/"):
        raise OutputRefusedError(f"the output's place {path!r} is the input, or in it; nothing was written")
    files, place = _file_system(path, config.spark)
    if files is None:
        return  # Spark refuses an existing path itself
    above = place.rpartition("/")[0]
    if above and files.get_file_info(above).type == pyarrow.fs.FileType.File:
        raise OutputRefusedError(f"the output's place {path!r} is below a file; nothing was written")
    info = files.get_file_info(place)
    if info.type == pyarrow.fs.FileType.NotFound:
        return
    if info.type == pyarrow.fs.FileType.Directory and not files.get_file_info(pyarrow.fs.FileSelector(place)):
        files.delete_dir(place)
        return
    raise OutputRefusedError(f"something is at the output's place already: {path!r}; nothing was written")


def _file_system(path: str, conf: Mapping[str, str]) -> tuple[Any, str]:
    """The file system (of pyarrow) for a path or URI, and the place in it; None where pyarrow knows none.

    A plain path is on Hadoop's default file system, which is the local one unless it is configured.
    """
    if not re.match(r"^\w[\w+.-]+:", path):
        configured = (
            "spark.hadoop.fs.defaultFS" in conf or {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys()
        )
        return (None, path) if configured else (pyarrow.fs.LocalFileSystem(), str(Path(path).absolute()))
    if re.match(r"^file:/[^/]", path):  # as Hadoop writes it
        return pyarrow.fs.LocalFileSystem(), path.removeprefix("file:")
    try:
        files, place = pyarrow.fs.FileSystem.from_uri(path)
    except (pyarrow.ArrowInvalid, OSError):
        return None, path
    return files, place


def _write(scored: DataFrame, config: ScoreConfig) -> None:
    try:
        scored.write.mode("errorifexists").parquet(config.output.path)
    except Exception:
        files, place = _file_system(config.output.path, config.spark)
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
