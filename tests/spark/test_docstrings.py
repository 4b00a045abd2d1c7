"""The examples in the docstrings of the Spark modules are true; those of the others need no session."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import tempfile

import pytest

import sparksig.spark

pytestmark = pytest.mark.once


def test_the_examples(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tried, told = 0, []
    for module in pkgutil.iter_modules(sparksig.spark.__path__, "sparksig.spark."):
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        held = importlib.import_module(module.name)
        for test in doctest.DocTestFinder().find(held, module.name, extraglobs={"spark": spark}):
            runner.run(test, out=told.append)
        tried += runner.summarize(verbose=False).attempted
    assert not told, "".join(told)
    assert tried > 30
