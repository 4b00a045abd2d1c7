"""The grammar of Spark's column lists: a text -> columns in the casting table's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sparksig.errors import Code, ConversionError, Finding, SignatureError, below, nearest
from sparksig.lattice import Decimal, Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.types import MAX_DEPTH

__all__ = ["read_columns"]


def read_columns(text: str, findings: list[Finding]) -> list[Field]:
    """The columns that a text lists; none of an empty one.

    Args:
        text: DDL.
        findings: gathers the types that no Spark has.

    Raises:
        SignatureError: the text is no DDL: the place, and what was expected there.
        ConversionError: it is nested too deeply.

    Example:
        >>> read_columns("a int not null", [])
        [Field(name='a', source=Scalar(name='int32', native='int'), nullable=False)]
    """
    return _Reader(text, findings).table()


# --- tokens ---------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\v\f\r\u00a0\u1680\u2000-\u200a\u2028\u202f\u205f\u3000]+|--(?:\\\n|[^\r\n])*)
    |(?P<comment>/\*(?!\+))
    |(?P<quoted>`(?:[^`]|``)*`)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[rR]'[^']*'|[rR]"[^"]*")
    |(?P<number>[0-9]+(?:[eE][0-9]+)?(?:[lLsSyYfFdD]|[bB][dD])?(?!\w))
    |(?P<word>\w+)
    |(?P<sign>[<>(),:])""",
    re.VERBOSE | re.DOTALL,
)


_NAMES = ("the name of a column", "the name of a field")


@dataclass(frozen=True)
class _Token:
    form: str
    text: str
    at: int

    def __str__(self) -> str:
        if self.form in ("text", "end"):
            return "a text in quotes" if self.form == "text" else "the end of the text"
        return repr(self.text if len(self.text) <= 30 else f"{self.text[:27]}...")


def _scan(text: str) -> list[_Token]:
    """The tokens of a text, up to the first character that begins none."""
    tokens: list[_Token] = []
    at = 0
    while at < len(text) and (match := _TOKEN.match(text, at)):
        if match.lastgroup == "comment":
            at = _after_comment(text, at)
            continue
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], at))
        at = match.end()
    tokens.append(_Token("strange", text[at], at) if at < len(text) else _Token("end", "", at))
    return tokens


def _after_comment(text: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):  # comments nest
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise _malformed(text, start, "", "the end of a comment, */", "the end of the text")


def _malformed(text: str, at: int, path: str, expected: str, found: str, hint: str = "") -> SignatureError:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    where = f"line {line}, column {column}" + (f"; {hint}" if hint else "")
    return SignatureError.of("malformed DDL", [Finding(Code.INVALID_VALUE, path, expected, found, where)])


# --- columns --------------------------------------------------------------------------------------------


class _Reader:
    """One pass over a text: what is no DDL raises at once, types that are none are gathered."""

    def __init__(self, text: str, findings: list[Finding]) -> None:
        self._findings, self._text, self._tokens = findings, text, _scan(text)
        self._next = self._depth = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1].text

    def accept(self, *words: str) -> str:
        """The next token, if it is one of these; empty, and nothing taken, if it is not."""
        known = self._token.form in ("word", "sign") and self._token.text.lower() in words
        return self._take().lower() if known else ""

    def expect(self, path: str, *words: str) -> None:
        """Take these words or signs, one after the other."""
        for word in words:
            if not self.accept(word):
                raise self.malformed(path, word.upper() if word.isalpha() else repr(word))

    def malformed(self, path: str, expected: str) -> SignatureError:
        """The error that something else stands here."""
        token = self._token
        foreign = token.form == "word" and not token.text.isascii()
        odd = foreign or (token.form in ("strange", "number") and expected in (*_NAMES, "a type"))
        hint = "names of anything but ASCII letters, digits and _ stand in backticks" if odd else ""
        return _malformed(self._text, token.at, path, expected, str(token), hint)

    def table(self) -> list[Field]:
        if not self._text.strip():
            return []
        wrapped = len(self._tokens) > 1 and self._tokens[1].text == "<"  # struct<...>, as Spark takes it, too
        if wrapped and not self.accept("struct"):
            raise self.malformed("", _NAMES[0])
        columns = self.struct("").fields if wrapped else self._columns("")
        if self._token.form != "end":
            raise self.malformed("", "the end of the text" if wrapped else "',' or the end of the text")
        return list(columns)

    def _columns(self, path: str) -> tuple[Field, ...]:
        found = [self._column(path)]
        while self.accept(","):
            found.append(self._column(path))
        return tuple(found)

    def _column(self, path: str) -> Field:
        name = self._name(path)
        where = below(path, name)
        self.accept(":")
        source = self.type(where)
        nullable = not self.accept("not")
        if not nullable:
            self.expect(where, "null")
        if self.accept("comment"):
            if self._token.form != "text":
                raise self.malformed(where, "the comment, a text in quotes")
            while self._token.form == "text":  # several are one
                self._take()
        return Field(name, source, nullable)

    def _name(self, path: str) -> str:
        if self._token.form == "quoted":
            return self._take()[1:-1].replace("``", "`")
        if self._token.form != "word" or not self._token.text.isascii():
            raise self.malformed(path, _NAMES[bool(path)])
        return self._take()

    # --- types

    def type(self, path: str) -> Source:
        """A type; what Spark does not have becomes a finding."""
        if self._token.form not in ("word", "quoted"):
            raise self.malformed(path, "a type")
        if self._depth > MAX_DEPTH:  # the table counts exactly: this is for texts without end
            shown, levels = path if len(path) <= 80 else f"{path[:77]}...", f"at most {MAX_DEPTH} levels"
            finding = Finding(Code.UNSUPPORTED_TYPE, shown, f"{levels} of nesting", "more")
            raise ConversionError.of("no signature for this DDL", [finding])
        name = self._take().lower()
        if name in _READERS:
            self._depth += 1
            source = _READERS[name](self, path, name)
            self._depth -= 1
            return source
        sizes = self.sizes(path)
        if name in _PLAIN and not sizes:
            return _PLAIN[name]
        hint = nearest(name, {*_READERS, *_PLAIN}) if name not in _PLAIN else "write it without a length"
        return self.refused(path, name + _shown(sizes), hint)

    def refused(self, path: str, found: str, hint: str) -> Source:
        """A finding, and something in place of the type while the others are gathered."""
        self._findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a type that Spark has", found, hint))
        return Scalar("bool")

    def sizes(self, path: str) -> list[int]:
        """Whole numbers in parentheses, if they are there."""
        found: list[int] = []
        if self.accept("("):
            while not found or self.accept(","):
                found.append(self.number(path))
            self.expect(path, ")")
        return found

    def number(self, path: str) -> int:
        """A whole number without a sign."""
        if self._token.form != "number" or not self._token.text.isdigit():
            raise self.malformed(path, "a whole number")
        digits = self._take().lstrip("0") or "0"
        return int(digits) if len(digits) < 10 else 10**9  # beyond every limit

    def collation(self, path: str) -> None:
        """A collation, if it is there; which ones there are is for Spark to say."""
        if self.accept("collate"):
            self._name(path)

    def array(self, path: str) -> ListOf:
        """What follows the word."""
        self.expect(path, "<")
        item = self.type(f"{path}[]")
        self.expect(path, ">")
        return ListOf(item)

    def map(self, path: str) -> MapOf:
        """What follows the word."""
        self.expect(path, "<")
        key = self.type(path)
        self.expect(path, ",")
        value = self.type(f"{path}[]")
        self.expect(path, ">")
        return MapOf(key, value)

    def struct(self, path: str) -> Struct:
        """What follows the word."""
        self.expect(path, "<")
        if self.accept(">"):
            return Struct(())
        fields = self._columns(path)
        self.expect(path, ">")
        return Struct(fields)


# --- types ----------------------------------------------------------------------------------------------

_PLAIN: dict[str, Source] = {
    "void": Scalar("null", "void"),
    "boolean": Scalar("bool", "boolean"),
    **dict.fromkeys(("tinyint", "byte"), Scalar("int8", "tinyint")),
    **dict.fromkeys(("smallint", "short"), Scalar("int16", "smallint")),
    **dict.fromkeys(("int", "integer"), Scalar("int32", "int")),
    **dict.fromkeys(("bigint", "long"), Scalar("int64", "bigint")),
    **dict.fromkeys(("float", "real"), Scalar("float32", "float")),
    "double": Scalar("float64", "double"),
    "binary": Scalar("binary", "binary"),
    "date": Scalar("date32", "date"),
    "variant": Struct((), "variant"),
}


_UNITS = ("day", "hour", "minute", "second")


def _shown(sizes: list[int]) -> str:
    return f"({','.join(map(str, sizes[:3]))})" if sizes else ""


def _decimal(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.sizes(path)
    precision, scale = [*(sizes or [10]), 0][:2]
    if len(sizes) > 2 or not scale <= precision <= 38:
        hint = "its precision is 38 at most, its scale no more than that"
        return reader.refused(path, name + _shown(sizes), hint)
    return Decimal(precision, scale)


def _string(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.sizes(path)
    reader.collation(path)
    if name == "string" and sizes:
        return reader.refused(path, name + _shown(sizes), "a text of limited length is a varchar")
    if name != "string" and len(sizes) != 1:
        return reader.refused(path, name + _shown(sizes), f"give it its length, as in {name}(10)")
    return Scalar("string", name + _shown(sizes), sizes[0] if sizes else None)


def _timestamp(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.sizes(path)
    if sizes not in ([], [6]):
        return reader.refused(path, name + _shown(sizes), "its precision is 6")
    local = name != "timestamp_ntz"
    if name == "timestamp" and reader.accept("without"):
        reader.expect(path, "time", "zone")
        local = False
    elif name == "timestamp" and reader.accept("with"):
        reader.expect(path, "local", "time", "zone")
    return Scalar("timestamp_tz", "timestamp") if local else Scalar("timestamp", "timestamp_ntz")


def _time(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.sizes(path) or [6]
    if reader.accept("without"):
        reader.expect(path, "time", "zone")
    if len(sizes) > 1 or sizes[0] > 9:
        return reader.refused(path, name + _shown(sizes), "its precision is 9 at most")
    return Scalar("time", name + _shown(sizes))


def _interval(reader: _Reader, path: str, name: str) -> Source:
    start = reader.accept("year", "month", *_UNITS)
    finer = _UNITS[_UNITS.index(start) + 1 :] if start in _UNITS else ("month",) if start == "year" else ()
    end = ""
    if finer and reader.accept("to"):
        end = reader.accept(*finer)
        if not end:
            raise reader.malformed(path, " or ".join(finer).upper())
    return Scalar("interval", " ".join(filter(None, (name, start, "to" if end else "", end))))


def _place(reader: _Reader, path: str, name: str) -> Source:
    reader.expect(path, "(")
    size = reader.accept("any") or reader.number(path)
    reader.expect(path, ")")
    return Scalar(name, f"{name}({size})")


_READERS: dict[str, Callable[[_Reader, str, str], Source]] = {
    "array": lambda reader, path, name: reader.array(path),
    "map": lambda reader, path, name: reader.map(path),
    "struct": lambda reader, path, name: reader.struct(path),
    **dict.fromkeys(("decimal", "dec", "numeric"), _decimal),
    **dict.fromkeys(("string", "char", "character", "varchar"), _string),
    **dict.fromkeys(("timestamp", "timestamp_ltz", "timestamp_ntz"), _timestamp),
    "time": _time,
    "interval": _interval,
    **dict.fromkeys(("geometry", "geography"), _place),
}
