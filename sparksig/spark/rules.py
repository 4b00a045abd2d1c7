"""What types cannot decide, as expressions of the JVM: a rule for each place that values may break.

The engine's rules for batches (:mod:`sparksig.engine.nested`) stand here once more, in Spark's words; that
both say the same of the same rows is a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import types as T

from sparksig.engine.findings import RANGE_HINT, null_hint
from sparksig.errors import Code, Finding, below, step
from sparksig.lattice import NEVER_NULL
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import Array, DataType, Map, Object, SparkMLVector, Type, describe

__all__ = [
    "Found",
    "Rule",
    "any_of",
    "flag",
    "lengths_of",
    "name_of",
    "of_each",
    "of_field",
    "rules_of",
    "text_of",
    "value_rules",
]


@dataclass(frozen=True)
class Rule:
    """One thing that the values at one place must keep to.

    Attributes:
        finding: what is reported where they do not; without a count.
        places: how often a row breaks it, in SQL: an integer, never null. (Text, for to build a column of
            functions takes a call to the JVM for each, and tables have thousands of columns.)
        nested: whether a row can break it more than once.
    """

    finding: Finding
    places: str
    nested: bool = False

    @property
    def broken(self) -> str:
        """Whether a row breaks it, in SQL."""
        return f"({self.places} > 0)"


Counter = Callable[[str], str]
"""From a value to how often it breaks a rule, both in SQL."""


def name_of(name: str) -> str:
    """A column's, or a field's, name in SQL."""
    return "`" + name.replace("`", "``") + "`"


def text_of(text: str) -> str:
    """A text in SQL, whatever the session makes of backslashes."""
    if not set("'\\$") & set(text) and text.isprintable():  # a $ may begin a variable of SQL's
        return f"'{text}'"
    return f"decode(unhex('{text.encode('utf-8', 'replace').hex()}'), 'UTF-8')"


def any_of(rules: Sequence[Rule]) -> str:
    """Whether a row breaks any rule: as a balanced tree, for a parser goes down a long chain step by step."""
    parts = [rule.broken for rule in rules]
    while len(parts) > 1:
        parts = [" or ".join(parts[index : index + 16]) for index in range(0, len(parts), 16)]
        parts = [f"({part})" for part in parts]
    return parts[0] if parts else "false"


def rules_of(
    schema: Schema,
    table: T.StructType,
    *,
    strict_nulls: bool = True,
    refuse_nan: bool = False,
    without: Iterable[str] = (),
) -> list[Rule]:
    """The rules for the values of a table.

    Args:
        schema: the contract.
        table: the schema of the table, whose types widen to the contract's.
        strict_nulls: whether a required column or property of any type must have values; else only integers
            and booleans, in which a model has no place for nulls.
        refuse_nan: whether NaN counts as a missing number.
        without: names of columns to leave out, for their types do not fit.
    """
    options = _Options(strict_nulls, refuse_nan)
    rules: list[Rule] = []
    left_out = set(without)
    for spec, field in _pairs(schema, table):
        if field.name in left_out:
            continue
        values, path = name_of(field.name), step(field.name)
        if isinstance(spec, TensorSpec):
            found = _tensor(spec, path, options)
        else:
            found = list(value_rules(field.dataType, spec.type, path, spec.required, options))
        rules += [Rule(finding, f"coalesce({count(values)}, 0)", nested) for finding, count, nested in found]
    return rules


@dataclass(frozen=True)
class _Options:
    strict_nulls: bool = True
    refuse_nan: bool = False


def _pairs(schema: Schema, table: T.StructType) -> list[tuple[ColSpec | TensorSpec, T.StructField]]:
    """The columns of the table that the contract speaks of, each with what it says."""
    fields = list(table.fields)
    if schema.has_input_names():
        by_name = {field.name: field for field in fields}
        return [(spec, by_name[str(spec.name)]) for spec in schema if str(spec.name) in by_name]
    specs = list(schema)
    only = specs[0].type if len(specs) == 1 else None
    if isinstance(only, Object) and not (
        len(fields) == 1 and isinstance(fields[0].dataType, (T.StructType, T.MapType))
    ):  # one object a row
        known = {field.name: field for field in fields}
        held = [(prop, known[prop.name]) for prop in only.properties if prop.name in known]
        return [(ColSpec(prop.dtype, prop.name, prop.required), field) for prop, field in held]
    if isinstance(specs[0], TensorSpec) and len(fields) != 1:
        flat = TensorSpec(specs[0].type, (-1,))
        return [(flat, field) for field in fields]
    return list(zip(specs, fields))


# --- columns ----------------------------------------------------------------------------------------------

Found = tuple[Finding, Counter, bool]
"""A finding, how often a value gives it, and whether that may be more than once."""


def value_rules(
    held: T.DataType, declared: Type, path: str, required: bool, options: _Options
) -> Iterable[Found]:
    """The rules for the values of one Spark type, read as one declared type."""
    if required and (options.strict_nulls or declared in NEVER_NULL):
        expected = f"{describe(declared)} without nulls"
        finding = Finding(Code.NULL_IN_REQUIRED, path, expected, "nulls", null_hint(declared))
        yield finding, lambda value: flag(f"{value} is null"), False
    if options.refuse_nan and isinstance(held, (T.FloatType, T.DoubleType)):
        finding = Finding(Code.INVALID_VALUE, path, f"{describe(declared)} without NaN", "NaN")
        yield finding, lambda value: flag(f"isnan({value})"), False
    if declared is DataType.datetime:
        expected = "instants that nanoseconds can hold"
        finding = Finding(Code.OUT_OF_RANGE, path, expected, "others", RANGE_HINT)
        yield finding, _out_of_range, False
    elif isinstance(declared, (Array, SparkMLVector)) and isinstance(held, T.ArrayType):
        item = declared.dtype if isinstance(declared, Array) else DataType.double
        inner = value_rules(held.elementType, item, f"{path}[]", False, options)
        yield from (of_each(one) for one in inner)
    elif isinstance(declared, Map) and isinstance(held, T.MapType):
        yield _twins(path)
        inner = value_rules(held.valueType, declared.value_type, f"{path}[]", False, options)
        yield from (of_each(one, "map_values({})") for one in inner)
    elif isinstance(declared, Object) and isinstance(held, T.StructType):
        known = {part.name: part for part in held.fields}
        for prop in declared.properties:
            if prop.name in known:
                part, where = known[prop.name], below(path, prop.name)
                inner = value_rules(part.dataType, prop.dtype, where, prop.required, options)
                yield from (of_field(one, prop.name) for one in inner)
    elif isinstance(declared, Map) and isinstance(held, T.StructType):
        for part in held.fields:
            where = below(path, part.name)
            inner = value_rules(part.dataType, declared.value_type, where, False, options)
            yield from (of_field(one, part.name) for one in inner)
    elif isinstance(declared, Object) and isinstance(held, T.MapType):
        yield from _of_keys(held, declared, path, options)


def _of_keys(held: T.MapType, declared: Object, path: str, options: _Options) -> Iterable[Found]:
    """A map whose keys are properties."""
    yield _twins(path)
    for prop in declared.properties:
        name, where = prop.name, below(path, prop.name)
        if prop.required:
            expected = describe(prop.dtype)
            finding = Finding(Code.MISSING_FIELD, where, expected, "maps without that key")
            yield finding, _without_key(name), False
        for found, count, nested in value_rules(held.valueType, prop.dtype, where, prop.required, options):
            yield found, _of_key(name, count), nested


def _twins(path: str) -> Found:
    finding = Finding(Code.DUPLICATE_NAME, path, "keys that differ", "keys that stand twice")
    keys = "size(map_keys({0})) > size(array_distinct(map_keys({0})))"
    return finding, lambda value: flag(f"{value} is not null and {keys.format(value)}"), False


def _without_key(name: str) -> Counter:
    return lambda value: flag(f"not map_contains_key({value}, {text_of(name)})")


def _of_key(name: str, count: Counter) -> Counter:
    def counted(value: str) -> str:
        key = text_of(name)
        return f"case when map_contains_key({value}, {key}) then {count(f'element_at({value}, {key})')} end"

    return counted


def of_field(one: Found, name: str) -> Found:
    """A rule of a field as one of the struct; a struct that is null breaks none."""
    finding, count, nested = one

    def counted(value: str) -> str:
        return f"case when {value} is not null then {count(f'{value}.{name_of(name)}')} end"

    return finding, counted, nested


def of_each(one: Found, elements: str = "{}") -> Found:
    """A rule of elements as one of the list."""
    finding, count, _ = one
    depth = count("").count("aggregate(")  # which no inner one has: so all of them have names of their own

    def total(value: str) -> str:
        each = f"so_far{depth} + coalesce({count(f'item{depth}')}, 0)"
        return f"aggregate({elements.format(value)}, 0, (so_far{depth}, item{depth}) -> {each})"

    return finding, total, True


def flag(broken: str) -> str:
    """1 or 0, in SQL."""
    return f"case when {broken} then 1 else 0 end"


_EARLIEST, _LATEST = "1677-09-21T00:12:43.145225", "2262-04-11T23:47:16.854775"


def _out_of_range(value: str) -> str:
    wall = f"cast({value} as timestamp_ntz)"  # what a clock in the session's zone shows
    return flag(f"{wall} < timestamp_ntz'{_EARLIEST}' or {wall} > timestamp_ntz'{_LATEST}'")


# --- tensors ----------------------------------------------------------------------------------------------


def _tensor(spec: TensorSpec, path: str, options: _Options) -> list[Found]:
    """Rows that are there, lists of the declared lengths, no nulls in them."""
    nulls = Finding(Code.NULL_IN_REQUIRED, path, f"{spec.type.name} without nulls", "nulls")
    scalar = len(spec.shape) == 1
    rules: list[Found] = []
    if not scalar or spec.type.kind not in "fcM":
        rules.append((nulls, lambda value: flag(f"{value} is null"), False))
    leaf = path + "[]" * (len(spec.shape) - 1)
    inner: list[Found] = []
    if options.refuse_nan and spec.type.kind == "f":
        finding = Finding(Code.INVALID_VALUE, leaf, f"{spec.type.name} without NaN", "NaN")
        inner.append((finding, lambda value: flag(f"isnan({value})"), False))
    if spec.type == np.dtype("datetime64[ns]"):
        expected = "instants that nanoseconds can hold"
        inner.append((Finding(Code.OUT_OF_RANGE, path, expected, "others", RANGE_HINT), _out_of_range, False))
    for _ in spec.shape[1:]:
        inner = [of_each(one) for one in inner]
    return rules + _lists(spec, spec.shape[1:], path) + inner


def lengths_of(
    schema: Schema, table: T.StructType, without: Iterable[str] = ()
) -> list[tuple[Finding, str, str]]:
    """The lists of tensors that are of any length, but one in all rows: the least and the largest, in SQL."""
    left_out, found = set(without), []
    for spec, field in _pairs(schema, table):
        if not isinstance(spec, TensorSpec) or field.name in left_out:
            continue
        for depth, size in enumerate(spec.shape[1:]):
            if size == -1:
                told = Finding(
                    Code.SHAPE_MISMATCH, step(field.name), f"shape {spec.shape}", "rows of unequal length"
                )
                values = name_of(field.name)
                found.append((told, _length(values, depth, "min"), _length(values, depth, "max")))
    return found


def _length(values: str, depth: int, which: str) -> str:
    if not depth:
        return f"case when {values} is not null then size({values}) end"
    return f"array_{which}(transform({values}, item{depth} -> {_length(f'item{depth}', depth - 1, which)}))"


def _lists(spec: TensorSpec, inner: tuple[int, ...], path: str) -> list[Found]:
    if not inner:
        return []
    rules: list[Found] = []
    size = inner[0]
    if size != -1:
        finding = Finding(
            Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", f"lists of other lengths than {size}"
        )
        rules.append((finding, lambda value: flag(f"{value} is not null and size({value}) <> {size}"), False))
    if len(inner) > 1 or spec.type.kind not in "fcM":
        nulls = Finding(Code.NULL_IN_REQUIRED, f"{path}[]", f"{spec.type.name} without nulls", "nulls")
        rules.append(of_each((nulls, lambda value: flag(f"{value} is null"), False)))
    return rules + [of_each(one) for one in _lists(spec, inner[1:], f"{path}[]")]
