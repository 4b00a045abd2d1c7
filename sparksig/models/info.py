"""Reading the description of a model directory, and replacing its signature."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelDamagedError,
    SignatureTypeError,
    SparksigWarning,
    UnsupportedError,
    name_type,
    quote,
)
from sparksig.models import flavors
from sparksig.models.directory import EXAMPLE_INFO, ModelDirectory, replace_mlmodel
from sparksig.models.examples import read_example
from sparksig.models.registry import fetch_model, is_logged, is_remote, redact_uri
from sparksig.models.seal import digest
from sparksig.models.tracking import replace_logged_mlmodel
from sparksig.models.versions import list_differences
from sparksig.params import ParamSchema
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType
from sparksig.views import TextView, format_facts, format_size
from sparksig.walks import walk


class ExampleMismatchWarning(SparksigWarning):
    """A warning that the input example of a model does not fit its new signature."""


@dataclass(frozen=True, repr=False)
class ModelInfo(TextView):
    """A description of a model directory, as :func:`get_model_info` and ``LoadedModel.metadata`` return it.

    Attributes:
        model_uri: the path or URI that the caller passed.
        signature: the model's contract, or None.
        flavors: the formats that the model can be loaded as, with the configuration of each.
        loader_module: the module that loads the model; None without the flavor ``python_function``, which
            :func:`sparksig.load_model` needs.
        metadata: the metadata passed to :func:`sparksig.save_model`, or None.
        model_uuid: a unique identifier of this saved model, or None.
        utc_time_created: the time of saving, in UTC.
        mlflow_version: the version of MLflow that saved the model; None if sparksig saved it.
        run_id: the MLflow run that the model belongs to, or None.
        model_id: MLflow's identifier of a logged model, or None.
        model_size_bytes: the size of the files at the time of saving, or None.
        saved_input_example_info: the type and the files of the input example, or None.
        version_mismatches: the packages whose installed versions differ from those at the time of saving.
        digest: the SHA-256 of the content, for pinning the model.
        registered_model_version: the version under which :func:`~sparksig.log_model` registered it, or None.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], input_example={"x": 1.5})
        >>> info = get_model_info(home)
        >>> info.loader_module, info.signature.inputs, info.version_mismatches
        ('sparksig.models.flavors.python', ['x': double (required)], ())
    """

    model_uri: str
    signature: ModelSignature | None
    flavors: Mapping[str, Any]
    loader_module: str | None
    metadata: Mapping[str, Any] | None
    model_uuid: str | None
    utc_time_created: str | None
    mlflow_version: str | None
    run_id: str | None
    model_id: str | None
    model_size_bytes: int | None
    saved_input_example_info: Mapping[str, Any] | None
    version_mismatches: tuple[str, ...]
    digest: str
    registered_model_version: str | None = None

    def get_input_schema(self) -> Schema | None:
        """Return the inputs of the signature, or None."""
        return None if self.signature is None else self.signature.inputs

    def get_output_schema(self) -> Schema | None:
        """Return the outputs of the signature, or None."""
        return None if self.signature is None else self.signature.outputs

    def get_params_schema(self) -> ParamSchema | None:
        """Return the params of the signature, or None."""
        return None if self.signature is None else self.signature.params

    def __str__(self) -> str:
        size = None if self.model_size_bytes is None else format_size(self.model_size_bytes)
        facts = [
            ("model", self.model_uri),
            ("flavors", ", ".join(self.flavors)),
            ("saved", self.utc_time_created),
            ("size", size),
            ("digest", self.digest),
            ("run", self.run_id),
            ("version", self.registered_model_version),
            ("mismatches", ", ".join(self.version_mismatches)),
        ]
        signature = "no signature" if self.signature is None else self.signature.to_text()
        return "\n".join([*format_facts(facts), signature])

    def to_dict(self) -> dict[str, Any]:
        """Return the description under the keys of the MLmodel file; unknown values are omitted.

        Example:
            >>> import tempfile, sparksig
            >>> home = tempfile.mkdtemp()
            >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], input_example={"x": 1.5})
            >>> sparksig.get_model_info(home).to_dict()["signature"]["inputs"]
            '[{"type": "double", "name": "x", "required": true}]'
        """
        description = {name: getattr(self, name) for name in _MLMODEL_KEYS}
        if self.signature is not None:
            description["signature"] = self.signature.to_dict()
            description["is_signature_from_type_hint"] = self.signature._is_signature_from_type_hint
            description["type_hint_from_example"] = self.signature._is_type_hint_from_example
        return {name: value for name, value in description.items() if value is not None}


_MLMODEL_KEYS = (
    "flavors",
    "metadata",
    "mlflow_version",
    "model_id",
    "model_size_bytes",
    "model_uuid",
    "run_id",
    "saved_input_example_info",
    "utc_time_created",
)


def get_model_info(model: str | os.PathLike[str]) -> ModelInfo:
    """Describe a model directory without loading the model.

    Args:
        model: a directory, or a URI that :func:`sparksig.load_model` accepts.

    Returns:
        The content of MLmodel, the differences from the installed packages, and the digest.

    Raises:
        ModelNotFoundError: there is no model directory.
        ModelDamagedError: it is malformed, or contains symbolic links.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], metadata={"team": "growth"})
        >>> info = get_model_info(home)
        >>> info.metadata, info.signature, len(info.digest)
        ({'team': 'growth'}, None, 64)
    """
    return describe(ModelDirectory.read(fetch_model(model)), redact_uri(model))


def describe(directory: ModelDirectory, model_uri: str) -> ModelInfo:
    """Describe a directory whose MLmodel was read."""
    config = directory.config

    def read_text(name: str) -> str | None:
        return None if config.get(name) is None else str(config[name])

    size = config.get("model_size_bytes")
    return ModelInfo(
        model_uri=model_uri,
        signature=directory.signature,
        flavors=dict(config["flavors"]),
        loader_module=_read_loader_module(directory),
        metadata=directory.read_mapping("metadata"),
        model_uuid=read_text("model_uuid"),
        utc_time_created=read_text("utc_time_created"),
        mlflow_version=read_text("mlflow_version"),
        run_id=read_text("run_id"),
        model_id=read_text("model_id"),
        model_size_bytes=size if type(size) is int else None,
        saved_input_example_info=directory.read_mapping(EXAMPLE_INFO),
        version_mismatches=tuple(map(str, list_differences(directory))),
        digest=digest(directory.path),
    )


def _read_loader_module(directory: ModelDirectory) -> str | None:
    if directory.get_flavor("python_function") is None:
        return None
    flavors.find_flavor(directory)  # raises unless the loader module is valid
    return str(directory.pyfunc["loader_module"])


def set_signature(model: str | os.PathLike[str], signature: ModelSignature) -> None:
    """Replace the signature of a model directory or of a logged model.

    Only the MLmodel file and the seal change, and therefore the digest. A crash at any point leaves the old
    or the new directory. Logged models are changed through the installed MLflow client.

    Args:
        model: a local directory, ``runs:/<run_id>/<name>`` or ``models:/<model_id>``.
        signature: the new contract.

    Raises:
        SignatureTypeError: ``signature`` is not a ModelSignature.
        ModelError: there is no model directory, it is damaged, or another process changed it meanwhile.
        UnsupportedError: the model is a version of a registered model, which is immutable, or a directory in
            an object store.
        MissingDependencyError: the URI needs MLflow, which is not installed.

    Warns:
        ExampleMismatchWarning: the model's input example does not fit the new signature.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2)
        >>> set_signature(home, sparksig.infer_signature({"x": 1.5}, [3.0]))
        >>> sparksig.load_model(home, allow_pickle=True).predict({"x": "1.5"})
        Traceback (most recent call last):
        sparksig.errors.ContractError: the data does not fit the schema: 1 finding
          - x: expected double, got string (strings are not converted to or from other types:
            cast it explicitly) [TYPE_MISMATCH]
    """
    signature = from_mlflow(signature)
    if not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature, not {name_type(signature)}")

    def change(directory: ModelDirectory) -> None:
        config = {
            **directory.config,
            "signature": signature.to_dict(),
            "is_signature_from_type_hint": signature._is_signature_from_type_hint,
            # a property of the model's type hint, which a new signature does not change
            "type_hint_from_example": directory.config.get("type_hint_from_example") is True
            or signature._is_type_hint_from_example,
        }
        replace_mlmodel(directory, config)
        _compare_example(ModelDirectory.read(directory.path), redact_uri(model))

    if is_logged(model):
        replace_logged_mlmodel(str(model), change)
        return
    if is_remote(model):
        raise UnsupportedError(
            f"cannot set the signature of {redact_uri(model)!r}, because the model is not local. Download "
            "the directory, call set_signature() on it, and upload it again"
        )
    change(ModelDirectory.read(fetch_model(model)))


def _compare_example(directory: ModelDirectory, model_uri: str) -> None:
    from sparksig.engine.frames import build_model_input

    signature = directory.signature
    if signature is None or signature.inputs is None or signature._is_signature_from_type_hint:
        return
    try:
        example = read_example(directory)
        if example is not None:
            build_model_input(example, signature.inputs)
    except (ContractError, ModelDamagedError) as error:
        warnings.warn(
            f"{model_uri}: the saved input example does not fit the new signature: {error}",
            ExampleMismatchWarning,
            stacklevel=4,
        )


# --- registries -----------------------------------------------------------------------------------------


def registrable(signature: ModelSignature | None) -> list[Finding]:
    """List the reasons why Unity Catalog would refuse a model with this signature.

    The catalog accepts models whose signature has inputs and outputs, all of concrete types. Source of the
    rule: Databricks' documentation of models in Unity Catalog.

    Args:
        signature: the model's signature, or None.

    Returns:
        A finding for each offending column; empty if the model can be registered.

    Raises:
        SignatureTypeError: ``signature`` is neither a ModelSignature nor None.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> for finding in registrable(ModelSignature(Schema([ColSpec(AnyType(), "x")]))):
        ...     print(finding)
        inputs.x: expected a concrete type, got Any (declare its type) [UNSUPPORTED_TYPE]
        outputs: expected a schema, got nothing (infer one: infer_signature(data, prediction)) [MISSING_KEY]
    """
    signature = from_mlflow(signature)
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {name_type(signature)}")
    findings = []
    for side in ("inputs", "outputs"):
        schema: Schema | None = None if signature is None else getattr(signature, side)
        if schema is None:
            hint = "infer one: infer_signature(data, prediction)"
            findings.append(Finding(Code.MISSING_KEY, side, "a schema", "nothing", hint))
            continue
        for index, spec in enumerate(schema):
            path = f"{side}.{quote(spec.name)}" if spec.name is not None else f"{side}[{index}]"
            if isinstance(spec, ColSpec):
                parts = walk(spec.type, path)
                findings += [_report_type(where, "Any") for where, part in parts if isinstance(part, AnyType)]
            elif spec.type.kind == "O":
                findings.append(_report_type(path, "a tensor of objects"))
    return findings


def _report_type(path: str, actual: str) -> Finding:
    return Finding(Code.UNSUPPORTED_TYPE, path, "a concrete type", actual, "declare its type")
