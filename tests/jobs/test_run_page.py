"""The page of a run report, in a real browser: no errors, everything shown, on a phone and in print."""

from __future__ import annotations

import html
import re

import pytest

from sparksig.jobs import RunReport
from tests.core.test_report_page import BROWSER, browse
from tests.jobs.test_reports import CHECK, FINDING, WHOLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]

FAILED = RunReport(
    "check", "r", "failed", 3, "2026-01-31T12:00:00Z", 1.0, {"check": 0.5}, "<script>alert(1)</script>",
    CHECK.findings, check=CHECK,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "report"), {"whole": WHOLE, "failed": FAILED}.items(), ids=["whole", "failed"]
)
def test_a_browser_shows_everything_and_logs_no_error(tmp_path, name, report):
    report.to_html(tmp_path / f"{name}.html")
    done = browse(tmp_path / f"{name}.html", "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert "<script" not in done.stdout
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", done.stdout, flags=re.DOTALL))
    facts = [text for key, text in report.list_facts() if key not in ("status", "phases", "rejected")]
    for text in (*facts, report.error, FINDING.path, FINDING.hint, *report.phases):
        assert text in shown


def test_a_browser_draws_and_prints_the_page(tmp_path):
    WHOLE.to_html(tmp_path / "r.html")
    browse(tmp_path / "r.html", f"--screenshot={tmp_path / 'r.png'}", "--window-size=360,900")
    assert (tmp_path / "r.png").stat().st_size > 10_000
    browse(tmp_path / "r.html", f"--print-to-pdf={tmp_path / 'r.pdf'}")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
