"""The configurations of the jobs: what may stand in the YAML files of conf/, and what it means."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from typing_extensions import Self

__all__ = [
    "BudgetSection",
    "CheckConfig",
    "InferConfig",
    "InputSection",
    "JobConfig",
    "ModelSection",
    "OutputSection",
    "PreflightSection",
    "QuarantineSection",
    "ReportSection",
    "SampleSection",
    "ScoreConfig",
]


def _absolute(path: str) -> str:
    if re.match(r"^file:[^/]", path):
        raise ValueError("a path, or a URI with an absolute path: file:/...")
    return path


def _is_in(path: str, other: str) -> bool:
    """Whether a place is another one, or in it; links on this machine are followed."""
    inner, outer = (
        one.rstrip("/")
        if re.match(r"^(?!file:)\w[\w+.-]*:", one)
        else os.path.realpath(re.sub(r"^file:/+", "/", one))
        for one in (path, other)
    )
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")


def _literal(path: str) -> str:
    if any(sign in path for sign in "*?[]{}"):
        raise ValueError("a path without *, ?, [, ], { and }, which Spark takes for a pattern")
    return _absolute(path)


def _report_path(path: str) -> str:
    _literal(path.replace("{run_id}", ""))
    return path


def _local(path: str) -> str:
    if re.match(r"^(?!file:)\w[\w+.-]*:", path):
        raise ValueError("a local directory: a model that is registered, or stored elsewhere, never changes")
    return path


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("64 hexadecimal digits in lower case, as `sparksig digest` prints them")
    return text


def _run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", text):
        raise ValueError(
            "letters, digits, '.', '_' and '-', the first a letter or a digit, at most 200 of them"
        )
    return text


def _names_or_all(value: Any) -> Any:
    names = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    if value != "*" and not names:
        raise ValueError('a list of names, or "*"')
    return value


def _as_text(value: Any) -> Any:
    """What YAML reads as a number, true or false, as the text that Spark takes."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else value


def _null_as_text(value: Any) -> Any:
    """Return YAML's null as the choice of that name."""
    return "null" if value is None else value


def _is_whole(field: FieldInfo) -> bool:
    """Whether a field holds a section, a list or a mapping, and never null."""
    form = field.annotation
    if get_origin(form) is not None:
        return get_origin(form) in (list, dict)
    return isinstance(form, type) and issubclass(form, BaseModel)


Text = Annotated[str, Field(min_length=1)]
Place = Annotated[str, Field(min_length=1), AfterValidator(_literal)]
ReportPath = Annotated[str, Field(min_length=1), AfterValidator(_report_path)]
Names = list[Text]
RunId = Annotated[str, AfterValidator(_run_id)] | None
Settings = dict[str, Annotated[str, BeforeValidator(_as_text)]]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _left_empty(cls, data: Any) -> Any:
        """A key with nothing below it, as where all of it is commented out, is as if it were not there."""
        if not isinstance(data, dict):
            return data
        whole = {field.alias or name for name, field in cls.model_fields.items() if _is_whole(field)}
        return {key: value for key, value in data.items() if value is not None or key not in whole}


class _Table(_Section):
    """A table by its path or by its name."""

    path: Place | None = Field(default=None, description="where the table is; either this or `table`")
    table: Text | None = Field(default=None, description="the table's name in the catalog")

    @model_validator(mode="after")
    def _one_of_both(self) -> _Table:
        if (self.path is None) == (self.table is None):
            raise ValueError("either a path, or the name of a table")
        return self

    @property
    def place(self) -> str:
        """The path, or the name."""
        return self.path if self.path is not None else str(self.table)


class ModelSection(_Section):
    """The model to score with."""

    path: Text = Field(description="the model directory, or its URI")
    digest: Annotated[str, AfterValidator(_digest)] | None = Field(
        default=None, description="refuse the directory unless its content has this digest"
    )
    allow_pickle: bool = Field(default=False, description="code in the directory may run: needed for pickles")
    trusted_types: Names = Field(
        default=[], description="types that a skops file may hold beyond those known to be safe"
    )
    method: Text | None = Field(
        default=None, description="the method that predicts; the one that was saved, if null"
    )
    config: dict[str, Any] = Field(default={}, description="overrides of a PythonModel's model_config")
    result_type: Text | None = Field(
        default=None, description="the predictions' type as DDL; the signature's, if null"
    )
    batch_rows: int | None = Field(default=None, ge=1, description="how many rows the model is given at once")
    on_version_mismatch: Literal["warn", "fail", "ignore"] = Field(
        default="warn", description="where packages have other versions than the model was saved with"
    )
    absent: Annotated[Literal["auto", "null", "omit", "forbid"], BeforeValidator(_null_as_text)] = Field(
        default="auto",
        description="an optional column that the table lacks: null (the model sees nulls), omit (no column), "
        "forbid (an error), auto (null for estimators and boosters, omit for other models)",
    )
    environment: Text = Field(
        default="worker",
        description="where the model runs: worker (the workers' environment), model (an environment built "
        "from its requirements), or the path of one that `sparksig env build` has written",
    )
    allow_install: bool = Field(
        default=False, description="packages of the model's requirements may be installed, which runs code"
    )


class InputSection(_Table):
    """The table to read."""

    format: Literal["parquet", "delta", "csv", "json"] = Field(
        default="parquet", description="of the files at `path`"
    )
    schema_: Text | None = Field(
        default=None, alias="schema", description="the columns as DDL: needed for csv and json"
    )
    options: Settings = Field(default={}, description="options of Spark's reader, for csv and json")
    version: int | None = Field(default=None, ge=0, description="of a Delta table; the newest, if null")
    filter: Text | None = Field(default=None, description="a condition in SQL: only rows that meet it")
    select: dict[Text, Text] = Field(
        default={},
        description="more columns, or columns replaced: each name with its SQL expression, after the filter",
    )

    @model_validator(mode="after")
    def _fits_the_format(self) -> InputSection:
        text = self.format in ("csv", "json") and self.path is not None
        if text and self.schema_ is None:
            raise ValueError(f"the columns of {self.format} files in `schema`: nothing is guessed")
        if not text and (self.schema_ is not None or self.options):
            raise ValueError("`schema` and `options` with csv and json files alone")
        if self.version is not None and self.format != "delta" and self.table is None:
            raise ValueError("`version` with Delta tables alone")
        return self


class OutputSection(_Table):
    """Where the predictions go."""

    format: Literal["parquet", "delta"] = Field(default="parquet", description="of the table that is written")
    mode: Literal["error", "append", "overwrite"] = Field(
        default="error",
        description="error: nothing may be there; append: as a run of its own; overwrite: all of it",
    )
    column: Text = Field(default="prediction", description="the name of the predictions' column")
    keep: Annotated[list[str] | Literal["*"], BeforeValidator(_names_or_all)] = Field(
        description='the columns of the input to keep beside the prediction; "*" for all'
    )
    flatten: bool = Field(
        default=False, description="several outputs become columns of their own, <column>_<output>"
    )
    partition_by: Names = Field(default=[], description="columns to partition by")
    evolve: bool = Field(default=False, description="a Delta table may take new columns and wider types")

    @model_validator(mode="after")
    def _fits_the_format(self) -> OutputSection:
        if self.evolve and self.format != "delta":
            raise ValueError("`evolve` with Delta tables alone")
        return self


class QuarantineSection(_Table):
    """Where the rows go that could not be scored, with the reasons; each run's apart."""

    format: Literal["parquet", "delta"] = Field(default="parquet", description="of the table that is written")


class BudgetSection(_Section):
    """How many rows may fail before the whole run does; without this section, none."""

    rows: int | None = Field(default=None, ge=0, description="at most so many rows fail")
    share: float | None = Field(
        default=None, ge=0, le=1, description="at most this share of the rows fails; 0.01 is 1 %"
    )

    @model_validator(mode="after")
    def _some_limit(self) -> BudgetSection:
        if self.rows is None and self.share is None:
            raise ValueError("a limit: rows, share, or both (then both hold)")
        return self


class SampleSection(_Section):
    """Which rows a sample has."""

    rows: int = Field(default=10_000, ge=1, description="at most so many rows")
    partitions: int = Field(
        default=32, ge=1, description="of at most so many partitions, by the method partitions"
    )
    seed: int = Field(default=0, ge=-(2**63), lt=2**63, description="the same seed, the same rows")
    method: Literal["partitions", "uniform"] = Field(
        default="partitions",
        description="partitions: the heads of some; uniform: all rows are scanned in the JVM",
    )


class PreflightSection(_Section):
    """The check of the input before anything is scored."""

    mode: Literal["schema", "sample", "full"] = Field(
        default="schema", description="types alone, some rows, or all"
    )
    sample: SampleSection = Field(default=SampleSection(), description="for mode: sample")


class ReportSection(_Section):
    """Where the run report goes, which is written when the job fails, too."""

    json_: ReportPath | None = Field(
        default=None, alias="json", description="a file, as JSON; {run_id} stands for the run id"
    )
    html: ReportPath | None = Field(
        default=None, description="a file, as a page of HTML; {run_id} stands for the run id"
    )

    @model_validator(mode="after")
    def _apart(self) -> ReportSection:
        if self.json_ is not None and self.json_ == self.html:
            raise ValueError("two files: json and html name the same one")
        return self


class JobConfig(_Section):
    """What all jobs can be told."""

    run_id: RunId = Field(default=None, description="names the run in its report; a new name, if null")
    input: InputSection = Field(description="the table to read")
    report: ReportSection = Field(default=ReportSection(), description="where the run report goes")
    spark: Settings = Field(default={}, description="Spark settings; they override spark-submit's flags")

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the configuration that a mapping describes.

        Raises:
            ConfigError: it is wrong; all findings, by the keys of the file.
        """
        from sparksig.jobs.loading import explain_validation

        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise explain_validation(error, cls) from None

    @model_validator(mode="after")
    def _reports_replace_nothing(self) -> JobConfig:
        """A report takes the place of the file that is there, and makes directories, though the job fails."""
        for name, report in (("json", self.report.json_), ("html", self.report.html)):
            for what, place in self._places():
                if report is not None and place is not None and _is_in(report, place):
                    raise ValueError(f"report.{name} in a place of its own: it is {what}, or in it")
        return self

    def _places(self) -> list[tuple[str, str | None]]:
        """The places that the job reads or writes, by their keys."""
        return [("input.path", self.input.path)]


class ScoreConfig(JobConfig):
    """The configuration of jobs/score.py: which model scores which table, and where the predictions go."""

    run_id: RunId = Field(
        default=None,
        description="names the run: started again with it, nothing is done twice; a new name, if null",
    )
    model: ModelSection = Field(description="the model to score with")
    output: OutputSection = Field(description="where the predictions go")
    quarantine: QuarantineSection | None = Field(
        default=None, description="where rows go that could not be scored; needs a budget"
    )
    budget: BudgetSection | None = Field(default=None, description="how many rows may fail; none, if null")
    check: PreflightSection = Field(
        default=PreflightSection(), description="the check before anything is scored"
    )
    params: dict[str, Any] = Field(default={}, description="values for the model's params")

    @model_validator(mode="after")
    def _rejected_rows_need_a_budget(self) -> ScoreConfig:
        if self.quarantine is not None and self.budget is None:
            raise ValueError("a budget beside the quarantine: without one the first bad row ends the run")
        if self.quarantine is not None and self.quarantine.place == self.output.place:
            raise ValueError("two places: output and quarantine name the same one")
        return self

    def _places(self) -> list[tuple[str, str | None]]:
        bad = None if self.quarantine is None else self.quarantine.path
        own = [("output.path", self.output.path), ("quarantine.path", bad), ("model.path", self.model.path)]
        return super()._places() + own


class CheckConfig(JobConfig):
    """The configuration of jobs/check.py: which table is checked against which contract."""

    contract: Text = Field(
        description="a model directory, a signature's JSON file, the path or name of a table, or DDL"
    )
    side: Literal["inputs", "outputs"] = Field(default="inputs", description="of a signature")
    mode: Literal["schema", "sample", "full"] = Field(
        default="full", description="types alone, some rows, or all"
    )
    sample: SampleSection = Field(default=SampleSection(), description="for mode: sample")
    strict_nulls: bool = Field(
        default=True,
        description="required columns have values, whatever their type; false: as a model takes them",
    )
    refuse_nan: bool = Field(default=False, description="NaN breaks the contract, in columns of numbers")
    row_key: Names = Field(default=[], description="columns that name a row; their values are shown")
    types: Literal["exact", "lossless"] | None = Field(
        default=None, description="of a table's contract: exact, if null; lossless: types that widen to it"
    )
    missing: Literal["forbid", "allow"] | None = Field(
        default=None, description="columns that may be absent; a table's contract forbids it, if null"
    )
    extra: Literal["forbid", "allow", "warn"] | None = Field(
        default=None, description="columns that are not declared; a table's contract forbids them, if null"
    )

    def _places(self) -> list[tuple[str, str | None]]:
        return [*super()._places(), ("contract", self.contract)]


class InferConfig(JobConfig):
    """The configuration of jobs/infer.py: which table a signature is inferred from, and where it goes."""

    columns: Names = Field(default=[], description="the columns to take; all, if empty")
    sample: SampleSection = Field(default=SampleSection(), description="the rows to look at")
    signature: Place | None = Field(default=None, description="a file that gets the signature, as JSON")
    model: Annotated[str, Field(min_length=1), AfterValidator(_local)] | None = Field(
        default=None, description="a local model directory whose inputs it becomes"
    )

    def _places(self) -> list[tuple[str, str | None]]:
        return [*super()._places(), ("signature", self.signature), ("model", self.model)]
