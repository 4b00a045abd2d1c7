"""Conversion between JSON and the values of signature types.

=========  ===========================================================  ===============================
type       JSON                                                         loss
=========  ===========================================================  ===============================
boolean    true, false
integers   an integer in range, such as 7 or 7.0
float      a number, rounded to the nearest value of the type; an       NaN and null differ only inside
double     integer must be exact (up to 2^24, 2^53). The texts NaN,     arrays and objects
           Infinity and -Infinity, as in Protocol Buffers
string     text
binary     base64
datetime   ISO 8601; ``Z`` or an offset for a timestamp with a zone     fractions beyond nanoseconds
composite  arrays and objects                                           tuples and arrays become lists
Any        unchanged                                                    the types of texts
=========  ===========================================================  ===============================

Values that do not fit their type are not converted: the engine judges and reports them.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.errors import Code, ConversionError, Finding, below, name_type
from sparksig.scalars import EXACT_INTEGERS
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type

MAX_NESTING = 150
"""The maximum depth of JSON. The maximum depth of types is smaller."""


DATETIMES, AS_WRITTEN, TEXTS = "datetimes", "as written", "texts"
"""The ways to read times in JSON; see :func:`from_json`."""


class Number(str):
    """The text of a number in JSON, which is not yet converted to a type."""

    __slots__ = ()


def loads(text: str | bytes, *, exact: bool = False) -> Any:
    """Parse JSON text; NaN and infinities are accepted, as :class:`Number`.

    ``exact`` returns numbers with a fraction or an exponent as Number, too: rounding a text to a double first
    can give another float32.

    Raises:
        ValueError: the text is not JSON (with line and column, without the content), an object has a
            duplicate key, an integer has thousands of digits, or the nesting is too deep.

    Example:
        >>> loads('{"a": [1.50, null]}')
        {'a': [1.5, None]}
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        _check_depth(text)
        return json.loads(
            text,
            parse_float=Number if exact else None,
            parse_constant=Number,
            object_pairs_hook=_build_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: not UTF-8 text") from None
    except ValueError as error:  # of the functions below, or of Python for a long number
        reason = "an integer of thousands of digits" if "digits" in str(error) else error
        raise ValueError(f"unsupported JSON: {reason}") from None
    except RecursionError:
        raise ValueError("unsupported JSON: nested too deeply") from None


_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _check_depth(text: str) -> None:
    """Raise a ValueError if a text has too many nested brackets; brackets in strings count, too."""
    depth = deepest = 0
    for sign in text.encode(errors="replace").translate(None, _BRACKETS):
        if sign in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    if deepest > MAX_NESTING:
        raise ValueError(f"nested more than {MAX_NESTING} levels deep")


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        raise ValueError("an object has a duplicate key")
    return items


# --- from JSON ------------------------------------------------------------------------------------------

ISO_8601 = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9})0*)?)?"
    r"(Z|z|[+-][0-9]{2}:?[0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""The pattern of a date or time in JSON, as a regular expression that is valid in JSON Schema, too."""

_TIME = re.compile(ISO_8601)
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_plain(value: Any) -> Any:
    """Convert a value of JSON without a type: each :class:`Number` in it becomes a float."""
    if isinstance(value, (Number, float)):
        return _to_double(value)
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def _to_double(number: Number | float) -> float:
    double = float(number)
    if math.isinf(double) and number not in _NAMES:
        raise ValueError("unsupported JSON: a number beyond doubles (write infinity as the text Infinity)")
    return double


_UNCHANGED: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool, type(None)}),
    DataType.integer: frozenset({int, type(None)}),
    DataType.long: frozenset({int, type(None)}),
    DataType.string: frozenset({str, type(None)}),
}


def column_from_json(values: Sequence[Any], dtype: Type, *, times: str = DATETIMES) -> list[Any]:
    """Convert values of one type as :func:`from_json` does; copy them if they need no conversion."""
    if isinstance(dtype, DataType):
        classes = set(map(type, values))
        if classes <= _UNCHANGED.get(dtype, frozenset()):
            return list(values)
        if dtype is DataType.float and classes <= {float, Number}:
            return [*map(float, nearest_float32(values))]
        if dtype is DataType.double and classes <= {float, type(None)} and math.inf not in values:
            return list(values) if -math.inf not in values else [from_json(value, dtype) for value in values]
    return [from_json(value, dtype, times=times) for value in values]


def from_json(value: Any, dtype: Type, *, times: str = DATETIMES) -> Any:
    """Convert a result of :func:`loads` to a value of a type; values that do not fit are not converted.

    Args:
        value: a result of ``loads``.
        dtype: the type.
        times: the conversion of times: :data:`DATETIMES` (dates become datetimes), :data:`AS_WRITTEN` (dates
            become dates), or :data:`TEXTS` (times and bytes stay texts).

    Example:
        >>> from_json(loads("7.0"), DataType.long), from_json(loads('"7"'), DataType.long)
        (7, '7')
        >>> from_json(loads('["2020-01-01T12:00:00.5"]'), Array("datetime"))
        [datetime.datetime(2020, 1, 1, 12, 0, 0, 500000)]
    """
    if value is None or isinstance(dtype, AnyType):
        return to_plain(value)
    if isinstance(dtype, DataType):
        return _convert_scalar(value, dtype, times)
    if isinstance(value, list) and isinstance(dtype, (Array, SparkMLVector)):
        return column_from_json(value, dtype.dtype, times=times)
    if isinstance(value, dict) and isinstance(dtype, Map):
        return {key: from_json(item, dtype.value_type, times=times) for key, item in value.items()}
    if isinstance(value, dict) and isinstance(dtype, Object):
        dtypes = {prop.name: prop.dtype for prop in dtype.properties}
        return {
            key: from_json(item, dtypes[key], times=times) if key in dtypes else to_plain(item)
            for key, item in value.items()
        }
    return to_plain(value)


def _convert_scalar(value: Any, dtype: DataType, times: str) -> Any:
    if isinstance(value, str):
        if dtype in (DataType.float, DataType.double) and value in _NAMES:
            return _NAMES[value]
        if isinstance(value, Number):
            return _convert_number(value, dtype)
        if times == TEXTS:
            return value
        if dtype is DataType.binary:
            return _parse_base64(value)
        return _parse_time(value, times == AS_WRITTEN) if dtype is DataType.datetime else value
    if type(value) in (int, float):
        return _convert_number(value, dtype)
    return to_plain(value)


def _convert_number(value: Number | int | float, dtype: DataType) -> Any:
    """Round a number to the nearest value of a type; return a number that does not fit unchanged."""
    if dtype is DataType.float:
        if isinstance(value, int):
            return float(value) if abs(value) <= EXACT_INTEGERS[dtype] else value
        _to_double(value)  # raises an error for a number beyond doubles
        return float(nearest_float32([value])[0])
    number = value if isinstance(value, int) else _to_double(value)
    if dtype is DataType.double and type(number) is int:
        return float(number) if abs(number) <= EXACT_INTEGERS[dtype] else number
    # an integer with a fraction or an exponent, such as 7.0; beyond 2^53 a double is not exact
    is_integer = type(number) is float and number.is_integer() and abs(number) < 2**53
    return int(number) if is_integer and dtype in (DataType.integer, DataType.long) else number


FLOAT32_OVERFLOW = 2**128 - 2**103
"""The smallest number that does not round to a finite float32: halfway between the largest one and 2^128."""


def nearest_float32(values: Sequence[float | Number]) -> np.ndarray[Any, Any]:
    """Round each number to the nearest float32, ties to even; return an array of doubles.

    A text is rounded once, by Arrow: rounding it to a double first can give another float32. Numbers beyond
    float32 stay doubles.
    """
    doubles = np.array(list(map(_to_double, values)), dtype=np.float64)
    texts = pa.array([str.__str__(v) if isinstance(v, Number) else None for v in values], pa.string())
    with np.errstate(over="ignore"):
        nearest = doubles.astype(np.float32)
    is_text = texts.is_valid().to_numpy(zero_copy_only=False)
    nearest[is_text] = texts.drop_null().cast(pa.float32()).to_numpy()
    with np.errstate(invalid="ignore"):  # NaN
        return np.where(np.abs(doubles) >= FLOAT32_OVERFLOW, doubles, nearest.astype(np.float64))


def _parse_base64(text: str) -> Any:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text


def _parse_time(text: str, as_written: bool) -> Any:
    """Parse a date or time in ISO 8601; with nanoseconds, it is a pandas Timestamp. Return other texts."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    try:
        day = datetime.date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None and as_written:
            return day
        fraction = (match[7] or "").ljust(9, "0")
        clock = datetime.time(
            int(match[4] or 0),
            int(match[5] or 0),
            int(match[6] or 0),
            int(fraction[:6]),
            _parse_offset(match[8]),
        )
        time, nanos = datetime.datetime.combine(day, clock), int(fraction[6:])
        return pd.Timestamp(time) + pd.Timedelta(nanos, unit="ns") if nanos else time
    except (ValueError, OverflowError):  # such as February 30
        return text


def _parse_offset(text: str | None) -> datetime.tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return datetime.timezone.utc
    hours, minutes, seconds = (int(part or 0) for part in re.findall("[0-9]{2}", text[1:] + "00")[:3])
    offset = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return datetime.timezone(-offset if text[0] == "-" else offset)


# --- to JSON --------------------------------------------------------------------------------------------


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Format a result of :func:`to_json` as standard JSON text, which has no NaN.

    Example:
        >>> dumps(to_json({"a": [1, b"x", float("nan")]}))
        '{"a": [1, "eA==", "NaN"]}'
    """
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def to_json(value: Any, path: str = "", nested: bool = False) -> Any:
    """Convert a value of a signature type to built-ins for JSON; :func:`from_json` reverses this.

    A missing value becomes null. NaN becomes null as well, because pandas uses NaN for nulls of columns.
    Inside arrays and objects, NaN becomes the text NaN.

    Raises:
        ConversionError: neither JSON nor any signature type represents the value; with its path.
    """
    try:
        return _to_json(value, path, nested)
    except RecursionError:
        raise _build_error(path, "a value of a signature type", "one that is nested too deeply") from None


def _build_error(
    path: str, expected: str, actual: str, code: Code = Code.UNSUPPORTED_TYPE
) -> ConversionError:
    return ConversionError.of("the value cannot be written as JSON", [Finding(code, path, expected, actual)])


def _to_json(value: Any, path: str, nested: bool) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, int):  # bools and enums are ints, too
        if value.bit_length() > _MAX_BITS:
            raise _build_error(path, "a value of a signature type", "an integer of thousands of digits")
        return value if type(value) is bool else int(value)
    if isinstance(value, np.generic):
        return _numpy_to_json(value, path, nested)
    if isinstance(value, float):
        return _float_to_json(float(value), nested)
    if isinstance(value, str):
        return _check_text(str.__str__(value), path)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _MAX_DIGITS:
        is_integer = value == value.to_integral_value() and value.as_tuple().exponent == 0
        return int(value) if is_integer else float(value)
    if isinstance(value, Mapping):
        return _object_to_json(value, path)
    if hasattr(value, "model_dump"):  # pydantic
        return _object_to_json(value.model_dump(), path)
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim else value[()]
        return _to_json(value, path, nested)
    if isinstance(value, (list, tuple)):
        return [_to_json(item, f"{path}[]", True) for item in value]
    raise _build_error(path, "a value of a signature type", name_type(value))


_MAX_DIGITS = 300
_MAX_BITS = 13_000  # Python refuses integers of more than 4,300 digits


def _numpy_to_json(value: np.generic, path: str, nested: bool) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value.astype("datetime64[s]") if _is_coarse(value) else value)
    if isinstance(value, np.timedelta64):
        raise _build_error(path, "a value of a signature type", name_type(value))
    if isinstance(value, np.floating):
        return _float_to_json(float(value), nested)
    return _to_json(value.item(), path, nested)


def _is_coarse(value: np.datetime64) -> bool:
    return np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D", "h", "m")


def _float_to_json(value: float, nested: bool) -> Any:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN" if nested else None
    return "Infinity" if value > 0 else "-Infinity"


def _check_text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _build_error(path, "Unicode text", "a lone surrogate", Code.INVALID_VALUE) from None
    return value


def _object_to_json(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    invalid_keys = [name_type(key) for key in value if not isinstance(key, str)]
    if invalid_keys:
        raise _build_error(path, "keys that are strings", invalid_keys[0], Code.INVALID_NAME)
    return {
        _check_text(str.__str__(key), path): _to_json(item, below(path, key), True)
        for key, item in value.items()
    }
