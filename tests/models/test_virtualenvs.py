"""Environments that are built by pip and uv: interpreters, indexes, variables, and real builds."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sparksig.cli import cli
from sparksig.errors import ModelError
from sparksig.models import requirements, virtualenvs
from sparksig.models.archives import read_archive
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import resolve_environment
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.models.requirements import Requirements
from sparksig.models.seal import hash_file
from sparksig.models.trust import Trust
from tests.cli.runner import runner
from tests.models.helpers import PYTHON, with_requirements


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


@pytest.fixture
def pip_home(tmp_path, monkeypatch):
    """A home without a configuration of pip; that of the machine is not read."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "XDG_CONFIG"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setattr(virtualenvs.sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(virtualenvs, "_MACHINE_FILES", (str(tmp_path / "etc" / "pip.conf"),))
    monkeypatch.setattr(virtualenvs.shutil, "which", lambda name: f"/bin/{name}")
    return home


@pytest.mark.parametrize(
    "folder",
    ["etc", "xdg/pip", "home/.config/pip", "home/.pip", "prefix"],
)
@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("[global]\ntimeout = 60\n", "/bin/uv"),
        ("[global]\nindex-url = https://packages.example/simple\n", None),
        ("[install]\nfind_links = /wheels\n", None),
        ("no-index = 1\n", None),
    ],
    ids=["time limit", "index", "find-links", "damaged"],
)
def test_uv_is_not_used_where_a_file_configures_pip(tmp_path, pip_home, folder, text, command):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "pip.conf").write_text(text)
    assert virtualenvs._find_uv() == command


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("PIP_INDEX_URL", None),
        ("PIP_EXTRA_INDEX_URL", None),
        ("PIP_FIND_LINKS", None),
        ("PIP_NO_INDEX", None),
        ("PIP_CERT", None),
        ("PIP_NO_CACHE_DIR", "/bin/uv"),
        ("UV_INDEX_URL", "/bin/uv"),
    ],
)
def test_uv_is_not_used_where_a_variable_configures_pip(pip_home, monkeypatch, name, command):
    monkeypatch.setenv(name, "1")
    assert virtualenvs._find_uv() == command


def test_commands_that_build_an_environment_inherit_only_what_they_need(monkeypatch, capfd):
    for name in ("AWS_SECRET_ACCESS_KEY", "UV_INDEX_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    for name in ("PIP_INDEX_URL", "https_proxy", "SSL_CERT_FILE", "HOME"):
        monkeypatch.setenv(name, "needed")
    code = "import os; print(*sorted(k for k, v in os.environ.items() if v in ('secret', 'needed'))); exit(1)"
    with pytest.raises(ModelError, match=r"cannot be built:\nHOME PIP_INDEX_URL SSL_CERT_FILE https_proxy\Z"):
        virtualenvs.run_command([sys.executable, "-c", code], PYTHON)


# --- environments of tiny wheels ----------------------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A directory of wheels, without the packages that sparksig needs."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(requirements, "_CHILD_NEEDS", {})
    for name, version, needs in (("tiny", "1.0", ""), ("tiny", "2.0", ""), ("user", "1.0", "tiny<2")):
        write_wheel(tmp_path / "wheels", name, version, needs)
    return tmp_path / "wheels"


def write_wheel(directory, name, version, needs):
    directory.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": metadata,
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{name}-{version}.dist-info/RECORD"] = "".join(f"{file},,\n" for file in files)
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)


def build(model, archive, *options):
    arguments = ["env", "build", str(model), "-o", str(archive), *options]
    return runner().invoke(cli, arguments, standalone_mode=False)


@pytest.mark.slow
@pytest.mark.once
def test_build_from_a_directory_of_wheels_prints_an_environment_with_its_digest(model, wheels, monkeypatch):
    with_requirements(model, "tiny==1.0\n", PYTHON)
    monkeypatch.chdir(wheels.parent)
    result = build(model, "env.tar.gz", "--no-index", "--find-links", "wheels")
    assert result.return_value == 0, result.output
    pinned = result.output.splitlines()[-1].removeprefix("environment ")
    assert pinned == f"env.tar.gz@sha256:{hash_file(Path('env.tar.gz'))}"
    assert read_archive("env.tar.gz").packages["tiny"] == "1.0"
    python = resolve_environment(ModelDirectory.read(model), pinned, Trust()).locate()
    command = [python, "-c", "import tiny; print(tiny.version)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1.0\n"


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("tiny==3.0\n", r"No matching distribution found for tiny==3\.0"),
        ("tiny==2.0\nuser==1.0\n", r"Cannot install .* conflicting dependencies"),
    ],
    ids=["missing version", "conflict"],
)
def test_requirements_that_cannot_be_resolved(model, wheels, monkeypatch, lines, reason):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    directory = with_requirements(model, lines, PYTHON)
    environment = resolve_environment(directory, "model", Trust(), allow_install=True)
    with pytest.raises(ModelError, match=rf"(?s)cannot be built:.*{reason}"):
        environment.locate()


@pytest.mark.slow
@pytest.mark.once
def test_uv_installs_without_a_configuration_of_its_own(wheels, tmp_path, monkeypatch):
    uv = pytest.importorskip("uv").find_uv_bin()
    monkeypatch.setattr(virtualenvs, "_find_uv", lambda: uv)
    needed, options = Requirements(("tiny==1.0",), PYTHON), ["--no-index"]
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text(f'find-links = ["{wheels}"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    with pytest.raises(ModelError, match=r"(?s)cannot be built:.*tiny"):
        virtualenvs.build_environment(needed, options)
    home = virtualenvs.build_environment(needed, [*options, "--find-links", str(wheels)])
    assert list(home.rglob("tiny.py"))


@pytest.mark.slow
@pytest.mark.once
def test_pip_installs_from_the_index_of_this_environment(wheels, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "pip.conf").write_text(f"[install]\nno-index = true\nfind-links = {wheels}\n")
    monkeypatch.setattr(virtualenvs.sys, "prefix", str(tmp_path))
    home = virtualenvs.build_environment(Requirements(("tiny==2.0",), PYTHON))
    assert list(home.rglob("tiny.py"))
    assert not (home / "pip.conf").exists()


@pytest.mark.slow
@pytest.mark.once
def test_workers_that_build_an_environment_at_once_build_it_once(wheels, tmp_path):
    code = (
        "import sys; from sparksig.models import requirements, virtualenvs; requirements._CHILD_NEEDS = {};"
        "install = virtualenvs._install;"
        "virtualenvs._install = lambda *arguments: (print('built'), install(*arguments));"
        f"print(virtualenvs.build_environment(requirements.Requirements(('tiny==1.0',), {PYTHON!r})))"
    )
    variables = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code]
    started = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line for process in started for line in process.communicate()[0].splitlines()]
    assert lines.count("built") == 1
    [home] = {line for line in lines if line != "built"}
    assert lines.count(home) == 2
    assert (Path(home) / "lib" / f"python{PYTHON}" / "site-packages" / "tiny.py").is_file()
