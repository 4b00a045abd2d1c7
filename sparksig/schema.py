"""Schemas: the columns or tensors of one side of a signature.

Specs and schemas are immutable. Their JSON and reprs equal those of MLflow, byte for byte.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from sparksig.errors import (
    Code,
    ConversionError,
    Finding,
    MissingDependencyError,
    SignatureError,
    SignatureTypeError,
    below,
    find_duplicates,
    name_type,
    quote,
)
from sparksig.specs import Specs
from sparksig.type_json import build_json_error, find_unknown_keys, parse_field
from sparksig.types import Type, as_type, set_fields

if TYPE_CHECKING:
    from pyspark.sql.types import DataType as SparkDataType

Name = Union[str, int]
"""The name of a column: a string, or an integer as in pandas."""


@dataclass(frozen=True, init=False, repr=False)
class ColSpec:
    """A column: a type and a name.

    Args:
        type: a type, or the name of a scalar type.
        name: a string or an integer; None for an unnamed column.
        required: whether the data must have the column.

    Raises:
        SignatureError: the name of a type is unknown.
        SignatureTypeError: an argument is of the wrong type.

    Example:
        >>> ColSpec("long", "a")
        'a': long (required)
    """

    type: Type
    name: Name | None
    required: bool

    def __init__(self, type: Type | str, name: Name | None = None, required: bool = True) -> None:
        if not isinstance(required, bool):
            raise SignatureTypeError(
                f"column {name!r}: required: expected True or False, got {name_type(required)}"
            )
        set_fields(self, type=as_type(type), name=_check_name(name), required=required)

    def __repr__(self) -> str:
        return f"{_format_label(self.name)}{self.type!r} ({'required' if self.required else 'optional'})"

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of the type, then ``name`` (unless it is None), then ``required``."""
        name = {} if self.name is None else {"name": self.name}
        return self.type.to_dict() | name | {"required": self.required}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> ColSpec:
        """Read the items of :meth:`to_dict`, passed as keyword arguments.

        Raises:
            SignatureError: malformed; ``findings`` lists every problem.
        """
        return cls._parse(kwargs, "")

    @classmethod
    def _parse(cls, data: Mapping[str, Any], path: str) -> ColSpec:
        dtype, required = parse_field(data, path, other_keys=("name",))
        return cls(dtype, data.get("name"), required)


@dataclass(frozen=True, init=False, repr=False)
class TensorSpec:
    """A tensor: a NumPy dtype and a shape.

    Args:
        type: an ``np.dtype``. Strings and bytes have no size. The byte order is not part of the contract: a
            dtype in another byte order becomes native.
        shape: the sizes of the dimensions, -1 for any size.
        name: a string or an integer; None for an unnamed tensor.

    Raises:
        SignatureError: JSON cannot represent the dtype (structured, sized), or the shape is invalid.
        SignatureTypeError: an argument is of the wrong type.

    Example:
        >>> TensorSpec(np.dtype("float64"), (-1, 3))
        Tensor('float64', (-1, 3))
    """

    type: np.dtype[Any]
    shape: tuple[int, ...]
    name: Name | None

    def __init__(
        self, type: np.dtype[Any], shape: tuple[int, ...] | list[int], name: Name | None = None
    ) -> None:
        if not isinstance(type, np.dtype):
            raise SignatureTypeError(f"a tensor's type: expected a NumPy dtype, got {name_type(type)}")
        if not isinstance(shape, (tuple, list)):
            raise SignatureTypeError(f"a tensor's shape: expected a tuple or a list, got {name_type(shape)}")
        set_fields(self, type=_check_dtype(type), shape=_check_shape(shape), name=_check_name(name))

    @property
    def required(self) -> bool:
        """Always True: tensors cannot be optional."""
        return True

    def __repr__(self) -> str:
        return f"{_format_label(self.name)}Tensor({self.type.name!r}, {self.shape!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "tensor", "tensor-spec": {"dtype": ..., "shape": [...]}}``, after the name."""
        name = {} if self.name is None else {"name": self.name}
        spec = {"dtype": self.type.name, "shape": list(self.shape)}
        return name | {"type": "tensor", "tensor-spec": spec}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> TensorSpec:
        """Read the items of :meth:`to_dict`, passed as keyword arguments.

        Raises:
            SignatureError: malformed; ``findings`` lists every problem.
        """
        return cls._parse(kwargs, "")

    @classmethod
    def _parse(cls, data: Mapping[str, Any], path: str) -> TensorSpec:
        spec = data.get("tensor-spec")
        if (
            data.get("type") != "tensor"
            or not isinstance(spec, Mapping)
            or not {"dtype", "shape"} <= spec.keys()
        ):
            expected = '"type": "tensor" and a "tensor-spec" with dtype and shape'
            raise build_json_error(path, expected, "something else")
        dtype = _parse_dtype(spec["dtype"])
        if dtype is None:
            raise build_json_error(path, "the name of a NumPy dtype", repr(spec["dtype"])[:80])
        findings = find_unknown_keys(data, ("type", "tensor-spec", "name", "required"), path)
        findings += find_unknown_keys(spec, ("dtype", "shape"), below(path, "tensor-spec"))
        if data.get("required", True) is not True:
            hint = "remove the key: tensors are always required"
            findings.append(
                Finding(Code.INVALID_VALUE, below(path, "required"), "true", "another value", hint)
            )
        if findings:
            raise SignatureError.of("malformed signature JSON", findings)
        return cls(dtype, spec["shape"], data.get("name"))


def parse_tensor_metadata(text: object, name: str) -> TensorSpec:
    """Read a tensor from a field's metadata: the JSON of :meth:`TensorSpec.to_dict` without the name."""
    path = quote(name)
    try:
        data = json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or "name" in data:
        raise build_json_error(path, "the JSON of a tensor in the field's metadata", "something else")
    try:
        return TensorSpec._parse({**data, "name": name}, path)
    except SignatureError as error:
        findings = error.findings or (
            Finding(Code.INVALID_VALUE, path, actual="an invalid entry", hint=error.message),
        )
        raise SignatureError.of("malformed metadata of a tensor", findings) from None


class Schema(Specs[Any]):
    """The ordered columns, or tensors, of one side of a signature.

    Args:
        inputs: a list of :class:`ColSpec` or a list of :class:`TensorSpec`; all named or all unnamed.

    Raises:
        SignatureError: the list is empty or mixed, has duplicate names, several unnamed tensors, or an
            unnamed optional column.
        SignatureTypeError: not a list of specs.

    Example:
        >>> Schema([ColSpec("long", "a")]).to_json()
        '[{"type": "long", "name": "a", "required": true}]'
    """

    __slots__ = ()
    _kinds = (ColSpec, TensorSpec)
    _json_name = "a schema"

    def __init__(self, inputs: list[ColSpec] | list[TensorSpec] | list[ColSpec | TensorSpec]) -> None:
        super().__init__(inputs)

    @property
    def inputs(self) -> list[Any]:
        """The specs in order, as a new list."""
        return list(self._specs)

    def is_tensor_spec(self) -> bool:
        """Return whether the specs are tensors."""
        return isinstance(self._specs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """Return whether the specs have names."""
        return self._specs[0].name is not None

    def input_names(self) -> list[Name]:
        """Return the names, or 0..n-1 for unnamed specs."""
        return [index if spec.name is None else spec.name for index, spec in enumerate(self._specs)]

    def required_input_names(self) -> list[Name]:
        """Return the names (or numbers) of the required specs."""
        return [name for name, spec in zip(self.input_names(), self._specs) if spec.required]

    def optional_input_names(self) -> list[Name]:
        """Return the names (or numbers) of the optional columns."""
        return [name for name, spec in zip(self.input_names(), self._specs) if not spec.required]

    def input_types(self) -> list[Any]:
        """Return the type of each column, or the dtype of each tensor."""
        return [spec.type for spec in self._specs]

    def input_types_dict(self) -> dict[Name, Any]:
        """Return the types by name.

        Raises:
            SignatureError: the specs have no names.
        """
        return {name: spec.type for name, spec in self.input_dict().items()}

    def input_dict(self) -> dict[Name, Any]:
        """Return the specs by name.

        Raises:
            SignatureError: the specs have no names.
        """
        if not self.has_input_names():
            raise SignatureError("the columns have no names: use the list inputs of the schema")
        return dict(zip(self.input_names(), self._specs))

    def numpy_types(self) -> list[np.dtype[Any]]:
        """Return the NumPy dtype of each column or tensor.

        Raises:
            ConversionError: a column is not a scalar.
        """
        from sparksig.convert.numpy import to_numpy

        return self._convert_each(
            lambda spec: spec.type if isinstance(spec, TensorSpec) else to_numpy(spec.type)
        )

    def pandas_types(self) -> list[Any]:
        """Return the pandas dtype in which the model receives each column, if the column is required.

        Raises:
            ConversionError: a column is not a scalar, or the specs are tensors.
        """
        from sparksig.convert.numpy import to_pandas

        return self._convert_each(lambda spec: to_pandas(spec if isinstance(spec, TensorSpec) else spec.type))

    def _convert_each(self, convert: Callable[[Any], Any]) -> list[Any]:
        converted: list[Any] = []
        findings: list[Finding] = []
        for name, spec in zip(self.input_names(), self._specs):
            try:
                converted.append(convert(spec))
            except ConversionError as error:
                findings.append(Finding(Code.UNSUPPORTED_TYPE, quote(name), hint=error.message))
        if findings:
            raise ConversionError.of("no dtype for some columns", findings)
        return converted

    def as_spark_schema(self) -> SparkDataType:
        """Return the Spark type of a table: a StructType, or the type of a single unnamed column.

        Raises:
            ConversionError: a type has no counterpart in the installed Spark.
            MissingDependencyError: pyspark is not installed.
        """
        try:
            from sparksig.convert.spark import to_spark
        except ModuleNotFoundError as error:
            raise MissingDependencyError.for_spark(error, "Schema.as_spark_schema") from None
        table = to_spark(self)
        return table if len(self) > 1 or self.has_input_names() else table[0].dataType

    def _check(self, specs: list[ColSpec | TensorSpec]) -> None:
        if not specs:
            raise SignatureError("a Schema needs at least one column or tensor")
        if len({type(spec) for spec in specs}) > 1:
            raise SignatureError("a Schema has columns or tensors, not both")
        names = [spec.name for spec in specs]
        unnamed = sum(name is None for name in names)
        if unnamed not in (0, len(names)):
            raise SignatureError(
                f"either all specs of a Schema have names, or none: {unnamed} of {len(names)} have no name"
            )
        duplicates = sorted(quote(name) for name in find_duplicates(names) if name is not None)
        if duplicates:
            findings = [
                Finding(Code.DUPLICATE_NAME, name, "one column of that name", "several")
                for name in duplicates
            ]
            raise SignatureError.of("a Schema has duplicate names", findings)
        if unnamed > 1 and isinstance(specs[0], TensorSpec):
            raise SignatureError("several tensors need names: only a single tensor can be unnamed")
        if unnamed and not all(spec.required for spec in specs):
            raise SignatureError("an unnamed column must be required: give it a name to make it optional")

    @classmethod
    def _parse_entry(cls, entry: Any, index: int) -> ColSpec | TensorSpec:
        path = cls._find_entry_path(entry, index)
        if not isinstance(entry, Mapping):
            raise build_json_error(path, "a JSON object", name_type(entry))
        return (TensorSpec if entry.get("type") == "tensor" else ColSpec)._parse(entry, path)

    @staticmethod
    def _find_entry_path(entry: Any, index: int) -> str:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        return f"[{index}]" if name is None else quote(name)

    @classmethod
    def from_ddl(cls, text: str) -> Schema:
        """Read a column list as Spark's DDL; ``NOT NULL`` columns are required.

        Args:
            text: DDL, as in ``CREATE TABLE``.

        Raises:
            SignatureError: the text is not DDL; the finding has the position.
            ConversionError: types that signatures do not support, or duplicate names; all are reported.

        Example:
            >>> Schema.from_ddl("id bigint not null, note string")
            ['id': long (required), 'note': string (optional)]
        """
        from sparksig.convert.ddl import from_ddl

        return from_ddl(text)


_DTYPE_NAMES = re.compile(
    r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)|complex(64|128|192|256)|str|bytes|object"
    r"|(datetime64|timedelta64)(\[([1-9]\d{0,5})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)


def _parse_dtype(name: object) -> np.dtype[Any] | None:
    """Return the dtype of a name; only known names reach np.dtype, which crashes on some texts."""
    if not isinstance(name, str) or not _DTYPE_NAMES.fullmatch(name):
        return None
    try:
        return np.dtype(name)
    except TypeError:  # a dtype that does not exist on this machine
        return None


def _check_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype in native byte order; raise a SignatureError if JSON cannot represent it."""
    try:
        native: np.dtype[Any] = dtype.newbyteorder("=")
    except TypeError:  # NumPy's strings of variable width
        native = dtype
    if native.kind in "US" and native.itemsize:
        raise SignatureError(
            f"strings of a tensor have no fixed size: use np.dtype({native.type.__name__[:-1]!r})"
        )
    if _parse_dtype(native.name) != native:
        raise SignatureError(f"JSON cannot represent the NumPy dtype {dtype}")
    return native


def _check_shape(shape: tuple[int, ...] | list[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise SignatureError(f"a tensor's shape: expected integers, got {list(shape)!r}") from None
    if any(size < -1 or isinstance(argument, bool) for size, argument in zip(sizes, shape)):
        raise SignatureError(f"a tensor's shape: expected sizes, or -1 for any size, got {list(shape)!r}")
    return sizes


def _check_name(name: object) -> Name | None:
    if name is None or (isinstance(name, (str, int)) and not isinstance(name, bool)):
        return name
    if isinstance(name, np.integer):
        return int(name)
    raise SignatureTypeError(
        f"a column's name: expected a string or an integer, got {name_type(name)}. Rename the column"
    )


def _format_label(name: Name | None) -> str:
    return "" if name is None else f"{name!r}: "
