"""What a model directory says of itself, and giving it another signature."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelDamagedError,
    SignatureTypeError,
    UnsupportedError,
    kind,
    step,
)
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory, replace_mlmodel
from sparksig.models.environment import mismatches
from sparksig.models.examples import read_example
from sparksig.models.registry import is_logged, is_remote, local_path, shown
from sparksig.models.seal import digest
from sparksig.models.tracking import replace_logged_mlmodel
from sparksig.params import ParamSchema
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType
from sparksig.walks import walk

__all__ = [
    "ExampleMismatchWarning",
    "ModelInfo",
    "describe",
    "get_model_info",
    "registrable",
    "set_signature",
]


class ExampleMismatchWarning(UserWarning):
    """The input example that lies beside a model does not fit its signature any more."""


@dataclass(frozen=True)
class ModelInfo:
    """A description of a model directory, as :func:`get_model_info` and ``LoadedModel.metadata`` return it.

    Attributes:
        model_uri: where it is, as it was asked for.
        signature: its contract, or None.
        flavors: the formats it can be loaded as, with what each says.
        loader_module: the module that loads it; None without the flavor ``python_function``, which
            :func:`sparksig.load_model` needs.
        metadata: what the one who saved it kept beside.
        model_uuid: what tells this saving from all others; None where the directory does not say.
        utc_time_created: when it was saved, in UTC.
        mlflow_version: of the MLflow that saved it; None where it was not MLflow.
        run_id: the MLflow run it belongs to, or None.
        model_id: MLflow's identity of a logged model, or None.
        model_size_bytes: what its files took when it was saved, or None.
        saved_input_example_info: where its input example is, or None.
        version_mismatches: the packages that are installed in other versions than it was saved with.
        digest: the SHA-256 of its content, to pin it.
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
    digest: str = field(repr=False)
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

    def to_dict(self) -> dict[str, Any]:
        """Return the description under the keys of the MLmodel file; unknown values are left out.

        Example:
            >>> import tempfile, sparksig
            >>> home = tempfile.mkdtemp()
            >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], input_example={"x": 1.5})
            >>> sparksig.get_model_info(home).to_dict()["signature"]["inputs"]
            '[{"type": "double", "name": "x", "required": true}]'
        """
        described = {name: getattr(self, name) for name in _MLMODEL_KEYS}
        if self.signature is not None:
            described["signature"] = self.signature.to_dict()
            described["is_signature_from_type_hint"] = self.signature._is_signature_from_type_hint
            described["type_hint_from_example"] = self.signature._is_type_hint_from_example
        return {name: value for name, value in described.items() if value is not None}


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


def get_model_info(model_uri: str | os.PathLike[str]) -> ModelInfo:
    """What a model directory says of itself, without loading anything of it.

    Args:
        model_uri: a directory, or a URI as :func:`sparksig.load_model` takes it.

    Returns:
        What its MLmodel says, what of it differs from the installed packages, and its digest.

    Raises:
        ModelNotFoundError: there is no model directory.
        ModelDamagedError: it is malformed, or holds links.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], metadata={"team": "growth"})
        >>> info = get_model_info(home)
        >>> info.metadata, info.signature, len(info.digest)
        ({'team': 'growth'}, None, 64)
    """
    return describe(ModelDirectory.read(local_path(model_uri)), shown(model_uri))


def describe(directory: ModelDirectory, model_uri: str) -> ModelInfo:
    """Describe a directory that was read.

    Args:
        directory: the directory.
        model_uri: the URI that the description names.

    Raises:
        ModelDamagedError: it is malformed, or holds links.
    """
    config = directory.config

    def text(name: str) -> str | None:
        return None if config.get(name) is None else str(config[name])

    def mapping(name: str) -> Mapping[str, Any] | None:
        held = config.get(name)
        if held is not None and not isinstance(held, Mapping):
            raise ModelDamagedError(f"{directory.path}: {name} is a mapping, not {kind(held)}")
        return held

    size = config.get("model_size_bytes")
    return ModelInfo(
        model_uri=model_uri,
        signature=directory.signature,
        flavors=dict(config["flavors"]),
        loader_module=_loader(directory),
        metadata=mapping("metadata"),
        model_uuid=text("model_uuid"),
        utc_time_created=text("utc_time_created"),
        mlflow_version=text("mlflow_version"),
        run_id=text("run_id"),
        model_id=text("model_id"),
        model_size_bytes=size if type(size) is int else None,
        saved_input_example_info=mapping("saved_input_example_info"),
        version_mismatches=tuple(mismatches(directory)),
        digest=digest(directory.path),
    )


def _loader(directory: ModelDirectory) -> str | None:
    if directory.flavor("python_function") is None:
        return None
    flavors.of(directory)  # which sees that there is one
    return str(directory.pyfunc["loader_module"])


def set_signature(model_uri: str | os.PathLike[str], signature: ModelSignature) -> None:
    """Replace the signature of a model directory or of a logged model.

    Only the MLmodel file and the seal change, and with them the digest. A crash at any point leaves the old
    directory or the new one. Logged models are changed through the installed MLflow client.

    Args:
        model_uri: a local directory, ``runs:/<run_id>/<name>`` or ``models:/<model_id>``.
        signature: the new contract.

    Raises:
        SignatureTypeError: ``signature`` is no ModelSignature.
        ModelError: there is no model directory, it is damaged, or somebody else changed it meanwhile.
        UnsupportedError: a version of a registered model, which never changes, or a directory in an object
            store.
        MissingDependencyError: a URI of MLflow without MLflow.

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
          - x: expected double, found string (text and other types are never converted into each other:
            cast it on purpose) [TYPE_MISMATCH]
    """
    signature = from_mlflow(signature)
    if not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature, not {kind(signature)}")

    def change(directory: ModelDirectory) -> None:
        config = {
            **directory.config,
            "signature": signature.to_dict(),
            "is_signature_from_type_hint": signature._is_signature_from_type_hint,
            # the model's own type hint says so, whatever the signature
            "type_hint_from_example": directory.config.get("type_hint_from_example") is True
            or signature._is_type_hint_from_example,
        }
        replace_mlmodel(directory, config)
        _compare_example(ModelDirectory.read(directory.path), shown(model_uri))

    if is_logged(model_uri):
        replace_logged_mlmodel(str(model_uri), change)
        return
    if is_remote(model_uri):
        raise UnsupportedError(
            f"the signature of {shown(model_uri)!r} cannot be set, because it is not local: download the "
            "directory, call set_signature there, and upload it again"
        )
    change(ModelDirectory.read(local_path(model_uri)))


def _compare_example(directory: ModelDirectory, place: str) -> None:
    from sparksig.engine.frames import model_input

    signature = directory.signature
    if signature is None or signature.inputs is None or signature._is_signature_from_type_hint:
        return
    try:
        example = read_example(directory)
        if example is not None:
            model_input(example, signature.inputs)
    except (ContractError, ModelDamagedError) as error:
        warnings.warn(
            f"{place}: the saved input example does not fit the new signature: {error}",
            ExampleMismatchWarning,
            stacklevel=4,
        )


# --- registries -----------------------------------------------------------------------------------------


def registrable(signature: ModelSignature | None) -> list[Finding]:
    """What keeps a model with this signature out of Unity Catalog; empty where nothing does.

    The catalog takes models whose signature has inputs and outputs, all of concrete types. Source of the
    rule: Databricks' documentation of models in Unity Catalog.

    Args:
        signature: the model's, or None if it has none.

    Returns:
        A finding for each column that stands in the way.

    Raises:
        SignatureTypeError: ``signature`` is neither.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> for finding in registrable(ModelSignature(Schema([ColSpec(AnyType(), "x")]))):
        ...     print(finding)
        inputs.x: expected a concrete type, found Any (declare what it holds) [UNSUPPORTED_TYPE]
        outputs: expected a schema, found nothing (infer one: infer_signature(data, prediction)) [MISSING_KEY]
    """
    signature = from_mlflow(signature)
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {kind(signature)}")
    findings = []
    for side in ("inputs", "outputs"):
        schema: Schema | None = None if signature is None else getattr(signature, side)
        if schema is None:
            hint = "infer one: infer_signature(data, prediction)"
            findings.append(Finding(Code.MISSING_KEY, side, "a schema", "nothing", hint))
            continue
        for index, spec in enumerate(schema):
            path = f"{side}.{step(spec.name)}" if spec.name is not None else f"{side}[{index}]"
            if isinstance(spec, ColSpec):
                parts = walk(spec.type, path)
                findings += [_finding(where, "Any") for where, part in parts if isinstance(part, AnyType)]
            elif spec.type.kind == "O":
                findings.append(_finding(path, "a tensor of objects"))
    return findings


def _finding(path: str, found: str) -> Finding:
    return Finding(Code.UNSUPPORTED_TYPE, path, "a concrete type", found, "declare what it holds")
