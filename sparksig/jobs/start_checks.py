"""The checks of a score job before its engine starts: the model, its params, the paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pyarrow.fs

from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelError,
    OutputRefusedError,
    SignatureError,
    SparksigError,
    UnsupportedError,
    quote,
    suggest,
)
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.config_errors import build_config_error, build_value_error
from sparksig.jobs.file_systems import find_file_system
from sparksig.jobs.input_checks import check_input
from sparksig.jobs.staging import name_staging, read_notes
from sparksig.params import ParamSchema, enforce_params
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.prepared import PreparedModel, prepare_model
from sparksig.types import DataType


def check_before_start(config: ScoreConfig) -> PreparedModel:
    """Check everything that is known before the engine starts; return the checked model.

    Raises:
        SparksigError: as :func:`sparksig.jobs.score`; the findings of params, paths, input and output are
            reported together.
    """
    model = _prepare_model(config)
    _collect_errors(
        lambda: _check_params(config, model.params),
        lambda: _check_paths(config),
        lambda: check_input(config, model.inputs, model.find_features()),
        lambda: _refuse_below_files(config),
        lambda: _refuse_existing(config),
    )
    return model


def _prepare_model(config: ScoreConfig) -> PreparedModel:
    """Check the model's directory, without loading the model."""
    section = config.model
    # only the session can read the DDL of result_type
    unknown = None if section.result_type is None else Schema([ColSpec(DataType.double, "prediction")])
    try:
        model = prepare_model(
            section.path,
            digest=section.digest,
            allow_pickle=section.allow_pickle,
            trusted_types=section.trusted_types,
            method=section.method,
            model_config=section.config or None,
            outputs=unknown,
            on_version_mismatch=section.on_version_mismatch,
            environment=section.environment,
            allow_install=section.allow_install,
        )
        if config.engine != "local" and find_spec("pyspark") is not None:
            from sparksig.spark.udf import require_result_type

            require_result_type(model)
    except UnsupportedError as error:
        if re.search(r"\bmethod[:=]", error.message):
            raise build_value_error("model.method", "a method that predicts", hint=error.message) from None
        if "result_type" in error.message:
            raise build_value_error(
                "model.result_type", "the type of predictions, as DDL", hint=error.message
            ) from None
        error.message = use_config_keys(error.message)
        raise
    except (ModelError, SignatureError) as error:
        error.message = use_config_keys(error.message)
        raise
    return model


def use_config_keys(message: str) -> str:
    """Replace the arguments of functions in a message by the keys of a configuration.

    Example:
        >>> use_config_keys("pass allow_pickle=True, or pin it with digest=")
        'set model.allow_pickle: true, or pin it with model.digest'
        >>> use_config_keys("Install it on every worker, or use environment='worker'")
        'Install it on every worker, or use model.environment: worker'
    """
    for name in ("allow_pickle", "allow_install"):
        message = message.replace(f"pass {name}=True", f"set model.{name}: true")
    message = re.sub(r"\bpass trusted_types=", "set model.trusted_types: ", message)
    message = re.sub(r"\benvironment='(\w+)'", r"model.environment: \1", message)
    message = re.sub(r"^environment: ", "model.environment: ", message)
    return re.sub(r"(?<![.\w])(digest)=", r"model.\1", message)


def _collect_errors(*checks: Callable[[], None]) -> None:
    """Run all checks; raise several errors as one of the first error's class."""
    errors: list[SparksigError] = []
    for check in checks:
        try:
            check()
        except SparksigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        findings = [finding for error in errors for finding in error.findings]
        raise type(errors[0])("; ".join(error.message for error in errors), findings)


def _check_params(config: ScoreConfig, declared: ParamSchema | None) -> None:
    known = [spec.name for spec in declared or ()]
    hint = f"the model's params are {', '.join(known)}" if known else "the model has no params"
    findings = [
        Finding(
            Code.UNKNOWN_KEY,
            f"params.{quote(name)}",
            "a param of the model",
            "another",
            suggest(name, known) or hint,
        )
        for name in config.params
        if name not in known
    ]
    try:
        enforce_params({name: config.params[name] for name in config.params if name in known}, declared)
    except ContractError as error:
        findings += [finding.below("params") for finding in error.findings]
    if findings:
        raise build_config_error(findings)


def _check_paths(config: ScoreConfig) -> None:
    findings = [
        Finding(Code.INVALID_VALUE, f"{name}.table", "a path, for Parquet", "a name", "or format: delta")
        for name, section in (("output", config.output), ("quarantine", config.quarantine))
        if section is not None and section.table is not None and section.format == "parquet"
    ]
    if findings:
        raise build_config_error(findings)


def _refuse_below_files(config: ScoreConfig) -> None:
    """Check that neither the output nor the quarantine is below a file."""
    for name, section in (("output", config.output), ("quarantine", config.quarantine)):
        if section is None or section.path is None:
            continue
        files, root = find_file_system(section.path, config.spark)
        parent = root.rpartition("/")[0]
        if files is not None and parent and files.get_file_info(parent).type == pyarrow.fs.FileType.File:
            raise OutputRefusedError(f"the {name} {section.path!r} is below a file; nothing was written")


def _refuse_existing(config: ScoreConfig) -> None:
    """Check that the output does not exist, unless it may come from an earlier attempt at the same run."""
    path, section = config.output.path, config.output
    if path is None:
        return
    if config.input.path and f"{path.rstrip('/')}/".startswith(f"{config.input.path.rstrip('/')}/"):
        raise OutputRefusedError(
            f"the output {path!r} is the input, or inside it; nothing was written. Choose another"
        )
    files, root = find_file_system(path, config.spark)
    if files is None:
        return  # the engine checks it later
    existing = files.get_file_info(root).type
    if existing == pyarrow.fs.FileType.File:
        raise OutputRefusedError(
            f"the output {path!r} is a file, not a directory; nothing was written. Choose another path"
        )
    if section.mode != "error" or existing == pyarrow.fs.FileType.NotFound:
        return
    is_directory = existing == pyarrow.fs.FileType.Directory
    if is_directory and not files.get_file_info(pyarrow.fs.FileSelector(root)):
        return
    if not is_directory or not _may_be_of_run(config, files, root):
        raise OutputRefusedError(
            f"the output {path!r} exists already; nothing was written. "
            "Choose another, or set output.mode to append or overwrite"
        )


def _may_be_of_run(config: ScoreConfig, files: Any, root: str) -> bool:
    """Return whether an existing output may come from an earlier attempt at the same run."""
    if config.run_id is None or config.output.format == "delta":  # a Delta table is checked later
        return config.run_id is not None
    parent, _, name = root.rpartition("/")
    staging = files.get_file_info(f"{parent}/{name_staging(name, config.run_id)}")
    is_staged = staging.type == pyarrow.fs.FileType.Directory
    return is_staged or read_notes(config.output.location, config.run_id, config.spark) is not None
