"""Saving a model atomically: its files, its signature, its example and its environment."""

from __future__ import annotations

import datetime
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksig.convert.mlflow import from_mlflow
from sparksig.engine.selection import select_features
from sparksig.engine.text_dtypes import OBJECTS
from sparksig.engine.texts import find_example_dtypes
from sparksig.errors import (
    ContractError,
    ModelError,
    SignatureError,
    SignatureTypeError,
    UnsupportedError,
    name_type,
)
from sparksig.infer import infer_signature
from sparksig.models import flavors
from sparksig.models.code import CODE, copy_code
from sparksig.models.dependencies import detect_packages, find_packages, inspect_pickle
from sparksig.models.directory import (
    EXAMPLE_INFO,
    TEXT_DTYPES,
    ModelDirectory,
    create_directory,
    write_mlmodel,
    write_seal,
)
from sparksig.models.examples import split_example, write_example
from sparksig.models.features import KEY, choose_feature_names
from sparksig.models.flavors.interface import Flavor, HasTextDtypes, Predictor, SaveOptions
from sparksig.models.flavors.loader_module import LoaderModule
from sparksig.models.info import ModelInfo, get_model_info
from sparksig.models.model_code import convert_code_errors, run_model_code
from sparksig.models.python_model import (
    SignatureMismatchWarning,
    as_callable_model,
    as_python_model,
    convert_to_rows,
    get_hint_schemas,
    is_from_example,
)
from sparksig.models.registry import fetch_path, is_remote, redact_uri
from sparksig.models.seal import MLMODEL
from sparksig.models.trust import check_type_names
from sparksig.models.verification import verify_example
from sparksig.models.versions import write_environment
from sparksig.schema import Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType


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
    pip_requirements: str | os.PathLike[str] | Sequence[str] | None = None,
    detect_requirements: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Save a model atomically, as a directory that sparksig and MLflow can load.

    With an input example, the model is loaded back and run on the example, by :meth:`LoadedModel.predict` and
    as a request to a scoring server. The model is not saved if it cannot be loaded, fails on the example,
    returns another number of predictions than the example has rows, or predicts differently than the model in
    memory. Outputs that no signature declares are inferred from the prediction.

    Args:
        path: the directory to create. An empty directory may exist.
        model: a :class:`PythonModel` of sparksig or MLflow or its class, a function or another callable
            object (saved by cloudpickle); a scikit-learn estimator (by skops); a Booster or an estimator of
            XGBoost or LightGBM, or an ONNX model (in their own formats); the path of a Python file that
            builds the model and calls :func:`sparksig.set_model` (a model from code). None with
            ``loader_module``.
        signature: the model's contract. If a PythonModel has a type hint ``list[X]``, the hint is the
            contract, and the signature can only add other parts, for example params.
        input_example: data that the model accepts, or a pair ``(data, params)``. Missing parts of the
            signature are inferred from the example and from the model's prediction for it.
        method: the method that predicts: ``predict``, ``predict_proba``, ``decision_function``,
            ``transform``, ...
        serialization_format: the format of a scikit-learn estimator: "skops", "cloudpickle" or "pickle".
        trusted_types: types to allow in the estimator, in addition to those that skops trusts and the inert
            types of :mod:`sparksig.models.inert_types`.
        artifacts: files and directories, or their URIs, by the names under which a PythonModel finds them in
            its context.
        model_config: the configuration of a PythonModel or a loader module.
        code_paths: Python files and directories that the model imports, to be copied.
        loader_module: the name of a module in ``code_paths`` or in an installed package. Its function
            ``_load_pyfunc(path)`` returns an object with a method ``predict``.
        data_path: the file or directory whose path ``_load_pyfunc`` receives, to be copied.
        extra_pip_requirements: requirements of the model in addition to the detected ones, in pip's syntax.
        pip_requirements: all requirements of the model, or the path of a requirements file; nothing is
            detected.
        detect_requirements: load the model and predict its example in a new Python process, and record the
            packages that it imports. None for True, unless the environment variable
            ``SPARKSIG_DETECT_REQUIREMENTS`` is "false".
        metadata: a JSON-like mapping to store in MLmodel.

    Returns:
        The description of the saved directory, as :func:`sparksig.get_model_info` returns it.

    Raises:
        OutputRefusedError: ``path`` exists already.
        ModelNotTrustedError: the estimator contains types that need permission and are not in
            ``trusted_types``; with the reasons.
        SignatureTypeError: ``signature`` is not a ModelSignature.
        SignatureError: the type hint is TypeFromExample, and there is neither a signature nor an example; or
            an ONNX model would round values of the declared types.
        ContractError: the example does not fit the signature, or the prediction for it (PredictionError).
        InferenceError: no signature can be inferred from the example or its prediction.
        ModelError: an argument does not apply to this kind of model, or the model fails on its example.
        UnsupportedError: sparksig cannot save this kind of model.
        MissingDependencyError: the format's package is not installed.

    Warns:
        RequirementsWarning: the packages that the model imports could not be detected.
        SignatureMismatchWarning: the signature differs from the model's type hint, which is used.

    Example:
        >>> import tempfile
        >>> def doubled(model_input: list[float]) -> list[float]:
        ...     return [value * 2 for value in model_input]
        >>> home = tempfile.mkdtemp()
        >>> info = save_model(home, doubled, input_example=[1.5])
        >>> info.signature.inputs
        [double (required)]
    """
    signature = from_mlflow(signature)
    _check_arguments(signature, metadata, artifacts, model_config)
    if not isinstance(path, (str, os.PathLike)):
        raise ModelError(f"path: expected a path, got {name_type(path)}. Call save_model(path, model)")
    if is_remote(path):
        raise UnsupportedError(
            f"cannot save a model to {redact_uri(path)!r}: only local directories are supported. Save it to "
            "one, and copy it from there"
        )
    path = fetch_path(path)
    code = _find_code_file(model)
    model = _to_model(model if code is None else _run_code(code, model_config), loader_module, data_path)
    flavor = _select_flavor(model, is_code=code is not None)
    _check_options(flavor, method, artifacts, model_config, serialization_format)
    data, params = split_example(input_example)
    data = data if data is None else convert_to_rows(model, data)
    saving = SaveOptions(
        check_type_names(trusted_types),
        method,
        serialization_format,
        _complete_signature(model, signature, data, params),
        {str(name): fetch_path(artifact) for name, artifact in (artifacts or {}).items()},
        model_config,
        loader_module,
        data_path,
        code,
    )
    requirements = _Requirements(extra_pip_requirements or (), pip_requirements, detect_requirements)
    with create_directory(path) as home:
        config = _write_files(home, model, flavor, saving, code_paths or ())
        if metadata is not None:
            config["metadata"] = dict(metadata)
        _complete_directory(home, config, model, flavor, saving, (data, params), requirements)
    return get_model_info(path)


def _complete_directory(
    home: Path,
    config: dict[str, Any],
    model: Any,
    flavor: Flavor,
    saving: SaveOptions,
    example: tuple[Any, dict[str, Any] | None],
    requirements: _Requirements,
) -> None:
    """Add the MLmodel, the example, the requirements and the seal to the files of a model."""
    data, params = example
    features = choose_feature_names(flavor, model, saving, data)
    if features is not None and saving.inputs is not None:
        config["flavors"]["python_function"][KEY] = features
        data = select_features(data, saving.inputs, features)
    _declare_signature(config, saving.signature, has_example=data is not None)
    _record_text_dtypes(config, saving.inputs, data, flavor.create_predictor(model, saving.method))
    write_mlmodel(home, config)
    requirements.write(home, [])  # refuses malformed requirements before the model runs
    if data is not None:
        config[EXAMPLE_INFO] = _write_example(home, data, params, saving.signature)
        write_mlmodel(home, config)
        signature = verify_example(home, model, flavor, saving, (data, params))
        _declare_signature(config, signature, has_example=True)
        write_mlmodel(home, config)
    packages = flavor.list_requirements(ModelDirectory.read(home))
    if data is not None and requirements.are_detected():
        packages += _detect_packages(home, flavor, saving)
    requirements.write(home, packages)
    files = (file for file in home.rglob("*") if file.is_file() and file != home / MLMODEL)
    config["model_size_bytes"] = sum(file.stat().st_size for file in files)
    write_mlmodel(home, config)
    write_seal(home)


# --- arguments ----------------------------------------------------------------------------------------------


def _check_arguments(signature: object, metadata: object, artifacts: object, model_config: object) -> None:
    for name, value in (("metadata", metadata), ("artifacts", artifacts), ("model_config", model_config)):
        if value is not None and not isinstance(value, Mapping):
            raise ModelError(f"{name}: expected a mapping, got {name_type(value)}")
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {name_type(signature)}")


def _find_code_file(model: Any) -> Path | None:
    """Return the Python file of a model from code; None for any other model."""
    if not isinstance(model, (str, os.PathLike)):
        return None
    file = Path(model)
    if file.suffix != ".py" or not file.is_file():
        raise ModelError(
            "model: expected a model, or the path of a Python file that calls sparksig.set_model, got "
            f"{str(file)!r}"
        )
    return file


def _run_code(file: Path, model_config: Mapping[str, Any] | None) -> Any:
    """Return the model that a Python file sets."""
    with convert_code_errors(file):
        return run_model_code(file.read_bytes(), file.absolute(), model_config)


def _to_model(model: Any, loader_module: object, data_path: object) -> Any:
    if loader_module is None:
        if data_path is not None:
            raise ModelError("data_path needs a loader module. Pass loader_module=")
        model = as_python_model(model)
        is_supported = any(flavor.accepts(model) for flavor in flavors.FLAVORS)
        return model if is_supported else as_callable_model(model)
    if model is not None:
        raise ModelError("expected either a model or a loader_module, got both. Remove one of them")
    if not isinstance(loader_module, str) or not all(
        part.isidentifier() for part in loader_module.split(".")
    ):
        raise ModelError("loader_module: expected the name of a module, for example 'package.module'")
    return LoaderModule()


def _select_flavor(model: Any, *, is_code: bool) -> Flavor:
    flavor = next((flavor for flavor in flavors.FLAVORS if flavor.accepts(model)), None)
    if is_code:
        if flavor not in (None, flavors.python.FLAVOR) or not hasattr(model, "load_context"):
            raise UnsupportedError(
                f"a model from code: expected a sparksig.PythonModel or a function, got {name_type(model)}. "
                "Save that model itself, or use it in a PythonModel"
            )
        return flavors.python.FLAVOR
    if flavor is None and isinstance(model, type) and callable(getattr(model, "get_params", None)):
        raise UnsupportedError(
            f"cannot save the class {model.__name__}. Pass an instance: {model.__name__}()"
        )
    if flavor is None:
        raise UnsupportedError(
            f"cannot save {name_type(model)}: expected a sparksig.PythonModel, a function, or a model of "
            "scikit-learn, XGBoost, LightGBM or ONNX. Use any other model in a PythonModel"
        )
    return flavor


def _check_options(
    flavor: Flavor, method: object, artifacts: object, model_config: object, serialization_format: object
) -> None:
    """Refuse options that do not apply to a format."""
    if method not in flavor.methods:
        raise ModelError(f"method: expected one of {', '.join(flavor.methods)}, got {method!r}")
    is_python = flavor is flavors.python.FLAVOR
    if artifacts is not None and not is_python:
        raise ModelError("artifacts= applies only to a PythonModel or a function")
    if model_config is not None and not (is_python or flavor is flavors.loader_module.FLAVOR):
        raise ModelError("model_config= applies only to a PythonModel, a function or a loader module")
    if serialization_format is not None and flavor is not flavors.sklearn.FLAVOR:
        raise ModelError("serialization_format= applies only to a scikit-learn estimator")


# --- the signature ------------------------------------------------------------------------------------------


def _complete_signature(
    model: Any, signature: ModelSignature | None, data: Any, params: Mapping[str, Any] | None
) -> ModelSignature | None:
    """Return the signature as far as type hints, the caller and the example determine it."""
    hint_inputs, hint_outputs = get_hint_schemas(model)
    inputs = _prefer_hint("inputs", hint_inputs, None if signature is None else signature.inputs)
    if is_from_example(model) and inputs is None and data is None:
        raise SignatureError(
            "the type hint of the input is TypeFromExample, but there is no example. Pass input_example=, or "
            "signature=infer_signature(example, ...)"
        )
    if inputs is None and data is not None:
        inputs = infer_signature(data).inputs
    param_schema = None if signature is None else signature.params
    if param_schema is None and params:
        param_schema = infer_signature(params=dict(params)).params
    outputs = _prefer_hint("outputs", hint_outputs, None if signature is None else signature.outputs)
    if inputs is None and outputs is None and param_schema is None:
        return None
    completed = ModelSignature(inputs, outputs, param_schema)
    completed._is_signature_from_type_hint = hint_inputs is not None
    completed._is_type_hint_from_example = is_from_example(model) and data is not None
    return completed


def _prefer_hint(side: str, hint_schema: Schema | None, declared: Schema | None) -> Schema | None:
    """Return the schema of a type hint, or a more precise declared schema; warn if they differ."""
    if hint_schema is None or declared is None:
        return declared if hint_schema is None else hint_schema
    if side == "outputs" and (hint_schema.input_types() in (declared.input_types(), [AnyType()])):
        return declared  # it may have names, or types where the hint has Any
    if declared != hint_schema:
        warnings.warn(
            f"the signature's {side} {declared!r} differ from the model's type hint, which is used: "
            f"{hint_schema!r}. Pass a signature without {side}, or remove the type hint",
            SignatureMismatchWarning,
            stacklevel=4,
        )
    return hint_schema


def _declare_signature(
    config: dict[str, Any], signature: ModelSignature | None, *, has_example: bool
) -> None:
    if signature is None:
        return
    config["signature"] = signature.to_dict()
    config["is_signature_from_type_hint"] = signature._is_signature_from_type_hint
    config["type_hint_from_example"] = signature._is_type_hint_from_example and has_example


def _record_text_dtypes(
    config: dict[str, Any], inputs: Schema | None, data: Any, predictor: Predictor | None
) -> None:
    """Record the dtypes of the example's text columns, so that the loaded model sees the same dtypes."""
    if data is None or inputs is None:
        return
    fitted_dtypes = predictor.infer_text_dtypes(inputs) if isinstance(predictor, HasTextDtypes) else OBJECTS
    dtypes = find_example_dtypes(data, inputs, fitted_dtypes)
    if dtypes.columns:
        config["flavors"]["python_function"][TEXT_DTYPES] = {
            name: dtype.value for name, dtype in dtypes.columns
        }


# --- files --------------------------------------------------------------------------------------------------


def _write_files(
    home: Path, model: Any, flavor: Flavor, saving: SaveOptions, code_paths: Sequence[str | os.PathLike[str]]
) -> dict[str, Any]:
    """Write the model's own files, and return the content of MLmodel so far."""
    code = copy_code(code_paths, home)
    entries: dict[str, Any] = flavor.save(model, home, saving)
    is_python = flavor is flavors.python.FLAVOR
    for name, entry in entries.items():
        if "code" in entry or (name == "python_function" and (code is not None or is_python)):
            entry["code"] = code
    entries["python_function"]["env"] = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    return {
        "flavors": entries,
        "model_uuid": uuid.uuid4().hex,
        "utc_time_created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


@dataclass(frozen=True)
class _Requirements:
    """The arguments of :func:`save_model` about requirements."""

    extra: Sequence[str]
    complete: str | os.PathLike[str] | Sequence[str] | None
    detect: bool | None

    def are_detected(self) -> bool:
        """Return whether the packages that the model imports are to be detected."""
        if self.complete is not None or self.detect is not None:
            return self.complete is None and bool(self.detect)
        return os.environ.get("SPARKSIG_DETECT_REQUIREMENTS", "true").lower() not in ("false", "0")

    def write(self, home: Path, packages: Sequence[str]) -> None:
        """Write the files of the environment."""
        write_environment(home, packages, self.extra, self.complete)


def _detect_packages(home: Path, flavor: Flavor, saving: SaveOptions) -> list[str]:
    """Return the packages that the model imports, got in a new process only if its files are not enough."""
    packages = find_packages(saving.trusted_types)
    has_code = (home / CODE).exists() or saving.model_code is not None
    needs_process = has_code or flavor is flavors.loader_module.FLAVOR
    for file in home.glob("*.pkl"):
        referenced, imports_more = inspect_pickle(file, flavor.list_requirements(ModelDirectory.read(home)))
        packages += referenced
        needs_process = needs_process or imports_more
    return packages + (detect_packages(home, saving.trusted_types) if needs_process else [])


def _write_example(
    home: Path, data: Any, params: Mapping[str, Any] | None, signature: ModelSignature | None
) -> dict[str, str]:
    try:
        return write_example(home, data, params, signature)
    except ContractError as error:
        raise type(error)(
            f"the input example does not fit the signature: {error.message}", error.findings
        ) from None
