"""The picture of a report in the README: ``python -m tests.picture`` takes it with Chromium."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

import sparksig

PICTURE = Path(__file__).parent / "report.png"
CONTRACT = "id bigint not null, price double not null, country char(2), placed timestamp"


def write_report(folder: Path) -> Path:
    """Check a table of orders, and write the report as a page."""
    ids = range(1, 5001)
    orders = pd.DataFrame(
        {
            "id": ids,
            "price": [None if i % 400 == 0 else i * 1.5 for i in ids],
            "country": ["DEU" if i % 1250 == 0 else "FR" for i in ids],
            "placed": pd.Timestamp("2026-01-31 12:30", tz="UTC"),
        }
    )
    table = folder / "orders.parquet"
    orders.astype({"placed": "datetime64[us, UTC]"}).to_parquet(table, index=False)
    report = sparksig.check(table, CONTRACT, mode="full", row_key="id")
    dataclasses.replace(report, table="/data/orders").to_html(folder / "report.html")
    return folder / "report.html"


def take_picture(page: Path, picture: Path) -> None:
    """Take a picture of a page as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser is not None, "Chromium is not installed"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,740"]
    subprocess.run([browser, *options, f"--screenshot={picture}", page.as_uri()], check=True, timeout=600)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take_picture(write_report(Path(folder)), PICTURE)
