"""The examples in the docstrings of sparksig are true; those that need a session are in tests/spark."""

from __future__ import annotations

import doctest
import importlib
import tempfile

import pytest

from tests.docstrings import find_examples, module_names


@pytest.mark.parametrize("name", module_names())
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
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failures: list[str] = []
    for test in find_examples(module, with_session=False):
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)
