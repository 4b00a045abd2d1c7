"""A table of few rows and many types, and conditions on it: those that are read, and those left to Spark."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

_NAN = float("nan")
TABLE = pa.table(
    {
        "number": pa.array(range(5), pa.int32()),
        "i": pa.array([-3, None, 2**53 + 1, 7, 0]),
        "tiny": pa.array([1, -128, None, 7, 0], pa.int8()),
        "f": pa.array([0.1, _NAN, None, -0.0, 3.5], pa.float32()),
        "d": pa.array([0.1, _NAN, None, -0.0, 1e300]),
        "e": pa.array([_NAN, _NAN, 1.0, None, 0.0]),
        "n": pa.array(
            [Decimal("1.25"), Decimal("-0.50"), None, Decimal(7), Decimal("0.00")], pa.decimal128(9, 2)
        ),
        "s": pa.array(["a", "", None, "B", "ü"]),
        "flag": pa.array([True, False, None, False, True]),
        "day": pa.array(
            [dt.date(2024, 7, 1), None, dt.date(1969, 12, 31), dt.date(2024, 3, 10), dt.date(1, 1, 1)]
        ),
        "t": pa.array([0, None, 1719831600123456, -1, 1710054000000000], pa.timestamp("us", "UTC")),
    }
)

_LITERALS = {
    "number": ["0", "2", "-1", "3L", "300", "1.5", "1e0", "2.0D"],
    "i": ["0", "7", "-3", "9007199254740993", "7.0", "-2.5"],
    "tiny": ["0", "7", "300", "-129", "6.5"],
    "f": ["0", "3.5", "0.1", "1e-1", "-1"],
    "d": ["0", "0.1", "1e300", "0.1D", "-7"],
    "e": ["0", "1.0"],
    "n": ["7", "1.25", "1.250", "-0.5", "0", "123456789012"],
    "s": ["'a'", "''", "'B'", "'b'", "'ü'", "'zz'"],
    "day": ["'2024-07-01'", "DATE'1969-12-31'", "date '2024-03-10'"],
    "t": ["TIMESTAMP'2024-07-01 07:00:00'", "'1970-01-01 00:00:00'", "'2024-03-10'", "DATE'2024-07-01'"],
}
_PAIRS = [("i", "number"), ("tiny", "i"), ("d", "e"), ("e", "d"), ("s", "s"), ("day", "day"), ("n", "n")]
_SIGNS = ["=", "==", "<>", "!=", "<", "<=", ">", ">="]


@st.composite
def _predicates(draw):
    """One comparison, or a test for null."""
    name = draw(st.sampled_from([*_LITERALS, "flag"]))
    form = draw(st.sampled_from(["compare", "flipped", "between", "in", "null", "columns"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    if form == "null":
        return f"`{name}` IS {negated}NULL"
    if form == "columns":
        left, right = draw(st.sampled_from(_PAIRS))
        return f"{left} {draw(st.sampled_from(_SIGNS))} {right.upper()}"
    if name == "flag":
        return draw(st.sampled_from(["flag", "NOT flag", "flag = true", "FALSE <> flag"]))
    literal = st.sampled_from(_LITERALS[name])
    if form == "between":
        return f"{name} {negated}between {draw(literal)} and {draw(literal)}"
    if form == "in":
        texts = [text for text in _LITERALS[name] if name != "t" or not text.startswith("'")]
        values = draw(st.lists(st.sampled_from(texts), min_size=1, max_size=4))
        matching = [text for text in values if text[0] == values[0][0]] if name in ("day", "t") else values
        return f"{name} {negated}IN ({', '.join(matching)})"
    operands = [name, draw(literal)]
    if form == "flipped":
        operands.reverse()
    return f" {draw(st.sampled_from(_SIGNS))} ".join(operands)


def conditions():
    """Texts of conditions that are read."""
    return st.recursive(
        _predicates(),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["AND", "or"]), inner).map(" ".join),
            inner.map("({})".format),
            inner.map("not ({})".format),
        ),
        max_leaves=6,
    )


UNSUPPORTED = [
    ("year(day) = 2024", "calls the function year"),
    ("i + 1 > 2", "has '+'"),
    ("i - 1 > 2", "has '-'"),
    ("s LIKE 'a%'", "has LIKE"),
    ("s = 'it''s'", "has texts side by side"),
    ('s = "a"', "has '\"'"),
    (r"s = 'a\n'", 'has "\'"'),
    ("s = 1", "compares s, which is string, with an integer"),
    ("i = '1'", "compares i, which is int64, with a string"),
    ("i = 1e0", "compares i, which is int64, with a double"),
    ("f = 16777217", "compares f, which is float, with an integer"),
    ("n = 1e0", "compares n, which is decimal128(9, 2), with a double"),
    ("day = TIMESTAMP'2024-07-01 00:00:00'", "compares day, which is date32[day], with a timestamp"),
    ("day = '2024-7-1'", "compares day, which is date32[day], with a string"),
    ("day = '2024-02-30'", "compares day, which is date32[day], with a string"),
    ("t IN ('2024-07-01')", "has a list of texts for the times of t"),
    ("flag > false", "compares the booleans of flag by their order"),
    ("flag = 1", "compares flag, which is bool, with an integer"),
    ("s = NULL", "compares with NULL"),
    ("i <=> 1", "has '<=>'"),
    ("1 = 1", "compares literals with each other"),
    ("true", "ends too early"),
    ("i", "has i, which is not a condition"),
    ("other = 1", "has other, which is not a column of the table"),
    ("s.a = 1", "has '.'"),
    ("i = d", "compares i, which is int64, with d, which is double"),
    ("i = 1 = 2", "has '='"),
    ("i = 1 -- a comment", "has '-'"),
    ("", "ends too early"),
    ("i > ", "ends too early"),
    ("(" * 60 + "flag" + ")" * 60, "is nested more than 50 levels deep"),
    (f"d in ({', '.join(map(str, range(11)))})", "has a list of more than 10 floating-point numbers"),
]
