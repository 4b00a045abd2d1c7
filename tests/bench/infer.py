"""Inference against MLflow's."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from mlflow.models import infer_signature as mlflow_infer_signature

import sparksig
from tests.bench.harness import Case


def cases(scale: float = 1.0) -> list[Case]:
    """Strings and doubles (1 M at full scale), lists of 100 ints and nested dictionaries (10,000)."""
    many, some = int(1_000_000 * scale), int(10_000 * scale)
    random = np.random.default_rng(0)
    text = [f"text {number}" for number in range(many)]
    orders = [
        {
            "id": i,
            "customer": {"name": f"n{i}", "address": {"city": "x"}},
            "items": [{"price": 1.5, "n": 2}] * 3,
        }
        for i in range(some)
    ]
    examples = {
        "strings": (pd.DataFrame({"text": text}), 50),
        "strings as objects": (pd.DataFrame({"text": pd.Series(text, dtype=object)}), None),
        "doubles": (pd.DataFrame({"x": random.random(many)}), 50),
        "lists of 100 ints": (pd.DataFrame({"ids": [list(range(i, i + 100)) for i in range(some)]}), 20),
        "nested dictionaries": (pd.DataFrame({"order": orders}), 3),
        "list of nested dictionaries": (orders, None),
    }
    return [
        Case(
            name,
            {"sparksig": _call(sparksig.infer_signature, x), "MLflow": _call(mlflow_infer_signature, x)},
            target,
        )
        for name, (x, target) in examples.items()
    ]


def _call(infer, example):
    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both hint at integers
            return infer(example)

    return call
