"""Requests to scoring servers: JSON, parsed by the schema.

A request has one of the keys ``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``, and
optionally ``params``. The declared types decide how values are parsed. The engine refuses values that do not
fit, as in any other data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.json import TEXTS, from_json, loads, to_json, to_plain
from sparksig.engine.python import to_object_series
from sparksig.errors import Code, ContractError, ConversionError, Finding, name_type, quote, suggest
from sparksig.models.examples import LLM_KEYS, REQUEST_FORMATS
from sparksig.models.table_json import (
    data_from_json,
    frame_from_json,
    has_float32,
    params_from_json,
    to_plain_series,
)
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

_TYPE_HINT_FORMATS = ("inputs", "instances")
_UNKNOWN_FORMAT = "the request matches no format that this model accepts"


def parse_payload(
    payload: str | bytes | Mapping[str, Any], signature: ModelSignature | None
) -> tuple[Any, dict[str, Any] | None]:
    """Parse a request into data, not enforced yet, and params (None without params).

    Raises:
        ContractError: the request is not JSON, or matches no format; with all findings about its keys.

    Example:
        >>> parse_payload('{"inputs": [1, 2.5], "params": {"k": 3}}', None)
        (array([1. , 2.5]), {'k': 3})
    """
    try:
        return _parse_body(_load_body(payload, exact=has_float32(signature)), signature)
    except ValueError as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"the request is {error}") from None


def _parse_body(
    body: Mapping[str, Any], signature: ModelSignature | None
) -> tuple[Any, dict[str, Any] | None]:
    inputs = None if signature is None else signature.inputs
    declared_params = None if signature is None else signature.params
    formats = [key for key in REQUEST_FORMATS if key in body]
    if not formats and any(key in body for key in LLM_KEYS):
        names = {spec.name for spec in declared_params or ()}
        data = {key: value for key, value in body.items() if key not in names}
        params = {key: value for key, value in body.items() if key in names}
        return data_from_json(data, inputs), params_from_json(params, declared_params)
    findings = _check_keys(body, formats)
    has_type_hint = signature is not None and signature._is_signature_from_type_hint
    if has_type_hint and formats and formats[0] not in _TYPE_HINT_FORMATS:
        hint = "send a list of rows: the model has a type hint"
        findings.append(
            Finding(Code.UNKNOWN_KEY, formats[0], "rows under inputs or instances", "another key", hint)
        )
    if findings:
        raise ContractError.of(_UNKNOWN_FORMAT, findings)
    parsed_params = None if body.get("params") is None else params_from_json(body["params"], declared_params)
    content = body[formats[0]]
    if has_type_hint and inputs is not None and isinstance(content, list):
        # the type hint converts bytes and times: only it distinguishes dates from datetimes
        item = inputs.inputs[0].type
        return [from_json(row, item, times=TEXTS) for row in content], parsed_params
    return _parse_data(formats[0], content, inputs), parsed_params


def _load_body(payload: str | bytes | Mapping[str, Any], exact: bool) -> Mapping[str, Any]:
    body: Any = payload
    if isinstance(payload, (str, bytes, bytearray)):
        body = loads(bytes(payload) if isinstance(payload, bytearray) else payload, exact=exact)
    elif isinstance(payload, Mapping):
        try:
            body = loads(json.dumps(payload, default=to_json), exact=exact)
        except (TypeError, RecursionError, ConversionError) as error:
            raise ValueError(f"not parsed JSON: {error}") from None
    if not isinstance(body, Mapping):
        raise ContractError(
            f"the request: expected a JSON object with one of the keys {', '.join(REQUEST_FORMATS)}, got "
            f"{name_type(to_plain(body))}"
        )
    return body


def _check_keys(body: Mapping[str, Any], formats: list[str]) -> list[Finding]:
    keys = (*REQUEST_FORMATS, "params")
    expected = f"exactly one of {', '.join(REQUEST_FORMATS)}"
    findings = [
        Finding(Code.UNKNOWN_KEY, quote(key), f"one of {', '.join(keys)}", "another key", suggest(key, keys))
        for key in body
        if key not in keys
    ]
    if len(formats) != 1:
        code = Code.DUPLICATE_NAME if formats else Code.MISSING_KEY
        findings.append(Finding(code, "", expected, " and ".join(formats) or "none of them"))
    if not isinstance(body.get("params"), (dict, type(None))):
        findings.append(
            Finding(Code.TYPE_MISMATCH, "params", "an object", name_type(to_plain(body["params"])))
        )
    return findings


def _parse_data(data_format: str, content: Any, inputs: Schema | None) -> Any:
    if data_format == "dataframe_split":
        return frame_from_json(content, inputs)
    allows_object = data_format == "inputs" or (data_format == "instances" and isinstance(content, dict))
    if not isinstance(content, list) and not allows_object:
        actual = name_type(to_plain(content))
        finding = Finding(Code.TYPE_MISMATCH, data_format, "a list, one element a row", actual)
        raise ContractError.of(_UNKNOWN_FORMAT, [finding])
    if data_format == "dataframe_records" and not all(isinstance(row, dict) for row in content):
        finding = Finding(Code.TYPE_MISMATCH, data_format, "a list of objects", "other elements")
        raise ContractError.of(_UNKNOWN_FORMAT, [finding])
    if inputs is None:
        values = to_plain(content)
        return _to_frame(values) if data_format == "dataframe_records" else _to_arrays(values)
    if inputs.is_tensor_spec() and inputs.has_input_names() and _are_rows(content):
        content = _group_by_name(content)
    elif inputs.is_tensor_spec() and data_format == "dataframe_records":
        return pd.DataFrame(
            {
                key: to_object_series([to_plain(row.get(key)) for row in content])
                for key in _collect_keys(content)
            }
        )
    return data_from_json(content, inputs)


def _to_arrays(values: Any) -> Any:
    """Convert lists of numbers or text to arrays, as MLflow's server does without a signature."""
    if isinstance(values, dict):
        return {name: _to_arrays(value) for name, value in values.items()}
    if not isinstance(values, list):
        return values
    try:
        array = np.array(values)
    except ValueError:  # lists of different lengths
        return values
    return array if array.dtype.kind in "biufU" and not _is_mixed(values, array) else values


def _is_mixed(values: list[Any], array: np.ndarray[Any, Any]) -> bool:
    """Return whether NumPy converted numbers to text, booleans to numbers, or integers inexactly."""
    leaves = np.array(values, dtype=object).ravel().tolist()
    allowed_kinds = {bool: "b", int: "iuf", float: "f", str: "U"}
    is_inexact = array.dtype.kind == "f" and any(type(leaf) is int and abs(leaf) > 2**53 for leaf in leaves)
    return is_inexact or any(array.dtype.kind not in allowed_kinds.get(type(leaf), "") for leaf in leaves)


def _to_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame({key: to_plain_series([row.get(key) for row in rows]) for key in _collect_keys(rows)})


def _are_rows(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(row, dict) for row in content)


def _collect_keys(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _group_by_name(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Convert rows of named tensors to one list for each name."""
    keys, expected, actual = _collect_keys(rows), "a value in each row", "rows without it"
    absent = {key: sum(key not in row for row in rows) for key in keys}
    findings = [
        Finding(Code.MISSING_FIELD, quote(key), expected, actual, count=count)
        for key, count in absent.items()
        if count
    ]
    if findings:
        raise ContractError.of(_UNKNOWN_FORMAT, findings)
    return {key: [row[key] for row in rows] for key in keys}
