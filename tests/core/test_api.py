"""The API reference is current, and lists every public name once."""

from __future__ import annotations

import re

import pytest

import sparksig
from tests.api import PAGE, write_page

pytest.importorskip("pyspark")


def test_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == write_page(), "python -m tests.api writes the page"


def test_page_lists_every_public_name_once():
    names = re.findall(r"^\| `(\w+)[`(]", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(names) == sorted(sparksig.__all__)
