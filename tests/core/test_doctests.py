"""Every example in a docstring of sparksig is true. The Spark modules are left to tests with a session."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import tempfile

import pytest

import sparksig


def _modules():
    yield "sparksig"
    packages = [(sparksig.__path__, "sparksig.")]
    for path, prefix in packages:
        for module in pkgutil.iter_modules(path, prefix):
            if module.name == "sparksig.spark" or module.name.endswith(".__main__"):
                continue
            yield module.name
            if module.ispkg:
                folder = importlib.import_module(module.name).__path__
                packages.append((folder, f"{module.name}."))


@pytest.mark.parametrize("name", sorted(_modules()))
def test_examples_in_docstrings(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sparksig"):
            raise
        pytest.skip(f"{error.name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Normalised, because MLflow's repr of a signature ends lines in blanks, and a docstring must not.
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
