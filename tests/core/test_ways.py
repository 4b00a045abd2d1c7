"""The page for contributors names modules, functions and classes that exist."""

from __future__ import annotations

import re
from pathlib import Path
from pydoc import locate

import pytest

PAGE = Path(__file__).parents[1] / "README.md"
NAMES = sorted(set(re.findall(r"`(sparksig(?:\.\w+)+)`", PAGE.read_text())))


def test_page_names_the_steps():
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", NAMES)
def test_name_exists(name):
    pytest.importorskip("pyspark")
    assert locate(name) is not None
