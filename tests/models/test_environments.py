"""Environments of models: requirements, permission to install, archives, and a real older scikit-learn."""

from __future__ import annotations

import io
import json
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path

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
    UnsupportedError,
)
from sparksig.models import virtualenvs
from sparksig.models.archives import read_archive, unpack_environment
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import compare_environment, resolve_environment
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.models.requirements import Requirements, read_requirements
from sparksig.models.seal import hash_file
from sparksig.models.trust import Trust
from sparksig.models.versions import VersionMismatchWarning
from tests.cli.runner import runner
from tests.models.older import CACHE, train_older_models

PYTHON = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def model(tmp_path):
    sparksig.save_model(tmp_path / "model", lambda frame: frame["x"] * 2, input_example={"x": 1.0})
    (tmp_path / "model" / "SHA256SUMS").unlink()
    return tmp_path / "model"


def with_requirements(model, text, python=None):
    (model / "requirements.txt").write_text(text)
    if python is not None:
        (model / "python_env.yaml").write_text(f"python: {python}\n")
    return ModelDirectory.read(model)


# --- requirements -------------------------------------------------------------------------------------------


def test_requirements_are_read_without_sparksig(model):
    lines = ("scikit-learn==1.5.0", "numpy<2, >=1.26; python_version > '3'", "Uvicorn[standard]")
    text = "# comment\nsparksig==0.1.0\n\n" + "  # why\n".join(lines)
    requirements = read_requirements(with_requirements(model, text, "3.10.4"))
    assert requirements == Requirements(lines, "3.10")
    assert not requirements.is_pinned
    assert "pyarrow>=17" in requirements.install_lines


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn @ https://example.org/x.whl",
        "https://example.org/x.whl",
        "./wheels/x.whl",
        "../x",
        "-e .",
        "-r other.txt",
        "--index-url https://example.org",
        "--extra-index-url=https://example.org",
        "git+https://example.org/x.git",
        "numpy==1.26 --hash=sha256:abc",
        "numpy==1.26 --config-settings=x",
    ],
)
def test_requirement_that_is_not_a_name_is_refused(model, line):
    with pytest.raises(UnsupportedError, match=r"is not a name with versions. URLs, paths and options"):
        read_requirements(with_requirements(model, f"pandas\n{line}\n"))


def test_key_depends_on_requirements_and_python():
    keys = {
        Requirements(lines, python).key for lines in ((), ("a==1",), ("a==2",)) for python in ("3.10", "3.11")
    }
    assert len(keys) == 6


def test_directory_without_requirements(model):
    (model / "requirements.txt").unlink()
    with pytest.raises(ModelError, match=r"has no requirements\.txt\. Save it with pip_requirements"):
        read_requirements(ModelDirectory.read(model))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xff", "'requirements.txt' is not text", id="no text"),
        pytest.param(b"a" * (2**20 + 1), "expected text of at most 1 MiB, got a larger file", id="too long"),
    ],
)
def test_damaged_requirements(model, content, text):
    (model / "requirements.txt").write_bytes(content)
    with pytest.raises(ModelDamagedError, match=text):
        read_requirements(ModelDirectory.read(model))


def test_damaged_version_of_python(model):
    with pytest.raises(ModelDamagedError, match="expected a version of Python, got 'three'"):
        read_requirements(with_requirements(model, "pandas\n", "three"))


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
    ("on_path", "in_pyenv", "expected"),
    [
        ("exit 0", None, "bin"),
        ("exit 127", "exit 0", "pyenv"),  # a version that is not activated
        (None, "exit 0", "pyenv"),
        ("exit 127", "exit 127", None),
        (None, None, None),
    ],
    ids=["on the PATH", "not activated", "in pyenv only", "does not run", "none"],
)
def test_python_is_one_that_runs(tmp_path, monkeypatch, on_path, in_pyenv, expected):
    files = {"bin": tmp_path / "bin" / "python3.99", "pyenv": tmp_path / "versions/3.99.1/bin/python3.99"}
    for file, script in zip(files.values(), (on_path, in_pyenv)):
        file.parent.mkdir(parents=True)
        if script is not None:
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert virtualenvs._find_python("3.99") == (expected and str(files[expected]))


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


def test_uv_is_not_used_where_pip_has_an_index_of_its_own(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(virtualenvs.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "pip.conf").write_text("[global]\ntimeout = 60\n")
    assert virtualenvs._find_uv() == "/bin/uv"
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://packages.example/simple\n")
    assert virtualenvs._find_uv() is None


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
    with_requirements(model, f"cloudpickle==0.1\nrequests==0.1\nnumpy=={np.__version__}\n")
    report = compare_environment(ModelDirectory.read(model))
    assert [(difference.name, report.matters(difference)) for difference in report.differences] == [
        ("cloudpickle", True),
        ("requests", False),
    ]
    result = runner().invoke(cli, ["env", "check", str(model)], standalone_mode=False)
    assert result.output.startswith("this environment: 2 versions differ from those that the model was")
    assert "cloudpickle  expected 0.1, got" in result.output
    assert "matters for loading" in result.output
    result = runner().invoke(cli, ["env", "check", str(model), "--json"], standalone_mode=False)
    assert json.loads(result.output)["differences"][0]["matters"] is True


# --- for real -----------------------------------------------------------------------------------------------


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
