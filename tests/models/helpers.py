"""Helpers for the tests of model directories: small models, canaries, and edits of directories."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import skops.io
import yaml
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sparksig import ColSpec, ModelSignature, PythonModel, Schema, TensorSpec
from sparksig.models.directory import ModelDirectory

cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = Schema([ColSpec("double", "x")])
ONE_DOUBLE = Schema([TensorSpec(np.dtype("float64"), (-1,))])
SIGNATURE = ModelSignature(X, ONE_DOUBLE)
FRAME = pd.DataFrame({"x": [0.1, -2.5, 1e300]})


class Doubled(PythonModel):
    """The smallest model: one column, doubled."""

    def predict(self, model_input):
        return model_input["x"].to_numpy() * 2


class Returning(PythonModel):
    """A model that returns the result of a function of its input and params."""

    def __init__(self, function):
        self.function = function

    def predict(self, model_input, params=None):
        return self.function(model_input, params)


class Failing(PythonModel):
    """Cannot be pickled: an error is raised on the way."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error

    def predict(self, model_input):
        return model_input


class Canary:
    """Unpickling it makes a directory, which is how a test sees that code has run."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.makedirs, (self.path, 0o777, True)


class Armed(Doubled):
    """A model with a canary in it."""

    def __init__(self, path):
        self.canary = Canary(path)


@contextlib.contextmanager
def without_type_hints():
    """Drop MLflow's warning of a predict without type hints, which ignores the filters."""
    text = "Add type hints to the `predict` method"
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("ignore", f".*{text}", UserWarning)
        yield
    for warning in caught:
        if text not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def linear():
    """Return a fitted LinearRegression of two columns; skops trusts all its types."""
    data, target = diabetes()
    return LinearRegression().fit(data, target)


def boosted():
    """Return a fitted ensemble, with types that sparksig trusts and skops does not."""
    data, target = diabetes()
    return GradientBoostingRegressor(n_estimators=2, max_depth=2, random_state=0).fit(data, target)


def splined():
    """A fitted pipeline that holds a spline: compiled code follows its arrays, which nobody checks."""
    data, target = diabetes()
    return make_pipeline(SplineTransformer(n_knots=3), LinearRegression()).fit(data, target)


def diabetes():
    data, target = load_diabetes(as_frame=True, return_X_y=True)
    return data[["bmi", "bp"]].head(50), target.head(50)


def untrusted(model):
    """The types that skops itself does not trust: they depend on the versions of skops and scikit-learn."""
    return skops.io.get_untrusted_types(data=skops.io.dumps(model))


def fresh(home):
    """A new directory in one that the cases of a test share."""
    return Path(tempfile.mkdtemp(dir=home))


def copy_of(directory):
    """A copy of a model directory, under its own name, for one case to change."""
    return shutil.copytree(directory, fresh(directory.parent) / directory.name, symlinks=True)


def unsealed(directory):
    """Remove the seal of a directory, which would report each change; return the directory."""
    (directory / "SHA256SUMS").unlink(missing_ok=True)
    return directory


def rewrite(directory, change):
    """Apply ``change`` to the content of a directory's MLmodel, and take its seal away."""
    file = unsealed(directory) / "MLmodel"
    config = yaml.safe_load(file.read_text())
    change(config)
    file.write_text(yaml.safe_dump(config))
    return directory


def rewrite_pyfunc(directory, **entries):
    """Set entries of the flavor python_function."""
    return rewrite(directory, lambda config: config["flavors"]["python_function"].update(entries))


def content(root):
    """Return the content of a directory: the bytes of files, the targets of links, None for directories."""
    return {
        path.relative_to(root).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in root.rglob("*")
    }


def same_bits(left, other):
    """Return whether two arrays, Series or lists have the same bits and the same dtype."""
    left, other = np.asarray(left), np.asarray(other)
    plain = left.dtype.kind != "O"
    return (
        left.dtype == other.dtype
        and left.shape == other.shape
        and (left.tobytes() == other.tobytes() if plain else left.tolist() == other.tolist())
    )


PYTHON = ".".join(platform.python_version_tuple()[:2])


def with_requirements(model, text, python=None):
    """Write the requirements and the Python of a model, and return its directory."""
    (model / "requirements.txt").write_text(text)
    if python is not None:
        (model / "python_env.yaml").write_text(f"python: {python}\n")
    return ModelDirectory.read(model)
