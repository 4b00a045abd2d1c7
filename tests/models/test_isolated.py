"""Models in a process of their own: the same predictions and errors; the death of the process is reported."""

from __future__ import annotations

import errno
import gc
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sparksig
from sparksig import ModelSignature, ParamSchema, ParamSpec
from sparksig.errors import ExecutionError, MissingDependencyError, SparksigError, UnsupportedError
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.loading import load_directory
from sparksig.models.trust import Trust
from sparksig.models.virtualenvs import ModelEnvironment
from sparksig.schema import ColSpec, Schema, TensorSpec

ROWS = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


class ThisEnvironment(ModelEnvironment):
    """The environment of the tests, used as if it were another one: nothing is installed."""

    def locate(self):
        return Path(sys.executable)


def load(path):
    environment = ThisEnvironment(requirements=None)
    return load_directory(path, LoadOptions(Trust(allow_pickle=True), environment=environment))


@pytest.fixture
def saved(tmp_path):
    """A function that saves a function as a model, and loads it in a separate process."""

    def save(function, inputs=None, outputs=None, **options):
        inputs = inputs or Schema([ColSpec("double", "x")])
        signature = ModelSignature(inputs, outputs or Schema([ColSpec("double")]))
        sparksig.save_model(tmp_path / "model", function, signature, **options)
        return load(tmp_path / "model")

    return save


def process_of(model):
    return model._predictor._process._child


def list_shared_memory():
    """Return the memory that this process shares, and the files that any process shares by name."""
    gc.collect()
    links = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    return [link for link in links if "memfd:sparksig" in link], sorted(Path("/dev/shm").iterdir())


def test_predictions_are_those_of_this_process(tmp_path):
    from sklearn.linear_model import LogisticRegression

    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(50, 3)), columns=["a", "b", "c"])
    estimator = LogisticRegression().fit(frame, frame["a"] > 0)
    sparksig.save_model(tmp_path / "model", estimator, input_example=frame.head(2), method="predict_proba")
    model, plain = load(tmp_path / "model"), sparksig.load_model(tmp_path / "model")
    assert np.array_equal(model.predict(frame), plain.predict(frame))
    assert process_of(model).pid != os.getpid()
    assert model.text_dtypes == plain.text_dtypes


def test_params_and_tensors(tmp_path):
    def scale(model_input, params):
        return model_input * params["factor"]

    inputs = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    signature = ModelSignature(inputs, inputs, ParamSchema([ParamSpec("factor", "double", 2.0)]))
    sparksig.save_model(tmp_path / "model", scale, signature)
    array = np.array([[1, 2], [3, 4]], dtype=np.float32)
    assert load(tmp_path / "model").predict(array, {"factor": 3.0}).tolist() == [[3, 6], [9, 12]]


MANY_ROWS = 50_000
MANY = pd.DataFrame({"x": np.arange(float(MANY_ROWS))})


@pytest.fixture(params=["shared", "no shared memory", "too little"])
def memory(request, monkeypatch):
    """Memory of the system that can be shared, is missing, or too small for a batch."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if request.param == "no shared memory":

        def refuse(*arguments):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(os, "memfd_create", refuse)
    if request.param == "too little":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, limits[1]))
    yield request.param
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_large_batches(saved, memory):
    model = saved(lambda frame: frame["x"] + 1)
    first = model.predict(MANY)
    second = model.predict(MANY * 2)
    assert np.array_equal(first, MANY["x"] + 1)  # not overwritten by the second
    assert np.array_equal(second, MANY["x"] * 2 + 1)


@pytest.mark.parametrize("in_cycle", [False, True], ids=["a list", "a cycle"])
def test_model_that_keeps_its_data(saved, in_cycle):
    def sum_batches(frame, batches=[]):  # noqa: B006  the state of the model
        if in_cycle:
            cycle = [frame]
            cycle.append(cycle)
            return frame["x"]
        batches.append(frame)
        return sum(batch["x"] for batch in batches)

    model = saved(sum_batches)
    for count in range(1, 4):
        predicted = model.predict(MANY * count)
    assert np.array_equal(predicted, MANY["x"] * (3 if in_cycle else 6))
    assert model._predictor._process._is_free == in_cycle


def test_data_that_the_model_changes_and_returns(saved):
    def change(frame):
        frame["x"] *= 2
        return frame["x"]

    model = saved(change)
    assert np.array_equal(model.predict(MANY), MANY["x"] * 2)
    assert np.array_equal(model.predict(MANY), MANY["x"] * 2)


def test_batches_grow(saved):
    model = saved(lambda frame: frame["x"])
    for rows in (10, 10_000, MANY_ROWS, 20_000, 300_000):
        frame = pd.DataFrame({"x": np.arange(float(rows))})
        assert np.array_equal(model.predict(frame), frame["x"])


def test_predictions_of_dictionaries(saved):
    outputs = Schema([ColSpec("double", "y"), ColSpec("string", "label")])
    model = saved(lambda frame: [{"y": value, "label": "a"} for value in frame["x"]], outputs=outputs)
    assert model.predict(ROWS)[0] == {"y": 1.0, "label": "a"}


def fail(kind):
    def predict(frame):
        if kind == "custom":
            raise type("CustomError", (Exception,), {})("no rate")
        if kind == "import":
            import a_library_of_another_machine

            return a_library_of_another_machine
        if kind == "exit":
            sys.exit("bye")
        if kind == "unicode":
            b"\xff".decode()
        raise ValueError("no rate for EUR\x1b[2J")

    return predict


@pytest.mark.parametrize(
    ("kind", "error", "pattern"),
    [
        ("value", ValueError, r"no rate for EUR\\x1b"),
        ("custom", Exception, "no rate"),
        ("import", ImportError, r"No module named 'a_library.* \(in the model's environment, .*python"),
        ("exit", SystemExit, "bye"),
        ("unicode", Exception, "can't decode"),
    ],
)
def test_exceptions_keep_type_text_and_place(saved, kind, error, pattern):
    model = saved(fail(kind))
    with pytest.raises(error, match=pattern) as caught:
        model.predict(ROWS)
    if kind == "custom":
        assert type(caught.value).__name__ == "CustomError"
    from sparksig.models.tracebacks import describe_frames

    assert any("in predict" in frame for frame in describe_frames(caught.value))
    assert process_of(model).poll() is None  # it goes on


def test_prediction_that_cannot_be_moved(saved):
    model = saved(lambda frame: object())
    with pytest.raises(UnsupportedError, match=r"a value of type builtins\.object cannot be moved"):
        model.predict(ROWS)
    assert process_of(model).poll() is None


def test_death_of_the_process_is_reported_with_its_last_lines(saved, capfd):
    def die_once(frame):
        if frame["x"][0] == 1:
            sys.stdout.write("a line on standard output\n")
            sys.stdout.flush()
            sys.stderr.write("the last words\n")
            sys.stderr.flush()
            os.kill(os.getpid(), 9)
        return frame["x"]

    before = list_shared_memory()
    model = saved(die_once)
    with pytest.raises(ExecutionError, match=r"(?s)was killed by SIGKILL.*run out of memory.*the last words"):
        model.predict(ROWS)
    assert "a line on standard output" in capfd.readouterr().err
    assert list_shared_memory() == before
    assert model.predict(ROWS + 1).tolist() == [2, 3, 4]  # in a new process


def test_load_errors_keep_their_class(tmp_path):
    sparksig.save_model(tmp_path / "model", lambda frame: frame["x"], input_example={"x": 1.0})
    (tmp_path / "model" / "python_model.pkl").write_bytes(b"damaged")
    with pytest.raises(SparksigError, match="changed or missing since the model was sealed"):
        load(tmp_path / "model")


def test_process_does_not_see_other_variables(saved, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    outputs = Schema([ColSpec("string")])
    model = saved(lambda frame: [",".join(sorted(os.environ))] * len(frame), outputs=outputs)
    names = model.predict(ROWS)[0].split(",")
    assert "MY_TOKEN" not in names
    assert "OMP_NUM_THREADS" in names


def test_process_ends_with_the_model(saved):
    before = list_shared_memory()
    model = saved(lambda frame: frame["x"])
    model.predict(MANY)
    process = process_of(model)
    del model
    gc.collect()
    assert process.poll() is not None
    assert list_shared_memory() == before


def test_process_ends_with_its_parent(saved, tmp_path):
    import subprocess

    saved(lambda frame: frame["x"])
    before = list_shared_memory()
    code = (
        "import sys, os; sys.path[:0] = [sys.argv[2]]\n"
        "from tests.models.test_isolated import load, process_of\n"
        "from tests.models.test_isolated import MANY\n"
        "model = load(sys.argv[1]); model.predict(MANY)\n"
        "print(process_of(model).pid, flush=True); os.kill(os.getpid(), 9)"
    )
    home = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, str(tmp_path / "model"), home]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            assert list_shared_memory() == before
            return
        time.sleep(0.1)
    raise AssertionError("the process is still there")


def test_missing_package_of_this_environment_is_no_obstacle(tmp_path, monkeypatch):
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({"x": [1.0, 2.0]})
    sparksig.save_model(tmp_path / "model", LinearRegression().fit(frame, [1, 2]), input_example=frame)
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingDependencyError):
        sparksig.load_model(tmp_path / "model")
    assert load(tmp_path / "model").predict(frame).tolist() == pytest.approx([1, 2])
