"""JSON <-> values of the signature types.

=========  ===========================================================  ==============================
type       in JSON                                                      lost on the way
=========  ===========================================================  ==============================
boolean    true, false
integers   a whole number in range, as 7 or 7.0
float      a number, taken to the nearest value of the type, but an     NaN and null are told apart
double     integer only if it is a value of it (up to 2^24, 2^53);      inside arrays and objects only
           NaN, Infinity, -Infinity as these texts (Protocol Buffers'
           rule), for JSON has no numbers for them
string     text
binary     base64
datetime   ISO 8601, with ``Z`` or an offset for an instant             fractions beyond nanoseconds
composite  arrays and objects                                           tuples and arrays become lists
Any        as it is                                                     what a text stood for
=========  ===========================================================  ==============================

Nothing else is read into a type: what does not fit is handed on as it is, for the engine to judge and to
name.
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

from sparksig.errors import Code, ConversionError, Finding, below, kind
from sparksig.scalars import EXACT_INTEGERS
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type

__all__ = [
    "AS_WRITTEN",
    "DATETIMES",
    "ISO_8601",
    "TEXTS",
    "Number",
    "column_from_json",
    "dumps",
    "from_json",
    "loads",
    "nearest_float32",
    "plain",
    "to_json",
]


MAX_NESTING = 150
"""Deeper JSON is refused; types end far above."""


DATETIMES, AS_WRITTEN, TEXTS = "datetimes", "as written", "texts"
"""What times in JSON are read as."""


class Number(str):
    """A number as it stands in JSON, its type still to be decided."""

    __slots__ = ()


def loads(text: str | bytes, *, exact: bool = False) -> Any:
    """JSON text as Python values; NaN and infinities are taken, too, as :class:`Number`.

    Args:
        text: the JSON.
        exact: whether numbers with a fraction or an exponent stay text, as :class:`Number`: float32 asks for
            it, for the float32 nearest to a text is not always the one nearest to its double.

    Raises:
        ValueError: it is not JSON (with line and column, never with what it holds), a key stands twice in an
            object, an integer has thousands of digits, or it is nested too deeply.

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
            object_pairs_hook=_unique,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: no UTF-8 text") from None
    except ValueError as error:  # ours, or Python's of a number that is too long
        told = "an integer of thousands of digits" if "digits" in str(error) else error
        raise ValueError(f"not JSON as it is taken here: {told}") from None
    except RecursionError:
        raise ValueError("not JSON as it is taken here: nested too deeply") from None


_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _check_depth(text: str) -> None:
    """Refuse what is nested so deeply that nobody walks through it; brackets in texts count as others.

    Raises:
        ValueError: it is.
    """
    depth = deepest = 0
    for sign in text.encode(errors="replace").translate(None, _BRACKETS):
        if sign in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    if deepest > MAX_NESTING:
        raise ValueError(f"nested more than {MAX_NESTING} levels deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return held


# --- from JSON ------------------------------------------------------------------------------------------

ISO_8601 = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9})0*)?)?"
    r"(Z|z|[+-][0-9]{2}:?[0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""The form of a date or time in JSON, as a regular expression that JSON Schema takes, too."""

_TIME = re.compile(ISO_8601)
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: Any) -> Any:
    """What JSON says by itself: whole numbers as int, others as float; lists and dictionaries throughout.

    Raises:
        ValueError: a number is beyond doubles.
    """
    if isinstance(value, (Number, float)):
        return _double(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _double(number: Number | float) -> float:
    held = float(number)
    if math.isinf(held) and number not in _NAMES:
        raise ValueError(
            "not JSON as it is taken here: a number beyond doubles (infinity is the text Infinity)"
        )
    return held


_AS_THEY_ARE: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool, type(None)}),
    DataType.integer: frozenset({int, type(None)}),
    DataType.long: frozenset({int, type(None)}),
    DataType.string: frozenset({str, type(None)}),
}


def column_from_json(values: Sequence[Any], dtype: Type, *, times: str = DATETIMES) -> list[Any]:
    """Many values of one type, each as by :func:`from_json`; as a whole where they are so already."""
    if isinstance(dtype, DataType):
        forms = set(map(type, values))
        if forms <= _AS_THEY_ARE.get(dtype, frozenset()):
            return list(values)
        if dtype is DataType.float and forms <= {float, Number}:
            return [*map(float, nearest_float32(values))]
        if dtype is DataType.double and forms <= {float, type(None)} and math.inf not in values:
            return list(values) if -math.inf not in values else [from_json(one, dtype) for one in values]
    return [from_json(one, dtype, times=times) for one in values]


def from_json(value: Any, dtype: Type, *, times: str = DATETIMES) -> Any:
    """What :func:`loads` gave as a value of a type; what is none stays what JSON says.

    Args:
        value: what ``loads`` gave.
        dtype: the type.
        times: what times become: :data:`DATETIMES`; :data:`AS_WRITTEN`, where a date is a date;
            :data:`TEXTS`, what they are, and so are bytes.

    Example:
        >>> from_json(loads("7.0"), DataType.long), from_json(loads('"7"'), DataType.long)
        (7, '7')
        >>> from_json(loads('["2020-01-01T12:00:00.5"]'), Array("datetime"))
        [datetime.datetime(2020, 1, 1, 12, 0, 0, 500000)]
    """
    if value is None or isinstance(dtype, AnyType):
        return plain(value)
    if isinstance(dtype, DataType):
        return _scalar(value, dtype, times)
    if isinstance(value, list) and isinstance(dtype, (Array, SparkMLVector)):
        item = dtype.dtype
        return column_from_json(value, item, times=times)
    if isinstance(value, dict) and isinstance(dtype, Map):
        return {key: from_json(one, dtype.value_type, times=times) for key, one in value.items()}
    if isinstance(value, dict) and isinstance(dtype, Object):
        known = {prop.name: prop.dtype for prop in dtype.properties}
        return {
            key: from_json(one, known[key], times=times) if key in known else plain(one)
            for key, one in value.items()
        }
    return plain(value)


def _scalar(value: Any, dtype: DataType, times: str) -> Any:
    if isinstance(value, str):
        if dtype in (DataType.float, DataType.double) and value in _NAMES:
            return _NAMES[value]
        if isinstance(value, Number):
            return _number(value, dtype)
        if times == TEXTS:
            return value
        if dtype is DataType.binary:
            return _bytes(value)
        return _time(value, times == AS_WRITTEN) if dtype is DataType.datetime else value
    if type(value) in (int, float):
        return _number(value, dtype)
    return plain(value)


def _number(value: Number | int | float, dtype: DataType) -> Any:
    """A number as the nearest of a type; what no number of the type is near to as it is."""
    if dtype is DataType.float:
        return _float32(value)
    held = value if isinstance(value, int) else _double(value)
    if dtype is DataType.double and type(held) is int:
        return float(held) if abs(held) <= EXACT_INTEGERS[dtype] else held
    # a whole number with a fraction or an exponent, as 7.0; beyond 2^53 its text may have said another
    whole = type(held) is float and held.is_integer() and abs(held) < 2**53
    return int(held) if whole and dtype in (DataType.integer, DataType.long) else held


def _float32(value: Number | int | float) -> Any:
    """Return the float32 nearest to a number, ties to even; rounding twice, by a double, may miss it."""
    if isinstance(value, int):
        return float(value) if abs(value) <= EXACT_INTEGERS[DataType.float] else value
    double = _double(value)
    if abs(double) >= _OVERFLOW or double != double:
        return double
    if not isinstance(value, Number):
        return float(np.float32(value))
    return pa.scalar(str.__str__(value)).cast(pa.float32()).as_py()


_OVERFLOW = 2**128 - 2**103  # halfway to what would follow the largest float32


def nearest_float32(values: Sequence[float | Number]) -> np.ndarray[Any, Any]:
    """Numbers with a fraction or an exponent as the nearest float32 each, in an array of doubles.

    Rounding twice, first to a double, goes wrong only where the double lies halfway between two float32.
    """
    doubles = np.array(list(map(float, values)), dtype=np.float64)
    with np.errstate(over="ignore"):
        near = doubles.astype(np.float32).astype(np.float64)
    halfway = (doubles.view(np.uint64) & np.uint64(0x1FFFFFFF)) == np.uint64(0x10000000)
    size = np.abs(doubles)
    unsure = halfway | ((size < _NORMAL) & (size > 0)) | (size > _LARGEST)
    for index in np.flatnonzero(unsure).tolist():
        near[index] = _float32(values[index])
    return near


_NORMAL, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def _bytes(text: str) -> Any:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text


def _time(text: str, as_written: bool) -> Any:
    """A date or time of ISO 8601, with nanoseconds as pandas' Timestamp; the text where it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    try:
        day = datetime.date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None and as_written:
            return day
        fraction = (match[7] or "").ljust(9, "0")
        clock = datetime.time(
            int(match[4] or 0), int(match[5] or 0), int(match[6] or 0), int(fraction[:6]), _zone(match[8])
        )
        held, nanos = datetime.datetime.combine(day, clock), int(fraction[6:])
        return pd.Timestamp(held) + pd.Timedelta(nanos, unit="ns") if nanos else held
    except (ValueError, OverflowError):  # no such day, say
        return text


def _zone(text: str | None) -> datetime.tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return datetime.timezone.utc
    hours, minutes, seconds = (int(part or 0) for part in re.findall("[0-9]{2}", text[1:] + "00")[:3])
    offset = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return datetime.timezone(-offset if text[0] == "-" else offset)


# --- to JSON --------------------------------------------------------------------------------------------


def dumps(value: Any, *, indent: int | None = None) -> str:
    """What :func:`to_json` gave as JSON text, by the standard: no bare NaN.

    Example:
        >>> dumps(to_json({"a": [1, b"x", float("nan")]}))
        '{"a": [1, "eA==", "NaN"]}'
    """
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def to_json(value: Any, path: str = "", nested: bool = False) -> Any:
    """A value of a signature type as JSON has it, from which :func:`from_json` makes it again.

    A missing value is null. A NaN is null as well, for a column's null is a NaN; inside arrays and objects,
    where the two differ, it is the text NaN.

    Args:
        value: a scalar, list, dictionary, array, or what NumPy, pandas and the standard library have for
            them.
        path: where it stands, for errors.
        nested: whether it stands inside an array or object.

    Raises:
        ConversionError: JSON, or no signature type, holds it: with its path.
    """
    try:
        return _to_json(value, path, nested)
    except RecursionError:
        raise _refusal(path, "a value of a signature type", "one that is nested too deeply") from None


def _refusal(path: str, expected: str, found: str, code: Code = Code.UNSUPPORTED_TYPE) -> ConversionError:
    return ConversionError.of("this cannot be written as JSON", [Finding(code, path, expected, found)])


def _to_json(value: Any, path: str, nested: bool) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, int):  # bools and enums are ints, too
        if value.bit_length() > _LONGEST:
            raise _refusal(path, "a value of a signature type", "an integer of thousands of digits")
        return value if type(value) is bool else int(value)
    if isinstance(value, np.generic):
        return _numpy(value, path, nested)
    if isinstance(value, float):
        return _float(float(value), nested)
    if isinstance(value, str):
        return _text(str.__str__(value), path)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _DIGITS:
        whole = value == value.to_integral_value() and value.as_tuple().exponent == 0
        return int(value) if whole else float(value)
    if isinstance(value, Mapping):
        return _object(value, path)
    if hasattr(value, "model_dump"):  # pydantic
        return _object(value.model_dump(), path)
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim else value[()]
        return _to_json(value, path, nested)
    if isinstance(value, (list, tuple)):
        return [_to_json(one, f"{path}[]", True) for one in value]
    raise _refusal(path, "a value of a signature type", kind(value))


_DIGITS = 300
_LONGEST = 13_000  # bits, of which 4,300 digits are made


def _numpy(value: np.generic, path: str, nested: bool) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value.astype("datetime64[s]") if _is_coarse(value) else value)
    if isinstance(value, np.timedelta64):
        raise _refusal(path, "a value of a signature type", kind(value))
    if isinstance(value, np.floating):
        return _float(float(value), nested)
    return _to_json(value.item(), path, nested)


def _is_coarse(value: np.datetime64) -> bool:
    return np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D", "h", "m")


def _float(value: float, nested: bool) -> Any:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN" if nested else None
    return "Infinity" if value > 0 else "-Infinity"


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refusal(path, "Unicode text", "a lone surrogate", Code.INVALID_VALUE) from None
    return value


def _object(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    wrong = [kind(key) for key in value if not isinstance(key, str)]
    if wrong:
        raise _refusal(path, "keys that are text", wrong[0], Code.INVALID_NAME)
    return {
        _text(str.__str__(key), path): _to_json(one, below(path, key), True) for key, one in value.items()
    }
