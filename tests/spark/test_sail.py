"""Sail, a server of Spark Connect without a JVM: scoring, checks and writes, and the gaps of the server."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark import everywhere, sail

pytestmark = [
    pytest.mark.once,
    pytest.mark.xdist_group("applications"),
    pytest.mark.skipif(importlib.util.find_spec("pysail") is None, reason="pysail is not installed"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sail")
    environment = {
        **os.environ,
        "SPARKSIG_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "tests.spark.sail", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", sail.CHECKS)
def test_on_sail(results, name):
    assert results[name] == sail.EXPECTED[name]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return everywhere.run("sail", tmp_path_factory.mktemp("everywhere"))


@pytest.mark.parametrize("name", everywhere.CHECKS)
def test_on_sail_as_everywhere(everything, name):
    everywhere.compare(name, "sail", everything)
