"""scikit-learn estimators, saved by skops, which runs no code. Pickles need permission to be loaded."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sparksig.engine.text_dtypes import TextDtypes
from sparksig.errors import ModelDamagedError, ModelError, ModelNotTrustedError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    Flavor,
    LoadOptions,
    Predictor,
    SaveOptions,
    convert_errors,
    create_pyfunc_entry,
    get_feature_names,
    get_method,
    require_package,
)
from sparksig.models.flavors.skops_file import SkopsFile, find_untrusted_types
from sparksig.models.flavors.skops_objects import check_objects
from sparksig.models.text_evidence import infer_dtypes
from sparksig.models.trust import Trust, describe_types
from sparksig.schema import Schema

_FILES = {"skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}
_CALLED_BY_MLFLOW = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
_PACKAGES = {"skops": ["skops"], "pickle": [], "cloudpickle": ["cloudpickle"]}


class _SklearnFlavor(Flavor):
    name = "sklearn"
    mlflow_loader = "mlflow.sklearn"
    has_feature_names = True

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        check_object(directory, self.locate_file(directory), self._read_format(directory), loading.trust)
        require_package("sklearn", "a scikit-learn model", "sklearn")

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        file, serialization_format = self.locate_file(directory), self._read_format(directory)
        estimator = read_object(directory, file, serialization_format, loading.trust)
        return self.create_predictor(estimator, self.select_method(directory, loading))

    def accepts(self, model: object) -> bool:
        try:
            from sklearn.base import BaseEstimator
        except ModuleNotFoundError:
            return False
        return isinstance(model, BaseEstimator)

    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        serialization_format = saving.serialization_format or "skops"
        if not isinstance(serialization_format, str) or serialization_format not in _FILES:
            raise ModelError(
                f"serialization_format: expected one of {', '.join(_FILES)}, got {serialization_format!r}"
            )
        self.create_predictor(model, saving.method)  # raises unless the model has the method
        import sklearn

        file = _FILES[serialization_format]
        types = _write_estimator(model, home / file, serialization_format, saving.trusted_types)
        loader = self.mlflow_loader if saving.method in _CALLED_BY_MLFLOW else __name__
        return {
            "python_function": create_pyfunc_entry(loader, model_path=file, predict_fn=saving.method),
            self.name: {
                "code": None,
                "pickled_model": file,
                "serialization_format": serialization_format,
                "sklearn_version": sklearn.__version__,
                # for MLflow, which trusts these types; sparksig trusts the caller and its own list
                "skops_trusted_types": types or None,
            },
        }

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        return ["scikit-learn", *_PACKAGES.get(self._read_format(directory), [])]

    def create_predictor(self, model: Any, method: str, inputs: Schema | None = None) -> Predictor:
        del inputs
        return _EstimatorPredictor(model, method)

    def _read_format(self, directory: ModelDirectory) -> str:
        # old versions of MLflow wrote pickles without naming the format
        return str(self.get_config(directory).get("serialization_format", "pickle"))

    def locate_file(self, directory: ModelDirectory) -> Path:
        file = self.get_config(directory).get("pickled_model")
        return directory.resolve_member(file or directory.pyfunc.get("model_path"))


# --- predicting ---------------------------------------------------------------------------------------------


class _EstimatorPredictor:
    """A method of an estimator, which accepts no params."""

    def __init__(self, model: Any, method: str) -> None:
        self._model = model
        self._function = get_method(model, method)
        self._expects_array = _expects_array(model)
        self.feature_names = get_feature_names(model)

    def __call__(self, model_input: Any, params: Mapping[str, Any] | None) -> Any:
        """Return the raw prediction."""
        del params  # the signature of an estimator has none
        return _group_by_row(self._function(_to_array(model_input) if self._expects_array else model_input))

    def infer_text_dtypes(self, inputs: Schema) -> TextDtypes:
        """Return the dtypes of text columns that the estimator's encoders and imputers show."""
        return infer_dtypes(self._model, inputs)


def _group_by_row(prediction: Any) -> Any:
    """Convert the probabilities of several outputs, a list of one array per output, to one value per row.

    Outputs with as many classes become one array of shape (rows, outputs, classes). Other outputs become a
    dictionary of arrays of shape (rows, classes), by the number of the output.
    """
    if not isinstance(prediction, list) or not prediction:
        return prediction
    if not all(isinstance(part, np.ndarray) and part.ndim == 2 for part in prediction):
        return prediction
    if len({part.shape for part in prediction}) == 1:
        return np.stack(prediction, axis=1)
    return {str(index): part for index, part in enumerate(prediction)}


def _expects_array(model: Any) -> bool:
    """Return whether a model was fitted to an array, and only converts a frame to an array.

    Such a model would warn about the names of a frame, and is slower with one.
    """
    if hasattr(model, "feature_names_in_") or not hasattr(model, "n_features_in_"):
        return False
    estimators, values = _collect_parts(model)
    if any(callable(value) for value in values):
        return False
    return all(
        type(part).__module__.startswith("sklearn.")
        and type(part).__name__ not in _FRAME_ESTIMATORS
        and not hasattr(part, "_sklearn_output_config")  # it may return the index of the frame
        for part in estimators
    )


def _collect_parts(model: Any) -> tuple[list[Any], list[Any]]:
    """Return the estimators in a model, including itself, and all other values in their attributes.

    The params of a model are not enough: its fitted parts need not be among them.
    """
    visited: dict[int, Any] = {}
    estimators, values, pending = [], [], [model]
    while pending:
        part = pending.pop()
        if id(part) in visited:
            continue
        visited[id(part)] = part
        if isinstance(part, (list, tuple, set)):
            pending += part
        elif isinstance(part, Mapping):
            pending += part.values()
        elif isinstance(part, np.ndarray):
            pending += part.ravel().tolist() if part.dtype == object else []
        elif hasattr(part, "fit") and not isinstance(part, type):
            estimators.append(part)
            pending += vars(part).values() if hasattr(part, "__dict__") else []
        else:
            values.append(part)
    return estimators, values


_FRAME_ESTIMATORS = ("ColumnTransformer", "FunctionTransformer")
"""Estimators that use the columns of a frame."""


def _to_array(model_input: Any) -> Any:
    """Convert a frame whose columns have one NumPy dtype to an array; return any other input unchanged."""
    if not hasattr(model_input, "iloc") or model_input.ndim != 2:
        return model_input
    dtypes = set(model_input.dtypes)
    is_plain = len(dtypes) == 1 and all(isinstance(dt, np.dtype) and dt.kind in "fiub" for dt in dtypes)
    return model_input.to_numpy() if is_plain else model_input


# --- reading ------------------------------------------------------------------------------------------------


def check_object(directory: ModelDirectory, file: Path, serialization_format: str, trust: Trust) -> None:
    """Check that an estimator's file may be read, without building any object."""
    if serialization_format == "skops":
        trust.require_types(directory, _inspect_file(directory, file, trust).untrusted)
    elif serialization_format in ("pickle", "cloudpickle"):
        trust.require_code(directory, f"an estimator saved by {serialization_format}")
    else:
        raise UnsupportedError(
            f"{directory.path}: serialization_format: expected one of {', '.join(_FILES)}, got "
            f"{serialization_format!r}"
        )


def read_object(directory: ModelDirectory, file: Path, serialization_format: str, trust: Trust) -> Any:
    """Read an estimator from a file."""
    with convert_errors(f"{file} cannot be read"):
        if serialization_format == "skops":
            inspected = _inspect_file(directory, file, trust)
            try:
                return inspected.build(checks_state=not trust.knows_content)
            except (ModelDamagedError, ModelNotTrustedError) as error:
                raise type(error)(f"{file}: {error}") from error
        with directory.open(file) as stream:
            import cloudpickle

            return cloudpickle.load(stream)  # reads plain pickles too


def _inspect_file(directory: ModelDirectory, file: Path, trust: Trust) -> SkopsFile:
    """Read a skops file and its types, without building any object."""
    require_package("skops", "a model saved by skops", "sklearn")
    with convert_errors(f"{file} is not a skops file"), directory.open_copy(file) as stream:
        _check_size(stream, file)
        return find_untrusted_types(stream, trust.trusted_types)


_MAX_RATIO, _MAX_EXTRA_BYTES = 200, 64 * 2**20


def _check_size(stream: BinaryIO, file: Path) -> None:
    """Refuse an archive that decompresses to many times its size."""
    with zipfile.ZipFile(stream) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    compressed_size = stream.seek(0, io.SEEK_END)
    if size > _MAX_RATIO * compressed_size + _MAX_EXTRA_BYTES:
        raise ModelDamagedError(
            f"{file} decompresses from {compressed_size:,} to {size:,} bytes, which is too large for a model"
        )


# --- writing ------------------------------------------------------------------------------------------------


def _write_estimator(
    model: Any, file: Path, serialization_format: str, trusted: tuple[str, ...]
) -> list[str]:
    """Write the estimator's file, and return the types in it that MLflow has to trust."""
    for package in _PACKAGES[serialization_format]:
        extra = "sklearn" if package == "skops" else "python-model"
        require_package(package, "saving a scikit-learn model", extra)
    if serialization_format == "skops":
        return _write_skops(model, file, trusted)
    with file.open("wb") as stream:
        if serialization_format == "pickle":
            import pickle

            pickle.dump(model, stream)
        else:
            import cloudpickle

            cloudpickle.dump(model, stream)
    return list(trusted)


def _write_skops(model: Any, file: Path, trusted: tuple[str, ...]) -> list[str]:
    import skops.io

    name = type(model).__name__
    try:
        skops.io.dump(model, file)
    except (TypeError, RecursionError) as error:  # an unsupported type, or objects that contain each other
        raise ModelError(
            f"skops cannot write a {name}: {type(error).__name__}: {error}. "
            "Save it with serialization_format='cloudpickle', and load it with allow_pickle=True"
        ) from error
    with file.open("rb") as stream:
        inspected = find_untrusted_types(stream, trusted)
    if inspected.untrusted:
        unknown = list(inspected.untrusted)
        raise ModelNotTrustedError(
            f"a {name} contains types that are not known to be safe: {describe_types(unknown)}. "
            f"If you trust them, pass trusted_types={unknown!r}, both here and when you load the model "
            f"(in a job's configuration, model.trusted_types: {unknown!r})"
        )
    check_objects(model, frozenset(trusted))
    return [*trusted, *(inert_type for inert_type in inspected.inert if inert_type not in trusted)]


FLAVOR = _SklearnFlavor()
_load_pyfunc = FLAVOR.load_for_mlflow
