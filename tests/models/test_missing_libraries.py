"""Models whose libraries are not installed: one kind of error for every format, with the install command."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import MissingDependencyError
from sparksig.cli import cli
from tests.cli.runner import runner

TABLE = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
MODULE = """
from sklearn.linear_model import LinearRegression

from sparksig import PythonModel


class Greenhouse(PythonModel):
    def predict(self, model_input):
        return model_input["x"]


class Regression(LinearRegression):
    pass
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A module that is importable until it is removed."""
    home = tmp_path / "site"
    home.mkdir()
    (home / "greenhouse_tools.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(home))
    importlib.invalidate_caches()
    yield importlib.import_module("greenhouse_tools")
    sys.modules.pop("greenhouse_tools", None)


@pytest.fixture
def remove(monkeypatch):
    """A function that makes the module one that is not installed."""
    return lambda: monkeypatch.setitem(sys.modules, "greenhouse_tools", None)


def load_context_imports(library, path):
    class Late(sparksig.PythonModel):
        def load_context(self, context):
            import greenhouse_tools  # noqa: F401

        def predict(self, model_input):
            return model_input["x"]

    sparksig.save_model(path, Late())


SAVE = {
    "pickle": lambda library, path: sparksig.save_model(path, library.Greenhouse()),
    "load_context": load_context_imports,
    "sklearn-cloudpickle": lambda library, path: sparksig.save_model(
        path, library.Regression().fit(TABLE, TABLE["x"]), serialization_format="cloudpickle"
    ),
    "skops": lambda library, path: sparksig.save_model(
        path,
        library.Regression().fit(TABLE, TABLE["x"]),
        trusted_types=["greenhouse_tools.Regression"],
    ),
    "loader-module": lambda library, path: sparksig.save_model(path, loader_module="greenhouse_tools"),
}


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_the_library_is_named_with_the_command_that_installs_it(library, remove, tmp_path, save):
    path = tmp_path / "model"
    save(library, path)
    remove()
    options = {"allow_pickle": True, "trusted_types": ["greenhouse_tools.Regression"]}
    with pytest.raises(MissingDependencyError, match=r"greenhouse_tools.*pip install -r .*requirements\.txt"):
        sparksig.load_model(path, **options)
    (path / "requirements.txt").write_text("Greenhouse-Tools==1.2\n")
    (path / "SHA256SUMS").unlink()
    with pytest.raises(MissingDependencyError, match=r"pip install 'Greenhouse-Tools==1\.2'"):
        sparksig.load_model(path, **options, on_version_mismatch="ignore")
    (path / "requirements.txt").unlink()
    with pytest.raises(MissingDependencyError, match=r"greenhouse_tools.*: pip install greenhouse_tools"):
        sparksig.load_model(path, **options)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_commands_name_the_library_without_a_traceback(library, remove, tmp_path, save):
    path = tmp_path / "model"
    save(library, path)
    remove()
    request = tmp_path / "request.json"
    request.write_text('{"inputs": {"x": [1.0]}}')
    arguments = ["validate-serving-input", str(path), str(request), "--allow-pickle"]
    done = runner().invoke(cli, [*arguments, "--trusted-type", "greenhouse_tools.Regression"])
    assert done.exit_code == 1
    assert "greenhouse_tools" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def written(path, loader, code):
    (path / "code").mkdir()
    (path / "code" / "planting_loader.py").write_text(code)
    config = {"flavors": {"python_function": {"loader_module": loader, "code": "code"}}}
    (path / "MLmodel").write_text(yaml.safe_dump(config))
    return path


LOADERS = {
    "at-import": "import library_for_planting\n\ndef _load_pyfunc(path): ...\n",
    "in-the-loader": "def _load_pyfunc(path):\n    import library_for_planting\n",
    "by-prefix": "import planting\n\ndef _load_pyfunc(path): ...\n",
}


@pytest.mark.parametrize("code", LOADERS.values(), ids=LOADERS)
def test_a_library_of_a_loader_module_is_named(tmp_path, code):
    path = written(tmp_path, "planting_loader", code)
    name = "planting" if "import planting" in code else "library_for_planting"
    text = f"needs the library '{name}', which is not installed: pip install {name}"
    try:
        with pytest.raises(MissingDependencyError, match=text) as caught:
            sparksig.load_model(path, allow_pickle=True)
    finally:
        sys.modules.pop("planting_loader", None)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_name_that_an_installed_library_lacks_is_a_question_of_its_version(tmp_path):
    path = written(tmp_path, "planting_loader", "from numpy import harvest\n")
    text = "needs another version of the library 'numpy': cannot import name 'harvest'"
    try:
        with pytest.raises(MissingDependencyError, match=text):
            sparksig.load_model(path, allow_pickle=True)
    finally:
        sys.modules.pop("planting_loader", None)


@pytest.mark.parametrize("loader", ["mlflow.catboost", "mlflow.prophet"])
def test_a_library_of_one_of_mlflows_loaders_is_named(tmp_path, monkeypatch, loader):
    pytest.importorskip(loader)
    library = loader.rpartition(".")[2]
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "model.cb").write_text("")
    flavor = {"loader_module": loader, "data": "model.cb"}
    config = {
        "flavors": {"python_function": flavor, library: {"model_type": "CatBoost", "save_format": "cbm"}}
    }
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(config))
    with pytest.raises(MissingDependencyError, match=f"needs the library '{library}'"):
        sparksig.load_model(tmp_path, allow_pickle=True)


@pytest.mark.parametrize(("package", "extra"), [("sklearn", "sklearn"), ("skops", "sklearn")])
def test_the_package_of_a_format_is_named_with_its_extra(tmp_path, monkeypatch, package, extra):
    path = tmp_path / "model"
    sparksig.save_model(path, LinearRegression().fit(TABLE.to_numpy(), np.ones(3)))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'sparksig\[{extra}\]'"):
        sparksig.load_model(path)
