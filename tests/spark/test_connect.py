"""Spark Connect, in a separate application: a process has either a classic or a Connect session."""

from __future__ import annotations

import importlib.util

import pytest

from tests.spark import everywhere

pytestmark = [
    pytest.mark.xdist_group("applications"),
    pytest.mark.skipif(
        importlib.util.find_spec("grpc") is None, reason="pyspark is installed without its extra connect"
    ),
]


@pytest.fixture(scope="module")
def connect(tmp_path_factory):
    return everywhere.run("connect", tmp_path_factory.mktemp("connect"))


@pytest.mark.parametrize("name", everywhere.CHECKS)
def test_on_spark_connect(connect, name):
    everywhere.compare(name, "connect", connect)
