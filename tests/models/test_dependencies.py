"""The requirements of a saved model: the packages that it imports, and those that are given."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib import metadata

import pandas as pd
import pytest
import scipy.special
import yaml
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import ModelError
from sparksig.models import dependencies
from sparksig.models.dependencies import RequirementsWarning, find_packages, inspect_pickle

pytestmark = pytest.mark.slow

TABLE = pd.DataFrame({"x": [1.0, 2.0]})
ALWAYS = {"sparksig", "numpy", "pandas", "pyarrow", "mlflow"}


def requirements(path):
    """The names of the requirements, whose versions are the installed ones."""
    lines = (path / "requirements.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in lines]
    assert lines == [f"{name}=={metadata.version(name)}" for name in names]
    assert len({name.lower() for name in names}) == len(names)
    conda = yaml.safe_load((path / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": lines}
    return set(names)


def save(path, model, **options):
    sparksig.save_model(path, model, input_example=TABLE, **{"detect_requirements": True} | options)
    return requirements(path) - ALWAYS


def plain(model_input):
    return model_input["x"] * 2


def local_functions():
    """Functions of a test are pickled by value, as those of a notebook are."""

    def within(model_input):
        import jinja2  # noqa: F401

        return model_input["x"]

    def by_name(model_input):
        __import__("importlib").import_module("jinja2")
        return model_input["x"]

    def of_sparksig(model_input):
        import click
        import yaml  # noqa: F401

        return model_input["x"] * len(click.__name__)

    def outside(model_input):
        return scipy.special.expit(model_input["x"])

    return {"within": within, "by-name": by_name, "loaded-by-sparksig": of_sparksig, "outside": outside}


EXPECTED = {
    "within": {"Jinja2"},
    "by-name": {"Jinja2"},
    "loaded-by-sparksig": {"PyYAML", "click"},
    "outside": {"scipy"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_packages_that_a_function_imports_are_recorded(tmp_path, name):
    assert save(tmp_path / "m", local_functions()[name]) == EXPECTED[name] | {"cloudpickle"}


def test_packages_that_a_context_imports_are_recorded(tmp_path):
    class Late(sparksig.PythonModel):
        def load_context(self, context):
            import scipy.optimize  # noqa: F401

        def predict(self, model_input):
            return model_input["x"]

    assert save(tmp_path / "m", Late()) == {"scipy", "cloudpickle"}


def test_packages_that_code_imports_are_recorded(tmp_path):
    (tmp_path / "field.py").write_text("import jinja2\n")
    (tmp_path / "model.py").write_text(
        "import sparksig\nimport field\nimport scipy.special\n"
        "sparksig.set_model(lambda model_input: scipy.special.expit(model_input['x']))\n"
    )
    program = textwrap.dedent(
        f"""
        import pandas, sparksig
        sparksig.save_model({str(tmp_path / "m")!r}, {str(tmp_path / "model.py")!r},
            input_example=pandas.DataFrame({{"x": [1.0]}}), code_paths=[{str(tmp_path / "field.py")!r}],
            detect_requirements=True)
        """
    )
    arguments = [sys.executable, "-W", "error::RequirementsWarning", "-c", program]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert requirements(tmp_path / "m") - ALWAYS == {"Jinja2", "scipy"}


@pytest.fixture
def no_process(monkeypatch):
    """No process is started."""
    monkeypatch.setattr(dependencies.subprocess, "run", lambda *args, **kwargs: pytest.fail("a process"))


def test_a_format_that_lists_its_packages_needs_no_process(tmp_path, no_process):
    estimator = LinearRegression().fit(TABLE, TABLE["x"])
    local = local_functions()

    def predict(model_input):
        return estimator.predict(model_input)

    assert save(tmp_path / "skops", estimator) == {"scikit-learn", "skops"}
    pickled = save(tmp_path / "pickle", estimator, serialization_format="cloudpickle")
    assert pickled == {"scikit-learn", "cloudpickle"}
    assert save(tmp_path / "function", predict) == {"scikit-learn", "cloudpickle"}
    sparksig.save_model(tmp_path / "no-example", local["within"], detect_requirements=True)
    assert requirements(tmp_path / "no-example") - ALWAYS == {"cloudpickle"}
    assert save(tmp_path / "off", local["within"], detect_requirements=False) == {"cloudpickle"}
    assert save(tmp_path / "environment", local["within"], detect_requirements=None) == {"cloudpickle"}


def test_a_model_that_needs_this_process_is_saved_with_a_warning(tmp_path, monkeypatch):
    module = type(sys)("only_in_this_process")
    exec("def predict(model_input):\n    return model_input['x']\n", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_in_this_process", module)
    text = (
        r"not detected, because a new Python process cannot load the model: "
        r".*only_in_this_process.*extra_pip_req"
    )
    with pytest.warns(RequirementsWarning, match=text):
        assert save(tmp_path / "m", module.predict) == {"cloudpickle"}


def test_a_process_that_takes_too_long_is_ended_with_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(dependencies, "TIME_LIMIT", 0.01)
    with pytest.warns(RequirementsWarning, match=r"it took more than 0\.01 seconds"):
        assert save(tmp_path / "m", local_functions()["within"]) == {"cloudpickle"}


def test_a_prediction_that_ends_the_process_is_no_result(tmp_path):
    def leave(model_input):
        import os

        import jinja2  # noqa: F401

        if "SPARKSIG_TEST_LEAVE" in os.environ:
            os._exit(3)
        return model_input["x"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependencies, "_PROGRAM", "import os; os.environ['SPARKSIG_TEST_LEAVE'] = '1'; "
                      + dependencies._PROGRAM)  # fmt: skip
        with pytest.warns(RequirementsWarning, match="it ended without a result"):
            assert save(tmp_path / "m", leave) == {"cloudpickle"}


# --- given requirements -------------------------------------------------------------------------------------


def lines(path):
    return (path / "requirements.txt").read_text().splitlines()


def test_extra_requirements_replace_those_of_the_same_packages(tmp_path):
    extra = ["Scikit_Learn>=1.0", "nltk==3.9"]
    sparksig.save_model(
        tmp_path / "m", LinearRegression().fit(TABLE, TABLE["x"]), extra_pip_requirements=extra
    )
    assert lines(tmp_path / "m")[-2:] == extra
    assert not [line for line in lines(tmp_path / "m") if line.startswith("scikit-learn")]


def test_complete_requirements_are_written_as_they_are(tmp_path, no_process):
    pin = f"sparksig=={sparksig.__version__}"
    requirements = ["scikit-learn==1.2", "nltk"]
    function = local_functions()["within"]
    save_as = {"pip_requirements": requirements, "input_example": TABLE, "detect_requirements": True}
    sparksig.save_model(tmp_path / "list", function, **save_as)
    assert lines(tmp_path / "list") == [pin, *requirements]
    (tmp_path / "given.txt").write_text("# comment\n\nscikit-learn==1.2\n  nltk\n")
    sparksig.save_model(tmp_path / "file", function, pip_requirements=tmp_path / "given.txt")
    assert lines(tmp_path / "file") == [pin, *requirements]
    sparksig.save_model(tmp_path / "own", function, pip_requirements=["sparksig>=0.1"])
    assert lines(tmp_path / "own") == ["sparksig>=0.1"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"pip_requirements": ["a"], "extra_pip_requirements": ["b"]},
            "either pip_requirements or extra_pip_",
        ),
        ({"pip_requirements": [5]}, "pip_requirements: expected a list of requirements, for example"),
        ({"pip_requirements": 5}, "pip_requirements: expected a list of requirements, for example"),
        (
            {"pip_requirements": "no/such/file.txt"},
            "pip_requirements: there is no file at 'no/such/file.txt'",
        ),
        (
            {"extra_pip_requirements": "nltk"},
            "extra_pip_requirements: expected a list of requirements, for example",
        ),
    ],
    ids=["both", "number-in-list", "number", "no-file", "text"],
)
def test_malformed_requirements_are_refused_and_nothing_is_left(tmp_path, options, text):
    with pytest.raises(ModelError, match=text):
        sparksig.save_model(tmp_path / "m", plain, **options)
    assert not (tmp_path / "m").exists()


# --- parts --------------------------------------------------------------------------------------------------


def test_modules_that_several_packages_share(tmp_path):
    assert "mlflow" in find_packages(["mlflow.pyfunc"])
    assert find_packages(["os.path", "no_such_module", "tests.models", ""]) == []


def test_a_file_that_is_no_pickle_may_import_anything(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"\x1f\x8b compressed")
    assert inspect_pickle(tmp_path / "m.pkl") == ([], True)
