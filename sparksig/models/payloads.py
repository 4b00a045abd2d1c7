"""The requests that scoring servers take: JSON, parsed by the schema.

One of ``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``, and ``params`` beside it if
need be. What a value is, its declared type says; what does not fit is refused by the engine, as in data of
any other kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sparksig.convert.json import TEXTS, from_json, loads, plain, to_json
from sparksig.engine.python import as_series
from sparksig.errors import Code, ContractError, ConversionError, Finding, kind, nearest, step
from sparksig.models.examples import LLM_KEYS
from sparksig.models.table_json import (
    columns_from_json,
    data_from_json,
    has_float32,
    params_from_json,
    plain_series,
)
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

__all__ = ["parse_payload"]

_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_HINTED = ("inputs", "instances")


def parse_payload(
    payload: str | bytes | Mapping[str, Any], signature: ModelSignature | None
) -> tuple[Any, dict[str, Any] | None]:
    """The data and the params of a request (None if it has none); the data is not judged yet.

    Args:
        payload: the body of the request, or what a JSON parser made of it.
        signature: the model's.

    Raises:
        ContractError: it is not JSON, or not of one of the forms; all that is wrong with its keys.

    Example:
        >>> parse_payload('{"inputs": [1, 2.5], "params": {"k": 3}}', None)
        (array([1. , 2.5]), {'k': 3})
    """
    try:
        return _parsed(_body(payload, exact=has_float32(signature)), signature)
    except ValueError as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"the request is {error}") from None


def _parsed(body: Mapping[str, Any], signature: ModelSignature | None) -> tuple[Any, dict[str, Any] | None]:
    declared = None if signature is None else signature.params
    forms = [key for key in _KEYS if key in body]
    if not forms and any(key in body for key in LLM_KEYS):
        names = {spec.name for spec in declared or ()}
        data = {key: one for key, one in body.items() if key not in names}
        told = {key: one for key, one in body.items() if key in names}
        return data_from_json(data, None if signature is None else signature.inputs), params_from_json(
            told, declared
        )
    findings = _findings(body, forms)
    hinted = signature is not None and signature._is_signature_from_type_hint
    if hinted and forms and forms[0] not in _HINTED:
        hint = "a model with a type hint takes a list"
        findings.append(
            Finding(Code.UNKNOWN_KEY, forms[0], "the rows under inputs or instances", "others", hint)
        )
    if findings:
        raise ContractError.of("the request is none that the model takes", findings)
    inputs = None if signature is None else signature.inputs
    params = None if body.get("params") is None else params_from_json(body["params"], declared)
    if hinted and inputs is not None and isinstance(body[forms[0]], list):
        # bytes and times are the hint's to read: it knows a date from a datetime
        item = inputs.inputs[0].type
        rows = [from_json(row, item, times=TEXTS) for row in body[forms[0]]]
        return rows, params
    return _data(forms[0], body[forms[0]], inputs), params


def _body(payload: str | bytes | Mapping[str, Any], exact: bool) -> Mapping[str, Any]:
    body: Any = payload
    if isinstance(payload, (str, bytes, bytearray)):
        body = loads(bytes(payload) if isinstance(payload, bytearray) else payload, exact=exact)
    elif isinstance(payload, Mapping):
        try:
            body = loads(json.dumps(payload, default=to_json), exact=exact)
        except (TypeError, RecursionError, ConversionError) as error:
            raise ValueError(f"not what a JSON parser makes: {error}") from None
    if not isinstance(body, Mapping):
        raise ContractError(
            f"a request is a JSON object with one of the keys {', '.join(_KEYS)}, not {kind(plain(body))}"
        )
    return body


def _findings(body: Mapping[str, Any], forms: list[str]) -> list[Finding]:
    known = (*_KEYS, "params")
    expected = f"exactly one of {', '.join(_KEYS)}"
    findings = [
        Finding(Code.UNKNOWN_KEY, step(key), f"one of {', '.join(known)}", "another", nearest(key, known))
        for key in body
        if key not in known
    ]
    if len(forms) != 1:
        code = Code.DUPLICATE_NAME if forms else Code.MISSING_KEY
        findings.append(Finding(code, "", expected, " and ".join(forms) or "none of them"))
    if not isinstance(body.get("params"), (dict, type(None))):
        findings.append(Finding(Code.TYPE_MISMATCH, "params", "an object", kind(plain(body["params"]))))
    return findings


def _data(form: str, content: Any, inputs: Schema | None) -> Any:
    if form == "dataframe_split":
        return columns_from_json(content, inputs)
    single = form == "inputs" or (form == "instances" and isinstance(content, dict))
    if not isinstance(content, list) and not single:
        finding = Finding(Code.TYPE_MISMATCH, form, "a list, one element a row", kind(plain(content)))
        raise ContractError.of("the request is none that the model takes", [finding])
    if form == "dataframe_records" and not all(isinstance(row, dict) for row in content):
        finding = Finding(Code.TYPE_MISMATCH, form, "a list of objects", "others")
        raise ContractError.of("the request is none that the model takes", [finding])
    if inputs is None:
        held = plain(content)
        return _framed(held) if form == "dataframe_records" else _arrays(held)
    if inputs.is_tensor_spec() and inputs.has_input_names() and _are_rows(content):
        content = _by_name(content)
    elif inputs.is_tensor_spec() and form == "dataframe_records":
        return pd.DataFrame(
            {key: as_series([plain(row.get(key)) for row in content]) for key in _keys(content)}
        )
    return data_from_json(content, inputs)


def _arrays(held: Any) -> Any:
    """Lists of numbers or text as arrays, which MLflow's server makes of them without a signature."""
    if isinstance(held, dict):
        return {name: _arrays(one) for name, one in held.items()}
    if not isinstance(held, list):
        return held
    try:
        array = np.array(held)
    except ValueError:  # lists of different lengths
        return held
    return array if array.dtype.kind in "biufU" and not _is_mixed(held, array) else held


def _is_mixed(held: list[Any], array: np.ndarray[Any, Any]) -> bool:
    """Whether NumPy made text of numbers, or numbers of booleans."""
    leaves = np.array(held, dtype=object).ravel().tolist()
    forms = {bool: "b", int: "iuf", float: "f", str: "U"}
    beyond = array.dtype.kind == "f" and any(type(one) is int and abs(one) > 2**53 for one in leaves)
    return beyond or any(array.dtype.kind not in forms.get(type(one), "") for one in leaves)


def _framed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame({key: plain_series([row.get(key) for row in rows]) for key in _keys(rows)})


def _are_rows(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(row, dict) for row in content)


def _keys(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _by_name(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows of named tensors as one list for each name.

    Raises:
        ContractError: a name that some rows lack.
    """
    lacking = [
        Finding(
            Code.MISSING_FIELD,
            step(key),
            "a value in each row",
            "rows without it",
            count=sum(key not in row for row in rows),
        )
        for key in _keys(rows)
        if any(key not in row for row in rows)
    ]
    if lacking:
        raise ContractError.of("the request is none that the model takes", lacking)
    return {key: [row[key] for row in rows] for key in _keys(rows)}
