"""The casting table: the source types that widen losslessly to each signature type.

Nothing else in sparksig decides whether a value may be converted. The table is :data:`IMMEDIATE`, the order
of the scalar types: an edge leads from a type to a type that holds all its values exactly. The transitive
closure is computed at import. Sources have the names of Arrow's types; the modules of
:mod:`sparksig.convert` map the types of other libraries to :data:`Source`.

Decimals are judged by their digits, composites by their parts. Python scalars have no width:
:mod:`sparksig.scalars` judges their values. :mod:`sparksig.narrowing` reads the table in the other direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Union

from sparksig.errors import HINTS, Code, Finding, below, find_duplicates, quote, shorten, suggest
from sparksig.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type, describe

# --- the order of the scalar types --------------------------------------------------------------------

IMMEDIATE: dict[str, tuple[str, ...]] = {
    "bool": (),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64", "float64"),
    "int64": (),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "float64"),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
    "string_view": ("string",),
    "large_string": ("string",),
    "string": (),
    "binary_view": ("binary",),
    "large_binary": ("binary",),
    "fixed_size_binary": ("binary",),
    "binary": (),
    "date32": ("timestamp",),
    "date64": ("timestamp",),
    "timestamp_tz": ("timestamp",),
    "timestamp": (),
}
"""The next wider types of each scalar source type. Absent types, such as uint64, widen to nothing."""

MODEL_TYPE: dict[DataType, str] = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
    DataType.string: "string",
    DataType.binary: "binary",
    DataType.datetime: "timestamp",
}
"""The Arrow type in which a model receives each signature type."""

NEVER_NULL = frozenset({DataType.boolean, DataType.integer, DataType.long})
"""The types whose required columns refuse nulls: the model's NumPy dtype cannot represent them."""

DECIMAL_DIGITS: dict[DataType, int] = {DataType.integer: 9, DataType.long: 18, DataType.double: 15}
"""The number of decimal digits that each type holds exactly; integers hold no fraction."""


def _compute_closure() -> dict[str, frozenset[str]]:
    bounds: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(IMMEDIATE).static_order():  # raises CycleError on a cycle
        bounds[name] = frozenset({name}).union(*(bounds[wider] for wider in IMMEDIATE[name]))
    return bounds


_UPPER_BOUNDS = _compute_closure()


def find_upper_bounds(name: str) -> frozenset[str]:
    """Return the scalar types that hold all values of a type exactly, itself included.

    An unknown type has no upper bounds.

    Example:
        >>> sorted(find_upper_bounds("float16"))
        ['float16', 'float32', 'float64']
    """
    return _UPPER_BOUNDS.get(name, frozenset())


# --- source types, by Arrow's names -------------------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    """A type without parts.

    Its text in findings has no ``large_`` and ``_view``: users do not choose these layouts, pandas does.
    """

    name: str  # Arrow's name
    native: str = field(default="", compare=False)  # the name in the user's system
    max_length: int | None = field(default=None, compare=False, repr=False)  # of char(n) or varchar(n)

    def __str__(self) -> str:
        return (self.native or self.name).removeprefix("large_").removesuffix("_view")


@dataclass(frozen=True)
class Decimal:
    """A decimal of ``precision`` digits, with ``scale`` digits after the point."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True)
class Field:
    """A named part of a struct."""

    name: str
    source: Source
    nullable: bool = True


@dataclass(frozen=True)
class ListOf:
    """A list of any of Arrow's kinds; ``size`` is set if it is fixed, ``nullable`` describes the items."""

    item: Source
    size: int | None = None
    nullable: bool = field(default=True, compare=False, repr=False)

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True)
class MapOf:
    """A map of any key and value types; ``nullable`` describes the values."""

    key: Source
    value: Source
    nullable: bool = field(default=True, compare=False, repr=False)

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True)
class Struct:
    """A record of fields; ``kind`` marks Spark ML's ``vector`` and Spark's ``variant``."""

    fields: tuple[Field, ...]
    kind: str = ""

    def __str__(self) -> str:
        if self.kind:
            return self.kind
        return "struct<" + ", ".join(f"{quote(f.name)}: {f.source}" for f in self.fields) + ">"


Source = Union[Scalar, Decimal, ListOf, MapOf, Struct]

NULL = Scalar("null")

# --- judging a source type ----------------------------------------------------------------------------


def widens(source: Source, target: Type, required: bool = True) -> bool:
    """Return whether every value of a source type reaches a signature type unchanged or losslessly widened.

    Example:
        >>> widens(Scalar("int32"), DataType.double), widens(Scalar("int64"), DataType.double)
        (True, False)
    """
    return not find_mismatches(source, target, "", required)


def find_mismatches(source: Source, target: Type, path: str, required: bool = True) -> list[Finding]:
    """Return all reasons why a source type does not widen to a signature type; empty if it does.

    Example:
        >>> [finding] = find_mismatches(Scalar("int64"), DataType.float, "a")
        >>> finding.expected, finding.actual
        ('float', 'int64')
    """
    if isinstance(target, AnyType):
        return []
    if source == NULL:
        if not required:
            return []
        hint = "it holds only nulls: declare it optional, or cast the column to its type"
        return [_build_mismatch(path, target, source, hint)]
    if isinstance(target, DataType):
        fits = is_scalar_source(source, target)
        return [] if fits else [_build_mismatch(path, target, source, suggest_cast(source, target))]
    if isinstance(target, SparkMLVector):
        return _judge_vector(source, target, path)
    if isinstance(target, Array):
        return _judge_array(source, target, path, required)
    if isinstance(target, Map):
        return _judge_map(source, target, path, required)
    return _judge_object(source, target, path, required)


def is_scalar_source(source: Source, target: DataType) -> bool:
    """Return whether the casting table widens a source to a scalar type."""
    if isinstance(source, Decimal):
        return _fits_decimal(source, target)
    return isinstance(source, Scalar) and MODEL_TYPE[target] in find_upper_bounds(source.name)


def _fits_decimal(source: Decimal, target: DataType) -> bool:
    if target is DataType.double:
        # 15 digits survive a double as long as its exponent stays in the normal range.
        return source.precision <= DECIMAL_DIGITS[target] and abs(source.scale) <= 290
    digits = source.precision - min(source.scale, 0)  # a negative scale appends zeros
    return target in DECIMAL_DIGITS and source.scale <= 0 and digits <= DECIMAL_DIGITS[target]


def _judge_vector(source: Source, target: SparkMLVector, path: str) -> list[Finding]:
    if isinstance(source, Struct) and source.kind == "vector":
        return []
    if isinstance(source, ListOf):
        return find_mismatches(source.item, DataType.double, f"{path}[]", required=False)
    return [_build_mismatch(path, target, source)]


def _judge_array(source: Source, target: Array, path: str, required: bool) -> list[Finding]:
    if not isinstance(source, ListOf):
        return [_build_mismatch(path, target, source)]
    required = required and source.item != NULL  # lists of the null type are empty, or hold only nulls
    return find_mismatches(source.item, target.dtype, f"{path}[]", required)


def _judge_map(source: Source, target: Map, path: str, required: bool) -> list[Finding]:
    if isinstance(source, Struct) and not source.kind:
        names = [part.name for part in source.fields]
        findings = find_duplicate_fields(names, path)
        for part in source.fields:
            findings += find_mismatches(part.source, target.value_type, below(path, part.name), required)
        return findings
    if not isinstance(source, MapOf):
        return [_build_mismatch(path, target, source)]
    findings = []
    if not widens(source.key, DataType.string):
        findings.append(_build_mismatch(path, target, source, "the keys of a map must be strings"))
    required = required and source.value != NULL  # maps of the null type are empty, or hold only nulls
    return findings + find_mismatches(source.value, target.value_type, f"{path}[]", required)


def find_duplicate_fields(names: list[str], path: str) -> list[Finding]:
    """Return a finding for each name that several fields of a struct have."""
    return [
        Finding(Code.DUPLICATE_NAME, below(path, name), "one field of that name", "several")
        for name in sorted(find_duplicates(names))
    ]


def _judge_object(source: Source, target: Object, path: str, required: bool) -> list[Finding]:
    if isinstance(source, MapOf):
        if not widens(source.key, DataType.string):
            return [_build_mismatch(path, target, source, "the keys of a map must be strings")]
        return [
            finding
            for prop in target.properties
            for finding in find_mismatches(
                source.value, prop.dtype, below(path, prop.name), required and prop.required
            )
        ]
    if not isinstance(source, Struct) or source.kind:
        return [_build_mismatch(path, target, source)]
    findings: list[Finding] = []
    fields: dict[str, list[Field]] = {}
    for part in source.fields:
        fields.setdefault(part.name, []).append(part)
    for prop in target.properties:
        where = below(path, prop.name)
        parts = fields.get(prop.name, [])
        if len(parts) > 1:
            findings.append(Finding(Code.DUPLICATE_NAME, where, "one field of that name", str(len(parts))))
        elif parts:
            findings += find_mismatches(parts[0].source, prop.dtype, where, required and prop.required)
        elif prop.required:
            hint = suggest(prop.name, fields if len(findings) < HINTS else ())
            findings.append(Finding(Code.MISSING_FIELD, where, describe(prop.dtype), "no such field", hint))
    return findings


def _build_mismatch(path: str, target: Type, source: Source, hint: str = "") -> Finding:
    return Finding(Code.TYPE_MISMATCH, path, describe(target), shorten(str(source)), hint)


# --- comparing the exact types of two tables ----------------------------------------------------------

INTEGER_DIGITS: dict[str, int] = {
    "int8": 3, "int16": 5, "int32": 10, "int64": 19, "uint8": 3, "uint16": 5, "uint32": 10, "uint64": 20,
}  # fmt: skip
"""The decimal digits that the values of each integer type may have."""

_LAYOUTS = {
    "large_string": "string", "string_view": "string", "date64": "date32",
    "large_binary": "binary", "binary_view": "binary", "fixed_size_binary": "binary",
}  # fmt: skip
"""The type that readers return for each memory layout of a type."""

_DECIMAL_TARGETS = {"int32": DataType.integer, "int64": DataType.long, "float64": DataType.double}


def normalize_scalar(source: Scalar) -> Scalar:
    """Return a scalar type without its layout, length and unit."""
    if source.native.startswith("interval"):
        return Scalar(source.native)
    is_time = source.name.startswith("time[") or source.name[:6] in ("time32", "time64")
    return Scalar("time" if is_time else _LAYOUTS.get(source.name, source.name))


def is_lossless(source: Source, target: Source) -> bool:
    """Return whether a scalar type holds all values of another exactly, with the same meaning.

    Example:
        >>> is_lossless(Scalar("int32"), Scalar("int64")), is_lossless(Scalar("int64"), Scalar("float64"))
        (True, False)
        >>> is_lossless(Decimal(8, 1), Decimal(10, 2)), is_lossless(Scalar("date32"), Scalar("timestamp_tz"))
        (True, False)
    """
    if source == NULL:
        return True
    if isinstance(target, Decimal):
        digits = target.precision - target.scale
        if isinstance(source, Decimal):
            return target.scale >= source.scale and digits >= source.precision - source.scale
        return isinstance(source, Scalar) and digits >= INTEGER_DIGITS.get(source.name, 99)
    if isinstance(source, Decimal):
        declared = _DECIMAL_TARGETS.get(getattr(target, "name", ""))
        return declared is not None and widens(source, declared)
    if not isinstance(source, Scalar) or not isinstance(target, Scalar):
        return False
    source, target = normalize_scalar(source), normalize_scalar(target)
    if "timestamp_tz" in (source.name, target.name):
        return source.name == target.name
    return target.name in find_upper_bounds(source.name)


# --- hints for refusals -------------------------------------------------------------------------------


_FAMILY = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "integer"),
    **dict.fromkeys(("float16", "float32", "float64"), "real"),
    **dict.fromkeys(("string", "large_string", "string_view"), "string"),
    **dict.fromkeys(("binary", "large_binary", "binary_view", "fixed_size_binary"), "binary"),
    **dict.fromkeys(("timestamp", "timestamp_tz", "date32", "date64"), "time"),
    "bool": "boolean",
}
_FAMILY_OF_TARGET = {target: _FAMILY[name] for target, name in MODEL_TYPE.items()}


def suggest_cast(source: Source, target: DataType) -> str:
    """Return a hint for a source type that does not widen to a scalar type; empty for composites."""
    if isinstance(source, Decimal):
        return _suggest_decimal_cast(source, target)
    if not isinstance(source, Scalar):
        return ""
    family, target_family = _FAMILY.get(source.name), _FAMILY_OF_TARGET[target]
    if family is None:
        return f"{source} has no counterpart in a signature: cast it explicitly, or drop it"
    if source.name == "uint64":
        return "values beyond 2^63 fit no signature type: cast it explicitly"
    if family == "integer" and target is DataType.double:
        return "beyond 2^53 a double loses digits: cast it explicitly, or declare it long"
    if family == "integer" and target is DataType.float:
        is_exact = MODEL_TYPE[DataType.double] in find_upper_bounds(source.name)
        wider = "double" if is_exact else _find_first_target(source)
        return f"a float holds 24 bits: cast it explicitly, or declare it {wider}"
    if family == target_family:
        return f"it would be narrowed: cast it explicitly, or declare it {_find_first_target(source)}"
    if "string" in (family, target_family):
        return "strings are not converted to or from other types: cast it explicitly"
    return f"cast it explicitly, or declare it {_find_first_target(source)}"


def _suggest_decimal_cast(source: Decimal, target: DataType) -> str:
    digits, limit = DECIMAL_DIGITS.get(target), DECIMAL_DIGITS[DataType.double]
    if digits is not None and (target is DataType.double or source.scale <= 0):
        return f"{target.name} holds {digits} digits exactly: cast it explicitly, or reduce the precision"
    if not _fits_decimal(source, DataType.double):
        return f"cast it explicitly, or reduce the precision: a double holds {limit} digits exactly"
    if digits is not None:
        return f"it has a fraction: cast it explicitly, or declare it double (up to {limit} digits)"
    return "cast it explicitly, or declare it double"


def _find_first_target(source: Scalar) -> str:
    bounds = find_upper_bounds(source.name)
    return next((target.name for target in DataType if MODEL_TYPE[target] in bounds), "another type")
