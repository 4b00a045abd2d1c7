"""What types cannot decide, as expressions of the JVM: a rule for each place that values may break.

The engine's rules for batches (:mod:`sparksig.enforce.nested`) stand here once more, in Spark's words; that
both say the same of the same rows is a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.enforce.findings import RANGE_HINT, null_hint
from sparksig.errors import Code, Finding, below, step
from sparksig.lattice import NEVER_NULL
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.spark.contract import column
from sparksig.types import Array, DataType, Map, Object, Type, describe

__all__ = ["Rule", "rules_of", "value_rules"]


@dataclass(frozen=True)
class Rule:
    """One thing that the values at one place must keep to.

    Attributes:
        finding: what is reported where they do not; without a count.
        places: how often a row breaks it: an integer column, never null.
        nested: whether a row can break it more than once.
    """

    finding: Finding
    places: Column
    nested: bool = False

    @property
    def broken(self) -> Column:
        """Whether a row breaks it."""
        return self.places > 0


Counter = Callable[[Column], Column]
"""From a value to how often it breaks a rule."""


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
        values, path = column(field.name), step(field.name)
        if isinstance(spec, TensorSpec):
            found = _tensor(spec, field.dataType, path)
        else:
            found = list(value_rules(field.dataType, spec.type, path, spec.required, options))
        rules += [
            Rule(finding, F.coalesce(count(values), F.lit(0)), nested) for finding, count, nested in found
        ]
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
    if isinstance(specs[0], TensorSpec) and len(fields) != 1:
        flat = TensorSpec(specs[0].type, (-1,))
        return [(flat, field) for field in fields]
    return list(zip(specs, fields))


# --- columns ----------------------------------------------------------------------------------------------

Found = tuple[Finding, Counter, bool]


def value_rules(
    held: T.DataType, declared: Type, path: str, required: bool, options: _Options
) -> Iterable[Found]:
    """The rules for the values of one Spark type, read as one declared type."""
    if required and (options.strict_nulls or declared in NEVER_NULL):
        expected = f"{describe(declared)} without nulls"
        finding = Finding(Code.NULL_IN_REQUIRED, path, expected, "nulls", null_hint(declared))
        yield finding, lambda value: _flag(value.isNull()), False
    if options.refuse_nan and isinstance(held, (T.FloatType, T.DoubleType)):
        finding = Finding(Code.INVALID_VALUE, path, f"{describe(declared)} without NaN", "NaN")
        yield finding, lambda value: _flag(F.isnan(value)), False
    if declared is DataType.datetime:
        expected = "instants that nanoseconds can hold"
        finding = Finding(Code.OUT_OF_RANGE, path, expected, "others", RANGE_HINT)
        yield finding, _out_of_range, False
    elif isinstance(declared, Array) and isinstance(held, T.ArrayType):
        inner = value_rules(held.elementType, declared.dtype, f"{path}[]", False, options)
        yield from (_of_each(one) for one in inner)
    elif isinstance(declared, Map) and isinstance(held, T.MapType):
        inner = value_rules(held.valueType, declared.value_type, f"{path}[]", False, options)
        yield from (_of_each(one, F.map_values) for one in inner)
    elif isinstance(declared, Object) and isinstance(held, T.StructType):
        known = {part.name: part for part in held.fields}
        for prop in declared.properties:
            if prop.name in known:
                part, where = known[prop.name], below(path, prop.name)
                inner = value_rules(part.dataType, prop.dtype, where, prop.required, options)
                yield from (_of_field(one, prop.name) for one in inner)
    elif isinstance(declared, Map) and isinstance(held, T.StructType):
        for part in held.fields:
            where = below(path, part.name)
            inner = value_rules(part.dataType, declared.value_type, where, False, options)
            yield from (_of_field(one, part.name) for one in inner)
    elif isinstance(declared, Object) and isinstance(held, T.MapType):
        yield from _of_keys(held, declared, path, options)


def _of_keys(held: T.MapType, declared: Object, path: str, options: _Options) -> Iterable[Found]:
    """A map whose keys are properties."""
    for prop in declared.properties:
        name, where = prop.name, below(path, prop.name)
        if prop.required:
            expected = describe(prop.dtype)
            finding = Finding(Code.MISSING_FIELD, where, expected, "maps without that key")
            yield finding, _without_key(name), False
        for found, count, nested in value_rules(held.valueType, prop.dtype, where, prop.required, options):
            yield found, _of_key(name, count), nested


def _without_key(name: str) -> Counter:
    return lambda value: _flag(~F.map_contains_key(value, F.lit(name)))


def _of_key(name: str, count: Counter) -> Counter:
    return lambda value: F.when(F.map_contains_key(value, F.lit(name)), count(value.getItem(name)))


def _of_field(one: Found, name: str) -> Found:
    finding, count, nested = one
    return finding, lambda value: F.when(value.isNotNull(), count(value.getField(name))), nested


def _of_each(one: Found, elements: Callable[[Column], Column] = lambda value: value) -> Found:
    finding, count, _ = one

    def total(value: Column) -> Column:
        return F.aggregate(
            elements(value), F.lit(0), lambda so_far, item: so_far + F.coalesce(count(item), F.lit(0))
        )

    return finding, total, True


def _flag(broken: Column) -> Column:
    return F.when(broken, F.lit(1)).otherwise(F.lit(0))


_EARLIEST, _LATEST = "1677-09-21T00:12:43.145225", "2262-04-11T23:47:16.854775"


def _out_of_range(value: Column) -> Column:
    wall = value.cast("timestamp_ntz")  # what a clock in the session's zone shows
    earliest, latest = (F.lit(text).cast("timestamp_ntz") for text in (_EARLIEST, _LATEST))
    return _flag((wall < earliest) | (wall > latest))


# --- tensors ----------------------------------------------------------------------------------------------


def _tensor(spec: TensorSpec, held: T.DataType, path: str) -> list[Found]:
    """Rows that are there, lists of the declared lengths, no nulls in them."""
    nulls = Finding(Code.NULL_IN_REQUIRED, path, f"{spec.type.name} without nulls", "nulls")
    scalar = len(spec.shape) == 1
    rules: list[Found] = []
    if not scalar or spec.type.kind not in "fcM":
        rules.append((nulls, lambda value: _flag(value.isNull()), False))
    if type(held).__name__ == "VectorUDT":
        from pyspark.ml.functions import vector_to_array

        return [
            (finding, lambda value, count=count: count(vector_to_array(value)), nested)
            for finding, count, nested in _lists(spec, spec.shape[1:], path)
        ] + rules
    return rules + _lists(spec, spec.shape[1:], path)


def _lists(spec: TensorSpec, inner: tuple[int, ...], path: str) -> list[Found]:
    if not inner:
        return []
    rules: list[Found] = []
    size = inner[0]
    if size != -1:
        finding = Finding(
            Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", f"lists of other lengths than {size}"
        )
        rules.append((finding, lambda value: _flag(F.size(value) != size), False))
    if len(inner) > 1 or spec.type.kind not in "fcM":
        nulls = Finding(Code.NULL_IN_REQUIRED, f"{path}[]", f"{spec.type.name} without nulls", "nulls")
        rules.append(_of_each((nulls, lambda value: _flag(value.isNull()), False)))
    return rules + [_of_each(one) for one in _lists(spec, inner[1:], f"{path}[]")]
