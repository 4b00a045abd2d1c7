"""Settings of all tests: quiet libraries, and the number of examples of property-based tests.

SPARKSIG_HYPOTHESIS names the profile. By default, 25 random examples are tried; "same" tries 25 that are
always the same, "ci" 200 of these, and "thorough" 500 random ones.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# each detection starts a process; tests/models/test_dependencies.py asks for it
os.environ.setdefault("SPARKSIG_DETECT_REQUIREMENTS", "false")

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("default", max_examples=25, **_COMMON)
settings.register_profile("same", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("ci", max_examples=200, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=500, **_COMMON)
settings.load_profile(os.environ.get("SPARKSIG_HYPOTHESIS", "default"))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Run each file of tests in one process, so that its fixtures are set up once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(HERE).as_posix()))


def pytest_collection_finish():
    """Keep imported modules out of garbage collection, which would inspect them again for each test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
