"""The documented casting table is that of the lattice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparksig.lattice import DECIMAL_DIGITS, IMMEDIATE, Decimal, Field, ListOf, MapOf, Scalar, Struct, widens
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector

PAGE = Path(__file__).parents[2] / "sparksig" / "engine" / "README.md"
MARKS = re.compile(r"(<!-- the casting table.*?-->\n).*?(<!-- end of the casting table -->)", re.DOTALL)

COMPOSITES = {
    "Array(T)": (Array("long"), "list, large_list, list_view, fixed_size_list of what widens to T"),
    "Object": (
        Object([Property("a", "long")]),
        "struct, by name; map from text (a key is a property); extra fields are dropped",
    ),
    "Map(T)": (Map("long"), "map from text to what widens to T; struct whose fields all widen to T"),
    "SparkMLVector": (SparkMLVector(), "Spark ML's vector, dense or sparse; list of what widens to double"),
    "Any": (AnyType(), "everything, as it is"),
}


def lines():
    """The table, from the lattice."""
    yield "| declared | sources, losslessly |"
    yield "|---|---|"
    for target in DataType:
        sources = [name.replace("_tz", " with a zone") for name in IMMEDIATE if widens(Scalar(name), target)]
        digits = DECIMAL_DIGITS.get(target)
        if digits:
            sources.append(f"decimal({digits}, {'s' if target is DataType.double else '0'}) and shorter")
        yield f"| {target.name} | {', '.join(sources)} |"
    for name, (_, sources) in COMPOSITES.items():
        yield f"| {name} | {sources} |"


def test_page_shows_the_table():
    page, table = PAGE.read_text(), "\n".join(lines())
    assert MARKS.sub(lambda marks: f"{marks[1]}{table}\n{marks[2]}", page) == page


@pytest.mark.parametrize(("target", "digits"), DECIMAL_DIGITS.items(), ids=DECIMAL_DIGITS)
def test_decimals_are_as_the_table_says(target, digits):
    scale = 2 if target is DataType.double else 0
    assert widens(Decimal(digits, scale), target)
    assert not widens(Decimal(digits + 1, scale), target)
    assert target is DataType.double or not widens(Decimal(2, 1), target)


INTS, TEXT = Scalar("int32"), Scalar("string")
SOURCE_TYPES = {
    "list": ListOf(INTS),
    "struct": Struct((Field("a", INTS), Field("b", INTS))),
    "map": MapOf(TEXT, INTS),
    "vector": Struct((), "vector"),
    "map of ints": MapOf(INTS, INTS),
    "list of text": ListOf(TEXT),
    "scalar": INTS,
}
ACCEPTED = {
    "Array(T)": {"list"},
    "Object": {"struct", "map"},
    "Map(T)": {"struct", "map"},
    "SparkMLVector": {"vector", "list"},
    "Any": set(SOURCE_TYPES),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_as_the_table_says(name):
    dtype, _ = COMPOSITES[name]
    assert {kind for kind, source in SOURCE_TYPES.items() if widens(source, dtype)} == ACCEPTED[name]
