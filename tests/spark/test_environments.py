"""Models that run in an environment of their own: refusals before a task starts, and score jobs."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest

import sparksig
from sparksig.errors import ModelError
from sparksig.jobs import plan_score, score
from sparksig.models.node_cache import CACHE_VARIABLE
from tests.models.older import CACHE, train_older_models
from tests.spark import models
from tests.spark.archives import write_archive
from tests.spark.score_jobs import config_of, read, save_model, table

ENGINES = ["spark", "direct", "local"]

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def multiply(data, params):
    from only_in_the_archive import FACTOR

    return data["x"] * FACTOR


@pytest.fixture
def set_cache(spark, monkeypatch):
    """A function that sets the cache of environments, of this process and of the workers."""

    def set_variable(path):
        monkeypatch.setenv(CACHE_VARIABLE, str(path))
        monkeypatch.setitem(spark.sparkContext.environment, CACHE_VARIABLE, str(path))

    return set_variable


def test_a_missing_python_is_reported_before_any_task_starts(spark, tmp_path, jobs_started):
    model = save_model(tmp_path / "model")
    (tmp_path / "model" / "SHA256SUMS").unlink()
    (tmp_path / "model" / "requirements.txt").write_text("numpy==2.0.0\n")
    (tmp_path / "model" / "python_env.yaml").write_text("python: 3.99.1\n")
    options = {"allow_pickle": True, "environment": "model", "allow_install": True}
    with pytest.raises(ModelError, match=r"needs Python 3\.99, and this machine has no python3\.99"):
        sparksig.spark_udf(spark, model, **options)
    with pytest.raises(ModelError, match=r"needs Python 3\.99"):
        sparksig.score(spark.range(3).toDF("x"), model, **options)
    assert jobs_started() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_runs_the_model_in_a_built_environment(spark, tmp_path, set_cache, engine):
    set_cache(tmp_path / "cache")
    model = save_model(tmp_path / "model", models.Returning(multiply))
    table(tmp_path / "in", [*range(12)])
    archive = write_archive(tmp_path / "env.tar.gz", {"only_in_the_archive.py": "FACTOR = 3.0"})
    config = config_of(
        model, tmp_path, engine=engine, model={"environment": str(archive), "on_version_mismatch": "ignore"}
    )
    assert plan_score(config).findings == ()
    report = score(config)
    assert (report.engine, report.rows_in, report.scored) == (engine, 12, 12)
    assert read(tmp_path / "out")["prediction"].tolist() == [3.0 * number for number in range(12)]


@pytest.mark.once
@pytest.mark.parametrize("engine", ["spark", "direct"])
def test_a_job_installs_the_environment_of_an_older_model(spark, tmp_path, set_cache, older, engine):
    set_cache(CACHE)
    section = {"path": str(older / "reporting"), "environment": "model", "allow_install": True}
    source = {"path": str(older / "rows.parquet")}
    output = {"keep": ["a"]}
    report = score(config_of("", tmp_path, engine=engine, model=section, input=source, output=output))
    assert (report.engine, report.scored) == (engine, 300)
    scored = pd.read_parquet(tmp_path / "out")
    expected = pd.read_parquet(older / "rows.parquet").assign(y=np.load(older / "expected.npy"))
    predictions = pd.DataFrame(list(scored["prediction"])).assign(a=scored["a"])
    assert predictions.merge(expected[["a", "y"]], on=["a", "y"]).shape[0] == 300
    assert predictions.groupby("parent")["process"].nunique().unique().tolist() == [1]


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A folder with models that were trained with older packages."""
    return train_older_models(tmp_path_factory.mktemp("older")).folder
