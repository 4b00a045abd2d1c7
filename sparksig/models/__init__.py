"""Model directories: saving, loading, predicting. The layout is MLflow's, both ways."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from sparksig.enforce.frames import model_input
from sparksig.enforce.predictions import check
from sparksig.errors import ModelError, SignatureError, SignatureTypeError, UnsupportedError, kind
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory, new_directory, write_mlmodel
from sparksig.models.python_model import PythonModel, hinted_schemas
from sparksig.models.trust import Trust, type_names
from sparksig.params import enforce_params
from sparksig.signature import ModelSignature

__all__ = ["LoadedModel", "load_model", "save_model"]


class LoadedModel:
    """A model in memory, with its contract around it. Made by :func:`load_model`.

    Attributes:
        signature: its contract, or None.
        path: the directory it came from.
    """

    def __init__(self, directory: ModelDirectory, predictor: flavors.Predictor) -> None:
        self.path = directory.path
        self.signature = directory.signature
        self._predictor = predictor

    def __repr__(self) -> str:
        return f"LoadedModel({str(self.path)!r})"

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """One prediction for each row of ``data``: input, params and output enforced by the signature.

        Args:
            data: whatever :func:`~sparksig.enforce` takes for the signature's inputs; rows for a type
                hint, if the signature comes from one; anything, if the model has no signature.
            params: values for the model's params.

        Returns:
            What the model returned.

        Raises:
            ContractError: the data or a param breaks the signature; all findings.
            PredictionError: what the model returned breaks it.

        Warns:
            UnknownParamWarning: a param that the signature does not know; it is dropped.
        """
        signature = self.signature
        inputs = signature.inputs if signature else None
        # a type hint's contract is kept by the model itself, which takes a list and no frame
        as_given = inputs is None or (signature is not None and signature._is_signature_from_type_hint)
        frame = data if as_given or inputs is None else model_input(data, inputs)
        given = enforce_params(params, signature.params if signature else None)
        prediction = self._predictor(frame, given)
        if signature and signature.outputs is not None:
            check(prediction, signature.outputs, None if inputs is None else _rows(frame))
        return prediction

    def predict_raw(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The model's own prediction, nothing enforced: for callers that enforce around it."""
        return self._predictor(model_input, params)


def _rows(data: Any) -> int | None:
    """How many rows a model was given; None where it cannot be said."""
    if isinstance(data, dict):  # of tensors
        data = next(iter(data.values()), None)
    if hasattr(data, "shape"):
        return int(data.shape[0]) if data.shape else None
    return len(data) if isinstance(data, list) else None


def load_model(
    path: str | os.PathLike[str],
    *,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
) -> LoadedModel:
    """Load a model directory, written here or by MLflow.

    Args:
        path: the directory.
        allow_pickle: code in the directory may run: needed for pickles. Pass it only for a model whose
            origin you trust.
        digest: refuse the directory unless its content has this digest. A pinned model may run code; what
            a skops file holds is still checked against ``trusted_types``.
        trusted_types: what a skops file may hold beyond the types that are safe by themselves.

    Raises:
        ModelNotFoundError: there is no model directory.
        ModelDamagedError: it is malformed, incomplete, or not the pinned one.
        ModelNotTrustedError: loading would execute code, and it was not allowed.
        UnsupportedError: a format that sparksig does not load yet.
        MissingDependencyError: the format's package is not installed.
    """
    directory = ModelDirectory.read(path)
    trust = Trust(allow_pickle, digest, type_names(trusted_types))
    trust.verify(directory)
    with _no_bytecode():
        return LoadedModel(directory, flavors.of(directory).load(directory, trust))


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """What a model imports from its own directory leaves nothing there: it would change the digest."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def save_model(
    path: str | os.PathLike[str],
    model: Any,
    signature: ModelSignature | None = None,
    *,
    trusted_types: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as a directory that MLflow loads as well: whole, or not at all.

    Args:
        path: where to; nothing may be there yet but an empty directory.
        model: a :class:`PythonModel` (kept by cloudpickle) or a scikit-learn estimator (kept by skops).
        signature: its contract. Where a PythonModel's type hint ``list[X]`` says what it takes, the hint
            is the contract: a signature may add outputs and params to it.
        trusted_types: the types beyond skops' own that the estimator holds and you trust.
        metadata: anything JSON-like to keep in MLmodel.

    Raises:
        OutputRefusedError: something is at ``path`` already.
        ModelNotTrustedError: the estimator holds types that are not in ``trusted_types``.
        SignatureTypeError: ``signature`` is no ModelSignature.
        SignatureError: its inputs are others than the model's type hint says, or the hint is
            TypeFromExample and there is no signature.
        UnsupportedError: a kind of model that sparksig does not save yet.
        MissingDependencyError: the format's package is not installed.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ModelError(f"metadata must be a mapping, not {kind(metadata)}")
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {kind(signature)}")
    flavor = next((flavor for flavor in flavors.ALL if flavor.takes(model)), None)
    if flavor is None:
        raise UnsupportedError(
            f"{kind(model)} cannot be saved yet: so far a sparksig.PythonModel or a scikit-learn estimator"
        )
    contract = _with_hints(model, signature)
    with new_directory(path) as staging:
        entries = flavor.save(model, staging, type_names(trusted_types))
        _write_environment(staging, [*_REQUIRED, *flavor.requirements()])
        entries["python_function"]["env"] = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
        size = sum(file.stat().st_size for file in staging.rglob("*") if file.is_file())
        config: dict[str, Any] = {
            "flavors": entries,
            "model_uuid": uuid.uuid4().hex,
            "utc_time_created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f"),
            "model_size_bytes": size,
        }
        if contract is not None:
            config |= {
                "signature": contract.to_dict(),
                "is_signature_from_type_hint": contract._is_signature_from_type_hint,
                "type_hint_from_example": False,  # which MLflow needs a saved example for
            }
        if metadata is not None:
            config["metadata"] = dict(metadata)
        write_mlmodel(staging, config)


def _with_hints(model: Any, signature: ModelSignature | None) -> ModelSignature | None:
    """The signature, completed by what a PythonModel's type hints say."""
    if not isinstance(model, PythonModel):
        return signature
    inputs, outputs = hinted_schemas(model, signature)
    if inputs is None:
        return signature
    declared = None if signature is None else signature.inputs
    if declared not in (None, inputs):
        raise SignatureError(
            f"the signature's inputs {declared!r} are not those of the model's type hint {inputs!r}: "
            "leave the inputs out, or take the type hint away"
        )
    contract = ModelSignature(
        inputs,
        outputs if signature is None or signature.outputs is None else signature.outputs,
        None if signature is None else signature.params,
    )
    contract._is_signature_from_type_hint = True
    return contract


_REQUIRED = ("sparksig", "numpy", "pandas", "pyarrow")


def _write_environment(directory: Path, packages: Sequence[str]) -> None:
    """What MLflow needs to build an environment for the model: three files that say the same."""
    pins = []
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            pins.append(f"{package}=={metadata.version(package)}")
    python = platform.python_version()
    conda = [
        "name: mlflow-env",
        "channels:",
        "- conda-forge",
        "dependencies:",
        f"- python={python}",
        "- pip",
        "- pip:",
    ]
    (directory / "requirements.txt").write_text("\n".join(pins) + "\n")
    (directory / "conda.yaml").write_text("\n".join([*conda, *(f"  - {pin}" for pin in pins)]) + "\n")
    (directory / "python_env.yaml").write_text(
        f"python: {python}\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n"
    )
