"""ONNX by onnxruntime: a graph of operators, which runs no Python.

A graph says the dtypes of its inputs. What a column does not widen to is refused, but for one thing: where a
signature declares doubles and the graph computes in float32, as models that MLflow wrote often do, they are
rounded, with a :class:`PrecisionWarning` when the model is loaded. Saving such a pair is refused.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.numpy import dtype_widens, to_numpy
from sparksig.engine.python import as_series
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    SignatureError,
    UnsupportedError,
    kind,
    step,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import (
    ForMlflow,
    Loading,
    Predictor,
    Saving,
    method_of,
    opened_by_mlflow,
)
from sparksig.schema import ColSpec, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import Array, DataType

__all__ = [
    "PrecisionWarning",
    "check",
    "load",
    "matches",
    "opens_files",
    "predictor",
    "requirements",
    "save",
    "takes",
]

_LOADER = "mlflow.onnx"
_FILE = "model.onnx"
_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(string)": "str",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(uint8)": "uint8",
}
_OPTIONS = {"inter_op_num_threads", "intra_op_num_threads", "execution_mode", "graph_optimization_level"}
_LARGE = 2**30  # bytes; protobuf ends at 2 GiB


class PrecisionWarning(UserWarning):
    """A model's signature says more digits than the model computes with: values are rounded for it."""


def matches(directory: ModelDirectory) -> bool:
    """Whether it is an ONNX model, saved here or by MLflow."""
    return directory.pyfunc.get("loader_module") in (_LOADER, __name__)


def opens_files(directory: ModelDirectory) -> bool:
    """Whether tensors lie in files beside the graph."""
    return any(True for _ in _external(_graph(directory)))


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible.

    Raises:
        ModelDamagedError: the model's file is missing or damaged, or names files out of the directory.
        ModelNotTrustedError: session options beyond the harmless ones without leave.
        UnsupportedError: another method than predict.
        MissingDependencyError: onnx or onnxruntime is not installed.

    Warns:
        PrecisionWarning: the signature's doubles are rounded for the graph.
    """
    method_of(directory, loading, ("predict",))
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError.naming(package, "an ONNX model", "onnx")
    options = _config(directory).get("onnx_session_options") or {}
    if not isinstance(options, Mapping):
        raise ModelDamagedError(f"{directory.path}: onnx_session_options are a mapping")
    beyond = sorted(str(name) for name, value in options.items() if value and not _is_harmless(name, value))
    if beyond:
        loading.trust.require_code(directory, f"an ONNX model with the session options {', '.join(beyond)}")
    graph = _graph(directory)
    home = directory.member(_config(directory).get("data")).parent
    for location in _external(graph):
        if ".." in Path(location).parts or Path(location).is_absolute():
            raise ModelDamagedError(
                f"{directory.path}: a tensor at {location[:80]!r} leads out of the model directory"
            )
        directory.member((home / location).relative_to(directory.path).as_posix())
    if rounded := _rounded(directory.signature, _declared(graph)):
        warnings.warn(
            f"{directory.path}: the model computes in float32, and its signature declares more: values of "
            f"{', '.join(rounded)} are rounded. Declare float to have them refused instead",
            PrecisionWarning,
            stacklevel=2,
        )


def _is_harmless(name: object, value: object) -> bool:
    """Whether a session option does nothing but to say how to compute, with threads that the machine has."""
    if name in ("inter_op_num_threads", "intra_op_num_threads"):
        return type(value) is int and 0 < value <= (os.cpu_count() or 1)
    return name in _OPTIONS


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """The graph as ``f(model_input, params)``; it takes no params.

    Raises:
        ModelDamagedError: onnxruntime does not take the model.
    """
    del loading
    file = directory.member(_config(directory).get("data"))
    outside = opens_files(directory)
    try:
        with directory.open(file) as stream:
            session = _session(str(file) if outside else stream.read(), _config(directory))
    except (ModelError, UnsupportedError, ImportError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelDamagedError(
            f"{file} is no model for onnxruntime: {type(error).__name__}: {reason}"
        ) from error
    return _predictor(session, directory.signature is not None)


def predictor(model: Any, method: str, inputs: object = None) -> Predictor:
    """A graph in memory as ``f(model_input, params)``.

    Raises:
        ModelError: onnxruntime does not take the model, or the method is none of its.
    """
    del inputs
    if method != "predict":
        raise ModelError(f"an ONNX model has no method {method!r} (it has: predict)")
    try:
        return _predictor(_session(model.SerializeToString(), {}), True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"onnxruntime does not take the model: {type(error).__name__}: {reason}") from error


def _session(model: str | bytes, config: Mapping[str, Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name, value in (config.get("onnx_session_options") or {}).items():
        if not value:
            continue
        try:
            _set(options, str(name), value)
        except Exception as error:
            told = f"{name}: {value!r}"[:200]
            raise ModelDamagedError(f"onnxruntime has no such session option: {told}") from error
    wished = config.get("providers") or []
    names = [
        one[0] if isinstance(one, list) else one for one in ([wished] if isinstance(wished, str) else wished)
    ]
    known = [name for name in names if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(model, options, providers=known or ["CPUExecutionProvider"])


def _set(options: Any, name: str, value: Any) -> None:
    """Set one of onnxruntime's session options as MLflow writes them."""
    import onnxruntime

    if name == "execution_mode":
        modes = {"SEQUENTIAL": "ORT_SEQUENTIAL", "PARALLEL": "ORT_PARALLEL"}
        options.execution_mode = getattr(onnxruntime.ExecutionMode, modes[str(value).upper()])
    elif name == "graph_optimization_level":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(value)
    elif name == "extra_session_config":
        for key, one in value.items():
            options.add_session_config_entry(key, one)
    else:
        setattr(options, name, value)


# --- what goes in and comes out ---------------------------------------------------------------------------


def _predictor(session: Any, signed: bool) -> Predictor:
    inputs = [_Input(one.name, _dtype(one.type), len(one.shape), signed) for one in session.get_inputs()]
    names = [one.name for one in session.get_outputs()]

    def predict(model_input: Any, params: Mapping[str, Any] | None) -> Any:
        del params  # a graph has none
        outputs = dict(zip(names, session.run(names, _feeds(model_input, inputs))))
        return _as_columns(outputs) if isinstance(model_input, pd.DataFrame) else outputs

    return predict


class _Input:
    """One input of a graph."""

    def __init__(self, name: str, dtype: np.dtype[Any], rank: int, signed: bool) -> None:
        self.name, self.dtype, self.rank, self.signed = name, dtype, rank, signed

    def _rounds(self, given: np.dtype[Any]) -> bool:
        """Whether numbers are rounded: as the signature says, which was warned of; else doubles alone."""
        if self.signed or given != np.float64 or not _is_rounded(given, self.dtype):
            return self.signed and _is_rounded(given, self.dtype)
        text = (
            f"{self.name}: doubles are rounded to float32 for the model, which has no signature: cast them "
            "on purpose"
        )
        warnings.warn(text, PrecisionWarning, stacklevel=2)
        return True

    def feed(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """An array as the graph takes it.

        Raises:
            ContractError: its dtype does not become the input's.
        """
        if values.ndim == 1 and self.rank == 2:
            values = values.reshape(-1, 1)
        if self.dtype.kind == "U":
            return values.astype(object)
        if values.dtype == self.dtype:
            return values
        if not dtype_widens(values.dtype, self.dtype) and not self._rounds(values.dtype):
            finding = Finding(Code.TYPE_MISMATCH, step(self.name), str(self.dtype), str(values.dtype))
            raise ContractError.of("the data does not fit the inputs of the ONNX model", [finding])
        return values.astype(self.dtype)


def _is_rounded(given: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Whether numbers are rounded for the graph, as MLflow does."""
    return declared == np.float32 and given.kind in "iuf"


def _dtype(name: str) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise UnsupportedError(f"an ONNX model whose input is a {name} cannot be fed from a table")
    return np.dtype(_DTYPES[name])


def _feeds(data: Any, inputs: list[_Input]) -> dict[str, np.ndarray[Any, Any]]:
    if isinstance(data, pd.DataFrame):
        if len(inputs) == 1:
            return {inputs[0].name: inputs[0].feed(_matrix(data, inputs[0]))}
        columns = {str(label): data.iloc[:, index] for index, label in enumerate(data.columns)}
        return {one.name: one.feed(_column(columns[one.name])) for one in _present(inputs, columns)}
    if isinstance(data, dict):
        return {one.name: one.feed(np.asarray(data[one.name])) for one in _present(inputs, data)}
    if isinstance(data, np.ndarray) and len(inputs) == 1:
        return {inputs[0].name: inputs[0].feed(data)}
    raise ContractError(
        f"an ONNX model with {len(inputs)} inputs takes a frame or a dictionary of arrays, not {kind(data)}"
    )


def _present(inputs: list[_Input], given: Mapping[str, Any]) -> list[_Input]:
    missing = [
        Finding(Code.MISSING_COLUMN, step(one.name), str(one.dtype), "nothing")
        for one in inputs
        if one.name not in given
    ]
    if missing:
        raise ContractError.of("the data does not fit the inputs of the ONNX model", missing)
    return inputs


def _matrix(frame: pd.DataFrame, one: _Input) -> np.ndarray[Any, Any]:
    """All columns as one array of the input's dtype; a single one of lists as what they stack up to."""
    columns = [one.feed(_column(frame.iloc[:, index])) for index in range(frame.shape[1])]
    if len(columns) == 1 or not columns:
        return columns[0] if columns else np.empty((len(frame), 0), dtype=one.dtype)
    flat = [column.reshape(len(frame), int(np.prod(column.shape[1:]))) for column in columns]
    return np.concatenate(flat, axis=1)


def _column(column: pd.Series) -> np.ndarray[Any, Any]:
    if pd.api.types.is_extension_array_dtype(column.dtype) and column.dtype.kind in "iuf":
        if column.isna().any():
            name = step(column.name)
            finding = Finding(Code.NULL_IN_REQUIRED, name, "no nulls: the graph has none", "nulls")
            raise ContractError.of("the data does not fit the inputs of the ONNX model", [finding])
        return column.to_numpy(dtype=column.dtype.numpy_dtype)  # type: ignore[union-attr]
    values = column.to_numpy()
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], (list, np.ndarray)):
        return np.stack([np.asarray(value) for value in values])
    if values.dtype.kind in "OT" or isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=object)
    return values


def _as_columns(outputs: dict[str, Any]) -> Any:
    """The outputs as a frame where each is a column, as MLflow gives them; else as they are."""
    flat: dict[str, Any] = {}
    for name, value in outputs.items():
        if isinstance(value, list):  # a sequence, of maps say
            flat[name] = as_series(value)
        elif value.ndim == 1 or value.shape[1:] == (1,):
            flat[name] = value.reshape(-1)
    return pd.DataFrame(flat) if len(flat) == len(outputs) else outputs


# --- the graph as data ------------------------------------------------------------------------------------


def _config(directory: ModelDirectory) -> Mapping[str, Any]:
    return directory.flavor("onnx") or {}


def _graph(directory: ModelDirectory) -> Any:
    """The model as protobuf, without the tensors that lie in other files."""
    import onnx

    file = directory.member(_config(directory).get("data"))
    try:
        with directory.open(file) as stream:
            return onnx.load_model_from_string(stream.read())
    except (ModelError, ImportError):
        raise
    except Exception as error:
        raise ModelDamagedError(f"{file} is no ONNX model: {type(error).__name__}") from error


def _external(message: Any) -> Iterator[str]:
    """The files that tensors anywhere in a model lie in."""
    import onnx

    for descriptor, value in message.ListFields():
        if descriptor.type != descriptor.TYPE_MESSAGE:
            continue
        for one in value if _is_repeated(descriptor) else [value]:
            if isinstance(one, onnx.TensorProto):
                yield from (entry.value for entry in one.external_data if entry.key == "location")
            elif hasattr(one, "ListFields"):
                yield from _external(one)


def _is_repeated(descriptor: Any) -> bool:
    return bool(getattr(descriptor, "is_repeated", None) or getattr(descriptor, "label", None) == 3)


def _declared(model: Any) -> dict[str, np.dtype[Any]]:
    """The dtypes of a graph's inputs, as far as NumPy has them."""
    import onnx

    constants = {one.name for one in model.graph.initializer}
    found = {}
    for one in model.graph.input:
        number = one.type.tensor_type.elem_type
        if one.name not in constants and number:
            try:
                dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
            except (KeyError, TypeError):  # a dtype that NumPy does not have
                continue
            found[one.name] = dtype
    return found


def _rounded(signature: ModelSignature | None, declared: Mapping[str, np.dtype[Any]]) -> list[str]:
    """The columns, or tensors, of a signature that are rounded to float32 for a graph."""
    if signature is None or signature.inputs is None or not declared:
        return []
    only = next(iter(declared.values())) if len(declared) == 1 else None
    found = []
    for spec in signature.inputs:
        wanted = only if only is not None else declared.get(str(spec.name))
        given = _spec_dtype(spec)
        if (
            wanted is not None
            and given is not None
            and not dtype_widens(given, wanted)
            and _is_rounded(given, wanted)
        ):
            found.append(step(spec.name) if spec.name is not None else "the input")
    return found


def _spec_dtype(spec: ColSpec | TensorSpec) -> np.dtype[Any] | None:
    if isinstance(spec, TensorSpec):
        return spec.type
    dtype = spec.type
    while isinstance(dtype, Array):
        dtype = dtype.dtype
    return to_numpy(dtype) if isinstance(dtype, DataType) else None


# --- saving -----------------------------------------------------------------------------------------------


def takes(model: object) -> bool:
    """Whether it is an ONNX model."""
    return type(model).__name__ == "ModelProto" and type(model).__module__.startswith("onnx")


def save(model: Any, home: Path, saving: Saving) -> dict[str, Any]:
    """Write the graph; the entries for MLmodel's flavors.

    Raises:
        SignatureError: the signature declares numbers that the graph would round.
        ModelError: onnxruntime does not take the model, or the method is not predict.
        MissingDependencyError: onnxruntime is not installed.
    """
    import onnx

    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingDependencyError.naming("onnxruntime", "an ONNX model", "onnx")
    if rounded := _rounded(saving.signature, _declared(model)):
        raise SignatureError(
            "the model computes in float32, and the signature declares more: values of "
            f"{', '.join(rounded)} would "
            "be rounded. Declare them float (infer the signature from data cast to float32)"
        )
    if saving.method != "predict" or model.ByteSize() <= _LARGE:
        predictor(model, saving.method)  # which onnxruntime takes, or not
    large = model.ByteSize() > _LARGE
    if large:  # what is written takes its weights out
        model, original = onnx.ModelProto(), model
        model.CopyFrom(original)
    onnx.save_model(model, str(home / _FILE), save_as_external_data=large)
    return {
        "python_function": {
            "data": _FILE,
            "loader_module": _LOADER if _is_flat(model) and _is_matrix(model) else __name__,
            "python_version": platform.python_version(),
        },
        "onnx": {
            "code": None,
            "data": _FILE,
            "onnx_session_options": None,
            "onnx_version": onnx.__version__,
            "providers": ["CPUExecutionProvider"],
        },
    }


def _is_flat(model: Any) -> bool:
    """Whether all outputs are columns: MLflow makes columns of whatever a graph gives for a frame."""
    shapes = [one.type.tensor_type.shape.dim for one in model.graph.output]
    return all(len(shape) == 1 or (len(shape) == 2 and shape[1].dim_value == 1) for shape in shapes)


def _is_matrix(model: Any) -> bool:
    """Whether a frame is one input, of numbers: all that MLflow's own loader feeds rightly."""
    import onnx

    declared = _declared(model)
    texts = [one for one in model.graph.input if one.type.tensor_type.elem_type == onnx.TensorProto.STRING]
    return len(declared) == 1 and not texts


def requirements(directory: ModelDirectory) -> list[str]:
    """The packages that loading needs, beside sparksig."""
    del directory
    return ["onnx", "onnxruntime"]


def _load_pyfunc(path: str) -> ForMlflow:
    """MLflow's entry, for graphs whose outputs are no columns."""
    directory, trust = opened_by_mlflow(path, "onnx")
    loading = Loading(trust)
    check(directory, loading)
    return ForMlflow(load(directory, loading))
