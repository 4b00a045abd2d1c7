"""Models and model directories that the Spark tests score with."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pandas as pd
import skops.io
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import ColSpec, ModelSignature, PythonModel, Schema

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Echo(PythonModel):
    """Gives its columns back, and the dtypes in which it saw them."""

    def predict(self, model_input, params=None):
        seen = ",".join(f"{name}:{dtype}" for name, dtype in model_input.dtypes.items())
        return model_input.assign(seen=seen)


class Counting(PythonModel):
    """Writes a line for each of its loads into a file."""

    def __init__(self, log):
        self.log = log

    def load_context(self, context):
        import os

        with open(self.log, "a") as log:
            log.write(f"{os.getpid()}\n")

    def predict(self, model_input):
        return model_input["x"] * 2


class Returning(PythonModel):
    """A model that returns the result of a function of its input."""

    def __init__(self, function):
        self.function = function

    def predict(self, model_input, params=None):
        return self.function(model_input, params)


def save_python(path, model, inputs, outputs, params=None):
    """Save a PythonModel with a signature of columns: {name: type}, optional where the type ends in "?"."""
    signature = ModelSignature(_columns(inputs), _columns(outputs), params)
    sparksig.save_model(path, model, signature)
    return str(path)


def _columns(side):
    if not isinstance(side, dict):
        return side
    return Schema([ColSpec(dtype.rstrip("?"), name, not dtype.endswith("?")) for name, dtype in side.items()])


def trusted(model):
    """Return the types of a model that this version of skops does not trust."""
    return skops.io.get_untrusted_types(data=skops.io.dumps(model))


def classifier():
    """A small gradient boosting on real measurements, and its data."""
    data = load_breast_cancer(as_frame=True)
    return GradientBoostingClassifier(n_estimators=5, random_state=0).fit(data.data, data.target), data.data


def regression():
    """A linear model on real measurements, and its data.

    The frame is column-major, as what comes of Parquet or Arrow: the last bit of a matrix product depends
    on the layout that BLAS is given, and scikit-learn's own frame is row-major.
    """
    data = load_diabetes(as_frame=True)
    frame = pd.DataFrame({name: data.data[name] for name in data.data})
    return LinearRegression().fit(frame, data.target), frame


def save_sklearn(path, model, frame, method="predict"):
    """Save an estimator with the signature of its method on a frame; the arguments that load it."""
    signature = sparksig.infer_signature(frame, getattr(model, method)(frame))
    sparksig.save_model(path, model, signature, trusted_types=trusted(model))
    return {"trusted_types": trusted(model)}


def numbers(rows=10):
    """A frame of one column of doubles."""
    return pd.DataFrame({"x": np.arange(rows, dtype="float64")})
