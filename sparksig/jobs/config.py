"""The configurations of the jobs: what may stand in the YAML files of conf/, and what it means."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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


def _literal(path: str) -> str:
    if any(sign in path for sign in "*?[]{}"):
        raise ValueError("a path without *, ?, [, ], { and }, which Spark takes for a pattern")
    return _absolute(path)


Place = Annotated[str, Field(min_length=1), AfterValidator(_literal)]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class _Table(_Section):
    """A table by its path or by its name."""

    path: Place | None = Field(default=None, description="where the table is; either this or `table`")
    table: str | None = Field(default=None, min_length=1, description="the table's name in the catalog")

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

    path: str = Field(min_length=1, description="the model directory, or its URI")
    digest: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="refuse the directory unless its content has this digest",
    )
    allow_pickle: bool = Field(default=False, description="code in the directory may run: needed for pickles")
    trusted_types: list[str] = Field(
        default=[], description="what a skops file may hold beyond its own safe types"
    )
    method: str | None = Field(
        default=None, description="the method that predicts; the one that was saved, if null"
    )
    config: dict[str, Any] = Field(default={}, description="overrides of a PythonModel's model_config")
    result_type: str | None = Field(
        default=None, description="the predictions' type as DDL; the signature's, if null"
    )
    batch_rows: int | None = Field(default=None, ge=1, description="how many rows the model is given at once")
    on_version_mismatch: Literal["warn", "fail", "ignore"] = Field(
        default="warn", description="where packages have other versions than the model was saved with"
    )


class InputSection(_Table):
    """The table to read."""

    format: Literal["parquet", "delta", "csv", "json"] = Field(
        default="parquet", description="of the files at `path`"
    )
    schema_: str | None = Field(
        default=None, alias="schema", description="the columns as DDL: needed for csv and json"
    )
    options: dict[str, str] = Field(default={}, description="options of Spark's reader, for csv and json")
    version: int | None = Field(default=None, ge=0, description="of a Delta table; the newest, if null")
    filter: str | None = Field(
        default=None, min_length=1, description="a condition in SQL: only rows that meet it"
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
    column: str = Field(default="prediction", min_length=1, description="the name of the predictions' column")
    keep: list[str] | Literal["*"] = Field(
        description='the columns of the input to keep beside the prediction; "*" for all'
    )
    flatten: bool = Field(
        default=False, description="several outputs become columns of their own, <column>_<output>"
    )
    partition_by: list[str] = Field(default=[], description="columns to partition by")
    evolve: bool = Field(default=False, description="a Delta table may take new columns and wider types")


class QuarantineSection(_Table):
    """Where the rows go that could not be scored, with the reasons; each run's apart."""

    format: Literal["parquet", "delta"] = Field(default="parquet", description="of the table that is written")


class BudgetSection(_Section):
    """How many rows may fail before the whole run does; without this section, none."""

    rows: int | None = Field(default=None, ge=0, description="at most so many rows")
    share: float | None = Field(
        default=None, ge=0, le=1, description="at most this share of the rows, 0.01 is 1 %"
    )

    @model_validator(mode="after")
    def _some_limit(self) -> BudgetSection:
        if self.rows is None and self.share is None:
            raise ValueError("a limit: rows, share, or both (then both hold)")
        return self


class SampleSection(_Section):
    """Which rows a sample has."""

    rows: int = Field(default=10_000, ge=1, description="at most so many")
    partitions: int = Field(default=32, ge=1, description="of at most so many partitions")
    seed: int = Field(default=0, description="the same seed, the same rows")
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

    json_: Place | None = Field(default=None, alias="json", description="a file, as JSON")
    html: Place | None = Field(default=None, description="a file, as a page of HTML")


class JobConfig(_Section):
    """What all jobs can be told."""

    run_id: RunId | None = Field(
        default=None,
        description="names the run: started again with it, nothing is done twice; a new one, if null",
    )
    input: InputSection
    report: ReportSection = Field(default=ReportSection(), description="where the run report goes")
    spark: dict[str, str] = Field(default={}, description="Spark settings, as text")


class ScoreConfig(JobConfig):
    """The configuration of jobs/score.py: which model scores which table, and where the predictions go."""

    model: ModelSection
    output: OutputSection
    quarantine: QuarantineSection | None = Field(
        default=None, description="where rows go that could not be scored"
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
        return self


class CheckConfig(JobConfig):
    """The configuration of jobs/check.py: which table is checked against which contract."""

    contract: str = Field(
        min_length=1,
        description="a model directory, a signature's JSON file, the path or name of a table, or DDL",
    )
    side: Literal["inputs", "outputs"] = Field(default="inputs", description="of a signature")
    mode: Literal["schema", "sample", "full"] = Field(
        default="full", description="types alone, some rows, or all"
    )
    sample: SampleSection = Field(default=SampleSection(), description="for mode: sample")
    strict_nulls: bool = Field(default=True, description="required means values, whatever the type")
    refuse_nan: bool = Field(default=False, description="NaN breaks the contract, in columns of numbers")
    row_key: list[str] = Field(default=[], description="columns that name a row; their values are shown")


class InferConfig(JobConfig):
    """The configuration of jobs/infer.py: which table a signature is inferred from, and where it goes."""

    columns: list[str] = Field(default=[], description="the columns to take; all, if empty")
    sample: SampleSection = Field(default=SampleSection(), description="the rows to look at")
    signature: Place | None = Field(default=None, description="a file that gets the signature, as JSON")
    model: str | None = Field(
        default=None, min_length=1, description="a model directory whose inputs it becomes"
    )
