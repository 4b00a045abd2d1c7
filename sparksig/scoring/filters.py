"""Conditions on rows, with the same results as in Spark: null logic, NaN, and lossless casts.

A condition is compiled against the columns of a table. Two types are compared only if the result is the same
in each version of Spark and with all settings. Otherwise the error names the unsupported part.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.zones import to_zoned_times
from sparksig.errors import UnsupportedError, quote, suggest
from sparksig.scoring.bounds import Bounds
from sparksig.scoring.filter_text import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    Expression,
    In,
    IsNull,
    Literal,
    Name,
    Not,
    read_filter,
)

Outcome = bool | None
_ANY_OUTCOME: frozenset[Outcome] = frozenset((True, False, None))


class WrongFilterError(UnsupportedError):
    """A condition that Spark refuses, too."""


@dataclass(frozen=True)
class Condition:
    """A condition on the rows of a table.

    Attributes:
        text: the condition in SQL.
        columns: the columns that it needs.
    """

    text: str
    columns: tuple[str, ...]
    _expression: _Test

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows for which the condition is true, not false or null."""
        mask = self._expression.test(batch)
        return batch if pc.all(pc.fill_null(mask, False)).as_py() else batch.filter(mask)

    def can_hold(self, bounds: Mapping[str, Bounds]) -> bool:
        """Return whether some row with values in these bounds can meet the condition."""
        return True in self._expression.outcomes(bounds)


def compile_filter(text: str, schema: pa.Schema, zone: str) -> Condition:
    """Compile a condition against the columns of a table.

    Args:
        text: the condition in SQL.
        schema: the columns of the table, in the types that Spark reads.
        zone: the time zone in which times are local times.

    Raises:
        WrongFilterError: a column is unknown, or not a condition.
        UnsupportedError: only Spark supports the condition; the message has the reason.

    Example:
        >>> schema = pa.schema([("id", pa.int64()), ("day", pa.string())])
        >>> condition = compile_filter("id > 1 and day is not null", schema, "UTC")
        >>> rows = pa.record_batch({"id": [1, 2, 3], "day": ["a", "b", None]}, schema)
        >>> condition.apply(rows).to_pylist(), condition.columns
        ([{'id': 2, 'day': 'b'}], ('id', 'day'))
    """
    compiler = _Compiler(schema, zone)
    test = compiler.compile(read_filter(text))
    return Condition(text, tuple(compiler.columns), test)


# --- compiled conditions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Operand:
    """A column in the type in which it is compared, or a literal."""

    name: str | None
    dtype: pa.DataType
    value: pa.Scalar | None = None

    def get(self, batch: pa.RecordBatch) -> Any:
        if self.name is None:
            return self.value
        column = batch.column(batch.schema.get_field_index(self.name))
        return column if column.type == self.dtype else column.cast(self.dtype)

    def find_bounds(self, bounds: Mapping[str, Bounds]) -> Bounds:
        """Return the bounds of the values that rows can have."""
        if self.value is not None:
            return Bounds.constant(self.value)
        return bounds.get(str(self.name), Bounds()).cast(self.dtype)


class _Test:
    """A compiled condition."""

    def test(self, batch: pa.RecordBatch) -> pa.Array:
        """Return true, false or null for each row."""
        raise NotImplementedError

    def outcomes(self, bounds: Mapping[str, Bounds]) -> frozenset[Outcome]:
        """Return the possible results for rows with values in these bounds."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Leaf(_Test):
    """A function of operands, by its name in :data:`_FUNCTIONS`."""

    function: str
    operands: tuple[_Operand, ...]

    def test(self, batch: pa.RecordBatch) -> pa.Array:
        result = _FUNCTIONS[self.function](*(operand.get(batch) for operand in self.operands))
        return pa.repeat(result, batch.num_rows) if isinstance(result, pa.Scalar) else result

    def outcomes(self, bounds: Mapping[str, Bounds]) -> frozenset[Outcome]:
        first, *others = (operand.find_bounds(bounds) for operand in self.operands)
        if all(part.is_constant for part in (first, *others)):
            arrays = [pa.repeat(part.low, 1) for part in (first, *others)]
            return frozenset(_FUNCTIONS[self.function](*arrays).to_pylist())
        if self.function == "is null":
            return _select_possible({True: first.may_be_null, False: first.may_be_valid})
        ends = first.list_ends()
        null: dict[Outcome, bool] = {None: first.may_be_null}
        if not first.may_be_valid:
            return _select_possible({None: True})
        if ends is None or not all(part.is_constant for part in others):
            return _ANY_OUTCOME
        if self.function == "is true":
            return _select_possible({**null, **dict.fromkeys(ends.to_pylist(), True)})
        [value] = (part.low for part in others)
        if self.function in ("=", "<>"):  # equal ends prove nothing, because statistics may truncate texts
            is_equal = self.function == "="
            return _select_possible({**null, is_equal: _is_within(value, ends), not is_equal: True})
        outcomes = _FUNCTIONS[self.function](ends, value).to_pylist()  # these functions are monotonic
        return _select_possible({**null, **dict.fromkeys(outcomes, True)})


@dataclass(frozen=True)
class _Listed(_Test):
    """A comparison with each value of a list."""

    operand: _Operand
    values: pa.Array

    def test(self, batch: pa.RecordBatch) -> pa.Array:
        return self._test(self.operand.get(batch))

    def outcomes(self, bounds: Mapping[str, Bounds]) -> frozenset[Outcome]:
        column = self.operand.find_bounds(bounds)
        if column.is_constant:
            return frozenset(self._test(pa.repeat(column.low, 1)).to_pylist())
        ends = column.list_ends()
        can_be_true = ends is None or any(_is_within(value, ends) for value in self.values)
        is_valid = column.may_be_valid
        possible = {True: is_valid and can_be_true, False: is_valid, None: column.may_be_null}
        return _select_possible(possible)

    def _test(self, array: pa.Array) -> pa.Array:
        return pc.if_else(array.is_null(), pa.scalar(None, pa.bool_()), pc.is_in(array, self.values))


@dataclass(frozen=True)
class _Joined(_Test):
    """Conditions joined by AND, or by OR."""

    is_all: bool
    parts: tuple[_Test, ...]

    def test(self, batch: pa.RecordBatch) -> pa.Array:
        return functools.reduce(
            pc.and_kleene if self.is_all else pc.or_kleene, (part.test(batch) for part in self.parts)
        )

    def outcomes(self, bounds: Mapping[str, Bounds]) -> frozenset[Outcome]:
        return functools.reduce(self._join, (part.outcomes(bounds) for part in self.parts))

    def _join(self, left: Iterable[Outcome], right: Iterable[Outcome]) -> frozenset[Outcome]:
        decisive = not self.is_all
        pairs = itertools.product(left, right)
        return frozenset(
            decisive if decisive in pair else None if None in pair else not decisive for pair in pairs
        )


@dataclass(frozen=True)
class _Negated(_Test):
    """The negation of a condition."""

    part: _Test

    def test(self, batch: pa.RecordBatch) -> pa.Array:
        return pc.invert(self.part.test(batch))

    def outcomes(self, bounds: Mapping[str, Bounds]) -> frozenset[Outcome]:
        return frozenset(None if outcome is None else not outcome for outcome in self.part.outcomes(bounds))


def _select_possible(outcomes: Mapping[Outcome, bool]) -> frozenset[Outcome]:
    return frozenset(outcome for outcome, is_possible in outcomes.items() if is_possible)


def _is_within(value: pa.Scalar, ends: pa.Array) -> bool:
    """Return whether a value can be between two ends."""
    [low, high] = (_is_greater(*pair).as_py() for pair in ((ends[0], value), (value, ends[1])))
    return not low and not high


# --- comparisons by the rules of Spark -------------------------------------------------------------------


def _is_greater(left: Any, right: Any) -> Any:
    """Compare, with NaN greater than all other numbers."""
    greater = pc.greater(left, right)
    if not pa.types.is_floating(left.type):
        return greater
    return pc.or_kleene(greater, pc.and_kleene(pc.is_nan(left), pc.invert(pc.is_nan(right))))


def _is_equal(left: Any, right: Any) -> Any:
    """Compare, with NaN equal to itself."""
    equal = pc.equal(left, right)
    if not pa.types.is_floating(left.type):
        return equal
    return pc.or_kleene(equal, pc.and_kleene(pc.is_nan(left), pc.is_nan(right)))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "=": _is_equal,
    "<>": lambda left, right: pc.invert(_is_equal(left, right)),
    ">": _is_greater,
    "<": lambda left, right: _is_greater(right, left),
    ">=": lambda left, right: pc.invert(_is_greater(right, left)),
    "<=": lambda left, right: pc.invert(_is_greater(left, right)),
    "is null": lambda operand: operand.is_null(),
    "is true": lambda operand: operand,
}


# --- compiling --------------------------------------------------------------------------------------------

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?)?")
_CONSTANTS = frozenset(
    ("current_catalog", "current_database", "current_date", "current_time", "current_timestamp",
     "current_user", "localtimestamp", "session_user", "user")
)  # fmt: skip
"""The functions that Spark calls without parentheses."""

_MOST_FLOATS = 10
"""Spark compares longer lists as sets, which distinguish 0.0 and -0.0."""


class _Compiler:
    """A compiler of conditions, which collects the columns that they need."""

    def __init__(self, schema: pa.Schema, zone: str) -> None:
        self._schema, self._zone = schema, zone
        self.columns: dict[str, None] = {}

    def compile(self, expression: Expression) -> _Test:
        if isinstance(expression, (AllOf, AnyOf)):
            parts = tuple(map(self.compile, expression.parts))
            return _Joined(isinstance(expression, AllOf), parts)
        if isinstance(expression, Not):
            return _Negated(self.compile(expression.part))
        if isinstance(expression, Between):
            low, high = (expression.low, ">="), (expression.high, "<=")
            ends = (self._compare(expression.operand, sign, end) for end, sign in (low, high))
            return _Joined(True, tuple(ends))
        if isinstance(expression, Compare):
            return self._compare(expression.left, expression.sign, expression.right)
        if isinstance(expression, In):
            return self._list(expression)
        if isinstance(expression, IsNull):
            field = self._find(expression.operand)
            return _Leaf("is null", (_Operand(field.name, field.type),))
        field = self._find(expression)
        if field.type != pa.bool_():
            raise WrongFilterError(f"the filter has {quote(field.name)}, which is not a condition")
        return _Leaf("is true", (_Operand(field.name, field.type),))

    def _find(self, operand: Name | Literal) -> pa.Field:
        """Return the column of a name. Spark ignores the case of names."""
        if isinstance(operand, Literal):
            raise UnsupportedError("the filter has a condition on literals")
        matches = [field for field in self._schema if field.name.casefold() == operand.text.casefold()]
        if len(matches) > 1:
            raise UnsupportedError(
                f"the filter has {quote(operand.text)}, which is the name of several columns"
            )
        if not matches:
            error = UnsupportedError if operand.text.lower() in _CONSTANTS else WrongFilterError
            reason = "which is not a column of the table"
            if hint := suggest(operand.text, self._schema.names):
                reason += f": {hint}"
            raise error(f"the filter has {quote(operand.text)}, {reason}")
        self.columns[matches[0].name] = None
        return matches[0]

    def _compare(self, left: Name | Literal, sign: str, right: Name | Literal) -> _Test:
        if isinstance(left, Literal):
            if isinstance(right, Literal):
                raise UnsupportedError("the filter compares literals with each other")
            flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
            return self._compare(right, flipped, left)
        field = self._find(left)
        if pa.types.is_boolean(field.type) and sign not in ("=", "<>"):
            raise UnsupportedError(f"the filter compares the booleans of {quote(field.name)} by their order")
        if isinstance(right, Name):
            other = self._find(right)
            dtype = _find_common_type(field, other)
            return _Leaf(sign, (_Operand(field.name, dtype), _Operand(other.name, dtype)))
        value = _convert_literal(right, field, self._zone)
        return _Leaf(sign, (_Operand(field.name, value.type), _Operand(None, value.type, value)))

    def _list(self, expression: In) -> _Test:
        field = self._find(expression.operand)
        scalars = [_convert_literal(value, field, self._zone) for value in expression.values]
        if pa.types.is_timestamp(field.type) and any(value.kind == "string" for value in expression.values):
            raise UnsupportedError(f"the filter has a list of texts for the times of {quote(field.name)}")
        dtypes = {value.type for value in scalars}
        if pa.types.is_floating(field.type) or len(dtypes) > 1:
            if pa.types.is_floating(field.type) and len(scalars) > _MOST_FLOATS:
                raise UnsupportedError(
                    f"the filter has a list of more than {_MOST_FLOATS} floating-point numbers"
                )
            tests = [
                _Leaf("=", (_Operand(field.name, value.type), _Operand(None, value.type, value)))
                for value in scalars
            ]
            return tests[0] if len(tests) == 1 else _Joined(False, tuple(tests))
        [dtype] = dtypes
        return _Listed(_Operand(field.name, dtype), pa.array([value.as_py() for value in scalars], dtype))


def _find_common_type(left: pa.Field, right: pa.Field) -> pa.DataType:
    """Return the type in which two columns are compared."""
    if all(pa.types.is_integer(field.type) for field in (left, right)):
        return pa.int64()
    is_known = pa.types.is_floating(left.type) or left.type in (
        pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"),
    )  # fmt: skip
    if left.type == right.type and (is_known or pa.types.is_decimal(left.type)):
        return left.type
    raise UnsupportedError(
        f"the filter compares {quote(left.name)}, which is {left.type}, with {quote(right.name)}, which is "
        f"{right.type}"
    )


def _convert_literal(literal: Literal, field: pa.Field, zone: str) -> pa.Scalar:
    """Return a literal in the type in which it is compared with a column.

    Raises:
        UnsupportedError: the result of Spark's cast depends on settings, or loses digits.
    """
    value: Any = literal.value
    if literal.kind in ("integer", "decimal", "double"):
        converted = _convert_number(literal.kind, value, field.type)
    elif literal.kind in ("date", "timestamp") or pa.types.is_temporal(field.type):
        converted = _convert_moment(literal, field.type, zone)
    else:
        matches = {"string": pa.string(), "boolean": pa.bool_()}[literal.kind] == field.type
        converted = pa.scalar(value, field.type) if matches else None
    if converted is None:
        kind = "an integer" if literal.kind == "integer" else f"a {literal.kind}"
        raise UnsupportedError(f"the filter compares {quote(field.name)}, which is {field.type}, with {kind}")
    return converted


def _convert_number(kind: str, value: Any, dtype: pa.DataType) -> pa.Scalar | None:
    if pa.types.is_floating(dtype):
        exact = 2**24 if dtype == pa.float32() else 2**53  # a cast of a larger integer loses digits
        is_exact = kind != "integer" or abs(value) <= exact
        return pa.scalar(float(value), pa.float64()) if is_exact else None
    if kind == "double":
        is_narrow = pa.types.is_integer(dtype) and dtype.bit_width < 64
        return pa.scalar(value, pa.float64()) if is_narrow else None
    if kind == "integer" and pa.types.is_integer(dtype):
        return pa.scalar(value, pa.int64()) if -(2**63) <= value < 2**63 else None
    if pa.types.is_integer(dtype):
        digits_before, scale = 20, 0
    elif pa.types.is_decimal(dtype):
        digits_before, scale = dtype.precision - dtype.scale, dtype.scale
    else:
        return None
    number = Decimal(value)
    _, digits, exponent = number.as_tuple()
    fraction = max(-int(exponent), 0)
    digits_before, scale = max(digits_before, len(digits) - fraction), max(scale, fraction)
    if digits_before + scale > 38:
        return None
    return pa.scalar(number, pa.decimal128(38, scale))


def _convert_moment(literal: Literal, dtype: pa.DataType, zone: str) -> pa.Scalar | None:
    """Return a date or a time; a time is a local time of the zone, and a date its midnight."""
    text = str(literal.value)
    pattern = _MOMENT if literal.kind in ("timestamp", "string") else _DAY
    if literal.kind not in ("date", "timestamp", "string") or not pattern.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(re.sub(r"\.(\d+)$", lambda match: f".{match[1]:0<6}", text))
    except ValueError:
        return None
    if dtype == pa.date32():
        is_day = literal.kind != "timestamp" and _DAY.fullmatch(text)
        return pa.scalar(moment.date(), dtype) if is_day else None
    if dtype != pa.timestamp("us", "UTC"):
        return None
    placed, unplaced = to_zoned_times(pa.array([moment], pa.timestamp("us")), zone)
    return None if unplaced.any() else placed.cast(dtype)[0]
