"""The types of a signature: eight scalars, and composites of them. Frozen, hashable, no dependencies.

JSON and reprs are MLflow's, byte for byte. ``to_dict`` gives the JSON of a type as built-ins,
:func:`parse_type` reads it back; both live here because the form of the JSON belongs to the type.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, Union

from sparksig.errors import (
    Code,
    Finding,
    InferenceError,
    MissingDependencyError,
    SignatureError,
    SignatureTypeError,
    below,
    kind,
    nearest,
    printable,
    step,
)

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql.types import DataType as SparkDataType

__all__ = [
    "AnyType",
    "Array",
    "DataType",
    "Map",
    "Object",
    "Property",
    "SparkMLVector",
    "Type",
    "as_type",
    "describe",
    "merge",
    "parse_type",
    "parse_typed",
    "unknown_keys",
]

MAX_DEPTH = 100
"""Types nested deeper than this are refused: no model needs them, and hostile JSON is made of them."""


class DataType(Enum):
    """The scalar types of a signature; their values are MLflow's.

    Example:
        >>> DataType["long"], DataType(3), DataType.long.to_python()
        (long, long, <class 'int'>)
    """

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8

    def __repr__(self) -> str:
        return self.name

    def to_python(self) -> type:
        """Return the Python type: bool, int, float, str, bytes or ``datetime.date``."""
        return _PYTHON[self]

    def to_numpy(self) -> np.dtype[Any]:
        """Return the NumPy dtype, without nulls; strings and bytes have no size.

        Example:
            >>> DataType.integer.to_numpy()
            dtype('int32')
        """
        from sparksig.convert.numpy import to_numpy

        return to_numpy(self)

    def to_pandas(self) -> np.dtype[Any]:
        """Return the pandas dtype: NumPy's, and object for strings and bytes.

        Example:
            >>> DataType.string.to_pandas()
            dtype('O')
        """
        from sparksig.convert.numpy import to_pandas

        return to_pandas(self)

    def to_spark(self) -> SparkDataType:
        """Return the Spark type.

        Raises:
            MissingDependencyError: pyspark is not installed.

        Example:
            >>> DataType.datetime.to_spark()
            TimestampType()
        """
        try:
            from sparksig.convert.spark import to_spark
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "pyspark":
                raise
            raise MissingDependencyError.naming("pyspark", "DataType.to_spark", "spark") from None
        return to_spark(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the type, ``{"type": "long"}``."""
        return {"type": self.name}

    @classmethod
    def all_types(cls) -> list[DataType]:
        """Return the eight scalar types, in the order of their values."""
        return list(cls)

    @classmethod
    def get_spark_types(cls) -> list[SparkDataType]:
        """Return the Spark type of each scalar type, in the order of :meth:`all_types`.

        Raises:
            MissingDependencyError: pyspark is not installed.
        """
        return [dtype.to_spark() for dtype in cls]

    @classmethod
    def from_numpy_type(cls, np_type: Any) -> DataType | None:
        """Return the scalar type whose NumPy dtype is exactly ``np_type``, or None.

        Args:
            np_type: a NumPy dtype.

        Example:
            >>> import numpy as np
            >>> DataType.from_numpy_type(np.dtype("int64")), DataType.from_numpy_type(np.dtype("int8"))
            (long, None)
        """
        return next((dtype for dtype in cls if dtype.to_numpy() == np_type), None)

    @classmethod
    def check_type(cls, data_type: DataType, value: object) -> bool:
        """Return whether a value is exactly of the Python type or the NumPy type of a scalar type.

        Subclasses do not count: neither True as a long nor ``pandas.Timestamp`` as a datetime.

        Args:
            data_type: the scalar type.
            value: any value.

        Example:
            >>> DataType.check_type(DataType.long, 1), DataType.check_type(DataType.long, True)
            (True, False)
        """
        others: dict[DataType, type] = {DataType.binary: bytearray, DataType.datetime: datetime.datetime}
        known = {data_type.to_python(), data_type.to_numpy().type, others.get(data_type)}
        return type(value) in known


_PYTHON: dict[DataType, type] = {
    DataType.boolean: bool,
    DataType.integer: int,
    DataType.long: int,
    DataType.float: float,
    DataType.double: float,
    DataType.string: str,
    DataType.binary: bytes,
    DataType.datetime: datetime.date,
}


class _Frozen:
    """What cannot change is its own copy."""

    def __copy__(self: F) -> F:
        return self

    def __deepcopy__(self: F, memo: object) -> F:
        return self


F = TypeVar("F", bound=_Frozen)


@dataclass(frozen=True, init=False, repr=False)
class Property(_Frozen):
    """A named field of an :class:`Object`.

    Args:
        name: its key.
        dtype: a type, or the name of a scalar type.
        required: whether every object must have it.

    Raises:
        SignatureError: the name of a type is unknown.
        SignatureTypeError: an argument is of the wrong kind.

    Example:
        >>> Property("a", "string")
        a: string (required)
    """

    name: str
    dtype: Type
    required: bool

    def __init__(self, name: str, dtype: Type | str, required: bool = True) -> None:
        if not isinstance(name, str):
            raise SignatureTypeError(f"a property's name must be a string, not {kind(name)}")
        if not isinstance(required, bool):
            raise SignatureTypeError(
                f"property {step(name)}: required must be True or False, not {kind(required)}"
            )
        _set(self, name=name, dtype=as_type(dtype), required=required)

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    def __lt__(self, other: Property) -> bool:
        return self.name < other.name

    def to_dict(self) -> dict[str, Any]:
        """``{name: {type keys, "required": bool}}``."""
        return {self.name: self.dtype.to_dict() | {"required": self.required}}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Property:
        """Read ``Property.from_json_dict(**{name: {"type": ..., "required": ...}})``.

        Raises:
            SignatureError: malformed; ``findings`` has every place.
        """
        if len(kwargs) != 1:
            raise SignatureError(f"a property's JSON has one key, its name; found {len(kwargs)} keys")
        [(name, body)] = kwargs.items()
        return _parse_property(name, body, step(name), 0)


@dataclass(frozen=True, init=False, repr=False)
class Array(_Frozen):
    """A list of values of one type.

    Args:
        dtype: the type of the elements, or the name of a scalar type.

    Example:
        >>> Array("long").to_dict()
        {'type': 'array', 'items': {'type': 'long'}}
    """

    dtype: Type

    def __init__(self, dtype: Type | str) -> None:
        _set(self, dtype=as_type(dtype))
        _check_depth(self)

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    def to_dict(self) -> dict[str, Any]:
        """``{"type": "array", "items": {...}}``."""
        return {"type": "array", "items": self.dtype.to_dict()}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Array:
        """Read the keyword arguments that :meth:`to_dict` gives."""
        return _expect(cls, kwargs)


@dataclass(frozen=True, init=False, repr=False)
class SparkMLVector(Array):
    """A vector of Spark ML, dense or sparse; equal only to another of its kind.

    Example:
        >>> SparkMLVector(), SparkMLVector() == Array("double")
        (SparkML vector, False)
    """

    def __init__(self) -> None:
        _set(self, dtype=DataType.double)

    def __repr__(self) -> str:
        return "SparkML vector"

    def to_dict(self) -> dict[str, Any]:
        """``{"type": "sparkml_vector"}``."""
        return {"type": "sparkml_vector"}


@dataclass(frozen=True, init=False, repr=False)
class Map(_Frozen):
    """A mapping from strings to values of one type.

    Args:
        value_type: the type of the values, or the name of a scalar type.

    Example:
        >>> Map("long").to_dict()
        {'type': 'map', 'values': {'type': 'long'}}
    """

    value_type: Type

    def __init__(self, value_type: Type | str) -> None:
        _set(self, value_type=as_type(value_type))
        _check_depth(self)

    def __repr__(self) -> str:
        # MLflow formats the value type with str(), which shows a scalar's class name.
        return f"Map(str -> {self.value_type})"

    def to_dict(self) -> dict[str, Any]:
        """``{"type": "map", "values": {...}}``."""
        return {"type": "map", "values": self.value_type.to_dict()}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Map:
        """Read the keyword arguments that :meth:`to_dict` gives."""
        return _expect(cls, kwargs)


@dataclass(frozen=True, init=False, repr=False)
class Object(_Frozen):
    """A record of named properties; their order does not matter, they are kept sorted by name.

    Args:
        properties: at least one :class:`Property`, with different names.

    Raises:
        SignatureError: no property, or two of one name.
        SignatureTypeError: not a list of properties.

    Example:
        >>> Object([Property("b", "double", required=False), Property("a", "string")])
        {a: string (required), b: double (optional)}
    """

    properties: tuple[Property, ...]

    def __init__(self, properties: Iterable[Property]) -> None:
        if not isinstance(properties, (list, tuple)):
            raise SignatureTypeError(f"an Object takes a list of Property, not {kind(properties)}")
        if not properties:
            raise SignatureError("an Object needs at least one property")
        for index, prop in enumerate(properties):
            if not isinstance(prop, Property):
                raise SignatureTypeError(
                    f"an Object takes a list of Property; element {index} is {kind(prop)}"
                )
        names = [prop.name for prop in properties]
        twins = sorted(name for name, count in Counter(names).items() if count > 1)
        if twins:
            raise SignatureError(f"an Object has two properties of one name: {', '.join(map(step, twins))}")
        _set(self, properties=tuple(sorted(properties)))
        _check_depth(self)

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.properties)) + "}"

    def to_dict(self) -> dict[str, Any]:
        """``{"type": "object", "properties": {...}}``."""
        members: dict[str, Any] = {}
        for prop in self.properties:
            members |= prop.to_dict()
        return {"type": "object", "properties": members}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Object:
        """Read the keyword arguments that :meth:`to_dict` gives."""
        return _expect(cls, kwargs)


@dataclass(frozen=True, repr=False)
class AnyType(_Frozen):
    """Any value at all, handed on as it is.

    Example:
        >>> Array(AnyType()), AnyType().to_dict()
        (Array(Any), {'type': 'any'})
    """

    def __repr__(self) -> str:
        return "Any"

    def to_dict(self) -> dict[str, Any]:
        """``{"type": "any"}``."""
        return {"type": "any"}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> AnyType:
        """Read the keyword arguments that :meth:`to_dict` gives."""
        return _expect(cls, kwargs)


Type = Union[DataType, Array, Object, Map, AnyType]
"""Any type of a signature (SparkMLVector is an Array)."""

_COMPOSITES = (Array, Object, Map, AnyType)


def as_type(dtype: Type | str) -> Type:
    """``dtype`` itself, or the scalar type of that name.

    Raises:
        SignatureError: no scalar type has that name.
        SignatureTypeError: neither a type nor a name.
    """
    if isinstance(dtype, (DataType, *_COMPOSITES)):
        return dtype
    if isinstance(dtype, str):
        if dtype in DataType.__members__:
            return DataType[dtype]
        raise SignatureError(f"unknown type {dtype!r}; the scalar types are {_names()}")
    from sparksig.convert.mlflow import from_mlflow

    converted: object = from_mlflow(dtype)
    if isinstance(converted, (DataType, *_COMPOSITES)):
        return converted
    raise SignatureTypeError(
        f"a type must be a DataType, its name, an Array, Object, Map or AnyType, not {kind(dtype)}"
    )


def describe(dtype: Type) -> str:
    """A type in a few words, for findings: its repr, cut where it is long, and fit to be printed.

    Example:
        >>> describe(Array("long"))
        'Array(long)'
    """
    text = printable(repr(dtype))
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- JSON -------------------------------------------------------------------------------------------


_OWN_KEYS = {"array": ("items",), "map": ("values",), "object": ("properties",)}
"""The keys of a type's JSON besides ``type``."""


def parse_type(data: object, path: str = "", depth: int = 0, other_keys: Sequence[str] = ()) -> Type:
    """Parse the JSON built-ins of a type.

    Args:
        data: what :meth:`to_dict` of a type returns.
        path: its path, for errors.
        depth: the number of types around it.
        other_keys: the keys that the JSON may have besides those of the type.

    Raises:
        SignatureError: malformed, or a key is unknown; ``findings`` has every place.
    """
    if depth >= MAX_DEPTH:
        raise _bad(path, f"at most {MAX_DEPTH} levels of nesting", "more")
    if not isinstance(data, Mapping):
        raise _bad(path, 'a JSON object with the key "type"', kind(data))
    if "type" not in data:
        raise _bad(path, 'the key "type"', f"keys {sorted(map(str, data))}", Code.MISSING_KEY)
    name = data["type"]
    if not isinstance(name, str):
        raise _bad(path, "the name of a type", kind(name))
    if name not in DataType.__members__ and name not in _PARSERS:
        raise _bad(path, f"one of {_names()}, {', '.join(_PARSERS)}", repr(name)[:80])
    findings = unknown_keys(data, ("type", *_OWN_KEYS.get(name, ()), *other_keys), path)
    try:
        dtype = DataType[name] if name in DataType.__members__ else _PARSERS[name](data, path, depth)
    except SignatureError as error:
        if not findings:
            raise
        findings += error.findings
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return dtype


def unknown_keys(data: Mapping[str, Any], known: Sequence[str], path: str) -> list[Finding]:
    """Return a finding for each key that is not known, with the known key most like it.

    Example:
        >>> print(*unknown_keys({"type": "long", "nmae": "x"}, ("type", "name"), ""))
        nmae: expected one of the keys type, name, found an unknown key (did you mean 'name'?) [UNKNOWN_KEY]
    """
    expected = f"one of the keys {', '.join(known)}"
    return [
        Finding(Code.UNKNOWN_KEY, below(path, str(key)[:80]), expected, "an unknown key", nearest(key, known))
        for key in data
        if key not in known
    ]


def parse_typed(
    data: object, path: str = "", depth: int = 0, other_keys: Sequence[str] = ()
) -> tuple[Type, bool]:
    """Parse a column or property: its type, and whether it is required.

    An absent ``required`` (or null, as MLflow rewrites an absent one) means True. MLflow 2.5 to 2.9 wrote
    ``optional`` instead.

    Raises:
        SignatureError: malformed, or a key is unknown; ``findings`` has every place.
    """
    findings: list[Finding] = []
    dtype: Type = AnyType()
    try:
        dtype = parse_type(data, path, depth, ("required", "optional", *other_keys))
    except SignatureError as error:
        if not error.findings:
            raise
        findings += error.findings
    required = True
    if isinstance(data, Mapping):
        required = _parse_required(data, path, findings)
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return dtype, required


def _parse_required(data: Mapping[str, Any], path: str, findings: list[Finding]) -> bool:
    required = data.get("required")
    if required is not None and not isinstance(required, bool):
        findings.append(Finding(Code.INVALID_VALUE, below(path, "required"), "true or false", kind(required)))
    if "optional" not in data:
        return required is not False
    where, optional = below(path, "optional"), data["optional"]
    if "required" in data:
        hint = "remove optional: MLflow 2.5 to 2.9 wrote it where required is written since"
        findings.append(Finding(Code.INVALID_VALUE, where, "either required or optional", "both", hint))
    elif not isinstance(optional, bool):
        findings.append(Finding(Code.INVALID_VALUE, where, "true or false", kind(optional)))
    return optional is not True


def _parse_array(data: Mapping[str, Any], path: str, depth: int) -> Array:
    if "items" not in data:
        raise _bad(path, 'the key "items"', "an array without it", Code.MISSING_KEY)
    return Array(parse_type(data["items"], f"{path}[]", depth + 1))


def _parse_map(data: Mapping[str, Any], path: str, depth: int) -> Map:
    if "values" not in data:
        raise _bad(path, 'the key "values"', "a map without it", Code.MISSING_KEY)
    return Map(parse_type(data["values"], f"{path}[]", depth + 1))


def _parse_object(data: Mapping[str, Any], path: str, depth: int) -> Object:
    members = data.get("properties")
    if not isinstance(members, Mapping) or not members:
        raise _bad(
            path,
            'the key "properties" with at least one property',
            kind(members) if members is not None else "an object without it",
        )
    properties: list[Property] = []
    findings: list[Finding] = []
    for name, body in members.items():
        try:
            properties.append(_parse_property(name, body, below(path, name), depth))
        except SignatureError as error:
            findings += error.findings
    if findings:
        raise SignatureError.of("malformed signature JSON", findings)
    return Object(properties)


def _parse_property(name: object, body: object, path: str, depth: int) -> Property:
    if not isinstance(name, str):
        raise _bad(path, "a property's name, a string", kind(name))
    return Property(name, *parse_typed(body, path, depth + 1))


_PARSERS: dict[str, Callable[[Mapping[str, Any], str, int], Type]] = {
    "array": _parse_array,
    "object": _parse_object,
    "map": _parse_map,
    "any": lambda data, path, depth: AnyType(),
    "sparkml_vector": lambda data, path, depth: SparkMLVector(),
}


C = TypeVar("C", Array, Object, Map, AnyType)


def _expect(cls: type[C], data: Mapping[str, Any]) -> C:
    dtype = parse_type(data)
    if type(dtype) is not cls:
        raise SignatureError(f"this is the JSON of {describe(dtype)}, not of {cls.__name__}")
    return dtype


# --- merging ----------------------------------------------------------------------------------------


def merge(x: Type, y: Type, path: str = "") -> Type:
    """The one type of two examples of the same thing; the order of the two does not matter.

    Nothing widens: integer and long do not merge. AnyType is what nothing is known of (a null, an
    empty list); it gives way to everything, but an object seen beside it has only optional
    properties. A property that one side lacks becomes optional. A vector beside an array of doubles
    is an array of doubles.

    Raises:
        InferenceError: no one type covers both; ``findings`` has every place.

    Example:
        >>> merge(Array(AnyType()), Array("long"))
        Array(long)
    """
    if isinstance(x, AnyType):
        return _beside_any(y)
    if isinstance(y, AnyType):
        return _beside_any(x)
    if isinstance(x, Object) and isinstance(y, Object):
        return _merge_objects(x, y, path)
    if isinstance(x, Map) and isinstance(y, Map):
        return Map(merge(x.value_type, y.value_type, f"{path}[]"))
    if isinstance(x, SparkMLVector) and isinstance(y, SparkMLVector):
        return x
    if isinstance(x, Array) and isinstance(y, Array):
        return Array(merge(x.dtype, y.dtype, f"{path}[]"))
    if x == y:
        return x
    found = f"{describe(x)} and {describe(y)}"
    finding = Finding(Code.MIXED_TYPES, path, "values of one type", found, _merge_hint(x, y))
    raise InferenceError.of("no one type covers all examples", [finding])


def _beside_any(known: Type) -> Type:
    if isinstance(known, Object):
        return Object([Property(prop.name, prop.dtype, required=False) for prop in known.properties])
    return known


def _merge_objects(x: Object, y: Object, path: str) -> Object:
    left, right = ({prop.name: prop for prop in side.properties} for side in (x, y))
    merged: list[Property] = []
    findings: list[Finding] = []
    for name in sorted(left.keys() | right.keys()):
        mine, other = left.get(name), right.get(name)
        if mine is None or other is None:
            dtype = (left | right)[name].dtype
            merged.append(Property(name, dtype, required=False))
            continue
        try:
            dtype = merge(mine.dtype, other.dtype, below(path, name))
            merged.append(Property(name, dtype, mine.required and other.required))
        except InferenceError as error:
            findings += error.findings
    if findings:
        raise InferenceError.of("no one type covers all examples", findings)
    return Object(merged)


def _merge_hint(x: Type, y: Type) -> str:
    numbers = {DataType.integer, DataType.long, DataType.float, DataType.double}
    if x in numbers and y in numbers:
        return "make them one type on purpose before inferring: nothing is widened by guess"
    return ""


# --- helpers ----------------------------------------------------------------------------------------


def _set(instance: object, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(instance, name, value)


def _check_depth(dtype: Type) -> None:
    """Refuse what could not be read back; the children are checked already, so this walks one level."""
    depth = _depth(dtype)
    if depth > MAX_DEPTH:
        raise SignatureError(f"types may be nested {MAX_DEPTH} levels deep at most")
    object.__setattr__(dtype, "_levels", depth)


def _depth(dtype: Type) -> int:
    children: tuple[Type, ...] = ()
    if isinstance(dtype, Array):
        children = (dtype.dtype,)
    elif isinstance(dtype, Map):
        children = (dtype.value_type,)
    elif isinstance(dtype, Object):
        children = tuple(prop.dtype for prop in dtype.properties)
    return 1 + max((getattr(child, "_levels", 1) for child in children), default=0)


def _names() -> str:
    return ", ".join(DataType.__members__)


def _bad(path: str, expected: str, found: str, code: Code = Code.INVALID_VALUE) -> SignatureError:
    return SignatureError.of("malformed signature JSON", [Finding(code, path, expected, found)])
