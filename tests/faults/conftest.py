"""Faults are tested with the development environment's Spark, beside the other tests of Spark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spark import score_jobs
from tests.spark.conftest import delta, spark

__all__ = ["delta", "model", "spark"]

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            for mark in (pytest.mark.fault, pytest.mark.spark, pytest.mark.once):
                item.add_marker(mark)
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group("faults"))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A model that halves x, and refuses 13."""
    return score_jobs.save_model(tmp_path_factory.mktemp("model") / "m")
