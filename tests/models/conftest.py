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


@pytest.fixture
def model(tmp_path):
    """The directory of a function, without a seal."""
    sparksig.save_model(tmp_path / "model", lambda frame: frame["x"] * 2, input_example={"x": 1.0})
    (tmp_path / "model" / "SHA256SUMS").unlink()
    return tmp_path / "model"
