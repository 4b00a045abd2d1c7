"""Starting Spark in the background, in an application of spark-submit."""

from __future__ import annotations

import pytest

from sparksig.spark.session import build_session, start_context

pytestmark = pytest.mark.spark


def test_the_context_that_starts_in_the_background_is_the_one_of_the_session(spark, monkeypatch):
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    thread = start_context({"spark.sql.session.timeZone": "UTC"})
    assert thread is not None
    thread.join()
    assert build_session("test", {}).sparkContext is spark.sparkContext


@pytest.mark.parametrize(
    ("variables", "conf"),
    [
        pytest.param({}, {}, id="without spark-submit"),
        pytest.param({"PYSPARK_GATEWAY_PORT": "1", "SPARK_REMOTE": "local"}, {}, id="Spark Connect"),
        pytest.param({"PYSPARK_GATEWAY_PORT": "1"}, {"spark.api.mode": "connect"}, id="the mode Connect"),
    ],
)
def test_nothing_starts_in_the_background(monkeypatch, variables, conf):
    for name in ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_API_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert start_context(conf) is None
