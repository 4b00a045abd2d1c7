"""What all tests share: quiet libraries, and how many examples property-based tests try.

SPARKSIG_HYPOTHESIS names the profile: by default a quick one for developing; "ci" and "thorough" try more.
"""

from __future__ import annotations

import gc
import os

import hypothesis
from hypothesis import HealthCheck, settings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# each detection starts a process; tests/models/test_dependencies.py asks for it
os.environ.setdefault("SPARKSIG_DETECT_REQUIREMENTS", "false")

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("default", max_examples=10, **_COMMON)
# chance is for developing; (Hypothesis 6.100 takes assumptions for flaky where it is not given any)
_SAME = hypothesis.__version_info__[:2] > (6, 100)
settings.register_profile("ci", max_examples=50, derandomize=_SAME, **_COMMON)
settings.register_profile("thorough", max_examples=500, **_COMMON)
settings.load_profile(os.environ.get("SPARKSIG_HYPOTHESIS", "default"))


def pytest_collection_finish():
    """What has been imported stays: the collector need not look at it again for each test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
