"""Input examples: kept beside a model as JSON, with nothing lost, in the layout that MLflow reads.

An example is written twice: ``input_example.json`` holds the data, ``serving_input_example.json`` the body
of the request that sends it to a scoring server. What a value looks like in JSON stands in
:mod:`sparksig.convert.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.arrow import is_arrow
from sparksig.convert.json import AS_WRITTEN, dumps, from_json, loads, plain, to_json
from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.records import to_builtins
from sparksig.engine.frames import model_frame, model_input
from sparksig.engine.texts import TextDtypes
from sparksig.errors import ContractError, ModelDamagedError, ModelError, SignatureTypeError, kind, step
from sparksig.infer import infer_signature
from sparksig.models.directory import ModelDirectory
from sparksig.models.table_json import data_from_json, frame_from_json, has_float32, params_from_json
from sparksig.models.tensor_json import array_to_json, arrays_from_json, sparse_from_json, sparse_to_json
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

__all__ = [
    "LLM_KEYS",
    "convert_input_example_to_serving_input",
    "read_example",
    "read_example_params",
    "read_serving_example",
    "split_example",
    "to_series",
    "write_example",
]

FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"
LLM_KEYS = ("messages", "prompt", "input")
"""Keys of the requests that chat models take: a dictionary with one of them is a request by itself."""


def split_example(example: Any) -> tuple[Any, dict[str, Any] | None]:
    """The data and the params of an example, which is data or a pair ``(data, params)``.

    Raises:
        ModelError: it is a tuple, but none of these.
    """
    if not isinstance(example, tuple):
        return example, None
    if len(example) != 2 or not (example[1] is None or isinstance(example[1], Mapping)):
        raise ModelError(
            "an input example is data, or a pair (data, params) with params in a dictionary: for "
            "rows take a list"
        )
    if example[0] is None:
        raise ModelError("an input example (None, params) holds no data: leave it out")
    return example[0], dict(example[1]) if example[1] else None


# --- writing --------------------------------------------------------------------------------------------


def write_example(
    home: Path, data: Any, params: Mapping[str, Any] | None, signature: ModelSignature | None
) -> dict[str, str]:
    """Write both files; the entry for MLmodel's ``saved_input_example_info``.

    Args:
        home: the model directory.
        data: as the caller gave it; of a schema's columns what the model sees of it.
        params: values for the model's params.
        signature: the model's.

    Raises:
        ConversionError: something in it that JSON does not hold.
        ContractError: data that does not fit the signature.
    """
    info, content, request = _written(data, signature)
    told = None if params is None else {name: to_json(value, step(name)) for name, value in params.items()}
    if told is not None:
        content = {"inputs": content, "params": told}
        info["params"] = "true"
        request = _with_params(request, told)
    (home / FILE).write_text(dumps(content), encoding="utf-8")
    (home / SERVING_FILE).write_text(dumps(request, indent=2), encoding="utf-8")
    return info | {"artifact_path": FILE, "serving_input_path": SERVING_FILE}


def convert_input_example_to_serving_input(
    input_example: Any, signature: ModelSignature | None = None
) -> str | None:
    """The body of the request that sends an example to a scoring server.

    Args:
        input_example: data, or a pair ``(data, params)``, as :func:`sparksig.save_model` takes it.
        signature: the model's; None to go without, as for an example of any kind.

    Returns:
        JSON text; None for None.

    Raises:
        ConversionError: something in it that JSON does not hold.
        ContractError: it does not fit the signature.
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
        raise SignatureTypeError(f"signature must be a ModelSignature or None, not {kind(signature)}")
    if input_example is None:
        return None
    data, params = split_example(input_example)
    _, _, request = _written(data, signature)
    if params is not None:
        told = {name: to_json(value, step(name)) for name, value in params.items()}
        request = _with_params(request, told)
    return dumps(request, indent=2)


def _with_params(request: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    if not _is_llm(request):
        return {**request, "params": told}
    if request.keys() & told.keys():
        return {"inputs": request, "params": told}
    return {**request, **told}


def _is_free(content: Mapping[str, Any], signature: ModelSignature | None) -> bool:
    """Whether a request that chat models take says by itself what is data and what params."""
    params = {spec.name for spec in (signature.params if signature is not None else None) or ()}
    return not content.keys() & {
        *params,
        "params",
        "inputs",
        "instances",
        "dataframe_split",
        "dataframe_records",
    }


def _is_llm(request: Mapping[str, Any]) -> bool:
    return any(key in request for key in LLM_KEYS)


def _written(data: Any, signature: ModelSignature | None) -> tuple[dict[str, str], Any, dict[str, Any]]:
    """The kind of an example, its JSON, and the request that sends it."""
    inputs = None if signature is None else signature.inputs
    hinted = signature is not None and signature._is_signature_from_type_hint
    is_series = isinstance(data, pd.Series)
    if inputs is not None and inputs.is_tensor_spec():
        data = model_input(data, inputs)
    elif (
        isinstance(data, (pd.DataFrame, pd.Series))
        or is_arrow(data)
        or (isinstance(data, np.ndarray) and inputs)
    ):
        return _written_frame(_framed(data, inputs), is_series)
    if type(data).__module__.partition(".")[0] == "scipy":
        return (
            {"type": f"sparse_matrix_{data.format}"},
            sparse_to_json(data),
            {"inputs": array_to_json(data.toarray())},
        )
    if isinstance(data, np.ndarray):
        content = array_to_json(data)
        return {"type": "ndarray"}, content, {"inputs": content}
    if isinstance(data, Mapping) and data and all(isinstance(one, np.ndarray) for one in data.values()):
        content = {name: array_to_json(one, step(name)) for name, one in data.items()}
        return {"type": "ndarray"}, content, {"inputs": content}
    content = _object(data) if not hinted else to_json(to_builtins(data))
    request = (
        content
        if isinstance(content, dict) and _is_llm(content) and _is_free(content, signature)
        else {"inputs": content}
    )
    return {"type": "json_object"}, content, request


def _object(data: Any) -> Any:
    """Rows and columns of Python values: a missing value of a column is null."""
    if isinstance(data, Mapping) and all(isinstance(key, str) for key in data):
        return {key: _column(value, step(key)) for key, value in data.items()}
    if isinstance(data, list):
        return [_object(row) if isinstance(row, Mapping) else to_json(row) for row in data]
    return to_json(data)


def _column(value: Any, path: str) -> Any:
    if isinstance(value, np.ndarray):
        value = list(value)
    return to_json(value, path)


def _framed(data: Any, inputs: Schema | None) -> pd.DataFrame:
    if inputs is None and is_arrow(data):
        inputs = infer_signature(data).inputs
    if inputs is not None:
        return model_frame(data, inputs)
    if isinstance(data, pd.Series):
        return data.to_frame(0 if data.name is None else data.name)
    assert isinstance(data, pd.DataFrame)
    return data


def _written_frame(frame: pd.DataFrame, is_series: bool) -> tuple[dict[str, str], Any, dict[str, Any]]:
    names: list[Any] = list(frame.columns)
    numbered = names == list(range(len(names)))
    wrong = [kind(name) for name in names if not isinstance(name, str)]
    if wrong and not numbered:
        raise ModelError(
            f"the columns of an input example are named by text, or numbered from 0: found {wrong[0]}"
        )
    columns = [_cells(frame.iloc[:, index], step(name)) for index, name in enumerate(names)]
    rows = [list(row) for row in zip(*columns)] if columns else [[] for _ in range(len(frame))]
    content: dict[str, Any] = {"data": rows}
    if not numbered:
        content = {"columns": [str(name) for name in names], **content}
    if (index := _index(frame.index)) is not None:
        content["index"] = index
    info = {"type": "dataframe", "pandas_orient": "values" if numbered else "split"}
    if is_series:
        info["sparksig_shape"] = "series"
    return info, content, {"dataframe_split": content}


def _cells(column: pd.Series, path: str) -> list[Any]:
    if column.dtype.kind != "M":
        return [to_json(value, path) for value in column.tolist()]
    # all times with as many digits: MLflow's server reads them by the form of the first
    times = column.dropna()
    fine = next((unit for unit in ("s", "us") if (times == times.dt.floor(unit)).all()), "ns")
    forms = {"s": "seconds", "us": "microseconds", "ns": "nanoseconds"}
    return [None if value is pd.NaT else value.isoformat(timespec=forms[fine]) for value in column]


def _index(index: pd.Index) -> list[Any] | None:
    """An index that says more than the rows' numbers; one of numbers or text, for JSON has no others."""
    held = index.tolist()
    if held == list(range(len(held))) or not all(type(one) in (int, str) for one in held):
        return None
    return held


# --- reading --------------------------------------------------------------------------------------------


def _info(directory: ModelDirectory) -> Mapping[str, Any] | None:
    info = directory.config.get("saved_input_example_info")
    if info is not None and not isinstance(info, Mapping):
        raise ModelDamagedError(f"{directory.path}: saved_input_example_info is a mapping")
    return info


def _content(directory: ModelDirectory, name: object) -> str:
    try:
        with directory.open(directory.member(name)) as stream:
            return stream.read().decode()
    except UnicodeDecodeError:
        raise ModelDamagedError(f"{directory.path}: {name!r} is not text") from None


def _parsed(directory: ModelDirectory, info: Mapping[str, Any]) -> Any:
    try:
        return loads(_content(directory, info.get("artifact_path")), exact=has_float32(directory.signature))
    except ValueError as error:
        raise ModelDamagedError(f"{directory.path}: the input example is {error}") from None


def read_serving_example(directory: ModelDirectory) -> str:
    """The request that sends a model's example to a server, as JSON text.

    Raises:
        ModelError: the model has none.
        ModelDamagedError: the file is not there, or no text.
    """
    info = _info(directory)
    if info is None or not info.get("serving_input_path"):
        raise ModelError(f"{directory.path}: the model was saved without an input example")
    return _content(directory, info["serving_input_path"])


def read_example_params(directory: ModelDirectory) -> dict[str, Any] | None:
    """The params of a model's example; None where it has none.

    Raises:
        ModelDamagedError: the file is not there, or not what MLmodel says.
    """
    info = _info(directory)
    if info is None or not info.get("params"):
        return None
    parsed = _parsed(directory, info)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("params"), dict):
        raise ModelDamagedError(
            f"{directory.path}: the input example has no params, which MLmodel says it has"
        )
    return params_from_json(parsed["params"], directory.signature.params if directory.signature else None)


def read_example(directory: ModelDirectory) -> Any:
    """The data of a model's example, typed as the signature says; None where the model has none.

    Raises:
        ModelDamagedError: the file is not there, not JSON, not what MLmodel says, or not of the signature.
    """
    info = _info(directory)
    if info is None:
        return None
    content = _parsed(directory, info)
    if info.get("params") or ("mlflow_version" in directory.config and _is_wrapped(content)):
        content = content.get("inputs") if isinstance(content, dict) else None
    signature = directory.signature
    try:
        return _read(content, info, signature, directory.text_dtypes)
    except (ContractError, ValueError, TypeError) as error:
        raise ModelDamagedError(
            f"{directory.path}: the input example is not what "
            f"{'the signature' if signature else 'MLmodel'} says: "
            f"{error}"
        ) from None


def to_series(frame: pd.DataFrame, inputs: Schema | None) -> pd.Series:
    """Return the only column of a frame; without a name, where neither the schema nor the data has one.

    Example:
        >>> print(to_series(pd.DataFrame([[1.5]]), None).name)
        None
    """
    column = frame.iloc[:, 0]
    has_name = column.name != 0 or (inputs is not None and inputs.has_input_names())
    return column if has_name else column.rename(None)


def _is_wrapped(content: Any) -> bool:
    """Whether it is what MLflow writes of ``(data, {})``."""
    return isinstance(content, dict) and content.keys() == {"inputs", "params"} and content["params"] == {}


def _read(content: Any, info: Mapping[str, Any], signature: ModelSignature | None, texts: TextDtypes) -> Any:
    inputs = None if signature is None else signature.inputs
    form = info.get("type")
    if form == "dataframe":
        frame = frame_from_json(content, inputs, nat=True, texts=texts)
        return to_series(frame, inputs) if info.get("sparksig_shape") == "series" else frame
    if form == "ndarray":
        if inputs is None or not inputs.is_tensor_spec():
            held = plain(content)
            return {k: np.array(v) for k, v in held.items()} if isinstance(held, dict) else np.array(held)
        return arrays_from_json(content, inputs, counts=True)
    if form in ("sparse_matrix_csr", "sparse_matrix_csc"):
        return sparse_from_json(content, form.rpartition("_")[2], inputs)
    if form != "json_object":
        raise ModelDamagedError(f"input examples of the type {form!r} are unknown")
    hinted = signature is not None and signature._is_signature_from_type_hint
    if hinted and inputs is not None and isinstance(content, list):  # a hint knows a date from a datetime
        item = inputs.inputs[0].type
        return [from_json(row, item, times=AS_WRITTEN) for row in content]
    return data_from_json(content, inputs)
