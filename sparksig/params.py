"""The params of a model: specs with defaults, and the enforcement of values.

The casting table (:mod:`sparksig.lattice`) defines the rules; a Python number has no width, so its value is
judged. Differences from MLflow: the range of integers is checked, datetimes with a time zone are refused
instead of losing it, None is allowed only if the default has it, and callers always receive copies.
"""

from __future__ import annotations

import base64
import binascii
import copy
import datetime
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    SignatureError,
    SignatureTypeError,
    SparksigWarning,
    below,
    find_duplicates,
    name_type,
    quote,
    suggest,
)
from sparksig.scalars import describe_mismatch
from sparksig.specs import Specs
from sparksig.type_json import parse_type
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Type, as_type, describe


class UnknownParamWarning(SparksigWarning):
    """A param that the signature does not declare was ignored."""


class ParamSpec:
    """A param: a name, a type and a default.

    Args:
        name: its name.
        dtype: a scalar type, its name, or an Object. MLflow cannot read signatures with binary params.
        default: the value that the model receives if the caller passes none; None is allowed for scalars.
        shape: None for a scalar or an object, ``(-1,)`` for a list of scalars.

    Raises:
        SignatureError: the default does not fit, or the type does not allow the shape.
        SignatureTypeError: an argument is of the wrong type.

    Example:
        >>> ParamSpec("temperature", "double", 0.5)
        'temperature': double (default: 0.5)
    """

    __slots__ = ("_default", "_dtype", "_name", "_shape")

    def __init__(
        self,
        name: str,
        dtype: DataType | Object | str,
        default: Any,
        shape: tuple[int] | list[int] | None = None,
    ) -> None:
        self._name = str(name)
        self._dtype = _check_type(self._name, dtype)
        self._shape = _check_shape(self._name, self._dtype, shape)
        findings: list[Finding] = []
        nullable = default is None and self._shape is None and isinstance(self._dtype, DataType)
        self._default = None if nullable else self._convert(default, findings, nulls=True)
        if findings:
            raise SignatureError.of(f"the default of the param {quote(self._name)} does not fit", findings)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def dtype(self) -> DataType | Object:
        """The type; of a list, the type of its elements."""
        return self._dtype

    @property
    def shape(self) -> tuple[int] | None:
        """``(-1,)`` for a list, None otherwise."""
        return self._shape

    @property
    def default(self) -> Any:
        """A copy of the default, as Python built-ins."""
        return copy.deepcopy(self._default)

    def enforce(self, value: Any) -> Any:
        """Convert a value to Python built-ins of the declared type.

        Args:
            value: the caller's value.

        Raises:
            ContractError: it does not fit; ``findings`` lists every problem.
        """
        findings: list[Finding] = []
        converted = self._convert_value(value, findings)
        if findings:
            raise ContractError.of("invalid params", findings)
        return converted

    def _convert_value(self, value: Any, findings: list[Finding]) -> Any:
        if value is None and self._default is None:
            return None
        nulls = isinstance(self._default, list) and None in self._default
        return self._convert(value, findings, nulls=nulls)

    def _convert(self, value: Any, findings: list[Finding], nulls: bool) -> Any:
        if self._shape is None:
            return _convert(value, self._dtype, quote(self._name), findings)
        if isinstance(value, list) or getattr(value, "ndim", None) == 1:
            return [
                None
                if element is None and nulls
                else _convert(element, self._dtype, f"{quote(self._name)}[{index}]", findings)
                for index, element in enumerate(value)
            ]
        findings.append(
            Finding(Code.SHAPE_MISMATCH, quote(self._name), f"a list of {self._dtype!r}", name_type(value))
        )
        return None

    def _key(self) -> tuple[Any, ...]:
        return (self._name, self._dtype, self._shape, _to_key(self._default))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shape = f" (shape: {self._shape})" if self._shape is not None else ""
        return f"{self._name!r}: {self._dtype!r} (default: {self._default}){shape}"

    def to_dict(self) -> dict[str, Any]:
        """Return the param as built-ins for JSON; datetimes are ISO 8601 texts, bytes are base64 texts.

        Raises:
            SignatureError: the default is NaN or infinite, which JSON cannot represent.
        """
        shape = None if self._shape is None else list(self._shape)
        default = _to_json(self._default, self._name)
        return {"name": self._name, "default": default, "shape": shape} | self._dtype.to_dict()

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> ParamSpec:
        """Read the items of :meth:`to_dict`, passed as keyword arguments.

        ``dtype`` is accepted as the old name of ``type``.

        Raises:
            SignatureError: malformed, or the default does not fit.
        """
        missing = [key for key in ("name", "default") if key not in kwargs]
        missing += [] if {"type", "dtype"} & kwargs.keys() else ["type"]
        if missing:
            valid_keys = {"name", "default", "shape", "type", "dtype", "items", "values", "properties"}
            unknown = ", ".join(quote(key) for key in kwargs if key not in valid_keys)
            addition = f" (it has the unknown key {unknown})" if unknown else ""
            raise SignatureError(f"the JSON of a param lacks {', '.join(missing)}{addition}")
        name = str(kwargs["name"])
        entry = dict(kwargs)
        old_key = entry.pop("dtype", None)
        dtype = parse_type({"type": old_key, **entry}, quote(name), other_keys=("name", "default", "shape"))
        if old_key is not None and entry.get("type", old_key) != old_key:
            raise SignatureError(f"the param {quote(name)} has both type and dtype, and they differ")
        if not isinstance(dtype, (DataType, Object)):
            raise SignatureError(f"the param {quote(name)} cannot be of type {describe(dtype)}")
        default = kwargs["default"]
        if dtype is DataType.binary:
            default = _from_base64(default, name)
        return cls(name, dtype, default, kwargs.get("shape"))


class ParamSchema(Specs[ParamSpec]):
    """The params of a model.

    Args:
        params: a list of :class:`ParamSpec` with different names; it may be empty.

    Raises:
        SignatureError: duplicate names.
        SignatureTypeError: not a list of ParamSpec.

    Example:
        >>> ParamSchema([ParamSpec("t", "long", 1)]).to_json()
        '[{"name": "t", "default": 1, "shape": null, "type": "long"}]'
    """

    __slots__ = ()
    _kinds = (ParamSpec,)
    _json_name = "params"

    def __init__(self, params: list[ParamSpec]) -> None:
        super().__init__(params)

    def _check(self, specs: list[ParamSpec]) -> None:
        names = sorted(map(quote, find_duplicates(spec.name for spec in specs)))
        if names:
            raise SignatureError(f"a ParamSchema has duplicate names: {', '.join(names)}")

    @property
    def params(self) -> list[ParamSpec]:
        """The specs in order, as a new list."""
        return list(self._specs)

    @classmethod
    def _parse_entry(cls, entry: Any, index: int) -> ParamSpec:
        del index
        if not isinstance(entry, Mapping):
            raise SignatureError(f"expected a JSON object, got {name_type(entry)}")
        return ParamSpec.from_json_dict(**entry)


def enforce_params(params: Mapping[str, Any] | None, schema: ParamSchema | None) -> dict[str, Any]:
    """Return the params for a call of the model: the caller's values, checked, and the other defaults.

    Params that the schema does not declare are ignored with an :class:`UnknownParamWarning`.

    Example:
        >>> enforce_params({"t": 2}, ParamSchema([ParamSpec("t", "long", 1), ParamSpec("k", "long", 5)]))
        {'t': 2, 'k': 5}
    """
    if params is None:
        params = {}
    if not isinstance(params, Mapping):
        raise ContractError(f"params: expected a dictionary, got {name_type(params)}")
    specs = {spec.name: spec for spec in schema or ()}
    findings = [
        Finding(Code.INVALID_NAME, quote(name), "a string as name", name_type(name))
        for name in params
        if not isinstance(name, str)
    ]
    unknown = [name for name in params if isinstance(name, str) and name not in specs]
    enforced = {
        name: specs[name]._convert_value(value, findings) for name, value in params.items() if name in specs
    }
    if findings:
        raise ContractError.of("invalid params", findings)
    if unknown:
        names = "; ".join(
            f"{quote(name)} ({hint})" if (hint := suggest(name, specs)) else quote(name) for name in unknown
        )
        warnings.warn(f"params unknown to the model are ignored: {names}", UnknownParamWarning, stacklevel=2)
    return enforced | {name: spec.default for name, spec in specs.items() if name not in enforced}


def _check_type(name: str, dtype: DataType | Object | str) -> DataType | Object:
    if not isinstance(dtype, (DataType, Object, str)):
        from sparksig.convert.mlflow import from_mlflow

        dtype = from_mlflow(dtype)
    if not isinstance(dtype, (DataType, Object, str)):
        raise SignatureTypeError(
            f"the type of the param {quote(name)}: expected a DataType, its name, or an Object, "
            f"got {name_type(dtype)}"
        )
    param_type = as_type(dtype)
    assert isinstance(param_type, (DataType, Object))
    return param_type


def _check_shape(name: str, dtype: DataType | Object, shape: object) -> tuple[int] | None:
    if shape is None:
        return None
    if not isinstance(shape, (tuple, list)) or list(shape) != [-1]:
        raise SignatureError(
            f"the shape of the param {quote(name)}: expected None, or (-1,) for a list, got {shape!r}"
        )
    if isinstance(dtype, Object):
        raise SignatureError(f"the param {quote(name)} cannot be a list of objects")
    return (-1,)


def _convert(value: Any, dtype: Type, path: str, findings: list[Finding], is_nested: bool = False) -> Any:
    """Convert a value to built-ins of a type; add a finding for each part that does not fit."""
    if isinstance(dtype, DataType):
        return _convert_scalar(value, dtype, path, findings, is_nested)
    if isinstance(dtype, AnyType):
        return _convert_any(value, path, findings)
    if isinstance(dtype, Array):
        if isinstance(value, list) or getattr(value, "ndim", None) == 1:
            return [
                _convert(element, dtype.dtype, f"{path}[{i}]", findings, True)
                for i, element in enumerate(value)
            ]
    elif isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        if isinstance(dtype, Map):
            return {
                k: _convert(v, dtype.value_type, below(path, k), findings, True) for k, v in value.items()
            }
        return _convert_object(value, dtype, path, findings)
    findings.append(Finding(Code.TYPE_MISMATCH, path, describe(dtype), name_type(value)))
    return None


def _convert_object(
    value: Mapping[str, Any], dtype: Object, path: str, findings: list[Finding]
) -> dict[str, Any]:
    properties = {prop.name: prop for prop in dtype.properties}
    expected, actual = "a declared property", "an unknown key"
    findings += [
        Finding(Code.UNKNOWN_KEY, below(path, key), expected, actual, suggest(key, properties))
        for key in value
        if key not in properties
    ]
    findings += [
        Finding(Code.MISSING_FIELD, below(path, prop.name), describe(prop.dtype), "nothing")
        for prop in dtype.properties
        if prop.required and prop.name not in value
    ]
    return {
        key: None
        if element is None and not properties[key].required
        else _convert(element, properties[key].dtype, below(path, key), findings, True)
        for key, element in value.items()
        if key in properties
    }


def _convert_any(value: Any, path: str, findings: list[Finding], depth: int = 0) -> Any:
    """Copy a value; add a finding for each part that JSON cannot represent."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth < MAX_DEPTH and isinstance(value, list):
        return [_convert_any(element, f"{path}[{i}]", findings, depth + 1) for i, element in enumerate(value)]
    if depth < MAX_DEPTH and isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {
            key: _convert_any(element, below(path, key), findings, depth + 1)
            for key, element in value.items()
        }
    actual = name_type(value) if depth < MAX_DEPTH else f"more than {MAX_DEPTH} levels of nesting"
    findings.append(Finding(Code.TYPE_MISMATCH, path, "a value that JSON can represent", actual))
    return None


def _convert_scalar(value: Any, dtype: DataType, path: str, findings: list[Finding], is_nested: bool) -> Any:
    if dtype is DataType.datetime:
        converted, reason = _convert_datetime(value)
        if is_nested and not reason:
            reason = "a datetime inside an object, which is not supported in params"
    elif dtype is DataType.float and type(value) is float:
        return value  # the model receives the float itself, which is not narrowed to 32 bits
    elif is_nested and dtype is DataType.binary:
        converted, reason = None, "bytes inside an object, which are not supported in params"
    else:
        reason = describe_mismatch(value, dtype)
        converted = None if reason else _to_builtin(value, dtype)
    if reason:
        findings.append(Finding(Code.TYPE_MISMATCH, path, dtype.name, reason))
        return None
    return converted


def _to_builtin(value: Any, dtype: DataType) -> Any:
    value = value.item() if hasattr(value, "item") else value
    # str() of an instance of a subclass, such as an enum member, may be another text
    return str.__str__(value) if dtype is DataType.string else dtype.to_python()(value)


_EXTENDED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:$|[T ])")


def _convert_datetime(value: Any) -> tuple[datetime.date | None, str]:
    """Return a naive date or datetime and an empty text; or None and a description of the refused value."""
    if type(value).__module__ == "numpy" and hasattr(value, "astype"):
        return _convert_numpy_datetime(value)
    if isinstance(value, datetime.date) and value != value:
        return None, "NaT"
    if isinstance(value, str):
        try:
            if not _EXTENDED.match(value):  # Python 3.11 accepts the basic format as well, 3.10 does not
                raise ValueError(value)
            date_only = len(value) == len("2020-01-31")
            value = (
                datetime.date.fromisoformat(value) if date_only else datetime.datetime.fromisoformat(value)
            )
        except ValueError:
            return None, "a text that is not an ISO 8601 date or time, such as 2020-01-31T12:30:00"
    if not isinstance(value, datetime.date):
        return None, name_type(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            return None, "a datetime with a time zone: convert it, then remove the zone explicitly"
        if getattr(value, "nanosecond", 0):
            return None, "a datetime with nanoseconds"
        return datetime.datetime.fromisoformat(value.isoformat()), ""
    return value, ""


_FINER = {f"datetime64[{unit}]" for unit in ("ns", "ps", "fs", "as")}
_OUT_OF_RANGE = "a datetime outside the years 1 to 9999"


def _convert_numpy_datetime(value: Any) -> tuple[datetime.date | None, str]:
    if value.dtype.kind != "M" or type(value).__name__ == "ndarray":
        return None, name_type(value)
    if value != value:
        return None, "NaT"
    if value.dtype.name == "datetime64[D]":
        item = value.item()
    else:
        micros = value.astype("datetime64[us]")
        if micros.astype(value.dtype) != value:  # it was rounded, or has wrapped around
            is_finer = value.dtype.name in _FINER
            return None, "a datetime with nanoseconds" if is_finer else _OUT_OF_RANGE
        item = micros.item()
    return (item, "") if isinstance(item, datetime.date) else (None, _OUT_OF_RANGE)


def _to_key(value: Any) -> Any:
    """Return a hashable key that is equal for equal defaults; the order of an object's keys is ignored."""
    if isinstance(value, dict):
        return frozenset((key, _to_key(element)) for key, element in value.items())
    if isinstance(value, list):
        return tuple(map(_to_key, value))
    return (type(value).__name__, repr(value))  # 1, 1.0 and True differ, and NaN equals NaN


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise SignatureError(
            f"the default of the param {quote(name)} is {value}, which JSON cannot represent: use None"
        )
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_to_json(element, name) for element in value]
    if isinstance(value, dict):
        return {key: _to_json(element, name) for key, element in value.items()}
    return value


def _from_base64(value: Any, name: str) -> Any:
    """Decode the base64 texts of a default in JSON; return other values unchanged."""
    if isinstance(value, list):
        return [_from_base64(element, name) for element in value]
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        finding = Finding(
            Code.INVALID_VALUE, quote(name), "binary, as base64 text", "text that is not base64"
        )
        raise SignatureError.of(f"the default of the param {quote(name)} does not fit", [finding]) from None
