"""The page of a report, in a real browser: no errors, every finding shown, on a phone and in print."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from sparksig import Code, Finding, Report
from sparksig.tables.report import ColumnReport
from tests.picture import PICTURE, take_picture, write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]

REPORT = Report(
    "sample",
    "model <script>alert(1)</script>, inputs",
    (
        Finding(Code.NULL_IN_REQUIRED, "id", "long without nulls", "nulls", "declare it optional", 12),
        Finding(Code.TYPE_MISMATCH, "orders[].price", "double", "string", "cast it explicitly"),
        Finding(Code.MISSING_COLUMN, "`a.b<c>`", "string", "no such column"),
    ),
    (
        ColumnReport("id", "long", "bigint", False, 12, (("0 to 5", 3), ("5 to 10", 0), ("10 to 15", 7))),
        ColumnReport("orders", "Array({price: double (required)})", "array<struct<price:string>>", False, 0),
        ColumnReport("a.b<c>", "string", "", False),
        ColumnReport("x" * 120, "double (optional)", "double", True, 1, (("-1e+300", 8),)),
        ColumnReport("leer\u00e9 \u540d", "boolean", "boolean", True, 0, (("false", 0), ("true", 0))),
    ),
    rows=100,
    bad_rows=12,
    claim="12 of 100 rows, chosen uniformly, break the contract",
    examples={0: ("id='<b>7</b>'",)},
)


def browse(page, *options):
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
        "--virtual-time-budget=2000", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    REPORT.to_html(path)
    return path


def test_a_browser_shows_every_finding_and_logs_no_error(page):
    done = browse(page, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    displayed = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", done.stdout, flags=re.DOTALL))
    for finding in REPORT.findings:
        for text in (finding.path, finding.expected, finding.actual, finding.hint, finding.code.value):
            assert text in displayed
    for column in REPORT.columns:
        assert column.name in displayed
        assert column.expected in displayed
    assert REPORT.contract in displayed
    assert "id='<b>7</b>'" in displayed
    assert done.stdout.count("<rect") == 6
    assert "<script" not in done.stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_the_page(page, tmp_path, width, scheme):
    picture = tmp_path / "page.png"
    options = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    browse(page, f"--screenshot={picture}", f"--window-size={width},900", *options)
    assert picture.stat().st_size > 10_000


MEASURE = """
<script>
const scrolled = [...document.querySelectorAll(".wide")].map(box => {
  box.scrollLeft = 40;
  const bar = box.offsetHeight - box.clientHeight;
  return {content: box.scrollWidth, box: box.clientWidth, bar: bar, left: box.scrollLeft};
});
const page = document.documentElement;
parent.postMessage(JSON.stringify({page: page.scrollWidth, window: innerWidth, tables: scrolled}), "*");
</script>
"""
FRAME = """
<script>onmessage = event => { document.title = event.data; };</script>
<iframe src="measured.html" width="%d" height="800" frameborder="0"></iframe>
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_wide_tables_scroll_inside_a_page_that_does_not(page, tmp_path, width):
    (tmp_path / "measured.html").write_text(page.read_text("utf-8") + MEASURE, "utf-8")
    outer = tmp_path / "frame.html"  # windows of Chromium are at least 500 pixels wide, frames are not
    outer.write_text(FRAME % width, "utf-8")
    title = re.search("<title>(.*?)</title>", browse(outer, "--dump-dom", "--window-size=1400,900").stdout)
    measured = json.loads(html.unescape(title[1]))
    assert measured["page"] <= measured["window"] == width
    assert len(measured["tables"]) >= 1
    scrolling = [table for table in measured["tables"] if table["content"] > table["box"]]
    assert len(scrolling) >= (width == 390)
    assert all(table["bar"] >= 8 and table["left"] > 0 for table in scrolling)  # a bar of 8 pixels is visible


def test_the_page_prints(page, tmp_path):
    document = tmp_path / "page.pdf"
    browse(page, f"--print-to-pdf={document}")
    assert document.read_bytes().startswith(b"%PDF")


def test_picture_of_the_readme_is_taken_from_a_page(tmp_path):
    take_picture(write_report(tmp_path), tmp_path / "report.png")
    for picture in (PICTURE, tmp_path / "report.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert 10_000 < picture.stat().st_size < 150_000
