"""Parser of conditions that need no Spark: columns, literals, comparisons, AND, OR, NOT.

Other texts may be valid conditions in Spark. The error names the part that only Spark supports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from sparksig.errors import UnsupportedError


@dataclass(frozen=True)
class Name:
    """The name of a column; as a condition, a column of booleans."""

    text: str


@dataclass(frozen=True)
class Literal:
    """A literal.

    Attributes:
        kind: "integer", "decimal", "double", "string", "boolean", "date" or "timestamp".
        value: the value; for dates and timestamps, their text.
    """

    kind: str
    value: int | float | Decimal | str | bool


@dataclass(frozen=True)
class Compare:
    """A comparison by ``=``, ``<>``, ``<``, ``<=``, ``>`` or ``>=``."""

    left: Name | Literal
    sign: str
    right: Name | Literal


@dataclass(frozen=True)
class Between:
    """A comparison with a range, which includes both ends."""

    operand: Name | Literal
    low: Name | Literal
    high: Name | Literal


@dataclass(frozen=True)
class In:
    """A comparison with each literal of a list."""

    operand: Name | Literal
    values: tuple[Literal, ...]


@dataclass(frozen=True)
class IsNull:
    """A test for null."""

    operand: Name | Literal


@dataclass(frozen=True)
class Not:
    """A negation."""

    part: Expression


@dataclass(frozen=True)
class AllOf:
    """Conditions joined by AND."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by OR."""

    parts: tuple[Expression, ...]


Expression = Name | Compare | Between | In | IsNull | Not | AllOf | AnyOf
"""A condition."""


def read_filter(text: str) -> Expression:
    """Read a condition.

    Raises:
        UnsupportedError: a part of the text is supported only by Spark.

    Example:
        >>> read_filter("NOT (day IS NULL OR `late`)")
        Not(part=AnyOf(parts=(IsNull(operand=Name(text='day')), Name(text='late'))))
    """
    return _Reader(text).read()


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[LDld]?(?![\w.]))
    |(?P<text>'[^'\\]*')
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign><=>|<=|>=|<>|!=|==|[=<>(),!-])""",
    re.VERBOSE,
)

_SIGNS = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_JOINS = ("AND", "OR", "NOT", "IN", "IS", "BETWEEN")
_RESERVED = ("NULL", "TRUE", "FALSE", "CASE", "LIKE", "ILIKE", "RLIKE", "REGEXP", "EXISTS")
_WORDS = frozenset((*_JOINS, *_RESERVED))
"""The words that are names only in backticks."""

_DEPTH = 50
"""The maximum depth of nested parentheses and negations."""


class _Reader:
    """A recursive-descent parser."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                _refuse(f"has {text[at]!r}")
            if match.lastgroup != "space":
                self._tokens.append((str(match.lastgroup), match[0]))
            at = match.end()
        self._tokens.append(("end", ""))
        self._at = self._depth = 0

    def read(self) -> Expression:
        expression = self._read_any()
        if self._tokens[self._at][0] != "end":
            raise self._build_refusal()
        return expression

    # --- tokens -----------------------------------------------------------------------------------------

    def _next_word(self) -> str:
        form, text = self._tokens[self._at]
        return text.upper() if form in ("word", "sign") else ""

    def _skip(self, *words: str) -> bool:
        """Skip these words, if they are the next ones."""
        upcoming = self._tokens[self._at : self._at + len(words)]
        if [text.upper() for form, text in upcoming if form in ("word", "sign")] != list(words):
            return False
        self._at += len(words)
        return True

    def _require(self, word: str) -> None:
        if not self._skip(word):
            raise self._build_refusal()

    def _build_refusal(self) -> UnsupportedError:
        """Return the error for the next token."""
        form, text = self._tokens[self._at]
        if form == "end":
            reason = "ends too early"
        elif form == "word" and self._tokens[self._at + 1][1] == "(" and text.upper() not in _WORDS:
            reason = f"calls the function {text}"
        else:
            reason = f"has {text if form == 'word' else repr(text)}"
        return UnsupportedError(f"the filter {reason}")

    # --- conditions -------------------------------------------------------------------------------------

    def _read_any(self) -> Expression:
        parts = self._read_joined("OR", self._read_all)
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _read_all(self) -> Expression:
        parts = self._read_joined("AND", self._read_negated)
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _read_joined(self, word: str, read: Callable[[], Expression]) -> list[Expression]:
        parts = [read()]
        while self._skip(word):
            parts.append(read())
        return parts

    def _read_negated(self) -> Expression:
        self._depth += 1
        if self._depth > _DEPTH:
            _refuse(f"is nested more than {_DEPTH} levels deep")
        try:
            if self._skip("NOT") or self._skip("!"):
                return Not(self._read_negated())
            if self._skip("("):
                expression = self._read_any()
                self._require(")")
                return expression
            return self._read_predicate()
        finally:
            self._depth -= 1

    def _read_predicate(self) -> Expression:
        operand = self._read_operand()
        if self._next_word() in _SIGNS:
            sign = _SIGNS[self._next_word()]
            self._at += 1
            return Compare(operand, sign, self._read_operand())
        if self._skip("IS", "NOT", "NULL"):
            return Not(IsNull(operand))
        if self._skip("IS", "NULL"):
            return IsNull(operand)
        is_negated = self._skip("NOT")
        if self._skip("BETWEEN"):
            low = self._read_operand()
            self._require("AND")
            expression: Expression = Between(operand, low, self._read_operand())
        elif self._skip("IN", "("):
            expression = In(operand, self._read_list())
        elif is_negated or not isinstance(operand, Name):
            raise self._build_refusal()
        else:
            expression = operand
        return Not(expression) if is_negated else expression

    def _read_list(self) -> tuple[Literal, ...]:
        values = [self._read_literal()]
        while self._skip(","):
            values.append(self._read_literal())
        self._require(")")
        return tuple(values)

    # --- operands ---------------------------------------------------------------------------------------

    def _read_operand(self) -> Name | Literal:
        form, text = self._tokens[self._at]
        following = self._tokens[self._at + 1] if form != "end" else ("end", "")
        if form == "quoted":
            self._at += 1
            return Name(text[1:-1].replace("``", "`"))
        is_typed = following[0] == "text" and text.upper() in ("DATE", "TIMESTAMP")
        if form == "word" and text.upper() not in _WORDS and following[1] != "(" and not is_typed:
            self._at += 1
            return Name(text)
        return self._read_literal()

    def _read_literal(self) -> Literal:
        is_negative = self._skip("-")
        form, text = self._tokens[self._at]
        word = text.upper() if form == "word" else ""
        if form == "number":
            self._at += 1
            return _parse_number(text, is_negative)
        if not is_negative and form == "text":
            self._at += 1
            if self._tokens[self._at][0] == "text":
                _refuse("has texts side by side")
            return Literal("string", text[1:-1])
        if not is_negative and word in ("TRUE", "FALSE"):
            self._at += 1
            return Literal("boolean", word == "TRUE")
        if not is_negative and word in ("DATE", "TIMESTAMP") and self._tokens[self._at + 1][0] == "text":
            moment = self._tokens[self._at + 1][1][1:-1]
            self._at += 2
            return Literal(word.lower(), moment)
        if word == "NULL":
            _refuse("compares with NULL")
        raise self._build_refusal()


def _parse_number(text: str, is_negative: bool) -> Literal:
    sign = "-" if is_negative else ""
    digits = text.rstrip("LDld")
    if text[-1] in "Dd" or (text == digits and "e" in text.lower()):
        return Literal("double", float(sign + digits))
    if digits.isdigit():
        return Literal("integer", int(sign + digits))
    if text != digits or "e" in digits.lower():
        _refuse(f"has {text}")
    return Literal("decimal", Decimal(sign + digits))


def _refuse(reason: str) -> NoReturn:
    raise UnsupportedError(f"the filter {reason}")
