"""`import sparksig` is quick and loads none of the heavy packages; the public names are all there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sparksig

HEAVY = [
    "numpy",
    "pandas",
    "pyarrow",
    "pyspark",
    "pydantic",
    "yaml",
    "sklearn",
    "skops",
    "mlflow",
    "cloudpickle",
]
ROOT = Path(sparksig.__file__).parents[1]


def in_a_process_of_its_own(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300
    )
    return done.stdout.strip()


def test_importing_takes_less_than_a_tenth_of_a_second():
    code = "import time; t = time.perf_counter(); import sparksig; print(time.perf_counter() - t)"
    assert min(float(in_a_process_of_its_own(code)) for _ in range(3)) < 0.1


def test_importing_loads_nothing_heavy():
    code = f"import sys, sparksig; print([name for name in {HEAVY} if name in sys.modules])"
    assert in_a_process_of_its_own(code) == "[]"


@pytest.mark.parametrize(("module", "allowed"), [
    ("lattice", []),
    ("convert.annotations", ["numpy"]),
    ("signature", ["numpy"]),
    ("engine.plan", ["numpy", "pyarrow", "cloudpickle"]),  # which pyarrow takes where it is
])  # fmt: skip
def test_a_core_module_loads_only_what_it_names(module, allowed):
    code = f"import sys, sparksig.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert in_a_process_of_its_own(code) == str(allowed)


def test_public_names_are_sorted():
    assert sparksig.__all__ == sorted(sparksig.__all__)
    assert set(sparksig.__all__) <= set(dir(sparksig))


@pytest.mark.parametrize("name", sparksig.__all__)
def test_public_name_can_be_imported(name):
    assert callable(getattr(sparksig, name))


def test_type_checkers_see_the_names_that_there_are():
    tree = ast.parse(Path(sparksig.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    aliases = [(node.module, alias) for node in block.body for alias in node.names]
    assert all(alias.name == alias.asname for _, alias in aliases)  # without "as", mypy exports no name
    assert {alias.name: module for module, alias in aliases} == sparksig._HOME_OF
    namespace = {}
    exec("from sparksig import *", namespace)
    assert namespace.keys() >= set(sparksig.__all__)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'sparksig' has no attribute 'scroe'"):
        _ = sparksig.scroe


NEED_SPARK = {
    "sparksig.score": "sparksig.score",
    "DataType.to_spark": "sparksig.DataType.long.to_spark()",
    "Schema.as_spark_schema": "sparksig.Schema([sparksig.ColSpec('long', 'a')]).as_spark_schema()",
}


@pytest.mark.parametrize("name", NEED_SPARK)
def test_without_pyspark_the_error_says_what_to_install(name):
    code = (
        "import sys; sys.modules['pyspark'] = None\n"
        "import sparksig\n"
        f"try: {NEED_SPARK[name]}\n"
        "except sparksig.MissingDependencyError as error: print(error)"
    )
    output = in_a_process_of_its_own(code)
    assert output == f"{name} needs the package 'pyspark': pip install 'sparksig[spark]'"


def test_there_are_at_most_75_public_names():
    assert len(sparksig.__all__) <= 75
