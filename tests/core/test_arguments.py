"""The arguments that several public functions share have the same names, defaults and types."""

from __future__ import annotations

import inspect

import pytest

import sparksig

pytest.importorskip("pyspark")

SHARED = {
    "loading": ["load_model", "spark_udf", "score", "score_files"],
    "scoring": ["score", "score_files"],
    "contract": ["check", "write", "plan_write", "compare"],
}
NAMES = {
    "loading": [
        "allow_pickle",
        "digest",
        "trusted_types",
        "method",
        "model_config",
        "on_version_mismatch",
        "absent",
    ],
    "scoring": [
        "column",
        "keep",
        "params",
        "on_error",
        "findings_column",
        "flatten",
        "columns",
        "batch_rows",
    ],
    "contract": ["types", "missing", "extra"],
}


@pytest.mark.parametrize(
    ("function", "group"), [(function, group) for group in SHARED for function in SHARED[group]]
)
def test_shared_arguments_are_alike(function, group):
    expected = inspect.signature(getattr(sparksig, SHARED[group][0])).parameters
    actual = inspect.signature(getattr(sparksig, function)).parameters
    assert [str(actual[name]) for name in NAMES[group]] == [str(expected[name]) for name in NAMES[group]]


@pytest.mark.parametrize(
    "name", sorted({"save_model", "plan_write", *SHARED["loading"], *SHARED["contract"]})
)
def test_options_are_keyword_only_after_three_arguments(name):
    parameters = inspect.signature(getattr(sparksig, name)).parameters.values()
    assert sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters) <= 3
