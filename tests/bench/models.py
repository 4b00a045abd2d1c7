"""Model directories: loading, predicting a few rows, requests; against MLflow, and the library by itself."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import skops.io
from mlflow.pyfunc.scoring_server import _parse_json_data
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.models.payloads import parse_payload
from tests.bench.harness import Case


def cases(scale: float = 1.0) -> list[Case]:
    """One linear model: loaded by both, asked for 10 rows by both, and requests of many rows."""
    home = Path(tempfile.mkdtemp(prefix="bench-models-"))
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.random((1_000, 10)), columns=[f"c{i}" for i in range(10)])
    model = LinearRegression().fit(frame, frame["c0"])
    sparksig.save_model(home / "m", model, input_example=frame.head(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mlflow.pyfunc.load_model(str(home / "m"))
    ours, few = sparksig.load_model(home / "m"), frame.head(10)
    rows = max(int(10_000 * scale), 2)
    body = json.dumps(
        {"dataframe_split": _split(pd.DataFrame(random.random((rows, 10)), columns=frame.columns))}
    )
    inputs = theirs.metadata.get_input_schema()
    return [
        Case(
            "load a linear model kept by skops",
            {
                "sparksig": lambda: sparksig.load_model(home / "m"),
                "MLflow": lambda: mlflow.pyfunc.load_model(str(home / "m")),
                "skops alone, nothing verified": lambda: skops.io.load(home / "m" / "model.skops"),
            },
        ),
        Case(
            "predict 10 rows",
            {
                "sparksig": lambda: ours.predict(few),
                "MLflow": lambda: theirs.predict(few),
                "scikit-learn, nothing enforced": lambda: model.predict(few),
            },
        ),
        Case(
            "parse a request of 10,000 rows of 10 doubles",
            {
                "sparksig": lambda: parse_payload(body, ours.signature),
                "MLflow": lambda: _parse_json_data(body, theirs.metadata, inputs),
            },
        ),
        Case(
            "a request of 10,000 rows, parsed and predicted",
            {
                "sparksig": lambda: sparksig.validate_serving_input(ours, body),
                "MLflow": lambda: theirs.predict(_parse_json_data(body, theirs.metadata, inputs).data),
            },
        ),
    ]


def _split(frame):
    return {"columns": list(frame), "data": frame.to_numpy().tolist()}
