"""The wheel in environments that have nothing else: no extras, and each extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sparksig
from sparksig.models.virtualenvs import _find_uv

ROOT = Path(sparksig.__file__).parents[1]
PACKED = ("sparksig", "pyproject.toml", "README.md", "LICENSE")

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the sources."""
    home = tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, home / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*build, "--wheel-dir", home / "dist", home], check=True, cwd=home)
    [file] = (home / "dist").glob("*.whl")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small table, and a model of each format."""
    home = tmp_path_factory.mktemp("models")
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    rows.to_parquet(home / "rows.parquet")
    for name, make in MODELS.items():
        sparksig.save_model(home / name, make(rows), input_example=rows)
    return home


def fit_linear(rows):
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(rows, rows["x"] * 2)


def train_lightgbm(rows):
    import lightgbm

    data = lightgbm.Dataset(rows, rows["x"] * 2)
    return lightgbm.train({"verbose": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1}, data, 2)


def train_xgboost(rows):
    import xgboost

    return xgboost.train({}, xgboost.DMatrix(rows, rows["x"] * 2), 2)


def convert_to_onnx(rows):
    import skl2onnx

    types = [("x", skl2onnx.common.data_types.DoubleTensorType([None, 1]))]
    return skl2onnx.convert_sklearn(fit_linear(rows), initial_types=types)


MODELS = {
    "linear": fit_linear,
    "function": lambda rows: lambda frame: frame["x"] * 2,
    "lightgbm": train_lightgbm,
    "xgboost": train_xgboost,
    "onnx": convert_to_onnx,
}


class Environment:
    """A virtual environment, and the commands in it."""

    def __init__(self, home, folder):
        self.bin, self.folder = home / "bin", folder

    def run(self, *command, status=0):
        """Run a command in the folder of the models, and return its output."""
        preserved = ("HOME", "JAVA_HOME", "LANG", "TMPDIR")
        environment = {name: os.environ[name] for name in preserved if name in os.environ}
        path = f"{self.bin}:{os.environ['PATH']}"
        environment |= {
            "PATH": path,
            "PYSPARK_PYTHON": str(self.bin / "python"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        arguments = [self.bin / command[0], *command[1:]]
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, cwd=self.folder, env=environment
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def install(wheel, folder, tmp_path):
    """A function that installs the wheel with extras, in the versions that this environment has."""

    def make(extra="", *other_values):
        pins = {
            distribution.metadata["Name"]: distribution.version for distribution in metadata.distributions()
        }
        pins.pop("sparksig", None)
        (tmp_path / "pins.txt").write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        home, uv = tmp_path / "env", _find_uv()
        install = ["pip", "install", "--quiet", "--python", home / "bin" / "python"]
        if uv is None:
            install = [home / "bin" / "python", "-m", *install[:3]]
        subprocess.run(
            [uv, "venv", "--quiet", home] if uv else [sys.executable, "-m", "venv", home], check=True
        )
        expected = f"{wheel}[{extra}]" if extra else str(wheel)
        command = [
            *([uv] if uv else []),
            *install,
            expected,
            *other_values,
            "--constraint",
            tmp_path / "pins.txt",
        ]
        subprocess.run(command, check=True, cwd=tmp_path)
        return Environment(home, folder)

    return make


SPARK_IS_MISSING = "pip install 'sparksig[spark]'"
CALLS = [
    "spark_udf(None, 'linear')",
    "score(None, 'linear')",
    "split(None, 'linear')",
    "violations(None, 'linear')",
    "write(None, 'out')",
    "plan_write(None, 'out')",
    "score_files('rows.parquet', 'linear', 'out', engine='direct')",
]
ASK = """
import json, sys, sparksig
messages = {}
for call in json.loads(sys.argv[1]):
    try:
        messages[call] = str(eval(f"sparksig.{call}"))
    except Exception as error:
        messages[call] = f"{type(error).__name__}: {error}"
print(json.dumps(messages))
"""
COMMANDS = [
    ("score", "linear", "rows.parquet", "out", "--keep", "x", "--engine", "spark"),
    ("score", "linear", "rows.parquet", "out", "--keep", "x", "--engine", "direct"),
    ("check", "rows.parquet", "linear", "--spark"),
]


def test_without_extras(install):
    environment = install()
    assert environment.run("sparksig", "--version") == f"sparksig {sparksig.__version__}\n"
    assert "a model saved by skops needs the package 'skops'" in environment.run("sparksig", "show", "linear")
    assert "the table fits" in environment.run("sparksig", "check", "rows.parquet", "linear")
    assert "x  double" in environment.run("sparksig", "infer", "rows.parquet")
    messages = json.loads(environment.run("python", "-I", "-c", ASK, json.dumps(CALLS)))
    assert {call: SPARK_IS_MISSING in message for call, message in messages.items()} == dict.fromkeys(
        CALLS, True
    )
    for command in COMMANDS:
        text = environment.run("sparksig", *command, status=1)
        assert SPARK_IS_MISSING in text
        assert "Traceback" not in text
    local = ("score", "linear", "rows.parquet", "out", "--keep", "x", "--engine", "local")
    assert "pip install 'sparksig[sklearn]'" in environment.run("sparksig", *local, status=1)


@pytest.mark.parametrize(
    ("model", "extra", "other_values"),
    [
        ("linear", "sklearn", []),
        ("function", "python-model", []),
        ("lightgbm", "lightgbm", []),
        ("xgboost", "", ["xgboost-cpu"]),  # the extra brings CUDA
        ("onnx", "onnx", []),
    ],
    ids=["sklearn", "python-model", "lightgbm", "xgboost", "onnx"],
)
def test_models_are_scored_with_the_extra_of_their_format(install, folder, model, extra, other_values):
    output = f"scored-{model}"
    trust = ["--set", "model.allow_pickle=true"] if model == "function" else []
    score = ("sparksig", "score", model, "rows.parquet", output, "--keep", "x", "--engine", "local", *trust)
    assert "engine           local" in install(extra, *other_values).run(*score)
    scored = pd.read_parquet(folder / output)["prediction"]
    expected = sparksig.load_model(folder / model, allow_pickle=bool(trust)).predict(scored_rows(folder))
    assert np.array_equal(np.ravel(scored), np.ravel(expected))


def scored_rows(folder):
    return pd.read_parquet(folder / "rows.parquet")


def test_reports_as_html(install, folder):
    install("report").run("sparksig", "check", "rows.parquet", "linear", "--html", "report.html")
    assert "<html" in (folder / "report.html").read_text()


def test_mlflow_loads_a_model(install):
    code = (
        "import mlflow.pyfunc, pandas as pd;"
        "print(mlflow.pyfunc.load_model('function').predict(pd.DataFrame({'x': [4.0]})).tolist())"
    )
    assert "[8.0]" in install("mlflow").run("python", "-I", "-W", "ignore", "-c", code)


@pytest.mark.spark
def test_first_cells_of_the_notebook(install):
    notebook = json.loads((ROOT / "tests" / "notebooks" / "quickstart.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = "\n".join([*cells[:3], "print('different predictions:', same)"])
    assert "different predictions: 0" in install("spark,sklearn").run("python", "-I", "-c", code)
