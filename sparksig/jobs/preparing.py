"""The checks of a score job before anything is read: the model, its params, the places."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow.fs

from sparksig.errors import (
    Code,
    ConfigError,
    ContractError,
    Finding,
    ModelError,
    OutputRefusedError,
    SignatureError,
    SparksigError,
    UnsupportedError,
    nearest,
    step,
)
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.places import file_system
from sparksig.jobs.preflight import check_input
from sparksig.jobs.staging import MARKER, names_of, read_json, staging_name
from sparksig.models.directory import ModelDirectory
from sparksig.models.features import features_of
from sparksig.models.registry import is_remote, local_path
from sparksig.params import ParamSchema, enforce_params
from sparksig.schema import ColSpec, Schema
from sparksig.spark.hadoop import Place
from sparksig.types import DataType

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparksig.spark.udf import ModelUDF

__all__ = ["before_spark", "build_udf", "refuse_nesting"]


def before_spark(config: ScoreConfig) -> ModelDirectory:
    """Check all that can be known before Spark starts; return the model's directory.

    Raises:
        SparksigError: as :func:`sparksig.jobs.score`; what is wrong with params, places, input and output is
            told at once.
    """
    from sparksig.scoring.prepared import prepare_model
    from sparksig.spark.udf import require_result_type

    section = config.model
    untold = None if section.result_type is None else Schema([ColSpec(DataType.double, "prediction")])
    try:
        model = prepare_model(
            section.path,
            **_trust(config),
            method=section.method,
            model_config=section.config or None,
            outputs=untold,  # only the session can read the DDL of result_type
            on_version_mismatch=section.on_version_mismatch,
        )
        require_result_type(model)
    except UnsupportedError as error:
        if section.method is not None:
            raise _wrong("model.method", "a method that predicts", error) from None
        if "result_type" in error.message:
            raise _wrong("model.result_type", "the type of predictions, as DDL", error) from None
        raise
    except (ModelError, SignatureError) as error:
        error.message = _spell_as_keys(error.message)
        raise
    _all_of(
        lambda: _check_params(config, model.params),
        lambda: _check_places(config),
        lambda: check_input(config, model.inputs, features_of(model.directory, model.loading.trust)),
        lambda: _refuse_existing(config),
    )
    return model.directory


def _wrong(path: str, expected: str, error: SparksigError) -> ConfigError:
    """The error of a key whose value another part of sparksig does not take."""
    finding = Finding(Code.INVALID_VALUE, path, expected, "another", error.message)
    return ConfigError.of("the configuration is wrong", [finding])


def _spell_as_keys(message: str) -> str:
    """Return a message with the keys of a configuration in place of the arguments of functions.

    Example:
        >>> _spell_as_keys("pass allow_pickle=True, or pin it with digest=")
        'set model.allow_pickle: true, or pin it with model.digest'
    """
    message = message.replace("pass allow_pickle=True", "set model.allow_pickle: true")
    message = re.sub(r"\bpass trusted_types=", "set model.trusted_types: ", message)
    return re.sub(r"(?<![.\w])(digest)=", r"model.\1", message)


def _trust(config: ScoreConfig) -> dict[str, Any]:
    return config.model.model_dump(include={"digest", "allow_pickle", "trusted_types"})


def _all_of(*checks: Callable[[], None]) -> None:
    """Make all checks; several errors are told as one, which is of the first one's class."""
    errors: list[SparksigError] = []
    for check in checks:
        try:
            check()
        except SparksigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        found = [finding for error in errors for finding in error.findings]
        raise type(errors[0])("; ".join(error.message for error in errors), found)


def _check_params(config: ScoreConfig, declared: ParamSchema | None) -> None:
    known = [spec.name for spec in declared or ()]
    findings = [
        Finding(
            Code.UNKNOWN_KEY, f"params.{step(name)}", "a param of the model", "another", nearest(name, known)
        )
        for name in config.params
        if name not in known
    ]
    try:
        enforce_params({name: config.params[name] for name in config.params if name in known}, declared)
    except ContractError as error:
        findings += [finding.below("params") for finding in error.findings]
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)


def _check_places(config: ScoreConfig) -> None:
    findings = [
        Finding(Code.INVALID_VALUE, f"{name}.table", "a path, for Parquet", "a name", "or format: delta")
        for name, section in (("output", config.output), ("quarantine", config.quarantine))
        if section is not None and section.table is not None and section.format == "parquet"
    ]
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)


def _refuse_existing(config: ScoreConfig) -> None:
    """See that the output's place is free; a run that is started again may find what it has left there."""
    path, section = config.output.path, config.output
    if path is None:
        return
    if config.input.path and f"{path.rstrip('/')}/".startswith(f"{config.input.path.rstrip('/')}/"):
        raise OutputRefusedError(f"the output's place {path!r} is the input, or in it; nothing was written")
    files, place = file_system(path, config.spark)
    if files is None:
        return  # Spark looks itself, later
    above = place.rpartition("/")[0]
    if above and files.get_file_info(above).type == pyarrow.fs.FileType.File:
        raise OutputRefusedError(f"the output's place {path!r} is below a file; nothing was written")
    if section.mode != "error" or files.get_file_info(place).type == pyarrow.fs.FileType.NotFound:
        return
    is_directory = files.get_file_info(place).type == pyarrow.fs.FileType.Directory
    if is_directory and not files.get_file_info(pyarrow.fs.FileSelector(place)):
        return
    if not is_directory or not _is_taken_up(config, files, place):
        raise OutputRefusedError(f"something is at the output's place already: {path!r}; nothing was written")


def _is_taken_up(config: ScoreConfig, files: Any, place: str) -> bool:
    """Whether what is at the output's place may be of this run, when it was started before."""
    if config.run_id is None or config.output.format == "delta":  # which is asked itself, later
        return config.run_id is not None
    above, _, name = place.rpartition("/")
    begun = files.get_file_info(f"{above}/{staging_name(name, config.run_id)}")
    marker = read_json(f"{config.output.place.rstrip('/')}/{MARKER}", config.spark)
    return begun.type == pyarrow.fs.FileType.Directory or (
        marker is not None and marker.get("run_id") == config.run_id
    )


# --- with Spark ---------------------------------------------------------------------------------------------


def build_udf(spark: SparkSession, config: ScoreConfig, directory: ModelDirectory) -> ModelUDF:
    """Return the model as a column function.

    Args:
        spark: the session.
        config: of the job.
        directory: the model as it was checked; a remote one is not fetched again.

    Raises:
        ConfigError: ``result_type`` or ``flatten`` do not go with the model.
    """
    from sparksig.spark.udf import spark_udf

    section = config.model
    try:
        udf = spark_udf(
            spark,
            directory.path if is_remote(section.path) else section.path,
            result_type=section.result_type,
            params=config.params,
            method=section.method,
            model_config=section.config or None,
            batch_rows=section.batch_rows,
            absent=None if section.absent == "auto" else section.absent,
            on_version_mismatch="ignore",  # which was told before
            **_trust(config),
        )
    except (ContractError, UnsupportedError) as error:
        if section.result_type is None:
            raise
        raise _wrong("model.result_type", "a type for predictions, as DDL", error) from None
    if config.output.flatten and not hasattr(udf.return_type, "fields"):
        finding = Finding(
            Code.INVALID_VALUE,
            "output.flatten",
            "false, for predictions that are one value",
            f"true, for {udf.return_type.simpleString()}",
        )
        raise ConfigError.of("the configuration is wrong", [finding])
    return udf


def refuse_nesting(spark: SparkSession, config: ScoreConfig) -> None:
    """See that no place is another one, or in it.

    Raises:
        OutputRefusedError: some is.
    """
    sections = {"output": config.output, "quarantine": config.quarantine, "input": config.input}
    places = {name: _place_of(spark, section) for name, section in sections.items() if section is not None}
    if not is_remote(config.model.path):  # an overwrite would take it away
        places["model"] = Place.of(spark, f"file:{local_path(config.model.path).absolute()}")
    for one, other in (
        ("output", "input"),
        ("quarantine", "input"),
        ("quarantine", "output"),
        ("output", "model"),
        ("quarantine", "model"),
    ):
        inner, outer = places.get(one), places.get(other)
        if inner is not None and outer is not None and (inner.is_in(outer) or outer.is_in(inner)):
            raise OutputRefusedError(
                f"the {one}'s place {inner.uri!r} and the {other}'s {outer.uri!r} are one, or one is in the "
                "other; nothing was written"
            )
    tables = [section.table for section in (config.output, config.quarantine) if section is not None]
    if len(tables) == 2 and None not in tables:  # which may not be there yet
        names = [[name.casefold() for name in names_of(spark, str(table))] for table in tables]
        if names[0] == names[1]:
            raise OutputRefusedError(f"output and quarantine are one table, {tables[0]}; nothing was written")


def _place_of(spark: SparkSession, section: Any) -> Place | None:
    """The place of a table; None for a name that has none."""
    if section.path is not None:
        return Place.of(spark, section.path)
    try:
        told = spark.sql(f"DESCRIBE TABLE EXTENDED {section.table}").where("col_name = 'Location'").collect()
    except Exception:  # Spark's: there is no such table, which is told where it matters
        return None
    return Place.of(spark, told[0]["data_type"]) if told else None
