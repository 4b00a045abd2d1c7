"""Models from code, and callable objects as models: saved, loaded, and loaded by MLflow."""

from __future__ import annotations

import subprocess
import sys

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

import sparksig
from sparksig import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelInfo,
    ModelNotTrustedError,
    UnsupportedError,
)
from tests.models.helpers import rewrite, unsealed

POND = pd.DataFrame({"depth": [1.0, 2.5]})
CLASS = """
import sparksig


class Level(sparksig.PythonModel):
    def load_context(self, context):
        self.offset = context.model_config.get("offset", 0.0)

    def predict(self, model_input):
        return model_input["depth"] + self.offset


sparksig.set_model({})
"""
HINTED = """
import sparksig


def double(depths: list[float]) -> list[float]:
    return [2 * depth for depth in depths]


sparksig.set_model(double)
"""
OF_MLFLOW = """
import mlflow
from mlflow.models import ModelConfig

config = ModelConfig(development_config={"offset": 10.0})


class Level(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["depth"] + config.get("offset")


mlflow.models.set_model(Level())
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "pond.py"
        path.write_text(text)
        return path

    return write


CODE = {
    "object": CLASS.format("Level()"),
    "class": CLASS.format("Level"),
    "function": "import sparksig\nsparksig.set_model(lambda model_input: model_input['depth'])\n",
    "callable-object": (
        "import sparksig\n\nclass Level:\n    def __call__(self, model_input):\n"
        "        return model_input['depth']\n\nsparksig.set_model(Level())\n"
    ),
}


@pytest.mark.parametrize("text", CODE.values(), ids=CODE)
def test_a_model_from_code_is_saved_and_loaded(tmp_path, file, text):
    info = sparksig.save_model(tmp_path / "model", str(file(text)), input_example=POND)
    file("raise AssertionError('the original file is not needed any more')")
    assert info.signature.inputs == sparksig.infer_signature(POND).inputs
    assert info.flavors["python_function"]["model_code_path"] == "pond.py"
    assert not (tmp_path / "model" / "python_model.pkl").exists()
    assert "cloudpickle" not in (tmp_path / "model" / "requirements.txt").read_text()
    with pytest.raises(ModelNotTrustedError, match="loading a model from code can run any code in it"):
        sparksig.load_model(tmp_path / "model")
    allowed = sparksig.load_model(tmp_path / "model", allow_pickle=True)
    pinned = sparksig.load_model(tmp_path / "model", digest=info.digest)
    assert allowed.predict(POND).tolist() == pinned.predict(POND).tolist() == [1.0, 2.5]
    assert sparksig.digest(tmp_path / "model") == info.digest  # no bytecode was written


@pytest.mark.parametrize("text", CODE.values(), ids=CODE)
def test_mlflow_loads_a_model_from_code(tmp_path, file, text):
    sparksig.save_model(tmp_path / "model", file(text), input_example=POND)
    assert list(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(POND)) == [1.0, 2.5]


def test_code_that_calls_set_model_of_mlflow_is_saved_and_loaded_both_ways(tmp_path, file):
    sparksig.save_model(tmp_path / "model", file(OF_MLFLOW), model_config={"offset": 1.0}, input_example=POND)
    assert sparksig.load_model(tmp_path / "model", allow_pickle=True).predict(POND).tolist() == [2.0, 3.5]
    other = sparksig.load_model(tmp_path / "model", allow_pickle=True, model_config={"offset": 2.0})
    assert other.predict(POND).tolist() == [3.0, 4.5]
    assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(POND).tolist() == [2.0, 3.5]


def test_configuration_reaches_a_model_from_code(tmp_path, file):
    sparksig.save_model(tmp_path / "model", file(CODE["object"]), model_config={"offset": 1.0})
    assert sparksig.load_model(tmp_path / "model", allow_pickle=True).predict(POND).tolist() == [2.0, 3.5]
    model = sparksig.load_model(tmp_path / "model", allow_pickle=True, model_config={"offset": 2.0})
    assert model.predict(POND).tolist() == [3.0, 4.5]


def test_the_type_hint_of_code_is_its_signature(tmp_path, file):
    info = sparksig.save_model(tmp_path / "model", file(HINTED))
    assert repr(info.signature.inputs) == repr(info.signature.outputs) == "[double (required)]"
    assert sparksig.load_model(tmp_path / "model", allow_pickle=True).predict([1.5]) == [3.0]


def test_code_imports_its_own_modules(tmp_path, file, monkeypatch):
    (tmp_path / "pond_helpers.py").write_text("FACTOR = 3.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (
        "import sparksig\nfrom pond_helpers import FACTOR\n"
        "sparksig.set_model(lambda model_input: model_input['depth'] * FACTOR)\n"
    )
    path = file(text)
    sparksig.save_model(tmp_path / "model", path, code_paths=[tmp_path / "pond_helpers.py"])
    (tmp_path / "pond_helpers.py").unlink()
    program = (
        "import sparksig, pandas\n"
        f"model = sparksig.load_model({str(tmp_path / 'model')!r}, allow_pickle=True)\n"
        "print(model.predict(pandas.DataFrame({'depth': [2.0]})).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[6.0]\n", "")


BAD = {
    "no-model": (
        "x = 1\n",
        ModelError,
        r"pond\.py: the file sets no model\. Call sparksig\.set_model\(model\)",
    ),
    "fails": (
        "1 / 0\n",
        ModelError,
        r"pond\.py: the code of the model fails: ZeroDivisionError \(see above\)",
    ),
    "syntax": ("def\n", ModelError, "the code of the model fails: SyntaxError"),
    "number": (
        "import sparksig\nsparksig.set_model(5)\n",
        ModelError,
        "set_model: expected a PythonModel or a fun",
    ),
    "estimator": (
        "import sparksig\nfrom sklearn.linear_model import LinearRegression\n"
        "sparksig.set_model(LinearRegression())\n",
        UnsupportedError,
        "a model from code: expected a sparksig.PythonModel or a function, got a value of type Linear",
    ),
}


@pytest.mark.parametrize(("text", "error", "message"), BAD.values(), ids=BAD)
def test_code_without_a_model_is_refused_and_nothing_is_left(tmp_path, file, text, error, message):
    with pytest.raises(error, match=message):
        sparksig.save_model(tmp_path / "model", file(text))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["no_such_file.py", "model.pkl", "LinearRegression"])
def test_a_path_that_is_no_python_file_is_refused(tmp_path, name):
    with pytest.raises(ModelError, match=rf"of a Python file that calls sparksig\.set_model, got .*{name}"):
        sparksig.save_model(tmp_path / "model", name)


def test_a_library_that_code_imports_is_named(tmp_path, file):
    sparksig.save_model(tmp_path / "model", file(CODE["function"]))
    (tmp_path / "model" / "pond.py").write_text("import library_for_ponds\n")
    unsealed(tmp_path / "model")
    with pytest.raises(MissingDependencyError, match="needs the library 'library_for_ponds'"):
        sparksig.load_model(tmp_path / "model", allow_pickle=True)


@pytest.mark.parametrize("path", ["../pond.py", "MLmodel", "no.py", 5])
def test_a_code_path_that_is_no_python_file_is_damage(tmp_path, file, path):
    sparksig.save_model(tmp_path / "model", file(CODE["function"]))
    unsealed(tmp_path / "model")
    rewrite(
        tmp_path / "model",
        lambda config: config["flavors"]["python_function"].update(model_code_path=path),
    )
    with pytest.raises(ModelDamagedError):
        sparksig.load_model(tmp_path / "model", allow_pickle=True)


# --- callable objects ---------------------------------------------------------------------------------------


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, model_input, params=None):
        return model_input["depth"] * self.factor * (params or {}).get("times", 1)


class Rounded:
    digits = 1

    def __call__(self, depths: list[float]) -> list[float]:
        return [round(depth, self.digits) for depth in depths]


def test_a_callable_object_is_saved_as_a_function_is(tmp_path):
    info = sparksig.save_model(tmp_path / "model", Scaled(2.0), input_example=(POND, {"times": 3}))
    assert isinstance(info, ModelInfo)
    assert info.signature.params is not None
    model = sparksig.load_model(tmp_path / "model", allow_pickle=True)
    assert model.predict(POND).tolist() == [6.0, 15.0]
    assert model.predict(POND, {"times": 1}).tolist() == [2.0, 5.0]
    assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(POND).tolist() == [6.0, 15.0]


def test_the_type_hint_of_call_is_the_signature(tmp_path):
    info = sparksig.save_model(tmp_path / "model", Rounded(), input_example=[1.25])
    assert repr(info.signature.inputs) == "[double (required)]"
    model = sparksig.load_model(tmp_path / "model", allow_pickle=True)
    assert model.predict([1.26]) == [1.3]
    with pytest.raises(sparksig.ContractError):
        model.predict(["1.26"])


def test_a_callable_object_of_two_inputs_is_refused(tmp_path):
    class Two:
        def __call__(self, first, second):
            return first

    with pytest.raises(
        ModelError, match="Two cannot be used as a model: expected a function with one required"
    ):
        sparksig.save_model(tmp_path / "model", Two())


def test_save_model_returns_the_description_of_the_directory(tmp_path):
    info = sparksig.save_model(tmp_path / "model", lambda model_input: np.asarray(model_input["depth"]))
    assert info == sparksig.get_model_info(tmp_path / "model")
    assert info.model_uri == str(tmp_path / "model")
