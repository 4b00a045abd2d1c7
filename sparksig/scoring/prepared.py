"""Checks of a model directory before rows are scored: trust, versions, signature, and pinned content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparksig.engine.absent import Absent
from sparksig.errors import MissingSignatureError, ModelError
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import compare_versions, resolve_environment
from sparksig.models.features import find_features
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.registry import fetch_model
from sparksig.models.seal import combine_digests, hash_files
from sparksig.models.trust import Trust, check_type_names
from sparksig.options import OnVersionMismatch
from sparksig.params import ParamSchema, enforce_params
from sparksig.schema import Schema


@dataclass(frozen=True)
class PreparedModel:
    """A model directory that was checked, but not loaded.

    Attributes:
        directory: the directory, with the digests of its files.
        digest: the digest of its content.
        loading: the options for loading it.
        inputs: the model's input schema.
        outputs: its output schema.
        params: its params; None for a model without any.
        source: the path or URI that the caller passed.
    """

    directory: ModelDirectory
    digest: str
    loading: LoadOptions
    inputs: Schema
    outputs: Schema
    params: ParamSchema | None
    source: str

    def enforce_params(self, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return values for all of the model's params; None for a model without params."""
        return None if params is None and self.params is None else enforce_params(params, self.params)

    def find_features(self) -> tuple[str, ...] | None:
        """Return the names of the model's features; None if it knows none."""
        return find_features(self.directory, self.loading.trust, self.loading.environment)

    def choose_absent(self, absent: Absent | None) -> Absent:
        """Return the treatment of absent optional columns: the caller's, else the default of the model."""
        return absent or flavors.choose_absent(self.directory)


def prepare_model(
    path: str | os.PathLike[str],
    *,
    allow_pickle: bool,
    digest: str | None,
    trusted_types: Sequence[str],
    method: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    outputs: Schema | None = None,
    on_version_mismatch: OnVersionMismatch = "warn",
    environment: str | os.PathLike[str] = "worker",
    allow_install: bool = False,
) -> PreparedModel:
    """Check a model directory without loading it; the arguments are those of :func:`sparksig.spark_udf`.

    Raises:
        ModelError: the directory is missing, damaged or not trusted, or has no input or output schema; or its
            environment cannot be built.
    """
    trust = Trust(allow_pickle, digest, check_type_names(trusted_types))
    directory = trust.verify(ModelDirectory.read(fetch_model(path)))
    isolated = resolve_environment(directory, environment, trust, allow_install=allow_install)
    loading = LoadOptions(trust, method, model_config, isolated)
    flavors.check(directory, loading)
    compare_versions(directory, on_version_mismatch, isolated)
    if isolated is not None:
        isolated.locate()  # what cannot be built fails here, and not in the workers
    schemas = _require_schemas(directory, method, outputs)
    digest, pinned = pin_directory(directory)
    return PreparedModel(pinned, digest, loading, *schemas, source=str(path))


def _require_schemas(
    directory: ModelDirectory, method: str | None, outputs: Schema | None
) -> tuple[Schema, Schema, ParamSchema | None]:
    signature = directory.signature
    saved = directory.pyfunc.get("predict_fn") or "predict"
    if outputs is None and method not in (None, saved):
        raise ModelError(
            f"{directory.path}: the signature has the outputs of the method {saved!r}, not of {method!r}. "
            "Pass the type of the predictions as result_type"
        )
    declared = outputs if outputs is not None or signature is None else signature.outputs
    missing = [] if declared is not None else ["outputs"]
    if signature is None or signature.inputs is None:
        missing.insert(0, "inputs")
    if missing:
        way = "" if missing != ["outputs"] else " Or pass result_type."
        no_signature = "the model has no signature"
        part = f"the model's signature has no {' and no '.join(missing)}"
        raise MissingSignatureError(
            f"{directory.path}: {no_signature if signature is None else part}: "
            "its inputs and outputs are unknown. Set one: "
            f"sparksig.set_signature({str(directory.path)!r}, sparksig.infer_signature(data, prediction)); "
            f"or save it with one, or with an input_example.{way}"
        )
    assert signature is not None
    assert signature.inputs is not None
    assert declared is not None
    return signature.inputs, declared, signature.params


def pin_directory(directory: ModelDirectory) -> tuple[str, ModelDirectory]:
    """Return the digest of a directory's content, and the directory with the digests of its files."""
    pinned = directory
    if directory.digests is None:
        pinned = replace(directory, digests=hash_files(directory.path))
    return combine_digests(pinned.digests or {}), pinned


def share_directory(digest: str, pinned: ModelDirectory) -> Path:
    """Return a path from which the processes of this machine can read a model until this process ends.

    If the model opens its files itself, without verification, the path is a private copy.
    """
    if not flavors.opens_files(pinned):
        return pinned.path
    copied = _PRIVATE[digest] = _PRIVATE.get(digest) or pinned.snapshot()
    return copied.path


_PRIVATE: dict[str, ModelDirectory] = {}
"""The private copies by their digests, which exist until this process ends."""
