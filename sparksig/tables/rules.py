"""Value rules as data: conditions that types cannot decide, one rule for each position that may break it.

:mod:`sparksig.tables.sql` compiles rules to Spark SQL and :mod:`sparksig.tables.arrow` to Arrow kernels. A
property test requires the same verdicts and counts from both, and from the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sparksig.engine.findings import IN_RANGE, OUT_OF_RANGE, RANGE_HINT, format_null_hint
from sparksig.errors import Code, Finding, below, quote
from sparksig.lattice import INTEGER_DIGITS, NEVER_NULL, Decimal, Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import Array, DataType, Map, Object, SparkMLVector, Type, describe


class StepKind(Enum):
    """The ways from a value to the values inside it."""

    FIELD = "the field of a struct; a null struct has no field"
    DELTA_FIELD = (
        "the field of a struct; it is null if the struct is null, as in the NOT NULL of Delta tables"
    )
    ITEMS = "the items of a list"
    KEYS = "the keys of a map"
    VALUES = "the values of a map"
    KEY = "the value of one key of a map, if the map has the key"


@dataclass(frozen=True)
class Step:
    """A step from a value to the values inside it; ``name`` is the name of a field or a key."""

    kind: StepKind
    name: str = ""


ITEMS, KEYS, VALUES = Step(StepKind.ITEMS), Step(StepKind.KEYS), Step(StepKind.VALUES)
REPEATING = (ITEMS, KEYS, VALUES)


class Test(Enum):
    """The tests for values that break a rule."""

    __test__ = False  # not a test case of pytest

    NULL = "is null"
    NAN = "is NaN"
    OUTSIDE_NANOSECONDS = "is a time that nanoseconds cannot hold"
    LONGER = "is a text of more characters than the argument"
    OTHER_LENGTH = "is a list of another length than the argument"
    UNEQUAL_LENGTHS = "is a list of another length than the lists of other rows"
    DUPLICATE_KEYS = "is a map with duplicate keys"
    MISSING_KEY = "is a map without the key that the argument names"


@dataclass(frozen=True)
class Condition:
    """A test with its argument: the condition under which a value breaks a rule."""

    test: Test
    argument: int | str = 0


@dataclass(frozen=True)
class Rule:
    """A rule for the values at one position of a table.

    Attributes:
        finding: the finding to report if values break the rule; without a count.
        column: the name of the column.
        steps: the steps from the column's values to the values to test.
        condition: the condition that breaks the rule.
    """

    finding: Finding
    column: str
    steps: tuple[Step, ...]
    condition: Condition

    @property
    def is_repeating(self) -> bool:
        """True if one row can break the rule several times."""
        return any(step in REPEATING for step in self.steps)


@dataclass(frozen=True)
class ValueOptions:
    """Options for the values of a table.

    Attributes:
        strict_nulls: whether required columns and properties of every type refuse nulls.
        refuse_nan: whether NaN is refused.
    """

    strict_nulls: bool = True
    refuse_nan: bool = False


Draft = tuple[Finding, tuple[Step, ...], Condition]
"""A rule without its column."""


def build_model_rules(schema: Schema, columns: Sequence[Field], options: ValueOptions) -> list[Rule]:
    """Build the rules of a model's contract for the values of a table.

    Args:
        schema: the contract.
        columns: the columns of the table whose types widen to the contract's.
        options: the treatment of nulls and NaN.

    Example:
        >>> columns = [Field("id", Scalar("int64"))]
        >>> [rule] = build_model_rules(Schema([ColSpec("long", "id")]), columns, ValueOptions())
        >>> rule.column, rule.condition.test.name
        ('id', 'NULL')
    """
    rules = []
    for spec, column in _pair_columns(schema, columns):
        if isinstance(spec, TensorSpec):
            drafts = _walk_tensor(spec, quote(column.name), options)
        else:
            drafts = _walk(spec.type, column.source, quote(column.name), spec.required, options)
        rules += [Rule(finding, column.name, steps, condition) for finding, steps, condition in drafts]
    return rules


def build_table_rules(
    declared: Sequence[Field], columns: Sequence[Field], options: ValueOptions, *, is_delta: bool = False
) -> list[Rule]:
    """Build the rules of a table's contract for the values of a table.

    Args:
        declared: the columns of the contract: NOT NULL and the lengths of texts, at every depth.
        columns: the columns of the table, whose types are those declared.
        options: the treatment of NaN.
        is_delta: whether a field of a null struct breaks NOT NULL, as in Delta tables.
    """
    sources = {column.name: column.source for column in columns}
    return [
        Rule(finding, column.name, steps, condition)
        for column in declared
        if column.name in sources
        for finding, steps, condition in _walk(
            column.source, sources[column.name], quote(column.name), not column.nullable, options, is_delta
        )
    ]


def _pair_columns(schema: Schema, columns: Sequence[Field]) -> Iterable[tuple[ColSpec | TensorSpec, Field]]:
    """Pair the declared columns with the columns of the table."""
    fields = {column.name: column for column in columns}
    if schema.has_input_names():
        return [(spec, fields[str(spec.name)]) for spec in schema if str(spec.name) in fields]
    specs = list(schema)
    first = specs[0]
    if isinstance(first, TensorSpec):
        flat = first if len(columns) == 1 else TensorSpec(first.type, (-1,))
        return [(flat, column) for column in columns]
    is_nested = len(columns) == 1 and isinstance(columns[0].source, (Struct, MapOf))
    if len(specs) == 1 and isinstance(first.type, Object) and not is_nested:  # each row is one object
        properties = [prop for prop in first.type.properties if prop.name in fields]
        return [(ColSpec(prop.dtype, prop.name, prop.required), fields[prop.name]) for prop in properties]
    return list(zip(specs, columns))


# --- columns ----------------------------------------------------------------------------------------------

Part = tuple[Step, "Type | Source", Source, str, bool]
"""A part of a type: the step to it, its declared and its actual type, its path, whether it is required."""


def _walk(
    declared: Type | Source,
    actual: Source,
    path: str,
    required: bool,
    options: ValueOptions,
    is_delta: bool = False,
) -> Iterator[Draft]:
    """Draft the rules of one value and of the values inside it."""
    for finding, condition in _test_value(declared, actual, path, required, options):
        yield finding, (), condition
    if isinstance(declared, _SOURCES):
        parts = _split_source(declared, actual, path, is_delta)
    else:
        parts = _split_type(declared, actual, path)
    for part, inner, actual_part, where, is_required in parts:
        strict = is_delta and part not in REPEATING  # inside lists and maps, a struct may be null
        for finding, steps, condition in _walk(inner, actual_part, where, is_required, options, strict):
            yield finding, (part, *steps), condition


_SOURCES = (Scalar, Decimal, ListOf, MapOf, Struct)
_NEVER_NULL = frozenset({"bool", *INTEGER_DIGITS})


def _test_value(
    declared: Type | Source, actual: Source, path: str, required: bool, options: ValueOptions
) -> Iterator[tuple[Finding, Condition]]:
    """Test one value itself."""
    if isinstance(declared, _SOURCES):
        words, hint = str(declared), "fill the nulls, or filter the rows"
        is_strict = options.strict_nulls or getattr(declared, "name", "") in _NEVER_NULL
    else:
        words, hint = describe(declared), format_null_hint(declared)
        is_strict = options.strict_nulls or declared in NEVER_NULL
    if required and is_strict:
        finding = Finding(Code.NULL_IN_REQUIRED, path, f"{words} without nulls", "nulls", hint)
        yield finding, Condition(Test.NULL)
    if options.refuse_nan and isinstance(actual, Scalar) and actual.name.startswith("float"):
        finding = Finding(Code.INVALID_VALUE, path, f"{words} without NaN", "NaN")
        yield finding, Condition(Test.NAN)
    if declared is DataType.datetime and actual != Scalar("null"):
        yield _build_range_finding(path), Condition(Test.OUTSIDE_NANOSECONDS)
    elif isinstance(declared, Scalar) and declared.max_length is not None:
        expected = f"texts of up to {declared.max_length} characters"
        finding = Finding(Code.OUT_OF_RANGE, path, expected, "longer texts")
        yield finding, Condition(Test.LONGER, declared.max_length)
    elif isinstance(declared, (Map, Object)) and isinstance(actual, MapOf):
        finding = Finding(Code.DUPLICATE_NAME, path, "unique keys", "duplicate keys")
        yield finding, Condition(Test.DUPLICATE_KEYS)
        for prop in declared.properties if isinstance(declared, Object) else ():
            if prop.required:
                where, words = below(path, prop.name), describe(prop.dtype)
                finding = Finding(Code.MISSING_FIELD, where, words, "maps without that key")
                yield finding, Condition(Test.MISSING_KEY, prop.name)


def _build_range_finding(path: str) -> Finding:
    return Finding(Code.OUT_OF_RANGE, path, IN_RANGE, OUT_OF_RANGE, RANGE_HINT)


def _split_type(declared: Type, actual: Source, path: str) -> Iterator[Part]:
    """Split a signature type and the actual type into their parts."""
    if isinstance(declared, (Array, SparkMLVector)):
        item = declared.dtype if isinstance(declared, Array) else DataType.double
        if isinstance(actual, ListOf):
            yield ITEMS, item, actual.item, f"{path}[]", False
        elif isinstance(actual, Struct) and actual.kind == "vector":
            yield ITEMS, item, Scalar("float64"), f"{path}[]", False
    elif isinstance(declared, Map) and isinstance(actual, MapOf):
        yield VALUES, declared.value_type, actual.value, f"{path}[]", False
    elif isinstance(declared, Map) and isinstance(actual, Struct):
        for field in actual.fields:
            inner = Step(StepKind.FIELD, field.name)
            yield inner, declared.value_type, field.source, below(path, field.name), False
    elif isinstance(declared, Object):
        fields = {field.name: field.source for field in getattr(actual, "fields", ())}
        for prop in declared.properties:
            where = below(path, prop.name)
            if isinstance(actual, MapOf):
                yield Step(StepKind.KEY, prop.name), prop.dtype, actual.value, where, prop.required
            elif prop.name in fields:
                inner = Step(StepKind.FIELD, prop.name)
                yield inner, prop.dtype, fields[prop.name], where, prop.required


def _split_source(declared: Source, actual: Source, path: str, is_delta: bool) -> Iterator[Part]:
    """Split a declared type of a table and the actual type into their parts."""
    if isinstance(declared, Struct) and isinstance(actual, Struct):
        kind = StepKind.DELTA_FIELD if is_delta else StepKind.FIELD
        fields = {field.name: field.source for field in actual.fields}
        for field in declared.fields:
            if field.name in fields:
                where = below(path, field.name)
                yield Step(kind, field.name), field.source, fields[field.name], where, not field.nullable
    elif isinstance(declared, ListOf) and isinstance(actual, ListOf):
        yield ITEMS, declared.item, actual.item, f"{path}[]", not declared.nullable
    elif isinstance(declared, MapOf) and isinstance(actual, MapOf):
        yield KEYS, declared.key, actual.key, f"{path}[]", False
        yield VALUES, declared.value, actual.value, f"{path}[]", not declared.nullable


# --- tensors ----------------------------------------------------------------------------------------------


def _walk_tensor(spec: TensorSpec, path: str, options: ValueOptions) -> Iterator[Draft]:
    """Draft the rules of a tensor: rows without nulls, lists of the declared lengths."""
    has_nulls = spec.type.kind in "fcM"
    steps: tuple[Step, ...] = ()
    for depth, size in enumerate([*spec.shape[1:], None]):
        where = path + "[]" * depth
        if size is not None or not has_nulls:
            finding = Finding(Code.NULL_IN_REQUIRED, where, f"{spec.type.name} without nulls", "nulls")
            yield finding, steps, Condition(Test.NULL)
        if size == -1:
            finding = Finding(Code.SHAPE_MISMATCH, path, f"shape {spec.shape}", "rows of unequal length")
            yield finding, steps, Condition(Test.UNEQUAL_LENGTHS)
        elif size is not None:
            actual = f"lists of other lengths than {size}"
            finding = Finding(Code.SHAPE_MISMATCH, where, f"shape {spec.shape}", actual)
            yield finding, steps, Condition(Test.OTHER_LENGTH, size)
        else:
            break
        steps = (*steps, ITEMS)
    if options.refuse_nan and spec.type.kind == "f":
        finding = Finding(Code.INVALID_VALUE, where, f"{spec.type.name} without NaN", "NaN")
        yield finding, steps, Condition(Test.NAN)
    if spec.type.str == "<M8[ns]":
        yield _build_range_finding(path), steps, Condition(Test.OUTSIDE_NANOSECONDS)
