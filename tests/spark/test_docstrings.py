"""The examples in docstrings that need a session of Spark are true."""

from __future__ import annotations

import doctest
import importlib
import tempfile

import pytest

from tests.docstrings import find_examples, module_names

pytestmark = pytest.mark.once


def test_examples_with_a_session(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    failures: list[str] = []
    for name in module_names():
        for test in find_examples(importlib.import_module(name), with_session=True, spark=spark):
            runner.run(test, out=failures.append)
    assert not failures, "".join(failures)
    assert runner.summarize(verbose=False).attempted > 30
