"""ONNX models, run by onnxruntime: graphs of operators, which contain no Python code.

A graph declares the dtypes of its inputs, and columns that do not widen to them are refused. There is one
exception: models that MLflow saved often declare doubles in the signature, while the graph computes in
float32. Such values are rounded, with a :class:`PrecisionWarning` when the model is loaded. sparksig refuses
to save such a model.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.numpy import dtype_widens, to_numpy
from sparksig.engine.python import to_object_series
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelDamagedError,
    ModelError,
    SignatureError,
    SparksigWarning,
    UnsupportedError,
    name_type,
    quote,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    Flavor,
    LoadOptions,
    Predictor,
    SaveOptions,
    convert_errors,
    create_pyfunc_entry,
    require_package,
)
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import Array, DataType

_FILE = "model.onnx"
_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(string)": "str",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_HARMLESS_OPTIONS = ("execution_mode", "graph_optimization_level")
_THREAD_OPTIONS = ("inter_op_num_threads", "intra_op_num_threads")
_MAX_INLINE_BYTES = 2**30  # the limit of protobuf is 2 GiB


class PrecisionWarning(SparksigWarning):
    """A warning that values are rounded, because a model computes with less precision than its signature."""


class _OnnxFlavor(Flavor):
    name = "onnx"
    mlflow_loader = "mlflow.onnx"
    methods = ("predict",)

    def opens_files(self, directory: ModelDirectory) -> bool:
        return any(True for _ in _list_external_files(self._read_graph(directory)))

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        for package in ("onnx", "onnxruntime"):
            require_package(package, "an ONNX model", "onnx")
        options = self.get_config(directory).get("onnx_session_options") or {}
        if not isinstance(options, Mapping):
            raise ModelDamagedError(
                f"{directory.path}: onnx_session_options: expected a mapping, got {name_type(options)}"
            )
        unsafe = sorted(str(key) for key, value in options.items() if value and not _is_harmless(key, value))
        if unsafe:
            model = f"an ONNX model with the session options {', '.join(unsafe)}"
            loading.trust.require_code(directory, model)
        graph = self._read_graph(directory)
        home = self.locate_file(directory).parent
        for location in _list_external_files(graph):
            if ".." in Path(location).parts or Path(location).is_absolute():
                raise ModelDamagedError(
                    f"{directory.path}: the path {location[:80]!r} of a tensor leads out of the model "
                    "directory"
                )
            directory.resolve_member((home / location).relative_to(directory.path).as_posix())
        if rounded := _find_rounded(directory.signature, _read_input_dtypes(graph)):
            warnings.warn(
                f"{directory.path}: values of {', '.join(rounded)} are rounded, because the model computes "
                "in float32. Declare float in the signature to refuse such values instead",
                PrecisionWarning,
                stacklevel=2,
            )

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        del loading
        file = self.locate_file(directory)
        with convert_errors(f"{file}: onnxruntime cannot load the model"), directory.open(file) as stream:
            model = str(file) if self.opens_files(directory) else stream.read()
            session = _create_session(model, self.get_config(directory))
        return _create_predictor(session, directory.signature is not None)

    def accepts(self, model: object) -> bool:
        return type(model).__name__ == "ModelProto" and type(model).__module__.startswith("onnx")

    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        import onnx

        require_package("onnxruntime", "an ONNX model", "onnx")
        if rounded := _find_rounded(saving.signature, _read_input_dtypes(model)):
            raise SignatureError(
                f"values of {', '.join(rounded)} would be rounded, because the model computes in float32. "
                "Declare them float: infer the signature from data cast to float32"
            )
        is_large = model.ByteSize() > _MAX_INLINE_BYTES
        if not is_large:
            self.create_predictor(model, saving.method)  # raises unless onnxruntime can load the model
        if is_large:  # onnx.save_model removes the weights from the model that it writes
            model, original = onnx.ModelProto(), model
            model.CopyFrom(original)
        onnx.save_model(model, str(home / _FILE), save_as_external_data=is_large)
        is_plain = _returns_columns(model) and _accepts_matrix(model)
        return {
            "python_function": create_pyfunc_entry(self.mlflow_loader if is_plain else __name__, data=_FILE),
            self.name: {
                "code": None,
                "data": _FILE,
                "onnx_session_options": None,
                "onnx_version": onnx.__version__,
                "providers": ["CPUExecutionProvider"],
            },
        }

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        del directory
        return ["onnx", "onnxruntime"]

    def create_predictor(self, model: Any, method: str, inputs: Schema | None = None) -> Predictor:
        del method, inputs
        with convert_errors("onnxruntime cannot load the model", ModelError):
            return _create_predictor(_create_session(model.SerializeToString(), {}), True)

    def _read_graph(self, directory: ModelDirectory) -> Any:
        """Read the model as protobuf, without the tensors in other files."""
        import onnx

        file = self.locate_file(directory)
        with convert_errors(f"{file} is not an ONNX model"), directory.open(file) as stream:
            return onnx.load_model_from_string(stream.read())


def _is_harmless(name: object, value: object) -> bool:
    """Return whether a session option affects only the speed, with at most as many threads as CPUs."""
    if name in _THREAD_OPTIONS:
        return type(value) is int and 0 < value <= (os.cpu_count() or 1)
    return name in _HARMLESS_OPTIONS


def _create_session(model: str | bytes, config: Mapping[str, Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name, value in (config.get("onnx_session_options") or {}).items():
        if not value:
            continue
        try:
            _set_option(options, str(name), value)
        except Exception as error:
            option = f"{name}: {value!r}"[:200]
            raise ModelDamagedError(f"onnxruntime has no such session option: {option}") from error
    providers = config.get("providers") or []
    providers = [providers] if isinstance(providers, str) else providers
    names = [provider[0] if isinstance(provider, list) else provider for provider in providers]
    available = [name for name in names if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(model, options, providers=available or ["CPUExecutionProvider"])


def _set_option(options: Any, name: str, value: Any) -> None:
    """Set a session option of onnxruntime, in the form in which MLflow writes it."""
    import onnxruntime

    if name == "execution_mode":
        modes = {"SEQUENTIAL": "ORT_SEQUENTIAL", "PARALLEL": "ORT_PARALLEL"}
        options.execution_mode = getattr(onnxruntime.ExecutionMode, modes[str(value).upper()])
    elif name == "graph_optimization_level":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(value)
    elif name == "extra_session_config":
        for key, text in value.items():
            options.add_session_config_entry(key, text)
    else:
        setattr(options, name, value)


# --- inputs and outputs -------------------------------------------------------------------------------------


def _create_predictor(session: Any, has_signature: bool) -> Predictor:
    inputs = [
        _Input(node.name, _parse_dtype(node.type), len(node.shape), has_signature)
        for node in session.get_inputs()
    ]
    names = [node.name for node in session.get_outputs()]

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        del params  # a graph has none
        outputs = dict(zip(names, session.run(names, _prepare_inputs(model_input, inputs))))
        return _to_columns(outputs) if isinstance(model_input, pd.DataFrame) else outputs

    return predict


class _Input:
    """An input of a graph."""

    def __init__(self, name: str, dtype: np.dtype[Any], rank: int, has_signature: bool) -> None:
        self.name, self.dtype, self.rank, self.has_signature = name, dtype, rank, has_signature

    def _allows_rounding(self, dtype: np.dtype[Any]) -> bool:
        """Return whether values may be rounded.

        With a signature, loading has warned about the types that are rounded. Without one, only doubles are
        rounded, with a warning here.
        """
        if self.has_signature:
            return _is_rounded(dtype, self.dtype)
        if dtype != np.float64 or not _is_rounded(dtype, self.dtype):
            return False
        text = (
            f"{self.name}: doubles are rounded to float32, because the model computes in float32 and has no "
            "signature. Cast them to float32"
        )
        warnings.warn(text, PrecisionWarning, stacklevel=2)
        return True

    def convert(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Convert an array to the dtype and the rank of the input."""
        if values.ndim == 1 and self.rank == 2:
            values = values.reshape(-1, 1)
        if self.dtype.kind == "U":
            return values.astype(object)
        if values.dtype == self.dtype:
            return values
        if not dtype_widens(values.dtype, self.dtype) and not self._allows_rounding(values.dtype):
            finding = Finding(Code.TYPE_MISMATCH, quote(self.name), str(self.dtype), str(values.dtype))
            raise ContractError.of(_BAD_INPUT, [finding])
        return values.astype(self.dtype)


_BAD_INPUT = "the data does not fit the inputs of the ONNX model"


def _is_rounded(dtype: np.dtype[Any], input_dtype: np.dtype[Any]) -> bool:
    """Return whether numbers of a dtype are rounded for an input of the graph, as MLflow does."""
    return input_dtype == np.float32 and dtype.kind in "iuf"


def _parse_dtype(name: str) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise UnsupportedError(f"cannot convert a table to an ONNX input of type {name}")
    return np.dtype(_DTYPES[name])


def _prepare_inputs(data: Any, inputs: list[_Input]) -> dict[str, np.ndarray[Any, Any]]:
    if isinstance(data, pd.DataFrame):
        if len(inputs) == 1:
            return {inputs[0].name: inputs[0].convert(_to_matrix(data, inputs[0]))}
        columns = {str(label): data.iloc[:, index] for index, label in enumerate(data.columns)}
        _check_names(inputs, columns)
        return {node.name: node.convert(_to_array(columns[node.name])) for node in inputs}
    if isinstance(data, dict):
        _check_names(inputs, data)
        return {node.name: node.convert(np.asarray(data[node.name])) for node in inputs}
    if isinstance(data, np.ndarray) and len(inputs) == 1:
        return {inputs[0].name: inputs[0].convert(data)}
    raise ContractError(
        f"an ONNX model with {len(inputs)} inputs: expected a frame or a dictionary of arrays, got "
        f"{name_type(data)}"
    )


def _check_names(inputs: list[_Input], data: Mapping[str, Any]) -> None:
    findings = [
        Finding(Code.MISSING_COLUMN, quote(node.name), str(node.dtype), "nothing")
        for node in inputs
        if node.name not in data
    ]
    if findings:
        raise ContractError.of(_BAD_INPUT, findings)


def _to_matrix(frame: pd.DataFrame, node: _Input) -> np.ndarray[Any, Any]:
    """Convert a frame to an array of the input's dtype; a single column of lists is stacked."""
    columns = [node.convert(_to_array(frame.iloc[:, index])) for index in range(frame.shape[1])]
    if len(columns) == 1 or not columns:
        return columns[0] if columns else np.empty((len(frame), 0), dtype=node.dtype)
    flat = [column.reshape(len(frame), int(np.prod(column.shape[1:]))) for column in columns]
    return np.concatenate(flat, axis=1)


def _to_array(column: pd.Series) -> np.ndarray[Any, Any]:
    if pd.api.types.is_extension_array_dtype(column.dtype) and column.dtype.kind in "iuf":
        if column.isna().any():
            name = quote(column.name)
            finding = Finding(Code.NULL_IN_REQUIRED, name, "no nulls: an ONNX input has none", "nulls")
            raise ContractError.of(_BAD_INPUT, [finding])
        return column.to_numpy(dtype=column.dtype.numpy_dtype)  # type: ignore[union-attr]
    values = column.to_numpy()
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], (list, np.ndarray)):
        return np.stack([np.asarray(value) for value in values])
    if values.dtype.kind in "OT" or isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=object)
    return values


def _to_columns(outputs: dict[str, Any]) -> Any:
    """Convert outputs to a frame, as MLflow does, if each of them is a column; else return them unchanged."""
    columns: dict[str, Any] = {}
    for name, value in outputs.items():
        if isinstance(value, list):  # a sequence, for example of maps
            columns[name] = to_object_series(value)
        elif value.ndim == 1 or value.shape[1:] == (1,):
            columns[name] = value.reshape(-1)
    return pd.DataFrame(columns) if len(columns) == len(outputs) else outputs


# --- inspecting graphs --------------------------------------------------------------------------------------


def _list_external_files(message: Any) -> Iterator[str]:
    """Yield the paths of the files that contain tensors of a model."""
    import onnx

    for descriptor, value in message.ListFields():
        if descriptor.type != descriptor.TYPE_MESSAGE:
            continue
        for item in value if _is_repeated(descriptor) else [value]:
            if isinstance(item, onnx.TensorProto):
                yield from (entry.value for entry in item.external_data if entry.key == "location")
            elif hasattr(item, "ListFields"):
                yield from _list_external_files(item)


def _is_repeated(descriptor: Any) -> bool:
    return bool(getattr(descriptor, "is_repeated", None) or getattr(descriptor, "label", None) == 3)


def _read_input_dtypes(model: Any) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of a graph's inputs, except those that NumPy does not have."""
    import onnx

    constants = {tensor.name for tensor in model.graph.initializer}
    dtypes = {}
    for node in model.graph.input:
        number = node.type.tensor_type.elem_type
        if node.name not in constants and number:
            try:
                dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
            except (KeyError, TypeError):  # not a dtype of NumPy
                continue
            dtypes[node.name] = dtype
    return dtypes


def _find_rounded(signature: ModelSignature | None, input_dtypes: Mapping[str, np.dtype[Any]]) -> list[str]:
    """Return the columns or tensors of a signature that are rounded to float32 for a graph."""
    if signature is None or signature.inputs is None or not input_dtypes:
        return []
    only_dtype = next(iter(input_dtypes.values())) if len(input_dtypes) == 1 else None
    rounded = []
    for spec in signature.inputs:
        input_dtype = only_dtype if only_dtype is not None else input_dtypes.get(str(spec.name))
        dtype = _get_spec_dtype(spec)
        if input_dtype is None or dtype is None:
            continue
        if not dtype_widens(dtype, input_dtype) and _is_rounded(dtype, input_dtype):
            rounded.append(quote(spec.name) if spec.name is not None else "the input")
    return rounded


def _get_spec_dtype(spec: ColSpec | TensorSpec) -> np.dtype[Any] | None:
    if isinstance(spec, TensorSpec):
        return spec.type
    dtype = spec.type
    while isinstance(dtype, Array):
        dtype = dtype.dtype
    return to_numpy(dtype) if isinstance(dtype, DataType) else None


def _returns_columns(model: Any) -> bool:
    """Return whether all outputs are columns. MLflow converts any output for a frame to columns."""
    shapes = [node.type.tensor_type.shape.dim for node in model.graph.output]
    return all(len(shape) == 1 or (len(shape) == 2 and shape[1].dim_value == 1) for shape in shapes)


def _accepts_matrix(model: Any) -> bool:
    """Return whether the only input is a matrix of numbers, the one kind that MLflow's loader supports."""
    import onnx

    texts = [node for node in model.graph.input if node.type.tensor_type.elem_type == onnx.TensorProto.STRING]
    return len(_read_input_dtypes(model)) == 1 and not texts


FLAVOR = _OnnxFlavor()
_load_pyfunc = FLAVOR.load_for_mlflow
