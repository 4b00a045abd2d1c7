"""Classic Spark in applications of their own: in one process, and with executors that are processes."""

from __future__ import annotations

import pytest

from tests.spark import everywhere

pytestmark = pytest.mark.xdist_group("applications")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return everywhere.run("local", tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    return everywhere.run("cluster", tmp_path_factory.mktemp("cluster"))


@pytest.mark.parametrize("name", everywhere.CHECKS)
def test_in_local_mode(local, name):
    everywhere.compare(name, "local", local)


@pytest.mark.parametrize("name", everywhere.CHECKS)
def test_on_executors_that_have_neither_the_model_nor_the_package(cluster, name):
    everywhere.compare(name, "cluster", cluster)
