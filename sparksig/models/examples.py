"""Input examples: saved with a model as lossless JSON, in the layout that MLflow reads.

An example is written to two files: ``input_example.json`` contains the data, ``serving_input_example.json``
the body of a request that sends the data to a scoring server. :mod:`sparksig.convert.json` defines the JSON
of each type of value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from sparksig.convert.arrow import is_arrow
from sparksig.convert.json import AS_WRITTEN, dumps, from_json, loads, to_json, to_plain
from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.records import unstructure
from sparksig.engine.frames import build_model_frame, build_model_input
from sparksig.engine.text_dtypes import TextDtypes
from sparksig.errors import ContractError, ModelDamagedError, ModelError, SignatureTypeError, name_type, quote
from sparksig.infer import infer_signature
from sparksig.models.directory import EXAMPLE_INFO, ModelDirectory
from sparksig.models.table_json import data_from_json, frame_from_json, has_float32, params_from_json
from sparksig.models.tensor_json import array_to_json, arrays_from_json, sparse_from_json, sparse_to_json
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"
REQUEST_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""Keys of a request, of which each has the data in another format."""

LLM_KEYS = ("messages", "prompt", "input")
"""Keys of the requests of chat models: a dictionary with one of them is a complete request."""

InputExample: TypeAlias = tuple[dict[str, str], Any, dict[str, Any]]
"""An example's entry for MLmodel, its JSON, and the request that sends it."""


def split_example(example: Any) -> tuple[Any, dict[str, Any] | None]:
    """Split an example, which is data or a pair ``(data, params)``, into data and params."""
    if not isinstance(example, tuple):
        return example, None
    if len(example) != 2 or not (example[1] is None or isinstance(example[1], Mapping)):
        raise ModelError(
            "input example: expected data, or a pair (data, params) with params in a dictionary, got another "
            "tuple. Pass rows as a list"
        )
    if example[0] is None:
        raise ModelError("input example: expected data, got (None, params). Pass input_example=None for none")
    return example[0], dict(example[1]) if example[1] else None


# --- writing --------------------------------------------------------------------------------------------


def write_example(
    home: Path, data: Any, params: Mapping[str, Any] | None, signature: ModelSignature | None
) -> dict[str, str]:
    """Write both files of an example."""
    info, content, request = _encode_example(data, params, signature)
    (home / FILE).write_text(dumps(content), encoding="utf-8")
    (home / SERVING_FILE).write_text(dumps(request, indent=2), encoding="utf-8")
    return info | {"artifact_path": FILE, "serving_input_path": SERVING_FILE}


def convert_input_example_to_serving_input(
    input_example: Any, signature: ModelSignature | None = None
) -> str | None:
    """Convert an example to the body of a request for a scoring server.

    Args:
        input_example: data, or a pair ``(data, params)``, as for :func:`sparksig.save_model`.
        signature: the model's signature; None to convert the example without a contract.

    Returns:
        JSON text; None for None.

    Raises:
        ConversionError: a value has no JSON form.
        ContractError: the example breaks the signature.
        SignatureTypeError: ``signature`` is neither a ModelSignature nor None.

    Example:
        >>> print(convert_input_example_to_serving_input(pd.DataFrame({"x": [1.5]})))
        {
          "dataframe_split": {
            "columns": [
              "x"
            ],
            "data": [
              [
                1.5
              ]
            ]
          }
        }
    """
    signature = from_mlflow(signature)
    if signature is not None and not isinstance(signature, ModelSignature):
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {name_type(signature)}")
    if input_example is None:
        return None
    data, params = split_example(input_example)
    _, _, request = _encode_example(data, params, signature)
    return dumps(request, indent=2)


def _encode_example(
    data: Any, params: Mapping[str, Any] | None, signature: ModelSignature | None
) -> InputExample:
    info, content, request = _encode_data(data, signature)
    if params is None:
        return info, content, request
    json_params = {name: to_json(value, quote(name)) for name, value in params.items()}
    content = {"inputs": content, "params": json_params}
    return {**info, "params": "true"}, content, _add_params(request, json_params)


def _add_params(request: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    if not _is_chat(request):
        return {**request, "params": params}
    if request.keys() & params.keys():
        return {"inputs": request, "params": params}
    return {**request, **params}


def _is_complete_request(content: Any, signature: ModelSignature | None) -> bool:
    """Return whether an example is a chat request whose keys cannot be mistaken for params or formats."""
    if not isinstance(content, dict) or not _is_chat(content):
        return False
    params = {spec.name for spec in (signature.params if signature is not None else None) or ()}
    return not content.keys() & {"params", *REQUEST_FORMATS, *params}


def _is_chat(request: Mapping[str, Any]) -> bool:
    return any(key in request for key in LLM_KEYS)


def _encode_data(data: Any, signature: ModelSignature | None) -> InputExample:
    inputs = None if signature is None else signature.inputs
    has_type_hint = signature is not None and signature._is_signature_from_type_hint
    is_series = isinstance(data, pd.Series)
    if inputs is not None and inputs.is_tensor_spec():
        data = build_model_input(data, inputs)
    elif (
        isinstance(data, (pd.DataFrame, pd.Series))
        or is_arrow(data)
        or (isinstance(data, np.ndarray) and inputs)
    ):
        return _encode_frame(_to_frame(data, inputs), is_series)
    if type(data).__module__.partition(".")[0] == "scipy":
        return (
            {"type": f"sparse_matrix_{data.format}"},
            sparse_to_json(data),
            {"inputs": array_to_json(data.toarray())},
        )
    if isinstance(data, np.ndarray):
        content = array_to_json(data)
        return {"type": "ndarray"}, content, {"inputs": content}
    if isinstance(data, Mapping) and data and all(isinstance(array, np.ndarray) for array in data.values()):
        content = {name: array_to_json(array, quote(name)) for name, array in data.items()}
        return {"type": "ndarray"}, content, {"inputs": content}
    content = to_json(unstructure(data)) if has_type_hint else _encode_object(data)
    request = content if _is_complete_request(content, signature) else {"inputs": content}
    return {"type": "json_object"}, content, request


def _encode_object(data: Any) -> Any:
    """Encode rows or columns of Python values; a missing value of a column is null."""
    if isinstance(data, Mapping) and all(isinstance(key, str) for key in data):
        return {
            key: to_json(list(value) if isinstance(value, np.ndarray) else value, quote(key))
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_encode_object(row) if isinstance(row, Mapping) else to_json(row) for row in data]
    return to_json(data)


def _to_frame(data: Any, inputs: Schema | None) -> pd.DataFrame:
    if inputs is None and is_arrow(data):
        inputs = infer_signature(data).inputs
    if inputs is not None:
        return build_model_frame(data, inputs)
    if isinstance(data, pd.Series):
        return data.to_frame(0 if data.name is None else data.name)
    assert isinstance(data, pd.DataFrame)
    return data


def _encode_frame(frame: pd.DataFrame, is_series: bool) -> InputExample:
    names: list[Any] = list(frame.columns)
    is_numbered = names == list(range(len(names)))
    other_labels = [name for name in names if not isinstance(name, str)]
    if other_labels and not is_numbered:
        raise ModelError(
            "the columns of the input example: expected text labels, or numbers from 0, got "
            f"{name_type(other_labels[0])}"
        )
    columns = [_encode_column(frame.iloc[:, index], quote(name)) for index, name in enumerate(names)]
    rows = [list(row) for row in zip(*columns)] if columns else [[] for _ in range(len(frame))]
    content: dict[str, Any] = {"data": rows}
    if not is_numbered:
        content = {"columns": [str(name) for name in names], **content}
    if (index := _encode_index(frame.index)) is not None:
        content["index"] = index
    info = {"type": "dataframe", "pandas_orient": "values" if is_numbered else "split"}
    if is_series:
        info["sparksig_shape"] = "series"
    return info, content, {"dataframe_split": content}


def _encode_column(column: pd.Series, path: str) -> list[Any]:
    if column.dtype.kind != "M":
        return [to_json(value, path) for value in column.tolist()]
    # MLflow's server parses a column of times by the format of its first value: write all with as many digits
    times = column.dropna()
    unit = next((unit for unit in ("s", "us") if (times == times.dt.floor(unit)).all()), "ns")
    timespec = {"s": "seconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
    return [None if value is pd.NaT else value.isoformat(timespec=timespec) for value in column]


def _encode_index(index: pd.Index) -> list[Any] | None:
    """Return the labels of an index of integers or text; None for the default index and other labels."""
    labels = index.tolist()
    if labels == list(range(len(labels))) or not all(type(label) in (int, str) for label in labels):
        return None
    return labels


# --- reading --------------------------------------------------------------------------------------------


def _read_json(directory: ModelDirectory, info: Mapping[str, Any]) -> Any:
    try:
        text = directory.read_text(info.get("artifact_path"))
        return loads(text, exact=has_float32(directory.signature))
    except ValueError as error:
        raise ModelDamagedError(f"{directory.path}: the input example is {error}") from None


def read_serving_example(directory: ModelDirectory) -> str:
    """Read the body of the request that sends a model's example to a server."""
    info = directory.read_mapping(EXAMPLE_INFO)
    if info is None or not info.get("serving_input_path"):
        raise ModelError(f"{directory.path}: the model was saved without an input example")
    return directory.read_text(info["serving_input_path"])


def read_example_params(directory: ModelDirectory) -> dict[str, Any] | None:
    """Read the params of a model's example; None without params."""
    info = directory.read_mapping(EXAMPLE_INFO)
    if info is None or not info.get("params"):
        return None
    content = _read_json(directory, info)
    if not isinstance(content, dict) or not isinstance(content.get("params"), dict):
        raise ModelDamagedError(f"{directory.path}: the input example lacks the params that MLmodel declares")
    return params_from_json(content["params"], directory.signature.params if directory.signature else None)


def read_example(directory: ModelDirectory) -> Any:
    """Read the data of a model's example, in the types of the signature; None without an example."""
    info = directory.read_mapping(EXAMPLE_INFO)
    if info is None:
        return None
    content = _read_json(directory, info)
    if info.get("params") or ("mlflow_version" in directory.config and _has_empty_params(content)):
        content = content.get("inputs") if isinstance(content, dict) else None
    signature = directory.signature
    try:
        return _decode_example(content, info, signature, directory.text_dtypes)
    except (ContractError, ValueError, TypeError) as error:
        declaration = "the signature" if signature else "MLmodel"
        raise ModelDamagedError(
            f"{directory.path}: the input example does not match {declaration}: {error}"
        ) from None


def to_series(frame: pd.DataFrame, inputs: Schema | None) -> pd.Series:
    """Return the only column of a frame, without a name where neither the schema nor the data names it.

    Example:
        >>> print(to_series(pd.DataFrame([[1.5]]), None).name)
        None
    """
    column = frame.iloc[:, 0]
    has_name = column.name != 0 or (inputs is not None and inputs.has_input_names())
    return column if has_name else column.rename(None)


def _has_empty_params(content: Any) -> bool:
    """Return whether MLflow wrote the content for an example ``(data, {})``."""
    return isinstance(content, dict) and content.keys() == {"inputs", "params"} and content["params"] == {}


def _decode_example(
    content: Any, info: Mapping[str, Any], signature: ModelSignature | None, texts: TextDtypes
) -> Any:
    inputs = None if signature is None else signature.inputs
    example_type = info.get("type")
    if example_type == "dataframe":
        frame = frame_from_json(content, inputs, nat=True)
        frame = frame if inputs is None else build_model_input(frame, inputs, texts=texts)
        return to_series(frame, inputs) if info.get("sparksig_shape") == "series" else frame
    if example_type == "ndarray":
        if inputs is None or not inputs.is_tensor_spec():
            values = to_plain(content)
            if isinstance(values, dict):
                return {name: np.array(value) for name, value in values.items()}
            return np.array(values)
        return arrays_from_json(content, inputs, counts=True)
    if example_type in ("sparse_matrix_csr", "sparse_matrix_csc"):
        return sparse_from_json(content, example_type.rpartition("_")[2], inputs)
    if example_type != "json_object":
        raise ModelDamagedError(f"input examples of type {example_type!r} are not supported")
    has_type_hint = signature is not None and signature._is_signature_from_type_hint
    if has_type_hint and inputs is not None and isinstance(content, list):
        # only the type hint distinguishes dates from datetimes
        item = inputs.inputs[0].type
        return [from_json(row, item, times=AS_WRITTEN) for row in content]
    return data_from_json(content, inputs)
