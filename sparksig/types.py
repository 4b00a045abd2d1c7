"""The types of a signature: eight scalars, and composites of them. All are immutable and hashable.

JSON and reprs equal those of MLflow, byte for byte. ``to_dict`` returns the JSON of a type as built-ins, and
:func:`sparksig.type_json.parse_type` reads it. :mod:`sparksig.walks` visits the parts of a type.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, Union

from sparksig.errors import (
    MissingDependencyError,
    SignatureError,
    SignatureTypeError,
    find_duplicates,
    make_printable,
    name_type,
    quote,
    shorten,
)

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql.types import DataType as SparkDataType

MAX_DEPTH = 100
"""The maximum depth of a type. No model needs deeper types, and hostile JSON has them."""


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
        """Return the pandas dtype: the NumPy dtype, or object for strings and bytes.

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
            raise MissingDependencyError.for_spark(error, "DataType.to_spark") from None
        return to_spark(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of the type: ``{"type": "long"}``."""
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
        """Return whether the type of a value is exactly the Python type or NumPy type of a scalar type.

        Subclasses do not match: True is not a long, and ``pandas.Timestamp`` is not a datetime.

        Args:
            data_type: the scalar type.
            value: any value.

        Example:
            >>> DataType.check_type(DataType.long, 1), DataType.check_type(DataType.long, True)
            (True, False)
        """
        second: dict[DataType, type] = {DataType.binary: bytearray, DataType.datetime: datetime.datetime}
        python_types = {data_type.to_python(), second.get(data_type)}
        return type(value) in python_types | {data_type.to_numpy().type}


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
    """A base class of immutable objects: a copy is the object itself."""

    def __copy__(self: F) -> F:
        return self

    def __deepcopy__(self: F, memo: object) -> F:
        return self


class _Composite(_Frozen):
    """A base class of the types with parts."""

    @classmethod
    def from_json_dict(cls: type[F], /, **kwargs: Any) -> F:
        """Read the items of :meth:`to_dict`, passed as keyword arguments.

        Raises:
            SignatureError: malformed, or the JSON of another type.
        """
        from sparksig.type_json import parse_type

        dtype = parse_type(kwargs)
        if type(dtype) is not cls:
            raise SignatureError(f"expected the JSON of {cls.__name__}, got that of {describe(dtype)}")
        return dtype


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
        SignatureTypeError: an argument is of the wrong type.

    Example:
        >>> Property("a", "string")
        a: string (required)
    """

    name: str
    dtype: Type
    required: bool

    def __init__(self, name: str, dtype: Type | str, required: bool = True) -> None:
        if not isinstance(name, str):
            raise SignatureTypeError(f"a property's name: expected a string, got {name_type(name)}")
        if not isinstance(required, bool):
            raise SignatureTypeError(
                f"property {quote(name)}: required: expected True or False, got {name_type(required)}"
            )
        set_fields(self, name=name, dtype=as_type(dtype), required=required)

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    def __lt__(self, other: Property) -> bool:
        return self.name < other.name

    def to_dict(self) -> dict[str, Any]:
        """Return ``{name: {...the keys of the type, "required": bool}}``."""
        return {self.name: self.dtype.to_dict() | {"required": self.required}}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Property:
        """Read the item of :meth:`to_dict`, passed as a keyword argument.

        Raises:
            SignatureError: malformed; ``findings`` lists every problem.
        """
        if len(kwargs) != 1:
            raise SignatureError(
                f"the JSON of a property: expected one key, its name, got {len(kwargs)} keys"
            )
        [(name, body)] = kwargs.items()
        from sparksig.type_json import parse_property

        return parse_property(name, body, quote(name), 0)


@dataclass(frozen=True, init=False, repr=False)
class Array(_Composite):
    """A list of values of one type.

    Args:
        dtype: the type of the elements, or the name of a scalar type.

    Example:
        >>> Array("long").to_dict()
        {'type': 'array', 'items': {'type': 'long'}}
    """

    dtype: Type

    def __init__(self, dtype: Type | str) -> None:
        set_fields(self, dtype=as_type(dtype))
        _check_depth(self, [self.dtype])

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "array", "items": {...}}``."""
        return {"type": "array", "items": self.dtype.to_dict()}


@dataclass(frozen=True, init=False, repr=False)
class SparkMLVector(Array):
    """A vector of Spark ML, dense or sparse; not equal to an Array of doubles.

    Example:
        >>> SparkMLVector(), SparkMLVector() == Array("double")
        (SparkML vector, False)
    """

    def __init__(self) -> None:
        set_fields(self, dtype=DataType.double)

    def __repr__(self) -> str:
        return "SparkML vector"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "sparkml_vector"}``."""
        return {"type": "sparkml_vector"}


@dataclass(frozen=True, init=False, repr=False)
class Map(_Composite):
    """A mapping from strings to values of one type.

    Args:
        value_type: the type of the values, or the name of a scalar type.

    Example:
        >>> Map("long").to_dict()
        {'type': 'map', 'values': {'type': 'long'}}
    """

    value_type: Type

    def __init__(self, value_type: Type | str) -> None:
        set_fields(self, value_type=as_type(value_type))
        _check_depth(self, [self.value_type])

    def __repr__(self) -> str:
        # MLflow formats the value type with str(), which shows a scalar's class name.
        return f"Map(str -> {self.value_type})"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "map", "values": {...}}``."""
        return {"type": "map", "values": self.value_type.to_dict()}


@dataclass(frozen=True, init=False, repr=False)
class Object(_Composite):
    """A record of named properties, sorted by name; the order of the argument does not matter.

    Args:
        properties: at least one :class:`Property`, with different names.

    Raises:
        SignatureError: no property, or duplicate names.
        SignatureTypeError: not a list of properties.

    Example:
        >>> Object([Property("b", "double", required=False), Property("a", "string")])
        {a: string (required), b: double (optional)}
    """

    properties: tuple[Property, ...]

    def __init__(self, properties: Iterable[Property]) -> None:
        if not isinstance(properties, (list, tuple)):
            raise SignatureTypeError(f"Object: expected a list of Property, got {name_type(properties)}")
        if not properties:
            raise SignatureError("an Object needs at least one property")
        for index, prop in enumerate(properties):
            if not isinstance(prop, Property):
                raise SignatureTypeError(
                    f"Object: expected a list of Property, got {name_type(prop)} at position {index}"
                )
        names = sorted(find_duplicates(prop.name for prop in properties))
        if names:
            raise SignatureError(f"an Object has duplicate properties: {', '.join(map(quote, names))}")
        set_fields(self, properties=tuple(sorted(properties)))
        _check_depth(self, [prop.dtype for prop in properties])

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.properties)) + "}"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "object", "properties": {...}}``."""
        members: dict[str, Any] = {}
        for prop in self.properties:
            members |= prop.to_dict()
        return {"type": "object", "properties": members}


@dataclass(frozen=True, repr=False)
class AnyType(_Composite):
    """Any value; it reaches the model unchanged.

    Example:
        >>> Array(AnyType()), AnyType().to_dict()
        (Array(Any), {'type': 'any'})
    """

    def __repr__(self) -> str:
        return "Any"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "any"}``."""
        return {"type": "any"}


Type = Union[DataType, Array, Object, Map, AnyType]
"""Any type of a signature (SparkMLVector is an Array)."""

_COMPOSITES = (Array, Object, Map, AnyType)


def as_type(dtype: Type | str) -> Type:
    """Return a type itself, or the scalar type of a name.

    Raises:
        SignatureError: no scalar type has the name.
        SignatureTypeError: neither a type nor a name.
    """
    if isinstance(dtype, (DataType, *_COMPOSITES)):
        return dtype
    if isinstance(dtype, str):
        if dtype in DataType.__members__:
            return DataType[dtype]
        raise SignatureError(f"unknown type {dtype!r}: use one of {', '.join(DataType.__members__)}")
    from sparksig.convert.mlflow import from_mlflow

    converted: object = from_mlflow(dtype)
    if isinstance(converted, (DataType, *_COMPOSITES)):
        return converted
    raise SignatureTypeError(
        f"a type: expected a DataType, its name, an Array, Object, Map or AnyType, got {name_type(dtype)}"
    )


def describe(dtype: Type) -> str:
    """Describe a type for findings: its printable repr, shortened if it is long.

    Example:
        >>> describe(Array("long"))
        'Array(long)'
    """
    return shorten(make_printable(repr(dtype)))


# --- helpers ----------------------------------------------------------------------------------------


def set_fields(instance: object, **fields: object) -> None:
    """Set the fields of an instance of a frozen class."""
    for name, value in fields.items():
        object.__setattr__(instance, name, value)


def _check_depth(dtype: Type, parts: Iterable[Type]) -> None:
    """Raise a SignatureError if a type is nested too deeply; store its depth otherwise."""
    depth = 1 + max((getattr(part, "_levels", 1) for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise SignatureError(f"types may be nested at most {MAX_DEPTH} levels deep")
    object.__setattr__(dtype, "_levels", depth)
