"""Environments of models: requirements, permission to install, archives, and a real older scikit-learn."""

from __future__ import annotations

import io
import json
import sys
import sysconfig
import tarfile

import numpy as np
import pandas as pd
import pytest

import sparksig
from sparksig.cli import cli
from sparksig.errors import (
    ContractError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
)
from sparksig.models.archives import read_archive, unpack_environment
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import compare_environment, resolve_environment
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.models.seal import hash_file
from sparksig.models.trust import Trust
from sparksig.models.versions import VersionMismatchWarning
from tests.cli.runner import runner
from tests.differences import differs
from tests.models.helpers import PYTHON, with_requirements
from tests.models.older import CACHE, train_older_models


@pytest.fixture
def model(tmp_path):
    sparksig.save_model(tmp_path / "model", lambda frame: frame["x"] * 2, input_example={"x": 1.0})
    (tmp_path / "model" / "SHA256SUMS").unlink()
    return tmp_path / "model"


# --- permission and choices ---------------------------------------------------------------------------------


def test_installing_needs_permission(model):
    with pytest.raises(ModelNotTrustedError, match=r"installs the packages .* pass allow_install=True"):
        sparksig.load_model(model, environment="model", allow_pickle=True)


def test_pinned_digest_allows_pinned_requirements(model):
    directory = with_requirements(model, "pandas==2.2.0\n")
    trust = Trust(digest=sparksig.digest(model))
    assert resolve_environment(directory, "model", trust).requirements.is_pinned
    directory = with_requirements(model, "pandas>=2.2.0\n")
    with pytest.raises(ModelNotTrustedError, match="each requirement must name one exact version"):
        resolve_environment(directory, "model", Trust(digest=sparksig.digest(model)))


def test_python_that_is_not_there(model):
    directory = with_requirements(model, "pandas\n", "3.99.1")
    with pytest.raises(ModelError, match=r"needs Python 3\.99, and this machine has no python3\.99"):
        resolve_environment(directory, "model", Trust(), allow_install=True)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (
            {"environment": "modle"},
            "environment: expected 'worker', 'model' or the path of an archive, got 'modle'",
        ),
        ({"environment": 3}, "environment: expected 'worker', 'model' or a path, got a value of type int"),
        ({"environment": "model", "allow_install": "yes"}, "allow_install: expected True or False"),
    ],
    ids=["unknown", "number", "permission"],
)
def test_wrong_choices(model, options, pattern):
    with pytest.raises((ContractError, ModelError), match=pattern):
        sparksig.load_model(model, allow_pickle=True, **options)


def test_cache_that_others_can_write(model, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv(CACHE_VARIABLE, str(shared))
    with pytest.raises(ModelError, match=r"other users can write into .* Set SPARKSIG_CACHE"):
        sparksig.load_model(model, allow_pickle=True, environment="model", allow_install=True)


def test_packages_that_cannot_be_installed(model, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    directory = with_requirements(model, "a-package-that-does-not-exist==9\n")
    environment = resolve_environment(directory, "model", Trust(), allow_install=True)
    with pytest.raises(ModelError, match=r"(?s)cannot be built:.*a-package-that-does-not-exist"):
        environment.locate()
    assert not list((tmp_path / "cache").glob("environments/*/bin"))


# --- archives -----------------------------------------------------------------------------------------------


def test_file_that_is_no_environment(model, tmp_path):
    (tmp_path / "env.tar.gz").write_bytes(b"nothing")
    with pytest.raises(ModelDamagedError, match=r"is not an environment that `sparksig env build` has"):
        sparksig.load_model(model, allow_pickle=True, environment=tmp_path / "env.tar.gz")


@pytest.fixture
def archive_of(tmp_path):
    """A function that writes an archive with a description, and no packages."""

    def write(packages=None, python=PYTHON, platform=None, **files):
        info = {
            "python": python,
            "platform": platform or sysconfig.get_platform(),
            "requirements": [],
            "packages": packages or {},
        }
        file = tmp_path / "env.tar.gz"
        with tarfile.open(file, "w:gz") as archive:
            for name, content in {"environment.json": json.dumps(info).encode(), **files}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return file

    return write


def test_archive_that_leads_out_of_its_directory(archive_of, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    file = archive_of(**{"../outside": b"x"})
    with pytest.raises(tarfile.TarError):
        unpack_environment(file, hash_file(file))
    assert not list(tmp_path.rglob("outside"))
    with pytest.raises(ModelDamagedError, match="the content differs: expected the digest 00"):
        unpack_environment(file, "00")


def test_archive_with_another_content_than_its_pinned_digest(model, archive_of, monkeypatch):
    file = archive_of()
    directory = ModelDirectory.read(model)
    digest = hash_file(file)
    environment = resolve_environment(directory, f"{file}@sha256:{digest.upper()}", Trust())
    assert (environment.archive, environment.digest) == (str(file), digest)
    archive_of({"scipy": "1.13.1"})
    with pytest.raises(ModelDamagedError, match=f"the content differs: expected the digest {digest}, got"):
        sparksig.load_model(model, allow_pickle=True, environment=f"{file}@sha256:{digest}")


def test_archive_of_another_machine(model, archive_of, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    options = {"allow_pickle": True, "on_version_mismatch": "ignore"}
    with pytest.raises(ModelError, match=r"was built for plan9-386, and this machine is .* like the workers"):
        sparksig.load_model(model, environment=archive_of(platform="plan9-386"), **options)
    with pytest.raises(ModelError, match=r"needs Python 3\.99, and this machine has no python3\.99"):
        sparksig.load_model(model, environment=archive_of(python="3.99"), **options)


ENTRY_POINTS = {
    "load_model": sparksig.load_model,
    "score_files": lambda model, **options: sparksig.score_files(
        model / "rows", model, model / "out", **options
    ),
}


@pytest.mark.parametrize("entry_point", ENTRY_POINTS.values(), ids=ENTRY_POINTS)
def test_versions_of_an_archive_are_compared_with_those_of_the_model(model, archive_of, entry_point):
    with_requirements(
        model, "scikit-learn==1.5.0\nScipy==1.13.1\nnumpy==1.26.0\nsparksig==0.1.0\nmlflow==3\n"
    )
    archive = archive_of({"scikit_learn": "1.4.2", "SciPy": "1.13.1"})
    pattern = (
        rf"saved with other versions than are installed in {archive}: "
        r"scikit-learn 1\.5\.0 \(installed: 1\.4\.2\); numpy 1\.26\.0 \(installed: none\)\Z"
    )
    options = {"allow_pickle": True, "environment": archive}
    with pytest.raises(ModelError, match=pattern):
        entry_point(model, on_version_mismatch="fail", **options)
    with pytest.raises(VersionMismatchWarning, match=pattern):
        entry_point(model, **options)


def check_archive(model, archive, *options):
    arguments = ["env", "check", str(model), "--environment", str(archive), *options]
    return runner().invoke(cli, arguments, standalone_mode=False)


def test_check_of_an_archive_lists_the_differences_that_a_run_reports(model, archive_of):
    with_requirements(model, "cloudpickle==3.0.0\nscipy==1.13.1\nmlflow==3\n")
    archive = archive_of({"cloudpickle": "3.1.0", "SciPy": "1.13.1"})
    assert check_archive(model, archive).output.splitlines() == [
        f"{archive}: 1 version differs from those that the model was saved with",
        "  cloudpickle  expected 3.0.0, got 3.1.0  matters for loading",
    ]
    report = json.loads(check_archive(model, archive, "--json").output)
    assert report["environment"] == str(archive)
    assert [difference["installed"] for difference in report["differences"]] == ["3.1.0"]
    archive = archive_of({"cloudpickle": "3.0.0", "scipy": "1.13.1"})
    assert check_archive(model, archive).output == (
        f"{archive} has the versions that the model was saved with\n"
    )


@pytest.mark.parametrize(
    "description",
    [{"platform": "plan9-386"}, {"python": "3.99"}, None],
    ids=["platform", "Python", "damaged"],
)
def test_check_refuses_the_archives_that_a_run_refuses(model, archive_of, tmp_path, monkeypatch, description):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    archive = tmp_path / "other.tar.gz"
    archive.write_bytes(b"nothing") if description is None else archive_of(**description).rename(archive)
    with pytest.raises(ModelError) as refused:
        sparksig.load_model(model, environment=archive, allow_pickle=True, on_version_mismatch="ignore")
    checked = check_archive(model, archive)
    assert str(refused.value) in checked.stdout + checked.stderr


@pytest.mark.parametrize("environment", ["worker", "model"])
def test_unknown_reaction_to_other_versions(model, environment):
    options = {"environment": environment, "allow_install": True, "on_version_mismatch": "panic"}
    with pytest.raises(
        ModelError, match="on_version_mismatch: expected one of warn, fail, ignore, got 'panic'"
    ):
        sparksig.load_model(model, allow_pickle=True, **options)


# --- differences --------------------------------------------------------------------------------------------


def test_differences_that_matter_are_named(model):
    """The pickle of a function may contain an estimator of scikit-learn, so its version may matter."""
    with_requirements(
        model, f"cloudpickle==0.1\nscikit-learn==0.1\nsetuptools==0.1\nnumpy=={np.__version__}\n"
    )
    report = compare_environment(ModelDirectory.read(model))
    assert [(difference.name, report.judge(difference)) for difference in report.differences] == [
        ("cloudpickle", "yes"),
        ("scikit-learn", "maybe"),
        ("setuptools", "no"),
    ]
    result = runner().invoke(cli, ["env", "check", str(model)], standalone_mode=False)
    assert result.output.startswith("this environment: 3 versions differ from those that the model was")
    effects = [line.split("  ")[-1] for line in result.output.splitlines()[1:]]
    assert effects == [
        "matters for loading",
        "may matter: the model can import it",
        "does not matter for loading",
    ]
    result = runner().invoke(cli, ["env", "check", str(model), "--json"], standalone_mode=False)
    assert json.loads(result.output)["differences"][0]["matters"] == "yes"


# --- for real -----------------------------------------------------------------------------------------------


@differs(
    "Model directories",
    "a model that needs other versions of packages than are installed",
    mlflow="`env_manager=` of `spark_udf`: a server in the model's environment scores each task over HTTP; "
    "refused on Spark Connect outside of Databricks. `load_model` uses the installed packages",
    sparksig="`environment=` of `load_model`, `score_files`, `spark_udf`, `score` and jobs, Connect too: "
    "a process in an environment that is built (`allow_install=True`) or read from an archive predicts",
)
@pytest.mark.slow
@pytest.mark.once
def test_older_scikit_learn_predicts_the_same_bits(tmp_path, monkeypatch):
    """A forest that was trained with scikit-learn 1.5 and NumPy 1.26 is scored there, bit for bit."""
    models = train_older_models(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(CACHE))
    model, rows = tmp_path / "forest", tmp_path / "rows.parquet"
    expected, frame = np.load(tmp_path / "expected.npy"), pd.read_parquet(rows)
    isolated = sparksig.load_model(model, environment="model", allow_install=True)
    assert np.array_equal(isolated.predict(frame), expected)
    assert isolated._predictor._python == models.python
    report = sparksig.score_files(
        rows, model, tmp_path / "scored", environment="model", allow_install=True, keep=[]
    )
    assert report.rows == 300
    assert np.array_equal(pd.read_parquet(tmp_path / "scored")["prediction"], expected)
    archive = tmp_path / "env.tar.gz"
    result = runner().invoke(cli, ["env", "build", str(model), "-o", str(archive)], standalone_mode=False)
    assert result.return_value == 0, result.output
    assert read_archive(archive).packages["scikit-learn"] == "1.5.0"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    unpacked = sparksig.load_model(model, environment=archive)
    assert np.array_equal(unpacked.predict(frame), expected)
    assert sys.executable not in str(unpacked._predictor._python)
