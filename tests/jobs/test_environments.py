"""Score jobs of models that run in an environment of their own, without Spark."""

from __future__ import annotations

import sys

import cloudpickle
import pytest

from sparksig.errors import (
    ModelDamagedError,
    ModelError,
    ModelFailedError,
    ModelNotTrustedError,
    UnsupportedError,
)
from sparksig.jobs import ScoreConfig, plan_score, score
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.models.seal import hash_file
from tests.scoring.helpers import of_numbers, read, save, write
from tests.spark.archives import write_archive

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def multiply(frame):
    from only_in_the_archive import FACTOR

    return frame["x"] * FACTOR


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """A function that returns the configuration of a job; its model needs a module of an archive."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    save(tmp_path, multiply)
    (tmp_path / "model" / "SHA256SUMS").unlink()  # the tests change the requirements
    write(tmp_path, of_numbers(4), of_numbers(2, 4))

    def build_config(**model):
        return ScoreConfig.model_validate(
            {
                "engine": "local",
                "model": {"path": str(tmp_path / "model"), "allow_pickle": True, **model},
                "input": {"path": str(tmp_path / "table")},
                "output": {"path": str(tmp_path / "scored"), "keep": ["id"]},
            }
        )

    return build_config


def test_a_job_runs_the_model_in_a_built_environment(configure, tmp_path):
    archive = write_archive(tmp_path / "env.tar.gz", {"only_in_the_archive.py": "FACTOR = 3.0"})
    pinned = f"{archive}@sha256:{hash_file(archive)}"
    config = configure(environment=pinned, on_version_mismatch="ignore")
    assert plan_score(config).findings == ()
    assert not (tmp_path / "scored").exists()
    report = score(config)
    assert (report.engine, report.rows_in, report.scored) == ("local", 6, 6)
    assert sorted(read(tmp_path)["prediction"].to_pylist()) == [0.0, 3.0, 6.0, 9.0, 12.0, 15.0]


@pytest.mark.parametrize("action", [plan_score, score], ids=["plan", "run"])
def test_a_built_environment_with_another_content_is_refused_before_the_run(configure, tmp_path, action):
    archive = write_archive(tmp_path / "env.tar.gz", {"only_in_the_archive.py": "FACTOR = 3.0"})
    digest = hash_file(archive)
    write_archive(archive, {"only_in_the_archive.py": "FACTOR = 4.0"})
    with pytest.raises(ModelDamagedError, match=f"the content differs: expected the digest {digest}, got"):
        action(configure(environment=f"{archive}@sha256:{digest}", on_version_mismatch="ignore"))
    assert not (tmp_path / "scored").exists()


def test_the_environment_of_the_worker_is_the_default(configure):
    with pytest.raises(ModelFailedError, match=r"ModuleNotFoundError: No module named 'only_in_the_archive'"):
        score(configure())


@pytest.mark.parametrize("action", [plan_score, score], ids=["plan", "run"])
@pytest.mark.parametrize(
    ("requirements", "python", "model", "error", "message"),
    [
        ("numpy==2.0.0", None, {"environment": "model"}, ModelNotTrustedError,
         r"model\.environment: model installs the packages of the model's requirements.* "
         r"set model\.allow_install: true, or pin it with model\.digest"),
        ("numpy==2.0.0", "3.99.1", {"environment": "model", "allow_install": True}, ModelError,
         r"the model needs Python 3\.99.*Install it on every worker, or use model\.environment: worker"),
        ("numpy @ https://example.com/numpy.whl", None, {"environment": "model", "allow_install": True},
         UnsupportedError, r"requirements\.txt"),
        ("evil.whl", None, {"environment": "model", "allow_install": True, "method": "predict"},
         UnsupportedError, r"'evil\.whl' is not a name with versions"),
        ("numpy==1.24.4", None, {"environment": "model", "allow_install": True}, UnsupportedError,
         r"needs numpy==1\.24\.4, and .* numpy 1\.26 or newer. Use model\.environment: worker, or"),
        ("numpy", "3.9.1", {"environment": "model", "allow_install": True}, UnsupportedError,
         r"needs Python 3\.9, and .* Python 3\.10 or newer. Use model\.environment: worker, or"),
        ("", None, {"environment": "missing.tar.gz"}, ModelError,
         r"^model\.environment: expected 'worker', 'model' or the path of an archive, got 'missing.tar.gz', "
         r"and no such file exists"),
    ],
    ids=["permission", "python", "url", "file", "old package", "old python", "archive"],
)  # fmt: skip
def test_an_environment_is_refused_before_the_run(
    configure, tmp_path, action, requirements, python, model, error, message
):
    (tmp_path / "model" / "requirements.txt").write_text(f"{requirements}\n")
    if python is not None:
        (tmp_path / "model" / "python_env.yaml").write_text(f"python: {python}\n")
    with pytest.raises(error, match=message):
        action(configure(**model))
    assert not (tmp_path / "scored").exists()
