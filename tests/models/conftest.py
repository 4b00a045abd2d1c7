"""A saved model of each format."""

from __future__ import annotations

import pytest

import sparksig
from tests.models import helpers


@pytest.fixture
def pickled(tmp_path):
    """A PythonModel's directory, written here."""
    sparksig.save_model(tmp_path / "pickled", helpers.Doubled(), helpers.SIGNATURE)
    return tmp_path / "pickled"


@pytest.fixture
def skopsed(tmp_path):
    """A LinearRegression's directory, written here: it loads without any leave."""
    sparksig.save_model(tmp_path / "skopsed", helpers.linear())
    return tmp_path / "skopsed"
