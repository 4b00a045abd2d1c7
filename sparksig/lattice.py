"""THE casting table: which source types reach which signature types without losing anything.

Nothing else in sparksig decides whether a value may be converted. The table's heart is
:data:`IMMEDIATE`, the order of the scalar types as data: an edge leads from a type to one that holds
all its values exactly. The closure is computed (and checked for cycles) at import. Sources are spelt
as Arrow spells them; every neighbour's types are mapped to :data:`Source` at the border.

Three small rules say what the edges cannot say by name: decimals by their digits, timestamps by their
kind, composites by their parts. Python scalars carry no width: :mod:`sparksig.scalars` judges their values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Union

from sparksig.errors import HINTS, Code, Finding, SignatureError, below, find_duplicates, nearest, step
from sparksig.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    DataType,
    Map,
    Object,
    Property,
    SparkMLVector,
    Type,
    describe,
)

__all__ = [
    "DECIMAL_DIGITS",
    "IMMEDIATE",
    "INTEGER_DIGITS",
    "MODEL_TYPE",
    "NEVER_NULL",
    "NULL",
    "Decimal",
    "Field",
    "ListOf",
    "MapOf",
    "Scalar",
    "Source",
    "Struct",
    "is_lossless",
    "mismatches",
    "narrowest",
    "normalize_scalar",
    "upper_bounds",
    "void_finding",
    "widens",
]

# --- the order, as data -----------------------------------------------------------------------------

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
"""From each scalar source type to the next wider ones. uint64, time and intervals widen to nothing."""

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
"""A required column of these cannot hold a null: the model's plain NumPy dtype has no place for it."""

DECIMAL_DIGITS: dict[DataType, int] = {DataType.integer: 9, DataType.long: 18, DataType.double: 15}
"""How many decimal digits each type holds exactly; integers hold no fraction."""


def _closure() -> dict[str, frozenset[str]]:
    bounds: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(IMMEDIATE).static_order():  # CycleError if it is no order
        bounds[name] = frozenset({name}).union(*(bounds[wider] for wider in IMMEDIATE[name]))
    return bounds


_UPPER = _closure()


def upper_bounds(name: str) -> frozenset[str]:
    """The scalar types that hold all values of ``name`` exactly, itself included; none if unknown."""
    return _UPPER.get(name, frozenset())


# --- what a column can be, in Arrow's spelling --------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    """A type without parts, by Arrow's name; ``native`` is how the user's system calls it.

    Findings do not tell Arrow's layouts of text and bytes apart: nobody chose that pandas makes large ones.
    ``max_length`` is the number of characters that a declared ``char(n)`` or ``varchar(n)`` can hold.
    """

    name: str
    native: str = field(default="", compare=False)
    max_length: int | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return (self.native or self.name).removeprefix("large_").removesuffix("_view")


@dataclass(frozen=True)
class Decimal:
    """A decimal of ``precision`` digits, ``scale`` of them after the point."""

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
    """Any of Arrow's lists; ``size`` is set for those of a fixed size, ``nullable`` is about its items."""

    item: Source
    size: int | None = None
    nullable: bool = field(default=True, compare=False, repr=False)

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True)
class MapOf:
    """A map of any key and value; ``nullable`` is about its values."""

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
        return "struct<" + ", ".join(f"{step(f.name)}: {f.source}" for f in self.fields) + ">"


Source = Union[Scalar, Decimal, ListOf, MapOf, Struct]

NULL = Scalar("null")

# --- the verdict --------------------------------------------------------------------------------------


def widens(source: Source, target: Type, required: bool = True) -> bool:
    """Whether every value of ``source`` reaches ``target`` unchanged or losslessly widened.

    Example:
        >>> widens(Scalar("int32"), DataType.double), widens(Scalar("int64"), DataType.double)
        (True, False)
    """
    return not mismatches(source, target, "", required)


def mismatches(source: Source, target: Type, path: str, required: bool = True) -> list[Finding]:
    """Why ``source`` does not widen to ``target``: every place, none if it does.

    Args:
        source: the type of the data.
        target: the type that the contract declares.
        path: where the column or field stands.
        required: whether the contract requires it: a column of nothing but nulls is refused then.
    """
    if isinstance(target, AnyType):
        return []
    if source == NULL:
        if not required:
            return []
        hint = "it can hold nothing but nulls: declare it optional, or cast the column to its type"
        return [_mismatch(path, target, source, hint)]
    if isinstance(target, DataType):
        return _scalar(source, target, path)
    if isinstance(target, SparkMLVector):
        return _vector(source, target, path)
    if isinstance(target, Array):
        return _array(source, target, path, required)
    if isinstance(target, Map):
        return _map(source, target, path, required)
    return _object(source, target, path, required)


def _scalar(source: Source, target: DataType, path: str) -> list[Finding]:
    return [] if _fits(source, target) else [_mismatch(path, target, source, _hint(source, target))]


def _fits(source: Source, target: DataType) -> bool:
    if isinstance(source, Decimal):
        return _decimal_fits(source, target)
    return isinstance(source, Scalar) and MODEL_TYPE[target] in upper_bounds(source.name)


def _decimal_fits(source: Decimal, target: DataType) -> bool:
    if target is DataType.double:
        # 15 digits survive a double as long as its exponent stays in the normal range.
        return source.precision <= DECIMAL_DIGITS[target] and abs(source.scale) <= 290
    whole = source.precision - min(source.scale, 0)  # a negative scale appends zeros
    return target in DECIMAL_DIGITS and source.scale <= 0 and whole <= DECIMAL_DIGITS[target]


def _vector(source: Source, target: SparkMLVector, path: str) -> list[Finding]:
    if isinstance(source, Struct) and source.kind == "vector":
        return []
    if isinstance(source, ListOf):
        return mismatches(source.item, DataType.double, f"{path}[]", required=False)
    return [_mismatch(path, target, source)]


def _array(source: Source, target: Array, path: str, required: bool) -> list[Finding]:
    if not isinstance(source, ListOf):
        return [_mismatch(path, target, source)]
    # An element type of null means that all lists seen are empty, or hold only nulls.
    return mismatches(source.item, target.dtype, f"{path}[]", required and source.item != NULL)


def _map(source: Source, target: Map, path: str, required: bool) -> list[Finding]:
    if isinstance(source, Struct) and not source.kind:
        names = [part.name for part in source.fields]
        findings = _twins(names, path)
        for part in source.fields:
            findings += mismatches(part.source, target.value_type, below(path, part.name), required)
        return findings
    if not isinstance(source, MapOf):
        return [_mismatch(path, target, source)]
    keys = (
        []
        if widens(source.key, DataType.string)
        else [_mismatch(path, target, source, "the keys of a map must be strings")]
    )
    # A value type of null means that all maps seen are empty, or hold only nulls.
    return keys + mismatches(source.value, target.value_type, f"{path}[]", required and source.value != NULL)


def _twins(names: list[str], path: str) -> list[Finding]:
    return [
        Finding(Code.DUPLICATE_NAME, below(path, name), "one field of that name", "several")
        for name in sorted(find_duplicates(names))
    ]


def _object(source: Source, target: Object, path: str, required: bool) -> list[Finding]:
    if isinstance(source, MapOf):
        if not widens(source.key, DataType.string):
            return [_mismatch(path, target, source, "the keys of a map must be strings")]
        return [
            finding
            for prop in target.properties
            for finding in mismatches(
                source.value, prop.dtype, below(path, prop.name), required and prop.required
            )
        ]
    if not isinstance(source, Struct) or source.kind:
        return [_mismatch(path, target, source)]
    findings: list[Finding] = []
    fields: dict[str, list[Field]] = {}
    for part in source.fields:
        fields.setdefault(part.name, []).append(part)
    for prop in target.properties:
        where = below(path, prop.name)
        held = fields.get(prop.name, [])
        if len(held) > 1:
            findings.append(Finding(Code.DUPLICATE_NAME, where, "one field of that name", str(len(held))))
        elif held:
            findings += mismatches(held[0].source, prop.dtype, where, required and prop.required)
        elif prop.required:
            findings.append(
                Finding(
                    Code.MISSING_FIELD,
                    where,
                    describe(prop.dtype),
                    "no such field",
                    nearest(prop.name, fields if len(findings) < HINTS else ()),
                )
            )
    return findings


def _mismatch(path: str, target: Type, source: Source, hint: str = "") -> Finding:
    return Finding(Code.TYPE_MISMATCH, path, describe(target), _cut(str(source)), hint)


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- between the exact types of two tables --------------------------------------------------------------

INTEGER_DIGITS: dict[str, int] = {
    "int8": 3, "int16": 5, "int32": 10, "int64": 19, "uint8": 3, "uint16": 5, "uint32": 10, "uint64": 20,
}  # fmt: skip
"""The decimal digits that the values of each integer type may have."""

_LAYOUTS = {
    "large_string": "string", "string_view": "string", "date64": "date32",
    "large_binary": "binary", "binary_view": "binary", "fixed_size_binary": "binary",
}  # fmt: skip
"""Types that every reader returns as the same type."""

_OF_DECIMALS = {"int32": DataType.integer, "int64": DataType.long, "float64": DataType.double}


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
        declared = _OF_DECIMALS.get(getattr(target, "name", ""))
        return declared is not None and widens(source, declared)
    if not isinstance(source, Scalar) or not isinstance(target, Scalar):
        return False
    source, target = normalize_scalar(source), normalize_scalar(target)
    if "timestamp_tz" in (source.name, target.name):
        return source.name == target.name
    return target.name in upper_bounds(source.name)


# --- the other direction: the narrowest signature type that a source widens to --------------------------


def narrowest(source: Source, path: str, findings: list[Finding]) -> Type | None:
    """The narrowest signature type that holds all values of ``source``.

    Nothing but nulls is AnyType. What no signature type holds is added to ``findings``, every place
    of it, and the result is None.

    Example:
        >>> narrowest(ListOf(Scalar("int8")), "a", [])
        Array(integer)
    """
    try:
        return _narrow(source, path, findings)
    except (SignatureError, RecursionError):  # of composites, on account of their depth alone
        shown = path if len(path) <= 80 else f"{path[:77]}..."
        findings.append(
            Finding(Code.UNSUPPORTED_TYPE, shown, f"at most {MAX_DEPTH} levels of nesting", "more")
        )
        return None


def _narrow(source: Source, path: str, findings: list[Finding]) -> Type | None:
    if source == NULL:
        return AnyType()
    if isinstance(source, ListOf):
        item = _narrow(source.item, f"{path}[]", findings)
        return None if item is None else Array(item)
    if isinstance(source, MapOf):
        return _narrowest_map(source, path, findings)
    if isinstance(source, Struct):
        return _narrowest_struct(source, path, findings)
    for target in DataType:
        if _fits(source, target):
            return target
    if isinstance(source, Decimal):
        whole, real = DECIMAL_DIGITS[DataType.long], DECIMAL_DIGITS[DataType.double]
        hint = (
            f"a signature holds {whole} digits without a fraction, or {real} with one: "
            "shorten the precision, or cast it to double explicitly"
        )
    else:
        hint = _hint(source, DataType.long)
    findings.append(
        Finding(Code.UNSUPPORTED_TYPE, path, "a type that a signature has", _cut(str(source)), hint)
    )
    return None


def void_finding(path: str) -> Finding:
    """The finding that a column or field which is never null has a type of nothing but nulls."""
    hint = "it can hold nothing but nulls: make it nullable, or cast it to its type"
    return Finding(Code.UNSUPPORTED_TYPE, path, "a type that a signature has", "void, never null", hint)


def _narrowest_map(source: MapOf, path: str, findings: list[Finding]) -> Type | None:
    value = _narrow(source.value, f"{path}[]", findings)
    if not widens(source.key, DataType.string):
        hint = "the keys of a map must be strings"
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "map<string, ...>", _cut(str(source)), hint))
        return None
    return None if value is None else Map(value)


def _narrowest_struct(source: Struct, path: str, findings: list[Finding]) -> Type | None:
    if source.kind:
        return SparkMLVector() if source.kind == "vector" else AnyType()
    before = len(findings)
    findings += _twins([part.name for part in source.fields], path)
    if not source.fields:
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a struct with fields", "one without"))
    properties = []
    for part in source.fields:
        where = below(path, part.name)
        if part.source == NULL and not part.nullable:
            findings.append(void_finding(where))
        dtype = _narrow(part.source, where, findings)
        if dtype is not None:
            properties.append(Property(part.name, dtype, required=not part.nullable))
    return Object(properties) if len(findings) == before else None


# --- hints for refusals -------------------------------------------------------------------------------

_FAMILY = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "integer"),
    **dict.fromkeys(("float16", "float32", "float64"), "real"),
    **dict.fromkeys(("string", "large_string", "string_view"), "string"),
    **dict.fromkeys(("binary", "large_binary", "binary_view", "fixed_size_binary"), "binary"),
    **dict.fromkeys(("timestamp", "timestamp_tz", "date32", "date64"), "time"),
    "bool": "boolean",
}
_TARGET_FAMILY = {target: _FAMILY[name] for target, name in MODEL_TYPE.items()}


def _hint(source: Source, target: DataType) -> str:
    if isinstance(source, Decimal):
        return _decimal_hint(source, target)
    if not isinstance(source, Scalar):
        return ""
    held, wanted = _FAMILY.get(source.name), _TARGET_FAMILY[target]
    if held is None:
        return f"{source} has no counterpart in a signature: cast it explicitly, or leave it out"
    if source.name == "uint64":
        return "values beyond 2^63 fit no signature type: cast it explicitly"
    if held == "integer" and target is DataType.double:
        return "beyond 2^53 a double loses digits: cast it explicitly, or declare it long"
    if held == "integer" and target is DataType.float:
        wide = "double" if MODEL_TYPE[DataType.double] in upper_bounds(source.name) else _narrowest(source)
        return f"a float holds 24 bits: cast it explicitly, or declare it {wide}"
    if held == wanted:
        return f"it would be narrowed: cast it explicitly, or declare it {_narrowest(source)}"
    if "string" in (held, wanted):
        return "text and other types are never converted into each other: cast it explicitly"
    return f"cast it explicitly, or declare it {_narrowest(source)}"


def _decimal_hint(source: Decimal, target: DataType) -> str:
    digits, limit = DECIMAL_DIGITS.get(target), DECIMAL_DIGITS[DataType.double]
    if digits is not None and (target is DataType.double or source.scale <= 0):
        return f"{target.name} holds {digits} digits exactly: cast it explicitly, or shorten the precision"
    if not _decimal_fits(source, DataType.double):
        return f"cast it explicitly, or shorten the precision: a double holds {limit} digits exactly"
    if digits is not None:
        return f"it has a fraction: cast it explicitly, or declare it double (up to {limit} digits)"
    return "cast it explicitly, or declare it double"


def _narrowest(source: Scalar) -> str:
    fits = [target.name for target in DataType if MODEL_TYPE[target] in upper_bounds(source.name)]
    return fits[0] if fits else "another type"
