"""Saving a model: its files, its contract, its example and its environment, whole or not at all."""

from __future__ import annotations

import datetime
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sparksig.convert.mlflow import from_mlflow
from sparksig.engine.features import select_features
from sparksig.engine.texts import OBJECTS, example_dtypes
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
from sparksig.infer import infer_outputs, infer_signature
from sparksig.infer.outputs import is_record
from sparksig.models import LoadedModel, flavors, load_directory, validate_serving_input
from sparksig.models.agreement import differing_columns, is_same
from sparksig.models.code import CODE, copy_code, without_code
from sparksig.models.dependencies import detect_packages, inspect_pickle, packages_of
from sparksig.models.directory import MLMODEL, TEXT_DTYPES, ModelDirectory, new_directory, seal, write_mlmodel
from sparksig.models.environment import write_environment
from sparksig.models.examples import SERVING_FILE, split_example, write_example
from sparksig.models.features import KEY, names_to_record
from sparksig.models.flavors.interface import Loading, Predictor, Saving, ShowsTexts
from sparksig.models.flavors.loader_module import LoaderModule
from sparksig.models.info import ModelInfo, get_model_info
from sparksig.models.model_code import run_model_code
from sparksig.models.python_model import (
    SignatureMismatchWarning,
    as_callable_model,
    as_python_model,
    hinted_rows,
    hinted_schemas,
    is_from_example,
)
from sparksig.models.registry import fetched, is_remote, local_path, shown
from sparksig.models.trust import Trust, type_names
from sparksig.schema import Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType

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
    pip_requirements: str | os.PathLike[str] | Sequence[str] | None = None,
    detect_requirements: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Write a model as a directory that MLflow loads as well: whole, or not at all.

    With an input example the model is loaded back from what was written, and run on the example as
    :meth:`LoadedModel.predict` and as a scoring server would. A model that cannot be loaded or fails on its
    own example, returns another number of predictions than the example has rows, or predicts something else
    than before, is not saved. Outputs that no signature declares are inferred from the prediction.

    Args:
        path: where to; nothing may be there yet but an empty directory.
        model: a :class:`PythonModel`, or MLflow's, a class of them, a function or another callable object
            (kept by cloudpickle); a scikit-learn estimator (by skops); a Booster or estimator of XGBoost or
            LightGBM, an ONNX model (each in its own format); the path of a Python file that builds the model
            and calls :func:`sparksig.set_model` (a model from code). None with ``loader_module``.
        signature: its contract. Where a PythonModel has a type hint ``list[X]``, the hint is the contract: a
            signature may add what the hint does not say, for example params.
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
        extra_pip_requirements: requirements of the model besides the known and the detected ones, as pip
            takes them.
        pip_requirements: all requirements of the model, or the path of a file of them; nothing is detected.
        detect_requirements: whether to record the packages that the model imports while it is loaded and
            predicts its example, which a new Python process finds out. None for True, unless the environment
            variable ``SPARKSIG_DETECT_REQUIREMENTS`` is "false".
        metadata: anything JSON-like to keep in MLmodel.

    Returns:
        The description of the saved directory, as :func:`sparksig.get_model_info` returns it.

    Raises:
        OutputRefusedError: something is at ``path`` already.
        ModelNotTrustedError: the estimator holds types that need permission and are not in
            ``trusted_types``; the message says why.
        SignatureTypeError: ``signature`` is no ModelSignature.
        SignatureError: the type hint is TypeFromExample and there is neither a signature nor an example; or
            an ONNX model would round what the signature declares.
        ContractError: the example does not fit the signature, or the prediction for it (PredictionError).
        InferenceError: the example, or the prediction for it, has no signature.
        ModelError: an argument does not go with this kind of model; or the model fails on its example.
        UnsupportedError: a kind of model that is not saved here.
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
        raise ModelError(f"a model is saved to a path, not to {kind(path)}: save_model(path, model)")
    if is_remote(path):
        raise UnsupportedError(
            f"models are saved to local directories, not to {shown(path)!r}: copy it from there"
        )
    path = local_path(path)
    code = _code_of(model)
    model = _as_model(model if code is None else _run_code(code, model_config), loader_module, data_path)
    flavor = _flavor_of(model, artifacts, model_config, serialization_format, is_code=code is not None)
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
        code,
    )
    with new_directory(path) as home:
        config = _written(home, model, flavor, saving, code_paths or ())
        features = names_to_record(flavor, model, saving, data)
        if features is not None and contract is not None and contract.inputs is not None:
            config["flavors"]["python_function"][KEY] = features
            data = select_features(data, contract.inputs, features)
        if metadata is not None:
            config["metadata"] = dict(metadata)
        _declare(config, contract, data is not None)
        _record_texts(config, contract, data, flavor.predictor(model, method))
        write_mlmodel(home, config)
        write_environment(home, [], extra_pip_requirements or (), pip_requirements)  # refuses malformed ones
        if data is not None:
            config["saved_input_example_info"] = _write_example(home, data, params, contract)
            write_mlmodel(home, config)
            contract = _try_example(home, model, flavor, saving, data, params, contract)
            _declare(config, contract, True)
            write_mlmodel(home, config)
        packages = flavor.requirements(ModelDirectory.read(home))
        if data is not None and pip_requirements is None and _is_detecting(detect_requirements):
            packages += _detected(home, flavor, saving)
        write_environment(home, packages, extra_pip_requirements or (), pip_requirements)
        files = (file for file in home.rglob("*") if file.is_file() and file != home / MLMODEL)
        config["model_size_bytes"] = sum(file.stat().st_size for file in files)
        write_mlmodel(home, config)
        seal(home)
    return get_model_info(path)


# --- what is asked for ------------------------------------------------------------------------------------


def _check_arguments(signature: object, metadata: object, artifacts: object, model_config: object) -> None:
    for name, value in (("metadata", metadata), ("artifacts", artifacts), ("model_config", model_config)):
        if value is not None and not isinstance(value, Mapping):
            raise ModelError(f"{name} must be a mapping, not {kind(value)}")
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {kind(signature)}")


def _code_of(model: Any) -> Path | None:
    """The Python file of a model from code; None for any other model."""
    if not isinstance(model, (str, os.PathLike)):
        return None
    file = Path(model)
    if file.suffix != ".py" or not file.is_file():
        raise ModelError(
            "a model that is given as a path is a Python file that calls sparksig.set_model, and there is "
            f"none at {str(file)!r}"
        )
    return file


def _run_code(file: Path, model_config: Mapping[str, Any] | None) -> Any:
    """The model that a Python file sets."""
    try:
        return run_model_code(file.read_bytes(), file.absolute(), model_config)
    except (SparksigError, ImportError):
        raise
    except Exception as error:
        raise ModelError(
            f"{file}: the code of the model fails: {type(error).__name__} (see above)"
        ) from error


def _as_model(model: Any, loader_module: object, data_path: object) -> Any:
    if loader_module is None:
        if data_path is not None:
            raise ModelError("data_path is what a loader module loads: pass loader_module, too")
        model = as_python_model(model)
        known = any(flavor.takes(model) for flavor in flavors.ALL)
        return model if known else as_callable_model(model)
    if model is not None:
        raise ModelError("either a model is saved, or a loader_module with its data: not both")
    if not isinstance(loader_module, str) or not all(
        part.isidentifier() for part in loader_module.split(".")
    ):
        raise ModelError("loader_module is the name of a module, as 'package.module'")
    return LoaderModule()


def _flavor_of(
    model: Any, artifacts: object, model_config: object, serialization_format: object, *, is_code: bool
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
    if is_code:
        if flavor not in (None, flavors.python) or not hasattr(model, "load_context"):
            raise UnsupportedError(
                "a model from code is a sparksig.PythonModel or a function, and the file sets "
                f"{kind(model)}: save that model itself, or use it in a PythonModel"
            )
        flavor = flavors.python
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
    hinted, hinted_outputs = hinted_schemas(model)
    inputs = _prefer_hint("inputs", hinted, None if signature is None else signature.inputs)
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
    given = _prefer_hint("outputs", hinted_outputs, None if signature is None else signature.outputs)
    if inputs is None and given is None and known is None:
        return None
    contract = ModelSignature(inputs, given, known)
    contract._is_signature_from_type_hint = hinted is not None
    contract._is_type_hint_from_example = is_from_example(model) and data is not None
    return contract


def _prefer_hint(side: str, hinted: Schema | None, declared: Schema | None) -> Schema | None:
    """Return the schema of a type hint, or a declared schema that says more; warn where they differ."""
    if hinted is None or declared is None:
        return declared if hinted is None else hinted
    if side == "outputs" and (hinted.input_types() in (declared.input_types(), [AnyType()])):
        return declared  # it may name the column, or say more than Any
    if declared != hinted:
        warnings.warn(
            f"the signature's {side} {declared!r} differ from the model's type hint, which is used: "
            f"{hinted!r}. Pass a signature without {side}, or remove the type hint",
            SignatureMismatchWarning,
            stacklevel=4,
        )
    return hinted


def _declare(config: dict[str, Any], contract: ModelSignature | None, has_example: bool) -> None:
    if contract is None:
        return
    config["signature"] = contract.to_dict()
    config["is_signature_from_type_hint"] = contract._is_signature_from_type_hint
    config["type_hint_from_example"] = contract._is_type_hint_from_example and has_example


def _record_texts(
    config: dict[str, Any], contract: ModelSignature | None, data: Any, predictor: Predictor | None
) -> None:
    """Record the dtypes that the text columns of the example have, which is what the model was shown."""
    inputs = None if contract is None else contract.inputs
    if data is None or inputs is None:
        return
    trained_with = predictor.text_dtypes(inputs) if isinstance(predictor, ShowsTexts) else OBJECTS
    shown = example_dtypes(data, inputs, trained_with)
    if shown.columns:
        config["flavors"]["python_function"][TEXT_DTYPES] = {
            name: dtype.value for name, dtype in shown.columns
        }


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


def _is_detecting(detect_requirements: bool | None) -> bool:
    if detect_requirements is None:
        return os.environ.get("SPARKSIG_DETECT_REQUIREMENTS", "true").lower() not in ("false", "0")
    return detect_requirements


def _detected(home: Path, flavor: ModuleType, saving: Saving) -> list[str]:
    """The packages that the model imports; no process is started where its format tells them."""
    packages = packages_of(saving.trusted_types)
    is_open = (home / CODE).exists() or saving.model_code is not None or flavor is flavors.loader_module
    for file in home.glob("*.pkl"):
        referenced, imports_more = inspect_pickle(file, flavor.requirements(ModelDirectory.read(home)))
        packages += referenced
        is_open = is_open or imports_more
    return packages + (detect_packages(home, saving.trusted_types) if is_open else [])


def _write_example(
    home: Path, data: Any, params: Mapping[str, Any] | None, contract: ModelSignature | None
) -> dict[str, str]:
    try:
        return write_example(home, data, params, contract)
    except ContractError as error:
        raise type(error)(
            f"the input example does not fit the signature: {error.message}", error.findings
        ) from None


def _try_example(
    home: Path,
    model: Any,
    flavor: ModuleType,
    saving: Saving,
    data: Any,
    params: Mapping[str, Any] | None,
    contract: ModelSignature | None,
) -> ModelSignature | None:
    """Run the loaded model on its example as predict does; return the contract with the inferred outputs.

    The model is run once on the example as it is, and once on the request that sends it to a server.
    """
    with without_code(home):
        loaded = load_directory(home, Loading(Trust(True, None, saving.trusted_types)))
        prediction = _predicted(loaded, data, params)
        enforced = loaded._enforce_input(data)
        if contract is not None and contract.outputs is None:
            contract = _with_outputs(contract, prediction, loaded._count_rows(enforced), is_record(data))
            loaded.signature = contract
            _check_outputs(loaded, prediction, enforced)
        before = flavor.predictor(model, saving.method, None if contract is None else contract.inputs)
        if before is not None:
            _compare_loaded(before, enforced, prediction)
            _compare_raw(before, data, enforced, prediction)
        _try_request(loaded, (home / SERVING_FILE).read_text(encoding="utf-8"))
    return contract


def _with_outputs(
    contract: ModelSignature, prediction: Any, rows: int | None, record: bool
) -> ModelSignature:
    if prediction is None:
        raise InferenceError(
            "the model returned None for its input example: return one prediction for each row"
        )
    try:
        outputs = infer_outputs(prediction, contract.inputs, rows, record and rows == 1)
    except InferenceError as error:
        message = f"the prediction for the input example has no signature: {error.message}"
        raise InferenceError(f"{message}; pass one with outputs, or no example", error.findings) from None
    completed = ModelSignature(contract.inputs, outputs, contract.params)
    completed._is_signature_from_type_hint = contract._is_signature_from_type_hint
    completed._is_type_hint_from_example = contract._is_type_hint_from_example
    return completed


def _check_outputs(loaded: LoadedModel, prediction: Any, enforced: Any) -> None:
    try:
        loaded._check_prediction(prediction, enforced)
    except PredictionError as error:
        message = f"the prediction for the input example is refused: {error.message}"
        raise PredictionError(message, error.findings) from None


def _try_request(loaded: LoadedModel, request: str) -> None:
    """Send the example to the loaded model as a request, as a scoring server would."""
    try:
        validate_serving_input(loaded, request)
    except PredictionError as error:
        message = f"the prediction for the input example, sent as a request, is refused: {error.message}"
        raise PredictionError(message, error.findings) from None
    except ContractError as error:
        message = f"the input example, sent as a request, is refused: {error.message}"
        raise ContractError(message, error.findings) from None
    except SparksigError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model fails on its input example, sent as a request: {type(error).__name__} (see above)"
        ) from error


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


def _compare_loaded(before: Predictor, enforced: Any, prediction: Any) -> None:
    """Check that the model predicts the same as before it was saved, to the bit."""
    if not is_same(before(enforced, None), prediction):
        raise ModelError(
            f"the model predicts something else for its input example ({kind(prediction)}) once it is "
            "loaded back: its "
            "format does not keep all that it is. Save it as part of a PythonModel"
        )


def _compare_raw(before: Predictor, data: Any, enforced: Any, prediction: Any) -> None:
    """Check that the model predicts the same for the caller's own data as through its signature."""
    columns = differing_columns(before, data, enforced, prediction)
    if columns is None:
        return
    names = f"column{'s' if len(columns) != 1 else ''} {', '.join(columns)}: " if columns else ""
    raise ModelError(
        f"{names}the model predicts something else for its input example as it is than for the example "
        "as the signature declares it. Declare the types that the model was trained with, or pass "
        "an input_example with the dtypes of the training data"
    )
