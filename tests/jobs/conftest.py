"""What the tests of jobs share; none of them needs Java."""

from __future__ import annotations

import pytest

from tests.jobs.helpers import Loader


@pytest.fixture
def loader(tmp_path):
    return Loader(tmp_path)
