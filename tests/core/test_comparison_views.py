"""A comparison as text, JSON, an error, and a page."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re

import pytest

from sparksig.comparison import Comparison, SideComparison, Verdict, compare
from sparksig.errors import ContractError
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import Object, Property

OLD = ModelSignature(
    Schema([ColSpec("integer", "id"), ColSpec("double", "price"), ColSpec("string", "note", False)]),
    Schema([ColSpec("double")]),
    ParamSchema([ParamSpec("t", "double", 0.5)]),
)
NEW = ModelSignature(
    Schema([ColSpec("long", "id"), ColSpec("float", "price"), ColSpec("string", "a.b")]),
    Schema([ColSpec("float")]),
    ParamSchema([ParamSpec("t", "double", 0.7)]),
)
TEXT = """\
new against old: incompatible
  inputs   incompatible
  outputs  backward compatible
  params   fully compatible
new cannot replace old:
- inputs.price: expected float, got double (it would be narrowed: cast it explicitly, or declare it \
double) [TYPE_MISMATCH]
- inputs.`a.b`: expected string, got no such column [MISSING_COLUMN]
old cannot replace new:
- inputs.id: expected integer, got long (it would be narrowed: cast it explicitly, or declare it \
long) [TYPE_MISMATCH]
- outputs.0: expected float, got double (it would be narrowed: cast it explicitly, or declare it \
double) [TYPE_MISMATCH]
other differences:
- inputs.id: integer -> long
- inputs.note: only in old: dropped, like every extra column
- outputs.0: double -> float
- params.t: its default: 0.5 -> 0.7"""


def test_as_text():
    assert str(compare(OLD, NEW)) == TEXT
    assert str(compare(OLD, OLD)) == (
        "new against old: identical\n  inputs   identical\n  outputs  identical\n  params   identical"
    )


def test_as_json():
    data = json.loads(compare(OLD, NEW).to_json())
    assert data == compare(OLD, NEW).to_dict()
    assert list(data) == ["ok", "verdict", "inputs", "outputs", "params"]
    assert (data["ok"], data["verdict"]) == (False, "incompatible")
    assert data["outputs"]["verdict"] == "backward compatible"
    assert data["params"] == {
        "verdict": "fully compatible",
        "declared": True,
        "upgrade": [],
        "rollback": [],
        "notes": [{"path": "t", "text": "its default: 0.5 -> 0.7"}],
    }
    assert data["inputs"]["upgrade"][1] == {
        "code": "MISSING_COLUMN",
        "path": "`a.b`",
        "expected": "string",
        "actual": "no such column",
    }


def test_raise_if_failed_has_every_reason():
    assert compare(OLD, OLD).raise_if_failed() is None
    with pytest.raises(ContractError, match=r"^new cannot replace old: 2 findings\n") as info:
        compare(OLD, NEW).raise_if_failed()
    assert [finding.path for finding in info.value.findings] == ["inputs.price", "inputs.`a.b`"]
    with pytest.raises(ContractError) as info:
        compare(Schema([ColSpec("long")]), Schema([ColSpec("long", "a")])).raise_if_failed()
    assert [finding.path for finding in info.value.findings] == ["inputs"]


def test_a_comparison_does_not_change_and_is_its_copies():
    first = compare(OLD, NEW)
    assert first == compare(OLD, NEW)
    assert hash(first) == hash(compare(OLD, NEW))
    assert pickle.loads(pickle.dumps(first)) == copy.deepcopy(first) == first
    assert first != compare(NEW, OLD)
    with pytest.raises(AttributeError):
        first.inputs = SideComparison()
    assert Comparison().verdict is Verdict.IDENTICAL


def test_verdicts_are_equal_to_their_texts():
    assert [str(value) for value in Verdict] == [
        "identical", "fully compatible", "backward compatible", "forward compatible", "incompatible",
    ]  # fmt: skip
    assert Verdict("identical") == "identical"
    assert f"{Verdict.FULL}" == "fully compatible"


SCRIPT = "<script>alert(1)</script>"


def text_of(page):
    """Return the text that a browser shows."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]))


def test_as_a_page(tmp_path):
    record = Object([Property(SCRIPT, "long")])
    old = Schema([ColSpec("double", SCRIPT), ColSpec(record, "x")])
    new = Schema([ColSpec("float", SCRIPT), ColSpec("long", "x")])
    comparison = compare(old, new)
    comparison.to_html(tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    for source in (page, comparison._repr_html_()):
        assert "<script" not in source.lower()
        assert "//" not in source
        for finding in (*comparison.combined.upgrade, *comparison.combined.rollback):
            assert all(
                part in text_of(source)
                for part in (finding.path, finding.expected, finding.actual, finding.hint)
            )
        assert "not declared" in text_of(source)
    assert "its default: 0.5 -> 0.7" in text_of(compare(OLD, NEW)._repr_html_())
    assert compare(OLD, NEW)._repr_html_().count("<h2") == 3
    assert compare(OLD, OLD)._repr_html_().count("<h2") == 0
