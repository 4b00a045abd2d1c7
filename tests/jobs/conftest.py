"""Fixtures for the tests of jobs, which do not need Java."""

from __future__ import annotations

import pytest

from tests.jobs.helpers import Loader


@pytest.fixture
def loader(tmp_path):
    return Loader(tmp_path)
