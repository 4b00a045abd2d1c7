"""Saving a model: its files, its contract, its example and its environment, whole or not at all."""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from sparksig.enforce.frames import model_input
from sparksig.errors import (
    ContractError,
    InferenceError,
    ModelError,
    PredictionError,
    SignatureError,
    SignatureTypeError,
    SparksigError,
    UnsupportedError,
    kind,
)
from sparksig.infer import infer_signature
from sparksig.models import LoadedModel, flavors, load_directory
from sparksig.models.code import copy_code, without_code
from sparksig.models.directory import MLMODEL, ModelDirectory, new_directory, seal, write_mlmodel
from sparksig.models.environment import write_environment
from sparksig.models.examples import split_example, write_example
from sparksig.models.flavors.interface import Loading, Saving
from sparksig.models.flavors.loader_module import LoaderModule
from sparksig.models.python_model import as_python_model, hinted_rows, hinted_schemas, is_from_example
from sparksig.models.registry import fetched, is_remote, local_path, shown
from sparksig.models.trust import Trust, type_names
from sparksig.signature import ModelSignature

__all__ = ["save_model"]


def save_model(
    path: str | os.PathLike[str],
    model: Any = None,
    signature: ModelSignature | None = None,
    *,
    input_example: Any = None,
    method: str = "predict",
    serialization_format: str | None = None,
    trusted_types: Sequence[str] = (),
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    model_config: Mapping[str, Any] | None = None,
    code_paths: Sequence[str | os.PathLike[str]] = (),
    loader_module: str | None = None,
    data_path: str | os.PathLike[str] | None = None,
    extra_pip_requirements: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as a directory that MLflow loads as well: whole, or not at all.

    With an input example the model is loaded back from what was written and run on it: what cannot be loaded,
    fails on its own example, or predicts something else than before, is not saved.

    Args:
        path: where to; nothing may be there yet but an empty directory.
        model: a :class:`PythonModel`, a class of them, or a function (kept by cloudpickle); a scikit-learn
            estimator (by skops); a Booster or estimator of XGBoost or LightGBM, an ONNX model (each in its
            own format). None with ``loader_module``.
        signature: its contract. Where a PythonModel's type hint ``list[X]`` says what it takes, the hint
            is the contract: a signature may add outputs and params to it.
        input_example: data that the model takes, or a pair ``(data, params)``. What the signature does not
            say is inferred from it, and from what the model makes of it.
        method: the method that predicts: ``predict``, ``predict_proba``, ``decision_function``,
            ``transform``, ...
        serialization_format: of a scikit-learn estimator: "skops", "cloudpickle" or "pickle".
        trusted_types: the types in the estimator that you trust, beyond those that skops trusts and the
            inert types of :mod:`sparksig.models.inert_types`.
        artifacts: files and directories, or URIs of them, that a PythonModel finds by these names in its
            context.
        model_config: the configuration that a PythonModel, or a loader module, is given.
        code_paths: Python files and directories that the model imports; they are copied.
        loader_module: the name of a module with a function ``_load_pyfunc(path)``, which gives an object
            with a method ``predict``; among ``code_paths`` or the installed packages.
        data_path: what that function is given the path of; it is copied.
        extra_pip_requirements: what the model needs beside what is known, as pip takes it.
        metadata: anything JSON-like to keep in MLmodel.

    Raises:
        OutputRefusedError: something is at ``path`` already.
        ModelNotTrustedError: the estimator holds types that need permission and are not in
            ``trusted_types``; the message says why.
        SignatureTypeError: ``signature`` is no ModelSignature.
        SignatureError: its inputs are others than the model's type hint says; the hint is TypeFromExample and
            there is neither a signature nor an example; or an ONNX model would round what it declares.
        ContractError: the example does not fit the signature, or the prediction for it (PredictionError).
        InferenceError: the example, or the prediction for it, has no signature.
        ModelError: an argument does not go with this kind of model; or the model fails on its example.
        UnsupportedError: a kind of model that is not saved here.
        MissingDependencyError: the format's package is not installed.

    Example:
        >>> import tempfile
        >>> def doubled(model_input: list[float]) -> list[float]:
        ...     return [value * 2 for value in model_input]
        >>> home = tempfile.mkdtemp()
        >>> save_model(home, doubled, input_example=[1.5])
        >>> ModelDirectory.read(home).signature.inputs
        [double (required)]
    """
    _check_arguments(signature, metadata, artifacts, model_config)
    if not isinstance(path, (str, os.PathLike)):
        raise ModelError(f"a model is saved to a path, not to {kind(path)}: save_model(path, model)")
    if is_remote(path):
        raise UnsupportedError(
            f"models are saved to local directories, not to {shown(path)!r}: copy it from there"
        )
    path = local_path(path)
    model = _as_model(model, loader_module, data_path)
    flavor = _flavor_of(model, artifacts, model_config, serialization_format)
    data, params = split_example(input_example)
    data = data if data is None else hinted_rows(model, data)
    contract = _contract(model, signature, data, params)
    saving = Saving(
        type_names(trusted_types),
        method,
        serialization_format,
        contract,
        {str(name): fetched(place) for name, place in (artifacts or {}).items()},
        model_config,
        loader_module,
        data_path,
    )
    with new_directory(path) as home:
        config = _written(home, model, flavor, saving, code_paths or ())
        if metadata is not None:
            config["metadata"] = dict(metadata)
        _declare(config, contract, data is not None)
        write_mlmodel(home, config)
        write_environment(home, flavor.requirements(ModelDirectory.read(home)), extra_pip_requirements or ())
        if data is not None:
            config["saved_input_example_info"] = _write_example(home, data, params, contract)
            write_mlmodel(home, config)
            contract = _tried(home, model, flavor, saving, data, params, contract)
            _declare(config, contract, True)
        files = (file for file in home.rglob("*") if file.is_file() and file != home / MLMODEL)
        config["model_size_bytes"] = sum(file.stat().st_size for file in files)
        write_mlmodel(home, config)
        seal(home)


# --- what is asked for ------------------------------------------------------------------------------------


def _check_arguments(signature: object, metadata: object, artifacts: object, model_config: object) -> None:
    for name, value in (("metadata", metadata), ("artifacts", artifacts), ("model_config", model_config)):
        if value is not None and not isinstance(value, Mapping):
            raise ModelError(f"{name} must be a mapping, not {kind(value)}")
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {kind(signature)}")


def _as_model(model: Any, loader_module: object, data_path: object) -> Any:
    if loader_module is None:
        if data_path is not None:
            raise ModelError("data_path is what a loader module loads: pass loader_module, too")
        return as_python_model(model)
    if model is not None:
        raise ModelError("either a model is saved, or a loader_module with its data: not both")
    if not isinstance(loader_module, str) or not all(
        part.isidentifier() for part in loader_module.split(".")
    ):
        raise ModelError("loader_module is the name of a module, as 'package.module'")
    return LoaderModule()


def _flavor_of(
    model: Any, artifacts: object, model_config: object, serialization_format: object
) -> ModuleType:
    # an estimator of XGBoost is one of scikit-learn's, too: what is special comes first
    order = (
        flavors.python,
        flavors.xgboost,
        flavors.lightgbm,
        flavors.onnx,
        flavors.sklearn,
        flavors.loader_module,
    )
    flavor = next((flavor for flavor in order if flavor.takes(model)), None)
    if flavor is None and isinstance(model, type) and callable(getattr(model, "get_params", None)):
        raise UnsupportedError(
            f"the class {model.__name__} is not saved, but an object of it is: {model.__name__}()"
        )
    if flavor is None:
        raise UnsupportedError(
            f"{kind(model)} is not saved here: a sparksig.PythonModel, a function, or a model of "
            "scikit-learn, XGBoost, "
            "LightGBM or ONNX is. Anything else can be part of a PythonModel"
        )
    if artifacts is not None and flavor is not flavors.python:
        raise ModelError("artifacts belong to a PythonModel, or a function")
    if model_config is not None and flavor not in (flavors.python, flavors.loader_module):
        raise ModelError("model_config belongs to a PythonModel, a function, or a loader module")
    if serialization_format is not None and flavor is not flavors.sklearn:
        raise ModelError("serialization_format belongs to a scikit-learn estimator")
    return flavor


def _contract(
    model: Any, signature: ModelSignature | None, data: Any, params: Mapping[str, Any] | None
) -> ModelSignature | None:
    """The contract as far as it is known before the model runs: by hints, the caller, the example."""
    hinted, outputs = hinted_schemas(model)
    declared = None if signature is None else signature.inputs
    if hinted is not None and declared not in (None, hinted):
        raise SignatureError(
            f"the signature's inputs {declared!r} are not those of the model's type hint {hinted!r}: "
            "leave the inputs out, or take the type hint away"
        )
    inputs = hinted if hinted is not None else declared
    if is_from_example(model) and inputs is None and data is None:
        raise SignatureError(
            "the input's type hint is TypeFromExample: pass input_example, or "
            "signature=infer_signature(example, ...)"
        )
    if inputs is None and data is not None:
        inputs = infer_signature(data).inputs
    known = None if signature is None else signature.params
    if known is None and params:
        known = infer_signature(params=dict(params)).params
    given = outputs if signature is None or signature.outputs is None else signature.outputs
    if inputs is None and given is None and known is None:
        return None
    contract = ModelSignature(inputs, given, known)
    contract._is_signature_from_type_hint = hinted is not None
    contract._is_type_hint_from_example = is_from_example(model) and data is not None
    return contract


def _declare(config: dict[str, Any], contract: ModelSignature | None, has_example: bool) -> None:
    if contract is None:
        return
    config["signature"] = contract.to_dict()
    config["is_signature_from_type_hint"] = contract._is_signature_from_type_hint
    config["type_hint_from_example"] = contract._is_type_hint_from_example and has_example


# --- what is written --------------------------------------------------------------------------------------


def _written(
    home: Path, model: Any, flavor: ModuleType, saving: Saving, code_paths: Sequence[str | os.PathLike[str]]
) -> dict[str, Any]:
    """The model's own files; the beginning of MLmodel."""
    code = copy_code(code_paths, home)
    entries: dict[str, Any] = flavor.save(model, home, saving)
    for name, entry in entries.items():
        if "code" in entry or (name == "python_function" and (code is not None or flavor is flavors.python)):
            entry["code"] = code
    entries["python_function"]["env"] = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    return {
        "flavors": entries,
        "model_uuid": uuid.uuid4().hex,
        "utc_time_created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _write_example(
    home: Path, data: Any, params: Mapping[str, Any] | None, contract: ModelSignature | None
) -> dict[str, str]:
    try:
        return write_example(home, data, params, contract)
    except ContractError as error:
        raise type(error)(
            f"the input example does not fit the signature: {error.message}", error.findings
        ) from None


def _tried(
    home: Path,
    model: Any,
    flavor: ModuleType,
    saving: Saving,
    data: Any,
    params: Mapping[str, Any] | None,
    contract: ModelSignature | None,
) -> ModelSignature | None:
    """The contract, completed by what the model predicts for its example once it is loaded back."""
    with without_code(home):
        loaded = load_directory(home, Loading(Trust(True, None, saving.trusted_types)))
        prediction = _predicted(loaded, data, params)
        _compare(loaded, flavor.predictor(model, saving.method), data, prediction, contract)
    if contract is None or contract.outputs is not None:
        return contract
    # text comes from estimators as an array of objects, which says nothing as a tensor
    texts = isinstance(prediction, np.ndarray) and prediction.dtype.kind == "O" and prediction.ndim == 1
    try:
        outputs = infer_signature(model_output=prediction.tolist() if texts else prediction).outputs
    except InferenceError as error:
        message = f"the prediction for the input example has no signature: {error.message}"
        raise InferenceError(f"{message}; pass one with outputs, or no example", error.findings) from None
    completed = ModelSignature(contract.inputs, outputs, contract.params)
    completed._is_signature_from_type_hint = contract._is_signature_from_type_hint
    completed._is_type_hint_from_example = contract._is_type_hint_from_example
    return completed


def _predicted(loaded: LoadedModel, data: Any, params: Mapping[str, Any] | None) -> Any:
    try:
        return loaded.predict(data, params)
    except PredictionError as error:
        message = f"the prediction for the input example does not fit the signature: {error.message}"
        raise PredictionError(message, error.findings) from None
    except ContractError as error:
        message = f"the input example does not fit the signature: {error.message}"
        raise ContractError(message, error.findings) from None
    except SparksigError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model fails on its input example: {type(error).__name__} (see above)"
        ) from error


def _compare(
    loaded: LoadedModel, before: Any, data: Any, prediction: Any, contract: ModelSignature | None
) -> None:
    """See that the model predicts the same as before it was saved, to the bit."""
    if before is None:
        return
    inputs = None if contract is None else contract.inputs
    given = data if inputs is None else model_input(data, inputs)
    if not _same(before(given, None), loaded.predict_raw(given, None)):
        raise ModelError(
            f"the model predicts something else for its input example ({kind(prediction)}) once it is "
            "loaded back: its "
            "format does not keep all that it is. Save it as part of a PythonModel"
        )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        return isinstance(other, pd.DataFrame) and one.equals(other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_same(one[k], other[k]) for k in one)
        )
    if hasattr(one, "toarray"):
        one, other = one.toarray(), other.toarray()
    if isinstance(one, (list, tuple)):
        return isinstance(other, (list, tuple)) and len(one) == len(other) and all(map(_same, one, other))
    left, right = np.asarray(one), np.asarray(other)
    if left.dtype.kind == "O" or right.dtype.kind == "O":
        pairs = zip(left.ravel().tolist(), right.ravel().tolist())
        return left.shape == right.shape and all(a is b or a == b or (a != a and b != b) for a, b in pairs)
    return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())
