"""Reports as text, JSON and HTML: everything is shown, and nothing becomes markup. No Spark."""

from __future__ import annotations

import html
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import sparksig
from sparksig import (
    Array,
    Code,
    ColSpec,
    ContractError,
    Finding,
    MissingDependencyError,
    ParamSchema,
    ParamSpec,
    Report,
    Schema,
    TensorSpec,
)
from sparksig.tables.report import ColumnReport

SCRIPT = "<script>alert(1)</script>"

GOOD = Report(
    "schema",
    "signature, inputs",
    (),
    (ColumnReport("x", "double", "double", True), ColumnReport("mean radius", "long (optional)", "", True)),
)

FINDINGS = (
    Finding(Code.NULL_IN_REQUIRED, "id", "long without nulls", "nulls", "declare it optional, or double", 2),
    Finding(Code.MISSING_COLUMN, "name", "string", "no such column"),
    Finding(Code.COLUMN_COUNT, "", "2 columns", "3 columns"),
)

BAD = Report(
    "full",
    "DDL",
    FINDINGS,
    (
        ColumnReport("id", "long", "bigint", False, 2),
        ColumnReport("name", "string", "", False),
        ColumnReport("a.b", "double (optional)", "double", True, 1),
        ColumnReport("x", "double", "double", True, 0),
    ),
    rows=12_345,
    bad_rows=2,
    examples={0: ("id=3", "id=9")},
    seconds=0.12345,
)

SAMPLED = Report(
    "sample",
    "schema",
    (),
    (
        ColumnReport("x", "double", "double", True, 0, (("1 to 2", 3), ("2 to 3", 1_000), ("3 to 4", 0))),
        ColumnReport("flag", "boolean", "boolean", True, 4, (("false", 0), ("true", 0))),
    ),
    rows=1003,
    bad_rows=0,
    claim="none of 1,003 rows, chosen uniformly, breaks the contract",
)


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text between them."""

    VOID = ("meta", "link", "br")

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.open = [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and data.strip():
            self.texts.append(data.strip())

    @property
    def text(self):
        return "\n".join(self.texts)


def page_of(report, path):
    report.to_html(path)
    source = path.read_text(encoding="utf-8")
    return source, Page(source)


# --- text -------------------------------------------------------------------------------------------------


def test_a_report_without_findings_as_text():
    assert str(GOOD) == (
        "the table fits the contract (signature, inputs): schema checked\n"
        "  x            double           double  ok\n"
        "  mean radius  long (optional)  -       ok"
    )
    assert GOOD.ok


def test_a_report_with_findings_is_aligned_and_says_all():
    assert str(BAD) == (
        "the table breaks the contract (DDL): 12,345 rows checked, 2 rows break it\n"
        "  id     long               bigint  2 nulls (< 0.1 %)  fails\n"
        "  name   string             -                          fails\n"
        "  `a.b`  double (optional)  double  1 null (< 0.1 %)   ok\n"
        "  x      double             double  no nulls           ok\n"
        "- id: expected long without nulls, got nulls, 2 times (declare it optional, or double) "
        "[NULL_IN_REQUIRED] e.g. id=3, id=9\n"
        "- name: expected string, got no such column [MISSING_COLUMN]\n"
        "- expected 2 columns, got 3 columns [COLUMN_COUNT]"
    )
    assert not BAD.ok


def test_a_samples_claim_is_the_last_line():
    lines = str(SAMPLED).splitlines()
    assert lines[0] == "the table fits the contract (schema): 1,003 rows checked"
    assert lines[-1] == SAMPLED.claim


@pytest.mark.parametrize(
    ("nulls", "rows", "message"),
    [
        (0, 10, "no nulls"),
        (0, 0, "no nulls"),
        (5, 10, "5 nulls (50.0 %)"),
        (10, 10, "10 nulls (100.0 %)"),
        (1, 2000, "1 null (0.1 %)"),
        (1, 2001, "1 null (< 0.1 %)"),
        (1234, None, "1,234 nulls"),
    ],
)
def test_shares_of_nulls(nulls, rows, message):
    report = Report("full", "c", (), (ColumnReport("x", "long", "bigint", True, nulls),), rows)
    assert str(report).splitlines()[1] == f"  x  long  bigint  {message}  ok"


def test_a_name_of_several_lines_stays_in_its_line():
    report = Report("schema", "c", (), (ColumnReport("a\nb\x1b[31m", "long", "bigint", True),))
    assert str(report).splitlines()[1:] == [r"  `a\nb\x1b[31m`  long  bigint  ok"]


def test_a_report_without_columns():
    assert str(Report("schema", "c", (), ())) == "the table fits the contract (c): schema checked"


# --- JSON -------------------------------------------------------------------------------------------------


def test_a_report_as_a_dictionary():
    actual = BAD.to_dict()
    assert list(actual) == [
        "ok", "mode", "contract", "table", "kind", "options", "rows", "bad_rows", "claim", "seconds",
        "findings", "warnings", "absent", "columns",
    ]  # fmt: skip
    assert actual["findings"] == [
        {
            "code": "NULL_IN_REQUIRED",
            "path": "id",
            "expected": "long without nulls",
            "actual": "nulls",
            "hint": "declare it optional, or double",
            "count": 2,
            "examples": ["id=3", "id=9"],
        },
        {"code": "MISSING_COLUMN", "path": "name", "expected": "string", "actual": "no such column"},
        {"code": "COLUMN_COUNT", "path": "", "expected": "2 columns", "actual": "3 columns"},
    ]
    assert actual["columns"][0] == {
        "name": "id", "expected": "long", "actual": "bigint", "ok": False, "nulls": 2, "values": [],
    }  # fmt: skip
    assert (actual["ok"], actual["mode"], actual["rows"], actual["bad_rows"]) == (False, "full", 12_345, 2)
    assert actual["seconds"] == 0.123


@pytest.mark.parametrize("report", [GOOD, BAD, SAMPLED])
def test_json_is_the_dictionary_and_nothing_else(report):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(report.to_json(), parse_constant=refuse) == report.to_dict()
    assert json.loads(report.to_json())["columns"] == report.to_dict()["columns"]


def test_nan_never_reaches_json():
    report = Report("schema", "c", (), (), seconds=float("nan"))
    with pytest.raises(ValueError, match=r"Out of range float values are not JSON compliant"):
        report.to_json()


def test_a_dictionary_is_the_callers_own():
    first = BAD.to_dict()
    first["findings"][0]["examples"].append("more")
    first["columns"].clear()
    assert BAD.to_dict()["findings"][0]["examples"] == ["id=3", "id=9"]
    assert len(BAD.to_dict()["columns"]) == 4


# --- errors -----------------------------------------------------------------------------------------------


def test_raise_if_failed_has_all_findings():
    assert GOOD.raise_if_failed() is None
    with pytest.raises(ContractError, match=r"^the table breaks the contract \(DDL\): 3 findings\n") as info:
        BAD.raise_if_failed()
    assert info.value.findings == FINDINGS


# --- HTML -------------------------------------------------------------------------------------------------


def hostile():
    finding = Finding(Code.INVALID_VALUE, SCRIPT + "1", SCRIPT + "2", SCRIPT + "3", SCRIPT + "4", 1)
    ranges = ((SCRIPT + "5", 2), ('"><img src=x onerror=alert(1)>', 1))
    column = ColumnReport(SCRIPT, SCRIPT + "6", SCRIPT + "7", False, 1, ranges)
    return Report("sample", SCRIPT + "8", (finding,), (column,), 1, 1, SCRIPT + "9", {0: (SCRIPT + "10",)})


@pytest.mark.parametrize(
    "render",
    [lambda report, path: report._repr_html_(), lambda report, path: page_of(report, path)[0]],
    ids=["notebook", "file"],
)
def test_everything_is_escaped(tmp_path, render):
    source = render(hostile(), tmp_path / "r.html")
    page = Page(source)
    assert "<script" not in source.lower()
    assert "<img" not in source.lower()
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    for number in ("", *map(str, range(1, 9)), "10"):
        assert re.search(re.escape(SCRIPT + number) + r"(?!\d)", page.text), number
    assert "<SCRIPT>alert(1)</script>9." in page.text or "<script>alert(1)</script>9." in page.text


@pytest.mark.parametrize("report", [GOOD, BAD, SAMPLED], ids=["good", "bad", "sampled"])
def test_a_page_needs_nothing_else(report, tmp_path):
    source, page = page_of(report, tmp_path / "r.html")
    assert source.startswith("<!doctype html>")
    assert "http" not in source
    assert "@import" not in source
    assert "url(" not in source
    assert "//" not in source
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "img", "iframe", "object", "embed", "form"} & set(tags)
    references = [
        value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "href", "action")
    ]
    assert references == ["data:,"]
    assert tags.count("html") == tags.count("head") == tags.count("body") == 1
    viewport = [attrs for tag, attrs in page.tags if tag == "meta" and attrs.get("name") == "viewport"]
    assert viewport == [{"name": "viewport", "content": "width=device-width, initial-scale=1"}]
    assert "@media print" in source


@pytest.mark.parametrize(
    "render",
    [lambda report, path: Page(report._repr_html_()), lambda report, path: page_of(report, path)[1]],
    ids=["notebook", "file"],
)
@pytest.mark.parametrize("report", [GOOD, BAD, SAMPLED], ids=["good", "bad", "sampled"])
def test_every_finding_and_column_is_shown(report, render, tmp_path):
    page = render(report, tmp_path / "r.html")
    texts = [report.contract, "fits the contract" if report.ok else "breaks the contract"]
    for finding in report.findings:
        path = finding.path or "(the entire table)"
        texts += [path, finding.expected, finding.actual, finding.hint, finding.code.value]
    for column in report.columns:
        texts += [column.name, column.expected, column.actual or "no such column"]
    assert [text for text in texts if text not in page.text] == []
    rows = [tag for tag, _ in page.tags if tag == "tr"]
    assert len(rows) == 1 + len(report.columns) + (1 + len(report.findings) if report.findings else 0)


def test_what_was_counted_is_shown(tmp_path):
    _, page = page_of(BAD, tmp_path / "r.html")
    assert "All rows were checked." in page.text
    texts = page.text.split("\n")
    assert texts[texts.index("12,345") + 1] == "rows checked"
    assert texts[texts.index("2") + 1] == "rows break the contract (< 0.1 %)"
    assert {"3 findings", "id=3", "id=9", "2 nulls (< 0.1 %)", "no nulls"} <= set(page.texts)
    assert "no rows were read" in page_of(GOOD, tmp_path / "g.html")[1].text


def test_a_samples_claim_and_its_values_are_shown(tmp_path):
    source, page = page_of(SAMPLED, tmp_path / "r.html")
    assert "None of 1,003 rows, chosen uniformly, breaks the contract." in page.texts
    bars = [attrs for tag, attrs in page.tags if tag == "rect"]
    assert len(bars) == 5
    assert [float(bar["height"]) for bar in bars] == [1.0, 30.0, 0.0, 0.0, 0.0]
    assert [float(bar["x"]) for bar in bars[:3]] == [0.0, 40.0, 80.0]
    assert "2 to 3: 1,000" in page.texts
    assert "nan" not in re.findall(r"[a-z]+", source.lower())


def test_a_notebook_gets_a_part_of_a_page():
    source = BAD._repr_html_()
    assert source.lstrip().startswith('<div class="sparksig">')
    assert "<html" not in source
    assert "<body" not in source
    assert "http" not in source


def test_the_page_is_utf8(tmp_path):
    report = Report("schema", "日本", (), (ColumnReport("ä", "long", "bigint", True),))
    source, page = page_of(report, tmp_path / "r.html")
    assert 'charset="utf-8"' in source
    assert "日本" in page.text
    assert "ä" in page.texts


def test_a_report_needs_jinja2_for_html_alone(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    text = r"^a report as HTML needs the package 'jinja2': pip install 'sparksig\[report\]'$"
    with pytest.raises(MissingDependencyError, match=text):
        GOOD.to_html(tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
    assert str(GOOD)
    assert GOOD.to_json()


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        GOOD.to_html(tmp_path / "absent" / "r.html")


def test_a_signature_is_a_page(tmp_path):
    signature = sparksig.ModelSignature(
        Schema([ColSpec("double", "<b>x</b>"), ColSpec(Array("string"), "tags", False)]),
        Schema([TensorSpec(np.dtype("float64"), (-1, 3))]),
        ParamSchema([ParamSpec("stop", "string", ["<i>"], (-1,)), ParamSpec("t", "double", 0.5)]),
    )
    signature.to_html(tmp_path / "s.html")
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    displayed = html.unescape(page)
    for text in (
        "<b>x</b>",
        "Array(string)",
        "tensor of float64, shape (-1, 3)",
        "stop",
        "0.5",
        "optional",
        "(tensor)",
    ):
        assert text in displayed
    assert "<b>x" not in page
    assert "<i>" not in page
    assert "http" not in page
    assert signature._repr_html_() in page
