"""Parser of Spark's column lists; the result has source types of the casting table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sparksig.errors import Code, ConversionError, Finding, SignatureError, below, shorten, suggest
from sparksig.lattice import Decimal, Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.types import MAX_DEPTH


def read_columns(text: str, findings: list[Finding]) -> list[Field]:
    """Parse a column list; an empty text has no columns.

    Example:
        >>> read_columns("a int not null", [])
        [Field(name='a', source=Scalar(name='int32', native='int'), nullable=False)]
    """
    return _Reader(text, findings).read_table()


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
    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        if self.kind in ("text", "end"):
            return "a quoted text" if self.kind == "text" else "the end of the text"
        return repr(self.text if len(self.text) <= 30 else f"{self.text[:27]}...")


def _scan(text: str) -> list[_Token]:
    """Return the tokens of a text, up to the first character that cannot begin a token."""
    tokens: list[_Token] = []
    position = 0
    while position < len(text) and (match := _TOKEN.match(text, position)):
        if match.lastgroup == "comment":
            position = _find_comment_end(text, position)
            continue
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], position))
        position = match.end()
    is_end = position == len(text)
    tokens.append(_Token("end", "", position) if is_end else _Token("strange", text[position], position))
    return tokens


def _find_comment_end(text: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):  # comments nest
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise _build_error(text, start, "", "the end of a comment, */", "the end of the text")


def _build_error(
    text: str, position: int, path: str, expected: str, actual: str, hint: str = ""
) -> SignatureError:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    location = f"line {line}, column {column}" + (f"; {hint}" if hint else "")
    return SignatureError.of("malformed DDL", [Finding(Code.INVALID_VALUE, path, expected, actual, location)])


# --- columns --------------------------------------------------------------------------------------------


class _Reader:
    """A recursive-descent parser: malformed DDL raises an error, unknown types are collected as findings."""

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
        """Consume the next token and return it in lower case if it is one of some words; else return ""."""
        is_match = self._token.kind in ("word", "sign") and self._token.text.lower() in words
        return self._take().lower() if is_match else ""

    def expect(self, path: str, *words: str) -> None:
        """Consume a sequence of words or signs."""
        for word in words:
            if not self.accept(word):
                raise self.build_error(path, word.upper() if word.isalpha() else repr(word))

    def build_error(self, path: str, expected: str) -> SignatureError:
        """Build the error that the next token is not the expected one."""
        token = self._token
        is_foreign = token.kind == "word" and not token.text.isascii()
        is_odd = is_foreign or (token.kind in ("strange", "number") and expected in (*_NAMES, "a type"))
        hint = "put names in backticks unless they consist of ASCII letters, digits and _" if is_odd else ""
        return _build_error(self._text, token.position, path, expected, str(token), hint)

    def read_table(self) -> list[Field]:
        if not self._text.strip():
            return []
        is_struct = len(self._tokens) > 1 and self._tokens[1].text == "<"  # Spark accepts struct<...>, too
        if is_struct and not self.accept("struct"):
            raise self.build_error("", _NAMES[0])
        columns = self.read_struct("").fields if is_struct else self._read_columns("")
        if self._token.kind != "end":
            expected = "the end of the text" if is_struct else "',' or the end of the text"
            raise self.build_error("", expected)
        return list(columns)

    def _read_columns(self, path: str) -> tuple[Field, ...]:
        columns = [self._read_column(path)]
        while self.accept(","):
            columns.append(self._read_column(path))
        return tuple(columns)

    def _read_column(self, path: str) -> Field:
        name = self._read_name(path)
        column_path = below(path, name)
        self.accept(":")
        source = self.read_type(column_path)
        nullable = not self.accept("not")
        if not nullable:
            self.expect(column_path, "null")
        if self.accept("comment"):
            if self._token.kind != "text":
                raise self.build_error(column_path, "the comment, a quoted text")
            while self._token.kind == "text":  # adjacent texts are concatenated
                self._take()
        return Field(name, source, nullable)

    def _read_name(self, path: str) -> str:
        if self._token.kind == "quoted":
            return self._take()[1:-1].replace("``", "`")
        if self._token.kind != "word" or not self._token.text.isascii():
            raise self.build_error(path, _NAMES[bool(path)])
        return self._take()

    # --- types

    def read_type(self, path: str) -> Source:
        """Read a type; a type that Spark does not have becomes a finding."""
        if self._token.kind not in ("word", "quoted"):
            raise self.build_error(path, "a type")
        if self._depth > MAX_DEPTH:  # the casting table counts exactly; this stops hostile texts
            expected = f"at most {MAX_DEPTH} levels of nesting"
            finding = Finding(Code.UNSUPPORTED_TYPE, shorten(path), expected, "more")
            raise ConversionError.of("no signature for this DDL", [finding])
        name = self._take().lower()
        if name in _READERS:
            self._depth += 1
            source = _READERS[name](self, path, name)
            self._depth -= 1
            return source
        sizes = self.read_sizes(path)
        if name in _PLAIN and not sizes:
            return _PLAIN[name]
        hint = suggest(name, {*_READERS, *_PLAIN}) if name not in _PLAIN else "write it without a length"
        return self.refuse(path, name + _format_sizes(sizes), hint)

    def refuse(self, path: str, actual: str, hint: str) -> Source:
        """Report a type that Spark does not have; return a placeholder for it."""
        self._findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a type that Spark has", actual, hint))
        return Scalar("bool")

    def read_sizes(self, path: str) -> list[int]:
        """Read optional integers in parentheses."""
        sizes: list[int] = []
        if self.accept("("):
            while not sizes or self.accept(","):
                sizes.append(self.read_integer(path))
            self.expect(path, ")")
        return sizes

    def read_integer(self, path: str) -> int:
        """Read an integer without a sign."""
        if self._token.kind != "number" or not self._token.text.isdigit():
            raise self.build_error(path, "an integer")
        digits = self._take().lstrip("0") or "0"
        return int(digits) if len(digits) < 10 else 10**9  # beyond every limit

    def skip_collation(self, path: str) -> None:
        """Skip an optional collation; its name is not checked."""
        if self.accept("collate"):
            self._read_name(path)

    def read_array(self, path: str) -> ListOf:
        """Read an array after its first word."""
        self.expect(path, "<")
        item = self.read_type(f"{path}[]")
        self.expect(path, ">")
        return ListOf(item)

    def read_map(self, path: str) -> MapOf:
        """Read a map after its first word."""
        self.expect(path, "<")
        key = self.read_type(path)
        self.expect(path, ",")
        value = self.read_type(f"{path}[]")
        self.expect(path, ">")
        return MapOf(key, value)

    def read_struct(self, path: str) -> Struct:
        """Read a struct after its first word."""
        self.expect(path, "<")
        if self.accept(">"):
            return Struct(())
        fields = self._read_columns(path)
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


def _format_sizes(sizes: list[int]) -> str:
    return f"({','.join(map(str, sizes[:3]))})" if sizes else ""


def _read_decimal(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.read_sizes(path)
    precision, scale = [*(sizes or [10]), 0][:2]
    if len(sizes) > 2 or not scale <= precision <= 38:
        hint = "the precision is at most 38, and the scale is at most the precision"
        return reader.refuse(path, name + _format_sizes(sizes), hint)
    return Decimal(precision, scale)


def _read_string(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.read_sizes(path)
    reader.skip_collation(path)
    if name == "string" and sizes:
        return reader.refuse(path, name + _format_sizes(sizes), "use varchar for strings of limited length")
    if name != "string" and len(sizes) != 1:
        return reader.refuse(path, name + _format_sizes(sizes), f"give it a length, for example {name}(10)")
    return Scalar("string", name + _format_sizes(sizes), sizes[0] if sizes else None)


def _read_timestamp(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.read_sizes(path)
    if sizes not in ([], [6]):
        return reader.refuse(path, name + _format_sizes(sizes), "the precision is 6")
    has_zone = name != "timestamp_ntz"
    if name == "timestamp" and reader.accept("without"):
        reader.expect(path, "time", "zone")
        has_zone = False
    elif name == "timestamp" and reader.accept("with"):
        reader.expect(path, "local", "time", "zone")
    return Scalar("timestamp_tz", "timestamp") if has_zone else Scalar("timestamp", "timestamp_ntz")


def _read_time(reader: _Reader, path: str, name: str) -> Source:
    sizes = reader.read_sizes(path) or [6]
    if reader.accept("without"):
        reader.expect(path, "time", "zone")
    if len(sizes) > 1 or sizes[0] > 9:
        return reader.refuse(path, name + _format_sizes(sizes), "the precision is at most 9")
    return Scalar("time", name + _format_sizes(sizes))


def _read_interval(reader: _Reader, path: str, name: str) -> Source:
    start = reader.accept("year", "month", *_UNITS)
    finer = _UNITS[_UNITS.index(start) + 1 :] if start in _UNITS else ("month",) if start == "year" else ()
    end = ""
    if finer and reader.accept("to"):
        end = reader.accept(*finer)
        if not end:
            raise reader.build_error(path, " or ".join(finer).upper())
    return Scalar("interval", " ".join(filter(None, (name, start, "to" if end else "", end))))


def _read_geometry(reader: _Reader, path: str, name: str) -> Source:
    reader.expect(path, "(")
    size = reader.accept("any") or reader.read_integer(path)
    reader.expect(path, ")")
    return Scalar(name, f"{name}({size})")


_READERS: dict[str, Callable[[_Reader, str, str], Source]] = {
    "array": lambda reader, path, name: reader.read_array(path),
    "map": lambda reader, path, name: reader.read_map(path),
    "struct": lambda reader, path, name: reader.read_struct(path),
    **dict.fromkeys(("decimal", "dec", "numeric"), _read_decimal),
    **dict.fromkeys(("string", "char", "character", "varchar"), _read_string),
    **dict.fromkeys(("timestamp", "timestamp_ltz", "timestamp_ntz"), _read_timestamp),
    "time": _read_time,
    "interval": _read_interval,
    **dict.fromkeys(("geometry", "geography"), _read_geometry),
}
