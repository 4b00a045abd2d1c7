"""The error tree, what an error carries, and the small words that errors are made of."""

from __future__ import annotations

import builtins
import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import errors
from sparksig.errors import (
    BudgetExceededError,
    Code,
    ConfigError,
    ConfigNotFoundError,
    ContractError,
    ConversionError,
    ExecutionError,
    Finding,
    InferenceError,
    MissingDependencyError,
    MissingSignatureError,
    ModelDamagedError,
    ModelError,
    ModelFailedError,
    ModelNotFoundError,
    ModelNotTrustedError,
    OutputRefusedError,
    PredictionError,
    SignatureError,
    SignatureTypeError,
    SparksigError,
    TableNotFoundError,
    UnsupportedError,
    name_type,
    quote,
    suggest,
    suggest_path,
)
from tests.cases import describe_case
from tests.core.helpers import copies
from tests.strategies import names

TREE = {
    SparksigError: {Exception},
    SignatureError: {SparksigError, ValueError},
    SignatureTypeError: {SignatureError, TypeError},
    ConversionError: {SparksigError, TypeError},
    InferenceError: {SparksigError, ValueError},
    ContractError: {SparksigError, ValueError},
    PredictionError: {ContractError},
    ModelError: {SparksigError},
    ModelNotFoundError: {ModelError, FileNotFoundError},
    ModelDamagedError: {ModelError},
    MissingSignatureError: {ModelError},
    ModelNotTrustedError: {ModelError},
    ConfigError: {SparksigError, ValueError},
    ConfigNotFoundError: {ConfigError, FileNotFoundError},
    TableNotFoundError: {SparksigError, FileNotFoundError},
    ModelFailedError: {SparksigError},
    ExecutionError: {SparksigError},
    BudgetExceededError: {SparksigError},
    OutputRefusedError: {SparksigError},
    MissingDependencyError: {SparksigError, ImportError},
    UnsupportedError: {SparksigError, NotImplementedError},
}
FINDINGS = (
    Finding(Code.TYPE_MISMATCH, "orders[].price", "double", "string", "cast it explicitly"),
    Finding(Code.NULL_IN_REQUIRED, "n", "no nulls", "nulls", "declare it optional", 3, (0, 7, 9)),
)


@pytest.mark.parametrize(("error", "bases"), TREE.items(), ids=lambda v: getattr(v, "__name__", ""))
def test_tree(error, bases):
    assert set(error.__bases__) == bases


def test_the_tree_drawn_on_top_is_the_tree():
    drawn = dict(re.findall(r"^ ?[│ ├└─]*(\w+Error)(?: \((\w+)\))?", errors.__doc__, re.MULTILINE))
    built_in = {
        error.__name__: next((b.__name__ for b in bases if hasattr(builtins, b.__name__)), "")
        for error, bases in TREE.items()
    }
    assert drawn == built_in | {"SparksigError": ""}


def test_the_tree_has_all_errors():
    raised = {
        e.__name__
        for e in vars(errors).values()
        if isinstance(e, type) and issubclass(e, Exception) and not issubclass(e, Warning)
    }
    assert raised == {error.__name__ for error in TREE}


@pytest.mark.parametrize("error", TREE, ids=lambda e: e.__name__)
def test_an_error_says_its_message_and_each_finding_in_a_line(error):
    raised = error("the message", FINDINGS)
    assert raised.message == "the message"
    assert raised.findings == FINDINGS
    assert str(raised).split("\n") == ["the message", *(f"  - {finding}" for finding in FINDINGS)]
    assert str(error("only words")) == "only words"
    assert error("only words").findings == ()


@pytest.mark.parametrize("error", TREE, ids=lambda e: e.__name__)
def test_errors_survive_the_way_back_from_an_executor(error):
    original = error("the message", FINDINGS)
    copied = [(type(copy), copy.findings, str(copy)) for copy in copies(original)]
    assert copied
    assert set(copied) == {(error, FINDINGS, str(original))}


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ([], "bad data: 0 findings"),
        (FINDINGS[:1], "bad data: 1 finding"),
        (FINDINGS, "bad data: 2 findings"),
    ],
    ids=["none", "one", "two"],
)
def test_of_counts_the_findings(findings, text):
    error = ContractError.of("bad data", iter(findings))
    assert type(error) is ContractError
    assert error.message == text
    assert error.findings == tuple(findings)


def test_a_missing_dependency_names_the_command():
    error = MissingDependencyError.naming("skops", "reading a skops file", "sklearn")
    assert str(error) == "reading a skops file needs the package 'skops': pip install 'sparksig[sklearn]'"


def test_codes_are_their_names():
    assert all(code.value == code.name == str(code) == f"{code}" for code in Code)
    assert Code("EMPTY") is Code.EMPTY
    assert Code.EMPTY == "EMPTY"


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding(Code.EMPTY, ""), " [EMPTY]"),
        (Finding(Code.EMPTY, "a", "rows"), "a: expected rows [EMPTY]"),
        (Finding(Code.EMPTY, "a", actual="nothing"), "a: got nothing [EMPTY]"),
        (Finding(Code.EMPTY, "", "rows", "nothing"), "expected rows, got nothing [EMPTY]"),
        (Finding(Code.EMPTY, "a", "rows", hint="add one"), "a: expected rows (add one) [EMPTY]"),
        (Finding(Code.OUT_OF_RANGE, "a", "32 bits", count=1), "a: expected 32 bits, once [OUT_OF_RANGE]"),
        (Finding(Code.OUT_OF_RANGE, "a", "32 bits", count=0), "a: expected 32 bits, 0 times [OUT_OF_RANGE]"),
        (
            Finding(Code.OUT_OF_RANGE, "a", "32 bits", "more", "cast", 2, (3,)),
            "a: expected 32 bits, got more, 2 times, first in row 3 (cast) [OUT_OF_RANGE]",
        ),
        (
            FINDINGS[1],
            "n: expected no nulls, got nulls, 3 times, first in rows 0, 7, 9 "
            "(declare it optional) [NULL_IN_REQUIRED]",
        ),
    ],
    ids=["bare", "expected", "found", "no-path", "hint", "once", "never", "one-row", "full"],
)
def test_the_text_of_a_finding(finding, text):
    assert str(finding) == text


def test_a_finding_as_json():
    assert Finding(Code.EMPTY, "").to_dict() == {"code": "EMPTY", "path": ""}
    assert Finding(Code.EMPTY, "a", count=0).to_dict() == {"code": "EMPTY", "path": "a", "count": 0}
    assert FINDINGS[1].to_dict() == {
        "code": "NULL_IN_REQUIRED",
        "path": "n",
        "expected": "no nulls",
        "actual": "nulls",
        "hint": "declare it optional",
        "count": 3,
        "rows": [0, 7, 9],
    }


def test_a_finding_is_a_value():
    assert len({FINDINGS[0], *copies(FINDINGS[0])}) == 1
    with pytest.raises(FrozenInstanceError):
        FINDINGS[0].path = "b"


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("x", "a", "a.x"),
        ("[]", "a", "a[]"),
        ("[3].x", "a", "a[3].x"),
        ("`x.y`", "a", "a.`x.y`"),
        ("", "a", "a"),
        ("x", "", "x"),
        ("", "", ""),
    ],
    ids=describe_case,
)
def test_below(path, prefix, expected):
    finding = Finding(Code.EMPTY, path, "e", "f", "h", 1, (2,))
    assert finding.below(prefix) == Finding(Code.EMPTY, expected, "e", "f", "h", 1, (2,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "None"),
        ("secret", "a value of type str"),
        (12345, "a value of type int"),
        (["secret"], "a value of type list"),
    ],
    ids=["none", "str", "int", "list"],
)
def test_kind_never_shows_the_value(value, message):
    assert name_type(value) == message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "a"),
        ("mean radius", "mean radius"),
        (0, "0"),
        ("größe", "größe"),
        ("", "``"),
        ("a.b", "`a.b`"),
        ("a[]", "`a[]`"),
        ("x`y", "`x``y`"),
        ("`", "````"),
        ("a\nb", "`a\\nb`"),
        ("a\tb\r", "`a\\tb\\r`"),
        ("größe.cm", "`größe.cm`"),
        ("日.本", "`日.本`"),
    ],
    ids=describe_case,
)
def test_step(name, expected):
    assert quote(name) == expected


@given(names)
def test_a_step_stays_in_its_line_and_never_looks_like_two(name):
    displayed = quote(name)
    assert displayed
    assert not set(displayed) & set("\n\r\t")
    plain = not displayed.startswith("`")
    assert (displayed == name) if plain else (displayed.endswith("`") and len(displayed) > 1)
    assert not plain or not set(displayed) & set(".[]`")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("data/ordres.parquet", ". Did you mean 'data/orders.parquet'?"),
        ("data/Orders.parquet/", ". Did you mean 'data/orders.parquet'?"),
        ("dta", ". Did you mean 'data'?"),
        ("data/orders.parquet", ""),
        ("data/invoices", ""),
        ("nowhere/orders.parquet", ""),
        ("s3://bucket/orders.parquet", ""),
        ("", ""),
    ],
    ids=["misspelled", "case", "in the working directory", "existing", "unlike", "no parent", "URI", "empty"],
)
def test_similar_paths_are_suggested(tmp_path, monkeypatch, path, hint):
    (tmp_path / "data" / "orders.parquet").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert suggest_path(path) == hint


@pytest.mark.parametrize(
    ("name", "known_names", "hint"),
    [
        ("amuont", ["amount", "id"], "did you mean 'amount'?"),
        ("amount", ["amount"], ""),
        ("AMOUNT", ["amount"], "did you mean 'amount'? Names are case sensitive"),
        ("zzz", ["amount", "id"], ""),
        ("a", [], ""),
        ("11", [11, 2], ""),
        (10, [100, "x"], "did you mean 100?"),
    ],
    ids=["typo", "same", "case", "nothing-alike", "nothing-known", "a-number-as-text", "numbers"],
)
def test_nearest(name, known_names, hint):
    assert suggest(name, known_names) == hint


@given(names, st.lists(names, max_size=4))
def test_nearest_offers_only_what_is_known(name, known_names):
    hint = suggest(name, known_names)
    assert hint == "" or any(f"did you mean {k!r}?" in hint for k in known_names)
