"""What a target itself asks of values: NOT NULL, lengths, CHECK, generated columns, partitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pyspark.sql import types as T

from sparksig.errors import Code, Finding, below, step
from sparksig.spark.rules import Found, Rule, flag, name_of, of_each, of_field, text_of
from sparksig.tables.delta import Existing

__all__ = ["asked", "checks", "partitions_asked", "reads_back_otherwise"]


def asked(kept: Existing, names: Sequence[str], given: Sequence[str]) -> list[Rule]:
    """What a table asks of the values of these columns.

    Args:
        kept: the table.
        names: of the columns that are there, of which the table may have filled some by an expression.
        given: of those that are written.
    """
    rules = []
    for field in kept.schema.fields:
        if field.name not in names:
            continue
        values, path = name_of(field.name), step(field.name)
        held = _with_lengths(field.dataType, _length_of(field))
        found = _of(held, path, nullable=field.nullable)
        rules += [Rule(finding, f"coalesce({count(values)}, 0)", nested) for finding, count, nested in found]
        fills = kept.filled.get(field.name)
        if fills is not None and fills.how == "generated" and field.name in given:
            expected = f"what the target generates it as ({fills.expression})"
            finding = Finding(Code.INVALID_VALUE, path, expected, "others", "leave the column out")
            rules.append(Rule(finding, flag(f"not ({values} <=> ({fills.expression}\n))")))
    return rules


def checks(there: Existing) -> list[Rule]:
    """The CHECK constraints of a Delta table, which stay with it even where its schema is overwritten."""
    rules = []
    for key, text in there.properties.items():
        if key.startswith("delta.constraints."):
            name = key.removeprefix("delta.constraints.")
            expected = f"rows of which CHECK {name} ({text}) is true"
            finding = Finding(Code.INVALID_VALUE, "", expected, "others")
            rules.append(Rule(finding, f"case when ({text}\n) then 0 else 1 end"))
    return rules


def _of(held: T.DataType, path: str, *, nullable: bool, inside: bool = False) -> Iterable[Found]:
    """The rules of one place, and of what is in it; ``inside`` lists and maps a struct may be null."""
    if not nullable:
        finding = Finding(Code.NULL_IN_REQUIRED, path, "values: the target says NOT NULL", "nulls")
        yield finding, lambda value: flag(f"{value} is null"), False
    if isinstance(held, (T.CharType, T.VarcharType)):
        limit = held.length
        finding = Finding(Code.OUT_OF_RANGE, path, f"texts of up to {limit} characters", "longer ones")
        yield finding, lambda value: flag(f"length({value}) > {limit}"), False
    elif isinstance(held, T.StructType):
        for part in held.fields:
            where = below(path, part.name)
            for one in _of(part.dataType, where, nullable=part.nullable, inside=inside):
                yield of_field(one, part.name) if inside else _of_null(one, part.name)
    elif isinstance(held, T.ArrayType):
        inner = _of(held.elementType, f"{path}[]", nullable=held.containsNull, inside=True)
        yield from (of_each(one) for one in inner)
    elif isinstance(held, T.MapType):
        keys = _of(held.keyType, f"{path}[]", nullable=True, inside=True)
        yield from (of_each(one, "map_keys({})") for one in keys)
        inner = _of(held.valueType, f"{path}[]", nullable=held.valueContainsNull, inside=True)
        yield from (of_each(one, "map_values({})") for one in inner)


def _of_null(one: Found, name: str) -> Found:
    """A rule of a field: for Delta, the field of a struct that is null is null, too."""
    finding, count, nested = one
    return finding, lambda value: count(f"{value}.{name_of(name)}"), nested


def _length_of(field: T.StructField) -> str:
    """Return the type of a column with the lengths of its texts, as char(3) or array<varchar(3)>."""
    return str((field.metadata or {}).get("__CHAR_VARCHAR_TYPE_STRING", ""))


def _with_lengths(dtype: T.DataType, text: str) -> T.DataType:
    """A type with the lengths of its texts, which Spark keeps as the text of the whole type."""
    if not text:
        return dtype
    try:
        found, end = _read(dtype, text, 0)
    except ValueError:
        return dtype  # another type: then Delta alone sees to the lengths
    return found if end == len(text) else dtype


def _read(dtype: T.DataType, text: str, at: int) -> tuple[T.DataType, int]:
    """The type that stands at a place of a text, and where it ends."""
    if isinstance(dtype, T.StructType):
        fields, at = [], _after(text, at, "struct<")
        for index, field in enumerate(dtype.fields):
            at = _after(text, at, ",") if index else at
            written = field.name if text.startswith(f"{field.name}:", at) else name_of(field.name)
            inner, at = _read(field.dataType, text, _after(text, at, f"{written}:"))
            fields.append(T.StructField(field.name, inner, field.nullable))
        return T.StructType(fields), _after(text, at, ">")
    if isinstance(dtype, T.ArrayType):
        inner, at = _read(dtype.elementType, text, _after(text, at, "array<"))
        return T.ArrayType(inner, dtype.containsNull), _after(text, at, ">")
    if isinstance(dtype, T.MapType):
        key, at = _read(dtype.keyType, text, _after(text, at, "map<"))
        value, at = _read(dtype.valueType, text, _after(text, at, ","))
        return T.MapType(key, value, dtype.valueContainsNull), _after(text, at, ">")
    length = re.compile(r"(var)?char\((\d+)\)").match(text, at)
    if length:
        limit = int(length[2])
        return T.VarcharType(limit) if length[1] else T.CharType(limit), length.end()
    return dtype, _after(text, at, dtype.simpleString())


def _after(text: str, at: int, expected: str) -> int:
    if not text.startswith(expected, at):
        raise ValueError(expected)
    return at + len(expected)


# --- partitions -------------------------------------------------------------------------------------------

_NUMBER = r"[+-]?(\p{Nd}+\.?\p{Nd}*|\.\p{Nd}+)([eE][+-]?\p{Nd}+)?[fFdD]?|[+-]?0[xX].*[pP].*"
_MOMENT = r"\p{Nd}{4}-\p{Nd}{2}-\p{Nd}{2} \p{Nd}{2}:.*"
_TAKEN = rf"(?s)[\x00-\x20]*({_NUMBER}|{_MOMENT})[\x00-\x20]*"
"""Texts that Spark may take for a number or a moment when it reads the names of directories."""

_EXACT = r"0|-?[1-9][0-9]{0,36}"
"""Those of them that it writes in just the same way; so it does dates."""


def reads_back_otherwise(text: str) -> bool:
    """Whether Spark may read the name of a partition as something that is written in another way.

    Example:
        >>> [reads_back_otherwise(text) for text in ("7", "007", "2024-01-02", "1.50", "v1.50")]
        [False, True, False, True, False]
    """
    taken = re.compile(_TAKEN.replace(r"\p{Nd}", r"\d"))
    return bool(taken.fullmatch(text)) and not re.fullmatch(_EXACT, text)


def partitions_asked(by: Sequence[T.StructField], format: str, kept: Existing | None) -> list[Rule]:
    """What columns to partition by have to hold, so that the names of directories give it back."""
    rules = []
    types = {} if kept is None else {field.name: field.dataType for field in kept.schema.fields}
    for field in by:
        if not isinstance(field.dataType, T.StringType):
            continue
        value, path = name_of(field.name), step(field.name)
        expected = "texts that are not empty, in a column to partition by"
        finding = Finding(Code.INVALID_VALUE, path, expected, "empty ones, which would be null")
        rules.append(Rule(finding, _if(f"{value} = '' or {value} = '__HIVE_DEFAULT_PARTITION__'")))
        if format != "parquet":
            continue
        expected = "texts that readers of Parquet give back, in a column to partition by"
        found = "some that Spark takes for numbers or moments and spells in another way, as 007 or 1.50"
        hint = "cast the column on purpose, to int for example, or write Delta"
        taken, exact = text_of(f"^({_TAKEN})$"), text_of(f"^({_EXACT})$")
        finding = Finding(Code.INVALID_VALUE, path, expected, found, hint)
        rules.append(Rule(finding, _if(f"{value} rlike {taken} and not {value} rlike {exact}")))
        there = types.get(field.name, T.StringType())
        if not isinstance(there, T.StringType):  # as the directories that are there read
            held = there.simpleString()
            finding = Finding(Code.TYPE_MISMATCH, path, f"texts that read as {held}", "others", _ALIKE)
            rules.append(Rule(finding, _if(f"{value} is not null and try_cast({value} as {held}) is null")))
    return rules


_ALIKE = "readers of Parquet would see all partitions of the table as texts"


def _if(broken: str) -> str:
    return f"case when {broken} then 1 else 0 end"
