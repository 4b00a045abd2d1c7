"""The configurations of the jobs: the keys of the YAML files in conf/, with their types and meanings."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from typing_extensions import Self

from sparksig.jobs.config_types import is_section, list_fields
from sparksig.options import (
    CheckMode,
    Extra,
    Missing,
    OnVersionMismatch,
    SampleMethod,
    SaveMode,
    Shipping,
    Side,
    TableFormat,
    TypeRule,
)

if TYPE_CHECKING:
    from sparksig.tables.sample import Sampler


def _check_absolute(path: str) -> str:
    if re.match(r"^file:[^/]", path):
        raise ValueError("a path, or a URI with an absolute path: file:/...")
    return path


def _is_inside(path: str, directory: str) -> bool:
    """Return whether a path is a directory, or inside it; links on this machine are followed."""
    inner, outer = (
        uri.rstrip("/")
        if re.match(r"^(?!file:)\w[\w+.-]*:", uri)
        else os.path.realpath(re.sub(r"^file:/+", "/", uri))
        for uri in (path, directory)
    )
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")


def _check_path(path: str) -> str:
    if any(sign in path for sign in "*?[]{}"):
        raise ValueError("a path without *, ?, [, ], { and }, which Spark takes for a pattern")
    return _check_absolute(path)


def _check_report_path(path: str) -> str:
    _check_path(path.replace("{run_id}", ""))
    return path


def _check_local(path: str) -> str:
    if re.match(r"^(?!file:)\w[\w+.-]*:", path):
        raise ValueError("a local directory: a model that is registered, or stored elsewhere, never changes")
    return path


def _check_digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("64 hexadecimal digits in lower case, as `sparksig digest` prints them")
    return text


def _check_run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", text):
        raise ValueError("at most 200 letters, digits, '.', '_' and '-', the first a letter or a digit")
    return text


def _check_names(value: Any) -> Any:
    are_names = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    if value != "*" and not are_names:
        raise ValueError('a list of names, as [id, day], or "*"')
    return value


def _format_setting(value: Any) -> Any:
    """Return a number or a boolean of YAML as the text that Spark accepts."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else value


def _convert_null(value: Any) -> Any:
    """Return the text "null" for YAML's null."""
    return "null" if value is None else value


Text = Annotated[str, Field(min_length=1)]
TablePath = Annotated[str, Field(min_length=1), AfterValidator(_check_path)]
ReportPath = Annotated[str, Field(min_length=1), AfterValidator(_check_report_path)]
Names = list[Text]
RunId = Annotated[str, AfterValidator(_check_run_id)] | None
Settings = dict[str, Annotated[str, BeforeValidator(_format_setting)]]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the configuration that a mapping describes.

        Raises:
            ConfigError: the mapping is wrong; all findings, by the keys of the file.
        """
        with cls._explain_errors():
            return super().model_validate(obj, **options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return the configuration in a JSON text; the errors are those of :meth:`model_validate`."""
        with cls._explain_errors():
            return super().model_validate_json(json_data, **options)

    @classmethod
    @contextlib.contextmanager
    def _explain_errors(cls) -> Iterator[None]:
        from sparksig.jobs.loading import explain_validation

        try:
            yield
        except ValidationError as error:
            raise explain_validation(error, cls) from None

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        """Drop keys without a value, for example sections whose lines are all commented out."""
        if not isinstance(data, dict):
            return data
        containers = {
            key
            for key, field in list_fields(cls).items()
            if get_origin(field.annotation) in (list, dict) or is_section(field.annotation)
        }
        return {key: value for key, value in data.items() if value is not None or key not in containers}


class _Table(_Section):
    """A table by its path or by its name."""

    path: TablePath | None = Field(default=None, description="the path of the table; either this or `table`")
    table: Text | None = Field(default=None, description="the table's name in the catalog")

    @model_validator(mode="after")
    def _require_path_or_table(self) -> _Table:
        if (self.path is None) == (self.table is None):
            raise ValueError("either a path, or the name of a table")
        return self

    @property
    def location(self) -> str:
        """The path or the name."""
        return self.path if self.path is not None else str(self.table)


class ModelSection(_Section):
    """The model to score with."""

    path: Text = Field(
        description="the model directory, or a URI of models:/, runs:/, s3://, gs://, abfs:// or hdfs://"
    )
    digest: Annotated[str, AfterValidator(_check_digest)] | None = Field(
        default=None,
        description="refuse the directory unless its content has this digest; the run report shows it",
    )
    allow_pickle: bool = Field(
        default=False,
        description="code in the directory may run: needed for pickles; only if you trust their origin",
    )
    trusted_types: Names = Field(
        default=[], description="types in a skops file that are not known to be safe, and that you trust"
    )
    method: Text | None = Field(
        default=None,
        description="the method that predicts, such as predict_proba; the one that was saved, if null",
    )
    config: dict[str, Any] = Field(default={}, description="overrides of a PythonModel's model_config")
    result_type: Text | None = Field(
        default=None, description="the predictions' type as DDL; the signature's, if null"
    )
    batch_rows: int | None = Field(
        default=None,
        ge=1,
        description="the number of rows that the model gets at once; chosen by their size, if null",
    )
    on_version_mismatch: OnVersionMismatch = Field(
        default="warn", description="the reaction to packages of other versions than the model was saved with"
    )
    absent: Annotated[Literal["auto", "null", "omit", "forbid"], BeforeValidator(_convert_null)] = Field(
        default="auto",
        description="an optional column that the table lacks: null (the model sees nulls), omit (no column), "
        "forbid (an error), auto (null for estimators and boosters, omit for other models)",
    )
    environment: Text = Field(
        default="worker",
        description="where the model runs: worker (the workers' environment), model (an environment built "
        "from its requirements), or the path of one that `sparksig env build` has written, also as "
        "PATH@sha256:DIGEST",
    )
    allow_install: bool = Field(
        default=False,
        description="packages of the model's requirements may be installed, which runs code of theirs",
    )
    shipping: Shipping = Field(
        default="auto",
        description="how the model reaches the workers: files (Spark distributes it), path (each node "
        "copies it from `path`), inline (it is sent with the query, up to 8 MB), auto (files where possible)",
    )


class InputSection(_Table):
    """The table to read."""

    format: Literal["parquet", "delta", "csv", "json"] = Field(
        default="parquet", description="the format of the files at `path`"
    )
    schema_: Text | None = Field(
        default=None, alias="schema", description="the columns as DDL: needed for csv and json"
    )
    options: Settings = Field(default={}, description="options of Spark's reader, for csv and json")
    version: int | None = Field(
        default=None, ge=0, description="the version of a Delta table; the newest, if null"
    )
    filter: Text | None = Field(default=None, description="a condition in SQL; other rows are ignored")
    select: dict[Text, Text] = Field(
        default={},
        description="new or replaced columns: names with SQL expressions, applied after the filter",
    )

    @model_validator(mode="after")
    def _require_matching_format(self) -> InputSection:
        text = self.format in ("csv", "json") and self.path is not None
        if text and self.schema_ is None:
            raise ValueError(f"the columns of {self.format} files in `schema`: nothing is guessed")
        if not text and (self.schema_ is not None or self.options):
            raise ValueError("`schema` and `options` with csv and json files alone")
        if self.version is not None and self.format != "delta" and self.table is None:
            raise ValueError("`version` with Delta tables alone")
        return self


class OutputSection(_Table):
    """The output: the table of predictions."""

    format: TableFormat = Field(default="parquet", description="the format of the table")
    mode: SaveMode = Field(
        default="error",
        description="error: the table must not exist; append: add the rows; overwrite: replace the table",
    )
    column: Text = Field(default="prediction", description="the name of the predictions' column")
    keep: Annotated[list[str] | Literal["*"], BeforeValidator(_check_names)] = Field(
        description='the columns of the input in the output; "*" for all'
    )
    flatten: bool = Field(
        default=False, description="write each of several outputs as a column <column>_<output>"
    )
    partition_by: Names = Field(default=[], description="columns to partition by")
    evolve: bool = Field(default=False, description="a Delta table may get new columns and wider types")

    @model_validator(mode="after")
    def _require_matching_format(self) -> OutputSection:
        if self.evolve and self.format != "delta":
            raise ValueError("`evolve` with Delta tables alone")
        return self


class QuarantineSection(_Table):
    """The quarantine: the table of rejected rows with the reasons, by run."""

    format: TableFormat = Field(default="parquet", description="the format of the table")


class BudgetSection(_Section):
    """The budget: the number of rows that may fail before the run fails; none without this section."""

    rows: int | None = Field(default=None, ge=0, description="the number of rows that may fail")
    share: float | None = Field(
        default=None, ge=0, le=1, description="the share of the rows that may fail; 0.01 is 1 %"
    )

    @model_validator(mode="after")
    def _require_limit(self) -> BudgetSection:
        if self.rows is None and self.share is None:
            raise ValueError("a limit: rows, share, or both (then both apply)")
        return self


class SampleSection(_Section):
    """The rows of a sample."""

    rows: int = Field(default=10_000, ge=1, description="the largest number of rows")
    partitions: int = Field(
        default=32, ge=1, description="the largest number of partitions, for the method partitions"
    )
    seed: int = Field(
        default=0,
        ge=-(2**63),
        lt=2**63,
        description="the seed of the sample: the same seed chooses the same rows",
    )
    method: SampleMethod = Field(
        default="partitions",
        description="partitions: the first rows of some partitions; uniform: a scan of all rows",
    )

    def build_sampler(self) -> Sampler:
        """Return the sampler that the section describes."""
        from sparksig.tables.sample import Sampler

        return Sampler(**self.model_dump())


class PreflightSection(_Section):
    """The check of the input before anything is scored."""

    mode: CheckMode = Field(default="schema", description="only types, some rows, or all rows")
    sample: SampleSection = Field(
        default=SampleSection(), description="the sample that the mode sample checks"
    )


class ReportSection(_Section):
    """The files of the run report, which is also written if the job fails."""

    json_: ReportPath | None = Field(
        default=None, alias="json", description="a file, as JSON; {run_id} stands for the run id"
    )
    html: ReportPath | None = Field(
        default=None, description="a file, as a page of HTML; {run_id} stands for the run id"
    )

    log: ReportPath | None = Field(
        default=None,
        description="a file for the complete log of a failure; {run_id} stands for the run id; a file in the "
        "directory for temporary files, if null",
    )

    @model_validator(mode="after")
    def _require_distinct_files(self) -> ReportSection:
        for (name, path), (other, other_path) in itertools.combinations(self.paths.items(), 2):
            if path == other_path:
                raise ValueError(f"two files: {name} and {other} name the same one")
        return self

    @property
    def paths(self) -> dict[str, str]:
        """The configured paths, by their keys."""
        paths = {"json": self.json_, "html": self.html, "log": self.log}
        return {key: path for key, path in paths.items() if path is not None}

    def resolve_paths(self, run_id: str) -> dict[str, str]:
        """Return the configured paths of a run, by their keys."""
        return {key: path.replace("{run_id}", run_id) for key, path in self.paths.items()}


class JobConfig(_Section):
    """The keys that all jobs share."""

    run_id: RunId = Field(default=None, description="the name of the run in its report; a new name, if null")
    input: InputSection = Field(description="the table to read")
    report: ReportSection = Field(default=ReportSection(), description="the files of the run report")
    spark: Settings = Field(default={}, description="Spark settings; they override spark-submit's flags")

    @model_validator(mode="after")
    def _require_other_paths_for_reports(self) -> JobConfig:
        """Check that no report replaces something that the job reads or writes, also if the job fails."""
        for name, report in self.report.paths.items():
            for key, path in self._list_paths():
                if path is not None and _is_inside(report, path):
                    raise ValueError(f"report.{name} in another place: it is {key}, or inside it")
        return self

    def _list_paths(self) -> list[tuple[str, str | None]]:
        """Return the paths that the job reads or writes, with their keys."""
        return [("input.path", self.input.path)]


class ScoreConfig(JobConfig):
    """The configuration of jobs/score.py: the model, the table to score, and the output."""

    run_id: RunId = Field(
        default=None,
        description="the name of the run: a job started again with it repeats nothing; a new name, if null",
    )
    model: ModelSection = Field(description="the model to score with")
    output: OutputSection = Field(description="the table of predictions")
    quarantine: QuarantineSection | None = Field(
        default=None, description="the table of rejected rows; needs a budget"
    )
    budget: BudgetSection | None = Field(
        default=None,
        description="the failures that a run may have; without a budget, the first one fails the run",
    )
    check: PreflightSection = Field(
        default=PreflightSection(), description="the check before anything is scored"
    )
    params: dict[str, Any] = Field(default={}, description="values for the model's params")
    engine: Literal["auto", "spark", "direct", "local"] = Field(
        default="auto",
        description="direct: Spark tasks read, score and write Parquet files themselves, which is faster; "
        "spark: Spark reads and writes everything; local: processes of this machine, without Spark; auto: "
        "direct where it can, else spark; local where Spark is not installed",
    )

    @model_validator(mode="after")
    def _require_budget_of_quarantine(self) -> ScoreConfig:
        if self.quarantine is not None and self.budget is None:
            raise ValueError("a budget for the quarantine: without one, the first bad row fails the run")
        if self.quarantine is not None and self.quarantine.location == self.output.location:
            raise ValueError("two places: output and quarantine name the same one")
        return self

    def _list_paths(self) -> list[tuple[str, str | None]]:
        quarantine = None if self.quarantine is None else self.quarantine.path
        paths = [("output.path", self.output.path), ("quarantine.path", quarantine)]
        return [*super()._list_paths(), *paths, ("model.path", self.model.path)]


class CheckConfig(JobConfig):
    """The configuration of jobs/check.py: the table and its contract."""

    contract: Text = Field(
        description="a model directory, a signature's JSON file, the path or name of a table, or DDL"
    )
    side: Side = Field(default="inputs", description="the side of a signature")
    mode: CheckMode = Field(default="full", description="only types, some rows, or all rows")
    sample: SampleSection = Field(
        default=SampleSection(), description="the sample that the mode sample checks"
    )
    strict_nulls: bool = Field(
        default=True,
        description="required columns of every type have values; false: as a model accepts nulls",
    )
    refuse_nan: bool = Field(default=False, description="NaN in columns of numbers breaks the contract")
    row_key: Names = Field(default=[], description="columns that identify a row; reports show their values")
    types: TypeRule | None = Field(
        default=None,
        description="types that a table's contract accepts: exact, if null; lossless: types that widen to it",
    )
    missing: Missing | None = Field(
        default=None,
        description="whether declared columns may be missing; a table's contract forbids it, if null",
    )
    extra: Extra | None = Field(
        default=None,
        description="whether undeclared columns are allowed; a table's contract forbids them, if null",
    )

    def _list_paths(self) -> list[tuple[str, str | None]]:
        return [*super()._list_paths(), ("contract", self.contract)]


class InferConfig(JobConfig):
    """The configuration of jobs/infer.py: the table, and the file or model for its signature."""

    columns: Names = Field(default=[], description="the columns of the signature; all, if empty")
    sample: SampleSection = Field(default=SampleSection(), description="the rows to inspect")
    signature: TablePath | None = Field(default=None, description="a file for the signature, as JSON")
    model: Annotated[str, Field(min_length=1), AfterValidator(_check_local)] | None = Field(
        default=None, description="a local model directory that gets the signature as its inputs"
    )

    def _list_paths(self) -> list[tuple[str, str | None]]:
        return [*super()._list_paths(), ("signature", self.signature), ("model", self.model)]
